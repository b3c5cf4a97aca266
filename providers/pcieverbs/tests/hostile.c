// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A receive ring filled by an enemy: the queue pair whose ring it is breaks,
 * what it had outstanding is reported, and its neighbour does not notice.
 */
#include "setup.h"

static struct ibv_context *ctx;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct ibv_srq *srq;
static struct ibv_qp *qp, *neighbour;
static struct fake_qp *fq, *nq;
static struct ibv_sge sge = { 0x1000, 100, 1 };

static void begin(bool shared)
{
	ctx = fake_open();
	pd = pcv_pd_alloc(ctx);
	cq = pcv_cq_create(ctx, 16, NULL, 0);
	CHECK(pd && cq);
	srq = shared ? setup_srq(pd) : NULL;
	qp = setup_qp(pd, cq, cq, srq, IBV_QPT_RC);
	neighbour = setup_qp(pd, cq, cq, srq, IBV_QPT_RC);
	fq = fake_qp(qp);
	nq = fake_qp(neighbour);
	setup_rts(qp);
	setup_rts(neighbour);
}

static void end(void)
{
	CHECK(!pcv_qp_destroy(qp));
	CHECK(!pcv_qp_destroy(neighbour));
	if (srq)
		CHECK(!pcv_srq_destroy(srq));
	CHECK(!pcv_cq_destroy(cq));
	CHECK(!pcv_pd_free(pd));
	fake_close();
}

static void post(uint64_t wr_id)
{
	if (srq)
		CHECK(!setup_srq_recv(srq, wr_id, &sge, 1));
	else
		CHECK(!setup_recv(qp, wr_id, &sge, 1));
}

/* The ring holds something bad and @why is what that is called. */
static void expect_broken(enum pcv_break why, unsigned int receives)
{
	struct ibv_wc wc[32];
	unsigned int i;
	uint32_t wqe;

	CHECK(!setup_send(qp, 50, 0));
	setup_idle(cq);
	CHECK_EQ(fq->state, IBV_QPS_ERR);
	CHECK_EQ(setup_send(qp, 51, 0), EIO);
	CHECK_EQ(pcv_cq_poll(cq, 32, wc), (int)receives + 1);
	for (i = 0; i < receives + 1; i++) {
		CHECK_EQ(wc[i].status, IBV_WC_FATAL_ERR);
		CHECK_EQ(wc[i].vendor_err, why);
		CHECK_EQ(wc[i].wr_id, i ? i : 50);
	}
	setup_idle(cq);

	if (srq) {
		post(7);
		CHECK(fake_recv_take(nq, &wqe, NULL));
	} else {
		CHECK(!setup_recv(neighbour, 7, &sge, 1));
		CHECK(fake_recv_take(nq, &wqe, NULL));
	}
	CHECK(fake_rx_placed(nq, wqe, 100) > 0);
	CHECK_EQ(pcv_cq_poll(cq, 32, wc), 1);
	CHECK_EQ(wc[0].status, IBV_WC_SUCCESS);

	/* Reset heals. */
	setup_state(qp, IBV_QPS_RESET);
	setup_rts(qp);
	CHECK(!setup_send(qp, 60, IBV_SEND_SIGNALED));
	fake_send_all(fq, 1);
	setup_expect(cq, 60, IBV_WC_SUCCESS, IBV_WC_SEND);
	setup_idle(cq);
}

static void test_index(void)
{
	static const uint32_t wrong[] = { 1, 2, UINT32_MAX, 1u << 31, 16 };
	unsigned int i;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		begin(false);
		post(1);
		post(2);
		CHECK(fake_rx_placed(fq, wrong[i], 1) > 0);
		expect_broken(PCV_BREAK_RECV_INDEX, 2);
		end();
	}
	/* Nothing posted at all. */
	begin(false);
	CHECK(fake_rx_placed(fq, 0, 1) > 0);
	expect_broken(PCV_BREAK_RECV_INDEX, 0);
	end();
}

static void test_srq_number(void)
{
	static const uint32_t wrong[] = { 31, 32, UINT32_MAX, 1u << 31, 17 };
	unsigned int i;
	uint32_t wqe;

	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		begin(true);
		post(1);
		CHECK(fake_recv_take(fq, &wqe, NULL));
		CHECK_EQ(wqe, 0);
		CHECK(fake_rx_placed(fq, wrong[i], 1) > 0);
		expect_broken(PCV_BREAK_RECV_INDEX, 0);
		end();
	}
	/* The same one twice. */
	begin(true);
	post(1);
	CHECK(fake_recv_take(fq, &wqe, NULL));
	CHECK(fake_rx_placed(fq, wqe, 1) > 0);
	setup_expect(cq, 1, IBV_WC_SUCCESS, IBV_WC_RECV);
	CHECK(fake_rx_placed(fq, wqe, 1) > 0);
	expect_broken(PCV_BREAK_RECV_INDEX, 0);
	end();
}

static void test_fields(void)
{
	struct pcv_rx_placed placed;
	bool shared;
	int i;

	for (i = 0; i < 2; i++) {
		shared = i;
		begin(shared);
		post(1);
		CHECK(fake_recv_take(fq, &(uint32_t){ 0 }, NULL));
		CHECK(fake_rx_placed(fq, 0, 101) > 0);
		expect_broken(PCV_BREAK_RECV_BYTES, shared ? 0 : 1);
		end();

		begin(shared);
		post(1);
		memset(&placed, 0, sizeof(placed));
		placed.status = pcv_to_le32(22);
		CHECK(fake_rx_put(fq, PCV_RX_PLACED, 0, &placed, sizeof(placed)) > 0);
		expect_broken(PCV_BREAK_RECV_STATUS, shared ? 0 : 1);
		end();

		begin(shared);
		post(1);
		placed.status = 0;
		placed.opcode = 2;
		CHECK(fake_rx_put(fq, PCV_RX_PLACED, 0, &placed, sizeof(placed)) > 0);
		expect_broken(PCV_BREAK_RECV_STATUS, shared ? 0 : 1);
		end();
	}
}

static void test_sizes(void)
{
	uint8_t junk[300];
	uint32_t len;

	memset(junk, 0, sizeof(junk));
	for (len = 0; len <= sizeof(junk); len++) {
		if (len == sizeof(struct pcv_rx_placed))
			continue;
		begin(false);
		post(1);
		CHECK(fake_rx_put(fq, PCV_RX_PLACED, 0, junk, len) > 0);
		expect_broken(PCV_BREAK_RING_TYPE, 1);
		end();
	}
	for (len = 0; len < 8; len++) {
		begin(false);
		post(1);
		CHECK(fake_rx_put(fq, PCV_RX_DATA, len & 1 ? PCV_RX_IMM : 0, junk, len) > 0);
		expect_broken(PCV_BREAK_RING_TYPE, 1);
		end();
	}
}

static void test_types(void)
{
	int type;

	for (type = PCV_RX_PLACED + 1; type < PCV_LINE_CONT; type++) {
		begin(false);
		post(1);
		CHECK(fake_rx_put(fq, (uint8_t)type, 0, "x", 1) > 0);
		expect_broken(PCV_BREAK_RING_TYPE, 1);
		end();
	}
	/* A continuation where a head must be; a message longer than the ring. */
	begin(false);
	post(1);
	fq->ring.line[0].tail = pcv_to_le64(PCV_RX_SEQ_BASE |
					    (__u64)PCV_LINE_CONT << PCV_TAIL_TYPE_SHIFT);
	fake_hint(fq->recv_cq, fq->qp_num);
	expect_broken(PCV_BREAK_RING, 1);
	end();
	begin(false);
	post(1);
	fq->ring.line[0].tail = pcv_to_le64(PCV_RX_SEQ_BASE |
					    (__u64)PCV_RX_DATA << PCV_TAIL_TYPE_SHIFT |
					    0xffffull << PCV_TAIL_LEN_SHIFT);
	fake_hint(fq->recv_cq, fq->qp_num);
	expect_broken(PCV_BREAK_RING, 1);
	end();
}

/* Anything at all, many times: it may say what it wants, but not crash or hang. */
static void test_noise(void)
{
	struct pcv_rx_placed placed;
	struct ibv_wc wc[64];
	uint32_t seed = 1;
	uint8_t *bytes = (uint8_t *)&placed;
	int round, i, n;

	for (round = 0; round < 2000; round++) {
		begin(round & 1);
		for (i = 0; i < 8; i++)
			post((uint64_t)i);
		for (i = 0; i < 12; i++) {
			for (n = 0; n < (int)sizeof(placed); n++) {
				seed = seed * 1664525 + 1013904223;
				bytes[n] = (uint8_t)(seed >> 28 ? 0 : seed >> 20);
			}
			placed.wqe = pcv_to_le32(seed >> 8 & 3 ? (uint32_t)i : seed >> 16);
			fake_rx_put(fq, seed >> 30 ? PCV_RX_PLACED : PCV_RX_DATA, 0, &placed,
				    sizeof(placed));
			if (seed >> 29 & 1)
				pcv_cq_poll(cq, 3, wc);
		}
		for (i = 0; i < 10; i++)
			CHECK(pcv_cq_poll(cq, 64, wc) <= 64);
		end();
	}
}

/* Hints for queue pairs that are not there, all of them, again and again. */
static void test_hints(void)
{
	uint32_t i, round;

	begin(false);
	for (round = 0; round < 10; round++) {
		for (i = 0; i < PCV_CQ_SLOTS; i++)
			fake_hint(fq->send_cq, i);
		setup_idle(cq);
	}
	CHECK(!setup_send(qp, 1, IBV_SEND_SIGNALED));
	fake_send_all(fq, 1);
	setup_expect(cq, 1, IBV_WC_SUCCESS, IBV_WC_SEND);
	end();
}

static const struct pcv_case cases[] = {
	{ "index", test_index }, { "srq-number", test_srq_number }, { "fields", test_fields },
	{ "sizes", test_sizes }, { "types", test_types }, { "noise", test_noise },
	{ "hints", test_hints },
};

int main(int argc, char **argv)
{
	return pcv_check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
