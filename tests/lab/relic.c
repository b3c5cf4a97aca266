// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Memory and a queue pair whose partner's node dies, and what comes in its place.
 *
 *   relic --server hold        keeps them: prints `relic VA RKEY QPN` when there is
 *   relic --client ... hold    traffic, ends its work when the other node is gone, and
 *                              compares its memory once $RELIC_DIR/look is there
 *   relic --server attack      a newcomer, connected like anybody else, that knows the
 *   relic --client ... attack  old numbers (RELIC_VA, RELIC_RKEY, RELIC_QPN)
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verbs_common.h"

#define RECVS 32
#define BYTES 65536

static uint64_t number(const char *name)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : 0;
}

/* The one that will die with its node: sends until something breaks. */
static void send_for_ever(struct vc *vc, struct vc_end *e)
{
	struct ibv_wc wc;
	uint64_t n;

	for (n = 0;; n++) {
		if (vc_send(e, n, n % 4 ? IBV_WR_SEND : IBV_WR_RDMA_WRITE, 0, 2048, BYTES / 2))
			vc_die(vc, "post_send");
		vc_next(vc, e->scq, &wc);
		if (wc.status)
			vc_die(vc, "%s", ibv_wc_status_str(wc.status));
	}
}

/* Everything that is posted ends with an error. Return: how many receives did. */
static unsigned int wait_for_the_end(struct vc *vc, struct vc_end *e)
{
	unsigned int flushed = 0, count = 0;
	uint64_t sends = 0;
	struct ibv_wc wc;

	while (flushed < RECVS) {
		if (ibv_poll_cq(e->rcq, 1, &wc) == 1) {
			if (wc.status == IBV_WC_SUCCESS) {
				if (++count == 100) {
					printf("relic %llu %u %u\n",
					       (unsigned long long)(uintptr_t)e->buf, e->mr->rkey,
					       e->qp->qp_num);
					fflush(stdout);
				}
				vc_recv(e, wc.wr_id, 0, 2048);
				continue;
			}
			vc_expect(vc, wc.status == IBV_WC_WR_FLUSH_ERR, "receive: %s",
				  ibv_wc_status_str(wc.status));
			flushed++;
		}
		/* Something of its own is always under way, too. */
		if (sends < 8 && count > 10 && !flushed)
			vc_expect(vc, !vc_send(e, sends++, IBV_WR_RDMA_WRITE, 0, 64, 0), "post");
		if (ibv_poll_cq(e->scq, 1, &wc) == 1) {
			sends -= wc.status == IBV_WC_SUCCESS;
			vc_expect(vc, !wc.status || wc.status == IBV_WC_WR_FLUSH_ERR ||
				  wc.status == IBV_WC_RETRY_EXC_ERR, "send: %s",
				  ibv_wc_status_str(wc.status));
		}
		sched_yield();
	}
	return flushed;
}

static void hold(struct vc *vc)
{
	const char *dir = getenv("RELIC_DIR");
	struct vc_opts o = { .depth = 2 * RECVS, .len = BYTES };
	char look[200];
	struct vc_end e;
	int i;

	vc_open(vc, &e, &o);
	if (!vc->a)
		for (i = 0; i < RECVS; i++)
			vc_expect(vc, !vc_recv(&e, i, 0, 2048), "post_recv");
	vc_meet(vc);
	if (vc->a)
		send_for_ever(vc, &e);
	wait_for_the_end(vc, &e);
	vc_expect(vc, vc_state(&e) == IBV_QPS_ERR, "state %d", vc_state(&e));
	/* From here on it belongs to nobody else. */
	vc_fill(e.buf, BYTES, 4711);
	printf("lost\n");
	fflush(stdout);
	snprintf(look, sizeof(look), "%s/look", dir ? dir : "/tmp");
	while (access(look, F_OK))
		usleep(50000);
	vc_check(vc, e.buf, BYTES, 4711, "memory of a connection that is gone");
	vc_expect(vc, vc_state(&e) == IBV_QPS_ERR, "state %d", vc_state(&e));
	printf("relic: %u checks, %u failed\n", vc->steps, vc->failures);
	exit(vc->failures ? 1 : 0);
}

static void refused(struct vc *vc, enum ibv_wr_opcode op, uint32_t qpn,
		    enum ibv_wc_status status)
{
	struct vc_opts o = { .len = BYTES };
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct vc_end e;

	vc_make(vc, &e, &o);
	vc_exchange(&e);
	if (vc->a && qpn)
		e.peer.qpn = qpn;
	vc_to_init(&e);
	vc_to_rtr(&e);
	vc_to_rts(&e);
	vc_meet(vc);
	if (vc->a) {
		vc_wr(&e, &wr, &sge, 1, op, 0, 512, 0);
		if (op == IBV_WR_RDMA_WRITE) {
			wr.wr.rdma.remote_addr = number("RELIC_VA");
			wr.wr.rdma.rkey = number("RELIC_RKEY");
		}
		vc_expect(vc, !vc_post(&e, &wr), "post_send");
		vc_done(vc, e.scq, 1, status);
	}
	vc_close(&e);
}

static void attack(struct vc *vc)
{
	struct vc_opts o = { .len = BYTES };
	struct vc_end e;

	vc_open(vc, &e, &o);
	vc_expect(vc, !vc_recv(&e, 1, 0, 4096), "post_recv");
	vc_fill(e.buf + 4096, 3000, 5 + vc->a);
	vc_meet(vc);
	vc_expect(vc, !vc_send(&e, 2, IBV_WR_SEND, 4096, 3000, 0), "post_send");
	vc_done(vc, e.scq, 2, IBV_WC_SUCCESS);
	vc_done(vc, e.rcq, 1, IBV_WC_SUCCESS);
	vc_check(vc, e.buf, 3000, 5 + !vc->a, "message");
	vc_close(&e);

	/* The old key over a connection of one's own; the old queue pair, as if connected. */
	refused(vc, IBV_WR_RDMA_WRITE, 0, IBV_WC_REM_ACCESS_ERR);
	refused(vc, IBV_WR_RDMA_WRITE, number("RELIC_QPN"), IBV_WC_RETRY_EXC_ERR);
	refused(vc, IBV_WR_SEND, number("RELIC_QPN"), IBV_WC_RETRY_EXC_ERR);
}

static const struct vc_test tests[] = {
	{ "hold", hold },
	{ "attack", attack },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, NULL, NULL, NULL);
}
