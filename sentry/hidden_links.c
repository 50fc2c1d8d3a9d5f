/*
 * A hide rule knows a file by its names. A hard link made before the run is another name, under which nothing hides it. So
 * before the guest runs, the places where the sentry itself holds hide rules are walked, and the files in there that are
 * hidden and have more than one name are remembered. Nothing can be added to them later: linking a hidden file is refused, and
 * so is moving one away or under a hidden name.
 *
 * Only names the policy hides are looked at (fstatat), so a walk costs a directory listing. It stops after
 * HIDDEN_LINKS_WALK_MAX names. Hide rules that the mount view holds are not walked: those places are masked, from us too.
 *
 * Syscalls: openat2, fstat, newfstatat, getdents64, fcntl, close.
 */
#include "sentry/hidden_links.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

struct link {
	dev_t dev;
	ino_t ino;
	int rule;
};

struct hidden_links {
	size_t n, room;
	struct link v[];
};

/* Directories still to be looked at, and what was found. */
struct walk {
	const struct policy *p;
	int root_fd;
	char **dirs;
	size_t n, room;
	struct hidden_links *found;
	size_t left;
	bool cut;
};

static int push(struct walk *w, const char *dir)
{
	if (w->n == w->room) {
		size_t room = w->room ? 2 * w->room : 64;
		char **dirs = reallocarray(w->dirs, room, sizeof(*dirs));

		if (dirs == NULL)
			return -ENOMEM;
		w->dirs = dirs;
		w->room = room;
	}
	w->dirs[w->n] = strdup(dir);
	return w->dirs[w->n] == NULL ? -ENOMEM : (w->n++, 0);
}

static int add(struct walk *w, const struct stat *st, int rule)
{
	struct hidden_links *l = w->found;

	if (l == NULL || l->n == l->room) {
		size_t room = l ? 2 * l->room : 16;

		l = realloc(l, sizeof(*l) + room * sizeof(l->v[0]));
		if (l == NULL)
			return -ENOMEM;
		if (w->found == NULL)
			l->n = 0;
		l->room = room;
		w->found = l;
	}
	l->v[l->n++] = (struct link){ .dev = st->st_dev, .ino = st->st_ino, .rule = rule };
	return 0;
}

/* NAME in the directory AT; PATH is its path. */
static int look_at(struct walk *w, int at, const char *name, const char *path, unsigned char type)
{
	struct verdict v;
	struct stat st;

	if (type == DT_UNKNOWN && fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0)
		type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_UNKNOWN;
	if (type == DT_DIR)
		return push(w, path);
	if (type != DT_REG)
		return 0;
	v = policy_path(w->p, OP_READ, path, strlen(path));
	if (v.kind != VERDICT_DENY || v.rule == NULL || v.rule->kind != RULE_HIDE ||
	    fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) < 0 || st.st_nlink < 2)
		return 0;
	return add(w, &st, (int)v.rule->id);
}

static int open_in(const struct walk *w, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(O_CLOEXEC | flags),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
	};

	return (int)syscall(SYS_openat2, w->root_fd, path, &how, sizeof(how));
}

static int walk_dir(struct walk *w, const char *dir)
{
	AUTO_FD int fd = open_in(w, dir, O_RDONLY | O_DIRECTORY | O_NOATIME);
	DIR *d;
	int r = 0;

	if (fd < 0)
		fd = open_in(w, dir, O_RDONLY | O_DIRECTORY);
	/* What we cannot list the guest cannot either, and what is gone has no names. */
	if (fd < 0)
		return 0;
	d = fdopendir(fd);
	if (d == NULL)
		return err_now();
	(void)fd_steal(&fd);
	for (struct dirent *e; r == 0 && (e = readdir(d)) != NULL;) {
		char path[PATH_MAX];

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (w->left == 0) {
			w->cut = true;
			break;
		}
		w->left--;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir[1] == '\0' ? "" : dir, e->d_name) < sizeof(path))
			r = look_at(w, dirfd(d), e->d_name, path, e->d_type);
	}
	(void)closedir(d);
	return r;
}

/* A file that is named by a literal rule itself. */
static int look_at_file(struct walk *w, const char *path)
{
	AUTO_FD int fd = open_in(w, path, O_PATH);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
		return 0;
	return look_at(w, fd, "", path, DT_UNKNOWN);
}

/* The places rule I may hide something in, inside what the sentry sees. */
static int push_places(struct walk *w, size_t i)
{
	const struct rule *r = policy_rule(w->p, i);
	char dir[PATH_MAX];
	size_t n = r->literal_len;
	int e;

	if (r->pattern[n] == '\0' && !r->floating) {
		e = look_at_file(w, r->pattern);
		return e < 0 ? e : push(w, r->pattern);
	}
	while (n > 1 && r->pattern[n - 1] != '/')
		n--;
	if (n > 1 && n < sizeof(dir)) {
		(void)snprintf(dir, sizeof(dir), "%.*s", (int)(n - 1), r->pattern);
		return push(w, dir);
	}
	/* It may be anywhere: what may be written is what is looked at. */
	for (size_t k = 0; k < policy_rule_count(w->p); k++) {
		const struct rule *write = policy_rule(w->p, k);

		if (write->kind != RULE_WRITE || write->pattern[write->literal_len] != '\0' ||
		    strncmp(write->pattern, "/dev/", 5) == 0 || strcmp(write->pattern, "/proc") == 0 ||
		    policy_is_private(w->p, write->pattern))
			continue;
		e = push(w, write->pattern);
		if (e < 0)
			return e;
	}
	return 0;
}

static int by_inode(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

int hidden_links_index(const struct policy *p, int root_fd, struct hidden_links **ret_links, bool *ret_cut)
{
	struct walk w = { .p = p, .root_fd = root_fd, .left = HIDDEN_LINKS_WALK_MAX };
	int r = 0;

	for (size_t i = 0; r == 0 && i < policy_rule_count(p); i++)
		if (policy_hides_within(p, i))
			r = push_places(&w, i);
	while (r == 0 && w.n > 0 && !w.cut) {
		AUTO_FREE char *dir = w.dirs[--w.n];

		r = walk_dir(&w, dir);
	}
	while (w.n > 0)
		free(w.dirs[--w.n]);
	free(w.dirs);
	if (r < 0) {
		free(w.found);
		return r;
	}
	if (w.found != NULL)
		qsort(w.found->v, w.found->n, sizeof(w.found->v[0]), by_inode);
	*ret_links = w.found;
	*ret_cut = w.cut;
	return 0;
}

struct hidden_links *hidden_links_free(struct hidden_links *l)
{
	free(l);
	return NULL;
}

int hidden_links_rule(const struct hidden_links *l, int fd)
{
	const struct link *found;
	struct link key;
	struct stat st;

	if (l == NULL || fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink < 2)
		return -1;
	key = (struct link){ .dev = st.st_dev, .ino = st.st_ino };
	found = bsearch(&key, l->v, l->n, sizeof(key), by_inode);
	return found == NULL ? -1 : found->rule;
}
