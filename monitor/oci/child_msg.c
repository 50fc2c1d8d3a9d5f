/* What the container's process and its maker say to each other: see child.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "monitor/oci/child.h"
#include "util/err.h"

int child_send(int sync, enum child_msg_kind kind, int value, const char *text)
{
	struct child_msg m = {.kind = kind, .value = value};

	(void)snprintf(m.text, sizeof(m.text), "%s", text);
	return send(sync, &m, sizeof(m), MSG_NOSIGNAL) == (ssize_t)sizeof(m) ? 0 : -EPIPE;
}

int child_wait(int sync, enum child_msg_kind kind, int *ret_value, struct oci_fault *fault)
{
	for (;;) {
		struct child_msg m;
		ssize_t n = recv(sync, &m, sizeof(m), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return oci_fail(fault, -EPIPE, "the process ended before it was ready");
		if (n != (ssize_t)sizeof(m))
			return oci_fail(fault, -EPROTO, "the process said what cannot be said");
		m.text[sizeof(m.text) - 1] = '\0';
		if (m.kind == CHILD_MSG_WARNING) {
			oci_log(OCI_WARNING, "%s", m.text);
			continue;
		}
		/* As runc says it. */
		if (m.kind == CHILD_MSG_FAILED)
			return oci_fail(fault, m.value < 0 ? m.value : -EIO, "unable to start container process: %s%s",
					strncmp(m.text, "exec: ", 6) == 0 ? "" : "error during container init: ", m.text);
		if (m.kind != (uint32_t)kind)
			return oci_fail(fault, -EPROTO, "the process said what cannot be said");
		if (ret_value != NULL)
			*ret_value = m.value;
		return 0;
	}
}
