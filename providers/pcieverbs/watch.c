// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Queue pairs that nobody hints at.
 *
 * A message in a fast ring is written by another machine, which knows nothing
 * of completion queues here: somebody has to look. Every poll looks at the hot
 * ones, those that had something of late. The others are cold and take turns,
 * one every few polls; the one after it is fetched ahead. The lines to look at
 * lie a block apart and share few places in the caches: to look at many of them
 * would push out those of the hot ones. What a look at an idle queue pair needs
 * lies in arrays, for the same reason.
 */
#include <stdlib.h>

#include "provider.h"

/* Polls after which hot queue pairs that had nothing become cold, if they are many. */
#define PCV_HOT_POLLS		65536u
#define PCV_HOT_FEW		4u

/* Where those look who only send. */
static const __le64 pcv_watch_nowhere;
static const uint32_t pcv_watch_nothing;

int pcv_watch_reserve(struct pcv_cq *cq)
{
	struct pcv_watch *cold;
	int ret = 0;

	pthread_spin_lock(&cq->lock);
	cold = realloc(cq->cold, (cq->cold_room + 1) * sizeof(*cold));
	if (cold) {
		cq->cold = cold;
		cq->cold_room++;
	} else {
		ret = ENOMEM;
	}
	pthread_spin_unlock(&cq->lock);
	return ret;
}

static struct pcv_watch *pcv_watch_of(struct pcv_cq *cq, const struct pcv_cq_link *link)
{
	return link->hot ? &cq->hot[link->at] : &cq->cold[link->at];
}

static inline void pcv_watch_refresh(struct pcv_watch *watch)
{
	struct pcv_qp *qp = watch->link->qp;

	if (watch->link->roles & PCV_CQ_RECV) {
		watch->tail = &qp->recv.ring.line[qp->recv.ring.head & PCV_FAST_LINE_MASK].tail;
		watch->seq = qp->recv.ring.seq;
	}
	watch->done = watch->link->roles & PCV_CQ_SEND ? qp->send.polled : 0;
}

/* Each into its own place: it moved there. */
static void pcv_watch_hot_at(struct pcv_cq *cq, uint32_t at)
{
	cq->hot[at].link->at = at;
	PCV_STORE(&cq->hot[at].link->hot, true);
}

static void pcv_watch_cold_at(struct pcv_cq *cq, uint32_t at)
{
	struct pcv_watch *watch = &cq->cold[at];

	watch->link->at = at;
	if (!watch->link->hot)
		return;
	PCV_STORE(&watch->link->hot, false);
	/*
	 * PCV(send_hot:B) pairs with send_hot:A
	 * Cold first, then a look for a send that was completed meanwhile; who
	 * completes one counts it first and then looks whether it is cold.
	 */
	pcv_cpu_mb();
	if (PCV_LOAD(watch->sent) != watch->done)
		pcv_cq_hint(cq, watch->link->qp);
}

static void pcv_watch_cool(struct pcv_cq *cq, uint32_t at)
{
	uint32_t last = --cq->hot_count;

	cq->cold[cq->cold_count] = cq->hot[at];
	pcv_watch_cold_at(cq, cq->cold_count++);
	cq->hot_used &= ~(1u << at);
	if (at != last) {
		cq->hot[at] = cq->hot[last];
		pcv_watch_hot_at(cq, at);
		cq->hot_used |= (cq->hot_used >> last & 1) << at;
	}
	cq->hot_used &= ~(1u << last);
	cq->hot_turn = 0;
}

static void pcv_watch_cold_del(struct pcv_cq *cq, uint32_t at)
{
	cq->cold[at] = cq->cold[--cq->cold_count];
	if (at != cq->cold_count)
		cq->cold[at].link->at = at;
}

static void pcv_watch_heat(struct pcv_cq *cq, uint32_t cold)
{
	struct pcv_watch watch = cq->cold[cold];
	uint32_t at;

	pcv_watch_cold_del(cq, cold);
	if (cq->hot_count == PCV_HOT) {
		/* One that had nothing since this was asked last; or any. */
		if (cq->hot_used == (1u << PCV_HOT) - 1)
			cq->hot_used = 0;
		pcv_watch_cool(cq, (uint32_t)__builtin_ctz(~cq->hot_used));
	}
	at = cq->hot_count++;
	cq->hot[at] = watch;
	pcv_watch_hot_at(cq, at);
	cq->hot_used |= 1u << at;
}

void pcv_watch_add(struct pcv_cq *cq, struct pcv_cq_link *link)
{
	struct pcv_qp *qp = link->qp;
	struct pcv_watch *watch;

	if (link->watched)
		return;
	watch = &cq->cold[cq->cold_count];
	watch->link = link;
	watch->tail = &pcv_watch_nowhere;
	watch->seq = 1;
	watch->sent = link->roles & PCV_CQ_SEND ? &qp->send.done : &pcv_watch_nothing;
	pcv_watch_refresh(watch);
	link->watched = true;
	link->at = cq->cold_count++;
	PCV_STORE(&link->hot, false);
	PCV_STORE(&cq->watch_count, cq->watch_count + 1);
	if (cq->hot_count < PCV_HOT)
		pcv_watch_heat(cq, link->at);
}

void pcv_watch_del(struct pcv_cq *cq, struct pcv_cq_link *link)
{
	if (!link->watched)
		return;
	/* What was sent and not polled is found again when it is added again. */
	if (link->hot)
		pcv_watch_cool(cq, link->at);
	pcv_watch_cold_del(cq, link->at);
	link->watched = false;
	PCV_STORE(&cq->watch_count, cq->watch_count - 1);
}

static inline void pcv_watch_used(struct pcv_cq *cq, struct pcv_cq_link *link)
{
	if (pcv_likely(link->hot))
		cq->hot_used |= 1u << link->at;
	else
		pcv_watch_heat(cq, link->at);
}

void pcv_watch_update(struct pcv_cq *cq, struct pcv_cq_link *link, bool used)
{
	pcv_watch_refresh(pcv_watch_of(cq, link));
	if (used)
		pcv_watch_used(cq, link);
}

/* As pcv_qp_visit(), for what was seen only: what the kernel ended comes with a hint. */
static inline int pcv_watch_take(const struct pcv_watch *watch, int n, struct ibv_wc *wc,
				 bool *more)
{
	bool line = pcv_watch_sees_line(watch);
	struct pcv_qp *qp = watch->link->qp;
	bool stuck = false;
	int got;

	/*
	 * PCV(qp_health:B) pairs with qp_health:A
	 * Where it is not sound, and where both kinds have come and take turns, there
	 * is more to think of.
	 */
	if (pcv_unlikely(pcv_cpu_load_acquire(&qp->health) != PCV_QP_SOUND ||
			 line == pcv_watch_sees_sent(watch)))
		return pcv_qp_visit(watch->link, n, wc, more);
	if (line)
		got = pcv_fast_rx_poll(qp, n, wc, &stuck);
	else
		got = pcv_fast_sq_poll(qp, n, wc);
	*more = got == n || stuck;
	return got;
}

static inline __attribute__((__always_inline__)) int
pcv_watch_visit(struct pcv_cq *cq, struct pcv_watch *watch, int n, struct ibv_wc *wc)
{
	struct pcv_cq_link *link = watch->link;
	bool more;
	int got = pcv_watch_take(watch, n < PCV_VISIT ? n : PCV_VISIT, wc, &more);

	pcv_watch_refresh(watch);
	if (pcv_likely(got))
		pcv_watch_used(cq, link);
	/*
	 * Looked into again without a hint: where the head of the receive ring had to
	 * wait for what has just been taken (its hint may have been used up); where a
	 * message starves (one of the polls comes behind the arming); and by a poll
	 * that has room for more than one visit brings.
	 */
	if (more && !link->active &&
	    ((link->roles & PCV_CQ_RECV &&
	      (pcv_ring_waits(&link->qp->ring) || PCV_LOAD(&link->qp->rq.starved))) ||
	     (got == PCV_VISIT && n > PCV_VISIT)))
		pcv_cq_link_start(cq, link);
	return got;
}

static void pcv_watch_cool_idle(struct pcv_cq *cq)
{
	uint32_t i = cq->hot_count;

	cq->polls = 0;
	if (cq->hot_count > PCV_HOT_FEW)
		while (i-- && cq->hot_count > PCV_HOT_FEW)
			if (!(cq->hot_used >> i & 1))
				pcv_watch_cool(cq, i);
	cq->hot_used = 0;
}

/*
 * A peer that was not told yet how long a message may be sends none: as soon as
 * its block can be written to, it is.
 */
static void pcv_watch_greet(struct pcv_cq *cq)
{
	uint32_t at = cq->greet_turn++;
	struct pcv_cq_link *link;

	if (at >= cq->watch_count) {
		cq->greet_turn = 1;
		at = 0;
	}
	link = at < cq->hot_count ? cq->hot[at].link : cq->cold[at - cq->hot_count].link;
	if (link->roles & PCV_CQ_RECV && !PCV_LOAD(&link->qp->recv.limit))
		pcv_fast_greet(link->qp);
}

static int pcv_watch_poll_cold(struct pcv_cq *cq, int n, struct ibv_wc *wc)
{
	struct pcv_watch *watch;
	uint32_t next;

	if (cq->cold_turn >= cq->cold_count)
		cq->cold_turn = 0;
	watch = &cq->cold[cq->cold_turn];
	next = cq->cold_turn + 1 < cq->cold_count ? cq->cold_turn + 1 : 0;
	__builtin_prefetch(cq->cold[next].tail);
	cq->cold_turn = next;
	if (pcv_likely(!pcv_watch_sees(watch)))
		return 0;
	return pcv_watch_visit(cq, watch, n, wc);
}

/* What is done now and then only. */
static int pcv_watch_chores(struct pcv_cq *cq, int n, struct ibv_wc *wc)
{
	if (cq->polls % PCV_GREET_POLLS == 0) {
		pcv_watch_greet(cq);
		if (cq->polls >= PCV_HOT_POLLS)
			pcv_watch_cool_idle(cq);
	}
	return cq->cold_count && n ? pcv_watch_poll_cold(cq, n, wc) : 0;
}

int pcv_watch_poll(struct pcv_cq *cq, int n, struct ibv_wc *wc)
{
	uint32_t count = cq->hot_count;
	struct pcv_watch *watch;
	int got = 0;
	uint32_t i;

	for (i = 0; i < count && got < n; i++) {
		if (cq->hot_turn >= cq->hot_count)
			cq->hot_turn = 0;
		watch = &cq->hot[cq->hot_turn++];
		if (pcv_watch_sees(watch))
			got += pcv_watch_visit(cq, watch, n - got, wc + got);
	}
	if (pcv_unlikely(pcv_watch_has_chores(cq, ++cq->polls)))
		got += pcv_watch_chores(cq, n - got, wc + got);
	return got;
}
