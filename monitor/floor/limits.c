/*
 * What a process of the guest may never regain: privileges and limits.
 *
 * Should: leave the guest no capability in any set, no way to gain one by exec, no core dumps that a host
 * handler would take. Mustn't: raise a limit of the caller's.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/floor/floor.h"
#include "record.h"
#include "util/err.h"

int limits_no_new_privs(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? err_now() : 0;
}

int limits_drop_caps(uint64_t keep)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return err_now();
	for (int cap = 0; cap < 64; cap++) {
		int have = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
		if (have < 0)
			break;
		/* Without CAP_SETPCAP (nothing to gain from: bare mode) the bounding set stays; no_new_privs
		 * holds. */
		if (have == 1 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return err_now();
	}
	if (syscall(SYS_capget, &head, data) < 0)
		return err_now();
	for (int i = 0; i < 2; i++) {
		uint32_t mask = (uint32_t)(keep >> (32 * i));
		data[i].permitted &= mask;
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	head.pid = 0;
	return syscall(SYS_capset, &head, data) < 0 ? err_now() : 0;
}

static int lower(int what, uint64_t to)
{
	struct rlimit rl;

	if (getrlimit((__rlimit_resource_t)what, &rl) < 0)
		return err_now();
	if (rl.rlim_max == RLIM_INFINITY || rl.rlim_max > to)
		rl.rlim_max = to;
	if (rl.rlim_cur == RLIM_INFINITY || rl.rlim_cur > rl.rlim_max)
		rl.rlim_cur = rl.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &rl) < 0 ? err_now() : 0;
}

/*
 * No core dumps: not as files, which would be larger than one byte, and not through a handler of the host's, which a limit of 0 does not
 * stop but one of 1 does (coredump_pipe() in fs/coredump.c takes it for the handler's own crash). The filter keeps the guest from
 * changing it. Where it is 0 for good already it stays so.
 */
static int no_cores(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_CORE, &rl) < 0)
		return err_now();
	if (rl.rlim_max > 0)
		rl.rlim_max = rl.rlim_cur = 1;
	return setrlimit(RLIMIT_CORE, &rl) < 0 ? err_now() : 0;
}

int limits_rlimits(const struct run_options *o, bool have_cgroup)
{
	int r = no_cores();
	/* The next best where no cgroup could be had: RLIMIT_DATA a process, RLIMIT_NPROC counted in the user
	 * namespace. */
	if (r == 0 && o->memory != 0 && !have_cgroup)
		r = lower(RLIMIT_DATA, o->memory);
	if (r == 0 && o->pids != 0 && !have_cgroup)
		r = lower(RLIMIT_NPROC, o->pids);
	if (r == 0 && o->files != 0)
		r = lower(RLIMIT_NOFILE, o->files);
	return r;
}

void limits_size(uint64_t bytes, char *out, size_t size)
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	size_t unit = 0;

	for (; v >= 1024 && unit + 1 < ARRAY_LEN(units); unit++)
		v /= 1024;
	snprintf(out, size, "%.*f %s", unit == 0 ? 0 : 1, v, units[unit]);
}

const char *limits_verdict(const struct run_options *o, const uint64_t met[], int status)
{
	static char text[256];
	char size[32];
	FILE *f = fmemopen(text, sizeof(text), "w");

	if (f == NULL)
		return NULL;
	limits_size(o->memory, size, sizeof(size));
	if (met[RECORD_LIMIT_MEMORY] > 0)
		fprintf(f, "memory limit of %s: %" PRIu64 " process%s killed", size, met[RECORD_LIMIT_MEMORY],
			met[RECORD_LIMIT_MEMORY] == 1 ? "" : "es");
	else if (met[RECORD_LIMIT_DATA] > 0)
		fprintf(f, "memory limit of %s: met by a process, which got ENOMEM for more", size);
	else if (o->memory != 0 && status != 0)
		/* A request for more at once leaves no trace. */
		fprintf(f, "memory limit of %s: held for each process, which gets ENOMEM for more", size);
	if (met[RECORD_LIMIT_PIDS] > 0)
		fprintf(f, "%slimit of %" PRIu64 " processes: met, forks refused (EAGAIN)", ftell(f) > 0 ? "; " : "",
			(uint64_t)o->pids);
	if (fclose(f) != 0)
		return NULL;
	return text[0] != '\0' ? text : NULL;
}
