// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * One connection of the storm. What comes must be what was sent; what was
 * posted must come back, once, however the connection ends.
 */
#define _GNU_SOURCE /* POLLRDHUP */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "storm.h"

#define SLOTS 16
#define DEPTH 64
#define MESSAGES_MAX 100
#define AT_RECV 0
#define AT_SEND (SLOTS * STORM_SLOT)
#define AT_WRITE (2 * SLOTS * STORM_SLOT)
#define WRITE_SLOT 1024 /* one for each message: nobody says when it may be used again */
#define AT_WRITE_FROM (AT_WRITE + MESSAGES_MAX * WRITE_SLOT)
#define AT_READ (AT_WRITE_FROM + MESSAGES_MAX * WRITE_SLOT)
#define READ_BYTES 8192
#define AT_BACK (AT_READ + READ_BYTES) /* where READs and atomics end */
#define AT_WORD (AT_BACK + SLOTS * READ_BYTES)

/* Of an error there is no opcode: the number says what was posted. */
#define ID_RECV (1ull << 40)

#define STUCK_MS (30000ull * vc_slow())

enum op { OP_SEND, OP_WRITE, OP_READ, OP_ADD };

/* How a connection is taken away when it has done its work, or before. */
enum ending { END_PLAIN = 8, END_ERR, END_CLIENT, END_SERVER, END_DEREG, ENDINGS };

struct hello {
	uint64_t va;
	uint32_t rkey, qpn, psn, calm;
	union ibv_gid gid;
};

struct round {
	struct worker *w;
	struct vc *vc;
	struct ibv_pd *pd;
	struct ibv_mr *mr;
	struct ibv_comp_channel *chan;
	struct ibv_cq *cq;
	struct ibv_qp *qp;
	struct ibv_ah *ah;
	struct hello me, peer;
	uint64_t seed, rng, last;
	unsigned char *buf;
	unsigned int messages, next, sent, received, adds;
	unsigned int sends_out, recvs_out; /* posted, and not come back */
	unsigned int errors; /* of sends, other than flushed ones */
	int ending;
	const char *why; /* it did not end well */
	int err; /* errno, of joining */
	bool ud, srq, events, own_pd, over, deregged;
	uint64_t ud_next;
};

unsigned int storm_rand(uint64_t *rng, unsigned int below)
{
	*rng = *rng * 6364136223846793005ull + 1442695040888963407ull;
	return (*rng >> 33) % below;
}

/* --- the other side, over TCP ----------------------------------------------- */

static bool wait_fd(struct worker *w, short what)
{
	uint64_t end = vc_now_ms() + 10000 * vc_slow();
	struct pollfd p = { .fd = w->vc.fd, .events = what };

	while (vc_now_ms() < end && !atomic_load(&w->storm->stop))
		if (poll(&p, 1, 100) == 1)
			return true;
	return false;
}

bool storm_swap(struct worker *w, const void *mine, void *theirs, size_t len)
{
	char *out = (char *)mine, *in = theirs;
	size_t left = len;
	ssize_t n;

	if (send(w->vc.fd, out, len, MSG_NOSIGNAL) != (ssize_t)len)
		return false;
	while (left) {
		if (!wait_fd(w, POLLIN))
			return false;
		n = recv(w->vc.fd, in, left, MSG_DONTWAIT);
		if (n <= 0)
			return false;
		in += n;
		left -= n;
	}
	return true;
}

/* It has closed its end, whatever it said before, or is not there any more. */
static bool partner_gone(struct round *r)
{
	struct pollfd p = { .fd = r->vc->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) == 1;
}

/*
 * The link has gone while all that was posted here had ended, or lies in a shared
 * queue: no completion says so (IBA: only an asynchronous event does).
 */
static bool failed_silently(struct round *r)
{
	struct ibv_qp_init_attr init;
	struct ibv_qp_attr attr;

	return r->srq && !r->sends_out && !ibv_query_qp(r->qp, &attr, IBV_QP_STATE, &init) &&
	       attr.qp_state == IBV_QPS_ERR;
}

/* --- what is sent ------------------------------------------------------------- */

static uint64_t seed_of(const struct round *r, unsigned int n, enum op op, bool from_a)
{
	return r->seed + n * 64ull + op * 2 + from_a;
}

static size_t len_of(const struct round *r, unsigned int n, enum op op, bool from_a)
{
	uint64_t rng = seed_of(r, n, op, from_a) * 2654435761u;
	unsigned int pick = storm_rand(&rng, 16);

	if (r->ud)
		return 8 + storm_rand(&rng, 2000);
	if (op == OP_WRITE)
		return 1 + storm_rand(&rng, WRITE_SLOT);
	if (op == OP_READ)
		return 1 + storm_rand(&rng, READ_BYTES);
	if (op == OP_ADD)
		return 8;
	return pick < 12 ? storm_rand(&rng, 200) : storm_rand(&rng, pick < 15 ? 3000 : STORM_SLOT);
}

/* What goes before message N. */
static enum op before(const struct round *r, unsigned int n)
{
	return r->ud || n % 8 < 5 ? OP_SEND : OP_WRITE + n % 8 - 5;
}

/* --- posting -------------------------------------------------------------------- */

void storm_srq_post(struct worker *w, unsigned int slot)
{
	struct storm *s = w->storm;
	struct ibv_sge sge = {
		.addr = (uintptr_t)s->srq_buf + (size_t)slot * STORM_SLOT,
		.length = STORM_SLOT,
		.lkey = s->srq_mr->lkey,
	};
	struct ibv_recv_wr wr = {
		.wr_id = ID_RECV | slot, .sg_list = &sge, .num_sge = 1,
	}, *bad;
	int err = ibv_post_srq_recv(s->srq, &wr, &bad);

	vc_expect(&w->vc, !err, "post_srq_recv: %s", strerror(err));
}

static void post_recv(struct round *r, unsigned int slot)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)r->buf + AT_RECV + slot * STORM_SLOT,
		.length = STORM_SLOT,
	};
	struct ibv_recv_wr wr = {
		.wr_id = ID_RECV | slot, .sg_list = &sge, .num_sge = 1,
	}, *bad;
	int err;

	if (r->deregged)
		return;
	sge.lkey = r->mr->lkey;
	err = ibv_post_recv(r->qp, &wr, &bad);
	if (vc_expect(r->vc, !err, "post_recv: %s", strerror(err)))
		r->recvs_out++;
}

static bool post_op(struct round *r, unsigned int n, enum op op)
{
	size_t len = len_of(r, n, op, r->vc->a), at = AT_SEND + n % SLOTS * STORM_SLOT;
	struct ibv_sge sge = { .length = len, .lkey = r->mr->lkey };
	struct ibv_send_wr wr = {
		.wr_id = n * 4ull + op, .sg_list = &sge, .num_sge = 1,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = r->peer.va, .rkey = r->peer.rkey },
	}, *bad;
	int err;

	switch (op) {
	case OP_SEND:
		wr.opcode = IBV_WR_SEND;
		vc_fill(r->buf + at, len, seed_of(r, n, op, r->vc->a));
		if (r->ud) {
			memcpy(r->buf + at, &(uint64_t){ n }, 8);
			wr.wr.ud.ah = r->ah;
			wr.wr.ud.remote_qpn = r->peer.qpn;
			wr.wr.ud.remote_qkey = VC_QKEY;
		}
		break;
	case OP_WRITE:
		wr.opcode = IBV_WR_RDMA_WRITE;
		at = AT_WRITE_FROM + n * WRITE_SLOT;
		wr.wr.rdma.remote_addr += AT_WRITE + n * WRITE_SLOT;
		vc_fill(r->buf + at, len, seed_of(r, n, op, r->vc->a));
		break;
	case OP_READ:
		wr.opcode = IBV_WR_RDMA_READ;
		at = AT_BACK + n % SLOTS * READ_BYTES;
		wr.wr.rdma.remote_addr += AT_READ;
		break;
	case OP_ADD:
		wr.opcode = IBV_WR_ATOMIC_FETCH_AND_ADD;
		at = AT_BACK + n % SLOTS * READ_BYTES;
		wr.wr.atomic.remote_addr = r->peer.va + AT_WORD;
		wr.wr.atomic.compare_add = 1;
		wr.wr.atomic.swap = 0;
		wr.wr.atomic.rkey = r->peer.rkey;
		break;
	}
	sge.addr = (uintptr_t)r->buf + at;
	err = ibv_post_send(r->qp, &wr, &bad);
	if (!vc_expect(r->vc, !err, "post_send: %s", strerror(err)))
		return false;
	r->sends_out++;
	return true;
}

static void post_more(struct round *r)
{
	enum op first;

	while (r->next < r->messages && r->next - r->sent < SLOTS / 2 && !r->deregged) {
		first = before(r, r->next);
		if ((first != OP_SEND && !post_op(r, r->next, first)) ||
		    !post_op(r, r->next, OP_SEND)) {
			r->over = true;
			return;
		}
		r->next++;
	}
}

/* --- completions -------------------------------------------------------------------- */

static void send_done(struct round *r, const struct ibv_wc *wc)
{
	unsigned int n = wc->wr_id / 4;
	enum op op = wc->wr_id % 4;
	unsigned char *back = r->buf + AT_BACK + n % SLOTS * READ_BYTES;
	uint64_t word;

	if (op == OP_SEND) {
		vc_expect(r->vc, n == r->sent, "send %u ended, expected %u", n, r->sent);
		r->sent++;
	} else if (op == OP_READ) {
		vc_check(r->vc, back, len_of(r, n, op, r->vc->a), r->seed + !r->vc->a, "READ");
	} else if (op == OP_ADD) {
		memcpy(&word, back, 8);
		vc_expect(r->vc, word == r->adds, "atomic %u found %llu", r->adds,
			  (unsigned long long)word);
		r->adds++;
	}
}

static void recv_done(struct round *r, const struct ibv_wc *wc)
{
	unsigned char *at = r->srq ? r->w->storm->srq_buf + wc->wr_id * STORM_SLOT :
				     r->buf + AT_RECV + wc->wr_id * STORM_SLOT;
	unsigned int n = r->received, got = wc->byte_len;
	bool from_a = !r->vc->a;
	uint64_t told;
	size_t len;

	if (r->ud) {
		got -= VC_GRH;
		at += VC_GRH;
		memcpy(&told, at, 8);
		/* Datagrams get lost; they do not come twice, late or from elsewhere. */
		if (!vc_expect(r->vc, told >= r->ud_next && told < r->messages,
			       "datagram %llu, expected %llu or later", (unsigned long long)told,
			       (unsigned long long)r->ud_next))
			return;
		n = told;
		r->ud_next = told + 1;
	}
	r->received++;
	len = len_of(r, n, OP_SEND, from_a);
	if (!vc_expect(r->vc, got == len, "message %u has %u bytes, expected %zu", n, got, len))
		return;
	if (r->ud) {
		/* In front lies its number: undone, it is as it was filled. */
		unsigned char first[8];

		vc_fill(first, 8, seed_of(r, n, OP_SEND, from_a));
		memcpy(at, first, 8);
	}
	vc_check(r->vc, at, len, seed_of(r, n, OP_SEND, from_a), "message");
	if (before(r, n) == OP_WRITE)
		vc_check(r->vc, r->buf + AT_WRITE + n * WRITE_SLOT,
			 len_of(r, n, OP_WRITE, from_a), seed_of(r, n, OP_WRITE, from_a),
			 "WRITE before a message");
	atomic_fetch_add(&r->w->storm->messages, 1);
}

static bool may_happen(const struct round *r, enum ibv_wc_status status)
{
	switch (status) {
	case IBV_WC_WR_FLUSH_ERR:
	case IBV_WC_RETRY_EXC_ERR:
		return true;
	case IBV_WC_REM_ACCESS_ERR:
	case IBV_WC_REM_OP_ERR:
	case IBV_WC_LOC_PROT_ERR:
		/* Memory was deregistered under way, here or there. */
		return r->ending == END_DEREG;
	default:
		return false;
	}
}

/* Return: how many there were. */
static int poll_some(struct round *r)
{
	struct ibv_wc wc[8];
	int n = ibv_poll_cq(r->cq, 8, wc), i;

	vc_expect(r->vc, n >= 0, "poll_cq: %d", n);
	for (i = 0; i < n; i++) {
		bool recv = wc[i].wr_id & ID_RECV;

		wc[i].wr_id &= ~ID_RECV;
		if (recv && !r->srq)
			r->recvs_out--;
		if (!recv)
			r->sends_out--;
		if (wc[i].status) {
			r->over = true;
			if (!r->why)
				r->why = ibv_wc_status_str(wc[i].status);
			vc_expect(r->vc, may_happen(r, wc[i].status), "%s %u ended with %s (%u)",
				  recv ? "receive" : "send", (unsigned int)wc[i].wr_id,
				  ibv_wc_status_str(wc[i].status), wc[i].vendor_err);
			if (!recv && wc[i].status != IBV_WC_WR_FLUSH_ERR) {
				vc_expect(r->vc, !r->errors, "send %u: a second error: %s",
					  (unsigned int)wc[i].wr_id,
					  ibv_wc_status_str(wc[i].status));
				r->errors++;
			}
		} else if (recv) {
			recv_done(r, &wc[i]);
		} else {
			send_done(r, &wc[i]);
		}
		if (recv && r->srq)
			storm_srq_post(r->w, wc[i].wr_id);
		else if (recv && !r->over)
			post_recv(r, wc[i].wr_id);
	}
	if (n > 0)
		r->last = vc_now_ms();
	return n;
}

/* --- from nothing to a connection -------------------------------------------------- */

static bool make(struct round *r)
{
	struct storm *s = r->w->storm;
	struct ibv_qp_init_attr init = {
		.qp_type = r->ud ? IBV_QPT_UD : IBV_QPT_RC,
		.cap = { .max_send_wr = DEPTH, .max_recv_wr = SLOTS, .max_send_sge = 1,
			 .max_recv_sge = 1 },
	};
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_INIT, .port_num = 1, .qkey = VC_QKEY,
		.qp_access_flags = VC_ALL_ACCESS,
	};

	r->pd = r->own_pd ? ibv_alloc_pd(s->ctx) : s->pd;
	r->chan = r->events ? ibv_create_comp_channel(s->ctx) : NULL;
	r->cq = ibv_create_cq(s->ctx, DEPTH + SLOTS, NULL, r->chan, 0);
	if (!vc_expect(r->vc, r->pd && r->cq && !r->chan == !r->events, "PD, channel or CQ: %m"))
		return false;
	r->mr = ibv_reg_mr(r->pd, r->buf, AT_WORD + 4096, VC_ALL_ACCESS);
	init.send_cq = r->cq;
	init.recv_cq = r->cq;
	init.srq = r->srq ? s->srq : NULL;
	r->qp = ibv_create_qp(r->pd, &init);
	if (!vc_expect(r->vc, r->mr && r->qp, "region or queue pair: %m"))
		return false;
	return vc_expect(r->vc, !ibv_modify_qp(r->qp, &attr,
					       IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT |
					       (r->ud ? IBV_QP_QKEY : IBV_QP_ACCESS_FLAGS)),
			 "INIT: %m");
}

/* Return: false while the other node cannot be reached. */
static bool join(struct round *r)
{
	struct ibv_qp_attr attr = {
		.qp_state = IBV_QPS_RTR,
		.path_mtu = IBV_MTU_4096,
		.dest_qp_num = r->peer.qpn,
		.rq_psn = r->peer.psn,
		.max_dest_rd_atomic = 4,
		.min_rnr_timer = 12,
		.ah_attr = {
			.is_global = 1, .port_num = 1,
			.grh = { .dgid = r->peer.gid, .sgid_index = r->vc->gid_index,
				 .hop_limit = 64 },
		},
	};

	r->err = ibv_modify_qp(r->qp, &attr, r->ud ? IBV_QP_STATE :
			       IBV_QP_STATE | IBV_QP_AV | IBV_QP_PATH_MTU | IBV_QP_DEST_QPN |
			       IBV_QP_RQ_PSN | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_MIN_RNR_TIMER);
	if (r->err) {
		r->why = "not RTR";
		return false;
	}
	if (r->ud) {
		r->ah = ibv_create_ah(r->pd, &attr.ah_attr);
		if (!r->ah) {
			r->err = errno;
			r->why = "no address handle";
			return false;
		}
	}
	r->why = "not RTS";
	attr = (struct ibv_qp_attr){
		.qp_state = IBV_QPS_RTS, .sq_psn = r->me.psn, .max_rd_atomic = 4,
		.retry_cnt = 7, .rnr_retry = 7, .timeout = 14,
	};
	r->err = ibv_modify_qp(r->qp, &attr, r->ud ? IBV_QP_STATE | IBV_QP_SQ_PSN :
			       IBV_QP_STATE | IBV_QP_SQ_PSN | IBV_QP_MAX_QP_RD_ATOMIC |
			       IBV_QP_RETRY_CNT | IBV_QP_RNR_RETRY | IBV_QP_TIMEOUT);
	return !r->err;
}

static void unmake(struct round *r)
{
	struct vc *vc = r->vc;

	vc_expect(vc, !r->ah || !ibv_destroy_ah(r->ah), "destroy_ah: %m");
	vc_expect(vc, !r->qp || !ibv_destroy_qp(r->qp), "destroy_qp: %m");
	vc_expect(vc, !r->mr || !ibv_dereg_mr(r->mr), "dereg_mr: %m");
	vc_expect(vc, !r->cq || !ibv_destroy_cq(r->cq), "destroy_cq: %m");
	vc_expect(vc, !r->chan || !ibv_destroy_comp_channel(r->chan), "destroy_comp_channel: %m");
	vc_expect(vc, !r->own_pd || !r->pd || !ibv_dealloc_pd(r->pd), "dealloc_pd: %m");
}

/* --- its life ------------------------------------------------------------------------ */

/* Nothing came: sleep until something does, at most for a moment. */
static void idle(struct round *r)
{
	struct pollfd p[2] = { { .fd = r->vc->fd, .events = POLLIN }, { .events = POLLIN } };
	struct ibv_cq *cq;
	void *context;

	if (!r->events) {
		sched_yield();
		return;
	}
	p[1].fd = r->chan->fd;
	if (!vc_expect(r->vc, !ibv_req_notify_cq(r->cq, 0), "req_notify_cq") || poll_some(r))
		return;
	if (poll(&p[1], 1, 50) == 1 && !ibv_get_cq_event(r->chan, &cq, &context))
		ibv_ack_cq_events(cq, 1);
}

/* What the kernel knows of this node's queue pairs: what they wait for. */
static void dump(const struct round *r)
{
	FILE *f = fopen("/sys/kernel/debug/pcieverbs/qps", "re");
	char line[512];

	printf("[%c] %d, QP %u to %u: no progress, %u sent, %u next, %u of %u\n",
	       r->vc->a ? 'A' : 'B', r->w->index, r->me.qpn, r->peer.qpn, r->sent, r->next,
	       r->received, r->messages);
	while (f && fgets(line, sizeof(line), f))
		printf("    %s", line);
	if (f)
		fclose(f);
}

/* Until all has come and gone, an error, or the other side's end. */
static void work(struct round *r)
{
	unsigned int early = r->ending == END_DEREG || r->ending == END_CLIENT ||
			     r->ending == END_SERVER ? storm_rand(&r->rng, r->messages) : ~0u;
	bool mine = r->ending == END_CLIENT ? r->vc->a : r->ending == END_SERVER ? !r->vc->a :
		    r->ending == END_DEREG && r->seed % 2 == r->vc->a;
	bool dumped = false;
	unsigned int none = 0;

	r->last = vc_now_ms();
	while (!r->over) {
		post_more(r);
		none = poll_some(r) ? 0 : none + 1;
		if (r->sent == r->messages && (r->ud || r->received == r->messages))
			return;
		if (mine && r->sent >= early) {
			if (r->ending != END_DEREG) {
				r->over = true;
			} else if (!r->deregged) {
				vc_expect(r->vc, !ibv_dereg_mr(r->mr), "dereg_mr: %m");
				r->mr = NULL;
				r->deregged = true;
			}
		}
		if (none > 20) {
			idle(r);
			/* Who has no memory sends no more; the other may have nothing to say. */
			if (r->deregged && vc_now_ms() - r->last > 500)
				r->over = true;
			if (none % 16 == 0 &&
			    (partner_gone(r) || atomic_load(&r->w->storm->stop))) {
				r->over = true;
				r->why = "partner gone";
			} else if (none % 16 == 0 && failed_silently(r)) {
				r->over = true;
				r->why = "in error, and nothing to say it";
			}
		}
		if (!dumped && vc_now_ms() - r->last > STUCK_MS / 2) {
			dump(r);
			dumped = true;
		}
		if (vc_now_ms() - r->last > STUCK_MS) {
			vc_expect(r->vc, false, "nothing in %llu ms", STUCK_MS);
			r->over = true;
		}
	}
}

/* All that was posted comes back when the queue pair is in error. */
static void flush(struct round *r)
{
	struct ibv_qp_attr attr = { .qp_state = IBV_QPS_ERR };
	uint64_t end = vc_now_ms() + 10000ull * vc_slow();

	r->over = true;
	if (!vc_expect(r->vc, !ibv_modify_qp(r->qp, &attr, IBV_QP_STATE), "ERR: %m"))
		return;
	while ((r->sends_out || r->recvs_out) && vc_now_ms() < end)
		if (!poll_some(r))
			sched_yield();
	vc_expect(r->vc, !r->sends_out && !r->recvs_out, "%u sends and %u receives never ended",
		  r->sends_out, r->recvs_out);
	/* Receives of a shared queue that nobody polls are lost to it. */
	while (r->srq && poll_some(r))
		;
	vc_expect(r->vc, !poll_some(r) || r->srq, "completions behind the last");
}

static void prepare(struct round *r)
{
	uint64_t rng = r->seed;
	unsigned int i;

	/* The first decided about r->ud. */
	storm_rand(&rng, 5);
	r->messages = 1 + storm_rand(&rng, MESSAGES_MAX);
	r->ending = storm_rand(&rng, r->me.calm || r->peer.calm ? END_CLIENT : ENDINGS);
	memset(r->buf + AT_WORD, 0, 8);
	vc_fill(r->buf + AT_READ, READ_BYTES, r->seed + r->vc->a);
	if (!r->srq)
		for (i = 0; i < SLOTS; i++)
			post_recv(r, i);
}

/* Of which thread; sent; received, of how many; sends and receives that are out. */
static const char round_format[] =
	"[%c] %d, %s%s%s%s%s, QP %#x to %#x, %s (%s%s%s), end %d: %u sent, %u of %u, out %u, %u\n";

static void print_round(const struct round *r, enum outcome outcome)
{
	printf(round_format,
	       r->vc->a ? 'A' : 'B', r->w->index, r->ud ? "UD" : "RC", r->srq ? " SRQ" : "",
	       r->events ? " events" : "", r->own_pd ? " own PD" : "",
	       r->deregged ? " deregistered" : "", r->me.qpn, r->peer.qpn,
	       outcome == CLEAN ? "clean" : "broken", r->why ? r->why : "",
	       r->err ? ": " : "", r->err ? strerror(r->err) : "", r->ending, r->sent, r->received,
	       r->messages, r->sends_out, r->recvs_out);
}

enum outcome storm_round(struct worker *w, bool calm, bool *both_calm)
{
	struct round r = {
		.w = w, .vc = &w->vc, .buf = w->buf, .rng = w->rng,
		.srq = storm_rand(&w->rng, 3) == 0,
		.events = storm_rand(&w->rng, 2),
		.own_pd = storm_rand(&w->rng, 2),
	};
	unsigned int failures = w->vc.failures;
	enum outcome outcome = BROKEN;
	uint64_t seed = (uint64_t)storm_rand(&w->rng, 1 << 30) << 16, rng = 0;
	char done[4] = "done", theirs[4] = "";

	/* A shared queue belongs to a domain. */
	r.own_pd &= !r.srq;
	/* A's, and before there is a queue pair: its type depends on it. */
	if (!storm_swap(w, &seed, &rng, sizeof(seed)))
		goto out;
	if (w->vc.a)
		rng = seed;
	r.seed = rng;
	r.ud = !storm_rand(&rng, 5);
	if (!make(&r))
		goto out;
	r.me = (struct hello){
		.va = (uintptr_t)r.buf,
		.rkey = r.mr->rkey, .qpn = r.qp->qp_num, .psn = storm_rand(&w->rng, 1 << 24),
		.calm = calm, .gid = w->vc.gid,
	};
	if (!storm_swap(w, &r.me, &r.peer, sizeof(r.me)))
		goto out;
	*both_calm = r.me.calm || r.peer.calm;
	prepare(&r);
	if (!join(&r))
		goto out;
	r.why = NULL;
	if (!storm_swap(w, done, theirs, 4)) {
		r.why = "partner not joined";
		goto out;
	}
	work(&r);
	if (r.over || !storm_swap(w, done, theirs, 4))
		goto out;
	/* Datagrams that are still on their way do not count. */
	outcome = CLEAN;
	if (r.ud)
		while (poll_some(&r))
			;
	if (*both_calm && r.ud)
		vc_expect(r.vc, r.received, "no datagram of %u came", r.messages);
out:
	/* Else it is destroyed with all its receives posted. */
	if (r.qp && (outcome == BROKEN || r.ending == END_ERR)) {
		flush(&r);
		/* What was claimed for a message that never came in full is lost to the queue. */
		if (r.srq && outcome == BROKEN) {
			unsigned int slot = atomic_fetch_add(&w->storm->srq_posted, 1);

			if (slot < STORM_SRQ_SLOTS)
				storm_srq_post(w, slot);
		}
	}
	if (w->vc.failures != failures || (outcome == BROKEN && calm))
		print_round(&r, outcome);
	unmake(&r);
	return outcome;
}
