/* Tracer and relay while they have nothing to do: see idle.h. */
#include "monitor/idle.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/isolate.h"
#include "util/err.h"
#include "util/fd.h"

static _Noreturn void idle_main(const char *name, int fd)
{
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU};
	char c;

	/* What the user's terminal sends to the monitor's group is for the monitor. */
	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    dup2(fd, 0) < 0 || syscall(SYS_close_range, 1, ~0U, 0) < 0 || isolate_idle() < 0)
		_exit(1);
	while (read(0, &c, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

int idle_start(const char *name, struct idle *ret)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_now();
	pid_t pid = fork();
	if (pid == 0) {
		close(p[1]);
		idle_main(name, p[0]);
	}
	close(p[0]);
	if (pid < 0) {
		fd_close(p[1]);
		return err_now();
	}
	*ret = (struct idle){.pid = pid, .fd = p[1]};
	return 0;
}

void idle_stop(struct idle *i)
{
	i->fd = fd_close(i->fd);
	if (i->pid > 0) {
		kill(i->pid, SIGKILL);
		while (waitpid(i->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	i->pid = -1;
}
