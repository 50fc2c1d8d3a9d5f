#!/usr/bin/env bats
# The life of containers on the runtime's own command line: states, races, a kill -9 anywhere, many at once.

setup() {
  load common
  need busybox jq
  need_root
  set_up_runtime
  B=$BATS_TEST_TMPDIR/b
}

teardown() {
  [ -z "${ROOT-}" ] || clean_up
}

create() { # ID [OPTION...]: in the background of nobody: with its own descriptors
  local id=$1
  shift
  rt create --bundle "$B" "$@" "$id" </dev/null >"$BATS_TEST_TMPDIR/$id.out" 2>&1 3>&-
}

@test "created, running, paused, stopped, gone" {
  make_bundle "$B" sleep 1000
  create c --pid-file "$BATS_TEST_TMPDIR/pid"
  is_status c created
  [ "$(cat "$BATS_TEST_TMPDIR/pid")" = "$(rt state c | jq .pid)" ]
  rt start c
  is_status c running
  [ "$(cat "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/comm")" = sleep ]
  run rt start c
  [ "$status" -eq 1 ]
  [[ $output == *"cannot start an already running container"* ]]
  run rt delete c
  [ "$status" -eq 1 ]
  [[ $output == *"cannot delete container c that is not stopped: running"* ]]
  run create c
  [ "$status" -eq 1 ]
  grep -q "container with given ID already exists" "$BATS_TEST_TMPDIR/c.out"
  rt pause c
  is_status c paused
  run rt exec c true
  [ "$status" -eq 255 ]
  rt resume c
  is_status c running
  run rt resume c
  [[ $output == *"container not paused"* ]]
  rt exec c true </dev/null
  rt kill c KILL
  until_true is_status c stopped
  run rt kill c KILL
  [ "$status" -eq 1 ]
  [[ $output == *"container not running"* ]]
  run rt exec c true
  [ "$status" -eq 255 ]
  [[ $output == *"cannot exec in a stopped container"* ]]
  run rt start c
  [ "$status" -eq 1 ]
  run rt pause c
  [[ $output == *"container not running"* ]]
  rt delete c
  run rt state c
  [[ $output == *"container does not exist"* ]]
  nothing_left
}

@test "run: its status, its signals, nothing left" {
  make_bundle "$B" sh -c 'exit 33'
  run rt run --bundle "$B" c
  echo "$output"
  [ "$status" -eq 33 ]
  nothing_left
  make_bundle "$B" sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.1; done'
  "$RT" --root "$ROOT" run --bundle "$B" c </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  until_true grep -q up "$BATS_TEST_TMPDIR/out"
  kill -TERM $!
  wait $! || status=$?
  [ "$status" -eq 5 ]
  nothing_left
  make_bundle "$B" sleep 1000
  "$RT" --root "$ROOT" run --bundle "$B" c </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
  until_true is_status c running
  rt kill c KILL
  wait $! || status=$?
  [ "$status" -eq 137 ]
  nothing_left
  rt run --keep --bundle "$B" -d c </dev/null >/dev/null 2>&1 3>&-
  is_status c running
  rt delete -f c
  nothing_left
}

@test "a container that was created and never started is deleted, and killed" {
  make_bundle "$B" true
  create a
  rt delete a
  nothing_left
  create a
  rt kill a KILL
  until_true is_status a stopped
  rt delete a
  nothing_left
}

@test "list, ps and state tell of what there is" {
  make_bundle "$B" sh -c 'sleep 1000 & sleep 1000; true'
  create one
  rt start one
  local first=$B
  B=$BATS_TEST_TMPDIR/b2
  make_bundle "$B" true
  create two
  B=$first
  [ "$(rt list -q | tr '\n' ' ')" = "one two " ]
  [ "$(rt list -f json | jq -r '.[] | .id + " " + .status + " " + .owner' | tr '\n' ' ')" = "one running root two created root " ]
  rt list | grep -E "^one +[0-9]+ +running +$B +20..-..-..T.*Z +root$"
  until_true sh -c "[ \$('$RT' --root '$ROOT' ps -f json one | jq length) -eq 3 ]"
  rt ps one | head -n 1 | grep -q 'PID'
  [ "$(rt ps one | wc -l)" -eq 4 ]
  rt ps one aux | grep -q sleep
  rt state one | jq -e '.ociVersion == "1.2.0" and .id == "one" and .status == "running" and .pid > 1 and (.bundle | length) > 1 and (.created | fromdateiso8601? // (. != ""))'
  rt kill one TERM
  rt kill --all one KILL
  until_true is_status one stopped
  rt delete one
  rt delete two
  nothing_left
}

@test "limits are changed while it runs, and told by events" {
  make_bundle "$B" sleep 1000
  change "$B" '.linux.resources.memory.limit = 67108864 | .linux.resources.pids.limit = 50'
  create c
  rt start c
  rt events --stats c | jq -e '.type == "stats" and .id == "c" and .data.memory.usage.limit == 67108864 and .data.pids.limit == 50 and .data.pids.current == 1 and .data.cpu.usage.total > 0'
  rt update --memory 128m --pids-limit 60 c
  rt events --stats c | jq -e '.data.memory.usage.limit == 134217728 and .data.pids.limit == 60'
  echo '{"memory":{"limit":33554432},"cpu":{"quota":50000,"period":100000}}' | rt update -r - c
  rt events --stats c | jq -e '.data.memory.usage.limit == 33554432'
  run rt update --memory nonsense c
  [ "$status" -eq 1 ]
  echo '{"memroy":{}}' >"$BATS_TEST_TMPDIR/r"
  run rt update -r "$BATS_TEST_TMPDIR/r" c
  [ "$status" -eq 1 ]
  [[ $output == *memroy* ]]
  rt delete -f c
}

@test "of many creates of one id one wins, and deletes race with them" {
  make_bundle "$B" sleep 1000
  local i won pids=()
  for i in $(seq 8); do
    (create same && echo won >"$BATS_TEST_TMPDIR/won.$i") &
    pids+=($!)
  done
  wait "${pids[@]}" || true
  pids=()
  won=$(cat "$BATS_TEST_TMPDIR"/won.* | grep -c won)
  [ "$won" -eq 1 ]
  is_status same created
  for i in $(seq 6); do
    rt delete --force same >/dev/null 2>&1 3>&- &
    pids+=($!)
    (create same) >/dev/null 2>&1 3>&- &
    pids+=($!)
  done
  wait "${pids[@]}" || true
  rt delete --force same
  nothing_left
}

@test "two hundred containers at once come and go" {
  make_bundle "$B" true
  # each a group of its own, below the caller's
  change "$B" 'del(.linux.cgroupsPath)'
  # 200 in all, by 8 at a time: two processors are shared with others
  export -f rt create
  export RT ROOT B CG
  seq 200 | xargs -P 8 -I{} bash -c 'rt create --bundle "$B" $CG-{} </dev/null >/dev/null 3>&- && rt start $CG-{} && rt delete --force $CG-{} || echo "failed {}"' >"$BATS_TEST_TMPDIR/out" 2>&1
  cat "$BATS_TEST_TMPDIR/out"
  [ ! -s "$BATS_TEST_TMPDIR/out" ]
  nothing_left
  [ -z "$(find /sys/fs/cgroup -name "$CG-*")" ]
}

# A kill -9 at each of many moments of create, then of delete; then one delete --force.
killed_at() { # COMMAND...: with delays from nothing to beyond its whole time
  local delay
  for delay in 0 0.002 0.004 0.006 0.008 0.010 0.012 0.014 0.016 0.018 0.020 0.024 0.028 0.032 0.036 0.04 0.045 0.05 0.06 0.07 0.08 0.1 0.15; do
    [ -z "${BEFORE-}" ] || "$BEFORE"
    "$RT" --root "$ROOT" "$@" </dev/null >/dev/null 2>&1 3>&- &
    sleep "$delay"
    kill -KILL $! 2>/dev/null || true
    wait $! 2>/dev/null || true
    timeout 60 "$RT" --root "$ROOT" delete --force k || { echo "delete after $delay failed"; return 1; }
    timeout 60 "$RT" --root "$ROOT" delete --force k
    nothing_left || { echo "killed after $delay"; return 1; }
  done
}

@test "a create killed anywhere leaves what delete --force cleans" {
  make_bundle "$B" sleep 1000
  killed_at create --bundle "$B" k
}

@test "a delete killed anywhere leaves what another one cleans" {
  make_bundle "$B" sleep 1000
  before() {
    create k
    rt start k
  }
  BEFORE=before killed_at delete --force k
}

@test "a start and a run killed anywhere leave what delete --force cleans" {
  make_bundle "$B" sleep 1000
  before() { create k; }
  BEFORE=before killed_at start k
  killed_at run --bundle "$B" k
}

@test "what an older gabion wrote is listed, killed and deleted" {
  local dir
  for dir in "$BATS_TEST_DIRNAME"/fixtures/*/; do
    mkdir -p "$ROOT"
    cp -r "$dir" "$ROOT/old"
    is_status old stopped
    rt list -q | grep -qx old
    run rt kill old KILL
    [[ $output == *"container not running"* ]]
    rt delete old
    [ ! -e "$ROOT/old" ]
  done
  # one that runs: its state as that gabion would have written it
  make_bundle "$B" sleep 1000
  create new
  rt start new
  jq -c 'del(.gabion, .unknown) | .format = 1 | .from_a_later_one = {a: 1}' "$ROOT/new/state.json" >"$BATS_TEST_TMPDIR/s"
  cp "$BATS_TEST_TMPDIR/s" "$ROOT/new/state.json"
  is_status new running
  [ "$(rt exec new echo in </dev/null)" = in ]
  rt kill new KILL
  until_true is_status new stopped
  rt delete new
  # what a newer one wrote is not guessed at
  create new
  jq -c '.format = 99' "$ROOT/new/state.json" >"$BATS_TEST_TMPDIR/s"
  cp "$ROOT/new/state.json" "$BATS_TEST_TMPDIR/good"
  cp "$BATS_TEST_TMPDIR/s" "$ROOT/new/state.json"
  run rt delete --force new
  [ "$status" -eq 1 ]
  [[ $output == *"newer gabion"* ]]
  cp "$BATS_TEST_TMPDIR/good" "$ROOT/new/state.json"
  rt delete --force new
  nothing_left
}
