// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Arbitrary memory as a ring, for a coverage-guided fuzzer.
 *
 * Input: 1 byte, the ring's size as a power of two; 4 bytes, the number of its
 * first line, little-endian; the rest is the memory of the ring. The top bit of
 * the first byte says whether the memory lies there from the start, or comes in
 * word by word while the consumer looks (and may change under its eyes).
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"
#include "os.h"

#define SHIFT_MAX	6

#define MUST(cond)					\
	do {						\
		if (!(cond))				\
			__builtin_trap();		\
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Return: whether to go on. */
static int take(struct pcv_ring_rx *rx, uint32_t count)
{
	struct pcv_ring_msg msg;
	uint8_t *copy;
	uint32_t from;
	int ret = pcv_ring_get(rx, &msg);

	MUST(ret == 0 || ret == 1 || ret == -EPROTO);
	if (ret != 1)
		return 0;
	MUST(msg.lines >= 1 && msg.lines <= count);
	MUST(msg.lines == pcv_ring_lines(msg.len));
	MUST(msg.type && msg.type != PCV_LINE_CONT);

	/* Exactly as large as promised, so that the sanitizer sees one byte too many. */
	copy = malloc(msg.len ? msg.len : 1);
	MUST(copy);
	pcv_ring_copy(rx, copy, 0, msg.len);
	from = msg.len / 3;
	pcv_ring_copy(rx, copy, from, msg.len - from);
	free(copy);
	pcv_ring_next(rx, &msg);
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pcv_ring_rx rx;
	uint32_t count, base, i;
	size_t bytes, at;
	uint8_t *ring;

	if (size < 5)
		return 0;
	count = 1u << (data[0] & 0x7f) % (SHIFT_MAX + 1);
	base = data[1] | (uint32_t)data[2] << 8 | (uint32_t)data[3] << 16 | (uint32_t)data[4] << 24;
	bytes = (size_t)count * PCV_LINE_BYTES;
	ring = aligned_alloc(PCV_LINE_BYTES, bytes);
	MUST(ring);
	memset(ring, 0, bytes);
	pcv_ring_rx_init(&rx, ring, count, base);

	if (data[0] & 0x80) {
		for (at = 0; at + 13 <= size; at += 8) {
			memcpy(ring + at % bytes, data + 5 + at, 8);
			take(&rx, count);
		}
	} else {
		memcpy(ring, data + 5, size - 5 < bytes ? size - 5 : bytes);
		for (i = 0; i < 4 * count && take(&rx, count); i++)
			;
	}
	free(ring);
	return 0;
}
