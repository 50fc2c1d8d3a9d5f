/* The state directory: who may own it, run ids and prefixes, run.json, crashed runs, pruning. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/state.h"

static char root[64];

static int setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/gabion-test-state-XXXXXX");
	return mkdtemp(root) && setenv("XDG_STATE_HOME", root, 1) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	return system(cmd);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_dirs(void **state)
{
	char *p, want[128];

	(void)state;
	assert_int_equal(state_dir(&p), 0);
	snprintf(want, sizeof(want), "%s/gabion", root);
	assert_string_equal(p, want);
	assert_int_equal(mode_of(p), 0700);
	/* Opened up by somebody: closed again. */
	chmod(p, 0777);
	free(p);
	assert_int_equal(state_dir(&p), 0);
	assert_int_equal(mode_of(p), 0700);
	free(p);
	assert_int_equal(state_home("agent", &p), 0);
	assert_int_equal(mode_of(p), 0700);
	assert_non_null(strstr(p, "/home/agent"));
	free(p);
	assert_int_equal(state_home("../x", &p), -EINVAL);
	assert_int_equal(state_home("", &p), -EINVAL);
	assert_int_equal(state_home(".", &p), -EINVAL);
	/* A relative XDG_STATE_HOME does not count; $HOME does. */
	setenv("XDG_STATE_HOME", "rel", 1);
	setenv("HOME", root, 1);
	assert_int_equal(state_dir(&p), 0);
	snprintf(want, sizeof(want), "%s/.local/state/gabion", root);
	assert_string_equal(p, want);
	free(p);
	setenv("XDG_STATE_HOME", "/dev/null/x", 1);
	assert_true(state_dir(&p) < 0);
	if (geteuid() == 0) {
		/* Somebody else's directory is not used. */
		setenv("XDG_STATE_HOME", root, 1);
		snprintf(want, sizeof(want), "%s/gabion", root);
		assert_int_equal(chown(want, 1, 1), 0);
		assert_int_equal(state_dir(&p), -EPERM);
		assert_int_equal(chown(want, 0, 0), 0);
	}
	/* Nor is a link. */
	snprintf(want, sizeof(want), "%s/l", root);
	mkdir(want, 0700);
	setenv("XDG_STATE_HOME", want, 1);
	strcat(want, "/gabion");
	assert_int_equal(symlink("/tmp", want), 0);
	assert_true(state_dir(&p) < 0);
}

static void test_runs(void **state)
{
	char *a, *b, *p, ida[32], idb[32], prefix[8];
	char *const command[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char[]){ "echo 'x\377'\n" }, NULL };
	struct state_run run, *list;
	size_t n;

	(void)state;
	assert_int_equal(state_run_new(&a, ida), 0);
	assert_int_equal(state_run_new(&b, idb), 0);
	assert_string_not_equal(ida, idb);
	assert_in_range(strlen(ida), 7, 12);
	assert_int_equal(mode_of(a), 0700);
	assert_int_equal(state_run_find(ida, &p), 0);
	assert_string_equal(p, a);
	free(p);
	snprintf(prefix, sizeof(prefix), "%.3s", ida);
	if (strncmp(prefix, idb, 3) != 0) {
		assert_int_equal(state_run_find(prefix, &p), 0);
		assert_string_equal(p, a);
		free(p);
	}
	assert_int_equal(state_run_find("", &p), -ENOENT);
	assert_int_equal(state_run_find("..", &p), -ENOENT);
	assert_int_equal(state_run_find("../runs", &p), -ENOENT);
	assert_int_equal(state_run_find("zzzzzzzzzzzz", &p), -ENOENT);
	/* Two that share a beginning; one that is the other's beginning. */
	char dir[256];

	snprintf(dir, sizeof(dir), "%.*s/uuab", (int)(strrchr(a, '/') - a), a);
	mkdir(dir, 0700);
	strcpy(strrchr(dir, '/'), "/uuabc");
	mkdir(dir, 0700);
	assert_int_equal(state_run_find("uua", &p), -ENOTUNIQ);
	assert_int_equal(state_run_find("uuab", &p), 0);
	assert_string_equal(strrchr(p, '/'), "/uuab");
	free(p);

	assert_int_equal(state_run_read(a, &run), 0);
	assert_int_equal(run.status, RUN_UNKNOWN);
	state_run_clear(&run);
	assert_int_equal(state_run_begin(a, command, "/w", NULL), 0);
	assert_int_equal(state_run_read(a, &run), 0);
	assert_int_equal(run.status, RUN_RUNNING);
	assert_int_equal(run.pid, getpid());
	assert_string_equal(run.workspace, "/w");
	assert_string_equal(run.command, "sh -c 'echo '\\''x\xc3\xbf'\\''\n'");
	assert_null(run.record);
	assert_string_equal(run.id, ida);
	state_run_clear(&run);
	assert_int_equal(state_run_end(a, 130, 7), 0);
	assert_int_equal(state_run_read(a, &run), 0);
	assert_int_equal(run.status, RUN_ENDED);
	assert_int_equal(run.exit_status, 130);
	assert_int_equal(run.refused, 7);
	assert_true(run.ended_ns >= run.started_ns);
	state_run_clear(&run);

	/* A pid that lives on as another process, and rubbish. */
	char text[256];

	snprintf(text, sizeof(text), "{\"pid\":%d,\"start_ticks\":1,\"state\":\"running\",\"started_ns\":5}", getpid());
	write_file(b, "run.json", text);
	assert_int_equal(state_run_read(b, &run), 0);
	assert_int_equal(run.status, RUN_CRASHED);
	state_run_clear(&run);
	write_file(b, "run.json", "[1, {\"pid\":");
	assert_int_equal(state_run_read(b, &run), 0);
	assert_int_equal(run.status, RUN_UNKNOWN);
	state_run_clear(&run);
	assert_int_equal(state_run_list(&list, &n), 0);
	assert_int_equal(n, 4);
	for (size_t i = 1; i < n; i++)
		assert_true(list[i - 1].started_ns >= list[i].started_ns);
	state_run_list_free(list, n);
	free(a);
	free(b);
}

/* A run whose process was killed. */
static void test_crash(void **state)
{
	char *a, id[32];
	char *const command[] = { (char[]){ "true" }, NULL };
	struct state_run run;
	int status;

	(void)state;
	assert_int_equal(state_run_new(&a, id), 0);
	pid_t pid = fork();

	if (pid == 0)
		_exit(state_run_begin(a, command, "/w", "/tmp/rec") != 0);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(state_run_read(a, &run), 0);
	assert_int_equal(run.status, RUN_CRASHED);
	assert_string_equal(run.record, "/tmp/rec");
	state_run_clear(&run);
	free(a);
}

static void test_prune(void **state)
{
	char *p, id[32], *live, text[200];
	char *const command[] = { (char[]){ "true" }, NULL };
	struct state_run *list;
	size_t n;
	bool saw_live = false;

	(void)state;
	assert_int_equal(state_run_new(&live, id), 0);
	assert_int_equal(state_run_begin(live, command, "/w", NULL), 0);
	/* Make it the oldest of all, and still running. */
	char path[300];

	snprintf(path, sizeof(path), "sed -i 's/\"started_ns\": [0-9]*/\"started_ns\": 1/' %s/run.json", live);
	assert_int_equal(system(path), 0);
	for (int i = 0; i < 60; i++) {
		assert_int_equal(state_run_new(&p, id), 0);
		snprintf(text, sizeof(text), "{\"pid\":1,\"start_ticks\":1,\"state\":\"ended\",\"started_ns\":%d}", 1000 + i);
		write_file(p, "run.json", text);
		write_file(p, "record.jsonl", "x\n");
		free(p);
	}
	assert_int_equal(state_run_list(&list, &n), 0);
	assert_in_range(n, 42, 51);
	for (size_t i = 0; i < n; i++) {
		saw_live = saw_live || strcmp(list[i].dir, live) == 0;
		assert_true(list[i].started_ns == 1 || list[i].started_ns > 1000 + 8);
	}
	assert_true(saw_live);
	state_run_list_free(list, n);
	/* Big ones go before there are many. */
	assert_int_equal(state_run_list(&list, &n), 0);
	snprintf(path, sizeof(path), "%s/record.jsonl", list[0].dir);
	int fd = open(path, O_WRONLY);

	if (fallocate(fd, 0, 0, 201 << 20) == 0) {
		assert_int_equal(state_run_new(&p, id), 0);
		free(p);
		state_run_list_free(list, n);
		assert_int_equal(state_run_list(&list, &n), 0);
		assert_int_equal(n, 2); /* the one that runs and the new one */
	}
	close(fd);
	state_run_list_free(list, n);
	free(live);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dirs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prune, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
