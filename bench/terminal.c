/*
 * terminal NAME COMMAND... [// NAME COMMAND...]...: what a terminal costs. Each command runs on a pty of its own, as a shell's would: its
 * controlling terminal. At the innermost it is `terminal -g`, the guest, which sends back each byte it reads, and MEGABYTES of text for
 * each line feed. We are the terminal emulator.
 *
 * Commands stay open and are measured in turn for several rounds. Output: "NAME echo-ns text-ns" with tabs, the medians of a byte's way
 * there and back, and of a mebibyte of text.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "bench.h"

enum { MOST = 4, ROUNDS = 5, ECHOES = 400, MEGABYTES = 4, READY = 'R' };

struct subject {
	const char *name;
	char **argv;
	pid_t pid;
	int master;
	uint64_t echo[ROUNDS * ECHOES], text[ROUNDS];
};

static char buf[65536];

static void write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);
		if (w <= 0)
			give_up("write");
		p += w;
		n -= (size_t)w;
	}
}

static _Noreturn void guest(void)
{
	struct termios t;
	char c = READY;

	if (tcgetattr(0, &t) < 0)
		give_up("not a terminal");
	cfmakeraw(&t);
	if (tcsetattr(0, TCSANOW, &t) < 0)
		give_up("raw mode");
	memset(buf, 'x', sizeof(buf));
	do {
		if (c != '\n') {
			write_all(1, &c, 1);
			continue;
		}
		for (size_t i = 0; i < (MEGABYTES << 20) / sizeof(buf); i++)
			write_all(1, buf, sizeof(buf));
	} while (read(0, &c, 1) == 1);
	exit(0);
}

static void start(struct subject *s)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };
	int unlock = 0;

	s->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (s->master < 0 || ioctl(s->master, TIOCSPTLCK, &unlock) < 0 || ioctl(s->master, TIOCSWINSZ, &size) < 0)
		give_up("pty");
	int slave = ioctl(s->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || (s->pid = fork()) < 0)
		give_up("pty");
	if (s->pid == 0) {
		setsid();
		if (ioctl(slave, TIOCSCTTY, 0) < 0)
			give_up("controlling terminal");
		for (int fd = 0; fd < 3; fd++)
			dup2(slave, fd);
		execvp(s->argv[0], s->argv);
		_exit(127);
	}
	close(slave);
	do {
		if (read(s->master, buf, 1) != 1)
			give_up(s->name);
	} while (buf[0] != READY);
	usleep(50000); /* both ends are raw now */
}

static void echo(struct subject *s, int round)
{
	for (int i = 0; i < ECHOES; i++) {
		uint64_t t = now_ns();
		write_all(s->master, "a", 1);
		if (read(s->master, buf, 1) != 1)
			give_up("echo");
		s->echo[round * ECHOES + i] = now_ns() - t;
	}
}

static void text(struct subject *s, int round)
{
	size_t left = MEGABYTES << 20;
	uint64_t t = now_ns();

	write_all(s->master, "\n", 1);
	while (left > 0) {
		ssize_t n = read(s->master, buf, sizeof(buf));
		if (n <= 0)
			give_up("text");
		left -= (size_t)n < left ? (size_t)n : left;
	}
	s->text[round] = (now_ns() - t) / MEGABYTES;
}

int main(int argc, char **argv)
{
	static struct subject v[MOST];
	int n = 0;

	if (argc == 2 && strcmp(argv[1], "-g") == 0)
		guest();
	for (int i = 1; i < argc && n < MOST; n++) {
		v[n] = (struct subject){ .name = argv[i], .argv = argv + i + 1 };
		for (i++; i < argc && strcmp(argv[i], "//") != 0; i++)
			;
		if (i < argc)
			argv[i++] = NULL;
	}
	for (int i = 0; i < n; i++)
		start(&v[i]);
	for (int r = 0; r < ROUNDS; r++)
		for (int i = 0; i < n; i++) {
			echo(&v[i], r);
			text(&v[i], r);
		}
	for (int i = 0; i < n; i++) {
		printf("%s\t%llu\t%llu\n", v[i].name, (unsigned long long)median(v[i].echo, ROUNDS * ECHOES),
		       (unsigned long long)median(v[i].text, ROUNDS));
		close(v[i].master);
		(void)waitpid(v[i].pid, NULL, 0);
	}
	return 0;
}
