/*
 * The control socket. Server: an epoll holds the listening socket and up to four clients, each with one request line
 * of bounded size; everything is non-blocking, and who keeps a place without finishing a line gives it up to
 * the next. A request is one JSON object, {"op":"allow","kind":"read","object":"/x"}; so is the answer,
 * {"error":0,"text":"..."} with a positive errno in "error". Then the connection is closed.
 *
 * Who may ask: processes of our own user (SO_PEERCRED) and root, but nothing that descends from us: the guest may well have our
 * uid. That is the second lock; the first is that the socket's directory is not in the guest's view.
 *
 * A socket's address is at most 108 bytes, and a state directory may be deeper: the address goes by way of
 * /proc/self/fd.
 */
#include "control.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "text.h"
#include "util/err.h"
#include "util/fd.h"

enum {
	CLIENTS = 4,
	LINE_MAX_BYTES = 32768, /* an object of 4096 bytes, each escaped */
	ANSWER_MAX = 65536,
	CLIENT_TIMEOUT_S = 10,
	ANCESTORS = 64,
};

static const char socket_name[] = "control.sock";

struct client {
	int fd;
	uint64_t turn; /* when it came */
	size_t len;
	char line[LINE_MAX_BYTES];
};

struct control {
	int epoll, listen, dir;
	uint64_t turn;
	struct control_ops ops;
	struct client *client[CLIENTS];
};

/* The address of the socket in the directory held as DIR_FD. */
static void address(int dir_fd, struct sockaddr_un *ret_addr, socklen_t *ret_len)
{
	*ret_addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	int n = snprintf(ret_addr->sun_path, sizeof(ret_addr->sun_path), "/proc/self/fd/%d/%s", dir_fd, socket_name);

	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n + 1);
}

int control_open(const char *run_dir, const struct control_ops *ops, struct control **ret_c)
{
	struct control *c = calloc(1, sizeof(*c));
	struct sockaddr_un addr;
	socklen_t len;

	if (!c)
		return -ENOMEM;
	c->ops = *ops;
	c->epoll = c->listen = -1;
	c->dir = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (c->dir < 0)
		goto fail;
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	c->listen = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->epoll < 0 || c->listen < 0)
		goto fail;
	address(c->dir, &addr, &len);
	(void)unlinkat(c->dir, socket_name, 0);
	/* The mode before the name exists: nobody else could connect in between. */
	if (fchmod(c->listen, 0600) < 0 || bind(c->listen, (struct sockaddr *)&addr, len) < 0 ||
	    fchmodat(c->dir, socket_name, 0600, 0) < 0 || listen(c->listen, CLIENTS) < 0 ||
	    epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->listen, &(struct epoll_event){ .events = EPOLLIN }) < 0)
		goto fail;
	*ret_c = c;
	return 0;
fail:;
	int err = err_now();

	control_close(c);
	return err;
}

int control_fd(const struct control *c)
{
	return c->epoll;
}

static void drop(struct control *c, int i)
{
	if (c->client[i]) {
		c->client[i]->fd = fd_close(c->client[i]->fd);
		free(c->client[i]);
		c->client[i] = NULL;
	}
}

struct control *control_close(struct control *c)
{
	if (!c)
		return NULL;
	for (int i = 0; i < CLIENTS; i++)
		drop(c, i);
	if (c->listen >= 0)
		(void)unlinkat(c->dir, socket_name, 0);
	c->listen = fd_close(c->listen);
	c->epoll = fd_close(c->epoll);
	c->dir = fd_close(c->dir);
	free(c);
	return NULL;
}

/* Parent of PID, 0 where there is none to be known. */
static pid_t parent_of(pid_t pid)
{
	char path[40], buf[1024];
	int ppid = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return 0;
	buf[n] = 0;
	const char *p = strrchr(buf, ')');

	return p && sscanf(p + 1, " %*c %d", &ppid) == 1 ? ppid : 0;
}

static bool peer_ok(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	pid_t self = getpid(), pid;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	if (peer.uid != geteuid() && peer.uid != 0)
		return false;
	pid = peer.pid;
	/* peer.pid 0: the peer lives where our pid namespace cannot name it. */
	for (int i = 0; i < ANCESTORS && pid > 1 && pid != self; i++)
		pid = parent_of(pid);
	return peer.pid != 0 && (peer.pid == self || (pid != self && pid <= 1));
}

static void answer(int fd, int error, const char *text)
{
	AUTO_FREE char *clean = text_clean(text);
	json_t *j = json_pack("{s:i, s:s}", "error", error, "text", clean ? clean : "");
	AUTO_FREE char *line = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	if (!line)
		return;
	size_t n = strlen(line);

	line[n] = '\n'; /* in the place of the NUL */
	/* A fresh connection's buffer holds any answer of ours; who does not take it goes without. */
	(void)!send(fd, line, n + 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void obey(struct control *c, int fd, const char *line, size_t n)
{
	json_t *j = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	const char *op, *kind, *object, *text = NULL;
	int r;

	if (!j || json_unpack(j, "{s:s, s:s, s:s !}", "op", &op, "kind", &kind, "object", &object) < 0 ||
	    strcmp(op, "allow") != 0) {
		answer(fd, EINVAL, "not a request this version of gabion knows");
	} else {
		r = c->ops.allow(c->ops.ctx, kind, object, &text);
		answer(fd, r < 0 ? -r : 0, text ? text : r < 0 ? strerror(-r) : "allowed");
	}
	json_decref(j);
}

static void serve_client(struct control *c, int i)
{
	struct client *cl = c->client[i];
	ssize_t n = recv(cl->fd, cl->line + cl->len, sizeof(cl->line) - cl->len, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0) {
		cl->len += (size_t)n;
		const char *end = memchr(cl->line, '\n', cl->len);

		if (end)
			obey(c, cl->fd, cl->line, (size_t)(end - cl->line));
		else if (cl->len < sizeof(cl->line))
			return;
		else
			answer(cl->fd, EMSGSIZE, "the request is too long");
	}
	drop(c, i);
}

static void serve_listen(struct control *c)
{
	AUTO_FD int fd = accept4(c->listen, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int place = 0;

	if (fd < 0 || !peer_ok(fd))
		return;
	for (int i = 0; i < CLIENTS && c->client[place]; i++) {
		if (!c->client[i] || c->client[i]->turn < c->client[place]->turn)
			place = i;
	}
	drop(c, place);
	struct client *cl = malloc(sizeof(*cl));

	if (!cl)
		return;
	cl->len = 0;
	cl->turn = ++c->turn;
	cl->fd = fd_steal(&fd);
	c->client[place] = cl;
	if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, cl->fd, &(struct epoll_event){ .events = EPOLLIN, .data.u32 = (uint32_t)place + 1 }) < 0)
		drop(c, place);
}

void control_serve(struct control *c)
{
	struct epoll_event ev[CLIENTS + 1];
	int n = epoll_wait(c->epoll, ev, CLIENTS + 1, 0);

	/* Clients first: a newcomer may take the place of one. */
	for (int k = 0; k < n; k++) {
		if (ev[k].data.u32 && c->client[ev[k].data.u32 - 1])
			serve_client(c, (int)ev[k].data.u32 - 1);
	}
	for (int k = 0; k < n; k++) {
		if (!ev[k].data.u32)
			serve_listen(c);
	}
}

/* -- Client -- */

/* Our own run's socket, answering within a bounded time. */
static int call(const char *run_dir, int *ret_fd)
{
	AUTO_FD int dir = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = { .tv_sec = CLIENT_TIMEOUT_S };
	struct sockaddr_un addr;
	struct ucred peer;
	socklen_t len;

	if (dir < 0 || fd < 0)
		return err_now();
	address(dir, &addr, &len);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, len) < 0)
		return err_now();
	len = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return err_now();
	if (peer.uid != geteuid() && geteuid() != 0)
		return -EPERM;
	*ret_fd = fd_steal(&fd);
	return 0;
}

int control_ask_allow(const char *run_dir, const char *kind, const char *object, char **ret_text)
{
	AUTO_FD int fd = -1;
	int r = call(run_dir, &fd), error;
	const char *text;

	if (r < 0)
		return r;
	json_t *j = json_pack("{s:s, s:s, s:s}", "op", "allow", "kind", kind, "object", object);
	AUTO_FREE char *line = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	if (!line)
		return -EINVAL; /* no UTF-8 */
	size_t n = strlen(line), got = 0;

	line[n] = '\n';
	ssize_t sent = send(fd, line, n + 1, MSG_NOSIGNAL);

	if (sent != (ssize_t)n + 1 && (sent >= 0 || errno != EPIPE))
		return sent < 0 && errno != EAGAIN ? err_now() : -ETIMEDOUT;
	AUTO_FREE char *buf = malloc(ANSWER_MAX);

	if (!buf)
		return -ENOMEM;
	while (got < ANSWER_MAX && !memchr(buf, '\n', got)) {
		ssize_t k = recv(fd, buf + got, ANSWER_MAX - got, 0);

		if (k < 0 && errno == EINTR)
			continue;
		if (k == 0 || (k < 0 && errno == ECONNRESET))
			break;
		if (k < 0)
			return errno == EAGAIN ? -ETIMEDOUT : err_now();
		got += (size_t)k;
	}
	/* The run closed without an answer: it did not want to talk to us. */
	if (got == 0)
		return -EACCES;
	j = json_loadb(buf, got, JSON_DISABLE_EOF_CHECK, NULL);
	if (!j || json_unpack(j, "{s:i, s:s}", "error", &error, "text", &text) < 0 || error < 0 || error > 4095)
		r = -EBADMSG;
	else if (!(*ret_text = strdup(text)))
		r = -ENOMEM;
	else
		r = -error;
	json_decref(j);
	return r;
}
