// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Receives: own and shared queues, messages placed and messages in the ring. */
#include "setup.h"

static struct ibv_context *ctx;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct ibv_srq *srq;
static struct ibv_qp *qp;
static struct fake_qp *fq;

static void begin_with(enum ibv_qp_type type, bool shared)
{
	ctx = fake_open();
	pd = pcv_pd_alloc(ctx);
	cq = pcv_cq_create(ctx, 16, NULL, 0);
	CHECK(pd && cq);
	srq = shared ? setup_srq(pd) : NULL;
	qp = setup_qp(pd, cq, cq, srq, type);
	fq = fake_qp(qp);
	setup_rts(qp);
}

static void begin(void)
{
	begin_with(IBV_QPT_RC, false);
}

static void end(void)
{
	CHECK(!pcv_qp_destroy(qp));
	if (srq)
		CHECK(!pcv_srq_destroy(srq));
	CHECK(!pcv_cq_destroy(cq));
	CHECK(!pcv_pd_free(pd));
	fake_close();
}

static uint32_t take(void)
{
	uint32_t wqe;

	CHECK(fake_recv_take(fq, &wqe, NULL));
	return wqe;
}

static void test_placed(void)
{
	struct ibv_sge sge = { 0x1000, 100, 1 };
	struct pcv_rx_placed placed;
	struct ibv_wc wc;
	uint32_t imm = htobe32(0xa1b2c3d4);
	uint64_t id;

	begin();
	for (id = 0; id < 100; id++) {
		CHECK(!setup_recv(qp, id, &sge, 1));
		setup_idle(cq);
		CHECK(fake_rx_placed(fq, take(), (uint32_t)id) > 0);
		wc = setup_poll(cq);
		CHECK(wc.wr_id == id && wc.status == IBV_WC_SUCCESS && wc.opcode == IBV_WC_RECV);
		CHECK(wc.byte_len == id && !wc.wc_flags && wc.qp_num == qp->qp_num);
		setup_idle(cq);
	}

	memset(&placed, 0, sizeof(placed));
	CHECK(!setup_recv(qp, 5, NULL, 0));
	placed.wqe = pcv_to_le32(take());
	placed.opcode = PCV_RX_OP_WRITE_IMM;
	placed.wc_flags = PCV_RX_WC_IMM;
	placed.byte_len = pcv_to_le32(1u << 30);
	placed.src_qp = pcv_to_le32(99);
	placed.sl = 3;
	memcpy(&placed.imm, &imm, 4);
	CHECK(fake_rx_put(fq, PCV_RX_PLACED, 0, &placed, sizeof(placed)) > 0);
	wc = setup_poll(cq);
	CHECK(wc.wr_id == 5 && wc.opcode == IBV_WC_RECV_RDMA_WITH_IMM);
	CHECK(wc.wc_flags == IBV_WC_WITH_IMM && be32toh(wc.imm_data) == 0xa1b2c3d4);
	CHECK(wc.byte_len == 1u << 30 && wc.src_qp == 99 && wc.sl == 3);

	CHECK(!setup_recv(qp, 6, &sge, 1));
	placed.wqe = pcv_to_le32(take());
	placed.opcode = PCV_RX_OP_RECV;
	placed.wc_flags = PCV_RX_WC_INV;
	placed.byte_len = pcv_to_le32(1);
	placed.imm = pcv_to_le32(0x77);
	CHECK(fake_rx_put(fq, PCV_RX_PLACED, 0, &placed, sizeof(placed)) > 0);
	wc = setup_poll(cq);
	CHECK(wc.wc_flags == IBV_WC_WITH_INV && wc.invalidated_rkey == 0x77);
	end();
}

static void test_grh(void)
{
	struct ibv_sge sge = { 0x1000, 140, 1 };
	struct pcv_rx_placed placed;
	struct ibv_wc wc;

	begin_with(IBV_QPT_UD, false);
	CHECK(!setup_recv(qp, 1, &sge, 1));
	memset(&placed, 0, sizeof(placed));
	placed.wqe = pcv_to_le32(take());
	placed.wc_flags = PCV_RX_WC_GRH;
	placed.byte_len = pcv_to_le32(140);
	placed.src_qp = pcv_to_le32(0x112233);
	CHECK(fake_rx_put(fq, PCV_RX_PLACED, 0, &placed, sizeof(placed)) > 0);
	wc = setup_poll(cq);
	CHECK(wc.wc_flags == IBV_WC_GRH && wc.byte_len == 140 && wc.src_qp == 0x112233);
	end();
}

static void test_limits(void)
{
	struct ibv_sge sge[5] = { { 0 } };
	struct ibv_recv_wr wr[3], *bad;
	uint64_t id;

	begin();
	memset(wr, 0, sizeof(wr));
	wr[0].next = &wr[1];
	wr[1].next = &wr[2];
	wr[1].sg_list = sge;
	wr[1].num_sge = 5;
	CHECK_EQ(pcv_qp_post_recv(qp, wr, &bad), EINVAL);
	CHECK(bad == &wr[1]);
	for (id = 1; id < 16; id++)
		CHECK(!setup_recv(qp, id, NULL, 0));
	CHECK_EQ(setup_recv(qp, 16, NULL, 0), ENOMEM);
	CHECK(fake_rx_placed(fq, take(), 0) > 0);
	CHECK_EQ(setup_recv(qp, 16, NULL, 0), ENOMEM);
	setup_expect(cq, 0, IBV_WC_SUCCESS, IBV_WC_RECV);
	PCV_STORE(&fq->shared->kick, PCV_KICK_RECV);
	CHECK(!setup_recv(qp, 16, NULL, 0));
	CHECK_EQ(fq->kicks, 1);

	setup_state(qp, IBV_QPS_RESET);
	CHECK_EQ(setup_recv(qp, 1, NULL, 0), EINVAL);
	setup_state(qp, IBV_QPS_INIT);
	CHECK(!setup_recv(qp, 1, NULL, 0));
	end();
}

static void test_flush(void)
{
	uint64_t id;

	begin();
	for (id = 0; id < 16; id++)
		CHECK(!setup_recv(qp, id, NULL, 0));
	CHECK(!setup_send(qp, 100, 0));
	setup_state(qp, IBV_QPS_ERR);
	CHECK_EQ(setup_recv(qp, 16, NULL, 0), ENOMEM);
	/* Ends of sends and of receives take turns, each in its order. */
	setup_expect(cq, 100, IBV_WC_WR_FLUSH_ERR, IBV_WC_SEND);
	for (id = 0; id < 16; id++)
		setup_expect(cq, id, IBV_WC_WR_FLUSH_ERR, IBV_WC_RECV);
	setup_idle(cq);
	/* Posted later: the kernel asked to be called. */
	CHECK(!setup_recv(qp, 20, NULL, 0));
	setup_expect(cq, 20, IBV_WC_WR_FLUSH_ERR, IBV_WC_RECV);
	end();
}

/* More ends than the ring has lines: the kernel waits until it is called. */
static void test_backlog(void)
{
	uint64_t id, got = 0;
	struct ibv_wc wc[8];
	int i, n;

	ctx = fake_open();
	fake_limits.rq_count = 64;
	fake_limits.ring_count = 8;
	pd = pcv_pd_alloc(ctx);
	cq = pcv_cq_create(ctx, 16, NULL, 0);
	srq = NULL;
	qp = setup_qp(pd, cq, cq, NULL, IBV_QPT_RC);
	fq = fake_qp(qp);
	setup_rts(qp);

	for (id = 0; id < 64; id++)
		CHECK(!setup_recv(qp, id, NULL, 0));
	setup_state(qp, IBV_QPS_ERR);
	for (i = 0; i < 1000 && got < 64; i++) {
		n = pcv_cq_poll(cq, 3, wc);
		for (id = 0; id < (uint64_t)n; id++)
			CHECK_EQ(wc[id].wr_id, got + id);
		got += (uint64_t)n;
	}
	CHECK_EQ(got, 64);
	CHECK(fq->kicks <= 9);
	end();
}

static void test_data(void)
{
	static uint8_t buf[256];
	struct ibv_sge sge[3];
	struct ibv_mr *mr, *far, *ro;
	uint8_t msg[108];
	struct ibv_wc wc;
	unsigned int i;

	begin();
	mr = pcv_mr_reg(pd, buf, sizeof(buf), (uintptr_t)buf, IBV_ACCESS_LOCAL_WRITE);
	far = pcv_mr_reg(pd, buf, sizeof(buf), 0x10, IBV_ACCESS_LOCAL_WRITE);
	ro = pcv_mr_reg(pd, buf, sizeof(buf), (uintptr_t)buf, 0);
	CHECK(mr && far && ro);
	for (i = 0; i < sizeof(msg); i++)
		msg[i] = (uint8_t)(i + 1);

	/* Scattered over three segments, one of them by another address, one empty. */
	sge[0] = (struct ibv_sge){ (uintptr_t)buf + 3, 60, mr->lkey };
	sge[1] = (struct ibv_sge){ 0, 0, 0xdead };
	sge[2] = (struct ibv_sge){ 0x10 + 200, 56, far->lkey };
	CHECK(!setup_recv(qp, 1, sge, 3));
	CHECK(fake_rx_data(fq, msg, 108) > 0);
	wc = setup_poll(cq);
	CHECK(wc.wr_id == 1 && wc.status == IBV_WC_SUCCESS && wc.byte_len == 108);
	CHECK(wc.opcode == IBV_WC_RECV && !wc.wc_flags);
	CHECK(!memcmp(buf + 3, msg, 60) && !memcmp(buf + 200, msg + 60, 48));
	CHECK_EQ(buf[248], 0);
	CHECK_EQ(buf[2], 0);

	/* With immediate data; of no length. */
	memset(msg, 0, 8);
	msg[0] = 0xca;
	msg[3] = 0xfe;
	CHECK(!setup_recv(qp, 2, sge, 1));
	take();
	CHECK(fake_rx_put(fq, PCV_RX_DATA, PCV_RX_IMM, msg, 12) > 0);
	wc = setup_poll(cq);
	CHECK(wc.byte_len == 4 && wc.wc_flags == IBV_WC_WITH_IMM);
	CHECK_EQ(be32toh(wc.imm_data), 0xca0000fe);
	CHECK(!memcmp(buf + 3, msg + 8, 4));
	CHECK(!setup_recv(qp, 3, NULL, 0));
	CHECK(fake_rx_data(fq, NULL, 0) > 0);
	wc = setup_poll(cq);
	CHECK(wc.wr_id == 3 && wc.status == IBV_WC_SUCCESS && !wc.byte_len);

	/* Mixed with messages that the kernel placed. */
	CHECK(!setup_recv(qp, 4, sge, 1));
	CHECK(!setup_recv(qp, 5, sge, 1));
	CHECK(!setup_recv(qp, 6, sge, 1));
	CHECK(fake_rx_data(fq, msg, 5) > 0);
	CHECK(fake_rx_placed(fq, take(), 60) > 0);
	CHECK(fake_rx_data(fq, msg, 6) > 0);
	setup_expect(cq, 4, IBV_WC_SUCCESS, IBV_WC_RECV);
	setup_expect(cq, 5, IBV_WC_SUCCESS, IBV_WC_RECV);
	setup_expect(cq, 6, IBV_WC_SUCCESS, IBV_WC_RECV);

	/* Before its receive is posted: it waits, and is looked at again. */
	CHECK(fake_rx_data(fq, msg, 6) > 0);
	setup_idle(cq);
	setup_idle(cq);
	CHECK(!setup_recv(qp, 7, sge, 1));
	setup_expect(cq, 7, IBV_WC_SUCCESS, IBV_WC_RECV);
	fq->rq_next++;

	/* Into memory that may not be written: this receive fails, the rest is flushed. */
	sge[0].lkey = ro->lkey;
	CHECK(!setup_recv(qp, 8, sge, 1));
	CHECK(!setup_recv(qp, 9, sge, 1));
	CHECK(fake_rx_data(fq, msg, 6) > 0);
	setup_expect(cq, 8, IBV_WC_LOC_PROT_ERR, IBV_WC_RECV);
	CHECK_EQ(fq->state, IBV_QPS_ERR);
	setup_expect(cq, 9, IBV_WC_WR_FLUSH_ERR, IBV_WC_RECV);
	setup_state(qp, IBV_QPS_RESET);
	setup_rts(qp);

	/* Too long; what came behind it has not arrived, wherever the kernel put it. */
	sge[0].lkey = mr->lkey;
	memset(buf, 0, sizeof(buf));
	for (i = 10; i < 15; i++)
		CHECK(!setup_recv(qp, i, sge, 1));
	CHECK(fake_rx_data(fq, msg, 61) > 0);
	CHECK(fake_rx_data(fq, msg, 5) > 0);
	CHECK(fake_rx_placed(fq, take(), 5) > 0);
	CHECK(fake_rx_data(fq, msg, 5) > 0);
	setup_expect(cq, 10, IBV_WC_LOC_LEN_ERR, IBV_WC_RECV);
	for (i = 11; i < 15; i++)
		setup_expect(cq, i, IBV_WC_WR_FLUSH_ERR, IBV_WC_RECV);
	setup_idle(cq);
	CHECK_EQ(buf[3], 0);

	CHECK(!pcv_mr_dereg((struct verbs_mr *)mr));
	CHECK(!pcv_mr_dereg((struct verbs_mr *)ro));
	CHECK(!pcv_mr_dereg((struct verbs_mr *)far));
	end();
}

static void test_srq(void)
{
	struct ibv_sge sge = { 0x1000, 100, 1 };
	struct ibv_sge three[3] = { { 0 } };
	struct ibv_srq_attr attr = { .max_wr = 32 };
	struct fake_qp *fq2;
	struct ibv_qp *qp2;
	uint32_t wqe[40];
	uint64_t id;
	int i;

	begin_with(IBV_QPT_RC, true);
	qp2 = setup_qp(pd, cq, cq, srq, IBV_QPT_RC);
	fq2 = fake_qp(qp2);
	setup_rts(qp2);
	CHECK_EQ(setup_recv(qp, 1, NULL, 0), EINVAL);
	CHECK_EQ(pcv_srq_modify(srq, &attr, IBV_SRQ_MAX_WR), EOPNOTSUPP);
	CHECK_EQ(setup_srq_recv(srq, 1, three, 3), EINVAL);

	for (id = 0; id < 16; id++)
		CHECK(!setup_srq_recv(srq, 1000 + id, &sge, 1));
	CHECK_EQ(setup_srq_recv(srq, 1, &sge, 1), ENOMEM);
	/* All are taken and the queue is filled again before any end is polled. */
	for (i = 0; i < 16; i++)
		wqe[i] = take();
	for (id = 16; id < 32; id++)
		CHECK(!setup_srq_recv(srq, 1000 + id, &sge, 1));
	CHECK_EQ(setup_srq_recv(srq, 1, &sge, 1), ENOMEM);
	/* They end out of order, through two queue pairs. */
	for (i = 15; i >= 0; i -= 2)
		CHECK(fake_rx_placed(fq, wqe[i], 1) > 0);
	for (i = 14; i >= 0; i -= 2)
		CHECK(fake_rx_placed(fq2, wqe[i], 1) > 0);
	for (i = 0; i < 8; i++) {
		struct ibv_wc a = setup_poll(cq);
		struct ibv_wc b = setup_poll(cq);

		CHECK(a.wr_id == 1015 - 2 * (uint64_t)i && a.qp_num == qp->qp_num);
		CHECK(b.wr_id == 1014 - 2 * (uint64_t)i && b.qp_num == qp2->qp_num);
	}
	setup_idle(cq);
	for (i = 0; i < 16; i++) {
		wqe[i] = take();
		CHECK(fake_rx_placed(fq, wqe[i], 100) > 0);
		setup_expect(cq, 1016 + (uint64_t)i, IBV_WC_SUCCESS, IBV_WC_RECV);
	}
	CHECK(!pcv_qp_destroy(qp2));
	end();
}

/* A message in the ring takes its receive from the shared queue as the kernel does. */
static void test_srq_data(void)
{
	uint8_t buf[64] = { 0 };
	struct ibv_sge sge = { (uintptr_t)buf, sizeof(buf), 0 };
	struct ibv_mr *mr;
	uint32_t wqe;

	begin_with(IBV_QPT_RC, true);
	mr = pcv_mr_reg(pd, buf, sizeof(buf), (uintptr_t)buf, IBV_ACCESS_LOCAL_WRITE);
	CHECK(mr);
	sge.lkey = mr->lkey;
	CHECK(fake_rx_data(fq, "hello", 5) > 0);
	setup_idle(cq);
	CHECK(!setup_srq_recv(srq, 1, &sge, 1));
	CHECK(!setup_srq_recv(srq, 2, &sge, 1));
	setup_expect(cq, 1, IBV_WC_SUCCESS, IBV_WC_RECV);
	CHECK(!memcmp(buf, "hello", 5));
	wqe = take();
	CHECK(fake_rx_placed(fq, wqe, 5) > 0);
	setup_expect(cq, 2, IBV_WC_SUCCESS, IBV_WC_RECV);
	CHECK(!pcv_mr_dereg((struct verbs_mr *)mr));
	end();
}

/* Who posts to a shared queue calls the kernel while somebody waits there, and only then. */
static void test_srq_kick(void)
{
	struct ibv_sge sge = { 0x1000, 100, 1 };
	struct pcv_sge back = { 0x1000, 100, 1 };
	struct pcv_rwqe wqe = { .wr_id = 0, .num_sge = 1 };
	struct fake_srq *fs;

	begin_with(IBV_QPT_RC, true);
	fs = fake_srq(srq);
	CHECK(!setup_srq_recv(srq, 1, &sge, 1));
	CHECK_EQ(fs->kicks, 0);
	PCV_STORE(&fs->shared->kick, 3);
	CHECK(!setup_srq_recv(srq, 2, &sge, 1));
	CHECK_EQ(fs->kicks, 1);
	/* Nothing was posted: nothing to tell. */
	CHECK_EQ(setup_srq_recv(srq, 3, &sge, 100), EINVAL);
	CHECK_EQ(fs->kicks, 1);
	CHECK(pcv_srq_give_back(pcv_srq(srq), &wqe, &back));
	CHECK_EQ(fs->kicks, 2);
	/* The device that is gone, or other credentials: the receive is posted all the same. */
	fake_faults.gone = true;
	CHECK(!setup_srq_recv(srq, 4, &sge, 1));
	fake_faults.gone = false;
	fake_faults.write_times = 1;
	fake_faults.write_errno = EACCES;
	CHECK(!setup_srq_recv(srq, 5, &sge, 1));
	CHECK_EQ(fs->kicks, 3);
	CHECK_EQ(fake_ioctls, 1);
	PCV_STORE(&fs->shared->kick, 0);
	CHECK(!setup_srq_recv(srq, 6, &sge, 1));
	CHECK_EQ(fs->kicks, 3);
	CHECK_EQ(fq->kicks, 0);
	end();
}

/* Queue pairs that go away give back what they took: nothing is lost over many of them. */
static void test_srq_recall(void)
{
	struct ibv_sge sge = { 0x1000, 100, 1 };
	struct ibv_qp *qp2;
	uint32_t wqe;
	int i;

	begin_with(IBV_QPT_RC, true);
	for (i = 0; i < 200; i++) {
		qp2 = setup_qp(pd, cq, cq, srq, IBV_QPT_RC);
		setup_rts(qp2);
		CHECK(!setup_srq_recv(srq, 1, &sge, 1));
		CHECK(!setup_srq_recv(srq, 2, &sge, 1));
		CHECK(fake_recv_take(fake_qp(qp2), &wqe, NULL));
		CHECK(fake_rx_placed(fake_qp(qp2), wqe, 1) > 0);
		CHECK(fake_recv_take(fake_qp(qp2), &fake_qp(qp2)->claimed, NULL));
		fake_qp(qp2)->has_claimed = true;
		if (i & 1)
			setup_state(qp2, IBV_QPS_RESET);
		CHECK(!pcv_qp_destroy(qp2));
		setup_idle(cq);
	}
	end();
}

static void test_destroy_fails(void)
{
	begin();
	CHECK(!setup_send(qp, 1, IBV_SEND_SIGNALED));
	fake_faults.destroy_qp_errno = EBUSY;
	CHECK_EQ(pcv_qp_destroy(qp), EBUSY);
	fake_faults.destroy_qp_errno = 0;
	fake_send_all(fq, 1);
	setup_expect(cq, 1, IBV_WC_SUCCESS, IBV_WC_SEND);
	end();
}

static const struct pcv_case cases[] = {
	{ "placed", test_placed }, { "grh", test_grh }, { "limits", test_limits },
	{ "flush", test_flush }, { "backlog", test_backlog }, { "data", test_data },
	{ "srq", test_srq }, { "srq-data", test_srq_data }, { "srq-recall", test_srq_recall },
	{ "srq-kick", test_srq_kick },
	{ "destroy-fails", test_destroy_fails },
};

int main(int argc, char **argv)
{
	return pcv_check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
