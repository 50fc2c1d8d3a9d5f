/*
 * What a verdict costs: 10,000 rules, a path of ten components, all operations in turn over many paths, so that no one path stays
 * in the processor's caches alone. Processor time of the best of many short batches: what else runs is not measured.
 * Prints lines "WHAT NANOSECONDS".
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy.h"
#include "util/err.h"

enum { RULES = 10000, PATHS = 64, BATCHES = 200, ASKS = 1000 };

static uint64_t cpu_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static struct policy *make(void)
{
	struct policy_builder *b;
	struct policy *p;
	int r = policy_builder_new(&b);

	if (r == 0)
		r = policy_builder_add(b, RULE_WRITE, "/data0", "bench");
	for (int i = 1; r == 0 && i < RULES; i++) {
		char pattern[128];

		if (i % 50 == 0)
			(void)snprintf(pattern, sizeof(pattern), "/**/name%d/*.key", i);
		else
			(void)snprintf(pattern, sizeof(pattern),
				       "/data%d/team/project/src/module%d/deep/er/still/more/file%d.c", i % 7, i % 100, i);
		r = policy_builder_add(b, i % 3 ? RULE_HIDE : RULE_PROTECT, pattern, "bench");
	}
	if (r == 0)
		r = policy_compile(b, &p);
	(void)policy_builder_free(b);
	return r == 0 ? p : NULL;
}

static double best(const struct policy *p, char paths[][128], size_t n)
{
	static const enum op ops[] = { OP_READ, OP_WRITE, OP_STAT, OP_EXEC };
	uint64_t least = UINT64_MAX;
	unsigned int allowed = 0;

	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t before = cpu_ns(), took;

		for (unsigned int i = 0; i < ASKS; i++) {
			const char *path = paths[i % n];
			allowed += policy_path(p, ops[i % ARRAY_LEN(ops)], path, strlen(path)).kind;
		}
		took = cpu_ns() - before;
		least = took < least ? took : least;
	}
	/* What was asked must have been answered. */
	return allowed > ASKS * BATCHES ? 0 : (double)least / ASKS;
}

int main(void)
{
	struct policy *p = make();
	static char paths[PATHS][128];

	if (!p)
		return 1;
	for (int i = 0; i < PATHS; i++)
		(void)snprintf(paths[i], sizeof(paths[i]), "/data0/team/project/src/module%d/deep/er/still/more/file%d.c", i, i * 7);
	(void)printf("verdict-rules %.0f\n", best(p, paths, PATHS));
	for (int i = 0; i < PATHS; i++)
		(void)snprintf(paths[i], sizeof(paths[i]), "/data0/home/user/work/tree%d/with/no/rule/of/its/own%d", i, i);
	(void)printf("verdict-none %.0f\n", best(p, paths, PATHS));
	(void)policy_free(p);
	return 0;
}
