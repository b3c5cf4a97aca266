/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Rings of self-proving lines: one producer, one consumer.
 *
 * The producer writes lines into memory that the consumer polls; it may be a
 * peer's window or plain shared memory. Room is known from a credit: how far
 * the consumer says it has come, checked before it is believed.
 *
 * None of this sleeps, allocates or locks; the caller provides that there is
 * one producer and one consumer at a time.
 */
#ifndef PCV_RING_H
#define PCV_RING_H

#include <linux/types.h>
#include <pcieverbs/line.h>

#include "os.h"

/**
 * struct pcv_ring_tx - the producer's private view
 * @line: first line of the ring
 * @mask: number of lines minus one
 * @tail: lines written since the start
 * @credit: lines known to be consumed
 * @seq_base: sequence number of line 0 of the first lap
 */
struct pcv_ring_tx {
	struct pcv_line *line;
	__u32 mask;
	__u32 tail;
	__u32 credit;
	__u32 seq_base;
};

/**
 * struct pcv_ring_rx - the consumer's private view
 * @line: first line of the ring
 * @mask: number of lines minus one
 * @head: lines consumed since the start
 * @seq_base: as in &struct pcv_ring_tx
 */
struct pcv_ring_rx {
	struct pcv_line *line;
	__u32 mask;
	__u32 head;
	__u32 seq_base;
};

/**
 * struct pcv_ring_msg - a message that has arrived in full
 * @lines: how many lines it takes
 * @len: its length in bytes
 * @type: of the head line
 * @flags: of the head line
 */
struct pcv_ring_msg {
	__u32 lines;
	__u16 len;
	__u8 type;
	__u8 flags;
};

/* Longest message in bytes: what the length field of a tail word holds. */
#define PCV_RING_LEN_MAX	65535

/* One piece of a message to write. */
struct pcv_ring_vec {
	const void *base;
	__u32 len;
};

/**
 * pcv_ring_lines() - lines that a message takes
 * @len: bytes, 0 to 65535
 */
static inline __u32 pcv_ring_lines(__u32 len)
{
	return len <= PCV_LINE_PAYLOAD ? 1 : (len + PCV_LINE_PAYLOAD - 1) / PCV_LINE_PAYLOAD;
}

/**
 * pcv_ring_room() - lines that can be written now
 */
static inline __u32 pcv_ring_room(const struct pcv_ring_tx *tx)
{
	return tx->mask + 1 - (tx->tail - tx->credit);
}

/**
 * pcv_ring_tx_init() - start producing
 * @line: the ring, aligned to 64 bytes
 * @count: lines, a power of two
 * @seq_base: agreed with the consumer, any number; the memory must be zeroed
 *	before (or hold lines that cannot carry a number of this ring's first lap)
 */
void pcv_ring_tx_init(struct pcv_ring_tx *tx, void *line, __u32 count, __u32 seq_base);
void pcv_ring_rx_init(struct pcv_ring_rx *rx, void *line, __u32 count, __u32 seq_base);

/**
 * pcv_ring_credit() - take the consumer's word for what it has consumed
 * @credit: as read, once, from where the consumer writes it
 *
 * Return: 0, or -EPROTO if it claims more than was written (the consumer is
 * broken; nothing changed).
 */
int pcv_ring_credit(struct pcv_ring_tx *tx, __u32 credit);

/**
 * pcv_ring_put() - write one message
 * @type: message type, not PCV_LINE_CONT
 * @flags: for the consumer
 * @vec: pieces that make up the message, copied one after the other
 * @nvec: how many
 *
 * All of the message is ordered before the tail word of its head line; nothing
 * is read from the ring. Padding is zero.
 *
 * Return: lines written, -EAGAIN without room, -EMSGSIZE if longer than 65535
 * bytes or than the ring, -EINVAL for a type of 0 or PCV_LINE_CONT.
 */
int pcv_ring_put(struct pcv_ring_tx *tx, __u8 type, __u8 flags,
		 const struct pcv_ring_vec *vec, unsigned int nvec);

/**
 * pcv_ring_get() - look for a message
 * @msg: filled in if there is one
 *
 * Return: 1 and the message stays until pcv_ring_next(); 0 if none has arrived
 * in full; -EPROTO if what lies there cannot be a message (the producer is
 * broken).
 */
int pcv_ring_get(struct pcv_ring_rx *rx, struct pcv_ring_msg *msg);

/* Has the line at the head been written? Something may be wrong with it, or it is zeroed memory. */
static inline int pcv_ring_waits(const struct pcv_ring_rx *rx)
{
	return (__u32)pcv_le64(pcv_in_load(&rx->line[rx->head & rx->mask].tail)) ==
	       rx->seq_base + rx->head;
}

/**
 * pcv_ring_copy() - copy bytes out of the message at the head
 * @offset: first byte wanted
 * @len: how many; offset + len must not exceed msg->len
 *
 * The bytes may change under a hostile producer: copy once, check the copy.
 */
void pcv_ring_copy(const struct pcv_ring_rx *rx, void *dst, __u32 offset, __u32 len);

/**
 * pcv_ring_next() - the message at the head is consumed
 *
 * After it the caller may tell the producer rx->head as credit.
 */
void pcv_ring_next(struct pcv_ring_rx *rx, const struct pcv_ring_msg *msg);

#endif /* PCV_RING_H */
