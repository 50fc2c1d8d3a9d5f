/*
 * What a compiled policy looks like inside: shared by rules.c (makes it), verdict.c (walks it) and plan.c
 * (reads it).
 *
 * Rules without globs hang in a tree of path components. An edge is found by one probe of a hash table, keyed
 * by the parent and the component's hash, so a path of ten components costs ten probes however many rules
 * there are, and the walk ends at the first component no rule names. Rules with globs have an anchor (the
 * literal components in front) and tokens (the rest). Those that hold a literal component after the anchor
 * are tried only for paths that hold that component too (keys); the others are tried for every path.
 */
#ifndef GABION_POLICY_COMPILED_H
#define GABION_POLICY_COMPILED_H

#include <limits.h>
#include <stdint.h>

#include "policy.h"
#include "policy/glob.h"

/* What a node's rules are, one slot each; of several rules the last added. */
enum slot {
	SLOT_READ = 0,
	SLOT_WRITE,
	SLOT_EXEC,
	SLOT_EXEC_DENY,
	SLOT_HIDE,
	SLOT_PROTECT,
	SLOT_HIDE_DEEP, /* floating */
	SLOT_PROTECT_DEEP,
	SLOT_KEYS,
	SLOT_KEYS_DEEP,
	SLOT_EXCEPT,
	SLOT_COUNT
};

enum node_flag {
	NODE_ALLOW_BELOW = 1 << 0, /* something below it may be allowed: it can be walked through */
	NODE_PINNED = 1 << 1,	   /* a restriction strictly below it goes by its name: it cannot be moved */
	NODE_RULES = 1 << 2,	   /* a slot is used */
};

#define RULE_UNSET (-1)
#define NODE_UNSET UINT32_MAX

struct node {
	uint32_t parent;
	uint32_t text; /* offset of the component's name */
	uint16_t len;
	uint16_t flags;
	int32_t slot[SLOT_COUNT]; /* rule ids */
};

/* An edge of the tree: open addressing, empty where node is NODE_UNSET. */
struct edge {
	uint32_t tag; /* high half of the hash */
	uint32_t node;
};

struct glob_rule {
	uint32_t rule;
	uint32_t anchor; /* node */
	const char *dir; /* the anchor's path; "" for the root */
	uint32_t dir_len;
	uint32_t weight; /* bytes before the first glob character: how specific it is */
	const struct glob_token *tok;
	unsigned int n;
};

/* The chain of glob rules that hold a literal component. */
struct key {
	uint64_t hash;
	uint32_t first; /* into keyed */
	uint32_t count;
};

enum { KEY_BITS = 4096 };

struct policy {
	struct rule *rules;
	uint32_t *weight; /* of each rule: bytes of the path it spells out; of a literal one all of it */
	bool *lifted;	  /* of each rule: a later except rule covers all of it */
	bool *literal;	  /* of each rule: no globs left */
	size_t n;
	char **private; /* places private to the run, NULL-terminated */
	int write_errno;
	enum written_mode written;

	struct node *nodes;
	size_t node_count;
	char *names;
	struct edge *edges;
	uint64_t edge_mask;

	struct glob_rule *globs;
	size_t glob_count;
	struct glob_token *tokens;
	char *token_text;
	uint32_t *keyed;   /* glob indexes, grouped by key */
	uint32_t *unkeyed; /* glob indexes without a literal component */
	size_t unkeyed_count;
	struct key *keys;
	uint64_t key_mask;
	uint64_t key_bits[KEY_BITS / 64]; /* which component hashes may be keys */
};

/* Whether the path A[0..LEN) is S or above it. */
static inline bool path_covers(const char *a, size_t len, const char *s)
{
	return len == 1 || (strncmp(a, s, len) == 0 && (s[len] == '\0' || s[len] == '/'));
}

static inline uint64_t edge_hash(uint32_t parent, uint64_t component)
{
	uint64_t h = (component ^ parent) * 0x9e3779b97f4a7c15ULL;

	return h ^ (h >> 31);
}

/* The node of component S below PARENT, NODE_UNSET where no rule names it. */
static inline uint32_t node_below(const struct policy *p, uint32_t parent, uint64_t hash, const char *s,
				  size_t len)
{
	uint64_t h = edge_hash(parent, hash);

	for (uint64_t i = h & p->edge_mask;; i = (i + 1) & p->edge_mask) {
		const struct edge *e = &p->edges[i];
		const struct node *n;

		if (e->node == NODE_UNSET)
			return NODE_UNSET;
		if (e->tag != (uint32_t)(h >> 32))
			continue;
		n = &p->nodes[e->node];
		if (n->parent == parent && n->len == len && memcmp(p->names + n->text, s, len) == 0)
			return e->node;
	}
}

/*
 * States of G after the components of PATH below its anchor; 0 also where PATH is not below the anchor.
 * RET_BELOW: it is strictly below.
 */
static inline uint64_t glob_states(const struct glob_rule *g, const char *path, size_t len, bool *ret_below)
{
	*ret_below = false;
	if (len <= (size_t)g->dir_len + 1 || path[g->dir_len] != '/' || memcmp(path, g->dir, g->dir_len) != 0)
		return 0;
	*ret_below = true;
	return glob_run(g->tok, g->n, path + g->dir_len + 1, len - g->dir_len - 1);
}

#endif
