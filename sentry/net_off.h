/* The name server of a run whose network is off: it knows no name, and the record says which ones were asked for. */
#ifndef GABION_SENTRY_NET_OFF_H
#define GABION_SENTRY_NET_OFF_H

#include "sentry/handle.h"

/*
 * Answers what comes to the bound datagram socket FD (port 53 of the guest's loopback), which is its own from now on, in a thread, for
 * as long as the process lives. 0 or negative errno.
 */
int net_off_start(struct sentry *s, int fd);

#endif
