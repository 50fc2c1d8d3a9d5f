/*
 * The table of what can be demanded. Each row names the facts and the families of calls that keep the promise; the texts
 * say what is promised and what is missing where it is not kept.
 */
#include "policy/require.h"

#include <stddef.h>
#include <string.h>

#include "util/err.h"

#define KEY(k) (UINT32_C(1) << (k))

struct row {
	const char *name;
	uint32_t facts; /* all of them */
	uint32_t any;	/* one of them; 0: none needed */
	uint32_t keys;	/* none of these families is refused as a whole, nor left to the kernel unheld */
	bool cgroup;
	const char *what;
	const char *missing;
};

static const struct row rows[] = {
	{"filesystem.read", 0, 0, KEY(PLAN_READ) | KEY(PLAN_META), false, "what no rule reads cannot be read",
	 "reading is not held here"},
	{"filesystem.write", 0, 0, KEY(PLAN_WRITE) | KEY(PLAN_CHANGE), false, "what no rule writes cannot be changed",
	 "writing is not held here"},
	{"filesystem.protect", 0, 0, KEY(PLAN_WRITE) | KEY(PLAN_CHANGE) | KEY(PLAN_BIND), false,
	 "what is protected cannot be changed or made", "writing is not held here"},
	{"filesystem.hide", 0, 0, KEY(PLAN_READ) | KEY(PLAN_META) | KEY(PLAN_LIST) | KEY(PLAN_CHDIR), false,
	 "what is hidden cannot be read, and its name not be listed",
	 "names of hidden files can be listed, or hidden directories be told from missing ones"},
	{"filesystem.exec", 0, 0, KEY(PLAN_EXEC), false, "what no rule executes cannot be executed",
	 "no part of the floor holds these exec rules"},
	{"filesystem.tmpfs", FLOOR_VIEW, 0, 0, false, "private memory file systems", "there is no mount view"},
	{"exec.written", FLOOR_VIEW_NOEXEC, 0, KEY(PLAN_EXEC), false,
	 "what is on a noexec mount is neither executed nor mapped for it", "there are no noexec mounts"},
	{"network", FLOOR_NETNS, 0, 0, false, "a network of its own", "there is no network namespace"},
	{"processes", FLOOR_PIDNS, 0, 0, false, "no process outside can be seen", "there is no pid namespace"},
	{"end", 0, FLOOR_PIDNS | FLOOR_CGROUP_KILL, 0, false, "the whole tree surely ends with the run",
	 "there is neither a pid namespace nor cgroup.kill"},
	{"limits.memory", 0, 0, 0, true, "memory is limited for the whole tree", "there is no control group to use"},
	{"limits.cpus", 0, 0, 0, true, "processor time is limited for the whole tree", "there is no control group to use"},
	{"limits.pids", 0, 0, 0, true, "processes are limited for the whole tree", "there is no control group to use"},
};

enum { FACTS = 11 }; /* bits of enum floor_fact */
_Static_assert(FLOOR_CGROUP_KILL == 1 << (FACTS - 1), "every fact can be required");

static const struct row *row_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

/* The fact called NAME, 0: none. */
static uint32_t fact_of(const char *name)
{
	for (unsigned int i = 0; i < FACTS; i++)
		if (strcmp(plan_fact_name((enum floor_fact)(1U << i)), name) == 0)
			return UINT32_C(1) << i;
	return 0;
}

bool require_known(const char *name)
{
	return row_of(name) || fact_of(name);
}

const char *const *require_names(void)
{
	static const char *names[ARRAY_LEN(rows) + FACTS + 1];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		names[i] = rows[i].name;
	for (unsigned int i = 0; i < FACTS; i++)
		names[ARRAY_LEN(rows) + i] = plan_fact_name((enum floor_fact)(1U << i));
	return names;
}

const char *require_what(const char *name)
{
	const struct row *row = row_of(name);

	return row ? row->what : fact_of(name) ? "this part of the floor" : NULL;
}

const char *require_missing(const char *name, const struct require_state *s)
{
	const struct row *row = row_of(name);
	uint32_t floor = s->plan->floor, fact = fact_of(name);

	if (!row)
		return fact && (floor & fact) ? NULL : "this part of the floor is not there";
	if ((floor & row->facts) != row->facts || (row->any && !(floor & row->any)) || (row->cgroup && !s->cgroup))
		return row->missing;
	for (int k = 0; k < PLAN_COUNT; k++) {
		if (!(row->keys & KEY(k)))
			continue;
		/* The plan says so itself where a family is left to a kernel that does not hold it. */
		if (s->plan->level[k] == LEVEL_DENY ||
		    (s->plan->why[k] && strncmp(s->plan->why[k], "not enforceable", 15) == 0))
			return row->missing;
	}
	return NULL;
}
