/*
 * An agent's state directory as a private copy: what of the real home AGENT names is copied into the private
 * home before a run and never written back, so that hooks, MCP servers and settings a guest plants are never
 * executed outside.
 */
#ifndef GABION_MONITOR_AGENT_STATE_H
#define GABION_MONITOR_AGENT_STATE_H

#include "agent.h"

/*
 * Copies A's state from $HOME into HOME_SOURCE (the private home on the host). A file is copied when the
 * private home has none, or when the host's changed since it was last copied (its mtime is kept on the copy
 * at first, a note of it in .gabion-imported); what the guest wrote is kept otherwise. Symlinks are copied as
 * links only where they stay below the copied directory; sockets, FIFOs and devices not at all. Bounded: 64
 * MiB and 20,000 entries, then it stops with -EFBIG. 0 or negative errno; nothing there is 0.
 */
int agent_state_copy(const struct agent *a, const char *home_source);

#endif
