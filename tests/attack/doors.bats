#!/usr/bin/env bats
# The kernel's other doors, one attempt each; every syscall number; programs written in the run; the record.

setup() {
  load common
}

@test "A8 B9 B11 B14: no door of the kernel opens" {
  # The control: an attempt that never works natively says nothing. Root of this host must get most of them.
  if [ "$(id -u)" -eq 0 ]; then
    native root "$ATTACK/probe" >"$T/native.probe"
    for name in int80 clone-user clone3-user unshare-user unshare-mount setns mount fsopen open_tree umount chroot pivot_root io_uring bpf \
      open_by_handle_at fanotify syslog sethostname packet raw netlink-audit netlink-uevent mknod-char tiocsetd file-flags listener personality; do
      grep -q "^$name got" "$T/native.probe" || echo "# natively not: $(grep "^$name " "$T/native.probe")" >&3
    done
    [ "$(grep -c ' got ' "$T/native.probe")" -gt 25 ]
  fi
  t() {
    local WAY
    for WAY in auto all; do
      inside "$1" -- "$ATTACK/probe" >"$T/inside.probe" || return 1
      ! grep -v ' held ' "$T/inside.probe" || return 1
      [ "$(wc -l <"$T/inside.probe")" -gt 40 ] || return 1
    done
  }
  each_mode t
}

@test "every syscall number with meaningless arguments is answered as its class says" {
  "$GABION" syscalls --json >"$T/table.json"
  t() {
    local word WAY
    for word in -1 0 8; do
      native "$1" "$ATTACK/sweep" "$word" >"$T/sweep.native" || return 1
      # shellcheck disable=SC2034 # read by inside
      for WAY in auto all; do
        inside "$1" -- "$ATTACK/sweep" "$word" >"$T/sweep.inside" || return 1
        python3 "$SRC/tests/attack/sweep.py" "$T/table.json" "$T/sweep.native" "$T/sweep.inside" || return 1
      done
    done
  }
  each_mode t
}

# Status of the routes together: 1 where each was held, 0 where each worked, 2 else.
# shellcheck disable=SC2016
ROUTES='drop=$1 where=$2 want=$3 && shift 3 && for r in "$@"; do "$drop" "$r" "$where" >&2; s=$?; [ $s -eq $want ] ||
  { echo "$r: $s" >&2; exit 2; }; done; exit $want'

drop() {
  local mode=$1 where=$2 routes=$3
  # shellcheck disable=SC2086
  got native "$mode" sh -c "$ROUTES" - "$ATTACK/exec_drop" "$OUT" 0 $routes || return 1
  # shellcheck disable=SC2086
  held inside "$mode" -- sh -c "where=$where; set -- \"\$1\" \"\$where\" 1 $routes; $ROUTES" - "$ATTACK/exec_drop"
}

@test "what was written in the run is not executed in /tmp, /dev/shm and the home" {
  t() {
    local where routes="file fd proc script ldso map tmpfile"
    case $1 in
      bare)
        # Neither /tmp nor /dev/shm can be written; mapping is not held there (docs/LIMITS.md).
        # shellcheck disable=SC2016
        drop bare '"$HOME"' "file fd proc script tmpfile"
        ;;
      *)
        # shellcheck disable=SC2016
        for where in /tmp /dev/shm /var/tmp '"$HOME"'; do
          drop "$1" "$where" "$routes" || return 1
        done
        ;;
    esac
    # The permitted variant: the workspace and TMPDIR.
    # shellcheck disable=SC2086
    got inside "$1" -- sh -c "$ROUTES" - "$ATTACK/exec_drop" . 0 ${routes% tmpfile} || return 1
    # shellcheck disable=SC2086
    got inside "$1" -- sh -c "set -- \"\$1\" \"\$TMPDIR\" 0 ${routes% tmpfile}; $ROUTES" - "$ATTACK/exec_drop" || return 1
    # A file without a name is executed nowhere.
    got native "$1" "$ATTACK/exec_drop" tmpfile . || return 1
    held inside "$1" -- "$ATTACK/exec_drop" tmpfile .
  }
  each_mode t
}

@test "memory files are not executed, nor with the descriptor's meaning swapped" {
  t() {
    got native "$1" "$ATTACK/exec_drop" memfd || return 1
    won native "$1" "$ATTACK/exec_drop" memfd-race || return 1
    held inside "$1" -- "$ATTACK/exec_drop" memfd || return 1
    held inside "$1" -- "$ATTACK/exec_drop" memfd-race
  }
  each_mode t
}

@test "B12: a program that gives itself odd names forges no record" {
  t() {
    local name lines
    name=$(printf 'h/\n{"forged":1}\033]52;c;aGk=\007\r\302\233')
    native "$1" mkdir h || return 1
    native "$1" touch "$name" || return 1
    # shellcheck disable=SC2016
    inside "$1" --hide "$WS/h" --audit "$OUT/record" -- sh -c 'printf "a\nb\033[31m" >/proc/self/comm; cat "$1"' - "$name" && return 1
    lines=$(wc -l <"$OUT/record")
    [ "$(python3 -c 'import json,sys
for l in sys.stdin: json.loads(l)
print("ok")' <"$OUT/record")" = ok ] || return 1
    [ "$lines" -gt 0 ] || return 1
    refused grep -q '^{"forged"' "$OUT/record" || return 1
    refused grep -qP '[\x00-\x09\x0b-\x1f\x7f]' "$OUT/record"
  }
  each_mode t
}

@test "B7: only 0, 1 and 2 are inherited, and none of them is a way out" {
  t() {
    native "$1" sh -c 'exec 7</etc 9>"$0/leak"; exec "$@"' "$OUT" "$GABION" run --quiet -- sh -c 'ls /proc/self/fd' >"$T/fds" || return 1
    # ls itself holds the directory it reads.
    [ "$(tr '\n' ' ' <"$T/fds")" = "0 1 2 3 " ] || return 1
    native "$1" "$GABION" run --quiet -- true </etc && return 1
    native "$1" "$GABION" run --quiet -- true >/dev/full </dev/null || return 1
    # A host file as standard output is written, not opened anew for reading and writing, not made anything else.
    native "$1" sh -c 'echo before >"$0/log"' "$OUT" || return 1
    (cd "$WS" && in_mode "$1" "$GABION" run --quiet -- python3 -c '
import os, sys
for flags in (os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
    try:
        os.open("/proc/self/fd/1", flags)
        sys.exit("opened anew")
    except OSError:
        pass
try:
    os.fchmod(1, 0o777)
    sys.exit("changed")
except OSError:
    pass
print("after")') >>"$OUT/log" || return 1
    [ "$(tr '\n' ' ' <"$OUT/log")" = "before after " ]
  }
  each_mode t
}
