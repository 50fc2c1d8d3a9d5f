/*
 * no_userns [-u UID] COMMAND...: runs COMMAND where user namespaces are forbidden, as on hosts that set user.max_user_namespaces to 0: in a
 * user namespace of its own (ids mapped to themselves, so that files keep their owners) with that limit at 0. Started by root; with -u
 * the command runs as UID:UID without capabilities, as an ordinary user would.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		fprintf(stderr, "no_userns: %s: %s\n", path, strerror(errno));
		exit(99);
	}
	close(fd);
}

int main(int argc, char **argv)
{
	int go[2], at = 1;
	long uid = -1;
	char path[64];

	if (argc > 2 && strcmp(argv[1], "-u") == 0) {
		uid = strtol(argv[2], NULL, 10);
		at = 3;
	}
	if (at >= argc || pipe2(go, O_CLOEXEC) < 0) {
		fprintf(stderr, "usage: no_userns [-u UID] COMMAND...\n");
		return 99;
	}
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);
	if (pid < 0) {
		fprintf(stderr, "no_userns: clone: %s\n", strerror(errno));
		return 99;
	}
	if (pid == 0) {
		char c;
		close(go[1]);
		if (read(go[0], &c, 1) != 1 || setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
			_exit(99);
		put("/proc/sys/user/max_user_namespaces", "0");
		if (uid >= 0 && (setresgid((gid_t)uid, (gid_t)uid, (gid_t)uid) < 0 || setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) < 0))
			_exit(99);
		execvp(argv[at], argv + at);
		fprintf(stderr, "no_userns: %s: %s\n", argv[at], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
	put(path, "0 0 2147483647");
	snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
	put(path, "0 0 2147483647");
	if (write(go[1], "g", 1) != 1)
		return 99;
	close(go[1]);
	signal(SIGINT, SIG_IGN);
	int status;
	for (;;) {
		if (waitpid(pid, &status, WUNTRACED) < 0) {
			if (errno != EINTR)
				return 99;
		} else if (WIFSTOPPED(status)) {
			/* The shell knows only us. */
			raise(SIGSTOP);
			kill(pid, SIGCONT);
		} else {
			break;
		}
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
