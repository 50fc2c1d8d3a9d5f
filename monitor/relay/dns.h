/*
 * One DNS query to one answer, both in the caller's memory: no socket, no allocation, no state but the table of synthetic addresses.
 * What may be asked is what a rule names; nothing is ever asked of anybody else.
 */
#ifndef GABION_MONITOR_RELAY_DNS_H
#define GABION_MONITOR_RELAY_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net_policy.h"

struct synth;

enum { DNS_ANSWER_MAX = 512, DNS_TTL = 60 };

/* What there is to say of a query. */
struct dns_note {
	bool refused;		  /* no rule knows the name */
	char name[NET_NAME_SIZE]; /* canonical, or with every odd byte as '?'; "" where none could be read */
};

/*
 * Answers the query of LEN bytes at Q into RET_A (at most DNS_ANSWER_MAX bytes, also for a client that takes less, which none may: RFC
 * 1035, 4.2.1). Returns the answer's length, or 0 where nothing is to be answered (too short, itself an answer). IPV6: AAAA has
 * addresses.
 */
size_t dns_answer(const struct net_policy *policy, struct synth *synth, bool ipv6, const uint8_t *q, size_t len,
		  uint8_t ret_a[static DNS_ANSWER_MAX], struct dns_note *ret_note);

#endif
