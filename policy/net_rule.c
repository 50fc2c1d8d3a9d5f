/*
 * One line of network rules to one rule: see net_policy.h for the grammar. Whatever people write instead of it (a URL, a
 * service's name, a network with bits behind the prefix, an address in another spelling) is refused with what they meant.
 */
#include "policy/net_rule.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

enum { TEXT_MAX = 512 };

__attribute__((format(printf, 2, 3))) static int wrong(char fault[static NET_FAULT_SIZE], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(fault, NET_FAULT_SIZE, format, ap);
	va_end(ap);
	return -EINVAL;
}

static const struct {
	const char *name;
	unsigned int port;
} services[] = {
	{"https", 443}, {"http", 80},	{"ssh", 22},	    {"git", 9418},  {"dns", 53},	{"domain", 53},
	{"ntp", 123},	{"smtp", 25},	{"imap", 143},	    {"imaps", 993}, {"postgresql", 5432}, {"postgres", 5432},
	{"mysql", 3306}, {"redis", 6379}, {"mongodb", 27017}, {"ldap", 389},  {"ldaps", 636},	{"ftp", 21},
};

static unsigned int service_port(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		if (strcasecmp(name, services[i].name) == 0)
			return services[i].port;
	return 0;
}

/* One port of TEXT: digits only, 1 to 65535. */
static int port_number(const char *text, const char *s, size_t len, uint16_t *ret_port, char fault[static NET_FAULT_SIZE])
{
	char word[32];
	unsigned long n = 0;

	(void)snprintf(word, sizeof(word), "%.*s", (int)(len < 31 ? len : 31), s);
	if (len == 0)
		return wrong(fault, "'%s': a port is missing: 443, 8000-8010, or 80,443", text);
	if (strspn(word, "0123456789") != strlen(word) || len > 5) {
		if (service_port(word) != 0)
			return wrong(fault, "'%s': ports are numbers: did you mean %u?", text, service_port(word));
		return wrong(fault, "'%s': '%s' is no port: a number from 1 to 65535", text, word);
	}
	n = strtoul(word, NULL, 10);
	if (n < 1 || n > UINT16_MAX)
		return wrong(fault, "'%s': '%s' is no port: a number from 1 to 65535", text, word);
	*ret_port = (uint16_t)n;
	return 0;
}

/* "80,8000-8010" */
static int parse_ports(const char *text, const char *s, struct net_rule *rule, char fault[static NET_FAULT_SIZE])
{
	int r = 0;

	for (;;) {
		size_t len = strcspn(s, ",");
		const char *dash = memchr(s, '-', len);
		struct net_range range = {0, 0};

		if (rule->port_count == NET_RULE_PORTS_MAX)
			return wrong(fault, "'%s': at most %d ports or ranges in one rule: write several", text,
				     NET_RULE_PORTS_MAX);
		if (len == 1 && *s == '*') {
			range = (struct net_range){1, UINT16_MAX};
		} else if (dash) {
			r = port_number(text, s, (size_t)(dash - s), &range.from, fault);
			if (r == 0)
				r = port_number(text, dash + 1, len - (size_t)(dash - s) - 1, &range.to, fault);
		} else {
			r = port_number(text, s, len, &range.from, fault);
			range.to = range.from;
		}
		if (r < 0)
			return r;
		if (range.from > range.to)
			return wrong(fault, "'%s': the range runs backwards: did you mean %u-%u?", text, range.to, range.from);
		rule->ports[rule->port_count++] = range;
		if (s[len] == '\0')
			return 0;
		s += len + 1;
	}
}

/* Takes "/udp" or "/tcp" from the end of WHO. */
static int take_proto(const char *text, char *who, struct net_rule *rule, char fault[static NET_FAULT_SIZE])
{
	char *slash = strrchr(who, '/');

	rule->proto = NET_PROTO_TCP;
	if (!slash || strspn(slash + 1, "0123456789") > 0 || slash[1] == '\0')
		return 0;
	if (strcasecmp(slash + 1, "udp") == 0)
		rule->proto = NET_PROTO_UDP;
	else if (strcasecmp(slash + 1, "tcp") != 0)
		return wrong(fault, "'%s': a rule names a host, and /udp or /tcp, no path", text);
	*slash = '\0';
	return 0;
}

/* Takes the ports from the end of WHO, which is left without brackets: "[::1]:80" to "::1", "[fd00::]/48" to "fd00::/48". */
static int take_ports(const char *text, char *who, struct net_rule *rule, char fault[static NET_FAULT_SIZE])
{
	char *close = strrchr(who, ']'), *colon;

	if (who[0] == '[') {
		if (!close)
			return wrong(fault, "'%s': the bracket is not closed: [2001:db8::1]:443", text);
		colon = strchr(close, ':');
		if (colon)
			*colon = '\0';
		/* What is behind the bracket is a prefix. */
		memmove(close, close + 1, strlen(close + 1) + 1);
		memmove(who, who + 1, strlen(who));
		if (strcspn(who, ":") == strlen(who))
			return wrong(fault, "'%s': brackets are for IPv6 addresses", text);
		return colon ? parse_ports(text, colon + 1, rule, fault) : 0;
	}
	colon = strrchr(who, ':');
	/* Two colons: IPv6 without brackets, and so without ports. */
	if (!colon || strchr(who, ':') != colon)
		return 0;
	*colon = '\0';
	return parse_ports(text, colon + 1, rule, fault);
}

/* A number for inet_aton() in every part, so that some program would read an address. */
static bool is_other_spelling(const char *who, struct in_addr *ret_in)
{
	return who[strspn(who, "0123456789abcdefABCDEFxX.")] == '\0' && inet_aton(who, ret_in) == 1;
}

static int block_class(const char *text, struct net_rule *rule, char fault[static NET_FAULT_SIZE])
{
	rule->class = net_block_class(&rule->base, rule->bits);
	if (rule->class == NET_CLASS_NEVER || rule->class == NET_CLASS_SYNTHETIC)
		return wrong(fault, "'%s' is %s: no rule can allow it", text, net_class_name(rule->class));
	return 0;
}

static int parse_block(const char *text, char *who, struct net_rule *rule, char fault[static NET_FAULT_SIZE])
{
	char *slash = strchr(who, '/'), masked[NET_ADDRESS_TEXT_SIZE];
	struct net_address mask = NET_ADDRESS_NULL;
	unsigned int max, wrapped = 0;
	struct in_addr in;
	char *end;

	if (slash)
		*slash = '\0';
	if (strchr(who, '%'))
		return wrong(fault, "'%s': an address of a rule has no scope (%%)", text);
	if (net_address_parse(who, &rule->base) < 0) {
		if (is_other_spelling(who, &in) && inet_ntop(AF_INET, &in, masked, sizeof(masked)))
			return wrong(fault, "'%s': did you mean %s?", text, masked);
		return wrong(fault, "'%s': '%s' is no address", text, who);
	}
	max = rule->base.family == AF_INET ? 32 : 128;
	/* ::ffff:10.0.0.0/104 is 10.0.0.0/8. */
	if (rule->base.family == AF_INET && strchr(who, ':'))
		wrapped = 96;
	rule->kind = NET_RULE_BLOCK;
	rule->bits = max;
	if (!slash)
		return block_class(text, rule, fault);
	unsigned long bits = strtoul(slash + 1, &end, 10);
	if (strspn(slash + 1, "0123456789") != strlen(slash + 1) || slash[1] == '\0' || bits > max + wrapped || bits < wrapped)
		return wrong(fault, "'%s': the prefix of %s is a number of bits from %u to %u", text, who, wrapped,
			     max + wrapped);
	rule->bits = (unsigned int)bits - wrapped;
	mask.family = rule->base.family;
	for (unsigned int i = 0; i < rule->bits; i++)
		mask.bytes[i / 8] |= (uint8_t)(rule->base.bytes[i / 8] & (0x80u >> i % 8));
	net_address_text(&mask, masked);
	if (!net_address_equal(&mask, &rule->base))
		return wrong(fault, "'%s': bits are set behind the prefix: did you mean %s/%u, or %s alone?", text, masked,
			     rule->bits, who);
	return block_class(text, rule, fault);
}

static int bad_name(const char *text, const char *who, char fault[static NET_FAULT_SIZE])
{
	size_t len = strlen(who);

	for (const char *c = who; *c; c++)
		if ((unsigned char)*c >= 0x80)
			return wrong(fault, "'%s': write a name that is not ASCII as it is asked for (xn--...)", text);
	if (strchr(who, '@'))
		return wrong(fault, "'%s': a rule has no user name: did you mean %s?", text, strchr(who, '@') + 1);
	if (strchr(who, '*'))
		return wrong(fault, "'%s': '*.' may stand once, at the front: *.example.org", text);
	if (len > NET_NAME_MAX)
		return wrong(fault, "a host's name has at most %d characters: '%.40s...'", NET_NAME_MAX, text);
	return wrong(fault, "'%s': '%.80s' is no host's name: letters, digits, - and _, with single dots between", text, who);
}

static int parse_name(const char *text, const char *who, struct net_rule *rule, char fault[static NET_FAULT_SIZE])
{
	bool below = strncmp(who, "*.", 2) == 0;
	const char *name = below ? who + 2 : who;
	struct in_addr in;
	int r;

	if (strcmp(who, "*") == 0)
		return wrong(fault, "'%s': a rule names hosts, '*' all of them; name a domain (*.example.org) or a "
				    "network (0.0.0.0/0 and ::/0)", text);
	if (who[0] == '*' && !below && who[1] != '\0' && net_name_canon(who + 1, strlen(who + 1), rule->name) == 0)
		return wrong(fault, "'%s': did you mean *.%s?", text, rule->name);
	if (strncmp(who, ".", 1) == 0 && net_name_canon(who + 1, strlen(who + 1), rule->name) == 0)
		return wrong(fault, "'%s': did you mean *.%s?", text, rule->name);
	r = net_name_canon(name, strlen(name), rule->name);
	if (r == NET_NAME_NUMERIC) {
		char usual[INET_ADDRSTRLEN];

		if (is_other_spelling(name, &in) && inet_ntop(AF_INET, &in, usual, sizeof(usual)))
			return wrong(fault, "'%s': did you mean the address %s?", text, usual);
		return wrong(fault, "'%s': a name that ends in a number is no host's", text);
	}
	if (r != 0)
		return bad_name(text, name, fault);
	if (below && !strchr(rule->name, '.'))
		return wrong(fault, "'%s' is every name of a top-level domain: name a domain, *.example.%s", text, rule->name);
	size_t len = strlen(rule->name);
	if (strcmp(rule->name, "localhost") == 0 || (len > 10 && strcmp(rule->name + len - 10, ".localhost") == 0))
		return wrong(fault, "'%s': localhost is the run's own, always allowed; the host's is %s:PORT", text,
			     NET_HOST_NAME);
	rule->kind = below ? NET_RULE_BELOW : NET_RULE_NAME;
	return 0;
}

int net_rule_parse(const char *text, struct net_rule *ret_rule, char fault[static NET_FAULT_SIZE])
{
	struct net_rule rule = {.kind = NET_RULE_NONE};
	char who[TEXT_MAX];
	size_t len = strlen(text);
	int r;

	if (len == 0)
		return wrong(fault, "an empty rule: HOST[:PORT]");
	if (len >= sizeof(who))
		return wrong(fault, "a rule has at most %d characters: '%.40s...'", TEXT_MAX - 1, text);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return wrong(fault, "a rule has no blanks and no control characters: HOST[:PORT]");
	const char *scheme = strstr(text, "://");
	if (scheme) {
		const char *host = scheme + 3;
		int n = (int)strcspn(host, "/?#");
		const char *port = memchr(host, ':', (size_t)n) ? "" : strncmp(text, "http:", 5) == 0 ? ":80" :
				   strncmp(text, "https:", 6) == 0 ? ":443" : "";

		return wrong(fault, "'%s': a rule names a host, no URL: did you mean %.*s%s?", text, n, host, port);
	}
	memcpy(who, text, len + 1);
	r = take_proto(text, who, &rule, fault);
	if (r == 0)
		r = take_ports(text, who, &rule, fault);
	if (r == 0)
		r = strchr(who, ':') || strchr(who, '/') || net_address_parse(who, &rule.base) == 0
			    ? parse_block(text, who, &rule, fault)
			    : parse_name(text, who, &rule, fault);
	if (r < 0)
		return r;
	if (rule.kind != NET_RULE_BLOCK)
		rule.base = NET_ADDRESS_NULL;
	if (rule.port_count == 0 && rule.kind == NET_RULE_NAME && strcmp(rule.name, NET_HOST_NAME) == 0)
		return wrong(fault, "'%s': the host's loopback needs a port: %s:5432", text, NET_HOST_NAME);
	if (rule.port_count == 0) {
		rule.ports[0] = (struct net_range){443, 443};
		rule.ports[1] = (struct net_range){80, 80};
		rule.port_count = 2;
	}
	*ret_rule = rule;
	return 0;
}
