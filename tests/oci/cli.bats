#!/usr/bin/env bats
# The command line of the OCI runtime: what engines read of it, the same text as runc's where runc is there.

setup() {
  load common
  set_up_runtime
}

# The last log line's message.
message() {
  jq -r .msg <<<"$(tail -n 1 "$1")"
}

@test "version, in runc's shape" {
  run "$RT" --version
  [ "$status" -eq 0 ]
  [[ ${lines[0]} =~ ^gabion-oci\ version\ [0-9.]+$ ]]
  [[ ${lines[1]} == "commit: "* ]]
  [[ ${lines[2]} == "spec: 1.2.0" ]]
  run "$GABION" oci -v
  [ "$status" -eq 0 ]
  [[ ${lines[0]} == "gabion-oci version "* ]]
}

# One command line a line: both runtimes say the same message and end with the same status.
@test "faults have runc's words and statuses" {
  need runc jq
  need_root
  local line
  mkdir "$BATS_TEST_TMPDIR/b" && "$RT" spec --bundle "$BATS_TEST_TMPDIR/b"
  while IFS= read -r line; do
    set -f
    # shellcheck disable=SC2086 # words
    set -- $line
    set +f
    rm -f "$BATS_TEST_TMPDIR"/*.log
    cd "$BATS_TEST_TMPDIR/b"
    run runc --root "$BATS_TEST_TMPDIR/runc" --log "$BATS_TEST_TMPDIR/runc.log" --log-format json "$@"
    local theirs=$status
    run "$RT" --root "$ROOT" --log "$BATS_TEST_TMPDIR/ours.log" --log-format json "$@"
    echo "$line: $theirs $status"
    [ "$status" -eq "$theirs" ]
    diff <(message "$BATS_TEST_TMPDIR/runc.log") <(message "$BATS_TEST_TMPDIR/ours.log")
  done <<'LINES'
state nosuch
start nosuch
kill nosuch
kill nosuch KILL
delete nosuch
pause nosuch
resume nosuch
exec nosuch x
ps nosuch
update nosuch --memory 1m
events --stats nosuch
create a/b
create ../x
create .
create --bundle / x
run --bundle / x
kill nosuch XYZ
list -f xml
--log-format xml list
LINES
}

@test "wrong use says what was meant and prints help" {
  run "$RT" create
  [ "$status" -eq 1 ]
  [[ $output == *'"create\" requires exactly 1 argument(s)"'* ]]
  [[ $output == *"--pid-file"* ]]
  run "$RT" create --bogus x
  [ "$status" -eq 1 ]
  [[ $output == *"flag provided but not defined: -bogus"* ]]
  run "$RT" bogus
  [ "$status" -eq 3 ]
  run "$RT" --cgroup-manager none list
  [ "$status" -eq 1 ]
  run "$RT" --root "" list
  [ "$status" -eq 1 ]
}

@test "a container id is a name and nothing else" {
  local id long
  long=$(printf 'a%.0s' $(seq 1100))
  for id in ../../x a/b . .. "" $'a\nb' "a b" .new-1 "$long" 'a$b' ä; do
    for command in create state start "kill --all" "delete --force"; do
      # shellcheck disable=SC2086 # words
      run rt $command "$id"
      [ "$status" -ne 0 ] || { echo "$command '$id' was taken"; false; }
    done
  done
  [ -z "$(ls -A "$ROOT")" ]
}

@test "the log is JSON lines, with the fault on standard error as well" {
  need jq
  rt --log "$BATS_TEST_TMPDIR/log" --log-format json state nosuch 2>"$BATS_TEST_TMPDIR/err" && false
  [ "$(cat "$BATS_TEST_TMPDIR/err")" = "container does not exist" ]
  [ "$(jq -r .level "$BATS_TEST_TMPDIR/log")" = error ]
  [ "$(jq -r .msg "$BATS_TEST_TMPDIR/log")" = "container does not exist" ]
  jq -e '.time | fromdate' "$BATS_TEST_TMPDIR/log"
  # appended, not truncated
  rt --log "$BATS_TEST_TMPDIR/log" --log-format json state nosuch 2>/dev/null && false
  [ "$(wc -l <"$BATS_TEST_TMPDIR/log")" -eq 2 ]
}

@test "options in the spellings of Go's packages, and crun's global ones" {
  rt list -format json
  rt list --format=json
  rt list -f json
  rt --debug=true --systemd-cgroup=false --rootless=auto list
  rt --cgroup-manager=disabled list
  rt --cgroup-manager cgroupfs list -q
  run rt --rootless=perhaps list
  [ "$status" -eq 1 ]
  rt delete nosuch --force
}

@test "features is what the specification says it looks like" {
  need jq
  "$RT" features >"$BATS_TEST_TMPDIR/f"
  jq -e '.ociVersionMin == "1.0.0" and .ociVersionMax == "1.2.0" and (.hooks | length) == 6
    and (.mountOptions | index("rbind") and index("rro") and index("tmpcopyup") and index("idmap"))
    and (.linux.namespaces | index("time") and index("cgroup"))
    and (.linux.capabilities | index("CAP_SYS_ADMIN"))
    and .linux.cgroup.v1 and .linux.cgroup.v2 and .linux.cgroup.systemd
    and .linux.seccomp.enabled and (.linux.seccomp.archs | index("SCMP_ARCH_X86_64"))
    and .linux.intelRdt.enabled == false and .linux.mountExtensions.idmap.enabled' "$BATS_TEST_TMPDIR/f"
}

@test "spec writes runc's container" {
  need runc jq
  mkdir "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/b"
  local how
  for how in "" --rootless; do
    rm -f "$BATS_TEST_TMPDIR"/?/config.json
    # shellcheck disable=SC2086 # words
    (cd "$BATS_TEST_TMPDIR/a" && "$RT" spec $how)
    # shellcheck disable=SC2086 # words
    runc spec --bundle "$BATS_TEST_TMPDIR/b" $how
    diff <(jq -S 'del(.ociVersion, .hostname)' "$BATS_TEST_TMPDIR/a/config.json") <(jq -S 'del(.ociVersion, .hostname)' "$BATS_TEST_TMPDIR/b/config.json")
  done
  run "$RT" spec --bundle "$BATS_TEST_TMPDIR/a"
  [ "$status" -eq 1 ]
  [[ $output == *"File config.json exists. Remove it first"* ]]
}

@test "an empty list, as a table, as JSON and as ids" {
  need jq
  [ "$(rt list -f json)" = '[]' ]
  [ "$(rt list)" = "ID          PID         STATUS      BUNDLE      CREATED     OWNER" ]
  [ -z "$(rt list -q)" ]
}

@test "the manual names every command and every option, and no other" {
  local page=$SRC/docs/gabion-oci.8 command
  for command in $("$RT" --help | sed -n '/^COMMANDS:/,/^$/s/^   \([a-z]*\) .*/\1/p'); do
    grep -qE "^\.It Cm $command( |\$)" "$page" || { echo "$command is missing"; false; }
    "$RT" "$command" --help
  done | sed -n 's/^   --\([a-z-]*\).*/\1/p' >"$BATS_TEST_TMPDIR/help"
  "$RT" --help | sed -n 's/^   --\([a-z-]*\).*/\1/p' >>"$BATS_TEST_TMPDIR/help"
  [ "$(wc -l <"$BATS_TEST_TMPDIR/help")" -gt 60 ]
  diff <(sort -u "$BATS_TEST_TMPDIR/help" | grep -vx help) <(sed -n 's/^\.It Fl Fl \([a-z-]*\).*/\1/p' "$page" | sort -u)
}

@test "bash completes commands and their options" {
  "$GABION" completion bash >"$BATS_TEST_TMPDIR/c"
  complete_line() {
    bash -c 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _gabion_oci; printf "%s\n" "${COMPREPLY[@]}"' bash "$BATS_TEST_TMPDIR/c" "$@"
  }
  [ "$(complete_line gabion-oci cre)" = create ]
  [ "$(complete_line gabion-oci --root /x del)" = delete ]
  [ "$(complete_line gabion-oci delete --fo)" = --force ]
  complete_line gabion-oci --log /x exec -- | grep -qx -- --process
  [ "$(complete_line gabion-oci --systemd)" = --systemd-cgroup ]
}
