/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Direct slots, seen by the one who asks for pieces of a peer's memory and stores
 * into them: a process, or the kernel in its place. The other side of the slots
 * is kernel/direct.c.
 *
 * A piece that was written to a few times through the channel is asked for, in
 * the slot that was not used for longest. All of this under the asker's lock.
 */
#ifndef PCV_SLOTS_H
#define PCV_SLOTS_H

#include <linux/types.h>
#include <pcieverbs/wire.h>
#include <rdma/pcieverbs-abi.h>

#include "os.h"

/* Requests through the channel before a piece is asked for. */
#define PCV_SLOT_USES	2u

/* One that is long enough to be worth the asking by itself. */
#define PCV_SLOT_LONG	(64u << 10)

/* A piece of which nothing can be had, or was heard, is not asked for again before so many. */
#define PCV_SLOT_RETRY	1000u

/**
 * struct pcv_slot_use - what the asker thinks of a slot
 * @va: of the piece
 * @rkey: of the region
 * @ask: what was put into the slot, 0: nothing yet
 * @uses: work requests for it so far
 * @stamp: the count of writes when it was used last
 */
struct pcv_slot_use {
	__u64 va;
	__u32 rkey;
	__u32 ask;
	__u32 uses;
	__u32 stamp;
};

/**
 * struct pcv_slots - all slots of a queue pair
 * @slot: what is shared with who answers, PCV_DIRECT_SLOTS; NULL: there are none
 * @last: the slot used last
 * @ask: the last number asked with
 * @writes: counted, for the age of slots
 * @use: a note for each slot
 */
struct pcv_slots {
	struct pcv_direct_slot *slot;
	__u32 last;
	__u32 ask;
	__u32 writes;
	struct pcv_slot_use use[PCV_DIRECT_SLOTS];
};

/* Forget all pieces: the queue pair was reset. */
static inline void pcv_slots_reset(struct pcv_slots *slots)
{
	__u32 i;

	for (i = 0; i < PCV_DIRECT_SLOTS; i++) {
		slots->use[i].uses = 0;
		slots->use[i].ask = 0;
		slots->use[i].stamp = 0;
	}
	slots->last = 0;
}

static inline _Bool pcv_slot_is(const struct pcv_slot_use *use, __u64 va, __u32 rkey)
{
	return use->uses && use->va == va && use->rkey == rkey;
}

/**
 * pcv_slots_find() - the slot of a piece, its old one or a new one
 * @va: where the piece begins
 * @rkey: of the region
 *
 * Return: its index.
 */
static inline __u32 pcv_slots_find(struct pcv_slots *slots, __u64 va, __u32 rkey)
{
	struct pcv_slot_use *use;
	__u32 i, oldest = 0;

	if (__builtin_expect(pcv_slot_is(&slots->use[slots->last], va, rkey), 1))
		return slots->last;
	for (i = 0; i < PCV_DIRECT_SLOTS; i++) {
		use = &slots->use[i];
		if (pcv_slot_is(use, va, rkey))
			goto found;
		/* One that was never used has no stamp, and is the oldest of all. */
		if (slots->use[oldest].uses &&
		    (!use->uses || slots->writes - use->stamp >
				   slots->writes - slots->use[oldest].stamp))
			oldest = i;
	}
	i = oldest;
	use = &slots->use[i];
	use->va = va;
	use->rkey = rkey;
	use->ask = 0;
	use->uses = 1;
found:
	slots->last = i;
	return i;
}

/* Ask for the piece of a slot. Who answers is still to be called. */
static inline void pcv_slots_ask(struct pcv_slots *slots, __u32 i)
{
	struct pcv_direct_slot *slot = &slots->slot[i];
	struct pcv_slot_use *use = &slots->use[i];

	if (++slots->ask == 0)
		slots->ask = 1;
	use->ask = slots->ask;
	use->uses = 1;
	PCV_STORE(&slot->va, use->va);
	PCV_STORE(&slot->rkey, use->rkey);
	/*
	 * PCV(direct_ask:A) pairs with direct_ask:B
	 * What is asked for, then that it is.
	 */
	pcv_cpu_store_release(&slot->ask, use->ask);
}

/**
 * pcv_slots_ready() - may a part of a slot's piece be stored to?
 * @offset, @bytes: the part
 * @uses: of a piece that was not asked for, before it is
 * @ask: set to 1 if it is time to ask for it (again)
 */
static inline _Bool pcv_slots_ready(struct pcv_slots *slots, __u32 i, __u32 offset, __u32 bytes,
				    __u32 uses, _Bool *ask)
{
	const struct pcv_direct_slot *slot = &slots->slot[i];
	struct pcv_slot_use *use = &slots->use[i];
	__u32 from, to;

	use->stamp = slots->writes;
	if (!use->ask) {
		*ask = use->uses++ > uses;
		return 0;
	}
	/*
	 * PCV(direct_told:B) pairs with direct_told:A
	 * What the kernel says of the piece was stored before that it does.
	 */
	if (pcv_cpu_load_acquire(&slot->told) != use->ask) {
		/* Either of them may have been lost for want of room: not for ever. */
		*ask = use->uses++ > PCV_SLOT_RETRY;
		return 0;
	}
	/* PCV(direct_told:B) pairs with direct_told:A: and the ends before this. */
	if (__builtin_expect(pcv_cpu_load_acquire(&slot->valid), 1)) {
		from = PCV_LOAD(&slot->from);
		to = PCV_LOAD(&slot->to);
		return to <= PCV_DIRECT_PIECE && offset >= from && offset <= to &&
		       bytes <= to - offset;
	}
	/* It was taken back, or there was nothing to be had. */
	*ask = use->uses++ > PCV_SLOT_RETRY;
	return 0;
}

#endif /* PCV_SLOTS_H */
