/*
 * What a known coding agent needs: data files policy/agents/NAME.yaml, embedded in the binary, read with libyaml.
 */
#ifndef GABION_MONITOR_AGENT_H
#define GABION_MONITOR_AGENT_H

#include "options.h"

struct agent {
	char *name;
	struct string_list commands;   /* base names of commands that mean this agent */
	struct string_list hosts;      /* hosts it talks to (HOST[:PORT]) */
	struct string_list keys;       /* variables that hold its credentials: passed */
	struct string_list state;      /* files and directories below $HOME: private copies ("~/.claude", "~/.claude.json") */
	struct string_list state_skip; /* below those: not copied (caches, transcripts) */
	struct string_list args;       /* appended to the command's arguments: turn its own sandbox off */
	struct string_list env;        /* K=V: set in the guest */
	char *note;                    /* one line for people, or NULL */
};

/* The agent called NAME; -ENOENT, -ENOMEM, -EBADMSG (data file broken). */
int agent_load(const char *name, struct agent *ret_agent);
/* The agent that COMMAND's base name means; -ENOENT where none does. */
int agent_infer(const char *command, struct agent *ret_agent);
void agent_free(struct agent *a);
/* NULL-terminated list of names, static. */
const char *const *agent_names(void);

#endif
