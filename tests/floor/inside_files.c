/*
 * Provers of the families that speak of paths: every call of the family (the main program checks the list against the table),
 * on every object, by every route. What cannot be done because of what an object is (readlink of a file) says so with an
 * errno that told of the object: inside.c takes that for reached.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "inside.h"
#include "nr.h"
#include "util/err.h"

/* ---- open ----------------------------------------------------------------------------------------- */

static int by_open(int dirfd, const char *path, int flags)
{
	return dirfd == AT_FDCWD ? (int)syscall(SYS_open, path, flags, 0) : (int)syscall(SYS_openat, dirfd, path, flags, 0);
}

static int by_openat(int dirfd, const char *path, int flags)
{
	return (int)syscall(SYS_openat, dirfd, path, flags, 0);
}

static int by_openat2(int dirfd, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)flags };
	return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
}

static int by_openat2_in_root(int dirfd, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)flags, .resolve = RESOLVE_IN_ROOT };
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd, saved;

	/* EAGAIN: something was renamed or mounted somewhere while it walked through "..". */
	do {
		fd = (int)syscall(SYS_openat2, dirfd == AT_FDCWD ? root : dirfd, path, &how, sizeof(how));
		saved = errno;
	} while (fd < 0 && saved == EAGAIN);
	close(root);
	errno = saved;
	return fd;
}

static const struct {
	const char *name;
	int (*fn)(int dirfd, const char *path, int flags);
} opens[] = { { "open", by_open }, { "openat", by_openat }, { "openat2", by_openat2 }, { "openat2", by_openat2_in_root } };

/* Opens, reads a byte where there is one to read, opens anew through procfs. */
static void read_one(const char *name, const struct object *o, const struct route *r, int fd, enum op op)
{
	struct stat st = { .st_dev = 0 };
	int err = fd < 0 ? errno : 0;
	char c;

	if (err == ENXIO) { /* a socket: reached, cannot be opened */
		said("inside_read", name, o, r, op, 0, true);
		return;
	}
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && op == OP_READ && read(fd, &c, 1) < 0)
		err = errno;
	said_object("inside_read", name, o, r->name, op, err, (unsigned long)st.st_dev, (unsigned long)st.st_ino);
	if (fd >= 0)
		close(fd);
}

void inside_read(const struct inside *in)
{
	static const struct {
		int flags;
		enum op op;
	} ways[] = {
		{ O_RDONLY, OP_READ },
		{ O_RDONLY | O_NOATIME, OP_READ },
		{ O_PATH, OP_STAT },
		{ O_RDONLY | O_DIRECTORY, OP_READ },
	};
	struct route routes[ROUTES_MAX];

	for (size_t i = 0; i < in->n; i++) {
		const struct object *o = &in->v[i];
		size_t n = routes_make(in, o, routes);
		if (o->kind == KIND_LINK) {
			routes_close(routes, n);
			continue; /* what a link leads to is an object of its own */
		}
		for (size_t k = 0; k < n; k++)
			for (size_t w = 0; w < ARRAY_LEN(ways); w++)
				for (size_t c = 0; c < ARRAY_LEN(opens); c++) {
					if ((ways[w].flags & O_DIRECTORY) && o->kind != KIND_DIR)
						continue;
					/* Only an owner may ask not to be noted. */
					if ((ways[w].flags & O_NOATIME) && o->kind == KIND_SOCK)
						continue;
					int fd = opens[c].fn(routes[k].dirfd, routes[k].path,
							     ways[w].flags | O_NONBLOCK * (ways[w].flags != O_PATH) | O_CLOEXEC);
					if (fd < 0 && errno == EPERM && (ways[w].flags & O_NOATIME))
						continue;
					if (fd < 0 && opens[c].fn == by_openat2_in_root && routes[k].path[0] != '/' && errno == EXDEV)
						continue;
					/* Magic links have no place in a root of one's own. */
					if (opens[c].fn == by_openat2_in_root && strncmp(routes[k].path, "/proc/", 6) == 0) {
						if (fd >= 0)
							close(fd);
						continue;
					}
					read_one(opens[c].name, o, &routes[k], fd, ways[w].op);
				}
		routes_close(routes, n);
	}
}

/* ---- open for writing ------------------------------------------------------------------------------- */

/* creat() empties what it opens: files only, not programs. */
static int write_one(int dirfd, const char *path, const struct object *o, size_t how, const char **ret_name)
{
	static const struct {
		const char *name;
		int flags;
	} ways[] = { { "openat", O_WRONLY }, { "openat", O_RDWR | O_APPEND }, { "openat", O_WRONLY | O_CREAT }, { "open", O_WRONLY },
		     { "openat2", O_WRONLY }, { "creat", 0 }, { "open", O_RDONLY | O_TRUNC } };
	struct open_how in = { .flags = (uint64_t)(O_WRONLY | O_NONBLOCK | O_CLOEXEC) };

	if (how >= ARRAY_LEN(ways)) {
		errno = ENOENT;
		return -2;
	}
	*ret_name = ways[how].name;
	if ((how == 3 || how >= 5) && dirfd != AT_FDCWD)
		return -3;
	if (how >= 5 && o->kind != KIND_FILE)
		return -3;
	/* A reader and writer at once needs no other end. */
	switch (how) {
	case 3:
		return (int)syscall(SYS_open, path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
	case 4:
		return (int)syscall(SYS_openat2, dirfd, path, &in, sizeof(in));
	case 5:
		return (int)syscall(SYS_creat, path, 0644);
	case 6:
		return (int)syscall(SYS_open, path, O_RDONLY | O_TRUNC | O_CLOEXEC, 0);
	default:
		return (int)syscall(SYS_openat, dirfd, path, ways[how].flags | O_NONBLOCK | O_CLOEXEC, 0644);
	}
}

static void write_object(const struct object *o, const struct route *r)
{
	const char *name = "";
	int fd;

	for (size_t how = 0; (fd = write_one(r->dirfd, r->path, o, how, &name)) != -2; how++) {
		int err = fd < 0 ? errno : 0;
		if (fd == -3)
			continue;
		if (fd >= 0)
			close(fd);
		said("inside_write", name, o, r, OP_WRITE, err, true);
	}
}

/* A directory: new files in it, with and without a name. */
static void write_in(const struct object *o, const struct route *r)
{
	char path[4200];
	int fd;

	if (snprintf(path, sizeof(path), "%s/made-w", r->path) >= (int)sizeof(r->path))
		return;
	fd = openat(r->dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	said("inside_write", "openat", o, r, OP_WRITE, fd < 0 ? errno : 0, true);
	if (fd >= 0)
		(void)unlinkat(r->dirfd, path, 0);
	close(fd);
	fd = openat(r->dirfd, r->path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	said("inside_write", "openat", o, r, OP_WRITE, fd < 0 ? errno : 0, true);
	close(fd);
}

void inside_write(const struct inside *in)
{
	struct route routes[ROUTES_MAX];

	for (size_t i = 0; i < in->n; i++) {
		const struct object *o = &in->v[i];
		size_t n = routes_make(in, o, routes);
		int reader = o->kind == KIND_FIFO ? open(o->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
		for (size_t k = 0; o->kind != KIND_LINK && k < n; k++)
			if (o->kind == KIND_DIR)
				write_in(o, &routes[k]);
			else
				write_object(o, &routes[k]);
		if (reader >= 0)
			close(reader);
		routes_close(routes, n);
	}
}

/* ---- metadata -------------------------------------------------------------------------------------- */

/* A call on (dirfd, path): 0 or errno; EAGAIN: cannot be made that way. */
typedef int meta_fn(int dirfd, const char *path);

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static char big[4096];

#define PLAIN(fn_name, expr)                                                                                 \
	static int fn_name(int dirfd, const char *path)                                                      \
	{                                                                                                    \
		return dirfd != AT_FDCWD ? EAGAIN : result(expr);                                            \
	}
#define AT(fn_name, expr)                                                                                    \
	static int fn_name(int dirfd, const char *path)                                                      \
	{                                                                                                    \
		return result(expr);                                                                         \
	}
/* struct xattr_args of Linux 6.13. */
struct xattr_args_613 {
	uint64_t value;
	uint32_t size, flags;
};

PLAIN(m_stat, syscall(SYS_stat, path, big))
PLAIN(m_lstat, syscall(SYS_lstat, path, big))
PLAIN(m_access, syscall(SYS_access, path, F_OK))
PLAIN(m_readlink, syscall(SYS_readlink, path, big, sizeof(big)))
PLAIN(m_statfs, syscall(SYS_statfs, path, big))
PLAIN(m_getxattr, syscall(SYS_getxattr, path, "user.mark", big, sizeof(big)))
PLAIN(m_lgetxattr, syscall(SYS_lgetxattr, path, "user.mark", big, sizeof(big)))
PLAIN(m_listxattr, syscall(SYS_listxattr, path, big, sizeof(big)))
PLAIN(m_llistxattr, syscall(SYS_llistxattr, path, big, sizeof(big)))
AT(m_newfstatat, syscall(SYS_newfstatat, dirfd, path, big, 0))
AT(m_newfstatat_l, syscall(SYS_newfstatat, dirfd, path, big, AT_SYMLINK_NOFOLLOW))
AT(m_readlinkat, syscall(SYS_readlinkat, dirfd, path, big, sizeof(big)))
AT(m_faccessat, syscall(SYS_faccessat, dirfd, path, F_OK))
AT(m_faccessat2, syscall(SYS_faccessat2, dirfd, path, F_OK, AT_EACCESS))
AT(m_statx, syscall(SYS_statx, dirfd, path, 0, STATX_BASIC_STATS, big))
AT(m_statx_l, syscall(SYS_statx, dirfd, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, big))
AT(m_file_getattr, syscall(NR_file_getattr, dirfd, path, big, (size_t)24, 0))
AT(m_listxattrat, syscall(NR_listxattrat, dirfd, path, 0, big, sizeof(big)))

static int m_getxattrat(int dirfd, const char *path)
{
	struct xattr_args_613 a = { .value = (uint64_t)(uintptr_t)big, .size = sizeof(big) };
	return result(syscall(NR_getxattrat, dirfd, path, 0, "user.mark", &a, sizeof(a)));
}

static int m_handle(int dirfd, const char *path)
{
	struct file_handle *h = (struct file_handle *)big;
	int mount;
	h->handle_bytes = MAX_HANDLE_SZ;
	return result(syscall(SYS_name_to_handle_at, dirfd, path, h, &mount, AT_SYMLINK_FOLLOW));
}

static const struct {
	const char *name;
	meta_fn *fn;
	bool follow;
} metas[] = {
	{ "stat", m_stat, true },
	{ "lstat", m_lstat, false },
	{ "access", m_access, true },
	{ "readlink", m_readlink, false },
	{ "statfs", m_statfs, true },
	{ "getxattr", m_getxattr, true },
	{ "lgetxattr", m_lgetxattr, false },
	{ "listxattr", m_listxattr, true },
	{ "llistxattr", m_llistxattr, false },
	{ "newfstatat", m_newfstatat, true },
	{ "newfstatat", m_newfstatat_l, false },
	{ "readlinkat", m_readlinkat, false },
	{ "faccessat", m_faccessat, true },
	{ "faccessat2", m_faccessat2, true },
	{ "statx", m_statx, true },
	{ "statx", m_statx_l, false },
	{ "name_to_handle_at", m_handle, true },
	{ "getxattrat", m_getxattrat, true },
	{ "listxattrat", m_listxattrat, true },
	{ "file_getattr", m_file_getattr, true },
};

void inside_meta(const struct inside *in)
{
	struct route routes[ROUTES_MAX];

	for (size_t i = 0; i < in->n; i++) {
		const struct object *o = &in->v[i];
		size_t n = routes_make(in, o, routes);
		for (size_t k = 0; k < n; k++)
			for (size_t c = 0; c < ARRAY_LEN(metas); c++) {
				/* Links are looked at, all else reached through them. */
				if (metas[c].follow == (o->kind == KIND_LINK) || (routes[k].follows && !metas[c].follow))
					continue;
				int err = metas[c].fn(routes[k].dirfd, routes[k].path);
				if (err != EAGAIN && err != ENOSYS)
					said("inside_meta", metas[c].name, o, &routes[k], OP_STAT, err, metas[c].follow);
			}
		routes_close(routes, n);
	}
}

/* ---- lists, watches, working directories ------------------------------------------------------------ */

void inside_list(const struct inside *in)
{
	static const struct {
		const char *name;
		long nr;
	} calls[] = { { "getdents", SYS_getdents }, { "getdents64", SYS_getdents64 } };

	for (size_t i = 0; i < in->n; i++)
		for (size_t c = 0; c < ARRAY_LEN(calls); c++) {
			const struct object *o = &in->v[i];
			struct stat st = { .st_dev = 0 };
			int err = 0;
			if (o->kind != KIND_DIR)
				continue;
			int fd = open(o->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (fd < 0 || syscall(calls[c].nr, fd, big, sizeof(big)) < 0)
				err = errno;
			if (fd >= 0)
				(void)fstat(fd, &st);
			close(fd);
			said_object("inside_list", calls[c].name, o, "absolute", OP_READ, err, (unsigned long)st.st_dev,
				    (unsigned long)st.st_ino);
		}
}

void inside_watch(const struct inside *in)
{
	static const uint32_t masks[] = { IN_ALL_EVENTS, IN_OPEN | IN_DONT_FOLLOW, IN_CREATE | IN_ONLYDIR, IN_MODIFY | IN_EXCL_UNLINK };
	struct route routes[ROUTES_MAX];
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	for (size_t i = 0; i < in->n; i++) {
		const struct object *o = &in->v[i];
		size_t n = routes_make(in, o, routes);
		for (size_t k = 0; k < n; k++)
			for (size_t m = 0; m < ARRAY_LEN(masks); m++) {
				if (routes[k].dirfd != AT_FDCWD || o->kind == KIND_LINK ||
				    ((masks[m] & IN_DONT_FOLLOW) && routes[k].follows) ||
				    ((masks[m] & IN_ONLYDIR) && o->kind != KIND_DIR))
					continue;
				int err = result(syscall(SYS_inotify_add_watch, fd, routes[k].path, masks[m]));
				said("inside_watch", "inotify_add_watch", o, &routes[k], OP_READ, err, true);
			}
		routes_close(routes, n);
	}
	close(fd);
}

void inside_chdir(const struct inside *in)
{
	struct route routes[ROUTES_MAX];
	int back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < in->n; i++) {
		const struct object *o = &in->v[i];
		size_t n = routes_make(in, o, routes);
		for (size_t k = 0; k < n; k++)
			for (int held = 0; held < 2; held++) {
				struct stat st = { .st_dev = 0 };
				int err, fd = -1;
				if (o->kind != KIND_DIR || (routes[k].dirfd != AT_FDCWD && !held))
					continue;
				if (held) {
					fd = openat(routes[k].dirfd, routes[k].path, O_PATH | O_CLOEXEC);
					err = fd < 0 ? errno : result(syscall(SYS_fchdir, fd));
				} else {
					err = result(syscall(SYS_chdir, routes[k].path));
				}
				if (err == 0 && stat(".", &st) < 0)
					err = errno;
				said_object("inside_chdir", held ? "fchdir" : "chdir", o, routes[k].name, OP_STAT, err,
					    (unsigned long)st.st_dev, (unsigned long)st.st_ino);
				if (fd >= 0)
					close(fd);
				(void)!fchdir(back);
			}
		routes_close(routes, n);
	}
	close(back);
}
