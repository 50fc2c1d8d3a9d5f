/*
 * How a step of the OCI runtime says what failed: a negative errno, and the sentence the engine is told. Engines
 * match some of these sentences, so they are written where the cause is known, in runc's words where it has any.
 * And the log: what is worth a line but ends nothing (a limit that was lowered).
 */
#ifndef GABION_OCI_FAULT_H
#define GABION_OCI_FAULT_H

enum oci_level { OCI_ERROR = 0, OCI_WARNING, OCI_INFO, OCI_DEBUG };

/* TEXT is without "container_linux.go"-like places and without a newline; empty: nothing was said. */
struct oci_fault {
	char text[2048];
};

#define OCI_FAULT_NULL ((struct oci_fault){.text = ""})

/* Writes the sentence and returns R (a negative errno), for `return oci_fail(...)`. FAULT may be NULL. */
int oci_fail(struct oci_fault *fault, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same with ": " and the errno's text in Go's spelling ("no such file or directory") behind it, which is what
 * engines look for. */
int oci_fail_errno(struct oci_fault *fault, int r, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "PREFIX: " before what was said. Returns R. */
int oci_fail_in(struct oci_fault *fault, int r, const char *prefix);
/* The text of a positive or negative errno as Go prints it. Static. */
const char *oci_errno_text(int r);

/*
 * Where lines of the log go: FD (-1: standard error), as JSON objects or text, from LEVEL up. The descriptor is
 * kept, close-on-exec. Never fails; without a call, text on standard error from OCI_WARNING up.
 */
void oci_log_open(int fd, int json, enum oci_level level);
void oci_log(enum oci_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
