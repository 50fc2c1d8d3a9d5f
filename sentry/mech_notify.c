/*
 * Backend: seccomp user notification.
 *
 * One thread sleeps in NOTIF_RECV itself, without a poll before it. The kernel's struct sizes are asked for
 * at start, so that a newer kernel's longer notification fits, and the buffer is zeroed before each receive,
 * as the kernel demands. SYNC_WAKE_UP (6.6) makes the caller's wake-up and ours stay on one CPU; without it
 * all works, slower.
 *
 * The end: before Linux 6.11 a sleeping NOTIF_RECV does not notice that no task with the filter is left. A
 * small thread therefore polls the listener for nothing but its hang-up (notifications do not wake it), and
 * then interrupts the receiver. Where NOTIF_RECV returns ENOENT, either one caller died before we took it up
 * or all are gone; a poll then, and only then, tells which.
 *
 * Memory goes through process_vm_readv and process_vm_writev: a kept /proc/PID/mem would survive an exec into
 * the wrong memory. Strings are read in pieces that never reach into a page that the string may not reach.
 *
 * Descriptors: NOTIF_ADDFD with SEND (5.14) installs and answers at once; before that they are two steps.
 * Whatever the first refuses (EMFILE of the guest, EBADF for an O_PATH descriptor) is sent as the call's
 * errno, for a caller without an answer would hang. The wake-up by ADDFD is not a synchronous one: the caller
 * would start on another CPU, for which that CPU has to be woken (35 of 40 microseconds in a virtual
 * machine). So it is tied to our CPU for the moment of the reply, made one that does not displace us there, and let go
 * once our copy of the descriptor is closed; where its own affinity leaves our CPU out, it is left alone.
 *
 * Syscalls: ioctl, poll, process_vm_readv, process_vm_writev, eventfd2, read, write, tgkill, rt_sigprocmask,
 * close, sched_getaffinity, sched_setaffinity, sched_getscheduler, sched_setscheduler, getcpu.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mech.h"
#include "util/err.h"
#include "util/fd.h"

/* Newer than the oldest headers this builds with. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1ul << 0)
#endif

enum {
	PAGE = 4096,
	STR_FIRST = 256, /* nearly every path is shorter */
	END_RETRY_MS = 20,
	END_STACK = 64 * 1024,
};

enum { REQ_ROOM = 256 }; /* the kernel's struct is 80 bytes today */

struct mech_notify {
	struct mech mech;
	int listener;
	int stop; /* eventfd: ends the thread that waits for the end */
	pthread_t end_thread;
	bool has_end_thread;
	bool has_receiver; /* receiver and its signal mask are set */
	_Atomic bool receiving;
	_Atomic bool ended;
	_Atomic bool no_send; /* this kernel's ADDFD knows no SEND */
	pthread_t receiver;
	struct seccomp_notif *req;
	size_t req_size;
	size_t resp_size;
};

static int end_signal(void)
{
	return SIGRTMAX - 4;
}

static void on_end(int sig)
{
	(void)sig;
}

static bool hung_up(const struct mech_notify *n)
{
	struct pollfd pfd = { .fd = n->listener };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLHUP | POLLERR)) != 0;
}

/* Sleeps until the filter has no user left, then interrupts the receiver until it has seen so. */
static void *wait_for_end(void *arg)
{
	struct mech_notify *n = arg;
	struct pollfd pfd[2] = { { .fd = n->listener }, { .fd = n->stop, .events = POLLIN } };

	while ((pfd[0].revents & (POLLHUP | POLLERR)) == 0) {
		if (poll(pfd, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (pfd[1].revents != 0)
			return NULL;
	}
	atomic_store(&n->ended, true);
	do {
		if (atomic_load(&n->receiving))
			(void)pthread_kill(n->receiver, end_signal());
	} while (poll(&pfd[1], 1, END_RETRY_MS) == 0);
	return NULL;
}

static void fill(struct event *ret_ev, const struct seccomp_notif *req)
{
	*ret_ev = (struct event){
		.id = req->id,
		.ip = req->data.instruction_pointer,
		.arch = req->data.arch,
		.nr = req->data.nr,
		.tid = (pid_t)req->pid,
	};
	for (size_t i = 0; i < ARRAY_LEN(ret_ev->args); i++)
		ret_ev->args[i] = req->data.args[i];
}

static int notify_try_next(struct mech *m, struct event *ret_ev)
{
	struct mech_notify *n = (struct mech_notify *)m;
	struct pollfd pfd = { .fd = n->listener, .events = POLLIN };
	union {
		struct seccomp_notif req;
		char room[REQ_ROOM];
	} u;

	if (n->req_size > sizeof(u) || poll(&pfd, 1, 0) != 1 || (pfd.revents & POLLIN) == 0)
		return MECH_E_EMPTY;
	memset(&u, 0, n->req_size);
	if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_RECV, &u.req) != 0)
		return MECH_E_EMPTY;
	fill(ret_ev, &u.req);
	return 0;
}

/* The receiver knows: nobody is to be interrupted any more. */
static int end_seen(struct mech_notify *n)
{
	uint64_t one = 1;
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, end_signal());
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	(void)!write(n->stop, &one, sizeof(one));
	return MECH_E_END;
}

static int notify_next(struct mech *m, struct event *ret_ev)
{
	struct mech_notify *n = (struct mech_notify *)m;
	sigset_t set;
	int r;

	if (!n->has_receiver) {
		n->receiver = pthread_self();
		(void)sigemptyset(&set);
		(void)sigaddset(&set, end_signal());
		(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		n->has_receiver = true;
		atomic_store(&n->receiving, true);
	}
	for (;;) {
		memset(n->req, 0, n->req_size);
		r = ioctl(n->listener, SECCOMP_IOCTL_NOTIF_RECV, n->req);
		if (r == 0)
			break;
		if (errno == EINTR && !atomic_load(&n->ended))
			continue;
		if (errno == EINTR || errno == ENOENT)
			return hung_up(n) ? end_seen(n) : MECH_E_GONE;
		return err_now();
	}
	fill(ret_ev, n->req);
	return 0;
}

static int notify_alive(struct mech *m, const struct event *ev)
{
	struct mech_notify *n = (struct mech_notify *)m;
	uint64_t id = ev->id;

	return ioctl(n->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0 ? 0 : MECH_E_GONE;
}

static int memory_error(int error)
{
	return error == ESRCH ? MECH_E_GONE : error == EFAULT ? -EFAULT : -error;
}

static struct iovec iovec_at(uint64_t addr, size_t len)
{
	return (struct iovec){ .iov_base = (void *)(uintptr_t)addr, .iov_len = len };
}

static int notify_read(struct mech *m, const struct event *ev, uint64_t addr, void *buf, size_t len)
{
	struct iovec local = { .iov_base = buf, .iov_len = len }, remote = iovec_at(addr, len);
	ssize_t r;

	(void)m;
	if (len == 0)
		return 0;
	r = process_vm_readv(ev->tid, &local, 1, &remote, 1, 0);
	if (r < 0)
		return memory_error(errno);
	return (size_t)r == len ? 0 : -EFAULT;
}

static int notify_read_str(struct mech *m, const struct event *ev, uint64_t addr, char *buf, size_t size)
{
	size_t len = 0, want = STR_FIRST, room;
	int r;

	while (len < size) {
		room = PAGE - (size_t)((addr + len) % PAGE);
		if (want > room)
			want = room;
		if (want > size - len)
			want = size - len;
		r = notify_read(m, ev, addr + len, buf + len, want);
		if (r != 0)
			return r;
		if (memchr(buf + len, '\0', want) != NULL)
			return 0;
		len += want;
		want = PAGE;
	}
	return -ENAMETOOLONG;
}

static int notify_write(struct mech *m, const struct event *ev, uint64_t addr, const void *buf, size_t len)
{
	/* The kernel only reads from the local side; its struct serves both directions. */
	struct iovec local = { .iov_len = len }, remote = iovec_at(addr, len);
	ssize_t r;

	(void)m;
	if (len == 0)
		return 0;
	memcpy(&local.iov_base, &buf, sizeof(buf));
	r = process_vm_writev(ev->tid, &local, 1, &remote, 1, 0);
	if (r < 0)
		return memory_error(errno);
	return (size_t)r == len ? 0 : -EFAULT;
}

/* ERROR is positive. */
static int send_answer(struct mech_notify *n, uint64_t id, int64_t value, int error, uint32_t flags)
{
	union {
		struct seccomp_notif_resp resp;
		unsigned char room[512]; /* what a newer kernel may read behind it is zero */
	} u;

	memset(&u, 0, n->resp_size < sizeof(u) ? n->resp_size : sizeof(u));
	u.resp.id = id;
	u.resp.val = value;
	u.resp.error = -error;
	u.resp.flags = flags;
	if (ioctl(n->listener, SECCOMP_IOCTL_NOTIF_SEND, &u.resp) == 0)
		return 0;
	return errno == ENOENT ? MECH_E_GONE : err_now();
}

/* What was changed of a caller for the moment of the reply. */
struct held {
	cpu_set_t mask; /* its affinity */
	size_t size;	/* of the mask; 0: not tied */
	bool batch;
};

/* Ties TID to our CPU. Returns the size of the mask to give back, 0 where nothing was done. */
static size_t tie(pid_t tid, cpu_set_t *mask)
{
	int cpu = sched_getcpu(), n;
	cpu_set_t ours;

	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return 0;
	/* The system call itself tells how much of the mask is valid; more processors than a mask has:
	 * EINVAL. */
	n = (int)syscall(SYS_sched_getaffinity, tid, sizeof(*mask), mask);
	if (n <= 0 || !CPU_ISSET_S(cpu, (size_t)n, mask) || CPU_COUNT_S((size_t)n, mask) == 1)
		return 0;
	CPU_ZERO(&ours);
	CPU_SET(cpu, &ours);
	return syscall(SYS_sched_setaffinity, tid, n, &ours) < 0 ? 0 : (size_t)n;
}

/*
 * So that the caller, woken by the reply, runs after us on our CPU: it is tied to it, and a thread of SCHED_BATCH does
 * not displace the one that wakes it. What policy it has is only touched where that is the usual one.
 */
static void hold(pid_t tid, struct held *ret_h)
{
	static const struct sched_param none = {.sched_priority = 0};

	ret_h->size = tie(tid, &ret_h->mask);
	ret_h->batch = syscall(SYS_sched_getscheduler, tid) == SCHED_OTHER &&
		       syscall(SYS_sched_setscheduler, tid, SCHED_BATCH, &none) == 0;
}

static void let_go(pid_t tid, const struct held *h)
{
	static const struct sched_param none = {.sched_priority = 0};

	if (h->batch)
		(void)syscall(SYS_sched_setscheduler, tid, SCHED_OTHER, &none);
	if (h->size > 0)
		(void)syscall(SYS_sched_setaffinity, tid, h->size, &h->mask);
}

/* Installs and answers. Our copy (*FD) is closed before the caller runs on: as long as it is open, a lease or a lock may
 * be refused that natively would not be, and a program just written is busy. */
static int install(struct mech_notify *n, const struct event *ev, struct seccomp_notif_addfd *add, int *fd)
{
	struct held h;
	int r, saved;

	hold(ev->tid, &h);
	r = ioctl(n->listener, SECCOMP_IOCTL_NOTIF_ADDFD, add);
	saved = errno;
	if (r >= 0)
		*fd = fd_close(*fd);
	let_go(ev->tid, &h);
	errno = saved;
	return r;
}

/* FD is r->fd; -1 afterwards where it was closed. */
static int send_fd(struct mech_notify *n, const struct event *ev, const struct reply *r, int *our_fd)
{
	struct seccomp_notif_addfd add = {
		.id = ev->id,
		.srcfd = (uint32_t)r->fd,
		.newfd_flags = r->fd_flags,
	};
	int fd;

	if (!atomic_load(&n->no_send)) {
		add.flags = SECCOMP_ADDFD_FLAG_SEND;
		if (install(n, ev, &add, our_fd) >= 0)
			return 0;
		if (errno != EINVAL)
			goto failed;
		/* No flag, or something else that the two steps will meet again. */
		add.flags = 0;
	}
	fd = ioctl(n->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	if (fd >= 0) {
		atomic_store(&n->no_send, true);
		return send_answer(n, ev->id, fd, 0, 0);
	}
failed:
	if (errno == ENOENT || errno == ESRCH)
		return MECH_E_GONE;
	return send_answer(n, ev->id, 0, errno > 0 ? errno : EIO, 0);
}

/* Installed first, then closed here, then answered. */
static int send_fd_apart(struct mech_notify *n, const struct event *ev, const struct reply *r)
{
	struct seccomp_notif_addfd add = {.id = ev->id, .srcfd = (uint32_t)r->fd, .newfd_flags = r->fd_flags};
	int fd = ioctl(n->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add), saved = errno, e;
	struct held h;

	(void)fd_close(r->fd);
	if (fd < 0)
		return saved == ENOENT || saved == ESRCH ? MECH_E_GONE : send_answer(n, ev->id, 0, saved > 0 ? saved : EIO, 0);
	hold(ev->tid, &h);
	e = send_answer(n, ev->id, fd, 0, 0);
	let_go(ev->tid, &h);
	return e;
}

static int notify_reply(struct mech *m, const struct event *ev, const struct reply *r)
{
	struct mech_notify *n = (struct mech_notify *)m;
	int fd = r->fd, e;

	switch (r->kind) {
	case REPLY_VALUE:
		e = r->value < 0 && r->value >= -4095 ? send_answer(n, ev->id, 0, (int)-r->value, 0)
						      : send_answer(n, ev->id, r->value, 0, 0);
		break;
	case REPLY_FD:
		if (r->apart)
			return send_fd_apart(n, ev, r);
		e = send_fd(n, ev, r, &fd);
		break;
	case REPLY_CONTINUE:
		e = send_answer(n, ev->id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
		break;
	case REPLY_DENY:
	case REPLY_LATER:
	default:
		e = send_answer(n, ev->id, 0, r->err > 0 && r->err <= 4095 ? r->err : EPERM, 0);
		break;
	}
	if (r->kind == REPLY_FD)
		(void)fd_close(fd);
	return e;
}

static void notify_close(struct mech *m)
{
	struct mech_notify *n = (struct mech_notify *)m;
	uint64_t one = 1;

	if (n->has_end_thread && write(n->stop, &one, sizeof(one)) == (ssize_t)sizeof(one))
		(void)pthread_join(n->end_thread, NULL);
	n->stop = fd_close(n->stop);
	n->listener = fd_close(n->listener);
	free(n->req);
	free(n);
}

static const struct mech_ops notify_ops = {
	.next = notify_next,
	.try_next = notify_try_next,
	.alive = notify_alive,
	.read = notify_read,
	.read_str = notify_read_str,
	.write = notify_write,
	.reply = notify_reply,
	.close = notify_close,
};

static int start_end_thread(struct mech_notify *n)
{
	struct sigaction sa = { .sa_handler = on_end };
	pthread_attr_t attr;
	int r;

	(void)sigemptyset(&sa.sa_mask);
	if (sigaction(end_signal(), &sa, NULL) < 0)
		return err_now();
	n->stop = eventfd(0, EFD_CLOEXEC);
	if (n->stop < 0)
		return err_now();
	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setstacksize(&attr, END_STACK);
	r = pthread_create(&n->end_thread, &attr, wait_for_end, n);
	(void)pthread_attr_destroy(&attr);
	n->has_end_thread = r == 0;
	return -r;
}

int mech_notify_new(int listener, struct mech **ret_mech)
{
	/* Asked once: a further listener comes when we may no longer ask. */
	static struct seccomp_notif_sizes sizes;
	struct mech_notify *n;
	int r;

	if (sizes.seccomp_notif == 0 && syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
		return err_now();
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return -ENOMEM;
	n->mech.ops = &notify_ops;
	n->listener = listener;
	n->stop = -1;
	n->req_size = sizes.seccomp_notif > sizeof(*n->req) ? sizes.seccomp_notif : sizeof(*n->req);
	n->resp_size = sizes.seccomp_notif_resp > sizeof(struct seccomp_notif_resp)
			       ? sizes.seccomp_notif_resp
			       : sizeof(struct seccomp_notif_resp);
	n->req = calloc(1, n->req_size);
	r = n->req == NULL ? -ENOMEM : start_end_thread(n);
	if (r < 0) {
		n->listener = -1; /* still the caller's */
		notify_close(&n->mech);
		return r;
	}
	/* Where the kernel lacks it, waking is merely slower. */
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, 0);
	*ret_mech = &n->mech;
	return 0;
}
