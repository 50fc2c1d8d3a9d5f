# What tests of whole runs share; loaded after common.bash. Each test goes through the floors of CHECK_MODES (tests/lib/modes.sh).
# shellcheck shell=bash
[ -n "${T-}" ] || {
  echo "these tests need what make check sets up: CHECK=cli make check"
  false
}
# shellcheck source=../lib/modes.sh
. "$SRC/tests/lib/modes.sh"
CHECK_MODES=${CHECK_MODES:-$(modes_available)}

# each_mode FUNCTION ARG...: in a workspace of its own on every floor; $mode and $ws are set. Fails on the first that fails.
each_mode() {
  for mode in $CHECK_MODES; do
    ws=$(mode_workspace "$mode")
    cd "$ws" || return 1
    "$@" || {
      echo "on the floor: $mode"
      return 1
    }
    cd / || return 1
  done
}

# gabion with words before its command; standard input is empty.
guest() {
  gabion_run "$mode" "$@" </dev/null
}

# is WANTED GOT WHAT
is() {
  [ "$1" = "$2" ] || {
    echo "${3-}: wanted '$1', got '$2'"
    return 1
  }
}

# ends STATUS COMMAND...: output is in $out, errors in $err.
ends() {
  local wanted=$1 status=0
  shift
  "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
  out=$(<"$BATS_TEST_TMPDIR/out")
  err=$(<"$BATS_TEST_TMPDIR/err")
  [ "$status" -eq "$wanted" ] || {
    echo "$*: wanted status $wanted, got $status: $out $err"
    return 1
  }
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.02
  done
}
