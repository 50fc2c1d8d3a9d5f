/*
 * The sentry's side of the network edge: what the rules about hosts say of a destination, listeners made before they are
 * needed, and the relay's word on whether a destination answers. There is none where no rule names a host.
 */
#ifndef GABION_SENTRY_NET_EDGE_H
#define GABION_SENTRY_NET_EDGE_H

#include "net_policy.h"
#include "relay_msg.h"
#include "sentry/handle.h"

struct net_edge;

/* CHANNEL leads to the relay, KEEPER to the edge's keeper (-1: no edge; every address is judged, none is dialled, and the relay's
 * name server is at NAMES_PORT of 127.0.0.1). Both are the edge's from now on. POLICY stays the caller's. Starts a thread.
 * 0 or negative errno. */
int net_edge_new(int channel, int keeper, uint16_t names_port, const struct net_policy *policy, struct net_edge **ret_e);

/* What may be done with a destination. Zero is the strictest. */
enum net_edge_verdict {
	NET_EDGE_REFUSED = 0, /* no rule names it */
	NET_EDGE_NOWHERE,     /* no host has such an address */
	NET_EDGE_ALLOWED,     /* a rule names it, or the relay will judge the name behind it */
	NET_EDGE_OWN,         /* the guest's own end, or its name server */
};

/* Judges A and PORT for PROTO (IPPROTO_*) by the rules as they are now; any thread. *ret_rule: the rule that allows, or NULL. */
enum net_edge_verdict net_edge_judge(struct net_edge *e, const struct net_address *a, uint16_t port, int proto,
				     const struct net_rule **ret_rule);
/* Sees to it that the edge listens on PORT. 0 or negative errno. */
int net_edge_listen(struct net_edge *e, uint16_t port, int proto);
/*
 * Lets the relay dial A and waits for its answer, as long as the caller's socket FD would wait; for helpers. 0: it answers, or has
 * not yet when FD's time was over. Else a positive errno the guest is told; EINTR: a signal. *ret_why is the relay's message (its
 * .event and .text) where that was one.
 */
int net_edge_dial(struct net_edge *e, int fd, const struct net_address *a, uint16_t port, struct relay_msg *ret_why);
/*
 * The two halves of net_edge_dial(), so that the relay dials while a helper is woken: the first for the receiver, never waits, and may
 * give NULL (then net_edge_dial()). What it gives is the caller's until net_edge_dial_free(), which takes NULL, cancels what is
 * not answered, and returns NULL.
 */
struct net_dial;
struct net_dial *net_edge_dial_begin(struct net_edge *e, const struct net_address *a, uint16_t port);
int net_edge_dial_wait(struct net_dial *d, int fd, struct relay_msg *ret_why);
struct net_dial *net_edge_dial_free(struct net_dial *d);
/*
 * Without an edge: where A leads, for PROTO, as net_edge_dial() asks and waits. 0: ret_why->origin has the addresses in figures, with
 * spaces between them.
 */
int net_edge_locate(struct net_edge *e, int fd, const struct net_address *a, uint16_t port, int proto, struct relay_msg *ret_why);
/* Without an edge: is A one of the host's name servers? */
bool net_edge_is_resolver(const struct net_edge *e, const struct net_address *a, uint16_t port);
/* Where the relay's name server is. */
void net_edge_names(const struct net_edge *e, struct net_address *ret_a, uint16_t *ret_port);
/* The guest's socket FD, bound or connected, may ask there. 0 or negative errno. */
int net_edge_expect(struct net_edge *e, int fd);
/* One more rule, from the monitor. 0 or negative errno. */
int net_edge_add(struct net_edge *e, const char *text, const char *origin);

#endif
