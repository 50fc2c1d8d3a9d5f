#!/usr/bin/env bats
# shellcheck disable=SC2154 # mode and ws are set by each_mode
# What the summary says to people about refusals that no rule speaks of.

setup() {
  load common
  load run
}

# A program by NAME that asks for namespaces of its own.
asks() {
  cp "$(command -v unshare)" "./$1"
  ends 1 in_mode "$mode" "$GABION" run -- "./$1" -U true </dev/null || return 1
  [[ $err == *"unshare()"*"$2"* ]] || {
    echo "$1: $err"
    return 1
  }
}

wanting() {
  asks chromium "start it with --no-sandbox" || return 1
  asks codex-linux-sandbox "--agent codex" || return 1
  asks some-other "no option gives namespaces" || return 1
  ends 0 in_mode "$mode" "$GABION" run -- sh -c 'exit 0' </dev/null || return 1
  [[ $err != *sandbox* ]]
}

@test "who wants namespaces of its own is told how to do without" {
  each_mode wanting
}

recorded() {
  # shellcheck disable=SC2016
  guest --audit "$ws/record" --exec "$TESTS" -- sh -c '"$0" clone-user; unshare -U true; nsenter --net=/proc/self/ns/net true' \
    "$TESTS/attack/probe" >/dev/null 2>&1
  is "clone unshare setns" "$(jq -r 'select(.verdict == "deny") | .syscall' record | uniq | tr '\n' ' ' | sed 's/ $//')" "recorded"
}

@test "a refused namespace is in the record" {
  each_mode recorded
}
