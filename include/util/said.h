/*
 * What somebody said, and where: rules that stay text until somebody judges them (network rules, required
 * guarantees) keep the place they were written at, so that a record can name it.
 */
#ifndef GABION_UTIL_SAID_H
#define GABION_UTIL_SAID_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

struct said {
	char *text;
	char *origin; /* "--net", "FILE:LINE:COL", "profile agent" */
};

struct said_list {
	struct said *v;
	size_t n;
};

/* Adds copies of both strings. -ENOMEM. */
static inline int said_add(struct said_list *l, const char *text, const char *origin)
{
	AUTO_FREE char *t = strdup(text);
	AUTO_FREE char *o = strdup(origin);
	struct said *v = reallocarray(l->v, l->n + 1, sizeof(*v));

	if (v)
		l->v = v;
	if (!v || !t || !o)
		return -ENOMEM;
	v[l->n++] = (struct said){.text = STEAL(t), .origin = STEAL(o)};
	return 0;
}

/* Puts FROM, emptied, behind TO. -ENOMEM: nothing is moved. */
static inline int said_move(struct said_list *to, struct said_list *from)
{
	struct said *v;

	if (from->n == 0)
		return 0;
	v = reallocarray(to->v, to->n + from->n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	memcpy(v + to->n, from->v, from->n * sizeof(*v));
	to->v = v;
	to->n += from->n;
	free(from->v);
	*from = (struct said_list){.v = NULL};
	return 0;
}

static inline void said_free(struct said_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].text);
		free(l->v[i].origin);
	}
	free(l->v);
	*l = (struct said_list){.v = NULL};
}

#endif
