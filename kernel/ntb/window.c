// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Windows into the peers' memory under UML: see window.h.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/io.h>
#include <linux/logic_iomem.h>
#include <linux/mutex.h>
#include <linux/printk.h>
#include <linux/slab.h>

#include "dev.h"
#include "window.h"

/* What one mapping of logic_iomem can hold. */
#define PCV_WINDOW_MAP_MAX	(16UL << 20)

/*
 * A range that was registered with logic_iomem. There is no way to unregister
 * one: on unload it leaves the resource tree and is made unmatchable, and its
 * memory stays with logic_iomem's list for good.
 */
struct pcv_window_range {
	struct resource res;
	struct logic_iomem_region_ops ops;
};

/**
 * struct pcv_window_map - one ioremap()
 * @peer:	whose memory
 * @base:	start: address in the peer's memory if @direct, else in its BAR
 * @direct:	which of them
 */
struct pcv_window_map {
	struct pcv_window_peer *peer;
	u64 base;
	bool direct;
};

static struct pcv_window_range *pcv_window_bars;
static struct pcv_window_range *pcv_window_ram;

/* Guards the list; a peer found on it stays while mappings of it exist. */
static DEFINE_MUTEX(pcv_window_lock);
static LIST_HEAD(pcv_window_peers);

static void *pcv_window_memory(const struct pcv_window_peer *peer, u64 addr)
{
	return addr < PCV_SHM_OFFERED ? peer->ram + addr :
					peer->offered + (addr - PCV_SHM_OFFERED);
}

/*
 * Where an access leads at this moment. @len is cut to what can be reached in
 * one piece.
 */
static void *pcv_window_resolve(const struct pcv_window_map *map,
				unsigned int offset, u64 *len)
{
	struct pcv_ntb_dev *nd = map->peer->nd;
	u64 at = map->base + offset;
	u64 addr, size;
	int widx;

	if (!map->direct) {
		widx = at / nd->window_bytes;
		at %= nd->window_bytes;
		if (widx >= PCV_NTB_WINDOWS ||
		    !pcv_ntb_dev_window(nd, widx, &addr, &size))
			return NULL;
		size = min_t(u64, size, nd->window_bytes);
		if (at >= size)
			return NULL;
		*len = min(*len, size - at);
		return pcv_window_memory(map->peer, addr + at);
	}

	for (widx = 0; widx < PCV_NTB_WINDOWS; widx++) {
		if (!pcv_ntb_dev_window(nd, widx, &addr, &size) ||
		    at < addr || at - addr >= size)
			continue;
		*len = min(*len, addr + size - at);
		return pcv_window_memory(map->peer, at);
	}
	return NULL;
}

static unsigned long pcv_window_read(void *priv, unsigned int offset, int size)
{
	u64 len = size;
	void *p = pcv_window_resolve(priv, offset, &len);

	if (!p || len != size)
		return ~0UL;
	switch (size) {
	case 1:
		return READ_ONCE(*(u8 *)p);
	case 2:
		return READ_ONCE(*(u16 *)p);
	case 4:
		return READ_ONCE(*(u32 *)p);
	case 8:
		return READ_ONCE(*(u64 *)p);
	}
	return ~0UL;
}

static void pcv_window_write(void *priv, unsigned int offset, int size,
			     unsigned long val)
{
	u64 len = size;
	void *p = pcv_window_resolve(priv, offset, &len);

	if (!p || len != size)
		return;
	switch (size) {
	case 1:
		WRITE_ONCE(*(u8 *)p, val);
		break;
	case 2:
		WRITE_ONCE(*(u16 *)p, val);
		break;
	case 4:
		WRITE_ONCE(*(u32 *)p, val);
		break;
	case 8:
		WRITE_ONCE(*(u64 *)p, val);
		break;
	}
}

static void pcv_window_set(void *priv, unsigned int offset, u8 value, int size)
{
	u64 len = size;
	void *p = pcv_window_resolve(priv, offset, &len);

	if (p)
		memset(p, value, len);
}

static void pcv_window_copy_from(void *priv, void *buffer, unsigned int offset,
				 int size)
{
	u64 len = size;
	void *p = pcv_window_resolve(priv, offset, &len);

	if (p)
		memcpy(buffer, p, len);
	else
		len = 0;
	memset(buffer + len, 0xff, size - len);
}

static void pcv_window_copy_to(void *priv, unsigned int offset,
			       const void *buffer, int size)
{
	u64 len = size;
	void *p = pcv_window_resolve(priv, offset, &len);

	if (p)
		memcpy(p, buffer, len);
}

static void pcv_window_unmap(void *priv)
{
	kfree(priv);
}

static const struct logic_iomem_ops pcv_window_ops = {
	.read		= pcv_window_read,
	.write		= pcv_window_write,
	.set		= pcv_window_set,
	.copy_from	= pcv_window_copy_from,
	.copy_to	= pcv_window_copy_to,
	.unmap		= pcv_window_unmap,
};

static bool pcv_window_within(phys_addr_t at, u64 size, phys_addr_t start, u64 bytes)
{
	return at >= start && at - start <= bytes && size <= bytes - (at - start);
}

/* The address that the peer's translations use, or -1. */
static u64 pcv_window_address(const struct pcv_window_peer *peer, phys_addr_t at,
			      size_t size, bool direct)
{
	struct pcv_ntb_dev *nd = peer->nd;

	if (!direct)
		return pcv_window_within(at, size, nd->bar, PCV_NTB_WINDOWS * nd->window_bytes) ?
			at - nd->bar : U64_MAX;
	if (pcv_window_within(at, size, peer->ram_phys, nd->peer_bytes))
		return at - peer->ram_phys;
	if (pcv_window_within(at, size, peer->offered_phys, nd->peer_offered_bytes))
		return at - peer->offered_phys + PCV_SHM_OFFERED;
	return U64_MAX;
}

static long pcv_window_map(phys_addr_t at, size_t size, bool direct,
			   const struct logic_iomem_ops **ops, void **priv)
{
	struct pcv_window_map *map;
	struct pcv_window_peer *peer;

	if (size > PCV_WINDOW_MAP_MAX) {
		pr_warn("UML cannot map a window of %zu bytes, %lu at most\n",
			size, PCV_WINDOW_MAP_MAX);
		return -EINVAL;
	}

	map = kmalloc(sizeof(*map), GFP_KERNEL);
	if (!map)
		return -ENOMEM;

	mutex_lock(&pcv_window_lock);
	list_for_each_entry(peer, &pcv_window_peers, list) {
		map->base = pcv_window_address(peer, at, size, direct);
		if (map->base == U64_MAX)
			continue;
		map->peer = peer;
		map->direct = direct;
		mutex_unlock(&pcv_window_lock);
		*ops = &pcv_window_ops;
		*priv = map;
		return 0;
	}
	mutex_unlock(&pcv_window_lock);
	kfree(map);
	return -ENOENT;
}

static long pcv_window_map_bar(unsigned long offset, size_t size,
			       const struct logic_iomem_ops **ops, void **priv)
{
	return pcv_window_map(pcv_window_bars->res.start + offset, size, false,
			      ops, priv);
}

static long pcv_window_map_ram(unsigned long offset, size_t size,
			       const struct logic_iomem_ops **ops, void **priv)
{
	return pcv_window_map(pcv_window_ram->res.start + offset, size, true,
			      ops, priv);
}

static struct pcv_window_range *
pcv_window_range_add(const struct resource *res,
		     long (*map)(unsigned long offset, size_t size,
				 const struct logic_iomem_ops **ops,
				 void **priv))
{
	struct pcv_window_range *range;
	int err;

	range = kzalloc(sizeof(*range), GFP_KERNEL);
	if (!range)
		return ERR_PTR(-ENOMEM);
	range->res = *res;
	range->ops.map = map;
	err = logic_iomem_add_region(&range->res, &range->ops);
	if (err) {
		kfree(range);
		return ERR_PTR(err);
	}
	return range;
}

static void pcv_window_range_park(struct pcv_window_range *range)
{
	release_resource(&range->res);
	/* Matches no address: starts above and ends below all of them. */
	WRITE_ONCE(range->res.start, (resource_size_t)-1);
	WRITE_ONCE(range->res.end, 0);
}

struct resource *pcv_window_init(const struct resource *bars,
				 phys_addr_t ram_start, phys_addr_t ram_end)
{
	struct resource ram = {
		.name	= "pcv peer memory",
		.start	= ram_start,
		.end	= ram_end,
		.flags	= IORESOURCE_MEM,
	};
	struct pcv_window_range *range;

	range = pcv_window_range_add(bars, pcv_window_map_bar);
	if (IS_ERR(range))
		return ERR_CAST(range);
	pcv_window_bars = range;

	range = pcv_window_range_add(&ram, pcv_window_map_ram);
	if (IS_ERR(range)) {
		pcv_window_range_park(pcv_window_bars);
		return ERR_CAST(range);
	}
	pcv_window_ram = range;
	return &pcv_window_bars->res;
}

void pcv_window_exit(void)
{
	pcv_window_range_park(pcv_window_ram);
	pcv_window_range_park(pcv_window_bars);
}

void pcv_window_attach(struct pcv_window_peer *peer)
{
	mutex_lock(&pcv_window_lock);
	list_add_tail(&peer->list, &pcv_window_peers);
	mutex_unlock(&pcv_window_lock);
}

void pcv_window_detach(struct pcv_window_peer *peer)
{
	mutex_lock(&pcv_window_lock);
	list_del(&peer->list);
	mutex_unlock(&pcv_window_lock);
}
