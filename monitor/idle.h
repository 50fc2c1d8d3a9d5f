/*
 * The relay where no rule names a host. It is a process of its own from the start, so that what it holds elsewhere (the host's
 * network) never is in the monitor or the sentry; here it has nothing to do: confined to read and exit, it ends when the
 * monitor does.
 */
#ifndef GABION_MONITOR_IDLE_H
#define GABION_MONITOR_IDLE_H

#include <sys/types.h>

struct idle {
	pid_t pid;
	int fd; /* its life line: closed, it ends */
};

#define IDLE_NULL ((struct idle){ .pid = -1, .fd = -1 })

/* 0 or negative errno. NAME is what ps shows ("gabion: relay"), at most 15 bytes. */
int idle_start(const char *name, struct idle *ret);
/* Gives the pages of program and libraries back that the start needed: they are the files', and mapped again where they are needed. */
void idle_drop_pages(void);
/* Ends and reaps it. Takes IDLE_NULL. */
void idle_stop(struct idle *i);

#endif
