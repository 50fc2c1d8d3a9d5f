/*
 * What init, tracer and relay may still do once their start-up is over (invariant 13; the sentry confines
 * itself, sentry/confine.c). The lists follow from what the files named beside them call; a call outside its
 * list is the end of the process, and so of the run. Debugging a list: strace the process, or look for
 * "type=1326" in the kernel's log.
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
	struct sock_fprog prog = {.len = 0};
	int r = selffilter_build(nrs, n, SELFFILTER_KILL, &prog);

	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = err_now();
	if (r == 0 &&
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) < 0)
		r = err_now();
	return r;
}

/*
 * init.c: waits, reaps, tells.
 * Should: signal the guest's processes. Mustn't: open a file, make a process, gain memory that executes.
 */
int isolate_init(bool nested)
{
	static const int in_namespace[] = {NR_read,	    NR_write,	       NR_poll,	      NR_wait4,
					   NR_kill,	    NR_close,	       NR_exit_group, NR_exit,
					   NR_rt_sigreturn, NR_restart_syscall};
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
				   NR_futex};
	return nested ? apply(in_namespace, ARRAY_LEN(in_namespace)) : apply(bare, ARRAY_LEN(bare));
}

/* Tracer and relay while they have nothing to do. Should: end with the monitor. Mustn't: anything else. */
int isolate_idle(void)
{
	static const int list[] = {NR_read, NR_exit_group, NR_exit, NR_restart_syscall, NR_rt_sigreturn};
	return apply(list, ARRAY_LEN(list));
}
