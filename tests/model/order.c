// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Two rings into one process: the kernel's and the fast one (kernel/recv.c,
 * kernel/resp.c pass_fast(); the processes' side is in the provider). The rings
 * themselves are other models; here they are queues, and everything is atomic.
 *
 * The sender posts messages and WRITEs; each goes through the kernels, or, if
 * nothing is under way there, a message may go through the fast ring, in two
 * chunks or in one; and a chunked one may turn out to have no room for its end:
 * then all of it goes through the kernels, and what was begun is void.
 */
#include "model.h"

#define POSTS		4	/* of both kinds */
/* Instead of 2^16: how much of the counts travels. */
#define MODULUS		8	/* of those through the kernels */
#define MODULUS_FAST	4
#define SLOTS		8

/* Queues: g[] has where they begin and end, mem[] has what lies in them. */
enum { SENT_HEAD, SENT_TAIL, K_HEAD, K_TAIL, F_HEAD, F_TAIL, ENDED, TAKEN, GOT };
enum { SENT = 0, K = SLOTS, F = 2 * SLOTS };	/* mem[] */

/* Entries: number of the message, count of the other ring's, flags of a chunk. */
#define ENTRY(msg, count, flags)	((msg) | (count) << 3 | (flags) << 6)
#define MSG(e)		((e) & 7)
#define COUNT(e)	((e) >> 3 & 7)
#define FIRST		1
#define LAST		2
#define FLAGS(e)	((e) >> 6)

enum { NO_ORDER = 1, NO_FAST, NO_DRAIN, NO_VOID, NO_FIRST, NO_OLD };

static void put(int queue, int tail, uint8_t e)
{
	/* Fewer than the modulus are under way in the fast ring. */
	if (S->g[tail] == SLOTS || (queue == F && S->g[tail] - S->g[F_HEAD] >= MODULUS_FAST - 1)) {
		block();
		return;
	}
	S->mem[queue + S->g[tail]++] = e;
}

static void sender(void)
{
	enum { POST, FASTS, KS, GIVEN, HOW, MESSAGE };

	BEGIN
	for (R(POST) = 0; R(POST) < POSTS; R(POST)++) {
		STEP(R(HOW) = choose(5, "post"));
		/* 0: message, kernel; 1: WRITE, kernel; 2: fast; 3: fast, chunks; 4: in vain */
		if (R(HOW) >= 2) {
			STEP(if (S->g[ENDED] != R(GIVEN) && !M(NO_DRAIN)) block());
			if (R(HOW) == 2) {
				R(MESSAGE)++;
				STEP(put(F, F_TAIL,
					 ENTRY(R(MESSAGE), R(KS) % MODULUS, FIRST | LAST)));
				R(FASTS)++;
				continue;
			}
			STEP(put(F, F_TAIL, ENTRY(R(MESSAGE) + 1, R(KS) % MODULUS, FIRST)));
			if (R(HOW) == 3) {
				R(MESSAGE)++;
				STEP(put(F, F_TAIL, ENTRY(R(MESSAGE), R(KS) % MODULUS, LAST)));
				R(FASTS)++;
				continue;
			}
		}
		R(GIVEN)++;
		if (R(HOW) == 1) {
			/* Number 0: a WRITE. It carries the messages before it, for the model. */
			STEP(put(SENT, SENT_TAIL, ENTRY(0, R(MESSAGE), 0)));
			continue;
		}
		R(MESSAGE)++;
		STEP(put(SENT, SENT_TAIL, ENTRY(R(MESSAGE), R(FASTS) % MODULUS_FAST, 0)));
		R(KS)++;
	}
	END
}

/* Both kernels: in order, some time; the answer ends the request at the sender. */
static void kernels(void)
{
	enum { E };

	BEGIN
	for (;;) {
		STEP(if (S->g[SENT_HEAD] == S->g[SENT_TAIL]) {
			block();
		     } else {
			R(E) = S->mem[SENT + S->g[SENT_HEAD]++];
			/* Placed: no message behind it may be there. */
			if (!MSG(R(E)) && S->g[GOT] > COUNT(R(E)))
				fail("a message overtakes a WRITE");
			if (MSG(R(E))) {
				/* A part of the count came along; what is taken says the rest. */
				uint8_t taken = S->g[TAKEN];

				taken += (uint8_t)(COUNT(R(E)) - taken) % MODULUS_FAST;
				R(E) = ENTRY(MSG(R(E)), taken, 0);
			}
		     });
		/* Ended, but perhaps in the backlog, because the kernel's ring is full. */
		STEP(S->g[ENDED]++);
		if (MSG(R(E)))
			STEP(put(K, K_TAIL, R(E)));
		R(E) = 0;
	}
	END
}

/* The sign of a difference of counts. */
static bool behind(int by)
{
	by &= MODULUS - 1;
	return by && by < MODULUS / 2;
}

static void consumer(void)
{
	enum { FASTS, KS, OPEN, E };

	BEGIN
	for (;;) {
		STEP(bool k = S->g[K_HEAD] != S->g[K_TAIL] &&
			      (COUNT(S->mem[K + S->g[K_HEAD]]) == R(FASTS) || M(NO_FAST));
		     bool f = S->g[F_HEAD] != S->g[F_TAIL] &&
			      (COUNT(S->mem[F + S->g[F_HEAD]]) == R(KS) % MODULUS || M(NO_ORDER));

		     bool old = S->g[F_HEAD] != S->g[F_TAIL] &&
				behind(R(KS) - COUNT(S->mem[F + S->g[F_HEAD]]));

		     /* With a message begun and a fitting entry of the kernel, that is the one. */
		     if (k && !(M(NO_VOID) && R(OPEN))) {
			     R(E) = MSG(S->mem[K + S->g[K_HEAD]++]);
			     R(KS)++;
			     if (R(E) != S->g[GOT] + 1)
				     fail("not in the order of posting");
			     S->g[GOT]++;
		     } else if (old && !M(NO_OLD)) {
			     /* The kernel's entry came first: this is void. */
			     S->g[F_HEAD]++;
			     R(OPEN) = 0;
		     } else if (f) {
			     R(E) = S->mem[F + S->g[F_HEAD]++];
			     if (!(FLAGS(R(E)) & FIRST) && !R(OPEN))
				     fail("the end of a message without its beginning");
			     if (FLAGS(R(E)) & FIRST && R(OPEN) && M(NO_FIRST))
				     fail("the beginning of a message within another");
			     R(OPEN) = !(FLAGS(R(E)) & LAST);
			     if (!R(OPEN)) {
				     S->g[TAKEN] = ++R(FASTS);
				     if (MSG(R(E)) != S->g[GOT] + 1)
					     fail("not in the order of posting");
				     S->g[GOT]++;
			     }
		     } else {
			     block();
		     }
		     R(E) = 0);
	}
	END
}

static const char *end(void)
{
	return S->cpu[0].pc == 0xffff && S->g[GOT] == S->cpu[0].r[5] ? NULL :
		"a message lies there, and nobody takes it";
}

const struct model order_model = {
	.name = "order",
	.machines = TSO,
	.cpu = { sender, kernels, consumer },
	.end = end,
	.mutation = {
		{ NULL, "the count in fast messages", ALL },
		{ NULL, "the count in the kernel's entries", ALL },
		{ NULL, "waiting until the kernel has ended all", ALL },
		{ NULL, "giving up a message that was begun", ALL },
		{ NULL, "a new beginning of one that was void", ALL },
		{ NULL, "dropping what is void before it was begun", ALL },
	},
};
