// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The part of an aperture that queue pairs take blocks from.
 *
 * Two may reach a block: the process here that reads it, and the process at
 * the other end that writes it. It is used again only when both have let go:
 * the one when its queue pair's mapping is gone, the other when its kernel has
 * said so. A peer that does not say so costs the block until its link goes
 * down; the link makes sure then that nothing of that life writes here.
 */
#include <linux/kref.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "fast.h"
#include "os.h"
#include "peer.h"
#include "stats.h"

enum {
	BLOCK_HELD = 1,		/* by a queue pair here */
	BLOCK_GRANTED = 2,	/* the other side may write to it */
};

/**
 * struct pcv_fast_area - a peer's
 * @ref: one while the peer is up, one for each block that is held
 * @lock: guards all that follows; bottom halves off
 * @closed: the peer is going
 * @first: where in the aperture the blocks begin
 * @next: where to begin looking for a free one
 */
struct pcv_fast_area {
	struct kref ref;
	struct rcu_head rcu;
	struct pcv_peer *peer;
	spinlock_t lock;
	bool closed;
	u64 first;
	u32 count;
	u32 next;
	struct {
		u32 token;
		u8 state;
	} block[];
};

static void area_free(struct kref *ref)
{
	struct pcv_fast_area *area = container_of(ref, struct pcv_fast_area, ref);

	pcv_peer_put(area->peer);
	kvfree_rcu(area, rcu);
}

/* area->lock held. */
static void block_clear(struct pcv_fast_area *area, u32 index, u8 bit)
{
	if (area->block[index].state == bit)
		pcv_peer_blocks_add(area->peer, -1);
	area->block[index].state &= ~bit;
}

static struct pcv_fast_area *area_of(struct pcv_peer *peer)
{
	return pcv_peer_priv(peer, PCV_CLIENT_VERBS);
}

void pcv_fast_area_up(struct pcv_peer *peer)
{
	struct pcv_fast_area *area;
	u64 first, bytes;
	u32 count;

	pcv_peer_aperture_free_range(peer, &first, &bytes);
	count = min_t(u64, bytes / PCV_FAST_BYTES, 1u << 16);
	if (!count)
		return;
	area = kvzalloc(struct_size(area, block, count), GFP_KERNEL);
	if (!area)
		return;
	kref_init(&area->ref);
	spin_lock_init(&area->lock);
	pcv_peer_get(peer);
	area->peer = peer;
	area->first = first;
	area->count = count;
	pcv_peer_set_priv(peer, PCV_CLIENT_VERBS, area);
}

void pcv_fast_area_close(struct pcv_peer *peer)
{
	struct pcv_fast_area *area = area_of(peer);

	if (!area)
		return;
	spin_lock_bh(&area->lock);
	area->closed = true;
	spin_unlock_bh(&area->lock);
}

void pcv_fast_area_down(struct pcv_peer *peer)
{
	struct pcv_fast_area *area = area_of(peer);

	if (!area)
		return;
	pcv_peer_set_priv(peer, PCV_CLIENT_VERBS, NULL);
	kref_put(&area->ref, area_free);
}

bool pcv_fast_block_get(struct pcv_peer *peer, struct pcv_fast_block *block)
{
	struct pcv_fast_area *area;
	bool found = false;
	u32 i, at = 0;

	rcu_read_lock();
	area = area_of(peer);
	if (area && !kref_get_unless_zero(&area->ref))
		area = NULL;
	rcu_read_unlock();
	if (!area)
		return false;

	spin_lock_bh(&area->lock);
	for (i = 0; i < area->count && !area->closed; i++) {
		at = (area->next + i) % area->count;
		if (area->block[at].state)
			continue;
		area->block[at].state = BLOCK_HELD;
		pcv_peer_blocks_add(peer, 1);
		area->block[at].token = get_random_u32();
		area->next = at + 1;
		block->index = at;
		block->token = area->block[at].token;
		found = true;
		break;
	}
	spin_unlock_bh(&area->lock);
	if (!found) {
		kref_put(&area->ref, area_free);
		return false;
	}
	block->area = area;
	memset(pcv_peer_aperture(peer, pcv_fast_block_offset(block)), 0, PCV_FAST_BYTES);
	return true;
}

u64 pcv_fast_block_offset(const struct pcv_fast_block *block)
{
	return block->area->first + (u64)block->index * PCV_FAST_BYTES;
}

void pcv_fast_block_grant(const struct pcv_fast_block *block)
{
	spin_lock_bh(&block->area->lock);
	block->area->block[block->index].state |= BLOCK_GRANTED;
	spin_unlock_bh(&block->area->lock);
}

void pcv_fast_block_put(struct pcv_fast_block *block)
{
	struct pcv_fast_area *area = block->area;

	spin_lock_bh(&area->lock);
	block_clear(area, block->index, BLOCK_HELD);
	spin_unlock_bh(&area->lock);
	block->area = NULL;
	kref_put(&area->ref, area_free);
}

void pcv_fast_block_revoked(struct pcv_peer *peer, u64 offset, u32 token)
{
	struct pcv_fast_area *area = area_of(peer);
	u64 index;

	if (!area || offset < area->first || (offset - area->first) % PCV_FAST_BYTES)
		return;
	index = (offset - area->first) / PCV_FAST_BYTES;
	if (index >= area->count)
		return;
	spin_lock_bh(&area->lock);
	if (area->block[index].token == token)
		block_clear(area, index, BLOCK_GRANTED);
	spin_unlock_bh(&area->lock);
}
