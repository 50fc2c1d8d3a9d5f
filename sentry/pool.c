/*
 * Call objects, helper threads, and the watcher of blocked calls.
 *
 * Helpers wait on one condition for jobs in a queue; one more is made when a job comes and none is free. Each
 * stands in the list of slots with the call it runs. While a slot or the queue holds a call, the watcher
 * wakes some times a second and reads each caller's pending signals: one that the caller would take, or a
 * notification that died, interrupts the helper with a realtime signal, again and again until the helper has
 * left the blocking part (the signal may fall into the moment before it blocks). A call still waiting in the
 * queue is answered instead. Each look is a text of /proc: the lock is not held meanwhile, and where many calls are blocked the
 * watcher looks less often, so that it takes a tenth of a processor at most.
 *
 * The wake-up signal is blocked in every thread and let in only around the blocking part: a reply must never
 * be interrupted (an ADDFD that is may leave the guest with a wrong value).
 *
 * A signal for the process may be taken by any of its threads: it counts for a blocked one only when it still
 * is pending at the second look.
 *
 * Syscalls: clone3, mmap, mprotect, munmap, madvise, futex, rt_sigprocmask, tgkill, unshare, exit, and what
 * caller.c uses.
 */
#include "sentry/net_edge.h"
#include "sentry/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sentry/caller.h"
#include "sentry/trace.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	FREE_MAX = 16,		 /* call objects kept */
	STACK_SIZE = 256 * 1024, /* address space; only what is touched costs memory */
	IDLE_SECONDS = 5,
	WATCH_MIN_MS = 10, /* how late a signal may be for a call that just blocked */
	WATCH_MAX_MS = 50, /* and for one that has been blocked for long */
	LOOKS_PER_MS = 10, /* where more are blocked than that allows, later */
};

struct slot {
	struct slot *next;
	pthread_t thread;
	struct call *call;  /* NULL: idle */
	bool seen_shared;   /* the watcher saw a process signal at its last look */
	bool interruptible; /* the helper is in the blocking part */
};

struct pool {
	struct sentry *s;
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t watch;
	struct call *free;
	unsigned int free_count;
	unsigned int calls;
	struct call *queue, **queue_end;
	unsigned int queued;
	struct slot *slots;
	struct slot *looked, *cursor; /* the one the watcher looks at without the lock; the next */
	pthread_cond_t looked_at;
	unsigned int helpers, idle, busy;
	bool watching;	    /* the watcher exists */
	unsigned int young; /* rounds since a call blocked last */
};

int pool_signal(void)
{
	return SIGRTMAX - 3;
}

static void on_wake(int sig)
{
	(void)sig;
}

static void wake_signal(int how)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, pool_signal());
	(void)pthread_sigmask(how, &set, NULL);
}

int pool_thread_start(void)
{
	wake_signal(SIG_BLOCK);
	/* umask and working directory belong to the call a thread works on. */
	return unshare(CLONE_FS) < 0 ? err_now() : 0;
}

int pool_new(struct sentry *s, struct pool **ret_pool)
{
	struct sigaction sa = { .sa_handler = on_wake };
	pthread_condattr_t attr;
	struct pool *p;

	/* No SA_RESTART: interrupting is what it is for. */
	(void)sigemptyset(&sa.sa_mask);
	if (sigaction(pool_signal(), &sa, NULL) < 0)
		return err_now();
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->s = s;
	p->queue_end = &p->queue;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&p->work, &attr);
	(void)pthread_cond_init(&p->watch, &attr);
	(void)pthread_cond_init(&p->looked_at, &attr);
	(void)pthread_condattr_destroy(&attr);
	*ret_pool = p;
	return 0;
}

struct pool *pool_free(struct pool *p)
{
	struct call *c;

	if (p == NULL)
		return NULL;
	while ((c = p->free) != NULL) {
		p->free = c->next;
		free(c);
	}
	(void)pthread_cond_destroy(&p->work);
	(void)pthread_cond_destroy(&p->watch);
	(void)pthread_cond_destroy(&p->looked_at);
	(void)pthread_mutex_destroy(&p->lock);
	free(p);
	return NULL;
}

struct call *pool_get(struct pool *p)
{
	struct call *c;

	(void)pthread_mutex_lock(&p->lock);
	c = p->free;
	if (c != NULL) {
		p->free = c->next;
		p->free_count--;
	}
	p->calls++;
	(void)pthread_mutex_unlock(&p->lock);
	if (c == NULL)
		c = malloc(sizeof(*c));
	if (c == NULL) {
		(void)pthread_mutex_lock(&p->lock);
		p->calls--;
		(void)pthread_mutex_unlock(&p->lock);
		return NULL;
	}
	/* Field by field: the arrays are most of it, and their lengths say what is valid. */
	c->s = p->s;
	c->mech = NULL;
	c->users = NULL;
	c->ev = EVENT_NULL;
	c->row = NULL;
	c->policy = NULL;
	c->key = PLAN_COUNT;
	c->level = LEVEL_DENY;
	c->next = NULL;
	c->op = OP_NONE;
	c->verdict = VERDICT_NULL;
	c->judged = c->refused = c->failed = c->ask_relay = false;
	c->net_way = 0;
	for (int i = 0; i < CALL_PATHS; i++) {
		c->path_err[i] = EFAULT;
		c->path_len[i] = 0;
		c->path[i][0] = '\0';
		c->object_len[i] = 0;
		c->object[i][0] = '\0';
	}
	c->blocking = NULL;
	c->request = NULL;
	c->dial = NULL;
	for (size_t i = 0; i < ARRAY_LEN(c->held); i++)
		c->held[i] = -1;
	memset(c->scratch, 0, sizeof(c->scratch));
	return c;
}

void pool_put(struct pool *p, struct call *c)
{
	for (size_t i = 0; i < ARRAY_LEN(c->held); i++)
		c->held[i] = fd_close(c->held[i]);
	c->request = trace_request_free(c->request);
	c->dial = net_edge_dial_free(c->dial);
	if (c->users != NULL)
		(void)__atomic_sub_fetch(c->users, 1, __ATOMIC_RELEASE);
	(void)pthread_mutex_lock(&p->lock);
	p->calls--;
	if (p->free_count < FREE_MAX) {
		c->next = p->free;
		p->free = c;
		p->free_count++;
		c = NULL;
	}
	(void)pthread_mutex_unlock(&p->lock);
	free(c);
}

void pool_counts(struct pool *p, unsigned int *ret_helpers, unsigned int *ret_calls)
{
	(void)pthread_mutex_lock(&p->lock);
	*ret_helpers = p->helpers;
	*ret_calls = p->calls;
	(void)pthread_mutex_unlock(&p->lock);
}

static void after_ms(struct timespec *ts, long ms)
{
	(void)clock_gettime(CLOCK_MONOTONIC, ts);
	ts->tv_sec += ms / 1000;
	ts->tv_nsec += ms % 1000 * 1000000;
	if (ts->tv_nsec >= 1000000000) {
		ts->tv_sec++;
		ts->tv_nsec -= 1000000000;
	}
}

static struct call *queue_take(struct pool *p)
{
	struct call *c = p->queue;

	if (c == NULL)
		return NULL;
	p->queue = c->next;
	if (p->queue == NULL)
		p->queue_end = &p->queue;
	c->next = NULL;
	p->queued--;
	return c;
}

static void run(struct pool *p, struct slot *slot, struct call *c)
{
	struct reply r;

	slot->call = c;
	slot->seen_shared = false;
	slot->interruptible = true;
	p->busy++;
	(void)pthread_mutex_unlock(&p->lock);

	wake_signal(SIG_UNBLOCK);
	r = c->blocking(c);
	wake_signal(SIG_BLOCK);

	/* From here on the watcher leaves this call alone: it is about to be somebody else's. */
	(void)pthread_mutex_lock(&p->lock);
	slot->call = NULL;
	slot->interruptible = false;
	p->busy--;
	(void)pthread_mutex_unlock(&p->lock);
	handle_answer(c, r);
	(void)pthread_mutex_lock(&p->lock);
}

static void *helper(void *arg)
{
	struct pool *p = arg;
	struct slot slot = { .thread = pthread_self() };
	struct slot **at;
	struct timespec until;
	struct call *c;
	bool usable = pool_thread_start() == 0;

	(void)pthread_mutex_lock(&p->lock);
	slot.next = p->slots;
	p->slots = &slot;
	while (usable) {
		c = queue_take(p);
		if (c != NULL) {
			run(p, &slot, c);
			continue;
		}
		p->idle++;
		after_ms(&until, IDLE_SECONDS * 1000L);
		while (p->queue == NULL && pthread_cond_timedwait(&p->work, &p->lock, &until) == 0)
			;
		p->idle--;
		if (p->queue == NULL)
			break;
	}
	while (p->looked == &slot)
		(void)pthread_cond_wait(&p->looked_at, &p->lock);
	for (at = &p->slots; *at != &slot; at = &(*at)->next)
		;
	if (p->cursor == &slot)
		p->cursor = slot.next;
	*at = slot.next;
	p->helpers--;
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* Whether the caller of EV must be let go: it is gone, or would take a signal now. */
static bool must_stop(const struct sentry *s, const struct event *ev, bool *seen_shared)
{
	struct caller_status st;
	bool shared;

	if (s->mech->ops->alive(s->mech, ev) != 0)
		return true;
	if (caller_status(s->proc_fd, ev->tid, &st) < 0)
		return false;
	if ((st.pending & ~st.blocked) != 0)
		return true;
	shared = (st.shared & ~st.blocked) != 0;
	if (shared && *seen_shared)
		return true;
	*seen_shared = shared;
	return false;
}

/* Takes calls whose callers must be let go out of the queue; they are answered by the watcher. */
static struct call *queue_stopped(struct pool *p)
{
	struct call *stopped = NULL;

	for (struct call **at = &p->queue; *at != NULL;) {
		struct call *c = *at;
		bool seen = true;

		if (!must_stop(c->s, &c->ev, &seen)) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		p->queued--;
		c->next = stopped;
		stopped = c;
	}
	p->queue_end = &p->queue;
	while (*p->queue_end != NULL)
		p->queue_end = &(*p->queue_end)->next;
	return stopped;
}

/* Looks at every blocked call, and interrupts its helper where need be. Their number. The lock is held but for the looks. */
static long look_at_slots(struct pool *p)
{
	long looks = 0;

	p->cursor = p->slots;
	while (p->cursor != NULL) {
		struct slot *slot = p->cursor;

		p->cursor = slot->next;
		if (slot->call == NULL || !slot->interruptible)
			continue;
		struct event ev = slot->call->ev;
		bool seen = slot->seen_shared, stop;

		p->looked = slot; /* it stays, whatever it does */
		(void)pthread_mutex_unlock(&p->lock);
		stop = must_stop(p->s, &ev, &seen);
		looks++;
		(void)pthread_mutex_lock(&p->lock);
		p->looked = NULL;
		(void)pthread_cond_signal(&p->looked_at);
		/* It may be at another call by now. */
		if (slot->call == NULL || !slot->interruptible || slot->call->ev.id != ev.id)
			continue;
		slot->seen_shared = seen;
		if (stop)
			(void)pthread_kill(slot->thread, pool_signal());
	}
	return looks;
}

static void *watcher(void *arg)
{
	struct pool *p = arg;
	struct timespec until;
	struct call *stopped, *next;
	long ms, looks = 0;

	(void)pool_thread_start();
	(void)pthread_mutex_lock(&p->lock);
	for (;;) {
		while (p->busy == 0 && p->queued == 0)
			(void)pthread_cond_wait(&p->watch, &p->lock);
		p->young++;
		ms = WATCH_MIN_MS + p->young / 16;
		ms = ms < WATCH_MAX_MS ? ms : WATCH_MAX_MS;
		after_ms(&until, ms > looks / LOOKS_PER_MS ? ms : looks / LOOKS_PER_MS);
		while (pthread_cond_timedwait(&p->watch, &p->lock, &until) == 0)
			;
		looks = look_at_slots(p);
		stopped = queue_stopped(p);
		if (stopped == NULL)
			continue;
		(void)pthread_mutex_unlock(&p->lock);
		for (; stopped != NULL; stopped = next) {
			next = stopped->next;
			handle_finish(stopped, reply_restart());
		}
		(void)pthread_mutex_lock(&p->lock);
	}
	return NULL;
}

static int thread_new(struct pool *p, void *(*fn)(void *))
{
	pthread_attr_t attr;
	pthread_t t;
	int r;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, STACK_SIZE);
	r = pthread_create(&t, &attr, fn, p);
	(void)pthread_attr_destroy(&attr);
	return -r;
}

int pool_submit(struct pool *p, struct call *c)
{
	int r = 0;

	(void)pthread_mutex_lock(&p->lock);
	if (!p->watching) {
		r = thread_new(p, watcher);
		p->watching = r == 0;
	}
	if (r == 0 && p->idle <= p->queued && p->helpers < POOL_HELPERS_MAX) {
		r = thread_new(p, helper);
		if (r == 0)
			p->helpers++;
		else if (p->helpers > 0)
			r = 0; /* the others will come to it */
	}
	if (r == 0) {
		c->next = NULL;
		*p->queue_end = c;
		p->queue_end = &c->next;
		p->queued++;
		p->young = 0;
		(void)pthread_cond_signal(&p->work);
		(void)pthread_cond_signal(&p->watch);
	}
	(void)pthread_mutex_unlock(&p->lock);
	return r;
}
