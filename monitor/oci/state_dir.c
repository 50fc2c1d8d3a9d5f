/*
 * The directories of containers: made and removed by renames, locked by flock(2).
 *
 * A create makes ROOT/.new-PID-N, locks it, writes the state into it and renames it to ROOT/ID; a directory that
 * holds something cannot be renamed onto, so of two creates one wins, and an ID that exists always has a state in it.
 * A delete renames ROOT/ID to ROOT/.gone-PID-N and only then empties it. Whoever waits for a lock looks afterwards
 * whether the name still means the directory it locked.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "monitor/oci/state.h"
#include "util/err.h"
#include "util/fd.h"

#define NEW  ".new-"
#define GONE ".gone-"

enum {
	ID_MAX = 1024, /* runc's; a name in a directory is at most 255 */
	TRIES = 64,
	DEPTH_MAX = 16, /* of what lies in a container's directory */
};

/* Makes PATH with all its parents, 0700 for what is new. */
static int make_path(const char *path)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return -ENAMETOOLONG;
	for (size_t i = 1; i <= n; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return err_now();
	}
	return 0;
}

int oci_state_root(const char *root, char **ret_root, struct oci_fault *fault)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char path[PATH_MAX];
	struct stat st;
	int n;

	if (root != NULL && root[0] == '\0')
		return oci_fail(fault, -EINVAL, "the directory of --root is empty");
	if (root != NULL && root[0] == '/')
		n = snprintf(path, sizeof(path), "%s", root);
	else if (root != NULL) {
		char *cwd = getcwd(NULL, 0);
		if (cwd == NULL)
			return oci_fail_errno(fault, err_now(), "getcwd");
		n = snprintf(path, sizeof(path), "%s/%s", cwd, root);
		free(cwd);
	} else if (!oci_privileged() && runtime != NULL && runtime[0] == '/')
		n = snprintf(path, sizeof(path), "%s/gabion-oci", runtime);
	else if (geteuid() != 0)
		n = snprintf(path, sizeof(path), "/tmp/gabion-oci-%u", (unsigned int)geteuid());
	else
		n = snprintf(path, sizeof(path), "/run/gabion-oci");
	if (n < 0 || (size_t)n >= sizeof(path))
		return oci_fail_errno(fault, -ENAMETOOLONG, "the directory of --root");
	int r = make_path(path);
	if (r < 0)
		return oci_fail_errno(fault, r, "mkdir %s", path);
	/* Somebody else's directory would say which processes we signal. */
	if (stat(path, &st) < 0)
		return oci_fail_errno(fault, err_now(), "stat %s", path);
	if (!S_ISDIR(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0) || (st.st_mode & 0022 && !(st.st_mode & S_ISVTX)))
		return oci_fail(fault, -EPERM, "%s must be a directory of this user's that nobody else can write to", path);
	*ret_root = strdup(path);
	return *ret_root == NULL ? oci_fail_errno(fault, -ENOMEM, "%s", path) : 0;
}

int oci_state_check_id(const char *id, struct oci_fault *fault)
{
	size_t n = strlen(id);

	if (n == 0)
		return oci_fail(fault, -EINVAL, "container id cannot be empty");
	if (strcmp(id, ".") == 0 || strcmp(id, "..") == 0 || id[0] == '.' || n > ID_MAX || n > NAME_MAX)
		return oci_fail(fault, -EINVAL, "invalid container ID format");
	for (const char *c = id; *c != '\0'; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
		      strchr("_+-.", *c) != NULL))
			return oci_fail(fault, -EINVAL, "invalid container ID format");
	return 0;
}

static int open_root(const char *root, struct oci_fault *fault)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? oci_fail_errno(fault, err_now(), "open %s", root) : fd;
}

/* Empties directory DIR (taken over) but for its lock, which goes last; never onto another file system. */
static int empty(int dir, dev_t device, int depth)
{
	DIR *d = fdopendir(dir);
	struct dirent *e;
	struct stat st;
	int r = 0;

	if (d == NULL) {
		r = err_now();
		fd_close(dir);
		return r;
	}
	while ((e = readdir(d)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    (depth == 0 && strcmp(e->d_name, "lock") == 0))
			continue;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		bool is_dir = S_ISDIR(st.st_mode);
		if (is_dir && st.st_dev == device && depth < DEPTH_MAX) {
			int sub = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
			if (sub >= 0)
				(void)empty(sub, device, depth + 1);
		}
		if (unlinkat(dirfd(d), e->d_name, is_dir ? AT_REMOVEDIR : 0) < 0 && errno != ENOENT)
			r = err_now();
	}
	if (depth == 0 && r == 0)
		(void)unlinkat(dirfd(d), "lock", 0);
	closedir(d);
	return r;
}

/* Removes NAME below ROOT_FD, whose lock we hold or nobody has. */
static int remove_tree(int root_fd, const char *name)
{
	int dir = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (dir < 0)
		return errno == ENOENT ? 0 : err_now();
	if (fstat(dir, &st) < 0) {
		int r = err_now();
		fd_close(dir);
		return r;
	}
	int r = empty(dir, st.st_dev, 0);
	if (unlinkat(root_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = r < 0 ? r : err_now();
	return r;
}

static int lock_fd(int dir, bool wait, bool create)
{
	int fd = openat(dir, "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
	struct stat st;
	int r;

	if (fd < 0)
		return err_now();
	do
		r = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
	while (r < 0 && errno == EINTR);
	/* Whoever held it may have removed it, directory and all, before it was ours. */
	if (r == 0 && fstat(fd, &st) == 0 && st.st_nlink == 0) {
		errno = ENOENT;
		r = -1;
	}
	if (r < 0) {
		r = err_now();
		fd_close(fd);
		return r;
	}
	return fd;
}

/* A name nobody else uses: of this process, counted. */
static void unique(char *buf, size_t size, const char *prefix)
{
	static unsigned int counter;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(buf, size, "%s%d-%u-%lx", prefix, (int)getpid(), counter++,
		 (unsigned long)now.tv_sec * 1000000000UL + (unsigned long)now.tv_nsec);
}

int oci_state_new(const char *root, const struct oci_state *s, struct oci_handle *ret_h, struct oci_fault *fault)
{
	struct oci_handle h = OCI_HANDLE_NULL;
	char name[96];
	int r = oci_state_check_id(s->id, fault);
	AUTO_FD int root_fd = r < 0 ? r : open_root(root, fault);

	if (root_fd < 0)
		return root_fd;
	if (faccessat(root_fd, s->id, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return oci_fail(fault, -EEXIST, "container with given ID already exists");
	for (int try = 0;; try++) {
		unique(name, sizeof(name), NEW);
		if (mkdirat(root_fd, name, 0711) < 0)
			return oci_fail_errno(fault, err_now(), "mkdir %s/%s", root, name);
		h.dir = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		h.lock = h.dir < 0 ? err_now() : lock_fd(h.dir, false, true);
		if (h.lock >= 0)
			break;
		r = h.lock;
		h.lock = -1;
		oci_state_close(&h);
		/* a sweep took it for a killed gabion's: once more */
		(void)remove_tree(root_fd, name);
		if ((r != -EAGAIN && r != -ENOENT) || try >= TRIES)
			return oci_fail_errno(fault, r, "lock %s/%s", root, name);
	}
	snprintf(h.path, sizeof(h.path), "%s/%s", root, name);
	r = oci_state_write(&h, s, fault);
	if (r == 0 && renameat(root_fd, name, root_fd, s->id) < 0) {
		r = err_now();
		r = r == -EEXIST || r == -ENOTEMPTY || r == -ENOTDIR
			    ? oci_fail(fault, -EEXIST, "container with given ID already exists")
			    : oci_fail_errno(fault, r, "rename %s/%s", root, name);
	}
	if (r < 0) {
		(void)remove_tree(root_fd, name);
		oci_state_close(&h);
		return r;
	}
	snprintf(h.path, sizeof(h.path), "%s/%s", root, s->id);
	*ret_h = h;
	return 0;
}

/* Whether ROOT_FD/ID is the directory that H has open. */
static bool still_named(int root_fd, const char *id, const struct oci_handle *h)
{
	struct stat named, open_one;

	return fstatat(root_fd, id, &named, AT_SYMLINK_NOFOLLOW) == 0 && fstat(h->dir, &open_one) == 0 &&
	       named.st_ino == open_one.st_ino && named.st_dev == open_one.st_dev;
}

static int open_one(const char *root, const char *id, bool lock, struct oci_handle *ret_h, struct oci_fault *fault)
{
	int r = oci_state_check_id(id, fault);

	if (r < 0)
		return r;
	AUTO_FD int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return errno == ENOENT ? oci_fail(fault, -ENOENT, "container does not exist")
				       : oci_fail_errno(fault, err_now(), "open %s", root);
	for (int try = 0; try < TRIES; try++) {
		struct oci_handle h = OCI_HANDLE_NULL;
		h.dir = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (h.dir < 0)
			return errno == ENOENT ? oci_fail(fault, -ENOENT, "container does not exist")
					       : oci_fail_errno(fault, err_now(), "open %s/%s", root, id);
		snprintf(h.path, sizeof(h.path), "%s/%s", root, id);
		if (!lock) {
			*ret_h = h;
			return 0;
		}
		h.lock = lock_fd(h.dir, true, true);
		if (h.lock >= 0 && still_named(root_fd, id, &h)) {
			*ret_h = h;
			return 0;
		}
		r = h.lock < 0 ? h.lock : 0;
		if (h.lock < 0)
			h.lock = -1;
		oci_state_close(&h);
		if (r < 0 && r != -ENOENT)
			return oci_fail_errno(fault, r, "lock %s/%s", root, id);
	}
	return oci_fail(fault, -EBUSY, "container %s is created and deleted all the time", id);
}

int oci_state_open(const char *root, const char *id, struct oci_handle *ret_h, struct oci_fault *fault)
{
	return open_one(root, id, true, ret_h, fault);
}

int oci_state_peek(const char *root, const char *id, struct oci_handle *ret_h, struct oci_fault *fault)
{
	return open_one(root, id, false, ret_h, fault);
}

void oci_state_unlock(struct oci_handle *h)
{
	h->lock = fd_close(h->lock);
}

int oci_state_relock(struct oci_handle *h)
{
	struct stat st;

	if (h->lock >= 0)
		return 0;
	int fd = lock_fd(h->dir, true, false);
	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	/* Its name may have been taken away while we waited. */
	const char *slash = strrchr(h->path, '/');
	char root[sizeof(h->path)];
	if (slash == NULL || fstat(h->dir, &st) < 0 || st.st_nlink == 0) {
		fd_close(fd);
		return -ESTALE;
	}
	snprintf(root, sizeof(root), "%.*s", (int)(slash - h->path), h->path);
	AUTO_FD int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0 || !still_named(root_fd, slash + 1, h)) {
		fd_close(fd);
		return -ESTALE;
	}
	h->lock = fd;
	return 0;
}

void oci_state_close(struct oci_handle *h)
{
	h->lock = fd_close(h->lock);
	h->dir = fd_close(h->dir);
}

int oci_state_remove(const char *root, struct oci_handle *h, struct oci_fault *fault)
{
	AUTO_FD int root_fd = open_root(root, fault);
	const char *id = strrchr(h->path, '/');
	char name[96];

	if (root_fd < 0)
		return root_fd;
	if (id == NULL)
		return oci_fail(fault, -EINVAL, "%s is no container's directory", h->path);
	unique(name, sizeof(name), GONE);
	if (renameat(root_fd, id + 1, root_fd, name) < 0 && errno != ENOENT)
		return oci_fail_errno(fault, err_now(), "rename %s", h->path);
	int r = remove_tree(root_fd, name);
	oci_state_close(h);
	return r < 0 ? oci_fail_errno(fault, r, "remove %s/%s", root, name) : 0;
}

void oci_state_sweep(const char *root)
{
	DIR *d = opendir(root);
	struct dirent *e;

	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, NEW, strlen(NEW)) != 0 && strncmp(e->d_name, GONE, strlen(GONE)) != 0)
			continue;
		AUTO_FD int dir = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (dir < 0)
			continue;
		/* The lock is the first thing in it and the last one out: without one it is empty. */
		AUTO_FD int lock = lock_fd(dir, false, false);
		if (lock >= 0)
			(void)remove_tree(dirfd(d), e->d_name);
		else if (lock == -ENOENT)
			(void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	closedir(d);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int oci_state_list(const char *root, char ***ret_ids, struct oci_fault *fault)
{
	DIR *d = opendir(root);
	struct dirent *e;
	size_t n = 0;
	char **ids = calloc(1, sizeof(*ids));

	if (d == NULL && errno != ENOENT) {
		int r = err_now();
		free(ids);
		return oci_fail_errno(fault, r, "open %s", root);
	}
	while (d != NULL && ids != NULL && (e = readdir(d)) != NULL) {
		struct stat st;
		if (oci_state_check_id(e->d_name, NULL) < 0 ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
			continue;
		char **more = reallocarray(ids, n + 2, sizeof(*ids));
		char *id = strdup(e->d_name);
		if (more != NULL)
			ids = more;
		if (more == NULL || id == NULL) {
			free(id);
			for (size_t i = 0; i < n; i++)
				free(ids[i]);
			free(ids);
			ids = NULL;
			break;
		}
		ids[n++] = id;
		ids[n] = NULL;
	}
	if (d != NULL)
		closedir(d);
	if (ids == NULL)
		return oci_fail_errno(fault, -ENOMEM, "list %s", root);
	qsort(ids, n, sizeof(*ids), by_name);
	*ret_ids = ids;
	return 0;
}
