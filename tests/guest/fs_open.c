/*
 * open, openat, openat2, creat: flags, modes, what exists and what is made, errors and their order. O_PATH is asked for only with the
 * argument "opath" (docs/LIMITS.md).
 */
#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "guest.h"

enum { OPENAT2 = 437, K_TMPFILE = 020000000 };

/* What a descriptor is, then closes it. The lowest free number is the kernel's promise. */
static long got(int line, const char *text, long fd)
{
	struct stat st;

	if (fd < 0)
		return show(line, text, fd);
	if (fstat((int)fd, &st) < 0)
		die("fstat");
	/* That the last name was no link is not kept where the object is opened by its descriptor. */
	printf("%d: %s: type %o mode %o size %ld links %ld flags %o fd %o own %d%d lowest %d\n", line, text,
	       (unsigned int)st.st_mode & S_IFMT, (unsigned int)st.st_mode & 07777, S_ISREG(st.st_mode) ? (long)st.st_size : -1L,
	       S_ISREG(st.st_mode) ? (long)st.st_nlink : -1L, (unsigned int)fcntl((int)fd, F_GETFL) & ~(unsigned int)O_NOFOLLOW,
	       (unsigned int)fcntl((int)fd, F_GETFD), st.st_uid == geteuid(), st.st_gid == getegid(), fd < 16);
	close((int)fd);
	return fd;
}

#define GOT(expr) got(__LINE__, #expr, (errno = 0, (long)(expr)))

static void simple(void)
{
	static const int modes[] = {0644, 0, 0777, 01777, 0444};

	GOT(SYS(open, tail_str("f"), O_RDONLY));
	GOT(SYS(open, "f", O_WRONLY | O_APPEND));
	GOT(SYS(open, "f", O_RDWR | O_CLOEXEC));
	GOT(SYS(open, "f", 3));
	GOT(SYS(open, "f", O_RDONLY | O_NONBLOCK | O_SYNC | O_DSYNC | O_NOATIME | O_ASYNC));
	GOT(SYS(open, "f", O_RDONLY | 0x40000000));
	GOT(SYS(open, "f/", O_RDONLY));
	GOT(SYS(open, "f/.", O_RDONLY));
	GOT(SYS(open, "f/x", O_RDONLY));
	GOT(SYS(open, "f", O_RDONLY | O_DIRECTORY));
	GOT(SYS(open, "d", O_RDONLY));
	GOT(SYS(open, "d/", O_RDONLY));
	GOT(SYS(open, "d/.", O_RDONLY | O_DIRECTORY));
	GOT(SYS(open, "./d/../d//", O_RDONLY | O_NOFOLLOW));
	GOT(SYS(open, "d", O_WRONLY));
	GOT(SYS(open, "d", O_RDWR));
	GOT(SYS(open, "d", O_RDONLY | O_TRUNC));
	GOT(SYS(open, "d", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "d", O_RDONLY | O_CREAT | O_EXCL, 0644));
	GOT(SYS(open, "d", O_RDONLY | O_CREAT | O_DIRECTORY, 0644));
	GOT(SYS(open, "", O_RDONLY));
	GOT(SYS(open, "", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "/usr", O_RDONLY));
	GOT(SYS(open, "nothing", O_RDONLY));
	GOT(SYS(open, "nothing/x", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "nothing/", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "nothing/", O_RDONLY | O_DIRECTORY));
	GOT(SYS(open, BAD, O_RDONLY));
	GOT(SYS(open, tail_open("f"), O_RDONLY));
	GOT(SYS(open, repeat("a", 255), O_RDONLY));
	GOT(SYS(open, repeat("a", 256), O_RDONLY));
	GOT(SYS(open, repeat("a", 256), O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, repeat("./", 2047), O_RDONLY));
	GOT(SYS(open, repeat("./", 2048), O_RDONLY));
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		umask(i % 2 ? 0 : 027);
		GOT(SYS(open, "new", O_RDWR | O_CREAT | O_EXCL, modes[i]));
		GOT(SYS(open, "new", O_RDONLY | O_CREAT | O_EXCL, modes[i]));
		GOT(SYS(open, "new", O_WRONLY | O_CREAT, 0));
		unlink("new");
		GOT(SYS(creat, "new", modes[i]));
		GOT(SYS(open, "new", O_RDWR | O_TRUNC));
		unlink("new");
	}
	umask(022);
	file("full", "content");
	GOT(SYS(open, "full", O_RDONLY | O_CREAT, 0600));
	GOT(SYS(open, "full", O_WRONLY | O_TRUNC | O_APPEND));
	file("full", "content");
	GOT(SYS(open, "full", O_RDONLY | O_TRUNC));
	file("full", "content");
	GOT(SYS(creat, "full", 0));
	GOT(SYS(creat, "d", 0644));
	GOT(SYS(creat, "nothing/x", 0644));
	GOT(SYS(creat, BAD, 0644));
}

static void links(int dir)
{
	GOT(SYS(open, "lf", O_RDWR));
	GOT(SYS(open, "lf", O_RDWR | O_NOFOLLOW));
	GOT(SYS(open, "lf/", O_RDONLY));
	GOT(SYS(open, "ld", O_RDONLY | O_NOFOLLOW));
	GOT(SYS(open, "ld/", O_RDONLY | O_NOFOLLOW));
	GOT(SYS(open, "ld", O_RDONLY | O_NOFOLLOW | O_DIRECTORY));
	GOT(SYS(open, "ld/in", O_RDONLY | O_NOFOLLOW));
	GOT(SYS(open, "dangling", O_RDONLY));
	GOT(SYS(open, "dangling", O_RDONLY | O_CREAT | O_EXCL, 0644));
	GOT(SYS(open, "dangling", O_RDONLY | O_CREAT | O_NOFOLLOW, 0644));
	GOT(SYS(open, "dangling/", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "dangling", O_RDWR | O_CREAT, 0600));
	GOT(SYS(open, "made", O_RDONLY));
	unlink("made");
	GOT(SYS(open, "loop", O_RDONLY));
	GOT(SYS(open, "loop", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "loop/x", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "c40", O_RDONLY));
	GOT(SYS(open, "c41", O_RDONLY));
	GOT(SYS(open, "c40", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "c41", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "ldangling", O_WRONLY | O_CREAT, 0640));
	GOT(SYS(open, "d/there", O_RDONLY));
	GOT(SYS(openat, dir, "in", O_RDONLY));
	GOT(SYS(openat, dir, "../f", O_RDONLY));
	GOT(SYS(openat, dir, "new", O_RDWR | O_CREAT, 0644));
	GOT(SYS(openat, dir, "", O_RDONLY));
	GOT(SYS(openat, dir, ".", O_RDONLY));
	GOT(SYS(openat, dir, "nothing", O_RDONLY));
	GOT(SYS(openat, 999, "f", O_RDONLY));
	GOT(SYS(openat, -1, "f", O_RDONLY));
	GOT(SYS(openat, 999, "/usr", O_RDONLY));
	GOT(SYS(openat, 999, "", O_RDONLY));
	GOT(SYS(openat, AT_FDCWD, "f", O_RDONLY));
	GOT(SYS(openat, (1L << 32) | (unsigned int)dir, "in", O_RDONLY));
}

static void permissions(void)
{
	int fd, tmp;
	char name[64];

	file("mode0", "x");
	chmod("mode0", 0);
	GOT(SYS(open, "mode0", O_RDONLY));
	GOT(SYS(open, "mode0", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "mode0", O_RDONLY | O_CREAT | O_EXCL, 0644));
	chmod("mode0", 0400);
	GOT(SYS(open, "mode0", O_RDONLY));
	GOT(SYS(open, "mode0", O_RDONLY | O_TRUNC));
	GOT(SYS(open, "mode0", O_RDWR));
	GOT(SYS(open, "shut/in", O_RDONLY));
	GOT(SYS(open, "shut/nothing", O_RDONLY));
	GOT(SYS(open, "shut/x", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "shut", O_RDONLY));
	GOT(SYS(open, "readonly/x", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "readonly/in", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "readonly/in", O_RDWR));
	GOT(SYS(open, ".", O_RDWR | K_TMPFILE | O_DIRECTORY, 0640));
	GOT(SYS(open, ".", O_RDONLY | K_TMPFILE | O_DIRECTORY, 0640));
	GOT(SYS(open, ".", O_RDWR | K_TMPFILE, 0640));
	GOT(SYS(open, "f", O_RDWR | K_TMPFILE | O_DIRECTORY, 0640));
	GOT(SYS(open, "nothing", O_RDWR | K_TMPFILE | O_DIRECTORY, 0640));
	GOT(SYS(open, "readonly", O_RDWR | K_TMPFILE | O_DIRECTORY, 0640));
	GOT(SYS(open, ".", O_RDWR | K_TMPFILE | O_DIRECTORY | O_CREAT, 0640));
	/* A file without a name gets one, unless it was made never to have one. */
	tmp = open(".", O_RDWR | K_TMPFILE | O_DIRECTORY, 0644);
	if (tmp < 0 || write(tmp, "tmp", 3) != 3)
		die("O_TMPFILE");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", tmp);
	SHOW(SYS(linkat, AT_FDCWD, name, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	GOT(SYS(open, "named", O_RDONLY));
	close(tmp);
	tmp = open(".", O_RDWR | K_TMPFILE | O_DIRECTORY | O_EXCL, 0644);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", tmp);
	SHOW(SYS(linkat, AT_FDCWD, name, AT_FDCWD, "named2", AT_SYMLINK_FOLLOW));
	GOT(SYS(open, name, O_RDONLY));
	close(tmp);
	/* What is open goes on to be: a descriptor does what it could, a reopened one what the file allows now. */
	file("kept", "kept");
	fd = open("kept", O_RDWR);
	chmod("kept", 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	GOT(SYS(open, name, O_RDONLY));
	SHOW(write(fd, "x", 1));
	chmod("kept", 0600);
	unlink("kept");
	GOT(SYS(open, name, O_RDWR));
	GOT(SYS(open, name, O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, name, O_RDONLY | O_CREAT | O_EXCL, 0644));
	GOT(SYS(open, name, O_RDONLY | O_NOFOLLOW));
	GOT(SYS(open, name, O_RDONLY | O_DIRECTORY));
	close(fd);
}

static void others(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "sock"};
	int s = socket(AF_UNIX, SOCK_STREAM, 0), p[2];
	char name[64];

	if (bind(s, (struct sockaddr *)&un, sizeof(un)) < 0 || mkfifo("fifo", 0644) < 0 || pipe(p) < 0)
		die("others");
	GOT(SYS(open, "sock", O_RDWR));
	GOT(SYS(open, "sock", O_RDONLY | O_CREAT, 0644));
	GOT(SYS(open, "fifo", O_RDONLY | O_NONBLOCK));
	GOT(SYS(open, "fifo", O_WRONLY | O_NONBLOCK));
	GOT(SYS(open, "fifo", O_RDWR));
	GOT(SYS(open, "fifo", O_RDWR | O_CREAT | O_TRUNC, 0644));
	GOT(SYS(open, "fifo", O_RDONLY | O_NONBLOCK | O_DIRECTORY));
	GOT(SYS(open, "/dev/null", O_RDWR | O_TRUNC | O_CREAT, 0644));
	GOT(SYS(open, "/dev/null", O_RDONLY | O_DIRECTORY));
	GOT(SYS(open, "/dev/zero", O_RDONLY));
	GOT(SYS(open, "/dev/full", O_WRONLY));
	GOT(SYS(open, "/dev/tty", O_RDWR));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", p[0]);
	GOT(SYS(open, name, O_RDONLY | O_NONBLOCK));
	GOT(SYS(open, name, O_WRONLY));
	snprintf(name, sizeof(name), "/dev/fd/%d", p[1]);
	GOT(SYS(open, name, O_WRONLY));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", s);
	GOT(SYS(open, name, O_RDWR));
	close(s);
	close(p[0]);
	close(p[1]);
}

static long open2(int dirfd, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = {.flags = flags, .mode = mode, .resolve = resolve};

	return syscall(OPENAT2, dirfd, path, &how, sizeof(how));
}

static void resolve2(int dir)
{
	static const uint64_t ways[] = {RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV};
	static const char *const paths[] = {"in", "../f", "../d/in", "./../d/in", "/in", "/usr", "..", "up", "absolute", "../lf",
					    "sub/../in",
					    "sub/../../f", "/proc/self/cwd/f", "/proc/self/fd/0", "loop", "nothing", "nothing/..",
					    "up/../in"};
	struct {
		struct open_how how;
		uint64_t more;
	} big = {.how = {.flags = O_RDONLY}};
	struct open_how *how = tail(sizeof(*how));

	for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++)
		for (size_t p = 0; p < sizeof(paths) / sizeof(paths[0]); p++) {
			/* Where mounts lie is not the same inside. */
			if (ways[w] == RESOLVE_NO_XDEV && paths[p][0] == '/')
				continue;
			printf("%llx %s ", (unsigned long long)ways[w], paths[p]);
			GOT(open2(dir, paths[p], O_RDONLY | O_NONBLOCK, 0, ways[w]));
		}
	GOT(open2(dir, "new2", O_RDWR | O_CREAT, 0644, RESOLVE_BENEATH));
	GOT(open2(dir, "../new3", O_RDWR | O_CREAT, 0644, RESOLVE_BENEATH));
	GOT(open2(dir, "../new3", O_RDWR | O_CREAT, 0644, RESOLVE_IN_ROOT));
	GOT(open2(dir, "/new4", O_RDWR | O_CREAT, 0644, RESOLVE_IN_ROOT));
	GOT(open2(dir, "in", O_RDONLY, 0, RESOLVE_BENEATH | RESOLVE_IN_ROOT));
	GOT(open2(dir, "in", O_RDONLY, 0, 0x1000));
	GOT(open2(dir, "in", O_RDONLY, 0644, 0));
	GOT(open2(dir, "in", O_RDONLY | 1ULL << 40, 0, 0));
	GOT(open2(dir, "in", O_RDONLY | 0x40000000, 0, 0));
	GOT(open2(dir, "x", O_RDONLY | O_CREAT, 010644, 0));
	GOT(open2(dir, "x", O_RDONLY | O_CREAT | O_DIRECTORY, 0644, 0));
	GOT(open2(dir, "in", O_PATH | O_RDWR, 0, 0));
	GOT(open2(-1, "in", O_RDONLY, 0, RESOLVE_IN_ROOT));
	GOT(open2(-1, "/f", O_RDONLY, 0, RESOLVE_IN_ROOT));
	GOT(open2(dir, "", O_RDONLY, 0, 0));
	*how = (struct open_how){.flags = O_RDONLY};
	GOT(syscall(OPENAT2, dir, "in", how, sizeof(*how)));
	SHOW(syscall(OPENAT2, dir, "in", how, sizeof(*how) + 8));
	SHOW(syscall(OPENAT2, dir, "in", how, sizeof(*how) - 1));
	SHOW(syscall(OPENAT2, dir, "in", how, 0));
	SHOW(syscall(OPENAT2, dir, "in", how, 4097));
	SHOW(syscall(OPENAT2, dir, "in", BAD, sizeof(*how)));
	GOT(syscall(OPENAT2, dir, "in", &big, sizeof(big)));
	big.more = 1;
	SHOW(syscall(OPENAT2, dir, "in", &big, sizeof(big)));
	SHOW(syscall(OPENAT2, dir, BAD, &big, sizeof(big)));
}

static void setgid_and_acl(void)
{
	static const char acl[] = "\2\0\0\0\1\0\7\0\377\377\377\377\4\0\5\0\377\377\377\377\40\0\0\0\377\377\377\377";

	if (mkdir("sg", 0755) < 0 || chmod("sg", 02775) < 0)
		die("sg");
	umask(02);
	GOT(SYS(open, "sg/f", O_RDWR | O_CREAT, 0666));
	SHOW(SYS(mkdir, "sg/d", 0777));
	GOT(SYS(open, "sg/d", O_RDONLY));
	umask(022);
	/* A default list of access rights stands in for the umask. */
	if (mkdir("acl", 0755) < 0)
		die("acl");
	if (setxattr("acl", "system.posix_acl_default", acl, sizeof(acl) - 1, 0) == 0) {
		umask(077);
		GOT(SYS(open, "acl/f", O_RDWR | O_CREAT, 0666));
		SHOW(SYS(mkdir, "acl/d", 0777));
		GOT(SYS(open, "acl/d", O_RDONLY));
		SHOW(SYS(mknod, "acl/p", S_IFIFO | 0666, 0));
		GOT(SYS(open, "acl/p", O_RDWR));
		umask(022);
	}
}

static void o_path(int dir)
{
	char name[64];
	int fd;

	GOT(SYS(open, "f", O_PATH));
	GOT(SYS(open, "lf", O_PATH | O_NOFOLLOW));
	GOT(SYS(open, "mode0", O_PATH | O_RDWR | O_CREAT));
	GOT(SYS(open, "fifo", O_PATH));
	GOT(SYS(open, "sock", O_PATH));
	GOT(SYS(openat, dir, "in", O_PATH | O_DIRECTORY));
	fd = open("f", O_PATH);
	SHOW(read(fd, name, 1));
	SHOW(SYS(fchmod, fd, 0600));
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	GOT(SYS(open, name, O_RDWR));
	SHOW(SYS(chmod, name, 0640));
	close(fd);
}

int main(int argc, char **argv)
{
	char name[16], target[16];
	int dir;

	guest_begin(argc, argv);
	file("f", "file");
	if (mkdir("d", 0755) < 0 || mkdir("d/sub", 0755) < 0 || symlink("f", "lf") < 0 || symlink("d", "ld") < 0 ||
	    symlink("made", "dangling") < 0 || symlink("loop", "loop") < 0 || symlink("d/there", "ldangling") < 0 ||
	    symlink("..", "d/up") < 0 || symlink("/in", "d/absolute") < 0 || symlink("loop", "d/loop") < 0 || mkdir("shut", 0700) < 0 ||
	    mkdir("readonly", 0755) < 0)
		die("setup");
	file("d/in", "in");
	file("shut/in", "in");
	file("readonly/in", "in");
	chmod("shut", 0);
	chmod("readonly", 0555);
	for (int i = 1; i <= 41; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		snprintf(target, sizeof(target), i == 1 ? "f" : "c%d", i - 1);
		if (symlink(target, name) < 0)
			die(name);
	}
	dir = open("d", O_RDONLY | O_DIRECTORY);
	simple();
	links(dir);
	permissions();
	others();
	resolve2(dir);
	setgid_and_acl();
	if (with_opath)
		o_path(dir);
	close(dir);
	chmod("readonly", 0755);
	return chmod("shut", 0700) < 0;
}
