// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * RDMA WRITE by store.
 *
 * Remote memory comes in pieces of PCV_DIRECT_PIECE bytes. A piece that was
 * written to a few times through the kernel is asked for; when the kernel has
 * mapped it, this process writes there itself. A long request is worth the
 * asking by itself, and waits for the answer: the kernels would take longer for
 * its bytes than for that. The kernel may take it back at
 * any time and says so before it does: a look after the stores tells whether
 * they went where they should. If not, the kernel does the whole request, and
 * finds out how it ends.
 */
#include "provider.h"

/* How often a long request looks for the answer: a millisecond or so. */
#define PCV_DIRECT_PATIENCE	20000

#define PCV_DIRECT_PIECES	4u	/* in one request */

/* Where a request, or a part of it, is to be put. */
struct pcv_direct_part {
	size_t at;		/* in the mapping */
	uint32_t bytes;
	uint32_t slot;
};

void pcv_direct_create(struct pcv_qp *qp, const struct pcv_create_qp_resp *resp)
{
	if (!resp->direct_offset || !resp->direct_mmap || qp->vqp.qp.qp_type != IBV_QPT_RC ||
	    !pcv_region_holds(&qp->region, resp->direct_offset, PCV_DIRECT_SLOTS,
			      sizeof(struct pcv_direct_slot), 64))
		return;
	qp->direct.slots.slot = (void *)((uint8_t *)qp->region.base + resp->direct_offset);
	qp->direct.offset = resp->direct_mmap;
}

void pcv_direct_reset(struct pcv_qp *qp)
{
	pcv_slots_reset(&qp->direct.slots);
}

/* Ask, and wait for what the other end says. */
static void pcv_direct_ask_now(struct pcv_qp *qp, uint32_t i)
{
	const struct pcv_slots *slots = &qp->direct.slots;
	int patience;

	pcv_slots_ask(&qp->direct.slots, i);
	/* If that fails the kernel gets the request, and whoever posts it learns why. */
	if (pcv_kick(qp))
		return;
	for (patience = 0; patience < PCV_DIRECT_PATIENCE; patience++) {
		if (PCV_LOAD(&slots->slot[i].told) == slots->use[i].ask)
			return;
		pcv_cpu_relax();
	}
}

/* May @bytes at @offset of the piece in a slot be written? @now: worth to be asked at once. */
static bool pcv_direct_ready(struct pcv_qp *qp, uint32_t i, uint32_t offset, uint32_t bytes,
			     bool now, unsigned int *todo)
{
	struct pcv_slots *slots = &qp->direct.slots;
	bool ask = false;

	if (now && !slots->use[i].ask)
		pcv_direct_ask_now(qp, i);
	if (pcv_likely(pcv_slots_ready(slots, i, offset, bytes, PCV_SLOT_USES, &ask)))
		return true;
	if (ask) {
		pcv_slots_ask(slots, i);
		*todo |= PCV_FAST_KICK;
	}
	return false;
}

/* Return: whether the mapping is there. */
static bool pcv_direct_map(struct pcv_qp *qp)
{
	struct pcv_direct *direct = &qp->direct;

	if (direct->failed)
		return false;
	if (pcv_region_map(qp->vqp.qp.context, direct->offset,
			   (uint64_t)PCV_DIRECT_SLOTS * PCV_DIRECT_PIECE, &direct->region))
		direct->failed = true;
	return !direct->failed;
}

/* Return: how many parts, 0 if it cannot be done so. */
static uint32_t pcv_direct_parts(struct pcv_qp *qp, uint64_t va, uint32_t rkey, uint32_t bytes,
				 struct pcv_direct_part *part, unsigned int *todo)
{
	bool now = bytes >= PCV_SLOT_LONG;
	bool ready = true;
	uint32_t count = 0;
	uint32_t offset, n;

	while (bytes) {
		if (count == PCV_DIRECT_PIECES)
			return 0;
		offset = (uint32_t)va & (PCV_DIRECT_PIECE - 1);
		n = bytes < PCV_DIRECT_PIECE - offset ? bytes : PCV_DIRECT_PIECE - offset;
		part[count].slot = pcv_slots_find(&qp->direct.slots, va - offset, rkey);
		part[count].bytes = n;
		part[count].at = (size_t)part[count].slot * PCV_DIRECT_PIECE + offset;
		ready &= pcv_direct_ready(qp, part[count].slot, offset, n, now, todo);
		count++;
		va += n;
		bytes -= n;
	}
	return ready ? count : 0;
}

/* Copy the request's bytes to where its parts lie. */
static void pcv_direct_copy(char *base, const struct pcv_direct_part *part,
			    const struct pcv_ring_vec *vec, int nvec)
{
	uint32_t done = 0;
	uint32_t at, n;
	int i;

	for (i = 0; i < nvec; i++) {
		for (at = 0; at < vec[i].len; at += n) {
			n = vec[i].len - at;
			if (n > part->bytes - done)
				n = part->bytes - done;
			pcv_out_copy(base + part->at + done, (const char *)vec[i].base + at, n);
			done += n;
			if (done == part->bytes) {
				part++;
				done = 0;
			}
		}
	}
}

bool pcv_direct_probe(struct pcv_qp *qp, const struct ibv_send_wr *wr, unsigned int *todo)
{
	struct pcv_direct_part part[PCV_DIRECT_PIECES];
	uint64_t bytes = 0;
	int i;

	if (!qp->direct.slots.slot || wr->num_sge < 0 || (uint32_t)wr->num_sge > qp->sq.max_sge)
		return false;
	for (i = 0; i < wr->num_sge; i++)
		bytes += wr->sg_list[i].length;
	if (!bytes || bytes > PCV_DIRECT_PIECES * PCV_DIRECT_PIECE)
		return false;
	qp->direct.slots.writes++;
	return pcv_direct_parts(qp, wr->wr.rdma.remote_addr, wr->wr.rdma.rkey, (uint32_t)bytes,
				part, todo) != 0;
}

bool pcv_direct_write(struct pcv_qp *qp, const struct ibv_send_wr *wr, unsigned int *todo)
{
	bool signaled = qp->sq.sig_all || wr->send_flags & IBV_SEND_SIGNALED;
	struct pcv_direct_part part[PCV_DIRECT_PIECES];
	bool inl = wr->send_flags & IBV_SEND_INLINE;
	struct pcv_direct *direct = &qp->direct;
	struct pcv_ring_vec vec[PCV_MAX_SGE];
	const struct ibv_sge *sge;
	uint64_t bytes = 0;
	uint32_t parts, i;
	int v;

	if (!direct->slots.slot || wr->num_sge < 0 || (uint32_t)wr->num_sge > qp->sq.max_sge ||
	    wr->num_sge > PCV_MAX_SGE)
		return false;
	for (v = 0; v < wr->num_sge; v++) {
		sge = &wr->sg_list[v];
		bytes += sge->length;
		vec[v].len = sge->length;
		vec[v].base = (const void *)(uintptr_t)sge->addr;
		if (sge->length && !inl)
			vec[v].base = pcv_mr_cached(qp, &qp->send.mr, sge->addr, sge->length,
						    sge->lkey, 0);
		if (sge->length && !vec[v].base)
			return false;
	}
	if (!bytes || bytes > PCV_DIRECT_PIECES * PCV_DIRECT_PIECE ||
	    (inl && bytes > qp->sq.max_inline) ||
	    /* PCV(send_room:B) pairs with send_room:A: read, then given back. */
	    (signaled && qp->send.done - pcv_cpu_load_acquire(&qp->send.polled) >= qp->sq.count))
		return false;
	direct->slots.writes++;
	parts = pcv_direct_parts(qp, wr->wr.rdma.remote_addr, wr->wr.rdma.rkey, (uint32_t)bytes,
				 part, todo);
	if (!parts || (pcv_unlikely(!direct->region.base) && !pcv_direct_map(qp)))
		return false;

	pcv_direct_copy(direct->region.base, part, vec, wr->num_sge);
	/*
	 * PCV(direct_valid:B) pairs with direct_valid:A
	 * The stores before the look: who takes a piece back says so first, and
	 * then takes it.
	 */
	pcv_out_check_mb(PCV_LOAD(&qp->shared->fast) & PCV_QP_FAST_WC);
	for (i = 0; i < parts; i++)
		if (!PCV_LOAD(&direct->slots.slot[part[i].slot].valid))
			return false;
	if (signaled)
		pcv_fast_record(qp, wr, (uint32_t)bytes, IBV_WC_RDMA_WRITE, todo);
	return true;
}
