/*
 * The tracer process: see include/tracer_msg.h for what it is asked, tracer.c for how it works.
 *
 * Its place is between sentry and init: child of the one, parent of the other. So it is an ancestor of every process of
 * the guest's, which Yama asks of a tracer without capabilities (bare mode), it counts processes as the notifications do,
 * it is charged to the guest's limits, and it ends with the sentry.
 */
#ifndef GABION_MONITOR_TRACER_H
#define GABION_MONITOR_TRACER_H

#include <stdbool.h>

struct tracer_config {
	int sentry;    /* SEQPACKET: struct tracer_msg both ways; its end is ours */
	int snapshots; /* SEQPACKET to the monitor: struct tracer_snapshot with a descriptor; never waited for; -1: none */
	int proc_fd;   /* the sentry's procfs */
};

/*
 * Serves until the sentry is gone. To be called when the process is what it is to be (ids, capabilities: SYS_PTRACE and KILL
 * in the guest's user namespace, none without; only the descriptors above open): confines itself first. Never returns.
 */
_Noreturn void tracer_run(const struct tracer_config *cfg);

/*
 * Can this kernel and what confines us verify an exec? A process of our own is seized, and the notification must be able to
 * wait for a tracer's interrupt (Linux 5.19). Costs a fork; asked only where the floor alone does not hold the exec rules.
 */
bool tracer_works(void);

#endif
