/*
 * Path resolution: the slow way, one component at a time, for what the kernel would answer for the sentry
 * instead of the guest. Every step opens one component below a held directory, without following; symlinks
 * are read and spliced in front of what is left; ".." ends at the root. Only two kinds of links are special,
 * both on a procfs:
 *
 * - self and thread-self in its root are answered with the caller's ids, as numbers of the pid namespace that
 * procfs shows (the last one of NSpid in the caller's status: the guest's /proc is the innermost's).
 * - a magic link (everything that openat2 refuses to follow as one) is followed through the held directory,
 * which belongs to the process the guest named. What it names must have a name in the view if the walk goes
 * on from it.
 *
 * The sentry itself does not exist in a guest's procfs: without a pid namespace it would be found there, and
 * the kernel would let it open its own memory and descriptors.
 */
#include "sentry/path_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sentry/caller.h"
#include "util/err.h"
#include "util/fd.h"

/* What procfs calls its root directory in every instance (PROC_ROOT_INO in the kernel). */
enum { PROC_ROOT = 1 };

static bool is_proc_root(int dir)
{
	struct stat st;

	return path_on_proc(dir) && fstat(dir, &st) == 0 && st.st_ino == PROC_ROOT;
}

static bool is_number(const char *name)
{
	return name[0] != '\0' && name[strspn(name, "0123456789")] == '\0';
}

/* Whether NAME in the procfs root DIR is a process or thread of ours. */
static bool is_sentry(int dir, const char *name)
{
	char self[32], path[64];
	ssize_t n = readlinkat(dir, "self", self, sizeof(self) - 1);

	/* ENOENT: another pid namespace's, in which we are not. */
	if (n <= 0)
		return false;
	self[n] = '\0';
	if (strlen(name) > 20)
		return true;
	(void)snprintf(path, sizeof(path), "%s/task/%s", self, name);
	return faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int path_step(struct call *c, int dir, const char *name, int *ret_fd)
{
	int fd;

	/* A test takes itself for the guest; a sentry's guest is never the sentry. */
	if (is_number(name) && c->s->init != getpid() && is_proc_root(dir) && is_sentry(dir, name))
		return ENOENT;
	fd = path_open(dir, name, O_NOFOLLOW, 0);
	if (fd < 0)
		return errno;
	*ret_fd = fd;
	return 0;
}

/* The procfs with root DIR must be the guest's own /proc, whose numbers we know. */
static bool is_guest_proc(const struct call *c, int dir)
{
	AUTO_FD int proc = path_open(c->s->root_fd, "proc", O_DIRECTORY | O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
	struct stat a, b;

	return proc >= 0 && fstat(proc, &a) == 0 && fstat(dir, &b) == 0 && a.st_dev == b.st_dev;
}

/* Target of NAME in a procfs root: 0, an errno, or -ENODATA where it is an ordinary link. */
static int self_link(const struct call *c, int dir, const char *name, char *buf, size_t size)
{
	bool thread = strcmp(name, "thread-self") == 0;
	pid_t tgid, tid;
	int r;

	if (!thread && strcmp(name, "self") != 0)
		return -ENODATA;
	if (!is_guest_proc(c, dir))
		return ENOENT;
	r = caller_guest_ids(c, &tgid, &tid);
	if (r < 0)
		return r;
	if (thread)
		(void)snprintf(buf, size, "%d/task/%d", (int)tgid, (int)tid);
	else
		(void)snprintf(buf, size, "%d", (int)tgid);
	return 0;
}

int path_step_link(struct call *c, int dir, const char *name, unsigned int flags, int *fd, char *target,
		   size_t size)
{
	ssize_t n;
	int r, to;

	if (path_on_proc(dir)) {
		if (is_proc_root(dir)) {
			r = self_link(c, dir, name, target, size);
			if (r != -ENODATA)
				return r;
		} else {
			to = path_open(dir, name, 0, RESOLVE_NO_MAGICLINKS);
			if (to < 0) {
				if (errno != ELOOP)
					return errno;
				if (flags & (PATH_NO_MAGIC | PATH_NO_SYMLINKS))
					return ELOOP;
				if (flags & (PATH_BENEATH | PATH_IN_ROOT | PATH_NO_XDEV))
					return EXDEV;
				to = openat(dir, name, O_PATH | O_CLOEXEC);
				if (to < 0)
					return errno;
				(void)fd_close(*fd);
				*fd = to;
				target[0] = '\0';
				return 0;
			}
			(void)fd_close(to);
		}
	}
	n = readlinkat(*fd, "", target, size);
	if (n < 0)
		return errno;
	if ((size_t)n >= size)
		return ENAMETOOLONG;
	if (n == 0)
		return ENOENT;
	target[n] = '\0';
	return 0;
}

static bool same_object(int a, int b, bool mount_only)
{
	struct statx x, y;
	unsigned int mask = STATX_INO | STATX_MNT_ID;

	if (statx(a, "", AT_EMPTY_PATH, mask, &x) < 0 || statx(b, "", AT_EMPTY_PATH, mask, &y) < 0)
		return false;
	return x.stx_mnt_id == y.stx_mnt_id &&
	       (mount_only || (x.stx_ino == y.stx_ino && x.stx_dev_major == y.stx_dev_major &&
			       x.stx_dev_minor == y.stx_dev_minor));
}

/* "..": stays at the top of the walk. */
static int step_up(int cur, int base, unsigned int flags, int *ret_fd)
{
	int fd;

	if ((flags & (PATH_BENEATH | PATH_IN_ROOT)) && same_object(cur, base, false)) {
		if (flags & PATH_BENEATH)
			return EXDEV;
		fd = fcntl(cur, F_DUPFD_CLOEXEC, 0);
	} else {
		/* The kernel clamps at our root, which is the guest's. */
		fd = path_open(cur, "..", O_DIRECTORY, 0);
	}
	if (fd < 0)
		return errno;
	*ret_fd = fd;
	return 0;
}

struct walk {
	int cur;		 /* where we are (O_PATH) */
	bool magic;		 /* cur was reached by a magic link */
	size_t at;		 /* rest of the path: text + at */
	char text[2 * PATH_MAX]; /* NUL-terminated at its very end */
};

static int walk_start(struct walk *w, int fd)
{
	int start = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (start < 0)
		return err_now();
	(void)fd_close(w->cur);
	w->cur = start;
	return 0;
}

/* Puts TARGET in front of what is left. */
static int walk_splice(struct walk *w, const char *target)
{
	size_t n = strlen(target);

	if (n > w->at)
		return ENAMETOOLONG;
	w->at -= n;
	memcpy(w->text + w->at, target, n);
	return 0;
}

static int walk_loop(struct call *c, struct walk *w, int base, unsigned int flags)
{
	char name[NAME_MAX + 1], target[PATH_MAX];
	int top = flags & PATH_IN_ROOT ? base : c->s->root_fd;
	int links = 0, r;
	struct stat st;

	for (;;) {
		AUTO_FD int next = -1;
		const char *p = w->text + w->at;
		size_t n;
		bool last, slash;

		if (*p == '/') {
			/* Only at the start of the path or of a link's target: slashes after a component are
			 * eaten with it. */
			if (flags & PATH_BENEATH)
				return EXDEV;
			r = walk_start(w, top);
			if (r != 0)
				return r;
			w->magic = false;
			w->at += strspn(p, "/");
			p = w->text + w->at;
		}
		if (*p == '\0')
			return 0;
		n = strcspn(p, "/");
		if (n > NAME_MAX)
			return ENAMETOOLONG;
		memcpy(name, p, n);
		name[n] = '\0';
		w->at += n;
		slash = w->text[w->at] == '/';
		w->at += strspn(w->text + w->at, "/");
		last = w->text[w->at] == '\0';

		if (strcmp(name, "..") == 0)
			r = step_up(w->cur, base, flags, &next);
		else if (strcmp(name, ".") == 0)
			r = (next = path_open(w->cur, ".", O_DIRECTORY, 0)) < 0 ? errno : 0;
		else
			r = path_step(c, w->cur, name, &next);
		if (r != 0)
			return r;
		if (fstat(next, &st) < 0)
			return err_now();
		w->magic = false;
		if (S_ISLNK(st.st_mode) && (!last || slash || !(flags & PATH_NOFOLLOW))) {
			if (++links > PATH_LINKS_MAX || (flags & PATH_NO_SYMLINKS))
				return ELOOP;
			if (last && !path_may_follow(c, w->cur, next))
				return EACCES;
			r = path_step_link(c, w->cur, name, flags, &next, target, sizeof(target));
			if (r != 0)
				return r;
			if (target[0] != '\0') {
				/* There is room: the link's own name was there. */
				if (!last || slash)
					w->text[--w->at] = '/';
				r = walk_splice(w, target);
				if (r != 0)
					return r;
				continue;
			}
			w->magic = true;
			if (fstat(next, &st) < 0)
				return err_now();
		}
		if ((!last || slash) && !S_ISDIR(st.st_mode))
			return ENOTDIR;
		if (w->magic && !last) {
			struct object o;

			object_init(&o);
			r = path_name(c, next, NAME_VERIFY, &o);
			if (r != 0)
				return r;
		}
		if ((flags & PATH_NO_XDEV) && !same_object(next, w->cur, true))
			return EXDEV;
		(void)fd_close(w->cur);
		w->cur = fd_steal(&next);
		if (last)
			return 0;
	}
}

int path_walk(struct call *c, int base, const char *path, unsigned int flags, struct object *o)
{
	struct walk w;
	struct stat st;
	size_t len = strlen(path);
	int r;

	w.cur = -1;
	w.magic = false;
	w.at = sizeof(w.text) - len - 1;
	memcpy(w.text + w.at, path, len + 1);
	r = walk_start(&w, base);
	if (r == 0)
		r = walk_loop(c, &w, base, flags);
	if (r == 0 && (flags & PATH_DIRECTORY)) {
		if (fstat(w.cur, &st) < 0)
			r = err_now();
		else if (!S_ISDIR(st.st_mode))
			r = ENOTDIR;
	}
	if (r == 0)
		r = path_name(c, w.cur, w.magic ? NAME_VERIFY | NAME_ANY : 0, o);
	if (r != 0) {
		(void)fd_close(w.cur);
		return r;
	}
	o->fd = w.cur;
	o->magic = w.magic;
	return 0;
}

int path_readlink(struct call *c, const struct object *o, char *buf, size_t size, size_t *ret_len)
{
	char text[PATH_MAX];
	AUTO_FD int dir = -1;
	struct stat st;
	ssize_t n;
	int r = -ENODATA;

	/* The caller's own links hang off the root of a procfs: the directory above O, by its canonical name.
	 */
	if (path_on_proc(o->fd)) {
		const char *name = strrchr(o->path, '/');

		memcpy(text, o->path, o->path_len + 1);
		if (name != NULL && fstat(o->fd, &st) == 0 && S_ISLNK(st.st_mode)) {
			text[name - o->path] = '\0';
			dir = path_open(c->s->root_fd, text[0] == '\0' ? "/" : text, O_DIRECTORY,
					RESOLVE_NO_SYMLINKS);
			if (dir >= 0 && is_proc_root(dir))
				r = self_link(c, dir, name + 1, text, sizeof(text));
		}
		if (r > 0)
			return r;
		if (r < 0 && r != -ENODATA)
			return EACCES;
		if (r == 0) {
			n = (ssize_t)strlen(text);
			*ret_len = (size_t)n < size ? (size_t)n : size;
			memcpy(buf, text, *ret_len);
			return 0;
		}
	}
	n = readlinkat(o->fd, "", buf, size);
	if (n < 0)
		return errno == ENOENT ? EINVAL : errno; /* an O_PATH descriptor of no link */
	*ret_len = (size_t)n;
	return 0;
}
