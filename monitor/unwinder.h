/*
 * The unwinder: a process that turns snapshots of refused callers (tracer_msg.h) into stacks (unwind.h).
 *
 *   tracer --snapshot, memory file--> unwinder --forks for each--> a child that unwinds --struct unwind_stack--> monitor
 *
 * It is started only where stacks are asked for, and sleeps until something is refused. It lives in the guest's user and mount
 * namespace with the guest's ids and no capability, so that no file is within its reach that is not within the guest's, and it can do
 * little more than open files below that root. What parses the guest's files is a child for each stack, with less still, a
 * second of processor time and bounded memory: one that falls or hangs costs its stack, nothing else.
 */
#ifndef GABION_MONITOR_UNWINDER_H
#define GABION_MONITOR_UNWINDER_H

#include "monitor/floor/floor.h"
#include "monitor/unwind.h"

struct unwinder {
	pid_t pid;
	int results; /* SEQPACKET: struct unwind_stack, cut after the last frame */
};

#define UNWINDER_NULL ((struct unwinder){ .pid = -1, .results = -1 })

/*
 * SNAPSHOTS: the monitor's end of the tracer's socket, which only the unwinder keeps (closed here). USERNS, MNTNS: of the guest, -1
 * without. 0 or negative errno (-ENOENT: no libunwind here); on failure SNAPSHOTS is closed all the same.
 */
int unwinder_start(int snapshots, int userns, int mntns, const struct floor_ids *ids, struct unwinder *ret_u);

/* The next stack, at once. 0; -EAGAIN: none yet; else the unwinder is gone, or says what it cannot say. */
int unwinder_take(const struct unwinder *u, struct unwind_stack *ret_stack);

/* Ends and reaps it. Takes UNWINDER_NULL. */
void unwinder_stop(struct unwinder *u);

#endif
