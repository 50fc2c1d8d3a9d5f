/*
 * In place of policy/filter.c: a filter that allows everything, so that the program's own start builds its floor and nobody
 * supervises what runs on it. No notification can come of it.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>

#include "filter.h"

int filter_build(const struct plan *plan, struct sock_fprog *ret_prog)
{
	struct sock_filter *one = malloc(sizeof(*one));

	(void)plan;
	if (one == NULL)
		return -ENOMEM;
	*one = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	*ret_prog = (struct sock_fprog){ .len = 1, .filter = one };
	return 0;
}

void filter_free(struct sock_fprog *prog)
{
	free(prog->filter);
	*prog = (struct sock_fprog){ 0 };
}
