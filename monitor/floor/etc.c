/*
 * Files written for the guest, on a tmpfs of the view, laid read-only over the host's: passwd and group, so
 * that the guest's ids have names and nobody else's accounts show; resolv.conf without the host's resolvers: it names the
 * relay, or nobody where the network is off. With a network, names go to the relay alone: nsswitch.conf asks files and DNS,
 * and hosts has the guest's own names only (the relay knows the host's).
 *
 * Should: keep system accounts (programs look them up). Mustn't: show a person's account, a password hash or
 * a name server of the host's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/credential/holder.h"
#include "monitor/floor/floor.h"
#include "monitor/relay/relay.h"
#include "util/err.h"
#include "util/fd.h"
#include "util/mount.h"

enum { SYSTEM_ID_MAX = 999, NOBODY = 65534 };

/* Copies the lines of FROM (passwd or group) whose third field is a system id other than the guest's and
 * whose name is not NAME. */
static void system_accounts(const char *from, FILE *out, unsigned int id, const char *name)
{
	FILE *in = fopen(from, "re");
	AUTO_FREE char *line = NULL;
	size_t size = 0;

	if (in == NULL)
		return;
	while (getline(&line, &size, in) > 0) {
		char who[64];
		unsigned int n;
		if (sscanf(line, "%63[^:]:%*[^:]:%u:", who, &n) != 2 || (n > SYSTEM_ID_MAX && n != NOBODY) ||
		    n == id || strcmp(who, name) == 0)
			continue;
		fputs(line, out);
	}
	fclose(in);
}

/* A file NAME on the directory DIR with what FILL writes; returned as a detached read-only mount. */
static int file_over(int dir, const char *name, const char *text, size_t len, int root, const char *target)
{
	AUTO_FD int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_now();
	if (write(fd, text, len) != (ssize_t)len)
		return err_now();
	AUTO_FD int tree = open_tree(dir, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0 ||
	    mount_attrs(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0,
			false) < 0)
		return err_now();
	AUTO_FD int at = view_mount_point(root, target, false);
	if (at == -EROFS || at == -ENOENT || at == -EXDEV || at == -ELOOP)
		return 0; /* the host has no such file: nothing to stand in for */
	if (at < 0)
		return at;
	return mount_attach(tree, at) < 0 ? err_now() : 0;
}

/*
 * Where /etc/resolv.conf is a link to what /run of the host has (systemd-resolved), that is missing in the view: the file is
 * put where the link leads to.
 */
static int resolv_over(int dir, const char *text, int root)
{
	char link[256];
	ssize_t n = readlinkat(root, "etc/resolv.conf", link, sizeof(link) - 1);
	const char *target = "/etc/resolv.conf", *at = link;

	if (n > 0) {
		link[n] = '\0';
		while (strncmp(at, "../", 3) == 0)
			at += 3;
		if (link[0] == '/')
			target = link;
		else if (at > link) {
			at--;
			target = at;
		}
	}
	return file_over(dir, "resolv.conf", text, strlen(text), root, target);
}

static int nsswitch_over(int dir, int root)
{
	AUTO_FREE char *line = NULL;
	char *text = NULL;
	size_t size = 0, len = 0;
	FILE *in = fopen("/etc/nsswitch.conf", "re");

	if (in == NULL)
		return 0; /* the C library asks files and DNS then */
	FILE *out = open_memstream(&text, &len);
	if (out == NULL) {
		fclose(in);
		return -ENOMEM;
	}
	while (getline(&line, &size, in) > 0)
		if (strncmp(line, "hosts:", 6) != 0)
			fputs(line, out);
	fputs("hosts: files dns\n", out);
	fclose(in);
	int r = fclose(out) == 0 ? file_over(dir, "nsswitch.conf", text, len, root, "/etc/nsswitch.conf") : -ENOMEM;
	free(text);
	return r;
}

/* The run's own names. */
static int hosts_over(int dir, int root)
{
	char name[256] = "", text[512];

	(void)gethostname(name, sizeof(name) - 1);
	int n = snprintf(text, sizeof(text), "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n%s%s%s",
			 name[0] ? "127.0.1.1\t" : "", name, name[0] ? "\n" : "");
	return file_over(dir, "hosts", text, (size_t)n, root, "/etc/hosts");
}

/* A file NAME on DIR with TEXT, to be read. */
static int write_file(int dir, const char *name, const char *text, size_t len)
{
	AUTO_FD int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

	for (size_t at = 0; fd >= 0 && at < len;) {
		ssize_t n = write(fd, text + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_now();
		at += (size_t)n;
	}
	return fd < 0 ? err_now() : 0;
}

/*
 * The run's CA, alone and behind the host's authorities; these over the files where programs look for them. Which ones the host
 * trusts is what the credential process goes by as well.
 */
static int trust_over(int dir, const char *ca, int root)
{
	static const char *const places[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
					     "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/ca-bundle.pem",
					     "/etc/ssl/cert.pem"};
	const char *store = credential_host_store();
	FILE *in = store ? fopen(store, "re") : NULL, *out;
	char *text = NULL, piece[4096];
	size_t len = 0, n;

	out = open_memstream(&text, &len);
	while (in && out && (n = fread(piece, 1, sizeof(piece), in)) > 0)
		(void)fwrite(piece, 1, n, out);
	if (in)
		fclose(in);
	if (!out)
		return -ENOMEM;
	fprintf(out, "\n%s", ca);
	int r = fclose(out) == 0 ? write_file(dir, "ca.pem", ca, strlen(ca)) : -ENOMEM;
	if (r == 0)
		r = write_file(dir, "ca-bundle.pem", text, len);
	for (size_t i = 0; r == 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		char name[32];
		struct stat st;

		(void)snprintf(name, sizeof(name), "ca-bundle.%zu", i);
		if (stat(places[i], &st) == 0)
			r = file_over(dir, name, text, len, root, places[i]);
	}
	free(text);
	return r;
}

int etc_mount(int root, const struct places *p, const struct floor_ids *ids)
{
	static const char off[] = "# written by gabion: the network is off\noptions timeout:1 attempts:1\n";
	static const char on[] = "# written by gabion: names are answered by its relay\nnameserver " RELAY_EDGE4
				 "\noptions timeout:5 attempts:2\n";
	AUTO_FD int dir = -1;
	{
		/* A directory of the view's own /run, where the guest sees what was written for it. */
		AUTO_FD int made = view_mount_point(root, "/run/gabion/etc", true);
		if (made < 0)
			return made;
		struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
				       .resolve = RESOLVE_IN_ROOT};
		dir = (int)syscall(SYS_openat2, root, "/run/gabion/etc", &how, sizeof(how));
		if (dir < 0)
			return err_now();
	}
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	if (f == NULL)
		return -ENOMEM;
	fprintf(f, "%s:x:%u:%u::%s:%s\n", p->user, (unsigned int)ids->uid, (unsigned int)ids->gid, p->home,
		p->shell);
	system_accounts("/etc/passwd", f, ids->uid, p->user);
	int r = fclose(f) == 0 ? file_over(dir, "passwd", text, len, root, "/etc/passwd") : -ENOMEM;
	free(text);
	text = NULL;
	f = r == 0 ? open_memstream(&text, &len) : NULL;
	if (f == NULL)
		return r < 0 ? r : -ENOMEM;
	fprintf(f, "%s:x:%u:\n", p->user, (unsigned int)ids->gid);
	system_accounts("/etc/group", f, ids->gid, p->user);
	r = fclose(f) == 0 ? file_over(dir, "group", text, len, root, "/etc/group") : -ENOMEM;
	free(text);
	if (r == 0)
		r = resolv_over(dir, p->network ? on : off, root);
	if (r == 0 && p->network)
		r = nsswitch_over(dir, root);
	if (r == 0 && p->network)
		r = hosts_over(dir, root);
	if (r == 0 && p->ca)
		r = trust_over(dir, p->ca, root);
	return r;
}
