/*
 * What of the host is shown, as detached mounts.
 *
 * ROOT: made by the monitor on the host's side, since only there may the trees be idmapped and are private
 * directories reachable: the root file system without its submounts, each submount worth showing for itself,
 * so that one that cannot be idmapped (overlayfs, 9p, ...) does not spoil the rest. Host files owned by root
 * then look owned by root inside; the workspace and the private home look owned by the guest. ROOTLESS: made
 * inside the new namespaces, recursively (mounts copied into a less privileged namespace are locked together,
 * mount_namespaces(7)), without idmap: the guest is the caller.
 *
 * Should: make everything read-only, nosuid and nodev that no write rule names.
 * Mustn't: clear a flag that a host mount has; show procfs, sysfs, devices or /run of the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "monitor/floor/floor.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

/* Trees whose host mounts are never shown: the view has its own, or masks them. */
static const char *const never_shown[] = {"/proc",    "/sys",  "/dev",	"/run", "/tmp",
					  "/var/tmp", "/home", "/root", "/boot"};

static bool below(const char *path, const char *top)
{
	size_t n = strlen(top);
	return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int source_add(struct sources *s, const char *target, int fd, bool dir)
{
	struct source *v = reallocarray(s->v, s->n + 1, sizeof(*v));
	if (v == NULL) {
		fd_close(fd);
		return -ENOMEM;
	}
	s->v = v;
	v[s->n] = (struct source){.target = strdup(target), .fd = fd, .dir = dir};
	s->n++;
	return v[s->n - 1].target != NULL ? 0 : -ENOMEM;
}

/* Undoes the octal escapes of /proc/self/mountinfo (proc(5)) in place. */
static void unescape(char *s)
{
	char *to = s;
	for (; *s != '\0'; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] != '\0' && s[3] != '\0') {
			*to++ = (char)(((s[1] - '0') << 6) | ((s[2] - '0') << 3) | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static int idmap(int fd, int userns, bool recursive)
{
	struct mount_attr a = {.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns};
	return mount_setattr(fd, "", AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0), &a, sizeof(a));
}

/* ROOT: every submount of the host's root that the view shows. One that cannot be cloned is left out. */
static int submounts(struct sources *s, int shift)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	if (f == NULL)
		return err_now();
	AUTO_FREE char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (r == 0 && getline(&line, &size, f) > 0) {
		char *save = NULL, *field = strtok_r(line, " ", &save);
		for (int i = 0; field != NULL && i < 4; i++)
			field = strtok_r(NULL, " ", &save);
		if (field == NULL)
			continue;
		unescape(field);
		bool skip = strcmp(field, "/") == 0;
		for (size_t i = 0; i < ARRAY_LEN(never_shown); i++)
			skip = skip || below(field, never_shown[i]);
		if (skip)
			continue;
		int fd = open_tree(AT_FDCWD, field, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (fd < 0)
			continue;
		(void)idmap(fd, shift, false);
		struct stat st;
		if (mount_attrs(fd, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, false) < 0 ||
		    fstat(fd, &st) < 0) {
			fd_close(fd);
			continue;
		}
		r = source_add(s, field, fd, S_ISDIR(st.st_mode));
	}
	fclose(f);
	return r;
}

/* The host's root, read-only. */
static int open_root(struct sources *s, const struct floor_ids *ids, int shift)
{
	bool root = ids->mode == FLOOR_ROOT;
	unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (root ? 0 : AT_RECURSIVE);

	s->root = open_tree(AT_FDCWD, "/", flags);
	if (s->root < 0)
		return err_now();
	if (root)
		(void)idmap(s->root, shift,
			    false); /* overlayfs refuses: host files then look owned by nobody */
	if (mount_attrs(s->root, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, !root) < 0)
		return err_now();
	return root ? submounts(s, shift) : 0;
}

/* One tree the guest may see under its own flags. SWAP: the mount namespace of ids that makes its owner the
 * guest. */
static int open_place(struct sources *s, const char *source, const char *target, bool write, bool exec,
		      int userns)
{
	struct stat st;
	AUTO_FD int fd = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_now();
	if (userns >= 0 && idmap(fd, userns, true) < 0) {
		int alone = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		if (alone >= 0 && idmap(alone, userns, false) == 0) {
			fd_close(fd);
			fd = alone;
		} else {
			fd_close(alone);
			s->not_mapped = s->not_mapped || write;
		}
	}
	uint64_t set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	if (!write)
		set |= MOUNT_ATTR_RDONLY;
	if (!exec)
		set |= MOUNT_ATTR_NOEXEC;
	if (mount_attrs(fd, set, 0, true) < 0)
		return err_now();
	return source_add(s, target, fd_steal(&fd), S_ISDIR(st.st_mode));
}

/* The real home, read-only; its owner's files are the guest's to read. */
static int open_home(struct sources *s, const struct places *p, const struct floor_ids *ids)
{
	struct floor_ids of = *ids;
	AUTO_FD int map = -1;
	struct stat st;
	int r = 0;

	if (stat(p->home_source, &st) < 0)
		return err_now();
	of.owner = st.st_uid;
	of.owner_gid = st.st_gid;
	if (ids->mode == FLOOR_ROOT)
		r = ids_map_namespace(&of, true, &map);
	return r < 0 ? r : open_place(s, p->home_source, p->home, false, true, map);
}

int sources_open(const struct places *p, const struct floor_ids *ids, struct sources *ret_s)
{
	struct sources s = SOURCES_NULL;
	AUTO_FD int shift = -1;
	AUTO_FD int swap = -1;
	int r = 0;

	if (ids->mode == FLOOR_ROOT) {
		r = ids_map_namespace(ids, false, &shift);
		if (r == 0 && !ids->not_mapped)
			r = ids_map_namespace(ids, true, &swap);
	}
	if (r == 0)
		r = open_root(&s, ids, shift);
	if (r == 0 && !p->home_host)
		r = open_place(&s, p->home_source, p->home, true,
			       p->policy != NULL &&
				       policy_path(p->policy, OP_EXEC, p->home, strlen(p->home)).kind == VERDICT_ALLOW,
			       swap);
	if (r == 0 && p->home_host)
		r = open_home(&s, p, ids);
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		const struct place *pl = &p->v[i];
		if (pl->link == NULL)
			r = open_place(&s, pl->source, pl->target, pl->write, pl->exec,
				       pl->write ? swap : shift);
		if (r == -ENOENT || r == -EACCES) /* gone or closed to the caller: not shown */
			r = 0;
	}
	for (size_t i = 0; r == 0 && p->workspaces[i] != NULL; i++)
		r = open_place(&s, p->workspaces[i], p->workspaces[i], true, p->exec_workspace, swap);
	if (r < 0)
		sources_close(&s);
	else
		*ret_s = s;
	return r;
}

void sources_close(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++) {
		fd_close(s->v[i].fd);
		free(s->v[i].target);
	}
	free(s->v);
	fd_close(s->root);
	*s = SOURCES_NULL;
}
