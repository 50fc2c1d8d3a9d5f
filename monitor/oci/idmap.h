/* Mappings of user namespaces. */
#ifndef GABION_OCI_IDMAP_H
#define GABION_OCI_IDMAP_H

#include <sys/types.h>

#include "monitor/oci/config.h"
#include "monitor/oci/fault.h"

/* Writes the maps of PID's new user namespace, child of ours; by newuidmap(1) and newgidmap(1) where we may not. */
int idmap_write(pid_t pid, const struct oci_idmaps *uids, const struct oci_idmaps *gids, struct oci_fault *fault);
/* A user namespace that is good for nothing but its maps (id-mapped mounts). */
int idmap_namespace(const struct oci_idmaps *uids, const struct oci_idmaps *gids, int *ret_fd);

#endif
