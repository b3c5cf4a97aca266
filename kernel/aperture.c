// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/property.h>

#include "aperture.h"
#include "compat.h"
#include "os.h"
#include <pcieverbs/wire.h>

#define PCV_APERTURE_SLOTS	BITS_PER_LONG

static unsigned long aperture = 4ul << 20;
module_param(aperture, ulong, 0444);
MODULE_PARM_DESC(aperture, "bytes of memory that each peer may write (4 MiB)");

static unsigned long aperture_phys;
module_param(aperture_phys, ulong, 0444);
MODULE_PARM_DESC(aperture_phys,
		 "start of memory reserved at boot: one aperture for each link, one after the other");

/* Which parts of the reserved range are taken. */
static unsigned long pcv_aperture_slots;

const char *pcv_aperture_source_name(const struct pcv_aperture *ap)
{
	static const char * const names[] = {
		[PCV_APERTURE_NONE] = "none",
		[PCV_APERTURE_RESERVED] = "reserved",
		[PCV_APERTURE_OFFERED] = "device",
		[PCV_APERTURE_COHERENT] = "coherent",
	};

	return names[ap->source];
}

/* Place the aperture inside what was allocated. Return: false if it is too small. */
static bool pcv_aperture_fit(struct pcv_aperture *ap, const struct pcv_aperture_need *need,
			     u64 want)
{
	u64 skip = ALIGN(ap->base_dma, need->addr_align) - ap->base_dma;

	if (skip >= ap->base_bytes)
		return false;
	ap->start = ap->base + skip;
	ap->dma = ap->base_dma + skip;
	ap->bytes = min3(want, need->size_max, ap->base_bytes - skip);
	ap->bytes = round_down(ap->bytes, max_t(u64, need->size_align, PAGE_SIZE));
	return ap->bytes >= PCV_APERTURE_MIN;
}

/* Map a range of physical memory that no allocator owns. */
static int pcv_aperture_map(struct pcv_aperture *ap, phys_addr_t phys, u64 bytes,
			    const struct pcv_aperture_need *need)
{
	ap->base = pcv_offered_map(phys, bytes);
	if (IS_ERR(ap->base))
		return PTR_ERR(ap->base);
	ap->base_phys = phys;
	ap->base_bytes = bytes;
	ap->base_dma = dma_map_resource(ap->dev, phys, bytes, DMA_BIDIRECTIONAL, 0);
	if (dma_mapping_error(ap->dev, ap->base_dma))
		goto err_unmap;
	if (!pcv_aperture_fit(ap, need, bytes))
		goto err_unmap_resource;
	memset(ap->start, 0, ap->bytes);
	return 0;

err_unmap_resource:
	dma_unmap_resource(ap->dev, ap->base_dma, bytes, DMA_BIDIRECTIONAL, 0);
err_unmap:
	pcv_offered_unmap(ap->base);
	return -ENOMEM;
}

static int pcv_aperture_alloc_reserved(struct pcv_aperture *ap,
				       const struct pcv_aperture_need *need)
{
	int slot = 0;
	int err;

	while (test_and_set_bit(slot, &pcv_aperture_slots))
		if (++slot == PCV_APERTURE_SLOTS)
			return -ENOSPC;
	err = pcv_aperture_map(ap, aperture_phys + slot * (u64)aperture, aperture, need);
	if (err) {
		clear_bit(slot, &pcv_aperture_slots);
		return err;
	}
	ap->slot = slot;
	ap->source = PCV_APERTURE_RESERVED;
	return 0;
}

static int pcv_aperture_alloc_offered(struct pcv_aperture *ap,
				      const struct pcv_aperture_need *need)
{
	u64 range[2];	/* physical address, bytes */
	int err;

	err = device_property_read_u64_array(ap->dev, "ntb-inbound-range", range, 2);
	if (err)
		return -ENOENT;
	err = pcv_aperture_map(ap, range[0], range[1], need);
	if (!err)
		ap->source = PCV_APERTURE_OFFERED;
	return err;
}

static int pcv_aperture_alloc_coherent(struct pcv_aperture *ap,
				       const struct pcv_aperture_need *need)
{
	u64 want = min_t(u64, aperture, need->size_max);

	for (; want >= PCV_APERTURE_MIN; want /= 2) {
		ap->base_bytes = want;
		ap->base = dma_alloc_coherent(ap->dev, want, &ap->base_dma,
					      GFP_KERNEL | __GFP_NOWARN);
		if (ap->base && !pcv_aperture_fit(ap, need, want)) {
			/* Page orders align by themselves, IOMMUs need not. */
			dma_free_coherent(ap->dev, want, ap->base, ap->base_dma);
			ap->base_bytes = want + need->addr_align;
			ap->base = dma_alloc_coherent(ap->dev, ap->base_bytes, &ap->base_dma,
						      GFP_KERNEL | __GFP_NOWARN);
			if (ap->base && !pcv_aperture_fit(ap, need, want)) {
				dma_free_coherent(ap->dev, ap->base_bytes, ap->base,
						  ap->base_dma);
				return -EINVAL;
			}
		}
		if (!ap->base)
			continue;
		memset(ap->base, 0, ap->base_bytes);
		ap->source = PCV_APERTURE_COHERENT;
		if (want < aperture)
			dev_info(ap->dev, "aperture of %llu KiB instead of %lu KiB\n",
				 ap->bytes >> 10, aperture >> 10);
		return 0;
	}
	return -ENOMEM;
}

int pcv_aperture_alloc(struct pcv_aperture *ap, struct device *dev,
		       const struct pcv_aperture_need *need)
{
	int err;

	memset(ap, 0, sizeof(*ap));
	ap->dev = dev;
	if (need->size_max < PCV_APERTURE_MIN || aperture < PCV_APERTURE_MIN) {
		dev_err_ratelimited(dev, "aperture of %llu KiB is too small: %u KiB at least\n",
				    min_t(u64, need->size_max, aperture) >> 10,
				    PCV_APERTURE_MIN >> 10);
		return -EINVAL;
	}
	if (aperture_phys) {
		err = pcv_aperture_alloc_reserved(ap, need);
	} else {
		err = pcv_aperture_alloc_offered(ap, need);
		if (err == -ENOENT)
			err = pcv_aperture_alloc_coherent(ap, need);
	}
	if (err)
		dev_err_ratelimited(dev, "no memory for an aperture of %lu KiB: %d\n",
				    aperture >> 10, err);
	return err;
}

unsigned long pcv_aperture_pfn(const struct pcv_aperture *ap, u64 offset)
{
	void *at = ap->start + offset;

	if (offset >= ap->bytes || !PAGE_ALIGNED(ap->start))
		return 0;
	switch (ap->source) {
	case PCV_APERTURE_NONE:
		return 0;
	case PCV_APERTURE_RESERVED:
	case PCV_APERTURE_OFFERED:
		return PHYS_PFN(ap->base_phys + (at - ap->base));
	case PCV_APERTURE_COHERENT:
		/* Uncached for the kernel: a cached mapping beside it would be wrong. */
		if (!dev_is_dma_coherent(ap->dev))
			return 0;
		return is_vmalloc_addr(at) ? vmalloc_to_pfn(at) : PHYS_PFN(virt_to_phys(at));
	}
	return 0;
}

void pcv_aperture_free(struct pcv_aperture *ap)
{
	switch (ap->source) {
	case PCV_APERTURE_NONE:
		return;
	case PCV_APERTURE_COHERENT:
		dma_free_coherent(ap->dev, ap->base_bytes, ap->base, ap->base_dma);
		break;
	case PCV_APERTURE_RESERVED:
		clear_bit(ap->slot, &pcv_aperture_slots);
		fallthrough;
	case PCV_APERTURE_OFFERED:
		dma_unmap_resource(ap->dev, ap->base_dma, ap->base_bytes, DMA_BIDIRECTIONAL, 0);
		pcv_offered_unmap(ap->base);
		break;
	}
	ap->source = PCV_APERTURE_NONE;
}
