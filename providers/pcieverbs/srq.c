// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Shared receive queues. */
#include <stdlib.h>

#include "provider.h"

struct pcv_create_srq_answer {
	struct ib_uverbs_create_srq_resp core;
	struct pcv_create_srq_resp drv;
};

_Static_assert(sizeof(struct pcv_create_srq_answer) == 48, "no padding between the two parts");

/*
 * Entries are more than slots: one whose queue pair was destroyed with a
 * message half received never comes back.
 */
static int pcv_srq_entries_init(struct pcv_srq *srq)
{
	uint32_t i;

	srq->entries = srq->count * 2;
	srq->entry = calloc(srq->entries, sizeof(*srq->entry));
	if (!srq->entry)
		return ENOMEM;
	for (i = 0; i < srq->entries; i++)
		srq->entry[i].next = i + 1 < srq->entries ? i + 1 : PCV_SRQ_NONE;
	srq->free = 0;
	return 0;
}

static int pcv_srq_layout(struct pcv_srq *srq, const struct pcv_create_srq_resp *resp)
{
	if (!pcv_is_power_of_two(resp->count) || resp->count > 2 * PCV_MAX_SRQ_WR ||
	    resp->stride < PCV_RWQE_BYTES ||
	    !pcv_region_holds(&srq->region, 0, 1, sizeof(struct pcv_srq_shared), 8) ||
	    !pcv_region_holds(&srq->region, resp->queue_offset, resp->count, resp->stride, 8))
		return EPROTO;
	srq->shared = srq->region.base;
	srq->queue = (uint8_t *)srq->region.base + resp->queue_offset;
	srq->stride = resp->stride;
	srq->count = resp->count;
	srq->max_sge = (resp->stride - PCV_RWQE_BYTES) / (uint32_t)sizeof(struct pcv_sge);
	if (srq->max_sge > PCV_MAX_SGE)
		srq->max_sge = PCV_MAX_SGE;
	return 0;
}

struct ibv_srq *pcv_srq_create(struct ibv_pd *pd, struct ibv_srq_init_attr *attr)
{
	struct pcv_create_srq_answer resp;
	struct ibv_create_srq cmd;
	struct pcv_srq *srq;
	int ret;

	srq = pcv_zalloc(sizeof(*srq));
	if (!srq)
		return NULL;
	memset(&cmd, 0, sizeof(cmd));
	memset(&resp, 0, sizeof(resp));
	ret = ibv_cmd_create_srq(pd, &srq->vsrq.srq, attr, &cmd, sizeof(cmd), &resp.core,
				 sizeof(resp));
	if (ret)
		goto err_free;

	ret = pcv_region_map(pd->context, resp.drv.mmap_offset, resp.drv.mmap_bytes,
			     &srq->region);
	if (ret)
		goto err_destroy;
	ret = pcv_srq_layout(srq, &resp.drv);
	if (ret)
		goto err_unmap;
	if (attr->attr.max_sge < srq->max_sge)
		srq->max_sge = attr->attr.max_sge;
	ret = pcv_srq_entries_init(srq);
	if (ret)
		goto err_unmap;
	pthread_spin_init(&srq->lock, PTHREAD_PROCESS_PRIVATE);
	srq->recv_min = PCV_RECV_NONE;
	srq->limit = attr->attr.srq_limit;
	return &srq->vsrq.srq;

err_unmap:
	pcv_region_unmap(&srq->region);
err_destroy:
	ibv_cmd_destroy_srq(&srq->vsrq.srq);
err_free:
	free(srq);
	errno = ret;
	return NULL;
}

int pcv_srq_modify(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr, int mask)
{
	struct pcv_srq *srq = pcv_srq(ibsrq);
	struct ibv_modify_srq cmd;
	int ret;

	/* The queue keeps its size: entries that are posted cannot move. */
	if (mask & IBV_SRQ_MAX_WR)
		return EOPNOTSUPP;
	memset(&cmd, 0, sizeof(cmd));
	ret = ibv_cmd_modify_srq(ibsrq, attr, mask, &cmd, sizeof(cmd));
	if (!ret && mask & IBV_SRQ_LIMIT)
		PCV_STORE(&srq->limit, attr->srq_limit);
	return ret;
}

int pcv_srq_query(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr)
{
	struct ibv_query_srq cmd;

	memset(&cmd, 0, sizeof(cmd));
	return ibv_cmd_query_srq(ibsrq, attr, &cmd, sizeof(cmd));
}

int pcv_srq_destroy(struct ibv_srq *ibsrq)
{
	struct pcv_srq *srq = pcv_srq(ibsrq);
	int ret;

	ret = ibv_cmd_destroy_srq(ibsrq);
	if (ret)
		return ret;
	pcv_region_unmap(&srq->region);
	pthread_spin_destroy(&srq->lock);
	free(srq->entry);
	free(srq);
	return 0;
}

static struct pcv_rwqe *pcv_srq_slot(struct pcv_srq *srq, uint32_t index)
{
	return (void *)(srq->queue + (size_t)(index & (srq->count - 1)) * srq->stride);
}

/* Count what was posted. Return: whether the kernel wants to be called. */
static bool pcv_srq_publish(struct pcv_srq *srq, uint32_t tail)
{
	struct pcv_qp *qp;

	srq->tail = tail;
	/*
	 * PCV(srq_tail:A) pairs with srq_tail:B
	 * The slots are written before they are counted.
	 */
	pcv_cpu_store_release(&srq->shared->tail, tail);
	/*
	 * PCV(recv_starved:B) pairs with recv_starved:A
	 * Counted first, then a look who starves. In a program of one thread nobody
	 * begins to meanwhile.
	 */
	if (pcv_unlikely(!__libc_single_threaded))
		pcv_cpu_mb();
	if (pcv_unlikely(PCV_LOAD(&srq->starved))) {
		PCV_STORE(&srq->starved, 0);
		/*
		 * PCV(recv_starved:B) pairs with recv_starved:A
		 * Cleared before anybody is passed over: who begins to starve from here
		 * on finds it cleared, or has found the receive.
		 */
		pcv_cpu_mb();
		for (qp = srq->qps; qp; qp = qp->recv.next_of_srq)
			if (pcv_fast_feed(qp))
				pcv_kick(qp);
	}
	/* Looked at without a barrier: one that has only just begun to wait may be missed. */
	return PCV_LOAD(&srq->shared->kick);
}

/* May all of this receive be written to? If not, only the kernel says so to the sender. */
static bool pcv_srq_keys(struct pcv_srq *srq, const struct ibv_recv_wr *wr)
{
	struct pcv_context *ctx = pcv_context(srq->vsrq.srq.context);
	struct pcv_sge sge;
	int i;

	for (i = 0; i < wr->num_sge; i++) {
		sge.addr = wr->sg_list[i].addr;
		sge.length = wr->sg_list[i].length;
		sge.lkey = wr->sg_list[i].lkey;
		if (sge.length && !pcv_mr_find(ctx, srq->vsrq.srq.pd, &sge))
			return false;
	}
	return true;
}

int pcv_srq_post(struct ibv_srq *ibsrq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr)
{
	struct pcv_srq *srq = pcv_srq(ibsrq);
	struct pcv_srq_entry *entry;
	bool locked = pcv_lock(&srq->lock);
	uint32_t shortest = srq->recv_min;
	struct pcv_qp *qp;
	uint32_t head, tail;
	bool kick = false;
	int ret = 0;

	tail = srq->tail;
	/*
	 * PCV(srq_room:B) pairs with srq_room:A
	 * A slot is written again only after whoever took it has read it.
	 */
	head = pcv_cpu_load_acquire(&srq->shared->head);
	for (; wr; wr = wr->next) {
		if (tail - head >= srq->count || srq->free == PCV_SRQ_NONE) {
			ret = ENOMEM;
			break;
		}
		entry = &srq->entry[srq->free];
		ret = pcv_rwqe_fill(pcv_srq_slot(srq, tail), wr, srq->free, srq->max_sge,
				    &entry->bytes);
		if (ret)
			break;
		entry->wr_id = wr->wr_id;
		entry->used = true;
		srq->free = entry->next;
		if (entry->bytes < shortest)
			shortest = entry->bytes;
		if (srq->qps && pcv_unlikely(!pcv_srq_keys(srq, wr)))
			shortest = 0;
		tail++;
	}
	if (ret)
		*bad_wr = wr;
	if (pcv_unlikely(shortest < srq->recv_min)) {
		/* Peers learn it before the receive can be used. */
		srq->recv_min = shortest;
		for (qp = srq->qps; qp; qp = qp->recv.next_of_srq)
			pcv_fast_limit(qp);
	}
	if (tail != srq->tail)
		kick = pcv_srq_publish(srq, tail);
	pcv_unlock(&srq->lock, locked);
	if (pcv_unlikely(kick))
		pcv_srq_kick(srq);
	return ret;
}

bool pcv_srq_give_back(struct pcv_srq *srq, const struct pcv_rwqe *wqe, const struct pcv_sge *sge)
{
	bool locked = pcv_lock(&srq->lock);
	struct pcv_rwqe *slot;
	struct pcv_sge *to;
	bool room, kick = false;
	uint32_t i;

	/*
	 * PCV(srq_room:B) pairs with srq_room:A
	 * A slot is written again only after whoever took it has read it.
	 */
	room = srq->tail - pcv_cpu_load_acquire(&srq->shared->head) < srq->count;
	if (room) {
		slot = pcv_srq_slot(srq, srq->tail);
		to = (struct pcv_sge *)(slot + 1);
		PCV_STORE(&slot->wr_id, wqe->wr_id);
		PCV_STORE(&slot->num_sge, wqe->num_sge);
		for (i = 0; i < wqe->num_sge; i++) {
			PCV_STORE(&to[i].addr, sge[i].addr);
			PCV_STORE(&to[i].length, sge[i].length);
			PCV_STORE(&to[i].lkey, sge[i].lkey);
		}
		kick = pcv_srq_publish(srq, srq->tail + 1);
	}
	pcv_unlock(&srq->lock, locked);
	if (pcv_unlikely(kick))
		pcv_srq_kick(srq);
	return room;
}

bool pcv_srq_low(struct pcv_srq *srq)
{
	uint32_t limit = PCV_LOAD(&srq->limit);

	if (pcv_likely(!limit) ||
	    PCV_LOAD(&srq->shared->tail) - PCV_LOAD(&srq->shared->head) >= limit)
		return false;
	/* It is armed for one event. */
	PCV_STORE(&srq->limit, 0);
	return true;
}

bool pcv_srq_take(struct pcv_srq *srq, struct pcv_rwqe *wqe, struct pcv_sge *sge)
{
	const struct pcv_sge *from;
	struct pcv_rwqe *slot;
	uint32_t head, ready, i;

	for (;;) {
		/*
		 * PCV(srq_tail:B) pairs with srq_tail:A
		 * The slots are written before they are counted. The head
		 * first: a tail older than the head would count far too many.
		 */
		head = pcv_cpu_load_acquire(&srq->shared->head);
		ready = pcv_cpu_load_acquire(&srq->shared->tail) - head;
		if (!ready)
			return false;
		if (ready > srq->count) {
			/* The head was older than the tail; or both are nonsense. */
			if (PCV_LOAD(&srq->shared->head) == head)
				return false;
			continue;
		}
		slot = pcv_srq_slot(srq, head);
		wqe->wr_id = PCV_LOAD(&slot->wr_id);
		wqe->num_sge = PCV_LOAD(&slot->num_sge);
		if (wqe->num_sge > srq->max_sge)
			wqe->num_sge = srq->max_sge;
		from = (const struct pcv_sge *)(slot + 1);
		for (i = 0; i < wqe->num_sge; i++) {
			sge[i].addr = PCV_LOAD(&from[i].addr);
			sge[i].length = PCV_LOAD(&from[i].length);
			sge[i].lkey = PCV_LOAD(&from[i].lkey);
		}
		/*
		 * PCV(srq_take:A) pairs with srq_take:B
		 * Copied first, then taken: if the kernel took it meanwhile,
		 * the copy may be of a slot filled again, and does not count.
		 * PCV(srq_room:A) pairs with srq_room:B
		 * The slot has been read before it can be filled again.
		 */
		if (pcv_word_change(&srq->shared->head, head, head + 1))
			return true;
	}
}

int pcv_srq_complete(struct pcv_srq *srq, uint32_t number, uint32_t bytes, uint64_t *wr_id)
{
	bool locked = pcv_lock(&srq->lock);
	struct pcv_srq_entry *entry;
	int ret = -ENOENT;

	if (number >= srq->entries || !srq->entry[number].used)
		goto out;
	entry = &srq->entry[number];
	ret = -EMSGSIZE;
	if (bytes > entry->bytes)
		goto out;
	ret = 0;
	*wr_id = entry->wr_id;
	entry->used = false;
	entry->next = srq->free;
	srq->free = number;
out:
	pcv_unlock(&srq->lock, locked);
	return ret;
}
