/*
 * The error convention of the whole project, and the cleanup attributes.
 *
 * A function of ours returns 0 for success, a negative errno for a failure of ours (never matched by
 * a caller, only forwarded or reported), or a positive named result the direct caller must handle.
 * The errno a guest is told is neither: it lives in struct reply (invariant 11). Out-parameters are
 * named ret_*, stand last and are untouched on failure.
 */
#ifndef GABION_UTIL_ERR_H
#define GABION_UTIL_ERR_H

#include <errno.h>
#include <stdlib.h>

/* The negative errno of the libc call that just failed; never 0, so a forgotten errno still is an error. */
static inline int err_now(void)
{
	return errno > 0 ? -errno : -EIO;
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

#define AUTO_FREE __attribute__((cleanup(cleanup_free)))

/* Hands the value of a cleanup variable over: returns it and empties the variable. */
#define STEAL(ptr)                                                                                           \
	({                                                                                                   \
		__typeof__(ptr) steal_ = (ptr);                                                              \
		(ptr) = NULL;                                                                                \
		steal_;                                                                                      \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
