/*
 * Host names: one strict grammar before anything is matched, so that no two programs on the way can read two names out of
 * one string (a NUL, a line's end, a %, a name that some library takes for an address).
 */
#include <string.h>

#include "net_policy.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The canonical byte, or 0. */
static char canon_byte(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_' ? c : '\0';
}

/* Would inet_aton() or a browser read a number here (12, 0x1f, 0x)? */
static bool is_number(const char *s, size_t len)
{
	size_t i = 0;
	bool hex = len >= 2 && s[0] == '0' && s[1] == 'x';

	for (i = hex ? 2 : 0; i < len; i++)
		if (!is_digit(s[i]) && !(hex && s[i] >= 'a' && s[i] <= 'f'))
			return false;
	return true;
}

int net_name_canon(const char *s, size_t len, char ret_name[static NET_NAME_SIZE])
{
	char name[NET_NAME_SIZE];
	size_t label = 0, i;

	if (len > 0 && s[len - 1] == '.')
		len--;
	if (len == 0 || len > NET_NAME_MAX)
		return NET_NAME_BAD;
	for (i = 0; i <= len; i++) {
		if (i == len || s[i] == '.') {
			if (i == label || i - label > NET_LABEL_MAX || name[label] == '-' || name[i - 1] == '-')
				return NET_NAME_BAD;
			if (i == len)
				break;
			name[i] = '.';
			label = i + 1;
			continue;
		}
		name[i] = canon_byte(s[i]);
		if (name[i] == '\0')
			return NET_NAME_BAD;
	}
	if (is_number(name + label, len - label))
		return NET_NAME_NUMERIC;
	name[len] = '\0';
	memcpy(ret_name, name, len + 1);
	return 0;
}
