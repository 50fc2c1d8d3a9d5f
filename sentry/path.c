/*
 * Path resolution: the fast way.
 *
 * The sentry shares the guest's root and mounts, so the kernel itself can walk a guest's path for us: one
 * openat2() from the caller's directory (opened through /proc/TID of a procfs the guest does not see) or from
 * the root, to an O_PATH descriptor, with magic links refused. What was reached is asked for its name
 * (/proc/self/fd/N), and that canonical name is what the policy judges.
 *
 * Two things mean something else to us than to the guest: what hangs off procfs (/proc/self is the sentry
 * when the sentry looks, and does not exist for it in a nested pid namespace) and magic links
 * (/proc/PID/fd/N). Whenever the fast way meets a magic link (ELOOP), ends in a procfs, or ends nowhere
 * (ENOENT) while a procfs may have been on the way, its result is thrown away and path_walk.c walks component
 * by component.
 *
 * A name from /proc/self/fd can lie: of an object outside our root the kernel prints a path relative to its
 * own mount. From the root nothing outside can be reached; a directory the caller brings along (its working
 * directory, dirfd) is therefore looked up again by its name and compared before anything hangs off it.
 * " (deleted)" behind a name may be part of it: the same comparison tells.
 */
#include "sentry/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "sentry/path_short.h"
#include "sentry/hidden_links.h"
#include "sentry/path_walk.h"
#include "util/err.h"
#include "util/fd.h"

void path_of_fd(int fd, char ret_buf[32])
{
	char digits[12];
	size_t n = 0, at = 0;

	do {
		digits[n++] = (char)('0' + fd % 10);
		fd /= 10;
	} while (fd > 0);
	while (n > 0)
		ret_buf[at++] = digits[--n];
	ret_buf[at] = '\0';
}

void object_clear(struct object *o)
{
	o->fd = fd_close(o->fd);
	o->parent = fd_close(o->parent);
	object_init(o);
}

int object_stat(const struct object *o, struct stat *ret_st)
{
	if (!o->has_st)
		return fstat(o->fd, ret_st);
	*ret_st = o->st;
	return 0;
}

int path_open(int base, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_PATH | O_CLOEXEC, .resolve = resolve };
	int fd = -1;

	/* EAGAIN: a rename anywhere on the machine while a scoped walk met "..". */
	for (int i = 0; i < 32; i++) {
		fd = (int)syscall(SYS_openat2, base, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return fd;
}

bool path_on_proc(int fd)
{
	struct statfs st;

	/* What cannot be told is taken for procfs: the slow way is right for everything. */
	return fstatfs(fd, &st) < 0 || st.f_type == PROC_SUPER_MAGIC;
}

static uint64_t resolve_flags(unsigned int flags)
{
	uint64_t resolve = RESOLVE_NO_MAGICLINKS;

	if (flags & PATH_NO_SYMLINKS)
		resolve |= RESOLVE_NO_SYMLINKS;
	if (flags & PATH_BENEATH)
		resolve |= RESOLVE_BENEATH;
	if (flags & PATH_IN_ROOT)
		resolve |= RESOLVE_IN_ROOT;
	if (flags & PATH_NO_XDEV)
		resolve |= RESOLVE_NO_XDEV;
	return resolve;
}

int path_canonical(const struct call *c, int fd, char *buf, size_t size, size_t *ret_len)
{
	char name[32];
	ssize_t n;

	path_of_fd(fd, name);
	n = readlinkat(c->s->fds_fd, name, buf, size);
	if (n < 0)
		return errno == ENAMETOOLONG ? ENAMETOOLONG : err_now();
	if ((size_t)n >= size)
		return ENAMETOOLONG;
	buf[n] = '\0';
	*ret_len = (size_t)n;
	return 0;
}

struct identity {
	dev_t dev;
	ino_t ino;
	uint64_t mount;
	mode_t mode;
};

static int identify(int fd, struct identity *ret_id)
{
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		  STATX_TYPE | STATX_INO | STATX_MNT_ID, &sx) < 0)
		return err_now();
	ret_id->dev = makedev(sx.stx_dev_major, sx.stx_dev_minor);
	ret_id->ino = (ino_t)sx.stx_ino;
	ret_id->mount = sx.stx_mnt_id;
	ret_id->mode = sx.stx_mode;
	return 0;
}

/*
 * Whether the canonical NAME leads to the very object ID; a directory, which something may hang off, in the very mount. 1: it does, 0: not,
 * -EACCES: the caller may not go there by name.
 */
static int leads_to(const struct call *c, const char *name, const struct identity *id)
{
	AUTO_FD int fd = path_open(c->s->root_fd, name, O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
	struct identity there;

	if (fd < 0)
		return errno == EACCES ? -EACCES : 0;
	if (identify(fd, &there) < 0)
		return 0;
	return there.dev == id->dev && there.ino == id->ino && (!S_ISDIR(id->mode) || there.mount == id->mount);
}

static const char deleted[] = " (deleted)";
enum { DELETED_LEN = sizeof(deleted) - 1 };

static bool says_deleted(const char *path, size_t len)
{
	return len > DELETED_LEN && memcmp(path + len - DELETED_LEN, deleted, DELETED_LEN) == 0;
}

/*
 * Whether an object whose name is gone (PATH, suffix cut off), or cannot be looked up because a directory on the way has lost its x bit,
 * lies in the mount its nearest ancestor is in: it is, or was, in the view.
 */
static bool was_in_view(const struct call *c, const char *path, const struct identity *id)
{
	char up[PATH_MAX];
	char *slash;

	memcpy(up, path, strlen(path) + 1);
	while ((slash = strrchr(up, '/')) != NULL) {
		AUTO_FD int fd = -1;
		struct identity there;

		*slash = '\0';
		fd = path_open(c->s->root_fd, up[0] == '\0' ? "/" : up, O_NOFOLLOW, RESOLVE_NO_SYMLINKS);
		if (fd >= 0)
			return identify(fd, &there) == 0 && there.mount == id->mount;
	}
	return false;
}

int path_name(const struct call *c, int fd, unsigned int how, struct object *o)
{
	struct identity id = { 0 };
	bool is_deleted = false;
	int r;

	for (int i = 0; i < 3; i++) {
		r = path_canonical(c, fd, o->path, sizeof(o->path), &o->path_len);
		if (r != 0)
			return r;
		is_deleted = says_deleted(o->path, o->path_len);
		if (o->path[0] != '/')
			return how & NAME_ANY ? 0 : ENOTDIR;
		if (!is_deleted && !(how & NAME_VERIFY))
			return 0;
		r = identify(fd, &id);
		if (r < 0)
			return r;
		r = leads_to(c, o->path, &id);
		if (r > 0)
			return 0;
		if (is_deleted)
			break;
		/* Natively too a descriptor or a working directory goes on to work when the way to it is shut. */
		if (r == -EACCES && was_in_view(c, o->path, &id))
			return 0;
		/* Renamed in between, or outside the view: look again. */
	}
	if (is_deleted) {
		o->path_len -= DELETED_LEN;
		o->path[o->path_len] = '\0';
		if (was_in_view(c, o->path, &id))
			return 0;
	}
	/*
	 * Outside the view. A file or directory there is nobody's business in here; what the caller merely
	 * talks through (its terminal, a pipe with a name) or owns alone (memory files) it may have again.
	 * Such a name loses its slash: it is no path.
	 */
	if (!(how & NAME_ANY) || S_ISDIR(id.mode))
		return EACCES;
	if (S_ISREG(id.mode) && (!is_deleted || strncmp(o->path, "/memfd:", 7) != 0))
		return EACCES;
	memmove(o->path, o->path + 1, o->path_len);
	o->path_len--;
	/* A name that is nothing, or still looks like a path, must not be taken for one. */
	if (o->path[0] == '\0' || o->path[0] == '/')
		return EACCES;
	return 0;
}

int path_of_held(const struct call *c, int fd, struct object *ret_obj)
{
	object_init(ret_obj);
	ret_obj->magic = true;
	return path_name(c, fd, NAME_VERIFY | NAME_ANY, ret_obj);
}

/*
 * Directories of callers that proved to be in the view, and in no procfs: most relative paths of a run hang off few of them. An
 * entry is believed a limited number of times, since the host may move a directory out of a mount.
 */
static bool base_is_known(const struct identity *id, bool add)
{
	enum { BASES = 8, BELIEVED = 256 };
	static __thread struct {
		struct identity id;
		unsigned int left;
	} known[BASES];
	size_t at = ((size_t)id->ino ^ (size_t)id->ino >> 7) % BASES;

	if (add) {
		known[at].id = *id;
		known[at].left = BELIEVED;
		return true;
	}
	if (known[at].left == 0 || known[at].id.dev != id->dev || known[at].id.ino != id->ino ||
	    known[at].id.mount != id->mount)
		return false;
	known[at].left--;
	return true;
}

/* RET_PROC: it lies in a procfs. */
static int base_in_view(struct call *c, int fd, bool *ret_proc)
{
	struct identity id;
	struct object o;
	int r;

	*ret_proc = false;
	r = identify(fd, &id);
	if (r < 0)
		return r;
	/* The kernel's own answer for what nothing can hang off. */
	if (!S_ISDIR(id.mode))
		return ENOTDIR;
	if (base_is_known(&id, false))
		return 0;
	object_init(&o);
	r = path_name(c, fd, NAME_VERIFY, &o);
	*ret_proc = path_on_proc(fd);
	if (r == 0 && !*ret_proc && !says_deleted(o.path, o.path_len))
		base_is_known(&id, true);
	return r;
}

/* Opens what DIRFD of the caller is (O_PATH). */
static int base_open(struct call *c, int dirfd, int *ret_fd)
{
	char name[48];
	int fd;

	if (dirfd == AT_FDCWD)
		(void)snprintf(name, sizeof(name), "%d/cwd", (int)c->ev.tid);
	else if (dirfd < 0)
		return EBADF;
	else
		(void)snprintf(name, sizeof(name), "%d/fd/%d", (int)c->ev.tid, dirfd);
	fd = openat(c->s->proc_fd, name, O_PATH | O_CLOEXEC);
	if (fd < 0) {
		if (errno == ENOENT && dirfd != AT_FDCWD)
			return EBADF;
		return errno == ENOENT ? -ESRCH : err_now();
	}
	*ret_fd = fd;
	return 0;
}

int path_base(struct call *c, int dirfd, int *ret_fd)
{
	AUTO_FD int fd = -1;
	bool proc = false;
	int r = base_open(c, dirfd, &fd);

	if (r == 0)
		r = base_in_view(c, fd, &proc);
	if (r == 0 && proc)
		r = EACCES;
	if (r == 0)
		*ret_fd = fd_steal(&fd);
	return r;
}

/*
 * Whether PATH, which the kernel says does not exist, does not exist for the guest either: some prefix of it
 * exists outside any procfs, and the component after that does not. Else (a dangling symlink, a procfs) only
 * the walk can tell.
 */
static bool surely_absent(int base, const char *path, size_t len, uint64_t resolve)
{
	char prefix[PATH_MAX];
	char name[NAME_MAX + 1];
	size_t end = len;

	memcpy(prefix, path, len + 1);
	for (;;) {
		AUTO_FD int dir = -1;
		int there;
		size_t start;

		while (end > 0 && prefix[end - 1] == '/')
			end--;
		start = end;
		while (start > 0 && prefix[start - 1] != '/')
			start--;
		if (end == start || end - start > NAME_MAX)
			return false;
		memcpy(name, prefix + start, end - start);
		name[end - start] = '\0';
		prefix[start] = '\0';
		dir = path_open(base, start > 0 ? prefix : ".", O_DIRECTORY, resolve);
		if (dir >= 0) {
			if (path_on_proc(dir))
				return false;
			there = path_open(dir, name, O_NOFOLLOW, 0);
			if (there >= 0) {
				(void)fd_close(there);
				return false;
			}
			return errno == ENOENT;
		}
		if (errno != ENOENT || start == 0)
			return false;
		end = start;
	}
}

/* The whole path, object only. BASE is a directory in the view. */
static int resolve_object(struct call *c, int base, const char *path, size_t len, unsigned int flags,
			  struct object *o)
{
	uint64_t resolve = resolve_flags(flags);
	uint64_t open_flags =
		(flags & PATH_NOFOLLOW ? O_NOFOLLOW : 0) | (flags & PATH_DIRECTORY ? O_DIRECTORY : 0);
	int r;

	if (strncmp(path, "/proc/", 6) != 0) {
		o->fd = path_open(base, path, open_flags, resolve);
		if (o->fd < 0) {
			r = errno;
			if (r == ENOENT && surely_absent(base, path, len, resolve))
				return ENOENT;
			if (r != ELOOP && r != ENOENT)
				return r;
		} else if (fstat(o->fd, &o->st) == 0 && !short_on_proc(o->fd, &o->st)) {
			o->has_st = true;
			r = path_name(c, o->fd, 0, o);
			if (r != 0)
				object_clear(o);
			return r;
		}
		o->fd = fd_close(o->fd);
	}
	r = path_walk(c, base, path, flags, o);
	if (r != 0)
		object_clear(o);
	return r;
}

/* The last component: path[*ret_start, *ret_end), what follows are slashes. */
static void last_component(const char *path, size_t len, size_t *ret_start, size_t *ret_end)
{
	size_t end = len, start;

	while (end > 0 && path[end - 1] == '/')
		end--;
	start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;
	*ret_start = start;
	*ret_end = end;
}

/* DIR's canonical name with NAME behind it. */
static int name_below(const struct object *dir, struct object *o)
{
	size_t n = strlen(o->name), d = dir->path_len;

	if (d == 1)
		d = 0; /* the root */
	if (d + 1 + n >= sizeof(o->path))
		return ENAMETOOLONG;
	memcpy(o->path, dir->path, d);
	o->path[d] = '/';
	memcpy(o->path + d + 1, o->name, n + 1);
	o->path_len = d + 1 + n;
	return 0;
}

/*
 * Parent and last component. A symlink there is followed only where the caller asked for it (open with
 * O_CREAT): its target then is the path.
 */
static int resolve_parent(struct call *c, int base, const char *path, size_t len, unsigned int flags,
			  struct object *o)
{
	char text[2][PATH_MAX];
	AUTO_FD int dir_fd = -1;
	bool scoped = flags & (PATH_BENEATH | PATH_IN_ROOT);
	struct object dir;
	struct stat st;
	unsigned int links = 0;
	bool too_long;
	int r;

	object_init(&dir);
	for (;;) {
		char *cur = text[links % 2];
		size_t start, end;

		if (cur != path)
			memmove(cur, path, len + 1);
		last_component(cur, len, &start, &end);
		too_long = end - start > NAME_MAX;
		memcpy(o->name, cur + start, too_long ? NAME_MAX : end - start);
		o->name[too_long ? NAME_MAX : end - start] = '\0';
		o->slash |= cur[end] == '/';
		if (end == start || strcmp(o->name, ".") == 0 || strcmp(o->name, "..") == 0) {
			/* Nothing hangs off these: the object is the directory itself. */
			r = resolve_object(c, base, cur, len, (flags | PATH_DIRECTORY) & ~PATH_NOFOLLOW, o);
			if (r == 0) {
				o->dots = true;
				o->parent = fcntl(o->fd, F_DUPFD_CLOEXEC, 0);
				if (o->parent < 0)
					r = err_now();
			}
			break;
		}
		cur[start] = '\0';
		object_clear(&dir);
		r = resolve_object(c, base, start > 0 ? cur : ".", start > 0 ? start : 1,
				   (flags | PATH_DIRECTORY) & ~PATH_NOFOLLOW, &dir);
		if (r != 0)
			break;
		if (too_long) {
			/* Found out when it is looked for, where that is allowed. */
			r = syscall(SYS_faccessat2, dir.fd, "", X_OK, AT_EACCESS | AT_EMPTY_PATH) < 0 ? errno : ENAMETOOLONG;
			break;
		}
		r = path_step(c, dir.fd, o->name, &o->fd);
		if (r == ENOENT) {
			o->fd = -1;
			r = name_below(&dir, o);
			break;
		}
		if (r != 0)
			break;
		if (fstat(o->fd, &st) < 0) {
			r = err_now();
			break;
		}
		/* With a slash behind it nothing is opened with O_CREAT (EISDIR), so it is not followed either. */
		if (!S_ISLNK(st.st_mode) || (flags & PATH_NOFOLLOW) || o->slash) {
			r = name_below(&dir, o);
			break;
		}
		if (++links > PATH_LINKS_MAX || (flags & PATH_NO_SYMLINKS)) {
			r = ELOOP;
			break;
		}
		if (!path_may_follow(c, dir.fd, o->fd)) {
			r = EACCES;
			break;
		}
		r = path_step_link(c, dir.fd, o->name, flags, &o->fd, text[links % 2], sizeof(text[0]));
		if (r != 0)
			break;
		if (text[links % 2][0] == '\0') {
			/* A magic link: what it names has no place of its own. */
			o->magic = true;
			r = path_name(c, o->fd, NAME_VERIFY | NAME_ANY, o);
			break;
		}
		o->fd = fd_close(o->fd);
		path = text[links % 2];
		len = strlen(path);
		if (path[0] == '/' && (flags & PATH_BENEATH)) {
			r = EXDEV;
			break;
		}
		if (scoped && path[0] != '/') {
			/* Its scope stays where it was: the target goes on from the base, behind what led
			 * here. */
			if (start + len >= PATH_MAX) {
				r = ENAMETOOLONG;
				break;
			}
			memmove(text[links % 2] + start, path, len + 1);
			memcpy(text[links % 2], cur, start);
			len += start;
		} else if (!scoped) {
			(void)fd_close(dir_fd);
			dir_fd = fd_steal(&dir.fd);
			base = dir_fd;
		}
	}
	if (r == 0 && o->parent < 0 && !o->magic)
		o->parent = fd_steal(&dir.fd);
	object_clear(&dir);
	if (r == 0 && o->fd >= 0 && !o->magic && !o->dots && (flags & PATH_DIRECTORY)) {
		if (fstat(o->fd, &st) < 0)
			r = err_now();
		else if (!S_ISDIR(st.st_mode))
			r = ENOTDIR;
	}
	if (r != 0)
		object_clear(o);
	return r;
}

int path_resolve(struct call *c, int dirfd, const char *path, unsigned int flags, struct object *ret_obj)
{
	size_t len = strnlen(path, PATH_MAX);
	AUTO_FD int base_fd = -1;
	int base = c->s->root_fd, r;
	bool proc;

	object_init(ret_obj);
	if (len == PATH_MAX)
		return ENAMETOOLONG;
	if (len == 0 && !(flags & PATH_EMPTY))
		return ENOENT;
	if (len > 0) {
		r = short_resolve(c, dirfd, path, len, flags, ret_obj);
		if (r != SHORT_NO)
			return r;
	}
	if (path[0] != '/' || (flags & PATH_IN_ROOT)) {
		r = base_open(c, dirfd, &base_fd);
		if (r != 0)
			return r;
		base = base_fd;
		if (len == 0) {
			r = path_name(c, base_fd, NAME_VERIFY | NAME_ANY, ret_obj);
			if (r != 0)
				return r;
			ret_obj->magic = true;
			ret_obj->fd = fd_steal(&base_fd);
			return 0;
		}
		r = base_in_view(c, base_fd, &proc);
		if (r != 0)
			return r;
	} else if (flags & PATH_BENEATH) {
		return EXDEV;
	}
	if (!(flags & PATH_PARENT)) {
		ret_obj->slash =
			path[len - 1] == '/' || (len > 1 && path[len - 1] == '.' && path[len - 2] == '/');
		return resolve_object(c, base, path, len, flags, ret_obj);
	}
	return resolve_parent(c, base, path, len, flags, ret_obj);
}

struct verdict path_judge(struct call *c, int index, enum op op, const struct object *o)
{
	struct verdict v;
	int rule;

	if (o->path[0] != '/')
		return call_judge_nameless(c, index, op, o->path, o->path_len);
	v = call_judge(c, index, op, o->path, o->path_len);
	if (c->s->links == NULL || v.kind != VERDICT_ALLOW)
		return v;
	rule = hidden_links_rule(c->s->links, o->fd);
	if (rule < 0)
		return v;
	return call_judged(c, index, op, o->path, o->path_len,
			   (struct verdict){ .kind = VERDICT_DENY, .err = ENOENT, .rule = policy_rule(c->policy, (size_t)rule) });
}
