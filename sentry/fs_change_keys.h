/*
 * What a rule of kind RULE_KEYS leaves open, between fs_change*.c and fs_change_keys.c. Each says whether the call is one of
 * those that are judged by content or mode.
 */
#ifndef GABION_SENTRY_FS_CHANGE_KEYS_H
#define GABION_SENTRY_FS_CHANGE_KEYS_H

#include <stdbool.h>
#include <sys/stat.h>

#include "sentry/fs.h"

/*
 * Under fs_names_lock(), both parents in place. True: a file protected by key is the old or the new name of this rename, and
 * *ret_reply the answer; all of it is done or nothing. False: the rename is like any other (and refused, if it is an exchange
 * or of something that is no regular file).
 */
bool keys_rename(struct call *c, const struct object *old, const struct object *new, mode_t old_type, mode_t new_type,
		 unsigned int flags, struct reply *ret_reply);
/* True: the name to be unlinked is protected by key, and *ret_reply the answer. Takes the lock. */
bool keys_unlink(struct call *c, const struct object *o, struct reply *ret_reply);
/* True: O, as ST says, is protected by key, and the change to MODE is permitted: it sets or clears x bits only. */
bool keys_chmod(struct call *c, const struct object *o, const struct stat *st, mode_t mode);

#endif
