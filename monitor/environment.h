/*
 * The guest's environment: the caller's, without variables whose names look like secrets or name host sockets the guest
 * cannot reach, plus what the run sets.
 */
#ifndef GABION_MONITOR_ENVIRONMENT_H
#define GABION_MONITOR_ENVIRONMENT_H

#include "options.h"

/* Builds the environment from FROM (environ form). PASS (from --env and the agent's data): "K" passes a variable even if it
 * looks like a secret, a pattern (*, ?, [...]) those that match and do not, "K=V" sets one. RET_ENV: NULL-
 * terminated, owned by the caller; RET_DROPPED lists the names left out because they look like secrets.
 * -ENOMEM, -EINVAL (bad name).
 */
int environment_build(char *const *from, const struct string_list *pass, struct string_list *ret_env,
		      struct string_list *ret_dropped);
/* Sets or replaces KEY in ENV. */
int environment_set(struct string_list *env, const char *key, const char *value);
const char *environment_get(const struct string_list *env, const char *key);
void string_list_free(struct string_list *l);
int string_list_add(struct string_list *l, const char *s);

#endif
