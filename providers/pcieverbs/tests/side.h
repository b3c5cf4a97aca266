/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Two queue pairs of one process, connected by fast rings and by a kernel. */
#ifndef PCV_SIDE_H
#define PCV_SIDE_H

#include "pattern.h"
#include "setup.h"

#define BUF_BYTES	(1u << 20)

struct side {
	struct ibv_cq *cq;
	struct ibv_srq *srq;
	struct ibv_qp *qp;
	struct fake_qp *fq;
	uint8_t *out, *in;
	struct ibv_mr *out_mr, *in_mr;
};

static struct ibv_context *ctx;
static struct ibv_pd *pd;
static struct side a, b;

static inline struct pcv_qp *inside(const struct side *s)
{
	return pcv_qp(s->qp);
}

static inline void side_make(struct side *s, bool shared)
{
	s->cq = pcv_cq_create(ctx, 16, NULL, 0);
	CHECK(s->cq);
	s->srq = shared ? setup_srq(pd) : NULL;
	s->qp = setup_qp(pd, s->cq, s->cq, s->srq, IBV_QPT_RC);
	s->fq = fake_qp(s->qp);
	s->out = malloc(BUF_BYTES);
	s->in = malloc(BUF_BYTES);
	CHECK(s->out && s->in);
	s->out_mr = pcv_mr_reg(pd, s->out, BUF_BYTES, (uintptr_t)s->out, 0);
	s->in_mr = pcv_mr_reg(pd, s->in, BUF_BYTES, (uintptr_t)s->in, IBV_ACCESS_LOCAL_WRITE);
	CHECK(s->out_mr && s->in_mr);
}

static inline void side_free(struct side *s)
{
	CHECK(!pcv_qp_destroy(s->qp));
	if (s->srq)
		CHECK(!pcv_srq_destroy(s->srq));
	CHECK(!pcv_cq_destroy(s->cq));
	CHECK(!pcv_mr_dereg((struct verbs_mr *)s->out_mr));
	CHECK(!pcv_mr_dereg((struct verbs_mr *)s->in_mr));
	free(s->out);
	free(s->in);
}

static inline int post_recv(struct side *s, uint64_t wr_id, uint32_t offset, uint32_t bytes)
{
	struct ibv_sge sge = { (uintptr_t)s->in + offset, bytes, s->in_mr->lkey };

	return s->srq ? setup_srq_recv(s->srq, wr_id, &sge, 1) : setup_recv(s->qp, wr_id, &sge, 1);
}

static inline int post_send(struct side *s, uint64_t wr_id, uint32_t bytes, unsigned int flags)
{
	struct ibv_sge sge = { (uintptr_t)s->out, bytes, s->out_mr->lkey };
	struct ibv_send_wr *bad, wr = {
		.wr_id = wr_id, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND,
		.send_flags = flags,
	};

	return pcv_qp_post_send(s->qp, &wr, &bad);
}

static inline void connect_both(void)
{
	setup_rts(a.qp);
	setup_rts(b.qp);
	fake_fast_open(a.fq, 0);
	fake_fast_open(b.fq, 0);
}

/* Two queue pairs that know each other's limits: a receive of @bytes is posted by both. */
static inline void begin_with(bool shared, uint32_t bytes, uint32_t seq)
{
	ctx = fake_open();
	fake_limits.fast = true;
	fake_limits.fast_seq = seq;
	fake_limits.ring_count = 64;
	pd = pcv_pd_alloc(ctx);
	side_make(&a, shared);
	side_make(&b, shared);
	connect_both();
	if (!bytes)
		return;
	CHECK(!post_recv(&a, 1000, 0, bytes));
	CHECK(!post_recv(&b, 1000, 0, bytes));
	/* A shared queue's users learn it when there is something. */
	if (shared) {
		pcv_fast_greet(inside(&a));
		pcv_fast_greet(inside(&b));
	}
}

static inline void begin(uint32_t bytes)
{
	begin_with(false, bytes, 1);
}

static inline void end(void)
{
	side_free(&a);
	side_free(&b);
	CHECK(!pcv_pd_free(pd));
	fake_close();
}

static inline bool took_fast(struct side *s)
{
	return PCV_LOAD(&s->fq->shared->sq_tail) == s->fq->sq_taken;
}

static inline void expect_recv(struct side *s, uint64_t wr_id, uint32_t bytes)
{
	struct ibv_wc wc = setup_poll(s->cq);

	CHECK_EQ(wc.status, IBV_WC_SUCCESS);
	CHECK_EQ(wc.wr_id, wr_id);
	CHECK_EQ(wc.opcode, IBV_WC_RECV);
	CHECK_EQ(wc.byte_len, bytes);
	CHECK_EQ(wc.qp_num, s->qp->qp_num);
}

#endif /* PCV_SIDE_H */
