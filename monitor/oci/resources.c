/*
 * linux.resources read: one table of members for each object, so that a name nobody knows is told and none is
 * dropped. What the specification has and this host's kernel interface no longer does (kernel memory) is read, for
 * engines write it, and weighed in cgroup_limits.c.
 */
#include "monitor/oci/resources.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

/* One member of an object: a number, or a text where NUMBER is NULL. */
struct member {
	const char *name;
	struct oci_number *number;
	char **text;
};

static int wrong(struct oci_fault *fault, const char *where, const char *name, const char *what)
{
	return oci_fail(fault, -EINVAL, "invalid config: linux.resources.%s%s%s: %s", where, name[0] ? "." : "", name,
			what);
}

/* A number as engines write it: an integer, a boolean, or a real that is whole (some encoders). */
static int read_number(const json_t *v, struct oci_number *ret)
{
	if (json_is_boolean(v))
		*ret = (struct oci_number){.v = json_is_true(v), .set = true};
	else if (json_is_integer(v))
		*ret = (struct oci_number){.v = json_integer_value(v), .set = true};
	else if (json_is_real(v) && json_real_value(v) >= 9.2e18)
		*ret = (struct oci_number){.v = INT64_MAX, .set = true}; /* more than an int64_t: unlimited */
	else
		return -EINVAL;
	return 0;
}

static int read_object(const json_t *o, const char *where, const struct member *members, size_t n,
		       const char *const *others, struct oci_fault *fault)
{
	const char *key;
	json_t *v;

	if (o == NULL || json_is_null(o))
		return 0;
	if (!json_is_object(o))
		return wrong(fault, where, "", "must be an object");
	void *at = json_object_iter((json_t *)(uintptr_t)o);
	for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)o, at)) {
		size_t i = 0;
		key = json_object_iter_key(at);
		v = json_object_iter_value(at);
		while (i < n && strcmp(members[i].name, key) != 0)
			i++;
		if (i == n) {
			const char *const *other = others;
			while (other != NULL && *other != NULL && strcmp(*other, key) != 0)
				other++;
			if (other == NULL || *other == NULL)
				return wrong(fault, where, key, "is not known");
			continue;
		}
		if (json_is_null(v))
			continue;
		if (members[i].number != NULL) {
			if (read_number(v, members[i].number) < 0)
				return wrong(fault, where, key, "must be a number");
			continue;
		}
		if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
			return wrong(fault, where, key, "must be a text");
		free(*members[i].text);
		*members[i].text = strdup(json_string_value(v));
		if (*members[i].text == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int read_memory(const json_t *o, struct oci_resources *r, struct oci_fault *fault)
{
	const struct member members[] = {
		{"limit", &r->memory.limit, NULL},
		{"reservation", &r->memory.reservation, NULL},
		{"swap", &r->memory.swap, NULL},
		{"kernel", &r->memory.kernel, NULL},
		{"kernelTCP", &r->memory.kernel_tcp, NULL},
		{"swappiness", &r->memory.swappiness, NULL},
		{"disableOOMKiller", &r->memory.disable_oom_killer, NULL},
		{"useHierarchy", &r->memory.use_hierarchy, NULL},
		{"checkBeforeUpdate", &r->memory.check_before_update, NULL},
	};

	return read_object(o, "memory", members, ARRAY_LEN(members), NULL, fault);
}

static int read_cpu(const json_t *o, struct oci_resources *r, struct oci_fault *fault)
{
	const struct member members[] = {
		{"shares", &r->cpu.shares, NULL},
		{"quota", &r->cpu.quota, NULL},
		{"burst", &r->cpu.burst, NULL},
		{"period", &r->cpu.period, NULL},
		{"realtimeRuntime", &r->cpu.rt_runtime, NULL},
		{"realtimePeriod", &r->cpu.rt_period, NULL},
		{"idle", &r->cpu.idle, NULL},
		{"cpus", NULL, &r->cpu.cpus},
		{"mems", NULL, &r->cpu.mems},
	};

	return read_object(o, "cpu", members, ARRAY_LEN(members), NULL, fault);
}

static const char *const blkio_lists[] = {
	[OCI_BLKIO_WEIGHT] = "weightDevice",
	[OCI_BLKIO_READ_BPS] = "throttleReadBpsDevice",
	[OCI_BLKIO_WRITE_BPS] = "throttleWriteBpsDevice",
	[OCI_BLKIO_READ_IOPS] = "throttleReadIOPSDevice",
	[OCI_BLKIO_WRITE_IOPS] = "throttleWriteIOPSDevice",
	[OCI_BLKIO_LISTS] = NULL,
};

static int read_blkio_list(const json_t *list, const char *name, struct oci_resources *r, enum oci_blkio_list which,
			   struct oci_fault *fault)
{
	size_t n = json_array_size(list);

	if (list == NULL || json_is_null(list) || (json_is_array(list) && n == 0))
		return 0;
	if (!json_is_array(list))
		return wrong(fault, "blockIO", name, "must be an array");
	struct oci_blkio_device *v = calloc(n, sizeof(*v));
	if (v == NULL)
		return -ENOMEM;
	r->blkio.v[which] = v;
	r->blkio.n[which] = n;
	for (size_t i = 0; i < n; i++) {
		const json_t *e = json_array_get(list, i);
		const json_t *value = json_object_get(e, which == OCI_BLKIO_WEIGHT ? "weight" : "rate");
		if (!json_is_integer(json_object_get(e, "major")) || !json_is_integer(json_object_get(e, "minor")) ||
		    !json_is_integer(value) || json_integer_value(value) < 0)
			return wrong(fault, "blockIO", name, "needs major, minor and a number");
		v[i].major = json_integer_value(json_object_get(e, "major"));
		v[i].minor = json_integer_value(json_object_get(e, "minor"));
		v[i].value = (uint64_t)json_integer_value(value);
	}
	return 0;
}

static int read_blkio(const json_t *o, struct oci_resources *r, struct oci_fault *fault)
{
	const struct member members[] = {
		{"weight", &r->blkio.weight, NULL},
		{"leafWeight", &r->blkio.leaf_weight, NULL},
	};
	int e = read_object(o, "blockIO", members, ARRAY_LEN(members), blkio_lists, fault);

	for (int i = 0; e == 0 && i < OCI_BLKIO_LISTS; i++)
		e = read_blkio_list(json_object_get(o, blkio_lists[i]), blkio_lists[i], r, (enum oci_blkio_list)i,
				    fault);
	return e;
}

static int read_pids(const json_t *o, struct oci_resources *r, struct oci_fault *fault)
{
	const struct member members[] = {{"limit", &r->pids, NULL}};

	return read_object(o, "pids", members, ARRAY_LEN(members), NULL, fault);
}

/* "2MB", "1GB", "64KB": what the kernel's file names hold. */
static bool page_size_ok(const char *size)
{
	size_t digits = strspn(size, "0123456789");

	return digits > 0 && digits < 8 &&
	       (strcmp(size + digits, "KB") == 0 || strcmp(size + digits, "MB") == 0 || strcmp(size + digits, "GB") == 0);
}

static int read_hugepages(const json_t *list, struct oci_resources *r, struct oci_fault *fault)
{
	size_t n = json_array_size(list);

	if (list == NULL || json_is_null(list) || (json_is_array(list) && n == 0))
		return 0;
	if (!json_is_array(list))
		return wrong(fault, "hugepageLimits", "", "must be an array");
	r->hugepages = calloc(n, sizeof(*r->hugepages));
	if (r->hugepages == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *e = json_array_get(list, i), *limit = json_object_get(e, "limit");
		const char *size = json_string_value(json_object_get(e, "pageSize"));
		struct oci_number number;
		if (size == NULL || !page_size_ok(size) || read_number(limit, &number) < 0 || number.v < 0)
			return wrong(fault, "hugepageLimits", "", "needs pageSize (\"2MB\") and limit");
		r->hugepages[i].size = strdup(size);
		r->hugepages[i].limit = (uint64_t)number.v;
		r->hugepages_n = i + 1;
		if (r->hugepages[i].size == NULL)
			return -ENOMEM;
	}
	return 0;
}

static int read_device_number(const json_t *v, int64_t *ret)
{
	*ret = OCI_DEVICE_ALL;
	if (v == NULL || json_is_null(v))
		return 0;
	if (!json_is_integer(v) || json_integer_value(v) < -1 || json_integer_value(v) > UINT32_MAX)
		return -EINVAL;
	*ret = json_integer_value(v); /* -1 is any, as runc has it */
	return 0;
}

static int read_device(const json_t *e, struct oci_device_rule *d, struct oci_fault *fault)
{
	const json_t *type = json_object_get(e, "type"), *access = json_object_get(e, "access");
	const char *letters = access == NULL || json_is_null(access) ? "rwm" : json_string_value(access);
	const char *kind = type == NULL || json_is_null(type) ? "a" : json_string_value(type);

	if (!json_is_boolean(json_object_get(e, "allow")))
		return wrong(fault, "devices", "allow", "must be true or false");
	if (kind == NULL || strlen(kind) > 1 || (kind[0] != '\0' && strchr("abcu", kind[0]) == NULL))
		return wrong(fault, "devices", "type", "must be a, b, c or u");
	if (letters == NULL || strspn(letters, "rwm") != strlen(letters))
		return wrong(fault, "devices", "access", "must be of r, w and m");
	if (read_device_number(json_object_get(e, "major"), &d->major) < 0 ||
	    read_device_number(json_object_get(e, "minor"), &d->minor) < 0)
		return wrong(fault, "devices", "", "major and minor must be numbers");
	d->allow = json_is_true(json_object_get(e, "allow"));
	d->type = kind[0] == '\0' ? 'a' : kind[0] == 'u' ? 'c' : kind[0];
	if (letters[0] == '\0')
		letters = "rwm";
	d->read = strchr(letters, 'r') != NULL;
	d->write = strchr(letters, 'w') != NULL;
	d->mknod = strchr(letters, 'm') != NULL;
	return 0;
}

static int read_devices(const json_t *list, struct oci_resources *r, struct oci_fault *fault)
{
	size_t n = json_array_size(list);
	int e = 0;

	if (list == NULL || json_is_null(list) || (json_is_array(list) && n == 0))
		return 0;
	if (!json_is_array(list))
		return wrong(fault, "devices", "", "must be an array");
	r->devices = calloc(n, sizeof(*r->devices));
	if (r->devices == NULL)
		return -ENOMEM;
	for (; e == 0 && r->devices_n < n; r->devices_n++)
		e = read_device(json_array_get(list, r->devices_n), &r->devices[r->devices_n], fault);
	return e;
}

static int read_unified(const json_t *o, struct oci_resources *r, struct oci_fault *fault)
{
	size_t n = json_object_size(o);

	if (o == NULL || json_is_null(o) || (json_is_object(o) && n == 0))
		return 0;
	if (!json_is_object(o))
		return wrong(fault, "unified", "", "must be an object");
	r->unified = calloc(n, sizeof(*r->unified));
	if (r->unified == NULL)
		return -ENOMEM;
	void *at = json_object_iter((json_t *)(uintptr_t)o);
	for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)o, at)) {
		const char *key = json_object_iter_key(at), *value = json_string_value(json_object_iter_value(at));
		const char *dot = strchr(key, '.');
		if (strchr(key, '/') != NULL || dot == NULL || dot == key || strncmp(key, "cgroup.", 7) == 0)
			return wrong(fault, "unified", key, "is no file of a controller");
		if (value == NULL)
			return wrong(fault, "unified", key, "must be a text");
		struct oci_unified *u = &r->unified[r->unified_n++];
		u->file = strdup(key);
		u->value = strdup(value);
		if (u->file == NULL || u->value == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* What the specification has and nothing here holds: fine while it asks for nothing. */
static int refuse(const json_t *o, const char *name, struct oci_fault *fault)
{
	const json_t *v = json_object_get(o, name);

	if (v == NULL || json_is_null(v) || ((json_is_object(v) || json_is_array(v)) && json_object_size(v) == 0 &&
					    json_array_size(v) == 0))
		return 0;
	return oci_fail(fault, -EOPNOTSUPP, "linux.resources.%s is not supported by gabion", name);
}

int oci_resources_parse(const json_t *o, struct oci_resources *ret_r, struct oci_fault *fault)
{
	static const char *const known[] = {"memory",  "cpu",	  "pids",    "blockIO", "hugepageLimits",
					    "devices", "unified", "network", "rdma",	NULL};
	struct oci_resources r = OCI_RESOURCES_NULL;
	int e;

	if (o == NULL || json_is_null(o)) {
		*ret_r = r;
		return 0;
	}
	if (!json_is_object(o))
		return oci_fail(fault, -EINVAL, "invalid config: linux.resources must be an object");
	e = read_object(o, "", NULL, 0, known, fault);
	e = e < 0 ? e : refuse(o, "network", fault);
	e = e < 0 ? e : refuse(o, "rdma", fault);
	e = e < 0 ? e : read_memory(json_object_get(o, "memory"), &r, fault);
	e = e < 0 ? e : read_cpu(json_object_get(o, "cpu"), &r, fault);
	e = e < 0 ? e : read_pids(json_object_get(o, "pids"), &r, fault);
	e = e < 0 ? e : read_blkio(json_object_get(o, "blockIO"), &r, fault);
	e = e < 0 ? e : read_hugepages(json_object_get(o, "hugepageLimits"), &r, fault);
	e = e < 0 ? e : read_devices(json_object_get(o, "devices"), &r, fault);
	e = e < 0 ? e : read_unified(json_object_get(o, "unified"), &r, fault);
	if (e < 0) {
		oci_resources_clear(&r);
		if (e == -ENOMEM)
			oci_fail_errno(fault, e, "linux.resources");
		return e;
	}
	*ret_r = r;
	return 0;
}

void oci_resources_clear(struct oci_resources *r)
{
	free(r->cpu.cpus);
	free(r->cpu.mems);
	for (int i = 0; i < OCI_BLKIO_LISTS; i++)
		free(r->blkio.v[i]);
	for (size_t i = 0; i < r->hugepages_n; i++)
		free(r->hugepages[i].size);
	free(r->hugepages);
	free(r->devices);
	for (size_t i = 0; i < r->unified_n; i++) {
		free(r->unified[i].file);
		free(r->unified[i].value);
	}
	free(r->unified);
	*r = OCI_RESOURCES_NULL;
}
