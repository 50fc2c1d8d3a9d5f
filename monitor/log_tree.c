/*
 * The tree of processes for `gabion log --tree`, as far as the record tells: every program that was executed and everything that
 * was refused names its process and that one's parent. A parent that never did either is not known by name. Numbers of processes are
 * those of the guest; one that was used again is one process here, with the names it had.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/log_view.h"
#include "monitor/text.h"
#include "util/err.h"

enum { PROCESSES_MAX = 65536, DEPTH_MAX = 40 };

struct process {
	json_int_t pid, ppid; /* ppid 0: not known */
	json_t *kept;	      /* its last record */
	json_t *program;      /* last one it executed */
	json_t *shown;	      /* array of records */
	bool printed;
};

struct log_tree {
	size_t n, room;
	struct process *v;
};

struct log_tree *log_tree_new(void)
{
	return calloc(1, sizeof(struct log_tree));
}

struct log_tree *log_tree_free(struct log_tree *t)
{
	if (t != NULL) {
		for (size_t i = 0; i < t->n; i++) {
			json_decref(t->v[i].kept);
			json_decref(t->v[i].shown);
			json_decref(t->v[i].program);
		}
		free(t->v);
		free(t);
	}
	return NULL;
}

static struct process *find(const struct log_tree *t, json_int_t pid)
{
	/* From the end: a record is mostly of a process seen just now. */
	for (size_t i = t->n; i > 0; i--)
		if (t->v[i - 1].pid == pid)
			return &t->v[i - 1];
	return NULL;
}

static struct process *get(struct log_tree *t, json_int_t pid)
{
	struct process *p = find(t, pid);

	if (p != NULL || t->n == PROCESSES_MAX)
		return p;
	if (t->n == t->room) {
		size_t room = t->room == 0 ? 64 : 2 * t->room;
		struct process *more = reallocarray(t->v, room, sizeof(*more));

		if (more == NULL)
			return NULL;
		t->v = more;
		t->room = room;
	}
	p = &t->v[t->n++];
	*p = (struct process){ .pid = pid, .shown = json_array() };
	return p;
}

void log_tree_add(struct log_tree *t, json_t *record, int shown)
{
	const json_t *group = json_object_get(record, "tgid");
	json_int_t pid = json_integer_value(json_is_integer(group) ? group : json_object_get(record, "pid"));
	struct process *p = get(t, pid);

	if (p == NULL)
		return;
	if (json_is_integer(json_object_get(record, "ppid")))
		p->ppid = json_integer_value(json_object_get(record, "ppid"));
	json_decref(p->kept);
	p->kept = json_incref(record);
	if (json_is_string(json_object_get(record, "op")) &&
	    strcmp(json_string_value(json_object_get(record, "op")), "exec") == 0 &&
	    strcmp(json_string_value(json_object_get(record, "verdict")), "allow") == 0) {
		json_decref(p->program);
		p->program = json_incref(json_object_get(record, "object"));
	}
	if (shown != 0)
		(void)json_array_append(p->shown, record);
}

static void show(const json_t *s)
{
	text_show(stdout, json_string_value(s), json_string_length(s));
}

static void print_process(struct process *p, unsigned int depth, void (*print)(const json_t *, void *), void *arg)
{
	const json_t *comm = json_object_get(p->kept, "comm"), *record;
	size_t i;

	p->printed = true;
	printf("%*s", (int)(2 * depth), "");
	if (json_is_string(p->program))
		show(p->program);
	else
		show(comm);
	printf(" [%lld]\n", (long long)p->pid);
	json_array_foreach(p->shown, i, record) {
		printf("%*s", (int)(2 * depth + 2), "");
		print(record, arg);
	}
}

static void print_below(const struct log_tree *t, json_int_t pid, unsigned int depth, void (*print)(const json_t *, void *), void *arg)
{
	for (size_t i = 0; i < t->n && depth <= DEPTH_MAX; i++) {
		struct process *p = &t->v[i];

		if (p->printed || p->ppid != pid || p->pid == pid)
			continue;
		print_process(p, depth, print, arg);
		print_below(t, p->pid, depth + 1, print, arg);
	}
}

void log_tree_print(const struct log_tree *t, void (*print)(const json_t *, void *), void *arg)
{
	/* First whose parent is not in the record; what is left then goes in circles or is too deep. */
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < t->n; i++) {
			struct process *p = &t->v[i];

			if (p->printed || (round == 0 && p->ppid != 0 && find(t, p->ppid) != NULL))
				continue;
			print_process(p, 0, print, arg);
			print_below(t, p->pid, 1, print, arg);
		}
}
