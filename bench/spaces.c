/*
 * spaces COMMAND...: runs COMMAND in the namespaces that gabion makes, and does nothing else. It is what they cost on this host, which no
 * sandbox with such a view can go below:
 *
 *   clone(user, pid, mount, net, ipc, uts, cgroup), id maps, clone(pid), exec; and taking them apart.
 *
 * No mount is made, no loopback brought up, no filter loaded.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { OUTER = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP };

static void put(pid_t pid, const char *file, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		give_up(path);
	close(fd);
}

static pid_t clone_with(unsigned long flags)
{
	pid_t pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid < 0)
		give_up("clone");
	return pid;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 99;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	char map[64], c;
	int go[2];

	if (argc < 2 || pipe2(go, O_CLOEXEC) < 0)
		return 99;
	pid_t outer = clone_with(OUTER);
	if (outer == 0) {
		if (read(go[0], &c, 1) != 1)
			_exit(99);
		pid_t inner = clone_with(CLONE_NEWPID);
		if (inner == 0) {
			execv(argv[1], argv + 1);
			_exit(99);
		}
		_exit(wait_for(inner));
	}
	put(outer, "setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", (unsigned int)getuid(), (unsigned int)getuid());
	put(outer, "uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", (unsigned int)getgid(), (unsigned int)getgid());
	put(outer, "gid_map", map);
	if (write(go[1], "g", 1) != 1)
		return 99;
	return wait_for(outer);
}
