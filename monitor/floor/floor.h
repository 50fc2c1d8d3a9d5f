/*
 * The floor: kernel state that still holds when the sentry is wrong or dead. It is built in stages, each with
 * a list of what it should and must not do in the file that keeps it:
 *
 *   ids.c       who the guest is outside, user namespace maps
 *   sources.c   on the host's side: what of the host is shown, as detached mounts, idmapped where root starts
 * it view.c      in the new namespaces: the mount tree, pivot_root etc.c       files written for the guest:
 * passwd, group, resolv.conf, hosts proc.c      the guest's /proc and /sys with their masks net.c       loopback of
 * the guest's network namespace edge.c      the namespace behind it, where the relay listens unix.c
 * sockets of the host's landlock.c  Landlock domains limits.c    rlimits, no_new_privs, capabilities
 *   cgroup.c    memory, pids and cpu limits (v1, v2, hybrid)
 *
 * Facts (enum floor_fact of plan.h) are only claimed for what a stage reported as built.
 */
#ifndef GABION_FLOOR_H
#define GABION_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "net_policy.h"
#include "plan.h"
#include "policy.h"
#include "monitor/options.h"

/* How much of a floor this host gives; zero is the least. */
enum floor_mode {
	FLOOR_BARE = 0, /* Landlock and seccomp only */
	FLOOR_ROOTLESS, /* user namespace that maps the caller's own id */
	FLOOR_ROOT,	/* started by root: user namespace with ids of its own, idmapped mounts */
};

/* What of the host's file system the guest gets, and where. Made by places.c from the options, the
 * environment and the policy. */
struct place {
	char *source; /* host path (canonical) */
	char *target; /* path in the guest's view (the same but for private things) */
	bool write, exec;
	bool by_exec; /* only exec rules name it: it is shown to be read, and no more */
	bool dir;
	char *link; /* not NULL: no mount, a symlink with this text at target */
};

struct places {
	char *home;	      /* $HOME in the guest's view */
	char *home_source;    /* the private home on the host */
	char *cwd;	      /* where the command starts */
	char *scratch;	      /* TMPDIR of the guest */
	char *scratch_source; /* bare mode: the directory behind it; else NULL (a tmpfs) */
	char **workspaces;    /* canonical, NULL-terminated: the workspace, a worktree's common directory */
	struct place *v;      /* everything else, parents before children */
	size_t n;
	char *user; /* the guest's login name and shell for passwd */
	char *shell;
	uint64_t tmp_size;		   /* bytes for /tmp and the scratch directory */
	bool network;			   /* names are answered by the relay */
	const char *ca;			   /* PEM of the run's CA, NULL: none (monitor/credential/holder.h) */
	const struct policy *policy;	   /* says which writable mounts execute; NULL: none */
	bool exec_workspace, exec_scratch; /* does the policy let what lies there execute? */
	bool home_host;			   /* home_source is the real home, shown as it is and not to be written */
	bool writes_held;		   /* what may be written is the mounts' alone to hold */
	const struct tmpfs_list *tmpfs;	   /* the run's options own it */
	bool *exec_tmpfs;		   /* for each of them: does the policy let what lies there execute? */
};

/* Who the guest is. Inside ids are what it sees, host ids what the kernel keeps. */
struct floor_ids {
	enum floor_mode mode;
	uid_t uid, host_uid;
	gid_t gid, host_gid;
	uid_t owner; /* ROOT: owner and group of the workspace on disk, shown as uid:gid inside */
	gid_t owner_gid;
	uint32_t base;	 /* ROOT: host id of inside id 0 */
	int lock;	 /* ROOT: holds the claimed range until closed */
	bool not_mapped; /* ROOT: the workspace cannot be idmapped: the guest has its owner's host ids */
};

#define FLOOR_IDS_NULL ((struct floor_ids){.lock = -1})

/* ids.c. O's --user, the owner of WORKSPACE. Nothing is created in BARE and ROOTLESS. -errno; RET_WHY
 * (static) says what to mend. */
int ids_choose(enum floor_mode mode, const struct run_options *o, const char *workspace,
	       struct floor_ids *ret_ids, const char **ret_why);
/* Writes the maps of the new user namespace of PID (child of ours). */
int ids_write_maps(const struct floor_ids *ids, pid_t pid);
/* A user namespace whose map idmaps a mount: on-disk ids to the guest's range; SWAP: the workspace owner's
 * files are the guest's. */
int ids_map_namespace(const struct floor_ids *ids, bool swap, int *ret_fd);
void ids_release(struct floor_ids *ids);

/* places.c. -errno with RET_WHY (allocated: free). The private home is made where missing. */
int places_find(const struct run_options *o, enum floor_mode mode, struct places *ret_places, char **ret_why);
void places_free(struct places *p);

/* home_links.c. BARE: links in the private home to the files P shows of the real one, HOME. Best effort. */
void home_links(const struct places *p, const char *home);
/* Adds one place. LINK: a symlink's text, SOURCE then NULL. Strings are copied. A target already there is
 * left as it is, but gains write and exec where asked now. -ENOMEM. */
int places_add(struct places *p, const char *source, const char *target, bool write, bool exec,
	       const char *link);
/* toolroots.c: the directories of PATH below the real HOME, with the install roots their links lead to, read
 * and execute. */
int toolroots_add(struct places *p, const char *home, const char *path_variable);
/* workspace.c: the git top level that holds DIR and, for a worktree, its common directory; else DIR.
 * Canonical paths, NULL-terminated, owned by the caller. NAMED: --workspace said so. -EINVAL with RET_WHY
 * (allocated) for /, the home and what lies above it. */
int workspace_find(const char *dir, const char *home, bool named, char ***ret_dirs, char **ret_why);

/* sources.c: a detached mount for each thing shown. ROOT: made on the host's side, before the namespaces;
 * else inside them. */
struct source {
	char *target;
	int fd; /* detached mount, owned */
	bool dir;
};
struct sources {
	struct source *v;
	size_t n;
	int root;	 /* detached clone of the host's root; read-only, nosuid, nodev */
	bool not_mapped; /* some tree could not be idmapped: a workspace among them */
};
#define SOURCES_NULL ((struct sources){.root = -1})
int sources_open(const struct places *p, const struct floor_ids *ids, struct sources *ret_s);
void sources_close(struct sources *s);

/* view.c: in the new mount, pid, ipc, uts and network namespaces, with every capability in their user
 * namespace. Ends with the view as root directory and the old root gone. RET_STAGE (static) names the stage
 * that failed. */
int view_build(const struct places *p, const struct floor_ids *ids, const struct policy *policy,
	       struct sources *s, const char **ret_stage);
/* Whose ids make what lies in the guest's private directories; view_build() says it for itself. */
void view_act_as(const struct floor_ids *ids);
/* A mount helper other stages share: mkdir -p / create the mount point PATH below directory ROOT, return it
 * as O_PATH. */
int view_mount_point(int root, const char *path, bool dir);
/* A detached tmpfs with mount attributes ATTRS (MOUNT_ATTR_*). */
int view_tmpfs(uint64_t size, unsigned int mode, uint64_t attrs);
/* apart.c: the calling process keeps the view as its root and belongs to another mount namespace from now on: its mount table is empty.
 * Needs SYS_ADMIN and SYS_CHROOT. */
int view_apart(void);
/* Where the run's CA is in the view, and the host's authorities with it. */
#define ETC_CA "/run/gabion/etc/ca.pem"
#define ETC_CA_BUNDLE "/run/gabion/etc/ca-bundle.pem"
/* etc.c: passwd, group, resolv.conf, authorities over the view at ROOT. */
int etc_mount(int root, const struct places *p, const struct floor_ids *ids);

/* writes.c: whether POLICY has a write rule for everything a view of P mounts writable. */
bool floor_writes_named(const struct places *p, const struct policy *policy);

/* proc.c: a detached procfs of the calling process's pid namespace. */
int proc_detached(void);
/* Mounts the guest's /proc (called by the nested pid namespace's first process) and masks it. */
int proc_mount_guest(void);
/* A fresh sysfs at ROOT/sys, read-only, masked; an empty directory where the host refuses. */
int sys_mount(int root);

/* net.c: brings lo up in the calling process's network namespace. */
int net_loopback_up(void);
/* Port 53 of the guest's loopback, where a resolver asks that knows no name server; -1: somebody refuses it. */
int net_loopback_names(void);

/* unix.c: listeners for the host's Unix sockets V[0..N) in the view, which is the root directory by now; passed to the relay over
 * CHANNEL, each under its index. */
struct network_unix;
int unix_sockets(const struct network_unix *v, size_t n, int channel);

/* landlock.c. ABI, or 0. */
int landlock_abi(void);
/*
 * BARE: rules for what POLICY reads, writes and executes, and for the ports NET (NULL: none) names.
 * Restricts the calling thread. RET_FACTS: FLOOR_LANDLOCK_*.
 */
int landlock_bare(const struct policy *policy, const struct net_policy *net, uint16_t names_port, uint32_t *ret_facts);
/*
 * With a view: device nodes, signals and abstract sockets only; paths are the view's. WRITES, not NULL: nothing is opened for writing
 * but what its write rules name, and what standard descriptors are that is no file. Called once the view is the root directory, with the
 * guest's /proc.
 */
int landlock_view(const struct policy *writes, uint32_t *ret_facts);
/*
 * BARE: the guest's own domain within that of sentry and init, whose signals (and, by Landlock's rule about tracing,
 * memory) are then out of its reach also where the kernel sends them for it (F_SETOWN with F_SETSIG). Linux 6.12.
 */
int landlock_apart(void);

/* limits.c */
int limits_no_new_privs(void);
/* Empties every capability set but KEEP (bit mask of capabilities, 0: none) and the bounding and ambient sets
 * wholly. */
int limits_drop_caps(uint64_t keep);
int limits_rlimits(const struct run_options *o, bool have_cgroup);
/* BYTES for people: "200.0 MiB". */
void limits_size(uint64_t bytes, char *out, size_t size);
/* As cgroup_verdict(), where rlimits and counting (MET, record_limits()) held O's limits of a run that ended with STATUS. */
const char *limits_verdict(const struct run_options *o, const uint64_t met[], int status);

/* cgroup.c */
struct cgroup;
/* Makes a cgroup for the run where O asks for limits: RET_C NULL where none asked for. -errno with RET_WHY
 * (static). */
int cgroup_new(const struct run_options *o, const char *run_id, struct cgroup **ret_c, const char **ret_why);
/* Moves PID in (the sentry and what it forks). */
int cgroup_enter(const struct cgroup *c, pid_t pid);
/* A word on what limit was met ("memory limit of 2.0 GiB: 1 process killed"), NULL where none; static buffer.
 */
const char *cgroup_verdict(const struct cgroup *c);
/* Kills what is left and removes it. */
struct cgroup *cgroup_free(struct cgroup *c);

/* expect.c: the facts a run on this host is likely to have, without building it (gabion explain, doctor). */
int floor_expect(uint32_t *ret_facts);
const char *floor_mode_name(enum floor_mode m);

#endif
