// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Control messages between kernels about fast rings and direct memory: rare,
 * and sent from a work item, because who has one to send may be anywhere.
 *
 * In order for each peer and virtual channel. Where a channel has no room, its
 * messages wait and the others go on.
 */
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "fast.h"
#include "peer.h"
#include "stats.h"

/* More than this waiting means that somebody floods: then it is dropped, and counted. */
#define CTL_WAITING_MAX	16384

struct ctl_msg {
	struct list_head entry;
	struct pcv_peer *peer;
	struct pcv_fast_hdr hdr;
	u8 vc;
};

static DEFINE_SPINLOCK(ctl_lock);	/* interrupts off */
static LIST_HEAD(ctl_waiting);
static unsigned int ctl_count;
static struct workqueue_struct *ctl_wq;

static void ctl_drop(struct ctl_msg *msg)
{
	unsigned long flags;

	list_del(&msg->entry);
	pcv_peer_put(msg->peer);
	kfree(msg);
	spin_lock_irqsave(&ctl_lock, flags);
	ctl_count--;
	spin_unlock_irqrestore(&ctl_lock, flags);
}

/* Does a message that stays behind forbid this one to go? */
static bool ctl_behind(const struct list_head *kept, const struct ctl_msg *msg)
{
	const struct ctl_msg *k;

	list_for_each_entry(k, kept, entry)
		if (k->peer == msg->peer && k->vc == msg->vc)
			return true;
	return false;
}

static void ctl_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(ctl_sender, ctl_work);

static void ctl_work(struct work_struct *work)
{
	struct ctl_msg *msg, *next;
	unsigned long flags;
	struct pcv_tx *tx;
	LIST_HEAD(todo);
	LIST_HEAD(kept);
	int err;

	tx = kmalloc(sizeof(*tx), GFP_KERNEL);
	spin_lock_irqsave(&ctl_lock, flags);
	list_splice_init(&ctl_waiting, &todo);
	spin_unlock_irqrestore(&ctl_lock, flags);

	list_for_each_entry_safe(msg, next, &todo, entry) {
		if (!tx || ctl_behind(&kept, msg)) {
			list_move_tail(&msg->entry, &kept);
			continue;
		}
		err = pcv_peer_tx_begin(msg->peer, tx, msg->vc, PCV_MSG_FAST, &msg->hdr, 0);
		if (err == -EAGAIN) {
			list_move_tail(&msg->entry, &kept);
			continue;
		}
		if (!err)
			pcv_peer_tx_end(tx);
		ctl_drop(msg);
	}
	kfree(tx);
	if (list_empty(&kept))
		return;
	spin_lock_irqsave(&ctl_lock, flags);
	list_splice(&kept, &ctl_waiting);
	spin_unlock_irqrestore(&ctl_lock, flags);
	queue_delayed_work(ctl_wq, &ctl_sender, 1);
}

int pcv_ctl_send(struct pcv_peer *peer, u8 vc, const struct pcv_fast_hdr *hdr)
{
	struct ctl_msg *msg = kmalloc(sizeof(*msg), GFP_ATOMIC);
	unsigned long flags;
	bool full;

	if (!msg)
		return -ENOMEM;
	pcv_peer_get(peer);
	msg->peer = peer;
	msg->vc = vc;
	msg->hdr = *hdr;
	spin_lock_irqsave(&ctl_lock, flags);
	full = ctl_count >= CTL_WAITING_MAX;
	if (!full) {
		ctl_count++;
		list_add_tail(&msg->entry, &ctl_waiting);
	}
	spin_unlock_irqrestore(&ctl_lock, flags);
	if (full) {
		pcv_peer_put(peer);
		kfree(msg);
		return -ENOMEM;
	}
	mod_delayed_work(ctl_wq, &ctl_sender, 0);
	return 0;
}

int pcv_ctl_init(void)
{
	ctl_wq = alloc_workqueue("pcv_ctl", WQ_HIGHPRI | WQ_MEM_RECLAIM, 1);
	return ctl_wq ? 0 : -ENOMEM;
}

/* Nobody sends any more; what still waits is for peers that are gone. */
void pcv_ctl_exit(void)
{
	struct ctl_msg *msg, *next;

	cancel_delayed_work_sync(&ctl_sender);
	list_for_each_entry_safe(msg, next, &ctl_waiting, entry)
		ctl_drop(msg);
	destroy_workqueue(ctl_wq);
}
