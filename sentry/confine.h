/* The sentry's own confinement after start-up. */
#ifndef GABION_SENTRY_CONFINE_H
#define GABION_SENTRY_CONFINE_H

#include <stdbool.h>

/* All threads of the process keep to the sentry's list of syscalls from now on; RINGS: those that make rings are in it. 0 or a negative
 * errno. */
int confine(bool rings);

#endif
