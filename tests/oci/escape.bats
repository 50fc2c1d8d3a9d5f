#!/usr/bin/env bats
# Ways out of a container that other runtimes had (ATTACKS, section H), each with a control: the same thing natively, or the permitted
# variant, works.

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

@test "CVE-2019-5736: the program cannot be written to through /proc/PID/exe, of create and of exec" {
  bundle exe '' sh -c 'sleep 100'
  rt create --bundle "$BUNDLE" exe 3>&- </dev/null >/dev/null 2>&1
  local sum
  sum=$(sha256sum "$GABION")
  # The control: a program of the host's own is opened through its process, and written to once that is gone.
  mkdir "$BATS_TEST_TMPDIR/victim"
  cp /bin/busybox "$BATS_TEST_TMPDIR/victim/sleep"
  "$BATS_TEST_TMPDIR/victim/sleep" 100 3>&- &
  run python3 "$BATS_TEST_DIRNAME/overwrite.py" $!
  echo "$output"
  [[ $output == *written* ]]
  run python3 "$BATS_TEST_DIRNAME/overwrite.py" "$(rt state exe | jq .pid)"
  echo "$output"
  [[ $output == *"Read-only file system"* || $output == *"Operation not permitted"* ]]
  [ "$(sha256sum "$GABION")" = "$sum" ]
  # An image whose program is the runtime itself executes the copy, too.
  own_rootfs
  cat >"$BATS_TEST_TMPDIR/w.c" <<'C'
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int main(void)
{
	int fd = open("/proc/1/exe", O_RDONLY), w;
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	w = open(path, O_WRONLY);
	printf("%s\n", w < 0 ? strerror(errno) : "opened");
	return 0;
}
C
  cc -static -o "$ROOTFS/bin/w" "$BATS_TEST_TMPDIR/w.c"
  bundle self 'a = ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]; p["capabilities"] = {k: a for k in ("bounding", "permitted", "effective")}; p["noNewPrivileges"] = False' sleep 100
  rt run -d --bundle "$BUNDLE" self 3>&- </dev/null >/dev/null 2>&1
  run rt exec self /proc/self/exe --version
  echo "$output"
  [ "$status" -ne 0 ]
  [ "$(sha256sum "$GABION")" = "$sum" ]
}

@test "CVE-2024-21626: no working directory outside, by no descriptor, of the container and of an exec" {
  # The control: natively a process that has such a descriptor gets there.
  run sh -c 'exec 8</; cd /proc/self/fd/8 && pwd -P'
  [ "$output" = / ]
  bundle ok '' sleep 100
  rt run -d --bundle "$BUNDLE" ok 3>&- </dev/null >/dev/null 2>&1
  run rt exec --cwd /proc/self ok sh -c 'ls status'
  [ "$output" = status ]
  local fd
  for fd in 3 4 6 7 8 9; do
    try cwd "p['cwd'] = '/proc/self/fd/$fd'" ls ../..
    [ "$status" -ne 0 ]
    [[ $output != *vmlinuz* && $output != *home* ]]
    run rt exec --cwd "/proc/self/fd/$fd" ok ls ../..
    [ "$status" -ne 0 ]
  done
  # A descriptor of the host's directory that was passed on by its holder is no way either.
  run bash -c 'exec 3</; "$0" --root "$1" exec --preserve-fds 1 --cwd /proc/self/fd/3 ok ls' "$RT" "$ROOT"
  echo "$output"
  [ "$status" -ne 0 ]
  [[ $output == *"outside of container mount namespace root"* ]]
  # ... nor a link in the image.
  own_rootfs
  ln -s /proc/self/fd/7 "$ROOTFS/wd"
  try link "p['cwd'] = '/wd'" ls ..
  [ "$status" -ne 0 ]
}

@test "CVE-2021-30465: a destination swapped for a link while the container is made is never outside" {
  own_rootfs
  local out=$BATS_TEST_TMPDIR/outside
  mkdir -p "$out" "$ROOTFS/vol/a"
  echo secret >"$out/file"
  python3 "$BATS_TEST_DIRNAME/swap.py" "$ROOTFS/vol/a" "$ROOTFS/vol/b" "$out" 3>&- &
  local swapper=$!
  until_true test -L "$ROOTFS/vol/b"
  local made=0
  for _ in $(seq 12); do
    try swapped "m.append({'destination': '/vol/a/in', 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['size=64k']})
c['root']['readonly'] = False" sh -c 'cat /vol/a/file /vol/b/file /file 2>/dev/null; cut -d" " -f5 /proc/self/mountinfo | grep /in$'
    [[ $output != *secret* ]]
    [ "$status" -ne 0 ] || made=$((made + 1))
    [ ! -e "$out/in" ]
  done
  kill "$swapper"
  echo "made $made"
  [ "$made" -gt 0 ]
  # The control: the same link, followed by who is not in the container, leads there.
  [ "$(cat "$out/file")" = secret ]
}

@test "destinations: through links, with .., absolute links out: inside; the root itself: refused" {
  own_rootfs
  local out=$BATS_TEST_TMPDIR/target
  mkdir "$out"
  ln -s "$out" "$ROOTFS/abs"
  ln -s ../../../../../../.. "$ROOTFS/up"
  try links "c['root']['readonly'] = False
m += [{'destination': d, 'type': 'tmpfs', 'source': 'tmpfs', 'options': ['size=64k']} for d in ('/abs/x', '/up/y', '/../../../../z', 'rel/w')]" \
    sh -c 'cut -d" " -f5 /proc/self/mountinfo'
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *"$out/x"* ]]
  [[ $output == *$'\n/y'* ]]
  [[ $output == *$'\n/z'* ]]
  [[ $output == *$'\n/rel/w'* ]]
  [ -z "$(ls -A "$out")" ]
  [ ! -e /y ] && [ ! -e /z ] && [ ! -e /rel ]
  for d in / /.. /./ ''; do
    try root "m.append({'destination': '$d', 'type': 'tmpfs', 'source': 'tmpfs'})" true
    [ "$status" -ne 0 ]
  done
}

@test "CVE-2019-16884, masks: a /proc or /sys that is a link, a file, or covered by something else is refused" {
  own_rootfs
  rmdir "$ROOTFS/proc"
  ln -s /tmp "$ROOTFS/proc"
  try link '' true
  [ "$status" -ne 0 ]
  [[ $output == *"must be mounted on ordinary directory"* ]]
  rm "$ROOTFS/proc"
  : >"$ROOTFS/proc"
  try file '' true
  [ "$status" -ne 0 ]
  rm "$ROOTFS/proc"
  mkdir "$ROOTFS/proc"
  try plain '' true
  [ "$status" -eq 0 ]
  for d in /proc/self /proc/sys /proc/self/attr /proc/sysrq-trigger /proc/../proc/keys; do
    try inside "m.append({'destination': '$d', 'type': 'bind', 'source': '/etc/hostname', 'options': ['bind']})" true
    [ "$status" -ne 0 ]
  done
  try tmpfs "m[:] = [x for x in m if x['destination'] != '/proc'] + [{'destination': '/proc', 'type': 'tmpfs', 'source': 'tmpfs'}]" true
  [ "$status" -ne 0 ]
  # The control: what engines fake is permitted, and a link to a plain directory is an image's own affair.
  try faked "m.append({'destination': '/proc/uptime', 'type': 'bind', 'source': '/etc/hostname', 'options': ['bind', 'ro']})" cat /proc/uptime
  [ "$output" = "$(cat /etc/hostname)" ]
}

@test "CVE-2025-31133, CVE-2025-52565: an image's own /dev: null, console and pts that are links lift no mask and cover nothing" {
  own_rootfs
  local s='m[:] = [x for x in m if not x["destination"].startswith("/dev")]; c["root"]["readonly"] = False'
  mkdir "$ROOTFS/dev/pts"
  try plain "$s" sh -c 'cat /proc/keys | wc -c; echo x >/dev/null'
  [ "$output" = 0 ]
  rm -f "$ROOTFS"/dev/null
  ln -s /proc/sys/kernel/core_pattern "$ROOTFS/dev/null"
  try null "$s; l['readonlyPaths'] = []" sh -c 'cat /proc/keys | wc -c'
  [ "$status" -ne 0 ] || [ "$output" = 0 ]
  rm -f "$ROOTFS"/dev/null
  ln -s /proc/sys/kernel/core_pattern "$ROOTFS/dev/console"
  bundle console 'p["terminal"] = True; m[:] = [x for x in m if x["destination"] != "/dev"]; l["readonlyPaths"] = []; c["root"]["readonly"] = False' \
    sh -c 'head -c 20 /proc/sys/kernel/core_pattern | wc -c'
  run timeout 30 python3 "$BATS_TEST_DIRNAME/console.py" "$BATS_TEST_TMPDIR/sock" "$RT" --root "$ROOT" create --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/sock" console
  [ "$status" -ne 0 ]
  nothing_left
}

@test "CVE-2016-9962: those inside cannot trace or look into a process that joins them" {
  own_rootfs
  cat >"$BATS_TEST_TMPDIR/look.c" <<'C'
/* Looks at every process that comes: its descriptors, its memory, its program. Prints what of gabion's it got hold of. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	for (long i = 0; i < (argc > 1 ? atol(argv[1]) : 1); i++) {
		DIR *d = opendir("/proc");
		for (struct dirent *e; (e = readdir(d)) != NULL;) {
			int pid = atoi(e->d_name);
			char path[64], exe[256];
			if (pid <= 2 || pid == getpid())
				continue;
			snprintf(path, sizeof(path), "/proc/%d/exe", pid);
			long n = readlink(path, exe, sizeof(exe) - 1);
			exe[n > 0 ? n : 0] = 0;
			if (n > 0 && strstr(exe, "busybox") == NULL && strstr(exe, "look") == NULL)
				printf("exe of %d: %s\n", pid, exe), fflush(stdout);
		}
		closedir(d);
		usleep(5000);
	}
	puts("end");
	return 0;
}
C
  cc -static -o "$ROOTFS/bin/look" "$BATS_TEST_TMPDIR/look.c"
  bundle look '' look 400
  rt run -d --bundle "$BUNDLE" look 3>&- </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1
  for _ in $(seq 10); do
    rt exec look true
  done
  until_true grep -q end "$BATS_TEST_TMPDIR/out"
  cat "$BATS_TEST_TMPDIR/out"
  [ "$(cat "$BATS_TEST_TMPDIR/out")" = end ]
  # The control: the same program natively sees other programs' files.
  sleep 30 3>&- &
  run timeout 20 "$ROOTFS/bin/look" 3
  [[ $output == *"exe of $!: "* ]]
  kill $!
}

@test "hostile files of an image hold nobody up: passwd a FIFO, a directory, a huge file" {
  own_rootfs
  local s='p["env"] = ["PATH=/bin"]'
  rm "$ROOTFS/etc/passwd"
  mkfifo "$ROOTFS/etc/passwd"
  try fifo "$s" sh -c 'echo $HOME'
  [ "$output" = / ]
  rm "$ROOTFS/etc/passwd"
  mkdir "$ROOTFS/etc/passwd"
  try dir "$s" sh -c 'echo $HOME'
  [ "$output" = / ]
  rmdir "$ROOTFS/etc/passwd"
  truncate -s 10G "$ROOTFS/etc/passwd"
  try huge "$s" sh -c 'echo $HOME'
  [ "$output" = / ]
  rm "$ROOTFS/etc/passwd"
  ln -s /proc/kmsg "$ROOTFS/etc/passwd"
  try kmsg "$s" sh -c 'echo $HOME'
  [ "$output" = / ]
}
