/* Built-in profiles by name: the language's, with nothing else added. See policy/profiles/. */
#include "profile.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/lang.h"
#include "util/err.h"

int profile_add(struct policy_builder *b, const char *profile, const struct profile_env *env)
{
	struct lang_places places = {.home = env->home,
				     .workspaces = env->workspaces,
				     .scratch = env->scratch,
				     .view = env->view};
	AUTO_FREE char *why = NULL;
	struct lang *l = NULL;
	int r = lang_load_profile(&lang_host, profile, &l);

	if (r < 0)
		return r;
	places.home_host = lang_values(l)->home_host;
	r = lang_add_rules(l, LANG_BUILT_IN, &places, b, &why);
	lang_free(l);
	return r;
}

const char *const *profile_names(void)
{
	return lang_profile_names();
}
