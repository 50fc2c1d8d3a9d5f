#!/bin/bash
# Programs that use io_uring, where the policy gives them rings: fio, an echo server on liburing, node.
# policy: {version: 1, extends: agent, io_uring: restricted}
# not: bare loopback needs a network namespace (docs/LIMITS.md)
command -v fio >/dev/null || { echo "fio is not installed"; exit 77; }
for rw in randrw write; do
  fio --name=t --filename=fio.$rw --size=8m --bs=4k --rw=$rw --ioengine=io_uring --iodepth=32 --fixedbufs=1 --registerfiles=1 --verify=crc32c \
    --output=fio.out >/dev/null 2>&1
  echo "fio $rw: status $? $(grep -o 'err= *[0-9]*' fio.out)"
done
cat >echo.c <<'END'
#include <liburing.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Multishot accept; each connection is echoed until its end; ends after CONNECTIONS. */
enum { CONNECTIONS = 20, SIZE = 4096, ACCEPT = 1 };
struct conn { int fd, sending; char buf[SIZE]; };

int main(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	struct io_uring ring;
	int l = socket(AF_INET, SOCK_STREAM, 0), over = 0;

	if (bind(l, (void *)&a, sizeof(a)) < 0 || listen(l, 64) < 0 || getsockname(l, (void *)&a, &len) < 0 || io_uring_queue_init(64, &ring, 0) < 0)
		return 1;
	FILE *f = fopen("port.new", "w");
	fprintf(f, "%d\n", ntohs(a.sin_port));
	fclose(f);
	rename("port.new", "port");
	struct io_uring_sqe *s = io_uring_get_sqe(&ring);
	io_uring_prep_multishot_accept(s, l, NULL, NULL, 0);
	io_uring_sqe_set_data64(s, ACCEPT);
	while (over < CONNECTIONS) {
		struct io_uring_cqe *c;
		io_uring_submit_and_wait(&ring, 1);
		while (over < CONNECTIONS && io_uring_peek_cqe(&ring, &c) == 0) {
			int res = c->res;
			struct conn *k = NULL;
			if (io_uring_cqe_get_data64(c) == ACCEPT) {
				if (res < 0) return 2;
				k = calloc(1, sizeof(*k));
				k->fd = res;
				k->sending = 1;
			} else {
				k = io_uring_cqe_get_data(c);
			}
			io_uring_cqe_seen(&ring, c);
			s = io_uring_get_sqe(&ring);
			if (k->sending) {
				io_uring_prep_recv(s, k->fd, k->buf, SIZE, 0);
				k->sending = 0;
			} else if (res <= 0) {
				io_uring_prep_nop(s);
				io_uring_sqe_set_flags(s, IOSQE_CQE_SKIP_SUCCESS);
				close(k->fd);
				over++;
				continue;
			} else {
				io_uring_prep_send(s, k->fd, k->buf, res, MSG_WAITALL);
				k->sending = 1;
			}
			io_uring_sqe_set_data(s, k);
		}
	}
	puts("20 connections served");
	return 0;
}
END
if gcc -O1 -o echo echo.c -luring 2>gcc.err; then
  ./echo >echo.out &
  until [ -e port ]; do sleep 0.05; done
  python3 -c '
import socket, threading
port = int(open("port").read())
def one(n):
    s = socket.create_connection(("127.0.0.1", port))
    data = bytes([n]) * 30000
    threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR))).start()
    got = b""
    while (b := s.recv(65536)): got += b
    ok[n] = got == data
ok = {}
t = [threading.Thread(target=one, args=(n,)) for n in range(20)]
[x.start() for x in t]; [x.join() for x in t]
print("echoed", sum(ok.values()))'
  wait $!
  cat echo.out
else
  echo "liburing's header is not installed"; exit 77
fi
UV_USE_IO_URING=1 node -e '
const fs = require("fs");
fs.writeFileSync("n", "0123456789".repeat(1000));
Promise.all([...Array(50).keys()].map(i => fs.promises.readFile("n").then(b => fs.promises.writeFile("n" + i, b)))).then(() => {
  const rings = fs.readdirSync("/proc/self/fd").filter(f => { try { return fs.readlinkSync("/proc/self/fd/" + f).includes("io_uring"); } catch { return false; } });
  console.log("node", fs.readdirSync(".").filter(f => /^n\d+$/.test(f) && fs.statSync(f).size === 10000).length, rings.length > 0 ? "with a ring" : "without");
});'
