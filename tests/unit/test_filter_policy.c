/*
 * From a policy to the filter's answers: rules and a floor are planned (plan.c), the plan compiled (filter.c, narrow.c, export.c)
 * and the program run by the machine of filter_machine.h. Every row of syscalls.tbl is asked, with arguments of many
 * values and with bits set above what the kernel looks at; the dump of the program is checked against the same answers.
 */
#include "filter_machine.h"

#include <stdio.h>
#include <sys/socket.h>

#include "plan.h"
#include "policy.h"
#include "policy/disasm.h"
#include "table.h"

#define VIEW  (FLOOR_VIEW | FLOOR_VIEW_NOEXEC | FLOOR_PIDNS | FLOOR_NETNS | FLOOR_IPCNS | FLOOR_USERNS | FLOOR_NNP | FLOOR_STDIO)
#define BARE_FLOOR (FLOOR_LANDLOCK_FS | FLOOR_LANDLOCK_TCP | FLOOR_NNP)

struct made {
	struct sock_fprog prog;
	struct plan plan;
};

static struct made make(const char *const *rules, uint32_t floor, bool all)
{
	struct plan_wish wish = { .mediate_all = all, .record_reads = (floor & FLOOR_VIEW_WRITES) == 0,
				  .list = LIST_WIDE };
	struct policy_builder *b;
	struct policy *p;
	struct made m = { .plan = PLAN_NULL };

	assert_int_equal(policy_builder_new(&b), 0);
	for (; *rules; rules += 2) {
		enum rule_kind kind = RULE_NONE;

		for (int k = 1; k < RULE_KIND_COUNT; k++)
			if (strcmp(rule_kind_name((enum rule_kind)k), rules[0]) == 0)
				kind = (enum rule_kind)k;
		assert_int_equal(policy_builder_add(b, kind, rules[1], "test"), 0);
	}
	assert_int_equal(policy_compile(b, &p), 0);
	plan_make(p, floor, &wish, &m.plan);
	assert_int_equal(filter_build(&m.plan, &m.prog), 0);
	policy_free(p);
	policy_builder_free(b);
	return m;
}

static const char *const plain[] = { "read", "/", "exec", "/", "write", "/w", "exec", "/w", NULL };
static const char *const hidden[] = { "read", "/", "exec", "/", "write", "/w", "hide", "/**/.env", NULL };
static const char *const nothing[] = { NULL };

/* A policy and a floor, a call, what the kernel answers. */
static void cases(void **state)
{
	static const struct {
		const char *const *rules;
		uint32_t floor;
		bool all;
		int nr;
		uint64_t args[6];
		int expect;
	} t[] = {
		/* The view holds what is read; what is written is performed. */
		{ plain, VIEW, false, NR_openat, { FDCWD, 0, O_RDONLY }, NOTIFY }, /* looked at for the record */
		{ plain, VIEW, false, NR_newfstatat, { FDCWD }, ALLOW },
		{ plain, VIEW, false, NR_statx, { FDCWD }, ALLOW },
		{ plain, VIEW, false, NR_unlink, { 0 }, NOTIFY },
		{ plain, VIEW, false, NR_kill, { 1, 9 }, ALLOW },
		{ plain, VIEW, false, NR_execve, { 0 }, NOTIFY },
		{ plain, VIEW, false, NR_bind, { 3 }, NOTIFY },
		{ plain, VIEW, true, NR_newfstatat, { FDCWD }, NOTIFY },
		{ plain, VIEW, true, NR_kill, { 1, 9 }, ALLOW },
		/* Where Landlock holds what is opened for writing: the kernel's, but for set-id bits, which memory may hold too,
		 * device nodes and links. */
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_openat, { FDCWD, 0, O_WRONLY | O_CREAT, 01777 }, ALLOW },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_openat, { FDCWD, 0, O_WRONLY | O_CREAT, 04755 }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_openat, { FDCWD, 0, O_RDWR | O_CREAT, 02755 }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_openat, { FDCWD, 0, O_RDWR | O_TMPFILE, HIGH | 06700 }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_openat, { FDCWD, 0, O_WRONLY, 04755 }, ALLOW },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_open, { 0, O_WRONLY | O_CREAT, 04755 }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_open, { 0, O_RDWR | O_TRUNC, 0 }, ALLOW },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_creat, { 0, 0755 }, ALLOW },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_creat, { 0, 02755 }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_openat2, { FDCWD }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_unlinkat, { FDCWD }, ALLOW },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_renameat2, { FDCWD }, ALLOW },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_chmod, { 0, 01777 }, ALLOW },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_chmod, { 0, 04000 }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_fchmod, { 3, 02000 }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_fchmodat, { FDCWD, 0, 06755 }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_fchmodat2, { FDCWD, 0, 04755 }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_fchmodat2, { FDCWD, 0, 0755 }, ALLOW },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_symlinkat, { 0 }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, false, NR_mknod, { 0, 0644 }, NOTIFY },
		{ plain, VIEW | FLOOR_VIEW_WRITES, true, NR_unlinkat, { FDCWD }, NOTIFY },
		{ hidden, VIEW | FLOOR_VIEW_WRITES, false, NR_unlinkat, { FDCWD }, NOTIFY },
		/* A glob is beyond every floor. */
		{ hidden, VIEW, false, NR_newfstatat, { FDCWD }, NOTIFY },
		{ hidden, VIEW, false, NR_inotify_add_watch, { 3 }, NOTIFY },
		/* Without namespaces others can be named. */
		{ plain, BARE_FLOOR, false, NR_kill, { 1, 9 }, NOTIFY },
		{ plain, BARE_FLOOR, false, NR_newfstatat, { FDCWD }, NOTIFY },
		{ plain, BARE_FLOOR, false, NR_ptrace, { 16, 1 }, ALLOW },
		{ plain, BARE_FLOOR, false, NR_shmget, { 0 }, ERR(ENOSYS) },
		{ plain, BARE_FLOOR, false, NR_fcntl, { 3, HIGH | F_SETOWN, 1 }, ERR(EPERM) },
		{ plain, VIEW, false, NR_fcntl, { 3, F_SETOWN, 1 }, ALLOW },
		/* Nothing enforces exec: refused by the filter. */
		{ plain, 0, false, NR_execve, { 0 }, ERR(EACCES) },
		{ nothing, VIEW, false, NR_execve, { 0 }, ERR(EACCES) },
		{ nothing, 0, false, NR_openat, { FDCWD, 0, O_RDONLY }, NOTIFY },
		{ nothing, 0, false, NR_mount, { 0 }, ERR(EPERM) },
		{ nothing, 0, false, NR_socket, { AF_VSOCK, SOCK_STREAM, 0 }, NOTIFY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct made m = make(t[i].rules, t[i].floor, t[i].all);
		int got = run(&m.prog, t[i].nr, t[i].args);

		if (got != t[i].expect)
			fail_msg("case %zu, %s: expected 0x%x, got 0x%x", i, table_row(t[i].nr)->name, (unsigned)t[i].expect,
				 (unsigned)got);
		filter_free(&m.prog);
	}
}

/* What a row may be answered with at all under PLAN, from its class and the level of its family alone. */
static bool permitted(const struct sys_row *row, const struct plan *plan, int got)
{
	enum plan_key key = plan_key_of(row);
	enum level level = key < PLAN_COUNT ? plan->level[key] : LEVEL_EMULATE;
	bool is_errno = ((uint32_t)got & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;

	switch (row->class) {
	case CLASS_KILL:
		return got == KILL;
	case CLASS_EPERM:
		return got == ERR(EPERM);
	case CLASS_ENOSYS:
		return got == ERR(ENOSYS);
	case CLASS_ALLOW:
		return got == ALLOW || is_errno || got == NOTIFY;
	case CLASS_SCALAR:
	case CLASS_RECHECK:
	case CLASS_EMULATE:
		if (row->family == FAM_OPEN) { /* the least strict of what its flags may mean */
			level = plan->level[PLAN_READ] > plan->level[PLAN_WRITE] ? plan->level[PLAN_READ] : plan->level[PLAN_WRITE];
		}
		/* Itself, or no address, is judged by value in calls that are notified else. */
		if (got == ALLOW && level != LEVEL_NATIVE)
			return strstr(row->note, "by value") != NULL || row->family == FAM_SEND ||
			       row->family == FAM_SOCKET;
		return got == ALLOW || got == NOTIFY || is_errno;
	case CLASS_COUNT:
		break;
	}
	return false;
}

/* Values that mean something to one call or another. */
static const uint64_t values[] = { 0, 1, 2, 3, 7, 9, 16, 35, 64, 0x40, 0x241, 0x4000, 0x10000000, 0x5412, 0x5423, 0x80000000,
				   0xffffffff, 0xffffff9c, UINT64_MAX };

static const struct {
	const char *const *rules;
	uint32_t floor;
	bool all;
} worlds[] = {
	{ plain, VIEW, false }, { plain, VIEW, true },	{ plain, BARE_FLOOR, false }, { plain, 0, false },
	{ hidden, VIEW, false }, { nothing, VIEW, false }, { nothing, 0, false },     { hidden, BARE_FLOOR, true },
	{ plain, VIEW | FLOOR_VIEW_WRITES, false },
};

/* Every row in every world, each argument at each value: never more than class and level allow. */
static void every_row(void **state)
{
	(void)state;
	for (size_t w = 0; w < ARRAY_LEN(worlds); w++) {
		struct made m = make(worlds[w].rules, worlds[w].floor, worlds[w].all);

		for (int nr = 0; nr < table_end; nr++) {
			const struct sys_row *row = table_row(nr);

			if (!row)
				continue;
			for (int a = 0; a < 6; a++)
				for (size_t v = 0; v < ARRAY_LEN(values); v++) {
					uint64_t args[6] = { 0 };
					int got;

					args[a] = values[v];
					got = run(&m.prog, nr, args);
					if (!permitted(row, &m.plan, got))
						fail_msg("world %zu: %s, argument %d = 0x%llx: 0x%x", w, row->name, a,
							 (unsigned long long)values[v], (unsigned)got);
				}
		}
		filter_free(&m.prog);
	}
}

/* Arguments the kernel takes as int: bits above them change nothing. The others are named here, whole. */
static void high_bits(void **state)
{
	static const struct {
		int nr;
		int arg;
	} whole[] = {
		{ NR_unshare, 0 }, { NR_prctl, 1 }, { NR_sendto, 4 },
	};

	(void)state;
	for (size_t w = 0; w < ARRAY_LEN(worlds); w++) {
		struct made m = make(worlds[w].rules, worlds[w].floor, worlds[w].all);

		for (int nr = 0; nr < table_end; nr++)
			for (int a = 0; table_row(nr) && a < 6; a++) {
				bool is_whole = false;

				for (size_t k = 0; k < ARRAY_LEN(whole); k++)
					is_whole = is_whole || (whole[k].nr == nr && whole[k].arg == a);
				for (size_t v = 0; !is_whole && v < ARRAY_LEN(values); v++) {
					uint64_t low[6] = { 0 }, high[6] = { 0 };

					low[a] = values[v] & UINT32_MAX;
					high[a] = low[a] | HIGH;
					if (run(&m.prog, nr, low) != run(&m.prog, nr, high))
						fail_msg("world %zu: %s, argument %d = 0x%llx: judged by more than an int", w,
							 table_row(nr)->name, a, (unsigned long long)low[a]);
				}
			}
		filter_free(&m.prog);
	}
}

/* The dump has a line for each instruction, every call that has a comparison of its own by name, and all its answers. */
static void dump(void **state)
{
	static const char *const words[] = { "load arch", "x86_64", "x32", "load nr", "notify", "allow", "kill", "errno EPERM",
					     "errno ENOSYS", " openat", " clone", " ioctl", "load arg1.low", "load arg0.high" };
	struct made m = make(plain, VIEW, false);
	char *text = NULL;
	size_t size = 0, lines = 0;
	FILE *f = open_memstream(&text, &size);
	struct sock_filter out_of_itself[] = { BPF_STMT(BPF_JMP | BPF_JA, 7), BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog bad = { .len = 2, .filter = out_of_itself };

	(void)state;
	assert_int_equal(disasm_print(f, &m.prog), 0);
	assert_int_equal(fclose(f), 0);
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, m.prog.len);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strstr(text, words[i]))
			fail_msg("the dump has no '%s'", words[i]);
	assert_null(strstr(text, "code 0x"));
	free(text);
	f = open_memstream(&text, &size);
	assert_int_equal(disasm_print(f, &bad), -EINVAL);
	(void)fclose(f);
	free(text);
	filter_free(&m.prog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cases),
		cmocka_unit_test(every_row),
		cmocka_unit_test(high_bits),
		cmocka_unit_test(dump),
	};

	return cmocka_run_group_tests_name("filter of a policy", tests, NULL, NULL);
}
