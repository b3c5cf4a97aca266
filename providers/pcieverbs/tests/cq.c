// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Completion queues: hints, turns, arming, the extended calls. */
#include "setup.h"

static struct ibv_context *ctx;
static struct ibv_pd *pd;

static void begin(void)
{
	ctx = fake_open();
	pd = pcv_pd_alloc(ctx);
	CHECK(pd);
}

static void end(void)
{
	CHECK(!pcv_pd_free(pd));
	fake_close();
}

static struct ibv_cq *make_cq(void)
{
	struct ibv_cq *cq = pcv_cq_create(ctx, 16, NULL, 0);

	CHECK(cq);
	return cq;
}

static struct ibv_qp *make_qp(struct ibv_cq *send_cq, struct ibv_cq *recv_cq)
{
	struct ibv_qp *qp = setup_qp(pd, send_cq, recv_cq, NULL, IBV_QPT_RC);

	setup_rts(qp);
	return qp;
}

static void send_done(struct ibv_qp *qp, uint64_t wr_id)
{
	CHECK(!setup_send(qp, wr_id, IBV_SEND_SIGNALED));
	fake_send_all(fake_qp(qp), 1);
}

static void write_done(struct ibv_qp *qp, uint64_t wr_id)
{
	struct ibv_send_wr *bad, wr = {
		.wr_id = wr_id,
		.opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
	};

	CHECK(!pcv_qp_post_send(qp, &wr, &bad));
	fake_send_all(fake_qp(qp), 1);
}

static void recv_done(struct ibv_qp *qp, uint64_t wr_id)
{
	uint32_t wqe;

	CHECK(!setup_recv(qp, wr_id, NULL, 0));
	CHECK(fake_recv_take(fake_qp(qp), &wqe, NULL));
	CHECK(fake_rx_placed(fake_qp(qp), wqe, 0) > 0);
}

/* An idle queue is not looked at, and no completion without its hint. */
static void test_idle(void)
{
	struct ibv_cq *cq;
	struct ibv_qp *qp;

	begin();
	cq = make_cq();
	qp = make_qp(cq, cq);
	send_done(qp, 1);
	pcv_word_take(&fake_cq(cq)->summary);
	setup_idle(cq);
	fake_hint(fake_cq(cq), qp->qp_num);
	setup_expect(cq, 1, IBV_WC_SUCCESS, IBV_WC_SEND);
	CHECK(!pcv_qp_destroy(qp));
	CHECK(!pcv_cq_destroy(cq));
	end();
}

static void poll_empty(struct ibv_cq *cq, int times)
{
	while (times--)
		setup_idle(cq);
}

/*
 * Who polls in vain asks the kernel, as long as something has come through it not long
 * ago; who is about to sleep after that says so.
 */
static void test_ask(void)
{
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	uint32_t asks;

	begin();
	cq = make_cq();
	qp = make_qp(cq, cq);
	poll_empty(cq, 1000);
	CHECK_EQ(fake_asks(cq), 0);
	CHECK(!pcv_cq_arm(cq, 0));
	CHECK_EQ(fake_asks(cq), 0);

	send_done(qp, 1);
	setup_expect(cq, 1, IBV_WC_SUCCESS, IBV_WC_SEND);
	CHECK_EQ(fake_asks(cq), 0);
	poll_empty(cq, 32);
	CHECK_EQ(fake_asks(cq), 2);
	CHECK(!pcv_cq_arm(cq, 0));
	CHECK_EQ(fake_asks(cq), 3);
	CHECK(!pcv_cq_arm(cq, 0));
	CHECK_EQ(fake_asks(cq), 3);

	/* It does not go on for ever. */
	poll_empty(cq, 100000);
	asks = fake_asks(cq);
	CHECK_EQ(asks, 65);
	poll_empty(cq, 1000);
	CHECK_EQ(fake_asks(cq), asks);

	recv_done(qp, 2);
	setup_expect(cq, 2, IBV_WC_SUCCESS, IBV_WC_RECV);
	poll_empty(cq, 32);
	CHECK_EQ(fake_asks(cq), asks + 2);

	/* The end of a WRITE is no reason to ask. */
	poll_empty(cq, 100000);
	asks = fake_asks(cq);
	write_done(qp, 3);
	setup_expect(cq, 3, IBV_WC_SUCCESS, IBV_WC_RDMA_WRITE);
	poll_empty(cq, 1000);
	CHECK_EQ(fake_asks(cq), asks);
	CHECK(!pcv_qp_destroy(qp));
	CHECK(!pcv_cq_destroy(cq));
	end();
}

static void test_two(void)
{
	struct ibv_cq *send_cq, *recv_cq;
	struct ibv_qp *qp[3];
	int i;

	begin();
	send_cq = make_cq();
	recv_cq = make_cq();
	qp[0] = make_qp(send_cq, recv_cq);
	qp[1] = make_qp(recv_cq, send_cq);
	qp[2] = make_qp(send_cq, send_cq);
	for (i = 0; i < 3; i++) {
		send_done(qp[i], 1);
		recv_done(qp[i], 2);
		setup_expect(i == 1 ? recv_cq : send_cq, 1, IBV_WC_SUCCESS, IBV_WC_SEND);
		setup_expect(i == 0 ? recv_cq : send_cq, 2, IBV_WC_SUCCESS, IBV_WC_RECV);
		setup_idle(send_cq);
		setup_idle(recv_cq);
	}
	/* Resetting one locks both, whichever way round they are. */
	setup_state(qp[0], IBV_QPS_RESET);
	setup_state(qp[1], IBV_QPS_RESET);
	for (i = 0; i < 3; i++)
		CHECK(!pcv_qp_destroy(qp[i]));
	CHECK(!pcv_cq_destroy(send_cq));
	CHECK(!pcv_cq_destroy(recv_cq));
	end();
}

/* A broken queue pair is reported in both of its queues. */
static void test_two_broken(void)
{
	struct ibv_cq *send_cq, *recv_cq;
	struct ibv_qp *qp;

	begin();
	send_cq = make_cq();
	recv_cq = make_cq();
	qp = make_qp(send_cq, recv_cq);
	CHECK(!setup_send(qp, 1, 0));
	CHECK(!setup_recv(qp, 2, NULL, 0));
	CHECK(fake_rx_put(fake_qp(qp), 99, 0, "x", 1) > 0);
	setup_idle(recv_cq);
	setup_expect(send_cq, 1, IBV_WC_FATAL_ERR, IBV_WC_SEND);
	setup_expect(recv_cq, 2, IBV_WC_FATAL_ERR, IBV_WC_RECV);
	setup_idle(send_cq);
	setup_idle(recv_cq);
	CHECK(!pcv_qp_destroy(qp));
	CHECK(!pcv_cq_destroy(send_cq));
	CHECK(!pcv_cq_destroy(recv_cq));
	end();
}

/* Numbers that share a slot. */
static void test_slots(void)
{
	struct ibv_qp *qp[3];
	struct ibv_cq *cq;
	int i, order;

	begin();
	cq = make_cq();
	for (order = 0; order < 3; order++) {
		for (i = 0; i < 3; i++) {
			fake_limits.qp_num = 100 + (uint32_t)i * PCV_CQ_SLOTS;
			qp[i] = make_qp(cq, cq);
		}
		for (i = 0; i < 3; i++) {
			send_done(qp[i], (uint64_t)i);
			setup_expect(cq, (uint64_t)i, IBV_WC_SUCCESS, IBV_WC_SEND);
		}
		for (i = 0; i < 3; i++)
			CHECK(!pcv_qp_destroy(qp[(i + order) % 3]));
	}
	CHECK(!pcv_cq_destroy(cq));
	end();
}

/* Nobody starves: not a quiet queue pair beside a busy one, not one direction beside the other. */
static void test_turns(void)
{
	struct ibv_qp *busy, *quiet;
	struct ibv_wc wc[32];
	struct ibv_cq *cq;
	int i, sends, recvs, quiets;

	begin();
	fake_limits.sq_count = 1024;
	cq = make_cq();
	busy = make_qp(cq, cq);
	quiet = make_qp(cq, cq);
	for (i = 0; i < 1024; i++)
		send_done(busy, 1);
	recv_done(busy, 2);
	send_done(quiet, 3);
	/* However few are asked for at a time. */
	for (i = 0, sends = 0, recvs = 0, quiets = 0; i < 5; i++) {
		wc[0] = setup_poll(cq);
		sends += wc[0].wr_id == 1;
		recvs += wc[0].wr_id == 2;
		quiets += wc[0].wr_id == 3;
	}
	CHECK(sends == 3 && recvs == 1 && quiets == 1);
	while (pcv_cq_poll(cq, 32, wc))
		;
	CHECK(!pcv_qp_destroy(busy));

	/* A full batch is served from all that have something. */
	for (i = 0; i < 20; i++)
		send_done(quiet, 4);
	busy = make_qp(cq, cq);
	for (i = 0; i < 20; i++)
		send_done(busy, 5);
	CHECK_EQ(pcv_cq_poll(cq, 32, wc), 32);
	for (i = 0, sends = 0; i < 32; i++)
		sends += wc[i].wr_id == 5;
	CHECK(sends >= 12 && sends <= 20);
	CHECK_EQ(pcv_cq_poll(cq, 32, wc), 8);
	CHECK(!pcv_qp_destroy(busy));
	CHECK(!pcv_qp_destroy(quiet));
	CHECK(!pcv_cq_destroy(cq));
	end();
}

static void test_arm(void)
{
	struct pcv_cq_shared *shared;
	struct ibv_cq *cq;

	begin();
	cq = make_cq();
	shared = fake_cq(cq);
	CHECK(!pcv_cq_arm(cq, 1));
	CHECK_EQ(shared->armed, PCV_CQ_ARMED_SOLICITED);
	CHECK(!pcv_cq_arm(cq, 0));
	CHECK_EQ(shared->armed, PCV_CQ_ARMED_ANY);
	CHECK(!pcv_cq_arm(cq, 1));
	CHECK_EQ(shared->armed, PCV_CQ_ARMED_ANY);
	CHECK(!pcv_cq_resize(cq, 100));
	CHECK_EQ(cq->cqe, 100);
	CHECK(!pcv_cq_destroy(cq));
	end();
}

static void test_extended(void)
{
	struct ibv_cq_init_attr_ex attr = {
		.cqe = 16, .wc_flags = IBV_WC_STANDARD_FLAGS,
		.comp_mask = IBV_CQ_INIT_ATTR_MASK_FLAGS,
		.flags = IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN,
	};
	struct ibv_poll_cq_attr poll = { 0 };
	struct ibv_cq_ex *ex;
	struct ibv_cq *cq;
	struct ibv_qp *qp;

	begin();
	attr.wc_flags |= IBV_WC_EX_WITH_COMPLETION_TIMESTAMP;
	CHECK(!pcv_cq_create_ex(ctx, &attr));
	CHECK_EQ(errno, EOPNOTSUPP);
	attr.wc_flags = IBV_WC_STANDARD_FLAGS;
	ex = pcv_cq_create_ex(ctx, &attr);
	CHECK(ex);
	cq = ibv_cq_ex_to_cq(ex);
	qp = make_qp(cq, cq);
	CHECK_EQ(ibv_start_poll(ex, &poll), ENOENT);
	CHECK_EQ(ibv_start_poll(ex, &poll), ENOENT);
	send_done(qp, 1);
	recv_done(qp, 2);
	CHECK(!ibv_start_poll(ex, &poll));
	CHECK_EQ(ex->wr_id, 1);
	CHECK_EQ(ibv_wc_read_opcode(ex), IBV_WC_SEND);
	CHECK_EQ(ibv_wc_read_qp_num(ex), qp->qp_num);
	CHECK(!ibv_next_poll(ex));
	CHECK_EQ(ex->wr_id, 2);
	CHECK_EQ(ex->status, IBV_WC_SUCCESS);
	CHECK_EQ(ibv_wc_read_opcode(ex), IBV_WC_RECV);
	CHECK_EQ(ibv_next_poll(ex), ENOENT);
	ibv_end_poll(ex);
	setup_idle(cq);
	CHECK(!pcv_qp_destroy(qp));
	CHECK(!pcv_cq_destroy(cq));
	end();
}

static const struct pcv_case cases[] = {
	{ "idle", test_idle }, { "two", test_two }, { "two-broken", test_two_broken },
	{ "ask", test_ask },
	{ "slots", test_slots }, { "turns", test_turns }, { "arm", test_arm },
	{ "extended", test_extended },
};

int main(int argc, char **argv)
{
	return pcv_check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
