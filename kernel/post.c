// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Posting: the calls of kernel users, who write the same rings that a process
 * maps, and the empty post by which a process calls its kernel.
 *
 * May be called anywhere, hard interrupts included.
 */
#include "dev.h"
#include "direct.h"
#include "fast.h"

/* Run the machines here if that is allowed here, else from the workqueue. */
static void run_or_queue(struct pcv_qp *qp, bool send)
{
	if (in_hardirq() || irqs_disabled()) {
		pcv_qp_run_later(qp);
		return;
	}
	if (send)
		pcv_req_run(qp);
	else
		pcv_resp_kick(qp);
}

static int fill_opcode(const struct pcv_qp *qp, const struct ib_send_wr *wr,
		       struct pcv_swqe *swqe)
{
	switch (wr->opcode) {
	case IB_WR_SEND:
		swqe->opcode = PCV_WR_SEND;
		break;
	case IB_WR_SEND_WITH_IMM:
		swqe->opcode = PCV_WR_SEND_IMM;
		swqe->imm = (__force u32)wr->ex.imm_data;
		break;
	case IB_WR_SEND_WITH_INV:
		swqe->opcode = PCV_WR_SEND_INV;
		swqe->imm = wr->ex.invalidate_rkey;
		break;
	case IB_WR_RDMA_WRITE:
		swqe->opcode = PCV_WR_WRITE;
		break;
	case IB_WR_RDMA_WRITE_WITH_IMM:
		swqe->opcode = PCV_WR_WRITE_IMM;
		swqe->imm = (__force u32)wr->ex.imm_data;
		break;
	case IB_WR_RDMA_READ:
		swqe->opcode = PCV_WR_READ;
		break;
	case IB_WR_ATOMIC_CMP_AND_SWP:
		swqe->opcode = PCV_WR_CMP_SWAP;
		break;
	case IB_WR_ATOMIC_FETCH_AND_ADD:
		swqe->opcode = PCV_WR_FETCH_ADD;
		break;
	case IB_WR_LOCAL_INV:
		swqe->opcode = PCV_WR_LOCAL_INV;
		swqe->imm = wr->ex.invalidate_rkey;
		break;
	case IB_WR_REG_MR:
		swqe->opcode = PCV_WR_REG_MR;
		swqe->remote_addr = (uintptr_t)reg_wr(wr)->mr;
		swqe->rkey = reg_wr(wr)->key;
		swqe->imm = reg_wr(wr)->access;
		break;
	default:
		return -EOPNOTSUPP;
	}

	if (!pcv_qp_is_rc(qp)) {
		const struct ib_ud_wr *ud = ud_wr(wr);

		if (swqe->opcode > PCV_WR_SEND_IMM || !ud->ah)
			return -EINVAL;
		swqe->ah = to_ah(ud->ah)->number;
		swqe->remote_qpn = ud->remote_qpn;
		swqe->remote_qkey = ud->remote_qkey;
		return 0;
	}
	if (swqe->opcode == PCV_WR_CMP_SWAP || swqe->opcode == PCV_WR_FETCH_ADD) {
		swqe->remote_addr = atomic_wr(wr)->remote_addr;
		swqe->rkey = atomic_wr(wr)->rkey;
		swqe->compare_add = atomic_wr(wr)->compare_add;
		swqe->swap = atomic_wr(wr)->swap;
	} else if (swqe->opcode == PCV_WR_WRITE || swqe->opcode == PCV_WR_WRITE_IMM ||
		   swqe->opcode == PCV_WR_READ) {
		swqe->remote_addr = rdma_wr(wr)->remote_addr;
		swqe->rkey = rdma_wr(wr)->rkey;
	}
	return 0;
}

static int fill_data(const struct pcv_sq *sq, const struct ib_send_wr *wr, struct pcv_swqe *swqe)
{
	void *behind = (void *)swqe + PCV_SWQE_BYTES;
	struct pcv_sge *sge = behind;
	u32 len = 0;
	int i;

	/* The list of LOCAL_INV and REG_MR means nothing. */
	if (swqe->opcode == PCV_WR_LOCAL_INV || swqe->opcode == PCV_WR_REG_MR)
		return 0;
	if (wr->num_sge < 0 || wr->num_sge > sq->max_sge)
		return -EINVAL;
	if (wr->send_flags & IB_SEND_INLINE) {
		for (i = 0; i < wr->num_sge; i++) {
			if (wr->sg_list[i].length > sq->max_inline - len)
				return -EINVAL;
			memcpy(behind + len, (void *)(uintptr_t)wr->sg_list[i].addr,
			       wr->sg_list[i].length);
			len += wr->sg_list[i].length;
		}
		swqe->inline_len = len;
		return 0;
	}
	swqe->num_sge = wr->num_sge;
	for (i = 0; i < wr->num_sge; i++) {
		sge[i].addr = wr->sg_list[i].addr;
		sge[i].length = wr->sg_list[i].length;
		sge[i].lkey = wr->sg_list[i].lkey;
	}
	return 0;
}

static int post_one_send(struct pcv_qp *qp, const struct ib_send_wr *wr)
{
	struct pcv_qp_shared *sh = qp->shared;
	struct pcv_sq *sq = &qp->sq;
	struct pcv_swqe *swqe;
	int err;

	if (sh->sq_tail - READ_ONCE(sh->sq_done) >= sq->count)
		return -ENOMEM;
	swqe = sq->queue + (sh->sq_tail & (sq->count - 1)) * sq->stride;
	memset(swqe, 0, sizeof(*swqe));
	swqe->wr_id = wr->wr_id;
	swqe->flags = (wr->send_flags & IB_SEND_SIGNALED ? PCV_WR_SIGNALED : 0) |
		      (wr->send_flags & IB_SEND_SOLICITED ? PCV_WR_SOLICITED : 0) |
		      (wr->send_flags & IB_SEND_FENCE ? PCV_WR_FENCE : 0) |
		      (wr->send_flags & IB_SEND_INLINE ? PCV_WR_INLINE : 0);
	err = fill_opcode(qp, wr, swqe);
	if (err)
		return err;
	err = fill_data(sq, wr, swqe);
	if (err)
		return err;
	/* PCV(qp_sq_tail:A) pairs with qp_sq_tail:B: the entry, then the tail that covers it. */
	pcv_cpu_store_release(&sh->sq_tail, sh->sq_tail + 1);
	return 0;
}

int pcv_post_send(struct ib_qp *ib, const struct ib_send_wr *wr, const struct ib_send_wr **bad)
{
	struct pcv_qp *qp = to_qp(ib);
	enum ib_qp_state state = READ_ONCE(qp->state);
	unsigned long irq;
	int err = 0;

	if (qp->user) {
		/* A process posts into its ring; this is its call for attention. */
		if (wr) {
			*bad = wr;
			return -EOPNOTSUPP;
		}
		pcv_stat_inc(PCV_STAT_KICKS);
		pcv_req_run(qp);
		pcv_resp_kick(qp);
		pcv_fast_kick(qp);
		pcv_direct_kick(qp);
		if (qp->ib.srq)
			pcv_srq_look(to_srq(qp->ib.srq));
		return 0;
	}

	if (state != IB_QPS_RTS && state != IB_QPS_SQD && state != IB_QPS_ERR) {
		*bad = wr;
		return -EINVAL;
	}
	spin_lock_irqsave(&qp->post_lock, irq);
	for (; wr; wr = wr->next) {
		err = post_one_send(qp, wr);
		if (err)
			break;
	}
	spin_unlock_irqrestore(&qp->post_lock, irq);
	*bad = wr;
	run_or_queue(qp, true);
	return err;
}

static int post_one_recv(struct pcv_qp *qp, const struct ib_recv_wr *wr)
{
	struct pcv_qp_shared *sh = qp->shared;
	struct pcv_rq *rq = &qp->rq;
	struct pcv_rwqe *rwqe;
	struct pcv_sge *sge;
	int i;

	if (wr->num_sge < 0 || wr->num_sge > rq->max_sge)
		return -EINVAL;
	/* PCV(qp_rq_room:B) pairs with qp_rq_room:A: what is taken has been read. */
	if (sh->rq_tail - pcv_cpu_load_acquire(&rq->next) >= rq->count)
		return -ENOMEM;
	rwqe = rq->queue + (sh->rq_tail & (rq->count - 1)) * rq->stride;
	sge = (void *)rwqe + PCV_RWQE_BYTES;
	rwqe->wr_id = wr->wr_id;
	rwqe->num_sge = wr->num_sge;
	for (i = 0; i < wr->num_sge; i++) {
		sge[i].addr = wr->sg_list[i].addr;
		sge[i].length = wr->sg_list[i].length;
		sge[i].lkey = wr->sg_list[i].lkey;
	}
	/* PCV(qp_rq_tail:A) pairs with qp_rq_tail:B: the entry, then the tail that covers it. */
	pcv_cpu_store_release(&sh->rq_tail, sh->rq_tail + 1);
	return 0;
}

int pcv_post_recv(struct ib_qp *ib, const struct ib_recv_wr *wr, const struct ib_recv_wr **bad)
{
	struct pcv_qp *qp = to_qp(ib);
	unsigned long irq;
	int err = 0;

	*bad = wr;
	if (qp->user)
		return -EOPNOTSUPP;
	if (READ_ONCE(qp->state) == IB_QPS_RESET || ib->srq)
		return -EINVAL;
	spin_lock_irqsave(&qp->post_lock, irq);
	for (; wr; wr = wr->next) {
		err = post_one_recv(qp, wr);
		if (err)
			break;
	}
	spin_unlock_irqrestore(&qp->post_lock, irq);
	*bad = wr;
	/*
	 * PCV(qp_kick:A) pairs with qp_kick:B: the receive is posted, then we look
	 * whether the responder asked to be called.
	 */
	pcv_cpu_mb();
	if (READ_ONCE(qp->shared->kick) & PCV_KICK_RECV)
		run_or_queue(qp, false);
	return err;
}
