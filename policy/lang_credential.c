/*
 * credentials: of a policy. Every error is named at its place, and nothing is guessed: an empty list of hosts or of what is
 * allowed could mean nothing or everything, and is refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/lang_layer.h"
#include "policy/value.h"
#include "util/err.h"

enum { HTTPS = 443 };

static void own(struct lang_reader *rd, char **where, const char *text)
{
	free(*where);
	*where = strdup(text);
	if (!*where)
		rd->r = -ENOMEM;
}

static bool variable_name_ok(const char *s)
{
	return *s && (*s < '0' || *s > '9') && strlen(s) <= CREDENTIAL_NAME_MAX &&
	       strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s);
}

/* What no header of a request may be called: these frame it, name its target, or are gabion's own. */
static bool header_taken(const char *name)
{
	static const char *const taken[] = {"host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade",
					    "expect", "keep-alive", "proxy-connection", "accept-encoding", "range", "content-type", NULL};

	for (size_t i = 0; taken[i]; i++)
		if (strcasecmp(name, taken[i]) == 0)
			return true;
	return false;
}

static bool empty_list(struct lang_reader *rd, uint32_t value)
{
	const struct lang_node *n = &rd->l->tree.nodes[value];

	return n->type == LANG_LIST && n->end == value + 1;
}

/* -- name, from -- */

static void take_name(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct credential_rule *c = rd->item;
	const char *text = lang_read_text(rd, value, path);

	if (!text)
		return;
	if (!variable_name_ok(text))
		lang_bad(rd, value, "'%.70s' names no variable: letters, digits and _, 63 at most", text);
	else
		own(rd, &c->name, text);
}

static void take_from_file(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct credential_rule *c = rd->item;
	const char *text = lang_read_text(rd, value, path);

	text = text ? lang_read_variables(rd, value, text, false) : NULL;
	if (!text)
		return;
	c->from = CREDENTIAL_FROM_FILE;
	if (text[0] != '/' && strncmp(text, "~/", 2) != 0)
		lang_bad(rd, value, "'%.80s': the file is named by an absolute path, or one that begins with ~/", text);
	else
		own(rd, &c->from_text, text);
}

static void one_word(struct lang_reader *rd, uint32_t node, const char *path)
{
	struct credential_rule *c = rd->item;
	const char *text = lang_read_text(rd, node, path);
	size_t n = 0;
	char **v;

	text = text ? lang_read_variables(rd, node, text, false) : NULL;
	if (!text)
		return;
	while (c->argv && c->argv[n])
		n++;
	v = reallocarray(c->argv, n + 2, sizeof(*v));
	if (!v) {
		rd->r = -ENOMEM;
		return;
	}
	c->argv = v;
	v[n] = strdup(text);
	v[n + 1] = NULL;
	if (!v[n])
		rd->r = -ENOMEM;
}

static void take_from_command(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct credential_rule *c = rd->item;

	c->from = CREDENTIAL_FROM_COMMAND;
	if (empty_list(rd, value))
		lang_bad(rd, value, "%s is an empty list: a program and its arguments are wanted: [gh, auth, token]", path);
	else
		lang_read_list(rd, value, path, "", one_word);
}

static void take_from_keyring(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_bad(rd, value, "%s is not there yet (docs/LIMITS.md): a command can ask the secret service: "
			    "{command: [secret-tool, lookup, service, NAME]}", path);
}

static void take_from(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const struct lang_key keys[] = {
		{"file", take_from_file}, {"command", take_from_command}, {"keyring", take_from_keyring}};
	static const char *const words[] = {"env", NULL};
	struct credential_rule *c = rd->item;
	const struct lang_node *n = &rd->l->tree.nodes[value];

	if (n->type != LANG_MAP) {
		if (lang_read_word(rd, value, path, words) == 0)
			c->from = CREDENTIAL_FROM_ENV;
		return;
	}
	if (n->end > value + 1 && rd->l->tree.nodes[rd->l->tree.nodes[value + 1].end].end < n->end)
		lang_bad(rd, value, "%s is one place: env, {file: ...} or {command: [...]}", path);
	lang_read_map(rd, value, path, keys, ARRAY_LEN(keys));
}

/* -- hosts -- */

static void one_host(struct lang_reader *rd, uint32_t node, const char *path)
{
	struct credential_rule *c = rd->item;
	const char *text = lang_read_text(rd, node, path);
	struct credential_host h = {.port = HTTPS}, *v;
	struct net_policy *p = NULL;
	struct net_fault fault;

	text = text ? lang_read_variables(rd, node, text, false) : NULL;
	if (!text)
		return;
	struct net_text one = {.text = text, .origin = ""};
	int r = net_policy_compile(&one, 1, &p, &fault);
	if (r == -ENOMEM) {
		rd->r = r;
		return;
	}
	if (r < 0) {
		lang_bad(rd, node, "%s", fault.text);
		return;
	}
	const struct net_rule *rule = net_policy_rule(p, 0);
	bool port = strchr(text, ':') != NULL;
	if (rule->kind != NET_RULE_NAME || strcmp(rule->name, NET_HOST_NAME) == 0)
		lang_bad(rd, node, "'%.80s': a credential goes to hosts by their name: no patterns, no addresses, not this host's "
				   "loopback", text);
	else if (rule->proto != NET_PROTO_TCP || strchr(text, '/'))
		lang_bad(rd, node, "'%.80s': a name and perhaps one port, no protocol", text);
	else if (port && (rule->port_count != 1 || rule->ports[0].from != rule->ports[0].to))
		lang_bad(rd, node, "'%.80s': one port, or none for 443", text);
	else if (c->host_count == CREDENTIAL_HOSTS_MAX)
		lang_bad(rd, node, "%s has more than %d hosts", path, CREDENTIAL_HOSTS_MAX);
	else if ((v = reallocarray(c->hosts, c->host_count + 1, sizeof(*v))) == NULL)
		rd->r = -ENOMEM;
	else {
		(void)snprintf(h.name, sizeof(h.name), "%s", rule->name);
		h.port = port ? rule->ports[0].from : HTTPS;
		c->hosts = v;
		v[c->host_count++] = h;
	}
	(void)net_policy_free(p);
}

static void take_hosts(struct lang_reader *rd, uint32_t value, const char *path)
{
	if (empty_list(rd, value))
		lang_bad(rd, value, "%s is an empty list: a credential names the hosts it is for, or goes nowhere", path);
	else
		lang_read_list(rd, value, path, "", one_host);
}

/* -- inject -- */

static void set_inject(struct lang_reader *rd, uint32_t value, enum credential_inject kind)
{
	struct credential_rule *c = rd->item;

	if (c->inject != CREDENTIAL_INJECT_NONE)
		lang_bad(rd, value, "inject is one way: header, bearer, basic, query or replace");
	c->inject = kind;
}

static void take_header(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct credential_rule *c = rd->item;
	const char *text = lang_read_text(rd, value, path);

	set_inject(rd, value, CREDENTIAL_INJECT_HEADER);
	if (!text)
		return;
	if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(text) || strlen(text) > 64)
		lang_bad(rd, value, "'%.70s' is no header's name: letters, digits, - and _, 64 at most", text);
	else if (header_taken(text))
		lang_bad(rd, value, "the header %s says how a request is read, and carries no credential", text);
	else
		own(rd, &c->inject_text, text);
}

static void only_true(struct lang_reader *rd, uint32_t value, const char *path, enum credential_inject kind)
{
	int b = lang_read_bool(rd, value, path);

	if (b == 0)
		lang_bad(rd, value, "%s: false says nothing: leave it out", path);
	set_inject(rd, value, kind);
}

static void take_bearer(struct lang_reader *rd, uint32_t value, const char *path)
{
	only_true(rd, value, path, CREDENTIAL_INJECT_BEARER);
}

static void take_replace(struct lang_reader *rd, uint32_t value, const char *path)
{
	only_true(rd, value, path, CREDENTIAL_INJECT_REPLACE);
}

static void take_user(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct credential_rule *c = rd->item;
	const char *text = lang_read_text(rd, value, path);

	if (!text)
		return;
	for (const char *s = text; *s; s++)
		if (*s <= ' ' || *s >= 0x7f || *s == ':') {
			lang_bad(rd, value, "'%.60s': a user of Basic has no colon, no blanks, and is ASCII", text);
			return;
		}
	if (strlen(text) > 128)
		lang_bad(rd, value, "%s is longer than 128 bytes", path);
	else
		own(rd, &c->inject_text, text);
}

static void take_basic(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const struct lang_key keys[] = {{"user", take_user}};
	struct credential_rule *c = rd->item;
	size_t errors = rd->m->errors;

	set_inject(rd, value, CREDENTIAL_INJECT_BASIC);
	lang_read_map(rd, value, path, keys, ARRAY_LEN(keys));
	if (!c->inject_text && rd->m->errors == errors)
		lang_bad(rd, value, "%s needs a user: {user: x-access-token}", path);
}

static void take_query(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct credential_rule *c = rd->item;
	const char *text = lang_read_text(rd, value, path);

	set_inject(rd, value, CREDENTIAL_INJECT_QUERY);
	if (!text)
		return;
	if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != strlen(text) || strlen(text) > 64)
		lang_bad(rd, value, "'%.70s' is no parameter's name: letters, digits, -, _ and ., 64 at most", text);
	else
		own(rd, &c->inject_text, text);
}

static void take_inject(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const struct lang_key keys[] = {{"header", take_header}, {"bearer", take_bearer}, {"basic", take_basic},
					       {"query", take_query},	{"replace", take_replace}};

	lang_read_map(rd, value, path, keys, ARRAY_LEN(keys));
}

/* -- allow, deny, limits -- */

static void one_allow(struct lang_reader *rd, uint32_t node, const char *path)
{
	struct credential_rule *c = rd->item;
	const char *text = lang_read_text(rd, node, path), *why;
	struct credential_pattern p, *v;

	if (!text)
		return;
	if (c->allow_count == CREDENTIAL_ALLOW_MAX) {
		lang_bad(rd, node, "%s has more than %d patterns", path, CREDENTIAL_ALLOW_MAX);
		return;
	}
	int r = credential_pattern_parse(text, &p, &why);
	if (r == -EINVAL) {
		lang_bad(rd, node, "'%.80s': %s", text, why);
		return;
	}
	v = r == 0 ? reallocarray(c->allow, c->allow_count + 1, sizeof(*v)) : NULL;
	if (!v) {
		rd->r = -ENOMEM;
		if (r == 0) {
			free(p.method);
			free(p.path);
		}
		return;
	}
	c->allow = v;
	v[c->allow_count++] = p;
}

static void take_allow(struct lang_reader *rd, uint32_t value, const char *path)
{
	if (empty_list(rd, value))
		lang_bad(rd, value, "%s is an empty list, which could mean no request or any: leave allow out for any", path);
	else
		lang_read_list(rd, value, path, "", one_allow);
}

static void take_deny(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct credential_rule *c = rd->item;

	c->deny = lang_read_bool(rd, value, path) == 1;
}

static void take_rate(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct credential_rule *c = rd->item;
	const char *text = lang_read_text(rd, value, path);

	if (text && credential_rate(text, &c->rate, &c->rate_ms) < 0)
		lang_bad(rd, value, "%s: '%.40s' is no rate: requests in a second, minute or hour: 10/s, 60/m, 1000/h", path, text);
}

static void take_body(struct lang_reader *rd, uint32_t value, const char *path)
{
	struct credential_rule *c = rd->item;
	const char *text = lang_read_text(rd, value, path);

	if (text && value_size(text, &c->body) < 0)
		lang_bad(rd, value, "%s: '%.40s' is no size: a whole number with k, m, g or t, and at least 1m: 10m", path, text);
}

static void take_limits(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const struct lang_key keys[] = {{"rate", take_rate}, {"body", take_body}};

	lang_read_map(rd, value, path, keys, ARRAY_LEN(keys));
}

/* -- the list -- */

static void missing(struct lang_reader *rd, uint32_t node, const struct credential_rule *c)
{
	if (!c->name)
		lang_bad(rd, node, "a credential has no name: the variable that holds its placeholder: {name: GITHUB_TOKEN, ...}");
	else if (c->from == CREDENTIAL_FROM_NONE)
		lang_bad(rd, node, "the credential %s does not say where it is from: env, {file: ...} or {command: [...]}", c->name);
	else if (c->host_count == 0)
		lang_bad(rd, node, "the credential %s names no hosts, and would go nowhere: hosts: [api.example.com]", c->name);
	else if (c->inject == CREDENTIAL_INJECT_NONE)
		lang_bad(rd, node, "the credential %s does not say how it is put in: inject: {bearer: true}, {header: x-api-key}, "
				   "{basic: {user: ...}}, {query: ...} or {replace: true}", c->name);
	else if (c->deny && c->allow_count == 0)
		lang_bad(rd, node, "the credential %s denies what allow does not name, and has no allow", c->name);
}

static void one_credential(struct lang_reader *rd, uint32_t node, const char *path)
{
	static const struct lang_key keys[] = {{"name", take_name},	{"from", take_from}, {"hosts", take_hosts},
					       {"inject", take_inject}, {"allow", take_allow}, {"deny", take_deny},
					       {"limits", take_limits}};
	struct credential_list *l = &rd->l->values.credentials;
	struct credential_rule c = CREDENTIAL_RULE_NULL, *v = NULL;
	size_t errors = rd->m->errors;

	rd->item = &c;
	lang_read_map(rd, node, path, keys, ARRAY_LEN(keys));
	if (rd->m->errors == errors)
		missing(rd, node, &c);
	for (size_t i = 0; c.name && i < l->n; i++)
		if (strcmp(l->v[i].name, c.name) == 0)
			lang_bad(rd, node, "the credential %s is said twice: one has all its hosts", c.name);
	if (l->n == CREDENTIALS_MAX)
		lang_bad(rd, node, "%s has more than %d credentials", path, CREDENTIALS_MAX);
	lang_from(rd, &c.origin, node);
	if (rd->m->errors == errors && rd->r == 0)
		v = reallocarray(l->v, l->n + 1, sizeof(*v));
	if (v) {
		l->v = v;
		v[l->n++] = c;
	} else {
		credential_rule_free(&c);
	}
}

void lang_read_credentials(struct lang_reader *rd, uint32_t node, const char *path)
{
	lang_read_list(rd, node, path, "no credential is held back by it", one_credential);
}
