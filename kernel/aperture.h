/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Memory of this node that a peer may write. */
#ifndef PCV_APERTURE_H
#define PCV_APERTURE_H

#include <linux/types.h>

struct device;

enum pcv_aperture_source {
	PCV_APERTURE_NONE,
	PCV_APERTURE_RESERVED,	/* named by the module parameter aperture_phys */
	PCV_APERTURE_OFFERED,	/* named by the device's property ntb-inbound-range */
	PCV_APERTURE_COHERENT,	/* dma_alloc_coherent() */
};

/**
 * struct pcv_aperture - one aperture
 * @source: where it came from
 * @dev: the device that reaches it
 * @start: what a translation may point to, CPU's address
 * @dma: the same, the device's address
 * @bytes: its size
 * @base: as allocated: @start may lie higher for alignment
 * @base_dma: the same, the device's address
 * @base_phys: the same, the CPU's physical address; 0: pages of their own
 * @base_bytes: as allocated
 * @slot: which part of the reserved range
 */
struct pcv_aperture {
	enum pcv_aperture_source source;
	struct device *dev;
	void *start;
	dma_addr_t dma;
	u64 bytes;
	void *base;
	dma_addr_t base_dma;
	phys_addr_t base_phys;
	u64 base_bytes;
	int slot;
};

/**
 * struct pcv_aperture_need - what a memory window asks of its target
 * @addr_align: alignment of the address
 * @size_align: alignment of the size
 * @size_max: largest size
 */
struct pcv_aperture_need {
	u64 addr_align;
	u64 size_align;
	u64 size_max;
};

/**
 * pcv_aperture_alloc() - find memory for an aperture
 * @ap: filled in
 * @dev: NTB's device for DMA
 * @need: of the window
 *
 * Zeroed. May sleep. Return: 0, or -errno and a line in the log.
 */
int pcv_aperture_alloc(struct pcv_aperture *ap, struct device *dev,
		       const struct pcv_aperture_need *need);

/* Nothing may translate to it any more. */
void pcv_aperture_free(struct pcv_aperture *ap);

/**
 * pcv_aperture_pfn() - page frame of a byte of the aperture
 * @offset: from @start
 *
 * Any context. Return: 0 if a process could not map it the way the device
 * sees it.
 */
unsigned long pcv_aperture_pfn(const struct pcv_aperture *ap, u64 offset);

const char *pcv_aperture_source_name(const struct pcv_aperture *ap);

#endif /* PCV_APERTURE_H */
