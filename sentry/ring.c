/*
 * io_uring for guests, where the policy says io_uring: restricted.
 *
 * What a ring does passes by every seccomp filter, ours and the guest's, so a guest never makes one. io_uring_setup is performed here: the
 * ring is created disabled, restricted to a list of operations (io_uring_register(2), IORING_REGISTER_RESTRICTIONS), enabled and handed
 * over. The list holds what works on descriptors the guest has, as the system calls do that the table allows; the kernel answers
 * everything else with EACCES. The requests run as whoever submits them: with the guest's credentials, descriptors and limits.
 *
 * Sends carry an address: they are in the list only where plan.ring_sends says that no address leads past a rule (a network namespace of
 * its own, and no Unix datagram sockets: stream and packet sockets do not look at the address).
 *
 * Set-up flags come from a list, too. What would tie the ring to who made it (SINGLE_ISSUER, DEFER_TASKRUN), let the kernel poll without
 * a call (SQPOLL, IOPOLL), lay it into the maker's memory (NO_MMAP) or beside another ring (ATTACH_WQ) is EINVAL, as on a kernel that
 * does not know it; liburing's users fall back.
 *
 * Rings are counted: a ring's memory is charged to the run's memory limit like the sentry's own, but no process shows it.
 *
 * Syscalls: io_uring_setup, io_uring_register, openat, getdents64, readlinkat, read, close, fstat.
 */
#include "sentry/ring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nr.h"
#include "sentry/fs.h"
#include "util/err.h"
#include "util/fd.h"

/* linux/io_uring.h; written down here because the installed header may be older than the kernel. */
struct ring_params {
	uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv[3];
	uint8_t offsets[80];
};
_Static_assert(sizeof(struct ring_params) == 120, "struct io_uring_params");

struct ring_restriction {
	uint16_t kind;
	uint8_t value; /* an operation of the kind's sort, or flags */
	uint8_t resv;
	uint32_t resv2[3];
};
_Static_assert(sizeof(struct ring_restriction) == 16, "struct io_uring_restriction");

struct ring_probe {
	uint8_t last_op, ops_len;
	uint16_t resv;
	uint32_t resv2[3];
	struct {
		uint8_t op, resv;
		uint16_t flags;
		uint32_t resv2;
	} ops[256];
};
_Static_assert(sizeof(struct ring_probe) == 16 + 256 * 8, "struct io_uring_probe");

#define REGISTER_INDEX 0x80000000u /* in a registration's number: the descriptor is an index */

enum {
	SETUP_CQSIZE = 1 << 3,
	SETUP_CLAMP = 1 << 4,
	SETUP_R_DISABLED = 1 << 6,
	SETUP_SUBMIT_ALL = 1 << 7,
	SETUP_COOP_TASKRUN = 1 << 8,
	SETUP_TASKRUN_FLAG = 1 << 9,
	SETUP_SQE128 = 1 << 10,
	SETUP_CQE32 = 1 << 11,
	SETUP_NO_SQARRAY = 1 << 16,
	SETUP_PERMITTED = SETUP_CQSIZE | SETUP_CLAMP | SETUP_SUBMIT_ALL | SETUP_COOP_TASKRUN | SETUP_TASKRUN_FLAG | SETUP_SQE128 |
			  SETUP_CQE32 | SETUP_NO_SQARRAY,

	REGISTER_PROBE = 8,
	REGISTER_RESTRICTIONS = 11,
	REGISTER_ENABLE_RINGS = 12,

	RESTRICT_REGISTER = 0,
	RESTRICT_SQE = 1,
	RESTRICT_SQE_FLAGS = 2,
	SQE_FLAGS = 0x7f, /* fixed file, drain, link, hard link, async, buffer select, skip success */

	OP_SUPPORTED = 1, /* in a probe's flags */
	ENTRIES_MOST = 4096,
	CQ_ENTRIES_MOST = 65536,
	RINGS_MOST = 128,
	MARKS = 4,
};

/* What the kernel numbers so (enum io_uring_op); the table's row for the same work is a class that allows it. */
static const struct {
	uint8_t op;
	bool sends;
} permitted[] = {
	{ 0, false },  /* NOP */
	{ 1, false },  /* READV */
	{ 2, false },  /* WRITEV */
	{ 3, false },  /* FSYNC */
	{ 4, false },  /* READ_FIXED */
	{ 5, false },  /* WRITE_FIXED */
	{ 6, false },  /* POLL_ADD */
	{ 7, false },  /* POLL_REMOVE */
	{ 8, false },  /* SYNC_FILE_RANGE */
	{ 9, true },   /* SENDMSG */
	{ 10, false }, /* RECVMSG */
	{ 11, false }, /* TIMEOUT */
	{ 12, false }, /* TIMEOUT_REMOVE */
	{ 13, false }, /* ACCEPT */
	{ 14, false }, /* ASYNC_CANCEL */
	{ 15, false }, /* LINK_TIMEOUT */
	{ 17, false }, /* FALLOCATE */
	{ 19, false }, /* CLOSE */
	{ 20, false }, /* FILES_UPDATE */
	{ 22, false }, /* READ */
	{ 23, false }, /* WRITE */
	{ 24, false }, /* FADVISE */
	{ 25, false }, /* MADVISE */
	{ 26, true },  /* SEND */
	{ 27, false }, /* RECV */
	{ 29, false }, /* EPOLL_CTL */
	{ 30, false }, /* SPLICE */
	{ 31, false }, /* PROVIDE_BUFFERS */
	{ 32, false }, /* REMOVE_BUFFERS */
	{ 33, false }, /* TEE */
	{ 34, false }, /* SHUTDOWN */
	{ 40, false }, /* MSG_RING: to another ring the guest holds, as restricted as this one */
	{ 47, true },  /* SEND_ZC */
	{ 48, true },  /* SENDMSG_ZC */
	{ 49, false }, /* READ_MULTISHOT */
	{ 50, false }, /* WAITID */
	{ 51, false }, /* FUTEX_WAIT */
	{ 52, false }, /* FUTEX_WAKE */
	{ 53, false }, /* FUTEX_WAITV */
	{ 54, false }, /* FIXED_FD_INSTALL */
	{ 55, false }, /* FTRUNCATE */
	{ 59, false }, /* EPOLL_WAIT */
	{ 60, false }, /* READV_FIXED */
	{ 61, false }, /* WRITEV_FIXED */
	{ 62, false }, /* PIPE */
};

/* As policy/narrow.c permits by value, and the probe, which we ask ourselves. */
static const uint8_t registers[] = { 0, 1, 2, 3, 4, 5, 6, 7, 13, 14, 15, 16, 17, 18, 19, 22, 23, 24, 25, 26, 29 };

/* What this kernel's rings can do, asked once of a ring of ours; and how many were given out since they were counted. */
static struct {
	pthread_mutex_t lock;
	struct ring_probe probe;
	size_t registers; /* so many of the list this kernel knows */
	unsigned int given;
} rings = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_permitted(const struct call *c, unsigned int op)
{
	for (size_t i = 0; i < ARRAY_LEN(permitted); i++)
		if (permitted[i].op == op)
			return !permitted[i].sends || c->s->plan->ring_sends;
	return false;
}

static int ring_register_own(int fd, unsigned int op, void *arg, unsigned int n)
{
	return syscall(NR_io_uring_register, fd, op, arg, n) < 0 ? err_now() : 0;
}

/* Restricts and enables FD, which is disabled. Negative errno. With rings.lock held. */
static int restrict_ring(const struct call *c, int fd)
{
	struct ring_restriction list[ARRAY_LEN(permitted) + ARRAY_LEN(registers) + 1];
	int r = 0;

	if (rings.probe.ops_len == 0)
		r = ring_register_own(fd, REGISTER_PROBE, &rings.probe, ARRAY_LEN(rings.probe.ops));
	if (r < 0)
		return r;
	if (rings.registers == 0)
		rings.registers = ARRAY_LEN(registers);
	for (;;) {
		unsigned int n = 0;

		memset(list, 0, sizeof(list));
		list[n].kind = RESTRICT_SQE_FLAGS;
		list[n++].value = SQE_FLAGS;
		for (size_t i = 0; i < ARRAY_LEN(permitted); i++) {
			/* The kernel takes no restriction that speaks of what it does not know. */
			if (permitted[i].op > rings.probe.last_op || !is_permitted(c, permitted[i].op))
				continue;
			list[n].kind = RESTRICT_SQE;
			list[n++].value = permitted[i].op;
		}
		for (size_t i = 0; i < rings.registers; i++) {
			list[n].kind = RESTRICT_REGISTER;
			list[n++].value = registers[i];
		}
		r = ring_register_own(fd, REGISTER_RESTRICTIONS, list, n);
		/* There is no asking which registrations it knows: the newest one less, until it takes them. A failure leaves none. */
		if (r != -EINVAL || rings.registers == 1)
			break;
		rings.registers--;
	}
	return r < 0 ? r : ring_register_own(fd, REGISTER_ENABLE_RINGS, NULL, 0);
}

/* How many descriptors and mappings of rings the process or thread in DIR holds. */
static unsigned int count_in(int dir)
{
	static const char name[] = "anon_inode:[io_uring]";
	AUTO_FD int fds = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fds < 0 ? NULL : fdopendir(fds);
	unsigned int n = 0;

	if (d != NULL) {
		(void)fd_steal(&fds);
		for (struct dirent *e; (e = readdir(d)) != NULL;) {
			char link[sizeof(name) + 1];
			ssize_t len = readlinkat(dirfd(d), e->d_name, link, sizeof(link));

			n += len == (ssize_t)sizeof(name) - 1 && memcmp(link, name, sizeof(name) - 1) == 0;
		}
		(void)closedir(d);
	}
	AUTO_FD int maps = openat(dir, "maps", O_RDONLY | O_CLOEXEC);
	FILE *f = maps < 0 ? NULL : fdopen(maps, "r");

	if (f != NULL) {
		char line[512];

		(void)fd_steal(&maps);
		while (fgets(line, sizeof(line), f) != NULL)
			n += strstr(line, name) != NULL;
		(void)fclose(f);
	}
	return n;
}

/* Descriptors and mappings of rings in the whole tree: at least as many as there are rings. */
static unsigned int count_rings(const struct call *c)
{
	AUTO_FD int proc = openat(c->s->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = proc < 0 ? NULL : fdopendir(proc);
	unsigned int n = 0;

	if (d == NULL)
		return UINT32_MAX;
	(void)fd_steal(&proc);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		char name[300];
		AUTO_FD int tasks = -1;
		DIR *t;

		if (e->d_name[0] < '0' || e->d_name[0] > '9')
			continue;
		(void)snprintf(name, sizeof(name), "%s/task", e->d_name);
		tasks = openat(dirfd(d), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		t = tasks < 0 ? NULL : fdopendir(tasks);
		if (t == NULL)
			continue;
		(void)fd_steal(&tasks);
		/* Threads of one process may have tables of their own; those that share one are counted once each. */
		for (struct dirent *k; (k = readdir(t)) != NULL;) {
			AUTO_FD int dir = k->d_name[0] == '.' ? -1 : openat(dirfd(t), k->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);

			if (dir >= 0)
				n += count_in(dir);
		}
		(void)closedir(t);
	}
	(void)closedir(d);
	return n;
}

/* Whether one more may be given. With rings.lock held. */
static bool is_one_more(const struct call *c)
{
	if (rings.given >= RINGS_MOST) {
		/* Used as usual, one shows as a descriptor and two or three mappings; hidden as well as can be, as one of these. */
		unsigned int shown = count_rings(c) / MARKS;

		if (shown >= RINGS_MOST)
			return false;
		rings.given = shown;
	}
	rings.given++;
	return true;
}

static bool cut(uint32_t *entries, uint32_t most, uint32_t flags)
{
	if (*entries <= most)
		return true;
	*entries = most;
	return (flags & SETUP_CLAMP) != 0;
}

/* The ring PARAMS asks for; *params is what the guest is told. A positive errno is the guest's. */
static int make_ring(const struct call *c, uint32_t entries, struct ring_params *params, int *ret_fd)
{
	AUTO_FD int fd = -1;
	uint32_t flags = params->flags;
	int r;

	if ((flags & ~(uint32_t)SETUP_PERMITTED) != 0 || params->resv[0] != 0 || params->resv[1] != 0 || params->resv[2] != 0)
		return EINVAL;
	if (!cut(&entries, ENTRIES_MOST, flags))
		return EINVAL;
	if ((flags & SETUP_CQSIZE) != 0 && !cut(&params->cq_entries, CQ_ENTRIES_MOST, flags))
		return EINVAL;
	params->flags = flags | SETUP_R_DISABLED;
	params->wq_fd = params->sq_thread_cpu = params->sq_thread_idle = 0;
	fd = (int)syscall(NR_io_uring_setup, entries, params);
	if (fd < 0)
		return errno;
	r = restrict_ring(c, fd);
	if (r < 0)
		return r;
	params->flags = flags;
	*ret_fd = fd_steal(&fd);
	return 0;
}

struct reply ring_io_uring_setup(struct call *c)
{
	struct ring_params params;
	AUTO_FD int fd = -1;
	int r;

	r = call_read(c, c->ev.args[1], &params, sizeof(params));
	if (r != 0)
		return call_fail(c, r);
	(void)pthread_mutex_lock(&rings.lock);
	r = is_one_more(c) ? make_ring(c, (uint32_t)c->ev.args[0], &params, &fd) : ENOMEM;
	(void)pthread_mutex_unlock(&rings.lock);
	if (r == 0)
		r = call_write(c, c->ev.args[1], &params, sizeof(params));
	return r == 0 ? reply_fd(fd_steal(&fd), O_CLOEXEC) : call_fail(c, r);
}

/* IORING_REGISTER_PROBE: what the kernel can do, less what this ring must not. */
static int probe(struct call *c, unsigned int n)
{
	struct ring_probe told;
	size_t size;
	int r;

	if (n > ARRAY_LEN(told.ops))
		n = ARRAY_LEN(told.ops);
	size = sizeof(told) - sizeof(told.ops) + n * sizeof(told.ops[0]);
	r = call_read(c, c->ev.args[2], &told, size);
	if (r != 0)
		return r;
	for (size_t i = 0; i < size; i++)
		if (((const unsigned char *)&told)[i] != 0)
			return EINVAL;
	(void)pthread_mutex_lock(&rings.lock);
	memcpy(&told, &rings.probe, size);
	(void)pthread_mutex_unlock(&rings.lock);
	if (told.ops_len > n)
		told.ops_len = (uint8_t)n;
	for (unsigned int i = 0; i < n; i++)
		if (!is_permitted(c, i))
			told.ops[i].flags &= (uint16_t)~OP_SUPPORTED;
	return call_write(c, c->ev.args[2], &told, size);
}

struct reply ring_io_uring_register(struct call *c)
{
	static const char ring_name[] = "anon_inode:[io_uring]";
	unsigned int op = (unsigned int)c->ev.args[1] & ~REGISTER_INDEX;
	char name[48], link[sizeof(ring_name) + 1];
	ssize_t len;
	int r;

	if (op != REGISTER_PROBE)
		return call_refuse_plain(c, EACCES);
	/* No ring is registered by index: the call that does so is refused. */
	if (((unsigned int)c->ev.args[1] & REGISTER_INDEX) != 0)
		return reply_deny(EINVAL);
	(void)snprintf(name, sizeof(name), "%d/fd/%d", (int)c->ev.tid, (int)c->ev.args[0]);
	len = readlinkat(c->s->proc_fd, name, link, sizeof(link));
	if (len < 0)
		return reply_deny(EBADF);
	if (len != (ssize_t)sizeof(ring_name) - 1 || memcmp(link, ring_name, sizeof(ring_name) - 1) != 0)
		return reply_deny(EOPNOTSUPP);
	r = probe(c, (unsigned int)c->ev.args[3]);
	return r == 0 ? reply_value(0) : call_fail(c, r);
}
