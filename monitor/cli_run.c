/* `gabion run`: the command line becomes struct run_options; everything else is supervise.c's. */
#include "cli.h"

#include "cli_option.h"
#include "supervise.h"

int cli_run(int argc, char **argv)
{
	struct run_options o;
	struct options_fault fault;
	int r = options_parse(COMMAND_RUN, argc, argv, &o, NULL, &fault);

	if (r != 0)
		return cli_fault(COMMAND_RUN, r, &fault);
	r = supervise_run(&o);
	run_options_clear(&o);
	return r;
}
