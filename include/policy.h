/*
 * The policy: rules about paths (and, with the network issue, hosts), compiled once into an immutable
 * object. Evaluation is pure: no I/O, no allocation, no lock; any thread may ask at any time.
 *
 * A rule has a kind, a pattern and an origin for people ("profile agent", "--hide"). Patterns are absolute
 * canonical paths of the guest's view and may hold *, ?, [...] (within a component) and ** (any number of
 * components). A pattern without glob characters names the object and everything below it; so does a glob
 * (a ** at the end adds nothing). A backslash takes the next character literally.
 *
 * keys is protect, for a file alone (a directory of that name is none of its business), judged by the
 * content where the sentry can do that (sentry/fs_change_keys.c); a protect rule that matches as well is the
 * stricter: a verdict that names a keys rule says that all else permits the write. Adding a keys rule adds a
 * protect rule for the names KEYS_TEMP in the same directory, under which the sentry prepares the new file:
 * nobody else can write there.
 *
 * Precedence. Of the read and write rules that match, the one with the longest literal prefix decides, on a tie
 * the one added last. write implies read; nothing implies exec: an exec rule counts where it is at least as long as
 * the longest write rule that matches, so what is writable executes only where that was said of it. A hide, protect
 * or keys rule counts where it is at least as long as that read or write rule (the stricter on a tie); with ** it
 * counts at every depth. An except rule lifts those added before it. A restriction never
 * opens anything. An exec_deny rule counts wherever it matches, and says nothing of reading. Nothing matched: denied.
 */
#ifndef GABION_POLICY_H
#define GABION_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "settings.h"
#include "verdict.h"

enum rule_kind {
	RULE_NONE = 0,
	RULE_HIDE,     /* does not exist: ENOENT for everything */
	RULE_PROTECT,  /* readable, never changed, also before it exists: EACCES for OP_WRITE */
	RULE_KEYS,     /* a configuration file of git's: protected, but for a rename onto it that changes harmless keys only */
	RULE_EXCEPT,   /* lifts, for the objects it matches, hide, protect and keys rules added before it */
	RULE_READ,
	RULE_WRITE,    /* implies read */
	RULE_EXEC,
	RULE_EXEC_DENY, /* not executed whatever allows it: EACCES for OP_EXEC; with arguments only with these */
	RULE_KIND_COUNT
};

struct rule {
	enum rule_kind kind;
	bool floating;      /* a restriction with **: wins at every depth */
	size_t literal_len; /* length of the pattern before the first glob character; all of it: no globs, a path */
	char *pattern;      /* normalised: no //, /. or trailing /, no backslashes where it is a path; a ** at the
	                       end only where it makes a restriction without other globs float */
	char **args;        /* EXEC_DENY: patterns of argv[1..], NULL-terminated; NULL: whatever the arguments */
	char *origin;       /* where it was written: "profile agent", "--protect", "FILE:LINE:COL" */
	unsigned int id;    /* index in the policy, stable for its life: names the rule in records */
};

struct policy;

/* How the names begin under which the sentry makes a file that is protected by key. */
#define KEYS_TEMP ".gabion-keys."

/* A list of rules being collected. */
struct policy_builder;

int policy_builder_new(struct policy_builder **ret_b);
struct policy_builder *policy_builder_free(struct policy_builder *b);
/*
 * Adds a rule. PATTERN must be absolute; it is normalised here (//, /., trailing /; .. is refused). Returns
 * -EINVAL for a bad pattern, -ENOMEM. Strings are copied.
 */
int policy_builder_add(struct policy_builder *b, enum rule_kind kind, const char *pattern, const char *origin);
/*
 * Makes the exec rules added so far agree with MODE: WRITTEN_DENY drops those for what may be written, WRITTEN_ALLOW adds one for
 * every write rule without globs, WRITTEN_MOUNTS changes nothing. -ENOMEM.
 */
int policy_builder_written(struct policy_builder *b, enum written_mode mode);
/* The last mode that was said so; WRITTEN_MOUNTS where none was. */
enum written_mode policy_written(const struct policy *p);
/*
 * Adds RULE_EXEC_DENY with patterns of arguments (NULL-terminated, copied; NULL: none, as policy_builder_add()). A pattern
 * matches one argument, with *, ? and [...] for any of its bytes; "**" stands for any number of arguments. Patterns are of argv[1] on.
 */
int policy_builder_deny_exec(struct policy_builder *b, const char *pattern, const char *const *args, const char *origin);
/* Sorts and freezes what was collected; the builder may be used on and compiled again. */
int policy_compile(const struct policy_builder *b, struct policy **ret_p);
struct policy *policy_free(struct policy *p);

/*
 * Says that nothing of the host's lies at or below the literal path PATH: the floor makes it for this run (the private
 * home, /tmp). Changes no verdict: the plan need not ask the floor for more where a hide rule lies in there.
 * -EINVAL, -ENOMEM.
 */
int policy_builder_private(struct policy_builder *b, const char *path);

/* Does the literal PATH lie in a place policy_builder_private() named, and does no longer rule show the host there again? */
bool policy_is_private(const struct policy *p, const char *path);

/* The errno a refused write is answered with where no restriction but the lack of a write rule decided:
 * EROFS where the floor is a read-only view, EACCES else. Part of the compiled policy; default EROFS. */
void policy_set_write_errno(struct policy_builder *b, int err);

/* Decides OP on the object at canonical absolute PATH (no symlink left, no . or ..; LEN without NUL). */
struct verdict policy_path(const struct policy *p, enum op op, const char *path, size_t len);

/*
 * Decides whether the directory PATH may be moved away, or another moved there: a write to it, and no restriction
 * that could match something below it may be carried away (mv .git x) or planted (mv x .git). To be asked of both
 * names of a rename. Where IS_DIR is false like OP_WRITE. rmdir asks OP_WRITE only: an empty directory carries
 * nothing. symlink() asks policy_path_link().
 */
struct verdict policy_path_move(const struct policy *p, const char *path, size_t len, bool is_dir);

/*
 * Decides a rename as a whole: policy_path_move() of both names, and no directory may cross the edge of a place
 * within which a ** rule counts (hide /ws/X/.env with X = **, mv /ws/a /tmp/a), nor (EXDEV, so that mv(1) copies) of one
 * from which an except rule lifts it (mv node_modules/x x). Asked with both where IS_DIR is true of either.
 */
struct verdict policy_path_rename(const struct policy *p, const char *from, size_t from_len, const char *to,
				  size_t to_len, bool is_dir);

/*
 * Decides whether a symbolic link PATH with the text TEXT may be made: as policy_path_move() of a directory, for it plants
 * whatever it leads to (ln -s x .git); but a link to its neighbour (TEXT is one component) under a name that means no more to
 * any restriction than the neighbour's plants nothing.
 */
struct verdict policy_path_link(const struct policy *p, const char *path, size_t len, const char *text);
/* Whether a rule about arguments speaks of the program at PATH. */
bool policy_wants_args(const struct policy *p, const char *path, size_t len);
/*
 * Decides whether the program at canonical PATH may be executed with ARGS, its arguments from argv[1] on: only what rules about
 * arguments say. A help against mistakes: what a program does need not show in its arguments.
 */
struct verdict policy_exec_args(const struct policy *p, const char *path, size_t len, const char *const *args, size_t n);

/* Whether rule I hides something where no mount can hide it: with globs, or inside what may be written and is not private. */
bool policy_hides_within(const struct policy *p, size_t i);

/* Facts the plan needs. */
bool policy_has_floating(const struct policy *p, enum rule_kind kind);
size_t policy_rule_count(const struct policy *p);
const struct rule *policy_rule(const struct policy *p, size_t i); /* by id */
const char *rule_kind_name(enum rule_kind k);

#endif
