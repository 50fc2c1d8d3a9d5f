/*
 * Programs that are known to want namespaces of their own: they have a sandbox or container of their own, whose place gabion
 * takes, and each has another switch to turn it off. A name is the beginning of what the kernel calls the process (15 characters).
 */
#include "monitor/hint.h"

#include <stddef.h>
#include <string.h>

#include "nr.h"
#include "util/err.h"

#define CHROMIUM "start it with --no-sandbox: gabion is its sandbox here"

static const struct {
	const char *name;
	const char *what;
} known[] = {
	{ "chrom", CHROMIUM },
	{ "headless_shell", CHROMIUM },
	{ "electron", CHROMIUM },
	{ "msedge", CHROMIUM },
	{ "brave", CHROMIUM },
	{ "firefox", "set MOZ_DISABLE_CONTENT_SANDBOX=1 (--env): gabion is its sandbox here" },
	{ "codex", "gabion run --agent codex turns its own sandbox off" },
	{ "code", CHROMIUM },
	{ "claude", "gabion run --agent claude turns its own sandbox off" },
	{ "gemini", "gabion run --agent gemini turns its own sandbox off" },
	{ "bwrap", "turn off the sandbox of the program that starts bwrap (--agent NAME does it for the agents it knows)" },
	{ "srt", "turn off the sandbox of the program that starts it: gabion takes its place" },
	{ "nix", "use --option sandbox false: gabion is its sandbox here" },
	{ "bazel", "use --spawn_strategy=local: gabion is its sandbox here" },
	{ "linux-sandbox", "use bazel's --spawn_strategy=local: gabion is its sandbox here" },
	{ "podman", "containers are started outside of gabion" },
	{ "buildah", "containers are started outside of gabion" },
	{ "dockerd", "containers are started outside of gabion" },
	{ "rootlesskit", "containers are started outside of gabion" },
	{ "runc", "containers are started outside of gabion" },
	{ "crun", "containers are started outside of gabion" },
	{ "flatpak", "flatpak applications are started outside of gabion" },
};

const char *hint_namespaces(int nr, const char *comm)
{
	if (nr != NR_clone && nr != NR_unshare && nr != NR_setns)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (strncmp(comm, known[i].name, strlen(known[i].name)) == 0)
			return known[i].what;
	return "no option gives namespaces; if this is a sandbox of the program's own, turn it off: gabion takes its place";
}
