/*
 * Rules about arguments: "git" may run, but not "git push". A help against mistakes and not against hostile code, which
 * says the same in other words (git -c alias.p=push p) or calls what git calls.
 *
 * They are few and asked only for programs one of them names, so they are tried one after another.
 */
#include <errno.h>
#include <string.h>

#include "policy/compiled.h"

static bool is_any(const char *pattern)
{
	return strcmp(pattern, "**") == 0;
}

/* Whether PATTERNS (NULL-terminated) match all N of ARGS: as a glob does characters, with ** for *. */
static bool args_match(char *const *patterns, const char *const *args, size_t n)
{
	size_t p = 0, i = 0, star = 0, mark = 0;
	bool starred = false;

	for (;;) {
		if (patterns[p] && is_any(patterns[p])) {
			star = ++p;
			mark = i;
			starred = true;
			continue;
		}
		if (i == n && !patterns[p])
			return true;
		if (i < n && patterns[p] && glob_component(patterns[p], strlen(patterns[p]), args[i], strlen(args[i]))) {
			p++;
			i++;
			continue;
		}
		if (!starred || mark >= n)
			return false;
		i = ++mark;
		p = star;
	}
}

/* Whether the rule I, about arguments, speaks of PATH. */
static bool speaks_of(const struct policy *p, size_t i, const char *path, size_t len)
{
	bool below;

	if (p->rules[i].kind != RULE_EXEC_DENY || !p->rules[i].args || len == 0 || path[0] != '/')
		return false;
	if (p->literal[i])
		return len >= p->weight[i] && path_covers(p->rules[i].pattern, p->weight[i], path);
	for (size_t k = 0; k < p->glob_count; k++)
		if (p->globs[k].rule == i)
			return glob_states(&p->globs[k], path, len, &below) & (1ULL << p->globs[k].n);
	return false;
}

bool policy_wants_args(const struct policy *p, const char *path, size_t len)
{
	for (size_t i = 0; i < p->n; i++)
		if (speaks_of(p, i, path, len))
			return true;
	return false;
}

struct verdict policy_exec_args(const struct policy *p, const char *path, size_t len, const char *const *args, size_t n)
{
	for (size_t i = 0; i < p->n; i++)
		if (speaks_of(p, i, path, len) && args_match(p->rules[i].args, args, n))
			return (struct verdict){.kind = VERDICT_DENY, .err = EACCES, .rule = &p->rules[i]};
	return (struct verdict){.kind = VERDICT_ALLOW};
}
