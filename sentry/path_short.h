/*
 * The short way to an object: the path as it is written is its canonical name if nothing on the way is a link. Then
 * the name needs not be asked for, and the policy can be asked before anything is opened.
 */
#ifndef GABION_SENTRY_PATH_SHORT_H
#define GABION_SENTRY_PATH_SHORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/path.h"

/* The path as the caller wrote it, absolute. */
struct written {
	int base;	 /* O_PATH of the directory a relative path hangs off, owned; -1: the root, or not held */
	size_t base_len; /* of a relative path: how much of TEXT is the base's name */
	bool dir;	 /* it ended in a slash or was ".": only a directory is meant */
	size_t len;
	char text[PATH_MAX];
};

void short_clear(struct written *w);
#define AUTO_WRITTEN __attribute__((cleanup(short_clear)))

enum { SHORT_NO = 1 << 20 }; /* no errno: the short way does not lead there */

/*
 * What PATH (not empty) relative to the caller's DIRFD is as an absolute text without "//", ".", "..", a slash at the
 * end or a /proc at its begin: 0, or SHORT_NO where there is none such. For the record only: nothing is held, and what
 * bears the name may be another object by now. RET_W needs no short_clear().
 */
int short_text(const struct call *c, int dirfd, const char *path, size_t len, struct written *ret_w);

/* The same, with what PATH hangs off held: short_clear() it, also where it fails. */
int short_hold(struct call *c, int dirfd, const char *path, size_t len, struct written *ret_w);

/*
 * Opens what W, held, names with FLAGS of open(2) and no link on the way: a descriptor for an object whose canonical
 * name W's text was when it was opened. ENOENT: it does not exist. SHORT_NO: anything else. RET_ST is its fstat();
 * nothing of a procfs is returned.
 */
int short_open(const struct call *c, const struct written *w, uint64_t flags, int *ret_fd, struct stat *ret_st);

/*
 * Says whether W, held, names a FIFO: to open one is to act, so who opens by its text looks first. What it finds out may be untrue by the
 * time of the open.
 */
bool short_is_fifo(const struct call *c, const struct written *w);

/* path_resolve() by the short way: 0, ENOENT (not with PATH_PARENT), or SHORT_NO. */
int short_resolve(struct call *c, int dirfd, const char *path, size_t len, unsigned int flags,
		  struct object *ret_obj);

/* Whether what ST is of lies in a procfs; FD is asked where the device number does not tell. */
bool short_on_proc(int fd, const struct stat *st);

#endif
