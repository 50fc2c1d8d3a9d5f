/*
 * Mappings of user namespaces. Written by ourselves where we have the right (root, or root of a rootless engine's own
 * namespace), else by the set-user-id helpers newuidmap and newgidmap, which know what /etc/subuid gives to whom; a map
 * of nothing but one's own id needs neither.
 */
#include "monitor/oci/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

static int write_file(pid_t pid, const char *file, const char *text)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_now();
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : err_now();
}

static int map_text(const struct oci_idmaps *m, char **ret)
{
	size_t room = m->n * 36 + 1, n = 0;
	char *text = malloc(room);

	if (text == NULL)
		return -ENOMEM;
	text[0] = '\0';
	for (size_t i = 0; i < m->n; i++)
		n += (size_t)snprintf(text + n, room - n, "%u %u %u\n", m->v[i].inside, m->v[i].outside, m->v[i].count);
	*ret = text;
	return 0;
}

/* PROGRAM PID INSIDE OUTSIDE COUNT ... */
static int by_program(const char *program, pid_t pid, const struct oci_idmaps *m)
{
	char **argv = calloc(m->n * 3 + 3, sizeof(*argv));
	char *numbers = calloc(m->n * 3 + 1, 16);
	size_t n = 0;
	int status = -1;

	if (argv == NULL || numbers == NULL) {
		free(argv);
		free(numbers);
		return -ENOMEM;
	}
	argv[n++] = (char *)(uintptr_t)program;
	argv[n] = numbers;
	(void)snprintf(argv[n++], 16, "%d", (int)pid);
	for (size_t i = 0; i < m->n; i++) {
		const uint32_t v[3] = {m->v[i].inside, m->v[i].outside, m->v[i].count};
		for (int k = 0; k < 3; k++, n++) {
			argv[n] = numbers + (n - 1) * 16;
			(void)snprintf(argv[n], 16, "%u", v[k]);
		}
	}
	pid_t child = fork();
	if (child == 0) {
		execvp(program, argv);
		_exit(127);
	}
	int r = child < 0 ? err_now() : 0;
	while (r == 0 && waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			r = err_now();
	free(argv);
	free(numbers);
	return r < 0 ? r : WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

static int write_maps(pid_t pid, const struct oci_idmaps *uids, const struct oci_idmaps *gids)
{
	AUTO_FREE char *u = NULL, *g = NULL;
	int r = map_text(uids, &u);

	if (r == 0)
		r = map_text(gids, &g);
	if (r < 0 || u == NULL || g == NULL)
		return r < 0 ? r : -ENOMEM;
	r = write_file(pid, "uid_map", u);
	if (r == -EPERM)
		r = by_program("newuidmap", pid, uids);
	if (r < 0)
		return r;
	r = write_file(pid, "gid_map", g);
	if (r == -EPERM && gids->n == 1 && gids->v[0].count == 1 && write_file(pid, "setgroups", "deny") == 0)
		r = write_file(pid, "gid_map", g);
	if (r == -EPERM)
		r = by_program("newgidmap", pid, gids);
	return r;
}

int idmap_write(pid_t pid, const struct oci_idmaps *uids, const struct oci_idmaps *gids, struct oci_fault *fault)
{
	int r = write_maps(pid, uids, gids);

	return r < 0 ? oci_fail_errno(fault, r, "writing the mappings of the user namespace") : 0;
}

int idmap_namespace(const struct oci_idmaps *uids, const struct oci_idmaps *gids, int *ret_fd)
{
	char path[64];
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		for (;;)
			(void)pause();
	}
	if (pid < 0)
		return err_now();
	int r = write_maps(pid, uids, gids);
	if (r == 0) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
		r = *ret_fd < 0 ? err_now() : 0;
	}
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return r;
}
