/*
 * probe: one attempt each at the kernel's other doors. Prints a line "NAME got ERRNO" for each: whether the
 * kernel did it, or at least took the call up (a bogus argument then is what it refuses), or "NAME held
 * ERRNO" where it was refused as such. With names as arguments only those. Run natively as root all of them
 * say got, or none says anything about gabion.
 *
 * Each attempt runs in a child of its own with two seconds to live: one that hangs or dies says so.
 */
#include <arpa/inet.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/if_alg.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/vm_sockets.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "attack.h"

#define NR_X32 0x40000000

/* Positive or 0: it went through. */
static long int80(void)
{
	long r;

	/* getpid of i386 */
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "r8", "r9", "r10", "r11", "memory");
	return r < 0 ? (errno = (int)-r, -1) : r;
}

static long x32(void)
{
	return syscall(NR_X32 + SYS_getpid);
}

static long clone_with(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return pid;
}

static long clone_user(void)
{
	return clone_with(CLONE_NEWUSER);
}

static long clone_net(void)
{
	return clone_with(CLONE_NEWNET);
}

static long clone3_user(void)
{
	struct clone_args a = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	long pid = syscall(SYS_clone3, &a, sizeof(a));

	if (pid == 0)
		_exit(0);
	return pid;
}

static long unshare_user(void)
{
	return unshare(CLONE_NEWUSER);
}

static long unshare_mount(void)
{
	return unshare(CLONE_NEWNS);
}

static long join_namespace(void)
{
	int fd = open("/proc/self/ns/uts", O_RDONLY);

	return fd < 0 ? -1 : setns(fd, CLONE_NEWUTS);
}

static long mount_tmpfs(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return -1;
	return mount("none", "/mnt", "tmpfs", 0, NULL);
}

static long new_mount_api(void)
{
	return syscall(SYS_fsopen, "tmpfs", 0);
}

static long tree_clone(void)
{
	return syscall(SYS_open_tree, AT_FDCWD, "/", 1);
}

static long detach(void)
{
	errno = 0;
	/* No mount point: EINVAL where one may ask. */
	return umount2("/usr", MNT_DETACH) == 0 || errno == EINVAL ? 0 : -1;
}

static long change_root(void)
{
	return chroot("/");
}

static long ring(void)
{
	char params[120] = "";

	return syscall(SYS_io_uring_setup, 2, params);
}

static long bpf(void)
{
	struct {
		uint32_t type, key, value, entries;
		char rest[112];
	} map = {1, 4, 4, 1, ""};

	return syscall(SYS_bpf, 0, &map, sizeof(map));
}

static long perf(void)
{
	struct perf_event_attr a = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(a), .config = PERF_COUNT_SW_TASK_CLOCK};

	return syscall(SYS_perf_event_open, &a, 0, -1, -1, 0);
}

static long page_faults(void)
{
	return syscall(SYS_userfaultfd, 0);
}

static long keyring(void)
{
	return syscall(SYS_add_key, "user", "attack", "x", 1, -3);
}

static long keyring_read(void)
{
	return syscall(SYS_keyctl, 0, -3, 1);
}

static long file_handle(void)
{
	char raw[sizeof(struct file_handle) + MAX_HANDLE_SZ] = "";
	struct file_handle *h = (struct file_handle *)raw;
	int mount_id, dir = open(".", O_RDONLY);

	h->handle_bytes = MAX_HANDLE_SZ;
	if (name_to_handle_at(AT_FDCWD, ".", h, &mount_id, 0) < 0)
		return -1;
	return open_by_handle_at(dir, h, O_RDONLY);
}

static long watch_all(void)
{
	return syscall(SYS_fanotify_init, 0, O_RDONLY);
}

static long kernel_log(void)
{
	char buf[64];

	return syscall(SYS_syslog, 3, buf, sizeof(buf));
}

static long module(void)
{
	errno = 0;
	/* No module: ENOEXEC or EFAULT where one may load. */
	(void)syscall(SYS_init_module, BAD, 8, "");
	return errno == EPERM || errno == ENOSYS ? -1 : 0;
}

static long port_access(void)
{
	return syscall(SYS_iopl, 3);
}

static long swap_on(void)
{
	(void)syscall(SYS_swapon, "/nowhere", 0);
	return errno == EPERM || errno == ENOSYS ? -1 : 0;
}

static long accounting(void)
{
	(void)syscall(SYS_acct, "/nowhere");
	return errno == EPERM || errno == ENOSYS ? -1 : 0;
}

static long clock_set(void)
{
	/* Sets nothing: no such second. */
	struct timespec ts = {0, -1};

	(void)syscall(SYS_clock_settime, CLOCK_REALTIME, &ts);
	return errno == EPERM ? -1 : 0;
}

static long host_name(void)
{
	char name[65] = "";

	if (gethostname(name, sizeof(name) - 1) < 0)
		return -1;
	return sethostname(name, strlen(name));
}

static long packet(void)
{
	return socket(AF_PACKET, SOCK_RAW, htons(3));
}

static long raw_ip(void)
{
	return socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
}

static long netlink_other(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
}

static long netlink_uevent(void)
{
	return socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT);
}

/* A family the kernel was built without answers EAFNOSUPPORT by itself: nothing to be held. */
static long crypto(void)
{
	return socket(AF_ALG, SOCK_SEQPACKET, 0);
}

static long vsock(void)
{
	return socket(AF_VSOCK, SOCK_STREAM, 0);
}

static long device(void)
{
	long r = mknod("attack.dev", S_IFCHR | 0600, (1 << 8) | 1);

	unlink("attack.dev");
	return r;
}

static long type_ahead(void)
{
	char c = 'x';
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), slave, unlock = 0;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return -1;
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (slave < 0 || setsid() < 0)
		return -1;
	(void)ioctl(slave, TIOCSCTTY, 0);
	/* Upper half: what the kernel does not look at. EIO: a kernel that has it turned off. */
	if (syscall(SYS_ioctl, slave, TIOCSTI, &c) == 0 || errno == EIO)
		return syscall(SYS_ioctl, slave, 0x100000000UL | TIOCSTI, &c) == 0 || errno == EIO ? 0 : -1;
	return -1;
}

static long line_discipline(void)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY), n = 0;

	return master < 0 ? -1 : ioctl(master, TIOCSETD, &n);
}

static long append_only(void)
{
	int fd = open("attack.attr", O_RDONLY | O_CREAT, 0644);
	long flags = 0x40; /* NODUMP */
	long r = fd < 0 ? -1 : ioctl(fd, 0x40086602, &flags);

	unlink("attack.attr");
	return r;
}

static long trace_first(void)
{
	return ptrace(PTRACE_SEIZE, 1, NULL, NULL);
}

static long memory_of_first(void)
{
	return open("/proc/1/mem", O_RDWR);
}

static long environment_of_first(void)
{
	return open("/proc/1/environ", O_RDONLY);
}

static long descriptors_of_first(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, 1, 0);

	return pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, 0, 0);
}

static long sysctl_write(void)
{
	return open("/proc/sys/kernel/core_pattern", O_WRONLY);
}

static long sysrq(void)
{
	return open("/proc/sysrq-trigger", O_WRONLY);
}

static long kernel_memory(void)
{
	return open("/proc/kcore", O_RDONLY);
}

static long block_device(void)
{
	/* By number, whatever it is called: the root file system's. */
	struct stat st;
	long r;

	if (stat("/etc", &st) < 0)
		return -1;
	r = mknod("attack.blk", S_IFBLK | 0600, st.st_dev);
	if (r == 0)
		r = open("attack.blk", O_RDONLY);
	unlink("attack.blk");
	return r;
}

static long listener(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = {1, &allow};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

static long read_implies_exec(void)
{
	return syscall(SYS_personality, 0x0400000);
}

static long memory_map(void)
{
	(void)syscall(SYS_prctl, 35 /* PR_SET_MM */, 8, 0, 0, 0);
	return errno == EPERM ? -1 : 0;
}

static long fresh_root(void)
{
	return syscall(SYS_pivot_root, "/nowhere", "/nowhere") == 0 || errno == ENOENT ? 0 : -1;
}

static const struct {
	const char *name;
	long (*run)(void);
} probes[] = {
	{"int80", int80},
	{"x32", x32},
	{"clone-user", clone_user},
	{"clone-net", clone_net},
	{"clone3-user", clone3_user},
	{"unshare-user", unshare_user},
	{"unshare-mount", unshare_mount},
	{"setns", join_namespace},
	{"mount", mount_tmpfs},
	{"fsopen", new_mount_api},
	{"open_tree", tree_clone},
	{"umount", detach},
	{"chroot", change_root},
	{"pivot_root", fresh_root},
	{"io_uring", ring},
	{"bpf", bpf},
	{"perf", perf},
	{"userfaultfd", page_faults},
	{"add_key", keyring},
	{"keyctl", keyring_read},
	{"open_by_handle_at", file_handle},
	{"fanotify", watch_all},
	{"syslog", kernel_log},
	{"init_module", module},
	{"iopl", port_access},
	{"swapon", swap_on},
	{"acct", accounting},
	{"clock_settime", clock_set},
	{"sethostname", host_name},
	{"packet", packet},
	{"raw", raw_ip},
	{"netlink-audit", netlink_other},
	{"netlink-uevent", netlink_uevent},
	{"alg", crypto},
	{"vsock", vsock},
	{"mknod-char", device},
	{"mknod-block", block_device},
	{"tiocsti", type_ahead},
	{"tiocsetd", line_discipline},
	{"file-flags", append_only},
	{"ptrace-1", trace_first},
	{"mem-1", memory_of_first},
	{"environ-1", environment_of_first},
	{"getfd-1", descriptors_of_first},
	{"core_pattern", sysctl_write},
	{"sysrq", sysrq},
	{"kcore", kernel_memory},
	{"listener", listener},
	{"personality", read_implies_exec},
	{"set_mm", memory_map},
};

static void attempt(size_t i)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork");
	if (pid == 0) {
		char line[96];
		long r;

		alarm(2);
		errno = 0;
		r = probes[i].run();
		snprintf(line, sizeof(line), "%s %s %s\n", probes[i].name, r < 0 ? "held" : "got",
			 r < 0 ? strerrorname_np(errno) : "0");
		(void)!write(1, line, strlen(line));
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	if (WIFSIGNALED(status))
		printf("%s %s\n", probes[i].name,
		       WTERMSIG(status) == SIGALRM  ? "hung"
		       : WTERMSIG(status) == SIGSYS ? "held SIGSYS"
						    : "died");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		bool wanted = argc < 2;

		for (int k = 1; k < argc; k++)
			wanted = wanted || strcmp(argv[k], probes[i].name) == 0;
		if (wanted)
			attempt(i);
	}
	return 0;
}
