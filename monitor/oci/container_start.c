/* Letting a container run, and the hooks of its life outside of create. See container.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/oci/container_in.h"
#include "monitor/oci/hooks.h"
#include "util/err.h"
#include "util/fd.h"

int oci_hooks_run(const struct oci_handle *h, const struct oci_state *s, enum oci_hook_kind kind, enum oci_status status,
		  struct oci_fault *fault)
{
	struct oci_config *c = NULL;
	int r = container_config(h->dir, &c, fault);

	if (r < 0) /* killed before it was written: no hook has run either */
		return r == -ENOENT && kind == OCI_POSTSTOP ? 0 : r;
	if (c->hooks[kind].n > 0) {
		json_t *state = oci_state_json(s, status);
		AUTO_FREE char *text = state == NULL ? NULL : json_dumps(state, JSON_COMPACT);
		json_decref(state);
		bool go_on = kind == OCI_POSTSTART || kind == OCI_POSTSTOP;
		r = text == NULL ? oci_fail_errno(fault, -ENOMEM, "state for hooks")
				 : hooks_run(&c->hooks[kind], oci_hook_names()[kind], text, go_on, fault);
	}
	oci_config_free(c);
	return r;
}

static int let_go(const struct oci_handle *h, struct oci_state *s, struct oci_fault *fault)
{
	struct stat st;
	AUTO_FD int fifo = openat(h->dir, "exec.fifo", O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

	if (fifo < 0 || fstat(fifo, &st) < 0)
		return oci_fail_errno(fault, err_now(), "exec.fifo");
	if (!S_ISFIFO(st.st_mode))
		return oci_fail(fault, -EINVAL, "exec.fifo is none");
	/* Written first: a container that runs is never taken for one that waits. */
	s->started = true;
	int r = oci_state_write(h, s, fault);
	if (r < 0)
		return r;
	if (write(fifo, "g", 1) != 1)
		return oci_fail_errno(fault, err_now(), "starting the container's process");
	(void)unlinkat(h->dir, "exec.fifo", 0);
	return 0;
}

int oci_start(const char *root, const char *id, struct oci_fault *fault)
{
	struct oci_handle h = OCI_HANDLE_NULL;
	struct oci_state s = OCI_STATE_NULL;
	int r = oci_state_open(root, id, &h, fault);

	if (r < 0)
		return r;
	r = oci_state_read(&h, &s, fault);
	if (r == 0) {
		enum oci_status status = oci_state_status(&s);
		if (status == OCI_RUNNING || status == OCI_PAUSED)
			r = oci_fail(fault, -EBUSY, "cannot start an already running container");
		else if (status != OCI_CREATED)
			r = oci_fail(fault, -EINVAL, "cannot start a container that has stopped");
	}
	if (r == 0)
		r = let_go(&h, &s, fault);
	if (r == 0)
		r = oci_hooks_run(&h, &s, OCI_POSTSTART, OCI_RUNNING, fault);
	oci_state_clear(&s);
	oci_state_close(&h);
	return r;
}
