// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A device whose coherent memory is a range of shared memory: see range.h.
 */
#include <linux/bitmap.h>
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/log2.h>
#include <linux/property.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "range.h"

/* What is given out is a multiple of this: any kernel and any peer can map it by itself. */
#define PCV_RANGE_GRAIN	SZ_64K

/**
 * struct pcv_range - the device
 * @dev:	it
 * @start:	physical address of the range
 * @memory:	the range, mapped
 * @grains:	how many there are
 * @lock:	guards @taken; innermost, interrupts off
 * @taken:	grains that have been given out
 *
 * Belongs to the references of @dev. Constant once that is registered, but for
 * @taken.
 */
struct pcv_range {
	struct device dev;
	u64 start;
	void *memory;
	unsigned long grains;
	spinlock_t lock; /* guards taken */
	unsigned long *taken;
};

static struct pcv_range *pcv_range_of(struct device *dev)
{
	return container_of(dev, struct pcv_range, dev);
}

static void *pcv_range_alloc(struct device *dev, size_t size, dma_addr_t *dma, gfp_t gfp,
			     unsigned long attrs)
{
	struct pcv_range *range = pcv_range_of(dev);
	unsigned long count = DIV_ROUND_UP(size, PCV_RANGE_GRAIN);
	unsigned long flags, at;

	if (!count || count > range->grains)
		return NULL;
	spin_lock_irqsave(&range->lock, flags);
	at = bitmap_find_next_zero_area(range->taken, range->grains, 0, count,
					roundup_pow_of_two(count) - 1);
	if (at >= range->grains) {
		spin_unlock_irqrestore(&range->lock, flags);
		return NULL;
	}
	bitmap_set(range->taken, at, count);
	spin_unlock_irqrestore(&range->lock, flags);
	*dma = range->start + at * PCV_RANGE_GRAIN;
	return memset(range->memory + at * PCV_RANGE_GRAIN, 0, size);
}

static void pcv_range_free(struct device *dev, size_t size, void *memory, dma_addr_t dma,
			   unsigned long attrs)
{
	struct pcv_range *range = pcv_range_of(dev);
	unsigned long flags;

	spin_lock_irqsave(&range->lock, flags);
	bitmap_clear(range->taken, (dma - range->start) / PCV_RANGE_GRAIN,
		     DIV_ROUND_UP(size, PCV_RANGE_GRAIN));
	spin_unlock_irqrestore(&range->lock, flags);
}

/* A range of the range, for one who has it from the property. */
static dma_addr_t pcv_range_map_resource(struct device *dev, phys_addr_t phys, size_t size,
					 enum dma_data_direction dir, unsigned long attrs)
{
	return phys;
}

static dma_addr_t pcv_range_map_page(struct device *dev, struct page *page, unsigned long offset,
				     size_t size, enum dma_data_direction dir,
				     unsigned long attrs)
{
	return DMA_MAPPING_ERROR;
}

static int pcv_range_map_sg(struct device *dev, struct scatterlist *sg, int count,
			    enum dma_data_direction dir, unsigned long attrs)
{
	return -EIO;
}

static const struct dma_map_ops pcv_range_dma_ops = {
	.alloc		= pcv_range_alloc,
	.free		= pcv_range_free,
	.map_resource	= pcv_range_map_resource,
	.map_page	= pcv_range_map_page,
	.map_sg		= pcv_range_map_sg,
};

static void pcv_range_release(struct device *dev)
{
	struct pcv_range *range = pcv_range_of(dev);

	bitmap_free(range->taken);
	if (range->memory)
		memunmap(range->memory);
	kfree(range);
}

struct device *pcv_range_create(struct device *parent, u64 start, u64 bytes)
{
	const u64 inbound[] = { start, bytes };
	const struct property_entry properties[] = {
		PROPERTY_ENTRY_U64_ARRAY("ntb-inbound-range", inbound),
		{ }
	};
	struct pcv_range *range;
	struct device *dev;
	int err;

	range = kzalloc(sizeof(*range), GFP_KERNEL);
	if (!range)
		return ERR_PTR(-ENOMEM);
	dev = &range->dev;
	device_initialize(dev);
	dev->parent = parent;
	dev->release = pcv_range_release;
	dev->coherent_dma_mask = DMA_BIT_MASK(64);
	dev->dma_mask = &dev->coherent_dma_mask;
	set_dma_ops(dev, &pcv_range_dma_ops);
	set_dev_node(dev, dev_to_node(parent));
	spin_lock_init(&range->lock);
	range->start = start;
	range->grains = bytes / PCV_RANGE_GRAIN;

	err = dev_set_name(dev, "inbound.%s", dev_name(parent));
	if (err)
		goto err_put;
	err = -ENOMEM;
	range->memory = memremap(start, bytes, MEMREMAP_WB);
	if (!range->memory)
		goto err_put;
	range->taken = bitmap_zalloc(range->grains, GFP_KERNEL);
	if (!range->taken)
		goto err_put;
	err = device_add(dev);
	if (err)
		goto err_put;
	err = device_create_managed_software_node(dev, properties, NULL);
	if (err)
		goto err_del;
	return dev;

err_del:
	device_del(dev);
err_put:
	put_device(dev);
	return ERR_PTR(err);
}

void pcv_range_destroy(struct device *dev)
{
	device_unregister(dev);
}
