// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The requester: takes work requests out of the send queue, cuts them into
 * segments and sends them. answer.c handles what comes back.
 *
 * Whoever has news for a queue pair calls pcv_req_run(): its process through
 * an empty post, a kernel user through post_send, an answer from the peer,
 * room in the channel, the timer. All under sq.lock, for a bounded time.
 */
#include <linux/jiffies.h>

#include "dev.h"
#include "req.h"

/* A shorter local ACK timeout than this is taken as this. */
#define PCV_ACK_TIMEOUT_MIN_MS	200

/* Segments sent before the lock is given up for a moment. */
#define REQ_BATCH	16

/* Batches in one call; a workqueue goes on. */
#define REQ_TURNS	64

/* Of them in a row where others wait for this CPU: stores find room without end. */
#define REQ_TURNS_SOFTIRQ	4

static struct pcv_swqe *sq_slot(struct pcv_sq *sq, u32 index)
{
	return sq->queue + (index & (sq->count - 1)) * sq->stride;
}

/* Look how far the poster has come. Return: false if it cannot be. */
static bool sq_look(struct pcv_qp *qp)
{
	struct pcv_sq *sq = &qp->sq;
	u32 tail;

	/* PCV(qp_sq_tail:B) pairs with qp_sq_tail:A: entries before the tail that covers them. */
	tail = pcv_cpu_load_acquire(&qp->shared->sq_tail);
	/* Nor may it take back what has been fetched. */
	if (tail - sq->una > sq->count || tail - sq->una < sq->fetched - sq->una) {
		pcv_qp_fatal(qp);
		return false;
	}
	sq->tail = tail;
	return true;
}

/* Which operations a type of queue pair knows. */
static bool op_known(const struct pcv_qp *qp, u8 opcode)
{
	if (!pcv_qp_is_rc(qp))
		return opcode == PCV_WR_SEND || opcode == PCV_WR_SEND_IMM;
	if (opcode == PCV_WR_REG_MR)
		return !qp->user;
	return opcode < PCV_WR_REG_MR;
}

/* Copy a work request out of the shared ring, once, and check the copy. */
static u8 sq_fetch(struct pcv_qp *qp, u32 index)
{
	struct pcv_sq *sq = &qp->sq;
	struct pcv_send *send = pcv_sq_send(sq, index);
	const struct pcv_sge *sge;
	struct pcv_swqe swqe;
	u64 length = 0;
	u32 i;

	memcpy(&swqe, sq_slot(sq, index), sizeof(swqe));
	memset(send, 0, sizeof(*send));
	send->wr_id = swqe.wr_id;
	send->fast = swqe.fast;
	send->opcode = swqe.opcode;
	send->flags = swqe.flags;
	send->num_sge = swqe.num_sge;
	send->imm = swqe.imm;
	send->rkey = swqe.rkey;
	send->remote_addr = swqe.remote_addr;
	if (pcv_qp_is_rc(qp)) {
		send->compare_add = swqe.compare_add;
		send->swap = swqe.swap;
	} else {
		send->ah = swqe.ah;
		send->remote_qpn = swqe.remote_qpn;
		send->remote_qkey = swqe.remote_qkey;
	}
	if (qp->sq_sig_all)
		send->flags |= PCV_WR_SIGNALED;
	send->skip = sq->skip;
	/* So many in a row that a request behind them could not say how many. */
	if (pcv_op_is_local(send->opcode) && sq->skip == U16_MAX)
		return PCV_WC_LOC_QP_OP_ERR;
	sq->skip = pcv_op_is_local(send->opcode) ? sq->skip + 1 : 0;

	if (!op_known(qp, send->opcode))
		return PCV_WC_LOC_QP_OP_ERR;
	if (send->flags & PCV_WR_INLINE) {
		if (swqe.inline_len > sq->max_inline)
			return PCV_WC_LOC_QP_OP_ERR;
		send->num_sge = 0;
		send->length = swqe.inline_len;
		return 0;
	}
	if (send->num_sge > sq->max_sge)
		return PCV_WC_LOC_QP_OP_ERR;
	sge = (void *)sq_slot(sq, index) + PCV_SWQE_BYTES;
	for (i = 0; i < send->num_sge; i++)
		length += READ_ONCE(sge[i].length);
	if (length > PCV_MAX_MSG || (!pcv_qp_is_rc(qp) && length > PCV_UD_MTU))
		return PCV_WC_LOC_LEN_ERR;
	send->length = length;
	if (pcv_op_is_atomic(send->opcode) && length != sizeof(u64))
		return PCV_WC_LOC_LEN_ERR;
	return 0;
}

/**
 * pcv_req_gather() - find the memory of a part of a message
 *
 * Fills sq.mr[] and sq.sge[] with what holds [offset, offset + len). The list
 * is read from the ring again: a process that changes it under way gets the
 * error it asked for, because every entry is checked here.
 *
 * Return: the number of pieces (0 for inline data), or -EFAULT.
 */
int pcv_req_gather(struct pcv_qp *qp, const struct pcv_send *send, u32 index, u32 offset, u32 len)
{
	struct pcv_sq *sq = &qp->sq;
	u64 start = 0;
	int n = 0;
	u32 i;

	if ((send->flags & PCV_WR_INLINE) || !len)
		return 0;
	memcpy(sq->sge, (void *)sq_slot(sq, index) + PCV_SWQE_BYTES,
	       send->num_sge * sizeof(struct pcv_sge));
	for (i = 0; i < send->num_sge && len; i++) {
		struct pcv_sge sge = sq->sge[i];
		u64 skip;

		if (offset >= start + sge.length) {
			start += sge.length;
			continue;
		}
		skip = offset - start;
		start += sge.length;
		sge.addr += skip;
		sge.length = min_t(u64, len, sge.length - skip);
		sq->mr[n] = pcv_mr_get(qp, sge.lkey, sge.addr, sge.length, 0, false);
		if (!sq->mr[n])
			goto err_put;
		sq->sge[n++] = sge;
		offset += sge.length;
		len -= sge.length;
	}
	if (!len)
		return n;
err_put:
	while (n--)
		pcv_mr_put(sq->mr[n]);
	return -EFAULT;
}

void pcv_req_emit(struct pcv_qp *qp, const struct pcv_send *send, u32 index, u32 offset,
		  u32 len, int pieces, pcv_mr_piece_t fn, void *arg)
{
	struct pcv_sq *sq = &qp->sq;
	int i;

	if (send->flags & PCV_WR_INLINE)
		fn(arg, (void *)sq_slot(sq, index) + PCV_SWQE_BYTES + offset, len);
	for (i = 0; i < pieces; i++) {
		pcv_mr_each(sq->mr[i], sq->sge[i].addr, sq->sge[i].length, fn, arg);
		pcv_mr_put(sq->mr[i]);
	}
}

bool pcv_req_wait(struct pcv_qp *qp, struct pcv_peer *peer, u8 vc)
{
	struct pcv_sq *sq = &qp->sq;

	if (sq->wait_peer != peer) {
		/* Datagrams: still on another peer's list? That one's call leads here again. */
		if (sq->wait_peer && !list_empty_careful(&sq->waiter.entry))
			return true;
		if (sq->wait_peer)
			pcv_peer_put(sq->wait_peer);
		pcv_peer_get(peer);
		sq->wait_peer = peer;
	}
	return pcv_peer_tx_wait(peer, vc, &sq->waiter);
}

void pcv_req_waiter(struct pcv_tx_waiter *w)
{
	struct pcv_qp *qp = container_of(w, struct pcv_qp, sq.waiter);

	pcv_req_run(qp);
}

/* End @send without having sent it: everything behind it will be flushed. */
static void local_error(struct pcv_qp *qp, struct pcv_send *send, u8 status)
{
	send->status = status;
	send->done = true;
	qp->sq.next++;
	qp->sq.seg_offset = 0;
	qp->sq.stored = 0;
	pcv_sq_stop(&qp->sq, qp->sq.next);
}

static void rc_header(struct pcv_qp *qp, const struct pcv_send *send, struct pcv_rc_hdr *hdr,
		      u32 seg)
{
	static const u8 op[] = {
		[PCV_WR_SEND] = PCV_RC_SEND,
		[PCV_WR_SEND_IMM] = PCV_RC_SEND,
		[PCV_WR_SEND_INV] = PCV_RC_SEND,
		[PCV_WR_WRITE] = PCV_RC_WRITE,
		[PCV_WR_WRITE_IMM] = PCV_RC_WRITE,
		[PCV_WR_READ] = PCV_RC_READ,
		[PCV_WR_CMP_SWAP] = PCV_RC_CMP_SWAP,
		[PCV_WR_FETCH_ADD] = PCV_RC_FETCH_ADD,
	};
	struct pcv_sq *sq = &qp->sq;
	u8 flags = 0;

	if (!sq->seg_offset)
		flags |= PCV_RC_FIRST;
	if (sq->seg_offset + seg == send->length || pcv_op_is_read(send->opcode)) {
		flags |= PCV_RC_LAST;
		if (send->flags & PCV_WR_SOLICITED)
			flags |= PCV_RC_SOLICITED;
	}
	if (send->opcode == PCV_WR_SEND_IMM || send->opcode == PCV_WR_WRITE_IMM)
		flags |= PCV_RC_IMM;
	if (send->opcode == PCV_WR_SEND_INV)
		flags |= PCV_RC_INVALIDATE;

	memset(hdr, 0, sizeof(*hdr));
	hdr->dst = pcv_to_le32(qp->dst_qpn | (u32)(send->fast & 0xff) << 24);
	hdr->src = pcv_to_le32(qp->ib.qp_num | (u32)(send->fast >> 8) << 24);
	hdr->ssn = pcv_to_le32(sq->first + sq->next);
	hdr->skip = pcv_to_le16(send->skip);
	hdr->op = op[send->opcode];
	hdr->flags = flags;
	/* Immediate data are bytes, not a number: they travel as they are. */
	hdr->imm = flags & PCV_RC_INVALIDATE ? pcv_to_le32(send->imm) : (__force __le32)send->imm;
	hdr->rkey = pcv_to_le32(send->rkey);
	hdr->va = pcv_to_le64(send->remote_addr + sq->seg_offset);
	hdr->msg_len = pcv_to_le32(send->length);
	hdr->seg_offset = pcv_to_le32(sq->seg_offset);
}

/* What a step of the requester came to. */
enum req_step {
	REQ_MORE,		/* something was sent or ended */
	REQ_STOP,		/* nothing to do until somebody calls again */
};

/* The channel would not take it. */
static enum req_step rc_blocked(struct pcv_qp *qp, int err)
{
	if (err == -EAGAIN) {
		pcv_stat_inc(PCV_STAT_REQ_NO_ROOM);
		return pcv_req_wait(qp, qp->peer, PCV_VC_REQUEST) ? REQ_STOP : REQ_MORE;
	}
	/* The peer is gone; its going down ends the work requests. */
	return REQ_STOP;
}

static enum req_step rc_send_read(struct pcv_qp *qp, struct pcv_send *send)
{
	struct pcv_sq *sq = &qp->sq;
	struct pcv_rc_hdr hdr;
	__le64 operand[2];
	u32 plen = 0;
	int err;

	if (sq->reads >= qp->attr.max_rd_atomic) {
		if (!qp->attr.max_rd_atomic) {
			local_error(qp, send, PCV_WC_LOC_QP_OP_ERR);
			return REQ_MORE;
		}
		return REQ_STOP;
	}
	if (send->flags & PCV_WR_INLINE) {
		local_error(qp, send, PCV_WC_LOC_QP_OP_ERR);
		return REQ_MORE;
	}
	if (pcv_op_is_atomic(send->opcode)) {
		operand[0] = pcv_to_le64(send->compare_add);
		operand[1] = pcv_to_le64(send->swap);
		plen = sizeof(operand);
	}
	rc_header(qp, send, &hdr, 0);
	err = pcv_peer_tx_begin(qp->peer, &sq->tx, PCV_VC_REQUEST, PCV_MSG_RC, &hdr, plen);
	if (err)
		return rc_blocked(qp, err);
	pcv_peer_tx_copy(&sq->tx, operand, plen);
	pcv_peer_tx_end(&sq->tx);
	sq->progress = jiffies;
	pcv_stat_inc(pcv_op_is_atomic(send->opcode) ? PCV_STAT_TX_ATOMIC : PCV_STAT_TX_READ);
	sq->reads++;
	sq->next++;
	sq->others = sq->next;
	return REQ_MORE;
}

static enum req_step rc_send_data(struct pcv_qp *qp, struct pcv_send *send)
{
	struct pcv_sq *sq = &qp->sq;
	u32 seg = min_t(u32, send->length - sq->seg_offset, PCV_SEG_MAX);
	struct pcv_rc_hdr hdr;
	int pieces, err;

	pieces = pcv_req_gather(qp, send, sq->next, sq->seg_offset, seg);
	if (pieces < 0) {
		local_error(qp, send, PCV_WC_LOC_PROT_ERR);
		return REQ_MORE;
	}
	rc_header(qp, send, &hdr, seg);
	err = pcv_peer_tx_begin(qp->peer, &sq->tx, PCV_VC_REQUEST, PCV_MSG_RC, &hdr, seg);
	if (err) {
		while (pieces--)
			pcv_mr_put(sq->mr[pieces]);
		return rc_blocked(qp, err);
	}
	pcv_req_emit(qp, send, sq->next, sq->seg_offset, seg, pieces, pcv_mr_piece_send,
		     &sq->tx);
	pcv_peer_tx_end(&sq->tx);
	/* The channel moves: that is a sign of life, too. */
	sq->progress = jiffies;
	pcv_stat_add(PCV_STAT_TX_BYTES, seg);
	sq->seg_offset += seg;
	if (sq->seg_offset == send->length) {
		pcv_stat_inc(hdr.op == PCV_RC_SEND ? PCV_STAT_TX_SEND : PCV_STAT_TX_WRITE);
		sq->seg_offset = 0;
		sq->next++;
		if (send->opcode != PCV_WR_WRITE)
			sq->others = sq->next;
	}
	return REQ_MORE;
}

/* Work requests that stay at home. */
static enum req_step rc_local(struct pcv_qp *qp, struct pcv_send *send)
{
	bool ok;

	if (send->opcode == PCV_WR_LOCAL_INV)
		ok = pcv_mr_invalidate(qp, send->imm);
	else
		ok = pcv_mr_fast_register(qp, (struct ib_mr *)(uintptr_t)send->remote_addr,
					  send->rkey, send->imm);
	if (!ok) {
		local_error(qp, send, PCV_WC_MW_BIND_ERR);
		return REQ_MORE;
	}
	send->done = true;
	qp->sq.next++;
	return REQ_MORE;
}

static enum req_step rc_step(struct pcv_qp *qp, struct pcv_send *send)
{
	if (send->done) {
		/* Ended before a rewind: not sent again. */
		qp->sq.next++;
		qp->sq.seg_offset = 0;
		qp->sq.stored = 0;
		return REQ_MORE;
	}
	if ((send->flags & PCV_WR_FENCE) && qp->sq.reads)
		return REQ_STOP;
	if (pcv_op_is_local(send->opcode))
		return rc_local(qp, send);
	if (pcv_op_is_read(send->opcode))
		return rc_send_read(qp, send);
	switch (pcv_req_store(qp, send)) {
	case PCV_STORED:
		return REQ_MORE;
	case PCV_STORE_WAITS:
		return REQ_STOP;
	case PCV_STORE_NOT:
		break;
	}
	return rc_send_data(qp, send);
}

static enum req_step ud_step(struct pcv_qp *qp, struct pcv_send *send)
{
	int ret = pcv_ud_send(qp, send);

	if (ret == -EAGAIN)
		return REQ_STOP;
	if (ret == -EBUSY)
		return REQ_MORE;
	if (ret > 0) {
		local_error(qp, send, ret);
		return REQ_MORE;
	}
	send->done = true;
	qp->sq.next++;
	return REQ_MORE;
}

/* One step. sq.lock held. */
static enum req_step req_step(struct pcv_qp *qp)
{
	enum ib_qp_state state = READ_ONCE(qp->state);
	struct pcv_sq *sq = &qp->sq;
	struct pcv_send *send;
	u8 status;

	/* SQD finishes what was begun, rewound or not. */
	if (state != IB_QPS_RTS &&
	    !(state == IB_QPS_SQD &&
	      (sq->seg_offset || sq->stored || (s32)(sq->sent - sq->next) > 0)))
		return REQ_STOP;
	if (sq->rnr || (sq->stopped && sq->next - sq->una >= sq->stop - sq->una))
		return REQ_STOP;
	if (pcv_qp_is_rc(qp) && !qp->peer)
		return REQ_STOP;
	if (sq->next == sq->tail)
		return REQ_STOP;
	send = pcv_sq_send(sq, sq->next);
	if (sq->next == sq->fetched) {
		status = sq_fetch(qp, sq->next);
		sq->fetched++;
		if (status) {
			local_error(qp, send, status);
			return REQ_MORE;
		}
	}
	/* Waiting begins with the first that is under way. */
	if (!pcv_sq_under_way(sq))
		sq->progress = jiffies;
	return pcv_qp_is_rc(qp) ? rc_step(qp, send) : ud_step(qp, send);
}

static void sq_drained(struct pcv_qp *qp)
{
	/* Told once: leaving SQD sets the flag anew. */
	if (READ_ONCE(qp->state) == IB_QPS_SQD && qp->attr.en_sqd_async_notify &&
	    !pcv_sq_under_way(&qp->sq) && !qp->sq.stored) {
		qp->attr.en_sqd_async_notify = 0;
		pcv_qp_event(qp, IB_EVENT_SQ_DRAINED);
	}
}

/* One turn under the lock. Return: true if there is more to do at once. */
static bool req_turn(struct pcv_qp *qp)
{
	struct pcv_sq *sq = &qp->sq;
	enum req_step step = REQ_MORE;
	bool more = false;
	int budget = REQ_BATCH;

	spin_lock_bh(&sq->lock);
	if (READ_ONCE(qp->state) == IB_QPS_RESET || !sq_look(qp))
		goto out;
	while (step == REQ_MORE && budget--)
		step = req_step(qp);
	more = step == REQ_MORE;
	pcv_sq_retire(qp);
	pcv_req_timer_set(qp);
	if (READ_ONCE(qp->state) == IB_QPS_ERR) {
		/* pcv_req_flush() has the rest, and the asking. */
		more = false;
	} else if (!more && sq->next == sq->tail) {
		/*
		 * PCV(qp_kick:B) pairs with qp_kick:A: ask for a call, look at the
		 * tail once more; the poster moves the tail, then looks whether we ask.
		 */
		pcv_qp_kick_set(qp, PCV_KICK_SEND);
		if (sq_look(qp) && sq->next != sq->tail)
			more = true;
	} else {
		pcv_qp_kick_clear(qp, PCV_KICK_SEND);
	}
	sq_drained(qp);
out:
	spin_unlock_bh(&sq->lock);
	return more;
}

void pcv_req_run(struct pcv_qp *qp)
{
	int turns = in_serving_softirq() ? REQ_TURNS_SOFTIRQ : REQ_TURNS;

	while (req_turn(qp)) {
		if (!--turns) {
			pcv_qp_run_later(qp);
			break;
		}
	}
	/* In ERR all that is posted ends at once. */
	if (READ_ONCE(qp->state) == IB_QPS_ERR)
		pcv_req_flush(qp);
}

/* --- time ------------------------------------------------------------------------- */

/* IBA vol. 1, 9.7.5.2.8: timer code to microseconds. */
static u32 rnr_usecs(u8 code)
{
	static const u32 usecs[32] = {
		655360, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 640, 960, 1280, 1920,
		2560, 3840, 5120, 7680, 10240, 15360, 20480, 30720, 40960, 61440, 81920, 122880,
		163840, 245760, 327680, 491520,
	};

	return usecs[code & 31];
}

static unsigned long ack_timeout(const struct pcv_qp *qp)
{
	/* 4.096 us * 2^timeout (IBA vol. 1, 9.7.6.1.3). */
	u64 ns = 4096ull << min_t(u8, qp->attr.timeout, 31);

	/*
	 * The channel loses nothing, so silence means a queue pair that is not
	 * there, or a peer whose CPU is busy: the latter must not look like the
	 * former, and sending again does not help it.
	 */
	return max(nsecs_to_jiffies(ns), msecs_to_jiffies(PCV_ACK_TIMEOUT_MIN_MS));
}

/* Start the timer if there is something to wait for and it does not run. */
void pcv_req_timer_set(struct pcv_qp *qp)
{
	struct pcv_sq *sq = &qp->sq;

	if (!pcv_qp_is_rc(qp) || READ_ONCE(qp->state) == IB_QPS_RESET || sq->rnr)
		return;
	if (!pcv_sq_under_way(sq) || !qp->attr.timeout || timer_pending(&sq->timer))
		return;
	sq->progress = jiffies;
	mod_timer(&sq->timer, jiffies + ack_timeout(qp));
}

void pcv_req_rnr_wait(struct pcv_qp *qp, u8 code)
{
	mod_timer(&qp->sq.timer, jiffies + usecs_to_jiffies(rnr_usecs(code)));
}

/* Begin again at the first work request that is not done. */
void pcv_req_rewind(struct pcv_qp *qp, u32 to)
{
	struct pcv_sq *sq = &qp->sq;
	u32 i;

	/* Sent in part may be answered as well. */
	if (sq->seg_offset && sq->next == sq->sent)
		sq->sent++;
	for (i = to; i != sq->next; i++) {
		struct pcv_send *send = pcv_sq_send(sq, i);

		if (!send->done && pcv_op_is_read(send->opcode))
			sq->reads--;
	}
	sq->next = to;
	sq->seg_offset = 0;
	sq->stored = 0;
}

void pcv_req_timer(struct timer_list *t)
{
	struct pcv_qp *qp = container_of(t, struct pcv_qp, sq.timer);
	struct pcv_sq *sq = &qp->sq;
	unsigned long due;

	spin_lock_bh(&sq->lock);
	if (READ_ONCE(qp->state) != IB_QPS_RTS && READ_ONCE(qp->state) != IB_QPS_SQD)
		goto out;
	if (sq->rnr) {
		sq->rnr = false;
	} else if (pcv_sq_under_way(sq)) {
		due = sq->progress + ack_timeout(qp);
		/* Sending again does not help who waits for room. */
		if (!list_empty_careful(&sq->waiter.entry))
			due = jiffies + ack_timeout(qp);
		if (time_before(jiffies, due)) {
			mod_timer(&sq->timer, due);
			goto out;
		}
		pcv_stat_inc(PCV_STAT_REQ_TIMEOUTS);
		if (!sq->retry_left) {
			pcv_req_end(qp, sq->una, PCV_WC_RETRY_EXC_ERR);
		} else {
			sq->retry_left--;
			pcv_req_rewind(qp, sq->una);
		}
	}
	spin_unlock_bh(&sq->lock);
	pcv_req_run(qp);
	return;
out:
	spin_unlock_bh(&sq->lock);
}
