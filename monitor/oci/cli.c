/*
 * The OCI runtime's front door: global options, which subcommand, and how a fault is told.
 *
 * As under runc a fault is one line of the log, and, where the log is a file, plain text on standard error as well:
 * podman's monitor shows the one, the shims of containerd read the last line of the other.
 */
#include "monitor/oci/cli.h"
#include "monitor/oci/container.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/err.h"

static int (*const commands[OCI_COMMAND_COUNT])(struct oci_line *line) = {
	[OCI_COMMAND_CREATE] = oci_cli_create, [OCI_COMMAND_START] = oci_cli_start,
	[OCI_COMMAND_RUN] = oci_cli_run,       [OCI_COMMAND_STATE] = oci_cli_state,
	[OCI_COMMAND_KILL] = oci_cli_kill,     [OCI_COMMAND_DELETE] = oci_cli_delete,
	[OCI_COMMAND_EXEC] = oci_cli_exec,     [OCI_COMMAND_PS] = oci_cli_ps,
	[OCI_COMMAND_LIST] = oci_cli_list,     [OCI_COMMAND_PAUSE] = oci_cli_pause,
	[OCI_COMMAND_RESUME] = oci_cli_resume, [OCI_COMMAND_UPDATE] = oci_cli_update,
	[OCI_COMMAND_EVENTS] = oci_cli_events, [OCI_COMMAND_FEATURES] = oci_cli_features,
	[OCI_COMMAND_SPEC] = oci_cli_spec,
};

int oci_report(const struct oci_globals *g, const struct oci_fault *fault)
{
	const char *text = fault->text[0] != '\0' ? fault->text : "failed without saying why";

	oci_log(OCI_ERROR, "%s", text);
	if (g->log_elsewhere)
		fprintf(stderr, "%s\n", text);
	return 1;
}

static int print_version(void)
{
	const struct scmp_version *v = seccomp_version();

	printf("gabion-oci version %s\ncommit: %s\nspec: 1.2.0\n", GABION_VERSION, GABION_VERSION);
	if (v != NULL)
		printf("libseccomp: %u.%u.%u\n", v->major, v->minor, v->micro);
	return fflush(stdout) == 0 ? 0 : 1;
}

/* Descriptors 0 to 2 that are closed: what is opened next would take their place, and the container inherit it. */
static void fill_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

/* What the global options say until all are read. */
struct raw_globals {
	const char *root, *log;
	bool json, debug, systemd, version;
};

static int take_global(enum oci_option option, const char *value, struct oci_globals *g, struct raw_globals *raw,
		       struct oci_fault *fault)
{
	switch ((int)option) {
	case OCI_OPTION_ROOT:
		raw->root = value;
		break;
	case OCI_OPTION_LOG:
		raw->log = value;
		break;
	case OCI_OPTION_LOG_FORMAT:
		raw->json = strcmp(value, "json") == 0;
		if (!raw->json && strcmp(value, "text") != 0)
			return oci_fail(fault, -EINVAL, "invalid log-format: %s", value);
		break;
	case OCI_OPTION_DEBUG:
		raw->debug = oci_flag(value);
		break;
	case OCI_OPTION_SYSTEMD_CGROUP:
		raw->systemd = oci_flag(value);
		break;
	case OCI_OPTION_CGROUP_MANAGER:
		if (strcmp(value, "cgroupfs") == 0)
			g->manager = OCI_CGROUPFS;
		else if (strcmp(value, "systemd") == 0)
			g->manager = OCI_SYSTEMD;
		else if (strcmp(value, "disabled") == 0)
			g->manager = OCI_CGROUP_DISABLED;
		else
			return oci_fail(fault, -EINVAL, "unknown cgroup manager specified: %s", value);
		break;
	case OCI_OPTION_ROOTLESS:
		if (strcmp(value, "auto") == 0)
			break;
		if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
			return oci_fail(fault, -EINVAL, "strconv.ParseBool: parsing \"%s\": invalid syntax", value);
		g->optional = value[0] == 't';
		break;
	case OCI_OPTION_VERSION:
		raw->version = oci_flag(value);
		break;
	default:
		break;
	}
	return 0;
}

static int open_log(const struct raw_globals *raw, struct oci_globals *g, struct oci_fault *fault)
{
	int fd = -1;

	if (raw->log != NULL && raw->log[0] != '\0') {
		fd = open(raw->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
		if (fd < 0)
			return oci_fail_errno(fault, err_now(), "open %s", raw->log);
		g->log_elsewhere = strcmp(raw->log, "/dev/stderr") != 0;
	}
	oci_log_open(fd, raw->json, raw->debug ? OCI_DEBUG : OCI_INFO);
	return 0;
}

static enum oci_command by_name(const char *name)
{
	for (int i = OCI_COMMAND_TOP + 1; i < OCI_COMMAND_COUNT; i++)
		if (strcmp(oci_command_rows[i].name, name) == 0)
			return (enum oci_command)i;
	return OCI_COMMAND_COUNT;
}

int oci_main(int argc, char **argv, char **whole)
{
	struct oci_globals g = {.optional = !oci_privileged()};
	struct oci_line line = {.command = OCI_COMMAND_TOP, .argc = argc, .argv = argv, .globals = &g};
	struct raw_globals raw = {.root = NULL};
	struct oci_fault fault = OCI_FAULT_NULL;
	enum oci_option option;
	const char *value;
	int status = 0, more, r = 0;

	fill_standard();
	oci_log_open(-1, 0, OCI_INFO);
	while (r == 0 && (more = oci_option(&line, &option, &value, &status)) != 0) {
		if (more < 0)
			return status;
		r = take_global(option, value, &g, &raw, &fault);
	}
	if (raw.systemd && g.manager == OCI_CGROUPFS)
		g.manager = OCI_SYSTEMD;
	if (r == 0 && raw.version)
		return print_version();
	if (r == 0)
		r = open_log(&raw, &g, &fault);
	if (r < 0)
		return oci_report(&g, &fault);
	if (line.operands_n == 0 || strcmp(line.operands[0], "help") == 0) {
		enum oci_command about = line.operands_n > 1 ? by_name(line.operands[1]) : OCI_COMMAND_TOP;
		oci_help(stdout, about == OCI_COMMAND_COUNT ? OCI_COMMAND_TOP : about);
		return fflush(stdout) == 0 ? 0 : 1;
	}
	enum oci_command command = by_name(line.operands[0]);
	if (command == OCI_COMMAND_COUNT) {
		(void)oci_fail(&fault, -EINVAL, "No help topic for '%.200s'", line.operands[0]);
		(void)oci_report(&g, &fault);
		return 3;
	}
	if (command != OCI_COMMAND_FEATURES && command != OCI_COMMAND_SPEC &&
	    oci_state_root(raw.root, &g.root, &fault) < 0)
		return oci_report(&g, &fault);
	/* Those whose processes go inside: from a copy that nobody there can write to. */
	bool inside = command == OCI_COMMAND_CREATE || command == OCI_COMMAND_RUN || command == OCI_COMMAND_EXEC;
	if (inside && oci_self_protect(whole, &fault) < 0) {
		free(g.root);
		return oci_report(&g, &fault);
	}
	struct oci_line sub = {.command = command, .argc = line.operands_n, .argv = line.operands, .globals = &g};
	status = commands[command](&sub);
	free(g.root);
	return status;
}
