/* Datagrams at the edge, where every address is local: which one was meant, and answering from it (ip(7), ipv6(7): pktinfo). */
#ifndef GABION_MONITOR_RELAY_DGRAM_H
#define GABION_MONITOR_RELAY_DGRAM_H

#include <stddef.h>
#include <sys/types.h>

#include "net_policy.h"

struct dgram {
	struct sockaddr_storage from;
	socklen_t from_len;
	struct net_address to;
};

/* Makes FD tell the destination. 0 or negative errno. */
int dgram_prepare(int fd);
/* Never waits. Bytes received (cut to SIZE), or negative errno; -EAGAIN: nothing there. */
ssize_t dgram_recv(int fd, void *buf, size_t size, struct dgram *ret_d);
/* Back to D's sender, from D's destination. Never waits; what cannot be sent is lost, as datagrams are. */
void dgram_answer(int fd, const void *buf, size_t len, const struct dgram *d);

#endif
