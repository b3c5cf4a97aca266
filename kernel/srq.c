// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Shared receive queues. */
#include <linux/slab.h>
#include <rdma/uverbs_ioctl.h>

#include "dev.h"

int pcv_create_srq(struct ib_srq *ib, struct ib_srq_init_attr *init, struct ib_udata *udata)
{
	struct pcv_srq *srq = to_srq(ib);
	struct pcv_create_srq_resp resp = {};
	size_t bytes;
	int err;

	if (init->srq_type != IB_SRQT_BASIC)
		return -EOPNOTSUPP;
	if (init->attr.max_wr < 1 || init->attr.max_wr > PCV_MAX_SRQ_WR ||
	    init->attr.max_sge > PCV_MAX_SGE)
		return -EINVAL;
	if (udata && udata->outlen < sizeof(resp))
		return -EINVAL;

	spin_lock_init(&srq->lock);
	srq->user = !!udata;
	srq->max_sge = max(init->attr.max_sge, 1u);
	srq->max_wr = init->attr.max_wr;
	srq->count = roundup_pow_of_two(srq->max_wr);
	srq->stride = roundup_pow_of_two(PCV_RWQE_BYTES + srq->max_sge * sizeof(struct pcv_sge));
	srq->limit = init->attr.srq_limit;
	bytes = sizeof(struct pcv_srq_shared) + (size_t)srq->count * srq->stride;

	srq->region = pcv_region_create(udata, bytes);
	if (IS_ERR(srq->region))
		return PTR_ERR(srq->region);
	srq->shared = srq->region->mem;
	srq->queue = srq->region->mem + sizeof(struct pcv_srq_shared);
	init->attr.max_sge = srq->max_sge;
	if (!udata)
		return 0;

	resp.mmap_offset = pcv_region_offset(srq->region);
	resp.mmap_bytes = srq->region->bytes;
	resp.queue_offset = sizeof(struct pcv_srq_shared);
	resp.stride = srq->stride;
	resp.count = srq->count;
	err = ib_copy_to_udata(udata, &resp, sizeof(resp));
	if (err)
		pcv_region_destroy(srq->region);
	return err;
}

int pcv_modify_srq(struct ib_srq *ib, struct ib_srq_attr *attr, enum ib_srq_attr_mask mask,
		   struct ib_udata *udata)
{
	struct pcv_srq *srq = to_srq(ib);

	if (mask & IB_SRQ_MAX_WR)
		return -EOPNOTSUPP;
	if (mask & IB_SRQ_LIMIT) {
		if (attr->srq_limit > srq->max_wr)
			return -EINVAL;
		spin_lock_irq(&srq->lock);
		srq->limit = attr->srq_limit;
		spin_unlock_irq(&srq->lock);
	}
	return 0;
}

int pcv_query_srq(struct ib_srq *ib, struct ib_srq_attr *attr)
{
	struct pcv_srq *srq = to_srq(ib);

	attr->max_wr = srq->max_wr;
	attr->max_sge = srq->max_sge;
	attr->srq_limit = srq->limit;
	return 0;
}

int pcv_destroy_srq(struct ib_srq *ib, struct ib_udata *udata)
{
	pcv_region_destroy(to_srq(ib)->region);
	return 0;
}

int pcv_recv_read(struct pcv_recv *recv, const void *wqe, u32 max_sge)
{
	const struct pcv_rwqe *rwqe = wqe;
	u32 i;

	recv->wr_id = READ_ONCE(rwqe->wr_id);
	recv->num_sge = READ_ONCE(rwqe->num_sge);
	if (recv->num_sge > max_sge)
		return -EINVAL;
	memcpy(recv->sge, wqe + PCV_RWQE_BYTES, recv->num_sge * sizeof(struct pcv_sge));
	recv->length = 0;
	for (i = 0; i < recv->num_sge; i++)
		recv->length += recv->sge[i].length;
	return 0;
}

int pcv_srq_claim(struct pcv_srq *srq, struct pcv_recv *recv)
{
	struct pcv_srq_shared *sh = srq->shared;
	u32 head, tail, left;
	int tries, err;

	/* A process that takes entries as fast as we look could keep us here: bounded. */
	for (tries = 0; tries < 1000; tries++) {
		head = READ_ONCE(sh->head);
		/* PCV(srq_tail:B) pairs with srq_tail:A: entries before their tail. */
		tail = pcv_cpu_load_acquire(&sh->tail);
		left = tail - head;
		if (!left)
			return 0;
		if (left > srq->count) {
			/* Taken and posted between the two loads: the head is old. */
			if (READ_ONCE(sh->head) != head)
				continue;
			return -EINVAL;
		}
		err = pcv_recv_read(recv, srq->queue + (head & (srq->count - 1)) * srq->stride,
				    srq->max_sge);
		/* PCV(srq_take:B) pairs with srq_take:A: the copy counts only if nobody took it. */
		if (cmpxchg(&sh->head, head, head + 1) != head)
			continue;
		if (err)
			return err;
		recv->index = (u32)recv->wr_id;
		goto taken;
	}
	return 0;

taken:
	if (srq->limit) {
		unsigned long irq;
		bool tell = false;

		spin_lock_irqsave(&srq->lock, irq);
		if (srq->limit && left - 1 < srq->limit) {
			srq->limit = 0;
			tell = true;
		}
		spin_unlock_irqrestore(&srq->lock, irq);
		if (tell && srq->ib.event_handler) {
			struct ib_event event = {
				.device = srq->ib.device,
				.element.srq = &srq->ib,
				.event = IB_EVENT_SRQ_LIMIT_REACHED,
			};

			srq->ib.event_handler(&event, srq->ib.srq_context);
		}
	}
	return 1;
}

int pcv_post_srq_recv(struct ib_srq *ib, const struct ib_recv_wr *wr,
		      const struct ib_recv_wr **bad)
{
	struct pcv_srq *srq = to_srq(ib);
	struct pcv_srq_shared *sh = srq->shared;
	unsigned long irq;
	int err = 0;
	u32 i;

	*bad = wr;
	if (srq->user)
		return -EOPNOTSUPP;
	spin_lock_irqsave(&srq->lock, irq);
	for (; wr; wr = wr->next) {
		struct pcv_rwqe *rwqe = srq->queue + (sh->tail & (srq->count - 1)) * srq->stride;
		struct pcv_sge *sge = (void *)rwqe + PCV_RWQE_BYTES;

		if (wr->num_sge > srq->max_sge) {
			err = -EINVAL;
			break;
		}
		if (sh->tail - READ_ONCE(sh->head) >= srq->max_wr) {
			err = -ENOMEM;
			break;
		}
		rwqe->wr_id = wr->wr_id;
		rwqe->num_sge = wr->num_sge;
		for (i = 0; i < wr->num_sge; i++) {
			sge[i].addr = wr->sg_list[i].addr;
			sge[i].length = wr->sg_list[i].length;
			sge[i].lkey = wr->sg_list[i].lkey;
		}
		/* PCV(srq_tail:A) pairs with srq_tail:B: the entry, then its tail. */
		pcv_cpu_store_release(&sh->tail, sh->tail + 1);
	}
	spin_unlock_irqrestore(&srq->lock, irq);
	*bad = wr;
	return err;
}
