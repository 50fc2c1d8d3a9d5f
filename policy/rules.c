/*
 * The rule list: patterns are brought into one form when they are added, so that everything behind this file
 * sees absolute paths without //, /., .. or trailing slash, and patterns without globs as plain paths.
 * policy/compile.c makes the immutable policy of it.
 */
#include "policy/rules.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob.h"
#include "util/err.h"

/* A pattern being brought into its form. */
struct form {
	char *out;
	size_t len;
	size_t before; /* length of out before the trailing ** components: those say nothing more */
	bool glob;     /* a component with globs was written */
	bool kept;     /* and is more than a trailing ** */
	bool deep;     /* a ** was seen */
	bool last_deep;
	unsigned int tokens; /* components from the first glob on */
	size_t literal_len;
	size_t weight;
};

/* Length of S before its first glob character; a backslash ends it too, as it is no byte of the name. */
static size_t literal_prefix(const char *s, size_t len)
{
	size_t i = 0;

	while (i < len && !strchr("*?[\\", s[i]))
		i++;
	return i;
}

/* The same in bytes of the name. */
static size_t literal_weight(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len && !strchr("*?[", s[i]); i++, n++)
		if (s[i] == '\\')
			i++;
	return n;
}

/* One component of the pattern. Returns 0 or -EINVAL. */
static int form_add(struct form *f, const char *s, size_t len)
{
	char plain[PATH_MAX];
	int kind = glob_component_kind(s, len);
	size_t n;

	if (kind < 0)
		return kind;
	n = glob_unquote(plain, s, len);
	if (kind == GLOB_LITERAL && n == 1 && plain[0] == '.')
		return 0;
	if (kind == GLOB_LITERAL && n == 2 && plain[0] == '.' && plain[1] == '.')
		return -EINVAL;
	if (n > NAME_MAX && kind == GLOB_LITERAL)
		return -EINVAL;
	if (kind == GLOB_DEEP) {
		f->deep = true;
		if (f->last_deep)
			return 0;
	}
	f->kept |= kind == GLOB_PATTERN || (kind == GLOB_LITERAL && f->deep);
	f->glob |= kind != GLOB_LITERAL;
	if (f->glob && ++f->tokens > GLOB_TOKENS_MAX)
		return -EINVAL;
	f->last_deep = kind == GLOB_DEEP;
	f->out[f->len++] = '/';
	memcpy(f->out + f->len, s, len);
	f->len += len;
	if (!f->last_deep)
		f->before = f->len;
	return 0;
}

/* Takes the backslashes out of what turned out to be a path. */
static void form_plain(struct form *f)
{
	f->len = glob_unquote(f->out, f->out, f->len);
	if (f->len == 0)
		f->out[f->len++] = '/';
	f->out[f->len] = '\0';
	f->literal_len = f->weight = f->len;
}

/* FLOATING: the rule is a restriction. OUT has room for four bytes more than the pattern. */
static int form_make(struct form *f, const char *pattern, bool floating)
{
	size_t len = strlen(pattern), pos = 0;

	if (pattern[0] != '/' || len >= PATH_MAX)
		return -EINVAL;
	while (pos < len) {
		size_t n;
		int r;

		pos++;
		n = strcspn(pattern + pos, "/");
		r = n ? form_add(f, pattern + pos, n) : 0;
		if (r < 0)
			return r;
		pos += n;
	}
	f->len = f->before;
	f->out[f->len] = '\0';
	if (!f->kept) {
		form_plain(f);
		/* Without globs left a floating restriction still is one: its ** stays, for who adds the rule
		 * again. */
		if (f->deep && floating)
			memcpy(f->out + (f->len == 1 ? 0 : f->len), "/**", sizeof("/**"));
		return 0;
	}
	f->literal_len = literal_prefix(f->out, f->len);
	f->weight = literal_weight(f->out, f->len);
	return 0;
}

/* Which rules take something away. */
static bool is_restriction(enum rule_kind kind)
{
	return kind == RULE_HIDE || kind == RULE_PROTECT || kind == RULE_KEYS;
}

static int rule_make(enum rule_kind kind, const char *pattern, const char *origin, unsigned int id,
		     struct stored_rule *ret_rule)
{
	AUTO_FREE char *out = malloc(strlen(pattern) + 5);
	AUTO_FREE char *from = strdup(origin ? origin : "");
	struct form f = {.out = out};
	int r;

	if (!out || !from)
		return -ENOMEM;
	r = form_make(&f, pattern, is_restriction(kind));
	if (r < 0)
		return r;
	*ret_rule = (struct stored_rule){
		.rule = {.kind = kind,
			 .floating = f.deep && is_restriction(kind),
			 .literal_len = f.literal_len,
			 .pattern = STEAL(out),
			 .origin = STEAL(from),
			 .id = id},
		.weight = (uint32_t)f.weight,
		.literal = !f.kept,
	};
	return 0;
}

int policy_builder_new(struct policy_builder **ret_b)
{
	struct policy_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->write_errno = EROFS;
	b->written = WRITTEN_MOUNTS;
	*ret_b = b;
	return 0;
}

struct policy_builder *policy_builder_free(struct policy_builder *b)
{
	if (!b)
		return NULL;
	for (size_t i = 0; i < b->n; i++)
		rule_clear(&b->rules[i].rule);
	for (size_t i = 0; i < b->private_count; i++)
		free(b->private[i]);
	free(b->private);
	free(b->rules);
	free(b);
	return NULL;
}

static int add_one(struct policy_builder *b, enum rule_kind kind, const char *pattern, const char *origin)
{
	struct stored_rule *rules;
	int r;

	if (kind <= RULE_NONE || kind >= RULE_KIND_COUNT || b->n >= INT32_MAX)
		return -EINVAL;
	if (b->n == b->room) {
		size_t room = b->room ? 2 * b->room : 64;

		rules = reallocarray(b->rules, room, sizeof(*rules));
		if (!rules)
			return -ENOMEM;
		b->rules = rules;
		b->room = room;
	}
	r = rule_make(kind, pattern, origin, (unsigned int)b->n, &b->rules[b->n]);
	if (r < 0)
		return r;
	b->n++;
	return 0;
}

/* The protect rule for the names under which the new content of what RULE names is made ready. */
static int add_temp(struct policy_builder *b, const struct stored_rule *rule)
{
	AUTO_FREE char *plain = strndup(rule->rule.pattern, rule->literal ? rule->weight : strlen(rule->rule.pattern));
	AUTO_FREE char *path = plain && rule->literal ? glob_quote(plain) : NULL;
	AUTO_FREE char *origin = strdup(rule->rule.origin);
	char temp[(size_t)2 * PATH_MAX + sizeof(KEYS_TEMP) + 2];
	char *slash;

	if (!plain || !origin || (rule->literal && !path))
		return -ENOMEM;
	if (!path)
		path = STEAL(plain);
	slash = strrchr(path, '/');
	if (!slash)
		return -EINVAL;
	slash[0] = '\0';
	(void)snprintf(temp, sizeof(temp), "%s/" KEYS_TEMP "*", path);
	return add_one(b, RULE_PROTECT, temp, origin);
}

int policy_builder_add(struct policy_builder *b, enum rule_kind kind, const char *pattern, const char *origin)
{
	int r = add_one(b, kind, pattern, origin);

	if (r < 0 || kind != RULE_KEYS)
		return r;
	r = add_temp(b, &b->rules[b->n - 1]);
	if (r < 0) {
		b->n--;
		rule_clear(&b->rules[b->n].rule);
	}
	return r;
}

int rule_args_copy(const char *const *args, char ***ret_args)
{
	size_t n = 0;
	char **copy;

	while (args[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		copy[i] = strdup(args[i]);
		if (!copy[i]) {
			while (i > 0)
				free(copy[--i]);
			free(copy);
			return -ENOMEM;
		}
	}
	*ret_args = copy;
	return 0;
}

void rule_clear(struct rule *r)
{
	for (size_t i = 0; r->args && r->args[i]; i++)
		free(r->args[i]);
	free(r->args);
	free(r->pattern);
	free(r->origin);
	*r = (struct rule){.kind = RULE_NONE};
}

int policy_builder_deny_exec(struct policy_builder *b, const char *pattern, const char *const *args, const char *origin)
{
	char **copy = NULL;
	int r = 0;

	for (size_t i = 0; args && args[i]; i++)
		if (strcmp(args[i], "**") != 0 && glob_component_kind(args[i], strlen(args[i])) < 0)
			return -EINVAL;
	if (args)
		r = rule_args_copy(args, &copy);
	if (r == 0)
		r = policy_builder_add(b, RULE_EXEC_DENY, pattern, origin);
	if (r < 0) {
		struct rule none = {.args = copy};

		rule_clear(&none);
		return r;
	}
	b->rules[b->n - 1].rule.args = copy;
	return 0;
}

int policy_builder_private(struct policy_builder *b, const char *path)
{
	AUTO_FREE char *out = malloc(strlen(path) + 5);
	struct form f = {.out = out};
	char **list;
	int r;

	if (!out)
		return -ENOMEM;
	r = form_make(&f, path, false);
	if (r < 0)
		return r;
	if (f.kept || f.deep)
		return -EINVAL;
	list = reallocarray(b->private, b->private_count + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	b->private = list;
	list[b->private_count++] = STEAL(out);
	return 0;
}

void policy_set_write_errno(struct policy_builder *b, int err)
{
	b->write_errno = err;
}

/* Whether the literal PATTERN may be written under P. */
static bool is_written(const struct policy *p, const char *pattern)
{
	return policy_path(p, OP_WRITE, pattern, strlen(pattern)).kind == VERDICT_ALLOW;
}

static int written_deny(struct policy_builder *b)
{
	struct policy *p = NULL;
	size_t n = 0;
	int r = policy_compile(b, &p);

	if (r < 0)
		return r;
	for (size_t i = 0; i < b->n; i++) {
		struct stored_rule *s = &b->rules[i];

		/* One with globs could speak of anything. */
		if (s->rule.kind == RULE_EXEC && (!s->literal || is_written(p, s->rule.pattern))) {
			free(s->rule.pattern);
			free(s->rule.origin);
			continue;
		}
		s->rule.id = (unsigned int)n;
		b->rules[n++] = *s;
	}
	b->n = n;
	policy_free(p);
	return 0;
}

int policy_builder_written(struct policy_builder *b, enum written_mode mode)
{
	size_t n = b->n;
	int r = 0;

	b->written = mode;
	if (mode == WRITTEN_DENY)
		return written_deny(b);
	for (size_t i = 0; mode == WRITTEN_ALLOW && r == 0 && i < n; i++) {
		AUTO_FREE char *quoted = NULL;

		if (b->rules[i].rule.kind != RULE_WRITE || !b->rules[i].literal)
			continue;
		quoted = glob_quote(b->rules[i].rule.pattern);
		r = quoted ? policy_builder_add(b, RULE_EXEC, quoted, b->rules[i].rule.origin) : -ENOMEM;
	}
	return r;
}
