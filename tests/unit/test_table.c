/*
 * The table keeps its own rules: numbers are the kernel's, every number has a row, and class, family,
 * arguments, handler and note of a row go together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "nr.h"
#include "plan.h"
#include "table.h"
#include "util/err.h"

/* ---- numbers, while compiling ------------------------------------------------------------------- */

/* Names newer than Linux 6.1, the oldest headers gabion is built with: where a header lacks one, this second
 * writing of its number is what the row is compared with. */
#ifndef __NR_uretprobe
#define __NR_uretprobe 335
#endif
#ifndef __NR_uprobe
#define __NR_uprobe 336
#endif
#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __NR_map_shadow_stack
#define __NR_map_shadow_stack 453
#endif
#ifndef __NR_futex_wake
#define __NR_futex_wake 454
#endif
#ifndef __NR_futex_wait
#define __NR_futex_wait 455
#endif
#ifndef __NR_futex_requeue
#define __NR_futex_requeue 456
#endif
#ifndef __NR_statmount
#define __NR_statmount 457
#endif
#ifndef __NR_listmount
#define __NR_listmount 458
#endif
#ifndef __NR_lsm_get_self_attr
#define __NR_lsm_get_self_attr 459
#endif
#ifndef __NR_lsm_set_self_attr
#define __NR_lsm_set_self_attr 460
#endif
#ifndef __NR_lsm_list_modules
#define __NR_lsm_list_modules 461
#endif
#ifndef __NR_mseal
#define __NR_mseal 462
#endif
#ifndef __NR_setxattrat
#define __NR_setxattrat 463
#endif
#ifndef __NR_getxattrat
#define __NR_getxattrat 464
#endif
#ifndef __NR_listxattrat
#define __NR_listxattrat 465
#endif
#ifndef __NR_removexattrat
#define __NR_removexattrat 466
#endif
#ifndef __NR_open_tree_attr
#define __NR_open_tree_attr 467
#endif
#ifndef __NR_file_getattr
#define __NR_file_getattr 468
#endif
#ifndef __NR_file_setattr
#define __NR_file_setattr 469
#endif

#define SYS(nr, name, class, family, in, args, handler, note)                                                \
	_Static_assert(__NR_##name == (nr), #name " has another number");
#include "syscalls.tbl"
#undef SYS

/* ---- rows --------------------------------------------------------------------------------------- */

/* Calls F for every row, with what to say if it fails. */
#define FOR_ROWS(row)                                                                                        \
	for (int nr_ = 0; nr_ < table_end; nr_++)                                                            \
		for (const struct sys_row *row = table_row(nr_); row != NULL; row = NULL)

#define ROW_ASSERT(row, condition)                                                                           \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			fail_msg("%d %s: not so: %s", (row)->nr, (row)->name, #condition);                   \
	} while (0)

static bool has_handler(const struct sys_row *row)
{
	return strcmp(row->handler, "none") != 0;
}

static bool notified(const struct sys_row *row)
{
	return row->class == CLASS_SCALAR || row->class == CLASS_RECHECK || row->class == CLASS_EMULATE;
}

static bool refused(const struct sys_row *row)
{
	return row->class == CLASS_KILL || row->class == CLASS_EPERM || row->class == CLASS_ENOSYS;
}

/* 0 to 336 and 424 to 469, Linux 6.18; the kernel keeps 337 to 423 free. */
static void every_number(void **state)
{
	int rows = 0;

	(void)state;
	assert_int_equal(table_end, 470);
	for (int nr = 0; nr < table_end; nr++) {
		const struct sys_row *row = table_row(nr);

		if (nr > 336 && nr < 424) {
			assert_null(row);
			continue;
		}
		if (row == NULL)
			fail_msg("%d has no row", nr);
		else
			assert_int_equal(row->nr, nr);
		rows++;
	}
	assert_int_equal(rows, 337 + 46);
	assert_null(table_row(-1));
	assert_null(table_row(table_end));
	assert_null(table_row(INT32_MIN));
	assert_null(table_row(INT32_MAX));
}

static void names(void **state)
{
	(void)state;
	FOR_ROWS(row)
	{
		ROW_ASSERT(row, table_by_name(row->name) == row);
	}
	assert_int_equal(table_by_name("openat2")->nr, NR_openat2);
	assert_null(table_by_name("openat3"));
	assert_null(table_by_name(""));
}

static void words(void **state)
{
	(void)state;
	for (int i = 0; i < CLASS_COUNT; i++)
		assert_string_not_equal(table_class_name((enum sys_class)i), "?");
	for (int i = 0; i < FAM_COUNT; i++)
		assert_string_not_equal(table_family_name((enum family)i), "?");
	for (int i = 0; i < ARG_COUNT; i++)
		assert_string_not_equal(table_arg_name((enum arg_kind)i), "?");
	assert_string_equal(table_class_name(CLASS_COUNT), "?");
	assert_string_equal(table_family_name((enum family) - 1), "?");
	assert_string_equal(table_arg_name(ARG_COUNT), "?");
}

static void handlers(void **state)
{
	static const char *const files[] = {"fs_open", "fs_meta", "fs_change", "fs_watch", "fs_list",
					    "process", "exec",	  "net",       "denied", "fd",      "ring"};

	(void)state;
	FOR_ROWS(row)
	{
		bool known = false;

		ROW_ASSERT(row, has_handler(row) == notified(row));
		if (!has_handler(row))
			continue;
		/* FILE_SYSCALL. */
		for (size_t i = 0; i < ARRAY_LEN(files); i++) {
			char name[96];

			(void)snprintf(name, sizeof(name), "%s_%s", files[i], row->name);
			known = known || strcmp(name, row->handler) == 0;
		}
		ROW_ASSERT(row, known);
	}
}

static void notes(void **state)
{
	(void)state;
	FOR_ROWS(row)
	{
		ROW_ASSERT(row, row->note != NULL);
		if (refused(row))
			ROW_ASSERT(row, row->note[0] != '\0');
	}
}

/* Families that no rule of the policy speaks of have no key, all others have one. */
static void families(void **state)
{
	(void)state;
	FOR_ROWS(row)
	{
		bool judged = row->family != FAM_NONE && row->family != FAM_DENIED;

		ROW_ASSERT(row, judged == (plan_key_of(row) < PLAN_COUNT));
		/* A refusal is nobody's to grant; what is notified must be somebody's to judge. */
		if (refused(row))
			ROW_ASSERT(row, !judged);
		if (notified(row))
			ROW_ASSERT(row, judged || row->family == FAM_DENIED);
		/* Allowed by class: only listing, which a plan may still deny, and entering a ring that was given. */
		if (row->class == CLASS_ALLOW)
			ROW_ASSERT(row, row->family == FAM_NONE || row->family == FAM_LIST || row->family == FAM_RING);
	}
}

static bool pointer(enum arg_kind a)
{
	switch (a) {
	case ARG_PATH:
	case ARG_STR:
	case ARG_ARGV:
	case ARG_IN:
	case ARG_OUT:
	case ARG_INOUT:
	case ARG_SOCKADDR:
	case ARG_MSGHDR:
	case ARG_HOW:
	case ARG_ADDR:
		return true;
	case ARG_NONE:
	case ARG_INT:
	case ARG_FLAGS:
	case ARG_MODE:
	case ARG_ID:
	case ARG_PID:
	case ARG_SIG:
	case ARG_LEN:
	case ARG_OFF:
	case ARG_FD:
	case ARG_DIRFD:
	case ARG_COUNT:
		break;
	}
	return false;
}

/* A SCALAR row may be continued because of what was read: so there is nothing in it that another thread could
 * change. Memory the kernel only writes (ARG_OUT) is nothing a handler could have read. */
static void scalar_rows(void **state)
{
	(void)state;
	FOR_ROWS(row)
	{
		if (row->class != CLASS_SCALAR)
			continue;
		for (int i = 0; i < row->nargs; i++) {
			enum arg_kind a = (enum arg_kind)row->arg[i];

			ROW_ASSERT(row, !pointer(a) || a == ARG_OUT);
			ROW_ASSERT(row, a != ARG_FD && a != ARG_DIRFD && a != ARG_PID);
		}
	}
}

/* RECHECK stands for the two families whose result a stop can verify; what makes something to execute is
 * performed. */
static void recheck_rows(void **state)
{
	(void)state;
	FOR_ROWS(row)
	{
		if (row->class == CLASS_RECHECK)
			ROW_ASSERT(row, row->family == FAM_EXEC || row->family == FAM_CHDIR);
		if (row->family == FAM_EXEC || row->family == FAM_CHDIR)
			ROW_ASSERT(row, row->class == CLASS_RECHECK || row->nr == NR_memfd_create);
	}
}

/* What names an object is never merely allowed: a path, an address, or another process to act upon. */
static void allowed_rows(void **state)
{
	/* Reads about a process; children and groups; who waits. The kernel's own checks are the rule there.
	 */
	static const int about_pids[] = {NR_wait4,
					 NR_setpgid,
					 NR_getpgid,
					 NR_getsid,
					 NR_getpriority,
					 NR_sched_getparam,
					 NR_sched_getscheduler,
					 NR_sched_rr_get_interval,
					 NR_sched_getaffinity,
					 NR_waitid,
					 NR_ioprio_get,
					 NR_sched_getattr};

	(void)state;
	FOR_ROWS(row)
	{
		if (row->class != CLASS_ALLOW)
			continue;
		for (int i = 0; i < row->nargs; i++) {
			enum arg_kind a = (enum arg_kind)row->arg[i];
			bool listed = false;

			ROW_ASSERT(row, a != ARG_PATH && a != ARG_DIRFD && a != ARG_SOCKADDR &&
						a != ARG_MSGHDR && a != ARG_HOW && a != ARG_ARGV);
			for (size_t k = 0; k < ARRAY_LEN(about_pids); k++)
				listed = listed || about_pids[k] == row->nr;
			ROW_ASSERT(row, a != ARG_PID || listed);
		}
	}
}

/* A path hangs off the descriptor before it; an address has its length behind it; nothing follows the last.
 */
static void arguments(void **state)
{
	(void)state;
	FOR_ROWS(row)
	{
		ROW_ASSERT(row, row->nargs <= SYS_ARGS_MAX);
		for (int i = 0; i < SYS_ARGS_MAX; i++) {
			ROW_ASSERT(row, (i < row->nargs) == (row->arg[i] != ARG_NONE));
			ROW_ASSERT(row, row->arg[i] < ARG_COUNT);
			if (row->arg[i] == ARG_DIRFD)
				ROW_ASSERT(row, i + 1 < row->nargs && row->arg[i + 1] == ARG_PATH);
			if (row->arg[i] == ARG_SOCKADDR)
				ROW_ASSERT(row, i + 1 < row->nargs && row->arg[i + 1] == ARG_LEN);
		}
	}
}

/* Interrupted while they wait to be taken up, these would fail in ways they never do: DESIGN section 3. */
static void never_notified(void **state)
{
	static const int list[] = {NR_close,	  NR_fork,	   NR_vfork, NR_clone, NR_exit,
				   NR_exit_group, NR_read,	   NR_write, NR_futex, NR_mmap,
				   NR_munmap,	  NR_rt_sigreturn, NR_dup2,  NR_poll};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		assert_int_equal(table_row(list[i])->class, CLASS_ALLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number),	  cmocka_unit_test(names),
		cmocka_unit_test(words),	  cmocka_unit_test(handlers),
		cmocka_unit_test(notes),	  cmocka_unit_test(families),
		cmocka_unit_test(scalar_rows),	  cmocka_unit_test(recheck_rows),
		cmocka_unit_test(allowed_rows),	  cmocka_unit_test(arguments),
		cmocka_unit_test(never_notified),
	};

	return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
