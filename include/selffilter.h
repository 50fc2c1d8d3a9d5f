/*
 * Seccomp programs for gabion's own processes: a list of the syscalls a process makes after start-up,
 * everything else is the end of it (invariant 13).
 */
#ifndef GABION_SELFFILTER_H
#define GABION_SELFFILTER_H

#include <linux/filter.h>
#include <stddef.h>

enum selffilter_mode {
	SELFFILTER_KILL = 0, /* a call not listed kills the process */
	SELFFILTER_EPERM,    /* a call not listed answers EPERM: where a library probes what it may do */
};

/*
 * Builds a program that allows the N numbers in NRS (see nr.h), whatever their arguments: 0, -EINVAL for a
 * number the table does not name, -ENOMEM, another negative errno. Another architecture or x32 kills in both
 * modes. *ret_prog is released with filter_free().
 */
int selffilter_build(const int *nrs, size_t n, enum selffilter_mode mode, struct sock_fprog *ret_prog);

#endif
