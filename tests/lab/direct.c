// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * RDMA WRITE into memory that may be stored to without its kernel, and may be
 * taken back at any time. Nothing here depends on whether it is: what must hold
 * holds for every WRITE. Side A writes, side B owns the memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verbs_common.h"

#define MEMORY		(9u << 20)	/* of B, in pieces of 2 MiB */
#define SOURCE		(3u << 20)
#define DEPTH		16
#define QUIET_MS	20
#define LOST		0x5a
/* Behind what is not lent: the first page belongs to the region in part only. */
#define HALTS_AT	8192

static uint64_t rng;

static uint32_t below(uint32_t n)
{
	/* Marsaglia's xorshift64. */
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 32) % n;
}

static int env_number(const char *name, int otherwise)
{
	const char *s = getenv(name);

	return s ? atoi(s) : otherwise;
}

/* Memory of B's that is no end's buffer, so that it can come and go by itself. */
struct memory {
	unsigned char *at;
	struct ibv_mr *mr;
	struct vc_addr addr;
};

/* B: register all but a few bytes at both ends. A: learn where it is. */
static void memory_open(struct vc *vc, struct vc_end *e, struct memory *m)
{
	struct vc_addr mine = { 0 };

	if (!vc->a) {
		m->mr = ibv_reg_mr(e->pd, m->at + 100, MEMORY - 200, VC_ALL_ACCESS);
		if (!m->mr)
			vc_die(vc, "reg_mr: %m");
		mine.va = (uintptr_t)m->at;
		mine.rkey = m->mr->rkey;
	}
	vc_swap(vc, &mine, &m->addr, sizeof(mine));
}

static int write_to(struct vc_end *e, const struct memory *m, uint64_t id, size_t from, size_t len,
		    size_t to)
{
	struct ibv_send_wr wr;
	struct ibv_sge sge;

	vc_wr(e, &wr, &sge, id, IBV_WR_RDMA_WRITE, from, len, 0);
	wr.wr.rdma.remote_addr = m->addr.va + to;
	wr.wr.rdma.rkey = m->addr.rkey;
	return vc_post(e, &wr);
}

static void wait_one(struct vc *vc, struct vc_end *e)
{
	struct ibv_wc wc;

	vc_next(vc, e->scq, &wc);
	if (wc.status)
		vc_die(vc, "WRITE: %s", ibv_wc_status_str(wc.status));
}

/* --- every byte where it belongs, in order ---------------------------------------------- */

static uint32_t some_length(void)
{
	static const uint32_t most[] = { 16, 100, 5000, 70000, 600000, SOURCE };

	return below(most[below(ARRAY_SIZE(most))]) + 1;
}

/*
 * Both sides know what is written where. Now and then a SEND comes behind the
 * WRITEs: when it has come, B's memory is as A has meant it to be.
 */
static void run_writes(struct vc *vc)
{
	struct vc_opts o = { .len = SOURCE, .depth = DEPTH * 2 };
	unsigned char *want = vc_alloc(vc, MEMORY);
	unsigned char *src = vc_alloc(vc, SOURCE);
	int rounds = env_number("DIRECT_ROUNDS", 60), r, i, n;
	struct memory m = { .at = vc_alloc(vc, MEMORY) };
	struct vc_end e;
	struct ibv_wc wc;
	uint32_t len, to, from;

	vc_open(vc, &e, &o);
	memory_open(vc, &e, &m);
	memset(m.at, 0, MEMORY);
	memset(want, 0, MEMORY);
	vc_fill(src, SOURCE, 1);
	memcpy(e.buf, src, SOURCE);
	for (r = 0; r < rounds; r++) {
		n = (int)below(DEPTH) + 1;
		if (!vc->a)
			vc_expect(vc, !vc_recv(&e, 1000, 0, 16), "post_recv");
		vc_meet(vc);
		for (i = 0; i < n; i++) {
			len = some_length();
			to = below(MEMORY - 200 - len) + 100;
			/* Often where others have been, so that pieces are known. */
			if (below(2))
				to = below(5000) + 100;
			from = below(SOURCE - len + 1);
			memcpy(want + to, src + from, len);
			if (vc->a)
				vc_expect(vc, !write_to(&e, &m, (uint64_t)i, from, len, to),
					  "post_send");
		}
		if (vc->a) {
			vc_expect(vc, !vc_send(&e, (uint64_t)n, IBV_WR_SEND, 0, 8, 0), "post_send");
			for (i = 0; i <= n; i++) {
				vc_next(vc, e.scq, &wc);
				if (wc.status || wc.wr_id != (uint64_t)i)
					vc_die(vc, "%d of %d: %s", (int)wc.wr_id, i,
					       ibv_wc_status_str(wc.status));
			}
		} else {
			/* The SEND goes to the end's own buffer, which is the source there. */
			vc_done(vc, e.rcq, 1000, IBV_WC_SUCCESS);
			if (!vc_expect(vc, !memcmp(m.at, want, MEMORY), "memory after round %d", r))
				break;
		}
	}
	vc_meet(vc);
	if (!vc->a)
		ibv_dereg_mr(m.mr);
	vc_close(&e);
	free(m.at);
	free(want);
	free(src);
}

/* More in a row than numbers that may be missing, with messages among them. */
static void run_many(struct vc *vc)
{
	struct vc_opts o = { .len = SOURCE, .depth = 64 };
	uint32_t count = (uint32_t)env_number("DIRECT_MANY", 40000), i, done = 0;
	struct memory m = { .at = vc_alloc(vc, MEMORY) };
	struct vc_end e;
	uint32_t last;

	vc_open(vc, &e, &o);
	memory_open(vc, &e, &m);
	vc_meet(vc);
	for (i = 0; vc->a && i < count; i++) {
		if (i - done == 60) {
			wait_one(vc, &e);
			done++;
		}
		memcpy(e.buf + i % 64 * 8, &i, sizeof(i));
		vc_expect(vc, !write_to(&e, &m, i, i % 64 * 8, sizeof(i), 4096 + i % 64 * 8),
			  "post_send");
	}
	for (; vc->a && done < count; done++)
		wait_one(vc, &e);
	if (vc->a) {
		vc_expect(vc, !vc_send(&e, 7, IBV_WR_RDMA_READ, 4096, 8, 0), "post_send");
		vc_done(vc, e.scq, 7, IBV_WC_SUCCESS);
	}
	vc_meet(vc);
	for (i = count - 64; !vc->a && i < count; i++) {
		memcpy(&last, m.at + 4096 + i % 64 * 8, sizeof(last));
		vc_expect(vc, last == i, "%u where %u was written last", last, i);
	}
	if (!vc->a)
		ibv_dereg_mr(m.mr);
	vc_close(&e);
	free(m.at);
}

/* The time of a round should be that of the WRITEs: a number in each page is all that changes. */
static void stamp(unsigned char *at, uint64_t round)
{
	for (size_t i = 0; i < SOURCE; i += 4096)
		memcpy(at + i, &round, sizeof(round));
}

static void has_stamp(struct vc *vc, const unsigned char *at, uint64_t round)
{
	uint64_t is;

	for (size_t i = 0; i < SOURCE; i += 4096) {
		memcpy(&is, at + i, sizeof(is));
		if (is != round)
			vc_die(vc, "%zu bytes behind the begin there is WRITE %llu, not %llu", i,
			       (unsigned long long)is, (unsigned long long)round);
	}
}

/*
 * While one of the machines stands still now and then, so that what was sent waits there
 * and is sent once more: a WRITE that may be executed late must not come behind the next.
 */
static void run_halts(struct vc *vc)
{
	struct vc_opts o = { .len = SOURCE, .depth = DEPTH };
	uint64_t end = vc_now_ms() + 1000 * (uint64_t)env_number("DIRECT_HALTS", 10);
	struct memory m = { .at = vc_alloc(vc, MEMORY) };
	unsigned char go = 1, other;
	struct vc_end e;
	uint64_t r;

	vc_open(vc, &e, &o);
	memory_open(vc, &e, &m);
	for (r = 2; go; r += 2) {
		if (!vc->a)
			vc_expect(vc, !vc_recv(&e, 1000, 0, 8) && !vc_recv(&e, 1001, 0, 8),
				  "post_recv");
		go = !vc->a || vc_now_ms() < end;
		vc_swap(vc, &go, &other, 1);
		go &= other;
		if (vc->a) {
			stamp(e.buf, r);
			vc_expect(vc, !vc_send(&e, 1, IBV_WR_SEND, 0, 8, 0), "post_send");
			vc_expect(vc, !write_to(&e, &m, 2, 0, SOURCE, HALTS_AT), "post_send");
			wait_one(vc, &e);
			wait_one(vc, &e);
			stamp(e.buf, r + 1);
			vc_expect(vc, !write_to(&e, &m, 3, 0, SOURCE, HALTS_AT), "post_send");
			wait_one(vc, &e);
			vc_expect(vc, !vc_send(&e, 4, IBV_WR_SEND, 0, 8, 0), "post_send");
			wait_one(vc, &e);
		} else {
			vc_done(vc, e.rcq, 1000, IBV_WC_SUCCESS);
			vc_done(vc, e.rcq, 1001, IBV_WC_SUCCESS);
			has_stamp(vc, m.at + HALTS_AT, r + 1);
		}
	}
	if (vc->a)
		printf("# %llu rounds\n", (unsigned long long)r / 2 - 1);
	vc_meet(vc);
	if (!vc->a)
		ibv_dereg_mr(m.mr);
	vc_close(&e);
	free(m.at);
}

/* --- taken back -------------------------------------------------------------------------- */

/* A: write until it fails. Return: how it did. */
static enum ibv_wc_status write_on(struct vc *vc, struct vc_end *e, const struct memory *m)
{
	uint32_t posted = 0, ended = 0;
	struct ibv_wc wc;

	for (;;) {
		while (posted - ended < DEPTH) {
			uint32_t len = below(2) ? 64 : below(20000) + 1;

			vc_expect(vc, !write_to(e, m, posted, below(1000), len,
						200 + below(MEMORY - 30000)), "post_send");
			posted++;
		}
		vc_next(vc, e->scq, &wc);
		vc_expect(vc, wc.wr_id == ended, "%u instead of %u", (uint32_t)wc.wr_id, ended);
		ended++;
		if (wc.status)
			break;
	}
	for (; ended < posted; ended++)
		vc_done(vc, e->scq, ended, IBV_WC_WR_FLUSH_ERR);
	return wc.status;
}

/* B: its memory is its own again. */
static void stays(struct vc *vc, const struct memory *m, const char *behind)
{
	size_t i;

	memset(m->at, LOST, MEMORY);
	usleep(QUIET_MS * 1000);
	for (i = 0; i < MEMORY; i++)
		if (m->at[i] != LOST) {
			vc_expect(vc, false, "byte %zu was written behind %s", i, behind);
			return;
		}
}

/* @end: how B ends it, once A is at it. */
static void taken_back(struct vc *vc, const char *what, int rounds,
		       void (*end)(struct vc_end *e, struct memory *m))
{
	struct vc_opts o = { .len = 65536, .depth = DEPTH };
	struct memory m = { .at = vc_alloc(vc, MEMORY) };
	enum ibv_wc_status status;
	struct vc_end e;

	while (rounds--) {
		vc_open(vc, &e, &o);
		memory_open(vc, &e, &m);
		vc_meet(vc);
		if (vc->a) {
			status = write_on(vc, &e, &m);
			vc_expect(vc, end || status == IBV_WC_REM_ACCESS_ERR, "%s: %s", what,
				  ibv_wc_status_str(status));
		} else {
			usleep(1000 * (below(30) + 1));
			if (end)
				end(&e, &m);
			else
				vc_expect(vc, !ibv_dereg_mr(m.mr), "dereg_mr: %m");
			stays(vc, &m, what);
		}
		vc_meet(vc);
		if (!vc->a && end)
			ibv_dereg_mr(m.mr);
		vc_close(&e);
	}
	free(m.at);
}

static void run_dereg(struct vc *vc)
{
	taken_back(vc, "deregistration", env_number("DIRECT_REVOKES", 20), NULL);
}

/* Who writes to a queue pair that is gone learns it after 8 times 200 ms. */
#define ENDS	4

static void end_error(struct vc_end *e, struct memory *m)
{
	(void)m;
	vc_to(e, IBV_QPS_ERR);
}

static void run_error(struct vc *vc)
{
	taken_back(vc, "the error state", ENDS, end_error);
}

static void end_reset(struct vc_end *e, struct memory *m)
{
	(void)m;
	vc_to(e, IBV_QPS_RESET);
}

static void run_reset(struct vc *vc)
{
	taken_back(vc, "RESET", ENDS, end_reset);
}

static void setup(struct vc *vc)
{
	(void)vc;
	rng = (uint64_t)env_number("DIRECT_SEED", 1) * 0x9e3779b97f4a7c15u | 1;
}

static const struct vc_test tests[] = {
	{ "writes", run_writes },
	{ "many", run_many },
	{ "halts", run_halts },
	{ "dereg", run_dereg },
	{ "error", run_error },
	{ "reset", run_reset },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, NULL, setup, NULL);
}
