/* What `gabion run` says to people: before, when it cannot, and after. All of it on stderr, in single lines.
 */
#ifndef GABION_MONITOR_NOTICE_H
#define GABION_MONITOR_NOTICE_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/audit.h"
#include "monitor/launch.h"
#include "monitor/prepare.h"

/* Descriptors 0 to 2 must be files, pipes, sockets or terminals: a directory, a device or an O_PATH
 * descriptor would be a way out of the view. Closed ones become /dev/null. False with a message otherwise. */
bool notice_check_stdio(void);
/* May the run be started with a smaller floor after this failure? Only where the host refused namespaces,
 * mounts or a procfs. */
bool notice_may_degrade(int err, const char *stage);
void notice_degraded(const struct launch_failure *f);
void notice_failed(const struct launch_failure *f);
void notice_start(const struct prepared *p, const struct run_options *o);
/* A second line for a command that could not be executed, or NULL; static storage. */
const char *notice_exec_hint(const char *command, int err, const struct places *p);
/* The summary; TIMEOUT_MS: the run ended by --timeout; LIMIT: what limit was met, or NULL. */
void notice_end(const struct audit *a, const char *run_id, uint64_t timeout_ms, const char *limit);

#endif
