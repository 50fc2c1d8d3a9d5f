/*
 * What the benchmark programs share: a clock, a sorted view of samples, and failing. None of them links gabion: what runs inside is the
 * same program that runs outside.
 */
#ifndef GABION_BENCH_H
#define GABION_BENCH_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Sorts V. The middle of an even number is the lower one: a value that was measured. */
static inline uint64_t median(uint64_t *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n == 0 ? 0 : v[(n - 1) / 2];
}

/* A measurement that cannot be made is no figure: the caller sees the status and shows none. */
static inline _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

#endif
