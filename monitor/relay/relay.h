/*
 * The relay: the one process of a run that has the host's network, and nothing else (DESIGN sections 6 and 7.2).
 *
 * It answers the guest's DNS queries itself, takes what the guest sends at the edge namespace's wildcard listeners, judges it
 * (original destination -> name or address, port; include/net_policy.h), resolves and dials, and moves the bytes: one thread on one
 * restricted io_uring, or on epoll where the host has io_uring switched off. It opens no files; what it needs of the host
 * (resolvers, /etc/hosts, proxy settings) it reads before it confines itself, sockets of other namespaces come as descriptors.
 *
 *   monitor --"monitor" channel--> relay <--"edge" channel-- the sentry's side (which has the guest's namespaces)
 *
 * Both channels are SOCK_SEQPACKET pairs that carry struct relay_msg, each with at most RELAY_FDS descriptors. A message of another
 * size, of a kind that the channel does not carry, or with a wrong number of descriptors ends the relay, and so the run. The end of
 * the monitor's channel is the relay's end; the edge's end leaves the host's sides to finish and serves no new listener.
 */
#ifndef GABION_MONITOR_RELAY_H
#define GABION_MONITOR_RELAY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "relay_msg.h"

struct net_policy;	/* include/net_policy.h */
struct credential_list; /* include/credential.h */

/* Optional limits of a run; 0: none. */
struct relay_limits {
	uint64_t bytes;	       /* in both directions, all destinations: then everything ends with a reset */
	uint64_t rate;	       /* bytes a second in each direction */
	uint32_t connections;  /* at one time; more wait to be accepted. Never above RELAY_MOST_CONNECTIONS */
};

enum { RELAY_MOST_CONNECTIONS = 20000 };

struct relay_config {
	const struct net_policy *policy; /* read until relay_start() has forked; copied by fork */
	int monitor, edge;		 /* the relay's ends; edge may be -1 */
	/* Connections to the hosts of these go to the process at the other end, once dialled; it being gone, nowhere. */
	const struct credential_list *credentials; /* NULL: none */
	int credential;
	struct relay_limits limits;
	const char *https_proxy, *http_proxy, *no_proxy; /* of the host's environment, as written there; NULL or "": none */
	const char *resolv_conf, *hosts;		 /* NULL: /etc/resolv.conf, /etc/hosts */
	bool ipv6;					 /* the guest's namespace has IPv6: AAAA is answered with synthetic addresses */
	bool epoll;					 /* do not try io_uring */
	uint32_t connect_ms, idle_ms, udp_idle_ms;	 /* 0: 30 s; two hours with keep-alive probes; 60 s */
};

#define RELAY_CONFIG_NULL ((struct relay_config){ .monitor = -1, .edge = -1, .credential = -1 })

/*
 * Forks the relay, which confines itself (its own seccomp list, no file, not dumpable, restricted ring) and serves until the monitor
 * ends or says RELAY_FINISH. 0 with its pid, or negative errno. The descriptors of CFG stay the caller's. The ports of network.host
 * are rules for RELAY_HOST_NAME in CFG's policy.
 */
int relay_start(const struct relay_config *cfg, pid_t *ret_pid);

/* The relay's life in the calling process, for relay_start() and for tests: reads what it needs of the host, confines itself where
 * CONFINE, serves. 0 at RELAY_FINISH or the monitor's end, else negative errno. */
int relay_main(const struct relay_config *cfg, bool confine);

#endif
