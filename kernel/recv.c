// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The receiving end that all queue pair types share: taking a receive work
 * request, placing data into it, telling its owner. rq.lock is held.
 */
#include <linux/slab.h>

#include "dev.h"

int pcv_recv_claim(struct pcv_qp *qp, struct pcv_recv *recv)
{
	struct pcv_rq *rq = &qp->rq;
	u32 tail, left;
	int err;

	if (qp->ib.srq)
		return pcv_srq_claim(to_srq(qp->ib.srq), recv);

	/* PCV(qp_rq_tail:B) pairs with qp_rq_tail:A: entries before the tail that covers them. */
	tail = pcv_cpu_load_acquire(&qp->shared->rq_tail);
	left = tail - rq->next;
	/* Messages of the fast ring may be ahead of the receives. */
	if ((s32)left <= 0)
		return 0;
	if (left > rq->count)
		return -EINVAL;
	err = pcv_recv_read(recv, rq->queue + (rq->next & (rq->count - 1)) * rq->stride,
			    rq->max_sge);
	if (err)
		return err;
	recv->index = rq->next;
	/* PCV(qp_rq_room:A) pairs with qp_rq_room:B: read before a kernel poster fills it again. */
	pcv_cpu_store_release(&rq->next, rq->next + 1);
	return 1;
}

/* Return: 0, or -EFAULT if the entries do not allow it. */
int pcv_recv_scatter(struct pcv_qp *qp, const struct pcv_sge *list, u32 num_sge, u64 offset,
		     const void *src, u32 len)
{
	u64 start = 0;
	u32 i;

	for (i = 0; i < num_sge && len; i++) {
		const struct pcv_sge *sge = &list[i];
		struct pcv_mr *mr;
		u64 skip;
		u32 n;

		if (offset >= start + sge->length) {
			start += sge->length;
			continue;
		}
		skip = offset - start;
		n = min_t(u64, len, sge->length - skip);
		mr = pcv_mr_get(qp, sge->lkey, sge->addr + skip, n, IB_ACCESS_LOCAL_WRITE, false);
		if (!mr)
			return -EFAULT;
		pcv_mr_write(mr, sge->addr + skip, src, n);
		pcv_mr_put(mr);
		src += n;
		offset += n;
		len -= n;
		start += sge->length;
	}
	return len ? -EFAULT : 0;
}

/* Take the process's word for how far it has read. Return: 0 or -EPROTO. */
static int ring_credit(struct pcv_qp *qp)
{
	/* PCV(ring_head:B) pairs with ring_head:A: lines are read before they are given back. */
	return pcv_ring_credit(&qp->rq.ring, pcv_cpu_load_acquire(&qp->shared->ring_head));
}

static int ring_put(struct pcv_qp *qp, u8 type, u8 flags, const struct pcv_ring_vec *vec, int n)
{
	int err = pcv_ring_put(&qp->rq.ring, type, flags, vec, n);

	if (err != -EAGAIN)
		return err;
	err = ring_credit(qp);
	if (err)
		return err;
	return pcv_ring_put(&qp->rq.ring, type, flags, vec, n);
}

static void ring_broken(struct pcv_qp *qp)
{
	pcv_qp_fatal(qp);
}

static void tell(struct pcv_qp *qp, bool solicited)
{
	pcv_cq_hint(to_cq(qp->ib.recv_cq), qp->ib.qp_num, solicited);
}

static int put_placed(struct pcv_qp *qp, const struct pcv_rx_placed *placed, bool solicited)
{
	struct pcv_ring_vec vec = { .base = placed, .len = sizeof(*placed) };

	return ring_put(qp, PCV_RX_PLACED, solicited ? PCV_RX_SOLICITED : 0, &vec, 1);
}

/* Move completions that waited into the ring, as far as there is room. */
void pcv_recv_backlog(struct pcv_qp *qp)
{
	struct pcv_backlog *b, *next;
	bool told = false;

	list_for_each_entry_safe(b, next, &qp->rq.backlog, entry) {
		int err = put_placed(qp, &b->placed, b->solicited);

		if (err == -EAGAIN)
			break;
		if (err < 0) {
			ring_broken(qp);
			break;
		}
		list_del(&b->entry);
		qp->rq.backlogged--;
		told = true;
		tell(qp, b->solicited);
		kfree(b);
	}
	if (told && list_empty(&qp->rq.backlog))
		pcv_qp_kick_clear(qp, PCV_KICK_RING);
}

static void backlog_add(struct pcv_qp *qp, const struct pcv_rx_placed *placed, bool solicited)
{
	/* An honest provider has no more of them unpolled than it can have posted. */
	u32 most = qp->ib.srq ? 2 * to_srq(qp->ib.srq)->count : qp->rq.count;
	struct pcv_backlog *b = NULL;

	if (qp->rq.backlogged < most)
		b = kmalloc(sizeof(*b), GFP_ATOMIC);
	if (!b) {
		ring_broken(qp);
		return;
	}
	pcv_stat_inc(PCV_STAT_RX_BACKLOG);
	b->placed = *placed;
	b->solicited = solicited;
	list_add_tail(&b->entry, &qp->rq.backlog);
	qp->rq.backlogged++;
	/*
	 * PCV(qp_kick:B) pairs with qp_kick:A: we ask for a call and look at the
	 * ring once more; the process frees lines and looks whether we ask.
	 */
	pcv_qp_kick_set(qp, PCV_KICK_RING);
	pcv_recv_backlog(qp);
}

static void complete_kernel(struct pcv_qp *qp, const struct pcv_recv *recv,
			    const struct pcv_rx_placed *placed, const struct pcv_ud_hdr *ud,
			    bool solicited)
{
	struct ib_wc wc = {
		.wr_id = recv->wr_id,
		.status = pcv_le32(placed->status),
		.opcode = placed->opcode == PCV_RX_OP_WRITE_IMM ? IB_WC_RECV_RDMA_WITH_IMM :
								  IB_WC_RECV,
		.byte_len = pcv_le32(placed->byte_len),
		.qp = &qp->ib,
		.src_qp = pcv_le32(placed->src_qp),
		.port_num = 1,
	};

	if (placed->wc_flags & PCV_RX_WC_IMM) {
		wc.wc_flags |= IB_WC_WITH_IMM;
		wc.ex.imm_data = (__force __be32)placed->imm;
	}
	if (placed->wc_flags & PCV_RX_WC_INV) {
		wc.wc_flags |= IB_WC_WITH_INVALIDATE;
		wc.ex.invalidate_rkey = pcv_le32(placed->imm);
	}
	if (ud) {
		wc.wc_flags |= IB_WC_GRH | IB_WC_WITH_NETWORK_HDR_TYPE;
		wc.network_hdr_type = pcv_ud_is_ipv4(ud) ? RDMA_NETWORK_IPV4 : RDMA_NETWORK_IPV6;
		if (pcv_le16(ud->vlan) < 0x1000) {
			wc.vlan_id = pcv_le16(ud->vlan);
			wc.wc_flags |= IB_WC_WITH_VLAN;
		}
	}
	pcv_cq_push(to_cq(qp->ib.recv_cq), &wc, solicited || wc.status != IB_WC_SUCCESS);
}

/**
 * pcv_recv_complete() - a receive work request has ended
 * @recv: which one
 * @placed: how; its index is filled in here
 * @ud: header of the datagram, NULL for other messages
 * @solicited: the sender asked for an event
 */
void pcv_recv_complete(struct pcv_qp *qp, const struct pcv_recv *recv,
		       struct pcv_rx_placed *placed, const struct pcv_ud_hdr *ud, bool solicited)
{
	int err;

	if (!qp->user) {
		complete_kernel(qp, recv, placed, ud, solicited);
		return;
	}
	placed->wqe = pcv_to_le32(recv->index);
	placed->fast = pcv_to_le32(qp->rq.fast);
	solicited = solicited || placed->status;
	if (!list_empty(&qp->rq.backlog)) {
		backlog_add(qp, placed, solicited);
		return;
	}
	err = put_placed(qp, placed, solicited);
	if (err == -EAGAIN)
		backlog_add(qp, placed, solicited);
	else if (err < 0)
		ring_broken(qp);
	else
		tell(qp, solicited);
}

/**
 * pcv_recv_data() - hand a short message to the process as it came
 * @imm: immediate data, if @has_imm
 *
 * The process copies it into the receive work request that was claimed for it:
 * this is what a remote process will do without us.
 *
 * Return: false if it has to be placed instead.
 */
bool pcv_recv_data(struct pcv_qp *qp, const void *data, u32 len, u32 imm, bool has_imm,
		   bool solicited)
{
	struct pcv_rx_data prefix = {
		.imm = has_imm ? (__force __le32)imm : 0,
		.fast = pcv_to_le32(qp->rq.fast),
	};
	struct pcv_ring_vec vec[2] = {
		{ .base = &prefix, .len = sizeof(prefix) },
		{ .base = data, .len = len },
	};
	u8 flags = (has_imm ? PCV_RX_IMM : 0) | (solicited ? PCV_RX_SOLICITED : 0);

	if (!qp->user || qp->ib.srq || !list_empty(&qp->rq.backlog) ||
	    sizeof(prefix) + len > PCV_LINE_PAYLOAD)
		return false;
	if (ring_put(qp, PCV_RX_DATA, flags, vec, 2) < 0)
		return false;
	tell(qp, solicited);
	return true;
}
