// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <string.h>

#include "soak_gen.h"

#define GOLDEN 0x9e3779b97f4a7c15ull

enum {
	PHASE_FAST, /* SEND only, small, often drained */
	PHASE_PUT, /* WRITE and the SEND that announces it */
	PHASE_MIXED,
	PHASE_BIG,
};

uint64_t soak_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

uint32_t soak_rand(uint64_t *rng, uint32_t below)
{
	*rng += GOLDEN;
	return (soak_mix(*rng) >> 32) * below >> 32;
}

static uint64_t word_of(uint64_t key, size_t i)
{
	uint64_t x = key + i * GOLDEN;

	x ^= x >> 29;
	return x * 0xbf58476d1ce4e5b9ull;
}

void soak_fill(void *data, size_t len, uint64_t key, size_t from)
{
	unsigned char *p = data, *end = p + len;
	uint64_t w;

	for (; p < end && from % 8; from++)
		*p++ = word_of(key, from / 8) >> from % 8 * 8;
	for (; end - p >= 8; p += 8, from += 8) {
		w = word_of(key, from / 8);
		memcpy(p, &w, 8);
	}
	for (; p < end; from++)
		*p++ = word_of(key, from / 8) >> from % 8 * 8;
}

size_t soak_check(const void *data, size_t len, uint64_t key, size_t from)
{
	const unsigned char *p = data;
	uint64_t w, got;
	size_t i = 0;

	while (i < len) {
		w = word_of(key, (from + i) / 8);
		if ((from + i) % 8 == 0 && len - i >= 8) {
			memcpy(&got, p + i, 8);
			if (got == w) {
				i += 8;
				continue;
			}
		}
		if (p[i] != (unsigned char)(w >> (from + i) % 8 * 8))
			break;
		i++;
	}
	return i;
}

/* Most are small; and around each size where something changes. */
static uint32_t length(struct soak_gen *g, uint32_t cap)
{
	static const uint32_t edges[] = { 48,	56,   64,    128,   256,  512,
					  2048, 8192, 32768, 45056, 65536 };
	uint32_t len, kind = soak_rand(&g->rng, 16);

	if (kind < 6)
		len = soak_rand(&g->rng, 65);
	else if (kind < 11)
		len = edges[soak_rand(&g->rng, 11)] + soak_rand(&g->rng, 17) - 8;
	else if (kind < 14)
		len = soak_rand(&g->rng, 4097);
	else
		len = soak_rand(&g->rng, cap + 1);
	return len <= cap ? len : soak_rand(&g->rng, cap < 256 ? cap + 1 : 257);
}

static void next_phase(struct soak_gen *g)
{
	static const uint32_t caps[] = { 64, 64, 300, 2100, 9000, 70000 };
	uint32_t kind = soak_rand(&g->rng, 16);

	g->phase = kind < 8  ? PHASE_FAST :
		   kind < 11 ? PHASE_PUT :
		   kind < 15 ? PHASE_MIXED :
			       PHASE_BIG;
	g->left = g->phase == PHASE_FAST ? 1 + soak_rand(&g->rng, 200) :
		  g->phase == PHASE_BIG	 ? 1 + soak_rand(&g->rng, 6) :
					   1 + soak_rand(&g->rng, 40);
	g->phase_cap = caps[soak_rand(&g->rng, 6)];
	if (g->phase_cap > g->cap || g->phase == PHASE_BIG || g->phase == PHASE_MIXED)
		g->phase_cap = g->cap;
}

void soak_gen_init(struct soak_gen *g, uint64_t seed, uint32_t cap, uint32_t max_inline,
		   uint64_t write_room, uint64_t read_room)
{
	memset(g, 0, sizeof(*g));
	g->seed = seed;
	g->rng = soak_mix(seed);
	g->cap = cap;
	g->max_inline = max_inline;
	g->write_room = write_room;
	g->read_room = read_room;
}

static enum soak_kind kind_of(struct soak_gen *g)
{
	static const uint8_t mixed[] = {
		SOAK_SEND,  SOAK_SEND,	SOAK_SEND,	SOAK_SEND_IMM, SOAK_SEND_IMM, SOAK_WRITE,
		SOAK_WRITE, SOAK_WRITE, SOAK_WRITE_IMM, SOAK_READ,     SOAK_SWAP,     SOAK_ADD,
	};

	switch (g->phase) {
	case PHASE_FAST:
		return soak_rand(&g->rng, 4) ? SOAK_SEND : SOAK_SEND_IMM;
	case PHASE_PUT:
		return soak_rand(&g->rng, 2) ? SOAK_WRITE : SOAK_SEND;
	default:
		return mixed[soak_rand(&g->rng, sizeof(mixed))];
	}
}

/* Where a WRITE goes: never across the end of the area. */
static void place(struct soak_gen *g, struct soak_op *op)
{
	uint64_t at = g->write_pos + soak_rand(&g->rng, 9);

	if (at % g->write_room + op->len > g->write_room)
		at += g->write_room - at % g->write_room;
	op->write_at = at;
	g->write_pos = at + op->len;
}

void soak_gen_next(struct soak_gen *g, struct soak_op *op)
{
	if (!g->left)
		next_phase(g);
	g->left--;
	memset(op, 0, sizeof(*op));
	op->n = g->n++;
	op->kind = kind_of(g);
	/* WRITEs are looked at when the next message comes: it must not wait for them. */
	if (op->kind == SOAK_WRITE && g->write_pos - g->write_seen > g->write_room / 4)
		op->kind = SOAK_SEND;
	op->key = soak_mix(g->seed * GOLDEN + op->n);
	op->len = length(g, g->phase_cap);
	op->imm = op->key >> 17;
	op->pieces = soak_rand(&g->rng, 4) ? 1 : 1 + soak_rand(&g->rng, 3);
	op->solicited = !soak_rand(&g->rng, 3);
	op->fence = g->phase == PHASE_MIXED && !soak_rand(&g->rng, 8);
	op->drain = g->drain;
	g->drain = g->left ? g->phase == PHASE_PUT && !soak_rand(&g->rng, 3) :
			     soak_rand(&g->rng, 4);
	switch (op->kind) {
	case SOAK_WRITE:
	case SOAK_WRITE_IMM:
		if (op->len > g->write_room / 4)
			op->len = g->write_room / 4;
		place(g, op);
		break;
	case SOAK_READ:
		op->read_at = soak_rand(&g->rng, g->read_room);
		if (op->len > g->read_room - op->read_at)
			op->len = g->read_room - op->read_at;
		break;
	case SOAK_SWAP:
	case SOAK_ADD:
		op->len = 8;
		op->old = g->word;
		op->operand = op->key;
		g->word = op->kind == SOAK_ADD ? g->word + op->operand : op->operand;
		break;
	}
	op->inlined = op->len <= g->max_inline && op->kind <= SOAK_WRITE_IMM &&
		      soak_rand(&g->rng, 2);
	op->write_end = g->write_pos;
	op->receive = g->receives;
	if (soak_takes_receive(op)) {
		g->receives++;
		g->write_seen = g->write_pos;
	}
	/* Nobody learns that these have ended: they must not take all of the sender's room. */
	g->silent_bytes += op->len;
	op->signaled = g->drain || g->silent >= 8 || g->silent_bytes > g->cap ||
		       !soak_rand(&g->rng, 3);
	if (op->signaled)
		g->silent_bytes = 0;
	g->silent = op->signaled ? 0 : g->silent + 1;
}
