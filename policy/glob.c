/*
 * Component globs: see glob.h for the language.
 *
 * A component is matched with the usual one-star backtracking (linear but for the last star), a path with a
 * set of states kept in one word: a state for each token, moved on component by component. So a pattern with
 * many ** costs no more than one with few, and nothing is exponential in what a guest or a policy writes.
 */
#include "glob.h"

#include <errno.h>
#include <stdlib.h>

/* Length of the bracket expression at S ("[...]"), 0 where it has no end. */
static size_t bracket_len(const char *s, size_t len)
{
	size_t i = 1;

	if (i < len && (s[i] == '!' || s[i] == '^'))
		i++;
	/* A closing bracket right here is a member. */
	if (i < len && s[i] == ']')
		i++;
	while (i < len && s[i] != ']')
		i += s[i] == '\\' ? 2 : 1;
	return i < len ? i + 1 : 0;
}

/* Whether byte C is in the bracket expression of LEN bytes at S. */
static bool bracket_has(const char *s, size_t len, unsigned char c)
{
	size_t i = 1, end = len - 1;
	bool not = false, found = false, first = true;

	if (s[i] == '!' || s[i] == '^') {
		not = true;
		i++;
	}
	while (i < end || (first && i == end)) {
		unsigned char lo, hi;

		first = false;
		if (s[i] == '\\' && i + 1 < end)
			i++;
		lo = hi = (unsigned char)s[i++];
		if (i + 1 < end && s[i] == '-') {
			i++;
			if (s[i] == '\\' && i + 1 < end)
				i++;
			hi = (unsigned char)s[i++];
		}
		if (c >= lo && c <= hi)
			found = true;
	}
	return found != not ;
}

int glob_component_kind(const char *s, size_t len)
{
	int kind = GLOB_LITERAL;

	if (len == 2 && s[0] == '*' && s[1] == '*')
		return GLOB_DEEP;
	for (size_t i = 0; i < len; i++) {
		switch (s[i]) {
		case '\\':
			if (++i >= len)
				return -EINVAL;
			break;
		case '*':
			if (i + 1 < len && s[i + 1] == '*')
				return -EINVAL;
			kind = GLOB_PATTERN;
			break;
		case '?':
			kind = GLOB_PATTERN;
			break;
		case '[': {
			size_t n = bracket_len(s + i, len - i);

			if (n == 0)
				return -EINVAL;
			i += n - 1;
			kind = GLOB_PATTERN;
			break;
		}
		default:
			break;
		}
	}
	return kind;
}

bool glob_component(const char *pat, size_t pat_len, const char *s, size_t len)
{
	size_t p = 0, i = 0, star = 0, mark = 0;
	bool starred = false;

	for (;;) {
		if (p < pat_len && pat[p] == '*') {
			star = ++p;
			mark = i;
			starred = true;
			continue;
		}
		if (i == len && p == pat_len)
			return true;
		if (i < len && p < pat_len) {
			size_t n = 1;
			bool ok;

			if (pat[p] == '?') {
				ok = true;
			} else if (pat[p] == '[') {
				n = bracket_len(pat + p, pat_len - p);
				ok = n && bracket_has(pat + p, n, (unsigned char)s[i]);
			} else if (pat[p] == '\\' && p + 1 < pat_len) {
				n = 2;
				ok = pat[p + 1] == s[i];
			} else {
				ok = pat[p] == s[i];
			}
			if (ok) {
				p += n;
				i++;
				continue;
			}
		}
		/* The last star takes one byte more; without one, or with nothing left to take, it is over.
		 */
		if (!starred || mark >= len)
			return false;
		i = ++mark;
		p = star;
	}
}

size_t glob_unquote(char *dst, const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] == '\\' && i + 1 < len)
			i++;
		dst[n++] = s[i];
	}
	return n;
}

char *glob_quote(const char *s)
{
	size_t len = strlen(s), n = 0;
	char *q = malloc(2 * len + 1);

	if (!q)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (strchr("*?[\\", s[i]))
			q[n++] = '\\';
		q[n++] = s[i];
	}
	q[n] = '\0';
	return q;
}

/* ** may stand for nothing: the state before it is the state behind it as well. */
static uint64_t closure(const struct glob_token *tok, unsigned int n, uint64_t states)
{
	for (unsigned int i = 0; i < n; i++)
		if ((states & (1ULL << i)) && tok[i].kind == GLOB_DEEP)
			states |= 1ULL << (i + 1);
	return states;
}

/* States after S; *RET_ABOVE: the last state, if it was reached at S or above it. */
static uint64_t run(const struct glob_token *tok, unsigned int n, const char *s, size_t len, uint64_t *ret_above)
{
	uint64_t states = closure(tok, n, 1), done = 1ULL << n, matched = states & done;
	size_t pos = 0;

	while (pos < len && states) {
		const char *slash = memchr(s + pos, '/', len - pos);
		size_t clen = slash ? (size_t)(slash - (s + pos)) : len - pos;
		uint64_t next = 0;

		for (unsigned int i = 0; i < n; i++) {
			if (!(states & (1ULL << i)))
				continue;
			switch (tok[i].kind) {
			case GLOB_DEEP:
				next |= 1ULL << i;
				break;
			case GLOB_LITERAL:
				if (tok[i].len == clen && memcmp(tok[i].text, s + pos, clen) == 0)
					next |= 1ULL << (i + 1);
				break;
			case GLOB_PATTERN:
				if (glob_component(tok[i].text, tok[i].len, s + pos, clen))
					next |= 1ULL << (i + 1);
				break;
			}
		}
		states = closure(tok, n, next);
		matched |= states & done;
		pos += clen + 1;
	}
	*ret_above = matched;
	return states;
}

uint64_t glob_run(const struct glob_token *tok, unsigned int n, const char *s, size_t len)
{
	uint64_t above, states = run(tok, n, s, len, &above);

	return states | above;
}

bool glob_run_exact(const struct glob_token *tok, unsigned int n, const char *s, size_t len)
{
	uint64_t above;

	return (run(tok, n, s, len, &above) & (1ULL << n)) != 0;
}
