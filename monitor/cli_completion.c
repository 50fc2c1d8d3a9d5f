/*
 * `gabion completion bash|zsh|fish`: scripts made from the option table. Each consists of a fixed part, which
 * finds out where on the line the cursor is, and of tables printed from ours: the subcommands, their options,
 * which of those take a value, and what each value may be. Behind the command of `gabion run` the shell's own
 * completion of that command takes over. One file a shell (completion_*.c); here is what they share.
 */
#include "cli.h"

#include <stdio.h>
#include <string.h>

#include "cli_option.h"
#include "completion.h"
#include "oci/cli.h"

static const char *const shells[] = {"bash", "zsh", "fish", NULL};
const char completion_allow_kinds[] = "read write net publish";

bool completion_takes(int command, const struct option_row *row)
{
	return row->id != OPTION_NONE && (row->commands & (UINT32_C(1) << command));
}

/* Prints a list with SEPARATOR between its words. */
void completion_words(const char *const *words, const char *separator)
{
	for (const char *const *w = words; *w; w++)
		(void)printf("%s%s", w == words ? "" : separator, *w);
}

/* Prints TEXT for the inside of single quotes; for zsh also what its specs treat as special is escaped. */
void completion_quoted(const char *text, bool zsh, bool fish)
{
	for (const char *c = text; *c; c++) {
		if (*c == '\'')
			(void)fputs(fish ? "\\'" : "'\\''", stdout);
		else if (zsh && strchr("[]:\\", *c))
			(void)printf("\\%c", *c);
		else if (fish && *c == '\\')
			(void)fputs("\\\\", stdout);
		else
			(void)fputc(*c, stdout);
	}
}

/* Every option of COMMAND that takes a value, in each spelling, with a blank before each. */
void completion_valued(int command)
{
	for (size_t i = 1; i < OPTION_COUNT; i++) {
		if (!completion_takes(command, &option_rows[i]) || !option_rows[i].arg)
			continue;
		(void)printf(" --%s", option_rows[i].name);
		if (option_rows[i].letter)
			(void)printf(" -%c", option_rows[i].letter);
	}
}

void completion_subcommands(void)
{
	for (int i = COMMAND_TOP + 1; i < COMMAND_COUNT; i++)
		(void)printf("%s%s", i == COMMAND_TOP + 1 ? "" : " ", command_rows[i].name);
}

int cli_completion(int argc, char **argv)
{
	enum option_id id;
	const char *value, *near;
	int state = 0, status;

	if (!cli_option(COMMAND_COMPLETION, argc, argv, &state, &id, &value, &status) ||
	    !cli_operands(COMMAND_COMPLETION, argc, argv, state, 1, 1, &status))
		return status;
	if (strcmp(argv[state], "bash") == 0) {
		completion_bash();
		oci_completion_bash();
	} else if (strcmp(argv[state], "zsh") == 0) {
		completion_zsh();
	} else if (strcmp(argv[state], "fish") == 0) {
		completion_fish();
	} else {
		near = nearest_word(argv[state], shells);
		cli_error("there are bash, zsh and fish", "completion: no shell is called '%.80s'%s%s",
			  argv[state], near ? ": did you mean " : "", near ? near : "");
		return EXIT_GABION;
	}
	return cli_flush();
}
