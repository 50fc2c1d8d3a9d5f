/*
 * Path rules of one file that say the same, or the contrary, of the same pattern. Only what can be seen in the file itself;
 * what layers and places make of it is lang_judge.c's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/lang_layer.h"
#include "util/err.h"

/* A rule and its pattern without //, /./ and trailing slashes. */
struct named {
	char *pattern;
	const struct path_rule *rule;
};

static char *normal(const char *pattern)
{
	char *out = malloc(strlen(pattern) + 1), *o = out;

	if (!out)
		return NULL;
	for (const char *s = pattern; *s;) {
		if (s[0] == '/' && (s[1] == '/' || s[1] == '\0'))
			s++;
		else if (s[0] == '/' && s[1] == '.' && (s[2] == '/' || s[2] == '\0'))
			s += 2;
		else
			*o++ = *s++;
	}
	*o = '\0';
	return out;
}

static int by_pattern(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = strcmp(x->pattern, y->pattern);

	return c ? c : (x->rule > y->rule) - (x->rule < y->rule);
}

static void note(struct lang_reader *rd, bool warning, const struct path_rule *rule, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void note(struct lang_reader *rd, bool warning, const struct path_rule *rule, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lang_vnote(rd->m, warning, rd->l->file, rule->line, rule->column, fmt, ap);
	va_end(ap);
}

static bool allows(enum rule_kind k)
{
	return k == RULE_READ || k == RULE_WRITE || k == RULE_EXEC;
}

/* Whether restriction R leaves nothing of the allowing rule A where both name one path: the stricter counts on a tie. */
static bool undoes(enum rule_kind r, enum rule_kind a)
{
	return (r == RULE_HIDE && allows(a)) || (r == RULE_PROTECT && a == RULE_WRITE);
}

/* Two rules for one pattern, X written before Y. LIFTED: an except rule of the file names the pattern too. */
static void compare(struct lang_reader *rd, const struct named *x, const struct named *y, bool lifted)
{
	enum rule_kind a = (enum rule_kind)x->rule->kind, b = (enum rule_kind)y->rule->kind;
	bool first = undoes(b, a);
	const struct path_rule *gone = first ? x->rule : y->rule, *kept = first ? y->rule : x->rule;

	if ((x->rule->when && y->rule->when && x->rule->when != y->rule->when) || x->rule->made || y->rule->made)
		return;
	if (a == b && a != RULE_EXCEPT)
		note(rd, true, y->rule, "said twice (first in line %u)", x->rule->line);
	else if (!lifted && (first || undoes(a, b)))
		note(rd, false, gone, "%s and %s (line %u) name the same path %s: %s counts, this rule never does",
		     rule_kind_name((enum rule_kind)gone->kind), rule_kind_name((enum rule_kind)kept->kind), kept->line,
		     x->pattern, rule_kind_name((enum rule_kind)kept->kind));
	else if ((a == RULE_READ && b == RULE_WRITE) || (a == RULE_WRITE && b == RULE_READ))
		note(rd, true, a == RULE_READ ? x->rule : y->rule, "write implies read: this rule says nothing new");
}

/* The N rules of V are of one pattern. Few as a rule; of many, neighbours are enough to say that something is wrong. */
static void compare_group(struct lang_reader *rd, const struct named *v, size_t n)
{
	bool lifted = false;

	for (size_t i = 0; i < n; i++)
		lifted = lifted || v[i].rule->kind == RULE_EXCEPT;
	for (size_t i = 0; i < n; i++)
		for (size_t k = i + 1; k < n && k < i + 8; k++)
			compare(rd, &v[i], &v[k], lifted);
}

int lang_check_conflicts(struct lang_reader *rd)
{
	struct lang_layer *l = rd->l;
	struct named *v = calloc(l->n + 1, sizeof(*v));
	int r = v ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		v[i] = (struct named){.pattern = normal(l->rules[i].pattern), .rule = &l->rules[i]};
		r = v[i].pattern ? 0 : -ENOMEM;
	}
	if (r == 0 && l->n > 1) {
		qsort(v, l->n, sizeof(*v), by_pattern);
		for (size_t i = 0, n; i < l->n; i += n) {
			for (n = 1; i + n < l->n && strcmp(v[i].pattern, v[i + n].pattern) == 0; n++)
				;
			compare_group(rd, v + i, n);
		}
	}
	for (size_t i = 0; v && i < l->n; i++)
		free(v[i].pattern);
	free(v);
	return r;
}
