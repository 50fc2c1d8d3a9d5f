/* Argument kinds to copied values: the one place that reads the paths of a call (invariant 3). */
#ifndef GABION_SENTRY_COPYIN_H
#define GABION_SENTRY_COPYIN_H

#include "sentry/handle.h"

/*
 * Copies in the row's first two path arguments. 0, also where one cannot be read (path_err); MECH_E_GONE or a
 * negative errno: the call is to be dropped or denied.
 */
int copyin(struct call *c);

#endif
