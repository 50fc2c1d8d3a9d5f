/*
 * Lists of system calls: what each leaves to be called, counted from the program itself, and the goals for it; and the values the narrow
 * one permits, through the machine of filter_machine.h.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "selffilter.h"
#include "surface.h"
#include "tests/unit/filter_machine.h"

#define VIEW  (FLOOR_VIEW | FLOOR_VIEW_NOEXEC | FLOOR_PIDNS | FLOOR_NETNS | FLOOR_IPCNS | FLOOR_USERNS | FLOOR_NNP | FLOOR_STDIO)
#define OTHER (FLOOR_LANDLOCK_FS | FLOOR_LANDLOCK_TCP | FLOOR_NNP | FLOOR_TRACER)

struct made {
	struct sock_fprog prog;
	struct plan plan;
};

/* As the profiles have it: strict reads some of the system, agent all of it. */
static struct made make(enum sys_list list, bool all, const char *read, uint32_t floor)
{
	struct plan_wish wish = {.mediate_all = all, .record_reads = true, .list = list};
	struct policy_builder *b;
	struct policy *p;
	struct made m = {.plan = PLAN_NULL};

	assert_int_equal(policy_builder_new(&b), 0);
	assert_int_equal(policy_builder_add(b, RULE_READ, read, "test"), 0);
	assert_int_equal(policy_builder_add(b, RULE_EXEC, "/", "test"), 0);
	assert_int_equal(policy_builder_add(b, RULE_WRITE, "/w", "test"), 0);
	assert_int_equal(policy_compile(b, &p), 0);
	plan_make(p, floor, &wish, &m.plan);
	assert_int_equal(filter_build(&m.plan, &m.prog), 0);
	policy_free(p);
	policy_builder_free(b);
	return m;
}

static struct surface count(const struct made *m)
{
	struct surface s;

	assert_int_equal(surface_guest(&m->prog, &m->plan, &s), 0);
	return s;
}

/*
 * The goals. strict: not more than a user-space kernel may make of its host's calls (96), most of those that take an argument with checked
 * ones; usual, with the rest as agent has it: at most 160. What the sentry sees and lets go on counts: it is the kernel that performs it.
 */
static void goals(void **state)
{
	struct made strict = make(LIST_NARROW, true, "/usr", VIEW | FLOOR_TRACER), agent = make(LIST_USUAL, false, "/", VIEW);
	struct made wide = make(LIST_WIDE, false, "/", VIEW), bare = make(LIST_NARROW, true, "/usr", OTHER);
	struct surface s = count(&strict), a = count(&agent), w = count(&wide), b = count(&bare);

	(void)state;
	assert_in_range(s.native + s.continued, 60, 96);
	assert_true(2 * s.checked > s.native - s.bare);
	assert_in_range(b.native + b.continued, 60, 96);
	assert_in_range(a.native + a.continued, 120, 160);
	assert_true(w.native + w.continued > 200);
	assert_int_equal(s.native + s.continued + s.performed + s.refused, w.native + w.continued + w.performed + w.refused);
	filter_free(&strict.prog);
	filter_free(&agent.prog);
	filter_free(&wide.prog);
	filter_free(&bare.prog);
}

/* Each list lies in the next, whatever the plan; what a list lacks is refused for every argument. */
static void nested(void **state)
{
	static const uint32_t floors[] = {VIEW, OTHER, 0};

	(void)state;
	for (size_t f = 0; f < ARRAY_LEN(floors); f++) {
		struct made m[LIST_COUNT];

		for (int l = 0; l < LIST_COUNT; l++)
			m[l] = make((enum sys_list)l, f == 0, "/", floors[f]);
		for (int nr = 0; nr < table_end; nr++) {
			struct surface_call c[LIST_COUNT];

			if (table_row(nr) == NULL)
				continue;
			for (int l = 0; l < LIST_COUNT; l++)
				assert_int_equal(surface_call(&m[l].prog, nr, &c[l]), 0);
			for (int l = 0; l + 1 < LIST_COUNT; l++) {
				assert_true(!c[l].allowed || c[l + 1].allowed);
				assert_true(!c[l].notified || c[l + 1].notified);
			}
			for (int l = 0; l < LIST_COUNT; l++)
				if ((int)table_row(nr)->list > l)
					assert_true(c[l].refused && !c[l].allowed && !c[l].notified && !c[l].looked);
		}
		for (int l = 0; l < LIST_COUNT; l++)
			filter_free(&m[l].prog);
	}
}

/* A call under the narrow list, and what the kernel is told. */
static void values(void **state)
{
	static const struct {
		int nr;
		uint64_t args[6];
		int expect;
	} t[] = {
		{ NR_read, { 0, 0, UINT64_MAX }, ALLOW },
		{ NR_io_setup, { 1 }, ERR(ENOSYS) },
		{ NR_ptrace, { 0 }, ERR(EPERM) },
		{ NR_setuid, { 0 }, ERR(EPERM) },
		{ NR_sched_setparam, { 0 }, ERR(EPERM) }, /* nor for the caller itself */
		{ NR_sched_setaffinity, { 0 }, ERR(ENOSYS) },
		{ NR_userfaultfd, { 0 }, ERR(EPERM) },
		{ NR_keyctl, { 0 }, ERR(ENOSYS) },
		{ NR_splice, { 0 }, ERR(EINVAL) },
		{ NR_name_to_handle_at, { 0 }, ERR(ENOSYS) },
		{ NR_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, 3, 0 }, ALLOW },
		{ NR_mmap, { 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK }, ALLOW },
		{ NR_mmap, { 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB }, ERR(EINVAL) },
		{ NR_mmap, { 0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED }, ERR(EINVAL) },
		{ NR_mmap, { 0, 4096, PROT_GROWSDOWN, MAP_PRIVATE | MAP_ANONYMOUS }, ERR(EINVAL) },
		{ NR_mmap, { 0, 4096, HIGH | PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS }, ERR(EINVAL) },
		{ NR_mprotect, { 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC }, ALLOW },
		{ NR_mprotect, { 0, 4096, PROT_GROWSDOWN | PROT_READ }, ERR(EINVAL) },
		{ NR_mremap, { 0, 1, 2, MREMAP_MAYMOVE }, ALLOW },
		{ NR_mremap, { 0, 1, 2, 4 | MREMAP_MAYMOVE }, ERR(EINVAL) },
		{ NR_madvise, { 0, 1, MADV_DONTNEED }, ALLOW },
		{ NR_madvise, { 0, 1, HIGH | MADV_DONTNEED }, ALLOW }, /* an int */
		{ NR_madvise, { 0, 1, 100 }, ERR(EINVAL) },	       /* MADV_HWPOISON */
		{ NR_madvise, { 0, 1, MADV_MERGEABLE }, ERR(EINVAL) },
		{ NR_futex, { 0, 128 }, ALLOW },
		{ NR_futex, { 0, 128 | 9 | 256 }, ALLOW },
		{ NR_futex, { 0, 6 }, ERR(ENOSYS) },	    /* FUTEX_LOCK_PI */
		{ NR_futex, { 0, HIGH | 128 | 11 }, ERR(ENOSYS) }, /* FUTEX_WAIT_REQUEUE_PI */
		{ NR_fcntl, { 0, F_SETFL }, ALLOW },
		{ NR_fcntl, { 0, F_DUPFD_CLOEXEC }, ALLOW },
		{ NR_fcntl, { 0, F_OFD_SETLKW }, ALLOW },
		{ NR_fcntl, { 0, F_SETOWN }, ERR(EINVAL) },
		{ NR_fcntl, { 0, F_NOTIFY }, ERR(EINVAL) },
		{ NR_fcntl, { 0, F_SETLEASE }, ERR(EINVAL) },
		{ NR_ioctl, { 0, TCGETS }, ALLOW },
		{ NR_ioctl, { 0, FIONBIO }, ALLOW },
		{ NR_ioctl, { 0, TIOCSTI }, ERR(EPERM) },
		{ NR_ioctl, { 0, HIGH | TIOCSTI }, ERR(EPERM) },
		{ NR_ioctl, { 0, 0xae01 }, ERR(ENOTTY) }, /* KVM_CREATE_VM */
		{ NR_ioctl, { 0, TIOCSETD }, ERR(EPERM) },
		{ NR_ioctl, { 0, 0x5501 }, ERR(ENOTTY) },
		{ NR_prctl, { PR_SET_NAME }, ALLOW },
		{ NR_prctl, { PR_SET_DUMPABLE, 0 }, ALLOW },
		{ NR_prctl, { PR_SET_DUMPABLE, 2 }, ERR(EINVAL) },
		{ NR_prctl, { PR_SET_SECCOMP, 2 }, ERR(EINVAL) },
		{ NR_prctl, { PR_SET_MM, 8 }, ERR(EPERM) },
		{ NR_clone, { 0x3d0f00 }, ALLOW },
		{ NR_clone, { 0x10000000 }, NOTIFY },
		{ NR_clock_gettime, { CLOCK_MONOTONIC }, ALLOW },
		{ NR_clock_gettime, { (uint64_t)-6 }, ALLOW },	       /* the caller's thread's processor time */
		{ NR_clock_gettime, { 0xfffffffb }, ERR(EINVAL) }, /* a device's: descriptor 0 */
		{ NR_clock_nanosleep, { CLOCK_REALTIME, 1 }, ALLOW },
		{ NR_clock_nanosleep, { (uint64_t)-6, 0 }, ERR(EINVAL) },
		{ NR_pipe2, { 0, O_CLOEXEC | O_NONBLOCK }, ALLOW },
		{ NR_pipe2, { 0, O_EXCL }, ERR(EINVAL) }, /* a watch queue */
		{ NR_setsockopt, { 3, SOL_SOCKET, SO_REUSEADDR }, ALLOW },
		{ NR_setsockopt, { 3, SOL_SOCKET, SO_ATTACH_FILTER }, ERR(ENOPROTOOPT) },
		{ NR_setsockopt, { 3, 6, 31 }, ERR(ENOPROTOOPT) }, /* TCP_ULP */
		{ NR_setsockopt, { 3, 0, 64 }, ERR(ENOPROTOOPT) }, /* IPT_SO_SET_REPLACE */
		{ NR_getsockopt, { 3, SOL_SOCKET, SO_ERROR }, ALLOW },
		{ NR_getsockopt, { 3, 263, 1 }, ERR(ENOPROTOOPT) }, /* SOL_PACKET */
		{ NR_recvmsg, { 3, 0, MSG_CMSG_CLOEXEC | MSG_DONTWAIT }, ALLOW },
		{ NR_recvmsg, { 3, 0, 0x4000000 }, ERR(EOPNOTSUPP) }, /* MSG_ZEROCOPY */
		{ NR_rt_sigaction, { 2, 0, 0, 8 }, ALLOW },
		{ NR_rt_sigaction, { 2, 0, 0, 16 }, ERR(EINVAL) },
		{ NR_set_robust_list, { 1, 24 }, ALLOW },
		{ NR_fallocate, { 3, 0, 0, 1 }, ALLOW },
		{ NR_fallocate, { 3, 8, 0, 1 }, ERR(EOPNOTSUPP) }, /* FALLOC_FL_COLLAPSE_RANGE */
		{ NR_prlimit64, { 0, 3, 1 }, ALLOW },
		{ NR_prlimit64, { 0, 4, 1 }, NOTIFY }, /* RLIMIT_CORE */
		{ NR_wait4, { 0, 0, 1 }, ALLOW },
		{ NR_wait4, { 0, 0, 0x80000000 }, ERR(EINVAL) },
		{ NR_openat, { FDCWD, 0, O_RDONLY }, NOTIFY },
		{ NR_sendto, { 3, 0, 0, 0, 0 }, ALLOW },
	};
	struct made m = make(LIST_NARROW, true, "/usr", VIEW | FLOOR_TRACER);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		int got = run(&m.prog, t[i].nr, t[i].args);

		if (got != t[i].expect)
			fail_msg("case %zu, %s: 0x%x instead of 0x%x", i, table_row(t[i].nr)->name, (unsigned int)got,
				 (unsigned int)t[i].expect);
	}
	filter_free(&m.prog);
	/* Where the sentry could not see a guest that is not dumpable, it stays so, under this list as well. */
	m = make(LIST_NARROW, true, "/usr", OTHER);
	assert_int_equal(run(&m.prog, NR_prctl, (const uint64_t[6]){PR_SET_DUMPABLE, 0}), ERR(0));
	assert_int_equal(run(&m.prog, NR_prctl, (const uint64_t[6]){PR_SET_DUMPABLE, 1}), ALLOW);
	filter_free(&m.prog);
}

/* A walk of the program never says less than a run of it. */
static void walk(void **state)
{
	static const uint64_t some[] = {0, 1, 2, 3, 4, 7, 8, 9, 16, 24, 64, 128, 137,
					0x5401, 0x5412, 0x80000, 0x10000000, UINT32_MAX, UINT64_MAX};
	struct made m = make(LIST_NARROW, false, "/", VIEW);

	(void)state;
	for (int nr = 0; nr < table_end; nr++) {
		struct surface_call c;

		if (table_row(nr) == NULL)
			continue;
		assert_int_equal(surface_call(&m.prog, nr, &c), 0);
		for (size_t i = 0; i < ARRAY_LEN(some); i++)
			for (int at = 0; at < 6; at++) {
				uint64_t args[6] = {0};
				int got;

				args[at] = some[i];
				got = run(&m.prog, nr, args);
				assert_true(got == ALLOW ? c.allowed : got == NOTIFY ? c.notified : c.refused);
			}
	}
	filter_free(&m.prog);
}

/* A list of our own processes', which looks at no argument. */
static void own_filters(void **state)
{
	static const int list[] = {NR_read, NR_write, NR_exit_group};
	struct sock_fprog prog;
	unsigned int allowed = 0;

	(void)state;
	assert_int_equal(selffilter_build(list, ARRAY_LEN(list), SELFFILTER_EPERM, &prog), 0);
	for (int nr = 0; nr < table_end; nr++) {
		struct surface_call c;

		assert_int_equal(surface_call(&prog, nr, &c), 0);
		assert_false(c.looked);
		allowed += c.allowed;
	}
	assert_int_equal(allowed, 3);
	filter_free(&prog);
	/* What is no such program. */
	struct sock_filter bad[] = {{BPF_ALU | BPF_DIV | BPF_K, 0, 0, 1}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
	struct sock_fprog wrong = {.len = 2, .filter = bad};
	struct surface_call c;

	assert_int_equal(surface_call(&wrong, 0, &c), -EINVAL);
	bad[0] = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, 7};
	assert_int_equal(surface_call(&wrong, 0, &c), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goals), cmocka_unit_test(nested), cmocka_unit_test(values),
		cmocka_unit_test(walk), cmocka_unit_test(own_filters),
	};

	return cmocka_run_group_tests_name("surface", tests, NULL, NULL);
}
