/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a queue pair does without the kernel: fast rings (fast-qp.c, fast-rx.c,
 * fast-tx.c) and remote memory (direct.c).
 */
#ifndef PCV_FAST_QP_H
#define PCV_FAST_QP_H

#include <stdbool.h>
#include <stdint.h>

#include "private-abi.h"

#include <rdma/pcieverbs-abi.h>

#include "cq.h"
#include "fast.h"
#include "memory.h"
#include "slots.h"

struct pcv_qp;

/**
 * struct pcv_record - a send that the process has completed itself
 * @wr_id: as posted
 * @byte_len: its length
 * @after: work requests given to the kernel before it
 * @wc_opcode: enum ibv_wc_opcode
 */
struct pcv_record {
	uint64_t wr_id;
	uint32_t byte_len;
	uint32_t after;
	uint32_t wc_opcode;
};

/**
 * struct pcv_fast_send - the sending half of a queue pair with fast rings
 * @ctl: what the consumer says, in the own block
 * @record: sends that are complete and not polled, as many as the queue is long
 * @sent: messages sent through the fast ring
 * @kernel: work requests given to the kernel that take a receive
 * @stalled_at: the credit when the consumer was waited for in vain
 * @answered: the last call for which the peer was woken
 * @on: the peer's block has been seen to be open since the last reset
 * @stalled: the consumer was waited for in vain
 * @bad: it said what cannot be
 * @queued: how many went to the kernel only because it was busy; below 0: how
 *	many more may before it is waited for
 * @done: of the records, those written; read by those who poll
 * @mr: the region sent from last
 * @polled: records polled, under the send completion queue's lock
 * @ring: the peer's block
 *
 * Guarded by the send queue's lock.
 */
struct pcv_fast_send {
	const struct pcv_fast_ctl *ctl;
	struct pcv_record *record;
	uint32_t sent;
	uint32_t kernel;
	uint32_t stalled_at;
	uint32_t answered;
	bool on;
	bool stalled;
	bool bad;
	int queued;
	uint32_t done;
	struct pcv_mr_cache mr;
	uint32_t polled __attribute__((__aligned__(64)));
	struct pcv_fast_tx ring __attribute__((__aligned__(64)));
};

/**
 * struct pcv_fast_recv - the receiving half of a queue pair with fast rings
 * @ring: the own block
 * @on: there is one; changed under the locks of both queues too
 * @flushing: nothing more is taken out of it
 * @has_recv: a shared receive was taken for the message at the head: @wqe, @sge
 * @called: the peer is asked to wake this process, and has not done it
 * @in_uncalled: on the completion queue's list
 * @events: the kernel knows that this process sleeps
 * @taken: messages taken out of it
 * @kernel: messages taken out of the receive ring
 * @call: with what the peer is asked
 * @peer_qpn: the queue pair at the other end
 * @limit: what the peer was told; guarded as the posting of receives is
 * @ctl: where the peer looks, in its block
 * @mr: the region received into last
 * @next_uncalled: on that list
 * @next_of_srq: on the shared receive queue's list, under its lock
 *
 * Guarded by the receive completion queue's lock.
 */
struct pcv_fast_recv {
	struct pcv_fast_rx ring;
	bool on;
	bool flushing;
	bool has_recv;
	bool called;
	bool in_uncalled;
	bool events;
	uint32_t taken;
	uint32_t kernel;
	uint32_t call;
	uint32_t peer_qpn;
	uint32_t limit;
	struct pcv_fast_ctl *ctl;
	struct pcv_mr_cache mr;
	struct pcv_qp *next_uncalled;
	struct pcv_qp *next_of_srq;
	struct pcv_rwqe wqe;
	struct pcv_sge sge[PCV_MAX_SGE];
};

/**
 * struct pcv_direct - remote memory that the process may write itself
 * @slots: of the queue pair's region
 * @offset: of the mapping
 * @region: mapped at its first use
 * @failed: it could not be
 *
 * Guarded by the send queue's lock.
 */
struct pcv_direct {
	struct pcv_slots slots;
	uint64_t offset;
	struct pcv_region region;
	bool failed;
};

/* --- fast-qp.c, fast-rx.c, fast-tx.c: fast rings; direct.c: remote memory --- */

/**
 * pcv_fast_create() - map what the answer of the create call offers
 *
 * Return: 0 or a positive errno; nothing is offered: 0.
 */
int pcv_fast_create(struct pcv_qp *qp, const struct pcv_create_qp_resp *resp);
void pcv_fast_destroy(struct pcv_qp *qp);

/* Connected: the own block may be there. Caller holds no lock. */
void pcv_fast_start(struct pcv_qp *qp);

/* All begins anew. Caller holds the completion queues' locks and those of both queues. */
void pcv_fast_reset(struct pcv_qp *qp);

/* To be polled, or no longer. Caller holds the completion queues' locks. */
void pcv_fast_watch(struct pcv_qp *qp);
void pcv_fast_unwatch(struct pcv_qp *qp);

/* A shared receive that was taken for a message that did not come. */
void pcv_fast_return(struct pcv_qp *qp);

/*
 * Tell the peer how long a message may be. Caller holds the lock that guards
 * the posting of receives.
 */
void pcv_fast_limit(struct pcv_qp *qp);

/* The first time that there is anything to tell. Caller holds none of those locks. */
void pcv_fast_greet(struct pcv_qp *qp);

/* Tell the peer what was consumed. Caller holds the receive completion queue's lock. */
void pcv_fast_credit_give(struct pcv_qp *qp);

/* The process will sleep: have peers wake it. Caller holds the completion queue's lock. */
void pcv_fast_call(struct pcv_cq *cq, bool solicited);
void pcv_fast_uncall(struct pcv_qp *qp);
/* Call a peer that has never been called. */
void pcv_fast_recall(struct pcv_qp *qp);

/*
 * A receive was posted: does a message wait for one whose event is still owed? Then
 * the kernel is to be called. Behind a full barrier that follows the post.
 */
bool pcv_fast_feed(struct pcv_qp *qp);

/* As pcv_rx_poll(), for both rings. */
int pcv_fast_rx_poll(struct pcv_qp *qp, int n, struct ibv_wc *wc, bool *stuck);

/* Sends that this process and the kernel have completed, in their order. */
int pcv_fast_sq_poll(struct pcv_qp *qp, int n, struct ibv_wc *wc);

/* Only those that this process has, whatever the kernel's. */
int pcv_fast_sq_drain(struct pcv_qp *qp, int n, struct ibv_wc *wc);

/* What is left to do when the send queue's lock is free again. */
enum pcv_fast_todo {
	PCV_FAST_KICK = 1,
	PCV_FAST_HINT = 2,
	PCV_FAST_SELF = 8,		/* the send completion queue wants its event */
	PCV_FAST_BREAK = 4,
};

/**
 * pcv_fast_post() - send what can be sent without the kernel
 * @todo: enum pcv_fast_todo
 *
 * Caller holds the send queue's lock. Return: the first work request that
 * cannot, NULL if all were sent.
 */
struct ibv_send_wr *pcv_fast_post(struct pcv_qp *qp, struct ibv_send_wr *wr, unsigned int *todo);
void pcv_fast_todo(struct pcv_qp *qp, unsigned int todo);

/* Note that a send is complete; there must be room. */
void pcv_fast_record(struct pcv_qp *qp, const struct ibv_send_wr *wr, uint32_t bytes,
		     enum ibv_wc_opcode wc_opcode, unsigned int *todo);

/* Could this WRITE be done so now? If not it is seen to that it can be later. */
bool pcv_direct_probe(struct pcv_qp *qp, const struct ibv_send_wr *wr, unsigned int *todo);

/*
 * Write to remote memory. Return: whether it is done; if not, the kernel has
 * to do all of it.
 */
bool pcv_direct_write(struct pcv_qp *qp, const struct ibv_send_wr *wr, unsigned int *todo);
void pcv_direct_create(struct pcv_qp *qp, const struct pcv_create_qp_resp *resp);
void pcv_direct_reset(struct pcv_qp *qp);

#endif /* PCV_FAST_QP_H */
