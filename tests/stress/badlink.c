// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The ring over a bad link: everything that PCIe, a write-combining buffer and
 * a CPU that loads ahead may do, made likely.
 *
 * A link that is shared memory hides missing barriers, so here the ring is
 * built with PCV_TEST_LINK and its stores and loads come to this file:
 *
 *  - A store waits in the link. It arrives some time later, torn from its
 *    neighbours at 8 bytes, in any order, except that it stays behind the
 *    stores of the fences before it ("words"). Or every line travels as one
 *    and no fence means anything ("lines": full-line stores, relaxed ordering).
 *  - The consumer has its own view of the ring. A load of a tail word brings
 *    that word up to date; everything else may be as old as the last pcv_in_rmb().
 *
 * Both ends and the link take turns in one thread, also in the middle of a
 * message being written or looked at, as random numbers say: what fails once
 * fails again with the same seed. tests/stress/mutate takes the ring's precautions
 * out one by one and expects this program to notice.
 */
#include <errno.h>

#include "check.h"
#include "pattern.h"
#include "ring.h"
#include "os.h"

#define LINES_MAX	64
#define WORDS_MAX	(LINES_MAX * 8)
#define WAITING_MAX	(WORDS_MAX + 8)

/* A store on its way: a word, or with @whole a line. */
struct store {
	uint32_t word;
	uint32_t fences;
	int whole;
	uint64_t v[8];
};

static struct {
	struct pcv_line produced[LINES_MAX];	/* addresses only: nobody stores here */
	struct pcv_line view[LINES_MAX];
	uint64_t arrived[WORDS_MAX];
	struct store waiting[WAITING_MAX];
	uint32_t waiting_count;
	uint32_t fences;
	uint32_t words;
	int full_lines;
	uint64_t rng;
} link __attribute__((__aligned__(64)));

static struct pcv_ring_tx tx;
static struct pcv_ring_rx rx;
static uint64_t sent, got, messages;
static uint32_t len_max, credit_seen;
static int consuming;

static void store_arrive(uint32_t i)
{
	const struct store *s = &link.waiting[i];

	memcpy(&link.arrived[s->word], s->v, s->whole ? 64 : 8);
	link.waiting[i] = link.waiting[--link.waiting_count];
}

/* Let one of those stores arrive that may. */
static void link_step(void)
{
	uint32_t oldest = UINT32_MAX, i, n;

	if (!link.waiting_count)
		return;
	n = pcv_rand_below(&link.rng, link.waiting_count);
	if (!link.full_lines) {
		for (i = 0; i < link.waiting_count; i++)
			if (link.waiting[i].fences < oldest)
				oldest = link.waiting[i].fences;
		for (i = 0; i < link.waiting_count; i++, n++)
			if (link.waiting[n % link.waiting_count].fences == oldest)
				break;
		n %= link.waiting_count;
	}
	store_arrive(n);
}

static void link_run(uint32_t rarity)
{
	while (link.waiting_count && !pcv_rand_below(&link.rng, rarity))
		link_step();
}

static void link_send(uint32_t word, const void *from, int whole)
{
	struct store *s;

	while (link.waiting_count == WAITING_MAX)
		link_step();
	s = &link.waiting[link.waiting_count++];
	s->word = word;
	s->fences = link.fences;
	s->whole = whole;
	memcpy(s->v, from, whole ? 64 : 8);
}

static void consume(void);

/* Between any two stores of the producer the world goes on. */
static void interleave(void)
{
	link_run(3);
	if (!pcv_rand_below(&link.rng, 8))
		consume();
}

void pcv_test_out_store(void *to, __u64 v)
{
	link_send((uint32_t)((char *)to - (char *)link.produced) / 8, &v, 0);
	interleave();
}

int pcv_test_out_line(void *to, const void *from)
{
	if (!link.full_lines)
		return 0;
	link_send((uint32_t)((char *)to - (char *)link.produced) / 8, from, 1);
	interleave();
	return 1;
}

void pcv_test_out_wmb(void)
{
	link.fences++;
}

static void view_refresh(uint32_t word)
{
	memcpy((char *)link.view + word * 8, &link.arrived[word], 8);
}

__u64 pcv_test_in_load(const void *from)
{
	uint32_t word = (uint32_t)((const char *)from - (const char *)link.view) / 8;
	__u64 v;

	link_run(2);
	view_refresh(word);
	memcpy(&v, from, 8);
	/* What the CPU happened to load ahead. */
	view_refresh(pcv_rand_below(&link.rng, link.words));
	return v;
}

void pcv_test_in_rmb(void)
{
	memcpy(link.view, link.arrived, link.words * 8);
}

static void consume(void)
{
	struct pcv_ring_msg msg;
	uint8_t data[LINES_MAX * PCV_LINE_PAYLOAD];
	int ret;

	if (consuming)
		return;
	consuming = 1;
	ret = pcv_ring_get(&rx, &msg);
	CHECK(ret == 0 || ret == 1);
	if (ret) {
		CHECK(got < messages);
		CHECK_EQ(msg.len, pcv_pattern_len(got, len_max));
		CHECK_EQ(msg.type, 1 + got % 254);
		CHECK_EQ(msg.flags, (uint8_t)got);
		pcv_ring_copy(&rx, data, 0, msg.len);
		CHECK(pcv_pattern_match(data, msg.len, got));
		pcv_ring_next(&rx, &msg);
		got++;
	}
	consuming = 0;
}

static void produce(void)
{
	static uint8_t data[LINES_MAX * PCV_LINE_PAYLOAD];
	struct pcv_ring_vec vec[2];
	uint32_t len = pcv_pattern_len(sent, len_max);
	uint32_t cut = pcv_rand_below(&link.rng, len + 1);
	int ret;

	pcv_pattern_fill(data, len, sent);
	vec[0] = (struct pcv_ring_vec){ data, cut };
	vec[1] = (struct pcv_ring_vec){ data + cut, len - cut };
	ret = pcv_ring_put(&tx, (uint8_t)(1 + sent % 254), (uint8_t)sent, vec, 2);
	CHECK(ret == -EAGAIN || ret == (int)pcv_ring_lines(len));
	if (ret > 0)
		sent++;
}

static void run(uint32_t count, uint32_t seq_base, uint64_t seed, int full_lines)
{
	uint64_t patience = 0;

	memset(&link, 0, sizeof(link));
	link.rng = seed;
	link.words = count * 8;
	link.full_lines = full_lines;
	pcv_ring_tx_init(&tx, link.produced, count, seq_base);
	pcv_ring_rx_init(&rx, link.view, count, seq_base);
	sent = 0;
	got = 0;
	credit_seen = 0;
	messages = 1500;
	len_max = count * PCV_LINE_PAYLOAD;

	while (got < messages) {
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
			CHECK_EQ(pcv_ring_credit(&tx, credit_seen), 0);
			credit_seen = rx.head;
			break;
		default:
			link_run(sent < messages ? 20 : 2);
			link_step();
			break;
		}
		CHECK(patience++ < 10000000);
	}
	CHECK_EQ(sent, messages);
	CHECK_EQ(tx.tail, rx.head);
}

static void runs(int full_lines)
{
	static const uint32_t bases[] = { 0, 1, -1u, -500u };
	uint32_t count;
	uint64_t seed = 1;
	size_t b;

	for (count = 1; count <= LINES_MAX; count *= 2)
		for (b = 0; b < sizeof(bases) / sizeof(bases[0]); b++)
			run(count, bases[b], seed++, full_lines);
}

static void words(void)
{
	runs(0);
}

static void lines(void)
{
	runs(1);
}

static const struct pcv_case cases[] = {
	{ "words", words },
	{ "lines", lines },
};

PCV_CHECK_MAIN(cases)
