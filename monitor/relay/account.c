/* Destinations, their figures, limits. See account.h. What is told never waits: a full channel is tried again with the tick. */
#include "monitor/relay/account.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

void account_init(struct account *a, int monitor, const struct relay_limits *limits)
{
	*a = (struct account){ .monitor = monitor, .limits = *limits };
}

void account_clear(struct account *a)
{
	for (size_t i = 0; i < ARRAY_LEN(a->hash); i++)
		for (struct dest *d = a->hash[i], *next; d != NULL; d = next) {
			next = d->next;
			free(d);
		}
	free(a->others);
	memset(a->hash, 0, sizeof(a->hash));
	a->others = NULL;
	a->count = 0;
}

static int make(const char *text, uint16_t port, int proto, struct dest **ret_d)
{
	size_t len = strlen(text);
	struct dest *d = calloc(1, sizeof(*d) + len + 1);

	if (d == NULL)
		return -ENOMEM;
	memcpy(d->text, text, len + 1);
	d->port = port;
	d->proto = (uint8_t)proto;
	d->rule = UINT32_MAX;
	*ret_d = d;
	return 0;
}

static int entry(struct account *a, const char *text, uint16_t port, int proto, size_t most, struct dest **ret_d)
{
	uint32_t h = 2166136261u ^ port ^ (uint32_t)proto << 16;
	struct dest **at;

	for (const char *p = text; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	at = &a->hash[(h ^ h >> 16) % ARRAY_LEN(a->hash)];
	for (struct dest *d = *at; d != NULL; d = d->next)
		if (d->port == port && d->proto == proto && strcmp(d->text, text) == 0) {
			*ret_d = d;
			return 0;
		}
	if (a->count < most) {
		struct dest *d = NULL;
		int r = make(text, port, proto, &d);

		if (r < 0)
			return r;
		d->next = *at;
		*at = d;
		a->count++;
		*ret_d = d;
		return 0;
	}
	if (a->others == NULL) {
		int r = make("others", 0, 0, &a->others);

		if (r < 0)
			return r;
	}
	*ret_d = a->others;
	return 0;
}

int account_dest(struct account *a, const char *text, uint16_t port, int proto, struct dest **ret_d)
{
	return entry(a, text, port, proto, ACCOUNT_DESTS, ret_d);
}

int account_refused(struct account *a, const char *text, uint16_t port, int proto, struct dest **ret_d)
{
	return entry(a, text, port, proto, ACCOUNT_DESTS / 2, ret_d);
}

static int tell(const struct account *a, const struct dest *d, enum relay_event ev, uint32_t count, const char *detail)
{
	struct relay_msg m = { .kind = RELAY_EVENT,
			       .event = (uint8_t)ev,
			       .err = d->err,
			       .rule = d->rule,
			       .count = count,
			       .port = d->port,
			       .proto = d->proto,
			       .connections = d->connections,
			       .bytes_up = d->up,
			       .bytes_down = d->down };
	struct pollfd p = { .fd = a->monitor, .events = POLLOUT };

	snprintf(m.text, sizeof(m.text), "%s", d->text);
	if (detail != NULL)
		snprintf(m.origin, sizeof(m.origin), "%s", detail);
	if (a->monitor < 0)
		return 0;
	return poll(&p, 1, 0) == 1 ? relay_send(a->monitor, &m, NULL, 0) : -EAGAIN;
}

void account_tell(struct account *a, struct dest *d, enum relay_event ev, uint32_t rule, int err, const char *detail)
{
	bool first = (d->told & 1u << ev) == 0;

	d->rule = rule;
	d->err = err;
	if (ev != RELAY_EV_OPENED)
		d->refused++;
	if (first && tell(a, d, ev, 1, detail) == 0) {
		d->told |= (uint8_t)(1u << ev);
		return;
	}
	if (ev == RELAY_EV_OPENED && !first)
		return;
	d->event = (uint8_t)ev;
	d->untold++;
	a->untold = true;
	if (a->tick != NULL && a->tick->place == 0)
		(void)loop_timer(a->loop, a->tick, 1000);
}

void account_refuse(struct dest *d, uint32_t rule, int err)
{
	d->rule = rule;
	d->err = err;
	d->refused++;
}

static bool tick(const struct account *a, struct dest *d)
{
	if (d->untold == 0)
		return false;
	if (tell(a, d, d->event, d->untold, NULL) < 0)
		return true;
	d->told |= (uint8_t)(1u << d->event);
	d->untold = 0;
	return false;
}

bool account_tick(struct account *a)
{
	bool rest = false;

	if (!a->untold)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(a->hash); i++)
		for (struct dest *d = a->hash[i]; d != NULL; d = d->next)
			rest |= tick(a, d);
	if (a->others != NULL)
		rest |= tick(a, a->others);
	a->untold = rest;
	return rest;
}

void account_moved(struct account *a, struct dest *d, int direction, uint64_t bytes)
{
	if (direction == 0)
		d->up += bytes;
	else
		d->down += bytes;
	a->bytes += bytes;
}

enum { BURST = 4, FILL_MS = 20, FILL_MOST_MS = 1000 };

/* Thousandths of a byte in a millisecond are bytes in a second. */
static int64_t rate_of(const struct account *a)
{
	const uint64_t most = INT64_MAX / FILL_MOST_MS / 4;

	return (int64_t)(a->limits.rate < most ? a->limits.rate : most);
}

void account_took(struct account *a, int direction, uint64_t bytes)
{
	const uint64_t most = INT64_MAX / 4000;

	if (a->limits.rate != 0 && a->tokens[direction] > INT64_MIN / 2)
		a->tokens[direction] -= (int64_t)(bytes < most ? bytes : most) * 1000;
}

uint64_t account_room(struct account *a, int direction, uint64_t now_ms)
{
	const int64_t rate = rate_of(a), most = rate / BURST * 1000 + 1000; /* a quarter of a second's worth at once */

	if (rate == 0)
		return UINT64_MAX;
	if (now_ms - a->filled_ms >= FILL_MS) {
		int64_t ms = now_ms - a->filled_ms > FILL_MOST_MS ? FILL_MOST_MS : (int64_t)(now_ms - a->filled_ms);

		for (int i = 0; i < 2; i++)
			a->tokens[i] = a->tokens[i] + ms * rate > most ? most : a->tokens[i] + ms * rate;
		a->filled_ms = now_ms;
	}
	return a->tokens[direction] > 0 ? (uint64_t)(a->tokens[direction] + 999) / 1000 : 0;
}

bool account_spent(const struct account *a)
{
	return a->limits.bytes != 0 && a->bytes >= a->limits.bytes;
}

static void total(const struct account *a, const struct dest *d)
{
	struct relay_msg m = { .kind = RELAY_TOTAL,
			       .rule = d->rule,
			       .count = d->refused,
			       .port = d->port,
			       .proto = d->proto,
			       .connections = d->connections,
			       .bytes_up = d->up,
			       .bytes_down = d->down };

	snprintf(m.text, sizeof(m.text), "%s", d->text);
	(void)relay_send(a->monitor, &m, NULL, 0);
}

void account_totals(struct account *a)
{
	for (size_t i = 0; i < ARRAY_LEN(a->hash); i++)
		for (const struct dest *d = a->hash[i]; d != NULL; d = d->next)
			total(a, d);
	if (a->others != NULL)
		total(a, a->others);
}
