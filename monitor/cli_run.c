/* `gabion run`: the command line becomes struct run_options; everything else is supervise.c's. */
#include "cli.h"

#include <errno.h>
#include <string.h>

#include "cli_option.h"
#include "environment.h"
#include "groups.h"
#include "policy_open.h"
#include "supervise.h"
#include "tracer.h"
#include "util/err.h"

/* The policy and the groups of hosts of O. 0, or the exit status with everything said. */
static int open_policy(struct run_options *o)
{
	struct lang_messages m = {.v = NULL};
	struct string_list notes = {NULL, 0};
	AUTO_FREE char *why = NULL;
	int r = policy_open(o, &m);

	policy_messages_print(&m, !o->quiet);
	if (r == LANG_INVALID)
		cli_error(NULL, "the policy is not valid: nothing was run");
	else if (r < 0)
		cli_error(NULL, "the policy: %s", strerror(-r));
	lang_messages_free(&m);
	if (r == 0) {
		r = groups_resolve(o, &notes, &why);
		if (r != 0)
			cli_error(NULL, "%s", why ? why : strerror(r < 0 ? -r : EINVAL));
	}
	for (size_t i = 0; i < notes.n && !o->quiet; i++)
		fprintf(stderr, "gabion: %s\n", notes.v[i]);
	string_list_free(&notes);
	/* Of what is permitted only where the wait for an answer cannot be interrupted: else the call would be made twice. */
	if (r == 0 && o->audit_stacks == AUDIT_ALL && !tracer_works()) {
		o->audit_stacks = AUDIT_DENIED;
		if (!o->quiet)
			fprintf(stderr, "gabion: only stacks of who is refused are recorded here: it takes Linux 5.19, and ptrace\n");
	}
	return r == 0 ? 0 : EXIT_GABION;
}

int cli_run(int argc, char **argv)
{
	struct run_options o;
	struct options_fault fault;
	int r = options_parse(COMMAND_RUN, argc, argv, &o, NULL, &fault);

	if (r != 0)
		return cli_fault(COMMAND_RUN, r, &fault);
	r = open_policy(&o);
	if (r == 0)
		r = supervise_run(&o);
	run_options_clear(&o);
	return r;
}
