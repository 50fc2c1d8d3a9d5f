/*
 * Changing what an object is like: truncate, modes, owners, times. The object is held, the rule about writing
 * is asked about its canonical path, and the call is made on "self/fd/N" in the sentry's own procfs, which
 * leads to the held object and nowhere else, also where that object is a symlink. So no name is looked up
 * twice.
 *
 * An empty path (AT_EMPTY_PATH) or none (utimensat) names the caller's descriptor; its path is judged all the
 * same, since these changes ask for no descriptor opened for writing.
 *
 * truncate() breaks leases and waits for that, so a helper does it. It also is held to the caller's RLIMIT_FSIZE.
 *
 * Syscalls: truncate, faccessat2, fchmodat, fchownat, utimensat, fchdir, and what caller.c uses.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/utime.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "sentry/caller.h"
#include "sentry/fd.h"
#include "sentry/fs.h"
#include "sentry/fs_change_keys.h"
#include "util/err.h"
#include "util/fd.h"

#define AT_PATH_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)

static bool resolve(struct call *c, int dirfd, unsigned int at_flags, struct object *ret_obj, struct reply *ret_reply)
{
	unsigned int flags = ((at_flags & AT_SYMLINK_NOFOLLOW) != 0 ? PATH_NOFOLLOW : 0) |
			     ((at_flags & AT_EMPTY_PATH) != 0 ? PATH_EMPTY : 0);

	return fs_resolve(c, 0, dirfd, flags, ret_obj, ret_reply);
}

/* Resolution, permission and readiness of a change to path 0; RET_PATH is relative to the sentry's procfs. */
static bool hold(struct call *c, int dirfd, unsigned int at_flags, struct object *ret_obj, char ret_path[32],
		 struct reply *ret_reply)
{
	if (!resolve(c, dirfd, at_flags, ret_obj, ret_reply) ||
	    !fs_permit(c, 0, OP_WRITE, ret_obj, ret_reply) || !fs_ready(c, ret_reply))
		return false;
	path_of_fd(ret_obj->fd, ret_path);
	return true;
}

/* On a helper: somebody's lease on the file is broken, which takes as long as its holder takes. */
static struct reply truncate_blocking(struct call *c)
{
	char path[32];
	int r = fs_enter_fds(c);

	if (r == 0 && call_alive(c) != 0)
		r = -EINTR;
	if (r != 0)
		return call_fail(c, r);
	path_of_fd(c->held[0], path);
	if (truncate(path, (off_t)c->ev.args[1]) == 0)
		return reply_value(0);
	return errno == EINTR ? reply_restart() : fs_answer(-1);
}

/* Whether LENGTH is more than the caller may let a file grow to; its limit does not bind us. */
static bool beyond_limit(const struct call *c, const struct stat *st, uint64_t length)
{
	uint64_t limit;

	return S_ISREG(st->st_mode) && length > (uint64_t)st->st_size && caller_limit(c, RLIMIT_FSIZE, &limit) == 0 &&
	       length > limit;
}

struct reply fs_change_truncate(struct call *c)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	struct stat st;
	char path[32];

	if ((int64_t)c->ev.args[1] < 0)
		return reply_deny(EINVAL);
	if (!hold(c, AT_FDCWD, 0, &o, path, &reply))
		return reply;
	if (fstat(o.fd, &st) < 0)
		return fs_answer(-1);
	if (beyond_limit(c, &st, c->ev.args[1])) {
		if (syscall(SYS_faccessat2, o.fd, "", W_OK, AT_EACCESS | AT_EMPTY_PATH) < 0)
			return fs_answer(-1);
		caller_raise(c, SIGXFSZ);
		return reply_deny(EFBIG);
	}
	c->held[0] = fd_steal(&o.fd);
	return call_handoff(c, truncate_blocking);
}

static struct reply do_chmod(struct call *c, int dirfd, mode_t mode, unsigned int flags)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	struct stat st;
	char path[32];

	if ((flags & ~(unsigned int)AT_PATH_FLAGS) != 0)
		return reply_deny(EINVAL);
	if (!resolve(c, dirfd, flags, &o, &reply))
		return reply;
	if (fstat(o.fd, &st) < 0)
		return fs_answer(-1);
	if ((!keys_chmod(c, &o, &st, mode) && !fs_permit(c, 0, OP_WRITE, &o, &reply)) || !fs_ready(c, &reply))
		return reply;
	path_of_fd(o.fd, path);
	mode = fs_mode(mode, S_ISDIR(st.st_mode));
	return fs_answer(syscall(SYS_fchmodat, c->s->fds_fd, path, mode));
}

struct reply fs_change_chmod(struct call *c)
{
	return do_chmod(c, AT_FDCWD, (mode_t)(uint16_t)c->ev.args[1], 0);
}

struct reply fs_change_fchmodat(struct call *c)
{
	return do_chmod(c, (int)c->ev.args[0], (mode_t)(uint16_t)c->ev.args[2], 0);
}

struct reply fs_change_fchmodat2(struct call *c)
{
	return do_chmod(c, (int)c->ev.args[0], (mode_t)(uint16_t)c->ev.args[2], (unsigned int)c->ev.args[3]);
}

static struct reply do_chown(struct call *c, int dirfd, uid_t uid, gid_t gid, unsigned int flags)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	char path[32];

	if ((flags & ~(unsigned int)AT_PATH_FLAGS) != 0)
		return reply_deny(EINVAL);
	if (!hold(c, dirfd, flags, &o, path, &reply))
		return reply;
	return fs_answer_chown(fchownat(c->s->fds_fd, path, uid, gid, 0));
}

struct reply fs_change_chown(struct call *c)
{
	return do_chown(c, AT_FDCWD, (uid_t)c->ev.args[1], (gid_t)c->ev.args[2], 0);
}

struct reply fs_change_lchown(struct call *c)
{
	return do_chown(c, AT_FDCWD, (uid_t)c->ev.args[1], (gid_t)c->ev.args[2], AT_SYMLINK_NOFOLLOW);
}

struct reply fs_change_fchownat(struct call *c)
{
	return do_chown(c, (int)c->ev.args[0], (uid_t)c->ev.args[2], (gid_t)c->ev.args[3],
			(unsigned int)c->ev.args[4]);
}

/* Times of a descriptor, as fd.c does it; O_PATH is EBADF for this call. */
static struct reply utime_fd(struct call *c, int fd, const struct timespec *times, unsigned int flags)
{
	AUTO_FD int dup = -1;
	struct reply reply;
	int r;

	if (flags != 0)
		return reply_deny(EINVAL);
	r = fs_getfd(c, fd, &dup);
	if (r != 0)
		return call_fail(c, r);
	if (!fd_permit(c, dup, &reply))
		return reply;
	return fs_answer(syscall(SYS_utimensat, dup, NULL, times, 0));
}

static struct reply do_utime(struct call *c, int dirfd, bool no_path, const struct timespec *times,
			     unsigned int flags)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	char path[32];

	if (no_path && dirfd != AT_FDCWD)
		return utime_fd(c, dirfd, times, flags);
	if ((flags & ~(unsigned int)AT_PATH_FLAGS) != 0)
		return reply_deny(EINVAL);
	if (!hold(c, dirfd, flags, &o, path, &reply))
		return reply;
	return fs_answer(syscall(SYS_utimensat, c->s->fds_fd, path, times, 0));
}

struct reply fs_change_utimensat(struct call *c)
{
	uint64_t addr = c->ev.args[2];
	struct timespec times[2];
	int r;

	if (addr != 0) {
		r = call_read(c, addr, times, sizeof(times));
		if (r != 0)
			return fs_fault(r);
		/* Nothing to do is done before anything else is looked at. */
		if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
			return reply_value(0);
	}
	return do_utime(c, (int)c->ev.args[0], c->ev.args[1] == 0, addr != 0 ? times : NULL,
			(unsigned int)c->ev.args[3]);
}

static struct reply do_utimes(struct call *c, int dirfd, bool no_path, uint64_t addr)
{
	struct timespec times[2];
	struct timeval tv[2];
	int r;

	if (addr == 0)
		return do_utime(c, dirfd, no_path, NULL, 0);
	r = call_read(c, addr, tv, sizeof(tv));
	if (r != 0)
		return fs_fault(r);
	for (int i = 0; i < 2; i++) {
		if (tv[i].tv_usec < 0 || tv[i].tv_usec >= 1000000)
			return reply_deny(EINVAL);
		times[i] = (struct timespec){.tv_sec = tv[i].tv_sec, .tv_nsec = tv[i].tv_usec * 1000};
	}
	return do_utime(c, dirfd, no_path, times, 0);
}

struct reply fs_change_utimes(struct call *c)
{
	return do_utimes(c, AT_FDCWD, false, c->ev.args[1]);
}

struct reply fs_change_futimesat(struct call *c)
{
	return do_utimes(c, (int)c->ev.args[0], c->ev.args[1] == 0, c->ev.args[2]);
}

struct reply fs_change_utime(struct call *c)
{
	struct timespec times[2] = {{0}, {0}};
	struct utimbuf buf;
	int r;

	if (c->ev.args[1] == 0)
		return do_utime(c, AT_FDCWD, false, NULL, 0);
	r = call_read(c, c->ev.args[1], &buf, sizeof(buf));
	if (r != 0)
		return fs_fault(r);
	times[0].tv_sec = buf.actime;
	times[1].tv_sec = buf.modtime;
	return do_utime(c, AT_FDCWD, false, times, 0);
}
