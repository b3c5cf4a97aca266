/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A device whose coherent memory is a range of shared memory: what an NTB client
 * allocates for its inbound windows, where these can lead nowhere else. Streaming
 * mappings fail: a peer could not reach what they map.
 *
 * The range is also named by the device's property "ntb-inbound-range": address,
 * bytes. A client that takes it from there must not allocate as well.
 */
#ifndef PCV_NTB_RANGE_H
#define PCV_NTB_RANGE_H

#include <linux/types.h>

struct device;

/**
 * pcv_range_create() - make the device
 * @parent:	what it hangs on
 * @start:	physical address of the range, and what the device calls it
 * @bytes:	its size, a multiple of 64 KiB
 *
 * May sleep.
 *
 * Return: the device or an error pointer.
 */
struct device *pcv_range_create(struct device *parent, u64 start, u64 bytes);

/**
 * pcv_range_destroy() - the end of it
 * @dev:	from pcv_range_create(), nothing is allocated from it any more
 */
void pcv_range_destroy(struct device *dev);

#endif
