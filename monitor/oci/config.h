/*
 * config.json of the OCI runtime specification 1.2 (the parts for all systems and for Linux) as one structure, and the
 * process of `exec --process`. What is asked for and cannot be done is refused here, by name; nothing is left out
 * silently. Members nobody knows are ignored where they may be (the specification's extensibility: annotations, members
 * the specification of a later 1.x may add at the top level would change what a container is, so those are refused).
 *
 * Strings are owned, lists ended by NULL; empty is NULL. Nothing here has looked at a file system but at the file read.
 */
#ifndef GABION_OCI_CONFIG_H
#define GABION_OCI_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "monitor/oci/fault.h"
#include "monitor/oci/resources.h"

enum oci_ns {
	OCI_NS_USER = 0,
	OCI_NS_PID,
	OCI_NS_MOUNT,
	OCI_NS_NET,
	OCI_NS_IPC,
	OCI_NS_UTS,
	OCI_NS_CGROUP,
	OCI_NS_TIME,
	OCI_NS_COUNT
};

struct oci_namespace {
	bool wanted; /* else: the caller's own */
	char *path;  /* NULL: a new one */
};

struct oci_idmap {
	uint32_t inside, outside, count;
};

struct oci_idmaps {
	struct oci_idmap *v;
	size_t n;
};

struct oci_rlimit {
	int resource; /* RLIMIT_* */
	char *name;   /* "RLIMIT_NOFILE" */
	rlim_t soft, hard;
};

enum oci_capset { OCI_BOUNDING = 0, OCI_EFFECTIVE, OCI_INHERITABLE, OCI_PERMITTED, OCI_AMBIENT, OCI_CAPSETS };

struct oci_scheduler {
	bool set;
	uint32_t policy; /* SCHED_* */
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period; /* ns */
};

/* One process: the container's first one, or one of exec's. */
struct oci_proc {
	bool terminal;
	unsigned int rows, columns; /* 0: not said */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* additional ones */
	size_t groups_n;
	bool umask_set;
	mode_t umask;
	char **args, **env;
	char *cwd;
	bool caps_set;		    /* the member capabilities is there; else none is kept */
	uint64_t caps[OCI_CAPSETS]; /* bit masks */
	struct oci_rlimit *rlimits;
	size_t rlimits_n;
	bool no_new_privs;
	char *apparmor, *selinux; /* NULL where empty */
	bool oom_score_adj_set;
	int oom_score_adj;
	struct oci_scheduler scheduler;
	bool io_priority_set;
	int io_class, io_priority; /* IOPRIO_CLASS_*, 0..7 */
};

/* A mount's options, sorted out. */
struct oci_mount {
	char *destination, *type, *source; /* type, source NULL where not said */
	bool bind, recursive;		   /* bind, rbind */
	unsigned long flags;		   /* MS_RDONLY|NOSUID|... as asked for */
	unsigned long cleared;		   /* MS_* asked to be off ("rw", "suid") */
	uint64_t rec_set, rec_clear;	   /* MOUNT_ATTR_* of rro, rnosuid, ...: for all mounts below too */
	unsigned long propagation;	   /* MS_PRIVATE|SLAVE|SHARED|UNBINDABLE with MS_REC, or 0 */
	bool tmpcopyup;
	bool idmap, idmap_recursive;
	struct oci_idmaps uids, gids; /* of this mount; empty with .idmap: the container's */
	char *data;		      /* options for the file system, with commas; NULL: none */
};

enum oci_hook_kind {
	OCI_PRESTART = 0,
	OCI_CREATE_RUNTIME,
	OCI_CREATE_CONTAINER,
	OCI_START_CONTAINER,
	OCI_POSTSTART,
	OCI_POSTSTOP,
	OCI_HOOK_KINDS
};

struct oci_hook {
	char *path;
	char **args, **env; /* args NULL: the path alone; env NULL: empty */
	unsigned int timeout; /* seconds; 0: none */
};

struct oci_hooks {
	struct oci_hook *v;
	size_t n;
};

struct oci_device {
	char *path;
	char type; /* 'c', 'b', 'p' */
	unsigned int major, minor;
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

struct oci_pair {
	char *key, *value;
};

struct oci_config {
	json_t *json; /* the whole, for the state and for hooks that want it */
	char *version;
	struct oci_proc *process; /* NULL: none (a container that is never started) */
	char *rootfs;		  /* as given */
	bool readonly;
	char *hostname, *domainname;
	struct oci_mount *mounts;
	size_t mounts_n;
	struct oci_hooks hooks[OCI_HOOK_KINDS];
	json_t *annotations; /* borrowed from json; NULL: none */

	struct oci_namespace ns[OCI_NS_COUNT];
	struct oci_idmaps uids, gids;
	struct oci_device *devices;
	size_t devices_n;
	char *cgroups_path;
	struct oci_resources resources;
	struct oci_pair *sysctl;
	size_t sysctl_n;
	json_t *seccomp; /* borrowed from json, checked by seccomp.c; NULL: none */
	unsigned long rootfs_propagation; /* MS_*, 0: not said */
	char **masked, **readonly_paths;
	char *mount_label;
	bool personality_set;
	unsigned long personality;
	struct {
		bool set;
		int64_t seconds;
		uint32_t nanoseconds;
	} monotonic, boottime;
};

/* Reads BUNDLE/config.json. -errno with FAULT; oci_config_free() what it gave. */
int oci_config_load(const char *bundle, struct oci_config **ret_c, struct oci_fault *fault);
/* From a text already in memory (fuzzing, the state's copy). */
int oci_config_parse(const char *text, size_t len, struct oci_config **ret_c, struct oci_fault *fault);
struct oci_config *oci_config_free(struct oci_config *c);

/* The process object O (exec --process). oci_proc_free(). */
int oci_proc_parse(const json_t *o, struct oci_proc **ret_p, struct oci_fault *fault);
struct oci_proc *oci_proc_free(struct oci_proc *p);

/* "CAP_CHOWN" or "chown": its number, or -EINVAL. */
int oci_cap_number(const char *name);

/* Words config.json may use, for `features`. NULL-terminated, static. */
const char *const *oci_mount_option_names(void);
const char *const *oci_hook_names(void);      /* "prestart", ... by enum oci_hook_kind */
const char *const *oci_namespace_names(void); /* "user", "pid", ... by enum oci_ns */

#endif
