/* Completion of gabion-oci's command line for bash, from its table: commands, their options, and for operands the ids of
 * containers. Behind `exec CONTAINER` and `ps CONTAINER` nothing is offered: that is a command line in there. */
#include <stdio.h>

#include "monitor/oci/cli.h"

static const char head[] = "\n_gabion_oci() {\n"
			   "\tlocal cur=${COMP_WORDS[COMP_CWORD]} command='' i\n"
			   "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
			   "\t\tcase ${COMP_WORDS[i]} in\n"
			   "\t\t--root | --log | --log-format | --cgroup-manager | --rootless | --criu) ((i++)) ;;\n"
			   "\t\t-*) ;;\n"
			   "\t\t*) command=${COMP_WORDS[i]}; break ;;\n"
			   "\t\tesac\n"
			   "\tdone\n"
			   "\tlocal options='' words=''\n"
			   "\tcase $command in\n";

static const char tail[] = "\tesac\n"
			   "\tif [[ $cur == -* ]]; then\n"
			   "\t\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\")\n"
			   "\telif [[ -z $words ]] && ((COMP_CWORD > i)); then\n"
			   "\t\tmapfile -t COMPREPLY < <(compgen -W \"$(gabion-oci list -q 2>/dev/null)\" -- \"$cur\"; "
			   "compgen -f -- \"$cur\")\n"
			   "\telse\n"
			   "\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
			   "\tfi\n"
			   "}\n"
			   "complete -F _gabion_oci gabion-oci\n";

void oci_completion_bash(void)
{
	(void)fputs(head, stdout);
	for (int c = OCI_COMMAND_TOP; c < OCI_COMMAND_COUNT; c++) {
		const char *separator = "";
		(void)printf("\t%s) options='", c == OCI_COMMAND_TOP ? "''" : oci_command_rows[c].name);
		for (int i = 1; i < OCI_OPTION_COUNT; i++)
			if (oci_option_of((enum oci_command)c, (enum oci_option)i)) {
				(void)printf("%s--%s", separator, oci_option_rows[i].name);
				separator = " ";
			}
		(void)printf("'");
		if (c == OCI_COMMAND_TOP) {
			(void)printf(" words='");
			for (int k = OCI_COMMAND_TOP + 1; k < OCI_COMMAND_COUNT; k++)
				(void)printf("%s%s", k == OCI_COMMAND_TOP + 1 ? "" : " ", oci_command_rows[k].name);
			(void)printf("'");
		}
		(void)printf(" ;;\n");
	}
	(void)fputs(tail, stdout);
}
