/*
 * The guest's own terminal. Where a standard descriptor of gabion is a terminal, the guest gets the slave of
 * a pty of its own (made in the guest's devpts; the master comes here) and the monitor relays bytes, window size and
 * job control between the two, so that the user's real terminal is never in the guest's hands.
 */
#ifndef GABION_MONITOR_TERMINAL_H
#define GABION_MONITOR_TERMINAL_H

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>
#include <poll.h>
#include <termios.h>
#include <sys/ioctl.h>

struct terminal;

/* What a fresh pty should look like: the user's modes and size, taken before the run starts. */
struct terminal_look {
	bool wanted; /* one of the descriptors 0..2 is a terminal */
	bool is_tty[3];
	struct termios modes;
	struct winsize size;
};

/* Looks at 0..2. Never fails: without a terminal .wanted is false. */
void terminal_look(struct terminal_look *ret_look);

/* Gives FD, a pty's slave (or its master), the user's modes and size. For the guest's side, before its command runs. 0 or
 * negative errno. */
int terminal_dress(int fd, const struct terminal_look *look);

/* Takes over the user's terminal and relays to MASTER (owned from now on). In the background (not the terminal's
 * foreground group) it neither reads nor changes modes until brought forward. 0 or negative errno. */
int terminal_open(int master, const struct terminal_look *look, struct terminal **ret_t);

/* For the monitor's poll(2) loop: up to 4 entries are filled, their number returned. */
int terminal_poll(struct terminal *t, struct pollfd fds[4]);
/* Moves what is ready after that poll; 0, or negative errno when the user's terminal is gone (the run ends). */
int terminal_serve(struct terminal *t, const struct pollfd *fds, int n);

void terminal_resize(struct terminal *t);  /* after SIGWINCH */
void terminal_suspend(struct terminal *t); /* before the monitor stops itself: restore the user's modes */
void terminal_resume(struct terminal *t);  /* after SIGCONT: raw again, size again */
/* Everything the guest wrote before its end is written out (at most TIMEOUT_MS), then the user's modes, foreground
 * group and flags are as before. Takes NULL, returns NULL. */
struct terminal *terminal_close(struct terminal *t, int timeout_ms);

#endif
