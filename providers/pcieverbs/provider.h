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
#include <sys/single_threaded.h>

#include "private-abi.h"

#include <rdma/pcieverbs-abi.h>

#include "cq.h"
#include "fast-qp.h"
#include "fast.h"
#include "memory.h"
#include "os.h"
#include "ring.h"
#include "word.h"

#define PCV_MR_BUCKETS		256

/* Completions taken from one queue pair before its neighbour's turn. */
#define PCV_VISIT		16

#define pcv_likely(x)		__builtin_expect(!!(x), 1)
#define pcv_unlikely(x)		__builtin_expect(!!(x), 0)

struct pcv_qp;
struct pcv_srq;

/*
 * A lock that is not taken while there is nobody to keep out. Whoever gave
 * back without having taken remembers: a thread may have been started since.
 */
static inline bool pcv_lock(pthread_spinlock_t *lock)
{
	if (pcv_likely(__libc_single_threaded))
		return false;
	pthread_spin_lock(lock);
	return true;
}

static inline void pcv_unlock(pthread_spinlock_t *lock, bool taken)
{
	if (pcv_unlikely(taken))
		pthread_spin_unlock(lock);
}

struct pcv_device {
	struct verbs_device vdev;
};

/**
 * struct pcv_context - an opened device
 * @mr_lock: guards @mr
 * @mr: registered regions by lkey: the provider copies into them itself when
 *	a message arrives in a receive ring
 * @mr_generation: counts the regions that went; guarded by @mr_lock, looked at
 *	without it
 * @fabric: struct pcv_fabric, empty if the kernel has none
 * @kick_ioctl: write(2) was refused (the process changed its credentials)
 */
struct pcv_context {
	struct verbs_context vctx;
	pthread_spinlock_t mr_lock;
	struct pcv_mr *mr[PCV_MR_BUCKETS];
	uint32_t mr_generation;
	int kick_ioctl;
	struct pcv_region fabric;
};

struct pcv_ah {
	struct ibv_ah ah;
	uint32_t number;
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

/*
 * @limit: the kernel is to be called when fewer entries are left; looked at
 *	without the lock
 * @recv_min: the shortest receive posted so far
 * @qps: queue pairs with a fast ring, which must know
 * @starved: one of them may starve; changed without the lock
 */
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
	uint32_t limit;
	uint32_t recv_min;
	struct pcv_qp *qps;
	uint32_t starved;
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
	uint32_t recv_min;		/* the shortest receive posted so far */
	struct pcv_mr_cache mr;		/* the region posted last */
	uint32_t head __attribute__((__aligned__(64)));
	uint32_t starved;		/* enum pcv_starved bits; changed without a lock */
};

/* A message in the fast ring, whose turn it is, found no receive. */
enum pcv_starved {
	PCV_STARVED = 1,
	PCV_STARVED_SOLICITED = 2,	/* or nobody knows */
};

/* No receive was posted yet. */
#define PCV_RECV_NONE		UINT32_MAX

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
	PCV_BREAK_FAST,			/* no message where one must be, in the fast ring */
	PCV_BREAK_FAST_CREDIT,		/* more consumed there than was sent */
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
 * @rx_stopped: a receive went wrong: what else arrives is flushed
 * @link: places in the completion queues; one is used if they are the same
 * @fast_own, @fast_peer: blocks of the fast rings; empty if there are none
 * @direct: remote memory
 * @recv, @send: the fast rings
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
	struct pcv_region fast_own;
	struct pcv_region fast_peer;
	struct pcv_fast_recv recv __attribute__((__aligned__(64)));
	struct pcv_fast_send send __attribute__((__aligned__(64)));
	struct pcv_direct direct;
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

/* pcv_mr_lookup() for those who may use the same region again and again. */
static inline void *pcv_mr_cached(struct pcv_qp *qp, struct pcv_mr_cache *cache, uint64_t addr,
				  uint32_t bytes, uint32_t lkey, int access)
{
	struct pcv_context *ctx = pcv_context(qp->vqp.qp.context);
	uint64_t offset = addr - cache->iova;

	if (pcv_likely(cache->lkey == lkey &&
		       cache->generation == PCV_LOAD(&ctx->mr_generation) + 1 &&
		       offset <= cache->bytes && bytes <= cache->bytes - offset))
		return cache->at + offset;
	return pcv_mr_lookup(ctx, qp->vqp.qp.pd, cache, addr, bytes, lkey, access);
}

/* --- ah.c --- */

/*
 * An address that is only a LID becomes a link-local GID, if the LID is known;
 * everything else stays as it is.
 */
void pcv_ah_attr_complete(struct ibv_context *ctx, struct ibv_ah_attr *attr);
struct ibv_ah *pcv_ah_create(struct ibv_pd *pd, struct ibv_ah_attr *attr);
int pcv_ah_destroy(struct ibv_ah *ah);

/* --- poll.c --- */

int pcv_cq_poll(struct ibv_cq *ibcq, int n, struct ibv_wc *wc);

/* A poll has found nothing: ask the kernel, now and then. Without the lock. */
void pcv_cq_poll_empty(struct pcv_cq *cq);

/* The same as pcv_cq_poll() for a caller that holds the lock. */
int pcv_cq_poll_locked(struct pcv_cq *cq, int n, struct ibv_wc *wc);

/*
 * Look into one queue pair. @more says whether it is worth another look
 * without a new hint.
 */
int pcv_qp_visit(struct pcv_cq_link *link, int n, struct ibv_wc *wc, bool *more);

/* How sends ended that the kernel has counted, up to @done. */
int pcv_sq_poll(struct pcv_qp *qp, int n, struct ibv_wc *wc, uint32_t done);

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

/*
 * What lies at the head of the receive ring becomes a completion.
 *
 * Return: 1, 0 if it was dropped, -EAGAIN if no receive is posted, -EPROTO
 * with *@why. It stays at the head until pcv_rx_next().
 */
int pcv_rx_entry(struct pcv_qp *qp, const struct pcv_ring_msg *msg, struct ibv_wc *wc,
		 enum pcv_break *why);
void pcv_rx_next(struct pcv_qp *qp, const struct pcv_ring_msg *msg);

/*
 * The receive ring is empty: a kernel that waits for that is called. Return: whether
 * it was, and may have filled it.
 */
bool pcv_rx_idle(struct pcv_qp *qp);

/*
 * The next receive: its number as the completion will carry it, and its
 * segments.
 *
 * Return: how many segments, or -EAGAIN.
 */
int pcv_recv_next(struct pcv_qp *qp, uint32_t *wqe, struct pcv_sge *sge);

/* It has ended. Return: 1 with *@wr_id, or -EPROTO with *@why. */
int pcv_recv_end(struct pcv_qp *qp, uint32_t wqe, uint32_t bytes, uint64_t *wr_id,
		 enum pcv_break *why);

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
/*
 * Have those sent on whose messages found this queue empty. If it cannot be
 * said, their senders' timers make up for it.
 */
void pcv_srq_kick(struct pcv_srq *srq);

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

/* Post a receive again that was taken and not used. Return: whether there was room. */
bool pcv_srq_give_back(struct pcv_srq *srq, const struct pcv_rwqe *wqe, const struct pcv_sge *sge);

/* After taking: is the queue below its limit? True once, then the kernel must look. */
bool pcv_srq_low(struct pcv_srq *srq);

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
