// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A fast ring between two CPUs; the race detector watches in one of the builds. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "check.h"
#include "fast.h"
#include "pattern.h"

#define BYTES	30000

static uint8_t block[PCV_FAST_BYTES] __attribute__((__aligned__(4096)));
static struct pcv_fast_ctl ctl __attribute__((__aligned__(64)));
static unsigned int messages = 50000;

static uint32_t length(uint32_t i)
{
	return pcv_pattern_len(i, i % 16 ? 300 : BYTES);
}

static void look(struct pcv_fast_tx *tx)
{
	if (!pcv_fast_credit(tx, pcv_le32(PCV_LOAD(&ctl.credit))))
		sched_yield();
}

static void *produce(void *arg)
{
	static struct pcv_fast_tx tx;
	static uint8_t data[BYTES];
	struct pcv_ring_vec vec = { data, 0 };
	uint32_t i, at, n;

	(void)arg;
	pcv_fast_tx_init(&tx, block, 0xffffff00u, 0);
	for (i = 0; i < messages; i++) {
		vec.len = length(i);
		pcv_pattern_fill(data, vec.len, i);
		if (vec.len <= PCV_FAST_LINE_DATA) {
			while (!pcv_fast_room(&tx))
				look(&tx);
			pcv_fast_put_line(&tx, PCV_FAST_FIRST | PCV_FAST_LAST,
					  pcv_fast_head_word(0, (uint16_t)i), data, vec.len);
			continue;
		}
		if (vec.len <= PCV_FAST_LINES_DATA) {
			while (pcv_fast_put_lines(&tx, PCV_FAST_FIRST | PCV_FAST_LAST,
						  pcv_fast_head_word(0, (uint16_t)i), &vec, 1,
						  vec.len))
				look(&tx);
			continue;
		}
		for (at = 0; at < vec.len; at += n) {
			while (!(n = pcv_fast_chunk_room(&tx, vec.len - at)))
				look(&tx);
			pcv_fast_put_chunk(&tx, (at ? 0 : PCV_FAST_FIRST) |
					   (at + n == vec.len ? PCV_FAST_LAST : 0),
					   pcv_fast_head_word(0, (uint16_t)i), &vec, at, n,
					   vec.len);
		}
	}
	return NULL;
}

static void consume(void)
{
	static uint8_t data[BYTES];
	struct pcv_fast_msg msg;
	struct pcv_fast_rx rx;
	uint32_t i = 0;
	int ret;

	pcv_fast_rx_init(&rx, block, 0xffffff00u);
	while (i < messages) {
		ret = pcv_fast_get(&rx, &msg);
		CHECK(ret >= 0);
		if (!ret) {
			sched_yield();
			continue;
		}
		CHECK_EQ(msg.total, length(i));
		CHECK_EQ(msg.order, (uint16_t)i);
		CHECK_EQ(pcv_fast_begin(&rx, &msg), 0);
		pcv_fast_copy(&rx, &msg, data + rx.done, 0, msg.bytes);
		if (pcv_fast_next(&rx, &msg)) {
			pcv_fast_credited(&rx);
			pcv_out_store_ctl(&ctl.credit, pcv_to_le32(rx.head));
		}
		if (msg.flags & PCV_FAST_LAST) {
			CHECK(pcv_pattern_match(data, msg.total, i));
			i++;
		}
	}
}

static void race(void)
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, produce, NULL));
	consume();
	CHECK(!pthread_join(thread, NULL));
}

static const struct pcv_case cases[] = {
	{ "race", race },
};

PCV_CHECK_MAIN(cases)
