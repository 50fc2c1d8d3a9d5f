/* Handlers of calls on descriptors that a rule speaks of after all. */
#ifndef GABION_SENTRY_FD_H
#define GABION_SENTRY_FD_H

#include "sentry/handle.h"

handler_fn fd_fchmod, fd_fchown, fd_fsetxattr, fd_fremovexattr, fd_memfd_create;

#endif
