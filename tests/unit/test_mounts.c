/* The mount table as a guest reads it: which files are one, and what a line becomes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs_mounts.h"
#include "util/err.h"

static void test_paths(void **state)
{
	static const struct {
		const char *path;
		enum mounts_kind kind;
	} t[] = {
		{"/proc/1/mountinfo", MOUNTS_INFO},
		{"/proc/4194304/mounts", MOUNTS_TABLE},
		{"/proc/7/mountstats", MOUNTS_STATS},
		{"/proc/7/task/8/mountinfo", MOUNTS_INFO},
		{"/proc/7/task/8/mounts", MOUNTS_TABLE},
		{"/proc/mounts", MOUNTS_NONE},
		{"/proc//mounts", MOUNTS_NONE},
		{"/proc/7x/mounts", MOUNTS_NONE},
		{"/proc/7/task//mounts", MOUNTS_NONE},
		{"/proc/7/task/8/task/9/mounts", MOUNTS_NONE},
		{"/proc/7/mounts2", MOUNTS_NONE},
		{"/proc/7/root/mounts", MOUNTS_NONE},
		{"/home/proc/7/mounts", MOUNTS_NONE},
		{"", MOUNTS_NONE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		assert_int_equal(mounts_of_path(t[i].path), t[i].kind);
}

static bool not_covered(void *ctx, const char *point, unsigned long id)
{
	(void)ctx;
	(void)id;
	return strstr(point, "covered") == NULL;
}

static int written(const char *in, enum mounts_kind kind, char **ret_text)
{
	size_t len = 0;
	FILE *from = fmemopen((void *)(uintptr_t)in, strlen(in), "r"), *to = open_memstream(ret_text, &len);
	int r = mounts_write(from, kind, not_covered, NULL, to);

	assert_int_equal(fclose(from), 0);
	assert_int_equal(fclose(to), 0);
	return r;
}

static const char table[] =
	"44 52 254:0 / / ro,nosuid,relatime,idmapped - ext4 /dev/vda rw,discard,resuid=65534\n"
	"46 44 254:0 /root/.local/state/gabion/home/agent /root rw,noexec shared:3 master:4 - ext4 /dev/vda rw,discard\n"
	"60 44 0:39 / /covered rw - proc none rw\n"
	"61 60 0:40 / /covered/x ro - proc none rw\n"
	"62 61 0:41 /sys /a\\040b#c ro - overlay overlay ro,lowerdir=/var/lib/docker/l/X,upperdir=/var/u\n"
	"63 44 0:42 / /tmp rw,nosuid - tmpfs none rw,size=2097152k,uid=1879048192,mode=700\n"
	"64 44 0:43 / /dev/pts rw - devpts devpts rw,gid=5,mode=620,ptmxmode=666\n";

static void test_lines(void **state)
{
	char *text = NULL;

	(void)state;
	assert_int_equal(written(table, MOUNTS_INFO, &text), 0);
	assert_string_equal(text, "44 52 254:0 / / ro,nosuid,relatime,idmapped - ext4 none rw\n"
				  "46 44 254:0 / /root rw,noexec - ext4 none rw\n"
				  "62 44 0:41 / /a\\040b#c ro - overlay none ro\n"
				  "63 44 0:42 / /tmp rw,nosuid - tmpfs none rw,size=2097152k,mode=700\n"
				  "64 44 0:43 / /dev/pts rw - devpts none rw,mode=620,ptmxmode=666\n");
	free(text);
	assert_int_equal(written(table, MOUNTS_TABLE, &text), 0);
	assert_string_equal(text, "none / ext4 ro,nosuid,relatime,idmapped 0 0\n"
				  "none /root ext4 rw,noexec 0 0\n"
				  "none /a\\040b\\043c overlay ro 0 0\n"
				  "none /tmp tmpfs rw,nosuid,size=2097152k,mode=700 0 0\n"
				  "none /dev/pts devpts rw,mode=620,ptmxmode=666 0 0\n");
	free(text);
	assert_int_equal(written(table, MOUNTS_STATS, &text), 0);
	assert_non_null(strstr(text, "device none mounted on /tmp with fstype tmpfs\n"));
	assert_null(strstr(text, "covered"));
	free(text);
}

/* A table we do not understand is not passed on. */
static void test_odd(void **state)
{
	static const char *const t[] = {"1\n", "\n", "1 2 0:1 / /x rw\n", "1 2 0:1 / /x rw - tmpfs none\n",
					"1 2 0:1 / /x rw a b c tmpfs none rw\n"};
	static const char round[] = "1 2 0:1 / /covered rw - t s rw\n2 1 0:1 / /covered2 rw - t s rw\n"
				    "3 1 0:1 / /x rw - t s rw\n";
	char *text = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		assert_int_equal(written(t[i], MOUNTS_INFO, &text), -EPROTO);
		free(text);
	}
	/* Parents that go round. */
	assert_int_equal(written(round, MOUNTS_INFO, &text), 0);
	assert_string_equal(text, "3 1 0:1 / /x rw - t none rw\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_odd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
