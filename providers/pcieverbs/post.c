// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Posting: work requests into the queues shared with the kernel. */
#include "provider.h"

#define PCV_ON(type)		(1u << IBV_QPT_##type)
#define PCV_ON_CONNECTED	(PCV_ON(RC) | PCV_ON(UC))
#define PCV_ON_ALL		(PCV_ON_CONNECTED | PCV_ON(UD))

/* What becomes of an operation, and who may post it. */
static const struct pcv_send_op {
	uint8_t opcode;
	uint8_t wc_opcode;
	bool carries_data;		/* so that it may be inline */
	bool takes_recv;		/* at the other end */
	unsigned int qp_types;
} pcv_send_ops[] = {
	[IBV_WR_SEND] = { PCV_WR_SEND, IBV_WC_SEND, true, true, PCV_ON_ALL },
	[IBV_WR_SEND_WITH_IMM] = { PCV_WR_SEND_IMM, IBV_WC_SEND, true, true, PCV_ON_ALL },
	[IBV_WR_SEND_WITH_INV] = { PCV_WR_SEND_INV, IBV_WC_SEND, true, true, PCV_ON_CONNECTED },
	[IBV_WR_RDMA_WRITE] = { PCV_WR_WRITE, IBV_WC_RDMA_WRITE, true, false,
				PCV_ON_CONNECTED },
	[IBV_WR_RDMA_WRITE_WITH_IMM] = { PCV_WR_WRITE_IMM, IBV_WC_RDMA_WRITE, true, true,
					 PCV_ON_CONNECTED },
	[IBV_WR_RDMA_READ] = { PCV_WR_READ, IBV_WC_RDMA_READ, false, false, PCV_ON(RC) },
	[IBV_WR_ATOMIC_CMP_AND_SWP] = { PCV_WR_CMP_SWAP, IBV_WC_COMP_SWAP, false, false,
				       PCV_ON(RC) },
	[IBV_WR_ATOMIC_FETCH_AND_ADD] = { PCV_WR_FETCH_ADD, IBV_WC_FETCH_ADD, false, false,
					  PCV_ON(RC) },
	[IBV_WR_LOCAL_INV] = { PCV_WR_LOCAL_INV, IBV_WC_LOCAL_INV, false, false, PCV_ON_CONNECTED },
};

static const struct pcv_send_op *pcv_send_op(const struct pcv_qp *qp,
					     const struct ibv_send_wr *wr)
{
	const struct pcv_send_op *op;

	if ((size_t)wr->opcode >= sizeof(pcv_send_ops) / sizeof(pcv_send_ops[0]))
		return NULL;
	op = &pcv_send_ops[wr->opcode];
	return op->qp_types & 1u << qp->vqp.qp.qp_type ? op : NULL;
}

/* Return: 0 or EINVAL. */
static int pcv_swqe_inline(struct pcv_swqe *wqe, const struct ibv_send_wr *wr, uint32_t max)
{
	uint8_t *to = (uint8_t *)(wqe + 1);
	const struct ibv_sge *sge;
	uint32_t used = 0;
	int i;

	for (i = 0; i < wr->num_sge; i++) {
		sge = &wr->sg_list[i];
		if (sge->length > max - used)
			return EINVAL;
		if (sge->length)
			memcpy(to + used, (const void *)(uintptr_t)sge->addr, sge->length);
		used += sge->length;
	}
	wqe->inline_len = used;
	return 0;
}

static inline void pcv_sge_fill(struct pcv_sge *to, const struct ibv_sge *from, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		PCV_STORE(&to[i].addr, from[i].addr);
		PCV_STORE(&to[i].length, from[i].length);
		PCV_STORE(&to[i].lkey, from[i].lkey);
	}
}

/* Return: 0 or EINVAL. */
static int pcv_swqe_fill(struct pcv_qp *qp, uint32_t slot, const struct ibv_send_wr *wr)
{
	const struct pcv_send_op *op = pcv_send_op(qp, wr);
	struct pcv_sq *sq = &qp->sq;
	struct pcv_swqe *wqe;

	if (!op || wr->num_sge < 0 || (uint32_t)wr->num_sge > sq->max_sge)
		return EINVAL;
	if (wr->send_flags & IBV_SEND_INLINE && !op->carries_data)
		return EINVAL;

	wqe = (void *)(sq->queue + (size_t)slot * sq->stride);
	memset(wqe, 0, sizeof(*wqe));
	wqe->wr_id = wr->wr_id;
	wqe->opcode = op->opcode;
	if (sq->sig_all || wr->send_flags & IBV_SEND_SIGNALED)
		wqe->flags |= PCV_WR_SIGNALED;
	if (wr->send_flags & IBV_SEND_SOLICITED)
		wqe->flags |= PCV_WR_SOLICITED;
	if (wr->send_flags & IBV_SEND_FENCE)
		wqe->flags |= PCV_WR_FENCE;

	switch (wr->opcode) {
	case IBV_WR_SEND_WITH_IMM:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		memcpy(&wqe->imm, &wr->imm_data, sizeof(wqe->imm));
		break;
	case IBV_WR_SEND_WITH_INV:
	case IBV_WR_LOCAL_INV:
		wqe->imm = wr->invalidate_rkey;
		break;
	default:
		break;
	}

	if (qp->vqp.qp.qp_type == IBV_QPT_UD) {
		if (!wr->wr.ud.ah)
			return EINVAL;
		wqe->ah = pcv_ah(wr->wr.ud.ah)->number;
		wqe->remote_qpn = wr->wr.ud.remote_qpn;
		wqe->remote_qkey = wr->wr.ud.remote_qkey;
	} else if (op->opcode == PCV_WR_CMP_SWAP || op->opcode == PCV_WR_FETCH_ADD) {
		wqe->remote_addr = wr->wr.atomic.remote_addr;
		wqe->rkey = wr->wr.atomic.rkey;
		wqe->compare_add = wr->wr.atomic.compare_add;
		wqe->swap = wr->wr.atomic.swap;
	} else if (op->opcode >= PCV_WR_WRITE && op->opcode <= PCV_WR_READ) {
		wqe->remote_addr = wr->wr.rdma.remote_addr;
		wqe->rkey = wr->wr.rdma.rkey;
	}

	if (wr->send_flags & IBV_SEND_INLINE) {
		wqe->flags |= PCV_WR_INLINE;
		if (pcv_swqe_inline(wqe, wr, sq->max_inline))
			return EINVAL;
	} else {
		wqe->num_sge = (uint16_t)wr->num_sge;
		pcv_sge_fill((struct pcv_sge *)(wqe + 1), wr->sg_list, (uint32_t)wr->num_sge);
	}

	wqe->fast = qp->send.sent;
	sq->slot[slot].wr_id = wr->wr_id;
	sq->slot[slot].wc_opcode = op->wc_opcode;
	sq->slot[slot].signaled = wqe->flags & PCV_WR_SIGNALED;
	if (op->takes_recv)
		qp->send.kernel++;
	return 0;
}

/* Return: whether the kernel wants to be called. */
static bool pcv_sq_publish(struct pcv_qp *qp, uint32_t tail)
{
	/* Ours first: who learns from the kernel that it is done must know it was posted. */
	PCV_STORE(&qp->sq.tail, tail);
	/*
	 * PCV(qp_sq_tail:A) pairs with qp_sq_tail:B
	 * The slots are written before they are counted.
	 */
	pcv_cpu_store_release(&qp->shared->sq_tail, tail);
	/*
	 * PCV(qp_kick:A) pairs with qp_kick:B
	 * Posted first, then a look whether the kernel sleeps; it says that it
	 * will sleep first and then looks for posts.
	 */
	pcv_cpu_mb();
	return PCV_LOAD(&qp->shared->kick) & PCV_KICK_SEND;
}

int pcv_qp_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr)
{
	struct pcv_qp *qp = pcv_qp(ibqp);
	struct pcv_sq *sq = &qp->sq;
	bool locked = pcv_lock(&sq->lock);
	unsigned int todo = 0;
	uint32_t head, tail;
	bool kick = false;
	int ret = 0;

	if (pcv_likely(qp->recv.on)) {
		wr = pcv_fast_post(qp, wr, &todo);
		if (pcv_likely(!wr))
			goto out;
	}
	if (qp->health != PCV_QP_SOUND)
		ret = EIO;
	else if (ibqp->state == IBV_QPS_RESET || ibqp->state == IBV_QPS_INIT ||
		 ibqp->state == IBV_QPS_RTR)
		ret = EINVAL;

	tail = sq->tail;
	/*
	 * PCV(qp_sq_room:B) pairs with qp_sq_room:A
	 * Who polled a slot has read it before it is written again.
	 */
	head = pcv_cpu_load_acquire(&sq->head);
	for (; wr && !ret; wr = wr->next) {
		if (tail - head >= sq->count)
			ret = ENOMEM;
		else
			ret = pcv_swqe_fill(qp, tail & (sq->count - 1), wr);
		if (ret)
			break;
		tail++;
	}
	if (ret)
		*bad_wr = wr;
	if (tail != sq->tail)
		kick = pcv_sq_publish(qp, tail);
out:
	pcv_unlock(&sq->lock, locked);
	if (pcv_unlikely(todo))
		pcv_fast_todo(qp, todo);
	if (kick)
		pcv_qp_kick(qp);
	return ret;
}

/* Atomic, because who takes from a shared queue may look here too late. */
static inline void pcv_rwqe_store(struct pcv_rwqe *wqe, const struct ibv_recv_wr *wr,
				  uint64_t wr_id, uint32_t num_sge)
{
	PCV_STORE(&wqe->wr_id, wr_id);
	PCV_STORE(&wqe->num_sge, num_sge);
	pcv_sge_fill((struct pcv_sge *)(wqe + 1), wr->sg_list, num_sge);
}

int pcv_rwqe_fill(struct pcv_rwqe *wqe, const struct ibv_recv_wr *wr, uint64_t wr_id,
		  uint32_t max_sge, uint32_t *bytes)
{
	uint64_t sum = 0;
	int i;

	if (wr->num_sge < 0 || (uint32_t)wr->num_sge > max_sge)
		return EINVAL;
	for (i = 0; i < wr->num_sge; i++)
		sum += wr->sg_list[i].length;
	*bytes = sum < UINT32_MAX ? (uint32_t)sum : UINT32_MAX;
	pcv_rwqe_store(wqe, wr, wr_id, (uint32_t)wr->num_sge);
	return 0;
}

/* Return: whether the kernel wants to be called. */
static bool pcv_rq_publish(struct pcv_qp *qp, uint32_t tail)
{
	/*
	 * PCV(qp_rq_tail:A) pairs with qp_rq_tail:B
	 * The slots are written before they are counted. Ours first, as for
	 * sends: it is for those who poll, the shared one for the kernel.
	 */
	pcv_cpu_store_release(&qp->rq.tail, tail);
	pcv_cpu_store_release(&qp->shared->rq_tail, tail);
	/*
	 * PCV(qp_kick:A) pairs with qp_kick:B
	 * As for sends: posted first, then a look whether someone waits.
	 */
	pcv_cpu_mb();
	if (pcv_unlikely(PCV_LOAD(&qp->rq.starved)) && pcv_fast_feed(qp))
		return true;
	return PCV_LOAD(&qp->shared->kick) & PCV_KICK_RECV;
}

/* May all of this receive be written to? If not, only the kernel says so to the sender. */
static inline bool pcv_recv_keys(struct pcv_qp *qp, const struct ibv_recv_wr *wr)
{
	const struct ibv_sge *sge;
	int i;

	if (!qp->fast_own.base)
		return true;
	for (i = 0; i < wr->num_sge; i++) {
		sge = &wr->sg_list[i];
		if (sge->length && !pcv_mr_cached(qp, &qp->rq.mr, sge->addr, sge->length,
						  sge->lkey, IBV_ACCESS_LOCAL_WRITE))
			return false;
	}
	return true;
}

/* Return: 0 or EINVAL. */
static inline int pcv_recv_fill(struct pcv_qp *qp, uint32_t index, const struct ibv_recv_wr *wr)
{
	struct pcv_rq *rq = &qp->rq;
	struct pcv_rq_slot *slot = &rq->slot[index];
	struct pcv_rwqe *wqe = (void *)(rq->queue + (size_t)index * rq->stride);

	slot->wr_id = wr->wr_id;
	if (pcv_unlikely(wr->num_sge != 1 || !rq->max_sge))
		return pcv_rwqe_fill(wqe, wr, wr->wr_id, rq->max_sge, &slot->bytes);
	slot->bytes = wr->sg_list->length;
	pcv_rwqe_store(wqe, wr, wr->wr_id, 1);
	return 0;
}

int pcv_qp_post_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr)
{
	struct pcv_qp *qp = pcv_qp(ibqp);
	struct pcv_rq *rq = &qp->rq;
	bool locked = pcv_lock(&rq->lock);
	uint32_t head, tail, index;
	uint32_t shortest = rq->recv_min;
	bool kick = false;
	int ret = 0;

	if (qp->health != PCV_QP_SOUND)
		ret = EIO;
	else if (qp->srq || ibqp->state == IBV_QPS_RESET)
		ret = EINVAL;

	tail = rq->tail;
	/*
	 * PCV(qp_rq_room:B) pairs with qp_rq_room:A
	 * Who polled a slot has read it before it is written again.
	 */
	head = pcv_cpu_load_acquire(&rq->head);
	for (; wr && !ret; wr = wr->next) {
		index = tail & (rq->count - 1);
		if (pcv_unlikely(tail - head >= rq->count))
			ret = ENOMEM;
		else
			ret = pcv_recv_fill(qp, index, wr);
		if (pcv_unlikely(ret))
			break;
		if (rq->slot[index].bytes < shortest)
			shortest = rq->slot[index].bytes;
		if (pcv_unlikely(!pcv_recv_keys(qp, wr)))
			shortest = 0;
		tail++;
	}
	if (ret)
		*bad_wr = wr;
	if (pcv_unlikely(shortest < rq->recv_min)) {
		/* The peer learns it before the receive can be used. */
		rq->recv_min = shortest;
		pcv_fast_limit(qp);
	} else if (pcv_unlikely(qp->recv.on && !qp->recv.limit)) {
		pcv_fast_limit(qp);
	}
	if (tail != rq->tail)
		kick = pcv_rq_publish(qp, tail);
	pcv_unlock(&rq->lock, locked);

	if (kick)
		pcv_qp_kick(qp);
	return ret;
}
