/*
 * The allow list, and the comparison by it: the two files are read side by side, harmless entries are passed over in both, and
 * what is left must be the same in the same order. So a key the host's user set stays, and stays last or first of its name;
 * where among harmless keys it stands means nothing.
 *
 * Harmless entries must stand on one line, and the new file may hold no control characters: editors and other
 * implementations of git read such files with less exact readers, which see a section where git sees a continued value.
 */
#include "gitkeys.h"
#include "policy/gitconfig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

/* What is asked of a value. */
enum ask {
	ANY = 0,
	NO_OPTION, /* does not begin with a dash */
	URL,	   /* a path, or a URL of a transport git brings along; no helper program's (ext::, foo://) */
	WORD,	   /* letters, digits and dashes */
	UPDATE,	   /* of submodule.NAME.update: no command (!...) */
	WORKTREE,  /* of a submodule's git directory: leads into the work tree above it */
};

struct key {
	const char *section;
	const char *key; /* NULL: all of them */
	enum ask ask;
	bool sub; /* with a subsection */
};

static const struct key keys[] = {
	/* what git init and clone write */
	{ "core", "repositoryformatversion", ANY, false },
	{ "core", "filemode", ANY, false },
	{ "core", "bare", ANY, false },
	{ "core", "logallrefupdates", ANY, false },
	{ "core", "symlinks", ANY, false },
	{ "core", "ignorecase", ANY, false },
	{ "core", "precomposeunicode", ANY, false },
	{ "core", "worktree", WORKTREE, false },
	{ "extensions", "worktreeconfig", ANY, false },
	{ "extensions", "objectformat", WORD, false },
	{ "extensions", "compatobjectformat", WORD, false },
	{ "extensions", "refstorage", WORD, false },
	{ "extensions", "relativeworktrees", ANY, false },
	{ "extensions", "preciousobjects", ANY, false },
	{ "extensions", "partialclone", URL, false },
	/* sparse-checkout and other ways to keep a work tree */
	{ "core", "sparsecheckout", ANY, false },
	{ "core", "sparsecheckoutcone", ANY, false },
	{ "index", "sparse", ANY, false },
	{ "index", "version", ANY, false },
	{ "index", "threads", ANY, false },
	{ "core", "autocrlf", ANY, false },
	{ "core", "safecrlf", ANY, false },
	{ "core", "eol", ANY, false },
	{ "core", "quotepath", ANY, false },
	{ "core", "trustctime", ANY, false },
	{ "core", "checkstat", ANY, false },
	{ "core", "untrackedcache", ANY, false },
	{ "core", "splitindex", ANY, false },
	{ "core", "preloadindex", ANY, false },
	{ "core", "commitgraph", ANY, false },
	{ "core", "multipackindex", ANY, false },
	{ "core", "abbrev", ANY, false },
	{ "core", "longpaths", ANY, false },
	{ "core", "compression", ANY, false },
	{ "feature", "manyfiles", ANY, false },
	/* branches and remotes */
	{ "branch", "remote", URL, true },
	{ "branch", "pushremote", URL, true },
	{ "branch", "merge", NO_OPTION, true },
	{ "branch", "rebase", ANY, true },
	{ "branch", "description", ANY, true },
	{ "branch", "vscode-merge-base", NO_OPTION, true },
	{ "branch", "autosetupmerge", ANY, false },
	{ "branch", "autosetuprebase", ANY, false },
	{ "branch", "sort", ANY, false },
	{ "remote", "url", URL, true },
	{ "remote", "pushurl", URL, true },
	{ "remote", "fetch", NO_OPTION, true },
	{ "remote", "push", NO_OPTION, true },
	{ "remote", "mirror", ANY, true },
	{ "remote", "prune", ANY, true },
	{ "remote", "prunetags", ANY, true },
	{ "remote", "tagopt", ANY, true }, /* --tags and --no-tags are its values */
	{ "remote", "skipdefaultupdate", ANY, true },
	{ "remote", "skipfetchall", ANY, true },
	{ "remote", "followremotehead", ANY, true },
	{ "remote", "promisor", ANY, true },
	{ "remote", "partialclonefilter", NO_OPTION, true },
	{ "remote", "gh-resolved", WORD, true },
	{ "remote", "pushdefault", URL, false },
	{ "submodule", "url", URL, true },
	{ "submodule", "active", ANY, true },
	{ "submodule", "branch", NO_OPTION, true },
	{ "submodule", "ignore", ANY, true },
	{ "submodule", "shallow", ANY, true },
	{ "submodule", "fetchrecursesubmodules", ANY, true },
	{ "submodule", "update", UPDATE, true },
	{ "submodule", "active", NO_OPTION, false },
	{ "submodule", "recurse", ANY, false },
	{ "submodule", "fetchjobs", ANY, false },
	{ "fetch", "prune", ANY, false },
	{ "fetch", "prunetags", ANY, false },
	{ "fetch", "parallel", ANY, false },
	{ "fetch", "recursesubmodules", ANY, false },
	{ "fetch", "writecommitgraph", ANY, false },
	{ "push", "default", ANY, false },
	{ "push", "autosetupremote", ANY, false },
	{ "push", "followtags", ANY, false },
	{ "push", "recursesubmodules", ANY, false },
	{ "pull", "rebase", ANY, false },
	{ "pull", "ff", ANY, false },
	{ "receive", "denycurrentbranch", ANY, false },
	{ "receive", "denynonfastforwards", ANY, false },
	{ "receive", "denydeletes", ANY, false },
	{ "uploadpack", "allowfilter", ANY, false },
	{ "uploadpack", "allowanysha1inwant", ANY, false },
	/* who commits, and how */
	{ "user", "name", NO_OPTION, false },
	{ "user", "email", NO_OPTION, false },
	{ "user", "signingkey", NO_OPTION, false },
	{ "user", "useconfigonly", ANY, false },
	{ "author", "name", NO_OPTION, false },
	{ "author", "email", NO_OPTION, false },
	{ "committer", "name", NO_OPTION, false },
	{ "committer", "email", NO_OPTION, false },
	{ "commit", "gpgsign", ANY, false },
	{ "tag", "gpgsign", ANY, false },
	{ "commit", "verbose", ANY, false },
	{ "commit", "cleanup", ANY, false },
	{ "tag", "sort", ANY, false },
	{ "merge", "ff", ANY, false },
	{ "merge", "conflictstyle", WORD, false },
	{ "merge", "renames", ANY, false },
	{ "merge", "renamelimit", ANY, false },
	{ "merge", "log", ANY, false },
	{ "rebase", "autosquash", ANY, false },
	{ "rebase", "autostash", ANY, false },
	{ "rebase", "updaterefs", ANY, false },
	{ "rebase", "missingcommitscheck", ANY, false },
	{ "rerere", "enabled", ANY, false },
	{ "rerere", "autoupdate", ANY, false },
	{ "diff", "renames", ANY, false },
	{ "diff", "renamelimit", ANY, false },
	{ "diff", "algorithm", WORD, false },
	{ "diff", "colormoved", ANY, false },
	{ "diff", "mnemonicprefix", ANY, false },
	{ "diff", "submodule", WORD, false },
	{ "status", NULL, ANY, false },
	{ "color", NULL, ANY, false },
	{ "color", NULL, ANY, true },
	{ "advice", NULL, ANY, false },
	{ "gc", "auto", ANY, false },
	{ "gc", "autodetach", ANY, false },
	{ "gc", "autopacklimit", ANY, false },
	{ "maintenance", "auto", ANY, false },
	{ "maintenance", "strategy", WORD, false },
	{ "init", "defaultbranch", NO_OPTION, false },
	{ "lfs", "repositoryformatversion", ANY, false },
};

static bool is_word(const char *s)
{
	for (; *s != '\0'; s++)
		if (!(*s == '-' || (*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z')))
			return false;
	return true;
}

/* Transports of git's own; another scheme is the name of a program git-remote-SCHEME. */
static bool is_url(const char *s)
{
	static const char *const known[] = { "http", "https", "ssh", "git", "file", "git+ssh", "ssh+git", "ftp", "ftps" };
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");

	if (s[0] == '-' || strncmp(s + n, "::", 2) == 0)
		return false;
	if (strncmp(s + n, "://", 3) != 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strlen(known[i]) == n && strncmp(s, known[i], n) == 0)
			return true;
	return false;
}

/* Components of PATH behind TOP/.git/ up to the last slash; 0 where it is not in there below modules/. */
static size_t depth_in_modules(const char *path)
{
	static const char modules[] = "/.git/modules/";
	const char *at = strstr(path, modules);
	size_t n = 0;

	if (at == NULL)
		return 0;
	for (at++; (at = strchr(at, '/')) != NULL; at++)
		n++;
	return n;
}

/*
 * core.worktree of TOP/.git/modules/.../config, as git submodule writes it: exactly up to TOP, and from there down to
 * something that is no git directory.
 */
static bool is_worktree(const char *path, const char *value)
{
	size_t depth = depth_in_modules(path);

	if (depth == 0)
		return false;
	for (; depth > 0; depth--, value += 3)
		if (strncmp(value, "../", 3) != 0)
			return false;
	do {
		size_t n = strcspn(value, "/");

		if (n == 0 || strncmp(value, ".", n) == 0 || strncmp(value, "..", n) == 0 ||
		    (n == 4 && strncasecmp(value, ".git", n) == 0))
			return false;
		value += n;
	} while (*value++ == '/');
	return true;
}

static bool value_is(enum ask ask, const char *path, const char *value)
{
	switch (ask) {
	case ANY:
		return true;
	case NO_OPTION:
		return value[0] != '-';
	case URL:
		return is_url(value);
	case WORD:
		return is_word(value);
	case UPDATE:
		return strcmp(value, "checkout") == 0 || strcmp(value, "rebase") == 0 || strcmp(value, "merge") == 0 ||
		       strcmp(value, "none") == 0;
	case WORKTREE:
		return is_worktree(path, value);
	}
	return false;
}

static bool is_harmless(const char *path, const struct git_entry *e)
{
	const char *dot = strchr(e->name, '.'), *last = strrchr(e->name, '.');

	/* Without = it is true, whatever may be asked of a text. */
	if (!e->plain || dot == NULL)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const struct key *k = &keys[i];
		size_t n = strlen(k->section);

		if (k->sub != (last != dot) || (size_t)(dot - e->name) != n || strncmp(e->name, k->section, n) != 0)
			continue;
		if (k->key != NULL && strcmp(last + 1, k->key) != 0)
			continue;
		return value_is(k->ask, path, e->value == NULL ? "" : e->value);
	}
	return false;
}

/* The next entry that is not harmless: as git_next(). */
static int next_other(struct git_reader *r, const char *path, struct git_entry *e)
{
	int n;

	do
		n = git_next(r, e);
	while (n == 0 && is_harmless(path, e));
	return n;
}

static bool same(const struct git_entry *a, const struct git_entry *b)
{
	if (a->name_len != b->name_len || memcmp(a->name, b->name, a->name_len) != 0)
		return false;
	if (a->value == NULL || b->value == NULL)
		return a->value == b->value;
	return a->value_len == b->value_len && memcmp(a->value, b->value, a->value_len) == 0;
}

static bool has_controls(struct git_text t)
{
	for (size_t i = 0; i < t.len; i++) {
		unsigned char c = (unsigned char)t.text[i];

		if (c == '\r' && i + 1 < t.len && t.text[i + 1] == '\n')
			continue;
		if ((c < ' ' && c != '\t' && c != '\n') || c == 127)
			return true;
	}
	return false;
}

static int refuse(const char *what, char *ret_key, size_t key_max)
{
	(void)snprintf(ret_key, key_max, "%s", what);
	return GITKEYS_REFUSED;
}

int gitkeys_judge(const char *path, struct git_text old, struct git_text new, char *ret_key, size_t key_max)
{
	AUTO_FREE char *values = NULL;
	AUTO_FREE struct git_reader *r = NULL;
	struct git_entry a, b;

	if (old.len == new.len && (old.len == 0 || memcmp(old.text, new.text, old.len) == 0))
		return 0;
	if (old.len > GITKEYS_SIZE_MAX || new.len > GITKEYS_SIZE_MAX)
		return refuse("too large", ret_key, key_max);
	if (has_controls(new))
		return refuse("control characters", ret_key, key_max);
	r = calloc(2, sizeof(*r));
	values = malloc(old.len + new.len + 2);
	if (r == NULL || values == NULL)
		return -ENOMEM;
	git_open(&r[0], old.text, old.len, values);
	git_open(&r[1], new.text, new.len, values + old.len + 1);
	for (;;) {
		int x = next_other(&r[0], path, &a);
		int y = next_other(&r[1], path, &b);

		if (x < 0 || y < 0)
			return refuse("no configuration git can read", ret_key, key_max);
		if (x == GIT_END && y == GIT_END)
			return 0;
		if (x == GIT_END || y == GIT_END || !same(&a, &b))
			return refuse(y == GIT_END ? a.name : b.name, ret_key, key_max);
	}
}
