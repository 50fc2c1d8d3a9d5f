/*
 * The guest's seccomp program, in two stages:
 *
 *   by value   rules that look at arguments (policy/narrow.c), made by libseccomp; answers what they match
 *   by number  one action for each row of the table; ENOSYS for every number without one (policy/by_number.c)
 *
 * Why two: libseccomp cannot say "these values of a call so, all others so" where the values are masked (no
 * rule of a call without arguments lives beside its rules with arguments). So the first stage's default is an
 * action nothing else uses, PASS_ON, and every instruction that returns it is turned into a jump to the
 * second stage. Nothing else in libseccomp's output is touched.
 *
 * Both stages check the architecture (another one, and the x32 bit, kill the process). A row without rules by
 * value reaches its action without a load of an argument, so the kernel can prove it constant and allow it
 * from its bitmap.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "filter.h"
#include "policy/by_number.h"
#include "policy/export.h"
#include "policy/narrow.h"
#include "util/err.h"

#define PASS_ON SCMP_ACT_TRACE(0x7061)

void filter_free(struct sock_fprog *prog)
{
	free(prog->filter);
	*prog = (struct sock_fprog){0};
}

static int build_by_value(const struct plan *plan, struct sock_fprog *ret_prog)
{
	scmp_filter_ctx ctx;
	int r;

	r = export_ctx_new(PASS_ON, &ctx);
	if (r < 0)
		return r;
	r = narrow_add(plan, ctx);
	if (r == 0)
		r = export_prog(ctx, ret_prog);
	seccomp_release(ctx);
	return r;
}

/* Every row's action; ENOSYS for a number without one. */
static uint32_t action_of(const void *plan, int nr)
{
	const struct sys_row *row = table_row(nr);

	return row != NULL ? narrow_base(plan, row) : SCMP_ACT_ERRNO(ENOSYS);
}

/* Puts SECOND behind FIRST: where FIRST returned PASS_ON, SECOND begins. */
static int chain(const struct sock_fprog *first, const struct sock_fprog *second, struct sock_fprog *ret_prog)
{
	const size_t len = (size_t)first->len + second->len;
	struct sock_filter *insns;

	if (len > BPF_MAXINSNS)
		return -E2BIG;
	insns = malloc(len * sizeof(*insns));
	if (insns == NULL)
		return -ENOMEM;
	memcpy(insns, first->filter, first->len * sizeof(*insns));
	memcpy(insns + first->len, second->filter, second->len * sizeof(*insns));
	for (unsigned short i = 0; i < first->len; i++)
		if (insns[i].code == (BPF_RET | BPF_K) && insns[i].k == PASS_ON)
			insns[i] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, first->len - i - 1U);
	*ret_prog = (struct sock_fprog){.len = (unsigned short)len, .filter = insns};
	return 0;
}

int filter_build(const struct plan *plan, struct sock_fprog *ret_prog)
{
	struct sock_fprog by_value = {0}, by_number = {0};
	int r;

	r = build_by_value(plan, &by_value);
	if (r == 0)
		r = by_number_build(action_of, plan, table_end, SCMP_ACT_ERRNO(ENOSYS), &by_number);
	if (r == 0)
		r = chain(&by_value, &by_number, ret_prog);
	filter_free(&by_value);
	filter_free(&by_number);
	return r;
}
