/*
 * The record on disk. The ring is drained in batches: while records come, every 20 ms by the clock, with the sentry's
 * wake-up off; once a drain finds nothing, the wake-up is armed and the monitor sleeps. So a busy guest costs the
 * sentry no wake-ups, and an idle one costs nobody anything.
 *
 * Lines gather in a buffer and go out with write(2). A line is written whole or counted as left out: what a short write or a
 * full disk leaves stays in the buffer and is tried again, and while the buffer is full further lines are dropped.
 *
 * The file has a cap, the last part of which only refusals may use, and the very last only the closing object.
 */
#include "audit.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "audit_json.h"
#include "audit_summary.h"
#include "audit_traffic.h"
#include "credential/holder.h"
#include "left_links.h"
#include "text.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	INTERVAL_MS = 20,
	BUFFER_SIZE = 256 * 1024, /* more than the longest line (about 100 KiB) */
	BATCH_MAX = 100000,       /* records a drain: a flood must not hold the monitor */
	CAP_DEFAULT = 64 << 20,
	CAP_LEAST = 16384,
	REFUSED_RESERVE = 8 << 20,
	END_RESERVE = 1024,
	CLOSE_WAIT_MS = 500,
};

/* What could not be kept, beside what the rings dropped. */
struct left_out {
	uint64_t refused;
	uint64_t other;
};

struct audit {
	int fd;
	struct record_ring *ring;
	const struct policy *policy;
	char *run;
	uint64_t cap, bytes; /* bytes: accepted for the file, written or in the buffer */
	uint64_t records, refused;
	struct left_out capped; /* beyond the cap */
	uint64_t unwritten;     /* lines that writing failed for */
	bool broken;
	bool torn;              /* the file's last line lacks its end, which is lost */
	bool sleeping;          /* the wake-up is armed: nothing is due */
	uint64_t due_ms;        /* CLOCK_MONOTONIC: when to drain again */
	struct audit_clock clock;
	struct text out;
	struct summary *summary;
	struct traffic traffic;
	struct left_links *links;
	struct record rec;
};

static uint64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Sleeps until woken, or looks again soon: after a drain that took TAKEN records. */
static void rest(struct audit *a, unsigned int taken)
{
	a->sleeping = taken == 0 && record_arm(a->ring);
	a->due_ms = clock_ms() + (taken == BATCH_MAX ? 0 : INTERVAL_MS);
}

int audit_open(const char *path, uint64_t cap, struct record_ring *ring, const struct policy *policy, struct audit **ret_a)
{
	/* O_NONBLOCK: a FIFO without a reader is an error, and one with a slow reader loses lines, not time. */
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
	struct stat st;
	int err;

	if (fd < 0)
		return err_now();
	if (fstat(fd, &st) < 0)
		return err_now();
	if (S_ISBLK(st.st_mode))
		return -EINVAL;
	struct audit *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->fd = -1;
	a->out = (struct text){ .p = malloc(BUFFER_SIZE), .size = BUFFER_SIZE };
	err = a->out.p ? summary_new(&a->summary) : -ENOMEM;
	if (err == 0)
		err = left_links_new(&a->links);
	if (err < 0) {
		a->summary = summary_free(a->summary);
		free(a->out.p);
		free(a);
		return err;
	}
	a->fd = fd_steal(&fd);
	a->cap = cap == 0 ? CAP_DEFAULT : cap < CAP_LEAST ? CAP_LEAST : cap;
	a->ring = ring;
	a->policy = policy;
	a->clock = AUDIT_CLOCK_NULL;
	rest(a, 0);
	*ret_a = a;
	return 0;
}

void audit_policy(struct audit *a, const struct policy *policy)
{
	audit_drain(a);
	a->policy = policy;
}

void audit_run(struct audit *a, const char *run_id)
{
	free(a->run);
	a->run = run_id ? strdup(run_id) : NULL;
}

int audit_fd(const struct audit *a)
{
	return record_eventfd(a->ring);
}

int audit_timeout(const struct audit *a)
{
	if (a->sleeping)
		return a->out.len ? INTERVAL_MS * 10 : -1; /* something is still to be written: try now and then */
	uint64_t now = clock_ms();

	return now >= a->due_ms ? 0 : (int)(a->due_ms - now);
}

/* Writes what the buffer holds; what the file does not take now stays, what it never will is counted. */
static void flush(struct audit *a)
{
	size_t done = 0;

	if (a->torn && a->out.len && write(a->fd, "\n", 1) == 1)
		a->torn = false;
	while (done < a->out.len) {
		ssize_t n = write(a->fd, a->out.p + done, a->out.len - done);

		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN && errno != ENOSPC && errno != EDQUOT) {
			a->torn = a->torn || (done && a->out.p[done - 1] != '\n');
			for (; done < a->out.len; done++)
				a->unwritten += a->out.p[done] == '\n';
		}
		break;
	}
	memmove(a->out.p, a->out.p + done, a->out.len - done);
	a->out.len -= done;
}

/* Takes back what was appended since START. */
static void undo(struct audit *a, size_t start)
{
	a->out.len = start;
	a->out.full = false;
}

static void put_record(struct audit *a, const struct record *r)
{
	bool refused = r->flags & (RECORD_REFUSED | RECORD_INTERNAL);
	uint64_t reserve = END_RESERVE;

	if (!refused)
		reserve += a->cap / 8 < REFUSED_RESERVE ? a->cap / 8 : REFUSED_RESERVE;
	/* Once the cap is near, permitted records are not even formatted. */
	size_t start = a->out.len;
	bool fits = a->bytes + reserve < a->cap;

	if (fits) {
		audit_json(&a->out, &a->clock, r, a->policy, a->run);
		if (a->out.full) {
			undo(a, start);
			flush(a);
			start = a->out.len;
			audit_json(&a->out, &a->clock, r, a->policy, a->run);
		}
		if (a->out.full) {
			undo(a, start);
			a->unwritten++;
			return;
		}
		fits = a->bytes + (a->out.len - start) + reserve <= a->cap;
	}
	if (!fits) {
		undo(a, start);
		*(refused ? &a->capped.refused : &a->capped.other) += 1;
		return;
	}
	a->bytes += a->out.len - start;
}

/* The beginning of an object that is not a decision. */
static void put_event(struct audit *a, const char *event)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	text_str(&a->out, "{\"time\":\"");
	audit_json_time(&a->out, &a->clock, (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
	text_add(&a->out, "\"", 1);
	if (a->run) {
		text_str(&a->out, ",\"run\":\"");
		text_json(&a->out, a->run, strlen(a->run));
		text_add(&a->out, "\"", 1);
	}
	text_str(&a->out, ",\"event\":\"");
	text_str(&a->out, event);
	text_add(&a->out, "\"", 1);
}

static void take(struct audit *a, const struct record *r)
{
	bool known = a->policy && r->rule < policy_rule_count(a->policy);

	a->records++;
	if (r->flags & (RECORD_REFUSED | RECORD_INTERNAL)) {
		a->refused++;
		summary_add(a->summary, r, known ? policy_rule(a->policy, r->rule) : NULL);
	}
	left_links_note(a->links, r);
	put_record(a, r);
}

void audit_add(struct audit *a, const struct record *r)
{
	take(a, r);
	flush(a);
}

void audit_drain(struct audit *a)
{
	unsigned int taken = 0;
	bool broken = false;
	uint64_t wakeups;

	(void)!read(audit_fd(a), &wakeups, sizeof(wakeups));
	while (taken < BATCH_MAX && record_take(a->ring, &a->rec, &broken)) {
		taken++;
		take(a, &a->rec);
		if (broken)
			break;
	}
	if (broken && !a->broken) {
		size_t start = a->out.len;

		a->broken = true;
		put_event(a, "broken");
		text_str(&a->out, "}\n");
		if (a->out.full)
			undo(a, start);
	}
	if (a->out.len)
		flush(a);
	rest(a, taken);
}

void audit_stack(struct audit *a, const struct unwind_stack *s)
{
	/* The refusal it belongs to comes first. */
	audit_drain(a);
	size_t start = a->out.len;

	put_event(a, "stack");
	audit_json_stack(&a->out, s);
	text_str(&a->out, "}\n");
	if (a->out.full || a->bytes + (a->out.len - start) + END_RESERVE > a->cap) {
		undo(a, start);
		a->unwritten++;
		return;
	}
	a->bytes += a->out.len - start;
}

bool audit_broken(const struct audit *a)
{
	return a->broken;
}

uint64_t audit_refused(const struct audit *a)
{
	return a->refused;
}

void audit_summary(const struct audit *a, FILE *out, bool markdown, const char *run_id)
{
	uint64_t refused, other;

	summary_print(a->summary, a->policy, out, markdown, run_id);
	traffic_print(&a->traffic, out, markdown);
	record_dropped(a->ring, &refused, &other);
	if (refused)
		fprintf(out, "%s%llu further refusals came faster than they could be recorded\n", markdown ? "\n" : "gabion: ",
			(unsigned long long)refused);
}

void audit_left_links(const struct audit *a, FILE *out)
{
	if (a->policy != NULL)
		(void)left_links_print(a->links, a->policy, out);
}

static void put_count(struct text *t, const char *key, uint64_t v)
{
	text_str(t, key);
	text_uint(t, v);
}

void audit_traffic(struct audit *a, const struct audit_traffic *t)
{
	size_t start = a->out.len;

	put_event(a, "traffic");
	text_str(&a->out, ",\"host\":\"");
	text_json(&a->out, t->host, strlen(t->host));
	text_add(&a->out, "\"", 1);
	put_count(&a->out, ",\"port\":", t->port);
	text_str(&a->out, t->udp ? ",\"protocol\":\"udp\"" : ",\"protocol\":\"tcp\"");
	put_count(&a->out, ",\"connections\":", t->connections);
	put_count(&a->out, ",\"sent\":", t->sent);
	put_count(&a->out, ",\"received\":", t->received);
	put_count(&a->out, ",\"refused\":", t->refused);
	text_str(&a->out, "}\n");
	if (a->out.full) {
		undo(a, start);
		a->unwritten++;
	}
	traffic_add(&a->traffic, t);
	flush(a);
}

static void put_text(struct text *t, const char *key, const char *value)
{
	text_str(t, key);
	text_json(t, value, strlen(value));
	text_add(t, "\"", 1);
}

void audit_credential(struct audit *a, const struct credential_msg *m, const char *name, const char *rule)
{
	static const char *const decisions[] = {[CREDENTIAL_EV_NONE] = "refused",	[CREDENTIAL_EV_USED] = "used",
						[CREDENTIAL_EV_WITHOUT] = "without",	[CREDENTIAL_EV_REFUSED] = "refused",
						[CREDENTIAL_EV_EXFILTRATION] = "exfiltration", [CREDENTIAL_EV_FAILED] = "failed"};
	size_t start = a->out.len;
	unsigned int ev = m->event < sizeof(decisions) / sizeof(decisions[0]) ? m->event : 0;

	put_event(a, "credential");
	put_text(&a->out, ",\"decision\":\"", decisions[ev]);
	if (name)
		put_text(&a->out, ",\"credential\":\"", name);
	if (rule)
		put_text(&a->out, ",\"rule\":\"", rule);
	put_text(&a->out, ",\"host\":\"", m->host);
	put_count(&a->out, ",\"port\":", m->port);
	put_text(&a->out, ",\"method\":\"", m->method);
	put_text(&a->out, ",\"path\":\"", m->path);
	put_count(&a->out, ",\"status\":", m->status);
	put_count(&a->out, ",\"sent\":", m->sent);
	put_count(&a->out, ",\"received\":", m->received);
	if (m->why[0])
		put_text(&a->out, ",\"why\":\"", m->why);
	text_str(&a->out, "}\n");
	if (a->out.full) {
		undo(a, start);
		a->unwritten++;
	}
	flush(a);
}

static void put_end(struct audit *a)
{
	uint64_t refused, other;

	record_dropped(a->ring, &refused, &other);
	put_event(a, "end");
	put_count(&a->out, ",\"records\":", a->records);
	put_count(&a->out, ",\"refused\":", a->refused);
	put_count(&a->out, ",\"dropped\":{\"refused\":", refused);
	put_count(&a->out, ",\"other\":", other);
	put_count(&a->out, "},\"over_cap\":{\"refused\":", a->capped.refused);
	put_count(&a->out, ",\"other\":", a->capped.other);
	put_count(&a->out, "},\"unwritten\":", a->unwritten);
	text_str(&a->out, "}\n");
}

struct audit *audit_close(struct audit *a)
{
	if (!a)
		return NULL;
	/* The writers are gone, so this ends; the bound is for a writer that is not. */
	for (int i = 0; i < 100; i++) {
		uint64_t before = a->records;

		audit_drain(a);
		if (a->records - before < BATCH_MAX)
			break;
	}
	size_t start = a->out.len;

	put_end(a);
	if (a->out.full)
		undo(a, start);
	flush(a);
	if (a->out.len) {
		struct pollfd p = { .fd = a->fd, .events = POLLOUT };

		if (poll(&p, 1, CLOSE_WAIT_MS) > 0)
			flush(a);
	}
	a->fd = fd_close(a->fd);
	a->summary = summary_free(a->summary);
	a->links = left_links_free(a->links);
	free(a->out.p);
	free(a->run);
	free(a);
	return NULL;
}
