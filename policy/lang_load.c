/*
 * A policy file and what it extends, read as layers: the file named first, then what it extends, and so on to a built-in
 * profile or to nothing; put in order base first and merged. An error in any of them leaves no policy.
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/lang_layer.h"
#include "policy/value.h"
#include "util/err.h"

enum { LAYERS_MAX = 16 };

static void layer_free(struct lang_layer *l)
{
	if (l->own_tree)
		lang_tree_free(&l->tree);
	for (size_t i = 0; l->names && l->names[i]; i++)
		free(l->names[i]);
	for (size_t i = 0; i < l->string_count; i++)
		free(l->strings[i]);
	lang_values_free(&l->values);
	free(l->names);
	free(l->strings);
	free(l->rules);
	free(l->file);
}

struct lang *lang_free(struct lang *l)
{
	if (!l)
		return NULL;
	for (size_t i = 0; i < l->n; i++)
		layer_free(&l->layers[i]);
	lang_values_free(&l->values);
	free(l->layers);
	free(l->files);
	free(l);
	return NULL;
}

/* A new empty layer at the end, called FILE. NULL: no memory. */
static struct lang_layer *push(struct lang *l, const char *file)
{
	struct lang_layer *v = reallocarray(l->layers, l->n + 1, sizeof(*v));

	if (!v)
		return NULL;
	l->layers = v;
	v += l->n;
	*v = (struct lang_layer){.file = strdup(file)};
	if (!v->file)
		return NULL;
	l->n++;
	return v;
}

/* Reads the layer's tree by the table of keys. */
static int read_layer(const struct lang_host *host, struct lang_layer *layer, struct lang_messages *m)
{
	struct lang_reader rd = {.host = host, .l = layer, .m = m};

	return lang_read_layer(&rd);
}

static int load_bytes(const struct lang_host *host, struct lang *l, const char *file, const void *bytes, size_t len,
		      char **names, struct lang_messages *m)
{
	struct lang_layer *layer = push(l, file);
	int r;

	if (!layer) {
		for (size_t i = 0; names && names[i]; i++)
			free(names[i]);
		free(names);
		return -ENOMEM;
	}
	layer->names = names;
	r = lang_yaml_read(file, bytes, len, m, &layer->tree);
	if (r != 0)
		return r;
	layer->own_tree = true;
	return read_layer(host, layer, m);
}

static bool was_read(const struct lang *l, const char *real)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->layers[i].names && strcmp(l->layers[i].names[0], real) == 0)
			return true;
	return false;
}

/* What names the file PATH in messages: of NODE in the last layer where that extends it, else the file itself. */
struct wanted {
	const char *path;
	const struct lang_layer *by; /* NULL: named by the caller */
};

static void cannot(struct lang_messages *m, const struct wanted *w, const char *why)
{
	const struct lang_node *n = w->by ? &w->by->tree.nodes[w->by->extends_node] : NULL;

	if (n)
		lang_note(m, false, w->by->file, n->line, n->column, "extends: %s: %s", w->path, why);
	else
		lang_note(m, false, w->path, 0, 0, "%s", why);
}

static int load_path(const struct lang_host *host, struct lang *l, const struct wanted *w, struct lang_messages *m)
{
	AUTO_FREE char *bytes = NULL;
	char **names = NULL;
	size_t len = 0;
	int r = host->read(host->ctx, w->path, LANG_BYTES_MAX, &bytes, &len, &names);

	if (r == -ENOMEM)
		return r;
	if (r == -EFBIG)
		cannot(m, w, "larger than any policy is (4 MiB)");
	else if (r < 0)
		cannot(m, w, strerror(-r));
	if (r < 0)
		return LANG_INVALID;
	if (names && was_read(l, names[0])) {
		cannot(m, w, "a policy cannot extend itself: it was read already on the way here");
		for (size_t i = 0; names[i]; i++)
			free(names[i]);
		free(names);
		return LANG_INVALID;
	}
	return load_bytes(host, l, w->path, bytes, len, names, m);
}

static int load_built_in(const struct lang_host *host, struct lang *l, const struct lang_embedded *e,
			 struct lang_messages *m)
{
	char file[64];
	struct lang_layer *layer;

	(void)snprintf(file, sizeof(file), "profile %s", e->name);
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->layers[i].file, file) == 0)
			return -ELOOP;
	layer = push(l, file);
	if (!layer)
		return -ENOMEM;
	layer->built_in = true;
	layer->tree = e->tree;
	return read_layer(host, layer, m);
}

/* A file, not a profile, is meant where there is a slash or a suffix. */
static bool is_file(const char *s)
{
	const char *dot = strrchr(s, '.');

	return strchr(s, '/') ||
	       (dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0));
}

static int no_profile(const struct lang_layer *by, struct lang_messages *m)
{
	const char *near = nearest_word(by->extends, lang_profile_names());
	const struct lang_node *n = &by->tree.nodes[by->extends_node];

	lang_note(m, false, by->file, n->line, n->column,
		  "no profile is called '%.60s' (%s%s%s a file of your own is named with a slash: ./base.yaml)", by->extends,
		  near ? "did you mean " : "there are: agent, dev, runner, strict;", near ? near : "", near ? "?" : "");
	return LANG_INVALID;
}

/* What the last layer extends. */
static int load_base(const struct lang_host *host, struct lang *l, struct lang_messages *m)
{
	const struct lang_layer *by = &l->layers[l->n - 1];
	const struct lang_embedded *e = lang_embedded_profile(by->extends, by->built_in);
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *copy = NULL;
	/* The array of layers moves while the next one is read. */
	struct lang_layer named = *by;
	struct wanted w = {.by = &named};

	if (e && !is_file(by->extends))
		return load_built_in(host, l, e, m);
	if (!is_file(by->extends))
		return no_profile(by, m);
	if (l->n >= LAYERS_MAX) {
		lang_note(m, false, by->file, 0, 0, "more than %d policies extend one another", LAYERS_MAX);
		return LANG_INVALID;
	}
	copy = strdup(by->names ? by->names[0] : "./policy");
	if (!copy)
		return -ENOMEM;
	if (by->extends[0] == '/')
		path = strdup(by->extends);
	else if (asprintf(&path, "%s/%s", dirname(copy), by->extends) < 0)
		path = NULL;
	if (!path)
		return -ENOMEM;
	w.path = path;
	return load_path(host, l, &w, m);
}

static int finish(const struct lang_host *host, struct lang *l, int r, struct lang **ret_l, struct lang_messages *m)
{
	while (r == 0 && l->layers[l->n - 1].extends)
		r = load_base(host, l, m);
	if (r == 0 && m->errors)
		r = LANG_INVALID;
	for (size_t i = 0; r == 0 && i < l->n / 2; i++) {
		struct lang_layer other = l->layers[i];

		l->layers[i] = l->layers[l->n - 1 - i];
		l->layers[l->n - 1 - i] = other;
	}
	if (r == 0)
		r = lang_merge(l);
	if (r != 0) {
		lang_free(l);
		return r;
	}
	*ret_l = l;
	return 0;
}

int lang_load(const struct lang_host *host, const char *path, struct lang **ret_l, struct lang_messages *m)
{
	struct lang *l = calloc(1, sizeof(*l));
	struct wanted w = {.path = path};

	return l ? finish(host, l, load_path(host, l, &w, m), ret_l, m) : -ENOMEM;
}

int lang_load_buffer(const struct lang_host *host, const char *name, const void *bytes, size_t len, struct lang **ret_l,
		     struct lang_messages *m)
{
	struct lang *l = calloc(1, sizeof(*l));

	return l ? finish(host, l, load_bytes(host, l, name, bytes, len, NULL, m), ret_l, m) : -ENOMEM;
}

int lang_load_profile(const struct lang_host *host, const char *name, struct lang **ret_l)
{
	const struct lang_embedded *e = lang_embedded_profile(name, false);
	struct lang_messages m = {.v = NULL};
	struct lang *l;
	int r;

	if (!e)
		return -ENOENT;
	l = calloc(1, sizeof(*l));
	r = l ? finish(host, l, load_built_in(host, l, e, &m), ret_l, &m) : -ENOMEM;
	lang_messages_free(&m);
	return r > 0 ? -EBADMSG : r;
}

const struct lang_values *lang_values(const struct lang *l)
{
	return &l->values;
}

const char *const *lang_files(const struct lang *l)
{
	return (const char *const *)l->files;
}
