/*
 * Path rules for one run: ~, ${workspace} and ${scratch} are put in, rules that count only with or without a mount view are
 * chosen, and what a file names literally becomes the object it leads to (rules speak of objects, not of names).
 *
 * The rules of built-in profiles and those of files differ in three ways. ~ of a profile is the guest's home; of a file it
 * is the caller's home too, for that is what a person means by it. A profile's hide rule for just what the run is about (the
 * home, a workspace) is left out, or /home and /root would hide it. And a profile's paths are taken as they stand.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob.h"
#include "policy/lang_layer.h"
#include "policy/lang_rules.h"
#include "util/err.h"

/* What the first part of a pattern stands for. */
struct base {
	const char *v[2];
	const char *const *list; /* NULL: v */
	size_t n;
	const char *rest;
	bool home, scratch;
};

static struct base base_of(const char *pattern, const struct lang_places *p, bool built_in)
{
	struct base b = {.v = {"", NULL}, .n = 1, .rest = pattern};

	if (pattern[0] == '~') {
		b.n = 0;
		b.home = true;
		if (p->home)
			b.v[b.n++] = p->home;
		if (!built_in && p->real_home && (!p->home || strcmp(p->home, p->real_home) != 0))
			b.v[b.n++] = p->real_home;
		b.rest = pattern + 1;
	} else if (strncmp(pattern, "${workspace}", 12) == 0) {
		b.list = p->workspaces;
		for (b.n = 0; p->workspaces && p->workspaces[b.n]; b.n++)
			;
		b.rest = pattern + 12;
	} else if (strncmp(pattern, "${scratch}", 10) == 0) {
		b.v[0] = p->scratch;
		b.n = p->scratch != NULL;
		b.scratch = true;
		b.rest = pattern + 10;
	} else if (pattern[0] == '*') {
		b.v[0] = "/";
	}
	return b;
}

static bool same_or_above(const char *a, const char *s)
{
	size_t n = a ? strlen(a) : 0;

	if (!a || !s)
		return false;
	return n == 1 || (strncmp(a, s, n) == 0 && (s[n] == '\0' || s[n] == '/'));
}

static bool is_wanted(const char *path, const struct lang_places *p)
{
	if ((p->home && strcmp(path, p->home) == 0) || (p->scratch && strcmp(path, p->scratch) == 0))
		return true;
	for (size_t i = 0; p->workspaces && p->workspaces[i]; i++)
		if (strcmp(path, p->workspaces[i]) == 0)
			return true;
	return false;
}

/* A workspace at or above PATH, or below it, is the host's: then PATH is no private place. */
static bool in_workspace(const char *path, const struct lang_places *p)
{
	for (size_t i = 0; p->workspaces && p->workspaces[i]; i++)
		if (same_or_above(p->workspaces[i], path) || same_or_above(path, p->workspaces[i]))
			return true;
	return false;
}

static bool is_literal(const char *pattern)
{
	for (const char *c = pattern; *c; c++) {
		if (*c == '\\' && c[1])
			c++;
		else if (strchr("*?[", *c))
			return false;
	}
	return true;
}

char *lang_canonical(const char *path)
{
	char *real = realpath(path, NULL);

	if (real)
		return real;
	AUTO_FREE char *copy = strdup(path);
	char *slash = copy ? strrchr(copy, '/') : NULL;

	if (slash && slash != copy && slash[1] != '\0') {
		*slash = '\0';
		AUTO_FREE char *dir = realpath(copy, NULL);

		*slash = '/';
		if (dir && asprintf(&real, "%s%s", strcmp(dir, "/") == 0 ? "" : dir, slash) >= 0)
			return real;
	}
	return strdup(path);
}

/* The literal PATTERN of a file as a path without backslashes, and the object it leads to. NULL: no memory. */
static char *object_of(const char *pattern)
{
	AUTO_FREE char *plain = malloc(strlen(pattern) + 1);

	if (!plain)
		return NULL;
	plain[glob_unquote(plain, pattern, strlen(pattern))] = '\0';
	return lang_canonical(plain);
}

/* What a rule becomes for one of its bases. */
static int expand_one(const struct lang_layer *l, const struct path_rule *rule, const char *base, const struct base *b,
		      const struct lang_places *p, lang_expanded_fn *fn, void *ctx)
{
	char pattern[2 * PATH_MAX], path[2 * PATH_MAX];
	AUTO_FREE char *quoted = NULL;
	AUTO_FREE char *object = NULL;
	struct lang_expanded e = {.layer = l, .rule = rule, .pattern = pattern};
	bool literal = is_literal(b->rest);
	size_t n;

	if (base[0] == '\0') {
		n = (size_t)snprintf(pattern, sizeof(pattern), "%s", b->rest);
	} else {
		quoted = glob_quote(base);
		if (!quoted)
			return -ENOMEM;
		n = (size_t)snprintf(pattern, sizeof(pattern), "%s%s", quoted, b->rest);
	}
	if (n >= sizeof(pattern))
		return -EINVAL;
	if (literal && !l->built_in && !rule->made) {
		object = object_of(pattern);
		free(quoted);
		quoted = object ? glob_quote(object) : NULL;
		if (!quoted)
			return -ENOMEM;
		e.pattern = quoted;
		e.path = object;
	} else if (literal) {
		path[glob_unquote(path, pattern, n)] = '\0';
		e.path = path;
	}
	if (l->built_in && rule->kind == RULE_HIDE && base[0] == '\0' && is_wanted(e.pattern, p))
		return 0;
	if (rule->when == LANG_PRIVATE && in_workspace(pattern, p))
		return 0;
	e.private = rule->made || (l->built_in && b->rest[0] == '\0' && (b->scratch || (b->home && !p->home_host))) ||
		    (p->view && strcmp(pattern, "/proc") == 0);
	return fn(ctx, &e);
}

int lang_expand(const struct lang *l, enum lang_part parts, const struct lang_places *p, lang_expanded_fn *fn, void *ctx)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		const struct lang_layer *layer = &l->layers[i];

		if (!(parts & (layer->built_in ? LANG_BUILT_IN : LANG_FILES)))
			continue;
		for (size_t k = 0; r == 0 && k < layer->n; k++) {
			const struct path_rule *rule = &layer->rules[k];
			struct base b = base_of(rule->pattern, p, layer->built_in);

			if (rule->when == (p->view ? LANG_BARE : LANG_VIEW) || (rule->when == LANG_PRIVATE && p->home_host))
				continue;
			for (size_t n = 0; r == 0 && n < b.n; n++)
				r = expand_one(layer, rule, b.list ? b.list[n] : b.v[n], &b, p, fn, ctx);
		}
	}
	return r;
}

void lang_rule_origin(const struct lang_expanded *e, char *out, size_t size)
{
	(void)snprintf(out, size, "%s:%u:%u", e->layer->file, e->rule->line, e->rule->column);
}

struct adding {
	struct policy_builder *b;
	char **why;
};

static int add_one(void *ctx, const struct lang_expanded *e)
{
	struct adding *a = ctx;
	char origin[PATH_MAX + 32];
	int r = 0;

	lang_rule_origin(e, origin, sizeof(origin));
	if (e->private && (e->rule->kind == RULE_WRITE || e->rule->kind == RULE_READ))
		r = policy_builder_private(a->b, e->pattern);
	if (r == 0)
		r = policy_builder_add(a->b, (enum rule_kind)e->rule->kind, e->pattern, origin);
	if (r == -EINVAL && !*a->why)
		(void)!asprintf(a->why, "%s: %s is no path pattern", origin, e->pattern);
	return r;
}

int lang_add_rules(const struct lang *l, enum lang_part parts, const struct lang_places *places,
		   struct policy_builder *b, char **ret_why)
{
	struct adding a = {.b = b, .why = ret_why};
	int r = lang_expand(l, parts, places, add_one, &a);

	/* Last, so that no except rule of theirs lifts it. */
	for (size_t i = 0; r == 0 && (parts & (LANG_FILES | LANG_UNSEEN)) == LANG_FILES && l->files[i]; i++) {
		AUTO_FREE char *quoted = glob_quote(l->files[i]);

		r = quoted ? policy_builder_add(b, RULE_PROTECT, quoted, "the policy itself") : -ENOMEM;
	}
	return r;
}

struct each {
	lang_path_fn *fn;
	void *ctx;
};

static int each_one(void *ctx, const struct lang_expanded *e)
{
	struct each *each = ctx;
	enum rule_kind kind = (enum rule_kind)e->rule->kind;
	char origin[PATH_MAX + 32];

	if (!e->path || e->rule->made || (kind != RULE_READ && kind != RULE_WRITE && kind != RULE_EXEC))
		return 0;
	lang_rule_origin(e, origin, sizeof(origin));
	return each->fn(each->ctx, kind, e->path, origin);
}

int lang_each_path(const struct lang *l, const struct lang_places *places, lang_path_fn *fn, void *ctx)
{
	struct each each = {.fn = fn, .ctx = ctx};

	return lang_expand(l, LANG_FILES, places, each_one, &each);
}
