/* Further listeners: each process that `exec` brings into a container has a filter, and so a listener, of its own. */
#ifndef GABION_SENTRY_LISTENERS_H
#define GABION_SENTRY_LISTENERS_H

#include "sentry/handle.h"

/* Starts the thread that takes them from CHANNEL (struct listener_msg of sentry.h). 0 or negative errno. */
int listeners_start(struct sentry *s, int channel);
/* Until none of them has a user left. */
void listeners_wait(void);

#endif
