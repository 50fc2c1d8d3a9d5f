/*
 * Names to synthetic addresses and back. A name's number is a hash of it (the next free one where another name has it), so it stays
 * the same while the relay lives, and mostly from run to run. Names are never forgotten: an address must not come to mean
 * another name; a full table gives no more.
 */
#ifndef GABION_MONITOR_RELAY_SYNTH_H
#define GABION_MONITOR_RELAY_SYNTH_H

#include <stddef.h>
#include <stdint.h>

#include "net_policy.h"

enum { SYNTH_FIRST = 256, SYNTH_COUNT = 1 << 17, SYNTH_NAMES_MAX = 1 << 16, SYNTH_PROBES = 256 };

struct synth;

/* NULL: no memory. Costs none until names come. */
struct synth *synth_new(void);
struct synth *synth_free(struct synth *s);
/* The address of the canonical NAME in FAMILY; 0, -ENOSPC (table full, or the name's part of it), -ENOMEM. */
int synth_address(struct synth *s, const char *name, sa_family_t family, struct net_address *ret_a);
/* The name whose address A is, or NULL; the table's, for its life. */
const char *synth_name(const struct synth *s, const struct net_address *a);

#endif
