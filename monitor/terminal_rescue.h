/*
 * The user's terminal modes, given back whatever ends the monitor: exit(3) from anywhere, abort, a fault. Only the
 * process that took the terminal gives it back; children forked meanwhile do not touch it.
 */
#ifndef GABION_MONITOR_TERMINAL_RESCUE_H
#define GABION_MONITOR_TERMINAL_RESCUE_H

#include <stdbool.h>
#include <termios.h>

/* Is our process group in front on terminal FD? True too where FD is not our controlling terminal. */
bool rescue_foreground(int fd);
/* Sets MODES now, also from the background. Async-signal-safe, keeps errno. */
void rescue_set(int fd, const struct termios *modes);
/* What to give back: MODES, and file status FLAGS (-1: none), to FD. Installs what is needed for that once. */
void rescue_prepare(int fd, const struct termios *modes, int flags);
/* Between true and false the terminal is not as the user left it. */
void rescue_arm(bool armed);

#endif
