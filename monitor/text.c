/*
 * Escaping for the three places where a stranger's bytes come out: JSON lines, the terminal, Markdown. One function,
 * text_plain(), knows which bytes may pass; the others differ in what they write for the rest.
 */
#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Code points that break lines, turn the direction of text or cannot be seen. */
static bool deceives(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
	       (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
	       c == 0xfeff || (c >= 0xfff0 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

size_t text_plain(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	uint32_t c = u[0], least;
	size_t len;

	if (c < 0x80)
		return !deceives(c);
	if (c >= 0xc2 && c < 0xe0) {
		len = 2;
		c &= 0x1f;
		least = 0x80;
	} else if (c >= 0xe0 && c < 0xf0) {
		len = 3;
		c &= 0x0f;
		least = 0x800;
	} else if (c >= 0xf0 && c < 0xf5) {
		len = 4;
		c &= 0x07;
		least = 0x10000;
	} else {
		return 0;
	}
	if (n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((u[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (u[i] & 0x3f);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || deceives(c))
		return 0;
	return len;
}

void text_add(struct text *t, const char *s, size_t n)
{
	if (n > t->size - t->len) {
		t->full = true;
		return;
	}
	memcpy(t->p + t->len, s, n);
	t->len += n;
}

void text_str(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_uint(struct text *t, unsigned long long v)
{
	char d[20];
	size_t i = sizeof(d);

	do {
		d[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	text_add(t, d + i, sizeof(d) - i);
}

void text_int(struct text *t, long long v)
{
	if (v < 0)
		text_add(t, "-", 1);
	text_uint(t, v < 0 ? 0 - (unsigned long long)v : (unsigned long long)v);
}

void text_hex(struct text *t, unsigned long long v)
{
	char d[18];
	size_t i = sizeof(d);

	do {
		d[--i] = "0123456789abcdef"[v & 15];
		v >>= 4;
	} while (v);
	d[--i] = 'x';
	d[--i] = '0';
	text_add(t, d + i, sizeof(d) - i);
}

void text_json(struct text *t, const char *s, size_t n)
{
	size_t from = 0, i = 0;

	while (i < n) {
		/* Nearly all of nearly every text. */
		if (s[i] >= ' ' && s[i] < 0x7f && s[i] != '"' && s[i] != '\\') {
			i++;
			continue;
		}
		size_t len = text_plain(s + i, n - i);

		if (len && s[i] != '"' && s[i] != '\\') {
			i += len;
			continue;
		}
		text_add(t, s + from, i - from);
		if (len) {
			text_add(t, (char[]){ '\\', s[i] }, 2);
		} else {
			unsigned char b = (unsigned char)s[i];

			text_add(t, (char[]){ '\\', 'u', '0', '0', "0123456789abcdef"[b >> 4], "0123456789abcdef"[b & 15] }, 6);
		}
		from = ++i;
	}
	text_add(t, s + from, n - from);
}

void text_show(FILE *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t len = text_plain(s + i, n - i);

		if (!len)
			fprintf(out, "\\x%02x", (unsigned char)s[i]);
		else if (s[i] == '\\')
			fputs("\\\\", out);
		else
			fwrite(s + i, 1, len, out);
		i += len ? len : 1;
	}
}

void text_markdown(FILE *out, const char *s, size_t n)
{
	static const char special[] = "\\`*_{}[]()<>#+-.!|&~\"'@:$^=";

	for (size_t i = 0; i < n;) {
		size_t len = text_plain(s + i, n - i);

		if (!len)
			fprintf(out, "&#92;x%02x", (unsigned char)s[i]);
		else if (len == 1 && strchr(special, s[i]))
			fprintf(out, "&#%u;", (unsigned char)s[i]);
		else
			fwrite(s + i, 1, len, out);
		i += len ? len : 1;
	}
}

void text_shell(FILE *out, const char *s, size_t n)
{
	static const char bare[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-";
	bool quote = n == 0;

	for (size_t i = 0; i < n; i++)
		quote = quote || !s[i] || !strchr(bare, s[i]);
	if (!quote) {
		fwrite(s, 1, n, out);
		return;
	}
	fputc('\'', out);
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\'')
			fputs("'\\''", out);
		else
			fputc(s[i], out);
	}
	fputc('\'', out);
}

char *text_clean(const char *s)
{
	size_t n = strlen(s);
	char *copy = malloc(2 * n + 1);
	size_t o = 0;

	if (!copy)
		return NULL;
	for (size_t i = 0; i < n;) {
		size_t len = text_plain(s + i, n - i);
		unsigned char b = (unsigned char)s[i];

		if (len) {
			memcpy(copy + o, s + i, len);
			o += len;
		} else if (b < 0x80) {
			copy[o++] = (char)b;
		} else {
			copy[o++] = (char)(0xc0 | b >> 6);
			copy[o++] = (char)(0x80 | (b & 0x3f));
		}
		i += len ? len : 1;
	}
	copy[o] = 0;
	return copy;
}
