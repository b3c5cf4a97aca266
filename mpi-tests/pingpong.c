// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Rank 0 with every other rank in turn: 0 bytes to 4 MiB, odd sizes too. */
#include <stdio.h>

#include "verify.h"

static const size_t sizes[] = {
	0,    1,    2,	  3,	 7,	8,	16,	 31,	 64,	  100,
	127,  255,  256,  1023,	 1024,	1500,	 4095,	 4096,	  4097,   8192,
	8257, 16384, 65535, 65536, 131073, 262144, 1048576, 1048577, 4194304,
};

#define SIZES ARRAY_SIZE(sizes)

static void turn(struct mt *m, int peer, struct mt_buf *in, unsigned char *out,
		 size_t len, uint64_t seed)
{
	MPI_Status status;
	int got;

	mt_buf_arm(in, len);
	mt_fill(out, len, m->rank, seed, 0);
	if (!m->rank)
		MPI_Send(out, len, MPI_BYTE, peer, 1, MPI_COMM_WORLD);
	MPI_Recv(in->data, len, MPI_BYTE, peer, 1, MPI_COMM_WORLD, &status);
	MPI_Get_count(&status, MPI_BYTE, &got);
	mt_equal_u64(m, got, len, "length");
	mt_buf_check(m, in, len, peer, seed, "message");
	if (m->rank)
		MPI_Send(out, len, MPI_BYTE, peer, 1, MPI_COMM_WORLD);
}

/* Timed without filling and checking, which would drown a small message. */
static double timed(struct mt *m, int peer, struct mt_buf *in,
		    unsigned char *out, size_t len, int turns)
{
	double start = MPI_Wtime();
	int i;

	for (i = 0; i < turns; i++) {
		if (!m->rank)
			MPI_Send(out, len, MPI_BYTE, peer, 2, MPI_COMM_WORLD);
		MPI_Recv(in->data, len, MPI_BYTE, peer, 2, MPI_COMM_WORLD,
			 MPI_STATUS_IGNORE);
		if (m->rank)
			MPI_Send(out, len, MPI_BYTE, peer, 2, MPI_COMM_WORLD);
	}
	return (MPI_Wtime() - start) / turns / 2;
}

static void pair(struct mt *m, int peer, struct mt_buf *in, unsigned char *out)
{
	int turns = m->count ? (int)m->count : m->long_run ? 1000 : 20;
	double half;
	size_t s;

	for (s = 0; s < SIZES; s++) {
		uint64_t seed = m->seed + s * 1000;
		int n = sizes[s] > 65536 ? (turns + 9) / 10 : turns;
		int i;

		for (i = 0; i < (n + 3) / 4; i++)
			turn(m, peer, in, out, sizes[s], seed + i);
		half = timed(m, peer, in, out, sizes[s], n);
		mt_buf_check(m, in, sizes[s], peer, seed + i - 1, "last turn");
		if (!m->rank)
			printf("pingpong: 0-%d %8zu bytes %10.2f us %10.2f MB/s\n",
			       peer, sizes[s], half * 1e6,
			       sizes[s] / half / 1e6);
	}
}

int main(int argc, char **argv)
{
	struct mt_buf in, out;
	struct mt m;
	int peer;

	mt_init(&m, &argc, &argv, "pingpong");
	mt_buf_alloc(&in, sizes[SIZES - 1]);
	mt_buf_alloc(&out, sizes[SIZES - 1]);
	for (peer = 1; peer < m.np; peer++) {
		if (!m.rank)
			pair(&m, peer, &in, out.data);
		else if (m.rank == peer)
			pair(&m, 0, &in, out.data);
		MPI_Barrier(MPI_COMM_WORLD);
	}
	mt_buf_free(&in);
	mt_buf_free(&out);
	return mt_end(&m);
}
