/*
 * The policy language: from a YAML file (JSON is a subset) to rules and settings. What the language is stands in
 * docs/gabion-policy.5; how it is read:
 *
 *   lang_yaml.c    bytes to a tree with positions (libyaml's events); bounded in size, depth and nodes
 *   lang_schema.c  the tree against the table of keys: every error of a file in one go
 *   lang_credential.c  credentials:
 *   lang_value.c   strings to values: variables, sizes, durations, booleans
 *   lang_load.c    a file and what it extends, as layers: the base first
 *   lang_merge.c   layers to one set of values
 *   lang_rules.c   path rules for one run: ~, ${workspace} and ${scratch} put in
 *   lang_judge.c   rules that can never count, or lift nothing
 *
 * The built-in profiles are policy/profiles/NAME.yaml, turned into trees when gabion is built: a start parses nothing.
 */
#ifndef GABION_POLICY_LANG_H
#define GABION_POLICY_LANG_H

#include "credential.h"
#include "policy.h"
#include "settings.h"
#include "util/said.h"

struct lang;

/* One thing wrong (the policy must not be used) or doubtful (a warning) and where. */
struct lang_message {
	bool warning;
	char *file;	     /* as it was named; "profile NAME" for a built-in one */
	unsigned int line;   /* from 1; 0: the file as a whole */
	unsigned int column; /* in characters, from 1 */
	char *text;	     /* one line, with a suggestion where there is one */
};

struct lang_messages {
	struct lang_message *v;
	size_t n;
	size_t errors; /* how many are no warnings */
};

/* "FILE:LINE:COLUMN: TEXT", a warning with "warning: " before its text. NULL: no memory. */
char *lang_message_text(const struct lang_message *m);
void lang_messages_free(struct lang_messages *m);
/* Adds one; strings are copied. */
void lang_message_add(struct lang_messages *m, bool warning, const char *file, unsigned int line, unsigned int column,
		      const char *text);

/* What the language asks of the host; the parser itself touches nothing. */
struct lang_host {
	/* The value of an environment variable, NULL where it is unset. */
	const char *(*variable)(void *ctx, const char *name);
	/*
	 * The bytes of the file PATH (for the policy itself and for extends), allocated. RET_NAMES: its canonical path, and behind
	 * it the symbolic links PATH led over; NULL-terminated, all of it allocated; NULL: what has no name, a pipe. -errno; -EFBIG
	 * where it is larger than MAX.
	 */
	int (*read)(void *ctx, const char *path, size_t max, char **ret_bytes, size_t *ret_len, char ***ret_names);
	void *ctx;
};

/* getenv() and the file system. */
extern const struct lang_host lang_host;

/* A positive result: RET_M holds at least one error, there is no policy. */
enum { LANG_INVALID = 1 };

/*
 * Reads the policy file PATH and all it extends. 0 with RET_L (M may hold warnings), LANG_INVALID with the errors in M,
 * or -ENOMEM. A file that cannot be read is an error in M. M is added to and the caller's to free either way.
 */
int lang_load(const struct lang_host *host, const char *path, struct lang **ret_l, struct lang_messages *m);
/* The same from LEN bytes, called NAME in messages; extends of a file is relative to the current directory. */
int lang_load_buffer(const struct lang_host *host, const char *name, const void *bytes, size_t len, struct lang **ret_l,
		     struct lang_messages *m);
/* A built-in profile. -ENOENT: no such one; -EBADMSG: broken, which its test would have shown. */
int lang_load_profile(const struct lang_host *host, const char *name, struct lang **ret_l);
struct lang *lang_free(struct lang *l);

/* NULL-terminated names of the built-in profiles. */
const char *const *lang_profile_names(void);

/* Groups of hosts that are data files (policy/groups/NAME.yaml): their names, NULL-terminated, without @. */
const char *const *lang_group_names(void);
/* Adds the hosts of the group NAME. -ENOENT: no such data file; -ENOMEM. */
int lang_group_hosts(const char *name, struct said_list *hosts);

/* A list of hosts users gave a name (groups:), without its @. */
struct lang_group {
	char *name;
	struct said_list hosts;
};

/*
 * Everything a policy says but its path rules, all layers merged: lists one after another, the base's first; of single values
 * the last one said. *_from: the origin of the value that counts, NULL where nobody said one.
 */
struct lang_values {
	const char *profile;   /* the built-in profile all of it extends, NULL: none */
	bool home_host;	       /* filesystem.home: host */
	char *home_from;
	struct tmpfs_list tmpfs;
	struct exec_deny_list exec_deny;
	enum written_mode written;
	char *written_from;
	bool memfd_exec;
	char *memfd_from;
	struct said_list net;	 /* network.allow */
	struct said_list groups; /* network.groups, with their @ */
	struct said_list unix_sockets, net_host, publish;
	struct said_list env_pass; /* names, or patterns with *, ? and [...] */
	struct said_list env_set;  /* NAME=VALUE */
	uint64_t memory, pids, files, time_ms; /* 0: not said */
	double cpus;
	char *memory_from, *pids_from, *files_from, *time_from, *cpus_from;
	char *user; /* USER[:GROUP] as written, NULL: not said */
	char *user_from;
	bool io_uring_restricted;
	char *io_uring_from;
	char *audit; /* file, NULL: not said */
	char *audit_from;
	enum audit_mode audit_reads, audit_stacks;
	char *reads_from, *stacks_from;
	bool mediate_all;
	char *mediate_from;
	enum sys_list list; /* syscalls */
	char *syscalls_from;
	struct said_list require;
	struct credential_list credentials; /* one of the same name in a later layer replaces */
	struct lang_group *group; /* groups: of all layers; a later one of the same name replaces */
	size_t group_count;
};

const struct lang_values *lang_values(const struct lang *l);

/* What the patterns of path rules may refer to. All absolute and canonical. */
struct lang_places {
	const char *home;      /* the guest's home: ~ of built-in profiles. NULL: rules with ~ are left out */
	const char *real_home; /* the caller's home: ~ of files, beside the guest's. NULL: the same */
	const char *const *workspaces; /* ${workspace}: NULL-terminated, a rule for each */
	const char *scratch;	       /* ${scratch}; NULL: none */
	bool view;		       /* a mount view exists */
	bool home_host;		       /* the home shows the host's files: lang_values() tells */
};

/* Which layers: the rules of profiles come before what the run itself adds, those of files after it. */
enum lang_part {
	LANG_BUILT_IN = 1 << 0,
	LANG_FILES = 1 << 1,
	LANG_UNSEEN = 1 << 2, /* the guest sees none of the policy files: they need no rule */
};

/*
 * Adds the path rules of PARTS to B, with their origins ("FILE:LINE:COL", "profile NAME"), the protection of the policy files
 * themselves included. 0, -ENOMEM, -EINVAL with RET_WHY (allocated).
 */
int lang_add_rules(const struct lang *l, enum lang_part parts, const struct lang_places *places,
		   struct policy_builder *b, char **ret_why);

/*
 * Each literal path (no glob) that a file's read, write or exec rule names, put in for PLACES: what a run has to show. FN's
 * non-zero result ends it and is returned. -ENOMEM.
 */
typedef int lang_path_fn(void *ctx, enum rule_kind kind, const char *path, const char *origin);
int lang_each_path(const struct lang *l, const struct lang_places *places, lang_path_fn *fn, void *ctx);

/*
 * Warnings about the rules of files in POLICY, which was compiled with them: rules that never count because a restriction
 * or a longer rule decides for them, except rules that lift nothing, paths that do not exist. -ENOMEM.
 */
int lang_judge(const struct lang *l, const struct lang_places *places, const struct policy *policy,
	       struct lang_messages *m);

/*
 * Files the policy was read from, not those embedded, with the symbolic links that lead to them: nobody may change these
 * from inside. Canonical, NULL-terminated, the policy's.
 */
const char *const *lang_files(const struct lang *l);

#endif
