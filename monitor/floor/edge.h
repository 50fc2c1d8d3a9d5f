/*
 * The network edge (DESIGN section 6): a second network namespace of the guest's user namespace, joined to the guest's by a
 * veth pair, where every address is local. What the guest sends to any address arrives there at wildcard listeners, one a
 * port and protocol that the rules name, which the relay holds; nothing else is connected to it.
 *
 * A process of its own, the keeper, makes the edge and stays in it: it makes further listeners when the sentry asks (ports
 * given as wide ranges, rules added later). It sees nothing of the guest but the sentry's requests.
 */
#ifndef GABION_FLOOR_EDGE_H
#define GABION_FLOOR_EDGE_H

#include <stdint.h>

#include "keeper.h"
#include "monitor/floor/floor.h"
#include "monitor/options.h"
#include "net_policy.h"

struct edge_config {
	const struct net_policy *policy;
	const struct floor_ids *ids;
	const uint16_t *host_ports; /* of network.host: listeners on the guest's own loopback */
	size_t host_port_count;
	int channel; /* to the relay: its "edge" channel */
};

/*
 * Forks the keeper, which begins to build while the caller goes on. The caller is the first process of its pid namespace, in the
 * guest's network namespace, with every capability in its user namespace. *ret_fd is the caller's end for edge_ready() and for
 * struct edge_request. 0 or negative errno.
 */
int edge_start(const struct edge_config *cfg, int *ret_fd);
/* Waits until the edge is there. 0, or negative errno with the stage that failed (static). */
int edge_ready(int fd, const char **ret_stage);

#endif
