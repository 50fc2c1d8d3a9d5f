/*
 * The sentry's front door and what the monitor says to it while it runs.
 *
 * sentry_run() is the main of the sentry process once monitor/launch.c has put it in place: first process
 * of the outer pid namespace, in the guest's user namespace, root and Landlock domain, with its own /proc
 * at .proc_fd. It confines itself and answers notifications until no guest is left.
 */
#ifndef GABION_SENTRY_H
#define GABION_SENTRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "net_policy.h"
#include "plan.h"
#include "policy.h"
#include "record.h"

/* A Unix socket of the host's that the relay reaches. */
struct sentry_unix {
	const char *path; /* canonical */
	int type;	  /* SOCK_* */
};

struct sentry_config {
	int listener;  /* seccomp listener; owned by the sentry */
	int proc_fd;   /* directory of a procfs that shows the guest's threads by the ids notifications carry */
	int control;   /* SEQPACKET socket to the monitor: struct sentry_msg each way; its end is our end */
	int tracer;    /* SEQPACKET socket to the tracer: struct tracer_msg (tracer_msg.h); its end is our end; -1: none */
	/* A container: SOCK_SEQPACKET to who brings further listeners (struct listener_msg); its end is our end. -1: none. */
	int listeners;
	bool memfd_exec; /* memory files may execute */
	/* Limits no control group holds: to be counted (sentry/tally.h); 0: none. */
	uint64_t count_memory;
	uint64_t count_pids;
	enum audit_mode stacks; /* whose the tracer takes a snapshot of: who is refused, who is recorded */
	bool reads_all;		/* permitted reads are recorded as well */
	pid_t init;    /* the guest's first process, in the sentry's pid namespace */
	struct policy_builder *rules; /* to compile again when widened; the sentry's from now on */
	const struct policy *policy;
	const struct plan *plan;
	struct record_ring *ring;
	/* Made already where a Landlock domain keeps the sentry from listing what is hidden (sentry/hidden_links.h); its from now on. */
	struct hidden_links *links;
	bool links_made;
	bool links_cut;
	/* Where rules name hosts; NULL, -1 where none does. */
	const struct net_policy *net;
	int relay;  /* channel to the relay: struct relay_msg */
	int keeper; /* to the edge's keeper: struct edge_request; -1 without network namespaces */
	int names;  /* where the network is off: a datagram socket on port 53 of the guest's loopback; -1: none */
	const struct sentry_unix *sockets; /* without namespaces: of the host's, by their numbers for the relay */
	size_t socket_count;
	uint16_t names_port; /* without network namespaces: where on 127.0.0.1 the relay answers names */
};

/* Comes with the descriptor of a listener; answered with .value 0 once it is listened to, else a negative errno. */
struct listener_msg {
	uint32_t kind; /* LISTENER_MSG_ADD */
	int32_t value;
};

enum { LISTENER_MSG_ADD = 1 };

enum sentry_msg_kind {
	SENTRY_MSG_NONE = 0, /* never valid */
	SENTRY_MSG_ADD_RULE, /* monitor -> sentry: one more rule */
	SENTRY_MSG_ADD_NET,  /* monitor -> sentry: one more network rule, its text in .pattern */
	SENTRY_MSG_DONE,     /* sentry -> monitor: the last rule holds now (.value 0) or failed (-errno) */
};

/* Fixed size both ways; anything else ends the run. */
struct sentry_msg {
	uint32_t kind;
	int32_t value;
	uint32_t rule_kind;
	char pattern[4096];
	char origin[256];
};

/* Serves until no guest is left (returns 0) or a failure of ours (negative errno). Its threads may still be at
 * work: the process is to end soon. Calls pending then fail with ENOSYS in the guest, by the kernel. */
int sentry_run(const struct sentry_config *cfg);

#endif
