/* What subcommands share: reading options by the table with faults and --help answered, and the end of their
 * output. */
#ifndef GABION_MONITOR_CLI_OPTION_H
#define GABION_MONITOR_CLI_OPTION_H

#include <stdbool.h>
#include <stdio.h>

#include "options_table.h"

/*
 * For the loop of a subcommand: reads its next option (see options_next()). True: RET_ID is it, or
 * OPTION_NONE with *STATE the index of the first operand. False: help or a fault was printed; RET_STATUS is
 * the exit status.
 */
bool cli_option(enum command command, int argc, char **argv, int *state, enum option_id *ret_id,
		const char **ret_value, int *ret_status);
/* False, with a sentence printed, where there are not MIN to MAX operands from argv[FIRST] on. */
bool cli_operands(enum command command, int argc, char **argv, int first, int min, int max, int *ret_status);
/* Prints what a result other than 0 of options_next() or options_parse() says; returns the exit status. */
int cli_fault(enum command command, int r, const struct options_fault *fault);
/* Flushes standard output; 0, or EXIT_GABION with a sentence where it could not be written. */
int cli_flush(void);

/* `gabion help`, and the help of one command (cli_help.c). */
int cli_help(int argc, char **argv);
int cli_version(int argc, char **argv);
void help_print(FILE *out, enum command command);

#endif
