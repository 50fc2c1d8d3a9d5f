/*
 * For the tests of the guest's filter: a small classic-BPF machine, which tells what the kernel would answer
 * to (program, architecture, number, six arguments), and the plans the tests speak about, compiled.
 */
#ifndef GABION_TESTS_FILTER_MACHINE_H
#define GABION_TESTS_FILTER_MACHINE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "filter.h"
#include "nr.h"
#include "util/err.h"

#define HIGH UINT64_C(0xdead00000000)
#define X32 0x40000000
#define FDCWD ((uint64_t)(uint32_t)AT_FDCWD)

enum {
	ALLOW = (int)SECCOMP_RET_ALLOW,
	NOTIFY = (int)SECCOMP_RET_USER_NOTIF,
	KILL = (int)SECCOMP_RET_KILL_PROCESS,
	NOT_CONSTANT = 1, /* no seccomp action: the program looked at an argument */
};
#define ERR(e) ((int)(SECCOMP_RET_ERRNO | (uint32_t)(e)))

/* ---- the machine ------------------------------------------------------------------------------- */

/* Runs PROG over D. With CONSTANT, NOT_CONSTANT as soon as anything but number and architecture is read, as
 * the kernel's own look at a new filter. A fault in the program fails the test. */
static inline int machine(const struct sock_fprog *prog, const struct seccomp_data *d, bool constant)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 };

	for (size_t pc = 0; pc < prog->len; pc++) {
		const struct sock_filter *f = &prog->filter[pc];
		bool jump;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(f->k % 4 == 0 && f->k + 4 <= sizeof(*d));
			if (constant && f->k != offsetof(struct seccomp_data, nr) &&
			    f->k != offsetof(struct seccomp_data, arch))
				return NOT_CONSTANT;
			memcpy(&a, (const char *)d + f->k, sizeof(a));
			continue;
		case BPF_LD | BPF_MEM:
			assert_true(f->k < BPF_MEMWORDS);
			a = mem[f->k];
			continue;
		case BPF_ST:
			assert_true(f->k < BPF_MEMWORDS);
			mem[f->k] = a;
			continue;
		case BPF_MISC | BPF_TAX:
			x = a;
			continue;
		case BPF_MISC | BPF_TXA:
			a = x;
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= f->k;
			continue;
		case BPF_RET | BPF_K:
			return (int)f->k;
		case BPF_JMP | BPF_JA:
			pc += f->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			jump = a == f->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			jump = a > f->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			jump = a >= f->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			jump = (a & f->k) != 0;
			break;
		default:
			fail_msg("instruction %zu: unknown code 0x%x", pc, f->code);
			return KILL;
		}
		pc += jump ? f->jt : f->jf;
	}
	fail_msg("ran off the end of the program");
	return KILL;
}

static inline struct seccomp_data data(int nr, const uint64_t args[6])
{
	struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = 0x401000 };

	if (args != NULL)
		memcpy(d.args, args, sizeof(d.args));
	return d;
}

static inline int run(const struct sock_fprog *prog, int nr, const uint64_t args[6])
{
	const struct seccomp_data d = data(nr, args);

	return machine(prog, &d, false);
}

/* ---- plans ------------------------------------------------------------------------------------- */

enum { EVERY_FACT = FLOOR_FACTS_END - 1 };

static inline struct plan plan_all(enum level level, uint32_t floor)
{
	struct plan p = PLAN_NULL;

	for (int k = 0; k < PLAN_COUNT; k++)
		p.level[k] = level;
	p.floor = floor;
	p.list = LIST_WIDE; /* lists have a test of their own: test_surface.c */
	return p;
}

static inline struct plan plan_open(enum level reading, enum level writing, enum level meta)
{
	struct plan p = plan_all(LEVEL_NATIVE, EVERY_FACT);

	p.level[PLAN_READ] = reading;
	p.level[PLAN_WRITE] = writing;
	p.level[PLAN_META] = meta;
	return p;
}

enum which { NATIVE, EMULATED, BARE, DENYING, READ_NATIVE, READ_NATIVE_NO_META, OBSERVED, PLANS };

static struct sock_fprog progs[PLANS];
static struct plan plans[PLANS];

static inline int setup(void **state)
{
	(void)state;
	plans[NATIVE] = plan_all(LEVEL_NATIVE, EVERY_FACT);
	plans[EMULATED] = plan_all(LEVEL_EMULATE, EVERY_FACT);
	plans[BARE] = plan_all(LEVEL_EMULATE, 0);
	plans[DENYING] = plan_all(LEVEL_DENY, 0);
	plans[READ_NATIVE] = plan_open(LEVEL_NATIVE, LEVEL_EMULATE, LEVEL_NATIVE);
	plans[READ_NATIVE_NO_META] = plan_open(LEVEL_NATIVE, LEVEL_OBSERVE, LEVEL_EMULATE);
	plans[OBSERVED] = plan_all(LEVEL_OBSERVE, EVERY_FACT);
	for (int i = 0; i < PLANS; i++)
		if (filter_build(&plans[i], &progs[i]) != 0)
			return -1;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < PLANS; i++)
		filter_free(&progs[i]);
	return 0;
}

#endif
