/*
 * What runs on the floor: provers, one a family, which make every call of it on every object by every route and
 * print what the kernel answered. Lines, fields separated by tabs:
 *
 *   call PROVER NAME LABEL ROUTE OP ERRNO DEV INO   OP: what the policy is to be asked (verdict.h)
 *   out  PROVER NAME TARGET ERRNO                  a call that reaches for a process or socket outside: must fail
 *   own  PROVER NAME ERRNO                         the same inside: must succeed
 *   real LABEL DEV INO                             an object the program made here
 */
#ifndef GABION_TESTS_FLOOR_INSIDE_H
#define GABION_TESTS_FLOOR_INSIDE_H

#include <stdbool.h>
#include <sys/types.h>

#include "verdict.h"

enum kind { KIND_NONE = 0, KIND_FILE, KIND_DIR, KIND_FIFO, KIND_SOCK, KIND_LINK, KIND_PROG };

struct object {
	char label[32];
	enum kind kind;
	char *path; /* canonical, in the guest's view */
};

struct targets {
	pid_t victim;	 /* of the same user, outside the tree; its number on the host */
	int port4, port6; /* TCP listeners of the host's loopback */
	char abstract[64]; /* name of a listening abstract socket of the host's */
};

struct inside {
	struct object *v;
	size_t n;
	struct targets t;
	const char *scratch; /* writable directory of the guest's own */
};

/* A way to name an object: openat(DIRFD, NAME). */
struct route {
	const char *name;
	int dirfd;
	char path[4096];
	bool follows; /* the last component is a link to the object */
};

enum { ROUTES_MAX = 12 };

/* Fills the routes to O that exist here; their descriptors are to be closed by routes_close(). */
size_t routes_make(const struct inside *in, const struct object *o, struct route *r);
void routes_close(struct route *r, size_t n);

/* Prints a call's line; ERR 0 where it succeeded. The object reached is looked up by (DIRFD, PATH), FOLLOW or not. */
void said(const char *prover, const char *name, const struct object *o, const struct route *r, enum op op, int err, bool follow);
void said_object(const char *prover, const char *name, const struct object *o, const char *route, enum op op, int err,
		 unsigned long dev, unsigned long ino);

typedef void prover_fn(const struct inside *in);
prover_fn inside_read, inside_meta, inside_list, inside_chdir, inside_exec, inside_watch, inside_socket, inside_signal,
	inside_process, inside_trace, inside_write, inside_change;

/* The main of what runs inside: LIST names the file of objects and targets, PROVERS is a comma-separated list of names. */
int inside_main(const char *list, const char *provers);

#endif
