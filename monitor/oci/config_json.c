/* Members of JSON objects: see config_json.h. */
#include "monitor/oci/config_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

static int say(const struct oj *j, int r, const char *key, const char *text)
{
	return oci_fail(j->fault, r, "config.json: %s%s%s: %s", j->where, j->where[0] != '\0' ? "." : "", key, text);
}

int oj_bad(const struct oj *j, const char *key, const char *text)
{
	return say(j, -EINVAL, key, text);
}

/* NULL where it is not there. */
static const json_t *member(const struct oj *j, const char *key)
{
	const json_t *v = json_object_get(j->o, key);

	return json_is_null(v) ? NULL : v;
}

int oj_string(const struct oj *j, const char *key, char **ret)
{
	const json_t *v = member(j, key);

	if (v == NULL)
		return 0;
	if (!json_is_string(v))
		return oj_bad(j, key, "must be a string");
	if (strlen(json_string_value(v)) != json_string_length(v))
		return oj_bad(j, key, "holds a NUL");
	char *copy = strdup(json_string_value(v));
	if (copy == NULL)
		return -ENOMEM;
	free(*ret);
	*ret = copy;
	return 0;
}

void oj_strings_free(char **v)
{
	for (size_t i = 0; v != NULL && v[i] != NULL; i++)
		free(v[i]);
	free(v);
}

int oj_strings(const struct oj *j, const char *key, char ***ret)
{
	const json_t *v = member(j, key);
	size_t n = json_array_size(v);

	if (v == NULL)
		return 0;
	if (!json_is_array(v))
		return oj_bad(j, key, "must be a list of strings");
	char **list = calloc(n + 1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const json_t *s = json_array_get(v, i);
		if (!json_is_string(s) || strlen(json_string_value(s)) != json_string_length(s)) {
			oj_strings_free(list);
			return oj_bad(j, key, "must be a list of strings");
		}
		list[i] = strdup(json_string_value(s));
		if (list[i] == NULL) {
			oj_strings_free(list);
			return -ENOMEM;
		}
	}
	oj_strings_free(*ret);
	*ret = list;
	return 0;
}

int oj_int(const struct oj *j, const char *key, int64_t min, int64_t max, int64_t *ret, bool *ret_set)
{
	const json_t *v = member(j, key);

	if (v == NULL)
		return 0;
	if (!json_is_integer(v))
		return oj_bad(j, key, "must be a whole number");
	if (json_integer_value(v) < min || json_integer_value(v) > max)
		return oj_bad(j, key, "is out of range");
	*ret = json_integer_value(v);
	if (ret_set != NULL)
		*ret_set = true;
	return 0;
}

int oj_u32(const struct oj *j, const char *key, uint32_t *ret)
{
	int64_t v = *ret;
	int r = oj_int(j, key, 0, UINT32_MAX, &v, NULL);

	*ret = (uint32_t)v;
	return r;
}

int oj_bool(const struct oj *j, const char *key, bool *ret)
{
	const json_t *v = member(j, key);

	if (v == NULL)
		return 0;
	if (!json_is_boolean(v))
		return oj_bad(j, key, "must be true or false");
	*ret = json_is_true(v);
	return 0;
}

int oj_object(const struct oj *j, const char *key, const json_t **ret)
{
	const json_t *v = member(j, key);

	if (v != NULL && !json_is_object(v))
		return oj_bad(j, key, "must be an object");
	*ret = v;
	return 0;
}

int oj_array(const struct oj *j, const char *key, const json_t **ret)
{
	const json_t *v = member(j, key);

	if (v != NULL && !json_is_array(v))
		return oj_bad(j, key, "must be a list");
	*ret = v;
	return 0;
}

int oj_refuse(const struct oj *j, const char *key, const char *why)
{
	const json_t *v = member(j, key);

	if (v == NULL || (json_is_object(v) && json_object_size(v) == 0) || (json_is_array(v) && json_array_size(v) == 0))
		return 0;
	return say(j, -EOPNOTSUPP, key, why);
}

void oj_unknown(const struct oj *j, const char *const *known)
{
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)j->o, key, v)
	{
		bool found = false;
		for (size_t i = 0; known[i] != NULL && !found; i++)
			found = strcmp(known[i], key) == 0;
		if (!found)
			oci_log(OCI_WARNING, "config.json: %s%s%.100s: not known to this runtime, nothing is done for it",
				j->where, j->where[0] != '\0' ? "." : "", key);
	}
}
