#!/usr/bin/env bats
# shellcheck disable=SC2154 # mode and ws are set by each_mode
# A socket of the host's in a directory the guest shares (ATTACKS F8).

setup() {
  load ../cli/common
  load ../cli/run
}

host_listens() {
  python3 - "$ws" <<'P' &
import os, select, socket, sys, time
os.chdir(sys.argv[1])
a = socket.socket(socket.AF_UNIX); a.bind("stream"); a.listen(); os.chmod("stream", 0o777)
b = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); b.bind("dgram"); os.chmod("dgram", 0o777)
open("ready", "w").close()
for _ in range(200):
    time.sleep(0.05)
    if os.path.exists("done"):
        break
ready, _, _ = select.select([a, b], [], [], 0)
open("got", "w").write(str(len(ready)))
P
  listener=$!
  for _ in $(seq 100); do [ -e "$ws/ready" ] && return; sleep 0.05; done
  return 1
}

client='import socket, sys
for kind, name in ((socket.SOCK_STREAM, "stream"), (socket.SOCK_DGRAM, "dgram")):
    s = socket.socket(socket.AF_UNIX, kind)
    try:
        s.connect(name); s.send(b"out"); print(name, "reached")
    except OSError as e:
        print(name, e.strerror)
    s = socket.socket(socket.AF_UNIX, kind)
    try:
        s.sendto(b"out", name)
    except OSError:
        pass'

own='import socket
a = socket.socket(socket.AF_UNIX); a.bind("own"); a.listen()
c = socket.socket(socket.AF_UNIX); c.connect("own"); a.accept()
b = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); b.bind("owndgram")
d = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); d.sendto(b"x", "owndgram"); b.recv(1)
print("own sockets work")'

reach() {
  host_listens || return 1
  if [ "$1" = natively ]; then
    out=$(python3 -c "$client")
  else
    out=$(guest -- python3 -c "$client")
  fi
  touch "done"
  wait "$listener"
  got=$(cat got)
}

outside() {
  reach natively
  is "stream reached
dgram reached" "$out" "natively"
  is 2 "$got" "sockets the host heard from"
}

inside() {
  reach inside
  is "stream Permission denied
dgram Permission denied" "$out" "inside"
  is 0 "$got" "sockets the host heard from"
}

permitted() {
  is "own sockets work" "$(guest -- python3 -c "$own")" "the guest's own"
}

@test "natively a socket in the directory is reached" {
  each_mode outside
}

@test "a host's socket in the workspace is out of reach" {
  each_mode inside
}

@test "the guest's own sockets work there" {
  each_mode permitted
}
