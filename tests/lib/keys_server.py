#!/usr/bin/env python3
"""A server that says back what it is told, for tests of credentials: keys_server.py DIR ADDRESS PORT [REPOSITORIES]

TLS with DIR/web.pem and web.key, HTTP/1.1 by hand. Every request is written to DIR/requests, a JSON line each, its body's length and
digest beside. What a path does stands below; everything else answers "ok". Below /git/ git itself answers (git http-backend) whoever
has the right password, which is in DIR/password.
"""
import base64, hashlib, json, os, socket, ssl, subprocess, sys, threading, time

where, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
repositories = sys.argv[4] if len(sys.argv) > 4 else None
acked = threading.Event()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(where + "/web.pem", where + "/web.key")
lock = threading.Lock()


class Gone(Exception):
    pass


class Stream:
    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def more(self):
        piece = self.sock.recv(65536)
        if not piece:
            raise Gone
        self.data += piece

    def until(self, end):
        while end not in self.data:
            self.more()
        out, self.data = self.data.split(end, 1)
        return out

    def exactly(self, n):
        while len(self.data) < n:
            self.more()
        out, self.data = self.data[:n], self.data[n:]
        return out


def head(status, fields, reason="OK"):
    return ("HTTP/1.1 %d %s\r\n" % (status, reason) + "".join("%s: %s\r\n" % f for f in fields) + "\r\n").encode("latin1")


def whole(body, status=200, *fields):
    return head(status, [("Content-Length", len(body)), *fields]) + body


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def body_of(s, fields, send):
    """Yields the pieces of a request's body."""
    if fields.get("expect") == "100-continue":
        send(b"HTTP/1.1 100 Continue\r\n\r\n")
    if fields.get("transfer-encoding") == "chunked":
        while True:
            n = int(s.until(b"\r\n"), 16)
            if n == 0:
                while s.until(b"\r\n"):
                    pass
                return
            yield s.exactly(n)
            s.exactly(2)
    left = int(fields.get("content-length", 0))
    while left > 0:
        if not s.data:
            s.more()
        piece = s.data[:left]
        s.data = s.data[len(piece):]
        left -= len(piece)
        yield piece


def git(path, query, method, fields, body):
    with open(where + "/password") as f:
        right = "Basic " + base64.b64encode(f.read().strip().encode()).decode()
    if fields.get("authorization") != right:
        return whole(b"who are you?\n", 401, ("WWW-Authenticate", 'Basic realm="git"'))
    env = {"PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": repositories, "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path[4:], "QUERY_STRING": query,
           "REQUEST_METHOD": method, "REMOTE_USER": "t", "CONTENT_TYPE": fields.get("content-type", ""),
           "HTTP_CONTENT_ENCODING": fields.get("content-encoding", ""), "GIT_PROTOCOL": fields.get("git-protocol", ""),
           "CONTENT_LENGTH": str(len(body)), "GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
           "GIT_CONFIG_KEY_1": "http.receivepack", "GIT_CONFIG_VALUE_1": "true"}
    out = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True).stdout
    top, rest = out.split(b"\r\n\r\n", 1)
    given = [tuple(l.split(": ", 1)) for l in top.decode().split("\r\n")]
    status = 200
    for k, v in given:
        if k.lower() == "status":
            status = int(v.split()[0])
    return whole(rest, status, *[f for f in given if f[0].lower() != "status"])


def answer(path, query, method, text, fields, body, send):
    secret = fields.get("authorization", fields.get("x-api-key", ""))
    last = secret.split(" ")[-1]
    if path == "/echo":
        send(whole(text))
    elif path == "/echo-header":
        send(whole(b"ok\n", 200, ("X-Echo", secret), ("Set-Cookie", "k=" + last)))
    elif path == "/echo-chunked":  # cut wherever it can be cut
        send(head(200, [("Transfer-Encoding", "chunked"), ("Trailer", "X-Last")]))
        for c in last:
            send(chunk(c.encode()))
        send(chunk(b"\n") + b"0\r\nX-Last: " + last.encode() + b"\r\n\r\n")
    elif path == "/echo-close":
        send(head(200, [("Connection", "close")]) + last.encode()[:9])
        time.sleep(0.05)
        send(last.encode()[9:] + b"\n")
        return False
    elif path == "/echo-error":
        send(whole(b"bad key: " + last.encode() + b"\n", 401, ("WWW-Authenticate", 'Bearer realm="%s"' % last)))
    elif path == "/gzip":
        import gzip
        send(whole(gzip.compress(last.encode()), 200, ("Content-Encoding", "gzip")))
    elif path == "/redirect":
        send(whole(b"", 302, ("Location", "https://other.example.com:8443/echo?key=" + last)))
    elif path == "/events":  # the second comes once somebody who saw the first asks for /ack
        acked.clear()
        send(head(200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]) + chunk(b"data: 1\n\n"))
        send(chunk(b"data: %d\n\n" % (2 if acked.wait(30) else 0)) + b"0\r\n\r\n")
    elif path == "/ack":
        acked.set()
        send(whole(b"ok\n"))
    elif path == "/short":
        send(head(200, [("Content-Length", 100)]) + b"short")
        return False
    elif path == "/both":
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    elif path == "/twice":  # an answer nobody asked for behind the one that was
        send(whole(b"one\n") + whole(b"planted\n"))
    elif path == "/large":
        n = int(query)
        send(head(200, [("Content-Length", n)]))
        for _ in range(n >> 16):
            send(b"x" * 65536)
        send(b"x" * (n & 65535))
    elif path == "/body":
        send(whole(("%d %s\n" % body).encode()))
    else:
        send(whole(b"ok\n"))
    return True


def serve(conn):
    try:
        conn = context.wrap_socket(conn, server_side=True)
    except (OSError, ssl.SSLError):
        return
    s = Stream(conn)
    try:
        going = True
        while going:
            text = s.until(b"\r\n\r\n") + b"\r\n\r\n"
            # As lenient as servers are: any line end, the last of several, anything for a name.
            lines = text.decode("latin1").replace("\r\n", "\n").replace("\r", "\n").split("\n")
            method, target, _ = lines[0].split(" ", 2)
            fields = {k.strip().lower(): v.strip() for k, v in (l.split(":", 1) for l in lines[1:] if ":" in l)}
            path, _, query = target.partition("?")
            digest, n, kept = hashlib.sha256(), 0, []
            for piece in body_of(s, fields, conn.sendall):
                digest.update(piece)
                n += len(piece)
                if path.startswith("/git/"):
                    kept.append(piece)
            with lock, open(where + "/requests", "a") as f:
                f.write(json.dumps({"address": address, "method": method, "target": target, "fields": fields, "names": [l.split(":")[0] for l in lines[1:] if l],
                                    "body": n, "sha256": digest.hexdigest()}) + "\n")
            if path.startswith("/git/"):
                conn.sendall(git(path, query, method, fields, b"".join(kept)))
            elif path == "/socket":
                key = base64.b64encode(hashlib.sha1((fields["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
                conn.sendall(head(101, [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", key)], "Switching Protocols"))
                while True:
                    if not s.data:
                        s.more()
                    conn.sendall(s.data + fields.get("authorization", "").encode())
                    s.data = b""
            else:
                going = answer(path, query, method, text, fields, (n, digest.hexdigest()), conn.sendall)
        conn.unwrap()
    except (Gone, OSError, ValueError, KeyError):
        pass
    conn.close()


listener = socket.create_server((address, port), backlog=512)
open(where + "/ready.%s.%d" % (address, port), "w").close()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
