/*
 * The terminal relay with a real pty. The test is the user (it holds the master of the user's terminal); a child is
 * gabion, in a session of its own with that terminal; its child is the guest, with a pty of its own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "monitor/terminal.h"

struct user {
	int master, slave;
	pid_t gabion;
	struct termios before;
	char seen[1 << 16];
	size_t n;
};

static volatile sig_atomic_t winch, stop_now, go_on;
static useconds_t lag; /* gabion is that late for everything */

static void on_signal(int sig)
{
	if (sig == SIGWINCH)
		winch = 1;
	else if (sig == SIGUSR1)
		stop_now = 1;
	else
		go_on = 1;
}

/* The guest's side, as monitor/supervise.c makes it. */
static pid_t start_guest(int slave, const struct terminal_look *look, const char *script)
{
	pid_t pid = fork();

	if (pid == 0) {
		setsid();
		if (terminal_dress(slave, look) < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
			_exit(99);
		for (int fd = 0; fd < 3; fd++)
			if (look->is_tty[fd])
				dup2(slave, fd);
		if (slave > 2)
			close(slave);
		execl("/bin/bash", "bash", "--norc", "-c", script, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* gabion: the loop around the relay. Ends with the guest's status, 200 when the user is gone. */
static int gabion(const char *script, int fault_after_ms)
{
	struct terminal_look look;
	struct terminal *t = NULL;
	struct sigaction sa = { .sa_handler = on_signal };
	int master, slave, status;
	struct timespec from, now;

	terminal_look(&look);
	if (!look.wanted || openpty(&master, &slave, NULL, NULL, NULL) < 0)
		return 98;
	sigaction(SIGWINCH, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	sigaction(SIGUSR2, &sa, NULL);
	signal(SIGHUP, SIG_IGN);
	fcntl(master, F_SETFD, FD_CLOEXEC);
	pid_t pid = start_guest(slave, &look, script);

	close(slave);
	if (terminal_open(master, &look, &t) < 0)
		return 97;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (;;) {
		struct pollfd p[4];
		int n = terminal_poll(t, p);

		usleep(lag);
		n = poll(p, (nfds_t)n, 20) > 0 ? n : 0;
		usleep(lag);
		if (n > 0 && terminal_serve(t, p, n) < 0) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			terminal_close(t, 100);
			return 200;
		}
		if (winch) {
			winch = 0;
			terminal_resize(t);
		}
		if (stop_now) {
			stop_now = 0;
			terminal_suspend(t);
		}
		if (go_on) {
			go_on = 0;
			terminal_resume(t);
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (fault_after_ms > 0 &&
		    (now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 > fault_after_ms)
			abort();
		if (fault_after_ms < 0 && winch == 0 && now.tv_sec - from.tv_sec >= 1)
			exit(96);
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	terminal_close(t, 2000);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

enum { PIPE_OUT = 1, PIPE_IN = 2, BACKGROUND = 4 };

/* PIPE: the other end of the pipe that stands in place of a standard descriptor. */
static void start(struct user *u, const char *script, int how, int fault_after_ms, int *ret_pipe)
{
	struct winsize size = { .ws_row = 33, .ws_col = 111 };
	int p[2] = { -1, -1 };

	memset(u, 0, sizeof(*u));
	assert_int_equal(openpty(&u->master, &u->slave, NULL, NULL, &size), 0);
	fcntl(u->master, F_SETFD, FD_CLOEXEC);
	fcntl(u->slave, F_SETFD, FD_CLOEXEC);
	tcgetattr(u->slave, &u->before);
	if (ret_pipe)
		assert_int_equal(pipe(p), 0);
	u->gabion = fork();
	assert_true(u->gabion >= 0);
	if (u->gabion == 0) {
		alarm(30); /* a test that fails leaves nothing behind */
		setsid();
		ioctl(u->slave, TIOCSCTTY, 0);
		for (int fd = 0; fd < 3; fd++)
			dup2(u->slave, fd);
		close(u->master);
		close(u->slave);
		if (how & PIPE_OUT)
			dup2(p[1], 1);
		if (how & PIPE_IN)
			dup2(p[0], 0);
		if (ret_pipe) {
			close(p[0]);
			close(p[1]);
		}
		if (how & BACKGROUND) {
			/* The session's leader is the shell; gabion is in a group behind it. */
			pid_t job = fork();
			int status;

			alarm(30);
			if (job > 0) {
				setpgid(job, job);
				signal(SIGTTOU, SIG_IGN);
				sigset_t set;

				/* Brought forward when told so. */
				sigemptyset(&set);
				sigaddset(&set, SIGUSR2);
				sigprocmask(SIG_BLOCK, &set, NULL);
				int sig;

				sigwait(&set, &sig);
				tcsetpgrp(0, job);
				waitpid(job, &status, 0);
				_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
			}
			setpgid(0, 0);
		}
		_exit(gabion(script, fault_after_ms));
	}
	if (ret_pipe) {
		*ret_pipe = how & PIPE_OUT ? p[0] : p[1];
		close(how & PIPE_OUT ? p[1] : p[0]);
	}
}

/* Reads what the terminal shows until TEXT is in it, at most MS. */
static bool expect_within(struct user *u, const char *text, int ms)
{
	struct timespec from, now;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (;;) {
		struct pollfd p = { .fd = u->master, .events = POLLIN };

		char *at = memmem(u->seen, u->n, text, strlen(text));

		if (at) {
			/* What follows is for the next. */
			at += strlen(text);
			u->n -= (size_t)(at - u->seen);
			memmove(u->seen, at, u->n);
			return true;
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
		int left = ms - (int)((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000);

		if (left <= 0 || poll(&p, 1, left) <= 0)
			return false;
		ssize_t k = read(u->master, u->seen + u->n, sizeof(u->seen) - u->n);

		if (k <= 0)
			return false;
		u->n += (size_t)k;
	}
}

#define EXPECT(u, text)                                                                                      \
	do {                                                                                                 \
		if (!expect_within(u, text, 10000))                                                          \
			fail_msg("no %s in: %.*s", text, (int)(u)->n, (u)->seen);                            \
	} while (0)

static void keys(const struct user *u, const char *text)
{
	assert_int_equal(write(u->master, text, strlen(text)), strlen(text));
}

static bool is_raw(const struct user *u)
{
	struct termios m;

	tcgetattr(u->slave, &m);
	return !(m.c_lflag & ICANON);
}

static bool wait_raw(const struct user *u, bool raw)
{
	for (int i = 0; i < 200 && is_raw(u) != raw; i++)
		usleep(10000);
	return is_raw(u) == raw;
}

static void assert_modes(const struct user *u)
{
	struct termios now;

	tcgetattr(u->slave, &now);
	assert_int_equal(now.c_iflag, u->before.c_iflag);
	assert_int_equal(now.c_oflag, u->before.c_oflag);
	assert_int_equal(now.c_cflag, u->before.c_cflag);
	assert_int_equal(now.c_lflag, u->before.c_lflag);
	assert_memory_equal(now.c_cc, u->before.c_cc, sizeof(now.c_cc));
}

/* Waits for the end; modes and flags must be as before. */
static int finish(struct user *u)
{
	int status;

	for (;;) {
		struct pollfd p = { .fd = u->master, .events = POLLIN };
		char buf[4096];

		if (waitpid(u->gabion, &status, WNOHANG) == u->gabion)
			break;
		if (poll(&p, 1, 20) > 0)
			(void)!read(u->master, buf, sizeof(buf));
	}
	assert_modes(u);
	assert_false(fcntl(u->slave, F_GETFL) & O_NONBLOCK);
	close(u->master);
	close(u->slave);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void test_size_and_modes(void **state)
{
	struct user u;
	struct winsize size = { .ws_row = 50, .ws_col = 60 };

	(void)state;
	start(&u, "stty size; tty | sed s/.dev.pts.*/a-tty/; stty -a | grep -o ' icanon'; echo ready; "
		  "read -r l; echo \"got <$l>\"; trap 'w=signal' WINCH; echo trapped; "
		  "until [ \"$(stty size)\" = '50 60' ]; do sleep .02; done; sleep .02; echo resized $w; exit 7",
	      0, 0, NULL);
	EXPECT(&u, "33 111\r\na-tty\r\n icanon\r\n");
	EXPECT(&u, "ready\r\n");
	assert_true(wait_raw(&u, true));
	keys(&u, "hello\r");
	/* Echoed once, by the guest's terminal. */
	EXPECT(&u, "hello\r\ngot <hello>\r\ntrapped\r\n");
	assert_int_equal(ioctl(u.master, TIOCSWINSZ, &size), 0);
	EXPECT(&u, "resized signal\r\n");
	assert_int_equal(finish(&u), 7);
}

static void test_keys(void **state)
{
	struct user u;

	(void)state;
	/* Ctrl-C interrupts the guest's foreground job, and only that. */
	start(&u, "trap 'echo interrupted' INT; echo ready; sleep 30; echo status $?; cat; echo eof", 0, 0, NULL);
	EXPECT(&u, "ready");
	assert_true(wait_raw(&u, true));
	usleep(100000);
	keys(&u, "\003");
	EXPECT(&u, "status 130");
	keys(&u, "abc\r");
	EXPECT(&u, "abc\r\nabc\r\n");
	keys(&u, "\004");
	EXPECT(&u, "eof");
	assert_int_equal(finish(&u), 0);
	/* A shell's job control. */
	start(&u, "set -m; exec bash --norc --noediting -i", 0, 0, NULL);
	assert_true(wait_raw(&u, true));
	keys(&u, "PS1=; sleep 30; echo after-$?\r");
	EXPECT(&u, "after-$?\r\n");
	usleep(300000);
	keys(&u, "\032");
	EXPECT(&u, "Stopped");
	/* The second time it does not mind the stopped job. */
	keys(&u, "kill %1\rexit 3\rexit 3\r");
	assert_int_equal(finish(&u), 3);
	/* Single keys: what the guest's own raw mode reads. */
	start(&u, "stty raw -echo; echo ready; dd bs=1 count=4 2>/dev/null | od -An -tx1; stty sane", 0, 0, NULL);
	EXPECT(&u, "ready");
	assert_true(wait_raw(&u, true));
	keys(&u, "\003\032\004\r");
	EXPECT(&u, "03 1a 04 0d");
	assert_int_equal(finish(&u), 0);
}

/* Every byte of a million, and back-pressure while the user's terminal does not take them. */
static void test_output(void **state)
{
	enum { TOTAL = 1 << 20 };
	struct user u;
	uint32_t mine = 1;
	size_t got = 0;
	static unsigned char buf[65536];

	(void)state;
	/* A generator both sides know (awk would mangle bytes). */
	start(&u, "stty -opost; python3 -c '\n"
		  "import sys\n"
		  "x = 1; out = bytearray()\n"
		  "for i in range(1 << 20):\n"
		  "    x = (x * 1103515245 + 12345) & 0xffffffff\n"
		  "    out.append(x >> 24)\n"
		  "sys.stdout.buffer.write(bytes(out)); sys.stdout.flush()'",
	      0, 0, NULL);
	usleep(500000); /* nobody reads: the guest must wait */
	while (got < TOTAL) {
		ssize_t n = read(u.master, buf, sizeof(buf));

		assert_true(n > 0);
		for (ssize_t i = 0; i < n; i++) {
			mine = mine * 1103515245u + 12345u;
			if (buf[i] != mine >> 24)
				fail_msg("byte %zu differs", got + (size_t)i);
		}
		got += (size_t)n;
	}
	assert_int_equal(finish(&u), 0);
}

/* The last words of a guest are shown although it is gone. */
static void test_last_words(void **state)
{
	struct user u;

	(void)state;
	start(&u, "seq 1 20000; echo last-words", 0, 0, NULL);
	size_t total = 0;
	char tail[32] = "", buf[4096];

	for (;;) {
		struct pollfd p = { .fd = u.master, .events = POLLIN };

		if (poll(&p, 1, 3000) <= 0)
			break;
		ssize_t n = read(u.master, buf, sizeof(buf));

		if (n <= 0)
			break;
		total += (size_t)n;
		for (ssize_t i = 0; i < n; i++) {
			memmove(tail, tail + 1, 12);
			tail[12] = buf[i];
		}
		if (memcmp(tail, "st-words\r\n", 10) == 0 || strstr(tail, "words\r\n"))
			break;
	}
	assert_int_equal(total, 108894 + 20000 + 12);
	assert_int_equal(finish(&u), 0);
}

/* Typing into a guest that does not read stops at some point, costs nothing, and is all there later. */
static void test_typing_ahead(void **state)
{
	struct user u;
	size_t sent = 0;
	char block[1024];

	(void)state;
	start(&u, "stty raw -echo; echo ready; sleep 1; head -c 200000 | wc -c; echo done", 0, 0, NULL);
	EXPECT(&u, "ready");
	assert_true(wait_raw(&u, true));
	memset(block, 'x', sizeof(block));
	fcntl(u.master, F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 100; i++) {
		ssize_t n = write(u.master, block, sizeof(block));

		if (n > 0)
			sent += (size_t)n;
		else
			usleep(2000);
	}
	assert_true(sent < 100000);
	fcntl(u.master, F_SETFL, 0);
	while (sent < 200000) {
		size_t n = 200000 - sent < sizeof(block) ? 200000 - sent : sizeof(block);
		ssize_t k = write(u.master, block, n);

		assert_true(k > 0);
		sent += (size_t)k;
	}
	EXPECT(&u, "200000");
	assert_int_equal(finish(&u), 0);
}

static void test_suspend(void **state)
{
	struct user u;

	(void)state;
	start(&u, "echo ready; while read -r l; do echo \"got <$l>\"; done", 0, 0, NULL);
	EXPECT(&u, "ready");
	assert_true(wait_raw(&u, true));
	kill(u.gabion, SIGUSR1);
	assert_true(wait_raw(&u, false));
	struct winsize size = { .ws_row = 9, .ws_col = 9 };

	assert_modes(&u);
	ioctl(u.master, TIOCSWINSZ, &size);
	kill(u.gabion, SIGUSR2);
	assert_true(wait_raw(&u, true));
	u.n = 0;
	keys(&u, "again\r\004");
	EXPECT(&u, "got <again>");
	assert_int_equal(finish(&u), 0);
}

/* A run in the background takes nothing until it is brought forward. */
static void test_background(void **state)
{
	struct user u;

	(void)state;
	start(&u, "echo ready; read -r l; echo \"got <$l>\"", BACKGROUND, 0, NULL);
	EXPECT(&u, "ready");
	usleep(400000);
	assert_false(is_raw(&u));
	/* Typed for the shell; the run in the background must not have it. */
	keys(&u, "shell\r");
	usleep(400000);
	char buf[64];

	fcntl(u.slave, F_SETFL, O_NONBLOCK);
	ssize_t n = read(u.slave, buf, sizeof(buf));

	fcntl(u.slave, F_SETFL, 0);
	assert_int_equal(n, 6);
	kill(u.gabion, SIGUSR2);
	assert_true(wait_raw(&u, true));
	keys(&u, "mine\r");
	EXPECT(&u, "got <mine>");
	assert_int_equal(finish(&u), 0);
}

/* The user's terminal goes away. */
static void test_hang_up(void **state)
{
	struct user u;
	int status;

	(void)state;
	start(&u, "echo ready; sleep 30", 0, 0, NULL);
	EXPECT(&u, "ready");
	close(u.slave);
	close(u.master);
	assert_int_equal(waitpid(u.gabion, &status, 0), u.gabion);
	assert_int_equal(WEXITSTATUS(status), 200);
}

/* Modes come back when gabion fails in the middle. */
static void test_failure(void **state)
{
	struct user u;

	(void)state;
	start(&u, "echo ready; sleep 2", 0, 300, NULL);
	EXPECT(&u, "ready");
	assert_true(wait_raw(&u, true));
	assert_int_equal(finish(&u), 128 + SIGABRT);
	start(&u, "echo ready; sleep 3", 0, -1, NULL);
	EXPECT(&u, "ready");
	assert_int_equal(finish(&u), 96);
}

/* The guest closes its terminal and opens it again: nothing is lost, and the wait costs nothing. */
static void test_reopen(void **state)
{
	struct user u;
	struct rusage a, b;

	(void)state;
	getrusage(RUSAGE_CHILDREN, &a);
	start(&u, "t=$(tty); exec 3>&1; exec 0<&- 1>&- 2>&- 3>&-; sleep 1; exec 0<>$t 1>&0 2>&0; echo back; read -r l; "
		  "echo \"got <$l>\"",
	      0, 0, NULL);
	EXPECT(&u, "back\r\n");
	keys(&u, "x\r");
	EXPECT(&u, "got <x>");
	assert_int_equal(finish(&u), 0);
	getrusage(RUSAGE_CHILDREN, &b);
	long ms = (b.ru_utime.tv_sec - a.ru_utime.tv_sec + b.ru_stime.tv_sec - a.ru_stime.tv_sec) * 1000 +
		  (b.ru_utime.tv_usec - a.ru_utime.tv_usec + b.ru_stime.tv_usec - a.ru_stime.tv_usec) / 1000;

	assert_in_range(ms, 0, 300);
}

/* gabion | pager: the keyboard and the modes are the pager's. */
static void test_pipeline(void **state)
{
	struct user u;
	int p;
	char buf[256];
	ssize_t n;

	(void)state;
	start(&u, "echo ready >&2; sleep 1; read -r l; echo \"out <$l>\"", PIPE_OUT, 0, &p);
	EXPECT(&u, "ready");
	usleep(200000);
	assert_false(is_raw(&u));
	/* A pager takes the terminal. */
	struct termios m = u.before;

	cfmakeraw(&m);
	tcsetattr(u.slave, TCSANOW, &m);
	keys(&u, "q");
	usleep(300000);
	fcntl(u.slave, F_SETFL, O_NONBLOCK);
	n = read(u.slave, buf, sizeof(buf));
	fcntl(u.slave, F_SETFL, 0);
	assert_int_equal(n, 1);
	/* It is gone; a line for the guest. */
	tcsetattr(u.slave, TCSANOW, &u.before);
	keys(&u, "line\r");
	n = read(p, buf, sizeof(buf));
	assert_true(n > 0);
	buf[n] = 0;
	assert_string_equal(buf, "out <line>\n");
	close(p);
	assert_int_equal(finish(&u), 0);

	/* A password: no echo at the user's terminal either. */
	start(&u, "exec 2>/dev/tty; stty -echo </dev/tty; echo -n secret: >&2; read -r l; stty echo; echo; echo \"out <$l>\"",
	      PIPE_OUT, 0, &p);
	EXPECT(&u, "secret:");
	assert_true(wait_raw(&u, true));
	keys(&u, "hush\r");
	n = 0;
	while (n < 4 || !memmem(buf, (size_t)n, "hush>", 5)) {
		ssize_t k = read(p, buf + n, sizeof(buf) - (size_t)n);

		assert_true(k > 0);
		n += k;
	}
	assert_false(expect_within(&u, "hush", 100));
	close(p);
	assert_int_equal(finish(&u), 0);

	/* echo text | gabion less: the guest reads single keys from its own terminal. */
	start(&u, "read -r first; stty raw -echo </dev/tty; echo \"$first ready\"; k=$(dd bs=1 count=1 2>/dev/null </dev/tty); "
		  "stty sane </dev/tty; echo \"key <$k>\"",
	      PIPE_IN, 0, &p);
	assert_false(is_raw(&u));
	(void)!write(p, "piped\n", 6);
	close(p);
	EXPECT(&u, "piped ready");
	assert_true(wait_raw(&u, true));
	keys(&u, "k");
	EXPECT(&u, "key <k>");
	assert_int_equal(finish(&u), 0);
}

/* In a pipeline the CR the guest's terminal made is taken away also where it is read long before its LF. */
static void test_late(void **state)
{
	enum { LINES = 500000 };
	static char buf[LINES * 4];
	struct user u;
	size_t got = 0;
	int p;

	(void)state;
	lag = 12000;
	start(&u, "yes | head -n 500000; echo end", PIPE_IN, 0, &p);
	lag = 0;
	close(p);
	while (got < 5 || !memmem(buf + got - 5, 5, "end\r\n", 5)) {
		ssize_t n = read(u.master, buf + got, sizeof(buf) - got);

		assert_true(n > 0);
		got += (size_t)n;
	}
	for (size_t i = 0; i < LINES; i++)
		if (memcmp(buf + 3 * i, "y\r\n", 3) != 0)
			fail_msg("line %zu is another", i);
	assert_string_equal(buf + 3 * (size_t)LINES, "end\r\n");
	assert_int_equal(finish(&u), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_and_modes), cmocka_unit_test(test_keys),
		cmocka_unit_test(test_output),         cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_typing_ahead),   cmocka_unit_test(test_suspend),
		cmocka_unit_test(test_background),     cmocka_unit_test(test_hang_up),
		cmocka_unit_test(test_failure),        cmocka_unit_test(test_reopen),
		cmocka_unit_test(test_pipeline),      cmocka_unit_test(test_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
