/*
 * What of the host's file system the guest gets, and where: the workspace, the private home, tools below the
 * real home, and what
 * --read, --write and --exec name.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "monitor/state.h"
#include "policy/lang.h"
#include "util/err.h"

#define TMP_SIZE (2ULL << 30)

int places_add(struct places *p, const char *source, const char *target, bool write, bool exec,
	       const char *link)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->v[i].target, target) == 0) {
			p->v[i].write |= write;
			p->v[i].exec |= exec;
			return 0;
		}
	struct place *v = reallocarray(p->v, p->n + 1, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	p->v = v;
	v[p->n] = (struct place){.source = source == NULL ? NULL : strdup(source),
				 .target = strdup(target),
				 .link = link == NULL ? NULL : strdup(link),
				 .write = write,
				 .exec = exec};
	struct place *one = &v[p->n++];
	return one->target == NULL || (source != NULL && one->source == NULL) ||
			       (link != NULL && one->link == NULL)
		       ? -ENOMEM
		       : 0;
}

static int by_target(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->target, ((const struct place *)b)->target);
}

/* Files of the real home an ordinary session needs and nobody may change from inside. */
static int home_files(struct places *p, const char *home)
{
	static const char *const files[] = {
		".gitconfig",	    ".config/git/config", ".config/git/ignore", ".config/git/attributes",
		".ssh/known_hosts", ".ssh/known_hosts2",  ".ssh/config",	".ssh/*.pub",
		".gitignore",	    ".gitignore_global",  ".editorconfig",	".inputrc"};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char pattern[PATH_MAX];
		glob_t g = {0};
		int r = 0;
		if ((size_t)snprintf(pattern, sizeof(pattern), "%s/%s", home, files[i]) >= sizeof(pattern))
			continue;
		if (glob(pattern, GLOB_NOSORT, NULL, &g) == 0)
			for (size_t k = 0; r == 0 && k < g.gl_pathc; k++) {
				struct stat st;
				if (stat(g.gl_pathv[k], &st) == 0 && S_ISREG(st.st_mode))
					r = places_add(p, g.gl_pathv[k], g.gl_pathv[k], false, false, NULL);
			}
		globfree(&g);
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_named(struct places *p, const char *path, bool write, bool exec);

/* What an option names literally is shown although a private directory would cover it. */
static int named_places(struct places *p, const char *option, const struct string_list *l, bool write, bool exec,
			char **ret_why)
{
	for (size_t i = 0; i < l->n; i++) {
		if (strpbrk(l->v[i], "*?[") != NULL)
			continue;
		AUTO_FREE char *real = realpath(l->v[i], NULL);
		if (real == NULL) {
			int e = err_now();
			(void)!asprintf(ret_why, "%s %s: %s", option, l->v[i], strerror(-e));
			return e;
		}
		if (strcmp(real, "/") == 0 || strncmp(real, "/proc", 5) == 0 ||
		    strncmp(real, "/dev/", 5) == 0)
			continue; /* the view has its own */
		int r = add_named(p, real, write, exec);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A directory of the system's own, which every view shows: nothing private covers it. */
static bool is_shown(const char *path)
{
	static const char *const covered[] = {"/home", "/root", "/run", "/tmp"};

	for (size_t i = 0; i < sizeof(covered) / sizeof(covered[0]); i++)
		if (strcmp(path, covered[i]) == 0)
			return false;
	return strchr(path + 1, '/') == NULL;
}

/* What a policy file names literally, as options do; a path that does not exist is a warning of the language's. */
static int named_by_policy(void *ctx, enum rule_kind kind, const char *path, const char *origin)
{
	struct places *p = ctx;

	(void)origin;
	if (access(path, F_OK) < 0 || (kind != RULE_WRITE && is_shown(path)) || strcmp(path, "/") == 0 || strncmp(path, "/proc", 5) == 0 ||
	    strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/sys", 4) == 0)
		return 0;
	for (size_t i = 0; p->workspaces[i] != NULL; i++)
		if (strcmp(path, p->workspaces[i]) == 0)
			return 0;
	return add_named(p, path, kind == RULE_WRITE, kind == RULE_EXEC);
}

static bool lies_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && path[n] == '/';
}

/* Whether what is to be executed there is shown by something writable around it, whose mount then executes. */
static bool is_inside(const struct places *p, size_t i)
{
	for (size_t k = 0; p->workspaces[k] != NULL; k++)
		if (lies_below(p->v[i].target, p->workspaces[k]))
			return true;
	for (size_t k = 0; k < p->n; k++)
		if (p->v[k].target != NULL && p->v[k].write && lies_below(p->v[i].target, p->v[k].target))
			return true;
	return false;
}

/*
 * A place is read-only but for what writes: one that only an exec rule names, inside of what is writable, would make that part of it
 * unwritable. Nothing implies exec, and exec implies nothing.
 */
static void drop_inside(struct places *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].by_exec && p->v[i].target != NULL && is_inside(p, i)) {
			free(p->v[i].source);
			free(p->v[i].target);
			free(p->v[i].link);
			p->v[i].target = NULL;
		}
	}
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].target != NULL)
			p->v[n++] = p->v[i];
	p->n = n;
}

/* One that an option or a policy file names. */
static int add_named(struct places *p, const char *path, bool write, bool exec)
{
	size_t before = p->n;
	int r = places_add(p, path, path, write, exec, NULL);

	if (r == 0 && p->n > before)
		p->v[before].by_exec = exec;
	for (size_t i = 0; r == 0 && !exec && i < p->n; i++)
		if (strcmp(p->v[i].target, path) == 0)
			p->v[i].by_exec = false;
	return r;
}

static int policy_places(struct places *p, const struct lang *policy, const char *home)
{
	/* The guest's own home and scratch directory are there anyway. */
	struct lang_places env = {.real_home = home,
				  .workspaces = (const char *const *)p->workspaces,
				  .view = true,
				  .home_host = p->home_host};

	return lang_each_path(policy, &env, named_by_policy, p);
}

static int starting_directory(struct places *p)
{
	AUTO_FREE char *cwd = getcwd(NULL, 0);
	const char *ws = p->workspaces[0];
	size_t n = strlen(ws);

	if (cwd != NULL && strncmp(cwd, ws, n) == 0 && (cwd[n] == '/' || cwd[n] == '\0'))
		p->cwd = STEAL(cwd);
	else
		p->cwd = strdup(ws);
	return p->cwd == NULL ? -ENOMEM : 0;
}

static int find_user(struct places *p, char **ret_home)
{
	struct passwd *pw = getpwuid(getuid());
	const char *env = getenv("HOME");
	const char *home = env != NULL && env[0] == '/' ? env : pw != NULL ? pw->pw_dir : "/";

	p->user = strdup(pw != NULL && getuid() != 0 ? pw->pw_name : "user");
	p->shell = strdup(pw != NULL && pw->pw_shell != NULL && pw->pw_shell[0] == '/' ? pw->pw_shell
										       : "/bin/sh");
	*ret_home = realpath(home, NULL);
	if (*ret_home == NULL)
		*ret_home = strdup(home);
	return p->user == NULL || p->shell == NULL || *ret_home == NULL ? -ENOMEM : 0;
}

int places_find(const struct run_options *o, enum floor_mode mode, struct places *ret_places, char **ret_why)
{
	struct places p = {.tmp_size = TMP_SIZE};
	AUTO_FREE char *home = NULL;
	int r = find_user(&p, &home);

	*ret_why = NULL;
	if (r == 0)
		r = workspace_find(o->workspace != NULL ? o->workspace : ".", home, o->workspace != NULL,
				   &p.workspaces, ret_why);
	if (r == 0 && o->policy == NULL)
		r = -EINVAL; /* policy_open() comes first */
	if (r == 0) {
		p.home_host = lang_values(o->policy)->home_host;
		p.tmpfs = &o->tmpfs;
		p.exec_tmpfs = calloc(o->tmpfs.n + 1, sizeof(*p.exec_tmpfs));
		p.home_source = p.home_host ? strdup(home) : NULL;
		if (p.exec_tmpfs == NULL || (p.home_host && p.home_source == NULL))
			r = -ENOMEM;
	}
	if (r == 0 && !p.home_host) {
		r = state_home(o->profile, &p.home_source);
		if (r < 0)
			(void)!asprintf(ret_why,
					"the private home below ${XDG_STATE_HOME:-~/.local/state}/gabion: %s",
					strerror(-r));
	}
	if (r == 0)
		r = starting_directory(&p);
	if (r == 0) {
		p.home = strdup(mode == FLOOR_BARE ? p.home_source : home);
		p.scratch = strdup("/run/scratch");
		r = p.home == NULL || p.scratch == NULL ? -ENOMEM : 0;
	}
	/* A home that is shown holds them. */
	if (r == 0 && !p.home_host)
		r = toolroots_add(&p, home, getenv("PATH"));
	if (r == 0)
		r = home_files(&p, home);
	if (r == 0)
		r = policy_places(&p, o->policy, home);
	if (r == 0)
		r = named_places(&p, "--read", &o->read, false, false, ret_why);
	if (r == 0)
		r = named_places(&p, "--exec", &o->exec, false, true, ret_why);
	if (r == 0)
		r = named_places(&p, "--write", &o->write, true, false, ret_why);
	if (r == 0 && strcmp(home, "/") == 0) {
		(void)!asprintf(ret_why, "HOME is /: set it to a directory of your own");
		r = -EINVAL;
	}
	if (r < 0) {
		places_free(&p);
		return r;
	}
	drop_inside(&p);
	if (p.n > 0)
		qsort(p.v, p.n, sizeof(*p.v), by_target);
	if (mode == FLOOR_BARE && !p.home_host)
		home_links(&p, home);
	*ret_places = p;
	return 0;
}

void places_free(struct places *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->v[i].source);
		free(p->v[i].target);
		free(p->v[i].link);
	}
	for (size_t i = 0; p->workspaces != NULL && p->workspaces[i] != NULL; i++)
		free(p->workspaces[i]);
	free(p->workspaces);
	free(p->v);
	free(p->home);
	free(p->home_source);
	free(p->cwd);
	free(p->scratch);
	free(p->scratch_source);
	free(p->user);
	free(p->shell);
	free(p->exec_tmpfs);
	*p = (struct places){.n = 0};
}
