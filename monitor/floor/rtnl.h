/* The few requests of rtnetlink(7) that the network edge is made of. A socket speaks of the namespace it was made in. */
#ifndef GABION_FLOOR_RTNL_H
#define GABION_FLOOR_RTNL_H

#include <stdint.h>
#include <sys/types.h>

/* A socket for requests in the calling thread's network namespace, or negative errno. */
int rtnl_open(void);
/* A pair of joined interfaces: NAME here, PEER in the network namespace of process PEER_PID (as we see it), with these
 * hardware addresses. */
int rtnl_veth(int fd, const char *name, const uint8_t mac[6], const char *peer, const uint8_t peer_mac[6], pid_t peer_pid,
	      unsigned int mtu);
/* Index of the interface NAME, positive, or negative errno. */
int rtnl_index(const char *name, int fd);
/* The interface makes no link-local address when it comes up (with its duplicate detection and its questions for routers). */
int rtnl_no_link_local(int fd, int index);
int rtnl_up(int fd, int index);
/* ADDR (4 or 16 bytes, as FAMILY says), with PEER at the other end, or NULL: in its prefix of BITS. Usable at once. */
int rtnl_address(int fd, int index, int family, const void *addr, const void *peer, unsigned int bits);
/* Everything that nothing else routes: to GATEWAY over INDEX, or, where GATEWAY is NULL, to this host itself. */
int rtnl_default(int fd, int index, int family, const void *gateway);
/* ADDR is at MAC, for ever: no question is sent. */
int rtnl_neighbour(int fd, int index, int family, const void *addr, const uint8_t mac[6]);

#endif
