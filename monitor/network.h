/*
 * The monitor's side of a run's network: the rules as texts and compiled, the relay and its channels, what it tells for the
 * record, and what is added while the run goes on. There is none where nothing of the network was asked for.
 */
#ifndef GABION_MONITOR_NETWORK_H
#define GABION_MONITOR_NETWORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "monitor/audit.h"
#include "monitor/options.h"
#include "net_policy.h"
#include "util/said.h"

/* A Unix socket of the host that is to be reached. */
struct network_unix {
	char *path;   /* as the guest names it: absolute */
	char *source; /* the host's, symbolic links resolved */
	int type;     /* SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM */
};

/* A port of the host that leads to one of the guest's. */
struct network_publish {
	struct net_address address;
	uint16_t host, guest;
};

/* What the options and the agent's file ask for, checked. */
struct network_rules {
	struct net_policy *policy; /* NULL: nothing was asked for, the network is off */
	uint16_t *host_ports;	   /* loopback ports of the guest's that are the host's */
	size_t host_port_count;
	struct network_unix *sockets;
	size_t socket_count;
	struct network_publish *published;
	size_t published_count;
};

#define NETWORK_RULES_NULL ((struct network_rules){.policy = NULL})

/* HOSTS: of the agent's file AGENT, or NULL. -EINVAL with RET_WHY (allocated), -ENOMEM. */
int network_rules(const struct run_options *o, const char *agent, const struct string_list *hosts,
		  struct network_rules *ret_rules, char **ret_why);
void network_rules_free(struct network_rules *rules);
/* "[ADDRESS:]HOST:GUEST". 0, or -EINVAL with the text of what is wrong (static). */
int network_publish_parse(const char *text, struct network_publish *ret_publish, const char **ret_why);
/* Why the Unix socket at PATH should not be given to anybody by habit, or NULL. */
const char *network_unix_danger(const char *path);

/* The relay of one run. */
struct network {
	int channel;	/* ours to the relay */
	int relay_end;	/* the relay's, until it runs */
	int edge;	/* the sentry's, until that runs */
	int relay_edge; /* the relay's of the edge channel, until it runs */
	int names[2];	/* of a guest without namespaces: the name server's sockets on the host's loopback, UDP and TCP; -1 */
	uint16_t names_port;
	pid_t pid;
	uint32_t last_id;
	const struct network_rules *rules; /* the run's, while the relay lives */
};

#define NETWORK_NULL ((struct network){.channel = -1, .relay_end = -1, .edge = -1, .relay_edge = -1, .names = {-1, -1}, .pid = -1})

/* The channels, before the sentry is made; where the guest has no namespaces (SPACES), its name server's sockets. 0 or negative errno. */
int network_open(struct network *n, bool spaces);
/*
 * Starts the relay and, where the guest has namespaces (SPACES) that they lead to, gives it the host's sockets. Connections to
 * the hosts of CREDENTIALS go to the process behind *CREDENTIAL_END, which is the relay's and closed here. 0 or negative errno.
 */
int network_start(struct network *n, const struct network_rules *rules, bool spaces, const struct credential_list *credentials,
		  int *credential_end);
/* The sentry is running: its end is no longer ours. */
void network_launched(struct network *n);
/* What the relay told goes into the record. Negative errno: it is gone, or talks nonsense. */
int network_serve(struct network *n, struct audit *a);
/* One more rule, for the relay. 0 or negative errno with RET_TEXT (static). */
int network_allow(struct network *n, struct audit *a, const char *rule, const char *origin, const char **ret_text);
/* One more published port. As network_allow(). */
int network_publish(struct network *n, const char *text, const char **ret_text);
/* Nothing of the guest runs any more: the relay's totals go into the record, and it ends. Takes a closed one. */
void network_close(struct network *n, struct audit *a);

#endif
