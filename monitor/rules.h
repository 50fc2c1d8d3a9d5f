/*
 * From a profile, the options and what this run shows of the host to the rules of the run.
 */
#ifndef GABION_MONITOR_RULES_H
#define GABION_MONITOR_RULES_H

#include "monitor/floor/floor.h"
#include "monitor/options.h"
#include "policy.h"
#include "policy/lang.h"

/* Origin of the rule that hides the real home where there is no view. */
/* Of except rules for memory of the run's own: nothing of the host's may be put there later. */
#define RULES_MEMORY_ORIGIN "memory of the run's own"
#define RULES_HOME_ORIGIN "the home without a view"

/* What the language's patterns refer to in this run. RET_REAL_HOME (allocated) belongs to the result. */
struct lang_places rules_places(const struct places *p, enum floor_mode mode, char **ret_real_home);

/*
 * Adds the rules of O's policy (opened before: policy_open()), what PLACES shows and the options' rules,
 * last and so on top, to a new builder. -errno; RET_WHY (allocated) says which rule could not be taken.
 */
int rules_build(const struct run_options *o, const struct places *p, enum floor_mode mode,
		struct policy_builder **ret_b, char **ret_why);

/* The rules about paths of O's policy alone, for a container an engine made: what it shows is the engine's. Those of exec.deny are the
 * caller's, and policy_builder_written(). As rules_build(). */
int rules_build_container(const struct run_options *o, const struct lang_places *places, struct policy_builder **ret_b,
			  char **ret_why);

/* An absolute pattern from one a person typed: ~ and the current directory are put in front, an existing
 * literal path is made canonical. NULL: no memory. */
char *rules_pattern(const char *typed);

#endif
