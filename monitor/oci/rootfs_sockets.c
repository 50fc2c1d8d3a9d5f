/*
 * Sockets of the host that the policy protects (an engine's, above all), where the container's mounts show them: bound
 * alone, or in a directory that is bound. Which there are the kernel says (/proc/net/unix, of the network namespace
 * gabion was started in, which is the engine's). Each is covered by the null device: a mount stays on the object whatever
 * is renamed around it, inside nobody can take it away, and a connect to it is refused by the kernel (ECONNREFUSED).
 *
 * A socket is protected if the policy says so of its path on the host or of its path in the container.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/oci/inroot.h"
#include "monitor/oci/rootfs.h"
#include "policy.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

enum { COVERED_MAX = 256 };

static bool protects(const struct policy *p, const char *path)
{
	return policy_path(p, OP_WRITE, path, strlen(path)).kind != VERDICT_ALLOW;
}

/* Notes the path INSIDE, unless it is there already. */
static int note(struct rootfs *r, size_t *n, const char *inside)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(r->covered[i], inside) == 0)
			return 0;
	if (*n >= COVERED_MAX)
		return -E2BIG;
	r->covered[*n] = strdup(inside);
	return r->covered[*n] == NULL ? -ENOMEM : (int)(++*n, 0);
}

/* The socket HOST, where the bind of SOURCE (canonical) shows it. ANYWAY: it is protected by another of its names. */
static int look(struct rootfs *r, size_t *n, const struct policy *p, const char *host, bool anyway, const char *source,
		const char *destination)
{
	size_t len = strcmp(source, "/") == 0 ? 0 : strlen(source);
	char inside[8200], normal[4096];

	if (strncmp(host, source, len) != 0 || (host[len] != '/' && host[len] != '\0'))
		return 0;
	if (inroot_normal(destination, normal) < 0)
		return 0;
	int k = snprintf(inside, sizeof(inside), "/%s%s", normal, host + len);
	if (k < 0 || (size_t)k >= sizeof(inside))
		return -ENAMETOOLONG;
	return anyway || protects(p, host) || protects(p, inside) ? note(r, n, inside) : 0;
}

static int look_at_all(struct rootfs *r, size_t *n, const struct policy *p, const char *host, bool anyway)
{
	const struct oci_config *c = r->c;
	int e = 0;

	for (size_t i = 0; e == 0 && i < c->mounts_n; i++) {
		const struct oci_mount *m = &c->mounts[i];
		AUTO_FREE char *source = m->bind && m->source[0] == '/' ? realpath(m->source, NULL) : NULL;
		if (source != NULL)
			e = look(r, n, p, host, anyway, source, m->destination);
	}
	return e;
}

int rootfs_find_sockets(struct rootfs *r, const struct policy *p, struct oci_fault *fault)
{
	AUTO_FREE char *line = NULL;
	size_t room = 0, n = 0;
	int e = 0;
	FILE *f = fopen("/proc/net/unix", "re");

	r->covered = calloc(COVERED_MAX + 1, sizeof(*r->covered));
	if (f == NULL || r->covered == NULL) {
		e = err_now();
		if (f != NULL)
			(void)fclose(f);
		return oci_fail_errno(fault, e, "/proc/net/unix");
	}
	while (e == 0 && getline(&line, &room, f) > 0) {
		/* "Num: RefCount Protocol Flags Type St Inode Path"; a path may hold blanks. */
		const char *at = strchr(line, '/');
		line[strcspn(line, "\n")] = '\0';
		AUTO_FREE char *real = at == NULL ? NULL : realpath(at, NULL);
		if (real != NULL)
			e = look_at_all(r, &n, p, real, protects(p, at));
	}
	(void)fclose(f);
	/* A socket bound alone may be of a network namespace we do not see. */
	for (size_t i = 0; e == 0 && i < r->c->mounts_n; i++) {
		const struct oci_mount *m = &r->c->mounts[i];
		struct stat st;
		if (!m->bind || m->source[0] != '/' || stat(m->source, &st) < 0 || !S_ISSOCK(st.st_mode))
			continue;
		AUTO_FREE char *source = realpath(m->source, NULL);
		if (source != NULL)
			e = look(r, &n, p, source, false, source, m->destination);
	}
	return e < 0 ? oci_fail_errno(fault, e, "the host's sockets that the policy protects") : 0;
}

int rootfs_cover_sockets(struct rootfs *r, struct oci_fault *fault)
{
	for (size_t i = 0; r->covered != NULL && r->covered[i] != NULL; i++) {
		AUTO_FD int at = inroot_open(r->root, r->covered[i], O_PATH, 0);
		struct stat st;
		/* Not there: another mount lies over it. */
		if (at < 0 || fstat(at, &st) < 0 || !S_ISSOCK(st.st_mode))
			continue;
		AUTO_FD int cover = rootfs_null();
		int e = cover < 0 ? cover : 0;
		if (e == 0 && (mount_attrs(cover, 0, 0, false) < 0 || mount_attach(cover, at) < 0))
			e = err_now();
		if (e < 0)
			return oci_fail_errno(fault, e, "covering %s, which the policy protects", r->covered[i]);
		oci_log(OCI_INFO, "%s is covered: the policy protects it", r->covered[i]);
	}
	return 0;
}
