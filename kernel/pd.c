// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Protection domains and address handles. */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <rdma/ib_addr.h>
#include <rdma/ib_cache.h>

#include "dev.h"

int pcv_alloc_pd(struct ib_pd *ib, struct ib_udata *udata)
{
	/* A domain is the pointer that its objects have in common. */
	return pcv_count_up(ib->device, PCV_LIMITED_PD);
}

int pcv_dealloc_pd(struct ib_pd *ib, struct ib_udata *udata)
{
	pcv_count_down(ib->device, PCV_LIMITED_PD);
	return 0;
}

/* Serves create_ah and create_user_ah; the core has resolved dmac by now. */
int pcv_create_ah(struct ib_ah *ib, struct rdma_ah_init_attr *init, struct ib_udata *udata)
{
	struct pcv_verbs *dev = to_verbs(ib->device);
	struct rdma_ah_attr *attr = init->ah_attr;
	const struct ib_global_route *grh = rdma_ah_read_grh(attr);
	struct pcv_create_ah_resp resp = {};
	struct pcv_ah *ah = to_ah(ib);
	unsigned long irq;
	int err;

	if (attr->type != RDMA_AH_ATTR_TYPE_ROCE || !(rdma_ah_get_ah_flags(attr) & IB_AH_GRH))
		return -EINVAL;
	if (!grh->sgid_attr)
		return -EINVAL;

	ether_addr_copy(ah->dmac, attr->roce.dmac);
	ah->traffic_class = grh->traffic_class;
	ah->hop_limit = grh->hop_limit;
	ah->sgid = grh->sgid_attr->gid;
	ah->dgid = grh->dgid;
	err = rdma_read_gid_l2_fields(grh->sgid_attr, &ah->vlan, NULL);
	if (err)
		return err;

	err = pcv_count_up(ib->device, PCV_LIMITED_AH);
	if (err)
		return err;
	xa_lock_irqsave(&dev->ahs, irq);
	err = __xa_alloc_cyclic(&dev->ahs, &ah->number, ah, XA_LIMIT(1, U32_MAX), &dev->next_ah,
				GFP_ATOMIC);
	xa_unlock_irqrestore(&dev->ahs, irq);
	if (err < 0) {
		pcv_count_down(ib->device, PCV_LIMITED_AH);
		return err;
	}

	if (udata) {
		resp.ah = ah->number;
		err = ib_copy_to_udata(udata, &resp, min(sizeof(resp), udata->outlen));
		if (err) {
			pcv_destroy_ah(ib, 0);
			return err;
		}
	}
	return 0;
}

int pcv_query_ah(struct ib_ah *ib, struct rdma_ah_attr *attr)
{
	struct pcv_ah *ah = to_ah(ib);

	memset(attr, 0, sizeof(*attr));
	attr->type = RDMA_AH_ATTR_TYPE_ROCE;
	rdma_ah_set_port_num(attr, 1);
	rdma_ah_set_grh(attr, &ah->dgid, 0, ib->sgid_attr ? ib->sgid_attr->index : 0,
			ah->hop_limit, ah->traffic_class);
	ether_addr_copy(attr->roce.dmac, ah->dmac);
	return 0;
}

int pcv_destroy_ah(struct ib_ah *ib, u32 flags)
{
	struct pcv_verbs *dev = to_verbs(ib->device);
	struct pcv_ah *ah = to_ah(ib);
	unsigned long irq;

	xa_lock_irqsave(&dev->ahs, irq);
	__xa_erase(&dev->ahs, ah->number);
	xa_unlock_irqrestore(&dev->ahs, irq);
	pcv_count_down(ib->device, PCV_LIMITED_AH);
	/*
	 * The core frees the handle when this returns, and this may be called
	 * where sleeping is forbidden. Lookups copy under the table's lock, so
	 * nobody can still look at it.
	 */
	return 0;
}

bool pcv_ah_lookup(struct pcv_verbs *dev, u32 number, const struct ib_pd *pd, struct pcv_ah *copy)
{
	struct pcv_ah *ah;
	unsigned long irq;
	bool found = false;

	xa_lock_irqsave(&dev->ahs, irq);
	ah = xa_load(&dev->ahs, number);
	if (ah && ah->ib.pd == pd) {
		memcpy(copy, ah, sizeof(*copy));
		found = true;
	}
	xa_unlock_irqrestore(&dev->ahs, irq);
	return found;
}
