#!/usr/bin/env bats
# Where the host's mounts are shared (systemd makes them so), nothing a run mounts may appear on the host.
# shellcheck disable=SC2154 # CHECK_MODES is set by run.bash

setup() {
  load common
  load run
}

@test "no mount of a run reaches a host whose mounts are shared" {
  [ "$(id -u)" -eq 0 ] || skip "making mounts shared takes root"
  for mode in $CHECK_MODES; do
    [ "$mode" != bare ] || continue
    ws=$(mode_workspace "$mode")
    cat >"$T/shared.sh" <<'S'
cut -d' ' -f5- /proc/self/mountinfo | sort >"$1/before"
cd "$2" || exit 1
. "$SRC/tests/lib/modes.sh"
gabion_run "$3" -- sleep 1 &
sleep 0.5
cut -d' ' -f5- /proc/self/mountinfo | sort >"$1/during"
id=$(in_mode "$3" "$GABION" ps | awk 'NR == 2 { print $1 }')
in_mode "$3" "$GABION" allow "$id" read /usr/share/doc >/dev/null 2>&1
wait
cut -d' ' -f5- /proc/self/mountinfo | sort >"$1/after"
S
    unshare --mount --propagation shared bash "$T/shared.sh" "$T" "$ws" "$mode"
    diff "$T/before" "$T/during"
    diff "$T/before" "$T/after"
    rmdir "$ws"
  done
}
