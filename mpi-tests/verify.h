/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What every MPI test shares: options, a data pattern that names its writer,
 * guarded buffers, and the checks that count what differed.
 */
#ifndef MPI_TESTS_VERIFY_H
#define MPI_TESTS_VERIFY_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))
#define MT_GUARD_BYTES 64

struct mt {
	const char *name;
	int rank;
	int np;
	bool long_run;
	uint64_t seed;
	uint64_t count;		/* operations; 0: the program's default */
	uint64_t random;	/* state of mt_random(), the same on every rank */
	unsigned long checks;
	unsigned long errors;
	bool corrupt;		/* flip a byte before the next check */
};

/* A receive buffer between two guards that nobody may write. */
struct mt_buf {
	unsigned char *base;
	unsigned char *data;
	size_t size;
	size_t armed;		/* bytes in front of the rear guard */
};

void mt_init(struct mt *m, int *argc, char ***argv, const char *name);

/* Collective. The exit status: 0 only if no check failed on any rank. */
int mt_end(struct mt *m);

uint64_t mt_random(struct mt *m);
size_t mt_random_below(struct mt *m, size_t limit);

/* The pattern depends on writer, seed and offset, so a stale, foreign or
 * shifted byte does not pass for the right one.
 */
void mt_fill(void *data, size_t len, int rank, uint64_t seed, size_t offset);

bool mt_check(struct mt *m, void *data, size_t len, int rank, uint64_t seed,
	      size_t offset, const char *what);
bool mt_equal(struct mt *m, void *got, const void *want, size_t len,
	      const char *what);
bool mt_equal_u64(struct mt *m, uint64_t got, uint64_t want, const char *what);

void mt_buf_alloc(struct mt_buf *b, size_t size);
void mt_buf_free(struct mt_buf *b);
void mt_buf_arm(struct mt_buf *b, size_t len);
bool mt_buf_guards(struct mt *m, struct mt_buf *b, const char *what);

/* Pattern and guards at once. */
bool mt_buf_check(struct mt *m, struct mt_buf *b, size_t len, int rank,
		  uint64_t seed, const char *what);

#endif
