/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a soak sends, from a seed alone: sender and receiver make the same list,
 * so the receiver knows each message before it comes, and all of its bytes.
 */
#ifndef LAB_SOAK_GEN_H
#define LAB_SOAK_GEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum soak_kind {
	SOAK_SEND,
	SOAK_SEND_IMM,
	SOAK_WRITE,
	SOAK_WRITE_IMM,
	SOAK_READ,
	SOAK_SWAP,
	SOAK_ADD,
	SOAK_PROGRESS, /* no part of the list: tells how much is checked */
};

struct soak_op {
	uint64_t n; /* number in the list */
	uint64_t receive; /* number among those that take a receive */
	uint64_t key; /* of its bytes */
	uint64_t write_at; /* WRITE*: place in an endless area, wrapped */
	uint64_t write_end;
	uint64_t old, operand; /* atomics */
	uint32_t read_at;
	uint32_t len;
	uint32_t imm;
	uint8_t kind;
	uint8_t pieces; /* scattered over so many places at the sender */
	bool solicited, fence, signaled, inlined;
	bool drain; /* all before it have ended before it is posted */
};

struct soak_gen {
	uint64_t seed, rng;
	uint64_t n, receives, write_pos, write_seen, word;
	uint64_t write_room, read_room;
	uint32_t cap, max_inline, phase_cap;
	unsigned int phase, left;
	unsigned int silent; /* not signaled, in a row */
	uint64_t silent_bytes; /* of those */
	bool drain; /* the next one waits for all before it */
};

uint64_t soak_mix(uint64_t x);
uint32_t soak_rand(uint64_t *rng, uint32_t below);

void soak_gen_init(struct soak_gen *g, uint64_t seed, uint32_t cap, uint32_t max_inline,
		   uint64_t write_room, uint64_t read_room);
void soak_gen_next(struct soak_gen *g, struct soak_op *op);

static inline bool soak_takes_receive(const struct soak_op *op)
{
	return op->kind == SOAK_SEND || op->kind == SOAK_SEND_IMM || op->kind == SOAK_WRITE_IMM;
}

/* Bytes [from, from + len) of the pattern @key; check: how many are right. */
void soak_fill(void *data, size_t len, uint64_t key, size_t from);
size_t soak_check(const void *data, size_t len, uint64_t key, size_t from);

#endif
