/*
 * What `gabion run` was asked, after the command line was read (cli_run.c, from the one option table in
 * options.tbl) and before anything was done. Strings are the command line's own; lists are NULL-terminated.
 */
#ifndef GABION_MONITOR_OPTIONS_H
#define GABION_MONITOR_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "plan.h"
#include "credential.h"
#include "settings.h"
#include "util/said.h"

struct lang;

struct run_options {
	const char *profile;   /* built-in profile; default "agent"; what a policy file extends; "custom" where that is none */
	const char *policy_file; /* -p, or NULL */
	struct lang *policy;   /* opened by policy_open() (monitor/policy_open.h); NULL before. Owned */
	const char *workspace; /* as given, or NULL: found from the current directory */
	const char *agent;     /* --agent NAME, "none", or NULL: inferred */
	struct string_list read, write, exec, hide, protect, unhide, unprotect; /* path patterns as given */
	/* Network rules stay text, with their origins: "--net", "FILE:LINE:COL". */
	struct said_list net;	       /* hosts that may be reached: HOST[:PORT] */
	struct said_list unix_sockets; /* Unix sockets of the host that may be connected to */
	struct said_list publish;      /* HOST:GUEST ports */
	struct said_list net_host;     /* loopback ports of the guest's that are forwarded to the host's */
	struct said_list groups;       /* groups of hosts: "@npm"; put in front of net by groups_resolve() */
	struct credential_list credentials;
	struct exec_deny_list exec_deny;
	enum written_mode written;
	bool memfd_exec; /* memory files may execute */
	bool io_uring_restricted;
	struct tmpfs_list tmpfs;
	struct string_list env; /* K or K=V */
	struct string_list env_pass; /* of the policy: names and patterns */
	struct string_list env_set;  /* of the policy: K=V */
	bool user_set;
	uid_t uid;
	gid_t gid;
	uint64_t memory;  /* bytes; 0: no limit */
	uint64_t pids;    /* 0: no limit */
	uint64_t files;   /* open files of a process; 0: as the caller's */
	double cpus;      /* 0: no limit */
	uint64_t timeout_ms; /* 0: none */
	bool mediate_all, mediate_set; /* set: --mediate said it */
	enum sys_list syscalls; /* the calls that may be made at all */
	bool syscalls_set;	/* --syscalls said it */
	const char *audit; /* file, or NULL */
	enum audit_mode audit_reads, audit_stacks;
	bool quiet;        /* no summary, no notices */
	bool bpf;	   /* explain: the filter's program instead of the plan */
	char **command;    /* argv of the command, NULL-terminated; never empty */
};

/* What is set here holds where neither an option nor a policy says otherwise. */
#define RUN_OPTIONS_NULL ((struct run_options){ .written = WRITTEN_MOUNTS, .audit_reads = AUDIT_DENIED })

/* What O wishes of the plan. */
static inline struct plan_wish options_wish(const struct run_options *o)
{
	return (struct plan_wish){.mediate_all = o->mediate_all,
				  .record_reads = o->audit_reads != AUDIT_OFF,
				  .record_all = o->audit_reads == AUDIT_ALL,
				  .rings = o->io_uring_restricted,
				  .list = o->syscalls};
}

#endif
