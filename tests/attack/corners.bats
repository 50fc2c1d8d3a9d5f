#!/usr/bin/env bats
# ATTACKS sections C, D, E and G: ways round a supervisor, the kernel's odd doors, and what is to bring it down. Ids are in the names;
# docs/ATTACKS-COVERED.md says where the others are tested.
# shellcheck disable=SC2016 # expanded inside

setup() {
  load common
}

secret() {
  native "$1" sh -c 'mkdir -p hidden && echo SECRET >hidden/s && echo SECRET >open && mkdir -p protected && echo SECRET >protected/p && echo SECRET >free'
}

# Ways to read a file.
ways_to_read() {
  local way
  secret "$1" || return 1
  for way in "${@:2}"; do
    got native "$1" "$ATTACK/corner" "$way" "$WS/hidden/s" || return 1
    each_way held inside "$1" --hide "$WS/hidden" -- "$ATTACK/corner" "$way" "$WS/hidden/s" || return 1
    each_way got inside "$1" --hide "$WS/hidden" -- "$ATTACK/corner" "$way" "$WS/open" || return 1
  done
}

@test "D6 a filter of the guest's own loosens nothing" {
  t() { ways_to_read "$1" filter; }
  each_mode t
}

@test "D7 syscall user dispatch takes no call away" {
  t() { ways_to_read "$1" dispatch; }
  each_mode t
}

@test "D12 a forged signal frame gets no call through" {
  t() { ways_to_read "$1" sigreturn; }
  each_mode t
}

@test "D14 D16 signals blocked, handled and restarting calls change no verdict" {
  t() { ways_to_read "$1" handler restart thread; }
  each_mode t
}

@test "E2 a descriptor that may only be read changes nothing, by any call" {
  t() {
    local way
    for way in write-fd pwritev sendfile splice copy aio; do
      secret "$1" || return 1
      got native "$1" "$ATTACK/corner" "$way" "$WS/protected/p" || return 1
      secret "$1" || return 1
      each_way held inside "$1" --protect "$WS/protected" -- "$ATTACK/corner" "$way" "$WS/protected/p" || return 1
      [ "$(cat "$WS/protected/p")" = SECRET ] || return 1
      got inside "$1" --protect "$WS/protected" -- "$ATTACK/corner" "$way" "$WS/free" || return 1
    done
  }
  each_mode t
}

@test "C3 /proc/PID/mem is the guest's own or nobody's" {
  t() {
    got native "$1" "$ATTACK/corner" mem || return 1
    # In bare mode nothing in the host's own /proc is opened for writing.
    [ "$1" = bare ] || got inside "$1" -- "$ATTACK/corner" mem || return 1
    # Natively the process above can be looked into.
    native "$1" python3 -c 'import os
for name in ("maps", "environ", "root/etc", "exe"):
    os.open("/proc/%d/%s" % (os.getppid(), name), os.O_RDONLY)' || return 1
    # The first process, gabion's own, and the one above it.
    inside "$1" -- python3 -c '
import os, sys
for pid in {1, os.getppid()}:
    for name in ("mem", "environ", "maps", "fd/0", "root/etc", "cwd/.", "exe", "task/%d/mem" % pid):
        try:
            os.open("/proc/%d/%s" % (pid, name), os.O_RDONLY)
            sys.exit("opened /proc/%d/%s" % (pid, name))
        except OSError:
            pass'
  }
  each_mode t
}

@test "C6 C9 nothing of the kernel or the host is read through /proc and /sys, in no spelling" {
  cat >"$T/spell.py" <<'P'
import os, sys
names = sys.argv[1:]
for name in names:
    top, rest = name.split("/", 2)[1:]
    spellings = {
        "plain": lambda: os.open(name, os.O_RDONLY),
        "dots": lambda: os.open("/%s/./self/../%s" % (top, rest) if top == "proc" else "/sys/./fs/../" + rest, os.O_RDONLY),
        "dirfd": lambda: os.open(rest, os.O_RDONLY, dir_fd=os.open("/" + top, os.O_RDONLY)),
        "opath": lambda: os.open("/proc/self/fd/%d" % os.open(name, os.O_PATH), os.O_RDONLY),
        "root": lambda: os.open("/proc/self/root" + name, os.O_RDONLY),
    }
    for how, get in spellings.items():
        try:
            fd = get()
            data = os.read(fd, 64)
        except IsADirectoryError:
            data = os.listdir(name)
        except OSError:
            data = b""
        if data:
            print(name, how)
P
  chmod 644 "$T/spell.py"
  t() {
    local names="/proc/kallsyms /proc/iomem /proc/ioports /proc/interrupts /proc/modules /proc/cmdline /proc/diskstats /proc/partitions
      /proc/swaps /proc/zoneinfo /proc/keys /proc/key-users /proc/bus /proc/irq /proc/softirqs /proc/buddyinfo /sys/block /sys/class/block
      /sys/firmware /sys/bus /sys/module"
    case $1 in
      bare) return 0 ;; # the host's own /proc and /sys: docs/LIMITS.md
    esac
    # shellcheck disable=SC2086
    [ "$(native "$1" python3 "$T/spell.py" $names | wc -l)" -gt 30 ] || return 1
    # shellcheck disable=SC2086
    inside "$1" --read "$T/spell.py" -- python3 "$T/spell.py" $names >"$OUT/spelt" || return 1
    [ ! -s "$OUT/spelt" ] || {
      cat "$OUT/spelt" >&2
      return 1
    }
    [ -n "$(inside "$1" --read "$T/spell.py" -- python3 "$T/spell.py" /proc/meminfo)" ]
  }
  each_mode t
}

@test "C9 the host's processes, sockets and interfaces do not show" {
  python3 -c '
import socket, sys, time
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
open(sys.argv[1], "w").write("%04X" % s.getsockname()[1]); time.sleep(60)' "$T/port" &
  local mine=$!
  for _ in $(seq 100); do [ -s "$T/port" ] && break; sleep 0.05; done
  local look='grep -q ":$0 " /proc/net/tcp && echo port; cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\0" "\n" | grep -q "getsock[n]ame" && echo process
    ls /sys/class/net | grep -qv "^lo$" && echo interface; true'
  t() {
    [ "$1" != bare ] || return 0 # the host's own /proc: docs/LIMITS.md
    [[ "$(native "$1" sh -c "$look" "$(cat "$T/port")")" = *port*process* ]] || return 1
    [ -z "$(inside "$1" -- sh -c "$look" "$(cat "$T/port")")" ]
  }
  each_mode t || { kill $mine; return 1; }
  kill $mine
}

# What of /proc and /sys reads the same inside as outside: PATHS that do.
same_inside='import glob, os, sys
def read(p):
    try:
        return os.listdir(p) if os.path.isdir(p) else open(p, "rb").read(4096)
    except OSError:
        return b""
for pattern in sys.argv[1:]:
    for p in glob.glob(pattern):
        if read(p): print(p)'

@test "C9 the hardware of the host does not show" {
  t() {
    [ "$1" != bare ] || return 0 # the host's own /proc: docs/LIMITS.md
    local what='/sys/devices/pci* /sys/devices/platform /sys/devices/virtual/block /sys/fs/ext4 /proc/fs /proc/driver /sys/bus/*'
    # shellcheck disable=SC2086
    [ -n "$(native "$1" python3 -c "$same_inside" $what)" ] || return 1
    # shellcheck disable=SC2086
    [ -z "$(inside "$1" -- python3 -c "$same_inside" $what)" ] || return 1
    [ -n "$(inside "$1" -- python3 -c "$same_inside" '/sys/devices/system/cpu/cpu*')" ]
  }
  each_mode t
}

# Prints SEEN where a mount table says anything of $1, by each way to one: what programs open, what the kernel opens (a link from elsewhere), and
# a path that is swapped while it is opened.
tables='import ctypes, os, sys, threading
import time
want = sys.argv[1].encode()
def look(how, path):
    try:
        data = open(path, "rb").read()
        if want in data: print("SEEN", how)
        return data
    except OSError:
        return b""
me = os.getpid()
for name in ("mountinfo", "mounts", "mountstats"):
    for base in ("/proc/self", "/proc/thread-self", "/proc/%d" % me, "/proc/1", "/proc/%d/task/%d" % (os.getppid(), os.getppid()), "/proc/self/root/proc/self"):
        look(name, base + "/" + name)
    os.symlink("/proc/self/" + name, "l." + name)
    look("link to " + name, "l." + name)
look("mtab", "/etc/mtab")
look("proc/mounts", "/proc/mounts")
for pid in os.listdir("/proc"):
    if pid.isdigit(): look("of " + pid, "/proc/%s/mountinfo" % pid)
libc = ctypes.CDLL(None)
buf = ctypes.create_string_buffer(64)
paths = [b"/etc/hostname\0", b"/proc/self/mountinfo\0"]
over = []
def flip():
    n = 0
    while not over:
        n += 1
        ctypes.memmove(buf, paths[n % 2], len(paths[n % 2]))
threading.Thread(target=flip, daemon=True).start()
end = time.monotonic() + float(os.environ.get("ATTACK_SECONDS", "1"))
while time.monotonic() < end:
    fd = libc.open(buf, os.O_RDONLY)
    if fd >= 0:
        if want in os.read(fd, 65536):
            print("SEEN", "swapped")
            break
        os.close(fd)
over.append(1)
print("own", b" / rw" in look("", "/proc/self/mountinfo") or os.getcwd().encode() in look("", "/proc/self/mountinfo"))'

@test "C9 no mount table tells under which paths of the host the mounts lie" {
  t() {
    [ "$1" != bare ] || return 0 # the host's own /proc: docs/LIMITS.md
    # The control: what a mount namespace without more shows. Only root makes one here without gabion.
    if [ "$1" = root ]; then
      mkdir "$OUT/secret-place"
      # shellcheck disable=SC2016
      (cd "$WS" && unshare -m sh -c 'mount --bind "$1" /mnt && exec python3 -c "$2" secret-place' - "$OUT/secret-place" "$tables") >"$OUT/seen"
      grep -q 'SEEN link to mountinfo' "$OUT/seen" && grep -q 'SEEN swapped' "$OUT/seen" && [ "$(grep -c SEEN "$OUT/seen")" -ge 5 ] || return 1
      find "$WS" -mindepth 1 -delete
    fi
    # The private home comes from below the state directory; the root is on a device of the host's.
    local name source
    source=$(findmnt -n -o SOURCE / | cut -d'[' -f1)
    case $source in /dev/*) ;; *) source=lowerdir ;; esac
    for name in gabion/home "$source"; do
      inside "$1" -- python3 -c "$tables" "$name" >"$OUT/seen" || return 1
      ! grep SEEN "$OUT/seen" >&2 || return 1
      grep -q 'own True' "$OUT/seen" || return 1
      find "$WS" -mindepth 1 -delete
    done
    # What needs a table works.
    [ "$(inside "$1" -- sh -c 'df . >/dev/null && findmnt -n -o TARGET -T . | head -n 1 && grep -c . /etc/mtab')" != "" ]
  }
  each_way_mode() { each_way t "$1"; }
  each_mode each_way_mode
}

@test "C10 E8 nothing is gained by writing to /proc and to control groups" {
  cat >"$T/gain.py" <<'P'
import glob, os
def write(path, text):
    try:
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, text.encode())
        print(path)
    except OSError:
        pass
write("/proc/self/oom_score_adj", "-1000")
write("/proc/self/uid_map", "0 0 1")
write("/proc/self/setgroups", "allow")
write("/proc/self/gid_map", "0 0 1")
write("/proc/sys/kernel/core_pattern", open("/proc/sys/kernel/core_pattern").read())
write("/proc/sys/vm/overcommit_memory", open("/proc/sys/vm/overcommit_memory").read())
write("/proc/sys/user/max_user_namespaces", "1000") if os.getuid() else None
for top in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
    for path in glob.glob(top + "/**/cgroup.procs", recursive=True)[:40] + glob.glob(top + "/**/release_agent", recursive=True):
        write(path, "")
        write(os.path.dirname(path) + "/memory.max", "max")
    try:
        os.mkdir(top + "/attack"); os.rmdir(top + "/attack"); print("mkdir", top)
    except OSError:
        pass
P
  chmod 644 "$T/gain.py"
  t() {
    [ "$1" != root ] || [ -n "$(native root python3 "$T/gain.py")" ] || return 1
    inside "$1" --read "$T/gain.py" -- python3 "$T/gain.py" >"$OUT/gained" || return 1
    [ ! -s "$OUT/gained" ] || {
      cat "$OUT/gained" >&2
      return 1
    }
    # What is the process's own can be set.
    [ "$1" = bare ] || [ "$(inside "$1" -- sh -c 'echo 500 >/proc/self/oom_score_adj; cat /proc/self/oom_score_adj' 2>/dev/null)" = 500 ]
  }
  each_mode t
}

@test "D3 32-bit programs do not run" {
  python3 - "$T/elf32" "$T/elf64" <<'P'
import os, struct, sys
code = b"\xb8\x01\x00\x00\x00\xbb\x2a\x00\x00\x00\xcd\x80"          # i386: exit(42)
head = b"\x7fELF\x01\x01\x01" + bytes(9)
ehdr = head + struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x8048054, 52, 0, 0, 52, 32, 1, 0, 0, 0)
phdr = struct.pack("<IIIIIIII", 1, 0, 0x8048000, 0x8048000, 84 + len(code), 84 + len(code), 5, 4096)
open(sys.argv[1], "wb").write(ehdr + phdr + code)
code = b"\xb8\x3c\x00\x00\x00\xbf\x2a\x00\x00\x00\x0f\x05"
head = b"\x7fELF\x02\x01\x01" + bytes(9)
ehdr = head + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
phdr = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120 + len(code), 120 + len(code), 4096)
open(sys.argv[2], "wb").write(ehdr + phdr + code)
for f in sys.argv[1:]:
    os.chmod(f, 0o755)
P
  t() {
    local status=0
    native "$1" cp "$T/elf32" "$T/elf64" . || return 1
    native "$1" ./elf32 || status=$?
    [ "$status" -eq 42 ] || { echo "# this kernel runs no 32-bit programs: $status" >&3; }
    status=0
    inside "$1" -- ./elf32 2>/dev/null || status=$?
    [ "$status" -eq 159 ] || [ "$status" -eq 126 ] || return 1
    status=0
    inside "$1" -- ./elf64 || status=$?
    [ "$status" -eq 42 ]
  }
  each_mode t
}

@test "D13 no page of gabion's is in a guest" {
  local list='cat /proc/self/maps | awk "{ print \$2, \$6 }" | sort -u'
  t() {
    native "$1" sh -c "$list" >"$OUT/native" || return 1
    inside "$1" -- sh -c "$list" >"$OUT/inside" || return 1
    diff "$OUT/native" "$OUT/inside" >&2
  }
  each_mode t
}

@test "D17 a set-user-id program gains nothing" {
  [ "$(id -u)" -eq 0 ] || skip "needs root to make one"
  local dir
  # Where set-user-id counts.
  dir=$(mktemp -d /var/tmp/gabion-suid.XXXXXX)
  chmod 755 "$dir"
  cp "$(command -v cat)" "$dir/cat"
  chmod 4755 "$dir/cat"
  echo SECRET >"$dir/s"
  chmod 600 "$dir/s"
  t() {
    [ "$1" != root ] || return 0
    [ "$(native "$1" "$dir/cat" "$dir/s" 2>/dev/null)" = SECRET ] || [ "$1" = bare ] || return 1
    [ -z "$(inside "$1" --read "$dir" --exec "$dir" -- "$dir/cat" "$dir/s" 2>/dev/null)" ] || return 1
    [ "$(inside "$1" -- sh -c 'grep -c "^NoNewPrivs:.1" /proc/self/status')" = 1 ] || return 1
    # It runs, without the gain.
    echo open >"$dir/open"
    chmod 644 "$dir/open"
    [ "$(inside "$1" --read "$dir" --exec "$dir" -- "$dir/cat" "$dir/open")" = open ]
  }
  each_mode t || { rm -rf "$dir"; return 1; }
  rm -rf "$dir"
}

@test "E9 shared memory and queues of the host are not seen" {
  cat >"$T/ipc.py" <<'P'
import ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
key = 0x67616269
if sys.argv[1] == "make":
    print(libc.shmget(key, 4096, 0o1666))
elif sys.argv[1] == "remove":
    libc.shmctl(int(sys.argv[2]), 0, None)
elif sys.argv[1] == "own":
    sys.exit(0 if libc.shmget(key + 1, 4096, 0o1600) >= 0 else 1)
else:
    sys.exit(0 if libc.shmget(key, 0, 0) >= 0 else 1)
P
  chmod 644 "$T/ipc.py"
  t() {
    local id bad=''
    id=$(native "$1" python3 "$T/ipc.py" make)
    [ "$id" -ge 0 ] || return 1
    got native "$1" python3 "$T/ipc.py" find || bad=1
    held inside "$1" --read "$T/ipc.py" -- python3 "$T/ipc.py" find || bad=1
    [ "$1" = bare ] || got inside "$1" --read "$T/ipc.py" -- python3 "$T/ipc.py" own || bad=1
    native "$1" python3 "$T/ipc.py" remove "$id"
    [ -z "$bad" ]
  }
  each_mode t
}

@test "E13 what is hidden is not watched" {
  cat >"$T/watch.py" <<'P'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
sys.exit(0 if libc.inotify_add_watch(libc.inotify_init(), sys.argv[1].encode(), 0xfff) >= 0 else 1)
P
  chmod 644 "$T/watch.py"
  t() {
    local what
    secret "$1" || return 1
    for what in hidden hidden/s; do
      got native "$1" python3 "$T/watch.py" "$what" || return 1
      each_way held inside "$1" --read "$T/watch.py" --hide "$WS/hidden" -- python3 "$T/watch.py" "$what" || return 1
    done
    each_way got inside "$1" --read "$T/watch.py" --hide "$WS/hidden" -- python3 "$T/watch.py" open
  }
  each_mode t
}

@test "E14 E15 a process of the host is neither signalled, limited nor slowed" {
  cat >"$T/reach.py" <<'P'
import ctypes, fcntl, os, resource, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
pid = int(sys.argv[1])
def attempt(name, what):
    try:
        r = what()
        if r is None or r is not False and (not isinstance(r, int) or r >= 0):
            print(name)
    except (OSError, ValueError):
        pass
attempt("kill", lambda: os.kill(pid, 0))
attempt("tgkill", lambda: libc.syscall(234, pid, pid, 0))
attempt("tkill", lambda: libc.syscall(200, pid, 0))
attempt("pidfd", lambda: signal.pidfd_send_signal(os.pidfd_open(pid), 0))
info = (ctypes.c_int * 32)(10, 0, -1)
attempt("sigqueue", lambda: libc.syscall(129, pid, 0, info))
attempt("group", lambda: os.kill(-os.getpgid(pid), 0))
attempt("prlimit", lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (100, 200)))
attempt("affinity", lambda: os.sched_setaffinity(pid, {0}))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, 15))
attempt("ioprio", lambda: libc.syscall(251, 1, pid, (2 << 13) | 7))
attempt("scheduler", lambda: os.sched_setscheduler(pid, os.SCHED_BATCH, os.sched_param(0)))
attempt("memory", lambda: os.open("/proc/%d/mem" % pid, os.O_RDWR))
attempt("trace", lambda: libc.ptrace(0x4206, pid, None, None))
attempt("pgid", lambda: os.setpgid(0, pid))
P
  chmod 644 "$T/reach.py"
  t() {
    local victim own bad=''
    # Of the same user.
    native "$1" sh -c 'echo $$ >"$0/pid"; exec sleep 60' "$OUT" 3>&- &
    for _ in $(seq 100); do [ -s "$OUT/pid" ] && break; sleep 0.05; done
    victim=$(cat "$OUT/pid")
    [ "$victim" -gt 1 ] || return 1
    native "$1" python3 "$T/reach.py" "$victim" >"$OUT/native"
    [ "$(wc -l <"$OUT/native")" -ge 9 ] || { echo "natively only: $(tr '\n' ' ' <"$OUT/native")" >&2; bad=1; }
    inside "$1" --read "$T/reach.py" -- python3 "$T/reach.py" "$victim" >"$OUT/inside" || bad=1
    [ ! -s "$OUT/inside" ] || { echo "inside: $(tr '\n' ' ' <"$OUT/inside")" >&2; bad=1; }
    # Everybody it can: the victim lives.
    inside "$1" -- sh -c 'trap "" TERM; kill -TERM -1; exit 0' || bad=1
    kill -0 "$victim" || bad=1
    own=$(inside "$1" --read "$T/reach.py" -- sh -c 'sleep 60 & python3 "$0" $!' "$T/reach.py" | wc -l)
    [ "$own" -ge 8 ] || { echo "of its own only $own" >&2; bad=1; }
    kill "$victim"
    [ -z "$bad" ]
  }
  each_mode t
}

@test "G1 G6 bombs of processes, threads and memory end at the limits, and it is said why" {
  cat >"$T/forks.py" <<'P'
import os, sys, time
n = 0
try:
    for i in range(300):
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        n += 1
except OSError:
    pass
print(n)
P
  chmod 644 "$T/forks.py"
  # Prints how many were killed.
  local tree='import os, time
for i in range(8):
    if os.fork() == 0:
        x = bytearray(80 << 20)
        time.sleep(2)
        os._exit(0)
print(sum(os.wait()[1] != 0 for i in range(8)))'
  t() {
    local n
    [ "$(native "$1" python3 "$T/forks.py")" = 300 ] || return 1
    n=$(cd "$WS" && in_mode "$1" timeout 60 "$GABION" run --pids 60 --read "$T/forks.py" -- python3 "$T/forks.py" 2>"$OUT/err") || return 1
    # Some more are for gabion itself.
    [ "$n" -lt 100 ] || { echo "$n processes" >&2; return 1; }
    grep -q "limit of 60 processes" "$OUT/err" || { cat "$OUT/err" >&2; return 1; }
    [ "$(inside "$1" --pids 400 --read "$T/forks.py" -- python3 "$T/forks.py")" = 300 ] || return 1
    # Memory: 600 MiB with 200 allowed.
    native "$1" python3 -c 'x = bytearray(600 << 20)' || return 1
    (cd "$WS" && in_mode "$1" timeout 60 "$GABION" run --memory 200m -- python3 -c 'x = bytearray(600 << 20)') 2>"$OUT/err" && return 1
    grep -q "memory limit of 200.0 MiB" "$OUT/err" || { cat "$OUT/err" >&2; return 1; }
    inside "$1" --memory 1g -- python3 -c 'x = bytearray(600 << 20)' || return 1
    # The same in eight processes, each below the limit.
    [ "$(native "$1" python3 -c "$tree")" = 0 ] || return 1
    n=$(cd "$WS" && in_mode "$1" timeout 60 "$GABION" run --memory 300m -- python3 -c "$tree" 2>"$OUT/err") || n=all
    grep -q "memory limit of 300.0 MiB: [0-9]* process" "$OUT/err" || { cat "$OUT/err" >&2; return 1; }
    [ "$n" != 0 ] || return 1
    [ "$(inside "$1" --memory 1500m -- python3 -c "$tree")" = 0 ]
  }
  each_mode t
}

@test "G6 huge arguments are answered as natively, in little memory of gabion's" {
  cat >"$T/huge.py" <<'P'
import ctypes, errno, os, subprocess
libc = ctypes.CDLL(None, use_errno=True)
def call(*a):
    r = libc.syscall(*a)
    print(errno.errorcode[ctypes.get_errno()] if r < 0 else "ok")
try:
    subprocess.run(["/bin/true", "x" * (200 << 20)]); print("ran")
except OSError as e:
    print(errno.errorcode[e.errno])
try:
    subprocess.run(["/bin/true"] + ["y" * 1000] * 200000); print("ran")
except OSError as e:
    print(errno.errorcode[e.errno])
buf = ctypes.create_string_buffer(b"a" * (64 << 20))
call(2, buf, 0)                                   # open: a path of 64 MiB
call(257, -100, buf, 0)
call(7, buf, ctypes.c_ulong(1 << 31), 0)          # poll of 2^31 descriptors
call(20, 1, buf, 1 << 20)                         # writev of a million
call(46, 0, buf, 0)                               # sendmsg on no socket
call(188, buf, buf, buf, 64 << 20, 0)             # setxattr
call(307, 0, buf, 1 << 30, 0)                     # sendmmsg
here = os.getcwd()
os.mkdir("deep"); os.chdir("deep")
for i in range(1500):
    os.mkdir("d"); os.chdir("d")
print(len(os.getcwd()) > 3000)
os.chdir(here)
P
  chmod 644 "$T/huge.py"
  t() {
    native "$1" python3 "$T/huge.py" >"$OUT/native" 2>&1 || return 1
    native "$1" rm -rf deep
    local WAY
    for WAY in auto all; do
      inside "$1" --read "$T/huge.py" -- python3 "$T/huge.py" >"$OUT/inside" 2>&1 || { cat "$OUT/inside" >&2; return 1; }
      diff "$OUT/native" "$OUT/inside" >&2 || return 1
      native "$1" rm -rf deep
    done
  }
  each_mode t
}

@test "G7 descriptors run out for the guest, not for gabion" {
  cat >"$T/fds.py" <<'P'
import array, errno, os, socket, sys
held = []
try:
    while True:
        held.append(os.open("/etc/passwd", os.O_RDONLY))
except OSError as e:
    print(errno.errorcode[e.errno])
for fd in held[:600]:
    os.close(fd)
del held[:600]
pairs, sent = [], 0
try:
    for i in range(40):
        pairs.append(socket.socketpair())
        for k in range(20):
            pairs[-1][0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", held[:200]))], socket.MSG_DONTWAIT)
            sent += 200
except OSError as e:
    print(errno.errorcode[e.errno])
print(sent > 0)
for fd in held:
    os.close(fd)
print(open("/etc/passwd").read(1) != "", os.stat("/etc").st_mode != 0)
P
  chmod 644 "$T/fds.py"
  t() {
    native "$1" sh -c 'ulimit -n 1024; exec python3 "$0"' "$T/fds.py" >"$OUT/native" || return 1
    local WAY
    for WAY in auto all; do
      inside "$1" --read "$T/fds.py" -- sh -c 'ulimit -n 1024; exec python3 "$0"' "$T/fds.py" >"$OUT/inside" || return 1
      [ "$(head -n 1 "$OUT/inside")" = EMFILE ] && [ "$(tail -n 1 "$OUT/inside")" = "True True" ] || { cat "$OUT/inside" >&2; return 1; }
    done
  }
  each_mode t
}

@test "G9 a full scratch directory is the guest's own" {
  t() {
    local before after
    before=$(df --output=avail "$T" | tail -n 1)
    inside "$1" -- sh -c 'head -c 100G /dev/zero >"$TMPDIR/fill"; ls -l "$TMPDIR/fill" >/dev/null && rm "$TMPDIR/fill" && echo x >"$TMPDIR/again"' 2>/dev/null ||
      [ "$1" = bare ] || return 1
    after=$(df --output=avail "$T" | tail -n 1)
    [ $((before - after)) -lt 1000000 ]
  }
  # In bare mode the scratch directory is the host's file system: docs/LIMITS.md.
  # shellcheck disable=SC2154 # common.bash
  modes=${modes/bare/} each_mode t
}

@test "G11 ten thousand orphans are reaped, and daemons do not survive the command" {
  t() {
    held inside "$1" -- "$ATTACK/corner" orphans
  }
  each_mode t
}

@test "G12 D4 bogus pointers and numbers for every call: everything goes on" {
  t() {
    local WAY
    secret "$1" || return 1
    [[ "$(native "$1" "$ATTACK/bogus" 1 7)" = "calls "* ]] || return 1
    for WAY in auto all; do
      (cd "$WS" && in_mode "$1" timeout 100 "$GABION" run --quiet --mediate $WAY --exec "$TESTS" --hide "$WS/hidden" --pids 200 --memory 2g -- sh -c '
        "$0" 4 $1 && cat open && ! cat hidden/s' "$ATTACK/bogus" "$RANDOM" 2>/dev/null >"$OUT/bogus") || return 1
      grep -q '^calls [0-9][0-9]' "$OUT/bogus" && grep -qx SECRET "$OUT/bogus" || { cat "$OUT/bogus" >&2; return 1; }
      [ "$(cat "$WS/hidden/s")" = SECRET ] || return 1
    done
  }
  each_mode t
}
