/* event: what the kernel said. Filled by a backend (mech.h), never changed afterwards. */
#ifndef GABION_EVENT_H
#define GABION_EVENT_H

#include <stdint.h>
#include <sys/types.h>

struct event {
	uint64_t id;      /* the backend's name for this notification; valid until answered */
	uint64_t args[6];
	uint64_t ip;      /* instruction pointer of the caller */
	uint32_t arch;    /* AUDIT_ARCH_*: checked before nr is looked at (invariant 10) */
	int nr;
	pid_t tid;        /* caller's thread id in the sentry's pid namespace */
};

#define EVENT_NULL ((struct event){ .nr = -1 })

#endif
