/*
 * config.json of any bytes: no crash and nothing left; what is taken has what the runtime counts on (a mount namespace, absolute paths,
 * nothing of the host's in sysctl), a fault says where; the container's seccomp profile likewise.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/oci/config.h"
#include "monitor/oci/inroot.h"
#include "monitor/oci/seccomp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool so)
{
	if (!so)
		abort();
}

static void check(const struct oci_config *c)
{
	must(c->version != NULL && c->rootfs != NULL && c->ns[OCI_NS_MOUNT].wanted);
	must(c->process == NULL || (c->process->args[0] != NULL && c->process->cwd[0] == '/'));
	for (size_t i = 0; i < c->mounts_n; i++)
		must(c->mounts[i].destination != NULL && (c->mounts[i].bind ? c->mounts[i].source != NULL : c->mounts[i].type != NULL));
	for (size_t i = 0; i < c->sysctl_n; i++)
		must(strstr(c->sysctl[i].key, "core_pattern") == NULL && strstr(c->sysctl[i].key, "..") == NULL);
	for (size_t i = 0; i < c->devices_n; i++)
		must(c->devices[i].path[0] == '/');
	for (int k = 0; k < OCI_HOOK_KINDS; k++)
		for (size_t i = 0; i < c->hooks[k].n; i++)
			must(c->hooks[k].v[i].path[0] == '/');
}

/* Whatever a path says, what is left of it is below the root. */
static void check_path(const uint8_t *data, size_t size)
{
	char path[512], out[4096];

	if (size >= sizeof(path))
		size = sizeof(path) - 1;
	memcpy(path, data, size);
	path[size] = '\0';
	if (inroot_normal(path, out) < 0)
		return;
	must(out[0] != '/' && strcmp(out, "..") != 0 && strncmp(out, "../", 3) != 0 && strstr(out, "/../") == NULL &&
	     strstr(out, "//") == NULL);
	size_t n = strlen(out);
	must(n < 3 || strcmp(out + n - 3, "/..") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_fault fault = OCI_FAULT_NULL;
	struct oci_config *c = NULL;
	struct oci_seccomp s = OCI_SECCOMP_NULL;

	oci_log_open(-1, 0, OCI_ERROR);
	check_path(data, size);
	int r = oci_config_parse((const char *)data, size, &c, &fault);
	if (r < 0) {
		must(fault.text[0] != '\0' && c == NULL);
		return 0;
	}
	check(c);
	fault = OCI_FAULT_NULL;
	r = oci_seccomp_build(c->seccomp, &s, &fault);
	must(r == 0 || fault.text[0] != '\0' || r == -12);
	oci_seccomp_free(&s);
	oci_config_free(c);
	return 0;
}
