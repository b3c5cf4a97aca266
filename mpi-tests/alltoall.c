// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* MPI_Alltoall and MPI_Alltoallv with uneven and empty parts, and gaps. */
#include <stdlib.h>

#include "verify.h"

#define GAP 3

static const size_t sizes[] = { 1, 8, 333, 4096, 50001 };

#define SIZES ARRAY_SIZE(sizes)

/* What one rank sends another: a seed of its own for each pair and round. */
static uint64_t pair_seed(struct mt *m, uint64_t round, int to)
{
	return m->seed + round * 4099 + to;
}

static void even(struct mt *m, size_t len, uint64_t round)
{
	struct mt_buf in, out;
	int r;

	mt_buf_alloc(&in, len * m->np);
	mt_buf_alloc(&out, len * m->np);
	for (r = 0; r < m->np; r++)
		mt_fill(out.data + r * len, len, m->rank,
			pair_seed(m, round, r), 0);
	MPI_Alltoall(out.data, len, MPI_BYTE, in.data, len, MPI_BYTE,
		     MPI_COMM_WORLD);
	for (r = 0; r < m->np; r++)
		mt_check(m, in.data + r * len, len, r,
			 pair_seed(m, round, m->rank), 0, "alltoall part");
	mt_buf_guards(m, &in, "alltoall");
	mt_buf_free(&in);
	mt_buf_free(&out);
}

static int part_len(size_t len, uint64_t round, int from, int to)
{
	return (len * (1 + (from * 7 + to * 3 + round) % 5) / 2) *
	       ((from + to + round) % 4 != 3);
}

static void uneven(struct mt *m, size_t len, uint64_t round)
{
	int *n = calloc(4 * m->np, sizeof(int));
	int *sn = n, *sd = n + m->np, *rn = n + 2 * m->np, *rd = n + 3 * m->np;
	static const unsigned char stale[GAP] = { 0xee, 0xee, 0xee };
	int r, sbytes = 0, rbytes = 0;
	struct mt_buf in, out;

	for (r = 0; r < m->np; r++) {
		sn[r] = part_len(len, round, m->rank, r);
		rn[r] = part_len(len, round, r, m->rank);
		sd[r] = sbytes;
		rd[r] = rbytes;
		sbytes += sn[r];
		rbytes += rn[r] + GAP;
	}
	mt_buf_alloc(&in, rbytes);
	mt_buf_alloc(&out, sbytes + 1);
	for (r = 0; r < m->np; r++)
		mt_fill(out.data + sd[r], sn[r], m->rank,
			pair_seed(m, round, r), 0);
	MPI_Alltoallv(out.data, sn, sd, MPI_BYTE, in.data, rn, rd, MPI_BYTE,
		      MPI_COMM_WORLD);
	for (r = 0; r < m->np; r++) {
		mt_check(m, in.data + rd[r], rn[r], r,
			 pair_seed(m, round, m->rank), 0, "alltoallv part");
		mt_equal(m, in.data + rd[r] + rn[r], stale, GAP,
			 "gap between alltoallv parts");
	}
	mt_buf_guards(m, &in, "alltoallv");
	mt_buf_free(&in);
	mt_buf_free(&out);
	free(n);
}

int main(int argc, char **argv)
{
	uint64_t rounds, i;
	struct mt m;
	size_t s;

	mt_init(&m, &argc, &argv, "alltoall");
	rounds = m.count ? m.count : m.long_run ? 500 : 20;
	for (s = 0; s < SIZES; s++) {
		for (i = 0; i < rounds; i++) {
			even(&m, sizes[s], s * rounds + i);
			uneven(&m, sizes[s], s * rounds + i);
		}
	}
	return mt_end(&m);
}
