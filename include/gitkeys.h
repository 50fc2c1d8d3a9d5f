/*
 * Which changes of a git configuration file leave the host's git harmless. An allow list of keys, some with a condition on the
 * value; everything else, known or not, must stay as it was: git executes what core.fsmonitor, core.sshCommand, *.helper,
 * filter.*, alias.* and dozens more name, includes what include.path names, and learns new ones every year.
 */
#ifndef GABION_GITKEYS_H
#define GABION_GITKEYS_H

#include <stddef.h>


enum {
	GITKEYS_SIZE_MAX = 1 << 20, /* bytes of a file; a larger one is refused */
	GITKEYS_REFUSED = 1,
};

struct git_text {
	const char *text;
	size_t len;
};

/*
 * Judges the change of the file at canonical PATH from OLD to NEW; what does not exist, or is removed, is empty. 0: nothing but
 * harmless keys is set, changed or removed, and readers less exact than git see no others. GITKEYS_REFUSED: else, also where
 * git could not read one of the two (unless nothing changes at all); KEY_MAX bytes at RET_KEY then name the key or say what is
 * wrong. -ENOMEM.
 */
int gitkeys_judge(const char *path, struct git_text old, struct git_text new, char *ret_key, size_t key_max);

#endif
