/*
 * Where gabion keeps things for a user: ${XDG_STATE_HOME:-~/.local/state}/gabion (mode 0700)
 *   home/PROFILE/       the private persistent $HOME of guests
 *   runs/ID/            one directory a run while it is kept: run.json (pid, start time, command, workspace,
 *                       started, status), record.jsonl, control.sock (only while it runs)
 * Run ids are short and unique: time and pid in base 32. Old runs beyond a cap are removed oldest first.
 */
#ifndef GABION_MONITOR_STATE_H
#define GABION_MONITOR_STATE_H

#include <stddef.h>
#include <sys/types.h>

/* Path of the state directory, made where missing. -errno. Owned by the caller (free). */
int state_dir(char **ret_path);
/* Private home of PROFILE, made where missing (mode 0700). */
int state_home(const char *profile, char **ret_path);
/* A new run directory; RET_ID is its last component. Prunes old ones. */
int state_run_new(char **ret_path, char ret_id[32]);
/* The directory of the run named ID or by a unique prefix of it; -ENOENT, -ENOTUNIQ. */
int state_run_find(const char *id, char **ret_path);

#endif
