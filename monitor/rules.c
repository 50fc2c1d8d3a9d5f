/* The rules of a run: see rules.h. */
#include "monitor/rules.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "profile.h"
#include "util/err.h"

char *rules_pattern(const char *typed)
{
	const char *home = getenv("HOME");
	char *out = NULL;

	if (typed[0] == '~' && (typed[1] == '/' || typed[1] == '\0') && home != NULL) {
		if (asprintf(&out, "%s%s", home, typed + 1) < 0)
			return NULL;
	} else if (typed[0] == '/' || strncmp(typed, "**", 2) == 0) {
		/* a pattern that floats is below / */
		if (asprintf(&out, "%s%s", typed[0] == '/' ? "" : "/", typed) < 0)
			return NULL;
	} else {
		AUTO_FREE char *cwd = getcwd(NULL, 0);
		if (cwd == NULL || asprintf(&out, "%s/%s", cwd, typed) < 0)
			return NULL;
	}
	if (strpbrk(out, "*?[") != NULL)
		return out;
	char *real = realpath(out, NULL);
	if (real == NULL) {
		/* What does not exist yet: its directory at least is made canonical, for rules speak of
		 * objects. */
		char *slash = strrchr(out, '/');
		if (slash != NULL && slash != out && slash[1] != '\0') {
			*slash = '\0';
			AUTO_FREE char *dir = realpath(out, NULL);
			*slash = '/';
			if (dir != NULL &&
			    asprintf(&real, "%s%s", strcmp(dir, "/") == 0 ? "" : dir, slash) < 0)
				real = NULL;
		}
		if (real == NULL)
			return out;
	}
	free(out);
	return real;
}

static int add(struct policy_builder *b, enum rule_kind kind, const char *pattern, const char *origin,
	       char **ret_why)
{
	int r = policy_builder_add(b, kind, pattern, origin);
	if (r < 0 && *ret_why == NULL)
		(void)!asprintf(ret_why, "%s: %s is no path pattern (%s)", origin, pattern, strerror(-r));
	return r;
}

static int add_list(struct policy_builder *b, enum rule_kind kind, const struct string_list *l,
		    const char *origin, char **ret_why)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < l->n; i++) {
		AUTO_FREE char *pattern = rules_pattern(l->v[i]);
		r = pattern == NULL ? -ENOMEM : add(b, kind, pattern, origin, ret_why);
	}
	return r;
}

/* Without a view the real home is as it is: hidden but for what is shown of it. */
static int hide_home(struct policy_builder *b, const struct places *p, char **ret_why)
{
	const char *home = getenv("HOME");
	AUTO_FREE char *real = home == NULL ? NULL : realpath(home, NULL);
	int r = 0;

	if (real != NULL && strcmp(real, "/") != 0)
		r = add(b, RULE_HIDE, real, "the home without a view", ret_why);
	if (r == 0)
		r = add(b, RULE_READ, p->home, "private home", ret_why);
	if (r == 0)
		r = add(b, RULE_WRITE, p->home, "private home", ret_why);
	return r;
}

int rules_build(const struct run_options *o, const struct places *p, enum floor_mode mode,
		struct policy_builder **ret_b, char **ret_why)
{
	struct policy_builder *b = NULL;
	int r = policy_builder_new(&b);

	*ret_why = NULL;
	if (r < 0)
		return r;
	struct profile_env env = {.home = p->home,
				  .workspaces = (const char *const *)p->workspaces,
				  .scratch = p->scratch,
				  .view = mode != FLOOR_BARE};
	policy_set_write_errno(b, mode == FLOOR_BARE ? EACCES : EROFS);
	r = profile_add(b, o->profile, &env);
	if (r == -ENOENT)
		(void)!asprintf(ret_why, "there is no profile %s", o->profile);
	if (r == 0 && mode == FLOOR_BARE)
		r = hide_home(b, p, ret_why);
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		if (p->v[i].link != NULL)
			continue;
		r = add(b, RULE_READ, p->v[i].target, "shown by this run", ret_why);
		if (r == 0 && p->v[i].exec)
			r = add(b, RULE_EXEC, p->v[i].target, "shown by this run", ret_why);
	}
	if (r == 0)
		r = add_list(b, RULE_READ, &o->read, "--read", ret_why);
	if (r == 0)
		r = add_list(b, RULE_WRITE, &o->write, "--write", ret_why);
	if (r == 0)
		r = add_list(b, RULE_EXEC, &o->exec, "--exec", ret_why);
	if (r == 0)
		r = add_list(b, RULE_HIDE, &o->hide, "--hide", ret_why);
	if (r == 0)
		r = add_list(b, RULE_PROTECT, &o->protect, "--protect", ret_why);
	if (r == 0)
		r = add_list(b, RULE_EXCEPT, &o->unhide, "--unhide", ret_why);
	if (r == 0)
		r = add_list(b, RULE_EXCEPT, &o->unprotect, "--unprotect", ret_why);
	if (r < 0) {
		policy_builder_free(b);
		return r;
	}
	*ret_b = b;
	return 0;
}
