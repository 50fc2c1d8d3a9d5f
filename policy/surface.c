/*
 * Counts what a seccomp program can answer. For one number the program is walked with everything but number and architecture unknown: a
 * jump that depends on what is unknown goes both ways. Jumps only go forward, so every instruction is looked at once at most for each of
 * the two things the accumulator can be, the number or something unknown, and what is reached at the end is exactly what some arguments
 * reach, or more (two tests of one argument that exclude each other are not seen): never less.
 */
#include "surface.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "nr.h"
#include "util/err.h"

/* What the accumulator holds. */
enum held { HELD_UNKNOWN = 0, HELD_NUMBER, HELD_ARCH, HELD_COUNT };

struct walk {
	const struct sock_fprog *prog;
	uint32_t value[HELD_COUNT];
	unsigned char *seen; /* a bit for each enum held */
	struct surface_call call;
};

static int mark(struct walk *w, size_t pc, enum held h)
{
	if (pc >= w->prog->len)
		return -EINVAL;
	w->seen[pc] |= (unsigned char)(1U << h);
	return 0;
}

static int answer(struct walk *w, uint32_t action)
{
	switch (action & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		w->call.allowed = true;
		return 0;
	case SECCOMP_RET_USER_NOTIF:
		w->call.notified = true;
		return 0;
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
		w->call.refused = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static enum held load(uint32_t offset)
{
	if (offset == offsetof(struct seccomp_data, nr))
		return HELD_NUMBER;
	return offset == offsetof(struct seccomp_data, arch) ? HELD_ARCH : HELD_UNKNOWN;
}

static bool jumps(const struct sock_filter *f, uint32_t a)
{
	switch (BPF_OP(f->code)) {
	case BPF_JEQ:
		return a == f->k;
	case BPF_JGT:
		return a > f->k;
	case BPF_JGE:
		return a >= f->k;
	default: /* BPF_JSET */
		return (a & f->k) != 0;
	}
}

static int step(struct walk *w, size_t pc, enum held h)
{
	const struct sock_filter *f = &w->prog->filter[pc];
	enum held now;
	int r;

	switch (f->code) {
	case BPF_RET | BPF_K:
		return answer(w, f->k);
	case BPF_LD | BPF_W | BPF_ABS:
		now = load(f->k);
		w->call.looked = w->call.looked || now == HELD_UNKNOWN;
		return mark(w, pc + 1, now);
	case BPF_JMP | BPF_JA:
		return mark(w, pc + 1 + f->k, h);
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_K:
	case BPF_JMP | BPF_JSET | BPF_K:
		if (h != HELD_UNKNOWN)
			return mark(w, pc + 1 + (jumps(f, w->value[h]) ? f->jt : f->jf), h);
		r = mark(w, pc + 1 + f->jt, h);
		return r == 0 ? mark(w, pc + 1 + f->jf, h) : r;
	case BPF_ALU | BPF_AND | BPF_K:
	case BPF_LD | BPF_MEM:
		return mark(w, pc + 1, HELD_UNKNOWN);
	case BPF_ST:
	case BPF_STX:
	case BPF_MISC | BPF_TAX:
		return mark(w, pc + 1, h);
	case BPF_MISC | BPF_TXA:
		return mark(w, pc + 1, HELD_UNKNOWN);
	default:
		return -EINVAL;
	}
}

int surface_call(const struct sock_fprog *prog, int nr, struct surface_call *ret_call)
{
	struct walk w = {.prog = prog,
			 .value = {[HELD_NUMBER] = (uint32_t)nr, [HELD_ARCH] = AUDIT_ARCH_X86_64},
			 .seen = calloc(prog->len + 1U, 1)};
	int r = w.seen == NULL ? -ENOMEM : mark(&w, 0, HELD_UNKNOWN);

	for (size_t pc = 0; pc < prog->len && r == 0; pc++)
		for (int h = 0; h < HELD_COUNT && r == 0; h++)
			if (w.seen[pc] & (1U << h))
				r = step(&w, pc, (enum held)h);
	free(w.seen);
	if (r == 0)
		*ret_call = w.call;
	return r;
}

static bool may_go_on(enum level l)
{
	return l == LEVEL_OBSERVE || l == LEVEL_VERIFY;
}

/* Whether the sentry may let the kernel perform a call of ROW that it was asked about. */
static bool continues(const struct plan *plan, const struct sys_row *row)
{
	enum plan_key key = plan_key_of(row);

	switch (row->class) {
	case CLASS_SCALAR:
	case CLASS_RECHECK:
		return key >= PLAN_COUNT || plan->level[key] != LEVEL_DENY;
	case CLASS_EMULATE:
		break;
	case CLASS_KILL:
	case CLASS_EPERM:
	case CLASS_ENOSYS:
	case CLASS_ALLOW:
	case CLASS_COUNT:
	default:
		return false;
	}
	if (row->nr == NR_memfd_create) /* of the family of exec, and never continued */
		return false;
	if (row->nr == NR_openat2) /* its flags lie in memory */
		return may_go_on(plan->level[PLAN_READ]) && may_go_on(plan->level[PLAN_WRITE]);
	if (row->family == FAM_OPEN && row->nr != NR_creat)
		return may_go_on(plan->level[PLAN_READ]) || may_go_on(plan->level[PLAN_WRITE]);
	return key < PLAN_COUNT && may_go_on(plan->level[key]);
}

int surface_guest(const struct sock_fprog *prog, const struct plan *plan, struct surface *ret_s)
{
	struct surface s = {.native = 0};

	for (int nr = 0; nr < table_end; nr++) {
		const struct sys_row *row = table_row(nr);
		struct surface_call c;
		int r = row == NULL ? 0 : surface_call(prog, nr, &c);

		if (row == NULL)
			continue;
		if (r < 0)
			return r;
		if (c.allowed) {
			s.native++;
			s.checked += c.refused || c.notified;
			s.bare += row->nargs == 0;
		} else if (c.notified) {
			if (continues(plan, row))
				s.continued++;
			else
				s.performed++;
		} else {
			s.refused++;
		}
	}
	*ret_s = s;
	return 0;
}
