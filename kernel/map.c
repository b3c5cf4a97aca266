// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Mappings that can be taken away.
 *
 * A struct pcv_map outlives its object as long as a process maps it: each
 * mapping (struct vm_area_struct) is on the map's list, holds a reference to
 * the map, and one to this module, whose functions the mapping calls.
 *
 * Locks: map->zapping, mmap_lock of any process, map->lock. A fault, an open and a close
 * of a mapping come with the former held; who takes pages away holds neither
 * at first, finds a process, and takes both in that order.
 */
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <rdma/uverbs_ioctl.h>

#include "compat.h"
#include "dev.h"
#include "map.h"

/**
 * struct pcv_map - something to map
 * @entry: what mmap() finds; dies with the object
 * @gone: completed when @entry is no longer used
 * @ref: one for the object, one for each mapping
 * @flags: enum pcv_map_flag
 * @lock: guards what follows
 * @vmas: struct pcv_map_vma
 * @zapping: one at a time takes pages away; outside of all other locks here
 * @pfn: NULL: nothing is there, for good
 * @filled: something was mapped that is there, since a fault found nothing
 * @dummy: what a process gets that touches what is not there; kept until the
 *	last mapping is closed
 */
struct pcv_map {
	struct pcv_mmap_entry entry;
	struct completion gone;
	struct kref ref;
	size_t bytes;
	unsigned int flags;
	struct mutex zapping;
	struct mutex lock;
	struct list_head vmas;
	pcv_map_pfn_t pfn;
	void *arg;
	bool filled;
	struct page *dummy;
};

/* One mapping. @zap: which call of pcv_map_zap() has been here. */
struct pcv_map_vma {
	struct list_head entry;
	struct pcv_map *map;
	struct vm_area_struct *vma;
	bool zapped;
};

static void map_release(struct kref *ref)
{
	struct pcv_map *map = container_of(ref, struct pcv_map, ref);

	if (map->dummy)
		__free_page(map->dummy);
	mutex_destroy(&map->lock);
	mutex_destroy(&map->zapping);
	kfree(map);
}

struct pcv_map *pcv_map_create(struct ib_udata *udata, size_t bytes, unsigned int flags,
			       pcv_map_pfn_t pfn, void *arg)
{
	struct pcv_ucontext *ctx = rdma_udata_to_drv_context(udata, struct pcv_ucontext, ib);
	struct pcv_map *map;
	int err;

	map = kzalloc(sizeof(*map), GFP_KERNEL);
	if (!map)
		return ERR_PTR(-ENOMEM);
	init_completion(&map->gone);
	kref_init(&map->ref);
	mutex_init(&map->zapping);
	mutex_init(&map->lock);
	INIT_LIST_HEAD(&map->vmas);
	map->bytes = bytes;
	map->flags = flags;
	map->pfn = pfn;
	map->arg = arg;
	map->entry.map = true;
	err = pcv_mmap_entry_insert(&ctx->ib, &map->entry);
	if (err) {
		kref_put(&map->ref, map_release);
		return ERR_PTR(err);
	}
	return map;
}

u64 pcv_map_offset(struct pcv_map *map)
{
	return rdma_user_mmap_get_offset(&map->entry.rdma);
}

void pcv_map_lock(struct pcv_map *map)
{
	mutex_lock(&map->lock);
}

void pcv_map_unlock(struct pcv_map *map)
{
	mutex_unlock(&map->lock);
}

/* --- what the mappings call ---------------------------------------------------- */

static struct pcv_map *vma_map(struct vm_area_struct *vma)
{
	return ((struct pcv_map_vma *)vma->vm_private_data)->map;
}

static vm_fault_t fault_dummy(struct pcv_map *map, struct vm_fault *vmf)
{
	if (!map->dummy)
		map->dummy = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!map->dummy)
		return VM_FAULT_OOM;
	return vmf_insert_pfn_prot(vmf->vma, vmf->address, page_to_pfn(map->dummy),
				   vm_get_page_prot(vmf->vma->vm_flags));
}

/* Fill in what is there around the fault: they are all used sooner or later. */
#define FAULT_AROUND	512

static vm_fault_t map_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct pcv_map *map = vma_map(vma);
	unsigned long page = vmf->pgoff - map->entry.rdma.start_pgoff;
	unsigned long first = page / FAULT_AROUND * FAULT_AROUND;
	unsigned long pgoff, addr, pfn;
	vm_fault_t ret;
	int i;

	mutex_lock(&map->lock);
	pfn = map->pfn ? map->pfn(map->arg, page) : 0;
	if (!pfn) {
		/*
		 * What is still mapped is about to be taken away anyhow. Once: an access
		 * that crosses two pages needs both, whatever they are.
		 */
		if (map->flags & PCV_MAP_WHOLE && map->filled)
			zap_vma_ptes(vma, vma->vm_start, vma->vm_end - vma->vm_start);
		map->filled = false;
		ret = fault_dummy(map, vmf);
		goto out;
	}
	map->filled = true;
	ret = vmf_insert_pfn(vma, vmf->address, pfn);
	for (i = 0; i < FAULT_AROUND && ret == VM_FAULT_NOPAGE; i++) {
		page = first + i;
		pgoff = map->entry.rdma.start_pgoff + page;
		if (page >= map->bytes >> PAGE_SHIFT)
			break;
		if (pgoff < vma->vm_pgoff || pgoff == vmf->pgoff)
			continue;
		addr = vma->vm_start + ((pgoff - vma->vm_pgoff) << PAGE_SHIFT);
		if (addr >= vma->vm_end)
			break;
		pfn = map->pfn(map->arg, page);
		if (pfn)
			ret = vmf_insert_pfn(vma, addr, pfn);
	}
	/* What was asked for is there; the rest comes when it is touched. */
	if (i)
		ret = VM_FAULT_NOPAGE;
out:
	mutex_unlock(&map->lock);
	return ret;
}

static void vma_attach(struct pcv_map *map, struct vm_area_struct *vma, struct pcv_map_vma *mv)
{
	mv->map = map;
	mv->vma = vma;
	vma->vm_private_data = mv;
	kref_get(&map->ref);
	__module_get(THIS_MODULE);
	mutex_lock(&map->lock);
	list_add_tail(&mv->entry, &map->vmas);
	mutex_unlock(&map->lock);
}

/* A mapping was split or moved: the new part needs a place on the list of its own. */
static void map_open(struct vm_area_struct *vma)
{
	struct pcv_map *map = vma_map(vma);
	struct pcv_map_vma *mv = kzalloc(sizeof(*mv), GFP_KERNEL | __GFP_NOFAIL);

	vma_attach(map, vma, mv);
}

static void map_close(struct vm_area_struct *vma)
{
	struct pcv_map_vma *mv = vma->vm_private_data;
	struct pcv_map *map = mv->map;

	mutex_lock(&map->lock);
	list_del(&mv->entry);
	mutex_unlock(&map->lock);
	kfree(mv);
	kref_put(&map->ref, map_release);
	module_put(THIS_MODULE);
}

static const struct vm_operations_struct map_vm_ops = {
	.open = map_open,
	.close = map_close,
	.fault = map_fault,
};

/* --- the core's side ------------------------------------------------------------- */

int pcv_map_mmap(struct rdma_user_mmap_entry *entry, struct vm_area_struct *vma)
{
	struct pcv_map *map = container_of(entry, struct pcv_map, entry.rdma);
	struct pcv_map_vma *mv;

	if (vma->vm_end - vma->vm_start != map->bytes)
		return -EINVAL;
	mv = kzalloc(sizeof(*mv), GFP_KERNEL);
	if (!mv)
		return -ENOMEM;
	if (map->flags & PCV_MAP_WC)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	/* A child must not inherit queues: two processes would use them. */
	pcv_vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP);
	vma_attach(map, vma, mv);
	vma->vm_ops = &map_vm_ops;
	return 0;
}

void pcv_map_free(struct rdma_user_mmap_entry *entry)
{
	complete(&container_of(entry, struct pcv_map, entry.rdma)->gone);
}

/* --- taking away ------------------------------------------------------------------- */

static void zap_vma(struct pcv_map *map, struct vm_area_struct *vma, unsigned long page,
		    unsigned long count)
{
	unsigned long first = map->entry.rdma.start_pgoff + page;
	unsigned long end = first + count;
	unsigned long vma_end = vma->vm_pgoff + vma_pages(vma);

	first = max(first, vma->vm_pgoff);
	end = min(end, vma_end);
	if (first < end)
		zap_vma_ptes(vma, vma->vm_start + ((first - vma->vm_pgoff) << PAGE_SHIFT),
			     (end - first) << PAGE_SHIFT);
}

void pcv_map_zap(struct pcv_map *map, unsigned long page, unsigned long count)
{
	struct pcv_map_vma *mv;
	struct mm_struct *mm;

	mutex_lock(&map->zapping);
	mutex_lock(&map->lock);
	list_for_each_entry(mv, &map->vmas, entry)
		mv->zapped = false;
again:
	list_for_each_entry(mv, &map->vmas, entry) {
		if (mv->zapped)
			continue;
		mm = mv->vma->vm_mm;
		mv->zapped = true;
		/* A process whose last thread has ended stores nothing any more. */
		if (!mmget_not_zero(mm))
			continue;
		mutex_unlock(&map->lock);
		mmap_read_lock(mm);
		mutex_lock(&map->lock);
		/* The mapping may have gone, been split or moved: take all of this process. */
		list_for_each_entry(mv, &map->vmas, entry) {
			if (mv->vma->vm_mm != mm)
				continue;
			mv->zapped = true;
			zap_vma(map, mv->vma, page, count);
		}
		mutex_unlock(&map->lock);
		mmap_read_unlock(mm);
		mmput(mm);
		mutex_lock(&map->lock);
		goto again;
	}
	mutex_unlock(&map->lock);
	mutex_unlock(&map->zapping);
}

void pcv_map_destroy(struct pcv_map *map)
{
	if (!map)
		return;
	/* No new mapping, and none on its way, from here on. */
	rdma_user_mmap_entry_remove(&map->entry.rdma);
	wait_for_completion(&map->gone);
	mutex_lock(&map->lock);
	map->pfn = NULL;
	mutex_unlock(&map->lock);
	pcv_map_zap(map, 0, map->bytes >> PAGE_SHIFT);
	kref_put(&map->ref, map_release);
}
