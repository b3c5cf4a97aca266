// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Completion queues.
 *
 * A process's CQ is a set of hints, see pcieverbs-abi.h: its completions lie
 * in its queue pairs. A kernel CQ is an ordinary ring of work completions.
 */
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <rdma/uverbs_ioctl.h>

#include "dev.h"

/* Kernel handlers may post and poll at once: call them with none of our locks held. */
static void cq_tasklet(struct tasklet_struct *t)
{
	struct pcv_cq *cq = from_tasklet(cq, t, tasklet);

	if (!READ_ONCE(cq->dying))
		cq->ib.comp_handler(&cq->ib, cq->ib.cq_context);
}

static int cq_init(struct ib_cq *ib, const struct ib_cq_init_attr *attr, struct ib_udata *udata)
{
	struct pcv_cq *cq = to_cq(ib);
	struct pcv_create_cq_resp resp = {};
	int err;

	if (attr->flags)
		return -EOPNOTSUPP;
	if (attr->cqe < 1 || attr->cqe > ib->device->attrs.max_cqe)
		return -EINVAL;
	spin_lock_init(&cq->lock);
	cq->user = !!udata;
	ib->cqe = attr->cqe;

	if (!udata) {
		cq->size = roundup_pow_of_two(attr->cqe + 1);
		cq->wc = kvcalloc(cq->size, sizeof(*cq->wc), GFP_KERNEL);
		if (!cq->wc)
			return -ENOMEM;
		tasklet_setup(&cq->tasklet, cq_tasklet);
		return 0;
	}

	if (udata->outlen < sizeof(resp))
		return -EINVAL;
	cq->region = pcv_region_create(udata, sizeof(struct pcv_cq_shared));
	if (IS_ERR(cq->region))
		return PTR_ERR(cq->region);
	cq->shared = cq->region->mem;
	resp.mmap_offset = pcv_region_offset(cq->region);
	resp.mmap_bytes = cq->region->bytes;
	err = ib_copy_to_udata(udata, &resp, sizeof(resp));
	if (err)
		pcv_region_destroy(cq->region);
	return err;
}

int pcv_create_cq(struct ib_cq *ib, const struct ib_cq_init_attr *attr,
		  struct pcv_cq_request *request)
{
	int err = pcv_count_up(ib->device, PCV_LIMITED_CQ);

	if (err)
		return err;
	err = cq_init(ib, attr, pcv_cq_udata(request));
	if (err)
		pcv_count_down(ib->device, PCV_LIMITED_CQ);
	return err;
}

int pcv_destroy_cq(struct ib_cq *ib, struct ib_udata *udata)
{
	struct pcv_cq *cq = to_cq(ib);

	/* The core destroys a CQ only after its queue pairs: nobody adds to it. */
	if (!cq->user) {
		WRITE_ONCE(cq->dying, true);
		tasklet_kill(&cq->tasklet);
		kvfree(cq->wc);
	}
	pcv_region_destroy(cq->region);
	pcv_count_down(ib->device, PCV_LIMITED_CQ);
	return 0;
}

int pcv_resize_cq(struct ib_cq *ib, int cqe, struct ib_udata *udata)
{
	if (!to_cq(ib)->user)
		return -EOPNOTSUPP;
	if (cqe < 1 || cqe > ib->device->attrs.max_cqe)
		return -EINVAL;
	/* Completions lie in the queue pairs: there is nothing that could be too small. */
	ib->cqe = cqe;
	return 0;
}

void pcv_cq_hint(struct pcv_cq *cq, u32 qpn, bool solicited)
{
	struct pcv_cq_shared *sh = cq->shared;
	u32 slot = qpn % PCV_CQ_SLOTS;
	u32 armed, want;

	/*
	 * PCV(cq_hint:A) pairs with cq_hint:B: the completion, the word's bit,
	 * then the summary's; who takes them in the other order misses nothing.
	 */
	smp_mb__before_atomic();
	set_bit(slot % 64, (unsigned long *)&sh->hint[slot / 64]);
	smp_mb__before_atomic();
	set_bit(slot / 64, (unsigned long *)&sh->summary);

	/*
	 * PCV(cq_armed:B) pairs with cq_armed:A: the process arms and polls
	 * once more, we complete and look at the arming: one of us sees the other.
	 */
	smp_mb__after_atomic();
	armed = READ_ONCE(sh->armed);
	want = solicited ? PCV_CQ_ARMED_SOLICITED : PCV_CQ_ARMED_ANY;
	if (armed < want)
		return;
	if (cmpxchg(&sh->armed, armed, PCV_CQ_DISARMED) != armed)
		return;
	/* Takes only the event queue's lock and wakes a waiter: safe under ours. */
	if (cq->ib.comp_handler)
		cq->ib.comp_handler(&cq->ib, cq->ib.cq_context);
}

/* A completion is lost: the owner cannot go on with this CQ. Once (IBA vol. 1, 11.6.3.1). */
static void cq_error(struct pcv_cq *cq)
{
	struct ib_event event = {
		.device = cq->ib.device,
		.element.cq = &cq->ib,
		.event = IB_EVENT_CQ_ERR,
	};

	ibdev_warn(cq->ib.device, "completion queue overflows\n");
	if (cq->ib.event_handler)
		cq->ib.event_handler(&event, cq->ib.cq_context);
}

void pcv_cq_push(struct pcv_cq *cq, const struct ib_wc *wc, bool solicited)
{
	unsigned long irq;
	bool call = false;

	spin_lock_irqsave(&cq->lock, irq);
	if (cq->tail - cq->head == cq->size) {
		call = !cq->overflow;
		cq->overflow = true;
		spin_unlock_irqrestore(&cq->lock, irq);
		if (call)
			cq_error(cq);
		return;
	}
	cq->wc[cq->tail++ & (cq->size - 1)] = *wc;
	if (cq->armed && (solicited || (cq->armed & IB_CQ_NEXT_COMP))) {
		cq->armed = 0;
		call = true;
	}
	spin_unlock_irqrestore(&cq->lock, irq);
	if (call)
		tasklet_schedule(&cq->tasklet);
}

static void cq_ask(struct pcv_peer *peer, void *unused)
{
	pcv_peer_ask(peer);
}

static void cq_unask(struct pcv_peer *peer, void *unused)
{
	pcv_peer_unask(peer);
}

int pcv_poll_cq(struct ib_cq *ib, int n, struct ib_wc *wc)
{
	struct pcv_cq *cq = to_cq(ib);
	unsigned long irq;
	int i;

	/*
	 * A process polls by itself. It calls to have the channels looked at
	 * instead of waiting for a doorbell; about to sleep, to have them rung again.
	 */
	if (cq->user) {
		pcv_peer_for_each(READ_ONCE(cq->shared->armed) ? cq_unask : cq_ask, NULL);
		return 0;
	}
	spin_lock_irqsave(&cq->lock, irq);
	for (i = 0; i < n && cq->head != cq->tail; i++)
		wc[i] = cq->wc[cq->head++ & (cq->size - 1)];
	spin_unlock_irqrestore(&cq->lock, irq);
	return i;
}

int pcv_req_notify_cq(struct ib_cq *ib, enum ib_cq_notify_flags flags)
{
	struct pcv_cq *cq = to_cq(ib);
	unsigned long irq;
	int missed = 0;

	if (cq->user)
		return -EOPNOTSUPP;
	spin_lock_irqsave(&cq->lock, irq);
	if (!(cq->armed & IB_CQ_NEXT_COMP))
		cq->armed = flags & IB_CQ_SOLICITED_MASK;
	if ((flags & IB_CQ_REPORT_MISSED_EVENTS) && cq->head != cq->tail)
		missed = 1;
	spin_unlock_irqrestore(&cq->lock, irq);
	return missed;
}
