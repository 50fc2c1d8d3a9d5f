/* The rule list as rules.c keeps it and compile.c reads it. */
#ifndef GABION_POLICY_RULES_H
#define GABION_POLICY_RULES_H

#include <stdint.h>

#include "policy.h"

struct stored_rule {
	struct rule rule;
	uint32_t weight; /* bytes of the path the pattern spells out before its first glob character */
	bool literal;	 /* no globs: the pattern is a path */
};

struct policy_builder {
	struct stored_rule *rules;
	size_t n, room;
	char **private;
	size_t private_count;
	int write_errno;
	enum written_mode written;
};

/* Copies the NULL-terminated ARGS. -ENOMEM. */
int rule_args_copy(const char *const *args, char ***ret_args);
/* Frees what R holds. */
void rule_clear(struct rule *r);

#endif
