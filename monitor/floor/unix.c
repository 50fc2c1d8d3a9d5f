/*
 * Unix sockets of the host's in the guest's view: for each, a listener of the relay's at the same path. It is bound in a
 * directory of the view's own /run and mounted where the guest looks for it, so nothing of the host's tree is changed, and
 * what the guest connects to is never the host's socket itself: no descriptor and no credential passes.
 *
 * Should: make the listener the guest's to write to. Mustn't: open the host's socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "monitor/network.h"
#include "relay_msg.h"
#include "sentry/net_bound.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

static const char place[] = "/run/gabion/unix";

enum { BACKLOG = 128 };

static int make(int root, const struct network_unix *u, uint32_t id, int channel)
{
	struct relay_msg m = {.kind = RELAY_LISTEN_UNIX, .id = id};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	AUTO_FD int fd = socket(AF_UNIX, u->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;

	if (fd < 0)
		return err_now();
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%u", place, id);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 || chmod(addr.sun_path, 0666) < 0 ||
	    (u->type != SOCK_DGRAM && listen(fd, BACKLOG) < 0) || stat(addr.sun_path, &st) < 0)
		return err_now();
	AUTO_FD int tree = open_tree(AT_FDCWD, addr.sun_path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return err_now();
	AUTO_FD int at = view_mount_point(root, u->path, false);
	if (at < 0)
		return at;
	if (mount_attach(tree, at) < 0)
		return err_now();
	/* The sentry lets the guest connect to what it takes for the guest's. */
	net_bound_add(&st);
	return relay_send(channel, &m, &fd, 1);
}

int unix_sockets(const struct network_unix *v, size_t n, int channel)
{
	AUTO_FD int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = 0;

	if (root < 0)
		return err_now();
	if (n > 0) {
		AUTO_FD int dir = view_mount_point(root, place, true);
		if (dir < 0)
			return dir;
	}
	for (size_t i = 0; r == 0 && i < n; i++)
		r = make(root, &v[i], (uint32_t)i, channel);
	return r;
}
