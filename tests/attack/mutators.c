/*
 * Every way there is to change a target, a name in its directory, or the directory: each syscall of the families that change or
 * open by path (a syscall of the table that is not tried here breaks the test), the flags that matter, and what acts through
 * descriptors.
 *
 *   mutators FILE SPARE
 *
 * FILE holds "SECRET\n" and lies in a directory with the empty directory `sub`; SPARE is a directory to work in. Before each
 * attempt the program puts FILE back as it was, where it can. Prints "NAME: done" or "NAME: ERRNO"; exits with 0 if anything
 * was done, else 1.
 */
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <utime.h>

#include "attack.h"

#undef SYS
#define SYS(nr, name, class, family, in, args, handler, note) NR_##name = (nr),
enum {
#include "../../include/syscalls.tbl"
};
#undef SYS
#define SYS(nr, name, class, family, in, args, handler, note) { #name, #family },
static const struct {
	const char *name, *family;
} rows[] = {
#include "../../include/syscalls.tbl"
};
#undef SYS
#define CALL(name, ...) syscall(NR_##name, ##__VA_ARGS__)

static char target[PATH_MAX], dir[PATH_MAX], in_dir[PATH_MAX + 16], sub[PATH_MAX + 16], sub2[PATH_MAX + 16];
static char src[PATH_MAX + 16], other[PATH_MAX + 16];

static void put(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0) {
		(void)!write(fd, "SECRET\n", 7);
		(void)fsetxattr(fd, "user.a", "b", 1, 0);
		close(fd);
	}
}

static bool is_put(const char *path)
{
	char buf[16] = "";
	struct stat st;
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));
	bool same = n == 7 && memcmp(buf, "SECRET\n", 7) == 0 && fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0644;

	if (fd >= 0)
		close(fd);
	return same;
}

static void restore(void)
{
	(void)rmdir(sub2);
	(void)unlink(in_dir);
	(void)rmdir(in_dir);
	(void)unlink(other);
	(void)mkdir(sub, 0755);
	if (!is_put(target)) {
		(void)unlink(target);
		put(target);
	}
	(void)setxattr(target, "user.a", "b", 1, 0);
	(void)unlink(src);
	put(src);
}

static long opened(long fd)
{
	if (fd >= 0)
		close((int)fd);
	return fd < 0 ? -1 : 0;
}

/* What WHAT makes of a descriptor of FILE that is open with FLAGS. */
static long with_fd(int flags, long (*what)(int fd))
{
	int fd = open(target, flags), saved;
	long r;

	if (fd < 0)
		return -1;
	r = what(fd);
	saved = errno;
	close(fd);
	errno = saved;
	return r;
}

static long from_src(long (*what)(int from, int to), int to)
{
	int from = open(src, O_RDONLY), saved;
	long r;

	if (from < 0)
		die("src");
	r = what(from, to);
	saved = errno;
	close(from);
	errno = saved;
	return r;
}

static long do_write(int fd) { return write(fd, "x", 1); }
static long do_pwrite(int fd) { return pwrite(fd, "x", 1, 0); }
static long do_writev(int fd) { return writev(fd, &(struct iovec){ (char[]){ "x" }, 1 }, 1); }
static long do_pwritev2(int fd) { return pwritev2(fd, &(struct iovec){ (char[]){ "x" }, 1 }, 1, 0, 0); }
static long do_ftruncate(int fd) { return ftruncate(fd, 0); }
static long do_fallocate(int fd) { return fallocate(fd, 0, 0, 100); }
static long do_punch(int fd) { return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4); }
static long do_zero(int fd) { return fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 4); }
static long copy2(int from, int to) { return copy_file_range(from, NULL, to, NULL, 3, 0); }
static long do_copy(int fd) { return from_src(copy2, fd); }
static long send2(int from, int to) { return sendfile(to, from, NULL, 3); }
static long do_sendfile(int fd) { return from_src(send2, fd); }
static long clone2(int from, int to) { return ioctl(to, FICLONE, from); }
static long do_clone(int fd) { return from_src(clone2, fd); }
static long range2(int from, int to) { return ioctl(to, FICLONERANGE, &(struct file_clone_range){ .src_fd = from }); }
static long do_range(int fd) { return from_src(range2, fd); }

static long do_splice(int fd)
{
	int p[2], saved;
	long r;

	if (pipe(p) < 0 || write(p[1], "x", 1) != 1)
		die("pipe");
	r = splice(p[0], NULL, fd, NULL, 1, 0);
	saved = errno;
	close(p[0]);
	close(p[1]);
	errno = saved;
	return r;
}

static long do_map(int fd)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -1;
	p[0] = 'x';
	return munmap(p, 4096);
}

/* A mapping for reading of a descriptor for reading, made writable afterwards. */
static long do_mprotect(int fd)
{
	char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	long r;

	if (p == MAP_FAILED)
		return -1;
	r = mprotect(p, 4096, PROT_READ | PROT_WRITE);
	if (r == 0)
		p[0] = 'x';
	return r;
}

static long do_setflags(int fd)
{
	int flags = 0;

	(void)ioctl(fd, FS_IOC_GETFLAGS, &flags);
	flags |= FS_NOATIME_FL;
	return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static long do_fssetxattr(int fd)
{
	struct fsxattr x = { 0 };

	(void)ioctl(fd, FS_IOC_FSGETXATTR, &x);
	x.fsx_xflags |= FS_XFLAG_NOATIME;
	return ioctl(fd, FS_IOC_FSSETXATTR, &x);
}

static long do_fchmod(int fd) { return CALL(fchmod, fd, 0600); }
static long do_fchown(int fd) { return CALL(fchown, fd, getuid(), getgid()); }
static long do_fsetxattr(int fd) { return CALL(fsetxattr, fd, "user.c", "d", 1, 0); }
static long do_fremovexattr(int fd) { return CALL(fremovexattr, fd, "user.a"); }
static long do_futimens(int fd) { return CALL(utimensat, fd, NULL, NULL, 0); }
static long do_fchmod_empty(int fd) { return CALL(fchmodat2, fd, "", 0600, AT_EMPTY_PATH); }
static long do_fchown_empty(int fd) { return CALL(fchownat, fd, "", getuid(), getgid(), AT_EMPTY_PATH); }

static long by_magic(int fd, long (*what)(const char *path))
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return what(path);
}

static long magic_open(const char *path) { return opened(open(path, O_RDWR)); }
static long magic_link(const char *path) { return CALL(linkat, AT_FDCWD, path, AT_FDCWD, other, AT_SYMLINK_FOLLOW); }
static long magic_chmod(const char *path) { return CALL(chmod, path, 0600); }
static long magic_truncate(const char *path) { return CALL(truncate, path, 0); }
static long do_magic_open(int fd) { return by_magic(fd, magic_open); }
static long do_magic_link(int fd) { return by_magic(fd, magic_link); }
static long do_magic_chmod(int fd) { return by_magic(fd, magic_chmod); }
static long do_magic_truncate(int fd) { return by_magic(fd, magic_truncate); }

static long tmpfile_link(void)
{
	char path[64];
	int fd = open(dir, O_TMPFILE | O_RDWR, 0644), saved;
	long r;

	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = CALL(linkat, AT_FDCWD, path, AT_FDCWD, in_dir, AT_SYMLINK_FOLLOW);
	saved = errno;
	close(fd);
	errno = saved;
	return r;
}

static long unix_bind(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), saved;
	long r;

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%.100s", in_dir);
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	saved = errno;
	close(fd);
	errno = saved;
	return r;
}

static long set_attr_at(void)
{
	struct xattr_value {
		uint64_t value;
		uint32_t size, flags;
	} args = { (uint64_t)(uintptr_t)"d", 1, 0 };

	return CALL(setxattrat, AT_FDCWD, target, 0, "user.c", &args, sizeof(args));
}

static long set_file_attr(void)
{
	struct {
		uint64_t xflags;
		uint32_t extsize, nextents, projid, cowextsize;
	} a = { .xflags = 0x40 /* FS_XFLAG_NOATIME */ };

	return CALL(file_setattr, AT_FDCWD, target, &a, sizeof(a), 0);
}

static long open2(uint64_t flags, const char *path)
{
	struct open_how how = { .flags = flags, .mode = (flags & O_CREAT) != 0 ? 0644 : 0 };

	return opened(CALL(openat2, AT_FDCWD, path, &how, sizeof(how)));
}

#define AT AT_FDCWD
/* NAME begins with the syscall that must be refused. */
#define MUTATORS                                                                                                                \
	X("open O_WRONLY", opened(CALL(open, target, O_WRONLY)))                                                          \
	X("open O_RDWR", opened(CALL(open, target, O_RDWR)))                                                              \
	X("open O_TRUNC", opened(CALL(open, target, O_RDONLY | O_TRUNC)))                                                 \
	X("open O_APPEND", opened(CALL(open, target, O_WRONLY | O_APPEND)))                                               \
	X("open O_CREAT", opened(CALL(open, in_dir, O_RDONLY | O_CREAT, 0644)))                                         \
	X("open O_TMPFILE", opened(CALL(open, dir, O_TMPFILE | O_WRONLY, 0644)))                                        \
	X("openat", opened(CALL(openat, AT, target, O_WRONLY)))                                                           \
	X("openat O_EXCL", opened(CALL(openat, AT, in_dir, O_WRONLY | O_CREAT | O_EXCL, 0644)))                         \
	X("openat2", open2(O_RDWR, target))                                                                               \
	X("openat2 O_CREAT", open2(O_RDONLY | O_CREAT, in_dir))                                                         \
	X("creat", opened(CALL(creat, target, 0644)))                                                                     \
	X("creat new", opened(CALL(creat, in_dir, 0644)))                                                               \
	X("truncate", CALL(truncate, target, 0))                                                                          \
	X("rename away", CALL(rename, target, other))                                                                     \
	X("rename onto", CALL(rename, src, target))                                                                       \
	X("rename within", CALL(rename, target, in_dir))                                                                  \
	X("rename in", CALL(rename, src, in_dir))                                                                       \
	X("renameat", CALL(renameat, AT, src, AT, target))                                                                \
	X("renameat2", CALL(renameat2, AT, src, AT, target, 0))                                                           \
	X("renameat2 EXCHANGE", CALL(renameat2, AT, src, AT, target, RENAME_EXCHANGE))                                    \
	X("renameat2 NOREPLACE", CALL(renameat2, AT, src, AT, in_dir, RENAME_NOREPLACE))                                \
	X("rename directory", CALL(rename, sub, sub2))                                                                  \
	X("mkdir", CALL(mkdir, in_dir, 0755))                                                                           \
	X("mkdirat", CALL(mkdirat, AT, in_dir, 0755))                                                                   \
	X("rmdir", CALL(rmdir, sub))                                                                                    \
	X("unlink", CALL(unlink, target))                                                                                 \
	X("unlinkat", CALL(unlinkat, AT, target, 0))                                                                      \
	X("unlinkat REMOVEDIR", CALL(unlinkat, AT, sub, AT_REMOVEDIR))                                                  \
	X("link in", CALL(link, src, in_dir))                                                                           \
	X("link out", CALL(link, target, other))                                                                          \
	X("linkat in", CALL(linkat, AT, src, AT, in_dir, 0))                                                            \
	X("linkat out", CALL(linkat, AT, target, AT, other, 0))                                                           \
	X("linkat O_TMPFILE", tmpfile_link())                                                                           \
	X("linkat descriptor", with_fd(O_RDONLY, do_magic_link))                                                        \
	X("symlink", CALL(symlink, "x", in_dir))                                                                        \
	X("symlinkat", CALL(symlinkat, "x", AT, in_dir))                                                                \
	X("mknod FIFO", CALL(mknod, in_dir, S_IFIFO | 0644, 0))                                                         \
	X("mknod file", CALL(mknod, in_dir, S_IFREG | 0644, 0))                                                         \
	X("mknodat FIFO", CALL(mknodat, AT, in_dir, S_IFIFO | 0644, 0))                                                 \
	X("mknodat socket", CALL(mknodat, AT, in_dir, S_IFSOCK | 0644, 0))                                              \
	X("bind", unix_bind())                                                                                          \
	X("chmod", CALL(chmod, target, 0600))                                                                             \
	X("chmod directory", CALL(chmod, sub, 0700))                                                                    \
	X("chmod descriptor", with_fd(O_RDONLY, do_magic_chmod))                                                        \
	X("fchmod", with_fd(O_RDONLY, do_fchmod))                                                                       \
	X("fchmodat", CALL(fchmodat, AT, target, 0600))                                                                   \
	X("fchmodat2", CALL(fchmodat2, AT, target, 0600, 0))                                                              \
	X("fchmodat2 EMPTY_PATH", with_fd(O_RDONLY, do_fchmod_empty))                                                   \
	X("chown", CALL(chown, target, getuid(), getgid()))                                                               \
	X("lchown", CALL(lchown, target, getuid(), getgid()))                                                             \
	X("fchown", with_fd(O_RDONLY, do_fchown))                                                                       \
	X("fchownat", CALL(fchownat, AT, target, getuid(), getgid(), 0))                                                  \
	X("fchownat EMPTY_PATH", with_fd(O_RDONLY, do_fchown_empty))                                                    \
	X("utime", CALL(utime, target, NULL))                                                                             \
	X("utimes", CALL(utimes, target, NULL))                                                                           \
	X("futimesat", CALL(futimesat, AT, target, NULL))                                                                 \
	X("utimensat", CALL(utimensat, AT, target, NULL, 0))                                                              \
	X("utimensat descriptor", with_fd(O_RDONLY, do_futimens))                                                       \
	X("setxattr", CALL(setxattr, target, "user.c", "d", 1, 0))                                                        \
	X("lsetxattr", CALL(lsetxattr, target, "user.c", "d", 1, 0))                                                      \
	X("fsetxattr", with_fd(O_RDONLY, do_fsetxattr))                                                                 \
	X("setxattrat", set_attr_at())                                                                                  \
	X("removexattr", CALL(removexattr, target, "user.a"))                                                             \
	X("lremovexattr", CALL(lremovexattr, target, "user.a"))                                                           \
	X("fremovexattr", with_fd(O_RDONLY, do_fremovexattr))                                                           \
	X("removexattrat", CALL(removexattrat, AT, target, 0, "user.a"))                                                  \
	X("file_setattr", set_file_attr())                                                                              \
	X("ioctl FS_IOC_SETFLAGS", with_fd(O_RDONLY, do_setflags))                                                      \
	X("ioctl FS_IOC_FSSETXATTR", with_fd(O_RDONLY, do_fssetxattr))                                                  \
	X("open descriptor", with_fd(O_RDONLY, do_magic_open))                                                          \
	X("open O_PATH descriptor", with_fd(O_PATH, do_magic_open))                                                     \
	X("truncate descriptor", with_fd(O_RDONLY, do_magic_truncate))                                                  \
	X("write", with_fd(O_RDWR, do_write))                                                                           \
	X("pwrite64", with_fd(O_RDWR, do_pwrite))                                                                       \
	X("writev", with_fd(O_RDWR, do_writev))                                                                         \
	X("pwritev2", with_fd(O_RDWR, do_pwritev2))                                                                     \
	X("ftruncate", with_fd(O_RDWR, do_ftruncate))                                                                   \
	X("fallocate", with_fd(O_RDWR, do_fallocate))                                                                   \
	X("fallocate PUNCH_HOLE", with_fd(O_RDWR, do_punch))                                                            \
	X("fallocate ZERO_RANGE", with_fd(O_RDWR, do_zero))                                                             \
	X("copy_file_range", with_fd(O_WRONLY, do_copy))                                                                \
	X("sendfile", with_fd(O_WRONLY, do_sendfile))                                                                   \
	X("splice", with_fd(O_WRONLY, do_splice))                                                                       \
	X("ioctl FICLONE", with_fd(O_WRONLY, do_clone))                                                                 \
	X("ioctl FICLONERANGE", with_fd(O_WRONLY, do_range))                                                            \
	X("mmap", with_fd(O_RDWR, do_map))

static long attempt(unsigned int n, const char **ret_name)
{
	unsigned int k = 0;

	*ret_name = NULL;
#define X(name, expr)                                                                                                           \
	if (k++ == n) {                                                                                                 \
		*ret_name = (name);                                                                                     \
		errno = 0;                                                                                              \
		return (expr);                                                                                          \
	}
	MUTATORS
#undef X
	return 0;
}

static void check_complete(void)
{
#define X(name, expr) " " name " "
	static const char all[] = MUTATORS;
#undef X
	char name[64];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].family, "CHANGE") != 0 && strcmp(rows[i].family, "OPEN") != 0)
			continue;
		snprintf(name, sizeof(name), " %s ", rows[i].name);
		if (strstr(all, name) == NULL) {
			printf("not tried: %s\n", rows[i].name);
			exit(BROKEN);
		}
	}
}

int main(int argc, char **argv)
{
	unsigned int done = 0;
	const char *name;
	long r;

	if (argc != 3 || strlen(argv[1]) >= sizeof(target) || strlen(argv[2]) >= PATH_MAX)
		return BROKEN;
	check_complete();
	umask(022);
	snprintf(target, sizeof(target), "%s", argv[1]);
	snprintf(dir, sizeof(dir), "%s", argv[1]);
	*strrchr(dir, '/') = '\0';
	snprintf(in_dir, sizeof(in_dir), "%s/new", dir);
	snprintf(sub, sizeof(sub), "%s/sub", dir);
	snprintf(sub2, sizeof(sub2), "%s/sub2", dir);
	snprintf(src, sizeof(src), "%s/src", argv[2]);
	snprintf(other, sizeof(other), "%s/other", argv[2]);
	for (unsigned int n = 0;; n++) {
		restore();
		r = attempt(n, &name);
		if (name == NULL)
			break;
		printf("%s: %s\n", name, r >= 0 ? "done" : strerrorname_np(errno));
		done += r >= 0;
	}
	/* A read-only mapping is no way around: tried last, and apart, for it is refused natively too. */
	if (with_fd(O_RDONLY, do_mprotect) == 0)
		printf("mprotect: done\n");
	restore();
	return done > 0 ? GOT : HELD;
}
