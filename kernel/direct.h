/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Direct memory: a process, or this kernel for it, stores the payload of RDMA WRITE
 * into pages of the peer's region. See docs/decisions/0006.
 */
#ifndef PCV_DIRECT_H
#define PCV_DIRECT_H

#include <linux/types.h>

struct ib_udata;
struct pcv_direct;
struct pcv_fast_hdr;
struct pcv_mr;
struct pcv_peer;
struct pcv_qp;
struct pcv_rx;
struct pcv_verbs;

int pcv_direct_init(void);
/* No peer and no object is left. */
void pcv_direct_exit(void);

/* --- queue pairs ----------------------------------------------------------------- */

/**
 * pcv_direct_create() - prepare a queue pair of a process
 * @slots: PCV_DIRECT_SLOTS slots in its region
 * @mmap: what the process passes to mmap(); untouched if there is nothing
 *
 * After pcv_fast_create(). Process context. Return: 0 or -errno.
 */
int pcv_direct_create(struct pcv_qp *qp, struct ib_udata *udata, void *slots, u64 *mmap);
/* When nobody else can find the queue pair, before its region goes. */
void pcv_direct_destroy(struct pcv_qp *qp);

/* Something is to be carried out in process context. Any context. */
void pcv_direct_queue(struct pcv_direct *d);

/* The process called: look for what it asks. Any context. */
void pcv_direct_kick(struct pcv_qp *qp);

/*
 * The queue pair has left RTS: tell the process at once that its stores do not
 * count any more. Any context, under any of the queue pair's locks.
 */
void pcv_direct_stop(struct pcv_qp *qp);

/**
 * pcv_direct_drop() - a queue pair is in error, or forgets its peer
 *
 * Its process reaches nothing any more, and the process at the other end
 * nothing that it learnt through this queue pair; waits for that one's kernel,
 * PCV_LOAN_WAIT_MS at most. The state has been left before, the peer is still
 * there. Process context; qp->modify may be held.
 */
void pcv_direct_drop(struct pcv_qp *qp);

/* --- peers --------------------------------------------------------------------------- */

/**
 * pcv_direct_peer_down() - the peer is gone, its direct window here is shut
 *
 * First of all in the client's down(), with no lock of ours but the peers'.
 */
void pcv_direct_peer_down(struct pcv_peer *peer);

/* Messages. Softirq; the first with the lock of @qp's responder, connected to @peer. */
void pcv_direct_tell(struct pcv_qp *qp, struct pcv_peer *peer, const struct pcv_fast_hdr *hdr,
		     const struct pcv_rx *rx);
void pcv_direct_unmap(struct pcv_verbs *dev, struct pcv_peer *peer,
		      const struct pcv_fast_hdr *hdr);

#endif /* PCV_DIRECT_H */
