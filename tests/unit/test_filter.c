/*
 * The guest's filter, run through a small classic-BPF machine: what does the kernel answer to (plan,
 * architecture, number, six arguments)? Three kinds of test:
 *
 *   tables    hand-written cases, as in libseccomp's own simulator tests
 *   models    the by-value rules written a second time as plain C, compared on many argument values
 *   constants what the kernel's bitmap would find: numbers that are allowed without a look at an argument
 *
 * and at the end the program is given to the running kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/btrfs.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "filter.h"
#include "nr.h"
#include "selffilter.h"
#include "util/err.h"

#define HIGH UINT64_C(0xdead00000000)
#define X32 0x40000000
#define FDCWD ((uint64_t)(uint32_t)AT_FDCWD)

enum {
	ALLOW = (int)SECCOMP_RET_ALLOW,
	NOTIFY = (int)SECCOMP_RET_USER_NOTIF,
	KILL = (int)SECCOMP_RET_KILL_PROCESS,
	NOT_CONSTANT = 1, /* no seccomp action: the program looked at an argument */
};
#define ERR(e) ((int)(SECCOMP_RET_ERRNO | (uint32_t)(e)))

/* ---- the machine ------------------------------------------------------------------------------- */

/* Runs PROG over D. With CONSTANT, NOT_CONSTANT as soon as anything but number and architecture is read, as
 * the kernel's own look at a new filter. A fault in the program fails the test. */
static int machine(const struct sock_fprog *prog, const struct seccomp_data *d, bool constant)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 };

	for (size_t pc = 0; pc < prog->len; pc++) {
		const struct sock_filter *f = &prog->filter[pc];
		bool jump;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(f->k % 4 == 0 && f->k + 4 <= sizeof(*d));
			if (constant && f->k != offsetof(struct seccomp_data, nr) &&
			    f->k != offsetof(struct seccomp_data, arch))
				return NOT_CONSTANT;
			memcpy(&a, (const char *)d + f->k, sizeof(a));
			continue;
		case BPF_LD | BPF_MEM:
			assert_true(f->k < BPF_MEMWORDS);
			a = mem[f->k];
			continue;
		case BPF_ST:
			assert_true(f->k < BPF_MEMWORDS);
			mem[f->k] = a;
			continue;
		case BPF_MISC | BPF_TAX:
			x = a;
			continue;
		case BPF_MISC | BPF_TXA:
			a = x;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			continue;
		case BPF_RET | BPF_K:
			return (int)f->k;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = a == f->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			jump = a > f->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			jump = a >= f->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			jump = (a & f->k) != 0;
			break;
		default:
			fail_msg("instruction %zu: unknown code 0x%x", pc, f->code);
			return KILL;
		}
		pc += jump ? f->jt : f->jf;
	}
	fail_msg("ran off the end of the program");
	return KILL;
}

static struct seccomp_data data(int nr, const uint64_t args[6])
{
	struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = 0x401000 };

	if (args != NULL)
		memcpy(d.args, args, sizeof(d.args));
	return d;
}

static int run(const struct sock_fprog *prog, int nr, const uint64_t args[6])
{
	const struct seccomp_data d = data(nr, args);

	return machine(prog, &d, false);
}

/* ---- plans ------------------------------------------------------------------------------------- */

enum { EVERY_FACT = (1 << 11) - 1 };

static struct plan plan_all(enum level level, uint32_t floor)
{
	struct plan p = PLAN_NULL;

	for (int k = 0; k < PLAN_COUNT; k++)
		p.level[k] = level;
	p.floor = floor;
	return p;
}

static struct plan plan_open(enum level reading, enum level writing, enum level meta)
{
	struct plan p = plan_all(LEVEL_NATIVE, EVERY_FACT);

	p.level[PLAN_READ] = reading;
	p.level[PLAN_WRITE] = writing;
	p.level[PLAN_META] = meta;
	return p;
}

enum which { NATIVE, EMULATED, BARE, DENYING, READ_NATIVE, READ_NATIVE_NO_META, OBSERVED, PLANS };

static struct sock_fprog progs[PLANS];
static struct plan plans[PLANS];

static int setup(void **state)
{
	(void)state;
	plans[NATIVE] = plan_all(LEVEL_NATIVE, EVERY_FACT);
	plans[EMULATED] = plan_all(LEVEL_EMULATE, EVERY_FACT);
	plans[BARE] = plan_all(LEVEL_EMULATE, 0);
	plans[DENYING] = PLAN_NULL;
	plans[READ_NATIVE] = plan_open(LEVEL_NATIVE, LEVEL_EMULATE, LEVEL_NATIVE);
	plans[READ_NATIVE_NO_META] = plan_open(LEVEL_NATIVE, LEVEL_OBSERVE, LEVEL_EMULATE);
	plans[OBSERVED] = plan_all(LEVEL_OBSERVE, EVERY_FACT);
	for (int i = 0; i < PLANS; i++)
		if (filter_build(&plans[i], &progs[i]) != 0)
			return -1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < PLANS; i++)
		filter_free(&progs[i]);
	return 0;
}

/* ---- tables ------------------------------------------------------------------------------------ */

static const struct sim_case {
	enum which plan;
	int nr;
	uint64_t args[6];
	int expect;
} sim_cases[] = {
	/* Never notified, whatever the plan. */
	{ EMULATED, NR_read, { 3 }, ALLOW },
	{ BARE, NR_close, { 3 }, ALLOW },
	{ DENYING, NR_fork, { 0 }, ALLOW },
	{ DENYING, NR_futex, { 0 }, ALLOW },
	{ DENYING, NR_exit_group, { 0 }, ALLOW },
	{ BARE, NR_mmap, { 0 }, ALLOW },

	/* A class, a level. */
	{ NATIVE, NR_newfstatat, { FDCWD }, ALLOW },
	{ OBSERVED, NR_newfstatat, { FDCWD }, NOTIFY },
	{ EMULATED, NR_newfstatat, { FDCWD }, NOTIFY },
	{ DENYING, NR_newfstatat, { FDCWD }, ERR(EACCES) },
	{ NATIVE, NR_execve, { 0 }, ALLOW },
	{ OBSERVED, NR_execve, { 0 }, NOTIFY },
	{ EMULATED, NR_execveat, { 0 }, NOTIFY },
	{ DENYING, NR_execve, { 0 }, ERR(EACCES) },
	{ NATIVE, NR_chdir, { 0 }, ALLOW },
	{ EMULATED, NR_fchdir, { 0 }, NOTIFY },
	{ EMULATED, NR_kill, { 1, 9 }, NOTIFY },
	{ NATIVE, NR_kill, { 1, 9 }, ALLOW },
	{ EMULATED, NR_getdents64, { 3 }, ALLOW },
	{ DENYING, NR_getdents64, { 3 }, ERR(EACCES) },
	{ EMULATED, NR_fchmodat2, { FDCWD }, NOTIFY },
	{ EMULATED, NR_file_setattr, { FDCWD }, NOTIFY },
	{ NATIVE, NR_landlock_create_ruleset, { 0, 0, 1 }, NOTIFY },
	{ NATIVE, NR_mount, { 0 }, ERR(EPERM) },
	{ NATIVE, NR_bpf, { 0 }, ERR(EPERM) },
	{ NATIVE, NR_open_tree_attr, { 0 }, ERR(EPERM) },
	{ NATIVE, NR_clone3, { 0 }, ERR(ENOSYS) },
	{ NATIVE, NR_io_uring_setup, { 8 }, ERR(ENOSYS) },
	{ NATIVE, NR_keyctl, { 0 }, ERR(ENOSYS) },
	{ NATIVE, NR_uselib, { 0 }, ERR(ENOSYS) },

	/* open by flags. */
	{ NATIVE, NR_openat, { FDCWD, 0, O_RDWR | O_CREAT }, ALLOW },
	{ EMULATED, NR_openat, { FDCWD, 0, O_RDONLY }, NOTIFY },
	{ DENYING, NR_openat, { FDCWD, 0, O_RDONLY }, ERR(EACCES) },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, O_RDONLY | O_CLOEXEC | O_DIRECTORY }, ALLOW },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, HIGH | O_RDONLY }, ALLOW },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, O_WRONLY }, NOTIFY },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, HIGH | O_WRONLY }, NOTIFY },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, O_RDWR }, NOTIFY },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, O_ACCMODE }, NOTIFY },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, O_CREAT }, NOTIFY },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, O_TRUNC }, NOTIFY },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, O_TMPFILE | O_RDWR }, NOTIFY },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, O_TMPFILE & ~O_DIRECTORY }, NOTIFY },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, O_PATH }, ALLOW },
	{ READ_NATIVE, NR_openat, { FDCWD, 0, O_PATH | O_CREAT | O_RDWR }, ALLOW },
	{ READ_NATIVE, NR_open, { 0, O_RDONLY }, ALLOW },
	{ READ_NATIVE, NR_open, { 0, O_RDONLY | O_CREAT, 0600 }, NOTIFY },
	{ READ_NATIVE, NR_creat, { 0, 0600 }, NOTIFY },
	{ READ_NATIVE, NR_openat2, { FDCWD }, NOTIFY },
	{ READ_NATIVE_NO_META, NR_open, { 0, O_RDONLY }, ALLOW },
	{ READ_NATIVE_NO_META, NR_open, { 0, O_PATH }, NOTIFY },
	{ READ_NATIVE_NO_META, NR_open, { 0, O_PATH | O_CLOEXEC | O_NOFOLLOW }, NOTIFY },
	{ READ_NATIVE_NO_META, NR_open, { 0, O_RDWR }, NOTIFY },
	{ NATIVE, NR_openat2, { FDCWD }, ALLOW },
	{ NATIVE, NR_creat, { 0 }, ALLOW },

	/* Namespaces. */
	{ NATIVE, NR_clone, { SIGCHLD }, ALLOW },
	{ NATIVE, NR_clone, { CLONE_VM | CLONE_VFORK | SIGCHLD }, ALLOW },
	{ NATIVE, NR_clone, { 0x3d0f00 }, ALLOW }, /* a thread of glibc's */
	{ NATIVE, NR_clone, { CLONE_NEWUSER | SIGCHLD }, ERR(EPERM) },
	{ NATIVE, NR_clone, { HIGH | CLONE_NEWUSER | SIGCHLD }, ERR(EPERM) },
	{ NATIVE, NR_clone, { CLONE_NEWNS }, ERR(EPERM) },
	{ NATIVE, NR_clone, { CLONE_NEWNET | CLONE_NEWPID }, ERR(EPERM) },
	{ NATIVE, NR_unshare, { CLONE_FILES }, ALLOW },
	{ NATIVE, NR_unshare, { CLONE_FS | CLONE_FILES | CLONE_SYSVSEM }, ALLOW },
	{ NATIVE, NR_unshare, { CLONE_NEWUSER }, ERR(EPERM) },
	{ NATIVE, NR_unshare, { CLONE_NEWTIME }, ERR(EPERM) },
	{ NATIVE, NR_unshare, { HIGH | CLONE_FS }, ERR(EPERM) },

	/* Sockets. */
	{ NATIVE, NR_socket, { AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0 }, ALLOW },
	{ NATIVE, NR_socket, { AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP }, ALLOW },
	{ NATIVE, NR_socket, { HIGH | AF_INET, HIGH | SOCK_STREAM, HIGH | IPPROTO_TCP }, ALLOW },
	{ NATIVE, NR_socket, { AF_INET, SOCK_RAW, IPPROTO_ICMP }, NOTIFY },
	{ NATIVE, NR_socket, { AF_INET, SOCK_STREAM, 262 }, NOTIFY }, /* MPTCP */
	{ NATIVE, NR_socket, { AF_INET, SOCK_PACKET, 0 }, NOTIFY },
	{ NATIVE, NR_socket, { AF_NETLINK, SOCK_RAW, 0 }, ALLOW },
	{ NATIVE, NR_socket, { AF_NETLINK, SOCK_RAW, 12 }, NOTIFY }, /* netfilter */
	{ NATIVE, NR_socket, { AF_PACKET, SOCK_RAW, 0 }, NOTIFY },
	{ NATIVE, NR_socket, { AF_ALG, SOCK_SEQPACKET, 0 }, NOTIFY },
	{ NATIVE, NR_socket, { AF_VSOCK, SOCK_STREAM, 0 }, NOTIFY },
	{ NATIVE, NR_socket, { AF_UNIX, SOCK_STREAM, 0 }, ALLOW },
	{ EMULATED, NR_socket, { AF_UNIX, SOCK_STREAM, 0 }, NOTIFY },
	{ DENYING, NR_socket, { AF_UNIX, SOCK_STREAM, 0 }, ERR(EACCES) },
	{ NATIVE, NR_socketpair, { AF_UNIX, SOCK_STREAM, 0 }, ALLOW },
	{ NATIVE, NR_socketpair, { AF_TIPC, SOCK_STREAM, 0 }, NOTIFY },
	{ EMULATED, NR_sendto, { 3, 1, 1, 0, 0, 0 }, ALLOW },
	{ EMULATED, NR_sendto, { 3, 1, 1, 0, 0, 16 }, ALLOW },
	{ EMULATED, NR_sendto, { 3, 1, 1, 0, 0x1000, 16 }, NOTIFY },
	{ EMULATED, NR_sendto, { 3, 1, 1, 0, UINT64_C(0x100000000), 16 }, NOTIFY },
	{ DENYING, NR_sendto, { 3, 1, 1, 0, 0x1000, 16 }, ERR(EACCES) },
	{ NATIVE, NR_sendto, { 3, 1, 1, 0, 0x1000, 16 }, ALLOW },
	{ EMULATED, NR_listen, { 3 }, NOTIFY },

	/* Commands. */
	{ NATIVE, NR_ioctl, { 0, TCGETS }, ALLOW },
	{ NATIVE, NR_ioctl, { 0, TIOCSTI }, ERR(EPERM) },
	{ NATIVE, NR_ioctl, { 0, HIGH | TIOCSTI }, ERR(EPERM) },
	{ NATIVE, NR_ioctl, { 0, UINT64_C(0x100000000) | TIOCLINUX }, ERR(EPERM) },
	{ NATIVE, NR_ioctl, { 0, TIOCSETD }, ERR(EPERM) },
	{ NATIVE, NR_ioctl, { 0, TIOCGWINSZ }, ALLOW },
	{ NATIVE, NR_ioctl, { 0, TIOCSPGRP }, ALLOW },
	{ NATIVE, NR_ioctl, { 0, FIONREAD }, ALLOW },
	{ NATIVE, NR_ioctl, { 0, FICLONE }, ALLOW },
	{ NATIVE, NR_ioctl, { 0, FS_IOC_GETFLAGS }, ALLOW },
	{ NATIVE, NR_ioctl, { 0, FS_IOC_SETFLAGS }, ERR(ENOTTY) },
	{ NATIVE, NR_ioctl, { 0, BLKGETSIZE64 }, ERR(ENOTTY) },
	{ NATIVE, NR_ioctl, { 0, HIGH | 0xae01 }, ERR(ENOTTY) }, /* KVM_CREATE_VM */
	{ NATIVE, NR_ioctl, { 0, FIOSETOWN }, ALLOW },
	{ BARE, NR_ioctl, { 0, FIOSETOWN }, ERR(EPERM) },
	{ NATIVE, NR_fcntl, { 0, F_SETOWN }, ALLOW },
	{ BARE, NR_fcntl, { 0, HIGH | F_SETOWN }, ERR(EPERM) },
	{ BARE, NR_fcntl, { 0, F_DUPFD_CLOEXEC }, ALLOW },
	{ NATIVE, NR_prctl, { PR_SET_NAME }, ALLOW },
	{ NATIVE, NR_prctl, { PR_SET_MM }, ERR(EPERM) },
	{ NATIVE, NR_prctl, { HIGH | PR_SET_MM }, ERR(EPERM) },
	{ NATIVE, NR_prctl, { PR_SCHED_CORE }, ERR(EINVAL) },
	{ NATIVE, NR_prctl, { PR_SET_DUMPABLE, 0 }, ALLOW },
	{ BARE, NR_prctl, { PR_SET_DUMPABLE, 0 }, ERR(0) },
	{ BARE, NR_prctl, { HIGH | PR_SET_DUMPABLE, 0 }, ERR(0) },
	{ BARE, NR_prctl, { PR_SET_DUMPABLE, 1 }, ALLOW },
	{ NATIVE, NR_personality, { 0xffffffff }, ALLOW },
	{ NATIVE, NR_personality, { UINT64_MAX }, ALLOW },
	{ NATIVE, NR_personality, { 0x0040000 }, ALLOW },
	{ NATIVE, NR_personality, { 0x0400000 }, ERR(EPERM) },
	{ NATIVE, NR_personality, { HIGH | 0x0400000 }, ERR(EPERM) },
	{ BARE, NR_shmget, { 0 }, ERR(ENOSYS) },
	{ NATIVE, NR_shmget, { 0 }, ALLOW },
	{ BARE, NR_mq_open, { 0 }, ERR(ENOSYS) },

	/* Oneself. */
	{ DENYING, NR_prlimit64, { 0, 7 }, ALLOW },
	{ EMULATED, NR_prlimit64, { HIGH, 7 }, ALLOW },
	{ EMULATED, NR_prlimit64, { 1, 7 }, NOTIFY },
	{ EMULATED, NR_sched_setaffinity, { 0 }, ALLOW },
	{ EMULATED, NR_sched_setaffinity, { 17 }, NOTIFY },
	{ EMULATED, NR_setpriority, { 0, 0, 5 }, ALLOW },
	{ EMULATED, NR_setpriority, { 1, 0, 5 }, NOTIFY },
	{ EMULATED, NR_setpriority, { 0, 9, 5 }, NOTIFY },
	{ EMULATED, NR_ioprio_set, { 1, 0, 5 }, ALLOW },
	{ EMULATED, NR_ioprio_set, { 2, 0, 5 }, NOTIFY },

	/* Numbers without a row. */
	{ NATIVE, -1, { 0 }, ERR(ENOSYS) },
	{ NATIVE, INT_MIN, { 0 }, KILL },
	{ NATIVE, 337, { 0 }, ERR(ENOSYS) },
	{ NATIVE, 423, { 0 }, ERR(ENOSYS) },
	{ NATIVE, 470, { 0 }, ERR(ENOSYS) },
	{ NATIVE, X32 | NR_openat, { 0 }, KILL },
	{ NATIVE, X32 | 520, { 0 }, KILL }, /* x32's own execve */
	{ NATIVE, INT_MAX, { 0 }, KILL },
};

static void cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sim_cases); i++) {
		const struct sim_case *c = &sim_cases[i];
		const struct sys_row *row = table_row(c->nr);
		int got = run(&progs[c->plan], c->nr, c->args);

		if (got != c->expect)
			fail_msg("case %zu: plan %d, %s (%d): expected 0x%x, got 0x%x", i, (int)c->plan,
				 row ? row->name : "?", c->nr, (unsigned)c->expect, (unsigned)got);
	}
}

/* Not one number of another architecture gets through, at any plan. */
static void other_architectures(void **state)
{
	static const uint32_t archs[] = { AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, 0, UINT32_MAX };

	(void)state;
	for (int p = 0; p < PLANS; p++)
		for (size_t i = 0; i < ARRAY_LEN(archs); i++)
			for (int nr = -2; nr < 700; nr++) {
				struct seccomp_data d = data(nr, NULL);

				d.arch = archs[i];
				assert_int_equal(machine(&progs[p], &d, false), KILL);
			}
}

static void x32(void **state)
{
	(void)state;
	for (int p = 0; p < PLANS; p++)
		for (int nr = 0; nr < 700; nr++)
			assert_int_equal(run(&progs[p], X32 | nr, NULL), KILL);
}

static void unknown_numbers(void **state)
{
	(void)state;
	for (int p = 0; p < PLANS; p++)
		for (int nr = -1; nr < 2000; nr++)
			if (table_row(nr) == NULL)
				assert_int_equal(run(&progs[p], nr, NULL), ERR(ENOSYS));
}

/* ---- every row against its class ---------------------------------------------------------------- */

static bool narrowed(int nr, const struct plan *plan)
{
	switch (nr) {
	case NR_clone:
	case NR_unshare:
	case NR_personality:
	case NR_prctl:
	case NR_ioctl:
		return true;
	case NR_fcntl:
		return (plan->floor & (FLOOR_PIDNS | FLOOR_LANDLOCK_SCOPE)) == 0;
	default:
		return false;
	}
}

static bool needs_ipcns(const struct sys_row *row)
{
	return strstr(row->note, "ENOSYS without an ipc namespace") != NULL;
}

/* Always allowed rows are so without a look at an argument; a refused row is never allowed. */
static void rows(void **state)
{
	(void)state;
	for (int p = 0; p < PLANS; p++)
		for (int nr = 0; nr < table_end; nr++) {
			const struct sys_row *row = table_row(nr);
			const struct seccomp_data d = data(nr, NULL);
			int got;

			if (row == NULL)
				continue;
			got = machine(&progs[p], &d, true);
			switch (row->class) {
			case CLASS_KILL:
				assert_int_equal(got, KILL);
				break;
			case CLASS_EPERM:
				assert_int_equal(got, ERR(EPERM));
				break;
			case CLASS_ENOSYS:
				assert_int_equal(got, ERR(ENOSYS));
				break;
			case CLASS_ALLOW:
				if (narrowed(nr, &plans[p]))
					assert_int_equal(got, NOT_CONSTANT);
				else if (needs_ipcns(row) && !(plans[p].floor & FLOOR_IPCNS))
					assert_int_equal(got, ERR(ENOSYS));
				else if (row->family == FAM_LIST && plans[p].level[PLAN_LIST] == LEVEL_DENY)
					assert_int_equal(got, ERR(EACCES));
				else if (got != ALLOW)
					fail_msg("plan %d: %s is not constantly allowed", p, row->name);
				break;
			case CLASS_SCALAR:
			case CLASS_RECHECK:
			case CLASS_EMULATE:
				if (p == NATIVE && row->family != FAM_SOCKET && row->family != FAM_DENIED)
					assert_int_equal(got, ALLOW);
				if (p == EMULATED || p == BARE || p == OBSERVED || row->family == FAM_DENIED)
					assert_true(got == NOTIFY || got == NOT_CONSTANT);
				if (p == DENYING && row->family != FAM_DENIED)
					assert_true(got == ERR(EACCES) || got == NOT_CONSTANT);
				break;
			case CLASS_COUNT:
				fail();
			}
		}
}

/* ---- models ------------------------------------------------------------------------------------ */

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

static int model_open(const struct plan *p, uint32_t flags)
{
	enum level reading = p->level[PLAN_READ], writing = p->level[PLAN_WRITE];

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
			const uint64_t at[6] = { any(), any(), f, any(), any(), any() };
			const uint64_t plain[6] = { any(), f, any(), any(), any(), any() };
			int want = model_open(&p, (uint32_t)f);

			assert_int_equal(run(&prog, NR_openat, at), want);
			assert_int_equal(run(&prog, NR_open, plain), want);
		}
		assert_int_equal(run(&prog, NR_creat, NULL), level_action(p.level[PLAN_WRITE]));
		assert_int_equal(run(&prog, NR_openat2, NULL),
				 level_action(min_level(min_level(p.level[PLAN_READ], p.level[PLAN_WRITE]),
							p.level[PLAN_META])));
		filter_free(&prog);
	}
}

static int model_ioctl(const struct plan *p, uint32_t cmd)
{
	static const uint32_t eperm[] = { 0x5412, 0x541c, 0x5423, 0x541d, FIFREEZE, FITHAW, FITRIM };
	static const uint32_t enotty[] = { FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR, 0x40087602, FS_IOC_SETFSLABEL,
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

			assert_int_equal(run(&progs[p], NR_clone, a), a0 & namespaces ? ERR(EPERM) : ALLOW);
			assert_int_equal(run(&progs[p], NR_unshare, a),
					 a[0] & ~UINT64_C(0x40600) ? ERR(EPERM) : ALLOW);
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
			assert_int_equal(run(&progs[p], NR_prlimit64, a), a0 == 0 ? ALLOW : process);
			assert_int_equal(run(&progs[p], NR_setpriority, a), a0 == 0 && a1 == 0 ? ALLOW : process);
			assert_int_equal(run(&progs[p], NR_ioprio_set, a), a0 == 1 && a1 == 0 ? ALLOW : process);
		}
	}
}

/* ---- self-filters ------------------------------------------------------------------------------- */

static void selffilters(void **state)
{
	static const int list[] = { NR_read, NR_write, NR_exit_group, NR_read, NR_openat2 };
	static const int unknown[] = { NR_read, 400 };
	struct sock_fprog kills = { 0 }, errs = { 0 }, none = { 0 };

	(void)state;
	assert_int_equal(selffilter_build(list, ARRAY_LEN(list), SELFFILTER_KILL, &kills), 0);
	assert_int_equal(selffilter_build(list, ARRAY_LEN(list), SELFFILTER_EPERM, &errs), 0);
	for (int nr = -1; nr < 700; nr++) {
		bool listed = nr == NR_read || nr == NR_write || nr == NR_exit_group || nr == NR_openat2;

		assert_int_equal(run(&kills, nr, NULL), listed ? ALLOW : KILL);
		assert_int_equal(run(&errs, nr, NULL), listed ? ALLOW : ERR(EPERM));
	}
	assert_int_equal(run(&errs, X32 | NR_read, NULL), KILL);
	assert_int_equal(selffilter_build(unknown, ARRAY_LEN(unknown), SELFFILTER_KILL, &none), -EINVAL);
	assert_null(none.filter);
	assert_int_equal(selffilter_build(NULL, 0, SELFFILTER_KILL, &none), 0);
	assert_int_equal(run(&none, NR_exit_group, NULL), KILL);
	filter_free(&kills);
	filter_free(&errs);
	filter_free(&none);
	filter_free(&none);
}

/* ---- the kernel -------------------------------------------------------------------------------- */

/* Makes one call under PROG in a child: its errno, 0, or minus the signal that ended it. */
static int live(const struct sock_fprog *prog, bool compat, long nr, long a0, long a1)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		long r;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, prog) < 0)
			_exit(200);
		if (compat)
			__asm__ volatile("int $0x80" : "=a"(r) : "0"(nr), "b"(a0), "c"(a1) : "memory");
		else
			r = syscall(nr, a0, a1, 0, 0, 0, 0);
		_exit(r == -1 ? errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void in_the_kernel(void **state)
{
	(void)state;
	if (live(&progs[NATIVE], false, NR_getppid, 0, 0) == 200) {
		print_message("skip: this host refuses seccomp filters\n");
		skip();
	}
	assert_int_equal(live(&progs[NATIVE], false, NR_getppid, 0, 0), 0);
	assert_int_equal(live(&progs[BARE], false, NR_getppid, 0, 0), 0);
	assert_int_equal(live(&progs[NATIVE], false, NR_bpf, -1, 0), EPERM);
	assert_int_equal(live(&progs[NATIVE], false, NR_clone3, 0, 0), ENOSYS);
	assert_int_equal(live(&progs[NATIVE], false, 600, 0, 0), ENOSYS);
	assert_int_equal(live(&progs[NATIVE], false, NR_ioctl, -1, TIOCSTI), EPERM);
	assert_int_equal(live(&progs[NATIVE], false, NR_ioctl, -1, (long)(HIGH | TIOCSTI)), EPERM);
	assert_int_equal(live(&progs[NATIVE], false, NR_ioctl, -1, TCGETS), EBADF);
	assert_int_equal(live(&progs[NATIVE], false, NR_unshare, CLONE_NEWUSER, 0), EPERM);
	assert_int_equal(live(&progs[BARE], false, NR_prctl, PR_SET_DUMPABLE, 0), 0);
	assert_int_equal(live(&progs[NATIVE], false, X32 | NR_getppid, 0, 0), -SIGSYS);
	assert_int_equal(live(&progs[NATIVE], true, 64 /* i386 getppid */, 0, 0), -SIGSYS);
	/* No listener: what would be notified fails. */
	assert_int_equal(live(&progs[EMULATED], false, NR_chdir, 0, 0), ENOSYS);
}

static double ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Told, not judged: what a build costs and how long the programs are. */
static void cost(void **state)
{
	double best = 1e9;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct sock_fprog prog = { 0 };
		double start = ms();

		assert_int_equal(filter_build(&plans[BARE], &prog), 0);
		best = ms() - start < best ? ms() - start : best;
		filter_free(&prog);
	}
	print_message("filter_build: %.2f ms at best; %u instructions native, %u bare\n", best, progs[NATIVE].len,
		      progs[BARE].len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases),	 cmocka_unit_test(other_architectures), cmocka_unit_test(x32),
		cmocka_unit_test(unknown_numbers), cmocka_unit_test(rows),		cmocka_unit_test(model_opens),
		cmocka_unit_test(model_ioctls),	 cmocka_unit_test(model_sockets),	cmocka_unit_test(model_numbers),
		cmocka_unit_test(selffilters),	 cmocka_unit_test(in_the_kernel),	cmocka_unit_test(cost),
	};

	return cmocka_run_group_tests_name("filter", tests, setup, teardown);
}
