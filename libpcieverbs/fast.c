// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Fast rings, the parts that are not in a hurry. The rules are those of the
 * other rings (ring.c): continuation lines whole, the payload of the head line,
 * a fence, its tail word; data before the line that speaks of it.
 */
#include "fast.h"

#define PCV_LINE_WORDS		(PCV_LINE_BYTES / 8)
#define PCV_PAYLOAD_WORDS	(PCV_LINE_PAYLOAD / 8)

/* A line on the stack, on its way into the ring. */
union pcv_fast_stage {
	__u64 word[PCV_LINE_WORDS];
	__u8 byte[PCV_LINE_BYTES];
	struct pcv_line line;
};

void pcv_fast_tx_init(struct pcv_fast_tx *tx, void *block, __u32 seq, int wc)
{
	tx->line = (struct pcv_line *)((__u8 *)block + PCV_FAST_RING_OFFSET);
	tx->data = (__u8 *)block + PCV_FAST_DATA_OFFSET;
	tx->tail = 0;
	tx->credit = 0;
	tx->seq = seq;
	tx->wc = wc != 0;
	tx->data_next = 0;
	tx->data_used = 0;
	tx->mark_head = 0;
	tx->mark_tail = 0;
}

void pcv_fast_rx_init(struct pcv_fast_rx *rx, const void *block, __u32 seq)
{
	rx->line = (const struct pcv_line *)((const __u8 *)block + PCV_FAST_RING_OFFSET);
	rx->data = (const __u8 *)block + PCV_FAST_DATA_OFFSET;
	rx->head = 0;
	rx->seq = seq;
	rx->told = 0;
	rx->untold = 0;
	rx->open = 0;
	rx->done = 0;
	rx->total = 0;
}

int pcv_fast_credit(struct pcv_fast_tx *tx, __u32 credit)
{
	const struct pcv_fast_mark *mark;

	if (credit == tx->credit)
		return 0;
	if (credit - tx->credit > tx->tail - tx->credit)
		return -EPROTO;
	/*
	 * PCV(fast_credit:B) pairs with fast_credit:A
	 * What is stored into the block depends on this value through a branch:
	 * nothing is written over before the consumer has said that it is done.
	 */
	tx->credit = credit;
	while (tx->mark_head != tx->mark_tail) {
		mark = &tx->mark[tx->mark_head & PCV_FAST_LINE_MASK];
		if ((__s32)(credit - mark->line) <= 0)
			break;
		tx->data_used -= mark->bytes;
		tx->mark_head++;
	}
	return 1;
}

/*
 * Store a staged line, the @words first words and the tail; the first line of
 * a message behind a fence.
 */
static void pcv_fast_store(struct pcv_line *line, const union pcv_fast_stage *stage,
			   unsigned int words, int first, int wc)
{
	pcv_fast_word *to = (pcv_fast_word *)line->payload;
	unsigned int i;

	if (wc && pcv_out_line_wc(line, &stage->line))
		return;
	for (i = 0; i < words; i++)
		pcv_out_store(&to[i], stage->word[i]);
	if (first) {
		/*
		 * PCV(fast_put:A) pairs with fast_get:B
		 * Who sees the tail of the head line must find the whole message.
		 */
		pcv_out_wmb_on(wc);
	}
	pcv_out_store(&line->tail, stage->line.tail);
}

/* A line that nothing follows must leave the write-combining buffer by itself. */
static void pcv_fast_flush(const struct pcv_fast_tx *tx)
{
	/* PCV(fast_flush:A): see there. */
	if (tx->wc)
		pcv_out_wmb_on(1);
}

void pcv_fast_put_wc(struct pcv_fast_tx *tx, __u8 flags, __u64 head, const void *from, __u32 len)
{
	union pcv_fast_stage stage;

	stage.word[0] = (__u64)pcv_to_le64(head);
	if (len)
		pcv_memcpy(stage.byte + PCV_FAST_HEAD_BYTES, from, len);
	__builtin_memset(stage.byte + PCV_FAST_HEAD_BYTES + len, 0, PCV_FAST_LINE_DATA - len);
	stage.line.tail = pcv_to_le64(pcv_fast_tail(tx->seq, flags, PCV_FAST_HEAD_BYTES + len));
	pcv_fast_store(&tx->line[tx->tail & PCV_FAST_LINE_MASK], &stage, PCV_PAYLOAD_WORDS, 1, 1);
	pcv_fast_flush(tx);
	tx->tail++;
	tx->seq++;
}

/* Where the next byte of a message comes from. */
struct pcv_fast_cursor {
	const struct pcv_ring_vec *vec;
	__u32 offset;
};

static void pcv_fast_cursor_skip(struct pcv_fast_cursor *cur, __u32 n)
{
	while (n >= cur->vec->len - cur->offset && n) {
		n -= cur->vec->len - cur->offset;
		cur->vec++;
		cur->offset = 0;
	}
	cur->offset += n;
}

/* Return: how many of the next @n bytes lie together, at *@from. */
static __u32 pcv_fast_cursor_take(struct pcv_fast_cursor *cur, const void **from, __u32 n)
{
	while (cur->offset == cur->vec->len) {
		cur->vec++;
		cur->offset = 0;
	}
	if (n > cur->vec->len - cur->offset)
		n = cur->vec->len - cur->offset;
	*from = (const __u8 *)cur->vec->base + cur->offset;
	cur->offset += n;
	return n;
}

static void pcv_fast_cursor_stage(struct pcv_fast_cursor *cur, __u8 *to, __u32 len)
{
	const void *from;
	__u32 n;

	while (len) {
		n = pcv_fast_cursor_take(cur, &from, len);
		pcv_memcpy(to, from, n);
		to += n;
		len -= n;
	}
}

int pcv_fast_put_lines(struct pcv_fast_tx *tx, __u8 flags, __u64 head,
		       const struct pcv_ring_vec *vec, unsigned int nvec, __u32 len)
{
	struct pcv_fast_cursor cur = { .vec = vec, .offset = 0 };
	__u32 lines = pcv_ring_lines(PCV_FAST_HEAD_BYTES + len);
	union pcv_fast_stage first, more;
	__u32 left, n, i;

	(void)nvec;
	if (lines > pcv_fast_room(tx))
		return -EAGAIN;
	n = len < PCV_FAST_LINE_DATA ? len : PCV_FAST_LINE_DATA;
	__builtin_memset(&first, 0, sizeof(first));
	first.word[0] = (__u64)pcv_to_le64(head);
	pcv_fast_cursor_stage(&cur, first.byte + PCV_FAST_HEAD_BYTES, n);
	first.line.tail = pcv_to_le64(pcv_fast_tail(tx->seq, flags, PCV_FAST_HEAD_BYTES + len));

	left = len - n;
	for (i = 1; i < lines; i++) {
		n = left < PCV_LINE_PAYLOAD ? left : PCV_LINE_PAYLOAD;
		__builtin_memset(&more, 0, sizeof(more));
		pcv_fast_cursor_stage(&cur, more.byte, n);
		left -= n;
		more.line.tail = pcv_to_le64((tx->seq + i) |
					     (__u64)PCV_LINE_CONT << PCV_TAIL_TYPE_SHIFT);
		pcv_fast_store(&tx->line[(tx->tail + i) & PCV_FAST_LINE_MASK], &more,
			       PCV_PAYLOAD_WORDS, 0, (int)tx->wc);
	}
	pcv_fast_store(&tx->line[tx->tail & PCV_FAST_LINE_MASK], &first, PCV_PAYLOAD_WORDS, 1,
		       (int)tx->wc);
	pcv_fast_flush(tx);
	tx->tail += lines;
	tx->seq += lines;
	return 0;
}

__u32 pcv_fast_chunk_room(struct pcv_fast_tx *tx, __u32 want)
{
	__u32 behind = PCV_FAST_DATA_BYTES - tx->data_next;
	__u32 room = PCV_FAST_DATA_BYTES - tx->data_used;
	__u32 n = want < PCV_FAST_CHUNK_BYTES ? want : PCV_FAST_CHUNK_BYTES;

	if (!pcv_fast_room(tx))
		return 0;
	if (n > behind && behind >= PCV_FAST_CHUNK_MIN)
		n = behind;
	if (n <= behind)
		return n <= room ? n : 0;
	/* Too little is left at the end: what lies there goes with this chunk. */
	return behind <= room && n <= room - behind ? n : 0;
}

void pcv_fast_put_chunk(struct pcv_fast_tx *tx, __u8 flags, __u64 head,
			const struct pcv_ring_vec *vec, __u32 skip, __u32 bytes, __u32 total)
{
	struct pcv_fast_cursor cur = { .vec = vec, .offset = 0 };
	struct pcv_fast_mark *mark = &tx->mark[tx->mark_tail++ & PCV_FAST_LINE_MASK];
	struct pcv_fast_chunk chunk;
	__u32 left = bytes;
	const void *from;
	__u8 *to;
	__u32 n;

	/* Every chunk begins on a line, so that no two share one. */
	mark->line = tx->tail;
	mark->bytes = (bytes + PCV_LINE_BYTES - 1) & ~(PCV_LINE_BYTES - 1u);
	if (bytes > PCV_FAST_DATA_BYTES - tx->data_next) {
		mark->bytes += PCV_FAST_DATA_BYTES - tx->data_next;
		tx->data_next = 0;
	}
	chunk.offset = pcv_to_le32(tx->data_next);
	chunk.bytes = pcv_to_le32(bytes);
	chunk.message_bytes = pcv_to_le32(total);
	chunk.reserved = pcv_to_le32(0);

	pcv_fast_cursor_skip(&cur, skip);
	to = tx->data + tx->data_next;
	if (!tx->wc)
		pcv_out_own((const char *)to, bytes);
	while (left) {
		n = pcv_fast_cursor_take(&cur, &from, left);
		pcv_out_copy(to, from, n);
		to += n;
		left -= n;
	}
	tx->data_used += mark->bytes;
	tx->data_next = (tx->data_next + bytes + PCV_LINE_BYTES - 1) & ~(PCV_LINE_BYTES - 1u);
	if (tx->data_next == PCV_FAST_DATA_BYTES)
		tx->data_next = 0;
	/*
	 * PCV(fast_data:A) pairs with fast_get:B
	 * The data lies there when the line that speaks of it does.
	 */
	pcv_out_wmb_on(tx->wc);
	pcv_fast_put_line(tx, flags | PCV_FAST_CHUNK, head, &chunk, sizeof(chunk));
}

/* Return: 1, or -EPROTO. The line is complete, the barrier behind us. */
static int pcv_fast_get_chunk(const struct pcv_line *line, struct pcv_fast_msg *msg)
{
	__u64 place = pcv_le64(pcv_in_load(pcv_fast_payload(line) + 1));
	__u64 total = pcv_le64(pcv_in_load(pcv_fast_payload(line) + 2));

	msg->offset = (__u32)place;
	msg->bytes = (__u32)(place >> 32);
	msg->total = (__u32)total;
	if (total >> 32 || !msg->bytes || msg->bytes > msg->total ||
	    msg->offset % PCV_LINE_BYTES || msg->offset >= PCV_FAST_DATA_BYTES ||
	    msg->bytes > PCV_FAST_DATA_BYTES - msg->offset)
		return -EPROTO;
	return 1;
}

int pcv_fast_get_long(const struct pcv_fast_rx *rx, struct pcv_fast_msg *msg)
{
	const struct pcv_line *line = &rx->line[rx->head & PCV_FAST_LINE_MASK];
	__u64 tail = pcv_le64(pcv_in_load(&line->tail));
	__u32 len = (__u32)(tail >> PCV_TAIL_LEN_SHIFT);
	__u8 flags = (__u8)(tail >> PCV_TAIL_FLAGS_SHIFT);
	__u32 lines = pcv_ring_lines(len);
	__u64 cont, head;
	__u32 i;

	/* A producer may change what was looked at before; and zeroed memory has number 0. */
	if (!tail || (__u32)tail != rx->seq)
		return 0;
	if ((__u8)(tail >> PCV_TAIL_TYPE_SHIFT) != PCV_FAST_SEND || len < PCV_FAST_HEAD_BYTES ||
	    lines > PCV_FAST_LINES ||
	    flags & ~(PCV_FAST_IMM | PCV_FAST_SOLICITED | PCV_FAST_FIRST | PCV_FAST_LAST |
		      PCV_FAST_CHUNK))
		return -EPROTO;
	if (flags & PCV_FAST_CHUNK) {
		if (len != PCV_FAST_HEAD_BYTES + sizeof(struct pcv_fast_chunk))
			return -EPROTO;
	} else if (!(flags & PCV_FAST_FIRST) || !(flags & PCV_FAST_LAST)) {
		return -EPROTO;
	}

	for (i = 1; i < lines; i++) {
		cont = pcv_le64(pcv_in_load(&rx->line[(rx->head + i) & PCV_FAST_LINE_MASK].tail));
		if (!cont || (__u32)cont != rx->seq + i)
			return 0;
		if (cont >> 32 != PCV_LINE_CONT)
			return -EPROTO;
	}
	/*
	 * PCV(fast_get:B) pairs with fast_put:A, fast_data:A
	 * What is loaded before the tail words may be older than they are.
	 */
	pcv_in_rmb();
	head = pcv_le64(pcv_in_load(pcv_fast_payload(line)));
	if (head >> 48)
		return -EPROTO;
	msg->lines = lines;
	msg->imm = pcv_to_le32(head);
	msg->order = (__u16)(head >> 32);
	msg->flags = flags;
	if (flags & PCV_FAST_CHUNK)
		return pcv_fast_get_chunk(line, msg);
	msg->offset = 0;
	msg->bytes = len - PCV_FAST_HEAD_BYTES;
	msg->total = msg->bytes;
	return 1;
}

void pcv_fast_copy(const struct pcv_fast_rx *rx, const struct pcv_fast_msg *msg, void *to,
		   __u32 offset, __u32 len)
{
	__u32 at, skip, n;
	__u8 *p = to;

	if (msg->flags & PCV_FAST_CHUNK) {
		pcv_memcpy(to, rx->data + msg->offset + offset, len);
		return;
	}
	at = rx->head + (PCV_FAST_HEAD_BYTES + offset) / PCV_LINE_PAYLOAD;
	skip = (PCV_FAST_HEAD_BYTES + offset) % PCV_LINE_PAYLOAD;
	while (len) {
		n = PCV_LINE_PAYLOAD - skip;
		if (n > len)
			n = len;
		pcv_memcpy(p, rx->line[at++ & PCV_FAST_LINE_MASK].payload + skip, n);
		skip = 0;
		p += n;
		len -= n;
	}
}
