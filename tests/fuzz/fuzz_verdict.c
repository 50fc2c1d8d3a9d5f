/*
 * Policies and paths against a reference: the input's bytes choose rules (from components that meet one another often) and
 * paths; every operation's verdict must be that of a matcher that is as simple as the language's description and knows nothing
 * of the compiled form: recursive, rule by rule. What must hold of renames and of the plan is asked as well.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"
#include "policy.h"
#include "util/err.h"

enum { RULES_MAX = 24, PATHS_MAX = 8, PATH_SIZE = 512 };

struct input {
	const uint8_t *v;
	size_t n;
};

static unsigned int next(struct input *in)
{
	if (in->n == 0)
		return 0;
	in->n--;
	return *in->v++;
}

/* A component of a pattern; those of paths are the first PLAIN. */
static const char *const components[] = { "a",  "b",   "ab",   ".env",  ".git", "c",	"hooks", "abc",	  "x y", "-",
					  "*",  "**",  "?",    "*b",	"a*",	"[ab]", "[!a]",	 "[a-c]*", "\\*", "a\\?" };
enum { PLAIN = 10 };

static void make_path(struct input *in, bool pattern, char out[static PATH_SIZE])
{
	unsigned int n = next(in) % 6;
	size_t len = 0;

	for (unsigned int i = 0; i < n; i++) {
		const char *c = components[next(in) % (pattern ? ARRAY_LEN(components) : PLAIN)];

		len += (size_t)snprintf(out + len, PATH_SIZE - len, "/%s", c);
	}
	if (n == 0)
		(void)snprintf(out, PATH_SIZE, "/");
}

/* ---- the reference ------------------------------------------------------------------------------- */

static size_t component(const char *s)
{
	return strcspn(s, "/");
}

/* Length of the bracket expression at P. */
static size_t bracket(const char *p)
{
	size_t i = 1;

	if (p[i] == '!' || p[i] == '^')
		i++;
	if (p[i] == ']')
		i++;
	while (p[i] && p[i] != ']')
		i += p[i] == '\\' && p[i + 1] ? 2 : 1;
	return i + 1;
}

static bool in_bracket(const char *p, size_t len, char c)
{
	bool not = p[1] == '!' || p[1] == '^', found = false;

	for (size_t i = not ? 2 : 1; i + 1 < len; i++) {
		char lo = p[i] == '\\' ? p[++i] : p[i], hi = lo;

		if (p[i + 1] == '-' && i + 2 < len - 1) {
			hi = p[i + 2];
			i += 2;
		}
		found = found || ((unsigned char)c >= (unsigned char)lo && (unsigned char)c <= (unsigned char)hi);
	}
	return found != not ;
}

/* Does the component pattern P (PN bytes) match S (SN bytes)? */
static bool one(const char *p, size_t pn, const char *s, size_t sn)
{
	if (pn == 0)
		return sn == 0;
	switch (p[0]) {
	case '*':
		return one(p + 1, pn - 1, s, sn) || (sn > 0 && one(p, pn, s + 1, sn - 1));
	case '?':
		return sn > 0 && one(p + 1, pn - 1, s + 1, sn - 1);
	case '[': {
		size_t n = bracket(p);
		return sn > 0 && in_bracket(p, n, s[0]) && one(p + n, pn - n, s + 1, sn - 1);
	}
	case '\\':
		return sn > 0 && s[0] == p[1] && one(p + 2, pn - 2, s + 1, sn - 1);
	default:
		return sn > 0 && s[0] == p[0] && one(p + 1, pn - 1, s + 1, sn - 1);
	}
}

/* Does PATTERN match PATH or, unless EXACT, something above it? Both begin with a slash or are at their end. */
static bool matches(const char *pattern, const char *path, bool literal, bool exact)
{
	size_t pn, sn;

	if (*pattern == '\0')
		return *path == '\0' || !exact;
	pattern++;
	pn = component(pattern);
	if (!literal && pn == 2 && pattern[0] == '*' && pattern[1] == '*') {
		if (matches(pattern + pn, path, literal, exact))
			return true;
		if (*path == '\0')
			return false;
		sn = component(path + 1);
		return matches(pattern - 1, path + 1 + sn, literal, exact);
	}
	if (*path == '\0')
		return false;
	path++;
	sn = component(path);
	if (literal ? pn != sn || memcmp(pattern, path, pn) != 0 : !one(pattern, pn, path, sn))
		return false;
	return matches(pattern + pn, path + sn, literal, exact);
}

static bool is_literal(const struct rule *r)
{
	size_t n = strlen(r->pattern);

	/* One that floats keeps its ** although there are no other globs. */
	return r->literal_len == n || (r->floating && n >= 3 && r->literal_len == (n == 3 ? 1 : n - 3) &&
				       strcmp(r->pattern + n - 3, "/**") == 0);
}

static bool rule_matches(const struct rule *r, const char *path)
{
	char pattern[PATH_SIZE];
	bool literal = is_literal(r);

	(void)snprintf(pattern, sizeof(pattern), "%s", r->pattern);
	if (literal)
		pattern[r->literal_len] = '\0';
	return matches(strcmp(pattern, "/") == 0 ? "" : pattern, strcmp(path, "/") == 0 ? "" : path, literal, r->kind == RULE_KEYS);
}

/* How specific a rule is: bytes of the name before the first character with a meaning. */
static size_t weight(const struct rule *r)
{
	size_t n = 0;

	if (is_literal(r))
		return r->literal_len;
	for (const char *c = r->pattern; *c && !strchr("*?[", *c); c++, n++)
		if (*c == '\\')
			c++;
	return n;
}

struct best {
	const struct rule *rule;
	size_t weight;
};

static void take(struct best *b, const struct rule *r)
{
	size_t w = weight(r);

	if (!b->rule || w > b->weight || (w == b->weight && r->id > b->rule->id))
		*b = (struct best){ .rule = r, .weight = w };
}

/* Does a restriction of KIND count against what allows? */
static bool restricted(const struct policy *p, enum rule_kind kind, const char *path, const struct best *allow, long since)
{
	for (size_t i = 0; i < policy_rule_count(p); i++) {
		const struct rule *r = policy_rule(p, i);

		if (r->kind == kind && (long)r->id > since && rule_matches(r, path) &&
		    (r->floating || !allow->rule || weight(r) >= allow->weight))
			return true;
	}
	return false;
}

static bool reference(const struct policy *p, enum op op, const char *path)
{
	struct best allow = { NULL, 0 }, write = { NULL, 0 }, exec = { NULL, 0 };
	bool denied = false;
	long since = -1;

	for (size_t i = 0; i < policy_rule_count(p); i++) {
		const struct rule *r = policy_rule(p, i);

		if (!rule_matches(r, path))
			continue;
		if (r->kind == RULE_READ || r->kind == RULE_WRITE)
			take(&allow, r);
		if (r->kind == RULE_WRITE)
			take(&write, r);
		if (r->kind == RULE_EXEC)
			take(&exec, r);
		if (r->kind == RULE_EXCEPT)
			since = (long)r->id;
		denied = denied || r->kind == RULE_EXEC_DENY;
	}
	if (restricted(p, RULE_HIDE, path, &allow, since))
		return false;
	switch (op) {
	case OP_READ:
		return allow.rule != NULL;
	case OP_WRITE:
	case OP_CONNECT:
		return allow.rule != NULL && allow.rule->kind == RULE_WRITE && !restricted(p, RULE_PROTECT, path, &allow, since) &&
		       !restricted(p, RULE_KEYS, path, &allow, since);
	case OP_EXEC:
		return !denied && exec.rule != NULL && (!write.rule || write.weight <= exec.weight);
	case OP_STAT:
	case OP_NONE:
	case OP_COUNT:
		break;
	}
	return false;
}

/* ---- what must hold ------------------------------------------------------------------------------- */

static _Noreturn void differs(const struct policy *p, const char *what, const char *path, const char *other)
{
	(void)fprintf(stderr, "%s: %s %s\n", what, path, other);
	for (size_t i = 0; i < policy_rule_count(p); i++)
		(void)fprintf(stderr, "  %s %s%s\n", rule_kind_name(policy_rule(p, i)->kind), policy_rule(p, i)->pattern,
			      policy_rule(p, i)->floating ? " (floating)" : "");
	abort();
}

static void check(const struct policy *p, char paths[][PATH_SIZE], size_t n)
{
	static const enum op ops[] = { OP_READ, OP_WRITE, OP_EXEC, OP_CONNECT };

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(paths[i]);

		for (size_t k = 0; k < ARRAY_LEN(ops); k++) {
			struct verdict v = policy_path(p, ops[k], paths[i], len);

			if ((v.kind == VERDICT_ALLOW) != reference(p, ops[k], paths[i]))
				differs(p, verdict_op_name(ops[k]), paths[i], v.kind == VERDICT_ALLOW ? "is allowed" : "is refused");
		}
		/* What may be read exists; what may be moved may be written. */
		if (reference(p, OP_READ, paths[i]) && policy_path(p, OP_STAT, paths[i], len).kind != VERDICT_ALLOW)
			differs(p, "stat", paths[i], "is refused, read is not");
		bool writes = policy_path(p, OP_WRITE, paths[i], len).kind == VERDICT_ALLOW;
		if ((policy_path_move(p, paths[i], len, false).kind == VERDICT_ALLOW) != writes)
			differs(p, "move of a file", paths[i], "is no write");
		if (policy_path_move(p, paths[i], len, true).kind == VERDICT_ALLOW && !writes)
			differs(p, "move of a directory", paths[i], "without a write");
		for (size_t k = 0; k < n; k++)
			for (int dir = 0; dir < 2; dir++)
				if (policy_path_rename(p, paths[i], len, paths[k], strlen(paths[k]), dir).kind == VERDICT_ALLOW &&
				    (!writes || policy_path(p, OP_WRITE, paths[k], strlen(paths[k])).kind != VERDICT_ALLOW))
					differs(p, "rename", paths[i], paths[k]);
	}
}

/*
 * A directory that may be moved takes nothing along that is held by name: what is refused below the old name for a plain
 * restriction is not free below the new one. Asked for the last of the paths as what lies in it.
 */
static void check_carry(const struct policy *p, char paths[][PATH_SIZE], size_t n)
{
	for (size_t i = 0; i + 1 < n; i++)
		for (size_t k = 0; k + 1 < n; k++) {
			char from[2 * PATH_SIZE], to[2 * PATH_SIZE];
			const char *below = paths[n - 1];

			if (strcmp(below, "/") == 0 || strcmp(paths[i], "/") == 0 || strcmp(paths[k], "/") == 0 ||
			    policy_path_rename(p, paths[i], strlen(paths[i]), paths[k], strlen(paths[k]), true).kind != VERDICT_ALLOW)
				continue;
			(void)snprintf(from, sizeof(from), "%s%s", paths[i], below);
			(void)snprintf(to, sizeof(to), "%s%s", paths[k], below);
			struct verdict old = policy_path(p, OP_READ, from, strlen(from));
			struct verdict new = policy_path(p, OP_READ, to, strlen(to));
			if (old.kind == VERDICT_DENY && old.rule && old.rule->kind == RULE_HIDE && new.kind == VERDICT_ALLOW)
				differs(p, "hidden, and shown after a rename", from, to);
		}
}

static void check_plan(const struct policy *p, uint32_t floor)
{
	struct plan_wish wish = { .record_reads = (floor & 1) != 0, .mediate_all = (floor & 2) != 0 };
	struct plan plan;

	plan_make(p, floor >> 2, &wish, &plan);
	for (int k = 0; k < PLAN_COUNT; k++)
		if (!plan.why[k] || !plan.why[k][0] || (plan.gap[k] && plan.level[k] < LEVEL_VERIFY))
			differs(p, "plan", plan_key_name((enum plan_key)k), "has no reason");
	if (plan.level[PLAN_WRITE] <= LEVEL_EMULATE && plan.level[PLAN_CHANGE] <= LEVEL_EMULATE)
		return;
	/* Only where the floor says so, nobody wants a record, and no pattern takes something away. */
	if (!((floor >> 2) & FLOOR_VIEW_WRITES) || wish.record_reads || wish.mediate_all)
		differs(p, "plan", "writing", "is left to the kernel");
	bool lifted = false;
	for (size_t i = 0; i < policy_rule_count(p); i++)
		lifted = lifted || policy_rule(p, i)->kind == RULE_EXCEPT;
	for (size_t i = 0; !lifted && i < policy_rule_count(p); i++) {
		const struct rule *r = policy_rule(p, i);

		if ((r->kind == RULE_HIDE || r->kind == RULE_PROTECT || r->kind == RULE_KEYS) && r->floating)
			differs(p, "plan", "writing", "is left to the kernel beside a rule for every depth");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	char paths[PATHS_MAX][PATH_SIZE], pattern[PATH_SIZE];
	struct policy_builder *b;
	struct policy *p;
	unsigned int rules = next(&in) % RULES_MAX, n = 1 + next(&in) % PATHS_MAX;
	uint32_t floor = next(&in) | next(&in) << 8;

	if (policy_builder_new(&b) < 0)
		return 0;
	for (unsigned int i = 0; i < rules; i++) {
		enum rule_kind kind = (enum rule_kind)(1 + next(&in) % (RULE_KIND_COUNT - 1));

		make_path(&in, true, pattern);
		(void)policy_builder_add(b, kind, pattern, "fuzz");
	}
	for (unsigned int i = 0; i < n; i++)
		make_path(&in, false, paths[i]);
	if (policy_compile(b, &p) == 0) {
		check(p, paths, n);
		check_carry(p, paths, n);
		check_plan(p, floor);
		policy_free(p);
	}
	/* What is left is a pattern as it may be typed: refused or brought into a form that is its own. */
	if (in.n > 0) {
		size_t len = in.n < sizeof(pattern) - 1 ? in.n : sizeof(pattern) - 1;

		memcpy(pattern, in.v, len);
		pattern[len] = '\0';
		if (policy_builder_add(b, RULE_HIDE, pattern, "fuzz") == 0 && policy_compile(b, &p) == 0) {
			const struct rule *r = policy_rule(p, policy_rule_count(p) - 1);
			struct policy_builder *again;
			struct policy *q;

			if (strstr(r->pattern, "//") || r->pattern[0] != '/')
				differs(p, "form", pattern, r->pattern);
			if (r->literal_len != strlen(r->pattern) && policy_builder_new(&again) == 0) {
				if (policy_builder_add(again, RULE_HIDE, r->pattern, "fuzz") != 0)
					differs(p, "form is refused", pattern, r->pattern);
				if (policy_compile(again, &q) == 0) {
					if (strcmp(policy_rule(q, 0)->pattern, r->pattern) != 0 && !is_literal(r))
						differs(p, "form is not its own", r->pattern, policy_rule(q, 0)->pattern);
					policy_free(q);
				}
				policy_builder_free(again);
			}
			policy_free(p);
		}
	}
	policy_builder_free(b);
	return 0;
}
