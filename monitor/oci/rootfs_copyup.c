/*
 * tmpcopyup: what the image has below a directory is put into the tmpfs that will cover it. Everything is reached from
 * held directories without following links, so a hostile image can have only its own files copied.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/oci/rootfs.h"
#include "util/err.h"
#include "util/fd.h"

enum { DEPTH_MAX = 64 };

static int owner(int dir, const char *name, const struct stat *st)
{
	const struct timespec times[2] = {st->st_atim, st->st_mtim};

	if (fchownat(dir, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_now();
	if (!S_ISLNK(st->st_mode) && fchmodat(dir, name, st->st_mode & 07777, 0) < 0)
		return err_now();
	(void)utimensat(dir, name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

static int copy_file(int from, int to, const char *name)
{
	AUTO_FD int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	AUTO_FD int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	AUTO_FREE char *buf = malloc(65536);

	if (in < 0 || out < 0 || buf == NULL)
		return err_now();
	for (;;) {
		ssize_t n = read(in, buf, 65536);
		if (n == 0)
			return 0;
		for (ssize_t done = 0; n > 0 && done < n;) {
			ssize_t k = write(out, buf + done, (size_t)(n - done));
			if (k <= 0)
				return err_now();
			done += k;
		}
		if (n < 0)
			return err_now();
	}
}

static int copy_link(int from, int to, const char *name)
{
	char text[4097];
	ssize_t n = readlinkat(from, name, text, sizeof(text) - 1);

	if (n < 0)
		return err_now();
	text[n] = '\0';
	return symlinkat(text, to, name) < 0 ? err_now() : 0;
}

static int copy_dir(int from, int to, int depth);

static int copy_one(int from, int to, const char *name, int depth)
{
	struct stat st;
	int r = 0;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_now();
	if (S_ISDIR(st.st_mode)) {
		AUTO_FD int sub = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (mkdirat(to, name, 0700) < 0 || sub < 0)
			return err_now();
		AUTO_FD int made = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = made < 0 ? err_now() : copy_dir(sub, made, depth + 1);
	} else if (S_ISREG(st.st_mode)) {
		r = copy_file(from, to, name);
	} else if (S_ISLNK(st.st_mode)) {
		r = copy_link(from, to, name);
	} else if (mknodat(to, name, st.st_mode & (S_IFMT | 0777), st.st_rdev) < 0) {
		r = err_now();
	}
	return r < 0 ? r : owner(to, name, &st);
}

static int copy_dir(int from, int to, int depth)
{
	int again = depth > DEPTH_MAX ? -1 : openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	struct dirent *e;
	int r = 0;

	if (d == NULL) {
		(void)fd_close(again);
		return depth > DEPTH_MAX ? -ELOOP : err_now();
	}
	while (r == 0 && (e = readdir(d)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = copy_one(from, to, e->d_name, depth);
	(void)closedir(d);
	return r;
}

int rootfs_copyup(int from, int to)
{
	return copy_dir(from, to, 0);
}
