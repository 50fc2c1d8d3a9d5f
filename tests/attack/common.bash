# shellcheck shell=bash
# For attack tests. Every attack is run natively (it must succeed, or the test proves nothing), inside (it must not), and inside where it
# is permitted (it must succeed again). check.sh sets $T, $GABION, $TESTS, $SRC and $CHECK_MODES.
#
#   native MODE CMD...            as MODE's user, without gabion, in $WS
#   inside MODE OPTION... -- CMD  in gabion, in $WS, with every call there is; both ways of mediation with each_way
#   got / held CMD...             fails the test unless CMD's exit status is 0 / 1 (attack.h)
#   won CMD...                    as got, for a race: tried again until it is won (lib/races.bash)

# shellcheck source=../lib/modes.sh
. "$SRC/tests/lib/modes.sh"
# shellcheck source=../lib/races.bash
. "$SRC/tests/lib/races.bash"
# shellcheck disable=SC2034 # for the files that load this one
ATTACK=$TESTS/attack
export ATTACK_SECONDS=${ATTACK_SECONDS:-0.3}
PATIENCE=$((${ATTACK_SECONDS%.*} + 60)) # seconds until something hangs
modes=${CHECK_MODES:-$(modes_available)}

# Modes of this host; BATS tests are one for each subject, not for each mode.
each_mode() {
  local mode
  for mode in $modes; do
    WS=$(mode_workspace "$mode")
    OUT=$(mktemp -d "$T/out.XXXXXX")
    chmod 755 "$OUT"
    [ "$mode" = root ] || [ "$(id -u)" -ne 0 ] || chown "$MODE_UID:$MODE_UID" "$OUT"
    "$@" "$mode" || {
      echo "mode $mode: $*" >&2
      return 1
    }
    chmod -R u+rwX "$WS" "$OUT" 2>/dev/null
    rm -rf "$WS" "$OUT"
  done
}

native() {
  local mode=$1
  shift
  (cd "$WS" && in_mode "$mode" timeout "$PATIENCE" "$@")
}

inside() {
  local mode=$1
  shift
  (cd "$WS" && in_mode "$mode" timeout "$PATIENCE" "$GABION" run --quiet --mediate "${WAY:-auto}" --syscalls wide --exec "$TESTS" "$@")
}

# Both ways of mediation.
each_way() {
  local WAY
  for WAY in auto all; do
    "$@" || {
      echo "--mediate $WAY: $*" >&2
      return 1
    }
  done
}

got() {
  local status=0
  "$@" || status=$?
  [ "$status" -eq 0 ] || {
    echo "not got (status $status): $*" >&2
    return 1
  }
}

held() {
  local status=0
  "$@" || status=$?
  [ "$status" -eq 1 ] || {
    echo "not held (status $status): $*" >&2
    return 1
  }
}

# A write that must not work, by its exit status alone.
refused() {
  if "$@" 2>/dev/null; then
    echo "not refused: $*" >&2
    return 1
  fi
}
