#!/usr/bin/env bats
# gabion bench: what it takes, and that it tells what it cannot measure. Figures are nobody's test.

setup() {
  load common
}

@test "bench without the programs that measure says where they are" {
  run "$GABION" bench verdict
  [ "$status" -eq 125 ]
  [[ $output == *"not beside this gabion"* && $output == *"make bench"* ]]
}

@test "bench prints rows as JSON, for the sections that are named" {
  [ -x "$BUILD/bench/verdict" ] && [ -x "$BUILD/bench/ab" ] || skip "the programs of make bench are not built"
  run --separate-stderr "$BUILD/gabion" bench --json verdict
  [ "$status" -eq 0 ]
  jq -e '(.rows | length) == 2 and all(.rows[]; .group == "verdict" and .gabion > 0) and (.environment | startswith("Linux"))' <<<"$output"
}

@test "bench refuses what it does not know, and says what it cannot measure" {
  [ -x "$BUILD/bench/verdict" ] && [ -x "$BUILD/bench/ab" ] || skip "the programs of make bench are not built"
  run "$BUILD/gabion" bench nonsense
  [ "$status" -eq 2 ] && [[ $output == *nonsense* ]]
  run "$BUILD/gabion" bench --against nonsense verdict
  [ "$status" -eq 2 ]
  run --separate-stderr "$BUILD/gabion" bench --against native,strace --json verdict
  [ "$status" -eq 0 ]
  # shellcheck disable=SC2154 # bats sets it
  [[ $stderr == *"no section measures beside strace"* ]]
}
