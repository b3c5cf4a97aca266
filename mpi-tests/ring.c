// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A message goes round the ranks; each checks it and sends it on. */
#include "verify.h"

static const size_t sizes[] = { 1, 8, 57, 1000, 4096, 65537, 262144 };

#define SIZES ARRAY_SIZE(sizes)

static void lap(struct mt *m, struct mt_buf *b, size_t len, uint64_t seed)
{
	int next = (m->rank + 1) % m->np;
	int prev = (m->rank + m->np - 1) % m->np;
	MPI_Status status;
	int got;

	if (!m->rank) {
		mt_fill(b->data, len, 0, seed, 0);
		MPI_Send(b->data, len, MPI_BYTE, next, 7, MPI_COMM_WORLD);
	}
	mt_buf_arm(b, len);
	MPI_Recv(b->data, len, MPI_BYTE, prev, 7, MPI_COMM_WORLD, &status);
	MPI_Get_count(&status, MPI_BYTE, &got);
	mt_equal_u64(m, got, len, "length");
	mt_buf_check(m, b, len, 0, seed, "message");
	if (m->rank)
		MPI_Send(b->data, len, MPI_BYTE, next, 7, MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
	uint64_t laps, i;
	struct mt_buf b;
	struct mt m;
	size_t s;

	mt_init(&m, &argc, &argv, "ring");
	laps = m.count ? m.count : m.long_run ? 2000 : 50;
	mt_buf_alloc(&b, sizes[SIZES - 1]);
	for (s = 0; s < SIZES; s++)
		for (i = 0; i < laps; i++)
			lap(&m, &b, sizes[s], m.seed + s * laps + i);
	mt_buf_free(&b);
	return mt_end(&m);
}
