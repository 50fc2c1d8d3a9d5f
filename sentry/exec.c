/*
 * execve, execveat: decided on our copy, refused early with a reason, else continued.
 *
 * The kernel reads the path again, so what is refused here is not what keeps the rule: the floor is (noexec
 * mounts, Landlock), which the plan has made sure of before it says observe. Where it is not, nothing
 * continues: an exec cannot be performed for somebody else.
 */
#include <errno.h>
#include <fcntl.h>

#include "sentry/exec.h"
#include "sentry/path.h"

static struct reply do_exec(struct call *c, int dirfd, uint64_t at_flags)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	unsigned int flags = 0;
	struct verdict v;

	if (c->level < LEVEL_OBSERVE)
		return call_refuse_plain(c, EACCES);
	if (at_flags & AT_SYMLINK_NOFOLLOW)
		flags |= PATH_NOFOLLOW;
	if (at_flags & AT_EMPTY_PATH)
		flags |= PATH_EMPTY;
	/* What leads nowhere gets the kernel's own errno. */
	if (c->path_err[0] != 0 || path_resolve(c, dirfd, c->path[0], flags, &o) != 0)
		return reply_continue(c);
	v = path_judge(c, 0, OP_EXEC, &o);
	return v.kind == VERDICT_ALLOW ? reply_continue(c) : call_refuse(c, v);
}

struct reply exec_execve(struct call *c)
{
	return do_exec(c, AT_FDCWD, 0);
}

struct reply exec_execveat(struct call *c)
{
	return do_exec(c, (int)c->ev.args[0], c->ev.args[4]);
}
