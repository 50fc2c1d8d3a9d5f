/*
 * Signals, where neither a pid namespace nor Landlock keeps them in the tree: each target is held by a pidfd,
 * found to be of the guest's tree, and signalled through that. A target outside is answered EPERM, as one of
 * another user would be.
 *
 * Different from Linux (docs/LIMITS.md): the receiver sees the sentry's pid as the sender's; a broadcast
 * (kill of 0, -1, -group) reaches the members of the tree one after the other.
 *
 * Syscalls: pidfd_open, pidfd_getfd, pidfd_send_signal, tgkill, rt_tgsigqueueinfo, getpgid, and what tree.c
 * uses.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nr.h"
#include "sentry/caller.h"
#include "sentry/process.h"
#include "sentry/tree.h"
#include "util/err.h"
#include "util/fd.h"

/* What tree_find() returned, not 0, as the answer. */
static struct reply not_found(struct call *c, int r)
{
	return r == EPERM ? call_refuse_plain(c, EPERM) : call_fail(c, r);
}

/* The whole process, also by a pidfd of its first thread (6.9), which would reach just that. */
static int signal_process(const struct member *m, int sig, const siginfo_t *info)
{
	enum { TO_GROUP = 2 }; /* PIDFD_SIGNAL_THREAD_GROUP */

	if (syscall(NR_pidfd_send_signal, m->pidfd, sig, info, TO_GROUP) == 0)
		return 0;
	if (errno != EINVAL)
		return errno;
	return syscall(NR_pidfd_send_signal, m->pidfd, sig, info, 0) < 0 ? errno : 0;
}

/* One thread. A pidfd of a thread (6.9) reaches just it; before, its number while its process lives. */
static int signal_thread(const struct member *m, int sig, const siginfo_t *info)
{
	enum { TO_THREAD = 1 }; /* PIDFD_SIGNAL_THREAD */

	if (syscall(NR_pidfd_send_signal, m->pidfd, sig, info, TO_THREAD) == 0)
		return 0;
	if (errno != EINVAL)
		return errno;
	if (!member_lives(m))
		return ESRCH;
	if (info != NULL)
		return syscall(NR_rt_tgsigqueueinfo, m->tgid, m->tid, sig, info) < 0 ? errno : 0;
	return syscall(NR_tgkill, m->tgid, m->tid, sig) < 0 ? errno : 0;
}

static struct reply sent(int r)
{
	return r == 0 ? reply_value(0) : reply_deny(r);
}

/* To one process or thread the caller calls ID. TGID 0: not asked which process the thread must be of. */
static struct reply send_one(struct call *c, pid_t tgid, pid_t id, bool thread, int sig,
			     const siginfo_t *info)
{
	AUTO_MEMBER struct member m = MEMBER_NULL;
	AUTO_MEMBER struct member process = MEMBER_NULL;
	int r;

	if (sig < 0 || sig > SIGRTMAX)
		return reply_deny(EINVAL);
	r = tree_find(c, id, &m);
	if (r == 0 && tgid != 0)
		r = tree_find(c, tgid, &process);
	if (r != 0)
		return not_found(c, r);
	if (tgid != 0 && process.tgid != m.tgid)
		return reply_deny(ESRCH);
	/* As the kernel: the first process of a pid namespace takes no signal from inside it that it has no handler for. */
	if (m.tgid == c->s->init && m.tgid != c->ev.tid)
		return reply_value(0);
	if (call_alive(c) != 0)
		return reply_deny(EINTR);
	if (!thread && m.tid != m.tgid) {
		/* kill() of a thread's number means its process. */
		(void)fd_close(m.pidfd);
		m.pidfd = (int)syscall(NR_pidfd_open, m.tgid, 0);
		if (m.pidfd < 0)
			return reply_deny(errno);
	}
	return sent(thread ? signal_thread(&m, sig, info) : signal_process(&m, sig, info));
}

struct broadcast {
	pid_t group; /* in the sentry's namespace; 0: everybody but the first process and the caller */
	pid_t init, self;
	int sig;
	unsigned int reached, refused;
};

static int broadcast_to(void *arg, const struct member *m, pid_t group)
{
	struct broadcast *b = arg;

	/* The first process may be of the monitor's group. */
	if (m->tgid == b->init || (b->group != 0 ? group != b->group : m->tgid == b->self))
		return 0;
	if (signal_process(m, b->sig, NULL) == 0)
		b->reached++;
	else
		b->refused++;
	return 0;
}

static struct reply send_many(struct call *c, pid_t id, int sig)
{
	struct broadcast b = { .init = c->s->init, .sig = sig };
	int r;

	if (sig < 0 || sig > SIGRTMAX)
		return reply_deny(EINVAL);
	r = call_tgid(c, &b.self);
	if (r < 0)
		return call_fail(c, r);
	if (id == 0) {
		b.group = getpgid(c->ev.tid);
	} else if (id != -1) {
		AUTO_MEMBER struct member leader = MEMBER_NULL;

		if (id == INT_MIN)
			return reply_deny(ESRCH);
		/* A group outlives its leader; its number then is only known where we count as the guest
		 * does. */
		r = tree_find(c, -id, &leader);
		if (r < 0)
			return call_fail(c, r);
		b.group = r == 0 ? leader.tgid : -id;
	}
	if (b.group < 0)
		return reply_deny(ESRCH);
	if (call_alive(c) != 0)
		return reply_deny(EINTR);
	r = tree_each(c->s, broadcast_to, &b);
	if (r < 0)
		return call_fail(c, r);
	if (b.reached > 0)
		return reply_value(0);
	return reply_deny(b.refused > 0 ? EPERM : ESRCH);
}

struct reply process_kill(struct call *c)
{
	pid_t id = (pid_t)c->ev.args[0];
	int sig = (int)c->ev.args[1];

	return id > 0 ? send_one(c, 0, id, false, sig, NULL) : send_many(c, id, sig);
}

struct reply process_tkill(struct call *c)
{
	if ((pid_t)c->ev.args[0] <= 0)
		return reply_deny(EINVAL);
	return send_one(c, 0, (pid_t)c->ev.args[0], true, (int)c->ev.args[1], NULL);
}

struct reply process_tgkill(struct call *c)
{
	if ((pid_t)c->ev.args[0] <= 0 || (pid_t)c->ev.args[1] <= 0)
		return reply_deny(EINVAL);
	return send_one(c, (pid_t)c->ev.args[0], (pid_t)c->ev.args[1], true, (int)c->ev.args[2], NULL);
}

/* Copies a siginfo. Codes that say "from the kernel" or "from kill()" may only be sent to oneself, which we
 * are not. */
static int read_info(const struct call *c, uint64_t addr, int sig, siginfo_t *ret_info)
{
	int r = call_read(c, addr, ret_info, sizeof(*ret_info));

	if (r != 0)
		return r > 0 ? r : -ESRCH;
	ret_info->si_signo = sig;
	return ret_info->si_code >= 0 || ret_info->si_code == SI_TKILL ? EPERM : 0;
}

struct reply process_rt_sigqueueinfo(struct call *c)
{
	siginfo_t info;
	int sig = (int)c->ev.args[1];
	int r = read_info(c, c->ev.args[2], sig, &info);

	if (r != 0)
		return reply_deny(r > 0 ? r : EINTR);
	return send_one(c, 0, (pid_t)c->ev.args[0], false, sig, &info);
}

struct reply process_rt_tgsigqueueinfo(struct call *c)
{
	siginfo_t info;
	int sig = (int)c->ev.args[2];
	int r;

	if ((pid_t)c->ev.args[0] <= 0 || (pid_t)c->ev.args[1] <= 0)
		return reply_deny(EINVAL);
	r = read_info(c, c->ev.args[3], sig, &info);
	if (r != 0)
		return reply_deny(r > 0 ? r : EINTR);
	return send_one(c, (pid_t)c->ev.args[0], (pid_t)c->ev.args[1], true, sig, &info);
}

enum { NO_PIDFD = -2 };

/* The process or thread a pidfd of ours is for, in our namespace; 0 or -1 where it is gone, NO_PIDFD. */
static pid_t pidfd_target(const struct call *c, int pidfd)
{
	char name[48], text[1024];
	const char *at;
	AUTO_FD int fd = -1;
	ssize_t n;

	(void)snprintf(name, sizeof(name), "self/fdinfo/%d", pidfd);
	fd = openat(c->s->proc_fd, name, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	at = strstr(text, "\nPid:");
	return at == NULL ? NO_PIDFD : (pid_t)atoi(at + 5);
}

struct reply process_pidfd_send_signal(struct call *c)
{
	int sig = (int)c->ev.args[1];
	AUTO_FD int fd = -1;
	struct caller_status st;
	siginfo_t info;
	pid_t pid;
	int r;

	r = call_getfd(c, (int)c->ev.args[0], &fd);
	if (r < 0)
		return r == -EBADF ? reply_deny(EBADF) : call_fail(c, r);
	if (c->ev.args[2] != 0) {
		r = read_info(c, c->ev.args[2], sig, &info);
		if (r != 0)
			return reply_deny(r > 0 ? r : EINTR);
	}
	pid = pidfd_target(c, fd);
	if (pid == NO_PIDFD)
		return reply_deny(EBADF);
	if (pid <= 0 || caller_status(c->s->proc_fd, pid, &st) < 0)
		return reply_deny(ESRCH);
	if (!tree_has(c->s, st.tgid))
		return call_refuse_plain(c, EPERM);
	/* Still its number: what we found is what is held. */
	if (pidfd_target(c, fd) != pid)
		return reply_deny(ESRCH);
	if (call_alive(c) != 0)
		return reply_deny(EINTR);
	r = (int)syscall(NR_pidfd_send_signal, fd, sig, c->ev.args[2] != 0 ? &info : NULL,
			 (unsigned int)c->ev.args[3]);
	return sent(r < 0 ? errno : 0);
}

struct reply process_pidfd_open(struct call *c)
{
	AUTO_MEMBER struct member m = MEMBER_NULL;
	unsigned int flags = (unsigned int)c->ev.args[1];
	int fd, r;

	if ((pid_t)c->ev.args[0] <= 0 || (flags & ~(unsigned int)(O_NONBLOCK | O_EXCL)) != 0)
		return reply_deny(EINVAL);
	r = tree_find(c, (pid_t)c->ev.args[0], &m);
	if (r != 0)
		return not_found(c, r);
	fd = (int)syscall(NR_pidfd_open, m.tid, flags);
	if (fd < 0)
		return reply_deny(errno);
	/* Opened by number: it is what is held only if that had not died. */
	if (!member_lives(&m)) {
		(void)fd_close(fd);
		return reply_deny(ESRCH);
	}
	return reply_fd(fd, O_CLOEXEC);
}
