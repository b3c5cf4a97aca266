// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Writes the seeds of the fuzzers: rings that an honest producer filled.
 * "seed DIR DIR-FAST" makes them anew, should a format change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fast.h"
#include "pattern.h"
#include "ring.h"

static const struct {
	const char *name;
	uint8_t shift;
	uint8_t live;
	uint32_t seq_base;
	uint32_t len[4];
} seeds[] = {
	{ "one-empty", 0, 0, 1, { 0 } },
	{ "one-line", 0, 0, 0, { 56 } },
	{ "short-messages", 2, 0, 0xfffffffeu, { 8, 40, 0, 56 } },
	{ "continuations", 3, 0, 7, { 57, 1, 200, 3 } },
	{ "whole-ring", 3, 0, 0xfffffffdu, { 448 } },
	{ "arriving", 2, 0x80, 5, { 100, 20, 9 } },
};

static const struct {
	const char *name;
	uint8_t live;
	uint32_t seq;
	uint32_t len[4];
} fast_seeds[] = {
	{ "short", 0, 1, { 0, 8, 48, 3 } },
	{ "lines", 0, 0xfffffffeu, { 49, 200, 216, 1 } },
	{ "chunks", 0, 0, { 217, 5000, 20000, 8 } },
	{ "arriving", 1, 7, { 8, 100, 30000, 8 } },
};

/* The ring's first lines, and nothing of the data area: what lies there is not looked at. */
static int fast_seed(const char *dir, size_t s)
{
	static uint8_t block[PCV_FAST_BYTES] __attribute__((__aligned__(64)));
	static uint8_t data[30000];
	static struct pcv_fast_tx tx;
	struct pcv_ring_vec vec = { data, 0 };
	uint8_t head[5];
	char path[4096];
	uint32_t m, at, n;
	FILE *f;

	memset(block, 0, sizeof(block));
	pcv_fast_tx_init(&tx, block, fast_seeds[s].seq, 0);
	for (m = 0; m < 4; m++) {
		n = fast_seeds[s].len[m];
		vec.len = n;
		if (n <= PCV_FAST_LINES_DATA) {
			pcv_fast_put_lines(&tx, PCV_FAST_FIRST | PCV_FAST_LAST, 0, &vec, 1, n);
			continue;
		}
		for (at = 0; at < fast_seeds[s].len[m]; at += n) {
			n = pcv_fast_chunk_room(&tx, fast_seeds[s].len[m] - at);
			if (!n)
				break;
			pcv_fast_put_chunk(&tx, (at ? 0 : PCV_FAST_FIRST) |
					   (at + n == vec.len ? PCV_FAST_LAST : 0), 0, &vec, at, n,
					   vec.len);
		}
	}
	head[0] = fast_seeds[s].live;
	for (m = 0; m < 4; m++)
		head[1 + m] = (uint8_t)(fast_seeds[s].seq >> (8 * m));
	snprintf(path, sizeof(path), "%s/%s", dir, fast_seeds[s].name);
	f = fopen(path, "wb");
	if (!f || fwrite(head, sizeof(head), 1, f) != 1 ||
	    fwrite(block + PCV_FAST_RING_OFFSET, 64 * 16, 1, f) != 1 || fclose(f)) {
		perror(path);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct pcv_line line[8];
	static uint8_t data[8 * PCV_LINE_PAYLOAD];
	struct pcv_ring_vec vec = { data, 0 };
	struct pcv_ring_tx tx;
	uint8_t head[5];
	char path[4096];
	size_t s, m;
	FILE *f;

	if (argc != 3) {
		fprintf(stderr, "usage: seed DIR DIR-FAST\n");
		return 2;
	}
	for (s = 0; s < sizeof(fast_seeds) / sizeof(fast_seeds[0]); s++)
		if (fast_seed(argv[2], s))
			return 1;
	for (s = 0; s < sizeof(seeds) / sizeof(seeds[0]); s++) {
		memset(line, 0, sizeof(line));
		pcv_ring_tx_init(&tx, line, 1u << seeds[s].shift, seeds[s].seq_base);
		for (m = 0; m < 4; m++) {
			vec.len = seeds[s].len[m];
			pcv_pattern_fill(data, vec.len, m);
			if (pcv_ring_put(&tx, (uint8_t)(m + 1), 0, &vec, 1) < 0)
				break;
		}
		head[0] = seeds[s].shift | seeds[s].live;
		for (m = 0; m < 4; m++)
			head[1 + m] = (uint8_t)(seeds[s].seq_base >> (8 * m));
		snprintf(path, sizeof(path), "%s/%s", argv[1], seeds[s].name);
		f = fopen(path, "wb");
		if (!f || fwrite(head, sizeof(head), 1, f) != 1 ||
		    fwrite(line, sizeof(line[0]) << seeds[s].shift, 1, f) != 1 || fclose(f)) {
			perror(path);
			return 1;
		}
	}
	return 0;
}
