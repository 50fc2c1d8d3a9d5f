/*
 * Requests of rtnetlink(7), one at a time, each acknowledged by the kernel before the next.
 *
 * Syscalls: socket, send, recv, ioctl.
 */
#include "monitor/floor/rtnl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/err.h"

enum { REQUEST_MAX = 1024, NO_LINK_LOCAL = 1 /* IN6_ADDR_GEN_MODE_NONE */ };

struct request {
	union {
		struct nlmsghdr head;
		char bytes[REQUEST_MAX];
	};
	bool full;
};

static size_t address_size(int family)
{
	return family == AF_INET6 ? 16 : 4;
}

/* Room for LEN bytes at the end, zeroed. NULL where there is none. */
static void *room(struct request *q, size_t len)
{
	size_t at = NLMSG_ALIGN(q->head.nlmsg_len);

	if (q->full || at + NLMSG_ALIGN(len) > sizeof(q->bytes)) {
		q->full = true;
		return NULL;
	}
	q->head.nlmsg_len = (uint32_t)(at + len);
	return q->bytes + at;
}

static void begin(struct request *q, uint16_t type, uint16_t flags, const void *body, size_t len)
{
	memset(q, 0, sizeof(*q));
	q->head = (struct nlmsghdr){.nlmsg_len = NLMSG_HDRLEN,
				    .nlmsg_type = type,
				    .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags)};
	void *at = room(q, len);
	if (at)
		memcpy(at, body, len);
}

static void put(struct request *q, uint16_t type, const void *data, size_t len)
{
	struct rtattr a = {.rta_type = type, .rta_len = (unsigned short)RTA_LENGTH(len)};
	char *at = room(q, RTA_LENGTH(len));

	if (!at)
		return;
	memcpy(at, &a, sizeof(a));
	if (len > 0)
		memcpy(at + RTA_LENGTH(0), data, len);
}

static void put_u32(struct request *q, uint16_t type, uint32_t v)
{
	put(q, type, &v, sizeof(v));
}

/* Opens an attribute that holds others; close_nest() gives it its length. */
static size_t open_nest(struct request *q, uint16_t type)
{
	size_t at = NLMSG_ALIGN(q->head.nlmsg_len);

	put(q, type, NULL, 0);
	return at;
}

static void close_nest(struct request *q, size_t at)
{
	unsigned short len = (unsigned short)(q->head.nlmsg_len - at);

	if (!q->full)
		memcpy(q->bytes + at + offsetof(struct rtattr, rta_len), &len, sizeof(len));
}

/* Sends Q and takes the kernel's answer: 0 or negative errno. */
static int ask(int fd, struct request *q)
{
	char answer[4096];
	struct nlmsghdr head;
	int err;

	if (q->full)
		return -EMSGSIZE;
	if (send(fd, q->bytes, q->head.nlmsg_len, 0) < 0)
		return err_now();
	ssize_t n = recv(fd, answer, sizeof(answer), 0);
	if (n < (ssize_t)(NLMSG_HDRLEN + sizeof(err)))
		return n < 0 ? err_now() : -EPROTO;
	memcpy(&head, answer, sizeof(head));
	if (head.nlmsg_type != NLMSG_ERROR)
		return -EPROTO;
	memcpy(&err, answer + NLMSG_HDRLEN, sizeof(err));
	return err;
}

int rtnl_open(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	return fd < 0 ? err_now() : fd;
}

static void put_link(struct request *q, const char *name, const uint8_t mac[6], unsigned int mtu)
{
	put(q, IFLA_IFNAME, name, strlen(name) + 1);
	put(q, IFLA_ADDRESS, mac, 6);
	put_u32(q, IFLA_MTU, mtu);
}

int rtnl_veth(int fd, const char *name, const uint8_t mac[6], const char *peer, const uint8_t peer_mac[6], pid_t peer_pid,
	      unsigned int mtu)
{
	struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
	struct request q;

	begin(&q, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof(link));
	put_link(&q, name, mac, mtu);
	size_t info = open_nest(&q, IFLA_LINKINFO);
	put(&q, IFLA_INFO_KIND, "veth", 5);
	size_t data = open_nest(&q, IFLA_INFO_DATA);
	size_t other = open_nest(&q, VETH_INFO_PEER);
	void *at = room(&q, sizeof(link));
	if (at)
		memcpy(at, &link, sizeof(link));
	put_link(&q, peer, peer_mac, mtu);
	put_u32(&q, IFLA_NET_NS_PID, (uint32_t)peer_pid);
	close_nest(&q, other);
	close_nest(&q, data);
	close_nest(&q, info);
	return ask(fd, &q);
}

int rtnl_index(const char *name, int fd)
{
	struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
	char answer[8192];
	struct nlmsghdr head;
	struct request q;

	begin(&q, RTM_GETLINK, 0, &link, sizeof(link));
	q.head.nlmsg_flags = NLM_F_REQUEST;
	put(&q, IFLA_IFNAME, name, strlen(name) + 1);
	if (q.full || send(fd, q.bytes, q.head.nlmsg_len, 0) < 0)
		return q.full ? -EMSGSIZE : err_now();
	ssize_t n = recv(fd, answer, sizeof(answer), 0);
	if (n < (ssize_t)(NLMSG_HDRLEN + sizeof(link)))
		return n < 0 ? err_now() : -EPROTO;
	memcpy(&head, answer, sizeof(head));
	if (head.nlmsg_type != RTM_NEWLINK)
		return -ENODEV;
	memcpy(&link, answer + NLMSG_HDRLEN, sizeof(link));
	return link.ifi_index;
}

int rtnl_no_link_local(int fd, int index)
{
	struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = index};
	uint8_t mode = NO_LINK_LOCAL;
	struct request q;

	begin(&q, RTM_NEWLINK, 0, &link, sizeof(link));
	size_t spec = open_nest(&q, IFLA_AF_SPEC);
	size_t inet6 = open_nest(&q, AF_INET6);
	put(&q, IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof(mode));
	close_nest(&q, inet6);
	close_nest(&q, spec);
	return ask(fd, &q);
}

int rtnl_up(int fd, int index)
{
	struct ifinfomsg link = {.ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
	struct request q;

	begin(&q, RTM_NEWLINK, 0, &link, sizeof(link));
	return ask(fd, &q);
}

int rtnl_address(int fd, int index, int family, const void *addr, const void *peer, unsigned int bits)
{
	struct ifaddrmsg msg = {.ifa_family = (uint8_t)family,
				.ifa_prefixlen = (uint8_t)bits,
				.ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0,
				.ifa_index = (uint32_t)index};
	struct request q;

	begin(&q, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &msg, sizeof(msg));
	put(&q, IFA_LOCAL, addr, address_size(family));
	put(&q, IFA_ADDRESS, peer ? peer : addr, address_size(family));
	return ask(fd, &q);
}

int rtnl_default(int fd, int index, int family, const void *gateway)
{
	struct rtmsg msg = {.rtm_family = (uint8_t)family,
			    .rtm_table = RT_TABLE_MAIN,
			    .rtm_protocol = RTPROT_STATIC,
			    .rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_HOST,
			    .rtm_type = gateway ? RTN_UNICAST : RTN_LOCAL,
			    .rtm_flags = gateway ? RTNH_F_ONLINK : 0};
	struct request q;

	begin(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &msg, sizeof(msg));
	put_u32(&q, RTA_OIF, (uint32_t)index);
	if (gateway)
		put(&q, RTA_GATEWAY, gateway, address_size(family));
	return ask(fd, &q);
}

int rtnl_neighbour(int fd, int index, int family, const void *addr, const uint8_t mac[6])
{
	struct ndmsg msg = {.ndm_family = (uint8_t)family, .ndm_ifindex = index, .ndm_state = NUD_PERMANENT};
	struct request q;

	begin(&q, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &msg, sizeof(msg));
	put(&q, NDA_DST, addr, address_size(family));
	put(&q, NDA_LLADDR, mac, 6);
	return ask(fd, &q);
}
