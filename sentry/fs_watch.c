/*
 * inotify_add_watch: the watched object is held and judged as being read, then watched through the caller's
 * own inotify instance (a duplicate of its descriptor), by the held object's path in the sentry's procfs.
 *
 * Known limit: a watch on a directory tells the names of its entries, also of those a rule hides.
 *
 * Syscalls: inotify_add_watch, readlinkat, fchdir.
 */
#include <string.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "sentry/fs.h"
#include "util/err.h"
#include "util/fd.h"

#define KNOWN_BITS                                                                                           \
	(IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW |             \
	 IN_EXCL_UNLINK | IN_MASK_ADD | IN_MASK_CREATE | IN_ISDIR | IN_ONESHOT)

/* Linux looks at the descriptor before it looks at the path. */
static bool is_inotify(const struct call *c, int fd)
{
	static const char want[] = "anon_inode:inotify";
	char path[32], text[sizeof(want)];
	ssize_t n;

	path_of_fd(fd, path);
	n = readlinkat(c->s->fds_fd, path, text, sizeof(text));
	return n == (ssize_t)sizeof(want) - 1 && memcmp(text, want, sizeof(want) - 1) == 0;
}

struct reply fs_watch_inotify_add_watch(struct call *c)
{
	uint32_t mask = (uint32_t)c->ev.args[2];
	AUTO_OBJECT struct object o = OBJECT_NULL;
	AUTO_FD int instance = -1;
	struct reply reply;
	char path[32];
	int r;

	if ((mask & ~(uint32_t)KNOWN_BITS) != 0 || mask == 0)
		return reply_deny(EINVAL);
	r = fs_getfd(c, (int)c->ev.args[0], &instance);
	if (r != 0)
		return call_fail(c, r);
	if ((mask & IN_MASK_ADD) != 0 && (mask & IN_MASK_CREATE) != 0)
		return reply_deny(EINVAL);
	if (!is_inotify(c, instance))
		return reply_deny(EINVAL);
	if (!fs_resolve(c, 0, AT_FDCWD,
			((mask & IN_DONT_FOLLOW) != 0 ? PATH_NOFOLLOW : 0) |
				((mask & IN_ONLYDIR) != 0 ? PATH_DIRECTORY : 0),
			&o, &reply) ||
	    !fs_permit(c, 0, OP_READ, &o, &reply) || !fs_ready(c, &reply))
		return reply;
	r = fs_enter_fds(c);
	if (r != 0)
		return call_fail(c, r);
	/* The link to the held object must be followed, whatever the object is. */
	path_of_fd(o.fd, path);
	return fs_answer(inotify_add_watch(instance, path, mask & ~(uint32_t)IN_DONT_FOLLOW));
}
