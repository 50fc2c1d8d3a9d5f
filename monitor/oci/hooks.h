/* Hooks: programs of the engine's, run at set points of a container's life. */
#ifndef GABION_OCI_HOOKS_H
#define GABION_OCI_HOOKS_H

#include <stdbool.h>

#include "monitor/oci/config.h"
#include "monitor/oci/fault.h"

/*
 * Runs H in order, each with STATE (JSON text) on its standard input, its own environment, no descriptor of ours, and
 * its time limit. The first failure ends it with FAULT, or, with GO_ON, is a warning. Waits for each. NAME for faults.
 */
int hooks_run(const struct oci_hooks *h, const char *name, const char *state, bool go_on, struct oci_fault *fault);

#endif
