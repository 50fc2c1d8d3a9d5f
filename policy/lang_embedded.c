/* The built-in profiles and groups of hosts, as trees made at build time from policy/profiles and policy/groups. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/lang_layer.h"
#include "util/err.h"

static const struct lang_embedded profiles[] = {
#include "profiles.inc"
};

static const struct lang_embedded groups[] = {
#include "groups.inc"
};

/* What others extend and nobody names. */
static bool is_part(const char *name)
{
	return strcmp(name, "common") == 0 || strcmp(name, "work") == 0;
}

const struct lang_embedded *lang_embedded_profile(const char *name, bool parts)
{
	for (size_t i = 0; i < ARRAY_LEN(profiles); i++)
		if (strcmp(profiles[i].name, name) == 0 && (parts || !is_part(name)))
			return &profiles[i];
	return NULL;
}

const char *const *lang_profile_names(void)
{
	static const char *names[ARRAY_LEN(profiles) + 1];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(profiles); i++)
		if (!is_part(profiles[i].name))
			names[n++] = profiles[i].name;
	return names;
}

const char *const *lang_group_names(void)
{
	static const char *names[ARRAY_LEN(groups) + 1];

	for (size_t i = 0; i < ARRAY_LEN(groups); i++)
		names[i] = groups[i].name;
	return names;
}

int lang_group_hosts(const char *name, struct said_list *hosts)
{
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		const struct lang_tree *t = &groups[i].tree;
		char origin[64];

		if (strcmp(groups[i].name, name) != 0)
			continue;
		(void)snprintf(origin, sizeof(origin), "group @%s", name);
		for (uint32_t k = 1; k < t->n; k = t->nodes[k].end) {
			int r = said_add(hosts, lang_text(t, k), origin);

			if (r < 0)
				return r;
		}
		return 0;
	}
	return -ENOENT;
}
