/*
 * A mount of type cgroup: what a container sees of its own groups. Where version 2 is alone that is one file system;
 * else a tmpfs with one mount for each hierarchy, as hosts have it: a file system of the container's cgroup namespace,
 * or without one the container's own group, bound.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/oci/inroot.h"
#include "monitor/oci/rootfs.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

/* A detached mount of one hierarchy. */
static int hierarchy(const struct rootfs *r, const struct oci_cgroup_place *p)
{
	const bool own = r->c->ns[OCI_NS_CGROUP].wanted;

	if (!own) {
		int fd = open_tree(AT_FDCWD, p->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		return fd < 0 ? err_now() : fd;
	}
	AUTO_FD int fs = fsopen(p->v2 ? "cgroup2" : "cgroup", FSOPEN_CLOEXEC);
	if (fs < 0)
		return err_now();
	(void)fsconfig(fs, FSCONFIG_SET_STRING, "source", "cgroup", 0);
	AUTO_FREE char *list = strdup(p->subsystems);
	char *rest = NULL;
	if (list == NULL)
		return -ENOMEM;
	for (char *w = p->v2 ? NULL : strtok_r(list, ",", &rest); w != NULL; w = strtok_r(NULL, ",", &rest)) {
		char *value = strchr(w, '=');
		bool named = value != NULL;
		if (named)
			*value++ = '\0';
		if (fsconfig(fs, named ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, w, value, 0) < 0)
			return err_now();
		/* A hierarchy without controllers is asked for by its name and "none". */
		if (named && fsconfig(fs, FSCONFIG_SET_FLAG, "none", NULL, 0) < 0)
			return err_now();
	}
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_now();
	int fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	return fd < 0 ? err_now() : fd;
}

static int attach(const struct rootfs *r, const struct oci_cgroup_place *p, const struct oci_mount *m, int at)
{
	uint64_t attrs = rootfs_attrs(m->flags);
	AUTO_FD int fd = hierarchy(r, p);

	if (fd < 0)
		return fd;
	return mount_attrs(fd, attrs, 0, true) < 0 || mount_attach(fd, at) < 0 ? err_now() : 0;
}

/* "cpu" beside "cpu,cpuacct". */
static void link_names(int dir, const char *subsystems, const char *name)
{
	AUTO_FREE char *list = strdup(subsystems);
	char *rest = NULL;

	for (char *w = list == NULL ? NULL : strtok_r(list, ",", &rest); w != NULL; w = strtok_r(NULL, ",", &rest))
		if (strcmp(w, name) != 0 && strchr(w, '=') == NULL)
			(void)!symlinkat(name, dir, w);
}

int rootfs_cgroup(struct rootfs *r, const struct oci_mount *m, int target, struct oci_fault *fault)
{
	struct oci_cgroup_place p;
	int e = 0;

	if (r->cgroup == NULL) {
		oci_log(OCI_WARNING, "mount %s: no control group is kept for this container, nothing is mounted", m->destination);
		return 0;
	}
	if (oci_cgroup_unified(r->cgroup)) {
		if (!oci_cgroup_place(r->cgroup, 0, &p))
			p = (struct oci_cgroup_place){.mount = "/sys/fs/cgroup", .subsystems = "", .path = "/", .v2 = true};
		e = attach(r, &p, m, target);
		return e < 0 ? oci_fail_errno(fault, e, "error mounting \"cgroup\" to rootfs at \"%s\"", m->destination) : 0;
	}
	AUTO_FD int tmp = fsopen("tmpfs", FSOPEN_CLOEXEC);
	if (tmp < 0 || fsconfig(tmp, FSCONFIG_SET_STRING, "mode", "755", 0) < 0 ||
	    fsconfig(tmp, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return oci_fail_errno(fault, err_now(), "error mounting \"tmpfs\" to rootfs at \"%s\"", m->destination);
	AUTO_FD int top = fsmount(tmp, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
	if (top < 0 || mount_attach(top, target) < 0)
		return oci_fail_errno(fault, err_now(), "error mounting \"tmpfs\" to rootfs at \"%s\"", m->destination);
	for (size_t i = 0; e == 0 && oci_cgroup_place(r->cgroup, i, &p); i++) {
		const char *name = strrchr(p.mount, '/');
		name = name == NULL ? p.mount : name + 1;
		if (mkdirat(top, name, 0755) < 0 && errno != EEXIST)
			return oci_fail_errno(fault, err_now(), "error making %s/%s", m->destination, name);
		AUTO_FD int at = openat(top, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		e = at < 0 ? err_now() : attach(r, &p, m, at);
		/* Rootless: the container has no group of its own there. */
		if (e == -ENOENT) {
			oci_log(OCI_DEBUG, "no group in %s: nothing is mounted for it", p.mount);
			e = 0;
			continue;
		}
		if (e < 0)
			return oci_fail_errno(fault, e, "error mounting \"cgroup\" to rootfs at \"%s/%s\"", m->destination, name);
		link_names(top, p.subsystems, name);
	}
	if ((m->flags & MS_RDONLY) && mount_attrs(top, MOUNT_ATTR_RDONLY, 0, false) < 0)
		return oci_fail_errno(fault, err_now(), "error making %s read-only", m->destination);
	return 0;
}
