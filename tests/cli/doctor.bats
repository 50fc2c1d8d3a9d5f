#!/usr/bin/env bats
# gabion doctor here, as JSON, and on hosts made poorer by a filter.

setup() {
  load common
  without=$TESTS/degrade/without
}

# The value of a Python expression over the report r of doctor's JSON on standard input.
report() {
  python3 -c 'import json, sys; r = json.load(sys.stdin); c = {x["check"]: x for x in r["checks"]}; print(eval(sys.argv[1]))' "$1"
}

# Runs doctor under `without "$@"`; sets status and output.
doctor_without() {
  run "$without" "$@" -- "$GABION" doctor --json
}

problem() {
  report "c['$1'].get('problem', {}).get('name')" <<<"$output"
}

@test "doctor ends with 0 where gabion can run, and says in which mode" {
  run "$GABION" doctor
  [[ $output == *"gabion can run here: "*"(mode root)."* || $output == *"(mode rootless)."* || $output == *"(mode bare)."* ]]
  [ "$status" -eq 0 ]
}

@test "doctor --json is JSON with every check" {
  "$GABION" doctor --json >"$BATS_TEST_TMPDIR/report"
  [ "$(report 'len(r["checks"]) == len(c) and len(c)' <"$BATS_TEST_TMPDIR/report")" -ge 17 ]
  [ "$(report 'r["can_run"] and r["mode"] in ("root", "rootless", "bare") and r["blocker"]' <"$BATS_TEST_TMPDIR/report")" = None ]
  [ "$(report 'all(x["state"] in ("present", "partial", "missing", "unused") for x in c.values())' <"$BATS_TEST_TMPDIR/report")" = True ]
  # text and JSON tell of the same
  "$GABION" doctor >"$BATS_TEST_TMPDIR/text"
  report '"\n".join(x["title"] for x in r["checks"])' <"$BATS_TEST_TMPDIR/report" | while read -r title; do
    grep -qF "$title" "$BATS_TEST_TMPDIR/text"
  done
}

@test "doctor changes nothing: no mounts, processes or files are left" {
  before=$(cat /proc/self/mountinfo)
  (cd "$BATS_TEST_TMPDIR" && mkdir empty && cd empty && "$GABION" doctor >/dev/null && [ -z "$(ls -A)" ])
  [ "$(cat /proc/self/mountinfo)" = "$before" ]
}

@test "doctor: another listener (WSL, gabion in gabion)" {
  doctor_without -l
  [ "$status" -eq 1 ]
  [[ $(problem seccomp-notify) == listener-busy* ]]
  run "$without" -l -- "$GABION" doctor
  [[ $output == *"gabion cannot run here: "*"To mend it: "* ]]
}

@test "doctor: a container's default profile" {
  doctor_without unshare=userns clone=userns clone3=userns mount=1 pidfd_getfd=1
  [ "$status" -eq 0 ]
  [ "$(problem user-namespaces)" = container-filter ]
  [ "$(problem pidfd-getfd)" = pidfd-getfd-refused ]
  [ "$(report 'r["mode"]' <<<"$output")" = bare ]
}

@test "doctor: neither namespaces nor Landlock" {
  doctor_without unshare=1 landlock_create_ruleset=95
  [ "$status" -eq 1 ]
  [ "$(report 'r["blocker"]' <<<"$output")" = landlock-off ]
}

@test "doctor: older kernels" {
  doctor_without landlock_create_ruleset=38 io_uring_setup=38
  [ "$status" -eq 0 ]
  [[ $(problem landlock) == landlock-* ]]
  [ "$(problem io-uring)" = io-uring-off ]
  doctor_without fsopen=38
  [ "$(report 'r["mode"]' <<<"$output")" = bare ]
}

@test "doctor: memory that may not be read" {
  doctor_without process_vm_readv=1
  [ "$status" -eq 1 ]
  [ "$(report 'r["blocker"]' <<<"$output")" = memory-refused ]
}

@test "doctor: user.max_user_namespaces is 0" {
  unshare -Ur true 2>/dev/null || skip "no user namespaces here"
  # shellcheck disable=SC2016 # expanded inside
  run unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$GABION" doctor --json'
  [ "$status" -eq 0 ]
  [ "$(problem user-namespaces)" = userns-max ]
}
