/*
 * Rules of files that do not do what they seem to: looked for in the compiled policy itself, so that what is said here is
 * what the run would answer. For a path that a rule names literally the policy is asked; what it answers against the
 * rule's own sense makes the rule one that never counts.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "policy/compiled.h"
#include "policy/lang_rules.h"
#include "util/err.h"

struct judging {
	const struct policy *policy;
	struct lang_messages *m;
	const struct path_rule *last; /* a rule is told of once, however many places it stands for */
};

static void tell(struct judging *j, const struct lang_expanded *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void tell(struct judging *j, const struct lang_expanded *e, const char *fmt, ...)
{
	va_list ap;

	if (j->last == e->rule)
		return;
	j->last = e->rule;
	va_start(ap, fmt);
	lang_vnote(j->m, true, e->layer->file, e->rule->line, e->rule->column, fmt, ap);
	va_end(ap);
}

static bool is_restriction(enum rule_kind kind)
{
	return kind == RULE_HIDE || kind == RULE_PROTECT || kind == RULE_KEYS;
}

static void judge_allow(struct judging *j, const struct lang_expanded *e)
{
	static const enum op ops[RULE_KIND_COUNT] = {[RULE_READ] = OP_READ, [RULE_WRITE] = OP_WRITE, [RULE_EXEC] = OP_EXEC};
	struct verdict v = policy_path(j->policy, ops[e->rule->kind], e->path, strlen(e->path));
	const char *kind = rule_kind_name((enum rule_kind)e->rule->kind);
	struct stat st;

	if (v.kind != VERDICT_ALLOW && v.rule && is_restriction(v.rule->kind))
		tell(j, e, "this %s rule never counts: %s %s (%s) decides for %s; an except rule lifts it", kind,
		     rule_kind_name(v.rule->kind), v.rule->pattern, v.rule->origin, e->path);
	else if (v.kind != VERDICT_ALLOW)
		tell(j, e, "this %s rule never counts: another rule decides for %s", kind, e->path);
	else if (lstat(e->path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
		tell(j, e, "%s does not exist", e->path);
}

static void judge_hide(struct judging *j, const struct lang_expanded *e)
{
	struct verdict v = policy_path(j->policy, OP_STAT, e->path, strlen(e->path));
	struct stat st;

	if (v.kind == VERDICT_ALLOW && v.rule && v.rule->kind != RULE_EXCEPT && v.rule->kind != RULE_HIDE)
		tell(j, e, "this hide rule never counts: %s %s (%s) is longer", rule_kind_name(v.rule->kind), v.rule->pattern,
		     v.rule->origin);
	else if (lstat(e->path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR))
		tell(j, e, "%s does not exist", e->path);
}

/* Whether restriction R and the except rule of E can speak of one object. Patterns that begin alike may. */
static bool may_meet(const struct policy *p, const struct rule *r, const struct lang_expanded *e, size_t literal)
{
	size_t n = r->literal_len < literal ? r->literal_len : literal;

	if (r->floating && strncmp(e->pattern, "/**", 3) == 0)
		return true;
	if (strncmp(r->pattern, e->pattern, n) != 0)
		return false;
	if (!e->path)
		return true;
	for (size_t i = 0; i < p->glob_count; i++) {
		bool below;

		if (p->globs[i].rule == r->id)
			return glob_states(&p->globs[i], e->path, strlen(e->path), &below) != 0 || !below;
	}
	return path_covers(r->pattern, r->literal_len, e->path) || path_covers(e->path, strlen(e->path), r->pattern);
}

static void judge_except(struct judging *j, const struct lang_expanded *e)
{
	const struct policy *p = j->policy;
	size_t literal = strcspn(e->pattern, "*?[\\");

	for (size_t i = 0; i < policy_rule_count(p); i++) {
		const struct rule *r = policy_rule(p, i);

		if (is_restriction(r->kind) && may_meet(p, r, e, literal))
			return;
	}
	tell(j, e, "this except rule lifts nothing: no hide or protect rule speaks of %s", e->pattern);
}

static int judge_one(void *ctx, const struct lang_expanded *e)
{
	struct judging *j = ctx;

	switch ((enum rule_kind)e->rule->kind) {
	case RULE_READ:
	case RULE_WRITE:
	case RULE_EXEC:
		if (e->path && !e->rule->made)
			judge_allow(j, e);
		break;
	case RULE_HIDE:
		if (e->path)
			judge_hide(j, e);
		break;
	case RULE_EXCEPT:
		judge_except(j, e);
		break;
	case RULE_PROTECT: /* also before it exists */
	case RULE_EXEC_DENY:
	case RULE_KEYS:
	case RULE_NONE:
	case RULE_KIND_COUNT:
	default:
		break;
	}
	return 0;
}

int lang_judge(const struct lang *l, const struct lang_places *places, const struct policy *policy,
	       struct lang_messages *m)
{
	struct judging j = {.policy = policy, .m = m};

	return lang_expand(l, LANG_FILES, places, judge_one, &j);
}
