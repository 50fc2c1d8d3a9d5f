/* The plan as tables: facts, rules and wishes in, levels out; and what must never come out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plan.h"
#include "profile.h"
#include "util/err.h"

#define VIEW (FLOOR_VIEW | FLOOR_VIEW_NOEXEC | FLOOR_PIDNS | FLOOR_NETNS | FLOOR_IPCNS | FLOOR_USERNS)
#define BARE (FLOOR_LANDLOCK_FS | FLOOR_NNP)

/* Rules as "KIND PATTERN"; "private PATH" says what the floor made. */
static struct policy *make(const char *const *lines)
{
	struct policy_builder *b;
	struct policy *p;

	assert_int_equal(policy_builder_new(&b), 0);
	for (; *lines; lines++) {
		const char *space = strchr(*lines, ' ');
		enum rule_kind kind = RULE_NONE;

		if (strncmp(*lines, "private", 7) == 0) {
			assert_int_equal(policy_builder_private(b, space + 1), 0);
			continue;
		}
		for (int k = 1; k < RULE_KIND_COUNT; k++)
			if (strncmp(rule_kind_name((enum rule_kind)k), *lines, (size_t)(space - *lines)) == 0)
				kind = (enum rule_kind)k;
		assert_int_equal(policy_builder_add(b, kind, space + 1, *lines), 0);
	}
	assert_int_equal(policy_compile(b, &p), 0);
	policy_builder_free(b);
	return p;
}

enum { D = LEVEL_DENY, E = LEVEL_EMULATE, V = LEVEL_VERIFY, O = LEVEL_OBSERVE, N = LEVEL_NATIVE };

static void test_table(void **state)
{
	static const struct {
		const char *name;
		const char *rules[8];
		uint32_t floor;
		bool all, silent;
		/*                    rd wr me ch li cd ex wa so co bi se si pr */
		int level[PLAN_COUNT];
	} t[] = {
		{ "a view holds plain rules", { "read /", "exec /", "write /w" }, VIEW, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "nothing to record", { "read /", "exec /", "write /w" }, VIEW, false, true,
		  { N, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "nothing to record, writes held", { "read /", "exec /", "write /w" }, VIEW | FLOOR_VIEW_WRITES, false, true,
		  { N, N, N, N, N, N, O, N, O, E, E, E, N, N, N } },
		{ "writes held, but recorded", { "read /", "exec /", "write /w" }, VIEW | FLOOR_VIEW_WRITES, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "writes held, all mediated", { "read /", "exec /", "write /w" }, VIEW | FLOOR_VIEW_WRITES, true, true,
		  { E, E, E, E, E, N, O, N, O, E, E, E, N, N, N } },
		{ "a protected place inside", { "read /", "exec /", "write /w", "protect /w/p" }, VIEW | FLOOR_VIEW_WRITES, false, true,
		  { N, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "a protected place elsewhere", { "read /", "exec /", "write /w", "protect /p" }, VIEW | FLOOR_VIEW_WRITES, false, true,
		  { N, N, N, N, N, N, O, N, O, E, E, E, N, N, N } },
		{ "protected at every depth", { "read /", "exec /", "write /w", "protect /**/x" }, VIEW | FLOOR_VIEW_WRITES, false, true,
		  { N, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "protected and lifted", { "read /", "exec /", "write /w", "protect /**/x", "except /**/x" }, VIEW | FLOOR_VIEW_WRITES,
		  false, true, { N, N, N, N, N, N, O, N, O, E, E, E, N, N, N } },
		{ "keys inside", { "read /", "exec /", "write /w", "keys /w/c" }, VIEW | FLOOR_VIEW_WRITES, false, true,
		  { N, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "to be read only, inside", { "read /", "exec /", "write /w", "read /w/r" }, VIEW | FLOOR_VIEW_WRITES, false, true,
		  { N, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "to be read only, inside a private place", { "read /", "exec /", "write /h", "private /h", "read /h/r" },
		  VIEW | FLOOR_VIEW_WRITES, false, true, { N, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "hidden in a private place", { "read /", "exec /", "write /h", "private /h", "hide /h/s" },
		  VIEW | FLOOR_VIEW_WRITES, false, true, { N, N, N, N, N, N, O, N, O, E, E, E, N, N, N } },
		{ "a mask outside, writes held", { "read /", "exec /", "write /w", "hide /s" }, VIEW | FLOOR_VIEW_WRITES, false, true,
		  { N, N, N, N, N, N, O, N, O, E, E, E, N, N, N } },
		{ "mediate all", { "read /", "exec /", "write /w" }, VIEW, true, false,
		  { E, E, E, E, E, N, O, N, O, E, E, E, N, N, N } },
		{ "a mask outside", { "read /", "exec /", "write /w", "hide /s" }, VIEW, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "a hidden place inside", { "read /", "exec /", "write /w", "hide /w/s" }, VIEW, false, false,
		  { E, E, E, E, E, N, O, E, O, E, E, E, N, N, N } },
		{ "a hidden place inside a private one", { "read /", "exec /", "write /h", "private /h", "hide /h/s" }, VIEW, false,
		  false, { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "a workspace in the private place", { "read /", "exec /", "write /h", "private /h", "write /h/w", "hide /h/w/s" },
		  VIEW, false, false, { E, E, E, E, E, N, O, E, O, E, E, E, N, N, N } },
		{ "shown in the private place", { "read /", "exec /", "write /h", "private /h", "read /h/t", "hide /h/t/s" }, VIEW,
		  false, false, { E, E, E, E, E, N, O, E, O, E, E, E, N, N, N } },
		{ "a hide glob", { "read /", "exec /", "write /w", "hide /**/.env" }, VIEW, false, false,
		  { E, E, E, E, E, N, O, E, O, E, E, E, N, N, N } },
		{ "a floating hide of a path", { "read /", "exec /", "hide /s/**", "read /s/p" }, VIEW, false, false,
		  { E, E, E, E, E, N, O, E, O, E, E, E, N, N, N } },
		{ "a lifted hide glob", { "read /", "exec /", "hide /**/.env", "except /**/.env" }, VIEW, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "floating protect", { "read /", "exec /", "write /w", "protect /**/.git/hooks/**" }, VIEW, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "floating protect, nothing writable", { "read /", "exec /", "protect /**/.git/hooks/**" }, VIEW, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "protect inside", { "read /", "exec /", "write /w", "protect /w/p" }, VIEW, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "protect elsewhere", { "read /", "exec /", "write /w", "protect /p" }, VIEW, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "floating protect of a path above", { "read /", "exec /", "protect /p/**", "write /p/w" }, VIEW, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "read inside", { "read /", "exec /", "write /w", "read /w/ro" }, VIEW, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "read glob", { "read /", "exec /", "read /d/*.txt" }, VIEW, false, false,
		  { E, E, E, E, N, N, O, E, O, E, E, E, N, N, N } },
		{ "not all readable", { "read /usr", "exec /", "write /w" }, VIEW, false, false,
		  { E, E, E, E, N, N, O, E, O, E, E, E, N, N, N } },
		{ "not all executable", { "read /", "exec /usr", "write /w" }, VIEW, false, false,
		  { O, E, N, E, N, N, D, N, O, E, E, E, N, N, N } },
		{ "not all executable, with Landlock", { "read /", "exec /usr", "write /w" }, VIEW | FLOOR_LANDLOCK_FS, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "a hidden place lifted in part", { "read /", "exec /", "hide /s", "except /s/p" }, VIEW, false, false,
		  { E, E, E, E, E, N, O, E, O, E, E, E, N, N, N } },
		{ "lifted by what floats", { "read /", "exec /", "hide /s", "except /**/n" }, VIEW, false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "hidden in /proc", { "read /", "exec /", "write /proc", "private /proc", "hide /proc/cpuinfo" }, VIEW, false, false,
		  { E, E, E, E, E, N, O, E, O, E, E, E, N, N, N } },
		{ "exec glob", { "read /", "exec /", "exec /w/*.sh" }, VIEW | FLOOR_LANDLOCK_FS, false, false,
		  { O, E, N, E, N, N, D, N, O, E, E, E, N, N, N } },
		{ "exec glob and a tracer", { "read /", "exec /", "exec /w/*.sh" }, VIEW | FLOOR_TRACER, false, false,
		  { O, E, N, E, N, N, V, N, O, E, E, E, N, N, N } },
		{ "a program denied", { "read /", "exec /", "write /w", "deny-exec /usr/bin/sudo" }, VIEW | FLOOR_STDIO | FLOOR_TRACER,
		  false, false,
		  { O, E, N, E, N, N, O, N, O, E, E, E, N, N, N } },
		{ "a program denied where it may be written", { "read /", "exec /", "write /w", "exec /w", "deny-exec /w/x" },
		  VIEW | FLOOR_TRACER, false, false, { O, E, N, E, N, N, V, N, O, E, E, E, N, N, N } },
		{ "one denied by a pattern, no tracer", { "read /", "exec /", "deny-exec /usr/bin/su*" }, VIEW, false, false,
		  { O, E, N, E, N, N, D, N, O, E, E, E, N, N, N } },
		{ "a view without noexec", { "read /", "exec /", "write /w" }, FLOOR_VIEW, false, false,
		  { O, E, N, E, N, N, D, N, O, E, E, E, E, E, E } },
		{ "Landlock alone", { "read /", "exec /", "write /w", "exec /w" }, BARE, false, false,
		  { E, E, E, E, N, N, O, E, O, E, E, E, E, E, N } },
		{ "Landlock and a hidden place", { "read /", "exec /", "hide /s" }, BARE, false, false,
		  { E, E, E, E, N, N, O, E, O, E, E, E, E, E, N } },
		{ "Landlock and O_PATH", { "read /usr", "exec /usr" }, BARE, false, false,
		  { E, E, E, E, N, N, O, E, O, E, E, E, E, E, N } },
		{ "a write glob that must not execute", { "read /", "exec /", "write /d/*.x" }, VIEW | FLOOR_LANDLOCK_FS, false, false,
		  { E, E, E, E, N, N, O, E, O, E, E, E, N, N, N } },
		{ "a write glob that may", { "read /", "exec /", "write /*.x", "exec /usr" }, VIEW, false, false,
		  { E, E, E, E, N, N, O, E, O, E, E, E, N, N, N } },
		{ "Landlock and noexec below exec", { "read /", "exec /", "write /w" }, BARE, false, false,
		  { E, E, E, E, N, N, O, E, O, E, E, E, E, E, N } },
		{ "scoped signals", { "read /" }, FLOOR_LANDLOCK_SCOPE, false, false,
		  { E, E, E, E, N, N, D, E, O, E, E, E, E, E, E } },
		{ "no floor", { "read /", "exec /" }, 0, false, false, { E, E, E, E, N, N, D, E, O, E, E, E, E, E, E } },
		{ "no rules", { NULL }, VIEW, false, false, { E, E, E, E, N, N, D, E, O, E, E, E, N, N, N } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct plan_wish wish = { .mediate_all = t[i].all, .record_reads = !t[i].silent };
		struct policy *p = make(t[i].rules);
		struct plan plan;

		plan_make(p, t[i].floor, &wish, &plan);
		assert_int_equal(plan.floor, t[i].floor);
		for (int k = 0; k < PLAN_COUNT; k++) {
			assert_non_null(plan.why[k]);
			assert_true(plan.why[k][0] != '\0');
			if ((int)plan.level[k] != t[i].level[k])
				fail_msg("%s: %s is %s (%s)", t[i].name, plan_key_name((enum plan_key)k),
					 plan_level_name(plan.level[k]), plan.why[k]);
		}
		policy_free(p);
	}
}

/* What the built-in profiles come to on the floors there are. */
static void test_profiles(void **state)
{
	static const char *const ws[] = { "/home/u/ws", NULL };
	static const struct {
		const char *profile;
		bool view;
		int read, write, meta, exec;
	} t[] = {
		{ "agent", true, O, E, N, O },	{ "agent", false, E, E, E, O }, { "dev", true, E, E, E, O },
		{ "strict", true, E, E, E, O }, { "runner", true, O, E, N, O },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct profile_env env = { .home = t[i].view ? "/home/u" : "/state/home",
					   .workspaces = ws,
					   .scratch = "/scratch",
					   .view = t[i].view };
		struct plan_wish wish = { .record_reads = true };
		struct policy_builder *b;
		struct policy *p;
		struct plan plan;

		assert_int_equal(policy_builder_new(&b), 0);
		assert_int_equal(profile_add(b, t[i].profile, &env), 0);
		assert_int_equal(policy_compile(b, &p), 0);
		plan_make(p, t[i].view ? VIEW : BARE, &wish, &plan);
		if ((int)plan.level[PLAN_READ] != t[i].read || (int)plan.level[PLAN_WRITE] != t[i].write ||
		    (int)plan.level[PLAN_META] != t[i].meta || (int)plan.level[PLAN_EXEC] != t[i].exec)
			fail_msg("%s %s: read %s (%s), write %s (%s), meta %s (%s), exec %s (%s)", t[i].profile,
				 t[i].view ? "view" : "bare", plan_level_name(plan.level[PLAN_READ]), plan.why[PLAN_READ],
				 plan_level_name(plan.level[PLAN_WRITE]), plan.why[PLAN_WRITE],
				 plan_level_name(plan.level[PLAN_META]), plan.why[PLAN_META],
				 plan_level_name(plan.level[PLAN_EXEC]), plan.why[PLAN_EXEC]);
		policy_free(p);
		policy_builder_free(b);
	}
}

/* More floor never makes a key weaker than less floor did, and mediate_all never weaker than without. */
static void test_monotonic(void **state)
{
	static const char *const rules[] = { "read /", "exec /", "write /w", "protect /w/p", NULL };
	struct policy *p = make(rules);
	struct plan_wish wish = { .record_reads = true }, all = { .record_reads = true, .mediate_all = true };

	(void)state;
	for (uint32_t floor = 0; floor < FLOOR_FACTS_END; floor++) {
		struct plan a, b;

		plan_make(p, floor, &wish, &a);
		plan_make(p, floor, &all, &b);
		for (int k = 0; k < PLAN_COUNT; k++)
			assert_true(b.level[k] <= a.level[k]);
		for (int bit = 0; 1 << bit < FLOOR_FACTS_END; bit++) {
			if (floor & (1U << bit))
				continue;
			plan_make(p, floor | (1U << bit), &wish, &b);
			/* A verified exec is held, whatever the floor leaves open. */
			for (int k = 0; k < PLAN_COUNT; k++)
				assert_true(b.level[k] >= a.level[k] || (k == PLAN_EXEC && b.level[k] == LEVEL_VERIFY));
		}
		/* Never without a view: these rules have a protected place inside a writable one. */
		assert_int_equal(a.level[PLAN_WRITE], LEVEL_EMULATE);
		assert_int_equal(a.level[PLAN_CHANGE], LEVEL_EMULATE);
		if (!(floor & (FLOOR_VIEW | FLOOR_CONTAINER)))
			assert_int_equal(a.level[PLAN_META], LEVEL_EMULATE);
	}
	policy_free(p);
}

/* Permitted reads on the record: what reads is looked at, and nothing that changes is left to the kernel for it. */
static void test_reads_all(void **state)
{
	static const char *const rules[] = { "read /", "exec /", "write /w", NULL };
	struct plan_wish wish = { .record_reads = true }, all = { .record_reads = true, .record_all = true };
	struct policy *p = make(rules);
	struct plan a, b;

	(void)state;
	plan_make(p, VIEW | FLOOR_STDIO | FLOOR_VIEW_WRITES, &wish, &a);
	plan_make(p, VIEW | FLOOR_STDIO | FLOOR_VIEW_WRITES, &all, &b);
	for (int k = 0; k < PLAN_COUNT; k++) {
		bool reads = k == PLAN_READ || k == PLAN_META || k == PLAN_WATCH;

		assert_int_equal(b.level[k], reads ? LEVEL_OBSERVE : a.level[k]);
	}
	/* What is not held is performed, as without. */
	plan_make(p, BARE, &all, &b);
	assert_int_equal(b.level[PLAN_META], LEVEL_EMULATE);
	assert_int_equal(b.level[PLAN_READ], LEVEL_EMULATE);
	policy_free(p);
}

/* Which mounts execute: what may, or something inside of them that has no mount of its own. */
static void test_executes(void **state)
{
	static const char *const rules[] = { "read /", "exec /", "write /w", "exec /w/bin", "write /w/in", "exec /w/in", "write /n",
					     "write /g", "exec /g/*.sh", "write /o", "exec /o", NULL };
	struct policy *p = make(rules);

	(void)state;
	assert_true(plan_executes(p, "/w"));
	assert_true(plan_executes(p, "/w/in"));
	assert_false(plan_executes(p, "/n"));
	assert_true(plan_executes(p, "/g"));
	assert_true(plan_executes(p, "/o"));
	assert_true(plan_executes(p, "/usr"));
	policy_free(p);
}

static void test_keys(void **state)
{
	(void)state;
	for (int nr = 0; nr < table_end; nr++) {
		const struct sys_row *row = table_row(nr);
		enum plan_key k;

		if (!row)
			continue;
		k = plan_key_of(row);
		if (row->class == CLASS_EMULATE || row->class == CLASS_RECHECK)
			if (k == PLAN_COUNT && row->family != FAM_RING && row->family != FAM_DENIED)
				fail_msg("%s has no key", row->name);
		if (row->family == FAM_OPEN)
			assert_int_equal(k, PLAN_WRITE);
	}
	for (int k = 0; k < PLAN_COUNT; k++)
		assert_string_not_equal(plan_key_name((enum plan_key)k), "none");
	for (int bit = 0; 1 << bit < FLOOR_FACTS_END; bit++)
		assert_string_not_equal(plan_fact_name((enum floor_fact)(1 << bit)), "none");
	assert_string_equal(plan_level_name(LEVEL_DENY), "deny");
}

/* Where a path could be swapped in time the tracer is asked, if there is one; else the plan says what is not held. */
static void test_races(void **state)
{
	static const char *const plain[] = { "read /", "exec /", "write /w", NULL };
	static const char *const hidden[] = { "read /", "exec /", "write /w", "exec /w", "hide /w/s", NULL };
	static const char *const inside[] = { "read /", "exec /", "write /w", "exec /w", "write /w/out", NULL };
	static const char *const opened[] = { "read /", "exec /", "write /w", "exec /w/bin", NULL };
	static const char *const shut[] = { "read /", "exec /", "write /w", "read /w/bin", "exec /w/bin", NULL };
	static const struct {
		const char *const *rules;
		uint32_t floor;
		int level;
		bool gap, held;
	} t[] = {
		{ opened, VIEW | FLOOR_STDIO, D, false, false },
		{ opened, VIEW | FLOOR_STDIO | FLOOR_TRACER, V, true, false },
		{ opened, BARE, O, true, true }, /* a hierarchy Landlock allows */
		{ shut, VIEW | FLOOR_STDIO, O, false, true }, /* a mount of its own: not writable */
		{ plain, VIEW | FLOOR_STDIO, O, false, true },
		{ plain, VIEW | FLOOR_STDIO | FLOOR_TRACER, O, false, true },
		{ plain, VIEW, O, true, false },
		{ plain, VIEW | FLOOR_TRACER, LEVEL_VERIFY, true, false },
		{ hidden, VIEW | FLOOR_STDIO, O, true, false },
		{ hidden, VIEW | FLOOR_STDIO | FLOOR_TRACER, LEVEL_VERIFY, true, false },
		{ inside, VIEW | FLOOR_STDIO, O, true, false },
		{ inside, VIEW | FLOOR_STDIO | FLOOR_TRACER, LEVEL_VERIFY, true, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct plan_wish wish = { .record_reads = true };
		struct policy *p = make(t[i].rules);
		struct plan plan;

		plan_make(p, t[i].floor, &wish, &plan);
		if ((int)plan.level[PLAN_EXEC] != t[i].level || (plan.gap[PLAN_EXEC] != NULL) != t[i].gap || plan.exec_held != t[i].held)
			fail_msg("case %zu: %s, %s", i, plan_level_name(plan.level[PLAN_EXEC]),
				 plan.gap[PLAN_EXEC] ? plan.gap[PLAN_EXEC] : "no gap");
		policy_free(p);
	}
}

/* The allow list and the differential tests (tests/floor) name the same pairs; what no test proves the plan calls a gap. */
static void test_pairs(void **state)
{
	static const struct {
		enum plan_key key;
		uint32_t facts;
		const char *prover;
	} proven[] = {
#define PAIR(key, facts, prover) { key, facts, #prover },
#include "tests/floor/pairs.tbl"
#undef PAIR
	};
	struct plan_pair pair;

	(void)state;
	for (size_t i = 0; plan_pair(i, &pair); i++) {
		size_t k = 0;

		assert_true(pair.level >= LEVEL_OBSERVE);
		while (k < ARRAY_LEN(proven) && (proven[k].key != pair.key || proven[k].facts != pair.facts))
			k++;
		if (k == ARRAY_LEN(proven))
			fail_msg("%s under 0x%x: no differential test proves it", plan_key_name(pair.key), pair.facts);
		/* To a guest a mount point is a name it could remove, mount and all (monitor/floor/apart.c): only where none that takes
		 * something away lies in a writable mount, or in a container, where no rule is left to hold. */
		if (pair.key == PLAN_CHANGE)
			assert_true(pair.facts & (FLOOR_VIEW_WRITES | FLOOR_CONTAINER));
		/* Sockets are judged by plain numbers: their class, which test_table keeps, needs no floor. */
		if (strcmp(proven[k].prover, "none") == 0 && pair.key != PLAN_SOCKET && (pair.facts & FLOOR_CONTAINER) == 0)
			assert_non_null(pair.gap);
	}
	for (size_t k = 0; k < ARRAY_LEN(proven); k++) {
		size_t i = 0;

		while (plan_pair(i, &pair) && (proven[k].key != pair.key || proven[k].facts != pair.facts))
			i++;
		if (!plan_pair(i, &pair))
			fail_msg("%s under 0x%x is not in the plan", plan_key_name(proven[k].key), proven[k].facts);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_races),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_monotonic),
		cmocka_unit_test(test_executes), cmocka_unit_test(test_reads_all), cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
