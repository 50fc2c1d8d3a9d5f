/* `update` and `events`: a container's limits changed, and what it uses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "monitor/oci/cli.h"
#include "util/err.h"

/* Numbers of options with the field each goes to. */
static struct oci_number *number_of(struct oci_resources *r, enum oci_option option, bool *ret_bytes)
{
	*ret_bytes = false;
	switch ((int)option) {
	case OCI_OPTION_BLKIO_WEIGHT:
		return &r->blkio.weight;
	case OCI_OPTION_CPU_PERIOD:
		return &r->cpu.period;
	case OCI_OPTION_CPU_QUOTA:
		return &r->cpu.quota;
	case OCI_OPTION_CPU_BURST:
		return &r->cpu.burst;
	case OCI_OPTION_CPU_SHARE:
		return &r->cpu.shares;
	case OCI_OPTION_CPU_RT_PERIOD:
		return &r->cpu.rt_period;
	case OCI_OPTION_CPU_RT_RUNTIME:
		return &r->cpu.rt_runtime;
	case OCI_OPTION_CPU_IDLE:
		return &r->cpu.idle;
	case OCI_OPTION_PIDS_LIMIT:
		return &r->pids;
	default:
		break;
	}
	*ret_bytes = true;
	switch ((int)option) {
	case OCI_OPTION_MEMORY:
		return &r->memory.limit;
	case OCI_OPTION_MEMORY_RESERVATION:
		return &r->memory.reservation;
	case OCI_OPTION_MEMORY_SWAP:
		return &r->memory.swap;
	case OCI_OPTION_KERNEL_MEMORY:
		return &r->memory.kernel;
	case OCI_OPTION_KERNEL_MEMORY_TCP:
		return &r->memory.kernel_tcp;
	default:
		return NULL;
	}
}

static int take(struct oci_resources *r, enum oci_option option, const char *value, struct oci_fault *fault)
{
	bool bytes;
	int64_t v;

	if (option == OCI_OPTION_CPUSET_CPUS || option == OCI_OPTION_CPUSET_MEMS) {
		char **text = option == OCI_OPTION_CPUSET_CPUS ? &r->cpu.cpus : &r->cpu.mems;
		free(*text);
		*text = strdup(value);
		return *text == NULL ? oci_fail_errno(fault, -ENOMEM, "update") : 0;
	}
	struct oci_number *number = number_of(r, option, &bytes);
	if (number == NULL)
		return 0;
	if (value[0] == '\0') /* engines pass empty ones for what is not to change */
		return 0;
	if (bytes ? oci_bytes(value, &v) < 0 : oci_integer(value, &v) < 0)
		return oci_fail(fault, -EINVAL, "invalid value for %s: %.80s", oci_option_rows[option].name, value);
	*number = (struct oci_number){.v = v, .set = true};
	return 0;
}

static int read_file(const char *path, struct oci_resources *ret_r, struct oci_fault *fault)
{
	json_error_t error;
	json_t *o = strcmp(path, "-") == 0 ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &error)
					   : json_load_file(path, JSON_REJECT_DUPLICATES, &error);

	if (o == NULL)
		return oci_fail(fault, -EINVAL, "%s:%d:%d: %s", path, error.line, error.column, error.text);
	int r = oci_resources_parse(o, ret_r, fault);
	json_decref(o);
	return r;
}

int oci_cli_update(struct oci_line *line)
{
	struct oci_resources res = OCI_RESOURCES_NULL;
	struct oci_fault fault = OCI_FAULT_NULL;
	struct oci_handle h = OCI_HANDLE_NULL;
	struct oci_state s = OCI_STATE_NULL;
	const char *value, *file = NULL;
	enum oci_option option;
	int status = 0, more, r = 0;

	while (r == 0 && (more = oci_option(line, &option, &value, &status)) != 0) {
		if (more < 0) {
			oci_resources_clear(&res);
			return status;
		}
		if (option == OCI_OPTION_RESOURCES)
			file = value;
		else
			r = take(&res, option, value, &fault);
	}
	if (r == 0 && file != NULL) {
		oci_resources_clear(&res);
		r = read_file(file, &res, &fault);
	}
	if (r == 0)
		r = oci_state_open(line->globals->root, line->operands[0], &h, &fault);
	if (r == 0)
		r = oci_state_read(&h, &s, &fault);
	if (r == 0 && oci_state_status(&s) == OCI_STOPPED)
		r = oci_fail(&fault, -ESRCH, "container not running");
	if (r == 0 && s.cgroup == NULL)
		r = oci_fail(&fault, -EOPNOTSUPP, "container has no cgroup");
	if (r == 0)
		r = oci_cgroup_update(s.cgroup, &res, &fault);
	oci_state_clear(&s);
	oci_state_close(&h);
	oci_resources_clear(&res);
	return r < 0 ? oci_report(line->globals, &fault) : 0;
}

static int print_event(const char *type, const char *id, json_t *data)
{
	json_t *o = json_pack("{s:s, s:s}", "type", type, "id", id);

	if (data != NULL)
		(void)json_object_set_new(o, "data", data);
	int r = json_dumpf(o, stdout, JSON_COMPACT);
	json_decref(o);
	return r < 0 || putchar('\n') == EOF || fflush(stdout) != 0 ? -EIO : 0;
}

int oci_cli_events(struct oci_line *line)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	struct oci_handle h = OCI_HANDLE_NULL;
	struct oci_state s = OCI_STATE_NULL;
	enum oci_option option;
	const char *value;
	bool once = false;
	int64_t interval = 5000, slept = 0;
	int status = 0, more, r = 0;

	while (r == 0 && (more = oci_option(line, &option, &value, &status)) != 0) {
		if (more < 0)
			return status;
		if (option == OCI_OPTION_STATS)
			once = oci_flag(value);
		else if (oci_duration_ms(value, &interval) < 0)
			r = oci_fail(&fault, -EINVAL, "duration interval must be greater than 0");
	}
	const char *id = r == 0 ? line->operands[0] : "";
	if (r == 0)
		r = oci_state_peek(line->globals->root, id, &h, &fault);
	if (r == 0)
		r = oci_state_read(&h, &s, &fault);
	oci_state_close(&h);
	if (r == 0 && oci_state_status(&s) == OCI_STOPPED)
		r = oci_fail(&fault, -ESRCH, "container with id %s is not running", id);
	if (r == 0 && s.cgroup == NULL)
		r = oci_fail(&fault, -EOPNOTSUPP, "container has no cgroup");
	uint64_t killed = r == 0 ? oci_cgroup_oom_kills(s.cgroup) : 0;
	bool first = true;
	while (r == 0) {
		if (once || slept >= interval || first) {
			r = print_event("stats", id, oci_cgroup_stats(s.cgroup));
			slept = 0;
		}
		first = false;
		if (once || oci_state_status(&s) == OCI_STOPPED)
			break;
		int64_t step = interval < 200 ? interval : 200;
		struct timespec t = {.tv_sec = 0, .tv_nsec = step * 1000000};
		(void)nanosleep(&t, NULL);
		slept += step;
		uint64_t now = oci_cgroup_oom_kills(s.cgroup);
		for (; r == 0 && killed < now; killed++)
			r = print_event("oom", id, NULL);
	}
	oci_state_clear(&s);
	return r < 0 && fault.text[0] != '\0' ? oci_report(line->globals, &fault) : 0;
}
