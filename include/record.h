/*
 * The record of decisions on its way from the sentry to the monitor: rings in shared memory, one for
 * refusals and one for the rest, so that a flood of permitted calls leaves room for refusals. The sentry
 * never waits: what does not fit is counted and dropped. The monitor does not trust what it reads (lengths
 * and enums are checked; strings are escaped when written as JSON).
 */
#ifndef GABION_RECORD_H
#define GABION_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { RECORD_OBJECT_MAX = 4096 };

enum record_flag {
	RECORD_REFUSED = 1 << 0,   /* the policy or the plan refused */
	RECORD_CONTINUED = 1 << 1, /* left to the kernel */
	RECORD_FAILED = 1 << 2,    /* permitted, and the kernel answered an errno when it was performed */
	RECORD_INTERNAL = 1 << 3,  /* a failure of ours denied it */
	RECORD_KILLED = 1 << 4,	   /* what was loaded, object, was not what had been permitted: its process was killed */
};

/* One decision. Text fields are byte strings of the guest: not UTF-8, no promise about control characters. */
struct record {
	uint64_t time_ns;    /* CLOCK_REALTIME */
	uint64_t args[6];
	uint64_t stack;      /* number of the snapshot of the caller's stack (tracer_msg.h), 0: none */
	int64_t result;      /* value or -errno told to the guest; 0 when continued */
	pid_t tid;           /* thread id in the guest's pid namespace as far as known, else the sentry's */
	pid_t tgid, ppid;    /* its process, and that one's parent, numbered likewise; 0: not known */
	int nr;
	uint32_t flags;      /* enum record_flag */
	uint32_t rule;       /* id of the rule that decided, UINT32_MAX: none */
	uint8_t level;       /* enum level */
	uint8_t op;          /* enum op */
	uint8_t reserved[2];
	uint16_t object_len; /* bytes of object, without NUL */
	uint16_t object2_len; /* second object (rename, link), after the first */
	char comm[16];
	char object[RECORD_OBJECT_MAX]; /* both objects; only the used bytes are stored in a ring */
};

struct record_ring;

/* Makes a shared ring pair (anonymous shared memory, inherited over fork). Sizes in bytes, powers of two. */
int record_ring_new(size_t refused_size, size_t other_size, struct record_ring **ret_r);
struct record_ring *record_ring_free(struct record_ring *r);
/* Sentry's side. Stores R (any thread). Returns false where it was dropped and counted. Never blocks. Wakes
 * the reader through its eventfd only when the reader said it sleeps. */
bool record_put(struct record_ring *r, const struct record *rec);
/* Monitor's side (one thread). Takes the oldest record; false where both rings are empty. A ring whose content
 * is impossible is reported once as *ret_broken and never read again. */
bool record_take(struct record_ring *r, struct record *ret_rec, bool *ret_broken);
/* Arms the wake-up; returns false where something is already there (do not sleep). */
bool record_arm(struct record_ring *r);
int record_eventfd(const struct record_ring *r);
/* Dropped so far: refusals and others. */
void record_dropped(const struct record_ring *r, uint64_t *ret_refused, uint64_t *ret_other);

/* Limits that were met where no control group holds them (sentry/tally.h). Any thread. */
enum record_limit {
	RECORD_LIMIT_PIDS = 0, /* as many processes as allowed: looks that saw so */
	RECORD_LIMIT_DATA,     /* a process with as much data as allowed: looks */
	RECORD_LIMIT_MEMORY,   /* the tree had more memory than allowed: processes killed for it */
	RECORD_LIMIT_COUNT
};
void record_limit_met(struct record_ring *r, enum record_limit what);
/* How often. */
void record_limits(const struct record_ring *r, uint64_t ret_met[RECORD_LIMIT_COUNT]);

#endif
