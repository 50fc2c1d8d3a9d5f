/*
 * Facts about the caller of a call, read from /proc/TID/status of the sentry's procfs. True at the moment
 * they were read; whoever acts on them asks call_alive() afterwards.
 */
#ifndef GABION_SENTRY_CALLER_H
#define GABION_SENTRY_CALLER_H

#include <stdbool.h>
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

/*
 * Sends SIG to the waiting caller's thread, where Linux would before it answers (SIGPIPE, SIGXFSZ). Its si_code is SI_USER from a
 * process the guest cannot see; before Linux 5.19 a caller that catches it sees EINTR instead of the answer, or calls again.
 */
void caller_raise(struct call *c, int sig);
/* The caller's soft limit RESOURCE (getrlimit(2)): 0 or a negative errno. */
int caller_limit(const struct call *c, int resource, uint64_t *ret_limit);
/*
 * The very description behind the caller's FD, with its position and all: as call_getfd(), but never a new one. -EPERM or -ENOSYS where
 * that cannot be had.
 */
int caller_getfd(const struct call *c, int fd, int *ret_fd);
/*
 * Says whether the caller's descriptor table has room for one more, so that a call which would fail with EMFILE in the end has no
 * effect before. What cannot be told is taken for room: the kernel then answers EMFILE after the effect.
 */
bool caller_has_room(const struct call *c);

#endif
