// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Queue pairs with fast rings that are reset and connected again. */
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

static const struct pcv_case cases[] = {
	{ "reuse", test_reuse },
};

int main(int argc, char **argv)
{
	return pcv_check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
