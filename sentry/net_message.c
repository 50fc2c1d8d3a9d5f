/*
 * Copies messages out of the guest's memory. The checks and their order are Linux's (net/socket.c,
 * net/core/scm.c).
 *
 * Control messages are data to us but for two. SCM_RIGHTS holds descriptor numbers of the caller's; each is
 * duplicated, and our number put in its place, so that no number of the guest's is ever looked up among
 * ours (also not for sockets that ignore such messages: there the numbers are blanked). SCM_CREDENTIALS
 * claims a process id, and the kernel checks it against the sender, who would be the sentry: refused.
 *
 * Syscalls: what call_getfd() uses, and memory.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "sentry/fs.h"
#include "sentry/net_message.h"
#include "util/err.h"
#include "util/fd.h"

/* Most of what one call may carry: MAX_RW_COUNT. */
#define TOTAL_MAX ((size_t)0x7ffff000)

void message_init(struct message *m)
{
	m->has_name = false;
	m->name.len = 0;
	object_init(&m->object);
	m->iov = NULL;
	m->iov_count = 0;
	m->total = 0;
	m->control_addr = 0;
	m->control = NULL;
	m->control_len = 0;
	m->fds_count = 0;
}

void message_clear(struct message *m)
{
	object_clear(&m->object);
	for (size_t i = 0; i < m->fds_count; i++)
		(void)fd_close(m->fds[i]);
	free(m->iov);
	free(m->control);
	message_init(m);
}

/* Lengths as the kernel takes them: none negative, all together cut off at its limit. */
static int sum_up(struct message *m)
{
	for (size_t i = 0; i < m->iov_count; i++) {
		if ((ssize_t)m->iov[i].iov_len < 0)
			return EINVAL;
		if (m->iov[i].iov_len > TOTAL_MAX - m->total)
			m->iov[i].iov_len = TOTAL_MAX - m->total;
		m->total += m->iov[i].iov_len;
	}
	return 0;
}

int message_read(const struct call *c, uint64_t addr, struct message *m)
{
	struct msghdr hdr;
	int r;

	r = call_read(c, addr, &hdr, sizeof(hdr));
	if (r != 0)
		return r;
	if (hdr.msg_name == NULL)
		hdr.msg_namelen = 0;
	if ((int)hdr.msg_namelen < 0)
		return EINVAL;
	/* Unlike sendto, which refuses it, a name too long is cut off here. */
	if (hdr.msg_namelen > sizeof(m->name.a))
		hdr.msg_namelen = sizeof(m->name.a);
	if (hdr.msg_namelen > 0) {
		r = net_addr_copy(c, (uintptr_t)hdr.msg_name, (int)hdr.msg_namelen, &m->name);
		if (r != 0)
			return r;
		m->has_name = true;
	}
	if (hdr.msg_iovlen > MESSAGE_IOV_MAX)
		return EMSGSIZE;
	if (hdr.msg_iovlen > 0) {
		m->iov = malloc(hdr.msg_iovlen * sizeof(*m->iov));
		if (m->iov == NULL)
			return ENOMEM;
		r = call_read(c, (uintptr_t)hdr.msg_iov, m->iov, hdr.msg_iovlen * sizeof(*m->iov));
		if (r != 0)
			return r;
		m->iov_count = hdr.msg_iovlen;
	}
	if (hdr.msg_controllen > INT32_MAX)
		return ENOBUFS;
	m->control_addr = (uintptr_t)hdr.msg_control;
	m->control_len = hdr.msg_controllen;
	return sum_up(m);
}

int message_from(const struct call *c, uint64_t data, uint64_t len, uint64_t name, int name_len,
		 struct message *m)
{
	int r;

	m->iov = malloc(sizeof(*m->iov));
	if (m->iov == NULL)
		return ENOMEM;
	m->iov_count = 1;
	*m->iov = (struct iovec){.iov_base = (void *)(uintptr_t)data,
				 .iov_len = len > TOTAL_MAX ? TOTAL_MAX : (size_t)len};
	r = sum_up(m);
	if (r != 0 || name == 0)
		return r;
	r = net_addr_copy(c, name, name_len, &m->name);
	if (r != 0)
		return r;
	m->has_name = true;
	return 0;
}

/* Replaces the N descriptor numbers at DATA. */
static int take_fds(struct call *c, const struct net_socket *sock, struct message *m, unsigned char *data,
		    size_t n)
{
	if (n > MESSAGE_FDS_MAX - m->fds_count)
		return EINVAL;
	for (size_t i = 0; i < n; i++) {
		int fd, dup = -1, r;

		memcpy(&fd, data + i * sizeof(fd), sizeof(fd));
		if (sock->domain == AF_UNIX) {
			r = fs_getfd(c, fd, &dup);
			if (r != 0)
				return r;
			m->fds[m->fds_count++] = dup;
		}
		memcpy(data + i * sizeof(dup), &dup, sizeof(dup));
	}
	return 0;
}

int message_control(struct call *c, const struct net_socket *sock, struct message *m, bool *ret_creds)
{
	size_t len = m->control_len, at = 0;
	int r;

	if (len == 0 || m->control_addr == 0) {
		m->control_len = 0;
		return 0;
	}
	if (len > MESSAGE_CONTROL_MAX)
		return ENOBUFS;
	m->control = malloc(len);
	if (m->control == NULL)
		return ENOBUFS;
	r = call_read(c, m->control_addr, m->control, len);
	if (r != 0)
		return r;
	while (len - at >= sizeof(struct cmsghdr)) {
		struct cmsghdr h;
		size_t step;

		memcpy(&h, m->control + at, sizeof(h));
		if (h.cmsg_len < sizeof(h) || h.cmsg_len > len - at)
			return EINVAL;
		if (h.cmsg_level == SOL_SOCKET && h.cmsg_type == SCM_CREDENTIALS) {
			*ret_creds = true;
			return EPERM;
		}
		if (h.cmsg_level == SOL_SOCKET && h.cmsg_type == SCM_RIGHTS) {
			r = take_fds(c, sock, m, (unsigned char *)m->control + at + CMSG_LEN(0),
				     (h.cmsg_len - CMSG_LEN(0)) / sizeof(int));
			if (r != 0)
				return r;
		}
		step = CMSG_ALIGN(h.cmsg_len);
		if (step > len - at)
			break;
		at += step;
	}
	return 0;
}

int message_data(const struct call *c, const struct message *m, size_t offset, char *buf, size_t len)
{
	for (size_t i = 0; i < m->iov_count && len > 0; i++) {
		size_t n = m->iov[i].iov_len;
		int r;

		if (offset >= n) {
			offset -= n;
			continue;
		}
		n -= offset;
		if (n > len)
			n = len;
		r = call_read(c, (uintptr_t)m->iov[i].iov_base + offset, buf, n);
		if (r != 0)
			return r;
		buf += n;
		len -= n;
		offset = 0;
	}
	return 0;
}
