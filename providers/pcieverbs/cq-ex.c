// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Completion queues with the extended way to poll: one completion at a time,
 * under the queue's lock from the start to the end of a batch.
 */
#include "provider.h"

static struct pcv_cq *pcv_cq_ex(struct ibv_cq_ex *cq)
{
	return pcv_container(cq, struct pcv_cq, vcq.cq_ex);
}

static int pcv_cq_ex_next(struct ibv_cq_ex *ex)
{
	struct pcv_cq *cq = pcv_cq_ex(ex);

	if (!pcv_cq_poll_locked(cq, 1, &cq->ex_wc))
		return ENOENT;
	ex->wr_id = cq->ex_wc.wr_id;
	ex->status = cq->ex_wc.status;
	return 0;
}

static int pcv_cq_ex_start(struct ibv_cq_ex *ex, struct ibv_poll_cq_attr *attr)
{
	struct pcv_cq *cq = pcv_cq_ex(ex);
	int ret;

	if (attr->comp_mask)
		return EINVAL;
	pthread_spin_lock(&cq->lock);
	ret = pcv_cq_ex_next(ex);
	/* A batch that did not start is not ended by the caller. */
	if (ret) {
		pthread_spin_unlock(&cq->lock);
		pcv_cq_poll_empty(cq);
		return ret;
	}
	cq->ex_thread = pthread_self();
	/* PCV(cq_batch:A) pairs with cq_batch:B: who it is, then that there is one. */
	pcv_cpu_store_release(&cq->ex_open, 1);
	return 0;
}

static void pcv_cq_ex_end(struct ibv_cq_ex *ex)
{
	struct pcv_cq *cq = pcv_cq_ex(ex);

	PCV_STORE(&cq->ex_open, 0);
	pthread_spin_unlock(&cq->lock);
}

static enum ibv_wc_opcode pcv_cq_ex_opcode(struct ibv_cq_ex *ex)
{
	return pcv_cq_ex(ex)->ex_wc.opcode;
}

static uint32_t pcv_cq_ex_vendor_err(struct ibv_cq_ex *ex)
{
	return pcv_cq_ex(ex)->ex_wc.vendor_err;
}

static uint32_t pcv_cq_ex_byte_len(struct ibv_cq_ex *ex)
{
	return pcv_cq_ex(ex)->ex_wc.byte_len;
}

static __be32 pcv_cq_ex_imm_data(struct ibv_cq_ex *ex)
{
	return pcv_cq_ex(ex)->ex_wc.imm_data;
}

static uint32_t pcv_cq_ex_qp_num(struct ibv_cq_ex *ex)
{
	return pcv_cq_ex(ex)->ex_wc.qp_num;
}

static uint32_t pcv_cq_ex_src_qp(struct ibv_cq_ex *ex)
{
	return pcv_cq_ex(ex)->ex_wc.src_qp;
}

static unsigned int pcv_cq_ex_wc_flags(struct ibv_cq_ex *ex)
{
	return pcv_cq_ex(ex)->ex_wc.wc_flags;
}

static uint32_t pcv_cq_ex_slid(struct ibv_cq_ex *ex)
{
	return pcv_cq_ex(ex)->ex_wc.slid;
}

static uint8_t pcv_cq_ex_sl(struct ibv_cq_ex *ex)
{
	return pcv_cq_ex(ex)->ex_wc.sl;
}

static uint8_t pcv_cq_ex_dlid_path_bits(struct ibv_cq_ex *ex)
{
	return pcv_cq_ex(ex)->ex_wc.dlid_path_bits;
}

struct ibv_cq_ex *pcv_cq_create_ex(struct ibv_context *ctx, struct ibv_cq_init_attr_ex *attr)
{
	/* The queue cannot overrun, and a lock that nobody contends costs little. */
	const uint32_t flags = IBV_CREATE_CQ_ATTR_IGNORE_OVERRUN |
			       IBV_CREATE_CQ_ATTR_SINGLE_THREADED;
	struct ibv_cq_ex *ex;
	struct ibv_cq *cq;

	if (attr->comp_mask & ~(uint32_t)IBV_CQ_INIT_ATTR_MASK_FLAGS ||
	    attr->wc_flags & ~(uint64_t)IBV_WC_STANDARD_FLAGS ||
	    (attr->comp_mask & IBV_CQ_INIT_ATTR_MASK_FLAGS && attr->flags & ~flags)) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	cq = pcv_cq_create(ctx, (int)attr->cqe, attr->channel, (int)attr->comp_vector);
	if (!cq)
		return NULL;

	ex = &pcv_cq(cq)->vcq.cq_ex;
	ex->start_poll = pcv_cq_ex_start;
	ex->next_poll = pcv_cq_ex_next;
	ex->end_poll = pcv_cq_ex_end;
	ex->read_opcode = pcv_cq_ex_opcode;
	ex->read_vendor_err = pcv_cq_ex_vendor_err;
	ex->read_byte_len = pcv_cq_ex_byte_len;
	ex->read_imm_data = pcv_cq_ex_imm_data;
	ex->read_qp_num = pcv_cq_ex_qp_num;
	ex->read_src_qp = pcv_cq_ex_src_qp;
	ex->read_wc_flags = pcv_cq_ex_wc_flags;
	ex->read_slid = pcv_cq_ex_slid;
	ex->read_sl = pcv_cq_ex_sl;
	ex->read_dlid_path_bits = pcv_cq_ex_dlid_path_bits;
	return ex;
}
