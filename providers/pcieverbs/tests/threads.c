// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A program that posts, a program that polls and sleeps, and a kernel that
 * sleeps, each in a thread of its own. A wake-up that is lost by any of them
 * shows as a test that does not get on.
 */
#include <sched.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

#include "setup.h"

#define QPS		3		/* the last two share a receive queue */
#define PATIENCE_S	30

/* The kernel's notes on a queue pair. */
struct kernel_qp {
	struct fake_qp *fq;
	bool asleep;			/* for sends, until a kick */
	uint32_t asleep_kicks;
	bool ring_full;			/* until a kick */
	uint32_t ring_kicks;
	bool has_recv;
	uint32_t recv;
	uint32_t sends, recvs;
};

static struct ibv_context *ctx;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct ibv_srq *srq;
static struct ibv_qp *qp[QPS];
static struct ibv_mr *mr;
static uint64_t buf[64];
static struct kernel_qp kernel_qp[QPS];
static sem_t event;
static uint32_t rounds;
static uint32_t stop;

/* What follows a hint: wake who sleeps on the completion queue. */
static void kernel_event(void)
{
	uint32_t *armed = &fake_cq(cq)->armed;

	/* PCV(cq_armed:B) pairs with cq_armed:A: completed first, then a look. */
	pcv_cpu_mb();
	if (PCV_LOAD(armed) == PCV_CQ_ARMED_ANY &&
	    pcv_word_change(armed, PCV_CQ_ARMED_ANY, PCV_CQ_DISARMED))
		sem_post(&event);
}

static bool kernel_sends(struct kernel_qp *k)
{
	const struct pcv_swqe *wqe;
	bool did = false;

	if (k->asleep && fake_kicks(k->fq) == k->asleep_kicks)
		return false;
	k->asleep = false;
	fake_kick_unask(k->fq, PCV_KICK_SEND);
	while ((wqe = fake_send_take(k->fq))) {
		CHECK_EQ(wqe->wr_id, k->sends);
		CHECK_EQ(wqe->opcode, PCV_WR_SEND);
		fake_send_end(k->fq, PCV_WC_SUCCESS, k->sends++);
		kernel_event();
		did = true;
	}
	if (did)
		return true;
	k->asleep_kicks = fake_kicks(k->fq);
	fake_kick_ask(k->fq, PCV_KICK_SEND);
	/* PCV(qp_sq_tail:B) pairs with qp_sq_tail:A: slots before their count. */
	k->asleep = pcv_cpu_load_acquire(&k->fq->shared->sq_tail) == k->fq->sq_taken;
	return !k->asleep;
}

static int kernel_place(struct kernel_qp *k)
{
	uint64_t payload[2] = { k->recvs, ~(uint64_t)k->recvs };

	/* Every other message of the queue pair of its own travels in the ring. */
	if (!k->fq->srq && k->recvs & 1)
		return fake_rx_head_data(k->fq, 0, 0, 0, payload, sizeof(payload));
	return fake_rx_placed(k->fq, k->recv, 0);
}

static bool kernel_recvs(struct kernel_qp *k)
{
	struct pcv_rwqe wqe;

	if (k->recvs == rounds)
		return false;
	if (!k->has_recv) {
		if (!fake_recv_take(k->fq, &k->recv, &wqe))
			return false;
		CHECK_EQ(wqe.num_sge, 1);
		k->has_recv = true;
	}
	if (k->ring_full && fake_kicks(k->fq) == k->ring_kicks)
		return false;
	k->ring_full = false;
	k->ring_kicks = fake_kicks(k->fq);
	if (kernel_place(k) < 0) {
		fake_kick_ask(k->fq, PCV_KICK_RING);
		if (kernel_place(k) < 0) {
			k->ring_full = true;
			return false;
		}
	}
	fake_kick_unask(k->fq, PCV_KICK_RING);
	k->has_recv = false;
	k->recvs++;
	kernel_event();
	return true;
}

static void *kernel_main(void *arg)
{
	bool did;
	int i;

	(void)arg;
	while (!PCV_LOAD(&stop)) {
		did = false;
		for (i = 0; i < QPS; i++) {
			did |= kernel_sends(&kernel_qp[i]);
			did |= kernel_recvs(&kernel_qp[i]);
		}
		if (!did)
			sched_yield();
	}
	return NULL;
}

static void *poster_main(void *arg)
{
	struct ibv_sge sge = { (uintptr_t)buf, sizeof(buf), mr->lkey };
	uint32_t sent[QPS] = { 0 }, posted = 0, shared = 0;
	bool did, left;
	int i;

	(void)arg;
	do {
		did = false;
		left = false;
		for (i = 0; i < QPS; i++) {
			if (sent[i] < rounds && !setup_send(qp[i], sent[i], IBV_SEND_SIGNALED)) {
				sent[i]++;
				did = true;
			}
			left |= sent[i] < rounds;
		}
		if (posted < rounds && !setup_recv(qp[0], posted, &sge, 1)) {
			posted++;
			did = true;
		}
		if (shared < 2 * rounds && !setup_srq_recv(srq, shared, &sge, 1)) {
			shared++;
			did = true;
		}
		left |= posted < rounds || shared < 2 * rounds;
		if (!did)
			sched_yield();
	} while (left);
	return NULL;
}

static void wait_event(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	CHECK(!sem_timedwait(&event, &until));
}

static void poll_all(void)
{
	uint32_t sent[QPS] = { 0 }, received[QPS] = { 0 };
	uint32_t left = 2 * QPS * rounds;
	struct ibv_wc wc[8];
	uint8_t *seen;
	int i, n, q;

	seen = calloc(2, rounds);
	CHECK(seen);
	while (left) {
		n = pcv_cq_poll(cq, 8, wc);
		if (!n) {
			CHECK(!pcv_cq_arm(cq, 0));
			n = pcv_cq_poll(cq, 8, wc);
			if (!n)
				wait_event();
		}
		for (i = 0; i < n; i++) {
			CHECK_EQ(wc[i].status, IBV_WC_SUCCESS);
			for (q = 0; wc[i].qp_num != qp[q]->qp_num; q++)
				CHECK(q < QPS - 1);
			if (wc[i].opcode == IBV_WC_SEND) {
				CHECK_EQ(wc[i].wr_id, sent[q]);
				CHECK_EQ(wc[i].byte_len, sent[q]);
				sent[q]++;
			} else if (q) {
				CHECK(wc[i].wr_id < 2 * rounds && !seen[wc[i].wr_id]);
				seen[wc[i].wr_id] = 1;
				received[q]++;
			} else {
				CHECK_EQ(wc[i].wr_id, received[0]);
				if (received[0] & 1)
					CHECK_EQ(wc[i].byte_len, 16);
				received[0]++;
			}
		}
		left -= (uint32_t)n;
	}
	for (q = 0; q < QPS; q++) {
		CHECK_EQ(sent[q], rounds);
		CHECK_EQ(received[q], rounds);
	}
	free(seen);
}

static void test_all(void)
{
	pthread_t kernel, poster;
	int i;

	ctx = fake_open();
	/* Small, so that everything is full or empty much of the time. */
	fake_limits.sq_count = 8;
	fake_limits.rq_count = 8;
	fake_limits.ring_count = 4;
	fake_limits.srq_count = 8;
	pd = pcv_pd_alloc(ctx);
	cq = pcv_cq_create(ctx, 16, NULL, 0);
	CHECK(pd && cq);
	mr = pcv_mr_reg(pd, buf, sizeof(buf), (uintptr_t)buf, IBV_ACCESS_LOCAL_WRITE);
	srq = setup_srq(pd);
	CHECK(mr);
	for (i = 0; i < QPS; i++) {
		qp[i] = setup_qp(pd, cq, cq, i ? srq : NULL, IBV_QPT_RC);
		setup_rts(qp[i]);
		kernel_qp[i].fq = fake_qp(qp[i]);
	}
	sem_init(&event, 0, 0);

	CHECK(!pthread_create(&kernel, NULL, kernel_main, NULL));
	CHECK(!pthread_create(&poster, NULL, poster_main, NULL));
	poll_all();
	pthread_join(poster, NULL);
	PCV_STORE(&stop, 1);
	pthread_join(kernel, NULL);

	sem_destroy(&event);
	for (i = 0; i < QPS; i++)
		CHECK(!pcv_qp_destroy(qp[i]));
	CHECK(!pcv_mr_dereg((struct verbs_mr *)mr));
	CHECK(!pcv_srq_destroy(srq));
	CHECK(!pcv_cq_destroy(cq));
	CHECK(!pcv_pd_free(pd));
	fake_close();
}

static const struct pcv_case cases[] = {
	{ "all", test_all },
};

int main(int argc, char **argv)
{
	const char *more = getenv("PCV_TEST_ROUNDS");

	rounds = more ? (uint32_t)strtoul(more, NULL, 0) : 20000;
	/* A lost wake-up hangs whoever waits without a clock. */
	alarm(5 * PATIENCE_S);
	return pcv_check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
