// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Going to sleep across the link: the armed and the starved word of channels. */
#include "model.h"

/* --- armed: kernel/chan.c pcv_peer_tx_end(), kernel/progress.c pcv_peer_sleep() ------ */

enum {
	LINE,		/* at the consumer: messages written; the ring itself is another model */
	ARMED,		/* at the producer */
	BELL, RUNG, POLLS,	/* at the consumer */
};

#define MESSAGES	3

enum { NO_A = 1, NO_B, NO_B2, NO_READ, NO_LOOK, NO_RUNG, USED };

static void armed_producer(void)
{
	enum { SENT, WORD, ANSWERED };

	BEGIN
	for (R(SENT) = 1; R(SENT) <= MESSAGES; R(SENT)++) {
		OUT(LINE, R(SENT));
		if (!M(NO_A))
			MB();
		LD(R(WORD), ARMED);
		if (R(WORD) && R(WORD) != R(ANSWERED)) {
			R(ANSWERED) = R(WORD);
			RING_BELL(BELL);
		}
	}
	END
}

static void armed_consumer(void)
{
	enum { GOT, NEW, NUMBER, WAS_RUNG, TOOK_BACK };

	BEGIN
	for (;;) {
		LD(R(NEW), LINE);
		if (R(NEW) != R(GOT)) {
			R(GOT) = R(NEW);
			continue;
		}
		ATOMIC(R(WAS_RUNG) = S->mem[RUNG]; S->mem[RUNG] = 0);
		if (!R(WAS_RUNG) && !R(TOOK_BACK)) {
			/* Awake for somebody who polls: pcv_peer_disarm(). Once is enough. */
			R(TOOK_BACK) = 1;
			ST(RUNG, 1);
			OUT(ARMED, 0);
			if (M(USED))
				R(NUMBER)--;
			continue;
		}
		if (R(WAS_RUNG)) {
			R(NUMBER)++;
			OUT(ARMED, R(NUMBER));
			if (!M(NO_B))
				MB();
			if (!M(NO_READ))
				READ_BACK(ARMED);
			if (!M(NO_B2))
				MB();
		}
		if (!M(NO_LOOK)) {
			LD(R(NEW), LINE);
			if (R(NEW) != R(GOT))
				continue;
		}
		AWAIT(POLLS);
	}
	END
}

static void armed_interrupt(void)
{
	BEGIN
	for (;;) {
		AWAIT(BELL);
		if (!M(NO_RUNG))
			ST(RUNG, 1);
		ST_REL(POLLS, 1);
	}
	END
}

static void armed_start(void)
{
	S->mem[RUNG] = 1;
}

static const char *armed_end(void)
{
	return S->cpu[1].r[0] == MESSAGES ? NULL : "a line lies there, and the consumer sleeps";
}

const struct model armed_model = {
	.name = "chan_armed",
	.machines = ALL,
	.cpu = { armed_producer, armed_consumer, armed_interrupt },
	.node = { 0, 1, 1 },
	.start = armed_start,
	.end = armed_end,
	.mutation = {
		{ "chan_armed:A", "the barrier between line and look", ALL },
		{ "chan_armed:B", "the barrier behind the armed word", ALL },
		{ "chan_armed:B2", "the barrier behind the read", ANY_WEAK },
		{ NULL, "reading back", ALL },
		{ NULL, "the look after arming", ALL },
		{ NULL, "arming anew after a doorbell", ALL },
		{ NULL, "a number that was not used before", ALL },
	},
};

/* --- starved: pcv_chan_tx_ask(), pcv_chan_rx_credit() --------------------------------- */

enum {
	FULL = 0,	/* at the consumer: lines written */
	STARVED,	/* at the consumer */
	CREDIT,		/* at the producer */
	WAKE,		/* at the producer: the doorbell */
};

#define LINES		2
#define SENDS		4

enum { NO_SA = 1, NO_SA2, NO_SB, NO_SREAD, NO_SLOOK, NO_ANEW };

static void starved_producer(void)
{
	enum { TAIL, SEEN, NUMBER, ASKED, ASKED_AT };

	BEGIN
	while (R(TAIL) < SENDS) {
		if (R(TAIL) - R(SEEN) < LINES) {
			R(TAIL)++;
			OUT(FULL, R(TAIL));
			MB();
			continue;
		}
		LD(R(SEEN), CREDIT);
		if (R(TAIL) - R(SEEN) < LINES)
			continue;
		if (!R(ASKED) || R(ASKED_AT) != R(SEEN)) {
			R(ASKED) = 1;
			R(ASKED_AT) = R(SEEN);
			R(NUMBER)++;
			OUT(STARVED, R(NUMBER));
			if (!M(NO_SA))
				MB();
			if (!M(NO_SREAD))
				READ_BACK(STARVED);
			if (!M(NO_SA2))
				MB();
			if (!M(NO_SLOOK))
				LD(R(SEEN), CREDIT);
		}
		if (R(TAIL) - R(SEEN) < LINES)
			continue;
		AWAIT(WAKE);
		/* Perhaps the answer to a credit from before the question: ask again. */
		if (!M(NO_ANEW))
			R(ASKED) = 0;
	}
	END
}

static void starved_consumer(void)
{
	enum { HEAD, NEW, WORD, ANSWERED, TOLD, KEPT };

	BEGIN
	while (R(HEAD) < SENDS) {
		if (R(NEW) == R(HEAD))
			POLL(R(NEW), FULL);
		if (R(NEW) - R(HEAD) > LINES)
			fail("a line is written over");
		R(HEAD)++;
		/* It may keep back as much as leaves room. */
		if (R(HEAD) - R(TOLD) < LINES)
			STEP(if (choose(2, "keeps credit back")) C->r[KEPT] = 1);
		if (R(KEPT)) {
			R(KEPT) = 0;
			continue;
		}
		MB();
		R(TOLD) = R(HEAD);
		OUT(CREDIT, R(HEAD));
		if (!M(NO_SB))
			MB();
		LD(R(WORD), STARVED);
		if (R(WORD) != R(ANSWERED)) {
			R(ANSWERED) = R(WORD);
			RING_BELL(WAKE);
		}
	}
	END
}

static const char *starved_end(void)
{
	return S->cpu[0].r[0] == SENDS && S->cpu[1].r[0] == SENDS ? NULL :
		"there is room, and the producer sleeps";
}

const struct model starved_model = {
	.name = "chan_starved",
	.machines = ALL,
	.cpu = { starved_producer, starved_consumer },
	.node = { 0, 1 },
	.end = starved_end,
	.mutation = {
		{ "chan_starved:A", "the barrier behind the starved word", ALL },
		{ "chan_starved:A2", "the barrier behind the read", ANY_WEAK },
		{ "chan_starved:B", "the barrier between credit and look", ALL },
		{ NULL, "reading back", ALL },
		{ NULL, "the look after asking", ALL },
		{ NULL, "asking anew after a doorbell", ALL },
	},
};
