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

struct string_list {
	char **v; /* v[n] == NULL */
	size_t n;
};

struct run_options {
	const char *profile;   /* built-in profile; default "agent" */
	const char *workspace; /* as given, or NULL: found from the current directory */
	const char *agent;     /* --agent NAME, "none", or NULL: inferred */
	struct string_list read, write, exec, hide, protect, unhide, unprotect; /* path patterns as given */
	struct string_list net, unix_sockets, publish;
	struct string_list env; /* K or K=V */
	bool user_set;
	uid_t uid;
	gid_t gid;
	uint64_t memory;  /* bytes; 0: no limit */
	uint64_t pids;    /* 0: no limit */
	double cpus;      /* 0: no limit */
	uint64_t timeout_ms; /* 0: none */
	bool mediate_all;
	const char *audit; /* file, or NULL */
	bool quiet;        /* no summary, no notices */
	char **command;    /* argv of the command, NULL-terminated; never empty */
};

#define RUN_OPTIONS_NULL ((struct run_options){ .profile = NULL })

#endif
