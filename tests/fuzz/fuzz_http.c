/*
 * Heads and chunked bodies of any bytes: what is accepted is complete, has no control characters, is framed in one way, reads the same
 * when it is written anew, and a chunked body reads the same however it is cut into pieces.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "credential.h"
#include "http_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool so)
{
	if (!so)
		abort();
}

static void span_ok(struct http_span v, const uint8_t *data, size_t size)
{
	must(v.s >= (const char *)data && v.s + v.len <= (const char *)data + size);
	must(!memchr(v.s, '\r', v.len) && !memchr(v.s, '\n', v.len) && !memchr(v.s, '\0', v.len));
}

static void check_head(const uint8_t *data, size_t size)
{
	static struct http_head h, again;
	const char *why = NULL;
	enum http_body body;
	uint64_t len;
	char *text = NULL;
	size_t text_len = 0;

	if (http_request_head((const char *)data, size, &h, &why) != 0)
		return;
	must(h.size <= size && h.size <= HTTP_HEAD_MAX);
	FILE *f = open_memstream(&text, &text_len);
	must(f != NULL);
	fprintf(f, "%.*s %.*s HTTP/1.1\r\n", (int)h.method.len, h.method.s, (int)h.target.len, h.target.s);
	for (size_t i = 0; i < h.n; i++) {
		span_ok(h.fields[i].name, data, size);
		span_ok(h.fields[i].value, data, size);
		fprintf(f, "%.*s: %.*s\r\n", (int)h.fields[i].name.len, h.fields[i].name.s, (int)h.fields[i].value.len,
			h.fields[i].value.s);
	}
	fprintf(f, "\r\n");
	must(fclose(f) == 0);
	if (text_len <= HTTP_HEAD_MAX) {
		must(http_request_head(text, text_len, &again, &why) == 0 && again.n == h.n && again.size == text_len);
		for (size_t i = 0; i < h.n; i++)
			must(again.fields[i].value.len == h.fields[i].value.len);
	}
	free(text);
	if (http_request_body(&h, &body, &len, &why) == 0)
		must(!(http_field(&h, "content-length").s && http_field(&h, "transfer-encoding").s));
	if (http_host_is(&h, "api.test", 443))
		must(http_field_count(&h, "host") == 1);
	char path[256];
	snprintf(path, sizeof(path), "%.*s", (int)h.target.len, h.target.s);
	if (credential_path_normal(path))
		must(!strstr(path, "//") && !strstr(path, "/../") && !strstr(path, "%2e"));
}

static size_t chunked(const uint8_t *data, size_t size, size_t piece, char *out, bool *ret_bad)
{
	struct http_chunks c = {.state = HTTP_CHUNK_SIZE};
	size_t at = 0, n = 0;

	*ret_bad = false;
	while (at < size && c.state != HTTP_CHUNK_DONE) {
		size_t some = size - at < piece ? size - at : piece, used;
		struct http_span d;

		if (http_chunks_take(&c, (const char *)data + at, some, &used, &d) != 0) {
			*ret_bad = true;
			return n;
		}
		must(used > 0 && used <= some);
		if (d.s) {
			memcpy(out + n, d.s, d.len);
			n += d.len;
		}
		at += used;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct http_head h;
	char *a = malloc(size + 1), *b = malloc(size + 1);
	bool bad_a, bad_b;
	const char *why;

	must(a && b);
	check_head(data, size);
	if (http_response_head((const char *)data, size, &h, &why) == 0)
		must(h.status >= 100 && h.status <= 999 && h.size <= size);
	size_t n = chunked(data, size, size + 1, a, &bad_a), m = chunked(data, size, 1, b, &bad_b);
	must(n == m && bad_a == bad_b && memcmp(a, b, n) == 0);
	free(a);
	free(b);
	return 0;
}
