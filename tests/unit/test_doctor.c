/* What doctor makes of hosts: each case is a host that answered, and what must be found on it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "monitor/doctor.h"
#include "util/err.h"

/* Debian 13 or newer for an ordinary user: nothing missing. */
static struct doctor_facts good(void)
{
	return (struct doctor_facts){
		.major = 6,
		.minor = 18,
		.release = "6.18.0",
		.idmap_err = DOCTOR_UNTRIED,
		.max_userns = 15000,
		.userns_clone = DOCTOR_UNKNOWN,
		.apparmor_userns = DOCTOR_UNKNOWN,
		.landlock_abi = 7,
		.yama = DOCTOR_UNKNOWN,
		.cgroup = 2,
		.cgroup_writable = true,
		.cgroup_memory = true,
		.cgroup_cpu = true,
		.cgroup_pids = true,
		.cgroup_kill = true,
	};
}

static void without_userns(struct doctor_facts *f, int err)
{
	f->userns_err = err;
	f->map_err = f->namespaces_err = f->proc_err = f->mount_api_err = f->nested_memory_err =
		DOCTOR_UNTRIED;
}

static struct doctor_report judge(const struct doctor_facts *f)
{
	struct doctor_report r;

	doctor_judge(f, &r);
	/* A problem is told with all of its texts, and only where something is missing. */
	for (int c = 0; c < CHECK_COUNT; c++) {
		const struct doctor_finding *x = &r.check[c];
		assert_true((x->problem != DOCTOR_OK) ==
			    (x->state == STATE_MISSING || x->state == STATE_PARTIAL));
		assert_true(x->problem == DOCTOR_OK || doctor_cure(x->problem)[0]);
	}
	assert_true(r.can_run == (r.blocker == DOCTOR_OK));
	return r;
}

static void test_good(void **state)
{
	struct doctor_facts f = good();
	struct doctor_report r = judge(&f);

	(void)state;
	assert_true(r.can_run);
	assert_int_equal(r.mode, FLOOR_ROOTLESS);
	for (int c = 0; c < CHECK_COUNT; c++)
		assert_int_equal(r.check[c].problem, DOCTOR_OK);
	f.root = true;
	f.idmap_err = 0;
	r = judge(&f);
	assert_int_equal(r.mode, FLOOR_ROOT);
	f.idmap_err = EINVAL;
	r = judge(&f);
	assert_true(r.can_run);
	assert_int_equal(r.check[CHECK_IDMAP].problem, DOCTOR_IDMAP_NONE);
}

static void test_ubuntu(void **state)
{
	/* The namespace is made and its rights are taken away. */
	struct doctor_facts f = good();
	struct doctor_report r;

	(void)state;
	f.apparmor_userns = 1;
	f.map_err = EPERM;
	f.namespaces_err = f.proc_err = f.mount_api_err = f.nested_memory_err = DOCTOR_UNTRIED;
	r = judge(&f);
	assert_true(r.can_run);
	assert_int_equal(r.mode, FLOOR_BARE);
	assert_int_equal(r.check[CHECK_USERNS].problem, DOCTOR_USERNS_APPARMOR);
	/* The same with a profile for gabion in place: the sysctl alone says nothing. */
	f = good();
	f.apparmor_userns = 1;
	r = judge(&f);
	assert_int_equal(r.mode, FLOOR_ROOTLESS);
	assert_int_equal(r.check[CHECK_USERNS].problem, DOCTOR_OK);
}

static void test_userns(void **state)
{
	static const struct {
		int err;
		long max, clone;
		int seccomp;
		enum doctor_problem problem;
	} cases[] = {
		{ENOSPC, 0, DOCTOR_UNKNOWN, 0, DOCTOR_USERNS_MAX},
		{ENOSPC, 15000, DOCTOR_UNKNOWN, 0, DOCTOR_USERNS_MAX},
		{EPERM, 15000, 0, 0, DOCTOR_USERNS_CLONE},
		{EPERM, 15000, 1, 0, DOCTOR_USERNS_REFUSED},
		{EPERM, 15000, DOCTOR_UNKNOWN, 2, DOCTOR_CONTAINER_FILTER},
		{ENOSYS, 15000, DOCTOR_UNKNOWN, 2, DOCTOR_CONTAINER_FILTER},
		{EINVAL, DOCTOR_UNKNOWN, DOCTOR_UNKNOWN, 0, DOCTOR_USERNS_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct doctor_facts f = good();
		struct doctor_report r;

		without_userns(&f, cases[i].err);
		f.max_userns = cases[i].max;
		f.userns_clone = cases[i].clone;
		f.seccomp_mode = cases[i].seccomp;
		r = judge(&f);
		if (r.check[CHECK_USERNS].problem != cases[i].problem || !r.can_run || r.mode != FLOOR_BARE)
			fail_msg("case %zu: %s", i, doctor_name(r.check[CHECK_USERNS].problem));
		assert_int_equal(r.check[CHECK_PROC].state, STATE_UNUSED);
		/* Without namespaces Landlock is what is left. */
		f.landlock_abi = 0;
		f.landlock_err = EOPNOTSUPP;
		r = judge(&f);
		assert_false(r.can_run);
		assert_int_equal(r.blocker, DOCTOR_LANDLOCK_OFF);
	}
}

static void test_container_proc(void **state)
{
	struct doctor_facts f = good();
	struct doctor_report r;

	(void)state;
	f.proc_err = EPERM;
	r = judge(&f);
	assert_true(r.can_run);
	assert_int_equal(r.mode, FLOOR_BARE);
	assert_int_equal(r.check[CHECK_PROC].problem, DOCTOR_PROC_REFUSED);
}

static void test_listener(void **state)
{
	static const struct {
		int filter, listener;
		bool wsl;
		enum doctor_problem problem;
	} cases[] = {
		{0, EBUSY, false, DOCTOR_LISTENER_BUSY},
		{0, EBUSY, true, DOCTOR_LISTENER_WSL},
		{0, EINVAL, false, DOCTOR_NOTIFY_NONE},
		{EINVAL, EINVAL, false, DOCTOR_SECCOMP_NONE},
		{EPERM, EPERM, false, DOCTOR_NOTIFY_REFUSED},
		{0, EPERM, false, DOCTOR_NOTIFY_REFUSED},
		{DOCTOR_UNTRIED, DOCTOR_UNTRIED, false, DOCTOR_NOTIFY_REFUSED},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct doctor_facts f = good();
		struct doctor_report r;

		f.filter_err = cases[i].filter;
		f.listener_err = cases[i].listener;
		f.wsl = cases[i].wsl;
		r = judge(&f);
		assert_false(r.can_run);
		if (r.blocker != cases[i].problem)
			fail_msg("case %zu: %s", i, doctor_name(r.blocker));
	}
}

static void test_yama(void **state)
{
	struct doctor_facts f = good();
	struct doctor_report r;

	(void)state;
	/* 2: fine with user namespaces, the end without. */
	f.yama = 2;
	f.memory_err = EPERM;
	r = judge(&f);
	assert_true(r.can_run);
	without_userns(&f, EPERM);
	r = judge(&f);
	assert_false(r.can_run);
	assert_int_equal(r.blocker, DOCTOR_YAMA_2);
	/* 3: the end. */
	f = good();
	f.yama = 3;
	f.memory_err = f.nested_memory_err = EPERM;
	r = judge(&f);
	assert_false(r.can_run);
	assert_int_equal(r.blocker, DOCTOR_YAMA_3);
	/* No Yama and yet refused. */
	f = good();
	f.nested_memory_err = EPERM;
	r = judge(&f);
	assert_int_equal(r.blocker, DOCTOR_MEMORY_REFUSED);
}

static void test_old_kernels(void **state)
{
	struct doctor_facts f = good();
	struct doctor_report r;

	(void)state;
	/* Debian 12 */
	f.major = 6;
	f.minor = 1;
	f.sync_wake_up_err = EINVAL;
	f.landlock_abi = 2;
	r = judge(&f);
	assert_true(r.can_run);
	assert_int_equal(r.check[CHECK_SYNC_WAKE_UP].problem, DOCTOR_SYNC_WAKE_UP);
	assert_int_equal(r.check[CHECK_LANDLOCK].state, STATE_PARTIAL);
	assert_non_null(strstr(r.check[CHECK_LANDLOCK].detail, "version 2, without truncate, TCP"));
	/* too old */
	f.major = 5;
	f.minor = 8;
	r = judge(&f);
	assert_false(r.can_run);
	assert_int_equal(r.blocker, DOCTOR_KERNEL_OLD);
	/* 5.10: no Landlock, no new mount calls */
	f = good();
	f.major = 5;
	f.minor = 10;
	f.mount_api_err = ENOSYS;
	f.landlock_abi = 0;
	f.landlock_err = ENOSYS;
	r = judge(&f);
	assert_int_equal(r.check[CHECK_MOUNT_API].problem, DOCTOR_MOUNT_API_NONE);
	assert_false(r.can_run);
	assert_int_equal(r.blocker, DOCTOR_LANDLOCK_NONE);
}

static void test_cgroups(void **state)
{
	struct doctor_facts f = good();
	struct doctor_report r;

	(void)state;
	f.cgroup_writable = false;
	r = judge(&f);
	assert_int_equal(r.check[CHECK_CGROUP].problem, DOCTOR_CGROUP_READONLY);
	f.cgroup = 12;
	r = judge(&f);
	assert_int_equal(r.check[CHECK_CGROUP].problem, DOCTOR_CGROUP_V1);
	f.cgroup = 0;
	r = judge(&f);
	assert_int_equal(r.check[CHECK_CGROUP].problem, DOCTOR_CGROUP_NONE);
	f = good();
	f.cgroup_cpu = false;
	r = judge(&f);
	assert_int_equal(r.check[CHECK_CGROUP].problem, DOCTOR_CGROUP_CONTROLLERS);
	assert_true(r.can_run);
}

/* Each text is there, is one line, and each name is another's not. */
static void test_texts(void **state)
{
	(void)state;
	for (int p = DOCTOR_OK + 1; p < DOCTOR_PROBLEM_COUNT; p++) {
		enum doctor_problem q = (enum doctor_problem)p;
		assert_true(doctor_cause(q)[0] && doctor_cost(q)[0] && doctor_cure(q)[0]);
		assert_null(strchr(doctor_cause(q), '\n'));
		assert_null(strchr(doctor_cure(q), '\n'));
		for (int o = 0; o < p; o++)
			assert_string_not_equal(doctor_name(q), doctor_name((enum doctor_problem)o));
	}
	for (int c = 0; c < CHECK_COUNT; c++)
		assert_true(doctor_check_name((enum doctor_check)c)[0] &&
			    doctor_check_title((enum doctor_check)c)[0]);
}

/* The probe itself: it works here, leaves no child, and changes nothing of this process. */
static void test_probe(void **state)
{
	struct doctor_facts f;

	(void)state;
	assert_int_equal(doctor_probe(&f), 0);
	assert_true(f.major >= 5 && f.release[0]);
	assert_int_not_equal(f.filter_err, DOCTOR_UNTRIED);
	assert_int_not_equal(f.listener_err, DOCTOR_UNTRIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),	    cmocka_unit_test(test_ubuntu),
		cmocka_unit_test(test_userns),	    cmocka_unit_test(test_container_proc),
		cmocka_unit_test(test_listener),    cmocka_unit_test(test_yama),
		cmocka_unit_test(test_old_kernels), cmocka_unit_test(test_cgroups),
		cmocka_unit_test(test_texts),	    cmocka_unit_test(test_probe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
