/* Rules about hosts as tables: what is read, what is refused with which advice, and one verdict for every spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "net_policy.h"
#include "util/err.h"

static struct net_policy *make(const char *const *texts)
{
	struct net_text v[16];
	struct net_fault fault;
	struct net_policy *p = NULL;
	size_t n = 0;

	for (; texts[n]; n++)
		v[n] = (struct net_text){texts[n], "test"};
	int r = net_policy_compile(v, n, &p, &fault);
	if (r != 0)
		print_error("%s\n", fault.text);
	assert_int_equal(r, 0);
	return p;
}

static void test_faults(void **state)
{
	static const struct {
		const char *text, *says;
	} t[] = {
		{"", "an empty rule"},
		{"*", "0.0.0.0/0"},
		{"*.com", "top-level"},
		{"*example.com", "did you mean *.example.com?"},
		{".example.com", "did you mean *.example.com?"},
		{"a.*.example.com", "once, at the front"},
		{"**.example.com", "once, at the front"},
		{"https://api.example.com/v1", "did you mean api.example.com:443?"},
		{"http://api.example.com:8080/v1", "did you mean api.example.com:8080?"},
		{"example.com/path", "no path"},
		{"example.com:htps", "no port"},
		{"example.com:https", "did you mean 443?"},
		{"example.com:", "a port is missing"},
		{"example.com:0", "from 1 to 65535"},
		{"example.com:65536", "from 1 to 65535"},
		{"example.com:99999999999", "no port"},
		{"example.com:90-80", "did you mean 80-90?"},
		{"example.com:1,2,3,4,5,6,7,8,9", "at most 8"},
		{"user@example.com", "did you mean example.com?"},
		{"example .com", "no blanks"},
		{"example.com\r\n", "no control"},
		{"exa%6dple.com", "no host's name"},
		{"ex\xc3\xa4mple.com", "xn--"},
		{"-a.example.com", "no host's name"},
		{"a-.example.com", "no host's name"},
		{"a..example.com", "no host's name"},
		{"localhost:80", "host.gabion.internal:PORT"},
		{"x.localhost", "host.gabion.internal:PORT"},
		{"host.gabion.internal", "needs a port"},
		{"127.1", "did you mean the address 127.0.0.1?"},
		{"0x7f000001", "did you mean the address 127.0.0.1?"},
		{"2130706433:80", "did you mean the address 127.0.0.1?"},
		{"010.0.0.1", "did you mean the address 8.0.0.1?"},
		{"a.b.9", "ends in a number"},
		{"10.1.2.3/16", "did you mean 10.1.0.0/16"},
		{"10.0.0.0/33", "from 0 to 32"},
		{"10.0.0.0/8x", "from 0 to 32"},
		{"2001:db8::1/32", "did you mean 2001:db8::/32"},
		{"2001:db8::/129", "from 0 to 128"},
		{"::ffff:10.0.0.0/90", "from 96 to 128"},
		{"fe80::1%lo", "no scope"},
		{"[2001:db8::1:80", "not closed"},
		{"[example.com]:80", "brackets are for IPv6"},
		{"0.0.0.0", "no rule can allow it"},
		{"224.0.0.1:5353/udp", "no rule can allow it"},
		{"255.255.255.255", "no rule can allow it"},
		{"198.18.0.7", "no rule can allow it"},
		{"fd67:6162:696f::1", "no rule can allow it"},
		{"::7f00:1", "no rule can allow it"},
		{"64:ff9b::127.0.0.1", "no rule can allow it"},
		{"10.0.0.1.", "ends in a number"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct net_text v[2] = {{"a.example.com", "x"}, {t[i].text, "x"}};
		struct net_fault fault = {.index = 9};
		struct net_policy *p = NULL;
		int r = net_policy_compile(v, 2, &p, &fault);

		if (r != -EINVAL || !strstr(fault.text, t[i].says))
			print_error("'%s': %d '%s', not '%s'\n", t[i].text, r, fault.text, t[i].says);
		assert_int_equal(r, -EINVAL);
		assert_int_equal(fault.index, 1);
		assert_non_null(strstr(fault.text, t[i].says));
		assert_null(p);
	}
}

static void test_names(void **state)
{
	static const struct {
		const char *rules[4];
		const char *name;
		enum net_proto proto;
		uint16_t port;
		bool allowed;
	} t[] = {
		{{NULL}, "a.example.com", NET_PROTO_TCP, 443, false},
		{{"a.example.com"}, "a.example.com", NET_PROTO_TCP, 443, true},
		{{"a.example.com"}, "a.example.com", NET_PROTO_TCP, 80, true},
		{{"a.example.com"}, "a.example.com", NET_PROTO_TCP, 22, false},
		{{"a.example.com"}, "a.example.com", NET_PROTO_UDP, 443, false},
		{{"a.example.com"}, "b.example.com", NET_PROTO_TCP, 443, false},
		{{"a.example.com"}, "x.a.example.com", NET_PROTO_TCP, 443, false},
		{{"a.example.com"}, "example.com", NET_PROTO_TCP, 443, false},
		{{"A.Example.COM."}, "a.example.com", NET_PROTO_TCP, 443, true},
		{{"a.example.com:443/udp"}, "a.example.com", NET_PROTO_UDP, 443, true},
		{{"a.example.com:443/udp"}, "a.example.com", NET_PROTO_TCP, 443, false},
		{{"a.example.com/udp"}, "a.example.com", NET_PROTO_UDP, 80, true},
		{{"a.example.com:8000-8010"}, "a.example.com", NET_PROTO_TCP, 8010, true},
		{{"a.example.com:8000-8010"}, "a.example.com", NET_PROTO_TCP, 8011, false},
		{{"a.example.com:22,8000-8010"}, "a.example.com", NET_PROTO_TCP, 22, true},
		{{"a.example.com:*"}, "a.example.com", NET_PROTO_TCP, 65535, true},
		{{"*.example.org"}, "a.example.org", NET_PROTO_TCP, 443, true},
		{{"*.example.org"}, "b.a.example.org", NET_PROTO_TCP, 443, true},
		{{"*.example.org"}, "example.org", NET_PROTO_TCP, 443, false},
		{{"*.example.org"}, "aexample.org", NET_PROTO_TCP, 443, false},
		{{"*.example.org"}, "a.example.org.evil.com", NET_PROTO_TCP, 443, false},
		{{"*.example.org"}, ".example.org", NET_PROTO_TCP, 443, false},
		{{"*.gabion.internal:1"}, "host.gabion.internal", NET_PROTO_TCP, 1, false},
		{{"host.gabion.internal:5432"}, "host.gabion.internal", NET_PROTO_TCP, 5432, true},
		{{"a.example.com:1", "a.example.com:2"}, "a.example.com", NET_PROTO_TCP, 2, true},
		{{"0.0.0.0/0", "::/0"}, "a.example.com", NET_PROTO_TCP, 443, false},
		{{"db:5432"}, "db", NET_PROTO_TCP, 5432, true},
		{{"foo_bar.example.com"}, "foo_bar.example.com", NET_PROTO_TCP, 443, true},
		{{"xn--mnchen-3ya.example"}, "xn--mnchen-3ya.example", NET_PROTO_TCP, 443, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct net_policy *p = make(t[i].rules);
		struct net_verdict v = net_policy_name(p, t[i].name, t[i].proto, t[i].port);

		if ((v.kind == VERDICT_ALLOW) != t[i].allowed)
			print_error("row %zu: %s\n", i, t[i].name);
		assert_int_equal(v.kind == VERDICT_ALLOW, t[i].allowed);
		assert_int_equal(v.rule != NULL, t[i].allowed);
		if (t[i].allowed)
			assert_true(net_policy_knows(p, t[i].name));
		net_policy_free(p);
	}
}

static void test_addresses(void **state)
{
	static const struct {
		const char *rules[4];
		const char *address;
		uint16_t port;
		bool allowed, reached;
	} t[] = {
		{{NULL}, "203.0.113.9", 443, false, true},
		{{"203.0.113.0/24:80"}, "203.0.113.9", 80, true, true},
		{{"203.0.113.0/24:80"}, "203.0.114.9", 80, false, true},
		{{"203.0.113.0/24:80"}, "203.0.113.9", 81, false, true},
		{{"203.0.113.0/24:80"}, "::ffff:203.0.113.9", 80, true, true},
		{{"[::ffff:203.0.113.0]/120:80"}, "203.0.113.9", 80, true, true},
		{{"203.0.113.9"}, "203.0.113.9", 443, true, true},
		{{"[2001:db8::]/32:5432"}, "2001:db8:1::2", 5432, true, true},
		{{"[2001:db8::/32]:5432"}, "2001:db8:1::2", 5432, true, true},
		{{"2001:db8::/32"}, "2001:db9::2", 443, false, true},
		{{"::/0"}, "203.0.113.9", 443, false, true},
		{{"::/0"}, "2001:db8::2", 443, true, true},
		{{"0.0.0.0/0"}, "203.0.113.9", 443, true, true},
		{{"0.0.0.0/0"}, "2001:db8::2", 443, false, true},
		/* Special ones by their own kind only. */
		{{"0.0.0.0/0"}, "10.1.2.3", 443, false, false},
		{{"10.0.0.0/8"}, "10.1.2.3", 443, true, true},
		{{"10.1.0.0/16"}, "10.2.2.3", 443, false, false},
		{{"0.0.0.0/0"}, "127.0.0.1", 443, false, false},
		{{"127.0.0.1"}, "127.0.0.1", 443, true, true},
		{{"0.0.0.0/0"}, "169.254.169.254", 80, false, false},
		{{"169.254.0.0/16"}, "169.254.169.254", 80, false, false},
		{{"169.254.0.0/16"}, "169.254.1.1", 80, true, true},
		{{"169.254.169.254"}, "169.254.169.254", 80, true, true},
		{{"169.254.169.254"}, "::ffff:169.254.169.254", 80, true, true},
		{{"::/0"}, "fd00:ec2::254", 80, false, false},
		{{"fd00::/8"}, "fd00:ec2::254", 80, false, false},
		{{"fd00::/8"}, "fd00:1::254", 80, true, true},
		{{"::/0"}, "fe80::1", 80, false, false},
		{{"::/0"}, "::1", 80, false, false},
		{{"::1"}, "::1", 80, true, true},
		{{"0.0.0.0/0"}, "100.64.0.1", 80, false, false},
		{{"0.0.0.0/0"}, "198.18.0.1", 80, false, false},
		{{"0.0.0.0/0", "::/0"}, "0.0.0.0", 80, false, false},
		{{"0.0.0.0/0", "::/0"}, "::", 80, false, false},
		{{"0.0.0.0/0", "::/0"}, "255.255.255.255", 80, false, false},
		{{"0.0.0.0/0", "::/0"}, "239.1.1.1", 80, false, false},
		{{"0.0.0.0/0", "::/0"}, "ff02::1", 80, false, false},
		/* Tunnels to what is not of the whole internet. */
		{{"::/0", "10.0.0.0/8", "2002::/16"}, "2002:0a01:0203::1", 443, false, false},
		{{"2002::/16"}, "2002:cb00:7109::1", 443, true, true},
		{{"::/0"}, "64:ff9b::169.254.169.254", 443, false, false},
		{{"::/0"}, "64:ff9b::203.0.113.9", 443, true, true},
		{{"::/0"}, "64:ff9b:1::203.0.113.9", 443, false, false},
		{{"::/0"}, "2001:0:cb00:7109::80ff:fefe", 443, false, false}, /* Teredo of 127.0.1.1 */
		{{"::/0"}, "2001:db8::5efe:10.0.0.1", 443, false, false},
		{{"::/0"}, "::127.0.0.1", 443, false, false},
		{{"::/0"}, "::ffff:0:127.0.0.1", 443, false, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct sockaddr_storage sa;
		struct net_address a;

		struct net_policy *p = make(t[i].rules);
		assert_int_equal(net_address_parse(t[i].address, &a), 0);
		struct net_verdict v = net_policy_address(p, &a, NET_PROTO_TCP, t[i].port);
		bool reached = net_policy_reach(p, &a, NET_PROTO_TCP, t[i].port).kind == VERDICT_ALLOW;

		if ((v.kind == VERDICT_ALLOW) != t[i].allowed || reached != t[i].reached)
			print_error("row %zu: %s with %s\n", i, t[i].address, t[i].rules[0]);
		assert_int_equal(v.kind == VERDICT_ALLOW, t[i].allowed);
		assert_int_equal(reached, t[i].reached);
		socklen_t len = net_address_sockaddr(&a, t[i].port, &sa);
		v = net_policy_sockaddr(p, (struct sockaddr *)&sa, len, NET_PROTO_TCP);
		assert_int_equal(v.kind == VERDICT_ALLOW, t[i].allowed);
		assert_int_equal(net_policy_address(p, &a, NET_PROTO_UDP, t[i].port).kind, VERDICT_DENY);
		net_policy_free(p);
	}
}

/* An address in every form that socket addresses have; what is too short or of another family is denied. */
static void test_sockaddrs(void **state)
{
	static const char *const rules[] = {"203.0.113.0/24:80", NULL};
	struct net_policy *p = make(rules);
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_scope_id = 7};
	struct sockaddr other = {.sa_family = AF_UNIX};

	(void)state;
	inet_pton(AF_INET, "203.0.113.9", &in.sin_addr);
	inet_pton(AF_INET6, "::ffff:203.0.113.9", &in6.sin6_addr);
	assert_int_equal(net_policy_sockaddr(p, (struct sockaddr *)&in, sizeof(in), NET_PROTO_TCP).kind, VERDICT_ALLOW);
	assert_int_equal(net_policy_sockaddr(p, (struct sockaddr *)&in6, sizeof(in6), NET_PROTO_TCP).kind, VERDICT_ALLOW);
	assert_int_equal(net_policy_sockaddr(p, (struct sockaddr *)&in6, 24, NET_PROTO_TCP).kind, VERDICT_ALLOW);
	for (socklen_t len = 0; len < 16; len++)
		assert_int_equal(net_policy_sockaddr(p, (struct sockaddr *)&in, len, NET_PROTO_TCP).kind, VERDICT_DENY);
	for (socklen_t len = 0; len < 24; len++)
		assert_int_equal(net_policy_sockaddr(p, (struct sockaddr *)&in6, len, NET_PROTO_TCP).kind, VERDICT_DENY);
	assert_int_equal(net_policy_sockaddr(p, &other, sizeof(other), NET_PROTO_TCP).kind, VERDICT_DENY);
	in.sin_family = AF_UNSPEC;
	assert_int_equal(net_policy_sockaddr(p, (struct sockaddr *)&in, sizeof(in), NET_PROTO_TCP).kind, VERDICT_DENY);
	net_policy_free(p);
}

static void test_canon(void **state)
{
	static const struct {
		const char *s;
		size_t len; /* 0: strlen */
		int result;
		const char *name;
	} t[] = {
		{"Example.COM", 0, 0, "example.com"},
		{"example.com.", 0, 0, "example.com"},
		{"example.com..", 0, NET_NAME_BAD, NULL},
		{".", 0, NET_NAME_BAD, NULL},
		{"", 0, NET_NAME_BAD, NULL},
		{"a\0b.com", 7, NET_NAME_BAD, NULL},
		{"a\n.com", 0, NET_NAME_BAD, NULL},
		{"a%b.com", 0, NET_NAME_BAD, NULL},
		{"a/b.com", 0, NET_NAME_BAD, NULL},
		{"a b.com", 0, NET_NAME_BAD, NULL},
		{"[::1]", 0, NET_NAME_BAD, NULL},
		{"::1", 0, NET_NAME_BAD, NULL},
		{"r3---sn-x.example.com", 0, 0, "r3---sn-x.example.com"},
		{"1.2.3.4", 0, NET_NAME_NUMERIC, NULL},
		{"127.1", 0, NET_NAME_NUMERIC, NULL},
		{"0x7f.0x1", 0, NET_NAME_NUMERIC, NULL},
		{"a.0x", 0, NET_NAME_NUMERIC, NULL},
		{"1.example.com", 0, 0, "1.example.com"},
		{"a.1e", 0, 0, "a.1e"},
	};
	char name[NET_NAME_SIZE], longest[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		strcpy(name, "untouched");
		int r = net_name_canon(t[i].s, t[i].len ? t[i].len : strlen(t[i].s), name);

		if (r != t[i].result)
			print_error("'%s': %d\n", t[i].s, r);
		assert_int_equal(r, t[i].result);
		assert_string_equal(name, t[i].name ? t[i].name : "untouched");
	}
	memset(longest, 'a', sizeof(longest));
	assert_int_equal(net_name_canon(longest, 63, name), 0);
	assert_int_equal(net_name_canon(longest, 64, name), NET_NAME_BAD);
	for (size_t i = 50; i < sizeof(longest); i += 51)
		longest[i] = '.';
	assert_int_equal(net_name_canon(longest, 253, name), 0);
	assert_int_equal(net_name_canon(longest, 254, name), NET_NAME_BAD);
}

static void test_ports(void **state)
{
	static const char *const rules[] = {"a.example.com", "b.example.com:79-90", "c.example.com:91,8000",
					    "d.example.com:53/udp", NULL};
	static const char *const none[] = {NULL};
	const struct net_range *v = NULL;
	struct net_policy *p = make(rules);

	(void)state;
	assert_int_equal(net_policy_ports(p, NET_PROTO_TCP, &v), 3);
	assert_int_equal(v[0].from, 79);
	assert_int_equal(v[0].to, 91);
	assert_int_equal(v[1].from, 443);
	assert_int_equal(v[2].from, 8000);
	assert_int_equal(net_policy_ports(p, NET_PROTO_UDP, &v), 1);
	assert_int_equal(v[0].from, 53);
	assert_int_equal(v[0].to, 53);
	net_policy_free(p);
	p = make(none);
	assert_int_equal(net_policy_ports(p, NET_PROTO_TCP, &v), 0);
	assert_int_equal(net_policy_count(p), 0);
	net_policy_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),	  cmocka_unit_test(test_names), cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_sockaddrs), cmocka_unit_test(test_canon), cmocka_unit_test(test_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
