/*
 * Call objects and the helper threads that run what may block.
 *
 * A call object is some 20 KiB: they are kept and reused, and never cleared whole. Helpers are made on
 * demand, at most POOL_HELPERS_MAX, and end after some seconds without work. While a call blocks, a watcher
 * looks at its caller's pending signals and interrupts the helper where the caller would be interrupted.
 */
#ifndef GABION_SENTRY_POOL_H
#define GABION_SENTRY_POOL_H

#include "sentry/handle.h"

/* A blocked call holds one; a call that finds none waits for one, even for the one that would end its own wait. */
enum { POOL_HELPERS_MAX = 4096 };

struct pool;

int pool_new(struct sentry *s, struct pool **ret_pool);
/* Only once no helper runs any more: tests. Takes NULL, returns it. */
struct pool *pool_free(struct pool *p);

/* An empty call of S (only its arrays hold old bytes); NULL without memory. */
struct call *pool_get(struct pool *p);
/* Closes what the call holds and keeps it for the next. */
void pool_put(struct pool *p, struct call *c);

/* Runs C->blocking on a helper, which then answers. 0 or a negative errno (C still is the caller's). */
int pool_submit(struct pool *p, struct call *c);

/* What every thread of the sentry does first: own umask and working directory, our wake-up signal blocked. */
int pool_thread_start(void);
/* The signal helpers are interrupted with. */
int pool_signal(void);
/* Helpers that are busy or waiting, and call objects in use: for tests. */
void pool_counts(struct pool *p, unsigned int *ret_helpers, unsigned int *ret_calls);

#endif
