/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Numbers that both ends of a test can make up alike, on any machine. */
#ifndef PCV_PATTERN_H
#define PCV_PATTERN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* splitmix64: good numbers out of any seed, 0 included. */
static inline uint64_t pcv_rand(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline uint32_t pcv_rand_below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)(pcv_rand(state) % limit);
}

/* The bytes of message @key: each depends on the key and on its place. */
static inline void pcv_pattern_fill(void *to, size_t len, uint64_t key)
{
	uint8_t *p = to;
	uint64_t state = key, word = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (!(i % 8))
			word = pcv_rand(&state);
		p[i] = (uint8_t)(word >> (i % 8 * 8));
	}
}

/* Are these the bytes of message @key? */
static inline int pcv_pattern_match(const void *from, size_t len, uint64_t key)
{
	const uint8_t *p = from;
	uint64_t state = key, word = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (!(i % 8))
			word = pcv_rand(&state);
		if (p[i] != (uint8_t)(word >> (i % 8 * 8)))
			return 0;
	}
	return 1;
}

/* Length of message @key: mostly short, line boundaries often, sometimes up to @max. */
static inline uint32_t pcv_pattern_len(uint64_t key, uint32_t max)
{
	uint64_t state = ~key;
	uint32_t len;

	switch (pcv_rand_below(&state, 4)) {
	case 0:
		len = pcv_rand_below(&state, 57);
		break;
	case 1:
		len = 56 * pcv_rand_below(&state, 5) + pcv_rand_below(&state, 3);
		break;
	case 2:
		len = pcv_rand_below(&state, 300);
		break;
	default:
		len = pcv_rand_below(&state, max + 1);
		break;
	}
	return len > max ? max : len;
}

#endif /* PCV_PATTERN_H */
