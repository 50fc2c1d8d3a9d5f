/*
 * Bytes somebody else chose (paths, command names), made safe for a JSON line, a terminal, or Markdown.
 * "Plain" text is well-formed UTF-8 without control characters, line and paragraph separators, and the marks that
 * turn or hide text (bidirectional controls, zero-width and other format characters): a record stays one line and
 * shows what it holds.
 */
#ifndef GABION_MONITOR_TEXT_H
#define GABION_MONITOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* A buffer of fixed size. What does not fit is left out and .full is set; a caller checks once at the end. */
struct text {
	char *p;
	size_t len;
	size_t size;
	bool full;
};

/* Bytes of the plain UTF-8 sequence at S (N > 0 bytes are there), 1 to 4; 0 where the first byte begins none. */
size_t text_plain(const char *s, size_t n);

void text_add(struct text *t, const char *s, size_t n);
void text_str(struct text *t, const char *s);
void text_uint(struct text *t, unsigned long long v);
void text_int(struct text *t, long long v);
void text_hex(struct text *t, unsigned long long v);
/* S as the inside of a JSON string (no quotes): what is not plain becomes \u00XX, byte by byte. */
void text_json(struct text *t, const char *s, size_t n);

/* S for a terminal: what is not plain becomes \xXX, a backslash is doubled. */
void text_show(FILE *out, const char *s, size_t n);
/* S for Markdown and HTML: \xXX as above, and punctuation as numeric entities. */
void text_markdown(FILE *out, const char *s, size_t n);
/* S as one word of a POSIX shell: bare where it can be, else in single quotes. Only for plain text. */
void text_shell(FILE *out, const char *s, size_t n);

/* Copy of S as well-formed UTF-8 for jansson: each byte that begins no plain sequence becomes U+00XX. NULL: no memory. */
char *text_clean(const char *s);

#endif
