// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * RDMA WRITE by this kernel's stores into direct memory, for processes that must
 * not have it mapped (fast=0): no message, no doorbell, nothing to do for the
 * other side. What may be stored to is borrowed like a process's (direct.c).
 *
 * Such a request has a number like every other, but no message: the next one that
 * is sent says how many are missing in front of it, like behind local requests.
 *
 * Order. It is done when its stores have left, so nothing may be under way that
 * was posted before it: the other side would execute that later. It waits if
 * those are WRITEs as well, which only happens while a piece is new; behind
 * anything else it is sent. What is sent behind it arrives behind its stores. One that
 * was sent is sent when there is a rewind: its message may still wait at the other side.
 *
 * All under sq.lock; d->storing comes behind that.
 */
#include "dev.h"
#include "direct.h"
#include "place.h"
#include "req.h"

/* Of a longer one, so much would have to be done again when a piece is taken back. */
#define STORE_PIECES	4

/* So many in a row are missing before one is sent: the number has 16 bits. */
#define STORE_ROW	(U16_MAX / 4)

/* Where the next bytes go. */
struct store_dest {
	const struct pcv_place *place;
	u32 offset;		/* in the piece */
};

static void store_piece(void *arg, const void *p, u32 n)
{
	struct store_dest *dest = arg;

	while (n) {
		u32 at = dest->offset & (PCV_DIRECT_UNIT - 1);
		u32 part = min(n, PCV_DIRECT_UNIT - at);
		u32 unit = dest->offset >> PCV_DIRECT_UNIT_SHIFT;

		memcpy((void *)dest->place->page[unit] + at, p, part);
		dest->offset += part;
		p += part;
		n -= part;
	}
}

/* Are all pieces of the request here? Those that are not may be asked for. */
static bool store_ready(struct pcv_direct *d, const struct pcv_send *send)
{
	struct pcv_slots *slots = &d->store->slots;
	u32 uses = send->length < PCV_SLOT_LONG ? PCV_SLOT_USES : 0;
	u64 va = send->remote_addr;
	u32 left = send->length;
	u32 offset, i, n;
	bool ready = true;
	bool ask;

	slots->writes++;
	while (left) {
		offset = va & (PCV_DIRECT_PIECE - 1);
		n = min_t(u32, left, PCV_DIRECT_PIECE - offset);
		i = pcv_slots_find(slots, va - offset, send->rkey);
		ask = false;
		ready &= pcv_slots_ready(slots, i, offset, n, uses, &ask);
		if (ask) {
			pcv_slots_ask(slots, i);
			pcv_direct_queue(d);
		}
		va += n;
		left -= n;
	}
	return ready;
}

/* Store the next part. Return: its length, 0 if it cannot be stored. */
static u32 store_some(struct pcv_qp *qp, struct pcv_direct *d, const struct pcv_send *send)
{
	struct pcv_slots *slots = &d->store->slots;
	struct pcv_sq *sq = &qp->sq;
	u64 va = send->remote_addr + sq->stored;
	u32 offset = va & (PCV_DIRECT_PIECE - 1);
	u32 n = min3(send->length - sq->stored, PCV_SEG_MAX, PCV_DIRECT_PIECE - offset);
	u32 i = pcv_slots_find(slots, va - offset, send->rkey);
	struct store_dest dest = { .place = &d->place[i], .offset = offset };
	bool ready, ask;
	int pieces;

	pieces = pcv_req_gather(qp, send, sq->next, sq->stored, n);
	if (pieces < 0)
		return 0;
	spin_lock(&d->storing);
	/* Who takes the pages says so before he takes this lock. */
	ready = pcv_slots_ready(slots, i, offset, n, PCV_SLOT_RETRY, &ask) && dest.place->page;
	if (ready) {
		pcv_req_emit(qp, send, sq->next, sq->stored, n, pieces, store_piece, &dest);
		/*
		 * PCV(store_done:A): the stores leave before what is sent next, and
		 * before who takes the pages reads from them.
		 */
		pcv_out_wmb();
	}
	spin_unlock(&d->storing);
	while (!ready && pieces--)
		pcv_mr_put(sq->mr[pieces]);
	return ready ? n : 0;
}

enum pcv_store_result pcv_req_store(struct pcv_qp *qp, struct pcv_send *send)
{
	struct pcv_direct *d = qp->direct;
	struct pcv_sq *sq = &qp->sq;
	u32 n;

	if (!d || !d->store || send->opcode != PCV_WR_WRITE || sq->seg_offset || !send->length ||
	    send->length > STORE_PIECES * PCV_DIRECT_PIECE)
		return PCV_STORE_NOT;
	/* The requests behind it that were sent already know how many are missing. */
	if (sq->fetched != sq->next + 1 || send->skip >= STORE_ROW)
		return PCV_STORE_NOT;
	if (!sq->stored && !store_ready(d, send))
		return PCV_STORE_NOT;

	pcv_sq_retire(qp);
	/* It was sent before, and there was a rewind: that message may still be executed. */
	if (sq->sent != sq->next)
		return PCV_STORE_NOT;
	if (sq->una != sq->next)
		return (s32)(sq->others - sq->una) > 0 ? PCV_STORE_NOT : PCV_STORE_WAITS;
	if (READ_ONCE(qp->state) != IB_QPS_RTS && !sq->stored)
		return PCV_STORE_WAITS;
	sq->others = sq->una;

	n = store_some(qp, d, send);
	if (!n) {
		/* All of it is sent. That finds out what is wrong, if anything is. */
		sq->stored = 0;
		return PCV_STORE_NOT;
	}
	pcv_stat_add(PCV_STAT_TX_BYTES, n);
	sq->stored += n;
	if (sq->stored == send->length) {
		pcv_stat_inc(PCV_STAT_TX_WRITE);
		pcv_stat_inc(PCV_STAT_DIRECT_STORES);
		sq->stored = 0;
		sq->skip = send->skip + 1;
		send->done = true;
		sq->next++;
	}
	return PCV_STORED;
}

void pcv_store_reset(struct pcv_qp *qp)
{
	if (qp->direct && qp->direct->store)
		pcv_slots_reset(&qp->direct->store->slots);
}
