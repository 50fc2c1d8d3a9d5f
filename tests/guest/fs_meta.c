/*
 * Metadata by path: what the kernel answers, in which order it looks at arguments, and where it writes.
 */
#include <sys/inotify.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include "guest.h"

enum { GETXATTRAT = 464, LISTXATTRAT = 465, FILE_GETATTR = 468 };

static void show_stat(int line, const struct stat *st)
{
	printf("%d:   mode %o size %ld links %lu mine %d blksize %d nsec %d\n", line, st->st_mode,
	       S_ISDIR(st->st_mode) ? -1L : (long)st->st_size,
	       S_ISDIR(st->st_mode) ? 0UL : (unsigned long)st->st_nlink,
	       st->st_uid == geteuid() && st->st_gid == getegid(), st->st_blksize > 0,
	       st->st_mtim.tv_nsec >= 0 && st->st_mtim.tv_nsec < 1000000000);
}

static void stats(int dir)
{
	struct stat *st = tail(sizeof(*st)), first, second;
	char *half = tail(sizeof(*st) / 2);
	int fd = open("f", O_RDONLY), opath, link, pipes[2];

	if (fd < 0 || pipe(pipes) < 0)
		die("open");
	SHOW(SYS(stat, tail_str("f"), st));
	show_stat(__LINE__, st);
	SHOW(SYS(lstat, tail_str("l"), st));
	show_stat(__LINE__, st);
	SHOW(SYS(stat, "l", st));
	show_stat(__LINE__, st);
	SHOW(SYS(stat, "", st));
	SHOW(SYS(stat, "nothing", st));
	SHOW(SYS(stat, "f/", st));
	SHOW(SYS(stat, "d/", st));
	show_stat(__LINE__, st);
	SHOW(SYS(stat, "d/../f", st));
	SHOW(SYS(stat, "f/..", st));
	SHOW(SYS(stat, "f/x", st));
	SHOW(SYS(stat, "nothing/x", st));
	SHOW(SYS(stat, "dangling", st));
	SHOW(SYS(lstat, "dangling", st));
	SHOW(SYS(lstat, "dangling/", st));
	SHOW(SYS(stat, "loop", st));
	SHOW(SYS(lstat, "loop", st));
	SHOW(SYS(lstat, "dl", st));
	show_stat(__LINE__, st);
	SHOW(SYS(lstat, "dl/", st));
	show_stat(__LINE__, st);
	SHOW(SYS(stat, BAD, st));
	SHOW(SYS(stat, NULL, st));
	SHOW(SYS(stat, tail_open("f"), st));
	SHOW(SYS(stat, "f", NULL));
	SHOW(SYS(stat, "f", half));
	SHOW(SYS(stat, "nothing", NULL));
	SHOW(SYS(stat, repeat("a", 256), st));
	SHOW(SYS(stat, repeat("./", 2047), st));
	SHOW(SYS(stat, repeat("./", 2048), st));
	SHOW(SYS(stat, "fifo", st));
	show_stat(__LINE__, st);
	SHOW(SYS(stat, "/dev/null", st));
	SHOW(SYS(newfstatat, dir, "in", st, 0));
	show_stat(__LINE__, st);
	SHOW(SYS(newfstatat, dir, "../l", st, AT_SYMLINK_NOFOLLOW));
	show_stat(__LINE__, st);
	SHOW(SYS(newfstatat, fd, "in", st, 0));
	SHOW(SYS(newfstatat, 999, "in", st, 0));
	SHOW(SYS(newfstatat, -1, "f", st, 0));
	SHOW(SYS(newfstatat, 999, guest_dir, st, 0));
	SHOW(SYS(newfstatat, AT_FDCWD, "f", st, 0x40000000));
	SHOW(SYS(newfstatat, AT_FDCWD, "f", st, AT_SYMLINK_FOLLOW));
	SHOW(SYS(newfstatat, AT_FDCWD, "nothing", st, 0x40000000));
	SHOW(SYS(newfstatat, AT_FDCWD, "f", st, AT_NO_AUTOMOUNT));
	SHOW(SYS(newfstatat, fd, "", st, 0));
	SHOW(SYS(newfstatat, fd, "", st, AT_EMPTY_PATH));
	show_stat(__LINE__, st);
	if (with_opath) {
		opath = open("f", O_PATH), link = open("l", O_PATH | O_NOFOLLOW);
		SHOW(SYS(newfstatat, opath, "", st, AT_EMPTY_PATH));
		SHOW(SYS(newfstatat, link, "", st, AT_EMPTY_PATH));
		show_stat(__LINE__, st);
		SHOW(SYS(readlinkat, link, "", (char[99]){0}, 99L));
		close(opath), close(link);
	}
	SHOW(SYS(newfstatat, pipes[0], "", st, AT_EMPTY_PATH));
	SHOW(SYS(newfstatat, 999, "", st, AT_EMPTY_PATH));
	SHOW(SYS(newfstatat, AT_FDCWD, "", st, AT_EMPTY_PATH));
	show_stat(__LINE__, st);
	SHOW(SYS(newfstatat, fd, NULL, st, AT_EMPTY_PATH));
	SHOW(SYS(newfstatat, fd, BAD, st, AT_EMPTY_PATH));
	/* Both names of one file, and the descriptor, are one object. */
	SHOW(stat("f", &first));
	SHOW(fstat(fd, &second));
	SAY("same %d", first.st_ino == second.st_ino && first.st_dev == second.st_dev);
	close(fd), close(pipes[0]), close(pipes[1]);
}

static void statxs(int dir)
{
	struct statx *sx = tail(sizeof(*sx));

	SHOW(SYS(statx, AT_FDCWD, "f", 0, STATX_BASIC_STATS, sx));
	SAY("mask %d size %llu mode %o", (sx->stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS,
	    (unsigned long long)sx->stx_size, sx->stx_mode);
	SHOW(SYS(statx, dir, "in", AT_STATX_DONT_SYNC, STATX_TYPE, sx));
	SHOW(SYS(statx, AT_FDCWD, "f", 0x6000, STATX_TYPE, sx));
	SHOW(SYS(statx, AT_FDCWD, "f", 0, 0x80000000U, sx));
	SHOW(SYS(statx, AT_FDCWD, "f", 0x1, STATX_TYPE, sx));
	SHOW(SYS(statx, AT_FDCWD, BAD, 0, 0x80000000U, sx));
	SHOW(SYS(statx, AT_FDCWD, "f", 0, STATX_TYPE, NULL));
	SHOW(SYS(statx, AT_FDCWD, "l", AT_SYMLINK_NOFOLLOW, STATX_TYPE, sx));
	SAY("link %d", S_ISLNK(sx->stx_mode));
	SHOW(SYS(statx, dir, "", AT_EMPTY_PATH, STATX_TYPE, sx));
	SAY("dir %d", S_ISDIR(sx->stx_mode));
	SHOW(SYS(statx, 999, "", AT_EMPTY_PATH, STATX_TYPE, sx));
	SHOW(SYS(statx, AT_FDCWD, "", 0, STATX_TYPE, sx));
	SHOW(SYS(statx, AT_FDCWD, "f", 0, 0xfff, tail(200)));
}

static void accesses(int dir)
{
	int fd = open("f", O_RDONLY);

	SHOW(SYS(access, "f", F_OK));
	SHOW(SYS(access, "f", R_OK | W_OK));
	SHOW(SYS(access, "f", 8));
	SHOW(SYS(access, BAD, 8));
	SHOW(SYS(access, BAD, 0));
	SHOW(SYS(access, "", 0));
	SHOW(SYS(access, "nothing", F_OK));
	SHOW(SYS(access, "f/", F_OK));
	SHOW(SYS(access, "d", X_OK));
	SHOW(SYS(access, "dangling", F_OK));
	SHOW(SYS(access, "loop", F_OK));
	if (geteuid() != 0) {
		SHOW(SYS(access, "f", X_OK));
		SHOW(SYS(access, "noread", R_OK));
		SHOW(SYS(access, "noread", W_OK));
		SHOW(SYS(access, "shut/in", F_OK));
		SHOW(SYS(stat, "shut/in", (struct stat[1]){0}));
		SHOW(SYS(readlink, "shut/in", (char[9]){0}, 9L));
		SHOW(SYS(getxattr, "noread", "user.a", NULL, 0L));
		SHOW(SYS(inotify_add_watch, inotify_init(), "noread", IN_OPEN));
	}
	SHOW(SYS(faccessat, dir, "in", R_OK));
	SHOW(SYS(faccessat, 999, "in", R_OK));
	SHOW(SYS(faccessat2, dir, "in", R_OK, AT_EACCESS));
	SHOW(SYS(faccessat2, dir, "in", R_OK, AT_NO_AUTOMOUNT));
	SHOW(SYS(faccessat2, AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
	SHOW(SYS(faccessat2, fd, "", R_OK, AT_EMPTY_PATH));
	SHOW(SYS(faccessat2, fd, "", R_OK, 0));
	SHOW(SYS(faccessat2, 999, "", R_OK, AT_EMPTY_PATH));
	close(fd);
}

static void show_link(int line, const char *buf, long n)
{
	if (n >= 0)
		printf("%d:   [%.*s]\n", line, (int)n, buf);
}

static void readlinks(int dir)
{
	int fd = open("f", O_RDONLY);
	char buf[4096], name[64], cwd[4096], pid[16];
	long n;

	show_link(__LINE__, buf, SHOW(SYS(readlink, "l", buf, sizeof(buf))));
	show_link(__LINE__, buf, SHOW(SYS(readlink, "dangling", tail(7), 7L)));
	n = SHOW(SYS(readlink, "dangling", memset(buf, 'x', 8), 3L));
	show_link(__LINE__, buf, n + 1);
	SHOW(SYS(readlink, "l", buf, 0L));
	SHOW(SYS(readlink, "l", buf, -1L));
	SHOW(SYS(readlink, "l", buf, 0x100000000L));
	SHOW(SYS(readlink, "nothing", buf, 0L));
	SHOW(SYS(readlink, "nothing", buf, 9L));
	SHOW(SYS(readlink, "f", buf, 9L));
	SHOW(SYS(readlink, "d", buf, 9L));
	SHOW(SYS(readlink, "dl/", buf, 9L));
	SHOW(SYS(readlink, "", buf, 9L));
	SHOW(SYS(readlink, "l", NULL, 9L));
	SHOW(SYS(readlink, BAD, buf, 9L));
	SHOW(SYS(readlink, "loop", buf, 9L));
	SHOW(SYS(readlinkat, dir, "back", buf, 99L));
	SHOW(SYS(readlinkat, fd, "", buf, 99L));
	SHOW(SYS(readlinkat, 999, "", buf, 99L));
	SHOW(SYS(readlinkat, 999, "l", buf, 99L));
	/* What /proc says of us is about us. */
	n = readlink("/proc/self", buf, sizeof(buf));
	snprintf(pid, sizeof(pid), "%d", getpid());
	SAY("self %d", n == (long)strlen(pid) && memcmp(buf, pid, (size_t)n) == 0);
	n = readlink("/proc/thread-self", buf, sizeof(buf));
	snprintf(name, sizeof(name), "%d/task/%d", getpid(), gettid());
	SAY("thread-self %d", n == (long)strlen(name) && memcmp(buf, name, (size_t)n) == 0);
	n = readlink("/proc/self/cwd", buf, sizeof(buf));
	SAY("cwd %d",
	    getcwd(cwd, sizeof(cwd)) != NULL && n == (long)strlen(cwd) && memcmp(buf, cwd, (size_t)n) == 0);
	n = readlink("/proc/self/exe", buf, sizeof(buf));
	SAY("exe %d", n > 8 && memcmp(buf + n - 8, "/fs_meta", 8) == 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, buf, sizeof(buf));
	SAY("fd %d", n > 2 && memcmp(buf + n - 2, "/f", 2) == 0);
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	SHOW(SYS(readlink, name, buf, 9L) > 0);
	SHOW(SYS(readlink, "/proc/self/fd/999", buf, 9L));
	SHOW(SYS(readlink, "/proc/self/fd", buf, 9L));
	close(fd);
}

static void procs(void)
{
	int fd = open("f", O_RDONLY), pipes[2];
	struct stat a, b;
	char name[64];

	if (pipe(pipes) < 0)
		die("pipe");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	SHOW(stat(name, &a));
	SHOW(fstat(fd, &b));
	SAY("same %d", a.st_ino == b.st_ino);
	SHOW(lstat(name, &a));
	SAY("link %d", S_ISLNK(a.st_mode));
	SHOW(access(name, R_OK));
	snprintf(name, sizeof(name), "/dev/fd/%d", pipes[1]);
	SHOW(stat(name, &a));
	SHOW(fstat(pipes[1], &b));
	SAY("same %d fifo %d", a.st_ino == b.st_ino, S_ISFIFO(a.st_mode));
	SHOW(stat("/proc/self/cwd", &a));
	SHOW(stat(".", &b));
	SAY("same %d", a.st_ino == b.st_ino);
	SHOW(stat("/proc/self/cwd/f", &a));
	SHOW(stat("/proc/self/root", &a));
	SHOW(stat("/", &b));
	SAY("same %d", a.st_ino == b.st_ino);
	SHOW(stat("/proc/self/task", &a));
	SHOW(stat("/proc/self/fd/998", &a));
	SHOW(stat("/proc/999999999", &a));
	close(fd), close(pipes[0]), close(pipes[1]);
}

static void xattrs(int dir)
{
	struct {
		uint64_t value;
		uint32_t size, flags;
	} args;
	char buf[256], *list = tail(4);
	int fd = open("f", O_RDONLY);
	long n;

	if (setxattr("f", "user.a", "value", 5, 0) < 0) {
		SAY("no user xattrs here");
		close(fd);
		return;
	}
	SHOW(SYS(getxattr, "f", tail_str("user.a"), tail(5), 5L));
	SHOW(SYS(getxattr, "f", "user.a", NULL, 0L));
	SHOW(SYS(getxattr, "f", "user.a", buf, 4L));
	SHOW(SYS(getxattr, "f", "user.a", buf, 1L << 40));
	SHOW(SYS(getxattr, "f", "user.a", NULL, 5L));
	SHOW(SYS(getxattr, "f", "user.none", buf, 5L));
	SHOW(SYS(getxattr, "f", "", buf, 5L));
	SHOW(SYS(getxattr, "f", NULL, buf, 5L));
	SHOW(SYS(getxattr, "f", "bogus", buf, 5L));
	SHOW(SYS(getxattr, "f", repeat("u", 255), buf, 5L));
	SHOW(SYS(getxattr, "f", repeat("u", 256), buf, 5L));
	SHOW(SYS(getxattr, "nothing", "user.a", buf, 5L));
	SHOW(SYS(getxattr, "l", "user.a", buf, 5L));
	SHOW(SYS(lgetxattr, "l", "user.a", buf, 5L));
	SHOW(SYS(lgetxattr, "f", "user.a", buf, 5L));
	SHOW(SYS(getxattr, "", "user.a", buf, 5L));
	n = SHOW_OK(SYS(listxattr, "f", buf, sizeof(buf)));
	n = listxattr("f", buf, sizeof(buf));
	SAY("listed %d", n > 0 && memmem(buf, (size_t)n, "user.a", 7) != NULL);
	SHOW(SYS(listxattr, "f", list, 4L));
	SHOW(SYS(listxattr, "f", NULL, 0L) == n);
	SHOW(SYS(listxattr, "nothing", NULL, 0L));
	SHOW_OK(SYS(llistxattr, "l", buf, sizeof(buf)));
	args.value = (uintptr_t)buf, args.size = sizeof(buf), args.flags = 0;
	SHOW(syscall(GETXATTRAT, AT_FDCWD, "f", 0, "user.a", &args, sizeof(args)));
	SHOW(syscall(GETXATTRAT, fd, "", AT_EMPTY_PATH, "user.a", &args, sizeof(args)));
	SHOW(syscall(GETXATTRAT, AT_FDCWD, "f", 1, "user.a", &args, sizeof(args)));
	SHOW(syscall(GETXATTRAT, AT_FDCWD, "f", 0, "user.a", &args, 8L));
	SHOW(syscall(GETXATTRAT, AT_FDCWD, "f", 0, "user.a", NULL, sizeof(args)));
	SHOW(syscall(GETXATTRAT, AT_FDCWD, "f", 0, "user.a", &args, 5000L));
	SHOW_OK(syscall(LISTXATTRAT, AT_FDCWD, "f", 0, buf, sizeof(buf)));
	SHOW(syscall(LISTXATTRAT, dir, "", 0, buf, sizeof(buf)));
	close(fd);
}

static void others(int dir)
{
	struct statfs *sfs = tail(sizeof(*sfs)), sfs2;
	struct {
		struct file_handle h;
		char space[MAX_HANDLE_SZ];
	} fh;
	char attr[64];
	int mount_id, in = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	SHOW(SYS(statfs, "f", sfs));
	SHOW(SYS(fstatfs, dir, &sfs2));
	SAY("same %d", sfs->f_type == sfs2.f_type && sfs->f_bsize == sfs2.f_bsize);
	SHOW(SYS(statfs, "nothing", sfs));
	SHOW(SYS(statfs, "f", NULL));
	SHOW(SYS(statfs, "", sfs));
	SHOW(SYS(statfs, "f", tail(100)));
	fh.h.handle_bytes = 0;
	SHOW(SYS(name_to_handle_at, AT_FDCWD, "f", &fh, &mount_id, 0));
	SAY("needs %d", fh.h.handle_bytes > 0);
	SHOW(SYS(name_to_handle_at, AT_FDCWD, "f", &fh, &mount_id, 0));
	SHOW(SYS(name_to_handle_at, AT_FDCWD, "nothing", &fh, &mount_id, 0));
	SHOW(SYS(name_to_handle_at, AT_FDCWD, "f", &fh, &mount_id, 0x10));
	SHOW(SYS(name_to_handle_at, AT_FDCWD, "f", NULL, &mount_id, 0));
	SHOW(SYS(name_to_handle_at, dir, "", &fh, &mount_id, AT_EMPTY_PATH));
	fh.h.handle_bytes = MAX_HANDLE_SZ + 1;
	SHOW(SYS(name_to_handle_at, AT_FDCWD, "f", &fh, &mount_id, 0));
	SHOW_OK(syscall(FILE_GETATTR, AT_FDCWD, "f", attr, 24L, 0));
	SHOW(syscall(FILE_GETATTR, AT_FDCWD, "f", attr, 8L, 0));
	SHOW(syscall(FILE_GETATTR, AT_FDCWD, "f", attr, 24L, 1));
	SHOW(syscall(FILE_GETATTR, AT_FDCWD, "nothing", attr, 24L, 0));

	SHOW_OK(SYS(inotify_add_watch, in, "d", IN_CREATE | IN_DELETE));
	SHOW(SYS(inotify_add_watch, in, "nothing", IN_CREATE));
	SHOW(SYS(inotify_add_watch, in, "d", 0));
	SHOW(SYS(inotify_add_watch, in, "d", 0x00100000));
	SHOW(SYS(inotify_add_watch, in, "f", IN_ONLYDIR | IN_OPEN));
	SHOW(SYS(inotify_add_watch, 999, "d", IN_CREATE));
	SHOW(SYS(inotify_add_watch, dir, "d", IN_CREATE));
	SHOW(SYS(inotify_add_watch, dir, "nothing", IN_CREATE));
	SHOW(SYS(inotify_add_watch, in, BAD, IN_CREATE));
	SHOW_OK(SYS(inotify_add_watch, in, "dl", IN_DONT_FOLLOW | IN_DELETE_SELF));
	SHOW(SYS(inotify_add_watch, in, "dl", IN_DONT_FOLLOW | IN_ONLYDIR | IN_DELETE_SELF));
	SHOW(SYS(inotify_add_watch, in, "d", IN_MASK_CREATE | IN_CREATE));
	file("d/new", "");
	SHOW_OK(read(in, (char[512]){0}, 512));
	SHOW(read(in, (char[512]){0}, 512));
	close(in);
}

int main(int argc, char **argv)
{
	int dir;

	guest_begin(argc, argv);
	file("f", "content");
	file("noread", "");
	if (mkdir("d", 0755) < 0 || mkdir("shut", 0700) < 0)
		die("mkdir");
	file("d/in", "inside");
	file("shut/in", "");
	if (symlink("f", "l") < 0 || symlink("nowhere", "dangling") < 0 || symlink("loop", "loop") < 0 ||
	    symlink("d", "dl") < 0 || symlink("../f", "d/back") < 0 || mkfifo("fifo", 0640) < 0 ||
	    chmod("noread", 0) < 0 || chmod("shut", 0) < 0)
		die("set up");
	dir = open("d", O_RDONLY | O_DIRECTORY);
	if (dir < 0)
		die("d");
	stats(dir);
	statxs(dir);
	accesses(dir);
	readlinks(dir);
	procs();
	xattrs(dir);
	others(dir);
	/* A working directory that is gone still is one. */
	if (mkdir("gone", 0755) < 0 || chdir("gone") < 0 || rmdir("../gone") < 0)
		die("gone");
	SHOW(SYS(stat, ".", (struct stat[1]){0}));
	SHOW(SYS(stat, "x", (struct stat[1]){0}));
	SHOW(SYS(stat, "..", (struct stat[1]){0}));
	SHOW(SYS(access, "", F_OK));
	return chdir(guest_dir) < 0 || chmod("shut", 0700) < 0;
}
