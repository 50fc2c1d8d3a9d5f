/*
 * The container's own seccomp profile: see seccomp.h.
 *
 * Only the native architecture is looked at: gabion's filter kills every other. An action that needs a listener of the
 * container's (SCMP_ACT_NOTIFY) is refused by name: the kernel gives one listener to a chain of filters, and that is
 * gabion's. SCMP_ACT_TRACE without a tracer is ENOSYS, as natively.
 */
#include "monitor/oci/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "filter.h"
#include "monitor/oci/config_json.h"
#include "policy/export.h"
#include "util/err.h"

enum { ARGS_MAX = 6 };

static const struct action {
	const char *name;
	uint32_t value;
	bool takes_errno;
} actions[] = {
	{"SCMP_ACT_KILL", SCMP_ACT_KILL, false},
	{"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS, false},
	{"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD, false},
	{"SCMP_ACT_TRAP", SCMP_ACT_TRAP, false},
	{"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0), true},
	{"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0), true},
	{"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW, false},
	{"SCMP_ACT_LOG", SCMP_ACT_LOG, false},
};

static const struct {
	const char *name;
	enum scmp_compare op;
} operators[] = {
	{"SCMP_CMP_NE", SCMP_CMP_NE}, {"SCMP_CMP_LT", SCMP_CMP_LT}, {"SCMP_CMP_LE", SCMP_CMP_LE},
	{"SCMP_CMP_EQ", SCMP_CMP_EQ}, {"SCMP_CMP_GE", SCMP_CMP_GE}, {"SCMP_CMP_GT", SCMP_CMP_GT},
	{"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
};

static const struct {
	const char *name;
	unsigned int flag;
} flags[] = {
	{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
	{"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
	{"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
};

const char *const *oci_seccomp_action_names(void)
{
	static const char *names[ARRAY_LEN(actions) + 1];

	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		names[i] = actions[i].name;
	return names;
}

const char *const *oci_seccomp_operator_names(void)
{
	static const char *names[ARRAY_LEN(operators) + 1];

	for (size_t i = 0; i < ARRAY_LEN(operators); i++)
		names[i] = operators[i].name;
	return names;
}

const char *const *oci_seccomp_flag_names(void)
{
	static const char *names[ARRAY_LEN(flags) + 1];

	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		names[i] = flags[i].name;
	return names;
}

/* The action in member KEY, with the errno in member NUMBER (EPERM unless said). */
static int read_action(const struct oj *j, const char *key, const char *number, uint32_t *ret)
{
	AUTO_FREE char *name = NULL;
	int64_t errnum = EPERM;
	bool set = false;
	int r = oj_string(j, key, &name);

	if (r == 0)
		r = oj_int(j, number, 0, 4095, &errnum, &set);
	if (r < 0)
		return r;
	if (name != NULL && strcmp(name, "SCMP_ACT_NOTIFY") == 0)
		return oj_bad(j, key, "SCMP_ACT_NOTIFY is not supported: the listener is gabion's");
	for (size_t i = 0; name != NULL && i < ARRAY_LEN(actions); i++) {
		if (strcmp(name, actions[i].name) != 0)
			continue;
		if (set && !actions[i].takes_errno)
			return oj_bad(j, number, "is for SCMP_ACT_ERRNO and SCMP_ACT_TRACE");
		*ret = actions[i].value | (actions[i].takes_errno ? (uint32_t)errnum & 0xffff : 0);
		return 0;
	}
	return oj_bad(j, key, "is not an action");
}

static int read_number(const struct oj *j, const char *key, scmp_datum_t *ret)
{
	const json_t *v = json_object_get(j->o, key);

	if (v == NULL || json_is_null(v))
		return 0;
	/* 64 bits without a sign; what is larger than JSON's numbers here arrives rounded, and is refused. */
	if (!json_is_integer(v))
		return oj_bad(j, key, "must be a whole number below 2^63");
	*ret = (scmp_datum_t)json_integer_value(v);
	return 0;
}

static int read_arg(const struct oj *up, const json_t *o, struct scmp_arg_cmp *ret)
{
	struct oj j = {.o = o, .where = "linux.seccomp.syscalls.args", .fault = up->fault};
	AUTO_FREE char *op = NULL;
	int64_t index = -1;
	scmp_datum_t one = 0, two = 0;
	int r;

	if (!json_is_object(o))
		return oj_bad(up, "args", "must be a list of objects");
	if ((r = oj_int(&j, "index", 0, ARGS_MAX - 1, &index, NULL)) < 0 || (r = oj_string(&j, "op", &op)) < 0 ||
	    (r = read_number(&j, "value", &one)) < 0 || (r = read_number(&j, "valueTwo", &two)) < 0)
		return r;
	if (index < 0)
		return oj_bad(&j, "index", "is missing");
	for (size_t i = 0; op != NULL && i < ARRAY_LEN(operators); i++)
		if (strcmp(op, operators[i].name) == 0) {
			*ret = (struct scmp_arg_cmp){
				.arg = (unsigned int)index, .op = operators[i].op, .datum_a = one, .datum_b = two};
			return 0;
		}
	return oj_bad(&j, "op", "is not an operator");
}

static int add_rule(scmp_filter_ctx ctx, const struct oj *j, uint32_t action, int nr, unsigned int n, const struct scmp_arg_cmp *v)
{
	int r = seccomp_rule_add_array(ctx, action, nr, n, v);

	/* Twice the same, or what the default says anyway. */
	return r == 0 || r == -EEXIST || r == -EACCES ? 0 : oj_bad(j, "args", "cannot be put into a filter");
}

/* Two conditions about one argument are alternatives: a rule each, as runc does. */
static bool repeats(const struct scmp_arg_cmp *v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < i; k++)
			if (v[i].arg == v[k].arg)
				return true;
	return false;
}

static int add_call(scmp_filter_ctx ctx, const struct oj *top, const json_t *o, uint32_t otherwise)
{
	struct oj j = {.o = o, .where = "linux.seccomp.syscalls", .fault = top->fault};
	struct scmp_arg_cmp args[64];
	const json_t *list = NULL;
	uint32_t action = 0;
	char **names = NULL;
	int r;

	if (!json_is_object(o))
		return oj_bad(top, "syscalls", "must be a list of objects");
	if ((r = read_action(&j, "action", "errnoRet", &action)) < 0 || (r = oj_array(&j, "args", &list)) < 0)
		return r;
	unsigned int n = (unsigned int)json_array_size(list);
	if (n > ARRAY_LEN(args))
		return oj_bad(&j, "args", "are too many");
	for (unsigned int i = 0; i < n; i++)
		if ((r = read_arg(&j, json_array_get(list, i), &args[i])) < 0)
			return r;
	if (action == otherwise)
		return 0;
	r = oj_strings(&j, "names", &names);
	for (size_t i = 0; r == 0 && names != NULL && names[i] != NULL; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);
		/* Not of this architecture or newer than the library: gabion's table names what it lets through. */
		if (nr == __NR_SCMP_ERROR || nr < 0)
			continue;
		if (!repeats(args, n)) {
			r = add_rule(ctx, &j, action, nr, n, args);
			continue;
		}
		for (unsigned int k = 0; r == 0 && k < n; k++)
			r = add_rule(ctx, &j, action, nr, 1, &args[k]);
	}
	oj_strings_free(names);
	return r;
}

static int read_flags(const struct oj *j, unsigned int *ret)
{
	char **names = NULL;
	int r = oj_strings(j, "flags", &names);

	for (size_t i = 0; r == 0 && names != NULL && names[i] != NULL; i++) {
		size_t k = 0;
		while (k < ARRAY_LEN(flags) && strcmp(flags[k].name, names[i]) != 0)
			k++;
		if (k == ARRAY_LEN(flags))
			r = oj_bad(j, "flags", "holds a flag that is not supported");
		else
			*ret |= flags[k].flag;
	}
	/* One thread: nothing to bring along. */
	*ret &= ~(unsigned int)SECCOMP_FILTER_FLAG_TSYNC;
	oj_strings_free(names);
	return r;
}

int oci_seccomp_build(const json_t *profile, struct oci_seccomp *ret_s, struct oci_fault *fault)
{
	static const char *const known[] = {"defaultAction", "defaultErrnoRet", "architectures", "flags",
					    "listenerPath",  "listenerMetadata", "syscalls", NULL};
	struct oj j = {.o = profile, .where = "linux.seccomp", .fault = fault};
	struct oci_seccomp s = OCI_SECCOMP_NULL;
	const json_t *calls = NULL;
	uint32_t otherwise = 0;
	scmp_filter_ctx ctx = NULL;
	int r;

	if (profile == NULL)
		return 0;
	oj_unknown(&j, known);
	if ((r = oj_refuse(&j, "listenerPath", "is not supported: the listener is gabion's")) < 0 ||
	    (r = oj_refuse(&j, "listenerMetadata", "is not supported: the listener is gabion's")) < 0 ||
	    (r = read_action(&j, "defaultAction", "defaultErrnoRet", &otherwise)) < 0 || (r = read_flags(&j, &s.flags)) < 0 ||
	    (r = oj_array(&j, "syscalls", &calls)) < 0)
		return r;
	r = export_ctx_new(otherwise, &ctx);
	if (r < 0)
		return oci_fail_errno(fault, r, "config.json: linux.seccomp");
	/* Numbers that the filter above refuses anyway; x32's would be answered as another architecture's. */
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	for (size_t i = 0; r == 0 && i < json_array_size(calls); i++)
		r = add_call(ctx, &j, json_array_get(calls, i), otherwise);
	if (r == 0 && (r = export_prog(ctx, &s.prog)) < 0)
		(void)oci_fail_errno(fault, r, "config.json: linux.seccomp");
	seccomp_release(ctx);
	if (r < 0)
		return r;
	*ret_s = s;
	return 0;
}

void oci_seccomp_free(struct oci_seccomp *s)
{
	filter_free(&s->prog);
	*s = OCI_SECCOMP_NULL;
}

int oci_seccomp_install(const struct oci_seccomp *s)
{
	if (s->prog.len == 0)
		return 0;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, s->flags, &s->prog) != 0 ? err_now() : 0;
}
