/*
 * Addresses with one reading, and what they are for.
 *
 * Everything is the bytes the kernel would use: an IPv4 address in IPv6 clothes (RFC 4291, 2.5.5.2) is that IPv4 address.
 * The other ways of writing IPv4 into IPv6 (6to4, Teredo, NAT64, the compatible form) are addresses of their own that lead
 * to the inner one by way of some machine on the path, so they are judged by the inner one and never better.
 *
 * Classes: IANA's special-purpose registries (RFC 6890) and the addresses the large clouds give their metadata services.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "net_policy.h"
#include "util/err.h"

/* One block of the registries: family by LEN of the prefix's bytes (4, 16). The first that holds an address decides. */
struct block {
	uint8_t base[16];
	sa_family_t family;
	uint8_t bits;
	enum net_class class;
};

static const struct block blocks[] = {
	/* clouds: AWS and most others, AWS ECS, Alibaba, Azure, Oracle */
	{{169, 254, 169, 254}, AF_INET, 32, NET_CLASS_METADATA},
	{{169, 254, 170, 2}, AF_INET, 32, NET_CLASS_METADATA},
	{{169, 254, 170, 23}, AF_INET, 32, NET_CLASS_METADATA},
	{{100, 100, 100, 200}, AF_INET, 32, NET_CLASS_METADATA},
	{{168, 63, 129, 16}, AF_INET, 32, NET_CLASS_METADATA},
	{{192, 0, 0, 192}, AF_INET, 32, NET_CLASS_METADATA},
	{{0xfd, 0x00, 0x0e, 0xc2, [15] = 0x54, [14] = 0x02}, AF_INET6, 128, NET_CLASS_METADATA},
	{{0xfd, 0x00, 0x0e, 0xc2, [15] = 0x23}, AF_INET6, 128, NET_CLASS_METADATA},
	{{0xfd, 0x20, 0x00, 0xce, [15] = 0x54, [14] = 0x02}, AF_INET6, 128, NET_CLASS_METADATA},
	{{0xfd, 0x00, 0x0c, 0x1a, 0x55, [7] = 0x25, [15] = 0x54, [14] = 0x02}, AF_INET6, 128, NET_CLASS_METADATA},

	{{198, 18}, AF_INET, NET_SYNTHETIC4_BITS, NET_CLASS_SYNTHETIC},
	{NET_SYNTHETIC6, AF_INET6, NET_SYNTHETIC6_BITS, NET_CLASS_SYNTHETIC},

	{{0}, AF_INET, 8, NET_CLASS_NEVER},
	{{10}, AF_INET, 8, NET_CLASS_PRIVATE},
	{{100, 64}, AF_INET, 10, NET_CLASS_PRIVATE},
	{{127}, AF_INET, 8, NET_CLASS_LOOPBACK},
	{{169, 254}, AF_INET, 16, NET_CLASS_LINK_LOCAL},
	{{172, 16}, AF_INET, 12, NET_CLASS_PRIVATE},
	{{192, 0, 0}, AF_INET, 24, NET_CLASS_PRIVATE},
	{{192, 88, 99}, AF_INET, 24, NET_CLASS_NEVER}, /* 6to4 relays, RFC 7526 */
	{{192, 168}, AF_INET, 16, NET_CLASS_PRIVATE},
	{{224}, AF_INET, 4, NET_CLASS_NEVER},
	{{240}, AF_INET, 4, NET_CLASS_NEVER},

	{{[15] = 1}, AF_INET6, 128, NET_CLASS_LOOPBACK},
	{{0}, AF_INET6, 96, NET_CLASS_NEVER},                            /* unspecified, compatible */
	{{[8] = 0xff, [9] = 0xff}, AF_INET6, 96, NET_CLASS_NEVER},       /* RFC 2765 */
	{{0x00, 0x64, 0xff, 0x9b, 0, 1}, AF_INET6, 48, NET_CLASS_PRIVATE}, /* RFC 8215 */
	{{0x01}, AF_INET6, 64, NET_CLASS_NEVER},                         /* RFC 6666 */
	{{0xfe, 0x80}, AF_INET6, 10, NET_CLASS_LINK_LOCAL},
	{{0xfe, 0xc0}, AF_INET6, 10, NET_CLASS_PRIVATE},                 /* RFC 3879 */
	{{0xfc}, AF_INET6, 7, NET_CLASS_PRIVATE},
	{{0xff}, AF_INET6, 8, NET_CLASS_NEVER},
};

static bool bits_agree(const uint8_t *a, const uint8_t *b, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool net_address_within(const struct net_address *a, const struct net_address *base, unsigned int bits)
{
	return a->family == base->family && bits <= (a->family == AF_INET ? 32u : 128u) &&
	       bits_agree(a->bytes, base->bytes, bits);
}

bool net_address_equal(const struct net_address *a, const struct net_address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static struct net_address from4(const void *bytes)
{
	struct net_address a = {.family = AF_INET};

	memcpy(a.bytes, bytes, 4);
	return a;
}

static struct net_address from6(const struct in6_addr *in6)
{
	struct net_address a = {.family = AF_INET6};

	if (IN6_IS_ADDR_V4MAPPED(in6))
		return from4(&in6->s6_addr[12]);
	memcpy(a.bytes, in6->s6_addr, sizeof(a.bytes));
	return a;
}

int net_address_of(const struct sockaddr *sa, socklen_t len, struct net_address *ret_a, uint16_t *ret_port)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	sa_family_t family;

	if (len < sizeof(family))
		return -EINVAL;
	memcpy(&family, &sa->sa_family, sizeof(family));
	if (family == AF_INET) {
		if (len < sizeof(in))
			return -EINVAL;
		memcpy(&in, sa, sizeof(in));
		*ret_a = from4(&in.sin_addr);
		*ret_port = ntohs(in.sin_port);
		return 0;
	}
	if (family == AF_INET6) {
		/* Linux takes it without the scope (RFC 2133). */
		const size_t least = offsetof(struct sockaddr_in6, sin6_scope_id);

		if (len < least)
			return -EINVAL;
		memset(&in6, 0, sizeof(in6));
		memcpy(&in6, sa, least);
		*ret_a = from6(&in6.sin6_addr);
		*ret_port = ntohs(in6.sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}

int net_address_parse(const char *s, struct net_address *ret_a)
{
	struct in6_addr in6;
	struct in_addr in;

	if (inet_pton(AF_INET, s, &in) == 1) {
		*ret_a = from4(&in);
		return 0;
	}
	if (inet_pton(AF_INET6, s, &in6) == 1) {
		*ret_a = from6(&in6);
		return 0;
	}
	return -EINVAL;
}

void net_address_text(const struct net_address *a, char ret_text[static NET_ADDRESS_TEXT_SIZE])
{
	if ((a->family != AF_INET && a->family != AF_INET6) ||
	    !inet_ntop(a->family, a->bytes, ret_text, NET_ADDRESS_TEXT_SIZE))
		(void)snprintf(ret_text, NET_ADDRESS_TEXT_SIZE, "?");
}

socklen_t net_address_sockaddr(const struct net_address *a, uint16_t port, struct sockaddr_storage *ret_sa)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memset(ret_sa, 0, sizeof(*ret_sa));
	if (a->family == AF_INET) {
		memcpy(&in.sin_addr, a->bytes, sizeof(in.sin_addr));
		memcpy(ret_sa, &in, sizeof(in));
		return sizeof(in);
	}
	if (a->family == AF_INET6) {
		memcpy(&in6.sin6_addr, a->bytes, sizeof(in6.sin6_addr));
		memcpy(ret_sa, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

/* The IPv4 address a tunnel's address leads to; false: A is no such address. */
static bool inner_of(const struct net_address *a, struct net_address *ret_inner)
{
	static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	static const uint8_t teredo[4] = {0x20, 0x01, 0x00, 0x00};
	static const uint8_t isatap[3] = {0x00, 0x5e, 0xfe};
	const uint8_t *b = a->bytes;
	uint8_t v4[4];

	if (b[0] == 0x20 && b[1] == 0x02) { /* 6to4, RFC 3056 */
		*ret_inner = from4(b + 2);
		return true;
	}
	if (memcmp(b, nat64, sizeof(nat64)) == 0) { /* RFC 6052 */
		*ret_inner = from4(b + 12);
		return true;
	}
	if (memcmp(b, teredo, sizeof(teredo)) == 0) { /* RFC 4380: the client's, inverted; its server's is in b + 4 */
		for (size_t i = 0; i < sizeof(v4); i++)
			v4[i] = (uint8_t)~b[12 + i];
		*ret_inner = from4(v4);
		return true;
	}
	if ((b[8] & 0xfd) == 0 && memcmp(b + 9, isatap, sizeof(isatap)) == 0) { /* RFC 5214 */
		*ret_inner = from4(b + 12);
		return true;
	}
	return false;
}

enum net_class net_address_class(const struct net_address *a)
{
	struct net_address inner;

	if (a->family != AF_INET && a->family != AF_INET6)
		return NET_CLASS_NEVER;
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
		if (blocks[i].family == a->family && bits_agree(a->bytes, blocks[i].base, blocks[i].bits))
			return blocks[i].class;
	if (a->family == AF_INET6 && inner_of(a, &inner) && net_address_class(&inner) != NET_CLASS_GLOBAL)
		return NET_CLASS_NEVER;
	return NET_CLASS_GLOBAL;
}

enum net_class net_block_class(const struct net_address *base, unsigned int bits)
{
	if (bits == (base->family == AF_INET ? 32u : 128u))
		return net_address_class(base);
	for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
		if (blocks[i].family == base->family && bits >= blocks[i].bits &&
		    bits_agree(base->bytes, blocks[i].base, blocks[i].bits))
			return blocks[i].class;
	return NET_CLASS_GLOBAL;
}

const char *net_class_name(enum net_class c)
{
	switch (c) {
	case NET_CLASS_SYNTHETIC:
		return "an address gabion answers names with";
	case NET_CLASS_METADATA:
		return "a metadata service";
	case NET_CLASS_LOOPBACK:
		return "loopback";
	case NET_CLASS_LINK_LOCAL:
		return "link-local";
	case NET_CLASS_PRIVATE:
		return "private";
	case NET_CLASS_GLOBAL:
		return "global";
	case NET_CLASS_NEVER:
		break;
	}
	return "not a host's address";
}
