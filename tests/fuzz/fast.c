// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Arbitrary memory as the lines of a fast ring, for a coverage-guided fuzzer.
 *
 * Input: 1 byte, bit 0: the memory comes in word by word while the consumer
 * looks (and may change under its eyes); 4 bytes, the number of the first
 * line, little-endian; the rest is the memory of the ring.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fast.h"

#define RING_BYTES	(PCV_FAST_LINES * PCV_LINE_BYTES)

#define MUST(cond)					\
	do {						\
		if (!(cond))				\
			__builtin_trap();		\
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Return: whether to go on. */
static int take(struct pcv_fast_rx *rx)
{
	struct pcv_fast_msg msg;
	uint8_t *copy;
	int ret = pcv_fast_get(rx, &msg);

	MUST(ret == 0 || ret == 1 || ret == -EPROTO);
	if (ret != 1)
		return 0;
	MUST(msg.lines >= 1 && msg.lines <= PCV_FAST_LINES);
	MUST(msg.bytes <= msg.total);
	ret = pcv_fast_begin(rx, &msg);
	MUST(ret == 0 || ret == -EPROTO);
	if (ret)
		return 0;
	MUST(rx->done + msg.bytes <= rx->total);

	/* Exactly as large as promised, so that the sanitizer sees one byte too many. */
	copy = malloc(msg.bytes ? msg.bytes : 1);
	MUST(copy);
	pcv_fast_copy(rx, &msg, copy, 0, msg.bytes);
	pcv_fast_copy(rx, &msg, copy, msg.bytes / 3, msg.bytes - msg.bytes / 3);
	if (msg.lines == 1 && !(msg.flags & PCV_FAST_CHUNK))
		pcv_fast_copy_line(copy, rx->line[rx->head & PCV_FAST_LINE_MASK].payload +
				   PCV_FAST_HEAD_BYTES, msg.bytes);
	free(copy);
	if (pcv_fast_next(rx, &msg))
		pcv_fast_credited(rx);
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pcv_fast_rx rx;
	uint8_t *block, *ring;
	uint32_t i;
	size_t at;

	if (size < 5)
		return 0;
	block = aligned_alloc(PCV_LINE_BYTES, PCV_FAST_BYTES);
	MUST(block);
	ring = block + PCV_FAST_RING_OFFSET;
	memset(ring, 0, PCV_FAST_BYTES - PCV_FAST_RING_OFFSET);
	pcv_fast_rx_init(&rx, block, data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16 |
			 (uint32_t)data[4] << 24);

	if (data[0] & 1) {
		for (at = 0; at + 13 <= size; at += 8) {
			memcpy(ring + at % RING_BYTES, data + 5 + at, 8);
			take(&rx);
		}
	} else {
		memcpy(ring, data + 5, size - 5 < RING_BYTES ? size - 5 : RING_BYTES);
		for (i = 0; i < 4 * PCV_FAST_LINES && take(&rx); i++)
			;
	}
	free(block);
	return 0;
}
