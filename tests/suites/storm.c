/*
 * storm [SEED [COUNT [opath | plain]]]: COUNT random calls of the file system family, in an empty directory below the
 * working directory, each printed with its result; then the tree that came of it. The same seed gives the same calls, so two runs on the
 * same kernel print the same, natively and under supervision: what differs is a bug of the supervisor.
 *
 * Random are the call, its flags, the names (few, so that they meet: files, directories, links, dots, doubled and trailing
 * slashes, magic links of procfs, names that are too long, bad pointers) and the directory they hang off (descriptors in
 * fixed slots). Not asked for: what docs/LIMITS.md says differs (set-id bits on files, O_PATH where opens are
 * performed: only with the argument "opath"), and what differs from run to run (inode numbers, times nobody set).
 * Every open is O_NONBLOCK: nothing waits.
 */
#include <dirent.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/inotify.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <stdbool.h>
#include <sys/xattr.h>

#include "guest.h"

enum { SLOTS = 8, SLOT0 = 100, WATCHER = 120, DEEP = 3, FCHMODAT2 = 452, OPENAT2 = 437, K_TMPFILE = 020000000 };

/* The last close of what was opened for the guest may be the supervisor's, a moment later. */
#define EVENTS ((long)(IN_ALL_EVENTS & ~(IN_CLOSE_WRITE | IN_CLOSE_NOWRITE)))

static uint64_t state;
static unsigned int count_left;
static int home; /* descriptor of the directory all begins in */
static bool plain; /* nothing in procfs: where its rules are not those of the host */
static dev_t home_dev;
static char base[3100];

static unsigned int rnd(unsigned int n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned int)((state >> 11) % n);
}

#define ONE_OF(...)                                                                                          \
	({                                                                                                   \
		static const long all_[] = {__VA_ARGS__};                                                    \
		all_[rnd(sizeof(all_) / sizeof(all_[0]))];                                                   \
	})

/* What is printed of a call, and its path for the kernel. */
struct path {
	char text[5000];
	const char *arg;
};

static void components(char *p, size_t size, unsigned int most)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "l", "m"};
	unsigned int n = 1 + rnd(most);
	size_t at = strlen(p);

	for (unsigned int i = 0; i < n; i++) {
		unsigned int odd = rnd(40);
		const char *name = odd == 0 ? "." : odd == 1 ? ".." : odd == 2 ? "a/" : names[rnd(8)];

		at += (size_t)snprintf(p + at, size - at, "%s%s", i > 0 ? "/" : "", name);
	}
	if (rnd(12) == 0)
		(void)snprintf(p + at, size - at, "%s", rnd(3) == 0 ? "/." : rnd(8) == 0 ? "/.." : "/");
}

/* NAMED: the last component is to be made, moved or removed; a name of a descriptor in procfs is none that could be. */
static const struct path *path_of(struct path *p, bool named)
{
	unsigned int kind = rnd(100);

	if (plain && kind >= 80 && kind < 92)
		kind = 0;
	if (named && kind >= 80)
		kind = kind < 92 ? 74 : kind < 98 ? kind : 92;

	p->text[0] = '\0';
	p->arg = p->text;
	if (kind < 74) {
		components(p->text, sizeof(p->text), DEEP);
	} else if (kind < 80) {
		snprintf(p->text, sizeof(p->text), "%s/", base);
		components(p->text, sizeof(p->text), DEEP);
	} else if (kind < 92) {
		switch (rnd(8)) {
		case 0:
			snprintf(p->text, sizeof(p->text), "/proc/self/fd/%u", SLOT0 + rnd(SLOTS));
			break;
		case 1:
			snprintf(p->text, sizeof(p->text), "/dev/fd/%u", SLOT0 + rnd(SLOTS));
			break;
		case 2:
			snprintf(p->text, sizeof(p->text), "/proc/thread-self/fd/%u/", SLOT0 + rnd(SLOTS));
			components(p->text, sizeof(p->text), 2);
			break;
		case 3:
			snprintf(p->text, sizeof(p->text), "/proc/self/fd/%u/", SLOT0 + rnd(SLOTS));
			components(p->text, sizeof(p->text), 2);
			break;
		case 4:
			snprintf(p->text, sizeof(p->text), "/proc/self/cwd/");
			components(p->text, sizeof(p->text), 2);
			break;
		case 5:
			snprintf(p->text, sizeof(p->text), "/proc/self/root%s/", base);
			components(p->text, sizeof(p->text), 2);
			break;
		case 6:
			snprintf(p->text, sizeof(p->text), "/proc/self/../thread-self/cwd/");
			components(p->text, sizeof(p->text), 2);
			break;
		default:
			snprintf(p->text, sizeof(p->text), "/proc/self/cwd");
			break;
		}
	} else if (kind < 94) {
		p->text[0] = '\0';
	} else if (kind < 95) {
		memset(p->text, 'n', 300);
		p->text[250 + rnd(10)] = '\0';
	} else if (kind < 97) {
		size_t len = 4090 + rnd(10);

		for (size_t i = 0; i < len; i++)
			p->text[i] = i % 2 == 0 ? '.' : '/';
		p->text[len - 1] = 'a';
		p->text[len] = '\0';
	} else if (kind < 98) {
		strcpy(p->text, "BAD");
		p->arg = BAD;
	} else {
		static const char *const odd[] = {"./.", ".", "..", "./", "a/.././", "a//b", "l/", "..//..", "/proc/self/mem/x",
						  "/proc/self", "/dev/null", "/dev/null/", "/dev/null/x", "/proc/nothing",
						  "/proc/self/fd/99", "/proc/self/fd/999/x", "/proc/self/exe/x"};
		strcpy(p->text, odd[rnd(sizeof(odd) / sizeof(odd[0]))]);
		if (plain && p->text[0] == '/')
			strcpy(p->text, "a");
	}
	return p;
}

static const struct path *path(struct path *p)
{
	return path_of(p, false);
}

static const char *shown(const struct path *p)
{
	static char text[4][5200];
	static int i;
	char *t = text[i = (i + 1) % 4];
	size_t n = strlen(base), len = strlen(p->text);
	char *at;

	if (len > 200 && strstr(p->text, base) == NULL) {
		snprintf(t, 5200, "%.12s..%zu", p->text, len);
		return t;
	}
	strcpy(t, p->text);
	while ((at = strstr(t, base)) != NULL) {
		*at = '@';
		memmove(at + 1, at + n, strlen(at + n) + 1);
	}
	return t;
}

static int dirfd_of(void)
{
	unsigned int k = rnd(20);

	return k < 12 ? AT_FDCWD : k < 19 ? (int)(SLOT0 + rnd(SLOTS)) : (int)ONE_OF(-1, 999, 99, -100, 2147483647);
}

__attribute__((format(printf, 2, 3))) static void result(long r, const char *format, ...)
{
	int saved = errno;
	va_list ap;

	printf("%u ", count_left);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	if (r < 0)
		printf(" = %s\n", strerrorname_np(saved));
	else
		printf(" = %ld\n", r);
}

static void describe(const struct stat *st)
{
	printf("    %o links %ld size %ld", (unsigned int)st->st_mode, S_ISDIR(st->st_mode) ? -1L : (long)st->st_nlink,
	       S_ISREG(st->st_mode) || S_ISLNK(st->st_mode) ? (long)st->st_size : -1L);
	printf(" own %d%d", st->st_uid == getuid(), st->st_gid == getgid());
	printf(" times %ld %ld\n", st->st_atime < 100000 ? (long)st->st_atime : -1L,
	       st->st_mtime < 100000 ? (long)st->st_mtime : -1L);
}

static void keep(long fd)
{
	struct stat st;
	int flags;

	if (fd < 0)
		return;
	/* Which of the names was a link is not kept where the object is opened by its descriptor. */
	flags = fcntl((int)fd, F_GETFL) & ~O_NOFOLLOW;
	printf("    flags %o fd %o", (unsigned int)flags, (unsigned int)fcntl((int)fd, F_GETFD));
	if (fstat((int)fd, &st) == 0)
		describe(&st);
	if ((flags & O_ACCMODE) != O_RDONLY && S_ISREG(st.st_mode))
		printf("    wrote %zd\n", write((int)fd, "storm", 1 + rnd(5)));
	else
		(void)rnd(5);
	/* What lies elsewhere has owners and rules of its own. */
	flags = (int)(SLOT0 + rnd(SLOTS));
	if (st.st_dev == home_dev)
		(void)dup2((int)fd, flags);
	close((int)fd);
}

static uint64_t open_flags(void)
{
	uint64_t f = (uint64_t)ONE_OF(O_RDONLY, O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, 3) | O_NONBLOCK;
	static const uint64_t more[] = {O_CREAT, O_CREAT, O_CREAT | O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_DIRECTORY,
					O_NOFOLLOW, O_NOATIME, O_CLOEXEC, K_TMPFILE | O_DIRECTORY, K_TMPFILE, O_DSYNC, O_SYNC,
					O_NOCTTY, O_EXCL, O_CREAT | O_DIRECTORY, O_ASYNC, 0x40000000, O_DIRECT};

	for (unsigned int n = rnd(4); n > 0; n--)
		f |= more[rnd(sizeof(more) / sizeof(more[0]))];
	if (with_opath && rnd(6) == 0)
		f |= O_PATH;
	return f;
}

/* Where O_PATH is not asked for, a read-only open of a directory is what hands out something to hang off. */
static void do_open(void)
{
	struct path p;
	uint64_t flags = open_flags();
	unsigned int mode = (unsigned int)ONE_OF(0644, 0666, 0600, 0777, 0, 0444, 01777);
	int dirfd = dirfd_of();
	struct open_how how = {.flags = flags, .mode = flags & (O_CREAT | K_TMPFILE) ? mode : rnd(20) == 0 ? mode : 0};
	long r;

	path(&p);
	switch (rnd(5)) {
	case 0:
		errno = 0;
		r = SYS(open, p.arg, flags, mode);
		result(r < 0 ? r : 0, "open %s %llo %o", shown(&p), (unsigned long long)flags, mode);
		break;
	case 1:
		how.resolve = (uint64_t)ONE_OF(0, 0, RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS,
					       RESOLVE_NO_XDEV, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
					       RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
					       RESOLVE_BENEATH | RESOLVE_IN_ROOT, 0x100);
		/* Where mounts lie is not the same inside. */
		if (p.text[0] == '/' || strstr(p.text, "..") != NULL)
			how.resolve &= ~(uint64_t)RESOLVE_NO_XDEV;
		r = syscall(OPENAT2, dirfd, p.arg, &how, sizeof(how));
		result(r < 0 ? r : 0, "openat2 %d %s %llo %llo %llx", dirfd, shown(&p), (unsigned long long)how.flags,
		       (unsigned long long)how.mode, (unsigned long long)how.resolve);
		break;
	case 2:
		/* creat() of a FIFO would wait. */
		r = SYS(open, p.arg, O_CREAT | O_WRONLY | O_TRUNC | O_NONBLOCK, mode);
		result(r < 0 ? r : 0, "creat %s %o", shown(&p), mode);
		break;
	default:
		r = SYS(openat, dirfd, p.arg, flags, mode);
		result(r < 0 ? r : 0, "openat %d %s %llo %o", dirfd, shown(&p), (unsigned long long)flags, mode);
		break;
	}
	keep(r);
}

static void do_make(void)
{
	struct path p, q;
	unsigned int mode = (unsigned int)ONE_OF(0755, 0777, 0700, 0, 0555, 01777, 02775, 010755);
	unsigned int type = (unsigned int)ONE_OF(0, S_IFREG, S_IFIFO, S_IFSOCK, S_IFIFO, S_IFDIR, S_IFLNK, S_IFCHR, 0130000);
	int a = dirfd_of(), b = dirfd_of();
	unsigned int flags;

	path_of(&p, true);
	switch (rnd(11)) {
	case 0:
	case 1:
		result(SYS(mkdir, p.arg, mode), "mkdir %s %o", shown(&p), mode);
		break;
	case 2:
	case 3:
		result(SYS(mkdirat, a, p.arg, mode), "mkdirat %d %s %o", a, shown(&p), mode);
		break;
	case 4:
		mode &= 0777;
		result(SYS(mknod, p.arg, type | mode, makedev(1, 3)), "mknod %s %o", shown(&p), type | mode);
		break;
	case 5:
		mode &= 0777;
		result(SYS(mknodat, a, p.arg, type | mode, makedev(1, 3)), "mknodat %d %s %o", a, shown(&p), type | mode);
		break;
	case 6:
		path(&q);
		result(SYS(symlink, q.arg, p.arg), "symlink %s %s", shown(&q), shown(&p));
		break;
	case 7:
		path(&q);
		result(SYS(symlinkat, q.arg, a, p.arg), "symlinkat %s %d %s", shown(&q), a, shown(&p));
		break;
	case 8:
		path(&q);
		result(SYS(link, q.arg, p.arg), "link %s %s", shown(&q), shown(&p));
		break;
	default:
		path(&q);
		flags = (unsigned int)ONE_OF(0, 0, AT_SYMLINK_FOLLOW, AT_SYMLINK_FOLLOW, AT_REMOVEDIR);
		result(SYS(linkat, b, q.arg, a, p.arg, flags), "linkat %d %s %d %s %x", b, shown(&q), a, shown(&p), flags);
		break;
	}
}

static void do_move(void)
{
	struct path p, q;
	int a = dirfd_of(), b = dirfd_of();
	unsigned int flags;

	path_of(&p, true);
	switch (rnd(8)) {
	case 0:
		result(SYS(unlink, p.arg), "unlink %s", shown(&p));
		break;
	case 1:
		result(SYS(rmdir, p.arg), "rmdir %s", shown(&p));
		break;
	case 2:
		flags = (unsigned int)ONE_OF(0, AT_REMOVEDIR, 1);
		result(SYS(unlinkat, a, p.arg, flags), "unlinkat %d %s %x", a, shown(&p), flags);
		break;
	case 3:
	case 4:
		path_of(&q, true);
		result(SYS(rename, p.arg, q.arg), "rename %s %s", shown(&p), shown(&q));
		break;
	case 5:
		path_of(&q, true);
		result(SYS(renameat, a, p.arg, b, q.arg), "renameat %d %s %d %s", a, shown(&p), b, shown(&q));
		break;
	default:
		path_of(&q, true);
		flags = (unsigned int)ONE_OF(0, RENAME_NOREPLACE, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE,
					     RENAME_NOREPLACE | RENAME_EXCHANGE, 8);
		result(SYS(renameat2, a, p.arg, b, q.arg, flags), "renameat2 %d %s %d %s %x", a, shown(&p), b, shown(&q), flags);
		break;
	}
}

static void do_attr(void)
{
	static const char acl[] = "\2\0\0\0\1\0\7\0\377\377\377\377\4\0\5\0\377\377\377\377\40\0\0\0\377\377\377\377";
	struct path p;
	struct stat st;
	struct timespec ts[2] = {{(long)rnd(1000), (long)ONE_OF(0, UTIME_NOW, UTIME_OMIT, 5, 1000000000)},
				 {(long)rnd(1000), (long)ONE_OF(0, UTIME_OMIT, 7, -1)}};
	struct timeval tv[2] = {{(long)rnd(1000), (long)ONE_OF(0, 999999, 1000000, -1)}, {(long)rnd(1000), 5}};
	unsigned int mode = (unsigned int)ONE_OF(0755, 0700, 0644, 0444, 0, 0555, 01777, 0300, 0777);
	unsigned int flags = (unsigned int)ONE_OF(0, 0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, 8);
	unsigned int uid = (unsigned int)ONE_OF(-1, 0, 12345), gid = (unsigned int)ONE_OF(-1, 0);
	long len = ONE_OF(0, 1, 100, 4096, -1, 3);
	int a = dirfd_of();
	char name[32];
	const char *no_path = rnd(6) == 0 ? NULL : "";

	path(&p);
	/* Who may change the root is not the same inside. */
	if (p.text[0] == '/' && p.text[strspn(p.text, "/")] == '\0')
		strcpy(p.text, ".");
	if (uid == 12345)
		uid = getuid();
	switch (rnd(14)) {
	case 0:
	case 1:
		if (stat(p.arg, &st) == 0 && S_ISDIR(st.st_mode) && rnd(3) == 0)
			mode |= S_ISGID;
		result(SYS(chmod, p.arg, mode), "chmod %s %o", shown(&p), mode);
		break;
	case 2:
		result(SYS(fchmodat, a, p.arg, mode), "fchmodat %d %s %o", a, shown(&p), mode);
		break;
	case 3:
		result(syscall(FCHMODAT2, a, p.arg, mode, flags), "fchmodat2 %d %s %o %x", a, shown(&p), mode, flags);
		break;
	case 4:
		result(SYS(chown, p.arg, uid, gid), "chown %s %d %d", shown(&p), uid == getuid() ? 1 : (int)uid, (int)gid);
		break;
	case 5:
		result(SYS(fchownat, a, p.arg, uid, gid, flags), "fchownat %d %s %d %d %x", a, shown(&p),
		       uid == getuid() ? 1 : (int)uid, (int)gid, flags);
		break;
	case 6:
		if (no_path == NULL)
			p = (struct path){.text = "NULL"};
		result(SYS(utimensat, a, p.arg, rnd(5) == 0 ? NULL : ts, flags), "utimensat %d %s %x %ld %ld", a, shown(&p), flags,
		       ts[0].tv_nsec, ts[1].tv_nsec);
		break;
	case 7:
		result(SYS(utimes, p.arg, tv), "utimes %s %ld", shown(&p), (long)tv[0].tv_usec);
		break;
	case 8:
		result(SYS(futimesat, a, p.arg, tv), "futimesat %d %s %ld", a, shown(&p), (long)tv[0].tv_usec);
		break;
	case 9:
	case 10:
		result(SYS(truncate, p.arg, len), "truncate %s %ld", shown(&p), len);
		break;
	case 11:
		snprintf(name, sizeof(name), "user.%c", 'a' + (int)rnd(3));
		flags = (unsigned int)ONE_OF(0, 0, XATTR_CREATE, XATTR_REPLACE, 8);
		if (rnd(2) == 0)
			result(SYS(setxattr, p.arg, name, "value", rnd(6), flags), "setxattr %s %s %x", shown(&p), name, flags);
		else
			result(SYS(lsetxattr, p.arg, name, "value", rnd(6), flags), "lsetxattr %s %s %x", shown(&p), name, flags);
		break;
	case 12:
		snprintf(name, sizeof(name), "user.%c", 'a' + (int)rnd(3));
		if (rnd(2) == 0)
			result(SYS(removexattr, p.arg, name), "removexattr %s %s", shown(&p), name);
		else
			result(SYS(lremovexattr, p.arg, name), "lremovexattr %s %s", shown(&p), name);
		break;
	default:
		result(SYS(setxattr, p.arg, "system.posix_acl_default", acl, sizeof(acl) - 1, 0), "acl %s", shown(&p));
		break;
	}
}

static void do_fd(void)
{
	struct stat st;
	int fd = (int)(SLOT0 + rnd(SLOTS));
	unsigned int mode = (unsigned int)ONE_OF(0755, 0700, 0644, 0444, 0);

	switch (rnd(6)) {
	case 0:
		result(SYS(fchmod, fd, mode), "fchmod %d %o", fd, mode);
		break;
	case 1:
		result(SYS(fchown, fd, ONE_OF(-1, 0), -1), "fchown %d", fd);
		break;
	case 2:
		result(SYS(fsetxattr, fd, "user.a", "fvalue", rnd(6), 0), "fsetxattr %d", fd);
		break;
	case 3:
		result(SYS(fremovexattr, fd, "user.a"), "fremovexattr %d", fd);
		break;
	case 4:
		result(SYS(ftruncate, fd, rnd(100)), "ftruncate %d", fd);
		break;
	default:
		result(SYS(fstat, fd, &st), "fstat %d", fd);
		break;
	}
}

static void do_ask(void)
{
	struct path p;
	struct stat st;
	struct statx sx;
	struct statfs sfs;
	char buf[5000];
	unsigned int flags = (unsigned int)ONE_OF(0, 0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH,
						  AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, 0x40000000);
	unsigned int mode = (unsigned int)ONE_OF(F_OK, R_OK, W_OK, X_OK, R_OK | W_OK | X_OK, 8);
	int a = dirfd_of();
	long r;

	path(&p);
	switch (rnd(13)) {
	case 0:
		r = SYS(stat, p.arg, &st);
		result(r, "stat %s", shown(&p));
		if (r == 0)
			describe(&st);
		break;
	case 1:
		r = SYS(lstat, p.arg, &st);
		result(r, "lstat %s", shown(&p));
		if (r == 0 && strncmp(p.text, "/proc", 5) != 0)
			describe(&st);
		break;
	case 2:
		r = SYS(newfstatat, a, p.arg, &st, flags);
		result(r, "newfstatat %d %s %x", a, shown(&p), flags);
		break;
	case 3:
		r = SYS(statx, a, p.arg, flags, STATX_BASIC_STATS, &sx);
		result(r, "statx %d %s %x", a, shown(&p), flags);
		if (r == 0)
			printf("    %o %x\n", sx.stx_mode, sx.stx_mask);
		break;
	case 4:
		result(SYS(access, p.arg, mode), "access %s %o", shown(&p), mode);
		break;
	case 5:
		result(SYS(faccessat, a, p.arg, mode), "faccessat %d %s %o", a, shown(&p), mode);
		break;
	case 6:
		flags |= (unsigned int)ONE_OF(0, AT_EACCESS);
		result(SYS(faccessat2, a, p.arg, mode, flags), "faccessat2 %d %s %o %x", a, shown(&p), mode, flags);
		break;
	case 7:
		r = SYS(readlink, p.arg, buf, 100);
		result(r < 0 ? r : 0, "readlink %s", shown(&p));
		if (r >= 0 && buf[0] != '/' && (buf[0] < '0' || buf[0] > '9'))
			printf("    %ld %.*s\n", r, (int)r, buf);
		break;
	case 8:
		r = SYS(readlinkat, a, p.arg, buf, ONE_OF(100, 2, 0));
		result(r < 0 ? r : 0, "readlinkat %d %s", a, shown(&p));
		break;
	case 9:
		result(SYS(getxattr, p.arg, "user.a", buf, ONE_OF(0, 100, 2)), "getxattr %s", shown(&p));
		break;
	case 10:
		result(SYS(llistxattr, p.arg, buf, ONE_OF(0, 100, 2)), "llistxattr %s", shown(&p));
		break;
	case 11:
		result(SYS(statfs, p.arg, &sfs), "statfs %s", shown(&p));
		break;
	default:
		/* Others use what lies elsewhere. */
		if (stat(p.arg, &st) == 0 && st.st_dev != home_dev)
			break;
		r = SYS(inotify_add_watch, WATCHER, p.arg,
			ONE_OF(EVENTS, EVENTS | IN_ONLYDIR, EVENTS | IN_DONT_FOLLOW, EVENTS, 0));
		result(r < 0 ? r : 0, "inotify_add_watch %s", shown(&p));
		break;
	}
}

static void do_where(void)
{
	struct path p;
	char buf[5000];
	unsigned int slot = SLOT0 + rnd(SLOTS);
	long r;

	switch (rnd(6)) {
	case 0:
		path(&p);
		result(SYS(chdir, p.arg), "chdir %s", shown(&p));
		break;
	case 1:
		result(SYS(fchdir, slot), "fchdir %u", slot);
		break;
	case 2:
		r = SYS(getcwd, buf, sizeof(buf));
		if (r > 0 && strncmp(buf, base, strlen(base)) == 0)
			result(0, "getcwd @%s", buf + strlen(base));
		else
			result(r < 0 ? r : 0, "getcwd");
		break;
	case 3:
		r = ONE_OF(022, 0, 077, 027, 0777);
		result(umask((mode_t)r), "umask %lo", r);
		break;
	case 4:
		r = SYS(close, slot);
		result(r, "close %u", slot);
		break;
	default:
		result(fchdir(home), "home");
		break;
	}
}

static void events(void)
{
	static char buf[65536] __attribute__((aligned(8)));
	ssize_t n;

	while ((n = read(WATCHER, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const struct inotify_event *)(buf + at);

			printf("    event %d %x %s\n", e->wd, e->mask, e->len == 0 ? "" : e->name[0] == '#' ? "#" : e->name);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
}

/* Sorted, so that the file system's order does not count. */
static void tree(int dir, const char *name, int depth)
{
	struct dirent **list;
	int n, fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

	if (fd < 0 && fchmodat(dir, name, 0700, 0) == 0)
		fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	n = fd < 0 ? -1 : scandirat(fd, ".", &list, NULL, alphasort);
	if (n < 0) {
		printf("%*sno: %s\n", depth * 2, "", strerrorname_np(errno));
		return;
	}
	for (int i = 0; i < n; i++) {
		const char *entry = list[i]->d_name;
		char buf[200];
		struct stat st;
		ssize_t len = 0;

		if (strcmp(entry, ".") == 0 || strcmp(entry, "..") == 0)
			continue;
		printf("%*s%.20s type %d", depth * 2, "", entry, list[i]->d_type);
		if (fstatat(fd, entry, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			printf(" %s\n", strerrorname_np(errno));
			continue;
		}
		describe(&st);
		if (S_ISLNK(st.st_mode) && (len = readlinkat(fd, entry, buf, sizeof(buf))) > 0)
			printf("%*s -> %.*s\n", depth * 2, "", buf[0] == '/' ? 5 : (int)len, buf);
		if (S_ISREG(st.st_mode)) {
			int f = openat(fd, entry, O_RDONLY);

			if (f >= 0 && (len = read(f, buf, sizeof(buf))) >= 0)
				printf("%*s holds %.*s, %zd\n", depth * 2, "", (int)strnlen(buf, (size_t)len), buf,
				       flistxattr(f, NULL, 0));
			close(f);
		}
		if (S_ISDIR(st.st_mode))
			tree(fd, entry, depth + 1);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	unsigned int count = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 0) : 3000;

	guest_begin(1, argv);
	with_opath = argc > 3 && strcmp(argv[3], "opath") == 0;
	plain = argc > 3 && strcmp(argv[3], "plain") == 0;
	setvbuf(stdout, NULL, _IOFBF, 1 << 20);
	/* ".." of few components stays below the directory that is removed at the end. */
	if (mkdir("x", 0755) < 0 || mkdir("x/y", 0755) < 0 || mkdir("x/y/z", 0755) < 0 || mkdir("x/y/z/home", 0755) < 0 ||
	    chdir("x/y/z/home") < 0 || (home = open(".", O_RDONLY | O_DIRECTORY)) < 0 || getcwd(base, sizeof(base)) == NULL)
		die("home");
	(void)dup2(home, 121);
	close(home);
	home = 121;
	{
		struct stat st;

		if (fstat(home, &st) < 0)
			die("fstat");
		home_dev = st.st_dev;
	}
	{
		int in = inotify_init1(IN_NONBLOCK);

		(void)dup2(in, WATCHER);
		close(in);
	}
	for (int fd = 3; fd < 100; fd++)
		close(fd);
	state = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
	for (int i = 0; i < 16; i++)
		(void)rnd(2);
	for (count_left = count; count_left > 0; count_left--) {
		unsigned int k = rnd(100);

		errno = 0;
		if (k < 25)
			do_open();
		else if (k < 45)
			do_make();
		else if (k < 60)
			do_move();
		else if (k < 72)
			do_attr();
		else if (k < 77)
			do_fd();
		else if (k < 94)
			do_ask();
		else
			do_where();
		if (count_left % 20 == 0) {
			events();
			(void)fchdir(home);
		}
		/* A tree nobody may enter any more is no test. */
		if (count_left % 50 == 0)
			(void)fchmod(home, 0755);
	}
	events();
	umask(022);
	if (fchdir(home) == 0)
		tree(AT_FDCWD, ".", 0);
	fflush(stdout);
	return 0;
}
