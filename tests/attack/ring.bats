#!/usr/bin/env bats
# E1 and what follows from it: rings of io_uring. Off unless the policy says `io_uring: restricted`; then made by gabion, for what works on
# descriptors that are held. Each way runs natively, too.

setup() {
  load common
  RING=$ATTACK/ring
}

# ringed MODE CMD...: inside, where the policy gives rings.
ringed() {
  local mode=$1
  shift
  printf 'version: 1\nextends: agent\nio_uring: restricted\n' >"$OUT/ring.yaml"
  chmod 644 "$OUT/ring.yaml"
  inside "$mode" -p "$OUT/ring.yaml" -- "$@"
}

@test "io_uring: none is had where the policy does not say so" {
  t() {
    got native "$1" "$RING" use || return 1
    held inside "$1" -- "$RING" use || return 1
    got ringed "$1" "$RING" use
  }
  each_mode each_way t
}

@test "io_uring: sends where the network is the run's own" {
  t() {
    got native "$1" "$RING" sends || return 1
    if [ "$1" = bare ]; then
      held ringed "$1" "$RING" sends
    else
      got ringed "$1" "$RING" sends
    fi
  }
  each_mode t
}

@test "io_uring: what names an object, makes a socket or commands a driver is EACCES and has no effect" {
  t() {
    local op
    for op in openat openat-create openat2 statx renameat unlinkat mkdirat symlinkat linkat setxattr fsetxattr socket connect bind listen \
      uring_cmd; do
      # There no port is bound, not even for the test.
      [ "$1:$op" != bare:connect ] || continue
      got native "$1" "$RING" op "$op" || return 1
      held ringed "$1" "$RING" op "$op" || return 1
    done
  }
  each_mode t
}

@test "io_uring: no ring the kernel polls, of the maker alone, in its memory, or not restricted yet" {
  t() {
    local way
    for way in iopoll sqpoll r-disabled single-issuer defer-taskrun registered-fd-only no-mmap; do
      got native "$1" "$RING" setup "$way" || return 1
      held ringed "$1" "$RING" setup "$way" || return 1
    done
    won native "$1" "$RING" race || return 1
    held ringed "$1" "$RING" race
  }
  each_mode t
}

@test "io_uring: no other credentials, no ring kept without a descriptor, and the probe tells the truth" {
  t() {
    local way
    for way in personality ring-fds ring-fds-high-bit; do
      got native "$1" "$RING" register "$way" || return 1
      held ringed "$1" "$RING" register "$way" || return 1
    done
    got native "$1" "$RING" probe || return 1
    held ringed "$1" "$RING" probe
  }
  each_mode t
}

@test "io_uring: rings are counted" {
  t() {
    got native "$1" "$RING" many || return 1
    held ringed "$1" "$RING" many
  }
  each_mode t
}

@test "io_uring: no datagram reaches a socket of the host's" {
  t() {
    local pid status=0
    python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777); s.settimeout(60)
print("ready", flush=True)
while True: s.recv(10)' "$WS/gram" >"$OUT/ready" 3>&- &
    pid=$!
    until grep -q ready "$OUT/ready"; do sleep 0.05; done
    got native "$1" "$RING" datagram "$WS/gram" && held ringed "$1" "$RING" datagram "$WS/gram" || status=1
    kill $pid
    wait $pid 2>/dev/null
    rm -f "$WS/gram"
    return $status
  }
  each_mode t
}
