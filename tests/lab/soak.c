// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Everything at once, both ways, for a while: SENDs of all sizes, WRITE, READ,
 * atomics, fences, bursts and pauses, receivers that are slow or asleep. What
 * comes is known beforehand (soak_gen.h) and compared byte by byte.
 *
 *   SOAK_SECONDS (5; SIGUSR1 to both ends it earlier)  SOAK_SEED (1)  SOAK_MESSAGES (no limit)
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "soak.h"

static volatile sig_atomic_t enough;

static void on_enough(int sig __attribute__((unused)))
{
	enough = 1;
}

static void open_worker(struct vc *vc, struct worker *w)
{
	const struct shape *shape = w->shape;
	struct vc_opts o = {
		.depth = DEPTH,
		.sge = 4,
		.inline_bytes = MAX_INLINE,
		.unsignaled = true,
	};
	struct ibv_srq_init_attr init = { .attr = { .max_wr = SLOTS, .max_sge = 4 } };
	struct ibv_pd *pd = NULL;
	int i;

	w->vc = *vc;
	w->rng = soak_env("SOAK_SEED", 1) * 1000 + w->index * 2 + vc->a;
	w->chan = NULL;
	if (shape->srq) {
		pd = ibv_alloc_pd(vc->ctx);
		w->srq = pd ? ibv_create_srq(pd, &init) : NULL;
		if (!w->srq)
			vc_die(vc, "create_srq: %m");
		o.srq = w->srq;
		for (i = 0; i < SLOTS; i++)
			w->srq_free[w->srq_frees++] = i;
	}
	o.events = shape->flows == 1;
	if (!o.events) {
		w->chan = ibv_create_comp_channel(vc->ctx);
		o.cq = w->chan ? ibv_create_cq(vc->ctx, 2 * DEPTH * shape->flows, w, w->chan, 0) :
				 NULL;
		if (!o.cq)
			vc_die(vc, "create_cq: %m");
	}
	for (i = 0; i < shape->flows; i++) {
		struct flow *f = &w->flow[i];

		f->w = w;
		f->index = i;
		/* A message, those that are not signaled, what is wasted at the end, and gaps. */
		f->arena_room = (4 * shape->cap + 65536) & ~63u;
		f->slot_bytes = (shape->cap + 1024) & ~63u;
		o.len = AT_SEND + f->arena_room + SLOTS * f->slot_bytes;
		vc_open(vc, &f->e, &o);
		memset(f->e.buf, 0, AT_READ);
		soak_fill(f->e.buf + AT_READ, READ_ROOM, soak_seed(f, vc->a) ^ 77, 0);
		soak_gen_init(&f->gen, soak_seed(f, vc->a), shape->cap, MAX_INLINE, WRITE_ROOM,
			      READ_ROOM);
		soak_gen_init(&f->post_gen, soak_seed(f, !vc->a), shape->cap, MAX_INLINE,
			      WRITE_ROOM, READ_ROOM);
		f->check_gen = f->post_gen;
	}
	if (o.events) {
		w->chan = w->flow[0].e.chan;
		w->cq[w->cqs++] = w->flow[0].e.scq;
		w->cq[w->cqs++] = w->flow[0].e.rcq;
	} else {
		w->cq[w->cqs++] = o.cq;
	}
}

/* The rest: WRITEs behind the last message, and what the atomics left. */
static void check_rest(struct vc *vc, struct worker *w)
{
	struct soak_op op;
	uint64_t word;
	int i;

	for (i = 0; i < w->shape->flows; i++) {
		struct flow *f = &w->flow[i];

		while (f->check_gen.n < w->run->peer_total[w->index * MAX_FLOWS + i]) {
			soak_gen_next(&f->check_gen, &op);
			if (op.kind == SOAK_WRITE)
				soak_written(f, &op);
		}
		memcpy(&word, f->e.buf + AT_WORD, 8);
		vc_expect(vc, word == f->check_gen.word, "flow %d: what the atomics left", i);
		vc_expect(vc, f->check_gen.n > 0, "flow %d: nothing came", i);
	}
	vc_expect(vc, !soak_poll(w), "completions behind the last");
}

static void close_worker(struct vc *vc, struct worker *w)
{
	struct ibv_pd *pd = w->srq ? w->srq->pd : NULL;
	int i;

	for (i = 0; i < w->shape->flows; i++)
		vc_close(&w->flow[i].e);
	if (w->shape->flows > 1) {
		vc_expect(vc, !ibv_destroy_cq(w->cq[0]), "destroy_cq: %m");
		vc_expect(vc, !ibv_destroy_comp_channel(w->chan), "destroy_comp_channel: %m");
	}
	if (w->srq) {
		vc_expect(vc, !ibv_destroy_srq(w->srq), "destroy_srq: %m");
		vc_expect(vc, !ibv_dealloc_pd(pd), "dealloc_pd: %m");
	}
}

static const char flow_format[] =
	"[%c] worker %d flow %d QP %#x state %d: sent %llu, under way %u%s%s; "
	"receives posted %llu, done %llu; "
	"WRITEs checked %llu, told %llu, seen %llu of %llu\n";
static const char sum_format[] =
	"%s [%c]: %llu operations out, %llu messages and %llu MB checked in %llu ms: %llu/s; "
	"%llu naps, %llu woken, %llu times slow\n";

static void print_state(struct vc *vc, struct run *run, const struct shape *shape)
{
	int i, j;

	for (i = 0; i < shape->workers; i++)
		for (j = 0; j < shape->flows; j++) {
			struct flow *f = &run->worker[i].flow[j];

			printf(flow_format, vc->a ? 'A' : 'B', i, j, f->e.me.qpn, vc_state(&f->e),
			       (unsigned long long)f->total, f->sent_tail - f->sent_head,
			       f->has_op ? ", one waits" : "", f->ended ? ", ended" : "",
			       (unsigned long long)f->posts, (unsigned long long)f->received,
			       (unsigned long long)f->checked,
			       (unsigned long long)f->progress_told,
			       (unsigned long long)*(uint64_t *)(f->e.buf + AT_PROGRESS),
			       (unsigned long long)f->gen.write_pos);
		}
}

static bool all_ended(struct run *run, const struct shape *shape)
{
	int i, j;

	for (i = 0; i < shape->workers; i++)
		for (j = 0; j < shape->flows; j++) {
			struct flow *f = &run->worker[i].flow[j];

			if (!__atomic_load_n(&f->ended, __ATOMIC_ACQUIRE) ||
			    __atomic_load_n(&f->sent_head, __ATOMIC_ACQUIRE) != f->sent_tail)
				return false;
		}
	return true;
}

/* Until all that this side sends has ended; no progress for a while is a hang. */
static void watch(struct vc *vc, struct run *run, const struct shape *shape, uint64_t end)
{
	uint64_t seen = 0, since = vc_now_ms();

	while (!all_ended(run, shape)) {
		uint64_t progress = __atomic_load_n(&run->progress, __ATOMIC_RELAXED);

		usleep(20000);
		if (enough || vc_now_ms() >= end)
			__atomic_store_n(&run->stop, 1, __ATOMIC_RELAXED);
		if (progress != seen) {
			seen = progress;
			since = vc_now_ms();
		} else if (vc_now_ms() - since > 20000ull * vc_slow()) {
			print_state(vc, run, shape);
			vc_die(vc, "no progress in %d s", 20 * vc_slow());
		}
	}
}

static void hung(struct vc *vc, struct run *run, const struct shape *shape, uint64_t *end)
{
	if (vc_now_ms() < *end)
		return;
	print_state(vc, run, shape);
	vc_die(vc, "not all has arrived");
}

static void soak(struct vc *vc, const struct shape *shape)
{
	uint64_t mine[4 * MAX_FLOWS] = { 0 }, start, end, ms, n[6] = { 0 };
	struct run run = { .worker = calloc(shape->workers, sizeof(*run.worker)) };
	struct worker *w;
	int i, j;

	for (w = run.worker; w < run.worker + shape->workers; w++) {
		w->index = w - run.worker;
		w->run = &run;
		w->shape = shape;
		open_worker(vc, w);
	}
	vc_meet(vc);
	start = vc_now_ms();
	for (w = run.worker; w < run.worker + shape->workers; w++)
		if (pthread_create(&w->thread, NULL, soak_work, w))
			vc_die(vc, "no thread");
	watch(vc, &run, shape, start + soak_env("SOAK_SECONDS", 5) * 1000);
	ms = vc_now_ms() - start;
	for (i = 0; i < shape->workers; i++)
		for (j = 0; j < shape->flows; j++)
			mine[i * MAX_FLOWS + j] = run.worker[i].flow[j].total;
	vc_swap(vc, mine, run.peer_total, sizeof(mine));
	__atomic_store_n(&run.settled, 1, __ATOMIC_RELEASE);
	end = vc_now_ms() + 20000 * vc_slow();
	for (w = run.worker; w < run.worker + shape->workers; w++)
		while (pthread_tryjoin_np(w->thread, NULL)) {
			usleep(10000);
			hung(vc, &run, shape, &end);
		}
	vc_meet(vc);
	for (w = run.worker; w < run.worker + shape->workers; w++) {
		check_rest(vc, w);
		n[0] += w->ops;
		n[1] += w->messages;
		n[2] += w->bytes;
		n[3] += w->naps;
		n[4] += w->wakes;
		n[5] += w->slow;
	}
	for (w = run.worker; w < run.worker + shape->workers; w++)
		close_worker(vc, w);
	printf(sum_format, vc->test, vc->a ? 'A' : 'B', (unsigned long long)n[0],
	       (unsigned long long)n[1], (unsigned long long)n[2] / 1000000,
	       (unsigned long long)ms,
	       (unsigned long long)(n[0] * 1000 / (ms + 1)), (unsigned long long)n[3],
	       (unsigned long long)n[4], (unsigned long long)n[5]);
	free(run.worker);
}

static void one(struct vc *vc)
{
	soak(vc, &(struct shape){ 1, 1, 256 << 10, false, false });
}

static void shrinking(struct vc *vc)
{
	soak(vc, &(struct shape){ 1, 1, 66000, false, true });
}

static void several(struct vc *vc)
{
	soak(vc, &(struct shape){ 1, 4, 66000, false, false });
}

static void shared(struct vc *vc)
{
	soak(vc, &(struct shape){ 1, 3, 66000, true, false });
}

static void threads(struct vc *vc)
{
	soak(vc, &(struct shape){ 3, 2, 66000, false, false });
}

#define T(f)          \
	{             \
#f, f \
	}

static const struct vc_test tests[] = {
	T(one), T(shrinking), T(several), T(shared), T(threads), { NULL, NULL },
};

int main(int argc, char **argv)
{
	signal(SIGUSR1, on_enough);
	return vc_main(argc, argv, tests, NULL, NULL, NULL);
}
