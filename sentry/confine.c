/*
 * The sentry's own list of syscalls (invariant 13). It parses what a guest wrote, so it gives up what it
 *never needs.
 *
 * Should: everything that acts on files by held descriptors, the guest's memory, threads of its own,
 *notifications, the monitor's socket, and the calls it performs for guests. Mustn't: execute anything, change
 *its ids, mount, trace, load kernel code, open sockets to the world other than for a guest, keyrings, rings,
 *namespaces (unshare stays for CLONE_FS, which each thread needs).
 *
 * Files say in their opening comment which syscalls they need; the list here is the union, by subject.
 */
#include "sentry/confine.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"
#include "nr.h"
#include "selffilter.h"
#include "util/err.h"

static const int allowed[] = {
	/* C library, threads, memory */
	NR_mmap,
	NR_mprotect,
	NR_munmap,
	NR_mremap,
	NR_madvise,
	NR_brk,
	NR_futex,
	NR_clone,
	NR_clone3,
	NR_set_robust_list,
	NR_rseq,
	NR_exit,
	NR_exit_group,
	NR_rt_sigaction,
	NR_rt_sigprocmask,
	NR_rt_sigreturn,
	NR_tgkill,
	NR_sched_yield,
	NR_sched_getaffinity,
	NR_sched_getscheduler,
	NR_gettid,
	NR_getpid,
	NR_getppid,
	NR_getuid,
	NR_geteuid,
	NR_getgid,
	NR_getegid,
	NR_clock_gettime,
	NR_clock_nanosleep,
	NR_nanosleep,
	NR_restart_syscall,
	NR_getrandom,
	NR_unshare,
	NR_sysinfo,
	NR_membarrier,
	NR_prctl,
	NR_sigaltstack,
	/* notifications, the guest's memory, the monitor, the record */
	NR_ioctl,
	NR_poll,
	NR_getcpu,
	NR_ppoll,
	NR_process_vm_readv,
	NR_process_vm_writev,
	NR_recvfrom,
	NR_sendto,
	NR_recvmsg,
	NR_sendmsg,
	NR_write,
	NR_read,
	NR_pread64,
	NR_writev,
	NR_wait4,
	NR_waitid,
	NR_eventfd2,
	/* the caller: its descriptors, ids, processes */
	NR_pidfd_open,
	NR_pidfd_getfd,
	NR_pidfd_send_signal,
	NR_rt_tgsigqueueinfo,
	NR_getpgid,
	NR_kill,
	/* held objects */
	NR_openat,
	NR_openat2,
	NR_close,
	NR_close_range,
	NR_fcntl,
	NR_dup,
	NR_dup3,
	NR_fstat,
	NR_newfstatat,
	NR_statx,
	NR_fstatfs,
	NR_statfs,
	NR_readlink,
	NR_readlinkat,
	NR_getdents,
	NR_getdents64,
	NR_faccessat,
	NR_faccessat2,
	NR_access,
	NR_lseek,
	NR_fchdir,
	NR_umask,
	NR_name_to_handle_at,
	/* changes for a guest */
	NR_mkdirat,
	NR_mknodat,
	NR_symlinkat,
	NR_linkat,
	NR_unlinkat,
	NR_renameat,
	NR_renameat2,
	NR_truncate,
	NR_ftruncate,
	NR_fchmod,
	NR_chmod,
	NR_fchmodat,
	NR_fchmodat2,
	NR_fchown,
	NR_chown,
	NR_lchown,
	NR_fchownat,
	NR_utimensat,
	NR_setxattr,
	NR_lsetxattr,
	NR_fsetxattr,
	NR_memfd_create,
	NR_setxattrat,
	NR_getxattr,
	NR_lgetxattr,
	NR_fgetxattr,
	NR_getxattrat,
	NR_listxattr,
	NR_llistxattr,
	NR_flistxattr,
	NR_listxattrat,
	NR_removexattr,
	NR_lremovexattr,
	NR_fremovexattr,
	NR_removexattrat,
	NR_file_getattr,
	NR_file_setattr,
	NR_inotify_add_watch,
	/* limits and scheduling for a guest */
	NR_prlimit64,
	NR_setpriority,
	NR_ioprio_set,
	NR_sched_setparam,
	NR_sched_setscheduler,
	NR_sched_setaffinity,
	NR_sched_setattr,
	/* sockets for a guest */
	NR_socket,
	NR_connect,
	NR_bind,
	NR_listen,
	NR_sendmmsg,
	NR_getsockname,
	NR_getpeername,
	NR_getsockopt,
	NR_setsockopt,
};

int confine(bool rings)
{
	int list[ARRAY_LEN(allowed) + 2];
	size_t n = ARRAY_LEN(allowed);
	struct sock_fprog prog;
	long set;
	int r;

	/* Our memory and descriptors are nobody else's of the same user. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_now();
	memcpy(list, allowed, sizeof(allowed));
	if (rings) {
		list[n++] = NR_io_uring_setup;
		list[n++] = NR_io_uring_register;
	}
	r = selffilter_build(list, n, SELFFILTER_KILL, &prog);
	if (r < 0)
		return r;
	/* Set already where the floor could; a filter needs it or a capability. */
	set = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (set == 0)
		set = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			      SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog);
	/* Positive: a thread that could not be brought along. */
	if (set != 0)
		r = set < 0 ? err_now() : -EBUSY;
	filter_free(&prog);
	return r;
}
