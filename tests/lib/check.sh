#!/usr/bin/env bash
# `make check`: unit tests, the table against the kernel's, guest programs (native, then under every floor, outputs compared), attacks, the
# command line, real programs. Every suite speaks TAP; failures and skips are shown with their reason, the rest is counted.
# CHECK="unit fuzz floor guest storm real attack net cli oci" picks suites, CHECK_MODES="root user bare" floors.
set -u
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here" || exit 1
BUILD=$(cd "${BUILD:-build}" && pwd)
suites=${CHECK:-unit fuzz floor guest storm real attack net cli oci}

T=$(mktemp -d "${TMPDIR:-/tmp}/gabion-check.XXXXXX")
chmod 755 "$T"
trap 'chmod -R u+rwX "$T" 2>/dev/null; rm -rf "$T"' EXIT
mkdir "$T/bin" "$T/tests"
cp "$BUILD/gabion" "$T/bin/"
for d in guest attack degrade floor; do
  [ -d "$BUILD/tests/$d" ] && cp -r "$BUILD/tests/$d" "$T/tests/"
done
GABION=$T/bin/gabion
TESTS=$T/tests
SRC=$here
export T GABION TESTS SRC BUILD
# shellcheck source=modes.sh
. "$SRC/tests/lib/modes.sh"
modes=${CHECK_MODES:-$(modes_available)}
export CHECK_MODES=$modes

passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); }
not_ok() {
  failed=$((failed + 1))
  echo "not ok: $1"
}
skip() {
  skipped=$((skipped + 1))
  echo "skip: $1: $2"
}

# Counts the TAP in file $2; $1 names the suite, $3 is the exit status of the program that wrote it.
count_tap() {
  local name=$1 file=$2 status=$3 line seen=0 bad=0
  while IFS= read -r line; do
    case $line in
      "ok "*"# skip"* | "ok "*"# SKIP"*)
        skip "$name: ${line%%#*}" "${line##*# [sS][kK][iI][pP] }"
        seen=1
        ;;
      "ok "*)
        ok
        seen=1
        ;;
      "not ok "*)
        not_ok "$name: ${line#not ok }"
        seen=1 bad=1
        ;;
      "#"*) [ "$bad" -eq 1 ] && echo "    $line" ;;
    esac
  done <"$file"
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] || [ "$seen" -eq 0 ]; then
    not_ok "$name: ended with status $status"
    tail -n 20 "$file" | sed 's/^/    /'
  fi
}

run_unit() {
  local t status
  for t in "$BUILD"/tests/unit/test_*; do
    case $t in *.d) continue ;; esac
    CMOCKA_MESSAGE_OUTPUT=TAP timeout 120 "$t" >"$T/out" 2>"$T/err"
    status=$?
    cat "$T/err" >>"$T/out"
    count_tap "unit/${t##*/}" "$T/out" "$status"
  done
  if out=$(sh tests/unit/rows_tested.sh 2>&1); then
    ok
  else
    not_ok "rows about files without a guest test: $out"
  fi
  if out=$(sh tests/unit/table_vs_kernel.sh 2>&1); then
    case $out in
      skip*) skip "table against the kernel's" "${out#skip: }" ;;
      *) ok ;;
    esac
  else
    not_ok "table against the kernel's: $out"
  fi
}

# Every fuzzer over its corpus and some thousand inputs more, the same each time. `make fuzz` goes on from there.
run_fuzz() {
  local f name any=0
  for f in "$BUILD"/fuzz/fuzz_*; do
    [ -x "$f" ] || continue
    any=1 name=${f##*/}
    cp -r "$here/tests/fuzz/corpus/$name" "$T/corpus.$name"
    if timeout 120 "$f" -seed=1 -runs=4000 -max_len=512 -verbosity=0 -artifact_prefix="$T/" "$T/corpus.$name" >"$T/out" 2>&1; then
      ok
    else
      not_ok "fuzz/$name"
      grep -vE '^ +#|^MS:' "$T/out" | head -n 20 | sed 's/^/    /'
    fi
  done
  [ "$any" -eq 1 ] || skip "fuzz" "clang is not there"
}

# The plan's differential test: the floor of each mode, unsupervised, against the policy.
run_floor() {
  local mode
  for mode in $modes; do
    bash tests/lib/floor.sh "$mode" >"$T/out" 2>&1 </dev/null
    count_tap "floor ($mode)" "$T/out" $?
  done
}

# A guest program says "not: MODE REASON" in its source where a floor cannot give it what it needs.
guest_skip() {
  sed -n "s/^.*not: $2 \(.*\)$/\1/p" "tests/guest/$1.c" | head -n 1
}

run_guest() {
  local prog name mode mediate ws reason
  for prog in "$TESTS"/guest/*; do
    case $prog in *.d) continue ;; esac
    name=${prog##*/}
    for mode in $modes; do
      ws=$(mode_workspace "$mode")
      (cd "$ws" && in_mode "$mode" timeout 60 "$prog") >"$T/native" 2>"$T/native.err" </dev/null
      echo "status $?" >>"$T/native"
      rm -rf "$ws"
      for mediate in auto all; do
        reason=$(guest_skip "$name" "$mode")
        [ -n "$reason" ] || reason=$(guest_skip "$name" "$mediate")
        if [ -n "$reason" ]; then
          skip "guest/$name ($mode, $mediate)" "$reason"
          continue
        fi
        ws=$(mode_workspace "$mode")
        (cd "$ws" && gabion_run "$mode" --mediate "$mediate" --syscalls wide --exec "$TESTS" -- timeout 60 "$prog") >"$T/guest" 2>"$T/guest.err" </dev/null
        echo "status $?" >>"$T/guest"
        rm -rf "$ws"
        if cmp -s "$T/native" "$T/guest"; then
          ok
        else
          not_ok "guest/$name ($mode, $mediate): differs from native"
          diff "$T/native" "$T/guest" | head -n 12 | sed 's/^/    /'
          head -n 4 "$T/guest.err" | sed 's/^/    /'
        fi
      done
    done
  done
}

# The programs about files once more, where the plan leaves all of them to the kernel: a policy that the floor holds, nothing recorded.
# Policy, home and workspace lie outside /tmp, which is writable there.
run_held() {
  local top prog name ws way
  case " $modes " in *" user "*) ;; *) return ;; esac
  top=$(mktemp -d /srv/gabion-held.XXXXXX 2>/dev/null) || {
    skip "guest programs at the level of the kernel" "only root can make a directory in /srv"
    return
  }
  chmod 755 "$top" && mkdir -p "$top/home" "$top/ws" && cp -r "$TESTS/guest" "$top/" && cp tests/lib/held.yaml "$top/" && chmod -R a+rX "$top"
  [ "$(id -u)" -ne 0 ] || chown "$MODE_UID:$MODE_UID" "$top/home"
  # The pair is proven where the plan says so, else this would compare what run_guest() did.
  (cd "$top/ws" && in_mode user env HOME="$top/home" "$GABION" explain -p "$top/held.yaml") 2>/dev/null | grep -q '^change *native' ||
    not_ok "guest programs at the level of the kernel: the plan does not leave changes to it"
  for prog in "$top"/guest/fs_* "$top/guest/fd"; do
    case $prog in *.d) continue ;; esac
    name=${prog##*/}
    for way in native held; do
      ws=$(mktemp -d /srv/gabion-held.XXXXXX)
      [ "$(id -u)" -ne 0 ] || chown "$MODE_UID:$MODE_UID" "$ws"
      set --
      [ $way = native ] || set -- env "HOME=$top/home" "$GABION" run --quiet --syscalls wide -p "$top/held.yaml" --
      # Standard descriptors that are files are not the floor's to hold.
      (cd "$ws" && in_mode user "$@" timeout 60 "$prog" </dev/null 2>/dev/null | cat >"$T/$way")
      rm -rf "$ws"
    done
    if cmp -s "$T/native" "$T/held"; then
      ok
    else
      not_ok "guest/$name (user, all left to the kernel): differs from native"
      diff "$T/native" "$T/held" | head -n 12 | sed 's/^/    /'
    fi
  done
  rm -rf "$top"
}

# Random calls, a few: the long run is make check-suites.
run_storm() {
  SUITE_SEEDS=${SUITE_SEEDS:-2} SUITE_COUNT=${SUITE_COUNT:-2000} CHECK_MODES="$modes" bash tests/suites/storm.sh >"$T/out" 2>&1
  count_tap storm "$T/out" $?
}

# A real program's script: the same output and status natively and inside, in the same place, on every floor.
run_real() {
  local script name mode ws status reason SRC=$T/src
  local -a policy
  # A copy everybody may read: the checkout may lie where only its owner may go.
  mkdir -p "$SRC/tests/lib" && cp -r include policy Makefile "$SRC/" && cp tests/lib/embed.sh "$SRC/tests/lib/"
  chmod -R a+rX "$SRC"
  export SRC
  for script in tests/real/*.sh; do
    name=${script##*/}
    for mode in $modes; do
      reason=$(sed -n "s/^# not: $mode \(.*\)$/\1/p" "$script" | head -n 1)
      if [ -n "$reason" ]; then
        skip "real/$name ($mode)" "$reason"
        continue
      fi
      ws=$(mode_workspace "$mode")
      (cd "$ws" && in_mode "$mode" timeout 120 bash -c "$(cat "$here/$script")") >"$T/native" 2>"$T/native.err" </dev/null
      status=$?
      if [ "$status" -eq 77 ]; then
        skip "real/$name ($mode)" "$(tail -n 1 "$T/native")"
        rm -rf "$ws"
        continue
      fi
      echo "status $status" >>"$T/native"
      find "$ws" -mindepth 1 -delete
      # A policy of its own: one line of YAML.
      policy=()
      if grep -q '^# policy: ' "$script"; then
        sed -n 's/^# policy: //p' "$script" >"$T/policy.yaml"
        chmod 644 "$T/policy.yaml"
        policy=(-p "$T/policy.yaml")
      fi
      (cd "$ws" && gabion_run "$mode" "${policy[@]}" --read "$SRC" -- timeout 120 bash -c "$(cat "$here/$script")") >"$T/guest" 2>"$T/guest.err" </dev/null
      echo "status $?" >>"$T/guest"
      rm -rf "$ws"
      if cmp -s "$T/native" "$T/guest"; then
        ok
      else
        not_ok "real/$name ($mode): differs from native"
        diff "$T/native" "$T/guest" | head -n 12 | sed 's/^/    /'
        head -n 6 "$T/guest.err" | sed 's/^/    /'
      fi
    done
  done
}

run_bats() {
  local f status
  for f in tests/"$1"/*.bats; do
    [ -e "$f" ] || continue
    timeout 900 bats --tap "$f" >"$T/out" 2>&1 </dev/null
    status=$?
    count_tap "$1/${f##*/}" "$T/out" "$status"
  done
}

for s in $suites; do
  case $s in
    unit) run_unit ;;
    fuzz) run_fuzz ;;
    floor) run_floor ;;
    guest)
      run_guest
      run_held
      ;;
    storm) run_storm ;;
    real) run_real ;;
    attack) run_bats attack ;;
    net) run_bats net ;;
    cli) run_bats cli ;;
    oci) run_bats oci ;;
    *) not_ok "no suite $s" ;;
  esac
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
