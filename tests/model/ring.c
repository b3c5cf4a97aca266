// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The ring across the link: messages of one and two lines, and payload in a
 * data area, through a ring of two lines. Each line is a payload word and a
 * tail word; the tail's number is that of the line. The third message's line
 * is stored in one transaction, without a barrier of its own.
 */
#include "model.h"

enum {
	P0, P1, T0, T1,		/* the lines: payload, tail */
	D0, D1,			/* the data area, a word for each line */
	CREDIT,
};

enum { TAIL, SEEN, MSG };		/* producer */
enum { HEAD, GOT = 2, DATA, CONT };	/* consumer */

#define MESSAGES	3
#define LAST_LINE	0x80

enum { NO_PUT = 1, NO_DATA, NO_GET, NO_CREDIT, NO_FLUSH, NO_ROOM, NO_NUMBER };

static int lines(int msg)
{
	return msg == 2 ? 2 : 1;
}

static bool whole(int msg)
{
	return msg == 3;
}

static void producer(void)
{
	BEGIN
	for (R(MSG) = 1; R(MSG) <= MESSAGES; R(MSG)++) {
		while (R(TAIL) + lines(R(MSG)) - R(SEEN) > 2 && !M(NO_ROOM))
			POLL(R(SEEN), CREDIT);
		OUT(D0 + R(TAIL) % 2, R(MSG));
		if (!M(NO_DATA))
			WMB();
		if (lines(R(MSG)) == 2) {
			OUT(P0 + (R(TAIL) + 1) % 2, R(MSG));
			OUT(T0 + (R(TAIL) + 1) % 2, R(TAIL) + 2);
		}
		if (!whole(R(MSG))) {
			OUT(P0 + R(TAIL) % 2, R(MSG));
			if (!M(NO_PUT))
				WMB();
		}
		OUT(T0 + R(TAIL) % 2, R(TAIL) + 1);
		/* In the channel this is the barrier before the look at the armed word. */
		if (!M(NO_FLUSH))
			WMB();
		R(TAIL) += lines(R(MSG));
	}
	END
}

static void consumer(void)
{
	BEGIN
	for (R(GOT) = 1; R(GOT) <= MESSAGES; R(GOT)++) {
		STEP(uint8_t tail = op_load(T0 + R(HEAD) % 2, "tail");
		     if (M(NO_NUMBER) ? !tail : tail != R(HEAD) + 1) block());
		if (lines(R(GOT)) == 2)
			STEP(if (op_load(T0 + (R(HEAD) + 1) % 2, "tail") != R(HEAD) + 2) block());
		if (!M(NO_GET))
			RMB();
		LD(R(DATA), D0 + R(HEAD) % 2);
		if (R(DATA) != R(GOT))
			fail("data that is not this message's");
		if (lines(R(GOT)) == 2) {
			LD(R(CONT), P0 + (R(HEAD) + 1) % 2);
			if (R(CONT) != R(GOT))
				fail("a continuation line that is not this message's");
		}
		STEP(op_load_late(DATA, P0 + R(HEAD) % 2, "payload"));
		if (!M(NO_CREDIT))
			RMB();
		R(HEAD) += lines(R(GOT));
		OUT(CREDIT, R(HEAD));
		WMB();
		NEED();
		if (R(DATA) != R(GOT) && !whole(R(GOT)))
			fail("payload that is not this message's");
	}
	END
}

static const char *end(void)
{
	return S->cpu[1].r[GOT] > MESSAGES ? NULL : "a message does not come";
}

const struct model ring_model = {
	.name = "ring",
	.machines = ALL,
	.cpu = { producer, consumer },
	.node = { 0, 1 },
	.end = end,
	.mutation = {
		{ "ring_put:A", "the barrier before the tail", ANY_WC },
		{ "chan_data:A", "the barrier behind the data", ANY_WC },
		{ "ring_get:B", "the barrier of the consumer", ANY_WEAK },
		{ "ring_credit:A", "the barrier before the credit", ANY_WEAK },
		{ NULL, "a barrier behind the message", ANY_WC },
		{ "ring_credit:B", "the look for room", ALL },
		{ NULL, "the number of a line", ALL },
	},
};
