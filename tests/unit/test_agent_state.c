/* An agent's state as a private copy: what is copied when, and that what a guest planted leads nowhere. */
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "monitor/agent_state.h"

/* TOP holds home/ (the user's), private/ (the guest's) and outside/ (neither's). */
static char top[64], private_home[80];
static char state_1[] = "~/.tool", state_2[] = "~/.tool.json", state_3[] = "~/.local/share/tool",
	    state_4[] = "~/.missing";
static char skip_1[] = "~/.tool/cache", skip_2[] = "~/.tool/*.log", other_1[] = "~/.other",
	    bad_1[] = "~/../x";
static char *state_list[] = {state_1, state_2, state_3, state_4, NULL};
static char *skip_list[] = {skip_1, skip_2, NULL};
static const struct agent agent = {.state = {state_list, 4}, .state_skip = {skip_list, 2}};

static const char *at(const char *path)
{
	static char full[8][512];
	static unsigned int next;
	char *out = full[next++ % 8];

	snprintf(out, sizeof(full[0]), "%s/%s", top, path);
	for (char *slash = out + strlen(top) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		(void)mkdir(out, 0755);
		*slash = '/';
	}
	return out;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(at(path), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* As if changed SECONDS later. */
static void put_later(const char *path, const char *text, int seconds)
{
	put(path, text);
	const struct timespec times[2] = {{1700000000 + seconds, 0}, {1700000000 + seconds, 0}};
	assert_int_equal(utimensat(AT_FDCWD, at(path), times, 0), 0);
}

static void assert_text(const char *path, const char *want)
{
	char buf[256] = "";
	FILE *f = fopen(at(path), "r");

	if (f == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
	fclose(f);
	assert_string_equal(buf, want);
}

static void assert_missing(const char *path)
{
	struct stat st;

	if (lstat(at(path), &st) == 0)
		fail_msg("%s is there", path);
	assert_int_equal(errno, ENOENT);
}

static struct stat status(const char *path)
{
	struct stat st;

	if (lstat(at(path), &st) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st;
}

static void copy(void)
{
	assert_int_equal(agent_state_copy(&agent, private_home), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(top, "/tmp/gabion-test-agent-XXXXXX");
	if (mkdtemp(top) == NULL)
		return -1;
	snprintf(private_home, sizeof(private_home), "%s/private", top);
	(void)mkdir(private_home, 0700);
	put("home/.tool/settings.json", "host");
	put("home/.tool.json", "top");
	put("outside/secret", "secret");
	return setenv("HOME", at("home"), 1);
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", top);
	return system(cmd);
}

static void test_copies(void **state)
{
	struct stat st;

	(void)state;
	put("home/.tool/deep/er/file", "x");
	put("home/.tool/cache/big", "no");
	put("home/.tool/a.log", "no");
	put("home/.tool/run.sh", "#!/bin/sh\n");
	put("home/.local/share/tool/db", "db");
	put("home/.local/share/other/db", "no");
	put("home/.other", "no");
	assert_int_equal(chmod(at("home/.tool/run.sh"), 06755), 0);
	assert_int_equal(chmod(at("home/.tool.json"), 0600), 0);
	assert_int_equal(chmod(at("home/.tool/deep"), 0750), 0);
	if (geteuid() == 0) /* as the workspace's owner has it */
		assert_int_equal(chown(private_home, 4242, 4343), 0);
	copy();
	assert_text("private/.tool/settings.json", "host");
	assert_text("private/.tool/deep/er/file", "x");
	assert_text("private/.tool.json", "top");
	assert_text("private/.local/share/tool/db", "db");
	assert_missing("private/.tool/cache");
	assert_missing("private/.tool/a.log");
	assert_missing("private/.local/share/other");
	assert_missing("private/.other");
	assert_int_equal(status("private/.tool/run.sh").st_mode & 07777, 0755);
	assert_int_equal(status("private/.tool.json").st_mode & 07777, 0600);
	assert_int_equal(status("private/.tool/deep").st_mode & 07777, 0750);
	st = status("home/.tool.json");
	assert_memory_equal(&st.st_mtim, &(struct stat[]){status("private/.tool.json")}[0].st_mtim,
			    sizeof(st.st_mtim));
	if (geteuid() == 0) {
		static const char *const made[] = {"private/.tool", "private/.tool/run.sh", "private/.local",
						   "private/.local/share/tool/db",
						   "private/.gabion-imported"};
		for (size_t i = 0; i < sizeof(made) / sizeof(*made); i++) {
			st = status(made[i]);
			assert_int_equal(st.st_uid, 4242);
			assert_int_equal(st.st_gid, 4343);
		}
	}
}

static void test_whose_version(void **state)
{
	(void)state;
	put_later("home/.tool/a", "host 1", 0);
	put_later("home/.tool/b", "host 1", 0);
	put("private/.tool/own", "guest");
	put_later("home/.tool/own", "host", 0);
	copy();
	assert_text("private/.tool/a", "host 1");
	assert_text("private/.tool/own", "guest"); /* was there first */
	put("private/.tool/a", "guest");
	put("private/.tool/new", "guest");
	assert_int_equal(unlink(at("private/.tool/b")), 0);
	copy();
	assert_text("private/.tool/a", "guest"); /* the host's is as it was */
	assert_text("private/.tool/b", "host 1");
	assert_text("private/.tool/new", "guest");
	put_later("home/.tool/a", "host 2", 60);
	put_later("home/.tool/own", "host 2", 60);
	copy();
	assert_text("private/.tool/a", "host 2");
	assert_text("private/.tool/own", "host 2");
	/* another agent's copy leaves these notes alone */
	char *other[] = {other_1, NULL};
	const struct agent second = {.state = {other, 1}};
	put("home/.other/x", "x");
	assert_int_equal(agent_state_copy(&second, private_home), 0);
	put("private/.tool/a", "guest 2");
	copy();
	assert_text("private/.tool/a", "guest 2");
	put_later("home/.tool/a", "host 3", 120);
	copy();
	assert_text("private/.tool/a", "host 3");
	/* never the other way */
	assert_text("home/.tool/settings.json", "host");
	assert_missing("home/.tool/new");
}

static void test_links_and_others(void **state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	put("home/.tool/sub/file", "x");
	assert_int_equal(symlink("sub/file", at("home/.tool/inner")), 0);
	assert_int_equal(symlink("../settings.json", at("home/.tool/sub/up")), 0);
	assert_int_equal(symlink("../../outside/secret", at("home/.tool/out")), 0);
	assert_int_equal(symlink("sub/../../.ssh", at("home/.tool/out2")), 0);
	assert_int_equal(symlink(at("outside/secret"), at("home/.tool/absolute")), 0);
	assert_int_equal(symlink("../outside", at("home/.missing")), 0);
	assert_int_equal(unlink(at("home/.tool.json")), 0);
	assert_int_equal(symlink("../outside/secret", at("home/.tool.json")), 0);
	assert_int_equal(symlink("../../outside", at("home/.local-x")), 0);
	assert_int_equal(symlink("../outside", at("home/.local")), 0);
	assert_int_equal(mkfifo(at("home/.tool/fifo"), 0600), 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", at("home/.tool/socket"));
	assert_int_equal(bind(s, (struct sockaddr *)&name, sizeof(name)), 0);
	copy();
	close(s);
	assert_text("private/.tool/inner", "x");
	assert_true(S_ISLNK(status("private/.tool/inner").st_mode));
	assert_text("private/.tool/sub/up", "host");
	assert_missing("private/.tool/out");
	assert_missing("private/.tool/out2");
	assert_missing("private/.tool/absolute");
	assert_missing("private/.tool/fifo");
	assert_missing("private/.tool/socket");
	assert_missing("private/.tool.json");
	assert_missing("private/.missing");
	copy();
}

/* Each of these once led somewhere in a program that trusted its destination. */
static void test_planted(void **state)
{
	(void)state;
	put("home/.tool/dir/file", "host");
	put("home/.tool/fifo", "host");
	put("home/.tool/hard", "host");
	put("home/.tool/folder", "host");
	put("home/.local/share/tool/db", "host");
	put("outside/dir/keep", "keep");
	put("outside/target", "untouched");
	/* before the first copy */
	(void)at("private/.tool/x");
	assert_int_equal(symlink("../../outside/dir", at("private/.tool/dir")), 0);
	assert_int_equal(symlink("../../outside/target", at("private/.tool/settings.json")), 0);
	assert_int_equal(symlink("../outside/new", at("private/.tool.json")), 0);
	assert_int_equal(symlink("../outside", at("private/.local")), 0);
	assert_int_equal(mkfifo(at("private/.tool/fifo"), 0600), 0);
	assert_int_equal(mkdir(at("private/.tool/folder"), 0700), 0);
	copy();
	/* and where the host's changes, so that it is copied over */
	assert_int_equal(unlink(at("private/.tool/hard")), 0);
	assert_int_equal(link(at("outside/target"), at("private/.tool/hard")), 0);
	put_later("home/.tool/settings.json", "host 2", 60);
	put_later("home/.tool.json", "host 2", 60);
	put_later("home/.tool/fifo", "host 2", 60);
	put_later("home/.tool/hard", "host 2", 60);
	put_later("home/.tool/folder", "host 2", 60);
	put_later("home/.tool/dir/file", "host 2", 60);
	copy();
	assert_text("outside/target", "untouched");
	assert_text("outside/dir/keep", "keep");
	assert_missing("outside/dir/file");
	assert_missing("outside/new");
	assert_missing("outside/share");
	assert_text("private/.tool/settings.json", "host 2");
	assert_true(S_ISREG(status("private/.tool/settings.json").st_mode));
	assert_text("private/.tool.json", "host 2");
	assert_text("private/.tool/fifo", "host 2");
	assert_text("private/.tool/hard", "host 2");
	assert_true(S_ISDIR(status("private/.tool/folder").st_mode));
	assert_true(S_ISLNK(status("private/.tool/dir").st_mode));
}

/* The whole directory is a link, the notes are a link, a FIFO, a directory, or nonsense. */
static void test_planted_notes(void **state)
{
	(void)state;
	assert_int_equal(symlink("../outside", at("private/.tool")), 0);
	assert_int_equal(symlink("../outside/target", at("private/.gabion-imported")), 0);
	put("outside/target", "untouched");
	copy();
	assert_missing("outside/settings.json");
	assert_text("outside/target", "untouched");
	assert_true(S_ISREG(status("private/.gabion-imported").st_mode));
	assert_text("private/.tool.json", "top");

	assert_int_equal(unlink(at("private/.gabion-imported")), 0);
	assert_int_equal(mkfifo(at("private/.gabion-imported"), 0600), 0);
	copy();
	assert_true(S_ISREG(status("private/.gabion-imported").st_mode));

	put("private/.gabion-imported",
	    "\n\n 1\n1 2\n1 2 \n-9 99999999999999999999999 ../../x\n1 1 .tool.json\nx y z\n1 1 /etc/passwd");
	copy();
	assert_text("private/.tool.json", "top");

	assert_int_equal(unlink(at("private/.gabion-imported")), 0);
	put("private/.gabion-imported/x", "");
	copy();
	assert_text("private/.tool.json", "top");
}

static unsigned int temporaries(void)
{
	char cmd[256];
	int n = -1;

	snprintf(cmd, sizeof(cmd), "find '%s' -name '.gabion-new-*' | wc -l", private_home);
	FILE *f = popen(cmd, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%d", &n), 1);
	pclose(f);
	return (unsigned int)n;
}

static void test_bounds(void **state)
{
	char name[64];

	(void)state;
	put("home/.tool/aaa", "first");
	put("home/.tool/big/huge", "");
	assert_int_equal(truncate(at("home/.tool/big/huge"), (64L << 20) + 1), 0);
	assert_int_equal(agent_state_copy(&agent, private_home), -EFBIG);
	assert_missing("private/.tool/big/huge");
	assert_int_equal(temporaries(), 0);
	assert_int_equal(unlink(at("home/.tool/big/huge")), 0);
	copy();
	assert_text("private/.tool/aaa", "first");
	/* too deep */
	strcpy(name, "home/.tool/d");
	(void)at("home/.tool/d/x");
	int dir = open(at("home/.tool/d"), O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(mkdirat(dir, "d", 0755), 0);
		int next = openat(dir, "d", O_RDONLY | O_DIRECTORY);
		close(dir);
		dir = next;
	}
	close(dir);
	assert_int_equal(agent_state_copy(&agent, private_home), -EFBIG);
}

static void test_nothing(void **state)
{
	char *bad[] = {bad_1, NULL};
	const struct agent wrong = {.state = {bad, 1}};
	const struct agent none = {.name = NULL};

	(void)state;
	assert_int_equal(agent_state_copy(&wrong, private_home), -EINVAL);
	assert_int_equal(agent_state_copy(&none, private_home), 0);
	assert_missing("private/.gabion-imported");
	assert_int_equal(agent_state_copy(&agent, at("nowhere")), -ENOENT);
	assert_int_equal(symlink("private", at("by-link")), 0);
	assert_true(agent_state_copy(&agent, at("by-link")) < 0);
	setenv("HOME", at("absent"), 1);
	copy();
	setenv("HOME", private_home, 1);
	copy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_whose_version, setup, teardown),
		cmocka_unit_test_setup_teardown(test_links_and_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_planted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_planted_notes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
