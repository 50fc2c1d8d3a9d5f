/* Private to config*.c: the parts config.json is read by. */
#ifndef GABION_OCI_CONFIG_MOUNT_H
#define GABION_OCI_CONFIG_MOUNT_H

#include "monitor/oci/config.h"
#include "monitor/oci/config_json.h"

/* The member `mounts` of UP. RET and RET_N are valid (to be freed) after a failure too. */
int oci_mounts_read(const struct oj *up, struct oci_mount **ret, size_t *ret_n);
void oci_mounts_free(struct oci_mount *v, size_t n);
/* MS_PRIVATE and so on with MS_REC for "rprivate"; 0: no such word. */
unsigned long oci_propagation(const char *word);
/* A list of {containerID, hostID, size}. */
int oci_idmaps_read(const struct oj *j, const char *key, struct oci_idmaps *ret);
/* The member `linux` of the whole. */
int oci_linux_read(const struct oj *top, struct oci_config *c);

#endif
