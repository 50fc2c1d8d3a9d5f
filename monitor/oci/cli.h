/*
 * The OCI runtime's command line: one file a group of subcommands (cli_NAME.c), no mechanism in them. A subcommand reads
 * its options with oci_option(), and returns the exit status: 0, 1 for a failure (255 for exec's own), a container's.
 */
#ifndef GABION_OCI_CLI_H
#define GABION_OCI_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "monitor/oci/cgroup.h"
#include "monitor/oci/fault.h"
#include "monitor/oci/state.h"

enum oci_command {
#define OCI_CMD(id, ...) OCI_COMMAND_##id,
#include "monitor/oci/cli.tbl"
	OCI_COMMAND_COUNT
};

enum oci_option {
	OCI_OPTION_NONE = 0,
#define OCI_OPT(commands, id, ...) OCI_OPTION_##id,
#include "monitor/oci/cli.tbl"
	OCI_OPTION_COUNT
};

struct oci_command_row {
	const char *name, *operands;
	int min, max;
	const char *summary;
};

struct oci_option_row {
	uint32_t commands;
	char letter;
	const char *name, *arg, *help;
};

extern const struct oci_command_row oci_command_rows[OCI_COMMAND_COUNT];
extern const struct oci_option_row oci_option_rows[OCI_OPTION_COUNT];

bool oci_option_of(enum oci_command command, enum oci_option option);

/* What the global options said. */
struct oci_globals {
	char *root; /* the state directory, see oci_state_root() */
	enum oci_cgroup_manager manager;
	bool optional; /* --rootless: cgroups that cannot be made are done without */
	bool log_elsewhere; /* the log is not standard error: a fault goes there as well */
};

/* A command line while it is read. *argv* begins with the subcommand's name. */
struct oci_line {
	enum oci_command command;
	int argc;
	char **argv;
	const struct oci_globals *globals;
	/* after the last option */
	char **operands;
	int operands_n;
	bool begun;
};

/*
 * The next option. 1: RET_OPTION and RET_VALUE ("true" or "false" for a flag); 0: none left, the operands are there and
 * as many as they have to be; -1: help or a fault was printed, *RET_STATUS is the exit status.
 */
int oci_option(struct oci_line *line, enum oci_option *ret_option, const char **ret_value, int *ret_status);
bool oci_flag(const char *value);

/* Reports FAULT as engines read it, to the log and to standard error. Returns 1, the exit status. */
int oci_report(const struct oci_globals *g, const struct oci_fault *fault);
void oci_help(FILE *out, enum oci_command command);

/* The program: `gabion-oci ...`, or `gabion oci ...` from "oci" on; WHOLE is all of the process's own. */
int oci_main(int argc, char **argv, char **whole);

int oci_cli_create(struct oci_line *line);
int oci_cli_start(struct oci_line *line);
int oci_cli_run(struct oci_line *line);
int oci_cli_state(struct oci_line *line);
int oci_cli_kill(struct oci_line *line);
int oci_cli_delete(struct oci_line *line);
int oci_cli_exec(struct oci_line *line);
int oci_cli_ps(struct oci_line *line);
int oci_cli_list(struct oci_line *line);
int oci_cli_pause(struct oci_line *line);
int oci_cli_resume(struct oci_line *line);
int oci_cli_update(struct oci_line *line);
int oci_cli_events(struct oci_line *line);
int oci_cli_features(struct oci_line *line);
int oci_cli_spec(struct oci_line *line);

/* Prints bash's completion of this command line (completion.c), for the end of `gabion completion bash`. */
void oci_completion_bash(void);

/* "KILL", "SIGKILL", "9", "RTMIN+3": the signal's number, or -EINVAL. */
int oci_signal_number(const char *text);
/* "512m", "2g", "-1": bytes. -EINVAL. */
int oci_bytes(const char *text, int64_t *ret_bytes);
/* A whole number, perhaps negative. -EINVAL. */
int oci_integer(const char *text, int64_t *ret_v);
/* "5s", "1m30s", "250ms": milliseconds, at least 1. -EINVAL. */
int oci_duration_ms(const char *text, int64_t *ret_ms);

/* Removes container ID with all that is its own (delete.c). FORCE: whatever its state, and fine if it is not there. */
int oci_delete(const char *root, const char *id, bool force, struct oci_fault *fault);

#endif
