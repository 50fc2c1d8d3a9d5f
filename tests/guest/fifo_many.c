/* Hundreds of opens that block, each of its own process: other calls go on, another FIFO works, and one writer frees them all. */
#include <signal.h>
#include <sys/wait.h>

#include "guest.h"

enum { MANY = 300 };

int main(void)
{
	pid_t pids[MANY], other;
	int released = 0, status, fd;
	struct stat st;

	SHOW(mkfifo("many", 0600));
	SHOW(mkfifo("other", 0600));
	for (int i = 0; i < MANY; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			fd = open("many", O_RDONLY);
			_exit(fd >= 0 ? 7 : 1);
		}
		if (pids[i] < 0)
			die("fork");
	}
	usleep(300000);
	SHOW(stat("many", &st));
	other = fork();
	if (other == 0)
		_exit(open("other", O_WRONLY) >= 0 ? 7 : 1);
	SHOW_OK(open("other", O_RDONLY));
	SHOW_OK(waitpid(other, &status, 0));
	SAY("the other ended with %d", WEXITSTATUS(status));
	/* One is interrupted, the rest is freed. */
	kill(pids[0], SIGTERM);
	waitpid(pids[0], &status, 0);
	SAY("the first: signal %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	fd = open("many", O_WRONLY);
	SAY("opened for writing: %d", fd >= 0);
	for (int i = 1; i < MANY; i++)
		released += waitpid(pids[i], &status, 0) == pids[i] && WIFEXITED(status) && WEXITSTATUS(status) == 7;
	SAY("released: %d", released);
	return 0;
}
