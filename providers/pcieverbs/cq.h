/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Completion queues: which of their queue pairs are looked into, and when (cq.c,
 * cq-ex.c, watch.c).
 */
#ifndef PCV_CQ_H
#define PCV_CQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "private-abi.h"

#include <rdma/pcieverbs-abi.h>

#include "memory.h"
#include "os.h"

struct pcv_qp;

/* Queue pairs with a fast ring that every poll looks at; the others take turns. */
#define PCV_HOT			16

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
 * @taking: hints are being taken; looked at without the lock
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
 * @asks: how often the kernel may still be asked for what comes through it, until
 *	something does
 * @empty: polls in vain since the last time
 * @asked: it was, and need not be rung for; these three without the lock
 * @slot: queue pairs by number modulo PCV_CQ_SLOTS
 * @ex_wc: the completion that the extended calls read
 * @ex_open, @ex_thread: a batch of those is going on, and whose; looked at without
 *	the lock
 */
struct pcv_cq {
	struct verbs_cq vcq;
	struct pcv_region region;
	struct pcv_cq_shared *shared;
	pthread_spinlock_t lock;
	struct pcv_cq_link *active;
	unsigned int active_count;
	uint32_t watch_count;
	uint32_t taking;
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
	uint32_t asks;
	uint32_t empty;
	uint32_t asked;
	struct pcv_watch hot[PCV_HOT] __attribute__((__aligned__(64)));
	struct pcv_cq_link *slot[PCV_CQ_SLOTS];
	struct ibv_wc ex_wc;
	pthread_t ex_thread;
	int ex_open;
};

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

/* --- kick.c --- */

/*
 * Have the kernel receive what has come through it, instead of waiting for a
 * doorbell; while the queue is armed, have it wait for one again.
 */
void pcv_cq_ask(struct pcv_cq *cq);

/* --- watch.c: queue pairs that nobody hints at --- */

/* Have room for one more. Return: 0 or ENOMEM. */
int pcv_watch_reserve(struct pcv_cq *cq);

/* Caller of these holds the completion queue's lock. */
void pcv_watch_add(struct pcv_cq *cq, struct pcv_cq_link *link);
void pcv_watch_del(struct pcv_cq *cq, struct pcv_cq_link *link);

/* A queue pair was looked into; @used: it had something, and may have more soon. */
void pcv_watch_update(struct pcv_cq *cq, struct pcv_cq_link *link, bool used);

/*
 * Polls for each look at a cold queue pair, in which the next one is fetched; and for
 * each look whether there is something to tell a peer, if there are no cold ones.
 */
#define PCV_COLD_POLLS		4u
#define PCV_GREET_POLLS		64u

static inline bool pcv_watch_has_chores(const struct pcv_cq *cq, uint32_t polls)
{
	return polls % (cq->cold_count ? PCV_COLD_POLLS : PCV_GREET_POLLS) == 0;
}

/* Completions of those who have any. Return: how many. */
int pcv_watch_poll(struct pcv_cq *cq, int n, struct ibv_wc *wc);

static inline bool pcv_watch_sees_line(const struct pcv_watch *watch)
{
	return (uint32_t)pcv_le64(pcv_in_load(watch->tail)) == watch->seq;
}

static inline bool pcv_watch_sees_sent(const struct pcv_watch *watch)
{
	return PCV_LOAD(watch->sent) != watch->done;
}

static inline bool pcv_watch_sees(const struct pcv_watch *watch)
{
	return pcv_watch_sees_line(watch) || pcv_watch_sees_sent(watch);
}

/*
 * Would pcv_watch_poll() do nothing but count? If so this has counted. It is what most
 * polls come to, and whoever waits for a message waits for the end of the one before.
 */
static inline bool pcv_watch_idle(struct pcv_cq *cq)
{
	const struct pcv_watch *watch = cq->hot, *end = watch + cq->hot_count;

	if (pcv_watch_has_chores(cq, cq->polls + 1))
		return false;
	for (; watch < end; watch++)
		if (pcv_watch_sees(watch))
			return false;
	cq->polls++;
	return true;
}

#endif /* PCV_CQ_H */
