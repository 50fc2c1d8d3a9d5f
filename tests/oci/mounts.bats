#!/usr/bin/env bats
# The container's file system: every kind of mount and option, devices, masks, and what an image may try with links.

setup() {
  load common
  load core
  set_up_runtime
  need busybox jq python3
  need_root
}

teardown() {
  clean_up
  [ ! -e "$BATS_TEST_TMPDIR/tree/sub" ] || umount "$BATS_TEST_TMPDIR/tree/sub" 2>/dev/null || true
}

@test "tmpfs: size, mode, noexec, nosuid, nodev, as a hardened agent's container has them" {
  try tmpfs 'm += [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["rw", "noexec", "nosuid", "nodev", "size=2m", "mode=1777"]},
 {"destination": "/run", "type": "tmpfs", "source": "tmpfs", "options": ["rw", "noexec", "nosuid", "nodev", "size=1m"]}]' \
    sh -c 'stat -c %a /tmp; grep -E " /(tmp|run) " /proc/mounts; cp /bin/busybox /tmp/true 2>/dev/null; echo x >/run/x && echo written; cp /bin/busybox /run/big; echo "#!/bin/sh" >/tmp/s; chmod 755 /tmp/s /tmp/true; /tmp/true; echo $?; /tmp/s; echo $?'
  echo "$output"
  [ "${lines[0]}" = 1777 ]
  [[ $output == *"tmpfs /tmp tmpfs rw,nosuid,nodev,noexec,relatime,size=2048k"* ]]
  [[ $output == *"tmpfs /run tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k"* ]]
  [[ $output == *written* ]]
  [[ $output == *"No space left on device"* ]]
  [ "$(grep -cx 126 <<<"$output")" -eq 2 ]
}

@test "the root read-only in every spelling, writable where that was asked" {
  own_rootfs
  try ro 'c["root"]["readonly"] = True' sh -c 'for d in / /etc /../ /proc/self/root /proc/1/root/etc /bin/../etc /dev/../etc; do echo x >$d/new && echo wrote; done; echo end'
  [ "${lines[-1]}" = end ]
  [[ $output != *wrote* ]]
  [[ $output == *"Read-only file system"* ]]
  [ ! -e "$ROOTFS/new" ]
  try rw 'c["root"]["readonly"] = False' sh -c 'echo x >/etc/new && echo wrote'
  [ "$output" = wrote ]
  [ -e "$ROOTFS/etc/new" ]
}

@test "tmpcopyup: what the image has is there, with owners, modes and links" {
  own_rootfs
  mkdir -p "$ROOTFS/data/a/b"
  echo deep >"$ROOTFS/data/a/b/f"
  chown 0:34 "$ROOTFS/data/a/b/f"
  chmod 604 "$ROOTFS/data/a/b/f"
  ln -s a/b/f "$ROOTFS/data/l"
  ln -s /etc/shadow "$ROOTFS/data/a/out"
  mkfifo "$ROOTFS/data/fifo"
  try up 'm.append({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "size=1m"]})' \
    sh -c 'cat /data/l; stat -c "%u %g %a" /data/a/b/f; readlink /data/a/out; stat -c %F /data/fifo; echo changed >/data/a/b/f; cat /data/l'
  [ "$output" = $'deep\n0 34 604\n/etc/shadow\nfifo\nchanged' ]
  [ "$(cat "$ROOTFS/data/a/b/f")" = deep ]
}

@test "bind and rbind, files and directories, ro and rro, propagation" {
  local t=$BATS_TEST_TMPDIR/tree
  mkdir -p "$t/sub"
  echo top >"$t/f"
  mount -t tmpfs sub "$t/sub"
  echo below >"$t/sub/g"
  try bind "m += [{'destination': '/b', 'type': 'bind', 'source': '$t', 'options': ['bind', 'ro']},
 {'destination': '/r', 'type': 'bind', 'source': '$t', 'options': ['rbind', 'ro', 'rslave']},
 {'destination': '/rr', 'type': 'none', 'source': '$t', 'options': ['rbind', 'rro', 'nosuid', 'nodev', 'noexec']},
 {'destination': '/new/file', 'type': 'bind', 'source': '$t/f', 'options': ['bind']}]; c['root']['path'] = '$BATS_TEST_TMPDIR/own'" true
  make_rootfs "$BATS_TEST_TMPDIR/own"
  run timeout 60 "$RT" --root "$ROOT" run --bundle "$BUNDLE" bind
  [ "$status" -eq 0 ]
  try bind "$(cat <<PY
c['root']['path'] = '$BATS_TEST_TMPDIR/own'
m += [{'destination': '/b', 'type': 'bind', 'source': '$t', 'options': ['bind', 'ro']},
 {'destination': '/r', 'type': 'bind', 'source': '$t', 'options': ['rbind', 'ro', 'rslave']},
 {'destination': '/rr', 'type': 'none', 'source': '$t', 'options': ['rbind', 'rro', 'nosuid', 'nodev', 'noexec']},
 {'destination': '/new/file', 'type': 'bind', 'source': '$t/f', 'options': ['bind']}]
PY
)" sh -c 'cat /b/f; ls /b/sub; cat /r/sub/g; echo x >/r/f; echo x >/r/sub/w && echo "below is writable"; echo x >/rr/sub/w2; cat /new/file; echo more >>/new/file; grep " /rr/sub " /proc/mounts; sed -n "s/.* \/r\/sub .*master.*/slave/p" /proc/self/mountinfo'
  echo "$output"
  [ "${lines[0]}" = top ]
  [ "${lines[1]}" = below ]
  [[ $output == *"can't create /r/f: Read-only"* ]]
  [[ $output == *"below is writable"* ]]
  [[ $output == *"can't create /rr/sub/w2: Read-only"* ]]
  [[ $output == *" /rr/sub tmpfs ro,"* ]]
  [ "$(cat "$t/f")" = $'top\nmore' ]
  try missing "m.append({'destination': '/b', 'type': 'bind', 'source': '/nonexistent', 'options': ['bind']})" true
  [ "$status" -ne 0 ]
  [[ $output == *'error mounting \"/nonexistent\" to rootfs at \"/b\": stat /nonexistent: no such file or directory'* ]]
}

@test "an id-mapped bind: the host's owner is another inside" {
  local t=$BATS_TEST_TMPDIR/owned
  mkdir "$t"
  touch "$t/f"
  chown 1000:1000 "$t/f"
  own_rootfs
  try idmap "maps = [{'containerID': 0, 'hostID': 5000, 'size': 65536}]
m.append({'destination': '/i', 'type': 'bind', 'source': '$t', 'options': ['bind'], 'uidMappings': maps, 'gidMappings': maps})" stat -c '%u %g' /i/f
  if [[ $output == *"invalid argument"* ]]; then
    skip "the file system cannot be id-mapped"
  fi
  [ "$output" = "6000 6000" ]
}

@test "devices: those of every container, those asked for, no others; links" {
  try devices 'l["devices"] = [{"path": "/dev/mine", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 5, "gid": 6}]' \
    sh -c 'ls /dev | tr "\n" " "; echo; stat -c "%t %T %a %u %g" /dev/mine; readlink /dev/fd; readlink /dev/ptmx; echo x >/dev/null && head -c 3 /dev/zero | wc -c; mknod /dev/sda b 8 0; ls -d /sys/class /proc/1'
  echo "$output"
  [ "${lines[0]}" = "core fd full mine mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero " ] ||
    [ "${lines[0]}" = "fd full mine mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero " ]
  [ "${lines[1]}" = "1 3 640 5 6" ]
  [ "${lines[2]}" = /proc/self/fd ]
  [ "${lines[3]}" = pts/ptmx ]
  [ "${lines[4]}" = 3 ]
  [[ $output == *"mknod: /dev/sda: Operation not permitted"* ]]
}

@test "masked and read-only paths, of files and directories; a path that is not there" {
  try masked 'l["maskedPaths"] = ["/proc/keys", "/proc/timer_list", "/sys/firmware", "/nonexistent", "/etc/group"]; l["readonlyPaths"] = ["/proc/sys", "/proc/nonexistent"]' \
    sh -c 'wc -c </proc/keys; wc -c </etc/group; ls /sys/firmware | wc -l; echo x >/etc/group; wc -c </etc/group; echo 1 >/proc/sys/net/ipv4/ip_forward; umount /etc/group; touch /sys/firmware/x'
  echo "$output"
  [ "${lines[0]}" = 0 ]
  [ "${lines[1]}" = 0 ]
  [ "${lines[2]}" = 0 ]
  [[ $output == *"/proc/sys/net/ipv4/ip_forward: Read-only file system"* ]]
  [[ $output == *"umount: "*"Operation not permitted"* ]]
  [[ $output == *"touch: /sys/firmware/x"* ]]
}

@test "a control group mount shows the container's own group, read-only" {
  try groups '' sh -c 'grep -c cgroup /proc/mounts; find /sys/fs/cgroup -name "cgroup.procs" | head -1 | xargs cat | grep -c .; mkdir /sys/fs/cgroup/x; for f in /sys/fs/cgroup/*/cgroup.procs; do echo 1 >$f; done 2>&1 | grep -vc "Read-only"'
  echo "$output"
  [ "${lines[0]}" -ge 1 ]
  [[ $output == *"Read-only file system"* ]]
}

@test "sysctls of the container's namespaces are set, the host's are refused by name" {
  try sysctl 'l["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "16384", "net/ipv4/ping_group_range": "0 5"}; c["linux"]["readonlyPaths"] = []' \
    sh -c 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax'
  [ "$output" = $'1\n16384' ]
  local key
  for key in kernel.core_pattern kernel.modprobe vm.swappiness kernel/core_pattern fs.file-max kernel.hostname net..x ../x; do
    try host "l['sysctl'] = {'$key': '1'}" true
    [ "$status" -ne 0 ]
    [[ $output == *sysctl* ]]
  done
  try netns 'l["sysctl"] = {"net.ipv4.ip_forward": "1"}; l["namespaces"] = [n for n in l["namespaces"] if n["type"] != "network"]' true
  [ "$status" -ne 0 ]
  [[ $output == *"not allowed in host network namespace"* ]]
}

@test "what is not supported is refused by name" {
  local statements
  while IFS='|' read -r statements text; do
    try refused "$statements" true
    echo "$statements: $output"
    [ "$status" -ne 0 ]
    [[ $output == *"$text"* ]]
    [ -z "$(ls -A "$ROOT" 2>/dev/null)" ]
  done <<'EOT'
l["intelRdt"] = {"closID": "x"}|linux.intelRdt: is not supported
l["netDevices"] = {"eth0": {}}|linux.netDevices: is not supported
c["windows"] = {"x": 1}|windows: is not supported
c["vm"] = {"x": 1}|vm: is not supported
l["personality"] = {"domain": "LINUX", "flags": ["x"]}|linux.personality.flags: are not supported
l["personality"] = {"domain": "BSD"}|must be LINUX or LINUX32
m.append({"destination": "/x", "type": "bind", "source": "/etc", "options": ["remount"]})|remount is not supported
m.append({"destination": "/x", "type": "bind", "source": "/etc", "options": ["bind", "nonsense"]})|nonsense
m.append({"destination": "/x", "type": "nofs", "source": "x"})|file system nofs
l["namespaces"].append({"type": "moon"})|is not a namespace of Linux
l["namespaces"] = [n for n in l["namespaces"] if n["type"] != "mount"]|needs a mount namespace
p["apparmorProfile"] = "x"|apparmor
p["selinuxLabel"] = "x"|selinux
l["mountLabel"] = "x"|selinux
p["rlimits"] = [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]|is not a resource limit of Linux
c["hooks"] = {"prestart": [{"path": "relative"}]}|must be absolute
c["hooks"] = {"prestart": [{"path": "/bin/true", "timeout": 0}]}|must be greater than zero
c["ociVersion"] = "2.0.0"|ociVersion
c.pop("ociVersion")|ociVersion: is missing
c.pop("root")|root: is missing
p["user"]["uid"] = -1|uid: is out of range
p["args"] = []|args must not be empty
p["cwd"] = "relative"|Cwd property
p["env"] = ["X"]|environment variable
c["root"]["path"] = "/"|the host's root
c["root"]["path"] = "/nonexistent"|invalid rootfs: stat /nonexistent: no such file or directory
l["uidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]|user namespace isn't enabled
l["resources"]["rdma"] = {"x": {}}|rdma
l["cgroupsPath"] = "../../x"|cgroupsPath
EOT
}

@test "a config.json that is none: text and status, no crash" {
  bundle broken '' true
  local text
  while IFS= read -r text; do
    printf %b "$text" >"$BUNDLE/config.json"
    run rt run --bundle "$BUNDLE" broken
    echo "$text: $output"
    [ "$status" -eq 1 ]
    [[ $output == *config.json* ]]
  done <<'EOT'

{
[]
{"ociVersion": "1.0.2", "ociVersion": "1.0.2"}
{"ociVersion": "1.0.2\\u0000"}
{"ociVersion": 1}
{"ociVersion": "1.0.2", "root": {"path": "rootfs"}, "process": []}
EOT
  python3 -c 'print("[" * 100000)' >"$BUNDLE/config.json"
  run rt run --bundle "$BUNDLE" broken
  [ "$status" -eq 1 ]
  truncate -s 1G "$BUNDLE/config.json"
  run rt run --bundle "$BUNDLE" broken
  [ "$status" -eq 1 ]
  [[ $output == *"larger than 16 MiB"* ]]
  rm "$BUNDLE/config.json"
  mkfifo "$BUNDLE/config.json"
  run timeout 20 "$RT" --root "$ROOT" run --bundle "$BUNDLE" broken
  [ "$status" -eq 1 ]
  [[ $output == *"not a regular file"* ]]
}
