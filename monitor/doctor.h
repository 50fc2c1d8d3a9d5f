/*
 * What this host offers. In two halves, so that every host can be tested on one: doctor_probe() asks the
 * kernel and fills plain facts, doctor_judge() is pure and makes findings, the mode and the verdict of them.
 * The texts for people stand in doctor.tbl.
 */
#ifndef GABION_MONITOR_DOCTOR_H
#define GABION_MONITOR_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/floor/floor.h"

enum doctor_problem {
	DOCTOR_OK = 0,
#define PROBLEM(id, ...) DOCTOR_##id,
#include "doctor.tbl"
	DOCTOR_PROBLEM_COUNT
};

/*
 * Facts. A field called *_err is what the kernel answered when it was tried: 0 for yes, a positive errno, or
 * DOCTOR_UNTRIED where something before it failed.
 */
enum { DOCTOR_UNTRIED = -1, DOCTOR_UNKNOWN = -2 };

struct doctor_facts {
	unsigned int major, minor; /* of the kernel */
	char release[128];
	bool wsl;
	bool root;	  /* effective uid 0 with CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID */
	int seccomp_mode; /* of this process: 0 none, 2 under a filter */

	int filter_err;	  /* a plain filter */
	int listener_err; /* a filter with a listener */
	int sync_wake_up_err, wait_killable_err, addfd_send_err;
	int getfd_err;
	int memory_err; /* process_vm_readv of a child */

	int userns_err;					/* unshare(CLONE_NEWUSER) */
	int map_err;					/* writing its maps */
	int namespaces_err;				/* mount, pid, net, ipc, uts in it */
	int proc_err;					/* procfs in a nested pid namespace in it */
	int mount_api_err;				/* fsopen, fsmount, open_tree, mount_setattr in it */
	int nested_memory_err;				/* process_vm_readv of a child in it */
	int idmap_err;					/* the current directory, where root starts gabion */
	long max_userns, userns_clone, apparmor_userns; /* sysctls; DOCTOR_UNKNOWN: not there */

	int landlock_abi, landlock_err;
	long yama; /* ptrace_scope; DOCTOR_UNKNOWN: no Yama */

	int cgroup;				     /* 0 none, 1 version 1, 2 version 2, 12 both (hybrid) */
	bool cgroup_writable;			     /* a group of the kind that is used can be made */
	bool cgroup_memory, cgroup_cpu, cgroup_pids; /* controllers that can be had there */
	bool cgroup_kill;
	int io_uring_err;
};

enum doctor_check {
	CHECK_KERNEL = 0,
	CHECK_NOTIFY,
	CHECK_SYNC_WAKE_UP,
	CHECK_WAIT_KILLABLE,
	CHECK_ADDFD_SEND,
	CHECK_GETFD,
	CHECK_MEMORY,
	CHECK_FILTER_OUTSIDE,
	CHECK_USERNS,
	CHECK_PROC,
	CHECK_MOUNT_API,
	CHECK_IDMAP,
	CHECK_LANDLOCK,
	CHECK_YAMA,
	CHECK_CGROUP,
	CHECK_CGROUP_KILL,
	CHECK_IO_URING,
	CHECK_COUNT
};

enum doctor_state {
	STATE_MISSING = 0,
	STATE_PARTIAL, /* there, but not all of it */
	STATE_PRESENT,
	STATE_UNUSED, /* not asked for on this host: nothing is lost */
};

struct doctor_finding {
	enum doctor_state state;
	enum doctor_problem problem;
	char detail[192]; /* what was seen; may be empty */
};

struct doctor_report {
	struct doctor_finding check[CHECK_COUNT];
	bool can_run;
	enum floor_mode mode;	     /* where can_run */
	enum doctor_problem blocker; /* where not */
};

/* Asks the kernel. Changes nothing: what has effects happens in children that end. -errno where not even that
 * works. */
int doctor_probe(struct doctor_facts *ret_facts);
/* Pure. */
void doctor_judge(const struct doctor_facts *facts, struct doctor_report *ret_report);

/* The texts of a problem, static; "" for DOCTOR_OK. */
const char *doctor_name(enum doctor_problem p);
const char *doctor_cause(enum doctor_problem p);
const char *doctor_cost(enum doctor_problem p);
const char *doctor_cure(enum doctor_problem p);
/* A check's name for people, and for --json. */
const char *doctor_check_title(enum doctor_check c);
const char *doctor_check_name(enum doctor_check c);
const char *doctor_state_name(enum doctor_state s);
/* What a mode means, in one sentence. */
const char *doctor_mode_text(enum floor_mode m);

#endif
