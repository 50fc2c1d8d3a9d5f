/* What the container's process and its maker say to each other: see child.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "monitor/oci/child.h"
#include "util/err.h"
#include "util/fd.h"

int child_send(int sync, enum child_msg_kind kind, int value, const char *text)
{
	struct child_msg m = {.kind = kind, .value = value};

	(void)snprintf(m.text, sizeof(m.text), "%s", text);
	return send(sync, &m, sizeof(m), MSG_NOSIGNAL) == (ssize_t)sizeof(m) ? 0 : -EPIPE;
}

/* A message, with the descriptor that came along (*FD, -1: none). */
static ssize_t take(int sync, struct child_msg *m, int *fd)
{
	struct iovec iov = {.iov_base = m, .iov_len = sizeof(*m)};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u;
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};
	ssize_t n = recvmsg(sync, &mh, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;

	*fd = -1;
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return n;
}

int child_send_fd(int sync, const struct child_msg *m, int fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)m, .iov_len = sizeof(*m)};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = {.buf = {0}};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	return sendmsg(sync, &mh, MSG_NOSIGNAL) == (ssize_t)sizeof(*m) ? 0 : err_now();
}

int child_wait_fd(int sync, enum child_msg_kind kind, int *ret_value, int *ret_fd, struct oci_fault *fault)
{
	for (;;) {
		AUTO_FD int fd = -1;
		struct child_msg m;
		ssize_t n = take(sync, &m, &fd);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return oci_fail(fault, -EPIPE, "the process ended before it was ready");
		if (n != (ssize_t)sizeof(m))
			return oci_fail(fault, -EPROTO, "the process said what cannot be said");
		m.text[sizeof(m.text) - 1] = '\0';
		if (m.kind == CHILD_MSG_WARNING) {
			oci_log(OCI_WARNING, "%s", m.text);
			continue;
		}
		/* As runc says it. */
		if (m.kind == CHILD_MSG_FAILED)
			return oci_fail(fault, m.value < 0 ? m.value : -EIO, "unable to start container process: %s%s",
					strncmp(m.text, "exec: ", 6) == 0 ? "" : "error during container init: ", m.text);
		if (m.kind != (uint32_t)kind)
			return oci_fail(fault, -EPROTO, "the process said what cannot be said");
		if (ret_value != NULL)
			*ret_value = m.value;
		if (ret_fd != NULL)
			*ret_fd = fd_steal(&fd);
		return 0;
	}
}

int child_wait(int sync, enum child_msg_kind kind, int *ret_value, struct oci_fault *fault)
{
	return child_wait_fd(sync, kind, ret_value, NULL, fault);
}
