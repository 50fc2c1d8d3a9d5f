/*
 * The cost of the plan's levels: a child under a filter makes a call of each kind many times and takes the time; we answer, as the
 * sentry does: with the synchronous wake-up where the kernel has one, the path read with process_vm_readv, the descriptor
 * handed over in the reply. The child shares our table of descriptors, so its listener needs no handing over. What the sentry
 * does beside (judging, recording, resolving) is not in it: a floor under what a call costs, comparable between hosts.
 *
 * Which processor each runs on is the kernel's choice, as in a run; the median of rounds is told.
 */
#include "monitor/measure.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

enum { ROUNDS = 7, NATIVE_CALLS = 2000, NOTIFIED_CALLS = 40, ANSWER_MS = 2000 };

/* What the child reports when all is measured. */
struct report {
	uint64_t native[ROUNDS], observe[ROUNDS], emulate[ROUNDS];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static const char null_path[] = "/dev/null";

static void child_round(struct report *r, int i)
{
	uint64_t before = now_ns();

	for (int k = 0; k < NATIVE_CALLS; k++)
		(void)syscall(SYS_getppid);
	r->native[i] = (now_ns() - before) / NATIVE_CALLS;
	before = now_ns();
	for (int k = 0; k < NOTIFIED_CALLS; k++)
		(void)syscall(SYS_getpgid, 0);
	r->observe[i] = (now_ns() - before) / NOTIFIED_CALLS;
	before = now_ns();
	for (int k = 0; k < NOTIFIED_CALLS; k++) {
		int fd = (int)syscall(SYS_open, null_path, O_RDONLY);

		if (fd >= 0)
			(void)syscall(SYS_close, fd);
	}
	r->emulate[i] = (now_ns() - before) / NOTIFIED_CALLS;
}

/* Writes the listener's number, or -errno, and later the report to OUT. */
static _Noreturn void child(int out)
{
	struct sock_filter insns[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpgid, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = ARRAY_LEN(insns), .filter = insns};
	struct report r;
	int listener = -EPERM;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	if (listener < 0)
		listener = -errno;
	if (write(out, &listener, sizeof(listener)) != sizeof(listener) || listener < 0)
		_exit(EXIT_FAILURE);
	for (int i = 0; i < ROUNDS; i++)
		child_round(&r, i);
	_exit(write(out, &r, sizeof(r)) == sizeof(r) ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int answer_open(int listener, const struct seccomp_notif *n)
{
	char path[sizeof(null_path)];
	struct iovec mine = {.iov_base = path, .iov_len = sizeof(path)};
	struct iovec its = {.iov_base = (void *)(uintptr_t)n->data.args[0], .iov_len = sizeof(path)};
	struct seccomp_notif_addfd add = {.id = n->id, .flags = SECCOMP_ADDFD_FLAG_SEND};

	if (process_vm_readv((pid_t)n->pid, &mine, 1, &its, 1, 0) != (ssize_t)sizeof(path) ||
	    memcmp(path, null_path, sizeof(path)) != 0)
		return -EFAULT;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_now();
	add.srcfd = (uint32_t)fd;
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) < 0 ? err_now() : 0;
}

static int serve(int listener)
{
	int left = 2 * ROUNDS * NOTIFIED_CALLS;

	/* Before Linux 6.6 there is none: then it costs what it costs. */
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
	for (bool first = true; left > 0; left--, first = false) {
		struct seccomp_notif n = {.id = 0};
		struct pollfd p = {.fd = listener, .events = POLLIN};
		int r;

		/* Only once: a poll costs as much as what is measured. */
		if (first && (poll(&p, 1, ANSWER_MS) != 1 || !(p.revents & POLLIN)))
			return -ETIMEDOUT;
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) < 0)
			return err_now();
		if (n.data.nr == SYS_open) {
			r = answer_open(listener, &n);
		} else {
			struct seccomp_notif_resp resp = {.id = n.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

			r = ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp) < 0 ? err_now() : 0;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static uint64_t median(uint64_t *v)
{
	qsort(v, ROUNDS, sizeof(*v), by_value);
	return v[ROUNDS / 2];
}

/* The child has both ends of the pipe as well as we: its death is no end of file. */
static int take(int fd, void *buf, size_t len)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, ANSWER_MS) != 1)
		return -ETIMEDOUT;
	return read(fd, buf, len) == (ssize_t)len ? 0 : -EPIPE;
}

int measure(struct measured *ret_m)
{
	struct report rep;
	int ends[2], listener = -1, r = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_now();
	pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid == 0)
		child(ends[1]);
	if (pid < 0)
		r = err_now();
	if (r == 0)
		r = take(ends[0], &listener, sizeof(listener));
	if (r == 0)
		r = listener < 0 ? listener : serve(listener);
	if (r == 0)
		r = take(ends[0], &rep, sizeof(rep));
	if (pid > 0) {
		if (r < 0)
			(void)kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (listener >= 0)
		(void)close(listener);
	(void)close(ends[0]);
	(void)close(ends[1]);
	if (r < 0)
		return r;
	*ret_m = (struct measured){
		.native = median(rep.native), .observe = median(rep.observe), .emulate = median(rep.emulate)};
	return 0;
}
