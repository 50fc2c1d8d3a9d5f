/* Names of groups to hosts: see groups.h. */
#include "monitor/groups.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/agent.h"
#include "monitor/environment.h"
#include "monitor/floor/floor.h"
#include "policy/value.h"
#include "util/err.h"

static bool in(const char *const *names, const char *name)
{
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static const struct lang_group *own_group(const struct lang_values *v, const char *name)
{
	for (size_t i = 0; v && i < v->group_count; i++)
		if (strcmp(v->group[i].name, name) == 0)
			return &v->group[i];
	return NULL;
}

bool groups_fault(const struct lang_values *v, const char *name, char **ret_text)
{
	const char *names[64] = {NULL}, *near;
	const char *const *lists[] = {lang_group_names(), groups_tools(), agent_names()};
	const char *word = name + (name[0] == '@');
	size_t n = 0;

	*ret_text = NULL;
	for (size_t i = 0; v && i < v->group_count && n < ARRAY_LEN(names) - 1; i++)
		names[n++] = v->group[i].name;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (const char *const *k = lists[i]; *k && n < ARRAY_LEN(names) - 1; k++)
			names[n++] = *k;
	if (own_group(v, word) || in(names, word))
		return false;
	near = nearest_word(word, names);
	if (asprintf(ret_text, "no group of hosts is called '@%.60s' (%s%s%s; define it under groups:)", word,
		     near ? "did you mean @" : "there are @github, @npm, @pip, @cargo, @go and the agents'",
		     near ? near : "", near ? "?" : "") < 0)
		*ret_text = NULL;
	return true;
}

/* Adds HOST as said by a group at ORIGIN. */
static int add_host(struct said_list *to, const char *host, const char *group, const char *origin)
{
	AUTO_FREE char *from = NULL;

	if (asprintf(&from, "%s, %s", group, origin) < 0) {
		from = NULL;
		return -ENOMEM;
	}
	return said_add(to, host, from);
}

static int add_agent(struct said_list *to, const char *name, const char *group, const char *origin)
{
	struct agent a;
	int r = agent_load(name, &a);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < a.hosts.n; i++)
		r = add_host(to, a.hosts.v[i], group, origin);
	agent_free(&a);
	return r;
}

/* The workspaces of the run, canonical; NULL where there is none to find: the run will say why. */
static char **workspaces(const struct run_options *o)
{
	const char *home = getenv("HOME");
	AUTO_FREE char *real = home ? realpath(home, NULL) : NULL;
	AUTO_FREE char *why = NULL;
	char **dirs = NULL;

	if (workspace_find(o->workspace ? o->workspace : ".", real ? real : "/", o->workspace != NULL, &dirs, &why) < 0)
		return NULL;
	return dirs;
}

static int add_tool(const struct run_options *o, struct said_list *to, const char *name, const char *group,
		    const char *origin, struct string_list *notes)
{
	struct string_list hosts = {NULL, 0};
	char **avoid = workspaces(o);
	int r = groups_ask(name, (const char *const *)avoid, &hosts, notes);

	for (size_t i = 0; r == 0 && i < hosts.n; i++)
		r = add_host(to, hosts.v[i], group, origin);
	string_list_free(&hosts);
	for (size_t i = 0; avoid && avoid[i]; i++)
		free(avoid[i]);
	free(avoid);
	return r;
}

static int add_group(const struct run_options *o, struct said_list *to, const char *group, const char *origin,
		     struct string_list *notes)
{
	const struct lang_group *own = own_group(o->policy ? lang_values(o->policy) : NULL, group + 1);
	struct said_list hosts = {.v = NULL};
	int r = 0;

	for (size_t i = 0; own && r == 0 && i < own->hosts.n; i++)
		r = add_host(to, own->hosts.v[i].text, group, own->hosts.v[i].origin);
	if (own || r < 0)
		return r;
	r = lang_group_hosts(group + 1, &hosts);
	for (size_t i = 0; r == 0 && i < hosts.n; i++)
		r = add_host(to, hosts.v[i].text, group, origin);
	said_free(&hosts);
	if (r != -ENOENT)
		return r;
	if (in(groups_tools(), group + 1))
		return add_tool(o, to, group + 1, group, origin, notes);
	return add_agent(to, group + 1, group, origin);
}

/* Every rule of FROM to TO, groups as their hosts. */
static int resolve(const struct run_options *o, const struct said_list *from, struct said_list *to,
		   struct string_list *notes, char **ret_why)
{
	const struct lang_values *v = o->policy ? lang_values(o->policy) : NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->n; i++) {
		const struct said *s = &from->v[i];
		AUTO_FREE char *fault = NULL;

		if (s->text[0] != '@') {
			r = said_add(to, s->text, s->origin);
		} else if (groups_fault(v, s->text, &fault)) {
			if (asprintf(ret_why, "%s: %s", s->origin, fault ? fault : s->text) < 0)
				*ret_why = NULL;
			r = LANG_INVALID;
		} else {
			r = add_group(o, to, s->text, s->origin, notes);
		}
	}
	return r;
}

int groups_resolve(struct run_options *o, struct string_list *notes, char **ret_why)
{
	struct said_list net = {.v = NULL};
	int r = resolve(o, &o->groups, &net, notes, ret_why);

	if (r == 0)
		r = resolve(o, &o->net, &net, notes, ret_why);
	if (r != 0) {
		said_free(&net);
		return r;
	}
	said_free(&o->groups);
	said_free(&o->net);
	o->net = net;
	return 0;
}
