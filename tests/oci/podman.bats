#!/usr/bin/env bats
# podman with gabion as its runtime: what people do with containers, each the way it is with runc.

setup_file() {
  load common
  load engine
  [ "$(id -u)" -eq 0 ] && command -v podman busybox jq >/dev/null || return 0
  set_up_engine
  podman_conf
  podman_image
}

teardown_file() {
  [ -e "$E/containers.conf" ] || return 0
  load common
  load engine
  pod rm --force --all --time 1 >/dev/null 2>&1
  umount "$E/storage/overlay" 2>/dev/null
  remove_groups libpod_parent/conmon 2>/dev/null
  remove_groups libpod_parent 2>/dev/null
  return 0
}

setup() {
  load common
  load engine
  need podman busybox jq
  need_root
}

teardown() {
  [ -z "${E-}" ] || pod rm --force --all --time 1 >/dev/null 2>&1 || true
}

@test "run: output, status, a missing program, one that cannot be run" {
  run prun mini echo hi
  [ "$status" -eq 0 ]
  [ "$output" = hi ]
  run prun mini sh -c 'exit 42'
  [ "$status" -eq 42 ]
  run prun mini sh -c 'kill -TERM $$; sleep 5'
  echo "$output"
  [ "$status" -eq 143 ] || [ "$status" -eq 0 ]
  run prun mini /nosuch
  echo "$output"
  [ "$status" -eq 127 ]
  run prun mini nosuch
  echo "$output"
  [ "$status" -eq 127 ]
  run prun mini /etc
  echo "$output"
  [ "$status" -eq 126 ]
  run prun mini /etc/passwd
  echo "$output"
  [ "$status" -eq 126 ]
  # nothing is left of any
  [ -z "$(pod ps -aq)" ]
}

@test "standard input, environment, working directory, user, entrypoint" {
  [ "$(echo in | prun -i mini cat)" = in ]
  [ "$(prun -e A=b mini sh -c 'echo $A')" = b ]
  [ "$(prun -w /work mini pwd)" = /work ]
  [ "$(prun --user 1001:1001 mini id -u)" = 1001 ]
  [ "$(prun --user agent mini id -un)" = agent ]
  [ "$(prun --entrypoint /bin/echo mini e)" = e ]
  [ "$(prun --hostname h1 mini hostname)" = h1 ]
  run prun -e A mini sh -c 'echo out; echo err >&2'
  [[ $output == *out* && $output == *err* ]]
}

@test "a container in the background: logs, exec, top, inspect, stop, rm" {
  id=$(pod run -d --name bg --network none mini sh -c 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.1; done')
  [ -n "$id" ]
  until_true sh -c "podman --root $E/storage --runroot $E/run --tmpdir $E/libpod-tmp --cgroup-manager=cgroupfs logs bg | grep -qx up"
  [ "$(pod inspect bg --format '{{.State.Status}}')" = running ]
  [ "$(pod exec bg echo in)" = in ]
  run pod exec bg sh -c 'exit 7'
  [ "$status" -eq 7 ]
  run pod exec bg /nosuch
  echo "$output"
  [ "$status" -eq 127 ]
  run pod exec bg /etc
  [ "$status" -eq 126 ]
  [ "$(echo x | pod exec -i bg cat)" = x ]
  [ "$(pod exec --user 1001 bg id -u)" = 1001 ]
  [ "$(pod exec -w /work bg pwd)" = /work ]
  [ "$(pod exec -e K=v bg sh -c 'echo $K')" = v ]
  pod top bg pid comm | grep -q sh
  pod stop -t 20 bg
  [ "$(pod inspect bg --format '{{.State.ExitCode}}')" = 3 ]
  pod logs bg | grep -qx bye
  pod rm bg
  run pod exec bg true
  [ "$status" -ne 0 ]
}

@test "kill, wait, restart, pause and unpause" {
  pod run -d --name k --network none mini sleep 1000 >/dev/null
  pod kill --signal USR1 k
  pod kill k
  [ "$(pod wait k)" = 137 ]
  pod start k
  [ "$(pod inspect k --format '{{.State.Status}}')" = running ]
  pod pause k
  [ "$(pod inspect k --format '{{.State.Status}}')" = paused ]
  run pod exec k true
  [ "$status" -ne 0 ]
  pod unpause k
  pod exec k true
  pod restart -t 0 k
  pod rm -f -t 0 k
}

@test "limits are in force, and stats tells of them" {
  run prun --memory 64m --pids-limit 30 --cpus 0.5 --read-only mini sh -c \
    'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; touch /x'
  echo "$output"
  [[ $output == *67108864* ]]
  [[ $output == *30* ]]
  [[ $output == *"Read-only file system"* ]]
  pod run -d --name s --network none --memory 64m mini sleep 100 >/dev/null
  run pod stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' s
  echo "$output"
  [[ $output == *67.1* || $output == *64* ]]
  pod update --help >/dev/null 2>&1 && pod update --memory 128m s
  pod rm -f -t 0 s
}

@test "a terminal" {
  need python3
  run python3 - podman --root "$E/storage" --runroot "$E/run" --tmpdir "$E/libpod-tmp" --cgroup-manager=cgroupfs run --rm --network none -it mini sh -c 'tty; stty size' <<'PY'
import pty, os, sys, struct, fcntl, termios
def read(fd):
    return os.read(fd, 4096)
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 33, 77, 0, 0))
out = b''
while True:
    try:
        b = os.read(fd, 4096)
    except OSError:
        break
    if not b:
        break
    out += b
_, st = os.waitpid(pid, 0)
sys.stdout.write(out.decode(errors='replace'))
sys.exit(os.waitstatus_to_exitcode(st))
PY
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == */dev/pts/0* || $output == */dev/console* ]]
}

@test "volumes, read-only and not, and a tmpfs with its options" {
  mkdir -p "$BATS_TEST_TMPDIR/v"
  echo from-host >"$BATS_TEST_TMPDIR/v/f"
  [ "$(prun -v "$BATS_TEST_TMPDIR/v:/v" mini sh -c 'cat /v/f; echo back > /v/g')" = from-host ]
  [ "$(cat "$BATS_TEST_TMPDIR/v/g")" = back ]
  run prun -v "$BATS_TEST_TMPDIR/v:/v:ro" mini touch /v/h
  [ "$status" -ne 0 ]
  run prun --tmpfs /t:rw,noexec,nosuid,size=1m mini sh -c 'grep " /t " /proc/mounts; cp /bin/busybox /t/echo; /t/echo x'
  echo "$output"
  [[ $output == *noexec* && $output == *size=1024k* ]]
  [ "$status" -ne 0 ]
  pod volume create vol1 >/dev/null
  prun -v vol1:/v mini sh -c 'echo kept > /v/x'
  [ "$(prun -v vol1:/v mini cat /v/x)" = kept ]
  pod volume rm vol1 >/dev/null
}

@test "an init of the engine's, a health check, and a read-only container with capabilities dropped" {
  run prun --init mini sh -c 'cat /proc/1/comm; true'
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$output" != sh ]
  pod run -d --name h --network none --health-cmd 'test -e /tmp/well' --health-interval disable mini sh -c 'touch /tmp/well; sleep 100' >/dev/null
  until_true pod healthcheck run h
  pod exec h rm /tmp/well
  run pod healthcheck run h
  [ "$status" -eq 1 ]
  pod rm -f -t 0 h
  run prun --cap-drop all --security-opt no-new-privileges --read-only mini sh -c 'grep -E "Cap(Eff|Bnd|Prm)|NoNewPrivs" /proc/self/status'
  [ "$(grep -c 0000000000000000 <<<"$output")" -eq 3 ]
  [[ $output == *"NoNewPrivs:"*1* ]]
}

@test "cgroups disabled" {
  run prun --cgroups=disabled mini echo no-groups
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$output" = no-groups ]
}

@test "a pod of two containers" {
  # Its infra container needs an image: our own.
  pod pod create --name p --infra-image mini --infra-command "sleep 1000" --network none >/dev/null || skip "this podman cannot make pods here"
  pod run -d --pod p --name p1 mini sh -c 'echo hello > /dev/shm/x; sleep 100' >/dev/null
  [ "$(pod exec p1 hostname)" = p ]
  pod run --rm --pod p mini hostname
  pod pod rm -f -t 0 p
}
