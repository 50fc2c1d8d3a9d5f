/* What a call costs on this host at each level of the plan, measured in a moment: for `gabion explain`. */
#ifndef GABION_MONITOR_MEASURE_H
#define GABION_MONITOR_MEASURE_H

#include <stdint.h>

/* Nanoseconds a call, the median of several rounds. */
struct measured {
	uint64_t native;  /* a call the filter allows */
	uint64_t observe; /* notified and let through */
	uint64_t emulate; /* an open performed for the caller, the descriptor handed over; the caller closes it */
};

/*
 * Takes some 50 milliseconds and a child process. -errno where this host has no seccomp notification, or the child could not be
 * followed.
 */
int measure(struct measured *ret_m);

#endif
