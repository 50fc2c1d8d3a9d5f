/*
 * From the rule list to the immutable policy: see compiled.h for what it looks like. Everything is sized
 * first or grown here, so that asking the result allocates nothing.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "policy/compiled.h"
#include "policy/rules.h"
#include "util/err.h"

/* What only exists while a policy is made. */
struct making {
	struct policy *p;
	size_t node_room;
	size_t names_len, names_room;
	size_t token_count, token_text_len;
	uint32_t *excepts; /* ids of except rules */
	size_t except_count;
};

static int grow(void **array, size_t *room, size_t want, size_t size)
{
	size_t next = *room ? *room : 64;
	void *v;

	if (want <= *room)
		return 0;
	while (next < want)
		next *= 2;
	v = reallocarray(*array, next, size);
	if (!v)
		return -ENOMEM;
	*array = v;
	*room = next;
	return 0;
}

static void edge_put(struct policy *p, uint32_t node, uint64_t h)
{
	uint64_t i = h & p->edge_mask;

	while (p->edges[i].node != NODE_UNSET)
		i = (i + 1) & p->edge_mask;
	p->edges[i] = (struct edge){.tag = (uint32_t)(h >> 32), .node = node};
}

/* Doubles the edge table when half of it is used. */
static int edges_grow(struct policy *p)
{
	uint64_t size = p->edges ? 2 * (p->edge_mask + 1) : 64;
	struct edge *edges;

	if (p->edges && 2 * p->node_count <= p->edge_mask)
		return 0;
	edges = malloc(size * sizeof(*edges));
	if (!edges)
		return -ENOMEM;
	memset(edges, 0xff, size * sizeof(*edges));
	free(p->edges);
	p->edges = edges;
	p->edge_mask = size - 1;
	for (uint32_t i = 1; i < p->node_count; i++) {
		size_t len;
		uint64_t h = glob_hash(p->names + p->nodes[i].text, p->nodes[i].len, &len);

		edge_put(p, i, edge_hash(p->nodes[i].parent, h));
	}
	return 0;
}

static int node_new(struct making *m, uint32_t parent, const char *s, size_t len, uint32_t *ret_node)
{
	struct policy *p = m->p;
	struct node *n;
	int r = grow((void **)&p->nodes, &m->node_room, p->node_count + 1, sizeof(*p->nodes));

	if (r == 0)
		r = grow((void **)&p->names, &m->names_room, m->names_len + len + 1, 1);
	if (r < 0)
		return r;
	memcpy(p->names + m->names_len, s, len);
	n = &p->nodes[p->node_count];
	*n = (struct node){.parent = parent, .text = (uint32_t)m->names_len, .len = (uint16_t)len};
	for (int i = 0; i < SLOT_COUNT; i++)
		n->slot[i] = RULE_UNSET;
	m->names_len += len;
	*ret_node = (uint32_t)p->node_count++;
	return 0;
}

/* The node of the literal path S[0..LEN), made where missing. */
static int node_of(struct making *m, const char *s, size_t len, uint32_t *ret_node)
{
	struct policy *p = m->p;
	uint32_t at = 0;
	size_t pos = 1;

	while (pos < len) {
		size_t clen;
		uint64_t h = glob_hash(s + pos, len - pos, &clen);
		uint32_t next = node_below(p, at, h, s + pos, clen);

		if (next == NODE_UNSET) {
			int r = edges_grow(p);

			if (r == 0)
				r = node_new(m, at, s + pos, clen, &next);
			if (r < 0)
				return r;
			edge_put(p, next, edge_hash(at, h));
		}
		at = next;
		pos += clen + 1;
	}
	*ret_node = at;
	return 0;
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

/* The tokens of a pattern from its first component with globs on. */
static int glob_make(struct making *m, size_t id, struct glob_rule *ret_g)
{
	struct policy *p = m->p;
	const char *s = p->rules[id].pattern;
	size_t len = strlen(s), pos = 1;
	char dir[PATH_MAX];
	size_t dir_len = 0;
	struct glob_rule g = {.rule = (uint32_t)id, .weight = p->weight[id]};
	int r;

	/* The anchor: literal components, without their backslashes. */
	while (pos < len) {
		size_t n = strcspn(s + pos, "/");

		if (glob_component_kind(s + pos, n) != GLOB_LITERAL)
			break;
		dir[dir_len++] = '/';
		dir_len += glob_unquote(dir + dir_len, s + pos, n);
		pos += n + 1;
	}
	r = node_of(m, dir, dir_len, &g.anchor);
	if (r < 0)
		return r;
	g.dir = memcpy(p->token_text + m->token_text_len, dir, dir_len);
	g.dir_len = (uint32_t)dir_len;
	m->token_text_len += dir_len;
	g.tok = p->tokens + m->token_count;
	while (pos < len) {
		size_t n = strcspn(s + pos, "/");
		struct glob_token *t = &p->tokens[m->token_count++];
		char *text = p->token_text + m->token_text_len;

		t->kind = (enum glob_kind)glob_component_kind(s + pos, n);
		t->text = text;
		if (t->kind == GLOB_LITERAL) {
			t->len = (uint32_t)glob_unquote(text, s + pos, n);
		} else {
			memcpy(text, s + pos, n);
			t->len = (uint32_t)n;
		}
		m->token_text_len += n;
		g.n++;
		pos += n + 1;
	}
	*ret_g = g;
	return 0;
}

/* The hash of the last literal component of G; false where it has none. */
static bool key_of(const struct glob_rule *g, uint64_t *ret_hash)
{
	for (unsigned int i = g->n; i-- > 0;) {
		size_t len;

		if (g->tok[i].kind != GLOB_LITERAL)
			continue;
		*ret_hash = glob_hash(g->tok[i].text, g->tok[i].len, &len);
		return true;
	}
	return false;
}

struct pair {
	uint64_t hash;
	uint32_t glob;
};

static int pair_order(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->glob < y->glob ? -1 : x->glob > y->glob;
}

static void key_put(struct policy *p, uint64_t hash, uint32_t first, uint32_t count)
{
	uint64_t i = hash & p->key_mask;

	while (p->keys[i].count)
		i = (i + 1) & p->key_mask;
	p->keys[i] = (struct key){.hash = hash, .first = first, .count = count};
	p->key_bits[(hash % KEY_BITS) / 64] |= 1ULL << (hash % 64);
}

static int keys_make(struct policy *p)
{
	AUTO_FREE struct pair *pairs = calloc(p->glob_count + 1, sizeof(*pairs));
	uint64_t size = 16;
	size_t n = 0;

	while (size < 2 * p->glob_count + 2)
		size *= 2;
	p->keys = calloc(size, sizeof(*p->keys));
	p->keyed = calloc(p->glob_count + 1, sizeof(*p->keyed));
	p->unkeyed = calloc(p->glob_count + 1, sizeof(*p->unkeyed));
	if (!pairs || !p->keys || !p->keyed || !p->unkeyed)
		return -ENOMEM;
	p->key_mask = size - 1;
	for (uint32_t i = 0; i < p->glob_count; i++) {
		if (key_of(&p->globs[i], &pairs[n].hash))
			pairs[n++].glob = i;
		else
			p->unkeyed[p->unkeyed_count++] = i;
	}
	qsort(pairs, n, sizeof(*pairs), pair_order);
	for (size_t i = 0, start = 0; i < n; i++) {
		p->keyed[i] = pairs[i].glob;
		if (i + 1 == n || pairs[i + 1].hash != pairs[i].hash) {
			key_put(p, pairs[start].hash, (uint32_t)start, (uint32_t)(i + 1 - start));
			start = i + 1;
		}
	}
	return 0;
}

/* Whether a later except rule leaves nothing of restriction I: same pattern, or a path above all it can
 * match. */
static bool lifted_wholly(const struct making *m, size_t i)
{
	const struct policy *p = m->p;
	const struct rule *r = &p->rules[i];

	if (r->kind != RULE_HIDE && r->kind != RULE_PROTECT && r->kind != RULE_KEYS)
		return false;
	for (size_t x = 0; x < m->except_count; x++) {
		size_t k = m->excepts[x];
		const struct rule *e = &p->rules[k];

		if (k < i)
			continue;
		if (strcmp(e->pattern, r->pattern) == 0)
			return true;
		if (!p->literal[k])
			continue;
		/* A glob's literal components end at the slash before its first glob character. */
		if (path_covers(e->pattern, p->weight[k], r->pattern) &&
		    (p->literal[i] || p->weight[k] == 1 || p->weight[k] < r->literal_len))
			return true;
	}
	return false;
}

/* Restrictions pin what is above them: by its name they know what they protect. */
static bool pins(const struct policy *p, size_t i)
{
	switch (p->rules[i].kind) {
	case RULE_HIDE:
	case RULE_PROTECT:
	case RULE_KEYS:
		return !p->lifted[i];
	case RULE_READ: /* narrower than a write rule, it keeps from writing */
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

/* Tells the nodes at and above AT of rule I, whose literal components end there. */
static void mark(struct policy *p, uint32_t at, size_t i)
{
	enum rule_kind k = p->rules[i].kind;
	bool pin = pins(p, i), here = !p->literal[i];

	for (uint32_t n = at;; n = p->nodes[n].parent) {
		if ((k == RULE_READ || k == RULE_WRITE) && (n != at || here))
			p->nodes[n].flags |= NODE_ALLOW_BELOW;
		if (pin && (n != at || here))
			p->nodes[n].flags |= NODE_PINNED;
		if (n == 0)
			break;
	}
}

static int rules_copy(const struct policy_builder *b, struct policy *p)
{
	p->rules = calloc(b->n + 1, sizeof(*p->rules));
	p->weight = calloc(b->n + 1, sizeof(*p->weight));
	p->lifted = calloc(b->n + 1, sizeof(*p->lifted));
	p->literal = calloc(b->n + 1, sizeof(*p->literal));
	p->private = calloc(b->private_count + 1, sizeof(*p->private));
	if (!p->rules || !p->weight || !p->lifted || !p->literal || !p->private)
		return -ENOMEM;
	for (size_t i = 0; i < b->n; i++) {
		struct rule *r = &p->rules[i];

		*r = b->rules[i].rule;
		r->pattern = strdup(r->pattern);
		r->origin = strdup(r->origin);
		r->args = NULL;
		p->n++;
		if (!r->pattern || !r->origin)
			return -ENOMEM;
		if (b->rules[i].rule.args && rule_args_copy((const char *const *)b->rules[i].rule.args, &r->args) < 0)
			return -ENOMEM;
		p->weight[i] = b->rules[i].weight;
		p->literal[i] = b->rules[i].literal;
	}
	for (size_t i = 0; i < b->private_count; i++) {
		p->private[i] = strdup(b->private[i]);
		if (!p->private[i])
			return -ENOMEM;
	}
	return 0;
}

/* Room for all tokens and their text, so that pointers into it stay good. */
static int globs_room(struct policy *p)
{
	size_t globs = 0, tokens = 0, text = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (p->literal[i])
			continue;
		globs++;
		for (const char *s = p->rules[i].pattern; *s; s++, text++)
			tokens += *s == '/';
	}
	p->globs = calloc(globs + 1, sizeof(*p->globs));
	p->tokens = calloc(tokens + 1, sizeof(*p->tokens));
	p->token_text = calloc(text + 1, 1);
	return p->globs && p->tokens && p->token_text ? 0 : -ENOMEM;
}

static int fill(struct making *m)
{
	struct policy *p = m->p;
	uint32_t root;
	int r = edges_grow(p);

	if (r == 0)
		r = node_new(m, 0, "", 0, &root);
	if (r == 0)
		r = globs_room(p);
	m->excepts = calloc(p->n + 1, sizeof(*m->excepts));
	if (!m->excepts)
		return -ENOMEM;
	for (size_t i = 0; i < p->n; i++)
		if (p->rules[i].kind == RULE_EXCEPT)
			m->excepts[m->except_count++] = (uint32_t)i;
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		uint32_t at = 0;

		p->lifted[i] = lifted_wholly(m, i);
		if (p->literal[i]) {
			r = node_of(m, p->rules[i].pattern, p->weight[i], &at);
			if (r < 0)
				break;
			if (slot_of(&p->rules[i]) != SLOT_COUNT) {
				p->nodes[at].slot[slot_of(&p->rules[i])] = (int32_t)i;
				p->nodes[at].flags |= NODE_RULES;
			}
		} else {
			struct glob_rule *g = &p->globs[p->glob_count];

			r = glob_make(m, i, g);
			if (r < 0)
				break;
			p->glob_count++;
			at = g->anchor;
		}
		mark(p, at, i);
	}
	return r < 0 ? r : keys_make(p);
}

int policy_compile(const struct policy_builder *b, struct policy **ret_p)
{
	struct policy *p = calloc(1, sizeof(*p));
	struct making m = {.p = p};
	int r;

	if (!p)
		return -ENOMEM;
	p->write_errno = b->write_errno;
	p->written = b->written;
	r = rules_copy(b, p);
	if (r == 0)
		r = fill(&m);
	free(m.excepts);
	if (r < 0) {
		policy_free(p);
		return r;
	}
	*ret_p = p;
	return 0;
}

bool policy_is_private(const struct policy *p, const char *path)
{
	size_t private = 0, shown = 0;

	for (size_t i = 0; p->private[i]; i++) {
		size_t len = strlen(p->private[i]);

		if (len > private && path_covers(p->private[i], len, path))
			private = len;
	}
	/* A longer rule shows something of the host in there again: the workspace below /tmp. */
	for (size_t i = 0; i < p->n; i++) {
		const struct rule *r = &p->rules[i];

		if ((r->kind == RULE_READ || r->kind == RULE_WRITE) && r->literal_len > shown &&
		    path_covers(r->pattern, r->literal_len, path))
			shown = r->literal_len;
	}
	return private > 0 && private >= shown;
}

struct policy *policy_free(struct policy *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->n; i++) {
		rule_clear(&p->rules[i]);
	}
	for (size_t i = 0; p->private && p->private[i]; i++)
		free(p->private[i]);
	free(p->private);
	free(p->rules);
	free(p->weight);
	free(p->lifted);
	free(p->literal);
	free(p->nodes);
	free(p->names);
	free(p->edges);
	free(p->globs);
	free(p->tokens);
	free(p->token_text);
	free(p->keyed);
	free(p->unkeyed);
	free(p->keys);
	free(p);
	return NULL;
}

bool policy_has_floating(const struct policy *p, enum rule_kind kind)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->rules[i].kind == kind && p->rules[i].floating && !p->lifted[i])
			return true;
	return false;
}

size_t policy_rule_count(const struct policy *p)
{
	return p->n;
}

const struct rule *policy_rule(const struct policy *p, size_t i)
{
	return i < p->n ? &p->rules[i] : NULL;
}

enum written_mode policy_written(const struct policy *p)
{
	return p->written;
}
