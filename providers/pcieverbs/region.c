// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* Memory that the kernel makes and the process maps. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "provider.h"

int pcv_region_map(struct ibv_context *ctx, uint64_t offset, uint64_t bytes,
		   struct pcv_region *region)
{
	void *base;

	if (!bytes || bytes > SIZE_MAX / 2)
		return EPROTO;
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ctx->cmd_fd, (off_t)offset);
	if (base == MAP_FAILED)
		return errno;
	/* The queues are this process's; two processes cannot both drive them. */
	madvise(base, bytes, MADV_DONTFORK);
	region->base = base;
	region->bytes = bytes;
	return 0;
}

int pcv_region_map_read(struct ibv_context *ctx, uint64_t offset, uint64_t bytes,
			struct pcv_region *region)
{
	void *base = mmap(NULL, bytes, PROT_READ, MAP_SHARED, ctx->cmd_fd, (off_t)offset);

	if (base == MAP_FAILED)
		return errno;
	region->base = base;
	region->bytes = bytes;
	return 0;
}

void pcv_region_unmap(struct pcv_region *region)
{
	if (region->base)
		munmap(region->base, region->bytes);
	region->base = NULL;
	region->bytes = 0;
}

bool pcv_region_holds(const struct pcv_region *region, uint32_t offset, uint32_t count,
		      uint32_t stride, uint32_t align)
{
	uint64_t bytes = (uint64_t)count * stride;

	return offset % align == 0 && stride % align == 0 && offset <= region->bytes &&
	       bytes <= region->bytes - offset;
}

void *pcv_zalloc(size_t bytes)
{
	size_t rounded = (bytes + 63) & ~(size_t)63;
	void *mem = aligned_alloc(64, rounded);

	if (mem)
		memset(mem, 0, rounded);
	return mem;
}
