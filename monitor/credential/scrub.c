/* See scrub.h. */
#include "monitor/credential/scrub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int scrub_init(struct scrub *s, const struct scrub_word *words, size_t n)
{
	*s = (struct scrub){.words = words, .n = n};
	for (size_t i = 0; i < n; i++)
		if (words[i].len > s->longest)
			s->longest = words[i].len;
	s->held = s->longest > 0 ? malloc(s->longest) : NULL;
	return s->longest > 0 && !s->held ? -ENOMEM : 0;
}

void scrub_clear(struct scrub *s)
{
	if (s->held)
		explicit_bzero(s->held, s->longest);
	free(s->held);
	*s = (struct scrub){.words = NULL};
}

size_t scrub_room(const struct scrub *s)
{
	return s->longest;
}

/* Returns whether a word without replacement was found. */
static bool replace(const struct scrub_word *words, size_t n, char *bytes, size_t len, bool *ret_found)
{
	bool alarm = false;

	for (size_t i = 0; i < n; i++) {
		const struct scrub_word *w = &words[i];
		char *at = bytes, *end = bytes + len;

		while (w->len > 0 && (size_t)(end - at) >= w->len && (at = memmem(at, (size_t)(end - at), w->find, w->len)) != NULL) {
			*ret_found = true;
			alarm = alarm || !w->put;
			if (w->put)
				memcpy(at, w->put, w->len);
			at += w->len;
		}
	}
	return alarm;
}

/* How many of the last of LEN bytes may begin a word. */
static size_t beginning(const struct scrub *s, const char *bytes, size_t len)
{
	size_t most = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct scrub_word *w = &s->words[i];
		size_t some = w->len - 1 < len ? w->len - 1 : len;
		const char *at = bytes + len - some, *end = bytes + len;

		while (at < end && (at = memchr(at, w->find[0], (size_t)(end - at))) != NULL) {
			size_t n = (size_t)(end - at);

			if (n <= most)
				break;
			if (memcmp(at, w->find, n) == 0) {
				most = n;
				break;
			}
			at++;
		}
	}
	return most;
}

long scrub_take(struct scrub *s, const char *bytes, size_t len, char *out)
{
	size_t all = s->held_len + len, keep;
	bool found = false;

	if (s->held_len > 0)
		memcpy(out, s->held, s->held_len);
	memcpy(out + s->held_len, bytes, len);
	if (replace(s->words, s->n, out, all, &found))
		return -1;
	keep = beginning(s, out, all);
	if (keep > 0)
		memcpy(s->held, out + all - keep, keep);
	s->held_len = keep;
	return (long)(all - keep);
}

size_t scrub_end(struct scrub *s, char *out)
{
	size_t n = s->held_len;

	if (n > 0)
		memcpy(out, s->held, n);
	s->held_len = 0;
	return n;
}

bool scrub_whole(const struct scrub_word *words, size_t n, char *bytes, size_t len)
{
	bool found = false;

	(void)replace(words, n, bytes, len, &found);
	return found;
}
