/*
 * What the language asks of the host: variables and files. A file is read whole, and bounded; beside its canonical path the
 * symbolic links are told that lead to it, for whoever can replace a link can replace the policy.
 */
#include "policy/lang.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

static const char *host_variable(void *ctx, const char *name)
{
	(void)ctx;
	return getenv(name);
}

static int read_whole(const char *path, size_t max, char **ret_bytes, size_t *ret_len)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	AUTO_FREE char *bytes = NULL;
	size_t len = 0, room = 0;

	if (fd < 0)
		return err_now();
	for (;;) {
		ssize_t n;

		if (len == room) {
			char *more = realloc(bytes, room = room ? 4 * room : 16384);

			if (!more)
				return -ENOMEM;
			bytes = more;
		}
		n = read(fd, bytes + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_now();
		if (n == 0)
			break;
		len += (size_t)n;
		if (len > max)
			return -EFBIG;
	}
	*ret_bytes = STEAL(bytes);
	*ret_len = len;
	return 0;
}

static int add_name(char ***names, size_t *n, char *name)
{
	char **v = name ? reallocarray(*names, *n + 2, sizeof(*v)) : NULL;

	if (!v) {
		free(name);
		return -ENOMEM;
	}
	v[(*n)++] = name;
	v[*n] = NULL;
	*names = v;
	return 0;
}

/* PATH up to LEN is a link: told by the canonical path of its directory and its name. */
static int add_link(const char *path, size_t len, char ***names, size_t *n)
{
	AUTO_FREE char *copy = strndup(path, len);
	AUTO_FREE char *dir = NULL;
	char *slash, *full = NULL;

	slash = copy ? strrchr(copy, '/') : NULL;
	if (!slash)
		return -ENOMEM;
	*slash = '\0';
	dir = realpath(slash == copy ? "/" : copy, NULL);
	if (!dir)
		return err_now();
	if (asprintf(&full, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, slash + 1) < 0)
		return -ENOMEM;
	return add_name(names, n, full);
}

/* Every component of PATH that is a link. What cannot be looked at cannot be replaced by somebody inside either. */
static int add_links(const char *path, char ***names, size_t *n)
{
	AUTO_FREE char *cwd = path[0] == '/' ? strdup("") : getcwd(NULL, 0);
	AUTO_FREE char *full = NULL;
	int r = 0;

	if (!cwd || asprintf(&full, "%s%s%s", cwd, path[0] == '/' ? "" : "/", path) < 0) {
		full = NULL;
		return -ENOMEM;
	}
	for (size_t at = 1; r == 0 && full[at - 1];) {
		size_t len = at + strcspn(full + at, "/");
		AUTO_FREE char *head = strndup(full, len);
		struct stat st;

		if (!head)
			return -ENOMEM;
		if (len > at && lstat(head, &st) == 0 && S_ISLNK(st.st_mode))
			r = add_link(full, len, names, n);
		at = len + 1;
	}
	return r;
}

static int host_read(void *ctx, const char *path, size_t max, char **ret_bytes, size_t *ret_len, char ***ret_names)
{
	char **names = NULL, *bytes = NULL;
	size_t n = 0, len = 0;
	int r;

	(void)ctx;
	r = read_whole(path, max, &bytes, &len);
	if (r < 0)
		return r;
	char *real = realpath(path, NULL);

	/* A pipe (bash's <(...)) has no name, and nobody inside can put another in its place. */
	if (real) {
		r = add_name(&names, &n, real);
		if (r == 0)
			r = add_links(path, &names, &n);
	} else if (errno != ENOENT) {
		r = err_now();
	}
	if (r < 0) {
		for (size_t i = 0; i < n; i++)
			free(names[i]);
		free(names);
		free(bytes);
		return r;
	}
	*ret_bytes = bytes;
	*ret_len = len;
	*ret_names = names;
	return 0;
}

const struct lang_host lang_host = {.variable = host_variable, .read = host_read};
