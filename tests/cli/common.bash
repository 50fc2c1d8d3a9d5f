# Shared by the command line's tests. make check sets GABION, TESTS and SRC; alone they are the build's.
# shellcheck shell=bash
bats_require_minimum_version 1.5.0
SRC=${SRC:-$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}
BUILD=${BUILD:-$SRC/build}
GABION=${GABION:-$BUILD/gabion}
TESTS=${TESTS:-$BUILD/tests}
export SRC BUILD GABION TESTS

# The subcommands, as --help lists them.
subcommands() {
  "$GABION" --help | awk '/^Subcommands/ { on = 1; next } /^$/ { on = 0 } on && /^  [a-z]/ { print $1 }' >"$BATS_TEST_TMPDIR/subcommands"
  # Few would make every test over them an empty one.
  [ "$(wc -l <"$BATS_TEST_TMPDIR/subcommands")" -ge 10 ] || { echo no-subcommands-found; return 1; }
  cat "$BATS_TEST_TMPDIR/subcommands"
}

# Long options of a --help text on standard input.
long_options() {
  sed -n 's/^  \(-., \|    \)--\([a-z-]*\).*/\2/p' | sort
}

# shellcheck disable=SC2154 # status, output and lines are set by run
# Fails unless the last `run` ended with $1 and said $2; output is at most two lines, each of one sentence.
refused() {
  if [ "$status" -ne "$1" ] || [[ $output != "gabion: "*"$2"* ]] || [ "${#lines[@]}" -gt 2 ]; then
    echo "status $status, output: $output"
    return 1
  fi
}

[ -x "$GABION" ] || {
  echo "there is no $GABION: make builds it"
  false
}
