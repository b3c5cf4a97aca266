// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Many queue pairs on one completion queue, more than an aperture has room for:
 * all of them carry data, in order, each its own.
 *
 *   QPS (200)  QPS_MESSAGES (20 on each)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verbs_common.h"

#define DEPTH 4
#define ROOM 2048 /* of one message */

static unsigned int number(const char *name, unsigned int otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 0) : otherwise;
}

static size_t length(unsigned int qp, unsigned int n)
{
	return (qp * 131 + n * 977) % (n % 3 ? 120 : ROOM + 1);
}

static uint64_t seed(unsigned int qp, unsigned int n, bool a)
{
	return qp * 1000003ull + n * 2 + a;
}

struct many {
	struct vc_end *end;
	unsigned int count, *sent, *ended, *received;
	struct ibv_cq *cq;
};

static unsigned int find(struct vc *vc, struct many *m, uint32_t qpn)
{
	unsigned int i;

	for (i = 0; i < m->count; i++)
		if (m->end[i].me.qpn == qpn)
			return i;
	vc_die(vc, "a completion of an unknown queue pair %#x", qpn);
}

static void completion(struct vc *vc, struct many *m, const struct ibv_wc *wc)
{
	unsigned int i = find(vc, m, wc->qp_num), n;
	struct vc_end *e = &m->end[i];

	if (wc->status)
		vc_die(vc, "QP %u: completion of %llu: %s", i, (unsigned long long)wc->wr_id,
		       ibv_wc_status_str(wc->status));
	if (!(wc->opcode & IBV_WC_RECV)) {
		vc_expect(vc, wc->wr_id == m->ended[i], "QP %u: send %llu ended, expected %u", i,
			  (unsigned long long)wc->wr_id, m->ended[i]);
		m->ended[i]++;
		return;
	}
	n = m->received[i]++;
	vc_expect(vc, wc->wr_id == n && wc->byte_len == length(i, n),
		  "QP %u: receive %llu of %u bytes, expected %u of %zu", i,
		  (unsigned long long)wc->wr_id, wc->byte_len, n, length(i, n));
	vc_check(vc, e->buf + n % DEPTH * ROOM, length(i, n), seed(i, n, !vc->a), "message");
	vc_expect(vc, !vc_recv(e, n + DEPTH, n % DEPTH * ROOM, ROOM), "post_recv");
}

static void exchange(struct vc *vc, struct many *m, unsigned int messages)
{
	uint64_t last = vc_now_ms();
	unsigned int i, left = 0;
	struct ibv_wc wc[32];
	int n, j;

	for (i = 0; i < m->count; i++)
		left += 2 * messages - m->ended[i] - m->received[i];
	while (left) {
		for (i = 0; i < m->count; i++) {
			struct vc_end *e = &m->end[i];

			/* Not all of them at the same pace. */
			while (m->sent[i] < messages && m->sent[i] - m->ended[i] < 1 + i % DEPTH) {
				unsigned int k = m->sent[i]++;
				size_t at = (DEPTH + k % DEPTH) * ROOM;

				vc_fill(e->buf + at, length(i, k), seed(i, k, vc->a));
				vc_expect(vc, !vc_send(e, k, IBV_WR_SEND, at, length(i, k), 0),
					  "post_send");
			}
			if (i % 16 && i != m->count - 1)
				continue;
			n = ibv_poll_cq(m->cq, 32, wc);
			for (j = 0; j < n; j++)
				completion(vc, m, &wc[j]);
			left -= n > 0 ? n : 0;
			if (n > 0)
				last = vc_now_ms();
		}
		if (vc_now_ms() - last > 20000ull * vc_slow()) {
			for (i = 0; i < m->count; i++)
				if (m->ended[i] != messages || m->received[i] != messages)
					printf("[%c] QP %u: %u sent, %u ended, %u received\n",
					       vc->a ? 'A' : 'B', i, m->sent[i], m->ended[i],
					       m->received[i]);
			vc_die(vc, "%u completions are missing", left);
		}
	}
}

static void open_all(struct vc *vc, struct many *m, unsigned int step)
{
	struct vc_opts o = { .depth = 2 * DEPTH, .len = 2 * DEPTH * ROOM, .cq = m->cq };
	unsigned int i, j;

	for (i = 0; i < m->count; i += step) {
		vc_open(vc, &m->end[i], &o);
		m->sent[i] = 0;
		m->ended[i] = 0;
		m->received[i] = 0;
		for (j = 0; j < DEPTH; j++)
			vc_expect(vc, !vc_recv(&m->end[i], j, j * ROOM, ROOM), "post_recv");
	}
	vc_meet(vc);
}

static void many(struct vc *vc)
{
	unsigned int count = number("QPS", 200), messages = number("QPS_MESSAGES", 20), i;
	struct many m = {
		.end = calloc(count, sizeof(*m.end)),
		.count = count,
		.sent = calloc(count, sizeof(int)),
		.ended = calloc(count, sizeof(int)),
		.received = calloc(count, sizeof(int)),
	};
	uint64_t begin = vc_now_ms(), opened, ended;

	m.cq = ibv_create_cq(vc->ctx, count * 4 * DEPTH, NULL, NULL, 0);
	if (!m.end || !m.cq)
		vc_die(vc, "create_cq: %m");
	open_all(vc, &m, 1);
	opened = vc_now_ms();
	exchange(vc, &m, messages);
	vc_meet(vc);
	ended = vc_now_ms();
	/* What some leave is of use to others at once. */
	for (i = 0; i < count; i += 2)
		vc_close(&m.end[i]);
	open_all(vc, &m, 2);
	exchange(vc, &m, 2 * messages);
	vc_meet(vc);
	for (i = 0; i < count; i++)
		vc_close(&m.end[i]);
	vc_expect(vc, !ibv_destroy_cq(m.cq), "destroy_cq: %m");
	printf("[%c] %u queue pairs opened in %llu ms, %u messages on each in %llu ms\n",
	       vc->a ? 'A' : 'B', count, (unsigned long long)(opened - begin), messages,
	       (unsigned long long)(ended - opened));
	free(m.end);
	free(m.sent);
	free(m.ended);
	free(m.received);
}

static const struct vc_test tests[] = { { "many", many }, { NULL, NULL } };

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, NULL, NULL, NULL);
}
