// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What work requests can say: lists, inline, immediate data, order, fences; queue pair states. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verbs_common.h"

#define SGES 16

/* Odd pieces out of one buffer, into odd pieces of the other. */
static void gather_scatter(struct vc *vc)
{
	struct vc_opts o = { .sge = SGES };
	struct ibv_sge out[SGES], in[SGES];
	struct ibv_recv_wr rwr = { .wr_id = 1, .sg_list = in,
				   .num_sge = SGES }, *rbad;
	struct ibv_send_wr wr;
	unsigned char *flat;
	size_t total = 0, at = 0;
	struct vc_end e;
	int i;

	vc_open(vc, &e, &o);
	flat = vc_alloc(vc, 65536);
	for (i = 0; i < SGES; i++) {
		in[i].addr = (uintptr_t)e.buf + i * 2000;
		in[i].length = i == 3 ? 0 : 100 + (SGES - i) * 17;
		in[i].lkey = e.mr->lkey;
		total += in[i].length;
	}
	vc_expect(vc, !ibv_post_recv(e.qp, &rwr, &rbad), "post_recv");
	vc_fill(flat, total, 9 + vc->a);
	vc_wr(&e, &wr, out, 2, IBV_WR_SEND, 0, 0, 0);
	wr.num_sge = SGES;
	for (i = 0; i < SGES; i++) {
		out[i].addr = (uintptr_t)e.buf + 33000 + i * 1001;
		out[i].length = i == SGES - 1 ? total - at : 40u + i * 13;
		out[i].lkey = e.mr->lkey;
		memcpy((void *)(uintptr_t)out[i].addr, flat + at,
		       out[i].length);
		at += out[i].length;
	}
	vc_meet(vc);
	vc_expect(vc, !vc_post(&e, &wr), "post_send");
	vc_done(vc, e.scq, 2, IBV_WC_SUCCESS);
	vc_done(vc, e.rcq, 1, IBV_WC_SUCCESS);
	for (i = 0, at = 0; i < SGES; at += in[i++].length)
		memcpy(flat + at, (void *)(uintptr_t)in[i].addr, in[i].length);
	vc_check(vc, flat, total, 9 + !vc->a, "gathered and scattered");
	free(flat);
	vc_close(&e);
}

/* The source may change, and need no key, as soon as post_send returns. */
static void inline_data(struct vc *vc)
{
	struct vc_opts o = { .inline_bytes = 128, .sge = 4 };
	struct ibv_send_wr wr;
	struct ibv_sge sge[4];
	unsigned char mine[128];
	struct vc_end e;
	int i;

	vc_open(vc, &e, &o);
	for (i = 0; i < 16; i++)
		vc_expect(vc, !vc_recv(&e, i, i * 128, 128), "post_recv");
	vc_meet(vc);
	for (i = 0; i < 16; i++) {
		size_t len = i < 8 ? 128 : i * 7;

		vc_fill(mine, len, i * 2 + vc->a);
		vc_wr(&e, &wr, sge, i, IBV_WR_SEND, 0, len, 0);
		sge[0] = (struct ibv_sge){ (uintptr_t)mine, len / 2, 0 };
		sge[1] = (struct ibv_sge){ (uintptr_t)mine + len / 2,
					   len - len / 2, 0 };
		wr.num_sge = 2;
		wr.send_flags |= IBV_SEND_INLINE;
		vc_expect(vc, !vc_post(&e, &wr), "post_send inline");
		memset(mine, 0xdd, sizeof(mine));
	}
	for (i = 0; i < 16; i++) {
		vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
		vc_done(vc, e.rcq, i, IBV_WC_SUCCESS);
		vc_check(vc, e.buf + i * 128, i < 8 ? 128 : i * 7,
			 i * 2 + !vc->a, "inline");
	}
	vc_close(&e);
}

static void immediate(struct vc *vc)
{
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct ibv_wc wc;
	struct vc_end e;

	vc_open(vc, &e, NULL);
	vc_expect(vc, !vc_recv(&e, 1, 0, 100), "post_recv");
	vc_expect(vc, !vc_recv(&e, 2, 0, 0), "post_recv");
	vc_meet(vc);
	vc_fill(e.buf + 8192, 4000, 5);
	vc_wr(&e, &wr, &sge, 3, IBV_WR_SEND_WITH_IMM, 8192, 60, 0);
	wr.imm_data = htonl(0xdeadbeef);
	vc_expect(vc, !vc_post(&e, &wr), "post_send");
	vc_wr(&e, &wr, &sge, 4, IBV_WR_RDMA_WRITE_WITH_IMM, 8192, 4000, 20001);
	wr.imm_data = htonl(0x01020304);
	vc_expect(vc, !vc_post(&e, &wr), "post_send");
	vc_done(vc, e.scq, 3, IBV_WC_SUCCESS);
	vc_done(vc, e.scq, 4, IBV_WC_SUCCESS);
	vc_next(vc, e.rcq, &wc);
	vc_expect(vc, wc.wr_id == 1 && wc.opcode == IBV_WC_RECV &&
		  (wc.wc_flags & IBV_WC_WITH_IMM) && wc.byte_len == 60 &&
		  ntohl(wc.imm_data) == 0xdeadbeef, "SEND with immediate");
	vc_check(vc, e.buf, 60, 5, "SEND with immediate");
	vc_next(vc, e.rcq, &wc);
	vc_expect(vc, wc.wr_id == 2 &&
		  wc.opcode == IBV_WC_RECV_RDMA_WITH_IMM &&
		  (wc.wc_flags & IBV_WC_WITH_IMM) && wc.byte_len == 4000 &&
		  ntohl(wc.imm_data) == 0x01020304, "WRITE with immediate");
	vc_check(vc, e.buf + 20001, 4000, 5, "WRITE with immediate");
	vc_close(&e);
}

/* A writes, reads back, adds, swaps and reads again, all posted at once. A
 * read that must see an atomic's result comes behind it on the same queue.
 */
static void mixed_order(struct vc *vc)
{
	static const enum ibv_wr_opcode ops[] = {
		IBV_WR_RDMA_WRITE, IBV_WR_ATOMIC_FETCH_AND_ADD,
		IBV_WR_RDMA_READ, IBV_WR_ATOMIC_CMP_AND_SWP, IBV_WR_RDMA_READ,
	};
	static const enum ibv_wc_opcode done[] = {
		IBV_WC_RDMA_WRITE, IBV_WC_FETCH_ADD, IBV_WC_RDMA_READ,
		IBV_WC_COMP_SWAP, IBV_WC_RDMA_READ,
	};
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct vc_end e;
	uint64_t *w, round;
	struct ibv_wc wc;
	int i;

	vc_open(vc, &e, NULL);
	w = (uint64_t *)e.buf;
	for (round = 1; vc->a && round <= 50; round++) {
		uint64_t v = round << 33 | round;

		memset(w, 0, 64);
		w[0] = v;
		for (i = 0; i < 5; i++) {
			vc_wr(&e, &wr, &sge, i, ops[i], i * 8, 8, 64);
			if (ops[i] == IBV_WR_ATOMIC_FETCH_AND_ADD) {
				wr.wr.atomic.compare_add = 7;
			} else if (ops[i] == IBV_WR_ATOMIC_CMP_AND_SWP) {
				/* Every other swap must not happen. */
				wr.wr.atomic.compare_add = v + 7 + round % 2;
				wr.wr.atomic.swap = ~v;
			}
			vc_expect(vc, !vc_post(&e, &wr), "post_send %d", i);
		}
		for (i = 0; i < 5; i++) {
			vc_next(vc, e.scq, &wc);
			vc_expect(vc, wc.wr_id == (uint64_t)i && !wc.status &&
				  wc.opcode == done[i], "completion %d: %s", i,
				  ibv_wc_status_str(wc.status));
		}
		vc_expect(vc, w[1] == v && w[2] == v + 7 && w[3] == v + 7 &&
			  w[4] == (round % 2 ? v + 7 : ~v),
			  "round %d: %#lx %#lx %#lx %#lx", (int)round, w[1],
			  w[2], w[3], w[4]);
	}
	vc_close(&e);
}

/* READ into a buffer, then with a fence SEND that buffer away. */
static void fence(struct vc *vc)
{
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct vc_end e;
	int i;

	vc_open(vc, &e, NULL);
	for (i = 0; i < 20; i++) {
		if (!vc->a) {
			vc_fill(e.buf, 20000, i);
			vc_expect(vc, !vc_recv(&e, i, 32768, 20000), "recv");
		}
		vc_meet(vc);
		if (vc->a) {
			vc_send(&e, 1, IBV_WR_RDMA_READ, 0, 20000, 0);
			vc_wr(&e, &wr, &sge, 2, IBV_WR_SEND, 0, 20000, 0);
			wr.send_flags |= IBV_SEND_FENCE;
			vc_expect(vc, !vc_post(&e, &wr), "post_send fenced");
			vc_done(vc, e.scq, 1, IBV_WC_SUCCESS);
			vc_done(vc, e.scq, 2, IBV_WC_SUCCESS);
		} else {
			vc_done(vc, e.rcq, i, IBV_WC_SUCCESS);
			vc_check(vc, e.buf + 32768, 20000, i, "fenced send");
		}
		vc_meet(vc);
	}
	vc_close(&e);
}

static void unsignaled(struct vc *vc)
{
	struct vc_opts o = { .depth = 32, .unsignaled = true };
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct vc_end e;
	int i, lap;

	vc_open(vc, &e, &o);
	for (lap = 0; lap < 8; lap++) {
		for (i = 0; i < 32; i++) {
			vc_wr(&e, &wr, &sge, i, IBV_WR_RDMA_WRITE, i * 8, 8,
			      8192 + i * 8);
			wr.send_flags = i == 31 ? IBV_SEND_SIGNALED : 0;
			vc_expect(vc, !vc_post(&e, &wr), "post_send %d.%d",
				  lap, i);
		}
		vc_done(vc, e.scq, 31, IBV_WC_SUCCESS);
		vc_idle(vc, e.scq);
	}
	vc_close(&e);
}

/* The same queue pair, through RESET, connected anew: nothing old shows. */
static void reuse_by_reset(struct vc *vc)
{
	struct vc_end e;
	int i;

	vc_open(vc, &e, NULL);
	for (i = 0; i < 10; i++) {
		vc_expect(vc, !vc_recv(&e, i, 0, 4096), "post_recv");
		vc_expect(vc, !vc_recv(&e, 1000, 0, 4096), "post_recv");
		vc_fill(e.buf + 8192, 3000, i);
		vc_meet(vc);
		vc_send(&e, i, IBV_WR_SEND, 8192, 3000, 0);
		vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
		vc_done(vc, e.rcq, i, IBV_WC_SUCCESS);
		vc_check(vc, e.buf, 3000, i, "message");
		vc_meet(vc);
		vc_to(&e, IBV_QPS_RESET);
		vc_expect(vc, vc_state(&e) == IBV_QPS_RESET, "state");
		vc_idle(vc, e.rcq);
		vc_idle(vc, e.scq);
		vc_meet(vc);
		vc_to_init(&e);
		vc_to_rtr(&e);
		vc_to_rts(&e);
		vc_meet(vc);
	}
	vc_close(&e);
}

/*
 * A sends from a PSN that B does not expect, close to it or not: nothing is
 * executed, not even when A's numbers come to where B's begin. With the right
 * one it is.
 */
static void wrong_psn(struct vc *vc)
{
	static const int off[] = { 1, -1, -3, 0x800000, 0 };
	struct vc_end e;
	struct ibv_wc wc;
	size_t i, k;

	vc_make(vc, &e, NULL);
	vc_exchange(&e);
	e.me.psn = vc->a ? 100 : 200;
	e.peer.psn = vc->a ? 200 : 100;
	for (i = 0; i < ARRAY_SIZE(off); i++) {
		e.me.psn = vc->a ? (100 + off[i]) & 0xffffff : 200;
		vc_to_init(&e);
		for (k = 0; !vc->a && k < 6; k++)
			vc_expect(vc, !vc_recv(&e, k, 0, 4096), "post_recv");
		vc_to_rtr(&e);
		vc_to_rts(&e);
		vc_meet(vc);
		for (k = 0; vc->a && k < 6; k++)
			vc_expect(vc, !vc_send(&e, k, IBV_WR_SEND, 8192, 8, 0), "post_send");
		for (k = 0; vc->a && k < 6; k++) {
			vc_next(vc, e.scq, &wc);
			vc_expect(vc, wc.wr_id == k && wc.status == (!off[i] ? IBV_WC_SUCCESS :
				  k ? IBV_WC_WR_FLUSH_ERR : IBV_WC_RETRY_EXC_ERR),
				  "PSN off by %d: send %zu: %s", off[i], k,
				  ibv_wc_status_str(wc.status));
		}
		for (k = 0; !vc->a && !off[i] && k < 6; k++)
			vc_done(vc, e.rcq, k, IBV_WC_SUCCESS);
		vc_meet(vc);
		vc_idle(vc, e.rcq);
		vc_to(&e, IBV_QPS_RESET);
		vc_meet(vc);
	}
	vc_close(&e);
}

static void query_qp(struct vc *vc)
{
	struct vc_opts o = { .depth = 40, .sge = 3, .inline_bytes = 50 };
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	struct vc_end e;

	vc_open(vc, &e, &o);
	vc_expect(vc, !ibv_query_qp(e.qp, &attr, (IBV_QP_DEST_QPN << 1) - 1, &init),
		  "query_qp");
	vc_expect(vc, attr.qp_state == IBV_QPS_RTS, "state %d", attr.qp_state);
	vc_expect(vc, attr.dest_qp_num == e.peer.qpn, "dest_qp_num");
	vc_expect(vc, attr.rq_psn == e.peer.psn, "rq_psn %#x, not %#x",
		  attr.rq_psn, e.peer.psn);
	vc_expect(vc, attr.path_mtu == vc->port.active_mtu, "path_mtu");
	vc_expect(vc, attr.qp_access_flags == (unsigned int)e.o.qp_access,
		  "access %#x", attr.qp_access_flags);
	vc_expect(vc, attr.timeout == 14 && attr.retry_cnt == 7 &&
		  attr.rnr_retry == 7 && attr.min_rnr_timer == 12, "timers");
	vc_expect(vc, !memcmp(&attr.ah_attr.grh.dgid, &e.peer.gid, 16), "dgid");
	vc_expect(vc, init.cap.max_send_wr >= 40 && init.cap.max_recv_wr >= 40 &&
		  init.cap.max_send_sge >= 3 && init.cap.max_recv_sge >= 3 &&
		  init.cap.max_inline_data >= 50, "capabilities");
	/* qperf asks with no bits at all, to learn the inline size. */
	vc_expect(vc, !ibv_query_qp(e.qp, &attr, 0, &init) &&
		  init.cap.max_inline_data >= 50, "query with mask 0");
	vc_close(&e);
}

#define DRAIN_FIRST 8
#define DRAIN_LATER 3
#define DRAIN_WRITTEN 61440		/* where the WRITE goes */

/* Into SQD, until it is said that all that was begun has ended. */
static void drain(struct vc_end *e)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_SQD, .en_sqd_async_notify = 1 };
	struct ibv_qp_init_attr init;
	struct ibv_async_event event;
	struct vc *vc = e->vc;

	vc_expect(vc, !ibv_modify_qp(e->qp, &attr, IBV_QP_STATE | IBV_QP_EN_SQD_ASYNC_NOTIFY),
		  "to SQD: %m");
	if (!vc_readable(vc->ctx->async_fd, 10000 * vc_slow()))
		vc_die(vc, "no event that the send queue is drained");
	vc_expect(vc, !ibv_get_async_event(vc->ctx, &event) &&
		  event.event_type == IBV_EVENT_SQ_DRAINED && event.element.qp == e->qp,
		  "event %s", ibv_event_type_str(event.event_type));
	ibv_ack_async_event(&event);
	vc_expect(vc, !ibv_query_qp(e->qp, &attr, IBV_QP_STATE, &init) &&
		  attr.qp_state == IBV_QPS_SQD && !attr.sq_draining, "drained: state %d, %d",
		  attr.qp_state, attr.sq_draining);
}

/*
 * A sends, drains, and sends more. What was begun has ended, nothing of the rest is seen
 * anywhere, B's message is received all the same, and back in RTS everything goes on.
 */
static void drained_a(struct vc_end *e)
{
	struct vc *vc = e->vc;
	int ended = 0, i;
	struct ibv_wc wc;

	for (i = 0; i < DRAIN_FIRST + DRAIN_LATER; i++)
		vc_fill(e->buf + 32768 + i * 1024, 1000, i);
	for (i = 0; i < DRAIN_FIRST; i++)
		vc_expect(vc, !vc_send(e, i, IBV_WR_SEND, 32768 + i * 1024, 1000, 0), "post_send");
	drain(e);
	while (ibv_poll_cq(e->scq, 1, &wc)) {
		vc_expect(vc, !wc.status && wc.wr_id == (uint64_t)ended, "%llu of %d ended: %s",
			  (unsigned long long)wc.wr_id, ended, ibv_wc_status_str(wc.status));
		ended++;
	}
	for (; i < DRAIN_FIRST + DRAIN_LATER; i++)
		vc_expect(vc, !vc_send(e, i, IBV_WR_SEND, 32768 + i * 1024, 1000, 0),
			  "SEND posted in SQD");
	vc_expect(vc, !vc_send(e, 100, IBV_WR_RDMA_WRITE, 32768, 1000, DRAIN_WRITTEN),
		  "RDMA WRITE posted in SQD");
	usleep(200000 * vc_slow());
	vc_idle(vc, e->scq);
	vc_swap(vc, &ended, &i, sizeof(ended));
	vc_done(vc, e->rcq, 0, IBV_WC_SUCCESS);
	vc_check(vc, e->buf, 1000, 77, "B's message");
	vc_idle(vc, e->scq);
	vc_meet(vc);
	/* From SQD to RTS nothing else is asked for. */
	vc_to(e, IBV_QPS_RTS);
	for (i = ended; i < DRAIN_FIRST + DRAIN_LATER; i++)
		vc_done(vc, e->scq, i, IBV_WC_SUCCESS);
	vc_done(vc, e->scq, 100, IBV_WC_SUCCESS);
	vc_meet(vc);
}

static void drained_b(struct vc_end *e)
{
	struct vc *vc = e->vc;
	int ended, mine = 0, i;

	vc_swap(vc, &mine, &ended, sizeof(ended));
	for (i = 0; i < DRAIN_FIRST + DRAIN_LATER; i++) {
		if (i == ended) {
			vc_idle(vc, e->rcq);
			for (mine = 0; mine < 1000 && !e->buf[DRAIN_WRITTEN + mine]; mine++)
				;
			vc_expect(vc, mine == 1000, "written to by a queue pair in SQD");
			vc_fill(e->buf + 32768, 1000, 77);
			vc_send(e, 5, IBV_WR_SEND, 32768, 1000, 0);
			vc_done(vc, e->scq, 5, IBV_WC_SUCCESS);
			vc_meet(vc);
		}
		vc_done(vc, e->rcq, i, IBV_WC_SUCCESS);
		vc_check(vc, e->buf + i * 1024, 1000, i, "message");
	}
	vc_meet(vc);
	vc_check(vc, e->buf + DRAIN_WRITTEN, 1000, 0, "WRITE");
}

/* SQD, with fast rings and (RNR retries that are counted) without. */
static void send_queue_drained(struct vc *vc)
{
	struct vc_end e;
	int retries, i;

	for (retries = 7; retries > 5; retries--) {
		struct vc_opts o = { .rnr_retry = retries };

		vc_open(vc, &e, &o);
		/* So that both know by which way they can send. */
		for (i = 0; i < 4; i++) {
			vc_expect(vc, !vc_recv(&e, i, 0, 1024), "post_recv");
			vc_meet(vc);
			vc_send(&e, i, IBV_WR_SEND, 32768, 1000, 0);
			vc_done(vc, e.rcq, i, IBV_WC_SUCCESS);
			vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
		}
		memset(e.buf, 0, 65536);
		for (i = 0; i < DRAIN_FIRST + DRAIN_LATER; i++)
			vc_expect(vc, !vc_recv(&e, i, i * 1024, 1024), "post_recv");
		vc_meet(vc);
		(vc->a ? drained_a : drained_b)(&e);
		vc_close(&e);
	}
}

#define QPS 24

/* Many queue pairs on one CQ: each message is where its qp_num says. */
static void many_qps_one_cq(struct vc *vc)
{
	struct ibv_cq *cq = ibv_create_cq(vc->ctx, QPS * 16, NULL, NULL, 0);
	struct vc_opts o = { .depth = 8, .cq = cq };
	struct vc_end e[QPS];
	int i, k, got = 0, sent = 0, count[QPS] = { 0 };
	struct ibv_wc wc;

	if (!cq)
		vc_die(vc, "create_cq: %m");
	for (i = 0; i < QPS; i++) {
		vc_open(vc, &e[i], &o);
		for (k = 0; k < 4; k++)
			vc_expect(vc, !vc_recv(&e[i], k, k * 1024, 1024), "rv");
	}
	vc_meet(vc);
	for (k = 0; k < 4; k++) {
		for (i = 0; i < QPS; i++) {
			size_t at = 8192 + k * 1024;

			vc_fill(e[i].buf + at, 1000, i * 100 + k + vc->a * 7);
			vc_expect(vc, !vc_send(&e[i], 100 + k, IBV_WR_SEND, at,
					       1000, 0), "post_send");
		}
	}
	while (got + sent < 2 * QPS * 4) {
		vc_next(vc, cq, &wc);
		for (i = 0; i < QPS && e[i].qp->qp_num != wc.qp_num;)
			i++;
		if (!vc_expect(vc, i < QPS && !wc.status, "qp %#x: %s",
			       wc.qp_num, ibv_wc_status_str(wc.status)))
			break;
		if (wc.opcode == IBV_WC_SEND) {
			sent++;
			continue;
		}
		got++;
		k = count[i]++;
		vc_expect(vc, wc.wr_id == (uint64_t)k, "order on a QP");
		vc_check(vc, e[i].buf + k * 1024, 1000,
			 i * 100 + k + !vc->a * 7, "message of a QP");
	}
	for (i = 0; i < QPS; i++)
		vc_close(&e[i]);
	vc_expect(vc, !ibv_destroy_cq(cq), "destroy_cq");
}

/* Every length round the edges of whatever segments there are. */
static void lengths(struct vc *vc)
{
	static const size_t edge[] = { 1, 8, 48, 56, 64, 112, 256, 1024, 2048,
				       4096, 8192, 65536, 262144, 1048576 };
	struct vc_opts o = { .len = 5 << 20 };
	struct vc_end e;
	struct ibv_wc wc;
	size_t i, len;
	int d;

	vc_open(vc, &e, &o);
	for (i = 0; i < ARRAY_SIZE(edge); i++) {
		for (d = -1; d <= 1; d++) {
			len = edge[i] + d;
			vc_expect(vc, !vc_recv(&e, 1, 1, len), "post_recv");
			e.buf[1 + len] = 0x99;
			vc_fill(e.buf + (2 << 20) + 3, len, len + vc->a);
			vc_meet(vc);
			vc_send(&e, 2, IBV_WR_SEND, (2 << 20) + 3, len, 0);
			vc_done(vc, e.scq, 2, IBV_WC_SUCCESS);
			vc_next(vc, e.rcq, &wc);
			vc_expect(vc, !wc.status && wc.byte_len == len,
				  "%zu bytes: %u received, %s", len,
				  wc.byte_len, ibv_wc_status_str(wc.status));
			vc_check(vc, e.buf + 1, len, len + !vc->a, "SEND");
			vc_expect(vc, e.buf[1 + len] == 0x99, "byte behind");
			vc_meet(vc);
			vc_send(&e, 3, IBV_WR_RDMA_READ, 1, len, (2 << 20) + 3);
			vc_done(vc, e.scq, 3, IBV_WC_SUCCESS);
			vc_check(vc, e.buf + 1, len, len + !vc->a, "READ");
			vc_expect(vc, e.buf[1 + len] == 0x99, "byte behind");
			vc_meet(vc);
			vc_send(&e, 4, IBV_WR_RDMA_WRITE, (2 << 20) + 3, len,
				(3 << 20) + 4097);
			vc_done(vc, e.scq, 4, IBV_WC_SUCCESS);
			vc_meet(vc);
			vc_check(vc, e.buf + (3 << 20) + 4097, len,
				 len + !vc->a, "WRITE");
		}
	}
	vc_close(&e);
}

#define T(f) { #f, f }

static const struct vc_test tests[] = {
	T(gather_scatter), T(inline_data), T(immediate), T(mixed_order),
	T(fence), T(unsignaled), T(reuse_by_reset), T(wrong_psn), T(query_qp),
	T(send_queue_drained), T(many_qps_one_cq), T(lengths), { NULL, NULL },
};

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, NULL, NULL, NULL);
}
