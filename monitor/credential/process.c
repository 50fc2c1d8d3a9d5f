/*
 * The credential process's life: see holder.h. Everything it needs of the host (the store of authorities, its certificates, random
 * bytes) is read and made before it confines itself; from then on it can wait, read, write and close.
 *
 * Should: use sockets it was handed, memory, clocks. Mustn't: make a socket or a process, open a file, map code, be looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filter.h"
#include "monitor/credential/client.h"
#include "monitor/launch.h"
#include "nr.h"
#include "relay_msg.h"
#include "selffilter.h"
#include "util/err.h"
#include "util/fd.h"

enum { CA_MAX = 256 << 10, READY_MS = 30000, EVENTS = 64, TICK_MS = 1000, TELL_MS = 1000, RELAY_BATCH = 64 };

const char *credential_host_store(void)
{
	static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
					     "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/ca-bundle.pem",
					     "/etc/ssl/cert.pem"};
	const char *said = getenv("SSL_CERT_FILE");

	if (said && *said)
		return said;
	for (size_t i = 0; i < ARRAY_LEN(places); i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return NULL;
}

void holder_tell(struct holder *h, const struct credential_msg *m)
{
	struct pollfd p = {.fd = h->monitor, .events = POLLOUT};

	for (int i = 0; i < 2; i++) {
		ssize_t n = send(h->monitor, m, sizeof(*m), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == (ssize_t)sizeof(*m))
			return;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			break;
		(void)poll(&p, 1, TELL_MS);
	}
	/* What cannot be recorded does not happen. */
	_exit(1);
}

/* ---- words ---- */

static bool add_word(struct scrub_word **v, size_t *n, const char *find, const char *put, size_t len)
{
	struct scrub_word *w = reallocarray(*v, *n + 1, sizeof(*w));

	if (!w)
		return false;
	*v = w;
	w[(*n)++] = (struct scrub_word){.find = find, .put = put, .len = len};
	return true;
}

/* VALUE as it is written in a URL; NULL where that is the same, or there is no memory (*OK cleared). */
static char *escaped(const char *value, size_t len, bool *ok)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char *text = malloc(3 * len + 1), *at = text;

	*ok = *ok && text;
	for (size_t i = 0; text && i < len; i++)
		at += sprintf(at, strchr(plain, value[i]) ? "%c" : "%%%02X", (unsigned char)value[i]);
	if (text && strcmp(text, value) == 0) {
		free(text);
		return NULL;
	}
	return text;
}

static char *base64(const char *user, const char *value, bool *ok)
{
	char *pair = NULL, *text;
	int n = asprintf(&pair, "%s:%s", user, value);

	if (n < 0) {
		*ok = false;
		return NULL;
	}
	text = malloc((size_t)n / 3 * 4 + 8);
	*ok = *ok && text;
	if (text)
		(void)EVP_EncodeBlock((unsigned char *)text, (const unsigned char *)pair, n);
	explicit_bzero(pair, (size_t)n);
	free(pair);
	return text;
}

/* Everything that value I may look like where it comes back: as it is, in a URL, in Basic. Punctuation is where it is in the placeholder,
 * so each is as long as what takes its place. */
static bool words_down(struct host_words *w, const struct credential_value *v)
{
	bool ok = add_word(&w->down, &w->down_n, v->value, v->placeholder, v->len);
	char *find = escaped(v->value, v->len, &ok), *put = escaped(v->placeholder, v->len, &ok);

	if (ok && find && put && strlen(find) == strlen(put))
		ok = add_word(&w->down, &w->down_n, find, put, strlen(find));
	if (ok && v->rule->inject == CREDENTIAL_INJECT_BASIC) {
		find = base64(v->rule->inject_text, v->value, &ok);
		put = base64(v->rule->inject_text, v->placeholder, &ok);
		if (ok && find && put)
			ok = add_word(&w->down, &w->down_n, find, put, strlen(find));
	}
	return ok;
}

static bool make_words(struct holder *h)
{
	h->hosts = calloc((size_t)CREDENTIALS_MAX * CREDENTIAL_HOSTS_MAX, sizeof(*h->hosts));
	for (size_t i = 0; h->hosts && i < h->list->n; i++)
		for (size_t k = 0; k < h->list->v[i].host_count; k++) {
			const struct credential_host *host = &h->list->v[i].hosts[k];
			struct host_words *w = NULL;

			for (size_t n = 0; n < h->host_count; n++)
				if (h->hosts[n].port == host->port && strcmp(h->hosts[n].name, host->name) == 0)
					w = &h->hosts[n];
			if (w)
				continue;
			w = &h->hosts[h->host_count++];
			(void)snprintf(w->name, sizeof(w->name), "%s", host->name);
			w->port = host->port;
			for (size_t n = 0; n < h->values.n; n++) {
				const struct credential_value *v = &h->values.v[n];
				bool its = credential_names(v->rule, w->name, w->port);

				if (its ? !words_down(w, v) : !add_word(&w->up, &w->up_n, v->placeholder, NULL, v->len))
					return false;
			}
		}
	return h->hosts != NULL;
}

/* ---- confinement ---- */

static int confine(void)
{
	static const int list[] = {
		NR_epoll_wait, NR_epoll_pwait, NR_epoll_ctl, NR_poll, NR_ppoll,
		/* sockets that were handed over */
		NR_read, NR_write, NR_recvfrom, NR_sendto, NR_recvmsg, NR_sendmsg, NR_getsockopt, NR_setsockopt, NR_shutdown, NR_fcntl,
		NR_close,
		/* libc, libcrypto */
		NR_mmap, NR_munmap, NR_mremap, NR_madvise, NR_brk, NR_futex, NR_clock_gettime, NR_gettimeofday, NR_time, NR_getrandom,
		NR_getpid, NR_rt_sigreturn, NR_restart_syscall, NR_exit, NR_exit_group,
	};
	static const struct rlimit none = {0, 0};
	struct sock_fprog prog = {.len = 0};
	cap_t caps = cap_init();
	int r = !caps || cap_set_proc(caps) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ? err_now() : 0;

	if (caps)
		(void)cap_free(caps);
	if (r == 0)
		r = selffilter_build(list, ARRAY_LEN(list), SELFFILTER_KILL, &prog);
	if (r < 0)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &prog) < 0)
		r = err_now();
	filter_free(&prog);
	return r;
}

/* ---- the loop ---- */

/* Connections the relay hands over. false: it is gone, or talks nonsense. */
static bool from_relay(struct holder *h)
{
	for (int i = 0; i < RELAY_BATCH; i++) {
		struct relay_msg m;
		int fds[RELAY_FDS];
		size_t n = 0;
		int r = relay_recv(h->relay, MSG_DONTWAIT, &m, fds, &n);

		if (r == -EAGAIN)
			return true;
		if (r != 1)
			return false;
		if (m.kind != RELAY_HAND || n != 2) {
			for (size_t k = 0; k < n; k++)
				(void)fd_close(fds[k]);
			return false;
		}
		client_new(h, m.text, m.port, fds[0], fds[1]);
	}
	return true;
}

/* Ends what is over or has been quiet too long. Returns whether something can go on without an event. */
static bool tidy(struct holder *h, bool late)
{
	uint64_t now = late ? client_now() : 0;
	bool ready = false;

	for (struct client *c = h->conns, *next; c; c = next) {
		next = c->next;
		if (c->ready)
			client_run(c);
		if (c->over || (late && c->until <= now))
			client_free(c);
		else
			ready = ready || c->ready;
	}
	return ready;
}

static void serve(struct holder *h)
{
	static char relay, monitor; /* who an event is of */
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &relay};
	uint64_t looked = client_now();
	bool ready = false;

	if (epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->relay, &ev) < 0)
		return;
	ev = (struct epoll_event){.events = EPOLLIN, .data.ptr = &monitor};
	if (epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->monitor, &ev) < 0)
		return;
	for (;;) {
		struct epoll_event events[EVENTS];
		int n = epoll_wait(h->epoll, events, EVENTS, ready ? 0 : h->conns ? TICK_MS : -1);

		if (n < 0 && errno != EINTR)
			return;
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr == &monitor)
				return; /* it says nothing: this is its end */
			if (events[i].data.ptr == &relay) {
				if (!from_relay(h))
					return;
				continue;
			}
			client_run(events[i].data.ptr);
		}
		bool late = client_now() - looked >= TICK_MS;
		ready = tidy(h, late);
		if (late)
			looked = client_now();
	}
}

/* ---- start ---- */

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno != EINTR)
			return err_now();
		if (n > 0) {
			text += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static _Noreturn void child(const struct credential_list *l, const struct credential_values *v, int relay, int monitor, int ready)
{
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};
	static struct holder h;
	const char *store = credential_host_store(), *why = "";
	int keep[] = {relay, monitor, ready};
	unsigned char some[32];
	char *ca = NULL;

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)prctl(PR_SET_NAME, "gabion: keys", 0, 0, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		_exit(1);
	AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || (fd != relay && fd != monitor && fd != ready && dup2(null, fd) < 0))
			_exit(1);
	if (launch_close_all_but(keep, ARRAY_LEN(keep)) < 0)
		_exit(1);
	null = -1;
	h = (struct holder){.list = l, .values = *v, .relay = relay, .monitor = monitor, .epoll = -1};
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	/* Locks are not inherited. */
	if (openssl_load(&why) < 0) {
		(void)!write(ready, "!", 1);
		(void)write_all(ready, why);
		_exit(1);
	}
	if (mlock(v->memory, v->size) < 0 || madvise(v->memory, v->size, MADV_DONTDUMP) < 0 || RAND_bytes(some, sizeof(some)) != 1)
		_exit(1);
	h.buckets = calloc(l->n + 1, sizeof(*h.buckets));
	h.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!h.buckets || h.epoll < 0 || !store || tls_new(l, store, &h.tls, &ca, &why) < 0 || !make_words(&h)) {
		(void)!write(ready, "!", 1);
		(void)write_all(ready, !store ? "no certificates of authorities are there (SSL_CERT_FILE names a file)" : why);
		_exit(1);
	}
	if (confine() < 0)
		_exit(1);
	if (write_all(ready, ca) < 0)
		_exit(1);
	(void)fd_close(ready);
	serve(&h);
	explicit_bzero(v->memory, v->size);
	_exit(0);
}

/* What the child says of its start: PEM, or "!" and why. */
static int await(int fd, char **ret_ca, const char **ret_why)
{
	static char why[160];
	char *text = malloc(CA_MAX);
	size_t len = 0;
	int r = text ? 0 : -ENOMEM;

	while (r == 0 && len < CA_MAX - 1) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int ready = poll(&p, 1, READY_MS);

		if (ready < 0 && errno == EINTR)
			continue;
		ssize_t n = ready > 0 ? read(fd, text + len, CA_MAX - 1 - len) : -1;
		if (n < 0 && ready > 0 && errno == EINTR)
			continue;
		if (n < 0)
			r = -ETIMEDOUT;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	*ret_why = "the process that holds them did not start";
	if (r == 0 && (len == 0 || text[0] == '!' || len == CA_MAX - 1)) {
		if (len > 1 && text[0] == '!') {
			(void)snprintf(why, sizeof(why), "%.*s", (int)len - 1, text + 1);
			*ret_why = why;
		}
		r = -EIO;
	}
	if (r < 0) {
		free(text);
		return r;
	}
	text[len] = '\0';
	*ret_ca = text;
	return 0;
}

int credential_start(const struct credential_list *l, struct credential_values *v, struct credential_process *ret_p, const char **ret_why)
{
	int relay[2] = {-1, -1}, monitor[2] = {-1, -1}, ready[2] = {-1, -1};
	struct credential_process p = CREDENTIAL_PROCESS_NULL;
	int r = 0;

	*ret_why = "the process that holds them could not be made";
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, relay) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, monitor) < 0 || pipe2(ready, O_CLOEXEC) < 0)
		r = err_now();
	if (r == 0) {
		p.pid = fork();
		if (p.pid == 0)
			child(l, v, relay[1], monitor[1], ready[1]);
		if (p.pid < 0)
			r = err_now();
	}
	credential_values_free(v);
	(void)fd_close(relay[1]);
	(void)fd_close(monitor[1]);
	(void)fd_close(ready[1]);
	p.relay_end = relay[0];
	p.channel = monitor[0];
	if (r == 0)
		r = await(ready[0], &p.ca, ret_why);
	(void)fd_close(ready[0]);
	if (r < 0) {
		credential_stop(&p);
		return r;
	}
	*ret_p = p;
	return 0;
}

/* Text of the other side's: ends, and is printable. */
static bool sane(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return len < size;
}

int credential_next(struct credential_process *p, struct credential_msg *ret_m)
{
	struct credential_msg m;
	ssize_t n = p->channel >= 0 ? recv(p->channel, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC) : 0;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return n < 0 ? err_now() : -ECONNRESET;
	if (n != (ssize_t)sizeof(m) || m.event == CREDENTIAL_EV_NONE || m.event > CREDENTIAL_EV_FAILED || !sane(m.host, sizeof(m.host)) ||
	    !sane(m.method, sizeof(m.method)) || !sane(m.path, sizeof(m.path)) || !sane(m.why, sizeof(m.why)))
		return -EPROTO;
	*ret_m = m;
	return 1;
}

void credential_stop(struct credential_process *p)
{
	p->channel = fd_close(p->channel);
	p->relay_end = fd_close(p->relay_end);
	free(p->ca);
	p->ca = NULL;
	if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	p->pid = -1;
}
