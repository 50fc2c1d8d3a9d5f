/*
 * Every call that takes a path, on every kind of path: what is wrong with it is told with Linux's errno, in Linux's
 * order, and what is left behind is the same. A fresh set of objects is made for each call (or pair of paths), the
 * call made, and its errno printed with a sum of what lies there then. Lines are short on purpose: a difference names
 * call and paths.
 *
 * not: root a workspace of root's is the guest's with no right of root's, so what modes refuse differs
 * not: bare the root cannot be listed and /proc not be written to without a view
 */
#include <dirent.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <utime.h>

#include "guest.h"

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef O_TMPFILE
#define O_TMPFILE (020000000 | O_DIRECTORY)
#endif

static char too_long[5000], long_name[300], deep[4200];

static const struct {
	const char *label;
	const char *path;
} paths[] = {
	{ "file", "f" },	     { "file/", "f/" },		 { "file/x", "f/x" },	   { "file/.", "f/." },
	{ "file/..", "f/../f" },     { "full", "d" },		 { "full/", "d/" },	   { "full/.", "d/." },
	{ "full/..", "d/.." },	     { "in", "d/in" },		 { "empty", "e" },	   { "empty//", "e//" },
	{ "link", "lf" },	     { "link/", "lf/" },	 { "dirlink", "le" },	   { "dirlink/", "le/" },
	{ "dirlink/.", "le/." },     { "dangling", "ln" },	 { "dangling/", "ln/" },   { "loop", "ll" },
	{ "loop/x", "ll/x" },	     { "fifo", "p" },		 { "socket", "s" },	   { "none", "n" },
	{ "none/", "n/" },	     { "none/x", "n/x" },	 { "none/..", "n/.." },	   { "shut", "x" },
	{ "shut/x", "x/x" },	     { "shut/in", "x/in" },	 { "seen", "r/in" },	   { "seen none", "r/n" },
	{ "unseen", "w/in" },	     { "sticky", "t/in" },	 { "mode 0", "f0" },	   { "nothing", "" },
	{ ".", "." },		     { "..", ".." },		 { "./f", "./f" },	   { "root", "/" },
	{ "//", "//" },		     { "null", "/dev/null" },	 { "null/x", "/dev/null/x" }, { "ro none/x", "/usr/n/x" },
	{ "long name", long_name }, { "long path", too_long },
	{ "deep", deep },	     { "fault", (const char *)8 }, { "NULL", NULL },	   { "proc fd", "/proc/self/fd/9" },
	{ "proc cwd", "/proc/self/cwd/f" }, { "proc none", "/proc/self/fd/77" }, { "dots", "d/../e/../f" },
};

/* The second path of two: fewer, or there would be thousands. */
static const int others[] = { 0, 1, 2, 5, 7, 9, 10, 12, 14, 15, 17, 19, 21, 23, 24, 25, 28, 33, 35, 36, 39, 44, 46, 49 };

static void make_file(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, "content", 7) != 7 || fchmod(fd, mode) < 0)
		die(path);
	close(fd);
}

static void make(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "s" };
	int s = socket(AF_UNIX, SOCK_STREAM, 0), fd;

	make_file("f", 0644);
	make_file("f0", 0);
	if (mkdir("d", 0755) < 0 || mkdir("e", 0755) < 0 || mkdir("x", 0700) < 0 || mkdir("r", 0700) < 0 || mkdir("w", 0700) < 0 ||
	    mkdir("t", 01777) < 0)
		die("directories");
	make_file("d/in", 0644);
	make_file("x/in", 0644);
	make_file("r/in", 0644);
	make_file("w/in", 0644);
	make_file("t/in", 0644);
	if (symlink("f", "lf") < 0 || symlink("e", "le") < 0 || symlink("n", "ln") < 0 || symlink("ll", "ll") < 0 ||
	    mkfifo("p", 0644) < 0 ||
	    bind(s, (struct sockaddr *)&a, sizeof(a)) < 0 || chmod("s", 0755) < 0)
		die("links");
	close(s);
	if (chmod("x", 0) < 0 || chmod("r", 0500) < 0 || chmod("w", 0300) < 0 || chmod("t", 01777) < 0)
		die("modes");
	fd = open("f", O_RDONLY);
	if (dup2(fd, 9) < 0)
		die("descriptor");
	close(fd);
}

static int unmake_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	(void)(flag == FTW_DP ? rmdir(path) : unlink(path));
	return 0;
}

static void unmake(void)
{
	(void)chmod("x", 0700);
	(void)chmod("r", 0700);
	(void)chmod("w", 0700);
	(void)chmod("d", 0700);
	(void)chmod("e", 0700);
	(void)chmod("t", 0700);
	close(9);
	(void)nftw(".", unmake_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* What is there: names, modes, links and sizes of files, in no order. */
static unsigned long sum_of;

static int add_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	unsigned long h = 5381;

	(void)flag;
	(void)ftw;
	for (const char *c = path; *c; c++)
		h = h * 33 + (unsigned char)*c;
	h = h * 33 + st->st_mode;
	if (!S_ISDIR(st->st_mode))
		h = (h * 33 + st->st_nlink) * 33 + (unsigned long)st->st_size;
	sum_of += h * h;
	return 0;
}

static unsigned long sum(void)
{
	sum_of = 0;
	(void)nftw(".", add_one, 8, FTW_PHYS);
	return sum_of % 65521;
}

/* ---- calls of one path ------------------------------------------------------------------------------- */

typedef long one_fn(const char *p);
static char buf[8192];
static const struct timespec some[2] = { { .tv_sec = 1 }, { .tv_nsec = UTIME_OMIT } };
static const struct timespec odd[2] = { { .tv_nsec = 1000000000 }, { .tv_nsec = 0 } };

static long opened(long fd)
{
	if (fd >= 0)
		close((int)fd);
	return fd < 0 ? fd : 0;
}

static long with_how(const char *p, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .mode = mode, .resolve = resolve };

	return opened(SYS(openat2, AT_FDCWD, p, &how, sizeof(how)));
}

#define ONE(name, expr) static long name(const char *p) { return (long)(expr); }
ONE(o_rdonly, opened(SYS(open, p, O_RDONLY | O_NONBLOCK, 0)))
ONE(o_wronly, opened(SYS(open, p, O_WRONLY | O_NONBLOCK, 0)))
ONE(o_rdwr, opened(SYS(open, p, O_RDWR | O_NONBLOCK, 0)))
ONE(o_trunc, opened(SYS(open, p, O_WRONLY | O_TRUNC | O_NONBLOCK, 0)))
ONE(o_rdtrunc, opened(SYS(open, p, O_RDONLY | O_TRUNC | O_NONBLOCK, 0)))
ONE(o_creat, opened(SYS(open, p, O_RDWR | O_CREAT | O_NONBLOCK, 0666)))
ONE(o_creatrd, opened(SYS(open, p, O_RDONLY | O_CREAT | O_NONBLOCK, 0640)))
ONE(o_excl, opened(SYS(open, p, O_RDWR | O_CREAT | O_EXCL, 0600)))
/* One without a reader would wait. */
ONE(o_creattrunc, p == paths[21].path ? 0 : opened(SYS(creat, p, 0644)))
ONE(o_creatnofollow, opened(SYS(open, p, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600)))
ONE(o_creatdir, opened(SYS(open, p, O_RDONLY | O_CREAT | O_DIRECTORY, 0600)))
ONE(o_directory, opened(SYS(open, p, O_RDONLY | O_DIRECTORY, 0)))
ONE(o_nofollow, opened(SYS(open, p, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0)))
ONE(o_nofollowdir, opened(SYS(open, p, O_RDONLY | O_NOFOLLOW | O_DIRECTORY, 0)))
ONE(o_wrdir, opened(SYS(open, p, O_WRONLY | O_DIRECTORY, 0)))
ONE(o_tmpfile, opened(SYS(open, p, O_TMPFILE | O_RDWR, 0600)))
ONE(o_tmpfilerd, opened(SYS(open, p, O_TMPFILE | O_RDONLY, 0600)))
ONE(o_access3, opened(SYS(open, p, 3 | O_NONBLOCK, 0)))
ONE(o_noatime, opened(SYS(open, p, O_RDONLY | O_NOATIME | O_NONBLOCK, 0)))
ONE(o_append, opened(SYS(open, p, O_WRONLY | O_APPEND | O_TRUNC | O_NONBLOCK, 0)))
ONE(o_baddirfd, opened(SYS(openat, -5, p, O_RDONLY | O_NONBLOCK, 0)))
ONE(o_filedirfd, opened(SYS(openat, 9, p, O_RDONLY | O_NONBLOCK, 0)))
ONE(h_plain, with_how(p, O_RDONLY | O_NONBLOCK, 0, 0))
ONE(h_mode, with_how(p, O_RDONLY | O_NONBLOCK, 0600, 0))
ONE(h_beneath, with_how(p, O_RDONLY | O_NONBLOCK, 0, RESOLVE_BENEATH))
ONE(h_nolinks, with_how(p, O_RDONLY | O_NONBLOCK, 0, RESOLVE_NO_SYMLINKS))
ONE(h_nomagic, with_how(p, O_RDONLY | O_NONBLOCK, 0, RESOLVE_NO_MAGICLINKS))
ONE(h_inroot, with_how(p, O_RDONLY | O_NONBLOCK, 0, RESOLVE_IN_ROOT))
ONE(h_creat, with_how(p, O_WRONLY | O_CREAT | O_NONBLOCK, 0600, RESOLVE_BENEATH))
ONE(h_both, with_how(p, O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT))
ONE(m_stat, SYS(stat, p, buf))
ONE(m_lstat, SYS(lstat, p, buf))
ONE(m_fstatat, SYS(newfstatat, AT_FDCWD, p, buf, AT_EMPTY_PATH))
ONE(m_fstatatflag, SYS(newfstatat, AT_FDCWD, p, buf, 0x4000))
ONE(m_statx, SYS(statx, AT_FDCWD, p, 0, STATX_ALL, buf))
ONE(m_statxbad, SYS(statx, AT_FDCWD, p, AT_STATX_FORCE_SYNC | AT_STATX_DONT_SYNC, STATX_ALL, buf))
ONE(m_statxfault, SYS(statx, AT_FDCWD, p, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, BAD))
ONE(m_access, SYS(access, p, R_OK | W_OK))
ONE(m_accessx, SYS(access, p, X_OK))
ONE(m_accessbad, SYS(access, p, 8))
ONE(m_faccess2, SYS(faccessat2, AT_FDCWD, p, W_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW))
ONE(m_faccess2bad, SYS(faccessat2, AT_FDCWD, p, W_OK, 1))
ONE(m_readlink, SYS(readlink, p, buf, sizeof(buf)) < 0 ? -1 : 0)
ONE(m_readlink0, SYS(readlink, p, buf, 0))
ONE(m_readlinkfault, SYS(readlink, p, BAD, 10))
ONE(m_statfs, SYS(statfs, p, buf))
ONE(m_getxattr, SYS(getxattr, p, "user.none", buf, sizeof(buf)))
ONE(m_getxattrname, SYS(lgetxattr, p, "", buf, sizeof(buf)))
ONE(m_listxattr, SYS(llistxattr, p, buf, sizeof(buf)) < 0 ? -1 : 0)
ONE(c_mkdir, SYS(mkdir, p, 0777))
ONE(c_mkdirsticky, SYS(mkdir, p, 07777))
ONE(c_rmdir, SYS(rmdir, p))
ONE(c_unlink, SYS(unlink, p))
ONE(c_unlinkat, SYS(unlinkat, AT_FDCWD, p, AT_REMOVEDIR))
ONE(c_unlinkatbad, SYS(unlinkat, AT_FDCWD, p, 1))
ONE(c_mkfifo, SYS(mknod, p, S_IFIFO | 0666, 0))
ONE(c_mknod, SYS(mknod, p, 0666, 0))
ONE(c_mknodsock, SYS(mknodat, AT_FDCWD, p, S_IFSOCK | 0600, 0))
ONE(c_mknoddir, SYS(mknod, p, S_IFDIR | 0600, 0))
ONE(c_mknodbad, SYS(mknod, p, 0150000 | 0600, 0))
ONE(c_symlink, SYS(symlink, "to", p))
ONE(c_symlinkempty, SYS(symlink, "", p))
ONE(c_symlinklong, SYS(symlink, too_long, p))
ONE(c_symlinkfault, SYS(symlink, BAD, p))
ONE(c_truncate, SYS(truncate, p, 3))
ONE(c_truncatebad, SYS(truncate, p, -1L))
ONE(c_chmod, SYS(chmod, p, 0750))
ONE(c_chmodsticky, SYS(chmod, p, 01755))
ONE(c_fchmodat2, SYS(fchmodat2, AT_FDCWD, p, 0700, AT_SYMLINK_NOFOLLOW))
ONE(c_fchmodat2bad, SYS(fchmodat2, AT_FDCWD, p, 0600, 1))
ONE(c_chown, SYS(chown, p, -1, -1))
ONE(c_lchown, SYS(lchown, p, -1, -1))
ONE(c_chownroot, getuid() == 0 ? 0 : SYS(chown, p, 0, -1))
ONE(c_fchownatbad, SYS(fchownat, AT_FDCWD, p, -1, -1, 1))
ONE(c_utimens, SYS(utimensat, AT_FDCWD, p, some, 0))
ONE(c_utimensl, SYS(utimensat, AT_FDCWD, p, some, AT_SYMLINK_NOFOLLOW))
ONE(c_utimensodd, SYS(utimensat, AT_FDCWD, p, odd, 0))
ONE(c_utimensfault, SYS(utimensat, AT_FDCWD, p, BAD, 0))
ONE(c_utimensbad, SYS(utimensat, AT_FDCWD, p, some, 1))
ONE(c_utimes, SYS(utimes, p, NULL))
ONE(c_utime, SYS(utime, p, NULL))
ONE(c_setxattr, SYS(setxattr, p, "user.a", "v", 1, XATTR_REPLACE))
ONE(c_setxattrbad, SYS(setxattr, p, "user.a", "v", 1, 4))
ONE(c_setxattrname, SYS(setxattr, p, "", "v", 1, 0))
ONE(c_setxattrbig, SYS(setxattr, p, "user.a", "v", 65537, 0))
ONE(c_removexattr, SYS(lremovexattr, p, "user.a"))
ONE(w_inotify, SYS(inotify_add_watch, -1, p, IN_OPEN))
ONE(w_chdir, SYS(access, p, F_OK) < 0 ? -1 : 0)

static const struct {
	const char *name;
	one_fn *fn;
	bool effect;
} ones[] = {
#define Q(fn) { #fn, fn, false }
#define E(fn) { #fn, fn, true }
	Q(o_rdonly), Q(o_wronly), Q(o_rdwr), E(o_trunc), E(o_rdtrunc), E(o_creat), E(o_creatrd), E(o_excl), E(o_creattrunc),
	E(o_creatnofollow), E(o_creatdir), Q(o_directory), Q(o_nofollow), Q(o_nofollowdir), Q(o_wrdir), E(o_tmpfile), Q(o_tmpfilerd),
	Q(o_access3), Q(o_noatime), E(o_append), Q(o_baddirfd), Q(o_filedirfd), Q(h_plain), Q(h_mode), Q(h_beneath), Q(h_nolinks),
	Q(h_nomagic), Q(h_inroot), E(h_creat), Q(h_both), Q(m_stat), Q(m_lstat), Q(m_fstatat), Q(m_fstatatflag), Q(m_statx),
	Q(m_statxbad), Q(m_statxfault), Q(m_access), Q(m_accessx), Q(m_accessbad), Q(m_faccess2), Q(m_faccess2bad), Q(m_readlink),
	Q(m_readlink0), Q(m_readlinkfault), Q(m_statfs), Q(m_getxattr), Q(m_getxattrname), Q(m_listxattr), E(c_mkdir), E(c_mkdirsticky),
	E(c_rmdir), E(c_unlink), E(c_unlinkat), Q(c_unlinkatbad), E(c_mkfifo), E(c_mknod), E(c_mknodsock), E(c_mknoddir), E(c_mknodbad),
	E(c_symlink), E(c_symlinkempty), E(c_symlinklong), E(c_symlinkfault), E(c_truncate), Q(c_truncatebad), E(c_chmod),
	E(c_chmodsticky), E(c_fchmodat2), Q(c_fchmodat2bad), E(c_chown), E(c_lchown), E(c_chownroot), Q(c_fchownatbad), E(c_utimens),
	E(c_utimensl), E(c_utimensodd), E(c_utimensfault), Q(c_utimensbad), E(c_utimes), E(c_utime), Q(c_setxattr), Q(c_setxattrbad),
	Q(c_setxattrname), Q(c_setxattrbig), Q(c_removexattr), Q(w_inotify), Q(w_chdir),
#undef Q
#undef E
};

static void tell(const char *name, const char *a, const char *b, long r, bool effect)
{
	const char *err = r < 0 ? strerrorname_np(errno) : "ok";

	if (effect && r >= 0)
		printf("%s %s%s%s: %s %lu\n", name, a, b ? " -> " : "", b ? b : "", err, sum());
	else
		printf("%s %s%s%s: %s\n", name, a, b ? " -> " : "", b ? b : "", err);
}

/* Nothing of the machine's own is changed here, whoever runs it. */
static bool is_outside(const char *label)
{
	return strcmp(label, "root") == 0 || strcmp(label, "//") == 0 || strcmp(label, "..") == 0 || strcmp(label, "null") == 0;
}

static bool removes(const char *name)
{
	return strcmp(name, "c_rmdir") == 0 || strcmp(name, "c_unlink") == 0 || strcmp(name, "c_unlinkat") == 0;
}

static void one_path(void)
{
	make();
	for (size_t i = 0; i < sizeof(ones) / sizeof(ones[0]); i++)
		for (size_t k = 0; k < sizeof(paths) / sizeof(paths[0]); k++) {
			long r;

			/* Who may change what lies outside, and what procfs says of removing, is not asked here. */
			if (is_outside(paths[k].label) && (ones[i].effect || ones[i].name[0] == 'c' || strcmp(paths[k].label, "..") == 0))
				continue;
			if (removes(ones[i].name) && strcmp(paths[k].label, "proc fd") == 0)
				continue;
			errno = 0;
			r = ones[i].fn(paths[k].path);
			tell(ones[i].name, paths[k].label, NULL, r, ones[i].effect);
			if (ones[i].effect && r >= 0) {
				unmake();
				make();
			}
		}
	unmake();
}

/* ---- of two ---------------------------------------------------------------------------------------- */

typedef long two_fn(const char *a, const char *b);
#define TWO(name, expr) static long name(const char *a, const char *b) { return (long)(expr); }
TWO(t_rename, SYS(rename, a, b))
TWO(t_noreplace, SYS(renameat2, AT_FDCWD, a, AT_FDCWD, b, 1))
TWO(t_exchange, SYS(renameat2, AT_FDCWD, a, AT_FDCWD, b, 2))
TWO(t_badflags, SYS(renameat2, AT_FDCWD, a, AT_FDCWD, b, 3))
TWO(t_link, SYS(link, a, b))
TWO(t_linkfollow, SYS(linkat, AT_FDCWD, a, AT_FDCWD, b, AT_SYMLINK_FOLLOW))
TWO(t_linkbad, SYS(linkat, AT_FDCWD, a, AT_FDCWD, b, 1))

static const struct {
	const char *name;
	two_fn *fn;
} twos[] = { { "rename", t_rename }, { "noreplace", t_noreplace }, { "exchange", t_exchange }, { "badflags", t_badflags },
	     { "link", t_link },     { "linkfollow", t_linkfollow }, { "linkbad", t_linkbad } };

static void two_paths(void)
{
	make();
	for (size_t i = 0; i < sizeof(twos) / sizeof(twos[0]); i++)
		for (size_t k = 0; k < sizeof(others) / sizeof(others[0]); k++)
			for (size_t l = 0; l < sizeof(others) / sizeof(others[0]); l++) {
				const char *a = paths[others[k]].label, *b = paths[others[l]].label;
				long r;

				/* Which of two mounts the root is on differs; a name that is too long is told before that of two mounts. */
				if (strcmp(a, "root") == 0 || strcmp(b, "root") == 0 ||
				    (strcmp(a, "long name") == 0 && strcmp(b, "proc fd") == 0) ||
				    (strcmp(a, "proc fd") == 0 && strcmp(b, "long name") == 0))
					continue;
				errno = 0;
				r = twos[i].fn(paths[others[k]].path, paths[others[l]].path);
				tell(twos[i].name, a, b, r, true);
				if (r >= 0) {
					unmake();
					make();
				}
			}
	unmake();
}

static bool is_empty(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n == 2;
}

int main(void)
{
	/* Directory and system are changed and emptied: never as root, and nowhere but in an empty workspace. */
	if (geteuid() == 0 || !is_empty("."))
		die("wants an empty directory, and is never run as root");
	memset(too_long, 'a', sizeof(too_long) - 1);
	for (size_t i = 200; i < sizeof(too_long) - 1; i += 200)
		too_long[i] = '/';
	memset(long_name, 'b', sizeof(long_name) - 1);
	/* 4095 bytes with the last name: as long as a path may be. */
	for (size_t i = 0; i + 2 < 4095; i += 2)
		memcpy(deep + i, "./", 3);
	strcat(deep, "f");
	(void)umask(027);
	one_path();
	two_paths();
	return 0;
}
