/*
 * What each of our processes may still do once its start-up is over (invariant 13). The lists follow from what the files named beside
 * them call; a call outside its list is the end of the process, and so of the run. Debugging a list: strace the process, or look
 * for "type=1326" in the kernel's log.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/isolate.h"
#include "nr.h"
#include "selffilter.h"
#include "util/err.h"

static int apply(const int *nrs, size_t n)
{
	struct sock_fprog prog = { .len = 0 };
	int r = selffilter_build(nrs, n, SELFFILTER_KILL, &prog);

	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = err_now();
	if (r == 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) < 0)
		r = err_now();
	return r;
}

/*
 * init.c: waits, reaps, tells.
 * Should: signal the guest's processes. Mustn't: open a file, make a process, gain memory that executes.
 */
int isolate_init(bool nested)
{
	static const int in_namespace[] = { NR_read, NR_write, NR_poll, NR_wait4, NR_kill, NR_close, NR_exit_group, NR_exit,
					    NR_rt_sigreturn, NR_restart_syscall };
	/* Without a pid namespace tree.c finds what is left through /proc. */
	static const int bare[] = { NR_read,	  NR_write,	   NR_poll,	 NR_wait4,     NR_kill,
				    NR_close,	  NR_exit_group,   NR_exit,	 NR_rt_sigreturn, NR_restart_syscall,
				    NR_openat,	  NR_getdents64,   NR_newfstatat, NR_fstat,	 NR_lseek,
				    NR_pidfd_open, NR_pidfd_send_signal, NR_clock_nanosleep, NR_nanosleep, NR_mmap,
				    NR_munmap,	  NR_brk,	   NR_fcntl,	 NR_getpid,	NR_futex };
	return nested ? apply(in_namespace, ARRAY_LEN(in_namespace)) : apply(bare, ARRAY_LEN(bare));
}

/* Tracer and relay while they have nothing to do. Should: end with the monitor. Mustn't: anything else. */
int isolate_idle(void)
{
	static const int list[] = { NR_read, NR_exit_group, NR_exit, NR_restart_syscall, NR_rt_sigreturn };
	return apply(list, ARRAY_LEN(list));
}

/*
 * sentry/: answers notifications with the guest's rights.
 * Should: open, change and connect what the guest asked for. Mustn't: execute a program, trace, mount, load code, change ids beyond
 * the guest's, create namespaces, make memory executable (mprotect and mmap are needed by malloc and threads; the policy of W^X is the
 * kernel's MDWE, set here where the kernel has it).
 */
int isolate_sentry(void)
{
	static const int list[] = {
		/* seccomp notification, memory and descriptors of the guest */
		NR_ioctl, NR_process_vm_readv, NR_process_vm_writev, NR_pidfd_open, NR_pidfd_getfd, NR_pidfd_send_signal, NR_fcntl,
		NR_sched_setaffinity, NR_sched_getaffinity,
		/* files */
		NR_openat, NR_openat2, NR_open, NR_close, NR_close_range, NR_read, NR_pread64, NR_readv, NR_write, NR_writev, NR_lseek, NR_newfstatat, NR_fstat,
		NR_stat, NR_lstat, NR_statx, NR_fstatfs, NR_statfs, NR_readlinkat, NR_readlink, NR_faccessat, NR_faccessat2, NR_access,
		NR_getdents64, NR_getcwd, NR_fchdir, NR_chdir, NR_umask, NR_dup, NR_dup3, NR_pipe2,
		NR_mkdirat, NR_mknodat, NR_unlinkat, NR_renameat, NR_renameat2, NR_linkat, NR_symlinkat, NR_ftruncate, NR_truncate, NR_fchmod,
		NR_fchmodat, NR_fchmodat2, NR_chmod, NR_fchown, NR_fchownat, NR_chown, NR_lchown, NR_utimensat,
		NR_getxattr, NR_lgetxattr, NR_fgetxattr, NR_listxattr, NR_llistxattr, NR_flistxattr, NR_setxattr, NR_lsetxattr,
		NR_fsetxattr, NR_removexattr, NR_lremovexattr, NR_fremovexattr, NR_setxattrat, NR_getxattrat, NR_listxattrat,
		NR_removexattrat, NR_file_getattr, NR_file_setattr, NR_inotify_add_watch, NR_name_to_handle_at,
		/* sockets of the guest, the control socket */
		NR_connect, NR_bind, NR_sendto, NR_sendmsg, NR_sendmmsg, NR_recvmsg, NR_recvfrom, NR_getsockopt, NR_setsockopt,
		NR_getsockname, NR_getpeername, NR_poll, NR_ppoll,
		/* ids of the caller */
		NR_setfsuid, NR_setfsgid, NR_setresuid, NR_setresgid, NR_setgroups, NR_geteuid, NR_getuid, NR_getegid, NR_getgid,
		/* threads, memory, time, end */
		NR_mmap, NR_munmap, NR_mremap, NR_mprotect, NR_madvise, NR_brk, NR_futex, NR_clone, NR_clone3, NR_rseq, NR_set_robust_list,
		NR_unshare, NR_rt_sigaction, NR_rt_sigprocmask, NR_rt_sigreturn, NR_rt_sigpending, NR_rt_sigtimedwait, NR_sigaltstack, NR_tgkill, NR_kill, NR_gettid, NR_getpid,
		NR_clock_nanosleep, NR_nanosleep, NR_clock_gettime, NR_sched_yield, NR_prctl, NR_prlimit64, NR_getrandom,
		NR_restart_syscall, NR_exit, NR_exit_group, NR_timerfd_create, NR_timerfd_settime, NR_eventfd2, NR_epoll_create1, NR_epoll_ctl, NR_epoll_wait, NR_epoll_pwait,
		NR_getpriority, NR_setpriority, NR_prlimit64, NR_sched_getscheduler,
	};
	return apply(list, ARRAY_LEN(list));
}
