/* Limits where no control group holds them: counting the tree (tally.c). */
#ifndef GABION_SENTRY_TALLY_H
#define GABION_SENTRY_TALLY_H

#include <stdint.h>

#include "sentry/handle.h"

/* What a scan of the tree came to. */
struct tally {
	uint64_t threads;      /* of all processes of our user id that we see, ours among them: RLIMIT_NPROC counts those */
	uint64_t memory;       /* bytes of the guest's own: not of files, swapped out or not */
	uint64_t largest_data; /* the process with the most data, as RLIMIT_DATA counts */
	pid_t largest;	       /* the process with most memory; 0: none */
	uint64_t largest_memory;
};

/* Counts processes in procfs S->proc_fd. 0 or a negative errno. */
int tally_scan(const struct sentry *s, struct tally *ret_t);

/* Starts a thread that counts for S's life, where a limit of MEMORY bytes or PIDS processes is asked for (0: none).
 * 0 or a negative errno. */
int tally_start(struct sentry *s, uint64_t memory, uint64_t pids);

#endif
