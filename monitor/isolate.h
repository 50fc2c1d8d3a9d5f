/* Each process's own confinement, applied once its start-up is over. 0 or negative errno; a process that cannot be confined must end. */
#ifndef GABION_MONITOR_ISOLATE_H
#define GABION_MONITOR_ISOLATE_H

#include <linux/filter.h>
#include <stdbool.h>

/* PROBES: it makes a process to see whether one more would be too many. */
int isolate_init(bool nested, bool probes);
int isolate_tracer(void);
/* In two steps: building takes half a millisecond, which a start has while it waits. PROG is used up by the second. */
int isolate_monitor_build(struct sock_fprog *ret_prog);
int isolate_monitor(struct sock_fprog *prog);
/* The unwinder, and its child that unwinds. */
int isolate_unwinder(void);
int isolate_unwinding(void);
/* The relay while it has nothing to do: read and exit. LAST is called before the list is in force; it may give the
 * heap away. */
int isolate_idle(void (*last)(void));
int isolate_edge(void);

#endif
