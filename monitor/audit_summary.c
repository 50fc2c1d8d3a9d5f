/*
 * The summary of refusals. Like refusals (what was asked, by which rule it was refused, of which object) are one
 * entry with a count. What is kept is bounded, since the objects' names are the guest's: entries and their text
 * have a limit, and what is beyond it is only counted.
 *
 * Advice is only given where it would work: each candidate is added to a copy of the policy, and the policy is asked
 * again. Nothing is advised for what no option allows.
 */
#include "audit_summary.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "monitor/hint.h"
#include "monitor/network.h"
#include "monitor/rules.h"
#include "net_policy.h"
#include "nr.h"
#include "table.h"
#include "text.h"
#include "util/err.h"
#include "verdict.h"

enum {
	ENTRY_LIMIT = 4096,
	BUCKETS = 8192, /* power of two, more than entries */
	TEXT_LIMIT = 1 << 20,
	SHOWN = 12,
};

struct entry {
	uint64_t count;
	uint32_t hash;
	uint32_t order; /* first seen */
	int nr;
	uint8_t op;
	bool internal;
	char comm[16]; /* who asked first */
	enum rule_kind kind; /* RULE_NONE: no rule spoke */
	char *pattern, *origin; /* empty where no rule spoke */
	char *object;
	size_t object_len, object2_len;
};

struct summary {
	uint64_t total;
	uint64_t beyond; /* refusals without an entry */
	size_t n, text;
	uint16_t bucket[BUCKETS]; /* index + 1 */
	struct entry *entry[ENTRY_LIMIT];
};

int summary_new(struct summary **ret_s)
{
	struct summary *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	*ret_s = s;
	return 0;
}

static struct entry *entry_free(struct entry *e)
{
	if (e) {
		free(e->pattern);
		free(e->origin);
		free(e->object);
		free(e);
	}
	return NULL;
}

struct summary *summary_free(struct summary *s)
{
	if (s) {
		for (size_t i = 0; i < s->n; i++)
			entry_free(s->entry[i]);
		free(s);
	}
	return NULL;
}

static uint32_t hash_bytes(uint32_t h, const void *p, size_t n)
{
	const unsigned char *b = p;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * 16777619u;
	return h;
}

/* Calls that name an object are alike by what they ask of it; others by the call. A rename asks more than a write. */
static int key_nr(const struct record *r)
{
	if (r->nr == NR_rename || r->nr == NR_renameat || r->nr == NR_renameat2)
		return NR_renameat2;
	return r->op != OP_NONE && r->object_len ? -1 : r->nr;
}

static bool same(const struct entry *e, const struct record *r, const struct rule *rule)
{
	return e->nr == key_nr(r) && e->op == r->op && e->internal == !!(r->flags & RECORD_INTERNAL) &&
	       e->kind == (rule ? rule->kind : RULE_NONE) && strcmp(e->pattern, rule ? rule->pattern : "") == 0 &&
	       strcmp(e->origin, rule ? rule->origin : "") == 0 && e->object_len == r->object_len &&
	       e->object2_len == r->object2_len &&
	       memcmp(e->object, r->object, e->object_len + e->object2_len) == 0;
}

static struct entry *entry_new(const struct record *r, const struct rule *rule)
{
	size_t n = (size_t)r->object_len + r->object2_len;
	struct entry *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->nr = key_nr(r);
	e->op = r->op;
	e->internal = r->flags & RECORD_INTERNAL;
	memcpy(e->comm, r->comm, sizeof(e->comm));
	e->comm[sizeof(e->comm) - 1] = 0;
	e->kind = rule ? rule->kind : RULE_NONE;
	e->pattern = strdup(rule ? rule->pattern : "");
	e->origin = strdup(rule ? rule->origin : "");
	e->object = malloc(n + 1);
	if (!e->pattern || !e->origin || !e->object)
		return entry_free(e);
	memcpy(e->object, r->object, n);
	e->object[n] = 0;
	e->object_len = r->object_len;
	e->object2_len = r->object2_len;
	return e;
}

void summary_add(struct summary *s, const struct record *r, const struct rule *rule)
{
	size_t n = (size_t)r->object_len + r->object2_len;
	uint32_t h = hash_bytes(2166136261u, r->object, n);

	s->total++;
	h = hash_bytes(h, &(int){ key_nr(r) }, sizeof(int));
	h = hash_bytes(h, &r->op, 1);
	if (rule)
		h = hash_bytes(h, rule->pattern, strlen(rule->pattern));
	uint32_t b = h & (BUCKETS - 1);

	/* Half the buckets stay empty, so the search ends. */
	for (; s->bucket[b]; b = (b + 1) & (BUCKETS - 1)) {
		struct entry *e = s->entry[s->bucket[b] - 1];

		if (e->hash == h && same(e, r, rule)) {
			e->count++;
			return;
		}
	}
	struct entry *e = s->n < ENTRY_LIMIT && s->text + n < TEXT_LIMIT ? entry_new(r, rule) : NULL;

	if (!e) {
		s->beyond++;
		return;
	}
	e->count = 1;
	e->hash = h;
	e->order = (uint32_t)s->n;
	s->text += n;
	s->entry[s->n++] = e;
	s->bucket[b] = (uint16_t)s->n;
}

/* -- Advice -- */

/* OBJECT as a pattern that names it: glob characters are escaped, what a command line cannot hold becomes ?. Returns
 * false for what is no path, or not text. */
static bool to_pattern(char *out, const char *object, size_t len)
{
	if (len == 0 || object[0] != '/')
		return false;
	for (size_t i = 0; i < len;) {
		size_t n = text_plain(object + i, len - i);

		if (n == 0 && ((unsigned char)object[i] >= 0x80 || object[i] == 0))
			return false;
		if (n == 0) {
			*out++ = '?';
			i++;
			continue;
		}
		if (n == 1 && strchr("*?[]\\", object[i]))
			*out++ = '\\';
		memcpy(out, object + i, n);
		out += n;
		i += n;
	}
	*out = 0;
	return true;
}

/* Is there OBJECT outside? */
static bool outside(const char *object, size_t len, struct stat *ret_st)
{
	char path[RECORD_OBJECT_MAX + 1];

	memcpy(path, object, len);
	path[len] = 0;
	return fstatat(AT_FDCWD, path, ret_st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0;
}

/* A file that does not exist cannot be put into the guest's view: its directory is what can be made writable, unless that is
 * one at the top of the tree. Returns false where neither is to be advised. */
static bool existing(char *pattern, const char *object, size_t len)
{
	char path[RECORD_OBJECT_MAX + 1];
	struct stat st;

	if (outside(object, len, &st))
		return true;
	memcpy(path, object, len);
	path[len] = 0;
	char *slash = strrchr(path, '/'), *cut = strrchr(pattern, '/');

	*slash = 0;
	if (!strchr(path + (*path == '/'), '/') || fstatat(AT_FDCWD, path, &st, AT_NO_AUTOMOUNT) < 0 || !S_ISDIR(st.st_mode))
		return false;
	*cut = 0;
	return true;
}

/* Adds a compiled rule to a builder. Where it is a path, its characters are themselves: escaped again. */
static bool add_again(struct policy_builder *b, const struct rule *r)
{
	size_t len = strlen(r->pattern);

	if (r->literal_len != len)
		return policy_builder_add(b, r->kind, r->pattern, r->origin) == 0;
	AUTO_FREE char *escaped = malloc(2 * len + 1);
	char *o = escaped;

	if (!escaped)
		return false;
	for (const char *s = r->pattern; *s; s++) {
		if (strchr("*?[]\\", *s))
			*o++ = '\\';
		*o++ = *s;
	}
	*o = 0;
	return policy_builder_add(b, r->kind, escaped, r->origin) == 0;
}

/* Does the floor make the place of this object for the run? Then the host's file is there only where a rule names it. */
static bool is_private(const struct policy *p, const char *object, size_t len)
{
	char path[RECORD_OBJECT_MAX + 1];

	memcpy(path, object, len);
	path[len] = 0;
	return policy_is_private(p, path);
}

/* Is a directory renamed? It carries what lies below it along. */
static bool moves_directory(const struct entry *e)
{
	struct stat st;

	if (e->nr != NR_renameat2)
		return false;
	return (outside(e->object, e->object_len, &st) && S_ISDIR(st.st_mode)) ||
	       (e->object2_len && outside(e->object + e->object_len, e->object2_len, &st) && S_ISDIR(st.st_mode));
}

/* Does P allow what E was refused? Where the old name already was the reason, the new one is not known: any beside it will do. */
static bool allowed(const struct policy *p, const struct entry *e)
{
	const char *second = e->object + e->object_len;

	if (moves_directory(e)) {
		char beside[RECORD_OBJECT_MAX + 2];

		memcpy(beside, e->object, e->object_len);
		beside[e->object_len] = '~';
		return policy_path_rename(p, e->object, e->object_len, e->object2_len ? second : beside,
					  e->object2_len ? e->object2_len : e->object_len + 1,
					  true).kind == VERDICT_ALLOW;
	}
	return policy_path(p, e->op, e->object, e->object_len).kind == VERDICT_ALLOW &&
	       (!e->object2_len || policy_path(p, e->op, second, e->object2_len).kind == VERDICT_ALLOW);
}

/* Would the policy with these rules allow what E was refused? KINDS holds up to two kinds of rules. */
static bool would_work(const struct policy *p, const struct entry *e, const char *const patterns[2],
		       const enum rule_kind kinds[2])
{
	struct policy_builder *b = NULL;
	struct policy *wider = NULL;
	bool ok = policy_builder_new(&b) == 0;

	for (size_t i = 0; ok && i < policy_rule_count(p); i++) {
		ok = add_again(b, policy_rule(p, i));
	}
	for (int k = 0; ok && k < 2 && kinds[k] != RULE_NONE; k++) {
		for (int i = 0; ok && i < 2 && patterns[i]; i++)
			ok = policy_builder_add(b, kinds[k], patterns[i], "advice") == 0;
	}
	/* Nothing that is written executes, whatever names it: so it was when the run began. */
	ok = ok && policy_builder_written(b, policy_written(p)) == 0;
	ok = ok && policy_compile(b, &wider) == 0;
	ok = ok && allowed(wider, e);
	if (wider)
		policy_free(wider);
	if (b)
		policy_builder_free(b);
	return ok;
}

static const char *option_of(enum rule_kind k, enum rule_kind refused_by)
{
	switch (k) {
	case RULE_READ:
		return "--read";
	case RULE_WRITE:
		return "--write";
	case RULE_EXEC:
		return "--exec";
	case RULE_EXCEPT:
		return refused_by == RULE_HIDE ? "--unhide" : "--unprotect";
	case RULE_NONE:
	case RULE_EXEC_DENY:
	case RULE_HIDE:
	case RULE_PROTECT:
	case RULE_KEYS:
	case RULE_KIND_COUNT:
	default:
		return "?";
	}
}

struct advice {
	const char *remark; /* said instead of options; NULL: none */
	enum rule_kind kinds[2];
	char pattern[2][2 * RECORD_OBJECT_MAX + 1]; /* each character may be escaped */
	const char *patterns[2];
};

/*
 * The destination in E as a rule: allocated, or NULL where it is no text. Where a name is allowed and the address it leads to is not, the
 * second object is that address, and the first one's end the port.
 */
static char *net_rule_of(const struct entry *e)
{
	char *rule = NULL;
	const char *port = memrchr(e->object, ':', e->object_len), *address = e->object + e->object_len;

	if (memchr(e->object, '\0', e->object_len + e->object2_len))
		return NULL;
	if (!e->object2_len)
		return strdup(e->object);
	if (!port)
		return NULL;
	return asprintf(&rule, strchr(address, ':') ? "[%s]%.*s" : "%s%.*s", address, (int)(address - port), port) < 0 ? NULL : rule;
}

/* Is the destination in E one that a rule can name, as it is written? */
static bool net_option(const struct entry *e)
{
	struct net_text text = {.origin = "advice"};
	struct net_policy *p = NULL;
	struct net_fault fault;

	AUTO_FREE char *rule = net_rule_of(e);

	text.text = rule;
	if (!rule || net_policy_compile(&text, 1, &p, &fault) < 0)
		return false;
	net_policy_free(p);
	return true;
}

/* What to say where no rule about paths decides. */
static const char *remark_for(const struct entry *e)
{
	const struct sys_row *row = e->nr >= 0 ? table_row(e->nr) : NULL;

	if (e->internal)
		return "a failure of gabion's own";
	if (e->op == OP_CONNECT && e->object_len && e->object[0] == '/')
		return network_unix_danger(e->object);
	if (e->op == OP_CONNECT && !net_option(e))
		return "no option allows it";
	if (!row || e->op != OP_NONE)
		return NULL;
	const char *hint = hint_namespaces(e->nr, e->comm);

	return hint ? hint : "no option allows it";
}

/* Can what KIND names be put into the guest's view? For writing, PATTERN may become the directory's, but nothing is lifted from a
 * whole directory (the home) for one file in it. */
static bool can_be_shown(const struct policy *p, enum rule_kind kind, bool lifts, char *pattern, const char *object, size_t len)
{
	struct stat st;

	if (kind == RULE_WRITE)
		return lifts ? outside(object, len, &st) : existing(pattern, object, len);
	return kind == RULE_EXCEPT || !is_private(p, object, len) || outside(object, len, &st);
}

static const char *make_it_first(enum rule_kind k)
{
	return k == RULE_WRITE ? "make it outside first, then --write it" :
	       k == RULE_EXEC  ? "make it outside first, then --exec it" :
				 "make it outside first, then --read it";
}

static void advise(const struct policy *p, const struct entry *e, struct advice *ret_a)
{
	enum rule_kind allow = e->op == OP_WRITE ? RULE_WRITE : e->op == OP_EXEC ? RULE_EXEC : RULE_READ;
	enum rule_kind tries[][2] = { { RULE_EXCEPT, RULE_NONE }, { RULE_EXCEPT, allow }, { allow, RULE_NONE } };
	size_t from = e->kind == RULE_HIDE || e->kind == RULE_PROTECT || e->kind == RULE_KEYS ? 0 : 2, to = from == 0 ? 2 : 3;

	*ret_a = (struct advice){ .remark = remark_for(e) };
	if (ret_a->remark || !p || (e->op != OP_READ && e->op != OP_WRITE && e->op != OP_EXEC && e->op != OP_STAT))
		return;
	const char *objects[2] = { e->object, e->object + e->object_len };
	const size_t lens[2] = { e->object_len, e->object2_len };

	for (int i = 0; i < 2 && lens[i]; i++) {
		if (!to_pattern(ret_a->pattern[i], objects[i], lens[i]))
			return;
		ret_a->patterns[i] = ret_a->pattern[i];
	}
	/* Without what hides it there is nothing yet, or still a whole home around it that the floor holds back: it has to be
	 * shown, which may be enough. */
	if (e->kind == RULE_HIDE &&
	    (is_private(p, objects[0], lens[0]) || strcmp(e->origin, RULES_HOME_ORIGIN) == 0))
		tries[0][0] = allow;
	for (size_t k = from; k < to; k++) {
		if (!would_work(p, e, ret_a->patterns, tries[k]))
			continue;
		enum rule_kind shown = tries[k][1] != RULE_NONE ? tries[k][1] : tries[k][0];
		bool there = true;

		for (int i = 0; i < 2 && lens[i]; i++)
			there = there && can_be_shown(p, shown, tries[k][0] == RULE_EXCEPT, ret_a->pattern[i], objects[i], lens[i]);
		/* Asked again: a directory's rule may be a weaker one than the file's own. */
		if (there && would_work(p, e, ret_a->patterns, tries[k]))
			memcpy(ret_a->kinds, tries[k], sizeof(ret_a->kinds));
		else
			ret_a->remark = make_it_first(shown);
		return;
	}
	if (e->op == OP_EXEC && policy_written(p) == WRITTEN_DENY &&
	    policy_path(p, OP_WRITE, e->object, e->object_len).kind == VERDICT_ALLOW)
		ret_a->remark = "nothing that can be written executes here: a policy with exec: {written: mounts} lets the workspace's";
	if (e->op == OP_WRITE && (e->kind == RULE_PROTECT || e->kind == RULE_KEYS))
		ret_a->remark = "no single option: names in it are protected";
}

/* -- Printing -- */

static bool is_name_server(const struct entry *e)
{
	static const char *const ends[] = {":53", ":53/udp"};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		size_t n = strlen(ends[i]);

		if (e->object_len > n && e->object[0] != '/' && memcmp(e->object + e->object_len - n, ends[i], n) == 0)
			return true;
	}
	return false;
}

static void print_advice(FILE *out, const struct entry *e, const struct advice *a, bool markdown)
{
	bool first = true;

	if (a->remark) {
		fputs(a->remark, out);
		return;
	}
	/* A rule for a name server would let every question out. */
	if (e->op == OP_CONNECT && is_name_server(e)) {
		fputs("--net HOST, the name that was asked for", out);
		return;
	}
	if (e->op == OP_CONNECT && e->object_len) {
		/* A rule's text, or an absolute path: characters of which some are a shell's. */
		fputs(markdown ? "<code>" : "", out);
		fputs(e->object[0] == '/' ? "--unix " : "--net ", out);
		AUTO_FREE char *rule = net_rule_of(e);
		const char *word = rule ? rule : "";

		if (markdown)
			text_markdown(out, word, strlen(word));
		else
			text_shell(out, word, strlen(word));
		fputs(markdown ? "</code>" : "", out);
		return;
	}
	if (a->kinds[0] == RULE_NONE) {
		fputs("-", out);
		return;
	}
	for (int k = 0; k < 2 && a->kinds[k] != RULE_NONE; k++) {
		for (int i = 0; i < 2 && a->patterns[i]; i++) {
			AUTO_FREE char *word = NULL;
			size_t size = 0;
			FILE *f;

			if (i == 1 && strcmp(a->patterns[0], a->patterns[1]) == 0)
				continue;
			f = open_memstream(&word, &size);
			if (!f)
				return;
			text_shell(f, a->patterns[i], strlen(a->patterns[i]));
			if (fclose(f) != 0)
				return;
			fprintf(out, "%s%s ", first ? markdown ? "<code>" : "" : " ", option_of(a->kinds[k], e->kind));
			if (markdown)
				text_markdown(out, word, size);
			else
				fwrite(word, 1, size, out);
			first = false;
		}
	}
	if (markdown)
		fputs("</code>", out);
}

static void print_text(FILE *out, const char *s, size_t n, bool markdown)
{
	if (markdown)
		text_markdown(out, s, n);
	else
		text_show(out, s, n);
}

static void print_what(FILE *out, const struct entry *e)
{
	const struct sys_row *row = e->nr >= 0 ? table_row(e->nr) : NULL;

	if (e->op != OP_NONE)
		fputs(verdict_op_name(e->op), out);
	else if (row && row->family != FAM_NONE && row->family != FAM_DENIED)
		fputs(table_family_name(row->family), out);
	else
		fputs("call", out);
}

static void print_object(FILE *out, const struct entry *e, bool markdown)
{
	const struct sys_row *row = e->nr >= 0 ? table_row(e->nr) : NULL;

	if (!e->object_len && row)
		fprintf(out, "%s()", row->name);
	else if (!e->object_len)
		fprintf(out, "syscall %d", e->nr);
	print_text(out, e->object, e->object_len, markdown);
	if (e->object2_len) {
		fputs(markdown ? " &rarr; " : " -> ", out);
		print_text(out, e->object + e->object_len, e->object2_len, markdown);
	}
}

static void print_rule(FILE *out, const struct entry *e, bool markdown)
{
	if (e->kind == RULE_NONE) {
		fputs(e->object_len && e->op != OP_NONE ? "no rule allows it" : "never permitted", out);
		return;
	}
	fprintf(out, "%s ", rule_kind_name(e->kind));
	print_text(out, e->pattern, strlen(e->pattern), markdown);
	fputs(", ", out);
	print_text(out, e->origin, strlen(e->origin), markdown);
}

static int by_count(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;

	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return x->order < y->order ? -1 : 1;
}

void summary_print(const struct summary *s, const struct policy *policy, FILE *out, bool markdown, const char *run_id)
{
	if (!s->total)
		return;
	AUTO_FREE struct entry **sorted = calloc(s->n + 1, sizeof(struct entry *));
	AUTO_FREE struct advice *a = calloc(1, sizeof(*a));
	size_t shown = s->n < SHOWN ? s->n : SHOWN;
	const char *calls = s->total == 1 ? "call" : "calls";

	if (!sorted || !a)
		return;
	memcpy(sorted, s->entry, s->n * sizeof(struct entry *));
	qsort(sorted, s->n, sizeof(struct entry *), by_count);
	if (markdown)
		fprintf(out, "### gabion refused %llu %s\n\n| times | what | object | rule | to allow it |\n|--:|---|---|---|---|\n",
			(unsigned long long)s->total, calls);
	else
		fprintf(out, "gabion: %llu %s refused:\n", (unsigned long long)s->total, calls);
	for (size_t i = 0; i < shown; i++) {
		const struct entry *e = sorted[i];

		advise(policy, e, a);
		fprintf(out, markdown ? "| %llu | " : "  %5llux  ", (unsigned long long)e->count);
		print_what(out, e);
		fputs(markdown ? " | <code>" : " ", out);
		print_object(out, e, markdown);
		fputs(markdown ? "</code> | " : "  (", out);
		print_rule(out, e, markdown);
		fputs(markdown ? " | " : ")", out);
		if (markdown) {
			print_advice(out, e, a, true);
			fputs(" |", out);
		} else if (a->remark || a->kinds[0] != RULE_NONE || (e->op == OP_CONNECT && e->object_len)) {
			fputs("  to allow: ", out);
			print_advice(out, e, a, false);
		}
		fputc('\n', out);
	}
	if (markdown)
		fputc('\n', out);
	if (s->n > shown)
		fprintf(out, "%sand %zu more%s\n", markdown ? "" : "  ", s->n - shown, s->beyond ? ", and those not kept apart" : "");
	else if (s->beyond)
		fprintf(out, "%sand %llu not kept apart\n", markdown ? "" : "  ", (unsigned long long)s->beyond);
	if (run_id)
		fprintf(out, markdown ? "\nEach of them: <code>gabion log %s</code>\n" : "  each of them: gabion log %s\n", run_id);
}
