// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Queue pairs that are reset and connected again, to the same one or another,
 * with the same PSNs or others, by both ends at once or one after the other,
 * with nothing left behind or a lot. After each time messages go both ways and
 * are checked; with REUSE_FAST=1 short ones must go through fast rings again.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verbs_common.h"

#define QPS_MAX		5
#define MESSAGES	8
#define SLOT		40960u
#define WAIT_MS		(10000 * vc_slow())
#define COUNTERS_MS	30		/* 10 ms and two ticks of 10 ms */

/* What a test leaves to chance, the same on both sides. */
struct reuse {
	struct vc *vc;
	struct vc_end e[QPS_MAX];
	struct vc_addr far[QPS_MAX];	/* the other side's, by its numbering */
	int n;
	int rounds;
	uint64_t rng;
	uint32_t talks;			/* seeds the data: none is like another */
};

static uint32_t below(struct reuse *r, uint32_t n)
{
	/* Marsaglia's xorshift64. */
	r->rng ^= r->rng << 13;
	r->rng ^= r->rng >> 7;
	r->rng ^= r->rng << 17;
	return (uint32_t)(r->rng >> 32) % n;
}

static bool fast_wanted(void)
{
	const char *fast = getenv("REUSE_FAST");

	return fast && !strcmp(fast, "1");
}

/*
 * Messages that processes on this node have sent through fast rings. The RDMA
 * core keeps the counters for 10 ms and the tick that they were read in, so
 * what was sent since would not be seen.
 */
static unsigned long fast_count(struct vc *vc)
{
	char path[200];
	unsigned long n;
	FILE *f;

	usleep(COUNTERS_MS * 1000);
	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/ports/1/hw_counters/tx_fast",
		 ibv_get_device_name(vc->ctx->device));
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lu", &n) != 1)
		vc_die(vc, "cannot read %s", path);
	fclose(f);
	return n;
}

/* --- messages --- */

/* The next completion of a queue pair, whichever kind; sleeps if it has a channel. */
static void next(struct vc_end *e, struct ibv_wc *wc)
{
	uint64_t end = vc_now_ms() + WAIT_MS;
	struct pollfd p = { .fd = e->chan ? e->chan->fd : -1, .events = POLLIN };
	struct vc *vc = e->vc;
	bool armed = false;
	struct ibv_cq *cq;
	void *arg;

	while (!ibv_poll_cq(e->scq, 1, wc) && !ibv_poll_cq(e->rcq, 1, wc)) {
		if (vc_now_ms() > end)
			vc_die(vc, "no completion within %d ms", WAIT_MS);
		if (!e->chan)
			continue;
		if (!armed) {
			if (ibv_req_notify_cq(e->scq, 0) || ibv_req_notify_cq(e->rcq, 0))
				vc_die(vc, "req_notify_cq");
			armed = true;
			continue;
		}
		if (poll(&p, 1, WAIT_MS) != 1)
			vc_die(vc, "no event within %d ms", WAIT_MS);
		if (ibv_get_cq_event(e->chan, &cq, &arg))
			vc_die(vc, "get_cq_event");
		ibv_ack_cq_events(cq, 1);
		armed = false;
	}
}

static size_t in_slot(uint32_t i)
{
	return (size_t)i * SLOT;
}

static size_t out_slot(uint32_t i)
{
	return (size_t)(MESSAGES + i) * SLOT;
}

static uint64_t seed_of(const struct reuse *r, bool from_a, int link, uint32_t i)
{
	return r->talks * 1000ull + (uint64_t)link * 100 + i * 2 + from_a;
}

static uint32_t some_length(struct reuse *r)
{
	static const uint32_t most[] = { 48, 1000, 4000, SLOT };

	return below(r, most[below(r, 4)]) + 1;
}

/* @of[k]: which of the own queue pairs is the end of link k. */
static void talk(struct reuse *r, const int *of, uint32_t count, bool shorts)
{
	uint32_t len[QPS_MAX][2][MESSAGES], i, sent, got;
	struct vc *vc = r->vc;
	struct ibv_wc wc;
	int k, a;

	r->talks++;
	for (k = 0; k < r->n; k++)
		for (a = 0; a < 2; a++)
			for (i = 0; i < count; i++)
				len[k][a][i] = shorts ? 8 : some_length(r);
	for (k = 0; k < r->n; k++) {
		for (i = 0; i < count; i++)
			vc_expect(vc, !vc_recv(&r->e[of[k]], 100 + i, in_slot(i), SLOT),
				  "post_recv");
	}
	vc_meet(vc);
	for (i = 0; i < count; i++) {
		for (k = 0; k < r->n; k++) {
			struct vc_end *e = &r->e[of[k]];
			uint32_t n = len[k][vc->a][i];

			vc_fill(e->buf + out_slot(i), n, seed_of(r, vc->a, k, i));
			vc_expect(vc, !vc_send(e, i, IBV_WR_SEND, out_slot(i), n, 0),
				  "post_send");
		}
	}
	for (k = 0; k < r->n; k++) {
		struct vc_end *e = &r->e[of[k]];

		for (sent = got = 0; sent + got < 2 * count;) {
			next(e, &wc);
			if (wc.status)
				vc_die(vc, "link %d: %s of %d", k, ibv_wc_status_str(wc.status),
				       (int)wc.wr_id);
			if (wc.wr_id < 100) {
				vc_expect(vc, wc.wr_id == sent, "link %d: send %d after %u", k,
					  (int)wc.wr_id, sent);
				sent++;
				continue;
			}
			i = got++;
			/* Receives of a shared queue go to whoever comes first. */
			if (!e->o.srq)
				vc_expect(vc, wc.wr_id == 100 + i, "link %d: receive %d", k,
					  (int)wc.wr_id - 100);
			vc_expect(vc, wc.byte_len == len[k][!vc->a][i] &&
				  wc.qp_num == e->qp->qp_num,
				  "link %d: %u bytes, not %u", k, wc.byte_len,
				  len[k][!vc->a][i]);
			vc_check(vc, e->buf + in_slot((uint32_t)wc.wr_id - 100), wc.byte_len,
				 seed_of(r, !vc->a, k, i), "message");
		}
		vc_idle(vc, e->scq);
		vc_idle(vc, e->rcq);
	}
	vc_meet(vc);
}

/* Until all queue pairs have sent all of a few short messages through fast rings. */
static void talk_fast(struct reuse *r, const int *of)
{
	struct vc *vc = r->vc;
	unsigned long before, now;
	char mine, theirs;
	uint64_t end = vc_now_ms() + WAIT_MS;

	if (!fast_wanted())
		return;
	now = fast_count(vc);
	do {
		if (vc_now_ms() > end)
			vc_die(vc, "the fast rings are not used again");
		before = now;
		talk(r, of, 2, true);
		now = fast_count(vc);
		mine = now - before >= 2ul * r->n;
		vc_swap(vc, &mine, &theirs, 1);
	} while (!mine || !theirs);
}

/* --- connecting --- */

/* Something that the other end does not take before it is reset. */
static void leave_unread(struct reuse *r)
{
	int k, i;

	for (k = 0; k < r->n; k++)
		for (i = 0; i < 3; i++)
			vc_expect(r->vc, !vc_send(&r->e[k], 90, IBV_WR_SEND, out_slot(i),
						  i == 1 ? SLOT : 20, 0), "post_send");
}

static void reconnect(struct reuse *r, bool by_error)
{
	int k;

	for (k = 0; k < r->n; k++) {
		if (by_error)
			vc_to(&r->e[k], IBV_QPS_ERR);
		vc_to(&r->e[k], IBV_QPS_RESET);
		vc_to_init(&r->e[k]);
		vc_to_rtr(&r->e[k]);
		vc_to_rts(&r->e[k]);
	}
}

/* Who is linked to whom now, and by which PSNs. */
static void shuffle(struct reuse *r, int *of, bool same_psn)
{
	int perm[QPS_MAX], k, i;

	for (k = 0; k < r->n; k++)
		perm[k] = k;
	for (k = r->n - 1; k > 0; k--) {
		i = (int)below(r, k + 1);
		of[k] = perm[k];
		perm[k] = perm[i];
		perm[i] = of[k];
	}
	for (k = 0; k < r->n; k++) {
		/* Link k joins A's queue pair k and B's perm[k]. */
		uint32_t psn[2] = { below(r, 1 << 24), below(r, 1 << 24) };
		struct vc_end *e;

		if (same_psn)
			memset(psn, 0, sizeof(psn));
		of[k] = r->vc->a ? k : perm[k];
		e = &r->e[of[k]];
		e->peer = r->far[r->vc->a ? perm[k] : k];
		e->me.psn = psn[r->vc->a];
		e->peer.psn = psn[!r->vc->a];
	}
}

static void again(struct reuse *r, int round)
{
	/* Both at once; A, and B when A is through; the reverse. */
	int order = (int)below(r, 3);
	bool a_first = order == 1;
	bool unread = below(r, 3) == 0;
	/* What is still on its way must be told from what is new by something. */
	bool same_psn = !unread && round % 2;
	bool by_error = below(r, 4) == 0;
	struct vc *vc = r->vc;
	int of[QPS_MAX];

	if (unread)
		leave_unread(r);
	vc_meet(vc);
	shuffle(r, of, same_psn);
	if (order == 0 || a_first == vc->a)
		reconnect(r, by_error);
	vc_meet(vc);
	if (order != 0 && a_first != vc->a)
		reconnect(r, by_error);
	vc_meet(vc);
	talk(r, of, MESSAGES, false);
	talk_fast(r, of);
}

static void reuse(struct vc *vc, int n, int rounds, const struct vc_opts *opts)
{
	const char *env = getenv("REUSE_ROUNDS");
	struct reuse r = { .vc = vc, .n = n, .rounds = rounds };
	struct vc_addr near[QPS_MAX];
	uint64_t mine, theirs;
	int k, of[QPS_MAX];

	env = env ? env : "0";
	if (atoi(env))
		r.rounds = atoi(env);
	mine = (uint64_t)vc_now_ms() * 2 + 1;
	env = getenv("REUSE_SEED");
	if (env)
		mine = strtoull(env, NULL, 0) * 2 + 1;
	vc_swap(vc, &mine, &theirs, sizeof(mine));
	r.rng = (vc->a ? mine : theirs) * 0x9e3779b97f4a7c15ull;
	for (k = 0; k < n; k++) {
		struct vc_opts o = opts ? *opts : (struct vc_opts){ 0 };

		o.len = 2 * MESSAGES * SLOT;
		vc_make(vc, &r.e[k], &o);
		near[k] = r.e[k].me;
	}
	vc_swap(vc, near, r.far, sizeof(near));
	shuffle(&r, of, true);
	for (k = 0; k < n; k++) {
		vc_to_init(&r.e[k]);
		vc_to_rtr(&r.e[k]);
		vc_to_rts(&r.e[k]);
	}
	vc_meet(vc);
	talk(&r, of, MESSAGES, false);
	for (k = 0; k < r.rounds; k++)
		again(&r, k);
	for (k = 0; k < n; k++)
		vc_close(&r.e[k]);
}

static void one(struct vc *vc)
{
	reuse(vc, 1, 100, NULL);
}

static void several(struct vc *vc)
{
	reuse(vc, QPS_MAX, 30, NULL);
}

static void asleep(struct vc *vc)
{
	struct vc_opts o = { .events = true };

	reuse(vc, 1, 60, &o);
}

static void shared(struct vc *vc)
{
	struct ibv_srq_init_attr init = { .attr = { .max_wr = 64, .max_sge = 1 } };
	struct vc_opts o = { 0 };
	struct ibv_pd *pd = ibv_alloc_pd(vc->ctx);

	o.srq = ibv_create_srq(pd, &init);
	if (!o.srq)
		vc_die(vc, "create_srq: %m");
	reuse(vc, 1, 60, &o);
	vc_expect(vc, !ibv_destroy_srq(o.srq), "destroy_srq");
	vc_expect(vc, !ibv_dealloc_pd(pd), "dealloc_pd");
}

static const struct vc_test tests[] = {
	{ "one", one }, { "several", several }, { "asleep", asleep }, { "shared", shared },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, NULL, NULL, NULL);
}
