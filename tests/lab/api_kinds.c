// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Shared receive queues, datagrams, completion queues that grow, and fork(). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "verbs_common.h"

/* Several queue pairs feed on one SRQ; its limit is reported once. */
static void shared_receive_queue(struct vc *vc)
{
	struct ibv_srq_init_attr init = {
		.attr = { .max_wr = 64, .max_sge = 1 },
	};
	struct ibv_srq_attr attr = { .srq_limit = 20 };
	struct ibv_pd *pd = ibv_alloc_pd(vc->ctx);
	struct ibv_async_event event;
	struct vc_opts o = { 0 };
	struct ibv_wc wc;
	struct vc_end e[3];
	uint32_t taken = 0;
	int i;

	o.srq = ibv_create_srq(pd, &init);
	if (!o.srq)
		vc_die(vc, "create_srq: %m");
	for (i = 0; i < 3; i++)
		vc_open(vc, &e[i], &o);
	if (!vc->a) {
		for (i = 0; i < 30; i++)
			vc_expect(vc, !vc_recv(&e[0], i, i * 1024, 1024), "rv");
		vc_expect(vc, !ibv_modify_srq(o.srq, &attr, IBV_SRQ_LIMIT),
			  "modify_srq");
		vc_expect(vc, !ibv_query_srq(o.srq, &attr) &&
			  attr.srq_limit == 20 && attr.max_wr >= 64,
			  "query_srq: limit %u, size %u", attr.srq_limit,
			  attr.max_wr);
	}
	vc_meet(vc);
	for (i = 0; vc->a && i < 30; i++) {
		vc_fill(e[i % 3].buf, 1000, i);
		vc_send(&e[i % 3], i, IBV_WR_SEND, 0, 1000, 0);
		vc_done(vc, e[i % 3].scq, i, IBV_WC_SUCCESS);
	}
	for (i = 0; !vc->a && i < 30; i++) {
		vc_next(vc, e[i % 3].rcq, &wc);
		/*
		 * Any of them, once: which queue pair takes the next one first is nobody's
		 * promise (a kernel when a message comes, a process when it polls).
		 */
		if (!vc_expect(vc, !wc.status && wc.wr_id < 30 && !(taken >> wc.wr_id & 1),
			       "message %d in receive %d: %s", i, (int)wc.wr_id,
			       ibv_wc_status_str(wc.status)))
			continue;
		taken |= 1u << wc.wr_id;
		/* All buffers are registered by e[0], whose SRQ this is. */
		vc_check(vc, e[0].buf + wc.wr_id * 1024, 1000, i, "message");
	}
	if (!vc->a) {
		if (!vc_readable(vc->ctx->async_fd, 10000 * vc_slow()))
			vc_die(vc, "no SRQ limit event");
		vc_expect(vc, !ibv_get_async_event(vc->ctx, &event) &&
			  event.event_type == IBV_EVENT_SRQ_LIMIT_REACHED &&
			  event.element.srq == o.srq, "SRQ limit event");
		ibv_ack_async_event(&event);
		vc_expect(vc, !vc_readable(vc->ctx->async_fd, 0),
			  "more than one event");
	}
	for (i = 0; i < 3; i++)
		vc_close(&e[i]);
	vc_expect(vc, !ibv_destroy_srq(o.srq), "destroy_srq");
	vc_expect(vc, !ibv_dealloc_pd(pd), "dealloc_pd");
}

static unsigned long counter(struct vc *vc, const char *name)
{
	unsigned long n;
	char path[200];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/hw_counters/%s",
		 ibv_get_device_name(vc->ctx->device), name);
	f = fopen(path, "r");
	if (!f)
		return ~0ul;
	if (fscanf(f, "%lu", &n) != 1)
		n = 0;
	fclose(f);
	return n;
}

#define HUNGRY 4
#define HUNGRY_ROUNDS 8

/*
 * Messages that find a shared queue empty are sent again when something is
 * posted there, long before their timers run out: after 655 ms.
 */
static void hungry(struct vc *vc)
{
	struct ibv_srq_init_attr init = { .attr = { .max_wr = 16, .max_sge = 1 } };
	/* Not 7: through the kernels. */
	struct vc_opts o = { .rnr_timer = -1, .rnr_retry = 6 };
	struct ibv_pd *pd = ibv_alloc_pd(vc->ctx);
	uint64_t end, start, waited = 0;
	unsigned long before = 0;
	struct vc_end e[HUNGRY];
	struct ibv_wc wc;
	int i, round;

	o.srq = ibv_create_srq(pd, &init);
	o.cq = ibv_create_cq(vc->ctx, 64, NULL, NULL, 0);
	if (!o.srq || !o.cq)
		vc_die(vc, "create_srq, create_cq: %m");
	for (i = 0; i < HUNGRY; i++)
		vc_open(vc, &e[i], &o);
	for (round = 0; round < HUNGRY_ROUNDS; round++) {
		before = counter(vc, "tx_rnr");
		vc_meet(vc);
		for (i = 0; vc->a && i < HUNGRY; i++) {
			vc_fill(e[i].buf, 1000, round);
			vc_expect(vc, !vc_send(&e[i], i, IBV_WR_SEND, 0, 1000, 0), "post_send");
		}
		end = vc_now_ms() + 10000 * vc_slow();
		/* Another device may not count; it has a while, then. */
		if (!vc->a && before == ~0ul)
			usleep(50000);
		while (!vc->a && before != ~0ul && counter(vc, "tx_rnr") < before + HUNGRY)
			if (vc_now_ms() > end)
				vc_die(vc, "nobody was put off");
		start = vc_now_ms();
		for (i = 0; i < HUNGRY; i++) {
			if (!vc->a)
				vc_expect(vc, !vc_recv(&e[0], i, i * 1000, 1000), "post_recv");
			vc_next(vc, o.cq, &wc);
			vc_expect(vc, wc.status == IBV_WC_SUCCESS, "%s",
				  ibv_wc_status_str(wc.status));
			if (!vc->a)
				vc_check(vc, e[0].buf + wc.wr_id * 1000, 1000, round, "message");
		}
		waited += vc_now_ms() - start;
		vc_meet(vc);
	}
	if (!vc->a)
		vc_expect(vc, waited < HUNGRY_ROUNDS * 655 / 3 * (uint64_t)vc_slow(),
			  "%d ms, as if timers had run out", (int)waited);
	for (i = 0; i < HUNGRY; i++)
		vc_close(&e[i]);
	vc_expect(vc, !ibv_destroy_cq(o.cq), "destroy_cq");
	vc_expect(vc, !ibv_destroy_srq(o.srq), "destroy_srq");
	vc_expect(vc, !ibv_dealloc_pd(pd), "dealloc_pd");
}

/* A datagram's GRH names both ends; its completion leads back to A. */
static void ud_header(struct vc *vc)
{
	struct vc_opts o = { .type = IBV_QPT_UD };
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct ibv_wc wc;
	struct ibv_ah *ah;
	struct vc_end e;

	vc_open(vc, &e, &o);
	memset(e.buf, 0, VC_GRH);
	vc_expect(vc, !vc_recv(&e, 1, 0, 4096), "post_recv");
	vc_meet(vc);
	if (vc->a) {
		vc_fill(e.buf + 8192, 1000, 1);
		vc_send(&e, 2, IBV_WR_SEND, 8192, 1000, 0);
		vc_done(vc, e.scq, 2, IBV_WC_SUCCESS);
	}
	vc_next(vc, e.rcq, &wc);
	vc_expect(vc, !wc.status && (wc.wc_flags & IBV_WC_GRH) &&
		  wc.byte_len == 1000 + VC_GRH && wc.src_qp == e.peer.qpn,
		  "completion: %s, %u bytes from %#x",
		  ibv_wc_status_str(wc.status), wc.byte_len, wc.src_qp);
	vc_check(vc, e.buf + VC_GRH, 1000, vc->a ? 2 : 1, "datagram");
	/* An IPv4-mapped GID: an IPv4 header in the last 20 bytes. */
	vc_expect(vc, e.buf[20] == 0x45, "IP version and length: %02x",
		  e.buf[20]);
	vc_expect(vc, !memcmp(e.buf + 32, e.peer.gid.raw + 12, 4), "source");
	vc_expect(vc, !memcmp(e.buf + 36, vc->gid.raw + 12, 4), "destination");
	if (!vc->a) {
		ah = ibv_create_ah_from_wc(e.pd, &wc, (struct ibv_grh *)e.buf,
					   1);
		vc_expect(vc, ah, "create_ah_from_wc: %m");
		if (!ah)
			vc_die(vc, "no way back to A");
		vc_fill(e.buf + 8192, 1000, 2);
		vc_wr(&e, &wr, &sge, 3, IBV_WR_SEND, 8192, 1000, 0);
		wr.wr.ud.ah = ah;
		wr.wr.ud.remote_qpn = wc.src_qp;
		vc_expect(vc, !vc_post(&e, &wr), "post_send");
		vc_done(vc, e.scq, 3, IBV_WC_SUCCESS);
		vc_expect(vc, !ibv_destroy_ah(ah), "destroy_ah");
	}
	vc_close(&e);
}

/* The largest datagram passes; one byte more is refused or ends in error. */
static void ud_sizes(struct vc *vc)
{
	size_t mtu = 128u << vc->port.active_mtu, i;
	struct vc_opts o = { .type = IBV_QPT_UD };
	const size_t sizes[] = { 0, 1, 63, 64, 1024, mtu - 1, mtu };
	struct ibv_wc wc;
	struct vc_end e;

	vc_open(vc, &e, &o);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		vc_expect(vc, !vc_recv(&e, i, 0, mtu + VC_GRH), "post_recv");
		vc_fill(e.buf + 16384, sizes[i], i + vc->a);
		vc_meet(vc);
		vc_send(&e, i, IBV_WR_SEND, 16384, sizes[i], 0);
		vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
		vc_next(vc, e.rcq, &wc);
		vc_expect(vc, !wc.status && wc.byte_len == sizes[i] + VC_GRH,
			  "%zu: received %u", sizes[i], wc.byte_len);
		vc_check(vc, e.buf + VC_GRH, sizes[i], i + !vc->a, "datagram");
	}
	if (!vc_send(&e, 9, IBV_WR_SEND, 0, mtu + 1, 0)) {
		vc_next(vc, e.scq, &wc);
		vc_expect(vc, wc.status == IBV_WC_LOC_LEN_ERR,
			  "datagram above the MTU: %s",
			  ibv_wc_status_str(wc.status));
	}
	vc_close(&e);
}

/* Resized with completions in it, or said to be unsupported. */
static void cq_resize(struct vc *vc)
{
	struct vc_end e;
	int i, err;

	vc_open(vc, &e, NULL);
	for (i = 0; i < 20; i++)
		vc_send(&e, i, IBV_WR_RDMA_WRITE, 0, 8, 8);
	for (i = 0; i < 10; i++)
		vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
	err = ibv_resize_cq(e.scq, 500);
	vc_expect(vc, !err || err == EOPNOTSUPP, "resize_cq: %s",
		  strerror(err));
	if (!err)
		vc_expect(vc, e.scq->cqe >= 500, "size %d", e.scq->cqe);
	for (; i < 20; i++)
		vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
	vc_close(&e);
}

/* A child, gone at once, takes nothing of its parent's with it. */
static void fork_and_go_on(struct vc *vc)
{
	struct vc_end e;
	int status = -1;
	pid_t child;

	vc_open(vc, &e, NULL);
	child = fork();
	if (!child)
		_exit(0);
	vc_expect(vc, waitpid(child, &status, 0) == child && !status, "child");
	vc_expect(vc, !vc_recv(&e, 1, 0, 4096), "post_recv");
	vc_fill(e.buf + 8192, 4096, 11);
	vc_meet(vc);
	vc_send(&e, 2, IBV_WR_SEND, 8192, 4096, 0);
	vc_done(vc, e.scq, 2, IBV_WC_SUCCESS);
	vc_done(vc, e.rcq, 1, IBV_WC_SUCCESS);
	vc_check(vc, e.buf, 4096, 11, "message after fork");
	vc_close(&e);
}

#define T(f) { #f, f }

static const struct vc_test tests[] = {
	T(shared_receive_queue), T(hungry), T(ud_header), T(ud_sizes), T(cq_resize),
	T(fork_and_go_on), { NULL, NULL },
};

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, NULL, NULL, NULL);
}
