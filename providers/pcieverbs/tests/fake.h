/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A kernel of one file for the provider's tests: it answers the commands that
 * the provider gives, keeps the shared regions in a memory file, and does to
 * them what a test tells it to.
 */
#ifndef PCV_FAKE_H
#define PCV_FAKE_H

#include "provider.h"

#define FAKE_SQ_COUNT_MAX	1024

/* What the next queue pair or shared receive queue gets. */
struct fake_limits {
	uint32_t sq_count;
	uint32_t rq_count;
	uint32_t ring_count;
	uint32_t max_sge;
	uint32_t max_inline;
	uint32_t srq_count;
	uint32_t qp_num;	/* 0: the next one */
	bool fast;		/* it has fast rings; two in a row are a pair */
	bool direct;		/* and direct slots */
	bool direct_tells;	/* which a call opens, all that are asked for */
	uint32_t fast_seq;	/* number of the first line */
};

struct fake_srq {
	uint32_t handle;
	struct pcv_srq_shared *shared;
	uint8_t *queue;
	uint32_t count, stride;
	uint32_t kicks;
};

struct fake_qp {
	uint32_t handle;
	uint32_t qp_num;
	enum ibv_qp_state state;
	struct pcv_qp_shared *shared;
	struct fake_srq *srq;
	struct pcv_cq_shared *send_cq, *recv_cq;
	uint8_t *sq, *rq;
	struct pcv_scqe *scqe;
	uint32_t sq_count, sq_stride, rq_count, rq_stride;
	struct pcv_ring_tx ring;
	uint32_t sq_taken, sq_done, rq_next;
	uint32_t claims;		/* receives claimed for fake_pass() */
	uint32_t claimed;		/* the receive of the message under way */
	uint32_t claimed_fast;		/* fast messages before it */
	bool has_claimed;
	uint32_t kicks;
	uint32_t flush_left;		/* receives to flush that found no room */
	uint8_t *own, *peer;		/* blocks, NULL: none */
	uint32_t fast_seq;
	struct pcv_direct_slot *direct;
	uint8_t *direct_mem;
	bool holding;			/* a send that cannot be passed on yet */
};

/* Faults to come: how many calls of that kind fail, and with what. */
struct fake_faults {
	int write_times, write_errno;
	int ioctl_times, ioctl_errno;
	int destroy_qp_errno;
	bool gone;			/* the device: everything answers EIO */
};

/* Layouts to answer with instead of the right ones. */
struct fake_lies {
	uint32_t qp_ring_offset;
	uint32_t sq_count;
	uint64_t mmap_bytes;
};

extern struct fake_limits fake_limits;
extern struct fake_faults fake_faults;
extern struct fake_lies fake_lies;
extern unsigned int fake_modifies, fake_ioctls;

/* A fresh kernel with one opened device. */
struct ibv_context *fake_open(void);
void fake_close(void);

struct fake_qp *fake_qp(const struct ibv_qp *qp);
struct fake_srq *fake_srq(const struct ibv_srq *srq);
struct pcv_cq_shared *fake_cq(const struct ibv_cq *cq);

/* How often the kernel was asked to look for what has come for this queue. */
uint32_t fake_asks(const struct ibv_cq *cq);

/* --- what the kernel does --- */

/* Take the next send. Return: its request, NULL if there is none. */
const struct pcv_swqe *fake_send_take(struct fake_qp *fq);
/* End the oldest send taken. */
void fake_send_end(struct fake_qp *fq, uint32_t status, uint32_t bytes);
/* Take and end @n sends with success. */
void fake_send_all(struct fake_qp *fq, unsigned int n);

/*
 * Take the next receive; @wqe as its completion will carry it. With @copy its
 * request is copied out, without its segments. Return: false if there is none.
 */
bool fake_recv_take(struct fake_qp *fq, uint32_t *wqe, struct pcv_rwqe *copy);
/* Put an entry into the receive ring and hint. Return: as pcv_ring_put(). */
int fake_rx_put(struct fake_qp *fq, uint8_t type, uint8_t flags, const void *data, uint32_t len);
/* A placed completion with success of @wqe. */
int fake_rx_placed(struct fake_qp *fq, uint32_t wqe, uint32_t bytes);
/* A message that travels in the ring, with all that can be said about it. */
int fake_rx_head_data(struct fake_qp *fq, uint8_t flags, uint32_t imm, uint32_t fast,
		      const void *data, uint32_t len);
/* A message that travels in the ring. */
int fake_rx_data(struct fake_qp *fq, const void *data, uint32_t len);

/* The peer's block may be written to, with more bits; no longer. */
void fake_fast_open(struct fake_qp *fq, uint32_t bits);
void fake_fast_shut(struct fake_qp *fq, uint32_t bits);
/*
 * Take the oldest send of @from to the other end: placed into a receive, or
 * through the ring. Return: whether there was one, and a receive for it that
 * the process at the other end does not fill at this moment.
 */
bool fake_pass(struct fake_qp *from, struct fake_qp *to, bool placed);

/* Ask to be called, then look again; stop asking; calls so far. */
void fake_kick_ask(struct fake_qp *fq, uint32_t bits);
void fake_kick_unask(struct fake_qp *fq, uint32_t bits);
uint32_t fake_kicks(struct fake_qp *fq);

void fake_hint(struct pcv_cq_shared *cq, uint32_t qp_num);

#endif /* PCV_FAKE_H */
