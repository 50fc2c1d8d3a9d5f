/*
 * state.json: the structure written and read, and what a container's state is now.
 *
 * Members that are missing have the value of nothing, so that what an older gabion wrote can be read; members that
 * are unknown are left out. A file of a newer format is refused: its processes might not be what we take them for.
 */
#include "monitor/oci/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

enum { STATE_BYTES_MAX = 16 << 20 };

static json_t *process_json(struct oci_process p)
{
	return json_pack("{s:i, s:I}", "pid", (int)p.pid, "start", (json_int_t)p.start);
}

/* Sets KEY to V unless that is NULL or the text empty. */
static int put_text(json_t *o, const char *key, const char *v)
{
	if (v == NULL)
		return 0;
	return json_object_set_new(o, key, json_string(v));
}

static json_t *state_as_json(const struct oci_state *s)
{
	json_t *o = json_pack("{s:i, s:s, s:b, s:b}", "format", OCI_STATE_FORMAT, "gabion", GABION_VERSION,
			      "created_done", (int)s->created_done, "started", (int)s->started);
	json_t *helpers = json_array();
	int bad = o == NULL || helpers == NULL;

	for (size_t i = 0; !bad && i < s->helpers_n && i < OCI_HELPERS_MAX; i++)
		bad |= json_array_append_new(helpers, process_json(s->helpers[i]));
	if (!bad) {
		bad |= put_text(o, "id", s->id) | put_text(o, "bundle", s->bundle) | put_text(o, "rootfs", s->rootfs) |
		       put_text(o, "owner", s->owner) | put_text(o, "created", s->created);
		bad |= json_object_set_new(o, "init", process_json(s->init));
		bad |= json_object_set_new(o, "creator", process_json(s->creator));
		bad |= json_object_set(o, "helpers", helpers);
		if (s->cgroup != NULL)
			bad |= json_object_set_new(o, "cgroup", oci_cgroup_json(s->cgroup));
		if (s->annotations != NULL)
			bad |= json_object_set(o, "annotations", s->annotations);
		if (s->more != NULL)
			bad |= json_object_set(o, "more", s->more);
	}
	json_decref(helpers);
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

int oci_state_write(const struct oci_handle *h, const struct oci_state *s, struct oci_fault *fault)
{
	json_t *o = state_as_json(s);
	AUTO_FREE char *text = o == NULL ? NULL : json_dumps(o, JSON_COMPACT);

	json_decref(o);
	if (text == NULL)
		return oci_fail_errno(fault, -ENOMEM, "unable to write the container's state");
	AUTO_FD int fd = openat(h->dir, "state.json.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t left = strlen(text);
	const char *at = text;
	if (fd < 0)
		return oci_fail_errno(fault, err_now(), "open %s/state.json.new", h->path);
	while (left > 0) {
		ssize_t n = write(fd, at, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return oci_fail_errno(fault, n < 0 ? err_now() : -EIO, "write %s/state.json.new", h->path);
		at += n;
		left -= (size_t)n;
	}
	if (renameat(h->dir, "state.json.new", h->dir, "state.json") < 0)
		return oci_fail_errno(fault, err_now(), "rename %s/state.json.new", h->path);
	return 0;
}

static struct oci_process process_from(const json_t *o)
{
	struct oci_process p = {.pid = 0, .start = 0};
	json_int_t pid = json_integer_value(json_object_get(o, "pid"));
	json_int_t start = json_integer_value(json_object_get(o, "start"));

	if (pid > 0 && pid <= INT32_MAX && start > 0)
		p = (struct oci_process){.pid = (pid_t)pid, .start = (uint64_t)start};
	return p;
}

static int take_text(const json_t *o, const char *key, char **ret)
{
	const char *text = json_string_value(json_object_get(o, key));

	if (text == NULL)
		return 0;
	*ret = strdup(text);
	return *ret == NULL ? -ENOMEM : 0;
}

static int state_from_json(const json_t *o, struct oci_state *s)
{
	const json_t *cgroup = json_object_get(o, "cgroup"), *helpers = json_object_get(o, "helpers");
	json_t *annotations = json_object_get(o, "annotations"), *more = json_object_get(o, "more");
	int r = take_text(o, "id", &s->id);

	r = r < 0 ? r : take_text(o, "bundle", &s->bundle);
	r = r < 0 ? r : take_text(o, "rootfs", &s->rootfs);
	r = r < 0 ? r : take_text(o, "owner", &s->owner);
	r = r < 0 ? r : take_text(o, "created", &s->created);
	s->init = process_from(json_object_get(o, "init"));
	s->creator = process_from(json_object_get(o, "creator"));
	for (size_t i = 0; i < json_array_size(helpers) && s->helpers_n < OCI_HELPERS_MAX; i++)
		s->helpers[s->helpers_n++] = process_from(json_array_get(helpers, i));
	s->created_done = json_is_true(json_object_get(o, "created_done"));
	s->started = json_is_true(json_object_get(o, "started"));
	if (json_is_object(annotations))
		s->annotations = json_incref(annotations);
	if (json_is_object(more))
		s->more = json_incref(more);
	if (r == 0 && json_is_object(cgroup))
		r = oci_cgroup_load(cgroup, &s->cgroup);
	return r;
}

/* The whole of FD, at most STATE_BYTES_MAX, allocated. */
static int read_all(int fd, char **ret_text, size_t *ret_n)
{
	AUTO_FREE char *text = NULL;
	size_t n = 0, size = 0;

	for (;;) {
		if (n == size) {
			size = size == 0 ? 8192 : size * 2;
			char *larger = size > STATE_BYTES_MAX ? NULL : realloc(text, size);
			if (larger == NULL)
				return -EFBIG;
			text = larger;
		}
		ssize_t got = read(fd, text + n, size - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_now();
		if (got == 0)
			break;
		n += (size_t)got;
	}
	*ret_text = STEAL(text);
	*ret_n = n;
	return 0;
}

int oci_state_read(const struct oci_handle *h, struct oci_state *ret_s, struct oci_fault *fault)
{
	struct oci_state s = OCI_STATE_NULL;
	AUTO_FREE char *text = NULL;
	size_t n = 0;
	AUTO_FD int fd = openat(h->dir, "state.json", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? err_now() : read_all(fd, &text, &n);

	if (r == -ENOENT)
		return oci_fail(fault, r, "container does not exist");
	if (r < 0)
		return oci_fail_errno(fault, r, "read %s/state.json", h->path);
	json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		return oci_fail(fault, -EBADMSG, "%s/state.json cannot be read", h->path);
	}
	if (json_integer_value(json_object_get(o, "format")) > OCI_STATE_FORMAT) {
		json_decref(o);
		return oci_fail(fault, -EPROTO, "%s/state.json was written by a newer gabion", h->path);
	}
	r = state_from_json(o, &s);
	json_decref(o);
	if (r < 0) {
		oci_state_clear(&s);
		return oci_fail_errno(fault, r, "%s/state.json", h->path);
	}
	*ret_s = s;
	return 0;
}

void oci_state_clear(struct oci_state *s)
{
	free(s->id);
	free(s->bundle);
	free(s->rootfs);
	free(s->owner);
	free(s->created);
	oci_cgroup_free(s->cgroup);
	json_decref(s->annotations);
	json_decref(s->more);
	*s = OCI_STATE_NULL;
}

enum oci_status oci_state_status(const struct oci_state *s)
{
	if (!s->created_done)
		return oci_process_alive(s->creator) ? OCI_CREATING : OCI_STOPPED;
	if (!oci_process_alive(s->init))
		return OCI_STOPPED;
	if (s->cgroup != NULL && oci_cgroup_frozen(s->cgroup))
		return OCI_PAUSED;
	return s->started ? OCI_RUNNING : OCI_CREATED;
}

const char *oci_status_word(enum oci_status status)
{
	switch (status) {
	case OCI_CREATING:
		return "creating";
	case OCI_CREATED:
		return "created";
	case OCI_RUNNING:
		return "running";
	case OCI_PAUSED:
		return "paused";
	case OCI_STOPPED:
	default:
		return "stopped";
	}
}

json_t *oci_state_json(const struct oci_state *s, enum oci_status status)
{
	json_t *o = json_object();
	int pid = status == OCI_STOPPED ? 0 : (int)s->init.pid;
	int bad = o == NULL;

	bad |= json_object_set_new(o, "ociVersion", json_string("1.2.0"));
	bad |= json_object_set_new(o, "id", json_string(s->id == NULL ? "" : s->id));
	bad |= json_object_set_new(o, "pid", json_integer(pid));
	bad |= json_object_set_new(o, "status", json_string(oci_status_word(status)));
	bad |= json_object_set_new(o, "bundle", json_string(s->bundle == NULL ? "" : s->bundle));
	if (s->annotations != NULL && json_object_size(s->annotations) > 0)
		bad |= json_object_set(o, "annotations", s->annotations);
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}
