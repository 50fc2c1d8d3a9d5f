/* Rules about credentials, judged: see include/credential.h. */
#include "credential.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

enum { PATH_LONGEST = 8192 }; /* what is longer is matched by nothing: matching takes the square of it */

/* Prefixes that say whose a key is and nothing of the key: published formats of the services. The longest first. */
static const char *const prefixes[] = {
	"sk-ant-api03-", "sk-ant-admin01-", "sk-ant-oat01-", "sk-svcacct-", "github_pat_", "sk-proj-", "sk-or-v1-", "dckr_pat_",
	"sk_live_",	 "sk_test_",	    "rk_live_",	     "glpat-",	    "gldt-",	   "pypi-",    "xoxb-",	    "xoxp-",
	"xapp-",	 "npm_",	    "ghp_",	     "gho_",	    "ghu_",	   "ghs_",     "ghr_",	    "gsk_",
	"xai-",		 "hf_",		    "sk-",
};

static const char token_chars[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void pattern_free(struct credential_pattern *p)
{
	free(p->method);
	free(p->path);
}

void credential_rule_free(struct credential_rule *r)
{
	free(r->name);
	free(r->origin);
	free(r->from_text);
	for (char **a = r->argv; a && *a; a++)
		free(*a);
	free(r->argv);
	free(r->hosts);
	free(r->inject_text);
	for (size_t i = 0; i < r->allow_count; i++)
		pattern_free(&r->allow[i]);
	free(r->allow);
	*r = CREDENTIAL_RULE_NULL;
}

void credential_list_free(struct credential_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		credential_rule_free(&l->v[i]);
	free(l->v);
	*l = (struct credential_list){.v = NULL};
}

/* A copy of S (NULL of NULL); clears *OK where there is no memory. */
static char *copied(const char *s, bool *ok)
{
	char *t = s ? strdup(s) : NULL;

	*ok = *ok && (!s || t);
	return t;
}

static bool copy_rule(const struct credential_rule *from, struct credential_rule *to)
{
	size_t args = 0;
	bool ok = true;

	*to = (struct credential_rule){.from = from->from, .inject = from->inject, .deny = from->deny, .rate = from->rate,
				       .rate_ms = from->rate_ms, .body = from->body};
	to->name = copied(from->name, &ok);
	to->origin = copied(from->origin, &ok);
	to->from_text = copied(from->from_text, &ok);
	to->inject_text = copied(from->inject_text, &ok);
	while (from->argv && from->argv[args])
		args++;
	if (from->argv) {
		to->argv = calloc(args + 1, sizeof(*to->argv));
		ok = ok && to->argv;
		for (size_t i = 0; ok && i < args; i++)
			to->argv[i] = copied(from->argv[i], &ok);
	}
	to->hosts = calloc(from->host_count + 1, sizeof(*to->hosts));
	to->allow = calloc(from->allow_count + 1, sizeof(*to->allow));
	if (!ok || !to->hosts || !to->allow)
		return false;
	for (size_t i = 0; i < from->host_count; i++)
		to->hosts[i] = from->hosts[i];
	to->host_count = from->host_count;
	for (size_t i = 0; i < from->allow_count; i++) {
		to->allow[i].method = copied(from->allow[i].method, &ok);
		to->allow[i].path = copied(from->allow[i].path, &ok);
		to->allow_count = i + 1;
	}
	return ok;
}

int credential_list_copy(const struct credential_list *from, struct credential_list *ret_to)
{
	struct credential_list l = {.v = calloc(from->n + 1, sizeof(*l.v))};
	bool ok = l.v != NULL;

	for (size_t i = 0; ok && i < from->n; i++) {
		ok = copy_rule(&from->v[i], &l.v[i]);
		l.n = i + 1;
	}
	if (!ok) {
		credential_list_free(&l);
		return -ENOMEM;
	}
	*ret_to = l;
	return 0;
}

bool credential_names(const struct credential_rule *r, const char *name, uint16_t port)
{
	for (size_t i = 0; i < r->host_count; i++)
		if (r->hosts[i].port == port && strcmp(r->hosts[i].name, name) == 0)
			return true;
	return false;
}

bool credential_list_names(const struct credential_list *l, const char *name, uint16_t port)
{
	for (size_t i = 0; i < l->n; i++)
		if (credential_names(&l->v[i], name, port))
			return true;
	return false;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* An escape at S (behind the %) that stands for what needs none, or for what must not be escaped. */
static bool escape_bad(const char *s)
{
	int high = hex(s[0]), low = high < 0 ? -1 : hex(s[1]);
	unsigned int c = low < 0 ? 0 : (unsigned int)(high << 4 | low);

	return c < 0x20 || c == 0x7f || c == '/' || c == '\\' || c == '%' || c == '-' || c == '.' || c == '_' || c == '~' ||
	       (c < 0x80 && isalnum((int)c));
}

bool credential_path_normal(const char *path)
{
	if (path[0] != '/' || strnlen(path, PATH_LONGEST + 1) > PATH_LONGEST)
		return false;
	for (const char *s = path; *s; s++) {
		if (*s <= ' ' || *s == 0x7f || (unsigned char)*s >= 0x80 || *s == '\\' || *s == '#' || *s == '?')
			return false;
		if (*s == '%' && escape_bad(s + 1))
			return false;
		if (*s != '/')
			continue;
		size_t dots = strspn(s + 1, ".");
		char after = s[1 + dots];

		if (s[1] == '/' || (dots > 0 && dots <= 2 && (after == '\0' || after == '/' || after == ';')))
			return false;
	}
	return true;
}

int credential_pattern_parse(const char *text, struct credential_pattern *ret_p, const char **ret_why)
{
	size_t len = strspn(text, token_chars);
	struct credential_pattern p;

	*ret_why = "a method and a path are wanted: \"POST /v1/messages\", \"GET /v1/**\" (* is any method)";
	if (len == 0 || text[len] != ' ' || text[len + 1] != '/')
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (text[i] != '*' && !isupper((unsigned char)text[i]) && text[i] != '-') {
			*ret_why = "a method is written in capitals, as requests have it: \"GET /v1/models\"";
			return -EINVAL;
		}
	if (memchr(text, '*', len) && len != 1) {
		*ret_why = "a method is a whole word, or * for any";
		return -EINVAL;
	}
	if (strchr(text, '?')) {
		*ret_why = "a path pattern says nothing of the query behind ?";
		return -EINVAL;
	}
	if (!credential_path_normal(text + len + 1)) {
		*ret_why = "a path pattern has no empty, . or .. segments, no blanks and no needless escapes";
		return -EINVAL;
	}
	p.method = strndup(text, len);
	p.path = strdup(text + len + 1);
	if (!p.method || !p.path) {
		pattern_free(&p);
		return -ENOMEM;
	}
	*ret_p = p;
	return 0;
}

/*
 * Two marks of where to go on: the last ** and the last * behind it. A star that fails gives way to the ** before it, so the
 * time is bounded by the product of the lengths.
 */
static bool path_match(const char *p, const char *s)
{
	const char *deep_p = NULL, *deep_s = NULL, *star_p = NULL, *star_s = NULL;

	for (;;) {
		if (p[0] == '*' && p[1] == '*') {
			while (*p == '*')
				p++;
			deep_p = p;
			deep_s = s;
			star_p = NULL;
			continue;
		}
		if (p[0] == '*') {
			star_p = ++p;
			star_s = s;
			continue;
		}
		if (*s && *p == *s) {
			p++;
			s++;
			continue;
		}
		if (!*s && !*p)
			return true;
		if (star_p && *star_s && *star_s != '/') {
			p = star_p;
			s = ++star_s;
		} else if (deep_p && *deep_s) {
			p = deep_p;
			s = ++deep_s;
			star_p = NULL;
		} else {
			return false;
		}
	}
}

bool credential_pattern_match(const struct credential_pattern *p, const char *method, const char *path)
{
	return (strcmp(p->method, "*") == 0 || strcmp(p->method, method) == 0) && credential_path_normal(path) &&
	       path_match(p->path, path);
}

enum credential_verdict credential_judge(const struct credential_rule *r, const char *method, const char *path)
{
	if (r->allow_count == 0)
		return CREDENTIAL_USE;
	for (size_t i = 0; i < r->allow_count; i++)
		if (credential_pattern_match(&r->allow[i], method, path))
			return CREDENTIAL_USE;
	return r->deny ? CREDENTIAL_REFUSE : CREDENTIAL_WITHOUT;
}

static size_t public_prefix(const char *value, size_t len)
{
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t n = strlen(prefixes[i]);

		if (len >= n + CREDENTIAL_RANDOM_MIN && memcmp(value, prefixes[i], n) == 0)
			return n;
	}
	return 0;
}

int credential_placeholder(const char *value, size_t len, const uint8_t *random, char *ret_text, const char **ret_why)
{
	size_t prefix = public_prefix(value, len), own = 0;

	*ret_why = "it is too short to be told from other text (12 bytes at least, 8 of them letters or digits)";
	if (len < CREDENTIAL_VALUE_MIN)
		return -EINVAL;
	if (len > CREDENTIAL_VALUE_MAX) {
		*ret_why = "it is longer than 8192 bytes";
		return -EINVAL;
	}
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		if (c <= ' ' || c >= 0x7f) {
			*ret_why = "it has blanks, control characters or bytes that are not ASCII: no header could carry it";
			return -EINVAL;
		}
		own += i >= prefix && isalnum(c);
	}
	if (own < CREDENTIAL_RANDOM_MIN)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		char c = value[i];

		if (i >= prefix && c >= '0' && c <= '9')
			c = (char)('0' + random[i] % 10);
		else if (i >= prefix && c >= 'a' && c <= 'z')
			c = (char)('a' + random[i] % 26);
		else if (i >= prefix && c >= 'A' && c <= 'Z')
			c = (char)('A' + random[i] % 26);
		ret_text[i] = c;
	}
	ret_text[len] = '\0';
	return memcmp(ret_text, value, len) == 0 ? -EAGAIN : 0;
}

int credential_rate(const char *text, uint32_t *ret_count, uint32_t *ret_ms)
{
	static const struct {
		const char *unit;
		uint32_t ms;
	} units[] = {{"/s", 1000}, {"/m", 60000}, {"/h", 3600000}};
	size_t digits = strspn(text, "0123456789");
	uint32_t n = 0;

	if (digits == 0 || digits > 6 || text[0] == '0')
		return -EINVAL;
	for (size_t i = 0; i < digits; i++)
		n = 10 * n + (uint32_t)(text[i] - '0');
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (strcmp(text + digits, units[i].unit) == 0) {
			*ret_count = n;
			*ret_ms = units[i].ms;
			return 0;
		}
	return -EINVAL;
}

bool credential_take(const struct credential_rule *r, struct credential_bucket *b, uint64_t now_ms, uint64_t *ret_wait_ms)
{
	uint64_t full = (uint64_t)r->rate * 1000, passed;

	if (r->rate == 0)
		return true;
	if (!b->begun)
		*b = (struct credential_bucket){.tokens = full, .at_ms = now_ms, .begun = true};
	passed = now_ms > b->at_ms ? now_ms - b->at_ms : 0;
	if (passed >= r->rate_ms) {
		b->tokens = full;
		b->at_ms = now_ms;
	} else {
		uint64_t more = full * passed / r->rate_ms;

		/* What is too little to count stays for the next time. */
		b->tokens = b->tokens + more < full ? b->tokens + more : full;
		if (more > 0)
			b->at_ms = now_ms;
	}
	if (b->tokens >= 1000) {
		b->tokens -= 1000;
		return true;
	}
	*ret_wait_ms = (1000 - b->tokens) * r->rate_ms / full + 1;
	return false;
}
