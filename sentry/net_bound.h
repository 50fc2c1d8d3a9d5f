/*
 * Which Unix sockets in the file system the guest made. Where it shares a directory with the host (the workspace), a socket a
 * process of the host listens on there is a way out; the one the guest bound itself is not.
 */
#ifndef GABION_SENTRY_NET_BOUND_H
#define GABION_SENTRY_NET_BOUND_H

#include <stdbool.h>
#include <sys/stat.h>

/* The guest bound a socket to the file ST describes. Any thread. */
void net_bound_add(const struct stat *st);
/* Did it? */
bool net_bound_has(const struct stat *st);

#endif
