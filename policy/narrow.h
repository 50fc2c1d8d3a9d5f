/* What the filter judges by value: see policy/narrow.c. Private to policy/. */
#ifndef GABION_POLICY_NARROW_H
#define GABION_POLICY_NARROW_H

#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "plan.h"

/* The seccomp action for LEVEL. */
uint32_t narrow_level_action(enum level level);

/* The action of ROW for values no rule speaks of. */
uint32_t narrow_base(const struct plan *plan, const struct sys_row *row);

/*
 * Adds every rule by value that holds under PLAN to CTX, whose default action must be one that no rule uses.
 * 0 or a negative errno of libseccomp's.
 */
int narrow_add(const struct plan *plan, scmp_filter_ctx ctx);

/*
 * Lists of calls (policy/narrow_list.c). narrow_list_error(): what a call outside of PLAN's list is answered, 0: it is in it.
 * narrow_list_base(): the answer to values that LIST_NARROW does not permit for NR, 0: all are. narrow_list_add(): the values it permits.
 */
int narrow_list_error(const struct plan *plan, const struct sys_row *row);
int narrow_list_base(const struct plan *plan, int nr);
int narrow_list_add(const struct plan *plan, scmp_filter_ctx ctx);

#endif
