/* Values of the OCI runtime's options: signals, sizes, times. Pure. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "monitor/oci/cli.h"
#include "util/err.h"

int oci_integer(const char *text, int64_t *ret_v)
{
	char *end;

	errno = 0;
	long long v = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0)
		return -EINVAL;
	*ret_v = v;
	return 0;
}

int oci_bytes(const char *text, int64_t *ret_bytes)
{
	static const char units[] = "bkmgtp";
	char *end;

	errno = 0;
	double v = strtod(text, &end);
	if (end == text || errno != 0 || !(v > -2 && v < 9e18))
		return -EINVAL;
	if (v < 0) {
		if (strcmp(text, "-1") != 0)
			return -EINVAL;
		*ret_bytes = -1;
		return 0;
	}
	while (*end == ' ')
		end++;
	if (*end != '\0') {
		const char *unit = strchr(units, *end >= 'A' && *end <= 'Z' ? *end - 'A' + 'a' : *end);
		if (unit == NULL)
			return -EINVAL;
		for (const char *u = units; u < unit; u++)
			v *= 1024;
		end++;
		/* "mb", "MiB" */
		if (unit != units && strcasecmp(end, "ib") == 0)
			end += 2;
		else if (unit != units && strcasecmp(end, "b") == 0)
			end++;
		if (*end != '\0' || v >= 9e18)
			return -EINVAL;
	}
	*ret_bytes = (int64_t)v;
	return 0;
}

int oci_signal_number(const char *text)
{
	int64_t number;

	if (oci_integer(text, &number) == 0)
		return number >= 0 && number <= SIGRTMAX ? (int)number : -EINVAL;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);
		if (name != NULL && strcasecmp(name, text) == 0)
			return i;
	}
	if (strcasecmp(text, "IOT") == 0)
		return SIGABRT;
	if (strcasecmp(text, "CLD") == 0)
		return SIGCHLD;
	if (strcasecmp(text, "POLL") == 0)
		return SIGPOLL;
	bool up = strncasecmp(text, "RTMIN", 5) == 0, down = strncasecmp(text, "RTMAX", 5) == 0;
	if (!up && !down)
		return -EINVAL;
	text += 5;
	number = 0;
	if (*text != '\0' && (oci_integer(text, &number) < 0 || (text[0] != '+' && text[0] != '-')))
		return -EINVAL;
	number += up ? SIGRTMIN : SIGRTMAX;
	return number >= SIGRTMIN && number <= SIGRTMAX ? (int)number : -EINVAL;
}

int oci_duration_ms(const char *text, int64_t *ret_ms)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"ms", 1}, {"us", 0.001}, {"ns", 0.000001}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	double sum = 0;

	if (*text == '\0')
		return -EINVAL;
	while (*text != '\0') {
		char *end;
		double v = strtod(text, &end);
		size_t i = 0;
		if (end == text || !(v >= 0))
			return -EINVAL;
		while (i < ARRAY_LEN(units) && strncmp(end, units[i].name, strlen(units[i].name)) != 0)
			i++;
		if (i == ARRAY_LEN(units))
			return -EINVAL;
		sum += v * units[i].ms;
		text = end + strlen(units[i].name);
	}
	if (!(sum >= 1 && sum < 1e15))
		return -EINVAL;
	*ret_ms = (int64_t)sum;
	return 0;
}
