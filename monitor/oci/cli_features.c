/* `features`: what this runtime holds, in the shape of the runtime specification's features structure (1.2). */
#include <errno.h>
#include <jansson.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <unistd.h>

#include "monitor/oci/cli.h"
#include "monitor/oci/config.h"
#include "util/err.h"

static json_t *words(const char *const *list)
{
	json_t *a = json_array();

	for (; list != NULL && *list != NULL; list++)
		(void)json_array_append_new(a, json_string(*list));
	return a;
}

/* Those this kernel has, as it is the kernel that holds them. */
static json_t *capabilities(void)
{
	json_t *a = json_array();

	for (cap_value_t i = 0; i <= cap_max_bits() - 1; i++) {
		char *name = cap_to_name(i), upper[64];
		size_t k = 0;
		if (name == NULL)
			continue;
		for (; name[k] != '\0' && k + 1 < sizeof(upper); k++)
			upper[k] = name[k] >= 'a' && name[k] <= 'z' ? (char)(name[k] - 'a' + 'A') : name[k];
		upper[k] = '\0';
		if (strncmp(upper, "CAP_", 4) == 0 && cap_get_bound(i) >= 0)
			(void)json_array_append_new(a, json_string(upper));
		(void)cap_free(name);
	}
	return a;
}

static json_t *seccomp_features(void)
{
	static const char *const actions[] = {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
					      "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP", NULL};
	static const char *const operators[] = {"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
						"SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE", NULL};
	static const char *const archs[] = {"SCMP_ARCH_X86_64", NULL};
	static const char *const flags[] = {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
					    "SECCOMP_FILTER_FLAG_TSYNC", NULL};

	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "enabled", 1, "actions", words(actions), "operators",
			 words(operators), "archs", words(archs), "knownFlags", words(flags), "supportedFlags", words(flags));
}

int oci_cli_features(struct oci_line *line)
{
	static const char *const unsafe[] = {NULL};
	enum oci_option option;
	const char *value;
	int status = 0;

	if (oci_option(line, &option, &value, &status) < 0)
		return status;
	const struct scmp_version *v = seccomp_version();
	char library[64];
	snprintf(library, sizeof(library), "%u.%u.%u", v == NULL ? 0 : v->major, v == NULL ? 0 : v->minor,
		 v == NULL ? 0 : v->micro);
	json_t *cgroup = json_pack("{s:b, s:b, s:b, s:b, s:b}", "v1", 1, "v2", 1, "systemd", 1, "systemdUser", 1, "rdma", 0);
	json_t *part = json_pack("{s:o, s:o, s:o, s:o, s:{s:b}, s:{s:b}, s:{s:b}, s:{s:{s:b}}}", "namespaces",
				 words(oci_namespace_names()), "capabilities", capabilities(), "cgroup", cgroup, "seccomp",
				 seccomp_features(), "apparmor", "enabled", 1, "selinux", "enabled", 1, "intelRdt", "enabled", 0,
				 "mountExtensions", "idmap", "enabled", 1);
	json_t *o = json_pack("{s:s, s:s, s:o, s:o, s:o, s:{s:s, s:s, s:s}, s:o}", "ociVersionMin", "1.0.0", "ociVersionMax",
			      "1.2.0", "hooks", words(oci_hook_names()), "mountOptions", words(oci_mount_option_names()), "linux",
			      part, "annotations", "dev.gabion.version", GABION_VERSION, "io.github.seccomp.libseccomp.version",
			      library, "org.opencontainers.runc.checkpoint.enabled", "false", "potentiallyUnsafeConfigAnnotations",
			      words(unsafe));
	if (o == NULL || json_dumpf(o, stdout, JSON_INDENT(4)) < 0 || putchar('\n') == EOF || fflush(stdout) != 0) {
		struct oci_fault fault = OCI_FAULT_NULL;
		(void)oci_fail_errno(&fault, -EIO, "features");
		json_decref(o);
		return oci_report(line->globals, &fault);
	}
	json_decref(o);
	return 0;
}
