/*
 * Our own processes confine themselves after start-up. Their lists are short, so this is libseccomp's plain
 * use: a default and the numbers that are allowed. Arguments are not looked at: what a descriptor may do was
 * decided when it was opened, and a list of numbers is what a reader can check.
 */
#include <errno.h>

#include "policy/export.h"
#include "selffilter.h"
#include "table.h"

int selffilter_build(const int *nrs, size_t n, enum selffilter_mode mode, struct sock_fprog *ret_prog)
{
	scmp_filter_ctx ctx;
	int r;

	r = export_ctx_new(mode == SELFFILTER_EPERM ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS, &ctx);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++) {
		r = table_row(nrs[i]) == NULL
			    ? -EINVAL
			    : seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, nrs[i], 0, NULL);
		/* A number listed twice is one rule. */
		if (r == -EEXIST)
			r = 0;
	}
	if (r == 0)
		r = export_prog(ctx, ret_prog);
	seccomp_release(ctx);
	return r;
}
