// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The requester's other half: answers from the peer, and how work requests end.
 *
 * An answer names a work request by its number, which is its index in the queue
 * counted from where the PSN says. A number outside of what is under way is old
 * news at best, possibly of a former connection: it is ignored.
 */
#include "dev.h"
#include "req.h"

static enum ib_wc_opcode kernel_opcode(u8 opcode)
{
	switch (opcode) {
	case PCV_WR_WRITE:
	case PCV_WR_WRITE_IMM:
		return IB_WC_RDMA_WRITE;
	case PCV_WR_READ:
		return IB_WC_RDMA_READ;
	case PCV_WR_CMP_SWAP:
		return IB_WC_COMP_SWAP;
	case PCV_WR_FETCH_ADD:
		return IB_WC_FETCH_ADD;
	case PCV_WR_LOCAL_INV:
		return IB_WC_LOCAL_INV;
	case PCV_WR_REG_MR:
		return IB_WC_REG_MR;
	default:
		return IB_WC_SEND;
	}
}

/* One work request has ended. Return: true if its owner wants to know. */
static bool sq_complete(struct pcv_qp *qp, u32 index, struct pcv_send *send, u8 status)
{
	struct pcv_sq *sq = &qp->sq;
	u32 len = pcv_op_is_read(send->opcode) ? send->length : 0;
	bool told = status || (send->flags & PCV_WR_SIGNALED);

	if (qp->user) {
		struct pcv_scqe *scqe = &sq->scqe[index & (sq->count - 1)];

		WRITE_ONCE(scqe->status, status);
		WRITE_ONCE(scqe->byte_len, len);
	}
	/* PCV(qp_sq_done:A) pairs with qp_sq_done:B: how it ended, then that it did. */
	pcv_cpu_store_release(&qp->shared->sq_done, index + 1);
	if (!qp->user && told) {
		/* The slot came first: who polls this may post into it at once. */
		struct ib_wc wc = {
			.wr_id = send->wr_id,
			.status = status,
			.opcode = kernel_opcode(send->opcode),
			.byte_len = len,
			.qp = &qp->ib,
			.port_num = 1,
		};

		pcv_cq_push(to_cq(qp->ib.send_cq), &wc, status);
	}
	return told;
}

/* Has the one that stopped the queue been told? Then nothing succeeds any more. */
static bool sq_failed(const struct pcv_sq *sq)
{
	return sq->stopped && (s32)(sq->una - sq->stop) >= 0;
}

void pcv_sq_retire(struct pcv_qp *qp)
{
	struct pcv_sq *sq = &qp->sq;
	bool told = false;
	u8 status = 0;

	if (sq->next - sq->una > sq->sent - sq->una)
		sq->sent = sq->next;
	/* After a rewind there may be answers to what lies before @sent and behind @next. */
	while (sq->una != sq->sent && !status && !sq_failed(sq)) {
		struct pcv_send *send = pcv_sq_send(sq, sq->una);

		if (!send->done)
			break;
		status = send->status;
		told |= sq_complete(qp, sq->una, send, status);
		/* Answered while it was being sent again. */
		if (sq->una++ == sq->next) {
			sq->next++;
			sq->seg_offset = 0;
			sq->stored = 0;
		}
	}
	if (told && qp->user)
		pcv_cq_hint(to_cq(qp->ib.send_cq), qp->ib.qp_num, status);
	if (status)
		pcv_qp_fail(qp);
}

void pcv_req_end(struct pcv_qp *qp, u32 index, u8 status)
{
	struct pcv_sq *sq = &qp->sq;
	struct pcv_send *send = pcv_sq_send(sq, index);

	/* The first error is the one that counts. */
	if (!send->done || !send->status)
		send->status = status;
	send->done = true;
	if (index == sq->next) {
		/* It was still being sent. */
		sq->next++;
		sq->seg_offset = 0;
		sq->stored = 0;
	}
	pcv_sq_stop(sq, index + 1);
	pcv_sq_retire(qp);
}

void pcv_req_flush(struct pcv_qp *qp)
{
	struct pcv_sq *sq = &qp->sq;
	bool told = false, failed;
	u32 tail;
	u8 status;

	spin_lock_bh(&sq->lock);
	if (READ_ONCE(qp->state) != IB_QPS_ERR)
		goto out;
	failed = sq_failed(sq);
	/*
	 * PCV(qp_kick:B) pairs with qp_kick:A: from now on every post calls; what
	 * was posted before it could know is found below.
	 */
	pcv_qp_kick_set(qp, PCV_KICK_SEND);
	/* PCV(qp_sq_tail:B) pairs with qp_sq_tail:A: entries before the tail that covers them. */
	tail = pcv_cpu_load_acquire(&qp->shared->sq_tail);
	if (tail - sq->una > sq->count)
		tail = sq->una + sq->count;
	while (sq->una != tail) {
		struct pcv_send *send = pcv_sq_send(sq, sq->una);

		if (sq->una == sq->fetched) {
			const struct pcv_swqe *swqe = sq->queue +
				(sq->una & (sq->count - 1)) * sq->stride;

			memset(send, 0, sizeof(*send));
			send->wr_id = READ_ONCE(swqe->wr_id);
			send->opcode = READ_ONCE(swqe->opcode);
			sq->fetched++;
		}
		/* What the peer has confirmed has not failed; nothing succeeds behind a failure. */
		status = send->done && !failed ? send->status : PCV_WC_WR_FLUSH_ERR;
		failed |= status;
		told |= sq_complete(qp, sq->una, send, status);
		sq->una++;
	}
	sq->tail = tail;
	sq->next = tail;
	sq->sent = tail;
	sq->seg_offset = 0;
	sq->stored = 0;
	sq->reads = 0;
	if (told && qp->user)
		pcv_cq_hint(to_cq(qp->ib.send_cq), qp->ib.qp_num, true);
out:
	spin_unlock_bh(&sq->lock);
}

void pcv_req_reset(struct pcv_qp *qp)
{
	struct pcv_sq *sq = &qp->sq;

	spin_lock_bh(&sq->lock);
	sq->tail = 0;
	sq->fetched = 0;
	sq->next = 0;
	sq->sent = 0;
	sq->una = 0;
	sq->seg_offset = 0;
	sq->stored = 0;
	sq->others = 0;
	sq->reads = 0;
	sq->skip = 0;
	pcv_store_reset(qp);
	sq->stopped = false;
	sq->rnr = false;
	WRITE_ONCE(qp->shared->sq_tail, 0);
	WRITE_ONCE(qp->shared->sq_done, 0);
	pcv_qp_kick_set(qp, PCV_KICK_SEND);
	spin_unlock_bh(&sq->lock);
}

/* --- answers ----------------------------------------------------------------------- */

/* Is it under way, and if not sent in full, may it count (RNR and NAK)? */
static bool under_way(const struct pcv_sq *sq, u32 ssn, bool partly)
{
	u32 end = sq->next + (partly && sq->seg_offset ? 1 : 0);

	return ssn - sq->una < end - sq->una;
}

/* The peer moves: its retry counts start anew. */
static void progress(struct pcv_qp *qp)
{
	qp->sq.progress = jiffies;
	qp->sq.rnr_left = qp->attr.rnr_retry;
	qp->sq.retry_left = qp->attr.retry_cnt;
}

/* Was it sent at all? A rewind does not make its answer less true. */
static bool was_sent(const struct pcv_sq *sq, u32 ssn, bool partly)
{
	u32 end = sq->sent + (partly && sq->seg_offset && sq->next == sq->sent ? 1 : 0);

	return ssn - sq->una < end - sq->una;
}

/* Everything before @end that waits for an acknowledgement is done. */
static void acknowledge(struct pcv_qp *qp, u32 end)
{
	struct pcv_sq *sq = &qp->sq;
	bool news = false;
	u32 i;

	for (i = sq->una; i != end; i++) {
		struct pcv_send *send = pcv_sq_send(sq, i);

		if (send->done || pcv_op_is_read(send->opcode))
			continue;
		send->done = true;
		news = true;
	}
	if (news)
		progress(qp);
}

static u8 status_of(u16 wire)
{
	switch (wire) {
	case PCV_ST_REM_INV_REQ:
		return PCV_WC_REM_INV_REQ_ERR;
	case PCV_ST_REM_ACCESS:
		return PCV_WC_REM_ACCESS_ERR;
	default:
		return PCV_WC_REM_OP_ERR;
	}
}

static void answer_rnr(struct pcv_qp *qp, u32 ssn, u32 code)
{
	struct pcv_sq *sq = &qp->sq;

	acknowledge(qp, ssn);
	pcv_stat_inc(PCV_STAT_RX_RNR);
	/* 7 means for ever (IBA vol. 1, 9.7.5.2.8). */
	if (qp->attr.rnr_retry != 7) {
		if (!sq->rnr_left) {
			pcv_req_end(qp, ssn, PCV_WC_RNR_RETRY_EXC_ERR);
			return;
		}
		sq->rnr_left--;
	}
	pcv_req_rewind(qp, ssn);
	sq->rnr = true;
	pcv_req_rnr_wait(qp, code);
}

static int scatter_local(struct pcv_qp *qp, u32 index, struct pcv_send *send, u32 offset,
			 const void *src, u32 len)
{
	struct pcv_sq *sq = &qp->sq;

	memcpy(sq->sge, sq->queue + (index & (sq->count - 1)) * sq->stride + PCV_SWQE_BYTES,
	       send->num_sge * sizeof(struct pcv_sge));
	return pcv_recv_scatter(qp, sq->sge, send->num_sge, offset, src, len);
}

static void read_done(struct pcv_sq *sq, u32 ssn, struct pcv_send *send)
{
	send->done = true;
	/* Behind @next it was taken off by the rewind. */
	if (ssn - sq->una < sq->next - sq->una)
		sq->reads--;
}

static void answer_read(struct pcv_qp *qp, u32 ssn, u32 offset, const struct pcv_rx *rx)
{
	struct pcv_sq *sq = &qp->sq;
	struct pcv_send *send = pcv_sq_send(sq, ssn);

	if (send->opcode != PCV_WR_READ || send->done || offset != send->read_offset ||
	    rx->len > send->length - offset) {
		pcv_req_end(qp, ssn, PCV_WC_BAD_RESP_ERR);
		return;
	}
	if (scatter_local(qp, ssn, send, offset, rx->data, rx->len)) {
		pcv_req_end(qp, ssn, PCV_WC_LOC_PROT_ERR);
		return;
	}
	send->read_offset += rx->len;
	progress(qp);
	if (send->read_offset == send->length) {
		read_done(sq, ssn, send);
		acknowledge(qp, ssn);
	}
}

static void answer_atomic(struct pcv_qp *qp, u32 ssn, const struct pcv_rx *rx)
{
	struct pcv_sq *sq = &qp->sq;
	struct pcv_send *send = pcv_sq_send(sq, ssn);
	__le64 wire;
	u64 value;

	if (!pcv_op_is_atomic(send->opcode) || send->done || rx->len != sizeof(wire)) {
		pcv_req_end(qp, ssn, PCV_WC_BAD_RESP_ERR);
		return;
	}
	memcpy(&wire, rx->data, sizeof(wire));
	value = pcv_le64(wire);
	if (scatter_local(qp, ssn, send, 0, &value, sizeof(value))) {
		pcv_req_end(qp, ssn, PCV_WC_LOC_PROT_ERR);
		return;
	}
	read_done(sq, ssn, send);
	progress(qp);
	acknowledge(qp, ssn);
}

void pcv_req_answer(struct pcv_qp *qp, const struct pcv_peer *peer, const struct pcv_rc_hdr *hdr,
		    const struct pcv_rx *rx)
{
	struct pcv_sq *sq = &qp->sq;
	u32 ssn;

	spin_lock_bh(&sq->lock);
	if (!pcv_qp_hears(qp, peer, hdr)) {
		pcv_stat_inc(PCV_STAT_RX_NO_QP);
		spin_unlock_bh(&sq->lock);
		return;
	}
	if (READ_ONCE(qp->state) != IB_QPS_RTS && READ_ONCE(qp->state) != IB_QPS_SQD)
		goto out;
	/* As an index into the queue. */
	ssn = pcv_le32(hdr->ssn) - sq->first;
	switch (hdr->op) {
	case PCV_RC_ACK:
		if (was_sent(sq, ssn, false))
			acknowledge(qp, ssn + 1);
		break;
	case PCV_RC_NAK:
		if (was_sent(sq, ssn, true)) {
			acknowledge(qp, ssn);
			pcv_req_end(qp, ssn, status_of(pcv_le16(hdr->status)));
		}
		break;
	case PCV_RC_RNR:
		if (under_way(sq, ssn, true) && !sq->rnr)
			answer_rnr(qp, ssn, pcv_le32(hdr->imm));
		break;
	case PCV_RC_RESUME:
		if (sq->rnr) {
			del_timer(&sq->timer);
			sq->rnr = false;
			/* It has not waited: that was no retry. */
			if (sq->rnr_left < qp->attr.rnr_retry)
				sq->rnr_left++;
			sq->progress = jiffies;
		} else if (under_way(sq, ssn, true)) {
			acknowledge(qp, ssn);
			pcv_req_rewind(qp, ssn);
		}
		break;
	case PCV_RC_READ_DATA:
		if (was_sent(sq, ssn, false))
			answer_read(qp, ssn, pcv_le32(hdr->seg_offset), rx);
		break;
	case PCV_RC_ATOMIC_DATA:
		if (was_sent(sq, ssn, false))
			answer_atomic(qp, ssn, rx);
		break;
	default:
		pcv_stat_inc(PCV_STAT_RX_BAD_OP);
	}
	pcv_sq_retire(qp);
out:
	spin_unlock_bh(&sq->lock);
	pcv_req_run(qp);
}

/**
 * pcv_req_peer_lost() - the peer is gone: what was under way is lost
 *
 * Nothing happens if the queue pair is not connected to @peer.
 */
void pcv_req_peer_lost(struct pcv_qp *qp, const struct pcv_peer *peer)
{
	struct pcv_sq *sq = &qp->sq;

	spin_lock_bh(&sq->lock);
	if (qp->peer != peer)
		goto out;
	if ((READ_ONCE(qp->state) == IB_QPS_RTS || READ_ONCE(qp->state) == IB_QPS_SQD) &&
	    pcv_sq_under_way(sq))
		pcv_req_end(qp, sq->una, PCV_WC_RETRY_EXC_ERR);
	pcv_qp_fail(qp);
out:
	spin_unlock_bh(&sq->lock);
}
