/*
 * Descriptors: -1 is the empty value, 0 is a valid descriptor, close is never retried (close(2), Linux:
 * the descriptor is gone even after EINTR).
 */
#ifndef GABION_UTIL_FD_H
#define GABION_UTIL_FD_H

#include <errno.h>
#include <unistd.h>

/* Closes FD if it is one, keeps errno, returns -1: x = fd_close(x). */
static inline int fd_close(int fd)
{
	if (fd >= 0) {
		int saved = errno;
		(void)close(fd);
		errno = saved;
	}
	return -1;
}

static inline void cleanup_fd(int *fd)
{
	*fd = fd_close(*fd);
}

#define AUTO_FD __attribute__((cleanup(cleanup_fd)))

/* Hands the descriptor over: returns it and leaves -1. */
static inline int fd_steal(int *fd)
{
	int v = *fd;
	*fd = -1;
	return v;
}

#endif
