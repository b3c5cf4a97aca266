// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Posting sends, kicking the kernel, polling how sends ended. */
#include "setup.h"

static struct ibv_context *ctx;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct ibv_qp *qp;
static struct fake_qp *fq;

static void begin_type(enum ibv_qp_type type)
{
	ctx = fake_open();
	pd = pcv_pd_alloc(ctx);
	cq = pcv_cq_create(ctx, 16, NULL, 0);
	CHECK(pd && cq);
	qp = setup_qp(pd, cq, cq, NULL, type);
	fq = fake_qp(qp);
	setup_rts(qp);
}

static void begin(void)
{
	begin_type(IBV_QPT_RC);
}

static void end(void)
{
	CHECK(!pcv_qp_destroy(qp));
	CHECK(!pcv_cq_destroy(cq));
	CHECK(!pcv_pd_free(pd));
	fake_close();
}

static void test_signaled(void)
{
	uint64_t id;

	begin();
	setup_idle(cq);
	/* Several laps; every third one is signaled, and one fails unsignaled. */
	for (id = 0; id < 100; id++) {
		CHECK(!setup_send(qp, id, id % 3 ? 0 : IBV_SEND_SIGNALED));
		CHECK(fake_send_take(fq));
		setup_idle(cq);
		fake_send_end(fq, id == 50 ? PCV_WC_REM_ACCESS_ERR : PCV_WC_SUCCESS, (uint32_t)id);
		if (id == 50) {
			setup_expect(cq, id, IBV_WC_REM_ACCESS_ERR, IBV_WC_SEND);
		} else if (id % 3 == 0) {
			struct ibv_wc wc = setup_poll(cq);

			CHECK_EQ(wc.wr_id, id);
			CHECK_EQ(wc.byte_len, id);
			CHECK_EQ(wc.qp_num, qp->qp_num);
		}
		setup_idle(cq);
	}
	end();
}

static void test_batch(void)
{
	struct ibv_wc wc[64];
	uint64_t id;
	int i, n;

	begin();
	for (id = 0; id < 16; id++)
		CHECK(!setup_send(qp, id, IBV_SEND_SIGNALED));
	CHECK_EQ(setup_send(qp, 99, 0), ENOMEM);
	fake_send_all(fq, 16);
	/* Ended is not enough: the slot comes back with the poll. */
	CHECK_EQ(setup_send(qp, 99, 0), ENOMEM);
	n = pcv_cq_poll(cq, 5, wc);
	CHECK_EQ(n, 5);
	n += pcv_cq_poll(cq, 64 - n, wc + n);
	CHECK_EQ(n, 16);
	for (i = 0; i < n; i++)
		CHECK_EQ(wc[i].wr_id, i);
	CHECK(!setup_send(qp, 99, 0));
	end();
}

static void test_states(void)
{
	static const struct {
		enum ibv_qp_state state;
		int err;
	} cases[] = {
		{ IBV_QPS_RESET, EINVAL }, { IBV_QPS_INIT, EINVAL }, { IBV_QPS_RTR, EINVAL },
		{ IBV_QPS_RTS, 0 }, { IBV_QPS_SQD, 0 }, { IBV_QPS_ERR, 0 },
	};
	unsigned int i;

	begin();
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		setup_state(qp, cases[i].state);
		CHECK_EQ(setup_send(qp, i, 0), cases[i].err);
	}
	/* Posting to a queue pair in error calls the kernel, which flushes. */
	CHECK_EQ(fq->kicks, 1);
	setup_expect(cq, 3, IBV_WC_WR_FLUSH_ERR, IBV_WC_SEND);
	setup_expect(cq, 4, IBV_WC_WR_FLUSH_ERR, IBV_WC_SEND);
	setup_expect(cq, 5, IBV_WC_WR_FLUSH_ERR, IBV_WC_SEND);
	end();
}

static void test_list(void)
{
	struct ibv_send_wr wr[4], *bad;
	int i;

	begin();
	memset(wr, 0, sizeof(wr));
	for (i = 0; i < 4; i++) {
		wr[i].wr_id = (uint64_t)i;
		wr[i].opcode = IBV_WR_SEND;
		wr[i].send_flags = IBV_SEND_SIGNALED;
		wr[i].next = i < 3 ? &wr[i + 1] : NULL;
	}
	/* The third is wrong: the first two are posted, with one call of the kernel. */
	wr[2].opcode = IBV_WR_TSO;
	PCV_STORE(&fq->shared->kick, PCV_KICK_SEND);
	CHECK_EQ(pcv_qp_post_send(qp, wr, &bad), EINVAL);
	CHECK(bad == &wr[2]);
	CHECK_EQ(fq->kicks, 1);
	fake_send_all(fq, 2);
	CHECK(!fake_send_take(fq));
	setup_expect(cq, 0, IBV_WC_SUCCESS, IBV_WC_SEND);
	setup_expect(cq, 1, IBV_WC_SUCCESS, IBV_WC_SEND);

	/* Nothing posted, nothing called; and no call while the kernel is awake. */
	CHECK_EQ(pcv_qp_post_send(qp, &wr[2], &bad), EINVAL);
	CHECK(bad == &wr[2]);
	CHECK_EQ(fq->kicks, 1);
	PCV_STORE(&fq->shared->kick, PCV_KICK_RECV | PCV_KICK_RING);
	CHECK(!setup_send(qp, 0, 0));
	CHECK_EQ(fq->kicks, 1);
	end();
}

static void test_wqe(void)
{
	struct ibv_sge sge[5] = {
		{ 0x1000, 10, 7 }, { 0x2000, 20, 8 }, { 0, 0, 0 }, { 0x4000, 1, 9 }, { 5, 5, 5 },
	};
	struct ibv_send_wr wr = { .wr_id = 1, .sg_list = sge, .num_sge = 4 };
	const struct pcv_swqe *wqe;
	const struct pcv_sge *psge;
	struct ibv_send_wr *bad;
	uint32_t imm;

	begin();
	wr.opcode = IBV_WR_RDMA_WRITE_WITH_IMM;
	wr.send_flags = IBV_SEND_FENCE | IBV_SEND_SOLICITED | IBV_SEND_SIGNALED;
	wr.imm_data = htobe32(0x01020304);
	wr.wr.rdma.remote_addr = 0x123456789abcdef0;
	wr.wr.rdma.rkey = 0xfedcba98;
	CHECK(!pcv_qp_post_send(qp, &wr, &bad));
	wqe = fake_send_take(fq);
	CHECK(wqe);
	CHECK_EQ(wqe->opcode, PCV_WR_WRITE_IMM);
	CHECK_EQ(wqe->flags, PCV_WR_FENCE | PCV_WR_SOLICITED | PCV_WR_SIGNALED);
	CHECK_EQ(wqe->num_sge, 4);
	memcpy(&imm, &wqe->imm, 4);
	CHECK_EQ(be32toh(imm), 0x01020304);
	CHECK_EQ(wqe->remote_addr, 0x123456789abcdef0);
	CHECK_EQ(wqe->rkey, 0xfedcba98);
	psge = (const void *)(wqe + 1);
	CHECK(psge[0].addr == 0x1000 && psge[0].length == 10 && psge[0].lkey == 7);
	CHECK(psge[3].addr == 0x4000 && psge[3].length == 1 && psge[3].lkey == 9);
	fake_send_end(fq, PCV_WC_SUCCESS, 0);
	setup_expect(cq, 1, IBV_WC_SUCCESS, IBV_WC_RDMA_WRITE);

	wr.opcode = IBV_WR_ATOMIC_CMP_AND_SWP;
	wr.wr.atomic.remote_addr = 8;
	wr.wr.atomic.compare_add = 11;
	wr.wr.atomic.swap = 12;
	wr.wr.atomic.rkey = 13;
	wr.num_sge = 1;
	CHECK(!pcv_qp_post_send(qp, &wr, &bad));
	wqe = fake_send_take(fq);
	CHECK(wqe->opcode == PCV_WR_CMP_SWAP && wqe->remote_addr == 8 && wqe->rkey == 13 &&
	      wqe->compare_add == 11 && wqe->swap == 12);
	fake_send_end(fq, PCV_WC_SUCCESS, 8);
	setup_expect(cq, 1, IBV_WC_SUCCESS, IBV_WC_COMP_SWAP);

	wr.opcode = IBV_WR_SEND_WITH_INV;
	wr.invalidate_rkey = 0xabcd;
	CHECK(!pcv_qp_post_send(qp, &wr, &bad));
	wqe = fake_send_take(fq);
	CHECK(wqe->opcode == PCV_WR_SEND_INV && wqe->imm == 0xabcd);

	wr.opcode = IBV_WR_SEND;
	wr.num_sge = 5;
	CHECK_EQ(pcv_qp_post_send(qp, &wr, &bad), EINVAL);
	wr.num_sge = -1;
	CHECK_EQ(pcv_qp_post_send(qp, &wr, &bad), EINVAL);
	wr.num_sge = 0;
	wr.opcode = (enum ibv_wr_opcode)-1;
	CHECK_EQ(pcv_qp_post_send(qp, &wr, &bad), EINVAL);
	wr.opcode = IBV_WR_BIND_MW;
	CHECK_EQ(pcv_qp_post_send(qp, &wr, &bad), EINVAL);
	end();
}

static void test_inline(void)
{
	uint8_t data[129];
	struct ibv_sge sge[3] = {
		{ (uintptr_t)data, 100, 0 }, { 0, 0, 0 }, { (uintptr_t)data + 100, 28, 0 },
	};
	struct ibv_send_wr wr = {
		.wr_id = 1, .sg_list = sge, .num_sge = 3, .opcode = IBV_WR_SEND,
		.send_flags = IBV_SEND_INLINE,
	};
	const struct pcv_swqe *wqe;
	struct ibv_send_wr *bad;
	unsigned int i;

	begin();
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	CHECK(!pcv_qp_post_send(qp, &wr, &bad));
	memset(data, 0xff, sizeof(data));
	wqe = fake_send_take(fq);
	CHECK_EQ(wqe->flags, PCV_WR_INLINE);
	CHECK_EQ(wqe->num_sge, 0);
	CHECK_EQ(wqe->inline_len, 128);
	for (i = 0; i < 128; i++)
		CHECK_EQ(((const uint8_t *)(wqe + 1))[i], i);

	sge[2].length = 29;
	CHECK_EQ(pcv_qp_post_send(qp, &wr, &bad), EINVAL);
	/* A sum that wraps is not small. */
	sge[2].length = UINT32_MAX;
	CHECK_EQ(pcv_qp_post_send(qp, &wr, &bad), EINVAL);
	sge[2].length = 1;
	wr.opcode = IBV_WR_RDMA_READ;
	CHECK_EQ(pcv_qp_post_send(qp, &wr, &bad), EINVAL);
	end();
}

static void test_ud(void)
{
	struct ibv_ah_attr attr = { .is_global = 1 };
	struct ibv_send_wr wr = { .wr_id = 1, .opcode = IBV_WR_SEND };
	const struct pcv_swqe *wqe;
	struct ibv_send_wr *bad;
	struct ibv_ah *ah;

	begin_type(IBV_QPT_UD);
	ah = pcv_ah_create(pd, &attr);
	CHECK(ah);
	CHECK_EQ(pcv_qp_post_send(qp, &wr, &bad), EINVAL);
	wr.wr.ud.ah = ah;
	wr.wr.ud.remote_qpn = 0x123456;
	wr.wr.ud.remote_qkey = 0x80010000;
	CHECK(!pcv_qp_post_send(qp, &wr, &bad));
	wqe = fake_send_take(fq);
	CHECK(wqe->ah == 77 && wqe->remote_qpn == 0x123456 && wqe->remote_qkey == 0x80010000);
	wr.opcode = IBV_WR_RDMA_WRITE;
	CHECK_EQ(pcv_qp_post_send(qp, &wr, &bad), EINVAL);
	CHECK(!pcv_ah_destroy(ah));
	end();
}

static void test_kick(void)
{
	begin();
	PCV_STORE(&fq->shared->kick, PCV_KICK_SEND);
	/* For a moment no memory: it is called again. */
	fake_faults.write_times = 3;
	fake_faults.write_errno = ENOMEM;
	CHECK(!setup_send(qp, 1, 0));
	CHECK_EQ(fq->kicks, 1);
	/* Credentials changed: from now on by ioctl. */
	fake_faults.write_times = 1;
	fake_faults.write_errno = EACCES;
	CHECK(!setup_send(qp, 2, 0));
	CHECK_EQ(fq->kicks, 2);
	CHECK_EQ(fake_ioctls, 1);
	CHECK(!setup_send(qp, 3, 0));
	CHECK_EQ(fq->kicks, 3);
	CHECK_EQ(fake_ioctls, 2);
	end();
}

static void test_gone(void)
{
	begin();
	CHECK(!setup_recv(qp, 10, NULL, 0));
	CHECK(!setup_send(qp, 1, IBV_SEND_SIGNALED));
	fake_faults.gone = true;
	PCV_STORE(&fq->shared->kick, PCV_KICK_SEND);
	/* What was posted was posted; its end is reported, and nothing more goes in. */
	CHECK(!setup_send(qp, 2, 0));
	CHECK_EQ(setup_send(qp, 3, 0), EIO);
	CHECK_EQ(setup_recv(qp, 11, NULL, 0), EIO);
	setup_expect(cq, 1, IBV_WC_FATAL_ERR, IBV_WC_SEND);
	setup_expect(cq, 2, IBV_WC_FATAL_ERR, IBV_WC_SEND);
	setup_expect(cq, 10, IBV_WC_FATAL_ERR, IBV_WC_RECV);
	setup_idle(cq);
	fake_faults.gone = false;
	end();
}

static void test_reset(void)
{
	begin();
	CHECK(!setup_send(qp, 1, IBV_SEND_SIGNALED));
	CHECK(!setup_send(qp, 2, IBV_SEND_SIGNALED));
	fake_send_all(fq, 1);
	setup_state(qp, IBV_QPS_RESET);
	setup_idle(cq);
	setup_rts(qp);
	CHECK(!setup_send(qp, 3, IBV_SEND_SIGNALED));
	fake_send_all(fq, 1);
	setup_expect(cq, 3, IBV_WC_SUCCESS, IBV_WC_SEND);
	setup_idle(cq);
	end();
}

static void test_liar(void)
{
	begin();
	/* More ends than sends. */
	CHECK(!setup_send(qp, 1, 0));
	PCV_STORE(&fq->shared->sq_done, 2);
	fake_hint(fq->send_cq, fq->qp_num);
	setup_idle(cq);
	CHECK_EQ(fq->state, IBV_QPS_ERR);
	setup_expect(cq, 1, IBV_WC_FATAL_ERR, IBV_WC_SEND);
	setup_idle(cq);
	setup_state(qp, IBV_QPS_RESET);
	setup_rts(qp);

	/* An end that means nothing, after one that does. */
	CHECK(!setup_send(qp, 2, IBV_SEND_SIGNALED));
	CHECK(!setup_send(qp, 3, 0));
	CHECK(fake_send_take(fq) && fake_send_take(fq));
	fake_send_end(fq, PCV_WC_SUCCESS, 0);
	fake_send_end(fq, 22, 0);
	setup_expect(cq, 2, IBV_WC_SUCCESS, IBV_WC_SEND);
	setup_idle(cq);
	setup_expect(cq, 3, IBV_WC_FATAL_ERR, IBV_WC_SEND);
	setup_idle(cq);
	end();
}

static void test_layout(void)
{
	struct ibv_qp_init_attr attr;

	begin();
	memset(&attr, 0, sizeof(attr));
	attr.send_cq = cq;
	attr.recv_cq = cq;
	attr.qp_type = IBV_QPT_RC;
	fake_lies.qp_ring_offset = 1 << 20;
	CHECK(!pcv_qp_create(pd, &attr));
	fake_lies.qp_ring_offset = 1;
	CHECK(!pcv_qp_create(pd, &attr));
	fake_lies.qp_ring_offset = 0;
	fake_lies.sq_count = 15;
	CHECK(!pcv_qp_create(pd, &attr));
	fake_lies.sq_count = 1u << 31;
	CHECK(!pcv_qp_create(pd, &attr));
	fake_lies.sq_count = 0;
	fake_lies.mmap_bytes = UINT64_MAX;
	CHECK(!pcv_qp_create(pd, &attr));
	CHECK(!pcv_cq_create(ctx, 1, NULL, 0));
	fake_lies.mmap_bytes = 8;
	CHECK(!pcv_cq_create(ctx, 1, NULL, 0));
	fake_lies.mmap_bytes = 0;
	attr.qp_type = IBV_QPT_RAW_PACKET;
	CHECK(!pcv_qp_create(pd, &attr));
	CHECK_EQ(errno, EOPNOTSUPP);
	end();
}

static const struct pcv_case cases[] = {
	{ "signaled", test_signaled }, { "batch", test_batch }, { "states", test_states },
	{ "list", test_list }, { "wqe", test_wqe }, { "inline", test_inline }, { "ud", test_ud },
	{ "kick", test_kick }, { "gone", test_gone }, { "reset", test_reset },
	{ "liar", test_liar }, { "layout", test_layout },
};

int main(int argc, char **argv)
{
	return pcv_check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
