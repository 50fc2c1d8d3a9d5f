/* Handlers of what no guest gets. */
#ifndef GABION_SENTRY_DENIED_H
#define GABION_SENTRY_DENIED_H

#include "sentry/handle.h"

handler_fn denied_landlock_create_ruleset, denied_landlock_add_rule, denied_landlock_restrict_self,
	denied_unshare, denied_setns;

#endif
