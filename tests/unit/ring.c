// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The ring between two ends that keep the rules. */
#include <errno.h>

#include "check.h"
#include "pattern.h"
#include "ring.h"
#include "os.h"

struct pair {
	struct pcv_line *line;
	struct pcv_ring_tx tx;
	struct pcv_ring_rx rx;
};

static void pair_make(struct pair *p, uint32_t count, uint32_t seq_base)
{
	p->line = aligned_alloc(PCV_LINE_BYTES, (size_t)count * PCV_LINE_BYTES);
	CHECK(p->line);
	memset(p->line, 0, (size_t)count * PCV_LINE_BYTES);
	pcv_ring_tx_init(&p->tx, p->line, count, seq_base);
	pcv_ring_rx_init(&p->rx, p->line, count, seq_base);
}

static void pair_free(struct pair *p)
{
	free(p->line);
}

static int put(struct pcv_ring_tx *tx, uint8_t type, const void *data, uint32_t len)
{
	const struct pcv_ring_vec vec = { data, len };

	return pcv_ring_put(tx, type, (uint8_t)(type ^ 0x5a), &vec, 1);
}

/* Send one message of @len bytes and see it arrive. */
static void turn(struct pair *p, uint32_t len, uint64_t key)
{
	uint8_t type = (uint8_t)(1 + key % 254);
	struct pcv_ring_msg msg;
	uint8_t *data = malloc(len + 1);
	uint8_t *copy = malloc(len + 1);

	CHECK(data && copy);
	CHECK_EQ(pcv_ring_get(&p->rx, &msg), 0);
	pcv_pattern_fill(data, len, key);
	CHECK_EQ(put(&p->tx, type, data, len), pcv_ring_lines(len));
	CHECK_EQ(pcv_ring_get(&p->rx, &msg), 1);
	CHECK_EQ(msg.len, len);
	CHECK_EQ(msg.lines, pcv_ring_lines(len));
	CHECK_EQ(msg.type, type);
	CHECK_EQ(msg.flags, (uint8_t)(type ^ 0x5a));
	pcv_ring_copy(&p->rx, copy, 0, len);
	CHECK(!memcmp(data, copy, len));
	pcv_ring_next(&p->rx, &msg);
	CHECK_EQ(pcv_ring_get(&p->rx, &msg), 0);
	CHECK_EQ(pcv_ring_credit(&p->tx, p->rx.head), 0);
	free(data);
	free(copy);
}

static void sizes(void)
{
	static const uint32_t counts[] = { 1, 2, 4, 16, 64, 2048 };
	struct pair p;
	uint32_t len, max;
	size_t i;

	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		pair_make(&p, counts[i], 1);
		max = counts[i] * PCV_LINE_PAYLOAD;
		if (max > PCV_RING_LEN_MAX)
			max = PCV_RING_LEN_MAX;
		for (len = 0; len <= max; len += len < 700 ? 1 : 997)
			turn(&p, len, len);
		turn(&p, max, 1);
		turn(&p, max - 1, 2);
		pair_free(&p);
	}
}

static void lines(void)
{
	CHECK_EQ(pcv_ring_lines(0), 1);
	CHECK_EQ(pcv_ring_lines(1), 1);
	CHECK_EQ(pcv_ring_lines(56), 1);
	CHECK_EQ(pcv_ring_lines(57), 2);
	CHECK_EQ(pcv_ring_lines(112), 2);
	CHECK_EQ(pcv_ring_lines(113), 3);
	CHECK_EQ(pcv_ring_lines(65535), 1171);
}

/* What lies in the ring, byte for byte, on a machine of either byte order. */
static void golden(void)
{
	static const uint8_t head_tail[8] = { 0x04, 0x03, 0x02, 0x01, 0x07, 0x80, 58, 0 };
	static const uint8_t cont_tail[8] = { 0x05, 0x03, 0x02, 0x01, 0xff, 0x00, 0, 0 };
	static const uint8_t zero[PCV_LINE_BYTES];
	uint8_t data[58];
	const struct pcv_ring_vec vec = { data, sizeof(data) };
	struct pair p;
	int i;

	for (i = 0; i < 58; i++)
		data[i] = (uint8_t)(i + 1);
	pair_make(&p, 4, 0x01020304);
	CHECK_EQ(pcv_ring_put(&p.tx, 7, 0x80, &vec, 1), 2);
	CHECK(!memcmp(p.line[0].payload, data, 56));
	CHECK(!memcmp(&p.line[0].tail, head_tail, 8));
	CHECK(!memcmp(p.line[1].payload, data + 56, 2));
	CHECK(!memcmp(p.line[1].payload + 2, zero, 54));
	CHECK(!memcmp(&p.line[1].tail, cont_tail, 8));
	CHECK(!memcmp(&p.line[2], zero, sizeof(zero)));
	CHECK(!memcmp(&p.line[3], zero, sizeof(zero)));
	pair_free(&p);
}

/* Behind the last byte lies zero, and not what the line before had there. */
static void padding(void)
{
	static const uint8_t zero[PCV_LINE_PAYLOAD];
	uint8_t data[2 * PCV_LINE_PAYLOAD + 1];
	struct pair p;

	memset(data, 0xee, sizeof(data));
	pair_make(&p, 4, 1);
	CHECK_EQ(put(&p.tx, 1, data, sizeof(data)), 3);
	CHECK_EQ(p.line[2].payload[0], 0xee);
	CHECK(!memcmp(p.line[2].payload + 1, zero, sizeof(zero) - 1));
	pair_free(&p);
}

/* However a message is cut into pieces, empty ones included. */
static void pieces(void)
{
	uint8_t data[150], copy[150];
	struct pcv_ring_msg msg;
	struct pcv_ring_vec vec[5];
	struct pair p;
	uint32_t a, b;

	pcv_pattern_fill(data, sizeof(data), 99);
	pair_make(&p, 4, 7);
	for (a = 0; a <= sizeof(data); a++) {
		for (b = a; b <= sizeof(data); b++) {
			vec[0] = (struct pcv_ring_vec){ data, a };
			vec[1] = (struct pcv_ring_vec){ NULL, 0 };
			vec[2] = (struct pcv_ring_vec){ data + a, b - a };
			vec[3] = (struct pcv_ring_vec){ NULL, 0 };
			vec[4] = (struct pcv_ring_vec){ data + b, sizeof(data) - b };
			CHECK_EQ(pcv_ring_put(&p.tx, 1, 0, vec, 5), 3);
			CHECK_EQ(pcv_ring_get(&p.rx, &msg), 1);
			CHECK_EQ(msg.len, sizeof(data));
			pcv_ring_copy(&p.rx, copy, 0, sizeof(copy));
			CHECK(!memcmp(data, copy, sizeof(data)));
			pcv_ring_next(&p.rx, &msg);
			CHECK_EQ(pcv_ring_credit(&p.tx, p.rx.head), 0);
		}
	}
	CHECK_EQ(pcv_ring_put(&p.tx, 1, 0, NULL, 0), 1);
	CHECK_EQ(pcv_ring_get(&p.rx, &msg), 1);
	CHECK_EQ(msg.len, 0);
	pair_free(&p);
}

/* Any part of a message can be copied, across the end of the ring as well. */
static void windows(void)
{
	uint8_t data[200], copy[200];
	struct pcv_ring_msg msg;
	struct pair p;
	uint32_t from, len, start;

	pcv_pattern_fill(data, sizeof(data), 5);
	for (start = 0; start < 4; start++) {
		pair_make(&p, 4, 1);
		for (from = 0; from < start; from++)
			turn(&p, 0, from);
		CHECK_EQ(put(&p.tx, 3, data, sizeof(data)), 4);
		CHECK_EQ(pcv_ring_get(&p.rx, &msg), 1);
		for (from = 0; from <= sizeof(data); from++) {
			for (len = 0; from + len <= sizeof(data); len++) {
				memset(copy, 0xee, sizeof(copy));
				pcv_ring_copy(&p.rx, copy, from, len);
				CHECK(!memcmp(copy, data + from, len));
				CHECK(len == sizeof(copy) || copy[len] == 0xee);
			}
		}
		pair_free(&p);
	}
}

/* What does not fit is refused, and nothing has changed then. */
static void refused(void)
{
	struct pcv_ring_vec vec[3];
	struct pcv_ring_tx before;
	static uint8_t data[PCV_RING_LEN_MAX + 1];
	struct pair p;
	uint32_t i;

	pair_make(&p, 4, 1);
	before = p.tx;
	CHECK_EQ(put(&p.tx, 1, data, 4 * PCV_LINE_PAYLOAD + 1), -EMSGSIZE);
	CHECK_EQ(put(&p.tx, 1, data, PCV_RING_LEN_MAX + 1), -EMSGSIZE);
	vec[0] = (struct pcv_ring_vec){ data, 2 };
	vec[1] = (struct pcv_ring_vec){ data, 0xffffffffu };
	vec[2] = (struct pcv_ring_vec){ data, 1 };
	CHECK_EQ(pcv_ring_put(&p.tx, 1, 0, vec, 3), -EMSGSIZE);
	CHECK_EQ(put(&p.tx, 0, data, 1), -EINVAL);
	CHECK_EQ(put(&p.tx, PCV_LINE_CONT, data, 1), -EINVAL);
	CHECK(!memcmp(&before, &p.tx, sizeof(before)));
	for (i = 0; i < 4 * PCV_LINE_BYTES; i++)
		CHECK_EQ(((uint8_t *)p.line)[i], 0);
	pair_free(&p);

	pair_make(&p, 2048, 1);
	CHECK_EQ(put(&p.tx, 1, data, PCV_RING_LEN_MAX + 1), -EMSGSIZE);
	CHECK_EQ(put(&p.tx, 1, data, PCV_RING_LEN_MAX), 1171);
	pair_free(&p);
}

static void full(void)
{
	uint8_t data[100] = { 0 };
	struct pcv_ring_msg msg;
	struct pair p;
	uint32_t i;

	pair_make(&p, 8, 1);
	for (i = 0; i < 8; i++) {
		CHECK_EQ(pcv_ring_room(&p.tx), 8 - i);
		CHECK_EQ(put(&p.tx, 1, data, 8), 1);
	}
	CHECK_EQ(pcv_ring_room(&p.tx), 0);
	CHECK_EQ(put(&p.tx, 1, data, 0), -EAGAIN);
	CHECK_EQ(pcv_ring_get(&p.rx, &msg), 1);
	pcv_ring_next(&p.rx, &msg);
	CHECK_EQ(put(&p.tx, 1, data, 0), -EAGAIN);
	CHECK_EQ(pcv_ring_credit(&p.tx, p.rx.head), 0);
	CHECK_EQ(put(&p.tx, 1, data, 57), -EAGAIN);
	CHECK_EQ(put(&p.tx, 1, data, 56), 1);
	for (i = 0; i < 8; i++) {
		CHECK_EQ(pcv_ring_get(&p.rx, &msg), 1);
		pcv_ring_next(&p.rx, &msg);
	}
	CHECK_EQ(pcv_ring_get(&p.rx, &msg), 0);
	pair_free(&p);
}

/* Numbers and positions pass 2^32, and a number of 0 in zeroed memory is no message. */
static void wraps(void)
{
	static const uint32_t bases[] = { 0, 1, 0xffffffffu, 0xfffffff0u, 0x80000000u };
	struct pcv_ring_msg msg;
	struct pair p;
	uint32_t count, i;
	size_t b;

	for (b = 0; b < sizeof(bases) / sizeof(bases[0]); b++) {
		for (count = 1; count <= 32; count *= 2) {
			pair_make(&p, count, bases[b]);
			for (i = 0; i < 200; i++)
				turn(&p, pcv_pattern_len(i, count * 56), i);
			pair_free(&p);

			/* The same with positions about to pass 2^32. */
			pair_make(&p, count, bases[b]);
			p.tx.tail = -64u;
			p.tx.credit = -64u;
			p.rx.head = -64u;
			for (i = 0; i < 200; i++)
				turn(&p, pcv_pattern_len(i, count * 56), i);
			CHECK(p.tx.tail < 0x80000000u);
			pair_free(&p);
		}
	}
	pair_make(&p, 4, 0);
	CHECK_EQ(pcv_ring_get(&p.rx, &msg), 0);
	pair_free(&p);
}

/* Several messages lie in the ring at once, at every place in it. */
static void queued(void)
{
	uint64_t sent = 0, got = 0, rng = 1;
	struct pcv_ring_msg msg;
	uint8_t data[600];
	struct pair p;
	uint32_t len;
	int ret;

	pair_make(&p, 16, 0xffffff00u);
	while (got < 20000) {
		if (sent < 20000 && pcv_rand_below(&rng, 2)) {
			len = pcv_pattern_len(sent, sizeof(data));
			pcv_pattern_fill(data, len, sent);
			ret = put(&p.tx, (uint8_t)(1 + sent % 254), data, len);
			CHECK(ret == (int)pcv_ring_lines(len) || ret == -EAGAIN);
			if (ret > 0)
				sent++;
		} else {
			ret = pcv_ring_get(&p.rx, &msg);
			CHECK_EQ(ret, sent != got);
			if (!ret)
				continue;
			CHECK_EQ(msg.len, pcv_pattern_len(got, sizeof(data)));
			CHECK_EQ(msg.type, 1 + got % 254);
			pcv_ring_copy(&p.rx, data, 0, msg.len);
			CHECK(pcv_pattern_match(data, msg.len, got));
			pcv_ring_next(&p.rx, &msg);
			got++;
			if (pcv_rand_below(&rng, 3))
				CHECK_EQ(pcv_ring_credit(&p.tx, p.rx.head), 0);
		}
		if (p.tx.credit != p.rx.head && !pcv_rand_below(&rng, 8))
			CHECK_EQ(pcv_ring_credit(&p.tx, p.rx.head), 0);
	}
	pair_free(&p);
}

static const struct pcv_case cases[] = {
	{ "lines", lines },
	{ "sizes", sizes },
	{ "golden", golden },
	{ "padding", padding },
	{ "pieces", pieces },
	{ "windows", windows },
	{ "refused", refused },
	{ "full", full },
	{ "wraps", wraps },
	{ "queued", queued },
};

PCV_CHECK_MAIN(cases)
