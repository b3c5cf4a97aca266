// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Fast rings of a queue pair: its own block in this node's aperture, which the
 * process at the other end writes, and that one's block in the other node's,
 * which this process writes. The kernels agree about them and take no part in
 * what goes through them.
 *
 * Coming. On the way to RTR a queue pair takes a block (RX) and offers it to
 * the other end, in RTS again; whoever gets an offer answers with its own. An
 * offer carries a PSN that both ends know, and the number of the other end's
 * block if that is known. The process may write to the other end's block when
 * it is known, and known to be of an end that knows ours: then both are of this
 * connection, whatever former ones of the same two queue pairs left behind.
 *
 * Only with an infinite RNR retry count: nobody counts retries in a ring.
 *
 * Going. Who writes to a block and who reads it let go of it one by one. The
 * connection does without from then on; the next one begins with RESET.
 *
 *   the writer   TX is cleared, then the mapping goes, then the kernel says
 *                REVOKED, if it was asked;
 *   the reader   REVOKE is sent; the mapping goes; the block is free when both
 *                have happened (area.c).
 *
 * A REVOKE that finds no queue pair is answered at once: destruction takes the
 * mapping away before the queue pair's number.
 *
 * Locks: qp->modify (changes of the own block), pcv_map's, fast->lock (what is
 * known of the other end, the bits for the process; bottom halves off).
 */
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "dev.h"
#include "direct.h"
#include "fast.h"
#include "loan.h"

static bool fast = true;
module_param(fast, bool, 0644);
MODULE_PARM_DESC(fast, "processes may write to each other's queue pairs without their kernels (on)");

#define RNR_RETRY_FOREVER	7
#define EVENTS_WAIT_MS		1000

/**
 * struct pcv_fast - fast rings of a queue pair
 * @rx: mapping of the own block
 * @tx: mapping of the other end's
 * @block: the own one; changed under qp->modify and the lock of @rx
 * @active: there is or was a block since RESET: the process counts receives
 * @lock: guards what follows
 * @offered: the own block is known to the other end
 * @known: a block of the other end is known; it stays so until nobody maps it
 * @mutual: and the other end knows the own one: it is of this connection
 * @told: the other end was told that we know it
 * @opened: the process may have it mapped
 * @revoked: it was taken back
 * @live: it may be mapped from now on
 * @events: the other end wants to be woken
 * @at: where the other end's block lies in its aperture
 * @token: number of its first line
 * @due: bits for @work
 * @work: answers from process context
 * @kick: guards the rest: one call of the process at a time
 * @wake, @wake_solicited, @self, @starved: the process's words as last seen
 * @events_asked: its wish to be woken was passed on
 * @events_on: and the other end has said that it will be; under @lock
 * @events_late: nobody waits for that any more; under @lock
 * @answered: who waits for that
 */
struct pcv_fast {
	struct pcv_map *rx;
	struct pcv_map *tx;
	struct pcv_fast_block block;
	spinlock_t lock;
	bool active;
	bool offered;
	bool known;
	bool mutual;
	bool told;
	bool opened;
	bool revoked;
	bool live;
	bool events;
	u64 at;
	u32 token;
	unsigned long due;
	struct pcv_qp *qp;
	struct work_struct work;
	struct mutex kick;
	u32 wake;
	u32 wake_solicited;
	u32 self;
	u32 starved;
	bool events_asked;
	bool events_on;
	bool events_late;
	wait_queue_head_t answered;
};

enum { DUE_REVOKED, DUE_EVENTS_ON };

/* --- mappings -------------------------------------------------------------------- */

static unsigned long fast_rx_pfn(void *arg, unsigned long page)
{
	struct pcv_qp *qp = arg;
	const struct pcv_fast_block *block = &qp->fast->block;

	if (!block->area)
		return 0;
	return pcv_peer_aperture_pfn(qp->peer,
				     pcv_fast_block_offset(block) + (page << PAGE_SHIFT));
}

static unsigned long fast_tx_pfn(void *arg, unsigned long page)
{
	struct pcv_qp *qp = arg;
	struct pcv_fast *f = qp->fast;
	unsigned long pfn = 0;

	spin_lock_bh(&f->lock);
	if (f->live)
		pfn = pcv_peer_window_pfn(qp->peer, f->at + (page << PAGE_SHIFT));
	spin_unlock_bh(&f->lock);
	return pfn;
}

/* --- messages ---------------------------------------------------------------------- */

static void fast_hdr(struct pcv_qp *qp, struct pcv_fast_hdr *hdr, u8 op)
{
	memset(hdr, 0, sizeof(*hdr));
	hdr->op = op;
	hdr->dst_qpn = pcv_to_le32(qp->dst_qpn);
	hdr->src_qpn = pcv_to_le32(qp->ib.qp_num);
}

static bool fast_sends(const struct pcv_qp *qp)
{
	enum ib_qp_state state = READ_ONCE(qp->state);

	return state == IB_QPS_RTS || state == IB_QPS_SQD;
}

/* fast->lock held, and there is a block. */
static void fast_offer(struct pcv_qp *qp)
{
	struct pcv_fast *f = qp->fast;
	struct pcv_fast_hdr hdr;

	fast_hdr(qp, &hdr, PCV_FAST_OFFER);
	/* Who is not in RTS yet does not know what it will send. */
	if (fast_sends(qp)) {
		hdr.psn = pcv_to_le32(qp->attr.sq_psn);
	} else {
		hdr.flags |= PCV_FAST_HDR_EXPECT;
		hdr.psn = pcv_to_le32(qp->attr.rq_psn);
	}
	if (f->known) {
		hdr.flags |= PCV_FAST_HDR_ECHO;
		hdr.echo = pcv_to_le32(f->token);
		f->told = true;
	}
	hdr.token = pcv_to_le32(f->block.token);
	hdr.va = pcv_to_le64(pcv_fast_block_offset(&f->block));
	if (!f->offered)
		pcv_fast_block_grant(&f->block);
	f->offered = true;
	pcv_ctl_send(qp->peer, PCV_VC_REQUEST, &hdr);
}

/* Withdraw the own block from the other end. Process context. */
static void fast_revoke(struct pcv_qp *qp)
{
	struct pcv_fast *f = qp->fast;
	struct pcv_fast_hdr hdr;
	bool offered;

	spin_lock_bh(&f->lock);
	offered = f->offered;
	f->offered = false;
	spin_unlock_bh(&f->lock);
	if (!offered || !f->block.area)
		return;
	fast_hdr(qp, &hdr, PCV_FAST_REVOKE);
	hdr.token = pcv_to_le32(f->block.token);
	hdr.va = pcv_to_le64(pcv_fast_block_offset(&f->block));
	/* Not sent for lack of memory: then the block is lost while the link stands. */
	pcv_ctl_send(qp->peer, PCV_VC_REQUEST, &hdr);
	pcv_stat_inc(PCV_STAT_FAST_REVOKES);
}

/* --- the bits that the process looks at --------------------------------------------- */

static void fast_set(struct pcv_qp *qp, u32 bits)
{
	/* PCV(qp_fast:A) pairs with qp_fast:B: the sequence numbers, then the bit. */
	smp_mb__before_atomic();
	atomic_or(bits, (atomic_t *)&qp->shared->fast);
}

static void fast_clear(struct pcv_qp *qp, u32 bits)
{
	atomic_andnot(bits, (atomic_t *)&qp->shared->fast);
}

/*
 * Let the process write, if everything is there: what it says as a consumer
 * from RTR on, messages in RTS. fast->lock held.
 */
static void fast_open(struct pcv_qp *qp)
{
	enum ib_qp_state state = READ_ONCE(qp->state);
	struct pcv_fast *f = qp->fast;
	u32 bits = PCV_QP_FAST_CTL;

	if (!f->known || !f->mutual || !f->block.area || f->revoked ||
	    (state != IB_QPS_RTR && state != IB_QPS_RTS && state != IB_QPS_SQD))
		return;
	if (!f->live)
		pcv_stat_inc(PCV_STAT_FAST_RINGS);
	f->live = true;
	f->opened = true;
	WRITE_ONCE(qp->shared->fast_tx_seq, f->token);
	if (state == IB_QPS_RTS && qp->attr.rnr_retry == RNR_RETRY_FOREVER)
		bits |= PCV_QP_FAST_TX;
	if (f->events)
		bits |= PCV_QP_FAST_FENCE;
	if (pcv_peer_wc(qp->peer))
		bits |= PCV_QP_FAST_WC;
	fast_set(qp, bits);
}

/* The process writes no more to the other end's block, nor reaches it. Process context. */
static void fast_close(struct pcv_qp *qp)
{
	struct pcv_fast *f = qp->fast;
	bool opened;

	spin_lock_bh(&f->lock);
	/* A REVOKE may have cleared @live, and its work item not run yet. */
	opened = f->opened;
	f->live = false;
	fast_clear(qp, PCV_QP_FAST_TX | PCV_QP_FAST_CTL);
	spin_unlock_bh(&f->lock);
	wake_up_all(&f->answered);
	if (opened)
		pcv_map_zap(f->tx, 0, PCV_FAST_BYTES >> PAGE_SHIFT);
}

/* --- what queue pairs ask for ---------------------------------------------------------- */

static void fast_work(struct work_struct *work);

int pcv_fast_create(struct pcv_qp *qp, struct ib_udata *udata, struct pcv_create_qp_resp *resp)
{
	struct pcv_fast *f;
	int err;

	if (!READ_ONCE(fast) || !qp->user || !pcv_qp_is_rc(qp))
		return 0;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;
	spin_lock_init(&f->lock);
	mutex_init(&f->kick);
	init_waitqueue_head(&f->answered);
	INIT_WORK(&f->work, fast_work);
	f->qp = qp;
	f->rx = pcv_map_create(udata, PCV_FAST_BYTES, PCV_MAP_WHOLE, fast_rx_pfn, qp);
	if (IS_ERR(f->rx)) {
		err = PTR_ERR(f->rx);
		goto err_free;
	}
	/* Which window that will be is not known yet; they are all alike. */
	f->tx = pcv_map_create(udata, PCV_FAST_BYTES,
			       PCV_MAP_WHOLE | (pcv_window_wc() ? PCV_MAP_WC : 0), fast_tx_pfn, qp);
	if (IS_ERR(f->tx)) {
		err = PTR_ERR(f->tx);
		goto err_rx;
	}
	qp->fast = f;
	resp->fast_bytes = PCV_FAST_BYTES;
	resp->fast_rx_mmap = pcv_map_offset(f->rx);
	resp->fast_tx_mmap = pcv_map_offset(f->tx);
	return 0;

err_rx:
	pcv_map_destroy(f->rx);
err_free:
	kfree(f);
	return err;
}

void pcv_fast_destroy(struct pcv_qp *qp)
{
	struct pcv_fast *f = qp->fast;

	if (!f)
		return;
	pcv_map_destroy(f->tx);
	pcv_map_destroy(f->rx);
	mutex_destroy(&f->kick);
	kfree(f);
	qp->fast = NULL;
}

void pcv_fast_connect(struct pcv_qp *qp)
{
	struct pcv_fast *f = qp->fast;
	struct pcv_fast_block block = {};

	if (!f || pcv_peer_is_loopback(qp->peer) || !READ_ONCE(fast))
		return;
	if (!pcv_fast_block_get(qp->peer, &block)) {
		pcv_stat_inc(PCV_STAT_FAST_NO_ROOM);
		return;
	}
	/* What a process touches while nothing is there stays: it may have, after a former life. */
	pcv_map_zap(f->rx, 0, PCV_FAST_BYTES >> PAGE_SHIFT);
	pcv_map_zap(f->tx, 0, PCV_FAST_BYTES >> PAGE_SHIFT);
	pcv_map_lock(f->rx);
	spin_lock_bh(&f->lock);
	f->block = block;
	WRITE_ONCE(f->active, true);
	WRITE_ONCE(qp->shared->fast_rx_seq, block.token);
	fast_clear(qp, PCV_QP_FAST_GONE);
	fast_set(qp, PCV_QP_FAST_RX);
	/* The other end may be in RTS already, and have offered too early. */
	fast_offer(qp);
	spin_unlock_bh(&f->lock);
	pcv_map_unlock(f->rx);
}

void pcv_fast_ready(struct pcv_qp *qp)
{
	struct pcv_fast *f = qp->fast;

	if (!f)
		return;
	spin_lock_bh(&f->lock);
	if (f->block.area) {
		if (!f->mutual)
			fast_offer(qp);
		fast_open(qp);
	}
	spin_unlock_bh(&f->lock);
}

void pcv_fast_pause(struct pcv_qp *qp)
{
	struct pcv_fast *f = qp->fast;
	unsigned long flags;

	if (!f)
		return;
	/* An offer that found the state before this must not open it again behind us. */
	spin_lock_irqsave(&f->lock, flags);
	fast_clear(qp, PCV_QP_FAST_TX);
	spin_unlock_irqrestore(&f->lock, flags);
	pcv_direct_stop(qp);
}

void pcv_fast_fail(struct pcv_qp *qp)
{
	pcv_fast_pause(qp);
}

void pcv_fast_error(struct pcv_qp *qp)
{
	if (!qp->fast)
		return;
	fast_close(qp);
	fast_revoke(qp);
}

void pcv_fast_flushed(struct pcv_qp *qp)
{
	if (!pcv_fast_active(qp))
		return;
	fast_set(qp, PCV_QP_FAST_FLUSH);
	pcv_cq_hint(to_cq(qp->ib.recv_cq), qp->ib.qp_num, true);
}

void pcv_fast_detach(struct pcv_qp *qp)
{
	struct pcv_fast *f = qp->fast;
	struct pcv_fast_block block;
	struct pcv_fast_hdr hdr;
	bool revoked;

	if (!f)
		return;
	fast_close(qp);
	fast_revoke(qp);

	/*
	 * PCV(fast_gone:A) pairs with fast_gone:B
	 * First it is said that the block goes, then it goes: a process that is
	 * reading it goes on in a page of zeroes.
	 */
	if (f->block.area)
		fast_set(qp, PCV_QP_FAST_GONE);
	pcv_map_lock(f->rx);
	spin_lock_bh(&f->lock);
	block = f->block;
	f->block.area = NULL;
	/* Nobody maps the other end's any more: REVOKE is answered at once now. */
	f->known = false;
	f->mutual = false;
	f->told = false;
	f->opened = false;
	f->revoked = false;
	f->events = false;
	revoked = f->due & BIT(DUE_REVOKED);
	f->due = 0;
	fast_hdr(qp, &hdr, PCV_FAST_REVOKED);
	hdr.token = pcv_to_le32(f->token);
	hdr.va = pcv_to_le64(f->at);
	spin_unlock_bh(&f->lock);
	pcv_map_unlock(f->rx);
	/* The work item comes too late for this one. */
	if (revoked && qp->peer)
		pcv_ctl_send(qp->peer, PCV_VC_RESPONSE, &hdr);
	if (block.area) {
		pcv_map_zap(f->rx, 0, PCV_FAST_BYTES >> PAGE_SHIFT);
		pcv_fast_block_put(&block);
	}
}

void pcv_fast_reset(struct pcv_qp *qp)
{
	struct pcv_fast *f = qp->fast;

	if (!f)
		return;
	pcv_fast_detach(qp);
	/* A thread may still be reading what was there. */
	fast_clear(qp, ~PCV_QP_FAST_GONE);
	WRITE_ONCE(f->active, false);
	mutex_lock(&f->kick);
	pcv_stat_add(PCV_STAT_TX_FAST, READ_ONCE(qp->shared->fast_sent));
	WRITE_ONCE(qp->shared->fast_sent, 0);
	WRITE_ONCE(qp->shared->fast_taken, 0);
	WRITE_ONCE(qp->shared->events, 0);
	f->wake = READ_ONCE(qp->shared->wake);
	f->wake_solicited = READ_ONCE(qp->shared->wake_solicited);
	f->self = READ_ONCE(qp->shared->self);
	f->starved = READ_ONCE(qp->shared->starved);
	f->events_asked = false;
	spin_lock_bh(&f->lock);
	f->events_on = false;
	f->events_late = false;
	spin_unlock_bh(&f->lock);
	mutex_unlock(&f->kick);
}

bool pcv_fast_active(const struct pcv_qp *qp)
{
	return qp->fast && READ_ONCE(qp->fast->active);
}

u64 pcv_fast_sent(struct pcv_verbs *dev)
{
	u64 sum = pcv_stat_read(PCV_STAT_TX_FAST);
	unsigned long qpn;
	struct pcv_qp *qp;

	xa_for_each(&dev->qps, qpn, qp) {
		qp = pcv_qp_get(dev, qpn);
		if (!qp)
			continue;
		if (qp->fast)
			sum += READ_ONCE(qp->shared->fast_sent);
		pcv_qp_put(qp);
	}
	return sum;
}

/* --- waking ------------------------------------------------------------------------------ */

/* Send now or wait for room; in vain if the process is being killed. Process context. */
static void fast_send_wake(struct pcv_qp *qp, bool solicited)
{
	struct pcv_peer *peer = NULL;
	struct pcv_fast_hdr hdr;
	struct pcv_tx *tx;
	int err;

	spin_lock_bh(&qp->rq.lock);
	if (qp->peer) {
		peer = qp->peer;
		pcv_peer_get(peer);
	}
	fast_hdr(qp, &hdr, PCV_FAST_WAKE);
	spin_unlock_bh(&qp->rq.lock);
	if (!peer)
		return;
	hdr.flags = solicited ? PCV_FAST_HDR_SOLICITED : 0;
	tx = kmalloc(sizeof(*tx), GFP_KERNEL | __GFP_NOFAIL);
	while ((err = pcv_peer_tx_begin(peer, tx, PCV_VC_REQUEST, PCV_MSG_FAST, &hdr, 0)) ==
	       -EAGAIN) {
		if (fatal_signal_pending(current) && !pcv_ctl_send(peer, PCV_VC_REQUEST, &hdr))
			break;
		schedule_timeout_uninterruptible(1);
	}
	if (!err) {
		pcv_peer_tx_end(tx);
		pcv_stat_inc(PCV_STAT_FAST_WAKES);
	}
	kfree(tx);
	pcv_peer_put(peer);
}

/* Nothing is waited for any more that would say whether the other end looks for calls. */
static bool events_settled(struct pcv_fast *f)
{
	return READ_ONCE(f->events_on) || READ_ONCE(f->events_late) || !READ_ONCE(f->live);
}

void pcv_fast_kick(struct pcv_qp *qp)
{
	struct pcv_fast *f = qp->fast;
	struct pcv_fast_hdr hdr;
	u32 any, solicited, own, fed;
	bool self, starved, wake = false, wake_solicited = false, ask, wait;

	if (!f)
		return;
	mutex_lock(&f->kick);
	any = READ_ONCE(qp->shared->wake);
	solicited = READ_ONCE(qp->shared->wake_solicited);
	if (solicited != f->wake_solicited)
		wake_solicited = true;
	else if (any != f->wake)
		wake = true;
	f->wake = any;
	f->wake_solicited = solicited;
	own = READ_ONCE(qp->shared->self);
	self = own != f->self;
	f->self = own;
	fed = READ_ONCE(qp->shared->starved);
	starved = fed != f->starved;
	f->starved = fed;
	wait = READ_ONCE(qp->shared->events) && READ_ONCE(f->live) && !READ_ONCE(f->events_on);
	ask = wait && !f->events_asked;
	if (ask)
		f->events_asked = true;
	mutex_unlock(&f->kick);

	while (ask) {
		ask = false;
		spin_lock_bh(&f->lock);
		if (f->live) {
			fast_hdr(qp, &hdr, PCV_FAST_EVENTS);
			hdr.token = pcv_to_le32(f->token);
			ask = pcv_ctl_send(qp->peer, PCV_VC_REQUEST, &hdr) == -ENOMEM;
		}
		spin_unlock_bh(&f->lock);
		/* It is asked for once. */
		if (ask && fatal_signal_pending(current))
			break;
		if (ask)
			schedule_timeout_uninterruptible(1);
	}
	/* Ends with an error wake those, too, who wait for solicited ones. */
	if (self)
		pcv_cq_hint(to_cq(qp->ib.send_cq), qp->ib.qp_num,
			    READ_ONCE(qp->state) == IB_QPS_ERR);
	if (starved)
		pcv_cq_hint(to_cq(qp->ib.recv_cq), qp->ib.qp_num, fed & 1);
	if (wake || wake_solicited)
		fast_send_wake(qp, wake_solicited);

	/*
	 * Answered at once by a kernel that is there. If it is late, its answer
	 * raises an event, perhaps for nothing; one in time never does:
	 * programs that count events lose count by such a one. Whoever calls
	 * meanwhile waits as well: the thread that will sleep need not be the one
	 * whose call was the first.
	 */
	if (wait) {
		wait_event_killable_timeout(f->answered, events_settled(f),
					    msecs_to_jiffies(EVENTS_WAIT_MS));
		spin_lock_bh(&f->lock);
		if (f->live && !f->events_on)
			f->events_late = true;
		spin_unlock_bh(&f->lock);
		wake_up_all(&f->answered);
	}
}

static void fast_barrier(void *unused)
{
	/*
	 * PCV(fast_events:A) pairs with fast_events:B
	 * Whatever the processor that runs the process has stored is out, and
	 * what it stores from here on comes behind the bit.
	 */
	pcv_out_mb();
}

static void fast_work(struct work_struct *work)
{
	struct pcv_fast *f = container_of(work, struct pcv_fast, work);
	struct pcv_qp *qp = f->qp;
	struct pcv_fast_hdr hdr;
	struct pcv_peer *peer = NULL;
	unsigned long due;
	u32 token, own;
	u64 at;

	spin_lock_bh(&f->lock);
	due = f->due;
	f->due = 0;
	token = f->token;
	own = f->block.token;
	at = f->at;
	/* pcv_fast_detach() takes back what is due, and the peer goes only behind that. */
	if (due && qp->peer) {
		peer = qp->peer;
		pcv_peer_get(peer);
	}
	fast_hdr(qp, &hdr, 0);
	spin_unlock_bh(&f->lock);

	if (due & BIT(DUE_REVOKED))
		pcv_map_zap(f->tx, 0, PCV_FAST_BYTES >> PAGE_SHIFT);
	if (due & BIT(DUE_EVENTS_ON))
		on_each_cpu(fast_barrier, NULL, 1);
	if (peer) {
		if (due & BIT(DUE_REVOKED)) {
			hdr.op = PCV_FAST_REVOKED;
			hdr.token = pcv_to_le32(token);
			hdr.va = pcv_to_le64(at);
			pcv_ctl_send(peer, PCV_VC_RESPONSE, &hdr);
		}
		if (due & BIT(DUE_EVENTS_ON)) {
			hdr.op = PCV_FAST_EVENTS_ON;
			hdr.token = pcv_to_le32(own);
			hdr.va = 0;
			pcv_ctl_send(peer, PCV_VC_RESPONSE, &hdr);
		}
		pcv_peer_put(peer);
	}
	pcv_qp_put(qp);
}

/* fast->lock held. */
static void fast_due(struct pcv_qp *qp, int bit)
{
	qp->fast->due |= BIT(bit);
	if (refcount_inc_not_zero(&qp->refs) && !queue_work(qp->dev->wq, &qp->fast->work))
		pcv_qp_put(qp);
}

/* --- messages from the other end ------------------------------------------------------------ */

static void rx_offer(struct pcv_qp *qp, const struct pcv_fast_hdr *hdr)
{
	bool expect = hdr->flags & PCV_FAST_HDR_EXPECT;
	struct pcv_fast *f = qp->fast;
	u32 token = pcv_le32(hdr->token);
	u64 at = pcv_le64(hdr->va);
	bool mutual;
	u32 psn;

	if (!f->block.area)
		return;
	if (!fast_sends(qp) && (expect || READ_ONCE(qp->state) != IB_QPS_RTR))
		return;
	/* What the other end expects is what we send, and the reverse. */
	psn = expect ? qp->attr.sq_psn : qp->attr.rq_psn;
	if ((pcv_le32(hdr->psn) ^ psn) & PCV_PSN_MASK)
		return;
	if (at & (PAGE_SIZE - 1) || !pcv_peer_window_pfn(qp->peer, at) ||
	    !pcv_peer_window_pfn(qp->peer, at + PCV_FAST_BYTES - PAGE_SIZE) ||
	    at < PCV_RING_OFFSET || at + PCV_FAST_BYTES < at)
		return;
	mutual = hdr->flags & PCV_FAST_HDR_ECHO && pcv_le32(hdr->echo) == f->block.token;
	if (!f->known || f->token != token || f->at != at) {
		/* The other end has begun anew; this one has not. */
		if (f->mutual)
			return;
		/* One that was not mutual may have been of a former connection. */
		f->known = true;
		f->told = false;
		f->at = at;
		f->token = token;
	}
	f->mutual |= mutual;
	if (!mutual || !f->told)
		fast_offer(qp);
	fast_open(qp);
}

static void rx_revoke(struct pcv_qp *qp, const struct pcv_fast_hdr *hdr, bool *answer)
{
	struct pcv_fast *f = qp->fast;

	if (!f->known || f->token != pcv_le32(hdr->token) || f->at != pcv_le64(hdr->va))
		return;
	if (!f->opened) {
		/* Of a former connection. That of this one is still to come. */
		f->known = false;
		f->mutual = false;
		f->told = false;
		return;
	}
	/* Known no more only when its mapping is gone: see pcv_fast_detach(). */
	f->live = false;
	f->revoked = true;
	fast_clear(qp, PCV_QP_FAST_TX | PCV_QP_FAST_CTL);
	wake_up_all(&f->answered);
	*answer = false;
	fast_due(qp, DUE_REVOKED);
}

static void rx_events(struct pcv_qp *qp, const struct pcv_fast_hdr *hdr)
{
	struct pcv_fast *f = qp->fast;

	if (!f->block.area || f->block.token != pcv_le32(hdr->token))
		return;
	f->events = true;
	fast_set(qp, PCV_QP_FAST_FENCE);
	fast_due(qp, DUE_EVENTS_ON);
}

static void rx_qp(struct pcv_qp *qp, const struct pcv_fast_hdr *hdr, bool *answer)
{
	bool late = false;

	spin_lock_bh(&qp->fast->lock);
	switch (hdr->op) {
	case PCV_FAST_OFFER:
		rx_offer(qp, hdr);
		break;
	case PCV_FAST_REVOKE:
		rx_revoke(qp, hdr, answer);
		break;
	case PCV_FAST_EVENTS:
		rx_events(qp, hdr);
		break;
	case PCV_FAST_EVENTS_ON:
		if (!qp->fast->known || qp->fast->token != pcv_le32(hdr->token))
			break;
		late = qp->fast->events_late;
		qp->fast->events_late = false;
		WRITE_ONCE(qp->fast->events_on, true);
		break;
	}
	spin_unlock_bh(&qp->fast->lock);

	switch (hdr->op) {
	case PCV_FAST_WAKE:
		pcv_cq_hint(to_cq(qp->ib.recv_cq), qp->ib.qp_num,
			    hdr->flags & PCV_FAST_HDR_SOLICITED);
		break;
	case PCV_FAST_EVENTS_ON:
		/* Messages may have come before the other end looked. */
		if (late)
			pcv_cq_hint(to_cq(qp->ib.recv_cq), qp->ib.qp_num, true);
		wake_up_all(&qp->fast->answered);
		break;
	}
}

/* What needs no fast ring. Return: false if it is something else. */
static bool rx_direct(struct pcv_qp *qp, const struct pcv_fast_hdr *hdr, const struct pcv_rx *rx)
{
	switch (hdr->op) {
	case PCV_FAST_ASK:
		pcv_loan_ask(qp, qp->peer, hdr);
		return true;
	case PCV_FAST_TELL:
		pcv_direct_tell(qp, qp->peer, hdr, rx);
		return true;
	}
	return false;
}

void pcv_fast_rx(struct pcv_verbs *dev, struct pcv_peer *peer, const struct pcv_rx *rx)
{
	const struct pcv_fast_hdr *hdr = rx->hdr;
	bool answer = hdr->op == PCV_FAST_REVOKE;
	struct pcv_fast_hdr back;
	struct pcv_qp *qp;

	switch (hdr->op) {
	case PCV_FAST_REVOKED:
		pcv_fast_block_revoked(peer, pcv_le64(hdr->va), pcv_le32(hdr->token));
		return;
	case PCV_FAST_UNMAP:
		pcv_direct_unmap(dev, peer, hdr);
		return;
	case PCV_FAST_UNMAPPED:
		pcv_loan_unmapped(peer, hdr);
		return;
	}
	qp = pcv_qp_get(dev, pcv_le32(hdr->dst_qpn));
	if (qp) {
		/* Under the lock that guards the peer: it does not change meanwhile. */
		spin_lock_bh(&qp->rq.lock);
		if (!pcv_qp_is_rc(qp) || qp->peer != peer ||
		    qp->dst_qpn != pcv_le32(hdr->src_qpn))
			pcv_stat_inc(PCV_STAT_RX_NO_QP);
		else if (!rx_direct(qp, hdr, rx) && qp->fast)
			rx_qp(qp, hdr, &answer);
		spin_unlock_bh(&qp->rq.lock);
		pcv_qp_put(qp);
	}
	if (!answer)
		return;
	back = *hdr;
	back.op = PCV_FAST_REVOKED;
	back.dst_qpn = hdr->src_qpn;
	back.src_qpn = hdr->dst_qpn;
	pcv_ctl_send(peer, PCV_VC_RESPONSE, &back);
}
