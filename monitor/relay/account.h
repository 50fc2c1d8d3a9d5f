/*
 * Who was talked to, how often and how much, and the limits of it. One entry a destination: what a rule or the guest called it
 * (a name, or an address in figures), port, protocol. Entries are bounded; what does not fit counts as one destination, "others".
 */
#ifndef GABION_MONITOR_RELAY_ACCOUNT_H
#define GABION_MONITOR_RELAY_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/relay/loop.h"
#include "monitor/relay/relay.h"
#include "net_policy.h"

enum { ACCOUNT_DESTS = 4096 };

struct dest {
	struct dest *next; /* of its hash */
	uint64_t connections, up, down;
	uint32_t refused; /* in all */
	uint32_t untold;  /* of these: not yet told to the monitor */
	uint8_t event, told; /* enum relay_event: of the untold; bits of those told before */
	uint32_t rule;
	int err;
	uint16_t port;
	uint8_t proto;
	char text[];
};

struct account {
	struct dest *hash[1024];
	struct dest *others;
	size_t count;
	int monitor;
	bool untold; /* some entry has something */
	uint64_t bytes; /* all of them */
	struct loop *loop;
	struct timer *tick; /* set where something is untold */
	struct relay_limits limits;
	int64_t tokens[2]; /* of the rate, up and down, in thousandths of a byte; below 0: what was taken too much */
	uint64_t filled_ms;
};

void account_init(struct account *a, int monitor, const struct relay_limits *limits);
void account_clear(struct account *a);
/* Never NULL where ACCOUNT is initialised with memory left for one entry; -ENOMEM otherwise. The account's. */
int account_dest(struct account *a, const char *text, uint16_t port, int proto, struct dest **ret_d);
/* The same for what was refused before it was judged with a port: names. Leaves half of the entries to others. */
int account_refused(struct account *a, const char *text, uint16_t port, int proto, struct dest **ret_d);
/* Something to tell: at once the first time, with the tick later. DETAIL: of enum relay_event, may be NULL. */
void account_tell(struct account *a, struct dest *d, enum relay_event ev, uint32_t rule, int err, const char *detail);
/* A refusal that whoever asked will tell of: only counted. */
void account_refuse(struct dest *d, uint32_t rule, int err);
/* What waits to be told. Returns true where something still does. */
bool account_tick(struct account *a);
/* BYTES were handed on in DIRECTION (0: up). */
void account_moved(struct account *a, struct dest *d, int direction, uint64_t bytes);
/* BYTES were taken from a sender in DIRECTION: they are the rate's from here on, whenever they are handed on. */
void account_took(struct account *a, int direction, uint64_t bytes);
/* How much may be taken now in DIRECTION: UINT64_MAX without a rate, 0: wait for it. */
uint64_t account_room(struct account *a, int direction, uint64_t now_ms);
/* Has the run used up its bytes? */
bool account_spent(const struct account *a);
/* One RELAY_TOTAL for each destination. */
void account_totals(struct account *a);

#endif
