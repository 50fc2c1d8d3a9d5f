/* Rules about credentials and heads of HTTP as tables: what a pattern covers, what stands for a value, what is refused as ambiguous. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "credential.h"
#include "http_head.h"
#include "util/err.h"

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern, *method, *path;
		bool match;
	} t[] = {
		{"POST /v1/messages", "POST", "/v1/messages", true},
		{"POST /v1/messages", "GET", "/v1/messages", false},
		{"POST /v1/messages", "post", "/v1/messages", false},
		{"POST /v1/messages", "POST", "/v1/messages/", false},
		{"POST /v1/messages**", "POST", "/v1/messages", true},
		{"POST /v1/messages**", "POST", "/v1/messages/count_tokens", true},
		{"POST /v1/messages**", "POST", "/v1/message", false},
		{"* /v1/*", "DELETE", "/v1/x", true},
		{"* /v1/*", "DELETE", "/v1/x/y", false},
		{"GET /v1/*/x", "GET", "/v1/a/x", true},
		{"GET /v1/*/x", "GET", "/v1/a/b/x", false},
		{"GET /v1/**/x", "GET", "/v1/a/b/x", true},
		{"GET /**/info/refs", "GET", "/owner/repo.git/info/refs", true},
		{"GET /a**c*e", "GET", "/abc/dcde", true},
		{"GET /a**c*e", "GET", "/abc/de", false},
		/* what a server could read otherwise matches nothing */
		{"* /**", "GET", "/v1/../admin", false},
		{"* /**", "GET", "/v1/..;/admin", false},
		{"* /**", "GET", "/v1/%2e%2e/admin", false},
		{"* /**", "GET", "/v1/%2fadmin", false},
		{"* /**", "GET", "/v1/%5cadmin", false},
		{"* /**", "GET", "/v1/%00", false},
		{"* /**", "GET", "/v1/%252e", false},
		{"* /**", "GET", "/v1/%4", false},
		{"* /**", "GET", "/v1//admin", false},
		{"* /**", "GET", "//admin", false},
		{"* /**", "GET", "/v1/.", false},
		{"* /**", "GET", "/v1/...", true},
		{"* /**", "GET", "/a%20b", true},
		{"* /**", "GET", "/a\\b", false},
		{"* /**", "GET", "/a?b", false},
		{"* /**", "OPTIONS", "*", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		struct credential_pattern p;
		const char *why;

		assert_int_equal(credential_pattern_parse(t[i].pattern, &p, &why), 0);
		if (credential_pattern_match(&p, t[i].method, t[i].path) != t[i].match)
			fail_msg("%s: %s %s", t[i].pattern, t[i].method, t[i].path);
		free(p.method);
		free(p.path);
	}
}

static void test_pattern_faults(void **state)
{
	static const char *const t[] = {"",	  "/v1",	 "GET",	       "GET v1",   "get /v1",
					"G* /v1", "GET  /v1", "GET /v1?x=1", "GET /a b", "GET /a//b"};
	struct credential_pattern p;
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		if (credential_pattern_parse(t[i], &p, &why) != -EINVAL || !why)
			fail_msg("'%s' is a pattern", t[i]);
}

static void test_judge(void **state)
{
	struct credential_host hosts[] = {{"api.example.com", 443}, {"b.example.com", 8443}};
	char any[] = "GET", path[] = "/v1/**";
	struct credential_pattern allow = {any, path};
	struct credential_rule r = {.hosts = hosts, .host_count = 2}, none = CREDENTIAL_RULE_NULL;

	(void)state;
	assert_true(credential_names(&r, "api.example.com", 443));
	assert_false(credential_names(&r, "api.example.com", 80));
	assert_false(credential_names(&r, "api.example.com.evil.test", 443));
	assert_true(credential_names(&r, "b.example.com", 8443));
	/* no hosts are no hosts, not all of them */
	assert_false(credential_names(&none, "api.example.com", 443));
	assert_int_equal(credential_judge(&r, "DELETE", "/x"), CREDENTIAL_USE);
	r.allow = &allow;
	r.allow_count = 1;
	assert_int_equal(credential_judge(&r, "GET", "/v1/models"), CREDENTIAL_USE);
	assert_int_equal(credential_judge(&r, "GET", "/v2/models"), CREDENTIAL_WITHOUT);
	r.deny = true;
	assert_int_equal(credential_judge(&r, "GET", "/v2/models"), CREDENTIAL_REFUSE);
}

static void test_placeholder(void **state)
{
	static const struct {
		const char *value, *keeps; /* its public part */
	} t[] = {{"sk-ant-api03-Abcdefgh0123_xy-z", "sk-ant-api03-"},
		 {"ghp_0123456789abcdefABCD", "ghp_"},
		 {"correct1horse2battery", ""}};
	uint8_t random[64];
	char text[128];
	const char *why = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(i * 37 + 11);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		size_t len = strlen(t[i].value), keeps = strlen(t[i].keeps);

		assert_int_equal(credential_placeholder(t[i].value, len, random, text, &why), 0);
		assert_int_equal(strlen(text), len);
		assert_int_equal(strncmp(text, t[i].keeps, keeps), 0);
		assert_string_not_equal(text + keeps, t[i].value + keeps);
		for (size_t k = 0; k < len; k++)
			assert_int_equal(text[k] >= 'a' && text[k] <= 'z', t[i].value[k] >= 'a' && t[i].value[k] <= 'z');
	}
	assert_int_equal(credential_placeholder("short1234", 9, random, text, &why), -EINVAL);
	assert_int_equal(credential_placeholder("with a blank in it", 18, random, text, &why), -EINVAL);
	assert_int_equal(credential_placeholder("0123456789\r\nEvil: 1", 19, random, text, &why), -EINVAL);
	assert_int_equal(credential_placeholder("----------------ab", 18, random, text, &why), -EINVAL);
}

static void test_rate(void **state)
{
	struct credential_rule r = {.rate = 0};
	struct credential_bucket b = {.begun = false};
	uint64_t wait = 0;
	int n = 0;

	(void)state;
	assert_int_equal(credential_rate("60/m", &r.rate, &r.rate_ms), 0);
	assert_int_equal(credential_rate("0/m", &r.rate, &r.rate_ms), -EINVAL);
	assert_int_equal(credential_rate("60", &r.rate, &r.rate_ms), -EINVAL);
	assert_int_equal(credential_rate("60/d", &r.rate, &r.rate_ms), -EINVAL);
	for (int i = 0; i < 100; i++)
		n += credential_take(&r, &b, 5000, &wait);
	assert_int_equal(n, 60);
	assert_true(wait > 0 && wait <= 1001);
	assert_false(credential_take(&r, &b, 5500, &wait));
	assert_true(credential_take(&r, &b, 6001, &wait));
	assert_false(credential_take(&r, &b, 6001, &wait));
	/* asked often, it fills as fast */
	for (uint64_t ms = 6001, i = 0; i < 1000; i++)
		n += credential_take(&r, &b, ms += 7, &wait);
	assert_in_range(n, 66, 68);
}

#define H "Host: api.example.com\r\n"

static void test_requests(void **state)
{
	static const struct {
		const char *text;
		size_t len; /* 0: strlen */
		int result; /* of the head, then of its framing */
		enum http_body body;
	} t[] = {
		{"GET / HTTP/1.1\r\n" H "\r\n", 0, 0, HTTP_BODY_NONE},
		{"POST /a?b=c HTTP/1.1\r\n" H "Content-Length: 12\r\n\r\n", 0, 0, HTTP_BODY_LENGTH},
		{"POST / HTTP/1.1\r\n" H "transfer-encoding:\tCHUNKED \r\n\r\n", 0, 0, HTTP_BODY_CHUNKED},
		{"GET / HTTP/1.1\r\n" H, 0, HTTP_MORE, 0},
		{"GET / HTTP/1.1\r", 0, HTTP_MORE, 0},
		{"", 0, HTTP_MORE, 0},
		{"GET / HTTP/1.0\r\n" H "\r\n", 0, HTTP_BAD, 0},
		{"GET / HTTP/2.0\r\n" H "\r\n", 0, HTTP_BAD, 0},
		{"GET  / HTTP/1.1\r\n" H "\r\n", 0, HTTP_BAD, 0},
		{"GET /\r\n" H "\r\n", 0, HTTP_BAD, 0},
		{"GET http://evil.test/ HTTP/1.1\r\n" H "\r\n", 0, HTTP_BAD, 0},
		{"CONNECT evil.test:443 HTTP/1.1\r\n" H "\r\n", 0, HTTP_BAD, 0},
		{"OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, 0, HTTP_BODY_NONE},
		{"GET * HTTP/1.1\r\n" H "\r\n", 0, HTTP_BAD, 0},
		{"GET / HTTP/1.1\n" H "\r\n", 0, HTTP_BAD, 0},
		{"GET / HTTP/1.1\r\nHost: api.example.com\n\r\n", 0, HTTP_BAD, 0},
		{"GET / HTTP/1.1\r\nHost: api.example.com\rX: y\r\n\r\n", 0, HTTP_BAD, 0},
		{"GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 0, HTTP_BAD, 0},
		{"GET / HTTP/1.1\r\n X: a\r\n" H "\r\n", 0, HTTP_BAD, 0},
		{"GET / HTTP/1.1\r\n" H "X : a\r\n\r\n", 0, HTTP_BAD, 0},
		{"GET / HTTP/1.1\r\n" H ": a\r\n\r\n", 0, HTTP_BAD, 0},
		{"GET / HTTP/1.1\r\n" H "X\r\n\r\n", 0, HTTP_BAD, 0},
		{"GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", 48, HTTP_BAD, 0},
		{"GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", 0, HTTP_BAD, 0},
		{"GET /\x80 HTTP/1.1\r\n" H "\r\n", 0, HTTP_BAD, 0},
		{"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 0, HTTP_BAD, 0},
		{"POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 0, HTTP_BAD, 0},
		{"POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n", 0, HTTP_BAD, 0},
		{"POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 0, HTTP_BAD, 0},
		{"POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n", 0, HTTP_BAD, 0},
		{"POST / HTTP/1.1\r\n" H "Content-Length: \r\n\r\n", 0, HTTP_BAD, 0},
		{"POST / HTTP/1.1\r\n" H "Content-Length: 9999999999999999999\r\n\r\n", 0, HTTP_BAD, 0},
		{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 0, HTTP_BAD, 0},
		{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 0, HTTP_BAD, 0},
		{"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 0, HTTP_BAD, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		size_t len = t[i].len ? t[i].len : strlen(t[i].text);
		enum http_body body = HTTP_BODY_NONE;
		static struct http_head h;
		const char *why = "";
		uint64_t n = 0;
		int r = http_request_head(t[i].text, len, &h, &why);

		if (r == 0) {
			assert_int_equal(h.size, len);
			r = http_request_body(&h, &body, &n, &why);
		}
		if (r != t[i].result || (r == 0 && body != t[i].body))
			fail_msg("%s: %d (%s), not %d", t[i].text, r, why, t[i].result);
		/* What was refused whole is not accepted in pieces, and what was accepted is complete at its last byte only. */
		for (size_t k = 0; k < len; k++) {
			int part = http_request_head(t[i].text, k, &h, &why);

			if (t[i].result != HTTP_BAD)
				assert_int_equal(part, HTTP_MORE);
		}
	}
}

static void test_hosts(void **state)
{
	static const struct {
		const char *fields;
		uint16_t port;
		bool is;
	} t[] = {
		{"Host: api.example.com\r\n", 443, true},
		{"host: API.Example.COM.\r\n", 443, true},
		{"Host: api.example.com:443\r\n", 443, true},
		{"Host: api.example.com:8443\r\n", 8443, true},
		{"Host: api.example.com\r\n", 8443, false},
		{"Host: api.example.com:80\r\n", 443, false},
		{"Host: api.example.com:0443\r\n", 443, false},
		{"Host: api.example.com:\r\n", 443, false},
		{"Host: evil.test\r\n", 443, false},
		{"Host: api.example.com.evil.test\r\n", 443, false},
		{"Host: api.example.com@evil.test\r\n", 443, false},
		{"Host: api.example.com, evil.test\r\n", 443, false},
		{"Host: api.example.com\r\nHost: api.example.com\r\n", 443, false},
		{"Host: api.example.com\r\nHost: evil.test\r\n", 443, false},
		{"Host:\r\n", 443, false},
		{"X: y\r\n", 443, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		static struct http_head h;
		const char *why;
		char text[256];

		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n%s\r\n", t[i].fields);
		assert_int_equal(http_request_head(text, strlen(text), &h, &why), 0);
		if (http_host_is(&h, "api.example.com", t[i].port) != t[i].is)
			fail_msg("%s", t[i].fields);
	}
}

static void test_responses(void **state)
{
	static const struct {
		const char *text;
		bool head;
		int result;
		enum http_body body;
	} t[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, 0, HTTP_BODY_LENGTH},
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", true, 0, HTTP_BODY_NONE},
		{"HTTP/1.1 200\r\n\r\n", false, 0, HTTP_BODY_CLOSE},
		{"HTTP/1.0 200 OK\r\n\r\n", false, 0, HTTP_BODY_CLOSE},
		{"HTTP/1.1 204 No\r\n\r\n", false, 0, HTTP_BODY_NONE},
		{"HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n", false, 0, HTTP_BODY_NONE},
		{"HTTP/1.1 100 Continue\r\n\r\n", false, 0, HTTP_BODY_NONE},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, 0, HTTP_BODY_CHUNKED},
		{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, HTTP_BAD, 0},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", false, HTTP_BAD, 0},
		{"HTTP/2 200\r\n\r\n", false, HTTP_BAD, 0},
		{"HTTP/1.1 20 OK\r\n\r\n", false, HTTP_BAD, 0},
		{"HTTP/1.1 2000 OK\r\n\r\n", false, HTTP_BAD, 0},
		{"ICY 200 OK\r\n\r\n", false, HTTP_BAD, 0},
		{"HTTP/1.1 200 O\x7fK\r\n\r\n", false, HTTP_BAD, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		enum http_body body = HTTP_BODY_NONE;
		static struct http_head h;
		const char *why;
		uint64_t n;
		int r = http_response_head(t[i].text, strlen(t[i].text), &h, &why);

		if (r == 0)
			r = http_response_body(&h, t[i].head, &body, &n, &why);
		if (r != t[i].result || (r == 0 && body != t[i].body))
			fail_msg("%s", t[i].text);
	}
}

static void test_chunks(void **state)
{
	static const struct {
		const char *text, *body; /* NULL: refused */
		bool done;
	} t[] = {
		{"3\r\nabc\r\n0\r\n\r\n", "abc", true},
		{"3;x=y\r\nabc\r\n1\r\nd\r\n000\r\nT: v\r\n\r\n", "abcd", true},
		{"3\r\nab", "ab", false},
		{"3\nabc\r\n0\r\n\r\n", NULL, false},
		{"3\r\nabcd\r\n0\r\n\r\n", NULL, false},
		{"3 \r\nabc\r\n0\r\n\r\n", NULL, false},
		{"0x3\r\nabc\r\n0\r\n\r\n", NULL, false},
		{"-3\r\nabc\r\n", NULL, false},
		{"\r\n", NULL, false},
		{"ffffffffffffffffff\r\n", NULL, false},
		{"0\r\n X: y\r\n\r\n", NULL, false},
		{"0\r\n\n", NULL, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		for (size_t piece = 1; piece < 8; piece++) {
			struct http_chunks c = {.state = HTTP_CHUNK_SIZE};
			size_t at = 0, len = strlen(t[i].text), got = 0;
			char body[64];
			int r = 0;

			while (at < len && r == 0 && c.state != HTTP_CHUNK_DONE) {
				size_t used, n = len - at < piece ? len - at : piece;
				struct http_span d;

				r = http_chunks_take(&c, t[i].text + at, n, &used, &d);
				at += used;
				if (r == 0 && d.s) {
					memcpy(body + got, d.s, d.len);
					got += d.len;
				}
			}
			body[got] = '\0';
			assert_int_equal(r != 0, t[i].body == NULL);
			if (r == 0) {
				assert_string_equal(body, t[i].body);
				assert_int_equal(c.state == HTTP_CHUNK_DONE, t[i].done);
			}
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),  cmocka_unit_test(test_pattern_faults), cmocka_unit_test(test_judge),
		cmocka_unit_test(test_placeholder), cmocka_unit_test(test_rate),	 cmocka_unit_test(test_requests),
		cmocka_unit_test(test_hosts),	  cmocka_unit_test(test_responses),	 cmocka_unit_test(test_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
