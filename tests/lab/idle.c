// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Connected queue pairs that send nothing: says their numbers, on this side
 * and on the other, and the PSN that is expected there, and waits until each
 * has ended with an error, on both.
 */
#include <poll.h>
#include <stdio.h>

#include "verbs_common.h"

#define COUNT 8

static void ends(struct vc_end *e)
{
	struct pollfd p = { .fd = e->chan->fd, .events = POLLIN };

	if (poll(&p, 1, 60000 * vc_slow()) != 1)
		vc_die(e->vc, "queue pair %#x lives on", e->me.qpn);
}

static void idle(struct vc *vc)
{
	struct vc_opts o = { .events = true };
	struct vc_end end[COUNT];
	struct ibv_wc wc;
	int i;

	for (i = 0; i < COUNT; i++) {
		vc_open(vc, &end[i], &o);
		vc_expect(vc, !ibv_req_notify_cq(end[i].rcq, 0), "req_notify_cq");
		vc_expect(vc, !vc_recv(&end[i], i, 0, 4096), "post_recv");
		printf("idle %d %#x %#x %#x\n", i, end[i].me.qpn, end[i].peer.qpn,
		       end[i].peer.psn);
	}
	vc_meet(vc);
	fflush(stdout);
	for (i = 0; i < COUNT; i++) {
		ends(&end[i]);
		vc_next(vc, end[i].rcq, &wc);
		vc_expect(vc, wc.status != IBV_WC_SUCCESS, "queue pair %d: received something", i);
		vc_expect(vc, vc_state(&end[i]) == IBV_QPS_ERR, "queue pair %d: state", i);
	}
	for (i = 0; i < COUNT; i++)
		vc_close(&end[i]);
}

static const struct vc_test tests[] = {
	{ "idle", idle },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, NULL, NULL, NULL);
}
