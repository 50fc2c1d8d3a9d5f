/* cgroups of the OCI runtime: plans, resources read, device rules, and, as root, real groups of this host. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "monitor/oci/cgroup_in.h"

static char name[64];

static struct oci_resources parse(const char *text)
{
	struct oci_resources r = OCI_RESOURCES_NULL;
	struct oci_fault fault = OCI_FAULT_NULL;
	json_t *o = json_loads(text, 0, NULL);

	assert_non_null(o);
	if (oci_resources_parse(o, &r, &fault) != 0)
		fail_msg("%s: %s", text, fault.text);
	json_decref(o);
	return r;
}

static void refuse(const char *text, const char *said)
{
	struct oci_resources r = OCI_RESOURCES_NULL;
	struct oci_fault fault = OCI_FAULT_NULL;
	json_t *o = json_loads(text, 0, NULL);

	assert_non_null(o);
	assert_true(oci_resources_parse(o, &r, &fault) < 0);
	if (strstr(fault.text, said) == NULL)
		fail_msg("%s: '%s' instead of '%s'", text, fault.text, said);
	json_decref(o);
}

static void resources(void **state)
{
	(void)state;
	struct oci_resources r = parse("{\"memory\":{\"limit\":-1,\"swap\":18446744073709551615.0,\"disableOOMKiller\":false},"
				       "\"cpu\":{\"shares\":512,\"cpus\":\"0-1\"},\"pids\":{\"limit\":7},"
				       "\"blockIO\":{\"weight\":100,\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":5}]},"
				       "\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":0}],"
				       "\"devices\":[{\"allow\":false,\"access\":\"rwm\"},{\"allow\":true,\"type\":\"c\",\"major\":1,"
				       "\"minor\":3,\"access\":\"r\"}],\"unified\":{\"memory.high\":\"1\"},\"network\":{},\"rdma\":{}}");
	assert_true(r.memory.limit.set && r.memory.limit.v == -1 && r.memory.swap.v == INT64_MAX);
	assert_true(r.memory.disable_oom_killer.set && r.memory.disable_oom_killer.v == 0);
	assert_true(r.cpu.shares.v == 512 && strcmp(r.cpu.cpus, "0-1") == 0 && r.cpu.mems == NULL && !r.cpu.quota.set);
	assert_true(r.pids.v == 7 && r.blkio.n[OCI_BLKIO_READ_BPS] == 1 && r.hugepages_n == 1 && r.unified_n == 1);
	assert_true(r.devices_n == 2 && r.devices[0].type == 'a' && r.devices[0].mknod && !r.devices[1].write);
	oci_resources_clear(&r);

	refuse("{\"memroy\":{}}", "memroy");
	refuse("{\"memory\":{\"limits\":1}}", "memory.limits");
	refuse("{\"memory\":{\"limit\":\"1g\"}}", "memory.limit");
	refuse("{\"cpu\":{\"cpus\":3}}", "cpu.cpus");
	refuse("{\"devices\":[{\"type\":\"c\"}]}", "devices.allow");
	refuse("{\"devices\":[{\"allow\":true,\"access\":\"rx\"}]}", "devices.access");
	refuse("{\"hugepageLimits\":[{\"pageSize\":\"../x\",\"limit\":1}]}", "pageSize");
	refuse("{\"unified\":{\"../../x.y\":\"1\"}}", "unified");
	refuse("{\"unified\":{\"cgroup.procs\":\"1\"}}", "unified");
	refuse("{\"rdma\":{\"mlx\":{\"hcaHandles\":1}}}", "rdma is not supported");
	refuse("{\"network\":{\"classID\":1}}", "network is not supported");
}

static void plan_refuses(enum oci_cgroup_manager m, const char *path)
{
	struct oci_cgroup *c = NULL;

	assert_int_equal(oci_cgroup_plan(m, path, "id", false, &c, NULL), -EINVAL);
}

static void plans(void **state)
{
	struct oci_cgroup *c = NULL, *again = NULL;
	struct oci_cgroup_place place;

	(void)state;
	plan_refuses(OCI_CGROUPFS, "/a/../../b");
	plan_refuses(OCI_CGROUPFS, "..");
	plan_refuses(OCI_CGROUPFS, "/");
	plan_refuses(OCI_SYSTEMD, "/not/systemd");
	plan_refuses(OCI_SYSTEMD, "a.slice:b");
	plan_refuses(OCI_SYSTEMD, "../x.slice:p:n");
	plan_refuses(OCI_SYSTEMD, "a--b.slice:p:n");
	plan_refuses(OCI_SYSTEMD, "a.slice:p:../n");
	assert_int_equal(oci_cgroup_plan(OCI_SYSTEMD, "kube-pod1.slice:cri:abc", "id", false, &c, NULL), 0);
	assert_string_equal(c->unit, "cri-abc.scope");
	assert_string_equal(c->helper_unit, "cri-abc.gabion.scope");
	for (size_t i = 0; geteuid() == 0 && i < c->n; i++) {
		size_t n = strlen(c->v[i].mount);
		assert_string_equal(c->v[i].path + n, "/kube.slice/kube-pod1.slice/cri-abc.scope");
		assert_string_equal(c->v[i].helper + n, "/kube.slice/kube-pod1.slice/cri-abc.gabion.scope");
	}
	json_t *o = oci_cgroup_json(c);
	assert_int_equal(oci_cgroup_load(o, &again), 0);
	assert_string_equal(again->unit, c->unit);
	assert_int_equal(again->n, c->n);
	json_decref(o);
	oci_cgroup_free(again);
	oci_cgroup_free(c);

	assert_int_equal(oci_cgroup_plan(OCI_CGROUPFS, "/pod/ctr", "id", false, &c, NULL), 0);
	for (size_t i = 0; i < c->n; i++) {
		assert_true(oci_cgroup_place(c, i, &place));
		assert_string_equal(place.path + strlen(place.mount), "/pod/ctr");
		assert_string_equal(c->v[i].helper + strlen(place.mount), "/pod/ctr.gabion");
	}
	assert_false(oci_cgroup_place(c, c->n, &place));
	oci_cgroup_free(c);
	assert_int_equal(oci_cgroup_plan(OCI_CGROUP_DISABLED, NULL, "id", false, &c, NULL), 0);
	assert_int_equal(c->n, 0);
	assert_int_equal(oci_cgroup_make(c, NULL, getpid(), 0, NULL), 0);
	assert_int_equal(oci_cgroup_remove(c, NULL), 0);
	oci_cgroup_free(c);
}

static struct device_set set_of(const char *text, int expect)
{
	struct oci_resources r = parse(text);
	struct device_set s = {.v = NULL};

	assert_int_equal(cgroup_device_set(r.devices, r.devices_n, &s, NULL), expect);
	oci_resources_clear(&r);
	return s;
}

#define DENY_ALL "{\"allow\":false,\"access\":\"rwm\"}"
#define DEV(allow, type, major, minor, access)                                                                         \
	",{\"allow\":" #allow ",\"type\":\"" #type "\",\"major\":" #major ",\"minor\":" #minor ",\"access\":\"" #access "\"}"

static void devices(void **state)
{
	(void)state;
	struct device_set s = set_of("{\"devices\":[" DENY_ALL DEV(true, c, 1, 3, r) DEV(true, c, 1, 3, w) DEV(true, b, 8, -1, r) "]}", 0);
	assert_false(s.allow);
	assert_true(cgroup_device_allows(&s, 'c', 1, 3, true, true, false));
	assert_false(cgroup_device_allows(&s, 'c', 1, 3, true, true, true));
	assert_false(cgroup_device_allows(&s, 'b', 1, 3, true, false, false));
	assert_true(cgroup_device_allows(&s, 'b', 8, 7, true, false, false));
	assert_false(cgroup_device_allows(&s, 'b', 8, 7, false, true, false));
	free(s.v);
	/* what was given is taken back whole */
	s = set_of("{\"devices\":[" DENY_ALL DEV(true, c, 1, 3, rw) DEV(false, c, 1, -1, w) "]}", 0);
	assert_true(cgroup_device_allows(&s, 'c', 1, 3, true, false, false));
	assert_false(cgroup_device_allows(&s, 'c', 1, 3, false, true, false));
	free(s.v);
	s = set_of("{\"devices\":[{\"allow\":true,\"access\":\"rwm\"}" DEV(false, c, 10, 229, rw) "]}", 0);
	assert_true(s.allow);
	assert_true(cgroup_device_allows(&s, 'c', 10, 229, false, false, true));
	assert_false(cgroup_device_allows(&s, 'c', 10, 229, true, false, false));
	assert_true(cgroup_device_allows(&s, 'b', 10, 229, true, true, true));
	free(s.v);
	/* a hole in what was given as a whole: version 1 would let it stand */
	(void)set_of("{\"devices\":[" DENY_ALL DEV(true, c, 1, -1, rw) DEV(false, c, 1, 3, w) "]}", -EINVAL);
}

/* A child that waits to be put somewhere, then tries what is asked on its standard input. */
static pid_t sleeper(void)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	return pid;
}

static bool in_group(const struct hierarchy *h, pid_t pid)
{
	char text[8192], number[16];

	snprintf(number, sizeof(number), "%d", (int)pid);
	return cgroup_text(h->path, "cgroup.procs", text, sizeof(text)) > 0 && cgroup_listed(text, "\n", number);
}

static void need_root(void)
{
	if (geteuid() != 0)
		skip();
}

static void real(void **state)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	struct oci_cgroup *c = NULL, *second = NULL;
	pid_t *pids, child, helper;
	size_t n = 0;
	int status = 0;

	(void)state;
	need_root();
	struct oci_resources r = parse("{\"memory\":{\"limit\":33554432,\"swap\":33554432},\"pids\":{\"limit\":20},"
				       "\"cpu\":{\"quota\":50000,\"period\":100000,\"shares\":256}}");
	assert_int_equal(oci_cgroup_plan(OCI_CGROUPFS, name, "x", false, &c, &fault), 0);
	if (c->n == 0 || (c->n == 1 && access(c->v[0].mount, W_OK) < 0)) {
		oci_cgroup_free(c);
		oci_resources_clear(&r);
		skip();
	}
	child = sleeper();
	helper = sleeper();
	if (oci_cgroup_make(c, &r, child, helper, &fault) != 0)
		fail_msg("%s", fault.text);
	for (size_t i = 0; i < c->n; i++) {
		assert_true(in_group(&c->v[i], child));
		assert_false(in_group(&c->v[i], helper));
	}
	uint64_t v = 0;
	const struct hierarchy *h = cgroup_with(c, "pids");
	assert_non_null(h);
	assert_int_equal(cgroup_number(h->path, "pids.max", &v), 0);
	assert_int_equal(v, 20);
	h = cgroup_with(c, "memory");
	assert_int_equal(cgroup_number(h->path, h->v2 ? "memory.max" : "memory.limit_in_bytes", &v), 0);
	assert_int_equal(v, 33554432);

	/* a group with somebody in it is nobody else's */
	assert_int_equal(oci_cgroup_plan(OCI_CGROUPFS, name, "x", false, &second, &fault), 0);
	pid_t stranger = sleeper();
	assert_int_equal(oci_cgroup_make(second, NULL, stranger, 0, &fault), -EEXIST);
	assert_int_equal(oci_cgroup_enter(c, stranger, NULL, &fault), 0);
	assert_int_equal(oci_cgroup_pids(c, &pids, &n), 0);
	assert_int_equal(n, 2);
	free(pids);
	oci_cgroup_free(second);

	/* more than what is now, and less again: memory and its sum with swap go in the right order */
	struct oci_resources more = parse("{\"memory\":{\"limit\":67108864,\"swap\":134217728},\"pids\":{\"limit\":-1}}");
	if (oci_cgroup_update(c, &more, &fault) != 0)
		fail_msg("%s", fault.text);
	assert_int_equal(oci_cgroup_update(c, &r, &fault), 0);
	oci_resources_clear(&more);
	more = parse("{\"memory\":{\"limit\":268435456}}");
	if (oci_cgroup_update(c, &more, &fault) != 0)
		fail_msg("%s", fault.text);
	oci_resources_clear(&more);

	assert_false(oci_cgroup_frozen(c));
	assert_int_equal(oci_cgroup_freeze(c, true, &fault), 0);
	assert_true(oci_cgroup_frozen(c));
	json_t *stats = oci_cgroup_stats(c);
	assert_non_null(stats);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(stats, "pids"), "current")), 2);
	assert_true(json_integer_value(json_object_get(json_object_get(json_object_get(stats, "memory"), "usage"), "usage")) >= 0);
	json_decref(stats);

	/* frozen, it is killed all the same, and its helpers go with it */
	if (oci_cgroup_remove(c, &fault) != 0)
		fail_msg("%s", fault.text);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(waitpid(stranger, &status, 0), stranger);
	assert_int_equal(waitpid(helper, &status, 0), helper);
	for (size_t i = 0; i < c->n; i++) {
		assert_int_equal(access(c->v[i].path, F_OK), -1);
		assert_int_equal(access(c->v[i].helper, F_OK), -1);
	}
	assert_int_equal(oci_cgroup_remove(c, &fault), 0); /* what is not there is removed */
	oci_cgroup_free(c);
	oci_resources_clear(&r);
}

/* What a process in the group may do with devices; bits: null opened, kmsg opened, kmsg's node made. */
static int tries(const struct oci_cgroup *c)
{
	char path[64];
	int status = 0;

	snprintf(path, sizeof(path), "/tmp/test_oci_cgroup_node.%d", (int)getpid());
	pid_t pid = fork();
	if (pid == 0) {
		int got = 0;
		if (oci_cgroup_enter(c, getpid(), NULL, NULL) != 0)
			_exit(99);
		got |= open("/dev/null", O_RDWR) >= 0;
		got |= (open("/dev/kmsg", O_RDONLY) >= 0) << 1;
		got |= (mknod(path, S_IFCHR | 0600, makedev(1, 11)) == 0) << 2;
		_exit(got);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)unlink(path);
	return WEXITSTATUS(status);
}

/* The same rules by version 1's files and by version 2's program: the kernel answers the same. */
static void real_devices(void **state)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	struct oci_resources closed = parse("{\"devices\":[" DENY_ALL "]}");
	struct oci_resources open_one = parse("{\"devices\":[" DENY_ALL DEV(true, c, 1, 11, r) "]}");
	struct oci_resources all_but = parse("{\"devices\":[{\"allow\":true,\"access\":\"rwm\"}" DEV(false, c, 1, 11, r) "]}");
	struct oci_resources all = parse("{\"devices\":[{\"allow\":true,\"access\":\"rwm\"}]}");
	struct oci_cgroup *c = NULL;

	(void)state;
	need_root();
	if (access("/dev/kmsg", R_OK) < 0)
		skip();
	assert_int_equal(oci_cgroup_plan(OCI_CGROUPFS, name, "x", false, &c, &fault), 0);
	int versions = 0;
	struct hierarchy kept[HIERARCHIES_MAX];
	size_t n = c->n;
	memcpy(kept, c->v, sizeof(kept));
	for (size_t i = 0; i < n; i++) {
		if (!kept[i].v2 && !cgroup_listed(kept[i].subsystems, ",", "devices"))
			continue;
		/* that hierarchy alone */
		c->v[0] = kept[i];
		c->n = 1;
		versions |= kept[i].v2 ? 2 : 1;
		if (oci_cgroup_make(c, &closed, 0, 0, &fault) != 0)
			fail_msg("%s: %s", kept[i].path, fault.text);
		assert_int_equal(tries(c), 1 | 4);
		assert_int_equal(oci_cgroup_update(c, &open_one, &fault), 0);
		assert_int_equal(tries(c), 1 | 2 | 4);
		assert_int_equal(oci_cgroup_update(c, &closed, &fault), 0);
		assert_int_equal(tries(c), 1 | 4);
		if (oci_cgroup_update(c, &all, &fault) == 0) { /* refused where we are not allowed all ourselves */
			assert_int_equal(tries(c), 1 | 2 | 4);
			assert_int_equal(oci_cgroup_update(c, &all_but, &fault), 0);
			assert_int_equal(tries(c), 1 | 4);
		}
		assert_int_equal(oci_cgroup_remove(c, &fault), 0);
	}
	memcpy(c->v, kept, sizeof(kept));
	c->n = n;
	oci_cgroup_free(c);
	oci_resources_clear(&closed);
	oci_resources_clear(&open_one);
	oci_resources_clear(&all_but);
	oci_resources_clear(&all);
	print_message("devices held by version%s\n", versions == 3 ? "s 1 and 2" : versions == 2 ? " 2" : " 1");
	assert_true(versions != 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resources), cmocka_unit_test(plans),	     cmocka_unit_test(devices),
		cmocka_unit_test(real),	     cmocka_unit_test(real_devices),
	};

	snprintf(name, sizeof(name), "/gabion-test-oci-%d/ctr", (int)getpid());
	int r = cmocka_run_group_tests_name("oci_cgroup", tests, NULL, NULL);
	/* the parents stay, as under runc */
	char command[256];
	*strrchr(name, '/') = '\0';
	snprintf(command, sizeof(command), "rmdir /sys/fs/cgroup/*%s /sys/fs/cgroup%s 2>/dev/null", name, name);
	(void)!system(command);
	return r;
}
