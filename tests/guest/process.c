/*
 * Processes: making them, waiting for them, signals, limits, priorities, ids, tracing a child, odds and ends by value. What differs
 * by design (clone3, namespaces, keyrings) is not asked: tests/attack does.
 */
#include <linux/kcmp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#include "guest.h"

#define NOBODY	 4194303 /* no such process */
#define ARCH_SET_GS 0x1001
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004
#define P_PIDFD_ 3

/* A child that sleeps until it is ended. */
static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			pause();
	}
	return pid;
}

static void show_end(pid_t pid)
{
	int status = -1;

	if (waitpid(pid, &status, __WALL) != pid)
		die("waitpid");
	if (WIFSIGNALED(status))
		SAY("signal %d", WTERMSIG(status));
	else
		SAY("status %d", WEXITSTATUS(status));
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	show_end(pid);
}

static void *say_hello(void *arg)
{
	*(int *)arg = 42;
	return NULL;
}

static void making(void)
{
	char *argv[] = { strdup("sh"), strdup("-c"), strdup("exit 7"), NULL };
	struct rusage ru;
	siginfo_t si;
	pthread_t t;
	pid_t pid;
	int n = 0, status;

	pid = fork();
	if (pid == 0)
		_exit(3);
	show_end(pid);
	pid = vfork();
	if (pid == 0)
		_exit(4);
	show_end(pid);
	pid = (pid_t)SYS(clone, SIGCHLD, 0, 0, 0, 0);
	if (pid == 0)
		_exit(5);
	show_end(pid);
	/* No signal at its end: a clone child, waited for as one. */
	pid = (pid_t)SYS(clone, 0, 0, 0, 0, 0);
	if (pid == 0)
		_exit(6);
	SHOW(waitpid(pid, &status, 0));
	show_end(pid);
	SHOW(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ));
	show_end(pid);
	SHOW(pthread_create(&t, NULL, say_hello, &n));
	pthread_join(t, NULL);
	SAY("%d", n);
	SHOW(waitpid(-1, NULL, 0));
	SHOW(waitpid(NOBODY, NULL, 0));
	SHOW(waitpid(-1, NULL, 0x1000000));
	pid = sleeper();
	SHOW(waitpid(pid, NULL, WNOHANG));
	SHOW(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG));
	SHOW(kill(pid, SIGSTOP));
	SHOW(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOWAIT));
	SAY("code %d status %d", si.si_code == CLD_STOPPED, si.si_status == SIGSTOP);
	SHOW(kill(pid, SIGCONT));
	SHOW(waitid(P_PID, (id_t)pid, &si, WCONTINUED));
	SHOW(kill(pid, SIGTERM));
	SHOW_OK(wait4(pid, &status, 0, &ru));
	SAY("%d", WTERMSIG(status));
}

static void orphans(void)
{
	int fds[2], status;
	pid_t grandchild, pid;

	SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	if (pipe(fds) < 0)
		die("pipe");
	pid = fork();
	if (pid == 0) {
		grandchild = fork();
		if (grandchild == 0) {
			setsid();
			while (getppid() == pid)
				usleep(1000);
			usleep(20000);
			_exit(9);
		}
		(void)!write(fds[1], &grandchild, sizeof(grandchild));
		_exit(0);
	}
	show_end(pid);
	if (read(fds[0], &grandchild, sizeof(grandchild)) != sizeof(grandchild))
		die("read");
	SAY("mine: %d", waitpid(-1, &status, 0) == grandchild);
	SAY("%d", WEXITSTATUS(status));
	SHOW(prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0));
}

static volatile sig_atomic_t got_sig, got_code, got_value;

static void on_signal(int sig, siginfo_t *si, void *ctx)
{
	(void)ctx;
	got_sig = sig;
	got_code = si->si_code;
	got_value = si->si_value.sival_int;
}

static void take(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigemptyset(&sa.sa_mask);
	if (sigaction(sig, &sa, NULL) < 0)
		die("sigaction");
}

static void *wait_here(void *arg)
{
	pthread_barrier_t *b = arg;

	pthread_barrier_wait(b);
	pthread_barrier_wait(b);
	return NULL;
}

static void signals_to_self(void)
{
	siginfo_t si = { .si_signo = SIGUSR1, .si_code = SI_QUEUE, .si_value.sival_int = 5 };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	struct timespec rest, sleep = { 1, 0 }, short_time = { 0, 30000000 };
	struct itimerval it = { .it_value = { 0, 20000 } };
	pthread_barrier_t b;
	pthread_t t;
	timer_t timer;
	sigset_t set;
	int r;

	take(SIGUSR1);
	take(SIGALRM);
	SHOW(kill(getpid(), SIGUSR1));
	SAY("%d code %d", got_sig == SIGUSR1, got_code);
	SHOW(raise(SIGUSR1));
	SAY("code %d", got_code);
	SHOW(SYS(tgkill, getpid(), gettid(), SIGUSR1));
	SHOW(SYS(tkill, gettid(), SIGUSR1));
	SHOW(SYS(rt_sigqueueinfo, getpid(), SIGUSR1, &si));
	SAY("code %d value %d", got_code, got_value);
	SHOW(SYS(rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &si));
	SHOW(kill(getpid(), 0));
	SHOW(kill(getpid(), 65));
	SHOW(kill(getpid(), -1));
	SHOW(kill(NOBODY, SIGTERM));
	SHOW(kill(-NOBODY, SIGTERM));
	SHOW(SYS(kill, 0x80000000L, SIGTERM));
	SHOW(SYS(tgkill, 0, 0, SIGTERM));
	SHOW(SYS(tgkill, getpid(), -1, SIGTERM));
	SHOW(SYS(tgkill, NOBODY, gettid(), SIGUSR1));
	SHOW(SYS(tkill, 0, SIGTERM));
	SHOW(SYS(rt_sigqueueinfo, getpid(), SIGUSR1, BAD));
	SHOW(SYS(rt_sigqueueinfo, NOBODY, SIGUSR1, &si));

	pthread_barrier_init(&b, NULL, 2);
	pthread_create(&t, NULL, wait_here, &b);
	pthread_barrier_wait(&b);
	got_sig = 0;
	SHOW(pthread_kill(t, SIGUSR1));
	pthread_barrier_wait(&b);
	pthread_join(t, NULL);
	SAY("%d", got_sig == SIGUSR1);

	/* A sleep that a signal ends tells what was left. */
	SHOW(setitimer(ITIMER_REAL, &it, NULL));
	rest = (struct timespec){ 0, 0 };
	SHOW(SYS(nanosleep, &sleep, &rest));
	SAY("%d", rest.tv_sec == 0 && rest.tv_nsec > 500000000);
	/* One that is stopped and continued goes on. */
	if (fork() == 0) {
		usleep(10000);
		kill(getppid(), SIGSTOP);
		_exit(0);
	}
	if (fork() == 0) {
		usleep(40000);
		kill(getppid(), SIGCONT);
		_exit(0);
	}
	r = (int)SYS(nanosleep, &short_time, &rest);
	SAY("%d", r == 0 || errno == EINTR);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	ev._sigev_un._tid = gettid();
	SHOW(timer_create(CLOCK_MONOTONIC, &ev, &timer));
	SHOW(timer_delete(timer));
	ev._sigev_un._tid = 1;
	SHOW(timer_create(CLOCK_MONOTONIC, &ev, &timer));
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	SHOW(sigprocmask(SIG_BLOCK, &set, NULL));
	SHOW(kill(getpid(), SIGUSR1));
	SAY("%d", sigwaitinfo(&set, &si) == SIGUSR1);
	SHOW(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

static void signals_to_others(void)
{
	siginfo_t si = { .si_signo = SIGTERM, .si_code = SI_QUEUE };
	struct pollfd p = { .events = POLLIN };
	pid_t pid, group;
	int fd;

	pid = sleeper();
	SHOW(kill(pid, 0));
	SHOW(SYS(rt_sigqueueinfo, pid, SIGTERM, &si));
	show_end(pid);
	/* Only to itself may a process pretend to be the kernel. */
	pid = sleeper();
	si.si_code = SI_USER;
	SHOW(SYS(rt_sigqueueinfo, pid, SIGTERM, &si));
	si.si_code = SI_TKILL;
	SHOW(SYS(rt_tgsigqueueinfo, pid, pid, SIGTERM, &si));
	SHOW(SYS(tgkill, pid, pid, SIGTERM));
	show_end(pid);

	group = sleeper();
	SHOW(setpgid(group, group));
	pid = sleeper();
	SHOW(setpgid(pid, group));
	SAY("%d", getpgid(pid) == group);
	SHOW(kill(-group, SIGUSR2));
	show_end(pid);
	show_end(group);
	SHOW(kill(-group, SIGUSR2));

	pid = sleeper();
	fd = (int)SYS(pidfd_open, pid, 0);
	p.fd = fd;
	SHOW(poll(&p, 1, 0));
	SHOW(SYS(pidfd_send_signal, fd, 0, NULL, 0));
	SHOW(SYS(pidfd_send_signal, fd, 99, NULL, 0));
	SHOW(SYS(pidfd_send_signal, fd, SIGTERM, NULL, 77777));
	SHOW(SYS(pidfd_send_signal, 0, SIGTERM, NULL, 0));
	SHOW(SYS(pidfd_send_signal, 999, SIGTERM, NULL, 0));
	SHOW(SYS(pidfd_send_signal, fd, SIGTERM, NULL, 0));
	SHOW(poll(&p, 1, 2000));
	SHOW(SYS(waitid, P_PIDFD_, fd, &si, WEXITED, NULL));
	SAY("%d", si.si_status);
	SHOW(SYS(pidfd_send_signal, fd, SIGTERM, NULL, 0));
	close(fd);
	SHOW(SYS(pidfd_open, 0, 0));
	SHOW(SYS(pidfd_open, -1, 0));
	SHOW(SYS(pidfd_open, NOBODY, 0));
	SHOW(SYS(pidfd_open, getpid(), 0x1000000));
}

static void limits(void)
{
	struct rlimit rl, old;
	struct sched_param sp = { 0 };
	uint32_t attr[16] = { 48, SCHED_BATCH };
	cpu_set_t set;
	pid_t pid = sleeper();

	rl = (struct rlimit){ 64, 64 };
	SHOW(prlimit(pid, RLIMIT_NOFILE, &rl, NULL));
	SHOW(prlimit(pid, RLIMIT_NOFILE, NULL, &old));
	SAY("%ld %ld", (long)old.rlim_cur, (long)old.rlim_max);
	rl.rlim_max = 65;
	SHOW(prlimit(pid, RLIMIT_NOFILE, &rl, NULL));
	rl.rlim_cur = 66;
	SHOW(prlimit(pid, RLIMIT_NOFILE, &rl, NULL));
	SHOW(prlimit(pid, 99, &rl, NULL));
	SHOW(SYS(prlimit64, pid, RLIMIT_NOFILE, BAD, NULL));
	SHOW(SYS(prlimit64, pid, RLIMIT_NOFILE, NULL, BAD));
	SHOW(SYS(prlimit64, NOBODY, RLIMIT_NOFILE, NULL, &old));
	SHOW(prlimit(0, RLIMIT_CORE, NULL, &old));
	rl = (struct rlimit){ 128, 256 };
	SHOW(setrlimit(RLIMIT_NOFILE, &rl));
	rl.rlim_max = 512;
	SHOW(setrlimit(RLIMIT_NOFILE, &rl));

	SHOW(setpriority(PRIO_PROCESS, (id_t)pid, 5));
	SHOW(getpriority(PRIO_PROCESS, (id_t)pid));
	SHOW(setpriority(PRIO_PROCESS, (id_t)pid, 1));
	SHOW(setpriority(PRIO_PROCESS, NOBODY, 5));
	SHOW(setpriority(99, 0, 5));
	SHOW(setpriority(PRIO_PROCESS, 0, 1));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(SYS(ioprio_set, 1, pid, (2 << 13) | 7));
	SHOW(SYS(ioprio_get, 1, pid));
	SHOW(SYS(ioprio_set, 1, NOBODY, (2 << 13) | 7));
	SHOW(SYS(ioprio_set, 1, pid, (1 << 13) | 1));

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	SHOW(sched_setaffinity(pid, sizeof(set), &set));
	SHOW_OK(sched_getaffinity(pid, sizeof(set), &set));
	SAY("%d", CPU_COUNT(&set));
	CPU_ZERO(&set);
	SHOW(sched_setaffinity(pid, sizeof(set), &set));
	SHOW(sched_setaffinity(NOBODY, sizeof(set), &set));
	SHOW(SYS(sched_setaffinity, pid, sizeof(set), BAD));
	SHOW(sched_setscheduler(pid, SCHED_BATCH, &sp));
	SHOW(sched_getscheduler(pid));
	SHOW(sched_setscheduler(pid, 99, &sp));
	sp.sched_priority = 5;
	SHOW(sched_setscheduler(pid, SCHED_FIFO, &sp));
	SHOW(sched_setparam(pid, &sp));
	SHOW(sched_setparam(NOBODY, &sp));
	SHOW(SYS(sched_setparam, pid, BAD));
	SHOW(SYS(sched_setattr, pid, attr, 0));
	SHOW(SYS(sched_setattr, pid, attr, 1));
	SHOW(SYS(sched_setattr, 0, attr, 0));
	attr[0] = 20;
	SHOW(SYS(sched_setattr, pid, attr, 0));
	attr[0] = 0x10000;
	SHOW(SYS(sched_setattr, pid, attr, 0));
	SHOW(SYS(sched_setattr, pid, BAD, 0));
	end(pid);
}

static void tracing(void)
{
	static char here[16] = "of the parent";
	char there[16] = "";
	struct iovec mine = { there, sizeof(there) }, its = { here, sizeof(here) };
	pid_t pid;
	int status, fds[2], pidfd, fd;
	long word;
	void *head;
	size_t len;
	char c = 0;

	memcpy(&word, "from out", sizeof(word));

	if (pipe(fds) < 0)
		die("pipe");
	pid = fork();
	if (pid == 0) {
		strcpy(here, "of the child");
		(void)!write(fds[1], "x", 1);
		for (;;)
			pause();
	}
	if (read(fds[0], &c, 1) != 1)
		die("read");
	SHOW(process_vm_readv(pid, &mine, 1, &its, 1, 0));
	SAY("%s", there);
	strcpy(there, "from outside");
	SHOW(process_vm_writev(pid, &mine, 1, &its, 1, 0));
	strcpy(there, "");
	SHOW(process_vm_readv(pid, &mine, 1, &its, 1, 0));
	SAY("%s", there);
	SHOW(process_vm_readv(NOBODY, &mine, 1, &its, 1, 0));
	pidfd = (int)SYS(pidfd_open, pid, 0);
	fd = (int)SYS(pidfd_getfd, pidfd, fds[1], 0);
	SAY("%d", fd >= 0 && write(fd, "y", 1) == 1 && read(fds[0], &c, 1) == 1 && c == 'y');
	SHOW(SYS(pidfd_getfd, pidfd, 999, 0));
	SHOW(SYS(kcmp, getpid(), pid, KCMP_VM, 0, 0) > 0);
	SHOW(SYS(get_robust_list, 0, &head, &len));
	SHOW(SYS(get_robust_list, pid, &head, &len));
	SHOW(SYS(get_robust_list, NOBODY, &head, &len));
	SHOW(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
	SHOW(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL));
	SAY("%d", waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	SHOW(ptrace(PTRACE_PEEKDATA, pid, here, NULL) == word);
	SHOW(ptrace(PTRACE_DETACH, pid, NULL, NULL));
	SHOW(ptrace(PTRACE_SEIZE, NOBODY, NULL, NULL));
	end(pid);

	pid = fork();
	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(getppid() > 0 ? 11 : 12);
	}
	SAY("%d", waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	SHOW(ptrace(PTRACE_CONT, pid, NULL, NULL));
	show_end(pid);
}

static void by_value(void)
{
	char name[16] = "";
	unsigned long base = 0;
	int n = 0, fds[2], master;
	struct termios tio;
	struct winsize ws = { 24, 80, 0, 0 };

	SHOW(prctl(PR_SET_NAME, "a name that is longer than fits"));
	SHOW(prctl(PR_GET_NAME, name));
	SAY("%s", name);
	SHOW(prctl(PR_SET_PDEATHSIG, SIGTERM));
	SHOW(prctl(PR_GET_PDEATHSIG, &n));
	SAY("%d", n);
	SHOW(prctl(PR_SET_PDEATHSIG, 99));
	SHOW(prctl(PR_SET_PDEATHSIG, 0));
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(prctl(PR_SET_DUMPABLE, 7));
	SHOW(prctl(PR_SET_KEEPCAPS, 1));
	SHOW(prctl(PR_GET_KEEPCAPS));
	SHOW(prctl(PR_SET_TIMERSLACK, 50001));
	SHOW(prctl(PR_GET_TIMERSLACK));
	SHOW(prctl(PR_CAPBSET_READ, 99));
	SHOW(prctl(PR_SET_SECUREBITS, 1));
	SHOW(prctl(PR_SET_MM, 8, 0, 0, 0));
	SHOW(SYS(prctl, 0x100000000UL | PR_SET_MM, 8, 0, 0, 0));
	SHOW(prctl(999));
	SHOW(SYS(arch_prctl, ARCH_GET_FS, &base));
	SAY("%d", base != 0);
	SHOW(SYS(arch_prctl, ARCH_SET_GS, 0));
	SHOW(SYS(arch_prctl, ARCH_GET_GS, &base));
	SHOW(SYS(arch_prctl, 0x7777, 0));
	SHOW(SYS(personality, 0xffffffff));
	SHOW(SYS(personality, ADDR_NO_RANDOMIZE));
	SHOW(SYS(personality, -1L));
	SHOW(SYS(personality, 0));
	SHOW(unshare(CLONE_FS));
	SHOW(unshare(CLONE_FILES | CLONE_SYSVSEM));
	SHOW(unshare(0));
	SHOW(unshare(CLONE_NEWNS));
	SHOW(unshare(CLONE_NEWNET));

	if (pipe(fds) < 0)
		die("pipe");
	SHOW(ioctl(fds[0], FIONREAD, &n));
	SHOW(ioctl(fds[0], TCGETS, &tio));
	SHOW(ioctl(999, TCGETS, &tio));
	master = posix_openpt(O_RDWR | O_NOCTTY);
	SAY("%d", master >= 0);
	SHOW(ioctl(master, TIOCSWINSZ, &ws));
	SHOW(ioctl(master, TIOCGWINSZ, &ws));
	SAY("%d %d", ws.ws_row, ws.ws_col);
	SHOW(ioctl(master, TCGETS, &tio));
	SHOW(ioctl(master, 0x7777, &tio));
}

static void ids(void)
{
	uid_t r, e, s;

	SHOW(getresuid(&r, &e, &s));
	SAY("%d", r == e && e == s && r == getuid());
	SHOW(setuid(getuid()));
	SHOW(setgid(getgid()));
	SHOW(setreuid(getuid(), getuid()));
	SHOW(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1));
	/* EINVAL in a namespace without such an id, EPERM else: docs/LIMITS.md. */
	SAY("%d", setuid(0) < 0);
	SAY("%d", setgid(0) < 0);
	SAY("%d", setresuid(0, 0, 0) < 0);
	SAY("%d", setresgid(0, 0, 0) < 0);
	SAY("%d", seteuid(12345) < 0);
	SHOW(setgroups(0, NULL));
	SAY("%d", SYS(setfsuid, 0) == SYS(setfsuid, -1));
	SAY("%d", getpgrp() == getpgid(0));
	SHOW(getpgid(NOBODY));
	SHOW(getsid(NOBODY));
	SHOW(setpgid(NOBODY, 0));
	SHOW(setpgid(0, -1));
	if (fork() == 0) {
		SAY("%d %d", setsid() == getpid(), getsid(0) == getpid());
		SHOW(setsid());
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

int main(int argc, char **argv)
{
	guest_begin(argc, argv);
	/* Natively the change of ids just made took it away. */
	prctl(PR_SET_DUMPABLE, 1);
	making();
	orphans();
	signals_to_self();
	signals_to_others();
	limits();
	tracing();
	by_value();
	ids();
	return 0;
}
