/* What the scripts for the three shells are made with (cli_completion.c), and their makers, which print to
 * stdout. */
#ifndef GABION_MONITOR_COMPLETION_H
#define GABION_MONITOR_COMPLETION_H

#include <stdbool.h>

#include "options_table.h"

/* What `gabion allow RUN` is followed by, with blanks between. */
extern const char completion_allow_kinds[];

/* Whether COMMAND (an enum command) takes the option of ROW. */
bool completion_takes(int command, const struct option_row *row);
/* Prints the NULL-terminated WORDS with SEPARATOR between them. */
void completion_words(const char *const *words, const char *separator);
/* Prints TEXT for the inside of single quotes; ZSH: of a spec of _arguments; FISH: by fish's rules. */
void completion_quoted(const char *text, bool zsh, bool fish);
/* Prints every option of COMMAND that takes a value, in each spelling, with a blank before each. */
void completion_valued(int command);
/* Prints the subcommands with blanks between. */
void completion_subcommands(void);

void completion_bash(void);
void completion_zsh(void);
void completion_fish(void);

#endif
