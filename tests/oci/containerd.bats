#!/usr/bin/env bats
# containerd and its runc shim with gabion as the runtime's binary, by ctr. Its image is podman's.

setup_file() {
  load common
  load engine
  [ "$(id -u)" -eq 0 ] && command -v containerd ctr podman busybox jq >/dev/null || return 0
  set_up_engine
  podman_conf
  podman_image
  pod save -q -o "$E/mini.tar" mini
  cat >"$E/config.toml" <<CONF
version = 2
root = "$E/cd"
state = "$E/cds"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "$E/cd.sock"
CONF
  containerd -c "$E/config.toml" >"$E/containerd.log" 2>&1 3>&- &
  echo $! >"$E/containerd.pid"
  until_true ctr -a "$E/cd.sock" version >/dev/null
  ctr -a "$E/cd.sock" image import "$E/mini.tar" >/dev/null
}

teardown_file() {
  [ -e "$E/containerd.pid" ] || return 0
  load common
  load engine
  for c in $(ctr -a "$E/cd.sock" task ls -q); do
    ctr -a "$E/cd.sock" task kill -s KILL -a "$c"
    ctr -a "$E/cd.sock" task rm -f "$c"
  done >/dev/null 2>&1
  kill "$(cat "$E/containerd.pid")"
  umount "$E/storage/overlay" 2>/dev/null
  remove_groups default 2>/dev/null
  return 0
}

setup() {
  load common
  load engine
  need containerd ctr podman busybox jq
  need_root
  [ -e "$E/containerd.pid" ]
}

c() {
  timeout 100 ctr -a "$E/cd.sock" "$@"
}

crun_() { # NAME COMMAND...
  c run --rm --runc-binary "$RT" --runc-root "$E/rr" localhost/mini:latest "$@"
}

@test "run: output, status, a missing program" {
  run crun_ c1 echo hi
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$output" = hi ]
  run crun_ c2 sh -c 'exit 42'
  [ "$status" -eq 42 ]
  run crun_ c4 /nosuch
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"no such file or directory"* ]]
  [ -z "$(c container ls -q)" ]
}

@test "limits and a read-only root" {
  c run -d --runc-binary "$RT" --runc-root "$E/rr" --memory-limit 67108864 --cpus 2 --read-only localhost/mini:latest l sleep 1000 3>&-
  "$RT" --root "$E/rr/default" events --stats l | jq -e '.data.memory.usage.limit == 67108864'
  run c task exec --exec-id e1 l touch /x
  [ "$status" -ne 0 ]
  [[ $output == *"Read-only file system"* ]]
  c task kill -s KILL l
  until_true sh -c "ctr -a '$E/cd.sock' task ls | grep -qE 'l +[0-9]+ +STOPPED'"
  c task rm l || true
  c container rm l
}

@test "a container in the background: exec, pause, metrics, kill, delete" {
  c run -d --runc-binary "$RT" --runc-root "$E/rr" localhost/mini:latest bg sleep 1000 3>&-
  [ "$(c task exec --exec-id e1 bg echo in)" = in ]
  run c task exec --exec-id e2 bg sh -c 'exit 9'
  echo "$status: $output"
  [ "$status" -eq 9 ]
  c task ls | grep -E 'bg +[0-9]+ +RUNNING'
  c task pause bg
  c task ls | grep -E 'bg +[0-9]+ +PAUSED'
  c task resume bg
  c task ps bg | grep -qE '^[0-9]+'
  c task metrics bg | grep -q memory
  c task kill -s KILL bg
  until_true sh -c "ctr -a '$E/cd.sock' task ls | grep -qE 'bg +[0-9]+ +STOPPED'"
  c task rm bg || true
  c container rm bg
  [ -z "$(c task ls -q)" ]
}
