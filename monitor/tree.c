/*
 * Ending a process tree where no pid namespace does it. A scan of procfs finds every process whose chain of
 * parents leads to the root (a subreaper, so that orphans stay below it); each is killed through a pidfd
 * opened before its parentage was read, so that a number used again never names a stranger. Repeated until a
 * scan finds none: a fork bomb may outrun it, and the doctor says so.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "monitor/launch.h"
#include "util/err.h"
#include "util/fd.h"

enum { DEPTH_MAX = 4096 };

/* Parent of PID, 0 where it is gone or a zombie (nothing left to kill). */
static pid_t parent_of(int proc, pid_t pid, bool *ret_zombie)
{
	char path[32], buf[512];

	snprintf(path, sizeof(path), "%d/stat", (int)pid);
	AUTO_FD int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	/* The name may hold anything, parentheses too: the fields follow the last one. */
	const char *after = strrchr(buf, ')');
	char state;
	int ppid;
	if (after == NULL || sscanf(after + 1, " %c %d", &state, &ppid) != 2)
		return 0;
	*ret_zombie = state == 'Z' || state == 'X';
	return ppid;
}

static bool descends(int proc, pid_t pid, pid_t root)
{
	bool zombie = false;
	pid_t at = parent_of(proc, pid, &zombie);

	if (zombie)
		return false;
	for (int depth = 0; at > 1 && depth < DEPTH_MAX; depth++) {
		if (at == root)
			return true;
		at = parent_of(proc, at, &zombie);
	}
	return at == root;
}

static int kill_round(int proc, pid_t root, pid_t spared)
{
	AUTO_FD int dir = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = dir < 0 ? NULL : fdopendir(dir);
	int found = 0;

	if (d == NULL)
		return 0;
	fd_steal(&dir);
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
		if (pid <= 1 || pid == root || pid == spared)
			continue;
		AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (pidfd < 0 || !descends(proc, pid, root))
			continue;
		found++;
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	}
	closedir(d);
	return found;
}

int tree_kill(int proc, pid_t root, pid_t spared, int timeout_ms)
{
	int left = 0;

	for (int waited = 0; waited <= timeout_ms; waited += 2) {
		left = kill_round(proc, root, spared);
		if (left == 0)
			break;
		nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
	}
	return left;
}
