/*
 * Which part of a home directory a tool needs: the pure half of toolroots.c, in toolroots_layout.c. Nothing
 * here adds a place.
 */
#ifndef GABION_TOOLROOTS_H
#define GABION_TOOLROOTS_H

#include <limits.h>
#include <stdbool.h>

/* Why a path matters: it decides how much around it may be shown. Zero shows the least. */
enum tool_use {
	TOOL_KNOWN = 0, /* named by a file the guest may have written: known layouts only */
	TOOL_HOP,	/* a link on the way: the install that holds it, if there is one */
	TOOL_FILE,	/* the program reached: its install, its directory, or the file alone */
	TOOL_PATH,	/* a directory of PATH */
};

/* What is below the top of a home (HOME, /root, /home/X) in the canonical PATH; NULL: it lies in no home. "":
 * the home itself. */
const char *toolroots_below_home(const char *home, const char *path);
/* The canonical PATH, or something below it, is never shown: a credential store lies there or it holds other
 * people's things. */
bool toolroots_refused(const char *home, const char *path);
/*
 * The root to show for the canonical PATH, a directory where USE is TOOL_PATH, else a file. False: nothing
 * may be shown. RET_LAYOUT: the root is an install, complete in itself (not just the directory of the file).
 */
bool toolroots_choose(const char *home, const char *path, enum tool_use use, char ret_root[PATH_MAX],
		      bool *ret_layout);
/* What else must be shown with directory PATH of PATH, below the same home (".cargo/bin" needs ".rustup");
 * false: nothing. */
bool toolroots_companion(const char *home, const char *path, char ret_root[PATH_MAX]);
/* ROOT is a Homebrew prefix: RET_PARTS, NULL-terminated names below it that are shown in its place. */
bool toolroots_homebrew(const char *root, const char *const **ret_parts);
/* PATH is TOP or lies below it. */
bool toolroots_within(const char *path, const char *top);

#endif
