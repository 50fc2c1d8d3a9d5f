/* What the language's files share: a layer (one file's words), the reader that makes it, and the policy of all layers. */
#ifndef GABION_POLICY_LANG_LAYER_H
#define GABION_POLICY_LANG_LAYER_H

#include "policy/lang_tree.h"

/* Where a path rule counts. */
enum lang_when {
	LANG_ALWAYS = 0,
	LANG_VIEW,    /* with a mount view */
	LANG_BARE,    /* without one */
	LANG_PRIVATE, /* where nothing of the host's lies: the private home, outside of the workspaces */
};

struct path_rule {
	const char *pattern; /* ~, ${workspace} or ${scratch} may stand in front; of the tree, or of the layer's strings */
	uint32_t line, column;
	uint8_t kind; /* enum rule_kind */
	uint8_t when; /* enum lang_when */
	bool made;    /* the floor makes what it names (tmpfs) */
};

struct lang_layer {
	char *file; /* as messages and origins name it */
	char **names; /* canonical path and links on the way; NULL: embedded, or a buffer */
	bool built_in;
	bool own_tree;
	struct lang_tree tree;
	struct path_rule *rules;
	size_t n, room;
	char **strings; /* texts with variables put in */
	size_t string_count;
	const char *extends; /* NULL: nothing */
	uint32_t extends_node;
	struct lang_values values;
};

struct lang {
	struct lang_layer *layers; /* the base first */
	size_t n;
	struct lang_values values;
	char **files; /* names of all layers */
};

/* One file being read. */
struct lang_reader {
	const struct lang_host *host;
	struct lang_layer *l;
	struct lang_messages *m;
	void *item; /* what the keys of the item being read fill in */
	int r;	    /* -ENOMEM once */
};

/* A key of a mapping and who reads its value. */
struct lang_key {
	const char *name;
	void (*take)(struct lang_reader *rd, uint32_t value, const char *path);
};

/* lang_read.c */
void lang_bad(struct lang_reader *rd, uint32_t node, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void lang_warn(struct lang_reader *rd, uint32_t node, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Reads the mapping NODE, called PATH ("" for the whole file), by the N keys. */
void lang_read_map(struct lang_reader *rd, uint32_t node, const char *path, const struct lang_key *keys, size_t n);
/* Each item of the list NODE. ALLOWS: what an empty one does not mean, for the warning. */
void lang_read_list(struct lang_reader *rd, uint32_t node, const char *path, const char *empty,
		    void (*item)(struct lang_reader *rd, uint32_t node, const char *path));
/* The text at NODE, NULL (an error was noted) where there is none. */
const char *lang_read_text(struct lang_reader *rd, uint32_t node, const char *path);
/* The text at NODE with its variables; NULL: noted, or dropped. */
const char *lang_read_plain(struct lang_reader *rd, uint32_t node, const char *path);
/* Which of the NULL-terminated WORDS stands at NODE; -1 (noted). */
int lang_read_word(struct lang_reader *rd, uint32_t node, const char *path, const char *const *words);
/* 0 or 1, -1 (noted). */
int lang_read_bool(struct lang_reader *rd, uint32_t node, const char *path);
/*
 * TEXT of NODE with the variables put in; in a PATTERN their values are quoted, and ${workspace}, ${scratch} in front stay.
 * NULL: an error was noted, or the rule is to be dropped without a word (${NAME?}).
 */
const char *lang_read_variables(struct lang_reader *rd, uint32_t node, const char *text, bool pattern);
/* "FILE:LINE:COL" of NODE, allocated; NULL (rd->r set): no memory. */
char *lang_origin(struct lang_reader *rd, uint32_t node);
/* Adds TEXT with NODE's origin. */
void lang_say(struct lang_reader *rd, struct said_list *l, uint32_t node, const char *text);
/* Remembers where a single value was said. */
void lang_from(struct lang_reader *rd, char **from, uint32_t node);

/* lang_network.c */
void lang_read_network(struct lang_reader *rd, uint32_t node, const char *path);
void lang_read_groups(struct lang_reader *rd, uint32_t node, const char *path);

/* lang_paths.c: filesystem, and paths elsewhere. */
void lang_read_filesystem(struct lang_reader *rd, uint32_t node, const char *path);
/* Whether PATTERN is one; what is wrong was noted. LITERAL: no globs may stand in it. */
bool lang_check_pattern(struct lang_reader *rd, uint32_t node, const char *pattern, bool literal);

/* lang_credential.c: credentials. */
void lang_read_credentials(struct lang_reader *rd, uint32_t node, const char *path);

/* lang_conflict.c: rules of rd->l that say the same or the contrary. -ENOMEM. */
int lang_check_conflicts(struct lang_reader *rd);

/* lang_schema.c: the whole file of rd->l. 0 or -ENOMEM; errors are in rd->m. */
int lang_read_layer(struct lang_reader *rd);

/* lang_merge.c */
int lang_merge(struct lang *l);
void lang_values_free(struct lang_values *v);

/* lang_embedded.c: the built-in profiles. */
struct lang_embedded {
	const char *name;
	struct lang_tree tree;
};
/* PARTS: also those that only profiles extend. NULL: none. */
const struct lang_embedded *lang_embedded_profile(const char *name, bool parts);

#endif
