// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A message in the fast ring and no receive for it; a receive kept for a message that is void. */
#include "side.h"

/* Takes all receives that are there, by messages that fit them. */
static void empty_queue(void)
{
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK(took_fast(&a));
	expect_recv(&b, 1000, 8);
}

static void arm(int solicited)
{
	PCV_STORE(&fake_cq(b.cq)->armed, PCV_CQ_DISARMED);
	CHECK(!pcv_cq_arm(b.cq, solicited));
}

static uint32_t starved(void)
{
	return PCV_LOAD(&b.fq->shared->starved);
}

/* What a message of @flags, found by who had armed for @solicited, is owed. */
static void owed(bool shared, bool armed, int solicited, unsigned int flags, bool event)
{
	uint32_t kicks, was;

	begin_with(shared, 100, 1);
	empty_queue();
	setup_idle(b.cq);
	if (armed)
		arm(solicited);
	CHECK(!post_send(&a, 2, 8, flags));
	CHECK(took_fast(&a));
	setup_idle(b.cq);
	setup_idle(b.cq);
	/* Who has never armed pays nothing. */
	CHECK_EQ(!PCV_LOAD(&inside(&b)->rq.starved), !armed);
	kicks = b.fq->kicks;
	was = starved();
	CHECK(!post_recv(&b, 7, 0, 100));
	CHECK_EQ(b.fq->kicks, kicks + event);
	CHECK_EQ(starved() != was, event);
	if (event)
		CHECK_EQ(starved() & 1, !!(flags & IBV_SEND_SOLICITED));
	/* Once. */
	was = starved();
	CHECK(!post_recv(&b, 8, 0, 100));
	CHECK_EQ(b.fq->kicks, kicks + event);
	CHECK_EQ(starved(), was);
	expect_recv(&b, 7, 8);
	setup_idle(b.cq);
	/* And nothing when nothing waits. */
	arm(0);
	setup_idle(b.cq);
	kicks = b.fq->kicks;
	CHECK(!post_recv(&b, 9, 0, 100));
	CHECK_EQ(b.fq->kicks, kicks);
	end();
}

static void test_owed(void)
{
	int shared;

	for (shared = 0; shared < 2; shared++) {
		owed(shared, true, 0, 0, true);
		owed(shared, true, 0, IBV_SEND_SOLICITED, true);
		owed(shared, true, 1, 0, false);
		owed(shared, true, 1, IBV_SEND_SOLICITED, true);
		owed(shared, false, 0, 0, false);
		owed(shared, false, 0, IBV_SEND_SOLICITED, false);
	}
}

/* A long message says that it is solicited in its last part only. */
static void test_long(void)
{
	uint32_t kicks;

	begin(64000);
	CHECK(!post_send(&a, 1, 8, 0));
	expect_recv(&b, 1000, 8);
	setup_idle(b.cq);
	arm(1);
	CHECK(!post_send(&a, 2, 20000, IBV_SEND_SOLICITED));
	CHECK(took_fast(&a));
	setup_idle(b.cq);
	kicks = b.fq->kicks;
	CHECK(!post_recv(&b, 7, 0, 64000));
	CHECK_EQ(b.fq->kicks, kicks + 1);
	CHECK_EQ(starved() & 1, 1);
	expect_recv(&b, 7, 20000);
	end();
}

/* Nor may a solicited one be forgotten behind one that is not, whenever it comes. */
static void test_behind(void)
{
	uint32_t kicks;
	int late;

	for (late = 0; late < 2; late++) {
		begin(100);
		empty_queue();
		arm(1);
		CHECK(!post_send(&a, 2, 8, 0));
		if (late)
			setup_idle(b.cq);
		CHECK(!post_send(&a, 3, 8, IBV_SEND_SOLICITED));
		setup_idle(b.cq);
		kicks = b.fq->kicks;
		CHECK(!post_recv(&b, 7, 0, 100));
		CHECK_EQ(b.fq->kicks, kicks + 1);
		CHECK_EQ(starved() & 1, 1);
		expect_recv(&b, 7, 8);
		arm(1);
		setup_idle(b.cq);
		kicks = b.fq->kicks;
		CHECK(!post_recv(&b, 8, 0, 100));
		CHECK_EQ(b.fq->kicks, kicks + 1);
		expect_recv(&b, 8, 8);
		end();
	}
}

/* What it was owed goes with the connection. */
static void test_reset(void)
{
	uint32_t kicks, was;

	begin(100);
	empty_queue();
	CHECK(!post_send(&a, 2, 8, 0));
	arm(0);
	setup_idle(b.cq);
	CHECK(PCV_LOAD(&inside(&b)->rq.starved));
	CHECK(inside(&b)->recv.call);
	setup_state(b.qp, IBV_QPS_RESET);
	CHECK(!inside(&b)->recv.call);
	setup_state(b.qp, IBV_QPS_INIT);
	kicks = b.fq->kicks;
	was = starved();
	CHECK(!post_recv(&b, 7, 0, 100));
	CHECK_EQ(starved(), was);
	CHECK_EQ(b.fq->kicks, kicks);
	end();
}

/* Arming looks for what the next poll might overlook; also if the peer has left. */
static void test_look(void)
{
	int left;

	for (left = 0; left < 2; left++) {
		begin(100);
		CHECK(!post_recv(&b, 7, 0, 100));
		arm(0);
		empty_queue();
		CHECK(!inside(&b)->link[0].active);
		CHECK(!post_send(&a, 2, 8, 0));
		if (left)
			fake_fast_shut(b.fq, PCV_QP_FAST_CTL | PCV_QP_FAST_TX);
		arm(0);
		CHECK(inside(&b)->link[0].active);
		expect_recv(&b, 7, 8);
		setup_idle(b.cq);
		end();
	}
}

/* A poll that has room left has left nothing. */
static void test_room(void)
{
	struct ibv_wc wc[64];
	int i;

	ctx = fake_open();
	fake_limits.fast = true;
	fake_limits.fast_seq = 1;
	fake_limits.ring_count = 64;
	fake_limits.rq_count = 64;
	pd = pcv_pd_alloc(ctx);
	side_make(&a, false);
	side_make(&b, false);
	connect_both();
	for (i = 0; i < 50; i++)
		CHECK(!post_recv(&b, (uint64_t)i, 0, 100));
	for (i = 0; i < 50; i++)
		CHECK(!post_send(&a, 1, 8, 0));
	CHECK(took_fast(&a));
	CHECK_EQ(pcv_cq_poll(b.cq, 64, wc), 50);
	for (i = 0; i < 50; i++)
		CHECK_EQ(wc[i].wr_id, i);
	end();
}

/* Who sleeps hears, too, that what is outstanding has ended here and not in the kernel. */
static void test_break(void)
{
	uint32_t kicks;
	struct ibv_wc wc;

	begin(20000);
	CHECK(!post_send(&a, 1, 10000, 0));
	kicks = b.fq->kicks;
	PCV_STORE(&b.fq->shared->fast_claim, 1ull << 32);
	CHECK_EQ(pcv_cq_poll(b.cq, 1, &wc), 0);
	CHECK_EQ(inside(&b)->health, PCV_QP_BROKEN);
	CHECK_EQ(b.fq->kicks, kicks + 1);
	CHECK_EQ(b.fq->shared->self, 1);
	CHECK_EQ(starved() & 1, 1);
	end();
}

/* Somebody else was faster: the next receive is owed, too. */
static void test_again(void)
{
	struct pcv_sge sge[PCV_MAX_SGE];
	struct pcv_rwqe wqe;
	uint32_t kicks;
	int i;

	begin_with(true, 100, 1);
	empty_queue();
	arm(0);
	CHECK(!post_send(&a, 2, 8, 0));
	for (i = 0; i < 3; i++) {
		setup_idle(b.cq);
		kicks = b.fq->kicks;
		CHECK(!post_recv(&b, 7, 0, 100));
		CHECK_EQ(b.fq->kicks, kicks + 1);
		CHECK(pcv_srq_take(pcv_srq(b.srq), &wqe, sge));
	}
	setup_idle(b.cq);
	kicks = b.fq->kicks;
	/* One that is given back counts as posted. */
	CHECK(pcv_srq_give_back(pcv_srq(b.srq), &wqe, sge));
	CHECK_EQ(b.fq->kicks, kicks + 1);
	expect_recv(&b, 7, 8);
	end();
}

/* The kernel is told of a shared receive that is kept for the rest of a message. */
static void test_holds(void)
{
	begin_with(true, 200000, 1);
	CHECK(!post_send(&a, 1, 100000, 0));
	CHECK(!took_fast(&a));
	CHECK_EQ(PCV_LOAD(&b.fq->shared->fast_open), 0);
	setup_idle(b.cq);
	CHECK_EQ(PCV_LOAD(&b.fq->shared->fast_open), PCV_OPEN_HOLDS);
	CHECK(!fake_pass(a.fq, b.fq, true));
	/* What it does then: the claim, and a hint. */
	PCV_STORE(&b.fq->shared->fast_claim, 1ull << 32);
	fake_hint(fake_cq(b.cq), b.qp->qp_num);
	setup_idle(b.cq);
	CHECK_EQ(PCV_LOAD(&b.fq->shared->fast_open), 0);
	CHECK(fake_pass(a.fq, b.fq, true));
	expect_recv(&b, 1000, 100000);

	/* And when it is complete there is none. */
	CHECK(!post_recv(&b, 1001, 0, 200000));
	CHECK(!post_send(&a, 2, 20000, 0));
	CHECK(took_fast(&a));
	expect_recv(&b, 1001, 20000);
	CHECK_EQ(PCV_LOAD(&b.fq->shared->fast_open), 0);
	end();
}

int main(void)
{
	test_owed();
	test_long();
	test_behind();
	test_reset();
	test_look();
	test_room();
	test_break();
	test_again();
	test_holds();
	return 0;
}
