/*
 * Who belongs to the guest. The sentry's procfs is the source: a process is in the tree if the chain of its
 * parents meets the guest's first process, which is (or has below it) the reaper of orphans. In a nested pid
 * namespace the guest counts otherwise than we do, and a number is looked for among the tree's processes;
 * these calls are rare, and with a pid namespace the plan normally leaves them to the kernel.
 *
 * Syscalls: openat, getdents64, read, fcntl, pidfd_open, poll, close.
 */
#include "sentry/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "nr.h"
#include "sentry/caller.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	DEPTH_MAX = 4096, /* of the process tree: more is a race or a fork chain nobody needs */
	THREAD = O_EXCL,  /* PIDFD_THREAD, 6.9 */
};

void member_clear(struct member *m)
{
	m->pidfd = fd_close(m->pidfd);
	m->tid = m->tgid = 0;
}

bool member_lives(const struct member *m)
{
	struct pollfd pfd = { .fd = m->pidfd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 0;
}

bool tree_has(const struct sentry *s, pid_t tgid)
{
	struct caller_status st;

	for (int i = 0; i < DEPTH_MAX && tgid > 0; i++) {
		if (tgid == s->init)
			return true;
		if (caller_status(s->proc_fd, tgid, &st) < 0)
			return false;
		tgid = st.ppid;
	}
	return false;
}

/* Holds thread TID, if the guest calls it ID. */
static int hold(const struct sentry *s, pid_t tid, pid_t id, struct member *ret_m)
{
	AUTO_MEMBER struct member m = MEMBER_NULL;
	struct caller_status st;

	m.pidfd = (int)syscall(NR_pidfd_open, tid, THREAD);
	if (m.pidfd < 0 && errno == EINVAL && caller_status(s->proc_fd, tid, &st) == 0)
		m.pidfd = (int)syscall(NR_pidfd_open, st.tgid, 0);
	if (m.pidfd < 0)
		return errno == ESRCH ? ESRCH : err_now();
	/* Held first, then asked: what status says is of what is held, as long as that lives. */
	if (caller_status(s->proc_fd, tid, &st) < 0 || st.guest_tid != id || !member_lives(&m))
		return ESRCH;
	if (!tree_has(s, st.tgid))
		return EPERM;
	ret_m->pidfd = fd_steal(&m.pidfd);
	ret_m->tid = tid;
	ret_m->tgid = st.tgid;
	return 0;
}

/* Numbers in the names of directory FD; FN as below. */
static int each_number(int at, const char *path, int (*fn)(void *arg, pid_t n), void *arg)
{
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	struct dirent *e;
	DIR *dir;

	if (fd < 0)
		return err_now();
	dir = fdopendir(fd);
	if (dir == NULL) {
		(void)fd_close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (e = readdir(dir)) != NULL)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			r = fn(arg, (pid_t)atoi(e->d_name));
	(void)closedir(dir);
	return r;
}

struct search {
	const struct sentry *s;
	pid_t id;
	struct member *ret_m;
	int result;
};

static int search_thread(void *arg, pid_t tid)
{
	struct search *f = arg;
	struct caller_status st;

	if (caller_status(f->s->proc_fd, tid, &st) < 0 || st.guest_tid != f->id)
		return 0;
	f->result = hold(f->s, tid, f->id, f->ret_m);
	/* The number may mean others in namespaces that are not the guest's. */
	return f->result == 0 ? 1 : 0;
}

static int search_process(void *arg, pid_t tgid)
{
	struct search *f = arg;
	char path[32];
	int r;

	(void)snprintf(path, sizeof(path), "%d/task", (int)tgid);
	r = each_number(f->s->proc_fd, path, search_thread, f);
	return r > 0 ? r : 0;
}

int tree_find(const struct call *c, pid_t id, struct member *ret_m)
{
	struct search f = { .s = c->s, .id = id, .ret_m = ret_m, .result = ESRCH };
	struct caller_status st;
	int r;

	if (id <= 0)
		return ESRCH;
	r = caller_status(c->s->proc_fd, c->ev.tid, &st);
	if (r < 0)
		return r;
	/* One namespace, one number. */
	if (st.guest_tid == c->ev.tid) {
		r = hold(c->s, id, id, ret_m);
		/* The first process is gabion's (or the guest's own, who may name itself). Where the guest counts as we do nothing
		 * but us keeps it from the guest. */
		if (r == 0 && ret_m->tgid == c->s->init && st.tgid != c->s->init) {
			member_clear(ret_m);
			*ret_m = MEMBER_NULL;
			r = EPERM;
		}
		return r;
	}
	r = each_number(c->s->proc_fd, ".", search_process, &f);
	return r < 0 ? r : f.result;
}

struct each {
	const struct sentry *s;
	int (*fn)(void *arg, const struct member *m, pid_t group);
	void *arg;
};

static int each_process(void *arg, pid_t tgid)
{
	const struct each *e = arg;
	AUTO_MEMBER struct member m = { .pidfd = (int)syscall(NR_pidfd_open, tgid, 0),
					.tid = tgid,
					.tgid = tgid };
	pid_t group;

	if (m.pidfd < 0 || !tree_has(e->s, tgid) || !member_lives(&m))
		return 0;
	group = getpgid(tgid);
	return e->fn(e->arg, &m, group);
}

int tree_each(const struct sentry *s, int (*fn)(void *arg, const struct member *m, pid_t group), void *arg)
{
	struct each e = { .s = s, .fn = fn, .arg = arg };

	return each_number(s->proc_fd, ".", each_process, &e);
}
