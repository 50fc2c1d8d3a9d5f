/*
 * What a path is: stat and its like, access, readlink, statfs. Each resolves to a held object, asks the
 * policy for OP_STAT, and asks the kernel about the held object with the same call on its descriptor, so that
 * permissions, clocks and layouts are the kernel's own.
 *
 * An empty path with AT_EMPTY_PATH is a question about a descriptor the caller already holds: fstat() by
 * another name, which no rule speaks of. access() asks what the caller could do, so the policy's answer joins
 * the kernel's; it is no attempt, and so is not recorded as refused when only the wish (write, execute) is.
 *
 * Syscalls: fstat, newfstatat, statx, fstatfs, faccessat2, name_to_handle_at.
 */
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/fs.h"
#include "util/err.h"
#include "util/fd.h"

#define STAT_FLAGS (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)

_Static_assert(sizeof(struct stat) == 144, "struct stat is the kernel's");
_Static_assert(sizeof(struct statx) == 256, "struct statx is the kernel's");
_Static_assert(sizeof(struct statfs) == 120, "struct statfs is the kernel's");

/* Writes an answer of LEN bytes at ADDR. */
static struct reply give(const struct call *c, uint64_t addr, const void *buf, size_t len, long value)
{
	int r = call_write(c, addr, buf, len);

	return r == 0 ? reply_value(value) : fs_fault(r);
}

/* Linux 6.11 takes a NULL path for an empty one; this asks the kernel we run on. */
static bool null_path_counts(const struct call *c, unsigned int flags)
{
	struct stat st;

	return (flags & AT_EMPTY_PATH) != 0 && c->path_err[0] == EFAULT && c->ev.args[1] == 0 &&
	       syscall(SYS_newfstatat, c->s->proc_fd, NULL, &st, AT_EMPTY_PATH) == 0;
}

/* Resolution and permission of a question about path 0. Looking is no effect; the answer is given to a caller that
 * still waits (call_write()). */
static bool ask(struct call *c, int dirfd, unsigned int flags, struct object *ret_obj,
		struct reply *ret_reply)
{
	if (!fs_resolve_at(c, dirfd, flags, null_path_counts(c, flags), ret_obj, ret_reply) ||
	    !fs_permit(c, 0, OP_STAT, ret_obj, ret_reply))
		return false;
	if (c->level != LEVEL_OBSERVE)
		return true;
	*ret_reply = reply_continue(c);
	return false;
}

static struct reply do_stat(struct call *c, int dirfd, unsigned int flags, uint64_t out)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	unsigned int unknown;
	struct reply reply;
	struct stat st;

	unknown = flags & ~(unsigned int)STAT_FLAGS;
	/* With an empty path, whether they are looked at depends on the kernel. */
	if (unknown != 0 && ((flags & AT_EMPTY_PATH) == 0 || c->path_err[0] != 0 || c->path[0][0] != '\0'))
		return reply_deny(EINVAL);
	if (!ask(c, dirfd, flags, &o, &reply))
		return reply;
	if (unknown != 0 ? syscall(SYS_newfstatat, o.fd, "", &st, unknown | AT_EMPTY_PATH) < 0 : object_stat(&o, &st) < 0)
		return fs_answer(-1);
	return give(c, out, &st, sizeof(st), 0);
}

struct reply fs_meta_stat(struct call *c)
{
	return do_stat(c, AT_FDCWD, 0, c->ev.args[1]);
}

struct reply fs_meta_lstat(struct call *c)
{
	return do_stat(c, AT_FDCWD, AT_SYMLINK_NOFOLLOW, c->ev.args[1]);
}

struct reply fs_meta_newfstatat(struct call *c)
{
	return do_stat(c, (int)c->ev.args[0], (unsigned int)c->ev.args[3], c->ev.args[2]);
}

struct reply fs_meta_statx(struct call *c)
{
	unsigned int flags = (unsigned int)c->ev.args[2], mask = (unsigned int)c->ev.args[3];
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	struct statx stx;

	if ((mask & STATX__RESERVED) != 0 || (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE ||
	    (flags & ~(unsigned int)STAT_FLAGS) != 0)
		return reply_deny(EINVAL);
	if (!ask(c, (int)c->ev.args[0], flags, &o, &reply))
		return reply;
	memset(&stx, 0, sizeof(stx));
	if (statx(o.fd, "", (int)((flags & AT_STATX_SYNC_TYPE) | AT_EMPTY_PATH), mask, &stx) < 0)
		return fs_answer(-1);
	return give(c, c->ev.args[4], &stx, sizeof(stx), 0);
}

struct reply fs_meta_statfs(struct call *c)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	struct statfs sfs;

	if (!ask(c, AT_FDCWD, 0, &o, &reply))
		return reply;
	memset(&sfs, 0, sizeof(sfs));
	if (syscall(SYS_fstatfs, o.fd, &sfs) < 0)
		return fs_answer(-1);
	return give(c, c->ev.args[1], &sfs, sizeof(sfs), 0);
}

/* The errno the policy would answer if O were used as MODE asks; 0: it would not refuse. */
static int policy_access(const struct call *c, const struct object *o, unsigned int mode)
{
	static const struct {
		unsigned int bit;
		enum op op;
	} wish[] = {{R_OK, OP_READ}, {W_OK, OP_WRITE}, {X_OK, OP_EXEC}};
	struct stat st;

	if (o->path_len == 0 || o->path[0] != '/' || object_stat(o, &st) < 0)
		return 0;
	/* No rule speaks of searching a directory, and what is written to a device is not its file system's.
	 */
	if (S_ISDIR(st.st_mode))
		mode &= ~(unsigned int)X_OK;
	/* A link is what it is; rules speak of what it leads to. */
	if (S_ISLNK(st.st_mode))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(wish); i++) {
		struct verdict v;

		if ((mode & wish[i].bit) == 0)
			continue;
		v = policy_path(c->policy, wish[i].op, o->path, o->path_len);
		if (v.kind != VERDICT_ALLOW)
			return v.err != 0 ? v.err : EACCES;
	}
	return 0;
}

static struct reply do_access(struct call *c, int dirfd, unsigned int mode, unsigned int flags)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	int err;

	if ((mode & ~(unsigned int)(R_OK | W_OK | X_OK)) != 0 ||
	    (flags & ~(unsigned int)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) != 0)
		return reply_deny(EINVAL);
	if (!ask(c, dirfd, flags, &o, &reply))
		return reply;
	if (syscall(SYS_faccessat2, o.fd, "", mode, (flags & AT_EACCESS) | AT_EMPTY_PATH) < 0)
		return fs_answer(-1);
	err = policy_access(c, &o, mode);
	return err == 0 ? reply_value(0) : reply_deny(err);
}

struct reply fs_meta_access(struct call *c)
{
	return do_access(c, AT_FDCWD, (unsigned int)c->ev.args[1], 0);
}

struct reply fs_meta_faccessat(struct call *c)
{
	return do_access(c, (int)c->ev.args[0], (unsigned int)c->ev.args[2], 0);
}

struct reply fs_meta_faccessat2(struct call *c)
{
	return do_access(c, (int)c->ev.args[0], (unsigned int)c->ev.args[2], (unsigned int)c->ev.args[3]);
}

static struct reply do_readlink(struct call *c, int dirfd, uint64_t out, int size)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;
	char buf[PATH_MAX];
	struct stat st;
	size_t n;
	int r;

	if (size <= 0)
		return reply_deny(EINVAL);
	if (!ask(c, dirfd, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, &o, &reply))
		return reply;
	if (object_stat(&o, &st) < 0)
		return fs_answer(-1);
	/* With an empty path Linux says ENOENT of what is no link, so our own call below cannot tell. */
	if (!S_ISLNK(st.st_mode))
		return reply_deny(c->path[0][0] == '\0' ? ENOENT : EINVAL);
	r = path_readlink(c, &o, buf, sizeof(buf), &n);
	if (r != 0)
		return call_fail(c, r);
	if (n > (size_t)size)
		n = (size_t)size;
	return give(c, out, buf, n, (long)n);
}

struct reply fs_meta_readlink(struct call *c)
{
	return do_readlink(c, AT_FDCWD, c->ev.args[1], (int)c->ev.args[2]);
}

struct reply fs_meta_readlinkat(struct call *c)
{
	return do_readlink(c, (int)c->ev.args[0], c->ev.args[2], (int)c->ev.args[3]);
}

/* A handle is no way in (open_by_handle_at is refused): programs compare handles and mount ids. */
struct reply fs_meta_name_to_handle_at(struct call *c)
{
	enum { MNT_ID_UNIQUE = 1, CONNECTABLE = 2, FID = 0x200 };
	unsigned int flags = (unsigned int)c->ev.args[4], inner = flags & (MNT_ID_UNIQUE | CONNECTABLE | FID);
	AUTO_OBJECT struct object o = OBJECT_NULL;
	union {
		struct file_handle h;
		char raw[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} fh;
	uint64_t mount_id = 0;
	struct reply reply;
	int r, err = 0;
	size_t len;

	if ((flags &
	     ~(unsigned int)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH | MNT_ID_UNIQUE | CONNECTABLE | FID)) != 0)
		return reply_deny(EINVAL);
	if (!ask(c, (int)c->ev.args[0],
		 (flags & AT_EMPTY_PATH) | ((flags & AT_SYMLINK_FOLLOW) != 0 ? 0 : AT_SYMLINK_NOFOLLOW), &o,
		 &reply))
		return reply;
	memset(&fh, 0, sizeof(fh));
	r = call_read(c, c->ev.args[2], &fh.h, sizeof(fh.h));
	if (r != 0)
		return fs_fault(r);
	if (fh.h.handle_bytes > MAX_HANDLE_SZ)
		return reply_deny(EINVAL);
	len = fh.h.handle_bytes;
	if (syscall(SYS_name_to_handle_at, o.fd, "", &fh.h, &mount_id, inner | AT_EMPTY_PATH) < 0)
		err = -err_now();
	if (err != 0 && err != EOVERFLOW)
		return reply_deny(err);
	if (err == EOVERFLOW)
		len = 0;
	else if (fh.h.handle_bytes < len)
		len = fh.h.handle_bytes;
	r = call_write(c, c->ev.args[3], &mount_id, (flags & MNT_ID_UNIQUE) != 0 ? 8 : 4);
	if (r == 0)
		r = call_write(c, c->ev.args[2], &fh, sizeof(struct file_handle) + len);
	if (r != 0)
		return fs_fault(r);
	return err != 0 ? reply_deny(err) : reply_value(0);
}
