/* `gabion completion fish`. */
#include "completion.h"

#include <stdio.h>

#include "agent.h"
#include "profile.h"

static const char fish_head[] =
	"# fish completion for gabion, made by: gabion completion fish\n"
	"\n"
	"# Sets the caller's $sub (the subcommand) and $rest (its operands, without the word being typed).\n"
	"function __gabion_line --no-scope-shadowing\n"
	"    set sub\n"
	"    set rest\n"
	"    set -l words (commandline -opc)\n"
	"    set -e words[1]\n"
	"    while set -q words[1]; and string match -q -- '-*' $words[1]\n"
	"        set -e words[1]\n"
	"    end\n"
	"    set -q words[1]; or return\n"
	"    set sub $words[1]\n"
	"    set -e words[1]\n"
	"    while set -q words[1]\n"
	"        if test \"$words[1]\" = --\n"
	"            set -e words[1]\n"
	"            set ended 1\n"
	"            break\n"
	"        else if not string match -q -- '-*' $words[1]\n"
	"            break\n"
	"        end\n"
	"        if contains -- $words[1] $__gabion_valued\n"
	"            set -e words[1]\n"
	"            set -q words[1]; or return\n"
	"        end\n"
	"        set -e words[1]\n"
	"    end\n"
	"    set rest $words\n"
	"end\n"
	"\n"
	"# True while the options of subcommand $argv[1] are being typed (empty: gabion's own).\n"
	"function __gabion_options\n"
	"    set -l ended\n"
	"    set -l sub\n"
	"    set -l rest\n"
	"    __gabion_line\n"
	"    test \"$sub\" = \"$argv[1]\"; and not set -q rest[1]; and test -z \"$ended\"\n"
	"end\n"
	"\n"
	"# True where operand number $argv[2] of subcommand $argv[1] is being typed.\n"
	"function __gabion_operand\n"
	"    set -l ended\n"
	"    set -l sub\n"
	"    set -l rest\n"
	"    __gabion_line\n"
	"    test \"$sub\" = \"$argv[1]\"; and test (math (count $rest) + 1) = \"$argv[2]\"\n"
	"end\n"
	"\n"
	"# Completes the command behind gabion run as if it were typed alone.\n"
	"function __gabion_command\n"
	"    set -l ended\n"
	"    set -l sub\n"
	"    set -l rest\n"
	"    __gabion_line\n"
	"    contains -- \"$sub\" run explain; or return\n"
	"    if not set -q rest[1]; and string match -q -- '-*' (commandline -ct)\n"
	"        return\n"
	"    end\n"
	"    complete -C (string join ' ' -- (string escape -- $rest) (commandline -ct))\n"
	"end\n"
	"\n"
	"# Ids of runs; with an argument only of those in progress.\n"
	"function __gabion_runs\n"
	"    set -l base ~/.local/state\n"
	"    set -q XDG_STATE_HOME; and set base $XDG_STATE_HOME\n"
	"    for run in $base/gabion/runs/*/\n"
	"        if test -z \"$argv[1]\"; or test -S $run/control.sock\n"
	"            path basename $run\n"
	"        end\n"
	"    end\n"
	"end\n"
	"\n"
	"complete -c gabion -f\n";

static void fish_value(const struct option_row *row)
{
	switch (row->hint) {
	case HINT_FILE:
		(void)printf(" -r -F");
		break;
	case HINT_DIR:
		(void)printf(" -x -a '(__fish_complete_directories)'");
		break;
	case HINT_PROFILE:
		(void)printf(" -x -a '");
		completion_words(profile_names(), " ");
		(void)printf("'");
		break;
	case HINT_AGENT:
		(void)printf(" -x -a '");
		completion_words(agent_names(), " ");
		(void)printf(" none'");
		break;
	case HINT_MEDIATE:
		(void)printf(" -x -a 'auto all'");
		break;
	case HINT_SYSCALLS:
		(void)printf(" -x -a 'narrow usual wide'");
		break;
	case HINT_HOST:
		(void)printf(" -x -a '(__fish_print_hostnames)'");
		break;
	case HINT_ENV:
		(void)printf(" -x -a '(set -xn)'");
		break;
	case HINT_USER:
		(void)printf(" -x -a '(__fish_complete_users)'");
		break;
	case HINT_NONE:
	default:
		(void)printf(" -x");
		break;
	}
}

static void fish_operands(int c)
{
	const char *name = command_rows[c].name;

	switch (command_rows[c].operand_hint) {
	case OPERAND_SUBCOMMAND:
		for (int i = COMMAND_TOP + 1; i < COMMAND_COUNT; i++) {
			(void)printf("complete -c gabion -n '__gabion_%s \"%s\"%s' -a %s -d '",
				     c == COMMAND_TOP ? "options" : "operand", name,
				     c == COMMAND_TOP ? "" : " 1", command_rows[i].name);
			completion_quoted(command_rows[i].summary, false, true);
			(void)printf("'\n");
		}
		break;
	case OPERAND_COMMAND:
		(void)printf("complete -c gabion -n '__gabion_operand %s 1' -F\n", name);
		break;
	case OPERAND_RUN:
		(void)printf("complete -c gabion -n '__gabion_operand %s 1' -a '(__gabion_runs)'\n", name);
		break;
	case OPERAND_ALLOW:
		(void)printf("complete -c gabion -n '__gabion_operand %s 1' -a '(__gabion_runs live)'\n"
			     "complete -c gabion -n '__gabion_operand %s 2' -a '%s'\n"
			     "complete -c gabion -n '__gabion_operand %s 3' -F\n",
			     name, name, completion_allow_kinds, name);
		break;
	case OPERAND_SHELL:
		(void)printf("complete -c gabion -n '__gabion_operand %s 1' -a 'bash zsh fish'\n", name);
		break;
	case OPERAND_CHECK:
		(void)printf("complete -c gabion -n '__gabion_operand %s 1' -F\n"
			     "complete -c gabion -n '__gabion_operand %s 2' -a 'read write exec connect'\n"
			     "complete -c gabion -n '__gabion_operand %s 3' -F\n",
			     name, name, name);
		break;
	case OPERAND_NONE:
	default:
		break;
	}
}

void completion_fish(void)
{
	(void)printf("%s", fish_head);
	(void)printf("complete -c gabion -a '(__gabion_command)'\n\nset -g __gabion_valued");
	for (size_t i = 1; i < OPTION_COUNT; i++) {
		if (!option_rows[i].arg)
			continue;
		(void)printf(" --%s", option_rows[i].name);
		if (option_rows[i].letter)
			(void)printf(" -%c", option_rows[i].letter);
	}
	(void)printf("\n");
	for (int c = COMMAND_TOP; c < COMMAND_COUNT; c++) {
		(void)printf("\n");
		for (size_t i = 1; i < OPTION_COUNT; i++) {
			const struct option_row *row = &option_rows[i];
			if (!completion_takes(c, row))
				continue;
			(void)printf("complete -c gabion -n '__gabion_options \"%s\"' -l %s",
				     command_rows[c].name, row->name);
			if (row->letter)
				(void)printf(" -s %c", row->letter);
			if (row->arg)
				fish_value(row);
			(void)printf(" -d '");
			completion_quoted(row->help, false, true);
			(void)printf("'\n");
		}
		fish_operands(c);
	}
}
