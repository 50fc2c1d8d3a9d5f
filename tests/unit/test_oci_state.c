/* The OCI runtime's state directory: ids, creating and removing, locks, what a kill leaves, older files. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/oci/cli.h"
#include "monitor/oci/state.h"

static char root[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/test_oci_state.XXXXXX");
	return mkdtemp(root) == NULL;
}

static int tear_down(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

/* How many names ROOT has, but for "." and "..". */
static int names(void)
{
	char command[128];

	snprintf(command, sizeof(command), "exit $(ls -A %s | wc -l)", root);
	int r = system(command);
	return WEXITSTATUS(r);
}

static struct oci_state sample(const char *id)
{
	struct oci_state s = OCI_STATE_NULL;

	s.id = strdup(id);
	s.bundle = strdup("/b");
	s.creator = oci_process_of(getpid());
	return s;
}

static void ids(void **state)
{
	static const char *const good[] = {"a", "A-b_c.d+e", "0123456789abcdef"};
	static const char *const bad[] = {"", ".", "..", "../x", "a/b", "a\nb", "a b", "\xc3\xa4", ".new-1", "a*"};
	char longer[1200];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_int_equal(oci_state_check_id(good[i], NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(oci_state_check_id(bad[i], NULL), -EINVAL);
	memset(longer, 'a', sizeof(longer));
	longer[1100] = '\0';
	assert_int_equal(oci_state_check_id(longer, NULL), -EINVAL);
	longer[255] = '\0';
	assert_int_equal(oci_state_check_id(longer, NULL), 0);
}

static void life(void **state)
{
	struct oci_handle h = OCI_HANDLE_NULL, other = OCI_HANDLE_NULL;
	struct oci_fault fault = OCI_FAULT_NULL;
	struct oci_state s = sample("one"), read = OCI_STATE_NULL;

	(void)state;
	assert_int_equal(oci_state_new(root, &s, &h, &fault), 0);
	assert_int_equal(oci_state_new(root, &s, &other, &fault), -EEXIST);
	assert_string_equal(fault.text, "container with given ID already exists");
	assert_int_equal(names(), 1);

	s.init = oci_process_of(getpid());
	s.helpers[s.helpers_n++] = oci_process_of(1);
	s.annotations = json_pack("{s:s}", "k", "v");
	s.more = json_pack("{s:i}", "n", 7);
	assert_int_equal(oci_cgroup_plan(OCI_CGROUPFS, "/test-oci-state/x", "one", true, &s.cgroup, &fault), 0);
	s.created_done = s.started = true;
	assert_int_equal(oci_state_write(&h, &s, &fault), 0);
	assert_int_equal(oci_state_read(&h, &read, &fault), 0);
	assert_string_equal(read.id, "one");
	assert_int_equal(read.init.pid, getpid());
	assert_true(read.init.start == s.init.start && read.init.start != 0);
	assert_int_equal(read.helpers_n, 1);
	assert_true(json_equal(read.more, s.more) && json_equal(read.annotations, s.annotations));
	assert_int_equal(oci_state_status(&read), OCI_RUNNING);
	read.started = false;
	assert_int_equal(oci_state_status(&read), OCI_CREATED);
	read.init.start++; /* the number is another process's by now */
	assert_int_equal(oci_state_status(&read), OCI_STOPPED);
	json_t *a = oci_cgroup_json(s.cgroup), *b = oci_cgroup_json(read.cgroup);
	assert_true(json_equal(a, b));
	json_decref(a);
	json_decref(b);
	oci_state_clear(&read);

	oci_state_close(&h);
	assert_int_equal(oci_state_open(root, "one", &h, &fault), 0);
	assert_int_equal(oci_state_remove(root, &h, &fault), 0);
	assert_int_equal(names(), 0);
	assert_int_equal(oci_state_open(root, "one", &h, &fault), -ENOENT);
	assert_string_equal(fault.text, "container does not exist");
	oci_state_clear(&s);
}

/* Of many creates of one ID one wins, and the losers leave nothing. */
static void races(void **state)
{
	(void)state;
	for (int round = 0; round < 10; round++) {
		pid_t pids[8];
		int won = 0;
		for (int i = 0; i < 8; i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				struct oci_handle h = OCI_HANDLE_NULL;
				struct oci_state s = sample("race");
				_exit(oci_state_new(root, &s, &h, NULL) == 0 ? 0 : 1);
			}
		}
		for (int i = 0; i < 8; i++) {
			int status = 0;
			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			won += WIFEXITED(status) && WEXITSTATUS(status) == 0;
		}
		assert_int_equal(won, 1);
		assert_int_equal(names(), 1);
		struct oci_handle h = OCI_HANDLE_NULL;
		assert_int_equal(oci_state_open(root, "race", &h, NULL), 0);
		assert_int_equal(oci_state_remove(root, &h, NULL), 0);
		assert_int_equal(names(), 0);
	}
}

/* Who waits for a lock while the container is deleted and made anew gets the new one, or none. */
static void waits(void **state)
{
	struct oci_handle h = OCI_HANDLE_NULL;
	struct oci_state s = sample("w");
	int status = 0;

	(void)state;
	assert_int_equal(oci_state_new(root, &s, &h, NULL), 0);
	pid_t child = fork();
	if (child == 0) {
		struct oci_handle mine = OCI_HANDLE_NULL;
		struct oci_state read = OCI_STATE_NULL;
		oci_state_close(&h); /* a copy of the lock's descriptor would hold it */
		int r = oci_state_open(root, "w", &mine, NULL);
		_exit(r == -ENOENT ? 2 : r == 0 && oci_state_read(&mine, &read, NULL) == 0 && read.owner != NULL ? 0 : 1);
	}
	usleep(100000);
	assert_int_equal(oci_state_remove(root, &h, NULL), 0);
	s.owner = strdup("second");
	assert_int_equal(oci_state_new(root, &s, &h, NULL), 0);
	oci_state_close(&h);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2));
	oci_state_clear(&s);
}

/* A process that is killed anywhere in create and remove, many times: a sweep and a delete leave nothing. */
static void killed(void **state)
{
	(void)state;
	for (int round = 0; round < 150; round++) {
		pid_t child = fork();
		if (child == 0) {
			for (;;) {
				struct oci_handle h = OCI_HANDLE_NULL;
				struct oci_state s = sample("k");
				if (oci_state_new(root, &s, &h, NULL) == 0)
					(void)oci_state_remove(root, &h, NULL);
				else if (oci_state_open(root, "k", &h, NULL) == 0)
					(void)oci_state_remove(root, &h, NULL);
				oci_state_clear(&s);
			}
		}
		usleep((useconds_t)(round * 37 % 2000));
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
		struct oci_handle h = OCI_HANDLE_NULL;
		oci_state_sweep(root);
		int r = oci_state_open(root, "k", &h, NULL);
		if (r == 0) {
			struct oci_state s = OCI_STATE_NULL;
			assert_int_equal(oci_state_read(&h, &s, NULL), 0);
			assert_int_equal(oci_state_status(&s), OCI_STOPPED); /* its creator is gone */
			oci_state_clear(&s);
			assert_int_equal(oci_state_remove(root, &h, NULL), 0);
		} else {
			assert_int_equal(r, -ENOENT);
		}
		assert_int_equal(names(), 0);
	}
}

static void put(const char *id, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, id);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%s/state.json", root, id);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int read_one(const char *id, struct oci_state *s)
{
	struct oci_handle h = OCI_HANDLE_NULL;
	int r = oci_state_peek(root, id, &h, NULL);

	if (r == 0)
		r = oci_state_read(&h, s, NULL);
	oci_state_close(&h);
	return r;
}

/* What lies there need not be ours, whole, or of today. */
static void files(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "{\"a\":1,\"a\":2}",
					  ("{\"format\":1,\"cgroup\":{\"hierarchies\":[{\"mount\":\"/sys/fs/cgroup\",\"subsystems\":\"\","
					   "\"path\":\"/sys/fs/cgroup/../../etc\",\"helper\":\"/sys/fs/cgroup/x\"}]}}"),
					  "{\"format\":1,\"cgroup\":{\"manager\":9}}"};
	struct oci_state s = OCI_STATE_NULL;
	char id[16];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(id, sizeof(id), "bad%zu", i);
		put(id, bad[i]);
		assert_true(read_one(id, &s) < 0);
	}
	put("newer", "{\"format\":99}");
	assert_int_equal(read_one("newer", &s), -EPROTO);
	/* the least an older gabion may have written */
	put("older", "{\"format\":1,\"id\":\"older\",\"unknown\":{\"x\":[1]},\"init\":{\"pid\":-5,\"start\":3}}");
	assert_int_equal(read_one("older", &s), 0);
	assert_int_equal(s.init.pid, 0);
	assert_int_equal(oci_state_status(&s), OCI_STOPPED);
	oci_state_clear(&s);
	char **list;
	assert_int_equal(oci_state_list(root, &list, NULL), 0);
	int n = 0;
	for (; list[n] != NULL; n++)
		free(list[n]);
	free(list);
	assert_int_equal(n, 8);
}

static void roots(void **state)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	char path[256], *got = NULL;

	(void)state;
	snprintf(path, sizeof(path), "%s/a/b", root);
	assert_int_equal(oci_state_root(path, &got, &fault), 0);
	assert_string_equal(got, path);
	free(got);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(oci_state_root(path, &got, &fault), -EPERM); /* anybody may write */
}

static void values(void **state)
{
	int64_t v;

	(void)state;
	assert_int_equal(oci_signal_number("KILL"), 9);
	assert_int_equal(oci_signal_number("SIGterm"), 15);
	assert_int_equal(oci_signal_number("9"), 9);
	assert_int_equal(oci_signal_number("0"), 0);
	assert_int_equal(oci_signal_number("RTMIN+3"), SIGRTMIN + 3);
	assert_int_equal(oci_signal_number("SIGRTMAX-1"), SIGRTMAX - 1);
	assert_int_equal(oci_signal_number("RTMAX+1"), -EINVAL);
	assert_int_equal(oci_signal_number("XYZ"), -EINVAL);
	assert_int_equal(oci_signal_number("999"), -EINVAL);
	assert_int_equal(oci_signal_number("-1"), -EINVAL);
	assert_true(oci_bytes("64m", &v) == 0 && v == 64 << 20);
	assert_true(oci_bytes("1.5GiB", &v) == 0 && v == 3LL << 29);
	assert_true(oci_bytes("-1", &v) == 0 && v == -1);
	assert_true(oci_bytes("-2", &v) < 0 && oci_bytes("x", &v) < 0 && oci_bytes("1z", &v) < 0 && oci_bytes("nan", &v) < 0);
	assert_true(oci_bytes("9e30", &v) < 0 && oci_bytes("", &v) < 0);
	assert_true(oci_duration_ms("1m30s", &v) == 0 && v == 90000);
	assert_true(oci_duration_ms("250ms", &v) == 0 && v == 250);
	assert_true(oci_duration_ms("0s", &v) < 0 && oci_duration_ms("5", &v) < 0 && oci_duration_ms("-1s", &v) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids),
		cmocka_unit_test_setup_teardown(life, set_up, tear_down),
		cmocka_unit_test_setup_teardown(races, set_up, tear_down),
		cmocka_unit_test_setup_teardown(waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(roots, set_up, tear_down),
		cmocka_unit_test(values),
	};

	return cmocka_run_group_tests_name("oci_state", tests, NULL, NULL);
}
