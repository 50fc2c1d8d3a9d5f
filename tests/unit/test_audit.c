/* The record on disk and the summary: escaping, decoding, the cap, failing files, advice that works. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "monitor/audit.h"
#include "monitor/audit_json.h"
#include "monitor/text.h"
#include "plan.h"
#include "verdict.h"

static char dir[64], file[96];
static struct policy *policy;
static struct record_ring *ring;
static struct audit *audit;

static int setup(void **state)
{
	struct policy_builder *b;

	(void)state;
	strcpy(dir, "/tmp/gabion-test-audit-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof(file), "%s/record.jsonl", dir);
	if (policy_builder_new(&b) < 0)
		return -1;
	policy_builder_add(b, RULE_READ, "/usr", "profile agent");
	policy_builder_add(b, RULE_READ, "/w", "profile agent");
	policy_builder_add(b, RULE_WRITE, "/w", "profile agent");
	policy_builder_add(b, RULE_PROTECT, "/w/**/.git/hooks", "profile agent");
	policy_builder_add(b, RULE_HIDE, "/usr/secret", "--hide");
	policy_builder_add(b, RULE_EXEC, "/usr/bin", "profile agent");
	if (policy_compile(b, &policy) < 0)
		return -1;
	policy_builder_free(b);
	if (record_ring_new(1 << 20, 1 << 22, &ring) < 0)
		return -1;
	return audit_open(file, 0, ring, policy, &audit);
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	audit = audit_close(audit);
	ring = record_ring_free(ring);
	policy = policy_free(policy);
	snprintf(cmd, sizeof(cmd), "rm -r '%s'", dir);
	return system(cmd);
}

static void set_objects(struct record *r, const char *a, size_t an, const char *b, size_t bn)
{
	memcpy(r->object, a, an);
	memcpy(r->object + an, b, bn);
	r->object_len = (uint16_t)an;
	r->object2_len = (uint16_t)bn;
}

static struct record refusal(enum op op, const char *path)
{
	struct record r = { .time_ns = 1700000000123456789, .nr = SYS_openat, .tid = 42, .flags = RECORD_REFUSED,
			    .result = -EACCES, .level = LEVEL_EMULATE, .op = (uint8_t)op, .comm = "cat" };
	struct verdict v = policy_path(policy, op, path, strlen(path));

	r.args[0] = (uint64_t)AT_FDCWD;
	r.args[2] = op == OP_WRITE ? O_WRONLY | O_CREAT | O_CLOEXEC : O_RDONLY;
	r.args[3] = 0644;
	r.rule = v.rule ? v.rule->id : UINT32_MAX;
	set_objects(&r, path, strlen(path), "", 0);
	return r;
}

/* Everything in the file so far; RET_N counts lines. */
static char *content(size_t *ret_n)
{
	static char buf[1 << 24];
	FILE *f = fopen(file, "r");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = 0;
	*ret_n = 0;
	for (size_t i = 0; i < n; i++)
		*ret_n += buf[i] == '\n';
	return buf;
}

static void test_line(void **state)
{
	struct record r = refusal(OP_WRITE, "/w/sub/.git/hooks/x");
	struct stat st;
	size_t n;

	(void)state;
	assert_true(r.rule != UINT32_MAX);
	assert_true(record_put(ring, &r));
	audit_drain(audit);
	assert_string_equal(content(&n),
			    "{\"time\":\"2023-11-14T22:13:20.123456Z\",\"pid\":42,\"comm\":\"cat\",\"syscall\":\"openat\","
			    "\"args\":[\"AT_FDCWD\",\"/w/sub/.git/hooks/x\",\"O_WRONLY|O_CREAT|O_CLOEXEC\",\"0644\"],"
			    "\"object\":\"/w/sub/.git/hooks/x\",\"op\":\"write\",\"verdict\":\"deny\",\"errno\":\"EACCES\","
			    "\"result\":-13,\"rule\":{\"kind\":\"protect\",\"pattern\":\"/w/**/.git/hooks\","
			    "\"origin\":\"profile agent\"},\"level\":\"emulate\"}\n");
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(audit_refused(audit), 1);
}

/* Names are chosen by the guest: one record stays one line, and its fields stay where they are. */
static void test_injection(void **state)
{
	static const char evil[] = "/a\n{\"time\":\"x\"}\r\x1b[2J\x07\"\\\x7f\xff\xc3\x28\xc2\x9b\xe2\x80\xae\xe2\x80\xa8"
				   "\xed\xa0\x80\xc0\xaf\xf5\x80\x80\x80\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\0end";
	struct record r = refusal(OP_READ, "/nowhere");
	size_t n;

	(void)state;
	audit_run(audit, "run\"1");
	memcpy(r.comm, "c\n\"}\xff\x1b]0;x\x07", 11);
	set_objects(&r, evil, sizeof(evil) - 1, "/b\n", 3);
	r.nr = SYS_rename;
	assert_true(record_put(ring, &r));
	audit_drain(audit);
	char *text = content(&n);

	assert_int_equal(n, 1);
	for (const char *p = text; p[1]; p++) {
		assert_true((unsigned char)*p >= 0x20);
		assert_true(*p != 0x7f);
	}
	/* What is a letter stays one. */
	assert_non_null(strstr(text, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\\u0000end"));
	assert_null(strstr(text, "\xe2\x80\xae"));
	assert_null(strstr(text, "\xc2\x9b"));
	assert_non_null(strstr(text, "\\u00e2\\u0080\\u00ae"));
	json_t *j = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

	assert_non_null(j);
	assert_string_equal(json_string_value(json_object_get(j, "run")), "run\"1");
	assert_memory_equal(json_string_value(json_object_get(j, "object")), "/a\n{\"time\":\"x\"}\r\x1b[2J", 20);
	assert_string_equal(json_string_value(json_object_get(j, "object2")), "/b\n");
	assert_int_equal(json_array_size(json_object_get(j, "args")), 2);
	json_decref(j);
}

/* Any bytes at all. */
static void test_any_bytes(void **state)
{
	unsigned int seed = 1;
	size_t n, k = 0;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		struct record r = refusal(OP_READ, "/x");

		r.object_len = (uint16_t)(rand_r(&seed) % 60);
		r.object2_len = (uint16_t)(rand_r(&seed) % 20);
		for (int b = 0; b < r.object_len + r.object2_len; b++)
			r.object[b] = (char)(rand_r(&seed) >> 7);
		r.nr = rand_r(&seed) % 480 - 5;
		for (int a = 0; a < 6; a++)
			r.args[a] = (uint64_t)rand_r(&seed) << 33 ^ (uint64_t)rand_r(&seed);
		r.op = (uint8_t)(rand_r(&seed) % OP_COUNT);
		r.level = (uint8_t)(rand_r(&seed) % 4);
		r.flags = (uint32_t)rand_r(&seed) % 16;
		r.rule = (uint32_t)rand_r(&seed) % 9;
		r.result = (int64_t)(rand_r(&seed) % 9000) - 4500;
		r.time_ns = (uint64_t)rand_r(&seed) << 33 ^ (uint64_t)rand_r(&seed);
		r.tid = rand_r(&seed);
		assert_true(record_put(ring, &r));
		if (i % 100 == 0)
			audit_drain(audit);
	}
	audit_drain(audit);
	char *line = content(&n), *save;

	assert_int_equal(n, 3000);
	for (line = strtok_r(line, "\n", &save); line; line = strtok_r(NULL, "\n", &save), k++) {
		json_error_t err;
		json_t *j = json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &err);

		if (!j)
			fail_msg("%s in %s", err.text, line);
		json_decref(j);
	}
	assert_int_equal(k, 3000);
	/* The summary stands any of it too. */
	char *out;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	audit_summary(audit, f, false, "id");
	audit_summary(audit, f, true, "id");
	fclose(f);
	for (size_t i = 0; i < size; i++)
		assert_true((unsigned char)out[i] >= 0x20 || out[i] == '\n');
	free(out);
}

/* The cap: permitted records stop early, refusals go on, the closing object says what is missing. */
static void test_cap(void **state)
{
	struct record ok = refusal(OP_READ, "/usr/lib/x"), no = refusal(OP_READ, "/etc/shadow");
	size_t n, denied = 0;
	struct stat st;

	(void)state;
	audit = audit_close(audit);
	unlink(file);
	assert_int_equal(audit_open(file, 65536, ring, policy, &audit), 0);
	ok.flags = 0;
	ok.result = 3;
	for (int i = 0; i < 1000; i++) {
		record_put(ring, &ok);
		if (i % 100 == 0)
			audit_drain(audit);
	}
	audit_drain(audit);
	assert_int_equal(stat(file, &st), 0);
	assert_in_range(st.st_size, 50000, 65536 - 8192 - 1024);
	for (int i = 0; i < 1000; i++)
		record_put(ring, &no);
	audit_drain(audit);
	audit = audit_close(audit);
	assert_int_equal(stat(file, &st), 0);
	assert_in_range(st.st_size, 62000, 65536);
	char *text = content(&n), *end = strrchr(text, '{');

	for (const char *p = text; (p = strstr(p, "\"deny\"")); p++)
		denied++;
	assert_in_range(denied, 10, 100);
	/* The closing object holds others: find its beginning. */
	end = strstr(text, "\"event\":\"end\"");
	assert_non_null(end);
	char want[200];

	snprintf(want, sizeof(want),
		 "\"event\":\"end\",\"records\":2000,\"refused\":1000,\"dropped\":{\"refused\":0,\"other\":0},"
		 "\"over_cap\":{\"refused\":%zu,\"other\":%zu},\"unwritten\":0}\n",
		 1000 - denied, 1000 - (n - 1 - denied));
	assert_string_equal(end, want);
	assert_int_equal(audit_open(file, 0, ring, policy, &audit), 0);
}

static void test_files(void **state)
{
	struct record r = refusal(OP_READ, "/etc/shadow");
	struct audit *a;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/link", dir);
	assert_int_equal(symlink(file, path), 0);
	assert_int_equal(audit_open(path, 0, ring, policy, &a), -ELOOP);
	assert_int_equal(audit_open("/nonexistent/x", 0, ring, policy, &a), -ENOENT);
	assert_int_equal(audit_open(dir, 0, ring, policy, &a), -EISDIR);
	/* A FIFO without a reader fails at once; one that nobody empties loses whole lines, and never waits. */
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(audit_open(path, 0, ring, policy, &a), -ENXIO);
	int fd = open(path, O_RDONLY | O_NONBLOCK);

	assert_int_equal(audit_open(path, 0, ring, policy, &a), 0);
	for (int i = 0; i < 3000; i++) {
		record_put(ring, &r);
		if (i % 500 == 0)
			audit_drain(a);
	}
	audit_drain(a);
	assert_int_equal(audit_refused(a), 3000);
	/* Written again, the rest follows and lines are whole. */
	static char buf[1 << 20];
	size_t got = 0;
	ssize_t n;

	for (int i = 0; i < 10; i++) {
		while ((n = read(fd, buf + got, sizeof(buf) - 1 - got)) > 0)
			got += (size_t)n;
		audit_drain(a);
	}
	buf[got] = 0;
	assert_int_equal(buf[got - 1], '\n');
	assert_in_range(got, 200000, 1 << 19);
	for (char *save, *l = strtok_r(buf, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		json_t *j = json_loads(l, 0, NULL);

		assert_non_null(j);
		json_decref(j);
	}
	assert_null(audit_close(a));
	close(fd);
	assert_null(audit_close(NULL));
	/* A full disk. */
	assert_int_equal(audit_open("/dev/full", 0, ring, policy, &a), 0);
	for (int i = 0; i < 100; i++)
		record_put(ring, &r);
	audit_drain(a);
	assert_null(audit_close(a));
}

/* Silent: no time-out. Woken: drained at once, then at most every 20 ms, then silent again. */
static void test_rest(void **state)
{
	struct record r = refusal(OP_READ, "/etc/shadow");
	struct pollfd p = { .fd = audit_fd(audit), .events = POLLIN };

	(void)state;
	assert_int_equal(audit_timeout(audit), -1);
	assert_int_equal(poll(&p, 1, 0), 0);
	record_put(ring, &r);
	assert_int_equal(poll(&p, 1, 1000), 1);
	audit_drain(audit);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_in_range(audit_timeout(audit), 1, 20);
	record_put(ring, &r);
	assert_int_equal(poll(&p, 1, 0), 0); /* no wake-up while drained by the clock */
	usleep(21000);
	assert_int_equal(audit_timeout(audit), 0);
	audit_drain(audit);
	assert_int_equal(audit_refused(audit), 2);
	usleep(21000);
	audit_drain(audit);
	assert_int_equal(audit_timeout(audit), -1);
}

static void add(enum op op, const char *path, int times)
{
	struct record r = refusal(op, path);

	for (int i = 0; i < times; i++)
		assert_true(record_put(ring, &r));
}

static char *summary(bool markdown, const char *run)
{
	char *out;
	size_t size;
	FILE *f = open_memstream(&out, &size);

	audit_drain(audit);
	audit_summary(audit, f, markdown, run);
	fclose(f);
	return out;
}

static void test_summary(void **state)
{
	char *s = summary(false, "abc"), path[96];
	struct record r;

	(void)state;
	assert_string_equal(s, ""); /* nothing refused: nothing said */
	free(s);
	snprintf(path, sizeof(path), "%s/new", dir);
	add(OP_WRITE, "/w/a/.git/hooks/pre-commit", 9);
	add(OP_READ, "/etc/shadow", 8);
	add(OP_STAT, "/usr/secret/key", 7);
	add(OP_WRITE, "/usr", 6);
	add(OP_WRITE, path, 5);
	add(OP_WRITE, "/nowhere/at/all", 4);
	add(OP_EXEC, "/w/x y'z", 3);
	add(OP_READ, "/etc/[a]*", 2);
	r = refusal(OP_NONE, "");
	r.nr = SYS_socket;
	r.rule = UINT32_MAX;
	record_put(ring, &r);
	r.nr = SYS_mount;
	record_put(ring, &r);
	s = summary(false, "abc");
	char want[2048];

	snprintf(want, sizeof(want),
		 "gabion: 46 calls refused:\n"
		 "      9x  write /w/a/.git/hooks/pre-commit  (protect /w/**/.git/hooks, profile agent)  "
		 "to allow: --unprotect /w/a/.git/hooks/pre-commit\n"
		 "      8x  read /etc/shadow  (no rule allows it)  to allow: --read /etc/shadow\n"
		 "      7x  stat /usr/secret/key  (hide /usr/secret, --hide)  to allow: --unhide /usr/secret/key\n"
		 "      6x  write /usr  (no rule allows it)  to allow: --write /usr\n"
		 "      5x  write %s  (no rule allows it)  to allow: --write %s\n"
		 "      4x  write /nowhere/at/all  (no rule allows it)  to allow: make it outside first, then --write it\n"
		 "      3x  exec /w/x y'z  (no rule allows it)  to allow: --exec '/w/x y'\\''z'\n"
		 "      2x  read /etc/[a]*  (no rule allows it)  to allow: --read '/etc/\\[a\\]\\*'\n"
		 "      1x  socket socket()  (never permitted)  to allow: no option allows it\n"
		 "      1x  call mount()  (never permitted)  to allow: no option allows it\n"
		 "  each of them: gabion log abc\n",
		 path, dir);
	assert_string_equal(s, want);
	free(s);
	s = summary(true, NULL);
	assert_non_null(strstr(s, "### gabion refused 46 calls\n\n| times | what |"));
	assert_non_null(strstr(s, "| 2 | read | <code>/etc/&#91;a&#93;&#42;</code> | no rule allows it | <code>--read "));
	free(s);
}

/* Advice in places the run has of its own, and for directories that hold protected names. */
static void test_advice_that_works(void **state)
{
	char mine[96], moved[96], *s;
	struct record r;

	(void)state;
	snprintf(mine, sizeof(mine), "%s/.ssh/key", dir);
	snprintf(moved, sizeof(moved), "%s/repo/.git", dir);
	s = strrchr(mine, '/');
	*s = 0;
	assert_int_equal(mkdir(mine, 0700), 0);
	*s = '/';
	assert_int_equal(close(creat(mine, 0600)), 0);
	s = strrchr(moved, '/');
	*s = 0;
	assert_int_equal(mkdir(moved, 0700), 0);
	*s = '/';
	assert_int_equal(mkdir(moved, 0700), 0);

	struct policy_builder *b;
	struct policy *p;
	char at[128];

	assert_int_equal(policy_builder_new(&b), 0);
	policy_builder_add(b, RULE_WRITE, dir, "profile agent");
	snprintf(at, sizeof(at), "%s/.ssh", dir);
	policy_builder_add(b, RULE_HIDE, at, "profile agent");
	policy_builder_private(b, at);
	policy_builder_add(b, RULE_WRITE, "/private", "profile agent");
	policy_builder_private(b, "/private");
	policy_builder_add(b, RULE_PROTECT, "/**/.git/hooks", "profile agent");
	assert_int_equal(policy_compile(b, &p), 0);
	policy_builder_free(b);
	audit_policy(audit, p);
	policy_free(policy);
	policy = p;

	add(OP_READ, mine, 4);
	snprintf(at, sizeof(at), "%s/.ssh/none", dir);
	add(OP_READ, at, 3);
	add(OP_EXEC, "/private/dropped", 2);
	r = refusal(OP_WRITE, moved);
	r.nr = SYS_rename;
	r.rule = policy_path_move(policy, moved, strlen(moved), true).rule->id;
	record_put(ring, &r);
	s = summary(false, "abc");
	char want[160];

	snprintf(want, sizeof(want), "to allow: --read %s\n", mine);
	assert_non_null(strstr(s, want));
	assert_non_null(strstr(s, "to allow: make it outside first, then --read it\n"));
	assert_non_null(strstr(s, "to allow: make it outside first, then --exec it\n"));
	assert_non_null(strstr(s, "to allow: no single option: names in it are protected\n"));
	free(s);
}

/* More than fits, and more than is kept. */
static void test_summary_many(void **state)
{
	char path[64], *s;
	size_t lines = 0;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "/etc/secret-%d", i);
		add(OP_READ, path, 1);
		if (i % 1000 == 0)
			audit_drain(audit);
	}
	s = summary(false, "abc");
	for (const char *p = s; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 15);
	assert_non_null(strstr(s, "gabion: 5000 calls refused:\n"));
	assert_non_null(strstr(s, "  and 4084 more, and those not kept apart\n"));
	free(s);
}

/* Tens of thousands a second must cost little: this many take well under a second even in a sanitizer's build. */
static void test_cost(void **state)
{
	struct record ok = refusal(OP_READ, "/usr/lib/x86_64-linux-gnu/libc.so.6");
	struct timespec a, b;
	enum { N = 50000 };

	(void)state;
	ok.flags = 0;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < N; i++) {
		ok.time_ns += 20000;
		assert_true(record_put(ring, &ok));
		if (i % 4000 == 0)
			audit_drain(audit);
	}
	audit_drain(audit);
	clock_gettime(CLOCK_MONOTONIC, &b);
	print_message("%d records: %ld ns each\n", N,
		      ((b.tv_sec - a.tv_sec) * 1000000000 + b.tv_nsec - a.tv_nsec) / N);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_injection, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_summary, setup, teardown),
		cmocka_unit_test_setup_teardown(test_advice_that_works, setup, teardown),
		cmocka_unit_test_setup_teardown(test_summary_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cost, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
