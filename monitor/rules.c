/* The rules of a run: see rules.h. */
#include "monitor/rules.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/state.h"
#include "policy/glob.h"
#include "policy/lang.h"
#include "policy/lang_rules.h"
#include "util/err.h"

/* HEAD, a path and no pattern, with TAIL behind it. NULL: no memory. */
static char *below_path(const char *head, const char *tail)
{
	AUTO_FREE char *quoted = head == NULL ? NULL : glob_quote(head);
	char *out = NULL;

	return quoted == NULL || asprintf(&out, "%s%s", quoted, tail) < 0 ? NULL : out;
}

char *rules_pattern(const char *typed)
{
	bool glob = strpbrk(typed, "*?[") != NULL;
	const char *home = typed[0] == '~' && (typed[1] == '/' || typed[1] == '\0') ? getenv("HOME") : NULL;
	AUTO_FREE char *base = NULL, *path = NULL;
	const char *rest = typed;

	if (home != NULL) {
		base = strdup(home);
		rest = typed + 1;
	} else if (typed[0] == '/') {
		base = strdup("");
	} else if (strncmp(typed, "**", 2) == 0) {
		base = strdup("/"); /* a pattern that floats is below / */
	} else {
		AUTO_FREE char *cwd = getcwd(NULL, 0);
		if (cwd == NULL || asprintf(&base, "%s/", cwd) < 0)
			return NULL;
	}
	if (base == NULL)
		return NULL;
	/* What was not typed is a path, whatever characters it has. */
	if (glob)
		return below_path(base, rest);
	if (asprintf(&path, "%s%s", base, rest) < 0)
		return NULL;
	AUTO_FREE char *real = lang_canonical(path);
	return real == NULL ? NULL : below_path(real, "");
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

static int add_path(struct policy_builder *b, enum rule_kind kind, const char *path, const char *origin,
		    char **ret_why)
{
	AUTO_FREE char *pattern = below_path(path, "");
	return pattern == NULL ? -ENOMEM : add(b, kind, pattern, origin, ret_why);
}

/* Whether DIR is a git directory itself, as a bare repository or a worktree's common directory is. */
static bool is_git_dir(const char *dir)
{
	static const char *const parts[] = {"HEAD", "objects", "refs"};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		AUTO_FREE char *path = NULL;
		if (asprintf(&path, "%s/%s", dir, parts[i]) < 0) {
			path = NULL;
			return true;
		}
		if (access(path, F_OK) < 0)
			return false;
	}
	return true;
}

/* What the profile protects in a .git, for the git directory DIR of another name. */
static int protect_git_dir(struct policy_builder *b, const char *dir, char **ret_why)
{
	static const struct {
		enum rule_kind kind;
		const char *tail;
	} parts[] = {
		{ RULE_PROTECT, "/hooks" },		  { RULE_PROTECT, "/modules/**/hooks/**" },
		{ RULE_PROTECT, "/worktrees/*/hooks/**" }, { RULE_PROTECT, "/commondir" },
		{ RULE_KEYS, "/config" },		  { RULE_KEYS, "/config.worktree" },
		{ RULE_KEYS, "/modules/**/config" },	  { RULE_KEYS, "/modules/**/config.worktree" },
		{ RULE_KEYS, "/worktrees/**/config" },	  { RULE_KEYS, "/worktrees/**/config.worktree" },
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		AUTO_FREE char *pattern = below_path(dir, parts[i].tail);
		int r = pattern == NULL ? -ENOMEM : add(b, parts[i].kind, pattern, "parts of a git directory", ret_why);

		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Profiles know hooks and configuration below a directory named .git: a git directory of another name has its own rule. Where
 * .git is a file (a linked worktree, a submodule) it stays what it is: it names the directory that has config
 * and hooks.
 */
static int protect_git(struct policy_builder *b, const struct places *p, char **ret_why)
{
	int r = 0;

	for (size_t i = 0; r == 0 && p->workspaces[i] != NULL; i++) {
		AUTO_FREE char *dot_git = NULL;
		struct stat st;
		if (asprintf(&dot_git, "%s/.git", p->workspaces[i]) < 0) {
			dot_git = NULL;
			return -ENOMEM;
		}
		if (is_git_dir(p->workspaces[i]))
			r = protect_git_dir(b, p->workspaces[i], ret_why);
		if (r == 0 && lstat(dot_git, &st) == 0 && S_ISREG(st.st_mode))
			r = add_path(b, RULE_PROTECT, dot_git, "the name of a git directory", ret_why);
	}
	return r;
}

static bool same_or_below(const char *path, const char *top)
{
	size_t n = strlen(top);
	return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Whether the host's PATH is in the guest's sight: not covered by its private home, or shown in there again.
 */
static bool in_sight(const struct places *p, const char *path, enum floor_mode mode)
{
	bool shown = mode == FLOOR_BARE || !same_or_below(path, p->home);

	for (size_t i = 0; p->workspaces[i] != NULL; i++)
		shown = shown || same_or_below(path, p->workspaces[i]);
	for (size_t i = 0; i < p->n; i++)
		shown = shown || same_or_below(path, p->v[i].target);
	return shown;
}

/* Whether anything of the host's is shown below PATH, or PATH lies below something that is. */
static bool shows_host(const struct places *p, const char *path)
{
	bool shown = same_or_below(p->home, path) || same_or_below(path, p->home);

	for (size_t i = 0; p->workspaces[i] != NULL; i++)
		shown = shown || same_or_below(p->workspaces[i], path) || same_or_below(path, p->workspaces[i]);
	for (size_t i = 0; i < p->n; i++)
		shown = shown || same_or_below(p->v[i].target, path) || same_or_below(path, p->v[i].target);
	return shown;
}

/*
 * What the profile protects because the host would execute it is nothing of the kind in memory that is the run's own and gone with it:
 * copies of repositories can be made and unpacked there. Rules of the user's come later, so they hold there too.
 */
static int lift_in_memory(struct policy_builder *b, const struct places *p, char **ret_why)
{
	const char *const own[] = {"/tmp", "/var/tmp", p->scratch};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(own) / sizeof(own[0]); i++)
		if (!shows_host(p, own[i]))
			r = add_path(b, RULE_EXCEPT, own[i], RULES_MEMORY_ORIGIN, ret_why);
	return r;
}

/* Runs, their records and sockets, and other profiles' homes, wherever they lie: in a workspace, say. */
static int hide_state(struct policy_builder *b, const struct places *p, enum floor_mode mode, char **ret_why)
{
	AUTO_FREE char *dir = NULL;
	int r = state_dir(&dir);
	AUTO_FREE char *real = r < 0 ? NULL : realpath(dir, NULL);

	if (real == NULL)
		return r < 0 ? r : err_now();
	if (!in_sight(p, real, mode))
		return 0;
	r = add_path(b, RULE_HIDE, real, "gabion's own state", ret_why);
	/* Without a view the home is in there. */
	if (r == 0 && same_or_below(p->home, real))
		r = add_path(b, RULE_READ, p->home, "private home", ret_why);
	if (r == 0 && same_or_below(p->home, real))
		r = add_path(b, RULE_WRITE, p->home, "private home", ret_why);
	return r;
}

/* Without a view the real home is as it is: hidden but for what is shown of it. */
static int hide_home(struct policy_builder *b, const struct places *p, char **ret_why)
{
	const char *home = getenv("HOME");
	AUTO_FREE char *real = home == NULL ? NULL : realpath(home, NULL);
	int r = 0;

	if (real != NULL && strcmp(real, "/") != 0)
		r = add_path(b, RULE_HIDE, real, RULES_HOME_ORIGIN, ret_why);
	if (r == 0)
		r = add_path(b, RULE_READ, p->home, "private home", ret_why);
	if (r == 0)
		r = add_path(b, RULE_WRITE, p->home, "private home", ret_why);
	return r;
}

static int deny_one(struct policy_builder *b, const struct exec_deny *d, const char *pattern, char **ret_why)
{
	int r = pattern == NULL ? -ENOMEM
				: policy_builder_deny_exec(b, pattern, (const char *const *)d->args, d->origin);
	if (r == -EINVAL && *ret_why == NULL)
		(void)!asprintf(ret_why, "%s: %s or its arguments are no pattern", d->origin, d->path);
	return r;
}

/* exec.deny of the policy, with ${workspace} put in. */
static int deny_exec(struct policy_builder *b, const struct run_options *o, const struct places *p, char **ret_why)
{
	static const char workspace[] = "${workspace}";
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->exec_deny.n; i++) {
		const struct exec_deny *d = &o->exec_deny.v[i];

		if (strncmp(d->path, workspace, strlen(workspace)) != 0) {
			AUTO_FREE char *pattern = rules_pattern(d->path);
			r = deny_one(b, d, pattern, ret_why);
			continue;
		}
		for (size_t k = 0; r == 0 && p->workspaces[k] != NULL; k++) {
			AUTO_FREE char *pattern = below_path(p->workspaces[k], d->path + strlen(workspace));
			r = deny_one(b, d, pattern, ret_why);
		}
	}
	return r;
}

struct lang_places rules_places(const struct places *p, enum floor_mode mode, char **ret_real_home)
{
	const char *home = getenv("HOME");

	*ret_real_home = home == NULL ? NULL : realpath(home, NULL);
	return (struct lang_places){.home = p->home,
				    .real_home = *ret_real_home,
				    .workspaces = (const char *const *)p->workspaces,
				    .scratch = p->scratch,
				    .view = mode != FLOOR_BARE,
				    .home_host = p->home_host};
}

int rules_build(const struct run_options *o, const struct places *p, enum floor_mode mode,
		struct policy_builder **ret_b, char **ret_why)
{
	struct policy_builder *b = NULL;
	int r = policy_builder_new(&b);

	*ret_why = NULL;
	if (r == 0 && o->policy == NULL)
		r = -EINVAL; /* policy_open() comes first */
	if (r < 0) {
		policy_builder_free(b);
		return r;
	}
	AUTO_FREE char *real_home = NULL;
	struct lang_places env = rules_places(p, mode, &real_home);
	policy_set_write_errno(b, mode == FLOOR_BARE ? EACCES : EROFS);
	r = lang_add_rules(o->policy, LANG_BUILT_IN, &env, b, ret_why);
	if (r == 0 && mode == FLOOR_BARE && !p->home_host)
		r = hide_home(b, p, ret_why);
	if (r == 0 && mode != FLOOR_BARE)
		r = lift_in_memory(b, p, ret_why);
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		if (p->v[i].link != NULL)
			continue;
		r = add_path(b, RULE_READ, p->v[i].target, "shown by this run", ret_why);
		if (r == 0 && p->v[i].exec)
			r = add_path(b, RULE_EXEC, p->v[i].target, "shown by this run", ret_why);
	}
	if (r == 0)
		r = hide_state(b, p, mode, ret_why);
	/* The container's own profile protects nothing of the kind. */
	if (r == 0 && strcmp(o->profile, "runner") != 0)
		r = protect_git(b, p, ret_why);
	if (r == 0)
		r = lang_add_rules(o->policy, LANG_FILES, &env, b, ret_why);
	if (r == 0)
		r = add_list(b, RULE_READ, &o->read, "--read", ret_why);
	if (r == 0)
		r = add_list(b, RULE_WRITE, &o->write, "--write", ret_why);
	if (r == 0)
		r = add_list(b, RULE_EXEC, &o->exec, "--exec", ret_why);
	/* What listens there is the relay's; the name may be a link's in the view as on the host. */
	for (size_t i = 0; r == 0 && i < o->unix_sockets.n; i++) {
		AUTO_FREE char *real = realpath(o->unix_sockets.v[i].text, NULL);

		r = add_path(b, RULE_WRITE, o->unix_sockets.v[i].text, o->unix_sockets.v[i].origin, ret_why);
		if (r == 0 && real != NULL && strcmp(real, o->unix_sockets.v[i].text) != 0)
			r = add_path(b, RULE_WRITE, real, o->unix_sockets.v[i].origin, ret_why);
	}
	if (r == 0)
		r = add_list(b, RULE_HIDE, &o->hide, "--hide", ret_why);
	if (r == 0)
		r = add_list(b, RULE_PROTECT, &o->protect, "--protect", ret_why);
	if (r == 0)
		r = add_list(b, RULE_EXCEPT, &o->unhide, "--unhide", ret_why);
	if (r == 0)
		r = add_list(b, RULE_EXCEPT, &o->unprotect, "--unprotect", ret_why);
	if (r == 0)
		r = deny_exec(b, o, p, ret_why);
	if (r == 0)
		r = policy_builder_written(b, o->written);
	if (r < 0) {
		policy_builder_free(b);
		return r;
	}
	*ret_b = b;
	return 0;
}

int rules_build_container(const struct run_options *o, const struct lang_places *places, struct policy_builder **ret_b,
			  char **ret_why)
{
	struct policy_builder *b = NULL;
	int r = o->policy == NULL ? -EINVAL : policy_builder_new(&b);

	*ret_why = NULL;
	if (r == 0)
		r = lang_add_rules(o->policy, LANG_BUILT_IN, places, b, ret_why);
	if (r == 0)
		r = lang_add_rules(o->policy, (enum lang_part)(LANG_FILES | LANG_UNSEEN), places, b, ret_why);
	if (r < 0) {
		policy_builder_free(b);
		return r;
	}
	*ret_b = b;
	return 0;
}
