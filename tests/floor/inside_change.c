/*
 * The prover of changes of names and metadata: every call of the family, by every route, in a form that leaves what
 * is there as it was where it succeeds. Names are made in the directories and taken away again. Where nothing can be
 * made, what is there is the target: the floor must refuse to rename or remove it, and does it not, that is an escape
 * and the tree is spoilt, which is just as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#include "inside.h"
#include "nr.h"
#include "util/err.h"

/* What a call is made on: (dirfd, path), and what was there. */
struct target {
	int dirfd;
	const char *path;
	struct stat st;
};

/* 0 or errno; EAGAIN: cannot be made that way. */
typedef int change_fn(const struct target *t);

static int result(long r)
{
	return r < 0 ? errno : 0;
}

#define PLAIN(fn_name, expr)                                                                                 \
	static int fn_name(const struct target *t)                                                           \
	{                                                                                                    \
		return t->dirfd != AT_FDCWD ? EAGAIN : result(expr);                                         \
	}
#define AT(fn_name, expr)                                                                                    \
	static int fn_name(const struct target *t)                                                           \
	{                                                                                                    \
		return result(expr);                                                                         \
	}

#define MODE (t->st.st_mode & 0777)
static const struct timespec now[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };

/* A descriptor that is open for reading only; FIFOs and links have none. */
static int by_fd(const struct target *t, int (*fn)(int fd, const struct target *t))
{
	int fd = openat(t->dirfd, t->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), r;

	if (fd < 0)
		return EAGAIN;
	r = fn(fd, t);
	close(fd);
	return r;
}

#define BY_FD(fn_name, expr)                                                                                 \
	static int on_##fn_name(int fd, const struct target *t)                                              \
	{                                                                                                    \
		(void)t;                                                                                     \
		return result(expr);                                                                         \
	}                                                                                                    \
	static int fn_name(const struct target *t)                                                           \
	{                                                                                                    \
		return S_ISREG(t->st.st_mode) || S_ISDIR(t->st.st_mode) ? by_fd(t, on_##fn_name) : EAGAIN;   \
	}

struct xattr_args_613 {
	uint64_t value;
	uint32_t size, flags;
};

PLAIN(c_chmod, syscall(SYS_chmod, t->path, MODE))
PLAIN(c_chown, syscall(SYS_chown, t->path, -1, -1))
PLAIN(c_lchown, syscall(SYS_lchown, t->path, -1, -1))
PLAIN(c_utime, syscall(SYS_utime, t->path, NULL))
PLAIN(c_utimes, syscall(SYS_utimes, t->path, NULL))
PLAIN(c_truncate, S_ISREG(t->st.st_mode) ? syscall(SYS_truncate, t->path, t->st.st_size) : (errno = EAGAIN, -1))
AT(c_fchmodat, syscall(SYS_fchmodat, t->dirfd, t->path, MODE))
AT(c_fchmodat2, syscall(NR_fchmodat2, t->dirfd, t->path, MODE, 0))
AT(c_fchownat, syscall(SYS_fchownat, t->dirfd, t->path, -1, -1, 0))
AT(c_fchownat_l, syscall(SYS_fchownat, t->dirfd, t->path, -1, -1, AT_SYMLINK_NOFOLLOW))
AT(c_utimensat, syscall(SYS_utimensat, t->dirfd, t->path, now, 0))
AT(c_utimensat_l, syscall(SYS_utimensat, t->dirfd, t->path, now, AT_SYMLINK_NOFOLLOW))
AT(c_futimesat, syscall(SYS_futimesat, t->dirfd, t->path, NULL))
BY_FD(c_fchmod, syscall(SYS_fchmod, fd, MODE))
BY_FD(c_fchown, syscall(SYS_fchown, fd, -1, -1))
BY_FD(c_fsetxattr, syscall(SYS_fsetxattr, fd, "user.mark", "m", 1, 0))
BY_FD(c_fremovexattr, syscall(SYS_fremovexattr, fd, "user.none"))
BY_FD(c_futimens, syscall(SYS_utimensat, fd, NULL, now, 0))

/* The user's attributes are for files and directories. */
#define FOR_USER (S_ISREG(t->st.st_mode) || S_ISDIR(t->st.st_mode))
#define USER(expr) (FOR_USER ? (expr) : (errno = EAGAIN, -1))
PLAIN(c_setxattr, USER(syscall(SYS_setxattr, t->path, "user.mark", "m", 1, 0)))
PLAIN(c_lsetxattr, USER(syscall(SYS_lsetxattr, t->path, "user.mark", "m", 1, 0)))
PLAIN(c_removexattr, USER(syscall(SYS_removexattr, t->path, "user.none")))
PLAIN(c_lremovexattr, USER(syscall(SYS_lremovexattr, t->path, "user.none")))
AT(c_removexattrat, USER(syscall(NR_removexattrat, t->dirfd, t->path, 0, "user.none")))

static int c_setxattrat(const struct target *t)
{
	struct xattr_args_613 a = { .value = (uint64_t)(uintptr_t) "m", .size = 1 };

	return FOR_USER ? result(syscall(NR_setxattrat, t->dirfd, t->path, 0, "user.mark", &a, sizeof(a))) : EAGAIN;
}

static const struct {
	const char *name;
	change_fn *fn;
	enum {
		OBJECT,	 /* of what the path leads to */
		LINK,	 /* of a link itself */
		BY_NAME, /* of what bears the name, and asked of other objects than links */
	} of;
} changes[] = {
	{ "chmod", c_chmod, OBJECT },	     { "chown", c_chown, OBJECT },	 { "lchown", c_lchown, LINK },
	{ "utime", c_utime, OBJECT },	     { "utimes", c_utimes, OBJECT },	 { "truncate", c_truncate, OBJECT },
	{ "fchmodat", c_fchmodat, OBJECT },   { "fchmodat2", c_fchmodat2, OBJECT }, { "fchownat", c_fchownat, OBJECT },
	{ "fchownat", c_fchownat_l, LINK },  { "utimensat", c_utimensat, OBJECT }, { "utimensat", c_utimensat_l, LINK },
	{ "futimesat", c_futimesat, OBJECT }, { "fchmod", c_fchmod, OBJECT },	 { "fchown", c_fchown, OBJECT },
	{ "fsetxattr", c_fsetxattr, OBJECT }, { "fremovexattr", c_fremovexattr, OBJECT }, { "utimensat", c_futimens, OBJECT },
	{ "setxattr", c_setxattr, OBJECT },   { "lsetxattr", c_lsetxattr, BY_NAME }, { "removexattr", c_removexattr, OBJECT },
	{ "lremovexattr", c_lremovexattr, BY_NAME }, { "setxattrat", c_setxattrat, OBJECT },
	{ "removexattrat", c_removexattrat, OBJECT },
};

/* ---- names ----------------------------------------------------------------------------------------- */

struct names {
	const struct object *o;
	const struct route *r;
	char a[4200], b[4200]; /* names to be made in the directory */
	bool open;	       /* some could be made */
};

static void tell(const struct names *n, const char *name, long r)
{
	int err = result(r);

	if (err != ENOSYS)
		said("inside_change", name, n->o, n->r, OP_WRITE, err, true);
}

/* The calls in pairs that undo each other, between the names A and B of one directory. */
static void in_directory(struct names *n)
{
	int d = n->r->dirfd;
	bool cwd = d == AT_FDCWD;

	n->open = syscall(SYS_mkdirat, d, n->a, 0755) == 0;
	tell(n, "mkdirat", n->open ? 0 : -1);
	if (!n->open)
		return;
	tell(n, "renameat", syscall(SYS_renameat, d, n->a, d, n->b));
	tell(n, "unlinkat", syscall(SYS_unlinkat, d, n->b, AT_REMOVEDIR));
	tell(n, "mknodat", syscall(SYS_mknodat, d, n->a, S_IFREG | 0644, 0));
	tell(n, "linkat", syscall(SYS_linkat, d, n->a, d, n->b, 0));
	tell(n, "renameat2", syscall(SYS_renameat2, d, n->a, d, n->b, 2)); /* RENAME_EXCHANGE */
	tell(n, "unlinkat", syscall(SYS_unlinkat, d, n->b, 0));
	tell(n, "symlinkat", syscall(SYS_symlinkat, "x", d, n->b));
	(void)unlinkat(d, n->b, 0);
	if (cwd) {
		tell(n, "link", syscall(SYS_link, n->a, n->b));
		tell(n, "unlink", syscall(SYS_unlink, n->b));
		tell(n, "rename", syscall(SYS_rename, n->a, n->b));
		(void)unlink(n->b);
		tell(n, "mknod", syscall(SYS_mknod, n->b, S_IFIFO | 0600, 0));
		(void)unlink(n->b);
		tell(n, "symlink", syscall(SYS_symlink, "x", n->b));
		(void)unlink(n->b);
		tell(n, "mkdir", syscall(SYS_mkdir, n->b, 0755));
		tell(n, "rmdir", syscall(SYS_rmdir, n->b));
	}
	(void)unlinkat(d, n->a, 0);
}

/* Nothing can be made in there: neither by other calls, nor can what is there be touched. */
static void at_closed(const struct names *n)
{
	int d = n->r->dirfd;

	tell(n, "mknodat", syscall(SYS_mknodat, d, n->a, S_IFREG | 0644, 0));
	tell(n, "symlinkat", syscall(SYS_symlinkat, "x", d, n->a));
	if (d == AT_FDCWD) {
		tell(n, "mkdir", syscall(SYS_mkdir, n->a, 0755));
		tell(n, "mknod", syscall(SYS_mknod, n->a, S_IFIFO | 0600, 0));
		tell(n, "symlink", syscall(SYS_symlink, "x", n->a));
	}
}

static bool directory(const struct inside *in, const struct object *o, const struct route *r)
{
	static struct names n;
	size_t len = strlen(r->path);

	(void)in;
	n.o = o;
	n.r = r;
	n.open = false;
	if (len + 8 > sizeof(r->path))
		return false;
	(void)snprintf(n.a, sizeof(n.a), "%s/made-a", r->path);
	(void)snprintf(n.b, sizeof(n.b), "%s/made-b", r->path);
	in_directory(&n);
	if (!n.open)
		at_closed(&n);
	return n.open;
}

/* What is there, moved, linked and removed where its directory is closed. */
static void by_name(const struct object *o, const struct route *r)
{
	struct names n = { .o = o, .r = r };
	int d = r->dirfd;

	if (r->follows || strcmp(r->name, "slash") == 0 || snprintf(n.b, sizeof(n.b), "%s-moved", r->path) >= (int)sizeof(r->path))
		return;
	tell(&n, "renameat", syscall(SYS_renameat, d, r->path, d, n.b));
	tell(&n, "renameat2", syscall(SYS_renameat2, d, r->path, d, n.b, 0));
	tell(&n, "unlinkat", syscall(SYS_unlinkat, d, r->path, o->kind == KIND_DIR ? AT_REMOVEDIR : 0));
	if (o->kind != KIND_DIR)
		tell(&n, "linkat", syscall(SYS_linkat, d, r->path, d, n.b, 0));
	if (d != AT_FDCWD)
		return;
	tell(&n, "rename", syscall(SYS_rename, r->path, n.b));
	if (o->kind == KIND_DIR) {
		tell(&n, "rmdir", syscall(SYS_rmdir, r->path));
	} else {
		tell(&n, "unlink", syscall(SYS_unlink, r->path));
		tell(&n, "link", syscall(SYS_link, r->path, n.b));
	}
}

/* Whether nothing can be made beside O, by its own path. Where O is a writable mount its name is its parent's affair; a mask is to stay. */
static bool is_closed(const struct object *o)
{
	char path[4200];
	char *slash;
	struct statvfs fs;
	struct statx sx;

	if (statx(AT_FDCWD, o->path, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &sx) == 0 && (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) &&
	    statvfs(o->path, &fs) == 0 && !(fs.f_flag & ST_RDONLY))
		return false;

	(void)snprintf(path, sizeof(path), "%s", o->path);
	slash = strrchr(path, '/');
	if (slash == NULL || (size_t)(slash - path) + 16 > sizeof(path))
		return false;
	(void)snprintf(slash, 16, "/made-c");
	if (mkdir(path, 0755) < 0)
		return errno != EEXIST && errno != ENAMETOOLONG;
	(void)rmdir(path);
	return false;
}

void inside_change(const struct inside *in)
{
	struct route routes[ROUTES_MAX];

	for (size_t i = 0; i < in->n; i++) {
		const struct object *o = &in->v[i];
		size_t n = routes_make(in, o, routes);
		bool closed = is_closed(o);
		for (size_t k = 0; k < n; k++) {
			struct target t = { .dirfd = routes[k].dirfd, .path = routes[k].path };
			bool is_link = o->kind == KIND_LINK;
			int err = 0;
			if (fstatat(t.dirfd, t.path, &t.st, is_link ? AT_SYMLINK_NOFOLLOW : 0) < 0)
				err = errno; /* hidden: each call is to meet the same */
			for (size_t c = 0; c < ARRAY_LEN(changes); c++) {
				if ((changes[c].of == LINK) != is_link || (changes[c].of != OBJECT && routes[k].follows))
					continue;
				int e = changes[c].fn(&t);
				if (e != EAGAIN && e != ENOSYS)
					said("inside_change", changes[c].name, o, &routes[k], OP_WRITE, e, !is_link);
			}
			if (o->kind == KIND_DIR && err == 0)
				(void)directory(in, o, &routes[k]);
			if (closed)
				by_name(o, &routes[k]);
		}
		routes_close(routes, n);
	}
}
