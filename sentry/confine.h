/* The sentry's own confinement after start-up. */
#ifndef GABION_SENTRY_CONFINE_H
#define GABION_SENTRY_CONFINE_H

/* All threads of the process keep to the sentry's list of syscalls from now on. 0 or a negative errno. */
int confine(void);

#endif
