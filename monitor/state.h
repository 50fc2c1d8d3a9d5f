/*
 * Where gabion keeps things for a user: ${XDG_STATE_HOME:-~/.local/state}/gabion (mode 0700)
 *   home/PROFILE/       the private persistent $HOME of guests
 *   runs/ID/            one directory a run while it is kept: run.json (pid, start time, command, workspace,
 *                       started, status), record.jsonl, control.sock (only while it runs)
 * Run ids are short and unique: time and pid in base 32. Old runs beyond a cap are removed oldest first.
 */
#ifndef GABION_MONITOR_STATE_H
#define GABION_MONITOR_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { STATE_ID_MAX = 32 };

/* Path of the state directory, made where missing. -errno; -EPERM where it belongs to somebody else. Owned by the
 * caller (free). */
int state_dir(char **ret_path);
/* Private home of PROFILE, made where missing (mode 0700). */
int state_home(const char *profile, char **ret_path);
/* A new run directory; RET_ID is its last component. Prunes old ones. */
int state_run_new(char **ret_path, char ret_id[32]);
/* The directory of the run named ID or by a unique prefix of it; -ENOENT, -ENOTUNIQ. */
int state_run_find(const char *id, char **ret_path);

enum run_status {
	RUN_UNKNOWN = 0, /* no run.json, or one we cannot read */
	RUN_CRASHED,     /* it said it runs, and its process is gone */
	RUN_ENDED,
	RUN_RUNNING,
};

/* run.json. Strings are owned; command and workspace are well-formed UTF-8 (see text_clean()). */
struct state_run {
	char id[32];
	char *dir;              /* runs/ID */
	pid_t pid;              /* of the monitor */
	uint64_t start_ticks;   /* its start time since boot: a pid alone would name another process one day */
	uint64_t started_ns;    /* CLOCK_REALTIME */
	uint64_t ended_ns;      /* 0: not ended */
	char *command;          /* one line, words as a shell would take them */
	char *workspace;
	char *record;           /* path of the record, where it is not in the run's directory (--audit), or NULL */
	enum run_status status;
	int exit_status;        /* RUN_ENDED */
	uint64_t refused;       /* RUN_ENDED */
};

#define STATE_RUN_NULL ((struct state_run){ .dir = NULL })

/* Writes DIR/run.json for a run that this process begins. RECORD may be NULL. */
int state_run_begin(const char *dir, char *const *command, const char *workspace, const char *record);
/* Completes it: the run ended with EXIT_STATUS after REFUSED refusals. */
int state_run_end(const char *dir, int exit_status, uint64_t refused);
/* Reads it. A missing or broken run.json is RUN_UNKNOWN, not a failure. state_run_clear() it. */
int state_run_read(const char *dir, struct state_run *ret_run);
void state_run_clear(struct state_run *run);
/* All runs that are kept, newest first. state_run_list_free() it. */
int state_run_list(struct state_run **ret_runs, size_t *ret_n);
void state_run_list_free(struct state_run *runs, size_t n);

#endif
