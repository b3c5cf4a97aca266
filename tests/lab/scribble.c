// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A hostile process: A, and with `both` also B, writes garbage over its own
 * fast block and its peer's while both go on posting and polling. The queue
 * pair may break; the processes may not, nor may a receive run over its end.
 * With `gone`, A reads there while the blocks are taken away from it.
 *
 *   SCRIBBLE_SECONDS (5)  SCRIBBLE_SEED (1)
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verbs_common.h"

#define BLOCK 65536
#define CTL 0 /* credit, limit, call: 32 bits each */
#define RING 4096
#define LINES 256
#define DATA (RING + LINES * 64)
#define SLOTS 16
#define ROOM 4096 /* of a receive; guarded by as much */

static uint64_t rng;

static uint32_t next(uint32_t below)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (rng >> 32) * below >> 32;
}

static unsigned int number(const char *name, unsigned int otherwise)
{
	const char *value = getenv(name);

	return value ? strtoul(value, NULL, 0) : otherwise;
}

/* What of the device is mapped and as large as a block. */
static int find_blocks(unsigned char **block, int most)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[400], perms[8];
	int n = 0;

	while (f && fgets(line, sizeof(line), f) && n < most)
		if (strstr(line, "/uverbs") &&
		    sscanf(line, "%lx-%lx %7s", &from, &to, perms) == 3 && to - from == BLOCK &&
		    perms[1] == 'w')
			block[n++] = (unsigned char *)from;
	if (f)
		fclose(f);
	return n;
}

static void put32(unsigned char *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* Numbers that are nearly right hurt more than noise. */
static uint32_t number_near(uint32_t right)
{
	static const uint32_t odd[] = { 0,   1,	  63,	      64,	  255,
					256, 257, 0x7fffffff, 0x80000000, 0xffffffff };

	switch (next(4)) {
	case 0:
		return odd[next(10)];
	case 1:
		return right + next(9) - 4;
	case 2:
		return right + (next(512) - 256) * 64;
	default:
		return next(0xffffffff);
	}
}

static void scribble_ctl(unsigned char *b)
{
	uint32_t old, word = next(3);

	memcpy(&old, b + CTL + word * 4, 4);
	put32(b + CTL + word * 4, number_near(old));
}

/* A line that seems to be the next: true sequence numbers, wrong contents. */
static void scribble_line(unsigned char *b)
{
	unsigned int i = next(LINES);
	unsigned char *line = b + RING + i * 64;
	uint32_t seq;
	uint64_t tail;

	memcpy(&seq, line + 56, 4);
	put32(line, next(0xffffffff)); /* imm */
	put32(line + 4, number_near(next(64))); /* order */
	put32(line + 8, number_near(next(704) * 64)); /* chunk: offset */
	put32(line + 12, number_near(next(ROOM))); /* bytes */
	put32(line + 16, number_near(next(ROOM))); /* message bytes */
	put32(line + 20, next(2) ? 0 : number_near(0));
	seq += next(3) ? LINES : number_near(0);
	tail = seq | (uint64_t)(next(8) ? 1 : next(256)) << 32 | (uint64_t)next(256) << 40 |
	       (uint64_t)(next(2) ? 24 : next(65536)) << 48;
	memcpy(line + 56, &tail, 8);
}

static void scribble(unsigned char *b)
{
	unsigned int i, at, len;

	switch (next(5)) {
	case 0:
		scribble_ctl(b);
		break;
	case 1:
		at = next(BLOCK);
		len = next(200);
		for (i = at; i < at + len && i < BLOCK; i++)
			b[i] = next(256);
		break;
	case 2:
		at = RING + next(LINES) * 64 + next(16) * 4;
		put32(b + at, number_near(*(uint32_t *)(b + at)));
		break;
	default:
		scribble_line(b);
	}
}

static void post_receive(struct vc_end *e, int i)
{
	memset(e->buf + (2 * i + 1) * ROOM, 0xa5, ROOM);
	vc_recv(e, i, 2 * i * ROOM, ROOM);
}

static bool guarded(const unsigned char *p)
{
	int i;

	for (i = 0; i < ROOM; i++)
		if (p[i] != 0xa5)
			return false;
	return true;
}

/* Everything may end with errors; nothing may lie outside of what was posted. */
static bool turn(struct vc *vc, struct vc_end *e, int *under_way)
{
	bool alive = true;
	struct ibv_wc wc[8];
	int i, n;

	while (*under_way < SLOTS) {
		size_t len = next(3) ? next(100) : next(ROOM);

		if (vc_send(e, 1, IBV_WR_SEND, 2 * SLOTS * ROOM, len, 0))
			break;
		++*under_way;
	}
	n = ibv_poll_cq(e->scq, 8, wc);
	vc_expect(vc, n >= 0, "poll_cq of sends: %d", n);
	for (i = 0; i < n; i++) {
		--*under_way;
		alive = alive && !wc[i].status;
	}
	n = ibv_poll_cq(e->rcq, 8, wc);
	vc_expect(vc, n >= 0, "poll_cq of receives: %d", n);
	for (i = 0; i < n; i++) {
		if (!vc_expect(vc, wc[i].wr_id < SLOTS, "receive %llu",
			       (unsigned long long)wc[i].wr_id))
			continue;
		vc_expect(vc, wc[i].status || wc[i].byte_len <= ROOM, "%u bytes for %u",
			  wc[i].byte_len, ROOM);
		vc_expect(vc, guarded(e->buf + (2 * wc[i].wr_id + 1) * ROOM),
			  "wrote behind a receive");
		if (wc[i].status)
			alive = false;
		else
			post_receive(e, wc[i].wr_id);
	}
	return alive;
}

static int broken, lived;

/* One connection: some honest traffic, then garbage until it breaks or for 100 ms. */
static bool connection(struct vc *vc, bool hostile)
{
	struct vc_opts o = { .len = (2 * SLOTS + 1) * ROOM };
	unsigned char *block[8];
	int under_way = 0, n, i;
	bool alive = true;
	struct vc_end e;
	uint64_t end;

	vc_open(vc, &e, &o);
	for (i = 0; i < SLOTS; i++)
		post_receive(&e, i);
	vc_meet(vc);
	for (i = 0; i < 2000 && alive; i++)
		alive = turn(vc, &e, &under_way);
	vc_expect(vc, alive, "honest traffic failed");
	n = find_blocks(block, 8);
	vc_expect(vc, n >= 2, "found %d blocks, expected the own one and the peer's", n);
	vc_meet(vc);
	end = vc_now_ms() + 100;
	while (alive && n && vc_now_ms() < end) {
		for (i = next(20); hostile && i >= 0; i--)
			scribble(block[next(n)]);
		for (i = next(20); alive && i >= 0; i--)
			alive = turn(vc, &e, &under_way);
	}
	/* After the break, too. */
	for (i = 0; hostile && n && i < 200; i++) {
		scribble(block[next(n)]);
		turn(vc, &e, &under_way);
	}
	if (alive)
		lived++;
	else
		broken++;
	vc_close(&e);
	return n >= 2;
}

/* Garbage breaks what it hits, and what it hits first is chance: so long, if need be. */
#define CHANCE_MS 20000

static void rounds(struct vc *vc, bool hostile)
{
	uint64_t end = vc_now_ms() + number("SCRIBBLE_SECONDS", 5) * 1000, now;
	enum { NO_MORE, ENOUGH, MORE };
	unsigned char go, theirs;

	rng = number("SCRIBBLE_SEED", 1) * 2 + vc->a;
	broken = 0;
	lived = 0;
	do {
		go = connection(vc, hostile) && !vc->failures ? MORE : NO_MORE;
		now = vc_now_ms();
		if (go && now >= end && (!hostile || broken || now >= end + CHANCE_MS * vc_slow()))
			go = ENOUGH;
		vc_swap(vc, &go, &theirs, 1);
	} while (go && theirs && (go == MORE || theirs == MORE));
	printf("%s [%c]: %d connections broke here, %d lived\n", vc->test, vc->a ? 'A' : 'B',
	       broken, lived);
	if (hostile)
		vc_expect(vc, broken, "garbage broke nothing");
}

static void one_side(struct vc *vc)
{
	rounds(vc, vc->a);
}

static void both(struct vc *vc)
{
	rounds(vc, true);
}

/* --- gone --------------------------------------------------------------------- */

struct reader {
	unsigned char *block[8];
	int n;
	atomic_bool stop;
	atomic_uint turns;
};

/* One load from two pages, at each border: it needs both at once, whatever they are. */
static uint64_t cross(const unsigned char *block, size_t page)
{
	uint64_t all = 0, word;
	size_t at;

	for (at = page; at < BLOCK; at += page) {
		word = *(const volatile __attribute__((aligned(1))) uint64_t *)(block + at - 4);
		all |= word;
	}
	return all;
}

static void *reads(void *arg)
{
	size_t page = sysconf(_SC_PAGESIZE);
	struct reader *r = arg;
	int i;

	while (!atomic_load(&r->stop)) {
		for (i = 0; i < r->n; i++)
			cross(r->block[i], page);
		atomic_fetch_add(&r->turns, 1);
	}
	return NULL;
}

static void gone(struct vc *vc)
{
	struct vc_opts o = { .len = (2 * SLOTS + 1) * ROOM };
	size_t page = sysconf(_SC_PAGESIZE), at;
	int round, under_way, i;
	struct reader r;
	unsigned int was;
	pthread_t thread;
	struct vc_end e;
	uint64_t end;

	rng = number("SCRIBBLE_SEED", 1) * 2 + vc->a;
	for (round = 0; round < 20; round++) {
		vc_open(vc, &e, &o);
		for (i = 0; i < SLOTS; i++)
			post_receive(&e, i);
		vc_meet(vc);
		for (i = 0, under_way = 0; i < 500; i++)
			vc_expect(vc, turn(vc, &e, &under_way), "honest traffic failed");
		vc_meet(vc);
		if (vc->a) {
			memset(&r, 0, sizeof(r));
			r.n = find_blocks(r.block, 8);
			vc_expect(vc, r.n >= 2, "found %d blocks", r.n);
			if (round & 1 && pthread_create(&thread, NULL, reads, &r))
				vc_die(vc, "pthread_create");
			vc_to(&e, IBV_QPS_RESET);
			/* It gets on although nothing is there. */
			was = atomic_load(&r.turns);
			end = vc_now_ms() + 10000 * vc_slow();
			while (round & 1 && atomic_load(&r.turns) < was + 2)
				if (vc_now_ms() > end)
					vc_die(vc, "a load from what is gone does not end");
			/* A load that does not end dies by this. */
			alarm(20 * vc_slow());
			for (i = 0; i < r.n; i++) {
				vc_expect(vc, !cross(r.block[i], page), "something is read");
				for (at = 0; at < BLOCK; at += 8)
					vc_expect(vc, !*(volatile uint64_t *)(r.block[i] + at),
						  "something is read at %zu", at);
			}
			alarm(0);
			atomic_store(&r.stop, true);
			if (round & 1)
				pthread_join(thread, NULL);
		}
		vc_close(&e);
	}
}

#define T(f)          \
	{             \
#f, f \
	}

static const struct vc_test tests[] = { T(one_side), T(both), T(gone), { NULL, NULL } };

int main(int argc, char **argv)
{
	return vc_main(argc, argv, tests, NULL, NULL, NULL);
}
