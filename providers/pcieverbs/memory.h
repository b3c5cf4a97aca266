/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Memory: what is shared with the kernel (region.c), and registered regions (mr.c).
 */
#ifndef PCV_MEMORY_H
#define PCV_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "private-abi.h"

#include <rdma/pcieverbs-abi.h>

struct pcv_context;

/* Memory shared with the kernel. */
struct pcv_region {
	void *base;
	size_t bytes;
};

struct pcv_mr {
	struct verbs_mr vmr;
	uint64_t iova;
	struct pcv_mr *next;		/* in its bucket */
};

/**
 * struct pcv_mr_cache - the region that was used last
 * @generation: of the context's table when it was found, plus one; 0: none
 * @lkey: its key
 * @iova: its address
 * @bytes: its length
 * @at: where that lies in this process
 */
struct pcv_mr_cache {
	uint32_t generation;
	uint32_t lkey;
	uint64_t iova;
	uint64_t bytes;
	char *at;
};

/* --- region.c --- */

/**
 * pcv_region_map() - map what the kernel made for an object
 * @offset, @bytes: from the answer of the create call
 *
 * A child does not inherit it. Return: 0 or a positive errno.
 */
int pcv_region_map(struct ibv_context *ctx, uint64_t offset, uint64_t bytes,
		   struct pcv_region *region);
/* The same for what may only be read; a child inherits it. */
int pcv_region_map_read(struct ibv_context *ctx, uint64_t offset, uint64_t bytes,
			struct pcv_region *region);
void pcv_region_unmap(struct pcv_region *region);

/* Whether @count elements of @stride bytes at @offset lie inside, aligned to @align. */
bool pcv_region_holds(const struct pcv_region *region, uint32_t offset, uint32_t count,
		      uint32_t stride, uint32_t align);

static inline bool pcv_is_power_of_two(uint32_t n)
{
	return n && !(n & (n - 1));
}

/* Zeroed memory on cache lines of its own; to be freed. */
void *pcv_zalloc(size_t bytes);

/* --- mr.c --- */

struct ibv_pd *pcv_pd_alloc(struct ibv_context *ctx);
int pcv_pd_free(struct ibv_pd *pd);
struct ibv_mr *pcv_mr_reg(struct ibv_pd *pd, void *addr, size_t bytes, uint64_t iova, int access);
int pcv_mr_dereg(struct verbs_mr *vmr);

/**
 * pcv_mr_find() - where a segment of a receive lies in this process
 *
 * Return: NULL unless it lies in a region of @pd that may be written locally.
 */
void *pcv_mr_find(struct pcv_context *ctx, const struct ibv_pd *pd, const struct pcv_sge *sge);

/* The same for those who may use the same region again and again; @access 0: to read it. */
void *pcv_mr_lookup(struct pcv_context *ctx, const struct ibv_pd *pd, struct pcv_mr_cache *cache,
		    uint64_t addr, uint32_t bytes, uint32_t lkey, int access);

#endif /* PCV_MEMORY_H */
