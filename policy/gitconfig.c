/*
 * The reader behind gitconfig.h. Its structure is the grammar's: git reads byte by byte, takes "\r\n" for "\n", and the end of
 * the file for a last newline; what follows from that (a backslash at the end of the file, a quote that is not closed) follows
 * here too. White space inside a value is kept as it is written; git before 2.45 makes blanks of it.
 */
#include "policy/gitconfig.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* The end of the file, told apart from a newline by r->eof, and a byte nobody writes. */
enum { BAD = -1 };

/* Not <ctype.h>: the locale has no say. */
static bool is_space(int c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_alpha(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_key(int c)
{
	return is_alpha(c) || (c >= '0' && c <= '9') || c == '-';
}

static char lower(int c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

void git_open(struct git_reader *r, const char *text, size_t len, char *value)
{
	r->text = text;
	r->len = len;
	r->pos = 0;
	r->eof = false;
	r->inside = false;
	r->name[0] = '\0';
	r->base_len = 0;
	r->value = value;
}

static int next_char(struct git_reader *r)
{
	unsigned char c;

	if (r->pos == r->len) {
		r->eof = true;
		return '\n';
	}
	c = (unsigned char)r->text[r->pos++];
	if (c == '\r' && r->pos < r->len && r->text[r->pos] == '\n') {
		r->pos++;
		return '\n';
	}
	return c == '\0' ? BAD : c;
}

static bool name_add(struct git_reader *r, size_t *len, int c)
{
	if (*len == GIT_NAME_MAX || c == BAD)
		return false;
	r->name[(*len)++] = (char)c;
	return true;
}

/* Behind the white space in a section header: "subsection"]. C is that white space. */
static bool read_subsection(struct git_reader *r, size_t *len, int c)
{
	do {
		if (c == '\n')
			return false;
		c = next_char(r);
	} while (is_space(c));
	if (c != '"' || !name_add(r, len, '.'))
		return false;
	for (;;) {
		c = next_char(r);
		if (c == '"')
			break;
		if (c == '\\')
			c = next_char(r);
		if (c == '\n' || !name_add(r, len, c))
			return false;
	}
	return next_char(r) == ']';
}

/* Behind a [: the name of a section, up to its ]. */
static bool read_section(struct git_reader *r)
{
	size_t len = 0;

	for (;;) {
		int c = next_char(r);

		if (r->eof || c == BAD)
			return false;
		if (c == ']')
			break;
		if (is_space(c)) {
			if (!read_subsection(r, &len, c))
				return false;
			break;
		}
		if ((!is_key(c) && c != '.') || !name_add(r, &len, lower(c)))
			return false;
	}
	if (len == 0 || !name_add(r, &len, '.'))
		return false;
	r->base_len = len;
	return true;
}

/* Behind the =. */
static bool read_value(struct git_reader *r, size_t *ret_len, bool *ret_plain)
{
	bool quote = false, comment = false;
	size_t len = 0, keep = 0; /* what is white space at the end of the value so far is not kept */

	*ret_plain = true;
	for (;;) {
		int c = next_char(r);

		if (c == BAD)
			return false;
		if (c == '\n') {
			if (quote)
				return false;
			r->value[keep] = '\0';
			*ret_len = keep;
			return true;
		}
		if (comment)
			continue;
		if (is_space(c) && !quote) {
			if (keep > 0)
				r->value[len++] = (char)c;
			continue;
		}
		if (!quote && (c == ';' || c == '#')) {
			comment = true;
			continue;
		}
		if (c == '\\') {
			keep = len;
			c = next_char(r);
			switch (c) {
			case '\n':
				*ret_plain = false;
				continue;
			case 't':
				c = '\t';
				break;
			case 'b':
				c = '\b';
				break;
			case 'n':
				c = '\n';
				break;
			case '\\':
			case '"':
				break;
			default:
				return false;
			}
		} else if (c == '"') {
			quote = !quote;
			keep = len;
			continue;
		}
		r->value[len++] = (char)c;
		keep = len;
	}
}

/* A key that begins with C, up to the end of its line. */
static bool read_entry(struct git_reader *r, int c, struct git_entry *e)
{
	size_t len = r->base_len;

	do {
		if (!name_add(r, &len, lower(c)))
			return false;
		c = next_char(r);
	} while (!r->eof && is_key(c));
	r->name[len] = '\0';
	while (c == ' ' || c == '\t')
		c = next_char(r);
	*e = (struct git_entry){ .name = r->name, .name_len = len, .plain = true };
	if (c == '\n')
		return true;
	if (c != '=' || !read_value(r, &e->value_len, &e->plain))
		return false;
	e->value = r->value;
	return true;
}

/* Skips a byte order mark; part of one is an error. */
static bool skip_mark(struct git_reader *r)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t n = 0;

	r->inside = true;
	while (n < sizeof(mark) - 1 && n < r->len && r->text[n] == mark[n])
		n++;
	r->pos = n;
	return n == 0 || n == sizeof(mark) - 1;
}

int git_next(struct git_reader *r, struct git_entry *ret_entry)
{
	bool comment = false;
	struct git_entry e;

	if (!r->inside && !skip_mark(r))
		return -EINVAL;
	for (;;) {
		int c = next_char(r);

		if (c == BAD)
			return -EINVAL;
		if (c == '\n') {
			if (r->eof)
				return GIT_END;
			comment = false;
			continue;
		}
		if (comment || is_space(c))
			continue;
		if (c == '#' || c == ';') {
			comment = true;
		} else if (c == '[') {
			if (!read_section(r))
				return -EINVAL;
		} else if (!is_alpha(c) || !read_entry(r, c, &e)) {
			return -EINVAL;
		} else {
			*ret_entry = e;
			return 0;
		}
	}
}
