/*
 * The member `mounts`: each mount's options sorted into flags of mount(2), attributes for whole trees (rro, ...),
 * propagation, what only a runtime knows (tmpcopyup, idmap), and the rest, which is the file system's. See config.h.
 */
#include "monitor/oci/config_mount.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include "util/err.h"

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif
#ifndef MOUNT_ATTR_NOSYMFOLLOW
#define MOUNT_ATTR_NOSYMFOLLOW 0x00200000
#endif

enum what { FLAG = 0, CLEAR, ATTR, ATTR_CLEAR, PROPAGATION, BIND, TMPCOPYUP, IDMAP, NOTHING };

static const struct option {
	const char *name;
	enum what what;
	uint64_t bits;
} options[] = {
	{"async", CLEAR, MS_SYNCHRONOUS},
	{"atime", CLEAR, MS_NOATIME},
	{"bind", BIND, 0},
	{"defaults", NOTHING, 0},
	{"dev", CLEAR, MS_NODEV},
	{"diratime", CLEAR, MS_NODIRATIME},
	{"dirsync", FLAG, MS_DIRSYNC},
	{"exec", CLEAR, MS_NOEXEC},
	{"idmap", IDMAP, 0},
	{"iversion", FLAG, MS_I_VERSION},
	{"lazytime", FLAG, MS_LAZYTIME},
	{"loud", CLEAR, MS_SILENT},
	{"mand", FLAG, MS_MANDLOCK},
	{"noatime", FLAG, MS_NOATIME},
	{"nodev", FLAG, MS_NODEV},
	{"nodiratime", FLAG, MS_NODIRATIME},
	{"noexec", FLAG, MS_NOEXEC},
	{"noiversion", CLEAR, MS_I_VERSION},
	{"nolazytime", CLEAR, MS_LAZYTIME},
	{"nomand", CLEAR, MS_MANDLOCK},
	{"norelatime", CLEAR, MS_RELATIME},
	{"nostrictatime", CLEAR, MS_STRICTATIME},
	{"nosuid", FLAG, MS_NOSUID},
	{"nosymfollow", FLAG, MS_NOSYMFOLLOW},
	{"private", PROPAGATION, MS_PRIVATE},
	{"ratime", ATTR_CLEAR, MOUNT_ATTR_NOATIME},
	{"rbind", BIND, MS_REC},
	{"rdev", ATTR_CLEAR, MOUNT_ATTR_NODEV},
	{"rdiratime", ATTR_CLEAR, MOUNT_ATTR_NODIRATIME},
	{"relatime", FLAG, MS_RELATIME},
	{"rexec", ATTR_CLEAR, MOUNT_ATTR_NOEXEC},
	{"ridmap", IDMAP, MS_REC},
	{"rnoatime", ATTR, MOUNT_ATTR_NOATIME},
	{"rnodev", ATTR, MOUNT_ATTR_NODEV},
	{"rnodiratime", ATTR, MOUNT_ATTR_NODIRATIME},
	{"rnoexec", ATTR, MOUNT_ATTR_NOEXEC},
	{"rnorelatime", ATTR_CLEAR, MOUNT_ATTR_RELATIME},
	{"rnostrictatime", ATTR_CLEAR, MOUNT_ATTR_STRICTATIME},
	{"rnosuid", ATTR, MOUNT_ATTR_NOSUID},
	{"rnosymfollow", ATTR, MOUNT_ATTR_NOSYMFOLLOW},
	{"ro", FLAG, MS_RDONLY},
	{"rprivate", PROPAGATION, MS_PRIVATE | MS_REC},
	{"rrelatime", ATTR, MOUNT_ATTR_RELATIME},
	{"rro", ATTR, MOUNT_ATTR_RDONLY},
	{"rrw", ATTR_CLEAR, MOUNT_ATTR_RDONLY},
	{"rshared", PROPAGATION, MS_SHARED | MS_REC},
	{"rslave", PROPAGATION, MS_SLAVE | MS_REC},
	{"rstrictatime", ATTR, MOUNT_ATTR_STRICTATIME},
	{"rsuid", ATTR_CLEAR, MOUNT_ATTR_NOSUID},
	{"rsymfollow", ATTR_CLEAR, MOUNT_ATTR_NOSYMFOLLOW},
	{"runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC},
	{"rw", CLEAR, MS_RDONLY},
	{"shared", PROPAGATION, MS_SHARED},
	{"silent", FLAG, MS_SILENT},
	{"slave", PROPAGATION, MS_SLAVE},
	{"strictatime", FLAG, MS_STRICTATIME},
	{"suid", CLEAR, MS_NOSUID},
	{"symfollow", CLEAR, MS_NOSYMFOLLOW},
	{"sync", FLAG, MS_SYNCHRONOUS},
	{"tmpcopyup", TMPCOPYUP, 0},
	{"unbindable", PROPAGATION, MS_UNBINDABLE},
};

const char *const *oci_mount_option_names(void)
{
	static const char *names[ARRAY_LEN(options) + 1];

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		names[i] = options[i].name;
	return names;
}

unsigned long oci_propagation(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (options[i].what == PROPAGATION && strcmp(options[i].name, word) == 0)
			return (unsigned long)options[i].bits;
	return 0;
}

/* What is no option of mount(2) is the file system's. */
static int add_data(struct oci_mount *m, const char *word)
{
	char *joined = NULL;

	if (asprintf(&joined, "%s%s%s", m->data ? m->data : "", m->data ? "," : "", word) < 0)
		return -ENOMEM;
	free(m->data);
	m->data = joined;
	return 0;
}

static int apply(const struct oj *j, struct oci_mount *m, const char *word)
{
	const struct option *o = NULL;

	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		if (strcmp(options[i].name, word) == 0)
			o = &options[i];
	if (strcmp(word, "remount") == 0)
		return oj_bad(j, "options", "remount is not supported: a container's mounts are new ones");
	if (o == NULL)
		return add_data(m, word);
	switch (o->what) {
	case FLAG:
		m->flags |= (unsigned long)o->bits;
		m->cleared &= ~(unsigned long)o->bits;
		break;
	case CLEAR:
		m->flags &= ~(unsigned long)o->bits;
		m->cleared |= (unsigned long)o->bits;
		break;
	case ATTR:
		m->rec_set |= o->bits;
		m->rec_clear &= ~o->bits;
		break;
	case ATTR_CLEAR:
		m->rec_clear |= o->bits;
		m->rec_set &= ~o->bits;
		break;
	case PROPAGATION:
		m->propagation = (unsigned long)o->bits;
		break;
	case BIND:
		m->bind = true;
		m->recursive = m->recursive || o->bits != 0;
		break;
	case TMPCOPYUP:
		m->tmpcopyup = true;
		break;
	case IDMAP:
		m->idmap = true;
		m->idmap_recursive = o->bits != 0;
		break;
	case NOTHING:
		break;
	}
	return 0;
}

static int read_mount(const struct oj *j, struct oci_mount *m)
{
	static const char *const known[] = {"destination", "type", "source", "options", "uidMappings", "gidMappings", NULL};
	char **words = NULL;
	int r;

	oj_unknown(j, known);
	if ((r = oj_string(j, "destination", &m->destination)) < 0 || (r = oj_string(j, "type", &m->type)) < 0 ||
	    (r = oj_string(j, "source", &m->source)) < 0 || (r = oci_idmaps_read(j, "uidMappings", &m->uids)) < 0 ||
	    (r = oci_idmaps_read(j, "gidMappings", &m->gids)) < 0)
		return r;
	if (m->destination == NULL || m->destination[0] == '\0')
		return oj_bad(j, "destination", "must not be empty");
	r = oj_strings(j, "options", &words);
	for (size_t i = 0; r == 0 && words != NULL && words[i] != NULL; i++)
		r = apply(j, m, words[i]);
	oj_strings_free(words);
	if (r < 0)
		return r;
	if (m->type != NULL && strcmp(m->type, "bind") == 0)
		m->bind = true;
	if (m->bind && m->source == NULL)
		return oj_bad(j, "source", "is missing, and a bind mount needs one");
	if (!m->bind && (m->type == NULL || m->type[0] == '\0'))
		return oj_bad(j, "type", "is missing");
	if ((m->uids.n > 0) != (m->gids.n > 0))
		return oj_bad(j, "uidMappings", "and gidMappings go together");
	if (m->uids.n > 0)
		m->idmap = true;
	if (m->idmap && !m->bind)
		return oj_bad(j, "options", "id-mapped mounts are for bind mounts");
	if (m->tmpcopyup && (m->type == NULL || strcmp(m->type, "tmpfs") != 0))
		return oj_bad(j, "options", "tmpcopyup is for tmpfs");
	if (m->bind && m->data != NULL)
		return oj_bad(j, "options", m->data);
	return 0;
}

int oci_mounts_read(const struct oj *up, struct oci_mount **ret, size_t *ret_n)
{
	const json_t *list = NULL;
	int r = oj_array(up, "mounts", &list);
	size_t n = json_array_size(list);

	if (r < 0 || n == 0)
		return r;
	*ret = calloc(n, sizeof(**ret));
	if (*ret == NULL)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		char where[32];
		(void)snprintf(where, sizeof(where), "mounts[%zu]", i);
		struct oj j = {.o = json_array_get(list, i), .where = where, .fault = up->fault};
		*ret_n = i + 1;
		r = json_is_object(j.o) ? read_mount(&j, &(*ret)[i]) : oj_bad(up, "mounts", "must be a list of objects");
	}
	return r;
}

void oci_mounts_free(struct oci_mount *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].destination);
		free(v[i].type);
		free(v[i].source);
		free(v[i].data);
		free(v[i].uids.v);
		free(v[i].gids.v);
	}
	free(v);
}
