/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Where this virtual machine's memory lies in the one object that the host
 * keeps it in, which is what peers see of it.
 *
 * Up to a hole below 4 GiB (if there is any memory above) the two run together;
 * how large the hole is nobody says. But the object is seen through PCI BARs,
 * whose sizes are powers of two: with the size of the upper part, which is
 * known exactly, and that of the lower, which firmware nibbles at, there is
 * only one answer.
 */
#ifndef PCV_NTB_RAM_H
#define PCV_NTB_RAM_H

#include <linux/types.h>

/**
 * pcv_ram_survey() - find out
 *
 * To be called before the others. May sleep.
 *
 * Return: 0 or an error number.
 */
int pcv_ram_survey(void);

/**
 * pcv_ram_offset() - where an address is for peers
 * @addr:	guest-physical address
 * @size:	bytes
 * @at:		OUT: offset in the object
 *
 * Any context.
 *
 * Return: 0, or -EINVAL if that is not memory, or not in one piece.
 */
int pcv_ram_offset(u64 addr, u64 size, u64 *at);

/**
 * pcv_ram_bytes() - size of the object
 */
u64 pcv_ram_bytes(void);

#endif
