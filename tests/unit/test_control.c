/* The control socket: a request and its answer, rubbish, too much, too many, deep paths, who may ask. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/control.h"

static char dir[300], root[64];
static char asked[8192];
static int asked_n;

static int allow(void *ctx, const char *kind, const char *object, const char **ret_text)
{
	assert_ptr_equal(ctx, &asked_n);
	asked_n++;
	snprintf(asked, sizeof(asked), "%s %s", kind, object);
	if (strcmp(kind, "net") == 0) {
		*ret_text = "the network is not there yet";
		return -EOPNOTSUPP;
	}
	if (strcmp(kind, "read") == 0)
		*ret_text = "may be read from now on";
	return 0;
}

static const struct control_ops ops = { .allow = allow, .ctx = &asked_n };

static struct control *server;
static pthread_t server_thread;
static atomic_bool stop;

static void *serve(void *arg)
{
	(void)arg;
	while (!stop) {
		struct pollfd p = { .fd = control_fd(server), .events = POLLIN };

		if (poll(&p, 1, 20) > 0)
			control_serve(server);
	}
	return NULL;
}

static int setup(void **state)
{
	(void)state;
	strcpy(root, "/tmp/gabion-test-control-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	/* Deeper than a socket's address is long. */
	snprintf(dir, sizeof(dir), "%s", root);
	for (int i = 0; i < 4; i++) {
		strcat(dir, "/a-directory-with-a-rather-long-name");
		mkdir(dir, 0700);
	}
	asked_n = 0;
	if (control_open(dir, &ops, &server) != 0)
		return -1;
	stop = false;
	return pthread_create(&server_thread, NULL, serve, NULL);
}

static int teardown(void **state)
{
	char cmd[128];

	(void)state;
	stop = true;
	pthread_join(server_thread, NULL);
	server = control_close(server);
	snprintf(cmd, sizeof(cmd), "rm -r '%s'", root);
	return system(cmd);
}

static int dial(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char old[200];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, "control.sock");
	assert_non_null(getcwd(old, sizeof(old)));
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(chdir(old), 0);
	return fd;
}

/* What the server says to TEXT, or "" where it just closes. */
static const char *say(const char *text, size_t n)
{
	static char buf[1024];
	int fd = dial();
	ssize_t got;

	(void)!send(fd, text, n, MSG_NOSIGNAL);
	got = recv(fd, buf, sizeof(buf) - 1, 0);
	buf[got > 0 ? got : 0] = 0;
	close(fd);
	return buf;
}

static void test_allow(void **state)
{
	char *text = NULL;
	struct stat st;
	char path[400];

	(void)state;
	snprintf(path, sizeof(path), "%s/control.sock", dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(control_ask_allow(dir, "read", "/a b\"\n\\", &text), 0);
	assert_string_equal(text, "may be read from now on");
	assert_string_equal(asked, "read /a b\"\n\\");
	free(text);
	assert_int_equal(control_ask_allow(dir, "write", "/x", &text), 0);
	assert_string_equal(text, "allowed");
	free(text);
	assert_int_equal(control_ask_allow(dir, "net", "h:443", &text), -EOPNOTSUPP);
	assert_string_equal(text, "the network is not there yet");
	free(text);
	/* The longest object that makes sense. */
	char *longest = malloc(4096);

	memset(longest, 1, 4095);
	longest[4095] = 0;
	assert_int_equal(control_ask_allow(dir, "write", longest, &text), 0);
	assert_int_equal(strlen(asked), 6 + 4095);
	free(longest);
	free(text);
	assert_int_equal(control_ask_allow(dir, "write", "/\377", &text), -EINVAL);
	assert_int_equal(control_ask_allow("/nonexistent", "write", "/x", &text), -ENOENT);
	assert_int_equal(asked_n, 4);
}

static void test_rubbish(void **state)
{
	static const char *const bad[] = {
		"\n", "{}\n", "[]\n", "{\"op\":\"allow\"}\n", "\377\n", "{\"op\":1,\"kind\":2,\"object\":3}\n",
		"{\"op\":\"kill\",\"kind\":\"a\",\"object\":\"b\"}\n",
		"{\"op\":\"allow\",\"kind\":\"a\",\"object\":\"b\",\"more\":1}\n",
		"{\"op\":\"allow\",\"op\":\"allow\",\"kind\":\"a\",\"object\":\"b\"}\n",
		"{\"op\":\"allow\",\"kind\":\"a\",\"object\":\"b\\u0000c\"}\n",
	};
	char *big = malloc(40000);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(strstr(say(bad[i], strlen(bad[i])), "\"error\":22"));
	memset(big, '[', 40000);
	/* Too long: an answer or a reset, never a hang. */
	say(big, 40000);
	big[30000] = '\n';
	assert_non_null(strstr(say(big, 30001), "\"error\":22"));
	free(big);
	assert_int_equal(asked_n, 0);
}

/* Places are few, and who only sits there gives way. */
static void test_many(void **state)
{
	int fd[12];
	char *text, c;

	(void)state;
	for (int i = 0; i < 12; i++) {
		fd[i] = dial();
		(void)!send(fd[i], "{", 1, MSG_NOSIGNAL);
	}
	assert_int_equal(control_ask_allow(dir, "write", "/x", &text), 0);
	free(text);
	assert_true(recv(fd[0], &c, 1, 0) <= 0);
	for (int i = 0; i < 12; i++)
		close(fd[i]);
}

/* A descendant of the monitor is the guest; a process that is none may ask. */
static void test_descendant(void **state)
{
	int status, p[2];
	char *text = NULL;

	(void)state;
	pid_t pid = fork();

	if (pid == 0)
		_exit(control_ask_allow(dir, "write", "/x", &text) == -EACCES ? 7 : 1);
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(asked_n, 0);
	/* An orphan: its ancestors are not ours any more, unless a subreaper stands between. */
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		pid_t me = getpid();

		if (fork() == 0) {
			while (getppid() == me)
				usleep(1000);
			int r = control_ask_allow(dir, "write", "/x", &text);

			(void)!write(p[1], &r, sizeof(r));
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(read(p[0], &status, sizeof(status)), sizeof(status));
	assert_int_equal(status, 0);
	close(p[0]);
	close(p[1]);
}

static void test_gone(void **state)
{
	char *text;

	(void)state;
	stop = true;
	pthread_join(server_thread, NULL);
	server = control_close(server);
	assert_int_equal(control_ask_allow(dir, "write", "/x", &text), -ENOENT);
	/* A run that was killed leaves its socket; the next one in the directory takes its place. */
	assert_int_equal(control_open(dir, &ops, &server), 0);
	assert_null(control_close(NULL));
	stop = false;
	pthread_create(&server_thread, NULL, serve, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_allow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rubbish, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_descendant, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
