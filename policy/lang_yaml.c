/*
 * Bytes to a tree, by libyaml's events. The language is YAML without what makes YAML hard to read or to bound: no anchors
 * and aliases (and so no alias bombs), no tags, one document, and limits on bytes, depth and nodes. What remains is what
 * JSON has, in either notation.
 *
 * libyaml says what its scanner met, not what a person did; where the character at fault tells, a hint is put behind.
 */
#include "policy/lang_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "util/err.h"

/* A tree being made. */
struct growing {
	const char *file;
	struct lang_messages *m;
	const char *bytes;
	size_t len;
	struct lang_node *nodes;
	size_t n, room;
	char *text;
	size_t text_len, text_room;
	uint32_t open[LANG_DEPTH_MAX]; /* lists and mappings not yet closed */
	unsigned int depth;
};

void lang_vnote(struct lang_messages *m, bool warning, const char *file, unsigned int line, unsigned int column,
		const char *fmt, va_list ap)
{
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *name = NULL;
	struct lang_message *v;

	m->errors += !warning;
	if (m->n >= LANG_MESSAGES_MAX)
		return;
	v = reallocarray(m->v, m->n + 1, sizeof(*v));
	if (!v)
		return;
	m->v = v;
	if (vasprintf(&text, fmt, ap) < 0) {
		text = NULL;
		return;
	}
	name = strdup(file);
	if (!name)
		return;
	/* What was quoted from the file is not let through to a terminal. */
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	v[m->n++] = (struct lang_message){.warning = warning,
					  .file = STEAL(name),
					  .line = line,
					  .column = column,
					  .text = STEAL(text)};
}

void lang_note(struct lang_messages *m, bool warning, const char *file, unsigned int line, unsigned int column,
	       const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	lang_vnote(m, warning, file, line, column, fmt, ap);
	va_end(ap);
}

void lang_message_add(struct lang_messages *m, bool warning, const char *file, unsigned int line, unsigned int column,
		      const char *text)
{
	lang_note(m, warning, file, line, column, "%s", text);
}

char *lang_message_text(const struct lang_message *m)
{
	const char *kind = m->warning ? "warning: " : "";
	char *out = NULL;
	int n;

	if (m->line)
		n = asprintf(&out, "%s:%u:%u: %s%s", m->file, m->line, m->column, kind, m->text);
	else
		n = asprintf(&out, "%s: %s%s", m->file, kind, m->text);
	return n < 0 ? NULL : out;
}

void lang_messages_free(struct lang_messages *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].file);
		free(m->v[i].text);
	}
	free(m->v);
	*m = (struct lang_messages){.v = NULL};
}

void lang_tree_free(struct lang_tree *t)
{
	free((void *)(uintptr_t)t->nodes);
	free((void *)(uintptr_t)t->text);
	*t = (struct lang_tree){.n = 0};
}

/* One more node. 0, -ENOMEM, LANG_INVALID where they are too many. */
static int grow(struct growing *g, enum lang_type type, const yaml_mark_t *at, uint32_t *ret_node)
{
	if (g->n == g->room) {
		size_t room = g->room ? 2 * g->room : 256;
		struct lang_node *nodes = reallocarray(g->nodes, room, sizeof(*nodes));

		if (!nodes)
			return -ENOMEM;
		g->nodes = nodes;
		g->room = room;
	}
	if (g->n >= LANG_NODES_MAX) {
		lang_note(g->m, false, g->file, (unsigned int)at->line + 1, (unsigned int)at->column + 1,
			  "more than %d values: no policy needs so many", LANG_NODES_MAX);
		return LANG_INVALID;
	}
	*ret_node = (uint32_t)g->n;
	g->nodes[g->n++] = (struct lang_node){.end = *ret_node + 1,
					      .line = (uint32_t)at->line + 1,
					      .column = (uint32_t)at->column + 1,
					      .type = (uint8_t)type};
	return 0;
}

static int keep_text(struct growing *g, const void *s, size_t len, uint32_t *ret_at)
{
	if (g->text == NULL || g->text_len + len + 1 > g->text_room) {
		size_t room = 2 * (g->text_len + len + 1) + 1024;
		char *text = realloc(g->text, room);

		if (!text)
			return -ENOMEM;
		g->text = text;
		g->text_room = room;
	}
	*ret_at = (uint32_t)g->text_len;
	memcpy(g->text + g->text_len, s, len);
	g->text[g->text_len + len] = '\0';
	g->text_len += len + 1;
	return 0;
}

static void note_at(struct growing *g, const yaml_mark_t *at, const char *text)
{
	lang_note(g->m, false, g->file, (unsigned int)at->line + 1, (unsigned int)at->column + 1, "%s", text);
}

static int add_scalar(struct growing *g, const yaml_event_t *e)
{
	uint32_t node, at;
	int r = grow(g, LANG_SCALAR, &e->start_mark, &node);

	if (r != 0)
		return r;
	if (e->data.scalar.anchor)
		note_at(g, &e->start_mark, "anchors and aliases are no part of the language: write the value out");
	if (e->data.scalar.tag)
		note_at(g, &e->start_mark, "tags are no part of the language: leave it out");
	if (memchr(e->data.scalar.value, '\0', e->data.scalar.length)) {
		note_at(g, &e->start_mark, "a text holds a NUL character");
		return LANG_INVALID;
	}
	r = keep_text(g, e->data.scalar.value, e->data.scalar.length, &at);
	if (r < 0)
		return r;
	g->nodes[node].text = at;
	g->nodes[node].len = (uint32_t)e->data.scalar.length;
	g->nodes[node].plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (g->nodes[node].plain && (e->data.scalar.length == 0 || strcmp(g->text + at, "null") == 0))
		g->nodes[node] = (struct lang_node){.end = g->nodes[node].end,
						    .line = g->nodes[node].line,
						    .column = g->nodes[node].column,
						    .type = LANG_NULL};
	return 0;
}

static int add_open(struct growing *g, enum lang_type type, const yaml_event_t *e, const void *anchor, const void *tag)
{
	uint32_t node;
	int r;

	if (anchor)
		note_at(g, &e->start_mark, "anchors and aliases are no part of the language: write the value out");
	if (tag)
		note_at(g, &e->start_mark, "tags are no part of the language: leave it out");
	if (g->depth >= LANG_DEPTH_MAX) {
		note_at(g, &e->start_mark, "lists and mappings are nested too deeply");
		return LANG_INVALID;
	}
	r = grow(g, type, &e->start_mark, &node);
	if (r == 0)
		g->open[g->depth++] = node;
	return r;
}

/* RET_END: the document is over. */
static int take(struct growing *g, const yaml_event_t *e, unsigned int *documents, bool *ret_end)
{
	uint32_t node;
	int r;

	switch (e->type) {
	case YAML_DOCUMENT_START_EVENT:
		if ((*documents)++ == 0)
			return 0;
		note_at(g, &e->start_mark, "a policy is one document: what follows --- belongs into a file of its own");
		return LANG_INVALID;
	case YAML_ALIAS_EVENT:
		note_at(g, &e->start_mark, "anchors and aliases are no part of the language: write the value out "
					   "(a text that begins with * needs quotes)");
		r = grow(g, LANG_NULL, &e->start_mark, &node);
		if (r == 0)
			g->nodes[node].plain = true;
		return r;
	case YAML_SCALAR_EVENT:
		return add_scalar(g, e);
	case YAML_SEQUENCE_START_EVENT:
		return add_open(g, LANG_LIST, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
	case YAML_MAPPING_START_EVENT:
		return add_open(g, LANG_MAP, e, e->data.mapping_start.anchor, e->data.mapping_start.tag);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		if (g->depth > 0)
			g->nodes[g->open[--g->depth]].end = (uint32_t)g->n;
		return 0;
	case YAML_STREAM_END_EVENT:
	case YAML_NO_EVENT:
		*ret_end = true;
		return 0;
	case YAML_STREAM_START_EVENT:
	case YAML_DOCUMENT_END_EVENT:
	default:
		return 0;
	}
}

/* The byte at LINE and COLUMN (characters, from 0), or NULL. */
static const char *find_byte(const struct growing *g, size_t line, size_t column)
{
	const char *s = g->bytes, *end = g->bytes + g->len;

	for (; line > 0 && s < end; line--) {
		s = memchr(s, '\n', (size_t)(end - s));
		if (!s)
			return NULL;
		s++;
	}
	while (s < end && column > 0 && *s != '\n') {
		s++;
		while (s < end && ((unsigned char)*s & 0xc0) == 0x80)
			s++;
		column--;
	}
	return s < end ? s : NULL;
}

/* What a person may have done that the scanner stumbled over at S. */
static const char *hint_of(const struct growing *g, const char *s)
{
	if (!s)
		return "";
	/* The scanner may have gone on behind a *, up to the character that cannot follow it. */
	for (const char *c = s; c >= g->bytes && s - c <= 2 && *c != '\n'; c--) {
		if ((*c == '*' || *c == '&') && (c == g->bytes || strchr(" [,:-\n", c[-1])))
			return " (a text that begins with * or & needs quotes: \"**/.env\")";
	}
	if (*s == '@' || *s == '`' || *s == '%')
		return " (a text that begins with @, % or ` needs quotes: \"@github\")";
	if (*s == '\t')
		return " (indent with spaces: YAML takes no tabs)";
	for (const char *c = s; c >= g->bytes && *c != '\n'; c--) {
		if (c[0] == '$' && c + 1 < g->bytes + g->len && c[1] == '{')
			return " (a text with { } needs quotes in a list: \"${workspace}\")";
	}
	return "";
}

static int syntax_error(struct growing *g, const yaml_parser_t *p)
{
	bool context = p->problem_mark.line == 0 && p->problem_mark.column == 0 && p->context_mark.line != 0;
	const yaml_mark_t *at = context ? &p->context_mark : &p->problem_mark;
	const char *s;

	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	if (p->error == YAML_READER_ERROR) {
		unsigned int line = 1;

		for (size_t i = 0; i < p->problem_offset && i < g->len; i++)
			line += g->bytes[i] == '\n';
		lang_note(g->m, false, g->file, line, 1, "not text: %s", p->problem ? p->problem : "unreadable");
		return LANG_INVALID;
	}
	s = find_byte(g, at->line, at->column);
	lang_note(g->m, false, g->file, (unsigned int)at->line + 1, (unsigned int)at->column + 1, "no YAML: %s%s%s%s",
		  p->context ? p->context : "", p->context ? ", " : "", p->problem ? p->problem : "unreadable",
		  hint_of(g, s));
	return LANG_INVALID;
}

static int read_all(struct growing *g, yaml_parser_t *p)
{
	unsigned int documents = 0;
	bool end = false;
	int r = 0;

	while (r == 0 && !end) {
		yaml_event_t e;

		if (!yaml_parser_parse(p, &e))
			return syntax_error(g, p);
		r = take(g, &e, &documents, &end);
		yaml_event_delete(&e);
	}
	return r;
}

int lang_yaml_read(const char *file, const void *bytes, size_t len, struct lang_messages *m, struct lang_tree *ret_tree)
{
	struct growing g = {.file = file, .m = m, .bytes = bytes, .len = len};
	yaml_parser_t parser;
	int r;

	if (len > LANG_BYTES_MAX) {
		lang_note(m, false, file, 0, 0, "larger than %d MiB: no policy is", LANG_BYTES_MAX >> 20);
		return LANG_INVALID;
	}
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, bytes, len);
	r = read_all(&g, &parser);
	yaml_parser_delete(&parser);
	if (r != 0) {
		free(g.nodes);
		free(g.text);
		return r;
	}
	*ret_tree = (struct lang_tree){.nodes = g.nodes, .n = g.n, .text = g.text};
	return 0;
}
