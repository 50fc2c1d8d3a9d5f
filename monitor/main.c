/* The front door: which subcommand, and nothing else. */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cli_option.h"
#include "oci/cli.h"

static int (*const subcommands[COMMAND_COUNT])(int argc, char **argv) = {
	[COMMAND_RUN] = cli_run,	   [COMMAND_DOCTOR] = cli_doctor,
	[COMMAND_CHECK] = cli_check,
	[COMMAND_EXPLAIN] = cli_explain,   [COMMAND_PS] = cli_ps,
	[COMMAND_LOG] = cli_log,	   [COMMAND_ALLOW] = cli_allow,
	[COMMAND_BENCH] = cli_bench,
	[COMMAND_SYSCALLS] = cli_syscalls, [COMMAND_COMPLETION] = cli_completion,
	[COMMAND_HELP] = cli_help,	   [COMMAND_VERSION] = cli_version,
};

/* A word that is no subcommand: mistyped, or a command somebody wants to run. */
static int unknown_subcommand(const char *word)
{
	const char *near = nearest_command(word);
	char hint[256];

	if (near)
		(void)snprintf(hint, sizeof(hint),
			       "did you mean gabion %s? To run a command: gabion run -- COMMAND", near);
	else
		(void)snprintf(hint, sizeof(hint),
			       "to run it: gabion run -- %.80s; all subcommands: gabion --help", word);
	cli_error(hint, "no subcommand is called '%.80s'", word);
	return EXIT_GABION;
}

int main(int argc, char **argv)
{
	enum command command;
	enum option_id id;
	const char *value, *self;
	int state = 0, status;

	if (argc < 1)
		return EXIT_GABION;
	self = strrchr(argv[0], '/');
	self = self ? self + 1 : argv[0];
	if (strcmp(self, "gabion-oci") == 0)
		return oci_main(argc, argv, argv);
	if (!cli_option(COMMAND_TOP, argc, argv, &state, &id, &value, &status))
		return status;
	if (id == OPTION_VERSION) {
		char name[] = "version", *words[] = {name, NULL};
		return cli_version(1, words);
	}
	if (!argv[state]) {
		help_print(stderr, COMMAND_TOP);
		return EXIT_GABION;
	}
	if (strcmp(argv[state], "oci") == 0)
		return oci_main(argc - state, argv + state, argv);
	command = command_by_name(argv[state]);
	if (command >= COMMAND_COUNT || !subcommands[command])
		return unknown_subcommand(argv[state]);
	return subcommands[command](argc - state, argv + state);
}
