// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Ethernet over the channels: one interface, all peers behind it.
 *
 * A frame goes to the peer that has its destination address, a broadcast or an
 * address that nobody has to all of them, as a switch would do. The frame is
 * copied into the peer's memory at once, or waits in that peer's backlog while
 * its channel has no room. A backlog that is full stops the interface's queue
 * until it has drained by half; a peer that takes nothing for PCV_NET_STALL_MS
 * meanwhile loses its backlog, and its frames are dropped until it moves again,
 * so that it cannot keep the interface from the others.
 *
 * Checksums that nobody computed yet travel as such: the receiver's stack
 * needs none, and if it forwards the frame it knows where the sum belongs.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/sizes.h>
#include <linux/skbuff.h>
#include <linux/slab.h>

#include "netdev.h"
#include "os.h"
#include "peer.h"
#include "stats.h"

/* Large, because each frame costs a wake-up; a multiple of 16 for the copies. */
#define PCV_NET_MTU		65520
#define PCV_NET_BACKLOG_FRAMES	512
#define PCV_NET_BACKLOG_BYTES	SZ_1M
#define PCV_NET_STALL_MS	500
#define PCV_NET_COPYBREAK	256
/* Frames above this are received into pages. */
#define PCV_NET_LINEAR_MAX	2048

/**
 * struct pcv_net - the interface's private part
 * @ndev: itself
 * @peers: how many peers are up, loopback not counted; under RTNL
 * @stall: looks for peers that take nothing while the queue is stopped
 */
struct pcv_net {
	struct net_device *ndev;
	int peers;
	struct delayed_work stall;
};

/**
 * struct pcv_net_peer - the interface's view of a peer
 * @net: the interface
 * @peer: the peer; the reference that the channel holds while it is up
 * @rcu: frees it
 * @lock: guards the backlog's order and what follows; outside the channel's
 *	lock; bottom halves off
 * @backlog: frames that found no room, oldest first
 * @bytes: in @backlog
 * @moved: jiffies when a frame last left for the peer
 * @full: the backlog stopped the interface's queue
 * @stalled: it did not drain: frames are dropped until the peer moves
 * @gone: the peer is down
 * @waiter: for room
 * @rx: frames of this batch; belongs to the peer's poll
 */
struct pcv_net_peer {
	struct pcv_net *net;
	struct pcv_peer *peer;
	struct rcu_head rcu;
	spinlock_t lock;
	struct sk_buff_head backlog;
	u32 bytes;
	unsigned long moved;
	bool full;
	bool stalled;
	bool gone;
	struct pcv_tx_waiter waiter;
	struct list_head rx;
};

/* The one interface, for the channel's callbacks: set before they can come. */
static struct pcv_net *pcv_net;

/* --- sending --------------------------------------------------------------- */

static void pcv_net_copy(struct pcv_tx *tx, const struct sk_buff *skb)
{
	const struct skb_shared_info *sh = skb_shinfo(skb);
	u32 offset, len, copied;
	struct page *page;
	void *vaddr;
	int i;

	pcv_peer_tx_copy(tx, skb->data, skb_headlen(skb));
	for (i = 0; i < sh->nr_frags; i++) {
		const skb_frag_t *f = &sh->frags[i];

		skb_frag_foreach_page(f, skb_frag_off(f), skb_frag_size(f), page, offset, len,
				      copied) {
			vaddr = kmap_local_page(page);
			pcv_peer_tx_copy(tx, vaddr + offset, len);
			kunmap_local(vaddr);
		}
	}
}

/* Return: as pcv_peer_tx_begin(). The frame stays the caller's. */
static int pcv_net_send(struct pcv_net_peer *np, const struct sk_buff *skb)
{
	struct pcv_net_hdr hdr = { 0 };
	struct pcv_tx tx;
	int err;

	if (skb->ip_summed == CHECKSUM_PARTIAL) {
		hdr.flags = pcv_to_le32(PCV_NET_CSUM_PARTIAL);
		hdr.csum_start = pcv_to_le16(skb_checksum_start_offset(skb));
		hdr.csum_offset = pcv_to_le16(skb->csum_offset);
	} else if (skb->ip_summed == CHECKSUM_UNNECESSARY) {
		hdr.flags = pcv_to_le32(PCV_NET_CSUM_OK);
	}

	lockdep_assert_held(&np->lock);
	err = pcv_peer_tx_begin(np->peer, &tx, PCV_VC_REQUEST, PCV_MSG_NET, &hdr, skb->len);
	if (err)
		return err;
	pcv_net_copy(&tx, skb);
	pcv_peer_tx_end(&tx);
	np->moved = jiffies;
	np->stalled = false;
	dev_sw_netstats_tx_add(np->net->ndev, 1, skb->len);
	return 0;
}

static void pcv_net_drop(struct pcv_net *net, struct sk_buff *skb)
{
	dev_core_stats_tx_dropped_inc(net->ndev);
	kfree_skb(skb);
}

static void pcv_net_backlog_purge(struct pcv_net_peer *np)
{
	struct sk_buff *skb;

	lockdep_assert_held(&np->lock);
	while ((skb = __skb_dequeue(&np->backlog)))
		pcv_net_drop(np->net, skb);
	np->bytes = 0;
}

/* Send what waits. Ends with an empty backlog or a waiter on the list. */
static void pcv_net_backlog_run(struct pcv_net_peer *np)
{
	struct sk_buff *skb;
	int err;

	lockdep_assert_held(&np->lock);
	while ((skb = skb_peek(&np->backlog))) {
		err = pcv_net_send(np, skb);
		if (err == -EAGAIN) {
			if (pcv_peer_tx_wait(np->peer, PCV_VC_REQUEST, &np->waiter))
				break;
			/* There is room now, or the peer is down: the next try tells. */
			continue;
		}
		if (err) {
			pcv_net_backlog_purge(np);
			break;
		}
		__skb_unlink(skb, &np->backlog);
		np->bytes -= skb->len;
		consume_skb(skb);
	}

	if (np->full && np->bytes <= PCV_NET_BACKLOG_BYTES / 2 &&
	    skb_queue_len(&np->backlog) <= PCV_NET_BACKLOG_FRAMES / 2) {
		np->full = false;
		/* If another peer's backlog is full too, the next frame to it stops the queue. */
		netif_wake_queue(np->net->ndev);
	}
}

static void pcv_net_room(struct pcv_tx_waiter *w)
{
	struct pcv_net_peer *np = container_of(w, struct pcv_net_peer, waiter);

	spin_lock(&np->lock);
	pcv_net_backlog_run(np);
	spin_unlock(&np->lock);
}

/* Takes the frame. */
static void pcv_net_xmit_peer(struct pcv_net_peer *np, struct sk_buff *skb)
{
	struct pcv_net *net = np->net;

	spin_lock_bh(&np->lock);
	if (np->gone || (np->stalled && !skb_queue_empty(&np->backlog))) {
		pcv_net_drop(net, skb);
		goto out;
	}
	if (skb_queue_empty(&np->backlog)) {
		int err = pcv_net_send(np, skb);

		if (!err) {
			consume_skb(skb);
			goto out;
		}
		if (err != -EAGAIN) {
			pcv_net_drop(net, skb);
			goto out;
		}
	}

	/* A stopped queue still lets through what other paths had under way. */
	if (np->bytes > 2 * PCV_NET_BACKLOG_BYTES) {
		pcv_net_drop(net, skb);
		goto out;
	}
	pcv_stat_inc(PCV_STAT_NET_TX_BACKLOG);
	__skb_queue_tail(&np->backlog, skb);
	np->bytes += skb->len;
	if (skb_queue_len(&np->backlog) == 1)
		pcv_net_backlog_run(np);
	if (np->stalled)
		goto out;
	if (np->bytes >= PCV_NET_BACKLOG_BYTES ||
	    skb_queue_len(&np->backlog) >= PCV_NET_BACKLOG_FRAMES) {
		np->full = true;
		pcv_stat_inc(PCV_STAT_NET_TX_STOPS);
		netif_stop_queue(net->ndev);
		schedule_delayed_work(&net->stall, msecs_to_jiffies(PCV_NET_STALL_MS));
	}
out:
	spin_unlock_bh(&np->lock);
}

static void pcv_net_flood_peer(struct pcv_peer *peer, void *arg)
{
	struct pcv_net_peer *np = pcv_peer_priv(peer, PCV_CLIENT_NET);
	struct sk_buff *skb = arg;
	struct sk_buff *copy;

	if (!np || pcv_peer_is_loopback(peer))
		return;
	copy = skb_clone(skb, GFP_ATOMIC);
	if (copy)
		pcv_net_xmit_peer(np, copy);
	else
		dev_core_stats_tx_dropped_inc(np->net->ndev);
}

static netdev_tx_t pcv_net_xmit(struct sk_buff *skb, struct net_device *ndev)
{
	struct pcv_net *net = netdev_priv(ndev);
	const u8 *dest = eth_hdr(skb)->h_dest;
	struct pcv_peer *peer = NULL;
	struct pcv_net_peer *np;

	if (skb->len > PCV_NET_FRAME_MAX) {
		pcv_net_drop(net, skb);
		return NETDEV_TX_OK;
	}
	skb_tx_timestamp(skb);

	if (!is_multicast_ether_addr(dest))
		peer = pcv_peer_by_mac(dest);
	if (!peer) {
		pcv_peer_for_each(pcv_net_flood_peer, skb);
		consume_skb(skb);
		return NETDEV_TX_OK;
	}

	/* The stack delivers to itself through lo; a frame to oneself is a mistake. */
	np = pcv_peer_priv(peer, PCV_CLIENT_NET);
	if (np && !pcv_peer_is_loopback(peer))
		pcv_net_xmit_peer(np, skb);
	else
		pcv_net_drop(net, skb);
	pcv_peer_put(peer);
	return NETDEV_TX_OK;
}

static void pcv_net_stall_peer(struct pcv_peer *peer, void *arg)
{
	struct pcv_net_peer *np = pcv_peer_priv(peer, PCV_CLIENT_NET);
	bool *again = arg;

	if (!np)
		return;
	spin_lock_bh(&np->lock);
	if (np->full && time_before(jiffies, np->moved + msecs_to_jiffies(PCV_NET_STALL_MS))) {
		*again = true;
	} else if (np->full) {
		struct sk_buff *first = __skb_dequeue(&np->backlog);

		pcv_stat_inc(PCV_STAT_NET_TX_STALLED);
		pcv_net_backlog_purge(np);
		/* One stays, so that there is something to notice the end of the stall by. */
		if (first) {
			__skb_queue_tail(&np->backlog, first);
			np->bytes = first->len;
		}
		np->stalled = true;
		np->full = false;
		netif_wake_queue(np->net->ndev);
	}
	spin_unlock_bh(&np->lock);
}

static void pcv_net_stall_work(struct work_struct *work)
{
	struct pcv_net *net = container_of(to_delayed_work(work), struct pcv_net, stall);
	bool again = false;

	pcv_peer_for_each(pcv_net_stall_peer, &again);
	if (again)
		schedule_delayed_work(&net->stall, msecs_to_jiffies(PCV_NET_STALL_MS));
}

/* --- receiving ------------------------------------------------------------- */

static struct sk_buff *pcv_net_skb(struct net_device *ndev, const void *data, u32 len)
{
	u32 linear = len <= PCV_NET_LINEAR_MAX ? len : PCV_NET_COPYBREAK;
	struct sk_buff *skb;
	int err;

	if (linear == len) {
		skb = netdev_alloc_skb_ip_align(ndev, len);
		if (skb)
			skb_put_data(skb, data, len);
		return skb;
	}
	skb = alloc_skb_with_frags(NET_SKB_PAD + NET_IP_ALIGN + linear, len - linear,
				   PAGE_ALLOC_COSTLY_ORDER, &err, GFP_ATOMIC);
	if (!skb)
		return NULL;
	skb->dev = ndev;
	skb_reserve(skb, NET_SKB_PAD + NET_IP_ALIGN);
	skb_put(skb, linear);
	skb->data_len = len - linear;
	skb->len = len;
	skb_store_bits(skb, 0, data, len);
	return skb;
}

/* Return: false if the header speaks of bytes that are not there. */
static bool pcv_net_rx_csum(struct sk_buff *skb, const struct pcv_net_hdr *hdr)
{
	u32 flags = pcv_le32(hdr->flags);
	u16 start, offset;

	if (flags & PCV_NET_CSUM_PARTIAL) {
		start = pcv_le16(hdr->csum_start);
		offset = pcv_le16(hdr->csum_offset);
		/* What is summed lies behind the Ethernet header, which is taken off. */
		return start >= ETH_HLEN && start + offset + sizeof(__sum16) <= skb_headlen(skb) &&
		       skb_partial_csum_set(skb, start, offset);
	}
	if (flags & PCV_NET_CSUM_OK)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	return true;
}

static void pcv_net_rx(struct pcv_peer *peer, const struct pcv_rx *rx)
{
	struct pcv_net_peer *np = pcv_peer_priv(peer, PCV_CLIENT_NET);
	const struct pcv_net_hdr *hdr = rx->hdr;
	struct net_device *ndev;
	struct sk_buff *skb;

	if (!np)
		return;
	ndev = np->net->ndev;
	if (!netif_running(ndev) || pcv_peer_is_loopback(peer))
		return;
	if (rx->len < ETH_HLEN) {
		dev_core_stats_rx_dropped_inc(ndev);
		return;
	}
	skb = pcv_net_skb(ndev, rx->data, rx->len);
	if (!skb) {
		dev_core_stats_rx_dropped_inc(ndev);
		return;
	}
	if (!pcv_net_rx_csum(skb, hdr)) {
		dev_core_stats_rx_dropped_inc(ndev);
		kfree_skb(skb);
		return;
	}
	dev_sw_netstats_rx_add(ndev, skb->len);
	skb->protocol = eth_type_trans(skb, ndev);
	list_add_tail(&skb->list, &np->rx);
}

static void pcv_net_rx_end(struct pcv_peer *peer)
{
	struct pcv_net_peer *np = pcv_peer_priv(peer, PCV_CLIENT_NET);

	if (!np || list_empty(&np->rx))
		return;
	netif_receive_skb_list(&np->rx);
	INIT_LIST_HEAD(&np->rx);
}

/* --- peers ------------------------------------------------------------------ */

static void pcv_net_count_peers(struct pcv_net *net, int change)
{
	rtnl_lock();
	net->peers += change;
	if (net->peers)
		netif_carrier_on(net->ndev);
	else
		netif_carrier_off(net->ndev);
	rtnl_unlock();
}

static void pcv_net_up(struct pcv_peer *peer)
{
	struct pcv_net_peer *np;

	/* Without it this peer has no network: frames to it are dropped. */
	np = kzalloc(sizeof(*np), GFP_KERNEL);
	if (!np)
		return;
	np->net = pcv_net;
	np->peer = peer;
	spin_lock_init(&np->lock);
	__skb_queue_head_init(&np->backlog);
	INIT_LIST_HEAD(&np->rx);
	pcv_tx_waiter_init(&np->waiter, pcv_net_room);
	pcv_peer_set_priv(peer, PCV_CLIENT_NET, np);
	if (!pcv_peer_is_loopback(peer))
		pcv_net_count_peers(np->net, 1);
}

static void pcv_net_down(struct pcv_peer *peer)
{
	struct pcv_net_peer *np = pcv_peer_priv(peer, PCV_CLIENT_NET);

	if (!np)
		return;
	spin_lock_bh(&np->lock);
	np->gone = true;
	pcv_net_backlog_purge(np);
	if (np->full) {
		np->full = false;
		netif_wake_queue(np->net->ndev);
	}
	spin_unlock_bh(&np->lock);
	pcv_peer_tx_unwait(peer, PCV_VC_REQUEST, &np->waiter);

	pcv_peer_set_priv(peer, PCV_CLIENT_NET, NULL);
	if (!pcv_peer_is_loopback(peer))
		pcv_net_count_peers(np->net, -1);
	kfree_rcu(np, rcu);
}

static const struct pcv_peer_client pcv_net_client = {
	.up = pcv_net_up,
	.down = pcv_net_down,
	.rx = pcv_net_rx,
	.rx_end = pcv_net_rx_end,
};

/* --- the interface ----------------------------------------------------------- */

static int pcv_net_open(struct net_device *ndev)
{
	netif_start_queue(ndev);
	return 0;
}

static int pcv_net_stop(struct net_device *ndev)
{
	netif_stop_queue(ndev);
	return 0;
}

static const struct net_device_ops pcv_net_ops = {
	.ndo_open = pcv_net_open,
	.ndo_stop = pcv_net_stop,
	.ndo_start_xmit = pcv_net_xmit,
	.ndo_validate_addr = eth_validate_addr,
	.ndo_get_stats64 = dev_get_tstats64,
};

static void pcv_net_get_drvinfo(struct net_device *ndev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	strscpy(info->bus_info, dev_name(ndev->dev.parent), sizeof(info->bus_info));
}

/* Nominal: verbs derives the port's speed from it. */
static int pcv_net_get_link_ksettings(struct net_device *ndev, struct ethtool_link_ksettings *ks)
{
	ks->base.speed = SPEED_100000;
	ks->base.duplex = DUPLEX_FULL;
	ks->base.port = PORT_OTHER;
	ks->base.autoneg = AUTONEG_DISABLE;
	return 0;
}

static const struct ethtool_ops pcv_net_ethtool_ops = {
	.get_drvinfo = pcv_net_get_drvinfo,
	.get_link = ethtool_op_get_link,
	.get_link_ksettings = pcv_net_get_link_ksettings,
};

static void pcv_net_setup(struct net_device *ndev)
{
	ether_setup(ndev);
	ndev->netdev_ops = &pcv_net_ops;
	ndev->ethtool_ops = &pcv_net_ethtool_ops;
	ndev->mtu = PCV_NET_MTU;
	ndev->min_mtu = ETH_MIN_MTU;
	ndev->max_mtu = PCV_NET_MTU_MAX;
	ndev->features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | NETIF_F_HIGHDMA;
	ndev->hw_features = ndev->features;
	ndev->vlan_features = ndev->features;
}

struct net_device *pcv_netdev_create(struct device *parent, const unsigned char *mac)
{
	struct net_device *ndev;
	struct pcv_net *net;
	int err;

	ndev = alloc_netdev(sizeof(*net), "pcie%d", NET_NAME_ENUM, pcv_net_setup);
	if (!ndev)
		return ERR_PTR(-ENOMEM);
	net = netdev_priv(ndev);
	net->ndev = ndev;
	INIT_DELAYED_WORK(&net->stall, pcv_net_stall_work);
	eth_hw_addr_set(ndev, mac);
	SET_NETDEV_DEV(ndev, parent);
	ndev->tstats = netdev_alloc_pcpu_stats(struct pcpu_sw_netstats);
	if (!ndev->tstats) {
		err = -ENOMEM;
		goto err_free_netdev;
	}
	netif_carrier_off(ndev);
	err = register_netdev(ndev);
	if (err)
		goto err_free_stats;
	pcv_net = net;
	pcv_peer_client_set(PCV_CLIENT_NET, &pcv_net_client);
	return ndev;

err_free_stats:
	free_percpu(ndev->tstats);
err_free_netdev:
	free_netdev(ndev);
	return ERR_PTR(err);
}

void pcv_netdev_destroy(struct net_device *ndev)
{
	struct pcv_net *net = netdev_priv(ndev);

	pcv_peer_client_set(PCV_CLIENT_NET, NULL);
	unregister_netdev(ndev);
	cancel_delayed_work_sync(&net->stall);
	free_percpu(ndev->tstats);
	free_netdev(ndev);
}
