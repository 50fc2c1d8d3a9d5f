/* The filter's second stage: one action for each number. Private to policy/. */
#ifndef GABION_POLICY_BY_NUMBER_H
#define GABION_POLICY_BY_NUMBER_H

#include <linux/filter.h>
#include <stdint.h>

/* The seccomp action for NR; any int may be asked for. */
typedef uint32_t by_number_action(const void *arg, int nr);

/*
 * A program that answers ACTION(ARG, nr) for 0 <= nr < END and REST for every other number of x86-64; another architecture and
 * x32 kill the process. 0, -ENOMEM, or -E2BIG where it would be longer than the kernel takes. *ret_prog is released with filter_free().
 */
int by_number_build(by_number_action *action, const void *arg, int end, uint32_t rest, struct sock_fprog *ret_prog);

#endif
