/* Directories relative paths hang off: see path_known.h. */
#include "sentry/path_known.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sentry/handle.h"
#include "util/fd.h"

enum {
	KNOWN = 3,
	BELIEVED = 256,
	BELIEVED_NS = 20000000,
};

static _Atomic unsigned int moved; /* counts what may have changed a name */

static __thread struct known {
	bool used;
	int fd; /* O_PATH: its number in the file system is nobody else's as long as it is held */
	uint64_t ino, mount;
	unsigned int dev_major, dev_minor;
	unsigned int moved, left;
	uint64_t since_ns;
	size_t len;
	char text[PATH_MAX];
} known[KNOWN];
static __thread unsigned int next;

static uint64_t coarse_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void drop(struct known *k)
{
	if (k->used)
		(void)fd_close(k->fd);
	k->used = false;
}

void known_forget(void)
{
	(void)atomic_fetch_add(&moved, 1);
	for (size_t i = 0; i < KNOWN; i++)
		drop(&known[i]);
}

/* What the caller's DIRFD is at this moment, without holding it. */
static bool look(const struct call *c, int dirfd, struct statx *ret_sx)
{
	char name[48];

	if (dirfd == AT_FDCWD)
		(void)snprintf(name, sizeof(name), "%d/cwd", (int)c->ev.tid);
	else if (dirfd >= 0)
		(void)snprintf(name, sizeof(name), "%d/fd/%d", (int)c->ev.tid, dirfd);
	else
		return false;
	return statx(c->s->proc_fd, name, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO | STATX_MNT_ID, ret_sx) == 0;
}

static bool is_same(const struct known *k, const struct statx *sx)
{
	return k->used && k->ino == sx->stx_ino && k->mount == sx->stx_mnt_id && k->dev_major == sx->stx_dev_major &&
	       k->dev_minor == sx->stx_dev_minor;
}

/* Names are the sentry's to change, or nobody would tell us; helpers see some calls only. */
static bool may_know(const struct call *c)
{
	return handle_on_receiver() && c->s->plan->level[PLAN_CHANGE] == LEVEL_EMULATE;
}

bool known_base(const struct call *c, int dirfd, int *ret_fd, char *text, size_t *ret_len)
{
	struct statx sx;

	if (!may_know(c) || !look(c, dirfd, &sx))
		return false;
	for (size_t i = 0; i < KNOWN; i++) {
		struct known *k = &known[i];
		int fd;

		if (!is_same(k, &sx))
			continue;
		if (k->left == 0 || k->moved != atomic_load(&moved) || coarse_ns() - k->since_ns > BELIEVED_NS) {
			drop(k);
			return false;
		}
		fd = fcntl(k->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return false;
		k->left--;
		memcpy(text, k->text, k->len + 1);
		*ret_len = k->len;
		*ret_fd = fd;
		return true;
	}
	return false;
}

unsigned int known_when(void)
{
	return atomic_load(&moved);
}

void known_add(const struct call *c, int fd, const char *text, size_t len, unsigned int when)
{
	struct known *k = &known[next++ % KNOWN];
	struct statx sx;
	int dup;

	if (!may_know(c) || len >= sizeof(k->text) ||
	    statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO | STATX_MNT_ID, &sx) < 0)
		return;
	dup = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (dup < 0)
		return;
	drop(k);
	*k = (struct known){
		.used = true,
		.fd = dup,
		.ino = sx.stx_ino,
		.mount = sx.stx_mnt_id,
		.dev_major = sx.stx_dev_major,
		.dev_minor = sx.stx_dev_minor,
		.moved = when,
		.left = BELIEVED,
		.since_ns = coarse_ns(),
		.len = len,
	};
	memcpy(k->text, text, len);
	k->text[len] = '\0';
}
