/*
 * execve, execveat: decided on our copy, refused early with a reason, else left to the kernel, which nobody can replace here.
 *
 * The kernel reads the path again, so what is refused here is not what keeps the rule. Where the plan says observe the floor
 * is (noexec mounts, Landlock). Where it says verify the tracer is: it holds the caller, and what was loaded is compared with
 * what was permitted before its first instruction (exec_chain.c, trace.c); nothing continues without it, and what leads
 * nowhere gets its errno here, for a path can be another one by the time the kernel looks.
 *
 * Rules about arguments are looked at twice: here on a copy, for a refusal with a reason, and at the exec stop on what the
 * program really gets. They are a help against mistakes only.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "sentry/exec.h"
#include "sentry/exec_chain.h"
#include "sentry/path.h"
#include "sentry/trace.h"
#include "util/err.h"

enum {
	CHECK = 0x10000, /* AT_EXECVE_CHECK, 6.14 */
	ARGS_LOOKED_AT = 64,
	ARG_MAX_LEN = 4096,
};

/* Copies the caller's argv[1..], cut to what is looked at. Returns their number; a negative number: it cannot be read. */
static int copy_args(const struct call *c, uint64_t argv, char **ret_args)
{
	int n = 0;

	for (unsigned int i = 1; argv != 0 && i <= ARGS_LOOKED_AT; i++) {
		AUTO_FREE char *text = malloc(ARG_MAX_LEN);
		uint64_t at;
		int r;

		if (text == NULL || call_read(c, argv + i * sizeof(at), &at, sizeof(at)) != 0)
			return -1;
		if (at == 0)
			break;
		r = call_mech(c)->ops->read_str(call_mech(c), &c->ev, at, text, ARG_MAX_LEN);
		if (r != 0 && r != -ENAMETOOLONG)
			return -1;
		text[ARG_MAX_LEN - 1] = '\0';
		ret_args[n++] = STEAL(text);
	}
	return n;
}

/* Whether a rule about arguments refuses the program O with the caller's. What cannot be read here is seen at the exec stop. */
static bool args_refused(struct call *c, const struct object *o, uint64_t argv, struct reply *ret_reply)
{
	char *args[ARGS_LOOKED_AT + 1] = {NULL};
	struct verdict v = {.kind = VERDICT_ALLOW};
	int n;

	if (!policy_wants_args(c->policy, o->path, o->path_len))
		return false;
	n = copy_args(c, argv, args);
	if (n >= 0 && call_alive(c) == 0)
		v = policy_exec_args(c->policy, o->path, o->path_len, (const char *const *)args, (size_t)n);
	for (size_t i = 0; i < ARRAY_LEN(args); i++)
		free(args[i]);
	if (v.kind == VERDICT_ALLOW)
		return false;
	c->verdict = v;
	*ret_reply = call_refuse(c, v);
	return true;
}

/* Made by O_TMPFILE: it never had a name. The kernel calls it #INODE. */
static bool is_nameless(const struct object *o)
{
	const char *last = strrchr(o->path, '/');
	struct stat st;
	char name[32];

	if (last == NULL || last[1] != '#' || fstat(o->fd, &st) < 0 || st.st_nlink != 0)
		return false;
	(void)snprintf(name, sizeof(name), "#%llu", (unsigned long long)st.st_ino);
	return strcmp(last + 1, name) == 0;
}

/* A memory file: no rule speaks of it but the one about all of them. Its name alone could be a deleted file's on the host. */
static bool is_memfd(const struct object *o)
{
	struct statfs fs;

	return strncmp(o->path, "memfd:", 6) == 0 && fstatfs(o->fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static struct reply verify(struct call *c, const struct object *o)
{
	struct trace_request *req = calloc(1, sizeof(*req));
	struct reply reply;

	if (req == NULL)
		return call_fail(c, -ENOMEM);
	*req = (struct trace_request){.reply = REPLY_NULL};
	if (!exec_chain(c, o, req, &reply)) {
		(void)trace_request_free(req);
		return reply;
	}
	req->msg.kind = TRACER_EXEC;
	req->reply = reply_continue(c);
	return trace_later(c, req);
}

static struct reply do_exec(struct call *c, int dirfd, uint64_t at_flags, uint64_t argv)
{
	AUTO_OBJECT struct object o = OBJECT_NULL;
	bool verified = c->level == LEVEL_VERIFY;
	unsigned int flags = 0;
	struct reply reply;
	struct verdict v;
	int r;

	if (c->level < LEVEL_VERIFY)
		return call_refuse_plain(c, EACCES);
	if ((at_flags & ~(uint64_t)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | CHECK)) != 0)
		return reply_deny(EINVAL);
	if (at_flags & AT_SYMLINK_NOFOLLOW)
		flags |= PATH_NOFOLLOW;
	if (at_flags & AT_EMPTY_PATH)
		flags |= PATH_EMPTY;
	/* What leads nowhere gets the kernel's own errno, where the floor holds what may be there by then. */
	r = c->path_err[0] != 0 ? c->path_err[0] : path_resolve(c, dirfd, c->path[0], flags, &o);
	if (r != 0 && !verified)
		return reply_continue(c);
	if (r != 0)
		return r > 0 ? reply_deny(r) : call_fail(c, r);
	if (c->s->memfd_exec && is_memfd(&o)) {
		v = call_judge_nameless(c, 0, OP_READ, o.path, o.path_len);
		c->op = OP_EXEC;
	} else {
		v = path_judge(c, 0, OP_EXEC, &o);
	}
	if (v.kind != VERDICT_ALLOW)
		return call_refuse(c, v);
	if (is_nameless(&o))
		return call_refuse_plain(c, EACCES);
	if (args_refused(c, &o, argv, &reply))
		return reply;
	return verified ? verify(c, &o) : reply_continue(c);
}

struct reply exec_execve(struct call *c)
{
	return do_exec(c, AT_FDCWD, 0, c->ev.args[1]);
}

struct reply exec_execveat(struct call *c)
{
	return do_exec(c, (int)c->ev.args[0], (uint32_t)c->ev.args[4], c->ev.args[2]);
}
