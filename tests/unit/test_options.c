/* The command line: values, lists, where options end, and what people are told when they mistype. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "monitor/options_table.h"
#include "util/err.h"

/* Parses "gabion run WORDS..."; the words are string literals. */
static int parse(struct run_options *o, struct options_fault *fault, enum command command,
		 const char *const *words)
{
	static char copy[32][256];
	static char *argv[33];
	int argc = 1;

	strcpy(copy[0], "run");
	argv[0] = copy[0];
	for (; words[argc - 1]; argc++) {
		assert_true(argc < 32 && strlen(words[argc - 1]) < sizeof(copy[0]));
		strcpy(copy[argc], words[argc - 1]);
		argv[argc] = copy[argc];
	}
	argv[argc] = NULL;
	memset(fault, 0, sizeof(*fault));
	return options_parse(command, argc, argv, o, NULL, fault);
}

#define PARSE(o, fault, ...) parse(&(o), &(fault), COMMAND_RUN, (const char *const[]){__VA_ARGS__, NULL})

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t bytes;
	} cases[] = {
		{"512m", 0, UINT64_C(512) << 20},
		{"2g", 0, UINT64_C(2) << 30},
		{"2G", 0, UINT64_C(2) << 30},
		{"2GiB", 0, UINT64_C(2) << 30},
		{"2gb", 0, UINT64_C(2) << 30},
		{"1048576", 0, 1048576},
		{"2097152b", 0, 2097152},
		{"4096k", 0, 4194304},
		{"1t", 0, UINT64_C(1) << 40},
		{"10", -ERANGE, 0},
		{"0", -ERANGE, 0},
		{"99999999t", -ERANGE, 0},
		{"99999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"m", -EINVAL, 0},
		{"-1m", -EINVAL, 0},
		{"+1m", -EINVAL, 0},
		{" 1m", -EINVAL, 0},
		{"1 m", -EINVAL, 0},
		{"1mm", -EINVAL, 0},
		{"1bb", -EINVAL, 0},
		{"1.5g", -EINVAL, 0},
		{"0x100000", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t got = 7;
		int r = value_size(cases[i].text, &got);
		if (r != cases[i].r || got != (r == 0 ? cases[i].bytes : 7))
			fail_msg("%s: %d, %lu", cases[i].text, r, (unsigned long)got);
	}
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int r;
		uint64_t ms;
	} cases[] = {
		{"30s", 0, 30000},
		{"30", 0, 30000},
		{"1h", 0, 3600000},
		{"1h30m", 0, 5400000},
		{"1d1h1m1s1ms", 0, 90061001},
		{"500ms", 0, 500},
		{"0s", -ERANGE, 0},
		{"99999d", -ERANGE, 0},
		{"30m1h", -EINVAL, 0},
		{"1h1h", -EINVAL, 0},
		{"1h30", -EINVAL, 0},
		{"1x", -EINVAL, 0},
		{"1.5h", -EINVAL, 0},
		{"h", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"-5s", -EINVAL, 0},
		{"5 s", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint64_t got = 7;
		int r = value_duration(cases[i].text, &got);
		if (r != cases[i].r || got != (r == 0 ? cases[i].ms : 7))
			fail_msg("%s: %d, %lu", cases[i].text, r, (unsigned long)got);
	}
}

static void test_cpus(void **state)
{
	static const struct {
		const char *text;
		int r;
		double cpus;
	} cases[] = {
		{"2", 0, 2},
		{"1.5", 0, 1.5},
		{".5", 0, 0.5},
		{"0.01", 0, 0.01},
		{"0", -ERANGE, 0},
		{"0.001", -ERANGE, 0},
		{"1e3", -EINVAL, 0},
		{"inf", -EINVAL, 0},
		{"nan", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{"1,5", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"99999999", -ERANGE, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		double got = 7;
		int r = value_cpus(cases[i].text, &got);
		double want = r == 0 ? cases[i].cpus : 7;
		if (r != cases[i].r || got < want - 1e-9 || got > want + 1e-9)
			fail_msg("%s: %d, %f", cases[i].text, r, got);
	}
}

static void test_users(void **state)
{
	uid_t uid = 7;
	gid_t gid = 7;

	(void)state;
	assert_int_equal(value_user("root", &uid, &gid), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(gid, 0);
	assert_int_equal(value_user("123456:daemon", &uid, &gid), 0);
	assert_int_equal(uid, 123456);
	assert_int_equal(gid, 1);
	assert_int_equal(value_user("123456", &uid, &gid), 0);
	assert_int_equal(gid, 123456);
	assert_int_equal(value_user("1000:1001", &uid, &gid), 0);
	assert_int_equal(uid, 1000);
	assert_int_equal(gid, 1001);
	assert_int_equal(value_user("no-such-user", &uid, &gid), -ENOENT);
	assert_int_equal(value_user("root:no-such-group", &uid, &gid), -ESRCH);
	assert_int_equal(value_user("4294967295", &uid, &gid), -ERANGE);
	assert_int_equal(value_user("1:4294967295", &uid, &gid), -ERANGE);
	assert_int_equal(value_user("99999999999", &uid, &gid), -ERANGE);
	assert_int_equal(value_user("", &uid, &gid), -EINVAL);
	assert_int_equal(value_user(":1", &uid, &gid), -EINVAL);
	assert_int_equal(value_user("1:", &uid, &gid), -EINVAL);
	assert_int_equal(uid, 1000);
}

static void test_all_options(void **state)
{
	struct run_options o;
	struct options_fault fault;

	(void)state;
	assert_int_equal(PARSE(o, fault, "--profile", "agent", "--agent=none", "--workspace", "/w", "--read",
			       "a", "--read=b", "--write", "c", "--exec", "d", "--hide", "e", "--protect",
			       "f", "--unhide", "g", "--unprotect", "h", "--env", "A", "--env", "B=c=d",
			       "--user", "1000:1001", "--memory"),
			 OPTIONS_WRONG);
	assert_int_equal(PARSE(o, fault, "--profile", "agent", "--agent=none", "--workspace", "/w", "--read",
			       "a", "--read=b", "--write", "c", "--exec", "d", "--hide", "e", "--protect",
			       "f", "--unhide", "g", "--unprotect", "h", "--", "ls", "--read"),
			 0);
	assert_string_equal(o.profile, "agent");
	assert_string_equal(o.agent, "none");
	assert_string_equal(o.workspace, "/w");
	assert_int_equal(o.read.n, 2);
	assert_string_equal(o.read.v[0], "a");
	assert_string_equal(o.read.v[1], "b");
	assert_null(o.read.v[2]);
	assert_string_equal(o.write.v[0], "c");
	assert_string_equal(o.exec.v[0], "d");
	assert_string_equal(o.hide.v[0], "e");
	assert_string_equal(o.protect.v[0], "f");
	assert_string_equal(o.unhide.v[0], "g");
	assert_string_equal(o.unprotect.v[0], "h");
	assert_string_equal(o.command[0], "ls");
	assert_string_equal(o.command[1], "--read");
	assert_null(o.command[2]);
	assert_false(o.user_set);
	assert_false(o.quiet);
	run_options_clear(&o);
	assert_int_equal(o.read.n, 0);

	assert_int_equal(PARSE(o, fault, "--env", "A", "--env", "B=c=d", "--user", "1000:1001", "--memory",
			       "2g", "--cpus", "1.5", "--pids", "100", "--timeout", "1h", "--mediate", "all",
			       "--audit", "x.jsonl", "-q", "sh", "-c", "-q"),
			 0);
	assert_string_equal(o.env.v[0], "A");
	assert_string_equal(o.env.v[1], "B=c=d");
	assert_true(o.user_set);
	assert_int_equal(o.uid, 1000);
	assert_int_equal(o.gid, 1001);
	assert_int_equal(o.memory, UINT64_C(2) << 30);
	assert_true(o.cpus > 1.49 && o.cpus < 1.51);
	assert_int_equal(o.pids, 100);
	assert_int_equal(o.timeout_ms, 3600000);
	assert_true(o.mediate_all);
	assert_string_equal(o.audit, "x.jsonl");
	assert_true(o.quiet);
	assert_string_equal(o.command[2], "-q");
	run_options_clear(&o);
}

static void test_defaults(void **state)
{
	struct run_options o;
	struct options_fault fault;

	(void)state;
	assert_int_equal(PARSE(o, fault, "true"), 0);
	assert_string_equal(o.profile, "agent");
	assert_null(o.workspace);
	assert_null(o.agent);
	assert_null(o.audit);
	assert_int_equal(o.memory, 0);
	assert_int_equal(o.timeout_ms, 0);
	assert_false(o.mediate_all);
	assert_int_equal(o.net.n, 0);
	run_options_clear(&o);
	/* explain works without a command */
	assert_int_equal(parse(&o, &fault, COMMAND_EXPLAIN, (const char *const[]){"--json", NULL}), 0);
	assert_null(o.command[0]);
	run_options_clear(&o);
}

static void test_help(void **state)
{
	struct run_options o;
	struct options_fault fault;

	(void)state;
	assert_int_equal(PARSE(o, fault, "--help"), OPTIONS_HELP);
	assert_int_equal(PARSE(o, fault, "-q", "-h", "x"), OPTIONS_HELP);
	assert_int_equal(PARSE(o, fault, "x", "--help"), 0);
	run_options_clear(&o);
}

/* What was typed, and words that must be in the answer (text, hint). */
static void test_wrong(void **state)
{
	static const struct {
		const char *words[4];
		const char *text, *hint;
	} cases[] = {
		{{"-x", "true"}, "no option -x", "gabion run --help"},
		{{"-m", "true"}, "no option -m", "--memory"},
		{{"-qz", "true"}, "no option -z", ""},
		{{"-workspace", ".", "true"}, "no option -workspace", "--workspace"},
		{{"--workspce", ".", "true"}, "no option --workspce", "--workspace"},
		{{"--work", ".", "true"}, "no option --work", "--workspace"},
		{{"--json", "true"}, "no option --json", ""},
		{{"--qiet", "true"}, "no option --qiet", "--quiet"},
		{{"--quiet=1", "true"}, "--quiet takes no value", ""},
		{{"--read"}, "--read needs a value", ""},
		{{"--read=", "true"}, "--read needs a value", ""},
		{{"--read", "--write", "x"}, "--read needs a value", ""},
		{{"--read", "--", "x"}, "--read needs a value", ""},
		{{"-p"}, "--policy needs a value", ""},
		{{"--memory", "10", "true"}, "--memory '10'", "512m"},
		{{"--timeout", "soon", "true"}, "--timeout 'soon'", "1h30m"},
		{{"--cpus", "many", "true"}, "--cpus 'many'", "1.5"},
		{{"--pids", "0", "true"}, "--pids '0'", "from 1"},
		{{"--mediate", "al", "true"}, "did you mean all", "auto"},
		{{"--profile", "agnet", "true"}, "did you mean agent", ""},
		{{"--agent", "no-such-agent", "true"}, "no agent is called", "none"},
		{{"--user", "no-such-user", "true"}, "no user is called", "1000:1000"},
		{{"--env", "=x", "true"}, "names no variable", "NAME"},
		{{"--env", "1A=x", "true"}, "names no variable", "NAME"},
		{{"-pf", "--profile=dev", "true"}, "--policy and --profile cannot both be given", ""},
		{{"--net", "https://example.org/", "true"}, "did you mean example.org:443?", "NETWORK/BITS"},
		{{"--net", "127.1", "true"}, "did you mean the address 127.0.0.1?", ""},
		{{"--unix", "s", "true"}, "is no socket's path", "absolute"},
		{{"--publish", "1", "true"}, "names no ports", "8080:3000"},
		{{"--publish", "0:1", "true"}, "names no ports", ""},
		{{"--publish", "x:1:1", "true"}, "names no ports", "brackets"},
		{{NULL}, "no command", "gabion run -- bash"},
		{{"--"}, "no command", "gabion run -- bash"},
		{{""}, "no command", "gabion run -- bash"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct run_options o;
		struct options_fault fault;
		int r = parse(&o, &fault, COMMAND_RUN, cases[i].words);
		if (r != OPTIONS_WRONG || !strstr(fault.text, cases[i].text) ||
		    !strstr(fault.hint, cases[i].hint) || strchr(fault.text, '\n') ||
		    strchr(fault.hint, '\n'))
			fail_msg("%s %s: %d, '%s', '%s'", cases[i].words[0] ? cases[i].words[0] : "(nothing)",
				 cases[i].words[1] ? cases[i].words[1] : "", r, fault.text, fault.hint);
	}
}

static void test_nearest(void **state)
{
	static const char *const words[] = {"bash", "zsh", "fish", NULL};

	(void)state;
	assert_string_equal(nearest_word("bsh", words), "bash");
	assert_string_equal(nearest_word("fihs", words), "fish");
	assert_string_equal(nearest_word("FI", words), "fish");
	assert_null(nearest_word("powershell", words));
	assert_null(nearest_word("", words));
	assert_null(nearest_word("x", words));
	assert_string_equal(nearest_command("doctr"), "doctor");
	assert_null(nearest_command("python3"));
}

/* Every option has what help, completion and parsing need of it. */
static void test_table(void **state)
{
	(void)state;
	for (size_t i = 1; i < OPTION_COUNT; i++) {
		const struct option_row *row = &option_rows[i];
		assert_int_equal(row->id, i);
		assert_true(row->name && row->help && row->commands);
		assert_true((row->arg == NULL) == (row->kind == KIND_FLAG));
		assert_true(row->arg || row->hint == HINT_NONE);
		for (size_t j = 1; j < i; j++) {
			if (!(row->commands & option_rows[j].commands))
				continue;
			assert_string_not_equal(row->name, option_rows[j].name);
			assert_true(row->letter == 0 || row->letter != option_rows[j].letter);
		}
	}
	for (int c = 0; c < COMMAND_COUNT; c++)
		assert_true(command_rows[c].name && command_rows[c].summary && command_rows[c].details);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),	    cmocka_unit_test(test_durations),
		cmocka_unit_test(test_cpus),	    cmocka_unit_test(test_users),
		cmocka_unit_test(test_all_options), cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_help),	    cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_nearest),	    cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
