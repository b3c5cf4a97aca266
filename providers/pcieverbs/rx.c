// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The receive ring of a queue pair, consumed.
 *
 * Whoever fills it is not trusted: a message is copied once and the copy is
 * checked; what makes no sense breaks this queue pair.
 */
#include "provider.h"

/* In front of a message. */
#define PCV_RX_HEAD		((uint32_t)sizeof(struct pcv_rx_data))

_Static_assert(sizeof(struct pcv_rx_placed) == 32, "as the kernel writes it");

int pcv_recv_end(struct pcv_qp *qp, uint32_t wqe, uint32_t bytes, uint64_t *wr_id,
		 enum pcv_break *why)
{
	struct pcv_rq *rq = &qp->rq;
	struct pcv_rq_slot *slot;
	int ret;

	if (qp->srq) {
		ret = pcv_srq_complete(qp->srq, wqe, bytes, wr_id);
		if (!ret)
			return 1;
		*why = ret == -EMSGSIZE ? PCV_BREAK_RECV_BYTES : PCV_BREAK_RECV_INDEX;
		return -EPROTO;
	}
	if (wqe != rq->head || rq->head == PCV_LOAD(&rq->tail)) {
		*why = PCV_BREAK_RECV_INDEX;
		return -EPROTO;
	}
	slot = &rq->slot[rq->head & (rq->count - 1)];
	if (bytes > slot->bytes) {
		*why = PCV_BREAK_RECV_BYTES;
		return -EPROTO;
	}
	*wr_id = slot->wr_id;
	/*
	 * PCV(qp_rq_room:A) pairs with qp_rq_room:B
	 * The slot has been read before it is given back.
	 */
	pcv_cpu_store_release(&rq->head, rq->head + 1);
	return 1;
}

/* Return: 1 with a completion, or -EPROTO with *@why. */
static int pcv_rx_placed(struct pcv_qp *qp, const struct pcv_ring_msg *msg, struct ibv_wc *wc,
			 enum pcv_break *why)
{
	struct pcv_rx_placed rx;
	uint32_t status, bytes;
	uint64_t wr_id;
	int ret;

	if (msg->len != sizeof(rx)) {
		*why = PCV_BREAK_RING_TYPE;
		return -EPROTO;
	}
	pcv_ring_copy(&qp->ring, &rx, 0, sizeof(rx));
	status = pcv_le32(rx.status);
	bytes = pcv_le32(rx.byte_len);
	if (status > PCV_WC_GENERAL_ERR || rx.opcode > PCV_RX_OP_WRITE_IMM) {
		*why = PCV_BREAK_RECV_STATUS;
		return -EPROTO;
	}
	/* What a WRITE has written lies in another region; after an error nothing is said. */
	ret = pcv_recv_end(qp, pcv_le32(rx.wqe),
			   status || rx.opcode == PCV_RX_OP_WRITE_IMM ? 0 : bytes, &wr_id, why);
	if (ret < 0)
		return ret;
	/* Placed by the kernel behind one that went wrong here: it has not arrived. */
	if (qp->rx_stopped && !status)
		status = PCV_WC_WR_FLUSH_ERR;

	pcv_wc_fill(wc, qp, wr_id, status, status);
	wc->opcode = rx.opcode == PCV_RX_OP_WRITE_IMM ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV;
	wc->byte_len = bytes;
	if (rx.wc_flags & PCV_RX_WC_IMM) {
		wc->wc_flags |= IBV_WC_WITH_IMM;
		memcpy(&wc->imm_data, &rx.imm, sizeof(wc->imm_data));
	} else if (rx.wc_flags & PCV_RX_WC_INV) {
		wc->wc_flags |= IBV_WC_WITH_INV;
		wc->invalidated_rkey = pcv_le32(rx.imm);
	}
	if (rx.wc_flags & PCV_RX_WC_GRH)
		wc->wc_flags |= IBV_WC_GRH;
	wc->src_qp = pcv_le32(rx.src_qp);
	wc->pkey_index = pcv_le16(rx.pkey_index);
	wc->sl = rx.sl;
	return 1;
}

/* Return: an enum pcv_wc_status. */
static uint32_t pcv_rx_scatter(struct pcv_qp *qp, const struct pcv_sge *sge, uint32_t num_sge,
			       uint32_t offset, uint32_t bytes)
{
	struct pcv_context *ctx = pcv_context(qp->vqp.qp.context);
	uint64_t room = 0;
	uint32_t i, n;
	void *to;

	for (i = 0; i < num_sge; i++)
		room += sge[i].length;
	if (bytes > room)
		return PCV_WC_LOC_LEN_ERR;

	for (i = 0; bytes; i++) {
		n = bytes < sge[i].length ? bytes : sge[i].length;
		if (!n)
			continue;
		to = pcv_mr_find(ctx, qp->vqp.qp.pd, &sge[i]);
		if (!to)
			return PCV_WC_LOC_PROT_ERR;
		pcv_ring_copy(&qp->ring, to, offset, n);
		offset += n;
		bytes -= n;
	}
	return PCV_WC_SUCCESS;
}

int pcv_recv_next(struct pcv_qp *qp, uint32_t *wqe, struct pcv_sge *sge)
{
	struct pcv_rq *rq = &qp->rq;
	struct pcv_rwqe head;
	uint8_t *slot;

	if (qp->srq) {
		if (!pcv_srq_take(qp->srq, &head, sge))
			return -EAGAIN;
		if (qp->recv.on && pcv_unlikely(pcv_srq_low(qp->srq)))
			pcv_qp_kick(qp);
		*wqe = (uint32_t)head.wr_id;
		return (int)head.num_sge;
	}
	/*
	 * PCV(qp_rq_tail:B) pairs with qp_rq_tail:A
	 * The slot was written before it was counted.
	 */
	if (rq->head == pcv_cpu_load_acquire(&rq->tail))
		return -EAGAIN;
	slot = rq->queue + (size_t)(rq->head & (rq->count - 1)) * rq->stride;
	memcpy(&head, slot, sizeof(head));
	if (head.num_sge > rq->max_sge)
		head.num_sge = rq->max_sge;
	memcpy(sge, slot + PCV_RWQE_BYTES, head.num_sge * sizeof(*sge));
	*wqe = rq->head;
	return (int)head.num_sge;
}

/*
 * Return: 1 with a completion, 0 if it was dropped, -EAGAIN if no receive is
 * posted, -EPROTO with *@why.
 */
static int pcv_rx_data(struct pcv_qp *qp, const struct pcv_ring_msg *msg, struct ibv_wc *wc,
		       enum pcv_break *why)
{
	struct pcv_sge sge[PCV_MAX_SGE];
	uint32_t wqe, bytes, status, imm;
	uint64_t wr_id;
	int num_sge, ret;

	if (msg->len < PCV_RX_HEAD || qp->vqp.qp.qp_type == IBV_QPT_UD) {
		*why = PCV_BREAK_RING_TYPE;
		return -EPROTO;
	}
	if (qp->rx_stopped && qp->srq)
		return 0;
	num_sge = pcv_recv_next(qp, &wqe, sge);
	if (num_sge < 0)
		return num_sge;

	bytes = msg->len - PCV_RX_HEAD;
	/* The kernel has given this receive to this message, and will not flush it. */
	if (qp->rx_stopped)
		status = PCV_WC_WR_FLUSH_ERR;
	else
		status = pcv_rx_scatter(qp, sge, (uint32_t)num_sge, PCV_RX_HEAD, bytes);
	ret = pcv_recv_end(qp, wqe, status ? 0 : bytes, &wr_id, why);
	if (ret < 0)
		return ret;

	pcv_wc_fill(wc, qp, wr_id, status, status);
	wc->opcode = IBV_WC_RECV;
	if (status) {
		if (!qp->rx_stopped) {
			qp->rx_stopped = true;
			pcv_qp_to_error(qp);
		}
		return 1;
	}
	wc->byte_len = bytes;
	if (msg->flags & PCV_RX_IMM) {
		pcv_ring_copy(&qp->ring, &imm, 0, sizeof(imm));
		wc->wc_flags |= IBV_WC_WITH_IMM;
		memcpy(&wc->imm_data, &imm, sizeof(wc->imm_data));
	}
	return 1;
}

static void pcv_ring_tell(struct pcv_qp *qp)
{
	qp->ring_told = qp->ring.head;
	/*
	 * PCV(ring_head:A) pairs with ring_head:B
	 * The lines have been read before they are given back.
	 */
	pcv_cpu_store_release(&qp->shared->ring_head, qp->ring.head);
	/*
	 * PCV(qp_kick:A) pairs with qp_kick:B
	 * Room first, then a look whether the kernel waits for room; it asks
	 * to be called first and then looks for room.
	 */
	pcv_cpu_mb();
	if (PCV_LOAD(&qp->shared->kick) & PCV_KICK_RING)
		qp->ring_kick = true;
}

int pcv_rx_entry(struct pcv_qp *qp, const struct pcv_ring_msg *msg, struct ibv_wc *wc,
		 enum pcv_break *why)
{
	if (msg->type == PCV_RX_PLACED)
		return pcv_rx_placed(qp, msg, wc, why);
	if (msg->type == PCV_RX_DATA)
		return pcv_rx_data(qp, msg, wc, why);
	*why = PCV_BREAK_RING_TYPE;
	return -EPROTO;
}

void pcv_rx_next(struct pcv_qp *qp, const struct pcv_ring_msg *msg)
{
	pcv_ring_next(&qp->ring, msg);
	/*
	 * A quarter at a time: a producer that finds no room has three
	 * quarters to fill, and the word is seldom written.
	 */
	if (qp->ring.head - qp->ring_told > qp->ring.mask / 4)
		pcv_ring_tell(qp);
}

bool pcv_rx_idle(struct pcv_qp *qp)
{
	if (!qp->ring_kick)
		return false;
	pcv_ring_tell(qp);
	qp->ring_kick = false;
	pcv_qp_kick(qp);
	return true;
}

int pcv_rx_poll(struct pcv_qp *qp, int n, struct ibv_wc *wc, bool *stuck)
{
	enum pcv_break why = PCV_BREAK_RING;
	struct pcv_ring_msg msg;
	int got = 0;
	int ret = 0;

	while (got < n) {
		ret = pcv_ring_get(&qp->ring, &msg);
		if (!ret && pcv_rx_idle(qp))
			continue;
		if (ret <= 0)
			break;
		ret = pcv_rx_entry(qp, &msg, wc + got, &why);
		if (ret < 0)
			break;
		got += ret;
		pcv_rx_next(qp, &msg);
		ret = 1;
	}
	if (ret == -EAGAIN)
		*stuck = true;
	else if (ret < 0)
		pcv_qp_break(qp, why);
	return got;
}

void pcv_rx_drain(struct pcv_qp *qp)
{
	struct pcv_rx_placed rx;
	struct pcv_ring_msg msg;
	uint64_t wr_id;

	while (pcv_ring_get(&qp->ring, &msg) > 0) {
		if (qp->srq && msg.type == PCV_RX_PLACED && msg.len == sizeof(rx)) {
			pcv_ring_copy(&qp->ring, &rx, 0, sizeof(rx));
			pcv_srq_complete(qp->srq, pcv_le32(rx.wqe), 0, &wr_id);
		}
		pcv_ring_next(&qp->ring, &msg);
	}
}
