/*
 * Helpers of the receiver. One thread sleeps in RECV; when it has found one call after another waiting for it, others take calls too, and
 * stop when nothing waits any more. They never sleep in RECV on purpose: the kernel wakes every sleeper for
 * each call (DESIGN section 3).
 */
#ifndef GABION_SENTRY_BACKLOG_H
#define GABION_SENTRY_BACKLOG_H

#include "sentry/handle.h"

struct backlog;

/* At most one helper fewer than there are processors, 3 at most: none on a machine with one (RET_B is NULL then), nor
 * where the backend cannot look without sleeping. 0 or -ENOMEM. */
int backlog_new(struct sentry *s, struct backlog **ret_b);
/* The receiver took a call; WAITED: it had to sleep for it. Takes NULL. */
void backlog_note(struct backlog *b, bool waited);

#endif
