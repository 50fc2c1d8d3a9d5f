/*
 * Reading a tree: mappings by a table of keys, lists, texts, words, variables. Whatever is wrong is noted with its place and
 * what was most likely meant, and reading goes on: a person mends a file once.
 */
#include "policy/lang_layer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob.h"
#include "policy/value.h"
#include "util/err.h"

enum { KEYS_MAX = 32 };

static const struct lang_node *node_at(const struct lang_reader *rd, uint32_t node)
{
	return &rd->l->tree.nodes[node];
}

void lang_bad(struct lang_reader *rd, uint32_t node, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lang_vnote(rd->m, false, rd->l->file, node_at(rd, node)->line, node_at(rd, node)->column, fmt, ap);
	va_end(ap);
}

void lang_warn(struct lang_reader *rd, uint32_t node, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lang_vnote(rd->m, true, rd->l->file, node_at(rd, node)->line, node_at(rd, node)->column, fmt, ap);
	va_end(ap);
}

static const char *kind_of(const struct lang_node *n)
{
	switch ((enum lang_type)n->type) {
	case LANG_SCALAR:
		return "a text";
	case LANG_LIST:
		return "a list";
	case LANG_MAP:
		return "a mapping";
	case LANG_NULL:
	default:
		return "empty";
	}
}

/* Writes the names of KEYS with commas. */
static void list_names(const char *const *names, char *out, size_t size)
{
	size_t at = 0;

	*out = '\0';
	for (; *names && at < size; names++) {
		int n = snprintf(out + at, size - at, "%s%s", at ? ", " : "", *names);

		at += n > 0 ? (size_t)n : 0;
	}
}

static void unknown_key(struct lang_reader *rd, uint32_t node, const char *path, const char *name,
			const struct lang_key *keys, size_t n)
{
	const char *names[KEYS_MAX + 1] = {NULL}, *near;
	char all[400], where[80] = "";

	for (size_t i = 0; i < n && i < KEYS_MAX; i++)
		names[i] = keys[i].name;
	if (*path)
		(void)snprintf(where, sizeof(where), " in %s", path);
	near = nearest_word(name, names);
	list_names(names, all, sizeof(all));
	if (near)
		lang_bad(rd, node, "unknown key '%.60s'%s (did you mean %s?)", name, where, near);
	else
		lang_bad(rd, node, "unknown key '%.60s'%s (there are: %s)", name, where, all);
}

void lang_read_map(struct lang_reader *rd, uint32_t node, const char *path, const struct lang_key *keys, size_t n)
{
	const struct lang_node *map = node_at(rd, node);
	uint32_t seen[KEYS_MAX] = {0};

	if (map->type != LANG_MAP) {
		lang_bad(rd, node, "%s is %s; it has keys: %s: {%s: ...}", *path ? path : "a policy", kind_of(map),
			 *path ? path : "policy", keys[0].name);
		return;
	}
	for (uint32_t key = node + 1; key < map->end;) {
		uint32_t value = node_at(rd, key)->end;
		const char *name = node_at(rd, key)->type == LANG_SCALAR ? lang_text(&rd->l->tree, key) : NULL;
		char below[80];
		size_t i = 0;

		while (name && i < n && strcmp(keys[i].name, name) != 0)
			i++;
		if (!name) {
			lang_bad(rd, key, "a key is a text");
		} else if (i == n) {
			unknown_key(rd, key, path, name, keys, n);
		} else if (seen[i]) {
			lang_bad(rd, key, "'%s' is said twice (first in line %u): put both into one", name,
				 node_at(rd, seen[i])->line);
		} else if (node_at(rd, value)->type == LANG_NULL) {
			if (!node_at(rd, value)->plain)
				lang_bad(rd, key, "'%s' has no value: give it one or leave it out", name);
		} else {
			(void)snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "", name);
			keys[i].take(rd, value, below);
		}
		if (name && i < n && !seen[i])
			seen[i] = key;
		key = node_at(rd, value)->end;
	}
}

void lang_read_list(struct lang_reader *rd, uint32_t node, const char *path, const char *empty,
		    void (*item)(struct lang_reader *rd, uint32_t node, const char *path))
{
	const struct lang_node *list = node_at(rd, node);

	if (list->type == LANG_SCALAR) {
		lang_bad(rd, node, "%s is a list (did you mean [\"%.60s\"]?)", path, lang_text(&rd->l->tree, node));
		return;
	}
	if (list->type != LANG_LIST) {
		lang_bad(rd, node, "%s is a list, not %s", path, kind_of(list));
		return;
	}
	if (list->end == node + 1)
		lang_warn(rd, node, "%s is an empty list: %s", path, empty);
	for (uint32_t i = node + 1; i < list->end; i = node_at(rd, i)->end) {
		if (node_at(rd, i)->type != LANG_NULL)
			item(rd, i, path);
		else if (!node_at(rd, i)->plain)
			lang_bad(rd, i, "an item of %s has no value", path);
	}
}

const char *lang_read_text(struct lang_reader *rd, uint32_t node, const char *path)
{
	const struct lang_node *n = node_at(rd, node);

	if (n->type != LANG_SCALAR) {
		lang_bad(rd, node, "%s: a text is wanted, not %s", path, kind_of(n));
		return NULL;
	}
	if (n->len == 0) {
		lang_bad(rd, node, "%s: an empty text says nothing", path);
		return NULL;
	}
	return lang_text(&rd->l->tree, node);
}

int lang_read_word(struct lang_reader *rd, uint32_t node, const char *path, const char *const *words)
{
	const char *text = lang_read_text(rd, node, path), *near;
	char all[200];

	for (int i = 0; text && words[i]; i++) {
		if (strcmp(words[i], text) == 0)
			return i;
	}
	if (!text)
		return -1;
	near = nearest_word(text, words);
	list_names(words, all, sizeof(all));
	if (near)
		lang_bad(rd, node, "%s cannot be '%.60s' (did you mean %s? there are: %s)", path, text, near, all);
	else
		lang_bad(rd, node, "%s cannot be '%.60s' (there are: %s)", path, text, all);
	return -1;
}

int lang_read_bool(struct lang_reader *rd, uint32_t node, const char *path)
{
	static const char *const words[] = {"false", "true", NULL};

	return lang_read_word(rd, node, path, words);
}

/* Keeps S (allocated) for as long as the layer lives. */
static const char *keep(struct lang_reader *rd, char *s)
{
	struct lang_layer *l = rd->l;
	char **v = s ? reallocarray(l->strings, l->string_count + 1, sizeof(*v)) : NULL;

	if (!v) {
		rd->r = -ENOMEM;
		free(s);
		return NULL;
	}
	l->strings = v;
	v[l->string_count++] = s;
	return s;
}

static bool is_name(const char *s, size_t len)
{
	if (len == 0 || (s[0] >= '0' && s[0] <= '9'))
		return false;
	return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") >= len;
}

static void unset_variable(struct lang_reader *rd, uint32_t node, const char *name)
{
	static const char *const ours[] = {"workspace", "scratch", NULL};
	const char *near = nearest_word(name, ours);

	if (near)
		lang_bad(rd, node, "the variable %s is not set (did you mean ${%s}?)", name, near);
	else
		lang_bad(rd, node, "the variable %s is not set (${%s?} drops the rule where it is not)", name, name);
}

/* The variable behind "${" at S. RET_REST: what follows the brace. NULL: noted, or to be dropped. */
static const char *variable(struct lang_reader *rd, uint32_t node, const char *s, const char **ret_rest)
{
	size_t len = strcspn(s, "}");
	bool optional = len > 0 && s[len - 1] == '?';
	char name[128];
	const char *value;

	if (s[len] != '}') {
		lang_bad(rd, node, "${ without its }");
		return NULL;
	}
	*ret_rest = s + len + 1;
	len -= optional;
	if (len >= sizeof(name) || !is_name(s, len)) {
		lang_bad(rd, node, "'${%.*s}' names no variable", len < 60 ? (int)len : 60, s);
		return NULL;
	}
	memcpy(name, s, len);
	name[len] = '\0';
	if (strcmp(name, "workspace") == 0 || strcmp(name, "scratch") == 0) {
		lang_bad(rd, node, "${%s} stands at the beginning of a path, nowhere else", name);
		return NULL;
	}
	value = rd->host->variable(rd->host->ctx, name);
	if (value && *value)
		return value;
	if (!optional)
		unset_variable(rd, node, name);
	return NULL;
}

/* Length of ${workspace} or ${scratch} in front of S. */
static size_t place_in_front(const char *s)
{
	static const char *const places[] = {"${workspace}", "${scratch}"};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		if (strncmp(s, places[i], strlen(places[i])) == 0)
			return strlen(places[i]);
	}
	return 0;
}

const char *lang_read_variables(struct lang_reader *rd, uint32_t node, const char *text, bool pattern)
{
	size_t front = pattern ? place_in_front(text) : 0, len = 0;
	AUTO_FREE char *out = NULL;
	const char *s = text;
	FILE *f;

	if (!strstr(text + front, "${"))
		return text;
	f = open_memstream(&out, &len);
	if (!f) {
		rd->r = -ENOMEM;
		return NULL;
	}
	while (*s) {
		const char *value, *rest;

		if (s == text && front) {
			(void)fwrite(s, 1, front, f);
			s += front;
			continue;
		}
		if (s[0] != '$' || s[1] != '{') {
			(void)fputc(*s++, f);
			continue;
		}
		value = variable(rd, node, s + 2, &rest);
		if (!value) {
			(void)fclose(f);
			return NULL;
		}
		AUTO_FREE char *quoted = pattern ? glob_quote(value) : strdup(value);
		if (!quoted)
			rd->r = -ENOMEM;
		(void)fputs(quoted ? quoted : "", f);
		s = rest;
	}
	if (fclose(f) != 0 || rd->r < 0) {
		rd->r = -ENOMEM;
		return NULL;
	}
	return keep(rd, STEAL(out));
}

char *lang_origin(struct lang_reader *rd, uint32_t node)
{
	char *s = NULL;

	if (asprintf(&s, "%s:%u:%u", rd->l->file, node_at(rd, node)->line, node_at(rd, node)->column) < 0) {
		rd->r = -ENOMEM;
		return NULL;
	}
	return s;
}

void lang_say(struct lang_reader *rd, struct said_list *l, uint32_t node, const char *text)
{
	AUTO_FREE char *origin = lang_origin(rd, node);

	if (origin && said_add(l, text, origin) < 0)
		rd->r = -ENOMEM;
}

void lang_from(struct lang_reader *rd, char **from, uint32_t node)
{
	free(*from);
	*from = lang_origin(rd, node);
}

const char *lang_read_plain(struct lang_reader *rd, uint32_t node, const char *path)
{
	const char *text = lang_read_text(rd, node, path);

	return text ? lang_read_variables(rd, node, text, false) : NULL;
}
