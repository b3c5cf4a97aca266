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

#include "fast.h"
#include "os.h"
#include "ring.h"
#include "word.h"

#define PCV_MR_BUCKETS		256

/* Completions taken from one queue pair before its neighbour's turn. */
#define PCV_VISIT		16

/* Queue pairs with a fast ring that every poll looks at; the others take turns. */
#define PCV_HOT			16

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

/**
 * struct pcv_mr_cache - the region that was used last
 * @generation: of the context's table when it was found, plus one; 0: none
 * @lkey: its key
 * @iova: its address
 * @bytes: its length
 * @at: where that lies in this process
 */
struct pcv_mr_cache {
	uint32_t generation;
	uint32_t lkey;
	uint64_t iova;
	uint64_t bytes;
	char *at;
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
 * @watched: it has a fast ring, and a place among those that are looked at
 *	without a hint
 * @hot: that place is among the hot ones; looked at without the lock
 * @at: which place
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
	bool watched;
	bool hot;
	uint32_t at;
	struct pcv_cq_link *before, *after;
	struct pcv_cq_link *next;
};

/**
 * struct pcv_watch - where news of a queue pair would be seen
 * @tail: tail word of the next line in its fast ring
 * @sent: counts the sends that the process has completed itself
 * @seq: the number that the line will have
 * @done: @sent as far as polled
 * @link: whose it is
 *
 * All that a look at an idle queue pair needs, without touching the latter.
 */
struct pcv_watch {
	const __le64 *tail;
	const uint32_t *sent;
	uint32_t seq;
	uint32_t done;
	struct pcv_cq_link *link;
};

/**
 * struct pcv_cq - a completion queue: where to look, and in what order
 * @lock: guards all of it and the consumer's side of its queue pairs
 * @active: queue pairs that may have completions, a circle; whose turn it is
 * @active_count: their number; looked at without the lock
 * @watch_count: queue pairs that are watched; looked at without the lock
 * @hot_count, @hot_turn: those of them in @hot, and which is the next
 * @hot_used: bits of those that had something since they were looked through
 * @polls: until then
 * @greet_turn: whose peer may be told something next
 * @active_turn: the active ones come before the hot ones this time
 * @cold_count, @cold_turn, @cold_room: the others, which is the next, and for
 *	how many there is room
 * @cold: they take turns
 * @uncalled: queue pairs whose peers are not asked to wake this process
 * @was_armed: at any time; from then on peers must look whether they are called
 * @called_solicited: the others are asked for solicited messages only
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
	uint32_t watch_count;
	uint32_t hot_count;
	uint32_t hot_turn;
	uint32_t hot_used;
	uint32_t polls;
	uint32_t greet_turn;
	bool active_turn;
	bool called_solicited;
	int was_armed;
	uint32_t cold_count;
	uint32_t cold_turn;
	uint32_t cold_room;
	struct pcv_watch *cold;
	struct pcv_qp *uncalled;
	struct pcv_watch hot[PCV_HOT] __attribute__((__aligned__(64)));
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
 * struct pcv_direct_use - what the process thinks of a direct slot
 * @va: of the piece
 * @rkey: of the region
 * @ask: what was put into the slot, 0: nothing yet
 * @uses: work requests for it so far
 * @stamp: the count of writes when it was used last
 */
struct pcv_direct_use {
	uint64_t va;
	uint32_t rkey;
	uint32_t ask;
	uint32_t uses;
	uint32_t stamp;
};

/**
 * struct pcv_direct - remote memory that the process may write itself
 * @slot: in the region; NULL: there is none
 * @offset: of the mapping
 * @region: mapped at its first use
 * @failed: it could not be
 * @last: the slot used last
 * @ask: the last number asked with
 * @writes: counted, for the age of slots
 * @use: a note for each slot
 *
 * Guarded by the send queue's lock.
 */
struct pcv_direct {
	struct pcv_direct_slot *slot;
	uint64_t offset;
	struct pcv_region region;
	bool failed;
	uint32_t last;
	uint32_t ask;
	uint32_t writes;
	struct pcv_direct_use use[PCV_DIRECT_SLOTS];
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

/* The same for those who may use the same region again and again; @access 0: to read it. */
void *pcv_mr_lookup(struct pcv_context *ctx, const struct ibv_pd *pd, struct pcv_mr_cache *cache,
		    uint64_t addr, uint32_t bytes, uint32_t lkey, int access);

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
void pcv_cq_link_start(struct pcv_cq *cq, struct pcv_cq_link *link);
void pcv_cq_link_stop(struct pcv_cq *cq, struct pcv_cq_link *link);

/* Take the kernel's hints: what they name becomes active. Caller holds the lock. */
void pcv_cq_hints_take(struct pcv_cq *cq);

/* Give a hint as the kernel would. No lock needed. */
void pcv_cq_hint(struct pcv_cq *cq, const struct pcv_qp *qp);

/* --- watch.c: queue pairs that nobody hints at --- */

/* Have room for one more. Return: 0 or ENOMEM. */
int pcv_watch_reserve(struct pcv_cq *cq);

/* Caller of these holds the completion queue's lock. */
void pcv_watch_add(struct pcv_cq *cq, struct pcv_cq_link *link);
void pcv_watch_del(struct pcv_cq *cq, struct pcv_cq_link *link);

/* A queue pair was looked into; @used: it had something, and may have more soon. */
void pcv_watch_update(struct pcv_cq *cq, struct pcv_cq_link *link, bool used);

/* Completions of those who have any. Return: how many. */
int pcv_watch_poll(struct pcv_cq *cq, int n, struct ibv_wc *wc);

/* --- poll.c --- */

int pcv_cq_poll(struct ibv_cq *ibcq, int n, struct ibv_wc *wc);

/* The same for a caller that holds the lock. */
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

/* The receive ring is empty: a kernel that waits for that is called. */
void pcv_rx_idle(struct pcv_qp *qp);

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
