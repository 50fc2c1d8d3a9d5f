/*
 * sweep [WORD]: every syscall number from 0 to 480, and some beyond, with six times WORD (default -1) for
 * arguments, each in a child that has a second. Prints "NUMBER ERRNO", or what became of the child. Arguments
 * that mean nothing change nothing, natively as inside; the few calls without any that would (pause, fork,
 * ...) are left out.
 */
#include "attack.h"

static bool left_out(long nr)
{
	static const long list[] = {
		SYS_rt_sigreturn,
		SYS_pause,
		SYS_fork,
		SYS_vfork,
		SYS_clone,
		SYS_exit,
		SYS_exit_group,
		SYS_sync,
		SYS_vhangup,
		SYS_restart_syscall,
		SYS_rt_sigsuspend,
		SYS_munmap,
		SYS_reboot,
		SYS_kill,
		SYS_tkill,
		SYS_setpriority,
		SYS_ioprio_set,
		SYS_sched_yield,
		SYS_alarm,
		/* would stay behind on the host, or wait for it */
		SYS_msgget,
		SYS_semget,
		SYS_shmget,
		SYS_msgrcv,
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (list[i] == nr)
			return true;
	return false;
}

static void one(long nr, long word)
{
	int fds[2], status, err = -1;
	pid_t pid;

	if (pipe(fds) < 0)
		die("pipe");
	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		long r;

		/* High, out of the way of close(2), dup2(2) and the like. */
		if (dup2(fds[1], 200) < 0)
			_exit(1);
		alarm(1);
		errno = 0;
		r = syscall(nr, word, word, word, word, word, word);
		err = r == -1 ? errno : 0;
		(void)!write(200, &err, sizeof(err));
		_exit(0);
	}
	close(fds[1]);
	if (read(fds[0], &err, sizeof(err)) != sizeof(err))
		err = -1;
	close(fds[0]);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	if (WIFSIGNALED(status))
		printf("%ld %s\n", nr, WTERMSIG(status) == SIGALRM ? "hung" : sigabbrev_np(WTERMSIG(status)));
	else if (err < 0)
		printf("%ld lost\n", nr);
	else
		printf("%ld %s\n", nr,
		       err == 0			      ? "0"
		       : strerrorname_np(err) != NULL ? strerrorname_np(err)
						      : "E?");
}

int main(int argc, char **argv)
{
	static const long beyond[] = {512, 547, 600, 1000, 0x7fffffff};
	long word = argc > 1 ? strtol(argv[1], NULL, 0) : -1;

	ordinary_user();
	for (long nr = 0; nr <= 480; nr++)
		if (!left_out(nr))
			one(nr, word);
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
		one(beyond[i], word);
	return 0;
}
