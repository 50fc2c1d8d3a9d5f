/* One line of network rules to one rule: net_policy.c's other half. */
#ifndef GABION_POLICY_NET_RULE_H
#define GABION_POLICY_NET_RULE_H

#include "net_policy.h"

/* Reads TEXT; .text, .origin and .id are left to the caller. 0, or -EINVAL with FAULT (NET_FAULT_SIZE bytes). */
int net_rule_parse(const char *text, struct net_rule *ret_rule, char fault[static NET_FAULT_SIZE]);

#endif
