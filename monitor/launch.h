/*
 * Starting the processes of a run: sentry, init, command (DESIGN: "Processes"). The monitor calls
 * launch_start() and is given the ends it keeps; everything else happens in the children, which report the
 * stage that failed, if one does.
 */
#ifndef GABION_MONITOR_LAUNCH_H
#define GABION_MONITOR_LAUNCH_H

#include <stdint.h>
#include <sys/types.h>

#include "filter.h"
#include "monitor/floor/floor.h"
#include "monitor/network.h"
#include "monitor/options.h"
#include "monitor/terminal.h"
#include "net_policy.h"
#include "plan.h"
#include "policy.h"
#include "record.h"

/* Everything a start needs; read only, shared with the children by fork. */
struct launch {
	const struct run_options *o;
	struct places *places;
	struct floor_ids *ids;
	struct policy_builder *rules;
	const struct policy *policy;
	const struct plan *plan;
	struct record_ring *ring;
	struct terminal_look *look;
	const struct cgroup *cgroup;
	/* Where rules name hosts: the rules, the far end of the relay's "edge" channel, and the ports of network.host. */
	const struct net_policy *net;
	int relay;
	uint16_t names_port; /* without namespaces: the relay's name server on the host's loopback */
	const uint16_t *host_ports;
	size_t host_port_count;
	const struct network_unix *sockets; /* of the host's, byte-proxied */
	size_t socket_count;
	char **argv;
	char **env;
	/* Work of the monitor's own to be done while the sentry's process builds the floor. */
	void (*meanwhile)(void *ctx);
	void *ctx;
};

/* The monitor's ends. */
struct launched {
	pid_t sentry; /* child of ours; its death is the tree's death */
	int sentry_pidfd;
	int control; /* to the sentry: struct sentry_msg */
	int init;    /* to init: struct init_msg */
	int snapshots; /* from the tracer: struct tracer_snapshot (tracer_msg.h), each with a memory file */
	int userns, mntns; /* its user and mount namespace, -1 in bare mode: for widening */
	int master;  /* pty of the guest, -1 without a terminal */
};

#define LAUNCHED_NULL                                                                                        \
	((struct launched){.sentry = -1, .sentry_pidfd = -1, .control = -1, .init = -1, .snapshots = -1, .userns = -1,        \
			   .mntns = -1, .master = -1})

/* Why a start failed: the stage, and its errno. */
struct launch_failure {
	int err; /* positive errno */
	char stage[96];
};

/*
 * Starts the run in the mode of L->ids. On failure nothing is left running; RET_FAILURE says where it ended,
 * so that the caller can name cause and cure or try a smaller floor. 0 or -errno.
 */
int launch_start(const struct launch *l, struct launched *ret, struct launch_failure *ret_failure);

/* Monitor <-> init. Fixed size both ways. */
enum init_msg_kind {
	INIT_MSG_NONE = 0,
	INIT_MSG_STARTED,     /* the command's exec succeeded */
	INIT_MSG_EXEC_FAILED, /* .value: errno of it */
	INIT_MSG_STOPPED,     /* the command stopped; .value: the signal */
	INIT_MSG_EXITED,      /* .value: wait status of the command */
	INIT_MSG_PIDS_MET,    /* before it: at the command's end there were as many processes as allowed */
	INIT_MSG_SIGNAL,      /* to init: signal .value to the command's process group */
	INIT_MSG_HANGUP,      /* to init: the terminal is gone: as the kernel would to a session */
};

struct init_msg {
	uint32_t kind;
	int32_t value;
};

/* What init needs from the sentry's process, which forks it. */
struct init_config {
	const struct launch *l;
	int channel; /* to the monitor */
	int report;  /* to the sentry: the listener's number, one int; its answer, one byte */
	int hand;	    /* to the sentry: it may ask for the listener by number */
	int tty;     /* slave of the pty, -1 without */
	struct sock_fprog filter;
	bool nested; /* in a pid namespace of its own: mount /proc, be pid 1 */
};

/* init.c: the main of init; never returns. */
_Noreturn void init_main(struct init_config *cfg);

/* tree.c: kills every descendant of ROOT (not ROOT itself, nor its child SPARED, -1: none) until none is left, at most for TIMEOUT_MS;
 * best effort without a pid namespace. PROC: a procfs directory descriptor. Returns how many were left. */
int tree_kill(int proc, pid_t root, pid_t spared, int timeout_ms);

/* Takes on the guest's ids, with KEEP_CAPS (bit mask) left in the effective and permitted sets, all others
 * gone for good. */
int launch_become_guest(const struct floor_ids *ids, uint64_t keep_caps);

/* Closes everything above 2 but the N descriptors of KEEP (-1: none), which it sorts. */
int launch_close_all_but(int *keep, size_t n);

/* Original signal mask and dispositions to give the command; taken by the monitor before it changes any. */
void launch_signals_save(void);
void launch_signals_restore(void);

#endif
