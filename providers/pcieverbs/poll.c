// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Polling: from the ends of work requests to work completions. */
#include "provider.h"

/*
 * Who polls for what comes through the kernel asks it, each so many polls in vain, and
 * so often after the last time that something came: then doorbells are cheaper.
 */
#define PCV_ASK_POLLS		16
#define PCV_ASKS		64

_Static_assert((int)IBV_WC_WR_FLUSH_ERR == PCV_WC_WR_FLUSH_ERR &&
	       (int)IBV_WC_RNR_RETRY_EXC_ERR == PCV_WC_RNR_RETRY_EXC_ERR &&
	       (int)IBV_WC_GENERAL_ERR == PCV_WC_GENERAL_ERR, "one numbering of statuses");

int pcv_sq_poll(struct pcv_qp *qp, int n, struct ibv_wc *wc, uint32_t done)
{
	struct pcv_sq *sq = &qp->sq;
	struct pcv_sq_slot *slot;
	struct pcv_scqe *end;
	uint32_t head = sq->head;
	uint32_t status;
	int got = 0;

	if (done == head)
		return 0;
	if (done - head > PCV_LOAD(&sq->tail) - head) {
		pcv_qp_break(qp, PCV_BREAK_SEND_COUNT);
		return 0;
	}

	while (head != done && got < n) {
		slot = &sq->slot[head & (sq->count - 1)];
		end = &sq->done[head & (sq->count - 1)];
		status = PCV_LOAD(&end->status);
		if (status > PCV_WC_GENERAL_ERR) {
			pcv_qp_break(qp, PCV_BREAK_SEND_STATUS);
			break;
		}
		head++;
		if (status == PCV_WC_SUCCESS && !slot->signaled)
			continue;
		pcv_wc_fill(wc, qp, slot->wr_id, status, status);
		wc->opcode = (enum ibv_wc_opcode)slot->wc_opcode;
		wc->byte_len = PCV_LOAD(&end->byte_len);
		wc++;
		got++;
	}
	/*
	 * PCV(qp_sq_room:A) pairs with qp_sq_room:B
	 * The slots have been read before they are given back.
	 */
	pcv_cpu_store_release(&sq->head, head);
	return got;
}

static int pcv_sq_poll_all(struct pcv_qp *qp, int n, struct ibv_wc *wc)
{
	if (qp->send.record)
		return pcv_fast_sq_poll(qp, n, wc);
	/*
	 * PCV(qp_sq_done:B) pairs with qp_sq_done:A
	 * The kernel wrote how they ended before it counted them.
	 */
	return pcv_sq_poll(qp, n, wc, pcv_cpu_load_acquire(&qp->shared->sq_done));
}

/* A broken queue pair's sends end here, not in the kernel. */
static int pcv_sq_abandon(struct pcv_qp *qp, int n, struct ibv_wc *wc)
{
	struct pcv_sq *sq = &qp->sq;
	struct pcv_sq_slot *slot;
	int got = 0;

	/* What this process had completed is complete. */
	if (qp->send.record)
		got = pcv_fast_sq_drain(qp, n, wc);
	wc += got;
	while (got < n && sq->head != PCV_LOAD(&sq->tail)) {
		slot = &sq->slot[sq->head & (sq->count - 1)];
		pcv_wc_fill(wc, qp, slot->wr_id, PCV_WC_FATAL_ERR, (uint32_t)qp->why);
		wc->opcode = (enum ibv_wc_opcode)slot->wc_opcode;
		PCV_STORE(&sq->head, sq->head + 1);
		wc++;
		got++;
	}
	return got;
}

/* Nor do its receives; those of a shared queue belong to its other users. */
static int pcv_rq_abandon(struct pcv_qp *qp, int n, struct ibv_wc *wc)
{
	struct pcv_rq *rq = &qp->rq;
	int got = 0;

	while (got < n && rq->head != PCV_LOAD(&rq->tail)) {
		pcv_wc_fill(wc, qp, rq->slot[rq->head & (rq->count - 1)].wr_id, PCV_WC_FATAL_ERR,
			    (uint32_t)qp->why);
		wc->opcode = IBV_WC_RECV;
		PCV_STORE(&rq->head, rq->head + 1);
		wc++;
		got++;
	}
	return got;
}

static bool pcv_qp_sound(const struct pcv_qp *qp)
{
	return PCV_LOAD(&qp->health) == PCV_QP_SOUND;
}

static int pcv_rq_poll(struct pcv_qp *qp, int n, struct ibv_wc *wc, bool *stuck)
{
	if (qp->recv.on)
		return pcv_fast_rx_poll(qp, n, wc, stuck);
	return pcv_rx_poll(qp, n, wc, stuck);
}

int pcv_qp_visit(struct pcv_cq_link *link, int n, struct ibv_wc *wc, bool *more)
{
	struct pcv_qp *qp = link->qp;
	bool stuck = false;
	bool recv_first;
	int health;
	int got = 0;

	*more = false;
	/*
	 * PCV(qp_health:B) pairs with qp_health:A
	 * Once it is broken the kernel has let go of what was outstanding.
	 */
	health = pcv_cpu_load_acquire(&qp->health);
	if (health == PCV_QP_BREAKING)
		return 0;
	if (health == PCV_QP_BROKEN) {
		if (link->roles & PCV_CQ_SEND)
			got = pcv_sq_abandon(qp, n, wc);
		if (link->roles & PCV_CQ_RECV)
			got += pcv_rq_abandon(qp, n - got, wc + got);
		*more = got == n;
		return got;
	}

	/* Neither side may keep the other from being reported: they take turns. */
	recv_first = link->recv_first;
	link->recv_first = !recv_first;
	if (recv_first && link->roles & PCV_CQ_RECV)
		got = pcv_rq_poll(qp, n, wc, &stuck);
	if (got < n && link->roles & PCV_CQ_SEND && pcv_qp_sound(qp))
		got += pcv_sq_poll_all(qp, n - got, wc + got);
	if (got < n && !recv_first && link->roles & PCV_CQ_RECV && pcv_qp_sound(qp))
		got += pcv_rq_poll(qp, n - got, wc + got, &stuck);
	*more = got == n || stuck;
	return got;
}

/*
 * Is a completion among them whose waiting is worth a call? Not that of a WRITE: who has it
 * waits for an answer in memory next, where nobody calls, and gets that by a doorbell; the one
 * for the acknowledgement has started what this takes, which a call would have prevented.
 */
static bool pcv_wc_awaited(const struct ibv_wc *wc, int n)
{
	for (; n; n--, wc++)
		if (wc->status == IBV_WC_SUCCESS && wc->opcode != IBV_WC_RDMA_WRITE)
			return true;
	return false;
}

/* Those that the kernel has hinted at, each in its turn. */
static int pcv_cq_poll_active(struct pcv_cq *cq, int n, struct ibv_wc *wc)
{
	struct pcv_cq_link *link;
	unsigned int idle = 0;
	int got = 0;
	int budget, r;
	bool more;

	while (got < n && idle < cq->active_count) {
		link = cq->active;
		budget = n - got < PCV_VISIT ? n - got : PCV_VISIT;
		r = pcv_qp_visit(link, budget, wc + got, &more);
		got += r;
		if (link->watched)
			pcv_watch_update(cq, link, r);
		else if (pcv_wc_awaited(wc + got - r, r))
			PCV_STORE(&cq->asks, PCV_ASKS);
		if (!more) {
			pcv_cq_link_stop(cq, link);
			continue;
		}
		idle = r ? 0 : idle + 1;
		cq->active = link->after;
	}
	return got;
}

static int pcv_cq_poll_round(struct pcv_cq *cq, int n, struct ibv_wc *wc)
{
	int got = 0;

	if (pcv_unlikely(PCV_LOAD(&cq->shared->summary)))
		pcv_cq_hints_take(cq);
	if (pcv_likely(cq->watch_count && !cq->active_count))
		return pcv_watch_poll(cq, n, wc);
	if (!cq->watch_count)
		return pcv_cq_poll_active(cq, n, wc);
	/* Neither kind may keep the other from being looked at. */
	cq->active_turn = !cq->active_turn;
	if (cq->active_turn)
		got = pcv_cq_poll_active(cq, n, wc);
	if (got < n)
		got += pcv_watch_poll(cq, n - got, wc + got);
	if (got < n && !cq->active_turn)
		got += pcv_cq_poll_active(cq, n - got, wc + got);
	return got;
}

int pcv_cq_poll_locked(struct pcv_cq *cq, int n, struct ibv_wc *wc)
{
	int got = 0, r;

	/* Fewer than there is room for: then the queue is empty (ibv_poll_cq(3)). */
	do {
		r = pcv_cq_poll_round(cq, n - got, wc + got);
		got += r;
	} while (r && got < n && (cq->active_count || PCV_LOAD(&cq->shared->summary)));
	return got;
}

void pcv_cq_poll_empty(struct pcv_cq *cq)
{
	uint32_t asks = PCV_LOAD(&cq->asks);
	uint32_t empty = PCV_LOAD(&cq->empty) + 1;

	/* Two threads may count one for two: nothing depends on it. */
	if (!asks)
		return;
	PCV_STORE(&cq->empty, empty);
	if (empty % PCV_ASK_POLLS)
		return;
	PCV_STORE(&cq->asks, asks - 1);
	PCV_STORE(&cq->asked, 1);
	pcv_cq_ask(cq);
}

/* Is only what nobody hints at to be looked at? Caller holds the lock, or need not. */
static inline bool pcv_cq_only_watches(const struct pcv_cq *cq)
{
	return cq->watch_count && !cq->active_count && !PCV_LOAD(&cq->shared->summary);
}

static __attribute__((__noinline__)) int pcv_cq_poll_some(struct pcv_cq *cq, int n,
							  struct ibv_wc *wc)
{
	bool locked;
	int got;

	/*
	 * PCV(cq_hint:B) pairs with cq_hint:A
	 * What is no longer in the summary is being taken, or is active.
	 */
	if (!PCV_LOAD(&cq->watch_count) && !pcv_cpu_load_acquire(&cq->shared->summary) &&
	    !pcv_cpu_load_acquire(&cq->taking) && !PCV_LOAD(&cq->active_count)) {
		pcv_cq_poll_empty(cq);
		return 0;
	}
	locked = pcv_lock(&cq->lock);
	if (pcv_likely(pcv_cq_only_watches(cq))) {
		got = pcv_watch_poll(cq, n, wc);
		if (got && got < n && pcv_unlikely(!pcv_cq_only_watches(cq)))
			got += pcv_cq_poll_locked(cq, n - got, wc + got);
	} else {
		got = pcv_cq_poll_locked(cq, n, wc);
	}
	pcv_unlock(&cq->lock, locked);
	if (!got)
		pcv_cq_poll_empty(cq);
	return got;
}

int pcv_cq_poll(struct ibv_cq *ibcq, int n, struct ibv_wc *wc)
{
	struct pcv_cq *cq = pcv_cq(ibcq);

	/* Where nobody is to be kept out and nothing has come, that is soon found out. */
	if (pcv_likely(__libc_single_threaded) && pcv_cq_only_watches(cq) &&
	    !PCV_LOAD(&cq->asks) && pcv_watch_idle(cq))
		return 0;
	return pcv_cq_poll_some(cq, n, wc);
}
