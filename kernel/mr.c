// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Memory regions: who may touch which bytes, and the only code that does.
 *
 * A peer reaches a region through this kernel, message by message: each looks
 * the key up anew and holds a reference while it copies. Deregistration waits
 * for copies under way. Only if pages were lent to processes of peers (loan.c)
 * does it wait for these peers' kernels, too, for a bounded time.
 */
#include <linux/highmem.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "dev.h"
#include "loan.h"

static struct pcv_mr *mr_alloc(struct pcv_verbs *dev, struct ib_pd *pd, enum pcv_mr_kind kind,
			       int access)
{
	struct pcv_mr *mr = kzalloc(sizeof(*mr), GFP_KERNEL);

	if (!mr)
		return NULL;
	mr->dev = dev;
	mr->kind = kind;
	mr->access = access;
	mr->ib.pd = pd;
	mr->ib.device = &dev->ib;
	refcount_set(&mr->refs, 1);
	INIT_LIST_HEAD(&mr->lent);
	init_completion(&mr->gone);
	return mr;
}

/* Make the region known under a new key. The low byte makes old keys wrong. */
static int mr_publish(struct pcv_mr *mr)
{
	struct pcv_verbs *dev = mr->dev;
	u32 index;
	int err;

	err = xa_alloc_cyclic_irq(&dev->mrs, &index, NULL, XA_LIMIT(1, (1 << 24) - 1),
				  &dev->next_mr, GFP_KERNEL);
	/* All numbers are in use: that many regions were announced. */
	if (err < 0)
		return err == -EBUSY ? -ENOMEM : err;
	mr->key = index << 8 | (get_random_u32() & 0xff);
	mr->ib.lkey = mr->key;
	mr->ib.rkey = mr->key;
	xa_store_irq(&dev->mrs, index, mr, GFP_KERNEL);
	return 0;
}

void pcv_mr_put(struct pcv_mr *mr)
{
	if (mr && refcount_dec_and_test(&mr->refs))
		complete(&mr->gone);
}

/* Handed out for PCV_LOCAL_DMA_LKEY: no range, no table, never freed. */
static struct pcv_mr mr_all_of_kernel = {
	.refs = REFCOUNT_INIT(1),
	.kind = PCV_MR_DMA,
	.access = IB_ACCESS_LOCAL_WRITE,
	.valid = true,
};

/* A region that is valid and allows the access, whatever its range. */
static struct pcv_mr *mr_find(struct pcv_qp *qp, u32 key, int access)
{
	struct pcv_mr *mr;

	rcu_read_lock();
	mr = xa_load(&qp->dev->mrs, key >> 8);
	if (mr && !refcount_inc_not_zero(&mr->refs))
		mr = NULL;
	rcu_read_unlock();
	if (!mr)
		return NULL;
	/* PCV(mr_gone:B) pairs with mr_gone:A: counted, then looked whether it is valid. */
	pcv_cpu_mb();

	/* PCV(mr_valid:B) pairs with mr_valid:A: the range is read after the mark. */
	if (!pcv_cpu_load_acquire(&mr->valid))
		goto err_put;
	if (READ_ONCE(mr->key) != key || mr->ib.pd != qp->ib.pd)
		goto err_put;
	if ((mr->access & access) != access)
		goto err_put;
	return mr;

err_put:
	pcv_mr_put(mr);
	return NULL;
}

struct pcv_mr *pcv_mr_get(struct pcv_qp *qp, u32 key, u64 va, u64 len, int access, bool remote)
{
	struct pcv_mr *mr;

	if (key == PCV_LOCAL_DMA_LKEY && !qp->user && !remote) {
		refcount_inc(&mr_all_of_kernel.refs);
		return &mr_all_of_kernel;
	}
	mr = mr_find(qp, key, access);
	if (!mr)
		return NULL;
	if (mr->kind == PCV_MR_DMA) {
		/* All of memory is for kernel queue pairs and for local use alone. */
		if (qp->user || remote)
			goto err_put;
		return mr;
	}
	if (va < mr->iova || len > mr->length || va - mr->iova > mr->length - len)
		goto err_put;
	return mr;

err_put:
	pcv_mr_put(mr);
	return NULL;
}

struct pcv_mr *pcv_mr_find(struct pcv_qp *qp, u32 key, int access)
{
	struct pcv_mr *mr = mr_find(qp, key, access);

	if (mr && mr->kind == PCV_MR_DMA) {
		pcv_mr_put(mr);
		return NULL;
	}
	return mr;
}

/*
 * Map the piece of a region that starts at @va and does not cross a page.
 * Return: its address; *@len is cut to what is contiguous. Balanced by piece_unmap().
 */
static void *piece_map(struct pcv_mr *mr, u64 va, u32 *len)
{
	u64 off;
	u32 in;

	if (mr->kind == PCV_MR_DMA)
		return (void *)(uintptr_t)va;
	off = va - mr->iova + mr->first_offset;
	in = off & ~PAGE_MASK;
	*len = min_t(u32, *len, PAGE_SIZE - in);
	if (mr->kind == PCV_MR_FAST)
		return (void *)(uintptr_t)(mr->frag[off >> PAGE_SHIFT] + in);
	return kmap_local_page(mr->page[off >> PAGE_SHIFT]) + in;
}

static void piece_unmap(struct pcv_mr *mr, void *p)
{
	if (mr->kind == PCV_MR_USER)
		kunmap_local(p);
}

void pcv_mr_write(struct pcv_mr *mr, u64 va, const void *src, u32 len)
{
	while (len) {
		u32 n = len;
		void *p = piece_map(mr, va, &n);

		memcpy(p, src, n);
		piece_unmap(mr, p);
		va += n;
		src += n;
		len -= n;
	}
}

void pcv_mr_each(struct pcv_mr *mr, u64 va, u32 len, pcv_mr_piece_t fn, void *arg)
{
	while (len) {
		u32 n = len;
		void *p = piece_map(mr, va, &n);

		fn(arg, p, n);
		piece_unmap(mr, p);
		va += n;
		len -= n;
	}
}

void pcv_mr_piece_send(void *tx, const void *p, u32 n)
{
	pcv_peer_tx_copy(tx, p, n);
}

void pcv_mr_send(struct pcv_mr *mr, u64 va, struct pcv_tx *tx, u32 len)
{
	pcv_mr_each(mr, va, len, pcv_mr_piece_send, tx);
}

u64 pcv_mr_atomic(struct pcv_mr *mr, u64 va, bool cmp_swap, u64 compare_add, u64 swap)
{
	u32 len = sizeof(u64);
	u64 *p = piece_map(mr, va, &len);
	u64 old;

	spin_lock_bh(&mr->dev->atomic_lock);
	old = READ_ONCE(*p);
	if (!cmp_swap)
		WRITE_ONCE(*p, old + compare_add);
	else if (old == compare_add)
		WRITE_ONCE(*p, swap);
	spin_unlock_bh(&mr->dev->atomic_lock);
	piece_unmap(mr, p);
	return old;
}

struct ib_mr *pcv_get_dma_mr(struct ib_pd *pd, int access)
{
	struct pcv_verbs *dev = to_verbs(pd->device);
	struct pcv_mr *mr = mr_alloc(dev, pd, PCV_MR_DMA, access & IB_ACCESS_LOCAL_WRITE);
	int err;

	if (!mr)
		return ERR_PTR(-ENOMEM);
	mr->valid = true;
	err = mr_publish(mr);
	if (err) {
		kfree(mr);
		return ERR_PTR(err);
	}
	return &mr->ib;
}

struct ib_mr *pcv_reg_user_mr(struct ib_pd *pd, u64 start, u64 length, u64 iova, int access,
			      struct ib_udata *udata)
{
	struct pcv_verbs *dev = to_verbs(pd->device);
	struct sg_page_iter piter;
	struct pcv_mr *mr;
	size_t npages, i = 0;
	int err;

	if (access & ~(IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE | IB_ACCESS_REMOTE_READ |
		       IB_ACCESS_REMOTE_ATOMIC | IB_ACCESS_OPTIONAL))
		return ERR_PTR(-EOPNOTSUPP);
	mr = mr_alloc(dev, pd, PCV_MR_USER, access);
	if (!mr)
		return ERR_PTR(-ENOMEM);

	mr->umem = ib_umem_get(&dev->ib, start, length, access);
	if (IS_ERR(mr->umem)) {
		err = PTR_ERR(mr->umem);
		goto err_free;
	}
	npages = ib_umem_num_pages(mr->umem);
	mr->page = kvmalloc_array(npages, sizeof(*mr->page), GFP_KERNEL);
	if (!mr->page) {
		err = -ENOMEM;
		goto err_release;
	}
	for_each_sgtable_page(&mr->umem->sgt_append.sgt, &piter, 0) {
		if (WARN_ON_ONCE(i == npages))
			break;
		mr->page[i++] = sg_page_iter_page(&piter);
	}
	mr->iova = iova;
	mr->length = length;
	mr->first_offset = ib_umem_offset(mr->umem);
	mr->valid = true;
	err = mr_publish(mr);
	if (err)
		goto err_pages;
	mr->ib.length = length;
	mr->ib.iova = iova;
	return &mr->ib;

err_pages:
	kvfree(mr->page);
err_release:
	ib_umem_release(mr->umem);
err_free:
	kfree(mr);
	return ERR_PTR(err);
}

int pcv_dereg_mr(struct ib_mr *ib, struct ib_udata *udata)
{
	struct pcv_mr *mr = to_mr(ib);
	struct pcv_verbs *dev = mr->dev;
	u32 index = mr->key >> 8;
	bool safe;

	/* Nobody finds it, but the number is not free yet: peers may still name it. */
	xa_store_irq(&dev->mrs, index, NULL, GFP_KERNEL);
	/*
	 * No new reference from here on; the ones that exist last as long as
	 * one message's copy, or until a loan to a peer is noted.
	 */
	pcv_mr_put(mr);
	wait_for_completion(&mr->gone);
	safe = pcv_loan_return_region(mr);
	xa_erase_irq(&dev->mrs, index);
	if (!safe)
		return 0;
	kvfree(mr->page);
	kvfree(mr->frag);
	if (mr->umem)
		ib_umem_release(mr->umem);
	kfree_rcu(mr, rcu);
	return 0;
}

/* --- fast registration ------------------------------------------------------ */

struct ib_mr *pcv_alloc_mr(struct ib_pd *pd, enum ib_mr_type type, u32 max_num_sg)
{
	struct pcv_verbs *dev = to_verbs(pd->device);
	struct pcv_mr *mr;
	int err;

	if (type != IB_MR_TYPE_MEM_REG)
		return ERR_PTR(-EOPNOTSUPP);
	if (max_num_sg > PCV_MAX_FAST_REG)
		return ERR_PTR(-EINVAL);
	mr = mr_alloc(dev, pd, PCV_MR_FAST, 0);
	if (!mr)
		return ERR_PTR(-ENOMEM);
	mr->max_frags = max_num_sg;
	mr->frag = kvcalloc(max_num_sg, sizeof(*mr->frag), GFP_KERNEL);
	if (!mr->frag) {
		err = -ENOMEM;
		goto err_free;
	}
	err = mr_publish(mr);
	if (err)
		goto err_frags;
	return &mr->ib;

err_frags:
	kvfree(mr->frag);
err_free:
	kfree(mr);
	return ERR_PTR(err);
}

static int set_frag(struct ib_mr *ib, u64 addr)
{
	struct pcv_mr *mr = to_mr(ib);

	if (mr->nfrags == mr->max_frags)
		return -ENOMEM;
	mr->frag[mr->nfrags++] = addr;
	return 0;
}

int pcv_map_mr_sg(struct ib_mr *ib, struct scatterlist *sg, int nents, unsigned int *offset)
{
	struct pcv_mr *mr = to_mr(ib);

	mr->nfrags = 0;
	/* piece_map() counts in pages: other block sizes are not offered. */
	if (ib->page_size != PAGE_SIZE)
		return -EINVAL;
	return ib_sg_to_pages(ib, sg, nents, offset, set_frag);
}

bool pcv_mr_fast_register(struct pcv_qp *qp, struct ib_mr *ibmr, u32 key, int access)
{
	struct pcv_mr *mr = to_mr(ibmr);

	if (mr->kind != PCV_MR_FAST || ibmr->pd != qp->ib.pd || READ_ONCE(mr->valid) ||
	    key >> 8 != mr->key >> 8)
		return false;
	mr->iova = ibmr->iova;
	mr->length = ibmr->length;
	mr->first_offset = ibmr->iova & ~PAGE_MASK;
	mr->access = access;
	WRITE_ONCE(mr->key, key);
	mr->ib.lkey = key;
	mr->ib.rkey = key;
	/* PCV(mr_valid:A) pairs with mr_valid:B: the range is set before it can be used. */
	pcv_cpu_store_release(&mr->valid, true);
	return true;
}

bool pcv_mr_invalidate(struct pcv_qp *qp, u32 key)
{
	struct pcv_mr *mr;
	bool done = false;

	rcu_read_lock();
	mr = xa_load(&qp->dev->mrs, key >> 8);
	if (mr && mr->kind == PCV_MR_FAST && READ_ONCE(mr->key) == key &&
	    mr->ib.pd == qp->ib.pd && READ_ONCE(mr->valid)) {
		WRITE_ONCE(mr->valid, false);
		/*
		 * PCV(mr_gone:A) pairs with mr_gone:B: nobody new from here on; the
		 * copies under way end within one message, with bottom halves off,
		 * and need no lock of ours.
		 */
		pcv_cpu_mb();
		while (refcount_read(&mr->refs) > 1)
			cpu_relax();
		done = true;
	}
	rcu_read_unlock();
	return done;
}
