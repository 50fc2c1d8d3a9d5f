#!/usr/bin/env bats
# Bad input to gabion run: one clear sentence and how to mend it, status 125, nothing left behind. Wrong options are errors.bats's.
# shellcheck disable=SC2154 # mode, ws and err are set by run.bash

setup() {
  load common
  load run
}

# refuses TEXT COMMAND...: status 125, nothing on standard output, a sentence with TEXT (and one on what to do) on the error.
refuses() {
  local text=$1
  shift
  ends 125 "$@" || return 1
  is "" "$out" "standard output" || return 1
  # Which floor it is may be said first.
  err=$(grep -v '^gabion: \(no namespaces here\|not passed on\)' <<<"$err")
  [[ $err == "gabion: "*"$text"* ]] && [ "$(wc -l <<<"$err")" -le 2 ] || {
    echo "wanted one sentence with '$text': $err"
    return 1
  }
}

traces() {
  find "$T" -path '*/.local/state/gabion/scratch.*'
  find /sys/fs/cgroup -name 'gabion-*' -newer "$BATS_TEST_TMPDIR" 2>/dev/null
  grep -c . /proc/self/mountinfo
  python3 "$SRC/tests/lib/life.py" list "$ws"
}

with_traces() {
  traces >"$BATS_TEST_TMPDIR/before"
  "$@" || return 1
  traces >"$BATS_TEST_TMPDIR/after"
  diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after"
}

paths() {
  refuses "workspace /nonexistent" guest --workspace /nonexistent -- true || return 1
  refuses "Not a directory" guest --workspace /etc/passwd -- true || return 1
  refuses "--read /nonexistent" guest --read /nonexistent -- true || return 1
  refuses "--write /nonexistent" guest --write /nonexistent -- true || return 1
  refuses "--exec /nonexistent" guest --exec /nonexistent -- true || return 1
  refuses "the record /nonexistent" guest --audit /nonexistent/record -- true || return 1
  refuses "directory" guest --audit "$ws" -- true || return 1
  mkdir gone && cd gone && rmdir ../gone || return 1
  refuses "workspace" guest -- true
}

@test "paths that are not there" {
  each_mode with_traces paths
}

unreadable() {
  if [ "$mode" = root ]; then return 0; fi
  mkdir "$T/closed.$mode" && chmod 700 "$T/closed.$mode" || return 1
  [ "$(id -u)" -eq 0 ] || return 0
  refuses "Permission denied" guest --workspace "$T/closed.$mode/x" -- true || return 1
  refuses "Permission denied" guest --audit "$T/closed.$mode/x" -- true || return 1
  rmdir "$T/closed.$mode"
}

@test "paths that are not ours to read" {
  each_mode with_traces unreadable
}

workspaces() {
  cd /
  refuses "--workspace DIR" guest -- true || return 1
  refuses "the whole file system" guest --workspace / -- true || return 1
  cd "$T/home.$mode" || return 1
  refuses "your home directory" guest -- true || return 1
  cd "$T" || return 1
  refuses "--workspace DIR" guest -- true || return 1
  # Named, they are taken; but for the root.
  cd "$T/home.$mode" || return 1
  ends 0 guest --workspace . -- true
}

@test "workspaces that would be everything" {
  each_mode workspaces
}

descriptors() {
  refuses "standard input is a directory" gabion_run "$mode" -- true </ || return 1
  refuses "standard input is a device" gabion_run "$mode" -- true </dev/kmsg || return 1
  local status=0
  gabion_run "$mode" -- true </dev/null >"$BATS_TEST_TMPDIR/o" 2>&1 3</ || status=$?
  is 0 $status "a directory above 2"
}

@test "descriptors that would be a way out" {
  (: </dev/kmsg) 2>/dev/null || skip "no /dev/kmsg that we may open"
  each_mode with_traces descriptors
}

state() {
  touch file
  chmod 644 file
  refuses "XDG_STATE_HOME" in_mode "$mode" env XDG_STATE_HOME="$ws/file" "$GABION" run -- true </dev/null || return 1
  refuses "XDG_STATE_HOME" in_mode "$mode" env XDG_STATE_HOME=/proc/nothing "$GABION" run -- true </dev/null || return 1
  refuses "HOME" in_mode "$mode" env HOME=/ XDG_STATE_HOME="$ws/state" "$GABION" run -- true </dev/null
}

@test "a state directory that cannot be" {
  each_mode with_traces state
}

# on_host TEXT WITHOUT...: a host that lacks this (tests/degrade/without.c) cannot run gabion, and is told why.
on_host() {
  local text=$1
  shift
  refuses "$text" in_mode "$mode" "$TESTS/degrade/without" "$@" -- "$GABION" run --quiet -- true </dev/null
}

poorer_hosts() {
  local userns=(unshare=userns clone=userns clone3=userns)
  on_host "seccomp filter is refused" seccomp=1 || return 1
  on_host "seccomp" seccomp=38 || return 1
  on_host "already listens" -l || return 1
  on_host "memory" process_vm_readv=1 || return 1
  on_host "openat2" openat2=38 || return 1
  on_host "pidfd_open" pidfd_open=38 || return 1
  on_host "Landlock" "${userns[@]}" landlock_create_ruleset=38 || return 1
  # Less than everything is enough.
  ends 0 in_mode "$mode" "$TESTS/degrade/without" "${userns[@]}" -- "$GABION" run --quiet -- true </dev/null || return 1
  ends 0 in_mode "$mode" "$TESTS/degrade/without" mount=1 fsopen=1 open_tree=1 -- "$GABION" run --quiet -- true </dev/null || return 1
  ends 0 in_mode "$mode" "$TESTS/degrade/without" mount_setattr=38 -- "$GABION" run --quiet -- true </dev/null || return 1
  ends 0 in_mode "$mode" "$TESTS/degrade/without" pidfd_getfd=1 -- "$GABION" run --quiet -- \
    sh -c 'git init -q r && git -C r config user.name x && rm r/.git/config && find r >/dev/null && tar cf t r && rm -rf r && tar xf t && python3 -c "import os; os.stat(0)"' </dev/null || return 1
  # A container's default profile.
  ends 0 in_mode "$mode" "$TESTS/degrade/without" "${userns[@]}" mount=1 fsopen=1 open_tree=1 pidfd_getfd=1 -- "$GABION" run --quiet -- true </dev/null || return 1
  ends 0 in_mode "$mode" "$TESTS/degrade/without" clone3=38 -- "$GABION" run --quiet -- true </dev/null || return 1
  ends 0 in_mode "$mode" "$TESTS/degrade/without" io_uring_setup=38 -- "$GABION" run --quiet -- true </dev/null
}

@test "hosts that lack what is needed are told so; others get a smaller floor" {
  each_mode with_traces poorer_hosts
}
