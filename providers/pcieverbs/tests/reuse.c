// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Queue pairs with fast rings that are reset and connected again, or that lose their block. */
#include "side.h"

static void again(struct side *s, uint32_t seq, uint64_t recvs)
{
	uint64_t id;

	setup_state(s->qp, IBV_QPS_RESET);
	CHECK(!inside(s)->link[0].watched && !inside(s)->link[1].watched);
	s->fq->fast_seq = seq;
	setup_state(s->qp, IBV_QPS_INIT);
	for (id = 0; id < recvs; id++)
		CHECK(!post_recv(s, id, 0, 100000));
	setup_state(s->qp, IBV_QPS_RTR);
	setup_state(s->qp, IBV_QPS_RTS);
}

/* One message each way, through the ring. */
static void greet_both(uint64_t recv_id, uint32_t bytes, uint32_t key)
{
	struct side *from, *to;
	struct ibv_wc wc;
	int i;

	for (i = 0; i < 2; i++) {
		from = i ? &b : &a;
		to = i ? &a : &b;
		pcv_pattern_fill(from->out, bytes, key + (uint32_t)i);
		CHECK(!post_send(from, key, bytes, IBV_SEND_SIGNALED));
		CHECK(took_fast(from));
		setup_expect(from->cq, key, IBV_WC_SUCCESS, IBV_WC_SEND);
		wc = setup_poll(to->cq);
		CHECK(wc.status == IBV_WC_SUCCESS && wc.byte_len == bytes);
		/* What a shared queue gets back may come in another order. */
		if (!to->srq)
			CHECK_EQ(wc.wr_id, recv_id);
		CHECK(pcv_pattern_match(to->in, bytes, key + (uint32_t)i));
		setup_idle(from->cq);
		setup_idle(to->cq);
	}
}

/* Connected again and again, whatever was left behind: nothing of it shows. */
static void test_reuse(void)
{
	uint32_t round, i, left, shared;
	uint64_t rng = 11;

	for (shared = 0; shared < 2; shared++) {
		begin_with(shared, 100000, 1);
		greet_both(1000, 8, 7);
		for (round = 0; round < 200; round++) {
			left = pcv_rand_below(&rng, 16);
			/* Sent and not read, nor its completion polled. */
			for (i = 0; left & 1 && i < 5; i++)
				CHECK(!post_send(&a, i, 8 + i * 2000, IBV_SEND_SIGNALED));
			/* Begun in the ring, and some of it taken. */
			if (left & 2 && !post_send(&a, 7, 90000, 0) && left & 1)
				CHECK(pcv_cq_poll(b.cq, 1, &(struct ibv_wc){ 0 }) >= 0);
			if (left & 4) {
				fake_fast_open(b.fq, PCV_QP_FAST_FENCE);
				CHECK(!pcv_cq_arm(a.cq, left & 1));
				CHECK(!post_send(&b, 8, 8, IBV_SEND_SOLICITED));
			}
			if (left & 8)
				setup_state(b.qp, IBV_QPS_ERR);
			/* The other one is still in the old connection. */
			if (left & 1) {
				again(&a, round * 77, 4);
				fake_fast_shut(b.fq, PCV_QP_FAST_TX | PCV_QP_FAST_CTL);
				post_send(&b, 9, 100, 0);
				again(&b, round * 77, 4);
			} else {
				again(&b, round * 77, 4);
				fake_fast_shut(a.fq, PCV_QP_FAST_TX | PCV_QP_FAST_CTL);
				CHECK(!post_send(&a, 9, 100, 0));
				again(&a, round * 77, 4);
			}
			setup_idle(a.cq);
			setup_idle(b.cq);
			fake_fast_open(a.fq, 0);
			fake_fast_open(b.fq, 0);
			pcv_fast_greet(inside(&a));
			pcv_fast_greet(inside(&b));
			greet_both(0, 40, round);
			greet_both(1, 40000, round + 1000);
			/* Two are left for what is left behind next time; but not shared ones. */
			for (i = 2; shared && i < 4; i++)
				greet_both(i, 100, round);
			if (shared) {
				CHECK_EQ(a.fq->srq->shared->tail, a.fq->srq->shared->head);
				CHECK_EQ(b.fq->srq->shared->tail, b.fq->srq->shared->head);
			}
		}
		end();
	}
}

/*
 * The own block goes while a message is read: from some byte on there are zeroes.
 * It has not arrived, whatever of it was, and the receive comes back.
 */
static void test_gone(void)
{
	static const uint32_t sizes[] = { 8, 40, 100, 200, 3000, 20000 };
	struct ibv_wc wc[4];
	uint32_t i, n, shared, at;

	for (i = 0; i < 6 * (sizeof(sizes) / sizeof(sizes[0])); i++) {
		shared = i & 1;
		begin_with(shared, 100000, 1);
		greet_both(1000, 8, 7);
		CHECK(!post_recv(&b, 3, 0, 100000));
		CHECK(!post_send(&a, 5, sizes[i / 6], IBV_SEND_SIGNALED));
		CHECK(took_fast(&a));
		setup_expect(a.cq, 5, IBV_WC_SUCCESS, IBV_WC_SEND);
		fake_fast_open(b.fq, PCV_QP_FAST_GONE);
		memset(b.fq->own + PCV_FAST_DATA_OFFSET, 0, PCV_FAST_DATA_BYTES);
		/* All lines, or what lies in front of their last words: these were read before. */
		if (i / 2 % 3 == 1)
			memset(b.fq->own, 0, PCV_FAST_DATA_OFFSET);
		for (at = 0; i / 2 % 3 == 2 && at < PCV_FAST_LINES; at++)
			memset((void *)inside(&b)->recv.ring.line[at].payload, 0,
			       PCV_LINE_PAYLOAD);
		setup_idle(b.cq);
		CHECK_EQ(inside(&b)->health, PCV_QP_SOUND);
		setup_state(b.qp, IBV_QPS_ERR);
		n = (uint32_t)pcv_cq_poll(b.cq, 4, wc);
		/* One of a shared queue that was not begun stays there. */
		CHECK_EQ(n + (shared ? b.fq->srq->shared->tail - b.fq->srq->shared->head : 0), 1);
		CHECK(!n || (wc[0].status == IBV_WC_WR_FLUSH_ERR && wc[0].wr_id == 3));
		setup_idle(b.cq);
		end();
	}
}

static const struct pcv_case cases[] = {
	{ "reuse", test_reuse },
	{ "gone", test_gone },
};

int main(int argc, char **argv)
{
	return pcv_check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
