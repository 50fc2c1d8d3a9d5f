#!/usr/bin/env python3
"""A host and an internet for network tests, in namespaces of their own: world.py DIR [WEB]

Two network namespaces joined by a veth pair. In the one, the internet, servers listen on addresses of its loopback device, and
everything that arrives from the other is written down. The other is the host: commands run in it with nsenter. Its
resolv.conf and hosts are the test's own. What is made goes away with the process.

DIR/pid       process that holds the host's namespaces (nsenter -n -m)
DIR/dns.log   names the name server was asked for, one a line
DIR/packets   every packet the internet saw: protocol, source, destination, payload bytes as text
DIR/ca.pem    signs the certificates of *.example.com
DIR/ready     made once everything listens
WEB           directory served over HTTP and HTTPS
"""
import ctypes, os, signal, socket, socketserver, ssl, struct, subprocess, sys, threading, time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

NEWNS, NEWNET = 0x20000, 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
where = sys.argv[1]
web = sys.argv[2] if len(sys.argv) > 2 else where + "/web"

ADDRESSES = ["203.0.113.9", "203.0.113.10", "203.0.113.53", "10.1.2.3", "10.9.9.9", "169.254.169.254"]
SIX = ["2001:db8::9", "fd00:ec2::254"]
ZONE = {
    "api.example.com": ["203.0.113.9", "2001:db8::9"],
    "v4.example.com": ["203.0.113.9"],
    "v6.example.com": ["2001:db8::9"],
    "other.example.com": ["203.0.113.10"],
    "private.example.com": ["10.1.2.3"],
    "meta.example.com": ["169.254.169.254"],
    "loop.example.com": ["127.0.0.1"],
    "mapped.example.com": ["::ffff:127.0.0.1"],
    "dead.example.com": ["203.0.113.99"],
    "silent.example.com": ["203.0.113.77"],
    "evil.test": ["203.0.113.10"],
    "rebind.example.com": None,
}
asked = {}


def unshare(flags):
    if libc.unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def ip(*args):
    subprocess.run(["ip", *args], check=True)


def mount(source, target):
    if libc.mount(source.encode(), target.encode(), None, 4096, None) != 0:
        raise OSError(ctypes.get_errno(), "mount " + target)


def log(name, line):
    with open(where + "/" + name, "a") as f:
        f.write(line + "\n")


# --- the host ---

class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while True:
            data = self.request.recv(65536)
            if not data:
                break
            self.request.sendall(data)


class Threaded(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024


def serve(address, port, handler, cls=Threaded):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = type("S", (cls,), {"address_family": family})
    threading.Thread(target=kind((address, port), handler).serve_forever, daemon=True).start()


def host(go, done):
    unshare(NEWNET | NEWNS)
    if libc.mount(b"none", b"/", None, 0x4000 | (1 << 18), None) != 0:
        raise OSError(ctypes.get_errno(), "private")
    os.write(done, b"n")
    os.read(go, 1)
    ip("link", "set", "lo", "up")
    ip("link", "set", "uplink", "up")
    ip("addr", "add", "192.0.2.2/24", "dev", "uplink")
    ip("-6", "addr", "add", "2001:db8:ffff::2/64", "dev", "uplink", "nodad")
    ip("route", "add", "default", "via", "192.0.2.1")
    ip("-6", "route", "add", "default", "via", "2001:db8:ffff::1")
    with open(where + "/resolv.conf", "w") as f:
        f.write("nameserver 203.0.113.53\noptions timeout:2 attempts:2\n")
    with open(where + "/hosts", "w") as f:
        f.write("127.0.0.1 localhost\n203.0.113.10 inhosts.example.com\n")
    mount(where + "/resolv.conf", os.path.realpath("/etc/resolv.conf"))
    mount(where + "/hosts", "/etc/hosts")
    serve("127.0.0.1", 5432, Echo)
    os.write(done, b"r")
    signal.pause()


# --- the internet ---

def answer(query):
    """One DNS answer (RFC 1035): A and AAAA of ZONE, NXDOMAIN for the rest."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]])
        at += 1 + query[at]
    name = b".".join(labels).decode("latin1").lower()
    qtype = struct.unpack(">H", query[at + 1:at + 3])[0]
    question = query[12:at + 5]
    log("dns.log", name)
    addresses = ZONE.get(name, ())
    if name == "rebind.example.com":
        asked[name] = asked.get(name, 0) + (qtype == 1)
        addresses = ["203.0.113.9" if asked[name] < 2 else "10.1.2.3"]
    records = b""
    count = 0
    for a in addresses or ():
        family = socket.AF_INET6 if ":" in a else socket.AF_INET
        if (family == socket.AF_INET6) != (qtype == 28) or qtype not in (1, 28):
            continue
        data = socket.inet_pton(family, a)
        records += b"\xc0\x0c" + struct.pack(">HHIH", qtype, 1, 1, len(data)) + data
        count += 1
    code = 0 if name in ZONE else 3
    return query[:2] + struct.pack(">HHHHH", 0x8580 | code, 1, count, 0, 0) + question + records


class DnsUdp(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(answer(data), self.client_address)


class DnsTcp(socketserver.BaseRequestHandler):
    def handle(self):
        n = self.request.recv(2)
        if len(n) == 2:
            a = answer(self.request.recv(struct.unpack(">H", n)[0]))
            self.request.sendall(struct.pack(">H", len(a)) + a)


class UdpEcho(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(data, self.client_address)


class Udp(socketserver.ThreadingUDPServer):
    allow_reuse_address = True
    daemon_threads = True


class Web(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args, **kw):
        super().__init__(*args, directory=web, **kw)

    def log_message(self, *args):
        pass


class WebServer(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "web", self.server_address[1]


class TlsServer(WebServer):
    def get_request(self):
        conn, address = super().get_request()
        conn.settimeout(10)
        return context.wrap_socket(conn, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, *args):
        pass


def sniff():
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind(("uplink", 0))
    while True:
        frame, address = s.recvfrom(65600)
        kind = struct.unpack(">H", frame[12:14])[0]
        if address[2] == 4 or kind not in (0x800, 0x86dd):
            continue
        body = frame[14:]
        if kind == 0x800:
            proto, a, b = body[9], socket.inet_ntop(socket.AF_INET, body[12:16]), socket.inet_ntop(socket.AF_INET, body[16:20])
        else:
            proto, a, b = body[6], socket.inet_ntop(socket.AF_INET6, body[8:24]), socket.inet_ntop(socket.AF_INET6, body[24:40])
        text = "".join(chr(c) if 32 <= c < 127 else "." for c in body)
        log("packets", "%d %s %s %s" % (proto, a, b, text))


def certificate():
    run = lambda *a: subprocess.run(["openssl", *a], check=True, capture_output=True)
    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-keyout",
        where + "/ca.key", "-out", where + "/ca.pem", "-subj", "/CN=gabion test CA")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", where + "/web.key", "-out",
        where + "/web.csr", "-subj", "/CN=example.com")
    with open(where + "/web.ext", "w") as f:
        f.write("subjectAltName=DNS:*.example.com\n")
    run("x509", "-req", "-in", where + "/web.csr", "-CA", where + "/ca.pem", "-CAkey", where + "/ca.key", "-days", "2",
        "-CAcreateserial", "-extfile", where + "/web.ext", "-out", where + "/web.pem")
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.load_cert_chain(where + "/web.pem", where + "/web.key")
    return c


libc.prctl(1, signal.SIGKILL)  # with whoever started us
os.makedirs(web, exist_ok=True)
if not os.path.exists(web + "/hello"):
    with open(web + "/hello", "w") as f:
        f.write("hello\n")
for name in ("dns.log", "packets"):
    open(where + "/" + name, "w").close()
unshare(NEWNET)
go_r, go_w = os.pipe()
done_r, done_w = os.pipe()
holder = os.fork()
if holder == 0:
    libc.prctl(1, signal.SIGKILL)
    host(go_r, done_w)
    os._exit(0)
os.read(done_r, 1)
ip("link", "set", "lo", "up")
ip("link", "add", "uplink", "type", "veth", "peer", "name", "uplink", "netns", str(holder))
ip("link", "set", "uplink", "up")
ip("addr", "add", "192.0.2.1/24", "dev", "uplink")
ip("-6", "addr", "add", "2001:db8:ffff::1/64", "dev", "uplink", "nodad")
for a in ADDRESSES:
    ip("addr", "add", a + "/32", "dev", "lo")
for a in SIX:
    ip("-6", "addr", "add", a + "/128", "dev", "lo", "nodad")
ip("route", "add", "blackhole", "203.0.113.77")
ip("route", "add", "unreachable", "203.0.113.0/24")
with open("/proc/sys/net/ipv4/ip_forward", "w") as f:
    f.write("1")
with open("/proc/sys/net/ipv4/icmp_ratelimit", "w") as f:
    f.write("0") # or a second host that is unreachable is told so seconds later
context = certificate()
for a in ADDRESSES + SIX:
    serve(a, 80, Web, WebServer)
    serve(a, 8080, Web, WebServer)
    serve(a, 7, Echo)
for a in ("203.0.113.9", "203.0.113.10", "2001:db8::9"):
    serve(a, 443, Web, TlsServer)
serve("203.0.113.53", 53, DnsUdp, Udp)
serve("203.0.113.53", 53, DnsTcp)
for a in ("203.0.113.9", "203.0.113.10", "10.1.2.3"):
    serve(a, 7, UdpEcho, Udp)
    serve(a, 53, DnsUdp, Udp) if a != "203.0.113.9" else None
threading.Thread(target=sniff, daemon=True).start()
os.write(go_w, b"g")
os.read(done_r, 1)
with open(where + "/pid", "w") as f:
    f.write(str(holder))
open(where + "/ready", "w").close()
try:
    sys.stdin.read()
finally:
    os.kill(holder, signal.SIGKILL)
