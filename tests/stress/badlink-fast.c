// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A fast ring over a bad link; see badlink.c. Here a data area lies beside the
 * ring, and there are three kinds of windows:
 *
 *  - "words": every store arrives some time later, torn from its neighbours at
 *    8 bytes, in any order, but behind the stores of the fences before it;
 *  - "combining": the same, written as a write-combining mapping is;
 *  - "lines": every line travels as one and overtakes any other, whatever the
 *    fences say; only data stays in front of the lines behind its fence.
 */
#include <errno.h>

#include "check.h"
#include "fast.h"
#include "pattern.h"
#include "os.h"

#define WAITING_MAX	512
#define LEN_MAX		30000u

/* A store on its way: up to a line, not torn. */
struct store {
	uint32_t at, bytes, fences;
	uint8_t v[64];
};

static struct {
	uint8_t produced[PCV_FAST_BYTES];	/* addresses only: nobody stores here */
	uint8_t view[PCV_FAST_BYTES];
	uint8_t arrived[PCV_FAST_BYTES];
	struct store waiting[WAITING_MAX];
	uint32_t waiting_count;
	uint32_t fences;
	int full_lines;
	uint64_t rng;
} link __attribute__((__aligned__(64)));

static struct pcv_fast_tx tx;
static struct pcv_fast_rx rx;
static uint32_t sent, part, got, messages, credit_seen;
static uint8_t out[LEN_MAX], in[LEN_MAX];
static int consuming, lazy;

static int is_line(const struct store *s)
{
	return s->at < PCV_FAST_DATA_OFFSET;
}

/* Let one of those stores arrive that may. */
static void link_step(void)
{
	uint32_t oldest = UINT32_MAX, i, n;
	const struct store *s;

	if (!link.waiting_count)
		return;
	for (i = 0; i < link.waiting_count; i++) {
		s = &link.waiting[i];
		if (s->fences < oldest && !(link.full_lines && is_line(s)))
			oldest = s->fences;
	}
	n = pcv_rand_below(&link.rng, link.waiting_count);
	for (i = 0; i < link.waiting_count; i++, n++) {
		s = &link.waiting[n % link.waiting_count];
		if (s->fences <= oldest)
			break;
	}
	n %= link.waiting_count;
	s = &link.waiting[n];
	memcpy(link.arrived + s->at, s->v, s->bytes);
	link.waiting[n] = link.waiting[--link.waiting_count];
}

static void link_run(uint32_t rarity)
{
	while (link.waiting_count && !pcv_rand_below(&link.rng, rarity))
		link_step();
}

static void consume(void);

static void link_send(const void *to, const void *from, uint32_t bytes)
{
	struct store *s;

	while (link.waiting_count == WAITING_MAX)
		link_step();
	s = &link.waiting[link.waiting_count++];
	s->at = (uint32_t)((const uint8_t *)to - link.produced);
	s->bytes = bytes;
	s->fences = link.fences;
	memcpy(s->v, from, bytes);
	/* Between any two stores of the producer the world goes on. */
	link_run(3);
	if (!pcv_rand_below(&link.rng, 16))
		consume();
}

void pcv_test_out_store(void *to, __u64 v)
{
	link_send(to, &v, 8);
}

int pcv_test_out_line(void *to, const void *from)
{
	if (!link.full_lines)
		return 0;
	link_send(to, from, 64);
	return 1;
}

void pcv_test_out_copy(void *to, const void *from, __u64 bytes)
{
	const uint8_t *p = from;
	uint8_t *q = to;
	uint32_t n;

	while (bytes) {
		n = 8 - ((uintptr_t)q & 7);
		if (n > bytes)
			n = (uint32_t)bytes;
		link_send(q, p, n);
		q += n;
		p += n;
		bytes -= n;
	}
}

void pcv_test_out_wmb(void)
{
	link.fences++;
}

static void view_refresh(uint32_t at)
{
	memcpy(link.view + at, link.arrived + at, 8);
}

__u64 pcv_test_in_load(const void *from)
{
	__u64 v;

	link_run(2);
	view_refresh((uint32_t)((const uint8_t *)from - link.view));
	memcpy(&v, from, 8);
	/* What the CPU happened to load ahead. */
	view_refresh(pcv_rand_below(&link.rng, PCV_FAST_BYTES / 8) * 8);
	return v;
}

void pcv_test_in_rmb(void)
{
	memcpy(link.view, link.arrived, sizeof(link.view));
}

/* Mostly short ones; some in chunks. */
static uint32_t length(uint32_t number)
{
	return pcv_pattern_len(number, number % 16 ? PCV_FAST_LINES_DATA : LEN_MAX);
}

static uint8_t flags_of(uint32_t number)
{
	return number % 3 ? 0 : PCV_FAST_SOLICITED;
}

static void consume(void)
{
	struct pcv_fast_msg msg;
	int ret;

	if (consuming || lazy)
		return;
	consuming = 1;
	ret = pcv_fast_get(&rx, &msg);
	CHECK(ret == 0 || ret == 1);
	if (ret) {
		CHECK(got < messages);
		CHECK_EQ(msg.order, (uint16_t)got);
		CHECK_EQ(pcv_le32(msg.imm), got * 7);
		CHECK_EQ(msg.total, length(got));
		CHECK(!pcv_fast_begin(&rx, &msg));
		CHECK(rx.done + msg.bytes <= sizeof(in));
		pcv_fast_copy(&rx, &msg, in + rx.done, 0, msg.bytes);
		if (msg.flags & PCV_FAST_LAST) {
			CHECK_EQ(msg.flags & PCV_FAST_SOLICITED, flags_of(got));
			CHECK(pcv_pattern_match(in, msg.total, got));
			got++;
		}
		pcv_fast_next(&rx, &msg);
	}
	consuming = 0;
}

static void produce(void)
{
	uint32_t len = length(sent), n;
	uint64_t head = pcv_fast_head_word(pcv_to_le32(sent * 7), (uint16_t)sent);
	uint8_t flags = flags_of(sent);
	struct pcv_ring_vec vec[2];

	pcv_pattern_fill(out, len, sent);
	n = pcv_rand_below(&link.rng, len + 1);
	vec[0] = (struct pcv_ring_vec){ out, n };
	vec[1] = (struct pcv_ring_vec){ out + n, len - n };
	if (len > PCV_FAST_LINES_DATA) {
		n = pcv_fast_chunk_room(&tx, len - part);
		if (!n)
			return;
		flags = part ? 0 : PCV_FAST_FIRST;
		if (part + n == len)
			flags |= PCV_FAST_LAST | flags_of(sent);
		pcv_fast_put_chunk(&tx, flags, head, vec, part, n, len);
		part += n;
		if (part < len)
			return;
		part = 0;
	} else if (len <= PCV_FAST_LINE_DATA && pcv_rand_below(&link.rng, 2)) {
		if (!pcv_fast_room(&tx))
			return;
		pcv_fast_put_line(&tx, flags | PCV_FAST_FIRST | PCV_FAST_LAST, head, out, len);
	} else if (pcv_fast_put_lines(&tx, flags | PCV_FAST_FIRST | PCV_FAST_LAST, head, vec, 2,
				      len)) {
		return;
	}
	sent++;
}

static void run(uint32_t seq, uint64_t seed, int wc, int full_lines)
{
	uint64_t patience = 0;

	memset(&link, 0, sizeof(link));
	link.rng = seed;
	link.full_lines = full_lines;
	pcv_fast_tx_init(&tx, link.produced, seq, wc);
	pcv_fast_rx_init(&rx, link.view, seq);
	sent = 0;
	part = 0;
	got = 0;
	credit_seen = 0;
	messages = 1000;

	while (got < messages) {
		/* Now and then both the ring and the data area are full. */
		lazy = sent < messages && patience >> 11 & 1;
		switch (pcv_rand_below(&link.rng, 4)) {
		case 0:
			if (sent < messages)
				produce();
			break;
		case 1:
			consume();
			break;
		case 2:
			/* A credit is late, and says what was true some time ago. */
			CHECK(pcv_fast_credit(&tx, credit_seen) >= 0);
			credit_seen = rx.head;
			break;
		default:
			link_run(sent < messages ? 20 : 2);
			link_step();
			break;
		}
		CHECK(patience++ < 300000);
	}
	CHECK_EQ(sent, messages);
	CHECK_EQ(tx.tail, rx.head);
}

static void runs(int wc, int full_lines)
{
	static const uint32_t bases[] = { 0, 1, -1u, -500u };
	uint64_t seed = 1;
	size_t b;

	for (b = 0; b < sizeof(bases) / sizeof(bases[0]); b++)
		run(bases[b], seed++, wc, full_lines);
}

static void words(void)
{
	runs(0, 0);
}

static void combining(void)
{
	runs(1, 0);
}

static void lines(void)
{
	runs(1, 1);
}

static const struct pcv_case cases[] = {
	{ "words", words },
	{ "combining", combining },
	{ "lines", lines },
};

PCV_CHECK_MAIN(cases)
