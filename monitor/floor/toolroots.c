/*
 * Tools that people keep in their home: pyenv, nvm, cargo, asdf, mise, Homebrew, Nix, virtual environments
 * and the like.
 *
 * The guest's home is private, and so are the homes of others. The directories of PATH that lie in a home
 * appear in it, read-only and executable, at their own paths, together with what their programs need: each
 * link in them is followed to the program, the interpreter in the first line of a script is a program too,
 * and toolroots_layout.c says what has to be shown around each. Links on the way (~/.nix-profile,
 * ~/.sdkman/candidates/java/current) become links of the view, where they do not lie in something shown.
 *
 * Should: follow only what the host's user wrote. Mustn't: show a place where credentials are; mount anything
 * in a workspace; take the word of a link a guest may have written: from within a workspace only known
 * layouts are reached. Every step is bounded; beyond the bounds nothing more is shown.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "monitor/floor/toolroots.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	PATH_DIRS_MAX = 256, /* directories of PATH looked at */
	ENTRIES_MAX = 4096,  /* entries of one */
	ROOTS_MAX = 128,
	LINKS_MAX = 256,
	HOPS_MAX = 40,	   /* links in one path, as in the kernel */
	STEPS_MAX = 50000, /* path components looked at in all */
	FIRST_LINES = 512, /* bytes of a script that are read */
};

struct link {
	char *at, *text;
};

struct finder {
	struct places *p;
	const char *home;
	char *state; /* the directory gabion keeps private homes in */
	char *roots[ROOTS_MAX];
	size_t n_roots;
	struct link links[LINKS_MAX];
	size_t n_links;
	unsigned int steps;
	int error; /* -ENOMEM, then nothing more is done */
};

/* Where a path led: canonical, and the links crossed. */
struct trail {
	char path[PATH_MAX];
	struct link hop[HOPS_MAX];
	bool last[HOPS_MAX]; /* nothing of the path was left after it: it names the program itself */
	size_t n;
};

static void trail_clear(struct trail *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free(t->hop[i].at);
		free(t->hop[i].text);
	}
	t->n = 0;
}

static bool in_workspace(const struct finder *f, const char *path)
{
	for (size_t i = 0; f->p->workspaces != NULL && f->p->workspaces[i] != NULL; i++)
		if (toolroots_within(path, f->p->workspaces[i]))
			return true;
	return false;
}

/* The view covers PATH with something of its own. */
static bool covered(const struct finder *f, const char *path)
{
	static const char *const tops[] = {"/run", "/tmp", "/var/tmp"};

	if (toolroots_below_home(f->home, path) != NULL)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(tops); i++)
		if (toolroots_within(path, tops[i]))
			return true;
	return false;
}

/* The root that shows PATH already, or NULL. */
static const char *shown_by(const struct finder *f, const char *path)
{
	for (size_t i = 0; i < f->n_roots; i++)
		if (toolroots_within(path, f->roots[i]))
			return f->roots[i];
	return NULL;
}

static void append(char path[PATH_MAX], const char *name, size_t n)
{
	size_t len = strlen(path);
	snprintf(path + len, PATH_MAX - len, "/%.*s", (int)n, name);
}

static void pop(char *path)
{
	char *slash = strrchr(path, '/');
	if (slash != NULL)
		*slash = '\0';
}

/* Resolves TEXT, relative to the canonical directory FROM, as the kernel would. -errno; T is to be cleared
 * either way. */
static int walk(struct finder *f, const char *from, const char *text, struct trail *t)
{
	char rest[PATH_MAX], next[PATH_MAX], target[PATH_MAX];

	t->n = 0;
	if ((size_t)snprintf(rest, sizeof(rest), "%s", text) >= sizeof(rest))
		return -ENAMETOOLONG;
	snprintf(t->path, sizeof(t->path), "%s", text[0] == '/' ? "" : from);
	for (char *at = rest;;) {
		at += strspn(at, "/");
		size_t n = strcspn(at, "/");
		if (n == 0)
			break;
		if (f->steps++ > STEPS_MAX)
			return -E2BIG;
		const char *after = at + n;
		if (n == 1 && at[0] == '.') {
			at += n;
			continue;
		}
		if (n == 2 && at[0] == '.' && at[1] == '.') {
			pop(t->path);
			at += n;
			continue;
		}
		if (strlen(t->path) + n + 1 >= PATH_MAX)
			return -ENAMETOOLONG;
		append(t->path, at, n);
		if (toolroots_within(t->path, "/proc"))
			return -ELOOP; /* its links mean something else for each process */
		ssize_t len = readlink(t->path, target, sizeof(target) - 1);
		if (len < 0) {
			if (errno != EINVAL)
				return err_now();
			at += n;
			continue;
		}
		if (t->n == HOPS_MAX)
			return -ELOOP;
		target[len] = '\0';
		t->last[t->n] = after[strspn(after, "/")] == '\0';
		t->hop[t->n] = (struct link){strdup(t->path), strdup(target)};
		t->n++;
		if (t->hop[t->n - 1].at == NULL || t->hop[t->n - 1].text == NULL)
			return f->error = -ENOMEM;
		if ((size_t)snprintf(next, sizeof(next), "%s%s", target, after) >= sizeof(next))
			return -ENAMETOOLONG;
		memcpy(rest, next, sizeof(rest));
		at = rest;
		pop(t->path);
		if (rest[0] == '/')
			t->path[0] = '\0';
	}
	if (t->path[0] == '\0')
		strcpy(t->path, "/");
	return 0;
}

static void add_root(struct finder *f, const char *root)
{
	if (shown_by(f, root) != NULL || f->n_roots == ROOTS_MAX || f->error < 0)
		return;
	f->roots[f->n_roots] = strdup(root);
	if (f->roots[f->n_roots] == NULL)
		f->error = -ENOMEM;
	else
		f->n_roots++;
}

/* Sees to it that the canonical PATH is visible. False: it will not be. */
static bool want(struct finder *f, const char *path, enum tool_use use, bool *ret_layout)
{
	const char *const *parts;
	char root[PATH_MAX], part[PATH_MAX];
	bool layout = false;

	if (!covered(f, path) || in_workspace(f, path))
		return true;
	const char *top = shown_by(f, path);
	if (top != NULL) {
		if (ret_layout != NULL)
			*ret_layout = strcmp(top, path) != 0;
		return true;
	}
	if (!toolroots_choose(f->home, path, use, root, &layout))
		return false;
	/* gabion's own directory: private homes and records of other runs. A workspace within is mounted over
	 * it. */
	if (f->state != NULL && (toolroots_within(f->state, root) || toolroots_within(root, f->state)))
		return false;
	if (toolroots_homebrew(root, &parts)) {
		struct stat st;
		for (; *parts != NULL; parts++)
			if ((size_t)snprintf(part, sizeof(part), "%s/%s", root, *parts) < sizeof(part) &&
			    lstat(part, &st) == 0 && S_ISDIR(st.st_mode))
				add_root(f, part);
	} else {
		add_root(f, root);
	}
	if (ret_layout != NULL)
		*ret_layout = layout;
	return shown_by(f, path) != NULL;
}

static void keep_links(struct finder *f, struct trail *t)
{
	for (size_t i = 0; i < t->n && f->n_links < LINKS_MAX; i++) {
		const char *at = t->hop[i].at;
		const char *rel = toolroots_below_home(f->home, at);
		bool have = shown_by(f, at) != NULL || in_workspace(f, at);
		for (size_t k = 0; k < f->n_links; k++)
			have = have || strcmp(f->links[k].at, at) == 0;
		/* Not covered: the view's own root has it. */
		if (have || !covered(f, at) || (rel != NULL && rel[0] == '\0') || strcmp(at, "/run") == 0 ||
		    strcmp(at, "/tmp") == 0 || strcmp(at, "/var/tmp") == 0)
			continue;
		f->links[f->n_links++] = (struct link){STEAL(t->hop[i].at), STEAL(t->hop[i].text)};
		t->hop[i] = (struct link){NULL, NULL};
	}
}

static void interpreter(struct finder *f, const char *path, bool trusted);

/* Follows TEXT, seen from directory FROM, to a program and makes that visible. SCRIPTS: a script's
 * interpreter as well. */
static void follow(struct finder *f, const char *from, const char *text, bool trusted, bool scripts)
{
	struct trail t = {.n = 0};
	struct stat st;
	int r = walk(f, from, text, &t);

	if (r == 0 && lstat(t.path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111) != 0) {
		for (size_t i = 0; i < t.n; i++) {
			trusted = trusted && !in_workspace(f, t.hop[i].at);
			if (t.last[i])
				(void)want(f, t.hop[i].at, trusted ? TOOL_HOP : TOOL_KNOWN, NULL);
		}
		trusted = trusted && !in_workspace(f, t.path);
		if (want(f, t.path, trusted ? TOOL_FILE : TOOL_KNOWN, NULL)) {
			keep_links(f, &t);
			if (scripts && covered(f, t.path))
				interpreter(f, t.path, trusted);
		}
	}
	trail_clear(&t);
}

/* What a script at the canonical PATH is run by: #!, and the second line of scripts whose interpreter's path
 * is too long for one. */
static void interpreter(struct finder *f, const char *path, bool trusted)
{
	static const char long_form[] = "#!/bin/sh\n'''exec' ";
	char text[FIRST_LINES + 1];
	AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, FIRST_LINES);

	if (n < 3 || text[0] != '#' || text[1] != '!')
		return;
	text[n] = '\0';
	char *start = text + 2;
	if (strncmp(text, long_form, strlen(long_form)) == 0)
		start = text + strlen(long_form);
	start += strspn(start, " \t\"");
	start[strcspn(start, " \t\"\n")] = '\0';
	if (start[0] != '/' || strncmp(start, "/usr/", 5) == 0 || strncmp(start, "/bin/", 5) == 0)
		return;
	follow(f, "/", start, trusted, false);
}

/* TEXT, read in directory DIR, stays below TOP as far as can be told without looking. */
static bool stays_below(const char *dir, const char *text, const char *top)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", text[0] == '/' ? "" : dir);
	for (size_t n; text += strspn(text, "/"), (n = strcspn(text, "/")) > 0; text += n) {
		if (n == 2 && text[0] == '.' && text[1] == '.')
			pop(path);
		else if (n != 1 || text[0] != '.') {
			if (strlen(path) + n + 1 >= sizeof(path))
				return false;
			append(path, text, n);
		}
	}
	return toolroots_within(path, top);
}

/* The programs in directory DIR. LAYOUT: it is part of an install, whose scripts and inner links need nothing
 * more. */
static void scan(struct finder *f, const char *dir, bool trusted, bool layout)
{
	DIR *d = opendir(dir);
	const char *top = shown_by(f, dir);
	struct dirent *e;
	char path[PATH_MAX], text[PATH_MAX];

	if (d == NULL)
		return;
	for (unsigned int n = 0; f->error == 0 && n < ENTRIES_MAX && (e = readdir(d)) != NULL; n++) {
		if (e->d_name[0] == '.' ||
		    (size_t)snprintf(path, sizeof(path), "%s/%s", dir, e->d_name) >= sizeof(path))
			continue;
		if (e->d_type == DT_LNK || e->d_type == DT_UNKNOWN) {
			ssize_t len = readlink(path, text, sizeof(text) - 1);
			if (len > 0) {
				text[len] = '\0';
				if (strchr(text, '/') != NULL &&
				    (top == NULL || !stays_below(dir, text, top)))
					follow(f, dir, e->d_name, trusted, true);
				continue;
			}
		}
		if (!layout && (e->d_type == DT_REG || e->d_type == DT_UNKNOWN))
			interpreter(f, path, trusted);
	}
	closedir(d);
}

static void path_directory(struct finder *f, const char *dir)
{
	struct trail t = {.n = 0};
	struct stat st;
	char more[PATH_MAX];
	int r = walk(f, "/", dir, &t);

	if (r == 0 && lstat(t.path, &st) == 0 && S_ISDIR(st.st_mode)) {
		bool trusted = true, layout = false;
		for (size_t i = 0; i < t.n; i++)
			trusted = trusted && !in_workspace(f, t.hop[i].at);
		if (want(f, t.path, trusted ? TOOL_PATH : TOOL_KNOWN, &layout)) {
			const char *top = shown_by(f, t.path);
			keep_links(f, &t);
			if (top != NULL && toolroots_companion(f->home, t.path, more))
				add_root(f, more);
			bool brew = toolroots_below_home(f->home, t.path) != NULL &&
				    strstr(t.path, "/.linuxbrew/") != NULL;
			if (covered(f, t.path) && !brew)
				scan(f, t.path, trusted && !in_workspace(f, t.path), layout);
		}
	}
	trail_clear(&t);
}

/* What was found becomes places. */
static int emit(struct finder *f)
{
	int r = f->error;

	for (size_t i = 0; r == 0 && i < f->n_roots; i++) {
		bool inner = in_workspace(f, f->roots[i]);
		for (size_t k = 0; k < f->n_roots; k++)
			inner = inner || (k != i && toolroots_within(f->roots[i], f->roots[k]));
		if (!inner)
			r = places_add(f->p, f->roots[i], f->roots[i], false, true, NULL);
	}
	for (size_t i = 0; r == 0 && i < f->n_links; i++)
		if (shown_by(f, f->links[i].at) == NULL && !in_workspace(f, f->links[i].at))
			r = places_add(f->p, NULL, f->links[i].at, false, false, f->links[i].text);
	return r;
}

int toolroots_add(struct places *p, const char *home, const char *path_variable)
{
	struct finder *f = calloc(1, sizeof(*f));
	AUTO_FREE char *list = strdup(path_variable == NULL ? "" : path_variable);
	int r = -ENOMEM;

	if (f == NULL || list == NULL)
		goto out;
	*f = (struct finder){.p = p, .home = home};
	if (p->home_source != NULL) { /* .../gabion/home/PROFILE */
		f->state = realpath(p->home_source, NULL);
		for (int i = 0; f->state != NULL && i < 2; i++)
			if (strrchr(f->state, '/') != f->state)
				pop(f->state);
	}
	char *save = NULL;
	unsigned int n = 0;
	for (char *dir = strtok_r(list, ":", &save); dir != NULL && n < PATH_DIRS_MAX;
	     dir = strtok_r(NULL, ":", &save), n++)
		if (dir[0] == '/' && f->error == 0)
			path_directory(f, dir);
	r = emit(f);
out:
	if (f != NULL) {
		for (size_t i = 0; i < f->n_roots; i++)
			free(f->roots[i]);
		for (size_t i = 0; i < f->n_links; i++) {
			free(f->links[i].at);
			free(f->links[i].text);
		}
		free(f->state);
	}
	free(f);
	return r;
}
