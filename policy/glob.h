/*
 * Component globs, the matcher under every pattern of the policy.
 *
 * A pattern is a list of components. Within a component * stands for any bytes, ? for one, [...] for one of a
 * set (ranges, ! or ^ for its complement); a backslash takes the next byte literally. A leading dot is not
 * special: a rule that forgets .env would be a hole. ** is a component of its own and stands for any number
 * of components, none included. Matching is by bytes, as the kernel's names are.
 */
#ifndef GABION_POLICY_GLOB_H
#define GABION_POLICY_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "glob_hash() reads words of a little-endian machine");

enum glob_kind {
	GLOB_LITERAL = 0, /* the component itself, backslashes already taken out */
	GLOB_PATTERN,	  /* holds *, ? or [...] */
	GLOB_DEEP,	  /* ** */
};

/* One component. The text belongs to whoever made the token. */
struct glob_token {
	enum glob_kind kind;
	uint32_t len;
	const char *text;
};

/* States are bits of a word, one after the last token included. */
enum { GLOB_TOKENS_MAX = 62 };

/*
 * What a component of a pattern is. Returns its kind, or -EINVAL for what cannot be meant: an open bracket
 * without its end, ** next to other characters, a backslash at the end.
 */
int glob_component_kind(const char *s, size_t len);

/* Whether component S matches the component pattern PAT. */
bool glob_component(const char *pat, size_t pat_len, const char *s, size_t len);

/* Copies LEN bytes from S to DST without its backslashes (each takes the next byte along); returns the
 * length. */
size_t glob_unquote(char *dst, const char *s, size_t len);

/* S with a backslash before every byte that has a meaning in a pattern. Owned by the caller; NULL: no memory.
 */
char *glob_quote(const char *s);

/*
 * Runs the N tokens over the components of S ("a/b/c", no slash in front or behind). Bit i of the result:
 * token i is the next to be matched; bit N: all of them matched, at S or above it. 0: nothing at or below S
 * can match.
 */
uint64_t glob_run(const struct glob_token *tok, unsigned int n, const char *s, size_t len);

/* Whether the N tokens match S itself, not only something above it. */
bool glob_run_exact(const struct glob_token *tok, unsigned int n, const char *s, size_t len);

/*
 * Hash and length of the component that starts at S and ends before a slash or after LEFT bytes. Eight bytes
 * at a time, because it is most of what a verdict costs.
 */
static inline uint64_t glob_hash(const char *s, size_t left, size_t *ret_len)
{
	const uint64_t ones = 0x0101010101010101ULL, slashes = ones * '/';
	uint64_t h = 0x9e3779b97f4a7c15ULL;
	size_t n = 0;

	for (;;) {
		size_t have = left - n;
		uint64_t w = 0, z;

		if (have >= sizeof(w))
			memcpy(&w, s + n, sizeof(w));
		else
			for (size_t i = 0; i < have; i++)
				w |= (uint64_t)(unsigned char)s[n + i] << (8 * i);
		z = ((w ^ slashes) - ones) & ~(w ^ slashes) & (ones << 7);
		if (z) {
			unsigned int k = (unsigned int)__builtin_ctzll(z) / 8;

			if (k) {
				h = (h ^ (w & (~0ULL >> (64 - 8 * k)))) * 0xff51afd7ed558ccdULL;
				h ^= h >> 29;
			}
			n += k;
			break;
		}
		if (have == 0)
			break;
		h = (h ^ w) * 0xff51afd7ed558ccdULL;
		h ^= h >> 29;
		n += have < sizeof(w) ? have : sizeof(w);
	}
	*ret_len = n;
	return h ^ (h >> 32) ^ n;
}

#endif
