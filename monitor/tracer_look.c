/*
 * What was loaded, and what a stack looks like.
 *
 * At the exec stop the address space is new and has run nothing: it holds the program and its ELF interpreter, mapped from
 * files, and memory of the kernel's making. /proc/PID/exe leads to the program itself, whatever it is called; the maps name
 * the device and inode of every mapped file. The maps have no link a process without rights over the host may follow, and on
 * overlayfs and btrfs their device is not the one stat tells: so both sides of that comparison come from maps
 * (sentry/exec_chain.c maps the file itself to learn them).
 *
 * Syscalls: newfstatat, openat, read, readlink, close, ptrace, process_vm_readv, memfd_create, write, fcntl, sendmsg.
 */
#include "monitor/tracer_look.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

_Static_assert(sizeof(struct user_regs_struct) == sizeof(((struct tracer_snapshot *)NULL)->regs), "registers");

/* procfs hands out maps a page at a time at most. */
static char text[TRACER_MAPS_MAX];

static ssize_t read_maps(int proc_fd, pid_t pid, size_t room)
{
	char name[32];
	size_t len = 0;

	(void)snprintf(name, sizeof(name), "%d/maps", (int)pid);
	AUTO_FD int fd = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_now();
	while (len < room) {
		ssize_t n = read(fd, text + len, room - len);
		if (n < 0)
			return err_now();
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static bool is_mapped(const struct tracer_file *f, uint64_t dev, uint64_t ino)
{
	return f->map_ino != 0 && f->map_dev == dev && f->map_ino == ino;
}

/* Each line: START-END PERMS OFFSET MAJOR:MINOR INODE PATH, numbers but the inode in hexadecimal. */
static bool only_maps(const struct tracer_file *exe, const struct tracer_file *loader, size_t len)
{
	text[len] = '\0';
	for (char *line = text; line < text + len;) {
		char *end = strchr(line, '\n');
		char *at = line;

		if (end == NULL)
			return false;
		*end = '\0';
		for (int i = 0; i < 3 && at != NULL; i++) {
			at = strchr(at, ' ');
			at = at == NULL ? NULL : at + 1;
		}
		if (at == NULL)
			return false;
		unsigned int major = (unsigned int)strtoul(at, &at, 16);
		if (*at != ':')
			return false;
		unsigned int minor = (unsigned int)strtoul(at + 1, &at, 16);
		uint64_t ino = strtoull(at, &at, 10);
		uint64_t dev = makedev(major, minor);
		/* Without a file behind it both are 0; an inode of number 0 on a device would be a file. */
		if ((ino != 0 || dev != 0) && !is_mapped(exe, dev, ino) && !is_mapped(loader, dev, ino))
			return false;
		line = end + 1;
	}
	return true;
}

bool tracer_loaded(int proc_fd, pid_t pid, const struct tracer_file *exe, const struct tracer_file *loader)
{
	char name[32];
	struct stat st;

	if (exe->ino == 0)
		return false;
	(void)snprintf(name, sizeof(name), "%d/exe", (int)pid);
	if (fstatat(proc_fd, name, &st, 0) < 0 || st.st_dev != exe->dev || st.st_ino != exe->ino)
		return false;
	ssize_t len = read_maps(proc_fd, pid, sizeof(text) - 1);
	/* A full buffer may hide more. */
	return len > 0 && (size_t)len < sizeof(text) - 1 && only_maps(exe, loader, (size_t)len);
}

void tracer_name(int proc_fd, pid_t pid, char ret_name[TRACER_PATH_MAX])
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%d/exe", (int)pid);
	ssize_t n = readlinkat(proc_fd, name, ret_name, TRACER_PATH_MAX - 1);
	ret_name[n < 0 ? 0 : n] = '\0';
}

static int write_all(int fd, const void *buf, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, (const char *)buf + at, len - at);
		if (n < 0)
			return err_now();
		at += (size_t)n;
	}
	return 0;
}

static int send_snapshot(int socket, const struct tracer_snapshot *snap, int fd)
{
	struct tracer_snapshot copy = *snap;
	struct iovec iov = {.iov_base = &copy, .iov_len = sizeof(copy)};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} u = {.buf = {0}};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = u.buf, .msg_controllen = sizeof(u.buf)};

	u.align.cmsg_level = SOL_SOCKET;
	u.align.cmsg_type = SCM_RIGHTS;
	u.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&u.align), &fd, sizeof(int));
	return sendmsg(socket, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? err_now() : 0;
}

int tracer_snapshot_send(int proc_fd, pid_t tid, uint32_t bytes, struct tracer_snapshot *snap, int socket)
{
	enum { RED_ZONE = 128 };
	static char stack[TRACER_STACK_MAX];
	struct user_regs_struct regs;
	struct iovec set = {.iov_base = &regs, .iov_len = sizeof(regs)};

	if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &set) < 0)
		return err_now();
	memcpy(snap->regs, &regs, sizeof(snap->regs));
	snap->tid = tid;
	snap->stack_at = regs.rsp - RED_ZONE;
	struct iovec mine = {.iov_base = stack, .iov_len = bytes < sizeof(stack) ? bytes : sizeof(stack)};
	struct iovec its = {.iov_base = (void *)(uintptr_t)snap->stack_at, .iov_len = mine.iov_len};
	/* As far as it is mapped; a stack pointer that leads nowhere has no stack. */
	ssize_t n = process_vm_readv(tid, &mine, 1, &its, 1, 0);
	snap->stack_len = n > 0 ? (uint32_t)n : 0;
	n = read_maps(proc_fd, tid, sizeof(text));
	if (n < 0)
		return (int)n;
	while (n > 0 && text[n - 1] != '\n')
		n--;
	snap->maps_len = (uint32_t)n;

	AUTO_FD int fd = memfd_create("stack", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_now();
	int r = write_all(fd, stack, snap->stack_len);
	if (r == 0)
		r = write_all(fd, text, snap->maps_len);
	if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = err_now();
	return r < 0 ? r : send_snapshot(socket, snap, fd);
}
