/*
 * What the relay may still do once it has begun (invariant 13; the pattern of monitor/isolate.c).
 *
 * Should: make and use sockets, pipes and memory, wait. Mustn't: open a file, make a process, listen, map code, make another ring
 * (ring operations pass this list by: its one ring is made before, and restricted to what it uses, loop_ring.c).
 */
#include <linux/seccomp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"
#include "monitor/relay/relay_in.h"
#include "nr.h"
#include "selffilter.h"
#include "util/err.h"

static int drop_capabilities(void)
{
	cap_t none = cap_init();
	int r = none == NULL || cap_set_proc(none) < 0 ? err_now() : 0;

	if (none != NULL)
		(void)cap_free(none);
	return r;
}

int relay_confine(void)
{
	static const int list[] = {
		/* the loop: ring, or epoll */
		NR_io_uring_enter, NR_epoll_ctl, NR_epoll_wait, NR_epoll_pwait, NR_poll, NR_ppoll,
		/* sockets: dial.c, conn.c, dgram.c, unix.c, c-ares */
		NR_socket, NR_connect, NR_accept4, NR_getsockname, NR_getpeername, NR_getsockopt, NR_setsockopt, NR_shutdown,
		NR_recvfrom, NR_sendto, NR_recvmsg, NR_sendmsg, NR_read, NR_write, NR_readv, NR_writev, NR_fcntl, NR_close,
		/* conn.c: bulk */
		NR_pipe2, NR_splice,
		/* libc */
		NR_mmap, NR_munmap, NR_mremap, NR_madvise, NR_brk, NR_futex, NR_clock_gettime, NR_gettimeofday, NR_time,
		NR_getrandom, NR_getpid, NR_rt_sigreturn, NR_restart_syscall, NR_exit, NR_exit_group,
	};
	struct sock_fprog prog = {.len = 0};
	int r = drop_capabilities();

	if (r == 0)
		r = selffilter_build(list, ARRAY_LEN(list), SELFFILTER_KILL, &prog);
	if (r < 0)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) < 0)
		r = err_now();
	filter_free(&prog);
	return r;
}
