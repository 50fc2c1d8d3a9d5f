/*
 * A YAML document as a flat array of nodes in the order they are written: a node's children follow it, `end` is the index
 * behind the last of them; of a mapping they are key and value in turn. Text lies in one block. Nothing in here points,
 * so that the trees of the built-in profiles are constants of the program, written by policy/gen/profilec.c at build.
 */
#ifndef GABION_POLICY_LANG_TREE_H
#define GABION_POLICY_LANG_TREE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/lang.h"

enum lang_type { LANG_NULL = 0, LANG_SCALAR, LANG_LIST, LANG_MAP };

struct lang_node {
	uint32_t end;	 /* index behind the subtree */
	uint32_t line;	 /* from 1 */
	uint32_t column; /* from 1 */
	uint32_t text;	 /* SCALAR: offset of its bytes, NUL behind them */
	uint32_t len;
	uint8_t type; /* enum lang_type */
	bool plain;   /* SCALAR without quotes; NULL that stands for an alias, of which enough was said */
};

struct lang_tree {
	const struct lang_node *nodes;
	size_t n; /* 0: an empty document */
	const char *text;
};

/* Larger, deeper or more than this is refused: no policy of people's is. */
enum {
	LANG_BYTES_MAX = 4 << 20,
	LANG_DEPTH_MAX = 12,
	LANG_NODES_MAX = 200000,
	LANG_MESSAGES_MAX = 100,
};

/* Adds to M; FILE is copied. Where there is no memory for it the error is counted all the same. */
void lang_note(struct lang_messages *m, bool warning, const char *file, unsigned int line, unsigned int column,
	       const char *fmt, ...) __attribute__((format(printf, 6, 7)));
void lang_vnote(struct lang_messages *m, bool warning, const char *file, unsigned int line, unsigned int column,
		const char *fmt, va_list ap) __attribute__((format(printf, 6, 0)));

/*
 * Reads LEN bytes, called FILE in messages. 0 (M may hold errors: aliases and tags do not end the reading), LANG_INVALID
 * where there is no tree, -ENOMEM. lang_tree_free() what is returned.
 */
int lang_yaml_read(const char *file, const void *bytes, size_t len, struct lang_messages *m, struct lang_tree *ret_tree);
void lang_tree_free(struct lang_tree *t);

static inline const char *lang_text(const struct lang_tree *t, uint32_t node)
{
	return t->text + t->nodes[node].text;
}

#endif
