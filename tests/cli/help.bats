#!/usr/bin/env bats
# Help, version, and the manual in step with the option table.

setup() {
  load common
}

@test "gabion --help lists the subcommands" {
  run "$GABION" --help
  [ "$status" -eq 0 ]
  for name in run doctor explain ps log allow syscalls completion help version; do
    [[ $(subcommands) == *"$name"* ]]
  done
}

@test "every subcommand has --help and -h, on standard output" {
  for name in $(subcommands); do
    "$GABION" "$name" --help >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
    [ ! -s "$BATS_TEST_TMPDIR/err" ]
    grep -q "^usage: gabion $name" "$BATS_TEST_TMPDIR/out"
    "$GABION" "$name" -h | cmp - "$BATS_TEST_TMPDIR/out"
    "$GABION" help "$name" | cmp - "$BATS_TEST_TMPDIR/out"
  done
}

@test "help fits a terminal of 80 columns" {
  for name in "" $(subcommands); do
    # shellcheck disable=SC2086 # empty: gabion itself
    "$GABION" $name --help | awk 'length($0) > 80 { print; bad = 1 } END { exit bad }'
  done
}

@test "version" {
  run "$GABION" --version
  [ "$status" -eq 0 ]
  [[ $output =~ ^gabion\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
  [ "$("$GABION" version)" = "$output" ]
  [ "$("$GABION" -V)" = "$output" ]
}

@test "no subcommand: help on standard error, status 125" {
  run --separate-stderr "$GABION"
  [ "$status" -eq 125 ]
  [ -z "$output" ]
  # shellcheck disable=SC2154 # set by run
  [[ $stderr == usage:* ]]
}

@test "options of the command are not gabion's" {
  run "$GABION" explain --profile strict -- ls --help
  [ "$status" -eq 0 ]
  [[ $output != usage:* ]]
}

@test "a full output device is an error" {
  [ -e /dev/full ] || skip "no /dev/full"
  run bash -c '"$GABION" --help >/dev/full'
  [ "$status" -eq 125 ]
}

@test "the manual has every subcommand with just its options" {
  command -v mandoc >/dev/null || skip "mandoc is missing"
  for name in $(subcommands); do
    grep -q "^\.Cm $name" "$SRC/docs/gabion.1" || { echo "no $name in SYNOPSIS"; false; }
    table=$("$GABION" "$name" --help | long_options | grep -v '^help$' || true)
    [ -n "$table" ] || continue
    manual=$(awk -v s=".Ss gabion $name" '$0 == s { on = 1; next } /^\.S[sh]/ { on = 0 } on && /^\.It/ { print }' \
      "$SRC/docs/gabion.1" | grep -o 'Fl -[a-z][a-z-]*' | sed 's/^Fl -//' | grep -v '^help$' | sort -u || true)
    # explain takes the options of run; its section has what it adds
    if [ "$name" = explain ]; then
      table=$(comm -23 <(echo "$table") <("$GABION" run --help | long_options))
    fi
    diff <(echo "$table") <(echo "$manual")
  done
}

@test "the manual says not yet where help does" {
  for option in $("$GABION" run --help | tr '\n' ' ' | grep -o -- '--[a-z]* [^ ]* [^-]*(not *yet' | grep -o -- '^--[a-z]*'); do
    grep -A 6 "Fl -${option#--} " "$SRC/docs/gabion.1" | grep -q "Not there yet"
    grep -q -- "$option" "$SRC/docs/LIMITS.md"
  done
}
