/*
 * What is known of containers between two commands: a directory ROOT/ID for each, made at once by a rename, gone at
 * once by a rename, changed under a lock that lies in it.
 *
 *   ROOT/ID/state.json   this structure, written anew beside and renamed over
 *   ROOT/ID/lock         flock(2): whoever changes something holds it; it goes with its holder however that ends
 *   ROOT/ID/...          what container.c keeps (config.json, the start FIFO or socket, records)
 *   ROOT/.new-*, .gone-* a container on its way in or out. One whose lock nobody holds is a killed gabion's:
 *                        swept by the next create or delete.
 *
 * ROOT is --root, else /run/gabion-oci, else, without privileges (also as root of a user namespace),
 * $XDG_RUNTIME_DIR/gabion-oci.
 */
#ifndef GABION_OCI_STATE_H
#define GABION_OCI_STATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "monitor/oci/cgroup.h"
#include "monitor/oci/fault.h"

enum { OCI_STATE_FORMAT = 1 }; /* of what we write; older ones are read (tests/oci/fixtures) */

/* As oci_state_status() finds it; the file says only how far a create came. */
enum oci_status { OCI_STOPPED = 0, OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_PAUSED };

/* A process: a number alone would name another one day. PID 0: none. */
struct oci_process {
	pid_t pid;
	uint64_t start; /* clock ticks since boot, field 22 of /proc/PID/stat; 0: not known */
};

enum { OCI_HELPERS_MAX = 8 };

/* All strings are owned; oci_state_clear(). */
struct oci_state {
	char *id, *bundle, *rootfs;
	char *owner;			  /* user name or number */
	char *created;			  /* RFC 3339, UTC */
	struct oci_process init;	  /* the container's first process, in our pid namespace */
	struct oci_process creator;	  /* who is creating it, until that is done */
	struct oci_process helpers[OCI_HELPERS_MAX]; /* gabion's own: sentry first, tracer ... */
	size_t helpers_n;
	bool created_done;  /* create has come to its end: "created" from then on */
	bool started;	    /* start has been let through: "running" */
	struct oci_cgroup *cgroup; /* NULL: not planned yet */
	json_t *annotations;	   /* object or NULL */
	json_t *more;		   /* object, container.c's own (kept as it is; NULL: empty) */
};

#define OCI_STATE_NULL ((struct oci_state){.id = NULL})

/* A container's directory, open and locked. */
struct oci_handle {
	int dir;  /* O_PATH or readable directory descriptor */
	int lock; /* held with flock(2) */
	char path[4096];
};

#define OCI_HANDLE_NULL ((struct oci_handle){.dir = -1, .lock = -1})

/* The state directory for a --root of ROOT (NULL: the default), made where missing (0700, and checked to be ours).
 * Allocated. -errno with FAULT. */
int oci_state_root(const char *root, char **ret_root, struct oci_fault *fault);
/* 0 or -EINVAL with runc's sentence: letters, digits, + - . _, not "." or "..", at most 1024. */
int oci_state_check_id(const char *id, struct oci_fault *fault);

/*
 * A new container: makes ROOT/ID with S written into it, locked. -EEXIST "container with given ID already exists".
 * One of two at the same time wins. oci_state_close() the handle.
 */
int oci_state_new(const char *root, const struct oci_state *s, struct oci_handle *ret_h, struct oci_fault *fault);
/*
 * Opens and locks container ID; waits for who holds it. -ENOENT "container does not exist". A container whose create
 * was killed is found too, with created_done false and a creator that is gone.
 */
int oci_state_open(const char *root, const char *id, struct oci_handle *ret_h, struct oci_fault *fault);
/* The same without the lock (lock is -1): for state, list, ps, kill, which must not wait for a start that hangs. */
int oci_state_peek(const char *root, const char *id, struct oci_handle *ret_h, struct oci_fault *fault);
/* Gives up the lock for a while and takes it back (exec runs long). -ESTALE: the container went away. */
void oci_state_unlock(struct oci_handle *h);
int oci_state_relock(struct oci_handle *h);
void oci_state_close(struct oci_handle *h);

int oci_state_read(const struct oci_handle *h, struct oci_state *ret_s, struct oci_fault *fault);
/* Needs the lock. Whole or not at all. */
int oci_state_write(const struct oci_handle *h, const struct oci_state *s, struct oci_fault *fault);
void oci_state_clear(struct oci_state *s);
/* Removes the directory with all in it, at once for others. Needs the lock; the handle is closed. */
int oci_state_remove(const char *root, struct oci_handle *h, struct oci_fault *fault);
/* Removes what killed creates and deletes left under ROOT. Best effort. */
void oci_state_sweep(const char *root);

/* Ids of all containers under ROOT, sorted, allocated, ended by NULL. */
int oci_state_list(const char *root, char ***ret_ids, struct oci_fault *fault);

/* What the container is now, by its process and its freezer. */
enum oci_status oci_state_status(const struct oci_state *s);
const char *oci_status_word(enum oci_status status); /* "created" */
/* The state of the OCI specification (for `state`, and for hooks' standard input), a new reference. */
json_t *oci_state_json(const struct oci_state *s, enum oci_status status);

/* Whether we are root of the machine: of the first user namespace. podman without root calls us as root of its own. */
bool oci_privileged(void);

/* PID with the start time it has now (start 0: gone). */
struct oci_process oci_process_of(pid_t pid);
/* Whether it is still the same one, and no zombie. */
bool oci_process_alive(struct oci_process p);
/* A pidfd of just that process. -ESRCH. */
int oci_process_open(struct oci_process p);

#endif
