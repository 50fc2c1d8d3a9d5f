/*
 * Sockets the guest bound: see net_bound.h. The sentry performs every bind where it must know (PLAN_BIND emulated, as it is
 * wherever something protected is writable), so it can remember device and inode of each file that came of one. The newest
 * NET_BOUND_MAX are remembered; an older one can no longer be connected to. A file that was removed leaves its number
 * behind: a socket of the host's that is given the same one later in the run would be taken for the guest's. It must be made by the
 * host, in the guest's directory, under a number that was free at that moment.
 */
#include "sentry/net_bound.h"

#include <pthread.h>
#include <stddef.h>

enum { NET_BOUND_MAX = 4096 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct bound {
	dev_t dev;
	ino_t ino;
} bound[NET_BOUND_MAX];
static size_t count; /* of all that were ever added */

static bool find(const struct stat *st)
{
	size_t n = count < NET_BOUND_MAX ? count : NET_BOUND_MAX;

	for (size_t i = 0; i < n; i++)
		if (bound[i].ino == st->st_ino && bound[i].dev == st->st_dev)
			return true;
	return false;
}

void net_bound_add(const struct stat *st)
{
	(void)pthread_mutex_lock(&lock);
	if (!find(st))
		bound[count++ % NET_BOUND_MAX] = (struct bound){ st->st_dev, st->st_ino };
	(void)pthread_mutex_unlock(&lock);
}

bool net_bound_has(const struct stat *st)
{
	bool found;

	(void)pthread_mutex_lock(&lock);
	found = find(st);
	(void)pthread_mutex_unlock(&lock);
	return found;
}
