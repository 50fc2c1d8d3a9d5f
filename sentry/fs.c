/*
 * The steps every handler of files takes, written once. Where the plan only observes, a path that does not
 * resolve is left to the kernel, which answers it with its own errno: nothing can happen to what is not
 * there.
 *
 * Syscalls: fchdir, umask, statx, and what path.c and caller.c use.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/fs.h"
#include "util/err.h"
#include "util/fd.h"

static struct reply unresolved(struct call *c, int r)
{
	if (r > 0 && c->level == LEVEL_OBSERVE)
		return reply_continue(c);
	return call_fail(c, r);
}

bool fs_resolve(struct call *c, int index, int dirfd, unsigned int flags, struct object *ret_obj,
		struct reply *ret_reply)
{
	int r = c->path_err[index];

	if (r == 0)
		r = path_resolve(c, dirfd, c->path[index], flags, ret_obj);
	if (r == 0)
		return true;
	*ret_reply = unresolved(c, r);
	return false;
}

/*
 * What the caller's descriptor FD is, as O_PATH: enough to ask about it, and there where pidfd_getfd is refused (a
 * container's default profile).
 */
static int by_name(struct call *c, int fd, int *ret_fd)
{
	char name[48];

	(void)snprintf(name, sizeof(name), "%d/fd/%d", (int)c->ev.tid, fd);
	AUTO_FD int held = openat(c->s->proc_fd, name, O_PATH | O_CLOEXEC);
	if (held < 0)
		return errno == ENOENT ? EBADF : err_now();
	/* It was the caller's if that waits still. */
	if (call_alive(c) != 0)
		return -ESRCH;
	*ret_fd = fd_steal(&held);
	return 0;
}

bool fs_resolve_at(struct call *c, int dirfd, unsigned int at_flags, bool null_path, struct object *ret_obj,
		   struct reply *ret_reply)
{
	unsigned int flags = (at_flags & AT_SYMLINK_NOFOLLOW) != 0 ? PATH_NOFOLLOW : 0;
	bool empty = c->path_err[0] == 0 && c->path[0][0] == '\0';
	int r;

	if ((at_flags & AT_EMPTY_PATH) == 0 || !(empty || null_path))
		return fs_resolve(c, 0, dirfd, flags, ret_obj, ret_reply);
	if (dirfd >= 0) {
		struct object o = OBJECT_NULL;

		r = fs_getfd(c, dirfd, &o.fd);
		if (r == -EPERM || r == -EACCES || r == -ENOSYS)
			r = by_name(c, dirfd, &o.fd);
		if (r == 0) {
			o.magic = true;
			*ret_obj = o;
			return true;
		}
		*ret_reply = unresolved(c, r);
		return false;
	}
	r = path_resolve(c, dirfd, "", flags | PATH_EMPTY, ret_obj);
	if (r == 0)
		return true;
	*ret_reply = unresolved(c, r);
	return false;
}

bool fs_permit(struct call *c, int index, enum op op, const struct object *o, struct reply *ret_reply)
{
	struct verdict v;

	if (o->path_len == 0)
		return true;
	v = path_judge(c, index, op, o);
	if (v.kind == VERDICT_ALLOW)
		return true;
	*ret_reply = call_refuse(c, v);
	return false;
}

bool fs_ready(struct call *c, struct reply *ret_reply)
{
	if (c->level == LEVEL_OBSERVE) {
		*ret_reply = reply_continue(c);
		return false;
	}
	if (call_alive(c) != 0) {
		*ret_reply = reply_deny(EINTR);
		return false;
	}
	return true;
}

struct reply fs_answer(long r)
{
	return r < 0 ? reply_deny(-err_now()) : reply_value(r);
}

bool fs_same_mount(int a, int b)
{
	struct statx x, y;

	return statx(a, "", AT_EMPTY_PATH, STATX_MNT_ID, &x) < 0 || statx(b, "", AT_EMPTY_PATH, STATX_MNT_ID, &y) < 0 ||
	       x.stx_mnt_id == y.stx_mnt_id;
}

struct reply fs_answer_chown(int r)
{
	return r < 0 && (errno == EINVAL || errno == EOVERFLOW) ? reply_deny(EPERM) : fs_answer(r);
}

struct reply fs_fault(int r)
{
	return reply_deny(r > 0 ? r : EINTR);
}

int fs_getfd(struct call *c, int fd, int *ret_fd)
{
	int r = call_getfd(c, fd, ret_fd);

	return r == -EBADF ? EBADF : r;
}

int fs_read_str(const struct call *c, uint64_t addr, char *buf, size_t size)
{
	int r = call_mech(c)->ops->read_str(call_mech(c), &c->ev, addr, buf, size);

	if (r == MECH_E_GONE)
		return -ESRCH;
	return r == -EFAULT || r == -ENAMETOOLONG ? -r : r;
}

int fs_umask(struct call *c)
{
	static __thread int ours = -1; /* the thread's own: it has unshared its file system context */
	mode_t mask;
	int r = call_umask(c, &mask);

	if (r < 0)
		return r;
	if (ours != (int)mask)
		(void)umask(mask);
	ours = (int)mask;
	return 0;
}

int fs_enter_fds(const struct call *c)
{
	return fchdir(c->s->fds_fd) < 0 ? err_now() : 0;
}

int fs_read_xattr_name(const struct call *c, uint64_t addr, char ret_name[FS_XATTR_NAME_MAX + 1])
{
	int r = fs_read_str(c, addr, ret_name, FS_XATTR_NAME_MAX + 1);

	if (r == ENAMETOOLONG || (r == 0 && ret_name[0] == '\0'))
		return ERANGE;
	return r;
}

int fs_read_xattr_args(const struct call *c, uint64_t addr, uint64_t usize, struct fs_xattr_args *ret_args)
{
	static const char zero[4096];
	char raw[4096];
	int r;

	if (usize < sizeof(*ret_args))
		return EINVAL;
	if (usize > sizeof(raw))
		return E2BIG;
	r = call_read(c, addr, raw, usize);
	if (r != 0)
		return r;
	if (memcmp(raw + sizeof(*ret_args), zero, usize - sizeof(*ret_args)) != 0)
		return E2BIG;
	memcpy(ret_args, raw, sizeof(*ret_args));
	return 0;
}
