/*
 * What a container used, in the shape of runc's `events --stats`, which the runc shim of containerd and monitoring tools
 * read. Version 2's files are told in the same names.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/oci/cgroup_in.h"
#include "util/err.h"

enum { TEXT_MAX = 16384 };

static void put(json_t *o, const char *key, uint64_t v)
{
	/* jansson's integers are signed: "no limit" of version 2 is the largest, as in version 1 it nearly is */
	(void)json_object_set_new(o, key, json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v));
}

static void put_file(json_t *o, const char *key, const struct hierarchy *h, const char *file)
{
	uint64_t v;

	if (cgroup_number(h->path, file, &v) == 0)
		put(o, key, v);
}

/* The number behind WORD at the start of a line of TEXT. */
static uint64_t word(const char *text, const char *w)
{
	size_t n = strlen(w);

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, w, n) == 0 && line[n] == ' ')
			return strtoull(line + n + 1, NULL, 10);
	}
	return 0;
}

/* "KEY NUMBER" lines of FILE as an object. */
static json_t *flat(const struct hierarchy *h, const char *file)
{
	json_t *o = json_object();
	char text[TEXT_MAX], key[128], *save = NULL;
	uint64_t v;

	if (cgroup_text(h->path, file, text, sizeof(text)) <= 0)
		return o;
	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		if (sscanf(line, "%127s %" SCNu64, key, &v) == 2)
			put(o, key, v);
	return o;
}

/* Numbers between blanks, NTH of each line of WIDTH (0, 1: all of the only line). */
static json_t *numbers(const char *text, bool skip_first, int nth)
{
	json_t *list = json_array();
	AUTO_FREE char *copy = strdup(text);
	char *save = NULL;

	for (char *line = copy == NULL ? NULL : strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (skip_first) {
			skip_first = false;
			continue;
		}
		char *inner = NULL;
		int i = 0;
		for (char *w = strtok_r(line, " ", &inner); w != NULL; w = strtok_r(NULL, " ", &inner), i++)
			if (w[0] >= '0' && w[0] <= '9' && (nth < 0 || i == nth))
				(void)json_array_append_new(list, json_integer((json_int_t)strtoull(w, NULL, 10)));
	}
	return list;
}

static json_t *cpu(const struct oci_cgroup *c)
{
	const struct hierarchy *acct = cgroup_with(c, "cpuacct"), *h = cgroup_with(c, "cpu");
	json_t *usage = json_object(), *throttling = json_object();
	char text[TEXT_MAX];

	/* version 2 has cpu.stat without any controller */
	for (size_t i = 0; acct == NULL && h == NULL && i < c->n; i++)
		if (c->v[i].v2)
			h = &c->v[i];
	if (acct != NULL) {
		put_file(usage, "total", acct, "cpuacct.usage");
		if (cgroup_text(acct->path, "cpuacct.usage_percpu", text, sizeof(text)) > 0)
			(void)json_object_set_new(usage, "percpu", numbers(text, false, -1));
		if (cgroup_text(acct->path, "cpuacct.usage_all", text, sizeof(text)) > 0) {
			(void)json_object_set_new(usage, "percpu_kernel", numbers(text, true, 2));
			(void)json_object_set_new(usage, "percpu_user", numbers(text, true, 1));
		}
		put_file(usage, "kernel", acct, "cpuacct.usage_sys");
		put_file(usage, "user", acct, "cpuacct.usage_user");
	}
	if (h != NULL && cgroup_text(h->path, "cpu.stat", text, sizeof(text)) > 0) {
		if (h->v2 && acct == NULL) {
			put(usage, "total", word(text, "usage_usec") * 1000);
			put(usage, "kernel", word(text, "system_usec") * 1000);
			put(usage, "user", word(text, "user_usec") * 1000);
		}
		uint64_t time = h->v2 ? word(text, "throttled_usec") * 1000 : word(text, "throttled_time");
		/* runc leaves zeros out here */
		if (word(text, "nr_periods") != 0)
			put(throttling, "periods", word(text, "nr_periods"));
		if (word(text, "nr_throttled") != 0)
			put(throttling, "throttledPeriods", word(text, "nr_throttled"));
		if (time != 0)
			put(throttling, "throttledTime", time);
	}
	if (json_object_get(usage, "total") == NULL)
		put(usage, "total", 0);
	if (json_object_get(usage, "kernel") == NULL)
		put(usage, "kernel", 0);
	if (json_object_get(usage, "user") == NULL)
		put(usage, "user", 0);
	return json_pack("{s:o, s:o}", "usage", usage, "throttling", throttling);
}

/* "0-2,5" as [0,1,2,5]. */
static json_t *cpu_list(const char *text)
{
	json_t *list = json_array();

	while (*text >= '0' && *text <= '9') {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		for (unsigned long i = first; i <= last && i < 8192; i++)
			(void)json_array_append_new(list, json_integer((json_int_t)i));
		text = *end == ',' ? end + 1 : end;
	}
	return list;
}

static json_t *cpuset(const struct oci_cgroup *c)
{
	static const char *const names[] = {"cpu_exclusive",	"mem_hardwall",	      "mem_exclusive",
					    "memory_migrate",	"memory_spread_page", "memory_spread_slab",
					    "memory_pressure",	"sched_load_balance", "sched_relax_domain_level"};
	const struct hierarchy *h = cgroup_with(c, "cpuset");
	json_t *o = json_object();
	char text[TEXT_MAX], file[64];

	if (h == NULL)
		return o;
	if (cgroup_text(h->path, h->v2 ? "cpuset.cpus.effective" : "cpuset.cpus", text, sizeof(text)) > 0)
		(void)json_object_set_new(o, "cpus", cpu_list(text));
	if (cgroup_text(h->path, h->v2 ? "cpuset.mems.effective" : "cpuset.mems", text, sizeof(text)) > 0)
		(void)json_object_set_new(o, "mems", cpu_list(text));
	for (size_t i = 0; !h->v2 && i < ARRAY_LEN(names); i++) {
		snprintf(file, sizeof(file), "cpuset.%s", names[i]);
		if (cgroup_text(h->path, file, text, sizeof(text)) > 0)
			(void)json_object_set_new(o, names[i], json_integer(strtoll(text, NULL, 10)));
	}
	return o;
}

/* usage, max, failcnt and limit of version 1's files PREFIX.* */
static json_t *counter(const struct hierarchy *h, const char *prefix)
{
	static const char *const keys[] = {"limit", "usage", "max", "failcnt"};
	static const char *const files[] = {"limit_in_bytes", "usage_in_bytes", "max_usage_in_bytes", "failcnt"};
	json_t *o = json_object();
	char file[96];

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		snprintf(file, sizeof(file), "%s.%s", prefix, files[i]);
		put_file(o, keys[i], h, file);
	}
	return o;
}

static json_t *memory(const struct oci_cgroup *c)
{
	const struct hierarchy *h = cgroup_with(c, "memory");
	json_t *o = json_object(), *raw;
	char text[TEXT_MAX];

	if (h == NULL)
		return o;
	raw = flat(h, "memory.stat");
	uint64_t cache = (uint64_t)json_integer_value(json_object_get(raw, h->v2 ? "file" : "cache"));
	if (cache != 0)
		put(o, "cache", cache);
	if (!h->v2) {
		(void)json_object_set_new(o, "usage", counter(h, "memory"));
		(void)json_object_set_new(o, "swap", counter(h, "memory.memsw"));
		(void)json_object_set_new(o, "kernel", counter(h, "memory.kmem"));
		(void)json_object_set_new(o, "kernelTCP", counter(h, "memory.kmem.tcp"));
	} else {
		json_t *usage = json_object(), *swap = json_object();
		uint64_t used = 0, swapped = 0, limit = UINT64_MAX, swap_limit = UINT64_MAX;
		(void)cgroup_number(h->path, "memory.current", &used);
		(void)cgroup_number(h->path, "memory.max", &limit);
		put(usage, "limit", limit);
		put(usage, "usage", used);
		put_file(usage, "max", h, "memory.peak");
		int n = cgroup_text(h->path, "memory.events", text, sizeof(text));
		put(usage, "failcnt", n > 0 ? word(text, "max") : 0);
		(void)json_object_set_new(o, "usage", usage);
		/* swap is told together with memory, as version 1 counts it */
		if (cgroup_number(h->path, "memory.swap.current", &swapped) == 0) {
			(void)cgroup_number(h->path, "memory.swap.max", &swap_limit);
			put(swap, "limit", limit == UINT64_MAX || swap_limit == UINT64_MAX ? UINT64_MAX : limit + swap_limit);
			put(swap, "usage", used + swapped);
			put(swap, "failcnt", 0);
		}
		(void)json_object_set_new(o, "swap", swap);
		(void)json_object_set_new(o, "kernel", json_pack("{s:i}", "failcnt", 0));
		(void)json_object_set_new(o, "kernelTCP", json_pack("{s:i}", "failcnt", 0));
	}
	(void)json_object_set_new(o, "raw", raw);
	return o;
}

static json_t *pids(const struct oci_cgroup *c)
{
	const struct hierarchy *h = cgroup_with(c, "pids");
	json_t *o = json_object();
	uint64_t limit = UINT64_MAX;

	if (h == NULL)
		return o;
	put_file(o, "current", h, "pids.current");
	if (cgroup_number(h->path, "pids.max", &limit) == 0 && limit != UINT64_MAX)
		put(o, "limit", limit);
	return o;
}

/* "8:0 Read 4096" lines. */
static void io_v1(json_t *o, const char *key, const struct hierarchy *h, const char *file)
{
	json_t *list = json_array();
	char text[TEXT_MAX], op[32], *save = NULL;
	unsigned int major, minor;
	uint64_t v;

	if (cgroup_text(h->path, file, text, sizeof(text)) > 0)
		for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
			if (sscanf(line, "%u:%u %31s %" SCNu64, &major, &minor, op, &v) == 4)
				(void)json_array_append_new(list,
							    json_pack("{s:I, s:I, s:s, s:I}", "major", (json_int_t)major, "minor",
								      (json_int_t)minor, "op", op, "value", (json_int_t)v));
	if (json_array_size(list) > 0)
		(void)json_object_set(o, key, list);
	json_decref(list);
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..." lines. */
static void io_v2(json_t *o, const struct hierarchy *h)
{
	static const struct {
		const char *name, *op;
		bool bytes;
	} fields[] = {{"rbytes", "Read", true}, {"wbytes", "Write", true}, {"rios", "Read", false}, {"wios", "Write", false}};
	json_t *bytes = json_array(), *ios = json_array();
	char text[TEXT_MAX], *save = NULL;
	unsigned int major, minor;

	if (cgroup_text(h->path, "io.stat", text, sizeof(text)) > 0)
		for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
			if (sscanf(line, "%u:%u", &major, &minor) != 2)
				continue;
			for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
				char want[16];
				snprintf(want, sizeof(want), " %s=", fields[i].name);
				const char *at = strstr(line, want);
				if (at == NULL)
					continue;
				(void)json_array_append_new(
					fields[i].bytes ? bytes : ios,
					json_pack("{s:I, s:I, s:s, s:I}", "major", (json_int_t)major, "minor", (json_int_t)minor, "op",
						  fields[i].op, "value", (json_int_t)strtoull(at + strlen(want), NULL, 10)));
			}
		}
	if (json_array_size(bytes) > 0)
		(void)json_object_set(o, "ioServiceBytesRecursive", bytes);
	if (json_array_size(ios) > 0)
		(void)json_object_set(o, "ioServicedRecursive", ios);
	json_decref(bytes);
	json_decref(ios);
}

static json_t *blkio(const struct oci_cgroup *c)
{
	const struct hierarchy *h = cgroup_with(c, "blkio");
	json_t *o = json_object();

	if (h != NULL) {
		io_v1(o, "ioServiceBytesRecursive", h, "blkio.throttle.io_service_bytes_recursive");
		io_v1(o, "ioServicedRecursive", h, "blkio.throttle.io_serviced_recursive");
		return o;
	}
	h = cgroup_with(c, "io");
	if (h != NULL)
		io_v2(o, h);
	return o;
}

static json_t *hugetlb(const struct oci_cgroup *c)
{
	static const char *const sizes[] = {"64KB", "1MB", "2MB", "16MB", "32MB", "512MB", "1GB", "16GB"};
	const struct hierarchy *h = cgroup_with(c, "hugetlb");
	json_t *o = json_object();
	char file[64];
	uint64_t v;

	for (size_t i = 0; h != NULL && i < ARRAY_LEN(sizes); i++) {
		json_t *one = json_object();
		snprintf(file, sizeof(file), "hugetlb.%s.%s", sizes[i], h->v2 ? "current" : "usage_in_bytes");
		bool known = cgroup_number(h->path, file, &v) == 0;
		if (known && v != 0)
			put(one, "usage", v);
		snprintf(file, sizeof(file), "hugetlb.%s.max_usage_in_bytes", sizes[i]);
		if (known && !h->v2)
			put_file(one, "max", h, file);
		snprintf(file, sizeof(file), "hugetlb.%s.failcnt", sizes[i]);
		put(one, "failcnt", known && !h->v2 && cgroup_number(h->path, file, &v) == 0 ? v : 0);
		if (known)
			(void)json_object_set(o, sizes[i], one);
		json_decref(one);
	}
	return o;
}

uint64_t oci_cgroup_oom_kills(const struct oci_cgroup *c)
{
	const struct hierarchy *h = cgroup_with(c, "memory");
	char text[1024];

	if (h == NULL || cgroup_text(h->path, h->v2 ? "memory.events" : "memory.oom_control", text, sizeof(text)) <= 0)
		return 0;
	return word(text, "oom_kill");
}

json_t *oci_cgroup_stats(const struct oci_cgroup *c)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:{}, s:n}", "cpu", cpu(c), "cpuset", cpuset(c), "memory", memory(c),
			 "pids", pids(c), "blkio", blkio(c), "hugetlb", hugetlb(c), "intel_rdt", "network_interfaces");
}
