#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables are read by world.bash
# Published ports, the host's loopback, the host's Unix sockets, rules added to a run in progress, what is told of it.

setup_file() {
  export T=${T:-$BATS_FILE_TMPDIR}
  load ../cli/common
  load ../lib/world
  chmod 755 "$T"
  world_up
}

teardown_file() {
  load ../lib/world
  world_down
}

setup() {
  load ../cli/common
  load ../lib/world
  NOT=bare
}

fetch='import socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    s.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
    print("reached" if b"hello" in s.makefile("rb").read() else "no answer")
except OSError as e:
    print(type(e).__name__ if isinstance(e, socket.gaierror) else e.strerror)'

# Waits until file $1 is there.
until_there() {
  local i
  for i in $(seq 600); do [ -e "$1" ] && return; sleep 0.05; done
  echo "no $1" >&2
  return 1
}

@test "a published port reaches a server of the guest's, from this host only" {
  t() {
    local mode=$1
    inside "$mode" --publish 18080:3000 -- python3 -c 'import http.server, os
os.chdir("/tmp"); open("hello", "w").write("hello\n"); s = http.server.HTTPServer(("127.0.0.1", 3000), http.server.SimpleHTTPRequestHandler)
open(os.environ["PWD"] + "/up", "w").close(); s.timeout = 20
for i in range(3): s.handle_request()' >/dev/null 2>&1 3>&- &
    until_there "$WS/up" || return 1
    is reached "$(in_world "$mode" python3 -c "$fetch" 127.0.0.1 18080)" published || return 1
    is "Connection refused" "$(in_world "$mode" python3 -c "$fetch" 192.0.2.2 18080)" "another address" || return 1
    in_world "$mode" python3 -c "$fetch" 127.0.0.1 18080 >/dev/null
    in_world "$mode" python3 -c "$fetch" 127.0.0.1 18080 >/dev/null
    wait
  }
  each_mode t
}

@test "network.host: a loopback port of the guest's is the host's" {
  t() {
    local mode=$1
    printf 'version: 1\nextends: agent\nnetwork: { host: [5432] }\n' >"$WS/p.yaml"
    chmod 644 "$WS/p.yaml"
    is reached "$(inside "$mode" --policy "$WS/p.yaml" -- python3 -c 'import socket
s = socket.create_connection(("localhost", 5432)); s.sendall(b"x"); print("reached" if s.recv(1) == b"x" else "no")')" "localhost" || return 1
    # Without namespaces there is no loopback but the host's.
    local own="Connection refused"
    [ "$mode" != bare ] || own="Permission denied"
    is "$own" "$(inside "$mode" -- python3 -c "$fetch" 127.0.0.1 5432)" "without"
  }
  NOT='' each_mode t
}

@test "a Unix socket of the host's passes bytes, and no descriptors" {
  serve='import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777); s.listen()
open(sys.argv[1] + ".up", "w").close()
while True:
    c, _ = s.accept()
    data, fds, flags, _ = socket.recv_fds(c, 100, 4)
    c.sendall(b"%d bytes, %d descriptors" % (len(data), len(fds))); c.close()'
  ask='import os, socket, sys
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
    socket.send_fds(s, [b"hello"], [0]); print(s.recv(100).decode())
except OSError as e: print(e.strerror)'
  t() {
    local mode=$1 dir
    dir=$(mktemp -d "$T/unix.XXXXXX")
    chmod 777 "$dir"
    in_world "$mode" python3 -c "$serve" "$dir/s" 3>&- &
    until_there "$dir/s.up" || return 1
    ln -s s "$dir/link"
    is "5 bytes, 1 descriptors" "$(in_world "$mode" python3 -c "$ask" "$dir/s")" natively || return 1
    [ "$(inside "$mode" --read "$dir" -- python3 -c "$ask" "$dir/s")" != "5 bytes, 1 descriptors" ] || return 1
    is "5 bytes, 0 descriptors" "$(inside "$mode" --unix "$dir/s" -- python3 -c "$ask" "$dir/s")" inside || return 1
    is "5 bytes, 0 descriptors" "$(inside "$mode" --unix "$dir/link" -- python3 -c "$ask" "$dir/link")" "by a link" || return 1
    kill %% 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
  }
  NOT='' each_mode t
}

@test "what is no socket, and sockets that are a way to root, are named with the reason" {
  t() {
    local mode=$1
    run in_world "$mode" "$GABION" run --unix /etc/passwd -- true
    [[ $output == *"is no socket of this host"* ]] || { echo "$output" >&2; return 1; }
    printf 'version: 1\nextends: agent\nnetwork: { unix: [/run/docker.sock] }\n' >"$WS/p.yaml"
    chmod 644 "$WS/p.yaml"
    run in_world "$mode" "$GABION" run --policy "$WS/p.yaml" -- true
    [ "$status" -ne 0 ]
  }
  NOT='' each_mode t
}

@test "hosts and ports are added to a run in progress" {
  t() {
    local mode=$1 id
    # shellcheck disable=SC2016 # the inner shell's
    inside "$mode" --net v4.example.com -- sh -c 'touch up; while [ ! -e go ]; do sleep 0.05; done; python3 -c "$0" other.example.com 8080 >out; python3 -c "$0" 10.1.2.3 7777 >>out; touch done' "$fetch" 3>&- &
    until_there "$WS/up" || return 1
    id=$(in_world "$mode" "$GABION" ps | awk 'NR > 1 { print $1; exit }')
    is "allowed from now on" "$(in_world "$mode" "$GABION" allow "$id" net other.example.com:8080)" "a name" || return 1
    run in_world "$mode" "$GABION" allow "$id" net https://example.com/
    [ "$status" -ne 0 ] && [[ $output == *"did you mean example.com:443?"* ]] || { echo "$output" >&2; return 1; }
    is "published from now on" "$(in_world "$mode" "$GABION" allow "$id" publish 18081:3000)" "a port" || return 1
    touch "$WS/go"
    until_there "$WS/done" || return 1
    is "reached
Permission denied" "$(cat "$WS/out")" inside || return 1
    wait
  }
  each_mode t
}

@test "without namespaces hosts are added on the ports named at the start" {
  t() {
    local mode=$1 id
    # shellcheck disable=SC2016 # the inner shell's
    inside "$mode" --net v4.example.com -- sh -c 'touch up; while [ ! -e go ]; do sleep 0.05; done; python3 -c "$0" other.example.com 80 >out; touch done' "$fetch" 3>&- &
    job=$!
    until_there "$WS/up" || return 1
    id=$(in_world "$mode" "$GABION" ps | awk 'NR > 1 { print $1; exit }')
    is "allowed from now on" "$(in_world "$mode" "$GABION" allow "$id" net other.example.com:80)" "a name" || return 1
    run in_world "$mode" "$GABION" allow "$id" net other.example.com:8080
    if in_world "$mode" "$GABION" explain | grep -q landlock-tcp; then # since Linux 6.7
      [ "$status" -ne 0 ] && [[ $output == *"Landlock holds a run to the ports"* ]] || { echo "$output" >&2; return 1; }
    fi
    touch "$WS/go"
    until_there "$WS/done" || return 1
    is reached "$(cat "$WS/out")" inside || return 1
    wait $job
  }
  [[ " ${modes-} " == *" bare "* ]] || skip "no bare floor here"
  modes=bare NOT='' each_mode t
}

@test "the record and the summary name hosts, and the option that would allow one" {
  t() {
    local mode=$1 out
    out=$(in_world "$mode" "$GABION" run --audit "$WS/record" --net v4.example.com -- sh -c 'getent hosts evil.test; python3 -c "$0" 203.0.113.10 80; python3 -c "$0" v4.example.com 8080; python3 -c "$0" v4.example.com 80' "$fetch" 2>&1)
    for want in "--net evil.test" "--net 203.0.113.10:80" "--net v4.example.com:8080" "network: v4.example.com:80: 1 connection"; do
      [[ $out == *"$want"* ]] || { echo "no '$want' in: $out" >&2; return 1; }
    done
    # Without namespaces nobody counts bytes.
    jq -es --arg mode "$mode" 'any(.[]; .event == "traffic" and .host == "v4.example.com" and .port == 80 and .connections == 1 and
      (.received > 5 or $mode == "bare"))' "$WS/record" >/dev/null || return 1
    jq -es 'any(.[]; .syscall == "connect" and .verdict == "deny" and .object == "203.0.113.10:80" and .errno == "EACCES")' "$WS/record" >/dev/null
  }
  NOT='' each_mode t
}

@test "with the network off, the summary says which names were asked for, and how to allow them" {
  t() {
    local mode=$1 out
    out=$(in_world "$mode" "$GABION" run -- sh -c 'getent hosts evil.test; python3 -c "import socket; socket.gethostbyname(\"other.example.com\")"; true' 2>&1)
    for want in "--net evil.test" "--net other.example.com"; do
      [[ $out == *"$want"* ]] || { echo "no '$want' in: $out" >&2; return 1; }
    done
    [[ $out != *"--net 127.0.0.1"* ]] || return 1
    # What is no question is left aside, and does no harm.
    out=$(in_world "$mode" "$GABION" run -- sh -c 'python3 -c "import os, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(600): s.sendto(os.urandom(n), (\"127.0.0.1\", 53))
for n in range(13, 300): s.sendto(b\"\\0\\0\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\" + os.urandom(n - 12), (\"127.0.0.1\", 53))"
      getent hosts after.test; true' 2>&1)
    [[ $out == *"--net after.test"* ]] || { echo "$out" >&2; return 1; }
  }
  each_mode t
}

@test "without namespaces, with the network off, no name server's address is advised" {
  t() {
    local out
    out=$(in_world "$1" "$GABION" run -- sh -c 'getent hosts evil.test; true' 2>&1)
    [[ $out == *"--net HOST, the name that was asked for"* && $out != *"--net 203.0.113.53"* ]] || { echo "$out" >&2; return 1; }
  }
  [[ " ${modes-} " == *" bare "* ]] || skip "no bare floor here"
  modes=bare NOT='' each_mode t
}

@test "the agent's hosts are allowed, and not without it" {
  t() {
    local mode=$1
    printf '#!/bin/sh\nexec getent hosts "$2" api.anthropic.com\n' >"$WS/aider"
    chmod 755 "$WS/aider"
    inside "$mode" -- "$WS/aider" | grep -q api.anthropic.com || return 1
    ! inside "$mode" --agent none -- "$WS/aider" | grep -q .
  }
  NOT='' each_mode t
}

@test "the host's proxies are not the guest's" {
  t() {
    export https_proxy=http://203.0.113.10:3128 HTTPS_PROXY=http://203.0.113.10:3128 no_proxy=x
    is "" "$(inside "$1" --net 203.0.113.9 -- sh -c 'env | grep -i _proxy')" environment
    unset https_proxy HTTPS_PROXY no_proxy
  }
  NOT='' each_mode t
}

@test "a blocking connect is told what it would be told outside" {
  say='import socket, sys, time
for port in (80, 81):
    try: socket.create_connection((sys.argv[1], port)); print("ok")
    except OSError as e: print(e.strerror)'
  t() {
    local mode=$1
    for to in v4.example.com 203.0.113.9 dead.example.com; do
      is "$(in_world "$mode" python3 -c "$say" "$to")" "$(inside "$mode" --net '*.example.com:80,81' --net 203.0.113.0/24:80,81 -- python3 -c "$say" "$to")" "$to" || return 1
    done
  }
  NOT='' each_mode t
}

@test "the host's own hosts file is honoured, by rules about its names" {
  t() {
    is reached "$(inside "$1" --net inhosts.example.com:80 -- python3 -c "$fetch" inhosts.example.com 80)" "a name the file has" || return 1
    is "Permission denied" "$(inside "$1" --net inhosts.example.com:80 -- python3 -c "$fetch" inhosts.example.com 8080)" "another port" || return 1
    is "Permission denied" "$(inside "$1" --net api.example.com:80 -- python3 -c "$fetch" 203.0.113.10 80)" "its address without a rule"
  }
  NOT='' each_mode t
}

@test "datagrams to a name, connected and not" {
  ask='import socket
a = socket.getaddrinfo("v4.example.com", 7, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
out = []
for f in (lambda s: s.sendto(b"one", a), lambda s: (s.connect(a), s.send(b"two")), lambda s: s.sendmsg([b"th", b"ree"], [], 0, a)):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(10); f(s); out.append(s.recv(10).decode())
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try: s.sendto(b"x", (a[0], 9)); out.append("sent")
except OSError as e: out.append(e.strerror)
print(",".join(out))'
  t() {
    is "one,two,three,Permission denied" "$(inside "$1" --net v4.example.com:7/udp -- python3 -c "$ask")" inside
  }
  NOT='' each_mode t
}

@test "without namespaces the name server on the host's loopback answers this run's guest alone" {
  [[ " ${modes-} " == *" bare "* ]] || skip "no bare floor here"
  ask='import socket, sys
q = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02v4\x07example\x03com\0\0\x01\0\x01"
def t(kind, port):
    s = socket.socket(socket.AF_INET, kind); s.settimeout(1)
    try:
        s.connect(("127.0.0.1", port)); s.send(q if kind == socket.SOCK_DGRAM else b"\0\x20" + q)
        return len(s.recv(100)) > 0
    except OSError: return False
kinds = ((socket.SOCK_DGRAM, "udp"), (socket.SOCK_STREAM, "tcp"))
found = set()
for kind, name in kinds:
    for line in list(open("/proc/net/" + name))[1:]:
        f = line.split(); a, p = f[1].split(":")
        if a == "0100007F" and (f[3] == "07" if name == "udp" else f[3] == "0A") and p != "1538": found.add((kind, int(p, 16)))
print(len(found) >= 2, any(t(*x) for x in found))'
  t() {
    # shellcheck disable=SC2016 # the inner shell's
    inside "$1" --net v4.example.com -- sh -c 'getent ahostsv4 v4.example.com >before; touch up; while [ ! -e go ]; do sleep 0.05; done; getent ahostsv4 v4.example.com >after; touch done' 3>&- &
    until_there "$WS/up" || return 1
    is "True False" "$(in_world "$1" python3 -c "$ask")" "from outside" || return 1
    touch "$WS/go"
    until_there "$WS/done" || return 1
    grep -q ^198.1 "$WS/before" && cmp "$WS/before" "$WS/after"
    wait
  }
  modes=bare NOT='' each_mode t
}

# A guest that talks to the echo server, and tells what becomes of that; found by $mark, $job is ours.
talk() {
  mark=talk$RANDOM$RANDOM$$
  in_world "$1" "$GABION" run --quiet --env LIFE=$mark --net 203.0.113.9:7,1000-1999 -- python3 -c 'import socket, time
s = socket.create_connection(("203.0.113.9", 7))
open("count", "w").close(); open("up", "w").close()
while True:
    try:
        s.sendall(b"x"); open("count", "ab").write(s.recv(1))
    except OSError as e: open("broken", "w").write(str(e)); break
    time.sleep(0.02)
    try: open("go").close()
    except OSError: continue
    try: socket.create_connection(("203.0.113.9", 1500)); open("after", "w").write("reached")
    except OSError as e: open("after", "w").write(e.strerror)
    break' </dev/null >"$WS.out" 2>&1 3>&- &
  job=$!
  until_there "$WS/up" || { cat "$WS.out" >&2; return 1; }
}

teardown() {
  [ -z "${job-}" ] || kill -9 "$job" 2>/dev/null || :
}

life() {
  python3 "$SRC/tests/lib/life.py" "$@"
}

@test "the relay is killed: the run ends, and nothing is left of it" {
  t() {
    local status=0
    talk "$1" || return 1
    life kill "$mark" relay 9
    wait $job || status=$?
    is 125 $status "the run's status" || return 1
    life gone "$mark" 30000
  }
  NOT='' each_mode t
}

@test "the edge's keeper is killed: what is connected goes on, and no new port is opened" {
  t() {
    local before
    talk "$1" || return 1
    life kill "$mark" edge 9
    before=$(stat -c %s "$WS/count")
    for _ in $(seq 400); do [ "$(stat -c %s "$WS/count")" -gt $((before + 3)) ] && break; sleep 0.05; done
    [ "$(stat -c %s "$WS/count")" -gt $((before + 3)) ] || { echo "the connection ended" >&2; return 1; }
    touch "$WS/go"
    until_there "$WS/after" || return 1
    [ "$(cat "$WS/after")" != reached ]
    wait $job
  }
  each_mode t
}

@test "without namespaces the relay's listener for a Unix socket takes connections of this run's guest alone" {
  [[ " ${modes-} " == *" bare "* ]] || skip "no bare floor here"
  strange='import socket
names = [l.split()[7] for l in list(open("/proc/net/unix"))[1:] if len(l.split()) == 8 and l.split()[3] == "00010000" and l.split()[7][0] == "@"]
out = []
for n in names:
    s = socket.socket(socket.AF_UNIX); s.settimeout(10)
    try:
        s.connect("\0" + n[1:]); s.sendall(b"x"); out.append(len(s.recv(100)))
    except OSError: out.append(0)
print(len(names) > 0, sum(out))'
  t() {
    local mode=$1 dir
    dir=$(mktemp -d "$T/unix.XXXXXX")
    chmod 777 "$dir"
    in_world "$mode" python3 -c 'import os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o777); s.listen()
while True:
    c, _ = s.accept(); c.sendall(b"secret" + c.recv(10)); c.close()' "$dir/s" 3>&- &
    until_there "$dir/s" || return 1
    # shellcheck disable=SC2016 # the inner shell's
    inside "$mode" --unix "$dir/s" -- sh -c 'touch up; while [ ! -e go ]; do sleep 0.05; done; python3 -c "$0" "$1" >out; touch done' \
      'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b"!"); print(s.recv(10).decode())' "$dir/s" 3>&- &
    job=$!
    until_there "$WS/up" || return 1
    is "True 0" "$(in_world "$mode" python3 -c "$strange")" "from outside" || return 1
    touch "$WS/go"
    until_there "$WS/done" || return 1
    is "secret!" "$(cat "$WS/out")" inside || return 1
    wait $job
    kill %1 2>/dev/null
    wait 2>/dev/null
    rm -rf "$dir"
  }
  modes=bare NOT='' each_mode t
}
