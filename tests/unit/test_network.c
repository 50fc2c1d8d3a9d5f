/* What the options about the network mean: ports to publish, sockets that are a way to root, rules and agents' hosts put together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "monitor/network.h"
#include "util/err.h"

static void test_publish(void **state)
{
	static const struct {
		const char *text, *address; /* NULL: refused */
		uint16_t host, guest;
	} t[] = {
		{"8080:3000", "127.0.0.1", 8080, 3000},
		{"65535:1", "127.0.0.1", 65535, 1},
		{"192.0.2.1:80:80", "192.0.2.1", 80, 80},
		{"0.0.0.0:80:8080", "0.0.0.0", 80, 8080},
		{"[::1]:80:8080", "::1", 80, 8080},
		{"80", NULL, 0, 0},
		{"", NULL, 0, 0},
		{":80", NULL, 0, 0},
		{"80:", NULL, 0, 0},
		{"0:80", NULL, 0, 0},
		{"80:65536", NULL, 0, 0},
		{"80:080800", NULL, 0, 0},
		{"+80:80", NULL, 0, 0},
		{"80:80/udp", NULL, 0, 0},
		{"localhost:80:80", NULL, 0, 0},
		{"::1:80:80", NULL, 0, 0},
		{"[::1:80:80", NULL, 0, 0},
		{"127.1:80:80", NULL, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		char text[NET_ADDRESS_TEXT_SIZE];
		struct network_publish p = {.host = 0};
		const char *why = NULL;
		int r = network_publish_parse(t[i].text, &p, &why);

		if ((r == 0) != (t[i].address != NULL))
			print_error("'%s': %d\n", t[i].text, r);
		assert_int_equal(r == 0, t[i].address != NULL);
		if (!t[i].address) {
			assert_non_null(why);
			continue;
		}
		net_address_text(&p.address, text);
		assert_string_equal(text, t[i].address);
		assert_int_equal(p.host, t[i].host);
		assert_int_equal(p.guest, t[i].guest);
	}
}

static void test_dangers(void **state)
{
	static const char *const bad[] = {"/run/docker.sock", "/var/run/docker.sock", "/run/user/1000/podman/podman.sock",
					  "/run/containerd/containerd.sock", "/run/dbus/system_bus_socket", "/run/user/1000/bus",
					  "/tmp/ssh-XXXX/agent.123", "/run/systemd/private"};
	static const char *const fine[] = {"/run/postgresql/.s.PGSQL.5432", "/run/mysqld/mysqld.sock", "/tmp/s", "/run/user/1000/app"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_non_null(network_unix_danger(bad[i]));
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		assert_null(network_unix_danger(fine[i]));
}

static void test_rules(void **state)
{
	struct run_options o = RUN_OPTIONS_NULL;
	char *hosts[] = {(char[]){"api.example.com"}, NULL}, *why = NULL;
	struct string_list agent = {.v = hosts, .n = 1};
	struct network_rules rules;

	(void)state;
	/* Nothing asked for: no network. */
	assert_int_equal(network_rules(&o, NULL, NULL, &rules, &why), 0);
	assert_null(rules.policy);
	/* The agent's hosts, an option, a loopback port. */
	assert_int_equal(said_add(&o.net, "10.0.0.0/8:5432", "--net"), 0);
	assert_int_equal(said_add(&o.net_host, "6379", "p.yaml:3:9"), 0);
	assert_int_equal(network_rules(&o, "claude", &agent, &rules, &why), 0);
	assert_int_equal(net_policy_count(rules.policy), 3);
	assert_string_equal(net_policy_rule(rules.policy, 0)->origin, "agent claude");
	assert_string_equal(net_policy_rule(rules.policy, 2)->text, "host.gabion.internal:6379");
	assert_int_equal(rules.host_port_count, 1);
	assert_int_equal(rules.host_ports[0], 6379);
	network_rules_free(&rules);
	assert_null(rules.policy);
	/* What is wrong is said with its place, and leaves nothing. */
	assert_int_equal(said_add(&o.net, "10.1.2.3/8", "p.yaml:7:5"), 0);
	assert_int_equal(network_rules(&o, NULL, NULL, &rules, &why), -EINVAL);
	assert_non_null(strstr(why, "p.yaml:7:5"));
	assert_non_null(strstr(why, "did you mean 10.0.0.0/8"));
	free(why);
	said_free(&o.net);
	said_free(&o.net_host);
	/* A socket that is none. */
	why = NULL;
	assert_int_equal(said_add(&o.unix_sockets, "/etc/passwd", "--unix"), 0);
	assert_int_equal(network_rules(&o, NULL, NULL, &rules, &why), -EINVAL);
	assert_non_null(strstr(why, "no socket of this host"));
	free(why);
	said_free(&o.unix_sockets);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_publish),
		cmocka_unit_test(test_dangers),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
