// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify.h"

#define GUARD_BYTE	0xa5
#define STALE_BYTE	0xee
#define ERRORS_PRINTED	8

static uint64_t mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ull;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static uint64_t pattern_key(int rank, uint64_t seed)
{
	return mix(seed * 0x9e3779b97f4a7c15ull + (uint64_t)rank + 1);
}

static unsigned char pattern_byte(uint64_t key, size_t at)
{
	uint64_t word = mix(key + at / 8);

	return word >> (8 * (at % 8));
}

static void usage(const char *name, int status)
{
	fprintf(stderr, "usage: %s [--long] [--seed N] [--count N]\n", name);
	exit(status);
}

void mt_init(struct mt *m, int *argc, char ***argv, const char *name)
{
	const char *corrupt = getenv("MPI_TESTS_CORRUPT");
	int i;

	memset(m, 0, sizeof(*m));
	m->name = name;
	m->seed = 1;
	MPI_Init(argc, argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &m->rank);
	MPI_Comm_size(MPI_COMM_WORLD, &m->np);
	for (i = 1; i < *argc; i++) {
		const char *arg = (*argv)[i];

		if (!strcmp(arg, "--long"))
			m->long_run = true;
		else if (!strcmp(arg, "--seed") && i + 1 < *argc)
			m->seed = strtoull((*argv)[++i], NULL, 0);
		else if (!strcmp(arg, "--count") && i + 1 < *argc)
			m->count = strtoull((*argv)[++i], NULL, 0);
		else
			usage(name, 2);
	}
	m->random = mix(m->seed);
	if (m->np < 2) {
		fprintf(stderr, "%s: needs two ranks or more\n", name);
		MPI_Abort(MPI_COMM_WORLD, 2);
	}
	if (corrupt && !strncmp(corrupt, "rank:", 5))
		m->corrupt = atoi(corrupt + 5) == m->rank;
	else if (corrupt && *corrupt && strcmp(corrupt, "0"))
		m->corrupt = true;
}

int mt_end(struct mt *m)
{
	unsigned long own[2] = { m->checks, m->errors };
	unsigned long sum[2], least;

	MPI_Allreduce(own, sum, 2, MPI_UNSIGNED_LONG, MPI_SUM, MPI_COMM_WORLD);
	MPI_Allreduce(own, &least, 1, MPI_UNSIGNED_LONG, MPI_MIN,
		      MPI_COMM_WORLD);
	if (!m->rank)
		printf("%s: %d ranks, %lu checks, %lu failed\n", m->name, m->np,
		       sum[0], sum[1]);
	/* A rank that checked nothing has proved nothing. */
	if (!own[0]) {
		fprintf(stderr, "%s: rank %d checked nothing\n", m->name,
			m->rank);
		own[1] = 1;
	}
	MPI_Finalize();
	return own[1] || sum[1] || !least;
}

uint64_t mt_random(struct mt *m)
{
	m->random += 0x9e3779b97f4a7c15ull;
	return mix(m->random);
}

size_t mt_random_below(struct mt *m, size_t limit)
{
	return limit ? mt_random(m) % limit : 0;
}

void mt_fill(void *data, size_t len, int rank, uint64_t seed, size_t offset)
{
	uint64_t key = pattern_key(rank, seed);
	unsigned char *p = data;
	size_t i = 0;

	for (; i < len && (offset + i) % 8; i++)
		p[i] = pattern_byte(key, offset + i);
	for (; i + 8 <= len; i += 8) {
		uint64_t word = mix(key + (offset + i) / 8);
		int b;

		for (b = 0; b < 8; b++)
			p[i + b] = word >> (8 * b);
	}
	for (; i < len; i++)
		p[i] = pattern_byte(key, offset + i);
}

static void complain(struct mt *m, const char *what, size_t at, size_t len,
		     unsigned int got, unsigned int want)
{
	if (m->errors++ < ERRORS_PRINTED)
		fprintf(stderr,
			"%s: rank %d: %s: byte %zu of %zu is %02x, not %02x\n",
			m->name, m->rank, what, at, len, got, want);
}

/* The self-test: one byte of the first data that this rank checks. */
static void corrupt_once(struct mt *m, unsigned char *data, size_t len)
{
	if (!m->corrupt || !len)
		return;
	data[len / 2] ^= 0x10;
	m->corrupt = false;
}

bool mt_check(struct mt *m, void *data, size_t len, int rank, uint64_t seed,
	      size_t offset, const char *what)
{
	uint64_t key = pattern_key(rank, seed);
	unsigned char *p = data;
	size_t i = 0;

	m->checks++;
	corrupt_once(m, p, len);
	while (i < len) {
		size_t at = offset + i, b;
		uint64_t word = mix(key + at / 8);

		for (b = at % 8; b < 8 && i < len; b++, i++) {
			unsigned char want = word >> (8 * b);

			if (p[i] != want) {
				complain(m, what, i, len, p[i], want);
				return false;
			}
		}
	}
	return true;
}

bool mt_equal(struct mt *m, void *got, const void *want, size_t len,
	      const char *what)
{
	const unsigned char *w = want;
	unsigned char *g = got;
	size_t i;

	m->checks++;
	corrupt_once(m, g, len);
	for (i = 0; i < len; i++) {
		if (g[i] != w[i]) {
			complain(m, what, i, len, g[i], w[i]);
			return false;
		}
	}
	return true;
}

bool mt_equal_u64(struct mt *m, uint64_t got, uint64_t want, const char *what)
{
	if (mt_equal(m, &got, &want, sizeof(got), what))
		return true;
	if (m->errors <= ERRORS_PRINTED)
		fprintf(stderr, "%s: rank %d: %s: %#llx, not %#llx\n", m->name,
			m->rank, what, (unsigned long long)got,
			(unsigned long long)want);
	return false;
}

void mt_buf_alloc(struct mt_buf *b, size_t size)
{
	b->base = malloc(size + 2 * MT_GUARD_BYTES);
	if (!b->base) {
		fprintf(stderr, "no memory for %zu bytes\n", size);
		MPI_Abort(MPI_COMM_WORLD, 3);
	}
	b->data = b->base + MT_GUARD_BYTES;
	b->size = size;
	mt_buf_arm(b, size);
}

void mt_buf_free(struct mt_buf *b)
{
	free(b->base);
	b->base = NULL;
}

void mt_buf_arm(struct mt_buf *b, size_t len)
{
	memset(b->base, GUARD_BYTE, MT_GUARD_BYTES);
	memset(b->data, STALE_BYTE, len);
	memset(b->data + len, GUARD_BYTE, MT_GUARD_BYTES);
	b->armed = len;
}

bool mt_buf_guards(struct mt *m, struct mt_buf *b, const char *what)
{
	const unsigned char *rear = b->data + b->armed;
	size_t i;

	for (i = 0; i < MT_GUARD_BYTES; i++) {
		if (b->base[i] != GUARD_BYTE || rear[i] != GUARD_BYTE) {
			if (m->errors++ < ERRORS_PRINTED)
				fprintf(stderr,
					"%s: rank %d: %s: written outside its %zu bytes\n",
					m->name, m->rank, what, b->armed);
			return false;
		}
	}
	return true;
}

bool mt_buf_check(struct mt *m, struct mt_buf *b, size_t len, int rank,
		  uint64_t seed, const char *what)
{
	bool good = mt_check(m, b->data, len, rank, seed, 0, what);

	return mt_buf_guards(m, b, what) && good;
}
