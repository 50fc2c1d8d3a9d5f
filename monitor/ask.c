/* Questions to a policy: see ask.h. The rules are those of the file and of what it extends; what a run adds by itself is not. */
#include "monitor/ask.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/environment.h"
#include "monitor/floor/floor.h"
#include "monitor/groups.h"
#include "monitor/options_table.h"
#include "monitor/policy_open.h"
#include "monitor/rules.h"
#include "net_policy.h"
#include "policy/lang_rules.h"
#include "util/err.h"

struct ask {
	struct run_options o; /* the policy is in there */
	char *home;
	char **workspaces;
	struct lang_places places;
	struct policy *policy;
};

struct ask *ask_free(struct ask *a)
{
	if (!a)
		return NULL;
	(void)policy_free(a->policy);
	run_options_clear(&a->o);
	for (size_t i = 0; a->workspaces && a->workspaces[i]; i++)
		free(a->workspaces[i]);
	free(a->workspaces);
	free(a->home);
	free(a);
	return NULL;
}

/* The workspace a run from here would have; the current directory where it could have none. */
static int find_places(struct ask *a)
{
	const char *home = getenv("HOME");
	AUTO_FREE char *why = NULL;
	uint32_t facts = 0;
	int r;

	a->home = realpath(home ? home : "/", NULL);
	if (!a->home)
		a->home = strdup(home ? home : "/");
	if (!a->home)
		return -ENOMEM;
	r = workspace_find(".", a->home, false, &a->workspaces, &why);
	if (r < 0) {
		a->workspaces = calloc(2, sizeof(*a->workspaces));
		if (!a->workspaces)
			return -ENOMEM;
		a->workspaces[0] = realpath(".", NULL);
	}
	(void)floor_expect(&facts);
	a->places = (struct lang_places){.home = a->home,
					 .real_home = a->home,
					 .workspaces = (const char *const *)a->workspaces,
					 .scratch = "/run/scratch",
					 .view = (facts & FLOOR_VIEW) != 0,
					 .home_host = lang_values(a->o.policy)->home_host};
	return 0;
}

static int add_denies(struct policy_builder *b, const struct exec_deny_list *l)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < l->n; i++) {
		AUTO_FREE char *pattern = rules_pattern(l->v[i].path);

		r = pattern ? policy_builder_deny_exec(b, pattern, (const char *const *)l->v[i].args, l->v[i].origin) : -ENOMEM;
	}
	return r;
}

static int compile(struct ask *a, struct lang_messages *m)
{
	struct policy_builder *b = NULL;
	AUTO_FREE char *why = NULL;
	int r = policy_builder_new(&b);

	if (r == 0)
		r = lang_add_rules(a->o.policy, LANG_BUILT_IN, &a->places, b, &why);
	if (r == 0)
		r = lang_add_rules(a->o.policy, LANG_FILES, &a->places, b, &why);
	if (r == 0)
		r = add_denies(b, &a->o.exec_deny);
	if (r == 0)
		r = policy_builder_written(b, a->o.written);
	if (r == 0)
		r = policy_compile(b, &a->policy);
	(void)policy_builder_free(b);
	if (r == -EINVAL && why) {
		lang_message_add(m, false, a->o.policy_file, 0, 0, why);
		return LANG_INVALID;
	}
	return r == 0 ? lang_judge(a->o.policy, &a->places, a->policy, m) : r;
}

int ask_new(const char *file, struct ask **ret_ask, struct lang_messages *m)
{
	struct ask *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	a->o = RUN_OPTIONS_NULL;
	a->o.policy_file = file;
	r = policy_open(&a->o, m);
	if (r == 0)
		r = find_places(a);
	if (r == 0)
		r = compile(a, m);
	if (r == 0 && m->errors)
		r = LANG_INVALID;
	if (r != 0) {
		(void)ask_free(a);
		return r;
	}
	*ret_ask = a;
	return 0;
}

void ask_answer_clear(struct ask_answer *a)
{
	free(a->object);
	free(a->why);
	free(a->rule);
	free(a->origin);
	*a = (struct ask_answer){.question = NULL};
}

static const struct {
	const char *word;
	enum op op;
} questions[] = {{"read", OP_READ}, {"write", OP_WRITE}, {"exec", OP_EXEC}, {"connect", OP_CONNECT}};

static enum op op_of(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(questions); i++)
		if (strcmp(questions[i].word, word) == 0)
			return questions[i].op;
	return OP_NONE;
}

bool ask_knows(const char *word)
{
	return op_of(word) != OP_NONE;
}

/* Fills the rest of an answer; RULE may be NULL. WHY is said where no rule spoke. */
static int answered(struct ask_answer *a, bool allowed, const char *rule, const char *origin, const char *why)
{
	a->allowed = allowed;
	if (rule) {
		a->rule = strdup(rule);
		a->origin = strdup(origin ? origin : "");
		if (!a->rule || !a->origin || asprintf(&a->why, "%s (%s)", rule, a->origin) < 0) {
			a->why = NULL;
			return -ENOMEM;
		}
		return 0;
	}
	a->why = strdup(why ? why : "");
	return a->why ? 0 : -ENOMEM;
}

/* ~, relative paths and links as far as they lead. NULL: no memory. */
static char *whole_path(const struct ask *a, const char *object)
{
	AUTO_FREE char *path = NULL;

	if (object[0] == '~' && (object[1] == '/' || object[1] == '\0')) {
		if (asprintf(&path, "%s%s", a->home, object + 1) < 0)
			path = NULL;
	} else if (object[0] == '/') {
		path = strdup(object);
	} else {
		AUTO_FREE char *cwd = getcwd(NULL, 0);
		if (!cwd || asprintf(&path, "%s/%s", cwd, object) < 0)
			path = NULL;
	}
	return path ? lang_canonical(path) : NULL;
}

/* The first rule that refuses to execute PATH with certain arguments: with its own patterns for arguments it speaks. */
static const struct rule *refuses_arguments(const struct policy *p, const char *path)
{
	for (size_t i = 0; i < policy_rule_count(p); i++) {
		const struct rule *rule = policy_rule(p, i);
		size_t n = 0;
		struct verdict v;

		if (rule->kind != RULE_EXEC_DENY || !rule->args)
			continue;
		while (rule->args[n])
			n++;
		v = policy_exec_args(p, path, strlen(path), (const char *const *)rule->args, n);
		if (v.kind == VERDICT_DENY && v.rule == rule)
			return rule;
	}
	return NULL;
}

/* Adds to an answer that RULE refuses it with some arguments. */
static int but_not_with(struct ask_answer *a, const struct rule *rule)
{
	char *why = NULL;
	int r = asprintf(&why, "%s; not with arguments as of %s", a->why, rule->origin);

	if (r < 0)
		return -ENOMEM;
	free(a->why);
	a->why = why;
	return 0;
}

static int path_answer(const struct ask *a, enum op op, const char *object, struct ask_answer *ret)
{
	struct verdict v;
	AUTO_FREE char *rule = NULL;

	ret->object = whole_path(a, object);
	if (!ret->object)
		return -ENOMEM;
	for (size_t i = 0; op == OP_CONNECT && i < a->o.unix_sockets.n; i++) {
		const struct said *s = &a->o.unix_sockets.v[i];

		if (strcmp(s->text, ret->object) != 0)
			continue;
		if (asprintf(&rule, "unix %s", s->text) < 0)
			return -ENOMEM;
		return answered(ret, true, rule, s->origin, NULL);
	}
	v = policy_path(a->policy, op, ret->object, strlen(ret->object));
	if (v.rule && asprintf(&rule, "%s %s", rule_kind_name(v.rule->kind), v.rule->pattern) < 0)
		return -ENOMEM;
	int r = answered(ret, v.kind == VERDICT_ALLOW, rule, v.rule ? v.rule->origin : NULL,
			 v.kind == VERDICT_ALLOW ? "on the way to what is allowed" : "no rule allows it");
	const struct rule *arguments =
		r == 0 && op == OP_EXEC && ret->allowed ? refuses_arguments(a->policy, ret->object) : NULL;

	return arguments ? but_not_with(ret, arguments) : r;
}

/* HOST:PORT[/PROTO], [ADDRESS]:PORT, HOST (port 443). False: cannot be meant. */
static bool parse_host(const char *object, char host[static NET_NAME_SIZE], uint16_t *ret_port, enum net_proto *ret_proto)
{
	AUTO_FREE char *copy = strdup(object);
	char *at = copy, *port = NULL, *end, *slash;
	unsigned long n = 443;

	*ret_proto = NET_PROTO_TCP;
	if (!copy)
		return false;
	slash = strchr(copy, '/');
	if (slash) {
		if (strcmp(slash, "/udp") == 0)
			*ret_proto = NET_PROTO_UDP;
		else if (strcmp(slash, "/tcp") != 0)
			return false;
		*slash = '\0';
	}
	if (copy[0] == '[') {
		at = copy + 1;
		end = strchr(at, ']');
		if (!end || (end[1] != '\0' && end[1] != ':'))
			return false;
		port = end[1] ? end + 2 : NULL;
		*end = '\0';
	} else if (strchr(copy, ':') && strchr(copy, ':') == strrchr(copy, ':')) {
		port = strchr(copy, ':') + 1;
		port[-1] = '\0';
	}
	if (port) {
		n = strtoul(port, &end, 10);
		if (*port < '0' || *port > '9' || *end || n == 0 || n > UINT16_MAX)
			return false;
	}
	*ret_port = (uint16_t)n;
	return (size_t)snprintf(host, NET_NAME_SIZE, "%s", at) < NET_NAME_SIZE && host[0] != '\0';
}

/* The rules about hosts, groups among them (their tools are asked). -errno, or LANG_INVALID with RET_WHY. */
static int host_policy(const struct ask *a, struct net_policy **ret_p, char **ret_why)
{
	struct run_options o = RUN_OPTIONS_NULL;
	struct string_list notes = {.n = 0};
	struct net_fault fault;
	struct net_text *texts;
	int r = 0;

	o.policy = a->o.policy;
	for (size_t i = 0; r == 0 && i < a->o.net.n; i++)
		r = said_add(&o.net, a->o.net.v[i].text, a->o.net.v[i].origin);
	for (size_t i = 0; r == 0 && i < a->o.groups.n; i++)
		r = said_add(&o.groups, a->o.groups.v[i].text, a->o.groups.v[i].origin);
	if (r == 0)
		r = groups_resolve(&o, &notes, ret_why);
	string_list_free(&notes);
	o.policy = NULL;
	texts = r == 0 ? calloc(o.net.n + 1, sizeof(*texts)) : NULL;
	if (r == 0 && !texts)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < o.net.n; i++)
		texts[i] = (struct net_text){.text = o.net.v[i].text, .origin = o.net.v[i].origin};
	if (r == 0)
		r = net_policy_compile(texts, o.net.n, ret_p, &fault);
	if (r == -EINVAL) {
		*ret_why = strdup(fault.text);
		r = *ret_why ? LANG_INVALID : -ENOMEM;
	}
	free(texts);
	run_options_clear(&o);
	return r;
}

static int host_answer(const struct ask *a, const char *object, struct ask_answer *ret)
{
	char host[NET_NAME_SIZE], name[NET_NAME_SIZE];
	struct net_address address = NET_ADDRESS_NULL;
	struct net_policy *p = NULL;
	struct net_verdict v;
	enum net_proto proto;
	AUTO_FREE char *rule = NULL;
	AUTO_FREE char *why = NULL;
	uint16_t port;
	int r;

	ret->object = strdup(object);
	if (!ret->object)
		return -ENOMEM;
	if (!parse_host(object, host, &port, &proto))
		return answered(ret, false, NULL, NULL, "this is neither HOST:PORT nor a path");
	r = net_address_parse(host, &address);
	if (r < 0 && net_name_canon(host, strlen(host), name) != 0)
		return answered(ret, false, NULL, NULL, "no host is called that");
	bool is_name = r < 0;
	r = host_policy(a, &p, &why);
	if (r == LANG_INVALID)
		return answered(ret, false, NULL, NULL, why ? why : "the rules about hosts are not valid");
	if (r < 0)
		return r;
	v = is_name ? net_policy_name(p, name, proto, port) : net_policy_address(p, &address, proto, port);
	if (v.rule && asprintf(&rule, "allow %s", v.rule->text) < 0)
		rule = NULL;
	r = v.rule && !rule ? -ENOMEM
			    : answered(ret, v.kind == VERDICT_ALLOW, rule, v.rule ? v.rule->origin : NULL,
				       "no rule names this host and port");
	(void)net_policy_free(p);
	return r;
}

int ask_object(const struct ask *a, const char *question, const char *object, struct ask_answer *ret_answer)
{
	struct ask_answer answer = {.question = question};
	enum op op = op_of(question);
	bool is_path = op != OP_CONNECT || strchr("/.~", object[0]) != NULL;
	int r = is_path ? path_answer(a, op, object, &answer) : host_answer(a, object, &answer);

	if (r < 0) {
		ask_answer_clear(&answer);
		return r;
	}
	*ret_answer = answer;
	return 0;
}
