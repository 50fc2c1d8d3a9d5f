/*
 * The guest's mount tree.
 *
 * The host's root, read-only, with everything that would tell of the host or its users covered: private tmpfs
 * for /tmp, /var/tmp, /run and the homes, a /dev of six nodes, own /proc and /sys, the guest's private home
 * at $HOME, the workspace writable at its own path. Built in the new namespaces by a process with every
 * capability there, before anything of the guest runs; ends with the old root detached.
 *
 * Should: hold every read, write, exec and literal hide rule outside the workspaces by mounts alone, so that
 * the plan may leave those families to the kernel. Writable mounts are nosuid and nodev, and noexec but for
 * the workspaces and the scratch directory. Mustn't: mount anything below a workspace (rename, rm -rf and
 * atomic replace there would meet EBUSY and EXDEV); change anything on the host but empty mount points in the
 * private home; leave a way to the old root.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

#define ATTR_BASE (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)
enum { SMALL_TMPFS = 16 << 20 };

int view_tmpfs(uint64_t size, unsigned int mode, uint64_t attrs)
{
	char text[32];
	AUTO_FD int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (fs < 0)
		return err_now();
	snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
	if (fsconfig(fs, FSCONFIG_SET_STRING, "size", text, 0) < 0)
		return err_now();
	snprintf(text, sizeof(text), "%o", mode);
	if (fsconfig(fs, FSCONFIG_SET_STRING, "mode", text, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_now();
	int fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned int)attrs);
	return fd < 0 ? err_now() : fd;
}

/* openat2 inside ROOT; no magic links; symlinks are followed as the guest would. */
static int open_in(int root, const char *path, uint64_t flags)
{
	struct open_how how = {.flags = flags | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* Private directories belong to the guest, not to the root of its user namespace: create there with its ids.
 */
struct as_guest {
	uid_t uid;
	gid_t gid;
};

static struct as_guest guest_ids;

void view_act_as(const struct floor_ids *ids)
{
	guest_ids = (struct as_guest){ids->uid, ids->gid};
}

static int make_one(int parent, const char *name, bool dir)
{
	for (int attempt = 0; attempt < 2; attempt++) {
		int r;
		if (attempt == 1) {
			setfsgid(guest_ids.gid);
			setfsuid(guest_ids.uid);
		}
		if (dir) {
			r = mkdirat(parent, name, 0755);
		} else {
			r = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
			if (r >= 0)
				r = fd_close(r) + 1;
		}
		int saved = errno;
		if (attempt == 1) {
			setfsuid(geteuid());
			setfsgid(getegid());
		}
		if (r == 0 || saved == EEXIST)
			return 0;
		errno = saved;
		if (saved != EACCES && saved != EPERM && saved != EOVERFLOW)
			break;
	}
	return err_now();
}

int view_mount_point(int root, const char *path, bool dir)
{
	uint64_t kind = O_PATH | (dir ? O_DIRECTORY : 0);
	int fd = open_in(root, path, kind);
	if (fd >= 0 || errno != ENOENT)
		return fd >= 0 ? fd : err_now();

	AUTO_FREE char *copy = strdup(path);
	if (copy == NULL)
		return -ENOMEM;
	for (char *slash = strchr(copy + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash != NULL)
			*slash = '\0';
		AUTO_FD int there = open_in(root, copy, O_PATH);
		if (there < 0) {
			char *last = strrchr(copy, '/');
			AUTO_FD int parent = last == copy ? dup(root) : -1;
			if (last != copy) {
				*last = '\0';
				parent = open_in(root, copy, O_PATH | O_DIRECTORY);
				*last = '/';
			}
			if (parent < 0)
				return err_now();
			int r = make_one(parent, last + 1, slash != NULL || dir);
			if (r < 0)
				return r;
		}
		if (slash == NULL)
			break;
		*slash = '/';
	}
	fd = open_in(root, path, kind);
	return fd >= 0 ? fd : err_now();
}

/* Mounts the detached MOUNT (consumed) at PATH of the view; a missing mount point is made. */
static int put(int root, int mount, const char *path, bool dir)
{
	AUTO_FD int from = mount;
	if (from < 0)
		return from;
	AUTO_FD int at = view_mount_point(root, path, dir);
	if (at < 0)
		return at;
	return mount_attach(from, at) < 0 ? err_now() : 0;
}

/* The same where the view's root has PATH; nothing to cover where it has not. */
static int cover(int root, const char *path, uint64_t size, unsigned int mode, uint64_t attrs)
{
	struct stat st;
	AUTO_FD int at = open_in(root, path, O_PATH | O_NOFOLLOW);
	if (at < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : err_now();
	if (fstat(at, &st) < 0)
		return err_now();
	if (S_ISLNK(st.st_mode)) /* /var/run -> /run and the like: what it names is covered by itself */
		return 0;
	AUTO_FD int over = -1;
	if (S_ISDIR(st.st_mode))
		over = view_tmpfs(size, mode, attrs);
	else
		over = open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (over < 0)
		return err_now();
	return mount_attach(over, at) < 0 ? err_now() : 0;
}

static bool same_or_below(const char *path, const char *top)
{
	size_t n = strlen(top);
	return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Whether TARGET lies below PATH: what covers PATH must let it be mounted there again. */
static bool leads_to(const char *path, const char *target)
{
	return strcmp(path, target) != 0 && same_or_below(target, path);
}

/* Other people's homes: covered in every view. */
static const char *const homes[] = {"/home", "/root"};

/* Whether hide rule I of POLICY is held by a mask that is not there anyway. What the plan counts on, no more and no less. */
static bool wants_mask(const struct policy *policy, size_t i)
{
	const char *path = policy_rule(policy, i)->pattern;

	for (size_t k = 0; k < ARRAY_LEN(homes); k++)
		if (strcmp(path, homes[k]) == 0)
			return false;
	return strcmp(path, "/") != 0 && plan_masks(policy, i);
}

/* Whether something that is shown lies below PATH. */
static bool has_below(const struct places *p, const char *path)
{
	bool leads = leads_to(path, p->home);

	for (size_t w = 0; p->workspaces[w] != NULL; w++)
		leads = leads || leads_to(path, p->workspaces[w]);
	for (size_t i = 0; i < p->n; i++)
		leads = leads || leads_to(path, p->v[i].target);
	return leads;
}

/* When a hide rule's object is covered. */
enum hide_pass {
	HIDE_LEADS = 0, /* before the places are mounted: what has one of them below it */
	HIDE_HOME,	/* the same in a home that is shown, once that is mounted */
	HIDE_REST,	/* afterwards: it may lie in a place */
};

/*
 * Covers what plan_masks() says of the hide rules, where something of the host lies there. In passes: what has places
 * below it is covered by a tmpfs that takes mount points as long as the view is built, before those are mounted; then
 * all else, for it may lie in a place.
 */
static int hide_all(int root, const struct places *p, const struct policy *policy, enum hide_pass pass)
{
	bool leads = pass != HIDE_REST;
	uint64_t attrs = ATTR_BASE | MOUNT_ATTR_NOEXEC | (leads ? 0 : MOUNT_ATTR_RDONLY);

	for (size_t i = 0; i < policy_rule_count(policy); i++) {
		const struct rule *rule = policy_rule(policy, i);
		bool in_home = p->home_host && leads_to(p->home, rule->pattern);
		if (!wants_mask(policy, i) || has_below(p, rule->pattern) != leads ||
		    (leads && in_home != (pass == HIDE_HOME)))
			continue;
		int r = cover(root, rule->pattern, leads ? SMALL_TMPFS : 4096, leads ? 0711 : 0, attrs);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_writable(const struct policy *policy, const char *path)
{
	for (size_t i = 0; i < policy_rule_count(policy); i++) {
		const struct rule *r = policy_rule(policy, i);
		if (r->kind == RULE_WRITE && r->literal_len == strlen(r->pattern) && same_or_below(path, r->pattern))
			return true;
	}
	return false;
}

/*
 * What deny-exec rules name, mounted over itself without the right to execute: by any name and any way, the ELF interpreter's
 * mmap included. Inside what is writable no mount is made: there the plan sees to it.
 */
static int deny_exec_all(int root, const struct policy *policy)
{
	for (size_t i = 0; i < policy_rule_count(policy); i++) {
		const struct rule *rule = policy_rule(policy, i);
		struct stat st;
		if (rule->kind != RULE_EXEC_DENY || rule->args != NULL || rule->literal_len != strlen(rule->pattern) ||
		    is_writable(policy, rule->pattern))
			continue;
		AUTO_FD int at = open_in(root, rule->pattern, O_PATH);
		if (at < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
			continue; /* nothing there, nor can anything come there */
		if (at < 0 || fstat(at, &st) < 0)
			return err_now();
		bool dir = S_ISDIR(st.st_mode);
		AUTO_FD int tree = open_tree(at, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (dir ? AT_RECURSIVE : 0));
		if (tree < 0 || mount_attrs(tree, MOUNT_ATTR_NOEXEC, 0, dir) < 0 || mount_attach(tree, at) < 0)
			return err_now();
	}
	return 0;
}

/* The end of the first pass: nothing is to be written where it covered. */
static int hide_close(int root, const struct places *p, const struct policy *policy)
{
	for (size_t i = 0; i < policy_rule_count(policy); i++) {
		const struct rule *rule = policy_rule(policy, i);
		struct statx sx;
		if (!wants_mask(policy, i) || !has_below(p, rule->pattern))
			continue;
		AUTO_FD int at = open_in(root, rule->pattern, O_PATH | O_NOFOLLOW);
		/* Not covered: nothing was there then. */
		if (at < 0 || statx(at, "", AT_EMPTY_PATH, STATX_TYPE, &sx) < 0 ||
		    (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
			continue;
		if (mount_attrs(at, MOUNT_ATTR_RDONLY, 0, false) < 0)
			return err_now();
	}
	return 0;
}

/* Nor in what covers other people's homes. */
static int close_homes(int root, const struct places *p)
{
	for (size_t i = 0; i < ARRAY_LEN(homes); i++) {
		struct statx sx;
		if (strcmp(p->home, homes[i]) == 0)
			continue;
		AUTO_FD int at = open_in(root, homes[i], O_PATH | O_NOFOLLOW);
		if (at >= 0 && statx(at, "", AT_EMPTY_PATH, STATX_TYPE, &sx) == 0 &&
		    (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0 && mount_attrs(at, MOUNT_ATTR_RDONLY, 0, false) < 0)
			return err_now();
	}
	return 0;
}

static int dev_node(int root, int dev, const char *name)
{
	char path[32];
	snprintf(path, sizeof(path), "/dev/%s", name);
	AUTO_FD int node = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (node < 0)
		return errno == ENOENT ? 0 : err_now();
	(void)root;
	AUTO_FD int made = openat(dev, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (made < 0)
		return err_now();
	AUTO_FD int at = openat(dev, name, O_PATH | O_CLOEXEC);
	if (at < 0)
		return err_now();
	return mount_attach(node, at) < 0 ? err_now() : 0;
}

static int devpts_detached(void)
{
	AUTO_FD int fs = fsopen("devpts", FSOPEN_CLOEXEC);
	if (fs < 0 || fsconfig(fs, FSCONFIG_SET_FLAG, "newinstance", NULL, 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "ptmxmode", "0666", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0620", 0) < 0 ||
	    fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_now();
	int fd = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	return fd < 0 ? err_now() : fd;
}

/* What filesystem.tmpfs of the policy says of PATH, where it does. */
static void wished(const struct places *p, const char *path, uint64_t *size, uint64_t *attrs)
{
	/* As the policy says, and nothing below it otherwise: no mount is made in there. */
	if (p->policy != NULL && policy_path(p->policy, OP_EXEC, path, strlen(path)).kind == VERDICT_ALLOW)
		*attrs &= ~(uint64_t)MOUNT_ATTR_NOEXEC;
	for (size_t i = 0; p->tmpfs != NULL && i < p->tmpfs->n; i++) {
		const struct tmpfs_wish *w = &p->tmpfs->v[i];

		if (strcmp(w->path, path) != 0)
			continue;
		if (w->size != 0)
			*size = w->size;
		if (w->exec && p->exec_tmpfs[i])
			*attrs &= ~(uint64_t)MOUNT_ATTR_NOEXEC;
	}
}

static int wished_tmpfs(const struct places *p, const char *path, uint64_t size, unsigned int mode)
{
	uint64_t attrs = ATTR_BASE | MOUNT_ATTR_NOEXEC;

	wished(p, path, &size, &attrs);
	return view_tmpfs(size, mode, attrs);
}

static int build_dev(int root, const struct places *p)
{
	static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
	static const char *const links[][2] = {{"/proc/self/fd", "fd"},
					       {"/proc/self/fd/0", "stdin"},
					       {"/proc/self/fd/1", "stdout"},
					       {"/proc/self/fd/2", "stderr"},
					       {"pts/ptmx", "ptmx"}};
	int dev = view_tmpfs(1 << 20, 0755, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (dev < 0)
		return dev;
	AUTO_FD int keep = fcntl(dev, F_DUPFD_CLOEXEC, 3);
	int r = put(root, dev, "/dev", true);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(nodes); i++)
		r = dev_node(root, keep, nodes[i]);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(links); i++)
		if (symlinkat(links[i][0], keep, links[i][1]) < 0)
			r = err_now();
	if (r == 0 && (mkdirat(keep, "pts", 0755) < 0 || mkdirat(keep, "shm", 01777) < 0))
		r = err_now();
	if (r == 0)
		r = put(root, devpts_detached(), "/dev/pts", true);
	if (r == 0)
		r = put(root, wished_tmpfs(p, "/dev/shm", p->tmp_size, 01777), "/dev/shm", true);
	if (r == 0 && mount_attrs(keep, MOUNT_ATTR_RDONLY, 0, false) < 0)
		r = err_now();
	return r;
}

/* Private in every view, whatever the policy says: the host's sockets and other people's files are there. */
static const struct {
	const char *path;
	bool small;
	unsigned int mode;
} always_private[] = {{"/tmp", false, 01777}, {"/var/tmp", false, 01777}, {"/run", true, 0755}};

static bool is_always_private(const char *path)
{
	bool is = strcmp(path, "/dev/shm") == 0;

	for (size_t i = 0; i < ARRAY_LEN(always_private); i++)
		is = is || strcmp(path, always_private[i].path) == 0;
	return is;
}

static int private_trees(int root, const struct places *p)
{
	uint64_t noexec = ATTR_BASE | MOUNT_ATTR_NOEXEC;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(always_private); i++) {
		uint64_t size = always_private[i].small ? SMALL_TMPFS : p->tmp_size, attrs = noexec;

		wished(p, always_private[i].path, &size, &attrs);
		r = cover(root, always_private[i].path, size, always_private[i].mode, attrs);
	}
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(homes); i++)
		if (strcmp(p->home, homes[i]) != 0)
			r = cover(root, homes[i], SMALL_TMPFS, 0755, noexec);
	if (r == 0)
		r = put(root, view_tmpfs(p->tmp_size, 0700, p->exec_scratch ? ATTR_BASE : noexec), p->scratch,
			true);
	return r;
}

/* The guest owns the directory at PATH: the scratch directory, a tmpfs of its own. */
static int own(int root, const char *path, const struct floor_ids *ids)
{
	AUTO_FD int fd = open_in(root, path, O_RDONLY | O_DIRECTORY);
	return fd < 0 || fchown(fd, ids->uid, ids->gid) < 0 ? err_now() : 0;
}

/* filesystem.tmpfs of the policy, but what is there anyway. Behind the places: one may lie in a place. */
static int tmpfs_all(int root, const struct places *p, const struct floor_ids *ids, const char **ret_stage)
{
	int r = 0;

	for (size_t i = 0; r == 0 && p->tmpfs != NULL && i < p->tmpfs->n; i++) {
		const char *path = p->tmpfs->v[i].path;

		if (is_always_private(path))
			continue;
		*ret_stage = p->tmpfs->v[i].origin;
		r = put(root, wished_tmpfs(p, path, p->tmp_size, 0755), path, true);
		if (r == 0)
			r = own(root, path, ids);
	}
	return r;
}

/*
 * A symlink in PARENT. One of an earlier run whose text is old is replaced; what the guest put there instead
 * stays. First as ourselves (/run, /home: directories of the view), then with the guest's ids (its home).
 */
static int make_link(int parent, const char *name, const char *text)
{
	char there[PATH_MAX];
	ssize_t n = readlinkat(parent, name, there, sizeof(there));
	bool old = n >= 0 && ((size_t)n != strlen(text) || memcmp(there, text, (size_t)n) != 0);
	int r = -1;

	if ((n >= 0 && !old) || (n < 0 && errno == EINVAL))
		return 0;
	for (int attempt = 0; r < 0 && attempt < 2; attempt++) {
		if (attempt == 1) {
			setfsgid(guest_ids.gid);
			setfsuid(guest_ids.uid);
		}
		if (old)
			(void)unlinkat(parent, name, 0);
		r = symlinkat(text, parent, name) < 0 ? err_now() : 0;
		if (attempt == 1) {
			setfsuid(geteuid());
			setfsgid(getegid());
		}
	}
	return r == -EEXIST ? 0 : r;
}

static int place_links(int root, const struct places *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->v[i].link == NULL)
			continue;
		AUTO_FREE char *dir = strdup(p->v[i].target);
		char *last = dir == NULL ? NULL : strrchr(dir, '/');
		if (last == NULL || last == dir)
			return dir == NULL ? -ENOMEM : -EINVAL;
		*last = '\0';
		AUTO_FD int parent = view_mount_point(root, dir, true);
		if (parent < 0)
			return parent;
		(void)make_link(parent, last + 1, p->v[i].link); /* a tool less is no reason to stop */
	}
	return 0;
}

static bool is_workspace(const struct places *p, const char *path)
{
	for (size_t i = 0; p->workspaces[i] != NULL; i++)
		if (strcmp(p->workspaces[i], path) == 0)
			return true;
	return false;
}

static int attach_root(int tree)
{
	AUTO_FD int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0)
		return err_now();
	return mount_attach(tree, old) < 0 ? err_now() : 0;
}

static int enter(int tree)
{
	if (fchdir(tree) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
	    chdir("/") < 0)
		return err_now();
	return 0;
}

int view_build(const struct places *p, const struct floor_ids *ids, const struct policy *policy,
	       struct sources *s, const char **ret_stage)
{
	int r = 0;
	view_act_as(ids);
	umask(0);

	*ret_stage = "private mounts";
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_now();
	*ret_stage = "mounting the root";
	r = attach_root(s->root);
	/* Submounts first (ROOT): sources come parents before children, host mounts before private places. */
	*ret_stage = "mounting the host's file systems";
	size_t first_place = s->n;
	for (size_t i = 0; r == 0 && i < s->n; i++) {
		if (strcmp(s->v[i].target, p->home) == 0) {
			first_place = i;
			break;
		}
		AUTO_FD int at = open_in(s->root, s->v[i].target, O_PATH);
		if (at >= 0 && mount_attach(s->v[i].fd, at) < 0)
			r = err_now();
	}
	if (r == 0) {
		*ret_stage = "hiding";
		r = hide_all(s->root, p, policy, HIDE_LEADS);
	}
	if (r == 0) {
		*ret_stage = "private directories";
		r = private_trees(s->root, p);
	}
	if (r == 0)
		r = own(s->root, p->scratch, ids);
	if (r == 0) {
		*ret_stage = "/dev";
		r = build_dev(s->root, p);
	}
	if (r == 0) {
		*ret_stage = "/sys";
		r = sys_mount(s->root);
	}
	for (size_t i = first_place; r == 0 && i < s->n; i++) {
		*ret_stage = s->v[i].target;
		r = put(s->root, fd_steal(&s->v[i].fd), s->v[i].target, s->v[i].dir);
		/* What the guest made of its home in earlier runs must not keep later ones from starting: not
		 * shown then. */
		if (r < 0 && i > first_place && same_or_below(s->v[i].target, p->home) &&
		    !is_workspace(p, s->v[i].target))
			r = 0;
		if (r == 0 && i == first_place && p->home_host)
			r = hide_all(s->root, p, policy, HIDE_HOME);
	}
	if (r == 0)
		r = tmpfs_all(s->root, p, ids, ret_stage);
	if (r == 0) {
		*ret_stage = "hiding";
		r = hide_all(s->root, p, policy, HIDE_REST);
	}
	if (r == 0) {
		*ret_stage = "denying execution";
		r = deny_exec_all(s->root, policy);
	}
	if (r == 0) {
		*ret_stage = "links";
		r = place_links(s->root, p);
	}
	if (r == 0) {
		*ret_stage = "/etc";
		r = etc_mount(s->root, p, ids);
	}
	if (r == 0)
		r = hide_close(s->root, p, policy);
	if (r == 0 && p->writes_held)
		r = close_homes(s->root, p);
	if (r == 0) {
		*ret_stage = "pivot_root";
		r = enter(s->root);
	}
	umask(022);
	return r;
}
