/*
 * Unix sockets: connecting and binding by path, sending with addresses, descriptors in messages, waiting,
 * SIGPIPE.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "guest.h"

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	(void)sig;
	caught++;
}

/* The address of PATH in memory that ends with it; its length in *RET_LEN. */
static struct sockaddr_un *at(const char *path, socklen_t *ret_len)
{
	size_t len = offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1;
	struct sockaddr_un un = {.sun_family = AF_UNIX}, *p = tail(len);

	memcpy(un.sun_path, path, strlen(path) + 1);
	memcpy(p, &un, len);
	*ret_len = (socklen_t)len;
	return p;
}

#define CONNECT(fd, path)                                                                                    \
	({                                                                                                   \
		socklen_t len_;                                                                              \
		struct sockaddr_un *un_ = at(path, &len_);                                                   \
		SYS(connect, fd, un_, len_);                                                                 \
	})
#define BIND(fd, path)                                                                                       \
	({                                                                                                   \
		socklen_t len_;                                                                              \
		struct sockaddr_un *un_ = at(path, &len_);                                                   \
		SYS(bind, fd, un_, len_);                                                                    \
	})

static int sock(int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static void connects(void)
{
	struct sockaddr_un *un = calloc(1, 256);
	int server = sock(SOCK_STREAM), dgram = sock(SOCK_DGRAM), c = sock(SOCK_STREAM), d, s;
	char buf[8];

	umask(077);
	SHOW(BIND(server, "server"));
	umask(022);
	SHOW(BIND(dgram, "d/dgram"));
	SHOW(BIND(dgram, "again"));
	SAY("mode %o", ({
		    struct stat st;
		    lstat("server", &st);
		    st.st_mode;
	    }));
	SHOW(CONNECT(c, "server"));
	SHOW(listen(server, 4));
	SHOW(CONNECT(c, "nothing"));
	SHOW(CONNECT(c, "f"));
	SHOW(CONNECT(c, "d"));
	SHOW(CONNECT(c, "f/x"));
	SHOW(CONNECT(c, "dangling"));
	SHOW(CONNECT(c, "d/dgram"));
	SHOW(CONNECT(c, "link"));
	SHOW(CONNECT(c, "server"));
	s = accept(server, NULL, NULL);
	SHOW(write(c, "hello", 5));
	SHOW(read(s, buf, sizeof(buf)));
	close(c), close(s);
	c = sock(SOCK_STREAM);
	SHOW(SYS(connect, c, NULL, 5));
	SHOW(SYS(connect, c, BAD, 5));
	SHOW(SYS(connect, c, un, -1));
	SHOW(SYS(connect, c, un, 129));
	SHOW(SYS(connect, c, un, 0));
	SHOW(SYS(connect, c, un, 1));
	SHOW(SYS(connect, c, un, 2));
	SHOW(SYS(connect, c, un, 50));
	un->sun_family = AF_UNIX;
	SHOW(SYS(connect, c, un, 2));
	strcpy(un->sun_path, "server");
	SHOW(SYS(connect, c, un, 111));
	SHOW(SYS(connect, 999, BAD, -1));
	SHOW(SYS(connect, open("f", O_RDONLY), BAD, -1));
	if (with_opath)
		SHOW(SYS(connect, open("f", O_PATH), BAD, -1));
	/* The length ends the name where no zero does. */
	memcpy(un->sun_path, "serverXXX", 10);
	SHOW(SYS(connect, c, un, offsetof(struct sockaddr_un, sun_path) + 6));
	close(c);
	close(accept(server, NULL, NULL));
	memset(un->sun_path, 'n', sizeof(un->sun_path));
	c = sock(SOCK_STREAM);
	SHOW(SYS(connect, c, un, sizeof(*un)));
	SHOW(SYS(bind, c, un, sizeof(*un)));
	SHOW_OK(unlink(repeat("n", 108)));
	close(c);

	d = sock(SOCK_DGRAM);
	SHOW(CONNECT(d, "server"));
	SHOW(CONNECT(d, "d/dgram"));
	SHOW(write(d, "dg", 2));
	SHOW(read(dgram, buf, sizeof(buf)));
	memset(un, 0, sizeof(*un));
	SHOW(SYS(connect, d, un, sizeof(un->sun_family)));
	SHOW(write(d, "dg", 2));
	SHOW(BIND(d, "server"));
	SHOW(BIND(d, "nothing/x"));
	SHOW(BIND(d, "d/"));
	SHOW(BIND(d, "new/"));
	SHOW(BIND(d, "."));
	SHOW(BIND(d, "dangling"));
	SHOW(SYS(bind, d, NULL, 2));
	SHOW(SYS(listen, d, 1));
	SHOW(SYS(listen, 999, 1));
	close(d), close(dgram);
	d = sock(SOCK_DGRAM);
	SHOW(CONNECT(d, "d/dgram"));
	close(d), close(server);
	free(un);
}

static void addressed(void)
{
	int server = sock(SOCK_DGRAM), d = sock(SOCK_DGRAM), s = sock(SOCK_STREAM), q[2];
	socklen_t len;
	struct sockaddr_un *un;
	struct iovec iov[2] = {{tail_str("one"), 3}, {tail_open("two"), 3}};
	struct msghdr *m = tail(sizeof(*m));
	struct mmsghdr *mm = tail(2 * sizeof(*mm));
	char buf[16];
	int n;

	SHOW(BIND(server, "sink"));
	un = at("sink", &len);
	SHOW(SYS(sendto, d, tail_open("data"), 4L, 0, un, (long)len));
	SHOW(recv(server, buf, sizeof(buf), MSG_DONTWAIT));
	SHOW(SYS(sendto, d, BAD, 4L, 0, un, (long)len));
	SHOW(SYS(sendto, d, "data", 4L, 0, BAD, (long)len));
	SHOW(SYS(sendto, d, "data", 4L, 0, un, -1L));
	SHOW(SYS(sendto, d, "data", 4L, 0, un, 200L));
	SHOW(SYS(sendto, d, "data", 4L, 0, NULL, 0L));
	SHOW(SYS(sendto, 999, BAD, 4L, 0, un, -1L));
	SHOW(SYS(sendto, s, "data", 4L, MSG_NOSIGNAL, un, (long)len));
	/* Static: whatever the stack's place is, so much above it is an address. */
	static char large[16];
	SHOW(SYS(sendto, d, large, 1L << 26, 0, un, (long)len));
	SHOW(SYS(sendto, d, "", 0L, 0, un, (long)len));
	SHOW(recv(server, buf, sizeof(buf), MSG_DONTWAIT));
	un = at("nothing", &len);
	SHOW(SYS(sendto, d, "data", 4L, 0, un, (long)len));
	un = at("f", &len);
	SHOW(SYS(sendto, d, "data", 4L, 0, un, (long)len));

	un = at("sink", &len);
	memset(m, 0, sizeof(*m));
	m->msg_name = un, m->msg_namelen = len, m->msg_iov = memcpy(tail(sizeof(iov)), iov, sizeof(iov));
	m->msg_iovlen = 2;
	SHOW(SYS(sendmsg, d, m, 0));
	n = (int)recv(server, buf, sizeof(buf), MSG_DONTWAIT);
	SAY("[%.*s]", n, buf);
	m->msg_iovlen = 3;
	SHOW(SYS(sendmsg, d, m, 0));
	m->msg_iovlen = 1025;
	SHOW(SYS(sendmsg, d, m, 0));
	m->msg_iovlen = 2, m->msg_namelen = (socklen_t)-1;
	SHOW(SYS(sendmsg, d, m, 0));
	m->msg_namelen = len, m->msg_name = BAD;
	SHOW(SYS(sendmsg, d, m, 0));
	m->msg_name = NULL;
	SHOW(SYS(sendmsg, d, m, 0));
	SHOW(SYS(sendmsg, d, BAD, 0));
	SHOW(SYS(sendmsg, 999, BAD, 0));
	SHOW(SYS(sendmsg, open("f", O_RDONLY), BAD, 0));
	m->msg_name = un, m->msg_controllen = 8, m->msg_control = buf;
	SHOW(SYS(sendmsg, d, m, 0));
	SHOW(recv(server, buf, sizeof(buf), MSG_DONTWAIT));
	m->msg_controllen = 24, m->msg_control = BAD;
	SHOW(SYS(sendmsg, d, m, 0));
	m->msg_control = memset(buf, 0, sizeof(buf)), m->msg_controllen = 16;
	SHOW(SYS(sendmsg, d, m, 0));
	m->msg_controllen = 1UL << 31;
	SHOW(SYS(sendmsg, d, m, 0));
	m->msg_controllen = 0;

	memset(mm, 0, 2 * sizeof(*mm));
	mm[0].msg_hdr = mm[1].msg_hdr = *m;
	SHOW(SYS(sendmmsg, d, mm, 2, 0));
	SAY("lengths %u %u", mm[0].msg_len, mm[1].msg_len);
	SHOW(SYS(sendmmsg, d, mm, 3, 0));
	SHOW(SYS(sendmmsg, d, mm, 0, 0));
	mm[0].msg_hdr.msg_iovlen = 2000;
	SHOW(SYS(sendmmsg, d, mm, 2, 0));
	mm[0].msg_hdr.msg_iovlen = 1, mm[1].msg_hdr.msg_iovlen = 2000;
	SHOW(SYS(sendmmsg, d, mm, 2, 0));
	SHOW(SYS(sendmmsg, 999, mm, 2, 0));
	for (n = 0; recv(server, buf, sizeof(buf), MSG_DONTWAIT) >= 0;)
		n++;
	SAY("received %d", n);
	close(server), close(d), close(s);

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, q) < 0)
		die("socketpair");
	SHOW(SYS(sendto, q[0], "data", 4L, MSG_EOR, un, (long)len));
	SHOW(read(q[1], buf, sizeof(buf)));
	close(q[0]), close(q[1]);
}

/* Sends the N descriptors FDS over SOCK. */
static long send_fds(int sock_fd, const int *fds, size_t n, const char *data)
{
	struct iovec iov = {(void *)(uintptr_t)data, strlen(data)};
	size_t space = CMSG_SPACE(n * sizeof(int));
	struct cmsghdr *cm = tail(space);
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = cm, .msg_controllen = space};

	memset(cm, 0, space);
	*cm = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(n * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(cm), fds, n * sizeof(int));
	return SYS(sendmsg, sock_fd, &m, 0);
}

static int receive_fd(int sock_fd)
{
	char data[64], control[CMSG_SPACE(300 * sizeof(int))];
	struct iovec iov = {data, sizeof(data)};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	int fd;

	if (recvmsg(sock_fd, &m, MSG_CMSG_CLOEXEC) < 0 || CMSG_FIRSTHDR(&m) == NULL)
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static void descriptors(void)
{
	int p[2], fds[254], fd, got;
	struct stat a, b;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p) < 0)
		die("socketpair");
	fd = open("f", O_RDONLY);
	SHOW(send_fds(p[0], &fd, 1, "x"));
	got = receive_fd(p[1]);
	SAY("same %d", fstat(fd, &a) == 0 && fstat(got, &b) == 0 && a.st_ino == b.st_ino && got != fd);
	SHOW(lseek(got, 3, SEEK_SET));
	SHOW(lseek(fd, 0, SEEK_CUR));
	for (int i = 0; i < 254; i++)
		fds[i] = fd;
	SHOW(send_fds(p[0], fds, 200, "x"));
	SHOW(send_fds(p[0], fds, 254, "x"));
	fds[1] = 999;
	SHOW(send_fds(p[0], fds, 2, "x"));
	fds[1] = -1;
	SHOW(send_fds(p[0], fds, 2, "x"));
	fds[0] = p[0];
	SHOW(send_fds(p[0], fds, 1, "x"));
	close(p[0]), close(p[1]), close(fd), close(got);
}

static void *drain(void *arg)
{
	char buf[65536];
	size_t sum = 0;
	ssize_t n;

	usleep(50000);
	while ((n = read(*(int *)arg, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++)
			sum += (unsigned char)buf[i] == (unsigned char)(sum & 0xff);
	return (void *)sum;
}

static long send_all(int fd, const char *data, size_t len, int flags)
{
	struct iovec iov[2] = {{(void *)(uintptr_t)data, len / 3},
			       {(void *)(uintptr_t)(data + len / 3), len - len / 3}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};

	return SYS(sendmsg, fd, &m, flags);
}

static void waiting(void)
{
	struct itimerval soon = {.it_value = {0, 100000}};
	struct timeval limit = {0, 100000};
	struct sigaction sa = {.sa_handler = on_signal};
	int p[2], server, c, more;
	size_t size = 3000001;
	char *data = malloc(size);
	pthread_t t;
	void *sum;

	for (size_t i = 0; i < size; i++)
		data[i] = (char)i;
	sigaction(SIGALRM, &sa, NULL);
	sigaction(SIGPIPE, &sa, NULL);
	/* Everything arrives, in order, though it does not fit. */
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p) < 0 || pthread_create(&t, NULL, drain, &p[1]) != 0)
		die("socketpair");
	SHOW(send_all(p[0], data, size, 0));
	shutdown(p[0], SHUT_WR);
	pthread_join(t, &sum);
	SAY("in order %zu", (size_t)sum);
	SHOW(send_all(p[0], data, 9, 0));
	SAY("SIGPIPE %d", caught);
	SHOW(send_all(p[0], data, 9, MSG_NOSIGNAL));
	SAY("SIGPIPE %d", caught);
	close(p[0]), close(p[1]);
	/* What does not fit: at once, after a signal, after a time. */
	caught = 0;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p) < 0)
		die("socketpair");
	SHOW_OK(send_all(p[0], data, size, MSG_DONTWAIT));
	while (send_all(p[0], data, 4096, MSG_DONTWAIT) > 0)
		;
	SHOW(send_all(p[0], data, size, MSG_DONTWAIT));
	setitimer(ITIMER_REAL, &soon, NULL);
	SHOW(send_all(p[0], data, size, 0));
	SAY("caught %d", caught);
	setsockopt(p[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	SHOW(send_all(p[0], data, size, 0));
	close(p[0]), close(p[1]);
	/* A full backlog: at once; waiting, until a signal; with SA_RESTART until there is room. */
	server = sock(SOCK_STREAM);
	c = sock(SOCK_STREAM);
	SHOW(BIND(server, "busy"));
	SHOW(listen(server, 0));
	SHOW(CONNECT(c, "busy"));
	more = sock(SOCK_STREAM | SOCK_NONBLOCK);
	SHOW(CONNECT(more, "busy"));
	fcntl(more, F_SETFL, 0);
	setitimer(ITIMER_REAL, &soon, NULL);
	SHOW(CONNECT(more, "busy"));
	SAY("caught %d", caught);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGALRM, &sa, NULL);
	if (fork() == 0) {
		usleep(300000);
		_exit(accept(server, NULL, NULL) < 0);
	}
	setitimer(ITIMER_REAL, &soon, NULL);
	SHOW(CONNECT(more, "busy"));
	SAY("caught %d", caught);
	SHOW(wait(NULL) > 0);
	close(server), close(c), close(more);
	free(data);
}

int main(int argc, char **argv)
{
	pid_t child;
	int status;

	guest_begin(argc, argv);
	file("f", "content");
	if (mkdir("d", 0755) < 0 || symlink("server", "link") < 0 || symlink("nowhere", "dangling") < 0)
		die("set up");
	connects();
	addressed();
	descriptors();
	waiting();
	/* Untouched, SIGPIPE ends the sender. */
	fflush(stdout);
	child = fork();
	if (child == 0) {
		int p[2];

		signal(SIGPIPE, SIG_DFL);
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, p) < 0)
			_exit(9);
		close(p[1]);
		send_all(p[0], "xyz", 3, 0);
		_exit(1);
	}
	SHOW(waitpid(child, &status, 0) == child);
	SAY("signal %d", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
	return 0;
}
