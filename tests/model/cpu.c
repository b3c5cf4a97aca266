// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* A process and its kernel: the words of struct pcv_qp_shared that say who sleeps. */
#include "model.h"

/*
 * Two processors may be in the kernel: that of the process, which has called,
 * and another one, where news came from elsewhere. Under the lock they share
 * what g[] holds.
 */

/* --- sends: post.c pcv_sq_publish(), req.c req_turn() ------------------------------------ */

enum { SLOT, TAIL = SLOT + 3, KICK, LOCKED };

#define POSTS	3

enum { NEXT };			/* g[]: requests taken */

enum { NO_A = 1, NO_B, NO_LOOK, NO_RELEASE, NO_ACQUIRE };

#define TAKE_SENDS()							\
	do {								\
		if (M(NO_ACQUIRE))					\
			LD(R(3), TAIL);					\
		else							\
			LD_ACQ(R(3), TAIL);				\
		while (S->g[NEXT] != R(3)) {				\
			LD(R(4), SLOT + S->g[NEXT]);			\
			if (R(4) != S->g[NEXT] + 1)			\
				fail("a request that is not complete");	\
			S->g[NEXT]++;					\
		}							\
	} while (0)

#define RUN_SENDS()							\
	do {								\
		LOCK(LOCKED);						\
		TAKE_SENDS();						\
		OR_BITS(KICK, 1);					\
		if (!M(NO_B))						\
			MB();						\
		R(5) = 0;						\
		if (!M(NO_LOOK)) {					\
			LD_ACQ(R(3), TAIL);				\
			R(5) = S->g[NEXT] != R(3);			\
		}							\
		UNLOCK(LOCKED);						\
	} while (R(5))

static void send_process(void)
{
	BEGIN
	for (R(0) = 0; R(0) < POSTS; R(0)++) {
		ST(SLOT + R(0), R(0) + 1);
		if (M(NO_RELEASE))
			ST(TAIL, R(0) + 1);
		else
			ST_REL(TAIL, R(0) + 1);
		if (!M(NO_A))
			MB();
		LD(R(1), KICK);
		if (R(1) & 1)
			RUN_SENDS();
	}
	END
}

static void send_kernel(void)
{
	BEGIN
	/* There was no room in the channel, and room has come. */
	LOCK(LOCKED);
	CLEAR_BITS(KICK, 1);
	UNLOCK(LOCKED);
	RUN_SENDS();
	END
}

static void send_start(void)
{
	S->mem[KICK] = 1;
}

static const char *send_end(void)
{
	return S->g[NEXT] == POSTS ? NULL : "a request lies there, and the kernel sleeps";
}

const struct model kick_send_model = {
	.name = "kick_send",
	.machines = TSO | WEAK,
	.cpu = { send_process, send_kernel },
	.start = send_start,
	.end = send_end,
	.mutation = {
		{ "qp_kick:A", "the barrier between tail and look", ALL },
		{ "qp_kick:B", "the barrier between bit and look", ANY_WEAK },
		{ NULL, "the look after asking", ALL },
		{ "qp_sq_tail:A", "release", ANY_WEAK },
		{ "qp_sq_tail:B", "acquire", ANY_WEAK },
	},
};

/* --- receives: post.c pcv_rq_publish(), resp.c claim() and pcv_resp_kick() ---------------- */

enum { WAITING = 1, SENT_RNR };	/* g[] */
enum { RESUME = LOCKED + 1 };

static void recv_process(void)
{
	BEGIN
	for (R(0) = 1; R(0) <= 2; R(0)++) {
		ST_REL(TAIL, R(0));
		if (!M(NO_A))
			MB();
		LD(R(1), KICK);
		if (!(R(1) & 2))
			continue;
		LOCK(LOCKED);
		if (S->g[SENT_RNR]) {
			LD_ACQ(R(2), TAIL);
			if (R(2) != S->g[NEXT]) {
				CLEAR_BITS(KICK, 2);
				S->g[SENT_RNR] = 0;
				ST(RESUME, 1);
			}
		}
		UNLOCK(LOCKED);
	}
	END
}

static void recv_kernel(void)
{
	BEGIN
	for (R(0) = 1; R(0) <= 2; R(0)++) {
		for (;;) {
			LOCK(LOCKED);
			LD_ACQ(R(1), TAIL);
			if (R(1) == S->g[NEXT]) {
				OR_BITS(KICK, 2);
				if (!M(NO_B))
					MB();
				if (!M(NO_LOOK))
					LD_ACQ(R(1), TAIL);
			}
			if (R(1) != S->g[NEXT])
				break;
			S->g[SENT_RNR] = 1;
			UNLOCK(LOCKED);
			AWAIT(RESUME);
		}
		S->g[NEXT]++;
		UNLOCK(LOCKED);
	}
	END
}

static const char *recv_end(void)
{
	return S->g[NEXT] == 2 ? NULL : "a receive is posted, and the message waits";
}

const struct model kick_recv_model = {
	.name = "kick_recv",
	.machines = TSO | WEAK,
	.cpu = { recv_process, recv_kernel },
	.end = recv_end,
	.mutation = {
		{ "qp_kick:A", "the barrier between tail and look", ALL },
		{ "qp_kick:B", "the barrier between bit and look", ANY_WEAK },
		{ NULL, "the look after asking", ALL },
	},
};

/* --- the receive ring: recv.c backlog_add(), rx.c pcv_ring_tell() -------------------------- */

enum { LINE, HEAD, RING_KICK, RING_LOCK, PAYLOAD };	/* PAYLOAD: a word for each line */
enum { PUT, BACKLOG, CREDIT };				/* g[] */

#define LINES	2
#define ENTRIES	4
#define TELL	0	/* told when more than this was read since */

enum { NO_RA = 1, NO_RB, NO_RLOOK, NO_HEAD_A, NO_LAST, NO_RCREDIT };

#define BACKLOG_RUN()							\
	do {								\
		R(4) = 0;						\
		while (S->g[BACKLOG]) {					\
			if (S->g[PUT] - S->g[CREDIT] == LINES)		\
				LD_ACQ(S->g[CREDIT], HEAD);		\
			if (S->g[PUT] - S->g[CREDIT] == LINES && !M(NO_RCREDIT)) \
				break;					\
			ST(PAYLOAD + S->g[PUT] % LINES, S->g[PUT] + 1);	\
			S->g[PUT]++;					\
			S->g[BACKLOG]--;				\
			R(4) = 1;					\
			ST_REL(LINE, S->g[PUT]);			\
		}							\
		if (R(4) && !S->g[BACKLOG])				\
			CLEAR_BITS(RING_KICK, 4);			\
	} while (0)

static void ring_kernel(void)
{
	BEGIN
	for (R(0) = 0; R(0) < ENTRIES; R(0)++) {
		LOCK(RING_LOCK);
		if (!S->g[BACKLOG]) {
			if (S->g[PUT] - S->g[CREDIT] == LINES)
				LD_ACQ(S->g[CREDIT], HEAD);
			if (S->g[PUT] - S->g[CREDIT] < LINES) {
				ST(PAYLOAD + S->g[PUT] % LINES, S->g[PUT] + 1);
				S->g[PUT]++;
				ST_REL(LINE, S->g[PUT]);
				UNLOCK(RING_LOCK);
				continue;
			}
		}
		S->g[BACKLOG]++;
		OR_BITS(RING_KICK, 4);
		if (!M(NO_RB))
			MB();
		if (!M(NO_RLOOK))
			BACKLOG_RUN();
		UNLOCK(RING_LOCK);
	}
	END
}

#define RING_TELL()							\
	do {								\
		R(3) = R(0);						\
		if (M(NO_HEAD_A))					\
			ST(HEAD, R(0));					\
		else							\
			ST_REL(HEAD, R(0));				\
		if (!M(NO_RA))						\
			MB();						\
		LD(R(2), RING_KICK);					\
		if (R(2))						\
			R(5) = 1;					\
	} while (0)

static void ring_process(void)
{
	BEGIN
	while (R(0) < ENTRIES) {
		LD_ACQ(R(1), LINE);
		if (R(1) == R(0)) {
			if (R(5) && !M(NO_LAST)) {
				RING_TELL();
				R(5) = 0;
				LOCK(RING_LOCK);
				BACKLOG_RUN();
				UNLOCK(RING_LOCK);
			} else {
				R(1) = R(0);
				POLL(R(1), LINE);
				/* Now for its barrier. */
			}
			continue;
		}
		STEP(op_load_late(6, PAYLOAD + R(0) % LINES, "payload"));
		R(0)++;
		if (R(0) - R(3) > TELL)
			RING_TELL();
		NEED();
		if (R(6) != R(0))
			fail("an entry was written over before it was read");
	}
	END
}

static const char *ring_end(void)
{
	return S->cpu[1].r[0] == ENTRIES ? NULL : "completions wait, there is room, and all sleep";
}

const struct model kick_ring_model = {
	.name = "kick_ring",
	.machines = TSO | WEAK,
	.cpu = { ring_kernel, ring_process },
	.end = ring_end,
	.mutation = {
		{ "qp_kick:A", "the barrier between head and look", ALL },
		{ "qp_kick:B", "the barrier between bit and look", ANY_WEAK },
		{ NULL, "the look after asking", ALL },
		{ "ring_head:A", "release", ANY_WEAK },
		{ NULL, "the call when the ring is empty", ALL },
		{ NULL, "the look for room", ALL },
	},
};
