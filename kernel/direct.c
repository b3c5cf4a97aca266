// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Direct memory. A process that writes often to the same piece of a peer's
 * region asks for its pages (a slot in the queue pair's region, then a call).
 * This kernel asks the peer's (ASK); that one checks what it would check for a
 * WRITE, notes the loan, and tells device addresses (TELL). They lie in the
 * window that shows the peer's memory; the process maps the slot's place and
 * stores there. When the lender wants them back it says UNMAP, and waits for
 * UNMAPPED. The lender's part of it is in loan.c, the borrower's here.
 *
 * Who can still write to memory that was lent and is given back to its owner?
 * Nobody, because of the following.
 *
 * The lender. A loan is on the list of what it was lent by before its TELL is
 * sent, and both happen while the region is referenced and the queue pair's
 * rq.lock held. Who takes a region or a queue pair's loans back makes first
 * that no ASK succeeds any more (the key is gone, the state is left) and waits
 * for those under way (references, rq.lock). So when UNMAP is sent, every loan
 * is on the list, every TELL is in the channel, and no other will be.
 *
 * The borrower. UNMAP and TELL come through different channels and may overtake
 * each other. But each ASK has a number of its own (token), its TELL counts
 * only while the slot waits for that number, and UNMAP ends the wait of every
 * slot that it concerns before it is answered. Now take a TELL with addresses
 * and its ASK:
 *   - taken before UNMAP is carried out: UNMAP finds the pages, and takes them;
 *   - taken after: its ASK was sent before (its slot waits no more: refused),
 *     or after UNMAP was carried out; then it came to the lender after the
 *     lender had sent UNMAP, who told no addresses.
 * A TELL is carried out in a work item under the same mutex as UNMAP, so
 * nothing is half done; the soft interrupt only puts it into the slot that
 * waits, under a lock that UNMAP takes to end the wait.
 *
 * The stores. "Taken" is: @valid is 0, then the page table entries are gone on
 * every CPU (which drains the stores that went through them), then a word is
 * read back through the window, which pushes them in front of it. Then UNMAPPED
 * leaves. A process that finds @valid set after its stores knows that they went
 * through: @valid becomes set again only when it asks anew, and the entries
 * that lead nowhere are taken away before that, too.
 *
 * For a process that must not have the peer's memory mapped (fast=0) this kernel
 * stores (store.c), under the lock with which the pages are taken: who has taken
 * them is behind the last store, and the next finds none.
 *
 * Who does not answer is kept out: its window is shut, and its link starts anew
 * because its other stores get lost from then on. Where a bridge cannot keep
 * anybody out (UML) the memory is never used again. A peer that is down has
 * been kept out before anybody here hears of it, and it is shown this node's
 * memory again only when it has shown a new generation and with it that its
 * processes have let go of everything.
 *
 * Locks, outermost first; they come behind qp->modify and pcv_peer_lock:
 *
 *   direct_mutex    list of queue pairs
 *   d->mutex        what a queue pair has borrowed
 *   the map's, for pcv_map_zap(): mmap_lock of processes among them
 *   map lock        place->page
 *
 * and behind qp->sq.lock and qp->rq.lock, in none of each other:
 *
 *   d->storing      place->page, where there is no map: bottom halves off
 *   d->lock         what places wait for, and the words of the slots: interrupts off
 *   loan_lock       everything that was lent (loan.c): bottom halves off
 *   unmap_lock      UNMAPs to be carried out: bottom halves off
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "dev.h"
#include "direct.h"
#include "fast.h"
#include "loan.h"
#include "place.h"

/* A place that gets no answer may be asked for again after this. */
#define DIRECT_ASK_MS		1000

/* UNMAPs that wait to be carried out, of all peers: more are dropped, and come again. */
#define DIRECT_UNMAPS_MAX	4096

static_assert(sizeof(unsigned long) <= sizeof(__le64));

/* An UNMAP to be carried out. */
struct direct_unmap {
	struct list_head entry;
	struct pcv_peer *peer;
	struct pcv_fast_hdr hdr;
};

static struct workqueue_struct *direct_wq;

static DEFINE_MUTEX(direct_mutex);
static LIST_HEAD(direct_list);

static DEFINE_SPINLOCK(unmap_lock);
static LIST_HEAD(unmaps);
static unsigned int unmap_count;

/* --- borrowing ------------------------------------------------------------------------------ */

static unsigned long direct_pfn(void *arg, unsigned long page)
{
	struct pcv_direct *d = arg;
	const struct pcv_place *place = &d->place[page / pcv_place_pages(d)];

	return place->page ? place->page[page % pcv_place_pages(d)] : 0;
}

/* Guard the pages of all places. */
static void places_lock(struct pcv_direct *d)
{
	if (d->map)
		pcv_map_lock(d->map);
	else
		spin_lock_bh(&d->storing);
}

static void places_unlock(struct pcv_direct *d)
{
	if (d->map)
		pcv_map_unlock(d->map);
	else
		spin_unlock_bh(&d->storing);
}

/* The process's stores do not count any more, and no TELL does. */
static void place_stop(struct pcv_direct *d, int i)
{
	struct pcv_place *place = &d->place[i];

	lockdep_assert_held(&d->lock);
	place->waiting = false;
	WRITE_ONCE(d->slot[i].valid, 0);
}

/* Take a place's pages away, and what leads nowhere. Return: one of the pages, or 0. */
static unsigned long place_clear(struct pcv_direct *d, int i)
{
	struct pcv_place *place = &d->place[i];
	unsigned long *pages, some = 0;
	unsigned long flags;
	__le64 *told;
	u32 page;

	lockdep_assert_held(&d->mutex);
	spin_lock_irqsave(&d->lock, flags);
	place_stop(d, i);
	told = place->told;
	place->told = NULL;
	spin_unlock_irqrestore(&d->lock, flags);
	kfree(told);

	places_lock(d);
	pages = place->page;
	place->page = NULL;
	places_unlock(d);
	if (d->map) {
		/*
		 * PCV(direct_valid:A) pairs with direct_valid:B
		 * valid is 0 before a store can miss: who finds it set afterwards has
		 * stored to what he thinks.
		 */
		pcv_cpu_mb();
		pcv_map_zap(d->map, (unsigned long)i * pcv_place_pages(d), pcv_place_pages(d));
	}
	for (page = 0; pages && page < pcv_place_pages(d) && !some; page++)
		some = pages[page];
	kfree(pages);
	return some;
}

/*
 * What was stored through the window has arrived when this returns. @page is a page
 * frame, or what the kernel had stored to: then the peer's going down waits for us.
 */
static void direct_flush(const struct pcv_peer *peer, unsigned long page, bool frame)
{
	u32 *window;

	if (!page || !pcv_peer_is_up(peer))
		return;
	window = frame ? pcv_window_map(PFN_PHYS(page), PAGE_SIZE) : (u32 *)page;
	if (IS_ERR(window))
		return;
	/* PCV(direct_flush:A): the mapping is gone on every CPU before the read that pushes. */
	pcv_out_mb();
	PCV_LOAD(window);
	if (frame)
		pcv_window_unmap(window);
}

/* Forget the peer. */
static void direct_clear(struct pcv_direct *d)
{
	unsigned long some, page = 0;
	int i;

	lockdep_assert_held(&d->mutex);
	for (i = 0; i < PCV_DIRECT_SLOTS && d->peer; i++) {
		some = place_clear(d, i);
		page = page ?: some;
	}
	if (d->peer) {
		direct_flush(d->peer, page, d->map);
		pcv_peer_put(d->peer);
		d->peer = NULL;
	}
}

/* Tell the process that there is nothing. */
static void place_none(struct pcv_direct *d, int i)
{
	struct pcv_direct_slot *slot = &d->slot[i];

	WRITE_ONCE(slot->from, 0);
	WRITE_ONCE(slot->to, 0);
	/* PCV(direct_told:A) pairs with direct_told:B: the answer, then whose it is. */
	pcv_cpu_store_release(&slot->told, d->place[i].ask);
}

/* The process asks. */
static void place_ask(struct pcv_direct *d, int i, u32 ask)
{
	struct pcv_direct_slot *slot = &d->slot[i];
	struct pcv_place *place = &d->place[i];
	struct pcv_fast_hdr hdr = {
		.op = PCV_FAST_ASK,
		.slot = pcv_to_le16(i),
		.dst_qpn = pcv_to_le32(d->qp->dst_qpn),
		.src_qpn = pcv_to_le32(d->qp->ib.qp_num),
	};
	u64 va = READ_ONCE(slot->va);
	u32 rkey = READ_ONCE(slot->rkey);
	unsigned long flags;
	bool send;

	/* Whoever wants its pages back finds none: what was stored to them has arrived now. */
	direct_flush(d->peer, place_clear(d, i), d->map);
	WRITE_ONCE(place->ask, ask);
	spin_lock_irqsave(&d->lock, flags);
	send = ask && !(va & (PCV_DIRECT_PIECE - 1)) &&
	       !(place->silent &&
		 time_before(jiffies, place->when + msecs_to_jiffies(DIRECT_ASK_MS)));
	if (send) {
		place->va = va;
		place->rkey = rkey;
		place->token = ++d->token;
		place->waiting = true;
		place->silent = true;
		place->when = jiffies;
	}
	hdr.token = pcv_to_le32(place->token);
	spin_unlock_irqrestore(&d->lock, flags);
	if (!send) {
		place_none(d, i);
		return;
	}
	hdr.rkey = pcv_to_le32(rkey);
	hdr.va = pcv_to_le64(va);
	if (!pcv_ctl_send(d->peer, PCV_VC_REQUEST, &hdr))
		pcv_stat_inc(PCV_STAT_DIRECT_ASKS);
}

/*
 * Pages for a list of device addresses, in its place: a page frame, or an address
 * here, is no longer than an address there, and stands for at least one.
 */
static unsigned long *told_pages(const struct pcv_direct *d, __le64 *told)
{
	u32 units = 1u << (pcv_place_shift(d) - PCV_DIRECT_UNIT_SHIFT);
	unsigned long *pages = (unsigned long *)told;
	u32 page, i;
	u64 addr;

	for (page = 0; page < pcv_place_pages(d); page++) {
		addr = pcv_le64(told[page * units]);
		for (i = 1; i < units && addr != PCV_DIRECT_NONE; i++)
			if (pcv_le64(told[page * units + i]) !=
			    addr + i * PCV_DIRECT_UNIT)
				addr = PCV_DIRECT_NONE;
		if (addr == PCV_DIRECT_NONE)
			pages[page] = 0;
		else if (d->map)
			pages[page] = pcv_peer_direct_pfn(d->peer, addr);
		else
			pages[page] = (unsigned long)pcv_peer_direct_unit(d->peer, addr);
	}
	return pages;
}

/* The longest run of pages; what is beside it is dropped. Return: how many. */
static u32 pages_run(unsigned long *pages, u32 count, u32 *first)
{
	u32 page, start = 0, best = 0;

	*first = 0;
	for (page = 0; page < count; page++) {
		if (!pages[page]) {
			start = page + 1;
		} else if (page + 1 - start > best) {
			best = page + 1 - start;
			*first = start;
		}
	}
	for (page = 0; page < count; page++)
		if (page < *first || page >= *first + best)
			pages[page] = 0;
	return best;
}

/* The other side has told. */
static void place_told(struct pcv_direct *d, int i, __le64 *told)
{
	struct pcv_direct_slot *slot = &d->slot[i];
	struct pcv_place *place = &d->place[i];
	unsigned long *pages = told_pages(d, told);
	unsigned long flags;
	u32 first, count;

	count = pages_run(pages, pcv_place_pages(d), &first);
	if (!count) {
		kfree(told);
		place_none(d, i);
		return;
	}
	places_lock(d);
	place->page = pages;
	places_unlock(d);
	WRITE_ONCE(slot->from, first << pcv_place_shift(d));
	WRITE_ONCE(slot->to, (first + count) << pcv_place_shift(d));
	spin_lock_irqsave(&d->lock, flags);
	/* Whoever leaves the state takes the lock behind that, in pcv_direct_stop(). */
	if (READ_ONCE(d->qp->state) == IB_QPS_RTS)
		WRITE_ONCE(slot->valid, 1);
	spin_unlock_irqrestore(&d->lock, flags);
	/* PCV(direct_told:A) pairs with direct_told:B: the answer, then whose it is. */
	pcv_cpu_store_release(&slot->told, place->ask);
}

/* Return: false if the queue pair has nobody to ask. */
static bool direct_open(struct pcv_direct *d)
{
	struct pcv_peer *peer = NULL;
	struct pcv_qp *qp = d->qp;

	lockdep_assert_held(&d->mutex);
	spin_lock_bh(&qp->rq.lock);
	if (qp->peer && READ_ONCE(qp->state) == IB_QPS_RTS) {
		peer = qp->peer;
		pcv_peer_get(peer);
	}
	spin_unlock_bh(&qp->rq.lock);
	if (d->peer && d->peer != peer)
		direct_clear(d);
	if (!peer)
		return false;
	/* Looked at under the mutex: pcv_direct_peer_down() takes it behind that. */
	if (d->peer || !pcv_peer_is_up(peer))
		pcv_peer_put(peer);
	else
		d->peer = peer;
	return d->peer;
}

static void direct_work(struct work_struct *work)
{
	struct pcv_direct *d = container_of(work, struct pcv_direct, work);
	struct pcv_place *place;
	unsigned long flags;
	__le64 *told;
	u32 ask;
	int i;

	mutex_lock(&d->mutex);
	if (!direct_open(d))
		goto out;
	for (i = 0; i < PCV_DIRECT_SLOTS; i++) {
		place = &d->place[i];
		/* PCV(direct_ask:B) pairs with direct_ask:A: what is asked for, then that. */
		ask = pcv_cpu_load_acquire(&d->slot[i].ask);
		if (ask != place->ask) {
			place_ask(d, i, ask);
			continue;
		}
		spin_lock_irqsave(&d->lock, flags);
		told = place->told;
		place->told = NULL;
		spin_unlock_irqrestore(&d->lock, flags);
		if (told)
			place_told(d, i, told);
	}
out:
	mutex_unlock(&d->mutex);
	pcv_qp_put(d->qp);
}

void pcv_direct_queue(struct pcv_direct *d)
{
	if (refcount_inc_not_zero(&d->qp->refs) && !queue_work(direct_wq, &d->work))
		pcv_qp_put(d->qp);
}

void pcv_direct_kick(struct pcv_qp *qp)
{
	struct pcv_direct *d = qp->direct;
	int i;

	if (!d || !d->map || READ_ONCE(qp->state) != IB_QPS_RTS)
		return;
	for (i = 0; i < PCV_DIRECT_SLOTS; i++) {
		if (READ_ONCE(d->slot[i].ask) == READ_ONCE(d->place[i].ask))
			continue;
		pcv_direct_queue(d);
		return;
	}
}

void pcv_direct_tell(struct pcv_qp *qp, struct pcv_peer *peer, const struct pcv_fast_hdr *hdr,
		     const struct pcv_rx *rx)
{
	u32 i = pcv_le16(hdr->slot);
	struct pcv_direct *d = qp->direct;
	struct pcv_place *place;
	unsigned long flags;
	__le64 *told;

	if (!d || i >= PCV_DIRECT_SLOTS || rx->len != PCV_DIRECT_UNITS * sizeof(*told))
		return;
	/* Copied first: the peer can still write there. Without memory the process asks again. */
	told = kmemdup(rx->data, rx->len, GFP_ATOMIC);
	if (!told)
		return;
	place = &d->place[i];
	spin_lock_irqsave(&d->lock, flags);
	if (place->waiting && place->token == pcv_le32(hdr->token) &&
	    place->rkey == pcv_le32(hdr->rkey) && place->va == pcv_le64(hdr->va)) {
		place->waiting = false;
		place->silent = false;
		swap(place->told, told);
	}
	spin_unlock_irqrestore(&d->lock, flags);
	/* Ours is in its place, and another one was not there. */
	if (!told)
		pcv_direct_queue(d);
	kfree(told);
}

void pcv_direct_stop(struct pcv_qp *qp)
{
	struct pcv_direct *d = qp->direct;
	unsigned long flags;
	int i;

	if (!d)
		return;
	spin_lock_irqsave(&d->lock, flags);
	for (i = 0; i < PCV_DIRECT_SLOTS; i++)
		place_stop(d, i);
	spin_unlock_irqrestore(&d->lock, flags);
}

void pcv_direct_drop(struct pcv_qp *qp)
{
	struct pcv_direct *d = qp->direct;

	if (!d)
		return;
	pcv_direct_stop(qp);
	mutex_lock(&d->mutex);
	direct_clear(d);
	mutex_unlock(&d->mutex);
	pcv_loan_return_qp(qp);
}

/* --- UNMAP -------------------------------------------------------------------------- */

static void unmap_one(const struct direct_unmap *u)
{
	u32 rkey = pcv_le32(u->hdr.rkey);
	u32 qpn = pcv_le32(u->hdr.dst_qpn);
	u32 far = pcv_le32(u->hdr.src_qpn);
	struct pcv_fast_hdr hdr = u->hdr;
	unsigned long some, page = 0;
	struct pcv_direct *d;
	bool frame = false;
	int i;

	mutex_lock(&direct_mutex);
	list_for_each_entry(d, &direct_list, entry) {
		if (!rkey && (d->qp->ib.qp_num != qpn || READ_ONCE(d->qp->dst_qpn) != far))
			continue;
		mutex_lock(&d->mutex);
		for (i = 0; i < PCV_DIRECT_SLOTS && d->peer == u->peer; i++) {
			if (rkey && d->place[i].rkey != rkey)
				continue;
			some = place_clear(d, i);
			if (some && !page) {
				page = some;
				frame = d->map;
			}
		}
		mutex_unlock(&d->mutex);
	}
	/* What pushes the stores of one through the window pushes all. */
	direct_flush(u->peer, page, frame);
	mutex_unlock(&direct_mutex);

	hdr.op = PCV_FAST_UNMAPPED;
	hdr.flags = 0;
	hdr.dst_qpn = u->hdr.src_qpn;
	hdr.src_qpn = u->hdr.dst_qpn;
	/* If this gets lost the other side says UNMAP again. */
	pcv_ctl_send(u->peer, PCV_VC_RESPONSE, &hdr);
	pcv_stat_inc(PCV_STAT_DIRECT_UNMAPS);
}

static void unmap_work(struct work_struct *work)
{
	struct direct_unmap *u;

	for (;;) {
		spin_lock_bh(&unmap_lock);
		u = list_first_entry_or_null(&unmaps, struct direct_unmap, entry);
		if (u) {
			list_del(&u->entry);
			unmap_count--;
		}
		spin_unlock_bh(&unmap_lock);
		if (!u)
			return;
		/* Nothing of a peer that is down is mapped, and nobody waits for an answer. */
		if (pcv_peer_is_up(u->peer))
			unmap_one(u);
		pcv_peer_put(u->peer);
		kfree(u);
		cond_resched();
	}
}

static DECLARE_WORK(direct_unmapper, unmap_work);

void pcv_direct_unmap(struct pcv_verbs *dev, struct pcv_peer *peer,
		      const struct pcv_fast_hdr *hdr)
{
	struct direct_unmap *u = kmalloc(sizeof(*u), GFP_ATOMIC);

	/* The other side reminds us. */
	if (!u)
		return;
	u->hdr = *hdr;
	u->peer = peer;
	spin_lock_bh(&unmap_lock);
	if (unmap_count < DIRECT_UNMAPS_MAX) {
		unmap_count++;
		pcv_peer_get(peer);
		list_add_tail(&u->entry, &unmaps);
		u = NULL;
	}
	spin_unlock_bh(&unmap_lock);
	kfree(u);
	queue_work(direct_wq, &direct_unmapper);
}

/* --- objects ------------------------------------------------------------------------- */

void pcv_direct_peer_down(struct pcv_peer *peer)
{
	struct pcv_direct *d;

	pcv_loan_peer_down(peer);

	mutex_lock(&direct_mutex);
	list_for_each_entry(d, &direct_list, entry) {
		mutex_lock(&d->mutex);
		if (d->peer == peer)
			direct_clear(d);
		mutex_unlock(&d->mutex);
	}
	mutex_unlock(&direct_mutex);
}

int pcv_direct_create(struct pcv_qp *qp, struct ib_udata *udata, void *slots, u64 *mmap)
{
	struct pcv_direct *d;
	int err;

	if (!qp->user || !pcv_qp_is_rc(qp))
		return 0;
	d = kzalloc(sizeof(*d), GFP_KERNEL);
	if (!d)
		return -ENOMEM;
	d->qp = qp;
	mutex_init(&d->mutex);
	spin_lock_init(&d->lock);
	spin_lock_init(&d->storing);
	INIT_WORK(&d->work, direct_work);
	if (!qp->fast) {
		/* A process that must not have the peer's memory mapped has us store. */
		d->store = kzalloc(sizeof(*d->store), GFP_KERNEL);
		if (!d->store) {
			kfree(d);
			return -ENOMEM;
		}
		d->store->slots.slot = d->store->slot;
		d->slot = d->store->slot;
		goto add;
	}
	d->slot = slots;
	/* Which peer it will be is not known yet: they are all alike. */
	d->map = pcv_map_create(udata, PCV_DIRECT_SLOTS * PCV_DIRECT_PIECE,
				pcv_window_wc() ? PCV_MAP_WC : 0,
				direct_pfn, d);
	if (IS_ERR(d->map)) {
		err = PTR_ERR(d->map);
		kfree(d);
		return err;
	}
	*mmap = pcv_map_offset(d->map);
add:
	mutex_lock(&direct_mutex);
	list_add_tail(&d->entry, &direct_list);
	mutex_unlock(&direct_mutex);
	qp->direct = d;
	return 0;
}

void pcv_direct_destroy(struct pcv_qp *qp)
{
	struct pcv_direct *d = qp->direct;

	if (!d)
		return;
	mutex_lock(&direct_mutex);
	list_del(&d->entry);
	mutex_unlock(&direct_mutex);
	/* A process may have asked between the last drop and its end. */
	mutex_lock(&d->mutex);
	direct_clear(d);
	mutex_unlock(&d->mutex);
	pcv_map_destroy(d->map);
	mutex_destroy(&d->mutex);
	qp->direct = NULL;
	kfree(d->store);
	kfree(d);
}

int pcv_direct_init(void)
{
	direct_wq = alloc_workqueue("pcv_direct", WQ_HIGHPRI, 0);
	return direct_wq ? 0 : -ENOMEM;
}

void pcv_direct_exit(void)
{
	destroy_workqueue(direct_wq);
}
