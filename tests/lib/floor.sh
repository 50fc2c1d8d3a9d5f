#!/usr/bin/env bash
# floor.sh MODE: the differential test of the plan on one floor (see tests/lib/modes.sh), TAP on stdout. Sourced names: $T, $TESTS.
set -u
. "$SRC/tests/lib/modes.sh"
mode=$1
# The view's claim is about what of the host is shown without being named: not below /tmp, which the guest has its own of.
fixture=$(mktemp -d /srv/gabion-floor.XXXXXX 2>/dev/null) || {
  echo "ok 1 - floor # skip only root can make a directory in /srv"
  echo "1..1"
  exit 0
}
trap 'rm -rf "$fixture"' EXIT
chmod 755 "$fixture"
[ "$mode" = root ] || chown "$MODE_UID:$MODE_UID" "$fixture"
ws=$(mode_workspace "$mode")
cd "$ws" && in_mode "$mode" timeout 240 "$TESTS/floor/floor" "$fixture" "$ws"
status=$?
rm -rf "$ws"
exit "$status"
