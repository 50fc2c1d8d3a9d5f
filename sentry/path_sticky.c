/*
 * What Linux refuses in sticky directories (fs.protected_symlinks, _regular, _fifos; proc_sys_fs(5)), for the lookups that we do ourselves.
 * The conditions are those of may_follow_link() and may_create_in_sticky() in fs/namei.c. The settings are read once; unreadable
 * ones count as set. Owners the guest's user namespace does not know all look the same here: between two of them the rule
 * is not applied.
 *
 * Syscalls: openat, read, close, fstat, geteuid.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/path.h"
#include "sentry/path_walk.h"
#include "util/fd.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int proc_for_once = -1;
static struct {
	int symlinks, regular, fifos;
} settings;

static int setting(const char *name)
{
	AUTO_FD int fd = openat(proc_for_once, name, O_RDONLY | O_CLOEXEC);
	char text[16];
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return 1;
	text[n] = '\0';
	return (int)strtol(text, NULL, 10);
}

static void read_settings(void)
{
	settings.symlinks = setting("sys/fs/protected_symlinks");
	settings.regular = setting("sys/fs/protected_regular");
	settings.fifos = setting("sys/fs/protected_fifos");
}

static void know(const struct call *c)
{
	/* Every call has the same sentry. */
	__atomic_store_n(&proc_for_once, c->s->proc_fd, __ATOMIC_RELAXED);
	(void)pthread_once(&once, read_settings);
}

bool path_may_follow(const struct call *c, int dir, int link)
{
	const mode_t shared = S_ISVTX | S_IWOTH;
	struct stat d, l;

	if (fstat(dir, &d) < 0 || (d.st_mode & shared) != shared || fstat(link, &l) < 0)
		return true;
	if (l.st_uid == geteuid() || l.st_uid == d.st_uid)
		return true;
	know(c);
	return settings.symlinks == 0;
}

bool path_sticky_open(const struct call *c, int parent, const struct stat *st)
{
	struct stat d;
	int level;

	if ((!S_ISREG(st->st_mode) && !S_ISFIFO(st->st_mode)) || st->st_uid == geteuid() || fstat(parent, &d) < 0 ||
	    (d.st_mode & S_ISVTX) == 0 || st->st_uid == d.st_uid)
		return true;
	know(c);
	level = S_ISREG(st->st_mode) ? settings.regular : settings.fifos;
	return level == 0 || ((d.st_mode & S_IWOTH) == 0 && !(level >= 2 && (d.st_mode & S_IWGRP) != 0));
}
