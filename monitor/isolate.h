/* Each process's own confinement, applied once its start-up is over. 0 or negative errno; a process that cannot be confined must end. */
#ifndef GABION_MONITOR_ISOLATE_H
#define GABION_MONITOR_ISOLATE_H

#include <stdbool.h>

int isolate_init(bool nested);
int isolate_monitor(void);
int isolate_idle(void); /* tracer and relay while they have nothing to do: read and exit */

#endif
