/*
 * Reading git's configuration format exactly as git does (git-config(1), "CONFIGURATION FILE", and what git really accepts:
 * keys before any section, a section and a key on one line, the old [section.subsection], a byte order mark, a last line
 * without newline). Includes are not followed: they are keys like others. Pure; the caller owns all memory.
 */
#ifndef GABION_POLICY_GITCONFIG_H
#define GABION_POLICY_GITCONFIG_H

#include <stdbool.h>
#include <stddef.h>

enum {
	GIT_NAME_MAX = 4095, /* bytes of section, subsection and key; git has no limit, we refuse longer ones */
	GIT_END = 1,	     /* git_next(): no entry is left */
};

/* One assignment. The name is section.subsection.key or section.key, section and key in lower case; NUL-terminated. */
struct git_entry {
	const char *name;
	size_t name_len;
	const char *value; /* NULL: there was no =, which means true; else NUL-terminated */
	size_t value_len;
	bool plain; /* on one line: a reader that knows no continued lines sees the same */
};

struct git_reader {
	const char *text;
	size_t len, pos;
	bool eof;
	bool inside; /* past the byte order mark */
	char name[GIT_NAME_MAX + 1];
	size_t base_len; /* of name: what the section header says, with its dot */
	char *value;
};

/* Starts reading TEXT of LEN bytes; VALUE has room for LEN + 1 bytes. Both must outlive R. */
void git_open(struct git_reader *r, const char *text, size_t len, char *value);
/*
 * The next entry, which is good until the next call: 0, GIT_END, or -EINVAL where git would refuse the file (and for a NUL
 * byte and a name that is too long, which it would not).
 */
int git_next(struct git_reader *r, struct git_entry *ret_entry);

#endif
