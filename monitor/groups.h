/*
 * Groups of hosts: "@NAME" in network.groups and --net. A group is, in this order: one the policy defines itself, a data file
 * (policy/groups), a coding agent's hosts (policy/agents), or a tool that is asked on the host, when the run starts, where it
 * gets packages from (@npm, @pip, @cargo, @go), so that mirrors count and nothing goes stale.
 */
#ifndef GABION_MONITOR_GROUPS_H
#define GABION_MONITOR_GROUPS_H

#include "monitor/options.h"
#include "policy/lang.h"

/* Whether NAME ("@github") is no group; RET_TEXT (allocated; NULL: no memory) says so with what was meant. V may be NULL. */
bool groups_fault(const struct lang_values *v, const char *name, char **ret_text);

/*
 * Puts the hosts of O's groups into o->net, those of "@NAME" in o->net in its place, with origins "@NAME, ORIGIN". Asks
 * tools (groups_ask()); what a tool did not tell is a line for people in NOTES. 0, -ENOMEM, or LANG_INVALID with RET_WHY
 * (allocated): no such group.
 */
int groups_resolve(struct run_options *o, struct string_list *notes, char **ret_why);

/* groups_ask.c: NULL-terminated names of the tools that can be asked. */
const char *const *groups_tools(void);
/*
 * Where TOOL gets packages from: HOST:PORT added to HOSTS; a line in NOTES for what it did not tell. The tool is looked for in
 * PATH, but not below a directory of AVOID (NULL-terminated: workspaces, where a guest could have put one), runs in /, and is
 * ended after five seconds. -ENOMEM, -ENOENT: no such tool in groups_tools().
 */
int groups_ask(const char *tool, const char *const *avoid, struct string_list *hosts, struct string_list *notes);

#endif
