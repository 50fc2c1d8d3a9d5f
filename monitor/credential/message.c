/*
 * Requests and responses of one connection, one at a time: judged, written anew, handed on as they come.
 *
 * A request: read strictly (http_head.h), its Host must be the name that was resolved, no placeholder of another host's credential may
 * be in it. Then the first rule of this host that covers it puts its value in, and whatever the guest had to authenticate itself
 * goes: toward a credential's host the guest is nobody else. Nothing is forwarded as it came but bodies, and these are framed anew.
 *
 * A response: what is of the connection goes, values become placeholders in its head, body and trailers. To be able to see them, a
 * request with a value asks for no compression and no ranges; a body that is compressed anyway is refused.
 */
#include "monitor/credential/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/err.h"

enum { BASIC_MAX = 4096, CHUNK_SIZE_TEXT = 20 };

static bool add(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

static bool add_span(struct buf *b, struct http_span s)
{
	return buf_add(b, s.s, s.len);
}

static bool add_field(struct buf *b, struct http_span name, const char *value, size_t len)
{
	return add_span(b, name) && add(b, ": ") && buf_add(b, value, len) && add(b, "\r\n");
}

static bool one_of(struct http_span name, const char *const *names)
{
	for (size_t i = 0; names[i]; i++)
		if (http_is(name, names[i]))
			return true;
	return false;
}

/* ---- record and refusals ---- */

static void note(char *to, size_t size, const char *from, size_t len)
{
	size_t n = len < size - 1 ? len : size - 1;

	for (size_t i = 0; i < n; i++)
		to[i] = from[i] > ' ' && from[i] < 0x7f ? from[i] : '?';
	to[n] = '\0';
}

void message_record(struct client *c, enum credential_event ev, const char *why)
{
	struct credential_msg *m = &c->m;

	m->event = ev;
	m->credential = c->credential;
	m->port = c->host->port;
	m->sent = c->req.bytes;
	m->received = c->resp.bytes;
	(void)snprintf(m->host, sizeof(m->host), "%s", c->host->name);
	(void)snprintf(m->why, sizeof(m->why), "%s", why ? why : "");
	for (char *s = m->why; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
	/* The path is the guest's: a value it cannot know, a placeholder it need not show. */
	for (size_t i = 0; i < c->h->values.n; i++) {
		const struct credential_value *v = &c->h->values.v[i];
		const struct scrub_word words[] = {{v->value, v->placeholder, v->len}};

		(void)scrub_whole(words, 1, m->path, strlen(m->path));
	}
	holder_tell(c->h, m);
	*m = (struct credential_msg){.event = CREDENTIAL_EV_NONE};
	c->asked = false;
}

void message_refuse(struct client *c, enum credential_event ev, unsigned int status, const char *why)
{
	char text[512], body[256];
	const char *reason = status == 403	 ? "Forbidden"
			     : status == 413 ? "Content Too Large"
			     : status == 421 ? "Misdirected Request"
			     : status == 429 ? "Too Many Requests"
			     : status == 502 ? "Bad Gateway"
					     : "Bad Request";

	int n = snprintf(body, sizeof(body), "gabion: refused: %s\n", why);
	(void)snprintf(text, sizeof(text),
		       "HTTP/1.1 %u %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n%s\r\n%s", status,
		       reason, n, status == 429 ? "Retry-After: 1\r\n" : "", body);
	c->m.status = status;
	message_record(c, ev, why);
	/* In the middle of a response nothing can be said. */
	if (c->started || !add(&c->guest.out, text)) {
		c->over = true;
		return;
	}
	c->answering = true;
}

/* No memory: the connection ends. */
static bool broken(struct client *c)
{
	c->over = true;
	return true;
}

/* ---- bodies ---- */

static bool emit(struct client *c, struct flow *f, struct buf *out, const char *bytes, size_t len)
{
	char size[CHUNK_SIZE_TEXT];

	(void)c;
	if (len == 0)
		return true;
	if (f->phase != PHASE_CHUNKED)
		return buf_add(out, bytes, len);
	(void)snprintf(size, sizeof(size), "%zx\r\n", len);
	return add(out, size) && buf_add(out, bytes, len) && add(out, "\r\n");
}

/* Through the words of F. 0, -1: no memory, 1: what must not go was found. */
static int pass(struct client *c, struct flow *f, struct buf *out, const char *bytes, size_t len)
{
	AUTO_FREE char *tmp = NULL;
	long n;

	f->bytes += len;
	if (f->scrub.n == 0)
		return emit(c, f, out, bytes, len) ? 0 : -1;
	tmp = malloc(len + scrub_room(&f->scrub) + 1);
	if (!tmp)
		return -1;
	n = scrub_take(&f->scrub, bytes, len, tmp);
	int r = n < 0 ? 1 : emit(c, f, out, tmp, (size_t)n) ? 0 : -1;
	explicit_bzero(tmp, len + scrub_room(&f->scrub));
	return r;
}

/* What the words held back, at a body's end. */
static bool pass_end(struct client *c, struct flow *f, struct buf *out)
{
	AUTO_FREE char *tmp = malloc(scrub_room(&f->scrub) + 1);

	if (!tmp)
		return false;
	return emit(c, f, out, tmp, scrub_end(&f->scrub, tmp));
}

/* Trailers of a response that may be handed on, written anew. */
static bool add_trailers(struct client *c, struct flow *f, struct buf *out)
{
	static const char *const never[] = {"content-length", "transfer-encoding", "host", "connection", "set-cookie", "trailer",
					    "authorization", "content-encoding", NULL};
	struct buf text = {.p = NULL};
	struct http_head *h = malloc(sizeof(*h));
	const char *why;
	size_t from;
	bool ok = h && add(&text, "HTTP/1.1 200\r\n") && buf_add(&text, f->trailer.p, f->trailer.end);

	from = out->end - out->at;
	if (ok && http_response_head(text.p, text.end, h, &why) == 0)
		for (size_t i = 0; ok && i < h->n; i++)
			if (!one_of(h->fields[i].name, never))
				ok = add_field(out, h->fields[i].name, h->fields[i].value.s, h->fields[i].value.len);
	if (ok && out->p)
		(void)scrub_whole(c->host->down, c->host->down_n, out->p + out->at + from, out->end - out->at - from);
	buf_free(&text);
	free(h);
	return ok;
}

/* Moves what is there of a body from IN to OUT. 1: progress, 0: none, -1: no memory, 2: refused words, 3: bad framing. */
static int body(struct client *c, struct flow *f, struct buf *in, struct buf *out)
{
	size_t len = buf_len(in);
	struct http_span d = {.s = NULL};
	size_t used;
	int r;

	if (len == 0 || f->phase == PHASE_HEAD || f->phase == PHASE_DONE)
		return 0;
	if (f->phase != PHASE_CHUNKED) {
		if (f->phase == PHASE_LENGTH && len > f->left)
			len = (size_t)f->left;
		r = pass(c, f, out, in->p + in->at, len);
		in->at += len;
		if (f->phase == PHASE_LENGTH && r == 0) {
			f->left -= len;
			if (f->left == 0) {
				r = pass_end(c, f, out) ? 0 : -1;
				f->phase = PHASE_DONE;
			}
		}
		return r == 0 ? 1 : r == 1 ? 2 : -1;
	}
	bool trailer = f->chunks.state >= HTTP_CHUNK_TRAILER;
	if (http_chunks_take(&f->chunks, in->p + in->at, trailer ? 1 : len, &used, &d) != 0)
		return 3;
	if (trailer && !buf_add(&f->trailer, in->p + in->at, used))
		return -1;
	r = d.s ? pass(c, f, out, d.s, d.len) : 0;
	in->at += used;
	if (r == 0 && f->chunks.state == HTTP_CHUNK_DONE) {
		if (!pass_end(c, f, out) || !add(out, "0\r\n") || (f == &c->resp && !add_trailers(c, f, out)) || !add(out, "\r\n"))
			return -1;
		f->phase = PHASE_DONE;
	}
	return r == 0 ? 1 : r == 1 ? 2 : -1;
}

static bool begin_flow(struct flow *f, enum http_body how, uint64_t len, const struct scrub_word *words, size_t n)
{
	scrub_clear(&f->scrub);
	buf_free(&f->trailer);
	f->chunks = (struct http_chunks){.state = HTTP_CHUNK_SIZE};
	f->left = len;
	f->bytes = 0;
	f->phase = how == HTTP_BODY_CHUNKED		      ? PHASE_CHUNKED
		   : how == HTTP_BODY_CLOSE		      ? PHASE_CLOSE
		   : how == HTTP_BODY_LENGTH && len > 0 ? PHASE_LENGTH
							      : PHASE_DONE;
	return scrub_init(&f->scrub, words, n) == 0;
}

/* ---- requests ---- */

/* Decodes "Basic ..." in V. Returns the length, 0 where it is no such thing. */
static size_t basic_decode(struct http_span v, char ret_text[static BASIC_MAX])
{
	unsigned char out[BASIC_MAX];
	size_t at = 5, len, pad = 0;

	if (v.len < 10 || strncasecmp(v.s, "basic", 5) != 0 || v.s[5] != ' ')
		return 0;
	while (at < v.len && v.s[at] == ' ')
		at++;
	len = v.len - at;
	if (len == 0 || len % 4 != 0 || len / 4 * 3 >= BASIC_MAX)
		return 0;
	while (pad < 2 && v.s[v.len - 1 - pad] == '=')
		pad++;
	int n = EVP_DecodeBlock(out, (const unsigned char *)v.s + at, (int)len);
	if (n <= (int)pad)
		return 0;
	memcpy(ret_text, out, (size_t)n - pad);
	explicit_bzero(out, sizeof(out));
	return (size_t)n - pad;
}

static bool add_base64(struct buf *b, const char *bytes, size_t len)
{
	AUTO_FREE char *text = malloc(len / 3 * 4 + 8);

	if (!text)
		return false;
	int n = EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)bytes, (int)len);
	bool ok = buf_add(b, text, (size_t)n);
	explicit_bzero(text, (size_t)n);
	return ok;
}

static bool has(struct http_span s, const struct credential_value *v)
{
	return s.len >= v->len && memmem(s.s, s.len, v->placeholder, v->len) != NULL;
}

/* The credential whose placeholder stands in the head and which is not for this host; -1: none. */
static long foreign(const struct client *c, const struct http_head *h)
{
	char text[BASIC_MAX];

	for (size_t i = 0; i < c->h->values.n; i++) {
		const struct credential_value *v = &c->h->values.v[i];

		if (credential_names(v->rule, c->host->name, c->host->port))
			continue;
		if (has(h->target, v))
			return (long)i;
		for (size_t k = 0; k < h->n; k++) {
			size_t n = http_is(h->fields[k].name, "authorization") ? basic_decode(h->fields[k].value, text) : 0;

			if (has(h->fields[k].value, v) || has(h->fields[k].name, v) || (n > 0 && has((struct http_span){text, n}, v)))
				return (long)i;
		}
	}
	return -1;
}

/* What Connection may name: nothing that would take a header away behind our back. */
static bool connection_ok(const struct http_head *h)
{
	static const char *const known[] = {"close", "keep-alive", "upgrade", "te", "http2-settings", "", NULL};

	for (size_t i = 0; i < h->n; i++) {
		struct http_span v = h->fields[i].value;
		size_t at = 0;

		if (!http_is(h->fields[i].name, "connection"))
			continue;
		while (at <= v.len) {
			const char *comma = memchr(v.s + at, ',', v.len - at);
			size_t end = comma ? (size_t)(comma - v.s) : v.len;
			struct http_span token = {v.s + at, end - at};

			while (token.len > 0 && (token.s[0] == ' ' || token.s[0] == '\t'))
				token.s++, token.len--;
			while (token.len > 0 && (token.s[token.len - 1] == ' ' || token.s[token.len - 1] == '\t'))
				token.len--;
			if (!one_of(token, known))
				return false;
			at = end + 1;
		}
	}
	return true;
}

/* Which rule counts. Fills c->credential. USE, WITHOUT, REFUSE. */
static enum credential_verdict judge(struct client *c, const char *method, const char *path)
{
	enum credential_verdict all = CREDENTIAL_WITHOUT;

	c->credential = UINT32_MAX;
	for (size_t i = 0; i < c->h->list->n; i++) {
		const struct credential_rule *r = &c->h->list->v[i];

		if (!credential_names(r, c->host->name, c->host->port))
			continue;
		enum credential_verdict v = credential_judge(r, method, path);
		if (c->credential == UINT32_MAX)
			c->credential = (uint32_t)i;
		if (v == CREDENTIAL_USE) {
			c->credential = (uint32_t)i;
			return v;
		}
		if (v == CREDENTIAL_REFUSE)
			all = v;
	}
	return all;
}

/* VALUE percent-encoded (RFC 3986, 2.3). */
static bool add_escaped(struct buf *b, const char *value, size_t len)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char text[4];
	bool ok = true;

	for (size_t i = 0; ok && i < len; i++) {
		if (strchr(plain, value[i])) {
			ok = buf_add(b, &value[i], 1);
			continue;
		}
		(void)snprintf(text, sizeof(text), "%%%02X", (unsigned char)value[i]);
		ok = add(b, text);
	}
	return ok;
}

/* The target without parameters called NAME, and with ours. */
static bool add_query(struct buf *b, struct http_span target, const char *name, const struct credential_value *v)
{
	const char *q = memchr(target.s, '?', target.len), *end = target.s + target.len;
	size_t name_len = strlen(name);
	bool ok = buf_add(b, target.s, q ? (size_t)(q - target.s) : target.len) && add(b, "?");

	for (const char *at = q ? q + 1 : end; ok && at < end;) {
		const char *amp = memchr(at, '&', (size_t)(end - at)), *stop = amp ? amp : end;

		bool its = (size_t)(stop - at) >= name_len && strncmp(at, name, name_len) == 0 &&
			   (at + name_len == stop || at[name_len] == '=');

		if (!its)
			ok = buf_add(b, at, (size_t)(stop - at)) && add(b, "&");
		at = stop + 1;
	}
	return ok && add(b, name) && add(b, "=") && add_escaped(b, v->value, v->len);
}

/* A header of the guest's with the placeholder replaced; Basic as well. */
static bool add_replaced(struct buf *b, const struct http_field *f, const struct credential_value *v)
{
	const struct scrub_word words[] = {{v->placeholder, v->value, v->len}};
	char text[BASIC_MAX];
	size_t n = http_is(f->name, "authorization") ? basic_decode(f->value, text) : 0;

	if (n > 0 && scrub_whole(words, 1, text, n)) {
		bool ok = add_span(b, f->name) && add(b, ": Basic ") && add_base64(b, text, n) && add(b, "\r\n");

		explicit_bzero(text, sizeof(text));
		return ok;
	}
	size_t from = buf_len(b);
	if (!add_field(b, f->name, f->value.s, f->value.len))
		return false;
	(void)scrub_whole(words, 1, b->p + b->at + from, buf_len(b) - from);
	return true;
}

static bool add_credential(struct buf *b, const struct credential_rule *r, const struct credential_value *v)
{
	struct buf pair = {.p = NULL};
	bool ok = true;

	switch (r->inject) {
	case CREDENTIAL_INJECT_HEADER:
		return add(b, r->inject_text) && add(b, ": ") && buf_add(b, v->value, v->len) && add(b, "\r\n");
	case CREDENTIAL_INJECT_BEARER:
		return add(b, "Authorization: Bearer ") && buf_add(b, v->value, v->len) && add(b, "\r\n");
	case CREDENTIAL_INJECT_BASIC:
		ok = add(&pair, r->inject_text) && add(&pair, ":") && buf_add(&pair, v->value, v->len) && add(b, "Authorization: Basic ") &&
		     add_base64(b, pair.p, pair.end) && add(b, "\r\n");
		buf_free(&pair);
		return ok;
	case CREDENTIAL_INJECT_QUERY:
	case CREDENTIAL_INJECT_REPLACE:
	case CREDENTIAL_INJECT_NONE:
		break;
	}
	return true;
}

/* Is F to be left out of the request? */
static bool dropped(const struct client *c, const struct http_field *f, const struct credential_rule *r)
{
	static const char *const ours[] = {"host", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer",
					   "upgrade", "http2-settings", "content-length", "transfer-encoding", NULL};
	static const char *const seeing[] = {"accept-encoding", "range", "if-range", NULL};
	static const char *const identity[] = {"authorization", "x-api-key", "api-key", "x-goog-api-key", "private-token", NULL};

	if (one_of(f->name, ours) || (c->used && one_of(f->name, seeing)))
		return true;
	if (!r || r->inject == CREDENTIAL_INJECT_REPLACE)
		return false;
	return one_of(f->name, identity) || (r->inject == CREDENTIAL_INJECT_HEADER && http_is(f->name, r->inject_text));
}

static bool write_request(struct client *c, const struct http_head *h, enum http_body how, uint64_t len)
{
	const struct credential_rule *r = c->credential != UINT32_MAX ? &c->h->list->v[c->credential] : NULL;
	const struct credential_value *v = c->used ? &c->h->values.v[c->credential] : NULL;
	struct buf *out = &c->up.out;
	bool te = http_list_has(http_field(h, "te"), "trailers");
	char text[80];
	bool ok = add_span(out, h->method) && add(out, " ");

	ok = ok && (v && r->inject == CREDENTIAL_INJECT_QUERY ? add_query(out, h->target, r->inject_text, v) : add_span(out, h->target));
	ok = ok && add(out, " HTTP/1.1\r\nHost: ") && add(out, c->host->name);
	(void)snprintf(text, sizeof(text), ":%u", c->host->port);
	ok = ok && (c->host->port == 443 || add(out, text)) && add(out, "\r\n");
	for (size_t i = 0; ok && i < h->n; i++) {
		const struct http_field *f = &h->fields[i];

		if (dropped(c, f, r))
			continue;
		ok = v && r->inject == CREDENTIAL_INJECT_REPLACE ? add_replaced(out, f, v)
								 : add_field(out, f->name, f->value.s, f->value.len);
	}
	if (ok && v)
		ok = add_credential(out, r, v) && add(out, "Accept-Encoding: identity\r\n");
	if (ok && how == HTTP_BODY_LENGTH) {
		(void)snprintf(text, sizeof(text), "Content-Length: %llu\r\n", (unsigned long long)len);
		ok = add(out, text);
	} else if (ok && how == HTTP_BODY_CHUNKED) {
		ok = add(out, "Transfer-Encoding: chunked\r\n");
	}
	if (ok && c->upgrade)
		ok = add(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	else if (ok)
		ok = add(out, te ? "TE: trailers\r\nConnection: TE\r\n" : "Connection: keep-alive\r\n");
	return ok && add(out, "\r\n");
}

/* What is wrong with the request for this connection, with *RET_STATUS; NULL: nothing. */
static const char *request_fault(struct client *c, const struct http_head *h, unsigned int *ret_status)
{
	*ret_status = 421;
	if (!http_host_is(h, c->host->name, c->host->port))
		return "the Host is not the one this connection was made to";
	*ret_status = 400;
	if (!connection_ok(h))
		return "Connection names a header that is not of the connection";
	*ret_status = 403;
	if (http_is(h->method, "TRACE") || http_is(h->method, "CONNECT"))
		return "the method sends back what it was sent, or is a proxy's";
	return NULL;
}

static bool request_head(struct client *c)
{
	AUTO_FREE struct http_head *h = malloc(sizeof(*h));
	enum http_body how = HTTP_BODY_NONE;
	const char *why = "", *fault;
	char method[HTTP_METHOD_MAX + 1], path[8200];
	unsigned int status;
	uint64_t len = 0, wait = 0;

	if (!h)
		return broken(c);
	int r = http_request_head(c->guest.in.p + c->guest.in.at, buf_len(&c->guest.in), h, &why);
	if (r == HTTP_MORE && buf_len(&c->guest.in) <= HTTP_HEAD_MAX)
		return false;
	c->asked = true;
	c->used = c->started = c->upgrade = c->close = false;
	c->credential = UINT32_MAX;
	c->body_most = 0;
	c->m = (struct credential_msg){.event = CREDENTIAL_EV_NONE};
	if (r == 0)
		r = http_request_body(h, &how, &len, &why);
	if (r != 0) {
		message_refuse(c, CREDENTIAL_EV_REFUSED, 400, r == HTTP_BAD ? why : "the head is too large");
		return true;
	}
	size_t path_len = h->target.len;
	const char *q = memchr(h->target.s, '?', h->target.len);
	if (q)
		path_len = (size_t)(q - h->target.s);
	(void)snprintf(method, sizeof(method), "%.*s", (int)h->method.len, h->method.s);
	/* One that is cut here is too long to match anything. */
	(void)snprintf(path, sizeof(path), "%.*s", (int)path_len, h->target.s);
	note(c->m.method, sizeof(c->m.method), h->method.s, h->method.len);
	note(c->m.path, sizeof(c->m.path), h->target.s, path_len);
	fault = request_fault(c, h, &status);
	if (fault) {
		message_refuse(c, CREDENTIAL_EV_REFUSED, status, fault);
		return true;
	}
	long other = foreign(c, h);
	if (other >= 0) {
		c->credential = (uint32_t)other;
		message_refuse(c, CREDENTIAL_EV_EXFILTRATION, 403, "the placeholder of a credential that is not for this host");
		return true;
	}
	enum credential_verdict v = judge(c, method, path);
	if (v == CREDENTIAL_REFUSE) {
		message_refuse(c, CREDENTIAL_EV_REFUSED, 403, "no rule allows this method and path");
		return true;
	}
	const struct credential_rule *rule = &c->h->list->v[c->credential];
	c->used = v == CREDENTIAL_USE;
	c->body_most = c->used ? rule->body : 0;
	if (c->body_most != 0 && how == HTTP_BODY_LENGTH && len > c->body_most) {
		message_refuse(c, CREDENTIAL_EV_REFUSED, 413, "the body is larger than the credential's limit");
		return true;
	}
	if (c->used && !credential_take(rule, &c->h->buckets[c->credential], client_now(), &wait)) {
		message_refuse(c, CREDENTIAL_EV_REFUSED, 429, "more requests than the credential's rate");
		return true;
	}
	if (!c->up.open && (c->up.failed || c->up.eof)) {
		message_refuse(c, CREDENTIAL_EV_FAILED, 502, c->up.why ? c->up.why : "the server ended the connection");
		return true;
	}
	c->head = http_is(h->method, "HEAD");
	c->upgrade = http_is(http_field(h, "upgrade"), "websocket") && http_list_has(http_field(h, "connection"), "upgrade");
	c->close = http_list_has(http_field(h, "connection"), "close");
	if (!write_request(c, h, how, len) || !begin_flow(&c->req, how, len, c->host->up, c->host->up_n))
		return broken(c);
	scrub_clear(&c->resp.scrub);
	c->resp.phase = PHASE_HEAD;
	c->resp.bytes = 0;
	c->guest.in.at += h->size;
	return true;
}

bool message_request(struct client *c)
{
	if (!c->asked)
		return buf_len(&c->guest.in) > 0 && request_head(c);
	int r = body(c, &c->req, &c->guest.in, &c->up.out);
	if (r == 0)
		return false;
	if (r < 0)
		return broken(c);
	if (r == 2) {
		/* The rest of it never leaves. */
		buf_free(&c->up.out);
		message_refuse(c, CREDENTIAL_EV_EXFILTRATION, 403, "the placeholder of a credential that is not for this host (body)");
	} else if (r == 3) {
		message_refuse(c, CREDENTIAL_EV_REFUSED, 400, "a chunked body that is none");
	} else if (c->body_most != 0 && c->req.bytes > c->body_most) {
		message_refuse(c, CREDENTIAL_EV_REFUSED, 413, "the body is larger than the credential's limit");
	}
	return true;
}

/* ---- responses ---- */

static bool write_response(struct client *c, const struct http_head *h, enum http_body how, uint64_t len, bool interim)
{
	static const char *const ours[] = {"connection", "keep-alive", "proxy-connection", "upgrade", "transfer-encoding", "content-length",
					   "alt-svc", "proxy-authenticate", NULL};
	struct buf *out = &c->guest.out;
	size_t from = buf_len(out);
	char text[80];
	bool ok, tunnel = h->status == 101;

	(void)snprintf(text, sizeof(text), "HTTP/1.1 %u ", h->status);
	ok = add(out, text) && add_span(out, h->reason) && add(out, "\r\n");
	for (size_t i = 0; ok && i < h->n; i++)
		if (!one_of(h->fields[i].name, ours))
			ok = add_field(out, h->fields[i].name, h->fields[i].value.s, h->fields[i].value.len);
	struct http_span said = http_field(h, "content-length");
	if (ok && how == HTTP_BODY_LENGTH) {
		(void)snprintf(text, sizeof(text), "Content-Length: %llu\r\n", (unsigned long long)len);
		ok = add(out, text);
	} else if (ok && how == HTTP_BODY_CHUNKED) {
		ok = add(out, "Transfer-Encoding: chunked\r\n");
	} else if (ok && c->head && said.s) {
		ok = add(out, "Content-Length: ") && add_span(out, said) && add(out, "\r\n");
	}
	if (ok && tunnel)
		ok = add(out, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
	else if (ok && !interim)
		ok = add(out, c->close ? "Connection: close\r\n" : "Connection: keep-alive\r\n");
	ok = ok && add(out, "\r\n");
	if (ok)
		(void)scrub_whole(c->host->down, c->host->down_n, out->p + out->at + from, buf_len(out) - from);
	return ok;
}

static bool response_head(struct client *c)
{
	AUTO_FREE struct http_head *h = malloc(sizeof(*h));
	enum http_body how = HTTP_BODY_NONE;
	const char *why = "";
	uint64_t len = 0;

	if (!h)
		return broken(c);
	int r = http_response_head(c->up.in.p + c->up.in.at, buf_len(&c->up.in), h, &why);
	if (r == HTTP_MORE && buf_len(&c->up.in) <= HTTP_HEAD_MAX)
		return false;
	if (r == 0)
		r = http_response_body(h, c->head, &how, &len, &why);
	if (r == 0 && h->status == 101 && !c->upgrade) {
		r = HTTP_BAD;
		why = "a switch of protocols nobody asked for";
	}
	if (r != 0) {
		message_refuse(c, CREDENTIAL_EV_FAILED, 502, r == HTTP_BAD ? why : "the response's head is too large");
		return true;
	}
	struct http_span coding = http_field(h, "content-encoding");
	if (c->used && how != HTTP_BODY_NONE && coding.s && !http_is(coding, "identity")) {
		message_refuse(c, CREDENTIAL_EV_FAILED, 502, "a compressed response: the value could come back in it unseen");
		return true;
	}
	bool interim = h->status < 200 && h->status != 101;
	if (!interim) {
		c->m.status = h->status;
		if (h->minor == 0 || http_list_has(http_field(h, "connection"), "close") || how == HTTP_BODY_CLOSE)
			c->close = true;
	}
	if (!write_response(c, h, how, len, interim))
		return broken(c);
	c->up.in.at += h->size;
	if (interim)
		return true;
	c->started = true;
	if (!begin_flow(&c->resp, how, len, c->host->down, c->host->down_n))
		return broken(c);
	if (h->status == 101) {
		c->req.phase = c->resp.phase = PHASE_TUNNEL;
		scrub_clear(&c->req.scrub);
		if (scrub_init(&c->req.scrub, c->host->up, c->host->up_n) < 0)
			return broken(c);
	}
	return true;
}

/* The response has been handed on. */
static void complete(struct client *c)
{
	message_record(c, c->used ? CREDENTIAL_EV_USED : CREDENTIAL_EV_WITHOUT, NULL);
	if (c->close || c->req.phase != PHASE_DONE)
		c->answering = true; /* flush, and the end */
	c->started = false;
	c->req.phase = c->resp.phase = PHASE_HEAD;
}

bool message_response(struct client *c)
{
	int r;

	if (!c->asked && buf_len(&c->up.in) > 0) { /* a response to nothing must not become the next one's */
		c->close = c->answering = true;
		return true;
	}
	if (!c->asked)
		return false;
	if (c->resp.phase == PHASE_HEAD)
		return buf_len(&c->up.in) > 0 && response_head(c);
	r = body(c, &c->resp, &c->up.in, &c->guest.out);
	if (r < 0 || r > 1)
		return broken(c);
	/* The end of the connection is the end of the body only where it was said (close_notify). */
	bool ended = c->up.eof && buf_len(&c->up.in) == 0;
	if (ended && (c->resp.phase == PHASE_CLOSE || c->resp.phase == PHASE_TUNNEL)) {
		if (!pass_end(c, &c->resp, &c->guest.out))
			return broken(c);
		c->close = true;
		c->resp.phase = PHASE_DONE;
	}
	if (c->resp.phase == PHASE_DONE) {
		complete(c);
		return true;
	}
	return r == 1;
}
