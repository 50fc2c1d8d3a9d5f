/*
 * The keys of a policy but those about paths. A key has a function that reads its value; there is no other list of keys.
 * What needs more than the file (whether a user exists, whether a host offers something) is asked where it is cheap and
 * else left to who uses the values, who has the origin to name.
 */
#include "policy/lang_layer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob.h"
#include "policy/require.h"
#include "policy/value.h"
#include "util/err.h"

static struct lang_values *values(struct lang_reader *rd)
{
	return &rd->l->values;
}

static void own_text(struct lang_reader *rd, char **where, const char *text)
{
	free(*where);
	*where = strdup(text);
	if (!*where)
		rd->r = -ENOMEM;
}

/* -- exec -- */

static void one_argument(struct lang_reader *rd, uint32_t node, const char *path)
{
	struct exec_deny *d = rd->item;
	const char *text = lang_read_text(rd, node, path);
	size_t n = 0;
	char **v;

	if (!text)
		return;
	while (d->args && d->args[n])
		n++;
	v = reallocarray(d->args, n + 2, sizeof(*v));
	if (!v) {
		rd->r = -ENOMEM;
		return;
	}
	d->args = v;
	v[n] = strdup(text);
	v[n + 1] = NULL;
	if (!v[n])
		rd->r = -ENOMEM;
}

static void take_deny_path(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct exec_deny *d = rd->item;
	const char *text = lang_read_text(rd, value, path);

	text = text ? lang_read_variables(rd, value, text, true) : NULL;
	if (!text || !lang_check_pattern(rd, value, text, false))
		return;
	own_text(rd, &d->path, text);
	lang_from(rd, &d->origin, value);
}

static void take_deny_args(struct lang_reader *rd, uint32_t value, const char *path)
{
	const struct lang_node *n = &rd->l->tree.nodes[value];

	if (n->type == LANG_LIST && n->end == value + 1)
		lang_bad(rd, value, "%s is an empty list, which could mean no arguments or any: leave args out to refuse "
				    "the program whatever the arguments", path);
	else
		lang_read_list(rd, value, path, "", one_argument);
}

static void one_deny(struct lang_reader *rd, uint32_t node, const char *path)
{
	static const struct lang_key keys[] = {{"path", take_deny_path}, {"args", take_deny_args}};
	struct exec_deny_list *l = &values(rd)->exec_deny;
	struct exec_deny d = {.path = NULL}, *v;
	size_t errors = rd->m->errors;

	rd->item = &d;
	if (rd->l->tree.nodes[node].type == LANG_MAP)
		lang_read_map(rd, node, path, keys, ARRAY_LEN(keys));
	else
		take_deny_path(rd, node, path);
	if (!d.path && rd->m->errors == errors && rd->l->tree.nodes[node].type == LANG_MAP)
		lang_bad(rd, node, "an item of %s names no path: {path: ..., args: [...]}", path);
	v = d.path && d.origin ? reallocarray(l->v, l->n + 1, sizeof(*v)) : NULL;
	if (v) {
		l->v = v;
		v[l->n++] = d;
		return;
	}
	for (char **a = d.args; a && *a; a++)
		free(*a);
	free(d.args);
	free(d.path);
	free(d.origin);
}

static void take_deny(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, "it refuses nothing", one_deny);
}

static void take_written(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const char *const words[] = {"deny", "mounts", "allow", NULL};
	int i = lang_read_word(rd, value, path, words);

	if (i >= 0)
		values(rd)->written = (enum written_mode)i;
	lang_from(rd, &values(rd)->written_from, value);
}

static void take_memfd(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const char *const words[] = {"deny", "allow", NULL};

	values(rd)->memfd_exec = lang_read_word(rd, value, path, words) == 1;
	lang_from(rd, &values(rd)->memfd_from, value);
}

static void take_exec(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const struct lang_key keys[] = {{"deny", take_deny}, {"written", take_written}, {"memfd", take_memfd}};

	lang_read_map(rd, value, path, keys, ARRAY_LEN(keys));
}

/* -- environment -- */

static bool variable_name_ok(const char *s, const char *more)
{
	char set[96];

	(void)snprintf(set, sizeof(set), "%s%s", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", more);
	return *s && (*s < '0' || *s > '9') && strspn(s, set) == strlen(s);
}

static void one_pass(struct lang_reader *rd, uint32_t node, const char *path)
{
	const char *text = lang_read_text(rd, node, path);

	if (!text)
		return;
	if (strchr(text, '='))
		lang_bad(rd, node, "'%.60s' sets a variable (did you mean environment: {set: {%.*s: \"%.60s\"}}?)", text,
			 (int)strcspn(text, "="), text, strchr(text, '=') + 1);
	else if (!variable_name_ok(text, "*?[]!-^"))
		lang_bad(rd, node, "'%.60s' names no variable: letters, digits, _, and * ? [...] for several%s", text,
			 text[0] == '$' ? " (without the $)" : "");
	else if (glob_component_kind(text, strlen(text)) < 0 && strcmp(text, "**") != 0)
		lang_bad(rd, node, "'%.60s': [ needs its ]", text);
	else
		lang_say(rd, &values(rd)->env_pass, node, text);
}

static void take_pass(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, "no variable is passed by it", one_pass);
}

static void take_set(struct lang_reader *rd, uint32_t value, const char *path)
{
	const struct lang_node *nodes = rd->l->tree.nodes;

	if (nodes[value].type != LANG_MAP) {
		lang_bad(rd, value, "%s has names and values: set: {CI: \"1\"}", path);
		return;
	}
	for (uint32_t key = value + 1; key < nodes[value].end;) {
		uint32_t at = nodes[key].end;
		const char *name = nodes[key].type == LANG_SCALAR ? lang_text(&rd->l->tree, key) : "";
		const char *text = nodes[at].type == LANG_SCALAR ? lang_text(&rd->l->tree, at) : NULL;
		AUTO_FREE char *entry = NULL;

		if (!variable_name_ok(name, ""))
			lang_bad(rd, key, "'%.60s' names no variable: letters, digits and _", name);
		else if (!text)
			lang_bad(rd, at, "the variable %.60s has no text for a value (an empty one is \"\")", name);
		for (uint32_t k = value + 1; k < key && *name; k = nodes[nodes[k].end].end)
			if (nodes[k].type == LANG_SCALAR && strcmp(lang_text(&rd->l->tree, k), name) == 0)
				lang_bad(rd, key, "'%.60s' is said twice (first in line %u)", name, nodes[k].line);
		text = text ? lang_read_variables(rd, at, text, false) : NULL;
		if (text && asprintf(&entry, "%s=%s", name, text) < 0) {
			entry = NULL;
			rd->r = -ENOMEM;
		}
		if (entry)
			lang_say(rd, &values(rd)->env_set, at, entry);
		key = nodes[at].end;
	}
}

static void take_environment(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const struct lang_key keys[] = {{"pass", take_pass}, {"set", take_set}};

	lang_read_map(rd, value, path, keys, ARRAY_LEN(keys));
}

/* -- limits -- */

static void amount_bad(struct lang_reader *rd, uint32_t node, const char *path, const char *text, int r, const char *form)
{
	lang_bad(rd, node, "%s: '%.40s' is %s: %s", path, text, r == -ERANGE ? "out of range" : "no such amount", form);
}

static void take_memory(struct lang_reader *rd, uint32_t value, const char *path)
{
	const char *text = lang_read_plain(rd, value, path);
	int r = text ? value_size(text, &values(rd)->memory) : 0;

	if (r < 0)
		amount_bad(rd, value, path, text, r, "a size is a whole number with k, m, g or t, and at least 1m: 512m, 2g");
	lang_from(rd, &values(rd)->memory_from, value);
}

static void take_cpus(struct lang_reader *rd, uint32_t value, const char *path)
{
	const char *text = lang_read_plain(rd, value, path);
	int r = text ? value_cpus(text, &values(rd)->cpus) : 0;

	if (r < 0)
		amount_bad(rd, value, path, text, r, "a number of processors is decimal and at least 0.01: 2, 1.5");
	lang_from(rd, &values(rd)->cpus_from, value);
}

static void take_pids(struct lang_reader *rd, uint32_t value, const char *path)
{
	const char *text = lang_read_plain(rd, value, path);
	int r = text ? value_pids(text, &values(rd)->pids) : 0;

	if (r < 0)
		amount_bad(rd, value, path, text, r, "a number of processes is whole, from 1 to 4194304: 500");
	lang_from(rd, &values(rd)->pids_from, value);
}

static void take_files(struct lang_reader *rd, uint32_t value, const char *path)
{
	const char *text = lang_read_plain(rd, value, path);
	int r = text ? value_files(text, &values(rd)->files) : 0;

	if (r < 0)
		amount_bad(rd, value, path, text, r, "a number of open files is whole, from 16 to 1048576: 4096");
	lang_from(rd, &values(rd)->files_from, value);
}

static void take_time(struct lang_reader *rd, uint32_t value, const char *path)
{
	const char *text = lang_read_plain(rd, value, path);
	int r = text ? value_duration(text, &values(rd)->time_ms) : 0;

	if (r < 0)
		amount_bad(rd, value, path, text, r,
			   "a time is whole numbers with d, h, m, s or ms, the largest first: 30s, 5m, 1h30m");
	lang_from(rd, &values(rd)->time_from, value);
}

static void take_limits(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const struct lang_key keys[] = {{"memory", take_memory},
					       {"cpus", take_cpus},
					       {"pids", take_pids},
					       {"files", take_files},
					       {"time", take_time}};

	lang_read_map(rd, value, path, keys, ARRAY_LEN(keys));
}

/* -- audit, and what stands alone -- */

static void take_file(struct lang_reader *rd, uint32_t value, const char *path)
{
	const char *text = lang_read_plain(rd, value, path);

	if (text)
		own_text(rd, &values(rd)->audit, text);
	lang_from(rd, &values(rd)->audit_from, value);
}

static enum audit_mode read_mode(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const char *const words[] = {"off", "denied", "all", NULL};
	int i = lang_read_word(rd, value, path, words);

	return i > 0 ? (enum audit_mode)i : AUDIT_OFF;
}

static void take_reads(struct lang_reader *rd, uint32_t value, const char *path)
{
	values(rd)->audit_reads = read_mode(rd, value, path);
	lang_from(rd, &values(rd)->reads_from, value);
}

static void take_stacks(struct lang_reader *rd, uint32_t value, const char *path)
{
	values(rd)->audit_stacks = read_mode(rd, value, path);
	lang_from(rd, &values(rd)->stacks_from, value);
}

static void take_audit(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const struct lang_key keys[] = {{"file", take_file}, {"reads", take_reads}, {"stacks", take_stacks}};

	lang_read_map(rd, value, path, keys, ARRAY_LEN(keys));
}

static void take_mediate(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const char *const words[] = {"auto", "all", NULL};

	values(rd)->mediate_all = lang_read_word(rd, value, path, words) == 1;
	lang_from(rd, &values(rd)->mediate_from, value);
}

static void take_syscalls(struct lang_reader *rd, uint32_t value, const char *path)
{
	const char *words[LIST_COUNT + 1] = {NULL};
	int i;

	for (i = 0; i < LIST_COUNT; i++)
		words[i] = table_list_name((enum sys_list)i);
	i = lang_read_word(rd, value, path, words);
	if (i >= 0)
		values(rd)->list = (enum sys_list)i;
	lang_from(rd, &values(rd)->syscalls_from, value);
}

static void take_io_uring(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const char *const words[] = {"off", "restricted", NULL};

	values(rd)->io_uring_restricted = lang_read_word(rd, value, path, words) == 1;
	lang_from(rd, &values(rd)->io_uring_from, value);
}

static void take_user(struct lang_reader *rd, uint32_t value, const char *path)
{
	const char *text = lang_read_plain(rd, value, path);
	uid_t uid;
	gid_t gid;
	int r = text ? value_user(text, &uid, &gid) : 0;

	if (r == -ENOENT || r == -ESRCH)
		lang_bad(rd, value, "%s: no %s is called so in '%.60s' (a number works without an account: 1000:1000)",
			 path, r == -ENOENT ? "user" : "group", text);
	else if (r < 0)
		lang_bad(rd, value, "%s: '%.60s' names no user: USER[:GROUP], names or numbers: 1000, 1000:100", path, text);
	else if (text)
		own_text(rd, &values(rd)->user, text);
	lang_from(rd, &values(rd)->user_from, value);
}

static void one_require(struct lang_reader *rd, uint32_t node, const char *path)
{
	const char *text = lang_read_text(rd, node, path), *near;

	if (!text)
		return;
	if (require_known(text)) {
		lang_say(rd, &values(rd)->require, node, text);
		return;
	}
	near = nearest_word(text, require_names());
	lang_bad(rd, node, "nothing called '%.60s' can be required%s%s%s", text, near ? " (did you mean " : "", near ? near : "",
		 near ? "?)" : " (gabion-policy(5) lists what can)");
}

static void take_require(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, "it requires nothing", one_require);
}

static void take_version(struct lang_reader *rd, uint32_t value, const char *path)
{
	const char *text = lang_read_text(rd, value, path);

	if (text && strcmp(text, "1") != 0)
		lang_bad(rd, value, "version '%.40s' is not known: this gabion reads version 1", text);
}

static void take_extends(struct lang_reader *rd, uint32_t value, const char *path)
{
	if (rd->l->tree.nodes[value].type == LANG_LIST) {
		lang_bad(rd, value, "%s is one profile or file: what that extends counts as well", path);
		return;
	}
	rd->l->extends = lang_read_plain(rd, value, path);
	rd->l->extends_node = value;
}

static const struct lang_key top[] = {
	{"version", take_version},   {"extends", take_extends},		{"filesystem", lang_read_filesystem},
	{"exec", take_exec},	     {"network", lang_read_network},	{"groups", lang_read_groups},
	{"environment", take_environment}, {"limits", take_limits},	{"user", take_user},
	{"io_uring", take_io_uring}, {"audit", take_audit},		{"mediate", take_mediate},
	{"syscalls", take_syscalls}, {"require", take_require},  {"credentials", lang_read_credentials},
};

static bool has_key(const struct lang_tree *t, const char *name)
{
	for (uint32_t key = 1; key < t->nodes[0].end; key = t->nodes[t->nodes[key].end].end)
		if (t->nodes[key].type == LANG_SCALAR && strcmp(lang_text(t, key), name) == 0)
			return true;
	return false;
}

static int by_place(const void *a, const void *b)
{
	const struct lang_message *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return (x > y) - (x < y);
}

int lang_read_layer(struct lang_reader *rd)
{
	const struct lang_tree *t = &rd->l->tree;
	size_t before = rd->m->n;

	if (t->n == 0) {
		lang_note(rd->m, false, rd->l->file, 1, 1, "an empty file is no policy (it begins with \"version: 1\")");
		return rd->r;
	}
	lang_read_map(rd, 0, "", top, ARRAY_LEN(top));
	if (t->nodes[0].type == LANG_MAP && !has_key(t, "version"))
		lang_bad(rd, 0, "no version is named (a policy begins with \"version: 1\")");
	if (rd->r == 0 && !rd->l->built_in)
		rd->r = lang_check_conflicts(rd);
	if (rd->m->n > before + 1)
		qsort(rd->m->v + before, rd->m->n - before, sizeof(*rd->m->v), by_place);
	return rd->r;
}
