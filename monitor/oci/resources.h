/*
 * linux.resources of config.json (and the file of `update --resources`) as C: what was asked for, each number with
 * whether it was. It says nothing of how a host holds it; that is cgroup.h.
 */
#ifndef GABION_OCI_RESOURCES_H
#define GABION_OCI_RESOURCES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/oci/fault.h"

struct oci_number {
	int64_t v; /* unsigned ones of the specification are kept as given, up to INT64_MAX */
	bool set;
};

enum { OCI_DEVICE_ALL = -1 }; /* major or minor: any */

struct oci_device_rule {
	bool allow;
	char type; /* 'a', 'b', 'c' */
	int64_t major, minor;
	bool read, write, mknod;
};

struct oci_blkio_device {
	int64_t major, minor;
	uint64_t value;
};

/* The lists of blockIO for single devices. */
enum oci_blkio_list {
	OCI_BLKIO_WEIGHT = 0,
	OCI_BLKIO_READ_BPS,
	OCI_BLKIO_WRITE_BPS,
	OCI_BLKIO_READ_IOPS,
	OCI_BLKIO_WRITE_IOPS,
	OCI_BLKIO_LISTS
};

struct oci_hugepages {
	char *size; /* "2MB" */
	uint64_t limit;
};

struct oci_unified {
	char *file, *value; /* a file of the version 2 group: no '/', not "cgroup.*" */
};

struct oci_resources {
	struct {
		struct oci_number limit, reservation, swap, kernel, kernel_tcp, swappiness; /* bytes; -1: none */
		struct oci_number disable_oom_killer, use_hierarchy, check_before_update;   /* 0 or 1 */
	} memory;
	struct {
		struct oci_number shares, quota, burst, period, rt_runtime, rt_period, idle; /* microseconds */
		char *cpus, *mems;							     /* NULL: not said */
	} cpu;
	struct oci_number pids; /* <= 0: no limit */
	struct {
		struct oci_number weight, leaf_weight;
		struct oci_blkio_device *v[OCI_BLKIO_LISTS];
		size_t n[OCI_BLKIO_LISTS];
	} blkio;
	struct oci_hugepages *hugepages;
	size_t hugepages_n;
	struct oci_device_rule *devices; /* the last one that fits holds; ours are added by cgroup_devices.c */
	size_t devices_n;
	struct oci_unified *unified;
	size_t unified_n;
};

#define OCI_RESOURCES_NULL ((struct oci_resources){.devices = NULL})

/*
 * Reads the object linux.resources (NULL: nothing asked for). A member that is unknown, of the wrong type, or of
 * something nobody here holds (rdma, network priorities) is named and refused. oci_resources_clear() what it gave.
 * -EINVAL, -EOPNOTSUPP, -ENOMEM with FAULT.
 */
int oci_resources_parse(const json_t *resources, struct oci_resources *ret_r, struct oci_fault *fault);
void oci_resources_clear(struct oci_resources *r);

#endif
