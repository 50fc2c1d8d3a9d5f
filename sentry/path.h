/*
 * (dirfd, path, follow) to a held object: the only place where a guest's path string is walked (invariant 5).
 * /proc/self, /proc/thread-self, /dev/fd and every magic link name the guest, never the sentry
 * (invariant 6). Resolution stays inside the guest's root.
 */
#ifndef GABION_SENTRY_PATH_H
#define GABION_SENTRY_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "handle.h"

enum path_flag {
	PATH_NOFOLLOW = 1 << 0,	   /* a final symlink is the object itself */
	PATH_PARENT = 1 << 1,	   /* the parent is held too, and the object need not exist (fd -1) */
	PATH_EMPTY = 1 << 2,	   /* an empty path names dirfd itself (AT_EMPTY_PATH) */
	PATH_DIRECTORY = 1 << 3,   /* the object must be a directory: ENOTDIR */
	PATH_NO_MAGIC = 1 << 4,	   /* RESOLVE_NO_MAGICLINKS of openat2: ELOOP */
	PATH_NO_SYMLINKS = 1 << 5, /* RESOLVE_NO_SYMLINKS */
	PATH_BENEATH = 1 << 6,	   /* RESOLVE_BENEATH: EXDEV */
	PATH_IN_ROOT = 1 << 7,	   /* RESOLVE_IN_ROOT: dirfd is the root */
	PATH_NO_XDEV = 1 << 8,	   /* RESOLVE_NO_XDEV: EXDEV */
	PATH_UNSEEN = 1 << 9,	   /* with PATH_PARENT, short_resolve() only: nobody looks at the object; fd is -1 */
};

struct object {
	int fd;	    /* O_PATH descriptor of the object; -1: it does not exist (only with PATH_PARENT) */
	int parent; /* with PATH_PARENT: O_PATH descriptor of the directory that holds it (-1 with .magic);
		       else -1 */
	bool slash; /* the path ended in a slash (or /.): it must be a directory */
	bool dots; /* with PATH_PARENT: the last component is . or .. or the root itself: nothing to create or
		      remove */
	bool magic;  /* reached through a magic link last (or AT_EMPTY_PATH): fd is what the link names; where
		      * it has  no name in the guest's view, path does not begin with a slash ("pipe:[1]") */
	bool has_st; /* st is what fstat() said when it was found */
	bool opened; /* fd is not O_PATH but already opened as asked (never set by path_resolve) */
	char name[NAME_MAX + 1]; /* with PATH_PARENT: last component */
	struct stat st;
	size_t path_len;
	char path[PATH_MAX]; /* canonical path in the guest's view, also of what does not exist yet */
};

#define OBJECT_NULL ((struct object){ .fd = -1, .parent = -1 })
/* The same without touching the 4 KiB of path: for automatic variables on the hot path. */
static inline void object_init(struct object *o)
{
	o->fd = -1;
	o->parent = -1;
	o->slash = o->dots = o->magic = o->has_st = o->opened = false;
	o->name[0] = '\0';
	o->path_len = 0;
	o->path[0] = '\0';
}

/*
 * Resolves PATH relative to the caller's DIRFD (AT_FDCWD: its working directory). Returns 0; a positive errno
 * for the guest (ENOENT, ENOTDIR, ELOOP, EACCES, ENAMETOOLONG, EBADF, EXDEV ...), as Linux would answer; or a
 * negative errno: our failure (deny with it). RET_OBJ is set only on 0 and then owned by the caller:
 * object_clear(). Blocks only in the file system.
 */
int path_resolve(struct call *c, int dirfd, const char *path, unsigned int flags, struct object *ret_obj);

/*
 * What FD, a duplicate of a descriptor of the caller's, is called: an object without a descriptor of its own, to be
 * judged. Results as path_resolve(); EACCES: a file or directory outside of the view.
 */
int path_of_held(const struct call *c, int fd, struct object *ret_obj);

/*
 * Judges OP on a resolved object as object INDEX (0 or 1) of the call. What has no name in the view (a pipe,
 * a memfd, a terminal of the host that the caller holds) is the caller's already: no rule speaks of it, and
 * only OP_EXEC and OP_CONNECT are refused.
 */
struct verdict path_judge(struct call *c, int index, enum op op, const struct object *o);

/*
 * The target of the symlink O (resolved with PATH_NOFOLLOW) as the caller would read it: /proc/self and
 * /proc/thread-self name the caller. Not NUL-terminated; *ret_len bytes. Returns 0 or a positive errno for
 * the guest.
 */
int path_readlink(struct call *c, const struct object *o, char *buf, size_t size, size_t *ret_len);

/* fstat() of what is held: the one of when it was found where there is one. 0, or -1 and errno. */
int object_stat(const struct object *o, struct stat *ret_st);

/*
 * fs.protected_regular and fs.protected_fifos: whether open() with O_CREAT may take the file that is there already (ST), in directory
 * PARENT. We open it by its descriptor, without O_CREAT, so the kernel does not ask.
 */
bool path_sticky_open(const struct call *c, int parent, const struct stat *st);

/* Closes what is held, returns to OBJECT_NULL; takes half-built objects. */
void object_clear(struct object *o);
#define AUTO_OBJECT __attribute__((cleanup(object_clear)))

/* The name of a descriptor of our own in the directory fds_fd, for calls that take only a path. */
void path_of_fd(int fd, char ret_buf[32]);

#endif
