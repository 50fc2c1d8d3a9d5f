/*
 * The filter's second stage is written down here: it is a plain map from number to action, and libseccomp, which makes the first one
 * (rules that look at arguments), takes 1.3 ms for it on the way of every start, a tenth of the whole; this takes ten
 * microseconds. tests/unit/test_filter.c builds it with libseccomp as well and compares the two for every number.
 *
 *   load arch;  not x86-64: kill
 *   load nr;    x32: kill
 *   a binary tree over runs of numbers with one action: at or above the middle run's first number? right : left
 *
 * Nothing but number and architecture is read, so the kernel finds each number's answer constant and keeps what is allowed in its bitmap
 * (seccomp_cache_prepare() in kernel/seccomp.c). A jump that tells two ways apart has eight bits: a longer one goes by BPF_JA.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>

#include "policy/by_number.h"
#include "util/err.h"

#define X32_BIT 0x40000000u
#define NO_CALL 0xffffffffu /* -1: no call at all, as a tracer sets it; not x32 */
#define STMT(code, k)	      ((struct sock_filter)BPF_STMT((code), (k)))
#define JUMP(code, k, jt, jf) ((struct sock_filter)BPF_JUMP((code), (k), (jt), (jf)))

/* Numbers from .from to the next run's. */
struct run {
	uint32_t from, action;
};

/* The number of instructions that tell N runs apart. */
static size_t length(size_t n)
{
	if (n == 1)
		return 1;
	size_t left = length(n / 2);

	return 1 + (left > UINT8_MAX) + left + length(n - n / 2);
}

static size_t emit(struct sock_filter *f, const struct run *runs, size_t n)
{
	size_t at = 0, half = n / 2, left = n > 1 ? length(half) : 0;

	if (n == 1) {
		f[0] = STMT(BPF_RET | BPF_K, runs[0].action);
		return 1;
	}
	if (left <= UINT8_MAX) {
		f[at++] = JUMP(BPF_JMP | BPF_JGE | BPF_K, runs[half].from, (uint8_t)left, 0);
	} else {
		f[at++] = JUMP(BPF_JMP | BPF_JGE | BPF_K, runs[half].from, 0, 1);
		f[at++] = STMT(BPF_JMP | BPF_JA, (uint32_t)left);
	}
	at += emit(f + at, runs, half);
	return at + emit(f + at, runs + half, n - half);
}

int by_number_build(by_number_action *action, const void *arg, int end, uint32_t rest, struct sock_fprog *ret_prog)
{
	AUTO_FREE struct run *runs = calloc((size_t)end + 1, sizeof(*runs));
	struct sock_filter *f;
	size_t n = 0, at = 0;

	if (runs == NULL)
		return -ENOMEM;
	for (int nr = 0; nr <= end; nr++) {
		uint32_t a = nr < end ? action(arg, nr) : rest;

		if (n == 0 || runs[n - 1].action != a)
			runs[n++] = (struct run){ .from = (uint32_t)nr, .action = a };
	}
	const struct sock_filter head[] = {
		STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
		STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 2),
		JUMP(BPF_JMP | BPF_JEQ | BPF_K, NO_CALL, 1, 0),
		STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	size_t fixed = sizeof(head) / sizeof(head[0]), len = fixed + length(n);

	if (len > BPF_MAXINSNS)
		return -E2BIG;
	f = calloc(len, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	while (at < fixed) {
		f[at] = head[at];
		at++;
	}
	at += emit(f + at, runs, n);
	*ret_prog = (struct sock_fprog){ .len = (unsigned short)at, .filter = f };
	return 0;
}
