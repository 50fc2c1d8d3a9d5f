/* Other names of hidden files: an index by device and inode, made once before the guest runs. */
#ifndef GABION_SENTRY_HIDDEN_LINKS_H
#define GABION_SENTRY_HIDDEN_LINKS_H

#include <stddef.h>

#include "policy.h"

struct hidden_links;

enum { HIDDEN_LINKS_WALK_MAX = 200000 }; /* names looked at, all places together */

/*
 * Walks what the hide rules of P may hide where nothing is mounted over it (policy_hides_within()), below the root ROOT_FD.
 * 0, and *ret_links is NULL where nothing hidden has a second name; negative errno. *RET_CUT: the bound was met, and files
 * behind it are hidden by name only.
 */
int hidden_links_index(const struct policy *p, int root_fd, struct hidden_links **ret_links, bool *ret_cut);
struct hidden_links *hidden_links_free(struct hidden_links *l);
/* The id of the hide rule that hides the file FD by another name of it; -1: none does. L may be NULL. */
int hidden_links_rule(const struct hidden_links *l, int fd);

#endif
