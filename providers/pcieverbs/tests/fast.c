// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Two queue pairs of one process connected by fast rings and by a kernel, as
 * two programs would see them.
 */
#include <unistd.h>

#include "side.h"

static void test_sizes(void)
{
	uint32_t len, key = 0;

	begin(BUF_BYTES);
	for (len = 0; len <= 200000; len += len < 600 ? 1 : len < 10000 ? 509 : 19997) {
		pcv_pattern_fill(a.out, len, ++key);
		memset(b.in, 0xee, len + 8);
		if (len > 40000) {
			/* More than the block holds: nobody takes it out meanwhile. */
			CHECK(!post_send(&a, len, len, IBV_SEND_SIGNALED));
			CHECK(!took_fast(&a));
			CHECK(fake_pass(a.fq, b.fq, true));
		} else {
			CHECK(!post_send(&a, len, len, IBV_SEND_SIGNALED));
			CHECK(took_fast(&a));
		}
		setup_expect(a.cq, len, IBV_WC_SUCCESS, IBV_WC_SEND);
		expect_recv(&b, 1000, len);
		CHECK(pcv_pattern_match(b.in, len, key));
		CHECK_EQ(b.in[len], 0xee);
		setup_idle(a.cq);
		setup_idle(b.cq);
		CHECK(!post_recv(&b, 1000, 0, BUF_BYTES));
	}
	end();
}

/* Several segments on both ends, inline, immediate data, all in all three forms. */
static void test_forms(void)
{
	static const uint32_t lens[] = { 0, 1, 7, 30, 48, 49, 100, 217, 900, 9000, 30000 };
	struct ibv_send_wr *bad, wr = { .opcode = IBV_WR_SEND_WITH_IMM };
	struct ibv_sge out[3], in[3];
	uint32_t i, len, cut;
	struct ibv_wc wc;

	begin(40000);
	for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		len = lens[i];
		cut = len / 3;
		pcv_pattern_fill(a.out, len, len);
		out[0] = (struct ibv_sge){ (uintptr_t)a.out, cut, a.out_mr->lkey };
		out[1] = (struct ibv_sge){ 0, 0, 0 };
		out[2] = (struct ibv_sge){ (uintptr_t)a.out + cut, len - cut, a.out_mr->lkey };
		in[0] = (struct ibv_sge){ (uintptr_t)b.in, len / 2, b.in_mr->lkey };
		in[1] = (struct ibv_sge){ (uintptr_t)b.in + 50000, 0, b.in_mr->lkey };
		in[2] = (struct ibv_sge){ (uintptr_t)b.in + len / 2, 40000, b.in_mr->lkey };
		CHECK(!setup_recv(b.qp, 7, in, 3));
		wr.sg_list = out;
		wr.num_sge = 3;
		wr.wr_id = i;
		wr.imm_data = htobe32(0xabcd0000 + i);
		wr.send_flags = IBV_SEND_SIGNALED;
		if (len <= fake_limits.max_inline) {
			wr.send_flags |= IBV_SEND_INLINE;
			out[0].lkey = 0;
			out[2].lkey = 0;
		}
		CHECK(!pcv_qp_post_send(a.qp, &wr, &bad));
		CHECK(took_fast(&a));
		setup_expect(a.cq, i, IBV_WC_SUCCESS, IBV_WC_SEND);
		wc = setup_poll(b.cq);
		CHECK(wc.status == IBV_WC_SUCCESS && wc.byte_len == len);
		CHECK_EQ(wc.wr_id, i ? 7 : 1000);
		CHECK(wc.wc_flags == IBV_WC_WITH_IMM && be32toh(wc.imm_data) == 0xabcd0000 + i);
		CHECK(pcv_pattern_match(b.in, len, len));
	}
	/* What must not be posted, must not. */
	wr.send_flags = IBV_SEND_INLINE;
	out[2].length = fake_limits.max_inline + 1;
	CHECK_EQ(pcv_qp_post_send(a.qp, &wr, &bad), EINVAL);
	wr.send_flags = 0;
	out[2].lkey = 0xdead;
	CHECK(!pcv_qp_post_send(a.qp, &wr, &bad));
	CHECK(!took_fast(&a));
	fake_send_take(a.fq);
	fake_send_end(a.fq, PCV_WC_LOC_PROT_ERR, 0);
	setup_expect(a.cq, wr.wr_id, IBV_WC_LOC_PROT_ERR, IBV_WC_SEND);
	end();
}

/* Receives of the mix: which of the places in the buffer are in use. */
static bool place_used[32];

static void post_place(uint32_t number, uint32_t bytes)
{
	uint32_t place = 0;

	while (place_used[place])
		place++;
	place_used[place] = true;
	CHECK(!post_recv(&b, number << 8 | place, place * 32000, bytes));
}

static uint8_t *take_place(const struct ibv_wc *wc, uint32_t got, bool shared)
{
	uint32_t place = wc->wr_id & 0xff;
	uint32_t number;

	CHECK_EQ(wc->status, IBV_WC_SUCCESS);
	if (!shared)
		CHECK_EQ(wc->wr_id >> 8, got);
	CHECK(place_used[place]);
	place_used[place] = false;
	memcpy(&number, b.in + place * 32000 + 4, 4);
	CHECK_EQ(number, got);
	return b.in + place * 32000;
}

/* How far the mix has come. */
static struct {
	uint64_t rng;
	bool shared;
	uint32_t messages;
	uint32_t sent, got, ended, signaled, posted, fast;
} mix;

#define MIX_BYTES	30000u

static uint32_t mix_len(uint32_t number)
{
	uint32_t len = pcv_pattern_len(number, number % 8 ? 300 : MIX_BYTES) + 8;

	return len > MIX_BYTES ? MIX_BYTES : len;
}

static void mix_post(void)
{
	if (mix.posted - mix.got < 15)
		post_place(mix.posted++, MIX_BYTES);
}

static int mix_poll(int n)
{
	struct ibv_wc wc[4];
	uint8_t *in;
	int i;

	n = pcv_cq_poll(b.cq, n, wc);
	for (i = 0; i < n; i++) {
		in = take_place(&wc[i], mix.got, mix.shared);
		CHECK_EQ(wc[i].byte_len, mix_len(mix.got));
		CHECK(pcv_pattern_match(in + 8, wc[i].byte_len - 8, mix.got));
		mix.got++;
	}
	return n;
}

static bool mix_pass(void)
{
	return fake_pass(a.fq, b.fq, pcv_rand_below(&mix.rng, 2));
}

/* The buffer is gone when this returns: who sends through the kernel waits. */
static void mix_send(void)
{
	uint32_t len = mix_len(mix.sent);
	bool signaled = pcv_rand_below(&mix.rng, 2);
	struct ibv_mr *mr;
	uint8_t *copy;
	int spins = 0;

	if (mix.sent == mix.messages || mix.sent - mix.ended >= 15)
		return;
	copy = malloc(len);
	CHECK(copy);
	memcpy(copy + 4, &mix.sent, 4);
	pcv_pattern_fill(copy + 8, len - 8, mix.sent);
	mr = pcv_mr_reg(pd, copy, len, (uintptr_t)copy, 0);
	{
		struct ibv_sge sge = { (uintptr_t)copy, len, mr->lkey };
		struct ibv_send_wr *bad, wr = {
			.wr_id = mix.sent, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_SEND,
			.send_flags = signaled ? IBV_SEND_SIGNALED : 0,
		};

		if (pcv_qp_post_send(a.qp, &wr, &bad)) {
			CHECK(mix.sent - mix.ended >= 8);
			goto out;
		}
	}
	mix.fast += took_fast(&a);
	mix.signaled += signaled;
	mix.sent++;
	while (!took_fast(&a) || a.fq->holding) {
		CHECK(spins++ < 10000);
		if (mix_pass())
			continue;
		mix_post();
		if (!pcv_rand_below(&mix.rng, 3))
			mix_poll(1);
	}
out:
	CHECK(!pcv_mr_dereg((struct verbs_mr *)mr));
	free(copy);
}

static void mix_ends(int n)
{
	struct ibv_wc wc[4];
	int i;

	n = pcv_cq_poll(a.cq, n, wc);
	for (i = 0; i < n; i++) {
		CHECK(wc[i].opcode == IBV_WC_SEND && !wc[i].status);
		CHECK(wc[i].wr_id >= mix.ended);
		mix.ended = (uint32_t)wc[i].wr_id + 1;
		mix.signaled--;
	}
	if (!mix.signaled)
		mix.ended = mix.sent;
}

/* Messages of all sizes; both ends, the kernel and the ring itself step at random. */
static void mix_run(bool shared, uint64_t seed, uint32_t messages)
{
	uint32_t steps = 0;

	memset(&mix, 0, sizeof(mix));
	memset(place_used, 0, sizeof(place_used));
	mix.rng = seed;
	mix.shared = shared;
	mix.messages = messages;
	begin_with(shared, 0, (uint32_t)seed);
	while (mix.got < messages) {
		CHECK(steps++ < 1000000);
		switch (pcv_rand_below(&mix.rng, 6)) {
		case 0:
			mix_post();
			break;
		case 1:
			mix_send();
			break;
		case 2:
			/* It closes and opens at any time. */
			if (pcv_rand_below(&mix.rng, 2))
				fake_fast_shut(a.fq, PCV_QP_FAST_TX);
			else
				fake_fast_open(a.fq, 0);
			break;
		case 3:
			mix_ends(1 + (int)pcv_rand_below(&mix.rng, 3));
			break;
		default:
			mix_poll(1 + (int)pcv_rand_below(&mix.rng, 3));
			break;
		}
	}
	CHECK(mix.fast > messages / 8 && mix.fast < messages);
	end();
}

static void test_mix(void)
{
	uint64_t seed;

	for (seed = 1; seed < 40; seed++)
		mix_run(seed & 1, seed * 0x10001u, 300);
}

static void test_full(void)
{
	uint32_t i, n, sent = 0, got = 0;
	struct ibv_wc wc[16];

	begin(100);
	for (i = 1; i < 15; i++)
		CHECK(!post_recv(&b, 1000 + i, 0, 100));
	/* More than the ring holds: what does not fit waits in the kernel's queue. */
	while (took_fast(&a)) {
		memcpy(a.out, &sent, 4);
		CHECK(!post_send(&a, sent, 8, 0));
		sent++;
	}
	CHECK_EQ(sent, PCV_FAST_LINES + 1);
	/* Not even a look costs much now. */
	CHECK(inside(&a)->send.stalled);
	while (got < sent) {
		n = (uint32_t)pcv_cq_poll(b.cq, 16, wc);
		for (i = 0; i < n; i++) {
			CHECK_EQ(wc[i].wr_id, 1000 + got % 15);
			CHECK(!post_recv(&b, 1000 + got % 15, 0, 100));
			got++;
		}
		if (!n)
			CHECK(fake_pass(a.fq, b.fq, true));
	}
	setup_idle(b.cq);
	setup_idle(a.cq);
	/* And the ring is used again. */
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK(took_fast(&a));
	end();
}

/*
 * A message that was begun in the ring and then went to the kernel: what is
 * left of it does no harm, before or behind the kernel's.
 */
static void test_void(void)
{
	int shared, late;

	for (shared = 0; shared < 2; shared++) {
		for (late = 0; late < 3; late++) {
			begin_with(shared, 200000, 0xfffffff0u);
			CHECK(!post_recv(&b, 1001, 0, 200000));
			CHECK(!post_recv(&b, 1002, 0, 200000));
			pcv_pattern_fill(a.out, 100000, 1);
			CHECK(!post_send(&a, 1, 100000, IBV_SEND_SIGNALED));
			CHECK(!took_fast(&a));
			/* Before the kernel's comes: some of the parts are taken. */
			if (late < 2)
				setup_idle(b.cq);
			if (late == 1) {
				/* The parts of another one, while the first is not through. */
				CHECK_EQ(inside(&b)->recv.ring.open, 1);
			}
			CHECK(fake_pass(a.fq, b.fq, true));
			expect_recv(&b, shared && late < 2 ? 1001 : 1000, 100000);
			CHECK(pcv_pattern_match(b.in, 100000, 1));
			setup_expect(a.cq, 1, IBV_WC_SUCCESS, IBV_WC_SEND);
			setup_idle(b.cq);
			pcv_pattern_fill(a.out, 20000, 2);
			CHECK(!post_send(&a, 2, 20000, 0));
			CHECK(took_fast(&a));
			if (shared) {
				/* It gets back what was taken in vain: any may be next. */
				struct ibv_wc wc = setup_poll(b.cq);

				CHECK(wc.status == IBV_WC_SUCCESS && wc.byte_len == 20000);
			} else {
				expect_recv(&b, 1001, 20000);
			}
			CHECK(pcv_pattern_match(b.in, 20000, 2));
			end();
		}
	}
}

/*
 * The kernel places the message into the receive that parts of it would go to:
 * they must not be written over it. And it waits for who is copying one.
 */
/* Memory that has gone ends the receive here; then the kernel's comes for the same one. */
static void test_gone(void)
{
	struct ibv_wc wc;

	begin(200000);
	CHECK(!pcv_mr_dereg((struct verbs_mr *)b.in_mr));
	b.in_mr = pcv_mr_reg(pd, b.in, BUF_BYTES, (uintptr_t)b.in, IBV_ACCESS_LOCAL_WRITE);
	CHECK(b.in_mr);
	CHECK(!post_send(&a, 1, 100000, IBV_SEND_SIGNALED) && !took_fast(&a));
	setup_expect(b.cq, 1000, IBV_WC_LOC_PROT_ERR, IBV_WC_RECV);
	fake_pass(a.fq, b.fq, true);
	CHECK_EQ(pcv_cq_poll(b.cq, 1, &wc), 0);
	CHECK_EQ(inside(&b)->health, PCV_QP_SOUND);
	end();
}

static void test_claim(void)
{
	int first, copying;

	for (first = 0; first < 2; first++) {
		for (copying = 0; copying < 2; copying++) {
			begin_with(false, 200000, 0xfffffff0u);
			CHECK(!post_recv(&b, 1001, 0, 200000));
			CHECK(!post_recv(&b, 1002, 0, 200000));
			if (first) {
				/* One through the kernel that has not been polled. */
				fake_fast_shut(a.fq, PCV_QP_FAST_TX);
				CHECK(!post_send(&a, 7, 8, 0));
				fake_fast_open(a.fq, 0);
				CHECK(fake_pass(a.fq, b.fq, true));
			}
			pcv_pattern_fill(a.out, 100000, 1);
			CHECK(!post_send(&a, 1, 100000, 0));
			CHECK(!took_fast(&a));
			/* The buffer is the kernel's until it is through. */
			pcv_pattern_fill(a.out, 100000, 2);
			if (copying) {
				PCV_STORE(&b.fq->shared->fast_open, 1);
				CHECK(!fake_pass(a.fq, b.fq, true));
				CHECK(PCV_LOAD(&b.fq->shared->kick) & PCV_KICK_RECV);
				if (first)
					expect_recv(&b, 1000, 8);
				setup_idle(b.cq);
				CHECK_EQ(PCV_LOAD(&b.fq->shared->fast_open), 0);
				CHECK(b.fq->kicks > 0);
				fake_kick_unask(b.fq, PCV_KICK_RECV);
				CHECK_EQ(inside(&b)->health, PCV_QP_SOUND);
				CHECK(fake_pass(a.fq, b.fq, true));
			} else {
				CHECK(fake_pass(a.fq, b.fq, true));
				if (first)
					expect_recv(&b, 1000, 8);
			}
			expect_recv(&b, first ? 1001 : 1000, 100000);
			CHECK(pcv_pattern_match(b.in, 100000, 2));
			setup_idle(b.cq);
			pcv_pattern_fill(a.out, 20000, 3);
			CHECK(!post_send(&a, 2, 20000, 0));
			CHECK(took_fast(&a));
			expect_recv(&b, first ? 1002 : 1001, 20000);
			CHECK(pcv_pattern_match(b.in, 20000, 3));
			end();
		}
	}
}

/* A message cannot end in the ring and have gone to the kernel, too. */
static void test_claim_lie(void)
{
	struct ibv_wc wc;

	begin(20000);
	CHECK(!post_send(&a, 1, 10000, 0));
	CHECK(took_fast(&a));
	PCV_STORE(&b.fq->shared->fast_claim, 1ull << 32);
	CHECK_EQ(pcv_cq_poll(b.cq, 1, &wc), 0);
	CHECK(inside(&b)->health != PCV_QP_SOUND);
	CHECK_EQ(inside(&b)->why, PCV_BREAK_FAST);
	end();
}

/* What the peer is told goes when its block is there, whether or not messages may. */
static void test_ctl(void)
{
	begin(100);
	CHECK_EQ(pcv_le32(inside(&a)->send.ctl->limit), 101);
	fake_fast_shut(b.fq, PCV_QP_FAST_TX);
	CHECK(!post_recv(&b, 1, 0, 50));
	CHECK_EQ(pcv_le32(inside(&a)->send.ctl->limit), 51);
	CHECK(!post_send(&b, 1, 8, 0));
	CHECK(!took_fast(&b));
	fake_fast_shut(b.fq, PCV_QP_FAST_CTL);
	CHECK(!post_recv(&b, 2, 0, 40));
	CHECK_EQ(pcv_le32(inside(&a)->send.ctl->limit), 51);
	fake_fast_open(b.fq, 0);
	CHECK(!post_recv(&b, 3, 0, 30));
	CHECK_EQ(pcv_le32(inside(&a)->send.ctl->limit), 31);
	end();
}

static void *end_one(void *unused)
{
	(void)unused;
	usleep(100);
	CHECK(fake_pass(a.fq, b.fq, true));
	return NULL;
}

/* Whoever keeps the kernel busy waits for it once in a while. */
static void test_drain(void)
{
	pthread_t thread;
	int i, tries;

	begin(100);
	for (i = 0; i < 10; i++)
		CHECK(!post_recv(&b, 0, 0, 100));
	fake_fast_shut(a.fq, PCV_QP_FAST_TX);
	CHECK(!post_send(&a, 1, 8, 0));
	fake_fast_open(a.fq, 0);
	/* One is always under way there. The last of these waits, in vain. */
	for (i = 1; i <= 16; i++) {
		CHECK_EQ(inside(&a)->send.queued, i - 1);
		CHECK(!post_send(&a, 1, 8, 0));
		CHECK(!took_fast(&a));
		CHECK(fake_pass(a.fq, b.fq, true));
		CHECK_EQ(setup_poll(b.cq).status, IBV_WC_SUCCESS);
		CHECK(!post_recv(&b, 0, 0, 100));
		setup_idle(a.cq);
	}
	CHECK(inside(&a)->send.queued < 0);
	CHECK(fake_pass(a.fq, b.fq, true));
	CHECK_EQ(setup_poll(b.cq).status, IBV_WC_SUCCESS);
	/* Nothing under way: no question. */
	CHECK(!post_recv(&b, 0, 0, 100));
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK(took_fast(&a));
	CHECK_EQ(setup_poll(b.cq).status, IBV_WC_SUCCESS);

	/* A kernel that moves is waited for: this one, if it does so in time. */
	for (tries = 0; tries < 200; tries++) {
		CHECK(!post_recv(&b, 1, 0, 100));
		CHECK(!post_recv(&b, 2, 0, 100));
		fake_fast_shut(a.fq, PCV_QP_FAST_TX);
		CHECK(!post_send(&a, 1, 8, 0));
		fake_fast_open(a.fq, 0);
		inside(&a)->send.queued = 15;
		CHECK(!pthread_create(&thread, NULL, end_one, NULL));
		CHECK(!post_send(&a, 2, 9, 0));
		pthread_join(thread, NULL);
		if (took_fast(&a) && !inside(&a)->send.queued)
			break;
		if (!took_fast(&a))
			CHECK(fake_pass(a.fq, b.fq, true));
		CHECK_EQ(setup_poll(b.cq).byte_len, 8);
		CHECK_EQ(setup_poll(b.cq).byte_len, 9);
		setup_idle(a.cq);
	}
	CHECK(tries < 200);
	CHECK_EQ(setup_poll(b.cq).byte_len, 8);
	CHECK_EQ(setup_poll(b.cq).byte_len, 9);
	end();
}

static void test_limit(void)
{
	struct ibv_wc wc;

	/* Nothing is known: the kernel's. */
	begin(0);
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK(!took_fast(&a));
	CHECK(!post_recv(&b, 1, 0, 64));
	CHECK(fake_pass(a.fq, b.fq, false));
	expect_recv(&b, 1, 8);
	CHECK(!post_send(&a, 2, 64, 0));
	CHECK(took_fast(&a));
	/* Longer than some receive: the kernel's, which knows which one it is. */
	CHECK(!post_recv(&b, 2, 0, 64));
	expect_recv(&b, 2, 64);
	CHECK(!post_send(&a, 3, 65, 0));
	CHECK(!took_fast(&a));
	CHECK(!post_recv(&b, 3, 0, 65));
	CHECK(fake_pass(a.fq, b.fq, true));
	expect_recv(&b, 3, 65);
	/* It was sent before the shorter receive was known. */
	CHECK(!post_send(&a, 4, 60, 0));
	CHECK(took_fast(&a));
	CHECK(!post_recv(&b, 4, 0, 10));
	CHECK(!post_recv(&b, 5, 0, 10));
	wc = setup_poll(b.cq);
	CHECK(wc.wr_id == 4 && wc.status == IBV_WC_LOC_LEN_ERR);
	CHECK_EQ(b.fq->state, IBV_QPS_ERR);
	setup_expect(b.cq, 5, IBV_WC_WR_FLUSH_ERR, IBV_WC_RECV);
	CHECK(!post_send(&a, 5, 11, 0));
	CHECK(!took_fast(&a));
	end();
}

static void test_flush(void)
{
	uint64_t id;

	begin(100);
	for (id = 1; id < 10; id++)
		CHECK(!post_recv(&b, 1000 + id, 0, 100));
	CHECK(!post_send(&a, 1, 8, IBV_SEND_SIGNALED));
	CHECK(!post_send(&a, 2, 8, 0));
	fake_fast_shut(a.fq, PCV_QP_FAST_TX);
	CHECK(!post_send(&a, 3, 8, 0));
	CHECK(fake_pass(a.fq, b.fq, true));
	CHECK(!post_send(&b, 50, 8, 0));
	setup_state(b.qp, IBV_QPS_ERR);
	/* What has arrived has arrived; the rest is flushed, in order. */
	expect_recv(&b, 1000, 8);
	expect_recv(&b, 1001, 8);
	expect_recv(&b, 1002, 8);
	for (id = 3; id < 10; id++)
		setup_expect(b.cq, 1000 + id, IBV_WC_WR_FLUSH_ERR, IBV_WC_RECV);
	setup_idle(b.cq);
	CHECK(!post_recv(&b, 77, 0, 100));
	CHECK_EQ(b.fq->kicks, 1);
	setup_expect(b.cq, 77, IBV_WC_WR_FLUSH_ERR, IBV_WC_RECV);
	setup_idle(b.cq);

	/* All begins anew, with old messages gone. */
	setup_state(a.qp, IBV_QPS_RESET);
	setup_state(b.qp, IBV_QPS_RESET);
	setup_idle(a.cq);
	setup_idle(b.cq);
	connect_both();
	CHECK(!post_recv(&b, 1, 0, 100));
	CHECK(!post_send(&a, 9, 8, IBV_SEND_SIGNALED));
	CHECK(took_fast(&a));
	expect_recv(&b, 1, 8);
	setup_expect(a.cq, 9, IBV_WC_SUCCESS, IBV_WC_SEND);
	end();

	/* One that the kernel had claimed, behind a fast message that never came. */
	begin(100);
	CHECK(!post_recv(&b, 1001, 0, 100));
	CHECK(!post_recv(&b, 1002, 0, 100));
	b.fq->has_claimed = true;
	b.fq->claimed = 1;
	b.fq->claimed_fast = 1;
	setup_state(b.qp, IBV_QPS_ERR);
	for (id = 0; id < 3; id++)
		setup_expect(b.cq, 1000 + id, IBV_WC_WR_FLUSH_ERR, IBV_WC_RECV);
	setup_idle(b.cq);
	end();
}

static void test_srq_limit(void)
{
	struct ibv_srq_attr attr = { .srq_limit = 3 };
	uint64_t id;

	begin_with(true, 100, 1);
	for (id = 1; id < 6; id++)
		CHECK(!post_recv(&b, 1000 + id, 0, 100));
	CHECK(!pcv_srq_modify(b.srq, &attr, IBV_SRQ_LIMIT));
	for (id = 0; id < 6; id++) {
		CHECK(!post_send(&a, id, 8, 0));
		CHECK(took_fast(&a));
		expect_recv(&b, 1000 + id, 8);
		CHECK_EQ(b.fq->kicks, id >= 3);
	}
	CHECK(!post_send(&a, id, 8, 0));
	setup_idle(b.cq);
	CHECK(!post_recv(&b, 2000, 0, 100));
	expect_recv(&b, 2000, 8);
	end();
}

/* What the kernel does when the peer's has sent word: an event, and a hint. */
static void woken(struct side *s)
{
	PCV_STORE(&fake_cq(s->cq)->armed, PCV_CQ_DISARMED);
	fake_hint(fake_cq(s->cq), s->qp->qp_num);
}

static void test_events(void)
{
	uint32_t call;
	int i;

	begin(100);
	for (i = 0; i < 10; i++)
		CHECK(!post_recv(&b, (uint64_t)i, 0, 100));
	setup_idle(b.cq);
	CHECK(!pcv_cq_arm(b.cq, 0));
	/* The first time the kernel is told; the sender does not look yet. */
	CHECK_EQ(b.fq->kicks, 1);
	CHECK_EQ(b.fq->shared->events, 1);
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK_EQ(a.fq->kicks, 0);
	expect_recv(&b, 1000, 8);
	fake_fast_open(a.fq, PCV_QP_FAST_FENCE);

	CHECK(!pcv_cq_arm(b.cq, 0));
	CHECK_EQ(b.fq->kicks, 1);
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK_EQ(a.fq->kicks, 1);
	CHECK_EQ(a.fq->shared->wake, 1);
	/* Once for each call. */
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK_EQ(a.fq->kicks, 1);
	expect_recv(&b, 0, 8);
	expect_recv(&b, 1, 8);

	/* Only a solicited one. */
	woken(&b);
	CHECK(!pcv_cq_arm(b.cq, 1));
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK_EQ(a.fq->kicks, 1);
	CHECK(!post_send(&a, 1, 8, IBV_SEND_SOLICITED));
	CHECK_EQ(a.fq->kicks, 2);
	CHECK_EQ(a.fq->shared->wake_solicited, 1);
	CHECK_EQ(a.fq->shared->wake, 1);
	expect_recv(&b, 2, 8);
	expect_recv(&b, 3, 8);

	/* Solicited, and then any. */
	woken(&b);
	CHECK(!pcv_cq_arm(b.cq, 1));
	call = inside(&b)->recv.call;
	CHECK_EQ(call & 1, 1);
	CHECK(!pcv_cq_arm(b.cq, 0));
	CHECK(inside(&b)->recv.call != call && !(inside(&b)->recv.call & 1));
	call = inside(&b)->recv.call;
	/* Any, and then solicited: it is still any. */
	CHECK(!pcv_cq_arm(b.cq, 1));
	CHECK_EQ(inside(&b)->recv.call, call);
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK_EQ(a.fq->kicks, 3);
	/* Armed again with the message not taken: it is called for as before. */
	CHECK(!pcv_cq_arm(b.cq, 0));
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK_EQ(a.fq->kicks, 3);
	CHECK_EQ(inside(&b)->recv.call, call);
	/* With a hint it is not the same: that was the answer, the next one is asked for anew. */
	woken(&b);
	CHECK(!pcv_cq_arm(b.cq, 0));
	CHECK(inside(&b)->recv.call != call && !(inside(&b)->recv.call & 1));
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK_EQ(a.fq->kicks, 4);
	/* From any to solicited, with nothing taken. */
	woken(&b);
	CHECK(!pcv_cq_arm(b.cq, 1));
	CHECK(inside(&b)->recv.call & 1);
	CHECK(!post_send(&a, 1, 8, 0));
	CHECK_EQ(a.fq->kicks, 4);
	for (i = 4; i < 8; i++)
		expect_recv(&b, (uint64_t)i, 8);
	/* A hint for another queue pair asks nobody. */
	CHECK(!pcv_cq_arm(b.cq, 1));
	call = inside(&b)->recv.call;
	fake_hint(fake_cq(b.cq), b.qp->qp_num + 1);
	CHECK(!pcv_cq_arm(b.cq, 1));
	CHECK_EQ(inside(&b)->recv.call, call);
	CHECK_EQ(b.fq->kicks, 1);
	end();
}

/* Completions of sends in their order, whoever did them. */
static void test_order(void)
{
	uint64_t id;

	begin(100);
	for (id = 0; id < 10; id++)
		CHECK(!post_recv(&b, id, 0, 100));
	CHECK(!post_send(&a, 1, 8, IBV_SEND_SIGNALED));
	fake_fast_shut(a.fq, PCV_QP_FAST_TX);
	CHECK(!post_send(&a, 2, 8, IBV_SEND_SIGNALED));
	CHECK(!post_send(&a, 3, 8, 0));
	CHECK(fake_pass(a.fq, b.fq, true));
	CHECK(fake_pass(a.fq, b.fq, false));
	fake_fast_open(a.fq, 0);
	CHECK(!post_send(&a, 4, 8, IBV_SEND_SIGNALED));
	CHECK(took_fast(&a));
	fake_fast_shut(a.fq, PCV_QP_FAST_TX);
	CHECK(!post_send(&a, 5, 8, IBV_SEND_SIGNALED));
	CHECK(fake_pass(a.fq, b.fq, true));
	setup_expect(a.cq, 1, IBV_WC_SUCCESS, IBV_WC_SEND);
	setup_expect(a.cq, 2, IBV_WC_SUCCESS, IBV_WC_SEND);
	setup_expect(a.cq, 4, IBV_WC_SUCCESS, IBV_WC_SEND);
	setup_expect(a.cq, 5, IBV_WC_SUCCESS, IBV_WC_SEND);
	setup_idle(a.cq);
	expect_recv(&b, 1000, 8);
	for (id = 0; id < 4; id++)
		expect_recv(&b, id, 8);
	end();
}

/* Whatever the peer writes: at worst this queue pair breaks. */
static void test_hostile(void)
{
	struct pcv_fast_head head;
	struct pcv_fast_chunk chunk;
	struct pcv_line *line;
	struct ibv_wc wc[32];
	uint64_t type, flags, len;
	uint64_t rng = 42;
	uint32_t round, i, n, broken = 0;
	__le32 *ctl;

	for (round = 0; round < 1500; round++) {
		begin_with(round & 1, 3000, 1);
		for (i = 0; i < 8; i++)
			CHECK(!post_recv(&b, i, 0, 3000));
		line = (void *)(b.fq->own + PCV_FAST_RING_OFFSET);
		n = pcv_rand_below(&rng, 20);
		for (i = 0; i < n; i++) {
			memset(&line[i], 0, sizeof(line[i]));
			head.imm = 5;
			head.order = pcv_to_le16(pcv_rand_below(&rng, 10) ? 0 :
						 (uint16_t)pcv_rand(&rng));
			head.reserved = pcv_to_le16(!pcv_rand_below(&rng, 20));
			chunk.offset = pcv_to_le32(pcv_rand_below(&rng, 46) * 1000 & ~63u);
			chunk.bytes = pcv_to_le32(pcv_rand_below(&rng, 4) ?
						  pcv_rand_below(&rng, 2000) :
						  (uint32_t)pcv_rand(&rng));
			chunk.message_bytes = pcv_rand_below(&rng, 2) ? chunk.bytes :
					      pcv_to_le32(pcv_rand_below(&rng, 4000));
			chunk.reserved = pcv_to_le32(!pcv_rand_below(&rng, 20));
			type = pcv_rand_below(&rng, 10) ? 1 : pcv_rand(&rng) & 0xff;
			flags = pcv_rand_below(&rng, 2) ? 12 : pcv_rand(&rng) & 0x3f;
			len = pcv_rand_below(&rng, 3) ? 24 : pcv_rand(&rng) & 0xffff;
			memcpy(line[i].payload, &head, sizeof(head));
			memcpy(line[i].payload + 8, &chunk, sizeof(chunk));
			line[i].tail = pcv_to_le64((1 + i) | type << 32 | flags << 40 | len << 48);
			if (pcv_rand_below(&rng, 3))
				CHECK(pcv_cq_poll(b.cq, 4, wc) <= 4);
		}
		ctl = (void *)b.fq->own;
		ctl[0] = pcv_to_le32((uint32_t)pcv_rand(&rng));
		CHECK(!post_send(&b, 1, 8, 0) || true);
		for (i = 0; i < 4; i++)
			pcv_cq_poll(b.cq, 32, wc);
		broken += inside(&b)->health != PCV_QP_SOUND;
		CHECK_EQ(inside(&a)->health, PCV_QP_SOUND);
		end();
	}
	CHECK(broken > 300 && broken < 1500);
}

static void test_credit_lie(void)
{
	struct ibv_wc wc[4];
	__le32 *ctl;
	int i;

	begin(100);
	ctl = (void *)a.fq->own;
	ctl[0] = pcv_to_le32(1000);
	for (i = 0; i < 300 && !post_send(&a, 1, 8, 0); i++)
		CHECK(took_fast(&a) || i == PCV_FAST_LINES);
	CHECK_EQ(inside(&a)->health, PCV_QP_BROKEN);
	CHECK_EQ(inside(&a)->why, PCV_BREAK_FAST_CREDIT);
	CHECK_EQ(pcv_cq_poll(a.cq, 1, wc), 1);
	CHECK_EQ(wc[0].status, IBV_WC_FATAL_ERR);
	end();
}

/* Many queue pairs on one completion queue: each is heard, and soon. */
static void test_crowd(void)
{
	enum { CROWD = 200 };
	static struct ibv_qp *qp[2 * CROWD];
	uint64_t rng = 7;
	struct ibv_sge sge;
	uint32_t i, k, polls;
	struct ibv_wc wc;

	begin(100);
	for (i = 0; i < 2 * CROWD; i++) {
		qp[i] = setup_qp(pd, i & 1 ? b.cq : a.cq, i & 1 ? b.cq : a.cq, NULL, IBV_QPT_RC);
		setup_rts(qp[i]);
	}
	for (i = 0; i < 2 * CROWD; i++) {
		fake_fast_open(fake_qp(qp[i]), 0);
		sge = (struct ibv_sge){ (uintptr_t)a.in, 100, a.in_mr->lkey };
		CHECK(!setup_recv(qp[i], i, &sge, 1));
	}
	for (k = 0; k < 20000; k++) {
		i = pcv_rand_below(&rng, k & 1 ? CROWD : 10);
		CHECK(!setup_send(qp[2 * i], k, 0));
		for (polls = 0; !pcv_cq_poll(b.cq, 1, &wc); polls++)
			CHECK(polls < 8 * CROWD + 16);
		CHECK_EQ(wc.wr_id, 2 * i + 1);
		CHECK(!setup_recv(qp[2 * i + 1], wc.wr_id, &sge, 1));
		if (!pcv_rand_below(&rng, 500)) {
			for (polls = 0; polls < 70000; polls++)
				setup_idle(b.cq);
			CHECK(pcv_cq(b.cq)->hot_count <= PCV_HOT);
		}
	}
	for (i = 0; i < 2 * CROWD; i++)
		CHECK(!pcv_qp_destroy(qp[i]));
	end();
}

static const struct pcv_case cases[] = {
	{ "sizes", test_sizes }, { "forms", test_forms }, { "order", test_order },
	{ "full", test_full }, { "gone", test_gone }, { "void", test_void },
	{ "claim", test_claim },
	{ "claim-lie", test_claim_lie }, { "ctl", test_ctl }, { "drain", test_drain },
	{ "limit", test_limit }, { "flush", test_flush }, { "srq-limit", test_srq_limit },
	{ "events", test_events },
	{ "mix", test_mix }, { "hostile", test_hostile }, { "credit-lie", test_credit_lie },
	{ "crowd", test_crowd },
};

int main(int argc, char **argv)
{
	return pcv_check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
