/*
 * Who belongs to the guest: the descendants of its first process. A process is found by the number the guest
 * uses, held by a pidfd (invariant 9), and only then asked for its ancestors.
 */
#ifndef GABION_SENTRY_TREE_H
#define GABION_SENTRY_TREE_H

#include <stdbool.h>
#include <sys/types.h>

#include "sentry/handle.h"

struct member {
	int pidfd; /* of the thread, or of its process where the kernel has no thread pidfds (before 6.9) */
	pid_t tid; /* in the sentry's pid namespace */
	pid_t tgid;
};

#define MEMBER_NULL ((struct member){ .pidfd = -1 })

/*
 * Finds the process or thread the caller calls ID. 0; ESRCH where the caller could not name such a one; EPERM
 * where it is not of the tree; a negative errno. *ret_m is released with member_clear().
 */
int tree_find(const struct call *c, pid_t id, struct member *ret_m);
/* Whether process TGID (in the sentry's namespace) descends from the guest's first process, or is it. */
bool tree_has(const struct sentry *s, pid_t tgid);
/* Whether what M holds still lives: its numbers then are its own. */
bool member_lives(const struct member *m);
void member_clear(struct member *m);
#define AUTO_MEMBER __attribute__((cleanup(member_clear)))

/* Calls FN for each process of the tree (pidfd, its group in the sentry's namespace) until it returns other
 * than 0. */
int tree_each(const struct sentry *s, int (*fn)(void *arg, const struct member *m, pid_t group), void *arg);

#endif
