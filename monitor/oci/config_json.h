/*
 * Taking members out of JSON objects with the type they must have. A member that is missing or null is nothing (0, the
 * out-parameter untouched); one of another type or out of range is a fault that names it: "config.json: linux.sysctl: ...".
 */
#ifndef GABION_OCI_CONFIG_JSON_H
#define GABION_OCI_CONFIG_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/oci/fault.h"

/* An object being read: where it is ("process", "mounts[3]"), for faults. */
struct oj {
	const json_t *o;
	const char *where;
	struct oci_fault *fault;
};

int oj_string(const struct oj *j, const char *key, char **ret);
/* NULL-terminated, allocated; an empty list is a list of none. */
int oj_strings(const struct oj *j, const char *key, char ***ret);
int oj_int(const struct oj *j, const char *key, int64_t min, int64_t max, int64_t *ret, bool *ret_set);
int oj_u32(const struct oj *j, const char *key, uint32_t *ret);
int oj_bool(const struct oj *j, const char *key, bool *ret);
int oj_object(const struct oj *j, const char *key, const json_t **ret);
int oj_array(const struct oj *j, const char *key, const json_t **ret);
/* Says that KEY is there and must not be: -EOPNOTSUPP with WHY; 0 where it is missing, null, or empty. */
int oj_refuse(const struct oj *j, const char *key, const char *why);
/* A member that is not in KNOWN (NULL-terminated) is a line in the log. */
void oj_unknown(const struct oj *j, const char *const *known);
/* -EINVAL: "config.json: WHERE.KEY: TEXT". */
int oj_bad(const struct oj *j, const char *key, const char *text);

void oj_strings_free(char **v);

#endif
