/*
 * Values in a stream of bytes, found wherever the stream is cut, and replaced by what is as long, so that no length changes. Only bytes
 * that may be the beginning of one are held back.
 */
#ifndef GABION_MONITOR_CREDENTIAL_SCRUB_H
#define GABION_MONITOR_CREDENTIAL_SCRUB_H

#include <stdbool.h>
#include <stddef.h>

/* FIND becomes PUT, both LEN bytes; PUT NULL: finding it is the end. Bytes are somebody else's. */
struct scrub_word {
	const char *find, *put;
	size_t len;
};

struct scrub {
	const struct scrub_word *words;
	size_t n;
	char *held;
	size_t held_len, longest;
};

/* WORDS are not copied. -ENOMEM. */
int scrub_init(struct scrub *s, const struct scrub_word *words, size_t n);
/* Wipes what is held. */
void scrub_clear(struct scrub *s);

/*
 * LEN more bytes. What may be handed on is written to OUT, which has room for LEN + scrub_room(); returns how much that is, or -1 where
 * a word without replacement was found (nothing is to be handed on any more).
 */
long scrub_take(struct scrub *s, const char *bytes, size_t len, char *out);
/* The end of the stream: what is held back, which is no whole word, to OUT. */
size_t scrub_end(struct scrub *s, char *out);
size_t scrub_room(const struct scrub *s);
/* The same for bytes that are there as a whole. Returns whether something was found; words without replacement stay. */
bool scrub_whole(const struct scrub_word *words, size_t n, char *bytes, size_t len);

#endif
