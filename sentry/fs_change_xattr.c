/*
 * Changing extended attributes and file attributes: like every change a write to the canonical path, made on
 * the held object through the sentry's own procfs (see fs_meta_xattr.c). Flags, name, size and value are
 * looked at before the path, as Linux does since 6.13.
 *
 * Syscalls: setxattr, removexattr, file_setattr, fchdir, and memory for the value.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sentry/fs.h"
#include "util/err.h"
#include "util/fd.h"

#ifndef SYS_file_setattr
#define SYS_file_setattr 469
#endif

#define AT_XATTR_FLAGS (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)

/* Holds path 0 for a change and makes "self/fd/N" of it, relative to the thread's working directory from now
 * on. */
static bool hold(struct call *c, int dirfd, unsigned int at_flags, struct object *ret_obj, char ret_path[32],
		 struct reply *ret_reply)
{
	unsigned int flags = ((at_flags & AT_SYMLINK_NOFOLLOW) != 0 ? PATH_NOFOLLOW : 0) |
			     ((at_flags & AT_EMPTY_PATH) != 0 ? PATH_EMPTY : 0);
	int r;

	if (!fs_resolve(c, 0, dirfd, flags, ret_obj, ret_reply) ||
	    !fs_permit(c, 0, OP_WRITE, ret_obj, ret_reply) || !fs_ready(c, ret_reply))
		return false;
	r = fs_enter_fds(c);
	if (r != 0) {
		*ret_reply = call_fail(c, r);
		return false;
	}
	path_of_fd(ret_obj->fd, ret_path);
	return true;
}

static struct reply do_set(struct call *c, int dirfd, unsigned int at_flags, uint64_t name_addr,
			   const struct fs_xattr_args *args)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	char name[FS_XATTR_NAME_MAX + 1], path[32];
	AUTO_FREE void *value = NULL;
	struct reply reply;
	int r;

	if ((args->flags & ~(unsigned int)(XATTR_CREATE | XATTR_REPLACE)) != 0)
		return reply_deny(EINVAL);
	r = fs_read_xattr_name(c, name_addr, name);
	if (r != 0)
		return fs_fault(r);
	if (args->size > FS_XATTR_MAX)
		return reply_deny(E2BIG);
	if (args->size > 0) {
		value = malloc(args->size);
		if (value == NULL)
			return reply_deny(ENOMEM);
		r = call_read(c, args->value, value, args->size);
		if (r != 0)
			return fs_fault(r);
	}
	if (!hold(c, dirfd, at_flags, &o, path, &reply))
		return reply;
	return fs_answer(setxattr(path, name, value, args->size, (int)args->flags));
}

/* The size argument of the old calls is 64 bits wide: what does not fit the struct is too big anyway. */
static struct reply set_by_path(struct call *c, unsigned int at_flags)
{
	struct fs_xattr_args args = {
		.value = c->ev.args[2],
		.size = c->ev.args[3] > FS_XATTR_MAX ? FS_XATTR_MAX + 1 : (uint32_t)c->ev.args[3],
		.flags = (uint32_t)c->ev.args[4],
	};

	return do_set(c, AT_FDCWD, at_flags, c->ev.args[1], &args);
}

struct reply fs_change_setxattr(struct call *c)
{
	return set_by_path(c, 0);
}

struct reply fs_change_lsetxattr(struct call *c)
{
	return set_by_path(c, AT_SYMLINK_NOFOLLOW);
}

struct reply fs_change_setxattrat(struct call *c)
{
	unsigned int flags = (unsigned int)c->ev.args[2];
	struct fs_xattr_args args;
	int r;

	r = fs_read_xattr_args(c, c->ev.args[4], c->ev.args[5], &args);
	if (r != 0)
		return fs_fault(r);
	if ((flags & ~(unsigned int)AT_XATTR_FLAGS) != 0)
		return reply_deny(EINVAL);
	return do_set(c, (int)c->ev.args[0], flags, c->ev.args[3], &args);
}

static struct reply do_remove(struct call *c, int dirfd, unsigned int at_flags, uint64_t name_addr)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	char name[FS_XATTR_NAME_MAX + 1], path[32];
	struct reply reply;
	int r;

	r = fs_read_xattr_name(c, name_addr, name);
	if (r != 0)
		return fs_fault(r);
	if (!hold(c, dirfd, at_flags, &o, path, &reply))
		return reply;
	return fs_answer(removexattr(path, name));
}

struct reply fs_change_removexattr(struct call *c)
{
	return do_remove(c, AT_FDCWD, 0, c->ev.args[1]);
}

struct reply fs_change_lremovexattr(struct call *c)
{
	return do_remove(c, AT_FDCWD, AT_SYMLINK_NOFOLLOW, c->ev.args[1]);
}

struct reply fs_change_removexattrat(struct call *c)
{
	unsigned int flags = (unsigned int)c->ev.args[2];

	if ((flags & ~(unsigned int)AT_XATTR_FLAGS) != 0)
		return reply_deny(EINVAL);
	return do_remove(c, (int)c->ev.args[0], flags, c->ev.args[3]);
}

/* The kernel we run on checks what a longer struct holds. */
struct reply fs_change_file_setattr(struct call *c)
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
	r = call_read(c, c->ev.args[2], attr, (size_t)size);
	if (r != 0)
		return fs_fault(r);
	if (!hold(c, (int)c->ev.args[0], flags, &o, path, &reply))
		return reply;
	return fs_answer(syscall(SYS_file_setattr, c->s->fds_fd, path, attr, (size_t)size, 0));
}
