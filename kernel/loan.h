/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Loans of direct memory: pieces of regions here that processes of peers write
 * to themselves. See docs/decisions/0006.
 */
#ifndef PCV_LOAN_H
#define PCV_LOAN_H

#include <linux/types.h>

struct pcv_fast_hdr;
struct pcv_mr;
struct pcv_peer;
struct pcv_qp;

/**
 * pcv_loan_return_region() - nobody may write to a region any more
 *
 * Its key is gone, and whoever found it before has put it down. Process
 * context; sleeps, PCV_LOAN_WAIT_MS at most, whatever signals come.
 *
 * Return: false if the memory must not be used again, because it could not be
 * taken from a peer that is stuck.
 */
bool pcv_loan_return_region(struct pcv_mr *mr);

/**
 * pcv_loan_return_qp() - the process at the other end of a queue pair reaches
 * nothing any more that it learnt through it
 *
 * The state in which it may ask has been left. A peer that does not answer is
 * declared broken. Process context; sleeps, PCV_LOAN_WAIT_MS at most; qp->modify
 * may be held.
 */
void pcv_loan_return_qp(struct pcv_qp *qp);

/* The peer is gone, its direct window here is shut. As pcv_direct_peer_down(). */
void pcv_loan_peer_down(struct pcv_peer *peer);

/* Messages. Softirq; the first with the lock of @qp's responder, connected to @peer. */
void pcv_loan_ask(struct pcv_qp *qp, struct pcv_peer *peer, const struct pcv_fast_hdr *hdr);
void pcv_loan_unmapped(struct pcv_peer *peer, const struct pcv_fast_hdr *hdr);

#endif /* PCV_LOAN_H */
