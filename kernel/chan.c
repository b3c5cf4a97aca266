// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Sending.
 *
 * Room. Lines are freed by the credit that the consumer writes into this
 * node's aperture. Payload that does not fit into lines lies in the data area,
 * a first-in first-out allocation that the sender alone manages: each slot of
 * the ring remembers how far the data area was taken when its line was
 * written, so a credit for lines is a credit for their data as well.
 *
 * Running out. The consumer may keep back credit for less than a quarter of
 * the lines and a quarter of the data. "There is room" below means: a quarter
 * of the lines is free and the longest message of all fits into the data area.
 * So a consumer that has consumed everything always leaves room, and a sender
 * that finds none knows that a credit is still to come. It says so in the
 * starved word, flushes that, and looks at the credit again; the consumer
 * gives credit first and looks at the starved word then. One of the two sees
 * the other, so either the sender goes on at once or a doorbell comes.
 */
#include <linux/slab.h>

#include "chan.h"
#include "stats.h"

#define PCV_DATA_MAX	ALIGN(PCV_NET_FRAME_MAX, PCV_LINE_BYTES)

/* Worst case after everything is consumed: credit kept back, waste, message, waste. */
static_assert(PCV_DATA_MIN - PCV_DATA_MIN / 4 >= 2 * PCV_DATA_MAX);
/* A quarter of the smallest ring holds the longest message and the reserve. */
static_assert((sizeof(struct pcv_msg) + PCV_MSG_HDR_MAX + PCV_MSG_INLINE_MAX) /
	      PCV_LINE_PAYLOAD + 1 + PCV_RESPONSE_RESERVE <= PCV_LINES_MIN / 4);

int pcv_chan_tx_init(struct pcv_peer *peer, u8 vc)
{
	const struct pcv_channel *ch = &peer->channel;
	const struct pcv_ring_area *area = &ch->out_ring[vc];
	struct pcv_chan_tx *tx = &peer->tx[vc];

	spin_lock_init(&tx->lock);
	INIT_LIST_HEAD(&tx->waiters);
	tx->mark = kvcalloc(area->line_count, sizeof(*tx->mark), GFP_KERNEL);
	if (!tx->mark)
		return -ENOMEM;
	pcv_ring_tx_init(&tx->ring, ch->out + area->line_offset, area->line_count, ch->out_seq);
	tx->data = ch->out + area->data_offset;
	tx->data_bytes = area->data_bytes;
	tx->in = ch->in + PCV_CTL_OFFSET + vc * sizeof(struct pcv_ctl);
	tx->out = ch->out + PCV_CTL_OFFSET + vc * sizeof(struct pcv_ctl);
	tx->up = true;
	return 0;
}

void pcv_chan_tx_free(struct pcv_peer *peer, u8 vc)
{
	kvfree(peer->tx[vc].mark);
}

void pcv_chan_tx_down(struct pcv_peer *peer, u8 vc)
{
	struct pcv_chan_tx *tx = &peer->tx[vc];

	spin_lock_bh(&tx->lock);
	tx->up = false;
	spin_unlock_bh(&tx->lock);
}

void pcv_chan_tx_flush(struct pcv_peer *peer, u8 vc)
{
	struct pcv_chan_tx *tx = &peer->tx[vc];
	struct pcv_tx_waiter *w, *next;

	spin_lock_bh(&tx->lock);
	list_for_each_entry_safe(w, next, &tx->waiters, entry)
		list_del_init(&w->entry);
	spin_unlock_bh(&tx->lock);
}

u32 pcv_chan_tx_room(struct pcv_peer *peer, u8 vc)
{
	const struct pcv_ring_tx *ring = &peer->tx[vc].ring;

	return ring->mask + 1 - (READ_ONCE(ring->tail) - READ_ONCE(ring->credit));
}

/* Take what credit has come. */
static void pcv_chan_tx_refresh(struct pcv_peer *peer, struct pcv_chan_tx *tx)
{
	u32 credit = pcv_le32(PCV_LOAD(&tx->in->line_credit));

	lockdep_assert_held(&tx->lock);
	if (credit == tx->ring.credit)
		return;
	if (pcv_ring_credit(&tx->ring, credit)) {
		pcv_peer_broken(peer, "credit for lines that were never sent");
		return;
	}
	tx->data_freed = tx->mark[(credit - 1) & tx->ring.mask];
}

/*
 * Where @len bytes of payload can go. @need is what they take of the data
 * area: itself, and the rest of the lap if it must start at the beginning.
 */
static bool pcv_chan_tx_data_fits(const struct pcv_chan_tx *tx, u32 len, u32 *pos, u32 *need)
{
	u32 used = tx->data_taken - tx->data_freed;
	u32 at = used ? tx->data_pos : 0;

	*need = ALIGN(len, PCV_LINE_BYTES);
	if (*need > tx->data_bytes - at) {
		*need += tx->data_bytes - at;
		at = 0;
	}
	*pos = at;
	return *need <= tx->data_bytes - used;
}

/* See the head of this file. */
static bool pcv_chan_tx_has_room(const struct pcv_chan_tx *tx)
{
	u32 pos, need;

	return pcv_ring_room(&tx->ring) >= (tx->ring.mask + 1) / 4 &&
	       pcv_chan_tx_data_fits(tx, PCV_DATA_MAX, &pos, &need);
}

/* Ask for a doorbell after the next credit; then the caller looks again. */
static void pcv_chan_tx_ask(struct pcv_peer *peer, struct pcv_chan_tx *tx)
{
	u32 rings = atomic_read(&peer->rings);
	u32 credit = pcv_le32(PCV_LOAD(&tx->in->line_credit));

	lockdep_assert_held(&tx->lock);
	if (!tx->up ||
	    (tx->starved && tx->starved_credit == credit && tx->starved_rings == rings))
		return;

	pcv_stat_inc(PCV_STAT_TX_STARVED);
	tx->starved_credit = credit;
	tx->starved_rings = rings;
	if (!++tx->starved)
		tx->starved++;
	PCV_STORE(&tx->out->starved, pcv_to_le32(tx->starved));
	/*
	 * PCV(chan_starved:A) pairs with chan_starved:B
	 * The word leaves this CPU, and reading it back pushes it to the other
	 * side; only then is the credit looked at again.
	 */
	pcv_out_mb();
	(void)PCV_LOAD(&tx->out->starved);
	/* PCV(chan_starved:A2) pairs with chan_starved:B: the read comes before the look. */
	pcv_out_mb();
	pcv_chan_tx_refresh(peer, tx);
}

bool pcv_chan_tx_reserve_ready(struct pcv_peer *peer)
{
	struct pcv_chan_tx *tx = &peer->tx[PCV_VC_RESPONSE];
	bool ready;

	spin_lock_bh(&tx->lock);
	ready = pcv_ring_room(&tx->ring) >= PCV_RESPONSE_RESERVE;
	if (!ready) {
		pcv_chan_tx_refresh(peer, tx);
		ready = pcv_ring_room(&tx->ring) >= PCV_RESPONSE_RESERVE;
	}
	if (!ready) {
		pcv_chan_tx_ask(peer, tx);
		ready = pcv_ring_room(&tx->ring) >= PCV_RESPONSE_RESERVE;
	}
	spin_unlock_bh(&tx->lock);
	return ready;
}

static bool pcv_chan_tx_take(struct pcv_chan_tx *chan, struct pcv_tx *tx, u32 lines)
{
	u32 need;

	if (lines > pcv_ring_room(&chan->ring))
		return false;
	if (!tx->bulk)
		return true;
	if (!pcv_chan_tx_data_fits(chan, tx->plen, &tx->data_offset, &need))
		return false;
	chan->data_taken += need;
	chan->data_pos = tx->data_offset + ALIGN(tx->plen, PCV_LINE_BYTES);
	return true;
}

int pcv_peer_tx_begin(struct pcv_peer *peer, struct pcv_tx *tx, u8 vc, u8 type,
		      const void *hdr, u32 plen)
{
	const struct pcv_msg_info *info = pcv_msg_info(type);
	struct pcv_chan_tx *chan = &peer->tx[vc];
	u32 len = sizeof(struct pcv_msg) + info->hdr_len;
	u32 lines;

	if (WARN_ON_ONCE(plen > info->data_max || (vc != info->vc && info->vc != PCV_VC_ANY)))
		return -EMSGSIZE;

	tx->peer = peer;
	tx->vc = vc;
	tx->type = type;
	tx->plen = plen;
	tx->left = plen;
	tx->bulk = plen > PCV_MSG_INLINE_MAX;
	tx->data = tx->stage + len;
	memcpy(tx->stage + sizeof(struct pcv_msg), hdr, info->hdr_len);
	lines = pcv_ring_lines(len + (tx->bulk ? 0 : plen));

	spin_lock_bh(&chan->lock);
	if (unlikely(!chan->up)) {
		spin_unlock_bh(&chan->lock);
		return -ENOTCONN;
	}
	/* The last lines for responses belong to the handler that is running. */
	if (vc == PCV_VC_RESPONSE && READ_ONCE(peer->rx_task) != current)
		lines += PCV_RESPONSE_RESERVE;
	if (!pcv_chan_tx_take(chan, tx, lines)) {
		pcv_chan_tx_refresh(peer, chan);
		if (!pcv_chan_tx_take(chan, tx, lines)) {
			spin_unlock_bh(&chan->lock);
			pcv_stat_inc(PCV_STAT_TX_NO_ROOM);
			return -EAGAIN;
		}
	}
	if (tx->bulk)
		tx->data = chan->data + tx->data_offset;
	/* The lock goes on to pcv_peer_tx_end(); sparse counts by function. */
	__release(&chan->lock);
	return 0;
}

void pcv_peer_tx_copy(struct pcv_tx *tx, const void *src, u32 len)
{
	if (WARN_ON_ONCE(len > tx->left))
		len = tx->left;
	pcv_memcpy(tx->data, src, len);
	tx->data += len;
	tx->left -= len;
}

/* A line at position @first and @lines - 1 more were written: remember their data. */
static void pcv_chan_tx_mark(struct pcv_chan_tx *chan, u32 first, u32 lines, u32 before)
{
	while (--lines)
		chan->mark[first++ & chan->ring.mask] = before;
	chan->mark[first & chan->ring.mask] = chan->data_taken;
}

void pcv_peer_tx_end(struct pcv_tx *tx)
{
	struct pcv_peer *peer = tx->peer;
	struct pcv_chan_tx *chan = &peer->tx[tx->vc];
	struct pcv_msg msg = { 0 };
	struct pcv_ring_vec vec;
	u32 first, last, armed;
	int lines;

	__acquire(&chan->lock);
	vec.base = tx->stage;
	vec.len = sizeof(msg) + pcv_msg_info(tx->type)->hdr_len;
	if (tx->bulk) {
		msg.data_offset = pcv_to_le32(tx->data_offset);
		msg.data_len = pcv_to_le32(tx->plen);
		pcv_stat_add(PCV_STAT_TX_BULK_BYTES, tx->plen);
		/*
		 * PCV(chan_data:A) pairs with ring_get:B
		 * Who sees the line must find the data it speaks of.
		 */
		pcv_out_wmb();
	} else {
		vec.len += tx->plen;
	}
	memcpy(tx->stage, &msg, sizeof(msg));

	first = chan->ring.tail;
	last = chan->mark[(first - 1) & chan->ring.mask];
	lines = pcv_ring_put(&chan->ring, tx->type, 0, &vec, 1);
	if (WARN_ON_ONCE(lines <= 0 || tx->left))
		pcv_peer_broken(peer, "message not written in full");
	if (lines > 0)
		pcv_chan_tx_mark(chan, first, lines, last);

	/*
	 * PCV(chan_armed:A) pairs with chan_armed:B
	 * The line is on its way before the armed word is looked at: a consumer
	 * that went to sleep without seeing the line has written that word.
	 */
	pcv_out_mb();
	armed = pcv_le32(PCV_LOAD(&chan->in->armed));
	if (armed && armed != chan->rung) {
		chan->rung = armed;
		pcv_stat_inc(PCV_STAT_DOORBELLS_TX);
		peer->channel.ops->ring(peer->channel.link);
	}
	spin_unlock_bh(&chan->lock);
	pcv_stat_inc(tx->vc == PCV_VC_REQUEST ? PCV_STAT_TX_MSGS_REQUEST :
						PCV_STAT_TX_MSGS_RESPONSE);
}

bool pcv_peer_tx_wait(struct pcv_peer *peer, u8 vc, struct pcv_tx_waiter *w)
{
	struct pcv_chan_tx *tx = &peer->tx[vc];
	bool waits = false;

	spin_lock_bh(&tx->lock);
	if (!tx->up)
		goto out;
	waits = true;
	if (!list_empty(&w->entry))
		goto out;
	list_add_tail(&w->entry, &tx->waiters);
	pcv_chan_tx_refresh(peer, tx);
	if (!pcv_chan_tx_has_room(tx))
		pcv_chan_tx_ask(peer, tx);
	if (pcv_chan_tx_has_room(tx)) {
		list_del_init(&w->entry);
		waits = false;
	}
out:
	spin_unlock_bh(&tx->lock);
	return waits;
}

void pcv_peer_tx_unwait(struct pcv_peer *peer, u8 vc, struct pcv_tx_waiter *w)
{
	struct pcv_chan_tx *tx = &peer->tx[vc];
	bool running;

	for (;;) {
		spin_lock_bh(&tx->lock);
		list_del_init(&w->entry);
		running = tx->running == w;
		spin_unlock_bh(&tx->lock);
		if (!running)
			return;
		usleep_range(20, 100);
	}
}

void pcv_chan_tx_wake(struct pcv_peer *peer, u8 vc)
{
	struct pcv_chan_tx *tx = &peer->tx[vc];
	struct pcv_tx_waiter *w;
	LIST_HEAD(todo);

	spin_lock_bh(&tx->lock);
	if (list_empty(&tx->waiters))
		goto out;
	pcv_chan_tx_refresh(peer, tx);
	if (!pcv_chan_tx_has_room(tx))
		pcv_chan_tx_ask(peer, tx);

	/* Who waits again meanwhile is not called twice in this round. */
	list_splice_init(&tx->waiters, &todo);
	while (!list_empty(&todo) && tx->up && pcv_chan_tx_has_room(tx)) {
		w = list_first_entry(&todo, struct pcv_tx_waiter, entry);
		list_del_init(&w->entry);
		tx->running = w;
		spin_unlock_bh(&tx->lock);
		w->fn(w);
		spin_lock_bh(&tx->lock);
		tx->running = NULL;
	}
	list_splice(&todo, &tx->waiters);
	if (!list_empty(&tx->waiters)) {
		pcv_chan_tx_refresh(peer, tx);
		if (!pcv_chan_tx_has_room(tx))
			pcv_chan_tx_ask(peer, tx);
		if (pcv_chan_tx_has_room(tx))
			pcv_peer_wake(peer);
	}
out:
	spin_unlock_bh(&tx->lock);
}
