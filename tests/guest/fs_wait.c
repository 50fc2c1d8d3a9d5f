/*
 * Calls that wait: FIFOs, leases, and what signals do to them; and that nobody but the caller waits. Limits of the caller: descriptors
 * (nothing is made or emptied where there is no number for it) and file sizes (SIGXFSZ).
 */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

static volatile sig_atomic_t signals; /* seen so far */

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void handle(int sig, int flags)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = flags};

	sigaction(sig, &sa, NULL);
}

static void alarm_ms(long ms)
{
	struct itimerval it = {.it_value = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000}};

	setitimer(ITIMER_REAL, &it, NULL);
}

static void sleep_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

static void fifos(void)
{
	char c = 0;
	int fd, status;
	pid_t pid;

	if (mkfifo("fifo", 0644) < 0)
		die("mkfifo");
	/* Each end waits for the other. */
	pid = fork();
	if (pid == 0) {
		fd = open("fifo", O_WRONLY);
		_exit(fd < 0 || write(fd, "w", 1) != 1);
	}
	fd = open("fifo", O_RDONLY);
	SHOW(read(fd, &c, 1));
	SAY("opened %d read %c flags %o", fd >= 0, c, (unsigned int)fcntl(fd, F_GETFL));
	SHOW(read(fd, &c, 1));
	close(fd);
	waitpid(pid, &status, 0);
	SAY("writer %d", status);

	/* A writer that has gone when the reader gets to run has been there all the same, and the other way round. */
	for (int i = 0; i < 50; i++) {
		pid = fork();
		if (pid == 0) {
			fd = open("fifo", i % 2 ? O_RDONLY : O_WRONLY);
			close(fd);
			_exit(fd < 0);
		}
		alarm(20);
		fd = open("fifo", i % 2 ? O_WRONLY : O_RDONLY);
		if (fd < 0)
			SAY("lost %d", i);
		close(fd);
		waitpid(pid, &status, 0);
		/* Nobody is left. */
		fd = open("fifo", O_WRONLY | O_NONBLOCK);
		if (fd >= 0 || errno != ENXIO)
			SAY("somebody %d", i);
		close(fd);
	}
	alarm(0);

	/* Interrupted, and going on. */
	handle(SIGALRM, 0);
	alarm_ms(50);
	SHOW(SYS(open, "fifo", O_RDONLY));
	SAY("signals %d", (int)signals);
	alarm_ms(50);
	SHOW(SYS(openat, AT_FDCWD, "fifo", O_WRONLY));
	SAY("signals %d", (int)signals);
	alarm_ms(50);
	SHOW(SYS(creat, "fifo", 0644));
	SAY("signals %d", (int)signals);
	handle(SIGALRM, SA_RESTART);
	pid = fork();
	if (pid == 0) {
		sleep_ms(300);
		fd = open("fifo", O_WRONLY);
		_exit(fd < 0 || write(fd, "w", 1) != 1);
	}
	alarm_ms(50);
	fd = open("fifo", O_RDONLY);
	SAY("restarted: opened %d signals %d read %zd", fd >= 0, (int)signals, read(fd, &c, 1));
	close(fd);
	waitpid(pid, &status, 0);

	/* A signal nobody handles ends who waits. */
	pid = fork();
	if (pid == 0) {
		alarm(0);
		signal(SIGTERM, SIG_DFL);
		(void)open("fifo", O_RDONLY);
		_exit(0);
	}
	sleep_ms(50);
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	SAY("ended by %d", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
	/* Nor is a stop the end of waiting. */
	pid = fork();
	if (pid == 0) {
		fd = open("fifo", O_RDONLY);
		_exit(fd < 0 || read(fd, &c, 1) != 1 ? 1 : 7);
	}
	sleep_ms(50);
	kill(pid, SIGSTOP);
	waitpid(pid, &status, WUNTRACED);
	SAY("stopped by %d", WIFSTOPPED(status) ? WSTOPSIG(status) : -1);
	kill(pid, SIGCONT);
	fd = open("fifo", O_WRONLY);
	SHOW(write(fd, "c", 1));
	waitpid(pid, &status, 0);
	SAY("went on %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	close(fd);
}

static void *open_fifo(void *arg)
{
	return (void *)(long)open(arg, O_RDONLY);
}

/* Eight threads wait; the ninth works. */
static void bystanders(void)
{
	enum { WAITERS = 8 };
	pthread_t t[WAITERS];
	struct stat st;
	void *r;
	int fd, good = 0;

	for (int i = 0; i < WAITERS; i++)
		if (pthread_create(&t[i], NULL, open_fifo, (void *)(uintptr_t)"fifo") != 0)
			die("pthread_create");
	sleep_ms(30);
	for (int i = 0; i < 200; i++) {
		fd = open("f", O_RDWR | O_CREAT, 0644);
		good += fd >= 0 && stat("f", &st) == 0 && close(fd) == 0 && unlink("f") == 0;
	}
	SAY("worked %d", good);
	fd = open("fifo", O_WRONLY);
	good = 0;
	for (int i = 0; i < WAITERS; i++) {
		pthread_join(t[i], &r);
		good += (long)r >= 0;
		close((int)(long)r);
	}
	SAY("woken %d", good);
	close(fd);
}

static void wait_for_lease(const char *what, int (*act)(void))
{
	int fd = open("leased", O_RDONLY | O_CREAT, 0644), status;
	pid_t pid;

	signals = 0;
	handle(SIGIO, SA_RESTART);
	/* The last close of a descriptor that was handed over may be a moment late (docs/LIMITS.md): the child's of before. */
	for (int i = 0; i < 100 && fcntl(fd, F_SETLEASE, F_RDLCK) < 0 && errno == EAGAIN; i++)
		sleep_ms(1);
	SHOW(fcntl(fd, F_SETLEASE, F_RDLCK));
	pid = fork();
	if (pid == 0) {
		close(fd);
		_exit(act());
	}
	for (int i = 0; i < 100 && signals == 0; i++)
		sleep_ms(10);
	sleep_ms(250);
	SAY("%s: asked %d, still running %d", what, signals > 0, waitpid(pid, &status, WNOHANG) == 0);
	SHOW(fcntl(fd, F_SETLEASE, F_UNLCK));
	waitpid(pid, &status, 0);
	SAY("%s: %d", what, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	close(fd);
}

static int act_open(void)
{
	return open("leased", O_WRONLY) < 0;
}

static int act_nonblock(void)
{
	return open("leased", O_WRONLY | O_NONBLOCK) < 0 ? errno == EWOULDBLOCK ? 11 : 1 : 0;
}

static int act_truncate(void)
{
	return truncate("leased", 3) < 0;
}

static int act_interrupted(void)
{
	handle(SIGALRM, 0);
	alarm_ms(100);
	return truncate("leased", 3) < 0 ? errno == EINTR ? 4 : 1 : 0;
}

/* What is not the caller's business is not held up by somebody's lease. */
static void *stat_much(void *arg)
{
	struct stat st;

	for (int i = 0; i < 200; i++)
		if (stat(".", &st) == 0)
			++*(int *)arg;
	return NULL;
}

static int act_beside(void)
{
	pthread_t t;
	int done = 0;

	if (fork() == 0) {
		(void)truncate("leased", 5);
		_exit(0);
	}
	sleep_ms(50);
	if (pthread_create(&t, NULL, stat_much, &done) != 0)
		return 1;
	pthread_join(t, NULL);
	return done == 200 ? 9 : 1;
}

static void limits(void)
{
	struct rlimit lim = {4096, 4096}, old;
	int fds[64], n = 0;
	struct stat st;

	file("big", "x");
	file("shut", "x");
	chmod("shut", 0400);
	getrlimit(RLIMIT_FSIZE, &old);
	lim.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_FSIZE, &lim);
	signals = 0;
	handle(SIGXFSZ, 0);
	SHOW(SYS(truncate, "big", 4096));
	SHOW(SYS(truncate, "big", 4097));
	SAY("signals %d", (int)signals);
	SHOW(SYS(truncate, "shut", 5000));
	SHOW(SYS(truncate, "nothing", 5000));
	SHOW(SYS(truncate, ".", 5000));
	SAY("signals %d size %ld", (int)signals, stat("big", &st) == 0 ? (long)st.st_size : -1L);
	signal(SIGXFSZ, SIG_IGN);
	SHOW(SYS(truncate, "big", 1 << 20));
	SHOW(SYS(truncate, "big", -1L));
	setrlimit(RLIMIT_FSIZE, &old);
	SHOW(SYS(truncate, "big", 1 << 20));
	SHOW(SYS(truncate, "big", 10));

	getrlimit(RLIMIT_NOFILE, &old);
	lim = (struct rlimit){.rlim_cur = 30, .rlim_max = old.rlim_max};
	setrlimit(RLIMIT_NOFILE, &lim);
	while (n < 64 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	SHOW(SYS(open, "f2", O_RDONLY | O_CREAT, 0644));
	SHOW(SYS(creat, "big", 0644));
	SHOW(SYS(open, "big", O_RDONLY));
	SHOW(SYS(access, "f2", F_OK));
	SAY("size %ld", stat("big", &st) == 0 ? (long)st.st_size : -1L);
	/* A hole in the middle is found. */
	close(fds[n / 2]);
	SAY("the hole %d", open("f2", O_RDONLY | O_CREAT, 0644) == fds[n / 2]);
	while (n > 0)
		close(fds[--n]);
	setrlimit(RLIMIT_NOFILE, &old);
}

int main(int argc, char **argv)
{
	guest_begin(argc, argv);
	fifos();
	bystanders();
	wait_for_lease("open", act_open);
	wait_for_lease("nonblock", act_nonblock);
	wait_for_lease("truncate", act_truncate);
	wait_for_lease("interrupted", act_interrupted);
	wait_for_lease("beside", act_beside);
	limits();
	return 0;
}
