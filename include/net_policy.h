/*
 * The rules about hosts, compiled once into an immutable object. Evaluation is pure: no I/O, no allocation, no lock; any
 * thread may ask at any time. Rules only allow; what none of them names is refused, so an empty list is no network.
 *
 * A rule is one line of text:
 *
 *   WHO[:PORTS][/udp|/tcp]
 *
 *   WHO    api.example.com           this name and no other
 *          *.example.org             every name below example.org, at any depth, not example.org itself
 *          203.0.113.9  2001:db8::1  an address; IPv6 in brackets where ports follow: [2001:db8::1]:443
 *          10.1.0.0/16  [fd00::]/48  a network; no bit behind the prefix may be set
 *   PORTS  443   8000-8010   80,443   *   (one to eight of them, with commas between)
 *
 * Without PORTS: 443 and 80. Without a protocol: TCP; /udp names UDP alone (two rules for both).
 *
 * One reading for every spelling. A name is canonical in lower case, ASCII, without the root's dot; an address is the
 * bytes the kernel would send to, so that ::ffff:192.0.2.1 is 192.0.2.1. Rules take the usual spelling only and say which
 * one was meant (127.1, 0x7f000001, 010.0.0.1); what a guest writes arrives as bytes in a socket address.
 *
 * Addresses that are not of the whole internet (private, loopback, link-local, metadata services) are reached by a rule that
 * lies wholly among its kind: 10.0.0.0/8 names private ones, 0.0.0.0/0 does not. Multicast, broadcast, reserved and
 * unspecified addresses, and tunnel spellings (6to4, Teredo, NAT64) of any address that is not of the whole internet, are
 * reached by no rule.
 */
#ifndef GABION_NET_POLICY_H
#define GABION_NET_POLICY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "verdict.h"

enum {
	NET_NAME_MAX = 253,         /* octets of a name (RFC 1035, 2.3.4, without the root) */
	NET_NAME_SIZE = NET_NAME_MAX + 1,
	NET_LABEL_MAX = 63,
	NET_ADDRESS_TEXT_SIZE = 64, /* an address as text, with room for "[...]:65535" */
	NET_RULE_PORTS_MAX = 8,
	NET_FAULT_SIZE = 320,
};

/* The host's own loopback as a guest names it; only rules with a port name it. */
#define NET_HOST_NAME "host.gabion.internal"

/* Where names are answered (RFC 2544's range, nobody's on the internet; a prefix of RFC 4193 of gabion's own). */
#define NET_SYNTHETIC4 0xc6120000u /* 198.18.0.0/15, host byte order */
enum { NET_SYNTHETIC4_BITS = 15, NET_SYNTHETIC6_BITS = 48 };
#define NET_SYNTHETIC6 { 0xfd, 0x67, 0x61, 0x62, 0x69, 0x6f } /* fd67:6162:696f::/48 */

enum net_proto {
	NET_PROTO_NONE = 0,
	NET_PROTO_TCP,
	NET_PROTO_UDP,
	NET_PROTO_COUNT
};

/* What an address is for. Zero is the strictest: no rule reaches it. */
enum net_class {
	NET_CLASS_NEVER = 0,  /* unspecified, multicast, broadcast, reserved; tunnels to what is not global */
	NET_CLASS_SYNTHETIC,  /* stands for a name, in the guest's sight only; no rule reaches it either */
	NET_CLASS_METADATA,   /* a cloud's metadata service */
	NET_CLASS_LOOPBACK,
	NET_CLASS_LINK_LOCAL,
	NET_CLASS_PRIVATE,    /* RFC 1918, RFC 4193, RFC 6598, RFC 6890 */
	NET_CLASS_GLOBAL,     /* everything else, documentation ranges among it */
};

/* An address with one reading: IPv4 whatever it was wrapped in, else IPv6. Bytes in network order. */
struct net_address {
	sa_family_t family; /* AF_INET (4 bytes), AF_INET6 (16 bytes), 0: none */
	uint8_t bytes[16];  /* zero behind the address */
};

#define NET_ADDRESS_NULL ((struct net_address){ .family = 0 })

struct net_range {
	uint16_t from, to; /* both included, from >= 1 */
};

enum net_rule_kind {
	NET_RULE_NONE = 0,
	NET_RULE_NAME,   /* .name */
	NET_RULE_BELOW,  /* every name that ends in "." and .name */
	NET_RULE_BLOCK,  /* .base and .bits */
};

struct net_rule {
	enum net_rule_kind kind;
	enum net_proto proto;
	char name[NET_NAME_SIZE];  /* canonical */
	struct net_address base;
	unsigned int bits;         /* of the prefix: 0 to 32 or 128 */
	enum net_class class;      /* BLOCK: of everything in it; GLOBAL where it is of several classes */
	struct net_range ports[NET_RULE_PORTS_MAX];
	unsigned int port_count;
	char *text;                /* as written */
	char *origin;              /* "--net", "FILE:LINE:COL", "agent claude" */
	unsigned int id;           /* index in the policy */
};

struct net_verdict {
	enum verdict_kind kind;
	const struct net_rule *rule; /* ALLOW: the first rule that allows; DENY: NULL */
};

#define NET_VERDICT_NULL ((struct net_verdict){ .kind = VERDICT_DENY })

/* One rule to be compiled. Strings are copied. */
struct net_text {
	const char *text;
	const char *origin;
};

/* What is wrong with a rule, for people: "no port is called 'htps': did you mean 443?" */
struct net_fault {
	size_t index; /* of the text at fault */
	char text[NET_FAULT_SIZE];
};

struct net_policy;

/* Compiles N rules; N may be 0. 0, -ENOMEM, or -EINVAL with *ret_fault. */
int net_policy_compile(const struct net_text *texts, size_t n, struct net_policy **ret_p, struct net_fault *ret_fault);
/* Takes NULL, returns NULL. */
struct net_policy *net_policy_free(struct net_policy *p);
size_t net_policy_count(const struct net_policy *p);
const struct net_rule *net_policy_rule(const struct net_policy *p, size_t i); /* by id */

/* May PROTO to PORT of the canonical name NAME be used? A name says nothing about addresses: see net_policy_reach(). */
struct net_verdict net_policy_name(const struct net_policy *p, const char *name, enum net_proto proto, uint16_t port);
/* Does any rule name the canonical NAME, for whatever port? Such a name exists for the guest. */
bool net_policy_knows(const struct net_policy *p, const char *name);
/* May PROTO to PORT of address A be used, because a rule names the address? */
struct net_verdict net_policy_address(const struct net_policy *p, const struct net_address *a, enum net_proto proto,
				      uint16_t port);
/*
 * May an allowed name lead to A? Addresses of the whole internet: yes, with .rule NULL. Others only where a rule names the
 * address as well.
 */
struct net_verdict net_policy_reach(const struct net_policy *p, const struct net_address *a, enum net_proto proto,
				    uint16_t port);
/* net_policy_address() of a socket address of LEN bytes; what is no internet address is denied. */
struct net_verdict net_policy_sockaddr(const struct net_policy *p, const struct sockaddr *sa, socklen_t len,
				       enum net_proto proto);
/* The ports all rules name for PROTO: disjoint ranges in order. Returns their number; *ret_ranges is the policy's. */
size_t net_policy_ports(const struct net_policy *p, enum net_proto proto, const struct net_range **ret_ranges);

/* Results of net_name_canon() beside 0. */
enum net_name_result {
	NET_NAME_BAD = 1,     /* no host name: a byte, a label or the length */
	NET_NAME_NUMERIC = 2, /* ends in a number: some program would read an address (WHATWG URL, "ends in a number") */
};

/*
 * The canonical form of a host name of LEN bytes (no NUL needed): letters, digits, - and _, in labels of 1 to 63 that
 * neither begin nor end with -; one dot at the end is dropped (RFC 1035, RFC 1123, RFC 952; _ as names in use have it).
 * 0 or a positive result; *ret_name is untouched then.
 */
int net_name_canon(const char *s, size_t len, char ret_name[static NET_NAME_SIZE]);

/* The address in SA of LEN bytes, with its port. 0 or -EAFNOSUPPORT, -EINVAL (too short). */
int net_address_of(const struct sockaddr *sa, socklen_t len, struct net_address *ret_a, uint16_t *ret_port);
/* The usual spelling only: dotted decimal of four parts, RFC 4291 without a scope. 0 or -EINVAL. */
int net_address_parse(const char *s, struct net_address *ret_a);
/* "192.0.2.1", "2001:db8::1". Never fails. */
void net_address_text(const struct net_address *a, char ret_text[static NET_ADDRESS_TEXT_SIZE]);
/* A with PORT as a socket address; returns its length, 0 for no address. */
socklen_t net_address_sockaddr(const struct net_address *a, uint16_t port, struct sockaddr_storage *ret_sa);
bool net_address_equal(const struct net_address *a, const struct net_address *b);
/* Do the first BITS bits of A and BASE agree, in one family? */
bool net_address_within(const struct net_address *a, const struct net_address *base, unsigned int bits);
enum net_class net_address_class(const struct net_address *a);
/* The class of everything in the block, or GLOBAL where it is of several. */
enum net_class net_block_class(const struct net_address *base, unsigned int bits);
const char *net_class_name(enum net_class c);

#endif
