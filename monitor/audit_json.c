/*
 * One record as one line of JSON. Arguments are decoded by the kinds the syscall's row gives them: numbers as
 * numbers, sets of bits in hex (open's by name), modes in octal, signals by name, paths as the object that was judged
 * (the string behind the pointer may be another one by now), other pointers in hex.
 *
 * Written by hand rather than with a library: tens of thousands of these are made a second while a guest works.
 */
#include "audit_json.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "plan.h"
#include "table.h"
#include "util/err.h"
#include "verdict.h"

static void digits(char *p, unsigned int n, unsigned int v)
{
	while (n--) {
		p[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

void audit_json_time(struct text *t, struct audit_clock *clock, uint64_t ns)
{
	uint64_t sec = ns / 1000000000;
	char micro[] = ".000000Z";

	if (sec != clock->sec) {
		time_t s = (time_t)sec;
		struct tm tm;

		/* 64 bits of nanoseconds end in the year 2554: four digits. */
		if (!gmtime_r(&s, &tm) || strftime(clock->text, sizeof(clock->text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
			memcpy(clock->text, "1970-01-01T00:00:00", 20);
		clock->sec = sec;
	}
	digits(micro + 1, 6, (unsigned int)(ns / 1000 % 1000000));
	text_str(t, clock->text);
	text_add(t, micro, 8);
}

static void quoted(struct text *t, const char *s, size_t n)
{
	text_add(t, "\"", 1);
	text_json(t, s, n);
	text_add(t, "\"", 1);
}

static void key_string(struct text *t, const char *key, const char *s, size_t n)
{
	text_str(t, key);
	quoted(t, s, n);
}

static const struct {
	unsigned int bits;
	const char *name;
} open_flags[] = {
	/* Those that contain others stand first. */
	{ O_TMPFILE, "O_TMPFILE" },     { O_SYNC, "O_SYNC" },         { O_DSYNC, "O_DSYNC" },
	{ O_CREAT, "O_CREAT" },         { O_EXCL, "O_EXCL" },         { O_NOCTTY, "O_NOCTTY" },
	{ O_TRUNC, "O_TRUNC" },         { O_APPEND, "O_APPEND" },     { O_NONBLOCK, "O_NONBLOCK" },
	{ O_ASYNC, "O_ASYNC" },         { O_DIRECT, "O_DIRECT" },     { 0100000, "O_LARGEFILE" },
	{ O_DIRECTORY, "O_DIRECTORY" }, { O_NOFOLLOW, "O_NOFOLLOW" }, { O_NOATIME, "O_NOATIME" },
	{ O_CLOEXEC, "O_CLOEXEC" },     { O_PATH, "O_PATH" },
};

static void put_open_flags(struct text *t, unsigned int f)
{
	static const char *const modes[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE" };

	text_add(t, "\"", 1);
	text_str(t, modes[f & O_ACCMODE]);
	f &= ~(unsigned int)O_ACCMODE;
	for (size_t i = 0; i < ARRAY_LEN(open_flags); i++) {
		if ((f & open_flags[i].bits) == open_flags[i].bits) {
			text_add(t, "|", 1);
			text_str(t, open_flags[i].name);
			f &= ~open_flags[i].bits;
		}
	}
	if (f) {
		text_add(t, "|", 1);
		text_hex(t, f);
	}
	text_add(t, "\"", 1);
}

static void put_hex(struct text *t, uint64_t v)
{
	text_add(t, "\"", 1);
	text_hex(t, v);
	text_add(t, "\"", 1);
}

static void put_mode(struct text *t, unsigned int v)
{
	char d[13];
	size_t i = sizeof(d);

	do {
		d[--i] = (char)('0' + (v & 7));
		v >>= 3;
	} while (v);
	if (d[i] != '0')
		d[--i] = '0';
	quoted(t, d + i, sizeof(d) - i);
}

static void put_signal(struct text *t, int v)
{
	const char *name = v > 0 && v < NSIG ? sigabbrev_np(v) : NULL;

	if (!name) {
		text_int(t, v);
		return;
	}
	text_str(t, "\"SIG");
	text_str(t, name);
	text_add(t, "\"", 1);
}

/* The object that stands for the path or address argument numbered INDEX, if the call came as far as having one. */
static bool put_object(struct text *t, const struct record *r, int index)
{
	if (index == 0 && r->object_len)
		quoted(t, r->object, r->object_len);
	else if (index == 1 && r->object2_len)
		quoted(t, r->object + r->object_len, r->object2_len);
	else
		return false;
	return true;
}

static void put_arg(struct text *t, const struct record *r, const struct sys_row *row, int i, int *objects)
{
	uint64_t v = r->args[i];

	switch ((enum arg_kind)row->arg[i]) {
	case ARG_INT:
	case ARG_FD:
	case ARG_PID:
		text_int(t, (int32_t)v);
		return;
	case ARG_ID:
		/* (uid_t)-1: leave as it is. */
		text_int(t, (uint32_t)v == UINT32_MAX ? -1 : (int64_t)(uint32_t)v);
		return;
	case ARG_DIRFD:
		if ((int32_t)v == AT_FDCWD)
			text_str(t, "\"AT_FDCWD\"");
		else
			text_int(t, (int32_t)v);
		return;
	case ARG_LEN:
		/* Numbers beyond 63 bits are beyond most readers of JSON. */
		if (v > INT64_MAX)
			break;
		text_uint(t, v);
		return;
	case ARG_OFF:
		text_int(t, (int64_t)v);
		return;
	case ARG_FLAGS:
		if (row->family == FAM_OPEN)
			put_open_flags(t, (uint32_t)v);
		else
			put_hex(t, v);
		return;
	case ARG_MODE:
		put_mode(t, (uint32_t)v);
		return;
	case ARG_SIG:
		put_signal(t, (int32_t)v);
		return;
	case ARG_PATH:
	case ARG_SOCKADDR:
		if (put_object(t, r, (*objects)++))
			return;
		break;
	case ARG_NONE:
	case ARG_STR:
	case ARG_ARGV:
	case ARG_IN:
	case ARG_OUT:
	case ARG_INOUT:
	case ARG_MSGHDR:
	case ARG_HOW:
	case ARG_ADDR:
	case ARG_COUNT:
	default:
		break;
	}
	put_hex(t, v);
}

static void put_rule(struct text *t, const struct rule *rule)
{
	key_string(t, ",\"rule\":{\"kind\":", rule_kind_name(rule->kind), strlen(rule_kind_name(rule->kind)));
	key_string(t, ",\"pattern\":", rule->pattern, strlen(rule->pattern));
	key_string(t, ",\"origin\":", rule->origin, strlen(rule->origin));
	text_add(t, "}", 1);
}

void audit_json(struct text *t, struct audit_clock *clock, const struct record *r, const struct policy *policy,
		const char *run)
{
	const struct sys_row *row = table_row(r->nr);
	bool denied = r->flags & (RECORD_REFUSED | RECORD_INTERNAL);

	text_str(t, "{\"time\":\"");
	audit_json_time(t, clock, r->time_ns);
	text_add(t, "\"", 1);
	if (run)
		key_string(t, ",\"run\":", run, strlen(run));
	text_str(t, ",\"pid\":");
	text_int(t, r->tid);
	if (r->tgid && r->tgid != r->tid) {
		text_str(t, ",\"tgid\":");
		text_int(t, r->tgid);
	}
	if (r->ppid) {
		text_str(t, ",\"ppid\":");
		text_int(t, r->ppid);
	}
	key_string(t, ",\"comm\":", r->comm, strnlen(r->comm, sizeof(r->comm)));
	text_str(t, ",\"syscall\":");
	if (row)
		quoted(t, row->name, strlen(row->name));
	else
		text_int(t, r->nr);
	text_str(t, ",\"args\":[");
	int objects = 0, nargs = row ? row->nargs : 0;

	for (int i = 0; i < nargs; i++) {
		if (i)
			text_add(t, ",", 1);
		put_arg(t, r, row, i, &objects);
	}
	text_add(t, "]", 1);
	if (r->object_len)
		key_string(t, ",\"object\":", r->object, r->object_len);
	if (r->object2_len)
		key_string(t, ",\"object2\":", r->object + r->object_len, r->object2_len);
	if (r->op != OP_NONE)
		key_string(t, ",\"op\":", verdict_op_name(r->op), strlen(verdict_op_name(r->op)));
	text_str(t, denied ? ",\"verdict\":\"deny\"" : ",\"verdict\":\"allow\"");
	if (r->result < 0 && r->result >= -4095) {
		const char *name = strerrorname_np((int)-r->result);

		if (name)
			key_string(t, ",\"errno\":", name, strlen(name));
	}
	if (r->flags & RECORD_CONTINUED) {
		text_str(t, ",\"continued\":true");
	} else {
		text_str(t, ",\"result\":");
		text_int(t, r->result);
	}
	if (r->flags & RECORD_INTERNAL)
		text_str(t, ",\"internal\":true");
	if (r->flags & RECORD_KILLED)
		text_str(t, ",\"killed\":true");
	if (policy && r->rule < policy_rule_count(policy))
		put_rule(t, policy_rule(policy, r->rule));
	if (r->stack) {
		text_str(t, ",\"stack\":");
		text_uint(t, r->stack);
	}
	key_string(t, ",\"level\":", plan_level_name(r->level), strlen(plan_level_name(r->level)));
	text_str(t, "}\n");
}

/* A number as "0x..." and its key. */
static void key_hex(struct text *t, const char *key, uint64_t v)
{
	text_str(t, key);
	put_hex(t, v);
}

static void put_frame(struct text *t, const struct unwind_frame *f)
{
	static const char hex[] = "0123456789abcdef";

	key_hex(t, "{\"ip\":", f->ip);
	if (f->symbol[0]) {
		key_string(t, ",\"symbol\":", f->symbol, strlen(f->symbol));
		key_hex(t, ",\"symbol_offset\":", f->symbol_offset);
	}
	if (f->object[0])
		key_string(t, ",\"object\":", f->object, strlen(f->object));
	if (f->offset)
		key_hex(t, ",\"offset\":", f->offset);
	if (f->build_id_len) {
		text_str(t, ",\"build_id\":\"");
		for (size_t i = 0; i < f->build_id_len; i++) {
			text_add(t, &hex[f->build_id[i] >> 4], 1);
			text_add(t, &hex[f->build_id[i] & 15], 1);
		}
		text_add(t, "\"", 1);
	}
	text_add(t, "}", 1);
}

void audit_json_stack(struct text *t, const struct unwind_stack *s)
{
	text_str(t, ",\"stack\":");
	text_uint(t, s->id);
	text_str(t, s->whole ? ",\"whole\":true,\"frames\":[" : ",\"whole\":false,\"frames\":[");
	for (uint32_t i = 0; i < s->n && i < UNWIND_FRAMES; i++) {
		if (i)
			text_add(t, ",", 1);
		put_frame(t, &s->frame[i]);
	}
	text_str(t, "]");
}
