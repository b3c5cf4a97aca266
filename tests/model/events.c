// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Waking the consumer of a fast ring: the call word, and how the sender learns
 * that it must look there (kernel/fast.c; the processes' side is in the
 * provider).
 *
 * Node 0 is the sender's, node 1 the consumer's. Kernels talk through the
 * channel, which goes the way of all windows.
 */
#include "model.h"

enum {
	LINE,		/* at node 1: messages in the fast ring */
	CALL,		/* at node 0, in the sender's block */
	FAST,		/* at node 0: the FENCE bit */
	EVENTS,		/* at node 0: message between kernels */
	EVENTS_ON,	/* at node 1: message between kernels */
	WAKE,		/* at node 1: message between kernels; bit 1: solicited */
	ARMED,		/* at node 1: 1 solicited, 2 any */
	EVENT,		/* at node 1 */
};

/* g[]: it is switched on, and the consumer changes its mind about what it waits for */
enum { KINDS, LAST_SOLICITED };

enum { ANY = 2, ONLY_SOLICITED = 1 };

#define MESSAGES	2

enum { NO_FENCE = 1, NO_INTERRUPT, EARLY_BIT, NO_READ, NO_CALL_MB, NO_LOOK, NO_ON_HINT,
       CALL_STANDS, KIND_FORGOTTEN };

/* The mutations of the second model below, by the names of the first's. */
#define KM(first, second)	(S->g[KINDS] ? M(second) : M(first))

/* The process: a message, then a look whether somebody sleeps. */
static void sender(void)
{
	enum { SENT, BIT, SEEN, ANSWERED, SOL };

	BEGIN
	for (R(SENT) = 1; R(SENT) <= MESSAGES; R(SENT)++) {
		if (KM(EARLY_BIT, 99))
			LD(R(BIT), FAST);
		/* The last is solicited, the others are not; or as it likes. */
		R(SOL) = R(SENT) == MESSAGES;
		if (S->g[KINDS])
			STEP(C->r[SOL] = (uint8_t)choose(2, "solicited"));
		if (R(SOL))
			S->g[LAST_SOLICITED] = R(SENT);
		OUT(LINE, R(SENT));
		/* It leaves by itself: the barrier behind it on a combining window. */
		WMB();
		if (!KM(EARLY_BIT, 99))
			LD(R(BIT), FAST);
		if (!R(BIT))
			continue;
		if (!KM(NO_FENCE, 1))
			MB();
		LD(R(SEEN), CALL);
		if (!R(SEEN) || R(SEEN) == R(ANSWERED) || (R(SEEN) & 1 && !R(SOL)))
			continue;
		R(ANSWERED) = R(SEEN);
		/* wake++, a call; the kernel's ring begins with a barrier. */
		WMB();
		OUT(WAKE, R(SOL) ? 2 : 1);
		WMB();
	}
	END
}

/* The sender's kernel: EVENTS has come. */
static void far_kernel(void)
{
	BEGIN
	AWAIT(EVENTS);
	ATOMIC(S->mem[FAST] = 1);
	if (!KM(NO_INTERRUPT, 99))
		INTERRUPT(0);
	OUT(EVENTS_ON, 1);
	WMB();
	END
}

/* The consumer's kernel: hints and events, pcv_cq_hint(). */
static void near_kernel(void)
{
	enum { WANT };

	BEGIN
	for (;;) {
		/* In detail this is another model, cq. EVENTS_ON counts as solicited. */
		STEP(if (S->mem[EVENTS_ON]) {
			     R(WANT) = KM(NO_ON_HINT, 99) ? ANY + 1 : ONLY_SOLICITED;
			     S->mem[EVENTS_ON] = 0;
		     } else if (S->mem[WAKE]) {
			     R(WANT) = S->mem[WAKE] == 2 ? ONLY_SOLICITED : ANY;
			     S->mem[WAKE] = 0;
		     } else {
			     block();
		     }
		     if (S->mem[ARMED] >= R(WANT)) {
			     say("event");
			     S->mem[ARMED] = 0;
			     S->mem[EVENT] = 1;
		     }
		     R(WANT) = 0);
	}
	END
}

enum { GOT, NEW, KIND, ASKED, CALLED, CALLED_KIND, TAKEN, OTHER, STOOD };

/*
 * The application: arms for what it likes, polls once more, sleeps. It may be
 * woken by something else at any time: once, here.
 */
static void consumer(void)
{
	BEGIN
	for (;;) {
		POLL_ALL:
		LD_ACQ(R(NEW), LINE);
		if (R(NEW) != R(GOT)) {
			R(GOT) = R(NEW);
			R(TAKEN) = 1;
			continue;
		}
		if (!R(KIND)) {
			R(KIND) = ANY;
			if (S->g[KINDS])
				STEP(if (choose(2, "arms for solicited ones"))
					     C->r[KIND] = ONLY_SOLICITED);
			/* Atomic: was it still armed, so that no event has come since? */
			ATOMIC(R(STOOD) = !!S->mem[ARMED];
			       if (R(KIND) == ANY || !S->mem[ARMED]) S->mem[ARMED] = R(KIND);
			       R(KIND) = S->mem[ARMED]);
			if (!R(ASKED)) {
				R(ASKED) = 1;
				/* A call: its own kernel sends. */
				OUT(EVENTS, 1);
				WMB();
			}
			/*
			 * A new call, unless the last one asks for the same and has not
			 * been answered: perhaps for a message taken before it was made.
			 */
			if (!R(CALLED) || R(TAKEN) || !(R(STOOD) || KM(CALL_STANDS, 99)) ||
			    (R(CALLED_KIND) != R(KIND) && !KM(KIND_FORGOTTEN, 3))) {
				R(TAKEN) = 0;
				R(CALLED) += 2;
				R(CALLED_KIND) = R(KIND);
				OUT(CALL, R(CALLED) | (R(KIND) == ONLY_SOLICITED));
				if (!KM(NO_CALL_MB, 99))
					MB();
				if (!KM(NO_READ, 2))
					READ_BACK(CALL);
				MB();
			}
			if (!KM(NO_LOOK, 99))
				goto POLL_ALL;
		}
		/* Woken by an event, or once by something else that took the arming. */
		STEP(if (S->mem[EVENT]) { S->mem[EVENT] = 0; say("woken"); }
		     else if (!R(OTHER)) {
			     /* By another queue pair's event, or by a clock. */
			     R(OTHER) = 1;
			     if (choose(2, "a clock")) { } else S->mem[ARMED] = 0;
		     }
		     else block();
		     op_refresh());
		R(KIND) = 0;
	}
	END
}

static const char *end(void)
{
	const struct cpu *c = &S->cpu[2];

	if (c->r[GOT] == MESSAGES)
		return NULL;
	if (S->mem[LINE] != MESSAGES)
		return "a message does not come";
	/* Who waits for solicited ones may sleep through others. */
	if (c->r[GOT] >= S->g[LAST_SOLICITED] && S->mem[ARMED] == ONLY_SOLICITED)
		return NULL;
	return "a message lies there, and the process sleeps";
}

static void events_start(void)
{
	S->cpu[2].r[OTHER] = 1;
}

const struct model events_model = {
	.name = "events",
	.machines = TSO | WEAK_WC,
	.cpu = { sender, near_kernel, consumer, far_kernel },
	.node = { 0, 1, 1, 0 },
	.start = events_start,
	.end = end,
	.mutation = {
		{ "fast_call:A", "the barrier between line and look", TSO },
		{ "fast_events:A", "the interrupt of every processor", TSO },
		{ NULL, "looking at the bit behind the line", TSO },
		{ NULL, "reading back", TSO },
		{ "fast_call:B", "the barrier between call and read", TSO },
		{ NULL, "the look after arming", TSO },
		{ NULL, "the event when it is switched on", TSO },
		{ NULL, "a new call when an event has come", TSO },
	},
};

static void kinds_start(void)
{
	S->g[KINDS] = 1;
	S->mem[FAST] = 1;
	S->cpu[2].r[ASKED] = 1;
	S->cpu[2].r[OTHER] = 0;
}

const struct model events_kinds_model = {
	.name = "events_kinds",
	.machines = TSO,
	.cpu = { sender, near_kernel, consumer },
	.node = { 0, 1, 1 },
	.start = kinds_start,
	.end = end,
	.mutation = {
		{ "fast_call:A", "the barrier between line and look", ALL },
		{ NULL, "reading back", ALL },
		{ NULL, "a new call for another kind", ALL },
	},
};
