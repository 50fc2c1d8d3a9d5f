#!/usr/bin/env bats
# shellcheck disable=SC2034,SC2016 # variables are read by world.bash; what is in quotes is run inside
# Credentials (ATTACKS I5, F1): a value that must not be had, and requests that two readers would read in two ways. Every attack is done
# from outside as well, where the server takes it, and so is its harmless relative inside.

setup_file() {
  export T=${T:-$BATS_FILE_TMPDIR}
  load ../cli/common
  load ../lib/world
  chmod 755 "$T"
  world_up
  nsenter -t "$(cat "$W/world.pid")" -n python3 "$SRC/tests/lib/keys_server.py" "$W" 203.0.113.9 8443 3>&- 8>&- >>"$W/server.log" 2>&1 &
  echo $! >"$W/servers"
  for _ in $(seq 200); do
    [ -e "$W/ready.203.0.113.9.8443" ] && break
    sleep 0.05
  done
  # raw.py NAME [SNI]: each line of standard input over TLS, a connection each (escapes of Python's; @WAIT@: read an answer first). The
  # answers' status of each, or why there is none.
  cat >"$W/raw.py" <<'P'
import os, socket, ssl, sys
c = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE"))
c.check_hostname = False
sni = sys.argv[2] if len(sys.argv) > 2 else sys.argv[1]
for line in sys.stdin:
    out = []
    try:
        s = c.wrap_socket(socket.create_connection((sys.argv[1], 8443), 20), server_hostname=sni or None)
        got = b""
        for part in line.rstrip("\n").encode().decode("unicode_escape").encode("latin1").split(b"@WAIT@"):
            s.sendall(part)
            while True:
                head, end, body = got.partition(b"\r\n\r\n")
                length = [int(f[15:]) for f in head.split(b"\r\n") if f.lower().startswith(b"content-length:")] or [0]
                piece = b"" if end and len(body) >= length[0] else s.recv(65536)
                if not piece:
                    break
                got += piece
            out.append(head[9:12].decode("latin1") if end else "closed")
            if b"planted" in body[:length[0]]:
                out.append("planted")
            got = body[length[0]:]
    except ssl.SSLError:
        out.append("tls")
    except OSError:
        out.append("closed")
    print(*out)
P
  printf 'version: 1\nextends: agent\ncredentials:\n  - {name: TOKEN, from: env, hosts: ["api.example.com:8443"], inject: {bearer: true}}\n' >"$W/policy.yaml"
  chmod 644 "$W/raw.py"
}

teardown_file() {
  load ../lib/world
  # shellcheck disable=SC2046 # one word a server
  [ -z "${W:-}" ] || kill $(cat "$W/servers") 2>/dev/null
  world_down
}

setup() {
  load ../cli/common
  load ../lib/world
  NOT=bare
  PATH=/usr/local/bin:/usr/bin:/bin
  export SSL_CERT_FILE=$W/ca.pem API=https://api.example.com:8443 TOKEN=ghp_RealValue0123456789abcdefghij
  unset CURL_CA_BUNDLE
  : >"$W/requests"
  chmod 666 "$W/requests"
}

keys() {
  local mode=$1
  shift
  in_world "$mode" "$GABION" run --quiet -p "$W/policy.yaml" --read "$W" -- "$@"
}

H='Host: api.example.com:8443\r\n'

# raw INSIDE-MODE|"" LINES [SNI]
raw() {
  if [ -n "$1" ]; then
    printf '%s\n' "$2" | keys "$1" python3 "$W/raw.py" api.example.com "${@:3}"
  else
    printf '%s\n' "$2" | in_world root python3 "$W/raw.py" api.example.com "${@:3}"
  fi
}

@test "I5, F1: what is ambiguous, or for another host, never arrives" {
  attacks=(
    "POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    "POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"
    "POST / HTTP/1.1\r\n${H}Transfer-Encoding: identity, xchunked\r\n\r\n"
    "GET / HTTP/1.1\r\n${H}X: a\r\n b: c\r\n\r\n"
    "GET / HTTP/1.1\r\n${H}X: a\nY: b\r\n\r\n"
    "GET / HTTP/1.1\r\n${H}X: a\rY: b\r\n\r\n"
    "GET / HTTP/1.1\r\n${H}X: a\x00b\r\n\r\n"
    "GET / HTTP/1.1\r\nHost: api.example.com:8443\x00.evil.test\r\n\r\n"
    "GET / HTTP/1.1\r\n${H}Host: evil.test\r\n\r\n"
    "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"
    "GET / HTTP/1.1\r\nHost: api.example.com.evil.test:8443\r\n\r\n"
    "GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n"
    "GET / HTTP/1.1\r\nX: y\r\n\r\n"
    "GET / HTTP/1.1\r\nHost : api.example.com:8443\r\n\r\n"
    "GET https://evil.test/ HTTP/1.1\r\n${H}\r\n"
    "CONNECT evil.test:443 HTTP/1.1\r\n${H}\r\n"
    "TRACE / HTTP/1.1\r\n${H}\r\n"
    "GET / HTTP/1.0\r\n${H}\r\n"
    "GET / HTTP/1.1\r\n${H}Connection: close, authorization\r\n\r\n"
  )
  t() {
    local out n=${#attacks[@]} lines
    lines=$(printf '%s\n' "${attacks[@]}")
    : >"$W/requests"
    out=$(raw "" "$lines")
    is "$n $n" "$(grep -c '^200' <<<"$out") $(wc -l <"$W/requests")" "control: answers and requests ($out)"
    : >"$W/requests"
    out=$(raw "$1" "$lines")
    is "$n 0" "$(grep -cE '^(400|403|421)$' <<<"$out") $(wc -l <"$W/requests")" "refused and arrived ($out)"
    # The harmless relative.
    out=$(raw "$1" "GET / HTTP/1.1\r\n${H}X: a\r\n\r\n@WAIT@POST / HTTP/1.1\r\n${H}Content-Length: 3\r\n\r\nabc")
    is "200 200" "$out" "two plain ones"
    is 2 "$(grep -c "Bearer $TOKEN" "$W/requests")" "with the value"
  }
  each_mode t
}

@test "F1: the second request of a connection with another Host, another name in the handshake" {
  t() {
    local out two="GET /a HTTP/1.1\r\n${H}\r\n@WAIT@GET /b HTTP/1.1\r\nHost: evil.test\r\n\r\n"
    : >"$W/requests"
    raw "" "$two" >/dev/null
    is 2 "$(wc -l <"$W/requests")" "control"
    : >"$W/requests"
    out=$(raw "$1" "$two")
    is "200 421" "$out" "keep-alive"
    # At once, in one piece.
    raw "$1" "GET /a HTTP/1.1\r\n${H}\r\nGET /b HTTP/1.1\r\nHost: evil.test\r\n\r\n" >/dev/null
    is "0 2" "$(grep -c '"/b"' "$W/requests") $(grep -c '"/a"' "$W/requests")" "pipelined"
    : >"$W/requests"
    for sni in other.example.com evil.test ""; do
      is 200 "$(raw "" "GET / HTTP/1.1\r\n${H}\r\n" "$sni" | tr -d ' ')" "control: SNI '$sni'"
      : >"$W/requests"
      out=$(raw "$1" "GET / HTTP/1.1\r\n${H}\r\n" "$sni" | tr -d ' ')
      [[ $out =~ ^(tls|closed)$ && ! -s $W/requests ]] || { echo "SNI '$sni': $out"; return 1; }
    done
  }
  each_mode t
}

@test "I5: answers that are two, compressed, or cut short" {
  t() {
    local out two="GET /twice HTTP/1.1\r\n${H}\r\n@WAIT@GET / HTTP/1.1\r\n${H}\r\n"
    # The answer nobody asked for is not the next one's. (One read has both of them natively, or the next one gets it.)
    out=$(raw "" "$two")
    [[ $out == *planted* ]] || { echo "control: $out"; return 1; }
    out=$(raw "$1" "$two")
    [[ $out != *planted* && $out == 200* ]] || { echo "$out"; return 1; }
    out=$(keys "$1" bash -c 'curl -s -o /dev/null -w "%{http_code} " $API/both; curl -s --compressed -o /dev/null -w "%{http_code} " $API/gzip; curl -s -o /dev/null $API/short; echo $?')
    [[ $out =~ ^"502 502 "(18|56)$ ]] || { echo "$out"; return 1; }
    out=$(in_world "$1" bash -c 'curl -s --cacert $W/ca.pem -H "Authorization: Bearer $TOKEN" $API/gzip | zcat')
    is "$TOKEN" "$out" "control: the compressed one has it"
  }
  each_mode t
}

# The processes of the run whose gabion is $1, one a line: pid and name.
family() {
  python3 - "$1" <<'P'
import os, sys
kids = {}
for p in filter(str.isdigit, os.listdir("/proc")):
    try:
        kids.setdefault(open("/proc/%s/stat" % p).read().rsplit(")", 1)[1].split()[1], []).append(p)
    except OSError:
        pass
todo = [sys.argv[1]]
while todo:
    p = todo.pop()
    todo += kids.get(p, [])
    try:
        print(p, open("/proc/%s/comm" % p).read().strip())
    except OSError:
        pass
P
}

@test "I5: one process has the value, confined; its end is the end of the connections" {
  t() {
    local gabion="" p out keys_pid
    : >"$W/requests"
    rm -f "$WS/one" "$WS/two"
    keys "$1" bash -c 'curl -sS -o /dev/null $API/a; : >one; until [ -e two ]; do sleep 0.1; done; curl -sS -m 30 -o /dev/null $API/b; echo "curl $?"; curl -sS -m 30 -o /dev/null $API/c; echo "curl $?"' \
      >"$W/out" 2>"$W/err" 3>&- 8>&- &
    for _ in $(seq 300); do
      [ -e "$WS/one" ] && break
      sleep 0.1
    done
    [ -e "$WS/one" ] || { cat "$W/out" "$W/err"; return 1; }
    for p in /proc/[0-9]*; do
      [ "$(readlink "$p/ns/net" 2>/dev/null)" = "$(readlink "/proc/$(cat "$W/pid")/ns/net")" ] || continue
      [ "$(cat "$p/comm" 2>/dev/null)" = "gabion: keys" ] && keys_pid=${p#/proc/}
    done
    gabion=$(awk '{ print $4 }' "/proc/$keys_pid/stat" 2>/dev/null || sed 's/.*) //' "/proc/$keys_pid/stat" | awk '{ print $2 }')
    gabion=$(awk '/^PPid:/ { print $2 }' "/proc/$keys_pid/status")
    # Who has the value in memory, of all the run's processes? (Also in pieces that memory was given back with.)
    out=$(family "$gabion" | python3 -c '
import re, sys
for line in sys.stdin:
    pid, name = line.strip().split(" ", 1)
    found = False
    try:
        mem = open("/proc/%s/mem" % pid, "rb", 0)
        for m in open("/proc/%s/maps" % pid):
            a, b, perm = re.match(r"(\w+)-(\w+) (\S+)", m).groups()
            if perm[0] != "r" or "[v" in m:
                continue
            mem.seek(int(a, 16))
            try:
                found = found or b"RealValue0123456789" in mem.read(int(b, 16) - int(a, 16))
            except OSError:
                pass
    except OSError:
        continue
    print(name, found)' | sort -u)
    is "gabion: keys True" "$(grep True <<<"$out")" "who has the value ($out)"
    [ "$(grep -c False <<<"$out")" -ge 4 ] || { echo "not looked at: $out"; return 1; }
    is "0000000000000000 1 2" "$(awk '/^CapEff|^NoNewPrivs|^Seccomp:/ { printf "%s ", $2 }' "/proc/$keys_pid/status" | sed 's/ $//')" confinement
    [ "$(awk '/^VmLck/ { print $2 }' "/proc/$keys_pid/status")" -ge 8 ]
    kill -9 "$keys_pid"
    : >"$WS/two"
    wait $!
    is 2 "$(grep -c '^curl [1-9]' "$W/out")" "requests that failed"
    is 1 "$(wc -l <"$W/requests")" "requests that arrived"
    ! grep -r RealValue "$WS" "$W/out" "$W/err" || return 1
  }
  each_mode t
}
