// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Fast rings of a queue pair: made, started, told of, reset.
 *
 * Both blocks are mapped when the queue pair is made; pages come by faults, so
 * nothing is touched before the kernel says that a block is there. The own
 * block is there from RTR until the reset; the peer's may come at any time
 * after that, and go.
 */
#include <stdlib.h>

#include "provider.h"

static struct pcv_cq *pcv_fast_send_cq(const struct pcv_qp *qp)
{
	return pcv_cq(qp->vqp.qp.send_cq);
}

static struct pcv_cq *pcv_fast_recv_cq(const struct pcv_qp *qp)
{
	return pcv_cq(qp->vqp.qp.recv_cq);
}

static struct pcv_cq_link *pcv_fast_recv_link(struct pcv_qp *qp)
{
	return &qp->link[qp->vqp.qp.recv_cq != qp->vqp.qp.send_cq];
}

int pcv_fast_create(struct pcv_qp *qp, const struct pcv_create_qp_resp *resp)
{
	struct ibv_context *ctx = qp->vqp.qp.context;
	struct pcv_cq *send_cq = pcv_fast_send_cq(qp);
	struct pcv_cq *recv_cq = pcv_fast_recv_cq(qp);
	int ret;

	if (!resp->fast_bytes || !qp->sq.count)
		return 0;
	if (resp->fast_bytes != PCV_FAST_BYTES)
		return EPROTO;
	ret = pcv_watch_reserve(send_cq);
	if (!ret && send_cq != recv_cq)
		ret = pcv_watch_reserve(recv_cq);
	if (ret)
		return ret;
	qp->send.record = calloc(qp->sq.count, sizeof(*qp->send.record));
	if (!qp->send.record)
		return ENOMEM;
	ret = pcv_region_map(ctx, resp->fast_rx_mmap, resp->fast_bytes, &qp->fast_own);
	if (ret)
		goto err_free;
	ret = pcv_region_map(ctx, resp->fast_tx_mmap, resp->fast_bytes, &qp->fast_peer);
	if (ret)
		goto err_unmap;
	qp->send.ctl = (const void *)((uint8_t *)qp->fast_own.base + PCV_FAST_CTL_OFFSET);
	qp->recv.ctl = (void *)((uint8_t *)qp->fast_peer.base + PCV_FAST_CTL_OFFSET);
	pcv_direct_create(qp, resp);
	return 0;

err_unmap:
	pcv_region_unmap(&qp->fast_own);
err_free:
	free(qp->send.record);
	qp->send.record = NULL;
	return ret;
}

void pcv_fast_destroy(struct pcv_qp *qp)
{
	pcv_region_unmap(&qp->direct.region);
	pcv_region_unmap(&qp->fast_peer);
	pcv_region_unmap(&qp->fast_own);
	free(qp->send.record);
}

/* Both completion queues' locks, in the order of qp.c. */
static void pcv_fast_lock(struct pcv_qp *qp)
{
	struct pcv_cq *a = pcv_fast_send_cq(qp);
	struct pcv_cq *b = pcv_fast_recv_cq(qp);

	if ((uintptr_t)a > (uintptr_t)b) {
		a = b;
		b = pcv_fast_send_cq(qp);
	}
	pthread_spin_lock(&a->lock);
	if (a != b)
		pthread_spin_lock(&b->lock);
	pthread_spin_lock(&qp->sq.lock);
	pthread_spin_lock(&qp->rq.lock);
}

static void pcv_fast_unlock(struct pcv_qp *qp)
{
	pthread_spin_unlock(&qp->rq.lock);
	pthread_spin_unlock(&qp->sq.lock);
	pthread_spin_unlock(&pcv_fast_send_cq(qp)->lock);
	if (pcv_fast_send_cq(qp) != pcv_fast_recv_cq(qp))
		pthread_spin_unlock(&pcv_fast_recv_cq(qp)->lock);
}

/* Receives of a shared queue become shorter for all who use it. */
static void pcv_fast_srq_add(struct pcv_qp *qp)
{
	pthread_spin_lock(&qp->srq->lock);
	qp->recv.next_of_srq = qp->srq->qps;
	qp->srq->qps = qp;
	pthread_spin_unlock(&qp->srq->lock);
}

static void pcv_fast_srq_del(struct pcv_qp *qp)
{
	struct pcv_qp **at;

	pthread_spin_lock(&qp->srq->lock);
	for (at = &qp->srq->qps; *at && *at != qp; at = &(*at)->recv.next_of_srq)
		;
	if (*at)
		*at = qp->recv.next_of_srq;
	pthread_spin_unlock(&qp->srq->lock);
}

void pcv_fast_watch(struct pcv_qp *qp)
{
	struct pcv_cq *send_cq = pcv_fast_send_cq(qp);
	struct pcv_cq *recv_cq = pcv_fast_recv_cq(qp);

	if (!qp->recv.on || qp->link[0].watched)
		return;
	pcv_watch_add(send_cq, &qp->link[0]);
	if (send_cq != recv_cq)
		pcv_watch_add(recv_cq, &qp->link[1]);
	qp->recv.in_uncalled = true;
	qp->recv.next_uncalled = recv_cq->uncalled;
	recv_cq->uncalled = qp;
	if (qp->srq)
		pcv_fast_srq_add(qp);
}

void pcv_fast_unwatch(struct pcv_qp *qp)
{
	struct pcv_qp **at = &pcv_fast_recv_cq(qp)->uncalled;

	if (!qp->link[0].watched)
		return;
	if (qp->recv.in_uncalled) {
		while (*at != qp)
			at = &(*at)->recv.next_uncalled;
		*at = qp->recv.next_uncalled;
		qp->recv.in_uncalled = false;
	}
	if (qp->srq)
		pcv_fast_srq_del(qp);
	pcv_watch_del(pcv_fast_send_cq(qp), &qp->link[0]);
	pcv_watch_del(pcv_fast_recv_cq(qp), &qp->link[1]);
}

void pcv_fast_start(struct pcv_qp *qp)
{
	if (!qp->fast_own.base)
		return;
	pcv_fast_lock(qp);
	/*
	 * PCV(qp_fast:B) pairs with qp_fast:A
	 * The number of the first line was stored before the bit.
	 */
	if (pcv_cpu_load_acquire(&qp->shared->fast) & PCV_QP_FAST_RX) {
		if (!qp->recv.on) {
			pcv_fast_rx_init(&qp->recv.ring, qp->fast_own.base,
					 PCV_LOAD(&qp->shared->fast_rx_seq));
			PCV_STORE(&qp->recv.on, true);
		}
		pcv_fast_watch(qp);
	}
	pcv_fast_unlock(qp);
}

void pcv_fast_return(struct pcv_qp *qp)
{
	uint64_t wr_id;

	if (!qp->recv.has_recv)
		return;
	qp->recv.has_recv = false;
	if (!pcv_srq_give_back(qp->srq, &qp->recv.wqe, qp->recv.sge))
		pcv_srq_complete(qp->srq, (uint32_t)qp->recv.wqe.wr_id, 0, &wr_id);
}

void pcv_fast_reset(struct pcv_qp *qp)
{
	if (!qp->fast_own.base)
		return;
	pcv_fast_unwatch(qp);
	pcv_fast_return(qp);
	PCV_STORE(&qp->recv.on, false);
	qp->recv.flushing = false;
	qp->recv.called = false;
	qp->recv.events = false;
	qp->recv.call = 0;
	qp->recv.taken = 0;
	qp->recv.kernel = 0;
	PCV_STORE(&qp->recv.limit, 0);
	qp->rq.recv_min = PCV_RECV_NONE;
	PCV_STORE(&qp->rq.starved, 0);
	qp->send.on = false;
	qp->send.stalled = false;
	qp->send.bad = false;
	qp->send.queued = 0;
	qp->send.sent = 0;
	qp->send.kernel = 0;
	qp->send.answered = 0;
	/* What was sent and not polled goes, as it does in the kernel. */
	PCV_STORE(&qp->send.done, 0);
	qp->send.polled = 0;
	pcv_direct_reset(qp);
}

/* The peer's block can be written to. What @ctl holds leaves at once. */
static bool pcv_fast_open(const struct pcv_qp *qp)
{
	/*
	 * PCV(qp_fast:B) pairs with qp_fast:A
	 * Who finds it closed finds, too, what its process sent before it went.
	 */
	return pcv_cpu_load_acquire(&qp->shared->fast) & PCV_QP_FAST_CTL;
}

static void pcv_fast_ctl_flush(const struct pcv_qp *qp)
{
	/* PCV(fast_flush:A): nothing follows that would push it out. */
	pcv_out_wmb_on(PCV_LOAD(&qp->shared->fast) & PCV_QP_FAST_WC);
}

/*
 * The kernels see to it that the peer looks whether it is called, behind each
 * message. As long as it has not been called once it wakes us every time.
 */
static void pcv_fast_events(struct pcv_qp *qp)
{
	if (qp->recv.events)
		return;
	qp->recv.events = true;
	PCV_STORE(&qp->shared->events, 1);
	pcv_kick(qp);
}

void pcv_fast_limit(struct pcv_qp *qp)
{
	uint32_t min = qp->srq ? qp->srq->recv_min : qp->rq.recv_min;
	uint32_t limit = min < UINT32_MAX - 1 ? min + 1 : UINT32_MAX;

	if (!PCV_LOAD(&qp->recv.on) || min == PCV_RECV_NONE || qp->recv.limit == limit ||
	    !pcv_fast_open(qp))
		return;
	/*
	 * PCV(cq_armed:B) pairs with cq_armed:A
	 * The block can be written to, then a look whether the queue was ever armed:
	 * nothing is sent fast to somebody who may be asleep and has not said so.
	 */
	if (!qp->recv.limit) {
		pcv_cpu_mb();
		if (PCV_LOAD(&pcv_fast_recv_cq(qp)->was_armed))
			pcv_fast_events(qp);
	}
	PCV_STORE(&qp->recv.limit, limit);
	pcv_out_store_ctl(&qp->recv.ctl->limit, pcv_to_le32(limit));
	pcv_fast_ctl_flush(qp);
}

void pcv_fast_greet(struct pcv_qp *qp)
{
	pthread_spinlock_t *lock = qp->srq ? &qp->srq->lock : &qp->rq.lock;
	bool locked = pcv_lock(lock);

	pcv_fast_limit(qp);
	pcv_unlock(lock, locked);
}

void pcv_fast_credit_give(struct pcv_qp *qp)
{
	/* As long as there is nowhere to put it, it is due. */
	if (!pcv_fast_open(qp))
		return;
	pcv_fast_credited(&qp->recv.ring);
	PCV_COUNT(credits, 1);
	pcv_out_store_ctl(&qp->recv.ctl->credit, pcv_to_le32(qp->recv.ring.head));
	pcv_fast_ctl_flush(qp);
}

/* --- sleeping --- */

void pcv_fast_uncall(struct pcv_qp *qp)
{
	struct pcv_cq *cq = pcv_fast_recv_cq(qp);

	qp->recv.called = false;
	if (qp->recv.in_uncalled)
		return;
	qp->recv.in_uncalled = true;
	qp->recv.next_uncalled = cq->uncalled;
	cq->uncalled = qp;
}

/* Return: whether the peer was asked. */
static bool pcv_fast_call_one(struct pcv_qp *qp, bool solicited)
{
	if (!pcv_fast_open(qp))
		return false;
	pcv_fast_events(qp);
	/* A new number, never 0; bit 0 says which kind. */
	qp->recv.call = (qp->recv.call & ~1u) + 2;
	if (!qp->recv.call)
		qp->recv.call = 2;
	qp->recv.call |= solicited;
	qp->recv.called = true;
	pcv_out_store_ctl(&qp->recv.ctl->call, pcv_to_le32(qp->recv.call));
	return true;
}

void pcv_fast_recall(struct pcv_qp *qp)
{
	bool solicited = PCV_LOAD(&pcv_fast_recv_cq(qp)->shared->armed) != PCV_CQ_ARMED_ANY;

	pcv_fast_call_one(qp, solicited);
}

/*
 * Stored first, then read back, then (by who polls after arming) a look into
 * the own block: a message that this look misses comes behind the call.
 */
static void pcv_fast_call_push(struct pcv_qp *qp)
{
	/*
	 * PCV(fast_call:B) pairs with fast_call:A
	 * The call before the look; reading back, which no store passes, makes
	 * sure that it has arrived.
	 */
	pcv_out_mb();
	(void)pcv_out_read(&qp->recv.ctl->call);
	/* PCV(fast_call:B) pairs with fast_call:A: and that before the look. */
	pcv_cpu_mb();
}

/*
 * The next poll need not look at all rings: what is there already is seen here. That
 * goes for peers, too, who cannot be called because they have left.
 *
 * Return: whether the peer was called.
 */
static bool pcv_fast_call_look(struct pcv_qp *qp, bool solicited)
{
	bool called = pcv_fast_call_one(qp, solicited);

	if (called)
		pcv_fast_call_push(qp);
	if (pcv_fast_ready(&qp->recv.ring))
		pcv_cq_link_start(pcv_fast_recv_cq(qp), pcv_fast_recv_link(qp));
	return called;
}

/*
 * Whoever was asked for messages of the other kind is asked anew: one call is
 * answered once, by a message that need not be of the kind that is waited for.
 */
static void pcv_fast_call_again(struct pcv_cq *cq, bool solicited)
{
	struct pcv_cq_link *link;
	uint32_t i;

	for (i = 0; i < cq->hot_count + cq->cold_count; i++) {
		link = i < cq->hot_count ? cq->hot[i].link : cq->cold[i - cq->hot_count].link;
		if (link->roles & PCV_CQ_RECV && link->qp->recv.called &&
		    (link->qp->recv.call & 1) != solicited)
			pcv_fast_call_look(link->qp, solicited);
	}
	cq->called_solicited = solicited;
}

void pcv_fast_call(struct pcv_cq *cq, bool solicited)
{
	struct pcv_qp *qp, *list = cq->uncalled, *stay = NULL, *next;

	if (solicited != cq->called_solicited)
		pcv_fast_call_again(cq, solicited);
	cq->uncalled = NULL;
	for (qp = list; qp; qp = next) {
		next = qp->recv.next_uncalled;
		if (pcv_fast_call_look(qp, solicited)) {
			qp->recv.in_uncalled = false;
		} else {
			qp->recv.next_uncalled = stay;
			stay = qp;
		}
	}
	cq->uncalled = stay;
}
