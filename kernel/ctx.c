// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* User contexts and the memory that they share with the kernel. */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <rdma/uverbs_ioctl.h>

#include "dev.h"
#include "map.h"

int pcv_mmap_entry_insert(struct ib_ucontext *ctx, struct pcv_mmap_entry *entry)
{
	/* From 1 on: offset 0 must not name a mapping. */
	return rdma_user_mmap_entry_insert_range(ctx, &entry->rdma, PAGE_SIZE, 1, U32_MAX);
}

/**
 * pcv_region_create() - shared memory for one object
 * @udata: of the create call of a process; NULL: kernel only
 * @bytes: rounded up to whole pages
 *
 * Process context. Return: the region, zeroed, or an ERR_PTR.
 */
struct pcv_region *pcv_region_create(struct ib_udata *udata, size_t bytes)
{
	struct pcv_region *region;
	struct pcv_ucontext *ctx;
	int err;

	region = kzalloc(sizeof(*region), GFP_KERNEL);
	if (!region)
		return ERR_PTR(-ENOMEM);
	region->bytes = PAGE_ALIGN(bytes);
	region->mem = vmalloc_user(region->bytes);
	if (!region->mem) {
		err = -ENOMEM;
		goto err_free_region;
	}
	if (!udata)
		return region;

	ctx = rdma_udata_to_drv_context(udata, struct pcv_ucontext, ib);
	err = pcv_mmap_entry_insert(&ctx->ib, &region->entry);
	if (err)
		goto err_free_mem;
	region->mapped = true;
	return region;

err_free_mem:
	vfree(region->mem);
err_free_region:
	kfree(region);
	return ERR_PTR(err);
}

/**
 * pcv_region_lend() - let a process read memory of the device
 * @mem: from vmalloc_user(), lives as long as the device
 *
 * Process context. Return: the region or an ERR_PTR.
 */
struct pcv_region *pcv_region_lend(struct ib_ucontext *ctx, void *mem, size_t bytes)
{
	struct pcv_region *region = kzalloc(sizeof(*region), GFP_KERNEL);
	int err;

	if (!region)
		return ERR_PTR(-ENOMEM);
	region->mem = mem;
	region->bytes = PAGE_ALIGN(bytes);
	region->borrowed = true;
	err = pcv_mmap_entry_insert(ctx, &region->entry);
	if (err) {
		kfree(region);
		return ERR_PTR(err);
	}
	region->mapped = true;
	return region;
}

/* The kernel will not touch the region again; a process may keep its mapping. */
void pcv_region_destroy(struct pcv_region *region)
{
	if (!region)
		return;
	if (region->mapped) {
		rdma_user_mmap_entry_remove(&region->entry.rdma);
		return;
	}
	vfree(region->mem);
	kfree(region);
}

u64 pcv_region_offset(struct pcv_region *region)
{
	return rdma_user_mmap_get_offset(&region->entry.rdma);
}

void pcv_mmap_free(struct rdma_user_mmap_entry *entry)
{
	struct pcv_region *region;

	if (container_of(entry, struct pcv_mmap_entry, rdma)->map) {
		pcv_map_free(entry);
		return;
	}
	region = container_of(entry, struct pcv_region, entry.rdma);

	if (!region->borrowed)
		vfree(region->mem);
	kfree(region);
}

int pcv_mmap(struct ib_ucontext *ib, struct vm_area_struct *vma)
{
	struct rdma_user_mmap_entry *entry;
	struct pcv_region *region;
	int err;

	if (!(vma->vm_flags & VM_SHARED) || (vma->vm_flags & VM_EXEC))
		return -EINVAL;
	/* Who owns it knows its size: see pcv_mmap_entry_insert(). */
	entry = rdma_user_mmap_entry_get_pgoff(ib, vma->vm_pgoff);
	if (!entry)
		return -EINVAL;
	if (container_of(entry, struct pcv_mmap_entry, rdma)->map) {
		err = pcv_map_mmap(entry, vma);
		goto out;
	}
	region = container_of(entry, struct pcv_region, entry.rdma);
	if (vma->vm_end - vma->vm_start != region->bytes) {
		err = -EINVAL;
		goto out;
	}
	if (region->borrowed) {
		if (vma->vm_flags & VM_WRITE) {
			err = -EPERM;
			goto out;
		}
		pcv_vm_flags_clear(vma, VM_MAYWRITE);
	} else {
		/* A child must not inherit queues: two processes would consume them. */
		pcv_vm_flags_set(vma, VM_DONTCOPY);
	}
	err = remap_vmalloc_range(vma, region->mem, 0);
out:
	/* The pages are counted one by one from here on. */
	rdma_user_mmap_entry_put(entry);
	return err;
}

int pcv_alloc_ucontext(struct ib_ucontext *ib, struct ib_udata *udata)
{
	struct pcv_ucontext *ctx = container_of(ib, struct pcv_ucontext, ib);
	struct pcv_alloc_ucontext_resp resp = { .max_inline = PCV_MAX_INLINE };
	struct pcv_verbs *dev = to_verbs(ib->device);
	int err;

	if (udata->inlen && !ib_is_udata_cleared(udata, 0, udata->inlen))
		return -EOPNOTSUPP;
	ctx->fabric = pcv_region_lend(ib, dev->fabric, sizeof(*dev->fabric));
	if (IS_ERR(ctx->fabric))
		return PTR_ERR(ctx->fabric);
	resp.fabric_offset = pcv_region_offset(ctx->fabric);
	resp.fabric_bytes = ctx->fabric->bytes;
	err = ib_copy_to_udata(udata, &resp, min(sizeof(resp), udata->outlen));
	if (err)
		pcv_region_destroy(ctx->fabric);
	return err;
}

void pcv_dealloc_ucontext(struct ib_ucontext *ib)
{
	pcv_region_destroy(container_of(ib, struct pcv_ucontext, ib)->fabric);
}

/* Having this lets the core take the objects of a living process away at unload. */
void pcv_disassociate_ucontext(struct ib_ucontext *ib)
{
}
