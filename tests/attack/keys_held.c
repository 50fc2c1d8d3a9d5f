/*
 * Gets content of its own into a file that is protected by key, in ways that need more than a shell: through what it keeps of
 * the file it renames there, and by racing the look at it.
 *
 *   keys_held fd|map|link|exchange|tmpfile|dir|swap CONFIG BAD GOOD
 *
 * GOOD is a file with what may become CONFIG, BAD one with what may not; all in one directory's file system. Got: CONFIG
 * holds what BAD holds. fd, map: a descriptor or mapping of the lock file is written through after the rename. swap: another
 * thread exchanges the lock file with a bad one all the time.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "attack.h"

static char lock[PATH_MAX], other[PATH_MAX + 16];
static char good[4096], bad[4096];
static const char *config;

static void load(const char *path, char buf[4096])
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, 4095);

	if (n <= 0)
		die(path);
	buf[n] = '\0';
	close(fd);
}

static bool config_is_bad(void)
{
	char now[4096];
	int fd = open(config, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, now, sizeof(now) - 1);

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(bad) && memcmp(now, bad, (size_t)n) == 0;
}

/* A file PATH with TEXT, as long as the longer of the two. */
static int fresh(const char *path, const char *text)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(path);
	return fd;
}

static void rewrite(int fd)
{
	if (ftruncate(fd, 0) < 0 || pwrite(fd, bad, strlen(bad), 0) < 0)
		die("rewrite");
}

static void *swapper(void *arg)
{
	(void)arg;
	while (!atomic_load(&attack_over))
		syscall(SYS_renameat2, AT_FDCWD, lock, AT_FDCWD, other, 2 /* RENAME_EXCHANGE */);
	return NULL;
}

/* The lock file is good or bad, as the other thread likes; only one of them may arrive. */
static bool swap(void)
{
	double end = attack_end();

	close(fresh(other, bad));
	close(fresh(lock, good));
	attack_thread(swapper, NULL);
	while (attack_clock() < end) {
		usleep(200);
		(void)rename(lock, config);
		if (config_is_bad())
			return true;
		close(open(lock, O_WRONLY | O_CREAT, 0644));
		int a = open(lock, O_WRONLY | O_TRUNC), b = open(other, O_WRONLY | O_TRUNC | O_CREAT, 0644);

		if (a >= 0 && b >= 0)
			(void)!(write(a, good, strlen(good)) + write(b, bad, strlen(bad)));
		close(a);
		close(b);
	}
	return false;
}

int main(int argc, char **argv)
{
	const char *how = argc == 5 ? argv[1] : "";
	int fd;

	if (argc != 5)
		return BROKEN;
	config = argv[2];
	load(argv[3], bad);
	load(argv[4], good);
	snprintf(lock, sizeof(lock), "%s.lock", config);
	snprintf(other, sizeof(other), "%s.other", config);
	if (strcmp(how, "swap") == 0)
		attack_exit(swap());
	if (strcmp(how, "fd") == 0) {
		fd = fresh(lock, good);
		if (rename(lock, config) < 0)
			die("rename");
		rewrite(fd);
	} else if (strcmp(how, "map") == 0) {
		fd = fresh(lock, good);
		if (ftruncate(fd, (off_t)strlen(bad)) < 0)
			die("ftruncate");
		char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (p == MAP_FAILED || ftruncate(fd, (off_t)strlen(good)) < 0 || pwrite(fd, good, strlen(good), 0) < 0)
			die("mmap");
		if (rename(lock, config) < 0)
			die("rename");
		if (ftruncate(fd, (off_t)strlen(bad)) < 0)
			die("ftruncate");
		memcpy(p, bad, strlen(bad));
	} else if (strcmp(how, "link") == 0) {
		close(fresh(lock, bad));
		(void)unlink(config);
		(void)link(lock, config);
	} else if (strcmp(how, "exchange") == 0) {
		close(fresh(lock, bad));
		(void)syscall(SYS_renameat2, AT_FDCWD, lock, AT_FDCWD, config, 2);
	} else if (strcmp(how, "tmpfile") == 0) {
		char dir[PATH_MAX], self[64];

		snprintf(dir, sizeof(dir), "%s", config);
		*strrchr(dir, '/') = '\0';
		fd = open(dir, O_TMPFILE | O_RDWR, 0644);
		if (fd < 0)
			die("O_TMPFILE");
		rewrite(fd);
		(void)unlink(config);
		snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
		(void)linkat(AT_FDCWD, self, AT_FDCWD, config, AT_SYMLINK_FOLLOW);
	} else if (strcmp(how, "dir") == 0) {
		char *slash = strrchr(lock, '/');

		/* The directory goes away, is filled, and comes back. */
		*slash = '\0';
		snprintf(other, sizeof(other), "%s.moved", lock);
		if (rename(lock, other) == 0) {
			char path[PATH_MAX + 32];

			snprintf(path, sizeof(path), "%s/config", other);
			close(fresh(path, bad));
			(void)rename(other, lock);
		}
	} else {
		return BROKEN;
	}
	attack_exit(config_is_bad());
}
