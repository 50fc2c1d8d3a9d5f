/*
 * From a classic BPF program to lines people can read. What the accumulator holds is followed through the program (all of its
 * jumps lead forwards, so one pass does): only then can a constant be told to be a system call's number or an architecture.
 */
#include "policy/disasm.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"
#include "util/err.h"

/* What the accumulator holds; zero: not reached yet. */
enum holds { HOLDS_NOTHING = 0, HOLDS_NR, HOLDS_ARCH, HOLDS_ARGUMENT, HOLDS_OTHER };

static const char *field(uint32_t offset, char *buf, size_t size)
{
	const uint32_t args = offsetof(struct seccomp_data, args);

	if (offset == offsetof(struct seccomp_data, nr))
		return "nr";
	if (offset == offsetof(struct seccomp_data, arch))
		return "arch";
	if (offset < args)
		(void)snprintf(buf, size, "ip.%s", offset % 8 ? "high" : "low");
	else
		(void)snprintf(buf, size, "arg%u.%s", (offset - args) / 8, (offset - args) % 8 ? "high" : "low");
	return buf;
}

static enum holds held(uint32_t offset)
{
	if (offset == offsetof(struct seccomp_data, nr))
		return HOLDS_NR;
	return offset == offsetof(struct seccomp_data, arch) ? HOLDS_ARCH : HOLDS_ARGUMENT;
}

static const char *constant(enum holds h, uint32_t k, char *buf, size_t size)
{
	const struct sys_row *row = h == HOLDS_NR ? table_row((int)k) : NULL;

	if (row)
		(void)snprintf(buf, size, "%u %s", k, row->name);
	else if (h == HOLDS_ARCH && k == AUDIT_ARCH_X86_64)
		(void)snprintf(buf, size, "x86_64");
	else if (h == HOLDS_NR && k == 0x40000000)
		(void)snprintf(buf, size, "x32");
	else if (h == HOLDS_NR && k < 0x40000000)
		(void)snprintf(buf, size, "%u", k);
	else
		(void)snprintf(buf, size, "0x%x", k);
	return buf;
}

static const char *answer(uint32_t k, char *buf, size_t size)
{
	switch (k & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		return "allow";
	case SECCOMP_RET_USER_NOTIF:
		return "notify";
	case SECCOMP_RET_KILL_PROCESS:
		return "kill";
	case SECCOMP_RET_ERRNO:
		if ((k & SECCOMP_RET_DATA) == 0)
			return "succeed without effect";
		(void)snprintf(buf, size, "errno %s", strerrorname_np((int)(k & SECCOMP_RET_DATA)));
		return buf;
	default:
		(void)snprintf(buf, size, "0x%x", k);
		return buf;
	}
}

static const char *test_name(uint16_t op)
{
	switch (op) {
	case BPF_JEQ:
		return "==";
	case BPF_JGT:
		return ">";
	case BPF_JGE:
		return ">=";
	case BPF_JSET:
		return "has";
	default:
		return "?";
	}
}

static void merge(enum holds *to, enum holds h)
{
	*to = *to == HOLDS_NOTHING || *to == h ? h : HOLDS_OTHER;
}

static int jump(FILE *out, const struct sock_filter *f, size_t i, enum holds *h, size_t len)
{
	size_t yes, no;
	char buf[64];

	if (f->code == (BPF_JMP | BPF_JA)) {
		if (i + 1 + f->k >= len)
			return -EINVAL;
		merge(&h[i + 1 + f->k], h[i]);
		return fprintf(out, "go to %zu\n", i + 1 + f->k);
	}
	yes = i + 1 + f->jt;
	no = i + 1 + f->jf;
	if (yes >= len || no >= len)
		return -EINVAL;
	merge(&h[yes], h[i]);
	merge(&h[no], h[i]);
	(void)fprintf(out, "if %s %s", test_name(BPF_OP(f->code)), constant(h[i], f->k, buf, sizeof(buf)));
	if (f->jf == 0)
		return fprintf(out, " go to %zu\n", yes);
	if (f->jt == 0)
		return fprintf(out, " go on, else to %zu\n", no);
	return fprintf(out, " go to %zu, else to %zu\n", yes, no);
}

static int one(FILE *out, const struct sock_filter *f, size_t i, enum holds *h, size_t len)
{
	enum holds after = h[i];
	char buf[64];
	int r;

	r = fprintf(out, "%5zu  ", i);
	if (r < 0)
		return -EIO;
	if (BPF_CLASS(f->code) == BPF_RET) {
		r = fprintf(out, "%s\n", answer(f->k, buf, sizeof(buf)));
		return r < 0 ? -EIO : 0;
	}
	if (BPF_CLASS(f->code) == BPF_JMP) {
		r = jump(out, f, i, h, len);
		return r == -EINVAL ? r : r < 0 ? -EIO : 0;
	}
	switch (f->code) {
	case BPF_LD | BPF_W | BPF_ABS:
		after = held(f->k);
		r = fprintf(out, "load %s\n", field(f->k, buf, sizeof(buf)));
		break;
	case BPF_LD | BPF_MEM:
		after = HOLDS_OTHER;
		r = fprintf(out, "load memory %u\n", f->k);
		break;
	case BPF_ST:
		r = fprintf(out, "store memory %u\n", f->k);
		break;
	case BPF_ALU | BPF_AND | BPF_K:
		after = HOLDS_OTHER;
		r = fprintf(out, "and 0x%x\n", f->k);
		break;
	default:
		after = HOLDS_OTHER;
		r = fprintf(out, "code 0x%x jt %u jf %u k 0x%x\n", f->code, f->jt, f->jf, f->k);
		break;
	}
	if (r < 0)
		return -EIO;
	if (i + 1 >= len)
		return -EINVAL;
	merge(&h[i + 1], after);
	return 0;
}

int disasm_print(FILE *out, const struct sock_fprog *prog)
{
	AUTO_FREE enum holds *h = calloc((size_t)prog->len + 1, sizeof(*h));
	int r = 0;

	if (!h)
		return -ENOMEM;
	h[0] = HOLDS_OTHER;
	for (size_t i = 0; i < prog->len && r == 0; i++)
		r = one(out, &prog->filter[i], i, h, prog->len);
	return r;
}
