/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What differs between kernels and architectures, and the only file of the
 * module that asks which one it is: by what probes.sh found the kernel to have.
 */
#ifndef PCV_COMPAT_H
#define PCV_COMPAT_H

#include <linux/err.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/slab.h>

#include "probes.h"

#ifdef CONFIG_UML
#include <mem.h>
#endif

/**
 * pcv_window_map() - map a peer's window for writing
 * @phys: its CPU address
 * @bytes: its size
 *
 * The mapping is plain memory to the compiler and write-combining where the
 * architecture has that: order comes from pcv_out_wmb() alone.
 *
 * Under UML a window is part of an I/O memory region that the kernel has
 * mapped for good; anything else has no address there.
 *
 * Return: the mapping or an ERR_PTR.
 */
static inline void *pcv_window_map(phys_addr_t phys, size_t bytes)
{
#ifdef CONFIG_UML
	unsigned long long offset;
	int fd = phys_mapping(phys, &offset);

	if (fd < 0 || fd == phys_mapping(0, &offset) ||
	    fd != phys_mapping(phys + bytes - 1, &offset))
		return ERR_PTR(-ENXIO);
	return phys_to_virt(phys);
#else
	void *window = memremap(phys, bytes, MEMREMAP_WC);

	return window ?: ERR_PTR(-ENOMEM);
#endif
}

/**
 * pcv_window_ok() - is this a range that pages of can be mapped into a process?
 */
static inline bool pcv_window_ok(phys_addr_t phys, u64 bytes)
{
#ifdef CONFIG_UML
	unsigned long long offset;
	int fd = phys_mapping(phys, &offset);

	if (fd < 0 || fd == phys_mapping(0, &offset) ||
	    fd != phys_mapping(phys + bytes - 1, &offset))
		return false;
#endif
	return bytes && PAGE_ALIGNED(phys) && phys + bytes - 1 >= phys;
}

/**
 * pcv_window_wc() - do such pages want a write-combining mapping?
 */
static inline bool pcv_window_wc(void)
{
	return !IS_ENABLED(CONFIG_UML);
}

/**
 * pcv_window_translates() - is an access translated when it is made?
 *
 * Under UML an address that was once handed out leads to the peer's memory for
 * good: taking a translation away stops nobody.
 */
static inline bool pcv_window_translates(void)
{
	return !IS_ENABLED(CONFIG_UML);
}

static inline void pcv_window_unmap(void *window)
{
#ifndef CONFIG_UML
	memunmap(window);
#endif
}

/**
 * pcv_offered_map() - map memory of this node that no allocator owns
 * @phys: its address
 * @bytes: its size
 *
 * Cached. Under UML it is an I/O memory region as a window is.
 *
 * Return: the mapping or an ERR_PTR.
 */
static inline void *pcv_offered_map(phys_addr_t phys, size_t bytes)
{
#ifdef CONFIG_UML
	return pcv_window_map(phys, bytes);
#else
	void *memory = memremap(phys, bytes, MEMREMAP_WB);

	return memory ?: ERR_PTR(-ENOMEM);
#endif
}

static inline void pcv_offered_unmap(void *memory)
{
#ifndef CONFIG_UML
	memunmap(memory);
#endif
}

/**
 * pcv_vm_flags_set() - add flags to a mapping that is being made
 */
static inline void pcv_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
#ifdef PCV_HAVE_VM_FLAGS_SET
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

static inline void pcv_vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
#ifdef PCV_HAVE_VM_FLAGS_SET
	vm_flags_clear(vma, flags);
#else
	vma->vm_flags &= ~flags;
#endif
}

/**
 * pcv_dummy_netdev_alloc() - a net_device that only carries NAPI contexts
 */
static inline struct net_device *pcv_dummy_netdev_alloc(void)
{
#ifdef PCV_HAVE_ALLOC_NETDEV_DUMMY
	return alloc_netdev_dummy(0);
#else
	struct net_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (dev)
		init_dummy_netdev(dev);
	return dev;
#endif
}

static inline void pcv_dummy_netdev_free(struct net_device *dev)
{
#ifdef PCV_HAVE_ALLOC_NETDEV_DUMMY
	free_netdev(dev);
#else
	kfree(dev);
#endif
}

/**
 * pcv_ntb_dma_dev() - whose memory translations of an NTB device can lead to
 *
 * The kernel's own drivers have no other than their PCI device. One of ours can
 * be the bridge's device by itself (ntb/ivshmem.c): it has a DMA mask then.
 * A macro, because only the links know what an NTB is.
 */
#ifdef PCV_HAVE_NTB_DMA_DEV
#define pcv_ntb_dma_dev(ntb)	ntb_get_dma_dev(ntb)
#else
#define pcv_ntb_dma_dev(ntb)	((ntb)->dev.dma_mask ? &(ntb)->dev : &(ntb)->pdev->dev)
#endif

/*
 * struct pcv_cq_request is what create_cq() gets of the user's request, NULL for
 * a user in the kernel; pcv_cq_udata() comes from it to the provider's part.
 */
#ifdef PCV_HAVE_CREATE_CQ_ATTRS
#define pcv_cq_request uverbs_attr_bundle
#define pcv_cq_udata(request)	((request) ? &(request)->driver_udata : NULL)
#else
#define pcv_cq_request ib_udata
#define pcv_cq_udata(request)	(request)
#endif

#endif /* PCV_COMPAT_H */
