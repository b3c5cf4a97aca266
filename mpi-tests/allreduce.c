// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* MPI_Allreduce over types, operations and lengths; also Reduce and Bcast. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "verify.h"

static const int counts[] = { 1, 3, 100, 1025, 40000 };

#define COUNTS ARRAY_SIZE(counts)

enum op { SUM, PROD, MIN, MAX, BAND, BOR, BXOR };

/* Small whole numbers: exact in every type, and in any order of summing. */
static int64_t operand(int rank, int i, int round)
{
	return 1 + (rank * 5 + i * 3 + round) % 4;
}

static int64_t combine(enum op op, int64_t a, int64_t b)
{
	switch (op) {
	case SUM:
		return a + b;
	case PROD:
		return a * b;
	case MIN:
		return a < b ? a : b;
	case MAX:
		return a > b ? a : b;
	case BAND:
		return a & b;
	case BOR:
		return a | b;
	default:
		return a ^ b;
	}
}

static int64_t expected(struct mt *m, enum op op, int i, int round)
{
	int64_t v = operand(0, i, round);
	int r;

	for (r = 1; r < m->np; r++)
		v = combine(op, v, operand(r, i, round));
	return v;
}

#define DEFINE_REDUCE(name, ctype, mpitype)                                   \
	static void name(struct mt *m, enum op op, MPI_Op mop, int n,         \
			 int round)                                           \
	{                                                                     \
		size_t bytes = n * sizeof(ctype);                             \
		ctype *in = malloc(bytes), *want = malloc(bytes);             \
		struct mt_buf b;                                              \
		int i;                                                        \
		mt_buf_alloc(&b, bytes);                                      \
		for (i = 0; i < n; i++) {                                     \
			in[i] = (ctype)operand(m->rank, i, round);            \
			want[i] = (ctype)expected(m, op, i, round);           \
		}                                                             \
		MPI_Allreduce(in, b.data, n, mpitype, mop, MPI_COMM_WORLD);   \
		mt_equal(m, b.data, want, bytes, "allreduce of " #ctype);     \
		mt_buf_guards(m, &b, "allreduce of " #ctype);                 \
		mt_buf_free(&b);                                              \
		free(in);                                                     \
		free(want);                                                   \
	}

DEFINE_REDUCE(reduce_i8, int8_t, MPI_INT8_T)
DEFINE_REDUCE(reduce_i32, int32_t, MPI_INT32_T)
DEFINE_REDUCE(reduce_u64, uint64_t, MPI_UINT64_T)
DEFINE_REDUCE(reduce_float, float, MPI_FLOAT)
DEFINE_REDUCE(reduce_double, double, MPI_DOUBLE)

static void bcast(struct mt *m, size_t len, int root, uint64_t seed)
{
	struct mt_buf b;

	mt_buf_alloc(&b, len);
	if (m->rank == root)
		mt_fill(b.data, len, root, seed, 0);
	MPI_Bcast(b.data, len, MPI_BYTE, root, MPI_COMM_WORLD);
	mt_buf_check(m, &b, len, root, seed, "broadcast");
	mt_buf_free(&b);
}

static void one_root(struct mt *m, int n, int root, int round)
{
	int64_t *in = calloc(n, sizeof(*in)), *out = calloc(n, sizeof(*out));
	int64_t *want = calloc(n, sizeof(*want));
	int i;

	for (i = 0; i < n; i++) {
		in[i] = operand(m->rank, i, round);
		want[i] = expected(m, SUM, i, round);
	}
	MPI_Reduce(in, out, n, MPI_INT64_T, MPI_SUM, root, MPI_COMM_WORLD);
	if (m->rank == root)
		mt_equal(m, out, want, n * sizeof(*out), "reduce");
	free(in);
	free(out);
	free(want);
}

int main(int argc, char **argv)
{
	static const struct {
		enum op op;
		MPI_Op mop;
		bool real;
	} ops[] = {
		{ SUM, MPI_SUM, true },	  { PROD, MPI_PROD, true },
		{ MIN, MPI_MIN, true },	  { MAX, MPI_MAX, true },
		{ BAND, MPI_BAND, false }, { BOR, MPI_BOR, false },
		{ BXOR, MPI_BXOR, false },
	};
	int rounds, round;
	size_t c, o;
	struct mt m;

	mt_init(&m, &argc, &argv, "allreduce");
	rounds = m.count ? (int)m.count : m.long_run ? 50 : 2;
	for (round = 0; round < rounds; round++) {
		for (c = 0; c < COUNTS; c++) {
			for (o = 0; o < ARRAY_SIZE(ops); o++) {
				enum op op = ops[o].op;
				MPI_Op mop = ops[o].mop;

				reduce_i32(&m, op, mop, counts[c], round);
				reduce_u64(&m, op, mop, counts[c], round);
				if (m.np <= 3 || op != PROD)
					reduce_i8(&m, op, mop, counts[c],
						  round);
				if (!ops[o].real)
					continue;
				reduce_float(&m, op, mop, counts[c], round);
				reduce_double(&m, op, mop, counts[c], round);
			}
			bcast(&m, counts[c], round % m.np, m.seed + c + round);
			one_root(&m, counts[c], (round + c) % m.np, round);
		}
	}
	return mt_end(&m);
}
