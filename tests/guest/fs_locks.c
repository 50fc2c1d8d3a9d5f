/*
 * What hangs off a descriptor that somebody else opened: locks of every kind and their end, flags and position, close-on-exec, sharing over
 * dup and fork, mappings, and files without a name.
 */
#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/wait.h>

#include "guest.h"

/* In a child, that nothing of it is shared but what is inherited; its result. */
static int in_child(int (*fn)(int fd), int fd)
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(fn(fd));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("fork");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int try_flock(int fd)
{
	int own = open("locked", O_RDONLY);

	(void)fd;
	return flock(own, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
}

static int try_shared(int fd)
{
	int own = open("locked", O_RDONLY);

	(void)fd;
	return flock(own, LOCK_SH | LOCK_NB) < 0 ? errno : 0;
}

static int try_range(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };
	int own = open("locked", O_RDWR);

	(void)fd;
	return fcntl(own, F_SETLK, &l) < 0 ? errno : 0;
}

static int try_ofd(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };
	int own = open("locked", O_RDWR);

	(void)fd;
	return fcntl(own, F_OFD_SETLK, &l) < 0 ? errno : 0;
}

static int unlock_inherited(int fd)
{
	return flock(fd, LOCK_UN) < 0 ? errno : 0;
}

/*
 * What is to be free: a supervisor whose processor was taken from it may be late to close its copy of a descriptor
 * (docs/LIMITS.md), so it is asked again for a while.
 */
static int soon(int (*fn)(int fd))
{
	int r = in_child(fn, -1);

	for (int i = 0; i < 500 && r != 0; i++) {
		(void)usleep(10000);
		r = in_child(fn, -1);
	}
	return r;
}

static int lease_soon(int fd, int type)
{
	int r = fcntl(fd, F_SETLEASE, type);

	for (int i = 0; i < 500 && r < 0 && errno == EAGAIN; i++) {
		(void)usleep(10000);
		r = fcntl(fd, F_SETLEASE, type);
	}
	return r;
}

static void locks(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 15 };
	int a, b;

	file("locked", "0123456789012345678901234567890");
	a = open("locked", O_RDWR);
	b = open("locked", O_RDWR);
	SHOW(flock(a, LOCK_EX | LOCK_NB));
	SHOW(flock(b, LOCK_EX | LOCK_NB));
	SHOW(in_child(try_flock, -1) == EWOULDBLOCK);
	/* The lock is the description's: a child may end it, and closing one of two descriptors does not. */
	SHOW(close(dup(a)));
	SHOW(in_child(try_shared, -1) == EWOULDBLOCK);
	SHOW(in_child(unlock_inherited, a));
	SHOW(soon(try_flock));
	while (flock(a, LOCK_SH | LOCK_NB) < 0)
		(void)usleep(10000);
	SHOW(soon(try_shared));
	SHOW(in_child(try_flock, -1) == EWOULDBLOCK);
	SHOW(close(a));
	SHOW(soon(try_flock));
	/* A POSIX lock is the process's: closing any descriptor of the file ends it. */
	SHOW(fcntl(b, F_SETLK, &l));
	SHOW(in_child(try_range, -1) == EAGAIN);
	l.l_type = F_RDLCK;
	SHOW(fcntl(b, F_GETLK, &l));
	SHOW(l.l_type == F_UNLCK); /* one's own is none */
	SHOW(close(open("locked", O_RDONLY)));
	SHOW(soon(try_range));
	/* A lock of a description is not. */
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 15 };
	SHOW(fcntl(b, F_OFD_SETLK, &l));
	SHOW(close(open("locked", O_RDONLY)));
	SHOW(in_child(try_ofd, -1) == EAGAIN);
	SHOW(in_child(try_range, -1) == EAGAIN);
	SHOW(close(b));
	SHOW(soon(try_ofd));
	a = open("locked", O_RDONLY);
	SHOW(fcntl(a, F_SETLK, &l)); /* not open for writing */
	SHOW(lease_soon(a, F_RDLCK));
	SHOW(fcntl(a, F_GETLEASE));
	SHOW(fcntl(a, F_SETLEASE, F_UNLCK));
	SHOW(close(a));
	a = open("locked", O_RDWR);
	SHOW(lease_soon(a, F_WRLCK)); /* nobody else has it open */
	SHOW(fcntl(a, F_SETLEASE, F_UNLCK));
	SHOW(close(a));
}

static void flags(void)
{
	static const int v[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_RDWR | O_NONBLOCK, O_RDWR | O_SYNC, O_RDWR | O_DSYNC,
				 O_RDONLY | O_DIRECTORY, O_RDONLY | O_NOATIME, O_WRONLY | O_CREAT | O_TRUNC, O_RDWR | O_CREAT | O_EXCL,
				 O_RDWR | O_ASYNC };

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		bool dir = (v[i] & O_DIRECTORY) != 0, new = (v[i] & O_EXCL) != 0;
		int fd = open(dir ? "." : new ? "flags-new" : "locked", v[i] | O_CLOEXEC, 0600);

		SAY("open %#o: %s, %#x, %#x", (unsigned int)v[i], fd < 0 ? strerrorname_np(errno) : "ok",
		    fd < 0 ? 0 : (unsigned int)fcntl(fd, F_GETFL), fd < 0 ? 0 : (unsigned int)fcntl(fd, F_GETFD));
		close(fd);
		fd = open(dir ? "." : "locked", v[i] & ~O_EXCL, 0600);
		SAY("kept over exec: %#x", fd < 0 ? 0 : (unsigned int)fcntl(fd, F_GETFD));
		close(fd);
	}
}

static int seek_inherited(int fd)
{
	return lseek(fd, 3, SEEK_CUR) < 0 ? errno : 0;
}

static void sharing(void)
{
	char buf[16] = "";
	char *map;
	int a, b, p[2];

	file("shared", "0123456789");
	a = open("shared", O_RDWR | O_APPEND);
	b = dup(a);
	SHOW(read(a, buf, 2));
	SHOW(lseek(b, 0, SEEK_CUR));
	SHOW(in_child(seek_inherited, a));
	SHOW(lseek(b, 0, SEEK_CUR));
	SHOW(write(a, "end", 3));
	SHOW(lseek(b, 0, SEEK_CUR));
	SHOW(pwrite(a, "x", 1, 0)); /* O_APPEND counts more than where */
	SHOW(lseek(a, 0, SEEK_END));
	SHOW(close(a));
	a = open("shared", O_RDWR);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0);
	SHOW(map != MAP_FAILED);
	if (map != MAP_FAILED)
		map[0] = 'M';
	SHOW(pread(b, buf, 1, 0));
	SAY("mapped: %c", buf[0]);
	SHOW(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, open("shared", O_RDONLY), 0) == MAP_FAILED ? errno : 0);
	SHOW(ftruncate(a, 5));
	SHOW(ftruncate(open("shared", O_RDONLY), 1));
	SHOW(fallocate(a, 0, 0, 100));
	SHOW(lseek(a, 0, SEEK_END));
	SHOW(pipe(p));
	SHOW(sendfile(p[1], a, &(off_t){ 0 }, 5));
	SHOW(read(p[0], buf, 16));
	SHOW(unlink("shared"));
	SHOW(pwrite(a, "gone", 4, 0));
	SHOW(pread(b, buf, 4, 0));
	SHOW(close(a) | close(b));
}

static void nameless(void)
{
	char path[64], buf[8];
	struct stat st;
	int fd = open(".", O_TMPFILE | O_RDWR, 0640), other;

	SHOW_OK(fd);
	SHOW(write(fd, "tmp", 3));
	SHOW(fstat(fd, &st));
	SAY("mode %o, links %u", st.st_mode & 07777, (unsigned int)st.st_nlink);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	SHOW(linkat(fd, "", AT_FDCWD, "named2", AT_EMPTY_PATH));
	other = open("named", O_RDONLY);
	SHOW(read(other, buf, 8));
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	close(fd);
	close(other);
	fd = open(".", O_TMPFILE | O_WRONLY | O_EXCL, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
	SHOW_OK(open(path, O_RDONLY)); /* again, by what leads to it */
	close(fd);
}

int main(void)
{
	umask(022);
	locks();
	flags();
	sharing();
	nameless();
	return 0;
}
