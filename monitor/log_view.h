/* What `gabion log` shows beside one line a decision: stacks, and the tree of processes. */
#ifndef GABION_MONITOR_LOG_VIEW_H
#define GABION_MONITOR_LOG_VIEW_H

#include <jansson.h>

/* -- log_stack.c -- */

/* Keeps the stack EVENT tells of in STORE, an object. */
void log_stack_keep(json_t *store, const json_t *event);
/* Prints the frames EVENT holds, a line each. */
void log_stack_print(const json_t *event);
/* Prints the frames of the stack RECORD names, if STORE has them. */
void log_stack_of(const json_t *store, const json_t *record);

/* -- log_tree.c -- */

struct log_tree;

struct log_tree *log_tree_new(void);
/* Takes NULL, returns NULL. */
struct log_tree *log_tree_free(struct log_tree *t);
/* Adds a decision; SHOWN: it is listed below its process, else it only tells of the process. */
void log_tree_add(struct log_tree *t, json_t *record, int shown);
/* Prints the processes, each below its parent, and below each its decisions with PRINT. */
void log_tree_print(const struct log_tree *t, void (*print)(const json_t *record, void *arg), void *arg);

#endif
