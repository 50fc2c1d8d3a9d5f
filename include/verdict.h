/* verdict: what the policy says of one operation on one object. Zero denies. */
#ifndef GABION_VERDICT_H
#define GABION_VERDICT_H

#include <errno.h>

/* What is asked of an object. */
enum op {
	OP_NONE = 0,
	OP_READ,    /* read content, list a directory */
	OP_WRITE,   /* change content, create, delete, rename, change metadata */
	OP_EXEC,    /* execute or map executable */
	OP_STAT,    /* learn that it exists, its metadata, its link target */
	OP_CONNECT, /* connect to a Unix socket at the path */
	OP_COUNT
};

enum verdict_kind {
	VERDICT_DENY = 0,
	VERDICT_ALLOW,
};

struct rule;

struct verdict {
	enum verdict_kind kind;
	int err;                 /* DENY: positive errno the guest is told; 0 means EPERM */
	const struct rule *rule; /* the rule that decided; NULL: no rule spoke (default deny) */
};

#define VERDICT_NULL ((struct verdict){ .kind = VERDICT_DENY })

const char *verdict_op_name(enum op op);

#endif
