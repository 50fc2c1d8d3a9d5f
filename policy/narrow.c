/*
 * What the filter judges by value: plain numbers in registers, never a pointer, descriptor or pid (but for
 * pid 0, which always means the caller).
 *
 * A call has a base action, from its class and the plan (narrow_base()), and may have rules here that answer
 * certain values otherwise. Two rules for one call may both match only if they say the same: no order exists
 * between them. Rules that say what the base says anyway are left out, so that a call which is always
 * allowed stays free of arguments and the kernel's bitmap caches it.
 *
 * Width: the kernel truncates an int argument to 32 bits without looking at the upper half, so such an
 * argument is compared under the mask U32; comparing all 64 bits would let a guest slip by with garbage above
 * (CVE-2019-10063). Arguments the kernel takes as long or pointer are compared whole.
 */
#include <asm/ioctls.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/fscrypt.h>
#include <linux/fsverity.h>
#include <linux/netlink.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "nr.h"
#include "policy/narrow.h"
#include "util/err.h"

#define U32 UINT64_C(0xffffffff)
#define U64 UINT64_C(0xffffffffffffffff)

/* When a rule holds. */
enum when {
	ALWAYS = 0,
	SIGNALS_OPEN,   /* nothing confines signals to the tree */
	NO_USERNS,      /* the sentry has no CAP_SYS_PTRACE over the guest */
	NO_IPCNS,       /* System V and POSIX message names are the host's */
	PROCESS_NATIVE, /* the plan leaves other processes' limits to the kernel */
	PROCESS_SEEN,	/* it does not */
	SOCKETS_NATIVE, /* the plan leaves ordinary sockets to the kernel */
	DATAGRAMS_NATIVE, /* and Unix datagram sockets: a ring that may send would reach any path with one */
	RINGS,
	WRITES_NATIVE,	/* the plan leaves opens that write to the kernel */
	CHANGE_NATIVE,	/* and changes of names and metadata */
};

struct test {
	unsigned int arg;
	uint64_t mask;
	uint64_t value;
};

struct rule_by_value {
	enum sys_nr nr;
	enum when when;
	bool allow;  /* else .err (0: succeeds without effect) */
	bool report; /* notified: the sentry refuses, with a record */
	int err;
	struct test test[3]; /* all must hold; a mask of 0 ends them */
};

#define ARG(n, m, v) { .arg = (n), .mask = (m), .value = (v) }
#define REFUSE(name, error, ...) { .nr = NR_##name, .err = (error), .test = { __VA_ARGS__ } }
#define REFUSE_WHEN(cond, name, error, ...)                                                                  \
	{ .nr = NR_##name, .when = (cond), .err = (error), .test = { __VA_ARGS__ } }
#define REPORT(name, ...) { .nr = NR_##name, .report = true, .test = { __VA_ARGS__ } }
#define REPORT_WHEN(cond, name, ...)                                                                         \
	{ .nr = NR_##name, .when = (cond), .report = true, .test = { __VA_ARGS__ } }
#define PERMIT(name, ...) { .nr = NR_##name, .allow = true, .test = { __VA_ARGS__ } }
#define PERMIT_WHEN(cond, name, ...)                                                                         \
	{ .nr = NR_##name, .when = (cond), .allow = true, .test = { __VA_ARGS__ } }

/* socket(family, type, protocol); the kernel keeps flags in the bits of the type above SOCK_TYPE_MASK. */
#define SOCK_TYPE_MASK 0xf
#define SOCKET(domain, type, proto)                                                                          \
	PERMIT_WHEN(SOCKETS_NATIVE, socket, ARG(0, U32, domain), ARG(1, SOCK_TYPE_MASK, type), ARG(2, U32, proto))
#define UNIX_DATAGRAM(call)                                                                                  \
	PERMIT_WHEN(DATAGRAMS_NATIVE, call, ARG(0, U32, AF_UNIX), ARG(1, SOCK_TYPE_MASK, SOCK_DGRAM))
#define UNIX(call, type)                                                                                     \
	PERMIT_WHEN(SOCKETS_NATIVE, call, ARG(0, U32, AF_UNIX), ARG(1, SOCK_TYPE_MASK, type))

/* The highest bit says that the descriptor's number is an index; the kernel takes an unsigned int. */
#define RING_REGISTER(op) PERMIT_WHEN(RINGS, io_uring_register, ARG(1, 0x7fffffff, op))

/*
 * prlimit64 is permitted where it sets nothing, or a limit other than RLIMIT_CORE, which is 4: one of its bits differs. TEST: of whom. The
 * rest is notified: limits on core dumps stay as they are (monitor/floor/limits.c).
 */
#define NO_TEST { .mask = 0 }
#define CORE_KEPT(cond, ...)                                                                                 \
	PERMIT_WHEN(cond, prlimit64, ARG(2, U64, 0), __VA_ARGS__),                                           \
		PERMIT_WHEN(cond, prlimit64, ARG(1, RLIMIT_CORE, 0), __VA_ARGS__),                           \
		PERMIT_WHEN(cond, prlimit64, ARG(1, 1, 1), __VA_ARGS__),                                     \
		PERMIT_WHEN(cond, prlimit64, ARG(1, 2, 2), __VA_ARGS__),                                     \
		PERMIT_WHEN(cond, prlimit64, ARG(1, 8, 8), __VA_ARGS__)

/*
 * A mode (argument N) with a set-id bit: performed, where those bits are dropped of files. A guest's files can be others' outside. For an
 * open only where it may create (a bit of FLAGS, argument N - 1).
 */
#define SET_ID(call, n)                                                                                      \
	REPORT_WHEN(CHANGE_NATIVE, call, ARG(n, S_ISUID, S_ISUID)), REPORT_WHEN(CHANGE_NATIVE, call, ARG(n, S_ISGID, S_ISGID))
#define SET_ID_OPEN(call, n, flag)                                                                           \
	REPORT_WHEN(WRITES_NATIVE, call, ARG((n) - 1, flag, flag), ARG(n, S_ISUID, S_ISUID)),                \
		REPORT_WHEN(WRITES_NATIVE, call, ARG((n) - 1, flag, flag), ARG(n, S_ISGID, S_ISGID))
#define TMPFILE_BIT (O_TMPFILE & ~O_DIRECTORY)

/* An ioctl's type and number; the size and direction above them are what the caller claims. */
#define IOC_TYPE UINT64_C(0xff00)
#define IOC_TYPE_NR UINT64_C(0xffff)

static const struct rule_by_value rules[] = {
	/* No namespaces: a user namespace hands out capabilities over kernel code few have looked at. Programs that want
	 * them have a sandbox of their own to be turned off, so people are told: recorded, not only refused. Bits of clone's
	 * flags are kernel-wide, int-sized; CLONE_NEWTIME is a part of the exit signal here. */
	REPORT(clone, ARG(0, CLONE_NEWNS, CLONE_NEWNS)),
	REPORT(clone, ARG(0, CLONE_NEWCGROUP, CLONE_NEWCGROUP)),
	REPORT(clone, ARG(0, CLONE_NEWUTS, CLONE_NEWUTS)),
	REPORT(clone, ARG(0, CLONE_NEWIPC, CLONE_NEWIPC)),
	REPORT(clone, ARG(0, CLONE_NEWUSER, CLONE_NEWUSER)),
	REPORT(clone, ARG(0, CLONE_NEWPID, CLONE_NEWPID)),
	REPORT(clone, ARG(0, CLONE_NEWNET, CLONE_NEWNET)),
	/* unshare takes a long and looks at all of it. */
	PERMIT(unshare, ARG(0, U64 & ~(uint64_t)(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM), 0)),

	/* Not READ_IMPLIES_EXEC, not the foreign personalities; setarch and debuggers use these. */
	PERMIT(personality, ARG(0, U32, PER_LINUX)),
	PERMIT(personality, ARG(0, U32, PER_LINUX32)),
	PERMIT(personality, ARG(0, U32, PER_LINUX | ADDR_NO_RANDOMIZE)),
	PERMIT(personality, ARG(0, U32, PER_LINUX32 | ADDR_NO_RANDOMIZE)),
	PERMIT(personality, ARG(0, U32, U32)), /* asks only */

	/* Rewrites the memory map's description and /proc/PID/exe: for restoring checkpoints. */
	REFUSE(prctl, EPERM, ARG(0, U32, PR_SET_MM)),
	/* Takes a pid; as a kernel without core scheduling. */
	REFUSE(prctl, EINVAL, ARG(0, U32, PR_SCHED_CORE)),
	/* The sentry must go on reading the guest's memory; succeeds without effect. */
	REFUSE_WHEN(NO_USERNS, prctl, 0, ARG(0, U32, PR_SET_DUMPABLE), ARG(1, U64, 0)),

	/* Typing on the terminal for somebody else, pasting on the console, line disciplines (drivers),
	 * console output. */
	REFUSE(ioctl, EPERM, ARG(1, U32, TIOCSTI)),
	REFUSE(ioctl, EPERM, ARG(1, U32, TIOCLINUX)),
	REFUSE(ioctl, EPERM, ARG(1, U32, TIOCSETD)),
	REFUSE(ioctl, EPERM, ARG(1, U32, TIOCCONS)),
	/* Change a file through a descriptor that is open for reading only; ENOTTY as a filesystem that has
	 * no such attributes. */
	REFUSE(ioctl, ENOTTY, ARG(1, U32, FS_IOC_SETFLAGS)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, FS_IOC_FSSETXATTR)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, FS_IOC_SETVERSION)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, 0x40086604)), /* EXT4_IOC_SETVERSION, older than FS_IOC_SETVERSION */
	REFUSE(ioctl, ENOTTY, ARG(1, U32, 0x40047211)), /* FAT_IOCTL_SET_ATTRIBUTES: its read-only bit is a mode */
	REFUSE(ioctl, ENOTTY, ARG(1, U32, FS_IOC_SETFSLABEL)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, FS_IOC_ENABLE_VERITY)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, FS_IOC_SET_ENCRYPTION_POLICY)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, FS_IOC_ADD_ENCRYPTION_KEY)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, FS_IOC_REMOVE_ENCRYPTION_KEY)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, FS_IOC_REMOVE_ENCRYPTION_KEY_ALL_USERS)),
	REFUSE(ioctl, EPERM, ARG(1, U32, FIFREEZE)),
	REFUSE(ioctl, EPERM, ARG(1, U32, FITHAW)),
	REFUSE(ioctl, EPERM, ARG(1, U32, FITRIM)),
	/* Subvolumes appear and vanish by name below a descriptor; inode numbers become names. */
	REFUSE(ioctl, ENOTTY, ARG(1, U32, BTRFS_IOC_SNAP_CREATE)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, BTRFS_IOC_SNAP_CREATE_V2)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, BTRFS_IOC_SNAP_DESTROY)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, BTRFS_IOC_SNAP_DESTROY_V2)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, BTRFS_IOC_SUBVOL_CREATE)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, BTRFS_IOC_SUBVOL_CREATE_V2)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, BTRFS_IOC_SUBVOL_SETFLAGS)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, BTRFS_IOC_INO_LOOKUP)),
	REFUSE(ioctl, ENOTTY, ARG(1, U32, BTRFS_IOC_INO_LOOKUP_USER)),
	/* XFS_IOC_PATH_TO_FSHANDLE, _PATH_TO_HANDLE: a path that nobody would judge. */
	REFUSE(ioctl, ENOTTY, ARG(1, IOC_TYPE_NR, 0x5868)),
	REFUSE(ioctl, ENOTTY, ARG(1, IOC_TYPE_NR, 0x5869)),
	/* Whole kinds of device: block (BLK*), loop, device mapper, KVM. What a regular file answers to them. */
	REFUSE(ioctl, ENOTTY, ARG(1, IOC_TYPE, 0x1200)),
	REFUSE(ioctl, ENOTTY, ARG(1, IOC_TYPE, 0x4c00)),
	REFUSE(ioctl, ENOTTY, ARG(1, IOC_TYPE, 0xfd00)),
	REFUSE(ioctl, ENOTTY, ARG(1, IOC_TYPE, 0xae00)),
	/* The kernel checks the right to signal an owner once, when it is set. */
	REFUSE_WHEN(SIGNALS_OPEN, ioctl, EPERM, ARG(1, U32, FIOSETOWN)),
	REFUSE_WHEN(SIGNALS_OPEN, ioctl, EPERM, ARG(1, U32, SIOCSPGRP)),
	REFUSE_WHEN(SIGNALS_OPEN, fcntl, EPERM, ARG(1, U32, F_SETOWN)),
	REFUSE_WHEN(SIGNALS_OPEN, fcntl, EPERM, ARG(1, U32, F_SETOWN_EX)),

	/* What is left is notified: the sentry records the refusal and answers EAFNOSUPPORT, EPROTONOSUPPORT
	 * or EPERM (raw sockets, MPTCP, SCTP, packet, vsock, crypto, ... sockets). */
	UNIX(socket, SOCK_STREAM),
	UNIX_DATAGRAM(socket),
	UNIX(socket, SOCK_SEQPACKET),
	UNIX(socketpair, SOCK_STREAM),
	UNIX_DATAGRAM(socketpair),
	UNIX(socketpair, SOCK_SEQPACKET),
	SOCKET(AF_INET, SOCK_STREAM, 0),
	SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET, SOCK_DGRAM, 0),
	SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_INET6, SOCK_STREAM, 0),
	SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
	SOCKET(AF_INET6, SOCK_DGRAM, 0),
	SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
	SOCKET(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), /* raw and datagram mean the same there */
	SOCKET(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE),

	SET_ID_OPEN(open, 2, O_CREAT),
	SET_ID_OPEN(open, 2, TMPFILE_BIT),
	SET_ID_OPEN(openat, 3, O_CREAT),
	SET_ID_OPEN(openat, 3, TMPFILE_BIT),
	REPORT_WHEN(WRITES_NATIVE, creat, ARG(1, S_ISUID, S_ISUID)),
	REPORT_WHEN(WRITES_NATIVE, creat, ARG(1, S_ISGID, S_ISGID)),
	SET_ID(chmod, 1),
	SET_ID(fchmod, 1),
	SET_ID(fchmodat, 2),
	SET_ID(fchmodat2, 2),

	/* Without an address to it, sendto is a write to whatever the descriptor is connected to. */
	PERMIT(sendto, ARG(4, U64, 0)),

	/* What a ring is given: buffers, files and events of the caller's own, and its workers. Not a way to another ring, other
	 * credentials, or a name kept for a ring whose descriptor is closed. */
	RING_REGISTER(0),  /* BUFFERS */
	RING_REGISTER(1),  /* UNREGISTER_BUFFERS */
	RING_REGISTER(2),  /* FILES */
	RING_REGISTER(3),  /* UNREGISTER_FILES */
	RING_REGISTER(4),  /* EVENTFD */
	RING_REGISTER(5),  /* UNREGISTER_EVENTFD */
	RING_REGISTER(6),  /* FILES_UPDATE */
	RING_REGISTER(7),  /* EVENTFD_ASYNC */
	RING_REGISTER(13), /* FILES2 */
	RING_REGISTER(14), /* FILES_UPDATE2 */
	RING_REGISTER(15), /* BUFFERS2 */
	RING_REGISTER(16), /* BUFFERS_UPDATE */
	RING_REGISTER(17), /* IOWQ_AFF */
	RING_REGISTER(18), /* UNREGISTER_IOWQ_AFF */
	RING_REGISTER(19), /* IOWQ_MAX_WORKERS */
	RING_REGISTER(22), /* PBUF_RING */
	RING_REGISTER(23), /* UNREGISTER_PBUF_RING */
	RING_REGISTER(24), /* SYNC_CANCEL */
	RING_REGISTER(25), /* FILE_ALLOC_RANGE */
	RING_REGISTER(26), /* PBUF_STATUS */
	RING_REGISTER(29), /* CLOCK */

	/* Pid 0 is the caller. setpriority and ioprio_set: "a process" is 0 and 1 there. */
	CORE_KEPT(PROCESS_NATIVE, NO_TEST),
	CORE_KEPT(PROCESS_SEEN, ARG(0, U32, 0)),
	REFUSE(setrlimit, 0, ARG(0, U32, RLIMIT_CORE)), /* without effect */
	PERMIT(sched_setparam, ARG(0, U32, 0)),
	PERMIT(sched_setscheduler, ARG(0, U32, 0)),
	PERMIT(sched_setaffinity, ARG(0, U32, 0)),
	PERMIT(sched_setattr, ARG(0, U32, 0)),
	PERMIT(get_robust_list, ARG(0, U32, 0)),
	PERMIT(migrate_pages, ARG(0, U32, 0)),
	PERMIT(move_pages, ARG(0, U32, 0)),
	PERMIT(setpriority, ARG(0, U32, 0), ARG(1, U32, 0)),
	PERMIT(ioprio_set, ARG(0, U32, 1), ARG(1, U32, 0)),
};

/* Calls whose base action the class does not tell: what rules above do not permit, or a missing floor. */
static const struct base {
	enum sys_nr nr;
	enum when when;
	int err;
} bases[] = {
	{ NR_personality, ALWAYS, EPERM },
	/* As a kernel without CONFIG_SYSVIPC and CONFIG_POSIX_MQUEUE. shmdt and the calls on an open queue can
	 * only follow these. */
	{ NR_shmget, NO_IPCNS, ENOSYS },
	{ NR_shmat, NO_IPCNS, ENOSYS },
	{ NR_shmctl, NO_IPCNS, ENOSYS },
	{ NR_semget, NO_IPCNS, ENOSYS },
	{ NR_semop, NO_IPCNS, ENOSYS },
	{ NR_semctl, NO_IPCNS, ENOSYS },
	{ NR_semtimedop, NO_IPCNS, ENOSYS },
	{ NR_msgget, NO_IPCNS, ENOSYS },
	{ NR_msgsnd, NO_IPCNS, ENOSYS },
	{ NR_msgrcv, NO_IPCNS, ENOSYS },
	{ NR_msgctl, NO_IPCNS, ENOSYS },
	{ NR_mq_open, NO_IPCNS, ENOSYS },
	{ NR_mq_unlink, NO_IPCNS, ENOSYS },
};

static enum level stricter(enum level a, enum level b)
{
	return a < b ? a : b;
}

/* What openat2 and an open for reading and writing need: everything open can do. */
static enum level open_level(const struct plan *plan)
{
	return stricter(plan->level[PLAN_READ], plan->level[PLAN_WRITE]);
}

/* Writing is left to the kernel where reading is, too: else rules about flags and about modes would speak of the same calls. */
static enum level write_level(const struct plan *plan)
{
	return plan->level[PLAN_WRITE] == LEVEL_NATIVE ? stricter(LEVEL_NATIVE, plan->level[PLAN_READ]) : plan->level[PLAN_WRITE];
}

static bool holds(const struct plan *plan, enum when when)
{
	switch (when) {
	case ALWAYS:
		return true;
	case SIGNALS_OPEN:
		return (plan->floor & (FLOOR_PIDNS | FLOOR_LANDLOCK_SCOPE)) == 0;
	case NO_USERNS:
		return (plan->floor & FLOOR_USERNS) == 0;
	case NO_IPCNS:
		return (plan->floor & FLOOR_IPCNS) == 0;
	case PROCESS_NATIVE:
		return plan->level[PLAN_PROCESS] == LEVEL_NATIVE;
	case PROCESS_SEEN:
		return plan->level[PLAN_PROCESS] != LEVEL_NATIVE;
	case SOCKETS_NATIVE:
		return plan->level[PLAN_SOCKET] == LEVEL_NATIVE;
	case DATAGRAMS_NATIVE:
		return plan->level[PLAN_SOCKET] == LEVEL_NATIVE && !plan->ring_sends;
	case RINGS:
		return plan->level[PLAN_RING] == LEVEL_EMULATE;
	case WRITES_NATIVE:
		return write_level(plan) == LEVEL_NATIVE;
	case CHANGE_NATIVE:
		return plan->level[PLAN_CHANGE] == LEVEL_NATIVE;
	}
	return false;
}

uint32_t narrow_level_action(enum level level)
{
	switch (level) {
	case LEVEL_NATIVE:
		return SCMP_ACT_ALLOW;
	case LEVEL_OBSERVE:
	case LEVEL_VERIFY:
	case LEVEL_EMULATE:
		return SCMP_ACT_NOTIFY;
	case LEVEL_DENY:
		break;
	}
	return SCMP_ACT_ERRNO(EACCES);
}

/*
 * Calls that stay performed where the plan leaves their family to the kernel: what lies in memory may hold a mode with set-id bits, device
 * nodes are told apart there, links are wanted in the record (monitor/left_links.c), and an owner the guest's user namespace does not know
 * is EINVAL to the kernel, another's (EPERM) to whoever asks.
 */
static bool stays_performed(const struct plan *plan, const struct sys_row *row)
{
	switch (row->nr) {
	case NR_openat2:
		return write_level(plan) == LEVEL_NATIVE;
	case NR_mknod:
	case NR_mknodat:
	case NR_symlink:
	case NR_symlinkat:
	case NR_file_setattr:
	case NR_chown:
	case NR_lchown:
	case NR_fchown:
	case NR_fchownat:
		return plan->level[PLAN_CHANGE] == LEVEL_NATIVE;
	default:
		return false;
	}
}

uint32_t narrow_base(const struct plan *plan, const struct sys_row *row)
{
	int err = narrow_list_error(plan, row);
	enum plan_key key;

	if (err != 0)
		return SCMP_ACT_ERRNO((uint32_t)err);
	for (size_t i = 0; i < ARRAY_LEN(bases); i++)
		if ((int)bases[i].nr == row->nr && holds(plan, bases[i].when))
			return SCMP_ACT_ERRNO((uint32_t)bases[i].err);

	/* No other level is given, and none would be right: what a ring does passes by every filter. */
	if (row->family == FAM_RING && plan->level[PLAN_RING] != LEVEL_EMULATE)
		return SCMP_ACT_ERRNO(ENOSYS);
	switch (row->class) {
	case CLASS_EPERM:
		return SCMP_ACT_ERRNO(EPERM);
	case CLASS_ENOSYS:
		return SCMP_ACT_ERRNO(ENOSYS);
	case CLASS_ALLOW:
		/* Such a row has no handler: any level but a refusal allows it. */
		key = plan_key_of(row);
		if (key < PLAN_COUNT && plan->level[key] == LEVEL_DENY)
			return SCMP_ACT_ERRNO(EACCES);
		err = narrow_list_base(plan, row->nr);
		return err != 0 ? SCMP_ACT_ERRNO((uint32_t)err) : SCMP_ACT_ALLOW;
	case CLASS_SCALAR:
		/* Native is what the rules permit; the sentry refuses the rest, with a record. */
		key = plan_key_of(row);
		if (key < PLAN_COUNT && plan->level[key] == LEVEL_DENY)
			return SCMP_ACT_ERRNO(EACCES);
		return SCMP_ACT_NOTIFY;
	case CLASS_RECHECK:
	case CLASS_EMULATE:
		if (stays_performed(plan, row))
			return SCMP_ACT_NOTIFY;
		if (row->nr == NR_creat)
			return narrow_level_action(write_level(plan));
		/* Its flags lie in memory, so it may be any open, O_PATH included. */
		if (row->nr == NR_openat2)
			return narrow_level_action(stricter(open_level(plan), plan->level[PLAN_META]));
		if (row->family == FAM_OPEN)
			return narrow_level_action(open_level(plan));
		/* What the rules permit is native; the rest is about core dumps. */
		if (row->nr == NR_prlimit64 && plan->level[PLAN_PROCESS] == LEVEL_NATIVE)
			return SCMP_ACT_NOTIFY;
		key = plan_key_of(row);
		return key < PLAN_COUNT ? narrow_level_action(plan->level[key]) : SCMP_ACT_NOTIFY;
	case CLASS_KILL:
	case CLASS_COUNT:
		break;
	}
	return SCMP_ACT_KILL_PROCESS;
}

/* Adds ACTION for NR unless it is what happens anyway. */
static int add(const struct plan *plan, scmp_filter_ctx ctx, int nr, uint32_t action, unsigned int n,
	       const struct scmp_arg_cmp *cmp)
{
	const struct sys_row *row = table_row(nr);

	if (row == NULL)
		return -EINVAL;
	/* What the list lacks is refused whatever its arguments are. */
	if (action == narrow_base(plan, row) || narrow_list_error(plan, row) != 0)
		return 0;
	return seccomp_rule_add_exact_array(ctx, action, nr, n, cmp);
}

/*
 * open and openat, by flags (an int, in register ARG):
 *   neither writes nor creates    the level of reading
 *   O_WRONLY                      the level of writing
 *   O_PATH (ignores the others)   as reading; but a native one hands out what stat would refuse (by fstat),
 *                                 so the level of metadata counts too
 *   else                          base: the stricter of reading and writing
 */
static int add_open(const struct plan *plan, scmp_filter_ctx ctx, int nr, unsigned int arg)
{
	const uint64_t tmpfile = O_TMPFILE & ~O_DIRECTORY;
	const struct {
		uint64_t mask, value;
		enum level level;
	} kinds[] = {
		{ O_PATH | O_ACCMODE | O_CREAT | O_TRUNC | tmpfile, 0, plan->level[PLAN_READ] },
		{ O_PATH | O_ACCMODE, O_WRONLY, write_level(plan) },
		{ O_PATH, O_PATH, stricter(plan->level[PLAN_READ], plan->level[PLAN_META]) },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct scmp_arg_cmp cmp = {
			.arg = arg,
			.op = SCMP_CMP_MASKED_EQ,
			.datum_a = kinds[i].mask,
			.datum_b = kinds[i].value,
		};
		int r = add(plan, ctx, nr, narrow_level_action(kinds[i].level), 1, &cmp);

		if (r < 0)
			return r;
	}
	return 0;
}

int narrow_add(const struct plan *plan, scmp_filter_ctx ctx)
{
	int r;

	r = add_open(plan, ctx, NR_open, 1);
	if (r == 0)
		r = add_open(plan, ctx, NR_openat, 2);
	for (size_t i = 0; i < ARRAY_LEN(rules) && r == 0; i++) {
		const struct rule_by_value *rule = &rules[i];
		struct scmp_arg_cmp cmp[ARRAY_LEN(rule->test)];
		unsigned int n = 0;

		if (!holds(plan, rule->when))
			continue;
		while (n < ARRAY_LEN(rule->test) && rule->test[n].mask != 0) {
			cmp[n] = (struct scmp_arg_cmp){
				.arg = rule->test[n].arg,
				.op = SCMP_CMP_MASKED_EQ,
				.datum_a = rule->test[n].mask,
				.datum_b = rule->test[n].value,
			};
			n++;
		}
		r = add(plan, ctx, (int)rule->nr,
			rule->allow    ? SCMP_ACT_ALLOW
			: rule->report ? SCMP_ACT_NOTIFY
				       : SCMP_ACT_ERRNO((uint32_t)rule->err),
			n, cmp);
	}
	return r == 0 ? narrow_list_add(plan, ctx) : r;
}
