/*
 * The monitor's life of one run: build the floor, start the processes, relay the terminal, signals and time, write
 * the record, and end with the command's status.
 */
#ifndef GABION_MONITOR_SUPERVISE_H
#define GABION_MONITOR_SUPERVISE_H

#include "options.h"

/* Runs O's command. Returns the exit status for gabion itself: the command's own, 128+signal, 124 (--timeout), 125 (gabion
 * failed; the reason was printed), 126, 127. */
int supervise_run(const struct run_options *o);

#endif
