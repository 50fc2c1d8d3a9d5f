/*
 * Unix sockets of the host's, without namespaces: see net_unix.h.
 *
 * A listener has an abstract name that the kernel makes up, so nothing of the file system is written, and belongs to the sentry's
 * Landlock domain, which keeps the sentry from others. Anybody of the host may connect to it: the relay takes connections that
 * the sentry made and resets others (SO_PEERCRED). Datagram sockets carry no such proof with a message and have no listener.
 *
 * Syscalls: socket, bind, listen, getsockname, sendmsg.
 */
#include "sentry/net_unix.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay_msg.h"
#include "util/err.h"
#include "util/fd.h"

enum { BACKLOG = 128 };

static struct stand_in {
	char *path;
	struct net_addr addr;
} *stand_ins;
static size_t count;

static int make(const struct sentry_unix *u, uint32_t id, int channel, struct net_addr *ret_addr)
{
	struct relay_msg m = {.kind = RELAY_LISTEN_UNIX, .id = id, .count = (uint32_t)getpid()};
	struct net_addr a = {.a.any.sa_family = AF_UNIX, .len = sizeof(a.a)};
	AUTO_FD int fd = socket(AF_UNIX, u->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	/* An address that is a family only: the kernel chooses (unix(7), autobind). */
	if (fd < 0 || bind(fd, &a.a.any, sizeof(a.a.any.sa_family)) < 0 || listen(fd, BACKLOG) < 0 ||
	    getsockname(fd, &a.a.any, &a.len) < 0)
		return err_now();
	int r = relay_send(channel, &m, &fd, 1);
	if (r == 0)
		*ret_addr = a;
	return r;
}

int net_unix_start(const struct sentry_unix *v, size_t n, int channel)
{
	int r = 0;

	stand_ins = calloc(n + 1, sizeof(*stand_ins));
	if (!stand_ins)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (v[i].type == SOCK_DGRAM)
			continue;
		struct stand_in *s = &stand_ins[count];
		s->path = strdup(v[i].path);
		r = s->path ? make(&v[i], (uint32_t)i, channel, &s->addr) : -ENOMEM;
		if (r == 0)
			count++;
	}
	return r;
}

bool net_unix_find(const char *path, struct net_addr *ret_addr)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(stand_ins[i].path, path) == 0) {
			*ret_addr = stand_ins[i].addr;
			return true;
		}
	return false;
}
