/*
 * Credentials as a policy states them (credentials:), and what is decided about a request by looking at it. Nothing here knows a
 * secret's value. The guest holds a placeholder; the credential process (monitor/credential/) puts the value in, only toward the
 * rule's hosts. Pure: no I/O, no lock; any thread may ask at any time.
 *
 * A rule of a host that names what it allows holds for nothing else: what matches none goes without the value (and without any
 * credentials of the guest's own), or is refused where the rule says deny.
 */
#ifndef GABION_CREDENTIAL_H
#define GABION_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net_policy.h"

enum {
	CREDENTIALS_MAX = 32,	   /* of a run */
	CREDENTIAL_HOSTS_MAX = 16, /* of one */
	CREDENTIAL_ALLOW_MAX = 64,
	CREDENTIAL_NAME_MAX = 63,
	CREDENTIAL_VALUE_MIN = 12, /* bytes; a shorter one would be found in what is none */
	CREDENTIAL_VALUE_MAX = 8192,
	CREDENTIAL_RANDOM_MIN = 8, /* letters and digits a placeholder has of its own */
};

/* Where the host side takes the value from, once. */
enum credential_source {
	CREDENTIAL_FROM_NONE = 0,
	CREDENTIAL_FROM_ENV,	 /* the caller's variable of the credential's name */
	CREDENTIAL_FROM_FILE,	 /* .from_text: a file's first line */
	CREDENTIAL_FROM_COMMAND, /* .argv: the first line of what it prints */
};

enum credential_inject {
	CREDENTIAL_INJECT_NONE = 0,
	CREDENTIAL_INJECT_HEADER,  /* .inject_text: value */
	CREDENTIAL_INJECT_BEARER,  /* Authorization: Bearer value */
	CREDENTIAL_INJECT_BASIC,   /* Authorization: Basic base64(.inject_text:value) */
	CREDENTIAL_INJECT_QUERY,   /* ?.inject_text=value */
	CREDENTIAL_INJECT_REPLACE, /* the placeholder, wherever it stands in a header */
};

struct credential_host {
	char name[NET_NAME_SIZE]; /* canonical; never a pattern */
	uint16_t port;
};

struct credential_pattern {
	char *method; /* "*": any */
	char *path;   /* * within a segment, ** across */
};

struct credential_rule {
	char *name;   /* the guest's variable */
	char *origin; /* "FILE:LINE:COL" */
	enum credential_source from;
	char *from_text;
	char **argv; /* NULL-terminated */
	struct credential_host *hosts;
	size_t host_count; /* never 0 in a rule that was read */
	enum credential_inject inject;
	char *inject_text;
	struct credential_pattern *allow;
	size_t allow_count; /* 0: nothing was said, every request */
	bool deny;	    /* what allow does not name is refused */
	uint32_t rate;	    /* requests in rate_ms; 0: no limit */
	uint32_t rate_ms;
	uint64_t body; /* bytes of one request's body; 0: no limit */
};

#define CREDENTIAL_RULE_NULL ((struct credential_rule){.from = CREDENTIAL_FROM_NONE})

struct credential_list {
	struct credential_rule *v;
	size_t n;
};

void credential_rule_free(struct credential_rule *r);
void credential_list_free(struct credential_list *l);
/* A copy of all of FROM into the empty *RET_TO. -ENOMEM. */
int credential_list_copy(const struct credential_list *from, struct credential_list *ret_to);

/* Does R name NAME (canonical) and PORT? A rule without hosts names nobody. */
bool credential_names(const struct credential_rule *r, const char *name, uint16_t port);
/* Does any rule of L? Connections there are terminated. */
bool credential_list_names(const struct credential_list *l, const char *name, uint16_t port);

/* "METHOD /path" at TEXT as a pattern, allocated. 0, -ENOMEM, -EINVAL with *ret_why (static). */
int credential_pattern_parse(const char *text, struct credential_pattern *ret_p, const char **ret_why);
/* Does the pattern cover METHOD and PATH, both NUL-terminated, PATH without its query? Where PATH is not normal: no. */
bool credential_pattern_match(const struct credential_pattern *p, const char *method, const char *path);
/*
 * Has PATH one reading only? It begins with /, has no empty, "." or ".." segments (also not with ; behind), no backslash, no
 * escape of a character that needs none (RFC 3986, 2.3) nor of / \ % or a control character, and is no longer than 8192 bytes.
 */
bool credential_path_normal(const char *path);

enum credential_verdict {
	CREDENTIAL_REFUSE = 0,
	CREDENTIAL_WITHOUT, /* the request may go, without the value */
	CREDENTIAL_USE,
};

/* About a request to one of R's hosts. */
enum credential_verdict credential_judge(const struct credential_rule *r, const char *method, const char *path);

/*
 * What stands for VALUE in the guest: as long, a well-known public prefix (ghp_, sk-ant-api03-) and punctuation as they are, each
 * letter and digit another of its kind by RANDOM (LEN bytes). RET_TEXT has room for LEN + 1. 0; -EINVAL with *ret_why (static) where
 * VALUE is too short, too long, or no header could carry it; -EAGAIN: the same as VALUE came out, ask with other random bytes.
 */
int credential_placeholder(const char *value, size_t len, const uint8_t *random, char *ret_text, const char **ret_why);

/* "60/m": requests a second (s), minute (m), hour (h). 0 or -EINVAL. */
int credential_rate(const char *text, uint32_t *ret_count, uint32_t *ret_ms);

/* A token bucket for a rule's rate; zeroed at first. */
struct credential_bucket {
	uint64_t tokens; /* in thousandths of a request */
	uint64_t at_ms;
	bool begun;
};

/* May one more request of R go at NOW_MS (monotonic)? *RET_WAIT_MS: else when to ask again. */
bool credential_take(const struct credential_rule *r, struct credential_bucket *b, uint64_t now_ms, uint64_t *ret_wait_ms);

#endif
