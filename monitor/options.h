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

#include "util/said.h"

struct string_list {
	char **v; /* v[n] == NULL */
	size_t n;
};

/* Where what is writable may execute: exec.written of the policy. Zero is the strictest. */
enum written_mode {
	WRITTEN_DENY = 0, /* nothing writable executes */
	WRITTEN_MOUNTS,	  /* nothing on a noexec mount does; the workspace and the scratch directory are none */
	WRITTEN_ALLOW,	  /* the exec rules alone decide */
};

/* What is recorded (audit.reads) or unwound (audit.stacks). */
enum audit_mode { AUDIT_OFF = 0, AUDIT_DENIED, AUDIT_ALL };

/* A program that may not be executed, or not with these arguments: exec.deny of the policy. */
struct exec_deny {
	char *path;	/* path pattern as written */
	char **args;	/* patterns of argv[1..], NULL-terminated; "**": any number; NULL: whatever the arguments */
	char *origin;
};

struct exec_deny_list {
	struct exec_deny *v;
	size_t n;
};

/* A memory file system of the guest's own: filesystem.tmpfs of the policy. */
struct tmpfs_wish {
	char *path;    /* absolute */
	uint64_t size; /* bytes; 0: as large as /tmp is by default */
	bool exec;
	char *origin;
};

struct tmpfs_list {
	struct tmpfs_wish *v;
	size_t n;
};

struct run_options {
	const char *profile;   /* built-in profile; default "agent" */
	const char *workspace; /* as given, or NULL: found from the current directory */
	const char *agent;     /* --agent NAME, "none", or NULL: inferred */
	struct string_list read, write, exec, hide, protect, unhide, unprotect; /* path patterns as given */
	/* Network rules stay text, with their origins: "--net", "FILE:LINE:COL". */
	struct said_list net;	       /* hosts that may be reached: HOST[:PORT] */
	struct said_list unix_sockets; /* Unix sockets of the host that may be connected to */
	struct said_list publish;      /* HOST:GUEST ports */
	struct said_list net_host;     /* loopback ports of the guest's that are forwarded to the host's */
	struct exec_deny_list exec_deny;
	enum written_mode written;
	bool memfd_exec; /* memory files may execute */
	bool io_uring_restricted;
	struct tmpfs_list tmpfs;
	struct string_list env; /* K or K=V */
	bool user_set;
	uid_t uid;
	gid_t gid;
	uint64_t memory;  /* bytes; 0: no limit */
	uint64_t pids;    /* 0: no limit */
	uint64_t files;   /* open files of a process; 0: as the caller's */
	double cpus;      /* 0: no limit */
	uint64_t timeout_ms; /* 0: none */
	bool mediate_all;
	const char *audit; /* file, or NULL */
	enum audit_mode audit_reads, audit_stacks;
	bool quiet;        /* no summary, no notices */
	char **command;    /* argv of the command, NULL-terminated; never empty */
};

/* What is set here holds where neither an option nor a policy says otherwise. */
#define RUN_OPTIONS_NULL ((struct run_options){ .written = WRITTEN_MOUNTS, .audit_reads = AUDIT_DENIED })

#endif
