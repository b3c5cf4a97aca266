// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "soak.h"

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

uint64_t soak_env(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

uint64_t soak_seed(const struct flow *f, bool a)
{
	return soak_mix(soak_env("SOAK_SEED", 1) * 64 + f->w->index * MAX_FLOWS + f->index) * 2 +
	       a;
}

/* --- sender --------------------------------------------------------------- */

/* Room for @len contiguous bytes, given back in order. */
static bool arena_get(struct flow *f, size_t len, unsigned char **at)
{
	uint64_t from = f->arena_tail;

	if (from % f->arena_room + len > f->arena_room)
		from += f->arena_room - from % f->arena_room;
	if (from + len - f->arena_head > f->arena_room)
		return false;
	f->arena_tail = from + len;
	*at = f->e.buf + AT_SEND + from % f->arena_room;
	return true;
}

static const enum ibv_wr_opcode opcodes[] = {
	[SOAK_SEND] = IBV_WR_SEND,
	[SOAK_SEND_IMM] = IBV_WR_SEND_WITH_IMM,
	[SOAK_WRITE] = IBV_WR_RDMA_WRITE,
	[SOAK_WRITE_IMM] = IBV_WR_RDMA_WRITE_WITH_IMM,
	[SOAK_READ] = IBV_WR_RDMA_READ,
	[SOAK_SWAP] = IBV_WR_ATOMIC_CMP_AND_SWP,
	[SOAK_ADD] = IBV_WR_ATOMIC_FETCH_AND_ADD,
	[SOAK_PROGRESS] = IBV_WR_RDMA_WRITE,
};

static void remote(struct flow *f, struct ibv_send_wr *wr, const struct soak_op *op)
{
	switch (op->kind) {
	case SOAK_SWAP:
	case SOAK_ADD:
		wr->wr.atomic.remote_addr = f->e.peer.va + AT_WORD;
		wr->wr.atomic.rkey = f->e.peer.rkey;
		wr->wr.atomic.compare_add = op->kind == SOAK_ADD ? op->operand : op->old;
		wr->wr.atomic.swap = op->operand;
		return;
	case SOAK_READ:
		wr->wr.rdma.remote_addr = f->e.peer.va + AT_READ + op->read_at;
		break;
	case SOAK_PROGRESS:
		wr->wr.rdma.remote_addr = f->e.peer.va + AT_PROGRESS;
		break;
	default:
		wr->wr.rdma.remote_addr = f->e.peer.va + AT_WRITE + op->write_at % WRITE_ROOM;
	}
	wr->wr.rdma.rkey = f->e.peer.rkey;
}

/* Its bytes into so many pieces with gaps between them. */
static int gather(struct flow *f, const struct soak_op *op, unsigned char *at, struct ibv_sge *sge)
{
	bool out = op->kind <= SOAK_WRITE_IMM;
	uint32_t done = 0, part;
	int i, pieces = out && op->pieces ? op->pieces : 1;

	for (i = 0; i < pieces; i++) {
		part = i == pieces - 1 ? op->len - done : (op->len - done) / 3;
		sge[i] = (struct ibv_sge){ (uintptr_t)at, part, f->e.mr->lkey };
		if (out)
			soak_fill(at, part, op->key, done);
		done += part;
		at += part + GAP;
	}
	return pieces;
}

static bool post(struct flow *f, const struct soak_op *op)
{
	struct sent *s = &f->sent[f->sent_tail % DEPTH];
	uint64_t progress = f->checked;
	struct ibv_send_wr wr = { 0 };
	struct ibv_sge sge[4];
	unsigned char *at;
	int err;

	if (!arena_get(f, op->len + 4 * GAP, &at))
		return false;
	at += soak_rand(&f->w->rng, GAP);
	s->op = *op;
	s->op.n = ++f->ids;
	s->arena_end = f->arena_tail;
	s->at = at;
	wr.wr_id = s->op.n;
	wr.sg_list = sge;
	wr.num_sge = gather(f, op, at, sge);
	if (op->kind == SOAK_PROGRESS)
		memcpy(at, &progress, 8);
	wr.opcode = opcodes[op->kind];
	wr.imm_data = op->imm;
	wr.send_flags =
		(op->signaled ? IBV_SEND_SIGNALED : 0) | (op->inlined ? IBV_SEND_INLINE : 0) |
		(op->solicited ? IBV_SEND_SOLICITED : 0) | (op->fence ? IBV_SEND_FENCE : 0);
	remote(f, &wr, op);
	f->sent_tail++;
	err = vc_post(&f->e, &wr);
	if (err)
		vc_die(&f->w->vc, "flow %d: post_send of %llu: %s", f->index,
		       (unsigned long long)op->n, strerror(err));
	if (op->inlined)
		for (int i = 0; i < wr.num_sge; i++)
			memset((void *)(uintptr_t)sge[i].addr, 0xdd, sge[i].length);
	f->w->ops++;
	return true;
}

/* Tell the peer how much of its WRITEs has been looked at. */
static bool tell_progress(struct flow *f, bool last)
{
	struct soak_op op = {
		.kind = SOAK_PROGRESS,
		.len = 8,
		.pieces = 1,
		.signaled = true,
		.inlined = f->checked & 1,
	};

	if (f->sent_tail - f->sent_head >= INFLIGHT ||
	    (!last && f->checked - f->progress_told < WRITE_ROOM / 4))
		return false;
	if (!post(f, &op))
		return false;
	f->progress_told = f->checked;
	return true;
}

static bool send_one(struct flow *f)
{
	struct run *run = f->w->run;
	uint64_t *seen = (uint64_t *)(f->e.buf + AT_PROGRESS);

	if (!f->has_op) {
		if (__atomic_load_n(&run->stop, __ATOMIC_RELAXED) ||
		    f->total >= soak_env("SOAK_MESSAGES", ~0ull)) {
			struct soak_op fin = { .kind = SOAK_PROGRESS, .len = 8, .signaled = true };

			if (!f->ended && f->sent_tail - f->sent_head < INFLIGHT && post(f, &fin))
				f->ended = true;
			return false;
		}
		soak_gen_next(&f->gen, &f->op);
		f->has_op = true;
	}
	if (f->op.drain && f->sent_head != f->sent_tail)
		return false;
	if (f->sent_tail - f->sent_head >= INFLIGHT)
		return false;
	if (f->op.kind <= SOAK_WRITE_IMM &&
	    f->op.write_end > __atomic_load_n(seen, __ATOMIC_ACQUIRE) + WRITE_ROOM)
		return false;
	if (!post(f, &f->op))
		return false;
	f->has_op = false;
	f->total++;
	return true;
}

static bool send_some(struct flow *f)
{
	int n = 1 + soak_rand(&f->w->rng, 16), done = 0;

	if (tell_progress(f, false))
		done++;
	if (f->ended || (f->rest_until && now_us() < f->rest_until))
		return done;
	f->rest_until = 0;
	while (n-- && send_one(f))
		done++;
	if (!soak_rand(&f->w->rng, 400))
		f->rest_until = now_us() + soak_rand(&f->w->rng, 2000);
	return done;
}

static void check_result(struct flow *f, const struct sent *s)
{
	struct vc *vc = &f->w->vc;
	uint64_t old;
	size_t good;

	if (s->op.kind == SOAK_READ) {
		good = soak_check(s->at, s->op.len, soak_seed(f, !vc->a) ^ 77, s->op.read_at);
		if (good != s->op.len)
			vc_die(vc, "flow %d: READ of %u: byte %zu is wrong", f->index, s->op.len,
			       good);
	} else if (s->op.kind == SOAK_SWAP || s->op.kind == SOAK_ADD) {
		memcpy(&old, s->at, 8);
		if (old != s->op.old)
			vc_die(vc, "flow %d: atomic found %llx, expected %llx", f->index,
			       (unsigned long long)old, (unsigned long long)s->op.old);
	}
}

/* The oldest signaled one, and the unsignaled before it. */
static void sent_done(struct flow *f, const struct ibv_wc *wc)
{
	static const enum ibv_wc_opcode right[] = {
		[SOAK_SEND] = IBV_WC_SEND,	  [SOAK_SEND_IMM] = IBV_WC_SEND,
		[SOAK_WRITE] = IBV_WC_RDMA_WRITE, [SOAK_WRITE_IMM] = IBV_WC_RDMA_WRITE,
		[SOAK_READ] = IBV_WC_RDMA_READ,	  [SOAK_SWAP] = IBV_WC_COMP_SWAP,
		[SOAK_ADD] = IBV_WC_FETCH_ADD,	  [SOAK_PROGRESS] = IBV_WC_RDMA_WRITE,
	};
	struct sent *s;

	do {
		if (f->sent_head == f->sent_tail)
			vc_die(&f->w->vc, "flow %d: completion of %llu, and nothing is under way",
			       f->index, (unsigned long long)wc->wr_id);
		s = &f->sent[f->sent_head++ % DEPTH];
		check_result(f, s);
		f->arena_head = s->arena_end;
	} while (!s->op.signaled);
	if (wc->wr_id != s->op.n || wc->opcode != right[s->op.kind])
		vc_die(&f->w->vc, "flow %d: completion of %llu (%d), expected %llu (kind %d)",
		       f->index, (unsigned long long)wc->wr_id, wc->opcode,
		       (unsigned long long)s->op.n, s->op.kind);
}

/* --- receiver ------------------------------------------------------------- */

static unsigned char *slot_at(struct flow *f, unsigned int slot)
{
	return f->e.buf + AT_SEND + f->arena_room + slot * f->slot_bytes;
}

static uint32_t least_receive(const struct flow *f)
{
	static const uint32_t shrinking[] = { 65536, 9000, 2048, 300, 64, 0 };
	uint64_t step = f->posts / 3000;

	if (!f->w->shape->shrink)
		return f->index % 2 ? 2048 : f->w->shape->cap;
	return shrinking[step < 5 ? step : 5];
}

static void guard(unsigned char *at, unsigned char *end)
{
	memset(at - GUARD, 0xa5, GUARD);
	memset(end, 0xa5, GUARD);
}

static bool guarded(const unsigned char *p)
{
	int i;

	for (i = 0; i < GUARD; i++)
		if (p[i] != 0xa5)
			return false;
	return true;
}

/* A receive in two pieces with a gap between them. */
static void post_receive(struct flow *f, unsigned int slot, uint64_t id, struct posted *p)
{
	unsigned char *at = slot_at(f, slot) + GUARD;
	struct ibv_recv_wr wr = { .wr_id = id, .num_sge = p->second ? 2 : 1 }, *bad;
	struct ibv_sge sge[2];
	int err;

	sge[0] = (struct ibv_sge){ (uintptr_t)at, p->first, f->e.mr->lkey };
	sge[1] = (struct ibv_sge){ (uintptr_t)at + p->first + GAP, p->second, f->e.mr->lkey };
	guard(at, at + p->first);
	guard(at + p->first + GAP, at + p->first + GAP + p->second);
	wr.sg_list = sge;
	err = f->e.o.srq ? ibv_post_srq_recv(f->e.o.srq, &wr, &bad) :
			   ibv_post_recv(f->e.qp, &wr, &bad);
	if (err)
		vc_die(&f->w->vc, "flow %d: post_recv: %s", f->index, strerror(err));
}

static bool slow(struct flow *f)
{
	uint64_t *rng = &f->w->rng;

	if (f->rest_recv_until && now_us() < f->rest_recv_until)
		return true;
	f->rest_recv_until = 0;
	if (soak_rand(rng, 150))
		return false;
	f->rest_recv_until = now_us() + soak_rand(rng, 3000);
	f->w->slow++;
	return true;
}

static bool receive_own(struct flow *f)
{
	bool any = false;

	if (f->posts - f->received > SLOTS / 2 || slow(f))
		return false;
	while (f->posts - f->received < SLOTS) {
		struct posted *p = &f->posted[f->posts % SLOTS];
		uint32_t need, least = least_receive(f), len;

		do
			soak_gen_next(&f->post_gen, &p->op);
		while (!soak_takes_receive(&p->op));
		need = p->op.kind == SOAK_WRITE_IMM ? 0 : p->op.len;
		len = (need > least ? need : least) + soak_rand(&f->w->rng, 4) * 50;
		p->second = soak_rand(&f->w->rng, 3) ? 0 : soak_rand(&f->w->rng, len + 1);
		p->first = len - p->second;
		post_receive(f, f->posts % SLOTS, f->posts, p);
		f->posts++;
		any = true;
	}
	return any;
}

/* All flows of a worker feed on one; its entries are all as large as can be. */
static bool receive_shared(struct worker *w)
{
	struct flow *f = &w->flow[0];
	bool any = false;

	if (w->srq_frees < SLOTS / 2 || slow(f))
		return false;
	while (w->srq_frees) {
		unsigned int slot = w->srq_free[--w->srq_frees];
		struct posted *p = &f->posted[slot];

		p->second = soak_rand(&w->rng, 2) ? 0 : soak_rand(&w->rng, 5000);
		p->first = w->shape->cap - p->second;
		post_receive(f, slot, slot, p);
		any = true;
	}
	return any;
}

static void wrong(struct flow *f, const struct soak_op *op, const char *what, size_t at)
{
	vc_die(&f->w->vc, "flow %d: operation %llu (kind %d, %u bytes), receive %llu: %s %zu",
	       f->index, (unsigned long long)op->n, op->kind, op->len,
	       (unsigned long long)op->receive, what, at);
}

/* What was written before a message is there when the message is. */
void soak_written(struct flow *f, const struct soak_op *op)
{
	size_t good =
		soak_check(f->e.buf + AT_WRITE + op->write_at % WRITE_ROOM, op->len, op->key, 0);

	if (good != op->len)
		wrong(f, op, "written byte", good);
	f->w->bytes += op->len;
}

static void check_message(struct flow *f, const struct soak_op *op, const struct ibv_wc *wc,
			  const struct posted *p, const unsigned char *at)
{
	bool imm = op->kind != SOAK_SEND, write = op->kind == SOAK_WRITE_IMM;
	uint32_t first = op->len < p->first ? op->len : p->first;
	size_t good;

	if (wc->opcode != (write ? IBV_WC_RECV_RDMA_WITH_IMM : IBV_WC_RECV))
		wrong(f, op, "opcode", wc->opcode);
	if (wc->byte_len != op->len)
		wrong(f, op, "length", wc->byte_len);
	if (!(wc->wc_flags & IBV_WC_WITH_IMM) != !imm || (imm && wc->imm_data != op->imm))
		wrong(f, op, "immediate", imm ? ntohl(wc->imm_data) : 0);
	if (!guarded(at - GUARD) || !guarded(at + p->first) ||
	    !guarded(at + p->first + GAP - GUARD) || !guarded(at + p->first + GAP + p->second))
		wrong(f, op, "wrote outside", 0);
	f->w->messages++;
	if (write) {
		soak_written(f, op);
		return;
	}
	good = soak_check(at, first, op->key, 0);
	if (good == first)
		good += soak_check(at + p->first + GAP, op->len - first, op->key, first);
	if (good != op->len)
		wrong(f, op, "byte", good);
	f->w->bytes += op->len;
}

static void received(struct flow *f, const struct ibv_wc *wc)
{
	struct flow *owner = f->w->srq ? &f->w->flow[0] : f;
	unsigned int slot = wc->wr_id % SLOTS;
	struct soak_op op;

	if (!f->w->srq && wc->wr_id != f->received)
		vc_die(&f->w->vc, "flow %d: receive %llu, expected %llu", f->index,
		       (unsigned long long)wc->wr_id, (unsigned long long)f->received);
	for (;;) {
		soak_gen_next(&f->check_gen, &op);
		if (soak_takes_receive(&op))
			break;
		if (op.kind == SOAK_WRITE)
			soak_written(f, &op);
	}
	check_message(f, &op, wc, &owner->posted[slot], slot_at(owner, slot) + GUARD);
	f->checked = op.write_end;
	f->received++;
	if (f->w->srq)
		f->w->srq_free[f->w->srq_frees++] = slot;
	if (f->w->sleeping && (!f->w->solicited_only || op.solicited))
		f->w->due++;
}

/* --- both ----------------------------------------------------------------- */

int soak_poll(struct worker *w)
{
	int i, j, n, all = 0;
	struct ibv_wc wc[16];

	for (i = 0; i < w->cqs; i++) {
		n = ibv_poll_cq(w->cq[i], 1 + soak_rand(&w->rng, 16), wc);
		if (n < 0)
			vc_die(&w->vc, "poll_cq returned %d", n);
		for (j = 0; j < n; j++) {
			struct flow *f = w->flow;

			while (f < w->flow + w->shape->flows && f->e.me.qpn != wc[j].qp_num)
				f++;
			if (f == w->flow + w->shape->flows || wc[j].status)
				vc_die(&w->vc, "completion of %llu, QP %#x: %s",
				       (unsigned long long)wc[j].wr_id, wc[j].qp_num,
				       ibv_wc_status_str(wc[j].status));
			if (wc[j].opcode & IBV_WC_RECV)
				received(f, &wc[j]);
			else
				sent_done(f, &wc[j]);
			if (w->sleeping && !w->solicited_only && !(wc[j].opcode & IBV_WC_RECV))
				w->due++;
		}
		all += n;
	}
	return all;
}

static bool spoke(struct worker *w, int ms)
{
	struct pollfd p = { .fd = w->chan->fd, .events = POLLIN };
	struct ibv_cq *cq;
	void *context;

	if (poll(&p, 1, ms) != 1)
		return false;
	if (ibv_get_cq_event(w->chan, &cq, &context))
		vc_die(&w->vc, "get_cq_event: %m");
	ibv_ack_cq_events(cq, 1);
	w->wakes++;
	return true;
}

/*
 * Armed, then polled, then asleep. A sleep that was too long for us is no
 * fault, but what came in it has to raise an event, if late.
 */
static void nap(struct worker *w)
{
	int i;

	w->solicited_only = !soak_rand(&w->rng, 3);
	for (i = 0; i < w->cqs; i++)
		if (ibv_req_notify_cq(w->cq[i], w->solicited_only))
			vc_die(&w->vc, "req_notify_cq: %m");
	if (soak_poll(w))
		return;
	w->naps++;
	if (spoke(w, 1 + soak_rand(&w->rng, 8)))
		return;
	w->sleeping = true;
	w->due = 0;
	soak_poll(w);
	w->sleeping = false;
	if (w->due && !spoke(w, 5000 * vc_slow()))
		vc_die(&w->vc, "%u completions raised no event in 5 s, armed for %s", w->due,
		       w->solicited_only ? "solicited" : "any");
}

static bool finished(struct worker *w)
{
	int i;

	for (i = 0; i < w->shape->flows; i++) {
		struct flow *f = &w->flow[i];
		struct soak_gen g = f->check_gen;
		struct soak_op op;

		if (!f->ended || f->sent_head != f->sent_tail)
			return false;
		if (!__atomic_load_n(&w->run->settled, __ATOMIC_ACQUIRE))
			return false;
		while (g.n < w->run->peer_total[w->index * MAX_FLOWS + i]) {
			soak_gen_next(&g, &op);
			if (soak_takes_receive(&op))
				return false;
		}
	}
	return true;
}

static bool told_all(struct worker *w)
{
	int i;

	for (i = 0; i < w->shape->flows; i++)
		if (w->flow[i].checked != w->flow[i].progress_told &&
		    !tell_progress(&w->flow[i], true))
			return false;
	return true;
}

void *soak_work(void *arg)
{
	struct worker *w = arg;
	unsigned int idle = 0, spins = 0;
	int i, did;

	while (!finished(w)) {
		did = soak_poll(w);
		if (w->srq)
			did += receive_shared(w);
		for (i = 0; i < w->shape->flows; i++) {
			did += !w->srq && receive_own(&w->flow[i]);
			did += send_some(&w->flow[i]);
		}
		if (did) {
			__atomic_add_fetch(&w->run->progress, did, __ATOMIC_RELAXED);
			idle = 0;
			continue;
		}
		w->spins++;
		if (++idle < spins)
			continue;
		idle = 0;
		spins = soak_rand(&w->rng, 4000);
		told_all(w);
		if (!soak_rand(&w->rng, 3))
			nap(w);
		else if (!soak_rand(&w->rng, 16))
			usleep(soak_rand(&w->rng, 500));
		else
			sched_yield();
	}
	return NULL;
}
