// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The ring against the other side: late, stale, lying. */
#include <errno.h>

#include "check.h"
#include "pattern.h"
#include "ring.h"
#include "os.h"

#define BASE	0x1000u

static struct pcv_line *lines_make(uint32_t count)
{
	struct pcv_line *line = aligned_alloc(PCV_LINE_BYTES, (size_t)count * PCV_LINE_BYTES);

	CHECK(line);
	memset(line, 0, (size_t)count * PCV_LINE_BYTES);
	return line;
}

static uint64_t tail(uint32_t seq, uint8_t type, uint8_t flags, uint16_t len)
{
	return seq | (uint64_t)type << 32 | (uint64_t)flags << 40 | (uint64_t)len << 48;
}

static void tail_set(struct pcv_line *line, uint64_t value)
{
	line->tail = pcv_to_le64(value);
}

/* Only what lies between the last credit and the tail can be true. */
static void credit_lies(void)
{
	static const uint32_t starts[] = { 0, 5, 0x7fffffffu, 0xfffffffcu };
	struct pcv_line *line = lines_make(8);
	struct pcv_ring_tx tx;
	uint32_t credit, written, claim;
	uint64_t rng = 3;
	size_t s;
	int i;

	for (s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
		for (written = 0; written <= 8; written++) {
			pcv_ring_tx_init(&tx, line, 8, BASE);
			tx.credit = starts[s];
			tx.tail = starts[s] + written;
			for (i = 0; i < 2000; i++) {
				credit = tx.credit;
				claim = (uint32_t)pcv_rand(&rng);
				if (i < 40)
					claim = starts[s] - 20 + (uint32_t)i;
				if (claim - credit <= tx.tail - credit) {
					CHECK_EQ(pcv_ring_credit(&tx, claim), 0);
					CHECK_EQ(tx.credit, claim);
				} else {
					CHECK_EQ(pcv_ring_credit(&tx, claim), -EPROTO);
					CHECK_EQ(tx.credit, credit);
				}
				CHECK(pcv_ring_room(&tx) <= 8);
			}
		}
	}
	pcv_ring_tx_init(&tx, line, 8, BASE);
	CHECK_EQ(pcv_ring_credit(&tx, 1), -EPROTO);
	CHECK_EQ(pcv_ring_credit(&tx, 0xffffffffu), -EPROTO);
	CHECK_EQ(pcv_ring_credit(&tx, 0), 0);
	free(line);
}

/* Of five lines every subset has arrived: none but all of them is a message. */
static void partial_arrival(void)
{
	struct pcv_line *from = lines_make(8), *to = lines_make(8);
	uint8_t data[5 * PCV_LINE_PAYLOAD], copy[sizeof(data)];
	const struct pcv_ring_vec vec = { data, sizeof(data) };
	struct pcv_ring_msg msg;
	struct pcv_ring_tx tx;
	struct pcv_ring_rx rx;
	uint32_t start, set, i, slot, stale;

	pcv_pattern_fill(data, sizeof(data), 77);
	for (start = 0; start < 8; start++) {
		for (set = 0; set < 32; set++) {
			/* What a former lap left must not count either. */
			for (i = 0; i < 8; i++) {
				memset(&to[i], 0xaa, sizeof(to[i]));
				stale = BASE + start + ((i - start) & 7) - 8;
				tail_set(&to[i], tail(stale, 1, 0, 20));
			}
			pcv_ring_tx_init(&tx, from, 8, BASE);
			pcv_ring_rx_init(&rx, to, 8, BASE);
			tx.tail = start;
			tx.credit = start;
			rx.head = start;
			CHECK_EQ(pcv_ring_put(&tx, 1, 0, &vec, 1), 5);
			for (i = 0; i < 5; i++) {
				slot = (start + i) & 7;
				if (set & 1u << i)
					to[slot] = from[slot];
			}
			CHECK_EQ(pcv_ring_get(&rx, &msg), set == 31);
			if (set != 31)
				continue;
			pcv_ring_copy(&rx, copy, 0, msg.len);
			CHECK(!memcmp(data, copy, sizeof(data)));
		}
	}
	free(from);
	free(to);
}

/* After any number of laps, what is left behind is never news. */
static void stale_laps(void)
{
	struct pcv_line *line = lines_make(8);
	uint8_t data[8 * PCV_LINE_PAYLOAD] = { 0 };
	struct pcv_ring_vec vec = { data, 0 };
	struct pcv_ring_msg msg;
	struct pcv_ring_tx tx;
	struct pcv_ring_rx rx;
	uint64_t rng = 11;
	int i, lines;

	pcv_ring_tx_init(&tx, line, 8, -40u);
	pcv_ring_rx_init(&rx, line, 8, -40u);
	for (i = 0; i < 5000; i++) {
		vec.len = pcv_rand_below(&rng, sizeof(data) + 1);
		lines = pcv_ring_put(&tx, 1, 0, &vec, 1);
		CHECK_EQ(lines, pcv_ring_lines(vec.len));
		CHECK_EQ(pcv_ring_get(&rx, &msg), 1);
		CHECK_EQ(msg.len, vec.len);
		pcv_ring_next(&rx, &msg);
		CHECK_EQ(pcv_ring_get(&rx, &msg), 0);
		CHECK_EQ(pcv_ring_credit(&tx, rx.head), 0);
	}
	free(line);
}

/* The right number on impossible contents is the producer's fault, and said to be. */
static void impossible(void)
{
	struct pcv_line *line = lines_make(4);
	struct pcv_ring_msg msg;
	struct pcv_ring_rx rx;
	int bit;

	pcv_ring_rx_init(&rx, line, 4, BASE);

	tail_set(&line[0], tail(BASE, 0, 0, 0));
	CHECK_EQ(pcv_ring_get(&rx, &msg), -EPROTO);
	tail_set(&line[0], tail(BASE, PCV_LINE_CONT, 0, 0));
	CHECK_EQ(pcv_ring_get(&rx, &msg), -EPROTO);
	tail_set(&line[0], tail(BASE, 1, 0, 4 * PCV_LINE_PAYLOAD + 1));
	CHECK_EQ(pcv_ring_get(&rx, &msg), -EPROTO);
	tail_set(&line[0], tail(BASE, 1, 0, 0xffff));
	CHECK_EQ(pcv_ring_get(&rx, &msg), -EPROTO);

	tail_set(&line[0], tail(BASE, 1, 0, PCV_LINE_PAYLOAD + 1));
	CHECK_EQ(pcv_ring_get(&rx, &msg), 0);
	tail_set(&line[1], tail(BASE + 1, PCV_LINE_CONT, 0, 0));
	CHECK_EQ(pcv_ring_get(&rx, &msg), 1);
	/* Every wrong bit in a continuation: of the number, not arrived; else impossible. */
	for (bit = 0; bit < 64; bit++) {
		tail_set(&line[1], tail(BASE + 1, PCV_LINE_CONT, 0, 0) ^ 1ull << bit);
		CHECK_EQ(pcv_ring_get(&rx, &msg), bit < 32 ? 0 : -EPROTO);
	}
	/* And in a head line: a wrong number is no message. */
	for (bit = 0; bit < 32; bit++) {
		tail_set(&line[0], tail(BASE, 1, 0, 8) ^ 1ull << bit);
		CHECK_EQ(pcv_ring_get(&rx, &msg), 0);
	}
	free(line);
}

/* Whatever lies there: no crash, nothing read or claimed beyond the ring. */
static void hostile(void)
{
	struct pcv_ring_msg msg;
	struct pcv_ring_rx rx;
	struct pcv_line *line;
	uint64_t rng = 17, word;
	uint32_t count, head, i, seq;
	uint8_t *copy;
	int round, ret, seen = 0;

	for (round = 0; round < 30000; round++) {
		count = 1u << pcv_rand_below(&rng, 7);
		line = lines_make(count);
		pcv_ring_rx_init(&rx, line, count, (uint32_t)pcv_rand(&rng));
		head = (uint32_t)pcv_rand(&rng);
		rx.head = head;
		for (i = 0; i < count; i++) {
			word = pcv_rand(&rng);
			seq = rx.seq_base + head + i;
			if (pcv_rand_below(&rng, 16))
				word = (word & ~0xffffffffull) | seq;
			if (pcv_rand_below(&rng, 4))
				word = tail(seq, PCV_LINE_CONT, 0, 0);
			if (!i && pcv_rand_below(&rng, 4))
				word = tail(seq, 1, 0, (uint16_t)pcv_rand_below(&rng, count * 60));
			tail_set(&line[(head + i) & (count - 1)], word);
		}
		for (i = 0; i < count; i++) {
			ret = pcv_ring_get(&rx, &msg);
			CHECK(ret == 0 || ret == 1 || ret == -EPROTO);
			if (ret != 1)
				break;
			seen++;
			CHECK(msg.lines >= 1 && msg.lines <= count);
			CHECK_EQ(msg.lines, pcv_ring_lines(msg.len));
			CHECK(msg.type && msg.type != PCV_LINE_CONT);
			copy = malloc(msg.len);
			CHECK(copy || !msg.len);
			pcv_ring_copy(&rx, copy, 0, msg.len);
			free(copy);
			pcv_ring_next(&rx, &msg);
		}
		free(line);
	}
	CHECK(seen > 100);
}

static const struct pcv_case cases[] = {
	{ "credit_lies", credit_lies },
	{ "partial_arrival", partial_arrival },
	{ "stale_laps", stale_laps },
	{ "impossible", impossible },
	{ "hostile", hostile },
};

PCV_CHECK_MAIN(cases)
