/*
 * Asking tools where they get packages from. npm, pip and go are run; cargo has no stable command for it, so its
 * configuration and the registries it has used are read. What is run is the caller's own tool, on the host and with the
 * caller's rights, so it must not be one a guest could have put there: entries of PATH that are relative or lie in a
 * workspace are passed over, and it runs in /, where no project's configuration is found.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "monitor/environment.h"
#include "monitor/groups.h"
#include "util/err.h"
#include "util/fd.h"

enum { ASK_MS = 5000, ANSWER_MAX = 256 << 10 };

static int note(struct string_list *notes, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int note(struct string_list *notes, const char *fmt, ...)
{
	AUTO_FREE char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	return string_list_add(notes, text);
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strncmp(path, top, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* The executable NAME of PATH that no guest could have made; NULL: none. */
static char *find_tool(const char *name, const char *const *avoid)
{
	const char *given = getenv("PATH");
	AUTO_FREE char *path = strdup(given ? given : "/usr/local/bin:/usr/bin:/bin");
	char *save = NULL;

	for (char *dir = path ? strtok_r(path, ":", &save) : NULL; dir; dir = strtok_r(NULL, ":", &save)) {
		AUTO_FREE char *file = NULL;
		AUTO_FREE char *real = NULL;
		AUTO_FREE char *where = NULL;
		bool ours = dir[0] == '/';

		if (asprintf(&file, "%s/%s", dir, name) < 0) {
			file = NULL;
			return NULL;
		}
		if (!ours || access(file, X_OK) < 0)
			continue;
		real = realpath(file, NULL);
		where = realpath(dir, NULL);
		for (size_t i = 0; avoid && avoid[i]; i++)
			ours = ours && real && where && !is_below(real, avoid[i]) && !is_below(where, avoid[i]);
		if (ours)
			return STEAL(file);
	}
	return NULL;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

_Noreturn static void become(int out, char *const *argv)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0 || setpgid(0, 0) < 0 || chdir("/") < 0)
		_exit(127);
	(void)setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1", 1);
	(void)setenv("PIP_NO_INPUT", "1", 1);
	(void)setenv("NO_UPDATE_NOTIFIER", "1", 1);
	execv(argv[0], argv);
	_exit(127);
}

/* What ARGV prints; NULL where it fails or takes too long. */
static char *answer(char *const *argv)
{
	AUTO_FREE char *text = calloc(1, ANSWER_MAX + 1);
	uint64_t end = now_ms() + ASK_MS;
	size_t len = 0;
	int ends[2], status = -1;
	pid_t pid;

	if (!text || pipe2(ends, O_CLOEXEC) < 0)
		return NULL;
	AUTO_FD int in = ends[0];
	AUTO_FD int out = ends[1];

	pid = fork();
	if (pid < 0)
		return NULL;
	if (pid == 0)
		become(out, argv);
	(void)setpgid(pid, pid);
	out = fd_close(out);
	for (uint64_t now = now_ms(); len < ANSWER_MAX && now < end; now = now_ms()) {
		struct pollfd p = {.fd = in, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, (int)(end - now)) <= 0)
			continue;
		n = read(in, text + len, ANSWER_MAX - len);
		if (n <= 0 && errno != EINTR)
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	/* The tool may have closed its output and go on, and have started others. */
	while (now_ms() < end && waitpid(pid, &status, WNOHANG) == 0)
		(void)usleep(1000);
	(void)kill(-pid, SIGKILL);
	if (status == -1)
		(void)waitpid(pid, NULL, 0);
	return status == 0 ? STEAL(text) : NULL;
}

/* The host and port of the URL at S: "registry.example.org:443". NULL: none. Schemes may have more in front (sparse+https). */
static char *host_of(const char *s)
{
	const char *colon = strstr(s, "://"), *at, *host, *end;
	unsigned int port = 443;
	char *out = NULL;
	size_t len;

	if (!colon)
		return NULL;
	if (colon - s >= 4 && strncmp(colon - 4, "http", 4) == 0)
		port = 80;
	else if (colon - s >= 3 && strncmp(colon - 3, "ssh", 3) == 0)
		port = 22;
	host = colon + 3;
	len = strcspn(host, "/?# \t\r\n\"'`,|<>()");
	end = host + len;
	at = memrchr(host, '@', len);
	if (at)
		host = at + 1;
	len = (size_t)(end - host);
	if (len > 0 && host[0] != '[') {
		const char *sep = memchr(host, ':', len);

		if (sep) {
			port = (unsigned int)strtoul(sep + 1, NULL, 10);
			len = (size_t)(sep - host);
		}
	}
	if (len == 0 || len > 253 || port == 0 || port > 65535 ||
	    strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_[]:") < len)
		return NULL;
	return asprintf(&out, "%.*s:%u", (int)len, host, port) < 0 ? NULL : out;
}

static int add_once(struct string_list *hosts, const char *host)
{
	for (size_t i = 0; i < hosts->n; i++)
		if (strcmp(hosts->v[i], host) == 0)
			return 0;
	return string_list_add(hosts, host);
}

/* Adds the host of every URL in LEN bytes at S. */
static int add_urls(struct string_list *hosts, const char *s, size_t len)
{
	AUTO_FREE char *copy = strndup(s, len);
	int r = 0;

	if (!copy)
		return -ENOMEM;
	for (char *at = strstr(copy, "://"); r == 0 && at; at = strstr(at + 3, "://")) {
		char *start = at;

		while (start > copy && strchr("abcdefghijklmnopqrstuvwxyz+", start[-1]))
			start--;
		AUTO_FREE char *host = host_of(start);

		if (host && strncmp(start, "file", 4) != 0)
			r = add_once(hosts, host);
	}
	return r;
}

/* Reads a configuration file; NULL where there is none, or none to be read. */
static char *read_file(const char *path)
{
	AUTO_FREE char *text = calloc(1, ANSWER_MAX + 1);
	FILE *f = fopen(path, "re");
	size_t n;

	if (!f)
		return NULL;
	n = text ? fread(text, 1, ANSWER_MAX, f) : 0;
	(void)fclose(f);
	return n ? STEAL(text) : NULL;
}

static char *home_file(const char *name)
{
	const char *home = getenv("HOME");
	char *path = NULL;

	return home && asprintf(&path, "%s/%s", home, name) >= 0 ? path : NULL;
}

/* Adds the URLs of the lines of TEXT that hold WORD (NULL: of all lines) and are no comments. */
static int add_lines(struct string_list *hosts, const char *text, const char *word)
{
	int r = 0;

	for (const char *line = text; r == 0 && line && *line;) {
		size_t len = strcspn(line, "\n");
		size_t blank = strspn(line, " \t");

		if (line[blank] != '#' && line[blank] != ';' && (!word || memmem(line, len, word, strlen(word))))
			r = add_urls(hosts, line, len);
		line += len + (line[len] != '\0');
	}
	return r;
}

static int ask_npm(const char *tool, struct string_list *hosts, struct string_list *notes)
{
	char *argv[] = {(char *)(uintptr_t)tool, (char[]){"config"}, (char[]){"get"}, (char[]){"registry"}, NULL};
	AUTO_FREE char *text = answer(argv);
	AUTO_FREE char *path = home_file(".npmrc");
	AUTO_FREE char *own = path ? read_file(path) : NULL;
	int r = text ? add_lines(hosts, text, NULL) : 0;

	/* Registries of scopes: @scope:registry=URL. */
	if (r == 0 && own)
		r = add_lines(hosts, own, ":registry");
	if (r == 0 && hosts->n == 0)
		r = note(notes, "@npm: `npm config get registry` named no registry: no host is allowed by it");
	return r;
}

/* The index pip takes where nothing else is said, from its own help, and where that index keeps its files. */
static int ask_pip_default(const char *tool, const char *const *avoid, struct string_list *hosts, struct string_list *notes)
{
	char *help[] = {(char *)(uintptr_t)tool, (char[]){"download"}, (char[]){"--help"}, NULL};
	AUTO_FREE char *text = answer(help);
	AUTO_FREE char *python = find_tool("python3", avoid);
	char code[] = "from pip._internal.models.index import PyPI\nprint('https://' + PyPI.file_storage_domain)";
	char *files[] = {python, (char[]){"-I"}, (char[]){"-c"}, code, NULL};
	const char *at = text ? strstr(text, "default http") : NULL;
	AUTO_FREE char *domain = NULL;
	int r = at ? add_urls(hosts, at, strcspn(at, "\n)")) : 0;

	if (r < 0 || hosts->n == 0)
		return r;
	domain = python ? answer(files) : NULL;
	r = domain ? add_lines(hosts, domain, NULL) : 0;
	if (r == 0 && !domain)
		r = note(notes, "@pip: pip did not tell where its index keeps files: name that host under groups: as well");
	return r;
}

static int ask_pip(const char *tool, const char *const *avoid, struct string_list *hosts, struct string_list *notes)
{
	char *argv[] = {(char *)(uintptr_t)tool, (char[]){"config"}, (char[]){"list"}, NULL};
	AUTO_FREE char *text = answer(argv);
	struct string_list index = {NULL, 0};
	int r = text ? add_lines(&index, text, ".index-url") : 0;

	if (r == 0 && index.n == 0)
		r = ask_pip_default(tool, avoid, hosts, notes);
	string_list_free(&index);
	if (r == 0 && text)
		r = add_lines(hosts, text, "index-url");
	if (r == 0 && text)
		r = add_lines(hosts, text, "find-links");
	if (r == 0 && hosts->n == 0)
		r = note(notes, "@pip: pip's configuration named no index: no host is allowed by it");
	return r;
}

/* config.json of a registry's index tells where crates lie (dl) and where its interface is (api). */
static int cargo_index(const char *dir, const char *name, struct string_list *hosts)
{
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *sparse = NULL;
	AUTO_FREE char *text = NULL;
	const char *dash = strrchr(name, '-');
	int r = 0;

	if (!dash || asprintf(&path, "%s/%s/config.json", dir, name) < 0) {
		path = NULL;
		return dash ? -ENOMEM : 0;
	}
	text = read_file(path);
	if (asprintf(&sparse, "https://%.*s/", (int)(dash - name), name) < 0) {
		sparse = NULL;
		return -ENOMEM;
	}
	if (text && strchr(name, '.'))
		r = add_urls(hosts, sparse, strlen(sparse));
	return r == 0 && text ? add_urls(hosts, text, strlen(text)) : r;
}

static int ask_cargo(struct string_list *hosts, struct string_list *notes)
{
	static const char *const files[] = {"config.toml", "config"};
	const char *cargo = getenv("CARGO_HOME");
	AUTO_FREE char *home = cargo && cargo[0] == '/' ? strdup(cargo) : home_file(".cargo");
	AUTO_FREE char *index = NULL;
	int r = 0;

	if (!home)
		return note(notes, "@cargo: there is no HOME to look for cargo's configuration in");
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(files); i++) {
		AUTO_FREE char *path = NULL;
		AUTO_FREE char *text = NULL;

		if (asprintf(&path, "%s/%s", home, files[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		text = read_file(path);
		if (text)
			r = add_lines(hosts, text, "registry");
		if (r == 0 && text)
			r = add_lines(hosts, text, "index");
	}
	if (asprintf(&index, "%s/registry/index", home) < 0) {
		index = NULL;
		return -ENOMEM;
	}
	DIR *d = opendir(index);

	for (struct dirent *e = d ? readdir(d) : NULL; r == 0 && e; e = readdir(d))
		if (e->d_name[0] != '.')
			r = cargo_index(index, e->d_name, hosts);
	if (d)
		(void)closedir(d);
	if (r == 0 && hosts->n == 0)
		r = note(notes, "@cargo: its configuration names no registry and it has used none yet: no host is allowed by it "
				"(run `cargo fetch` once outside, or name the hosts under groups:)");
	return r;
}

static int ask_go(const char *tool, struct string_list *hosts, struct string_list *notes)
{
	char *argv[] = {(char *)(uintptr_t)tool, (char[]){"env"}, (char[]){"GOPROXY"}, (char[]){"GOSUMDB"}, NULL};
	AUTO_FREE char *text = answer(argv);
	const char *sum = text ? strchr(text, '\n') : NULL;
	int r = text ? add_lines(hosts, text, NULL) : 0;

	/* GOSUMDB is a name, not a URL, unless one stands behind it. */
	if (r == 0 && sum && sum[1] && !strstr(sum, "://") && strncmp(sum + 1, "off", 3) != 0) {
		AUTO_FREE char *url = NULL;

		if (asprintf(&url, "https://%.*s/", (int)strcspn(sum + 1, " +\n"), sum + 1) < 0) {
			url = NULL;
			return -ENOMEM;
		}
		r = add_urls(hosts, url, strlen(url));
	}
	if (r == 0 && hosts->n == 0)
		r = note(notes, "@go: `go env GOPROXY` named no proxy: no host is allowed by it");
	return r;
}

const char *const *groups_tools(void)
{
	static const char *const tools[] = {"npm", "pip", "cargo", "go", NULL};

	return tools;
}

int groups_ask(const char *tool, const char *const *avoid, struct string_list *hosts, struct string_list *notes)
{
	AUTO_FREE char *path = find_tool(tool, avoid);

	if (!path && strcmp(tool, "pip") == 0)
		path = find_tool("pip3", avoid);
	if (!path)
		return note(notes, "@%s: %s is not installed here, or only where the run can write: no host is allowed by it",
			    tool, tool);
	if (strcmp(tool, "npm") == 0)
		return ask_npm(path, hosts, notes);
	if (strcmp(tool, "pip") == 0)
		return ask_pip(path, avoid, hosts, notes);
	if (strcmp(tool, "cargo") == 0)
		return ask_cargo(hosts, notes);
	if (strcmp(tool, "go") == 0)
		return ask_go(path, hosts, notes);
	return -ENOENT;
}
