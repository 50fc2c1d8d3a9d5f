/* Proxy settings read, CONNECT written and its answer read; no socket here. See proxy.h. */
#include "monitor/relay/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %xx in user and password (RFC 3986, 2.1). Returns the length. */
static size_t unescape(const char *s, size_t len, char *ret)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		if (s[i] == '%' && i + 2 < len && hex(s[i + 1]) >= 0 && hex(s[i + 2]) >= 0) {
			ret[n++] = (char)(hex(s[i + 1]) << 4 | hex(s[i + 2]));
			i += 2;
		} else {
			ret[n++] = s[i];
		}
	return n;
}

static void base64(const char *s, size_t len, char *ret)
{
	static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)s[i] << 16 | (i + 1 < len ? (uint32_t)(uint8_t)s[i + 1] << 8 : 0) |
			     (i + 2 < len ? (uint32_t)(uint8_t)s[i + 2] : 0);

		*ret++ = set[v >> 18];
		*ret++ = set[v >> 12 & 63];
		*ret++ = set[v >> 6 & 63];
		*ret++ = set[v & 63];
		if (i + 1 >= len)
			ret[-2] = '=';
		if (i + 2 >= len)
			ret[-1] = '=';
	}
	*ret = '\0';
}

static int read_one(const char *url, struct proxy *ret_p)
{
	struct proxy p = { .set = true, .port = 80 };
	const char *host = strstr(url, "://");
	char text[NET_NAME_SIZE];

	if (host != NULL && strncasecmp(url, "http://", 7) != 0)
		return PROXY_UNKNOWN;
	host = host != NULL ? host + 3 : url;
	size_t len = strcspn(host, "/?#");
	for (size_t i = len; i-- > 0;)
		if (host[i] == '@') {
			char plain[PROXY_AUTH_MAX];

			if (i >= PROXY_AUTH_MAX * 3 / 4 - 4)
				return PROXY_UNKNOWN;
			base64(plain, unescape(host, i, plain), p.auth);
			host += i + 1;
			len -= i + 1;
			break;
		}
	const char *colon = memchr(host, ':', len);
	if (host[0] == '[') {
		const char *close = memchr(host, ']', len);

		if (close == NULL || close - host - 1 >= (ptrdiff_t)sizeof(text))
			return PROXY_UNKNOWN;
		memcpy(text, host + 1, (size_t)(close - host - 1));
		text[close - host - 1] = '\0';
		colon = close[1] == ':' ? close + 1 : NULL;
	} else {
		size_t n = colon != NULL ? (size_t)(colon - host) : len;

		if (n >= sizeof(text))
			return PROXY_UNKNOWN;
		memcpy(text, host, n);
		text[n] = '\0';
	}
	if (colon != NULL && colon < host + len) {
		char *end;
		unsigned long port = strtoul(colon + 1, &end, 10);

		if (end != host + len || end == colon + 1 || port == 0 || port > 65535)
			return PROXY_UNKNOWN;
		p.port = (uint16_t)port;
	}
	if (net_address_parse(text, &p.address) != 0) {
		p.named = true;
		if (net_name_canon(text, strlen(text), p.name) != 0)
			return PROXY_UNKNOWN;
	}
	*ret_p = p;
	return 0;
}

int proxies_read(const char *https, const char *http, const char *no, struct proxies *ret_p)
{
	struct proxies p = { .no = "" };
	int r = 0, e;

	if (https != NULL && https[0] != '\0' && (e = read_one(https, &p.https)) != 0)
		r = e;
	if (http != NULL && http[0] != '\0' && (e = read_one(http, &p.http)) != 0)
		r = e;
	if (no != NULL)
		snprintf(p.no, sizeof(p.no), "%s", no);
	*ret_p = p;
	return r;
}

/* One entry of no_proxy: "*", a name (and every name below it), an address, a network. */
static bool matches(const char *entry, size_t len, const char *name, const struct net_address *address)
{
	char text[NET_NAME_SIZE], canon[NET_NAME_SIZE];
	struct net_address base;

	while (len > 0 && entry[0] == '.') {
		entry++;
		len--;
	}
	if (len == 1 && entry[0] == '*')
		return true;
	if (len > 2 && entry[0] == '*' && entry[1] == '.') {
		entry += 2;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(text))
		return false;
	memcpy(text, entry, len);
	text[len] = '\0';
	if (name[0] == '\0') {
		char *slash = strchr(text, '/');
		char *end = NULL;
		unsigned long bits = 0;

		if (slash != NULL) {
			*slash = '\0';
			bits = strtoul(slash + 1, &end, 10);
			if (end == slash + 1 || *end != '\0')
				return false;
		}
		if (net_address_parse(text, &base) != 0)
			return false;
		if (slash == NULL)
			return net_address_equal(address, &base);
		return bits <= (base.family == AF_INET ? 32u : 128u) && net_address_within(address, &base, (unsigned int)bits);
	}
	if (net_name_canon(text, len, canon) != 0)
		return false;
	size_t n = strlen(name), m = strlen(canon);
	return n >= m && strcmp(name + n - m, canon) == 0 && (n == m || name[n - m - 1] == '.');
}

const struct proxy *proxy_for(const struct proxies *p, const char *name, const struct net_address *address, uint16_t port)
{
	const struct proxy *proxy = port == 80 ? &p->http : &p->https;

	if (!proxy->set)
		return NULL;
	for (const char *s = p->no; *s != '\0';) {
		size_t len = strcspn(s, ", ");

		if (len > 0 && matches(s, len, name, address))
			return NULL;
		s += len + (s[len] != '\0');
	}
	return proxy;
}

size_t proxy_request(const struct proxy *p, const char *host, uint16_t port, char ret[static PROXY_REQUEST_MAX])
{
	bool bare6 = strchr(host, ':') != NULL;
	int n = snprintf(ret, PROXY_REQUEST_MAX, "CONNECT %s%s%s:%u HTTP/1.1\r\nHost: %s%s%s:%u\r\n%s%s%s\r\n", bare6 ? "[" : "",
			 host, bare6 ? "]" : "", port, bare6 ? "[" : "", host, bare6 ? "]" : "", port,
			 p->auth[0] != '\0' ? "Proxy-Authorization: Basic " : "", p->auth, p->auth[0] != '\0' ? "\r\n" : "");

	return n < 0 || n >= PROXY_REQUEST_MAX ? 0 : (size_t)n;
}

int proxy_answer(const char *s, size_t len, size_t *ret_len)
{
	const char *end = memmem(s, len, "\r\n\r\n", 4);

	if (len >= 5 && memcmp(s, "HTTP/", 5) != 0)
		return -2;
	if (end == NULL)
		return len >= PROXY_ANSWER_MAX ? -2 : -1;
	if (len < 12 || s[8] != ' ' || memchr("123456789", s[9], 9) == NULL || s[10] < '0' || s[10] > '9' || s[11] < '0' ||
	    s[11] > '9')
		return -2;
	*ret_len = (size_t)(end - s) + 4;
	return (s[9] - '0') * 100 + (s[10] - '0') * 10 + (s[11] - '0');
}
