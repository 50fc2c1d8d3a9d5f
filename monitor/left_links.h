/*
 * Symbolic links a run leaves behind that lead, outside, to what the run could not see: an editor or agent that later writes
 * through one writes there; and files that make a git directory of one the run could fill. Collected from
 * the record while the run lasts, looked at once when it has ended.
 */
#ifndef GABION_MONITOR_LEFT_LINKS_H
#define GABION_MONITOR_LEFT_LINKS_H

#include <stdio.h>

#include "policy.h"
#include "record.h"

struct left_links;

enum { LEFT_LINKS_MAX = 4096 }; /* links remembered; those made beyond it are counted only */

int left_links_new(struct left_links **ret_l);
/* Takes NULL, returns it. */
struct left_links *left_links_free(struct left_links *l);
/* Looks at one permitted decision: links made, renamed, linked again. */
void left_links_note(struct left_links *l, const struct record *r);
/*
 * Writes a line to OUT for each remembered link that exists still and leads to what P hides, or to the host's side of a place
 * that was private to the run (its home), and for each .git file that names an unprotected git directory.
 * Returns how many. The host's file system is asked now.
 */
unsigned int left_links_print(const struct left_links *l, const struct policy *p, FILE *out);

#endif
