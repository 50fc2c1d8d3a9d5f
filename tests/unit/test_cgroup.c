/* Limits by cgroups: where a group may be made, by made-up descriptions; and real limits, where this host
 * lets us. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/floor/cgroup_find.h"
#include "record.h"
#include "monitor/floor/floor.h"
#include "util/err.h"

static struct cgroup_site sites[CGROUP_SITES_MAX];

static size_t find(const char *mountinfo, const char *self)
{
	char a[4096], b[1024];
	size_t n = 99;

	strcpy(a, mountinfo);
	strcpy(b, self);
	FILE *m = fmemopen(a, strlen(a), "r"), *s = fmemopen(b, strlen(b), "r");
	assert_non_null(m);
	assert_non_null(s);
	assert_int_equal(cgroup_find(m, s, sites, &n), 0);
	fclose(m);
	fclose(s);
	return n;
}

static void test_find_hybrid(void **state)
{
	(void)state;
	size_t n = find("23 1 254:0 / / rw - ext4 /dev/vda rw\n"
			"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 master:2 - cgroup "
			"cgroup rw,cpu,cpuacct\n"
			"34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
			"35 31 0:32 / /sys/fs/cgroup/me\\040m rw,relatime - cgroup cgroup rw,memory\n"
			"36 31 0:32 / /elsewhere rw,relatime - cgroup cgroup rw,memory\n"
			"40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
			"41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			"9:name=systemd:/x\n4:memory:/a/b\n3:cpuset:/c\n2:cpu,cpuacct:/\n0::/u:v\n");
	assert_int_equal(n, 3);
	assert_int_equal(sites[0].controllers, CGROUP_CPU);
	assert_string_equal(sites[0].own, "/sys/fs/cgroup/cpu,cpuacct");
	assert_int_equal(sites[1].controllers, CGROUP_MEMORY);
	assert_string_equal(sites[1].top, "/sys/fs/cgroup/me m");
	assert_string_equal(sites[1].own, "/sys/fs/cgroup/me m/a/b");
	assert_true(sites[2].v2);
	assert_string_equal(sites[2].own, "/sys/fs/cgroup/unified/u:v");
}

static void test_find_part(void **state)
{
	static const char v2[] = "30 23 0:27 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw,nsdelegate\n";

	(void)state;
	assert_int_equal(find(v2, "0::/docker/abc/init\n"), 1);
	assert_string_equal(sites[0].own, "/sys/fs/cgroup/init");
	assert_int_equal(find(v2, "0::/docker/abc\n"), 1);
	assert_string_equal(sites[0].own, "/sys/fs/cgroup");
	/* Somewhere else, or outside of our namespace: our group is not to be seen. */
	assert_int_equal(find(v2, "0::/docker/abcd\n"), 0);
	assert_int_equal(find(v2, "0::/../x\n"), 0);
	assert_int_equal(find("30 23 0:27 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n", "0::/\n"), 0);
	/* Broken lines */
	assert_int_equal(
		find("30 23\n - \n - cgroup2\n30 23 0:27 / - cgroup2 cgroup rw\ncgroup2\n", "0::/\n"), 0);
	assert_int_equal(find("30 23 0:27 / /c rw - cgroup2 cgroup rw\n", "nothing\n:\n::\n"), 0);
	assert_int_equal(find("30 23 0:27 / /c rw - cgroup2 cgroup rw\n", "1:cpu:/\n"), 0);
}

static char tree[64];

static void put(const char *dir, const char *file, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s/%s", tree, dir, file);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* A version 2 tree of plain files: / has every controller enabled below, /slice memory and pids, /slice/own
 * nothing. */
static int setup_tree(void **state)
{
	char path[128];
	static const char *const dirs[] = {"", "/slice", "/slice/own"};

	(void)state;
	strcpy(tree, "/tmp/gabion-test-cgroup-XXXXXX");
	if (mkdtemp(tree) == NULL)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		snprintf(path, sizeof(path), "%s%s", tree, dirs[i]);
		(void)mkdir(path, 0755);
		put(dirs[i], "cgroup.procs", i == 1 ? "" : "1\n");
		if (i > 0)
			put(dirs[i], "cgroup.type", "domain\n");
		put(dirs[i], "cgroup.controllers", i == 2 ? "memory pids\n" : "cpuset cpu io memory pids\n");
		put(dirs[i], "cgroup.subtree_control",
		    i == 0   ? "cpu memory pids\n"
		    : i == 1 ? "memory pids\n"
			     : "\n");
	}
	return 0;
}

static int teardown_tree(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", tree);
	return system(cmd);
}

static int parent(unsigned int need, const char **ret_below, const char **ret_why)
{
	static char out[PATH_MAX];
	struct cgroup_site s = {.v2 = true};

	snprintf(s.top, sizeof(s.top), "%s", tree);
	snprintf(s.own, sizeof(s.own), "%s/slice/own", tree);
	int r = cgroup_parent(&s, need, out, ret_why);
	if (r == 0)
		*ret_below = out + strlen(tree);
	return r;
}

static void test_parent(void **state)
{
	const char *below = NULL, *why = NULL;
	char text[64], path[128];

	(void)state;
	assert_int_equal(parent(CGROUP_MEMORY | CGROUP_PIDS, &below, &why), 0);
	assert_string_equal(below, "/slice");
	/* cpu is there but not handed on: it is enabled */
	assert_int_equal(parent(CGROUP_CPU, &below, &why), 0);
	assert_string_equal(below, "/slice");
	snprintf(path, sizeof(path), "%s/slice/cgroup.subtree_control", tree);
	assert_true(cgroup_read(AT_FDCWD, path, text, sizeof(text)) > 0);
	assert_memory_equal(text, "+cpu", 4);
	/* a threaded domain's children take no processes */
	put("/slice", "cgroup.type", "domain threaded\n");
	assert_int_equal(parent(CGROUP_MEMORY, &below, &why), 0);
	assert_string_equal(below, "");
	put("/slice", "cgroup.type", "domain\n");
	/* /slice has no cpu at all: the one above */
	put("/slice", "cgroup.controllers", "memory pids\n");
	put("/slice", "cgroup.subtree_control", "memory pids\n");
	assert_int_equal(parent(CGROUP_CPU, &below, &why), 0);
	assert_string_equal(below, "");
	/* but never beyond a limit */
	put("/slice", "cpu.max", "max 100000\n");
	put("/slice", "memory.max", "1048576\n");
	assert_int_equal(parent(CGROUP_CPU, &below, &why), -EOPNOTSUPP);
	assert_non_null(strstr(why, "limits"));
	assert_int_equal(parent(CGROUP_MEMORY, &below, &why), 0);
	put("/slice/own", "pids.max", "5\n");
	assert_int_equal(parent(CGROUP_MEMORY, &below, &why), -EOPNOTSUPP);
}

static void test_nothing_asked(void **state)
{
	struct run_options o = RUN_OPTIONS_NULL;
	struct cgroup *c = (struct cgroup *)&o;
	const char *why = NULL;

	(void)state;
	assert_int_equal(cgroup_new(&o, "none", &c, &why), 0);
	assert_null(c);
	assert_null(cgroup_verdict(NULL));
	assert_null(cgroup_free(NULL));
}

static char run_id[32];

/* A group with limits O, or the test is skipped. */
static struct cgroup *make(const struct run_options *o)
{
	struct cgroup *c = NULL;
	const char *why = NULL;
	static unsigned int number;

	snprintf(run_id, sizeof(run_id), "test%d.%u", (int)getpid(), number++);
	int r = cgroup_new(o, run_id, &c, &why);
	if (r < 0) {
		assert_non_null(why);
		print_message("no cgroup here (%s): %s\n", strerror(-r), why);
		skip();
	}
	assert_non_null(c);
	return c;
}

/* How many hierarchies have process PID in our group. */
static int groups_of(pid_t pid)
{
	char path[64], line[4096];
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, run_id) != NULL;
	fclose(f);
	return n;
}

/* No directory of our group is left anywhere we could have made it. */
static void assert_removed(void)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "test -z \"$(find /sys/fs/cgroup -name 'gabion-%s' 2>/dev/null)\"",
		 run_id);
	assert_int_equal(system(cmd), 0);
}

/* A child that waits until it is in C, then runs WORK and exits with its result. */
static pid_t child(struct cgroup *c, int (*work)(void))
{
	int go[2];
	char byte;

	assert_int_equal(pipe(go), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(go[1]);
		_exit(read(go[0], &byte, 1) == 1 ? work() : 99);
	}
	close(go[0]);
	assert_int_equal(cgroup_enter(c, pid), 0);
	assert_true(groups_of(pid) >= 1);
	assert_int_equal(write(go[1], "g", 1), 1);
	close(go[1]);
	return pid;
}

static int wait_for(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int eat(void)
{
	size_t size = 64 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 98;
	for (size_t i = 0; i < size; i += 4096)
		p[i] = 1;
	return 0;
}

static void test_memory(void **state)
{
	struct run_options o = {.memory = 16 << 20};
	struct cgroup *c = make(&o);

	(void)state;
	assert_null(cgroup_verdict(c));
	int status = wait_for(child(c, eat));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_string_equal(cgroup_verdict(c), "memory limit of 16.0 MiB: 1 process killed");
	assert_null(cgroup_free(c));
	assert_removed();
}

static int fork_many(void)
{
	int n = 0;

	for (; n < 60; n++) {
		pid_t pid = fork();
		if (pid == 0) {
			pause();
			_exit(0);
		}
		if (pid < 0)
			return errno == EAGAIN ? n : 97;
	}
	return n;
}

static void test_pids(void **state)
{
	struct run_options o = {.pids = 8};
	struct cgroup *c = make(&o);

	(void)state;
	/* itself is one, and 16 are left for the sentry */
	int status = wait_for(child(c, fork_many));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 8 + 16 - 1);
	const char *verdict = cgroup_verdict(c);
	assert_non_null(verdict);
	assert_string_equal(verdict, "limit of 8 processes: 1 fork refused");
	/* the sleepers it left are killed, or the group could not go */
	assert_null(cgroup_free(c));
	assert_removed();
}

static int sleeper(void)
{
	pid_t pid = fork();

	pause();
	return pid < 0;
}

static void test_kill_and_cpu(void **state)
{
	struct run_options o = {.cpus = 0.5};
	struct cgroup *c = make(&o);
	char text[64] = "", path[PATH_MAX];
	size_t n = 0;
	bool seen = false;

	(void)state;
	pid_t pid = child(c, sleeper);
	FILE *m = fopen("/proc/self/mountinfo", "r"), *s = fopen("/proc/self/cgroup", "r");
	assert_int_equal(cgroup_find(m, s, sites, &n), 0);
	fclose(m);
	fclose(s);
	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%.3000s/gabion-%s/%s", sites[i].own, run_id,
			 sites[i].v2 ? "cpu.max" : "cpu.cfs_quota_us");
		if (cgroup_read(AT_FDCWD, path, text, sizeof(text)) > 0)
			seen = seen || strncmp(text, "50000", 5) == 0;
	}
	/* Version 2 may have put it beside our own group, where this does not look. */
	for (size_t i = 0; i < n; i++)
		seen = seen || (sites[i].v2 && (sites[i].controllers & CGROUP_CPU) == 0 &&
				strcmp(sites[i].own, sites[i].top) != 0);
	assert_true(seen);
	assert_null(cgroup_verdict(c));
	assert_null(cgroup_free(c));
	int status = wait_for(pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	assert_removed();
}

static void test_all(void **state)
{
	struct run_options o = {.memory = 3ULL << 30, .cpus = 2, .pids = 1ULL << 40};
	struct cgroup *c = make(&o);

	(void)state;
	assert_int_equal(cgroup_enter(c, 0x3ffffff0), -ESRCH);
	assert_null(cgroup_free(c));
	assert_removed();
}

static void test_without(void **state)
{
	const struct run_options o = {.memory = 200 << 20, .pids = 60}, none = {.memory = 0};
	uint64_t met[RECORD_LIMIT_COUNT] = {0};

	(void)state;
	assert_null(limits_verdict(&o, met, 0));
	assert_null(limits_verdict(&none, met, 1));
	assert_string_equal(limits_verdict(&o, met, 1), "memory limit of 200.0 MiB: held for each process, which gets ENOMEM for more");
	met[RECORD_LIMIT_PIDS] = 3;
	assert_string_equal(limits_verdict(&o, met, 0), "limit of 60 processes: met, forks refused (EAGAIN)");
	met[RECORD_LIMIT_DATA] = 1;
	assert_string_equal(limits_verdict(&o, met, 0), "memory limit of 200.0 MiB: met by a process, which got ENOMEM for more; "
							"limit of 60 processes: met, forks refused (EAGAIN)");
	met[RECORD_LIMIT_MEMORY] = 2;
	met[RECORD_LIMIT_PIDS] = 0;
	assert_string_equal(limits_verdict(&o, met, 0), "memory limit of 200.0 MiB: 2 processes killed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find_hybrid),
		cmocka_unit_test(test_find_part),
		cmocka_unit_test_setup_teardown(test_parent, setup_tree, teardown_tree),
		cmocka_unit_test(test_nothing_asked),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_pids),
		cmocka_unit_test(test_kill_and_cpu),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_without),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
