/* `gabion help`, `gabion version`, and the --help of every subcommand, printed from the option table. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

#include "cli_option.h"

enum { HELP_COLUMN = 26, HELP_WIDTH = 80 };

/* Prints TEXT wrapped from column AT on, continued at HELP_COLUMN. */
static void print_wrapped(FILE *out, const char *text, int at)
{
	if (at >= HELP_COLUMN) {
		(void)fputc('\n', out);
		at = 0;
	}
	(void)fprintf(out, "%*s", HELP_COLUMN - at, "");
	at = HELP_COLUMN;
	while (*text) {
		int len = (int)strcspn(text, " ");
		if (at > HELP_COLUMN && at + 1 + len > HELP_WIDTH) {
			(void)fprintf(out, "\n%*s", HELP_COLUMN, "");
			at = HELP_COLUMN;
		} else if (at > HELP_COLUMN) {
			(void)fputc(' ', out);
			at++;
		}
		(void)fprintf(out, "%.*s", len, text);
		at += len;
		text += len;
		text += strspn(text, " ");
	}
	(void)fputc('\n', out);
}

static void print_option(FILE *out, const struct option_row *row)
{
	char text[512];
	int at;

	if (row->letter)
		at = fprintf(out, "  -%c, --%s", row->letter, row->name);
	else
		at = fprintf(out, "      --%s", row->name);
	if (row->arg)
		at += fprintf(out, " %s", row->arg);
	if (row->not_yet != NOT_YET_NONE)
		(void)snprintf(text, sizeof(text), "%s (not yet: arrives with %s)", row->help,
			       option_not_yet_subject(row->not_yet));
	else
		(void)snprintf(text, sizeof(text), "%s", row->help);
	print_wrapped(out, text, at + 1 > HELP_COLUMN ? HELP_COLUMN : at);
}

void help_print(FILE *out, enum command command)
{
	const struct command_row *row = &command_rows[command];

	(void)fprintf(out, "usage: gabion %s%s%s\n\n", row->name, *row->name ? " " : "", row->operands);
	if (command == COMMAND_TOP)
		(void)fprintf(out, "gabion: %s\n\n", row->summary);
	else
		(void)fprintf(out, "%c%s.\n", row->summary[0] - 'a' + 'A', row->summary + 1);
	(void)fprintf(out, "%s\n", row->details);
	if (command == COMMAND_TOP) {
		(void)fprintf(out, "\nSubcommands\n");
		for (int i = COMMAND_TOP + 1; i < COMMAND_COUNT; i++) {
			int at = fprintf(out, "  %s", command_rows[i].name);
			print_wrapped(out, command_rows[i].summary, at);
		}
	}
	for (int g = 0; g < GROUP_COUNT; g++) {
		bool titled = false;

		for (size_t i = 1; i < OPTION_COUNT; i++) {
			const struct option_row *o = &option_rows[i];
			if (o->group != (enum option_group)g || !(o->commands & (UINT32_C(1) << command)))
				continue;
			if (!titled)
				(void)fprintf(out, "\n%s\n",
					      g == GROUP_OTHER && command != COMMAND_RUN &&
							      command != COMMAND_EXPLAIN
						      ? "Options"
						      : option_group_title((enum option_group)g));
			titled = true;
			print_option(out, o);
		}
	}
	(void)fprintf(out, "\nThe manual: man gabion\n");
}

int cli_help(int argc, char **argv)
{
	enum command command = COMMAND_TOP;
	enum option_id id;
	const char *value;
	int state = 0, status;

	if (!cli_option(COMMAND_HELP, argc, argv, &state, &id, &value, &status) ||
	    !cli_operands(COMMAND_HELP, argc, argv, state, 0, 1, &status))
		return status;
	if (argv[state]) {
		command = command_by_name(argv[state]);
		if (command == COMMAND_COUNT) {
			const char *near = nearest_command(argv[state]);
			char hint[64] = "gabion help lists them";
			if (near)
				(void)snprintf(hint, sizeof(hint), "did you mean %s?", near);
			cli_error(hint, "no subcommand is called '%s'", argv[state]);
			return EXIT_GABION;
		}
	}
	help_print(stdout, command);
	return cli_flush();
}

int cli_version(int argc, char **argv)
{
	enum option_id id;
	const char *value;
	int state = 0, status;

	if (!cli_option(COMMAND_VERSION, argc, argv, &state, &id, &value, &status) ||
	    !cli_operands(COMMAND_VERSION, argc, argv, state, 0, 0, &status))
		return status;
	(void)printf("gabion %s\n", GABION_VERSION);
	return cli_flush();
}
