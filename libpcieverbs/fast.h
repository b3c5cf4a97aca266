/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Fast rings: messages of a queue pair from process to process.
 *
 * A block (wire.h) has a ring of lines, like every ring, and a data area for
 * what is too long for lines; its size and format are fixed. A message of up
 * to PCV_FAST_LINE_DATA bytes is one line, and nothing is read across the link
 * to send it. A chunk of a longer one lies in the data area from where the one
 * before it ended, and is published by a line; the credit for that line frees
 * the chunk too.
 *
 * None of this sleeps, allocates or locks; one producer, one consumer. The
 * consumer trusts nothing: a word is loaded once and the copy is checked.
 */
#ifndef PCV_FAST_H
#define PCV_FAST_H

#include <linux/types.h>
#include <pcieverbs/wire.h>

#include "os.h"
#include "ring.h"

/* Blocks are bytes to those who read them; they are written by words. */
typedef __u64 __attribute__((__may_alias__)) pcv_fast_word;

static inline const pcv_fast_word *pcv_fast_payload(const struct pcv_line *line)
{
	return (const pcv_fast_word *)line->payload;
}

#define PCV_FAST_LINE_MASK	(PCV_FAST_LINES - 1)
#define PCV_FAST_HEAD_BYTES	8u

_Static_assert(sizeof(struct pcv_fast_head) == PCV_FAST_HEAD_BYTES, "one word");
_Static_assert((PCV_FAST_LINES & PCV_FAST_LINE_MASK) == 0, "positions wrap at a power of two");
_Static_assert(PCV_FAST_DATA_OFFSET % PCV_LINE_BYTES == 0 &&
	       PCV_FAST_DATA_BYTES % PCV_LINE_BYTES == 0, "chunks begin on lines");

/* Longest payload in lines; above it a copy into the data area is cheaper. */
#define PCV_FAST_LINES_DATA	(4 * PCV_LINE_PAYLOAD - PCV_FAST_HEAD_BYTES)

/*
 * Longest chunk. Several fit, so that one is filled while another is emptied;
 * and a line costs little beside it.
 */
#define PCV_FAST_CHUNK_BYTES	8192u

/* A chunk shorter than this is not begun only because the data area ends there. */
#define PCV_FAST_CHUNK_MIN	1024u

/* Lines and bytes that a consumer keeps for itself before it must give credit. */
#define PCV_FAST_CREDIT_LINES	64u
#define PCV_FAST_CREDIT_BYTES	PCV_FAST_CHUNK_BYTES

/* What the credit for a line gives back of the data area. */
struct pcv_fast_mark {
	__u32 line;
	__u32 bytes;
};

/**
 * struct pcv_fast_tx - the producer's private view
 * @line: the ring, in the peer's block
 * @data: the data area
 * @tail: lines written since the start
 * @credit: lines known to be consumed
 * @seq: number of the next line
 * @wc: the mapping is write-combining
 * @data_next: where in the data area the next chunk begins
 * @data_used: bytes of it that are not free
 * @mark_head, @mark_tail: the part of @mark in use
 * @mark: chunks under way
 */
struct pcv_fast_tx {
	struct pcv_line *line;
	__u8 *data;
	__u32 tail;
	__u32 credit;
	__u32 seq;
	__u32 wc;
	__u32 data_next;
	__u32 data_used;
	__u32 mark_head;
	__u32 mark_tail;
	struct pcv_fast_mark mark[PCV_FAST_LINES];
};

/**
 * struct pcv_fast_rx - the consumer's private view
 * @line: the ring, in the own block
 * @data: the data area
 * @head: lines consumed since the start
 * @seq: number of the next line
 * @told: @head as given back to the producer
 * @untold: bytes of chunks consumed since
 * @open: a message has begun and not ended
 * @done: how much of it has been seen
 * @total: its length
 */
struct pcv_fast_rx {
	const struct pcv_line *line;
	const __u8 *data;
	__u32 head;
	__u32 seq;
	__u32 told;
	__u32 untold;
	__u32 open;
	__u32 done;
	__u32 total;
};

/**
 * struct pcv_fast_msg - what lies at the head of a fast ring
 * @lines: how many lines it takes
 * @bytes: its payload
 * @total: length of the whole message
 * @offset: PCV_FAST_CHUNK: where in the data area
 * @imm: the four bytes of immediate data as sent
 * @order: messages before it through the kernels, modulo 2^16
 * @flags: enum pcv_fast_flag
 */
struct pcv_fast_msg {
	__u32 lines;
	__u32 bytes;
	__u32 total;
	__u32 offset;
	__le32 imm;
	__u16 order;
	__u8 flags;
};

/**
 * pcv_fast_tx_init() - start producing
 * @block: the peer's block, zeroed
 * @seq: number of its first line
 * @wc: it is mapped write-combining
 */
void pcv_fast_tx_init(struct pcv_fast_tx *tx, void *block, __u32 seq, int wc);
void pcv_fast_rx_init(struct pcv_fast_rx *rx, const void *block, __u32 seq);

/**
 * pcv_fast_credit() - take the consumer's word for what it has consumed
 *
 * Return: 1 if it has moved, 0 if not, -EPROTO if it claims more than was
 * written (nothing changed).
 */
int pcv_fast_credit(struct pcv_fast_tx *tx, __u32 credit);

/* Lines that can be written now. */
static inline __u32 pcv_fast_room(const struct pcv_fast_tx *tx)
{
	return PCV_FAST_LINES - (tx->tail - tx->credit);
}

static inline __u64 pcv_fast_tail(__u32 seq, __u8 flags, __u32 len)
{
	return seq | (__u64)PCV_FAST_SEND << PCV_TAIL_TYPE_SHIFT |
	       (__u64)flags << PCV_TAIL_FLAGS_SHIFT | (__u64)len << PCV_TAIL_LEN_SHIFT;
}

/* The head of a message as a number. */
static inline __u64 pcv_fast_head_word(__le32 imm, __u16 order)
{
	return pcv_le32(imm) | (__u64)order << 32;
}

/* The up to seven bytes at @from as the low bytes of a number. */
static inline __u64 pcv_fast_gather(const __u8 *from, __u32 n)
{
	__u64 v = 0;
	__u32 shift = 0;
	__le32 four;
	__le16 two;

	if (n & 4) {
		pcv_memcpy(&four, from, 4);
		v = pcv_le32(four);
		from += 4;
		shift = 32;
	}
	if (n & 2) {
		pcv_memcpy(&two, from, 2);
		v |= (__u64)pcv_le16(two) << shift;
		from += 2;
		shift += 16;
	}
	if (n & 1)
		v |= (__u64)*from << shift;
	return v;
}

/* The same through a write-combining mapping, where half a line is dear. */
void pcv_fast_put_wc(struct pcv_fast_tx *tx, __u8 flags, __u64 head, const void *from, __u32 len);

/**
 * pcv_fast_put_line() - write a message of one line
 * @flags: enum pcv_fast_flag
 * @head: pcv_fast_head_word()
 * @from, @len: payload, at most PCV_FAST_LINE_DATA bytes
 *
 * There must be room. Only the words that matter are stored: what is left of
 * the line is what this producer wrote there a lap ago.
 */
static inline void pcv_fast_put_line(struct pcv_fast_tx *tx, __u8 flags, __u64 head,
				     const void *from, __u32 len)
{
	struct pcv_line *line = &tx->line[tx->tail & PCV_FAST_LINE_MASK];
	pcv_fast_word *to = (pcv_fast_word *)line->payload;
	const __u8 *p = from;
	__u32 n = len;
	__u64 word;

	if (__builtin_expect(tx->wc, 0)) {
		pcv_fast_put_wc(tx, flags, head, from, len);
		return;
	}
	pcv_out_store(to, (__u64)pcv_to_le64(head));
	while (n >= 8) {
		pcv_memcpy(&word, p, 8);
		to++;
		pcv_out_store(to, word);
		p += 8;
		n -= 8;
	}
	if (n) {
		to++;
		pcv_out_store(to, (__u64)pcv_to_le64(pcv_fast_gather(p, n)));
	}
	/*
	 * PCV(fast_put:A) pairs with fast_get:B
	 * Who sees the tail of the line must find the message.
	 */
	pcv_out_wmb_on(0);
	pcv_out_store(&line->tail, pcv_to_le64(pcv_fast_tail(tx->seq, flags,
							     PCV_FAST_HEAD_BYTES + len)));
	tx->tail++;
	tx->seq++;
}

/**
 * pcv_fast_put_lines() - write a message of one line or more
 * @vec, @nvec: payload, at most PCV_FAST_LINES_DATA bytes
 *
 * Return: 0, or -EAGAIN without room.
 */
int pcv_fast_put_lines(struct pcv_fast_tx *tx, __u8 flags, __u64 head,
		       const struct pcv_ring_vec *vec, unsigned int nvec, __u32 len);

/**
 * pcv_fast_chunk_room() - how long a chunk can be now
 * @want: what is left of the message, not 0
 *
 * Return: bytes, at most @want; 0 without room.
 */
__u32 pcv_fast_chunk_room(struct pcv_fast_tx *tx, __u32 want);

/**
 * pcv_fast_put_chunk() - write a chunk
 * @vec: where the message lies
 * @skip: how much of that was written before
 * @bytes: as pcv_fast_chunk_room() has just said
 * @total: length of the whole message
 */
void pcv_fast_put_chunk(struct pcv_fast_tx *tx, __u8 flags, __u64 head,
			const struct pcv_ring_vec *vec, __u32 skip, __u32 bytes, __u32 total);

/* As pcv_fast_get(), for what is not a message of one line. */
int pcv_fast_get_long(const struct pcv_fast_rx *rx, struct pcv_fast_msg *msg);

/* Flags that a message of one line may have, and those that it must have. */
#define PCV_FAST_LINE_MASKED	((__u64)0xff << PCV_TAIL_TYPE_SHIFT |			\
				 (__u64)(0xff & ~(PCV_FAST_IMM | PCV_FAST_SOLICITED)) <<	\
				 PCV_TAIL_FLAGS_SHIFT)
#define PCV_FAST_LINE_WANTED	((__u64)PCV_FAST_SEND << PCV_TAIL_TYPE_SHIFT |		\
				 (__u64)(PCV_FAST_FIRST | PCV_FAST_LAST) << PCV_TAIL_FLAGS_SHIFT)

/* Has the line at the head been written? */
static inline int pcv_fast_ready(const struct pcv_fast_rx *rx)
{
	return (__u32)pcv_le64(pcv_in_load(&rx->line[rx->head & PCV_FAST_LINE_MASK].tail)) ==
	       rx->seq;
}

/**
 * pcv_fast_get_line() - look at the head for a message of one line
 * @msg: filled in if there is one; so that it can stay in registers, it goes
 *	nowhere else
 *
 * Return: as pcv_fast_get(), and -EMSGSIZE for what only that one knows.
 */
static inline int pcv_fast_get_line(const struct pcv_fast_rx *rx, struct pcv_fast_msg *msg)
{
	const struct pcv_line *line = &rx->line[rx->head & PCV_FAST_LINE_MASK];
	__u64 tail = pcv_le64(pcv_in_load(&line->tail));
	__u32 len = (__u32)(tail >> PCV_TAIL_LEN_SHIFT) - PCV_FAST_HEAD_BYTES;
	__u64 head;

	if ((__u32)tail != rx->seq)
		return 0;
	if (__builtin_expect((tail & PCV_FAST_LINE_MASKED) != PCV_FAST_LINE_WANTED ||
			     len > PCV_FAST_LINE_DATA, 0))
		return -EMSGSIZE;
	/*
	 * PCV(fast_get:B) pairs with fast_put:A
	 * What is loaded before the tail word may be older than it is.
	 */
	pcv_in_rmb();
	head = pcv_le64(pcv_in_load(pcv_fast_payload(line)));
	if (head >> 48)
		return -EPROTO;
	msg->lines = 1;
	msg->bytes = len;
	msg->total = len;
	msg->offset = 0;
	msg->imm = pcv_to_le32(head);
	msg->order = (__u16)(head >> 32);
	msg->flags = (__u8)(tail >> PCV_TAIL_FLAGS_SHIFT);
	return 1;
}

/**
 * pcv_fast_get() - look at the head
 * @msg: filled in if there is something
 *
 * Return: 1 and it stays until pcv_fast_next(); 0 if nothing has arrived in
 * full; -EPROTO if what lies there cannot be (the producer is broken).
 */
static inline int pcv_fast_get(const struct pcv_fast_rx *rx, struct pcv_fast_msg *msg)
{
	int ret = pcv_fast_get_line(rx, msg);

	return ret == -EMSGSIZE ? pcv_fast_get_long(rx, msg) : ret;
}

/**
 * pcv_fast_begin() - is it the turn of what pcv_fast_get() found?
 *
 * For its place in the message: rx->done bytes of that came before it.
 *
 * Return: 0, or -EPROTO.
 */
static inline int pcv_fast_begin(struct pcv_fast_rx *rx, const struct pcv_fast_msg *msg)
{
	if (msg->flags & PCV_FAST_FIRST) {
		rx->open = 1;
		rx->done = 0;
		rx->total = msg->total;
	} else if (!rx->open || msg->total != rx->total) {
		return -EPROTO;
	}
	if (msg->bytes > rx->total - rx->done ||
	    !(msg->flags & PCV_FAST_LAST) != (msg->bytes != rx->total - rx->done))
		return -EPROTO;
	return 0;
}

/* Copies of up to 48 bytes, without a loop or a call. */
static inline void pcv_fast_copy_line(__u8 *to, const __u8 *from, __u32 n)
{
	if (n >= 16) {
		if (n > 32)
			pcv_memcpy(to + 16, from + 16, 16);
		pcv_memcpy(to, from, 16);
		pcv_memcpy(to + n - 16, from + n - 16, 16);
	} else if (n >= 8) {
		pcv_memcpy(to, from, 8);
		pcv_memcpy(to + n - 8, from + n - 8, 8);
	} else if (n >= 4) {
		pcv_memcpy(to, from, 4);
		pcv_memcpy(to + n - 4, from + n - 4, 4);
	} else if (n) {
		to[0] = from[0];
		if (n > 1)
			pcv_memcpy(to + n - 2, from + n - 2, 2);
	}
}

/**
 * pcv_fast_copy() - copy payload out of what lies at the head
 * @offset: first byte wanted, of this chunk
 * @len: how many; offset + len must not exceed msg->bytes
 *
 * The bytes may change under a hostile producer: copy once.
 */
void pcv_fast_copy(const struct pcv_fast_rx *rx, const struct pcv_fast_msg *msg, void *to,
		   __u32 offset, __u32 len);

/**
 * pcv_fast_next() - what lies at the head is consumed
 *
 * Return: whether the producer should get credit now: rx->head, in the block
 * that this end writes to (pcv_fast_credited()).
 */
static inline int pcv_fast_next(struct pcv_fast_rx *rx, const struct pcv_fast_msg *msg)
{
	/*
	 * PCV(fast_credit:A) pairs with fast_credit:B
	 * The payload has been read before the credit that frees its place can
	 * be stored: loads from the block before every store that follows.
	 */
	pcv_in_rmb();
	rx->head += msg->lines;
	rx->seq += msg->lines;
	rx->done += msg->bytes;
	if (msg->flags & PCV_FAST_LAST)
		rx->open = 0;
	if (__builtin_expect(msg->flags & PCV_FAST_CHUNK, 0))
		rx->untold += msg->bytes;
	return rx->head - rx->told >= PCV_FAST_CREDIT_LINES || rx->untold >= PCV_FAST_CREDIT_BYTES;
}

/* It has got it. */
static inline void pcv_fast_credited(struct pcv_fast_rx *rx)
{
	rx->told = rx->head;
	rx->untold = 0;
}

#endif /* PCV_FAST_H */
