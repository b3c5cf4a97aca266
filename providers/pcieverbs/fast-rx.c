// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Receiving from two rings in one order.
 *
 * A message comes through the fast ring, written by the process at the other
 * end, or through the receive ring, written by the kernel here. Each says how
 * many came before it through the other one, so at most one of the two heads
 * is the next message; if neither is, something is still on its way.
 *
 * A sender that ran out of room in the middle of a message gives all of it to
 * its kernel instead. Then both heads seem to be next, and the kernel's is;
 * what is left in the fast ring counts fewer messages before it than have come.
 *
 * Nothing in the fast ring is trusted: what cannot be breaks this queue pair.
 */
#include "provider.h"

/* Parts of messages taken in one visit. */
#define PCV_FAST_PARTS		16

enum {
	PCV_FAST_NOTHING,
	PCV_FAST_COMPLETION,
	PCV_FAST_PROGRESS,		/* without one */
};

static inline void pcv_fast_rx_next(struct pcv_qp *qp, const struct pcv_fast_msg *msg)
{
	if (pcv_unlikely(pcv_fast_next(&qp->recv.ring, msg)))
		pcv_fast_credit_give(qp);
}

/*
 * Has the block been taken away, perhaps while a message was read out of it? To be
 * asked behind the last byte and before the message counts. It has not arrived then.
 */
static inline bool pcv_fast_gone(const struct pcv_qp *qp)
{
	/*
	 * PCV(fast_gone:B) pairs with fast_gone:A
	 * Who has read from the page that took the place of the block has waited in
	 * the kernel for that, and it was said before.
	 */
	pcv_in_rmb();
	return PCV_LOAD(&qp->shared->fast) & PCV_QP_FAST_GONE;
}

/* The message at the head is complete, and so is the receive. */
static inline int pcv_fast_complete(struct pcv_qp *qp, const struct pcv_fast_msg *msg,
				    uint64_t wr_id, uint32_t status, struct ibv_wc *wc)
{
	struct pcv_fast_recv *rx = &qp->recv;

	rx->taken++;
	PCV_STORE(&qp->shared->fast_taken, rx->taken);
	pcv_wc_fill(wc, qp, wr_id, status, status);
	wc->opcode = IBV_WC_RECV;
	wc->src_qp = rx->peer_qpn;
	if (pcv_likely(!status)) {
		wc->byte_len = msg->total;
		if (msg->flags & PCV_FAST_IMM) {
			wc->wc_flags = IBV_WC_WITH_IMM;
			memcpy(&wc->imm_data, &msg->imm, sizeof(wc->imm_data));
		}
	}
	pcv_fast_rx_next(qp, msg);
	/* Who had asked to be woken has been answered. */
	if (pcv_unlikely(rx->called))
		pcv_fast_uncall(qp);
	else if (pcv_unlikely(rx->events && !rx->call))
		pcv_fast_recall(qp);
	return PCV_FAST_COMPLETION;
}

/* Return: an enum pcv_wc_status. */
static uint32_t pcv_fast_scatter(struct pcv_qp *qp, const struct pcv_fast_msg *msg,
				 const struct pcv_sge *sge, uint32_t num_sge)
{
	struct pcv_fast_recv *rx = &qp->recv;
	uint32_t skip = rx->ring.done;
	uint32_t left = msg->bytes;
	uint32_t offset = 0;
	uint64_t room = 0;
	uint32_t i, n;
	char *to;

	for (i = 0; i < num_sge; i++)
		room += sge[i].length;
	if (msg->total > room)
		return PCV_WC_LOC_LEN_ERR;

	for (i = 0; left; i++) {
		if (skip >= sge[i].length) {
			skip -= sge[i].length;
			continue;
		}
		n = left < sge[i].length - skip ? left : sge[i].length - skip;
		to = pcv_mr_cached(qp, &rx->mr, sge[i].addr, sge[i].length, sge[i].lkey,
				   IBV_ACCESS_LOCAL_WRITE);
		if (!to)
			return PCV_WC_LOC_PROT_ERR;
		pcv_fast_copy(&rx->ring, msg, to + skip, offset, n);
		skip = 0;
		offset += n;
		left -= n;
	}
	return PCV_WC_SUCCESS;
}

/*
 * The receive for the message at the head; one of a shared queue stays with
 * this queue pair until the message has ended.
 *
 * Return: how many segments, or -EAGAIN.
 */
static int pcv_fast_recv(struct pcv_qp *qp, uint32_t *wqe, struct pcv_sge *own,
			 const struct pcv_sge **sge)
{
	struct pcv_fast_recv *rx = &qp->recv;

	if (!qp->srq) {
		*sge = own;
		return pcv_recv_next(qp, wqe, own);
	}
	if (!rx->has_recv) {
		if (!pcv_srq_take(qp->srq, &rx->wqe, rx->sge))
			return -EAGAIN;
		rx->has_recv = true;
		if (pcv_unlikely(pcv_srq_low(qp->srq)))
			pcv_qp_kick(qp);
	}
	*sge = rx->sge;
	*wqe = (uint32_t)rx->wqe.wr_id;
	return (int)rx->wqe.num_sge;
}

/* How many messages the one in the receive ring says lie before it in the fast ring. */
static uint32_t pcv_fast_before(struct pcv_qp *qp, const struct pcv_ring_msg *msg)
{
	uint32_t at = msg->type == PCV_RX_PLACED ? offsetof(struct pcv_rx_placed, fast) :
						   offsetof(struct pcv_rx_data, fast);
	__le32 fast = 0;

	/* What is too short is found out later. */
	if (msg->len >= at + sizeof(fast))
		pcv_ring_copy(&qp->ring, &fast, at, sizeof(fast));
	return pcv_le32(fast);
}

static inline void pcv_fast_copies(struct pcv_qp *qp, uint32_t copies)
{
	PCV_STORE(&qp->shared->fast_open, copies | (qp->recv.has_recv ? PCV_OPEN_HOLDS : 0));
}

/*
 * A part of a message that is not complete yet is about to be copied. Has its
 * sender given the message to its kernel instead? Then the kernel here puts it
 * into the same receive. Between this and pcv_fast_copied() it does not.
 */
static bool pcv_fast_is_void(struct pcv_qp *qp)
{
	struct pcv_fast_recv *rx = &qp->recv;
	struct pcv_ring_msg msg;
	uint64_t claim;
	uint32_t claims;

	pcv_fast_copies(qp, PCV_OPEN_COPIES);
	/*
	 * PCV(fast_claim:A) pairs with fast_claim:B
	 * First it is said that we copy, then the claim is looked for; the kernel
	 * claims first and then looks whether we copy.
	 */
	pcv_cpu_mb();
	claim = PCV_LOAD(&qp->shared->fast_claim);
	claims = (uint32_t)(claim >> 32) - rx->kernel;
	if (claims == 1)
		return (uint32_t)claim == rx->taken;
	/* The first of several is in the receive ring already. */
	return claims && pcv_ring_get(&qp->ring, &msg) > 0 &&
	       pcv_fast_before(qp, &msg) == rx->taken;
}

/*
 * What had begun is void. A receive of a shared queue that was taken for it
 * goes back there: the message that came instead may be waiting for one.
 */
static void pcv_fast_void(struct pcv_qp *qp)
{
	qp->recv.ring.open = 0;
	if (!qp->recv.has_recv || !pcv_srq_give_back(qp->srq, &qp->recv.wqe, qp->recv.sge))
		return;
	qp->recv.has_recv = false;
	pcv_fast_copies(qp, 0);
}

static void pcv_fast_copied(struct pcv_qp *qp)
{
	/*
	 * PCV(qp_kick:A) pairs with qp_kick:B
	 * No longer copying, then a look whether the kernel waits for that.
	 */
	pcv_cpu_store_release(&qp->shared->fast_open, qp->recv.has_recv ? PCV_OPEN_HOLDS : 0);
	pcv_cpu_mb();
	if (pcv_unlikely(PCV_LOAD(&qp->shared->kick) & PCV_KICK_RECV))
		pcv_qp_kick(qp);
}

/* Any message or part of one whose turn it is. */
static int pcv_fast_part(struct pcv_qp *qp, const struct pcv_fast_msg *msg, struct ibv_wc *wc,
			 enum pcv_break *why)
{
	struct pcv_fast_recv *rx = &qp->recv;
	struct pcv_sge own[PCV_MAX_SGE];
	const struct pcv_sge *sge;
	uint32_t wqe, status;
	bool kick = false, whole;
	uint64_t wr_id;
	int num_sge, ret;

	whole = msg->flags & PCV_FAST_FIRST && msg->flags & PCV_FAST_LAST;
	if (!whole && pcv_fast_is_void(qp)) {
		pcv_fast_copied(qp);
		/* It has no end here; more parts of it may follow. */
		if (msg->flags & PCV_FAST_LAST)
			return -EPROTO;
		/* So are the parts behind it, which do not begin anything. */
		pcv_fast_void(qp);
		pcv_fast_rx_next(qp, msg);
		return PCV_FAST_PROGRESS;
	}
	num_sge = pcv_fast_recv(qp, &wqe, own, &sge);
	if (num_sge < 0) {
		pcv_fast_copies(qp, 0);
		return num_sge;
	}
	ret = pcv_fast_begin(&rx->ring, msg);
	if (ret) {
		pcv_fast_copies(qp, 0);
		return ret;
	}
	status = pcv_fast_scatter(qp, msg, sge, (uint32_t)num_sge);
	if (!whole)
		pcv_fast_copied(qp);
	if (pcv_unlikely(pcv_fast_gone(qp)))
		return PCV_FAST_NOTHING;
	if (!status && !(msg->flags & PCV_FAST_LAST)) {
		pcv_fast_rx_next(qp, msg);
		return PCV_FAST_PROGRESS;
	}
	rx->has_recv = false;
	if (pcv_unlikely(PCV_LOAD(&qp->shared->fast_open)))
		pcv_fast_copies(qp, 0);
	if (qp->srq)
		kick = true;
	ret = pcv_recv_end(qp, wqe, status ? 0 : msg->total, &wr_id, why);
	if (ret < 0)
		return ret;
	pcv_fast_complete(qp, msg, wr_id, status, wc);
	/* The kernel may hold a message back until those in front of it have receives. */
	if (kick && pcv_unlikely(PCV_LOAD(&qp->shared->kick) & PCV_KICK_RECV))
		pcv_qp_kick(qp);
	if (status) {
		rx->ring.open = 0;
		qp->rx_stopped = true;
		pcv_qp_to_error(qp);
	}
	return PCV_FAST_COMPLETION;
}

/* Whatever is not a message of one line into a receive of one segment; as pcv_fast_take(). */
static __attribute__((__noinline__)) int pcv_fast_take_other(struct pcv_qp *qp, struct ibv_wc *wc,
							      enum pcv_break *why)
{
	struct pcv_fast_recv *rx = &qp->recv;
	struct pcv_fast_msg msg;
	int16_t ahead;
	int ret;

	ret = pcv_fast_get(&rx->ring, &msg);
	if (ret <= 0)
		return ret;
	ahead = (int16_t)(msg.order - (uint16_t)rx->kernel);
	if (!ahead)
		return pcv_fast_part(qp, &msg, wc, why);
	if (ahead > 0)
		return PCV_FAST_NOTHING;
	/* A part of what went another way in the end. */
	if (msg.flags & PCV_FAST_LAST)
		return -EPROTO;
	pcv_fast_rx_next(qp, &msg);
	return PCV_FAST_PROGRESS;
}

/* The head of the fast ring. Return: PCV_FAST_..., -EAGAIN, or -EPROTO with *@why. */
static inline int pcv_fast_take(struct pcv_qp *qp, struct ibv_wc *wc, enum pcv_break *why)
{
	struct pcv_fast_recv *rx = &qp->recv;
	struct pcv_rq *rq = &qp->rq;
	const struct pcv_rq_slot *slot;
	const struct pcv_rwqe *wqe;
	const struct pcv_sge *sge;
	struct pcv_fast_msg msg;
	uint32_t head, index;
	uint64_t wr_id;
	uint8_t *to;
	int ret;

	*why = PCV_BREAK_FAST;
	ret = pcv_fast_get_line(&rx->ring, &msg);
	if (!ret || ret == -EPROTO)
		return ret;
	if (pcv_unlikely(ret < 0 || msg.order != (uint16_t)rx->kernel || qp->srq))
		return pcv_fast_take_other(qp, wc, why);

	head = rq->head;
	/*
	 * PCV(qp_rq_tail:B) pairs with qp_rq_tail:A
	 * The slot was written before it was counted.
	 */
	if (pcv_unlikely(head == pcv_cpu_load_acquire(&rq->tail)))
		return -EAGAIN;
	index = head & (rq->count - 1);
	slot = &rq->slot[index];
	wqe = (const void *)(rq->queue + (size_t)index * rq->stride);
	sge = (const struct pcv_sge *)(wqe + 1);
	if (pcv_unlikely(wqe->num_sge != 1 || msg.bytes > slot->bytes))
		return pcv_fast_take_other(qp, wc, why);
	if (msg.bytes) {
		to = pcv_mr_cached(qp, &rx->mr, sge->addr, msg.bytes, sge->lkey,
				   IBV_ACCESS_LOCAL_WRITE);
		if (pcv_unlikely(!to))
			return pcv_fast_take_other(qp, wc, why);
		pcv_fast_copy_line(to, rx->ring.line[rx->ring.head & PCV_FAST_LINE_MASK].payload +
				   PCV_FAST_HEAD_BYTES, msg.bytes);
	}
	if (pcv_unlikely(pcv_fast_gone(qp)))
		return PCV_FAST_NOTHING;
	rx->ring.open = 0;
	wr_id = slot->wr_id;
	/*
	 * PCV(qp_rq_room:A) pairs with qp_rq_room:B
	 * The slot has been read before it is given back.
	 */
	pcv_cpu_store_release(&rq->head, head + 1);
	return pcv_fast_complete(qp, &msg, wr_id, PCV_WC_SUCCESS, wc);
}

static int pcv_fast_flush_one(struct pcv_qp *qp, struct ibv_wc *wc)
{
	struct pcv_rq *rq = &qp->rq;
	uint64_t wr_id;

	if (qp->srq) {
		if (!qp->recv.has_recv)
			return PCV_FAST_NOTHING;
		qp->recv.has_recv = false;
		if (pcv_srq_complete(qp->srq, (uint32_t)qp->recv.wqe.wr_id, 0, &wr_id))
			return PCV_FAST_PROGRESS;
	} else {
		/*
		 * PCV(qp_rq_tail:B) pairs with qp_rq_tail:A
		 * The slot was written before it was counted.
		 */
		if (rq->head == pcv_cpu_load_acquire(&rq->tail))
			return PCV_FAST_NOTHING;
		wr_id = rq->slot[rq->head & (rq->count - 1)].wr_id;
		/*
		 * PCV(qp_rq_room:A) pairs with qp_rq_room:B
		 * The slot has been read before it is given back.
		 */
		pcv_cpu_store_release(&rq->head, rq->head + 1);
	}
	pcv_wc_fill(wc, qp, wr_id, PCV_WC_WR_FLUSH_ERR, PCV_WC_WR_FLUSH_ERR);
	wc->opcode = IBV_WC_RECV;
	return PCV_FAST_COMPLETION;
}

/*
 * A message whose parts could not be copied has ended its receive with an error.
 * Its sender may have given it to its kernel meanwhile, and the one here puts it
 * into that same receive, or says that it could not.
 */
static bool pcv_fast_has_ended(struct pcv_qp *qp, const struct pcv_ring_msg *msg)
{
	__le32 wqe;

	if (!qp->rx_stopped || qp->srq || msg->type != PCV_RX_PLACED || msg->len < sizeof(wqe))
		return false;
	pcv_ring_copy(&qp->ring, &wqe, 0, sizeof(wqe));
	return (int32_t)(pcv_le32(wqe) - qp->rq.head) < 0;
}

/*
 * The head of the receive ring. With @flush it is taken whatever it says, after
 * the receives that were posted before its own.
 */
static int pcv_fast_kernel(struct pcv_qp *qp, struct ibv_wc *wc, bool flush, enum pcv_break *why)
{
	struct pcv_fast_recv *rx = &qp->recv;
	struct pcv_ring_msg msg;
	__le32 wqe;
	int ret;

	*why = PCV_BREAK_RING;
	ret = pcv_ring_get(&qp->ring, &msg);
	if (ret <= 0)
		return ret;
	if (pcv_fast_before(qp, &msg) != rx->taken) {
		if (!flush)
			return PCV_FAST_NOTHING;
		rx->flushing = true;
		if (!qp->srq && msg.type == PCV_RX_PLACED && msg.len >= sizeof(wqe)) {
			pcv_ring_copy(&qp->ring, &wqe, 0, sizeof(wqe));
			if ((int32_t)(pcv_le32(wqe) - qp->rq.head) > 0 &&
			    pcv_fast_flush_one(qp, wc) == PCV_FAST_COMPLETION)
				return PCV_FAST_COMPLETION;
		}
	}
	if (pcv_unlikely(pcv_fast_has_ended(qp, &msg)))
		ret = 0;
	else
		ret = pcv_rx_entry(qp, &msg, wc, why);
	if (ret < 0)
		return ret;
	/* What arrived behind something that was lost has not arrived. */
	if (ret && rx->flushing && wc->status == IBV_WC_SUCCESS) {
		wc->status = IBV_WC_WR_FLUSH_ERR;
		wc->vendor_err = PCV_WC_WR_FLUSH_ERR;
	}
	pcv_fast_void(qp);
	pcv_rx_next(qp, &msg);
	rx->kernel++;
	return ret ? PCV_FAST_COMPLETION : PCV_FAST_PROGRESS;
}

/* Nothing is next: unless this is the end, that is all. */
static int pcv_fast_flush(struct pcv_qp *qp, struct ibv_wc *wc, enum pcv_break *why)
{
	int ret;

	/*
	 * PCV(qp_fast:B) pairs with qp_fast:A
	 * The kernel put its last entry into the ring before it said so.
	 */
	if (pcv_likely(!(pcv_cpu_load_acquire(&qp->shared->fast) & PCV_QP_FAST_FLUSH)))
		return PCV_FAST_NOTHING;
	ret = pcv_fast_kernel(qp, wc, true, why);
	if (ret)
		return ret;
	qp->recv.flushing = true;
	return pcv_fast_flush_one(qp, wc);
}

/*
 * What an event would be for: the message at the head, which found no receive, and
 * perhaps others behind it. Where that is not known, or a long one is solicited only
 * in its last part, it is for whoever waits.
 */
static uint32_t pcv_fast_owed(const struct pcv_qp *qp)
{
	const struct pcv_fast_rx *ring = &qp->recv.ring;
	const struct pcv_line *next;
	struct pcv_fast_msg msg;

	if (pcv_fast_get(ring, &msg) <= 0 || !(msg.flags & PCV_FAST_LAST) ||
	    msg.flags & PCV_FAST_SOLICITED)
		return PCV_STARVED | PCV_STARVED_SOLICITED;
	next = &ring->line[(ring->head + msg.lines) & PCV_FAST_LINE_MASK];
	if ((uint32_t)pcv_le64(pcv_in_load(&next->tail)) == ring->seq + msg.lines)
		return PCV_STARVED | PCV_STARVED_SOLICITED;
	return PCV_STARVED;
}

/*
 * The next message has come, and there is no receive for it. Its event has been
 * raised or not: whoever posts a receive owes another one.
 *
 * Return: whether to look once more.
 */
static bool pcv_fast_starve(struct pcv_qp *qp)
{
	uint32_t owed;

	/* Nobody has ever slept here. Who will arms first, and polls then. */
	if (!PCV_LOAD(&pcv_cq(qp->vqp.qp.recv_cq)->was_armed))
		return false;
	owed = pcv_fast_owed(qp);
	/* What the poster has cleared is said again: another queue pair may have been faster. */
	if ((PCV_LOAD(&qp->rq.starved) & owed) == owed && (!qp->srq || PCV_LOAD(&qp->srq->starved)))
		return false;
	PCV_STORE(&qp->rq.starved, owed);
	if (qp->srq)
		PCV_STORE(&qp->srq->starved, 1);
	/*
	 * PCV(recv_starved:A) pairs with recv_starved:B
	 * It is said first, then receives are looked for; who posts one counts it
	 * first and then looks whether it was missing.
	 */
	pcv_cpu_mb();
	return true;
}

bool pcv_fast_feed(struct pcv_qp *qp)
{
	uint32_t starved = PCV_LOAD(&qp->rq.starved);
	uint32_t armed, call;

	if (!starved)
		return false;
	starved = pcv_word_clear(&qp->rq.starved);
	armed = PCV_LOAD(&pcv_cq(qp->vqp.qp.recv_cq)->shared->armed);
	if (!starved ||
	    armed < (starved & PCV_STARVED_SOLICITED ? PCV_CQ_ARMED_SOLICITED : PCV_CQ_ARMED_ANY))
		return false;
	call = (qp->shared->starved & ~1u) + 2;
	PCV_STORE(&qp->shared->starved, call | !!(starved & PCV_STARVED_SOLICITED));
	return true;
}

int pcv_fast_rx_poll(struct pcv_qp *qp, int n, struct ibv_wc *wc, bool *stuck)
{
	struct pcv_fast_recv *rx = &qp->recv;
	enum pcv_break why = PCV_BREAK_NONE;
	int parts = 0;
	int got = 0;
	int ret = 0;

	/* A message that has begun and does not go on: does the kernel have it? */
	if (pcv_unlikely(rx->has_recv)) {
		if (pcv_fast_is_void(qp))
			pcv_fast_void(qp);
		pcv_fast_copies(qp, 0);
	}
	while (got < n) {
		ret = PCV_FAST_NOTHING;
		if (pcv_likely(!rx->flushing && !qp->rx_stopped))
			ret = pcv_fast_take(qp, wc + got, &why);
		if (pcv_likely(ret == PCV_FAST_COMPLETION)) {
			got++;
			continue;
		}
		if (pcv_unlikely(ret == -EPROTO && pcv_fast_gone(qp)))
			ret = PCV_FAST_NOTHING;
		if (!ret)
			ret = pcv_fast_kernel(qp, wc + got, false, &why);
		if (!ret)
			ret = pcv_fast_flush(qp, wc + got, &why);
		if (!ret && pcv_rx_idle(qp))
			continue;
		if (ret == PCV_FAST_COMPLETION)
			got++;
		else if (pcv_unlikely(ret == -EAGAIN) && pcv_fast_starve(qp))
			continue;
		else if (ret != PCV_FAST_PROGRESS || ++parts > PCV_FAST_PARTS)
			break;
	}
	if (pcv_unlikely(!PCV_LOAD(&rx->limit)))
		pcv_fast_greet(qp);
	/* What was not looked at may starve like the one in front of it. */
	if (pcv_unlikely(PCV_LOAD(&qp->rq.starved)) && ret != -EAGAIN &&
	    !(got == n && pcv_fast_ready(&rx->ring)))
		PCV_STORE(&qp->rq.starved, 0);
	if (ret == -EAGAIN || ret == PCV_FAST_PROGRESS)
		*stuck = true;
	else if (pcv_unlikely(ret < 0))
		pcv_qp_break(qp, why);
	return got;
}
