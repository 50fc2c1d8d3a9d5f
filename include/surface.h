/*
 * How much of the kernel a filter leaves to be called: counted from the finished program, not from what it was made of. Pure.
 */
#ifndef GABION_SURFACE_H
#define GABION_SURFACE_H

#include <linux/filter.h>
#include <stdbool.h>

#include "plan.h"

/* What the program PROG may answer to one call, over all of its arguments. */
struct surface_call {
	bool allowed;  /* the kernel performs it as the caller made it */
	bool notified; /* a supervisor is asked */
	bool refused;  /* an errno or a signal */
	bool looked;   /* the answer depends on arguments */
};

/* -EINVAL where PROG is no program of the kind libseccomp and gabion make; -ENOMEM. */
int surface_call(const struct sock_fprog *prog, int nr, struct surface_call *ret_call);

struct surface {
	unsigned int native;	/* calls the kernel performs with some arguments at least, unseen */
	unsigned int checked;	/* of these: only with some arguments, or seen else */
	unsigned int bare;	/* of native: without any argument that could be checked */
	unsigned int continued;	/* seen first, and performed by the kernel all the same (observed, verified); none of native */
	unsigned int performed;	/* performed by the sentry alone, on its own copy */
	unsigned int refused;	/* of the rows of the table */
};

/* The guest's filter PROG under PLAN. As surface_call(). */
int surface_guest(const struct sock_fprog *prog, const struct plan *plan, struct surface *ret_s);

#endif
