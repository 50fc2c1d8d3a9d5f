/*
 * Values a policy sets beside the rules about paths: shared by the language, which reads them, and by what a run is
 * started with (monitor/options.h).
 */
#ifndef GABION_SETTINGS_H
#define GABION_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table.h" /* enum sys_list: syscalls of the policy */

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

/*
 * Lists own what they hold; freeing empties them. -ENOMEM leaves them as they were.
 * exec_deny_add() and tmpfs_copy() copy strings (ARGS: NULL-terminated, or NULL; the list TO is replaced), exec_deny_move() puts FROM
 * behind TO, tmpfs_move() as well, but that one of the same path takes the place of the older.
 */
void exec_deny_free(struct exec_deny_list *l);
int exec_deny_add(struct exec_deny_list *l, const char *path, const char *const *args, const char *origin);
int exec_deny_move(struct exec_deny_list *to, struct exec_deny_list *from);
void tmpfs_free(struct tmpfs_list *l);
int tmpfs_copy(struct tmpfs_list *to, const struct tmpfs_list *from);
int tmpfs_move(struct tmpfs_list *to, struct tmpfs_list *from);

#endif
