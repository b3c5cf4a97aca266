/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What differs between kernels and architectures, and the only file of the
 * module that asks which one it is.
 */
#ifndef PCV_COMPAT_H
#define PCV_COMPAT_H

#include <linux/err.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <linux/slab.h>
#include <linux/version.h>

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

static inline void pcv_window_unmap(void *window)
{
#ifndef CONFIG_UML
	memunmap(window);
#endif
}

/**
 * pcv_vm_flags_set() - add flags to a mapping that is being made
 */
static inline void pcv_vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_set(vma, flags);
#else
	vma->vm_flags |= flags;
#endif
}

static inline void pcv_vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
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
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
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
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 10, 0)
	free_netdev(dev);
#else
	kfree(dev);
#endif
}

#endif /* PCV_COMPAT_H */
