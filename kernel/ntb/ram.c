// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The layout of a virtual machine's memory: see ram.h.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/errno.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/sizes.h>

#include "ram.h"

/* Where memory begins is a round number everywhere: 0, 1 GiB, 2 GiB. */
#define PCV_RAM_BASE_ALIGN	SZ_1G

/**
 * struct pcv_ram_part - a range of addresses
 * @start:	first address
 * @end:	behind the last address; not above @start: there is no such part
 */
struct pcv_ram_part {
	u64 start;
	u64 end;
};

/* Constant after pcv_ram_survey(). */
static struct pcv_ram_part pcv_ram_low, pcv_ram_high;

static int pcv_ram_add(struct resource *res, void *arg)
{
	struct pcv_ram_part *part = res->start < SZ_4G ? &pcv_ram_low : &pcv_ram_high;

	part->start = min_t(u64, part->start, res->start);
	part->end = max_t(u64, part->end, res->end + 1);
	return 0;
}

int pcv_ram_survey(void)
{
	u64 high, total;

	pcv_ram_low = (struct pcv_ram_part){ .start = U64_MAX };
	pcv_ram_high = pcv_ram_low;
	walk_iomem_res_desc(IORES_DESC_NONE, IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY, 0, U64_MAX,
			    NULL, pcv_ram_add);
	if (pcv_ram_low.start >= pcv_ram_low.end) {
		pr_err("no memory found below 4 GiB\n");
		return -ENXIO;
	}
	pcv_ram_low.start = round_down(pcv_ram_low.start, PCV_RAM_BASE_ALIGN);
	high = pcv_ram_high.end > pcv_ram_high.start ? pcv_ram_high.end - pcv_ram_high.start : 0;
	total = roundup_pow_of_two(pcv_ram_low.end - pcv_ram_low.start + high);
	pcv_ram_low.end = pcv_ram_low.start + total - high;
	if (high && pcv_ram_low.end > pcv_ram_high.start) {
		pr_err("%llu MiB of memory at %#llx and %llu MiB at %#llx are no power of two together\n",
		       (pcv_ram_low.end - pcv_ram_low.start) >> 20, pcv_ram_low.start, high >> 20,
		       pcv_ram_high.start);
		return -ENXIO;
	}
	return 0;
}

u64 pcv_ram_bytes(void)
{
	u64 bytes = pcv_ram_low.end - pcv_ram_low.start;

	if (pcv_ram_high.end > pcv_ram_high.start)
		bytes += pcv_ram_high.end - pcv_ram_high.start;
	return bytes;
}

static bool pcv_ram_part_has(const struct pcv_ram_part *part, u64 addr, u64 size)
{
	return addr >= part->start && addr < part->end && size <= part->end - addr;
}

int pcv_ram_offset(u64 addr, u64 size, u64 *at)
{
	if (pcv_ram_part_has(&pcv_ram_low, addr, size))
		*at = addr - pcv_ram_low.start;
	else if (pcv_ram_part_has(&pcv_ram_high, addr, size))
		*at = addr - pcv_ram_high.start + (pcv_ram_low.end - pcv_ram_low.start);
	else
		return -EINVAL;
	return 0;
}
