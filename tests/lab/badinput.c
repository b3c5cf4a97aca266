// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Bad input gets the right status and hurts nobody else. A offends, B is the
 * victim; after every test another queue pair of the same two processes must
 * still carry data both ways.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs_common.h"

static struct vc_end bystander;
static unsigned int bystander_round;

static void bystander_setup(struct vc *vc)
{
	vc_open(vc, &bystander, NULL);
}

static void bystander_teardown(struct vc *vc)
{
	(void)vc;
	vc_close(&bystander);
}

static void bystander_works(struct vc *vc)
{
	struct vc_end *e = &bystander;
	uint64_t seed = ++bystander_round * 2 + vc->a;

	vc_expect(vc, !vc_recv(e, 1, 0, 4096), "bystander: post_recv");
	vc_fill(e->buf + 8192, 4096, seed);
	vc_meet(vc);
	vc_expect(vc, !vc_send(e, 2, IBV_WR_SEND, 8192, 4096, 0),
		  "bystander: post_send");
	vc_done(vc, e->scq, 2, IBV_WC_SUCCESS);
	vc_done(vc, e->rcq, 1, IBV_WC_SUCCESS);
	vc_check(vc, e->buf, 4096, seed ^ 1, "bystander's data");
	vc_meet(vc);
}

static bool is_one_of(enum ibv_wc_status s, const enum ibv_wc_status *set)
{
	for (; *set; set++)
		if (s == *set)
			return true;
	return false;
}

/* A: the request 1 ends so; what was posted behind it is flushed in order; the
 * queue pair is in ERR and flushes what comes later.
 */
static void offender_ends(struct vc_end *e, const enum ibv_wc_status *right,
			  int behind)
{
	struct vc *vc = e->vc;
	struct ibv_wc wc;
	int i;

	vc_next(vc, e->scq, &wc);
	vc_expect(vc, wc.wr_id == 1 && is_one_of(wc.status, right),
		  "request %llu ended with '%s', expected '%s'",
		  (unsigned long long)wc.wr_id, ibv_wc_status_str(wc.status),
		  ibv_wc_status_str(*right));
	vc_expect(vc, wc.qp_num == e->qp->qp_num, "qp_num of the completion");
	for (i = 0; i < behind; i++)
		vc_done(vc, e->scq, 2 + i, IBV_WC_WR_FLUSH_ERR);
	vc_expect(vc, vc_state(e) == IBV_QPS_ERR, "state after the error: %d",
		  vc_state(e));
	vc_expect(vc, !vc_send(e, 50, IBV_WR_SEND, 0, 8, 0),
		  "post_send in ERR");
	vc_done(vc, e->scq, 50, IBV_WC_WR_FLUSH_ERR);
}

struct offence {
	struct vc_opts opts;		/* B's differ from the default */
	enum ibv_wr_opcode op;
	size_t at, len, peer_at;
	uint32_t lkey_xor, rkey_xor;
	enum ibv_wc_status right[3];
};

/* One-sided offences: B takes no part and its memory stays as it was. */
static void offend(struct vc *vc, const struct offence *o)
{
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct vc_end e;
	size_t i;

	vc_open(vc, &e, &o->opts);
	if (vc->a) {
		vc_wr(&e, &wr, &sge, 1, o->op, o->at, o->len, o->peer_at);
		sge.lkey ^= o->lkey_xor;
		if (o->op == IBV_WR_ATOMIC_CMP_AND_SWP ||
		    o->op == IBV_WR_ATOMIC_FETCH_AND_ADD) {
			wr.wr.atomic.rkey ^= o->rkey_xor;
			wr.wr.atomic.compare_add = 1;
		} else {
			wr.wr.rdma.rkey ^= o->rkey_xor;
		}
		memset(e.buf, 0x11, e.o.len);
		vc_expect(vc, !vc_post(&e, &wr), "post_send: %m");
		vc_expect(vc, !vc_send(&e, 2, IBV_WR_SEND, 0, 8, 0), "2nd");
		vc_expect(vc, !vc_send(&e, 3, IBV_WR_SEND, 0, 8, 0), "3rd");
		offender_ends(&e, o->right, 2);
	}
	vc_meet(vc);
	if (!vc->a) {
		for (i = 0; i < e.o.len && e.buf[i] == 0xee; i++)
			;
		vc_expect(vc, i == e.o.len, "B's byte %zu was changed", i);
	}
	vc_close(&e);
}

#define REM_ACCESS { IBV_WC_REM_ACCESS_ERR }
#define REM_INVAL { IBV_WC_REM_INV_REQ_ERR }
/* An operation that the queue pair itself does not permit. */
#define QP_FORBIDS { IBV_WC_REM_INV_REQ_ERR, IBV_WC_REM_ACCESS_ERR }

#define LW IBV_ACCESS_LOCAL_WRITE
#define RW IBV_ACCESS_REMOTE_WRITE
#define RR IBV_ACCESS_REMOTE_READ
#define RA IBV_ACCESS_REMOTE_ATOMIC

#define OFFENCE(name, ...)                                          \
	static void name(struct vc *vc)                             \
	{                                                           \
		static const struct offence o = { __VA_ARGS__ };    \
		offend(vc, &o);                                     \
	}

OFFENCE(wrong_rkey_write, .op = IBV_WR_RDMA_WRITE, .len = 64,
	.rkey_xor = 0x5a00, .right = REM_ACCESS)
OFFENCE(wrong_rkey_write_large, .op = IBV_WR_RDMA_WRITE, .len = 60000,
	.rkey_xor = 0x1, .right = REM_ACCESS)
OFFENCE(wrong_rkey_read, .op = IBV_WR_RDMA_READ, .len = 64,
	.rkey_xor = 0x5a00, .right = REM_ACCESS)
OFFENCE(wrong_rkey_atomic, .op = IBV_WR_ATOMIC_FETCH_AND_ADD, .len = 8,
	.rkey_xor = 0x5a00, .right = REM_ACCESS)
OFFENCE(wrong_lkey_send, .op = IBV_WR_SEND, .len = 64, .lkey_xor = 0x5a00,
	.right = { IBV_WC_LOC_PROT_ERR })
OFFENCE(wrong_lkey_write, .op = IBV_WR_RDMA_WRITE, .len = 64,
	.lkey_xor = 0x5a00, .right = { IBV_WC_LOC_PROT_ERR })
OFFENCE(wrong_lkey_read, .op = IBV_WR_RDMA_READ, .len = 64,
	.lkey_xor = 0x5a00, .right = { IBV_WC_LOC_PROT_ERR })
OFFENCE(local_beyond_end, .op = IBV_WR_SEND, .at = 65530, .len = 64,
	.right = { IBV_WC_LOC_PROT_ERR })
OFFENCE(write_beyond_end, .op = IBV_WR_RDMA_WRITE, .len = 64,
	.peer_at = 65536 - 63, .right = REM_ACCESS)
OFFENCE(write_before_start, .op = IBV_WR_RDMA_WRITE, .len = 64,
	.peer_at = -1ul, .right = REM_ACCESS)
OFFENCE(write_wraps, .op = IBV_WR_RDMA_WRITE, .len = 8192,
	.peer_at = -4096ul, .right = REM_ACCESS)
OFFENCE(read_beyond_end, .op = IBV_WR_RDMA_READ, .len = 8192,
	.peer_at = 65536 - 8191, .right = REM_ACCESS)
OFFENCE(atomic_beyond_end, .op = IBV_WR_ATOMIC_FETCH_AND_ADD, .len = 8,
	.peer_at = 65536, .right = REM_ACCESS)
OFFENCE(mr_forbids_write, .op = IBV_WR_RDMA_WRITE, .len = 64,
	.opts.mr_access = LW | RR | RA, .right = REM_ACCESS)
OFFENCE(mr_forbids_read, .op = IBV_WR_RDMA_READ, .len = 64,
	.opts.mr_access = LW | RW | RA, .right = REM_ACCESS)
OFFENCE(mr_forbids_atomic, .op = IBV_WR_ATOMIC_CMP_AND_SWP, .len = 8,
	.opts.mr_access = LW | RW | RR, .right = REM_ACCESS)
OFFENCE(qp_forbids_write, .op = IBV_WR_RDMA_WRITE, .len = 64,
	.opts.qp_access = RR | RA, .right = QP_FORBIDS)
OFFENCE(qp_forbids_read, .op = IBV_WR_RDMA_READ, .len = 64,
	.opts.qp_access = RW | RA, .right = QP_FORBIDS)
OFFENCE(qp_forbids_atomic, .op = IBV_WR_ATOMIC_FETCH_AND_ADD, .len = 8,
	.opts.qp_access = RW | RR, .right = QP_FORBIDS)
OFFENCE(unaligned_atomic, .op = IBV_WR_ATOMIC_FETCH_AND_ADD, .len = 8,
	.peer_at = 4, .right = REM_INVAL)
OFFENCE(unaligned_swap, .op = IBV_WR_ATOMIC_CMP_AND_SWP, .len = 8,
	.peer_at = 1, .right = REM_INVAL)
OFFENCE(no_receive_no_retry, .op = IBV_WR_SEND, .len = 64,
	.opts.rnr_retry = -1, .right = { IBV_WC_RNR_RETRY_EXC_ERR })
OFFENCE(no_receive_for_imm, .op = IBV_WR_RDMA_WRITE_WITH_IMM, .len = 0,
	.opts.rnr_retry = -1, .right = { IBV_WC_RNR_RETRY_EXC_ERR })

/* A region of the right process but of another protection domain. */
static void foreign_pd(struct vc *vc)
{
	static const enum ibv_wc_status right[] = { IBV_WC_REM_ACCESS_ERR, 0 };
	static const enum ibv_wc_status local[] = { IBV_WC_LOC_PROT_ERR, 0 };
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct vc_end e;
	int turn;

	for (turn = 0; turn < 2; turn++) {
		vc_open(vc, &e, NULL);
		if (vc->a) {
			vc_wr(&e, &wr, &sge, 1, IBV_WR_RDMA_WRITE, 0, 64, 0);
			if (turn) {
				sge.lkey = bystander.mr->lkey;
				sge.addr = (uintptr_t)bystander.buf;
			} else {
				wr.wr.rdma.rkey = bystander.peer.rkey;
				wr.wr.rdma.remote_addr = bystander.peer.va;
			}
			vc_expect(vc, !vc_post(&e, &wr), "post_send");
			offender_ends(&e, turn ? local : right, 0);
		}
		vc_close(&e);
	}
}

/* A key that was right until B deregistered its region. */
static void stale_rkey(struct vc *vc)
{
	static const enum ibv_wc_status right[] = { IBV_WC_REM_ACCESS_ERR, 0 };
	struct vc_end e;
	struct ibv_mr *mr;
	uint32_t mine, theirs;
	struct ibv_send_wr wr;
	struct ibv_sge sge;

	vc_open(vc, &e, NULL);
	mr = ibv_reg_mr(e.pd, e.buf, 4096, VC_ALL_ACCESS);
	mine = mr ? mr->rkey : 0;
	vc_swap(vc, &mine, &theirs, sizeof(mine));
	if (vc->a) {
		vc_wr(&e, &wr, &sge, 9, IBV_WR_RDMA_WRITE, 0, 64, 0);
		wr.wr.rdma.rkey = theirs;
		vc_expect(vc, !vc_post(&e, &wr), "post_send");
		vc_done(vc, e.scq, 9, IBV_WC_SUCCESS);
	}
	vc_meet(vc);
	vc_expect(vc, mr && !ibv_dereg_mr(mr), "dereg_mr");
	vc_meet(vc);
	if (vc->a) {
		wr.wr_id = 1;
		vc_expect(vc, !vc_post(&e, &wr), "post_send");
		offender_ends(&e, right, 0);
	}
	vc_close(&e);
}

/* The first receive is too short; both sides say so, the others are flushed. */
static void receive_too_short(struct vc *vc)
{
	static const enum ibv_wc_status right[] = { IBV_WC_REM_INV_REQ_ERR, 0 };
	size_t len = 100;
	struct vc_end e;
	size_t i;

	vc_open(vc, &e, NULL);
	if (!vc->a) {
		vc_expect(vc, !vc_recv(&e, 1, 0, len - 1), "post_recv");
		vc_expect(vc, !vc_recv(&e, 2, 4096, 4096), "post_recv");
		vc_expect(vc, !vc_recv(&e, 3, 8192, 4096), "post_recv");
	}
	vc_meet(vc);
	if (vc->a) {
		vc_fill(e.buf, len, 1);
		vc_expect(vc, !vc_send(&e, 1, IBV_WR_SEND, 0, len, 0), "post");
		offender_ends(&e, right, 0);
	} else {
		vc_done(vc, e.rcq, 1, IBV_WC_LOC_LEN_ERR);
		vc_done(vc, e.rcq, 2, IBV_WC_WR_FLUSH_ERR);
		vc_done(vc, e.rcq, 3, IBV_WC_WR_FLUSH_ERR);
		for (i = len - 1; i < 65536 && e.buf[i] == 0xee; i++)
			;
		vc_expect(vc, i == 65536, "byte %zu was written", i);
		vc_expect(vc, vc_state(&e) == IBV_QPS_ERR, "B's state: %d",
			  vc_state(&e));
	}
	vc_close(&e);
}

/* A receive that names memory which is not B's to give. */
static void receive_wrong_lkey(struct vc *vc)
{
	static const enum ibv_wc_status right[] = { IBV_WC_REM_OP_ERR, 0 };
	struct vc_end e;

	vc_open(vc, &e, NULL);
	if (!vc->a) {
		struct ibv_sge sge = {
			.addr = (uintptr_t)e.buf,
			.length = 4096,
			.lkey = e.mr->lkey ^ 0x5a00,
		};
		struct ibv_recv_wr wr = {
			.wr_id = 1, .sg_list = &sge, .num_sge = 1,
		}, *bad;

		vc_expect(vc, !ibv_post_recv(e.qp, &wr, &bad), "post_recv");
	}
	vc_meet(vc);
	if (vc->a) {
		vc_expect(vc, !vc_send(&e, 1, IBV_WR_SEND, 0, 64, 0), "post");
		offender_ends(&e, right, 0);
	} else {
		vc_done(vc, e.rcq, 1, IBV_WC_LOC_PROT_ERR);
	}
	vc_close(&e);
}

/* RNR with retries: no error, the message arrives once there is a receive. */
static void receive_comes_late(struct vc *vc)
{
	struct vc_end e;

	vc_open(vc, &e, NULL);
	if (vc->a) {
		vc_fill(e.buf, 5000, 3);
		vc_expect(vc, !vc_send(&e, 1, IBV_WR_SEND, 0, 5000, 0), "post");
	}
	vc_meet(vc);
	if (!vc->a) {
		vc_expect(vc, !vc_recv(&e, 2, 0, 8192), "post_recv");
		vc_done(vc, e.rcq, 2, IBV_WC_SUCCESS);
		vc_check(vc, e.buf, 5000, 3, "late message");
	} else {
		vc_done(vc, e.scq, 1, IBV_WC_SUCCESS);
	}
	vc_close(&e);
}

static void wrong_state(struct vc *vc)
{
	struct vc_end e;
	int err;

	vc_make(vc, &e, NULL);
	vc_exchange(&e);
	err = vc_send(&e, 1, IBV_WR_SEND, 0, 8, 0);
	vc_expect(vc, err == EINVAL, "post_send in RESET: %d", err);
	err = vc_recv(&e, 1, 0, 8);
	vc_expect(vc, err == EINVAL, "post_recv in RESET: %d", err);
	vc_to_init(&e);
	err = vc_send(&e, 1, IBV_WR_SEND, 0, 8, 0);
	vc_expect(vc, err == EINVAL, "post_send in INIT: %d", err);
	vc_expect(vc, !vc_recv(&e, 7, 0, 4096), "post_recv in INIT");
	vc_to_rtr(&e);
	err = vc_send(&e, 1, IBV_WR_SEND, 0, 8, 0);
	vc_expect(vc, err == EINVAL, "post_send in RTR: %d", err);
	vc_to_rts(&e);
	vc_meet(vc);
	/* What was refused left nothing behind; what was taken works. */
	vc_expect(vc, !vc_send(&e, 8, IBV_WR_SEND, 8192, 100, 0), "post_send");
	vc_done(vc, e.scq, 8, IBV_WC_SUCCESS);
	vc_done(vc, e.rcq, 7, IBV_WC_SUCCESS);
	vc_idle(vc, e.scq);
	vc_idle(vc, e.rcq);
	vc_close(&e);
}

/* To ERR by hand: all that is posted comes back, in the order of posting. */
static void flush_order(struct vc *vc)
{
	struct vc_end e;
	int i;

	vc_open(vc, &e, NULL);
	for (i = 0; i < 20; i++)
		vc_expect(vc, !vc_recv(&e, 100 + i, 0, 64), "post_recv");
	vc_to(&e, IBV_QPS_ERR);
	for (i = 0; i < 20; i++)
		vc_done(vc, e.rcq, 100 + i, IBV_WC_WR_FLUSH_ERR);
	for (i = 0; i < 20; i++)
		vc_expect(vc, !vc_send(&e, 200 + i, IBV_WR_RDMA_WRITE, 0, 64,
				       0), "post_send");
	for (i = 0; i < 20; i++)
		vc_done(vc, e.scq, 200 + i, IBV_WC_WR_FLUSH_ERR);
	vc_idle(vc, e.scq);
	vc_idle(vc, e.rcq);
	vc_close(&e);
}

/* A receive posted in ERR is flushed too, though nobody sends any more. */
static void receive_in_error(struct vc *vc)
{
	struct vc_end e;

	vc_open(vc, &e, NULL);
	vc_to(&e, IBV_QPS_ERR);
	vc_expect(vc, !vc_recv(&e, 51, 0, 8), "post_recv in ERR");
	vc_done(vc, e.rcq, 51, IBV_WC_WR_FLUSH_ERR);
	vc_close(&e);
}

static void too_much(struct vc *vc)
{
	struct vc_opts o = { .depth = 8, .sge = 2, .inline_bytes = 64 };
	struct ibv_send_wr wr, *bad_send;
	struct ibv_sge sge[64] = { 0 };
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;
	struct vc_end e;
	unsigned int i;

	vc_open(vc, &e, &o);
	vc_expect(vc, !ibv_query_qp(e.qp, &attr, IBV_QP_CAP, &init), "query");
	vc_wr(&e, &wr, sge, 1, IBV_WR_SEND, 0, 8, 0);
	for (i = 1; i < 64; i++)
		sge[i] = sge[0];
	if (init.cap.max_send_sge < 64) {
		wr.num_sge = init.cap.max_send_sge + 1;
		bad_send = NULL;
		vc_expect(vc, ibv_post_send(e.qp, &wr, &bad_send) &&
			  bad_send == &wr, "too many SGEs were taken");
	}
	wr.num_sge = 1;
	if (init.cap.max_inline_data < e.o.len) {
		sge[0].length = init.cap.max_inline_data + 1;
		wr.send_flags |= IBV_SEND_INLINE;
		vc_expect(vc, vc_post(&e, &wr), "too much inline was taken");
		wr.send_flags &= ~IBV_SEND_INLINE;
	}
	sge[0].length = 8;
	wr.opcode = 77;
	vc_expect(vc, vc_post(&e, &wr), "opcode 77 was taken");
	for (i = 0; i <= init.cap.max_recv_wr; i++)
		if (vc_recv(&e, i, 0, 8))
			break;
	vc_expect(vc, i == init.cap.max_recv_wr, "%u receives, queue of %u", i,
		  init.cap.max_recv_wr);
	/* None of the refused may have left half a request behind. */
	vc_meet(vc);
	vc_expect(vc, !vc_send(&e, 9, IBV_WR_SEND, 0, 8, 0), "post_send");
	vc_done(vc, e.scq, 9, IBV_WC_SUCCESS);
	vc_done(vc, e.rcq, 0, IBV_WC_SUCCESS);
	vc_close(&e);
}

/* B's queue pair is destroyed, or never was: A's request fails in time. */
static void nobody_there(struct vc *vc)
{
	static const enum ibv_wc_status right[] = {
		IBV_WC_RETRY_EXC_ERR, IBV_WC_REM_INV_REQ_ERR,
		IBV_WC_REM_OP_ERR, IBV_WC_REM_ABORT_ERR, 0
	};
	struct vc_end e;

	vc_open(vc, &e, NULL);
	if (!vc->a) {
		vc_expect(vc, !ibv_destroy_qp(e.qp), "destroy_qp");
		e.qp = NULL;
	}
	vc_meet(vc);
	if (vc->a) {
		vc_expect(vc, !vc_send(&e, 1, IBV_WR_RDMA_WRITE, 0, 64, 0),
			  "post_send");
		offender_ends(&e, right, 0);
	} else {
		struct ibv_qp_init_attr init = {
			.qp_type = IBV_QPT_RC,
			.send_cq = e.scq, .recv_cq = e.rcq,
			.cap = { 1, 1, 1, 1, 0 },
		};

		vc_meet(vc);
		e.qp = ibv_create_qp(e.pd, &init);
		vc_expect(vc, e.qp, "create_qp");
	}
	if (vc->a)
		vc_meet(vc);
	vc_close(&e);
}

/* In use: refused, and nothing is lost. */
static void destroy_in_use(struct vc *vc)
{
	struct vc_end e;

	vc_open(vc, &e, NULL);
	vc_expect(vc, ibv_dealloc_pd(e.pd), "dealloc_pd in use was taken");
	vc_expect(vc, ibv_destroy_cq(e.scq), "destroy_cq in use was taken");
	vc_close(&e);
}

static void ud_wrong_qkey(struct vc *vc)
{
	struct vc_opts o = { .type = IBV_QPT_UD };
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct vc_end e;

	vc_open(vc, &e, &o);
	if (!vc->a)
		vc_expect(vc, !vc_recv(&e, 1, 0, 4096), "post_recv");
	vc_meet(vc);
	if (vc->a) {
		memset(e.buf, 0x22, 64);
		vc_wr(&e, &wr, &sge, 1, IBV_WR_SEND, 0, 64, 0);
		wr.wr.ud.remote_qkey = VC_QKEY + 1;
		vc_expect(vc, !vc_post(&e, &wr), "post_send");
		vc_done(vc, e.scq, 1, IBV_WC_SUCCESS);
		vc_fill(e.buf, 64, 4);
		vc_expect(vc, !vc_send(&e, 2, IBV_WR_SEND, 0, 64, 0), "post");
		vc_done(vc, e.scq, 2, IBV_WC_SUCCESS);
	} else {
		/* Only the second arrives: the first was dropped. */
		vc_done(vc, e.rcq, 1, IBV_WC_SUCCESS);
		vc_check(vc, e.buf + VC_GRH, 64, 4, "datagram");
	}
	vc_close(&e);
}

#define T(f) { #f, f }

static const struct vc_test tests[] = {
	T(wrong_rkey_write),
	T(wrong_rkey_write_large),
	T(wrong_rkey_read),
	T(wrong_rkey_atomic),
	T(wrong_lkey_send),
	T(wrong_lkey_write),
	T(wrong_lkey_read),
	T(local_beyond_end),
	T(write_beyond_end),
	T(write_before_start),
	T(write_wraps),
	T(read_beyond_end),
	T(atomic_beyond_end),
	T(mr_forbids_write),
	T(mr_forbids_read),
	T(mr_forbids_atomic),
	T(qp_forbids_write),
	T(qp_forbids_read),
	T(qp_forbids_atomic),
	T(unaligned_atomic),
	T(unaligned_swap),
	T(no_receive_no_retry),
	T(no_receive_for_imm),
	T(foreign_pd),
	T(stale_rkey),
	T(receive_too_short),
	T(receive_wrong_lkey),
	T(receive_comes_late),
	T(wrong_state),
	T(flush_order),
	T(receive_in_error),
	T(too_much),
	T(nobody_there),
	T(destroy_in_use),
	T(ud_wrong_qkey),
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, bystander_works, bystander_setup,
		       bystander_teardown);
}
