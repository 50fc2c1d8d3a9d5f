#!/usr/bin/env bats
# What `process` and `linux` of config.json ask for, seen from inside.

setup() {
  load common
  load core
  set_up_runtime
  need busybox jq python3 cc
  need_root
}

teardown() {
  clean_up
}

@test "ids, groups, umask, no capability in any set" {
  try ids 'p["user"] = {"uid": 1001, "gid": 1002, "additionalGids": [7, 8], "umask": 0o77}; p["capabilities"] = {}' \
    sh -c 'id -u; id -g; id -G; umask; grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status; echo $HOME'
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = 1001 ]
  [ "${lines[1]}" = 1002 ]
  [[ ${lines[2]} == "1002 7 8" ]]
  [ "${lines[3]}" = 0077 ]
  [ "$(grep -c '^Cap.*0000000000000000$' <<<"$output")" -eq 5 ]
  [[ $output == *"NoNewPrivs:"*1* ]]
  [[ $output == *"Seccomp:"*2* ]]
  [ "${lines[-1]}" = / ]
}

@test "capabilities: as named, ambient ones kept for another user" {
  try caps 's = ["CAP_NET_BIND_SERVICE", "CAP_CHOWN"]; p["user"]["uid"] = 1001
p["capabilities"] = {k: s for k in ("bounding", "permitted", "effective", "inheritable")}; p["capabilities"]["ambient"] = s[:1]' \
    sh -c 'grep ^Cap /proc/self/status'
  [ "$status" -eq 0 ]
  [[ $output == *"CapBnd:"*0000000000000401* ]]
  # /bin/sh was executed by a user: only what is ambient is left
  [[ $output == *"CapEff:"*0000000000000400* ]]
  [[ $output == *"CapAmb:"*0000000000000400* ]]
}

@test "without noNewPrivileges a set-user-id program gains, with it none does" {
  own_rootfs
  printf '#include <stdio.h>\n#include <unistd.h>\nint main(void) { printf("%%d %%d\\n", getuid(), geteuid()); return 0; }\n' |
    cc -static -x c -o "$ROOTFS/bin/gain" -
  chmod 4755 "$ROOTFS/bin/gain"
  local s='p["user"]["uid"] = 1001; p["noNewPrivileges"] = False
p["capabilities"] = {k: ["CAP_SETUID", "CAP_CHOWN"] for k in ("bounding", "permitted", "effective")}'
  try free "$s" gain
  [ "$status" -eq 0 ]
  [ "$output" = "1001 0" ]
  try held "${s/False/True}" gain
  [ "$status" -eq 0 ]
  [ "$output" = "1001 1001" ]
}

@test "limits: set; one that cannot be raised is lowered with a warning" {
  try limits 'p["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 1, "hard": 2}]' \
    sh -c 'ulimit -n; ulimit -Hn'
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = 100 ]
  [ "${lines[1]}" = 200 ]
  bundle lowered 'p["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1048576, "hard": 1048576}]' sh -c 'ulimit -Hn'
  run bash -c 'ulimit -n 400; ulimit -Hn 400; timeout 60 "$0" --root "$1" run --bundle "$2" lowered' "$RT" "$ROOT" "$BUNDLE"
  [ "$status" -eq 0 ]
  if [ "${lines[-1]}" != 1048576 ]; then
    [[ ${lines[0]} == *level=warning*RLIMIT_NOFILE* ]]
    [ "${lines[-1]}" = 400 ]
  fi
}

@test "oomScoreAdj, ioPriority, scheduler, personality" {
  try prio 'p["oomScoreAdj"] = 123; p["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
p["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}; l["personality"] = {"domain": "LINUX32"}' \
    sh -c 'cat /proc/self/oom_score_adj; ionice -p $$; cut -d" " -f19,41 /proc/self/stat; uname -m'
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = 123 ]
  [[ ${lines[1]} == idle* ]]
  [ "${lines[2]}" = "5 3" ]
  [ "${lines[3]}" = i686 ]
}

@test "a working directory that is missing is made; hostname, domainname, environment" {
  own_rootfs
  try names 'p["cwd"] = "/made/here"; c["root"]["readonly"] = False; c["hostname"] = "h1"; c["domainname"] = "d1"; p["env"] += ["A=1", "A=2"]' \
    sh -c 'pwd; hostname; cat /proc/sys/kernel/domainname; echo $A; env | grep -c ^A='
  [ "$status" -eq 0 ]
  [ "$output" = $'/made/here\nh1\nd1\n2\n1' ]
}

@test "a user namespace: ids are mapped, the sentry reaches its processes, exec too" {
  local s='l["namespaces"].append({"type": "user"}); c["root"]["readonly"] = True
l["uidMappings"] = l["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]'
  bundle mapped "$s" sleep 100
  rt run -d --bundle "$BUNDLE" mapped 3>&- </dev/null >/dev/null 2>&1
  run rt exec mapped sh -c 'id -u; cat /proc/self/uid_map; ls /bin/busybox; echo x >/dev/null && echo written'
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = 0 ]
  [[ ${lines[1]} =~ 100000 ]]
  [ "${lines[-1]}" = written ]
  local pid
  pid=$(rt state mapped | jq .pid)
  [ "$(stat -c %u "/proc/$pid")" = 100000 ]
  rt delete --force mapped
  nothing_left
}

@test "a time namespace, and namespaces given by path" {
  [ -e /proc/self/ns/time ] || skip "no time namespaces"
  try time 'l["namespaces"].append({"type": "time"}); l["timeOffsets"] = {"boottime": {"secs": 10000000}}' cut -d. -f1 /proc/uptime
  [ "$status" -eq 0 ]
  [ "${lines[0]}" -gt 10000000 ]
  bundle first '' sleep 100
  rt run -d --bundle "$BUNDLE" first 3>&- </dev/null >/dev/null 2>&1
  local pid
  pid=$(rt state first | jq .pid)
  try second "l['namespaces'] = [n if n['type'] in ('mount',) else dict(n, path='/proc/$pid/ns/' + {'network': 'net'}.get(n['type'], n['type'])) for n in l['namespaces'] if n['type'] != 'cgroup']
c.pop('hostname')" sh -c 'for n in net pid uts mnt; do readlink /proc/self/ns/$n; done; ps | grep -c "sleep 10[0]"'
  [ "$status" -eq 0 ]
  [ "${lines[0]}" = "$(readlink "/proc/$pid/ns/net")" ]
  [ "${lines[1]}" = "$(readlink "/proc/$pid/ns/pid")" ]
  [ "${lines[2]}" = "$(readlink "/proc/$pid/ns/uts")" ]
  [ "${lines[3]}" != "$(readlink "/proc/$pid/ns/mnt")" ]
  [ "${lines[4]}" = 1 ]
}

@test "the container's own seccomp profile is added to ours" {
  try own 'l["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
  "syscalls": [{"names": ["mkdir", "mkdirat", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 72},
    {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [{"index": 1, "value": 12, "op": "SCMP_CMP_EQ"}]}]}' \
    sh -c 'grep Seccomp_filters /proc/self/status; mkdir /tmp/x; kill -12 $$; kill -0 $$ && echo zero; unshare -m true'
  [[ ${lines[0]} == *2 ]]
  [[ $output == *"mkdir: "*"Multihop attempted"* ]]
  [[ $output == *zero* ]]
  [[ $output == *"unshare: "*"Operation not permitted"* ]]
  try listener 'l["seccomp"] = {"defaultAction": "SCMP_ACT_NOTIFY"}' true
  [ "$status" -ne 0 ]
  [[ $output == *"SCMP_ACT_NOTIFY is not supported"* ]]
}

@test "a terminal: in front, and by a console socket; nothing of it leaks" {
  bundle term 'p["terminal"] = True; p["consoleSize"] = {"height": 33, "width": 44}' sh -c 'tty; stty size; ls /proc/self/fd; ls -l /dev/console | cut -c1'
  run python3 "$BATS_TEST_DIRNAME/console.py" "$BATS_TEST_TMPDIR/sock" "$RT" --root "$ROOT" create --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/sock" term -- "$RT" --root "$ROOT" start term
  echo "$output"
  [[ $output == *"/dev/pts/0"* ]]
  [[ $output == *"33 44"* ]]
  # 0 1 2, and the directory itself
  [[ $output == *$'0\r\n1\r\n2\r\n3\r\nc'* || $output == *"0  1  2  3"* ]]
  run rt create --bundle "$BUNDLE" none
  [ "$status" -ne 0 ]
  [[ $output == *"cannot allocate tty if runc will detach without setting console socket"* ]]
  : >"$BATS_TEST_TMPDIR/plain"
  run rt create --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/plain" none
  [ "$status" -ne 0 ]
}

@test "descriptors: those asked for, no others" {
  bundle fds '' sh -c 'ls /proc/self/fd'
  run bash -c 'exec 3</etc/hostname 4</etc/passwd 7</etc 9</; timeout 60 "$0" --root "$1" run --preserve-fds 2 --bundle "$2" fds | tr "\n" " "' "$RT" "$ROOT" "$BUNDLE"
  [ "$status" -eq 0 ]
  [ "$output" = "0 1 2 3 4 5 " ]
  run bash -c 'exec 3</etc/hostname 4</etc/passwd 7</etc 9</; timeout 60 "$0" --root "$1" run --bundle "$2" fds | tr "\n" " "' "$RT" "$ROOT" "$BUNDLE"
  [ "$output" = "0 1 2 3 " ]
}

@test "exec: user, cwd, environment, capabilities, status, terminal; what is missing has runc's words" {
  bundle main '' sleep 100
  rt run -d --bundle "$BUNDLE" main 3>&- </dev/null >/dev/null 2>&1
  run rt exec --user 1005:1006 --cwd /tmp --env X=y --env Z=1 main sh -c 'id -u; id -g; pwd; echo $X$Z; grep CapEff /proc/self/status; exit 7'
  [ "$status" -eq 7 ]
  [ "${lines[0]}" = 1005 ]
  [ "${lines[1]}" = 1006 ]
  [ "${lines[2]}" = /tmp ]
  [ "${lines[3]}" = y1 ]
  [[ ${lines[4]} == *0000000000000000 ]]
  run rt exec main sh -c 'kill -9 $$'
  [ "$status" -eq 137 ]
  run rt exec --tty main tty
  [[ $output == *"/dev/pts/"* ]]
  run rt exec main nonexistent
  [ "$status" -eq 255 ]
  [[ $output == *'unable to start container process: exec: \"nonexistent\": executable file not found in $PATH'* ]]
  run rt exec main /nonexistent
  [[ $output == *'exec: \"/nonexistent\": stat /nonexistent: no such file or directory'* ]]
  run rt exec main /etc/passwd
  [[ $output == *'exec: \"/etc/passwd\": permission denied'* ]]
  jq '.process | .args = ["id", "-u"] | .user.uid = 77' "$BUNDLE/config.json" >"$BATS_TEST_TMPDIR/process.json"
  run rt exec --process "$BATS_TEST_TMPDIR/process.json" --pid-file "$BATS_TEST_TMPDIR/pid" main
  [ "$output" = 77 ]
  [ -s "$BATS_TEST_TMPDIR/pid" ]
  rt kill main KILL
  until_true is_status main stopped
  run rt exec main true
  [ "$status" -ne 0 ]
  [[ $output == *"cannot exec in a stopped container"* ]]
}

@test "hooks: six kinds in their order, with the state; a failing one ends the create, poststop is told" {
  local log=$BATS_TEST_TMPDIR/log hook=$BATS_TEST_TMPDIR/hook
  cat >"$hook" <<'SH'
#!/bin/sh
state=$(cat)
echo "$1 $(echo "$state" | sed 's/.*"status": *"\([a-z]*\)".*/\1/') $(echo "$state" | grep -c '"pid"')" >>"$LOG"
exit "${2:-0}"
SH
  chmod +x "$hook"
  # startContainer runs inside
  own_rootfs
  cp "$hook" "$ROOTFS/bin/hook"
  local s="h = lambda k, path='$hook', code='0': [{'path': path, 'args': ['hook', k, code], 'env': ['LOG=$log', 'PATH=/bin:/usr/bin'], 'timeout': 30}]
c['hooks'] = {k: h(k) for k in ('prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop')}
c['hooks']['startContainer'] = [{'path': '/bin/hook', 'args': ['hook', 'startContainer'], 'env': ['LOG=/tmp/log', 'PATH=/bin']}]
c['root']['readonly'] = False"
  try hooks "$s" cat /tmp/log
  [ "$status" -eq 0 ]
  [ "$output" = "startContainer created 1" ]
  [ "$(cut -d' ' -f1 "$log" | tr '\n' ' ')" = "prestart createRuntime createContainer poststart poststop " ]
  [ "$(cut -d' ' -f2 "$log" | tr '\n' ' ')" = "creating creating creating running stopped " ]
  : >"$log"
  try failing "$s
c['hooks']['createRuntime'] = h('createRuntime', code='3')" true
  [ "$status" -ne 0 ]
  [[ $output == *"error running createRuntime hook #0: exit status 3"* ]]
  [ "$(tail -n 1 "$log" | cut -d' ' -f1)" = poststop ]
  nothing_left
  try slow "c['hooks'] = {'createContainer': [{'path': '/bin/sleep', 'args': ['sleep', '50'], 'timeout': 1}]}" true
  [ "$status" -ne 0 ]
  [[ $output == *"hook ran past specified timeout of 1.0s"* ]]
  nothing_left
}

@test "an ordinary user: a container in a user namespace of its own, supervised as another, and exec" {
  command -v setpriv >/dev/null || skip "setpriv is missing"
  local d=$BATS_TEST_TMPDIR/user as="setpriv --reuid 2000 --regid 2000 --clear-groups env -u XDG_RUNTIME_DIR HOME=$BATS_TEST_TMPDIR/user"
  mkdir "$d"
  make_rootfs "$d/rootfs"
  cp "$GABION" "$d/gabion-oci"
  chown -R 2000:2000 "$d"
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$d" "$BATS_RUN_TMPDIR/test" 2>/dev/null || true
  $as unshare -U true 2>/dev/null || skip "no user namespaces for ordinary users"
  $as "$d/gabion-oci" spec --rootless --bundle "$d"
  python3 - "$d/config.json" <<'PY'
import json, sys
c = json.load(open(sys.argv[1]))
c["process"]["terminal"], c["process"]["rlimits"], c["process"]["args"] = False, [], ["sleep", "100"]
json.dump(c, open(sys.argv[1], "w"))
PY
  $as "$d/gabion-oci" --root "$d/state" run -d --bundle "$d" mine 3>&- </dev/null >/dev/null 2>&1
  run $as "$d/gabion-oci" --root "$d/state" exec mine sh -c 'id -u; cat /proc/self/uid_map; /bin/true && echo executed; unshare -m true; exit 5'
  echo "$output"
  [ "$status" -eq 5 ]
  [ "${lines[0]}" = 0 ]
  [[ ${lines[1]} =~ ^\ *0\ +2000\ +1$ ]]
  [ "${lines[2]}" = executed ]
  [[ $output == *"unshare: "*"Operation not permitted"* ]]
  grep -q '"syscall":"execve"' "$d/state/mine/record.jsonl" || until_true grep -q '"syscall":"execve"' "$d/state/mine/record.jsonl"
  $as "$d/gabion-oci" --root "$d/state" delete --force mine
  [ -z "$(ls -A "$d/state")" ]
}

@test "without pivot_root the root is the image's all the same" {
  bundle moved '' sh -c 'ls /; ls /proc/1/root/; ls /../'
  run timeout 60 "$RT" --root "$ROOT" run --no-pivot --bundle "$BUNDLE" moved
  [ "$status" -eq 0 ]
  [[ $output != *home* && $output != *boot* ]]
}
