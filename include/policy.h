/*
 * The policy: rules about paths (and, with the network issue, hosts), compiled once into an immutable
 * object. Evaluation is pure: no I/O, no allocation, no lock; any thread may ask at any time.
 *
 * A rule has a kind, a pattern and an origin for people ("profile agent", "--hide"). Patterns are absolute
 * canonical paths of the guest's view and may hold *, ?, [...] (within a component) and ** (any number of
 * components). A pattern without glob characters names the object and everything below it; so does a glob.
 *
 * Precedence: of the rules of a class (allowing: read, write, exec; restricting: hide, protect) that
 * match, the longest literal prefix wins, the stricter on a tie; a restriction whose pattern holds ** wins
 * at every depth, and only an except rule that matches lifts it. Nothing matched: denied.
 * write implies read; nothing implies exec.
 */
#ifndef GABION_POLICY_H
#define GABION_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "verdict.h"

enum rule_kind {
	RULE_NONE = 0,
	RULE_HIDE,     /* does not exist: ENOENT for everything */
	RULE_PROTECT,  /* readable, never changed, also before it exists: EACCES for OP_WRITE */
	RULE_EXCEPT,   /* lifts hide and protect rules whose objects it matches */
	RULE_READ,
	RULE_WRITE,    /* implies read */
	RULE_EXEC,
	RULE_KIND_COUNT
};

struct rule {
	enum rule_kind kind;
	bool floating;      /* a restriction with **: wins at every depth */
	size_t literal_len; /* length of the pattern before the first glob character */
	char *pattern;
	char *origin;       /* where it was written: "profile agent", "--protect", "FILE:LINE:COL" */
	unsigned int id;    /* index in the policy, stable for its life: names the rule in records */
};

struct policy;

/* A list of rules being collected. */
struct policy_builder;

int policy_builder_new(struct policy_builder **ret_b);
struct policy_builder *policy_builder_free(struct policy_builder *b);
/*
 * Adds a rule. PATTERN must be absolute; it is normalised here (//, /., trailing /; .. is refused). Returns
 * -EINVAL for a bad pattern, -ENOMEM. Strings are copied.
 */
int policy_builder_add(struct policy_builder *b, enum rule_kind kind, const char *pattern, const char *origin);
/* Sorts and freezes what was collected; the builder may be used on and compiled again. */
int policy_compile(const struct policy_builder *b, struct policy **ret_p);
struct policy *policy_free(struct policy *p);

/* The errno a refused write is answered with where no restriction but the lack of a write rule decided:
 * EROFS where the floor is a read-only view, EACCES else. Part of the compiled policy; default EROFS. */
void policy_set_write_errno(struct policy_builder *b, int err);

/* Decides OP on the object at canonical absolute PATH (no symlink left, no . or ..; LEN without NUL). */
struct verdict policy_path(const struct policy *p, enum op op, const char *path, size_t len);

/*
 * Decides whether the directory PATH may be renamed or removed as a whole: a write to it, and no restriction
 * that could match something below it may be carried away (mv .git x). Where IS_DIR is false like OP_WRITE.
 */
struct verdict policy_path_move(const struct policy *p, const char *path, size_t len, bool is_dir);

/* Facts the plan needs. */
bool policy_has_floating(const struct policy *p, enum rule_kind kind);
size_t policy_rule_count(const struct policy *p);
const struct rule *policy_rule(const struct policy *p, size_t i); /* by id */
const char *rule_kind_name(enum rule_kind k);

#endif
