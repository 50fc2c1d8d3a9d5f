/* Path rules with everything put in, one after another: see lang_rules.c. Private to the language. */
#ifndef GABION_POLICY_LANG_RULES_H
#define GABION_POLICY_LANG_RULES_H

#include "policy/lang_layer.h"

struct lang_expanded {
	const struct lang_layer *layer;
	const struct path_rule *rule;
	const char *pattern; /* absolute; for the time of the call */
	const char *path;    /* the same as a path, NULL where it has globs */
	bool private;	     /* nothing of the host's lies there */
};

/* Non-zero ends the walk and is returned. */
typedef int lang_expanded_fn(void *ctx, const struct lang_expanded *e);

int lang_expand(const struct lang *l, enum lang_part parts, const struct lang_places *p, lang_expanded_fn *fn, void *ctx);
void lang_rule_origin(const struct lang_expanded *e, char *out, size_t size);
/* PATH made canonical, or its directory where it does not exist yet. NULL: no memory. */
char *lang_canonical(const char *path);

#endif
