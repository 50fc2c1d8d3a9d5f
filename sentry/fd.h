/* Handlers of calls on descriptors that a rule speaks of after all. */
#ifndef GABION_SENTRY_FD_H
#define GABION_SENTRY_FD_H

#include "sentry/handle.h"

/*
 * Whether what DUP, a duplicate of a descriptor of the caller's, is may be changed, now; else (or where the plan only
 * observes) the reply.
 */
bool fd_permit(struct call *c, int dup, struct reply *ret_reply);

handler_fn fd_fchmod, fd_fchown, fd_fsetxattr, fd_fremovexattr, fd_memfd_create;

#endif
