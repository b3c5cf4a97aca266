// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Producer and consumer on two CPUs; the race detector watches in one of the builds. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>

#include "check.h"
#include "pattern.h"
#include "ring.h"
#include "os.h"

#define COUNT	64
#define BYTES	(8 * PCV_LINE_PAYLOAD)

static struct pcv_line line[COUNT] __attribute__((__aligned__(64)));
static __le32 credit __attribute__((__aligned__(64)));
static unsigned int messages = 100000;

static void *produce(void *arg)
{
	struct pcv_ring_vec vec;
	struct pcv_ring_tx tx;
	uint8_t data[BYTES];
	uint32_t i;
	int ret;

	(void)arg;
	pcv_ring_tx_init(&tx, line, COUNT, 0xffffff00u);
	for (i = 0; i < messages; i++) {
		vec.base = data;
		vec.len = pcv_pattern_len(i, sizeof(data));
		pcv_pattern_fill(data, vec.len, i);
		while ((ret = pcv_ring_put(&tx, 1, (uint8_t)i, &vec, 1)) == -EAGAIN) {
			CHECK_EQ(pcv_ring_credit(&tx, pcv_le32(pcv_cpu_load_acquire(&credit))), 0);
			sched_yield();
		}
		CHECK(ret > 0);
	}
	return NULL;
}

static void consume(void)
{
	struct pcv_ring_msg msg;
	struct pcv_ring_rx rx;
	uint8_t data[BYTES];
	uint32_t i = 0;
	int ret;

	pcv_ring_rx_init(&rx, line, COUNT, 0xffffff00u);
	while (i < messages) {
		ret = pcv_ring_get(&rx, &msg);
		CHECK(ret >= 0);
		if (!ret) {
			sched_yield();
			continue;
		}
		CHECK_EQ(msg.len, pcv_pattern_len(i, sizeof(data)));
		CHECK_EQ(msg.flags, (uint8_t)i);
		pcv_ring_copy(&rx, data, 0, msg.len);
		CHECK(pcv_pattern_match(data, msg.len, i));
		pcv_ring_next(&rx, &msg);
		pcv_cpu_store_release(&credit, pcv_to_le32(rx.head));
		i++;
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
