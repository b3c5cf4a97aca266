// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* One-sided: put, get, accumulate, fetch-and-op, compare-and-swap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify.h"

#define SLOT_BYTES (256 * 1024)
#define WORDS	   512

static const size_t sizes[] = { 1, 8, 77, 4096, 65537, SLOT_BYTES };

#define SIZES ARRAY_SIZE(sizes)

/* Every rank owns one slot a writer in everybody's window. */
static void put_fence(struct mt *m, MPI_Win win, unsigned char *mem,
		      unsigned char *out, size_t len, uint64_t seed)
{
	int r;

	memset(mem, 0xee, (size_t)SLOT_BYTES * m->np);
	MPI_Win_fence(0, win);
	for (r = 0; r < m->np; r++) {
		unsigned char *from = out + (size_t)r * SLOT_BYTES;

		mt_fill(from, len, m->rank, seed + r, 0);
		MPI_Put(from, len, MPI_BYTE, r, (MPI_Aint)m->rank * SLOT_BYTES,
			len, MPI_BYTE, win);
	}
	MPI_Win_fence(0, win);
	for (r = 0; r < m->np; r++) {
		unsigned char *slot = mem + (size_t)r * SLOT_BYTES;
		unsigned char stale = 0xee;

		mt_check(m, slot, len, r, seed + m->rank, 0, "put");
		if (len < SLOT_BYTES)
			mt_equal(m, slot + len, &stale, 1, "byte behind put");
	}
	MPI_Win_fence(0, win);
}

static void get_fence(struct mt *m, MPI_Win win, unsigned char *mem, size_t len,
		      uint64_t seed)
{
	struct mt_buf *in = calloc(m->np, sizeof(*in));
	int r;

	mt_fill(mem, SLOT_BYTES, m->rank, seed, 0);
	for (r = 0; r < m->np; r++)
		mt_buf_alloc(&in[r], len);
	MPI_Win_fence(0, win);
	for (r = 0; r < m->np; r++)
		MPI_Get(in[r].data, len, MPI_BYTE, r, SLOT_BYTES - len, len,
			MPI_BYTE, win);
	MPI_Win_fence(0, win);
	for (r = 0; r < m->np; r++) {
		mt_check(m, in[r].data, len, r, seed, SLOT_BYTES - len, "get");
		mt_buf_guards(m, &in[r], "get");
		mt_buf_free(&in[r]);
	}
	free(in);
}

/* The neighbour's memory, passive: it takes no part until the barrier. */
static void put_get_lock(struct mt *m, MPI_Win win, unsigned char *mem,
			 size_t len, uint64_t seed)
{
	int to = (m->rank + 1) % m->np;
	int from = (m->rank + m->np - 1) % m->np;
	struct mt_buf in, out;

	mt_buf_alloc(&in, len);
	mt_buf_alloc(&out, len);
	mt_fill(out.data, len, m->rank, seed, 0);
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Win_lock(MPI_LOCK_EXCLUSIVE, to, 0, win);
	MPI_Put(out.data, len, MPI_BYTE, to, 0, len, MPI_BYTE, win);
	MPI_Win_flush(to, win);
	MPI_Get(in.data, len, MPI_BYTE, to, 0, len, MPI_BYTE, win);
	MPI_Win_unlock(to, win);
	mt_buf_check(m, &in, len, m->rank, seed, "get after put");
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Win_lock(MPI_LOCK_SHARED, m->rank, 0, win);
	mt_check(m, mem, len, from, seed, 0, "put under lock");
	MPI_Win_unlock(m->rank, win);
	MPI_Barrier(MPI_COMM_WORLD);
	mt_buf_free(&in);
	mt_buf_free(&out);
}

static void accumulate(struct mt *m, MPI_Win win, int64_t *mem, int rounds)
{
	int64_t *add = calloc(WORDS, sizeof(*add));
	int64_t *want = calloc(WORDS, sizeof(*want));
	int r, i, round;

	memset(mem, 0, WORDS * sizeof(*mem));
	for (i = 0; i < WORDS; i++) {
		add[i] = (m->rank + 1) * 1000 + i;
		for (r = 0; r < m->np; r++)
			want[i] += (int64_t)rounds * ((r + 1) * 1000 + i);
	}
	MPI_Win_fence(0, win);
	for (round = 0; round < rounds; round++)
		for (r = 0; r < m->np; r++)
			MPI_Accumulate(add, WORDS, MPI_INT64_T, r, 0, WORDS,
				       MPI_INT64_T, MPI_SUM, win);
	MPI_Win_fence(0, win);
	mt_equal(m, mem, want, WORDS * sizeof(*mem), "accumulate");
	MPI_Win_fence(0, win);
	free(add);
	free(want);
}

/* Tickets: each value is handed out once, and all of them are. */
static void tickets(struct mt *m, MPI_Win win, int64_t *mem, int each)
{
	int64_t *mine = calloc(each, sizeof(*mine)), one = 1, last = -1;
	int64_t *all = calloc((size_t)each * m->np, sizeof(*all));
	unsigned char *seen = calloc((size_t)each * m->np, 1);
	unsigned char *want = malloc((size_t)each * m->np);
	int i, target = m->np - 1;

	mem[0] = 0;
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Win_lock_all(0, win);
	for (i = 0; i < each; i++) {
		MPI_Fetch_and_op(&one, &mine[i], MPI_INT64_T, target, 0,
				 MPI_SUM, win);
		MPI_Win_flush(target, win);
	}
	MPI_Win_unlock_all(win);
	for (i = 0; i < each; i++) {
		mt_equal_u64(m, mine[i] > last, 1, "tickets rise");
		last = mine[i];
	}
	MPI_Allgather(mine, each, MPI_INT64_T, all, each, MPI_INT64_T,
		      MPI_COMM_WORLD);
	for (i = 0; i < each * m->np; i++)
		if (all[i] >= 0 && all[i] < (int64_t)each * m->np)
			seen[all[i]]++;
	memset(want, 1, (size_t)each * m->np);
	mt_equal(m, seen, want, (size_t)each * m->np, "every ticket once");
	MPI_Barrier(MPI_COMM_WORLD);
	free(mine);
	free(all);
	free(seen);
	free(want);
}

/* A counter raised by compare-and-swap loops loses no increment. */
static void swaps(struct mt *m, MPI_Win win, int64_t *mem, int each)
{
	int64_t old, next, found, end = -1, zero = 0;
	int i;

	mem[1] = 0;
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Win_lock_all(0, win);
	for (i = 0, old = 0; i < each;) {
		next = old + 1;
		MPI_Compare_and_swap(&next, &old, &found, MPI_INT64_T, 0, 1,
				     win);
		MPI_Win_flush(0, win);
		i += found == old;
		old = found == old ? next : found;
	}
	MPI_Barrier(MPI_COMM_WORLD);
	MPI_Fetch_and_op(&zero, &end, MPI_INT64_T, 0, 1, MPI_NO_OP, win);
	MPI_Win_flush(0, win);
	MPI_Win_unlock_all(win);
	mt_equal_u64(m, end, (int64_t)each * m->np, "sum of swaps");
	MPI_Barrier(MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
	unsigned char *mem, *out;
	MPI_Win win;
	int rounds, i;
	struct mt m;
	size_t s;

	mt_init(&m, &argc, &argv, "rma");
	rounds = m.count ? (int)m.count : m.long_run ? 100 : 4;
	out = malloc((size_t)SLOT_BYTES * m.np);
	MPI_Win_allocate((MPI_Aint)SLOT_BYTES * m.np, 1, MPI_INFO_NULL,
			 MPI_COMM_WORLD, &mem, &win);
	for (i = 0; i < rounds; i++) {
		for (s = 0; s < SIZES; s++) {
			uint64_t seed = m.seed + (i * SIZES + s) * 1000;

			put_fence(&m, win, mem, out, sizes[s], seed);
			get_fence(&m, win, mem, sizes[s], seed + 500);
			put_get_lock(&m, win, mem, sizes[s], seed + 700);
		}
	}
	MPI_Win_free(&win);
	MPI_Win_allocate(WORDS * sizeof(int64_t), sizeof(int64_t),
			 MPI_INFO_NULL, MPI_COMM_WORLD, &mem, &win);
	accumulate(&m, win, (int64_t *)mem, rounds);
	tickets(&m, win, (int64_t *)mem, 25 * rounds);
	swaps(&m, win, (int64_t *)mem, 10 * rounds);
	MPI_Win_free(&win);
	free(out);
	return mt_end(&m);
}
