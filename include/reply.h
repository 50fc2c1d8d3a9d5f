/* reply: what the kernel is told. Zero denies with EPERM (invariant 1). */
#ifndef GABION_REPLY_H
#define GABION_REPLY_H

#include <stdbool.h>
#include <stdint.h>

enum reply_kind {
	REPLY_DENY = 0, /* the call fails with .err */
	REPLY_VALUE,    /* the call returns .value (it may be a negative errno the kernel itself gave the sentry) */
	REPLY_FD,       /* .fd is installed in the caller (flags: O_CLOEXEC or 0) and its number returned */
	REPLY_CONTINUE, /* the kernel performs the call: only reply_continue() makes one */
	REPLY_LATER     /* nobody answers now: the call was handed on and will be answered by its owner */
};

struct reply {
	enum reply_kind kind;
	int err;           /* DENY: positive errno for the guest; 0 means EPERM */
	int64_t value;     /* VALUE */
	int fd;            /* FD: owned by the reply, closed once sent */
	uint32_t fd_flags; /* FD: O_CLOEXEC or 0 */
	/* FD: ours is surely closed before the caller runs on, which takes a step more (what writes, and FIFOs: an end too many shows). */
	bool apart;
};

#define REPLY_NULL ((struct reply){ .kind = REPLY_DENY, .err = 0, .fd = -1 })

static inline struct reply reply_deny(int err)
{
	return (struct reply){ .kind = REPLY_DENY, .err = err, .fd = -1 };
}

static inline struct reply reply_value(int64_t value)
{
	return (struct reply){ .kind = REPLY_VALUE, .value = value, .fd = -1 };
}

static inline struct reply reply_fd(int fd, uint32_t fd_flags)
{
	return (struct reply){ .kind = REPLY_FD, .fd = fd, .fd_flags = fd_flags };
}

/* reply_continue() is declared in sentry/handle.h: it needs the call's row and the plan to assert. */

#endif
