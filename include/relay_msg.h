/*
 * What the relay, the monitor and the side that has the guest's namespaces (the sentry, the edge's keeper) say to each other. Who the
 * relay is stands in monitor/relay/relay.h.
 *
 * Both channels are SOCK_SEQPACKET pairs that carry struct relay_msg, each with at most RELAY_FDS descriptors.
 */
#ifndef GABION_RELAY_MSG_H
#define GABION_RELAY_MSG_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Synthetic addresses: one a name, from a hash of it, so that a name keeps its address from run to run where no other name took it
 * first. 198.18.0.0/15 (RFC 2544) and a unique local prefix (RFC 4193) with the same number in its last four bytes. The first 256
 * are never a name's; two of these are fixed:
 */
#define RELAY_NET4 "198.18.0.0" /* /15 */
#define RELAY_NET6 "fd67:6162:696f:6e::" /* /64 */
#define RELAY_EDGE4 "198.18.0.1"  /* the edge's end of the veth, and the name server in the view's resolv.conf */
#define RELAY_EDGE6 "fd67:6162:696f:6e::1"
#define RELAY_GUEST4 "198.18.0.2" /* the guest's end */
#define RELAY_GUEST6 "fd67:6162:696f:6e::2"
#define RELAY_HOST_NAME "host.gabion.internal" /* the host's loopback, where a rule names it with a port */

enum { RELAY_FDS = 16, RELAY_TEXT = 512, RELAY_GUARDED = 1 };

enum relay_kind {
	RELAY_NONE = 0, /* never valid */

	/* Either channel -> relay. One descriptor each, a listening (TCP) or bound (UDP) socket, CLOEXEC or not; the relay owns it and
	 * sets what it needs (O_NONBLOCK, IP_PKTINFO). Nothing is answered. */
	RELAY_LISTEN_TCP, /* at the edge, any address, .port; judged by the address each connection was made to */
	RELAY_LISTEN_UDP, /* the same for datagrams; IPv4 and IPv6 are sockets of their own (.family) */
	RELAY_DNS_TCP,	  /* where the guest's name server is; .id RELAY_GUARDED: on the host's loopback, for expected ports only */
	RELAY_DNS_UDP,
	RELAY_LISTEN_HOST, /* on the guest's own loopback, .port: to the same port of the host's loopback, if network.host names it */
	RELAY_LISTEN_UNIX, /* a Unix listener in the guest's view (stream, seqpacket; or a bound dgram socket) for target .id;
			    * .count: the only process that may connect, 0: any */

	/* Monitor -> relay. */
	RELAY_PUBLISH,	   /* one descriptor: a TCP listener on the host; connections go to .addr, .port in the guest's namespace */
	RELAY_UNIX_TARGET, /* one descriptor: the host's socket .id, opened O_PATH once symbolic links are resolved; again: replaces it */
	RELAY_ADD_RULE,	   /* .text: a rule as --net takes it, .origin; answered by RELAY_RULE_DONE with the same .id */
	RELAY_FINISH,	   /* answered by one RELAY_TOTAL a destination and RELAY_FINISHED; then the relay ends */

	/* Edge -> relay. */
	RELAY_DIAL,	   /* a guest thread is about to connect (blocking) to .addr, .port with .proto: dial first; RELAY_DIALLED */
	RELAY_DIAL_CANCEL, /* nobody waits for dial or locate .id any more; nothing is answered */
	RELAY_LOCATE,	   /* the same for a guest without a namespace, which connects or sends (.proto) by itself: only say where to;
			    * RELAY_DIALLED has the addresses in figures in .origin, a space between each */
	RELAY_EXPECT,	   /* a guest's socket on this host's 127.0.0.1, .port and .proto, may ask the relay's guarded name server */
	RELAY_SOCKETS,	   /* .count fresh TCP sockets of family .family made in the guest's namespace, for RELAY_WANT_SOCKETS */

	/* Relay -> monitor. */
	RELAY_EVENT,	 /* something for the record, see enum relay_event */
	RELAY_RULE_DONE, /* .err: 0 or the errno; .text: what is wrong, for people */
	RELAY_TOTAL,	 /* of one destination: .text, .port, .proto, .connections, .bytes_up, .bytes_down, .count: refused */
	RELAY_FINISHED,	 /* nothing more follows */
	RELAY_WANT_UNIX, /* target .id answers no more (its socket was made anew?): RELAY_UNIX_TARGET is welcome */

	/* Relay -> edge. */
	RELAY_DIALLED,	    /* .id; .err: 0, or the errno the guest is to see; .event and .text say why */
	RELAY_WANT_SOCKETS, /* .count sockets of .family, for published ports; asked for before they are needed */

	/* Relay -> credential process (monitor/credential/holder.h). */
	RELAY_HAND, /* two descriptors, the guest's and the server's, of a connection to .text (canonical), .port */

	RELAY_KIND_LAST = RELAY_HAND,
};

/* What .event says. Refusals are told when they happen, repeated ones of one destination together, at most once a second. */
enum relay_event {
	RELAY_EV_NONE = 0,
	RELAY_EV_NAME_REFUSED,	  /* a query for a name that no rule allows (.text) */
	RELAY_EV_REFUSED,	  /* no rule allows .text (a name, or the address in figures), .port, .proto */
	RELAY_EV_ADDRESS_REFUSED, /* the name is allowed, and resolves to addresses that no rule names (.text: name, .origin: address) */
	RELAY_EV_LIMIT,		  /* a limit of the run was reached */
	RELAY_EV_UNRESOLVED,	  /* the host's resolvers know no address */
	RELAY_EV_FAILED,	  /* dialled without success: .err */
	RELAY_EV_OPENED,	  /* the first connection to .text, .port; .addr and .family: where to */
};

struct relay_msg {
	uint32_t kind;	/* enum relay_kind */
	uint32_t id;	/* chosen by who asks */
	int32_t err;	/* 0 or a positive errno */
	uint32_t rule;	/* number of the rule that decided, UINT32_MAX: none */
	uint32_t count; /* descriptors wanted or refusals counted */
	uint16_t family; /* AF_INET, AF_INET6 */
	uint16_t port;	/* host order */
	uint8_t addr[16]; /* network order, the first 4 for AF_INET */
	uint8_t proto;	/* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t event;	/* enum relay_event */
	uint8_t reserved[6];
	uint64_t connections, bytes_up, bytes_down; /* up: from the guest */
	char text[RELAY_TEXT];	 /* NUL-terminated; printable ASCII whoever wrote it */
	char origin[RELAY_TEXT]; /* the same */
};

/* Sends M with the N descriptors of FDS (not closed). 0 or negative errno; -EAGAIN where FD does not block and is full. */
int relay_send(int fd, const struct relay_msg *m, const int *fds, size_t n);
/* Receives one. 1: RET_M is filled and the first *RET_N (at most RELAY_FDS) of RET_FDS are the caller's; 0: the other end is
 * closed; -EPROTO: no message of ours (nothing to close); another negative errno. MSG_DONTWAIT or 0 in FLAGS. */
int relay_recv(int fd, int flags, struct relay_msg *ret_m, int ret_fds[RELAY_FDS], size_t *ret_n);

#endif
