// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Completion events, and progress of those who sleep. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "verbs_common.h"

#define MIB (1024 * 1024)

/* Sleep until the channel speaks; the CQ it spoke of. */
static struct ibv_cq *wait_event(struct vc_end *e)
{
	struct ibv_cq *cq = NULL;
	void *context;

	if (!vc_readable(e->chan->fd, 10000 * vc_slow()))
		vc_die(e->vc, "no completion event");
	if (ibv_get_cq_event(e->chan, &cq, &context))
		vc_die(e->vc, "get_cq_event: %m");
	vc_expect(e->vc, context == e, "context of the event");
	ibv_ack_cq_events(cq, 1);
	return cq;
}

static void arm(struct vc_end *e, struct ibv_cq *cq, int solicited)
{
	vc_expect(e->vc, !ibv_req_notify_cq(cq, solicited), "req_notify_cq");
}

/* Both sides sleep between messages; no wake-up may be lost. */
static void event_pingpong(struct vc *vc)
{
	struct vc_opts o = { .events = true };
	struct vc_end e;
	int i;

	vc_open(vc, &e, &o);
	vc_expect(vc, !vc_recv(&e, 0, 0, 4096), "post_recv");
	arm(&e, e.rcq, 0);
	vc_meet(vc);
	if (vc->a)
		vc_send(&e, 0, IBV_WR_SEND, 8192, 100, 0);
	for (i = 0; i < 100; i++) {
		vc_expect(vc, wait_event(&e) == e.rcq, "CQ of the event");
		vc_done(vc, e.rcq, i, IBV_WC_SUCCESS);
		vc_expect(vc, !vc_recv(&e, i + 1, 0, 4096), "post_recv");
		arm(&e, e.rcq, 0);
		if (vc->a) {
			vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
			if (i < 99)
				vc_send(&e, i + 1, IBV_WR_SEND, 8192, 100, 0);
		} else {
			vc_send(&e, i, IBV_WR_SEND, 8192, 100, 0);
			vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
		}
	}
	vc_close(&e);
}

/* Armed for solicited: plain messages do not wake, a solicited one does. */
static void solicited_only(struct vc *vc)
{
	struct vc_opts o = { .events = true };
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct vc_end e;
	int i;

	vc_open(vc, &e, &o);
	if (!vc->a) {
		for (i = 0; i < 8; i++)
			vc_expect(vc, !vc_recv(&e, i, 0, 64), "post_recv");
		arm(&e, e.rcq, 1);
	}
	vc_meet(vc);
	for (i = 0; vc->a && i < 4; i++) {
		vc_send(&e, i, IBV_WR_SEND, 0, 64, 0);
		vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
	}
	vc_meet(vc);
	if (!vc->a) {
		for (i = 0; i < 4; i++)
			vc_done(vc, e.rcq, i, IBV_WC_SUCCESS);
		vc_expect(vc, !vc_readable(e.chan->fd, 0),
			  "an unsolicited message woke the channel");
	}
	vc_meet(vc);
	if (vc->a) {
		vc_wr(&e, &wr, &sge, 9, IBV_WR_SEND, 0, 64, 0);
		wr.send_flags |= IBV_SEND_SOLICITED;
		vc_expect(vc, !vc_post(&e, &wr), "post_send solicited");
		vc_done(vc, e.scq, 9, IBV_WC_SUCCESS);
	} else {
		vc_expect(vc, wait_event(&e) == e.rcq, "CQ of the event");
		vc_done(vc, e.rcq, 4, IBV_WC_SUCCESS);
	}
	vc_close(&e);
}

/* An error completion wakes one who waits for solicited events only. */
static void error_wakes_solicited(struct vc *vc)
{
	struct vc_opts o = { .events = true };
	struct vc_end e;

	vc_open(vc, &e, &o);
	vc_expect(vc, !vc_recv(&e, 1, 0, 64), "post_recv");
	arm(&e, e.rcq, 1);
	vc_to(&e, IBV_QPS_ERR);
	vc_expect(vc, wait_event(&e) == e.rcq, "CQ of the event");
	vc_done(vc, e.rcq, 1, IBV_WC_WR_FLUSH_ERR);
	vc_close(&e);
}

static unsigned int next(uint64_t *rng, unsigned int below)
{
	*rng = *rng * 6364136223846793005ull + 1442695040888963407ull;
	return (*rng >> 33) % below;
}

static void spin_us(unsigned int us)
{
	struct timespec ts;
	uint64_t end, now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	end = ts.tv_sec * 1000000ull + ts.tv_nsec / 1000 + us;
	do {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		now = ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
	} while (now < end);
}

/* A message comes: by polling, or armed, polled and slept for. */
static void sleep_for(struct vc_end *e, unsigned int round, bool sleeps, bool solicited)
{
	struct vc *vc = e->vc;
	struct ibv_cq *cq;
	struct ibv_wc wc;
	void *context;

	while (sleeps) {
		arm(e, e->rcq, solicited);
		if (ibv_poll_cq(e->rcq, 1, &wc))
			goto came;
		if (!vc_readable(e->chan->fd, 10000 * vc_slow())) {
			bool there = ibv_poll_cq(e->rcq, 1, &wc);

			vc_die(vc, "round %u, armed for %s: no event in 10 s; message %s, state %d",
			       round, solicited ? "solicited" : "any",
			       there ? "there" : "not there", vc_state(e));
		}
		if (ibv_get_cq_event(e->chan, &cq, &context))
			vc_die(vc, "get_cq_event: %m");
		ibv_ack_cq_events(cq, 1);
		if (ibv_poll_cq(e->rcq, 1, &wc))
			goto came;
	}
	vc_next(vc, e->rcq, &wc);
came:
	vc_expect(vc, !wc.status && wc.wr_id == round, "round %u: receive %llu: %s", round,
		  (unsigned long long)wc.wr_id, ibv_wc_status_str(wc.status));
}

/* Thousands of rounds with delays that hit every moment of falling asleep. */
static void sleepers(struct vc *vc)
{
	unsigned int rounds = getenv("PCV_FULL") && *getenv("PCV_FULL") ? 50000 : 3000, i;
	struct vc_opts o = { .events = true };
	uint64_t rng = 5 + vc->a;
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct vc_end e;

	vc_open(vc, &e, &o);
	for (i = 0; i < 8; i++)
		vc_expect(vc, !vc_recv(&e, i, 0, 4096), "post_recv");
	vc_meet(vc);
	for (i = 0; i < rounds; i++) {
		bool sleeps = next(&rng, 4);

		if (vc->a != i % 2) {
			sleep_for(&e, i / 2, sleeps, next(&rng, 2));
			vc_expect(vc, !vc_recv(&e, i / 2 + 8, 0, 4096), "post_recv");
			continue;
		}
		if (next(&rng, 2))
			spin_us(next(&rng, 120));
		/* Solicited always: who sleeps may have armed for these alone. */
		vc_wr(&e, &wr, &sge, i, IBV_WR_SEND, 8192,
		      next(&rng, 8) ? next(&rng, 200) : 4096, 0);
		wr.send_flags |= IBV_SEND_SOLICITED;
		vc_expect(vc, !vc_post(&e, &wr), "post_send");
		vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
	}
	vc_close(&e);
}

/* Nobody is woken who only polls: what arms is counted, and no more comes. */
static void pollers_are_left_alone(struct vc *vc)
{
	struct vc_opts o = { .events = true };
	unsigned int i, events = 0;
	struct ibv_cq *cq;
	struct vc_end e;
	void *context;

	vc_open(vc, &e, &o);
	for (i = 0; i < 8; i++)
		vc_expect(vc, !vc_recv(&e, i, 0, 64), "post_recv");
	/* Armed once: that, and what making it ready costs, may speak. */
	arm(&e, e.rcq, 0);
	vc_meet(vc);
	for (i = 0; i < 2000; i++) {
		if (vc->a)
			vc_expect(vc, !vc_send(&e, i, IBV_WR_SEND, 8192, i % 64, 0), "post_send");
		vc_done(vc, e.rcq, i, IBV_WC_SUCCESS);
		vc_expect(vc, !vc_recv(&e, i + 8, 0, 64), "post_recv");
		if (!vc->a)
			vc_expect(vc, !vc_send(&e, i, IBV_WR_SEND, 8192, i % 64, 0), "post_send");
		vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
	}
	vc_meet(vc);
	while (vc_readable(e.chan->fd, 50)) {
		vc_expect(vc, !ibv_get_cq_event(e.chan, &cq, &context), "get_cq_event");
		ibv_ack_cq_events(cq, 1);
		events++;
	}
	vc_expect(vc, events == 1, "%u events for one arming", events);
	vc_close(&e);
}

/* B posts one receive of 8 MiB and sleeps. A, who polls, must finish. */
static void progress_without_polling(struct vc *vc)
{
	struct vc_opts o = { .len = 8 * MIB, .events = true };
	struct vc_end e;

	vc_open(vc, &e, &o);
	if (vc->a) {
		vc_fill(e.buf, 8 * MIB, 6);
		vc_meet(vc);
		vc_expect(vc, !vc_send(&e, 1, IBV_WR_SEND, 0, 8 * MIB, 0), "s");
		vc_done(vc, e.scq, 1, IBV_WC_SUCCESS);
		vc_meet(vc);
	} else {
		vc_expect(vc, !vc_recv(&e, 2, 0, 8 * MIB), "post_recv");
		vc_meet(vc);
		/* In read(), until A has seen its completion. */
		vc_meet(vc);
		vc_done(vc, e.rcq, 2, IBV_WC_SUCCESS);
		vc_check(vc, e.buf, 8 * MIB, 6, "8 MiB");
	}
	/* The other way A posts and sleeps: B still gets all of it. */
	if (vc->a) {
		vc_meet(vc);
		vc_expect(vc, !vc_send(&e, 3, IBV_WR_SEND, 0, 8 * MIB, 0), "s");
		vc_meet(vc);
		vc_done(vc, e.scq, 3, IBV_WC_SUCCESS);
	} else {
		memset(e.buf, 0, 8 * MIB);
		vc_expect(vc, !vc_recv(&e, 4, 0, 8 * MIB), "post_recv");
		arm(&e, e.rcq, 0);
		vc_meet(vc);
		vc_expect(vc, wait_event(&e) == e.rcq, "CQ of the event");
		vc_done(vc, e.rcq, 4, IBV_WC_SUCCESS);
		vc_check(vc, e.buf, 8 * MIB, 6, "8 MiB");
		vc_meet(vc);
	}
	vc_close(&e);
}

/* Whatever has spoken so far; then armed, and nothing is there. */
static void fall_asleep(struct vc_end *e, int solicited)
{
	struct ibv_cq *cq;
	void *context;

	do {
		arm(e, e->rcq, solicited);
		vc_idle(e->vc, e->rcq);
	} while (vc_readable(e->chan->fd, 50 * vc_slow()) &&
		 !ibv_get_cq_event(e->chan, &cq, &context) && (ibv_ack_cq_events(cq, 1), true));
}

/* A message and no receive for it: the post, later, owes its sleeper an event. */
static void late_receive(struct vc *vc, struct ibv_srq *srq)
{
	struct vc_opts o = { .events = true, .srq = srq };
	struct ibv_send_wr wr;
	struct ibv_sge sge;
	struct vc_end e;
	int i;

	vc_open(vc, &e, &o);
	/* From the first one on a sender knows what may come without the kernels. */
	vc_expect(vc, !vc_recv(&e, 0, 0, 20000), "post_recv");
	arm(&e, e.rcq, 0);
	vc_meet(vc);
	vc_send(&e, 0, IBV_WR_SEND, 0, 64, 0);
	vc_done(vc, e.scq, 0, IBV_WC_SUCCESS);
	vc_done(vc, e.rcq, 0, IBV_WC_SUCCESS);
	for (i = 1; i < 9; i++) {
		vc_meet(vc);
		if (vc->a) {
			vc_wr(&e, &wr, &sge, i, IBV_WR_SEND, 0, i & 2 ? 20000 : 64, 0);
			wr.send_flags |= i & 1 ? IBV_SEND_SOLICITED : 0;
			vc_expect(vc, !vc_post(&e, &wr), "post_send");
		}
		vc_meet(vc);
		if (!vc->a) {
			fall_asleep(&e, i & 1);
			vc_expect(vc, !vc_recv(&e, i, 0, 20000), "post_recv");
			vc_expect(vc, wait_event(&e) == e.rcq, "CQ of the event");
			vc_done(vc, e.rcq, i, IBV_WC_SUCCESS);
		} else {
			vc_done(vc, e.scq, i, IBV_WC_SUCCESS);
		}
	}
	vc_close(&e);
}

static struct ibv_srq *shared_queue(struct vc *vc, struct ibv_pd **pd)
{
	struct ibv_srq_init_attr init = { .attr = { .max_wr = 16, .max_sge = 1 } };
	struct ibv_srq *srq;

	*pd = ibv_alloc_pd(vc->ctx);
	srq = *pd ? ibv_create_srq(*pd, &init) : NULL;
	if (!srq)
		vc_die(vc, "create_srq: %m");
	return srq;
}

static void shared_queue_end(struct vc *vc, struct ibv_srq *srq, struct ibv_pd *pd)
{
	vc_expect(vc, !ibv_destroy_srq(srq), "destroy_srq");
	vc_expect(vc, !ibv_dealloc_pd(pd), "dealloc_pd");
}

static void receive_comes_late(struct vc *vc)
{
	late_receive(vc, NULL);
}

static void shared_receive_comes_late(struct vc *vc)
{
	struct ibv_pd *pd;
	struct ibv_srq *srq = shared_queue(vc, &pd);

	late_receive(vc, srq);
	shared_queue_end(vc, srq, pd);
}

/*
 * A solicited message, which goes through the kernels because something in front
 * of it does, behind an unsolicited one that does not: it wakes all the same.
 */
static void solicited_behind(struct vc *vc)
{
	struct vc_opts o = { .events = true };
	struct ibv_send_wr wr[2], *bad;
	struct ibv_sge sge[2];
	struct ibv_pd *pd;
	struct vc_end e;
	int i;

	o.srq = shared_queue(vc, &pd);
	vc_open(vc, &e, &o);
	for (i = 0; i < 4; i++)
		vc_expect(vc, !vc_recv(&e, 0, 0, 64), "post_recv");
	arm(&e, e.rcq, 1);
	vc_meet(vc);
	for (i = 0; i < 20; i++) {
		if (vc->a) {
			vc_send(&e, 1, IBV_WR_SEND, 0, 64, 0);
			vc_done(vc, e.scq, 1, IBV_WC_SUCCESS);
			vc_wr(&e, &wr[0], &sge[0], 2, IBV_WR_RDMA_READ, 0, 64, 64);
			vc_wr(&e, &wr[1], &sge[1], 3, IBV_WR_SEND, 0, 64, 0);
			wr[0].next = &wr[1];
			wr[1].send_flags |= IBV_SEND_SOLICITED;
			vc_expect(vc, !ibv_post_send(e.qp, wr, &bad), "post_send");
			vc_done(vc, e.scq, 2, IBV_WC_SUCCESS);
			vc_done(vc, e.scq, 3, IBV_WC_SUCCESS);
		} else {
			vc_expect(vc, wait_event(&e) == e.rcq, "CQ of the event");
			vc_done(vc, e.rcq, 0, IBV_WC_SUCCESS);
			vc_done(vc, e.rcq, 0, IBV_WC_SUCCESS);
			vc_expect(vc, !vc_recv(&e, 0, 0, 64), "post_recv");
			vc_expect(vc, !vc_recv(&e, 0, 0, 64), "post_recv");
			fall_asleep(&e, 1);
		}
		vc_meet(vc);
	}
	vc_close(&e);
	shared_queue_end(vc, o.srq, pd);
}

#define IDLERS 8

static void idlers_send(struct vc *vc, struct vc_end *e)
{
	vc_expect(vc, !vc_send(e, 99, IBV_WR_SEND, 0, 64, 0), "post_send");
	vc_done(vc, e->o.cq, 99, IBV_WC_SUCCESS);
}

/* Polls for longer than queue pairs without messages are looked at by each poll. */
static void spin(struct vc *vc, struct ibv_cq *cq)
{
	struct ibv_wc wc;
	int i;

	for (i = 0; i < 70000; i++)
		vc_expect(vc, !ibv_poll_cq(cq, 1, &wc), "a message too many");
}

/*
 * A queue pair among several has been idle for long, and its peer knows that nobody
 * sleeps. What comes then is found by the one poll that follows the arming, or
 * raises its event.
 */
static void idle_among_others(struct vc *vc)
{
	struct ibv_comp_channel *chan = ibv_create_comp_channel(vc->ctx);
	struct vc_end e[IDLERS];
	struct vc_opts o = { 0 };
	struct ibv_cq *cq;
	struct ibv_wc wc;
	void *context;
	int i, k;

	o.cq = chan ? ibv_create_cq(vc->ctx, 256, NULL, chan, 0) : NULL;
	if (!o.cq)
		vc_die(vc, "create_cq: %m");
	for (i = 0; i < IDLERS; i++) {
		vc_open(vc, &e[i], &o);
		for (k = 0; k < 4; k++)
			vc_expect(vc, !vc_recv(&e[i], i, 0, 64), "post_recv");
	}
	if (!vc->a)
		vc_expect(vc, !ibv_req_notify_cq(o.cq, 0), "req_notify_cq");
	for (i = 0; i < IDLERS; i++) {
		vc_meet(vc);
		/* Called for, and answered. */
		if (vc->a) {
			idlers_send(vc, &e[i]);
		} else {
			vc_done(vc, o.cq, i, IBV_WC_SUCCESS);
			vc_expect(vc, !vc_recv(&e[i], i, 0, 64), "post_recv");
			spin(vc, o.cq);
		}
		vc_meet(vc);
		/* Then the others have something to say. */
		for (k = 0; k < IDLERS - 1; k++) {
			int other = (i + 1 + k) % IDLERS;

			if (vc->a) {
				idlers_send(vc, &e[other]);
				continue;
			}
			vc_next(vc, o.cq, &wc);
			vc_expect(vc, !wc.status && (int)wc.wr_id != i, "%d: %s", (int)wc.wr_id,
				  ibv_wc_status_str(wc.status));
			vc_expect(vc, !vc_recv(&e[wc.wr_id], wc.wr_id, 0, 64), "post_recv");
		}
		if (!vc->a)
			spin(vc, o.cq);
		while (!vc->a && vc_readable(chan->fd, 0) &&
		       !ibv_get_cq_event(chan, &cq, &context))
			ibv_ack_cq_events(cq, 1);
		vc_meet(vc);
		if (vc->a)
			idlers_send(vc, &e[i]);
		vc_meet(vc);
		if (vc->a)
			continue;
		vc_expect(vc, !ibv_req_notify_cq(o.cq, 0), "req_notify_cq");
		if (!ibv_poll_cq(o.cq, 1, &wc)) {
			if (!vc_readable(chan->fd, 10000 * vc_slow()))
				vc_die(vc, "round %d: neither a message nor an event", i);
			vc_next(vc, o.cq, &wc);
		}
		vc_expect(vc, !wc.status && (int)wc.wr_id == i, "%d: %s", (int)wc.wr_id,
			  ibv_wc_status_str(wc.status));
		vc_expect(vc, !vc_recv(&e[i], i, 0, 64), "post_recv");
	}
	for (i = 0; i < IDLERS; i++)
		vc_close(&e[i]);
	vc_expect(vc, !ibv_destroy_cq(o.cq), "destroy_cq");
	vc_expect(vc, !ibv_destroy_comp_channel(chan), "destroy_comp_channel");
}

#define T(f) { #f, f }

static const struct vc_test tests[] = {
	T(event_pingpong), T(solicited_only), T(error_wakes_solicited), T(sleepers),
	T(pollers_are_left_alone), T(progress_without_polling), T(receive_comes_late),
	T(shared_receive_comes_late), T(solicited_behind), T(idle_among_others), { NULL, NULL },
};

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, NULL, NULL, NULL);
}
