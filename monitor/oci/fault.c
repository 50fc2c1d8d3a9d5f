/*
 * Sentences for engines, and the log they read: with --log-format json one object a line with "level", "msg" and
 * "time", which is what podman, the runc shim and dockerd look through for the last error.
 */
#include "monitor/oci/fault.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

static struct {
	int fd;
	int json;
	enum oci_level level;
} log_to = {.fd = -1, .level = OCI_WARNING};

/* Those that Go's table spells otherwise than a lower first letter of strerror(3) would give. */
static const struct {
	int number;
	const char *text;
} spelled[] = {
	{EIO, "input/output error"},
	{EXDEV, "invalid cross-device link"},
	{EBADE, "invalid exchange"},
	{ENOEXEC, "exec format error"},
	{ELOOP, "too many levels of symbolic links"},
	{EMFILE, "too many open files"},
	{ENOTSUP, "operation not supported"},
	{ERANGE, "numerical result out of range"},
	{EDOM, "numerical argument out of domain"},
	{ELNRNG, "link number out of range"},
	{ENOTUNIQ, "name not unique on network"},
	{ENOSTR, "device not a stream"},
	{EREMOTE, "object is remote"},
	{ERFKILL, "operation not possible due to RF-kill"},
};

const char *oci_errno_text(int r)
{
	static char text[128];
	int number = r < 0 ? -r : r;

	for (size_t i = 0; i < ARRAY_LEN(spelled); i++)
		if (spelled[i].number == number)
			return spelled[i].text;
	const char *libc = strerrordesc_np(number);
	if (libc == NULL) {
		snprintf(text, sizeof(text), "errno %d", number);
		return text;
	}
	snprintf(text, sizeof(text), "%s", libc);
	if (text[0] >= 'A' && text[0] <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z'))
		text[0] = (char)(text[0] - 'A' + 'a');
	return text;
}

/* Writes FMT into TEXT, cut to its size. */
__attribute__((format(printf, 3, 0))) static void say(char *text, size_t size, const char *fmt, va_list ap)
{
	if (vsnprintf(text, size, fmt, ap) < 0)
		text[0] = '\0';
}

int oci_fail(struct oci_fault *fault, int r, const char *fmt, ...)
{
	char text[sizeof(fault->text)]; /* the old text may be among the arguments */
	va_list ap;

	if (fault == NULL)
		return r;
	va_start(ap, fmt);
	say(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(fault->text, text, sizeof(text));
	return r;
}

int oci_fail_errno(struct oci_fault *fault, int r, const char *fmt, ...)
{
	char text[sizeof(fault->text)];
	va_list ap;

	if (fault == NULL)
		return r;
	va_start(ap, fmt);
	say(text, sizeof(text), fmt, ap);
	va_end(ap);
	return oci_fail(fault, r, "%.1900s: %s", text, oci_errno_text(r));
}

int oci_fail_in(struct oci_fault *fault, int r, const char *prefix)
{
	return fault == NULL ? r : oci_fail(fault, r, "%s: %.1900s", prefix, fault->text);
}

void oci_log_open(int fd, int json, enum oci_level level)
{
	log_to.fd = fd;
	log_to.json = json;
	log_to.level = level;
}

static const char *level_word(enum oci_level level)
{
	switch (level) {
	case OCI_WARNING:
		return "warning";
	case OCI_INFO:
		return "info";
	case OCI_DEBUG:
		return "debug";
	case OCI_ERROR:
	default:
		return "error";
	}
}

/* RFC 3339, seconds, as logrus prints it. */
static void now_text(char *buf, size_t size)
{
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm) == NULL || strftime(buf, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(buf, size, "1970-01-01T00:00:00Z");
}

void oci_log(enum oci_level level, const char *fmt, ...)
{
	char msg[2300], when[40];
	va_list ap;

	if (level > log_to.level)
		return;
	va_start(ap, fmt);
	say(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	now_text(when, sizeof(when));

	AUTO_FREE char *line = NULL;
	int fd = log_to.fd >= 0 ? log_to.fd : STDERR_FILENO;
	int n = -1;
	if (log_to.json) {
		json_t *o = json_object();
		(void)json_object_set_new(o, "level", json_string(level_word(level)));
		json_t *text = json_string(msg);
		/* bytes that are no UTF-8 would lose the whole line */
		if (text == NULL)
			text = json_string("(a message that is no UTF-8)");
		(void)json_object_set_new(o, "msg", text);
		(void)json_object_set_new(o, "time", json_string(when));
		AUTO_FREE char *dump = json_dumps(o, JSON_COMPACT);
		json_decref(o);
		n = dump == NULL ? -1 : asprintf(&line, "%s\n", dump);
	} else {
		AUTO_FREE char *quoted = NULL;
		json_t *text = json_string(msg);
		quoted = text == NULL ? NULL : json_dumps(text, JSON_ENCODE_ANY);
		json_decref(text);
		n = quoted == NULL ? -1
				   : asprintf(&line, "time=\"%s\" level=%s msg=%s\n", when, level_word(level), quoted);
	}
	if (n > 0 && line != NULL && write(fd, line, (size_t)n) < 0)
		return; /* nobody to tell */
}
