/*
 * The guest's seccomp program: the table's classes and a plan, compiled. How it is put
 * together stands at the top of policy/filter.c, what is judged by value in policy/narrow.c.
 */
#ifndef GABION_FILTER_H
#define GABION_FILTER_H

#include <linux/filter.h>

#include "plan.h"

/*
 * Builds the program for PLAN: 0, -ENOMEM, -EINVAL where this kernel or libseccomp lacks an action it needs,
 * another negative errno. Depends on nothing but its argument. *ret_prog is released with filter_free().
 */
int filter_build(const struct plan *plan, struct sock_fprog *ret_prog);

/* Releases what a build allocated and empties *PROG; an empty one is fine. */
void filter_free(struct sock_fprog *prog);

#endif
