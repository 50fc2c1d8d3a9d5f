/* From a libseccomp context to a program in memory. Private to policy/. */
#ifndef GABION_POLICY_EXPORT_H
#define GABION_POLICY_EXPORT_H

#include <linux/filter.h>
#include <seccomp.h>

/*
 * A context for x86-64 alone: another architecture and x32 kill the process, everything else without a rule
 * is answered with DEFLT. 0, or -ENOMEM, -EINVAL. Released with seccomp_release().
 */
int export_ctx_new(uint32_t deflt, scmp_filter_ctx *ret_ctx);

/* The program of CTX, to be released with filter_free(): 0 or a negative errno. */
int export_prog(const scmp_filter_ctx ctx, struct sock_fprog *ret_prog);

#endif
