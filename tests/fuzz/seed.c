// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Writes the seeds of the ring's fuzzer: rings that an honest producer filled.
 * "seed DIR" makes them anew, should the format change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

	if (argc != 2) {
		fprintf(stderr, "usage: seed DIR\n");
		return 2;
	}
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
