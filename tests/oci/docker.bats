#!/usr/bin/env bats
# dockerd, started by hand without a bridge, with gabion as a runtime of its configuration.

setup_file() {
  load common
  load engine
  [ "$(id -u)" -eq 0 ] && command -v dockerd docker busybox jq >/dev/null || return 0
  set_up_engine
  make_image
  jq -n --arg rt "$RT" '{runtimes: {gabion: {path: $rt}}, "default-ulimits": {nofile: {Name: "nofile", Hard: 1024, Soft: 1024}}}' >"$E/daemon.json"
  # A directory of its own with a short name: sockets have 107 bytes.
  D=$(mktemp -d /tmp/gd.XXXXXX)
  echo "$D" >"$E/docker.dir"
  dockerd --config-file "$E/daemon.json" --iptables=false --ip6tables=false --bridge=none --data-root "$D/data" \
    --exec-root "$D/exec" -H "unix://$D/s" --pidfile "$D/pid" >"$E/dockerd.log" 2>&1 3>&- &
  echo $! >"$E/dockerd.pid"
  until_true docker -H "unix://$D/s" version >/dev/null 2>&1 || { tail -5 "$E/dockerd.log"; return 0; }
  docker -H "unix://$D/s" import "$E/image.tar" mini >/dev/null && touch "$E/ready"
}

teardown_file() {
  [ -e "$E/dockerd.pid" ] || return 0
  load common
  D=$(cat "$E/docker.dir")
  docker -H "unix://$D/s" ps -aq | xargs -r docker -H "unix://$D/s" rm -f >/dev/null 2>&1
  kill "$(cat "$E/dockerd.pid")"
  for _ in $(seq 100); do
    kill -0 "$(cat "$E/dockerd.pid")" 2>/dev/null || break
    sleep 0.1
  done
  awk -v d="$D/" 'index($5, d) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r -n 1 umount
  rm -rf "$D"
  remove_groups docker 2>/dev/null
  return 0
}

setup() {
  load common
  load engine
  need dockerd docker busybox jq
  need_root
  [ -e "$E/ready" ] || skip "dockerd does not start here"
  D=$(cat "$E/docker.dir")
}

d() {
  timeout 100 docker -H "unix://$D/s" "$@"
}

drun() {
  d run --rm --network none --runtime gabion "$@"
}

@test "run: output, status, standard input, a missing program, one that cannot be run" {
  run drun mini echo hi
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$output" = hi ]
  run drun mini sh -c 'exit 42'
  [ "$status" -eq 42 ]
  [ "$(echo in | drun -i mini cat)" = in ]
  run drun mini /nosuch
  echo "$output"
  [ "$status" -eq 127 ]
  run drun mini nosuch
  [ "$status" -eq 127 ]
  run drun mini /etc/passwd
  echo "$output"
  [ "$status" -eq 126 ]
  run drun mini /etc
  [ "$status" -eq 126 ]
}

@test "the hardened container's options" {
  run drun --read-only --tmpfs /tmp:rw,noexec,nosuid,size=2g --cap-drop=ALL --security-opt no-new-privileges --pids-limit 100 --memory 2g \
    --memory-swap 2g --cpus 2 --user 1001 -v "$BATS_TEST_DIRNAME/inside.sh:/inside.sh:ro" \
    --tmpfs /run:rw,noexec,nosuid,size=100m mini sh /inside.sh
  echo "$output"
  [[ $output == *properties* ]]
  [ "$(grep -c '^ok' <<<"$output")" -ge 28 ]
  [ "$(grep -c '^not ok' <<<"$output")" -eq 0 ]
}

@test "a container in the background: logs, exec, top, stats, pause, stop" {
  d run -d --name bg --network none --runtime gabion mini sh -c 'trap "exit 3" TERM; echo up; while :; do sleep 0.1; done' >/dev/null
  until_true sh -c "docker -H unix://$D/s logs bg | grep -qx up"
  [ "$(d exec bg echo in)" = in ]
  run d exec bg sh -c 'exit 7'
  [ "$status" -eq 7 ]
  run d exec bg /nosuch
  echo "$output"
  [ "$status" -eq 127 ] || [ "$status" -eq 126 ]
  [ "$(echo x | d exec -i bg cat)" = x ]
  d top bg | grep -q sh
  d stats --no-stream --format '{{.PIDs}} {{.MemUsage}}' bg | grep -qE '^[1-9]'
  d pause bg
  [ "$(d inspect -f '{{.State.Status}}' bg)" = paused ]
  d unpause bg
  d update --memory 64m --memory-swap 64m bg >/dev/null
  [ "$(d inspect -f '{{.HostConfig.Memory}}' bg)" = 67108864 ]
  d stop -t 20 bg >/dev/null
  [ "$(d inspect -f '{{.State.ExitCode}}' bg)" = 3 ]
  d start bg >/dev/null
  d kill bg >/dev/null
  [ "$(d wait bg)" = 137 ]
  d rm bg >/dev/null
}

@test "the engine's own init, and out of memory told" {
  run drun --init mini echo with-init
  [ "$output" = with-init ]
  d run --name oom --network none --runtime gabion --memory 32m --memory-swap 32m mini sh -c 'x=$(head -c 200000000 /dev/zero | tr "\0" a)' || true
  until_true sh -c "[ \$(docker -H unix://$D/s inspect -f '{{.State.Running}}' oom) = false ]"
  [ "$(d inspect -f '{{.State.ExitCode}}' oom)" != 0 ]
  d rm oom >/dev/null
}
