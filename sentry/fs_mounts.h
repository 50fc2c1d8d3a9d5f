/* The mount table a guest reads: /proc/PID/{mountinfo,mounts,mountstats}, without what tells of the host (fs_mounts.c). */
#ifndef GABION_SENTRY_FS_MOUNTS_H
#define GABION_SENTRY_FS_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "sentry/path.h"

enum mounts_kind {
	MOUNTS_NONE = 0, /* another file */
	MOUNTS_INFO,	 /* mountinfo */
	MOUNTS_TABLE,	 /* mounts */
	MOUNTS_STATS,	 /* mountstats */
};

/* Which mount table PATH, canonical, names in the guest's procfs. */
enum mounts_kind mounts_of_path(const char *path);

/* The same of O, resolved by C; MOUNTS_NONE where there is no view of gabion's own. */
enum mounts_kind mounts_of(const struct call *c, const struct object *o);

/* The answer to an open of KIND for reading with FLAGS (of open(2)): a file of its own, on a helper thread. */
struct reply mounts_open(struct call *c, enum mounts_kind kind, uint64_t flags);

/*
 * Reads a mount table (proc_pid_mountinfo(5)) from IN and writes what KIND says of it to OUT. Mounts for which SHOWN is false are left
 * out; what hung below one hangs below its parent. 0, -ENOMEM, or -EPROTO: a line that is none.
 */
int mounts_write(FILE *in, enum mounts_kind kind, bool (*shown)(void *ctx, const char *point, unsigned long id), void *ctx, FILE *out);

#endif
