/* Handlers of the open family. */
#ifndef GABION_SENTRY_FS_OPEN_H
#define GABION_SENTRY_FS_OPEN_H

#include "sentry/handle.h"

handler_fn fs_open_open, fs_open_creat, fs_open_openat, fs_open_openat2;

#endif
