// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Non-blocking storms. Every rank has many messages of mixed sizes under way
 * to every other; half of the rounds receive from anyone with any tag, where
 * the tag, which numbers the messages of a pair, must come in order.
 */
#include <stdio.h>
#include <stdlib.h>

#include "verify.h"

#define FLIGHT	 64
#define LARGEST	 40000

static size_t message_len(uint64_t round, int from, int to, int i)
{
	static const size_t lens[] = { 0,   1,	  8,	40,    200,
				       999, 2048, 4097, 12000, LARGEST };

	return lens[(round * 3 + from * 5 + to * 7 + i) % 10];
}

static uint64_t message_seed(struct mt *m, uint64_t round, int to, int i)
{
	return m->seed + ((round * 1000 + to) * FLIGHT + i) * 2;
}

static void check_one(struct mt *m, struct mt_buf *b, MPI_Status *status,
		      uint64_t round, int i)
{
	int from = status->MPI_SOURCE, got;
	size_t len = message_len(round, from, m->rank, i);

	MPI_Get_count(status, MPI_BYTE, &got);
	mt_equal_u64(m, got, len, "length");
	mt_buf_check(m, b, len, from, message_seed(m, round, m->rank, i),
		     "message");
}

static void receive_named(struct mt *m, uint64_t round, struct mt_buf *in,
			  MPI_Request *req)
{
	int r, i, n = 0;

	for (r = 0; r < m->np; r++) {
		for (i = 0; r != m->rank && i < FLIGHT; i++, n++) {
			size_t len = message_len(round, r, m->rank, i);

			mt_buf_arm(&in[n], len);
			MPI_Irecv(in[n].data, len, MPI_BYTE, r, i,
				  MPI_COMM_WORLD, &req[n]);
		}
	}
}

static void receive_any(struct mt_buf *in, MPI_Request *req, int total)
{
	int n;

	for (n = 0; n < total; n++) {
		mt_buf_arm(&in[n], LARGEST);
		MPI_Irecv(in[n].data, LARGEST, MPI_BYTE, MPI_ANY_SOURCE,
			  MPI_ANY_TAG, MPI_COMM_WORLD, &req[n]);
	}
}

static void check_any(struct mt *m, uint64_t round, struct mt_buf *in,
		      MPI_Status *status, int total)
{
	int *next = calloc(m->np, sizeof(*next));
	int n;

	for (n = 0; n < total; n++) {
		int from = status[n].MPI_SOURCE;
		int i = next[from]++;

		mt_equal_u64(m, status[n].MPI_TAG, i, "order of a pair");
		check_one(m, &in[n], &status[n], round, i);
	}
	free(next);
}

static void storm(struct mt *m, uint64_t round, struct mt_buf *in,
		  struct mt_buf *out, MPI_Request *req, MPI_Status *status)
{
	int total = (m->np - 1) * FLIGHT, n = 0, r, i;
	bool any = round % 2;

	if (any)
		receive_any(in, req, total);
	else
		receive_named(m, round, in, req);
	/* Half of the storms hit ranks whose receives are not posted yet. */
	if (round % 4 < 2)
		MPI_Barrier(MPI_COMM_WORLD);
	for (i = 0; i < FLIGHT; i++) {
		for (r = 0; r < m->np; r++) {
			size_t len = message_len(round, m->rank, r, i);

			if (r == m->rank)
				continue;
			mt_fill(out[n].data, len, m->rank,
				message_seed(m, round, r, i), 0);
			MPI_Isend(out[n].data, len, MPI_BYTE, r, i,
				  MPI_COMM_WORLD, &req[total + n]);
			n++;
		}
	}
	MPI_Waitall(2 * total, req, status);
	if (any) {
		check_any(m, round, in, status, total);
		MPI_Barrier(MPI_COMM_WORLD);
		return;
	}
	for (n = 0; n < total; n++)
		check_one(m, &in[n], &status[n], round, n % FLIGHT);
	MPI_Barrier(MPI_COMM_WORLD);
}

int main(int argc, char **argv)
{
	struct mt_buf *in, *out;
	MPI_Request *req;
	MPI_Status *status;
	uint64_t rounds, i;
	struct mt m;
	int total, n;

	mt_init(&m, &argc, &argv, "storm");
	rounds = m.count ? m.count : m.long_run ? 400 : 12;
	total = (m.np - 1) * FLIGHT;
	in = calloc(total, sizeof(*in));
	out = calloc(total, sizeof(*out));
	req = calloc(2 * total, sizeof(*req));
	status = calloc(2 * total, sizeof(*status));
	for (n = 0; n < total; n++) {
		mt_buf_alloc(&in[n], LARGEST);
		mt_buf_alloc(&out[n], LARGEST);
	}
	for (i = 0; i < rounds; i++)
		storm(&m, i, in, out, req, status);
	for (n = 0; n < total; n++) {
		mt_buf_free(&in[n]);
		mt_buf_free(&out[n]);
	}
	free(in);
	free(out);
	free(req);
	free(status);
	return mt_end(&m);
}
