/* `gabion completion bash`. */
#include "completion.h"

#include <stdio.h>

#include "agent.h"
#include "profile.h"

static const char bash_head[] =
	"# bash completion for gabion, made by: gabion completion bash\n"
	"\n"
	"# Ids of runs; with an argument only of those in progress.\n"
	"_gabion_runs() {\n"
	"\tlocal dir\n"
	"\tfor dir in \"${XDG_STATE_HOME:-$HOME/.local/state}\"/gabion/runs/*/; do\n"
	"\t\tdir=${dir%/}\n"
	"\t\tif [[ -d $dir && ( -z ${1-} || -S $dir/control.sock ) ]]; then echo \"${dir##*/}\"; fi\n"
	"\tdone\n"
	"}\n"
	"\n"
	"# Completes $1 from the words of the command line $2.\n"
	"_gabion_words() {\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$2\" -- \"$1\")\n"
	"}\n"
	"\n"
	"_gabion_files() {\n"
	"\tcompopt -o filenames 2>/dev/null\n"
	"\tmapfile -t COMPREPLY < <(compgen \"$2\" -- \"$1\")\n"
	"}\n"
	"\n"
	"_gabion() {\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
	"\tlocal sub='' options='' valued='' i=1 operands=0 operand=0 kind=''\n"
	"\tCOMPREPLY=()\n"
	"\t# --name=value comes in three words.\n"
	"\tif [[ $cur == = ]]; then\n"
	"\t\tcur=''\n"
	"\telif [[ $prev == = ]]; then\n"
	"\t\tprev=${COMP_WORDS[COMP_CWORD-2]}\n"
	"\tfi\n"
	"\twhile [[ $i -lt $COMP_CWORD && ${COMP_WORDS[i]} == -* ]]; do i=$((i + 1)); done\n"
	"\tif [[ $i -lt $COMP_CWORD ]]; then sub=${COMP_WORDS[i]}; fi\n"
	"\tcase $sub in\n";

static const char bash_scan[] = "\t*) return ;;\n"
				"\tesac\n"
				"\ti=$((i + 1))\n"
				"\twhile [[ $i -lt $COMP_CWORD ]]; do\n"
				"\t\tcase ${COMP_WORDS[i]} in\n"
				"\t\t--)\n"
				"\t\t\tif [[ $operands -eq 0 ]]; then operand=$((i + 1)); fi\n"
				"\t\t\toperands=$((operands + COMP_CWORD - i - 1))\n"
				"\t\t\tbreak\n"
				"\t\t\t;;\n"
				"\t\t-*)\n"
				"\t\t\tif [[ ${COMP_WORDS[i+1]-} == = ]]; then\n"
				"\t\t\t\ti=$((i + 2))\n"
				"\t\t\telif [[ \" $valued \" == *\" ${COMP_WORDS[i]} \"* ]]; then\n"
				"\t\t\t\ti=$((i + 1))\n"
				"\t\t\tfi\n"
				"\t\t\t;;\n"
				"\t\t*)\n"
				"\t\t\tif [[ $operands -eq 0 ]]; then operand=$i; fi\n"
				"\t\t\toperands=$((operands + 1))\n"
				"\t\t\tif [[ $kind == command ]]; then break; fi\n"
				"\t\t\t;;\n"
				"\t\tesac\n"
				"\t\ti=$((i + 1))\n"
				"\tdone\n"
				"\tif [[ $operand -eq 0 && \" $valued \" == *\" $prev \"* ]]; then\n"
				"\t\tcase $prev in\n";

static const char bash_tail[] =
	"\t\tesac\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tif [[ $operand -eq 0 && $cur == -* && -n $sub ]]; then\n"
	"\t\t_gabion_words \"$cur\" \"$options\"\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tcase $kind in\n"
	"\tcommand)\n"
	"\t\tif [[ $operand -eq 0 || $operand -eq $COMP_CWORD ]]; then\n"
	"\t\t\t_gabion_files \"$cur\" -c\n"
	"\t\telif declare -F _command_offset >/dev/null; then\n"
	"\t\t\t_command_offset \"$operand\"\n"
	"\t\telse\n"
	"\t\t\t_gabion_files \"$cur\" -f\n"
	"\t\tfi\n"
	"\t\t;;\n"
	"\trun) [[ $operands -gt 0 ]] || _gabion_words \"$cur\" \"$(_gabion_runs)\" ;;\n"
	"\tallow)\n"
	"\t\tcase $operands in\n"
	"\t\t0) _gabion_words \"$cur\" \"$(_gabion_runs live)\" ;;\n"
	"\t\t1) _gabion_words \"$cur\" '";

static const char bash_operands[] =
	"\t\t2) _gabion_files \"$cur\" -f ;;\n"
	"\t\tesac\n"
	"\t\t;;\n"
	"\tcheck)\n"
	"\t\tcase $operands in\n"
	"\t\t1) _gabion_words \"$cur\" 'read write exec connect' ;;\n"
	"\t\t*) _gabion_files \"$cur\" -f ;;\n"
	"\t\tesac\n"
	"\t\t;;\n"
	"\tshell) [[ $operands -gt 0 ]] || _gabion_words \"$cur\" 'bash zsh fish' ;;\n"
	"\tsubcommand) [[ $operands -gt 0 ]] || _gabion_words \"$cur\" '";

static const char bash_end[] = "' ;;\n"
			       "\tesac\n"
			       "}\n"
			       "\n"
			       "complete -F _gabion gabion\n";

static const char *operand_word(enum operand_hint hint)
{
	switch (hint) {
	case OPERAND_COMMAND:
		return "command";
	case OPERAND_SUBCOMMAND:
		return "subcommand";
	case OPERAND_RUN:
		return "run";
	case OPERAND_ALLOW:
		return "allow";
	case OPERAND_SHELL:
		return "shell";
	case OPERAND_CHECK:
		return "check";
	case OPERAND_NONE:
	default:
		return "";
	}
}

static void bash_value(const struct option_row *row)
{
	switch (row->hint) {
	case HINT_FILE:
		(void)printf("_gabion_files \"$cur\" -f");
		break;
	case HINT_DIR:
		(void)printf("_gabion_files \"$cur\" -d");
		break;
	case HINT_PROFILE:
		(void)printf("_gabion_words \"$cur\" '");
		completion_words(profile_names(), " ");
		(void)printf("'");
		break;
	case HINT_AGENT:
		(void)printf("_gabion_words \"$cur\" '");
		completion_words(agent_names(), " ");
		(void)printf(" none'");
		break;
	case HINT_MEDIATE:
		(void)printf("_gabion_words \"$cur\" 'auto all'");
		break;
	case HINT_SYSCALLS:
		(void)printf("_gabion_words \"$cur\" 'narrow usual wide'");
		break;
	case HINT_HOST:
		(void)printf("mapfile -t COMPREPLY < <(compgen -A hostname -- \"$cur\")");
		break;
	case HINT_ENV:
		(void)printf("mapfile -t COMPREPLY < <(compgen -e -- \"$cur\")");
		break;
	case HINT_USER:
		(void)printf("mapfile -t COMPREPLY < <(compgen -u -- \"$cur\")");
		break;
	case HINT_NONE:
	default:
		(void)printf(":");
		break;
	}
}

void completion_bash(void)
{
	(void)fputs(bash_head, stdout);
	for (int c = COMMAND_TOP; c < COMMAND_COUNT; c++) {
		const char *separator = "";

		(void)printf("\t%s)\n\t\tkind='%s'\n\t\toptions='",
			     c == COMMAND_TOP ? "''" : command_rows[c].name,
			     operand_word(command_rows[c].operand_hint));
		for (size_t i = 1; i < OPTION_COUNT; i++) {
			if (!completion_takes(c, &option_rows[i]))
				continue;
			(void)printf("%s--%s", separator, option_rows[i].name);
			separator = " ";
		}
		(void)printf("'\n\t\tvalued='");
		completion_valued(c);
		(void)printf("'\n\t\t;;\n");
	}
	(void)fputs(bash_scan, stdout);
	for (size_t i = 1; i < OPTION_COUNT; i++) {
		if (!option_rows[i].arg)
			continue;
		(void)printf("\t\t--%s", option_rows[i].name);
		if (option_rows[i].letter)
			(void)printf(" | -%c", option_rows[i].letter);
		(void)printf(") ");
		bash_value(&option_rows[i]);
		(void)printf(" ;;\n");
	}
	(void)fputs(bash_tail, stdout);
	(void)printf("%s' ;;\n%s", completion_allow_kinds, bash_operands);
	completion_subcommands();
	(void)fputs(bash_end, stdout);
}
