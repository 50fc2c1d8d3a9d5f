/* From options and the agent's file to the rules of a run's network: see network.h. Nothing is opened or made here. */
#include "monitor/network.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "util/err.h"

/* Sockets whose other end acts for whoever asks, with rights of its own. */
static const struct {
	const char *end, *why;
} dangers[] = {
	{"/docker.sock", "whoever speaks to Docker is root of this host"},
	{"/podman.sock", "whoever speaks to Podman starts containers with its user's rights on this host"},
	{"/containerd.sock", "whoever speaks to containerd is root of this host"},
	{"/crio.sock", "whoever speaks to CRI-O is root of this host"},
	{"/lxd/unix.socket", "whoever speaks to LXD is root of this host"},
	{"/incus/unix.socket", "whoever speaks to Incus is root of this host"},
	{"/system_bus_socket", "services of the system act for whoever speaks to its message bus"},
	{"/systemd/private", "whoever speaks to systemd starts services on this host"},
	{"/systemd/notify", "systemd believes what it is told there"},
	{"/libvirt-sock", "whoever speaks to libvirt starts machines with this host's files"},
	{"/snapd.socket", "whoever speaks to snapd changes what is installed on this host"},
	{"/gnupg/S.gpg-agent", "the agent signs and decrypts for whoever asks"},
};

const char *network_unix_danger(const char *path)
{
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_LEN(dangers); i++) {
		size_t n = strlen(dangers[i].end);
		if (len >= n && strcmp(path + len - n, dangers[i].end) == 0)
			return dangers[i].why;
	}
	if (strstr(path, "/ssh-") && strstr(path, "/agent."))
		return "the agent signs for whoever asks";
	if (strncmp(path, "/run/user/", 10) == 0 && len > 4 && strcmp(path + len - 4, "/bus") == 0)
		return "services of the session act for whoever speaks to its message bus";
	return NULL;
}

static int say(char **ret_why, const char *origin, const char *what)
{
	if (asprintf(ret_why, "%s: %s", origin, what) < 0)
		*ret_why = NULL;
	return -EINVAL;
}

static int port_of(const char *s, size_t len, uint16_t *ret_port)
{
	char word[8];

	if (len == 0 || len > 5 || strspn(s, "0123456789") < len)
		return -EINVAL;
	(void)snprintf(word, sizeof(word), "%.*s", (int)len, s);
	unsigned long n = strtoul(word, NULL, 10);
	if (n < 1 || n > UINT16_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)n;
	return 0;
}

int network_publish_parse(const char *text, struct network_publish *ret_publish, const char **ret_why)
{
	struct network_publish p = {.host = 0};
	const char *guest = strrchr(text, ':'), *host;
	char address[NET_ADDRESS_TEXT_SIZE] = "127.0.0.1";

	*ret_why = "[ADDRESS:]HOST:GUEST, two ports from 1 to 65535: 8080:3000";
	if (!guest || guest == text || port_of(guest + 1, strlen(guest + 1), &p.guest) < 0)
		return -EINVAL;
	for (host = guest; host > text && host[-1] != ':' && host[-1] != ']';)
		host--;
	if (port_of(host, (size_t)(guest - host), &p.host) < 0)
		return -EINVAL;
	if (host > text) {
		size_t len = (size_t)(host - text) - 1;
		const char *at = text;

		if (text[0] == '[') { /* [::1]:8080:3000 */
			if (len < 2 || text[len - 1] != ']')
				return -EINVAL;
			at++;
			len -= 2;
		}
		if (host[-1] != ':' || len >= sizeof(address))
			return -EINVAL;
		(void)snprintf(address, sizeof(address), "%.*s", (int)len, at);
	}
	if (net_address_parse(address, &p.address) < 0 || (strchr(address, ':') && text[0] != '[')) {
		*ret_why = "the address is one of this host's, IPv6 in brackets: 127.0.0.1:8080:3000";
		return -EINVAL;
	}
	*ret_publish = p;
	return 0;
}

/* What kind of socket listens at PATH, by /proc/net/unix; a stream where it does not say. */
static int unix_type(const char *path, const char *typed)
{
	FILE *f = fopen("/proc/net/unix", "re");
	AUTO_FREE char *line = NULL;
	size_t size = 0;
	int type = SOCK_STREAM;

	if (!f)
		return type;
	while (getline(&line, &size, f) > 0) {
		unsigned int kind;
		int at = 0;

		if (sscanf(line, "%*x: %*x %*x %*x %x %*x %*u %n", &kind, &at) < 1 || at == 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		if ((strcmp(line + at, path) == 0 || strcmp(line + at, typed) == 0) &&
		    (kind == SOCK_STREAM || kind == SOCK_SEQPACKET || kind == SOCK_DGRAM)) {
			type = (int)kind;
			break;
		}
	}
	fclose(f);
	return type;
}

static int add_unix(struct network_rules *rules, const struct said *s, char **ret_why)
{
	struct network_unix u = {.type = SOCK_STREAM};
	struct stat st;

	if (s->text[0] != '/')
		return say(ret_why, s->origin, "a Unix socket's path is absolute");
	u.source = realpath(s->text, NULL);
	if (!u.source || stat(u.source, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		free(u.source);
		if (asprintf(ret_why, "%s: %s is no socket of this host", s->origin, s->text) < 0)
			*ret_why = NULL;
		return -EINVAL;
	}
	const char *danger = network_unix_danger(u.source);
	if (danger && strcmp(s->origin, "--unix") != 0) {
		if (asprintf(ret_why, "%s: %s: %s; only --unix on the command line names it", s->origin, s->text, danger) < 0)
			*ret_why = NULL;
		free(u.source);
		return -EINVAL;
	}
	u.type = unix_type(u.source, s->text);
	u.path = strdup(s->text);
	struct network_unix *v = reallocarray(rules->sockets, rules->socket_count + 1, sizeof(*v));
	if (v)
		rules->sockets = v;
	if (!v || !u.path) {
		free(u.path);
		free(u.source);
		return -ENOMEM;
	}
	v[rules->socket_count++] = u;
	return 0;
}

static int add_published(struct network_rules *rules, const struct said *s, char **ret_why)
{
	struct network_publish p, *v;
	const char *why;

	if (network_publish_parse(s->text, &p, &why) < 0)
		return say(ret_why, s->origin, why);
	v = reallocarray(rules->published, rules->published_count + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	rules->published = v;
	v[rules->published_count++] = p;
	return 0;
}

/* A loopback port that is the host's is a rule about the host's loopback as well. */
static int add_host_port(struct network_rules *rules, const struct said *s, struct said_list *texts, char **ret_why)
{
	char text[sizeof(NET_HOST_NAME) + 8];
	uint16_t port, *v;

	if (port_of(s->text, strlen(s->text), &port) < 0)
		return say(ret_why, s->origin, "a loopback port of this host is a number from 1 to 65535");
	v = reallocarray(rules->host_ports, rules->host_port_count + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	rules->host_ports = v;
	v[rules->host_port_count++] = port;
	(void)snprintf(text, sizeof(text), "%s:%u", NET_HOST_NAME, port);
	return said_add(texts, text, s->origin);
}

/* A credential's hosts can be reached, on their one port. */
static int add_credential_hosts(const struct credential_rule *c, struct said_list *texts)
{
	char text[NET_NAME_SIZE + 8];
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->host_count; i++) {
		(void)snprintf(text, sizeof(text), "%s:%u", c->hosts[i].name, c->hosts[i].port);
		r = said_add(texts, text, c->origin);
	}
	return r;
}

static int compile(const struct said_list *texts, struct net_policy **ret_policy, char **ret_why)
{
	AUTO_FREE struct net_text *v = calloc(texts->n + 1, sizeof(*v));
	struct net_fault fault = {.index = 0};

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < texts->n; i++)
		v[i] = (struct net_text){.text = texts->v[i].text, .origin = texts->v[i].origin};
	int r = net_policy_compile(v, texts->n, ret_policy, &fault);
	return r == -EINVAL ? say(ret_why, texts->v[fault.index].origin, fault.text) : r;
}

int network_rules(const struct run_options *o, const char *agent, const struct string_list *hosts,
		  struct network_rules *ret_rules, char **ret_why)
{
	struct network_rules rules = NETWORK_RULES_NULL;
	struct said_list texts = {.v = NULL};
	AUTO_FREE char *origin = NULL;
	int r = 0;

	if (o->net.n == 0 && o->net_host.n == 0 && o->unix_sockets.n == 0 && o->publish.n == 0 && o->credentials.n == 0 &&
	    (!hosts || hosts->n == 0)) {
		*ret_rules = rules;
		return 0;
	}
	if (asprintf(&origin, "agent %s", agent ? agent : "") < 0) {
		origin = NULL;
		return -ENOMEM;
	}
	for (size_t i = 0; r == 0 && hosts && i < hosts->n; i++)
		r = said_add(&texts, hosts->v[i], origin);
	for (size_t i = 0; r == 0 && i < o->net.n; i++)
		r = said_add(&texts, o->net.v[i].text, o->net.v[i].origin);
	for (size_t i = 0; r == 0 && i < o->credentials.n; i++)
		r = add_credential_hosts(&o->credentials.v[i], &texts);
	for (size_t i = 0; r == 0 && i < o->net_host.n; i++)
		r = add_host_port(&rules, &o->net_host.v[i], &texts, ret_why);
	for (size_t i = 0; r == 0 && i < o->unix_sockets.n; i++)
		r = add_unix(&rules, &o->unix_sockets.v[i], ret_why);
	for (size_t i = 0; r == 0 && i < o->publish.n; i++)
		r = add_published(&rules, &o->publish.v[i], ret_why);
	if (r == 0)
		r = compile(&texts, &rules.policy, ret_why);
	said_free(&texts);
	if (r < 0) {
		network_rules_free(&rules);
		return r;
	}
	*ret_rules = rules;
	return 0;
}

void network_rules_free(struct network_rules *rules)
{
	rules->policy = net_policy_free(rules->policy);
	free(rules->host_ports);
	for (size_t i = 0; i < rules->socket_count; i++) {
		free(rules->sockets[i].path);
		free(rules->sockets[i].source);
	}
	free(rules->sockets);
	free(rules->published);
	*rules = NETWORK_RULES_NULL;
}
