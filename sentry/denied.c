/*
 * What no guest gets, with an answer that programs understand.
 *
 * Landlock: a guest's own domain would bind the kernel's file operations but not the sentry's, so that
 * emulated calls would pass it by. EOPNOTSUPP is what a kernel says that has Landlock turned off; programs
 * then go without. It is an answer about what exists, not a refusal, and not recorded as one.
 *
 * Namespaces: programs that ask for them have a sandbox of their own, which people have to turn off; so these refusals are
 * recorded and the summary says how (monitor/hint.c). What of unshare makes no namespace is allowed by the filter.
 */
#include <errno.h>

#include "sentry/denied.h"

struct reply denied_landlock_create_ruleset(struct call *c)
{
	(void)c;
	return reply_deny(EOPNOTSUPP);
}

struct reply denied_landlock_add_rule(struct call *c)
{
	return denied_landlock_create_ruleset(c);
}

struct reply denied_landlock_restrict_self(struct call *c)
{
	return denied_landlock_create_ruleset(c);
}

struct reply denied_unshare(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}

struct reply denied_setns(struct call *c)
{
	return call_refuse_plain(c, EPERM);
}
