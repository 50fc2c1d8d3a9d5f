/* Sockets of every kind the filter leaves to the kernel, reaching for listeners of the host's; and for one of our own. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "inside.h"

static int reach(int family, int type, const void *addr, socklen_t len)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	int err = fd < 0 || connect(fd, addr, len) < 0 ? errno : 0;

	close(fd);
	return err;
}

void inside_socket(const struct inside *in)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a4);
	int own = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a4.sin_port = htons((uint16_t)in->t.port4);
	a6.sin6_port = htons((uint16_t)in->t.port6);
	(void)snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", in->t.abstract);
	socklen_t un_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(in->t.abstract));
	(void)printf("out\tinside_socket\tsocket\tTCP\t%d\n", reach(AF_INET, SOCK_STREAM, &a4, sizeof(a4)));
	(void)printf("out\tinside_socket\tsocket\tTCP6\t%d\n", reach(AF_INET6, SOCK_STREAM, &a6, sizeof(a6)));
	(void)printf("out\tinside_socket\tsocket\tabstract\t%d\n", reach(AF_UNIX, SOCK_STREAM, &un, un_len));
	int pair[2];
	int err = socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0 ? errno : 0;
	(void)printf("own\tinside_socket\tsocketpair\t%d\n", err);
	if (err == 0) {
		close(pair[0]);
		close(pair[1]);
	}
	a4.sin_port = 0;
	err = bind(own, (struct sockaddr *)&a4, sizeof(a4)) < 0 || listen(own, 1) < 0 ||
			      getsockname(own, (struct sockaddr *)&a4, &len) < 0
		      ? errno
		      : reach(AF_INET, SOCK_STREAM, &a4, sizeof(a4));
	(void)printf("own\tinside_socket\tsocket\t%d\n", err);
	close(own);
}
