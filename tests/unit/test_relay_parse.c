/* What the relay reads of others, without a socket: DNS queries, proxy settings and answers; and the table of synthetic addresses. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/relay/dns.h"
#include "monitor/relay/proxy.h"
#include "monitor/relay/synth.h"

static struct net_policy *policy;
static struct synth *synth;

static int set_up(void **state)
{
	static const struct net_text rules[] = { { "api.test:443", "t" }, { "*.wild.test", "t" }, { "host.gabion.internal:5432", "t" } };
	struct net_fault fault;

	(void)state;
	synth = synth_new();
	return synth == NULL || net_policy_compile(rules, 3, &policy, &fault) != 0;
}

static int tear_down(void **state)
{
	(void)state;
	policy = net_policy_free(policy);
	synth = synth_free(synth);
	return 0;
}

/* The query ends at an unmapped page: one byte too many is a fault. */
static uint8_t *page_end;
static uint8_t out[DNS_ANSWER_MAX];
static struct dns_note note;

static size_t ask_bytes(const uint8_t *q, size_t len)
{
	if (page_end == NULL) {
		uint8_t *p = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		assert_ptr_not_equal(p, MAP_FAILED);
		assert_int_equal(mprotect(p + 12288, 4096, PROT_NONE), 0);
		page_end = p + 12288;
	}
	memcpy(page_end - len, q, len);
	memset(out, 0xee, sizeof(out));
	size_t n = dns_answer(policy, synth, true, page_end - len, len, out, &note);
	assert_true(n <= sizeof(out));
	return n;
}

static size_t question(uint8_t *q, const char *name, size_t name_len, uint16_t type)
{
	static const uint8_t head[12] = { 0xab, 0xcd, 1, 0, 0, 1 };
	size_t n = sizeof(head), from = 0;

	memcpy(q, head, n);
	for (size_t i = 0; i <= name_len; i++)
		if (i == name_len || name[i] == '.') {
			if (i > from || i < name_len) {
				q[n++] = (uint8_t)(i - from);
				memcpy(q + n, name + from, i - from);
				n += i - from;
			}
			from = i + 1;
		}
	q[n++] = 0;
	q[n++] = (uint8_t)(type >> 8);
	q[n++] = (uint8_t)type;
	q[n++] = 0;
	q[n++] = 1;
	return n;
}

static unsigned int code(void)
{
	return out[3] & 15;
}

static unsigned int answers(void)
{
	return (unsigned int)out[6] << 8 | out[7];
}

static unsigned int ask(const char *name, uint16_t type)
{
	uint8_t q[600];

	assert_true(ask_bytes(q, question(q, name, strlen(name), type)) >= 12);
	assert_int_equal(out[0], 0xab);
	assert_int_equal(out[2] & 0x81, 0x81); /* an answer, recursion was desired */
	return code();
}

static void test_answers(void **state)
{
	uint8_t first[4];

	(void)state;
	assert_int_equal(ask("api.test", 1), 0);
	assert_int_equal(answers(), 1);
	size_t at = 12 + 10 + 4 + 12;
	assert_int_equal(out[at], 198);
	assert_in_range(out[at + 1], 18, 19);
	memcpy(first, out + at, 4);
	assert_int_equal(ask("API.Test", 1), 0);
	assert_memory_equal(out + at, first, 4);
	assert_memory_equal(out + 13, "API", 3); /* as it was asked */
	assert_int_equal(ask("api.test", 28), 0);
	assert_memory_equal(out + at, "\xfd\x67\x61\x62\x69\x6f\x00\x6e", 8);
	/* types a rule says nothing of: the name exists, without data */
	static const uint16_t empty[] = { 2, 5, 6, 15, 16, 33, 64, 65, 255 };
	for (size_t i = 0; i < sizeof(empty) / sizeof(*empty); i++) {
		assert_int_equal(ask("api.test", empty[i]), 0);
		assert_int_equal(answers(), 0);
	}
	assert_int_equal(ask("x.wild.test", 1), 0);
	assert_int_equal(answers(), 1);
	assert_int_equal(ask("host.gabion.internal", 1), 0);
	assert_int_equal(answers(), 1);
	assert_int_equal(ask("localhost", 1), 0);
	assert_memory_equal(out + 12 + 11 + 4 + 12, "\177\0\0\1", 4);
	assert_false(note.refused);
	/* PTR of a synthetic address, and of one that is none */
	char name[64];
	snprintf(name, sizeof(name), "%u.%u.%u.%u.in-addr.arpa", first[3], first[2], first[1], first[0]);
	assert_int_equal(ask(name, 12), 0);
	assert_int_equal(answers(), 1);
	assert_int_equal(ask("5.113.0.203.in-addr.arpa", 12), 3);
	assert_int_equal(ask("1.2.3.in-addr.arpa", 12), 3);
	assert_int_equal(ask("b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa", 12), 3);
}

static void test_refusals(void **state)
{
	static const char *const no[] = { "other.test", "wild.test", "api.test.evil.test", "xapi.test", "test",
					  "com", "_x.test", "1.2.3.4" };

	(void)state;
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++) {
		assert_int_equal(ask(no[i], 1), 3);
		assert_true(note.refused);
		assert_string_equal(note.name, no[i]);
		assert_int_equal(answers(), 0);
	}
}

/* Names that another reader might take for an allowed one. */
static void test_odd_names(void **state)
{
	static const struct {
		const char *name;
		size_t len;
	} odd[] = {
		{ "api\0.test", 9 }, { "api.test\0", 9 }, { "api.test\n", 9 }, { "api%2etest", 10 },
		 { "a\r\npi.test", 10 }, { " api.test", 9 },
		{ "api .test", 9 }, { "x\0.wild.test", 12 }, { "x%00.wild.test", 14 }, { "\xc3\xa4.wild.test", 12 }, { "-x.wild.test", 12 },
		{ "x/y.wild.test", 13 }, { "x:1.wild.test", 13 },
	};
	uint8_t q[600];

	(void)state;
	for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
		assert_true(ask_bytes(q, question(q, odd[i].name, odd[i].len, 1)) > 0);
		assert_int_equal(code(), 3);
		assert_int_equal(answers(), 0);
		for (const char *p = note.name; *p != '\0'; p++)
			assert_in_range(*p, 0x21, 0x7e);
	}
	/* one label that holds a dot: not the two labels it reads like */
	static const uint8_t dotted[] = { 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 8, 'a', 'p', 'i', '.', 't', 'e', 's', 't', 0, 0, 1, 0, 1 };
	assert_true(ask_bytes(dotted, sizeof(dotted)) > 0);
	assert_int_equal(code(), 3);
	/* punycode is a label like others */
	assert_int_equal(ask("xn--4ca.wild.test", 1), 0);
}

static void test_malformed(void **state)
{
	uint8_t q[600];
	size_t n = question(q, "api.test", 8, 1);

	(void)state;
	for (size_t len = 0; len < n; len++)
		assert_int_equal(ask_bytes(q, len) > 0, len >= 12);
	q[2] |= 0x80; /* an answer is not answered */
	assert_int_equal(ask_bytes(q, n), 0);
	q[2] = 0x29; /* another operation */
	assert_true(ask_bytes(q, n) > 0);
	assert_int_equal(code(), 4);
	q[2] = 1;
	q[5] = 2; /* two questions */
	assert_true(ask_bytes(q, n) > 0);
	assert_int_equal(code(), 1);
	q[5] = 1;
	q[n - 1] = 3; /* CHAOS */
	assert_true(ask_bytes(q, n) > 0);
	assert_int_equal(code(), 5);
	/* compression: to itself, forward, past the end */
	static const uint8_t pointers[][2] = { { 0xc0, 12 }, { 0xc0, 20 }, { 0xff, 0xff }, { 0x40, 0 }, { 0x80, 0 } };
	for (size_t i = 0; i < 5; i++) {
		memcpy(q, (uint8_t[]){ 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 }, 12);
		memcpy(q + 12, pointers[i], 2);
		memcpy(q + 14, "\0\1\0\1", 4);
		assert_true(ask_bytes(q, 18) > 0);
		assert_int_equal(code(), 1);
	}
	/* 255 bytes of name, and one more */
	char name[300];
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 62 == 61 ? '.' : 'a';
	assert_true(ask_bytes(q, question(q, name, 253, 1)) > 0);
	assert_int_equal(code(), 3);
	assert_true(ask_bytes(q, question(q, name, 254, 1)) > 0);
	assert_int_equal(code(), 1);
}

static void test_edns(void **state)
{
	uint8_t q[600], opt[] = { 0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0 };
	size_t n = question(q, "api.test", 8, 1), len;

	(void)state;
	memcpy(q + n, opt, sizeof(opt));
	q[11] = 1;
	len = ask_bytes(q, n + sizeof(opt));
	assert_int_equal(code(), 0);
	assert_int_equal(out[11], 1);
	assert_memory_equal(out + len - 11, ((uint8_t[]){ 0, 0, 41, 1232 >> 8, 1232 & 255, 0, 0, 0x80, 0, 0, 0 }), 11);
	q[n + 6] = 1; /* a version to come */
	len = ask_bytes(q, n + sizeof(opt));
	assert_int_equal(code(), 0);
	assert_int_equal(out[len - 6], 1); /* 16: BADVERS */
	assert_int_equal(answers(), 0);
	q[n + 6] = 0;
	memcpy(q + n + sizeof(opt), opt, sizeof(opt));
	q[11] = 2; /* two of them */
	assert_true(ask_bytes(q, n + 2 * sizeof(opt)) > 0);
	assert_int_equal(code(), 1);
}

/* Any bytes: an answer that fits, no fault, no allowed name out of thin air. From a fixed seed, begun at good queries. */
static void test_fuzz(void **state)
{
	static const char *const begin[] = { "api.test", "x.wild.test", "a.b.c.wild.test", "other.test", "1.0.18.198.in-addr.arpa" };
	uint64_t x = 88172645463325252u;
	uint8_t q[600];

	(void)state;
	for (int i = 0; i < 200000; i++) {
		const char *name = begin[i % 5];
		size_t n = question(q, name, strlen(name), i % 3 == 0 ? 28 : 1);

		for (int k = 0; k < 1 + i % 7; k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			q[x % n] = (uint8_t)(x >> 32);
			if ((x >> 40) % 16 == 0)
				n = 1 + (size_t)((x >> 48) % n);
		}
		size_t len = ask_bytes(q, n);
		if (len == 0)
			continue;
		assert_true(len >= 12);
		assert_int_equal(out[0], q[0]);
		if (answers() > 0) {
			assert_int_equal(code(), 0);
			assert_false(note.refused);
		}
	}
}

static void test_synthetic_addresses(void **state)
{
	struct net_address a, b;
	char name[64];

	(void)state;
	struct synth *other = synth_new();
	assert_non_null(other);
	/* the same in another run; back again */
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "n%d.test", i);
		assert_int_equal(synth_address(other, name, AF_INET, &a), 0);
		assert_int_equal(net_address_class(&a), NET_CLASS_SYNTHETIC);
		assert_string_equal(synth_name(other, &a), name);
		assert_int_equal(synth_address(other, name, AF_INET6, &a), 0);
		assert_int_equal(net_address_class(&a), NET_CLASS_SYNTHETIC);
		assert_string_equal(synth_name(other, &a), name);
	}
	other = synth_free(other);
	other = synth_new();
	assert_int_equal(synth_address(other, "api.test", AF_INET, &a), 0);
	assert_int_equal(synth_address(synth, "api.test", AF_INET, &b), 0);
	assert_true(net_address_equal(&a, &b));
	/* full: no more, and nothing is forgotten */
	int i = 0, r = 0;
	for (; i < SYNTH_NAMES_MAX + 10 && r == 0; i++) {
		snprintf(name, sizeof(name), "m%d.test", i);
		r = synth_address(other, name, AF_INET, &b);
	}
	assert_int_equal(r, -ENOSPC);
	assert_in_range(i, SYNTH_NAMES_MAX / 2, SYNTH_NAMES_MAX);
	assert_string_equal(synth_name(other, &a), "api.test");
	assert_int_equal(net_address_parse("203.0.113.1", &b), 0);
	assert_null(synth_name(other, &b));
	assert_int_equal(net_address_parse("198.18.0.1", &b), 0);
	assert_null(synth_name(other, &b));
	assert_int_equal(net_address_parse("fd67:6162:696f:6e::1:0:100", &b), 0);
	assert_null(synth_name(other, &b));
	synth_free(other);
}

static void test_proxies(void **state)
{
	static struct proxies p;
	struct net_address a;
	char request[PROXY_REQUEST_MAX];

	(void)state;
	assert_int_equal(proxies_read("http://u:p%3aw@proxy.corp:8080/", "proxy.corp",
				      "localhost,.intern.test 10.0.0.0/8,192.0.2.7", &p), 0);
	assert_string_equal(p.https.name, "proxy.corp");
	assert_int_equal(p.https.port, 8080);
	assert_string_equal(p.https.auth, "dTpwOnc=");
	assert_int_equal(p.http.port, 80);
	assert_ptr_equal(proxy_for(&p, "api.test", NULL, 443), &p.https);
	assert_ptr_equal(proxy_for(&p, "api.test", NULL, 22), &p.https);
	assert_ptr_equal(proxy_for(&p, "api.test", NULL, 80), &p.http);
	assert_null(proxy_for(&p, "intern.test", NULL, 443));
	assert_null(proxy_for(&p, "a.intern.test", NULL, 443));
	assert_non_null(proxy_for(&p, "xintern.test", NULL, 443));
	assert_int_equal(net_address_parse("10.200.0.1", &a), 0);
	assert_null(proxy_for(&p, "", &a, 443));
	assert_int_equal(net_address_parse("192.0.2.8", &a), 0);
	assert_non_null(proxy_for(&p, "", &a, 443));
	assert_true(proxy_request(&p.https, "2001:db8::1", 443, request) > 0);
	assert_non_null(strstr(request, "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"));
	assert_int_equal(proxies_read("http://[2001:db8::9]:3128", NULL, "*", &p), 0);
	assert_int_equal(p.https.port, 3128);
	assert_false(p.https.named);
	assert_null(proxy_for(&p, "api.test", NULL, 443));
	assert_null(proxy_for(&p, "api.test", NULL, 80));
	static const char *const bad[] = { "https://proxy.corp", "socks5://x", "http://a b", "http://x:99999",
					   "http://x:", "http://[::1", "http://" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(proxies_read(bad[i], NULL, NULL, &p), PROXY_UNKNOWN);
		assert_false(p.https.set);
	}
	size_t used = 0;
	assert_int_equal(proxy_answer("HTTP/1.1 200 OK\r\nA: b\r\n\r\nrest", 29, &used), 200);
	assert_int_equal(used, 25);
	assert_int_equal(proxy_answer("HTTP/1.1 407 No\r\n\r\n", 19, &used), 407);
	assert_int_equal(proxy_answer("HTTP/1.1 200 OK\r\nA: b\r\n", 23, &used), -1);
	assert_int_equal(proxy_answer("HT", 2, &used), -1);
	assert_int_equal(proxy_answer("SSH-2.0-x\r\n\r\n", 13, &used), -2);
	assert_int_equal(proxy_answer("HTTP/1.1\r\n\r\n", 12, &used), -2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),	  cmocka_unit_test(test_refusals), cmocka_unit_test(test_odd_names),
		cmocka_unit_test(test_malformed), cmocka_unit_test(test_edns),	   cmocka_unit_test(test_fuzz),
		cmocka_unit_test(test_synthetic_addresses), cmocka_unit_test(test_proxies),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
