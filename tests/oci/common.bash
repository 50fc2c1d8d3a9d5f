# shellcheck shell=bash
# Helpers of the OCI runtime's tests. RT is gabion-oci, a link to the program under test; `rt` runs it with a state
# directory of the test's own. A bundle is a directory with a root of static busybox, made where it is asked for.

bats_require_minimum_version 1.5.0
SRC=${SRC:-$(cd "$BATS_TEST_DIRNAME/../.." && pwd)}
BUILD=${BUILD:-$SRC/build}
GABION=${GABION:-$BUILD/gabion}
export SRC BUILD GABION
RT=$BATS_FILE_TMPDIR/gabion-oci
export RT

set_up_runtime() {
  ln -sfn "$GABION" "$RT"
  ROOT=$BATS_TEST_TMPDIR/root
  # cgroups have names of the whole machine
  CG=gabion-test-$$-$BATS_TEST_NUMBER
}

rt() {
  "$RT" --root "$ROOT" "$@"
}

need() {
  local p
  for p; do
    command -v "$p" >/dev/null || skip "$p is missing"
  done
}

need_root() {
  [ "$(id -u)" -eq 0 ] || skip "needs root"
}

# $1: directory of a root file system with busybox in it.
make_rootfs() {
  local applet
  mkdir -p "$1/bin" "$1/proc" "$1/sys" "$1/dev" "$1/tmp" "$1/etc" "$1/root" "$1/run" "$1/var"
  cp "$(command -v busybox)" "$1/bin/busybox"
  for applet in $("$1/bin/busybox" --list); do
    [ "$applet" = busybox ] || ln -sfn busybox "$1/bin/$applet"
  done
  echo 'root:x:0:0:root:/root:/bin/sh' >"$1/etc/passwd"
  printf 'root:x:0:\n' >"$1/etc/group"
}

# $1: bundle; the rest: the command. The root file system is shared by the file's tests, read-only for the container.
make_bundle() {
  local dir=$1
  shift
  mkdir -p "$dir"
  [ -d "$BATS_FILE_TMPDIR/rootfs" ] || make_rootfs "$BATS_FILE_TMPDIR/rootfs"
  ln -sfn "$BATS_FILE_TMPDIR/rootfs" "$dir/rootfs"
  rm -f "$dir/config.json"
  "$RT" spec --bundle "$dir"
  change "$dir" '.process.terminal = false | .process.rlimits = [] | .process.args = $args | .root.path = $root
    | .linux.cgroupsPath = "/" + $cg + "/" + ($dir | split("/") | last)' --arg root "$BATS_FILE_TMPDIR/rootfs" --arg cg "$CG" --arg dir "$dir" \
    --argjson args "$(printf '%s\n' "$@" | jq -R . | jq -s .)"
}

# Changes config.json of bundle $1 by the jq program $2.
change() {
  local dir=$1 program=$2
  shift 2
  jq "$program" "$dir/config.json" "$@" >"$dir/config.json.new" || return 1
  mv "$dir/config.json.new" "$dir/config.json"
}

# The parents of the test's groups, which stay as under runc.
remove_groups() {
  local d
  for d in /sys/fs/cgroup/*/"$1" /sys/fs/cgroup/"$1"; do
    [ ! -d "$d" ] || rmdir "$d"
  done
}

# Everything of this test's that may still be there, by what its own state says.
clean_up() {
  local id
  [ -d "$ROOT" ] || return 0
  for id in $("$RT" --root "$ROOT" list -q); do
    "$RT" --root "$ROOT" delete --force "$id"
  done
  remove_groups "$CG"
}

# Waits until the command is true, at most 30 s.
until_true() {
  for _ in $(seq 300); do
    "$@" && return 0
    sleep 0.1
  done
  echo "never true: $*"
  return 1
}

status_of() {
  rt state "$1" | jq -r .status
}

is_status() {
  [ "$(status_of "$1")" = "$2" ]
}

# What is left of containers: states, cgroups, mounts below the test's directory, processes with RT's name in the test's root.
nothing_left() {
  local left
  left=$(find "$ROOT" -mindepth 1 2>/dev/null | head -5)
  [ -z "$left" ] || { echo "left in $ROOT: $left"; return 1; }
  left=$(find /sys/fs/cgroup -path "*$CG/*" -type d 2>/dev/null | head -5)
  [ -z "$left" ] || { echo "left groups: $left"; return 1; }
  left=$(grep "$BATS_TEST_TMPDIR" /proc/self/mountinfo | head -5)
  [ -z "$left" ] || { echo "left mounts: $left"; return 1; }
  until_true no_helpers || true
  left=$(helpers)
  [ -z "$left" ] || { echo "left processes: $left"; return 1; }
}

no_helpers() {
  [ -z "$(helpers)" ]
}

# Processes that name the test's state directory in their command line: gabion's own of its containers.
helpers() {
  echo "$ROOT" >"$BATS_TEST_TMPDIR/pattern"
  grep -lsaFf "$BATS_TEST_TMPDIR/pattern" /proc/[0-9]*/cmdline
  return 0
}
