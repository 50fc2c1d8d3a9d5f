/*
 * untraced read|exec BAD: tasks made in every way that could lose a supervisor (ATTACKS D10) try to read BAD, which begins with
 * "SECRET", or to execute it, which then ends with 42. Got: one did.
 *
 * CLONE_UNTRACED and CLONE_PTRACE, children that become the grandparent's (CLONE_PARENT), children of a vfork whose parent was killed,
 * orphans of orphans, threads that outlive the first one, and many at once while the parents end.
 */
#include <sched.h>
#include <sys/prctl.h>

#include "attack.h"

static const char *bad;
static bool by_exec;
static _Atomic int *got; /* shared */

static void try_it(void)
{
	char name[] = "x";
	char *const argv[] = {name, NULL};

	if (!by_exec) {
		if (attack_is_secret((int)SYS(openat, AT_FDCWD, bad, O_RDONLY)))
			atomic_fetch_add(got, 1);
		return;
	}
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		SYS(execve, bad, argv, argv + 1);
		_exit(3);
	}
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42)
		atomic_fetch_add(got, 1);
}

static int task(void *unused)
{
	(void)unused;
	try_it();
	_exit(0);
}

static void with_flags(unsigned long flags)
{
	pid_t pid = (pid_t)SYS(clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		task(NULL);
	/* A sibling's, not ours: our parent's to reap. */
	if (pid > 0 && (flags & CLONE_PARENT) == 0)
		waitpid(pid, NULL, 0);
}

/* Its parent is dead when it tries. */
static void orphan(int depth)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (depth > 0) {
			orphan(depth - 1);
			_exit(0);
		}
		usleep(20000);
		task(NULL);
	}
	usleep(1000);
}

static void *after_the_first(void *unused)
{
	usleep(20000);
	try_it();
	_exit(0);
	return unused;
}

static void first_thread_ends(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		attack_thread(after_the_first, NULL);
		syscall(SYS_exit, 0);
	}
	waitpid(pid, NULL, 0);
}

/* The parent sleeps in vfork and is killed there. */
static void killed_in_vfork(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (vfork() == 0) {
			usleep(20000);
			task(NULL);
		}
		_exit(0);
	}
	usleep(5000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	double end = attack_end();

	if (argc != 3)
		die("untraced read|exec BAD");
	by_exec = strcmp(argv[1], "exec") == 0;
	bad = argv[2];
	got = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (got == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		die("start");
	do {
		with_flags(CLONE_UNTRACED);
		with_flags(CLONE_PTRACE);
		with_flags(CLONE_UNTRACED | CLONE_PTRACE | CLONE_FS | CLONE_FILES);
		pid_t pid = fork();

		if (pid == 0) {
			with_flags(CLONE_PARENT | CLONE_UNTRACED);
			_exit(0);
		}
		orphan(0);
		orphan(2);
		first_thread_ends();
		killed_in_vfork();
		while (waitpid(-1, NULL, 0) > 0)
			;
	} while (attack_clock() < end && atomic_load(got) == 0);
	SAY("%s", "all kinds of tasks tried");
	attack_exit(atomic_load(got) > 0);
}
