/* One message of the relay's channels, with its descriptors: unix(7), SCM_RIGHTS. See relay.h. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "monitor/relay/relay.h"
#include "util/err.h"
#include "util/fd.h"

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(RELAY_FDS * sizeof(int))];
};

int relay_send(int fd, const struct relay_msg *m, const int *fds, size_t n)
{
	struct relay_msg copy = *m;
	struct iovec iov = { .iov_base = &copy, .iov_len = sizeof(copy) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control u = { .buf = { 0 } };
	ssize_t r;

	if (n > RELAY_FDS)
		return -EINVAL;
	if (n > 0) {
		mh.msg_control = u.buf;
		mh.msg_controllen = CMSG_SPACE(n * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	do {
		r = sendmsg(fd, &mh, MSG_NOSIGNAL);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? err_now() : 0;
}

/* Text of the other side: ends somewhere, and is printable. */
static bool sane(const char text[RELAY_TEXT])
{
	size_t len = strnlen(text, RELAY_TEXT);

	for (size_t i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	return len < RELAY_TEXT;
}

int relay_recv(int fd, int flags, struct relay_msg *ret_m, int ret_fds[RELAY_FDS], size_t *ret_n)
{
	struct relay_msg m;
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
	union control u;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf) };
	int fds[RELAY_FDS];
	size_t n = 0;
	ssize_t r;

	do {
		r = recvmsg(fd, &mh, flags | MSG_CMSG_CLOEXEC);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return err_now();
	if (r == 0)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c != NULL; c = CMSG_NXTHDR(&mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t some = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < some && n < RELAY_FDS; i++)
			memcpy(&fds[n++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
	if (r != sizeof(m) || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || m.kind == RELAY_NONE ||
	    m.kind > RELAY_KIND_LAST || !sane(m.text) || !sane(m.origin)) {
		for (size_t i = 0; i < n; i++)
			(void)fd_close(fds[i]);
		return -EPROTO;
	}
	*ret_m = m;
	if (n > 0)
		memcpy(ret_fds, fds, n * sizeof(int));
	*ret_n = n;
	return 1;
}
