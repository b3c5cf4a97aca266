// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The responder: executes what the peer asks for, and owes answers.
 *
 * Requests of a queue pair are numbered, from where the PSN says. The one
 * expected is executed; an earlier one has been executed before (its requester
 * timed out) and is only acknowledged again; a later one comes after a gap and
 * is dropped: the requester will come back to the gap. One from before the first
 * is of a former connection, or of a requester that counts from another PSN.
 *
 * Answers are noted while requests are handled; pcv_resp_pump() sends them at
 * the end of the batch, or when the response channel has room again.
 * Acknowledgements are cumulative, so one a batch. Only READs are answered
 * earlier, before a request that could change what they read.
 */
#include <linux/slab.h>

#include "dev.h"
#include "fast.h"
#include "resp.h"

static void owe(struct pcv_qp *qp)
{
	struct pcv_verbs *dev = qp->dev;

	spin_lock_bh(&dev->owes_lock);
	if (list_empty(&qp->rq.owes) && refcount_inc_not_zero(&qp->refs))
		list_add_tail(&qp->rq.owes, &dev->owes);
	spin_unlock_bh(&dev->owes_lock);
}

void pcv_resp_nak(struct pcv_qp *qp, u32 ssn, u8 status)
{
	qp->rq.nak_due = true;
	qp->rq.nak_ssn = ssn;
	qp->rq.nak_status = status;
	pcv_stat_inc(PCV_STAT_TX_NAK);
	pcv_qp_fail(qp);
}

/* The receive that belongs to the message under way ends with an error. */
static void recv_error(struct pcv_qp *qp, u8 status)
{
	struct pcv_rx_placed placed = {
		.status = pcv_to_le32(status),
		.src_qp = pcv_to_le32(qp->dst_qpn),
	};

	qp->rq.claimed = false;
	pcv_recv_complete(qp, &qp->rq.recv, &placed, NULL, true);
}

/*
 * The messages that went before this one through the fast ring take receives
 * as well, those in front of ours. Their number is the other process's word,
 * resolved by what ours says it has taken: a wrong one spoils this queue pair.
 */
static void pass_fast(struct pcv_qp *qp, const struct pcv_rc_hdr *hdr)
{
	u16 low = pcv_le32(hdr->dst) >> 24 | pcv_le32(hdr->src) >> 24 << 8;
	struct pcv_rq *rq = &qp->rq;
	u32 taken, count;

	if (!pcv_fast_active(qp))
		return;
	taken = READ_ONCE(qp->shared->fast_taken);
	count = taken + (u16)(low - (u16)taken);
	if ((s32)(count - rq->fast) <= 0)
		return;
	if (!qp->ib.srq)
		WRITE_ONCE(rq->next, rq->next + count - rq->fast);
	rq->fast = count;
}

/*
 * A sender that gives its kernel a message of which parts lie in the fast ring
 * makes those void. The process may be copying one of them, into the very
 * receive that is to be claimed now.
 */
static bool fast_copies(struct pcv_qp *qp)
{
	struct pcv_rq *rq = &qp->rq;

	WRITE_ONCE(qp->shared->fast_claim, (u64)(rq->claims + 1) << 32 | rq->fast);
	/*
	 * PCV(fast_claim:B) pairs with fast_claim:A: the claim, then a look whether
	 * it copies; it says that it copies, then looks for the claim.
	 */
	pcv_cpu_mb();
	/* What is copied before the last of those in front of ours is none of our business. */
	if (!READ_ONCE(qp->shared->fast_open) || READ_ONCE(qp->shared->fast_taken) != rq->fast)
		return false;
	/* PCV(qp_kick:B) pairs with qp_kick:A: ask to be called when it is through, look again. */
	pcv_qp_kick_set(qp, PCV_KICK_RECV);
	return READ_ONCE(qp->shared->fast_open);
}

/*
 * Receives of a shared queue go to whoever comes first. This must not be a
 * message that the process may not take yet, for want of those in front of it:
 * they would find none left, and all would wait for one another.
 */
static bool behind_fast(struct pcv_qp *qp)
{
	struct pcv_rq *rq = &qp->rq;

	rq->behind_fast = false;
	if (!pcv_fast_active(qp))
		return false;
	if (!qp->ib.srq) {
		rq->behind_fast = fast_copies(qp);
		return rq->behind_fast;
	}
	/* What the process has begun there is void: it gives its receive back. */
	WRITE_ONCE(qp->shared->fast_claim, (u64)(rq->claims + 1) << 32 | rq->fast);
	if ((s32)(rq->fast - READ_ONCE(qp->shared->fast_taken)) <= 0)
		return false;
	/*
	 * PCV(qp_kick:B) pairs with qp_kick:A: ask to be called when it has taken
	 * one, then look again. It looks without a barrier: the RNR timer makes up
	 * for the call that is missed by that.
	 */
	pcv_qp_kick_set(qp, PCV_KICK_RECV);
	rq->behind_fast = (s32)(rq->fast - READ_ONCE(qp->shared->fast_taken)) > 0;
	/*
	 * It may sleep for solicited messages: those in front need not be, ours or one
	 * behind it may. Without a receive they could not be taken; who posts one
	 * wakes it, or we come again.
	 */
	if (rq->behind_fast && pcv_srq_left(to_srq(qp->ib.srq)))
		pcv_cq_hint(to_cq(qp->ib.recv_cq), qp->ib.qp_num, true);
	return rq->behind_fast;
}

/*
 * A receive of a shared queue may be with the process, for the very message that a
 * receive is claimed for here: it had begun in the fast ring and is void now. The
 * process gives it back when it looks, but nothing says that it should, and it may
 * be the last one: for this message, or for that of another queue pair.
 */
static void ask_back(struct pcv_qp *qp)
{
	if (!qp->ib.srq || !pcv_fast_active(qp))
		return;
	/*
	 * PCV(fast_claim:B) pairs with fast_claim:A: the claim, then a look whether
	 * it has one; it says that it copies, then looks for the claim.
	 */
	pcv_cpu_mb();
	if (READ_ONCE(qp->shared->fast_open))
		pcv_cq_hint(to_cq(qp->ib.recv_cq), qp->ib.qp_num, true);
}

/*
 * Take a receive for the message under way, if it has none yet.
 * Return: false if the message cannot go on; what there is to say has been noted.
 */
static bool claim(struct pcv_qp *qp, const struct pcv_rc_hdr *hdr, u32 ssn)
{
	struct pcv_rq *rq = &qp->rq;
	bool behind;
	int ret;

	if (rq->claimed)
		return true;
	pass_fast(qp, hdr);
	behind = behind_fast(qp);
	ret = behind ? 0 : pcv_recv_claim(qp, &rq->recv);
	if (!ret && !behind) {
		/*
		 * PCV(qp_kick:B) pairs with qp_kick:A: ask to be called for the next
		 * receive, then look again; the poster posts, then looks whether we ask.
		 */
		if (qp->ib.srq)
			pcv_srq_wait(qp);
		else
			pcv_qp_kick_set(qp, PCV_KICK_RECV);
		ret = pcv_recv_claim(qp, &rq->recv);
	}
	if (!behind)
		ask_back(qp);
	if (ret > 0) {
		/* Asked for when this message came first: a call would find nothing to do. */
		if (READ_ONCE(qp->shared->kick) & PCV_KICK_RECV)
			pcv_qp_kick_clear(qp, PCV_KICK_RECV);
		if (!list_empty(&rq->hungry))
			pcv_srq_unwait(qp);
		rq->claims++;
		rq->claimed = true;
		rq->rnr_sent = false;
		rq->rnr_due = false;
		return true;
	}
	if (!ret) {
		rq->rnr_sent = true;
		rq->rnr_due = true;
		rq->offset = 0;
		pcv_stat_inc(PCV_STAT_TX_RNR);
		return false;
	}
	/* The process wrote what cannot be a receive. */
	pcv_qp_fatal(qp);
	pcv_resp_nak(qp, ssn, PCV_ST_REM_OP);
	return false;
}

static void recv_done(struct pcv_qp *qp, const struct pcv_rc_hdr *hdr, u32 msg_len, u8 opcode)
{
	struct pcv_rx_placed placed = {
		.byte_len = pcv_to_le32(msg_len),
		.src_qp = pcv_to_le32(qp->dst_qpn),
		.opcode = opcode,
	};

	if (hdr->flags & PCV_RC_IMM) {
		placed.wc_flags |= PCV_RX_WC_IMM;
		placed.imm = hdr->imm;
	}
	if (hdr->flags & PCV_RC_INVALIDATE) {
		placed.wc_flags |= PCV_RX_WC_INV;
		placed.imm = hdr->imm;
	}
	qp->rq.claimed = false;
	pcv_recv_complete(qp, &qp->rq.recv, &placed, NULL, hdr->flags & PCV_RC_SOLICITED);
}

/* Does the receive allow its memory to be written? Needed where the process does the copy. */
static bool recv_keys_ok(struct pcv_qp *qp, u32 len)
{
	const struct pcv_recv *recv = &qp->rq.recv;
	u32 i;

	for (i = 0; i < recv->num_sge && len; i++) {
		const struct pcv_sge *sge = &recv->sge[i];
		u32 n = min(len, sge->length);
		struct pcv_mr *mr;

		if (!n)
			continue;
		mr = pcv_mr_get(qp, sge->lkey, sge->addr, n, IB_ACCESS_LOCAL_WRITE, false);
		if (!mr)
			return false;
		pcv_mr_put(mr);
		len -= n;
	}
	return true;
}

/* Return: true if the segment is executed. */
static bool do_send(struct pcv_qp *qp, const struct pcv_rc_hdr *hdr, const struct pcv_rx *rx,
		    u32 ssn, u32 offset, u32 msg_len)
{
	struct pcv_rq *rq = &qp->rq;
	bool only = (hdr->flags & PCV_RC_FIRST) && (hdr->flags & PCV_RC_LAST);

	if (!claim(qp, hdr, ssn))
		return false;
	if (msg_len > rq->recv.length) {
		recv_error(qp, PCV_WC_LOC_LEN_ERR);
		pcv_resp_nak(qp, ssn, PCV_ST_REM_INV_REQ);
		return false;
	}
	if (only && rx->len <= PCV_LINE_PAYLOAD - sizeof(struct pcv_rx_data) &&
	    !(hdr->flags & PCV_RC_INVALIDATE) && recv_keys_ok(qp, rx->len)) {
		u8 copy[PCV_LINE_PAYLOAD];

		memcpy(copy, rx->data, rx->len);
		if (pcv_recv_data(qp, copy, rx->len, (__force u32)hdr->imm,
				  hdr->flags & PCV_RC_IMM, hdr->flags & PCV_RC_SOLICITED)) {
			rq->claimed = false;
			return true;
		}
	}
	if (pcv_recv_scatter(qp, rq->recv.sge, rq->recv.num_sge, offset, rx->data, rx->len)) {
		recv_error(qp, PCV_WC_LOC_PROT_ERR);
		pcv_resp_nak(qp, ssn, PCV_ST_REM_OP);
		return false;
	}
	if (hdr->flags & PCV_RC_LAST) {
		if ((hdr->flags & PCV_RC_INVALIDATE) &&
		    !pcv_mr_invalidate(qp, pcv_le32(hdr->imm))) {
			recv_error(qp, PCV_WC_MW_BIND_ERR);
			pcv_resp_nak(qp, ssn, PCV_ST_REM_ACCESS);
			return false;
		}
		recv_done(qp, hdr, msg_len, PCV_RX_OP_RECV);
	}
	return true;
}

static bool do_write(struct pcv_qp *qp, const struct pcv_rc_hdr *hdr, const struct pcv_rx *rx,
		     u32 ssn, u32 offset, u32 msg_len)
{
	u64 va = pcv_le64(hdr->va);
	struct pcv_mr *mr;

	if (!(qp->attr.qp_access_flags & IB_ACCESS_REMOTE_WRITE)) {
		pcv_resp_nak(qp, ssn, PCV_ST_REM_INV_REQ);
		return false;
	}
	if (msg_len) {
		/* Each segment checks all that is still to come: no byte of a bad write lands. */
		mr = pcv_mr_get(qp, pcv_le32(hdr->rkey), va, msg_len - offset,
				IB_ACCESS_REMOTE_WRITE, true);
		if (!mr) {
			pcv_resp_nak(qp, ssn, PCV_ST_REM_ACCESS);
			return false;
		}
		/* Immediate data without a receive must not write twice: look for one first. */
		if ((hdr->flags & PCV_RC_IMM) && (hdr->flags & PCV_RC_LAST) &&
		    !claim(qp, hdr, ssn)) {
			pcv_mr_put(mr);
			return false;
		}
		pcv_mr_write(mr, va, rx->data, rx->len);
		pcv_mr_put(mr);
	} else if ((hdr->flags & PCV_RC_IMM) && !claim(qp, hdr, ssn)) {
		return false;
	}
	if ((hdr->flags & PCV_RC_LAST) && (hdr->flags & PCV_RC_IMM))
		recv_done(qp, hdr, msg_len, PCV_RX_OP_WRITE_IMM);
	return true;
}

static struct pcv_read_job *job_add(struct pcv_qp *qp, u32 ssn)
{
	struct pcv_rq *rq = &qp->rq;
	struct pcv_read_job *job;

	if (rq->job_tail - rq->job_head == rq->job_count) {
		/* More at once than was agreed on. */
		pcv_resp_nak(qp, ssn, PCV_ST_REM_INV_REQ);
		return NULL;
	}
	job = &rq->job[rq->job_tail % rq->job_count];
	memset(job, 0, sizeof(*job));
	job->ssn = ssn;
	return job;
}

static bool do_read(struct pcv_qp *qp, const struct pcv_rc_hdr *hdr, u32 ssn, u32 msg_len)
{
	struct pcv_read_job *job;
	struct pcv_mr *mr;

	if (!(qp->attr.qp_access_flags & IB_ACCESS_REMOTE_READ)) {
		pcv_resp_nak(qp, ssn, PCV_ST_REM_INV_REQ);
		return false;
	}
	if (msg_len) {
		mr = pcv_mr_get(qp, pcv_le32(hdr->rkey), pcv_le64(hdr->va), msg_len,
				IB_ACCESS_REMOTE_READ, true);
		if (!mr) {
			pcv_resp_nak(qp, ssn, PCV_ST_REM_ACCESS);
			return false;
		}
		/* Held again piece by piece: a READ must not keep memory registered. */
		pcv_mr_put(mr);
	}
	job = job_add(qp, ssn);
	if (!job)
		return false;
	job->rkey = pcv_le32(hdr->rkey);
	job->va = pcv_le64(hdr->va);
	job->len = msg_len;
	qp->rq.job_tail++;
	return true;
}

static bool do_atomic(struct pcv_qp *qp, const struct pcv_rc_hdr *hdr, const struct pcv_rx *rx,
		      u32 ssn)
{
	u64 va = pcv_le64(hdr->va);
	struct pcv_read_job *job;
	__le64 operand[2];
	struct pcv_mr *mr;

	if (!(qp->attr.qp_access_flags & IB_ACCESS_REMOTE_ATOMIC) ||
	    rx->len != sizeof(operand) || va % sizeof(u64)) {
		pcv_resp_nak(qp, ssn, PCV_ST_REM_INV_REQ);
		return false;
	}
	memcpy(operand, rx->data, sizeof(operand));
	mr = pcv_mr_get(qp, pcv_le32(hdr->rkey), va, sizeof(u64), IB_ACCESS_REMOTE_ATOMIC, true);
	if (!mr) {
		pcv_resp_nak(qp, ssn, PCV_ST_REM_ACCESS);
		return false;
	}
	job = job_add(qp, ssn);
	if (job) {
		job->atomic = true;
		job->value = pcv_mr_atomic(mr, va, hdr->op == PCV_RC_CMP_SWAP,
					   pcv_le64(operand[0]), pcv_le64(operand[1]));
		qp->rq.job_tail++;
	}
	pcv_mr_put(mr);
	return job;
}

/* Is this segment the one that comes next in the message under way? */
static bool in_sequence(struct pcv_qp *qp, const struct pcv_rc_hdr *hdr, u32 len)
{
	u32 offset = pcv_le32(hdr->seg_offset), msg_len = pcv_le32(hdr->msg_len);
	bool data = hdr->op == PCV_RC_SEND || hdr->op == PCV_RC_WRITE;
	bool first = hdr->flags & PCV_RC_FIRST;

	if (msg_len > PCV_MAX_MSG || first != !offset)
		return false;
	if ((hdr->flags & PCV_RC_INVALIDATE) &&
	    (hdr->op != PCV_RC_SEND || (hdr->flags & PCV_RC_IMM)))
		return false;
	if (!data)
		return first && (hdr->flags & PCV_RC_LAST);
	if (offset > msg_len || len > msg_len - offset)
		return false;
	if (!len && msg_len)
		return false;
	return !!(hdr->flags & PCV_RC_LAST) == (offset + len == msg_len);
}

/*
 * A READ sees memory as it is before the requests that follow it: its answer
 * is on its way before they are executed. Where the channel has no room for it
 * now, they are put off; their requester is told to come back.
 */
static bool after_reads(struct pcv_qp *qp)
{
	struct pcv_rq *rq = &qp->rq;

	if (rq->job_head == rq->job_tail || !pcv_resp_answer_reads(qp))
		return !rq->nak_due;
	rq->put_off = true;
	return false;
}

/* The next @n numbers are done with. */
static void expect(struct pcv_rq *rq, u32 n)
{
	rq->expected += n;
	/* Half of all numbers lie behind, half ahead. */
	rq->executed = min_t(u32, rq->executed + n, S32_MAX);
}

static void request(struct pcv_qp *qp, const struct pcv_rc_hdr *hdr, const struct pcv_rx *rx)
{
	u32 ssn = pcv_le32(hdr->ssn), offset = pcv_le32(hdr->seg_offset);
	u32 msg_len = pcv_le32(hdr->msg_len);
	struct pcv_rq *rq = &qp->rq;
	bool ok;

	if (ssn != rq->expected) {
		u16 skip = pcv_le16(hdr->skip);

		if (rq->expected - ssn <= rq->executed)
			rq->ack_due = true;
		if (!skip || ssn - skip != rq->expected)
			return;
		/* The numbers in between stayed with the requester. */
		expect(rq, skip);
	}
	if (!in_sequence(qp, hdr, rx->len)) {
		pcv_resp_nak(qp, ssn, PCV_ST_REM_INV_REQ);
		return;
	}
	if (hdr->flags & PCV_RC_FIRST) {
		/* Also a requester that begins this one again. */
		rq->offset = 0;
		rq->rnr_sent = false;
	} else if (rq->rnr_sent || offset != rq->offset) {
		/* The rest of a message that was put off. */
		return;
	}

	if (hdr->op != PCV_RC_READ && !after_reads(qp))
		return;

	switch (hdr->op) {
	case PCV_RC_SEND:
		ok = do_send(qp, hdr, rx, ssn, offset, msg_len);
		break;
	case PCV_RC_WRITE:
		ok = do_write(qp, hdr, rx, ssn, offset, msg_len);
		break;
	case PCV_RC_READ:
		ok = do_read(qp, hdr, ssn, msg_len);
		break;
	case PCV_RC_CMP_SWAP:
	case PCV_RC_FETCH_ADD:
		ok = do_atomic(qp, hdr, rx, ssn);
		break;
	default:
		pcv_resp_nak(qp, ssn, PCV_ST_REM_INV_REQ);
		return;
	}
	if (!ok)
		return;
	pcv_stat_add(PCV_STAT_RX_BYTES, rx->len);
	rq->offset = offset + rx->len;
	if (hdr->flags & PCV_RC_LAST) {
		rq->offset = 0;
		expect(rq, 1);
		rq->ack_due = true;
		pcv_stat_inc(PCV_STAT_RX_REQUESTS);
	}
}

void pcv_resp_request(struct pcv_qp *qp, const struct pcv_peer *peer, const struct pcv_rc_hdr *hdr,
		      const struct pcv_rx *rx)
{
	enum ib_qp_state state;

	spin_lock_bh(&qp->rq.lock);
	if (!pcv_qp_hears(qp, peer, hdr)) {
		pcv_stat_inc(PCV_STAT_RX_NO_QP);
		spin_unlock_bh(&qp->rq.lock);
		return;
	}
	state = READ_ONCE(qp->state);
	if (state == IB_QPS_RTR || state == IB_QPS_RTS || state == IB_QPS_SQD)
		request(qp, hdr, rx);
	spin_unlock_bh(&qp->rq.lock);
	owe(qp);
}

/* --- what does not come from the peer ------------------------------------------------ */

/* Every receive that is posted ends with a flush error. State ERR, rq.lock held. */
static void flush_locked(struct pcv_qp *qp)
{
	struct pcv_rq *rq = &qp->rq;
	struct pcv_rx_placed placed = { .status = pcv_to_le32(PCV_WC_WR_FLUSH_ERR) };
	u32 budget = rq->count + 1;

	if (rq->claimed) {
		rq->claimed = false;
		pcv_recv_complete(qp, &rq->recv, &placed, NULL, true);
	}
	/* The SRQ's belong to others as well; with a fast ring the process knows which are left. */
	if (qp->ib.srq || pcv_fast_active(qp))
		return;
	while (budget-- && pcv_recv_claim(qp, &rq->recv) > 0)
		pcv_recv_complete(qp, &rq->recv, &placed, NULL, true);
}

void pcv_resp_flush(struct pcv_qp *qp)
{
	struct pcv_rq *rq = &qp->rq;

	spin_lock_bh(&rq->lock);
	if (READ_ONCE(qp->state) == IB_QPS_ERR) {
		/* PCV(qp_kick:B) pairs with qp_kick:A: as in pcv_req_flush(). */
		pcv_qp_kick_set(qp, PCV_KICK_RECV);
		flush_locked(qp);
		/* A refusal is still to be sent, after the READs that came before it. */
		rq->rnr_due = false;
		rq->resume_due = false;
	}
	spin_unlock_bh(&rq->lock);
	if (qp->peer)
		pcv_resp_pump(qp);
}

/* Is there now what was missing when the requester was put off? */
static bool can_resume(struct pcv_qp *qp)
{
	struct pcv_rq *rq = &qp->rq;

	if (qp->ib.srq && !rq->behind_fast)
		return pcv_srq_left(to_srq(qp->ib.srq));
	if (qp->ib.srq)
		return (s32)(rq->fast - READ_ONCE(qp->shared->fast_taken)) <= 0;
	if (rq->behind_fast && READ_ONCE(qp->shared->fast_open))
		return false;
	/* PCV(qp_rq_tail:B) pairs with qp_rq_tail:A: only looked at here. */
	return (s32)(pcv_cpu_load_acquire(&qp->shared->rq_tail) - rq->next) > 0;
}

bool pcv_resp_kick(struct pcv_qp *qp)
{
	struct pcv_rq *rq = &qp->rq;
	bool pump = false, flushed = false;

	spin_lock_bh(&rq->lock);
	if (!list_empty(&rq->backlog))
		pcv_recv_backlog(qp);
	if (READ_ONCE(qp->state) == IB_QPS_ERR) {
		flush_locked(qp);
		flushed = pcv_fast_active(qp);
	} else if (rq->rnr_sent && can_resume(qp)) {
		pcv_qp_kick_clear(qp, PCV_KICK_RECV);
		/* One that was not sent yet would only make the requester wait. */
		rq->rnr_due = false;
		rq->resume_due = true;
		/* Once: the rest of that message has no place by its offset. */
		rq->rnr_sent = false;
		pump = true;
	}
	spin_unlock_bh(&rq->lock);
	if (flushed)
		pcv_fast_flushed(qp);
	if (pump)
		pcv_resp_pump(qp);
	return pump;
}

void pcv_resp_reset(struct pcv_qp *qp)
{
	struct pcv_rq *rq = &qp->rq;
	struct pcv_backlog *b, *next;

	spin_lock_bh(&rq->lock);
	list_for_each_entry_safe(b, next, &rq->backlog, entry) {
		list_del(&b->entry);
		kfree(b);
	}
	rq->backlogged = 0;
	rq->next = 0;
	rq->fast = 0;
	rq->claims = 0;
	rq->expected = 0;
	rq->executed = 0;
	rq->offset = 0;
	rq->claimed = false;
	rq->rnr_sent = false;
	rq->rnr_due = false;
	rq->behind_fast = false;
	rq->resume_due = false;
	rq->ack_due = false;
	rq->nak_due = false;
	rq->put_off = false;
	rq->job_head = 0;
	rq->job_tail = 0;
	WRITE_ONCE(qp->shared->rq_tail, 0);
	WRITE_ONCE(qp->shared->fast_claim, 0);
	WRITE_ONCE(qp->shared->fast_open, 0);
	WRITE_ONCE(qp->shared->ring_head, 0);
	if (qp->user) {
		memset(rq->ring.line, 0, (size_t)rq->ring_count * PCV_LINE_BYTES);
		pcv_ring_tx_init(&rq->ring, rq->ring.line, rq->ring_count, PCV_RX_SEQ_BASE);
	}
	pcv_qp_kick_clear(qp, PCV_KICK_RECV | PCV_KICK_RING);
	spin_unlock_bh(&rq->lock);
}
