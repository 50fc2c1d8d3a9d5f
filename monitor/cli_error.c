/* What people are told when something is wrong: one line, and at most one more that says how to mend it. */
#include "cli.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli_option.h"

void cli_error(const char *hint, const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* One write for all of it: other processes write to the same terminal. */
	if (hint && *hint)
		(void)fprintf(stderr, "gabion: %s\n        %s\n", text, hint);
	else
		(void)fprintf(stderr, "gabion: %s\n", text);
	(void)fflush(stderr);
}

int cli_fault(enum command command, int r, const struct options_fault *fault)
{
	if (r == OPTIONS_HELP) {
		help_print(stdout, command);
		return cli_flush();
	}
	if (r == OPTIONS_WRONG)
		cli_error(fault->hint, "%s", fault->text);
	else
		cli_error(NULL, "out of memory");
	return EXIT_GABION;
}

bool cli_option(enum command command, int argc, char **argv, int *state, enum option_id *ret_id,
		const char **ret_value, int *ret_status)
{
	struct options_fault fault;
	int r = options_next(command, argc, argv, state, ret_id, ret_value, &fault);

	if (r == 0)
		return true;
	*ret_status = cli_fault(command, r, &fault);
	return false;
}

bool cli_operands(enum command command, int argc, char **argv, int first, int min, int max, int *ret_status)
{
	int n = argc - first;

	if (n >= min && n <= max)
		return true;
	if (n > max)
		cli_error(NULL, "%s: '%s' is one argument too many: gabion %s %s", command_rows[command].name,
			  argv[first + max], command_rows[command].name, command_rows[command].operands);
	else
		cli_error(NULL, "%s: an argument is missing: gabion %s %s", command_rows[command].name,
			  command_rows[command].name, command_rows[command].operands);
	*ret_status = EXIT_GABION;
	return false;
}

int cli_flush(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	cli_error(NULL, "cannot write the output: %m");
	return EXIT_GABION;
}
