/*
 * The only way to a traced process. A backend (seccomp notification, ptrace, or a test's script) stands
 * behind these operations; all of sentry/ is written against them and unit-tested with a fake.
 *
 * Every call returns 0, a negative errno (our failure), or MECH_E_GONE: the guest died or was interrupted
 * (by a signal, before the call was taken up), which is normal: the call is dropped without effect.
 * next() may also return MECH_E_END: no guest is left that could ever send an event.
 */
#ifndef GABION_MECH_H
#define GABION_MECH_H

#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "reply.h"

enum {
	MECH_E_GONE = 1,
	MECH_E_END = 2,
	MECH_E_EMPTY = 3, /* try_next() alone: nothing waits */
};

struct mech;

struct mech_ops {
	/* Sleeps until the next event. */
	int (*next)(struct mech *m, struct event *ret_ev);
	/* The same without sleep, from any thread: MECH_E_EMPTY where nothing waits (it may sleep a moment where another
	 * thread was faster). NULL: the backend cannot. */
	int (*try_next)(struct mech *m, struct event *ret_ev);
	/* 0 while the caller of EV still waits for our answer: what was read about it is about it. */
	int (*alive)(struct mech *m, const struct event *ev);
	/* Reads exactly LEN bytes of the guest's memory; -EFAULT where a byte cannot be read. */
	int (*read)(struct mech *m, const struct event *ev, uint64_t addr, void *buf, size_t len);
	/* Reads a NUL-terminated string of at most SIZE bytes with its NUL; -ENAMETOOLONG without one, -EFAULT. */
	int (*read_str)(struct mech *m, const struct event *ev, uint64_t addr, char *buf, size_t size);
	/* Writes exactly LEN bytes into the guest's memory; -EFAULT. */
	int (*write)(struct mech *m, const struct event *ev, uint64_t addr, const void *buf, size_t len);
	/* Answers EV. Consumes r->fd in every case. A reply that fails is answered with an errno instead. */
	int (*reply)(struct mech *m, const struct event *ev, const struct reply *r);
	void (*close)(struct mech *m);
};

struct mech {
	const struct mech_ops *ops;
};

/* mech_notify.c: seccomp user notification over LISTENER (owned from now on). */
int mech_notify_new(int listener, struct mech **ret_mech);

#endif
