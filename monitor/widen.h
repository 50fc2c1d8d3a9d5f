/*
 * Widening a run in progress (`gabion allow RUN read|write PATH`): the object is mounted into the guest's
 * view and the sentry is given the rule. Where there is no view (bare mode) nothing can be widened: a
 * Landlock domain only shrinks.
 */
#ifndef GABION_MONITOR_WIDEN_H
#define GABION_MONITOR_WIDEN_H

#include "monitor/audit.h"
#include "monitor/launch.h"
#include "monitor/network.h"
#include "monitor/prepare.h"

struct widen {
	struct prepared *prepared;
	struct launched *launched;
	struct audit *audit;
	struct network *net;
};

/* 0 or negative errno; RET_TEXT (static) says it to people either way. */
int widen(const struct widen *w, const char *kind, const char *object, const char **ret_text);

#endif
