/*
 * The list of calls a run may make at all, and under the narrow one (syscalls: narrow, as the profile strict has it) the values they may be
 * made with.
 *
 * Which list a call is in stands in the table. What is in none of the chosen list is answered as by a kernel that was built without
 * it, ENOSYS, so that programs fall back; EPERM where they know that answer better and give in quietly.
 *
 * Under the narrow list a call that takes a plain number which chooses between parts of the kernel (flags, commands, options, clocks)
 * is allowed with the values that ordinary programs use, and answered as by a kernel that does not know the others. Calls on the
 * hottest paths (read, write, close, poll without a time, ...) take no such number: the kernel's bitmap goes on answering them.
 *
 * Width: see policy/narrow.c. Flags are compared under the mask of what is not permitted, so that every combination of those that
 * are passes with one rule.
 */
#include <asm/ioctls.h>
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "nr.h"
#include "policy/narrow.h"
#include "util/err.h"

#define U32 UINT64_C(0xffffffff)
#define U64 UINT64_C(0xffffffffffffffff)

/* Newer than the headers of Linux 6.1, or in headers that do not go together with these. */
#define ADVICE_COLLAPSE 25
#define FUTEX_MODIFIERS UINT64_C(0x180) /* FUTEX_PRIVATE_FLAG, FUTEX_CLOCK_REALTIME */
#define PTRACER		0x59616d61	 /* PR_SET_PTRACER */
#define VMA_NAME	0x53564d41	 /* PR_SET_VMA */
#define FALLOC_KEEP_SIZE  1
#define FALLOC_PUNCH_HOLE 2
#define FALLOC_ZERO_RANGE 16
#define CLOCKS		16		  /* numbers of clocks of the kernel's own are below */
#define CPU_CLOCK	UINT64_C(0x80000000) /* a negative number: the low bits say of what */

/* What values outside of `forms` are answered, per call. */
static const struct {
	enum sys_nr nr;
	int err;
} bases[] = {
	{ NR_mmap, EINVAL },	   { NR_mprotect, EINVAL },	 { NR_mremap, EINVAL },	      { NR_madvise, EINVAL },
	{ NR_rt_sigaction, EINVAL }, { NR_rt_sigprocmask, EINVAL }, { NR_rt_sigsuspend, EINVAL }, { NR_lseek, EINVAL },
	{ NR_wait4, EINVAL },	   { NR_flock, EINVAL },	      { NR_fcntl, EINVAL },
	{ NR_getrusage, EINVAL },  { NR_prctl, EINVAL },	 { NR_arch_prctl, EINVAL },   { NR_futex, ENOSYS },
	{ NR_epoll_ctl, EINVAL },  { NR_epoll_create1, EINVAL }, { NR_eventfd2, EINVAL },     { NR_pipe2, EINVAL },
	{ NR_dup3, EINVAL },	   { NR_accept4, EINVAL },	 { NR_getrandom, EINVAL },    { NR_clock_gettime, EINVAL },
	{ NR_clock_nanosleep, EINVAL }, { NR_rseq, EINVAL },	 { NR_set_robust_list, EINVAL }, { NR_setsockopt, ENOPROTOOPT },
	{ NR_getsockopt, ENOPROTOOPT }, { NR_recvfrom, EOPNOTSUPP }, { NR_recvmsg, EOPNOTSUPP }, { NR_shutdown, EINVAL },
	{ NR_fallocate, EOPNOTSUPP }, { NR_ioctl, ENOTTY },	 { NR_readv, EINVAL },	      { NR_writev, EINVAL },
	{ NR_ppoll, EINVAL },	   { NR_poll, EINVAL },
	{ NR_epoll_wait, EINVAL }, { NR_epoll_pwait, EINVAL },	 { NR_pselect6, EINVAL },
};

enum when { ALWAYS = 0, USERNS };

struct test {
	unsigned int arg;
	uint64_t mask, value;
};

/* Values that are allowed, of rows of class ALLOW; all tests hold, a mask of 0 ends them. Forms of one call may overlap. */
struct form {
	enum sys_nr nr;
	enum when when;
	struct test test[2];
};

#define IS(name, n, v) { .nr = NR_##name, .test = { { (n), U32, (v) } } }
/* An int without other bits than ALLOWED. */
#define ONLY(name, n, allowed) { .nr = NR_##name, .test = { { (n), U32 & ~(uint64_t)(allowed), 0 } } }
/* The same of an argument the kernel looks at as a whole. */
#define ONLY_LONG(name, n, allowed) { .nr = NR_##name, .test = { { (n), U64 & ~(uint64_t)(allowed), 0 } } }
#define IS_LONG(name, n, v) { .nr = NR_##name, .test = { { (n), U64, (v) } } }
#define OPTION(level, v) { .nr = NR_setsockopt, .test = { { 1, U32, (level) }, { 2, U32, (v) } } }

static const struct form forms[] = {
	/* No huge or locked pages, no stacks that grow. */
	{ .nr = NR_mmap,
	  .test = { { 2, U64 & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC), 0 },
		    { 3,
		      U64 & ~(uint64_t)(MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_32BIT | MAP_DENYWRITE |
					MAP_EXECUTABLE | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_FIXED_NOREPLACE),
		      0 } } },
	ONLY_LONG(mprotect, 2, PROT_READ | PROT_WRITE | PROT_EXEC),
	ONLY_LONG(mremap, 3, MREMAP_MAYMOVE | MREMAP_FIXED),
	/* Not those that merge pages, poison them, or punch holes into files. */
	ONLY(madvise, 2, 3), /* MADV_NORMAL, RANDOM, SEQUENTIAL, WILLNEED */
	IS(madvise, 2, MADV_DONTNEED),
	IS(madvise, 2, MADV_FREE),
	IS(madvise, 2, MADV_DONTFORK),
	IS(madvise, 2, MADV_DOFORK),
	IS(madvise, 2, MADV_HUGEPAGE),
	IS(madvise, 2, MADV_NOHUGEPAGE),
	IS(madvise, 2, MADV_DONTDUMP),
	IS(madvise, 2, MADV_DODUMP),
	IS(madvise, 2, MADV_WIPEONFORK),
	IS(madvise, 2, MADV_KEEPONFORK),
	IS(madvise, 2, MADV_COLD),
	IS(madvise, 2, MADV_PAGEOUT),
	IS(madvise, 2, MADV_POPULATE_READ),
	IS(madvise, 2, MADV_POPULATE_WRITE),
	IS(madvise, 2, ADVICE_COLLAPSE),
	/* Sets of signals have one size. */
	IS_LONG(rt_sigaction, 3, 8),
	IS_LONG(rt_sigprocmask, 3, 8),
	IS_LONG(rt_sigsuspend, 1, 8),
	ONLY(lseek, 2, 7), /* SEEK_SET to SEEK_HOLE */
	ONLY(wait4, 2, WNOHANG | WUNTRACED | WCONTINUED | __WALL),
	ONLY(flock, 1, LOCK_SH | LOCK_EX | LOCK_NB | LOCK_UN),
	/* No owners to be signalled, leases, notifications of directories, write hints. */
	ONLY(fcntl, 1, 7), /* F_DUPFD to F_SETLKW */
	IS(fcntl, 1, F_DUPFD_CLOEXEC),
	IS(fcntl, 1, F_OFD_GETLK),
	IS(fcntl, 1, F_OFD_SETLK),
	IS(fcntl, 1, F_OFD_SETLKW),
	IS(fcntl, 1, F_SETPIPE_SZ),
	IS(fcntl, 1, F_GETPIPE_SZ),
	IS(fcntl, 1, F_ADD_SEALS),
	IS(fcntl, 1, F_GET_SEALS),
	ONLY(getrusage, 0, 1), /* RUSAGE_SELF, RUSAGE_THREAD */
	IS(getrusage, 0, U32), /* RUSAGE_CHILDREN */
	/* No filters of the guest's own, ambient or bounding sets, speculation controls, memory maps. */
	IS(prctl, 0, PR_SET_PDEATHSIG),
	IS(prctl, 0, PR_GET_PDEATHSIG),
	IS(prctl, 0, PR_GET_DUMPABLE),
	{ .nr = NR_prctl, .test = { { 0, U32, PR_SET_DUMPABLE }, { 1, U64, 1 } } },
	{ .nr = NR_prctl, .when = USERNS, .test = { { 0, U32, PR_SET_DUMPABLE }, { 1, U64, 0 } } },
	IS(prctl, 0, PR_SET_NAME),
	IS(prctl, 0, PR_GET_NAME),
	IS(prctl, 0, PR_GET_SECCOMP),
	IS(prctl, 0, PR_CAPBSET_READ),
	IS(prctl, 0, PR_SET_TIMERSLACK),
	IS(prctl, 0, PR_GET_TIMERSLACK),
	IS(prctl, 0, PR_SET_CHILD_SUBREAPER),
	IS(prctl, 0, PR_GET_CHILD_SUBREAPER),
	IS(prctl, 0, PR_SET_NO_NEW_PRIVS),
	IS(prctl, 0, PR_GET_NO_NEW_PRIVS),
	IS(prctl, 0, PR_SET_THP_DISABLE),
	IS(prctl, 0, PR_GET_THP_DISABLE),
	IS(prctl, 0, PTRACER),
	IS(prctl, 0, VMA_NAME),
	IS(arch_prctl, 0, ARCH_SET_FS),
	IS(arch_prctl, 0, ARCH_GET_FS),
	IS(arch_prctl, 0, ARCH_SET_GS),
	IS(arch_prctl, 0, ARCH_GET_GS),
	/* No priority inheritance: nobody's programs, many of the kernel's bugs. */
	ONLY(futex, 1, FUTEX_MODIFIERS | 1), /* FUTEX_WAIT, FUTEX_WAKE */
	{ .nr = NR_futex, .test = { { 1, U32 & ~FUTEX_MODIFIERS, 3 } } }, /* FUTEX_REQUEUE */
	{ .nr = NR_futex, .test = { { 1, U32 & ~FUTEX_MODIFIERS, 4 } } }, /* FUTEX_CMP_REQUEUE */
	{ .nr = NR_futex, .test = { { 1, U32 & ~FUTEX_MODIFIERS, 5 } } }, /* FUTEX_WAKE_OP */
	{ .nr = NR_futex, .test = { { 1, U32 & ~FUTEX_MODIFIERS, 9 } } }, /* FUTEX_WAIT_BITSET */
	{ .nr = NR_futex, .test = { { 1, U32 & ~FUTEX_MODIFIERS, 10 } } }, /* FUTEX_WAKE_BITSET */
	ONLY(epoll_ctl, 1, 3), /* EPOLL_CTL_ADD, DEL, MOD */
	ONLY(epoll_create1, 0, EPOLL_CLOEXEC),
	ONLY(eventfd2, 1, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE),
	ONLY(pipe2, 1, O_CLOEXEC | O_NONBLOCK | O_DIRECT), /* no watch queues */
	ONLY(dup3, 2, O_CLOEXEC),
	ONLY(accept4, 3, SOCK_CLOEXEC | SOCK_NONBLOCK),
	ONLY(getrandom, 2, GRND_NONBLOCK | GRND_RANDOM | 4), /* GRND_INSECURE */
	/* The kernel's own clocks, and those of processor time; none that a device stands behind. */
	ONLY(clock_gettime, 0, CLOCKS - 1),
	{ .nr = NR_clock_gettime, .test = { { 0, CPU_CLOCK | 7, CPU_CLOCK | 0 } } },
	{ .nr = NR_clock_gettime, .test = { { 0, CPU_CLOCK | 7, CPU_CLOCK | 1 } } },
	{ .nr = NR_clock_gettime, .test = { { 0, CPU_CLOCK | 7, CPU_CLOCK | 2 } } },
	{ .nr = NR_clock_gettime, .test = { { 0, CPU_CLOCK | 7, CPU_CLOCK | 4 } } },
	{ .nr = NR_clock_gettime, .test = { { 0, CPU_CLOCK | 7, CPU_CLOCK | 5 } } },
	{ .nr = NR_clock_gettime, .test = { { 0, CPU_CLOCK | 7, CPU_CLOCK | 6 } } },
	{ .nr = NR_clock_nanosleep,
	  .test = { { 0, U32 & ~(uint64_t)(CLOCKS - 1), 0 }, { 1, U32 & ~UINT64_C(1), 0 } } }, /* TIMER_ABSTIME */
	ONLY(rseq, 2, 1), /* RSEQ_FLAG_UNREGISTER */
	IS_LONG(set_robust_list, 1, 24),
	ONLY(recvfrom, 3, MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL | MSG_ERRQUEUE | MSG_CMSG_CLOEXEC),
	ONLY(recvmsg, 2, MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL | MSG_ERRQUEUE | MSG_CMSG_CLOEXEC),
	ONLY(shutdown, 1, 3),
	ONLY(fallocate, 1, FALLOC_KEEP_SIZE | FALLOC_PUNCH_HOLE | FALLOC_ZERO_RANGE),
	/* As many as the kernel takes; what it would first copy in of more is nobody's. */
	ONLY_LONG(readv, 2, 2047),
	ONLY_LONG(writev, 2, 2047),
	ONLY(poll, 1, 0xfffff),
	ONLY(ppoll, 1, 0xfffff),
	ONLY(epoll_wait, 2, 0xfffff),
	ONLY(epoll_pwait, 2, 0xfffff),
	ONLY(pselect6, 0, 0xfffff),
	/* Options of sockets: no filters, no zero copy, no protocols above TCP, no tables of a packet filter. */
	OPTION(SOL_SOCKET, SO_REUSEADDR),
	OPTION(SOL_SOCKET, SO_REUSEPORT),
	OPTION(SOL_SOCKET, SO_BROADCAST),
	OPTION(SOL_SOCKET, SO_SNDBUF),
	OPTION(SOL_SOCKET, SO_RCVBUF),
	OPTION(SOL_SOCKET, SO_KEEPALIVE),
	OPTION(SOL_SOCKET, SO_OOBINLINE),
	OPTION(SOL_SOCKET, SO_PRIORITY),
	OPTION(SOL_SOCKET, SO_LINGER),
	OPTION(SOL_SOCKET, SO_PASSCRED),
	OPTION(SOL_SOCKET, SO_RCVLOWAT),
	OPTION(SOL_SOCKET, SO_RCVTIMEO),
	OPTION(SOL_SOCKET, SO_SNDTIMEO),
	OPTION(SOL_SOCKET, SO_TIMESTAMP),
	OPTION(IPPROTO_IP, IP_TOS),
	OPTION(IPPROTO_IP, IP_TTL),
	OPTION(IPPROTO_IP, IP_PKTINFO),
	OPTION(IPPROTO_IP, IP_MTU_DISCOVER),
	OPTION(IPPROTO_IP, IP_RECVERR),
	OPTION(IPPROTO_IPV6, IPV6_UNICAST_HOPS),
	OPTION(IPPROTO_IPV6, IPV6_MTU_DISCOVER),
	OPTION(IPPROTO_IPV6, IPV6_RECVERR),
	OPTION(IPPROTO_IPV6, IPV6_V6ONLY),
	OPTION(IPPROTO_IPV6, IPV6_RECVPKTINFO),
	OPTION(IPPROTO_IPV6, IPV6_TCLASS),
	OPTION(IPPROTO_TCP, TCP_NODELAY),
	OPTION(IPPROTO_TCP, TCP_CORK),
	OPTION(IPPROTO_TCP, TCP_KEEPIDLE),
	OPTION(IPPROTO_TCP, TCP_KEEPINTVL),
	OPTION(IPPROTO_TCP, TCP_KEEPCNT),
	OPTION(IPPROTO_TCP, TCP_DEFER_ACCEPT),
	OPTION(IPPROTO_TCP, TCP_QUICKACK),
	OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
	OPTION(IPPROTO_TCP, TCP_FASTOPEN),
	OPTION(IPPROTO_TCP, TCP_NOTSENT_LOWAT),
	IS(getsockopt, 1, SOL_SOCKET),
	IS(getsockopt, 1, IPPROTO_IP),
	IS(getsockopt, 1, IPPROTO_IPV6),
	IS(getsockopt, 1, IPPROTO_TCP),
	/* Terminals and their windows, what every descriptor has, and clones of files. */
	IS(ioctl, 1, TCGETS),
	IS(ioctl, 1, TCSETS),
	IS(ioctl, 1, TCSETSW),
	IS(ioctl, 1, TCSETSF),
	IS(ioctl, 1, TCSBRK),
	IS(ioctl, 1, TCXONC),
	IS(ioctl, 1, TCFLSH),
	IS(ioctl, 1, TIOCGPGRP),
	IS(ioctl, 1, TIOCSPGRP),
	IS(ioctl, 1, TIOCGWINSZ),
	IS(ioctl, 1, TIOCSWINSZ),
	IS(ioctl, 1, TIOCGSID),
	IS(ioctl, 1, TIOCSCTTY),
	IS(ioctl, 1, TIOCNOTTY),
	IS(ioctl, 1, TIOCGPTN),
	IS(ioctl, 1, TIOCSPTLCK),
	IS(ioctl, 1, TIOCGPTPEER),
	IS(ioctl, 1, TIOCOUTQ),
	IS(ioctl, 1, FIONREAD),
	IS(ioctl, 1, FIONBIO),
	IS(ioctl, 1, FIOCLEX),
	IS(ioctl, 1, FIONCLEX),
	IS(ioctl, 1, FICLONE),
	IS(ioctl, 1, SIOCGIFINDEX),
	IS(ioctl, 1, SIOCGIFNAME),
};

/* Where EPERM says more than ENOSYS: what a process without capabilities is told, or one whose limit of locked memory is 0. */
static bool says_eperm(int nr)
{
	switch (nr) {
	case NR_setuid:
	case NR_setgid:
	case NR_setreuid:
	case NR_setregid:
	case NR_setgroups:
	case NR_capset:
	case NR_mlock:
	case NR_mlock2:
	case NR_mlockall:
	case NR_ptrace:
	case NR_setpriority:
	case NR_ioprio_set:
	case NR_sched_setparam:
	case NR_sched_setscheduler:
	case NR_sched_setattr:
	case NR_personality:
	case NR_rt_sigqueueinfo:
	case NR_rt_tgsigqueueinfo:
	case NR_tkill:
		return true;
	default:
		return false;
	}
}

int narrow_list_error(const struct plan *plan, const struct sys_row *row)
{
	/* What is refused anyway has its own answer. */
	if (row->list <= plan->list || row->class == CLASS_KILL || row->class == CLASS_EPERM || row->class == CLASS_ENOSYS)
		return 0;
	/* What splice(2) says of descriptors it cannot do: grep goes on with read then, and after ENOSYS does not. */
	if (row->nr == NR_splice || row->nr == NR_tee)
		return EINVAL;
	return says_eperm(row->nr) ? EPERM : ENOSYS;
}

int narrow_list_base(const struct plan *plan, int nr)
{
	if (plan->list != LIST_NARROW)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(bases); i++)
		if ((int)bases[i].nr == nr)
			return bases[i].err;
	return 0;
}

int narrow_list_add(const struct plan *plan, scmp_filter_ctx ctx)
{
	int r = 0;

	for (size_t i = 0; plan->list == LIST_NARROW && i < ARRAY_LEN(forms) && r == 0; i++) {
		const struct form *f = &forms[i];
		struct scmp_arg_cmp cmp[ARRAY_LEN(f->test)];
		unsigned int n = 0;

		/* Anything else is the plan's to give out. */
		if (table_row((int)f->nr)->class != CLASS_ALLOW)
			return -EINVAL;
		if (f->when == USERNS && (plan->floor & FLOOR_USERNS) == 0)
			continue;
		for (; n < ARRAY_LEN(f->test) && f->test[n].mask != 0; n++)
			cmp[n] = (struct scmp_arg_cmp){
				.arg = f->test[n].arg,
				.op = SCMP_CMP_MASKED_EQ,
				.datum_a = f->test[n].mask,
				.datum_b = f->test[n].value,
			};
		r = seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, (int)f->nr, n, cmp);
	}
	return r;
}
