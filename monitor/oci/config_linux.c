/* The member `linux` of config.json. See config.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>

#include "monitor/oci/config_mount.h"
#include "util/err.h"

enum { MAPS_MAX = 340 }; /* lines of a map the kernel takes */

const char *const *oci_namespace_names(void)
{
	static const char *const names[] = {"user", "pid", "mount", "network", "ipc", "uts", "cgroup", "time", NULL};

	return names;
}

int oci_idmaps_read(const struct oj *j, const char *key, struct oci_idmaps *ret)
{
	const json_t *list = NULL;
	int r = oj_array(j, key, &list);
	size_t n = json_array_size(list);

	if (r < 0 || n == 0)
		return r;
	if (n > MAPS_MAX)
		return oj_bad(j, key, "has more lines than the kernel takes");
	ret->v = calloc(n, sizeof(*ret->v));
	if (ret->v == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct oj m = {.o = json_array_get(list, i), .where = key, .fault = j->fault};
		struct oci_idmap *to = &ret->v[ret->n++];
		if (!json_is_object(m.o))
			return oj_bad(j, key, "must be a list of objects");
		if ((r = oj_u32(&m, "containerID", &to->inside)) < 0 || (r = oj_u32(&m, "hostID", &to->outside)) < 0 ||
		    (r = oj_u32(&m, "size", &to->count)) < 0)
			return r;
		if (to->count == 0 || to->inside + (uint64_t)to->count > UINT32_MAX ||
		    to->outside + (uint64_t)to->count > UINT32_MAX)
			return oj_bad(&m, "size", "is out of range");
	}
	return 0;
}

static int read_namespaces(const struct oj *l, struct oci_config *c)
{
	const char *const *names = oci_namespace_names();
	const json_t *list = NULL;
	int r = oj_array(l, "namespaces", &list);

	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		struct oj j = {.o = json_array_get(list, i), .where = "linux.namespaces", .fault = l->fault};
		AUTO_FREE char *type = NULL, *path = NULL;
		size_t k = 0;
		if (!json_is_object(j.o))
			return oj_bad(l, "namespaces", "must be a list of objects");
		if ((r = oj_string(&j, "type", &type)) < 0 || (r = oj_string(&j, "path", &path)) < 0)
			return r;
		while (type != NULL && k < OCI_NS_COUNT && strcmp(names[k], type) != 0)
			k++;
		if (type == NULL || k == OCI_NS_COUNT)
			return oj_bad(&j, "type", "is not a namespace of Linux");
		if (c->ns[k].wanted)
			return oj_bad(&j, "type", "is there twice");
		c->ns[k].wanted = true;
		if (path != NULL && path[0] != '\0' && path[0] != '/')
			return oj_bad(&j, "path", "must be absolute");
		if (path != NULL && path[0] != '\0')
			c->ns[k].path = STEAL(path);
	}
	return r;
}

static int read_devices(const struct oj *l, struct oci_config *c)
{
	const json_t *list = NULL;
	int r = oj_array(l, "devices", &list);
	size_t n = json_array_size(list);

	if (r < 0 || n == 0)
		return r;
	c->devices = calloc(n, sizeof(*c->devices));
	if (c->devices == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct oj j = {.o = json_array_get(list, i), .where = "linux.devices", .fault = l->fault};
		struct oci_device *d = &c->devices[c->devices_n++];
		AUTO_FREE char *type = NULL;
		int64_t mode = 0666;
		if ((r = oj_string(&j, "path", &d->path)) < 0 || (r = oj_string(&j, "type", &type)) < 0 ||
		    (r = oj_u32(&j, "major", &d->major)) < 0 || (r = oj_u32(&j, "minor", &d->minor)) < 0 ||
		    /* Engines give the whole st_mode. */
		    (r = oj_int(&j, "fileMode", 0, UINT32_MAX, &mode, NULL)) < 0 || (r = oj_u32(&j, "uid", &d->uid)) < 0 ||
		    (r = oj_u32(&j, "gid", &d->gid)) < 0)
			return r;
		d->mode = (mode_t)mode & 07777;
		if (d->path == NULL || d->path[0] != '/')
			return oj_bad(&j, "path", "must be absolute");
		if (type == NULL || strlen(type) != 1 || strchr("cubp", type[0]) == NULL)
			return oj_bad(&j, "type", "must be c, u, b or p");
		d->type = type[0] == 'u' ? 'c' : type[0];
	}
	return 0;
}

/*
 * Only what belongs to a namespace the container has of its own; kernel.core_pattern and its like are the host's
 * (CVE-2022-0811). A name is written with dots, or with slashes.
 */
static int check_sysctl(const struct oj *l, const struct oci_config *c, const char *key)
{
	static const char *const ipc[] = {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",	      "kernel.sem", "kernel.shmall",
					  "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced", NULL};
	char dotted[256];

	if (strlen(key) >= sizeof(dotted) || key[0] == '\0')
		return oj_bad(l, "sysctl", "holds a name that is none");
	/* Where the first separator is a slash, slashes separate and dots are part of names. */
	bool slashes = key[strcspn(key, "./")] == '/';
	for (size_t i = 0; i <= strlen(key); i++)
		dotted[i] = slashes && key[i] == '/' ? '.' : key[i];
	if (strstr(key, "..") != NULL || strstr(key, "//") != NULL || key[0] == '.' || key[0] == '/')
		return oj_bad(l, "sysctl", "holds a name that is none");
	if (strncmp(dotted, "net.", 4) == 0)
		return c->ns[OCI_NS_NET].wanted
			       ? 0
			       : oci_fail(l->fault, -EINVAL, "sysctl \"%s\" not allowed in host network namespace", key);
	bool of_ipc = strncmp(dotted, "fs.mqueue.", 10) == 0;
	for (size_t i = 0; ipc[i] != NULL; i++)
		of_ipc = of_ipc || strcmp(dotted, ipc[i]) == 0;
	if (of_ipc)
		return c->ns[OCI_NS_IPC].wanted
			       ? 0
			       : oci_fail(l->fault, -EINVAL, "sysctl \"%s\" is not allowed in the hosts ipc namespace", key);
	if (strcmp(dotted, "kernel.domainname") == 0)
		return c->ns[OCI_NS_UTS].wanted
			       ? 0
			       : oci_fail(l->fault, -EINVAL, "sysctl \"%s\" is not allowed in the hosts uts namespace", key);
	if (strcmp(dotted, "kernel.hostname") == 0)
		return oci_fail(l->fault, -EINVAL, "sysctl \"%s\" is not allowed as it conflicts with the OCI \"hostname\" field",
				key);
	return oci_fail(l->fault, -EINVAL, "sysctl \"%s\" is not in a separate kernel namespace", key);
}

static int read_sysctl(const struct oj *l, struct oci_config *c)
{
	const json_t *o = NULL;
	int r = oj_object(l, "sysctl", &o);
	size_t n = json_object_size(o);
	const char *key;
	json_t *v;

	if (r < 0 || n == 0)
		return r;
	c->sysctl = calloc(n, sizeof(*c->sysctl));
	if (c->sysctl == NULL)
		return -ENOMEM;
	json_object_foreach((json_t *)(uintptr_t)o, key, v)
	{
		struct oci_pair *p = &c->sysctl[c->sysctl_n];
		if (!json_is_string(v))
			return oj_bad(l, "sysctl", "must be strings");
		if ((r = check_sysctl(l, c, key)) < 0)
			return r;
		c->sysctl_n++;
		p->key = strdup(key);
		p->value = strdup(json_string_value(v));
		if (p->key == NULL || p->value == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int read_personality(const struct oj *l, struct oci_config *c)
{
	struct oj j = {.where = "linux.personality", .fault = l->fault};
	AUTO_FREE char *domain = NULL;
	int r = oj_object(l, "personality", &j.o);

	if (r < 0 || j.o == NULL)
		return r;
	if ((r = oj_string(&j, "domain", &domain)) < 0 || (r = oj_refuse(&j, "flags", "are not supported")) < 0)
		return r;
	c->personality_set = true;
	if (domain != NULL && strcmp(domain, "LINUX") == 0)
		c->personality = PER_LINUX;
	else if (domain != NULL && strcmp(domain, "LINUX32") == 0)
		c->personality = PER_LINUX32;
	else
		return oj_bad(&j, "domain", "must be LINUX or LINUX32");
	return 0;
}

static int read_clock(const struct oj *up, const char *key, int64_t *seconds, uint32_t *nanoseconds, bool *set)
{
	struct oj j = {.where = key, .fault = up->fault};
	int r = oj_object(up, key, &j.o);

	if (r < 0 || j.o == NULL)
		return r;
	*set = true;
	r = oj_int(&j, "secs", INT64_MIN, INT64_MAX, seconds, NULL);
	return r < 0 ? r : oj_u32(&j, "nanosecs", nanoseconds);
}

static int read_time(const struct oj *l, struct oci_config *c)
{
	struct oj j = {.where = "linux.timeOffsets", .fault = l->fault};
	int r = oj_object(l, "timeOffsets", &j.o);

	if (r < 0 || j.o == NULL)
		return r;
	if ((r = read_clock(&j, "monotonic", &c->monotonic.seconds, &c->monotonic.nanoseconds, &c->monotonic.set)) < 0 ||
	    (r = read_clock(&j, "boottime", &c->boottime.seconds, &c->boottime.nanoseconds, &c->boottime.set)) < 0)
		return r;
	if ((c->monotonic.set || c->boottime.set) && (!c->ns[OCI_NS_TIME].wanted || c->ns[OCI_NS_TIME].path != NULL))
		return oj_bad(l, "timeOffsets", "needs a new time namespace");
	return 0;
}

static int read_propagation(const struct oj *l, struct oci_config *c)
{
	AUTO_FREE char *word = NULL;
	int r = oj_string(l, "rootfsPropagation", &word);

	if (r < 0 || word == NULL || word[0] == '\0')
		return r;
	c->rootfs_propagation = oci_propagation(word);
	return c->rootfs_propagation != 0 ? 0 : oj_bad(l, "rootfsPropagation", "is not a propagation");
}

/* What is about namespaces the container has not. */
static int check(const struct oj *l, const struct oci_config *c)
{
	const struct oci_namespace *user = &c->ns[OCI_NS_USER];

	if (!user->wanted && (c->uids.n > 0 || c->gids.n > 0))
		return oci_fail(l->fault, -EINVAL, "User namespace mappings specified, but user namespace isn't enabled in the config");
	if (user->wanted && user->path == NULL && (c->uids.n == 0 || c->gids.n == 0))
		return oci_fail(l->fault, -EINVAL, "user namespaces enabled, but no uid mappings found.");
	if (!c->ns[OCI_NS_MOUNT].wanted)
		return oci_fail(l->fault, -EINVAL, "config.json: linux.namespaces: a container needs a mount namespace");
	if ((c->masked != NULL || c->readonly_paths != NULL) && c->ns[OCI_NS_MOUNT].path != NULL)
		return oci_fail(l->fault, -EINVAL, "unable to restrict sys entries without a private MNT namespace");
	if ((c->hostname != NULL || c->domainname != NULL) && !c->ns[OCI_NS_UTS].wanted)
		return oci_fail(l->fault, -EINVAL, "unable to set hostname without a private UTS namespace");
	return 0;
}

int oci_linux_read(const struct oj *top, struct oci_config *c)
{
	static const char *const known[] = {
		"uidMappings", "gidMappings", "sysctl", "resources", "cgroupsPath", "namespaces", "devices", "netDevices", "seccomp",
		"rootfsPropagation", "maskedPaths", "readonlyPaths", "mountLabel", "intelRdt", "memoryPolicy", "personality",
		"timeOffsets", NULL};
	struct oj l = {.where = "linux", .fault = top->fault};
	const json_t *resources = NULL, *seccomp = NULL;
	int r = oj_object(top, "linux", &l.o);

	if (r < 0)
		return r;
	if (l.o == NULL)
		return oci_fail(top->fault, -EINVAL, "config.json: linux is missing: only containers for Linux can be run");
	oj_unknown(&l, known);
	if ((r = oj_refuse(&l, "intelRdt", "is not supported")) < 0 || (r = oj_refuse(&l, "netDevices", "is not supported")) < 0 ||
	    (r = oj_refuse(&l, "memoryPolicy", "is not supported")) < 0 || (r = read_namespaces(&l, c)) < 0 ||
	    (r = oci_idmaps_read(&l, "uidMappings", &c->uids)) < 0 || (r = oci_idmaps_read(&l, "gidMappings", &c->gids)) < 0 ||
	    (r = read_devices(&l, c)) < 0 || (r = oj_string(&l, "cgroupsPath", &c->cgroups_path)) < 0 ||
	    (r = read_sysctl(&l, c)) < 0 || (r = oj_object(&l, "seccomp", &seccomp)) < 0 || (r = read_propagation(&l, c)) < 0 ||
	    (r = oj_strings(&l, "maskedPaths", &c->masked)) < 0 || (r = oj_strings(&l, "readonlyPaths", &c->readonly_paths)) < 0 ||
	    (r = oj_string(&l, "mountLabel", &c->mount_label)) < 0 || (r = read_personality(&l, c)) < 0 ||
	    (r = read_time(&l, c)) < 0 || (r = oj_object(&l, "resources", &resources)) < 0 || (r = check(&l, c)) < 0)
		return r;
	c->seccomp = (json_t *)(uintptr_t)seccomp;
	return oci_resources_parse(resources, &c->resources, top->fault);
}
