/*
 * The guest's filter, run through a small classic-BPF machine (filter_machine.h): what does the kernel answer
 * to (plan, architecture, number, six arguments)?
 *
 *   cases     written by hand, as in libseccomp's own simulator tests
 *   rows      every row against its class, and whether the kernel's bitmap would find it constant: a number
 *             that is allowed without a look at an argument
 *
 * and at the end the program is given to the running kernel. test_filter_values.c goes on with many values.
 */
#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policy/by_number.h"
#include "policy/export.h"
#include "selffilter.h"
#include "tests/unit/filter_machine.h"

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
	{ EMULATED, NR_getdents64, { 3 }, NOTIFY },
	{ NATIVE, NR_getdents64, { 3 }, ALLOW },
	{ DENYING, NR_getdents64, { 3 }, ERR(EACCES) },
	{ EMULATED, NR_fchmodat2, { FDCWD }, NOTIFY },
	{ EMULATED, NR_file_setattr, { FDCWD }, NOTIFY },
	{ NATIVE, NR_landlock_create_ruleset, { 0, 0, 1 }, NOTIFY },
	{ NATIVE, NR_mount, { 0 }, ERR(EPERM) },
	{ NATIVE, NR_bpf, { 0 }, ERR(EPERM) },
	{ NATIVE, NR_open_tree_attr, { 0 }, ERR(EPERM) },
	{ NATIVE, NR_clone3, { 0 }, ERR(ENOSYS) },
	{ NATIVE, NR_io_uring_setup, { 8 }, ERR(ENOSYS) },
	{ EMULATED, NR_io_uring_setup, { 8 }, NOTIFY },
	{ EMULATED, NR_io_uring_enter, { 8 }, ALLOW },
	{ EMULATED, NR_io_uring_register, { 3, 2 }, ALLOW },
	{ EMULATED, NR_io_uring_register, { 3, HIGH | 2 }, ALLOW },
	{ EMULATED, NR_io_uring_register, { 3, 0x80000002 }, ALLOW },
	{ EMULATED, NR_io_uring_register, { 3, 8 }, NOTIFY },
	{ EMULATED, NR_io_uring_register, { 3, 9 }, NOTIFY },
	{ EMULATED, NR_io_uring_register, { 3, 20 }, NOTIFY },
	{ DENYING, NR_io_uring_register, { 3, 2 }, ERR(ENOSYS) },
	{ OBSERVED, NR_io_uring_setup, { 8 }, ERR(ENOSYS) },
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
	{ NATIVE, NR_openat2, { FDCWD }, NOTIFY }, /* a mode in memory */
	{ NATIVE, NR_creat, { 0 }, ALLOW },

	/* Namespaces. */
	{ NATIVE, NR_clone, { SIGCHLD }, ALLOW },
	{ NATIVE, NR_clone, { CLONE_VM | CLONE_VFORK | SIGCHLD }, ALLOW },
	{ NATIVE, NR_clone, { 0x3d0f00 }, ALLOW }, /* a thread of glibc's */
	{ NATIVE, NR_clone, { CLONE_NEWUSER | SIGCHLD }, NOTIFY },
	{ NATIVE, NR_clone, { HIGH | CLONE_NEWUSER | SIGCHLD }, NOTIFY },
	{ NATIVE, NR_clone, { CLONE_NEWNS }, NOTIFY },
	{ NATIVE, NR_clone, { CLONE_NEWNET | CLONE_NEWPID }, NOTIFY },
	{ NATIVE, NR_unshare, { CLONE_FILES }, ALLOW },
	{ NATIVE, NR_unshare, { CLONE_FS | CLONE_FILES | CLONE_SYSVSEM }, ALLOW },
	{ NATIVE, NR_unshare, { CLONE_NEWUSER }, NOTIFY },
	{ NATIVE, NR_unshare, { CLONE_NEWTIME }, NOTIFY },
	{ NATIVE, NR_unshare, { HIGH | CLONE_FS }, NOTIFY },

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
	{ DENYING, NR_prlimit64, { 0, 4 }, ALLOW },
	{ EMULATED, NR_prlimit64, { 0, 4, 0x1000 }, NOTIFY },
	{ EMULATED, NR_prlimit64, { 0, HIGH | 4, 0x1000 }, NOTIFY },
	{ EMULATED, NR_setrlimit, { 4, 0x1000 }, ERR(0) },
	{ EMULATED, NR_setrlimit, { HIGH | 4, 0x1000 }, ERR(0) },
	{ EMULATED, NR_setrlimit, { 7, 0x1000 }, ALLOW },
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
	case NR_personality:
	case NR_prctl:
	case NR_ioctl:
	case NR_setrlimit:
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

/* Where the plan leaves all to the kernel: core dumps and set-id bits are told by value, a mode in memory, links and nodes not at all. */
static int native_answer(int nr)
{
	switch (nr) {
	case NR_prlimit64:
	case NR_open:
	case NR_openat:
	case NR_creat:
	case NR_chmod:
	case NR_fchmod:
	case NR_fchmodat:
	case NR_fchmodat2:
		return NOT_CONSTANT;
	case NR_openat2:
	case NR_mknod:
	case NR_mknodat:
	case NR_symlink:
	case NR_symlinkat:
	case NR_file_setattr:
	case NR_chown:
	case NR_lchown:
	case NR_fchown:
	case NR_fchownat:
		return NOTIFY;
	default:
		return ALLOW;
	}
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
			/* No plan but emulate gives a ring, and none is a way to one. */
			if (row->family == FAM_RING && plans[p].level[PLAN_RING] != LEVEL_EMULATE) {
				assert_int_equal(got, ERR(ENOSYS));
				continue;
			}
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
					assert_int_equal(got, native_answer(nr));
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

/* ---- the second stage -------------------------------------------------------------------------- */

/* An odd map: runs of every length, and more of them than a jump of eight bits reaches over. */
static uint32_t odd(const void *mask, int nr)
{
	uint32_t m = *(const uint32_t *)mask;

	return (uint32_t)nr * 2654435761u >> 24 & m ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | ((uint32_t)nr & m);
}

/* by_number_build() and libseccomp answer alike, to every number and architecture. */
static void second_stage(void **state)
{
	enum { END = 900 };
	const uint32_t masks[] = { 0, 1, 3, 0x80, 0xff }, rest = SECCOMP_RET_ERRNO | ENOSYS;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(masks); i++) {
		struct sock_fprog mine = { 0 }, theirs = { 0 };
		scmp_filter_ctx ctx;

		assert_int_equal(by_number_build(odd, &masks[i], END, rest, &mine), 0);
		assert_int_equal(export_ctx_new(rest, &ctx), 0);
		assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2), 0);
		for (int nr = END - 1; nr >= 0; nr--)
			if (odd(&masks[i], nr) != rest)
				assert_int_equal(seccomp_rule_add_exact_array(ctx, odd(&masks[i], nr), nr, 0, NULL), 0);
		assert_int_equal(export_prog(ctx, &theirs), 0);
		seccomp_release(ctx);
		for (int64_t nr = INT32_MIN; nr <= INT32_MAX; nr += nr > -5000 && nr < 5000 ? 1 : 999983) {
			struct seccomp_data d = data((int)nr, NULL);

			assert_int_equal(machine(&mine, &d, true), machine(&theirs, &d, true));
			if (nr >= 0 && nr < END)
				assert_int_equal(machine(&mine, &d, true), (int)odd(&masks[i], (int)nr));
			d.nr = (int)((uint32_t)nr | X32);
			assert_int_equal(machine(&mine, &d, true), machine(&theirs, &d, true));
			d.arch = AUDIT_ARCH_I386;
			assert_int_equal(machine(&mine, &d, true), KILL);
		}
		filter_free(&mine);
		filter_free(&theirs);
	}
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
	assert_int_equal(live(&progs[BARE], false, NR_prctl, PR_SET_DUMPABLE, 0), 0);
	assert_int_equal(live(&progs[NATIVE], false, X32 | NR_getppid, 0, 0), -SIGSYS);
	assert_int_equal(live(&progs[NATIVE], true, 64 /* i386 getppid */, 0, 0), -SIGSYS);
	/* No listener: what would be notified fails. */
	assert_int_equal(live(&progs[EMULATED], false, NR_chdir, 0, 0), ENOSYS);
	assert_int_equal(live(&progs[NATIVE], false, NR_unshare, CLONE_NEWUSER, 0), ENOSYS);
	assert_int_equal(live(&progs[NATIVE], false, NR_clone, CLONE_NEWUSER, 0), ENOSYS);
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
		cmocka_unit_test(cases),	   cmocka_unit_test(other_architectures),
		cmocka_unit_test(x32),		   cmocka_unit_test(unknown_numbers),
		cmocka_unit_test(rows),		   cmocka_unit_test(selffilters),
		cmocka_unit_test(second_stage),  cmocka_unit_test(in_the_kernel),
		cmocka_unit_test(cost),
	};

	return cmocka_run_group_tests_name("filter", tests, setup, teardown);
}
