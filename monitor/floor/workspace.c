/*
 * Which directory the guest may change: the git top level of the current directory, with its common directory
 * where it is a linked worktree (gitrepository-layout(5): .git is then a file "gitdir: PATH", PATH/commondir
 * names the common directory), else the current directory. Read without running git.
 *
 * What a repository's files say of other directories is the word of whoever wrote them. So the gitdir must lie
 * where git makes it, in the common directory's worktrees/, and point back to the worktree. Else a .git file
 * could name a gitdir of its author's own, inside the workspace, and that one any git directory of the host as
 * the common one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "util/err.h"
#include "util/fd.h"

/* First line of DIR/NAME without its newline; NULL where there is none. */
static char *first_line(const char *dir, const char *name)
{
	char path[PATH_MAX], buf[PATH_MAX + 16];

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return NULL;
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	ssize_t n = read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return NULL;
	buf[n] = '\0';
	buf[strcspn(buf, "\r\n")] = '\0';
	return strdup(buf);
}

/* BASE/PATH canonical, or PATH where absolute. */
static char *canonical(const char *base, const char *path)
{
	char joined[PATH_MAX];

	if (path[0] == '/')
		return realpath(path, NULL);
	if ((size_t)snprintf(joined, sizeof(joined), "%s/%s", base, path) >= sizeof(joined))
		return NULL;
	return realpath(joined, NULL);
}

/* Whether GITDIR is COMMON/worktrees/NAME: only who may write to the common directory can have made it. */
static bool registered(const char *gitdir, const char *common)
{
	static const char worktrees[] = "/worktrees/";
	size_t n = strlen(common);

	if (strncmp(gitdir, common, n) != 0 || strncmp(gitdir + n, worktrees, sizeof(worktrees) - 1) != 0)
		return false;
	return strchr(gitdir + n + sizeof(worktrees) - 1, '/') == NULL;
}

/* The common directory of the worktree TOP, or NULL where it is none or does not agree. */
static char *worktree_common(const char *top)
{
	AUTO_FREE char *line = first_line(top, ".git");
	if (line == NULL || strncmp(line, "gitdir: ", 8) != 0)
		return NULL;
	AUTO_FREE char *gitdir = canonical(top, line + 8);
	AUTO_FREE char *back = gitdir == NULL ? NULL : first_line(gitdir, "gitdir");
	AUTO_FREE char *common = gitdir == NULL ? NULL : first_line(gitdir, "commondir");
	if (back == NULL || common == NULL)
		return NULL;
	AUTO_FREE char *dot_git = canonical(gitdir, back);
	AUTO_FREE char *own = canonical(top, ".git");
	AUTO_FREE char *dir = canonical(gitdir, common);
	AUTO_FREE char *head = NULL;
	if (dot_git == NULL || own == NULL || dir == NULL || strcmp(dot_git, own) != 0 || !registered(gitdir, dir) ||
	    (head = first_line(dir, "HEAD")) == NULL)
		return NULL;
	return STEAL(dir);
}

/* The nearest directory at or above DIR that has a .git; NULL: none below ROOT and HOME. */
static char *git_top(const char *dir, const char *home)
{
	AUTO_FREE char *at = strdup(dir);

	while (at != NULL && strcmp(at, "/") != 0 && strcmp(at, home) != 0) {
		char path[PATH_MAX];
		struct stat st;
		if ((size_t)snprintf(path, sizeof(path), "%s/.git", at) < sizeof(path) &&
		    lstat(path, &st) == 0 && (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)))
			return STEAL(at);
		char *slash = strrchr(at, '/');
		if (slash == at)
			break;
		*slash = '\0';
	}
	return NULL;
}

int workspace_find(const char *dir, const char *home, bool named, char ***ret_dirs, char **ret_why)
{
	struct stat st;
	AUTO_FREE char *start = realpath(dir, NULL);

	if (start == NULL || stat(start, &st) < 0 || !S_ISDIR(st.st_mode)) {
		int e = start == NULL ? err_now() : -ENOTDIR;
		(void)!asprintf(ret_why, "workspace %s: %s", dir, strerror(-e));
		return e;
	}
	AUTO_FREE char *top = named ? strdup(start) : git_top(start, home);
	if (top == NULL)
		top = strdup(start);
	if (top == NULL)
		return -ENOMEM;
	size_t n = strlen(top);
	bool above =
		strcmp(top, "/") == 0 || (strncmp(home, top, n) == 0 && (home[n] == '/' || home[n] == '\0'));
	if (strcmp(top, "/") == 0 || (above && !named)) {
		(void)!asprintf(ret_why,
				"%s cannot be the workspace: it is %s. Change to a project directory, or "
				"name one with --workspace DIR",
				top,
				strcmp(top, "/") == 0	 ? "the whole file system"
				: strcmp(top, home) == 0 ? "your home directory"
							 : "above your home directory");
		return -EINVAL;
	}
	char **dirs = calloc(3, sizeof(*dirs));
	if (dirs == NULL)
		return -ENOMEM;
	dirs[0] = strdup(top);
	char *common = worktree_common(top);
	if (common != NULL && (strncmp(common, top, n) != 0 || common[n] != '/'))
		dirs[1] = common;
	else
		free(common);
	*ret_dirs = dirs;
	return 0;
}
