/*
 * Without a mount view the guest's home is a directory of the state directory, and what of the real home it may read lies elsewhere:
 * a link in the private home leads to each such file (.gitconfig, known_hosts, ...).
 *
 * Should: leave alone what is there already. Mustn't: follow a link on the way: the private home was written by guests.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "util/fd.h"

/* The directory NAME in directory AT, made where missing for the owner of it all. -1: it cannot be had. */
static int step(int at, const char *name, const struct stat *owner)
{
	if (mkdirat(at, name, 0700) == 0 && geteuid() == 0)
		(void)!fchownat(at, name, owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW);
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* A link at REL below the private home ROOT. Nobody is told where it cannot be made: the file is only not there. */
static void link_at(int root, const char *rel, const char *target)
{
	char path[4096], *save = NULL;
	struct stat owner;
	AUTO_FD int at = fcntl(root, F_DUPFD_CLOEXEC, 3);

	if (at < 0 || fstat(root, &owner) < 0 || (size_t)snprintf(path, sizeof(path), "%s", rel) >= sizeof(path))
		return;
	char *name = strtok_r(path, "/", &save);
	for (char *next; name != NULL && (next = strtok_r(NULL, "/", &save)) != NULL; name = next) {
		int down = step(at, name, &owner);
		fd_close(at);
		at = down;
		if (at < 0)
			return;
	}
	if (name != NULL && symlinkat(target, at, name) == 0 && geteuid() == 0)
		(void)!fchownat(at, name, owner.st_uid, owner.st_gid, AT_SYMLINK_NOFOLLOW);
}

void home_links(const struct places *p, const char *home)
{
	size_t n = strlen(home);
	AUTO_FD int root = open(p->home_source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	for (size_t i = 0; root >= 0 && i < p->n; i++) {
		const struct place *v = &p->v[i];
		struct stat st;
		if (v->link == NULL && v->source != NULL && !v->write && !v->exec && strncmp(v->target, home, n) == 0 &&
		    v->target[n] == '/' && stat(v->source, &st) == 0 && S_ISREG(st.st_mode))
			link_at(root, v->target + n + 1, v->target);
	}
}
