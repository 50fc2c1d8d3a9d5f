#!/usr/bin/env bats
# A run seen and widened from outside: gabion ps, log and allow.
# shellcheck disable=SC2154 # mode, ws, out and err are set by run.bash

setup() {
  load common
  load run
}

# The command line tool itself, not a run.
gabion() {
  in_mode "$mode" "$GABION" "$@" </dev/null
}

# A run that reads $other/secret and writes $other/made again and again, until there is a file called stop; $run is its id.
start_run() {
  other=$(mktemp -d "$T/home.$mode/other.XXXXXX")
  echo treasure >"$other/secret"
  chmod 755 "$other" && chmod 644 "$other/secret"
  [ "$mode" = root ] || [ "$(id -u)" -ne 0 ] || chown -R "$MODE_UID:$MODE_UID" "$other"
  in_mode "$mode" "$GABION" run --quiet --timeout 30s -- sh -c '
    echo up >up
    while [ ! -e stop ]; do
      cat "$1/secret" >read 2>/dev/null && cp read seen
      echo made >"$1/made"
      echo x >/etc/gabion-refused
      sleep 0.05
    done 2>/dev/null
    exit 5' run "$other" </dev/null >"$BATS_TEST_TMPDIR/run.out" 2>&1 3>&- &
  job=$!
  wait_for 10 test -s up || { cat "$BATS_TEST_TMPDIR/run.out"; return 1; }
  run=$(gabion ps --json | jq -r '.[0].id // .runs[0].id')
  [ -n "$run" ]
}

stop_run() {
  local status=0
  touch "$ws/stop"
  [ "$(id -u)" -ne 0 ] || chmod 666 "$ws/stop"
  wait $job || status=$?
  is 5 $status "status of the run"
}

listed() {
  start_run || return 1
  ends 0 gabion ps && [[ $out == *"$run"*running*"$ws"* ]] || { echo "$out"; return 1; }
  ends 0 gabion ps --json && jq -e . <<<"$out" >/dev/null || return 1
  stop_run || return 1
  ends 0 gabion ps && [[ $out != *"$run"* ]] || { echo "$out"; return 1; }
  ends 0 gabion ps --all && [[ $out == *"$run"* ]] || { echo "$out"; return 1; }
}

@test "gabion ps lists a run while it runs" {
  each_mode listed
}

logged() {
  start_run || return 1
  gabion log "$run" --follow >"$BATS_TEST_TMPDIR/follow" 2>&1 3>&- &
  local follow=$! status=0
  wait_for 5 grep -q /etc/gabion-refused "$BATS_TEST_TMPDIR/follow" || { echo "followed:"; cat "$BATS_TEST_TMPDIR/follow"; return 1; }
  ends 0 gabion log "$run" && [[ $out == *refused*/etc/gabion-refused* ]] || { echo "$out"; return 1; }
  ends 0 gabion log --json "$run" && jq -e . <<<"$out" >/dev/null || { echo "$out"; return 1; }
  stop_run || return 1
  # It ends with the run.
  wait_for 5 eval '! kill -0 '$follow' 2>/dev/null' || { kill $follow; return 1; }
  wait $follow || status=$?
  is 0 $status "gabion log --follow"
}

@test "gabion log shows what is refused, and follows" {
  each_mode logged
}

allowed() {
  start_run || return 1
  if [ "$mode" = bare ]; then
    ends 1 gabion allow "$run" read "$other" && [[ $err == *"without namespaces"*"--read"* ]] || { echo "$err"; return 1; }
    stop_run
    return
  fi
  [ ! -e seen ] || { echo "seen before it was allowed"; return 1; }
  ends 0 gabion allow "$run" read "$other" || return 1
  wait_for 5 test -s seen || { echo "not seen"; gabion log "$run"; return 1; }
  is treasure "$(cat seen)" || return 1
  [ ! -e "$other/made" ] || { echo "written before it was allowed"; return 1; }
  ends 0 gabion allow "$run" write "$other" || return 1
  wait_for 5 test -s "$other/made" || { echo "not made"; gabion log "$run"; return 1; }
  # What is made belongs to whom the directory belongs to.
  is "$(stat -c %u "$other")" "$(stat -c %u "$other/made")" "owner of what was made" || return 1
  stop_run
}

@test "gabion allow widens a run in progress, or says why it cannot" {
  each_mode allowed
}

not_allowed() {
  start_run || return 1
  ends 1 gabion allow "$run" read /nonexistent/path || return 1
  ends 1 gabion allow "$run" net example.org || return 1
  ends 1 gabion allow "$run" exec "$other" || return 1
  ends 125 gabion allow nosuchrun read "$other" || return 1
  ends 125 gabion allow "$run" read || return 1
  if [ "$mode" != bare ]; then
    ends 1 gabion allow "$run" read /dev && ends 1 gabion allow "$run" write / || return 1
    # A link in the workspace may be the guest's word: to the directory, and on the way to it.
    ln -s "$other" link && ln -s "$(dirname "$other")" upwards || return 1
    for path in "$ws/link" link "$ws/upwards/$(basename "$other")"; do
      ends 1 gabion allow "$run" write "$path" && [[ $err == *"symbolic link"* ]] || { echo "$path: $err"; return 1; }
    done
    [ ! -e "$other/made" ] || return 1
  fi
  stop_run || return 1
  ends 1 gabion allow "$run" read "$other" && [[ $err == *"has ended"* ]] || { echo "$err"; return 1; }
}

@test "what cannot be allowed is said" {
  each_mode not_allowed
}

strangers() {
  start_run || return 1
  local sock
  sock=$(find "$T/home.$mode" -name control.sock | head -n 1)
  [ -S "$sock" ] || { echo "no socket"; return 1; }
  is 700 "$(stat -c %a "$(dirname "$sock")")" "mode of its directory" || return 1
  if [ "$(id -u)" -eq 0 ]; then
    # Another user, even where directories do not keep them out.
    chmod 755 "$T/home.$mode" "$T/home.$mode"/.local "$T/home.$mode"/.local/state "$T/home.$mode"/.local/state/gabion{,/runs} "$(dirname "$sock")"
    chmod 666 "$sock"
    setpriv --reuid 2001 --regid 2001 --clear-groups /usr/bin/python3 - "$sock" "$other" <<'END' || return 1
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
try:
    s.settimeout(3)
    s.connect(sys.argv[1])
    s.send(b"allow read " + sys.argv[2].encode())
    answer = s.recv(4096)
except OSError as e:
    sys.exit(0)
sys.exit(b"allowed" in answer)
END
    chmod 700 "$T/home.$mode/.local/state/gabion" "$T/home.$mode/.local/state/gabion/runs" "$(dirname "$sock")"
    [ ! -e seen ] || { echo "a stranger widened the run"; return 1; }
  fi
  stop_run
}

@test "nobody but the user who started a run widens it" {
  each_mode strangers
}
