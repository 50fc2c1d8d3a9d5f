/*
 * Unix sockets of the host's for a guest without namespaces: the relay's listeners, to which the sentry connects the guest's own
 * socket when it names one of them. Where there are namespaces they stand in the view instead (monitor/floor/unix.c).
 */
#ifndef GABION_SENTRY_NET_UNIX_H
#define GABION_SENTRY_NET_UNIX_H

#include "sentry.h"
#include "sentry/net.h"

/* Makes a listener for each of the N in V and hands it to the relay by CHANNEL. Once, at the start. 0 or negative errno. */
int net_unix_start(const struct sentry_unix *v, size_t n, int channel);
/* The listener that stands for the socket with the canonical PATH. */
bool net_unix_find(const char *path, struct net_addr *ret_addr);

#endif
