#!/usr/bin/env bats
# Supervision in a container: its first process is the engine's alone, the sentry beside it is nobody's ancestor and answers
# its calls and those of what exec brings; policy, exec verification and record hold.

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

record() {
  cat "$ROOT/$1/record.jsonl"
}

recorded() {
  record "$1" | jq -e -s "any(.[]; $2)" >/dev/null
}

# Runs "$@" where /etc/gabion is $BATS_TEST_TMPDIR/etc/gabion, in a mount namespace of its own.
with_policy() {
  # shellcheck disable=SC2016 # for the shell inside
  unshare -m --propagation private sh -c 'mount --bind "$0" /etc && shift 0 && exec "$@"' "$BATS_TEST_TMPDIR/etc" "$@"
}

policy_dir() {
  mkdir -p "$BATS_TEST_TMPDIR/etc"
  cp -a /etc/. "$BATS_TEST_TMPDIR/etc/" 2>/dev/null || true
  rm -rf "$BATS_TEST_TMPDIR/etc/gabion"
  mkdir -p "$BATS_TEST_TMPDIR/etc/gabion/runner.d"
}

@test "the engine's subreaper reaps the first process; the sentry is no ancestor, and none of gabion's lies between" {
  bundle reaped '' sh -c 'sleep 1; exit 7'
  run timeout 60 python3 "$BATS_TEST_DIRNAME/subreaper.py" "$RT" "$ROOT" "$BUNDLE" reaped
  echo "$output"
  [ "$status" -eq 0 ]
  [[ $output == *"parent is the subreaper"* ]]
  [[ $output == *"no death signal"* ]]
  [[ $output == *"sentry is no ancestor"* ]]
  [[ $output == *"status 7"* ]]
  [[ $output == *"pipes ended"* ]]
  rt delete reaped
  nothing_left
}

@test "calls of the first process and of an exec are recorded, each by its own listener" {
  bundle recorded '' sleep 100
  rt run -d --bundle "$BUNDLE" recorded 3>&- </dev/null >/dev/null 2>&1
  rt exec recorded /bin/true
  rt exec recorded sh -c '/bin/uname >/dev/null; unshare -m true' || true
  until_true recorded recorded '.syscall == "execve" and .comm == "sh"'
  recorded recorded '.syscall == "execve" and .op == "exec" and .verdict == "allow"'
  until_true recorded recorded '.syscall == "unshare" and .result != null'
  # one filter in each, and not the same listener twice
  local pid
  pid=$(rt state recorded | jq .pid)
  grep -q "Seccomp_filters:.*1" "/proc/$pid/status"
  rt delete --force recorded
  nothing_left
}

@test "when the sentry dies nothing is let through, and nothing more is let in" {
  bundle orphan '' sh -c 'while :; do /bin/true && echo ran; usleep 50000; done'
  rt run -d --bundle "$BUNDLE" orphan 3>&- </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1
  until_true grep -q ran "$BATS_TEST_TMPDIR/out"
  kill -9 "$(jq '.helpers[0].pid' "$ROOT/orphan/state.json")"
  until_true grep -q "Function not implemented" "$BATS_TEST_TMPDIR/out"
  : >"$BATS_TEST_TMPDIR/out"
  sleep 0.5
  [ "$(grep -c ran "$BATS_TEST_TMPDIR/out")" -eq 0 ]
  run rt exec orphan true
  [ "$status" -ne 0 ]
  [[ $output == *"the container's sentry does not answer"* ]]
  rt delete --force orphan
  nothing_left
}

@test "with every capability and no profile of its own: no mount, no namespace, no chroot, no module, and natively they work" {
  local all='a = ["CAP_" + n for n in "SYS_ADMIN SYS_CHROOT SYS_PTRACE SYS_MODULE NET_ADMIN DAC_OVERRIDE SETUID SETGID MKNOD".split()]
p["capabilities"] = {k: a for k in ("bounding", "permitted", "effective", "inheritable")}; p["noNewPrivileges"] = False'
  try all "$all" sh -c 'for c in "mount -t tmpfs t /tmp" "unshare -m true" "unshare -U true" "chroot / true" "umount /dev/shm"; do $c 2>/dev/null && echo "done: $c"; done; echo end'
  [ "$output" = end ]
  unshare -m sh -c 'mount -t tmpfs t /mnt && umount /mnt && chroot / true'
}

@test "sockets of engines are covered where they are mounted, others are not; a policy lifts it" {
  local d=$BATS_TEST_TMPDIR/sockets
  mkdir -p "$d/dir"
  python3 - "$d" <<'PY' &
import socket, sys, time
keep = []
for name in ("docker.sock", "dir/podman.sock", "dir/other.sock"):
    s = socket.socket(socket.AF_UNIX)
    s.bind(sys.argv[1] + "/" + name)
    s.listen(5)
    keep.append(s)
open(sys.argv[1] + "/ready", "w").close()
time.sleep(300)
PY
  local server=$!
  until_true test -e "$d/ready"
  own_rootfs
  cat >"$BATS_TEST_TMPDIR/c.c" <<'C'
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct sockaddr_un a = {.sun_family = AF_UNIX};
		int s = socket(AF_UNIX, SOCK_STREAM, 0);
		strncpy(a.sun_path, argv[i], sizeof(a.sun_path) - 1);
		printf("%s %s\n", argv[i], connect(s, (struct sockaddr *)&a, sizeof(a)) ? strerror(errno) : "connected");
	}
	return 0;
}
C
  cc -static -o "$ROOTFS/bin/connect" "$BATS_TEST_TMPDIR/c.c"
  "$ROOTFS/bin/connect" "$d/docker.sock" | grep connected
  local s="m += [{'destination': '/run/x.sock', 'type': 'bind', 'source': '$d/docker.sock', 'options': ['bind']},
 {'destination': '/mnt/d', 'type': 'bind', 'source': '$d/dir', 'options': ['rbind']}]"
  try covered "$s" sh -c 'connect /run/x.sock /mnt/d/podman.sock /mnt/d/other.sock; mv /mnt/d/podman.sock /mnt/d/p; ln /mnt/d/podman.sock /mnt/d/q; connect /mnt/d/q; umount /mnt/d/podman.sock'
  echo "$output"
  [[ $output == *"/run/x.sock Connection refused"* ]]
  [[ $output == *"/mnt/d/podman.sock Connection refused"* ]]
  [[ $output == *"/mnt/d/other.sock connected"* ]]
  [[ $output != *"/mnt/d/q connected"* ]]
  policy_dir
  printf 'version: 1\nextends: runner\nfilesystem:\n  except: ["**/docker.sock", "**/podman.sock"]\n' >"$BATS_TEST_TMPDIR/etc/gabion/runner.yaml"
  bundle lifted "$s" connect /run/x.sock /mnt/d/podman.sock
  run with_policy timeout 60 "$RT" --root "$ROOT" run --bundle "$BUNDLE" lifted
  echo "$output"
  [[ $output == *"/run/x.sock connected"* ]]
  [[ $output == *"/mnt/d/podman.sock connected"* ]]
  kill "$server"
}

@test "what the policy denies to be executed is not, in the first process's tree and in an exec, by any name" {
  own_rootfs
  mkdir "$ROOTFS/usr" "$ROOTFS/usr/opt"
  ln -s usr/opt "$ROOTFS/opt"
  cp "$ROOTFS/bin/busybox" "$ROOTFS/opt/true"
  ln -s true "$ROOTFS/opt/false"
  policy_dir
  printf 'version: 1\nextends: runner\nexec:\n  deny: [/opt/true]\n' >"$BATS_TEST_TMPDIR/etc/gabion/runner.yaml"
  bundle denied '' sh -c 'sleep 100; :'
  rt run -d --bundle "$BUNDLE" free 3>&- </dev/null >/dev/null 2>&1
  rt exec free /opt/true
  rt delete --force free
  with_policy "$RT" --root "$ROOT" run -d --bundle "$BUNDLE" denied 3>&- </dev/null >/dev/null 2>&1
  run rt exec denied sh -c '/opt/true; echo $?; /opt/false; echo $?; cd /usr/opt; ./true; echo $?; /bin/true; echo $?'
  echo "$output"
  [ "$(grep -cx 126 <<<"$output")" -eq 3 ]
  [ "${lines[-1]}" = 0 ]
  run rt exec denied /opt/true
  [ "$status" -eq 255 ]
  [[ $output == *"permission denied"* ]]
  # A user's own directory, which root without capabilities could not search.
  mkdir "$ROOTFS/home" "$ROOTFS/home/u"
  cp "$ROOTFS/bin/busybox" "$ROOTFS/home/u/true"
  chown -R 1001:1001 "$ROOTFS/home/u"
  chmod 700 "$ROOTFS/home/u"
  rt exec --user 1001 denied sh -c '/home/u/true && cd /home/u && ./true'
  run rt exec --user 1001 denied /opt/true
  [ "$status" -eq 255 ]
  until_true recorded denied '.verdict == "deny" and .object == "/usr/opt/true"'
  rt delete --force denied
  nothing_left
}

@test "a policy that cannot be held ends the create, by name; an annotation names only what the administrator put there" {
  policy_dir
  local p=$BATS_TEST_TMPDIR/etc/gabion rules
  bundle refused '' true
  for rules in 'filesystem: {hide: [/etc/passwd]}' 'filesystem: {protect: ["**/.bashrc"]}' 'network: {allow: ["example.org:443"]}' 'limits: {memory: 1g}' 'io_uring: restricted' 'environment: {set: [A=b]}'; do
    printf 'version: 1\nextends: runner\n%s\n' "$rules" >"$p/runner.yaml"
    run with_policy "$RT" --root "$ROOT" run --bundle "$BUNDLE" refused
    echo "$rules: $output"
    [ "$status" -ne 0 ]
    [[ $output == *"the policy"* ]]
    [ -z "$(ls -A "$ROOT")" ]
  done
  rm "$p/runner.yaml"
  bundle named 'c["annotations"] = {"dev.gabion.policy": "ci"}' sh -c '/bin/uname >/dev/null && echo ran'
  run with_policy "$RT" --root "$ROOT" run --bundle "$BUNDLE" named
  [ "$status" -ne 0 ]
  [[ $output == *"the administrator permits no policy"* ]]
  printf 'version: 1\nextends: runner\nexec:\n  deny: [/bin/busybox]\n' >"$p/runner.d/ci.yaml"
  run with_policy "$RT" --root "$ROOT" run --bundle "$BUNDLE" named
  [[ $output != *ran* ]]
  printf 'version: 1\nextends: runner\n' >"$p/runner.d/ci.yaml"
  run with_policy "$RT" --root "$ROOT" run --bundle "$BUNDLE" named
  [ "$output" = ran ]
  for name in ../ci /etc/gabion/ci .ci ''; do
    bundle evil "c['annotations'] = {'dev.gabion.policy': '$name'}" true
    run with_policy "$RT" --root "$ROOT" run --bundle "$BUNDLE" evil
    [ "$status" -ne 0 ]
    [[ $output == *"is not the name of a policy"* ]]
  done
  chmod 666 "$p/runner.d/ci.yaml"
  run with_policy "$RT" --root "$ROOT" run --bundle "$BATS_TEST_TMPDIR/named" named
  [[ $output == *"only its owner can write"* ]]
}

@test "gabion's processes of a container take at most 8 MB, beside its groups, and end with it" {
  bundle small 'l["resources"]["pids"] = {"limit": 3}' sleep 100
  rt run -d --bundle "$BUNDLE" small 3>&- </dev/null >/dev/null 2>&1
  local pid sum=0 kb
  for pid in $(jq '.helpers[].pid' "$ROOT/small/state.json"); do
    kb=$(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup")
    sum=$((sum + kb))
    grep -q "/small.gabion$\|/small\.gabion" "/proc/$pid/cgroup"
    [ "$(awk '/^Seccomp:/ { print $2 }' "/proc/$pid/status")" = 2 ]
  done
  echo "$sum kB"
  [ "$sum" -gt 0 ]
  [ "$sum" -le 8192 ]
  rt kill small KILL
  until_true is_status small stopped
  helpers_gone() { [ -z "$(helpers)" ]; }
  until_true helpers_gone
  rt delete small
  nothing_left
}

@test "a hundred execs, twenty at a time: each has its status, and the sentry keeps nothing of them" {
  bundle many '' sleep 1000
  rt run -d --bundle "$BUNDLE" many 3>&- </dev/null >/dev/null 2>&1
  local sentry fds threads
  sentry=$(jq '.helpers[0].pid' "$ROOT/many/state.json")
  rt exec many true
  quiet() { [ "$(ls "/proc/$sentry/task" | wc -l)" -le "$1" ]; }
  until_true quiet 4
  fds=$(ls "/proc/$sentry/fd" | wc -l)
  threads=$(ls "/proc/$sentry/task" | wc -l)
  # shellcheck disable=SC2016 # for the shell inside
  run bash -c 'seq 100 | xargs -P 20 -I{} sh -c "\"\$1\" --root \"\$2\" exec many sh -c \"/bin/true; exit \$((\$3 % 50))\"; [ \$? -eq \$((\$3 % 50)) ] || echo wrong \$3" x "$0" "$1" {}' "$RT" "$ROOT"
  echo "$output"
  [ -z "$output" ]
  until_true quiet "$threads"
  [ "$(ls "/proc/$sentry/fd" | wc -l)" -le "$fds" ]
  rt exec many true
  rt delete --force many
  nothing_left
}

@test "memory files, files without a name and rings: nothing of the kind is executed or given, natively it is" {
  own_rootfs
  cat >"$BATS_TEST_TMPDIR/m.c" <<'C'
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void try(const char *what, int to)
{
	char *argv[] = {"m", "again", NULL}, *env[] = {NULL}, path[64];
	int from = open("/proc/self/exe", O_RDONLY);
	struct stat st;
	fstat(from, &st);
	sendfile(to, from, NULL, st.st_size);
	fchmod(to, 0755);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", to);
	int fd = open(path, O_RDONLY);
	close(to);
	fflush(stdout);
	if (fork() == 0) {
		fexecve(fd, argv, env);
		printf("%s: %s\n", what, strerror(errno));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}
int main(int argc, char **argv)
{
	if (argc > 1)
		return puts("executed") < 0;
	try("memfd", memfd_create("x", 0));
	try("tmpfile", open("/tmp", O_TMPFILE | O_RDWR, 0755));
	char params[120] = {0};
	long ring = syscall(SYS_io_uring_setup, 4, params);
	printf("ring: %s\n", ring < 0 ? strerror(errno) : "given");
	return 0;
}
C
  cc -D_GNU_SOURCE -static -o "$ROOTFS/bin/m" "$BATS_TEST_TMPDIR/m.c"
  run "$ROOTFS/bin/m"
  [ "$(grep -c executed <<<"$output")" -eq 2 ]
  try memory 'm.append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=8m", "mode=1777"]}); p["user"]["uid"] = 1001' m
  echo "$output"
  [ "$status" -eq 0 ]
  [ "$(grep -c executed <<<"$output")" -eq 0 ]
  [[ $output == *"memfd: Permission denied"* ]]
  [[ $output == *"tmpfile: Permission denied"* ]]
  [[ $output == *"ring: Function not implemented"* ]]
}
