/* Handlers of io_uring_setup and io_uring_register, where the policy gives rings to guests. */
#ifndef GABION_SENTRY_RING_H
#define GABION_SENTRY_RING_H

#include "sentry/handle.h"

handler_fn ring_io_uring_setup, ring_io_uring_register;

#endif
