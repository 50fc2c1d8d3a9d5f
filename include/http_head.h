/*
 * Heads of HTTP/1.1 messages (RFC 9112), read strictly: what two programs could read in two ways is refused. A reader of our own,
 * since it stands between a hostile client and a server that must see exactly what was judged: libraries for servers are
 * lenient by design. Nothing is forwarded as it came: whoever uses this writes heads anew from what was read.
 *
 *   refused: a line that does not end in CR LF, CR or LF or NUL anywhere else, a control character, a blank before a colon,
 *            continued lines (obs-fold), an empty or odd field name, HTTP/1.0 requests, targets that are not /..., both
 *            Content-Length and Transfer-Encoding, either of them twice, any coding but chunked, any Host but one
 *
 * Pure; spans point into the bytes given.
 */
#ifndef GABION_HTTP_HEAD_H
#define GABION_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HTTP_HEAD_MAX = 65536, HTTP_FIELDS_MAX = 256, HTTP_METHOD_MAX = 32 };

struct http_span {
	const char *s;
	size_t len;
};

struct http_field {
	struct http_span name, value; /* the value without blanks around it */
};

struct http_head {
	struct http_span method, target; /* of a request; target: /... or * */
	unsigned int status;		 /* of a response: 100 to 999 */
	unsigned int minor;		 /* HTTP/1.minor */
	struct http_span reason;
	struct http_field fields[HTTP_FIELDS_MAX];
	size_t n;
	size_t size; /* bytes of the head, its empty line included */
};

enum http_result {
	HTTP_MORE = 1, /* the head is not complete */
	HTTP_BAD,      /* *ret_why (static) */
	HTTP_LARGE,    /* beyond HTTP_HEAD_MAX or HTTP_FIELDS_MAX */
};

/* 0, or a result; *ret_h is of use with 0 only. */
int http_request_head(const char *bytes, size_t len, struct http_head *ret_h, const char **ret_why);
int http_response_head(const char *bytes, size_t len, struct http_head *ret_h, const char **ret_why);

/* Does SPAN equal TEXT, letters of either case? */
bool http_is(struct http_span span, const char *text);
/* The only field called NAME: its value with .s set, .s NULL where there is none; the first where there are several. */
struct http_span http_field(const struct http_head *h, const char *name);
size_t http_field_count(const struct http_head *h, const char *name);
/* Does the list in SPAN (commas between) have TOKEN? */
bool http_list_has(struct http_span span, const char *token);

enum http_body {
	HTTP_BODY_NONE = 0,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_CLOSE, /* until the connection ends; responses only */
};

/* How the body behind H is framed. 0 with *ret_len for LENGTH, or HTTP_BAD with *ret_why. */
int http_request_body(const struct http_head *h, enum http_body *ret_body, uint64_t *ret_len, const char **ret_why);
/* TO_HEAD: the request was a HEAD. */
int http_response_body(const struct http_head *h, bool to_head, enum http_body *ret_body, uint64_t *ret_len, const char **ret_why);

/*
 * Is the one Host of request H that of NAME (canonical) and PORT? The port may be left out where it is 443 (TLS is what there is).
 * False as well where there is no Host, or another one.
 */
bool http_host_is(const struct http_head *h, const char *name, uint16_t port);

/* ---- chunked bodies (RFC 9112, 7.1) ---- */

enum http_chunk_state {
	HTTP_CHUNK_SIZE = 0,
	HTTP_CHUNK_EXTENSION,
	HTTP_CHUNK_SIZE_LF,
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_DATA_CR,
	HTTP_CHUNK_DATA_LF,
	HTTP_CHUNK_TRAILER,	/* at a line's beginning */
	HTTP_CHUNK_TRAILER_LINE,
	HTTP_CHUNK_TRAILER_LF,
	HTTP_CHUNK_END_LF,
	HTTP_CHUNK_DONE,
	HTTP_CHUNK_BAD,
};

struct http_chunks {
	enum http_chunk_state state;
	unsigned int digits, extension;
	uint64_t left;
	size_t trailer; /* bytes of trailers so far */
};

enum { HTTP_TRAILER_MAX = 8192, HTTP_EXTENSION_MAX = 1024 };

/*
 * Reads on in a chunked body from LEN bytes. *RET_USED of them were taken; *RET_DATA of these, RET_DATA->len long, are the body's
 * (in one piece: call again for more). It stops where the trailer begins; trailer lines are passed over. 0, or HTTP_BAD once and for all.
 */
int http_chunks_take(struct http_chunks *c, const char *bytes, size_t len, size_t *ret_used, struct http_span *ret_data);

#endif
