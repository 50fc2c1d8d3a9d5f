/*
 * Where a cgroup of ours may be made.
 *
 * Hosts have version 1 (a mount for each controller or some of them), version 2, or both with controllers on
 * either side. Nothing is guessed: /proc/self/mountinfo says what is mounted where and which part of it,
 * /proc/self/cgroup where we are in it.
 *
 * In version 2 a group with processes of its own cannot hand controllers to children, and ours has at least
 * ourselves. So the new group is made beside our own, below the nearest ancestor that can; but never beyond a
 * group with a limit, which the guest would escape that way.
 *
 * A controller that nobody enabled there yet is enabled. Where systemd looks after that group it may take it
 * back when its own units change; one it uses itself (memory and pids as a rule) stays.
 */
#include "monitor/floor/cgroup_find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

static const struct {
	enum cgroup_controller bit;
	const char *name;
} controllers[] = {{CGROUP_MEMORY, "memory"}, {CGROUP_CPU, "cpu"}, {CGROUP_PIDS, "pids"}};

int cgroup_read(int dir, const char *name, char *buf, size_t size)
{
	AUTO_FD int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (n < 0)
		return err_now();
	buf[n] = '\0';
	return (int)n;
}

int cgroup_write(int dir, const char *name, const char *text)
{
	AUTO_FD int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? err_now() : 0;
}

/* The controllers of ours in LIST, whose words stand between characters of SEPARATORS. */
static unsigned int parse_controllers(const char *list, const char *separators)
{
	unsigned int found = 0;

	for (size_t n; list += strspn(list, separators), (n = strcspn(list, separators)) > 0; list += n)
		for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
			if (strlen(controllers[i].name) == n && memcmp(list, controllers[i].name, n) == 0)
				found |= controllers[i].bit;
	return found;
}

void cgroup_unescape(char *s)
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

/* Our path in the hierarchy of CONTROLLERS (0: version 2), allocated; NULL: /proc/self/cgroup has none. */
static char *own_path(FILE *self, unsigned int wanted)
{
	AUTO_FREE char *line = NULL;
	size_t size = 0;

	rewind(self);
	while (getline(&line, &size, self) > 0) {
		char *list = strchr(line, ':');
		char *path = list == NULL ? NULL : strchr(list + 1, ':');
		if (path == NULL)
			continue;
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		bool v2 = list[1] == '\0';
		if (v2 ? wanted == 0 : (parse_controllers(list + 1, ",") & wanted) != 0)
			return strdup(path);
	}
	return NULL;
}

bool cgroup_place_of(const char *top, const char *root, const char *path, char out[PATH_MAX])
{
	size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);

	/* /..: outside of our cgroup namespace, or the mount is of another's */
	if (path[0] != '/' || strncmp(path, "/..", 3) == 0 || strncmp(root, "/..", 3) == 0)
		return false;
	if (strncmp(path, root, n) != 0 || (path[n] != '/' && path[n] != '\0'))
		return false;
	path += n;
	return (size_t)snprintf(out, PATH_MAX, "%s%s", top, strcmp(path, "/") == 0 ? "" : path) < PATH_MAX;
}

int cgroup_find(FILE *mountinfo, FILE *self, struct cgroup_site sites[CGROUP_SITES_MAX], size_t *ret_n)
{
	AUTO_FREE char *line = NULL;
	size_t size = 0, n = 0;
	unsigned int have = 0;
	bool have_v2 = false;

	while (n < CGROUP_SITES_MAX && getline(&line, &size, mountinfo) > 0) {
		char *save = NULL, *root = NULL, *top = NULL, *options = NULL;
		char *dash = strstr(line, " - ");
		if (dash == NULL)
			continue;
		*dash = '\0';
		char *type = strtok_r(dash + 3, " \n", &save);
		if (strtok_r(NULL, " \n", &save) == NULL)
			continue;
		options = strtok_r(NULL, " \n", &save);
		bool v2 = type != NULL && strcmp(type, "cgroup2") == 0;
		if (type == NULL || (!v2 && strcmp(type, "cgroup") != 0))
			continue;
		unsigned int here = v2 || options == NULL ? 0 : parse_controllers(options, ",") & ~have;
		if (v2 ? have_v2 : here == 0)
			continue;
		char *field = strtok_r(line, " ", &save);
		for (int i = 0; field != NULL && i < 5; i++, field = strtok_r(NULL, " ", &save)) {
			root = i == 3 ? field : root;
			top = i == 4 ? field : top;
		}
		if (top == NULL)
			continue;
		cgroup_unescape(root);
		cgroup_unescape(top);
		AUTO_FREE char *path = own_path(self, here);
		struct cgroup_site *s = &sites[n];
		if (path == NULL || strlen(top) >= sizeof(s->top) || !cgroup_place_of(top, root, path, s->own))
			continue;
		memcpy(s->top, top, strlen(top) + 1);
		s->v2 = v2;
		s->controllers = here;
		have |= here;
		have_v2 |= v2;
		n++;
	}
	*ret_n = n;
	return ferror(mountinfo) ? -EIO : 0;
}

/* Group DIR sets a limit that somebody meant for us. */
static bool limited(int dir)
{
	static const char *const files[] = {"memory.max", "memory.high", "memory.swap.max", "cpu.max",
					    "pids.max"};
	char text[64];

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		if (cgroup_read(dir, files[i], text, sizeof(text)) > 0 && strncmp(text, "max", 3) != 0)
			return true;
	return cgroup_read(dir, "cpuset.cpus", text, sizeof(text)) > 0 && text[0] != '\n';
}

/*
 * Lets children of DIR have NEED. A group with processes is left alone: the kernel would refuse memory, but
 * let cpu and pids be enabled and make the group a threaded domain, whose children take no processes. The
 * hierarchy's real root, which alone has no type, may have both.
 */
static int enable(int dir, unsigned int need)
{
	char text[256];
	int r;

	if (cgroup_read(dir, "cgroup.type", text, sizeof(text)) > 0 &&
	    (strcmp(text, "domain\n") != 0 || cgroup_read(dir, "cgroup.procs", text, sizeof(text)) != 0))
		return -EBUSY;
	r = cgroup_read(dir, "cgroup.subtree_control", text, sizeof(text));
	if (r < 0)
		return r;
	need &= ~parse_controllers(text, " \n");
	if (need == 0)
		return 0;
	r = cgroup_read(dir, "cgroup.controllers", text, sizeof(text));
	if (r < 0)
		return r;
	if ((need & ~parse_controllers(text, " \n")) != 0)
		return -EOPNOTSUPP;
	for (size_t i = 0; i < ARRAY_LEN(controllers); i++) {
		if ((need & controllers[i].bit) == 0)
			continue;
		snprintf(text, sizeof(text), "+%s", controllers[i].name);
		r = cgroup_write(dir, "cgroup.subtree_control", text);
		if (r < 0)
			return r;
	}
	return 0;
}

int cgroup_parent(const struct cgroup_site *site, unsigned int need, char ret_parent[PATH_MAX],
		  const char **ret_why)
{
	char path[PATH_MAX];
	bool busy = false;
	int last = -EOPNOTSUPP;

	snprintf(path, sizeof(path), "%s", site->own);
	for (;;) {
		AUTO_FD int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0) {
			*ret_why = "this process's own cgroup is not visible";
			return err_now();
		}
		/* Both are needed, the second to move a process from our own group over there. */
		if (faccessat(dir, ".", W_OK, AT_EACCESS) < 0 ||
		    faccessat(dir, "cgroup.procs", W_OK, AT_EACCESS) < 0) {
			*ret_why = busy ? "no group above this process's own is delegated to this user: "
					  "systemd-run --user --scope "
					  "starts gabion where there is one"
					: "this process's cgroup belongs to somebody else: systemd-run "
					  "--user --scope starts gabion in one "
					  "that is delegated";
			return -EACCES;
		}
		last = enable(dir, need);
		if (last == 0) {
			memcpy(ret_parent, path, sizeof(path));
			return 0;
		}
		busy = busy || last == -EBUSY;
		char *slash = strrchr(path, '/');
		if (strcmp(path, site->top) == 0 || slash == NULL || slash == path)
			break;
		if (limited(dir)) {
			*ret_why = "this process's own cgroup has limits and processes: a group below it "
				   "gets no controllers, one "
				   "beside it would escape the limits";
			return -EOPNOTSUPP;
		}
		*slash = '\0';
	}
	*ret_why = busy ? "this process's own cgroup has processes, so a group below it gets no controllers "
			  "(move them to a child, as "
			  "containers with an init of their own do)"
			: "the memory, cpu or pids controller that is asked for is not available to cgroups "
			  "here";
	return -EOPNOTSUPP;
}
