# shellcheck shell=bash
# Network tests run in a host and an internet of their own (world.py). For setup_file and teardown_file of bats files.
#
#   world_up / world_down     make it, take it away; $W is its directory
#   in_world MODE CMD...      on that host, as MODE's user, in the workspace $WS
#   inside MODE OPTION... -- CMD   the same in gabion

# shellcheck source=tests/lib/modes.sh
. "$SRC/tests/lib/modes.sh"
modes=${CHECK_MODES:-$(modes_available)}

world_up() {
  [ "$(id -u)" -eq 0 ] || skip "only root makes network namespaces with servers in them"
  W=$(mktemp -d "$T/world.XXXXXX")
  chmod 755 "$W"
  mkfifo "$W/stdin"
  python3 "$SRC/tests/lib/world.py" "$W" <"$W/stdin" >"$W/log" 2>&1 3>&- &
  echo $! >"$W/world.pid"
  exec 8>"$W/stdin"
  for _ in $(seq 200); do
    [ -e "$W/ready" ] && break
    kill -0 "$(cat "$W/world.pid")" 2>/dev/null || break
    sleep 0.05
  done
  [ -e "$W/ready" ] || {
    cat "$W/log" >&2
    return 1
  }
  chmod 644 "$W"/*.pem
  export W
}

world_down() {
  [ -n "${W:-}" ] || return 0
  kill "$(cat "$W/pid")" "$(cat "$W/world.pid")" 2>/dev/null
  rm -rf "$W"
}

in_world() {
  local mode=$1
  shift
  export -f in_mode
  # shellcheck disable=SC2016 # the inner shell's
  nsenter -t "$(cat "$W/pid")" -n -m bash -c 'cd "$WS" && . "$SRC/tests/lib/modes.sh" && in_mode "$@"' - "$mode" timeout 60 "$@"
}

inside() {
  local mode=$1
  shift
  in_world "$mode" "$GABION" run --quiet --mediate "${WAY:-auto}" --exec "$TESTS" --read "$W" "$@"
}

# Runs "$@" MODE for each mode that is not in $NOT.
each_mode() {
  local mode
  for mode in $modes; do
    case " ${NOT:-} " in *" $mode "*) continue ;; esac
    WS=$(mode_workspace "$mode")
    export WS
    "$@" "$mode" || {
      echo "mode $mode: $*" >&2
      return 1
    }
    rm -rf "$WS"
  done
}

each_way() {
  local WAY
  for WAY in auto all; do
    "$@" || {
      echo "--mediate $WAY: $*" >&2
      return 1
    }
  done
}

# is WANT GOT WHAT
is() {
  [ "$1" = "$2" ] || {
    printf '%s: not "%s" but "%s"\n' "$3" "$1" "$2" >&2
    return 1
  }
}
