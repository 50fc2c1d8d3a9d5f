/* From a policy to options: see policy_open.h. */
#include "monitor/policy_open.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/environment.h"
#include "monitor/groups.h"
#include "monitor/options_table.h"
#include "policy/glob.h"
#include "policy/value.h"
#include "util/err.h"

/* Notes TEXT at ORIGIN ("FILE:LINE:COLUMN"; FILE may hold colons). */
static void bad(struct lang_messages *m, const char *origin, const char *text)
{
	AUTO_FREE char *file = strdup(origin ? origin : "");
	unsigned int at[2] = {0, 0};

	if (!file) {
		m->errors++;
		return;
	}
	for (int i = 1; i >= 0; i--) {
		char *colon = strrchr(file, ':');

		if (!colon)
			break;
		at[i] = (unsigned int)strtoul(colon + 1, NULL, 10);
		*colon = '\0';
	}
	lang_message_add(m, false, file, at[0], at[1], text);
}

/* A list of rules the network has nothing for yet: the option of the same meaning tells. */
static void not_yet(struct lang_messages *m, const struct said_list *l, const char *key, enum option_id id)
{
	enum option_not_yet n = option_rows[id].not_yet;
	char text[300];

	if (n == NOT_YET_NONE || l->n == 0)
		return;
	(void)snprintf(text, sizeof(text), "%s is not there yet: it arrives with %s (docs/LIMITS.md); %s", key,
		       option_not_yet_subject(n), option_not_yet_advice(n));
	for (size_t i = 0; i < l->n; i++)
		bad(m, l->v[i].origin, text);
}

static void check_groups(const struct lang_values *v, struct lang_messages *m)
{
	for (size_t i = 0; i < v->groups.n; i++) {
		AUTO_FREE char *text = NULL;

		if (groups_fault(v, v->groups.v[i].text, &text) && text)
			bad(m, v->groups.v[i].origin, text);
	}
}

/* A limit can be required where one is set. */
static void check_limits(const struct lang_values *v, struct lang_messages *m)
{
	for (size_t i = 0; i < v->require.n; i++) {
		const char *name = v->require.v[i].text;

		if ((strcmp(name, "limits.memory") == 0 && !v->memory_from) ||
		    (strcmp(name, "limits.cpus") == 0 && !v->cpus_from) ||
		    (strcmp(name, "limits.pids") == 0 && !v->pids_from))
			bad(m, v->require.v[i].origin, "a limit that is not set cannot be required: set it under limits:");
	}
}

/* The variable of a credential is its placeholder's alone. */
static void check_credentials(const struct lang_values *v, struct lang_messages *m)
{
	for (size_t i = 0; i < v->credentials.n; i++) {
		const char *name = v->credentials.v[i].name;

		for (size_t k = 0; k < v->env_set.n; k++)
			if (strncmp(v->env_set.v[k].text, name, strlen(name)) == 0 && v->env_set.v[k].text[strlen(name)] == '=')
				bad(m, v->env_set.v[k].origin,
				    "a credential of that name is held back: its variable holds the placeholder");
	}
}

/* Credentials, and what of them must not be seen: the files they are from. */
static int take_credentials(struct run_options *o, const struct lang_values *v)
{
	int r = credential_list_copy(&v->credentials, &o->credentials);

	for (size_t i = 0; r == 0 && i < v->credentials.n; i++) {
		const struct credential_rule *c = &v->credentials.v[i];
		const char *home = getenv("HOME");
		AUTO_FREE char *path = NULL, *real = NULL, *pattern = NULL;

		if (c->from != CREDENTIAL_FROM_FILE)
			continue;
		if (asprintf(&path, "%s%s", c->from_text[0] == '~' && home ? home : "", c->from_text + (c->from_text[0] == '~')) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		real = realpath(path, NULL);
		pattern = glob_quote(real ? real : path);
		r = pattern ? string_list_add(&o->hide, pattern) : -ENOMEM;
	}
	return r;
}

int policy_check(const struct lang *l, struct lang_messages *m)
{
	const struct lang_values *v = lang_values(l);

	not_yet(m, &v->net, "network.allow", OPTION_NET);
	not_yet(m, &v->groups, "network.groups", OPTION_NET);
	not_yet(m, &v->net_host, "network.host", OPTION_NET);
	not_yet(m, &v->unix_sockets, "network.unix", OPTION_UNIX);
	not_yet(m, &v->publish, "network.publish", OPTION_PUBLISH);
	check_credentials(v, m);
	check_groups(v, m);
	check_limits(v, m);
	return 0;
}

/* Puts copies of FROM in front of what TO holds. */
static int before(struct said_list *to, const struct said_list *from)
{
	struct said_list l = {.v = NULL};
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->n; i++)
		r = said_add(&l, from->v[i].text, from->v[i].origin);
	for (size_t i = 0; r == 0 && i < to->n; i++)
		r = said_add(&l, to->v[i].text, to->v[i].origin);
	if (r < 0) {
		said_free(&l);
		return r;
	}
	said_free(to);
	*to = l;
	return 0;
}

static int take_lists(struct run_options *o, const struct lang_values *v)
{
	int r = before(&o->net, &v->net);

	if (r == 0)
		r = before(&o->unix_sockets, &v->unix_sockets);
	if (r == 0)
		r = before(&o->publish, &v->publish);
	if (r == 0)
		r = before(&o->net_host, &v->net_host);
	if (r == 0)
		r = before(&o->groups, &v->groups);
	for (size_t i = 0; r == 0 && i < v->env_pass.n; i++)
		r = string_list_add(&o->env_pass, v->env_pass.v[i].text);
	for (size_t i = 0; r == 0 && i < v->env_set.n; i++)
		r = string_list_add(&o->env_set, v->env_set.v[i].text);
	/* Behind what the command line denies. */
	for (size_t i = 0; r == 0 && i < v->exec_deny.n; i++) {
		const struct exec_deny *d = &v->exec_deny.v[i];

		r = exec_deny_add(&o->exec_deny, d->path, (const char *const *)d->args, d->origin);
	}
	return r == 0 ? tmpfs_copy(&o->tmpfs, &v->tmpfs) : r;
}

/* What an option said stays. */
static void take_single(struct run_options *o, const struct lang_values *v)
{
	if (o->memory == 0)
		o->memory = v->memory;
	if (o->pids == 0)
		o->pids = v->pids;
	if (o->files == 0)
		o->files = v->files;
	if (!(o->cpus > 0))
		o->cpus = v->cpus;
	if (o->timeout_ms == 0)
		o->timeout_ms = v->time_ms;
	if (!o->user_set && v->user)
		o->user_set = value_user(v->user, &o->uid, &o->gid) == 0;
	if (!o->audit)
		o->audit = v->audit;
	if (v->reads_from)
		o->audit_reads = v->audit_reads;
	if (v->stacks_from && o->audit_stacks == AUDIT_OFF) /* --stacks */
		o->audit_stacks = v->audit_stacks;
	if (!o->mediate_set && v->mediate_from)
		o->mediate_all = v->mediate_all;
	if (!o->syscalls_set)
		o->syscalls = v->list;
	if (v->written_from)
		o->written = v->written;
	o->memfd_exec = o->memfd_exec || v->memfd_exec;
	o->io_uring_restricted = o->io_uring_restricted || v->io_uring_restricted;
}

int policy_open(struct run_options *o, struct lang_messages *m)
{
	const struct lang_values *v;
	int r;

	if (o->policy_file)
		r = lang_load(&lang_host, o->policy_file, &o->policy, m);
	else
		r = lang_load_profile(&lang_host, o->profile ? o->profile : "agent", &o->policy);
	if (r != 0)
		return r;
	if (o->policy_file) {
		r = policy_check(o->policy, m);
		if (r == 0 && m->errors)
			r = LANG_INVALID;
	}
	if (r != 0)
		return r;
	v = lang_values(o->policy);
	o->profile = v->profile ? v->profile : "custom";
	r = take_lists(o, v);
	if (r == 0)
		r = take_credentials(o, v);
	if (r == 0)
		take_single(o, v);
	return r;
}

void policy_messages_print(const struct lang_messages *m, bool warnings)
{
	for (size_t i = 0; i < m->n; i++) {
		AUTO_FREE char *text = NULL;

		if (m->v[i].warning && !warnings)
			continue;
		text = lang_message_text(&m->v[i]);
		fprintf(stderr, "%s\n", text ? text : "gabion: out of memory");
	}
	if (m->errors > m->n)
		fprintf(stderr, "gabion: and more errors: %zu in all\n", m->errors);
}
