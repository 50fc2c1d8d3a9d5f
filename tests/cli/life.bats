#!/usr/bin/env bats
# shellcheck disable=SC2154 # mode, ws, out and err are set by run.bash
# The life of a run: how it ends, what it says about that, and that nothing is left of it.

setup() {
  load common
  load run
}

life() {
  python3 "$SRC/tests/lib/life.py" "$@"
}

# A hostile tree (tests/attack/tree_load.c) is running, found by $mark; $job is ours.
start_load() {
  mark=life$RANDOM$RANDOM$$
  in_mode "$mode" "$GABION" run --quiet --exec "$TESTS" --env LIFE=$mark -- "$TESTS/attack/tree_load" "$ws/beat" \
    </dev/null >"$BATS_TEST_TMPDIR/load.out" 2>&1 3>&- &
  job=$!
  wait_for 10 test -s "$ws/beat" || { cat "$BATS_TEST_TMPDIR/load.out"; return 1; }
  # Its lineages live too shortly to be counted where processes abound; what counts grows while there is one.
  life up $mark 7 && ! life still "$ws/beat" >/dev/null
}

# A test that failed leaves nothing behind.
teardown() {
  [ -z "${job-}" ] || kill -9 "$job" 2>/dev/null || :
}

# Within a second of what was done nothing is left of the tree, and nothing counts any more. Without a pid namespace the tree is looked for in
# /proc, which takes longer on a busy machine (docs/LIMITS.md: best effort).
all_gone() {
  life gone "$mark" "$([ "$mode" = bare ] && echo 10000 || echo 1000)" && life still "$ws/beat"
}

killed() {
  local role status=0
  for role in monitor sentry init; do
    start_load || return 1
    life kill "$mark" $role 9
    all_gone || { echo "after the end of: $role"; return 1; }
    wait $job || status=$?
    [ $role = monitor ] || is 125 $status "status after the end of $role" || return 1
    rm -f beat
  done
}

@test "kill -9 of monitor, sentry or init: the tree is gone within a second" {
  each_mode killed
}

signalled() {
  local sig status
  for sig in 15 2 1; do
    start_load || return 1
    status=0
    life kill "$mark" monitor $sig
    all_gone || return 1
    wait $job || status=$?
    is $((128 + sig)) $status "status after signal $sig" || return 1
    rm -f beat
  done
}

@test "SIGTERM, SIGINT and SIGHUP: the tree that ignores them is gone within a second" {
  each_mode signalled
}

handles() {
  local mark=life$RANDOM$RANDOM$$ status=0
  in_mode "$mode" "$GABION" run --quiet --env LIFE=$mark -- bash -c 'trap "echo bye; exit 7" TERM; echo x >up; while :; do sleep 0.02; done' \
    </dev/null >out 2>&1 3>&- &
  local job=$!
  wait_for 10 test -s up || return 1
  life kill $mark monitor 15
  wait $job || status=$?
  is 7 $status "status of its own" && is bye "$(tail -n 1 out)" "last words"
}

@test "a command that handles SIGTERM has the time to, and its status counts" {
  each_mode handles
}

statuses() {
  local n name
  for n in 0 1 2 77 124 125 126 127 128 143 255; do
    ends $n guest -- sh -c "exit $n" || return 1
  done
  for name in HUP INT QUIT KILL TERM SEGV ABRT USR1 PIPE; do
    ends $((128 + $(kill -l $name))) guest -- sh -c "kill -$name \$\$" || return 1
  done
}

@test "the exit status is the command's, or 128 and its signal" {
  each_mode statuses
}

own_statuses() {
  printf '#!/nonexistent/interpreter\n' >badscript
  printf 'no program' >garbage
  chmod +x badscript garbage
  touch plain
  mkdir dir
  ends 127 guest -- no-such-program-anywhere && [[ $err == *"not found"* ]] || return 1
  ends 127 guest -- ./nothing && ends 127 guest -- /nonexistent/program && ends 127 guest -- ./badscript || return 1
  ends 126 guest -- ./plain && [[ $err == *"chmod +x"* ]] || { echo "$err"; return 1; }
  ends 126 guest -- ./dir && [[ $err == *"a directory"* ]] || { echo "$err"; return 1; }
  ends 126 guest -- ./garbage || return 1
  ends 125 guest --workspace /nonexistent/dir -- true || return 1
  ends 124 guest --timeout 100ms -- sleep 10 || return 1
  # As timeout(1): it was asked to end, that it did so nicely does not make it a success.
  ends 124 guest --timeout 200ms -- bash -c 'trap "exit 0" TERM; while :; do sleep 0.02; done' || return 1
  ends 124 guest --timeout 200ms -- bash -c 'trap "" TERM; while :; do sleep 0.02; done'
}

@test "124 after --timeout, 125 gabion failed, 126 not executable, 127 not found" {
  each_mode own_statuses
}

survivors() {
  local mark=life$RANDOM$RANDOM$$
  ends 3 guest --env LIFE=$mark -- sh -c 'for i in 1 2 3; do nohup setsid sleep 60 >/dev/null 2>&1 & (setsid sh -c "sleep 60 & sleep 60 &" &); done; exit 3' || return 1
  life gone $mark 0
}

@test "what was left in the background ends with the command" {
  each_mode survivors
}

mounts_and_such() {
  cat /proc/self/mountinfo
  find /sys/fs/cgroup -name 'gabion*' 2>/dev/null
  find /tmp /run /dev/shm -maxdepth 1 \( -user 2000 -o -name '*gabion*' \) ! -path "$T" 2>/dev/null | sort
  find "$T" -path '*/.local/state/gabion/*' -name 'scratch.*'
}

# One that ends, one that fails, one that is killed; afterwards the machine is as before.
leftovers() {
  local mark job
  mounts_and_such >"$BATS_TEST_TMPDIR/before"
  ends 0 guest --memory 64m --pids 50 -- sh -c 'mkdir -p "$TMPDIR/a/b" /tmp/x; touch "$TMPDIR/a/b/c"; chmod 0 "$TMPDIR/a/b" "$TMPDIR/a" "$TMPDIR"' || return 1
  ends 127 guest -- no-such-program || return 1
  start_load || return 1
  life kill "$mark" monitor 9
  all_gone || return 1
  wait "$job" || true
  # What a killed monitor could not take away, the next one does.
  ends 0 guest -- true || return 1
  mounts_and_such >"$BATS_TEST_TMPDIR/after"
  diff "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after" || return 1
  if [ "$mode" = root ]; then
    local lock
    for lock in /run/gabion/ids/*; do
      flock -n "$lock" true || { echo "$lock is still locked"; return 1; }
    done
  fi
}

@test "no mounts, cgroups, scratch directories or locked ids are left" {
  each_mode leftovers
}

orphans() {
  ends 0 guest -- python3 -c '
import os, time
for i in range(1500):
    if os.fork() == 0:
        if os.fork() == 0:
            os._exit(0)
        os._exit(0)
    os.wait()
def zombies():
    n = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            n += open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[:2] == ["Z", str(os.getppid())]
        except OSError:
            pass
    return n
for i in range(100):
    if not zombies():
        break
    time.sleep(0.02)
print(zombies())' && is 0 "$out" "zombies"
}

@test "orphans are reaped" {
  each_mode orphans
}

beyond_reach() {
  ends 0 guest -- python3 -c '
import fcntl, os, signal, socket, time
first = os.getppid()
def attempt(what, *args):
    try:
        what(*args)
    except OSError:
        pass
for sig in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
    attempt(os.kill, first, sig)
    attempt(lambda: signal.pidfd_send_signal(os.pidfd_open(first), sig))
    # F_SETOWN, F_SETSIG: the kernel sends the signal.
    a, b = socket.socketpair()
    attempt(fcntl.fcntl, a, fcntl.F_SETOWN, first)
    attempt(fcntl.fcntl, a, 10, sig)
    attempt(fcntl.fcntl, a, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    attempt(b.send, b"x")
attempt(os.ptrace if hasattr(os, "ptrace") else open, f"/proc/{first}/mem", "wb")
time.sleep(0.1)
print(os.getppid() == first)' && is True "$out" "the first process lives"
}

@test "the guest cannot signal its first process, nor make the kernel do it" {
  each_mode beyond_reach
}

standard_files() {
  ends 0 guest -- cat && is "" "$out" || return 1
  is abc "$(echo abc | gabion_run "$mode" -- cat)" "a pipe" || return 1
  # Closed ones are closed for the command, not gabion's.
  ends 1 gabion_run "$mode" -- cat <&- && [[ $err == *"Bad file descriptor"* ]] || { echo "$err"; return 1; }
  local status=0
  gabion_run "$mode" -- sh -c 'echo x 2>/dev/null' </dev/null >&- || status=$?
  is 1 $status "echo with output closed" || return 1
  status=0
  gabion_run "$mode" -- sh -c 'exit 9' <&- >&- 2>&- || status=$?
  is 9 $status "all closed" || return 1
  head -c 1000000 /dev/urandom >"$ws/blob"
  chmod 644 "$ws/blob"
  gabion_run "$mode" -- cat <"$ws/blob" | cmp - "$ws/blob" || return 1
  # shellcheck disable=SC2002 # a pipe is what is tested
  cat "$ws/blob" | gabion_run "$mode" -- cat | cmp - "$ws/blob"
}

@test "standard files: pipes and files byte for byte, end of file, closed ones" {
  each_mode standard_files
}

broken_pipe() {
  local status
  gabion_run "$mode" -- yes </dev/null | head -n 1 >/dev/null
  status=("${PIPESTATUS[@]}")
  is "141 0" "${status[*]}" "yes | head" || return 1
  # SIGPIPE ignored outside stays ignored.
  (trap '' PIPE && gabion_run "$mode" -- sh -c 'yes 2>/dev/null; echo $? >&2' </dev/null 2>"$BATS_TEST_TMPDIR/status" | head -n 1 >/dev/null)
  is 1 "$(tail -n 1 "$BATS_TEST_TMPDIR/status")" "yes with SIGPIPE ignored"
}

@test "a reader that leaves ends the writer by SIGPIPE, unless it is ignored" {
  each_mode broken_pipe
}

hangup_ignored() {
  local mark=life$RANDOM$RANDOM$$ status=0
  (
    trap '' HUP
    in_mode "$mode" "$GABION" run --quiet --env LIFE=$mark -- sh -c 'kill -HUP $$; echo up >up; sleep 0.3; exit 4' </dev/null 3>&-
  ) &
  local job=$!
  wait_for 10 test -s up || return 1
  life kill $mark monitor 1
  wait $job || status=$?
  is 4 $status "with SIGHUP ignored (nohup)"
}

@test "under nohup neither gabion nor the command ends by SIGHUP" {
  each_mode hangup_ignored
}
