/*
 * Devices: version 1 by devices.allow and devices.deny, version 2 by a program at the group (BPF_PROG_TYPE_CGROUP_DEVICE).
 *
 * The rules of config.json are a list in which the last one that fits holds; both kernels' ways are a default and
 * exceptions from it. cgroup_device_set() turns the one into the other, once for both, and refuses what it cannot say
 * exactly rather than say something near it: version 1 would ignore a denial of a part of what was allowed as a whole.
 *
 * Every container may make nodes of any device (they are of no use until they may be opened) and use null, zero, full,
 * random, urandom, tty, ptmx and its pseudo terminals, as under runc.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/oci/cgroup_in.h"
#include "monitor/oci/state.h"
#include "util/err.h"
#include "util/fd.h"

#define ALL OCI_DEVICE_ALL
#define RULE(t, ma, mi, r, w, m)                                                                                       \
	{                                                                                                              \
		.allow = true, .type = (t), .major = (ma), .minor = (mi), .read = (r), .write = (w), .mknod = (m)      \
	}

static const struct oci_device_rule always[] = {
	RULE('c', ALL, ALL, false, false, true), RULE('b', ALL, ALL, false, false, true),
	RULE('c', 1, 3, true, true, true),	 RULE('c', 1, 5, true, true, true),
	RULE('c', 1, 7, true, true, true),	 RULE('c', 1, 8, true, true, true),
	RULE('c', 1, 9, true, true, true),	 RULE('c', 5, 0, true, true, true),
	RULE('c', 5, 2, true, true, true),	 RULE('c', 136, ALL, true, true, true),
};

/* All devices, in every way: rules of this kind set the default. */
static bool is_everything(const struct oci_device_rule *d)
{
	return d->type == 'a' && d->read && d->write && d->mknod && d->major == ALL && d->minor == ALL;
}

static bool number_covers(int64_t a, int64_t b)
{
	return a == ALL || a == b;
}

/* Every device that B names A names too. */
static bool covers(const struct oci_device_rule *a, const struct oci_device_rule *b)
{
	return (a->type == 'a' || a->type == b->type) && number_covers(a->major, b->major) &&
	       number_covers(a->minor, b->minor);
}

static bool number_meets(int64_t a, int64_t b)
{
	return a == ALL || b == ALL || a == b;
}

/* Some device is named by both. */
static bool meets(const struct oci_device_rule *a, const struct oci_device_rule *b)
{
	return (a->type == 'a' || b->type == 'a' || a->type == b->type) && number_meets(a->major, b->major) &&
	       number_meets(a->minor, b->minor);
}

static bool shares_access(const struct oci_device_rule *a, const struct oci_device_rule *b)
{
	return (a->read && b->read) || (a->write && b->write) || (a->mknod && b->mknod);
}

/* A rule that goes against the default: an exception is added, or an old one of the same devices widened. */
static void add_exception(struct device_set *s, const struct oci_device_rule *d)
{
	for (size_t i = 0; i < s->n; i++) {
		struct oci_device_rule *e = &s->v[i];
		if (covers(e, d) && covers(d, e)) {
			e->read |= d->read;
			e->write |= d->write;
			e->mknod |= d->mknod;
			return;
		}
	}
	s->v[s->n++] = *d;
}

/* A rule that says what the default says takes back exceptions that it covers. */
static int take_back(struct device_set *s, const struct oci_device_rule *d, struct oci_fault *fault)
{
	for (size_t i = 0; i < s->n; i++) {
		struct oci_device_rule *e = &s->v[i];
		if (!meets(e, d) || !shares_access(e, d))
			continue;
		if (!covers(d, e))
			return oci_fail(fault, -EINVAL,
					"linux.resources.devices: a rule for %c %" PRId64 ":%" PRId64
					" takes a part of an earlier one back, which cgroups cannot hold: list the devices singly",
					d->type, d->major, d->minor);
		e->read &= !d->read;
		e->write &= !d->write;
		e->mknod &= !d->mknod;
	}
	/* what gives nothing any more goes */
	size_t to = 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].read || s->v[i].write || s->v[i].mknod)
			s->v[to++] = s->v[i];
	s->n = to;
	return 0;
}

int cgroup_device_set(const struct oci_device_rule *rules, size_t n, struct device_set *ret_set,
		      struct oci_fault *fault)
{
	struct device_set s = {.allow = false, .v = calloc(n + 1, sizeof(*s.v)), .n = 0};
	int r = 0;

	if (s.v == NULL)
		return oci_fail_errno(fault, -ENOMEM, "devices");
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (is_everything(&rules[i])) {
			s.allow = rules[i].allow;
			s.n = 0;
		} else if (rules[i].allow != s.allow) {
			add_exception(&s, &rules[i]);
		} else {
			r = take_back(&s, &rules[i], fault);
		}
	}
	if (r < 0) {
		free(s.v);
		return r;
	}
	*ret_set = s;
	return 0;
}

bool cgroup_device_allows(const struct device_set *s, char type, int64_t major, int64_t minor, bool read, bool write,
			  bool mknod)
{
	const struct oci_device_rule wanted = {
		.type = type, .major = major, .minor = minor, .read = read, .write = write, .mknod = mknod};

	for (size_t i = 0; i < s->n; i++) {
		const struct oci_device_rule *e = &s->v[i];
		if (!covers(e, &wanted))
			continue;
		if (s->allow && shares_access(e, &wanted))
			return false;
		if (!s->allow && (!read || e->read) && (!write || e->write) && (!mknod || e->mknod))
			return true;
	}
	return s->allow;
}

static void number_text(int64_t n, char *buf, size_t size)
{
	if (n == ALL)
		snprintf(buf, size, "*");
	else
		snprintf(buf, size, "%" PRId64, n);
}

static int write_v1(const struct hierarchy *h, const struct device_set *s, struct oci_fault *fault)
{
	const char *file = s->allow ? "devices.allow" : "devices.deny";
	int r = cgroup_set(h->path, file, "a");

	for (size_t i = 0; r == 0 && i < s->n; i++) {
		const struct oci_device_rule *e = &s->v[i];
		char major[24], minor[24];
		number_text(e->major, major, sizeof(major));
		number_text(e->minor, minor, sizeof(minor));
		file = s->allow ? "devices.deny" : "devices.allow";
		/* 'a' with numbers is both kinds */
		for (const char *t = e->type == 'a' ? "bc" : (const char[]){e->type, '\0'}; r == 0 && *t != '\0'; t++)
			r = cgroup_set(h->path, file, "%c %s:%s %s%s%s", *t, major, minor, e->read ? "r" : "",
				       e->write ? "w" : "", e->mknod ? "m" : "");
	}
	return r < 0 ? oci_fail_errno(fault, r, "unable to set device rules: write %s/%s", h->path, file) : 0;
}

/* The program: R2 type, R3 access, R4 major, R5 minor; each exception a block that goes on to the next where it does
 * not fit. */
struct program {
	struct bpf_insn *v;
	size_t n, size;
};

static void emit(struct program *p, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	if (p->n < p->size)
		p->v[p->n] = (struct bpf_insn){.code = code, .dst_reg = dst & 15, .src_reg = src & 15, .off = off, .imm = imm};
	p->n++;
}

static void emit_return(struct program *p, bool allow)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

static void emit_exception(struct program *p, const struct oci_device_rule *e, bool set_allows)
{
	int bits = (e->mknod ? BPF_DEVCG_ACC_MKNOD : 0) | (e->read ? BPF_DEVCG_ACC_READ : 0) |
		   (e->write ? BPF_DEVCG_ACC_WRITE : 0);
	int left = (e->type != 'a') + 3 + (e->major != ALL) + (e->minor != ALL); /* to the return, mask and test included */

	if (e->type != 'a')
		emit(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, (int16_t)(left-- + 1),
		     e->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
	if (e->major != ALL)
		emit(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, (int16_t)(left-- + 1), (int32_t)e->major);
	if (e->minor != ALL)
		emit(p, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, (int16_t)(left-- + 1), (int32_t)e->minor);
	/* allowing: nothing may be asked for beyond BITS; denying: any of BITS is enough */
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
	emit(p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, set_allows ? bits : ~bits & 7);
	emit(p, BPF_JMP | (set_allows ? BPF_JEQ : BPF_JNE) | BPF_K, BPF_REG_1, 0, 2, 0);
	emit_return(p, !set_allows);
}

static int bpf_call(enum bpf_cmd cmd, union bpf_attr *attr)
{
	int r = (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return r < 0 ? err_now() : r;
}

/* Loads the program of SET; a descriptor or -errno. */
static int load(const struct device_set *s)
{
	struct program p = {.size = 16 + s->n * 10};
	AUTO_FREE struct bpf_insn *v = calloc(p.size, sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	p.v = v;
	emit(&p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, access_type), 0);
	emit(&p, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
	emit(&p, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	emit(&p, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	emit(&p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, major), 0);
	emit(&p, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, offsetof(struct bpf_cgroup_dev_ctx, minor), 0);
	for (size_t i = 0; i < s->n; i++)
		emit_exception(&p, &s->v[i], s->allow);
	emit_return(&p, s->allow);
	if (p.n > p.size)
		return -E2BIG;

	static const char license[] = "Apache-2.0";
	union bpf_attr attr;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)p.v;
	attr.insn_cnt = (uint32_t)p.n;
	attr.license = (uint64_t)(uintptr_t)license;
	memcpy(attr.prog_name, "gabion_devices", sizeof("gabion_devices"));
	return bpf_call(BPF_PROG_LOAD, &attr);
}

/* Takes programs away from the group DIR that were there before KEEP, all of them ours or an older gabion's. */
static void detach_others(int dir, int keep)
{
	uint32_t ids[64];
	union bpf_attr attr;
	struct bpf_prog_info info;

	memset(&attr, 0, sizeof(attr));
	memset(&info, 0, sizeof(info));
	attr.info.bpf_fd = (uint32_t)keep;
	attr.info.info = (uint64_t)(uintptr_t)&info;
	attr.info.info_len = sizeof(info);
	if (bpf_call(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0)
		return;
	memset(&attr, 0, sizeof(attr));
	attr.query.target_fd = (uint32_t)dir;
	attr.query.attach_type = BPF_CGROUP_DEVICE;
	attr.query.prog_ids = (uint64_t)(uintptr_t)ids;
	attr.query.prog_cnt = ARRAY_LEN(ids);
	if (bpf_call(BPF_PROG_QUERY, &attr) < 0)
		return;
	uint32_t n = attr.query.prog_cnt;
	for (uint32_t i = 0; i < n && i < ARRAY_LEN(ids); i++) {
		if (ids[i] == info.id)
			continue;
		memset(&attr, 0, sizeof(attr));
		attr.prog_id = ids[i];
		AUTO_FD int old = bpf_call(BPF_PROG_GET_FD_BY_ID, &attr);
		if (old < 0)
			continue;
		memset(&attr, 0, sizeof(attr));
		attr.target_fd = (uint32_t)dir;
		attr.attach_bpf_fd = (uint32_t)old;
		attr.attach_type = BPF_CGROUP_DEVICE;
		(void)bpf_call(BPF_PROG_DETACH, &attr);
	}
}

static int write_v2(const struct hierarchy *h, const struct device_set *s, struct oci_fault *fault)
{
	AUTO_FD int dir = open(h->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int program = dir < 0 ? err_now() : load(s);
	union bpf_attr attr;

	if (dir < 0 || program < 0)
		return oci_fail_errno(fault, program, "unable to set device rules: %s", h->path);
	memset(&attr, 0, sizeof(attr));
	attr.target_fd = (uint32_t)dir;
	attr.attach_bpf_fd = (uint32_t)program;
	attr.attach_type = BPF_CGROUP_DEVICE;
	attr.attach_flags = BPF_F_ALLOW_MULTI;
	int r = bpf_call(BPF_PROG_ATTACH, &attr);
	if (r < 0)
		return oci_fail_errno(fault, r, "unable to set device rules: %s", h->path);
	/* the new one holds before the old ones go */
	detach_others(dir, program);
	return 0;
}

int cgroup_devices(const struct oci_cgroup *c, const struct oci_resources *res, struct oci_fault *fault)
{
	const struct hierarchy *v1 = cgroup_with(c, "devices"), *v2 = NULL;
	size_t n = res == NULL ? 0 : res->devices_n;
	struct device_set s;

	/* Without privileges there is no say over devices, and no need of one: a user namespace makes no nodes, and those it
	 * has been given are meant. */
	if (!oci_privileged())
		return 0;
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].v2)
			v2 = &c->v[i];
	if (v1 == NULL && (v2 == NULL || access(v2->path, F_OK) < 0))
		return n == 0 || c->optional ? 0 : oci_fail(fault, -EOPNOTSUPP, "unable to set device rules: no devices controller here");
	AUTO_FREE struct oci_device_rule *rules = calloc(n + ARRAY_LEN(always) + 1, sizeof(*rules));
	if (rules == NULL)
		return oci_fail_errno(fault, -ENOMEM, "devices");
	if (n > 0)
		memcpy(rules, res->devices, n * sizeof(*rules));
	memcpy(rules + n, always, sizeof(always));
	int r = cgroup_device_set(rules, n + ARRAY_LEN(always), &s, fault);
	if (r < 0)
		return r;
	r = v1 != NULL ? write_v1(v1, &s, fault) : write_v2(v2, &s, fault);
	free(s.v);
	return r;
}
