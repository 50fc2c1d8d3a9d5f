/*
 * The cgroups of a container: version 1 (a mount for each controller), version 2, or both at once with controllers on
 * either side; made by us (cgroupfs), by systemd over D-Bus, or not at all (disabled).
 *
 * A container has one group in every hierarchy that is mounted and writable, at the place cgroupsPath says, and
 * beside it a leaf for gabion's own processes of that container (sentry, tracer), NAME.gabion, without limits of its
 * own: it counts against the parent's (a pod's), never against the guest's pids, memory or freezer, so a guest at its
 * limit cannot starve who decides its calls, and a frozen guest has a sentry that can end.
 *
 * Order of a create, so that a kill -9 at any point leaves nothing unknown: plan, write the plan into the state
 * (state.h), make, enter, delete: remove (which takes a group that is not there for removed).
 */
#ifndef GABION_OCI_CGROUP_H
#define GABION_OCI_CGROUP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "monitor/oci/fault.h"
#include "monitor/oci/resources.h"

enum oci_cgroup_manager { OCI_CGROUPFS = 0, OCI_SYSTEMD, OCI_CGROUP_DISABLED };

struct oci_cgroup; /* opaque */

/*
 * Where the groups of container ID will be. PATH is linux.cgroupsPath or NULL (then /ID below this process's own
 * group); for OCI_SYSTEMD "slice:prefix:name". ".." in it is refused. OPTIONAL: where groups cannot be made for want
 * of permission the container does without (rootless); asking for limits then is a fault. Nothing is made.
 * -EINVAL, -ENOMEM with FAULT. oci_cgroup_free() it.
 */
int oci_cgroup_plan(enum oci_cgroup_manager manager, const char *path, const char *id, bool optional,
		    struct oci_cgroup **ret_c, struct oci_fault *fault);
/* The plan as it lies in the state, a new reference; and back. -EINVAL, -ENOMEM. */
json_t *oci_cgroup_json(const struct oci_cgroup *c);
int oci_cgroup_load(const json_t *json, struct oci_cgroup **ret_c);
struct oci_cgroup *oci_cgroup_free(struct oci_cgroup *c); /* frees memory only; NULL */

/*
 * Makes the groups, puts PID (the container's first process) in, and HELPER (0: none) into the leaf, and sets R's
 * limits (NULL: none), with what runc allows of devices besides. -errno with FAULT; what was made stays for
 * oci_cgroup_remove(). -EEXIST where a group of that name already holds processes of somebody else.
 */
int oci_cgroup_make(struct oci_cgroup *c, const struct oci_resources *r, pid_t pid, pid_t helper,
		    struct oci_fault *fault);
/* Puts PID (for `exec`) into the container's groups; SUB (NULL: none) is a group below them, "[CONTROLLER:]PATH". */
int oci_cgroup_enter(const struct oci_cgroup *c, pid_t pid, const char *sub, struct oci_fault *fault);
/* Puts one more process of gabion's into the leaf. Best effort: a process that cannot be moved stays where it is. */
int oci_cgroup_enter_helper(const struct oci_cgroup *c, pid_t pid);

/* Changes limits of a running container. -errno with FAULT. */
int oci_cgroup_update(const struct oci_cgroup *c, const struct oci_resources *r, struct oci_fault *fault);

/* Freezes or thaws, and waits until it is so. -EOPNOTSUPP: no freezer. */
int oci_cgroup_freeze(const struct oci_cgroup *c, bool frozen, struct oci_fault *fault);
bool oci_cgroup_frozen(const struct oci_cgroup *c);

/* All processes in the container's groups and those below, ascending, allocated. Not the helpers. */
int oci_cgroup_pids(const struct oci_cgroup *c, pid_t **ret_pids, size_t *ret_n);
/* Sends SIGNAL to all of them; for SIGKILL until none is left (also of a frozen group). -EOPNOTSUPP: no group. */
int oci_cgroup_kill(const struct oci_cgroup *c, int signal);
/* Kills what is left in the groups and in the helpers' leaf and removes both. What is not there is removed. */
int oci_cgroup_remove(const struct oci_cgroup *c, struct oci_fault *fault);

/* The `data` of `events --stats` in runc's shape, a new reference. */
json_t *oci_cgroup_stats(const struct oci_cgroup *c);

/* How many of its processes were killed for want of memory. 0 where that is not known. */
uint64_t oci_cgroup_oom_kills(const struct oci_cgroup *c);

/* A hierarchy's group, for a mount of type cgroup: where it is mounted here, and its part of it. */
struct oci_cgroup_place {
	const char *mount;   /* "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup" */
	const char *subsystems; /* "cpu,cpuacct", "name=systemd"; version 2: "" */
	const char *path;    /* absolute path of the container's group here */
	bool v2;
};

/* The places in order, from I = 0 until it answers false. Strings live as long as C. */
bool oci_cgroup_place(const struct oci_cgroup *c, size_t i, struct oci_cgroup_place *ret_place);
/* The hierarchy is version 2 alone (a cgroup mount is then one file system). */
bool oci_cgroup_unified(const struct oci_cgroup *c);

#endif
