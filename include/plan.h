/*
 * The plan: for each family of calls the cheapest sound way on this host. plan_make() is pure: (policy,
 * floor facts, wishes) to a level and a reason for each key. NATIVE and OBSERVE are only given out from an
 * allow list of pairs (floor fact, key), each proven by a differential test: tests/floor/pairs.tbl names it,
 * and a unit test fails where the two lists differ.
 */
#ifndef GABION_PLAN_H
#define GABION_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "policy.h"
#include "table.h"

/* Zero is the strictest. */
enum level {
	LEVEL_DENY = 0, /* errno from the filter */
	LEVEL_EMULATE,  /* notified, performed by the sentry */
	LEVEL_VERIFY,   /* exec alone: notified, decided, continued under the tracer, which compares what was loaded */
	LEVEL_OBSERVE,  /* notified, recorded, refused early with a reason, else continued: the floor holds every rule */
	LEVEL_NATIVE,   /* allowed by the filter: the floor holds every rule and nobody asked for a record */
};

/* What the plan speaks about: a family, where one level does not fit all of its calls, a part of one. */
enum plan_key {
	PLAN_READ = 0, /* FAM_OPEN without a flag that writes or creates */
	PLAN_WRITE,    /* FAM_OPEN else */
	PLAN_META,
	PLAN_CHANGE,
	PLAN_LIST,
	PLAN_CHDIR,
	PLAN_EXEC,
	PLAN_WATCH,
	PLAN_SOCKET,
	PLAN_CONNECT,
	PLAN_BIND,
	PLAN_SEND,
	PLAN_SIGNAL,
	PLAN_PROCESS,
	PLAN_TRACE,
	PLAN_RING,
	PLAN_COUNT
};

/* Facts about the floor that was really built (monitor/floor sets them after the fact, never before). */
enum floor_fact {
	FLOOR_VIEW = 1 << 0,         /* mount view: only what the rules read is mounted, read-only but for write rules */
	FLOOR_VIEW_NOEXEC = 1 << 1,  /* in that view everything writable but the exec exceptions is noexec */
	FLOOR_LANDLOCK_FS = 1 << 2,  /* Landlock rules for read, write and exec rules without globs */
	FLOOR_LANDLOCK_TCP = 1 << 3, /* Landlock refuses every TCP bind, and connects but to ports that network rules name */
	FLOOR_LANDLOCK_SCOPE = 1 << 4, /* Landlock scopes signals and abstract sockets to the tree (ABI 6) */
	FLOOR_PIDNS = 1 << 5,        /* pid namespace of its own: no other process can be named */
	FLOOR_NETNS = 1 << 6,        /* network namespace of its own: loopback, and the edge where rules name hosts */
	FLOOR_IPCNS = 1 << 7,
	FLOOR_USERNS = 1 << 8,
	FLOOR_NNP = 1 << 9,          /* no_new_privs, empty capability sets */
	FLOOR_CGROUP_KILL = 1 << 10,
	FLOOR_STDIO = 1 << 11, /* no descriptor the guest is given is a file that could be executed through it */
	FLOOR_TRACER = 1 << 12, /* not of the floor, but asked like it: the tracer can verify an exec */
	/* All of the view that is mounted writable has a write rule, no other file is open to us, and a Landlock domain lets nothing
	 * else (a FIFO, a device under a read-only mount) be opened for writing, and no device node be made. */
	FLOOR_VIEW_WRITES = 1 << 13,
	FLOOR_CONTAINER = 1 << 14, /* a container an engine made: its mounts and namespaces are what it may use, and the host's
				      sockets that protect rules name are covered among them (monitor/oci) */
};

#define FLOOR_FACTS_END (1 << 15)

struct plan_wish {
	bool mediate_all;   /* --mediate all: emulate wherever emulation exists */
	bool record_reads;  /* refused reads are wanted in the record (the default): observe instead of native */
	bool rings;         /* io_uring: restricted; else no ring is given */
	bool datagram_stdio; /* a standard descriptor is a Unix datagram socket: a ring could send from it to any path */
	bool record_all;    /* permitted reads as well, looks at metadata among them: nothing that reads stays native */
	enum sys_list list; /* the calls that may be made at all */
};

struct plan {
	enum level level[PLAN_COUNT];
	const char *why[PLAN_COUNT]; /* static text: which fact or rule made it so */
	const char *gap[PLAN_COUNT]; /* static text: what neither floor nor emulation can hold on this host; NULL: nothing */
	uint32_t floor;              /* the floor facts it was made for */
	bool ring_sends;             /* rings may send: nothing the guest can hold reaches past a rule by an address */
	enum sys_list list;	     /* what of the table the filter leaves to be called */
	bool exec_held;              /* the floor alone holds every exec rule, also where they are verified all the same */
};

#define PLAN_NULL ((struct plan){ .floor = 0 })

void plan_make(const struct policy *p, uint32_t floor, const struct plan_wish *wish, struct plan *ret_plan);

/* One entry of the allow list: under FACTS the kernel alone enforces KEY's rules, but for GAP (NULL: all of them). */
struct plan_pair {
	enum plan_key key;
	uint32_t facts;
	enum level level;
	const char *gap;
};
/* The Ith entry; false behind the last. */
bool plan_pair(size_t i, struct plan_pair *ret_pair);

/*
 * Whether the mount view has to cover what the hide rule I of P names: one object, outside of what is writable and the
 * host's (there no mount is made: the plan has it emulated), nowhere lifted. The view asks this and the plan relies on it.
 */
bool plan_masks(const struct policy *p, size_t i);
/*
 * Whether the writable mount at TARGET has to let programs execute: what is there may, or something of what lies below it, in the same
 * mount; the rest of it is then the tracer's to refuse.
 */
bool plan_executes(const struct policy *p, const char *target);
/* Whether the tracer would make a difference: to be asked of a plan made without FLOOR_TRACER. */
bool plan_wants_tracer(const struct plan *plan, const struct plan_wish *wish);

/* The key that governs a row (FAM_OPEN: PLAN_WRITE, the stricter to be asked); PLAN_COUNT where none does. */
enum plan_key plan_key_of(const struct sys_row *row);

const char *plan_key_name(enum plan_key k);
const char *plan_level_name(enum level l);
const char *plan_fact_name(enum floor_fact f);

#endif
