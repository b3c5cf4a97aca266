// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Completion queues.
 *
 * There is no queue: completions stay in the queue pairs until they are
 * polled. The kernel hints which queue pairs to look at; those are active
 * until a look finds nothing more.
 */
#include <stdlib.h>
#include <string.h>

#include "provider.h"

struct pcv_create_cq_answer {
	struct ib_uverbs_create_cq_resp core;
	struct pcv_create_cq_resp drv;
};

_Static_assert(sizeof(struct pcv_create_cq_answer) == 24, "no padding between the two parts");

struct ibv_cq *pcv_cq_create(struct ibv_context *ctx, int cqe, struct ibv_comp_channel *chan,
			     int vector)
{
	struct pcv_create_cq_answer resp;
	struct ibv_create_cq cmd;
	struct pcv_cq *cq;
	int ret;

	cq = pcv_zalloc(sizeof(*cq));
	if (!cq)
		return NULL;

	memset(&cmd, 0, sizeof(cmd));
	memset(&resp, 0, sizeof(resp));
	ret = ibv_cmd_create_cq(ctx, cqe, chan, vector, &cq->vcq.cq, &cmd, sizeof(cmd), &resp.core,
				sizeof(resp));
	if (ret)
		goto err_free;

	ret = pcv_region_map(ctx, resp.drv.mmap_offset, resp.drv.mmap_bytes, &cq->region);
	if (ret)
		goto err_destroy;
	ret = EPROTO;
	if (!pcv_region_holds(&cq->region, 0, 1, sizeof(struct pcv_cq_shared), 8))
		goto err_unmap;
	cq->shared = cq->region.base;
	pthread_spin_init(&cq->lock, PTHREAD_PROCESS_PRIVATE);
	return &cq->vcq.cq;

err_unmap:
	pcv_region_unmap(&cq->region);
err_destroy:
	ibv_cmd_destroy_cq(&cq->vcq.cq);
err_free:
	free(cq);
	errno = ret;
	return NULL;
}

int pcv_cq_resize(struct ibv_cq *ibcq, int cqe)
{
	struct ib_uverbs_resize_cq_resp resp;
	struct ibv_resize_cq cmd;

	memset(&cmd, 0, sizeof(cmd));
	memset(&resp, 0, sizeof(resp));
	return ibv_cmd_resize_cq(ibcq, cqe, &cmd, sizeof(cmd), &resp, sizeof(resp));
}

int pcv_cq_destroy(struct ibv_cq *ibcq)
{
	struct pcv_cq *cq = pcv_cq(ibcq);
	int ret;

	ret = ibv_cmd_destroy_cq(ibcq);
	if (ret)
		return ret;
	pcv_region_unmap(&cq->region);
	pthread_spin_destroy(&cq->lock);
	free(cq->cold);
	free(cq);
	return 0;
}

int pcv_cq_arm(struct ibv_cq *ibcq, int solicited_only)
{
	struct pcv_cq *cq = pcv_cq(ibcq);
	bool locked, batch;

	/* Who waits for any completion does not wait for less because of a second call. */
	if (solicited_only)
		pcv_word_change(&cq->shared->armed, PCV_CQ_DISARMED, PCV_CQ_ARMED_SOLICITED);
	else
		PCV_STORE(&cq->shared->armed, PCV_CQ_ARMED_ANY);
	PCV_STORE(&cq->was_armed, 1);
	/*
	 * PCV(cq_armed:A) pairs with cq_armed:B
	 * Armed first, polled afterwards: a completion that this poll misses
	 * finds the queue armed.
	 */
	pcv_cpu_mb();
	if (PCV_LOAD(&cq->asked)) {
		PCV_STORE(&cq->asked, 0);
		pcv_cq_ask(cq);
	}
	if (PCV_LOAD(&cq->watch_count)) {
		/*
		 * PCV(cq_batch:B) pairs with cq_batch:A
		 * In the middle of a batch of ours the lock is ours already. Nobody else
		 * writes our name there.
		 */
		batch = pcv_cpu_load_acquire(&cq->ex_open) &&
			pthread_equal(cq->ex_thread, pthread_self());
		locked = !batch && pcv_lock(&cq->lock);
		/* Who was woken by a peer has to call it again, and the hint says who it was. */
		pcv_cq_hints_take(cq);
		pcv_fast_call(cq, solicited_only &&
			      PCV_LOAD(&cq->shared->armed) != PCV_CQ_ARMED_ANY);
		pcv_unlock(&cq->lock, locked);
	}
	return 0;
}

void pcv_cq_link_start(struct pcv_cq *cq, struct pcv_cq_link *link)
{
	if (link->active)
		return;
	link->active = true;
	if (cq->active) {
		link->after = cq->active;
		link->before = cq->active->before;
		link->before->after = link;
		link->after->before = link;
	} else {
		link->after = link;
		link->before = link;
		cq->active = link;
	}
	PCV_STORE(&cq->active_count, cq->active_count + 1);
}

void pcv_cq_link_stop(struct pcv_cq *cq, struct pcv_cq_link *link)
{
	if (!link->active)
		return;
	link->active = false;
	link->before->after = link->after;
	link->after->before = link->before;
	if (cq->active == link)
		cq->active = link->after == link ? NULL : link->after;
	PCV_STORE(&cq->active_count, cq->active_count - 1);
}

static unsigned int pcv_cq_slot(const struct pcv_qp *qp)
{
	return qp->vqp.qp.qp_num % PCV_CQ_SLOTS;
}

void pcv_cq_link_add(struct pcv_cq *cq, struct pcv_cq_link *link)
{
	struct pcv_cq_link **slot = &cq->slot[pcv_cq_slot(link->qp)];

	link->next = *slot;
	*slot = link;
}

void pcv_cq_link_del(struct pcv_cq *cq, struct pcv_cq_link *link)
{
	struct pcv_cq_link **at = &cq->slot[pcv_cq_slot(link->qp)];

	pcv_cq_link_stop(cq, link);
	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
}

void pcv_cq_hints_take(struct pcv_cq *cq)
{
	struct pcv_cq_link *link;
	uint64_t summary, hint;
	unsigned int word, bit;

	if (!PCV_LOAD(&cq->shared->summary))
		return;
	/*
	 * PCV(cq_hint:B) pairs with cq_hint:A
	 * The exchanges come before every look into the queue pairs: what was
	 * completed before its hint was given is seen, and what comes later
	 * gives its hint again.
	 */
	PCV_STORE(&cq->taking, 1);
	summary = pcv_word_take(&cq->shared->summary);
	while (summary) {
		word = (unsigned int)__builtin_ctzll(summary);
		summary &= summary - 1;
		hint = pcv_word_take(&cq->shared->hint[word]);
		while (hint) {
			bit = (unsigned int)__builtin_ctzll(hint);
			hint &= hint - 1;
			for (link = cq->slot[word * 64 + bit]; link; link = link->next) {
				pcv_cq_link_start(cq, link);
				if (link->roles & PCV_CQ_RECV && link->qp->recv.called)
					pcv_fast_uncall(link->qp);
			}
		}
	}
	/*
	 * PCV(cq_hint:B) pairs with cq_hint:A
	 * For who looks without the lock: what was taken is active by now.
	 */
	pcv_cpu_store_release(&cq->taking, 0);
}

void pcv_cq_hint(struct pcv_cq *cq, const struct pcv_qp *qp)
{
	unsigned int slot = pcv_cq_slot(qp);

	/*
	 * PCV(cq_hint:A) pairs with cq_hint:B
	 * What there is to see was stored before; then the bit, then its word.
	 */
	pcv_word_set(&cq->shared->hint[slot / 64], 1ull << slot % 64);
	pcv_word_set(&cq->shared->summary, 1ull << slot / 64);
}
