/*
 * The short way: see path_short.h.
 *
 * Most paths hold no link. One openat2() from the root that refuses links (RESOLVE_NO_SYMLINKS) reaches them, and
 * because it does, what it reached has just the name that was written: no second look for the name is needed. What
 * the kernel answers with anything but an object or ENOENT is left to path.c, which takes the long way anew.
 *
 * A relative path hangs off the working directory or dirfd, which is held and asked for its name, unless it is remembered
 * (path_known.h). (That of a directory that was removed ends in " (deleted)": the long way.)
 *
 * ENOENT is the answer for good: with no link followed, nothing of a procfs can have been on the way whose meaning
 * depends on who looks (/proc/self is a link).
 *
 * The device number tells procfs from others: a file system on a block device is none; the anonymous numbers that
 * were seen are remembered for a limited number of questions, since the host may give one to another file system.
 *
 * Syscalls: openat2, readlinkat, newfstatat, fstatfs, close.
 */
#include "sentry/path_short.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "sentry/path_known.h"
#include "sentry/path_walk.h"
#include "util/fd.h"

static const char deleted[] = " (deleted)";

/* Whether PATH, absolute, is as it would be printed: nothing to walk over but possible links. */
static bool is_normal(const char *path)
{
	for (const char *p = path; p != NULL; p = strchr(p + 1, '/')) {
		if (p[1] == '/' || (p[1] == '.' && (p[2] == '/' || p[2] == '\0')) ||
		    (p[1] == '.' && p[2] == '.' && (p[3] == '/' || p[3] == '\0')))
			return false;
	}
	return strncmp(path, "/proc", 5) != 0 || (path[5] != '/' && path[5] != '\0');
}

void short_clear(struct written *w)
{
	w->base = fd_close(w->base);
}

/* The kernel's name of DIRFD of the caller: 0, or SHORT_NO. */
static int name_of(const struct call *c, int dirfd, char *buf, size_t size, size_t *ret_len)
{
	char name[48];
	ssize_t n;

	if (dirfd == AT_FDCWD)
		(void)snprintf(name, sizeof(name), "%d/cwd", (int)c->ev.tid);
	else if (dirfd >= 0)
		(void)snprintf(name, sizeof(name), "%d/fd/%d", (int)c->ev.tid, dirfd);
	else
		return SHORT_NO;
	n = readlinkat(c->s->proc_fd, name, buf, size);
	if (n <= 0 || (size_t)n == size)
		return SHORT_NO;
	*ret_len = (size_t)n;
	return 0;
}

/* Puts PATH behind the name of its base, which is in W. */
static int put_behind(const char *path, size_t len, struct written *w)
{
	size_t at = w->base_len;

	w->dir = path[len - 1] == '/' || (len == 1 && path[0] == '.');
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (at > 0) {
		if (w->text[0] != '/' || (at >= sizeof(deleted) - 1 &&
					  memcmp(w->text + at - (sizeof(deleted) - 1), deleted, sizeof(deleted) - 1) == 0))
			return SHORT_NO;
		if (len == 1 && path[0] == '.')
			len = 0;
		else if (at > 1 && at < sizeof(w->text))
			w->text[at++] = '/';
	}
	if (at + len >= sizeof(w->text))
		return SHORT_NO;
	memcpy(w->text + at, path, len);
	w->len = at + len;
	w->text[w->len] = '\0';
	return is_normal(w->text) ? 0 : SHORT_NO;
}

int short_text(const struct call *c, int dirfd, const char *path, size_t len, struct written *ret_w)
{
	ret_w->base = -1;
	ret_w->base_len = 0;
	if (path[0] != '/' && name_of(c, dirfd, ret_w->text, sizeof(ret_w->text), &ret_w->base_len) != 0)
		return SHORT_NO;
	return put_behind(path, len, ret_w);
}

int short_hold(struct call *c, int dirfd, const char *path, size_t len, struct written *ret_w)
{
	unsigned int when = known_when();
	bool known;
	int r;

	ret_w->base = -1;
	ret_w->base_len = 0;
	if (path[0] == '/')
		return put_behind(path, len, ret_w);
	known = known_base(c, dirfd, &ret_w->base, ret_w->text, &ret_w->base_len);
	if (!known && (path_base(c, dirfd, &ret_w->base) != 0 ||
		       path_canonical(c, ret_w->base, ret_w->text, sizeof(ret_w->text), &ret_w->base_len) != 0))
		return SHORT_NO;
	r = put_behind(path, len, ret_w);
	if (r == 0 && !known)
		known_add(c, ret_w->base, ret_w->text, ret_w->base_len, when);
	return r;
}

bool short_on_proc(int fd, const struct stat *st)
{
	enum { KNOWN = 8, BELIEVED = 256 };
	static __thread struct {
		dev_t dev;
		unsigned int left;
	} known[KNOWN];
	size_t at = minor(st->st_dev) % KNOWN;

	if (major(st->st_dev) != 0)
		return false;
	if (known[at].left > 0 && known[at].dev == st->st_dev) {
		known[at].left--;
		return false;
	}
	if (path_on_proc(fd))
		return true;
	known[at].dev = st->st_dev;
	known[at].left = BELIEVED;
	return false;
}

/* The path from W's base to the first LEN bytes of its text; "." where that is the base itself. BUF holds a copy. */
static const char *from_base(const struct written *w, size_t len, char buf[PATH_MAX])
{
	size_t at = w->base >= 0 ? w->base_len : 0;

	if (w->base >= 0 && at < len && w->text[at] == '/')
		at++;
	if (at >= len)
		return ".";
	memcpy(buf, w->text + at, len - at);
	buf[len - at] = '\0';
	return buf;
}

bool short_is_fifo(const struct call *c, const struct written *w)
{
	char buf[PATH_MAX];
	struct stat st;

	return fstatat(w->base >= 0 ? w->base : c->s->root_fd, from_base(w, w->len, buf), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISFIFO(st.st_mode);
}

int short_open(const struct call *c, const struct written *w, uint64_t flags, int *ret_fd, struct stat *ret_st)
{
	struct open_how how = {.flags = flags | O_CLOEXEC | (w->dir ? O_DIRECTORY : 0),
			       .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	char buf[PATH_MAX];

	/* O_DIRECTORY stands for the slash; who did not say it must not find it with F_GETFL. */
	if (w->dir && (flags & (O_DIRECTORY | O_PATH)) == 0)
		return SHORT_NO;
	AUTO_FD int fd = (int)syscall(SYS_openat2, w->base >= 0 ? w->base : c->s->root_fd, from_base(w, w->len, buf), &how,
				      sizeof(how));
	if (fd < 0)
		return errno == ENOENT ? ENOENT : SHORT_NO;
	if (fstat(fd, ret_st) < 0 || short_on_proc(fd, ret_st))
		return SHORT_NO;
	*ret_fd = fd_steal(&fd);
	return 0;
}

/* O_PATH of the directory the last component of W hangs off. */
static int open_parent(const struct call *c, struct written *w, size_t slash)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	char buf[PATH_MAX];
	struct stat st;

	if (w->base >= 0 && slash <= w->base_len)
		return fd_steal(&w->base);
	AUTO_FD int fd = (int)syscall(SYS_openat2, w->base >= 0 ? w->base : c->s->root_fd,
				      from_base(w, slash > 0 ? slash : 1, buf), &how, sizeof(how));
	if (fd < 0 || fstat(fd, &st) < 0 || short_on_proc(fd, &st))
		return -1;
	return fd_steal(&fd);
}

/* Parent and last component. */
static int resolve_parent(struct call *c, struct written *w, unsigned int flags, struct object *o)
{
	const char *last = memrchr(w->text, '/', w->len);
	size_t slash = (size_t)(last - w->text), n = w->len - slash - 1;

	if (w->dir || n == 0 || n > NAME_MAX)
		return SHORT_NO;
	AUTO_FD int parent = open_parent(c, w, slash);
	AUTO_FD int fd = -1;
	if (parent < 0)
		return SHORT_NO;
	if ((flags & PATH_UNSEEN) == 0) {
		fd = path_open(parent, last + 1, O_NOFOLLOW, 0);
		if (fd < 0 && errno != ENOENT)
			return SHORT_NO;
		if (fd >= 0 && (fstat(fd, &o->st) < 0 ||
				(S_ISLNK(o->st.st_mode) && (flags & PATH_NOFOLLOW) == 0) ||
				(!S_ISDIR(o->st.st_mode) && (flags & PATH_DIRECTORY) != 0)))
			return SHORT_NO;
		o->has_st = fd >= 0;
	}
	memcpy(o->name, last + 1, n + 1);
	o->parent = fd_steal(&parent);
	o->fd = fd_steal(&fd);
	return 0;
}

int short_resolve(struct call *c, int dirfd, const char *path, size_t len, unsigned int flags,
		  struct object *ret_obj)
{
	AUTO_WRITTEN struct written w;
	int r;

	w.base = -1;
	if ((flags & ~(unsigned int)(PATH_NOFOLLOW | PATH_DIRECTORY | PATH_EMPTY | PATH_PARENT | PATH_UNSEEN)) != 0 ||
	    short_hold(c, dirfd, path, len, &w) != 0)
		return SHORT_NO;
	if ((flags & PATH_PARENT) != 0) {
		r = resolve_parent(c, &w, flags, ret_obj);
	} else {
		r = short_open(c, &w,
			       O_PATH | (flags & PATH_NOFOLLOW ? O_NOFOLLOW : 0) |
				       (flags & PATH_DIRECTORY ? O_DIRECTORY : 0),
			       &ret_obj->fd, &ret_obj->st);
		ret_obj->has_st = r == 0;
	}
	if (r != 0)
		return r;
	ret_obj->slash = w.dir;
	memcpy(ret_obj->path, w.text, w.len + 1);
	ret_obj->path_len = w.len;
	return 0;
}
