/*
 * Giving the user's terminal back when the monitor ends in an unforeseen place. An atexit handler covers exit(3);
 * handlers of the signals that mean a bug or a fault cover those, where nobody else (a sanitizer) has taken them, and
 * then let the signal have its way. Everything here is async-signal-safe. SIGKILL cannot be covered.
 */
#include "terminal_rescue.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/err.h"

static struct {
	atomic_int armed;
	pid_t pid;
	int fd;
	int flags;
	struct termios modes;
} rescue = { .fd = -1, .flags = -1 };

bool rescue_foreground(int fd)
{
	pid_t group = tcgetpgrp(fd);

	/* Not our controlling terminal: no job control between us. */
	return group < 0 || group == getpgrp();
}

/* TCSANOW: waiting for a stopped terminal to drain would be for ever. */
void rescue_set(int fd, const struct termios *modes)
{
	sigset_t ttou, old;
	int saved = errno;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	sigprocmask(SIG_BLOCK, &ttou, &old);
	while (tcsetattr(fd, TCSANOW, modes) < 0 && errno == EINTR)
		;
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = saved;
}

static void give_back(void)
{
	if (!atomic_load(&rescue.armed) || rescue.pid != getpid() || !rescue_foreground(rescue.fd))
		return;
	atomic_store(&rescue.armed, 0);
	rescue_set(rescue.fd, &rescue.modes);
	if (rescue.flags >= 0)
		(void)fcntl(rescue.fd, F_SETFL, rescue.flags);
}

static void on_signal(int sig)
{
	give_back();
	/* SA_RESETHAND: this time it is deadly. */
	(void)raise(sig);
}

void rescue_prepare(int fd, const struct termios *modes, int flags)
{
	static const int deadly[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS };
	static bool prepared;

	rescue.fd = fd;
	rescue.flags = flags;
	rescue.modes = *modes;
	rescue.pid = getpid();
	if (prepared)
		return;
	prepared = true;
	(void)atexit(give_back);
	for (size_t i = 0; i < ARRAY_LEN(deadly); i++) {
		struct sigaction old, act = { .sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_NODEFER };

		if (sigaction(deadly[i], NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) && old.sa_handler == SIG_DFL)
			(void)sigaction(deadly[i], &act, NULL);
	}
}

void rescue_arm(bool armed)
{
	atomic_store(&rescue.armed, armed);
}
