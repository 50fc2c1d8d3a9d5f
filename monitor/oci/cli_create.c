/* `create`, `start`, `run`. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/oci/cli.h"
#include "monitor/oci/container.h"
#include "util/err.h"

/* The prefix runc's faults of these carry. */
static int failed(const struct oci_line *line, const struct oci_fault *fault, const char *what)
{
	struct oci_fault with = *fault;

	(void)oci_fail_in(&with, 0, what);
	return oci_report(line->globals, &with);
}

static int read_options(struct oci_line *line, struct oci_create_options *o, char bundle[PATH_MAX], int *ret_status,
			struct oci_fault *fault)
{
	const char *value, *directory = ".";
	enum oci_option option;
	int64_t number;
	int more;

	while ((more = oci_option(line, &option, &value, ret_status)) > 0) {
		switch ((int)option) {
		case OCI_OPTION_BUNDLE:
			directory = value;
			break;
		case OCI_OPTION_CONSOLE_SOCKET:
			o->console_socket = value;
			break;
		case OCI_OPTION_PID_FILE:
			o->pid_file = value;
			break;
		case OCI_OPTION_NO_PIVOT:
			o->no_pivot = oci_flag(value);
			break;
		case OCI_OPTION_NO_NEW_KEYRING:
			o->no_new_keyring = oci_flag(value);
			break;
		case OCI_OPTION_PRESERVE_FDS:
			if (oci_integer(value, &number) < 0 || number < 0 || number > 1000000)
				return oci_fail(fault, -EINVAL, "invalid value \"%.80s\" for flag -preserve-fds", value);
			o->preserve_fds = (unsigned int)number;
			break;
		case OCI_OPTION_DETACH:
			o->detach = oci_flag(value);
			break;
		case OCI_OPTION_KEEP:
			o->keep = oci_flag(value);
			break;
		default:
			break;
		}
	}
	if (more < 0)
		return 1;
	if (realpath(directory[0] == '\0' ? "." : directory, bundle) == NULL)
		return oci_fail_errno(fault, err_now(), "chdir %.1000s", directory);
	o->root = line->globals->root;
	o->id = line->operands[0];
	o->bundle = bundle;
	o->cgroup_manager = line->globals->manager;
	o->cgroups_optional = line->globals->optional;
	return 0;
}

int oci_cli_create(struct oci_line *line)
{
	struct oci_create_options o = OCI_CREATE_OPTIONS_NULL;
	struct oci_fault fault = OCI_FAULT_NULL;
	char bundle[PATH_MAX];
	int status = 0;

	int r = read_options(line, &o, bundle, &status, &fault);
	if (r > 0)
		return status;
	oci_state_sweep(line->globals->root);
	if (r == 0)
		r = oci_create(&o, &fault);
	return r < 0 ? failed(line, &fault, "runc create failed") : 0;
}

int oci_cli_start(struct oci_line *line)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	enum oci_option option;
	const char *value;
	int status = 0;

	if (oci_option(line, &option, &value, &status) < 0)
		return status;
	return oci_start(line->globals->root, line->operands[0], &fault) < 0 ? oci_report(line->globals, &fault) : 0;
}

static int delete_forced(const char *root, const char *id, struct oci_fault *fault)
{
	return oci_delete(root, id, true, fault);
}

int oci_cli_run(struct oci_line *line)
{
	struct oci_create_options o = OCI_CREATE_OPTIONS_NULL;
	struct oci_fault fault = OCI_FAULT_NULL;
	char bundle[PATH_MAX];
	int status = 0;

	int r = read_options(line, &o, bundle, &status, &fault);
	if (r > 0)
		return status;
	oci_state_sweep(line->globals->root);
	if (r == 0)
		r = oci_run(&o, delete_forced, &status, &fault);
	return r < 0 ? failed(line, &fault, "runc run failed") : status;
}
