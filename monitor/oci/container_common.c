/* What making a container and exec share. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/oci/container_in.h"
#include "util/err.h"
#include "util/fd.h"

enum { CONFIG_BYTES_MAX = 32 << 20 };

int container_config(int dir, struct oci_config **ret_c, struct oci_fault *fault)
{
	AUTO_FREE char *text = NULL;
	struct stat st;
	size_t n = 0;
	AUTO_FD int fd = openat(dir, "config.json", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return oci_fail_errno(fault, err_now(), "the container's config.json");
	if (st.st_size > CONFIG_BYTES_MAX)
		return oci_fail_errno(fault, -EFBIG, "the container's config.json");
	text = malloc((size_t)st.st_size + 1);
	if (text == NULL)
		return -ENOMEM;
	for (ssize_t k = 1; n < (size_t)st.st_size && k > 0; n += k > 0 ? (size_t)k : 0)
		k = read(fd, text + n, (size_t)st.st_size - n);
	return oci_config_parse(text, n, ret_c, fault);
}

int container_filter_write(int dir, const struct filter_box *box)
{
	size_t n = box->len * sizeof(box->insns[0]);
	AUTO_FD int fd = openat(dir, "filter.bpf", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	return fd < 0 || write(fd, box->insns, n) != (ssize_t)n ? err_now() : 0;
}

int container_filter_read(int dir, struct filter_box *box)
{
	struct stat st;
	AUTO_FD int fd = openat(dir, "filter.bpf", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_now();
	if (st.st_size <= 0 || (size_t)st.st_size > sizeof(box->insns) || (size_t)st.st_size % sizeof(box->insns[0]) != 0)
		return -EINVAL;
	if (read(fd, box->insns, (size_t)st.st_size) != (ssize_t)st.st_size)
		return -EIO;
	box->len = (unsigned short)((size_t)st.st_size / sizeof(box->insns[0]));
	return 0;
}

int container_pid_file(const char *path, pid_t pid, struct oci_fault *fault)
{
	AUTO_FREE char *temp = NULL;
	const char *slash = strrchr(path, '/');
	int head = slash == NULL ? 0 : (int)(slash - path) + 1;

	if (asprintf(&temp, "%.*s.%s.%d", head, path, path + head, (int)getpid()) < 0) {
		temp = NULL;
		return -ENOMEM;
	}
	AUTO_FD int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || dprintf(fd, "%d", (int)pid) < 0 || rename(temp, path) < 0)
		return oci_fail_errno(fault, err_now(), "writing the pid file %s", path);
	return 0;
}

int container_take_listener(int pidfd, int value, int *ret_fd)
{
	int fd = value < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, value, 0);

	if (fd < 0)
		return value < 0 ? -EPROTO : err_now();
	*ret_fd = fd;
	return 0;
}

unsigned int container_preserve(unsigned int preserve, unsigned int *ret_listen)
{
	const char *text = getenv("LISTEN_FDS");
	unsigned long n = text == NULL ? 0 : strtoul(text, NULL, 10);

	*ret_listen = n > 0 && n < 1024 ? (unsigned int)n : 0;
	return preserve + *ret_listen;
}

int container_check_terminal(bool terminal, bool detach, const char *socket, struct oci_fault *fault)
{
	if (terminal && detach && socket == NULL)
		return oci_fail(fault, -EINVAL, "cannot allocate tty if runc will detach without setting console socket");
	if (!terminal && socket != NULL && socket[0] != '\0')
		return oci_fail(fault, -EINVAL, "cannot use console socket if runc will not detach or allocate tty");
	return 0;
}
