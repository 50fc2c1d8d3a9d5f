/*
 * Staying in front of a container's process (run and exec without --detach): its terminal and the signals we get are
 * passed on; its exit status becomes ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "monitor/oci/container_in.h"
#include "util/err.h"
#include "util/fd.h"

enum { FLUSH_MS = 200 };

int container_console_pair(int ret_pair[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_pair) < 0 ? err_now() : 0;
}

int container_master(int socket, int *ret_master)
{
	char text[64];
	struct iovec iov = {.iov_base = text, .iov_len = sizeof(text)};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u;
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};
	ssize_t n = recvmsg(socket, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&mh) : NULL;

	if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return -EPROTO;
	memcpy(ret_master, CMSG_DATA(c), sizeof(int));
	return 0;
}

static void resize(int master)
{
	struct winsize size;

	if (ioctl(0, TIOCGWINSZ, &size) == 0)
		(void)ioctl(master, TIOCSWINSZ, &size);
}

/* What is there from FROM to TO. False at its end. */
static bool relay(int from, int to)
{
	char buf[8192];
	ssize_t n = read(from, buf, sizeof(buf));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	for (ssize_t done = 0; done < n;) {
		ssize_t k = write(to, buf + done, (size_t)(n - done));
		if (k < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		done += k > 0 ? k : 0;
	}
	return n > 0;
}

static void pass_signal(int sigfd, int pidfd, int master)
{
	struct signalfd_siginfo si;

	if (read(sigfd, &si, sizeof(si)) != sizeof(si))
		return;
	if (si.ssi_signo == SIGWINCH && master >= 0)
		resize(master);
	else if (si.ssi_signo != SIGCHLD && si.ssi_signo != SIGURG)
		(void)syscall(SYS_pidfd_send_signal, pidfd, (int)si.ssi_signo, NULL, 0);
}

int container_wait(pid_t pid, int pidfd, int master)
{
	struct termios before;
	bool raw = master >= 0 && tcgetattr(0, &before) == 0;
	bool input = master >= 0, gone = false;
	int status = 0;
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGSEGV);
	sigdelset(&set, SIGBUS);
	sigdelset(&set, SIGTTOU);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGTTOU, SIG_IGN);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	AUTO_FD int sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (raw) {
		struct termios t = before;
		cfmakeraw(&t);
		(void)tcsetattr(0, TCSANOW, &t);
		resize(master);
	}
	while (!gone || master >= 0) {
		enum { SIG, END, OUT, IN, ALL };
		struct pollfd p[ALL] = {[SIG] = {.fd = sigfd, .events = POLLIN},
					[END] = {.fd = gone ? -1 : pidfd, .events = POLLIN},
					[OUT] = {.fd = master, .events = POLLIN},
					[IN] = {.fd = input && !gone ? 0 : -1, .events = POLLIN}};
		int n = poll(p, ALL, gone ? FLUSH_MS : -1);
		if (n < 0 && errno != EINTR)
			break;
		if (n == 0)
			break; /* a process left behind keeps the terminal open */
		if (n > 0 && p[OUT].revents != 0 && !relay(master, 1))
			master = -1;
		if (n > 0 && p[IN].revents != 0 && master >= 0)
			input = relay(0, master);
		if (n > 0 && p[SIG].revents != 0)
			pass_signal(sigfd, pidfd, master);
		if (n > 0 && p[END].revents != 0)
			gone = true;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (raw)
		(void)tcsetattr(0, TCSANOW, &before);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int oci_run(const struct oci_create_options *o, int (*delete)(const char *root, const char *id, struct oci_fault *fault),
	    int *ret_status, struct oci_fault *fault)
{
	int pair[2] = {-1, -1}, r = 0;
	struct made m = MADE_NULL;
	bool own = !o->detach && o->console_socket == NULL;

	if (own)
		r = container_console_pair(pair);
	if (r == 0)
		r = container_create(o, pair[0], &m, fault);
	(void)fd_close(pair[0]);
	if (r == 0 && own && container_master(pair[1], &m.master) < 0)
		m.master = -1; /* no terminal was asked for */
	(void)fd_close(pair[1]);
	if (r == 0)
		r = oci_start(o->root, o->id, fault);
	if (r == 0)
		*ret_status = o->detach ? 0 : container_wait(m.pid, m.pidfd, m.master);
	(void)fd_close(m.master);
	(void)fd_close(m.pidfd);
	if (m.pid > 0 && (r < 0 || (!o->detach && !o->keep))) {
		struct oci_fault f = OCI_FAULT_NULL;
		int e = delete(o->root, o->id, &f);
		if (e < 0)
			oci_log(OCI_WARNING, "%s", f.text);
	}
	return r;
}
