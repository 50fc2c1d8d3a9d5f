/*
 * For attack programs. Each tries to get something a rule refuses and tells by its exit status: 0, it got it
 * (as it must natively, or the test proves nothing); 1, it did not; 99, the test is broken. Races run for
 * $ATTACK_SECONDS (1 unless said otherwise).
 */
#ifndef ATTACK_H
#define ATTACK_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>

#include "guest.h"

enum { GOT = 0, HELD = 1, BROKEN = 99 };

static _Atomic bool attack_over;

MAYBE_UNUSED static double attack_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* When a race ends. */
MAYBE_UNUSED static double attack_end(void)
{
	const char *s = getenv("ATTACK_SECONDS");

	return attack_clock() + (s != NULL ? strtod(s, NULL) : 1.0);
}

/* The file FD begins with "SECRET". Closes FD. */
MAYBE_UNUSED static bool attack_is_secret(int fd)
{
	char buf[8] = "";
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, 6, 0);

	if (fd >= 0)
		close(fd);
	return n == 6 && memcmp(buf, "SECRET", 6) == 0;
}

MAYBE_UNUSED static void attack_thread(void *(*run)(void *), void *arg)
{
	pthread_t t;

	if (pthread_create(&t, NULL, run, arg) != 0)
		die("pthread_create");
	pthread_detach(t);
}

/* Ends the race; the other tasks end with us. */
MAYBE_UNUSED __attribute__((noreturn)) static void attack_exit(bool got)
{
	atomic_store(&attack_over, true);
	SAY("%s", got ? "got it" : "held");
	fflush(stdout);
	_exit(got ? GOT : HELD);
}

#endif
