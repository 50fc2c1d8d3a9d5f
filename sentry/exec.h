/* Handlers of the exec family. */
#ifndef GABION_SENTRY_EXEC_H
#define GABION_SENTRY_EXEC_H

#include "sentry/handle.h"

handler_fn exec_execve, exec_execveat;

#endif
