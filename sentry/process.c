/*
 * Working directory, and what reaches into other processes.
 *
 * chdir and fchdir act on the caller, so they are continued; what hangs off the directory is judged by its
 * own canonical name whenever it is used.
 *
 * Limits and scheduling of a process of the tree are set by the sentry, which is of the same user and has no
 * more rights; others are out of reach (EPERM). Reading or tracing another process, or borrowing its
 * descriptors, is left to the kernel behind a pid namespace and refused without one.
 *
 * Syscalls: prlimit64, setpriority, ioprio_set, sched_setparam, sched_setscheduler, sched_setaffinity,
 * sched_setattr, and what tree.c and path.c use.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nr.h"
#include "sentry/path.h"
#include "sentry/process.h"
#include "sentry/tree.h"
#include "util/err.h"

static struct reply change_directory(struct call *c, int dirfd, const char *path, unsigned int flags)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct verdict v;

	/* What leads nowhere gets the kernel's own errno. */
	if (path_resolve(c, dirfd, path, flags, &o) != 0)
		return reply_continue(c);
	v = path_judge(c, 0, OP_STAT, &o);
	return v.kind == VERDICT_ALLOW ? reply_continue(c) : call_refuse(c, v);
}

struct reply process_chdir(struct call *c)
{
	return c->path_err[0] != 0 ? reply_continue(c)
				   : change_directory(c, AT_FDCWD, c->path[0], PATH_DIRECTORY);
}

struct reply process_fchdir(struct call *c)
{
	return change_directory(c, (int)c->ev.args[0], "", PATH_EMPTY);
}

/* Nobody can do these for the caller, and the floor holds nothing back here. */
struct reply process_ptrace(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

struct reply process_process_vm_readv(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

struct reply process_process_vm_writev(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

struct reply process_kcmp(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

struct reply process_pidfd_getfd(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

struct reply process_process_madvise(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

struct reply process_process_mrelease(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

struct reply process_get_robust_list(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

struct reply process_move_pages(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

struct reply process_migrate_pages(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

/* The thread the caller calls ID (0: itself), ready to be acted on by its number: it lives and is of the
 * tree. */
static bool target(struct call *c, pid_t id, struct member *ret_m, struct reply *ret_reply)
{
	struct member m = MEMBER_NULL;
	int r;

	if (id == 0) {
		/* The number is the caller's as long as it waits. */
		m.tid = c->ev.tid;
	} else {
		r = tree_find(c, id, &m);
		if (r != 0) {
			*ret_reply = r == EPERM ? call_refuse_plain(c, EPERM) : call_fail(c, r);
			return false;
		}
		if (!member_lives(&m)) {
			member_clear(&m);
			*ret_reply = reply_deny(ESRCH);
			return false;
		}
	}
	if (call_alive(c) != 0) {
		member_clear(&m);
		*ret_reply = reply_deny(EINTR);
		return false;
	}
	*ret_m = m;
	return true;
}

static struct reply done(long r)
{
	return r < 0 ? reply_deny(-err_now()) : reply_value(r);
}

struct reply process_prlimit64(struct call *c)
{
	AUTO_MEMBER struct member m = MEMBER_NULL;
	struct rlimit64 set, old;
	bool sets = c->ev.args[2] != 0;
	struct reply reply;
	int r;

	if (sets) {
		r = call_read(c, c->ev.args[2], &set, sizeof(set));
		if (r != 0)
			return reply_deny(r > 0 ? r : EINTR);
	}
	if (!target(c, (pid_t)c->ev.args[0], &m, &reply))
		return reply;
	/* Core dumps stay off: set without effect. 0 would let a handler of the host's run (monitor/floor/limits.c). */
	if ((unsigned int)c->ev.args[1] == RLIMIT_CORE)
		sets = false;
	if (syscall(NR_prlimit64, m.tid, (unsigned int)c->ev.args[1], sets ? &set : NULL, &old) < 0)
		return done(-1);
	if (c->ev.args[3] != 0) {
		r = call_write(c, c->ev.args[3], &old, sizeof(old));
		if (r != 0)
			return reply_deny(r > 0 ? r : EINTR);
	}
	return reply_value(0);
}

/* Groups and users are not of the tree alone. */
struct reply process_setpriority(struct call *c)
{
	AUTO_MEMBER struct member m = MEMBER_NULL;
	struct reply reply;

	if ((int)c->ev.args[0] < PRIO_PROCESS || (int)c->ev.args[0] > PRIO_USER)
		return reply_deny(EINVAL);
	if ((int)c->ev.args[0] != PRIO_PROCESS)
		return call_refuse_plain(c, EPERM);
	if (!target(c, (pid_t)c->ev.args[1], &m, &reply))
		return reply;
	return done(syscall(NR_setpriority, PRIO_PROCESS, m.tid, (int)c->ev.args[2]));
}

struct reply process_ioprio_set(struct call *c)
{
	AUTO_MEMBER struct member m = MEMBER_NULL;
	struct reply reply;

	if ((int)c->ev.args[0] < IOPRIO_WHO_PROCESS || (int)c->ev.args[0] > IOPRIO_WHO_USER)
		return reply_deny(EINVAL);
	if ((int)c->ev.args[0] != IOPRIO_WHO_PROCESS)
		return call_refuse_plain(c, EPERM);
	if (!target(c, (pid_t)c->ev.args[1], &m, &reply))
		return reply;
	return done(syscall(NR_ioprio_set, IOPRIO_WHO_PROCESS, m.tid, (int)c->ev.args[2]));
}

static struct reply set_scheduler(struct call *c, int policy, uint64_t addr)
{
	AUTO_MEMBER struct member m = MEMBER_NULL;
	struct sched_param param;
	struct reply reply;
	int r = call_read(c, addr, &param, sizeof(param));

	if (r != 0)
		return reply_deny(r > 0 ? r : EINTR);
	if (!target(c, (pid_t)c->ev.args[0], &m, &reply))
		return reply;
	if (c->ev.nr == NR_sched_setparam)
		return done(syscall(NR_sched_setparam, m.tid, &param));
	return done(syscall(NR_sched_setscheduler, m.tid, policy, &param));
}

struct reply process_sched_setparam(struct call *c)
{
	return set_scheduler(c, 0, c->ev.args[1]);
}

struct reply process_sched_setscheduler(struct call *c)
{
	return set_scheduler(c, (int)c->ev.args[1], c->ev.args[2]);
}

struct reply process_sched_setaffinity(struct call *c)
{
	AUTO_MEMBER struct member m = MEMBER_NULL;
	unsigned char mask[1024]; /* 8192 processors, more than the kernel builds for */
	size_t len = (unsigned int)c->ev.args[1];
	struct reply reply;
	int r;

	if (len > sizeof(mask))
		len = sizeof(mask);
	memset(mask, 0, sizeof(mask));
	r = call_read(c, c->ev.args[2], mask, len);
	if (r != 0)
		return reply_deny(r > 0 ? r : EINTR);
	if (!target(c, (pid_t)c->ev.args[0], &m, &reply))
		return reply;
	return done(syscall(NR_sched_setaffinity, m.tid, len, mask));
}

struct reply process_sched_setattr(struct call *c)
{
	enum { FIRST = 48, MOST = 4096 };
	AUTO_MEMBER struct member m = MEMBER_NULL;
	unsigned char attr[MOST];
	struct reply reply;
	uint32_t size;
	int r;

	/* The size comes first, and no byte is read twice. */
	r = call_read(c, c->ev.args[1], &size, sizeof(size));
	if (r == 0 && size == 0)
		size = FIRST;
	if (r == 0 && (size < FIRST || size > MOST))
		return reply_deny(E2BIG);
	memcpy(attr, &size, sizeof(size));
	if (r == 0)
		r = call_read(c, c->ev.args[1] + sizeof(size), attr + sizeof(size), size - sizeof(size));
	if (r != 0)
		return reply_deny(r > 0 ? r : EINTR);
	if (!target(c, (pid_t)c->ev.args[0], &m, &reply))
		return reply;
	return done(syscall(NR_sched_setattr, m.tid, attr, (unsigned int)c->ev.args[2]));
}
