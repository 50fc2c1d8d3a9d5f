/*
 * Layers to one set of values, base first: lists one behind the other, of single values the last one said. A tmpfs or a
 * group of hosts said again takes the place of the one of that name. Path rules stay in their layers (lang_rules.c), whose
 * order is theirs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/lang_layer.h"
#include "util/err.h"

static void groups_free(struct lang_values *v)
{
	for (size_t i = 0; i < v->group_count; i++) {
		free(v->group[i].name);
		said_free(&v->group[i].hosts);
	}
	free(v->group);
}

void lang_values_free(struct lang_values *v)
{
	struct said_list *said[] = {&v->net,	 &v->groups,  &v->unix_sockets, &v->net_host,
				    &v->publish, &v->env_pass, &v->env_set,	&v->require};
	char *texts[] = {v->home_from, v->written_from, v->memfd_from,	v->memory_from, v->pids_from,
			 v->files_from, v->time_from,	v->cpus_from,	v->user,	v->user_from,
			 v->io_uring_from, v->audit,	v->audit_from,	v->reads_from,	v->stacks_from,
			 v->mediate_from,
			 v->syscalls_from};

	for (size_t i = 0; i < ARRAY_LEN(said); i++)
		said_free(said[i]);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		free(texts[i]);
	exec_deny_free(&v->exec_deny);
	tmpfs_free(&v->tmpfs);
	groups_free(v);
	credential_list_free(&v->credentials);
	*v = (struct lang_values){.profile = NULL};
}

static int move_groups(struct lang_values *to, struct lang_values *from)
{
	struct lang_group *v;

	if (from->group_count == 0)
		return 0;
	v = reallocarray(to->group, to->group_count + from->group_count, sizeof(*v));
	if (!v)
		return -ENOMEM;
	to->group = v;
	for (size_t i = 0; i < from->group_count; i++) {
		size_t k = 0;

		while (k < to->group_count && strcmp(v[k].name, from->group[i].name) != 0)
			k++;
		if (k < to->group_count) {
			free(v[k].name);
			said_free(&v[k].hosts);
		} else {
			to->group_count++;
		}
		v[k] = from->group[i];
	}
	free(from->group);
	from->group = NULL;
	from->group_count = 0;
	return 0;
}

static int move_credentials(struct credential_list *to, struct credential_list *from)
{
	struct credential_rule *v;

	if (from->n == 0)
		return 0;
	v = reallocarray(to->v, to->n + from->n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	to->v = v;
	for (size_t i = 0; i < from->n; i++) {
		size_t k = 0;

		while (k < to->n && strcmp(v[k].name, from->v[i].name) != 0)
			k++;
		if (k < to->n)
			credential_rule_free(&v[k]);
		else
			to->n++;
		v[k] = from->v[i];
	}
	free(from->v);
	*from = (struct credential_list){.v = NULL};
	return 0;
}

/* A single value was said by FROM where its origin is known. */
#define TAKE(field, origin)                                                                                  \
	do {                                                                                                 \
		if (from->origin) {                                                                          \
			to->field = from->field;                                                             \
			free(to->origin);                                                                    \
			to->origin = STEAL(from->origin);                                                    \
		}                                                                                            \
	} while (0)

#define TAKE_TEXT(field, origin)                                                                             \
	do {                                                                                                 \
		if (from->origin) {                                                                          \
			free(to->field);                                                                     \
			to->field = STEAL(from->field);                                                      \
			free(to->origin);                                                                    \
			to->origin = STEAL(from->origin);                                                    \
		}                                                                                            \
	} while (0)

static void take_single(struct lang_values *to, struct lang_values *from)
{
	TAKE(home_host, home_from);
	TAKE(written, written_from);
	TAKE(memfd_exec, memfd_from);
	TAKE(memory, memory_from);
	TAKE(pids, pids_from);
	TAKE(files, files_from);
	TAKE(time_ms, time_from);
	TAKE(cpus, cpus_from);
	TAKE_TEXT(user, user_from);
	TAKE(io_uring_restricted, io_uring_from);
	TAKE_TEXT(audit, audit_from);
	TAKE(audit_reads, reads_from);
	TAKE(audit_stacks, stacks_from);
	TAKE(mediate_all, mediate_from);
	TAKE(list, syscalls_from);
}

static int take_lists(struct lang_values *to, struct lang_values *from)
{
	struct {
		struct said_list *to, *from;
	} said[] = {{&to->net, &from->net},
		    {&to->groups, &from->groups},
		    {&to->unix_sockets, &from->unix_sockets},
		    {&to->net_host, &from->net_host},
		    {&to->publish, &from->publish},
		    {&to->env_pass, &from->env_pass},
		    {&to->env_set, &from->env_set},
		    {&to->require, &from->require}};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(said); i++)
		r = said_move(said[i].to, said[i].from);
	if (r == 0)
		r = exec_deny_move(&to->exec_deny, &from->exec_deny);
	if (r == 0)
		r = tmpfs_move(&to->tmpfs, &from->tmpfs);
	if (r == 0)
		r = move_credentials(&to->credentials, &from->credentials);
	return r == 0 ? move_groups(to, from) : r;
}

/* The names of every layer's file, borrowed. */
static int list_files(struct lang *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; l->layers[i].names && l->layers[i].names[k]; k++)
			n++;
	l->files = calloc(n + 1, sizeof(*l->files));
	if (!l->files)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; l->layers[i].names && l->layers[i].names[k]; k++)
			l->files[n++] = l->layers[i].names[k];
	return 0;
}

/* A tmpfs that a later layer says anew: the rules it made are that layer's. */
static void drop_made(struct lang *l, size_t layer, const struct tmpfs_list *later)
{
	for (size_t i = 0; i < layer; i++) {
		struct lang_layer *b = &l->layers[i];
		size_t n = 0;

		for (size_t k = 0; k < b->n; k++) {
			bool again = false;

			for (size_t t = 0; b->rules[k].made && t < later->n; t++)
				again = again || strcmp(later->v[t].path, b->rules[k].pattern) == 0;
			if (!again)
				b->rules[n++] = b->rules[k];
		}
		b->n = n;
	}
}

int lang_merge(struct lang *l)
{
	int r = list_files(l);

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		drop_made(l, i, &l->layers[i].values.tmpfs);
		take_single(&l->values, &l->layers[i].values);
		r = take_lists(&l->values, &l->layers[i].values);
	}
	for (size_t i = 0; i < l->n; i++)
		if (l->layers[i].built_in)
			l->values.profile = l->layers[i].file + strlen("profile ");
	return r;
}
