/* What a run was refused, added up for people. */
#ifndef GABION_MONITOR_AUDIT_SUMMARY_H
#define GABION_MONITOR_AUDIT_SUMMARY_H

#include <stdbool.h>
#include <stdio.h>

#include "policy.h"
#include "record.h"

struct summary;

int summary_new(struct summary **ret_s);
struct summary *summary_free(struct summary *s);
/* Counts R, a refusal. RULE (NULL: no rule spoke) is copied. Without memory, or beyond what is kept, only counted. */
void summary_add(struct summary *s, const struct record *r, const struct rule *rule);
/* Prints; nothing where nothing was refused. POLICY, where not NULL, is what advice is tried against. */
void summary_print(const struct summary *s, const struct policy *policy, FILE *out, bool markdown, const char *run_id);

#endif
