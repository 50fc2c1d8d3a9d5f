/*
 * Where a caller is: chdir, fchdir, working directories that were removed, moved or shut off, and the names procfs has for the caller's own
 * directories and descriptors (/proc/self, /proc/thread-self, /dev/fd), in every thread and after fork.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "guest.h"

/* getcwd(2) without what comes before our directory. */
static void where(int line)
{
	char buf[5000];
	long r = SYS(getcwd, buf, sizeof(buf));
	size_t n = strlen(guest_dir);

	if (r < 0)
		printf("%d:   in %s\n", line, strerrorname_np(errno));
	else if (strncmp(buf, guest_dir, n) == 0)
		printf("%d:   in @%s\n", line, buf + n);
	else
		printf("%d:   in %s\n", line, buf);
}

#define WHERE() where(__LINE__)

static void changes(void)
{
	int d = open("d", O_RDONLY | O_DIRECTORY), f = open("f", O_RDONLY);

	SHOW(SYS(chdir, tail_str("d")));
	WHERE();
	SHOW(SYS(chdir, ".."));
	SHOW(SYS(chdir, "ld/e"));
	WHERE();
	SHOW(SYS(chdir, guest_dir));
	SHOW(SYS(chdir, "f"));
	SHOW(SYS(chdir, "nothing"));
	SHOW(SYS(chdir, "loop"));
	SHOW(SYS(chdir, ""));
	SHOW(SYS(chdir, BAD));
	SHOW(SYS(chdir, "shut"));
	SHOW(SYS(chdir, "shut/x"));
	SHOW(SYS(chdir, repeat("a", 256)));
	SHOW(SYS(fchdir, d));
	WHERE();
	SHOW(SYS(fchdir, f));
	SHOW(SYS(fchdir, -1));
	SHOW(SYS(fchdir, 999));
	SHOW(SYS(open, "e/in", O_RDONLY) >= 0);
	SHOW(SYS(chdir, "/proc/self/cwd/.."));
	WHERE();
	SHOW(SYS(chdir, "/proc/self/fd/0"));
	close(d);
	close(f);
}

static void removed(void)
{
	struct stat st;
	char buf[100];

	if (mkdir("gone", 0755) < 0 || chdir("gone") < 0 || rmdir("../gone") < 0)
		die("gone");
	WHERE();
	SHOW(SYS(open, "x", O_RDWR | O_CREAT, 0644));
	SHOW(SYS(open, ".", O_RDONLY) >= 0);
	SHOW(SYS(open, "..", O_RDONLY) >= 0);
	SHOW(SYS(open, "../f", O_RDONLY) >= 0);
	SHOW(SYS(creat, "x", 0644));
	SHOW(SYS(open, ".", O_RDWR | O_TMPFILE, 0644));
	SHOW(SYS(mkdir, "x", 0755));
	SHOW(SYS(mknod, "x", S_IFIFO | 0644, 0));
	SHOW(SYS(mknod, "x", S_IFSOCK | 0644, 0));
	SHOW(SYS(symlink, "x", "y"));
	SHOW(SYS(link, "../f", "x"));
	SHOW(SYS(rename, "../f", "x"));
	SHOW(SYS(rename, "x", "../y"));
	SHOW(SYS(unlink, "x"));
	SHOW(SYS(rmdir, "."));
	SHOW(SYS(rmdir, "../gone"));
	SHOW(SYS(stat, ".", &st));
	SAY("links %ld", (long)st.st_nlink);
	SHOW(SYS(stat, "x", &st));
	SHOW(SYS(chmod, ".", 0700));
	SHOW(SYS(access, ".", W_OK));
	SHOW(SYS(chdir, "."));
	SHOW_OK(SYS(readlink, "/proc/self/cwd", buf, sizeof(buf)));
	/* Another of that name is another. */
	if (mkdir("../gone", 0755) < 0)
		die("gone again");
	SHOW(SYS(open, "x", O_RDWR | O_CREAT, 0644));
	SHOW(SYS(rename, "../gone", "../gone2"));
	SHOW(SYS(chdir, ".."));
	WHERE();
	SHOW(SYS(rmdir, "gone2"));
	SHOW(SYS(unlink, "y"));
	SHOW(SYS(access, "f", F_OK));
}

static void moved_and_shut(void)
{
	struct stat st;
	int inner;

	if (mkdir("a", 0755) < 0 || mkdir("a/b", 0755) < 0 || chdir("a/b") < 0)
		die("a/b");
	inner = open(".", O_RDONLY | O_DIRECTORY);
	SHOW(SYS(rename, "../../a", "../../moved"));
	WHERE();
	SHOW(SYS(open, "made", O_RDWR | O_CREAT, 0644) >= 0);
	SHOW(SYS(stat, "../../moved/b/made", &st));
	/* The way here is shut: what is here still works. */
	SHOW(SYS(chmod, "../../moved", 0));
	SHOW(SYS(open, "made", O_RDWR) >= 0);
	SHOW(SYS(open, "made2", O_RDWR | O_CREAT, 0644) >= 0);
	SHOW(SYS(mkdir, "m", 0755));
	SHOW(SYS(stat, "m", &st));
	SHOW(SYS(rename, "m", "n"));
	SHOW(SYS(chmod, "n", 0700));
	SHOW(SYS(unlink, "made2"));
	SHOW(SYS(rmdir, "n"));
	SHOW(SYS(stat, "..", &st));
	SHOW(SYS(stat, "../b", &st));
	SHOW(SYS(chdir, ".."));
	SHOW(SYS(openat, inner, "made", O_RDONLY) >= 0);
	SHOW(SYS(fchmod, inner, 0711));
	if (chdir(guest_dir) < 0)
		die("chdir");
	SHOW(SYS(fchdir, inner));
	SHOW(SYS(access, "made", R_OK | W_OK));
	if (chdir(guest_dir) < 0)
		die("chdir");
	SHOW(SYS(chmod, "moved", 0755));
	close(inner);
}

static void *in_thread(void *arg)
{
	char buf[200];
	struct stat a, b;
	long n;

	(void)arg;
	SHOW(SYS(stat, "/proc/thread-self/cwd/f", &a));
	n = SYS(readlink, "/proc/thread-self", buf, sizeof(buf) - 1);
	buf[n > 0 ? n : 0] = '\0';
	SAY("is a task's %d", strstr(buf, "/task/") != NULL);
	/* A working directory of its own. */
	SHOW(unshare(CLONE_FS));
	SHOW(SYS(chdir, "d"));
	SHOW(SYS(stat, "/proc/thread-self/cwd", &a));
	SHOW(SYS(stat, ".", &b));
	SAY("same %d", a.st_ino == b.st_ino);
	SHOW(SYS(stat, "e/in", &a));
	umask(077);
	SHOW(SYS(mkdir, "t", 0777));
	SHOW(SYS(stat, "t", &a));
	SAY("mode %o", (unsigned int)a.st_mode);
	SHOW(SYS(rmdir, "t"));
	return NULL;
}

static void names_of_self(void)
{
	char name[5000], buf[200];
	struct stat a, b;
	int fd = open("f", O_RDWR), d = open("d", O_RDONLY | O_DIRECTORY), status;
	pthread_t t;
	pid_t pid;
	long n;

	SHOW(SYS(stat, "/proc/self/cwd/f", &a));
	SHOW(SYS(fstat, fd, &b));
	SAY("same %d", a.st_ino == b.st_ino);
	n = SYS(readlink, "/proc/self", buf, sizeof(buf) - 1);
	buf[n > 0 ? n : 0] = '\0';
	SAY("self is me %d", atoi(buf) == getpid());
	snprintf(name, sizeof(name), "/proc/%d/cwd/f", getpid());
	SHOW(SYS(stat, name, &a));
	SAY("same %d", a.st_ino == b.st_ino);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	SHOW(SYS(stat, name, &a));
	SAY("same %d", a.st_ino == b.st_ino);
	SHOW(SYS(lstat, name, &a));
	SAY("link %o", (unsigned int)a.st_mode & S_IFMT);
	SHOW(SYS(chmod, name, 0604));
	SHOW(SYS(truncate, name, 2));
	SHOW(SYS(fstat, fd, &b));
	SAY("mode %o size %ld", (unsigned int)b.st_mode, (long)b.st_size);
	SHOW(SYS(open, "/proc/self/fd/999", O_RDONLY));
	SHOW(SYS(open, "/proc/self/fd/x", O_RDONLY));
	SHOW(SYS(open, "/proc/self/fd/0/x", O_RDONLY));
	snprintf(name, sizeof(name), "/dev/fd/%d/e/in", d);
	SHOW(SYS(open, name, O_RDONLY) >= 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d/../f", d);
	SHOW(SYS(open, name, O_RDONLY) >= 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d/new", d);
	SHOW(SYS(open, name, O_RDWR | O_CREAT | O_EXCL, 0644) >= 0);
	SHOW(SYS(rename, "d/new", name));
	SHOW(SYS(unlink, name));
	snprintf(name, sizeof(name), "/proc/self/root%s/f", guest_dir);
	SHOW(SYS(open, name, O_RDONLY) >= 0);
	SHOW(SYS(open, "/proc/self/exe", O_RDONLY) >= 0);
	SHOW(SYS(open, "/proc/self/status", O_RDONLY) >= 0);
	SHOW(SYS(open, "/proc/thread-self/status", O_RDONLY) >= 0);
	SHOW(SYS(open, "/proc/self/task/x", O_RDONLY));
	SHOW(SYS(open, "/proc/self", O_RDONLY | O_NOFOLLOW));
	SHOW(SYS(open, "/proc/self/", O_RDONLY | O_NOFOLLOW) >= 0);
	SHOW(SYS(open, "/proc/self/cwd", O_RDONLY | O_NOFOLLOW));
	SHOW(SYS(mkdir, "/proc/self/cwd/via", 0755));
	SHOW(SYS(rmdir, "via"));
	SHOW(SYS(rmdir, "/proc/self/cwd/d/e"));
	SHOW(SYS(access, "/proc/self/mem", R_OK));
	/* What was removed is there as long as it is open. */
	file("lost", "lost");
	close(fd);
	fd = open("lost", O_RDONLY);
	unlink("lost");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = SYS(readlink, name, buf, sizeof(buf) - 1);
	buf[n > 0 ? n : 0] = '\0';
	SAY("said to be deleted %d", strstr(buf, " (deleted)") != NULL);
	SHOW(SYS(open, name, O_RDWR) >= 0);
	SHOW(SYS(stat, name, &a));
	SHOW(SYS(link, name, "again"));
	SHOW(SYS(linkat, AT_FDCWD, name, AT_FDCWD, "again", AT_SYMLINK_FOLLOW));
	/* A file may be called so. */
	file("not (deleted)", "x");
	SHOW(SYS(open, "not (deleted)", O_RDWR) >= 0);
	close(fd);
	fd = open("not (deleted)", O_RDWR);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	SHOW(SYS(open, name, O_RDWR) >= 0);
	SHOW(SYS(fchmod, fd, 0600));
	/* Children and threads are themselves. */
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		snprintf(name, sizeof(name), "/proc/%d/cwd/d/e", getpid());
		SHOW(SYS(chdir, "d"));
		SHOW(SYS(stat, "/proc/self/cwd/e/in", &a));
		snprintf(name, sizeof(name), "/proc/%d/cwd/d/e/in", getppid());
		SHOW(SYS(stat, name, &b));
		SAY("same %d", a.st_ino == b.st_ino);
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (pthread_create(&t, NULL, in_thread, NULL) != 0)
		die("pthread_create");
	pthread_join(t, NULL);
	WHERE();
	close(fd);
	close(d);
}

int main(int argc, char **argv)
{
	guest_begin(argc, argv);
	file("f", "file");
	if (mkdir("d", 0755) < 0 || mkdir("d/e", 0755) < 0 || symlink("d", "ld") < 0 || symlink("loop", "loop") < 0 ||
	    mkdir("shut", 0) < 0)
		die("setup");
	file("d/e/in", "in");
	changes();
	if (chdir(guest_dir) < 0)
		die("chdir");
	removed();
	moved_and_shut();
	names_of_self();
	return chmod("shut", 0700) < 0;
}
