/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Memory that a process maps and that can be taken away from it: apertures,
 * windows, the memory of a peer.
 *
 * A mapping is filled by page faults. When its pages are taken away, page
 * table entries go first, then pcv_map_zap() returns: nobody stores through
 * them any more. A process that goes on storing is not killed: it gets a page
 * of its own that leads nowhere.
 */
#ifndef PCV_MAP_H
#define PCV_MAP_H

#include <linux/types.h>
#include <rdma/ib_verbs.h>

struct ib_udata;
struct vm_area_struct;
struct pcv_map;

/* What mmap() finds; @map: it is a struct pcv_map, else a struct pcv_region. */
struct pcv_mmap_entry {
	struct rdma_user_mmap_entry rdma;
	bool map;
};

/**
 * pcv_mmap_entry_insert() - give a mapping its offset
 *
 * The core keeps a pointer for every page of an entry, 76 KiB of them for the
 * direct memory of one queue pair. One page will do: who is asked to map it
 * compares the size with that of what it stands for, not with the entry's.
 *
 * Process context. Return: 0 or -errno.
 */
int pcv_mmap_entry_insert(struct ib_ucontext *ctx, struct pcv_mmap_entry *entry);

/**
 * typedef pcv_map_pfn_t - what lies at a page of the mapping
 * @arg: as given to pcv_map_create()
 * @page: index in the mapping
 *
 * Called with the map's lock held (a mutex). Return: the page frame, or 0:
 * nothing (now).
 */
typedef unsigned long (*pcv_map_pfn_t)(void *arg, unsigned long page);

/**
 * enum pcv_map_flag - how to map
 * @PCV_MAP_WC: write-combining
 * @PCV_MAP_WHOLE: all of it is there or nothing is: who touches a page that is not
 *	there finds that the others are not, either. Data that got lost must not be
 *	followed by the word that says that it has come
 */
enum pcv_map_flag {
	PCV_MAP_WC = 1,
	PCV_MAP_WHOLE = 2,
};

/**
 * pcv_map_create() - offer a mapping to the process of @udata
 * @bytes: multiple of PAGE_SIZE
 * @flags: enum pcv_map_flag
 *
 * Process context. Return: the map or an ERR_PTR.
 */
struct pcv_map *pcv_map_create(struct ib_udata *udata, size_t bytes, unsigned int flags,
			       pcv_map_pfn_t pfn, void *arg);

/* What the process passes to mmap(). */
u64 pcv_map_offset(struct pcv_map *map);

/**
 * pcv_map_lock() - guard what @pfn returns
 *
 * Who changes it does so under this lock, and calls pcv_map_zap() afterwards,
 * without it, if something was there before.
 */
void pcv_map_lock(struct pcv_map *map);
void pcv_map_unlock(struct pcv_map *map);

/**
 * pcv_map_zap() - take pages away from whoever maps them
 * @page: first
 * @count: how many
 *
 * When it returns no process reaches what lay there. Process context; sleeps;
 * no lock of ours may be held that a page fault could need.
 */
void pcv_map_zap(struct pcv_map *map, unsigned long page, unsigned long count);

/**
 * pcv_map_destroy() - take everything away, for good
 *
 * @pfn is never called again. Process context. NULL is fine.
 */
void pcv_map_destroy(struct pcv_map *map);

/* For pcv_mmap() and pcv_mmap_free(). */
int pcv_map_mmap(struct rdma_user_mmap_entry *entry, struct vm_area_struct *vma);
void pcv_map_free(struct rdma_user_mmap_entry *entry);

#endif /* PCV_MAP_H */
