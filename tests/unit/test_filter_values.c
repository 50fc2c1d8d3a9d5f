/*
 * What the guest's filter judges by value, compared with the same rules written a second time as plain C, on
 * many argument values: small ones, those that matter, those one bit away, with and without garbage in the
 * upper half of a register.
 */
#include <linux/btrfs.h>
#include <linux/fs.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/unit/filter_machine.h"

static uint64_t seed = 20261122;

static uint64_t any(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Numbers near those that matter: small ones, single bits, with and without garbage in the upper half. */
static uint64_t likely(const uint64_t *interesting, size_t n)
{
	uint64_t v;

	switch (any() % 4) {
	case 0:
		v = any() % 32;
		break;
	case 1:
		v = UINT64_C(1) << (any() % 64);
		break;
	default:
		v = interesting[any() % n];
		if (any() % 4 == 0)
			v ^= UINT64_C(1) << (any() % 64);
	}
	return any() % 3 == 0 ? v | (any() << 32) : v;
}

static int level_action(enum level level)
{
	return level == LEVEL_NATIVE ? ALLOW : level == LEVEL_DENY ? ERR(EACCES) : NOTIFY;
}

static enum level min_level(enum level a, enum level b)
{
	return a < b ? a : b;
}

/* Writing is native with reading only, and then not what creates with a set-id bit. */
static int model_open(const struct plan *p, uint32_t flags, uint64_t mode)
{
	enum level reading = p->level[PLAN_READ], writing = p->level[PLAN_WRITE];

	if (writing == LEVEL_NATIVE)
		writing = reading;
	if (writing == LEVEL_NATIVE && (flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) && (mode & 06000))
		return NOTIFY;

	if (flags & O_PATH)
		return level_action(min_level(reading, p->level[PLAN_META]));
	if ((flags & O_ACCMODE) == O_WRONLY)
		return level_action(writing);
	if (flags & (O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY)))
		return level_action(min_level(reading, writing));
	return level_action(reading);
}

/* All 64 ways to give reading, writing and metadata a level, many flags each. */
static void model_opens(void **state)
{
	static const uint64_t flags[] = { O_RDONLY, O_WRONLY, O_RDWR,  O_ACCMODE,   O_CREAT | O_WRONLY | O_TRUNC,
					  O_PATH,   O_TMPFILE, O_TRUNC, O_DIRECTORY, O_CREAT | O_RDWR | O_EXCL };

	(void)state;
	for (int i = 0; i < 64; i++) {
		const struct plan p = plan_open((enum level)(i & 3), (enum level)(i >> 2 & 3), (enum level)(i >> 4));
		struct sock_fprog prog = { 0 };

		assert_int_equal(filter_build(&p, &prog), 0);
		for (int n = 0; n < 2000; n++) {
			const uint64_t f = likely(flags, ARRAY_LEN(flags)) | likely(flags, ARRAY_LEN(flags));
			const uint64_t mode = any() % 2 == 0 ? any() & ~UINT64_C(06000) : any();
			const uint64_t at[6] = { any(), any(), f, mode, any(), any() };
			const uint64_t plain[6] = { any(), f, mode, any(), any(), any() };
			int want = model_open(&p, (uint32_t)f, mode);

			assert_int_equal(run(&prog, NR_openat, at), want);
			assert_int_equal(run(&prog, NR_open, plain), want);
		}
		const bool native = p.level[PLAN_WRITE] == LEVEL_NATIVE && p.level[PLAN_READ] == LEVEL_NATIVE;
		const enum level most = min_level(min_level(p.level[PLAN_READ], p.level[PLAN_WRITE]), p.level[PLAN_META]);

		assert_int_equal(run(&prog, NR_creat, NULL),
				 level_action(p.level[PLAN_WRITE] == LEVEL_NATIVE ? p.level[PLAN_READ] : p.level[PLAN_WRITE]));
		assert_int_equal(run(&prog, NR_openat2, NULL), native ? NOTIFY : level_action(most));
		filter_free(&prog);
	}
}

static int model_ioctl(const struct plan *p, uint32_t cmd)
{
	static const uint32_t eperm[] = { 0x5412, 0x541c, 0x5423, 0x541d, FIFREEZE, FITHAW, FITRIM };
	static const uint32_t enotty[] = { FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR, 0x40087602, FS_IOC_SETFSLABEL, 0x40086604, 0x40047211,
					   0x40806685, 0x800c6613, 0xc0506617, 0xc0406618, 0xc0406619,
					   BTRFS_IOC_SNAP_CREATE, BTRFS_IOC_SNAP_CREATE_V2, BTRFS_IOC_SNAP_DESTROY,
					   BTRFS_IOC_SNAP_DESTROY_V2, BTRFS_IOC_SUBVOL_CREATE,
					   BTRFS_IOC_SUBVOL_CREATE_V2, BTRFS_IOC_SUBVOL_SETFLAGS,
					   BTRFS_IOC_INO_LOOKUP, BTRFS_IOC_INO_LOOKUP_USER };

	for (size_t i = 0; i < ARRAY_LEN(eperm); i++)
		if (cmd == eperm[i])
			return ERR(EPERM);
	for (size_t i = 0; i < ARRAY_LEN(enotty); i++)
		if (cmd == enotty[i])
			return ERR(ENOTTY);
	if ((cmd & 0xffff) == 0x5868 || (cmd & 0xffff) == 0x5869)
		return ERR(ENOTTY);
	switch (cmd >> 8 & 0xff) {
	case 0x12:
	case 0x4c:
	case 0xfd:
	case 0xae:
		return ERR(ENOTTY);
	}
	if ((cmd == 0x8901 || cmd == 0x8902) && !(p->floor & (FLOOR_PIDNS | FLOOR_LANDLOCK_SCOPE)))
		return ERR(EPERM);
	return ALLOW;
}

static void model_ioctls(void **state)
{
	static const uint64_t cmds[] = {
		TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS, TCGETS, TIOCSPGRP, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR,
		FS_IOC_SETFSLABEL, FIFREEZE, FITHAW, FITRIM, BTRFS_IOC_SNAP_CREATE, BTRFS_IOC_SNAP_DESTROY_V2,
		BTRFS_IOC_INO_LOOKUP_USER, 0xc0385868, 0x5869, 0x1260, 0x4c00, 0xfd07, 0xae80, 0x8901, 0x8902,
		FICLONE, 0x40806685, 0xc0506617, 0x40087602, BLKGETSIZE64,
	};

	(void)state;
	for (int p = 0; p < PLANS; p++)
		for (int n = 0; n < 20000; n++) {
			const uint64_t args[6] = { any(), likely(cmds, ARRAY_LEN(cmds)), any(), any(), any(), any() };

			assert_int_equal(run(&progs[p], NR_ioctl, args), model_ioctl(&plans[p], (uint32_t)args[1]));
		}
}

static int model_socket(const struct plan *p, uint32_t domain, uint32_t type, uint32_t proto)
{
	type &= 0xf;
	if (p->level[PLAN_SOCKET] != LEVEL_NATIVE)
		return level_action(p->level[PLAN_SOCKET]);
	if (domain == AF_UNIX && (type == SOCK_STREAM || type == SOCK_DGRAM || type == SOCK_SEQPACKET))
		return ALLOW;
	if (domain == AF_INET || domain == AF_INET6) {
		if (type == SOCK_STREAM && (proto == 0 || proto == IPPROTO_TCP))
			return ALLOW;
		if (type == SOCK_DGRAM && (proto == 0 || proto == IPPROTO_UDP))
			return ALLOW;
	}
	if (domain == AF_NETLINK && (type == SOCK_RAW || type == SOCK_DGRAM) && proto == 0)
		return ALLOW;
	return NOTIFY;
}

static void model_sockets(void **state)
{
	static const uint64_t words[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW,
					  SOCK_SEQPACKET, IPPROTO_TCP, IPPROTO_UDP, 0, SOCK_STREAM | SOCK_CLOEXEC,
					  SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC };

	(void)state;
	for (int p = 0; p < PLANS; p++)
		for (int n = 0; n < 20000; n++) {
			const uint64_t a[6] = { likely(words, ARRAY_LEN(words)), likely(words, ARRAY_LEN(words)),
						likely(words, ARRAY_LEN(words)), any(), any(), any() };

			assert_int_equal(run(&progs[p], NR_socket, a),
					 model_socket(&plans[p], (uint32_t)a[0], (uint32_t)a[1], (uint32_t)a[2]));
		}
}

static void model_numbers(void **state)
{
	static const uint64_t words[] = { 0, 1, 0x40000, 0x40008, 8, 0xffffffff, CLONE_NEWUSER, CLONE_NEWNET,
					  CLONE_FS, CLONE_FILES, CLONE_SYSVSEM, 0x600, 0x40600, PR_SET_MM,
					  PR_SET_DUMPABLE, PR_SCHED_CORE, F_SETOWN, F_SETOWN_EX };
	const uint32_t namespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
				    CLONE_NEWPID | CLONE_NEWNET;

	(void)state;
	for (int p = 0; p < PLANS; p++) {
		const uint32_t floor = plans[p].floor;
		const bool open_signals = !(floor & (FLOOR_PIDNS | FLOOR_LANDLOCK_SCOPE));

		for (int n = 0; n < 10000; n++) {
			const uint64_t a[6] = { likely(words, ARRAY_LEN(words)), likely(words, ARRAY_LEN(words)),
						any(), any(), any() % 3 ? any() : 0, any() };
			const uint32_t a0 = (uint32_t)a[0], a1 = (uint32_t)a[1];
			const int process = level_action(plans[p].level[PLAN_PROCESS]);

			assert_int_equal(run(&progs[p], NR_clone, a), a0 & namespaces ? NOTIFY : ALLOW);
			assert_int_equal(run(&progs[p], NR_unshare, a),
					 a[0] & ~UINT64_C(0x40600) ? NOTIFY : ALLOW);
			assert_int_equal(run(&progs[p], NR_personality, a),
					 a0 == 0 || a0 == 8 || a0 == 0x40000 || a0 == 0x40008 || a0 == UINT32_MAX ?
						 ALLOW :
						 ERR(EPERM));
			assert_int_equal(run(&progs[p], NR_prctl, a),
					 a0 == PR_SET_MM	    ? ERR(EPERM) :
					 a0 == PR_SCHED_CORE	    ? ERR(EINVAL) :
					 a0 == PR_SET_DUMPABLE && a[1] == 0 && !(floor & FLOOR_USERNS) ?
								      ERR(0) :
								      ALLOW);
			assert_int_equal(run(&progs[p], NR_fcntl, a),
					 open_signals && (a1 == F_SETOWN || a1 == F_SETOWN_EX) ? ERR(EPERM) : ALLOW);
			assert_int_equal(run(&progs[p], NR_sendto, a),
					 a[4] == 0 ? ALLOW : level_action(plans[p].level[PLAN_SEND]));
			bool kept = a[2] == 0 || (a[1] & 15) != RLIMIT_CORE;
			assert_int_equal(run(&progs[p], NR_prlimit64, a),
					 kept && (a0 == 0 || process == ALLOW) ? ALLOW :
					 process == ALLOW			? NOTIFY :
										  process);
			assert_int_equal(run(&progs[p], NR_setrlimit, a), a0 == RLIMIT_CORE ? ERR(0) : ALLOW);
			assert_int_equal(run(&progs[p], NR_setpriority, a), a0 == 0 && a1 == 0 ? ALLOW : process);
			assert_int_equal(run(&progs[p], NR_ioprio_set, a), a0 == 1 && a1 == 0 ? ALLOW : process);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(model_opens),
		cmocka_unit_test(model_ioctls),
		cmocka_unit_test(model_sockets),
		cmocka_unit_test(model_numbers),
	};

	return cmocka_run_group_tests_name("filter values", tests, setup, teardown);
}
