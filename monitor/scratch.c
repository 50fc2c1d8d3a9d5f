/*
 * Scratch directories without a mount view: see scratch.h.
 *
 * Each is locked (flock) by the monitor it serves; one nobody has locked belongs to a run that is over. A directory that was just
 * made and is not locked yet may be taken for such a one: its maker then fails to lock it, and makes another.
 *
 * Mustn't: follow a link a guest left (only directories themselves are changed, links are removed as links).
 */
#include "monitor/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/state.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	OPEN_DIRS = 16,
	DEPTH_MAX = 256, /* directories made unreadable, one in the other */
	TRIES = 16,
};

static bool was_closed; /* nftw(3) takes no argument for its callback */

static int open_up(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	if ((type == FTW_D || type == FTW_DNR) && (st->st_mode & 0700) != 0700 && chmod(path, 0700) == 0)
		was_closed = was_closed || type == FTW_DNR;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	(void)remove(path);
	return 0;
}

void scratch_remove(const char *path)
{
	int depth = 0;

	do {
		was_closed = false;
		(void)nftw(path, open_up, OPEN_DIRS, FTW_PHYS | FTW_MOUNT);
	} while (was_closed && depth++ < DEPTH_MAX);
	(void)nftw(path, remove_one, OPEN_DIRS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

/* What runs that are over have left. */
static void sweep(const char *state)
{
	DIR *d = opendir(state);

	if (d == NULL)
		return;
	for (struct dirent *e; (e = readdir(d)) != NULL;) {
		AUTO_FREE char *path = NULL;
		AUTO_FD int fd = -1;

		if (strncmp(e->d_name, "scratch.", 8) != 0)
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && errno == EACCES && fchmodat(dirfd(d), e->d_name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
			fd = openat(dirfd(d), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
			continue;
		if (asprintf(&path, "%s/%s", state, e->d_name) < 0)
			path = NULL;
		else
			scratch_remove(path);
	}
	closedir(d);
}

/* One attempt. -EAGAIN: somebody swept it away. */
static int make(const char *state, char **ret_path, int *ret_lock)
{
	AUTO_FREE char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%s/scratch.XXXXXX", state) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (mkdtemp(path) == NULL)
		return err_now();
	AUTO_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || stat(path, &st) < 0)
		return -EAGAIN;
	*ret_path = STEAL(path);
	*ret_lock = fd_steal(&fd);
	return 0;
}

int scratch_new(uid_t uid, gid_t gid, char **ret_path, int *ret_lock)
{
	AUTO_FREE char *state = NULL;
	char *path = NULL;
	int lock = -1;
	int r = state_dir(&state);

	if (r < 0)
		return r;
	sweep(state);
	r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < TRIES; i++)
		r = make(state, &path, &lock);
	if (r < 0 || path == NULL)
		return r < 0 ? r : -EAGAIN;
	if ((uid != geteuid() || gid != getegid()) && fchown(lock, uid, gid) < 0) {
		r = err_now();
		scratch_remove(path);
		free(path);
		fd_close(lock);
		return r;
	}
	*ret_path = path;
	*ret_lock = lock;
	return 0;
}
