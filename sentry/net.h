/*
 * What the handlers of sockets share: a duplicate of the caller's socket with what it is, an address copied
 * once, and the judgement of that address for that socket.
 */
#ifndef GABION_SENTRY_NET_H
#define GABION_SENTRY_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "sentry/handle.h"
#include "sentry/path.h"

/* The caller's socket: the same open file description under a descriptor of ours, which the caller closes. */
struct net_socket {
	int fd;
	int domain; /* AF_* it was made with */
	int type;   /* SOCK_*, without flags */
	bool nonblocking;
};

#define NET_SOCKET_NULL ((struct net_socket){.fd = -1})

/* Duplicates the caller's FD: 0, EBADF, ENOTSOCK, or negative (for call_fail()). */
int net_socket_get(struct call *c, int fd, struct net_socket *ret_sock);

/* What a socket of ours is: 0, EBADF, ENOTSOCK, or negative. */
int net_socket_describe(int fd, struct net_socket *ret_sock);

union net_sockaddr {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage storage;
};

struct net_addr {
	union net_sockaddr a; /* zero behind len */
	socklen_t len;
};

#define NET_ADDR_NULL ((struct net_addr){.len = 0})

/* Copies an address of LEN bytes: 0, EINVAL (LEN negative or too long), EFAULT, or negative. */
int net_addr_copy(const struct call *c, uint64_t addr, int len, struct net_addr *ret_addr);
/*
 * The text of an address for the record: "192.0.2.1:80", "[::1]:80", "@name", "unix:unnamed", "family 40".
 * Returns its length. Paths are not for this function.
 */
size_t net_addr_text(const struct net_addr *addr, char *buf, size_t size);

/* What is wanted with an address. */
enum net_use {
	NET_NONE = 0,
	NET_CONNECT,
	NET_SEND,
	NET_BIND,
};

/*
 * Judges ADDR for USE with SOCK and records it. Returns true to go on; false: *ret_reply is the answer. For a
 * Unix socket with a path, *ret_obj is what was resolved: connect and send hold the socket there (.fd), bind
 * the parent and name. The address must be used as it was judged: net_addr_hold() puts the held object in.
 */
bool net_judge(struct call *c, const struct net_socket *sock, const struct net_addr *addr, enum net_use use,
	       struct object *ret_obj, struct reply *ret_reply);
/*
 * Makes ADDR the address of the socket held as FD, by its path in the sentry's procfs, which becomes the
 * thread's working directory (a Unix address holds no longer path). 0 or a negative errno.
 */
int net_addr_hold(const struct call *c, int fd, struct net_addr *ret_addr);

/*
 * Without a network namespace what was judged may be reached otherwise than by its address: call.net_way, set by net_judge(). Zero:
 * as it is.
 */
enum net_way {
	NET_WAY_STRAIGHT = 0,
	NET_WAY_LOCATE, /* a name stands behind it: to where the relay says it leads */
	NET_WAY_NAMES,	/* a name server of the host's: to the relay's instead */
	NET_WAY_PROXIED, /* a Unix socket of the host's: to the relay's listener for it (net_unix.h) */
	NET_WAY_NOWHERE, /* only whether there is a way is asked (getaddrinfo): to where nothing answers */
};

/* Records TEXT as the object of OP, permitted unless something refuses later. */
void net_record(struct call *c, enum op op, const char *text, size_t len);

/* The answer of an interrupted wait on SOCK: a restart, or EINTR where it has a timeout for OPTION
 * (SO_SNDTIMEO). */
struct reply net_interrupted(int fd, int option);

handler_fn net_socket, net_socketpair, net_connect, net_bind, net_listen, net_sendto, net_sendmsg,
	net_sendmmsg;

#endif
