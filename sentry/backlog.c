/*
 * Helpers of the receiver: see backlog.h.
 *
 * The receiver tells for each call whether it slept. After STREAK calls without sleep a helper is made or
 * woken. A helper looks with try_next(), which does not sleep, and parks after EMPTY_MAX looks in vain;
 * parked for long, it ends.
 *
 * Syscalls: clone3, mmap, mprotect, munmap, futex, sched_yield, sched_getaffinity, and what the handlers use.
 */
#include "sentry/backlog.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "sentry/pool.h"
#include "util/err.h"

enum {
	STREAK = 16,
	EMPTY_MAX = 4,
	PARK_SECONDS = 5,
	HELPERS_MAX = 3,
	STACK_SIZE = 256 * 1024,
};

struct backlog {
	struct sentry *s;
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned int helpers, parked, most;
	unsigned int streak; /* the receiver's alone */
};

/* Waits to be woken. False: it took too long, the helper is counted out. */
static bool park(struct backlog *b)
{
	struct timespec until;
	int r;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PARK_SECONDS;
	(void)pthread_mutex_lock(&b->lock);
	b->parked++;
	r = pthread_cond_timedwait(&b->more, &b->lock, &until);
	b->parked--;
	if (r != 0)
		b->helpers--;
	(void)pthread_mutex_unlock(&b->lock);
	return r == 0;
}

static void *helper(void *arg)
{
	struct backlog *b = arg;
	struct mech *m = b->s->mech;
	unsigned int empty = 0;

	if (pool_thread_start() < 0)
		return NULL; /* stays counted: the next would fail as well */
	for (;;) {
		struct call *c = pool_get(b->s->pool);
		int r = c == NULL ? -ENOMEM : m->ops->try_next(m, &c->ev);

		if (r == 0) {
			handle_call(c);
			empty = 0;
			continue;
		}
		if (c != NULL)
			pool_put(b->s->pool, c);
		if (r == MECH_E_EMPTY && ++empty < EMPTY_MAX) {
			(void)sched_yield();
			continue;
		}
		empty = 0;
		if (!park(b))
			return NULL;
	}
}

static bool helper_new(struct backlog *b)
{
	pthread_attr_t attr;
	pthread_t t;
	int r;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	r = pthread_create(&t, &attr, helper, b);
	(void)pthread_attr_destroy(&attr);
	return r == 0;
}

int backlog_new(struct sentry *s, struct backlog **ret_b)
{
	pthread_condattr_t attr;
	struct backlog *b;
	cpu_set_t set;
	int cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	if (cpus < 2 || s->mech->ops->try_next == NULL)
		return 0;
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return -ENOMEM;
	b->s = s;
	b->most = cpus - 1 < HELPERS_MAX ? (unsigned int)cpus - 1 : HELPERS_MAX;
	(void)pthread_mutex_init(&b->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&b->more, &attr);
	(void)pthread_condattr_destroy(&attr);
	*ret_b = b;
	return 0;
}

void backlog_note(struct backlog *b, bool waited)
{
	if (b == NULL)
		return;
	if (waited) {
		b->streak = 0;
		return;
	}
	if (++b->streak % STREAK != 0)
		return;
	(void)pthread_mutex_lock(&b->lock);
	if (b->parked > 0)
		(void)pthread_cond_signal(&b->more);
	else if (b->helpers < b->most && helper_new(b))
		b->helpers++;
	(void)pthread_mutex_unlock(&b->lock);
}
