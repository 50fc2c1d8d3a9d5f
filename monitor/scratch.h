/*
 * The scratch directory of a run without a mount view: TMPDIR of the guest, a directory scratch.XXXXXX of the state directory. (With a
 * view it is a tmpfs, gone with its namespace.)
 */
#ifndef GABION_MONITOR_SCRATCH_H
#define GABION_MONITOR_SCRATCH_H

#include <sys/types.h>

/*
 * Makes one for the guest UID:GID, after removing those whose runs are over (a monitor that was killed leaves its own behind). RET_LOCK
 * is held for as long as it is in use. 0 or -errno; the caller frees RET_PATH.
 */
int scratch_new(uid_t uid, gid_t gid, char **ret_path, int *ret_lock);

/* Removes PATH with all below it, whatever modes the guest gave. */
void scratch_remove(const char *path);

#endif
