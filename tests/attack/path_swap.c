/*
 * path_swap WHO HOW GOOD BAD: a call takes its path from memory that somebody else changes between two paths
 * all the time.
 *
 *   WHO  thread   a sibling thread
 *        process  another process, through a shared mapping: stopping our threads would not help
 *        vfork    a child of vfork, in our memory
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

/* One attempt; true where it had effect on BAD. */
static bool attempt(const char *how)
{
	char *path = mem->path;
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
