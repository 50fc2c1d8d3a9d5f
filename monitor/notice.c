/* What `gabion run` says to people: see notice.h. */
#include "monitor/notice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "monitor/cli.h"
#include "monitor/doctor.h"
#include "monitor/policy_open.h"
#include "util/err.h"

bool notice_check_stdio(void)
{
	static const char *const names[] = {"standard input", "standard output", "standard error"};

	for (int fd = 0; fd < 3; fd++) {
		struct stat st;
		int flags = fcntl(fd, F_GETFL);
		if (flags < 0) {
			/* The lowest free number is FD itself. Closed again by the command's exec: for it all
			 * is as outside. */
			if (open("/dev/null", O_RDWR | O_CLOEXEC) != fd)
				return false;
			continue;
		}
		const char *what = NULL;
		if (fstat(fd, &st) < 0)
			what = "cannot be examined";
		else if ((flags & O_PATH) != 0)
			what = "is an O_PATH descriptor";
		else if (S_ISDIR(st.st_mode))
			what = "is a directory";
		else if (S_ISBLK(st.st_mode) ||
			 (S_ISCHR(st.st_mode) && !isatty(fd) && st.st_rdev != makedev(1, 3) &&
			  st.st_rdev != makedev(1, 5) && st.st_rdev != makedev(1, 7) &&
			  st.st_rdev != makedev(1, 9) && st.st_rdev != makedev(1, 8)))
			what = "is a device";
		if (what != NULL) {
			cli_error("redirect it to a file, a pipe or /dev/null",
				  "%s %s, which would be a way out of the sandbox", names[fd], what);
			return false;
		}
	}
	return true;
}

bool notice_may_degrade(int err, const char *stage)
{
	static const char *const hosts[] = {
		"namespaces",	      "id maps",	"a procfs of its own",
		"cloning mounts",     "private mounts", "mounting the root",
		"loopback",	      "pid namespace",	"ids of the user namespace",
		"private directories"};
	if (err != EPERM && err != EACCES && err != ENOSPC && err != EINVAL && err != ENOSYS &&
	    err != EUSERS && err != EOPNOTSUPP)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(hosts); i++)
		if (strcmp(stage, hosts[i]) == 0)
			return true;
	return false;
}

void notice_degraded(const struct launch_failure *f)
{
	fprintf(stderr,
		"gabion: no namespaces here (%s: %s): Landlock and seccomp only; `gabion doctor` tells what "
		"that costs\n",
		f->stage, strerror(f->err));
}

/* The doctor knows most causes, and their cures. */
static bool failed_by_host(void)
{
	struct doctor_facts facts;
	struct doctor_report report;

	if (doctor_probe(&facts) < 0)
		return false;
	doctor_judge(&facts, &report);
	if (!report.can_run)
		cli_error(doctor_cure(report.blocker), "cannot start: %s", doctor_cause(report.blocker));
	return !report.can_run;
}

void notice_failed(const struct launch_failure *f)
{
	const char *hint = "`gabion doctor` tells what this host offers";

	if (failed_by_host())
		return;
	if (strncmp(f->stage, "network edge", 12) == 0)
		hint = "rules about hosts need the veth driver (modprobe veth); without --net, and with --agent none, the network is off";
	if (strncmp(f->stage, "system call ", 12) == 0)
		hint = "gabion needs Linux 5.9, and an outer sandbox or container that does not refuse this call";
	cli_error(hint, "cannot start: %s: %s", f->stage, strerror(f->err));
}

static void list_line(const char *intro, const struct string_list *l)
{
	fprintf(stderr, "gabion: %s", intro);
	for (size_t i = 0; i < l->n; i++)
		fprintf(stderr, "%s%s", i == 0 ? " " : ", ", l->v[i]);
	fprintf(stderr, "\n");
}

void notice_start(const struct prepared *p, const struct run_options *o)
{
	if (p->agent != NULL) {
		fprintf(stderr,
			"gabion: agent %s: its hosts, key, state directory and settings are added (--agent none: "
			"not)%s%s\n",
			p->agent, p->agent_note == NULL ? "" : "; ",
			p->agent_note == NULL ? "" : p->agent_note);
	}
	if (p->ids.mode == FLOOR_BARE && p->net.published_count > 0)
		fprintf(stderr, "gabion: without namespaces --publish does nothing: no port can be bound\n");
	policy_messages_print(&p->warnings, true);
	if (p->dropped.n > 0)
		list_line("not passed on, they look like secrets (--env NAME passes one):", &p->dropped);
	if (p->ids.host_uid == 0 && !o->user_set)
		fprintf(stderr, "gabion: the guest is the host's root, without capabilities: its ids cannot "
				"be mapped here and root owns the workspace (--user picks another)\n");
}

const char *notice_exec_hint(const char *command, int err, const struct places *p)
{
	if (err == ENOENT && strchr(command, '/') == NULL)
		return "it is not in the guest's PATH; tools below your home are shown when PATH names their "
		       "directory (--exec DIR shows more)";
	if (err == ENOENT)
		return "it is not in the guest's view, or its interpreter is not (--read and --exec show "
		       "more of the host)";
	struct stat st;
	if (err == EACCES && strchr(command, '/') != NULL && stat(command, &st) == 0) {
		if (S_ISDIR(st.st_mode))
			return "it is a directory";
		if ((st.st_mode & 0111) == 0)
			return "nobody may execute it: chmod +x makes a program of it";
	}
	if (err == EACCES && p->home != NULL && strncmp(command, p->home, strlen(p->home)) == 0)
		return "nothing in the private home executes; --exec PATH allows it";
	if (err == EACCES)
		return "it is not executable there: what is written outside the workspace does not execute";
	return NULL;
}

static void step_summary(const struct audit *a, const char *run_id)
{
	const char *path = getenv("GITHUB_STEP_SUMMARY");
	int fd = path == NULL || path[0] == '\0'
			 ? -1
			 : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "a");

	if (f == NULL)
		return;
	audit_summary(a, f, true, run_id);
	fclose(f);
}

void notice_end(const struct audit *a, const char *run_id, uint64_t timeout_ms, const char *limit)
{
	if (timeout_ms != 0)
		fprintf(stderr, "gabion: ended after --timeout %.1fs\n", (double)timeout_ms / 1000);
	if (limit != NULL)
		fprintf(stderr, "gabion: %s\n", limit);
	audit_summary(a, stderr, false, run_id);
	audit_left_links(a, stderr);
	step_summary(a, run_id);
}
