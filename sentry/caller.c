/*
 * Facts about the caller. The status file is the one text that has them all: ids in every pid namespace,
 * umask, signal masks, name. It costs some microseconds, so nothing on the hot path asks for it.
 *
 * Syscalls: openat, read, pread64, close, getdents64, newfstatat, prlimit64, pidfd_open, pidfd_getfd, pidfd_send_signal, tgkill.
 */
#include "sentry/caller.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nr.h"
#include "util/err.h"
#include "util/fd.h"

/* Reads TID/FILE whole; NUL-terminated. */
static int read_file(int proc_fd, pid_t tid, const char *file, char *buf, size_t size)
{
	char name[48];
	size_t len = 0;
	ssize_t n;
	AUTO_FD int fd = -1;

	(void)snprintf(name, sizeof(name), "%d/%s", (int)tid, file);
	fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : err_now();
	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0)
			return err_now();
		if (n == 0)
			break;
		len += (size_t)n;
	}
	buf[len] = '\0';
	return 0;
}

/* Start of the value behind KEY ("\nTgid:") in a status text, or NULL. */
static const char *value_of(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	return at == NULL ? NULL : at + strlen(key) + strspn(at + strlen(key), "\t ");
}

static uint64_t number(const char *text, const char *key, int radix)
{
	const char *v = value_of(text, key);

	return v == NULL ? 0 : strtoull(v, NULL, radix);
}

/* Last of the numbers in a line: the innermost namespace's. */
static pid_t last_number(const char *text, const char *key, pid_t otherwise)
{
	const char *v = value_of(text, key);
	char *end;
	pid_t last = otherwise;

	while (v != NULL && *v != '\n' && *v != '\0') {
		long n = strtol(v, &end, 10);

		if (end == v)
			break;
		last = (pid_t)n;
		v = end + strspn(end, "\t ");
	}
	return last;
}

int caller_status(int proc_fd, pid_t tid, struct caller_status *ret_st)
{
	struct caller_status st = CALLER_STATUS_NULL;
	char text[4096];
	const char *name;
	size_t n;
	int r;

	r = read_file(proc_fd, tid, "status", text, sizeof(text));
	if (r < 0)
		return r;
	/* Name comes first and is escaped by the kernel: no line after it can be forged. */
	name = text + strcspn(text, "\t ");
	name += strspn(name, "\t ");
	n = strcspn(name, "\n");
	if (n >= sizeof(st.comm))
		n = sizeof(st.comm) - 1;
	memcpy(st.comm, name, n);
	st.tgid = (pid_t)number(text, "\nTgid:", 10);
	st.ppid = (pid_t)number(text, "\nPPid:", 10);
	st.guest_tgid = last_number(text, "\nNStgid:", st.tgid);
	st.guest_tid = last_number(text, "\nNSpid:", tid);
	st.umask = (mode_t)number(text, "\nUmask:", 8);
	st.pending = number(text, "\nSigPnd:", 16);
	st.shared = number(text, "\nShdPnd:", 16);
	st.blocked = number(text, "\nSigBlk:", 16);
	if (st.tgid <= 0)
		return -EPROTO;
	*ret_st = st;
	return 0;
}

int caller_guest_ids(const struct call *c, pid_t *ret_tgid, pid_t *ret_tid)
{
	struct caller_status st;
	int r = caller_status(c->s->proc_fd, c->ev.tid, &st);

	if (r < 0)
		return r;
	*ret_tgid = st.guest_tgid;
	*ret_tid = st.guest_tid;
	return 0;
}

int caller_tty(const struct call *c, unsigned int *ret_major, unsigned int *ret_minor)
{
	char text[1024];
	const char *at;
	int r, nr;

	r = read_file(c->s->proc_fd, c->ev.tid, "stat", text, sizeof(text));
	if (r < 0)
		return r;
	/* "PID (comm) S ppid pgrp session tty_nr": comm may hold anything but ends with the last parenthesis.
	 */
	at = strrchr(text, ')');
	if (at == NULL || sscanf(at + 1, " %*c %*d %*d %*d %d", &nr) != 1)
		return -EPROTO;
	if (nr == 0)
		return -ENXIO;
	*ret_major = ((unsigned int)nr >> 8) & 0xfff;
	*ret_minor = ((unsigned int)nr & 0xff) | (((unsigned int)nr >> 12) & 0xfff00);
	return 0;
}

int call_tgid(const struct call *c, pid_t *ret_tgid)
{
	struct caller_status st;
	int r = caller_status(c->s->proc_fd, c->ev.tid, &st);

	if (r < 0)
		return r;
	*ret_tgid = st.tgid;
	return 0;
}

/*
 * The first SIZE - 1 bytes of the caller's status. Its file is kept open: to make the text costs less than to find the file. It is that of
 * one thread for good, and of one that ended it says ESRCH, so what has the number now is looked for then.
 */
static int read_status(const struct call *c, char *buf, size_t size)
{
	enum { KNOWN = 2 };
	static __thread struct {
		pid_t tid;
		int fd;
	} known[KNOWN];
	size_t at = (size_t)c->ev.tid % KNOWN;
	char name[48];
	ssize_t n = -1;

	for (int i = 0; i < 2; i++) {
		if (known[at].tid != c->ev.tid || i > 0) {
			if (known[at].tid != 0)
				(void)close(known[at].fd);
			(void)snprintf(name, sizeof(name), "%d/status", (int)c->ev.tid);
			known[at].fd = openat(c->s->proc_fd, name, O_RDONLY | O_CLOEXEC);
			known[at].tid = known[at].fd >= 0 ? c->ev.tid : 0;
			if (known[at].fd < 0)
				return errno == ENOENT ? -ESRCH : err_now();
		}
		n = pread(known[at].fd, buf, size - 1, 0);
		if (n > 0)
			break;
	}
	if (n <= 0)
		return n == 0 ? -ESRCH : err_now();
	buf[n] = '\0';
	return 0;
}

int call_umask(const struct call *c, mode_t *ret_umask)
{
	char text[256]; /* it is the second line */
	const char *v;
	int r = handle_on_receiver() ? read_status(c, text, sizeof(text))
				     : read_file(c->s->proc_fd, c->ev.tid, "status", text, sizeof(text));

	if (r < 0)
		return r;
	v = value_of(text, "\nUmask:");
	if (v == NULL)
		return -EPROTO;
	*ret_umask = (mode_t)strtoul(v, NULL, 8);
	return 0;
}

/* PIDFD_THREAD (6.9): a thread, not only a group leader. */
enum { THREAD = O_EXCL };

/*
 * Where a container's filter refuses pidfd_getfd: a file or directory is opened once more, which is as good for what acts on the inode.
 * Sockets and the like cannot be had this way: EPERM.
 */
static int open_again(const struct call *c, int fd)
{
	char path[48];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%d/fd/%d", (int)c->ev.tid, fd);
	if (fstatat(c->s->proc_fd, path, &st, 0) < 0)
		return -1;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		errno = EPERM;
		return -1;
	}
	return openat(c->s->proc_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

/* A pidfd of the caller, or (before Linux 6.9) of its process; -1 and errno. */
static int pidfd_of(const struct call *c, bool *ret_thread)
{
	int fd = (int)syscall(NR_pidfd_open, c->ev.tid, THREAD), r;
	pid_t tgid;

	*ret_thread = fd >= 0;
	if (fd >= 0 || errno != EINVAL)
		return fd;
	/* Threads of one process have one descriptor table, unless they went out of their way. */
	r = call_tgid(c, &tgid);
	if (r < 0) {
		errno = -r;
		return -1;
	}
	return (int)syscall(NR_pidfd_open, tgid, 0);
}

/*
 * The caller's pidfd, kept for its next call: a build changes many files through descriptors. One of a thread that
 * ended answers ESRCH for ever, so it cannot be taken for the next with that number. One of a process can, where the
 * process outlives the thread: it is used once.
 */
static int known_pidfd(const struct call *c, bool again)
{
	enum { KNOWN = 4 };
	static __thread struct {
		pid_t tid; /* 0: not to be used again */
		bool open;
		int fd;
	} known[KNOWN];
	size_t at = (size_t)c->ev.tid % KNOWN;
	bool thread;

	if (known[at].tid == c->ev.tid && !again)
		return known[at].fd;
	if (known[at].open)
		(void)close(known[at].fd);
	known[at].fd = pidfd_of(c, &thread);
	known[at].open = known[at].fd >= 0;
	known[at].tid = thread ? c->ev.tid : 0;
	return known[at].fd;
}

int caller_getfd(const struct call *c, int fd, int *ret_fd)
{
	int dup = -1;

	errno = ESRCH;
	for (int i = 0; i < 2 && dup < 0 && errno == ESRCH; i++) {
		int pidfd = known_pidfd(c, i > 0);

		if (pidfd < 0)
			return err_now();
		/* The number may be another thread's by now: only of a caller that still waits. */
		if (call_alive(c) != 0)
			return -ESRCH;
		dup = (int)syscall(NR_pidfd_getfd, pidfd, fd, 0);
	}
	if (dup < 0)
		return err_now();
	*ret_fd = dup;
	return 0;
}

int call_getfd(const struct call *c, int fd, int *ret_fd)
{
	int r = caller_getfd(c, fd, ret_fd), dup;

	if (r != -EPERM && r != -ENOSYS)
		return r;
	dup = open_again(c, fd);
	if (dup < 0)
		return err_now();
	*ret_fd = dup;
	return 0;
}

void caller_raise(struct call *c, int sig)
{
	AUTO_FD int pidfd = (int)syscall(NR_pidfd_open, c->ev.tid, THREAD);
	pid_t tgid;

	if (pidfd >= 0) {
		if (call_alive(c) == 0)
			(void)syscall(NR_pidfd_send_signal, pidfd, sig, NULL, 0);
		return;
	}
	/* Before 6.9 a pidfd names no thread. The id is the caller's as long as it waits for us. */
	if (call_tgid(c, &tgid) == 0 && call_alive(c) == 0)
		(void)syscall(NR_tgkill, tgid, c->ev.tid, sig);
}

int caller_limit(const struct call *c, int resource, uint64_t *ret_limit)
{
	struct rlimit lim;

	if (prlimit(c->ev.tid, (__rlimit_resource_t)resource, NULL, &lim) < 0)
		return err_now();
	*ret_limit = lim.rlim_cur;
	return 0;
}

/* How many descriptors below LIMIT the caller has: counted one by one. */
static uint64_t count_below(int dir, uint64_t limit)
{
	char buf[4096] __attribute__((aligned(8)));
	uint64_t used = 0;
	long n;

	while ((n = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0)
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const struct dirent64 *)(const void *)(buf + at);

			if (d->d_name[0] != '.' && strtoull(d->d_name, NULL, 10) < limit)
				used++;
			at += d->d_reclen;
		}
	return used;
}

bool caller_has_room(const struct call *c)
{
	char name[32];
	struct stat st;
	uint64_t limit;

	if (caller_limit(c, RLIMIT_NOFILE, &limit) < 0)
		return true;
	(void)snprintf(name, sizeof(name), "%d/fd", (int)c->ev.tid);
	/* Since 6.2 the size of that directory is how many there are. */
	if (fstatat(c->s->proc_fd, name, &st, 0) < 0 || (st.st_size > 0 && (uint64_t)st.st_size < limit))
		return true;
	AUTO_FD int dir = openat(c->s->proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 || count_below(dir, limit) < limit;
}
