/*
 * Inside path resolution, between path.c (the fast way) and path_walk.c (component by component). Results as
 * path_resolve(): 0, a positive errno for the guest, a negative one of ours.
 */
#ifndef GABION_SENTRY_PATH_WALK_H
#define GABION_SENTRY_PATH_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/path.h"

enum { PATH_LINKS_MAX = 40 };

/* How path_name() names what is held. */
enum {
	NAME_VERIFY = 1 << 0, /* the object may lie outside the view: look it up again by its name */
	NAME_ANY = 1 << 1,    /* what has no name in the view is fine if the caller may have it again (struct
				 object) */
};

/* openat2() for O_PATH with FLAGS and RESOLVE: a descriptor, or -1 and errno. */
int path_open(int base, const char *path, uint64_t flags, uint64_t resolve);
/* Whether FD lies in a procfs (or that cannot be told). */
bool path_on_proc(int fd);
/* The kernel's name of FD as the sentry, and so the guest, sees it; NUL-terminated. */
int path_canonical(const struct call *c, int fd, char *buf, size_t size, size_t *ret_len);
/* O_PATH of what DIRFD of the caller is, a directory that lies in the view and in no procfs. */
int path_base(struct call *c, int dirfd, int *ret_fd);
/* Fills o->path from FD. */
int path_name(const struct call *c, int fd, unsigned int how, struct object *o);

/* Walks PATH from BASE (a directory in the view); PATH_PARENT is not for here. Fills fd, path, magic. */
int path_walk(struct call *c, int base, const char *path, unsigned int flags, struct object *o);
/* One component NAME of directory DIR, a symlink not followed. ENOENT also for the sentry itself in a procfs.
 */
int path_step(struct call *c, int dir, const char *name, int *ret_fd);
/*
 * Follows the symlink *FD, found as NAME in DIR. A plain link leaves *FD and writes its target, never empty;
 * a magic one replaces *FD by what it names and writes an empty target.
 */
int path_step_link(struct call *c, int dir, const char *name, unsigned int flags, int *fd, char *target,
		   size_t size);
/*
 * fs.protected_symlinks (sysctl, proc_sys_fs(5)): whether the caller may follow LINK, the last component, found in DIR. Where we walk
 * ourselves the kernel is not asked, so the rule is applied here.
 */
bool path_may_follow(const struct call *c, int dir, int link);

#endif
