/*
 * What happens to a caller in the middle of a call that somebody else performs.
 *
 *   mid_call kill        children that open, rename, make and remove are killed at any moment; between "ready" and "over" it
 *                        waits for a line on standard input, and at the end for its end, so that descriptors can be counted
 *   mid_call signal      a handler every millisecond; what is made is made once, an open of a FIFO restarts or is interrupted
 *   mid_call exec BAD    a thread that is not the first executes us again while its siblings open BAD; got: somebody read it
 *
 * kill and signal: 0 where all was as it should be, natively too.
 */
#include <sys/time.h>

#include "attack.h"

static bool wrong(const char *what)
{
	printf("wrong: %s: %s\n", what, strerror(errno));
	return false;
}

/* -- kill -- */

__attribute__((noreturn)) static void busy(int id)
{
	char a[32], b[32], d[32];

	snprintf(a, sizeof(a), "a%d", id);
	snprintf(b, sizeof(b), "b%d", id);
	snprintf(d, sizeof(d), "d%d", id);
	close(open(a, O_WRONLY | O_CREAT, 0644));
	for (;;) {
		rename(a, b);
		close(open("fifo", O_RDONLY | O_NONBLOCK));
		mkdir(d, 0755);
		rename(b, a);
		rmdir(d);
		if (id % 4 == 0)
			close(open("fifo2", O_RDONLY)); /* nobody comes */
	}
}

static bool kills(void)
{
	enum { CHILDREN = 8 };
	pid_t pid[CHILDREN] = { 0 };
	double end;
	bool ok = true;
	int status;

	mkfifo("fifo", 0644);
	mkfifo("fifo2", 0644);
	printf("ready\n");
	fflush(stdout);
	(void)getchar();
	end = attack_end();
	for (unsigned int n = 0; ok && attack_clock() < end; n++) {
		int i = (int)(n % CHILDREN);
		char a[32], b[32];

		if (pid[i] != 0) {
			kill(pid[i], SIGKILL);
			if (waitpid(pid[i], &status, 0) != pid[i])
				ok = wrong("waitpid");
			snprintf(a, sizeof(a), "a%d", i);
			snprintf(b, sizeof(b), "b%d", i);
			errno = 0;
			if ((access(a, F_OK) == 0) + (access(b, F_OK) == 0) > 1)
				ok = wrong("renamed by halves");
		}
		pid[i] = fork();
		if (pid[i] == 0)
			busy(i);
		usleep(n * 37 % 700);
	}
	for (int i = 0; i < CHILDREN; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], &status, 0);
	}
	/* Whoever answers is not waiting for somebody who is gone. */
	if (mkdir("after", 0755) < 0)
		ok = wrong("mkdir");
	printf("over: %s\n", ok ? "as it should be" : "wrong");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return ok;
}

/* -- signal -- */

static void nothing(int sig)
{
	(void)sig;
}

static void tick(bool restart, long usec)
{
	struct sigaction sa = { .sa_handler = nothing, .sa_flags = restart ? SA_RESTART : 0 };
	struct itimerval t = { { 0, usec }, { 0, usec } };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

/* A FIFO whose other end comes after 30 ms, with SA_RESTART: it is opened. Without, long after a signal: it is EINTR. */
static bool waits(bool restart)
{
	pid_t pid = fork();
	int fd, status;
	bool ok;

	if (pid == 0) {
		usleep(restart ? 30000 : 20000000);
		fd = open("fifo", O_WRONLY | (restart ? 0 : O_NONBLOCK));
		usleep(1000);
		_exit(0);
	}
	tick(restart, 1000);
	errno = 0;
	fd = open("fifo", O_RDONLY);
	ok = restart ? fd >= 0 : fd < 0 && errno == EINTR;
	tick(restart, 0);
	if (fd >= 0)
		close(fd);
	if (!restart)
		kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return ok || wrong(restart ? "open was not restarted" : "open was not interrupted");
}

static bool signals(void)
{
	double end = attack_end();
	bool ok = true;
	char name[32], other[32];

	mkfifo("fifo", 0644);
	for (unsigned int n = 0; ok && attack_clock() < end; n++) {
		int r;

		tick(n & 1, 1000);
		snprintf(name, sizeof(name), "n%u", n);
		snprintf(other, sizeof(other), "o%u", n);
		/* EINTR says that nothing happened (docs/LIMITS.md). */
		while ((r = mkdir(name, 0755)) < 0 && errno == EINTR)
			;
		if (r < 0)
			ok = wrong("made twice");
		while ((r = rename(name, other)) < 0 && errno == EINTR)
			;
		if (r < 0)
			ok = wrong("renamed twice");
		while ((r = rmdir(other)) < 0 && errno == EINTR)
			;
		if (r < 0)
			ok = wrong("removed twice");
		while ((r = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644)) < 0 && errno == EINTR)
			;
		if (r < 0)
			ok = wrong("created twice");
		close(r);
		while ((r = unlink(name)) < 0 && errno == EINTR)
			;
		if (r < 0)
			ok = wrong("unlinked twice");
	}
	tick(true, 0);
	for (int i = 0; ok && i < 5; i++)
		ok = waits(true) && waits(false);
	return ok;
}

/* -- exec -- */

static const char *bad;
static char *self;

static void *opens(void *arg)
{
	while (!atomic_load(&attack_over)) {
		if (attack_is_secret(open(bad, O_RDONLY)))
			_exit(GOT);
		close(open("good", O_RDONLY));
	}
	return arg;
}

static void *executes(void *left)
{
	char count[24];

	usleep(2000);
	snprintf(count, sizeof(count), "%ld", (long)(intptr_t)left - 1);
	execl(self, self, "exec", bad, count, (char *)NULL);
	_exit(BROKEN);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "kill") == 0)
		return kills() ? 0 : BROKEN;
	if (argc == 2 && strcmp(argv[1], "signal") == 0)
		return signals() ? 0 : BROKEN;
	if (argc < 3 || strcmp(argv[1], "exec") != 0)
		return BROKEN;
	long left = argc > 3 ? strtol(argv[3], NULL, 10) : 30;

	self = argv[0];
	bad = argv[2];
	if (left == 0)
		return HELD;
	for (int i = 0; i < 3; i++)
		attack_thread(opens, NULL);
	attack_thread(executes, (void *)(intptr_t)left);
	pause();
	return BROKEN;
}
