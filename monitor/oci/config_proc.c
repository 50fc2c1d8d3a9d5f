/*
 * The member `process` of config.json, and the file of `exec --process`, which is the same object. See config.h.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/capability.h>

#include "monitor/oci/config.h"
#include "monitor/oci/config_json.h"
#include "util/err.h"

int oci_cap_number(const char *name)
{
	char low[64];
	cap_value_t v;
	int n = snprintf(low, sizeof(low), "%s%s", strncasecmp(name, "CAP_", 4) == 0 ? "" : "cap_", name);

	if (n < 0 || (size_t)n >= sizeof(low))
		return -EINVAL;
	for (char *c = low; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c + 32);
	return cap_from_name(low, &v) == 0 && v < 64 ? (int)v : -EINVAL;
}

/* A name the kernel or its headers do not know is a line in the log, as in runc: engines list the newest. */
static int cap_set(const struct oj *j, const char *key, uint64_t *ret)
{
	char **names = NULL;
	int r = oj_strings(j, key, &names);

	for (size_t i = 0; r == 0 && names != NULL && names[i] != NULL; i++) {
		int n = oci_cap_number(names[i]);
		if (n < 0)
			oci_log(OCI_WARNING, "ignoring unknown or unavailable capability %.64s", names[i]);
		else
			*ret |= 1ULL << n;
	}
	oj_strings_free(names);
	return r;
}

static int read_caps(const struct oj *up, struct oci_proc *p)
{
	static const char *const keys[] = {[OCI_BOUNDING] = "bounding",	      [OCI_EFFECTIVE] = "effective",
					   [OCI_INHERITABLE] = "inheritable", [OCI_PERMITTED] = "permitted",
					   [OCI_AMBIENT] = "ambient",	      [OCI_CAPSETS] = NULL};
	struct oj j = {.where = "process.capabilities", .fault = up->fault};
	int r = oj_object(up, "capabilities", &j.o);

	if (r < 0 || j.o == NULL)
		return r;
	p->caps_set = true;
	oj_unknown(&j, keys);
	for (int i = 0; r == 0 && i < OCI_CAPSETS; i++)
		r = cap_set(&j, keys[i], &p->caps[i]);
	return r;
}

static int read_user(const struct oj *up, struct oci_proc *p)
{
	static const char *const known[] = {"uid", "gid", "umask", "additionalGids", "username", NULL};
	struct oj j = {.where = "process.user", .fault = up->fault};
	const json_t *groups = NULL;
	int64_t mask = 0;
	int r = oj_object(up, "user", &j.o);

	if (r < 0 || j.o == NULL)
		return r;
	oj_unknown(&j, known);
	if ((r = oj_u32(&j, "uid", &p->uid)) < 0 || (r = oj_u32(&j, "gid", &p->gid)) < 0 ||
	    (r = oj_int(&j, "umask", 0, 0777, &mask, &p->umask_set)) < 0 || (r = oj_array(&j, "additionalGids", &groups)) < 0)
		return r;
	if (p->uid == UINT32_MAX || p->gid == UINT32_MAX)
		return oj_bad(&j, "uid", "is out of range");
	p->umask = (mode_t)mask;
	size_t n = json_array_size(groups);
	p->groups = n == 0 ? NULL : calloc(n, sizeof(*p->groups));
	if (n > 0 && p->groups == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(groups, i);
		if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) >= UINT32_MAX)
			return oj_bad(&j, "additionalGids", "must be a list of group ids");
		p->groups[p->groups_n++] = (gid_t)json_integer_value(v);
	}
	return 0;
}

static const struct {
	const char *name;
	int resource;
} limits[] = {
	{"RLIMIT_AS", RLIMIT_AS},	  {"RLIMIT_CORE", RLIMIT_CORE},	    {"RLIMIT_CPU", RLIMIT_CPU},
	{"RLIMIT_DATA", RLIMIT_DATA},	  {"RLIMIT_FSIZE", RLIMIT_FSIZE},   {"RLIMIT_LOCKS", RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK}, {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE}, {"RLIMIT_NICE", RLIMIT_NICE},
	{"RLIMIT_NOFILE", RLIMIT_NOFILE}, {"RLIMIT_NPROC", RLIMIT_NPROC},   {"RLIMIT_RSS", RLIMIT_RSS},
	{"RLIMIT_RTPRIO", RLIMIT_RTPRIO}, {"RLIMIT_RTTIME", RLIMIT_RTTIME}, {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
	{"RLIMIT_STACK", RLIMIT_STACK},
};

/* Unsigned 64-bit numbers come from Go; what JSON's signed numbers cannot hold is real, and means "unlimited". */
static int limit_value(const struct oj *j, const char *key, rlim_t *ret)
{
	const json_t *v = json_object_get(j->o, key);

	if (json_is_integer(v)) {
		/* -1 is how some write RLIM_INFINITY. */
		*ret = json_integer_value(v) < 0 ? RLIM_INFINITY : (rlim_t)json_integer_value(v);
		return 0;
	}
	if (json_is_real(v) && json_real_value(v) >= 9e18) {
		*ret = RLIM_INFINITY;
		return 0;
	}
	return oj_bad(j, key, "must be a whole number");
}

static int read_limits(const struct oj *up, struct oci_proc *p)
{
	const json_t *list = NULL;
	int r = oj_array(up, "rlimits", &list);
	size_t n = json_array_size(list);

	if (r < 0 || n == 0)
		return r;
	p->rlimits = calloc(n, sizeof(*p->rlimits));
	if (p->rlimits == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct oj j = {.o = json_array_get(list, i), .where = "process.rlimits", .fault = up->fault};
		struct oci_rlimit *l = &p->rlimits[p->rlimits_n++];
		if ((r = oj_string(&j, "type", &l->name)) < 0 || (r = limit_value(&j, "soft", &l->soft)) < 0 ||
		    (r = limit_value(&j, "hard", &l->hard)) < 0)
			return r;
		l->resource = -1;
		for (size_t k = 0; l->name != NULL && k < ARRAY_LEN(limits); k++)
			if (strcmp(l->name, limits[k].name) == 0)
				l->resource = limits[k].resource;
		if (l->resource < 0)
			return oj_bad(&j, "type", "is not a resource limit of Linux");
		for (size_t k = 0; k + 1 < p->rlimits_n; k++)
			if (p->rlimits[k].resource == l->resource)
				return oj_bad(&j, "type", "is there twice");
	}
	return 0;
}

static int read_scheduler(const struct oj *up, struct oci_scheduler *s)
{
	static const char *const names[] = {"SCHED_OTHER", "SCHED_FIFO", "SCHED_RR",	   "SCHED_BATCH",
					    "SCHED_ISO",   "SCHED_IDLE", "SCHED_DEADLINE", NULL};
	static const struct {
		const char *name;
		uint64_t flag;
	} flags[] = {{"SCHED_FLAG_RESET_ON_FORK", 1},	 {"SCHED_FLAG_RECLAIM", 2},	 {"SCHED_FLAG_DL_OVERRUN", 4},
		     {"SCHED_FLAG_KEEP_POLICY", 8},	 {"SCHED_FLAG_KEEP_PARAMS", 16}, {"SCHED_FLAG_UTIL_CLAMP_MIN", 32},
		     {"SCHED_FLAG_UTIL_CLAMP_MAX", 64}};
	struct oj j = {.where = "process.scheduler", .fault = up->fault};
	AUTO_FREE char *policy = NULL;
	char **words = NULL;
	int64_t nice = 0, runtime = 0, deadline = 0, period = 0;
	int r = oj_object(up, "scheduler", &j.o);

	if (r < 0 || j.o == NULL)
		return r;
	if ((r = oj_string(&j, "policy", &policy)) < 0 || (r = oj_int(&j, "nice", -20, 19, &nice, NULL)) < 0 ||
	    (r = oj_u32(&j, "priority", &s->priority)) < 0 || (r = oj_int(&j, "runtime", 0, INT64_MAX, &runtime, NULL)) < 0 ||
	    (r = oj_int(&j, "deadline", 0, INT64_MAX, &deadline, NULL)) < 0 ||
	    (r = oj_int(&j, "period", 0, INT64_MAX, &period, NULL)) < 0)
		return r;
	s->set = true;
	s->nice = (int32_t)nice;
	s->runtime = (uint64_t)runtime;
	s->deadline = (uint64_t)deadline;
	s->period = (uint64_t)period;
	s->policy = UINT32_MAX;
	for (uint32_t i = 0; policy != NULL && names[i] != NULL; i++)
		if (strcmp(policy, names[i]) == 0)
			s->policy = i;
	if (s->policy == UINT32_MAX)
		return oj_bad(&j, "policy", "is not a scheduling policy of Linux");
	r = oj_strings(&j, "flags", &words);
	for (size_t i = 0; r == 0 && words != NULL && words[i] != NULL; i++) {
		uint64_t flag = 0;
		for (size_t k = 0; k < ARRAY_LEN(flags); k++)
			if (strcmp(words[i], flags[k].name) == 0)
				flag = flags[k].flag;
		s->flags |= flag;
		if (flag == 0)
			r = oj_bad(&j, "flags", "holds a word that is not a flag");
	}
	oj_strings_free(words);
	return r;
}

static int read_io_priority(const struct oj *up, struct oci_proc *p)
{
	static const struct {
		const char *name;
		int class;
	} classes[] = {{"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
		       {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
		       {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE}};
	struct oj j = {.where = "process.ioPriority", .fault = up->fault};
	AUTO_FREE char *class = NULL;
	int64_t priority = 0;
	int r = oj_object(up, "ioPriority", &j.o);

	if (r < 0 || j.o == NULL)
		return r;
	if ((r = oj_string(&j, "class", &class)) < 0 || (r = oj_int(&j, "priority", 0, 7, &priority, NULL)) < 0)
		return r;
	for (size_t i = 0; class != NULL && i < ARRAY_LEN(classes); i++)
		if (strcmp(class, classes[i].name) == 0) {
			p->io_priority_set = true;
			p->io_class = classes[i].class;
			p->io_priority = (int)priority;
		}
	return p->io_priority_set ? 0 : oj_bad(&j, "class", "is not an I/O class of Linux");
}

static int read_console(const struct oj *up, struct oci_proc *p)
{
	struct oj j = {.where = "process.consoleSize", .fault = up->fault};
	int64_t rows = 0, columns = 0;
	int r = oj_object(up, "consoleSize", &j.o);

	if (r < 0 || j.o == NULL)
		return r;
	if ((r = oj_int(&j, "height", 0, UINT16_MAX, &rows, NULL)) < 0 ||
	    (r = oj_int(&j, "width", 0, UINT16_MAX, &columns, NULL)) < 0)
		return r;
	p->rows = (unsigned int)rows;
	p->columns = (unsigned int)columns;
	return 0;
}

/* An empty label is none. */
static void drop_empty(char **s)
{
	if (*s != NULL && **s == '\0') {
		free(*s);
		*s = NULL;
	}
}

static int check(const struct oj *j, struct oci_proc *p)
{
	if (p->args == NULL || p->args[0] == NULL)
		return oj_bad(j, "args", "args must not be empty");
	if (p->cwd == NULL || p->cwd[0] != '/')
		return oj_bad(j, "cwd", "Cwd property must not be empty, and must be an absolute path");
	for (size_t i = 0; p->env != NULL && p->env[i] != NULL; i++)
		if (strchr(p->env[i], '=') == NULL || p->env[i][0] == '=')
			return oj_bad(j, "env", "invalid environment variable: must be NAME=VALUE");
	return 0;
}

struct oci_proc *oci_proc_free(struct oci_proc *p)
{
	if (p == NULL)
		return NULL;
	for (size_t i = 0; i < p->rlimits_n; i++)
		free(p->rlimits[i].name);
	free(p->rlimits);
	free(p->groups);
	oj_strings_free(p->args);
	oj_strings_free(p->env);
	free(p->cwd);
	free(p->apparmor);
	free(p->selinux);
	free(p);
	return NULL;
}

int oci_proc_parse(const json_t *o, struct oci_proc **ret_p, struct oci_fault *fault)
{
	static const char *const known[] = {
		"terminal", "consoleSize", "user", "args", "commandLine", "env", "cwd", "capabilities", "rlimits",
		"noNewPrivileges", "apparmorProfile", "oomScoreAdj", "scheduler", "selinuxLabel", "ioPriority", "execCPUAffinity", NULL};
	struct oj j = {.o = o, .where = "process", .fault = fault};
	struct oci_proc *p = calloc(1, sizeof(*p));
	int64_t oom = 0;
	int r;

	if (p == NULL)
		return -ENOMEM;
	if (!json_is_object(o)) {
		free(p);
		return oci_fail(fault, -EINVAL, "process must be an object");
	}
	oj_unknown(&j, known);
	if ((r = oj_refuse(&j, "commandLine", "is for Windows")) < 0 ||
	    (r = oj_refuse(&j, "execCPUAffinity", "is not supported")) < 0 || (r = oj_bool(&j, "terminal", &p->terminal)) < 0 ||
	    (r = read_console(&j, p)) < 0 || (r = read_user(&j, p)) < 0 || (r = oj_strings(&j, "args", &p->args)) < 0 ||
	    (r = oj_strings(&j, "env", &p->env)) < 0 || (r = oj_string(&j, "cwd", &p->cwd)) < 0 || (r = read_caps(&j, p)) < 0 ||
	    (r = read_limits(&j, p)) < 0 || (r = oj_bool(&j, "noNewPrivileges", &p->no_new_privs)) < 0 ||
	    (r = oj_string(&j, "apparmorProfile", &p->apparmor)) < 0 ||
	    (r = oj_int(&j, "oomScoreAdj", -1000, 1000, &oom, &p->oom_score_adj_set)) < 0 ||
	    (r = read_scheduler(&j, &p->scheduler)) < 0 || (r = oj_string(&j, "selinuxLabel", &p->selinux)) < 0 ||
	    (r = read_io_priority(&j, p)) < 0 || (r = check(&j, p)) < 0) {
		oci_proc_free(p);
		return r;
	}
	p->oom_score_adj = (int)oom;
	drop_empty(&p->apparmor);
	drop_empty(&p->selinux);
	*ret_p = p;
	return 0;
}
