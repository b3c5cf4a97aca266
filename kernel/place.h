/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a queue pair has borrowed of its peer's memory, as direct.c, which borrows
 * and gives back, and store.c, which stores for processes that must not, share it.
 */
#ifndef PCV_PLACE_H
#define PCV_PLACE_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "dev.h"
#include "slots.h"

/**
 * struct pcv_place - a slot, the kernel's side of it
 * @va, @rkey: what it was asked for. Changed under both mutex and lock
 * @ask: value of the asker's word that was acted upon; under the mutex
 * @when: jiffies when it was; under the mutex
 * @token: number of the ASK, under the lock like the following
 * @waiting: a TELL with that number counts
 * @silent: no TELL has come for it yet
 * @told: a TELL that has come, PCV_DIRECT_UNITS addresses, to be carried out
 * @page: of the piece, pcv_place_pages(): page frames that the process may map; where
 *	the kernel stores, its addresses of them. Under the map's lock or &pcv_direct.storing
 */
struct pcv_place {
	u64 va;
	u32 rkey;
	u32 ask;
	unsigned long when;
	u32 token;
	bool waiting;
	bool silent;
	__le64 *told;
	unsigned long *page;
};

/**
 * struct pcv_store - slots of a queue pair whose process has no rings of its own
 * @slots: the asker's side, under the send queue's lock
 * @slot: what is between it and direct.c
 */
struct pcv_store {
	struct pcv_slots slots;
	struct pcv_direct_slot slot[PCV_DIRECT_SLOTS];
};

/**
 * struct pcv_direct - what a queue pair of a process has borrowed
 * @entry: in direct_list
 * @map: how its process reaches it; NULL: this kernel stores
 * @store: with @map NULL
 * @storing: spinlock, bottom halves off, with @map NULL: behind the send queue's lock
 * @slot: what the asker sees
 * @work: carries out what was asked and what was told; holds a reference to @qp
 * @peer: whose pages @place has; a reference; under @mutex
 * @token: of the last ASK
 */
struct pcv_direct {
	struct pcv_qp *qp;
	struct list_head entry;
	struct pcv_map *map;
	struct pcv_store *store;
	spinlock_t storing;
	struct pcv_direct_slot *slot;
	struct work_struct work;
	struct mutex mutex;
	struct pcv_peer *peer;
	spinlock_t lock;
	u32 token;
	struct pcv_place place[PCV_DIRECT_SLOTS];
};

/* A process maps pages of this node's; the kernel's mapping shows every unit that is lent. */
static inline u32 pcv_place_shift(const struct pcv_direct *d)
{
	return d->map ? PAGE_SHIFT : PCV_DIRECT_UNIT_SHIFT;
}

static inline u32 pcv_place_pages(const struct pcv_direct *d)
{
	return PCV_DIRECT_PIECE >> pcv_place_shift(d);
}

#endif /* PCV_PLACE_H */
