/* Lists of settings: freed, moved and copied by everybody in one way. See include/settings.h. */
#include "settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

static void deny_clear(struct exec_deny *d)
{
	for (char **arg = d->args; arg && *arg; arg++)
		free(*arg);
	free(d->args);
	free(d->path);
	free(d->origin);
}

void exec_deny_free(struct exec_deny_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		deny_clear(&l->v[i]);
	free(l->v);
	*l = (struct exec_deny_list){.v = NULL};
}

int exec_deny_add(struct exec_deny_list *l, const char *path, const char *const *args, const char *origin)
{
	struct exec_deny *v = reallocarray(l->v, l->n + 1, sizeof(*v));
	struct exec_deny d = {.path = NULL};
	size_t n = 0;
	bool ok;

	if (!v)
		return -ENOMEM;
	l->v = v;
	while (args && args[n])
		n++;
	d = (struct exec_deny){.path = strdup(path), .origin = strdup(origin)};
	d.args = args ? calloc(n + 1, sizeof(*d.args)) : NULL;
	ok = d.path && d.origin && (!args || d.args);
	for (size_t i = 0; ok && i < n; i++) {
		d.args[i] = strdup(args[i]);
		ok = d.args[i] != NULL;
	}
	if (!ok) {
		deny_clear(&d);
		return -ENOMEM;
	}
	v[l->n++] = d;
	return 0;
}

int exec_deny_move(struct exec_deny_list *to, struct exec_deny_list *from)
{
	struct exec_deny *v;

	if (from->n == 0)
		return 0;
	v = reallocarray(to->v, to->n + from->n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	memcpy(v + to->n, from->v, from->n * sizeof(*v));
	to->v = v;
	to->n += from->n;
	free(from->v);
	*from = (struct exec_deny_list){.v = NULL};
	return 0;
}

void tmpfs_free(struct tmpfs_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].path);
		free(l->v[i].origin);
	}
	free(l->v);
	*l = (struct tmpfs_list){.v = NULL};
}

int tmpfs_copy(struct tmpfs_list *to, const struct tmpfs_list *from)
{
	struct tmpfs_list l = {.v = calloc(from->n + 1, sizeof(*l.v))};

	if (!l.v)
		return -ENOMEM;
	for (size_t i = 0; i < from->n; i++) {
		l.v[i] = from->v[i];
		l.v[i].path = strdup(from->v[i].path);
		l.v[i].origin = strdup(from->v[i].origin);
		l.n = i + 1;
		if (!l.v[i].path || !l.v[i].origin) {
			tmpfs_free(&l);
			return -ENOMEM;
		}
	}
	tmpfs_free(to);
	*to = l;
	return 0;
}

int tmpfs_move(struct tmpfs_list *to, struct tmpfs_list *from)
{
	struct tmpfs_wish *v = reallocarray(to->v, to->n + from->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	to->v = v;
	for (size_t i = 0; i < from->n; i++) {
		size_t k = 0;

		while (k < to->n && strcmp(v[k].path, from->v[i].path) != 0)
			k++;
		if (k < to->n) {
			free(v[k].path);
			free(v[k].origin);
		} else {
			to->n++;
		}
		v[k] = from->v[i];
	}
	free(from->v);
	*from = (struct tmpfs_list){.v = NULL};
	return 0;
}
