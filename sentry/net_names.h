/*
 * Names for a guest without a network namespace: what net_judge() found to be reached otherwise than by its address
 * (call.net_way) is connected or sent to from here, on the duplicate of the guest's own socket.
 */
#ifndef GABION_SENTRY_NET_NAMES_H
#define GABION_SENTRY_NET_NAMES_H

#include "sentry/net.h"

/* connect: the socket is held[0], the address path[0]; for helpers. */
struct reply net_names_connect(struct call *c);
/*
 * sendto, sendmsg: puts into *ADDR where a message to it goes instead. For helpers where the way is NET_WAY_LOCATE. 0, a positive
 * errno, or -1: *ret_reply is the answer.
 */
int net_names_send(struct call *c, const struct net_socket *sock, struct net_addr *addr, struct reply *ret_reply);

#endif
