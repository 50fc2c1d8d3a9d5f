#!/usr/bin/env bats
# shellcheck disable=SC2034 # variables are read by world.bash
# Real programs through the edge and the relay, by name: what they print inside is what they print outside.

setup_file() {
  export T=${T:-$BATS_FILE_TMPDIR}
  load ../cli/common
  load ../lib/world
  chmod 755 "$T"
  world_up
  (
    cd "$W/web" || exit 1
    git init -q --bare -b main repo.git
    git -c init.defaultBranch=main clone -q repo.git work 2>/dev/null
    cd work || exit 1
    echo content >file
    git add file
    git -c user.name=t -c user.email=t@example.com commit -q -m first
    git push -q origin HEAD:main 2>/dev/null
    cd ..
    git -C repo.git update-server-info
    head -c 3000000 /dev/urandom >large
    mkdir -p simple/gabiontest npm
    python3 - <<'P'
import base64, hashlib, json, tarfile, io, zipfile
z = zipfile.ZipFile("simple/gabiontest/gabiontest-1.0-py3-none-any.whl", "w")
z.writestr("gabiontest.py", "print('from the wheel')\n")
z.writestr("gabiontest-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: gabiontest\nVersion: 1.0\n")
z.writestr("gabiontest-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
z.writestr("gabiontest-1.0.dist-info/RECORD", "")
z.close()
open("simple/gabiontest/index.html", "w").write('<a href="gabiontest-1.0-py3-none-any.whl">gabiontest-1.0-py3-none-any.whl</a>')
b = io.BytesIO()
t = tarfile.open(fileobj=b, mode="w:gz")
for name, text in (("package/package.json", '{"name":"gabiontest","version":"1.0.0"}'), ("package/index.js", "console.log('from the package')")):
    i = tarfile.TarInfo(name); i.size = len(text); t.addfile(i, io.BytesIO(text.encode()))
t.close()
open("npm/gabiontest.tgz", "wb").write(b.getvalue())
json.dump({"name": "gabiontest", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {"name": "gabiontest", "version": "1.0.0", "dist": {
    "tarball": "https://v4.example.com/npm/gabiontest.tgz", "shasum": hashlib.sha1(b.getvalue()).hexdigest()}}}}, open("npm/gabiontest", "w"))
P
  )
  chmod -R a+rX "$W/web"
}

teardown_file() {
  load ../lib/world
  world_down
}

setup() {
  load ../cli/common
  load ../lib/world
  NOT=
  # The machine's own tools: what a person's PATH adds may write outside of the workspace (pyenv's pip rehashes its shims).
  PATH=/usr/local/bin:/usr/bin:/bin
  # Whatever the machine trusts otherwise.
  export SSL_CERT_FILE=$W/ca.pem GIT_SSL_CAINFO=$W/ca.pem PIP_CERT=$W/ca.pem REQUESTS_CA_BUNDLE=$W/ca.pem CURL_CA_BUNDLE=$W/ca.pem
  export NODE_EXTRA_CA_CERTS=$W/ca.pem npm_config_cafile=$W/ca.pem
  export PIP_INDEX_URL=https://v4.example.com/simple/ PIP_CONFIG_FILE=/dev/null npm_config_registry=https://v4.example.com/npm/
  unset PIP_EXTRA_INDEX_URL PIP_FIND_LINKS
}

# same COMMAND...: the same output and status outside and inside.
same() {
  t() {
    local out in
    out=$(in_world "$1" bash -c "$cmd" 2>&1; echo "status $?")
    find "$WS" -mindepth 1 -delete
    in=$(inside "$1" --net '*.example.com:80,443,6379,7' -- bash -c "$cmd" 2>"$T/err"; echo "status $?")
    [[ $out == *"status 0" ]] || { echo "natively: $out" >&2; return 1; }
    is "$out" "$in" "$cmd" || { head -n 5 "$T/err" >&2; return 1; }
  }
  cmd=$1
  each_mode t
}

# Waits until something listens on port $1 of the internet's 203.0.113.9.
listens() {
  for _ in $(seq 600); do
    nsenter -t "$(cat "$W/world.pid")" -n bash -c "exec 3<>/dev/tcp/203.0.113.9/$1" 2>/dev/null && return
    sleep 0.05
  done
  echo "nothing listens on $1" >&2
  return 1
}

@test "curl over HTTP and HTTPS, IPv4 and IPv6, many at once" {
  same 'for u in http://api.example.com/hello https://api.example.com/hello; do for f in -4 -6; do curl -sS $f --cacert "$SSL_CERT_FILE" $u; done; done
    curl -sS --cacert "$SSL_CERT_FILE" https://v4.example.com/large | wc -c; curl -sSZ --cacert "$SSL_CERT_FILE" https://v4.example.com/hello"#[1-20]" 2>/dev/null | sort | uniq -c'
}

@test "git over https" {
  same 'git clone -q https://v4.example.com/repo.git r 2>/dev/null && cat r/file && git -C r log --format=%s'
}

@test "pip" {
  python3 -m pip --version >/dev/null 2>&1 || skip "pip is not installed"
  same 'python3 -m pip install -q --disable-pip-version-check --no-cache-dir --target "$PWD/t" gabiontest 2>/dev/null && PYTHONPATH=t python3 -m gabiontest'
}

@test "npm" {
  command -v npm >/dev/null || skip "npm is not installed"
  same 'npm install --silent --no-audit --no-fund --cache "$PWD/c" gabiontest >/dev/null && node node_modules/gabiontest/index.js'
}

@test "node: fetch and sockets" {
  command -v node >/dev/null || skip "node is not installed"
  same 'node -e "(async () => { console.log(await (await fetch(\"https://v4.example.com/hello\")).text()); const s = require(\"net\").connect(7, \"v4.example.com\", () => s.end(\"ping\")); s.on(\"data\", d => console.log(String(d))); })()"'
}

@test "python: urllib, requests, asyncio, epoll before and after connect" {
  cat >"$W/web/p.py" <<'P'
import asyncio, os, select, socket, ssl, urllib.request
print(urllib.request.urlopen("https://v4.example.com/hello").read())
try:
    import requests
    print(requests.get("https://v4.example.com/hello", verify=os.environ["SSL_CERT_FILE"]).text)
except ImportError:
    pass
async def one(n):
    r, w = await asyncio.open_connection("v4.example.com", 7)
    w.write(b"%d" % n); await w.drain()
    d = await r.read(10); w.close()
    return d
async def many():
    return sorted(await asyncio.gather(*[one(n) for n in range(50)]))[:3]
print(asyncio.run(many()))
for early in (True, False):
    s = socket.socket(); s.setblocking(False); e = select.epoll()
    if early: e.register(s, select.EPOLLOUT)
    s.connect_ex((socket.gethostbyname("v4.example.com"), 7))
    if not early: e.register(s, select.EPOLLOUT)
    while not any(ev & select.EPOLLOUT and not ev & select.EPOLLHUP for _, ev in e.poll(5)): pass
    print(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), s.getpeername()[1]); s.send(b"x")
    e.modify(s, select.EPOLLIN); e.poll(5); print(s.recv(5)); s.shutdown(socket.SHUT_WR); e.poll(5); print(s.recv(5))
P
  same 'python3 - <"'"$W"'/web/p.py"'
}

@test "redis-cli" {
  command -v redis-server >/dev/null || skip "redis is not installed"
  nsenter -t "$(cat "$W/world.pid")" -n redis-server --bind 203.0.113.9 --port 6379 --save '' --protected-mode no --dir "$W" >/dev/null 2>&1 3>&- &
  local server=$!
  listens 6379
  same 'redis-cli -h v4.example.com set k v; redis-cli -h v4.example.com get k; redis-benchmark -h v4.example.com -n 1000 -c 20 -q -t get >b 2>&1; tr "\r" "\n" <b | grep -c "requests per second" || cat b'
  kill $server
  wait $server || true
}

@test "psql" {
  command -v psql >/dev/null || skip "psql is not installed"
  cat >"$W/pg.py" <<'P'
# As much of PostgreSQL's protocol (version 3) as a query takes.
import socketserver, struct
m = lambda kind, body: kind + struct.pack(">I", len(body) + 4) + body
class Pg(socketserver.BaseRequestHandler):
    def some(self, n):
        data = b""
        while len(data) < n: data += self.request.recv(n - len(data)) or exit()
        return data
    def handle(self):
        while True:
            n, version = struct.unpack(">II", self.some(8)); self.some(n - 8)
            if version == 196608: break
            self.request.sendall(b"N") # no TLS, no GSS
        ready = m(b"Z", b"I")
        self.request.sendall(m(b"R", b"\0\0\0\0") + m(b"S", b"server_version\0" b"15.0\0") + ready)
        while True:
            kind = self.some(1); body = self.some(struct.unpack(">I", self.some(4))[0] - 4)
            if kind != b"Q": return
            column = b"a\0" + struct.pack(">IhIhih", 0, 0, 25, -1, -1, 0)
            self.request.sendall(m(b"T", b"\0\1" + column) + m(b"D", b"\0\1" + struct.pack(">I", len(body) - 1) + body[:-1]) + m(b"C", b"SELECT 1\0") + ready)
class S(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
S(("203.0.113.9", 6379), Pg).serve_forever()
P
  nsenter -t "$(cat "$W/world.pid")" -n python3 "$W/pg.py" >/dev/null 2>&1 3>&- &
  local server=$!
  listens 6379
  same 'for i in 1 2 3; do psql -X -A -t "host=v4.example.com port=6379 user=u dbname=d sslmode=disable gssencmode=disable" -c "select $i"; done'
  kill $server
  wait $server || true
}

@test "go, with its own resolver" {
  local go
  go=$(command -v go || ls /usr/local/go/bin/go 2>/dev/null) || skip "go is not installed"
  mkdir -p "$W/go"
  cat >"$W/go/main.go" <<'G'
package main

import ("fmt"; "io"; "net"; "net/http"; "sort"; "time")

func main() {
	r, err := http.Get("http://v4.example.com/hello")
	if err != nil { fmt.Println(err); return }
	b, _ := io.ReadAll(r.Body)
	fmt.Print(string(b))
	done := make(chan string)
	for i := 0; i < 20; i++ {
		go func(i int) {
			c, err := net.DialTimeout("tcp", "api.example.com:7", 20*time.Second)
			if err != nil { done <- err.Error(); return }
			fmt.Fprintf(c, "%02d", i); c.(*net.TCPConn).CloseWrite()
			b, _ := io.ReadAll(c); done <- string(b)
		}(i)
	}
	var all []string
	for i := 0; i < 20; i++ { all = append(all, <-done) }
	sort.Strings(all)
	fmt.Println(all)
}
G
  (cd "$W/go" && HOME=$W/go GOCACHE=$W/go/cache GOFLAGS=-mod=mod GO111MODULE=off GOTOOLCHAIN=local CGO_ENABLED=0 "$go" build -p 1 -o client main.go) ||
    skip "go builds nothing here"
  install -m 755 "$W/go/client" "$TESTS/go-client" # where programs of tests may be executed
  same "$TESTS/go-client"
  rm -rf "$W/go" "$TESTS/go-client"
}

@test "java" {
  command -v java >/dev/null || skip "java is not installed"
  cat >"$W/web/H.java" <<'J'
import java.io.*; import java.net.*;
public class H { public static void main(String[] a) throws Exception {
  BufferedReader r = new BufferedReader(new InputStreamReader(new URL("http://v4.example.com/hello").openStream())); System.out.println(r.readLine()); } }
J
  chmod a+r "$W/web/H.java"
  same 'java -XX:-UsePerfData "'"$W"'/web/H.java"'
}
