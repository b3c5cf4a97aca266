// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Store, full barrier, load of the other's word, between a process and its
 * kernel: a receive that both could fill (kernel/resp.c, fast-rx.c), a queue
 * pair that is no longer looked at (watch.c, fast-tx.c), remote memory that is
 * taken back (kernel/direct.c, direct.c).
 */
#include "model.h"

enum { NO_A = 1, NO_B, NO_WAIT };

/* --- fast_claim --------------------------------------------------------------------- */

enum { OPEN, CLAIM };
enum { COPYING, FILLING };	/* g[] */

/* Parts of a message that begins in the fast ring and goes to the kernel then. */
static void claim_process(void)
{
	enum { PART, VOID };

	BEGIN
	for (R(PART) = 0; R(PART) < 2; R(PART)++) {
		ST(OPEN, 1);
		if (!M(NO_A))
			MB();
		LD(R(VOID), CLAIM);
		if (!R(VOID)) {
			STEP(S->g[COPYING] = 1;
			     if (S->g[FILLING])
				     fail("a part is copied over the kernel's message"));
			STEP(S->g[COPYING] = 0);
		}
		ST_REL(OPEN, 0);
	}
	END
}

static void claim_kernel(void)
{
	BEGIN
	ST(CLAIM, 1);
	if (!M(NO_B))
		MB();
	/* It comes again when it is called; how that is not missed is another model, kick. */
	STEP(if (op_load(OPEN, "OPEN") && !M(NO_WAIT))
		     block();
	     op_refresh());
	STEP(S->g[FILLING] = 1;
	     if (S->g[COPYING])
		     fail("the kernel fills a receive that a part is being copied to"));
	END
}

static const char *claim_end(void)
{
	return S->g[FILLING] ? NULL : "the kernel does not get its receive";
}

const struct model claim_model = {
	.name = "claim",
	.machines = TSO | WEAK,
	.cpu = { claim_process, claim_kernel },
	.end = claim_end,
	.mutation = {
		{ "fast_claim:A", "the barrier behind saying that it copies", ALL },
		{ "fast_claim:B", "the barrier behind the claim", ALL },
		{ NULL, "waiting for who copies", ALL },
	},
};

/* --- send_hot ------------------------------------------------------------------------ */

enum { SENT, COLD };
enum { HINTED };		/* g[] */

static void hot_sender(void)
{
	BEGIN
	ST(SENT, 1);
	if (!M(NO_A))
		MB();
	LD(R(0), COLD);
	if (R(0))
		STEP(S->g[HINTED] = 1);
	END
}

static void hot_poller(void)
{
	BEGIN
	ST(COLD, 1);
	if (!M(NO_B))
		MB();
	LD(R(0), SENT);
	if (R(0))
		STEP(S->g[HINTED] = 1);
	END
}

static const char *hot_end(void)
{
	return S->g[HINTED] ? NULL : "a send has ended, and nobody looks";
}

const struct model send_hot_model = {
	.name = "send_hot",
	.machines = TSO | WEAK,
	.cpu = { hot_sender, hot_poller },
	.end = hot_end,
	.mutation = {
		{ "send_hot:A", "the barrier behind the count", ALL },
		{ "send_hot:B", "the barrier behind the mark", ALL },
	},
};

/* --- direct_valid -------------------------------------------------------------------- */

enum { INVALID, UNMAPPED };
enum { MISSED };		/* g[] */

static void direct_kernel(void)
{
	BEGIN
	ST(INVALID, 1);
	if (!M(NO_A))
		MB();
	ST(UNMAPPED, 1);
	END
}

/* A store into the window, and then a look whether it can have gone elsewhere. */
static void direct_writer(void)
{
	BEGIN
	STEP(S->g[MISSED] = op_load(UNMAPPED, "UNMAPPED"));
	/* A store that misses is a fault, and that is a barrier. */
	if (S->g[MISSED])
		MB();
	LD(R(0), INVALID);
	if (!R(0) && S->g[MISSED])
		fail("a store missed, and is taken for done");
	END
}

static const char *direct_end(void)
{
	return NULL;
}

const struct model direct_valid_model = {
	.name = "direct_valid",
	.machines = TSO | WEAK,
	.cpu = { direct_kernel, direct_writer },
	.end = direct_end,
	.mutation = {
		{ "direct_valid:A", "the barrier behind the mark", ANY_WEAK },
	},
};
