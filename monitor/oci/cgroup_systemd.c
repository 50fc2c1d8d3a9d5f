/*
 * The systemd driver: a transient scope for the container and one for gabion's own processes, asked for over D-Bus at
 * the machine's manager, or the user's where we are not root.
 *
 * The scopes are delegated (Delegate=yes): what is below them is ours, and the groups' own files are written as with the
 * cgroupfs driver. The limits a manager has properties for are told it too, or a daemon-reload would set them back.
 * libsystemd is loaded when the driver is first used, so that nobody else pays for it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "monitor/oci/cgroup_in.h"
#include "util/err.h"

#define MANAGER	  "org.freedesktop.systemd1"
#define OBJECT	  "/org/freedesktop/systemd1"
#define INTERFACE "org.freedesktop.systemd1.Manager"

enum { JOB_SECONDS = 30, STOP_SECONDS = 10 };

/* What we call of libsystemd. */
#define FUNCTIONS(X)                                                                                                   \
	X(sd_bus_open_system)                                                                                          \
	X(sd_bus_open_user)                                                                                            \
	X(sd_bus_flush_close_unref)                                                                                    \
	X(sd_bus_add_match)                                                                                            \
	X(sd_bus_process)                                                                                              \
	X(sd_bus_wait)                                                                                                 \
	X(sd_bus_call)                                                                                                 \
	X(sd_bus_call_method)                                                                                          \
	X(sd_bus_message_new_method_call)                                                                              \
	X(sd_bus_message_append)                                                                                       \
	X(sd_bus_message_open_container)                                                                               \
	X(sd_bus_message_close_container)                                                                              \
	X(sd_bus_message_read)                                                                                         \
	X(sd_bus_message_unref)                                                                                        \
	X(sd_bus_error_free)

static struct {
#define X(name) __typeof__(&(name)) name;
	FUNCTIONS(X)
#undef X
	bool loaded;
} lib;

static int load_library(struct oci_fault *fault)
{
	if (lib.loaded)
		return 0;
	void *so = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
	if (so == NULL)
		return oci_fail(fault, -EOPNOTSUPP, "systemd cgroups: libsystemd.so.0 is not there (package libsystemd0)");
	bool all = true;
#define X(name)                                                                                                        \
	*(void **)&lib.name = dlsym(so, #name);                                                                        \
	all = all && lib.name != NULL;
	FUNCTIONS(X)
#undef X
	if (!all)
		return oci_fail(fault, -EOPNOTSUPP, "systemd cgroups: libsystemd.so.0 is too old");
	lib.loaded = true;
	return 0;
}

static int connect_bus(const struct oci_cgroup *c, sd_bus **ret_bus, struct oci_fault *fault)
{
	sd_bus *bus = NULL;
	int r = load_library(fault);

	if (r < 0)
		return r;
	r = c->user ? lib.sd_bus_open_user(&bus) : lib.sd_bus_open_system(&bus);
	if (r < 0)
		return oci_fail_errno(fault, r, "systemd cgroups: unable to connect to the %s bus",
				      c->user ? "user's" : "system");
	*ret_bus = bus;
	return 0;
}

/* The end of a job: its unit's name is asked for, its result kept. */
struct job {
	const char *path;
	char early[8][128]; /* jobs removed before we knew ours, with their results */
	char results[8][32];
	size_t early_n;
	bool done, good;
};

static int on_job_removed(sd_bus_message *m, void *data, sd_bus_error *error)
{
	struct job *j = data;
	const char *path = NULL, *unit = NULL, *result = NULL;
	uint32_t id;

	(void)error;
	if (lib.sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0)
		return 0;
	if (j->path == NULL) {
		size_t i = j->early_n++ % ARRAY_LEN(j->early);
		snprintf(j->early[i], sizeof(j->early[i]), "%s", path);
		snprintf(j->results[i], sizeof(j->results[i]), "%s", result);
	} else if (strcmp(path, j->path) == 0) {
		j->done = true;
		j->good = strcmp(result, "done") == 0;
	}
	return 0;
}

static int wait_job(sd_bus *bus, struct job *j, const char *path, int seconds)
{
	struct timespec start, now;

	j->path = path;
	for (size_t i = 0; i < ARRAY_LEN(j->early); i++)
		if (strcmp(j->early[i], path) == 0) {
			j->done = true;
			j->good = strcmp(j->results[i], "done") == 0;
		}
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!j->done) {
		int r = lib.sd_bus_process(bus, NULL);
		if (r < 0)
			return r;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec > seconds)
			return -ETIMEDOUT;
		if (r == 0 && lib.sd_bus_wait(bus, 200000) < 0)
			return -EIO;
	}
	return j->good ? 0 : -EIO;
}

static uint64_t or_none(int64_t v)
{
	return v < 0 ? UINT64_MAX : (uint64_t)v;
}

/* Appends the properties of R's limits to M, inside an open a(sv). */
static int append_limits(sd_bus_message *m, const struct oci_resources *r, bool v2)
{
	int e = 0;

	if (r == NULL)
		return 0;
	if (r->memory.limit.set && r->memory.limit.v != 0)
		e = lib.sd_bus_message_append(m, "(sv)", v2 ? "MemoryMax" : "MemoryLimit", "t", or_none(r->memory.limit.v));
	if (e >= 0 && v2 && r->memory.reservation.set && r->memory.reservation.v != 0)
		e = lib.sd_bus_message_append(m, "(sv)", "MemoryLow", "t", or_none(r->memory.reservation.v));
	if (e >= 0 && v2 && r->memory.swap.set && r->memory.swap.v != 0 && (r->memory.swap.v < 0 || r->memory.limit.v > 0))
		e = lib.sd_bus_message_append(m, "(sv)", "MemorySwapMax", "t",
					      r->memory.swap.v < 0 ? UINT64_MAX
								   : (uint64_t)(r->memory.swap.v - r->memory.limit.v));
	if (e >= 0 && r->pids.set && r->pids.v != 0)
		e = lib.sd_bus_message_append(m, "(sv)", "TasksMax", "t", or_none(r->pids.v));
	if (e >= 0 && r->cpu.shares.set && r->cpu.shares.v != 0) {
		int64_t shares = r->cpu.shares.v < 2 ? 2 : r->cpu.shares.v > 262144 ? 262144 : r->cpu.shares.v;
		e = lib.sd_bus_message_append(m, "(sv)", v2 ? "CPUWeight" : "CPUShares", "t",
					      (uint64_t)(v2 ? 1 + (shares - 2) * 9999 / 262142 : shares));
	}
	if (e >= 0 && r->cpu.quota.set && r->cpu.quota.v != 0) {
		uint64_t period = r->cpu.period.set && r->cpu.period.v > 0 ? (uint64_t)r->cpu.period.v : 100000;
		uint64_t second = UINT64_MAX;
		if (r->cpu.quota.v > 0) { /* in whole hundredths of a processor, as systemd keeps it */
			second = (uint64_t)r->cpu.quota.v * 1000000 / period;
			second = (second + 9999) / 10000 * 10000;
		}
		e = lib.sd_bus_message_append(m, "(sv)", "CPUQuotaPerSecUSec", "t", second);
	}
	return e;
}

static int append_properties(sd_bus_message *m, const struct oci_cgroup *c, const char *unit, pid_t pid,
			     const struct oci_resources *res)
{
	static const char *const on[] = {"Delegate", "MemoryAccounting", "CPUAccounting", "TasksAccounting"};
	int r = lib.sd_bus_message_open_container(m, 'a', "(sv)");

	if (r >= 0)
		r = lib.sd_bus_message_append(m, "(sv)", "Description", "s", unit);
	if (r >= 0)
		r = lib.sd_bus_message_append(m, "(sv)", "Slice", "s", c->slice);
	for (size_t i = 0; r >= 0 && i < ARRAY_LEN(on); i++)
		r = lib.sd_bus_message_append(m, "(sv)", on[i], "b", 1);
	if (r >= 0)
		r = lib.sd_bus_message_append(m, "(sv)", "DefaultDependencies", "b", 0);
	if (r >= 0)
		r = lib.sd_bus_message_append(m, "(sv)", "PIDs", "au", 1, (uint32_t)pid);
	if (r >= 0)
		r = append_limits(m, res, oci_cgroup_unified(c));
	return r < 0 ? r : lib.sd_bus_message_close_container(m);
}

int cgroup_systemd_start(const struct oci_cgroup *c, const char *unit, pid_t pid, const struct oci_resources *res,
			 struct oci_fault *fault)
{
	sd_bus_message *m = NULL, *reply = NULL;
	sd_bus_error error = {.name = NULL};
	struct job job = {.path = NULL};
	const char *path = NULL;
	sd_bus *bus;

	int r = connect_bus(c, &bus, fault);
	if (r < 0)
		return r;
	r = lib.sd_bus_add_match(bus, NULL,
				 "type='signal',sender='" MANAGER "',interface='" INTERFACE "',member='JobRemoved'",
				 on_job_removed, &job);
	if (r >= 0) /* without a subscriber the manager says nothing */
		(void)lib.sd_bus_call_method(bus, MANAGER, OBJECT, INTERFACE, "Subscribe", NULL, NULL, "");
	if (r >= 0)
		r = lib.sd_bus_message_new_method_call(bus, &m, MANAGER, OBJECT, INTERFACE, "StartTransientUnit");
	if (r >= 0)
		r = lib.sd_bus_message_append(m, "ss", unit, "replace");
	if (r >= 0)
		r = append_properties(m, c, unit, pid, res);
	if (r >= 0)
		r = lib.sd_bus_message_append(m, "a(sa(sv))", 0);
	if (r >= 0)
		r = lib.sd_bus_call(bus, m, (uint64_t)JOB_SECONDS * 1000000, &error, &reply);
	if (r >= 0)
		r = lib.sd_bus_message_read(reply, "o", &path);
	if (r >= 0)
		r = wait_job(bus, &job, path, JOB_SECONDS);
	if (r < 0)
		oci_fail(fault, r, "unable to start unit \"%s\": %s", unit,
			 error.message != NULL ? error.message : oci_errno_text(r));
	lib.sd_bus_error_free(&error);
	lib.sd_bus_message_unref(m);
	lib.sd_bus_message_unref(reply);
	lib.sd_bus_flush_close_unref(bus);
	return r < 0 ? r : 0;
}

int cgroup_systemd_update(const struct oci_cgroup *c, const struct oci_resources *res, struct oci_fault *fault)
{
	sd_bus_error error = {.name = NULL};
	sd_bus_message *m = NULL;
	sd_bus *bus;

	int r = connect_bus(c, &bus, fault);
	if (r < 0)
		return r;
	r = lib.sd_bus_message_new_method_call(bus, &m, MANAGER, OBJECT, INTERFACE, "SetUnitProperties");
	if (r >= 0)
		r = lib.sd_bus_message_append(m, "sb", c->unit, 1);
	if (r >= 0)
		r = lib.sd_bus_message_open_container(m, 'a', "(sv)");
	if (r >= 0)
		r = append_limits(m, res, oci_cgroup_unified(c));
	if (r >= 0)
		r = lib.sd_bus_message_close_container(m);
	if (r >= 0)
		r = lib.sd_bus_call(bus, m, (uint64_t)JOB_SECONDS * 1000000, &error, NULL);
	if (r < 0)
		oci_fail(fault, r, "unable to set unit properties of \"%s\": %s", c->unit,
			 error.message != NULL ? error.message : oci_errno_text(r));
	lib.sd_bus_error_free(&error);
	lib.sd_bus_message_unref(m);
	lib.sd_bus_flush_close_unref(bus);
	return r < 0 ? r : 0;
}

int cgroup_systemd_stop(const struct oci_cgroup *c, const char *unit)
{
	sd_bus_message *reply = NULL;
	struct job job = {.path = NULL};
	const char *path = NULL;
	sd_bus *bus;

	int r = connect_bus(c, &bus, NULL);
	if (r < 0)
		return r;
	(void)lib.sd_bus_add_match(bus, NULL,
				   "type='signal',sender='" MANAGER "',interface='" INTERFACE "',member='JobRemoved'",
				   on_job_removed, &job);
	(void)lib.sd_bus_call_method(bus, MANAGER, OBJECT, INTERFACE, "Subscribe", NULL, NULL, "");
	/* a scope whose group is empty ends by itself: no such unit is as good */
	r = lib.sd_bus_call_method(bus, MANAGER, OBJECT, INTERFACE, "StopUnit", NULL, &reply, "ss", unit, "replace");
	if (r >= 0 && lib.sd_bus_message_read(reply, "o", &path) >= 0)
		(void)wait_job(bus, &job, path, STOP_SECONDS);
	(void)lib.sd_bus_call_method(bus, MANAGER, OBJECT, INTERFACE, "ResetFailedUnit", NULL, NULL, "s", unit);
	lib.sd_bus_message_unref(reply);
	lib.sd_bus_flush_close_unref(bus);
	return 0;
}
