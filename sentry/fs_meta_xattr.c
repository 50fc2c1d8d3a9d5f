/*
 * Reading extended attributes and file attributes. The xattr calls take no descriptor opened with O_PATH, so
 * the held object is named by its path in the sentry's own procfs (fs_enter_fds): the link there leads to
 * the very object, also where that is a symlink. Values are copied through a buffer of ours of the caller's
 * size, at most Linux's own limit, so ERANGE and the size probe (size 0) are the kernel's.
 *
 * Syscalls: getxattr, fgetxattr, listxattr, flistxattr, file_getattr, and memory for the buffers.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sentry/fs.h"
#include "util/err.h"
#include "util/fd.h"

#ifndef SYS_file_getattr
#define SYS_file_getattr 468
#endif

#define AT_XATTR_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)

static bool null_path(const struct call *c, unsigned int flags)
{
	return (flags & AT_EMPTY_PATH) != 0 && c->path_err[0] == EFAULT && c->ev.args[1] == 0;
}

static bool ask(struct call *c, int dirfd, unsigned int flags, struct object *ret_obj,
		struct reply *ret_reply)
{
	return fs_resolve_at(c, dirfd, flags, null_path(c, flags), ret_obj, ret_reply) &&
	       fs_permit(c, 0, OP_STAT, ret_obj, ret_reply) && fs_ready(c, ret_reply);
}

/* Reads attribute NAME of the held object, or the list of names where NAME is NULL. */
static struct reply fetch(struct call *c, const struct object *o, const char *name, uint64_t out,
			  uint64_t size)
{
	size_t len = size < FS_XATTR_MAX ? (size_t)size : FS_XATTR_MAX;
	AUTO_FREE char *buf = NULL;
	char path[32];
	ssize_t n;
	int r;

	if (len > 0) {
		buf = malloc(len);
		if (buf == NULL)
			return reply_deny(ENOMEM);
	}
	r = fs_enter_fds(c);
	if (r != 0)
		return call_fail(c, r);
	path_of_fd(o->fd, path);
	n = name != NULL ? getxattr(path, name, buf, len) : listxattr(path, buf, len);
	if (n <= 0 || len == 0)
		return fs_answer(n);
	r = call_write(c, out, buf, (size_t)n);
	return r == 0 ? reply_value(n) : fs_fault(r);
}

static struct reply do_getxattr(struct call *c, int dirfd, unsigned int flags, uint64_t name_addr,
				uint64_t out, uint64_t size)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	char name[FS_XATTR_NAME_MAX + 1];
	struct reply reply;
	int r;

	r = fs_read_xattr_name(c, name_addr, name);
	if (r != 0)
		return fs_fault(r);
	if (!ask(c, dirfd, flags, &o, &reply))
		return reply;
	return fetch(c, &o, name, out, size);
}

static struct reply do_listxattr(struct call *c, int dirfd, unsigned int flags, uint64_t out, uint64_t size)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	struct reply reply;

	if (!ask(c, dirfd, flags, &o, &reply))
		return reply;
	return fetch(c, &o, NULL, out, size);
}

struct reply fs_meta_getxattr(struct call *c)
{
	return do_getxattr(c, AT_FDCWD, 0, c->ev.args[1], c->ev.args[2], c->ev.args[3]);
}

struct reply fs_meta_lgetxattr(struct call *c)
{
	return do_getxattr(c, AT_FDCWD, AT_SYMLINK_NOFOLLOW, c->ev.args[1], c->ev.args[2], c->ev.args[3]);
}

struct reply fs_meta_getxattrat(struct call *c)
{
	unsigned int flags = (unsigned int)c->ev.args[2];
	struct fs_xattr_args args;
	int r;

	r = fs_read_xattr_args(c, c->ev.args[4], c->ev.args[5], &args);
	if (r != 0)
		return fs_fault(r);
	if (args.flags != 0 || (flags & ~(unsigned int)AT_XATTR_FLAGS) != 0)
		return reply_deny(EINVAL);
	return do_getxattr(c, (int)c->ev.args[0], flags, c->ev.args[3], args.value, args.size);
}

struct reply fs_meta_listxattr(struct call *c)
{
	return do_listxattr(c, AT_FDCWD, 0, c->ev.args[1], c->ev.args[2]);
}

struct reply fs_meta_llistxattr(struct call *c)
{
	return do_listxattr(c, AT_FDCWD, AT_SYMLINK_NOFOLLOW, c->ev.args[1], c->ev.args[2]);
}

struct reply fs_meta_listxattrat(struct call *c)
{
	unsigned int flags = (unsigned int)c->ev.args[2];

	if ((flags & ~(unsigned int)AT_XATTR_FLAGS) != 0)
		return reply_deny(EINVAL);
	return do_listxattr(c, (int)c->ev.args[0], flags, c->ev.args[3], c->ev.args[4]);
}

/* A sized struct that grows with the kernel: the kernel we run on fills it, so its size is passed through. */
struct reply fs_meta_file_getattr(struct call *c)
{
	enum { SIZE_MIN = 24, SIZE_MAX_PAGE = 4096 };
	unsigned int flags = (unsigned int)c->ev.args[4];
	uint64_t size = c->ev.args[3];
	AUTO_OBJECT struct object o = OBJECT_NULL;
	char attr[SIZE_MAX_PAGE], path[32];
	struct reply reply;
	int r;

	if ((flags & ~(unsigned int)AT_XATTR_FLAGS) != 0)
		return reply_deny(EINVAL);
	if (size > SIZE_MAX_PAGE)
		return reply_deny(E2BIG);
	if (size < SIZE_MIN)
		return reply_deny(EINVAL);
	if (!ask(c, (int)c->ev.args[0], flags, &o, &reply))
		return reply;
	/* With an empty path it refuses descriptors opened with O_PATH. */
	path_of_fd(o.fd, path);
	if (syscall(SYS_file_getattr, c->s->fds_fd, path, attr, (size_t)size, 0) < 0)
		return fs_answer(-1);
	r = call_write(c, c->ev.args[2], attr, (size_t)size);
	return r == 0 ? reply_value(0) : fs_fault(r);
}
