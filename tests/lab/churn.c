// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Create, connect, transfer, destroy, CHURN_CYCLES times. Every eighth cycle
 * leaves work behind in the queues, every sixteenth leaves by way of ERR.
 */
#include <stdlib.h>

#include "verbs_common.h"

static void cycle(struct vc *vc, unsigned int n)
{
	struct vc_opts o = {
		.depth = 1 << (n % 8),
		.len = 4096 << (n % 5),
		.events = n % 2,
	};
	size_t len = 1 + n * 37 % 2000;
	struct vc_end e;

	vc_open(vc, &e, &o);
	vc_expect(vc, !vc_recv(&e, n, 0, 2048), "cycle %u: post_recv", n);
	vc_fill(e.buf + 2048, len, n * 2 + vc->a);
	vc_meet(vc);
	vc_expect(vc, !vc_send(&e, n + 1, IBV_WR_SEND, 2048, len, 0),
		  "cycle %u: post_send", n);
	vc_done(vc, e.scq, n + 1, IBV_WC_SUCCESS);
	vc_done(vc, e.rcq, n, IBV_WC_SUCCESS);
	vc_check(vc, e.buf, len, n * 2 + !vc->a, "message");
	vc_meet(vc);
	if (n % 8 == 7)
		vc_expect(vc, !vc_recv(&e, 5, 0, 64), "cycle %u: left", n);
	if (n % 16 == 15)
		vc_to(&e, IBV_QPS_ERR);
	vc_close(&e);
}

static void cycles(struct vc *vc)
{
	const char *count = getenv("CHURN_CYCLES");
	unsigned int n, total = count ? atoi(count) : 1000;
	unsigned int before = vc->failures;

	for (n = 0; n < total && vc->failures == before; n++)
		cycle(vc, n);
}

static const struct vc_test tests[] = {
	{ "cycles", cycles },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, NULL, NULL, NULL);
}
