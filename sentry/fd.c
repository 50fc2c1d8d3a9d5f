/*
 * fchmod, fchown, fsetxattr, fremovexattr: changes of an object through a descriptor that need not be open
 * for writing, so that who may read a protected file could change it (a hook without its x bit is a hook that
 * does not run). The caller's descriptor is duplicated; what the duplicate is called is judged as being written, and
 * the duplicate is changed. What has no path (a pipe, a socket, a memory file) is the caller's own.
 *
 * memfd_create: made here without the right to be executed, for good (MFD_NOEXEC_SEAL, 6.3), since nothing
 * keeps a sibling from putting such a descriptor under the number or the path that an exec was permitted for.
 * It can be mapped for execution as before, as any memory can. Who did not ask for seals gets none but that
 * one. Older kernels know no such flag; there only the exec family refuses it. Where the policy says that memory files
 * may execute they are made as asked for.
 *
 * Syscalls: fchmod, fchown, fsetxattr, fremovexattr, memfd_create, fcntl, fstat, and memory for the value.
 */
#include "sentry/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sentry/fs.h"
#include "util/err.h"
#include "util/fd.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#define MFD_EXEC	0x0010U
#endif

/* A duplicate of descriptor 0 of the call. True where there is one. */
static bool take(struct call *c, int *ret_dup, struct reply *ret_reply)
{
	AUTO_FD int dup = -1;
	int r, flags;

	r = fs_getfd(c, (int)c->ev.args[0], &dup);
	if (r != 0) {
		*ret_reply = call_fail(c, r);
		return false;
	}
	flags = fcntl(dup, F_GETFL);
	if (flags < 0 || (flags & O_PATH) != 0) {
		*ret_reply = reply_deny(EBADF);
		return false;
	}
	*ret_dup = fd_steal(&dup);
	return true;
}

bool fd_permit(struct call *c, int dup, struct reply *ret_reply)
{
	AUTO_OBJECT struct object o;
	int r = path_of_held(c, dup, &o);

	if (r != 0) {
		*ret_reply = call_fail(c, r);
		return false;
	}
	return fs_permit(c, 0, OP_WRITE, &o, ret_reply) && fs_ready(c, ret_reply);
}

struct reply fd_fchmod(struct call *c)
{
	AUTO_FD int dup = -1;
	struct reply reply;
	struct stat st;

	if (!take(c, &dup, &reply) || !fd_permit(c, dup, &reply))
		return reply;
	if (fstat(dup, &st) < 0)
		return fs_answer(-1);
	return fs_answer(fchmod(dup, fs_mode((mode_t)(uint16_t)c->ev.args[1], S_ISDIR(st.st_mode))));
}

struct reply fd_fchown(struct call *c)
{
	AUTO_FD int dup = -1;
	struct reply reply;

	if (!take(c, &dup, &reply) || !fd_permit(c, dup, &reply))
		return reply;
	return fs_answer_chown(fchown(dup, (uid_t)c->ev.args[1], (gid_t)c->ev.args[2]));
}

struct reply fd_fsetxattr(struct call *c)
{
	char name[FS_XATTR_NAME_MAX + 1];
	AUTO_FREE void *value = NULL;
	uint64_t size = c->ev.args[3];
	AUTO_FD int dup = -1;
	struct reply reply;
	int r;

	if (((unsigned int)c->ev.args[4] & ~(unsigned int)(XATTR_CREATE | XATTR_REPLACE)) != 0)
		return reply_deny(EINVAL);
	r = fs_read_xattr_name(c, c->ev.args[1], name);
	if (r != 0)
		return fs_fault(r);
	if (size > FS_XATTR_MAX)
		return reply_deny(E2BIG);
	if (size > 0) {
		value = malloc(size);
		if (value == NULL)
			return reply_deny(ENOMEM);
		r = call_read(c, c->ev.args[2], value, size);
		if (r != 0)
			return fs_fault(r);
	}
	if (!take(c, &dup, &reply) || !fd_permit(c, dup, &reply))
		return reply;
	return fs_answer(fsetxattr(dup, name, value, size, (int)c->ev.args[4]));
}

struct reply fd_fremovexattr(struct call *c)
{
	char name[FS_XATTR_NAME_MAX + 1];
	AUTO_FD int dup = -1;
	struct reply reply;
	int r;

	r = fs_read_xattr_name(c, c->ev.args[1], name);
	if (r != 0)
		return fs_fault(r);
	if (!take(c, &dup, &reply) || !fd_permit(c, dup, &reply))
		return reply;
	return fs_answer(fremovexattr(dup, name));
}

struct reply fd_memfd_create(struct call *c)
{
	enum { NAME_LEN = NAME_MAX - 6 }; /* "memfd:" */
	unsigned int flags = (unsigned int)c->ev.args[1], made;
	unsigned int sizes = (flags & MFD_HUGETLB) != 0 ? (unsigned int)MFD_HUGE_MASK << MFD_HUGE_SHIFT : 0U;
	char name[NAME_LEN + 1];
	AUTO_FD int fd = -1;
	int r;

	if ((flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_NOEXEC_SEAL | MFD_EXEC | sizes)) !=
		    0 ||
	    (flags & (MFD_NOEXEC_SEAL | MFD_EXEC)) == (MFD_NOEXEC_SEAL | MFD_EXEC))
		return reply_deny(EINVAL);
	r = fs_read_str(c, c->ev.args[0], name, sizeof(name));
	if (r != 0)
		return r == ENAMETOOLONG ? reply_deny(EINVAL) : fs_fault(r);
	made = c->s->memfd_exec ? flags | MFD_CLOEXEC : (flags & ~MFD_EXEC) | MFD_CLOEXEC | MFD_NOEXEC_SEAL;
	fd = memfd_create(name, made);
	if (fd >= 0 && !c->s->memfd_exec && (flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) < 0)
		return fs_answer(-1);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags | MFD_CLOEXEC);
	if (fd < 0)
		return fs_answer(-1);
	return reply_fd(fd_steal(&fd), (flags & MFD_CLOEXEC) != 0 ? O_CLOEXEC : 0);
}
