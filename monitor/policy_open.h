/*
 * The policy of a run: the file of -p, or the built-in profile, opened by the language and put into the run's options
 * below what the command line says.
 */
#ifndef GABION_MONITOR_POLICY_OPEN_H
#define GABION_MONITOR_POLICY_OPEN_H

#include "monitor/options.h"
#include "policy/lang.h"

/*
 * Opens the policy O names (o->policy_file, else o->profile) into o->policy and fills what no option said. Lists of the policy
 * come first, so that options are added last. 0; LANG_INVALID with the reasons in M; -errno. Nothing of O is used after
 * another result than 0 but run_options_clear(). M may hold warnings.
 */
int policy_open(struct run_options *o, struct lang_messages *m);

/*
 * What a policy L (of a file, checked by the language) asks for and this gabion cannot do, or cannot find (groups): errors in
 * M, each with its place. policy_open() asks it; `gabion check` too. 0 or -ENOMEM.
 */
int policy_check(const struct lang *l, struct lang_messages *m);

/* Prints M to standard error, warnings only where WARNINGS; one line each. */
void policy_messages_print(const struct lang_messages *m, bool warnings);

#endif
