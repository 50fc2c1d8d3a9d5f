/*
 * Stacks for `gabion log`. A stack is an object of its own in the record, written some milliseconds after the refusal
 * it belongs to and tied to it by a number that counts from 1 in each run.
 */
#include <stdio.h>
#include <string.h>

#include "monitor/log_view.h"
#include "monitor/text.h"
#include "util/err.h"

/* "RUN/NUMBER", or an empty string where OBJECT names no stack. */
static void key_of(const json_t *object, char *key, size_t size)
{
	const char *run = json_string_value(json_object_get(object, "run"));
	json_int_t n = json_integer_value(json_object_get(object, "stack"));

	key[0] = '\0';
	if (n > 0)
		(void)snprintf(key, size, "%.64s/%lld", run != NULL ? run : "", (long long)n);
}

void log_stack_keep(json_t *store, const json_t *event)
{
	char key[96];

	key_of(event, key, sizeof(key));
	if (key[0] != '\0')
		(void)json_object_set_new(store, key, json_deep_copy(event));
}

static void show(const json_t *s)
{
	text_show(stdout, json_string_value(s), json_string_length(s));
}

static void print_frame(size_t i, const json_t *f)
{
	const json_t *symbol = json_object_get(f, "symbol"), *object = json_object_get(f, "object"),
		     *id = json_object_get(f, "build_id"), *ip = json_object_get(f, "ip");

	printf("    #%zu ", i);
	if (json_is_string(symbol)) {
		show(symbol);
		putchar('+');
		show(json_object_get(f, "symbol_offset"));
	} else {
		show(ip);
	}
	if (json_is_string(object)) {
		fputs(" in ", stdout);
		show(object);
	}
	if (json_is_string(json_object_get(f, "offset"))) {
		putchar('+');
		show(json_object_get(f, "offset"));
	}
	if (json_is_string(id)) {
		fputs(" (build ", stdout);
		show(id);
		putchar(')');
	}
	putchar('\n');
}

void log_stack_print(const json_t *event)
{
	const json_t *frames = json_object_get(event, "frames");
	const json_t *frame;
	size_t i;

	if (json_array_size(frames) == 0)
		puts("    (its stack could not be unwound)");
	json_array_foreach(frames, i, frame) {
		print_frame(i, frame);
	}
	if (json_array_size(frames) > 0 && !json_is_true(json_object_get(event, "whole")))
		puts("    ...");
}

void log_stack_of(const json_t *store, const json_t *record)
{
	const json_t *event;
	char key[96];

	key_of(record, key, sizeof(key));
	event = key[0] == '\0' ? NULL : json_object_get(store, key);
	if (event != NULL)
		log_stack_print(event);
}
