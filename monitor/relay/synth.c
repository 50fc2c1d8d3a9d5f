/* The table of synthetic addresses: an array of names, the index is the last part of the address. See synth.h. */
#include "monitor/relay/synth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

_Static_assert(SYNTH_COUNT == 1 << (32 - NET_SYNTHETIC4_BITS), "a number for each address of the IPv4 range");

struct synth {
	size_t names;
	char **slot; /* SYNTH_COUNT pointers; so large that its pages are there once they are used */
};

/* fd67:6162:696f:6e::, RELAY_NET6 */
static const uint8_t prefix6[8] = { 0xfd, 0x67, 0x61, 0x62, 0x69, 0x6f, 0x00, 0x6e };

struct synth *synth_new(void)
{
	struct synth *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->slot = calloc(SYNTH_COUNT, sizeof(char *));
	if (s->slot == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

struct synth *synth_free(struct synth *s)
{
	if (s == NULL)
		return NULL;
	for (size_t i = SYNTH_FIRST; s->names > 0 && i < SYNTH_COUNT; i++)
		if (s->slot[i] != NULL) {
			free(s->slot[i]);
			s->names--;
		}
	free(s->slot);
	free(s);
	return NULL;
}

/* FNV-1a: what matters is that it is the same tomorrow; floods are bounded by SYNTH_PROBES. */
static uint32_t hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

/* The last address of the range is left out: somebody takes it for a broadcast one. */
static int find(struct synth *s, const char *name, uint32_t *ret_number)
{
	const uint32_t span = SYNTH_COUNT - SYNTH_FIRST - 1;
	uint32_t h = hash(name);

	for (uint32_t probe = 0; probe < SYNTH_PROBES; probe++) {
		uint32_t number = SYNTH_FIRST + (h % span + probe) % span;

		if (s->slot[number] == NULL) {
			if (s->names >= SYNTH_NAMES_MAX)
				return -ENOSPC;
			s->slot[number] = strdup(name);
			if (s->slot[number] == NULL)
				return -ENOMEM;
			s->names++;
		}
		if (strcmp(s->slot[number], name) == 0) {
			*ret_number = number;
			return 0;
		}
	}
	return -ENOSPC;
}

int synth_address(struct synth *s, const char *name, sa_family_t family, struct net_address *ret_a)
{
	struct net_address a = { .family = family };
	uint32_t number = 0, word;
	int r = find(s, name, &number);

	if (r < 0)
		return r;
	if (family == AF_INET) {
		word = htonl(NET_SYNTHETIC4 + number);
		memcpy(a.bytes, &word, sizeof(word));
	} else {
		word = htonl(number);
		memcpy(a.bytes, prefix6, sizeof(prefix6));
		memcpy(a.bytes + 12, &word, sizeof(word));
	}
	*ret_a = a;
	return 0;
}

const char *synth_name(const struct synth *s, const struct net_address *a)
{
	static const uint8_t zero[4] = { 0 };
	uint32_t word, number;

	if (a->family == AF_INET) {
		memcpy(&word, a->bytes, sizeof(word));
		number = ntohl(word) - NET_SYNTHETIC4;
	} else if (a->family == AF_INET6 && memcmp(a->bytes, prefix6, sizeof(prefix6)) == 0 &&
		   memcmp(a->bytes + 8, zero, sizeof(zero)) == 0) {
		memcpy(&word, a->bytes + 12, sizeof(word));
		number = ntohl(word);
	} else {
		return NULL;
	}
	return number < SYNTH_COUNT && number >= SYNTH_FIRST ? s->slot[number] : NULL;
}
