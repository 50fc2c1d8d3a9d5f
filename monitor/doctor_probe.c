/*
 * Asking the kernel what it offers. Nothing is believed because of a version number where it can be tried: a
 * container, a security module or an outer sandbox may refuse what the kernel has. What would change this
 * process (filters, namespaces, mounts) is tried in a child that writes into shared memory what happened and
 * ends; the mounts it makes live in namespaces that end with it.
 */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fd.h"

/* Newer than some of the headers this is built with. */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#endif
#ifndef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

/* A child that has not answered after this was caught by something: what it had not tried stays untried. */
enum { PROBE_SECONDS = 10 };

static long read_number(const char *path)
{
	char buf[32];
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	if (n <= 0)
		return DOCTOR_UNKNOWN;
	buf[n] = '\0';
	return strtol(buf, NULL, 10);
}

static int write_text(const char *path, const char *text)
{
	AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);

	if (fd < 0)
		return errno;
	return write(fd, text, len) == (ssize_t)len ? 0 : errno;
}

/* Runs FN on FACTS (shared memory) in a child and waits for it. -errno where there is no child. */
static int in_child(void (*fn)(struct doctor_facts *), struct doctor_facts *facts)
{
	pid_t pid = fork();

	if (pid < 0)
		return err_now();
	if (pid == 0) {
		(void)alarm(PROBE_SECONDS);
		fn(facts);
		_exit(0);
	}
	while (waitpid(pid, NULL, 0) < 0) {
		if (errno != EINTR)
			return err_now();
	}
	return 0;
}

/* Installs a filter that asks about one number nobody calls. A listener where FLAGS ask for one. 0 or more,
 * or -errno. */
static int install_filter(unsigned int flags)
{
	uint32_t action =
		flags & SECCOMP_FILTER_FLAG_NEW_LISTENER ? SECCOMP_RET_USER_NOTIF : SECCOMP_RET_ALLOW;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 4095, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = ARRAY_LEN(code), .filter = code};
	long fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return -errno;
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	return fd < 0 ? -errno : (int)fd;
}

static void probe_filter(struct doctor_facts *f)
{
	int r = install_filter(0);

	f->filter_err = r < 0 ? -r : 0;
}

static void probe_listener(struct doctor_facts *f)
{
	struct seccomp_notif_addfd addfd;
	int fd = install_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);

	f->wait_killable_err = fd < 0 ? -fd : 0;
	if (fd < 0)
		fd = install_filter(SECCOMP_FILTER_FLAG_NEW_LISTENER);
	f->listener_err = fd < 0 ? -fd : 0;
	if (fd < 0)
		return;
	f->sync_wake_up_err =
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, 0) < 0 ? errno
												    : 0;
	/* Nobody waits under this id: ENOENT says that everything else about it was understood. */
	memset(&addfd, 0, sizeof(addfd));
	addfd.id = 1;
	addfd.srcfd = (uint32_t)fd;
	addfd.flags = SECCOMP_ADDFD_FLAG_SEND;
	f->addfd_send_err = ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &addfd) < 0 && errno != ENOENT ? errno : 0;
}

/* Reads a word of a child's memory, as the sentry reads its guests'. */
static int read_child_memory(void)
{
	static volatile uint64_t word = UINT64_C(0x6761);
	uint64_t got = 0;
	struct iovec local = {.iov_base = &got, .iov_len = sizeof(got)};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)&word, .iov_len = sizeof(word)};
	int gate[2], err = 0;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC) < 0)
		return errno;
	pid = fork();
	if (pid == 0) {
		char c;
		(void)close(gate[1]);
		(void)!read(gate[0], &c, 1); /* until the parent is done, or gone */
		_exit(0);
	}
	if (pid < 0)
		err = errno;
	else if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)sizeof(got))
		err = errno ? errno : EIO;
	else if (got != word)
		err = EIO;
	(void)close(gate[0]);
	(void)close(gate[1]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return err;
}

static int try_mount_api(void)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
	AUTO_FD int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	AUTO_FD int mnt = -1;
	AUTO_FD int tree = -1;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return errno;
	mnt = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (mnt < 0 || syscall(SYS_mount_setattr, mnt, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return errno;
	tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	return tree < 0 ? errno : 0;
}

/* First process of the nested pid namespace. */
static void probe_nested(struct doctor_facts *f)
{
	f->nested_memory_err = read_child_memory();
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		f->mount_api_err = f->proc_err = errno;
		return;
	}
	f->mount_api_err = try_mount_api();
	f->proc_err = mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ? errno : 0;
}

static void probe_userns(struct doctor_facts *f)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();

	f->userns_err = unshare(CLONE_NEWUSER) < 0 ? errno : 0;
	if (f->userns_err)
		return;
	f->map_err = write_text("/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof(map), "0 %u 1", uid);
	if (f->map_err == 0)
		f->map_err = write_text("/proc/self/uid_map", map);
	(void)snprintf(map, sizeof(map), "0 %u 1", gid);
	if (f->map_err == 0)
		f->map_err = write_text("/proc/self/gid_map", map);
	if (f->map_err)
		return;
	f->namespaces_err =
		unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0 ? errno
												     : 0;
	if (f->namespaces_err == 0 && in_child(probe_nested, f) < 0)
		f->namespaces_err = ENOMEM;
}

/* Maps the ids of a mount of the current directory; needs a user namespace to name the map. */
static void probe_idmap(struct doctor_facts *f)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_IDMAP};
	char path[64], c = 0;
	int ready[2], gate[2], tree, userns = -1;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(gate, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid < 0)
		return;
	if (pid == 0) {
		(void)close(gate[1]);
		if (unshare(CLONE_NEWUSER) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		(void)!read(gate[0], &c, 1);
		_exit(0);
	}
	(void)close(ready[1]);
	(void)close(gate[0]);
	tree = (int)syscall(SYS_open_tree, AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		f->idmap_err = errno;
	if (tree >= 0 && read(ready[0], &c, 1) == 1) {
		(void)snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
		(void)write_text(path, "0 100000 65536");
		(void)snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
		(void)write_text(path, "0 100000 65536");
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
		userns = open(path, O_RDONLY | O_CLOEXEC);
		attr.userns_fd = (uint64_t)(int64_t)userns;
		f->idmap_err = syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0
				       ? errno
				       : 0;
	}
	(void)close(gate[1]);
	(void)waitpid(pid, NULL, 0);
}

static bool has_caps(void)
{
	static const cap_value_t wanted[] = {CAP_SYS_ADMIN, CAP_SETUID, CAP_SETGID};
	cap_t caps = cap_get_proc();
	bool all = caps != NULL;

	for (size_t i = 0; i < ARRAY_LEN(wanted) && all; i++) {
		cap_flag_value_t v = CAP_CLEAR;
		all = cap_get_flag(caps, wanted[i], CAP_EFFECTIVE, &v) == 0 && v == CAP_SET;
	}
	if (caps)
		(void)cap_free(caps);
	return all;
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = strstr(list, word); p; p = strstr(p + 1, word)) {
		if ((p == list || p[-1] == ' ' || p[-1] == ',') && (p[len] == '\0' || strchr(" ,\n", p[len])))
			return true;
	}
	return false;
}

/* One line of /proc/self/cgroup: "ID:CONTROLLERS:PATH". */
static void probe_cgroup_line(struct doctor_facts *f, const char *controllers, const char *path)
{
	bool v2 = *controllers == '\0';
	char dir[4096 + 64], file[4096 + 96], list[256] = "";
	const char *base = v2 ? (f->cgroup == 2 ? "" : "/unified") : controllers;
	size_t n;

	/* "cpu,cpuacct" is also reachable under each of its names. */
	n = (size_t)snprintf(dir, sizeof(dir), "/sys/fs/cgroup%s%.*s%s", v2 ? "" : "/",
			     (int)strcspn(base, ","), base, path);
	if (n >= sizeof(dir) || access(dir, W_OK) != 0)
		return;
	if (!v2) {
		f->cgroup_memory |= has_word(controllers, "memory");
		f->cgroup_cpu |= has_word(controllers, "cpu");
		f->cgroup_pids |= has_word(controllers, "pids");
		f->cgroup_writable |= f->cgroup_memory || f->cgroup_cpu || f->cgroup_pids;
		return;
	}
	f->cgroup_kill = f->major > 5 || (f->major == 5 && f->minor >= 14);
	if (f->cgroup != 2)
		return;
	f->cgroup_writable = true;
	(void)snprintf(file, sizeof(file), "%s/cgroup.controllers", dir);
	{
		AUTO_FD int fd = open(file, O_RDONLY | O_CLOEXEC);
		ssize_t got = fd < 0 ? -1 : read(fd, list, sizeof(list) - 1);
		list[got > 0 ? got : 0] = '\0';
	}
	f->cgroup_memory = has_word(list, "memory");
	f->cgroup_cpu = has_word(list, "cpu");
	f->cgroup_pids = has_word(list, "pids");
}

static void probe_cgroup(struct doctor_facts *f)
{
	struct statfs fs;
	char line[4096 + 256];
	FILE *in;

	if (statfs("/sys/fs/cgroup", &fs) < 0)
		return;
	if (fs.f_type == CGROUP2_SUPER_MAGIC)
		f->cgroup = 2;
	else if (fs.f_type == TMPFS_MAGIC)
		f->cgroup = statfs("/sys/fs/cgroup/unified", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC
				    ? 12
				    : 1;
	else
		return;
	in = fopen("/proc/self/cgroup", "re");
	if (!in)
		return;
	while (fgets(line, sizeof(line), in)) {
		char *controllers = strchr(line, ':'), *path;

		line[strcspn(line, "\n")] = '\0';
		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!path)
			continue;
		*controllers++ = '\0';
		*path++ = '\0';
		probe_cgroup_line(f, controllers, path);
	}
	(void)fclose(in);
}

static void probe_kernel(struct doctor_facts *f)
{
	struct utsname u;

	if (uname(&u) != 0)
		return;
	(void)snprintf(f->release, sizeof(f->release), "%.120s", u.release);
	(void)sscanf(u.release, "%u.%u", &f->major, &f->minor);
	f->wsl = strstr(u.release, "microsoft") || strstr(u.release, "WSL");
}

int doctor_probe(struct doctor_facts *ret_facts)
{
	struct doctor_facts *f =
		mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int *untried[7], r;
	long n;

	if (f == MAP_FAILED)
		return err_now();
	untried[0] = &f->userns_err;
	untried[1] = &f->map_err;
	untried[2] = &f->namespaces_err;
	untried[3] = &f->proc_err;
	untried[4] = &f->mount_api_err;
	untried[5] = &f->nested_memory_err;
	untried[6] = &f->idmap_err;
	for (size_t i = 0; i < ARRAY_LEN(untried); i++)
		*untried[i] = DOCTOR_UNTRIED;
	f->filter_err = f->listener_err = DOCTOR_UNTRIED;
	f->sync_wake_up_err = f->wait_killable_err = f->addfd_send_err = DOCTOR_UNTRIED;

	probe_kernel(f);
	f->root = geteuid() == 0 && has_caps();
	n = prctl(PR_GET_SECCOMP, 0, 0, 0, 0);
	f->seccomp_mode = n < 0 ? 0 : (int)n;
	f->max_userns = read_number("/proc/sys/user/max_user_namespaces");
	f->userns_clone = read_number("/proc/sys/kernel/unprivileged_userns_clone");
	f->apparmor_userns = read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
	f->yama = read_number("/proc/sys/kernel/yama/ptrace_scope");

	/* Descriptors that are none: the kernel says EBADF, a filter something else. */
	f->getfd_err = syscall(SYS_pidfd_getfd, -1, -1, 0) < 0 && errno != EBADF ? errno : 0;
	f->io_uring_err = syscall(SYS_io_uring_setup, 1, NULL) < 0 && errno != EFAULT ? errno : 0;
	n = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	f->landlock_abi = n < 0 ? 0 : (int)n;
	f->landlock_err = n < 0 ? errno : 0;
	f->memory_err = read_child_memory();
	probe_cgroup(f);

	r = in_child(probe_filter, f);
	if (r == 0)
		r = in_child(probe_listener, f);
	if (r == 0)
		r = in_child(probe_userns, f);
	if (r == 0 && f->root)
		r = in_child(probe_idmap, f);
	if (r == 0)
		*ret_facts = *f;
	(void)munmap(f, sizeof(*f));
	return r;
}
