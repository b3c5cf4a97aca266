// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A seeded mix of operations and sizes, bounded by their number. All ranks
 * draw the same numbers and so agree on what comes next.
 */
#include <stdio.h>
#include <stdlib.h>

#include "verify.h"

#define LARGEST (2 * 1024 * 1024)

struct soak {
	struct mt *m;
	struct mt_buf in;
	unsigned char *out;
	unsigned char *window;
	MPI_Win win;
};

/* Mostly small, sometimes large, often one beside a power of two. */
static size_t draw_len(struct mt *m, size_t limit)
{
	size_t len = (size_t)1 << mt_random_below(m, 22);

	switch (mt_random_below(m, 3)) {
	case 0:
		len += mt_random_below(m, 3) - 1;
		break;
	case 1:
		len = mt_random_below(m, len);
		break;
	}
	return len < limit ? len : limit;
}

static void do_sendrecv(struct soak *s, size_t len, uint64_t seed)
{
	struct mt *m = s->m;
	int shift = 1 + mt_random_below(m, m->np - 1);
	int to = (m->rank + shift) % m->np;
	int from = (m->rank + m->np - shift) % m->np;

	mt_buf_arm(&s->in, len);
	mt_fill(s->out, len, m->rank, seed, 0);
	MPI_Sendrecv(s->out, len, MPI_BYTE, to, 3, s->in.data, len, MPI_BYTE,
		     from, 3, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
	mt_buf_check(m, &s->in, len, from, seed, "sendrecv");
}

static void do_ssend(struct soak *s, size_t len, uint64_t seed)
{
	struct mt *m = s->m;
	int a = mt_random_below(m, m->np);
	int b = (a + 1 + mt_random_below(m, m->np - 1)) % m->np;
	/* Wild source: a tag of its own, or a later operation could match. */
	int tag = 100 + seed / 8 % 30000;

	if (m->rank == a) {
		mt_fill(s->out, len, a, seed, 0);
		MPI_Ssend(s->out, len, MPI_BYTE, b, tag, MPI_COMM_WORLD);
	} else if (m->rank == b) {
		mt_buf_arm(&s->in, len);
		MPI_Recv(s->in.data, len, MPI_BYTE, MPI_ANY_SOURCE, tag,
			 MPI_COMM_WORLD, MPI_STATUS_IGNORE);
		mt_buf_check(m, &s->in, len, a, seed, "ssend");
	}
}

static void do_bcast(struct soak *s, size_t len, uint64_t seed)
{
	struct mt *m = s->m;
	int root = mt_random_below(m, m->np);

	mt_buf_arm(&s->in, len);
	if (m->rank == root)
		mt_fill(s->in.data, len, root, seed, 0);
	MPI_Bcast(s->in.data, len, MPI_BYTE, root, MPI_COMM_WORLD);
	mt_buf_check(m, &s->in, len, root, seed, "bcast");
}

static void do_allgather(struct soak *s, size_t len, uint64_t seed)
{
	struct mt *m = s->m;
	int r;

	len /= m->np;
	mt_buf_arm(&s->in, len * m->np);
	mt_fill(s->out, len, m->rank, seed, 0);
	MPI_Allgather(s->out, len, MPI_BYTE, s->in.data, len, MPI_BYTE,
		      MPI_COMM_WORLD);
	for (r = 0; r < m->np; r++)
		mt_check(m, s->in.data + r * len, len, r, seed, 0, "allgather");
	mt_buf_guards(m, &s->in, "allgather");
}

static void do_flight(struct soak *s, size_t len, uint64_t seed)
{
	struct mt *m = s->m;
	int n = 1 + mt_random_below(m, 16), i;
	int to = (m->rank + 1) % m->np, from = (m->rank + m->np - 1) % m->np;
	MPI_Request req[32];

	len /= n;
	mt_buf_arm(&s->in, len * n);
	mt_fill(s->out, len * n, m->rank, seed, 0);
	for (i = 0; i < n; i++)
		MPI_Isend(s->out + i * len, len, MPI_BYTE, to, i,
			  MPI_COMM_WORLD, &req[i]);
	/* Received last tag first: all but one arrive unexpected. */
	for (i = n - 1; i >= 0; i--)
		MPI_Irecv(s->in.data + i * len, len, MPI_BYTE, from, i,
			  MPI_COMM_WORLD, &req[n + i]);
	MPI_Waitall(2 * n, req, MPI_STATUSES_IGNORE);
	mt_buf_check(m, &s->in, len * n, from, seed, "flight");
}

static void do_reduce(struct soak *s, size_t len, uint64_t seed)
{
	struct mt *m = s->m;
	int n = len / sizeof(int64_t) % 5000 + 1, i;
	int64_t *out = (int64_t *)s->out;
	int64_t *want = calloc(n, sizeof(*want));

	mt_buf_arm(&s->in, n * sizeof(int64_t));
	for (i = 0; i < n; i++) {
		out[i] = (int64_t)((seed + i) % 100000) * (m->rank + 1);
		want[i] = (int64_t)((seed + i) % 100000) *
			  (m->np * (m->np + 1) / 2);
	}
	MPI_Allreduce(out, s->in.data, n, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
	mt_equal(m, s->in.data, want, n * sizeof(*want), "allreduce");
	mt_buf_guards(m, &s->in, "allreduce");
	free(want);
}

static void do_put(struct soak *s, size_t len, uint64_t seed)
{
	struct mt *m = s->m;
	int to = (m->rank + 1) % m->np, from = (m->rank + m->np - 1) % m->np;
	size_t at = mt_random_below(m, LARGEST - len + 1);

	mt_fill(s->out, len, m->rank, seed, 0);
	MPI_Win_fence(0, s->win);
	MPI_Put(s->out, len, MPI_BYTE, to, at, len, MPI_BYTE, s->win);
	MPI_Win_fence(0, s->win);
	mt_check(m, s->window + at, len, from, seed, 0, "put");
	mt_buf_arm(&s->in, len);
	MPI_Win_fence(0, s->win);
	MPI_Get(s->in.data, len, MPI_BYTE, to, at, len, MPI_BYTE, s->win);
	MPI_Win_fence(0, s->win);
	mt_buf_check(m, &s->in, len, m->rank, seed, "get");
}

int main(int argc, char **argv)
{
	static void (*const operations[])(struct soak *, size_t, uint64_t) = {
		do_sendrecv, do_sendrecv, do_ssend,  do_ssend, do_bcast,
		do_allgather, do_flight,  do_flight, do_reduce, do_put,
	};
	uint64_t count, i;
	struct soak s;
	struct mt m;

	mt_init(&m, &argc, &argv, "soak");
	count = m.count ? m.count : m.long_run ? 20000 : 400;
	s.m = &m;
	mt_buf_alloc(&s.in, LARGEST);
	s.out = malloc(LARGEST + 64);
	MPI_Win_allocate(LARGEST, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &s.window,
			 &s.win);
	for (i = 0; i < count; i++) {
		size_t which = mt_random_below(&m, ARRAY_SIZE(operations));
		size_t len = draw_len(&m, LARGEST);
		unsigned long before = m.errors;

		operations[which](&s, len, m.seed + i * 8);
		if (m.errors != before)
			fprintf(stderr,
				"soak: rank %d: operation %llu (kind %zu, %zu bytes, seed %llu)\n",
				m.rank, (unsigned long long)i, which, len,
				(unsigned long long)m.seed);
	}
	MPI_Win_free(&s.win);
	mt_buf_free(&s.in);
	free(s.out);
	return mt_end(&m);
}
