/* Inside the relay: what its files share. One thread, so no locks. */
#ifndef GABION_MONITOR_RELAY_RELAY_IN_H
#define GABION_MONITOR_RELAY_RELAY_IN_H

#include "monitor/relay/account.h"
#include "monitor/relay/loop.h"
#include "monitor/relay/proxy.h"
#include "monitor/relay/relay.h"
#include "monitor/relay/resolve.h"
#include "monitor/relay/synth.h"
#include "net_policy.h"

enum { EXPECTED_MOST = 512, CONNECT_MS = 30000, IDLE_MS = 2 * 3600 * 1000, UDP_IDLE_MS = 60000 };

struct listener;
struct udp_port;

struct relay {
	const struct relay_config *cfg;
	const struct net_policy *policy;
	struct net_policy *own;	  /* the same, once a rule was added */
	struct loop *loop;
	struct synth *synth;
	struct resolver *resolver;
	struct proxies proxies;
	struct account account;
	uint64_t connect_ms, idle_ms, udp_idle_ms;
	uint32_t most;		  /* connections at one time */
	int monitor, edge;
	struct act monitor_act, edge_act;
	struct timer tick, rate;
	int failed;		  /* negative errno: why it ends early */
	struct listener *listeners;
	struct conn *conns;	  /* all of them */
	uint32_t conn_count;
	struct conn *paused;	  /* wait for the rate */
	uint32_t splicing;	  /* directions that are spliced */
	struct parked *parked;
	struct dialing *dialing;  /* for RELAY_DIAL */
	struct locating *locating; /* for RELAY_LOCATE */
	uint16_t expected[2][EXPECTED_MOST]; /* ports of 127.0.0.1, TCP and UDP: RELAY_EXPECT */
	unsigned int expect_next[2];
	struct udp_port *udp;
	struct udp_flow *flows;
	uint32_t flow_count;
	struct unix_target *targets;
	/* sockets of the guest's namespace, for published ports: IPv4, IPv6 */
	int spare[2][RELAY_FDS * 2];
	unsigned int spares[2];
	bool wanted[2];
};

/* Where a connection or a datagram wants to go, and whether it may. */
struct target {
	char name[NET_NAME_SIZE];   /* "": the address itself */
	struct net_address address; /* where there is no name */
	uint16_t port;
	enum net_proto proto;
	uint32_t rule;		    /* UINT32_MAX: none */
	bool host;		    /* the host's loopback */
};

/*
 * Reads the original destination SA of PROTO into *RET_T, and judges it. Returns 0 or the errno for the guest: EACCES where no rule
 * allows it, ENETUNREACH for what is no address. *ret_t is filled in either case.
 */
int target_judge(const struct relay *r, const struct sockaddr *sa, socklen_t len, enum net_proto proto, struct target *ret_t);
/* What it is called in the record: the name, or the address in figures. */
void target_text(const struct target *t, char ret_text[static NET_NAME_SIZE]);
/* The account's entry; negative errno. */
int target_dest(struct relay *r, const struct target *t, struct dest **ret_d);
/* May T be dialled at A (an answer of the resolvers)? Also not where A is an address of the host's own, see dial.c. */
bool target_reaches(const struct relay *r, const struct target *t, const struct net_address *a, uint32_t *ret_rule);

/* dial.c */
struct dial;
/* FD (the taker's) or -1 and ERR, a positive errno for the guest, with EV why; A: where to, where FD >= 0 and known. */
typedef void (*dial_fn)(void *owner, int fd, int err, enum relay_event ev, const struct net_address *a);
/* Dials T (TCP). DONE is called once, never before this returns; 0 or negative errno. */
int dial_start(struct relay *r, const struct target *t, dial_fn done, void *owner, struct dial **ret_d);
/* DONE is not called any more. NULL is fine. */
void dial_cancel(struct dial *d);
/* Is the address the host's own? Found out by a socket that is connected to it, without a packet. */
bool address_is_own(const struct net_address *a);

/* conn.c: a connection of two descriptors and the bytes between them. */
struct conn;
/* Takes both descriptors. -1 for UPSTREAM: it comes with conn_join(). D may be NULL (published and Unix sockets: not accounted). */
int conn_new(struct relay *r, int guest, struct dest *d, struct conn **ret_c);
void conn_join(struct conn *c, int upstream);
/* Ends it; RESET: as RST, where that exists. */
void conn_end(struct conn *c, bool reset);
void conn_free_all(struct relay *r);
/* Directions that waited for the rate may go on. */
void conn_resume(struct relay *r);

/* ingress.c: listeners and what happens with what they accept */
int ingress_listen(struct relay *r, const struct relay_msg *m, int fd);
/* RELAY_DIAL and its end. */
void ingress_dial(struct relay *r, const struct relay_msg *m);
void ingress_dial_cancel(struct relay *r, uint32_t id);
/* Fresh sockets for published ports. */
void ingress_sockets(struct relay *r, const struct relay_msg *m, const int *fds, size_t n);
int ingress_unix_target(struct relay *r, uint32_t id, int fd);
/* O_PATH descriptor of target ID, the relay's, or -1. */
int unix_target_fd(const struct relay *r, uint32_t id);
/* A connection has ended: listeners that waited for that accept again. */
void ingress_room(struct relay *r);
void ingress_tick(struct relay *r);
void ingress_free(struct relay *r);

/* Says M on FD: the reader of a full channel has a second, then the relay ends. */
void ingress_say(struct relay *r, int fd, const struct relay_msg *m);

/* locate.c: where a guest without a namespace of its own is to connect to */
void locate(struct relay *r, const struct relay_msg *m);
void locate_cancel(struct relay *r, uint32_t id);
void locate_free(struct relay *r);

/* relay.c: reads what the edge has sent until now. */
void relay_drain_edge(struct relay *r);

/* udp.c */
int udp_listen(struct relay *r, const struct relay_msg *m, int fd);
void udp_free(struct relay *r);

/* names.c: the guest's DNS */
/* GUARDED: only who is expected is answered. */
int names_udp(struct relay *r, int fd, bool guarded);
int names_tcp_conn(struct relay *r, int fd, bool guarded);
/* RELAY_EXPECT. */
void names_expect(struct relay *r, const struct relay_msg *m);
void names_free(struct relay *r);

/* unix.c: datagrams and packets of Unix sockets */
int unix_seqpacket(struct relay *r, int guest, int upstream);
int unix_dgram(struct relay *r, int fd, uint32_t id);

/* confine.c: what the relay may still do. 0 or negative errno. */
int relay_confine(void);

#endif
