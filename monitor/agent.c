/*
 * Known agents, from the files of policy/agents as embedded in the binary. The files are ours, but they are
 * read as if they were not: an unknown key, a missing name or a value of the wrong kind makes the file
 * broken, so that a slip in one fails its test and not silently somebody's run.
 */
#include "monitor/agent.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "monitor/environment.h"
#include "util/err.h"

static const struct embedded {
	const char *name;
	const unsigned char *bytes;
	size_t len;
} files[] = {
#include "agents.inc"
};

/* A key and where its value goes. */
struct field {
	const char *key;
	size_t offset;
	bool list;
};

static const struct field fields[] = {
	{"name", offsetof(struct agent, name), false},
	{"commands", offsetof(struct agent, commands), true},
	{"hosts", offsetof(struct agent, hosts), true},
	{"keys", offsetof(struct agent, keys), true},
	{"state", offsetof(struct agent, state), true},
	{"state_skip", offsetof(struct agent, state_skip), true},
	{"args", offsetof(struct agent, args), true},
	{"env", offsetof(struct agent, env), true},
	{"note", offsetof(struct agent, note), false},
};

/* The text of a scalar, or NULL: another kind of node, or a NUL in it. */
static const char *scalar(const yaml_node_t *n)
{
	if (!n || n->type != YAML_SCALAR_NODE ||
	    strlen((const char *)n->data.scalar.value) != n->data.scalar.length)
		return NULL;
	return (const char *)n->data.scalar.value;
}

static int set_text(char **where, const yaml_node_t *n)
{
	const char *s = scalar(n);

	if (!s || *where)
		return -EBADMSG;
	*where = strdup(s);
	return *where ? 0 : -ENOMEM;
}

static int set_list(struct string_list *where, yaml_document_t *doc, const yaml_node_t *n)
{
	if (n->type != YAML_SEQUENCE_NODE || where->n)
		return -EBADMSG;
	for (const yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top; i++) {
		const char *s = scalar(yaml_document_get_node(doc, *i));
		int r = s ? string_list_add(where, s) : -EBADMSG;

		if (r < 0)
			return r;
	}
	return 0;
}

static int set_field(struct agent *a, yaml_document_t *doc, const yaml_node_t *key, const yaml_node_t *value)
{
	const char *k = scalar(key);

	if (!k || !value)
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		char *at = (char *)a + fields[i].offset;

		if (strcmp(fields[i].key, k) != 0)
			continue;
		return fields[i].list ? set_list((struct string_list *)(void *)at, doc, value)
				      : set_text((char **)(void *)at, value);
	}
	return -EBADMSG;
}

static int read_document(struct agent *a, yaml_document_t *doc)
{
	const yaml_node_t *root = yaml_document_get_root_node(doc);

	if (!root || root->type != YAML_MAPPING_NODE)
		return -EBADMSG;
	for (const yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
	     p++) {
		int r = set_field(a, doc, yaml_document_get_node(doc, p->key),
				  yaml_document_get_node(doc, p->value));

		if (r < 0)
			return r;
	}
	return a->name ? 0 : -EBADMSG;
}

static int agent_read(const struct embedded *f, struct agent *ret_agent)
{
	struct agent a = {.name = NULL};
	yaml_parser_t parser;
	yaml_document_t doc;
	int r;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, f->bytes, f->len);
	if (yaml_parser_load(&parser, &doc)) {
		r = read_document(&a, &doc);
		yaml_document_delete(&doc);
	} else {
		r = parser.error == YAML_MEMORY_ERROR ? -ENOMEM : -EBADMSG;
	}
	yaml_parser_delete(&parser);
	if (r == 0 && strcmp(a.name, f->name) != 0)
		r = -EBADMSG;
	if (r < 0) {
		agent_free(&a);
		return r;
	}
	*ret_agent = a;
	return 0;
}

int agent_load(const char *name, struct agent *ret_agent)
{
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (strcmp(files[i].name, name) == 0)
			return agent_read(&files[i], ret_agent);
	return -ENOENT;
}

int agent_infer(const char *command, struct agent *ret_agent)
{
	const char *slash = strrchr(command, '/');
	const char *base = slash ? slash + 1 : command;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct agent a;
		int r;

		/* Every start comes by here: only a file that holds the name at all is worth parsing. */
		if (memmem(files[i].bytes, files[i].len, base, strlen(base)) == NULL)
			continue;
		r = agent_read(&files[i], &a);
		if (r < 0)
			return r;
		for (size_t k = 0; k < a.commands.n; k++)
			if (strcmp(a.commands.v[k], base) == 0) {
				*ret_agent = a;
				return 0;
			}
		agent_free(&a);
	}
	return -ENOENT;
}

void agent_free(struct agent *a)
{
	free(a->name);
	free(a->note);
	string_list_free(&a->commands);
	string_list_free(&a->hosts);
	string_list_free(&a->keys);
	string_list_free(&a->state);
	string_list_free(&a->state_skip);
	string_list_free(&a->args);
	string_list_free(&a->env);
	*a = (struct agent){.name = NULL};
}

const char *const *agent_names(void)
{
	static const char *names[ARRAY_LEN(files) + 1];

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		names[i] = files[i].name;
	return names;
}
