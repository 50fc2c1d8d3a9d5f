/* Heads and framing of HTTP/1.1: see include/http_head.h. */
#include "http_head.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net_policy.h"

static bool is_token(unsigned char c)
{
	return c < 0x80 && (isalnum(c) || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL));
}

bool http_is(struct http_span span, const char *text)
{
	return span.s && strlen(text) == span.len && strncasecmp(span.s, text, span.len) == 0;
}

struct http_span http_field(const struct http_head *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (http_is(h->fields[i].name, name))
			return h->fields[i].value;
	return (struct http_span){.s = NULL};
}

size_t http_field_count(const struct http_head *h, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		n += http_is(h->fields[i].name, name);
	return n;
}

static struct http_span trimmed(struct http_span v)
{
	while (v.len > 0 && (v.s[0] == ' ' || v.s[0] == '\t')) {
		v.s++;
		v.len--;
	}
	while (v.len > 0 && (v.s[v.len - 1] == ' ' || v.s[v.len - 1] == '\t'))
		v.len--;
	return v;
}

bool http_list_has(struct http_span span, const char *token)
{
	size_t at = 0;

	while (span.s && at <= span.len) {
		const char *comma = memchr(span.s + at, ',', span.len - at);
		size_t end = comma ? (size_t)(comma - span.s) : span.len;

		if (http_is(trimmed((struct http_span){span.s + at, end - at}), token))
			return true;
		at = end + 1;
	}
	return false;
}

/* The next line at *AT, which moves behind its CR LF. */
static int next_line(const char *bytes, size_t len, size_t *at, struct http_span *ret_line, const char **ret_why)
{
	size_t i = *at;

	while (i < len && bytes[i] != '\r' && bytes[i] != '\n' && bytes[i] != '\0')
		i++;
	if (i < len && bytes[i] != '\r') {
		*ret_why = bytes[i] == '\n' ? "a line that ends in LF alone" : "a NUL byte in the head";
		return HTTP_BAD;
	}
	if (i + 1 >= len)
		return len > HTTP_HEAD_MAX ? HTTP_LARGE : HTTP_MORE;
	if (bytes[i + 1] != '\n') {
		*ret_why = "a CR without LF";
		return HTTP_BAD;
	}
	if (i + 2 > HTTP_HEAD_MAX)
		return HTTP_LARGE;
	*ret_line = (struct http_span){bytes + *at, i - *at};
	*at = i + 2;
	return 0;
}

static bool text_ok(struct http_span v)
{
	for (size_t i = 0; i < v.len; i++) {
		unsigned char c = (unsigned char)v.s[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int read_field(struct http_head *h, struct http_span line, const char **ret_why)
{
	size_t name = 0;

	if (line.s[0] == ' ' || line.s[0] == '\t') {
		*ret_why = "a continued header line";
		return HTTP_BAD;
	}
	while (name < line.len && is_token((unsigned char)line.s[name]))
		name++;
	if (name == 0 || name == line.len || line.s[name] != ':') {
		*ret_why = "a header line without a proper name and a colon behind it";
		return HTTP_BAD;
	}
	struct http_span value = trimmed((struct http_span){line.s + name + 1, line.len - name - 1});
	if (!text_ok(value)) {
		*ret_why = "a control character in a header";
		return HTTP_BAD;
	}
	if (h->n == HTTP_FIELDS_MAX)
		return HTTP_LARGE;
	h->fields[h->n++] = (struct http_field){.name = {line.s, name}, .value = value};
	return 0;
}

static int read_fields(struct http_head *h, const char *bytes, size_t len, size_t at, const char **ret_why)
{
	for (;;) {
		struct http_span line;
		int r = next_line(bytes, len, &at, &line, ret_why);

		if (r != 0)
			return r;
		if (line.len == 0)
			break;
		r = read_field(h, line, ret_why);
		if (r != 0)
			return r;
	}
	h->size = at;
	return 0;
}

static bool target_ok(const struct http_head *h)
{
	struct http_span t = h->target;

	if (t.len == 1 && t.s[0] == '*')
		return http_is(h->method, "OPTIONS");
	if (t.len == 0 || t.s[0] != '/')
		return false;
	for (size_t i = 0; i < t.len; i++) {
		unsigned char c = (unsigned char)t.s[i];

		if (c <= ' ' || c >= 0x7f || c == '#')
			return false;
	}
	return true;
}

int http_request_head(const char *bytes, size_t len, struct http_head *ret_h, const char **ret_why)
{
	struct http_span line;
	size_t at = 0, i = 0;
	int r;

	*ret_why = "no request";
	ret_h->n = 0;
	ret_h->status = 0;
	ret_h->reason = (struct http_span){.s = NULL};
	r = next_line(bytes, len, &at, &line, ret_why);
	if (r != 0)
		return r;
	while (i < line.len && i <= HTTP_METHOD_MAX && is_token((unsigned char)line.s[i]))
		i++;
	ret_h->method = (struct http_span){line.s, i};
	if (i == 0 || i > HTTP_METHOD_MAX || i == line.len || line.s[i] != ' ') {
		*ret_why = "no method";
		return HTTP_BAD;
	}
	const char *target = line.s + i + 1, *end = memchr(target, ' ', line.len - i - 1);
	if (!end) {
		*ret_why = "a request line of other than three parts";
		return HTTP_BAD;
	}
	ret_h->target = (struct http_span){target, (size_t)(end - target)};
	struct http_span version = {end + 1, (size_t)(line.s + line.len - end) - 1};
	if (version.len != 8 || memcmp(version.s, "HTTP/1.1", 8) != 0) {
		*ret_why = "a request of another version than HTTP/1.1";
		return HTTP_BAD;
	}
	ret_h->minor = 1;
	if (!target_ok(ret_h)) {
		*ret_why = "a target that does not begin with /, or has what no target has";
		return HTTP_BAD;
	}
	return read_fields(ret_h, bytes, len, at, ret_why);
}

int http_response_head(const char *bytes, size_t len, struct http_head *ret_h, const char **ret_why)
{
	struct http_span line;
	size_t at = 0;
	int r;

	*ret_why = "no response";
	ret_h->n = 0;
	ret_h->method = ret_h->target = (struct http_span){.s = NULL};
	r = next_line(bytes, len, &at, &line, ret_why);
	if (r != 0)
		return r;
	/* HTTP/1.1 200[ reason] */
	if (line.len < 12 || memcmp(line.s, "HTTP/1.", 7) != 0 || (line.s[7] != '0' && line.s[7] != '1') || line.s[8] != ' ' ||
	    line.s[9] < '1' || line.s[9] > '9' || !isdigit((unsigned char)line.s[10]) || !isdigit((unsigned char)line.s[11]) ||
	    (line.len > 12 && line.s[12] != ' ')) {
		*ret_why = "no status line of HTTP/1";
		return HTTP_BAD;
	}
	ret_h->minor = (unsigned int)(line.s[7] - '0');
	ret_h->status = (unsigned int)(line.s[9] - '0') * 100 + (unsigned int)(line.s[10] - '0') * 10 + (unsigned int)(line.s[11] - '0');
	ret_h->reason = line.len > 13 ? (struct http_span){line.s + 13, line.len - 13} : (struct http_span){line.s + line.len, 0};
	if (!text_ok(ret_h->reason)) {
		*ret_why = "a control character in the status line";
		return HTTP_BAD;
	}
	return read_fields(ret_h, bytes, len, at, ret_why);
}

/* Content-Length and Transfer-Encoding. 0 with CHUNKED, LENGTH, or NONE where neither is said. */
static int framing(const struct http_head *h, enum http_body *ret_body, uint64_t *ret_len, const char **ret_why)
{
	size_t lengths = http_field_count(h, "content-length"), codings = http_field_count(h, "transfer-encoding");
	struct http_span v = http_field(h, "content-length");
	uint64_t n = 0;

	*ret_body = HTTP_BODY_NONE;
	*ret_len = 0;
	if (lengths > 0 && codings > 0) {
		*ret_why = "both Content-Length and Transfer-Encoding";
		return HTTP_BAD;
	}
	if (lengths > 1 || codings > 1) {
		*ret_why = "two lengths";
		return HTTP_BAD;
	}
	if (codings == 1) {
		if (!http_is(http_field(h, "transfer-encoding"), "chunked") || h->minor != 1) {
			*ret_why = "a transfer coding other than chunked";
			return HTTP_BAD;
		}
		*ret_body = HTTP_BODY_CHUNKED;
		return 0;
	}
	if (lengths == 0)
		return 0;
	*ret_why = "a Content-Length that is no number";
	if (v.len == 0 || v.len > 18)
		return HTTP_BAD;
	for (size_t i = 0; i < v.len; i++) {
		if (v.s[i] < '0' || v.s[i] > '9')
			return HTTP_BAD;
		n = 10 * n + (uint64_t)(v.s[i] - '0');
	}
	*ret_body = HTTP_BODY_LENGTH;
	*ret_len = n;
	return 0;
}

int http_request_body(const struct http_head *h, enum http_body *ret_body, uint64_t *ret_len, const char **ret_why)
{
	return framing(h, ret_body, ret_len, ret_why);
}

int http_response_body(const struct http_head *h, bool to_head, enum http_body *ret_body, uint64_t *ret_len, const char **ret_why)
{
	int r = framing(h, ret_body, ret_len, ret_why);

	if (r != 0)
		return r;
	if (to_head || h->status < 200 || h->status == 204 || h->status == 304) {
		*ret_body = HTTP_BODY_NONE;
		*ret_len = 0;
	} else if (*ret_body == HTTP_BODY_NONE) {
		*ret_body = HTTP_BODY_CLOSE;
	}
	return 0;
}

bool http_host_is(const struct http_head *h, const char *name, uint16_t port)
{
	struct http_span v = http_field(h, "host");
	char canon[NET_NAME_SIZE], digits[8];
	size_t len = 0;

	if (http_field_count(h, "host") != 1)
		return false;
	while (len < v.len && v.s[len] != ':')
		len++;
	if (len < v.len) {
		int n = snprintf(digits, sizeof(digits), "%u", port);

		if (v.len - len - 1 != (size_t)n || memcmp(v.s + len + 1, digits, (size_t)n) != 0)
			return false;
	} else if (port != 443) {
		return false;
	}
	return net_name_canon(v.s, len, canon) == 0 && strcmp(canon, name) == 0;
}

/* ---- chunks ---- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One byte that is not the body's. */
static enum http_chunk_state step(struct http_chunks *c, char b)
{
	int digit;

	switch (c->state) {
	case HTTP_CHUNK_SIZE:
		digit = hex(b);
		if (digit >= 0 && c->digits < 15) {
			c->left = c->left << 4 | (unsigned int)digit;
			c->digits++;
			return HTTP_CHUNK_SIZE;
		}
		if (c->digits == 0)
			return HTTP_CHUNK_BAD;
		c->extension = 0;
		return b == '\r' ? HTTP_CHUNK_SIZE_LF : b == ';' ? HTTP_CHUNK_EXTENSION : HTTP_CHUNK_BAD;
	case HTTP_CHUNK_EXTENSION:
		if (b == '\r')
			return HTTP_CHUNK_SIZE_LF;
		return (b >= ' ' || b == '\t') && b != 0x7f && ++c->extension <= HTTP_EXTENSION_MAX ? HTTP_CHUNK_EXTENSION
												    : HTTP_CHUNK_BAD;
	case HTTP_CHUNK_SIZE_LF:
		if (b != '\n')
			return HTTP_CHUNK_BAD;
		return c->left > 0 ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILER;
	case HTTP_CHUNK_DATA_CR:
		return b == '\r' ? HTTP_CHUNK_DATA_LF : HTTP_CHUNK_BAD;
	case HTTP_CHUNK_DATA_LF:
		c->digits = 0;
		return b == '\n' ? HTTP_CHUNK_SIZE : HTTP_CHUNK_BAD;
	case HTTP_CHUNK_TRAILER:
		if (b == '\r')
			return HTTP_CHUNK_END_LF;
		return is_token((unsigned char)b) && ++c->trailer <= HTTP_TRAILER_MAX ? HTTP_CHUNK_TRAILER_LINE : HTTP_CHUNK_BAD;
	case HTTP_CHUNK_TRAILER_LINE:
		if (b == '\r')
			return HTTP_CHUNK_TRAILER_LF;
		return ((unsigned char)b >= ' ' || b == '\t') && b != 0x7f && ++c->trailer <= HTTP_TRAILER_MAX ? HTTP_CHUNK_TRAILER_LINE
													      : HTTP_CHUNK_BAD;
	case HTTP_CHUNK_TRAILER_LF:
		return b == '\n' ? HTTP_CHUNK_TRAILER : HTTP_CHUNK_BAD;
	case HTTP_CHUNK_END_LF:
		return b == '\n' ? HTTP_CHUNK_DONE : HTTP_CHUNK_BAD;
	case HTTP_CHUNK_DATA:
	case HTTP_CHUNK_DONE:
	case HTTP_CHUNK_BAD:
		break;
	}
	return HTTP_CHUNK_BAD;
}

int http_chunks_take(struct http_chunks *c, const char *bytes, size_t len, size_t *ret_used, struct http_span *ret_data)
{
	size_t i = 0;

	*ret_data = (struct http_span){.s = NULL};
	while (i < len && c->state != HTTP_CHUNK_DONE && c->state != HTTP_CHUNK_BAD) {
		if (c->state == HTTP_CHUNK_DATA) {
			size_t n = len - i < c->left ? len - i : (size_t)c->left;

			*ret_data = (struct http_span){bytes + i, n};
			i += n;
			c->left -= n;
			if (c->left == 0)
				c->state = HTTP_CHUNK_DATA_CR;
			break;
		}
		enum http_chunk_state before = c->state;

		c->state = step(c, bytes[i++]);
		if (before == HTTP_CHUNK_SIZE_LF && c->state == HTTP_CHUNK_TRAILER)
			break;
	}
	*ret_used = i;
	return c->state == HTTP_CHUNK_BAD ? HTTP_BAD : 0;
}
