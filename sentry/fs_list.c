/*
 * getdents, getdents64: the entries of a directory the caller holds, without those a hide rule hides. The very description is duplicated,
 * so that the position moves as it does natively; it is read here, what is hidden is taken out of the copy, and the copy is
 * given to the caller. Rules are asked about the name behind the directory's canonical path as it is now.
 *
 * Where a container's filter refuses pidfd_getfd there is only another description, with a position of its own: EACCES.
 *
 * Syscalls: getdents, getdents64, lseek, and what path.c and caller.c use.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/caller.h"
#include "sentry/fs.h"
#include "sentry/path_walk.h"
#include "util/err.h"
#include "util/fd.h"

/* Offsets in the kernel's two structs; both begin with inode, offset and length (getdents(2)). */
enum {
	AT_RECLEN = 16,
	AT_NAME_OLD = 18,
	AT_NAME_64 = 19,
	BUFFER = 32768, /* what the kernel is asked for at once; less than asked for is an answer */
};

/* Whether NAME in the directory DIR, whose text it is put behind, is hidden. */
static bool is_hidden(const struct call *c, struct object *dir, const char *name)
{
	size_t len = dir->path_len == 1 ? 0 : dir->path_len, n = strlen(name);
	struct verdict v;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || len + 1 + n >= sizeof(dir->path))
		return false;
	dir->path[len] = '/';
	memcpy(dir->path + len + 1, name, n + 1);
	v = policy_path(c->policy, OP_STAT, dir->path, len + 1 + n);
	dir->path[dir->path_len] = '\0';
	return v.kind != VERDICT_ALLOW && v.rule != NULL && v.rule->kind == RULE_HIDE;
}

/* Takes hidden entries out of the LEN bytes of BUF; what is left. */
static size_t leave_out(const struct call *c, struct object *dir, char *buf, size_t len, size_t name_at)
{
	size_t to = 0;
	uint16_t n;

	for (size_t from = 0; from < len; from += n) {
		memcpy(&n, buf + from + AT_RECLEN, sizeof(n));
		if (n == 0)
			break;
		if (is_hidden(c, dir, buf + from + name_at))
			continue;
		memmove(buf + to, buf + from, n);
		to += n;
	}
	return to;
}

static struct reply list(struct call *c, long nr, size_t name_at)
{
	unsigned int size = (unsigned int)c->ev.args[2];
	char buf[BUFFER] __attribute__((aligned(8)));
	struct object dir;
	AUTO_FD int fd = -1;
	off_t before;
	size_t left;
	long n;
	int r;

	r = caller_getfd(c, (int)c->ev.args[0], &fd);
	if (r != 0)
		return r == -EBADF ? reply_deny(EBADF) : call_fail(c, r == -EPERM || r == -ENOSYS ? -EACCES : r);
	object_init(&dir);
	before = lseek(fd, 0, SEEK_CUR);
	do {
		n = syscall(nr, fd, buf, size < sizeof(buf) ? size : sizeof(buf));
		if (n <= 0)
			return fs_answer(n);
		/* Only now is it known to be a directory. */
		if (dir.path_len == 0) {
			r = path_name(c, fd, NAME_VERIFY, &dir);
			if (r != 0)
				return call_fail(c, r);
		}
		left = leave_out(c, &dir, buf, (size_t)n, name_at);
	} while (left == 0);
	r = call_write(c, c->ev.args[1], buf, left);
	if (r != 0) {
		/* What was not given is there the next time. */
		(void)lseek(fd, before, SEEK_SET);
		return fs_fault(r);
	}
	return reply_value((long)left);
}

struct reply fs_list_getdents(struct call *c)
{
	return list(c, SYS_getdents, AT_NAME_OLD);
}

struct reply fs_list_getdents64(struct call *c)
{
	return list(c, SYS_getdents64, AT_NAME_64);
}
