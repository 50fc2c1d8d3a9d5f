/*
 * Changing names and metadata by path: results, the order of errors, and what is there afterwards.
 */
#include <linux/fs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

#include "guest.h"

enum { FCHMODAT2 = 452, SETXATTRAT = 463, REMOVEXATTRAT = 466, FILE_SETATTR = 469 };

/* What NAME is now. */
static void is(int line, const char *name)
{
	struct stat st;

	if (lstat(name, &st) < 0)
		printf("%d:   %s: %s\n", line, name, strerrorname_np(errno));
	else
		printf("%d:   %s: mode %o links %ld size %ld times %ld %ld\n", line, name, st.st_mode,
		       S_ISDIR(st.st_mode) ? -1L : (long)st.st_nlink,
		       S_ISDIR(st.st_mode) ? -1L : (long)st.st_size,
		       st.st_atime < 100000 ? (long)st.st_atime : -1L,
		       st.st_mtime < 100000 ? (long)st.st_mtime : -1L);
}

#define IS(name) is(__LINE__, name)

static void makers(int dir)
{
	int fd = open("f", O_RDONLY);

	SHOW(SYS(mkdir, tail_str("m1"), 0777));
	IS("m1");
	umask(027);
	SHOW(SYS(mkdir, "m2", 07777));
	IS("m2");
	SHOW(SYS(mknod, "n1", 0666, 0));
	IS("n1");
	umask(0);
	SHOW(SYS(mkdirat, dir, "m3", 01777));
	IS("d/m3");
	SHOW(SYS(mknodat, dir, "p", S_IFIFO | 0622, 0));
	IS("d/p");
	umask(022);
	SHOW(SYS(mkdir, "m1", 0777));
	SHOW(SYS(mkdir, "m1/", 0777));
	SHOW(SYS(mkdir, "m4/", 0777));
	SHOW(SYS(mkdir, "m4/.", 0777));
	SHOW(SYS(mkdir, "m5/.", 0777));
	SHOW(SYS(mkdir, "..", 0777));
	SHOW(SYS(mkdir, "/", 0777));
	SHOW(SYS(mkdir, "", 0777));
	SHOW(SYS(mkdir, "f", 0777));
	SHOW(SYS(mkdir, "f/x", 0777));
	SHOW(SYS(mkdir, "nothing/x", 0777));
	SHOW(SYS(mkdir, "dangling", 0777));
	SHOW(SYS(mkdir, "dangling/", 0777));
	SHOW(SYS(mkdir, "dl/through", 0777));
	IS("d/through");
	SHOW(SYS(mkdir, BAD, 0777));
	SHOW(SYS(mkdir, repeat("a", 256), 0777));
	SHOW(SYS(mkdirat, fd, "x", 0777));
	SHOW(SYS(mkdirat, 999, "x", 0777));
	SHOW(SYS(mknod, "sock", S_IFSOCK | 0644, 0));
	IS("sock");
	SHOW(SYS(mknod, "dir", S_IFDIR | 0755, 0));
	SHOW(SYS(mknod, "odd", 0170000, 0));
	SHOW(SYS(mknod, "odd", 0110000, 0));
	SHOW(SYS(mknod, "f", S_IFREG | 0644, 0));
	SHOW(SYS(mknod, "x/", S_IFREG | 0644, 0));
	SHOW(SYS(mknod, "nothing/x", S_IFDIR, 0));
	if (geteuid() != 0) {
		SHOW(SYS(mknod, "dev", S_IFBLK | 0644, makedev(7, 0)));
		SHOW(SYS(mknod, "f", S_IFCHR | 0644, makedev(1, 3)));
		SHOW(SYS(mkdir, "shut/x", 0777));
		SHOW(SYS(mkdir, "readonly/x", 0777));
		SHOW(SYS(mkdir, "readonly/in", 0777));
		SHOW(SYS(unlink, "readonly/in"));
		SHOW(SYS(unlink, "readonly/nothing"));
		SHOW(SYS(rename, "readonly/in", "x"));
		SHOW(SYS(rename, "f", "readonly/x"));
		SHOW(SYS(symlink, "x", "readonly/x"));
		SHOW(SYS(link, "f", "readonly/x"));
	}
	SHOW(SYS(symlink, tail_str("text"), tail_str("s1")));
	IS("s1");
	SHOW(SYS(symlink, "text", "s1"));
	SHOW(SYS(symlink, "", "s2"));
	SHOW(SYS(symlink, "text", ""));
	SHOW(SYS(symlink, "text", "s2/"));
	SHOW(SYS(symlink, BAD, "nothing/x"));
	SHOW(SYS(symlink, tail_open("text"), "s2"));
	SHOW(SYS(symlink, repeat("a", 4095), "s3"));
	SHOW(SYS(symlink, repeat("a", 4096), "s4"));
	SHOW(SYS(symlinkat, "text", dir, "s5"));
	IS("d/s5");
	SHOW(SYS(symlinkat, "text", 999, "s5"));
	close(fd);
}

static void links(int dir)
{
	int fd = open("f", O_RDONLY), tmp;
	char name[64];

	SHOW(SYS(link, tail_str("f"), tail_str("h1")));
	IS("h1");
	SHOW(SYS(link, "f", "h1"));
	SHOW(SYS(link, "nothing", "h1"));
	SHOW(SYS(link, "nothing", "h2"));
	SHOW(SYS(link, "d", "h2"));
	SHOW(SYS(link, "f", "h2/"));
	SHOW(SYS(link, "f", "nothing/h2"));
	SHOW(SYS(link, "f/", "h2"));
	SHOW(SYS(link, "", "h2"));
	SHOW(SYS(link, "f", ""));
	SHOW(SYS(link, BAD, "h2"));
	SHOW(SYS(link, "f", BAD));
	SHOW(SYS(link, "l", "h3"));
	IS("h3");
	SHOW(SYS(linkat, AT_FDCWD, "l", dir, "h4", AT_SYMLINK_FOLLOW));
	IS("d/h4");
	SHOW(SYS(linkat, AT_FDCWD, "dangling", dir, "h5", AT_SYMLINK_FOLLOW));
	SHOW(SYS(linkat, AT_FDCWD, "f", AT_FDCWD, "h6", AT_SYMLINK_NOFOLLOW));
	SHOW(SYS(linkat, 999, "f", AT_FDCWD, "h6", 0));
	SHOW(SYS(linkat, AT_FDCWD, "f", 999, "h6", 0));
	SHOW(SYS(linkat, fd, "", AT_FDCWD, "h7", 0));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	SHOW(SYS(linkat, AT_FDCWD, name, AT_FDCWD, "h8", AT_SYMLINK_FOLLOW));
	IS("h8");
	tmp = open(".", O_TMPFILE | O_RDWR, 0640);
	if (tmp >= 0) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", tmp);
		SHOW(SYS(linkat, AT_FDCWD, name, AT_FDCWD, "h9", AT_SYMLINK_FOLLOW));
		IS("h9");
		close(tmp);
	}
	close(fd);
}

static void removers(int dir)
{
	SHOW(SYS(unlink, tail_str("h1")));
	IS("h1");
	SHOW(SYS(unlink, "h1"));
	SHOW(SYS(unlink, "d"));
	SHOW(SYS(unlink, "d/"));
	SHOW(SYS(unlink, "f/"));
	SHOW(SYS(unlink, "."));
	SHOW(SYS(unlink, "d/.."));
	SHOW(SYS(unlink, "/"));
	SHOW(SYS(unlink, ""));
	SHOW(SYS(unlink, BAD));
	SHOW(SYS(unlink, "f/x"));
	SHOW(SYS(unlink, "nothing/x"));
	SHOW(SYS(unlink, "dl/"));
	SHOW(SYS(unlink, "h3"));
	IS("h3");
	IS("l");
	SHOW(SYS(rmdir, "m1"));
	SHOW(SYS(rmdir, "m2/"));
	SHOW(SYS(rmdir, "m4/."));
	SHOW(SYS(rmdir, "m4/.."));
	SHOW(SYS(rmdir, "."));
	SHOW(SYS(rmdir, "/"));
	SHOW(SYS(rmdir, "///"));
	SHOW(SYS(rmdir, ""));
	SHOW(SYS(rmdir, "d"));
	SHOW(SYS(rmdir, "f"));
	SHOW(SYS(rmdir, "dl"));
	SHOW(SYS(rmdir, "dl/"));
	SHOW(SYS(rmdir, "nothing"));
	SHOW(SYS(unlinkat, dir, "p", 0));
	SHOW(SYS(unlinkat, dir, "m3", 0));
	SHOW(SYS(unlinkat, dir, "m3", AT_REMOVEDIR));
	SHOW(SYS(unlinkat, dir, "h4", AT_REMOVEDIR));
	SHOW(SYS(unlinkat, dir, "h4", 1));
	SHOW(SYS(unlinkat, 999, "h4", 0));
}

static void renames(int dir)
{
	file("a", "aa");
	file("b", "b");
	if (mkdir("x", 0755) < 0 || mkdir("y", 0755) < 0 || mkdir("y/z", 0755) < 0)
		die("renames");
	SHOW(SYS(rename, tail_str("a"), tail_str("c")));
	IS("a");
	IS("c");
	SHOW(SYS(rename, "c", "b"));
	IS("b");
	SHOW(SYS(rename, "nothing", "c"));
	SHOW(SYS(rename, "b", "nothing/c"));
	SHOW(SYS(rename, "b", "b"));
	SHOW(SYS(rename, "b", "x"));
	SHOW(SYS(rename, "x", "b"));
	SHOW(SYS(rename, "x", "y"));
	SHOW(SYS(rename, "y", "y/z/w"));
	SHOW(SYS(rename, "y/z", "y"));
	SHOW(SYS(rename, "x", "y/z"));
	IS("x");
	SHOW(SYS(rename, "y/z/", "x/"));
	IS("x");
	SHOW(SYS(rename, "b/", "c"));
	SHOW(SYS(rename, "b", "c/"));
	SHOW(SYS(rename, ".", "c"));
	SHOW(SYS(rename, "b", ".."));
	SHOW(SYS(rename, "", "c"));
	SHOW(SYS(rename, "b", ""));
	SHOW(SYS(rename, BAD, "c"));
	SHOW(SYS(rename, "b", BAD));
	SHOW(SYS(rename, "dangling", "moved"));
	IS("moved");
	SHOW(SYS(rename, "moved", "dangling"));
	SHOW(SYS(rename, "dl/", "elsewhere"));
	SHOW(SYS(renameat, AT_FDCWD, "b", dir, "b"));
	IS("d/b");
	SHOW(SYS(renameat, 999, "b", dir, "b"));
	SHOW(SYS(renameat, dir, "b", 999, "b"));
	SHOW(SYS(renameat2, dir, "b", AT_FDCWD, "f", RENAME_NOREPLACE));
	SHOW(SYS(renameat2, dir, "b", AT_FDCWD, "b", RENAME_NOREPLACE));
	SHOW(SYS(renameat2, AT_FDCWD, "b", AT_FDCWD, "x", RENAME_EXCHANGE));
	IS("b");
	IS("x");
	SHOW(SYS(renameat2, AT_FDCWD, "x", AT_FDCWD, "nothing", RENAME_EXCHANGE));
	SHOW(SYS(renameat2, AT_FDCWD, "x", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_NOREPLACE));
	SHOW(SYS(renameat2, AT_FDCWD, "x", AT_FDCWD, "b", 8));
	SHOW(SYS(renameat2, AT_FDCWD, "x", AT_FDCWD, "..", RENAME_NOREPLACE));
	SHOW(SYS(renameat2, AT_FDCWD, "..", AT_FDCWD, "x", RENAME_NOREPLACE));
}

static void attributes(int dir)
{
	struct timespec *ts = tail(2 * sizeof(*ts));
	struct timeval *tv = tail(2 * sizeof(*tv));
	struct utimbuf *ub = tail(sizeof(*ub));
	int fd = open("f", O_RDONLY), opath, link;

	SHOW(SYS(truncate, "f", 3L));
	IS("f");
	SHOW(SYS(truncate, "l", 5L));
	IS("f");
	SHOW(SYS(truncate, "f", -1L));
	SHOW(SYS(truncate, "nothing", -1L));
	SHOW(SYS(truncate, "nothing", 1L));
	SHOW(SYS(truncate, "d", 1L));
	SHOW(SYS(truncate, "fifo", 1L));
	SHOW(SYS(truncate, "f/", 1L));
	SHOW(SYS(truncate, "", 1L));
	SHOW(SYS(truncate, "f", 1L << 62));

	SHOW(SYS(chmod, "f", 0604));
	IS("f");
	SHOW(SYS(chmod, "l", 0100600));
	IS("f");
	SHOW(SYS(chmod, "nothing", 0600));
	SHOW(SYS(chmod, "", 0600));
	SHOW(SYS(chmod, BAD, 0600));
	SHOW(SYS(fchmodat, dir, "in", 0640));
	IS("d/in");
	SHOW(SYS(fchmodat, 999, "in", 0640));
	SHOW(syscall(FCHMODAT2, AT_FDCWD, "l", 0600, AT_SYMLINK_NOFOLLOW));
	SHOW(syscall(FCHMODAT2, AT_FDCWD, "f", 0600, AT_SYMLINK_NOFOLLOW));
	SHOW(syscall(FCHMODAT2, fd, "", 0644, AT_EMPTY_PATH));
	IS("f");
	SHOW(syscall(FCHMODAT2, fd, "", 0644, 0));
	SHOW(syscall(FCHMODAT2, AT_FDCWD, "f", 0644, 1));
	SHOW(syscall(FCHMODAT2, 999, "", 0644, AT_EMPTY_PATH));

	SHOW(SYS(chown, "f", geteuid(), -1));
	SHOW(SYS(chown, "f", -1, getegid()));
	SHOW(SYS(lchown, "dangling", geteuid(), getegid()));
	SHOW(SYS(chown, "dangling", geteuid(), getegid()));
	SHOW(SYS(fchownat, dir, "in", geteuid(), -1, 0));
	SHOW(SYS(fchownat, fd, "", geteuid(), -1, AT_EMPTY_PATH));
	SHOW(SYS(fchownat, fd, "", geteuid(), -1, 0));
	if (with_opath) {
		opath = open("f", O_PATH), link = open("l", O_PATH | O_NOFOLLOW);
		SHOW(syscall(FCHMODAT2, opath, "", 0606, AT_EMPTY_PATH));
		IS("f");
		SHOW(SYS(chmod, "f", 0644));
		SHOW(SYS(fchownat, opath, "", geteuid(), -1, AT_EMPTY_PATH));
		SHOW(SYS(fchownat, link, "", geteuid(), -1, AT_EMPTY_PATH));
		ts[0] = (struct timespec){500, 5}, ts[1] = (struct timespec){600, 6};
		SHOW(SYS(utimensat, opath, NULL, ts, 0));
		SHOW(SYS(utimensat, opath, "", ts, AT_EMPTY_PATH));
		IS("f");
		SHOW(SYS(utimensat, link, "", ts, AT_EMPTY_PATH));
		IS("l");
		close(opath), close(link);
	}
	SHOW(SYS(fchownat, AT_FDCWD, "f", geteuid(), -1, 1));
	if (geteuid() != 0) {
		SHOW(SYS(truncate, "noaccess", 0L));
	}

	ub->actime = 1000, ub->modtime = 2000;
	SHOW(SYS(utime, "f", ub));
	IS("f");
	SHOW(SYS(utime, "f", NULL));
	IS("f");
	SHOW(SYS(utime, "nothing", BAD));
	SHOW(SYS(utime, "nothing", ub));
	tv[0] = (struct timeval){3000, 999999}, tv[1] = (struct timeval){4000, 0};
	SHOW(SYS(utimes, "l", tv));
	IS("f");
	tv[0].tv_usec = 1000000;
	SHOW(SYS(utimes, "f", tv));
	SHOW(SYS(utimes, "nothing", tv));
	tv[0].tv_usec = 0;
	SHOW(SYS(futimesat, dir, "in", tv));
	IS("d/in");
	SHOW(SYS(futimesat, fd, NULL, tv));
	IS("f");
	SHOW(SYS(futimesat, AT_FDCWD, NULL, tv));
	ts[0] = (struct timespec){5000, 5}, ts[1] = (struct timespec){6000, 6};
	SHOW(SYS(utimensat, AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
	IS("l");
	IS("f");
	SHOW(SYS(utimensat, fd, NULL, ts, 0));
	IS("f");
	SHOW(SYS(utimensat, fd, NULL, ts, AT_SYMLINK_NOFOLLOW));
	SHOW(SYS(utimensat, 999, NULL, ts, AT_SYMLINK_NOFOLLOW));
	SHOW(SYS(utimensat, 999, NULL, ts, 0));
	SHOW(SYS(utimensat, fd, "", ts, AT_EMPTY_PATH));
	ts[0].tv_nsec = 1000000000;
	SHOW(SYS(utimensat, AT_FDCWD, "f", ts, 0));
	SHOW(SYS(utimensat, AT_FDCWD, "nothing", ts, 0));
	ts[0].tv_nsec = UTIME_OMIT, ts[1].tv_sec = 7000;
	SHOW(SYS(utimensat, AT_FDCWD, "f", ts, 0));
	IS("f");
	ts[1].tv_nsec = UTIME_OMIT;
	SHOW(SYS(utimensat, AT_FDCWD, "nothing", ts, 0));
	SHOW(SYS(utimensat, 999, NULL, ts, 77));
	SHOW(SYS(utimensat, AT_FDCWD, "nothing", BAD, 0));
	SHOW(SYS(utimensat, AT_FDCWD, "f", NULL, 1));
	SHOW(SYS(utimensat, AT_FDCWD, NULL, NULL, 0));
	close(fd);
}

static void xattrs(void)
{
	struct {
		uint64_t value;
		uint32_t size, flags;
	} args = {.value = (uintptr_t) "v3", .size = 2};
	char buf[64], *big = calloc(1, 70000);

	if (SYS(setxattr, "f", "user.a", "v", 1L, 0) < 0) {
		SAY("no user xattrs here");
		return;
	}
	SHOW(SYS(setxattr, "f", tail_str("user.b"), tail_open("vv"), 2L, 0));
	SHOW(SYS(setxattr, "f", "user.b", "vv", 2L, XATTR_CREATE));
	SHOW(SYS(setxattr, "f", "user.c", "vv", 2L, XATTR_REPLACE));
	SHOW(SYS(setxattr, "f", "user.b", "vv", 2L, 8));
	SHOW(SYS(setxattr, "nothing", "user.b", "vv", 2L, 8));
	SHOW(SYS(setxattr, "f", "user.b", NULL, 2L, 0));
	SHOW(SYS(setxattr, "f", "user.b", NULL, 0L, 0));
	SHOW(SYS(setxattr, "f", "", "vv", 2L, 0));
	SHOW(SYS(setxattr, "f", repeat("u", 256), "vv", 2L, 0));
	SHOW(SYS(setxattr, "f", NULL, "vv", 2L, 0));
	SHOW(SYS(setxattr, "f", "bogus", "vv", 2L, 0));
	SHOW(SYS(setxattr, "f", "user.big", big, 65537L, 0));
	SHOW(SYS(setxattr, "f", "user.big", big, 1L << 40, 0));
	SHOW(SYS(setxattr, "nothing", "user.b", "vv", 2L, 0));
	SHOW(SYS(lsetxattr, "l", "user.b", "vv", 2L, 0));
	SHOW(SYS(setxattr, "l", "user.d", "vv", 2L, 0));
	SHOW(SYS(getxattr, "f", "user.d", buf, 64L));
	SHOW(SYS(removexattr, "f", "user.d"));
	SHOW(SYS(removexattr, "f", "user.d"));
	SHOW(SYS(removexattr, "nothing", "user.d"));
	SHOW(SYS(lremovexattr, "l", "user.b"));
	SHOW(SYS(removexattr, "f", NULL));
	SHOW(syscall(SETXATTRAT, AT_FDCWD, "f", 0, "user.e", &args, sizeof(args)));
	SHOW(syscall(SETXATTRAT, AT_FDCWD, "f", 1, "user.e", &args, sizeof(args)));
	SHOW(syscall(SETXATTRAT, AT_FDCWD, "f", 0, "user.e", &args, 15L));
	SHOW(SYS(getxattr, "f", "user.e", buf, 64L));
	SHOW(syscall(REMOVEXATTRAT, AT_FDCWD, "f", 0, "user.e"));
	SHOW(syscall(REMOVEXATTRAT, AT_FDCWD, "f", 1, "user.e"));
	SHOW(syscall(FILE_SETATTR, AT_FDCWD, "f", buf, 8L, 0));
	SHOW(syscall(FILE_SETATTR, AT_FDCWD, "f", NULL, 24L, 0));
	SHOW(syscall(FILE_SETATTR, AT_FDCWD, "nothing", memset(buf, 0, 24), 24L, 0));
	SHOW(syscall(FILE_SETATTR, AT_FDCWD, "f", buf, 24L, 1));
	free(big);
}

int main(int argc, char **argv)
{
	int dir;

	guest_begin(argc, argv);
	file("f", "content");
	file("noaccess", "");
	if (mkdir("d", 0755) < 0 || mkdir("shut", 0) < 0 || mkdir("readonly", 0755) < 0)
		die("mkdir");
	file("d/in", "inside");
	file("readonly/in", "");
	if (symlink("f", "l") < 0 || symlink("nowhere", "dangling") < 0 || symlink("d", "dl") < 0 ||
	    mkfifo("fifo", 0644) < 0 || chmod("readonly", 0555) < 0 || chmod("noaccess", 0) < 0)
		die("set up");
	dir = open("d", O_RDONLY | O_DIRECTORY);
	if (dir < 0)
		die("d");
	makers(dir);
	links(dir);
	removers(dir);
	renames(dir);
	attributes(dir);
	xattrs();
	/* In a directory that is gone nothing can be made. */
	if (mkdir("gone", 0755) < 0 || chdir("gone") < 0 || rmdir("../gone") < 0)
		die("gone");
	SHOW(SYS(mkdir, "x", 0755));
	SHOW(SYS(symlink, "x", "y"));
	SHOW(SYS(rename, "x", "y"));
	SHOW(SYS(rename, "../f", "y"));
	SHOW(SYS(unlink, "x"));
	return chdir(guest_dir) < 0 || chmod("readonly", 0755) < 0;
}
