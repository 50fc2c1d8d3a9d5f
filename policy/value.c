/*
 * Values of options and policies: sizes, times, numbers, users; and the word a mistyped one stands for. Written out
 * by hand and not with strtod and friends, whose answers depend on the locale and which take "inf", "0x10", " 7" and
 * "-1" for numbers.
 */
#include "policy/value.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>

#include "util/err.h"

/* Reads digits at *P. -EINVAL where there is none, -ERANGE where they are too many. */
static int read_digits(const char **p, uint64_t *ret_n)
{
	uint64_t n = 0;
	const char *s = *p;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (; isdigit((unsigned char)*s); s++) {
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, (uint64_t)(*s - '0'), &n))
			return -ERANGE;
	}
	*p = s;
	*ret_n = n;
	return 0;
}

/* The power of 1024 a unit means; -1 for what is none. */
static int unit_power(const char *s)
{
	static const char units[] = "bkmgt";
	const char *u;

	if (*s == '\0')
		return 0;
	u = strchr(units, tolower((unsigned char)*s));
	if (!u)
		return -1;
	if (s[1] != '\0' && (*u == 'b' || (strcasecmp(s + 1, "b") != 0 && strcasecmp(s + 1, "ib") != 0)))
		return -1;
	return (int)(u - units);
}

int value_size(const char *s, uint64_t *ret_bytes)
{
	uint64_t n;
	int power, r = read_digits(&s, &n);

	if (r < 0)
		return r;
	power = unit_power(s);
	if (power < 0)
		return -EINVAL;
	while (power-- > 0) {
		if (__builtin_mul_overflow(n, 1024, &n))
			return -ERANGE;
	}
	/* Less than this no program starts in: surely a forgotten unit. */
	if (n < UINT64_C(1024) * 1024 || n > (uint64_t)INT64_MAX)
		return -ERANGE;
	*ret_bytes = n;
	return 0;
}

int value_duration(const char *s, uint64_t *ret_ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
	uint64_t total = 0, limit = UINT64_MAX;

	do {
		uint64_t n, ms = 0;
		size_t len;
		int r = read_digits(&s, &n);

		if (r < 0)
			return r;
		for (len = 0; isalpha((unsigned char)s[len]); len++)
			;
		if (len == 0 && *s == '\0' && limit == UINT64_MAX)
			ms = 1000; /* a bare number: seconds, as timeout(1) has it */
		for (size_t i = 0; i < ARRAY_LEN(units); i++) {
			if (len == strlen(units[i].unit) && memcmp(s, units[i].unit, len) == 0)
				ms = units[i].ms;
		}
		/* 1h30m, not 30m1h and not 1h1h. */
		if (ms == 0 || ms >= limit)
			return -EINVAL;
		limit = ms;
		if (__builtin_mul_overflow(n, ms, &n) || __builtin_add_overflow(total, n, &total))
			return -ERANGE;
		s += len;
	} while (*s != '\0');
	/* Ten years: what is longer was not meant. */
	if (total == 0 || total > UINT64_C(3650) * 86400000)
		return -ERANGE;
	*ret_ms = total;
	return 0;
}

int value_cpus(const char *s, double *ret_cpus)
{
	uint64_t whole = 0, fraction = 0;
	double scale = 1;
	int r = 0;

	if (*s != '.')
		r = read_digits(&s, &whole);
	if (r < 0)
		return r;
	if (*s == '.') {
		const char *start = ++s;
		r = read_digits(&s, &fraction);
		if (r < 0)
			return r;
		if (s - start > 6)
			return -ERANGE;
		for (; start < s; start++)
			scale *= 10;
	}
	if (*s != '\0')
		return -EINVAL;
	/* The kernel counts in periods of 100 ms and takes no less than 1 ms of them. */
	if (whole > 65536 || (double)whole + (double)fraction / scale < 0.01)
		return -ERANGE;
	*ret_cpus = (double)whole + (double)fraction / scale;
	return 0;
}

/* A whole number from LOW to HIGH. */
static int value_count(const char *s, uint64_t low, uint64_t high, uint64_t *ret_n)
{
	uint64_t n;
	int r = read_digits(&s, &n);

	if (r < 0)
		return r;
	if (*s != '\0')
		return -EINVAL;
	if (n < low || n > high)
		return -ERANGE;
	*ret_n = n;
	return 0;
}

int value_pids(const char *s, uint64_t *ret_pids)
{
	return value_count(s, 1, 4194304, ret_pids); /* PID_MAX_LIMIT */
}

/* Fewer, and no program starts; more than the kernel's fs.nr_open is by default. */
int value_files(const char *s, uint64_t *ret_files)
{
	return value_count(s, 16, 1048576, ret_files);
}

/* A numeric id as a whole; -EINVAL where S is none. */
static int read_id(const char *s, uint32_t *ret_id)
{
	uint64_t n;
	int r = read_digits(&s, &n);

	if (r == -EINVAL || *s != '\0')
		return -EINVAL;
	if (r < 0 || n >= UINT32_MAX) /* (uid_t)-1 means "leave as it is" to the kernel */
		return -ERANGE;
	*ret_id = (uint32_t)n;
	return 0;
}

int value_user(const char *s, uid_t *ret_uid, gid_t *ret_gid)
{
	const char *colon = strchr(s, ':');
	size_t len = colon ? (size_t)(colon - s) : strlen(s);
	char name[256];
	const struct passwd *pw;
	uint32_t uid, gid;
	int r;

	if (len == 0 || len >= sizeof(name) || (colon && colon[1] == '\0'))
		return -EINVAL;
	memcpy(name, s, len);
	name[len] = '\0';

	r = read_id(name, &uid);
	if (r == -ERANGE)
		return r;
	pw = r == 0 ? getpwuid(uid) : getpwnam(name);
	if (r < 0) {
		if (!pw)
			return -ENOENT;
		uid = pw->pw_uid;
	}
	/* A number without an account has a group of the same number: the least that is not somebody else's.
	 */
	gid = pw ? pw->pw_gid : uid;
	if (colon) {
		r = read_id(colon + 1, &gid);
		if (r == -ERANGE)
			return r;
		if (r < 0) {
			const struct group *gr = getgrnam(colon + 1);
			if (!gr)
				return -ESRCH;
			gid = gr->gr_gid;
		}
	}
	*ret_uid = uid;
	*ret_gid = gid;
	return 0;
}

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;
	return m < c ? m : c;
}

enum { WORD_MAX = 32 };

/* Edits (a letter more, less, other, or two swapped) between A and B; words too long to be ours are far from
 * all. */
static unsigned int word_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned int d[WORD_MAX + 1][WORD_MAX + 1];

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (size_t i = 0; i <= la; i++)
		d[i][0] = (unsigned int)i;
	for (size_t j = 0; j <= lb; j++)
		d[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1,
				       d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[la][lb];
}

const char *nearest_word(const char *word, const char *const *names)
{
	const char *best = NULL;
	size_t len = strlen(word);
	/* A third of the letters may be wrong; a beginning of a name, from two letters on, means the name. */
	unsigned int best_distance = (unsigned int)(len < 3 ? 1 : len / 3) + 1;

	if (len == 0)
		return NULL;
	for (const char *const *n = names; *n; n++) {
		unsigned int d = word_distance(word, *n);
		if (d < best_distance) {
			best_distance = d;
			best = *n;
		}
	}
	if (best)
		return best;
	for (const char *const *n = names; *n; n++) {
		if (len >= 2 && strncasecmp(word, *n, len) == 0)
			return *n;
	}
	return NULL;
}
