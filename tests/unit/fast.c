// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The fast ring between two ends that keep the rules, and one that does not. */
#include <errno.h>

#include "check.h"
#include "fast.h"
#include "pattern.h"

struct pcv_link_count pcv_link_count;

static uint8_t block[PCV_FAST_BYTES] __attribute__((__aligned__(4096)));
static struct pcv_fast_tx tx;
static struct pcv_fast_rx rx;
static uint32_t credit, credits;

static void begin(uint32_t seq, int wc)
{
	memset(block, 0, sizeof(block));
	memset(&pcv_link_count, 0, sizeof(pcv_link_count));
	pcv_fast_tx_init(&tx, block, seq, wc);
	pcv_fast_rx_init(&rx, block, seq);
	credit = 0;
	credits = 0;
}

/* Send all of a message, or as much as there is room for. Return: bytes sent. */
static uint32_t put(uint64_t key, uint32_t len, uint32_t from)
{
	static uint8_t data[1u << 20];
	struct pcv_ring_vec vec[3] = { { data, len / 3 }, { data, 0 },
				       { data + len / 3, len - len / 3 } };
	uint64_t head = pcv_fast_head_word(pcv_to_le32((uint32_t)key), (uint16_t)(key + 7));
	uint8_t flags = PCV_FAST_FIRST;
	uint32_t n;

	pcv_pattern_fill(data, len, key);
	if (len <= PCV_FAST_LINE_DATA) {
		CHECK(pcv_fast_room(&tx));
		pcv_fast_put_line(&tx, PCV_FAST_FIRST | PCV_FAST_LAST, head, data, len);
		return len;
	}
	if (len <= PCV_FAST_LINES_DATA) {
		CHECK_EQ(pcv_fast_put_lines(&tx, PCV_FAST_FIRST | PCV_FAST_LAST, head, vec, 3, len),
			 0);
		return len;
	}
	while (from < len) {
		n = pcv_fast_chunk_room(&tx, len - from);
		if (!n)
			break;
		CHECK(n <= len - from && n <= PCV_FAST_CHUNK_BYTES);
		flags = from ? 0 : PCV_FAST_FIRST;
		if (from + n == len)
			flags |= PCV_FAST_LAST;
		pcv_fast_put_chunk(&tx, flags, head, vec, from, n, len);
		from += n;
	}
	return from;
}

/* Take what lies there of message @key. Return: whether it ended. */
static int take(uint64_t key, uint32_t len)
{
	static uint8_t data[1u << 20];
	struct pcv_fast_msg msg;
	uint32_t cut;
	int ret;

	while ((ret = pcv_fast_get(&rx, &msg)) == 1) {
		CHECK_EQ(msg.order, (uint16_t)(key + 7));
		CHECK_EQ(pcv_le32(msg.imm), (uint32_t)key);
		CHECK_EQ(msg.total, len);
		CHECK_EQ(pcv_fast_begin(&rx, &msg), 0);
		cut = msg.bytes / 3;
		pcv_fast_copy(&rx, &msg, data + rx.done, 0, cut);
		pcv_fast_copy(&rx, &msg, data + rx.done + cut, cut, msg.bytes - cut);
		if (pcv_fast_next(&rx, &msg)) {
			pcv_fast_credited(&rx);
			credit = rx.head;
			credits++;
		}
		if (msg.flags & PCV_FAST_LAST) {
			CHECK(pcv_pattern_match(data, len, key));
			return 1;
		}
	}
	CHECK_EQ(ret, 0);
	return 0;
}

static void turn(uint64_t key, uint32_t len)
{
	uint32_t sent = 0;
	int ended;

	do {
		CHECK(pcv_fast_credit(&tx, credit) >= 0);
		sent = put(key, len, sent);
		ended = take(key, len);
		CHECK(!ended || sent == len);
	} while (!ended);
}

static void sizes(void)
{
	uint32_t len, wc;

	for (wc = 0; wc < 2; wc++) {
		begin(0xffffff00u, (int)wc);
		for (len = 0; len < 700; len++)
			turn(len, len);
		for (len = 700; len < 300000; len += 1237)
			turn(len, len);
		for (len = 0; len < 20000; len++)
			turn(len, pcv_pattern_len(len, len % 8 ? 300 : 60000));
	}
}

/* As many as there is room for, then as many as there are. */
static void queued(void)
{
	uint64_t sent = 0, got = 0;
	uint64_t rng = 3;
	uint32_t len;

	begin(5, 0);
	while (got < 50000) {
		CHECK(pcv_fast_credit(&tx, credit) >= 0);
		while (sent - got < 200 && pcv_rand_below(&rng, 20)) {
			len = pcv_pattern_len(sent, sent % 8 ? 100 : 20000);
			if (pcv_fast_room(&tx) < 16 || 45056 - tx.data_used < len + 9000)
				break;
			CHECK_EQ(put(sent, len, 0), len);
			sent++;
		}
		while (got < sent && pcv_rand_below(&rng, 20)) {
			CHECK(take(got, pcv_pattern_len(got, got % 8 ? 100 : 20000)));
			got++;
		}
	}
}

/* What crosses the link. */
static void counts(void)
{
	uint32_t i;

	begin(1, 0);
	for (i = 0; i < 6400; i++) {
		pcv_fast_credit(&tx, credit);
		pcv_link_count.lines = 0;
		pcv_link_count.words = 0;
		put(i, 8, 0);
		/* One line: head, payload, tail. */
		CHECK_EQ(pcv_link_count.lines, 1);
		CHECK_EQ(pcv_link_count.words, 3);
		CHECK(take(i, 8));
	}
	CHECK_EQ(credits, 100);
	for (i = 0; i <= 48; i++) {
		pcv_fast_credit(&tx, credit);
		pcv_link_count.lines = 0;
		pcv_link_count.words = 0;
		put(i, i, 0);
		CHECK_EQ(pcv_link_count.lines, 1);
		CHECK_EQ(pcv_link_count.words, 2 + (i + 7) / 8);
		CHECK(take(i, i));
	}
	CHECK_EQ(pcv_link_count.bytes, 0);
	pcv_fast_credit(&tx, rx.head);
	pcv_link_count.lines = 0;
	/* 40,000 bytes: five chunks, a line each. */
	CHECK_EQ(put(1, 40000, 0), 40000);
	CHECK_EQ(pcv_link_count.lines, 5);
	CHECK_EQ(pcv_link_count.bytes, 40000);
	CHECK(take(1, 40000));
	CHECK_EQ(pcv_link_count.reads, 0);
	CHECK_EQ(pcv_link_count.ctls, 0);
}

/* Full lines, and room in the data area to the byte. */
static void room(void)
{
	uint32_t i, n;

	begin(9, 0);
	for (i = 0; i < PCV_FAST_LINES; i++)
		put(i, 0, 0);
	CHECK_EQ(pcv_fast_room(&tx), 0);
	CHECK_EQ(pcv_fast_chunk_room(&tx, 1), 0);
	CHECK_EQ(pcv_fast_put_lines(&tx, 0, 0, NULL, 0, 0), -EAGAIN);
	CHECK_EQ(pcv_fast_credit(&tx, PCV_FAST_LINES + 1), -EPROTO);
	CHECK_EQ(pcv_fast_credit(&tx, -1u), -EPROTO);
	CHECK_EQ(pcv_fast_credit(&tx, 1), 1);
	CHECK_EQ(pcv_fast_credit(&tx, 1), 0);
	CHECK_EQ(pcv_fast_room(&tx), 1);
	for (i = 0; i < PCV_FAST_LINES; i++)
		CHECK(take(i, 0));
	CHECK_EQ(pcv_fast_credit(&tx, rx.head), 1);

	n = put(1, 300000, 0);
	CHECK_EQ(n, PCV_FAST_DATA_BYTES);
	CHECK_EQ(pcv_fast_chunk_room(&tx, 1), 0);
	/* Credit for the first chunk alone frees the first chunk alone. */
	CHECK_EQ(pcv_fast_credit(&tx, PCV_FAST_LINES + 1), 1);
	CHECK_EQ(pcv_fast_chunk_room(&tx, 300000), PCV_FAST_CHUNK_BYTES);
	CHECK_EQ(pcv_fast_chunk_room(&tx, 100), 100);
}

/* The line that says @what at position 0 cannot be. */
static void impossible_one(uint64_t tail, uint64_t w0, uint64_t w1, uint64_t w2, int expect)
{
	struct pcv_line *line = (void *)(block + PCV_FAST_RING_OFFSET);
	struct pcv_fast_msg msg;
	int ret;

	begin(1, 0);
	w0 = pcv_to_le64(w0);
	w1 = pcv_to_le64(w1);
	w2 = pcv_to_le64(w2);
	memcpy(line->payload, &w0, 8);
	memcpy(line->payload + 8, &w1, 8);
	memcpy(line->payload + 16, &w2, 8);
	line->tail = pcv_to_le64(tail);
	ret = pcv_fast_get(&rx, &msg);
	if (ret == 1)
		ret = pcv_fast_begin(&rx, &msg) ? -EPROTO : 1;
	CHECK_EQ(ret, expect);
}

#define TAIL(type, flags, len)						\
	(1 | (uint64_t)(type) << 32 | (uint64_t)(flags) << 40 | (uint64_t)(len) << 48)

static void impossible(void)
{
	uint32_t type, flags, len;

	impossible_one(0, 0, 0, 0, 0);
	impossible_one(TAIL(1, 12, 8), 0, 0, 0, 1);
	impossible_one(TAIL(1, 12, 8), 1ull << 48, 0, 0, -EPROTO);
	for (type = 0; type < 256; type++)
		if (type != PCV_FAST_SEND)
			impossible_one(TAIL(type, 12, 8), 0, 0, 0, -EPROTO);
	for (flags = 0; flags < 256; flags++)
		impossible_one(TAIL(1, flags, 8), 0, 0, 0, (flags & ~3u) == 12 ? 1 : -EPROTO);
	for (len = 0; len < 8; len++)
		impossible_one(TAIL(1, 12, len), 0, 0, 0, -EPROTO);
	/* Longer ones wait for their other lines, as long as these could come. */
	for (len = 57; len < 65536; len += 7)
		impossible_one(TAIL(1, 12, len), 0, 0, 0, len <= 256 * 56 ? 0 : -EPROTO);
	for (len = 0; len < 65536; len++)
		if (len != 24)
			impossible_one(TAIL(1, 28, len), 0, 64ull << 32, 64, -EPROTO);

	/* offset, bytes, of a message of */
	impossible_one(TAIL(1, 28, 24), 0, 64ull << 32, 64, 1);
	impossible_one(TAIL(1, 20, 24), 0, 64ull << 32, 65, 1);
	impossible_one(TAIL(1, 28, 24), 0, 64ull << 32, 65, -EPROTO);
	impossible_one(TAIL(1, 20, 24), 0, 64ull << 32, 64, -EPROTO);
	impossible_one(TAIL(1, 28, 24), 0, 64ull << 32, 63, -EPROTO);
	impossible_one(TAIL(1, 28, 24), 0, 64ull << 32, 64 | 1ull << 32, -EPROTO);
	impossible_one(TAIL(1, 28, 24), 0, 0, 0, -EPROTO);
	impossible_one(TAIL(1, 16, 24), 0, 64ull << 32, 64, -EPROTO);
	impossible_one(TAIL(1, 24, 24), 0, 64ull << 32, 64, -EPROTO);
	impossible_one(TAIL(1, 28, 24), 0, 64ull << 32 | 32, 64, -EPROTO);
	impossible_one(TAIL(1, 28, 24), 0, 64ull << 32 | (PCV_FAST_DATA_BYTES - 64), 64, 1);
	impossible_one(TAIL(1, 28, 24), 0, 65ull << 32 | (PCV_FAST_DATA_BYTES - 64), 65, -EPROTO);
	impossible_one(TAIL(1, 28, 24), 0, 1ull << 32 | PCV_FAST_DATA_BYTES, 1, -EPROTO);
	impossible_one(TAIL(1, 28, 24), 0, 0xffffffffull << 32, 0xffffffff, -EPROTO);
	impossible_one(TAIL(1, 28, 24), 0, 0xffffffffull << 32 | 64, 0xffffffff, -EPROTO);
}

/* Parts of a message fit together. */
static void parts(void)
{
	struct pcv_fast_msg msg = { .lines = 1, .bytes = 10, .total = 30, .flags = PCV_FAST_FIRST };

	begin(1, 0);
	CHECK_EQ(pcv_fast_begin(&rx, &msg), 0);
	pcv_fast_next(&rx, &msg);
	msg.flags = 0;
	CHECK_EQ(pcv_fast_begin(&rx, &msg), 0);
	pcv_fast_next(&rx, &msg);
	CHECK_EQ(pcv_fast_begin(&rx, &msg), -EPROTO);
	msg.flags = PCV_FAST_LAST;
	msg.total = 31;
	CHECK_EQ(pcv_fast_begin(&rx, &msg), -EPROTO);
	msg.total = 30;
	msg.bytes = 11;
	CHECK_EQ(pcv_fast_begin(&rx, &msg), -EPROTO);
	msg.bytes = 9;
	CHECK_EQ(pcv_fast_begin(&rx, &msg), -EPROTO);
	/* A new one may begin instead. */
	msg.flags = PCV_FAST_FIRST | PCV_FAST_LAST;
	msg.total = 9;
	CHECK_EQ(pcv_fast_begin(&rx, &msg), 0);
	pcv_fast_next(&rx, &msg);
	msg.flags = PCV_FAST_LAST;
	CHECK_EQ(pcv_fast_begin(&rx, &msg), -EPROTO);
}

static const struct pcv_case cases[] = {
	{ "sizes", sizes },
	{ "queued", queued },
	{ "counts", counts },
	{ "room", room },
	{ "impossible", impossible },
	{ "parts", parts },
};

PCV_CHECK_MAIN(cases)
