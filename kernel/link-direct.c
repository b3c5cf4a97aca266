// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The direct windows of a link: one that shows all of this node's memory to the
 * other side, and one that shows the other side's. When they are opened and
 * shut is in link.c.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-mapping.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/ntb.h>
#include <linux/pci.h>

#include "aperture.h"
#include "compat.h"
#include "link-ntb.h"

static bool direct;
module_param(direct, bool, 0444);
MODULE_PARM_DESC(direct,
		 "let processes write to registered memory of this node without its kernel; the kernel of every peer may then write all memory of this node (N)");

bool pcv_link_direct_wanted(void)
{
	return direct;
}

/* First byte of this node's memory, and the one behind the last. */
static void pcv_link_memory(u64 *start, u64 *end)
{
	int node;

	*start = U64_MAX;
	*end = 0;
	for_each_online_node(node) {
		if (!node_spanned_pages(node))
			continue;
		*start = min_t(u64, *start, PFN_PHYS(node_start_pfn(node)));
		*end = max_t(u64, *end, PFN_PHYS(node_end_pfn(node)));
	}
}

/* Return: whether the bridge's addresses are this CPU's. */
static bool pcv_link_is_untranslated(struct device *dma)
{
	struct page *page;
	dma_addr_t addr;
	bool same;

	if (device_iommu_mapped(dma))
		return false;
	/* There are other reasons: an offset, encrypted memory, bounce buffers. */
	page = alloc_page(GFP_KERNEL);
	if (!page)
		return false;
	addr = dma_map_page(dma, page, 0, PAGE_SIZE, DMA_FROM_DEVICE);
	same = !dma_mapping_error(dma, addr) && addr == page_to_phys(page);
	if (!dma_mapping_error(dma, addr))
		dma_unmap_page(dma, addr, PAGE_SIZE, DMA_FROM_DEVICE);
	__free_page(page);
	return same;
}

/* How much of this node's memory the window can show; told in the hello. */
static int pcv_link_direct_plan(struct pcv_link *link, u64 *base, u64 *bytes)
{
	resource_size_t addr_align, size_align, size_max;
	u64 start, end;
	int err;

	if (!pcv_link_is_untranslated(pcv_ntb_dma_dev(link->pn->ntb)))
		return -EXDEV;
	err = ntb_mw_get_align(link->pn->ntb, link->pidx, link->in_direct, &addr_align,
			       &size_align, &size_max);
	if (err)
		return err;
	pcv_link_memory(&start, &end);
	*base = rounddown(start, max_t(u64, addr_align, PAGE_SIZE));
	*bytes = min_t(u64, roundup(end - *base, max_t(u64, size_align, PAGE_SIZE)), size_max);
	return *bytes < PAGE_SIZE ? -ENOSPC : 0;
}

/* Before the hello. Without direct memory the link is as good as with it, but slower. */
void pcv_link_direct_tell(struct pcv_link *link)
{
	struct pcv_channel *ch = &link->channel;
	u64 base, bytes;
	int err;

	ch->own_base = 0;
	ch->own_bytes = 0;
	if (!direct || link->in_direct < 0)
		return;
	err = pcv_link_direct_plan(link, &base, &bytes);
	if (err) {
		dev_warn(pcv_link_dev(link), "no direct memory: %s (%d)\n",
			 err == -EXDEV ? "the bridge's addresses are translated (IOMMU)" :
					 "no window that shows it", err);
		link->in_direct = -1;
		return;
	}
	ch->own_base = base;
	ch->own_bytes = bytes;
}

/*
 * Behind the other side's hello: it names this side's new generation, so
 * nothing of a life before maps what this window shows. The other side looks
 * for it when the first address is told.
 */
void pcv_link_direct_open(struct pcv_link *link)
{
	struct pcv_channel *ch = &link->channel;
	struct ntb_dev *ntb = link->pn->ntb;
	resource_size_t size_max;
	u64 bytes = ch->own_bytes;
	int err;

	if (!bytes)
		return;
	mutex_lock(&link->direct_lock);
	err = ntb_mw_set_trans(ntb, link->pidx, link->in_direct, ch->own_base, bytes);
	if (err && !is_power_of_2(bytes) &&
	    !ntb_mw_get_align(ntb, link->pidx, link->in_direct, NULL, NULL, &size_max)) {
		/* Some bridges know powers of two only. */
		bytes = roundup_pow_of_two(bytes);
		if (bytes > size_max)
			bytes = rounddown_pow_of_two(size_max);
		err = ntb_mw_set_trans(ntb, link->pidx, link->in_direct, ch->own_base, bytes);
	}
	link->direct_open = !err;
	mutex_unlock(&link->direct_lock);
	ch->own_bytes = err ? 0 : min(ch->own_bytes, bytes);
	if (err) {
		dev_warn(pcv_link_dev(link), "no direct memory: translation refused: %d\n", err);
		link->in_direct = -1;
	}
}

void pcv_link_direct_shut(struct pcv_link *link)
{
	struct ntb_dev *ntb = link->pn->ntb;

	mutex_lock(&link->direct_lock);
	if (link->direct_open) {
		ntb_mw_clear_trans(ntb, link->pidx, link->in_direct);
		/* Its answer pushes what is past the bridge already in front of it. */
		ntb_spad_read(ntb, link->in_spad);
		link->direct_open = false;
	}
	mutex_unlock(&link->direct_lock);
}

/* Where the other side's memory appears. What makes no sense means: nowhere. */
static void pcv_link_direct_find(struct pcv_link *link)
{
	const struct pcv_channel *ch = &link->channel;
	u64 told = ch->direct_bytes;
	resource_size_t bytes;
	phys_addr_t phys;
	int err;

	lockdep_assert_held(&link->direct_lock);
	link->direct_bytes = 0;
	if (!told || link->out_direct < 0)
		return;
	err = ntb_peer_mw_get_addr(link->pn->ntb, link->out_direct, &phys, &bytes);
	if (err) {
		dev_warn_ratelimited(pcv_link_dev(link), "no direct window to the other side: %d\n",
				     err);
		return;
	}
	told = rounddown(min_t(u64, told, bytes), PAGE_SIZE);
	if (!PAGE_ALIGNED(ch->direct_base) || ch->direct_base + told < ch->direct_base ||
	    !pcv_window_ok(phys, told)) {
		dev_warn_ratelimited(pcv_link_dev(link),
				     "the other side's direct window makes no sense: %#llx at %#llx\n",
				     told, ch->direct_base);
		return;
	}
	/* Without this, mappings that ask for write-combining do not get it on x86. */
	if (ch->wc && arch_io_reserve_memtype_wc(phys, told))
		dev_dbg(pcv_link_dev(link), "direct window without write-combining\n");
	else
		link->direct_wc = ch->wc;
	link->direct_phys = phys;
	link->direct_bytes = told;
}

void pcv_link_direct_lose(struct pcv_link *link)
{
	mutex_lock(&link->direct_lock);
	if (!IS_ERR_OR_NULL(link->direct_window))
		pcv_window_unmap(link->direct_window);
	link->direct_window = NULL;
	if (link->direct_wc)
		arch_io_free_memtype_wc(link->direct_phys, link->direct_bytes);
	link->direct_wc = false;
	link->direct_bytes = 0;
	link->direct_looked = false;
	mutex_unlock(&link->direct_lock);
}

/* Where in the window the other side's memory at @addr appears; false: nowhere. */
static bool pcv_link_direct_look(struct pcv_link *link, u64 addr, u64 bytes, u64 *offset)
{
	lockdep_assert_held(&link->direct_lock);
	if (!link->direct_looked)
		pcv_link_direct_find(link);
	link->direct_looked = true;
	*offset = addr - link->channel.direct_base;
	return addr >= link->channel.direct_base && *offset < link->direct_bytes &&
	       link->direct_bytes - *offset >= bytes;
}

unsigned long pcv_link_direct_pfn(void *arg, u64 addr)
{
	struct pcv_link *link = arg;
	unsigned long pfn = 0;
	u64 offset;

	mutex_lock(&link->direct_lock);
	if (pcv_link_direct_look(link, addr, PAGE_SIZE, &offset))
		pfn = PHYS_PFN(link->direct_phys + offset);
	mutex_unlock(&link->direct_lock);
	return pfn;
}

void *pcv_link_direct_unit(void *arg, u64 addr)
{
	struct pcv_link *link = arg;
	void *unit = NULL;
	u64 offset;

	mutex_lock(&link->direct_lock);
	/* A machine of 32 bits may not be able to map what it can name. */
	if (pcv_link_direct_look(link, addr, PCV_DIRECT_UNIT, &offset) &&
	    link->direct_bytes <= SIZE_MAX) {
		if (!link->direct_window) {
			link->direct_window = pcv_window_map(link->direct_phys,
							     link->direct_bytes);
			if (IS_ERR(link->direct_window))
				dev_warn(pcv_link_dev(link),
					 "the direct window cannot be mapped whole: %ld\n",
					 PTR_ERR(link->direct_window));
		}
		if (!IS_ERR(link->direct_window))
			unit = link->direct_window + offset;
	}
	mutex_unlock(&link->direct_lock);
	return unit;
}
