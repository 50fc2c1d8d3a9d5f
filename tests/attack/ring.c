/*
 * io_uring: ring WAY...
 *
 *   use           what works on descriptors the caller has: files, pipes, sockets, timeouts, links, fixed files and buffers
 *   op NAME       an operation that names an object or makes a socket; chained behind one that is permitted, too
 *   setup NAME    a ring that the kernel polls, that is the maker's alone, lies in its memory, or is not restricted yet
 *   register NAME registrations that reach past the ring
 *   race          a sibling rewrites the parameters while the ring is made; then an open through it
 *   datagram PATH a Unix datagram to PATH
 *   many          more rings than anybody needs
 *   probe         what the ring says it can do is what it does
 */
#include <fcntl.h>
#include <linux/stat.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "attack.h"

/* linux/io_uring.h, of whatever age the installed one is. */
struct params {
	uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv[3];
	struct {
		uint32_t head, tail, ring_mask, ring_entries, flags, dropped, array, resv1;
		uint64_t user_addr;
	} sq;
	struct {
		uint32_t head, tail, ring_mask, ring_entries, overflow, cqes, flags, resv1;
		uint64_t user_addr;
	} cq;
};
struct sqe {
	uint8_t opcode, flags;
	uint16_t ioprio;
	int32_t fd;
	uint64_t off, addr;
	uint32_t len, op_flags;
	uint64_t user_data;
	uint16_t buf_index, personality;
	int32_t file_index;
	uint64_t addr3, pad;
};
_Static_assert(sizeof(struct sqe) == 64, "struct io_uring_sqe");
struct cqe {
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

enum { FIXED_FILE = 1, LINK = 4, IN_ORDER = 8 };

struct ring {
	int fd;
	struct params p;
	char *sq, *cq;
	struct sqe *sqes;
};

static char dir[64];

static long setup(struct ring *r, unsigned int entries, uint32_t flags)
{
	r->p = (struct params){ .flags = flags, .sq_thread_idle = 10 };
	r->fd = (int)SYS(io_uring_setup, entries, &r->p);
	if (r->fd < 0)
		return -errno;
	size_t sq = r->p.sq.array + r->p.sq_entries * 4, cq = r->p.cq.cqes + r->p.cq_entries * sizeof(struct cqe);

	r->sq = mmap(NULL, sq, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	r->cq = mmap(NULL, cq, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0x8000000);
	r->sqes = mmap(NULL, r->p.sq_entries * sizeof(struct sqe), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0x10000000);
	if (r->sq == MAP_FAILED || r->cq == MAP_FAILED || r->sqes == MAP_FAILED)
		die("mmap of a ring");
	return 0;
}

static void put(struct ring *r, struct sqe e)
{
	uint32_t *tail = (uint32_t *)(r->sq + r->p.sq.tail), mask = r->p.sq_entries - 1;

	r->sqes[*tail & mask] = e;
	((uint32_t *)(r->sq + r->p.sq.array))[*tail & mask] = *tail & mask;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
}

/* Submits what was put; the results, by user_data, of N. */
static void take(struct ring *r, unsigned int put_n, unsigned int n, int *res)
{
	uint32_t *head = (uint32_t *)(r->cq + r->p.cq.head), *tail = (uint32_t *)(r->cq + r->p.cq.tail);

	if (SYS(io_uring_enter, r->fd, put_n, n, 1, NULL, 0) < 0)
		die("io_uring_enter");
	for (unsigned int i = 0; i < n; i++) {
		while (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE))
			if (SYS(io_uring_enter, r->fd, 0, 1, 1, NULL, 0) < 0)
				die("io_uring_enter");
		struct cqe *c = (struct cqe *)(r->cq + r->p.cq.cqes) + (*head & (r->p.cq_entries - 1));

		res[c->user_data] = c->res;
		__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	}
}

static int one(struct ring *r, struct sqe e)
{
	int res[1];

	e.user_data = 0;
	put(r, e);
	take(r, 1, 1, res);
	return res[0];
}

#define P(x) ((uint64_t)(uintptr_t)(x))
#define MUST(what, got, wanted)                                                              \
	do {                                                                                 \
		long got_ = (got), wanted_ = (wanted);                                       \
		if (got_ != wanted_) {                                                       \
			SAY("%s: %ld, not %ld", what, got_, wanted_);                        \
			return false;                                                        \
		}                                                                            \
	} while (0)

static bool use(void)
{
	struct ring r;
	char buf[64] = "", text[] = "written by a ring";
	int pair[2], fds[2], res[3];
	long s = setup(&r, 8, 0);

	if (s < 0) {
		SAY("io_uring_setup: %s", strerror((int)-s));
		return false;
	}
	int fd = open("ring.file", O_RDWR | O_CREAT | O_TRUNC, 0600);

	MUST("nop", one(&r, (struct sqe){ .opcode = 0 }), 0);
	MUST("write", one(&r, (struct sqe){ .opcode = 23, .fd = fd, .addr = P(text), .len = 17 }), 17);
	MUST("read", one(&r, (struct sqe){ .opcode = 22, .fd = fd, .addr = P(buf), .len = 64 }), 17);
	MUST("read what was written", memcmp(buf, text, 17), 0);
	MUST("fsync", one(&r, (struct sqe){ .opcode = 3, .fd = fd }), 0);
	struct iovec iov = { buf, 7 };

	MUST("readv", one(&r, (struct sqe){ .opcode = 1, .fd = fd, .addr = P(&iov), .len = 1 }), 7);
	/* A chain: written, then read back. */
	put(&r, (struct sqe){ .opcode = 23, .flags = LINK, .fd = fd, .off = 100, .addr = P("chained"), .len = 7 });
	put(&r, (struct sqe){ .opcode = 22, .fd = fd, .off = 100, .addr = P(buf), .len = 7, .user_data = 1 });
	take(&r, 2, 2, res);
	MUST("chained write", res[0], 7);
	MUST("chained read", res[1], 7);
	/* Fixed files and buffers. */
	MUST("register files", SYS(io_uring_register, r.fd, 2, &fd, 1), 0);
	MUST("read of a fixed file", one(&r, (struct sqe){ .opcode = 22, .flags = FIXED_FILE, .fd = 0, .addr = P(buf), .len = 7 }), 7);
	iov.iov_len = sizeof(buf);
	MUST("register buffers", SYS(io_uring_register, r.fd, 0, &iov, 1), 0);
	MUST("read into a fixed buffer", one(&r, (struct sqe){ .opcode = 4, .fd = fd, .addr = P(buf), .len = 7 }), 7);
	/* Pipes and sockets. */
	if (pipe(fds) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		die("pipe");
	put(&r, (struct sqe){ .opcode = 6, .fd = fds[0], .op_flags = POLLIN });
	put(&r, (struct sqe){ .opcode = 23, .fd = fds[1], .addr = P("x"), .len = 1, .off = ~0ULL, .user_data = 1 });
	take(&r, 2, 2, res);
	MUST("poll", res[0], POLLIN);
	MUST("recv", one(&r, (struct sqe){ .opcode = 23, .fd = pair[0], .addr = P("y"), .len = 1, .off = ~0ULL }), 1);
	MUST("recv", one(&r, (struct sqe){ .opcode = 27, .fd = pair[1], .addr = P(buf), .len = 1 }), 1);
	struct {
		int64_t sec, nsec;
	} soon = { 0, 1000000 };

	MUST("timeout", one(&r, (struct sqe){ .opcode = 11, .addr = P(&soon), .len = 1 }), -ETIME);
	return true;
}

static bool sends(void)
{
	struct ring r;
	int pair[2];
	char buf[8];

	if (setup(&r, 8, 0) < 0)
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		die("socketpair");
	MUST("send", one(&r, (struct sqe){ .opcode = 26, .fd = pair[0], .addr = P("z"), .len = 1 }), 1);
	MUST("recv", one(&r, (struct sqe){ .opcode = 27, .fd = pair[1], .addr = P(buf), .len = 1 }), 1);
	/* TCP on loopback: accept, send, recv. */
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(l, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(l, 1) < 0 || getsockname(l, (struct sockaddr *)&a, &len) < 0 ||
	    connect(c, (struct sockaddr *)&a, sizeof(a)) < 0)
		die("loopback");
	int s = one(&r, (struct sqe){ .opcode = 13, .fd = l });

	MUST("accept", s >= 0, true);
	MUST("send", one(&r, (struct sqe){ .opcode = 26, .fd = s, .addr = P("tcp"), .len = 3 }), 3);
	MUST("recv", one(&r, (struct sqe){ .opcode = 27, .fd = c, .addr = P(buf), .len = 8 }), 3);
	return true;
}

static char *in_dir(const char *name)
{
	static char path[8][128];
	static int n;

	n = (n + 1) % 8;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

/* The operation NAME, prepared so that it would succeed; *ret_done tells afterwards whether it had an effect. */
static struct sqe prepare(const char *name)
{
	static struct sockaddr_in a = { .sin_family = AF_INET };
	static uint64_t how[3] = { O_RDONLY };
	static struct statx stx;

	close(open(in_dir("old"), O_CREAT | O_WRONLY, 0600));
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (strcmp(name, "openat") == 0)
		return (struct sqe){ .opcode = 18, .fd = AT_FDCWD, .addr = P("/etc/passwd"), .op_flags = O_RDONLY };
	if (strcmp(name, "openat-create") == 0)
		return (struct sqe){ .opcode = 18, .fd = AT_FDCWD, .addr = P(in_dir("new")), .len = 0600, .op_flags = O_CREAT | O_WRONLY };
	if (strcmp(name, "openat2") == 0)
		return (struct sqe){ .opcode = 28, .fd = AT_FDCWD, .addr = P("/etc/passwd"), .len = sizeof(how), .off = P(how) };
	if (strcmp(name, "statx") == 0)
		return (struct sqe){ .opcode = 21, .fd = AT_FDCWD, .addr = P("/etc/passwd"), .len = STATX_SIZE, .off = P(&stx) };
	if (strcmp(name, "renameat") == 0)
		return (struct sqe){
			.opcode = 35, .fd = AT_FDCWD, .addr = P(in_dir("old")), .len = (uint32_t)AT_FDCWD, .off = P(in_dir("new"))
		};
	if (strcmp(name, "unlinkat") == 0)
		return (struct sqe){ .opcode = 36, .fd = AT_FDCWD, .addr = P(in_dir("old")) };
	if (strcmp(name, "mkdirat") == 0)
		return (struct sqe){ .opcode = 37, .fd = AT_FDCWD, .addr = P(in_dir("new")), .len = 0700 };
	if (strcmp(name, "symlinkat") == 0)
		return (struct sqe){ .opcode = 38, .fd = AT_FDCWD, .addr = P("old"), .off = P(in_dir("new")) };
	if (strcmp(name, "linkat") == 0)
		return (struct sqe){
			.opcode = 39, .fd = AT_FDCWD, .addr = P(in_dir("old")), .len = (uint32_t)AT_FDCWD, .off = P(in_dir("new"))
		};
	if (strcmp(name, "getxattr") == 0)
		return (struct sqe){ .opcode = 44, .addr = P("user.x"), .off = P(&stx), .len = 16, .addr3 = P(in_dir("old")) };
	if (strcmp(name, "setxattr") == 0)
		return (struct sqe){ .opcode = 42, .addr = P("user.x"), .off = P("v"), .len = 1, .addr3 = P(in_dir("old")) };
	if (strcmp(name, "fsetxattr") == 0)
		return (struct sqe){ .opcode = 41, .fd = open(in_dir("old"), O_RDONLY), .addr = P("user.x"), .off = P("v"), .len = 1 };
	if (strcmp(name, "socket") == 0)
		return (struct sqe){ .opcode = 45, .fd = AF_UNIX, .off = SOCK_DGRAM };
	if (strcmp(name, "connect") == 0) {
		int l = socket(AF_INET, SOCK_STREAM, 0);
		socklen_t len = sizeof(a);

		if (bind(l, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(l, 1) < 0 || getsockname(l, (struct sockaddr *)&a, &len) < 0)
			die("loopback");
		return (struct sqe){ .opcode = 16, .fd = socket(AF_INET, SOCK_STREAM, 0), .addr = P(&a), .off = sizeof(a) };
	}
	if (strcmp(name, "bind") == 0)
		return (struct sqe){ .opcode = 56, .fd = socket(AF_INET, SOCK_STREAM, 0), .addr = P(&a), .off = sizeof(a) };
	if (strcmp(name, "listen") == 0)
		return (struct sqe){ .opcode = 57, .fd = socket(AF_INET, SOCK_STREAM, 0), .len = 1 };
	if (strcmp(name, "uring_cmd") == 0) /* SOCKET_URING_OP_SIOCINQ */
		return (struct sqe){ .opcode = 46, .fd = socket(AF_INET, SOCK_STREAM, 0), .off = 0 };
	die("which operation?");
}

static bool operation(const char *name)
{
	struct ring r;
	int res[3] = { 0, 0, 0 };

	snprintf(dir, sizeof(dir), "ring.XXXXXX");
	if (mkdtemp(dir) == NULL)
		die("mkdtemp");
	if (setup(&r, 8, 0) < 0)
		die("no ring at all");
	struct sqe e = prepare(name);
	int alone = one(&r, e);

	if (alone < 0 && alone != -EACCES) {
		SAY("%s: %s", name, strerror(-alone));
		exit(BROKEN);
	}
	if (alone == -EACCES) {
		/* No effect, and none behind a permitted one either. */
		put(&r, (struct sqe){ .opcode = 0, .flags = LINK });
		e.user_data = 1;
		put(&r, e);
		take(&r, 2, 1, res);
		if (res[1] >= 0 && res[1] != 0)
			return true;
	}
	bool old = access(in_dir("old"), F_OK) == 0, new = access(in_dir("new"), F_OK) == 0;
	bool changed = !old || new;
	char cmd[80];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	(void)!system(cmd);
	return alone >= 0 || changed;
}

static bool odd_setup(const char *name)
{
	static const struct {
		const char *name;
		uint32_t flags;
	} odd[] = {
		{ "iopoll", 1 }, { "sqpoll", 2 }, { "r-disabled", 1 << 6 }, { "single-issuer", 1 << 12 },
		{ "defer-taskrun", 1 << 12 | 1 << 13 }, { "registered-fd-only", 1 << 14 | 1 << 15 }, { "no-mmap", 1 << 14 },
	};
	struct params p;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		if (strcmp(odd[i].name, name) != 0)
			continue;
		p = (struct params){ .flags = odd[i].flags };
		if (odd[i].flags & 1 << 14) {
			char *m = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			p.cq.user_addr = P(m);
			p.sq.user_addr = P(m + (1 << 15));
		}
		long r = SYS(io_uring_setup, 4, &p);

		if (r < 0 && errno != EINVAL) {
			SAY("%s: %s", name, strerror(errno));
			exit(BROKEN);
		}
		return r >= 0;
	}
	die("which set-up?");
}

static bool odd_register(const char *name)
{
	struct ring r;
	long s;

	if (setup(&r, 8, 0) < 0)
		die("no ring at all");
	if (strcmp(name, "personality") == 0) {
		s = SYS(io_uring_register, r.fd, 9, NULL, 0);
	} else if (strcmp(name, "ring-fds") == 0) {
		uint32_t up[4] = { ~0U, 0, (uint32_t)r.fd, 0 };

		s = SYS(io_uring_register, r.fd, 20, up, 1);
	} else if (strcmp(name, "ring-fds-high-bit") == 0) {
		uint32_t up[4] = { ~0U, 0, (uint32_t)r.fd, 0 };

		s = SYS(io_uring_register, r.fd, 20, up, 1);
		if (s == 1)
			s = SYS(io_uring_register, 0, 9 | 0x80000000U, NULL, 0);
	} else {
		die("which registration?");
	}
	if (s < 0 && errno != EACCES) {
		SAY("%s: %s", name, strerror(errno));
		exit(BROKEN);
	}
	return s >= 0;
}

static struct params raced;

static void *rewrite(void *unused)
{
	for (uint32_t n = 0; !atomic_load(&attack_over); n++)
		__atomic_store_n(&raced.flags, n % 2 ? 1U << 6 : 0, __ATOMIC_RELAXED);
	return unused;
}

/* A ring made while the parameters change: is there ever one that opens a file, or that is still to be restricted? */
static bool race(void)
{
	double end = attack_end();
	int made = 0;

	attack_thread(rewrite, NULL);
	while (attack_clock() < end) {
		struct ring r;

		raced = (struct params){ .flags = 0 };
		r.fd = (int)SYS(io_uring_setup, 4, &raced);
		if (r.fd < 0) {
			if (errno == ENOMEM) /* what was closed is freed a moment later */
				usleep(1000);
			else if (errno != EINVAL)
				die("io_uring_setup");
			continue;
		}
		made++;
		/* Not restricted yet: enabled by us it can do all. */
		if (SYS(io_uring_register, r.fd, 12, NULL, 0) == 0)
			attack_exit(true);
		close(r.fd);
	}
	if (made == 0)
		die("none was made");
	attack_exit(false);
}

static bool datagram(const char *path)
{
	struct ring r;
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char text[] = "gram";
	struct iovec iov = { text, 4 };
	struct msghdr m = { .msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &iov, .msg_iovlen = 1 };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), pair[2];

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (setup(&r, 8, 0) < 0)
		die("no ring at all");
	if (fd < 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0)
		fd = pair[0];
	if (fd < 0) {
		/* What else could be had: streams and packets do not look at the address. */
		if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
			die("socketpair");
		(void)one(&r, (struct sqe){ .opcode = 9, .fd = pair[0], .addr = P(&m) });
		return false;
	}
	return one(&r, (struct sqe){ .opcode = 9, .fd = fd, .addr = P(&m) }) == 4;
}

static bool many(void)
{
	enum { MANY = 2000 };

	for (int i = 0; i < MANY; i++) {
		struct params p = { .flags = 0 };

		if (SYS(io_uring_setup, 1, &p) >= 0)
			continue;
		SAY("%d rings, then %s", i, strerror(errno));
		return i > 1000;
	}
	return true;
}

static bool probe(void)
{
	static struct {
		uint8_t last, len;
		uint16_t resv;
		uint32_t resv2[3];
		struct {
			uint8_t op, resv;
			uint16_t flags;
			uint32_t resv2;
		} ops[256];
	} p;
	struct ring r;

	if (setup(&r, 8, 0) < 0)
		die("no ring at all");
	if (SYS(io_uring_register, r.fd, 8, &p, 256) < 0)
		die("IORING_REGISTER_PROBE");
	/* READ works everywhere; does it say that OPENAT and CONNECT do? */
	if (!(p.ops[22].flags & 1))
		die("READ is not told");
	return (p.ops[18].flags & 1) && (p.ops[16].flags & 1);
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "", *arg = argc > 2 ? argv[2] : "";

	if (strcmp(way, "use") == 0)
		return use() ? GOT : HELD;
	if (strcmp(way, "sends") == 0)
		return sends() ? GOT : HELD;
	if (strcmp(way, "op") == 0)
		return operation(arg) ? GOT : HELD;
	if (strcmp(way, "setup") == 0)
		return odd_setup(arg) ? GOT : HELD;
	if (strcmp(way, "register") == 0)
		return odd_register(arg) ? GOT : HELD;
	if (strcmp(way, "race") == 0)
		return race() ? GOT : HELD;
	if (strcmp(way, "datagram") == 0)
		return datagram(arg) ? GOT : HELD;
	if (strcmp(way, "many") == 0)
		return many() ? GOT : HELD;
	if (strcmp(way, "probe") == 0)
		return probe() ? GOT : HELD;
	die("which way?");
}
