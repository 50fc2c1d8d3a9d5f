/*
 * What monitor, init, tracer and relay may still do once their start-up is over (invariant 13; the sentry confines
 * itself, sentry/confine.c). The lists follow from what the files named beside them call; a call outside its
 * list is the end of the process, and so of the run. Debugging a list: strace the process, or look for
 * "type=1326" in the kernel's log.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"
#include "monitor/isolate.h"
#include "nr.h"
#include "selffilter.h"
#include "util/err.h"

static int set_filter(const struct sock_fprog *prog)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, prog) < 0)
		return err_now();
	return 0;
}

static int install(struct sock_fprog *prog)
{
	int r = set_filter(prog);

	filter_free(prog);
	return r;
}

static int apply(const int *nrs, size_t n)
{
	struct sock_fprog prog = {.len = 0};
	int r = selffilter_build(nrs, n, SELFFILTER_KILL, &prog);

	return r < 0 ? r : install(&prog);
}

/*
 * init.c: waits, reaps, tells.
 * Should: signal the guest's processes. Mustn't: open a file, gain memory that executes, make a process but as a probe (the lists' last).
 */
int isolate_init(bool nested, bool probes)
{
	static const int in_namespace[] = {NR_read,	    NR_write,	       NR_poll,	      NR_wait4,
					   NR_kill,	    NR_close,	       NR_exit_group, NR_exit,
					   NR_rt_sigreturn, NR_restart_syscall, NR_clone};
	/* Without a pid namespace tree.c finds what is left through /proc. */
	static const int bare[] = {NR_read,
				   NR_write,
				   NR_poll,
				   NR_wait4,
				   NR_kill,
				   NR_close,
				   NR_exit_group,
				   NR_exit,
				   NR_rt_sigreturn,
				   NR_restart_syscall,
				   NR_openat,
				   NR_getdents64,
				   NR_newfstatat,
				   NR_fstat,
				   NR_lseek,
				   NR_pidfd_open,
				   NR_pidfd_send_signal,
				   NR_clock_nanosleep,
				   NR_nanosleep,
				   NR_mmap,
				   NR_munmap,
				   NR_brk,
				   NR_fcntl,
				   NR_getpid,
				   NR_futex,
				   NR_clone};
	const size_t less = probes ? 0 : 1;

	return nested ? apply(in_namespace, ARRAY_LEN(in_namespace) - less) : apply(bare, ARRAY_LEN(bare) - less);
}

/*
 * tracer.c and tracer_look.c.
 * Should: trace the guest's processes, look at what they loaded, kill one. Mustn't: write a file, make a process, gain memory
 * that executes.
 */
int isolate_tracer(void)
{
	static const int list[] = {
		NR_ppoll, NR_recvfrom, NR_sendto, NR_sendmsg, NR_ptrace, NR_wait4, NR_kill, NR_setitimer, NR_clock_gettime,
		NR_newfstatat, NR_openat, NR_read, NR_readlinkat, NR_close, NR_process_vm_readv, NR_memfd_create, NR_write, NR_fcntl,
		/* libc; dropping pages is the last of the start */
		NR_mmap, NR_munmap, NR_mremap, NR_brk, NR_madvise, NR_rt_sigreturn, NR_restart_syscall, NR_exit, NR_exit_group,
	};
	return apply(list, ARRAY_LEN(list));
}

/*
 * floor/edge.c: makes listeners when asked. Should: socket, bind, listen, pass on. Mustn't: connect, accept, open a file, make a
 * process, enter a namespace.
 */
int isolate_edge(void)
{
	static const int list[] = {NR_recvfrom, NR_sendto, NR_sendmsg, NR_socket, NR_setsockopt, NR_bind, NR_listen, NR_close,
				   NR_exit_group, NR_exit, NR_restart_syscall, NR_rt_sigreturn};
	return apply(list, ARRAY_LEN(list));
}

/* What unwind*.c does: reads files below a root, memory, one message. */
#define UNWINDING                                                                                            \
	NR_openat2, NR_pread64, NR_read, NR_fstat, NR_newfstatat, NR_close, NR_mmap, NR_munmap, NR_mremap, NR_mprotect, NR_madvise, \
		NR_brk, NR_futex, NR_rt_sigprocmask, NR_rt_sigreturn, NR_sendto, NR_exit, NR_exit_group, NR_restart_syscall

/*
 * unwinder.c: receives, forks, waits. Should: end a child. Mustn't: write a file, execute, trace, reach a network; its list is what its
 * child starts with, which needs more than it has use for itself.
 */
int isolate_unwinder(void)
{
	static const int list[] = {UNWINDING, NR_recvmsg, NR_fork, NR_clone, NR_set_robust_list, NR_rseq, NR_gettid, NR_getpid,
				   NR_pidfd_open, NR_poll, NR_ppoll, NR_kill, NR_wait4, NR_prlimit64, NR_setrlimit, NR_prctl,
				   NR_seccomp, NR_rt_sigaction, NR_getrandom};
	return apply(list, ARRAY_LEN(list));
}

/* Its child. Should: read what the guest may read. Mustn't: make a process, signal one, receive a descriptor. */
int isolate_unwinding(void)
{
	static const int list[] = {UNWINDING};
	return apply(list, ARRAY_LEN(list));
}

/* The relay while it has nothing to do. Should: end with the monitor. Mustn't: anything else. */
int isolate_idle(void (*last)(void))
{
	static const int list[] = {NR_read, NR_exit_group, NR_exit, NR_restart_syscall, NR_rt_sigreturn};
	struct sock_filter insns[32];
	struct sock_fprog prog = {.len = 0};
	int r = selffilter_build(list, ARRAY_LEN(list), SELFFILTER_KILL, &prog);

	if (r == 0 && prog.len > ARRAY_LEN(insns))
		r = -E2BIG;
	if (r == 0)
		memcpy(insns, prog.filter, prog.len * sizeof(*insns));
	filter_free(&(struct sock_fprog){.len = prog.len, .filter = prog.filter});
	if (r < 0)
		return r;
	prog.filter = insns; /* the heap may be gone after the next line */
	last();
	return set_filter(&prog);
}

/*
 * supervise.c and what its loop calls: terminal, record, control socket, the end of the run; widen.c, whose child enters the
 * guest's namespaces and mounts. Refusals are EPERM here, not the end: the monitor's end would be the run's, and
 * it reads nothing a guest wrote but terminal bytes and the checked record.
 * Should: relay, write the record, kill, open ports of the host when asked. Mustn't: execute a program,
 * trace, connect, load code into the kernel.
 */
int isolate_monitor_build(struct sock_fprog *ret_prog)
{
	static const int list[] = {
		/* loop, terminal, pipes */
		NR_read, NR_write, NR_readv, NR_writev, NR_pread64, NR_pwrite64, NR_poll, NR_ppoll, NR_ioctl, NR_fcntl, NR_lseek,
		NR_close, NR_close_range, NR_dup, NR_dup2, NR_dup3, NR_pipe2, NR_timerfd_settime, NR_timerfd_create,
		NR_signalfd4, NR_eventfd2, NR_epoll_create1, NR_epoll_ctl, NR_epoll_wait, NR_epoll_pwait,
		/* control socket and the other processes' sockets */
		NR_accept4, NR_recvfrom, NR_sendto, NR_recvmsg, NR_sendmsg, NR_getsockopt, NR_setsockopt, NR_getsockname,
		NR_shutdown, NR_socketpair,
		/* ports published while the run goes on: listeners, never a connect */
		NR_socket, NR_bind, NR_listen,
		/* record, state directory, cgroups, scratch */
		NR_open, NR_openat, NR_openat2, NR_stat, NR_lstat, NR_fstat, NR_newfstatat, NR_statx, NR_statfs, NR_fstatfs, NR_access,
		NR_faccessat, NR_faccessat2, NR_readlink, NR_readlinkat, NR_getdents64, NR_getcwd, NR_chdir, NR_fchdir, NR_rename,
		NR_renameat, NR_renameat2, NR_unlink, NR_unlinkat, NR_rmdir, NR_mkdir, NR_mkdirat, NR_ftruncate, NR_fsync,
		NR_fdatasync, NR_fchmod, NR_fchmodat, NR_umask, NR_flock,
		/* ending processes */
		NR_kill, NR_tgkill, NR_wait4, NR_waitid, NR_pidfd_open, NR_pidfd_send_signal,
		/* widening: a child enters the guest's user and mount namespace and puts one mount there */
		NR_clone, NR_clone3, NR_fork, NR_vfork, NR_setns, NR_unshare, NR_open_tree, NR_move_mount, NR_mount_setattr,
		NR_setfsuid, NR_setfsgid, NR_symlinkat,
		/* libc */
		NR_mmap, NR_munmap, NR_mremap, NR_mprotect, NR_madvise, NR_brk, NR_futex, NR_rseq, NR_set_robust_list,
		NR_set_tid_address, NR_rt_sigaction, NR_rt_sigprocmask, NR_rt_sigreturn, NR_rt_sigpending, NR_rt_sigtimedwait,
		NR_sigaltstack, NR_clock_gettime, NR_clock_nanosleep, NR_nanosleep, NR_gettimeofday, NR_time, NR_getrandom,
		NR_getpid, NR_getppid, NR_gettid, NR_getuid, NR_geteuid, NR_getgid, NR_getegid, NR_getpgrp, NR_getpgid, NR_getsid,
		NR_sched_yield, NR_sched_getaffinity, NR_prctl, NR_prlimit64, NR_getrlimit, NR_uname, NR_sysinfo,
		NR_restart_syscall, NR_exit, NR_exit_group,
	};
	return selffilter_build(list, ARRAY_LEN(list), SELFFILTER_EPERM, ret_prog);
}

int isolate_monitor(struct sock_fprog *prog)
{
	return install(prog);
}
