/*
 * Facts about the caller of a call, read from /proc/TID/status of the sentry's procfs. True at the moment
 * they were read; whoever acts on them asks call_alive() afterwards.
 */
#ifndef GABION_SENTRY_CALLER_H
#define GABION_SENTRY_CALLER_H

#include <stdint.h>
#include <sys/types.h>

#include "sentry/handle.h"

struct caller_status {
	pid_t tgid; /* in the sentry's pid namespace */
	pid_t ppid;
	pid_t guest_tgid; /* in the innermost one, whose procfs the guest sees */
	pid_t guest_tid;
	mode_t umask;
	uint64_t pending; /* signal masks: bit N-1 is signal N */
	uint64_t shared;
	uint64_t blocked;
	char comm[16];
};

#define CALLER_STATUS_NULL ((struct caller_status){ .tgid = 0 })

/* Status of thread TID: 0, -ESRCH, another negative errno. */
int caller_status(int proc_fd, pid_t tid, struct caller_status *ret_st);
/* The caller's ids as its own /proc names them. */
int caller_guest_ids(const struct call *c, pid_t *ret_tgid, pid_t *ret_tid);
/*
 * Name of the caller's controlling terminal by its number (tty_nr of /proc/TID/stat, major and minor apart):
 * 0, or -ENXIO where it has none.
 */
int caller_tty(const struct call *c, unsigned int *ret_major, unsigned int *ret_minor);

#endif
