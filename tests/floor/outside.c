/* The victim and the listeners outside: see outside.h. */
#include "outside.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static volatile int *hits;

static void hit(int sig)
{
	(void)sig;
	(*hits)++;
}

static int listener(int family, const void *addr, socklen_t len)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, addr, len) < 0 || listen(fd, 8) < 0 || getsockname(fd, (struct sockaddr *)&a, &n) < 0)
		return -1;
	return family == AF_UNIX ? 0 : ntohs(((struct sockaddr_in *)&a)->sin_port); /* the same place in IPv6 */
}

void outside_listen(struct outside *o)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	static int nth;

	(void)snprintf(o->abstract, sizeof(o->abstract), "gabion-floor-%d-%d", (int)getpid(), nth++);
	(void)snprintf(un.sun_path + 1, sizeof(un.sun_path) - 1, "%s", o->abstract);
	o->port4 = listener(AF_INET, &a4, sizeof(a4));
	o->port6 = listener(AF_INET6, &a6, sizeof(a6));
	if (listener(AF_UNIX, &un, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(o->abstract))) < 0)
		die("abstract socket");
}

static void look_at(const struct outside *o, struct outside *ret)
{
	*ret = *o;
	errno = 0;
	ret->nice = getpriority(PRIO_PROCESS, (id_t)o->victim);
	ret->ioprio = (int)syscall(SYS_ioprio_get, 1, o->victim);
	ret->policy = sched_getscheduler(o->victim);
	CPU_ZERO(&ret->cpus);
	(void)sched_getaffinity(o->victim, sizeof(ret->cpus), &ret->cpus);
	(void)prlimit(o->victim, RLIMIT_CORE, NULL, &ret->core);
}

void outside_victim(struct outside *o, const struct floor_ids *ids)
{
	if (hits == NULL)
		hits = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (hits == MAP_FAILED)
		die("mmap");
	*hits = 0;
	int ready[2];
	char c;
	if (pipe2(ready, O_CLOEXEC) < 0)
		die("pipe");
	o->victim = fork();
	if (o->victim == 0) {
		/* The guest's own ids outside: the host's permissions would let it. */
		if (geteuid() == 0 &&
		    (setresgid(ids->host_gid, ids->host_gid, ids->host_gid) < 0 ||
		     setresuid(ids->host_uid, ids->host_uid, ids->host_uid) < 0))
			_exit(1);
		(void)signal(SIGUSR1, hit);
		(void)!write(ready[1], "r", 1);
		while (true)
			pause();
	}
	(void)!read(ready[0], &c, 1);
	close(ready[0]);
	close(ready[1]);
	look_at(o, o);
}

bool outside_untouched(const struct outside *o)
{
	struct outside now;

	look_at(o, &now);
	return kill(o->victim, 0) == 0 && *hits == 0 && now.nice == o->nice && now.ioprio == o->ioprio && now.policy == o->policy &&
	       CPU_EQUAL(&now.cpus, &o->cpus) && now.core.rlim_cur == o->core.rlim_cur;
}
