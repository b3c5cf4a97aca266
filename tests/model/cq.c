// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Completion queues: hints and arming (kernel/cq.c pcv_cq_hint(), cq.c
 * pcv_cq_hints_take(), pcv_cq_arm()); and the shared receive queue with its two
 * takers (kernel/srq.c pcv_srq_claim(), srq.c pcv_srq_take()).
 */
#include "model.h"

enum { DONE_A, DONE_B, HINT_A, HINT_B, SUMMARY, ARMED, EVENT };

enum { NO_A = 1, NO_B, NO_HINT, NO_WORD, SWAPPED, TAKEN_BACKWARDS, NO_LOOK };

/* Two completions of one queue pair and one of another, each with its hint. */
static void completer(void)
{
	enum { N, QP, WORD };

	BEGIN
	for (R(N) = 1; R(N) <= 3; R(N)++) {
		R(QP) = R(N) == 3;
		ST(DONE_A + R(QP), R(QP) ? 1 : R(N));
		if (!M(NO_HINT))
			MB();
		if (M(SWAPPED))
			OR_BITS(SUMMARY, 1 << R(QP));
		OR_BITS(HINT_A + R(QP), 1);
		if (!M(NO_WORD))
			MB();
		if (!M(SWAPPED))
			OR_BITS(SUMMARY, 1 << R(QP));
		if (!M(NO_B))
			MB();
		LD(R(WORD), ARMED);
		if (!R(WORD))
			continue;
		ATOMIC(R(WORD) = S->mem[ARMED]; S->mem[ARMED] = 0);
		if (R(WORD))
			ST_REL(EVENT, 1);
	}
	END
}

static void poller(void)
{
	enum { GOT_A, GOT_B, SAW, ANY, ARM, ACTIVE };

	BEGIN
	for (;;) {
		R(ANY) = 0;
		LD(R(SAW), SUMMARY);
		if (R(SAW)) {
			if (!M(TAKEN_BACKWARDS))
				ATOMIC(R(SAW) = S->mem[SUMMARY]; S->mem[SUMMARY] = 0);
			if (R(SAW) & 1)
				ATOMIC(R(ACTIVE) |= S->mem[HINT_A]; S->mem[HINT_A] = 0);
			if (R(SAW) & 2)
				ATOMIC(R(ACTIVE) |= S->mem[HINT_B] << 1; S->mem[HINT_B] = 0);
			if (M(TAKEN_BACKWARDS))
				ATOMIC(S->mem[SUMMARY] = 0);
		}
		while (R(ACTIVE) & 1) {
			LD_ACQ(R(SAW), DONE_A);
			if (R(SAW) == R(GOT_A))
				break;
			R(GOT_A) = R(SAW);
			R(ANY) = 1;
		}
		while (R(ACTIVE) & 2) {
			LD_ACQ(R(SAW), DONE_B);
			if (R(SAW) == R(GOT_B))
				break;
			R(GOT_B) = R(SAW);
			R(ANY) = 1;
		}
		R(ACTIVE) = 0;
		if (R(ANY))
			continue;
		if (!R(ARM)) {
			R(ARM) = 1;
			ST(ARMED, 1);
			if (!M(NO_A))
				MB();
			if (!M(NO_LOOK))
				continue;
		}
		R(ARM) = 0;
		AWAIT(EVENT);
	}
	END
}

static const char *cq_end(void)
{
	return S->cpu[0].r[0] == 2 && S->cpu[0].r[1] == 1 ? NULL :
		"a completion lies there, and the process sleeps";
}

const struct model cq_model = {
	.name = "cq",
	.machines = TSO | WEAK,
	.cpu = { poller, completer },
	.end = cq_end,
	.mutation = {
		{ "cq_armed:A", "the barrier between arming and the last poll", ALL },
		{ "cq_armed:B", "the barrier between summary and look", ANY_WEAK },
		{ "cq_hint:A", "the barrier between completion and bit", ANY_WEAK },
		{ "cq_hint:A", "the barrier between bit and summary", ANY_WEAK },
		{ NULL, "the order of bit and summary", ALL },
		{ "cq_hint:B", "the order in which they are taken", ALL },
		{ NULL, "the poll after arming", ALL },
	},
};

/* --- the shared receive queue ---------------------------------------------------------------- */

enum { W0, W1, TAIL, HEAD };	/* two slots */

#define COUNT	2
#define POSTS	3

enum { COPY_LATER = 1, NO_EXCHANGE, NO_RELEASE, NO_ACQUIRE, NO_HEAD_FIRST, NO_ROOM };

static void poster(void)
{
	BEGIN
	for (R(0) = 0; R(0) < POSTS; R(0)++) {
		R(1) = R(2);
		while (R(0) - R(2) >= COUNT && !M(NO_ROOM)) {
			POLL(R(2), HEAD);
			LD_ACQ(R(2), HEAD);
		}
		ST(W0 + R(0) % COUNT, R(0) + 1);
		if (M(NO_RELEASE))
			ST(TAIL, R(0) + 1);
		else
			ST_REL(TAIL, R(0) + 1);
	}
	END
}

enum { AT, END_AT, A, OK };

#define COPY()		LD(R(A), W0 + R(AT) % COUNT)

#define TAKE(head_again)						\
	do {								\
		if (M(NO_ACQUIRE))					\
			LD(R(END_AT), TAIL);				\
		else							\
			LD_ACQ(R(END_AT), TAIL);			\
		NEED();							\
		if (R(AT) == R(END_AT)) {				\
			STEP(if (S->mem[TAIL] == R(END_AT)) block());	\
			continue;					\
		}							\
		if ((uint8_t)(R(END_AT) - R(AT)) > COUNT) {		\
			LD(R(A), HEAD);					\
			if ((head_again) && R(A) == R(AT))		\
				fail("an honest poster is refused");	\
			continue;					\
		}							\
		if (!M(COPY_LATER))					\
			COPY();						\
		ATOMIC(R(OK) = S->mem[HEAD] == R(AT);			\
		       if (R(OK) || M(NO_EXCHANGE)) S->mem[HEAD] = R(AT) + 1); \
		if (!R(OK) && !M(NO_EXCHANGE))				\
			continue;					\
		if (M(COPY_LATER))					\
			COPY();						\
		if (R(A) != R(AT) + 1)					\
			fail("the copy is not of the entry that was taken"); \
		if (S->g[R(AT)]++)					\
			fail("an entry is taken twice");		\
	} while (0)

static void take_process(void)
{
	BEGIN
	for (;;) {
		if (M(NO_HEAD_FIRST))
			LD_LATE(AT, HEAD);
		else
			LD_ACQ(R(AT), HEAD);
		TAKE(M(NO_HEAD_FIRST));
	}
	END
}

static void take_kernel(void)
{
	BEGIN
	for (;;) {
		if (M(NO_HEAD_FIRST))
			LD_LATE(AT, HEAD);
		else
			LD_ACQ(R(AT), HEAD);
		TAKE(true);
	}
	END
}

static const char *srq_end(void)
{
	int i;

	for (i = 0; i < POSTS; i++)
		if (!S->g[i])
			return "an entry lies there, and nobody takes it";
	return NULL;
}

const struct model srq_model = {
	.name = "srq",
	.machines = TSO | WEAK,
	.cpu = { poster, take_process, take_kernel },
	.end = srq_end,
	.mutation = {
		{ "srq_take:A", "copying before taking", ALL },
		{ "srq_take:B", "the comparison of the exchange", ALL },
		{ "srq_tail:A", "release", ANY_WEAK },
		{ "srq_tail:B", "acquire of the tail", ANY_WEAK },
		{ NULL, "loading the head before the tail", ANY_WEAK },
		{ "srq_room:B", "the look for room", ALL },
	},
};
