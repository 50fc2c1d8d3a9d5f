/*
 * Where a cgroup of ours may be made: the reading half of cgroup.c, in cgroup_find.c. It creates nothing.
 */
#ifndef GABION_CGROUP_FIND_H
#define GABION_CGROUP_FIND_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum cgroup_controller {
	CGROUP_MEMORY = 1,
	CGROUP_CPU = 2,
	CGROUP_PIDS = 4,
};

/* One hierarchy that is mounted where we see it. */
struct cgroup_site {
	unsigned int
		controllers; /* of version 1: those of ours that it has; of version 2: 0, its files say */
	bool v2;
	char top[PATH_MAX]; /* mount point */
	char own[PATH_MAX]; /* this process's cgroup, at or below TOP */
};

enum { CGROUP_SITES_MAX = 4 }; /* three controllers each alone, and version 2 */

/* Reads mountinfo and cgroup of /proc/self. -ENOMEM; no site is no failure. */
int cgroup_find(FILE *mountinfo, FILE *self, struct cgroup_site sites[CGROUP_SITES_MAX], size_t *ret_n);

/*
 * Version 2: the nearest of SITE's own group and its ancestors in which a new group gets the controllers
 * NEED. It enables them there where that is possible. Never passes a group that sets a limit. -EOPNOTSUPP,
 * -EACCES with RET_WHY (static).
 */
int cgroup_parent(const struct cgroup_site *site, unsigned int need, char ret_parent[PATH_MAX],
		  const char **ret_why);

/* Reads up to SIZE - 1 bytes of the file NAME in directory DIR (AT_FDCWD: a path). Length or -errno. */
int cgroup_read(int dir, const char *name, char *buf, size_t size);
/* Writes TEXT to it in one write. */
int cgroup_write(int dir, const char *name, const char *text);

/* Undoes the octal escapes of mountinfo (proc(5)) in place. */
void cgroup_unescape(char *s);
/* Joins mount point TOP and PATH where the mount, of the part ROOT of the hierarchy, shows PATH. False: it does not. */
bool cgroup_place_of(const char *top, const char *root, const char *path, char out[PATH_MAX]);

#endif
