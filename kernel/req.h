/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the two halves of the requester (req.c, answer.c) share. sq.lock is held throughout. */
#ifndef PCV_REQ_H
#define PCV_REQ_H

#include "dev.h"

static inline struct pcv_send *pcv_sq_send(struct pcv_sq *sq, u32 index)
{
	return &sq->send[index & (sq->count - 1)];
}

static inline bool pcv_op_is_atomic(u8 opcode)
{
	return opcode == PCV_WR_CMP_SWAP || opcode == PCV_WR_FETCH_ADD;
}

/* Ended by its own answer, not by an acknowledgement. */
static inline bool pcv_op_is_read(u8 opcode)
{
	return opcode == PCV_WR_READ || pcv_op_is_atomic(opcode);
}

static inline bool pcv_op_is_local(u8 opcode)
{
	return opcode == PCV_WR_LOCAL_INV || opcode == PCV_WR_REG_MR;
}

/* A work request before @at has failed: what comes behind it is not sent. */
static inline void pcv_sq_stop(struct pcv_sq *sq, u32 at)
{
	if (!sq->stopped || at - sq->una < sq->stop - sq->una)
		sq->stop = at;
	sq->stopped = true;
}

/* Is the peer still to answer something? */
static inline bool pcv_sq_under_way(const struct pcv_sq *sq)
{
	return sq->una != sq->sent || sq->seg_offset;
}

/* What came of an attempt to store a WRITE, or a part of it. */
enum pcv_store_result {
	PCV_STORE_NOT,		/* it has to be sent */
	PCV_STORE_WAITS,	/* for the answers to those before it */
	PCV_STORED,
};

/**
 * pcv_req_store() - do the WRITE at sq.next by stores into the peer's memory
 * @send: that one, or another request: then nothing happens
 *
 * A bounded part of it; sq.stored says how far it has come, sq.next moves when all
 * of it is there. May change the state of the queue pair, like pcv_sq_retire().
 */
enum pcv_store_result pcv_req_store(struct pcv_qp *qp, struct pcv_send *send);
/* Nothing that was borrowed counts any more: the queue pair is in RESET. */
void pcv_store_reset(struct pcv_qp *qp);

/* Tell the owner about all work requests that have ended, in order. */
void pcv_sq_retire(struct pcv_qp *qp);
/* The work request @index ends with an error: nothing behind it is sent. */
void pcv_req_end(struct pcv_qp *qp, u32 index, u8 status);
void pcv_req_rewind(struct pcv_qp *qp, u32 to);
void pcv_req_timer_set(struct pcv_qp *qp);
void pcv_req_rnr_wait(struct pcv_qp *qp, u8 code);

#endif /* PCV_REQ_H */
