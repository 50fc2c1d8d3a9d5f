/* The keys of a policy about the network: network and groups. */
#include "policy/lang_layer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net_policy.h"
#include "util/err.h"

static struct lang_values *values(struct lang_reader *rd)
{
	return &rd->l->values;
}

/* Notes what is wrong with the rule TEXT. */
static bool check_host(struct lang_reader *rd, uint32_t node, const char *text)
{
	struct net_text one = {.text = text, .origin = ""};
	struct net_fault fault;
	struct net_policy *p = NULL;
	int r = net_policy_compile(&one, 1, &p, &fault);

	net_policy_free(p);
	if (r == -ENOMEM)
		rd->r = r;
	else if (r < 0)
		lang_bad(rd, node, "%s", fault.text);
	return r == 0;
}

static void one_host(struct lang_reader *rd, uint32_t node, const char *path)
{
	const char *text = lang_read_plain(rd, node, path);

	if (!text)
		return;
	if (text[0] == '@')
		lang_bad(rd, node, "'%.60s' is a group (did you mean network: {groups: [\"%.60s\"]}?)", text, text);
	else if (check_host(rd, node, text))
		lang_say(rd, rd->item, node, text);
}

static void take_allow(struct lang_reader *rd, uint32_t value, const char *path)
{
	rd->item = &values(rd)->net;
	lang_read_list(rd, value, path, "no host may be reached by it", one_host);
}

static bool group_name_ok(const char *s)
{
	return *s && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(s);
}

static void one_group(struct lang_reader *rd, uint32_t node, const char *path)
{
	const char *text = lang_read_text(rd, node, path);

	if (!text)
		return;
	if (text[0] != '@')
		lang_bad(rd, node, "'%.60s' is no group: its name begins with @ (did you mean \"@%.60s\"?)", text, text);
	else if (!group_name_ok(text + 1))
		lang_bad(rd, node, "'%.60s': a group's name has letters, digits, _ and -", text);
	else
		lang_say(rd, &values(rd)->groups, node, text);
}

static void take_groups_of(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, "no host may be reached by it", one_group);
}

static void one_socket(struct lang_reader *rd, uint32_t node, const char *path)
{
	const char *text = lang_read_plain(rd, node, path);

	if (!text)
		return;
	if (text[0] != '/' && strncmp(text, "~/", 2) != 0)
		lang_bad(rd, node, "'%.80s': a socket is named by an absolute path", text);
	else
		lang_say(rd, &values(rd)->unix_sockets, node, text);
}

static void take_unix(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, "no socket may be reached by it", one_socket);
}

/* A port at *S, which moves on. 0: none. */
static unsigned int read_port(const char **s)
{
	unsigned int n = 0;

	if (**s == '0')
		return 0;
	while (**s >= '0' && **s <= '9' && n <= 65535)
		n = 10 * n + (unsigned int)(*(*s)++ - '0');
	return n <= 65535 ? n : 0;
}

static void one_port(struct lang_reader *rd, uint32_t node, const char *path)
{
	const char *text = lang_read_plain(rd, node, path), *s = text;

	if (!text)
		return;
	if (!read_port(&s) || *s)
		lang_bad(rd, node, "'%.60s' is no port: a number from 1 to 65535", text);
	else
		lang_say(rd, &values(rd)->net_host, node, text);
}

static void take_host(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, "no port is forwarded by it", one_port);
}

static void one_publish(struct lang_reader *rd, uint32_t node, const char *path)
{
	const char *text = lang_read_plain(rd, node, path), *s = text;

	if (!text)
		return;
	if (!read_port(&s) || *s++ != ':' || !read_port(&s) || *s)
		lang_bad(rd, node, "'%.60s' is no pair of ports: \"8080:3000\" is the host's 8080, the command's 3000", text);
	else
		lang_say(rd, &values(rd)->publish, node, text);
}

static void take_publish(struct lang_reader *rd, uint32_t value, const char *path)
{
	lang_read_list(rd, value, path, "nothing is reachable by it", one_publish);
}

void lang_read_network(struct lang_reader *rd, uint32_t value, const char *path)
{
	static const struct lang_key keys[] = {{"allow", take_allow},
					       {"groups", take_groups_of},
					       {"unix", take_unix},
					       {"host", take_host},
					       {"publish", take_publish}};

	lang_read_map(rd, value, path, keys, ARRAY_LEN(keys));
}

/* groups: NAME: [HOST...]. */
void lang_read_groups(struct lang_reader *rd, uint32_t value, const char *path)
{
	const struct lang_node *nodes = rd->l->tree.nodes;
	struct lang_values *v = values(rd);

	if (nodes[value].type != LANG_MAP) {
		lang_bad(rd, value, "%s gives lists of hosts names: groups: {mine: [\"api.example.com\"]}", path);
		return;
	}
	for (uint32_t key = value + 1; key < nodes[value].end;) {
		uint32_t list = nodes[key].end;
		const char *name = nodes[key].type == LANG_SCALAR ? lang_text(&rd->l->tree, key) : "";
		struct lang_group *g;

		name += name[0] == '@';
		if (!group_name_ok(name)) {
			lang_bad(rd, key, "'%.60s': a group's name has letters, digits, _ and -", name);
		} else {
			for (size_t i = 0; i < v->group_count; i++)
				if (strcmp(v->group[i].name, name) == 0)
					lang_bad(rd, key, "the group '%.60s' is said twice", name);
			g = reallocarray(v->group, v->group_count + 1, sizeof(*g));
			if (!g) {
				rd->r = -ENOMEM;
				return;
			}
			v->group = g;
			g += v->group_count;
			*g = (struct lang_group){.name = strdup(name)};
			if (!g->name) {
				rd->r = -ENOMEM;
				return;
			}
			v->group_count++;
			rd->item = &g->hosts;
			lang_read_list(rd, list, name, "no host may be reached by it", one_host);
		}
		key = nodes[list].end;
	}
}
