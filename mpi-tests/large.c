// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Large messages, both ways at once, from buffers that start at odd places. */
#include <stdio.h>

#include "verify.h"

#define MIB (1024 * 1024ull)

static const size_t sizes[] = {
	1 * MIB + 1, 4 * MIB, 8 * MIB - 7, 16 * MIB + 4093, 64 * MIB,
};

#define SIZES ARRAY_SIZE(sizes)

int main(int argc, char **argv)
{
	struct mt_buf in, out;
	uint64_t rounds, i;
	int next, prev;
	struct mt m;
	size_t s;

	mt_init(&m, &argc, &argv, "large");
	rounds = m.count ? m.count : m.long_run ? 20 : 1;
	next = (m.rank + 1) % m.np;
	prev = (m.rank + m.np - 1) % m.np;
	mt_buf_alloc(&in, sizes[SIZES - 1]);
	mt_buf_alloc(&out, sizes[SIZES - 1] + 8);
	for (i = 0; i < rounds; i++) {
		for (s = 0; s < SIZES; s++) {
			unsigned char *from = out.data + (i + s) % 8;
			uint64_t seed = m.seed + i * SIZES + s;
			double start;

			mt_buf_arm(&in, sizes[s]);
			mt_fill(from, sizes[s], m.rank, seed, 0);
			MPI_Barrier(MPI_COMM_WORLD);
			start = MPI_Wtime();
			MPI_Sendrecv(from, sizes[s], MPI_BYTE, next, s, in.data,
				     sizes[s], MPI_BYTE, prev, s,
				     MPI_COMM_WORLD, MPI_STATUS_IGNORE);
			start = MPI_Wtime() - start;
			mt_buf_check(&m, &in, sizes[s], prev, seed, "message");
			mt_check(&m, from, sizes[s], m.rank, seed, 0,
				 "source after sending");
			if (!m.rank)
				printf("large: %9zu bytes each way %8.1f MB/s\n",
				       sizes[s], 2 * sizes[s] / start / 1e6);
		}
	}
	mt_buf_free(&in);
	mt_buf_free(&out);
	return mt_end(&m);
}
