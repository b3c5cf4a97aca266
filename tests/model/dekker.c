// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Store, full barrier, load of the other's word, inside the kernel: regions
 * that are invalidated (kernel/mr.c), doorbells of a software link
 * (kernel/ntb/shm.c, kernel/ntb/dev.c); and between threads of a process: a message
 * that waits for a receive (pcv_fast_starve(), pcv_fast_feed()).
 */
#include "model.h"

enum { NO_A = 1, NO_B };

/* --- mr_gone ------------------------------------------------------------------------ */

enum { REFS, INVALID };
enum { USING, GONE };		/* g[] */

static void region_user(void)
{
	BEGIN
	OR_BITS(REFS, 1);
	if (!M(NO_B))
		MB();
	LD_ACQ(R(0), INVALID);
	if (!R(0)) {
		STEP(S->g[USING] = 1; if (S->g[GONE]) fail("a region is used that is gone"));
		STEP(S->g[USING] = 0);
	}
	MB();
	CLEAR_BITS(REFS, 1);
	END
}

static void region_owner(void)
{
	BEGIN
	ST(INVALID, 1);
	if (!M(NO_A))
		MB();
	STEP(if (op_load(REFS, "REFS")) block());
	STEP(S->g[GONE] = 1; if (S->g[USING]) fail("a region goes that is used"));
	END
}

static const char *region_end(void)
{
	return S->g[GONE] ? NULL : "a region does not go";
}

const struct model mr_gone_model = {
	.name = "mr_gone",
	.machines = TSO | WEAK,
	.cpu = { region_user, region_owner },
	.end = region_end,
	.mutation = {
		{ "mr_gone:A", "the barrier behind the mark", ALL },
		{ "mr_gone:B", "the barrier behind the count", ANY_WEAK },
	},
};

/* --- ntb_mask ------------------------------------------------------------------------ */

enum { BELLS, UNMASKED };
enum { HANDLED };		/* g[] */

static void mask_ringer(void)
{
	BEGIN
	OR_BITS(BELLS, 1);
	if (!M(NO_A))
		MB();
	LD(R(0), UNMASKED);
	if (R(0))
		STEP(S->g[HANDLED] = 1);
	END
}

static void mask_owner(void)
{
	BEGIN
	ST(UNMASKED, 1);
	if (!M(NO_B))
		MB();
	LD(R(0), BELLS);
	if (R(0))
		STEP(S->g[HANDLED] = 1);
	END
}

static const char *mask_end(void)
{
	return S->g[HANDLED] ? NULL : "a doorbell is set, unmasked, and nobody comes";
}

const struct model ntb_mask_model = {
	.name = "ntb_mask",
	.machines = TSO | WEAK,
	.cpu = { mask_ringer, mask_owner },
	.end = mask_end,
	.mutation = {
		{ "ntb_mask:A", "the barrier behind the doorbell", ANY_WEAK },
		{ "ntb_mask:B", "the barrier behind the mask", ALL },
	},
};

/* --- ntb_kick and ntb_clear: work, then a bit; a bit is cleared, then work is looked for - */

enum { WORK, BIT, WAKE };

static void kick_worker(void)
{
	BEGIN
	for (R(0) = 1; R(0) <= 2; R(0)++) {
		ST(WORK, R(0));
		if (!M(NO_A))
			MB();
		BOTH(op_tso_fence(), op_tso_drained(); R(1) = S->mem[BIT]; S->mem[BIT] = 1);
		if (!R(1))
			ST_REL(WAKE, 1);
	}
	END
}

static void kick_owner(void)
{
	BEGIN
	for (;;) {
		AWAIT(WAKE);
		ST(BIT, 0);
		if (!M(NO_B))
			MB();
		LD(R(0), WORK);
	}
	END
}

static const char *kick_end(void)
{
	return S->cpu[1].r[0] == 2 ? NULL : "work is left, and its owner sleeps";
}

const struct model ntb_kick_model = {
	.name = "ntb_kick",
	.machines = TSO | WEAK,
	.cpu = { kick_worker, kick_owner },
	.end = kick_end,
	.mutation = {
		{ "ntb_kick:A", "the barrier before the test", ANY_WEAK },
		{ "ntb_kick:B", "the barrier behind the clearing", ALL },
	},
};

static void clear_ringer(void)
{
	BEGIN
	for (R(0) = 1; R(0) <= 2; R(0)++) {
		ST(WORK, R(0));
		if (!M(NO_B))
			WMB();
		OR_BITS(BIT, 1);
		MB();
	}
	END
}

/* An interrupt while the bit is set. */
static void clear_owner(void)
{
	BEGIN
	for (;;) {
		STEP(if (!S->mem[BIT]) block());
		CLEAR_BITS(BIT, 1);
		if (!M(NO_A))
			MB();
		LD(R(0), WORK);
	}
	END
}

const struct model ntb_clear_model = {
	.name = "ntb_clear",
	.machines = TSO | WEAK,
	.cpu = { clear_ringer, clear_owner },
	.end = kick_end,
	.mutation = {
		{ "ntb_clear:A", "the barrier behind the clearing", ANY_WEAK },
		{ "ntb_clear:B", "the barrier behind the work", ANY_WEAK },
	},
};

/* --- recv_starved ---------------------------------------------------------------------- */

/*
 * A shared queue: one who polls and sleeps, one who takes receives for others, one
 * who posts two of them. SHARED, the queue's mark, is set at first: somebody else
 * has starved before.
 */
enum { TAIL, TAKEN, STARVED, SHARED, ARMED, EVENT };
enum { GOT };		/* g[] */

static void starved_poller(void)
{
	BEGIN
	for (;; R(4) = 1) {
		/* Not before the first poll. */
		if (R(4)) {
			ST(ARMED, 1);
			MB();
		}
		for (;;) {
			LD(R(1), TAKEN);
			LD(R(0), TAIL);
			if (R(0) != R(1)) {
				ATOMIC(R(2) = S->mem[TAKEN] == R(1); S->mem[TAKEN] += R(2));
				if (!R(2))
					continue;
				STEP(S->g[GOT] = 1);
				STOP;
			}
			LD(R(2), STARVED);
			LD(R(3), SHARED);
			if ((R(2) && R(3)) || M(3))
				break;
			ST(STARVED, 1);
			ST(SHARED, 1);
			if (!M(NO_A))
				MB();
		}
		if (M(3)) {
			ST(STARVED, 1);
			ST(SHARED, 1);
		}
		if (R(4))
			AWAIT(EVENT);
	}
	END
}

static void starved_thief(void)
{
	BEGIN
	STEP(if (S->mem[TAIL] == S->mem[TAKEN]) block(); S->mem[TAKEN]++);
	END
}

static void starved_poster(void)
{
	BEGIN
	for (R(4) = 1; R(4) <= 2; R(4)++) {
		ST_REL(TAIL, R(4));
		if (!M(NO_B))
			MB();
		LD(R(0), SHARED);
		if (!R(0))
			continue;
		ST(SHARED, 0);
		if (!M(4))
			MB();
		LD(R(1), STARVED);
		if (!R(1))
			continue;
		if (M(5)) {
			ST(STARVED, 0);
		} else {
			ATOMIC(R(1) = S->mem[STARVED]; S->mem[STARVED] = 0);
			if (!R(1))
				continue;
		}
		LD(R(2), ARMED);
		if (!R(2))
			continue;
		ATOMIC(R(2) = S->mem[ARMED]; S->mem[ARMED] = 0);
		if (R(2))
			ST_REL(EVENT, 1);
	}
	END
}

static void starved_start(void)
{
	S->mem[SHARED] = 1;
}

static const char *starved_end(void)
{
	return S->g[GOT] || S->mem[TAIL] == S->mem[TAKEN] ? NULL :
		"a message and its receive are there, and nobody looks";
}

const struct model recv_starved_model = {
	.name = "recv_starved",
	.machines = TSO | WEAK,
	.cpu = { starved_poller, starved_poster, starved_thief },
	.start = starved_start,
	.end = starved_end,
	.mutation = {
		{ "recv_starved:A", "the barrier before the second look", ALL },
		{ "recv_starved:B", "the barrier behind the post", ALL },
		{ NULL, "the second look", ALL },
		{ "recv_starved:B", "the barrier behind the cleared mark of the queue", ALL },
		{ "recv_starved:B", "the exchange of the queue pair's mark", ALL },
	},
};
