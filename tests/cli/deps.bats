#!/usr/bin/env bats
# deps.sh with a made-up dpkg and apt-get: nothing is installed here.

setup() {
  load common
  bin=$BATS_TEST_TMPDIR/bin
  mkdir "$bin"
  for tool in sh awk sed echo printf cat rm mktemp chmod tail id; do
    ln -s "$(command -v "$tool")" "$bin/$tool" 2>/dev/null || true
  done
  # every package is there but those in $MISSING
  cat >"$bin/dpkg-query" <<'SH'
#!/bin/sh
shift 3
for p; do
  case " $MISSING " in *" $p "*) ;; *) echo "$p installed" ;; esac
done
SH
  cat >"$bin/apt-get" <<'SH'
#!/bin/sh
echo "$@" >>"$BATS_TEST_TMPDIR/apt"
[ -z "$FAIL" ]
SH
  printf '#!/bin/sh\necho 1000\n' >"$BATS_TEST_TMPDIR/id"
  chmod 755 "$bin/dpkg-query" "$bin/apt-get" "$BATS_TEST_TMPDIR/id"
  touch "$bin/node" "$bin/npm"
  chmod 755 "$bin/node" "$bin/npm"
  export BATS_TEST_TMPDIR
}

deps() {
  run env PATH="$bin" MISSING="${MISSING-}" FAIL="${FAIL-}" sh "$SRC/tests/lib/deps.sh" "$@"
}

@test "quiet where nothing is missing" {
  deps
  [ "$status" -eq 0 ]
  [ -z "$output" ]
  [ ! -e "$BATS_TEST_TMPDIR/apt" ]
}

@test "names what is missing, what for, and the command" {
  MISSING="libseccomp-dev bats" deps -n build check
  [ "$status" -eq 1 ]
  [[ $output == *"libseccomp-dev"*"compiles the system call filter"* ]]
  [[ $output == *"apt-get install -y --no-install-recommends libseccomp-dev bats"* ]]
  [ ! -e "$BATS_TEST_TMPDIR/apt" ]
}

@test "a group asks for its own packages only" {
  MISSING="bats bubblewrap busybox-static" deps build demo
  [ "$status" -eq 0 ]
  [ -z "$output" ]
}

@test "without root and sudo: the exact command, status 1" {
  rm "$bin/id"
  ln -s "$BATS_TEST_TMPDIR/id" "$bin/id"
  MISSING="libseccomp-dev" deps build
  [ "$status" -eq 1 ]
  [[ $output == *"sudo apt-get install -y --no-install-recommends libseccomp-dev"* ]]
  [ ! -e "$BATS_TEST_TMPDIR/apt" ]
}

@test "node that came some other way counts" {
  MISSING="nodejs npm" deps check
  [ "$status" -eq 0 ]
  rm "$bin/node"
  MISSING="nodejs npm" deps -n check
  [ "$status" -eq 1 ]
  [[ $output == *nodejs* && $output != *npm* ]]
}

@test "an unknown group is an error" {
  deps everything
  [ "$status" -eq 2 ]
}

@test "what the real machine needs for building is there, and asking is quick" {
  command -v dpkg-query >/dev/null || skip "no dpkg"
  run timeout 5 sh "$SRC/tests/lib/deps.sh" -n build
  [ "$status" -eq 0 ]
}
