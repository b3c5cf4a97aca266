/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Words that a process and its kernel both change: only ever by one atomic
 * exchange, which is also a full barrier on every machine. So do its threads.
 */
#ifndef PCV_WORD_H
#define PCV_WORD_H

#include <stdbool.h>

#include <linux/types.h>

/* Take what is there and leave nothing. */
static inline __u64 pcv_word_take(__u64 *word)
{
	/*
	 * PCV(cq_hint:B) pairs with cq_hint:A
	 * Hints are taken before the queue pairs that they name are looked into.
	 */
	return __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
}

static inline void pcv_word_set(__u64 *word, __u64 bits)
{
	/*
	 * PCV(cq_hint:A) pairs with cq_hint:B
	 * What there is to see is stored before the hint that it is there.
	 */
	__atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
}

/* Return: whether @word was @from and now is @to. */
static inline bool pcv_word_change(__u32 *word, __u32 from, __u32 to)
{
	/*
	 * PCV(srq_take:A) pairs with srq_take:B
	 * The copy of an entry is complete before the entry is taken.
	 */
	return __atomic_compare_exchange_n(word, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

/* Count what several threads count. */
static inline void pcv_word_count(__u32 *word)
{
	__atomic_fetch_add(word, 1, __ATOMIC_RELAXED);
}

/* Clear a mark that says who must be told. Return: what it was. */
static inline __u32 pcv_word_clear(__u32 *word)
{
	/*
	 * PCV(recv_starved:B) pairs with recv_starved:A
	 * Cleared before it is looked whether the other one has armed: who finds the
	 * mark still there has armed, and looked for a receive, before.
	 */
	return __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
}

#endif /* PCV_WORD_H */
