/*
 * See left_links.h. A link is known by its path in the guest's view, which for the places that are the host's as well is the
 * host's. What is renamed is followed: the link itself, or a directory above it. That one was removed shows at the end.
 *
 * The same for files that say where a repository's git directory is (.git of a submodule, commondir): git writes them in place,
 * so the sentry cannot judge what they say. One that names a directory whose configuration nothing protects is told.
 *
 * Where the plan leaves names to the kernel links are still seen made, not renamed.
 */
#include "monitor/left_links.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/text.h"
#include "nr.h"
#include "util/err.h"
#include "util/fd.h"

enum { SHOWN_MAX = 10 };

struct left_links {
	size_t n;
	unsigned int more; /* made when there was no room */
	char *path[LEFT_LINKS_MAX];
};

int left_links_new(struct left_links **ret_l)
{
	*ret_l = calloc(1, sizeof(**ret_l));
	return *ret_l == NULL ? -ENOMEM : 0;
}

struct left_links *left_links_free(struct left_links *l)
{
	for (size_t i = 0; l != NULL && i < l->n; i++)
		free(l->path[i]);
	free(l);
	return NULL;
}

static void add(struct left_links *l, const char *path, size_t len)
{
	char *copy;

	if (len == 0 || path[0] != '/')
		return;
	for (size_t i = 0; i < l->n; i++)
		if (strlen(l->path[i]) == len && memcmp(l->path[i], path, len) == 0)
			return;
	copy = l->n < LEFT_LINKS_MAX ? strndup(path, len) : NULL;
	if (copy == NULL)
		l->more++;
	else
		l->path[l->n++] = copy;
}

/* What was at or below OLD is at or below NEW now, and still remembered under its old name: it may be a copy (link), or swapped. */
static void moved(struct left_links *l, const char *old, size_t old_len, const char *new, size_t new_len)
{
	size_t n = l->n;

	for (size_t i = 0; i < n; i++) {
		const char *p = l->path[i];
		char path[PATH_MAX];
		int len;

		if (strncmp(p, old, old_len) != 0 || (p[old_len] != '\0' && p[old_len] != '/'))
			continue;
		len = snprintf(path, sizeof(path), "%.*s%s", (int)new_len, new, p + old_len);
		if (len > 0 && (size_t)len < sizeof(path))
			add(l, path, (size_t)len);
	}
}

/* Whether PATH is a file that says which directory is the repository: .git, or the common one of a worktree's. */
static bool names_git_dir(const char *path, size_t len)
{
	static const char git[] = "/.git", common[] = "/commondir";
	const size_t g = sizeof(git) - 1, c = sizeof(common) - 1;

	return (len > g && memcmp(path + len - g, git, g) == 0) || (len > c && memcmp(path + len - c, common, c) == 0);
}

void left_links_note(struct left_links *l, const struct record *r)
{
	const char *second = r->object + r->object_len;

	if (r->flags & (RECORD_REFUSED | RECORD_FAILED | RECORD_INTERNAL))
		return;
	switch (r->nr) {
	case NR_open:
	case NR_openat:
	case NR_openat2:
	case NR_creat:
		if (r->op == OP_WRITE && names_git_dir(r->object, r->object_len))
			add(l, r->object, r->object_len);
		break;
	case NR_symlink:
	case NR_symlinkat:
		add(l, r->object, r->object_len);
		break;
	case NR_renameat2:
		/* It may be an exchange. */
		if (r->object2_len > 0 && r->object_len > 0)
			moved(l, second, r->object2_len, r->object, r->object_len);
		__attribute__((fallthrough));
	case NR_rename:
	case NR_renameat:
	case NR_link:
	case NR_linkat:
		if (r->object2_len > 0 && r->object_len > 0)
			moved(l, r->object, r->object_len, second, r->object2_len);
		break;
	default:
		break;
	}
}

/* Where PATH, a link, leads on the host; the directory of it must exist. NULL: nowhere. Owned by the caller. */
static char *leads_to(const char *path)
{
	char text[PATH_MAX], joined[2 * PATH_MAX], *target, *slash, *dir;
	ssize_t n;

	target = realpath(path, NULL);
	if (target != NULL)
		return target;
	n = readlink(path, text, sizeof(text) - 1);
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	slash = strrchr(path, '/');
	if (text[0] == '/')
		(void)snprintf(joined, sizeof(joined), "%s", text);
	else
		(void)snprintf(joined, sizeof(joined), "%.*s/%s", (int)(slash - path), path, text);
	slash = strrchr(joined, '/');
	if (slash == joined || slash[1] == '\0')
		return NULL;
	*slash = '\0';
	dir = realpath(joined, NULL);
	if (dir == NULL || asprintf(&target, "%s/%s", dir, slash + 1) < 0)
		target = NULL;
	free(dir);
	return target;
}

/* The directory the file PATH names, as git reads it. NULL: none. Owned by the caller. */
static char *git_dir_of(const char *path)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[PATH_MAX], joined[2 * PATH_MAX];
	const char *dir = text;
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return NULL;
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	if (strncmp(dir, "gitdir: ", 8) == 0)
		dir += 8;
	if (dir[0] == '/')
		return realpath(dir, NULL);
	(void)snprintf(joined, sizeof(joined), "%.*s/%s", (int)(strrchr(path, '/') - path), path, dir);
	return realpath(joined, NULL);
}

/* Whether the guest could have written the configuration of the git directory DIR. */
static bool is_unprotected(const struct policy *p, const char *dir)
{
	char config[PATH_MAX];
	int n = snprintf(config, sizeof(config), "%s/config", dir);

	return n > 0 && (size_t)n < sizeof(config) && policy_path(p, OP_WRITE, config, (size_t)n).kind == VERDICT_ALLOW;
}

static void print(FILE *out, const char *what, const char *path, const char *target)
{
	fprintf(out, "gabion: this run leaves %s: ", what);
	text_show(out, path, strlen(path));
	fprintf(out, " -> ");
	text_show(out, target, strlen(target));
	fprintf(out, "\n");
}

static bool is_hidden(const struct policy *p, const char *target)
{
	struct verdict v = policy_path(p, OP_READ, target, strlen(target));

	return (v.kind == VERDICT_DENY && v.rule != NULL && v.rule->kind == RULE_HIDE) || policy_is_private(p, target);
}

unsigned int left_links_print(const struct left_links *l, const struct policy *p, FILE *out)
{
	unsigned int found = 0;

	for (size_t i = 0; i < l->n; i++) {
		const char *path = l->path[i];
		AUTO_FREE char *target = NULL;
		struct stat st;

		/* What the guest made in a place of its own is not there outside. */
		if (policy_is_private(p, path) || lstat(path, &st) < 0)
			continue;
		if (S_ISREG(st.st_mode) && names_git_dir(path, strlen(path)))
			target = git_dir_of(path);
		else if (S_ISLNK(st.st_mode))
			target = leads_to(path);
		if (target == NULL || !(S_ISREG(st.st_mode) ? is_unprotected(p, target) : is_hidden(p, target)) ||
		    ++found > SHOWN_MAX)
			continue;
		print(out, S_ISREG(st.st_mode) ? "a repository whose configuration it could write" : "a link to what it could not see",
		      path, target);
	}
	if (found > SHOWN_MAX)
		fprintf(out, "gabion: and %u more of the kind\n", found - SHOWN_MAX);
	if (l->more > 0)
		fprintf(out, "gabion: %u links this run made were not looked at\n", l->more);
	return found;
}
