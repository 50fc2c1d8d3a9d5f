#!/bin/busybox sh
# shellcheck shell=dash
#
# First process of the kernel that run.sh boots. Two stages of one file, both run by a static busybox.
#
# Stage 1 is /init of the initramfs: it loads the modules, mounts the host's root (9p, read-only) under an
# overlay whose upper layer is on a throw-away ext4 disk, and moves there. Stage 2 is process 1 of the
# machine: it mounts what systemd would have mounted, with the same options where a sandbox could notice
# (shared propagation, cgroup 2 with nsdelegate, a user's runtime directory), unpacks the source tree into a
# fresh home directory, sets the sysctls asked for, runs the command, reports its status and powers off.
#
# Home directories, /tmp and /var/tmp are plain ext4 and not overlay: that is what a Debian machine has, and
# idmapped mounts work there and not on overlayfs. They start empty, so nothing of the host user's is seen.
#
# /job (from run.sh):  conf     shell assignments: user yama userns timeout
#                      command  what to run, quoted for sh
# Virtio ports:        out, err: the command's output;   status: "up" and then the exit status

vm=/run/gabion-vm

die() {
  echo "init: $*" >&2
  [ -e /dev/virtio-ports/status ] && echo "broken $*" >/dev/virtio-ports/status
  poweroff -f
  sleep 60
}

# No udev here: the ports' names are in sysfs.
link_ports() {
  mkdir -p /dev/virtio-ports
  for port in /sys/class/virtio-ports/*; do
    [ -e "$port/name" ] && ln -sf "/dev/${port##*/}" "/dev/virtio-ports/$(cat "$port/name")"
  done
  return 0
}

stage1() {
  /bin/busybox mkdir -p /proc /sys /dev /host /layer /scratch /root
  /bin/busybox --install -s /bin
  mount -t proc proc /proc
  mount -t sysfs sysfs /sys
  mount -t devtmpfs dev /dev
  while read -r module; do
    insmod "/modules/$module" || die "cannot load $module"
  done </modules/order
  # Probing is asynchronous.
  tries=0
  until link_ports && [ -b /dev/vdb ] && [ -e /dev/virtio-ports/status ]; do
    [ $tries -lt 600 ] || die "the virtio disks or ports do not appear"
    sleep 0.05
    tries=$((tries + 1))
  done
  options=trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000
  mount -t 9p -o $options hostroot /host || die "cannot mount the host's root (9p)"
  mount -t 9p -o $options layer /layer || die "cannot mount the modules (9p)"
  mount -t ext4 /dev/vda /scratch || die "cannot mount the scratch disk"
  mkdir -p /scratch/upper /scratch/work /scratch/plain
  mount -t overlay -o lowerdir=/host:/layer,upperdir=/scratch/upper,workdir=/scratch/work root /root ||
    die "cannot mount the overlay"

  for dir in home root tmp var/tmp; do
    mkdir -p /scratch/plain/$dir /root/$dir
    mount --bind /scratch/plain/$dir /root/$dir
  done
  chmod 700 /root/root
  chmod 1777 /root/tmp /root/var/tmp
  mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /root/run
  mkdir -p /root$vm /root/proc /root/sys /root/dev
  cp -r /job /bin/busybox /init /root$vm/
  mount --move /dev /root/dev
  umount /proc /sys
  exec switch_root /root $vm/busybox sh $vm/init stage2
}

mount_system() {
  mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
  mount -t securityfs -o nosuid,nodev,noexec securityfs /sys/kernel/security
  mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
  mkdir -p /dev/pts /dev/shm /dev/mqueue /run/lock
  mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=000 devpts /dev/pts
  mount -t tmpfs -o nosuid,nodev tmpfs /dev/shm
  mount -t mqueue -o nosuid,nodev,noexec mqueue /dev/mqueue
  ln -sf /proc/self/fd /dev/fd
  ln -sf fd/0 /dev/stdin
  ln -sf fd/1 /dev/stdout
  ln -sf fd/2 /dev/stderr
  chmod 666 /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx
  # systemd shares the root with every later namespace; a sandbox has to undo that itself.
  mount --make-rshared /
  hostname debian
  ip link set lo up
}

set_sysctl() {
  echo "$2" >"/proc/sys/$1" || die "cannot set $1 to $2"
  [ "$(cat "/proc/sys/$1")" = "$2" ] || die "$1 is $(cat "/proc/sys/$1") after setting it to $2"
}

# What /usr/lib/sysctl.d and systemd set on Debian 12, then what the caller asked for.
tune() {
  set_sysctl fs/protected_symlinks 1
  set_sysctl fs/protected_hardlinks 1
  set_sysctl fs/protected_fifos 1
  set_sysctl fs/protected_regular 2
  set_sysctl kernel/pid_max 4194304
  [ -n "$yama" ] && set_sysctl kernel/yama/ptrace_scope "$yama"
  [ "$userns" = no ] && set_sysctl user/max_user_namespaces 0
  ulimit -S -n 1024
  ulimit -H -n 524288
}

# An account as adduser makes it, unless root was asked for; the host's own uid 1000 gives way.
make_account() {
  if [ "$user" = 0 ]; then
    name=root home=/root
    return
  fi
  name=guest home=/home/guest
  for file in passwd group; do
    sed -i -e '/^guest:/d' -e '/^[^:]*:[^:]*:1000:/d' /etc/$file
  done
  sed -i '/^guest:/d' /etc/subuid /etc/subgid 2>/dev/null
  echo 'guest:x:1000:1000:Guest:/home/guest:/bin/bash' >>/etc/passwd
  echo 'guest:x:1000:' >>/etc/group
  echo 'guest:100000:65536' >>/etc/subuid
  echo 'guest:100000:65536' >>/etc/subgid
  mkdir -p $home
  chmod 700 $home
  chown 1000:1000 $home
  mkdir -p /run/user/1000
  mount -t tmpfs -o nosuid,nodev,mode=700,uid=1000,gid=1000 tmpfs /run/user/1000
}

# A login session's control group: below user.slice, with the controllers systemd enables.
enter_cgroup() {
  slice=/sys/fs/cgroup/user.slice/user-$user.slice
  mkdir -p "$slice"
  for dir in /sys/fs/cgroup /sys/fs/cgroup/user.slice "$slice"; do
    for controller in cpu io memory pids; do
      echo +$controller >"$dir/cgroup.subtree_control"
    done
  done
  mkdir -p /sys/fs/cgroup/init.scope "$slice/session-1.scope"
  echo 0 >"$slice/session-1.scope/cgroup.procs"
}

# The command, in the tree's copy; exits with its status. Shaped by /job/command, run by the host's sh.
# shellcheck disable=SC2086 # drop holds options
session() {
  enter_cgroup
  cd "$home/gabion" || die "no tree in $home"
  drop=
  env="HOME=$home USER=$name LOGNAME=$name SHELL=/bin/bash LANG=C.UTF-8 TERM=dumb"
  if [ "$user" = 0 ]; then
    path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  else
    path=/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games
    drop="--reuid=$user --regid=$user --init-groups --inh-caps=-all"
    env="$env XDG_RUNTIME_DIR=/run/user/$user"
  fi
  exec setsid /usr/bin/setpriv $drop /usr/bin/env -i $env PATH=$path \
    /usr/bin/timeout -k 5 "$timeout" /bin/sh $vm/job/command
}

stage2() {
  # First of all: until then /proc is the host's, seen through 9p.
  $vm/busybox mount -t proc -o nosuid,nodev,noexec proc /proc
  $vm/busybox mkdir $vm/bin
  $vm/busybox --install -s $vm/bin
  export PATH=$vm/bin:/usr/sbin:/usr/bin:/sbin:/bin
  mount_system
  user='' yama='' userns='' timeout=''
  # shellcheck source=/dev/null
  . $vm/job/conf
  tune
  make_account
  tar -x -C "$home" -f /dev/vdb || die "cannot unpack the tree"
  chmod 755 $vm
  chmod -R a+rX $vm/job

  # Pipes, as a caller's shell would give: a device as descriptor 1 or 2 is not what programs expect.
  mkfifo $vm/out $vm/err
  cat $vm/out >/dev/virtio-ports/out &
  out=$!
  cat $vm/err >/dev/virtio-ports/err &
  err=$!
  echo up >/dev/virtio-ports/status
  (session) </dev/null >$vm/out 2>$vm/err &
  wait $!
  status=$?
  # A process that outlives the command and still holds a pipe would hold these up for ever.
  for reader in $out $err; do
    (sleep 5; kill "$reader") 2>/dev/null &
    wait "$reader"
  done
  echo "exit $status" >/dev/virtio-ports/status
  poweroff -f
  sleep 60
}

case "${1:-}" in
stage2) stage2 ;;
*) stage1 ;;
esac
