// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Rings of self-proving lines.
 *
 * How a message becomes visible. Its continuation lines are stored whole,
 * then the payload of its head line; then comes one fence, and after it, as
 * one 64-bit store, the tail word of the head line. One fence serves a message
 * of any length, and continuation lines leave a write-combining buffer as one
 * burst each. Where the link keeps the order that the fence asks for, the
 * head's tail proves the whole message.
 *
 * Where it does not (relaxed ordering), a line must travel as one transaction:
 * pcv_out_line() is for that. Lines may then arrive in any order, which is why
 * the consumer looks at the number of every line and not only at the head's.
 * With full lines there is no fence at all.
 *
 * Why a number is never mistaken. The line at position p carries seq_base + p
 * modulo 2^32, and its slot last held position p minus the number of slots:
 * equal numbers would take a ring of 2^32 lines. Memory that was never written
 * is zero, and a tail word of zero is never written because types are not 0:
 * so a number of 0 on the first lap is harmless too, and seq_base may be
 * anything.
 */
#include "ring.h"
#include "os.h"

/* Rings are bytes to those who read them; they are written by words. */
typedef __u64 __attribute__((__may_alias__)) pcv_word;

#define PCV_LINE_WORDS		(PCV_LINE_BYTES / 8)
#define PCV_PAYLOAD_WORDS	(PCV_LINE_PAYLOAD / 8)

/* A line on the stack, on its way into the ring. */
union pcv_stage {
	__u64 word[PCV_LINE_WORDS];
	__u8 byte[PCV_LINE_BYTES];
	struct pcv_line line;
};

/* Where the next byte of a message comes from. */
struct pcv_cursor {
	const struct pcv_ring_vec *vec;
	__u32 offset;
};

static inline __u64 pcv_tail(__u32 seq, __u8 type, __u8 flags, __u32 len)
{
	return seq | (__u64)type << PCV_TAIL_TYPE_SHIFT | (__u64)flags << PCV_TAIL_FLAGS_SHIFT |
	       (__u64)len << PCV_TAIL_LEN_SHIFT;
}

/* Has the line with number @seq been written? Callers judge the rest of @tail. */
static inline int pcv_tail_arrived(__u64 tail, __u32 seq)
{
	return tail != 0 && (__u32)tail == seq;
}

void pcv_ring_tx_init(struct pcv_ring_tx *tx, void *line, __u32 count, __u32 seq_base)
{
	tx->line = line;
	tx->mask = count - 1;
	tx->tail = 0;
	tx->credit = 0;
	tx->seq_base = seq_base;
}

void pcv_ring_rx_init(struct pcv_ring_rx *rx, void *line, __u32 count, __u32 seq_base)
{
	rx->line = line;
	rx->mask = count - 1;
	rx->head = 0;
	rx->seq_base = seq_base;
}

int pcv_ring_credit(struct pcv_ring_tx *tx, __u32 credit)
{
	if (credit - tx->credit > tx->tail - tx->credit)
		return -EPROTO;
	/*
	 * PCV(ring_credit:B) pairs with ring_credit:A
	 * What pcv_ring_put() stores depends on this value through a branch: no
	 * line is written over before the consumer has said that it is done.
	 */
	tx->credit = credit;
	return 0;
}

/* Stage the next @len bytes; what is left of the payload is zero, not stack. */
static inline void pcv_cursor_stage(struct pcv_cursor *cur, union pcv_stage *stage, __u32 len)
{
	__u32 done = 0;
	__u32 left, n;

	if (len < PCV_LINE_PAYLOAD)
		__builtin_memset(stage->byte, 0, PCV_LINE_PAYLOAD);

	while (done < len) {
		left = cur->vec->len - cur->offset;
		n = len - done;
		if (left >= PCV_LINE_PAYLOAD && n == PCV_LINE_PAYLOAD) {
			pcv_memcpy(stage->byte, (const __u8 *)cur->vec->base + cur->offset,
				   PCV_LINE_PAYLOAD);
			cur->offset += PCV_LINE_PAYLOAD;
			return;
		}
		if (!left) {
			cur->vec++;
			cur->offset = 0;
			continue;
		}
		if (n > left)
			n = left;
		pcv_memcpy(stage->byte + done, (const __u8 *)cur->vec->base + cur->offset, n);
		cur->offset += n;
		done += n;
	}
}

static inline void pcv_line_store_payload(struct pcv_line *line, const union pcv_stage *stage)
{
	pcv_word *to = (pcv_word *)line->payload;
	int i;

	for (i = 0; i < PCV_PAYLOAD_WORDS; i++)
		pcv_out_store(&to[i], stage->word[i]);
}

int pcv_ring_put(struct pcv_ring_tx *tx, __u8 type, __u8 flags,
		 const struct pcv_ring_vec *vec, unsigned int nvec)
{
	struct pcv_cursor cur = { .vec = vec, .offset = 0 };
	struct pcv_line *head, *line;
	union pcv_stage stage, more;
	__u32 seq, lines, left, n, i;
	__u32 len = 0;
	unsigned int v;

	if (!type || type == PCV_LINE_CONT)
		return -EINVAL;
	for (v = 0; v < nvec; v++) {
		if (vec[v].len > PCV_RING_LEN_MAX - len)
			return -EMSGSIZE;
		len += vec[v].len;
	}
	lines = pcv_ring_lines(len);
	if (lines > pcv_ring_room(tx))
		return lines > tx->mask + 1 ? -EMSGSIZE : -EAGAIN;

	seq = tx->seq_base + tx->tail;
	head = &tx->line[tx->tail & tx->mask];
	n = len < PCV_LINE_PAYLOAD ? len : PCV_LINE_PAYLOAD;
	pcv_cursor_stage(&cur, &stage, n);
	stage.line.tail = pcv_to_le64(pcv_tail(seq, type, flags, len));

	left = len - n;
	for (i = 1; i < lines; i++) {
		line = &tx->line[(tx->tail + i) & tx->mask];
		n = left < PCV_LINE_PAYLOAD ? left : PCV_LINE_PAYLOAD;
		pcv_cursor_stage(&cur, &more, n);
		left -= n;
		more.line.tail = pcv_to_le64(pcv_tail(seq + i, PCV_LINE_CONT, 0, 0));
		if (pcv_out_line(line, &more.line))
			continue;
		pcv_line_store_payload(line, &more);
		pcv_out_store(&line->tail, more.line.tail);
	}

	if (!pcv_out_line(head, &stage.line)) {
		pcv_line_store_payload(head, &stage);
		/*
		 * PCV(ring_put:A) pairs with ring_get:B
		 * Who sees the tail of the head line must find the whole message.
		 */
		pcv_out_wmb();
		pcv_out_store(&head->tail, stage.line.tail);
	}
	tx->tail += lines;
	return (int)lines;
}

int pcv_ring_get(struct pcv_ring_rx *rx, struct pcv_ring_msg *msg)
{
	__u32 seq = rx->seq_base + rx->head;
	__u32 lines, len, i;
	__u64 tail, cont;
	__u8 type;

	tail = pcv_le64(pcv_in_load(&rx->line[rx->head & rx->mask].tail));
	if (!pcv_tail_arrived(tail, seq))
		return 0;

	type = (__u8)(tail >> PCV_TAIL_TYPE_SHIFT);
	len = (__u32)(tail >> PCV_TAIL_LEN_SHIFT);
	lines = pcv_ring_lines(len);
	if (!type || type == PCV_LINE_CONT || lines > rx->mask + 1)
		return -EPROTO;

	for (i = 1; i < lines; i++) {
		cont = pcv_le64(pcv_in_load(&rx->line[(rx->head + i) & rx->mask].tail));
		if (!pcv_tail_arrived(cont, seq + i))
			return 0;
		if (cont != pcv_tail(seq + i, PCV_LINE_CONT, 0, 0))
			return -EPROTO;
	}
	/*
	 * PCV(ring_get:B) pairs with ring_put:A
	 * Payload loaded before the tail words may be older than they are.
	 */
	pcv_in_rmb();

	msg->lines = lines;
	msg->len = (__u16)len;
	msg->type = type;
	msg->flags = (__u8)(tail >> PCV_TAIL_FLAGS_SHIFT);
	return 1;
}

void pcv_ring_copy(const struct pcv_ring_rx *rx, void *dst, __u32 offset, __u32 len)
{
	__u32 pos = rx->head + offset / PCV_LINE_PAYLOAD;
	__u32 skip = offset % PCV_LINE_PAYLOAD;
	__u8 *to = dst;
	__u32 n;

	while (len) {
		const __u8 *from = rx->line[pos++ & rx->mask].payload;

		if (!skip && len >= PCV_LINE_PAYLOAD) {
			pcv_memcpy(to, from, PCV_LINE_PAYLOAD);
			to += PCV_LINE_PAYLOAD;
			len -= PCV_LINE_PAYLOAD;
			continue;
		}
		n = PCV_LINE_PAYLOAD - skip;
		if (n > len)
			n = len;
		pcv_memcpy(to, from + skip, n);
		skip = 0;
		to += n;
		len -= n;
	}
}

void pcv_ring_next(struct pcv_ring_rx *rx, const struct pcv_ring_msg *msg)
{
	/*
	 * PCV(ring_credit:A) pairs with ring_credit:B
	 * The payload has been read before the credit that frees its lines can
	 * be stored: loads from the ring before every store that follows.
	 */
	pcv_in_rmb();
	rx->head += msg->lines;
}
