/* config.json as a whole: see config.h. */
#include "monitor/oci/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/oci/config_mount.h"
#include "util/err.h"
#include "util/fd.h"

enum { CONFIG_BYTES_MAX = 16 << 20 };

const char *const *oci_hook_names(void)
{
	static const char *const names[] = {"prestart",	      "createRuntime", "createContainer", "startContainer",
					    "poststart",      "poststop",      NULL};

	return names;
}

static int read_hook(const struct oj *j, struct oci_hook *h)
{
	static const char *const known[] = {"path", "args", "env", "timeout", NULL};
	int64_t timeout = 0;
	bool set = false;
	int r;

	if (!json_is_object(j->o))
		return oci_fail(j->fault, -EINVAL, "config.json: %s must be a list of objects", j->where);
	oj_unknown(j, known);
	if ((r = oj_string(j, "path", &h->path)) < 0 || (r = oj_strings(j, "args", &h->args)) < 0 ||
	    (r = oj_strings(j, "env", &h->env)) < 0 || (r = oj_int(j, "timeout", INT32_MIN, INT32_MAX, &timeout, &set)) < 0)
		return r;
	if (h->path == NULL || h->path[0] != '/')
		return oj_bad(j, "path", "must be absolute");
	if (set && timeout <= 0)
		return oj_bad(j, "timeout", "must be greater than zero");
	h->timeout = (unsigned int)timeout;
	return 0;
}

static int read_hooks(const struct oj *top, struct oci_config *c)
{
	const char *const *names = oci_hook_names();
	struct oj j = {.where = "hooks", .fault = top->fault};
	int r = oj_object(top, "hooks", &j.o);

	if (r < 0 || j.o == NULL)
		return r;
	oj_unknown(&j, names);
	for (int kind = 0; kind < OCI_HOOK_KINDS; kind++) {
		struct oci_hooks *h = &c->hooks[kind];
		const json_t *list = NULL;
		if ((r = oj_array(&j, names[kind], &list)) < 0)
			return r;
		size_t n = json_array_size(list);
		h->v = n == 0 ? NULL : calloc(n, sizeof(*h->v));
		if (n > 0 && h->v == NULL)
			return -ENOMEM;
		for (size_t i = 0; i < n; i++) {
			struct oj one = {.o = json_array_get(list, i), .where = names[kind], .fault = top->fault};
			h->n++;
			if ((r = read_hook(&one, &h->v[i])) < 0)
				return r;
		}
	}
	return 0;
}

static int read_root(const struct oj *top, struct oci_config *c)
{
	struct oj j = {.where = "root", .fault = top->fault};
	int r = oj_object(top, "root", &j.o);

	if (r < 0)
		return r;
	if (j.o == NULL)
		return oj_bad(top, "root", "is missing");
	if ((r = oj_string(&j, "path", &c->rootfs)) < 0 || (r = oj_bool(&j, "readonly", &c->readonly)) < 0)
		return r;
	return c->rootfs != NULL && c->rootfs[0] != '\0' ? 0 : oj_bad(&j, "path", "must not be empty");
}

static int read_annotations(const struct oj *top, struct oci_config *c)
{
	const json_t *o = NULL;
	const char *key;
	json_t *v;
	int r = oj_object(top, "annotations", &o);

	if (r < 0 || o == NULL)
		return r;
	c->annotations = (json_t *)(uintptr_t)o;
	json_object_foreach(c->annotations, key, v)
	{
		if (key[0] == '\0' || !json_is_string(v))
			return oj_bad(top, "annotations", "must be strings with names");
	}
	return 0;
}

static int read_version(const struct oj *top, struct oci_config *c)
{
	int r = oj_string(top, "ociVersion", &c->version);

	if (r < 0)
		return r;
	if (c->version == NULL)
		return oj_bad(top, "ociVersion", "is missing");
	if (strncmp(c->version, "1.", 2) != 0)
		return oj_bad(top, "ociVersion", "is none this runtime knows: 1.0 to 1.2 are");
	return 0;
}

static int read_all(const struct oj *top, struct oci_config *c)
{
	static const char *const known[] = {"ociVersion", "process", "root", "hostname", "domainname", "mounts", "hooks",
					    "annotations", "linux", "solaris", "windows", "vm", "zos", NULL};
	const json_t *process = NULL;
	int r;

	oj_unknown(top, known);
	if ((r = read_version(top, c)) < 0 || (r = oj_refuse(top, "solaris", "is not supported: this is Linux")) < 0 ||
	    (r = oj_refuse(top, "windows", "is not supported: this is Linux")) < 0 ||
	    (r = oj_refuse(top, "zos", "is not supported: this is Linux")) < 0 ||
	    (r = oj_refuse(top, "vm", "is not supported: a container is not a virtual machine here")) < 0 ||
	    (r = oj_object(top, "process", &process)) < 0 || (r = read_root(top, c)) < 0 ||
	    (r = oj_string(top, "hostname", &c->hostname)) < 0 || (r = oj_string(top, "domainname", &c->domainname)) < 0 ||
	    (r = oci_mounts_read(top, &c->mounts, &c->mounts_n)) < 0 || (r = read_hooks(top, c)) < 0 ||
	    (r = read_annotations(top, c)) < 0)
		return r;
	if (process != NULL && (r = oci_proc_parse(process, &c->process, top->fault)) < 0)
		return r;
	return oci_linux_read(top, c);
}

struct oci_config *oci_config_free(struct oci_config *c)
{
	if (c == NULL)
		return NULL;
	oci_proc_free(c->process);
	oci_mounts_free(c->mounts, c->mounts_n);
	for (int k = 0; k < OCI_HOOK_KINDS; k++) {
		for (size_t i = 0; i < c->hooks[k].n; i++) {
			free(c->hooks[k].v[i].path);
			oj_strings_free(c->hooks[k].v[i].args);
			oj_strings_free(c->hooks[k].v[i].env);
		}
		free(c->hooks[k].v);
	}
	for (size_t i = 0; i < OCI_NS_COUNT; i++)
		free(c->ns[i].path);
	for (size_t i = 0; i < c->devices_n; i++)
		free(c->devices[i].path);
	for (size_t i = 0; i < c->sysctl_n; i++) {
		free(c->sysctl[i].key);
		free(c->sysctl[i].value);
	}
	free(c->devices);
	free(c->sysctl);
	free(c->uids.v);
	free(c->gids.v);
	oci_resources_clear(&c->resources);
	oj_strings_free(c->masked);
	oj_strings_free(c->readonly_paths);
	free(c->mount_label);
	free(c->cgroups_path);
	free(c->version);
	free(c->rootfs);
	free(c->hostname);
	free(c->domainname);
	json_decref(c->json);
	free(c);
	return NULL;
}

int oci_config_parse(const char *text, size_t len, struct oci_config **ret_c, struct oci_fault *fault)
{
	json_error_t e;
	struct oci_config *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return -ENOMEM;
	c->resources = OCI_RESOURCES_NULL;
	c->json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &e);
	if (c->json == NULL) {
		free(c);
		return oci_fail(fault, -EINVAL, "config.json: line %d: %s", e.line, e.text);
	}
	struct oj top = {.o = c->json, .where = "", .fault = fault};
	int r = json_is_object(c->json) ? read_all(&top, c) : oci_fail(fault, -EINVAL, "config.json: must be an object");
	if (r == -ENOMEM && fault != NULL && fault->text[0] == '\0')
		(void)oci_fail(fault, r, "config.json: out of memory");
	if (r < 0) {
		oci_config_free(c);
		return r;
	}
	*ret_c = c;
	return 0;
}

int oci_config_load(const char *bundle, struct oci_config **ret_c, struct oci_fault *fault)
{
	AUTO_FREE char *path = NULL, *text = NULL;
	struct stat st;
	size_t n = 0;

	if (asprintf(&path, "%s/config.json", bundle) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	/* A FIFO or device must not hold us up. */
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return oci_fail(fault, -ENOENT, "JSON specification file config.json not found");
	if (fd < 0 || fstat(fd, &st) < 0)
		return oci_fail_errno(fault, err_now(), "open %s", path);
	if (!S_ISREG(st.st_mode))
		return oci_fail(fault, -EINVAL, "%s is not a regular file", path);
	if (st.st_size > CONFIG_BYTES_MAX)
		return oci_fail(fault, -EFBIG, "%s is larger than 16 MiB", path);
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL)
		return -ENOMEM;
	while (n < (size_t)st.st_size) {
		ssize_t k = read(fd, text + n, (size_t)st.st_size - n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return oci_fail_errno(fault, err_now(), "read %s", path);
		if (k == 0)
			break;
		n += (size_t)k;
	}
	return oci_config_parse(text, n, ret_c, fault);
}
