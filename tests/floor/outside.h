/*
 * What is outside of the floor: a process of the guest's own user, and listeners, that nothing inside may reach. Each is as it
 * was afterwards, or something was not held.
 */
#ifndef GABION_TESTS_FLOOR_OUTSIDE_H
#define GABION_TESTS_FLOOR_OUTSIDE_H

#include <sched.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "monitor/floor/floor.h"

struct outside {
	pid_t victim;
	int nice, ioprio, policy;
	cpu_set_t cpus;
	struct rlimit core;
	int port4, port6;
	char abstract[64];
};

/* Fills ports and name. */
void outside_listen(struct outside *o);
/* Starts the victim with the ids the guest has on the host, and notes how it is. */
void outside_victim(struct outside *o, const struct floor_ids *ids);
/* Is it alive and as it was, and had no signal? */
bool outside_untouched(const struct outside *o);

/* Ends the test program: the test itself failed at WHAT, with errno. */
_Noreturn void die(const char *what);

#endif
