/*
 * Directories that relative paths hang off, remembered: most calls of a run name one of few (rm and tar work their
 * way through one after the other), and to open what a descriptor of the caller's is and to ask for its name costs as
 * much as the rest of a call.
 *
 * What is remembered is the object (held, so that its number stays its own) and the name it had. Each call looks anew
 * which object the caller's descriptor is. A name is believed as long as nothing was renamed or removed that could
 * change it: names of directories are changed by the sentry (else nothing is remembered), which says so here. A
 * rename that is permitted changes no verdict about what is below it (fs_change_rename.c), so one that another thread
 * makes in between is no worse than one right after the name was read. The host, which can rename a directory too, is
 * believed for twenty milliseconds and some hundred calls.
 *
 * Syscalls: statx, fcntl, close, clock_gettime.
 */
#ifndef GABION_SENTRY_PATH_KNOWN_H
#define GABION_SENTRY_PATH_KNOWN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct call;

/*
 * Whether the caller's DIRFD (AT_FDCWD: its working directory) is a directory that is remembered: a duplicate of what is held (the
 * caller's of this function), and its name, NUL-terminated, in TEXT of PATH_MAX bytes.
 */
bool known_base(const struct call *c, int dirfd, int *ret_fd, char *text, size_t *ret_len);
/* To be asked before a name is read that is given to known_add(). */
unsigned int known_when(void);
/* Remembers that FD, a directory in the view and in no procfs, is called TEXT since WHEN. */
void known_add(const struct call *c, int fd, const char *text, size_t len, unsigned int when);
/* A directory is about to be removed, was renamed, or is not where it was said to be: nothing is known any more. */
void known_forget(void);

#endif
