/*
 * The guest's network namespace: loopback only, until rules name hosts.
 *
 * Should: bring lo up, as on any machine. Mustn't: add an interface that leads out.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "monitor/floor/floor.h"
#include "util/err.h"
#include "util/fd.h"

int net_loopback_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		return err_now();
	ifr.ifr_flags = (short)(ifr.ifr_flags | IFF_UP);
	return ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? err_now() : 0;
}

int net_loopback_names(void)
{
	const struct sockaddr_in sa = {
		.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	AUTO_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0 ? fd_steal(&fd) : -1;
}
