/* The container's own seccomp profile (linux.seccomp), added to gabion's filter: of two filters the stricter answer counts. */
#ifndef GABION_OCI_SECCOMP_H
#define GABION_OCI_SECCOMP_H

#include <jansson.h>
#include <linux/filter.h>

#include "monitor/oci/fault.h"

struct oci_seccomp {
	struct sock_fprog prog; /* .len 0: none */
	unsigned int flags;	/* SECCOMP_FILTER_FLAG_* */
};

#define OCI_SECCOMP_NULL ((struct oci_seccomp){.flags = 0})

/* Builds the program of PROFILE (NULL: none). Names of calls nobody here knows are left out, as by runc. -errno. */
int oci_seccomp_build(const json_t *profile, struct oci_seccomp *ret_s, struct oci_fault *fault);
void oci_seccomp_free(struct oci_seccomp *s);
/* Needs no_new_privs or CAP_SYS_ADMIN. */
int oci_seccomp_install(const struct oci_seccomp *s);

/* For `features`: NULL-terminated, static. */
const char *const *oci_seccomp_action_names(void);
const char *const *oci_seccomp_operator_names(void);
const char *const *oci_seccomp_flag_names(void);

#endif
