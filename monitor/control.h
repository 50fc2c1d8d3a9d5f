/*
 * The control socket of a run: runs/ID/control.sock (mode 0600 in a 0700 directory; the peer's uid is checked
 * with SO_PEERCRED), by which the host's user lists and widens a run in progress. One JSON object a line each way.
 */
#ifndef GABION_MONITOR_CONTROL_H
#define GABION_MONITOR_CONTROL_H

struct control;

/* What the loop is asked to do; 0 or negative errno, with a sentence for the user in RET_TEXT (static). */
struct control_ops {
	/* KIND: "read", "write", "net", ...; OBJECT as typed. */
	int (*allow)(void *ctx, const char *kind, const char *object, const char **ret_text);
	void *ctx;
};

int control_open(const char *run_dir, const struct control_ops *ops, struct control **ret_c);
/* One pollable descriptor (an epoll) for everything; serve never blocks. */
int control_fd(const struct control *c);
void control_serve(struct control *c);
struct control *control_close(struct control *c);

/* Client: asks the run at RUN_DIR; 0, or negative errno. RET_TEXT (free it; unchanged where no answer came) is the run's answer for
 * people, also with a negative result. -ENOENT, -ECONNREFUSED: it does not run. -EACCES: it does not talk to us. */
int control_ask_allow(const char *run_dir, const char *kind, const char *object, char **ret_text);

#endif
