/* Questions to a policy file: what would happen to an object, and which line decides. For `gabion check`. */
#ifndef GABION_MONITOR_ASK_H
#define GABION_MONITOR_ASK_H

#include <stdbool.h>

#include "policy/lang.h"

struct ask;

/*
 * Reads the policy FILE and compiles its rules for a run from the current directory. M gets everything that is wrong or doubtful,
 * rules that can never count among it. 0, LANG_INVALID (M says why; nothing is returned), -ENOMEM, or another negative errno.
 */
int ask_new(const char *file, struct ask **ret_ask, struct lang_messages *m);
/* Takes NULL, returns NULL. */
struct ask *ask_free(struct ask *a);

struct ask_answer {
	const char *question; /* the caller's */
	bool allowed;
	char *object; /* as it was judged: a canonical path, HOST:PORT */
	char *why;    /* one line for people */
	char *rule;   /* "hide /etc/shadow"; NULL: no rule spoke */
	char *origin; /* "FILE:LINE:COL", "profile agent"; NULL: no rule spoke */
};

void ask_answer_clear(struct ask_answer *a);

/* Is WORD a question: read, write, exec, connect? */
bool ask_knows(const char *word);

/*
 * Asks QUESTION of OBJECT: a path (relative ones from here, ~ the home; links are followed as far as they lead), for connect
 * also HOST:PORT[/udp]. 0, -ENOMEM. An object that cannot be meant is refused, and .why says so.
 */
int ask_object(const struct ask *a, const char *question, const char *object, struct ask_answer *ret_answer);

#endif
