/*
 * What the policy says of one operation on one object. One walk over the path's components collects the rules
 * that match it, the strongest of each kind; the operation then picks from those. No I/O, no allocation, no
 * state.
 *
 * Except rules lift what was added before them. Which one applies is known only after the walk, so where one
 * matched together with a restriction, the path is walked once more with the restrictions before it left out.
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "policy/compiled.h"

/* A rule that matched, and how specific it is. */
struct hit {
	int32_t rule; /* id, or RULE_UNSET */
	uint32_t weight;
};

#define HIT_NULL ((struct hit){.rule = RULE_UNSET})

struct walk {
	int32_t since;	   /* restrictions with an id up to this one are lifted */
	int32_t except;	   /* the last except rule that matches */
	struct hit allow;  /* read or write rule that decides */
	bool allow_writes; /* it is a write rule */
	struct hit write;  /* longest write rule */
	struct hit exec, exec_deny;
	struct hit hide, protect;
	struct hit hide_deep, protect_deep;
	struct hit keys, keys_deep;
	uint32_t node; /* of the path itself, NODE_UNSET where no rule spells it out */
	bool bad;      /* not a canonical path */
};

static void take(struct hit *h, int32_t rule, uint32_t weight)
{
	if (h->rule == RULE_UNSET || weight > h->weight || (weight == h->weight && rule > h->rule))
		*h = (struct hit){.rule = rule, .weight = weight};
}

static void match(struct walk *w, enum slot slot, int32_t rule, uint32_t weight)
{
	switch (slot) {
	case SLOT_READ:
	case SLOT_WRITE:
		take(&w->allow, rule, weight);
		if (w->allow.rule == rule)
			w->allow_writes = slot == SLOT_WRITE;
		if (slot == SLOT_WRITE)
			take(&w->write, rule, weight);
		break;
	case SLOT_EXEC:
		take(&w->exec, rule, weight);
		break;
	case SLOT_EXEC_DENY:
		take(&w->exec_deny, rule, weight);
		break;
	case SLOT_HIDE:
		if (rule > w->since)
			take(&w->hide, rule, weight);
		break;
	case SLOT_PROTECT:
		if (rule > w->since)
			take(&w->protect, rule, weight);
		break;
	case SLOT_HIDE_DEEP:
		if (rule > w->since)
			take(&w->hide_deep, rule, weight);
		break;
	case SLOT_PROTECT_DEEP:
		if (rule > w->since)
			take(&w->protect_deep, rule, weight);
		break;
	case SLOT_KEYS:
		if (rule > w->since)
			take(&w->keys, rule, weight);
		break;
	case SLOT_KEYS_DEEP:
		if (rule > w->since)
			take(&w->keys_deep, rule, weight);
		break;
	case SLOT_EXCEPT:
		if (rule > w->except)
			w->except = rule;
		break;
	case SLOT_COUNT:
		break;
	}
}

static enum slot slot_of(const struct rule *r)
{
	switch (r->kind) {
	case RULE_READ:
		return SLOT_READ;
	case RULE_WRITE:
		return SLOT_WRITE;
	case RULE_EXEC:
		return SLOT_EXEC;
	case RULE_EXEC_DENY:
		/* Arguments are judged apart: exec_args.c. */
		return r->args == NULL ? SLOT_EXEC_DENY : SLOT_COUNT;
	case RULE_HIDE:
		return r->floating ? SLOT_HIDE_DEEP : SLOT_HIDE;
	case RULE_PROTECT:
		return r->floating ? SLOT_PROTECT_DEEP : SLOT_PROTECT;
	case RULE_KEYS:
		return r->floating ? SLOT_KEYS_DEEP : SLOT_KEYS;
	case RULE_EXCEPT:
		return SLOT_EXCEPT;
	case RULE_NONE:
	case RULE_KIND_COUNT:
		break;
	}
	return SLOT_COUNT;
}

/* LAST: it is the path's own node. A keys rule is about a file, which has nothing below it. */
static void match_node(const struct policy *p, struct walk *w, uint32_t node, uint32_t weight, bool last)
{
	const struct node *n = &p->nodes[node];

	if (!(n->flags & NODE_RULES))
		return;
	for (int i = 0; i < SLOT_COUNT; i++)
		if (n->slot[i] != RULE_UNSET && (last || (i != SLOT_KEYS && i != SLOT_KEYS_DEEP)))
			match(w, (enum slot)i, n->slot[i], weight);
}

static void match_glob(const struct policy *p, struct walk *w, const struct glob_rule *g, const char *path,
		       size_t len)
{
	bool below;

	if (!(glob_states(g, path, len, &below) & (1ULL << g->n)))
		return;
	if (p->rules[g->rule].kind != RULE_KEYS ||
	    glob_run_exact(g->tok, g->n, path + g->dir_len + 1, len - g->dir_len - 1))
		match(w, slot_of(&p->rules[g->rule]), (int32_t)g->rule, g->weight);
}

/* Glob rules that hold the component of this hash; a path may hold it twice, which changes nothing. */
static void match_key(const struct policy *p, struct walk *w, uint64_t hash, const char *path, size_t len)
{
	if (!(p->key_bits[(hash % KEY_BITS) / 64] & (1ULL << (hash % 64))))
		return;
	for (uint64_t i = hash & p->key_mask; p->keys[i].count; i = (i + 1) & p->key_mask) {
		if (p->keys[i].hash != hash)
			continue;
		for (uint32_t k = 0; k < p->keys[i].count; k++)
			match_glob(p, w, &p->globs[p->keyed[p->keys[i].first + k]], path, len);
		return;
	}
}

static bool dots(const char *s, size_t len)
{
	return len == 0 || (s[0] == '.' && (len == 1 || (len == 2 && s[1] == '.')));
}

static void walk_once(const struct policy *p, const char *path, size_t len, int32_t since, struct walk *w)
{
	uint32_t at = 0;
	size_t pos = 1;

	*w = (struct walk){.since = since,
			   .except = RULE_UNSET,
			   .allow = HIT_NULL,
			   .write = HIT_NULL,
			   .exec = HIT_NULL,
			   .exec_deny = HIT_NULL,
			   .hide = HIT_NULL,
			   .protect = HIT_NULL,
			   .hide_deep = HIT_NULL,
			   .protect_deep = HIT_NULL,
			   .keys = HIT_NULL,
			   .keys_deep = HIT_NULL};
	if (len == 0 || path[0] != '/') {
		w->bad = true;
		return;
	}
	match_node(p, w, 0, 1, len == 1);
	while (pos < len) {
		size_t clen;
		uint64_t h = glob_hash(path + pos, len - pos, &clen);

		if (dots(path + pos, clen) || pos + clen + 1 == len) {
			w->bad = true;
			return;
		}
		match_key(p, w, h, path, len);
		if (at != NODE_UNSET) {
			at = node_below(p, at, h, path + pos, clen);
			if (at != NODE_UNSET)
				match_node(p, w, at, (uint32_t)(pos + clen), pos + clen == len);
		}
		pos += clen + 1;
	}
	for (size_t i = 0; i < p->unkeyed_count; i++)
		match_glob(p, w, &p->globs[p->unkeyed[i]], path, len);
	w->node = at;
}

static void walk_path(const struct policy *p, const char *path, size_t len, struct walk *w)
{
	walk_once(p, path, len, RULE_UNSET, w);
	if (w->except != RULE_UNSET && (w->hide.rule != RULE_UNSET || w->hide_deep.rule != RULE_UNSET ||
					w->protect.rule != RULE_UNSET || w->protect_deep.rule != RULE_UNSET ||
					w->keys.rule != RULE_UNSET || w->keys_deep.rule != RULE_UNSET))
		walk_once(p, path, len, w->except, w);
}

static struct verdict deny(const struct policy *p, int err, int32_t rule)
{
	return (struct verdict){
		.kind = VERDICT_DENY, .err = err, .rule = rule == RULE_UNSET ? NULL : &p->rules[rule]};
}

static struct verdict allow(const struct policy *p, int32_t rule)
{
	return (struct verdict){.kind = VERDICT_ALLOW, .rule = rule == RULE_UNSET ? NULL : &p->rules[rule]};
}

/* The restriction that counts: a floating one, else one no less specific than the rule that allows. */
static int32_t counts(const struct walk *w, const struct hit *deep, const struct hit *plain)
{
	if (deep->rule != RULE_UNSET)
		return deep->rule;
	if (plain->rule != RULE_UNSET && (w->allow.rule == RULE_UNSET || plain->weight >= w->allow.weight))
		return plain->rule;
	return RULE_UNSET;
}

/*
 * Whether something below PATH may be allowed, so that one must be able to walk through it. HIDE is the rule
 * that hides PATH, or RULE_UNSET: only what is more specific than that can be allowed below (a path below it
 * is).
 */
static bool leads_on(const struct policy *p, const struct walk *w, int32_t hide, const char *path, size_t len)
{
	uint32_t least = hide == RULE_UNSET ? 0 : p->weight[hide] + 1;

	if (w->hide_deep.rule != RULE_UNSET)
		return false;
	if (w->node != NODE_UNSET && (p->nodes[w->node].flags & NODE_ALLOW_BELOW))
		return true;
	for (size_t i = 0; i < p->glob_count; i++) {
		const struct glob_rule *g = &p->globs[i];
		enum rule_kind k = p->rules[g->rule].kind;
		bool below;

		if ((k == RULE_READ || k == RULE_WRITE) && g->weight >= least &&
		    glob_states(g, path, len, &below))
			return true;
	}
	return false;
}

static struct verdict judge_write(const struct policy *p, const struct walk *w)
{
	int32_t protect = counts(w, &w->protect_deep, &w->protect);

	if (protect != RULE_UNSET)
		return deny(p, EACCES, protect);
	if (w->allow.rule == RULE_UNSET)
		return deny(p, EACCES, RULE_UNSET);
	if (w->allow_writes) {
		int32_t keys = counts(w, &w->keys_deep, &w->keys);

		return keys == RULE_UNSET ? allow(p, w->allow.rule) : deny(p, EACCES, keys);
	}
	/* A read rule only decided where it took something away from a write rule. */
	return deny(p, p->write_errno, w->write.rule == RULE_UNSET ? RULE_UNSET : w->allow.rule);
}

static struct verdict judge_exec(const struct policy *p, const struct walk *w)
{
	if (w->exec_deny.rule != RULE_UNSET)
		return deny(p, EACCES, w->exec_deny.rule);
	if (w->exec.rule == RULE_UNSET)
		return deny(p, EACCES, RULE_UNSET);
	if (w->write.rule != RULE_UNSET && w->write.weight > w->exec.weight)
		return deny(p, EACCES, w->write.rule);
	return allow(p, w->exec.rule);
}

struct verdict policy_path(const struct policy *p, enum op op, const char *path, size_t len)
{
	struct walk w;
	struct verdict v;
	int32_t hide;

	walk_path(p, path, len, &w);
	if (w.bad)
		return VERDICT_NULL;
	hide = counts(&w, &w.hide_deep, &w.hide);
	if (hide != RULE_UNSET) {
		if (!leads_on(p, &w, hide, path, len))
			return deny(p, ENOENT, hide);
		/* It is on the way to something allowed: that it exists is no secret. */
		return op == OP_STAT ? allow(p, RULE_UNSET) : deny(p, EACCES, hide);
	}
	switch (op) {
	case OP_READ:
		return w.allow.rule != RULE_UNSET ? allow(p, w.allow.rule) : deny(p, EACCES, RULE_UNSET);
	case OP_STAT:
		if (w.allow.rule != RULE_UNSET)
			return allow(p, w.allow.rule);
		return leads_on(p, &w, RULE_UNSET, path, len) ? allow(p, RULE_UNSET)
							      : deny(p, EACCES, RULE_UNSET);
	case OP_WRITE:
		return judge_write(p, &w);
	case OP_EXEC:
		return judge_exec(p, &w);
	case OP_CONNECT:
		v = judge_write(p, &w);
		if (v.kind == VERDICT_DENY)
			v.err = EACCES;
		return v;
	case OP_NONE:
	case OP_COUNT:
		break;
	}
	return VERDICT_NULL;
}

/* Rules that know what they speak of by where it is: carried elsewhere, it would be free. */
static bool holds_by_name(const struct policy *p, uint32_t rule)
{
	switch (p->rules[rule].kind) {
	case RULE_HIDE:
	case RULE_PROTECT:
	case RULE_KEYS:
		return !p->lifted[rule];
	case RULE_READ:
		return true;
	case RULE_NONE:
	case RULE_EXCEPT:
	case RULE_WRITE:
	case RULE_EXEC:
	case RULE_EXEC_DENY:
	case RULE_KIND_COUNT:
		break;
	}
	return false;
}

/* The literal rule that pins NODE's path, for the record. */
static int32_t pinning_rule(const struct policy *p, const char *path, size_t len)
{
	for (size_t i = 0; i < p->n; i++)
		if (holds_by_name(p, (uint32_t)i) && strncmp(p->rules[i].pattern, path, len) == 0 &&
		    p->rules[i].pattern[len] == '/')
			return (int32_t)i;
	return RULE_UNSET;
}

struct verdict policy_path_move(const struct policy *p, const char *path, size_t len, bool is_dir)
{
	struct verdict v = policy_path(p, OP_WRITE, path, len);
	struct walk w;

	if (v.kind != VERDICT_ALLOW || !is_dir)
		return v;
	walk_path(p, path, len, &w);
	if (w.node != NODE_UNSET && (p->nodes[w.node].flags & NODE_PINNED))
		return deny(p, EACCES, pinning_rule(p, path, len));
	for (size_t i = 0; i < p->glob_count; i++) {
		const struct glob_rule *g = &p->globs[i];
		uint64_t states, at_large = 0;
		bool below;

		if (!holds_by_name(p, g->rule))
			continue;
		states = glob_states(g, path, len, &below);
		/* With ** in front the rule finds its object anew wherever below the anchor the directory
		 * lands; any other state says that part of the pattern is already behind. */
		if (g->tok[0].kind == GLOB_DEEP)
			at_large = 3;
		if (states & ~at_large & ~(1ULL << g->n))
			return deny(p, EACCES, (int32_t)g->rule);
	}
	return v;
}

/* Whether the directory that holds PATH has, for all restrictions there are, the same to say of PATH and of its neighbour TEXT. */
static bool means_the_same(const struct policy *p, const char *path, size_t len, const char *text)
{
	char other[PATH_MAX];
	size_t dir = len, n = strlen(text);
	struct walk a, b;

	while (dir > 0 && path[dir - 1] != '/')
		dir--;
	if (dots(text, n) || memchr(text, '/', n) != NULL || dir + n >= sizeof(other))
		return false;
	memcpy(other, path, dir);
	memcpy(other + dir, text, n + 1);
	walk_once(p, path, len, RULE_UNSET, &a);
	walk_once(p, other, dir + n, RULE_UNSET, &b);
	if (a.bad || b.bad || a.node != NODE_UNSET || b.node != NODE_UNSET || a.except != b.except)
		return false;
	for (size_t i = 0; i < p->glob_count; i++) {
		const struct glob_rule *g = &p->globs[i];
		bool below;

		if (glob_states(g, path, len, &below) != glob_states(g, other, dir + n, &below))
			return false;
	}
	return true;
}

struct verdict policy_path_link(const struct policy *p, const char *path, size_t len, const char *text)
{
	struct verdict v = policy_path(p, OP_WRITE, path, len);

	if (v.kind != VERDICT_ALLOW || means_the_same(p, path, len, text))
		return v;
	return policy_path_move(p, path, len, true);
}

/* Whether an except rule lifts floating restrictions from one of the two paths only; the first such one. */
static int32_t lifted_from_one(const struct policy *p, const char *from, size_t from_len, const char *to,
			       size_t to_len)
{
	struct walk a, b;
	int32_t low, high;

	walk_once(p, from, from_len, RULE_UNSET, &a);
	walk_once(p, to, to_len, RULE_UNSET, &b);
	low = a.except < b.except ? a.except : b.except;
	high = a.except < b.except ? b.except : a.except;
	for (size_t i = 0; i < p->glob_count; i++) {
		const struct glob_rule *g = &p->globs[i];

		if ((int32_t)g->rule > low && (int32_t)g->rule < high && holds_by_name(p, g->rule))
			return (int32_t)g->rule;
	}
	return RULE_UNSET;
}

struct verdict policy_path_rename(const struct policy *p, const char *from, size_t from_len, const char *to,
				  size_t to_len, bool is_dir)
{
	struct verdict v = policy_path_move(p, from, from_len, is_dir);
	int32_t lifted;

	if (v.kind != VERDICT_ALLOW)
		return v;
	v = policy_path_move(p, to, to_len, is_dir);
	if (v.kind != VERDICT_ALLOW || !is_dir)
		return v;
	for (size_t i = 0; i < p->glob_count; i++) {
		const struct glob_rule *g = &p->globs[i];
		bool from_below, to_below;

		if (!holds_by_name(p, g->rule) || g->tok[0].kind != GLOB_DEEP)
			continue;
		(void)glob_states(g, from, from_len, &from_below);
		(void)glob_states(g, to, to_len, &to_below);
		if (from_below != to_below)
			return deny(p, EACCES, (int32_t)g->rule);
	}
	/* What was made where nothing is protected would arrive whole where it is. mv(1) then copies. */
	lifted = lifted_from_one(p, from, from_len, to, to_len);
	return lifted == RULE_UNSET ? v : deny(p, EXDEV, lifted);
}
