/* See dgram.h. */
#include "monitor/relay/dgram.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "util/err.h"

union control {
	struct cmsghdr align;
	char buf[CMSG_SPACE(sizeof(struct in_pktinfo)) + CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

int dgram_prepare(int fd)
{
	static const int on = 1;
	int family = 0;
	socklen_t len = sizeof(family);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0)
		return err_now();
	if (family == AF_INET)
		return setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0 ? err_now() : 0;
	if (family == AF_INET6)
		/* An address that is local by a route alone is a source only with IPV6_FREEBIND; IPv4 does not ask. */
		return setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0 ||
				       setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on)) < 0 ?
			       err_now() :
			       0;
	return -EAFNOSUPPORT;
}

ssize_t dgram_recv(int fd, void *buf, size_t size, struct dgram *ret_d)
{
	struct dgram d = { .from_len = sizeof(d.from) };
	struct iovec iov = { .iov_base = buf, .iov_len = size };
	union control u;
	struct msghdr mh = { .msg_name = &d.from,
			     .msg_namelen = sizeof(d.from),
			     .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = u.buf,
			     .msg_controllen = sizeof(u.buf) };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6 };
	uint16_t port;
	ssize_t n = recvmsg(fd, &mh, MSG_DONTWAIT);

	if (n < 0)
		return err_now();
	d.from_len = mh.msg_namelen;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&mh); c != NULL; c = CMSG_NXTHDR(&mh, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo p;

			memcpy(&p, CMSG_DATA(c), sizeof(p));
			sin.sin_addr = p.ipi_addr;
			(void)net_address_of((struct sockaddr *)&sin, sizeof(sin), &d.to, &port);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo p;

			memcpy(&p, CMSG_DATA(c), sizeof(p));
			sin6.sin6_addr = p.ipi6_addr;
			(void)net_address_of((struct sockaddr *)&sin6, sizeof(sin6), &d.to, &port);
		}
	}
	*ret_d = d;
	return n;
}

void dgram_answer(int fd, const void *buf, size_t len, const struct dgram *d)
{
	struct sockaddr_storage to = d->from;
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len };
	union control u = { .buf = { 0 } };
	struct msghdr mh = {
		.msg_name = &to, .msg_namelen = d->from_len, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf
	};
	struct cmsghdr *c = &u.align;

	if (to.ss_family == AF_INET) {
		struct in_pktinfo p = { .ipi_ifindex = 0 };

		memcpy(&p.ipi_spec_dst, d->to.bytes, 4);
		c->cmsg_level = IPPROTO_IP;
		c->cmsg_type = IP_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(p));
		memcpy(CMSG_DATA(c), &p, sizeof(p));
		mh.msg_controllen = CMSG_SPACE(sizeof(p));
	} else {
		struct in6_pktinfo p = { .ipi6_ifindex = 0 };

		if (d->to.family == AF_INET) {
			p.ipi6_addr.s6_addr[10] = p.ipi6_addr.s6_addr[11] = 0xff;
			memcpy(p.ipi6_addr.s6_addr + 12, d->to.bytes, 4);
		} else {
			memcpy(p.ipi6_addr.s6_addr, d->to.bytes, 16);
		}
		c->cmsg_level = IPPROTO_IPV6;
		c->cmsg_type = IPV6_PKTINFO;
		c->cmsg_len = CMSG_LEN(sizeof(p));
		memcpy(CMSG_DATA(c), &p, sizeof(p));
		mh.msg_controllen = CMSG_SPACE(sizeof(p));
	}
	(void)sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}
