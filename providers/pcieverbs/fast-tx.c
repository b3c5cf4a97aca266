// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Sending without the kernel.
 *
 * A process may write to the peer's block only while everything that it gave
 * to its kernel has ended: one producer at a time. What does not fit now goes
 * to the kernel, and then everything behind it, until that is through. Each
 * side counts the other's messages, so the consumer finds their order.
 */
#include "provider.h"

/*
 * How often a consumer that does not move is looked at again: some 20
 * microseconds, with a pause of 40 to 140 cycles each time.
 */
#define PCV_FAST_PATIENCE	600

/*
 * Work requests in a row that the kernel got only because it was busy with
 * others; how long a kernel that does not move is waited for, a few
 * milliseconds; and how many go by before the next try.
 */
#define PCV_FAST_QUEUED		16
#define PCV_FAST_DRAIN		60000
#define PCV_FAST_BACKOFF	1024

/* Longer for each page of a request, up to so many: the kernel's are as long. */
#define PCV_FAST_DRAIN_PAGE	5000
#define PCV_FAST_DRAIN_PAGES	256u

/* Longer messages are the kernel's: the caller is not kept that long. */
#define PCV_FAST_MESSAGE_MAX	(16u << 20)

#define PCV_FAST_WHOLE		(PCV_FAST_FIRST | PCV_FAST_LAST)

static void pcv_fast_tx_start(struct pcv_qp *qp)
{
	/*
	 * PCV(qp_fast:B) pairs with qp_fast:A
	 * The number of the first line was stored before the bit.
	 */
	uint32_t fast = pcv_cpu_load_acquire(&qp->shared->fast);

	pcv_fast_tx_init(&qp->send.ring, qp->fast_peer.base, PCV_LOAD(&qp->shared->fast_tx_seq),
			 fast & PCV_QP_FAST_WC);
	qp->send.on = true;
}

/* Return: whether the credit has moved. */
static bool pcv_fast_look(struct pcv_qp *qp, unsigned int *todo)
{
	int ret = pcv_fast_credit(&qp->send.ring, pcv_le32(PCV_LOAD(&qp->send.ctl->credit)));

	if (pcv_unlikely(ret < 0)) {
		qp->send.bad = true;
		*todo |= PCV_FAST_BREAK;
	}
	return ret > 0;
}

/*
 * Is there room for so many lines, or for a chunk? A consumer that moves is
 * waited for; one that does not is given a chance once.
 */
static uint32_t pcv_fast_wait(struct pcv_qp *qp, uint32_t lines, uint32_t chunk,
			      unsigned int *todo)
{
	struct pcv_fast_send *tx = &qp->send;
	int patience = 0;
	uint32_t room;

	do {
		if (pcv_fast_look(qp, todo)) {
			room = chunk ? pcv_fast_chunk_room(&tx->ring, chunk) :
				       pcv_fast_room(&tx->ring) >= lines;
			if (room)
				return room;
			patience = 0;
		} else if (tx->bad || (tx->stalled && tx->stalled_at == tx->ring.credit) ||
			   !(PCV_LOAD(&qp->shared->fast) & PCV_QP_FAST_TX)) {
			return 0;
		}
		pcv_cpu_relax();
	} while (patience++ < PCV_FAST_PATIENCE);
	tx->stalled = true;
	tx->stalled_at = tx->ring.credit;
	return 0;
}

void pcv_fast_record(struct pcv_qp *qp, const struct ibv_send_wr *wr, uint32_t bytes,
		     enum ibv_wc_opcode wc_opcode, unsigned int *todo)
{
	struct pcv_fast_send *tx = &qp->send;
	struct pcv_record *record = &tx->record[tx->done & (qp->sq.count - 1)];

	record->wr_id = wr->wr_id;
	record->byte_len = bytes;
	record->after = qp->sq.tail;
	record->wc_opcode = wc_opcode;
	/*
	 * PCV(send_done:A) pairs with send_done:B
	 * The record is written before it is counted.
	 */
	pcv_cpu_store_release(&tx->done, tx->done + 1);
	/*
	 * PCV(send_hot:A) pairs with send_hot:B
	 * Counted first, then a look whether the queue pair is looked at.
	 */
	if (pcv_unlikely(!__libc_single_threaded))
		pcv_cpu_mb();
	if (pcv_unlikely(!PCV_LOAD(&qp->link[0].hot)))
		*todo |= PCV_FAST_HINT;
	/*
	 * PCV(cq_armed:B) pairs with cq_armed:A
	 * As the kernel does it. A program of one thread does not sleep meanwhile.
	 */
	if (pcv_unlikely(PCV_LOAD(&pcv_cq(qp->vqp.qp.send_cq)->shared->armed) == PCV_CQ_ARMED_ANY))
		*todo |= PCV_FAST_SELF;
}

/* Is the end of this one reported, and is there room for that? */
static inline bool pcv_fast_signaled(const struct pcv_qp *qp, const struct ibv_send_wr *wr)
{
	return qp->sq.sig_all || wr->send_flags & IBV_SEND_SIGNALED;
}

static inline bool pcv_fast_records_full(const struct pcv_qp *qp)
{
	/*
	 * PCV(send_room:B) pairs with send_room:A
	 * Who polled a record has read it before it is written again.
	 */
	return qp->send.done - pcv_cpu_load_acquire(&qp->send.polled) >= qp->sq.count;
}

/* The message is on its way. */
static inline void pcv_fast_sent(struct pcv_qp *qp, const struct ibv_send_wr *wr, uint32_t bytes,
				 unsigned int *todo)
{
	struct pcv_fast_send *tx = &qp->send;
	bool solicited;
	uint32_t call;

	tx->sent++;
	PCV_STORE(&qp->shared->fast_sent, tx->sent);
	if (pcv_fast_signaled(qp, wr))
		pcv_fast_record(qp, wr, bytes, IBV_WC_SEND, todo);
	/*
	 * PCV(fast_events:B) pairs with fast_events:A
	 * Looked at behind the stores of the message: the kernel sets the bit and
	 * then interrupts every processor, so one that comes too late for this
	 * look finds the message stored.
	 */
	pcv_compiler_barrier();
	if (pcv_likely(!(PCV_LOAD(&qp->shared->fast) & PCV_QP_FAST_FENCE)))
		return;
	/*
	 * PCV(fast_call:A) pairs with fast_call:B
	 * The message first, then a look whether the consumer asks to be woken;
	 * it asks first and then looks for messages.
	 */
	pcv_out_mb();
	call = pcv_le32(PCV_LOAD(&tx->ctl->call));
	solicited = wr->send_flags & IBV_SEND_SOLICITED;
	/* 0: there was no call yet, so every message may be waited for. */
	if (call && (call == tx->answered || (call & 1 && !solicited)))
		return;
	tx->answered = call;
	if (solicited)
		PCV_STORE(&qp->shared->wake_solicited, qp->shared->wake_solicited + 1);
	else
		PCV_STORE(&qp->shared->wake, qp->shared->wake + 1);
	*todo |= PCV_FAST_KICK;
}

/* Return: whether the message was sent; a part of it is as good as nothing. */
static bool pcv_fast_chunks(struct pcv_qp *qp, uint8_t flags, uint64_t head,
			    const struct pcv_ring_vec *vec, uint32_t bytes, unsigned int *todo)
{
	uint8_t first = PCV_FAST_FIRST;
	uint32_t done = 0;
	uint32_t n;

	while (done < bytes) {
		n = pcv_fast_chunk_room(&qp->send.ring, bytes - done);
		if (!n)
			n = pcv_fast_wait(qp, 1, bytes - done, todo);
		if (!n)
			return false;
		if (done + n == bytes)
			first |= flags | PCV_FAST_LAST;
		pcv_fast_put_chunk(&qp->send.ring, first | (flags & PCV_FAST_IMM), head, vec, done,
				   n, bytes);
		first = 0;
		done += n;
	}
	return true;
}

/* Whatever is not one segment that fits a line. Return: whether it was sent. */
static bool pcv_fast_send_long(struct pcv_qp *qp, const struct ibv_send_wr *wr, uint8_t flags,
			       uint64_t head, unsigned int *todo)
{
	bool inl = wr->send_flags & IBV_SEND_INLINE;
	struct pcv_fast_tx *ring = &qp->send.ring;
	struct pcv_ring_vec vec[PCV_MAX_SGE];
	const struct ibv_sge *sge;
	uint64_t bytes = 0;
	uint32_t lines;
	int i;

	if (wr->num_sge < 0 || (uint32_t)wr->num_sge > qp->sq.max_sge || wr->num_sge > PCV_MAX_SGE)
		return false;
	for (i = 0; i < wr->num_sge; i++) {
		sge = &wr->sg_list[i];
		bytes += sge->length;
		vec[i].base = (const void *)(uintptr_t)sge->addr;
		vec[i].len = sge->length;
		if (sge->length && !inl)
			vec[i].base = pcv_mr_cached(qp, &qp->send.mr, sge->addr, sge->length,
						    sge->lkey, 0);
		if (sge->length && !vec[i].base)
			return false;
	}
	/* What must not be posted at all is refused elsewhere. */
	if (bytes > PCV_FAST_MESSAGE_MAX || (inl && bytes > qp->sq.max_inline) ||
	    bytes >= pcv_le32(PCV_LOAD(&qp->send.ctl->limit)) ||
	    (pcv_fast_signaled(qp, wr) && pcv_fast_records_full(qp)))
		return false;

	if (bytes <= PCV_FAST_LINES_DATA) {
		lines = pcv_ring_lines(PCV_FAST_HEAD_BYTES + (uint32_t)bytes);
		if (pcv_fast_room(ring) < lines && !pcv_fast_wait(qp, lines, 0, todo))
			return false;
		pcv_fast_put_lines(ring, flags | PCV_FAST_WHOLE, head, vec,
				   (unsigned int)wr->num_sge, (uint32_t)bytes);
	} else if (!pcv_fast_chunks(qp, flags, head, vec, (uint32_t)bytes, todo)) {
		return false;
	}
	pcv_fast_sent(qp, wr, (uint32_t)bytes, todo);
	return true;
}

static inline bool pcv_fast_send_one(struct pcv_qp *qp, const struct ibv_send_wr *wr,
				     unsigned int *todo)
{
	struct pcv_fast_send *tx = &qp->send;
	const struct ibv_sge *sge;
	uint8_t flags = 0;
	const void *from;
	__le32 imm = 0;
	uint64_t head;

	if (wr->opcode == IBV_WR_SEND_WITH_IMM) {
		flags = PCV_FAST_IMM;
		memcpy(&imm, &wr->imm_data, sizeof(imm));
	} else if (pcv_unlikely(wr->opcode != IBV_WR_SEND)) {
		return wr->opcode == IBV_WR_RDMA_WRITE && pcv_direct_write(qp, wr, todo);
	}
	if (wr->send_flags & IBV_SEND_SOLICITED)
		flags |= PCV_FAST_SOLICITED;
	head = pcv_fast_head_word(imm, (uint16_t)tx->kernel);
	sge = wr->sg_list;
	if (pcv_unlikely(wr->num_sge != 1 || sge->length > PCV_FAST_LINE_DATA ||
			 !qp->sq.max_sge))
		return pcv_fast_send_long(qp, wr, flags, head, todo);

	from = (const void *)(uintptr_t)sge->addr;
	if (wr->send_flags & IBV_SEND_INLINE) {
		if (sge->length > qp->sq.max_inline)
			return false;
	} else if (sge->length) {
		from = pcv_mr_cached(qp, &tx->mr, sge->addr, sge->length, sge->lkey, 0);
		if (!from)
			return false;
	}
	if (sge->length >= pcv_le32(PCV_LOAD(&tx->ctl->limit)) ||
	    (pcv_fast_signaled(qp, wr) && pcv_fast_records_full(qp)))
		return false;
	if (pcv_unlikely(!pcv_fast_room(&tx->ring)) && !pcv_fast_wait(qp, 1, 0, todo))
		return false;
	pcv_fast_put_line(&tx->ring, flags | PCV_FAST_WHOLE, head, from, sge->length);
	pcv_fast_sent(qp, wr, sge->length, todo);
	return true;
}

/* How long a kernel that does not move is waited for. Nothing of the request was checked yet. */
static int pcv_fast_drain_patience(const struct ibv_send_wr *wr)
{
	uint64_t pages = 0;
	int i;

	for (i = 0; i < wr->num_sge && i < PCV_MAX_SGE; i++)
		pages += wr->sg_list[i].length;
	pages /= 4096;
	if (pages > PCV_FAST_DRAIN_PAGES)
		pages = PCV_FAST_DRAIN_PAGES;
	return PCV_FAST_DRAIN + (int)pages * PCV_FAST_DRAIN_PAGE;
}

/*
 * The kernel still has work requests of this queue pair. Whoever keeps posting
 * would keep it busy for ever, so after some that could have gone fast the next
 * one waits until the kernel is through.
 *
 * Return: whether it is.
 */
static bool pcv_fast_drain(struct pcv_qp *qp, const struct ibv_send_wr *wr, unsigned int *todo)
{
	struct pcv_fast_send *tx = &qp->send;
	uint32_t done = PCV_LOAD(&qp->shared->sq_done);
	int patience, most;
	uint32_t now;

	if (wr->opcode == IBV_WR_RDMA_WRITE) {
		if (!pcv_direct_probe(qp, wr, todo))
			return false;
	} else if ((wr->opcode != IBV_WR_SEND && wr->opcode != IBV_WR_SEND_WITH_IMM) ||
		   (wr->num_sge == 1 &&
		    wr->sg_list->length >= pcv_le32(PCV_LOAD(&tx->ctl->limit)))) {
		return false;
	}
	if (++tx->queued < PCV_FAST_QUEUED || *todo)
		return false;
	most = pcv_fast_drain_patience(wr);
	for (patience = 0; patience < most; patience++) {
		/* PCV(qp_sq_done:B) pairs with qp_sq_done:A: as in pcv_fast_post(). */
		now = pcv_cpu_load_acquire(&qp->shared->sq_done);
		if (now == qp->sq.tail) {
			tx->queued = 0;
			return true;
		}
		if (!(PCV_LOAD(&qp->shared->fast) & PCV_QP_FAST_TX))
			break;
		if (now != done) {
			done = now;
			patience = 0;
		}
		pcv_cpu_relax();
	}
	tx->queued = -PCV_FAST_BACKOFF;
	return false;
}

struct ibv_send_wr *pcv_fast_post(struct pcv_qp *qp, struct ibv_send_wr *wr, unsigned int *todo)
{
	uint32_t fast, done;

	for (; wr; wr = wr->next) {
		if (!(PCV_LOAD(&qp->shared->fast) & PCV_QP_FAST_TX))
			break;
		/*
		 * PCV(qp_sq_done:B) pairs with qp_sq_done:A
		 * A failure closes the ring and then ends what the kernel has: who
		 * finds all of it ended looks once more whether the ring is open.
		 */
		done = pcv_cpu_load_acquire(&qp->shared->sq_done);
		if (pcv_unlikely(done != qp->sq.tail) && !pcv_fast_drain(qp, wr, todo))
			break;
		/* It goes when it wants to: looked at for every message. */
		fast = PCV_LOAD(&qp->shared->fast);
		if (!(fast & PCV_QP_FAST_TX) || qp->health != PCV_QP_SOUND || qp->send.bad)
			break;
		if (pcv_unlikely(!qp->send.on))
			pcv_fast_tx_start(qp);
		if (!pcv_fast_send_one(qp, wr, todo))
			break;
	}
	return wr;
}

void pcv_fast_todo(struct pcv_qp *qp, unsigned int todo)
{
	struct pcv_cq *cq = pcv_cq(qp->vqp.qp.send_cq);

	if (todo & PCV_FAST_HINT) {
		pcv_cq_hint(cq, qp);
		/*
		 * PCV(cq_armed:B) pairs with cq_armed:A
		 * For who polls the hint is the completion: the look that followed the
		 * record itself was too early.
		 */
		pcv_cpu_mb();
		if (PCV_LOAD(&cq->shared->armed) == PCV_CQ_ARMED_ANY)
			todo |= PCV_FAST_SELF;
	}
	if (todo & PCV_FAST_SELF) {
		pcv_word_count(&qp->shared->self);
		todo |= PCV_FAST_KICK;
	}
	if (todo & PCV_FAST_BREAK)
		pcv_qp_break(qp, PCV_BREAK_FAST_CREDIT);
	else if (todo & PCV_FAST_KICK)
		pcv_qp_kick(qp);
}

/* --- how they ended --- */

static void pcv_fast_report(struct pcv_qp *qp, struct ibv_wc *wc)
{
	struct pcv_fast_send *tx = &qp->send;
	const struct pcv_record *record = &tx->record[tx->polled & (qp->sq.count - 1)];

	pcv_wc_fill(wc, qp, record->wr_id, PCV_WC_SUCCESS, 0);
	wc->opcode = (enum ibv_wc_opcode)record->wc_opcode;
	wc->byte_len = record->byte_len;
	/*
	 * PCV(send_room:A) pairs with send_room:B
	 * The record has been read before it is given back.
	 */
	pcv_cpu_store_release(&tx->polled, tx->polled + 1);
}

int pcv_fast_sq_drain(struct pcv_qp *qp, int n, struct ibv_wc *wc)
{
	int got = 0;

	/*
	 * PCV(send_done:B) pairs with send_done:A
	 * The record was written before it was counted.
	 */
	while (got < n && qp->send.polled != pcv_cpu_load_acquire(&qp->send.done))
		pcv_fast_report(qp, wc + got++);
	return got;
}

int pcv_fast_sq_poll(struct pcv_qp *qp, int n, struct ibv_wc *wc)
{
	struct pcv_fast_send *tx = &qp->send;
	uint32_t done, after;
	int got = 0;

	/*
	 * PCV(qp_sq_done:B) pairs with qp_sq_done:A
	 * The kernel wrote how they ended before it counted them. And what the
	 * process had completed before it posted those is seen below.
	 */
	done = pcv_cpu_load_acquire(&qp->shared->sq_done);
	while (got < n) {
		/*
		 * PCV(send_done:B) pairs with send_done:A
		 * The record was written before it was counted.
		 */
		if (tx->polled == pcv_cpu_load_acquire(&tx->done))
			return got + pcv_sq_poll(qp, n - got, wc + got, done);
		after = tx->record[tx->polled & (qp->sq.count - 1)].after;
		if (qp->sq.head == after) {
			pcv_fast_report(qp, wc + got++);
			continue;
		}
		/* Those before it had all ended by then. */
		if ((int32_t)(done - after) < 0)
			done = pcv_cpu_load_acquire(&qp->shared->sq_done);
		got += pcv_sq_poll(qp, n - got, wc + got, after);
		if (qp->sq.head != after)
			break;
	}
	return got;
}
