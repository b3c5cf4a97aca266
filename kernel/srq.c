// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Shared receive queues. */
#include <linux/slab.h>
#include <rdma/uverbs_ioctl.h>

#include "dev.h"

static int srq_init(struct ib_srq *ib, struct ib_srq_init_attr *init, struct ib_udata *udata)
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
	INIT_LIST_HEAD(&srq->hungry);
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

int pcv_create_srq(struct ib_srq *ib, struct ib_srq_init_attr *init, struct ib_udata *udata)
{
	int err = pcv_count_up(ib->device, PCV_LIMITED_SRQ);

	if (err)
		return err;
	err = srq_init(ib, init, udata);
	if (err)
		pcv_count_down(ib->device, PCV_LIMITED_SRQ);
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
	pcv_count_down(ib->device, PCV_LIMITED_SRQ);
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

/* Fewer than the limit are left: its owner hears of it, once. */
static void srq_limit(struct pcv_srq *srq, u32 left)
{
	struct ib_event event = {
		.device = srq->ib.device,
		.element.srq = &srq->ib,
		.event = IB_EVENT_SRQ_LIMIT_REACHED,
	};
	unsigned long irq;
	bool tell = false;

	if (!READ_ONCE(srq->limit))
		return;
	spin_lock_irqsave(&srq->lock, irq);
	if (srq->limit && left < srq->limit) {
		srq->limit = 0;
		tell = true;
	}
	spin_unlock_irqrestore(&srq->lock, irq);
	if (tell && srq->ib.event_handler)
		srq->ib.event_handler(&event, srq->ib.srq_context);
}

int pcv_srq_claim(struct pcv_srq *srq, struct pcv_recv *recv)
{
	struct pcv_srq_shared *sh = srq->shared;
	u32 head, tail, left;
	int tries, err;

	/* A process that takes entries as fast as we look could keep us here: bounded. */
	for (tries = 0; tries < 1000; tries++) {
		/* PCV(srq_tail:B) pairs with srq_tail:A: the tail is of this head or later. */
		head = pcv_cpu_load_acquire(&sh->head);
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
	srq_limit(srq, left - 1);
	return 1;
}

u32 pcv_srq_left(const struct pcv_srq *srq)
{
	/* PCV(srq_tail:B) pairs with srq_tail:A: as in pcv_srq_claim(). */
	u32 head = pcv_cpu_load_acquire(&srq->shared->head);

	return READ_ONCE(srq->shared->tail) - head;
}

void pcv_srq_look(struct pcv_srq *srq)
{
	srq_limit(srq, pcv_srq_left(srq));
}

/* --- those who found it empty --------------------------------------------------- */

void pcv_srq_wait(struct pcv_qp *qp)
{
	struct pcv_srq *srq = to_srq(qp->ib.srq);
	unsigned long irq;

	lockdep_assert_held(&qp->rq.lock);
	spin_lock_irqsave(&srq->lock, irq);
	if (list_empty(&qp->rq.hungry) && refcount_inc_not_zero(&qp->refs)) {
		list_add_tail(&qp->rq.hungry, &srq->hungry);
		WRITE_ONCE(srq->shared->kick, ++srq->hungry_count);
	}
	spin_unlock_irqrestore(&srq->lock, irq);
	/* PCV(qp_kick:B) pairs with qp_kick:A: for the kernel's own posts, before the next look. */
	pcv_cpu_mb();
}

static void srq_off(struct pcv_srq *srq, struct pcv_qp *qp)
{
	list_del_init(&qp->rq.hungry);
	WRITE_ONCE(srq->shared->kick, --srq->hungry_count);
}

void pcv_srq_unwait(struct pcv_qp *qp)
{
	struct pcv_srq *srq = to_srq(qp->ib.srq);
	unsigned long irq;
	bool was;

	spin_lock_irqsave(&srq->lock, irq);
	was = !list_empty(&qp->rq.hungry);
	if (was)
		srq_off(srq, qp);
	spin_unlock_irqrestore(&srq->lock, irq);
	if (was)
		pcv_qp_put(qp);
}

void pcv_srq_wake(struct pcv_srq *srq)
{
	/* Not more than can be served: the others would only come to the end of the list. */
	u32 room = min(pcv_srq_left(srq), srq->count);
	u32 count = READ_ONCE(srq->hungry_count);
	struct pcv_qp *qp;
	unsigned long irq;

	while (room && count--) {
		spin_lock_irqsave(&srq->lock, irq);
		qp = list_first_entry_or_null(&srq->hungry, struct pcv_qp, rq.hungry);
		if (qp)
			srq_off(srq, qp);
		spin_unlock_irqrestore(&srq->lock, irq);
		if (!qp)
			break;
		if (in_hardirq() || irqs_disabled()) {
			pcv_qp_run_later(qp);
			room--;
		} else if (pcv_resp_kick(qp)) {
			room--;
		}
		pcv_qp_put(qp);
	}
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
	if (srq->user) {
		/* A process posts into its ring; this is its call for those who wait. */
		if (wr)
			return -EOPNOTSUPP;
		pcv_srq_wake(srq);
		return 0;
	}
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
	/* PCV(qp_kick:A) pairs with qp_kick:B: posted, then a look whether somebody waits. */
	pcv_cpu_mb();
	if (READ_ONCE(sh->kick))
		pcv_srq_wake(srq);
	return err;
}
