/*
 * Names to addresses, as the host knows them: its /etc/hosts first, then its resolvers through c-ares, with a cache that keeps an
 * answer as long as its TTL says (RFC 2308 for names that do not exist). A and AAAA are asked for at once and answered apart, as
 * RFC 8305 wants it.
 */
#ifndef GABION_MONITOR_RELAY_RESOLVE_H
#define GABION_MONITOR_RELAY_RESOLVE_H

#include <stddef.h>

#include "monitor/relay/loop.h"
#include "net_policy.h"

enum { RESOLVE_ADDRESSES = 8, RESOLVE_CACHE = 1024, RESOLVE_WAITING = 1024 };

struct resolver;
struct question;

/* Addresses of one family; N may be 0. ERR: 0, -ENOENT (no such name, no such address), or a failure of the resolvers. */
typedef void (*resolve_fn)(struct question *q, sa_family_t family, const struct net_address *a, size_t n, int err);

/* The asker's; it stays until both families were answered or resolve_drop(). */
struct question {
	resolve_fn done;
	struct question *next;	/* the resolver's */
	unsigned int open;	/* families not yet answered: bit 0 IPv4, bit 1 IPv6 */
	void *entry;
};

/* Reads HOSTS and RESOLV_CONF (the only files it ever opens) and sets c-ares up. 0 or negative errno. */
int resolver_new(const char *hosts, const char *resolv_conf, struct resolver **ret_r);
struct resolver *resolver_free(struct resolver *r);
/* Before the first question; the loop stays as long as the resolver. */
void resolver_attach(struct resolver *r, struct loop *l);
/* The names the hosts file gives to A: I from 0 on, NULL after the last. The resolver's. */
const char *resolver_host_name(const struct resolver *r, const struct net_address *a, size_t i);
/* Asks for the canonical NAME. Answers may come before this returns. */
void resolve(struct resolver *r, struct question *q, const char *name, resolve_fn done);
/* No more answers to Q. */
void resolve_drop(struct resolver *r, struct question *q);

#endif
