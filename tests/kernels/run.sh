#!/bin/bash
# Boots Debian's stock kernel once, in qemu, and runs one command there in a copy of this tree.
#
# usage: tests/kernels/run.sh [OPTION]... -- COMMAND [ARGUMENT]...
#   --yama N        kernel.yama.ptrace_scope (0 to 3; left alone without this option)
#   --no-userns     user.max_user_namespaces=0
#   --user          run as an ordinary user (uid 1000, in /home/guest) and not as root
#   --cpus N        processors (2)
#   --memory MIB    memory (2048)
#   --timeout SEC   for the command (300; twice that without KVM)
#   --accel KIND    kvm, tcg, or auto: KVM where it works and else emulation, slowly (auto)
#   --build DIR     taken along as build (what BUILD says, or build)
#   --append TEXT   more kernel parameters, for example lsm=yama
#   --verbose       say what was booted and how long it took
#
# The machine sees the host's root file system read-only below a throw-away layer of its own (init.sh says
# how), so every tool of the host is there and nothing done inside reaches the host. The current directory is
# a copy of this tree, as it is now, in ~/gabion; standard input is empty; output and errors arrive apart.
# There is no network but loopback. Nothing is installed on the host; downloads stay in build/kernels.
#
# Exit status: the command's own; 124 when it took too long; 70 when the machine did not come up or died;
# 64 for a wrong option; 77 when qemu or the kernel cannot be had here.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$here/../.." && pwd)

say() { echo "check-kernels: $*" >&2; }
wrong() { say "$*; usage: $0 [--yama N] [--no-userns] [--user] [--cpus N] -- COMMAND... (see $0 --help)"; exit 64; }

yama='' userns=yes user=0 cpus=2 memory=2048 timeout=300 accel=auto append='' verbose=no
build=${BUILD:-$tree/build}
while [ $# -gt 0 ]; do
  case $1 in
  --yama | --cpus | --memory | --timeout | --accel | --build | --append)
    [ $# -ge 2 ] || wrong "$1 needs a value" ;;&
  --yama) yama=$2; shift 2 ;;
  --cpus) cpus=$2; shift 2 ;;
  --memory) memory=$2; shift 2 ;;
  --timeout) timeout=$2; shift 2 ;;
  --accel) accel=$2; shift 2 ;;
  --build) build=$2; shift 2 ;;
  --append) append=$2; shift 2 ;;
  --no-userns) userns=no; shift ;;
  --user) user=1000; shift ;;
  --verbose) verbose=yes; shift ;;
  --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;;
  --) shift; break ;;
  *) wrong "unknown option $1" ;;
  esac
done
[ $# -gt 0 ] || wrong "no command"
case $yama in '' | [0-3]) ;; *) wrong "--yama takes 0 to 3" ;; esac
case $accel in auto | kvm | tcg) ;; *) wrong "--accel takes auto, kvm or tcg" ;; esac
case $cpus$memory$timeout in *[!0-9]*) wrong "--cpus, --memory and --timeout take numbers" ;; esac

if ! command -v qemu-system-x86_64 >/dev/null; then
  say "qemu-system-x86_64 is missing: apt-get install --no-install-recommends qemu-system-x86"
  exit 77
fi
kernel=$("$here/kernel.sh" "$tree/build/kernels")
release=$(<"$kernel/release")
image=$kernel/vmlinux
[ -e "$image" ] || image=$kernel/boot/vmlinuz-$release

run=$(mktemp -d "$tree/build/kernels/run.XXXXXX")
machine=''
# shellcheck disable=SC2317 # called by trap
cleanup() {
  if [ -n "$machine" ]; then
    kill "$machine" 2>/dev/null || true
    wait "$machine" 2>/dev/null || true
  fi
  rm -rf "$run"
}
trap cleanup EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'exit 129' HUP

quote() {
  local word
  for word; do
    printf "'%s' " "${word//\'/\'\\\'\'}"
  done
}

# The tree as a tar file which the machine reads as a disk: first without and then with what was built, which
# may be elsewhere. Others may be building: a file that changes meanwhile (status 1) is no failure.
pack() {
  local status=0
  tar -f "$run/tree.tar" --owner="$user" --group="$user" --numeric-owner "$@" 2>"$run/tar.log" || status=$?
  if [ $status -gt 1 ]; then
    cat "$run/tar.log" >&2
    exit 70
  fi
}
pack -c --transform='s,^\.,gabion,S' --exclude=./build --exclude=./build-san -C "$tree" .
if [ -d "$build" ]; then
  pack -r --transform='s,^\.,gabion/build,S' --exclude=./kernels --exclude='*.o' --exclude='*.d' -C "$build" .
fi

mkdir -p "$run/initramfs/job"
cp "$here/init.sh" "$run/initramfs/init"
chmod 755 "$run/initramfs/init"
quote "$@" >"$run/initramfs/job/command"

# Boots with one accelerator. Leaves the result in $outcome: an exit status, or "unborn" when the machine
# never came as far as its second stage, or "died".
boot() {
  local kind=$1 cpu=max patience=180 limit=$((timeout * 2)) began line deadline readers
  if [ "$kind" = kvm ]; then
    cpu=host patience=20 limit=$timeout
  fi
  printf 'user=%s yama=%s userns=%s timeout=%s\n' "$user" "$yama" "$userns" "$limit" \
    >"$run/initramfs/job/conf"
  {
    cat "$kernel/base.cpio"
    (cd "$run/initramfs" && find . | busybox cpio -o -H newc 2>/dev/null)
  } >"$run/initrd"

  rm -f "$run"/{out,err,status}
  mkfifo "$run"/{out,err,status}
  exec {status}<>"$run/status"
  cat "$run/out" & readers=$!
  cat "$run/err" >&2 & readers="$readers $!"

  # TMPDIR: where qemu keeps what the guest writes to the scratch disk. The outer time-out is a safety
  # net for the case that this script is killed and cannot clean up.
  began=$EPOCHREALTIME
  TMPDIR=$run timeout -k 5 $((patience + limit + 30)) qemu-system-x86_64 \
    -nodefaults -no-user-config -display none -no-reboot -machine q35 -accel "$kind" -cpu "$cpu" \
    -smp "$cpus" -m "$memory" \
    -kernel "$image" -initrd "$run/initrd" \
    -append "console=ttyS0 loglevel=4 panic=-1 $append" \
    -serial "file:$run/console" \
    -fsdev local,id=hostroot,path=/,security_model=none,readonly=on,multidevs=remap \
    -device virtio-9p-pci,fsdev=hostroot,mount_tag=hostroot \
    -fsdev "local,id=layer,path=$kernel/layer,security_model=none,readonly=on" \
    -device virtio-9p-pci,fsdev=layer,mount_tag=layer \
    -drive "file=$kernel/scratch.ext4,format=raw,if=virtio,snapshot=on,cache=unsafe" \
    -drive "file=$run/tree.tar,format=raw,if=virtio,readonly=on" \
    -device virtio-serial-pci \
    -chardev "file,id=out,path=$run/out" -device virtserialport,chardev=out,name=out \
    -chardev "file,id=err,path=$run/err" -device virtserialport,chardev=err,name=err \
    -chardev "file,id=status,path=$run/status" -device virtserialport,chardev=status,name=status \
    </dev/null >"$run/qemu.log" 2>&1 &
  machine=$!

  outcome=unborn
  deadline=$((SECONDS + patience))
  while [ $SECONDS -lt $deadline ]; do
    if IFS= read -r -t 0.5 -u "$status" line; then
      case $line in
      up)
        outcome=died
        deadline=$((SECONDS + limit + 20))
        [ $verbose = no ] || say "Linux $release ($kind) up after" \
          "$(((${EPOCHREALTIME/[.,]/} - ${began/[.,]/}) / 1000)) ms"
        ;;
      exit\ *) outcome=${line#exit }; break ;;
      broken\ *) say "${line#broken }"; break ;;
      esac
    elif ! kill -0 "$machine" 2>/dev/null; then
      # It may have spoken and died between the two looks.
      IFS= read -r -t 0.1 -u "$status" line && [[ $line == exit\ * ]] && outcome=${line#exit }
      break
    fi
  done
  # Power-off takes a moment; a machine that is not wanted any more gets none.
  case $outcome in
  [0-9]*) deadline=$((SECONDS + 10)) ;;
  *) deadline=$SECONDS ;;
  esac
  while kill -0 "$machine" 2>/dev/null && [ $SECONDS -lt $deadline ]; do
    sleep 0.05
  done
  kill "$machine" 2>/dev/null || true
  wait "$machine" 2>/dev/null || true
  machine=''
  # A machine that never opened the pipes leaves their readers waiting: open and close them.
  : <>"$run/out" <>"$run/err"
  # shellcheck disable=SC2086 # two numbers
  wait $readers 2>/dev/null || true
  exec {status}>&-
}

report() {
  say "the machine ($1) $2; its last words:"
  tail -n 25 "$run/qemu.log" "$run/console" 2>/dev/null | tr -d '\r' | sed 's/^/  /' >&2 || true
}

# A /dev/kvm that does not work (nested in a host that emulates it) is found out by waiting for it, so that
# is remembered until this host boots again.
broken=$tree/build/kernels/kvm-broken
boot_id=$(cat /proc/sys/kernel/random/boot_id)

outcome=unborn
if [ "$accel" != tcg ]; then
  if [ -r /dev/kvm ] && [ -w /dev/kvm ]; then
    if [ "$accel" = kvm ] || [ "$(cat "$broken" 2>/dev/null)" != "$boot_id" ]; then
      boot kvm
      if [ "$outcome" = unborn ]; then
        report kvm "did not come up"
        if [ "$accel" = auto ]; then
          echo "$boot_id" >"$broken"
          say "emulating instead, now and until this host reboots (or remove $broken)"
        fi
      fi
    fi
  elif [ "$accel" = kvm ]; then
    say "/dev/kvm cannot be used here: it needs the kvm module and, without root, membership in group kvm"
    exit 77
  else
    say "/dev/kvm cannot be used here: emulating, which is several times slower"
  fi
fi
used=kvm
if [ "$outcome" = unborn ] && [ "$accel" != kvm ]; then
  used=tcg
  boot tcg
  [ "$outcome" != unborn ] || report tcg "did not come up"
fi
case $outcome in
unborn) exit 70 ;;
died) report $used "died or hung while the command ran"; exit 70 ;;
esac
[ "$outcome" != 124 ] || say "the command was stopped by its time-out, or ended with 124 itself"
exit "$outcome"
