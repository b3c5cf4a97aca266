// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Peer objects: who is there, and who is told about it.
 *
 * Who may still hold a peer when its link is down: clients, by reference.
 * They find it not up; nothing of it leads to the window or the aperture any
 * more, because every store to the window is made under a channel's lock after
 * a look at pcv_chan_tx.up, and the poll has been disabled for good.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/etherdevice.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "chan.h"
#include "compat.h"
#include "progress.h"
#include "stats.h"

/* See chan.h. */
static DEFINE_MUTEX(pcv_peer_lock);
static LIST_HEAD(pcv_peers);

/* Changed under pcv_peer_lock, and only while no peer is ready for that client. */
const struct pcv_peer_client *pcv_peer_clients[PCV_CLIENT_COUNT];

static void pcv_peer_free(struct kref *ref)
{
	struct pcv_peer *peer = container_of(ref, struct pcv_peer, ref);
	int vc;

	for (vc = 0; vc < PCV_VC_COUNT; vc++)
		pcv_chan_tx_free(peer, vc);
	kfree_rcu(peer, rcu);
}

void pcv_peer_get(struct pcv_peer *peer)
{
	kref_get(&peer->ref);
}

void pcv_peer_put(struct pcv_peer *peer)
{
	kref_put(&peer->ref, pcv_peer_free);
}

bool pcv_peer_is_up(const struct pcv_peer *peer)
{
	return READ_ONCE(peer->up);
}

bool pcv_peer_is_loopback(const struct pcv_peer *peer)
{
	return peer->channel.loopback;
}

const char *pcv_peer_name(const struct pcv_peer *peer)
{
	return peer->channel.name;
}

const u8 *pcv_peer_mac(const struct pcv_peer *peer)
{
	return peer->channel.node.mac;
}

void *pcv_peer_priv(const struct pcv_peer *peer, enum pcv_client_id id)
{
	return READ_ONCE(peer->priv[id]);
}

void pcv_peer_set_priv(struct pcv_peer *peer, enum pcv_client_id id, void *priv)
{
	WRITE_ONCE(peer->priv[id], priv);
}

struct pcv_peer *pcv_peer_by_mac(const u8 *mac)
{
	struct pcv_peer *peer;

	rcu_read_lock();
	list_for_each_entry_rcu(peer, &pcv_peers, entry) {
		if (pcv_peer_is_up(peer) && ether_addr_equal(pcv_peer_mac(peer), mac) &&
		    kref_get_unless_zero(&peer->ref)) {
			rcu_read_unlock();
			return peer;
		}
	}
	rcu_read_unlock();
	return NULL;
}

void pcv_peer_for_each(void (*fn)(struct pcv_peer *peer, void *arg), void *arg)
{
	struct pcv_peer *peer;

	rcu_read_lock();
	list_for_each_entry_rcu(peer, &pcv_peers, entry)
		if (pcv_peer_is_up(peer))
			fn(peer, arg);
	rcu_read_unlock();
}

static void pcv_peer_kick_work(struct work_struct *work)
{
	struct pcv_peer *peer = container_of(work, struct pcv_peer, kick);

	local_bh_disable();
	napi_schedule(&peer->napi);
	local_bh_enable();
}

void pcv_peer_wake(struct pcv_peer *peer)
{
	if (in_interrupt()) {
		napi_schedule(&peer->napi);
	} else if (irqs_disabled()) {
		/* Nobody would run the soft interrupt when interrupts come back. */
		schedule_work(&peer->kick);
	} else {
		local_bh_disable();
		napi_schedule(&peer->napi);
		local_bh_enable();
	}
}

void pcv_peer_kick(struct pcv_peer *peer)
{
	if (pcv_peer_is_up(peer))
		pcv_peer_wake(peer);
}

/* --- memory that processes map ------------------------------------------------ */

unsigned long pcv_peer_window_pfn(const struct pcv_peer *peer, u64 offset)
{
	const struct pcv_channel *ch = &peer->channel;

	if (!pcv_peer_is_up(peer) || offset >= ch->out_bytes || ch->out_bytes - offset < PAGE_SIZE)
		return 0;
	return PHYS_PFN(ch->out_phys + offset);
}

unsigned long pcv_peer_aperture_pfn(const struct pcv_peer *peer, u64 offset)
{
	const struct pcv_channel *ch = &peer->channel;

	if (!pcv_peer_is_up(peer) || offset >= ch->in_bytes || ch->in_bytes - offset < PAGE_SIZE)
		return 0;
	return ch->ops->in_pfn(ch->link, offset);
}

unsigned long pcv_peer_direct_pfn(const struct pcv_peer *peer, u64 addr)
{
	const struct pcv_channel *ch = &peer->channel;

	if (!pcv_peer_is_up(peer) || !PAGE_ALIGNED(addr))
		return 0;
	return ch->ops->direct_pfn(ch->link, addr);
}

void *pcv_peer_direct_unit(const struct pcv_peer *peer, u64 addr)
{
	const struct pcv_channel *ch = &peer->channel;

	if (!pcv_peer_is_up(peer) || !IS_ALIGNED(addr, PCV_DIRECT_UNIT))
		return NULL;
	return ch->ops->direct_unit(ch->link, addr);
}

void *pcv_peer_aperture(const struct pcv_peer *peer, u64 offset)
{
	return peer->channel.in + offset;
}

u32 pcv_peer_page_bytes(const struct pcv_peer *peer)
{
	return max_t(u32, PAGE_SIZE, 1u << peer->channel.page_shift);
}

void pcv_peer_aperture_free_range(const struct pcv_peer *peer, u64 *offset, u64 *bytes)
{
	const struct pcv_channel *ch = &peer->channel;
	u32 page = pcv_peer_page_bytes(peer);
	u64 end = round_down(ch->in_bytes, page);

	*offset = round_up(ch->in_used, page);
	*bytes = end > *offset && pcv_peer_aperture_pfn(peer, *offset) ? end - *offset : 0;
}

bool pcv_peer_wc(const struct pcv_peer *peer)
{
	return peer->channel.wc;
}

u64 pcv_peer_direct_address(const struct pcv_peer *peer, phys_addr_t phys, u32 bytes)
{
	const struct pcv_channel *ch = &peer->channel;
	u64 shown = READ_ONCE(ch->own_bytes);
	u64 addr = phys;	/* the link looked whether they are the same */

	if (!pcv_peer_is_up(peer) || addr < ch->own_base || bytes > shown ||
	    addr - ch->own_base > shown - bytes)
		return PCV_DIRECT_NONE;
	return addr;
}

bool pcv_peer_fence_direct(struct pcv_peer *peer)
{
	bool shut = true;

	/* Under the lock a link that is up stays. One that is down has shut the window. */
	mutex_lock(&pcv_peer_lock);
	if (pcv_peer_is_up(peer)) {
		WRITE_ONCE(peer->channel.own_bytes, 0);
		shut = peer->channel.ops->fence(peer->channel.link);
		peer->channel.ops->fail(peer->channel.link);
	}
	mutex_unlock(&pcv_peer_lock);
	return shut;
}

void pcv_peer_broken(struct pcv_peer *peer, const char *what)
{
	if (xchg(&peer->broken, true))
		return;
	pcv_stat_inc(PCV_STAT_PEER_BROKEN);
	pr_warn_ratelimited("%s broke the protocol (%s): cut off\n", pcv_peer_name(peer), what);
	if (pcv_peer_is_up(peer))
		peer->channel.ops->fail(peer->channel.link);
}

static void pcv_peer_client_up(struct pcv_peer *peer, enum pcv_client_id id)
{
	lockdep_assert_held(&pcv_peer_lock);
	pcv_peer_clients[id]->up(peer);
	/* PCV(peer_ready:A) pairs with peer_ready:B: what up() prepared is visible to rx(). */
	pcv_cpu_store_release(&peer->ready[id], true);
	pcv_peer_wake(peer);
}

void pcv_peer_client_set(enum pcv_client_id id, const struct pcv_peer_client *client)
{
	struct pcv_peer *peer;

	mutex_lock(&pcv_peer_lock);
	if (pcv_peer_clients[id]) {
		list_for_each_entry(peer, &pcv_peers, entry)
			WRITE_ONCE(peer->ready[id], false);
		/* Polls run under RCU: none calls this client any more. */
		synchronize_rcu();
		list_for_each_entry(peer, &pcv_peers, entry)
			pcv_peer_clients[id]->down(peer);
	}
	pcv_peer_clients[id] = client;
	if (client)
		list_for_each_entry(peer, &pcv_peers, entry)
			pcv_peer_client_up(peer, id);
	mutex_unlock(&pcv_peer_lock);
}

static void *pcv_peer_up(const struct pcv_channel *channel)
{
	struct pcv_peer *peer;
	int vc, id, err;

	peer = kzalloc(sizeof(*peer), GFP_KERNEL);
	if (!peer)
		return ERR_PTR(-ENOMEM);
	kref_init(&peer->ref);
	INIT_WORK(&peer->kick, pcv_peer_kick_work);
	pcv_peer_watch_init(peer);
	peer->channel = *channel;
	peer->rung = true;		/* nothing is armed yet */
	peer->napi_dev = pcv_dummy_netdev_alloc();
	if (!peer->napi_dev) {
		err = -ENOMEM;
		goto err_free_peer;
	}
	for (vc = 0; vc < PCV_VC_COUNT; vc++) {
		err = pcv_chan_tx_init(peer, vc);
		if (err)
			goto err_free_chan;
		pcv_chan_rx_init(peer, vc);
	}

	netif_napi_add(peer->napi_dev, &peer->napi, pcv_peer_poll);
	napi_enable(&peer->napi);

	mutex_lock(&pcv_peer_lock);
	peer->up = true;
	list_add_tail_rcu(&peer->entry, &pcv_peers);
	for (id = 0; id < PCV_CLIENT_COUNT; id++)
		if (pcv_peer_clients[id])
			pcv_peer_client_up(peer, id);
	mutex_unlock(&pcv_peer_lock);

	/* Lines may have come already, and nobody rings before the first arming. */
	pcv_peer_wake(peer);
	return peer;

err_free_chan:
	for (vc = 0; vc < PCV_VC_COUNT; vc++)
		pcv_chan_tx_free(peer, vc);
	pcv_dummy_netdev_free(peer->napi_dev);
err_free_peer:
	kfree(peer);
	return ERR_PTR(err);
}

static void pcv_peer_down(void *arg)
{
	struct pcv_peer *peer = arg;
	int vc, id;

	mutex_lock(&pcv_peer_lock);
	WRITE_ONCE(peer->up, false);
	list_del_rcu(&peer->entry);
	for (vc = 0; vc < PCV_VC_COUNT; vc++)
		pcv_chan_tx_down(peer, vc);
	cancel_work_sync(&peer->kick);
	napi_disable(&peer->napi);
	pcv_peer_watch_end(peer);
	for (vc = 0; vc < PCV_VC_COUNT; vc++)
		pcv_chan_tx_flush(peer, vc);
	/* Finders under RCU are gone before clients take their private data away. */
	synchronize_rcu();
	for (id = PCV_CLIENT_COUNT - 1; id >= 0; id--) {
		if (!peer->ready[id])
			continue;
		peer->ready[id] = false;
		pcv_peer_clients[id]->down(peer);
	}
	mutex_unlock(&pcv_peer_lock);

	/* A late kick by who holds a reference finds a poll that is disabled. */
	cancel_work_sync(&peer->kick);
	netif_napi_del(&peer->napi);
	pcv_dummy_netdev_free(peer->napi_dev);
	pcv_peer_put(peer);
}

static void pcv_peer_rang(void *arg)
{
	struct pcv_peer *peer = arg;

	WRITE_ONCE(peer->rung, true);
	/* Loopback rings from wherever something is sent, on several CPUs at a time. */
	atomic_inc(&peer->rings);
	pcv_stat_inc(PCV_STAT_DOORBELLS_RX);
	pcv_peer_wake(peer);
}

static void pcv_peer_show(void *arg, struct seq_file *m)
{
	struct pcv_peer *peer = arg;
	int vc;

	for (vc = 0; vc < PCV_VC_COUNT; vc++)
		seq_printf(m, " vc%d_room=%u/%u", vc, pcv_chan_tx_room(peer, vc),
			   peer->tx[vc].ring.mask + 1);
}

void pcv_peer_blocks_add(struct pcv_peer *peer, int n)
{
	atomic_add(n, &peer->blocks);
}

static u32 pcv_peer_blocks(void *arg)
{
	struct pcv_peer *peer = arg;

	return atomic_read(&peer->blocks);
}

const struct pcv_link_upcalls pcv_peer_upcalls = {
	.up = pcv_peer_up,
	.down = pcv_peer_down,
	.wake = pcv_peer_rang,
	.show = pcv_peer_show,
	.blocks = pcv_peer_blocks,
};
