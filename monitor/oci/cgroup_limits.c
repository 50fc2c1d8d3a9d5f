/*
 * Limits written: each of config.json's resources as the file of version 1 or version 2 that holds it.
 *
 * What was asked for and cannot be held is a fault that names it, but for what no kernel of today has (kernel memory),
 * what a container holds by other means (weights without a scheduler that weighs), and swap where it is not accounted
 * for: those are warnings. Version 2's numbers are those of the conversions runc and crun use.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "monitor/oci/cgroup_in.h"
#include "util/err.h"

/* The hierarchy of CONTROLLER, or NULL with a fault where WHAT was asked for. */
static const struct hierarchy *need(const struct oci_cgroup *c, const char *controller, const char *what,
				    struct oci_fault *fault)
{
	const struct hierarchy *h = cgroup_with(c, controller);

	if (h == NULL)
		(void)oci_fail(fault, -EOPNOTSUPP, "cannot set %s limit: container could not join or create cgroup (no %s controller here)",
			       what, controller);
	return h;
}

static int refused(struct oci_fault *fault, int r, const struct hierarchy *h, const char *file)
{
	return oci_fail_errno(fault, r, "unable to set resource limits: write %s/%s", h->path, file);
}

/* "max" for anything below 0. */
static int set_max(const struct hierarchy *h, const char *file, int64_t v)
{
	return v < 0 ? cgroup_set(h->path, file, h->v2 ? "max" : "-1") : cgroup_set(h->path, file, "%" PRId64, v);
}

/* Version 1: memory, and memory with swap, which may not be less: the one that grows first. */
static int memory_swap_v1(const struct hierarchy *h, struct oci_number limit, struct oci_number swap,
			  struct oci_fault *fault)
{
	static const char *const files[] = {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"};
	uint64_t now = UINT64_MAX, both = 0;
	bool accounted = cgroup_number(h->path, files[1], &both) == 0;

	if (limit.set && limit.v < 0 && !swap.set && accounted)
		swap = (struct oci_number){.v = -1, .set = true};
	if (swap.set && !accounted) {
		oci_log(OCI_WARNING, "swap is not accounted for on this host: its limit is left out");
		swap.set = false;
	}
	/* a limit above the sum that holds now would be refused: the sum goes up with it */
	if (limit.set && !swap.set && accounted && limit.v >= 0 && (uint64_t)limit.v > both)
		swap = (struct oci_number){.v = limit.v, .set = true};
	(void)cgroup_number(h->path, files[0], &now);
	bool sum_first = swap.set && (swap.v < 0 || (uint64_t)swap.v > now);
	for (int turn = 0; turn < 2; turn++) {
		bool sum = (turn == 0) == sum_first;
		struct oci_number n = sum ? swap : limit;
		if (!n.set)
			continue;
		int r = set_max(h, files[sum], n.v);
		if (r == -EBUSY && !sum) {
			uint64_t usage = 0;
			(void)cgroup_number(h->path, "memory.usage_in_bytes", &usage);
			return oci_fail(fault, r, "unable to set memory limit to %" PRId64 " (current usage: %" PRIu64 ")",
					n.v, usage);
		}
		if (r < 0)
			return refused(fault, r, h, files[sum]);
	}
	return 0;
}

static int memory_v1(const struct hierarchy *h, const struct oci_resources *r, struct oci_fault *fault)
{
	int e = memory_swap_v1(h, r->memory.limit, r->memory.swap, fault);

	if (e == 0 && r->memory.reservation.set) {
		e = set_max(h, "memory.soft_limit_in_bytes", r->memory.reservation.v);
		if (e < 0)
			return refused(fault, e, h, "memory.soft_limit_in_bytes");
	}
	if (e == 0 && r->memory.kernel_tcp.set && r->memory.kernel_tcp.v != 0) {
		e = set_max(h, "memory.kmem.tcp.limit_in_bytes", r->memory.kernel_tcp.v);
		if (e < 0)
			return refused(fault, e, h, "memory.kmem.tcp.limit_in_bytes");
	}
	if (e == 0 && r->memory.swappiness.set && r->memory.swappiness.v >= 0) {
		if (r->memory.swappiness.v > 100)
			return oci_fail(fault, -EINVAL, "invalid memory swappiness value: %" PRId64 " (valid range is 0-100)",
					r->memory.swappiness.v);
		e = cgroup_set(h->path, "memory.swappiness", "%" PRId64, r->memory.swappiness.v);
		if (e < 0)
			return refused(fault, e, h, "memory.swappiness");
	}
	if (e == 0 && r->memory.disable_oom_killer.set && r->memory.disable_oom_killer.v != 0) {
		e = cgroup_set(h->path, "memory.oom_control", "1");
		if (e < 0)
			return refused(fault, e, h, "memory.oom_control");
	}
	return e;
}

static int memory_v2(const struct hierarchy *h, const struct oci_resources *r, struct oci_fault *fault)
{
	struct oci_number limit = r->memory.limit, swap = r->memory.swap;
	uint64_t usage = 0;
	int e = 0;

	if (swap.set && swap.v != 0) {
		int64_t alone = -1;
		uint64_t now = UINT64_MAX;
		if (!limit.set && cgroup_number(h->path, "memory.max", &now) == 0 && now != UINT64_MAX)
			limit.v = (int64_t)now;
		if (swap.v > 0) { /* of both together; version 2 limits swap by itself */
			if (limit.v <= 0)
				return oci_fail(fault, -EINVAL, "unable to set swap limit without memory limit");
			if (swap.v < limit.v)
				return oci_fail(fault, -EINVAL, "memory+swap limit should be >= memory limit");
			alone = swap.v - limit.v;
		}
		e = set_max(h, "memory.swap.max", alone);
		if (e == -ENOENT) {
			oci_log(OCI_WARNING, "swap is not accounted for on this host: its limit is left out");
			e = 0;
		}
		if (e < 0)
			return refused(fault, e, h, "memory.swap.max");
	}
	if (limit.set && limit.v != 0) {
		if (r->memory.check_before_update.set && r->memory.check_before_update.v != 0 && limit.v > 0 &&
		    cgroup_number(h->path, "memory.current", &usage) == 0 && usage > (uint64_t)limit.v)
			return oci_fail(fault, -EBUSY, "unable to set memory limit to %" PRId64 " (current usage: %" PRIu64 ")",
					limit.v, usage);
		e = set_max(h, "memory.max", limit.v);
		if (e < 0)
			return refused(fault, e, h, "memory.max");
	}
	if (r->memory.reservation.set && r->memory.reservation.v != 0) {
		e = set_max(h, "memory.low", r->memory.reservation.v);
		if (e < 0)
			return refused(fault, e, h, "memory.low");
	}
	if (r->memory.swappiness.set || (r->memory.disable_oom_killer.set && r->memory.disable_oom_killer.v != 0))
		oci_log(OCI_WARNING, "swappiness and disableOOMKiller do not exist in cgroup version 2: left out");
	return 0;
}

static int limit_memory(const struct oci_cgroup *c, const struct oci_resources *r, struct oci_fault *fault)
{
	const struct hierarchy *h;

	if (r->memory.kernel.set && r->memory.kernel.v != 0)
		oci_log(OCI_WARNING, "the limit on kernel memory does not exist any more: left out");
	if (!r->memory.limit.set && !r->memory.swap.set && !r->memory.reservation.set && !r->memory.swappiness.set &&
	    !r->memory.disable_oom_killer.set && !(r->memory.kernel_tcp.set && r->memory.kernel_tcp.v != 0))
		return 0;
	h = need(c, "memory", "memory", fault);
	if (h == NULL)
		return -EOPNOTSUPP;
	return h->v2 ? memory_v2(h, r, fault) : memory_v1(h, r, fault);
}

/* Two files of which either may be refused as long as the other has its old value. */
static int set_pair(const struct hierarchy *h, const char *one, struct oci_number a, const char *two, struct oci_number b,
		    const char **ret_file)
{
	int ra = 0, rb = 0;

	*ret_file = one;
	if (a.set)
		ra = cgroup_set(h->path, one, "%" PRId64, a.v);
	if (b.set)
		rb = cgroup_set(h->path, two, "%" PRId64, b.v);
	if (ra == -EINVAL && b.set && rb == 0)
		ra = cgroup_set(h->path, one, "%" PRId64, a.v);
	if (rb < 0)
		*ret_file = two;
	return ra < 0 ? ra : rb;
}

static int cpu_v1(const struct hierarchy *h, const struct oci_resources *r, struct oci_fault *fault)
{
	struct oci_number period = r->cpu.period, quota = r->cpu.quota, burst = r->cpu.burst;
	const char *file = "cpu.shares";
	int e = 0;

	period.set = period.set && period.v != 0;
	quota.set = quota.set && quota.v != 0;
	if (r->cpu.shares.set && r->cpu.shares.v != 0)
		e = cgroup_set(h->path, file, "%" PRId64, r->cpu.shares.v);
	if (e == 0)
		e = set_pair(h, "cpu.cfs_period_us", period, "cpu.cfs_quota_us", quota, &file);
	if (e == 0 && burst.set) {
		file = "cpu.cfs_burst_us";
		e = cgroup_set(h->path, file, "%" PRId64, burst.v);
	}
	if (e == 0 && ((r->cpu.rt_period.set && r->cpu.rt_period.v != 0) || (r->cpu.rt_runtime.set && r->cpu.rt_runtime.v != 0)))
		e = set_pair(h, "cpu.rt_period_us", r->cpu.rt_period, "cpu.rt_runtime_us", r->cpu.rt_runtime, &file);
	if (e == 0 && r->cpu.idle.set) {
		file = "cpu.idle";
		e = cgroup_set(h->path, file, "%" PRId64, r->cpu.idle.v);
	}
	return e < 0 ? refused(fault, e, h, file) : 0;
}

static int cpu_v2(const struct hierarchy *h, const struct oci_resources *r, struct oci_fault *fault)
{
	int64_t shares = r->cpu.shares.v, quota = r->cpu.quota.v, period = r->cpu.period.v;
	const char *file = "cpu.weight";
	int e = 0;

	if ((r->cpu.rt_period.set && r->cpu.rt_period.v != 0) || (r->cpu.rt_runtime.set && r->cpu.rt_runtime.v != 0))
		return oci_fail(fault, -EOPNOTSUPP, "realtimePeriod and realtimeRuntime do not exist in cgroup version 2");
	if (r->cpu.idle.set) {
		file = "cpu.idle";
		e = cgroup_set(h->path, file, "%" PRId64, r->cpu.idle.v);
	}
	if (e == 0 && r->cpu.shares.set && shares != 0 && !(r->cpu.idle.set && r->cpu.idle.v != 0)) {
		shares = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
		file = "cpu.weight";
		e = cgroup_set(h->path, file, "%" PRId64, 1 + (shares - 2) * 9999 / 262142);
	}
	if (e == 0 && ((r->cpu.quota.set && quota != 0) || (r->cpu.period.set && period != 0))) {
		file = "cpu.max";
		period = r->cpu.period.set && period != 0 ? period : 100000;
		if (r->cpu.quota.set && quota > 0)
			e = cgroup_set(h->path, file, "%" PRId64 " %" PRId64, quota, period);
		else
			e = cgroup_set(h->path, file, "max %" PRId64, period);
	}
	if (e == 0 && r->cpu.burst.set) {
		file = "cpu.max.burst";
		e = cgroup_set(h->path, file, "%" PRId64, r->cpu.burst.v);
	}
	return e < 0 ? refused(fault, e, h, file) : 0;
}

static bool cpu_asked(const struct oci_resources *r)
{
	const struct oci_number *const all[] = {&r->cpu.shares,	   &r->cpu.quota,      &r->cpu.period,
						&r->cpu.rt_period, &r->cpu.rt_runtime, &r->cpu.burst,
						&r->cpu.idle};

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		if (all[i]->set && (all[i]->v != 0 || all[i] == &r->cpu.idle || all[i] == &r->cpu.burst))
			return true;
	return false;
}

static int limit_cpu(const struct oci_cgroup *c, const struct oci_resources *r, struct oci_fault *fault)
{
	const char *const texts[] = {r->cpu.cpus, r->cpu.mems};
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	const struct hierarchy *h;
	int e = 0;

	if (cpu_asked(r)) {
		h = need(c, "cpu", "cpu", fault);
		if (h == NULL)
			return -EOPNOTSUPP;
		e = h->v2 ? cpu_v2(h, r, fault) : cpu_v1(h, r, fault);
	}
	for (size_t i = 0; e == 0 && i < ARRAY_LEN(files); i++) {
		if (texts[i] == NULL || texts[i][0] == '\0')
			continue;
		h = need(c, "cpuset", "cpuset", fault);
		if (h == NULL)
			return -EOPNOTSUPP;
		e = cgroup_set(h->path, files[i], "%s", texts[i]);
		if (e < 0)
			return refused(fault, e, h, files[i]);
	}
	return e;
}

static int limit_pids(const struct oci_cgroup *c, const struct oci_resources *r, struct oci_fault *fault)
{
	if (!r->pids.set || r->pids.v == 0)
		return 0;
	const struct hierarchy *h = need(c, "pids", "pids", fault);
	if (h == NULL)
		return -EOPNOTSUPP;
	int e = r->pids.v < 0 ? cgroup_set(h->path, "pids.max", "max")
			      : cgroup_set(h->path, "pids.max", "%" PRId64, r->pids.v);
	return e < 0 ? refused(fault, e, h, "pids.max") : 0;
}

/* The first of FILES that takes the text; -ENOENT where the host has none of them. */
static int set_first(const struct hierarchy *h, const char *const *files, int64_t v)
{
	int e = -ENOENT;

	for (; *files != NULL && e == -ENOENT; files++)
		e = cgroup_set(h->path, *files, "%" PRId64, v);
	return e;
}

static int io_weight(const struct hierarchy *h, int64_t weight, struct oci_fault *fault)
{
	static const char *const v1[] = {"blkio.weight", "blkio.bfq.weight", NULL};
	static const char *const v2_plain[] = {"io.weight", NULL}, *const v2_bfq[] = {"io.bfq.weight", NULL};
	int e;

	if (weight < 10 || weight > 1000)
		return oci_fail(fault, -EINVAL, "invalid blkio weight %" PRId64 ": it is from 10 to 1000", weight);
	if (!h->v2) {
		e = set_first(h, v1, weight);
	} else {
		e = set_first(h, v2_bfq, weight);
		if (e == -ENOENT)
			e = set_first(h, v2_plain, 1 + (weight - 10) * 9999 / 990);
	}
	if (e == -ENOENT || e == -EOPNOTSUPP) {
		oci_log(OCI_WARNING, "no disk scheduler here weighs groups: the blkio weight is left out");
		e = 0;
	}
	return e < 0 ? refused(fault, e, h, "blkio.weight") : 0;
}

static int io_device(const struct hierarchy *h, enum oci_blkio_list which, const struct oci_blkio_device *d,
		     struct oci_fault *fault)
{
	static const char *const files[] = {"blkio.weight_device", "blkio.throttle.read_bps_device",
					    "blkio.throttle.write_bps_device", "blkio.throttle.read_iops_device",
					    "blkio.throttle.write_iops_device"};
	static const char *const words[] = {NULL, "rbps", "wbps", "riops", "wiops"};
	const char *file = h->v2 ? (which == OCI_BLKIO_WEIGHT ? "io.bfq.weight" : "io.max") : files[which];
	int e;

	if (!h->v2 || which == OCI_BLKIO_WEIGHT)
		e = cgroup_set(h->path, file, "%" PRId64 ":%" PRId64 " %" PRIu64, d->major, d->minor, d->value);
	else if (d->value == 0)
		e = cgroup_set(h->path, file, "%" PRId64 ":%" PRId64 " %s=max", d->major, d->minor, words[which]);
	else
		e = cgroup_set(h->path, file, "%" PRId64 ":%" PRId64 " %s=%" PRIu64, d->major, d->minor, words[which],
			       d->value);
	if (which == OCI_BLKIO_WEIGHT && (e == -ENOENT || e == -EOPNOTSUPP)) {
		oci_log(OCI_WARNING, "no disk scheduler here weighs groups: the blkio weight is left out");
		return 0;
	}
	return e < 0 ? refused(fault, e, h, file) : 0;
}

static int limit_io(const struct oci_cgroup *c, const struct oci_resources *r, struct oci_fault *fault)
{
	bool weight = r->blkio.weight.set && r->blkio.weight.v != 0, any = weight;
	int e = 0;

	if (r->blkio.leaf_weight.set && r->blkio.leaf_weight.v != 0)
		oci_log(OCI_WARNING, "leafWeight does not exist any more: left out");
	for (int k = 0; k < OCI_BLKIO_LISTS; k++)
		any = any || r->blkio.n[k] > 0;
	if (!any)
		return 0;
	const struct hierarchy *h = cgroup_with(c, "blkio");
	if (h == NULL)
		h = need(c, "io", "blkio", fault);
	if (h == NULL)
		return -EOPNOTSUPP;
	if (weight)
		e = io_weight(h, r->blkio.weight.v, fault);
	for (int k = 0; k < OCI_BLKIO_LISTS; k++)
		for (size_t i = 0; e == 0 && i < r->blkio.n[k]; i++)
			e = io_device(h, (enum oci_blkio_list)k, &r->blkio.v[k][i], fault);
	return e;
}

static int limit_hugepages(const struct oci_cgroup *c, const struct oci_resources *r, struct oci_fault *fault)
{
	char file[64];

	for (size_t i = 0; i < r->hugepages_n; i++) {
		const struct hierarchy *h = need(c, "hugetlb", "hugetlb", fault);
		if (h == NULL)
			return -EOPNOTSUPP;
		snprintf(file, sizeof(file), "hugetlb.%s.%s", r->hugepages[i].size, h->v2 ? "max" : "limit_in_bytes");
		int e = cgroup_set(h->path, file, "%" PRIu64, r->hugepages[i].limit);
		if (e < 0)
			return refused(fault, e, h, file);
		/* reservations too, where the kernel tells them apart (5.7) */
		snprintf(file, sizeof(file), "hugetlb.%s.rsvd.%s", r->hugepages[i].size, h->v2 ? "max" : "limit_in_bytes");
		(void)cgroup_set(h->path, file, "%" PRIu64, r->hugepages[i].limit);
	}
	return 0;
}

static int limit_unified(const struct oci_cgroup *c, const struct oci_resources *r, struct oci_fault *fault)
{
	const struct hierarchy *h = NULL;

	for (size_t i = 0; i < c->n; i++)
		if (c->v[i].v2)
			h = &c->v[i];
	for (size_t i = 0; i < r->unified_n; i++) {
		if (h == NULL)
			return oci_fail(fault, -EOPNOTSUPP, "linux.resources.unified needs cgroup version 2");
		int e = cgroup_set(h->path, r->unified[i].file, "%s", r->unified[i].value);
		if (e < 0)
			return refused(fault, e, h, r->unified[i].file);
	}
	return 0;
}

int cgroup_limits(const struct oci_cgroup *c, const struct oci_resources *r, bool fresh, struct oci_fault *fault)
{
	int e = 0;

	if (r != NULL) {
		e = limit_memory(c, r, fault);
		e = e < 0 ? e : limit_cpu(c, r, fault);
		e = e < 0 ? e : limit_pids(c, r, fault);
		e = e < 0 ? e : limit_io(c, r, fault);
		e = e < 0 ? e : limit_hugepages(c, r, fault);
		e = e < 0 ? e : limit_unified(c, r, fault);
	}
	if (e == 0 && (fresh || (r != NULL && r->devices_n > 0)))
		e = cgroup_devices(c, r, fault);
	return e;
}
