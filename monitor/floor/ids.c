/*
 * Who the guest is outside its user namespace.
 *
 * ROOT: the guest gets a range of 65,536 host ids that nobody uses, from 0x70000000 upward (above what
 * systemd and subuid files give away: systemd's UIDS-GIDS.md ends its container range at 0x6fffffff). A range
 * is claimed by a locked file, so that two runs never share ids: their signals, quotas and RLIMIT_NPROC stay
 * apart. Inside, the guest is the workspace owner's number, or 1000 where root owns the workspace. ROOTLESS:
 * a user namespace that maps the caller's own ids to themselves. BARE: no namespace; started by root, the
 * guest is the workspace's owner.
 *
 * Should: leave the guest without any right of the host user who started it where ids can be had for it.
 * Mustn't: map host id 0, unless --user says so or the workspace's file system leaves nothing else
 * (not_mapped).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	RANGE_BASE = 0x70000000,
	RANGE_SIZE = 65536,
	RANGE_COUNT = 4000,
	GUEST_DEFAULT_ID = 1000,
	MAP_TEXT_MAX = 512,
};

/* Claims a free range. The lock file's descriptor lives as long as the run. */
static int claim_range(uint32_t *ret_base, int *ret_lock)
{
	if (mkdir("/run/gabion", 0755) < 0 && errno != EEXIST)
		return err_now();
	if (mkdir("/run/gabion/ids", 0700) < 0 && errno != EEXIST)
		return err_now();
	for (uint32_t n = 0; n < RANGE_COUNT; n++) {
		char path[64];
		snprintf(path, sizeof(path), "/run/gabion/ids/%u", n);
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return err_now();
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			*ret_base = (uint32_t)RANGE_BASE + n * (uint32_t)RANGE_SIZE;
			*ret_lock = fd;
			return 0;
		}
		fd_close(fd);
	}
	return -EUSERS;
}

/*
 * The text of an id map of the whole range: inside id 0.. to BASE.., with one exception: FROM (an inside or
 * on-disk id) goes to TO. What else would land on TO is left out, so that the map stays one to one.
 */
static void map_text(char *buf, size_t size, uint32_t base, uint32_t from, uint32_t to)
{
	uint32_t hole = to >= base && to < base + RANGE_SIZE ? to - base : UINT32_MAX;
	size_t at = 0;
	uint32_t start = 0;

	while (start < RANGE_SIZE) {
		if (start == from || start == hole) {
			start++;
			continue;
		}
		uint32_t end = RANGE_SIZE;
		if (from > start && from < end)
			end = from;
		if (hole > start && hole < end)
			end = hole;
		at += (size_t)snprintf(buf + at, size - at, "%u %u %u\n", start, base + start, end - start);
		start = end;
	}
	snprintf(buf + at, size - at, "%u %u 1\n", from, to);
}

static int write_proc(pid_t pid, const char *name, const char *text)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_now();
	ssize_t n = write(fd, text, strlen(text));
	return n == (ssize_t)strlen(text) ? 0 : err_now();
}

/* The first process of a namespace: until the other end is closed. It shares our memory, and writes none but its stack. */
static int hold_namespace(void *arg)
{
	const int *pipefd = arg;
	char c;

	close(pipefd[1]);
	(void)!read(pipefd[0], &c, 1);
	_exit(0);
}

/* A user namespace that exists only to name a map for idmapped mounts. */
static int map_namespace(const char *uid_map, const char *gid_map, int *ret_fd)
{
	_Alignas(16) char stack[32768]; /* a signal's frame fits, too */
	int pipefd[2];
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_now();
	pid_t pid = clone(hold_namespace, stack + sizeof(stack), CLONE_NEWUSER | CLONE_VM | SIGCHLD, pipefd);
	int r = pid < 0 ? err_now() : 0;
	if (r == 0)
		r = write_proc(pid, "uid_map", uid_map);
	if (r == 0)
		r = write_proc(pid, "gid_map", gid_map);
	if (r == 0) {
		char path[64];
		snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
		*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
		if (*ret_fd < 0)
			r = err_now();
	}
	close(pipefd[0]);
	close(pipefd[1]);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	return r;
}

int ids_map_namespace(const struct floor_ids *ids, bool swap, int *ret_fd)
{
	char uids[MAP_TEXT_MAX], gids[MAP_TEXT_MAX];
	uint32_t uf = swap ? ids->owner : ids->uid, gf = swap ? ids->owner_gid : ids->gid;

	map_text(uids, sizeof(uids), ids->base, uf, ids->base + ids->uid);
	map_text(gids, sizeof(gids), ids->base, gf, ids->base + ids->gid);
	return map_namespace(uids, gids, ret_fd);
}

int ids_choose(enum floor_mode mode, const struct run_options *o, const char *workspace,
	       struct floor_ids *ret_ids, const char **ret_why)
{
	struct floor_ids ids = FLOOR_IDS_NULL;
	struct stat st;

	if (stat(workspace, &st) < 0) {
		*ret_why = "the workspace cannot be read";
		return err_now();
	}
	ids.mode = mode;
	ids.owner = st.st_uid;
	ids.owner_gid = st.st_gid;
	if (mode != FLOOR_ROOT) {
		bool root = geteuid() == 0;
		ids.uid = ids.host_uid = root ? st.st_uid : geteuid();
		ids.gid = ids.host_gid = root ? st.st_gid : getegid();
		if (o->user_set && root) {
			ids.uid = ids.host_uid = o->uid;
			ids.gid = ids.host_gid = o->gid;
		} else if (o->user_set && (o->uid != ids.uid || o->gid != ids.gid)) {
			*ret_why = "--user can name only yourself unless root starts gabion";
			return -EPERM;
		}
		*ret_ids = ids;
		return 0;
	}

	ids.uid = st.st_uid > 0 && st.st_uid < RANGE_SIZE - 2 ? st.st_uid : GUEST_DEFAULT_ID;
	ids.gid = st.st_gid > 0 && st.st_gid < RANGE_SIZE - 2 ? st.st_gid : GUEST_DEFAULT_ID;
	if (o->user_set) {
		ids.uid = o->uid;
		ids.gid = o->gid;
	}
	if (ids.uid >= RANGE_SIZE || ids.gid >= RANGE_SIZE) {
		*ret_why = "--user takes ids below 65536";
		return -EINVAL;
	}
	int r = claim_range(&ids.base, &ids.lock);
	if (r < 0) {
		*ret_why = "no free range of ids could be claimed in /run/gabion/ids";
		return r;
	}
	ids.host_uid = ids.base + ids.uid;
	ids.host_gid = ids.base + ids.gid;
	*ret_ids = ids;
	return 0;
}

int ids_write_maps(const struct floor_ids *ids, pid_t pid)
{
	char uids[MAP_TEXT_MAX], gids[MAP_TEXT_MAX];

	if (ids->mode == FLOOR_ROOT) {
		map_text(uids, sizeof(uids), ids->base, ids->uid, ids->host_uid);
		map_text(gids, sizeof(gids), ids->base, ids->gid, ids->host_gid);
	} else {
		snprintf(uids, sizeof(uids), "%u %u 1\n", (unsigned int)ids->uid,
			 (unsigned int)ids->host_uid);
		snprintf(gids, sizeof(gids), "%u %u 1\n", (unsigned int)ids->gid,
			 (unsigned int)ids->host_gid);
		int r = write_proc(pid, "setgroups", "deny");
		if (r < 0)
			return r;
	}
	int r = write_proc(pid, "uid_map", uids);
	return r < 0 ? r : write_proc(pid, "gid_map", gids);
}

void ids_release(struct floor_ids *ids)
{
	ids->lock = fd_close(ids->lock);
}
