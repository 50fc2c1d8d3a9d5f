#!/usr/bin/env bats
# shellcheck disable=SC2154 # mode and ws are set by each_mode
# Every process of gabion's is confined by a seccomp list of its own while a run goes on, and gains nothing any more.

setup() {
  load common
  load run
}

confined() {
  local pid own seen=0 p tries next
  guest -- sleep 3 &
  pid=
  for tries in $(seq 60); do
    sleep 0.05
    # The monitor is the one that has the sentry and the relay for children.
    own=$(pgrep -f "^$GABION run --quiet -- sleep 3" | head -n 1)
    [ -n "$own" ] && [ "$(pgrep -c -P "$own")" -ge 2 ] && grep -q 'Seccomp:.2' "/proc/$own/status" 2>/dev/null && pid=$own && break
  done
  [ -n "$pid" ] || { echo "no monitor found after $tries looks"; return 1; }
  # Below the sentry: the tracer, and init below that.
  next=$(pgrep -P "$pid" -d ,)
  for p in "$pid" $(pgrep -P "$pid") $(pgrep -P "$next") $(pgrep -P "$(pgrep -P "$next" -d ,)"); do
    [ -e "/proc/$p/status" ] || continue
    grep -q 'Seccomp:.2' "/proc/$p/status" || { echo "not confined: $(tr '\0' ' ' <"/proc/$p/cmdline") $(grep -E 'Name|Seccomp' "/proc/$p/status")"; return 1; }
    grep -q 'NoNewPrivs:.1' "/proc/$p/status" || { echo "may gain: $p"; return 1; }
    seen=$((seen + 1))
  done
  [ "$seen" -ge 5 ] || { echo "only $seen processes seen"; return 1; }
  kill "$pid"
  wait
}

@test "monitor, tracer, relay, sentry and init are confined" {
  each_mode confined
}
