/*
 * The container's file system, built by its first process in the new mount namespace while the host's tree is still
 * there: root mount, mounts, devices, masks, and the change of root. Everything below the root is reached through
 * inroot.h. The order is the caller's (child.c): rootfs_begin, rootfs_mounts, hooks, rootfs_finish, rootfs_enter.
 */
#ifndef GABION_OCI_ROOTFS_H
#define GABION_OCI_ROOTFS_H

#include <stdbool.h>

#include "monitor/oci/cgroup.h"
#include "monitor/oci/config.h"
#include "monitor/oci/fault.h"

struct rootfs {
	const struct oci_config *c;
	const struct oci_cgroup *cgroup; /* may be NULL */
	const char *bundle, *path;	 /* of the bundle, of the root directory: absolute */
	bool userns;			 /* in a user namespace of its own: no device nodes */
	int *sources;			 /* for each mount: detached mount of a bind's source, or -1 */
	int base;			 /* detached mount of the root directory, or -1: not opened yet */
	int root;			 /* O_PATH: the root mount, attached */
	char **covered;			 /* paths in the container, ended by NULL */
	int proc;			 /* a procfs nobody can mount over: for settings of our own */
};

#define ROOTFS_NULL ((struct rootfs){.base = -1, .root = -1, .proc = -1})

/* The caller's side, before the first process is made: opens what needs the caller's rights. Where mounting is not
 * permitted to it, that is left to the first process. R's strings are borrowed. -errno. */
int rootfs_sources(struct rootfs *r, struct oci_fault *fault);
/* Gives idmap mounts the user namespace USERNS (descriptor): after its maps are written. */
int rootfs_idmap(struct rootfs *r, int userns, struct oci_fault *fault);
void rootfs_close(struct rootfs *r);

int rootfs_begin(struct rootfs *r, struct oci_fault *fault);
int rootfs_mounts(struct rootfs *r, struct oci_fault *fault);
/* Devices, links, masks, read-only paths, working directory, read-only root. */
int rootfs_finish(struct rootfs *r, struct oci_fault *fault);
/* Makes the root the root. What of the host is left is gone afterwards. */
int rootfs_enter(struct rootfs *r, bool no_pivot, struct oci_fault *fault);

/* rootfs_fs.c: a detached mount of file system M->type. A descriptor or -errno. */
int rootfs_fs(const struct rootfs *r, const struct oci_mount *m, struct oci_fault *fault);
int rootfs_tmpfs(const char *mode, bool readonly);
/* rootfs_cgroup.c: a mount of type cgroup at TARGET. */
int rootfs_cgroup(struct rootfs *r, const struct oci_mount *m, int target, struct oci_fault *fault);
/* rootfs_copyup.c: copies what lies below directory FROM to directory TO. */
int rootfs_copyup(int from, int to);
/* rootfs_dev.c */
int rootfs_devices(struct rootfs *r, struct oci_fault *fault);
/*
 * rootfs_sockets.c: the host's sockets that P protects, as far as the container's mounts show them: found by the caller (into
 * .covered), covered by the first process.
 */
struct policy;
int rootfs_find_sockets(struct rootfs *r, const struct policy *p, struct oci_fault *fault);
int rootfs_cover_sockets(struct rootfs *r, struct oci_fault *fault);
/* A detached mount of the host's null device, verified. A descriptor or -errno. */
int rootfs_null(void);
/* MS_* flags as MOUNT_ATTR_*. */
uint64_t rootfs_attrs(unsigned long flags);
/* Sets M's flags and propagation on the detached mount FD. */
int rootfs_flags(int fd, const struct oci_mount *m, bool bind, struct oci_fault *fault);

#endif
