#!/bin/sh
# Runs inside the hardened container of agent.bats and prints one line a property: "ok NAME" or "not ok NAME: what was
# seen". Plain sh and what busybox or a full system has; $1 is the runtime's name, for what only gabion holds.
n=0
say() { # NAME STATUS DETAIL
  n=$((n + 1))
  if [ "$2" -eq 0 ]; then echo "ok $1"; else echo "not ok $1: $3"; fi
}
yes() { # NAME COMMAND...: must succeed
  name=$1
  shift
  out=$("$@" 2>&1)
  say "$name" $? "$out"
}
no() { # NAME COMMAND...: must fail
  name=$1
  shift
  out=$("$@" 2>&1)
  [ $? -ne 0 ]
  say "$name" $? "it worked: $out"
}
status() { grep "^$1:" /proc/self/status | tr -d ' \t' | cut -d: -f2-; }
is() { [ "$1" = "$2" ] || { echo "$1 instead of $2"; return 1; }; }
options_of() { awk -v p="$1" '$2 == p { print $4 }' /proc/mounts | tail -n 1; }
has_options() { # PLACE OPTION...
  place=$1
  shift
  o=,$(options_of "$place"),
  for w; do case $o in *",$w,"*) ;; *) echo "$place: $o lacks $w"; return 1 ;; esac; done
}

yes "uid 1001" is "$(id -u)" 1001
yes "uids all the same" is "$(grep ^Uid: /proc/self/status | tr -s '\t ' ' ')" "Uid: 1001 1001 1001 1001"
for set in CapInh CapPrm CapEff CapBnd CapAmb; do
  yes "no capability in $set" is "$(status $set)" 0000000000000000
done
yes "no new privileges" is "$(status NoNewPrivs)" 1
yes "a filter is in force" is "$(status Seccomp)" 2

for place in / /etc /usr /bin /var /proc/self/root/etc /proc/1/root/etc /../etc /./usr/../etc; do
  no "root is read-only at $place" sh -c ": > $place/written 2>/dev/null"
done
no "root is not remounted" mount -o remount,rw /
no "root is not chmod'ed" chmod 777 /etc/passwd

for place in /tmp /run; do
  yes "$place is writable" sh -c "echo x > $place/w && rm $place/w"
  yes "$place is noexec, nosuid, nodev" has_options $place noexec nosuid nodev
done
yes "/tmp has its size" is "$(df -k /tmp | awk 'END { print $2 }')" "${TMP_KB:-2097152}"
yes "/run has its size" is "$(df -k /run | awk 'END { print $2 }')" "${RUN_KB:-102400}"

shell=$(readlink -f /bin/sh)
for place in /tmp /run /dev/shm; do
  cp "$shell" $place/dropped && chmod 755 $place/dropped
  no "a program dropped in $place does not run" $place/dropped -c true
done
for ld in /lib64/ld-linux-x86-64.so.2 /lib/ld-musl-x86_64.so.1; do
  [ -e $ld ] && no "nor through the loader" $ld /tmp/dropped -c true
done
no "a setuid bit gains nothing" sh -c 'chmod 4755 /tmp/dropped && /tmp/dropped -c true'
rm -f /tmp/dropped /run/dropped /dev/shm/dropped

no "no device nodes" mknod /tmp/sda b 8 0
no "no console of the kernel's" sh -c 'cat /dev/kmsg < /dev/null; head -c 1 /dev/kmsg'
yes "no disks in /dev" sh -c '! ls /dev | grep -E "^(sd|vd|nvme|mem|kmem|port|fuse)"'
yes "null and urandom are there" sh -c 'echo x > /dev/null && head -c 4 /dev/urandom > /dev/null'
yes "no processes of the host's" sh -c '[ "$(ls -d /proc/[0-9]* | wc -l)" -lt 40 ] && ! grep -lq podman /proc/[0-9]*/comm'
no "init is not signalled" sh -c 'kill -STOP 1 && grep -q "T (stopped)" /proc/1/status'

for file in /proc/kcore /proc/keys /proc/timer_list; do
  [ -e $file ] && no "$file is masked" sh -c "[ -s $file ] || head -c 1 $file | grep -q ."
done
for file in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/vm/drop_caches /proc/irq/default_smp_affinity; do
  [ -e $file ] && no "$file is not written" sh -c "echo x > $file"
done
no "/sys is read-only" sh -c 'for f in /sys/power/state /sys/kernel/mm/transparent_hugepage/enabled; do [ -e $f ] && echo x > $f; done'
no "no cgroup is made" mkdir /sys/fs/cgroup/x /sys/fs/cgroup/memory/x

no "no mount" mount -t tmpfs none /tmp
no "no umount" umount /tmp
no "no bind mount" mount --bind /tmp /run
for ns in -m -U -p -n -i -u; do
  no "no namespace by unshare $ns" unshare $ns true
done
no "no entering of a namespace" nsenter -t 1 -m true
no "no chroot" chroot / true
no "no hostname" hostname other
no "no swap" swapon /tmp/none
no "no module" insmod /tmp/none.ko
yes "no time" sh -c 'date -s 2000-01-01 2>&1 | grep -q "set date"'

if command -v python3 >/dev/null; then
  py() { # NAME CODE: exit 0 is held
    out=$(python3 -c "$2" 2>&1)
    say "$1" $? "$out"
  }
  py "no program from memory (memfd)" '
import os, sys
fd = os.memfd_create("x")
os.write(fd, open(os.path.realpath("/bin/false"), "rb").read())
try:
    pid = os.fork()
    if pid == 0:
        try: os.execve(fd, ["x"], {})
        except OSError: os._exit(0)
        os._exit(1)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
except OSError:
    sys.exit(0)'
  py "no code mapped from /tmp" '
import mmap, sys
open("/tmp/m", "wb").write(b"\xc3" * 4096)
f = open("/tmp/m", "r+b")
try: mmap.mmap(f.fileno(), 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)
except OSError: sys.exit(0)
sys.exit(1)'
  py "no keyring, no bpf, no perf, no userfaultfd" '
import ctypes, sys
c = ctypes.CDLL(None, use_errno=True)
bad = [n for n in (248, 321, 298, 323, 304, 246, 175, 172) if c.syscall(n, 0, 0, 0, 0, 0, 0) != -1]
sys.exit(bad and str(bad) or 0)'
  py "no raw socket" '
import socket, sys
for family, kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW)):
    try: socket.socket(family, kind)
    except OSError: continue
    sys.exit(1)'
  py "no network" '
import socket, sys
s = socket.socket(); s.settimeout(3)
try: s.connect(("192.0.2.1", 80))
except OSError: sys.exit(0)
sys.exit(1)'
fi
echo "properties $n"
