/*
 * The terminal of a container's process: a pair of its own devpts, held by descriptor throughout (CVE-2025-52565: what
 * is called /dev/pts/N or /dev/console in the image is never opened). The master goes to the engine's console socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "monitor/oci/inroot.h"
#include "monitor/oci/proc_apply.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

enum { DEVPTS_MAGIC = 0x1cd1 };

/* No link is followed, and nothing of procfs is covered: an image's /dev/console that leads there would lift a mask (CVE-2025-52565). */
static int bind_console(int root, int slave)
{
	AUTO_FD int fd = open_tree(slave, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	AUTO_FD int dir = -1;
	char name[256];
	int r = inroot_parent(root, "/dev/console", &dir, name);

	if (r < 0)
		return r;
	if (inroot_is_proc(dir))
		return -ELOOP;
	(void)fd_close(openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
	AUTO_FD int at = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	if (at < 0 || fstat(at, &st) < 0)
		return err_now();
	if (S_ISLNK(st.st_mode) || S_ISDIR(st.st_mode))
		return -ELOOP;
	return fd < 0 || mount_attrs(fd, 0, 0, false) < 0 || mount_attach(fd, at) < 0 ? err_now() : 0;
}

int console_open(const struct oci_proc *p, int root, bool bind, int *ret_master, int *ret_slave, struct oci_fault *fault)
{
	struct winsize size = {.ws_row = (unsigned short)p->rows, .ws_col = (unsigned short)p->columns};
	struct statfs fs;
	int unlock = 0, r = 0;
	AUTO_FD int master = inroot_open(root, "/dev/pts/ptmx", O_RDWR | O_NOCTTY, 0);

	if (master < 0)
		return oci_fail_errno(fault, master, "open /dev/pts/ptmx");
	if (fstatfs(master, &fs) < 0 || fs.f_type != DEVPTS_MAGIC)
		return oci_fail(fault, -ENOTTY, "/dev/pts/ptmx is not one of a devpts");
	if (ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return oci_fail_errno(fault, err_now(), "unlocking the terminal");
	AUTO_FD int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return oci_fail_errno(fault, err_now(), "opening the terminal");
	if (p->rows != 0 && p->columns != 0)
		(void)ioctl(master, TIOCSWINSZ, &size);
	/* Refused in a user namespace that does not map the user: the terminal is then as the devpts made it. */
	if (fchown(slave, p->uid, (gid_t)-1) < 0)
		oci_log(OCI_DEBUG, "the terminal stays its maker's: %s", oci_errno_text(errno));
	if (bind && (r = bind_console(root, slave)) < 0)
		return oci_fail_errno(fault, r, "mounting /dev/console");
	*ret_master = fd_steal(&master);
	*ret_slave = fd_steal(&slave);
	return 0;
}

int console_send(int socket, int master, const char *name)
{
	char text[64];
	struct iovec iov = {.iov_base = text};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = {.buf = {0}};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	iov.iov_len = (size_t)snprintf(text, sizeof(text), "%s", name);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &master, sizeof(int));
	return sendmsg(socket, &mh, MSG_NOSIGNAL) < 0 ? err_now() : 0;
}

int console_take(int slave)
{
	if (ioctl(slave, TIOCSCTTY, 0) < 0)
		return err_now();
	for (int fd = 0; fd < 3; fd++)
		if (dup2(slave, fd) < 0)
			return err_now();
	return 0;
}

int console_connect(const char *path, int *ret_fd, struct oci_fault *fault)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(a.sun_path))
		return oci_fail_errno(fault, -ENAMETOOLONG, "console socket %.200s", path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return oci_fail_errno(fault, err_now(), "dial unix %s: connect", path);
	*ret_fd = fd_steal(&fd);
	return 0;
}
