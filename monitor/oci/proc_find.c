/*
 * The program of a process, and its environment. Files of the container's (passwd) are read bounded: whatever they are,
 * they hold nobody up.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/oci/inroot.h"
#include "monitor/oci/proc_apply.h"
#include "util/err.h"

enum { PASSWD_MAX = 1 << 20 };

static const char *env_of(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; env != NULL && env[i] != NULL; i++)
		if (strncmp(env[i], name, n) == 0 && env[i][n] == '=')
			return env[i] + n + 1;
	return NULL;
}

/* 0, or what is wrong with executing PATH. */
static int executable(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_now();
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? err_now() : 0;
}

int proc_find(const struct oci_proc *p, char *const *env, char **ret_path, struct oci_fault *fault)
{
	const char *name = p->args[0], *path = env_of(env, "PATH");
	int seen = -ENOENT;

	if (strchr(name, '/') != NULL) {
		int r = executable(name);
		if (r == -ENOENT || r == -ENOTDIR)
			return oci_fail_errno(fault, r, "exec: \"%s\": stat %s", name, name);
		/* newer engines look for the first half, older ones for the second; both mean status 126 */
		if (r == -EISDIR)
			return oci_fail(fault, -EACCES, "exec: \"%s\": is a directory: permission denied", name);
		if (r < 0)
			return oci_fail_errno(fault, r, "exec: \"%s\"", name);
		*ret_path = strdup(name);
		return *ret_path == NULL ? -ENOMEM : 0;
	}
	while (path != NULL && name[0] != '\0') {
		size_t n = strcspn(path, ":");
		char *file = NULL;
		if (asprintf(&file, "%.*s%s%s", (int)n, path, n == 0 ? "./" : "/", name) < 0)
			return -ENOMEM;
		int r = executable(file);
		if (r == 0) {
			*ret_path = file;
			return 0;
		}
		if (r == -EACCES)
			seen = r;
		free(file);
		if (path[n] == '\0')
			break;
		path += n + 1;
	}
	if (seen == -EACCES)
		return oci_fail_errno(fault, seen, "exec: \"%s\"", name);
	return oci_fail(fault, seen, "exec: \"%s\": executable file not found in $PATH", name);
}

/* The home of UID in the container's passwd; "/" where it has none. Allocated. */
static char *home_of(int root, uid_t uid)
{
	AUTO_FREE char *text = malloc(PASSWD_MAX);
	char *rest = NULL;

	if (text == NULL || inroot_read(root, "/etc/passwd", text, PASSWD_MAX) < 0)
		return strdup("/");
	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		char *field[7] = {line};
		size_t n = 1;
		for (char *c = line; *c != '\0' && n < 7; c++)
			if (*c == ':') {
				*c = '\0';
				field[n++] = c + 1;
			}
		char *end = NULL;
		if (n == 7 && field[2][0] >= '0' && field[2][0] <= '9' && strtoul(field[2], &end, 10) == uid && *end == '\0')
			return strdup(field[5][0] != '\0' ? field[5] : "/");
	}
	return strdup("/");
}

int proc_env(const struct oci_proc *p, int root, unsigned int listen, char ***ret_env)
{
	size_t n = 0, k = 0;

	while (p->env != NULL && p->env[n] != NULL)
		n++;
	char **env = calloc(n + 4, sizeof(*env));
	if (env == NULL)
		return -ENOMEM;
	/* Of a name that is there twice the last counts, as in runc. */
	for (size_t i = 0; i < n; i++) {
		size_t len = strcspn(p->env[i], "=");
		bool later = false;
		for (size_t j = i + 1; j < n && !later; j++)
			later = strncmp(p->env[i], p->env[j], len + 1) == 0;
		if (!later)
			env[k++] = p->env[i];
	}
	if (env_of(p->env, "HOME") == NULL) {
		AUTO_FREE char *home = home_of(root, p->uid);
		if (home == NULL || asprintf(&env[k++], "HOME=%s", home) < 0)
			return -ENOMEM;
	}
	if (listen > 0) {
		if (asprintf(&env[k++], "LISTEN_FDS=%u", listen) < 0)
			return -ENOMEM;
		env[k] = strdup("LISTEN_PID=1");
		if (env[k++] == NULL)
			return -ENOMEM;
	}
	*ret_env = env;
	return 0;
}
