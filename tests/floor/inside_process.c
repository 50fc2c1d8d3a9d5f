/*
 * Signals, priorities and limits, tracing: every call of the families against processes outside of the tree, named by their
 * numbers on the host, by every number there is, and by broadcast; gabion's own among them. And against a child, where it
 * must work, or the refusal would prove nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inside.h"
#include "nr.h"
#include "util/err.h"

typedef int call_fn(pid_t pid);

static int result(long r)
{
	return r < 0 ? errno : 0;
}

static int pidfd_of(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* On a pidfd of PID's; the errno of pidfd_open where that fails. */
#define ON_PIDFD(fn_name, expr)                                                                              \
	static int fn_name(pid_t pid)                                                                        \
	{                                                                                                    \
		int fd = pidfd_of(pid), err;                                                                 \
		if (fd < 0)                                                                                  \
			return errno;                                                                        \
		err = result(expr);                                                                          \
		close(fd);                                                                                   \
		return err;                                                                                  \
	}
#define ON_PID(fn_name, expr)                                                                                \
	static int fn_name(pid_t pid)                                                                        \
	{                                                                                                    \
		return result(expr);                                                                         \
	}

static siginfo_t queued = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };
static char word[64];

ON_PID(s_kill, syscall(SYS_kill, pid, SIGUSR1))
ON_PID(s_group, pid <= 1 ? (errno = ESRCH, -1L) : syscall(SYS_kill, -pid, SIGUSR1))
ON_PID(s_tkill, syscall(SYS_tkill, pid, SIGUSR1))
ON_PID(s_tgkill, syscall(SYS_tgkill, pid, pid, SIGUSR1))
ON_PID(s_queue, syscall(SYS_rt_sigqueueinfo, pid, SIGUSR1, &queued))
ON_PID(s_tgqueue, syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGUSR1, &queued))
ON_PID(s_pidfd_open, pidfd_of(pid))
ON_PIDFD(s_pidfd_send, syscall(SYS_pidfd_send_signal, fd, SIGUSR1, NULL, 0))

static struct sched_param other = { .sched_priority = 0 };
static struct {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
} attr = { .size = 48, .policy = SCHED_BATCH, .nice = 9 };
static struct rlimit core = { 0, 0 };
static cpu_set_t cpus;

ON_PID(p_setpriority, syscall(SYS_setpriority, PRIO_PROCESS, pid, 7))
ON_PID(p_group, pid <= 1 ? (errno = ESRCH, -1L) : syscall(SYS_setpriority, PRIO_PGRP, pid, 7))
ON_PID(p_setparam, syscall(SYS_sched_setparam, pid, &other))
ON_PID(p_setscheduler, syscall(SYS_sched_setscheduler, pid, SCHED_BATCH, &other))
ON_PID(p_setaffinity, syscall(SYS_sched_setaffinity, pid, sizeof(cpus), &cpus))
ON_PID(p_setattr, syscall(SYS_sched_setattr, pid, &attr, 0))
ON_PID(p_ioprio, syscall(SYS_ioprio_set, 1, pid, 3 << 13))
ON_PID(p_prlimit, syscall(SYS_prlimit64, pid, RLIMIT_CORE, &core, NULL))
ON_PIDFD(p_mrelease, syscall(NR_process_mrelease, fd, 0))

static long attach(pid_t pid)
{
	long r = syscall(SYS_ptrace, PTRACE_ATTACH, pid, 0, 0);

	if (r == 0) {
		(void)waitpid(pid, NULL, __WALL);
		(void)syscall(SYS_ptrace, PTRACE_DETACH, pid, 0, 0);
	}
	return r;
}

static long seize(pid_t pid)
{
	long r = syscall(SYS_ptrace, PTRACE_SEIZE, pid, 0, 0);

	if (r == 0) {
		(void)syscall(SYS_ptrace, PTRACE_INTERRUPT, pid, 0, 0);
		(void)waitpid(pid, NULL, __WALL);
		(void)syscall(SYS_ptrace, PTRACE_DETACH, pid, 0, 0);
	}
	return r;
}

static long memory(pid_t pid, bool write)
{
	struct iovec mine = { .iov_base = (char[8]){ 0 }, .iov_len = 8 }, its = { .iov_base = word, .iov_len = 8 };

	return syscall(write ? SYS_process_vm_writev : SYS_process_vm_readv, pid, &mine, 1, &its, 1, 0);
}

static long proc_memory(pid_t pid)
{
	char path[32];
	int fd, e;
	char c;

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	long r = pread(fd, &c, 1, (off_t)(uintptr_t)word);
	e = errno;
	close(fd);
	errno = e;
	return r;
}

static long robust(pid_t pid)
{
	void *head;
	size_t len;
	return syscall(SYS_get_robust_list, pid, &head, &len);
}

static long move(pid_t pid)
{
	void *page = word;
	int status;
	return syscall(SYS_move_pages, pid, 1UL, &page, NULL, &status, 0);
}

static long migrate(pid_t pid)
{
	unsigned long node = 1;
	return syscall(SYS_migrate_pages, pid, sizeof(node) * 8 + 1, &node, &node);
}

static long advise(int fd)
{
	struct iovec v = { .iov_base = (void *)((uintptr_t)word & ~4095UL), .iov_len = 4096 };
	return syscall(SYS_process_madvise, fd, &v, 1UL, MADV_COLD, 0);
}

ON_PID(t_attach, attach(pid))
ON_PID(t_seize, seize(pid))
ON_PID(t_readv, memory(pid, false))
ON_PID(t_writev, memory(pid, true))
ON_PID(t_mem, proc_memory(pid))
ON_PID(t_kcmp, syscall(SYS_kcmp, pid, getpid(), KCMP_FILES, 0, 0))
ON_PID(t_robust, robust(pid))
ON_PID(t_move, move(pid))
ON_PID(t_migrate, migrate(pid))
ON_PIDFD(t_getfd, syscall(SYS_pidfd_getfd, fd, 0, 0))
ON_PIDFD(t_madvise, advise(fd))

struct named {
	const char *name;
	call_fn *fn;
};

static const struct named signals[] = {
	{ "kill", s_kill },	       { "kill", s_group },	  { "tkill", s_tkill },
	{ "tgkill", s_tgkill },	       { "rt_sigqueueinfo", s_queue }, { "rt_tgsigqueueinfo", s_tgqueue },
	{ "pidfd_open", s_pidfd_open }, { "pidfd_send_signal", s_pidfd_send },
};
static const struct named processes[] = {
	{ "setpriority", p_setpriority }, { "setpriority", p_group },	     { "sched_setparam", p_setparam },
	{ "sched_setscheduler", p_setscheduler }, { "sched_setaffinity", p_setaffinity }, { "sched_setattr", p_setattr },
	{ "ioprio_set", p_ioprio },	  { "prlimit64", p_prlimit },	     { "process_mrelease", p_mrelease },
};
static const struct named traces[] = {
	{ "ptrace", t_attach },	     { "ptrace", t_seize },	   { "process_vm_readv", t_readv },
	{ "process_vm_writev", t_writev }, { "process_vm_readv", t_mem }, { "kcmp", t_kcmp },
	{ "get_robust_list", t_robust }, { "move_pages", t_move },  { "migrate_pages", t_migrate },
	{ "pidfd_getfd", t_getfd },  { "process_madvise", t_madvise },
};

static pid_t child(void)
{
	int ready[2];
	char c;
	pid_t pid;

	if (pipe(ready) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)signal(SIGUSR1, SIG_IGN);
		(void)setpgid(0, 0);
		(void)!write(ready[1], "r", 1);
		while (true)
			pause();
	}
	(void)!read(ready[0], &c, 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void out(const char *prover, const char *name, const char *target, int err)
{
	(void)printf("out\t%s\t%s\t%s\t%d\n", prover, name, target, err);
}

static pid_t parent_of(pid_t pid)
{
	char path[32];
	int parent = -1;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	if (fscanf(f, "%*d %*s %*c %d", &parent) != 1)
		parent = -1;
	(void)fclose(f);
	return parent;
}

/* INIT: init is of the tree; it may be signalled, not traced. */
static void all(const struct inside *in, const char *prover, const struct named *v, size_t n, bool init_too)
{
	pid_t own = child(), init = getppid(), sentry = parent_of(init);

	(void)sched_getaffinity(0, sizeof(cpus), &cpus);
	for (size_t i = 0; i < n; i++) {
		out(prover, v[i].name, "victim", v[i].fn(in->t.victim));
		if (init_too)
			out(prover, v[i].name, "init", v[i].fn(init));
		if (sentry > 1)
			out(prover, v[i].name, "sentry", v[i].fn(sentry));
		(void)printf("own\t%s\t%s\t%d\n", prover, v[i].name, v[i].fn(own));
	}
	(void)kill(own, SIGKILL);
	(void)waitpid(own, NULL, 0);
}

void inside_signal(const struct inside *in)
{
	all(in, "inside_signal", signals, ARRAY_LEN(signals), false);
	/* By every number: whoever answers must be of this namespace, which has init, us and a child. */
	(void)signal(SIGUSR1, SIG_IGN);
	int seen = 0;
	for (pid_t pid = 1; pid < 70000; pid++)
		seen += kill(pid, 0) == 0;
	out("inside_signal", "kill", "numbers", seen <= 3 ? ESRCH : 0);
	(void)kill(-1, SIGUSR1);
	(void)kill(-1, SIGCONT);
}

void inside_process(const struct inside *in)
{
	all(in, "inside_process", processes, ARRAY_LEN(processes), false);
	/* By user: the kernel must keep to the namespace. The victim's values are compared afterwards. */
	(void)syscall(SYS_setpriority, PRIO_USER, getuid(), 9);
	(void)syscall(SYS_ioprio_set, 3, getuid(), 3 << 13);
}

void inside_trace(const struct inside *in)
{
	all(in, "inside_trace", traces, ARRAY_LEN(traces), true);
}
