// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Queue pairs: made, moved between states, given up, destroyed. */
#include <stdlib.h>

#include "provider.h"

struct pcv_create_qp_answer {
	struct ib_uverbs_create_qp_resp core;
	struct pcv_create_qp_resp drv;
};

_Static_assert(sizeof(struct pcv_create_qp_answer) == 128, "no padding between the two parts");

static struct pcv_cq *pcv_qp_send_cq(const struct pcv_qp *qp)
{
	return pcv_cq(qp->vqp.qp.send_cq);
}

static struct pcv_cq *pcv_qp_recv_cq(const struct pcv_qp *qp)
{
	return pcv_cq(qp->vqp.qp.recv_cq);
}

/* Both completion queues' locks, always in the same order. */
static void pcv_qp_lock_cqs(const struct pcv_qp *qp)
{
	struct pcv_cq *a = pcv_qp_send_cq(qp);
	struct pcv_cq *b = pcv_qp_recv_cq(qp);

	if (a == b) {
		pthread_spin_lock(&a->lock);
	} else if ((uintptr_t)a < (uintptr_t)b) {
		pthread_spin_lock(&a->lock);
		pthread_spin_lock(&b->lock);
	} else {
		pthread_spin_lock(&b->lock);
		pthread_spin_lock(&a->lock);
	}
}

static void pcv_qp_unlock_cqs(const struct pcv_qp *qp)
{
	struct pcv_cq *a = pcv_qp_send_cq(qp);
	struct pcv_cq *b = pcv_qp_recv_cq(qp);

	pthread_spin_unlock(&a->lock);
	if (a != b)
		pthread_spin_unlock(&b->lock);
}

/* Caller holds both completion queues' locks, here and in the next one. */
static void pcv_qp_link(struct pcv_qp *qp)
{
	struct pcv_cq *send_cq = pcv_qp_send_cq(qp);
	struct pcv_cq *recv_cq = pcv_qp_recv_cq(qp);

	qp->link[0].qp = qp;
	qp->link[0].roles = PCV_CQ_SEND;
	qp->link[1].qp = qp;
	qp->link[1].roles = PCV_CQ_RECV;
	if (send_cq == recv_cq)
		qp->link[0].roles |= PCV_CQ_RECV;
	else
		pcv_cq_link_add(recv_cq, &qp->link[1]);
	pcv_cq_link_add(send_cq, &qp->link[0]);
}

static void pcv_qp_unlink(struct pcv_qp *qp)
{
	pcv_cq_link_del(pcv_qp_send_cq(qp), &qp->link[0]);
	if (pcv_qp_send_cq(qp) != pcv_qp_recv_cq(qp))
		pcv_cq_link_del(pcv_qp_recv_cq(qp), &qp->link[1]);
}

static int pcv_sq_layout(struct pcv_qp *qp, const struct pcv_create_qp_resp *resp)
{
	struct pcv_sq *sq = &qp->sq;
	uint8_t *base = qp->region.base;
	uint32_t behind;

	sq->count = resp->sq_count;
	if (!sq->count)
		return 0;
	if (!pcv_is_power_of_two(sq->count) || resp->sq_stride < PCV_SWQE_BYTES ||
	    !pcv_region_holds(&qp->region, resp->sq_offset, sq->count, resp->sq_stride, 8) ||
	    !pcv_region_holds(&qp->region, resp->scqe_offset, sq->count, sizeof(*sq->done), 8))
		return EPROTO;
	behind = resp->sq_stride - PCV_SWQE_BYTES;
	if (resp->max_inline > behind || resp->max_send_sge > behind / sizeof(struct pcv_sge))
		return EPROTO;
	sq->queue = base + resp->sq_offset;
	sq->done = (void *)(base + resp->scqe_offset);
	sq->stride = resp->sq_stride;
	sq->max_sge = resp->max_send_sge;
	sq->max_inline = resp->max_inline;
	sq->slot = calloc(sq->count, sizeof(*sq->slot));
	return sq->slot ? 0 : ENOMEM;
}

static int pcv_rq_layout(struct pcv_qp *qp, const struct pcv_create_qp_resp *resp)
{
	struct pcv_rq *rq = &qp->rq;

	rq->count = resp->rq_count;
	if (!rq->count)
		return 0;
	if (!pcv_is_power_of_two(rq->count) || resp->rq_stride < PCV_RWQE_BYTES ||
	    !pcv_region_holds(&qp->region, resp->rq_offset, rq->count, resp->rq_stride, 8) ||
	    resp->max_recv_sge > PCV_MAX_SGE ||
	    resp->max_recv_sge > (resp->rq_stride - PCV_RWQE_BYTES) / sizeof(struct pcv_sge))
		return EPROTO;
	rq->queue = (uint8_t *)qp->region.base + resp->rq_offset;
	rq->stride = resp->rq_stride;
	rq->max_sge = resp->max_recv_sge;
	rq->slot = calloc(rq->count, sizeof(*rq->slot));
	return rq->slot ? 0 : ENOMEM;
}

/* Lay the private views over the region. Return: 0 or a positive errno. */
static int pcv_qp_layout(struct pcv_qp *qp, const struct pcv_create_qp_resp *resp)
{
	int ret;

	if (!pcv_region_holds(&qp->region, 0, 1, sizeof(struct pcv_qp_shared), 8) ||
	    !pcv_is_power_of_two(resp->ring_count) ||
	    !pcv_region_holds(&qp->region, resp->ring_offset, resp->ring_count, PCV_LINE_BYTES,
			      PCV_LINE_BYTES))
		return EPROTO;
	qp->shared = qp->region.base;
	pcv_ring_rx_init(&qp->ring, (uint8_t *)qp->region.base + resp->ring_offset,
			 resp->ring_count, PCV_RX_SEQ_BASE);
	ret = pcv_sq_layout(qp, resp);
	return ret ? ret : pcv_rq_layout(qp, resp);
}

struct ibv_qp *pcv_qp_create(struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
	struct pcv_create_qp_answer resp;
	struct ibv_create_qp cmd;
	struct pcv_qp *qp;
	int ret;

	if (attr->qp_type != IBV_QPT_RC && attr->qp_type != IBV_QPT_UC &&
	    attr->qp_type != IBV_QPT_UD) {
		errno = EOPNOTSUPP;
		return NULL;
	}
	if (!attr->send_cq || !attr->recv_cq) {
		errno = EINVAL;
		return NULL;
	}
	qp = pcv_zalloc(sizeof(*qp));
	if (!qp)
		return NULL;

	memset(&cmd, 0, sizeof(cmd));
	memset(&resp, 0, sizeof(resp));
	ret = ibv_cmd_create_qp(pd, &qp->vqp.qp, attr, &cmd, sizeof(cmd), &resp.core,
				sizeof(resp));
	if (ret)
		goto err_free;
	ret = pcv_region_map(pd->context, resp.drv.mmap_offset, resp.drv.mmap_bytes, &qp->region);
	if (ret)
		goto err_destroy;
	ret = pcv_qp_layout(qp, &resp.drv);
	if (ret)
		goto err_unmap;

	qp->srq = attr->srq ? pcv_srq(attr->srq) : NULL;
	ret = pcv_fast_create(qp, &resp.drv);
	if (ret)
		goto err_unmap;
	qp->sq.sig_all = attr->sq_sig_all;
	attr->cap.max_inline_data = resp.drv.max_inline;
	pthread_spin_init(&qp->sq.lock, PTHREAD_PROCESS_PRIVATE);
	pthread_spin_init(&qp->rq.lock, PTHREAD_PROCESS_PRIVATE);
	qp->rq.recv_min = PCV_RECV_NONE;
	pcv_qp_lock_cqs(qp);
	pcv_qp_link(qp);
	pcv_qp_unlock_cqs(qp);
	return &qp->vqp.qp;

err_unmap:
	free(qp->rq.slot);
	free(qp->sq.slot);
	pcv_region_unmap(&qp->region);
err_destroy:
	ibv_cmd_destroy_qp(&qp->vqp.qp);
err_free:
	free(qp);
	errno = ret;
	return NULL;
}

int pcv_qp_to_error(struct pcv_qp *qp)
{
	struct ibv_qp_attr attr;
	struct ibv_modify_qp cmd;

	memset(&attr, 0, sizeof(attr));
	memset(&cmd, 0, sizeof(cmd));
	attr.qp_state = IBV_QPS_ERR;
	return ibv_cmd_modify_qp(&qp->vqp.qp, &attr, IBV_QP_STATE, &cmd, sizeof(cmd));
}

/*
 * Receives of a shared queue that the kernel has taken for this queue pair
 * come back through its ring when it goes into error; without that they would
 * be lost when it is reset or destroyed in the middle of a message.
 */
static void pcv_qp_recall(struct pcv_qp *qp)
{
	enum ibv_qp_state state = qp->vqp.qp.state;

	if (qp->srq && state != IBV_QPS_RESET && state != IBV_QPS_INIT && state != IBV_QPS_ERR)
		pcv_qp_to_error(qp);
}

static int pcv_qp_reset(struct pcv_qp *qp, struct ibv_qp_attr *attr, int mask)
{
	struct ibv_modify_qp cmd;
	int ret;

	pcv_qp_recall(qp);
	memset(&cmd, 0, sizeof(cmd));
	/* The kernel starts its indices anew: nobody may look until ours are, too. */
	pcv_qp_lock_cqs(qp);
	pthread_spin_lock(&qp->sq.lock);
	pthread_spin_lock(&qp->rq.lock);
	if (qp->srq)
		pcv_rx_drain(qp);
	ret = ibv_cmd_modify_qp(&qp->vqp.qp, attr, mask, &cmd, sizeof(cmd));
	if (!ret) {
		PCV_STORE(&qp->sq.tail, 0);
		PCV_STORE(&qp->sq.head, 0);
		PCV_STORE(&qp->rq.tail, 0);
		PCV_STORE(&qp->rq.head, 0);
		qp->ring.head = 0;
		qp->ring_told = 0;
		qp->ring_kick = false;
		qp->rx_stopped = false;
		qp->why = PCV_BREAK_NONE;
		PCV_STORE(&qp->health, PCV_QP_SOUND);
		pcv_fast_reset(qp);
		pcv_cq_link_stop(pcv_qp_send_cq(qp), &qp->link[0]);
		pcv_cq_link_stop(pcv_qp_recv_cq(qp), &qp->link[1]);
	}
	pthread_spin_unlock(&qp->rq.lock);
	pthread_spin_unlock(&qp->sq.lock);
	pcv_qp_unlock_cqs(qp);
	return ret;
}

int pcv_qp_modify(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask)
{
	struct pcv_qp *qp = pcv_qp(ibqp);
	struct ibv_modify_qp cmd;
	int ret;

	if (mask & IBV_QP_STATE && attr->qp_state == IBV_QPS_RESET)
		return pcv_qp_reset(qp, attr, mask);
	memset(&cmd, 0, sizeof(cmd));
	if (mask & IBV_QP_AV) {
		struct ibv_qp_attr full = *attr;

		pcv_ah_attr_complete(ibqp->context, &full.ah_attr);
		ret = ibv_cmd_modify_qp(ibqp, &full, mask, &cmd, sizeof(cmd));
	} else {
		ret = ibv_cmd_modify_qp(ibqp, attr, mask, &cmd, sizeof(cmd));
	}
	if (ret || !qp->fast_own.base)
		return ret;
	if (mask & IBV_QP_DEST_QPN)
		qp->recv.peer_qpn = attr->dest_qp_num;
	if (mask & IBV_QP_STATE && attr->qp_state == IBV_QPS_RTR)
		pcv_fast_start(qp);
	return 0;
}

int pcv_qp_query(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask,
		 struct ibv_qp_init_attr *init_attr)
{
	struct ibv_query_qp cmd;

	memset(&cmd, 0, sizeof(cmd));
	return ibv_cmd_query_qp(ibqp, attr, mask, init_attr, &cmd, sizeof(cmd));
}

int pcv_qp_destroy(struct ibv_qp *ibqp)
{
	struct pcv_qp *qp = pcv_qp(ibqp);
	int ret;

	/* The kernel clears the region: nobody may look by then. */
	pcv_qp_recall(qp);
	pcv_qp_lock_cqs(qp);
	pcv_fast_unwatch(qp);
	pcv_qp_unlink(qp);
	if (qp->srq) {
		pcv_rx_drain(qp);
		pcv_fast_return(qp);
	}
	pcv_qp_unlock_cqs(qp);

	ret = ibv_cmd_destroy_qp(ibqp);
	if (ret) {
		pcv_qp_lock_cqs(qp);
		pcv_qp_link(qp);
		pcv_fast_watch(qp);
		pcv_qp_unlock_cqs(qp);
		pcv_cq_hint(pcv_qp_send_cq(qp), qp);
		pcv_cq_hint(pcv_qp_recv_cq(qp), qp);
		return ret;
	}
	pcv_fast_destroy(qp);
	pcv_region_unmap(&qp->region);
	pthread_spin_destroy(&qp->rq.lock);
	pthread_spin_destroy(&qp->sq.lock);
	free(qp->rq.slot);
	free(qp->sq.slot);
	free(qp);
	return 0;
}

void pcv_qp_break(struct pcv_qp *qp, enum pcv_break why)
{
	bool first;

	pthread_spin_lock(&qp->sq.lock);
	pthread_spin_lock(&qp->rq.lock);
	first = qp->health == PCV_QP_SOUND;
	if (first) {
		qp->why = why;
		PCV_STORE(&qp->health, PCV_QP_BREAKING);
	}
	pthread_spin_unlock(&qp->rq.lock);
	pthread_spin_unlock(&qp->sq.lock);
	if (!first)
		return;

	pcv_qp_to_error(qp);
	/*
	 * PCV(qp_health:A) pairs with qp_health:B
	 * The kernel stops using the buffers before they are reported as free.
	 */
	pcv_cpu_store_release(&qp->health, PCV_QP_BROKEN);
	pcv_cq_hint(pcv_qp_send_cq(qp), qp);
	pcv_cq_hint(pcv_qp_recv_cq(qp), qp);
	/*
	 * The kernel's events may have come before: who slept has found nothing, and sleeps.
	 * (Without fast rings nobody hears that: only a kernel that lies is left then.)
	 */
	pcv_word_count(&qp->shared->self);
	PCV_STORE(&qp->shared->starved, ((qp->shared->starved & ~1u) + 2) | 1);
	pcv_kick(qp);
}
