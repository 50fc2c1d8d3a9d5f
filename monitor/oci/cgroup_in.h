/* What the files of cgroup.h share: the plan as a structure, and one file a concern (cgroup_*.c). */
#ifndef GABION_OCI_CGROUP_IN_H
#define GABION_OCI_CGROUP_IN_H

#include <stdint.h>

#include "monitor/oci/cgroup.h"

enum { HIERARCHIES_MAX = 24 };

/* The container's group in one hierarchy. */
struct hierarchy {
	char *mount;	  /* where the hierarchy is mounted here */
	char *subsystems; /* version 1: "cpu,cpuacct", "name=systemd"; version 2: "" */
	char *path;	  /* the group */
	char *helper;	  /* the leaf beside it */
	bool v2;
};

struct oci_cgroup {
	enum oci_cgroup_manager manager;
	bool optional; /* do without where nothing can be made */
	bool user;     /* systemd of the user, not of the machine */
	char *unit, *helper_unit, *slice; /* systemd */
	struct hierarchy v[HIERARCHIES_MAX];
	size_t n;
};

/* The hierarchy that has CONTROLLER ("memory"), or NULL. Of version 2 the group's own cgroup.controllers decide, so
 * the group must be there. */
const struct hierarchy *cgroup_with(const struct oci_cgroup *c, const char *controller);
/* Whether word W is in LIST, whose words stand between characters of SEPARATORS. */
bool cgroup_listed(const char *list, const char *separators, const char *w);

/* Reads a number from FILE in directory PATH; "max" is UINT64_MAX. -errno. */
int cgroup_number(const char *path, const char *file, uint64_t *ret_v);
/* Writes text, printf-like, to FILE in directory PATH. */
int cgroup_set(const char *path, const char *file, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int cgroup_text(const char *path, const char *file, char *buf, size_t size);

/* Sets the limits R asks for (cgroup_limits.c). FRESH: the group was just made and holds nobody that counts. */
int cgroup_limits(const struct oci_cgroup *c, const struct oci_resources *r, bool fresh, struct oci_fault *fault);
/* The devices of R and those every container has (cgroup_devices.c). */
int cgroup_devices(const struct oci_cgroup *c, const struct oci_resources *r, struct oci_fault *fault);

/*
 * Device rules as a kernel of either version holds them: a default, and what is excepted from it, each device
 * pattern once. -EINVAL with FAULT where a rule takes away a part of what another gives as a whole, which version 1
 * cannot say. LIST is allocated.
 */
struct device_set {
	bool allow; /* what is not listed */
	struct oci_device_rule *v;
	size_t n;
};
int cgroup_device_set(const struct oci_device_rule *rules, size_t n, struct device_set *ret_set,
		      struct oci_fault *fault);
/* Whether SET lets this access through; what the program of version 2 computes (its unit test compares). */
bool cgroup_device_allows(const struct device_set *set, char type, int64_t major, int64_t minor, bool read, bool write,
			  bool mknod);

/* systemd (cgroup_systemd.c): makes the scope UNIT below SLICE with PID in it and R's limits as properties; changes
 * them; stops it. -EOPNOTSUPP with FAULT where there is no bus or no libsystemd. */
int cgroup_systemd_start(const struct oci_cgroup *c, const char *unit, pid_t pid, const struct oci_resources *r,
			 struct oci_fault *fault);
int cgroup_systemd_update(const struct oci_cgroup *c, const struct oci_resources *r, struct oci_fault *fault);
int cgroup_systemd_stop(const struct oci_cgroup *c, const char *unit);

#endif
