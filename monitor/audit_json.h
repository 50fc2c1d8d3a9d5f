/* One record as one line of JSON. */
#ifndef GABION_MONITOR_AUDIT_JSON_H
#define GABION_MONITOR_AUDIT_JSON_H

#include <stdint.h>

#include "policy.h"
#include "record.h"
#include "text.h"
#include "unwind.h"

/* The last second that was turned into text: thousands of records share it. */
struct audit_clock {
	uint64_t sec;
	char text[24];
};

#define AUDIT_CLOCK_NULL ((struct audit_clock){ .sec = UINT64_MAX })

/* "2025-01-31T23:59:59.123456Z" of nanoseconds since the epoch. */
void audit_json_time(struct text *t, struct audit_clock *clock, uint64_t ns);
/* Appends the line with its newline. POLICY may be NULL (rules are then unnamed), RUN too. */
void audit_json(struct text *t, struct audit_clock *clock, const struct record *r, const struct policy *policy,
		const char *run);

/* The rest of a stack's object, from ,"stack": on, without the closing brace. */
void audit_json_stack(struct text *t, const struct unwind_stack *s);

#endif
