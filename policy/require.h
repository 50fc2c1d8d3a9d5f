/*
 * What a policy can demand of a host (require: [RULE...]): keys of the language whose promise not every host keeps, and
 * facts of the floor by their names. A host that cannot hold one of them refuses to start.
 */
#ifndef GABION_POLICY_REQUIRE_H
#define GABION_POLICY_REQUIRE_H

#include "plan.h"

/* What there is on this host, for one run. */
struct require_state {
	const struct plan *plan; /* with the floor it was made for */
	bool cgroup;		 /* limits are a control group's */
};

bool require_known(const char *name);
/* NULL-terminated, static. */
const char *const *require_names(void);
/* What is promised by NAME, for people; NULL: no such name. */
const char *require_what(const char *name);
/* Why NAME is not held here (static); NULL: it is. A name nobody knows is not held. */
const char *require_missing(const char *name, const struct require_state *s);

#endif
