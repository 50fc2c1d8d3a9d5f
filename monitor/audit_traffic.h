/* What a run sent and received, for people: the destinations with the most of it, one line each. */
#ifndef GABION_MONITOR_AUDIT_TRAFFIC_H
#define GABION_MONITOR_AUDIT_TRAFFIC_H

#include <stdbool.h>
#include <stdio.h>

#include "monitor/audit.h"

enum { TRAFFIC_SHOWN = 6 };

struct traffic {
	struct traffic_line {
		char host[256];
		struct audit_traffic t; /* .host unused */
	} line[TRAFFIC_SHOWN];	/* the most bytes first */
	size_t n, destinations; /* kept, and seen */
};

/* T is copied. */
void traffic_add(struct traffic *all, const struct audit_traffic *t);
/* Nothing where nothing was connected to. */
void traffic_print(const struct traffic *all, FILE *out, bool markdown);

#endif
