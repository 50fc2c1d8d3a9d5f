/*
 * Where a container's groups will be: read off /proc/self/mountinfo and /proc/self/cgroup, nothing guessed, nothing
 * made; and the plan as JSON, by which a later gabion finds them again whatever is mounted then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/floor/cgroup_find.h"
#include "monitor/oci/cgroup_in.h"
#include "monitor/oci/state.h"
#include "util/err.h"
#include "util/fd.h"

#define LEAF ".gabion"

static const char *const controllers[] = {"cpu",     "cpuacct", "cpuset",   "memory",	  "devices",	"freezer",
					  "blkio",   "pids",	"hugetlb",  "perf_event", "net_cls",	"net_prio",
					  "rdma",    "misc"};

bool cgroup_listed(const char *list, const char *separators, const char *w)
{
	size_t wanted = strlen(w);

	for (size_t n; list += strspn(list, separators), (n = strcspn(list, separators)) > 0; list += n)
		if (n == wanted && memcmp(list, w, n) == 0)
			return true;
	return false;
}

/* The subsystems among mount OPTIONS ("rw,cpu,cpuacct"), joined by commas. */
static void subsystems_of(const char *options, char *buf, size_t size)
{
	size_t at = 0;

	buf[0] = '\0';
	for (size_t n; options += strspn(options, ","), (n = strcspn(options, ",")) > 0; options += n) {
		bool named = strncmp(options, "name=", 5) == 0;
		for (size_t i = 0; !named && i < ARRAY_LEN(controllers); i++)
			named = strlen(controllers[i]) == n && memcmp(options, controllers[i], n) == 0;
		if (named && at + n + 2 < size)
			at += (size_t)snprintf(buf + at, size - at, "%s%.*s", at > 0 ? "," : "", (int)n, options);
	}
}

/* Our own path in the hierarchy of SUBSYSTEMS ("": version 2), allocated, or NULL. */
static char *own_path(FILE *self, const char *subsystems)
{
	AUTO_FREE char *line = NULL;
	size_t size = 0;

	rewind(self);
	while (getline(&line, &size, self) > 0) {
		char *list = strchr(line, ':'), *path = list == NULL ? NULL : strchr(list + 1, ':');
		if (path == NULL)
			continue;
		*path++ = '\0';
		list++;
		path[strcspn(path, "\n")] = '\0';
		char first[64];
		snprintf(first, sizeof(first), "%.*s", (int)strcspn(subsystems, ","), subsystems);
		if (subsystems[0] == '\0' ? list[0] == '\0' : cgroup_listed(list, ",", first))
			return strdup(path);
	}
	return NULL;
}

/* Whether a "/"-separated PATH has ".." in it. */
static bool climbs(const char *path)
{
	for (size_t n; path += strspn(path, "/"), (n = strcspn(path, "/")) > 0; path += n)
		if (n == 2 && memcmp(path, "..", 2) == 0)
			return true;
	return false;
}

/* "/a.slice/a-b.slice" of "a-b.slice"; "" of "-.slice". -EINVAL. */
static int slice_path(const char *slice, char *buf, size_t size)
{
	size_t n = strlen(slice), at = 0;

	buf[0] = '\0';
	if (n <= 6 || strcmp(slice + n - 6, ".slice") != 0 || strchr(slice, '/') != NULL)
		return -EINVAL;
	if (strcmp(slice, "-.slice") == 0)
		return 0;
	n -= 6;
	for (size_t i = 1; i <= n; i++) {
		if (i < n && slice[i] != '-')
			continue;
		if (slice[i - 1] == '-')
			return -EINVAL;
		int k = snprintf(buf + at, size - at, "/%.*s.slice", (int)i, slice);
		if (k < 0 || (size_t)k >= size - at)
			return -ENAMETOOLONG;
		at += (size_t)k;
	}
	return slice[0] == '-' ? -EINVAL : 0;
}

/* "slice:prefix:name" taken apart into C. RET_PATH is the group's path below its manager's root. */
static int plan_systemd(struct oci_cgroup *c, const char *path, const char *id, char ret_path[PATH_MAX],
			struct oci_fault *fault)
{
	char buf[PATH_MAX], below[PATH_MAX];
	char *fields[3] = {buf, NULL, NULL};

	c->user = !oci_privileged();
	if (path == NULL || path[0] == '\0')
		snprintf(buf, sizeof(buf), ":gabion:%s", id);
	else if ((size_t)snprintf(buf, sizeof(buf), "%s", path) >= sizeof(buf))
		return oci_fail_errno(fault, -ENAMETOOLONG, "cgroupsPath");
	for (int i = 1; i < 3; i++) {
		fields[i] = strchr(fields[i - 1], ':');
		if (fields[i] == NULL)
			break;
		*fields[i]++ = '\0';
	}
	if (fields[2] == NULL || strchr(fields[2], ':') != NULL || fields[2][0] == '\0')
		return oci_fail(fault, -EINVAL, "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd "
						"cgroups, got \"%s\" instead", path);
	const char *slice = fields[0][0] != '\0' ? fields[0] : c->user ? "user.slice" : "system.slice";
	if (strchr(fields[1], '/') != NULL || strchr(fields[2], '/') != NULL || slice_path(slice, below, sizeof(below)) < 0)
		return oci_fail(fault, -EINVAL, "invalid slice name: %s", slice);
	c->slice = strdup(slice);
	const char *dash = fields[1][0] != '\0' ? "-" : "";
	if (c->slice == NULL || asprintf(&c->unit, "%s%s%s.scope", fields[1], dash, fields[2]) < 0 ||
	    asprintf(&c->helper_unit, "%s%s%s" LEAF ".scope", fields[1], dash, fields[2]) < 0)
		return oci_fail_errno(fault, -ENOMEM, "cgroupsPath");
	if ((size_t)snprintf(ret_path, PATH_MAX, "%s/%s", below, c->unit) >= PATH_MAX)
		return oci_fail_errno(fault, -ENAMETOOLONG, "cgroupsPath");
	return 0;
}

/* Cuts the last component off PATH. */
static void up(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash != NULL)
		*slash = '\0';
}

/* The user's manager's own group: what is before its slices in our own path ("/user.slice/.../user@1000.service"). */
static void manager_root(char *own)
{
	char *service = strstr(own, "/user@");
	char *end = service == NULL ? NULL : strchr(service + 1, '/');

	if (end != NULL)
		*end = '\0';
	else if (service == NULL)
		*own = '\0';
}

/* Adds the hierarchy mounted at TOP with its part ROOT; OWN is our path in it, or NULL. PATH as the plan's. */
static int add(struct oci_cgroup *c, const char *top, const char *root, const char *own, const char *subsystems, bool v2,
	       const char *path, const char *id)
{
	char below[PATH_MAX] = "", here[PATH_MAX];
	struct hierarchy h = {.v2 = v2};
	int n;

	if (c->manager == OCI_SYSTEMD && c->user && own != NULL) {
		snprintf(below, sizeof(below), "%s", own);
		manager_root(below);
	} else if (path == NULL || path[0] != '/') {
		if (own == NULL || !cgroup_place_of("", root, own, below))
			below[0] = '\0';
		/* Our own group has a process, so in version 2 it gives no controllers to children. */
		if (v2)
			up(below);
	}
	if (path == NULL)
		n = snprintf(here, sizeof(here), "%s%s/%s", top, below, id);
	else
		n = snprintf(here, sizeof(here), "%s%s%s%s", top, below, path[0] == '/' ? "" : "/", path);
	if (n < 0 || (size_t)n >= sizeof(here) - sizeof(LEAF))
		return -ENAMETOOLONG;
	while (n > 1 && here[n - 1] == '/')
		here[--n] = '\0';
	h.mount = strdup(top);
	h.subsystems = strdup(subsystems);
	h.path = strdup(here);
	if (c->helper_unit != NULL) {
		up(here);
		n = asprintf(&h.helper, "%s/%s", here, c->helper_unit);
	} else {
		n = asprintf(&h.helper, "%s" LEAF, here);
	}
	if (n < 0)
		h.helper = NULL;
	c->v[c->n++] = h;
	return h.mount == NULL || h.subsystems == NULL || h.path == NULL || h.helper == NULL ? -ENOMEM : 0;
}

/* Whether the hierarchy of SUBSYSTEMS is in the plan already: mounts may be seen twice. */
static bool have(const struct oci_cgroup *c, const char *subsystems, bool v2)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].v2 == v2 && strcmp(c->v[i].subsystems, subsystems) == 0)
			return true;
	return false;
}

static int scan(struct oci_cgroup *c, FILE *mountinfo, FILE *self, const char *path, const char *id)
{
	AUTO_FREE char *line = NULL;
	size_t size = 0;
	int r = 0;

	while (r == 0 && c->n < HIERARCHIES_MAX && getline(&line, &size, mountinfo) > 0) {
		char *save = NULL, *root = NULL, *top = NULL, subsystems[256];
		char *dash = strstr(line, " - ");
		if (dash == NULL)
			continue;
		*dash = '\0';
		char *type = strtok_r(dash + 3, " \n", &save), *source = strtok_r(NULL, " \n", &save);
		char *options = strtok_r(NULL, " \n", &save);
		bool v2 = type != NULL && strcmp(type, "cgroup2") == 0;
		if (type == NULL || source == NULL || options == NULL || (!v2 && strcmp(type, "cgroup") != 0))
			continue;
		subsystems[0] = '\0';
		if (!v2)
			subsystems_of(options, subsystems, sizeof(subsystems));
		if ((!v2 && subsystems[0] == '\0') || have(c, subsystems, v2))
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
		AUTO_FREE char *own = own_path(self, subsystems);
		r = add(c, top, root, own, subsystems, v2, path, id);
	}
	return r;
}

int oci_cgroup_plan(enum oci_cgroup_manager manager, const char *path, const char *id, bool optional,
		    struct oci_cgroup **ret_c, struct oci_fault *fault)
{
	struct oci_cgroup *c = calloc(1, sizeof(*c));
	char unit_path[PATH_MAX];
	int r = 0;

	if (c == NULL)
		return oci_fail_errno(fault, -ENOMEM, "cgroup");
	c->manager = manager;
	c->optional = optional;
	if (manager == OCI_CGROUP_DISABLED) {
		*ret_c = c;
		return 0;
	}
	if (path != NULL && path[0] == '\0')
		path = NULL;
	if (path != NULL && climbs(path))
		r = oci_fail(fault, -EINVAL, "invalid cgroupsPath: \"%s\" has \"..\" in it", path);
	else if (path != NULL && manager == OCI_CGROUPFS && strspn(path, "/") == strlen(path))
		r = oci_fail(fault, -EINVAL, "invalid cgroupsPath: \"%s\" is the root group", path);
	if (r == 0 && manager == OCI_SYSTEMD) {
		r = plan_systemd(c, path, id, unit_path, fault);
		path = unit_path;
	}
	if (r == 0) {
		FILE *mountinfo = fopen("/proc/self/mountinfo", "re"), *self = fopen("/proc/self/cgroup", "re");
		r = mountinfo == NULL || self == NULL ? err_now() : scan(c, mountinfo, self, path, id);
		if (mountinfo != NULL)
			fclose(mountinfo);
		if (self != NULL)
			fclose(self);
		if (r < 0)
			oci_fail_errno(fault, r, "cgroups of this host");
	}
	if (r < 0) {
		oci_cgroup_free(c);
		return r;
	}
	*ret_c = c;
	return 0;
}

json_t *oci_cgroup_json(const struct oci_cgroup *c)
{
	json_t *list = json_array();
	json_t *o = json_pack("{s:i, s:b, s:b, s:s*, s:s*, s:s*}", "manager", (int)c->manager, "optional",
			      (int)c->optional, "user", (int)c->user, "unit", c->unit, "helper_unit", c->helper_unit,
			      "slice", c->slice);

	for (size_t i = 0; i < c->n; i++)
		(void)json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:b}", "mount", c->v[i].mount,
							    "subsystems", c->v[i].subsystems, "path", c->v[i].path,
							    "helper", c->v[i].helper, "v2", (int)c->v[i].v2));
	if (o == NULL || json_array_size(list) != c->n || json_object_set(o, "hierarchies", list) < 0) {
		json_decref(o);
		o = NULL;
	}
	json_decref(list);
	return o;
}

/* A copy of member KEY, NULL where there is none. */
static char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text == NULL ? NULL : strdup(text);
}

/* A path that a state file of ours may name: below its mount, without climbing. */
static bool below(const char *path, const char *mount)
{
	size_t n = mount == NULL ? 0 : strlen(mount);

	return path != NULL && n > 0 && strncmp(path, mount, n) == 0 && path[n] == '/' && path[n + 1] != '\0' &&
	       !climbs(path + n);
}

int oci_cgroup_load(const json_t *json, struct oci_cgroup **ret_c)
{
	struct oci_cgroup *c = calloc(1, sizeof(*c));
	json_int_t manager = json_integer_value(json_object_get(json, "manager"));
	const json_t *list = json_object_get(json, "hierarchies");
	int r = 0;

	if (c == NULL)
		return -ENOMEM;
	if (manager < OCI_CGROUPFS || manager > OCI_CGROUP_DISABLED || json_array_size(list) > HIERARCHIES_MAX)
		r = -EINVAL;
	c->manager = (enum oci_cgroup_manager)manager;
	c->optional = json_is_true(json_object_get(json, "optional"));
	c->user = json_is_true(json_object_get(json, "user"));
	c->unit = text_of(json, "unit");
	c->helper_unit = text_of(json, "helper_unit");
	c->slice = text_of(json, "slice");
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const json_t *e = json_array_get(list, i);
		struct hierarchy *h = &c->v[c->n++];
		h->mount = text_of(e, "mount");
		h->subsystems = text_of(e, "subsystems");
		h->path = text_of(e, "path");
		h->helper = text_of(e, "helper");
		h->v2 = json_is_true(json_object_get(e, "v2"));
		if (h->subsystems == NULL || !below(h->path, h->mount) || !below(h->helper, h->mount))
			r = -EINVAL;
	}
	if (r < 0) {
		oci_cgroup_free(c);
		return r;
	}
	*ret_c = c;
	return 0;
}

struct oci_cgroup *oci_cgroup_free(struct oci_cgroup *c)
{
	if (c == NULL)
		return NULL;
	for (size_t i = 0; i < c->n; i++) {
		free(c->v[i].mount);
		free(c->v[i].subsystems);
		free(c->v[i].path);
		free(c->v[i].helper);
	}
	free(c->unit);
	free(c->helper_unit);
	free(c->slice);
	free(c);
	return NULL;
}

bool oci_cgroup_place(const struct oci_cgroup *c, size_t i, struct oci_cgroup_place *ret_place)
{
	if (i >= c->n)
		return false;
	*ret_place = (struct oci_cgroup_place){.mount = c->v[i].mount,
					       .subsystems = c->v[i].subsystems,
					       .path = c->v[i].path,
					       .v2 = c->v[i].v2};
	return true;
}

bool oci_cgroup_unified(const struct oci_cgroup *c)
{
	return c->n == 1 && c->v[0].v2;
}

int cgroup_text(const char *path, const char *file, char *buf, size_t size)
{
	char at[PATH_MAX];

	if ((size_t)snprintf(at, sizeof(at), "%s/%s", path, file) >= sizeof(at))
		return -ENAMETOOLONG;
	return cgroup_read(AT_FDCWD, at, buf, size);
}

int cgroup_set(const char *path, const char *file, const char *fmt, ...)
{
	char at[PATH_MAX];
	AUTO_FREE char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	if ((size_t)snprintf(at, sizeof(at), "%s/%s", path, file) >= sizeof(at))
		return -ENAMETOOLONG;
	return cgroup_write(AT_FDCWD, at, text);
}

int cgroup_number(const char *path, const char *file, uint64_t *ret_v)
{
	char text[64];
	int n = cgroup_text(path, file, text, sizeof(text));

	if (n < 0)
		return n;
	if (n >= 3 && strncmp(text, "max", 3) == 0) {
		*ret_v = UINT64_MAX;
		return 0;
	}
	char *end;
	errno = 0;
	uint64_t v = strtoull(text, &end, 10);
	if (end == text || errno != 0)
		return -EINVAL;
	*ret_v = v;
	return 0;
}

const struct hierarchy *cgroup_with(const struct oci_cgroup *c, const char *controller)
{
	char text[512];

	for (size_t i = 0; i < c->n; i++)
		if (!c->v[i].v2 && cgroup_listed(c->v[i].subsystems, ",", controller))
			return &c->v[i];
	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].v2 && cgroup_text(c->v[i].path, "cgroup.controllers", text, sizeof(text)) > 0 &&
		    cgroup_listed(text, " \n", controller))
			return &c->v[i];
	return NULL;
}
