/* What the container's own file has not brought yet: weak, so that the real ones take their place. */
#include <errno.h>

#include "monitor/oci/container.h"

#define WEAK __attribute__((weak))

WEAK int oci_create(const struct oci_create_options *o, struct oci_fault *fault)
{
	return oci_fail(fault, -ENOSYS, "create of %s is not there yet", o->id);
}
WEAK int oci_start(const char *root, const char *id, struct oci_fault *fault)
{
	return oci_fail(fault, -ENOSYS, "start of %s/%s is not there yet", root, id);
}
WEAK int oci_run(const struct oci_create_options *o, int (*del)(const char *root, const char *id, struct oci_fault *fault),
	    int *ret_status, struct oci_fault *fault)
{
	(void)del;
	(void)ret_status;
	return oci_fail(fault, -ENOSYS, "run of %s is not there yet", o->id);
}
WEAK int oci_exec(const struct oci_exec_options *o, int *ret_status, struct oci_fault *fault)
{
	(void)ret_status;
	return oci_fail(fault, -ENOSYS, "exec in %s is not there yet", o->id);
}
WEAK int oci_hooks_run(const struct oci_handle *h, const struct oci_state *s, enum oci_hook_kind kind,
		  enum oci_status status, struct oci_fault *fault)
{
	(void)h; (void)s; (void)kind; (void)status; (void)fault;
	return 0;
}
WEAK int oci_self_protect(char **argv, struct oci_fault *fault)
{
	(void)argv; (void)fault;
	return 0;
}
