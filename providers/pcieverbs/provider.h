/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The objects of the provider and what its files ask of each other.
 *
 * Locks, in the order in which they nest: the completion queues of a queue
 * pair (both: by address), a send queue, a receive queue or shared receive
 * queue, the context's table of memory regions.
 */
#ifndef PCV_PROVIDER_H
#define PCV_PROVIDER_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "private-abi.h"

#include <rdma/pcieverbs-abi.h>

#include "os.h"
#include "ring.h"
#include "word.h"

#define PCV_MR_BUCKETS		256

/* Completions taken from one queue pair before its neighbour's turn. */
#define PCV_VISIT		16

struct pcv_qp;

/* Memory shared with the kernel. */
struct pcv_region {
	void *base;
	size_t bytes;
};

struct pcv_device {
	struct verbs_device vdev;
};

struct pcv_mr {
	struct verbs_mr vmr;
	uint64_t iova;
	struct pcv_mr *next;		/* in its bucket */
};

/**
 * struct pcv_context - an opened device
 * @mr_lock: guards @mr
 * @mr: registered regions by lkey: the provider copies into them itself when
 *	a message arrives in a receive ring
 * @fabric: struct pcv_fabric, empty if the kernel has none
 * @kick_ioctl: write(2) was refused (the process changed its credentials)
 */
struct pcv_context {
	struct verbs_context vctx;
	pthread_spinlock_t mr_lock;
	struct pcv_mr *mr[PCV_MR_BUCKETS];
	int kick_ioctl;
	struct pcv_region fabric;
};

struct pcv_ah {
	struct ibv_ah ah;
	uint32_t number;
};

enum pcv_cq_role {
	PCV_CQ_SEND = 1,
	PCV_CQ_RECV = 2,
};

/**
 * struct pcv_cq_link - what a completion queue knows of one of its queue pairs
 * @qp: the queue pair, which contains this
 * @roles: enum pcv_cq_role bits: which of its completions come here
 * @active: on the list of those that may have completions
 * @recv_first: whose turn it is to be reported first
 * @before, @after: there, a circle
 * @next: in the slot
 *
 * Guarded by the completion queue's lock.
 */
struct pcv_cq_link {
	struct pcv_qp *qp;
	unsigned int roles;
	bool active;
	bool recv_first;
	struct pcv_cq_link *before, *after;
	struct pcv_cq_link *next;
};

/**
 * struct pcv_cq - a completion queue: where to look, and in what order
 * @lock: guards all of it and the consumer's side of its queue pairs
 * @active: queue pairs that may have completions, a circle; whose turn it is
 * @active_count: their number; looked at without the lock
 * @slot: queue pairs by number modulo PCV_CQ_SLOTS
 * @ex_wc: the completion that the extended calls read
 */
struct pcv_cq {
	struct verbs_cq vcq;
	struct pcv_region region;
	struct pcv_cq_shared *shared;
	pthread_spinlock_t lock;
	struct pcv_cq_link *active;
	unsigned int active_count;
	struct pcv_cq_link *slot[PCV_CQ_SLOTS];
	struct ibv_wc ex_wc;
};

/**
 * struct pcv_srq_entry - a receive that a shared receive queue knows of
 * @wr_id: as posted
 * @bytes: what its segments hold together
 * @next: in the list of free entries
 * @used: posted and not yet completed
 *
 * The number of the entry travels through queue and kernel as its wr_id, so
 * the slot in the queue may be filled again before the completion is polled.
 */
struct pcv_srq_entry {
	uint64_t wr_id;
	uint32_t bytes;
	uint32_t next;
	bool used;
};

#define PCV_SRQ_NONE		UINT32_MAX

struct pcv_srq {
	struct verbs_srq vsrq;
	struct pcv_region region;
	struct pcv_srq_shared *shared;
	uint8_t *queue;
	uint32_t stride;
	uint32_t count;
	uint32_t max_sge;
	pthread_spinlock_t lock;	/* guards what follows */
	uint32_t tail;
	uint32_t entries;
	uint32_t free;
	struct pcv_srq_entry *entry;
};

/* What is remembered of a posted send. */
struct pcv_sq_slot {
	uint64_t wr_id;
	uint8_t wc_opcode;
	bool signaled;
};

/**
 * struct pcv_sq - the send queue of a queue pair
 * @lock: serialises those who post; guards @tail and the slots ahead of it
 * @tail: posted
 * @head: completed and polled; moved under the send completion queue's lock
 */
struct pcv_sq {
	pthread_spinlock_t lock;
	uint32_t tail;
	uint32_t count;
	uint32_t stride;
	uint32_t max_sge;
	uint32_t max_inline;
	bool sig_all;
	uint8_t *queue;
	struct pcv_sq_slot *slot;
	struct pcv_scqe *done;
	uint32_t head __attribute__((__aligned__(64)));
};

/* What is remembered of a posted receive. */
struct pcv_rq_slot {
	uint64_t wr_id;
	uint32_t bytes;
};

/* The receive queue; like the send queue, with the receive completion queue's lock. */
struct pcv_rq {
	pthread_spinlock_t lock;
	uint32_t tail;
	uint32_t count;
	uint32_t stride;
	uint32_t max_sge;
	uint8_t *queue;
	struct pcv_rq_slot *slot;
	uint32_t head __attribute__((__aligned__(64)));
};

/* Why a queue pair was given up; the vendor_err of its completions. */
enum pcv_break {
	PCV_BREAK_NONE,
	PCV_BREAK_DEVICE = 0x101,	/* the kernel no longer answers */
	PCV_BREAK_SEND_COUNT,		/* more sends ended than were posted */
	PCV_BREAK_SEND_STATUS,		/* an unknown status */
	PCV_BREAK_RING,			/* no message where one must be */
	PCV_BREAK_RING_TYPE,		/* a message of unknown type or size */
	PCV_BREAK_RECV_INDEX,		/* the completion of a receive that is not the next */
	PCV_BREAK_RECV_STATUS,		/* an unknown status or opcode */
	PCV_BREAK_RECV_BYTES,		/* more bytes than the receive has room for */
};

enum pcv_qp_health {
	PCV_QP_SOUND,
	PCV_QP_BREAKING,	/* no more posts; the kernel is being told */
	PCV_QP_BROKEN,		/* what is outstanding ends with a fatal error */
};

/**
 * struct pcv_qp - a queue pair
 * @spare: a library of a neighbouring release may think that verbs_qp is longer
 * @health: enum pcv_qp_health; changed under the locks of both queues
 * @why: enum pcv_break
 * @ring: the receive ring, consumed under the receive completion queue's lock
 * @ring_told: its head as last told to the kernel
 * @ring_kick: the kernel waits for room in it
 * @rx_stopped: a receive went wrong: what else arrives is dropped
 * @link: places in the completion queues; one is used if they are the same
 */
struct pcv_qp {
	struct verbs_qp vqp;
	uint8_t spare[64];
	struct pcv_region region;
	struct pcv_qp_shared *shared;
	struct pcv_srq *srq;
	int health;
	int why;
	struct pcv_sq sq __attribute__((__aligned__(64)));
	struct pcv_rq rq __attribute__((__aligned__(64)));
	struct pcv_ring_rx ring __attribute__((__aligned__(64)));
	uint32_t ring_told;
	bool ring_kick;
	bool rx_stopped;
	struct pcv_cq_link link[2];
};

#define pcv_container(ptr, type, member)	\
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

static inline struct pcv_context *pcv_context(struct ibv_context *ctx)
{
	return pcv_container(ctx, struct pcv_context, vctx.context);
}

static inline struct pcv_ah *pcv_ah(struct ibv_ah *ah)
{
	return pcv_container(ah, struct pcv_ah, ah);
}

static inline struct pcv_cq *pcv_cq(struct ibv_cq *cq)
{
	return pcv_container(cq, struct pcv_cq, vcq.cq);
}

static inline struct pcv_srq *pcv_srq(struct ibv_srq *srq)
{
	return pcv_container(srq, struct pcv_srq, vsrq.srq);
}

static inline struct pcv_qp *pcv_qp(struct ibv_qp *qp)
{
	return pcv_container(qp, struct pcv_qp, vqp.qp);
}

/* --- region.c --- */

/**
 * pcv_region_map() - map what the kernel made for an object
 * @offset, @bytes: from the answer of the create call
 *
 * A child does not inherit it. Return: 0 or a positive errno.
 */
int pcv_region_map(struct ibv_context *ctx, uint64_t offset, uint64_t bytes,
		   struct pcv_region *region);
/* The same for what may only be read; a child inherits it. */
int pcv_region_map_read(struct ibv_context *ctx, uint64_t offset, uint64_t bytes,
			struct pcv_region *region);
void pcv_region_unmap(struct pcv_region *region);

/* Whether @count elements of @stride bytes at @offset lie inside, aligned to @align. */
bool pcv_region_holds(const struct pcv_region *region, uint32_t offset, uint32_t count,
		      uint32_t stride, uint32_t align);

static inline bool pcv_is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

/* Zeroed memory on cache lines of its own; to be freed. */
void *pcv_zalloc(size_t bytes);

/* --- mr.c, ah.c: operations, and --- */

struct ibv_pd *pcv_pd_alloc(struct ibv_context *ctx);
int pcv_pd_free(struct ibv_pd *pd);
struct ibv_mr *pcv_mr_reg(struct ibv_pd *pd, void *addr, size_t bytes, uint64_t iova, int access);
int pcv_mr_dereg(struct verbs_mr *vmr);

/**
 * pcv_mr_find() - where a segment of a receive lies in this process
 *
 * Return: NULL unless it lies in a region of @pd that may be written locally.
 */
void *pcv_mr_find(struct pcv_context *ctx, const struct ibv_pd *pd, const struct pcv_sge *sge);

/*
 * An address that is only a LID becomes a link-local GID, if the LID is known;
 * everything else stays as it is.
 */
void pcv_ah_attr_complete(struct ibv_context *ctx, struct ibv_ah_attr *attr);
struct ibv_ah *pcv_ah_create(struct ibv_pd *pd, struct ibv_ah_attr *attr);
int pcv_ah_destroy(struct ibv_ah *ah);

/* --- cq.c, cq-ex.c --- */

struct ibv_cq *pcv_cq_create(struct ibv_context *ctx, int cqe, struct ibv_comp_channel *chan,
			     int vector);
struct ibv_cq_ex *pcv_cq_create_ex(struct ibv_context *ctx, struct ibv_cq_init_attr_ex *attr);
int pcv_cq_resize(struct ibv_cq *ibcq, int cqe);
int pcv_cq_destroy(struct ibv_cq *ibcq);
int pcv_cq_arm(struct ibv_cq *ibcq, int solicited_only);

/* Add a queue pair to, or remove it from, its completion queue. Caller holds the lock. */
void pcv_cq_link_add(struct pcv_cq *cq, struct pcv_cq_link *link);
void pcv_cq_link_del(struct pcv_cq *cq, struct pcv_cq_link *link);
void pcv_cq_link_stop(struct pcv_cq *cq, struct pcv_cq_link *link);

/* Take the kernel's hints: what they name becomes active. Caller holds the lock. */
void pcv_cq_hints_take(struct pcv_cq *cq);

/* Give a hint as the kernel would. No lock needed. */
void pcv_cq_hint(struct pcv_cq *cq, const struct pcv_qp *qp);

/* --- poll.c --- */

int pcv_cq_poll(struct ibv_cq *ibcq, int n, struct ibv_wc *wc);

/* The same for a caller that holds the lock. */
int pcv_cq_poll_locked(struct pcv_cq *cq, int n, struct ibv_wc *wc);

static inline void pcv_wc_fill(struct ibv_wc *wc, const struct pcv_qp *qp, uint64_t wr_id,
			       uint32_t status, uint32_t vendor_err)
{
	memset(wc, 0, sizeof(*wc));
	wc->wr_id = wr_id;
	wc->status = (enum ibv_wc_status)status;
	wc->vendor_err = vendor_err;
	wc->qp_num = qp->vqp.qp.qp_num;
}

/* --- rx.c: the receive ring --- */

/**
 * pcv_rx_poll() - turn what lies in the receive ring into completions
 * @n: at most so many
 * @stuck: set if a message stays because no receive is posted for it
 *
 * Caller holds the lock of the receive completion queue. Return: how many.
 */
int pcv_rx_poll(struct pcv_qp *qp, int n, struct ibv_wc *wc, bool *stuck);

/* Forget what lies in the receive ring, but return shared receives to their queue. */
void pcv_rx_drain(struct pcv_qp *qp);

/* --- post.c, kick.c --- */

int pcv_qp_post_send(struct ibv_qp *ibqp, struct ibv_send_wr *wr, struct ibv_send_wr **bad_wr);
int pcv_qp_post_recv(struct ibv_qp *ibqp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr);

/**
 * pcv_rwqe_fill() - write a receive work request into its slot
 * @wr_id: what the slot is to carry
 * @bytes: set to what the segments hold together, at most UINT32_MAX
 *
 * Return: 0 or EINVAL.
 */
int pcv_rwqe_fill(struct pcv_rwqe *wqe, const struct ibv_recv_wr *wr, uint64_t wr_id,
		  uint32_t max_sge, uint32_t *bytes);

/* Tell the sleeping kernel to look at this queue pair. Return: 0 or a positive errno. */
int pcv_kick(struct pcv_qp *qp);

/* --- qp.c --- */

struct ibv_qp *pcv_qp_create(struct ibv_pd *pd, struct ibv_qp_init_attr *attr);
int pcv_qp_modify(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask);
int pcv_qp_query(struct ibv_qp *ibqp, struct ibv_qp_attr *attr, int mask,
		 struct ibv_qp_init_attr *init_attr);
int pcv_qp_destroy(struct ibv_qp *ibqp);

/* Tell the kernel that this queue pair is in error. */
int pcv_qp_to_error(struct pcv_qp *qp);

/**
 * pcv_qp_break() - give a queue pair up
 *
 * What its kernel or its peer wrote makes no sense, or the kernel does not
 * answer. It goes into the error state, and everything outstanding ends with
 * IBV_WC_FATAL_ERR until it is reset. Callers may hold completion queue locks
 * but no queue's lock.
 */
void pcv_qp_break(struct pcv_qp *qp, enum pcv_break why);

/* Have the kernel look at the queue pair; if it cannot be called, break. */
static inline void pcv_qp_kick(struct pcv_qp *qp)
{
	if (pcv_kick(qp))
		pcv_qp_break(qp, PCV_BREAK_DEVICE);
}

/* --- srq.c --- */

struct ibv_srq *pcv_srq_create(struct ibv_pd *pd, struct ibv_srq_init_attr *attr);
int pcv_srq_modify(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr, int mask);
int pcv_srq_query(struct ibv_srq *ibsrq, struct ibv_srq_attr *attr);
int pcv_srq_destroy(struct ibv_srq *ibsrq);
int pcv_srq_post(struct ibv_srq *ibsrq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad_wr);

/**
 * pcv_srq_take() - take the receive at the head, as the kernel may do too
 * @wqe: copy of the slot's header
 * @sge: copy of its segments, room for PCV_MAX_SGE
 *
 * Return: whether there was one.
 */
bool pcv_srq_take(struct pcv_srq *srq, struct pcv_rwqe *wqe, struct pcv_sge *sge);

/**
 * pcv_srq_complete() - a receive that was taken has ended
 * @number: as its slot carried it
 * @bytes: how much was put into it
 * @wr_id: set to what was posted
 *
 * Return: 0; -ENOENT if there is no such receive; -EMSGSIZE if @bytes is more
 * than it holds (it stays).
 */
int pcv_srq_complete(struct pcv_srq *srq, uint32_t number, uint32_t bytes, uint64_t *wr_id);

#endif /* PCV_PROVIDER_H */
