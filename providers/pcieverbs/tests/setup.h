/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a program would do through libibverbs, for the provider's tests. */
#ifndef PCV_SETUP_H
#define PCV_SETUP_H

#include "check.h"
#include "fake.h"

static inline struct ibv_qp *setup_qp(struct ibv_pd *pd, struct ibv_cq *send_cq,
				      struct ibv_cq *recv_cq, struct ibv_srq *srq,
				      enum ibv_qp_type type)
{
	struct ibv_qp_init_attr attr = {
		.send_cq = send_cq, .recv_cq = recv_cq, .srq = srq, .qp_type = type,
	};
	struct ibv_qp *qp = pcv_qp_create(pd, &attr);

	CHECK(qp);
	CHECK_EQ(attr.cap.max_inline_data, fake_limits.max_inline);
	return qp;
}

/* As ibv_modify_qp() does. */
static inline void setup_state(struct ibv_qp *qp, enum ibv_qp_state state)
{
	struct ibv_qp_attr attr = { .qp_state = state };

	CHECK(!pcv_qp_modify(qp, &attr, IBV_QP_STATE));
	qp->state = state;
}

static inline void setup_rts(struct ibv_qp *qp)
{
	setup_state(qp, IBV_QPS_INIT);
	setup_state(qp, IBV_QPS_RTR);
	setup_state(qp, IBV_QPS_RTS);
}

static inline struct ibv_srq *setup_srq(struct ibv_pd *pd)
{
	struct ibv_srq_init_attr attr = { .attr = { .max_wr = 16, .max_sge = 2 } };
	struct ibv_srq *srq = pcv_srq_create(pd, &attr);

	CHECK(srq);
	return srq;
}

static inline int setup_send(struct ibv_qp *qp, uint64_t wr_id, unsigned int flags)
{
	struct ibv_send_wr wr = {
		.wr_id = wr_id, .opcode = IBV_WR_SEND, .send_flags = flags,
	};
	struct ibv_send_wr *bad;

	return pcv_qp_post_send(qp, &wr, &bad);
}

static inline int setup_recv(struct ibv_qp *qp, uint64_t wr_id, struct ibv_sge *sge, int num_sge)
{
	struct ibv_recv_wr wr = { .wr_id = wr_id, .sg_list = sge, .num_sge = num_sge };
	struct ibv_recv_wr *bad;

	return pcv_qp_post_recv(qp, &wr, &bad);
}

static inline int setup_srq_recv(struct ibv_srq *srq, uint64_t wr_id, struct ibv_sge *sge,
				 int num_sge)
{
	struct ibv_recv_wr wr = { .wr_id = wr_id, .sg_list = sge, .num_sge = num_sge };
	struct ibv_recv_wr *bad;

	return pcv_srq_post(srq, &wr, &bad);
}

/* One completion; fails the test if there is none. */
static inline struct ibv_wc setup_poll(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	CHECK_EQ(pcv_cq_poll(cq, 1, &wc), 1);
	return wc;
}

static inline void setup_idle(struct ibv_cq *cq)
{
	struct ibv_wc wc;

	CHECK_EQ(pcv_cq_poll(cq, 1, &wc), 0);
}

static inline void setup_expect(struct ibv_cq *cq, uint64_t wr_id, enum ibv_wc_status status,
				enum ibv_wc_opcode opcode)
{
	struct ibv_wc wc = setup_poll(cq);

	CHECK_EQ(wc.wr_id, wr_id);
	CHECK_EQ(wc.status, status);
	CHECK_EQ(wc.opcode, opcode);
}

#endif /* PCV_SETUP_H */
