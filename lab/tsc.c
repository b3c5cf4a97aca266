// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Prints the frequency of the time stamp counter in MHz: what /proc/cpuinfo of a
 * node has to say for programs that turn counter differences into time. Measured,
 * because hypervisors often hide the CPUID leaf that tells it.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

struct stamp {
	uint64_t tsc, ns;
};

/* The pair read closest together of many: the others had an interruption between. */
static struct stamp stamp(void)
{
	struct stamp best = { 0 };
	uint64_t gap = UINT64_MAX;
	int i;

	for (i = 0; i < 200; i++) {
		struct timespec t;
		uint64_t a = __rdtsc(), b;

		clock_gettime(CLOCK_MONOTONIC, &t);
		b = __rdtsc();
		if (b - a < gap) {
			gap = b - a;
			best.tsc = a + (b - a) / 2;
			best.ns = t.tv_sec * 1000000000ull + t.tv_nsec;
		}
	}
	return best;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(void)
{
	struct timespec wait = { .tv_nsec = 20000000 };
	double mhz[5];
	int i;

	for (i = 0; i < 5; i++) {
		struct stamp a = stamp(), b;

		nanosleep(&wait, NULL);
		b = stamp();
		mhz[i] = (b.tsc - a.tsc) * 1000.0 / (b.ns - a.ns);
	}
	qsort(mhz, 5, sizeof(mhz[0]), compare);
	printf("%.3f\n", mhz[2]);
	return 0;
}
