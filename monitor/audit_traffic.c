/* What a run sent and received, for people: see audit_traffic.h. */
#include "monitor/audit_traffic.h"

#include <string.h>

#include "monitor/text.h"

static uint64_t weight(const struct audit_traffic *t)
{
	return t->sent + t->received;
}

void traffic_add(struct traffic *all, const struct audit_traffic *t)
{
	size_t at = all->n;

	if (t->connections == 0)
		return;
	all->destinations++;
	while (at > 0 && weight(&all->line[at - 1].t) < weight(t))
		at--;
	if (at == TRAFFIC_SHOWN)
		return;
	if (all->n < TRAFFIC_SHOWN)
		all->n++;
	memmove(&all->line[at + 1], &all->line[at], (all->n - at - 1) * sizeof(all->line[0]));
	all->line[at].t = *t;
	(void)snprintf(all->line[at].host, sizeof(all->line[at].host), "%s", t->host);
	all->line[at].t.host = NULL;
}

static void amount(FILE *out, uint64_t bytes, const char *what)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double v = (double)bytes / 1024;
	size_t u = 0;

	if (bytes < 1024) {
		fprintf(out, "%llu bytes %s", (unsigned long long)bytes, what);
		return;
	}
	for (; v >= 1024 && u + 1 < sizeof(units) / sizeof(units[0]); u++)
		v /= 1024;
	fprintf(out, "%.1f %s %s", v, units[u], what);
}

void traffic_print(const struct traffic *all, FILE *out, bool markdown)
{
	for (size_t i = 0; i < all->n; i++) {
		const struct traffic_line *l = &all->line[i];

		fputs(markdown ? "- network: <code>" : "gabion: network: ", out);
		if (markdown)
			text_markdown(out, l->host, strlen(l->host));
		else
			text_show(out, l->host, strlen(l->host));
		fprintf(out, ":%u%s%s %llu connection%s", l->t.port, l->t.udp ? "/udp" : "", markdown ? "</code>" : ":",
			(unsigned long long)l->t.connections, l->t.connections == 1 ? "" : "s");
		if (weight(&l->t) > 0) { /* without namespaces nobody counts */
			fputs(", ", out);
			amount(out, l->t.sent, "sent");
			fputs(", ", out);
			amount(out, l->t.received, "received");
		}
		fputc('\n', out);
	}
	if (all->destinations > all->n)
		fprintf(out, "%sand %zu more destinations\n", markdown ? "- " : "  ", all->destinations - all->n);
}
