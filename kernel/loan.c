// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Lending direct memory: which peers' processes may write here themselves, and
 * how it is taken back from them. The other side of it, and why nobody can write
 * any more to what has been taken back, is at the head of direct.c.
 *
 * Locks: loan_lock comes behind qp->rq.lock, bottom halves off.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/list.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "dev.h"
#include "fast.h"
#include "loan.h"

/* How long a borrower may take, and how often it is reminded. */
#define PCV_LOAN_WAIT_MS	5000
#define LOAN_REMIND_MS		1000
#define LOAN_LOOK_MS		100

/**
 * struct loan - a peer's processes may be able to write
 * @all: in loans, or in loans_due when it has been asked back
 * @own: in the list of the region or queue pair that it was lent by
 * @peer: to whom; a reference
 * @token: names this loan: a queue pair may lend again after RESET
 * @rkey: the region; 0: everything that was learnt through the queue pair
 * @dst_qpn, @src_qpn: with @rkey 0, that queue pair
 * @back: it was given back
 */
struct loan {
	struct list_head all;
	struct list_head own;
	struct pcv_peer *peer;
	u32 token;
	u32 rkey;
	u32 dst_qpn;
	u32 src_qpn;
	bool back;
};

static DEFINE_SPINLOCK(loan_lock);
static LIST_HEAD(loans);
static LIST_HEAD(loans_due);
static u32 loan_token;
static DECLARE_WAIT_QUEUE_HEAD(loans_wait);

/* Regions whose memory stays out of use. */
static LIST_HEAD(loans_lost);

/* --- lending ---------------------------------------------------------------------------- */

/* Note a loan; once is enough. Return: false without memory for the note. */
static bool loan_note(struct list_head *own, struct pcv_peer *peer, u32 rkey, u32 dst_qpn,
		      u32 src_qpn)
{
	struct loan *loan;
	bool noted = true;

	spin_lock_bh(&loan_lock);
	list_for_each_entry(loan, own, own)
		if (loan->peer == peer)
			goto out;
	loan = kzalloc(sizeof(*loan), GFP_ATOMIC);
	if (!loan) {
		noted = false;
		goto out;
	}
	pcv_peer_get(peer);
	loan->peer = peer;
	loan->token = ++loan_token;
	loan->rkey = rkey;
	loan->dst_qpn = dst_qpn;
	loan->src_qpn = src_qpn;
	list_add_tail(&loan->own, own);
	list_add_tail(&loan->all, &loans);
out:
	spin_unlock_bh(&loan_lock);
	return noted;
}

static void loan_free(struct loan *loan)
{
	pcv_peer_put(loan->peer);
	kfree(loan);
}

/*
 * Device address of the unit at @va, if all of it belongs to the region: what
 * lies beside the region in its first and last page is not lent.
 */
static u64 unit_address(const struct pcv_mr *mr, const struct pcv_peer *peer, u64 va)
{
	phys_addr_t phys;
	u64 off;

	if (va < mr->iova || mr->length < PCV_DIRECT_UNIT ||
	    va - mr->iova > mr->length - PCV_DIRECT_UNIT)
		return PCV_DIRECT_NONE;
	off = va - mr->iova + mr->first_offset;
	/* An address that the user chose need not be that of the memory, modulo a unit. */
	if (off & (PCV_DIRECT_UNIT - 1))
		return PCV_DIRECT_NONE;
	phys = page_to_phys(mr->page[off >> PAGE_SHIFT]) + (off & ~PAGE_MASK);
	return pcv_peer_direct_address(peer, phys, PCV_DIRECT_UNIT);
}

static bool piece_lends(const struct pcv_mr *mr, const struct pcv_peer *peer, u64 va)
{
	u32 i;

	for (i = 0; i < PCV_DIRECT_UNITS; i++)
		if (unit_address(mr, peer, va + i * PCV_DIRECT_UNIT) != PCV_DIRECT_NONE)
			return true;
	return false;
}

/* rq.lock held. */
static void send_tell(struct pcv_qp *qp, struct pcv_peer *peer, const struct pcv_fast_hdr *ask,
		      const struct pcv_mr *mr)
{
	struct pcv_tx *tx = &qp->rq.tx;
	struct pcv_fast_hdr hdr = *ask;
	u64 va = pcv_le64(ask->va);
	__le64 addr[32];
	u64 unit;
	u32 i;

	hdr.op = PCV_FAST_TELL;
	hdr.flags = 0;
	hdr.dst_qpn = ask->src_qpn;
	hdr.src_qpn = ask->dst_qpn;
	/* Without room: the process asks again, some time. */
	if (pcv_peer_tx_begin(peer, tx, PCV_VC_RESPONSE, PCV_MSG_FAST, &hdr,
			      PCV_DIRECT_UNITS * sizeof(addr[0])))
		return;
	for (i = 0; i < PCV_DIRECT_UNITS; i++) {
		unit = mr ? unit_address(mr, peer, va + i * PCV_DIRECT_UNIT) : PCV_DIRECT_NONE;
		addr[i % ARRAY_SIZE(addr)] = pcv_to_le64(unit);
		if ((i + 1) % ARRAY_SIZE(addr) == 0)
			pcv_peer_tx_copy(tx, addr, sizeof(addr));
	}
	pcv_peer_tx_end(tx);
	if (mr)
		pcv_stat_inc(PCV_STAT_DIRECT_TELLS);
}

void pcv_loan_ask(struct pcv_qp *qp, struct pcv_peer *peer, const struct pcv_fast_hdr *hdr)
{
	enum ib_qp_state state = READ_ONCE(qp->state);
	u64 va = pcv_le64(hdr->va);
	struct pcv_mr *mr = NULL;

	lockdep_assert_held(&qp->rq.lock);
	if (qp->direct && !(va & (PCV_DIRECT_PIECE - 1)) &&
	    (state == IB_QPS_RTR || state == IB_QPS_RTS || state == IB_QPS_SQD) &&
	    (qp->attr.qp_access_flags & IB_ACCESS_REMOTE_WRITE))
		mr = pcv_mr_find(qp, pcv_le32(hdr->rkey), IB_ACCESS_REMOTE_WRITE);
	if (!mr || mr->kind != PCV_MR_USER || !piece_lends(mr, peer, va))
		send_tell(qp, peer, hdr, NULL);
	else if (loan_note(&mr->lent, peer, mr->key, 0, 0) &&
		 loan_note(&qp->lent, peer, 0, qp->dst_qpn, qp->ib.qp_num))
		send_tell(qp, peer, hdr, mr);
	/* Behind the TELL: who takes the region back waits for this. */
	pcv_mr_put(mr);
}

/* --- taking back ------------------------------------------------------------------------- */

static bool loan_is_back(const struct loan *loan)
{
	/* Who is down was kept out before. */
	return READ_ONCE(loan->back) || !pcv_peer_is_up(loan->peer);
}

/* Nobody else changes the list of what has been asked back. */
static bool loans_back(const struct list_head *own)
{
	const struct loan *loan;

	list_for_each_entry(loan, own, own)
		if (!loan_is_back(loan))
			return false;
	return true;
}

static void send_unmaps(const struct list_head *own)
{
	const struct loan *loan;
	struct pcv_fast_hdr hdr;

	list_for_each_entry(loan, own, own) {
		if (loan_is_back(loan))
			continue;
		memset(&hdr, 0, sizeof(hdr));
		hdr.op = PCV_FAST_UNMAP;
		hdr.token = pcv_to_le32(loan->token);
		hdr.rkey = pcv_to_le32(loan->rkey);
		hdr.dst_qpn = pcv_to_le32(loan->dst_qpn);
		hdr.src_qpn = pcv_to_le32(loan->src_qpn);
		/* What is not sent for lack of memory is sent with the next reminder. */
		pcv_ctl_send(loan->peer, PCV_VC_REQUEST, &hdr);
	}
}

/* Ask all loans of a list back, and wait. Return: false: some have not come. */
static bool loans_return(struct list_head *own)
{
	struct loan *loan;
	unsigned int ms;

	spin_lock_bh(&loan_lock);
	list_for_each_entry(loan, own, own)
		list_move_tail(&loan->all, &loans_due);
	spin_unlock_bh(&loan_lock);

	for (ms = 0; ms < PCV_LOAN_WAIT_MS && !loans_back(own); ms += LOAN_LOOK_MS) {
		if (ms % LOAN_REMIND_MS == 0)
			send_unmaps(own);
		wait_event_timeout(loans_wait, loans_back(own), msecs_to_jiffies(LOAN_LOOK_MS));
	}
	return loans_back(own);
}

static void loans_free(struct list_head *own)
{
	struct loan *loan, *next;
	LIST_HEAD(dead);

	spin_lock_bh(&loan_lock);
	list_for_each_entry(loan, own, own)
		list_del(&loan->all);
	list_splice_init(own, &dead);
	spin_unlock_bh(&loan_lock);
	list_for_each_entry_safe(loan, next, &dead, own)
		loan_free(loan);
}

bool pcv_loan_return_region(struct pcv_mr *mr)
{
	struct loan *loan;
	bool safe = true;

	if (!loans_return(&mr->lent)) {
		list_for_each_entry(loan, &mr->lent, own) {
			if (loan_is_back(loan))
				continue;
			pcv_stat_inc(PCV_STAT_DIRECT_FENCES);
			pr_warn_ratelimited("%s does not let go of a memory region: shut out\n",
					    pcv_peer_name(loan->peer));
			safe &= pcv_peer_fence_direct(loan->peer);
		}
	}
	loans_free(&mr->lent);
	if (safe)
		return true;
	pr_warn("a peer that cannot be shut out may write to %llu KiB: not used again\n",
		mr->length >> 10);
	/* Where it can be found; and nobody else needs the list any more. */
	spin_lock_bh(&loan_lock);
	list_add_tail(&mr->lent, &loans_lost);
	spin_unlock_bh(&loan_lock);
	return false;
}

void pcv_loan_return_qp(struct pcv_qp *qp)
{
	struct loan *loan;

	/* An ASK that found the state before may be under way. */
	spin_lock_bh(&qp->rq.lock);
	spin_unlock_bh(&qp->rq.lock);
	if (!loans_return(&qp->lent)) {
		/* No fence from here: a peer on its way down may wait for qp->modify. */
		list_for_each_entry(loan, &qp->lent, own)
			if (!loan_is_back(loan))
				pcv_peer_broken(loan->peer, "does not let go of direct memory");
	}
	loans_free(&qp->lent);
}

void pcv_loan_unmapped(struct pcv_peer *peer, const struct pcv_fast_hdr *hdr)
{
	u32 token = pcv_le32(hdr->token);
	struct loan *loan;

	spin_lock_bh(&loan_lock);
	list_for_each_entry(loan, &loans_due, all)
		if (loan->peer == peer && loan->token == token)
			WRITE_ONCE(loan->back, true);
	spin_unlock_bh(&loan_lock);
	wake_up_all(&loans_wait);
}

void pcv_loan_peer_down(struct pcv_peer *peer)
{
	struct loan *loan, *next;
	LIST_HEAD(dead);

	spin_lock_bh(&loan_lock);
	list_for_each_entry_safe(loan, next, &loans, all) {
		if (loan->peer != peer)
			continue;
		list_del(&loan->own);
		list_move(&loan->all, &dead);
	}
	spin_unlock_bh(&loan_lock);
	list_for_each_entry_safe(loan, next, &dead, all)
		loan_free(loan);
	/* Those that are waited for end because the peer is not up. */
	wake_up_all(&loans_wait);
}
