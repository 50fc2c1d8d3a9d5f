/* Changes through descriptors, and memory files. What differs natively (whether one may be executed) is not
 * asked. */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/xattr.h>

#include "guest.h"

static void show_mode(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		die(path);
	SAY("%s %o", path, (unsigned int)st.st_mode);
}

static void changes(void)
{
	char value[8] = "";
	int rd, wr, dir, path, fds[2], sock;

	file("f", "x");
	rd = open("f", O_RDONLY);
	wr = open("f", O_WRONLY);
	dir = open(".", O_RDONLY | O_DIRECTORY);
	SHOW(SYS(fchmod, rd, 0600));
	show_mode("f");
	SHOW(SYS(fchmod, wr, 0x10000 | 0644));
	show_mode("f");
	SHOW(SYS(fchmod, dir, 0711));
	SHOW(SYS(fchmod, dir, 0755));
	SHOW(SYS(fchmod, -1, 0600));
	SHOW(SYS(fchmod, 999, 0600));
	SHOW(SYS(fchown, rd, -1, -1));
	SHOW(SYS(fchown, 999, -1, -1));
	SHOW(SYS(fsetxattr, rd, "user.a", "value", 5, 0));
	SHOW(SYS(fgetxattr, rd, "user.a", value, sizeof(value)));
	SAY("%s", value);
	SHOW(SYS(fsetxattr, rd, "user.a", "v", 1, XATTR_CREATE));
	SHOW(SYS(fsetxattr, rd, "user.b", "v", 1, XATTR_REPLACE));
	SHOW(SYS(fsetxattr, rd, "user.a", "v", 1, 0x100));
	SHOW(SYS(fsetxattr, rd, "user.a", NULL, 0, 0));
	SHOW(SYS(fsetxattr, rd, "user.a", BAD, 4, 0));
	SHOW(SYS(fsetxattr, rd, "user.a", "v", 100000, 0));
	SHOW(SYS(fsetxattr, rd, BAD, "v", 1, 0));
	SHOW(SYS(fsetxattr, rd, "", "v", 1, 0));
	SHOW(SYS(fsetxattr, 999, BAD, "v", 1, 0x100));
	SHOW(SYS(fremovexattr, rd, "user.a"));
	SHOW(SYS(fremovexattr, rd, "user.a"));
	SHOW(SYS(fremovexattr, rd, BAD));
	SHOW(SYS(fremovexattr, 999, "user.a"));
	path = open(".", O_PATH);
	if (with_opath)
		SHOW(SYS(fchmod, path, 0755));
	SHOW(unlink("f"));
	SHOW(SYS(fchmod, rd, 0640));
	if (pipe(fds) < 0)
		die("pipe");
	SHOW(SYS(fchmod, fds[0], 0600));
	sock = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(SYS(fchmod, sock, 0600));
}

static void memory(void)
{
	char *long_name = repeat("n", 249);
	struct stat st;
	int fd;

	fd = (int)SYS(memfd_create, tail_str("name"), MFD_CLOEXEC);
	SHOW(fcntl(fd, F_GETFD));
	SHOW(write(fd, "abc", 3));
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
	SHOW(fstat(fd, &st));
	SAY("size %ld, links %lu", (long)st.st_size, (unsigned long)st.st_nlink);
	fd = (int)SYS(memfd_create, "", MFD_ALLOW_SEALING);
	SHOW(fcntl(fd, F_GETFD));
	SHOW(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
	SHOW(ftruncate(fd, 100));
	SHOW(ftruncate(fd, 10));
	SHOW_OK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	SHOW(SYS(memfd_create, "x", 0x80));
	SHOW(SYS(memfd_create, "x", 0x8 | 0x10));
	SHOW(SYS(memfd_create, BAD, 0x80));
	SHOW(SYS(memfd_create, BAD, 0));
	SHOW_OK(SYS(memfd_create, long_name, 0));
	SHOW(SYS(memfd_create, repeat("n", 250), 0));
}

int main(int argc, char **argv)
{
	guest_begin(argc, argv);
	changes();
	memory();
	return 0;
}
