/*
 * What the sentry and the tracer say to each other, and what the tracer tells the monitor.
 *
 * The tracer is the only ptracer. It parses nothing a guest wrote and knows no rule: it takes hold of a thread for the
 * length of one system call, and compares numbers.
 *
 *   guest      a thread waits in a notified call; it runs no instruction before it is answered
 *   sentry     TRACER_EXEC or TRACER_SNAPSHOT: this thread, please
 *   tracer     PTRACE_SEIZE, PTRACE_INTERRUPT; TRACER_HELD (.err 0, or why it could not)
 *   sentry     asks that the notification still is alive, so that the thread held is the one that called (a number
 *              may be used again), and answers the call: continue (exec), the refusal (snapshot)
 *   tracer     exec succeeded: at the exec stop, before the first instruction, compares what was loaded; lets go, or
 *              kills and says TRACER_KILLED. Exec failed, or snapshot: the thread stops on its way back to user mode,
 *              before its next instruction: copies what was asked for, lets go.
 *
 * Nothing needs to be taken back: a thread that was held in vain stops once, and is let go. While one request of a thread
 * group is under way, further ones of that group wait in the tracer: a seize would wait for the exec of the group, which
 * waits for its other threads to be reaped.
 *
 * The messages have one size; anything else ends the run. Ids of processes are those of the sentry's pid namespace.
 */
#ifndef GABION_TRACER_MSG_H
#define GABION_TRACER_MSG_H

#include <stdint.h>

enum tracer_kind {
	TRACER_NONE = 0, /* never valid */
	/* sentry -> tracer */
	TRACER_EXEC,	 /* .id .tid .tgid .exe .loader .flags */
	TRACER_SNAPSHOT, /* .id .tid .tgid .bytes */
	TRACER_GO,	 /* answer to TRACER_STOPPED: .err 0: let it run; else kill it */
	/* tracer -> sentry */
	TRACER_HELD,	/* .id .err: 0, or a positive errno: it was not held. EAGAIN: too many (snapshots); EPERM: traced by another */
	TRACER_STOPPED, /* .id .tgid: at the exec stop, what was loaded is right; only where TRACER_WANTS_ARGS was said */
	TRACER_ENDED,	/* .id: the exec failed or its caller died; only where TRACER_WANTS_ARGS was said */
	TRACER_KILLED,	/* .id .tgid .path: something else was loaded, .path (cut), or the arguments were refused: it did not run */
};

enum tracer_flag {
	TRACER_WANTS_ARGS = 1 << 0, /* the sentry looks at the new arguments before the program runs */
};

/* A file by identity. Zero names nothing: whatever is loaded is wrong then. */
struct tracer_file {
	uint64_t dev, ino;	   /* as stat(2) has them */
	uint64_t map_dev, map_ino; /* as /proc/PID/maps has them, which differ on overlayfs and btrfs */
};

enum { TRACER_PATH_MAX = 512, TRACER_STACK_MAX = 64 << 10, TRACER_MAPS_MAX = 256 << 10 };

struct tracer_msg {
	uint32_t kind;
	int32_t err;
	uint64_t id; /* the sentry's name for the request */
	int32_t tid, tgid;
	uint32_t flags;
	uint32_t bytes;		 /* SNAPSHOT: of the stack, at most TRACER_STACK_MAX */
	struct tracer_file exe;	 /* what /proc/PID/exe must be: the last interpreter of a script's chain, or the program */
	struct tracer_file loader; /* the ELF interpreter of that; all zero: it has none */
	char path[TRACER_PATH_MAX];
};

/*
 * tracer -> monitor, one a snapshot, with a sealed memory file: first .stack_len bytes of the stack from .stack_at on, then
 * .maps_len bytes of the text of /proc/TID/maps, whole lines. Everything but .id is the guest's word: hostile input.
 */
struct tracer_snapshot {
	uint64_t id; /* of the TRACER_SNAPSHOT: the sentry puts the same into the record */
	int32_t tid, tgid;
	uint32_t stack_len, maps_len;
	uint64_t stack_at; /* below the stack pointer by the red zone */
	/* Registers as in struct user_regs_struct of <sys/user.h>, orig_rax among them: the number of the call. */
	uint64_t regs[27];
};

#endif
