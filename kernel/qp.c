// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Queue pairs: making them, moving them through their states, taking them away. */
#include <linux/slab.h>
#include <rdma/ib_cache.h>
#include <rdma/uverbs_ioctl.h>

#include "dev.h"
#include "direct.h"
#include "fast.h"

struct pcv_qp *pcv_qp_get(struct pcv_verbs *dev, u32 qpn)
{
	struct pcv_qp *qp;

	rcu_read_lock();
	qp = xa_load(&dev->qps, qpn);
	if (qp && !refcount_inc_not_zero(&qp->refs))
		qp = NULL;
	rcu_read_unlock();
	return qp;
}

void pcv_qp_put(struct pcv_qp *qp)
{
	if (refcount_dec_and_test(&qp->refs))
		complete(&qp->gone);
}

/* Several contexts set different bits; the process only reads them. */
void pcv_qp_kick_set(struct pcv_qp *qp, u32 bits)
{
	atomic_or(bits, (atomic_t *)&qp->shared->kick);
	/* PCV(qp_kick:B) pairs with qp_kick:A: the bit is out before the caller looks again. */
	pcv_cpu_mb();
}

void pcv_qp_kick_clear(struct pcv_qp *qp, u32 bits)
{
	atomic_andnot(bits, (atomic_t *)&qp->shared->kick);
}

void pcv_qp_event(struct pcv_qp *qp, enum ib_event_type type)
{
	struct ib_event event = {
		.device = qp->ib.device,
		.element.qp = &qp->ib,
		.event = type,
	};

	if (qp->ib.event_handler)
		qp->ib.event_handler(&event, qp->ib.qp_context);
}

bool pcv_qp_fail(struct pcv_qp *qp)
{
	enum ib_qp_state state = READ_ONCE(qp->state);

	do {
		if (state == IB_QPS_RESET || state == IB_QPS_ERR)
			return false;
	} while (!try_cmpxchg(&qp->state, &state, IB_QPS_ERR));
	WRITE_ONCE(qp->shared->state, IB_QPS_ERR);
	pcv_fast_fail(qp);
	pcv_direct_stop(qp);
	pcv_stat_inc(PCV_STAT_QP_ERRORS);
	if (refcount_inc_not_zero(&qp->refs) && !queue_work(qp->dev->wq, &qp->fail))
		pcv_qp_put(qp);
	return true;
}

void pcv_qp_fatal(struct pcv_qp *qp)
{
	/* Once: events queue up in the kernel until the process reads them. */
	if (pcv_qp_fail(qp))
		pcv_qp_event(qp, IB_EVENT_QP_FATAL);
}

void pcv_qp_run_later(struct pcv_qp *qp)
{
	if (refcount_inc_not_zero(&qp->refs) && !queue_work(qp->dev->wq, &qp->run))
		pcv_qp_put(qp);
}

/* Everything posted ends with a flush error; later posts find PCV_KICK_* set. */
static void qp_flush(struct pcv_qp *qp)
{
	pcv_direct_drop(qp);
	pcv_fast_error(qp);
	pcv_req_flush(qp);
	pcv_resp_flush(qp);
	pcv_fast_flushed(qp);
	if (qp->ib.srq && !qp->last_wqe_told) {
		qp->last_wqe_told = true;
		pcv_qp_event(qp, IB_EVENT_QP_LAST_WQE_REACHED);
	}
}

static void qp_fail_work(struct work_struct *work)
{
	struct pcv_qp *qp = container_of(work, struct pcv_qp, fail);

	mutex_lock(&qp->modify);
	if (READ_ONCE(qp->state) == IB_QPS_ERR)
		qp_flush(qp);
	mutex_unlock(&qp->modify);
	pcv_qp_put(qp);
}

static void qp_run_work(struct work_struct *work)
{
	struct pcv_qp *qp = container_of(work, struct pcv_qp, run);

	pcv_req_run(qp);
	pcv_resp_kick(qp);
	pcv_resp_pump(qp);
	pcv_qp_put(qp);
}

/* --- creation ---------------------------------------------------------------- */

static int qp_check_init(struct ib_device *ib, const struct ib_qp_init_attr *init, bool user)
{
	const struct ib_qp_cap *cap = &init->cap;

	if (init->create_flags)
		return -EOPNOTSUPP;
	switch (init->qp_type) {
	case IB_QPT_RC:
	case IB_QPT_UD:
		break;
	case IB_QPT_GSI:
		if (user)
			return -EINVAL;
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (cap->max_send_wr > PCV_MAX_WR || cap->max_send_sge > PCV_MAX_SGE ||
	    cap->max_inline_data > PCV_MAX_INLINE)
		return -EINVAL;
	if (!init->srq && (cap->max_recv_wr > PCV_MAX_WR || cap->max_recv_sge > PCV_MAX_SGE))
		return -EINVAL;
	if (!init->send_cq || !init->recv_cq)
		return -EINVAL;
	/* A process's completions go where the process looks, a kernel's into its ring. */
	if (to_cq(init->send_cq)->user != user || to_cq(init->recv_cq)->user != user ||
	    (init->srq && to_srq(init->srq)->user != user))
		return -EINVAL;
	return 0;
}

/* Where things lie in the region. */
struct qp_layout {
	u32 sq_offset, scqe_offset, rq_offset, ring_offset, direct_offset;
	size_t bytes;
};

static void qp_layout(struct pcv_qp *qp, const struct ib_qp_init_attr *init, struct qp_layout *l)
{
	struct pcv_sq *sq = &qp->sq;
	struct pcv_rq *rq = &qp->rq;
	u32 behind;

	sq->max_sge = max(init->cap.max_send_sge, 2u);
	behind = max_t(u32, sq->max_sge * sizeof(struct pcv_sge), init->cap.max_inline_data);
	sq->stride = ALIGN(PCV_SWQE_BYTES + behind, 32);
	sq->max_inline = min_t(u32, sq->stride - PCV_SWQE_BYTES, PCV_MAX_INLINE);
	sq->count = roundup_pow_of_two(max(init->cap.max_send_wr, 1u));
	l->sq_offset = ALIGN(sizeof(struct pcv_qp_shared), 64);
	l->scqe_offset = l->sq_offset + sq->stride * sq->count;
	l->rq_offset = ALIGN(l->scqe_offset + sq->count * (u32)sizeof(struct pcv_scqe), 64);
	l->ring_offset = l->rq_offset;
	rq->ring_count = 256;
	if (!init->srq) {
		rq->max_sge = max(init->cap.max_recv_sge, 1u);
		rq->stride = roundup_pow_of_two(PCV_RWQE_BYTES +
						rq->max_sge * sizeof(struct pcv_sge));
		rq->count = roundup_pow_of_two(max(init->cap.max_recv_wr, 1u));
		l->ring_offset = ALIGN(l->rq_offset + rq->stride * rq->count, 64);
		/* What does not fit waits in the backlog: more than this only costs memory. */
		rq->ring_count = clamp(rq->count / 2, 16u, 1024u);
	}
	if (!qp->user)
		rq->ring_count = 0;
	l->direct_offset = l->ring_offset + rq->ring_count * PCV_LINE_BYTES;
	l->bytes = l->direct_offset;
	if (qp->user && pcv_qp_is_rc(qp))
		l->bytes += PCV_DIRECT_SLOTS * sizeof(struct pcv_direct_slot);
}

static int qp_number(struct pcv_qp *qp)
{
	struct pcv_verbs *dev = qp->dev;
	u32 qpn = 1;
	int err;

	if (qp->type == IB_QPT_GSI)
		err = xa_insert_irq(&dev->qps, qpn, qp, GFP_KERNEL);
	else
		err = xa_alloc_cyclic_irq(&dev->qps, &qpn, qp,
					  XA_LIMIT(PCV_FIRST_QPN, (1 << 24) - 1),
					  &dev->next_qpn, GFP_KERNEL);
	if (err < 0)
		return err;
	qp->ib.qp_num = qpn;
	return 0;
}

int pcv_create_qp(struct ib_qp *ib, struct ib_qp_init_attr *init, struct ib_udata *udata)
{
	struct pcv_verbs *dev = to_verbs(ib->device);
	struct pcv_create_qp_resp resp = {};
	struct pcv_qp *qp = to_qp(ib);
	struct pcv_sq *sq = &qp->sq;
	struct pcv_rq *rq = &qp->rq;
	struct qp_layout l;
	int err;

	err = qp_check_init(ib->device, init, !!udata);
	if (err)
		return err;
	if (udata && udata->outlen < sizeof(resp))
		return -EINVAL;

	qp->dev = dev;
	qp->user = !!udata;
	qp->type = init->qp_type;
	qp->state = IB_QPS_RESET;
	qp->sq_sig_all = init->sq_sig_type == IB_SIGNAL_ALL_WR;
	refcount_set(&qp->refs, 1);
	init_completion(&qp->gone);
	mutex_init(&qp->modify);
	spin_lock_init(&qp->post_lock);
	spin_lock_init(&sq->lock);
	spin_lock_init(&rq->lock);
	INIT_LIST_HEAD(&qp->lent);
	INIT_LIST_HEAD(&rq->backlog);
	INIT_LIST_HEAD(&rq->owes);
	INIT_LIST_HEAD(&rq->hungry);
	INIT_WORK(&qp->run, qp_run_work);
	INIT_WORK(&qp->fail, qp_fail_work);
	pcv_tx_waiter_init(&sq->waiter, pcv_req_waiter);
	pcv_tx_waiter_init(&rq->waiter, pcv_resp_waiter);
	timer_setup(&sq->timer, pcv_req_timer, 0);

	qp_layout(qp, init, &l);
	sq->send = kvcalloc(sq->count, sizeof(*sq->send), GFP_KERNEL);
	if (!sq->send)
		return -ENOMEM;
	qp->region = pcv_region_create(udata, l.bytes);
	if (IS_ERR(qp->region)) {
		err = PTR_ERR(qp->region);
		goto err_free_send;
	}
	qp->shared = qp->region->mem;
	sq->queue = qp->region->mem + l.sq_offset;
	sq->scqe = qp->region->mem + l.scqe_offset;
	rq->queue = qp->region->mem + l.rq_offset;
	if (qp->user)
		pcv_ring_tx_init(&rq->ring, qp->region->mem + l.ring_offset, rq->ring_count,
				 PCV_RX_SEQ_BASE);

	init->cap.max_send_wr = sq->count;
	init->cap.max_send_sge = sq->max_sge;
	init->cap.max_inline_data = sq->max_inline;
	init->cap.max_recv_wr = rq->count;
	init->cap.max_recv_sge = rq->max_sge;
	qp->cap = init->cap;

	if (udata) {
		resp.mmap_offset = pcv_region_offset(qp->region);
		resp.mmap_bytes = qp->region->bytes;
		resp.sq_offset = l.sq_offset;
		resp.sq_stride = sq->stride;
		resp.sq_count = sq->count;
		resp.scqe_offset = l.scqe_offset;
		resp.rq_offset = l.rq_offset;
		resp.rq_stride = rq->stride;
		resp.rq_count = rq->count;
		resp.ring_offset = l.ring_offset;
		resp.ring_count = rq->ring_count;
		resp.max_inline = sq->max_inline;
		resp.max_send_sge = sq->max_sge;
		resp.max_recv_sge = rq->max_sge;
		err = pcv_fast_create(qp, udata, &resp);
		if (err)
			goto err_region;
		err = pcv_direct_create(qp, udata, qp->region->mem + l.direct_offset,
					&resp.direct_mmap);
		if (err)
			goto err_fast;
		if (resp.direct_mmap)
			resp.direct_offset = l.direct_offset;
		err = ib_copy_to_udata(udata, &resp, sizeof(resp));
		if (err)
			goto err_direct;
	}
	err = pcv_count_up(ib->device, PCV_LIMITED_QP);
	if (err)
		goto err_direct;
	/* Last: from here on a peer can name it. */
	err = qp_number(qp);
	if (err)
		goto err_count;
	return 0;

err_count:
	pcv_count_down(ib->device, PCV_LIMITED_QP);
err_direct:
	pcv_direct_destroy(qp);
err_fast:
	pcv_fast_destroy(qp);
err_region:
	pcv_region_destroy(qp->region);
err_free_send:
	kvfree(sq->send);
	return err;
}

/* --- state ---------------------------------------------------------------------- */

/*
 * Forget the peer and whatever was under way with it. The state is RESET or
 * ERR: nobody starts anything new. Process context, @modify held.
 */
static void qp_detach(struct pcv_qp *qp)
{
	struct pcv_verbs *dev = qp->dev;
	bool listed = false;

	/* Who runs now may still start a timer or a wait; who comes later sees the state. */
	spin_lock_bh(&qp->sq.lock);
	spin_unlock_bh(&qp->sq.lock);
	spin_lock_bh(&qp->rq.lock);
	spin_unlock_bh(&qp->rq.lock);

	del_timer_sync(&qp->sq.timer);
	if (qp->sq.wait_peer) {
		pcv_peer_tx_unwait(qp->sq.wait_peer, PCV_VC_REQUEST, &qp->sq.waiter);
		pcv_peer_put(qp->sq.wait_peer);
		qp->sq.wait_peer = NULL;
	}
	if (qp->peer)
		pcv_peer_tx_unwait(qp->peer, PCV_VC_RESPONSE, &qp->rq.waiter);

	spin_lock_bh(&dev->owes_lock);
	if (!list_empty(&qp->rq.owes)) {
		list_del_init(&qp->rq.owes);
		listed = true;
	}
	spin_unlock_bh(&dev->owes_lock);
	if (listed)
		pcv_qp_put(qp);
	if (qp->ib.srq)
		pcv_srq_unwait(qp);
}

/* Both machines stand still. */
static void qp_lock(struct pcv_qp *qp)
{
	spin_lock_bh(&qp->sq.lock);
	spin_lock_nested(&qp->rq.lock, SINGLE_DEPTH_NESTING);
}

static void qp_unlock(struct pcv_qp *qp)
{
	spin_unlock(&qp->rq.lock);
	spin_unlock_bh(&qp->sq.lock);
}

static void qp_drop_peer(struct pcv_qp *qp)
{
	struct pcv_peer *peer;

	qp_lock(qp);
	peer = qp->peer;
	WRITE_ONCE(qp->peer, NULL);
	qp_unlock(qp);
	if (peer)
		pcv_peer_put(peer);
}

static void qp_reset(struct pcv_qp *qp)
{
	if (cancel_work_sync(&qp->run))
		pcv_qp_put(qp);
	qp_detach(qp);
	pcv_direct_drop(qp);
	pcv_fast_reset(qp);
	qp_drop_peer(qp);
	pcv_req_reset(qp);
	pcv_resp_reset(qp);
	qp->last_wqe_told = false;
}

static int qp_connect(struct pcv_qp *qp, const struct ib_qp_attr *attr, int mask)
{
	/* A power of two: positions wrap at 2^32. */
	u32 count = roundup_pow_of_two(max_t(u32, attr->max_dest_rd_atomic, 1));
	struct pcv_read_job *job = NULL;
	struct pcv_peer *peer, *former;

	if (attr->ah_attr.type != RDMA_AH_ATTR_TYPE_ROCE)
		return -EINVAL;
	if (attr->max_dest_rd_atomic > PCV_MAX_RD_ATOMIC)
		return -EINVAL;
	peer = pcv_peer_by_mac(attr->ah_attr.roce.dmac);
	if (!peer)
		return -ENETUNREACH;
	job = kcalloc(count, sizeof(*job), GFP_KERNEL);
	if (!job) {
		pcv_peer_put(peer);
		return -ENOMEM;
	}
	qp_lock(qp);
	former = qp->peer;
	/* A peer that goes down, and UNMAP, look for themselves without the locks. */
	WRITE_ONCE(qp->peer, peer);
	swap(qp->rq.job, job);
	qp->rq.job_count = count;
	WRITE_ONCE(qp->dst_qpn, attr->dest_qp_num);
	qp->rq.expected = PCV_SSN_FIRST(attr->rq_psn);
	qp_unlock(qp);
	kfree(job);
	if (former)
		pcv_peer_put(former);
	return 0;
}

static int qp_check_attr(struct pcv_qp *qp, const struct ib_qp_attr *attr, int mask)
{
	if ((mask & IB_QP_PORT) && attr->port_num != 1)
		return -EINVAL;
	if ((mask & IB_QP_PKEY_INDEX) && attr->pkey_index)
		return -EINVAL;
	if ((mask & IB_QP_MAX_QP_RD_ATOMIC) && attr->max_rd_atomic > PCV_MAX_RD_ATOMIC)
		return -EINVAL;
	if ((mask & IB_QP_MAX_DEST_RD_ATOMIC) && attr->max_dest_rd_atomic > PCV_MAX_RD_ATOMIC)
		return -EINVAL;
	/* The room for it was made on the way to RTR. */
	if ((mask & IB_QP_MAX_DEST_RD_ATOMIC) && qp->rq.job && qp->state != IB_QPS_INIT &&
	    attr->max_dest_rd_atomic > qp->rq.job_count)
		return -EINVAL;
	if (mask & (IB_QP_ALT_PATH | IB_QP_RATE_LIMIT | IB_QP_CAP))
		return -EOPNOTSUPP;
	if ((mask & IB_QP_PATH_MIG_STATE) && attr->path_mig_state != IB_MIG_MIGRATED)
		return -EOPNOTSUPP;
	return 0;
}

static void qp_store_attr(struct pcv_qp *qp, const struct ib_qp_attr *attr, int mask)
{
	struct ib_qp_attr *a = &qp->attr;

	/* The machines go on meanwhile, and count retries themselves. */
	qp_lock(qp);
	if (mask & IB_QP_ACCESS_FLAGS)
		a->qp_access_flags = attr->qp_access_flags;
	if (mask & IB_QP_PKEY_INDEX)
		a->pkey_index = attr->pkey_index;
	if (mask & IB_QP_PORT)
		a->port_num = attr->port_num;
	if (mask & IB_QP_QKEY) {
		a->qkey = attr->qkey;
		WRITE_ONCE(qp->qkey, attr->qkey);
	}
	if (mask & IB_QP_AV) {
		/* For query_qp only: the core holds the GID, we hold the peer. */
		a->ah_attr = attr->ah_attr;
		a->ah_attr.grh.sgid_attr = NULL;
	}
	if (mask & IB_QP_PATH_MTU)
		a->path_mtu = attr->path_mtu;
	if (mask & IB_QP_TIMEOUT)
		a->timeout = attr->timeout;
	if (mask & IB_QP_RETRY_CNT)
		a->retry_cnt = attr->retry_cnt;
	if (mask & IB_QP_RNR_RETRY)
		a->rnr_retry = attr->rnr_retry;
	if (mask & IB_QP_RQ_PSN)
		a->rq_psn = attr->rq_psn;
	if (mask & IB_QP_SQ_PSN) {
		a->sq_psn = attr->sq_psn;
		qp->sq.first = PCV_SSN_FIRST(attr->sq_psn);
	}
	if (mask & IB_QP_MAX_QP_RD_ATOMIC)
		a->max_rd_atomic = attr->max_rd_atomic;
	if (mask & IB_QP_MAX_DEST_RD_ATOMIC)
		a->max_dest_rd_atomic = attr->max_dest_rd_atomic;
	if (mask & IB_QP_MIN_RNR_TIMER)
		a->min_rnr_timer = attr->min_rnr_timer;
	if (mask & IB_QP_DEST_QPN)
		a->dest_qp_num = attr->dest_qp_num;
	if (mask & IB_QP_EN_SQD_ASYNC_NOTIFY)
		a->en_sqd_async_notify = attr->en_sqd_async_notify;
	qp->sq.rnr_left = a->rnr_retry;
	qp->sq.retry_left = a->retry_cnt;
	qp_unlock(qp);
}

/* With the locks: whoever makes it fail has one of them, and tells the process last. */
static bool qp_enter(struct pcv_qp *qp, enum ib_qp_state old, enum ib_qp_state new)
{
	bool entered;

	qp_lock(qp);
	entered = cmpxchg(&qp->state, old, new) == old;
	if (entered)
		WRITE_ONCE(qp->shared->state, new);
	qp_unlock(qp);
	return entered;
}

int pcv_modify_qp(struct ib_qp *ib, struct ib_qp_attr *attr, int mask, struct ib_udata *udata)
{
	struct pcv_qp *qp = to_qp(ib);
	enum ib_qp_state old, new;
	int err;

	if (mask & ~IB_QP_ATTR_STANDARD_BITS)
		return -EOPNOTSUPP;
	mutex_lock(&qp->modify);
	old = READ_ONCE(qp->state);
	if ((mask & IB_QP_CUR_STATE) && attr->cur_qp_state != old) {
		err = -EINVAL;
		goto out;
	}
	new = mask & IB_QP_STATE ? attr->qp_state : old;
	if (!ib_modify_qp_is_ok(old, new, qp->type, mask)) {
		err = -EINVAL;
		goto out;
	}
	err = qp_check_attr(qp, attr, mask);
	if (err)
		goto out;
	if (pcv_qp_is_rc(qp) && new == IB_QPS_RTR && old == IB_QPS_INIT) {
		err = qp_connect(qp, attr, mask);
		if (err)
			goto out;
	}
	qp_store_attr(qp, attr, mask);
	if (new == IB_QPS_RESET) {
		WRITE_ONCE(qp->state, IB_QPS_RESET);
		qp_reset(qp);
		WRITE_ONCE(qp->shared->state, IB_QPS_RESET);
	} else if (new == IB_QPS_ERR) {
		/* From whatever it has become by itself in the meantime. */
		while (!qp_enter(qp, READ_ONCE(qp->state), new))
			;
	} else if (!qp_enter(qp, old, new)) {
		/* It failed by itself in the meantime. */
		err = -EINVAL;
		goto out;
	}
	if (new == IB_QPS_RTR && old == IB_QPS_INIT && pcv_qp_is_rc(qp))
		pcv_fast_connect(qp);
	if (new == IB_QPS_RTS && pcv_qp_is_rc(qp))
		pcv_fast_ready(qp);
	else if (old == IB_QPS_RTS)
		pcv_fast_pause(qp);
	if (new == IB_QPS_ERR) {
		qp_flush(qp);
	} else if (new == IB_QPS_RTS && old != IB_QPS_RTS) {
		pcv_req_run(qp);
	} else if (new == IB_QPS_SQD && old == IB_QPS_RTS) {
		if (attr->en_sqd_async_notify && (mask & IB_QP_EN_SQD_ASYNC_NOTIFY))
			pcv_req_run(qp);
	}
	/* The peer of this queue pair went away while it was being connected. */
	if (qp->peer && new != IB_QPS_RESET && new != IB_QPS_ERR && !pcv_peer_is_up(qp->peer))
		pcv_qp_fail(qp);
out:
	mutex_unlock(&qp->modify);
	return err;
}

int pcv_query_qp(struct ib_qp *ib, struct ib_qp_attr *attr, int mask,
		 struct ib_qp_init_attr *init)
{
	struct pcv_qp *qp = to_qp(ib);

	mutex_lock(&qp->modify);
	spin_lock_bh(&qp->sq.lock);
	*attr = qp->attr;
	attr->qp_state = READ_ONCE(qp->state);
	attr->cur_qp_state = attr->qp_state;
	attr->cap = qp->cap;
	attr->path_mig_state = IB_MIG_MIGRATED;
	attr->sq_draining = attr->qp_state == IB_QPS_SQD && qp->sq.una != qp->sq.sent;
	spin_unlock_bh(&qp->sq.lock);
	mutex_unlock(&qp->modify);

	init->event_handler = ib->event_handler;
	init->qp_context = ib->qp_context;
	init->send_cq = ib->send_cq;
	init->recv_cq = ib->recv_cq;
	init->srq = ib->srq;
	init->cap = qp->cap;
	init->sq_sig_type = qp->sq_sig_all ? IB_SIGNAL_ALL_WR : IB_SIGNAL_REQ_WR;
	init->qp_type = ib->qp_type;
	return 0;
}

int pcv_destroy_qp(struct ib_qp *ib, struct ib_udata *udata)
{
	struct pcv_qp *qp = to_qp(ib);

	mutex_lock(&qp->modify);
	WRITE_ONCE(qp->state, IB_QPS_RESET);
	/* While the number leads here: a REVOKE that finds nobody is answered at once. */
	pcv_direct_drop(qp);
	pcv_fast_reset(qp);
	xa_erase_irq(&qp->dev->qps, ib->qp_num);
	qp_reset(qp);
	mutex_unlock(&qp->modify);
	/* Whoever found it in the table before holds a reference for a bounded time. */
	pcv_qp_put(qp);
	wait_for_completion(&qp->gone);
	/* The core frees it when we return: no lookup may still be reading it. */
	synchronize_rcu_expedited();
	pcv_count_down(ib->device, PCV_LIMITED_QP);
	pcv_direct_destroy(qp);
	pcv_fast_destroy(qp);
	pcv_region_destroy(qp->region);
	kvfree(qp->sq.send);
	kfree(qp->rq.job);
	return 0;
}
