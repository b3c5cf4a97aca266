/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The line: 64 bytes that prove their own arrival.
 *
 * Every ring of pcieverbs, across the link or between a kernel and a process,
 * is an array of lines. A line carries 56 bytes of payload and a tail word
 * that is written last and holds the line's sequence number: the consumer
 * knows which number comes next in a slot, so no flag needs clearing and what
 * a former lap left behind cannot be mistaken for news.
 *
 * A message is one head line and as many continuation lines as its length
 * takes; the payloads of its lines, one after the other, are its bytes.
 */
#ifndef PCIEVERBS_LINE_H
#define PCIEVERBS_LINE_H

#include <linux/types.h>

#define PCV_LINE_BYTES		64
#define PCV_LINE_PAYLOAD	56

/**
 * struct pcv_line - one slot of a ring
 * @payload: bytes of the message
 * @tail: little-endian; bits 0..31 sequence number of the line, 32..39 type
 *	(&enum pcv_line_type or a message type), 40..47 flags, 48..63 length of
 *	the message in bytes (head line) or zero (continuation)
 */
struct pcv_line {
	__u8 payload[PCV_LINE_PAYLOAD];
	__le64 tail;
};

_Static_assert(sizeof(struct pcv_line) == PCV_LINE_BYTES, "a line is 64 bytes");

#define PCV_TAIL_TYPE_SHIFT	32
#define PCV_TAIL_FLAGS_SHIFT	40
#define PCV_TAIL_LEN_SHIFT	48

/* Type of a continuation line; head lines use the message types, which never are 0xff. */
#define PCV_LINE_CONT		0xff

#endif /* PCIEVERBS_LINE_H */
