#!/usr/bin/env bats
# The container agents are run in today, with every option of it proven from inside; and what they run works there.

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
  # shellcheck disable=SC2054 # options of mounts have commas
  HARD=(--read-only --tmpfs /tmp:rw,noexec,nosuid,size=2g --tmpfs /run:rw,noexec,nosuid,size=100m --cap-drop=ALL
    --security-opt no-new-privileges --pids-limit 100 --memory 2g --memory-swap 2g --cpus 2 --user 1001 --rm --network none)
  # The programs of this machine, read-only: an image with everything an agent runs.
  FULL=(-v /usr:/usr:ro -v "$BATS_TEST_TMPDIR/w:/work" -w /work -e HOME=/tmp -e "PATH=/usr/bin:/bin")
  mkdir -p "$BATS_TEST_TMPDIR/w" && chown 1001:1001 "$BATS_TEST_TMPDIR/w"
}

# The image with links into /usr, as Debian has them.
full_image() {
  local d
  pod image exists full && return
  mkdir -p "$E/full/usr" "$E/full/tmp" "$E/full/run" "$E/full/proc" "$E/full/sys" "$E/full/dev" "$E/full/work" "$E/full/var" "$E/full/etc/alternatives" "$E/full/etc/ssl"
  for d in bin sbin lib lib64; do ln -sfn "usr/$d" "$E/full/$d"; done
  cp "$E/image/etc/passwd" "$E/image/etc/group" "$E/full/etc/"
  cp -a /etc/alternatives/. "$E/full/etc/alternatives/"
  [ ! -e /etc/ld.so.cache ] || cp /etc/ld.so.cache "$E/full/etc/"
  chmod 1777 "$E/full/tmp" "$E/full/run"
  tar -C "$E/full" -cf "$E/full.tar" .
  pod import "$E/full.tar" full >/dev/null
}

inside() { # IMAGE OPTION...
  local image=$1
  shift
  pod run "${HARD[@]}" "$@" -v "$BATS_TEST_DIRNAME/inside.sh:/inside.sh:ro" "$image" sh /inside.sh >"$BATS_TEST_TMPDIR/out" 2>&1
  cat "$BATS_TEST_TMPDIR/out"
  grep -q '^properties ' "$BATS_TEST_TMPDIR/out"
  run grep '^not ok' "$BATS_TEST_TMPDIR/out"
  [ "$status" -eq 1 ]
}

@test "every option of the hardened container holds, seen from inside (busybox)" {
  inside mini
  [ "$(grep -c '^ok' "$BATS_TEST_TMPDIR/out")" -ge 28 ]
}

@test "and from inside a whole system, with memory, mappings, sockets and tracing tried" {
  [ -x /usr/bin/python3 ] || skip "no /usr/bin/python3"
  full_image
  inside full "${FULL[@]}"
  [ "$(grep -c '^ok' "$BATS_TEST_TMPDIR/out")" -ge 40 ]
}

@test "the same tries work in a container without the options" {
  # The properties are no accident of how they are tried. (Never --privileged here: some of them would reach the host.)
  pod run --rm --network none -v "$BATS_TEST_DIRNAME/inside.sh:/inside.sh:ro" mini sh /inside.sh >"$BATS_TEST_TMPDIR/out" 2>&1 || true
  cat "$BATS_TEST_TMPDIR/out"
  grep -q '^properties ' "$BATS_TEST_TMPDIR/out"
  [ "$(grep -c '^not ok' "$BATS_TEST_TMPDIR/out")" -ge 15 ]
}

@test "a fork bomb stops at the limit" {
  # What a shell does without forking: it cannot fork any more.
  run pod run "${HARD[@]}" mini sh -c '(i=0; while [ $i -lt 300 ]; do sleep 20 & i=$((i + 1)); done) 2>/tmp/err
    set -- /proc/[0-9]*; echo "processes $#"; read -r e </tmp/err; echo "$e"; kill -9 -1'
  echo "$output"
  count=$(sed -n 's/^processes //p' <<<"$output")
  [ -n "$count" ] && [ "$count" -le 101 ] && [ "$count" -ge 90 ]
  [[ $output == *fork* ]]
}

@test "a memory bomb is killed, without swap" {
  # 64 MB here: the same limit, filled faster.
  run pod run "${HARD[@]}" --memory 64m --memory-swap 64m mini sh -c 'x=$(head -c 200000000 /dev/zero | tr "\0" a); echo survived'
  echo "$status: $output"
  [ "$status" -ne 0 ]
  [[ $output != *survived* ]]
  run pod run "${HARD[@]}" mini sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max; cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes /sys/fs/cgroup/memory.swap.max'
  echo "$output"
  [[ $output == *2147483648* ]]
}

@test "two processors' worth of time, and no more" {
  run pod run "${HARD[@]}" mini sh -c 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null'
  echo "$output"
  [[ $output == *200000* ]]
}

@test "nothing is left after removal" {
  before=$(find /sys/fs/cgroup -type d | sort)
  pod run "${HARD[@]}" mini true
  pod run "${HARD[@]}" mini sh -c 'sleep 100 & exit 0'
  run grep "$E/storage/overlay/.*/merged" /proc/self/mountinfo
  [ "$status" -eq 1 ]
  [ -z "$(pod ps -aq)" ]
  after=$(find /sys/fs/cgroup -type d | grep -v libpod_parent | sort)
  diff <(grep -v libpod_parent <<<"$before") <(echo "$after")
}

@test "python3, git, node and npm, gh, and an agent's command line work in it" {
  [ -x /usr/bin/python3 ] || skip "no /usr/bin/python3"
  full_image
  in_it() { pod run "${HARD[@]}" "${FULL[@]}" full "$@"; }
  [ "$(in_it python3 -c 'import json, subprocess; print(subprocess.run(["uname"], capture_output=True, text=True).stdout.strip())')" = Linux ]
  in_it git init -q .
  in_it sh -c 'echo a > a && git add a && git -c user.name=a -c user.email=a@b commit -qm a && git log --oneline | grep -q a'
  if [ -x /usr/bin/node ]; then
    [ "$(in_it node -e 'console.log(6 * 7)')" = 42 ]
    [ ! -e /usr/bin/npm ] || in_it npm --version
    # An agent's command line is a node program that starts others and keeps state below HOME.
    cat >"$BATS_TEST_TMPDIR/w/agent.js" <<'JS'
const { execFileSync } = require('child_process')
const fs = require('fs')
fs.mkdirSync(process.env.HOME + '/.agent', { recursive: true })
fs.writeFileSync(process.env.HOME + '/.agent/state.json', '{}')
fs.writeFileSync('answer.txt', execFileSync('git', ['status', '--short']).toString())
console.log(execFileSync('grep', ['-c', 'process', 'agent.js']).toString().trim())
JS
    in_it node agent.js
    [ -e "$BATS_TEST_TMPDIR/w/answer.txt" ]
  fi
  [ ! -x /usr/bin/gh ] || in_it gh --version
}
