/*
 * The list of network rules and what it says: see net_policy.h. A run has tens of rules, so asking walks them.
 */
#include "net_policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/net_rule.h"
#include "util/err.h"

struct net_policy {
	struct net_rule *rules;
	size_t n;
	struct net_range *ranges[NET_PROTO_COUNT];
	size_t range_count[NET_PROTO_COUNT];
};

static int by_start(const void *a, const void *b)
{
	const struct net_range *x = a, *y = b;

	return (int)x->from - (int)y->from;
}

/* The ports of all rules for PROTO, disjoint and in order. */
static int gather(struct net_policy *p, enum net_proto proto)
{
	struct net_range *v = calloc(p->n * NET_RULE_PORTS_MAX + 1, sizeof(*v));
	size_t n = 0, kept = 0;

	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < p->n; i++) {
		if (p->rules[i].proto != proto)
			continue;
		memcpy(v + n, p->rules[i].ports, p->rules[i].port_count * sizeof(*v));
		n += p->rules[i].port_count;
	}
	qsort(v, n, sizeof(*v), by_start);
	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && v[i].from <= v[kept - 1].to + 1) {
			if (v[i].to > v[kept - 1].to)
				v[kept - 1].to = v[i].to;
			continue;
		}
		v[kept++] = v[i];
	}
	p->ranges[proto] = v;
	p->range_count[proto] = kept;
	return 0;
}

int net_policy_compile(const struct net_text *texts, size_t n, struct net_policy **ret_p, struct net_fault *ret_fault)
{
	struct net_policy *p = calloc(1, sizeof(*p));
	int r = 0;

	if (!p)
		return -ENOMEM;
	p->rules = calloc(n + 1, sizeof(*p->rules));
	if (!p->rules)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct net_rule *rule = &p->rules[i];

		r = net_rule_parse(texts[i].text, rule, ret_fault->text);
		if (r < 0) {
			ret_fault->index = i;
			break;
		}
		p->n = i + 1;
		rule->id = (unsigned int)i;
		rule->text = strdup(texts[i].text);
		rule->origin = strdup(texts[i].origin);
		if (!rule->text || !rule->origin)
			r = -ENOMEM;
	}
	if (r == 0)
		r = gather(p, NET_PROTO_TCP);
	if (r == 0)
		r = gather(p, NET_PROTO_UDP);
	if (r < 0) {
		net_policy_free(p);
		return r;
	}
	*ret_p = p;
	return 0;
}

struct net_policy *net_policy_free(struct net_policy *p)
{
	if (!p)
		return NULL;
	for (size_t i = 0; i < p->n; i++) {
		free(p->rules[i].text);
		free(p->rules[i].origin);
	}
	for (int i = 0; i < NET_PROTO_COUNT; i++)
		free(p->ranges[i]);
	free(p->rules);
	free(p);
	return NULL;
}

size_t net_policy_count(const struct net_policy *p)
{
	return p->n;
}

const struct net_rule *net_policy_rule(const struct net_policy *p, size_t i)
{
	return i < p->n ? &p->rules[i] : NULL;
}

static bool has_port(const struct net_rule *rule, enum net_proto proto, uint16_t port)
{
	if (rule->proto != proto)
		return false;
	for (unsigned int i = 0; i < rule->port_count; i++)
		if (port >= rule->ports[i].from && port <= rule->ports[i].to)
			return true;
	return false;
}

static bool has_name(const struct net_rule *rule, const char *name, size_t len)
{
	size_t own = strlen(rule->name);

	if (rule->kind == NET_RULE_NAME)
		return strcmp(rule->name, name) == 0;
	if (rule->kind != NET_RULE_BELOW || len < own + 2 || name[len - own - 1] != '.')
		return false;
	/* The host's loopback is reached by its own name's rule only. */
	return memcmp(name + len - own, rule->name, own) == 0 && strcmp(name, NET_HOST_NAME) != 0;
}

struct net_verdict net_policy_name(const struct net_policy *p, const char *name, enum net_proto proto, uint16_t port)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < p->n; i++)
		if (has_port(&p->rules[i], proto, port) && has_name(&p->rules[i], name, len))
			return (struct net_verdict){.kind = VERDICT_ALLOW, .rule = &p->rules[i]};
	return NET_VERDICT_NULL;
}

bool net_policy_knows(const struct net_policy *p, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < p->n; i++)
		if (has_name(&p->rules[i], name, len))
			return true;
	return false;
}

struct net_verdict net_policy_address(const struct net_policy *p, const struct net_address *a, enum net_proto proto,
				      uint16_t port)
{
	enum net_class class = net_address_class(a);

	if (class == NET_CLASS_NEVER || class == NET_CLASS_SYNTHETIC)
		return NET_VERDICT_NULL;
	for (size_t i = 0; i < p->n; i++) {
		const struct net_rule *rule = &p->rules[i];

		/* A wide block is no word about what lies in it and is of another kind than the internet. */
		if (rule->kind == NET_RULE_BLOCK && (class == NET_CLASS_GLOBAL || rule->class == class) &&
		    has_port(rule, proto, port) && net_address_within(a, &rule->base, rule->bits))
			return (struct net_verdict){.kind = VERDICT_ALLOW, .rule = rule};
	}
	return NET_VERDICT_NULL;
}

struct net_verdict net_policy_reach(const struct net_policy *p, const struct net_address *a, enum net_proto proto,
				    uint16_t port)
{
	if (net_address_class(a) == NET_CLASS_GLOBAL)
		return (struct net_verdict){.kind = VERDICT_ALLOW};
	return net_policy_address(p, a, proto, port);
}

struct net_verdict net_policy_sockaddr(const struct net_policy *p, const struct sockaddr *sa, socklen_t len,
				       enum net_proto proto)
{
	struct net_address a;
	uint16_t port;

	if (net_address_of(sa, len, &a, &port) < 0)
		return NET_VERDICT_NULL;
	return net_policy_address(p, &a, proto, port);
}

size_t net_policy_ports(const struct net_policy *p, enum net_proto proto, const struct net_range **ret_ranges)
{
	if (proto <= NET_PROTO_NONE || proto >= NET_PROTO_COUNT)
		return 0;
	*ret_ranges = p->ranges[proto];
	return p->range_count[proto];
}
