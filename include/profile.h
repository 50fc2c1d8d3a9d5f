/*
 * Built-in profiles: rules every run of that profile starts with. They are policies of the language like any other
 * (policy/profiles/NAME.yaml).
 */
#ifndef GABION_PROFILE_H
#define GABION_PROFILE_H

#include "policy.h"

/* What a profile's patterns may refer to. All absolute and canonical. */
struct profile_env {
	const char *home; /* ~ in patterns: the guest's home, private to gabion's runs; NULL: rules with ~ are
			     left out */
	const char *const *workspaces; /* ${workspace}: NULL-terminated */
	const char *scratch; /* private scratch directory (TMPDIR), executable but in strict; NULL: none */
	bool view;	     /* a mount view exists: /tmp, /run, /dev/shm and /proc are private */
};

/* Adds PROFILE's rules to B with origins "profile NAME:LINE:COL". -ENOENT: no such profile. */
int profile_add(struct policy_builder *b, const char *profile, const struct profile_env *env);
/* NULL-terminated. */
const char *const *profile_names(void);

#endif
