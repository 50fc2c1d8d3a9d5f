/*
 * Whether all that the view mounts writable may be written by its rules: then no rule has to keep a write from a writable mount, and
 * read-only mounts keep it from the rest. The list is view.c's. (What takes something away inside of what a write rule names is the
 * plan's to look for.)
 *
 * The directories that cover other people's homes are the guest's own, so view.c makes them read-only in the end where the kernel alone is
 * to hold this.
 */
#include <string.h>

#include "monitor/floor/floor.h"

static bool may_write(const struct policy *p, const char *path)
{
	return policy_path(p, OP_WRITE, path, strlen(path)).kind == VERDICT_ALLOW;
}

bool floor_writes_named(const struct places *p, const struct policy *policy)
{
	static const char *const always[] = {"/tmp", "/var/tmp", "/run", "/dev/shm", "/dev/pts", "/proc"};

	if (!may_write(policy, p->scratch) || (!p->home_host && !may_write(policy, p->home)))
		return false;
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (!may_write(policy, always[i]))
			return false;
	for (size_t i = 0; p->workspaces[i] != NULL; i++)
		if (!may_write(policy, p->workspaces[i]))
			return false;
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].write && p->v[i].link == NULL && !may_write(policy, p->v[i].target))
			return false;
	for (size_t i = 0; p->tmpfs != NULL && i < p->tmpfs->n; i++)
		if (!may_write(policy, p->tmpfs->v[i].path))
			return false;
	return true;
}
