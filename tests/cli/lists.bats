#!/usr/bin/env bats
# shellcheck disable=SC2154 # mode and ws are set by each_mode
# Lists of system calls (syscalls: of gabion-policy(5), --syscalls): ordinary programs under the narrow one, and what it refuses.

setup() {
  load common
  load run
}

# Makes every call whose narrowest list is not in the words behind it, with arguments that cannot succeed; prints those that are not
# answered ENOSYS or EPERM. What would wait or end the caller natively is left out.
sweep() {
  cat >sweep.py <<'PY'
import ctypes, errno, json, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
for row in json.load(open("table.json")):
    if row["list"] in sys.argv[1:] or row["class"] in ("eperm", "enosys", "kill") or row["name"] in ("pause", "sync", "uprobe", "uretprobe"):
        continue
    ctypes.set_errno(0)
    bad = ctypes.c_long(-1)
    libc.syscall(ctypes.c_long(row["nr"]), bad, bad, bad, bad, bad, bad)
    # splice and tee say that it is nothing for them: programs then copy (policy/narrow_list.c).
    known = (errno.ENOSYS, errno.EPERM, errno.EINVAL) if row["name"] in ("splice", "tee") else (errno.ENOSYS, errno.EPERM)
    if ctypes.get_errno() not in known:
        print(row["name"])
PY
  "$GABION" syscalls --json >table.json
  chmod 644 table.json sweep.py
}

outside() {
  sweep
  # Natively they are there.
  [ "$(in_mode "$mode" python3 sweep.py narrow | wc -l)" -gt 100 ] || return 1
  is "" "$(guest --syscalls narrow -- python3 sweep.py narrow)" "reached under narrow" || return 1
  is "" "$(guest --syscalls narrow --mediate all -- python3 sweep.py narrow)" "reached under narrow, all mediated" || return 1
  is "" "$(guest --syscalls usual -- python3 sweep.py narrow usual)" "reached under usual" || return 1
  # A wider list lets them be.
  [ "$(guest --syscalls wide -- python3 sweep.py narrow | wc -l)" -gt 100 ] || return 1
  [ "$(guest --syscalls usual -- python3 sweep.py narrow | wc -l)" -gt 20 ]
}

@test "what a list lacks is refused, whatever the arguments" {
  each_mode outside
}

values() {
  cat >values.py <<'PY'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(*a):
    ctypes.set_errno(0)
    r = libc.syscall(*[ctypes.c_long(x) for x in a])
    return "ok" if r >= 0 else os.strerror(ctypes.get_errno())
r, w = os.pipe()
buffer = ctypes.create_string_buffer(64)
room = ctypes.addressof(buffer)
print(call(9, 0, 4096, 3, 0x22, -1, 0), call(9, 0, 4096, 3, 0x2022, -1, 0))  # mmap, MAP_LOCKED
print(call(28, 0, 0, 4), call(28, 0, 0, 12))  # madvise: MADV_DONTNEED, MADV_MERGEABLE
print(call(72, r, 1, 0), call(72, r, 9, 0))  # fcntl: F_GETFD, F_GETOWN
print(call(16, r, 0x541b, room), call(16, r, 0x5460, 0))  # ioctl: FIONREAD, FIOQSIZE
print(call(228, 1, room), call(157, 22, 1))  # clock_gettime, PR_SET_SECCOMP
PY
  chmod 644 values.py
  guest --syscalls "$1" -- python3 values.py >out
}

by_value() {
  values narrow || return 1
  [ "$(cut -d ' ' -f 1 out | sort -u)" = ok ] || { cat out; return 1; }
  ! cut -d ' ' -f 2- out | grep -qx ok || { cat out; return 1; }
  values wide && [ "$(sed -n '1,3p' out)" = "ok ok
ok ok
ok ok" ] || { cat out; return 1; }
}

@test "under narrow flags and commands are those of ordinary programs" {
  each_mode by_value
}

programs() {
  cat >t.c <<'C'
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *f(void *a) { return a; }
int main(void) { pthread_t t; pthread_create(&t, NULL, f, NULL); pthread_join(t, NULL); return printf("%d\n", getppid() > 0) < 0; }
C
  printf 'all:\n\t@echo made\n' >Makefile
  cat >all.sh <<'SH'
set -e
if command -v gcc >/dev/null; then gcc -o t t.c; fi
if command -v make >/dev/null; then [ "$(make -j2)" = made ]; fi
if command -v git >/dev/null; then
  git init -q r && git -C r -c user.name=a -c user.email=a@b commit -q --allow-empty -m first && [ "$(git -C r log --oneline | wc -l)" = 1 ]
  git clone -q r s
fi
python3 - <<'PY'
import asyncio, os, socket, subprocess, tempfile, threading
assert subprocess.run(["echo", "x"], capture_output=True).stdout == b"x\n"
t = threading.Thread(target=os.getpid); t.start(); t.join()
async def child():
    p = await asyncio.create_subprocess_exec("true")
    assert await p.wait() == 0
asyncio.run(child())
s = socket.create_server(("127.0.0.1", 0)) if os.environ.get("LOOPBACK") else None
a, b = socket.socketpair(); a.send(b"1"); assert b.recv(9) == b"1"
PY
if command -v node >/dev/null; then
  [ "$(node -e 'const c = require("child_process"); new (require("worker_threads").Worker)("process.stdout.write(\"\")", {eval: true});
    process.stdout.write(c.execSync("echo child")); require("fs").copyFileSync("t.c", "u.c")')" = child ]
fi
if command -v perl >/dev/null; then perl -e '$SIG{ALRM} = sub { exit 0 }; alarm 1; sleep 9; exit 1'; fi
timeout 9 sh -c 'sleep 0.1'
ls -la . >/dev/null; cp t.c v.c; mv v.c w.c; tar cf x.tar w.c; rm w.c; sort t.c | head -n 1 >/dev/null; find . -name '*.c' | xargs grep -c main >/dev/null
(sleep 0.1 & wait $!); mkfifo p; (echo through >p &); [ "$(cat p)" = through ]; id >/dev/null; ulimit -n >/dev/null
echo fine
SH
  chmod 644 t.c Makefile all.sh
  [ "$mode" = bare ] || export LOOPBACK=1
  # The interpreter of a person's own home may not be readable here.
  PATH=/usr/bin:/bin ends 0 guest --profile strict -- bash all.sh || return 1
  is fine "$out" "programs under strict"
  unset LOOPBACK
}

@test "shells, gcc, make, git, python, node and perl work under strict" {
  each_mode programs
}

counts() {
  local n
  n=$(in_mode "$mode" "$GABION" explain --profile strict --json | jq '.syscalls.native + .syscalls.after_a_look') || return 1
  [ "$n" -le 96 ] && [ "$n" -gt 50 ] || { echo "$n under strict"; return 1; }
  n=$(in_mode "$mode" "$GABION" explain --syscalls usual --json | jq '.syscalls.native + .syscalls.after_a_look') || return 1
  [ "$n" -le 160 ] && [ "$n" -gt 96 ] || { echo "$n under agent, usual"; return 1; }
  ends 0 in_mode "$mode" "$GABION" explain --syscalls wide && [[ $out == *"calls   wide: "* ]] || return 1
  printf 'version: 1\nextends: strict\nsyscalls: wide\n' >w.yaml
  ends 0 in_mode "$mode" "$GABION" explain -p w.yaml && [[ $out == *"calls   wide: "* ]] || return 1
  printf 'version: 1\nfilesystem: {read: [/]}\n' >n.yaml
  ends 0 in_mode "$mode" "$GABION" explain -p n.yaml && [[ $out == *"calls   narrow: "* ]]
}

@test "explain tells how many calls there are: at most 96 under strict, 160 with the usual ones" {
  each_mode counts
}
