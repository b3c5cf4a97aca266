// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* RDMA WRITE by store, and what happens when the memory is taken away. */
#include <sys/mman.h>

#include "setup.h"

#define RKEY	0x77u
#define PIECE	((uint64_t)PCV_DIRECT_PIECE)
#define BASE	(PIECE * 100)

static struct ibv_context *ctx;
static struct ibv_pd *pd;
static struct ibv_cq *cq;
static struct ibv_qp *qp;
static struct fake_qp *fq;
static struct ibv_mr *mr;
static uint8_t *buf;

static void begin(void)
{
	ctx = fake_open();
	fake_limits.fast = true;
	fake_limits.direct = true;
	pd = pcv_pd_alloc(ctx);
	cq = pcv_cq_create(ctx, 16, NULL, 0);
	qp = setup_qp(pd, cq, cq, NULL, IBV_QPT_RC);
	fq = fake_qp(qp);
	setup_rts(qp);
	fake_fast_open(fq, 0);
	buf = malloc(5 << 20);
	CHECK(buf);
	mr = pcv_mr_reg(pd, buf, 5 << 20, (uintptr_t)buf, 0);
	CHECK(mr);
}

static void end(void)
{
	CHECK(!pcv_qp_destroy(qp));
	CHECK(!pcv_cq_destroy(cq));
	CHECK(!pcv_mr_dereg((struct verbs_mr *)mr));
	CHECK(!pcv_pd_free(pd));
	free(buf);
	fake_close();
}

static int put(uint64_t va, uint32_t bytes, unsigned int flags)
{
	struct ibv_sge sge[2] = {
		{ (uintptr_t)buf, bytes / 2, mr->lkey },
		{ (uintptr_t)buf + bytes / 2, bytes - bytes / 2, mr->lkey },
	};
	struct ibv_send_wr *bad, wr = {
		.wr_id = va, .sg_list = sge, .num_sge = 2, .opcode = IBV_WR_RDMA_WRITE,
		.send_flags = flags, .wr.rdma = { .remote_addr = va, .rkey = RKEY },
	};

	return pcv_qp_post_send(qp, &wr, &bad);
}

/* Whether it went without the kernel; if not, that does it. */
static bool direct(uint64_t va, uint32_t bytes)
{
	CHECK(!put(va, bytes, IBV_SEND_SIGNALED));
	if (fake_send_take(fq)) {
		fake_send_end(fq, PCV_WC_SUCCESS, bytes);
		setup_expect(cq, va, IBV_WC_SUCCESS, IBV_WC_RDMA_WRITE);
		return false;
	}
	setup_expect(cq, va, IBV_WC_SUCCESS, IBV_WC_RDMA_WRITE);
	setup_idle(cq);
	return true;
}

/* The slot that asks for the piece at @va. */
static struct pcv_direct_slot *asked(uint64_t va)
{
	int i;

	for (i = 0; i < PCV_DIRECT_SLOTS; i++)
		if (fq->direct[i].ask && fq->direct[i].ask != fq->direct[i].told &&
		    fq->direct[i].va == va && fq->direct[i].rkey == RKEY)
			return &fq->direct[i];
	return NULL;
}

static void tell(struct pcv_direct_slot *slot, uint32_t from, uint32_t to)
{
	slot->from = from;
	slot->to = to;
	PCV_STORE(&slot->valid, from != to);
	pcv_cpu_store_release(&slot->told, slot->ask);
}

static uint8_t *memory(const struct pcv_direct_slot *slot)
{
	return fq->direct_mem + (slot - fq->direct) * PIECE;
}

static struct pcv_direct_slot *open_piece(uint64_t va)
{
	struct pcv_direct_slot *slot;
	uint32_t kicks = fq->kicks;
	int i;

	for (i = 0; i < 5 && !asked(va); i++)
		CHECK(!direct(va + 4096, 64));
	slot = asked(va);
	CHECK(slot && i > 1);
	CHECK_EQ(fq->kicks, kicks + 1);
	CHECK(!direct(va + 4096, 64));
	tell(slot, 4096, PCV_DIRECT_PIECE);
	return slot;
}

static void test_write(void)
{
	struct pcv_direct_slot *one, *two;
	uint32_t i;

	begin();
	for (i = 0; i < 5 << 20; i++)
		buf[i] = (uint8_t)(i * 7 + (i >> 8));
	one = open_piece(BASE);
	CHECK(direct(BASE + 4096, 1000));
	CHECK(!memcmp(memory(one) + 4096, buf, 1000));
	CHECK(direct(BASE + PIECE - 100, 100));
	CHECK(!memcmp(memory(one) + PIECE - 100, buf, 100));
	/* Outside of what is mapped, or of another region. */
	CHECK(!direct(BASE + 4095, 100));
	CHECK(!direct(BASE + PIECE - 100, 101));
	/* Over an edge. */
	two = open_piece(BASE + PIECE);
	tell(two, 0, 5000);
	CHECK(direct(BASE + PIECE - 100, 3000));
	CHECK(!memcmp(memory(one) + PIECE - 100, buf, 100));
	CHECK(!memcmp(memory(two), buf + 100, 2900));
	CHECK(!direct(BASE + PIECE - 100, 5101));
	CHECK(direct(BASE + PIECE - 100, 5100));
	/* Not before what is with the kernel. */
	CHECK(!setup_send(qp, 1, 0));
	CHECK(!put(BASE + 4096, 8, 0));
	CHECK_EQ(fq->shared->sq_tail - fq->sq_taken, 2);
	fake_send_all(fq, 2);
	CHECK(direct(BASE + 4096, 8));
	/* Bad memory of one's own. */
	mr->lkey++;
	CHECK(!direct(BASE + 4096, 8));
	mr->lkey--;
	end();
}

/* A long request asks for all its pieces and waits for them; if nobody answers, not for ever. */
static void test_long(void)
{
	uint32_t kicks;

	begin();
	kicks = fq->kicks;
	CHECK(!direct(BASE + 40 * PIECE, 64 << 10));
	CHECK_EQ(fq->kicks, kicks + 1);
	CHECK(asked(BASE + 40 * PIECE));
	CHECK(!direct(BASE + 40 * PIECE, 64 << 10));
	CHECK_EQ(fq->kicks, kicks + 1);
	fake_limits.direct_tells = true;
	CHECK(!direct(BASE, (64 << 10) - 1));
	CHECK_EQ(fq->kicks, kicks + 1);
	CHECK(direct(BASE + PIECE - 100, 1 << 20));
	CHECK_EQ(fq->kicks, kicks + 3);
	CHECK(direct(BASE + PIECE - 100, 1 << 20));
	CHECK(direct(BASE, 8));
	CHECK_EQ(fq->kicks, kicks + 3);
	end();
}

static void test_revoked(void)
{
	struct pcv_direct_slot *slot;
	uint32_t i, asks = 0;

	begin();
	slot = open_piece(BASE);
	CHECK(direct(BASE + 4096, 1000));
	slot->valid = 0;
	CHECK(!direct(BASE + 4096, 1000));
	/* It is asked for again, but not soon. */
	for (i = 0; i < 3000; i++) {
		CHECK(!direct(BASE + 4096, 8));
		if (slot->ask == slot->told)
			continue;
		tell(slot, 0, 0);
		asks++;
	}
	CHECK_EQ(asks, 2);
	end();
}

/* A question or its answer that was lost is asked again, but not soon; answers are to the last. */
static void test_unanswered(void)
{
	struct pcv_direct_slot *slot;
	uint32_t first, last, i, asks = 0;

	begin();
	for (i = 0; i < 5 && !asked(BASE); i++)
		CHECK(!direct(BASE + 4096, 64));
	slot = asked(BASE);
	CHECK(slot);
	first = slot->ask;
	last = first;
	for (i = 0; i < 3000; i++) {
		CHECK(!direct(BASE + 4096, 8));
		if (slot->ask == last)
			continue;
		last = slot->ask;
		asks++;
	}
	CHECK_EQ(asks, 2);
	slot->from = 0;
	slot->to = PCV_DIRECT_PIECE;
	PCV_STORE(&slot->valid, 1);
	pcv_cpu_store_release(&slot->told, first);
	CHECK(!direct(BASE + 4096, 8));
	pcv_cpu_store_release(&slot->told, last);
	CHECK(direct(BASE + 4096, 8));
	CHECK(!memcmp(memory(slot) + 4096, buf, 8));
	end();
}

/*
 * Between the stores and the look: a segment of the request lies over the word
 * that says so, so that the copy itself takes the piece back.
 */
static void test_revoked_between(void)
{
	struct pcv_direct_slot *slot;
	struct ibv_sge sge = { 0 };
	struct ibv_send_wr *bad, wr = {
		.wr_id = 5, .sg_list = &sge, .num_sge = 1, .opcode = IBV_WR_RDMA_WRITE,
		.send_flags = IBV_SEND_SIGNALED,
		.wr.rdma = { .remote_addr = BASE + 8192, .rkey = RKEY },
	};
	uint8_t *at;

	begin();
	slot = open_piece(BASE);
	sge = (struct ibv_sge){ (uintptr_t)buf, 64, mr->lkey };
	CHECK(!pcv_qp_post_send(qp, &wr, &bad));
	setup_expect(cq, 5, IBV_WC_SUCCESS, IBV_WC_RDMA_WRITE);
	/* The page of the piece is the page of the slots now. */
	at = (uint8_t *)pcv_qp(qp)->direct.region.base + (slot - fq->direct) * PIECE + 8192;
	CHECK(mremap((void *)((uintptr_t)slot & ~4095ul), 0, 4096, MREMAP_MAYMOVE | MREMAP_FIXED,
		     at) == at);
	memcpy(buf, slot, sizeof(*slot));
	((struct pcv_direct_slot *)buf)->valid = 0;
	wr.wr.rdma.remote_addr += (uintptr_t)slot & 4095;
	CHECK(!pcv_qp_post_send(qp, &wr, &bad));
	CHECK(!slot->valid);
	setup_idle(cq);
	CHECK(fake_send_take(fq));
	fake_send_end(fq, PCV_WC_REM_ACCESS_ERR, 0);
	setup_expect(cq, 5, IBV_WC_REM_ACCESS_ERR, IBV_WC_RDMA_WRITE);
	end();
}

/* More pieces than slots: those used last stay. */
static void test_many(void)
{
	struct pcv_direct_slot *slot;
	uint32_t i, k;

	begin();
	for (i = 0; i < PCV_DIRECT_SLOTS; i++)
		CHECK(open_piece(BASE + i * PIECE));
	for (i = 0; i < PCV_DIRECT_SLOTS; i++)
		CHECK(direct(BASE + i * PIECE + 5000, 8));
	CHECK(open_piece(BASE + 20 * PIECE));
	CHECK(direct(BASE + 20 * PIECE + 5000, 8));
	/* The oldest had to go, nobody else. */
	for (i = 1; i < PCV_DIRECT_SLOTS; i++)
		CHECK(direct(BASE + i * PIECE + 5000, 8));
	for (k = 0; k < 4 && !asked(BASE); k++)
		CHECK(!direct(BASE + 5000, 8));
	slot = asked(BASE);
	CHECK(slot);
	setup_state(qp, IBV_QPS_RESET);
	setup_rts(qp);
	fake_fast_open(fq, 0);
	CHECK(!direct(BASE + PIECE + 5000, 8));
	end();
}

static const struct pcv_case cases[] = {
	{ "write", test_write }, { "long", test_long }, { "revoked", test_revoked },
	{ "unanswered", test_unanswered }, { "revoked-between", test_revoked_between },
	{ "many", test_many },
};

int main(int argc, char **argv)
{
	return pcv_check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
